/* SPDX-License-Identifier: BSD-3-Clause */
/* plenum: a relay for media rooms. Options, and the order in which things start and end. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_eal.h>

#include "ctlsock.h"
#include "prompt.h"
#include "telemetry.h"

#define SHOW_SIZE 8192
#define WHY_SIZE  1024

static void
usage(FILE *out)
{
	fprintf(out,
			"usage: plenum -f FILE [--check] [--cmdline-file FILE]\n"
			"       plenum credential --help\n"
			"       plenum ctl [--socket PATH] COMMAND...\n"
			"  -f, --file FILE      settings (docs/settings.md)\n"
			"  --check              check them, print pool sizes and memory, open no port\n"
			"  --cmdline-file FILE  run these commands after the start (docs/commands.md)\n"
			"  --reference WHAT     print a page of docs/: settings, commands, counters\n"
			"  --version            print the version\n"
			"  --help               print this\n");
}

/* What was started, to be undone in reverse; then the exit code. */
static int
end(struct app *app, bool started, int code)
{
	char buf[WHY_SIZE];
	struct plm_text what;
	int ret;

	plm_text_init(&what, buf, sizeof(buf));
	ret = app_stop(app, &what);
	events_stop(app->events);
	rte_eal_cleanup();
	if (ret < 0) {
		fprintf(stderr, "plenum: mbufs are missing: %s\n", buf);
		return EXIT_FAILURE;
	}
	if (started)
		fprintf(stderr, "plenum: drained, every mempool is full again (%s)\n", buf);
	return code;
}

static int
fail(const struct plm_text *why, int err)
{
	fprintf(stderr, "plenum: %s\n", why->len != 0 ? why->buf : strerror(-err));
	return EXIT_FAILURE;
}

static int
run(struct app *app, const char *cmdline_file)
{
	char buf[WHY_SIZE];
	struct plm_text why;
	int code = EXIT_SUCCESS;
	int ret;

	plm_text_init(&why, buf, sizeof(buf));
	ret = prompt_catch_signals(app);
	if (ret == 0)
		ret = ctlsock_bind(&app->ctlsock, app->conf.control_socket, &why);
	if (ret < 0)
		return fail(&why, ret);
	ret = eal_start(&app->conf, &why);
	if (ret < 0) {
		ctlsock_stop(app->ctlsock);
		return fail(&why, ret);
	}
	ret = events_start(&app->events, app->conf.events, app->conf.events_per_s, &why);
	if (ret == 0)
		ret = app_start(app, &why);
	if (ret == 0)
		ret = ctlsock_start(app->ctlsock, app);
	if (ret == 0)
		ret = telemetry_start(app);
	if (ret < 0)
		return end(app, false, fail(&why, ret));
	fprintf(stderr, "plenum: running, %u port%s, %u worker%s, UDP port %u\n", app->nb_ports,
			app->nb_ports == 1 ? "" : "s", app->conf.nb_workers,
			app->conf.nb_workers == 1 ? "" : "s", app->conf.udp_port);
	if (cmdline_file != NULL && prompt_run_file(app, cmdline_file) < 0)
		code = EXIT_FAILURE;
	if (code == EXIT_SUCCESS)
		prompt_loop(app);
	return end(app, true, code);
}

static int
check(const struct conf *conf)
{
	char *buf = malloc(SHOW_SIZE);
	struct plm_text text;

	if (buf == NULL)
		return EXIT_FAILURE;
	plm_text_init(&text, buf, SHOW_SIZE);
	conf_show(conf, &text);
	fputs(buf, stdout);
	free(buf);
	return EXIT_SUCCESS;
}

/* Options; -1 to go on, or an exit code. */
static int
parse_options(int argc, char **argv, struct app *app, bool *only_check, const char **cmdline_file)
{
	static const struct option options[] = {
		{ "file", required_argument, NULL, 'f' },
		{ "check", no_argument, NULL, 'c' },
		{ "cmdline-file", required_argument, NULL, 'l' },
		{ "reference", required_argument, NULL, 'r' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "f:h", options, NULL)) != -1) {
		switch (opt) {
		case 'f':
			app->conf_path = optarg;
			break;
		case 'c':
			*only_check = true;
			break;
		case 'l':
			*cmdline_file = optarg;
			break;
		case 'r':
			return reference_main(optarg);
		case 'v':
			printf("plenum %s\n", PLM_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind == argc && app->conf_path != NULL)
		return -1;
	usage(stderr);
	return EXIT_USAGE;
}

int
main(int argc, char **argv)
{
	const char *cmdline_file = NULL;
	bool only_check = false;
	char buf[WHY_SIZE];
	struct plm_text why;
	struct app *app;
	int ret;

	if (argc > 1 && strcmp(argv[1], "credential") == 0)
		return credential_main(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "ctl") == 0)
		return ctl_main(argc - 1, argv + 1);
	app = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sizeof(*app), RTE_CACHE_LINE_SIZE));
	if (app == NULL)
		return EXIT_FAILURE;
	memset(app, 0, sizeof(*app));
	pthread_mutex_init(&app->lock, NULL);
	app->wake_fd = -1;
	ret = parse_options(argc, argv, app, &only_check, &cmdline_file);
	if (ret < 0) {
		plm_text_init(&why, buf, sizeof(buf));
		ret = conf_load(&app->conf, app->conf_path, NULL, &why);
		if (ret < 0)
			ret = fail(&why, ret);
		else
			ret = only_check ? check(&app->conf) : run(app, cmdline_file);
	}
	if (app->wake_fd >= 0)
		close(app->wake_fd);
	pthread_mutex_destroy(&app->lock);
	free(app);
	return ret;
}

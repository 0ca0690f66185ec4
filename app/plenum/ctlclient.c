/* SPDX-License-Identifier: BSD-3-Clause */
/* `plenum ctl`: one command for a relay that runs, its text and its exit code. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app.h"
#include "ctlsock.h"

#define DEFAULT_SOCKET "/run/plenum.sock"
/* Longer than the relay itself waits for its slow path. */
#define ANSWER_S 15

static void
usage(FILE *out)
{
	fprintf(out,
			"usage: plenum ctl [--socket PATH] COMMAND...\n"
			"  --socket PATH  control_socket of the relay, " DEFAULT_SOCKET
			" by default\n"
			"Runs a command of the prompt, `plenum ctl help` lists them. Exit code: 0 done,\n"
			"1 the command failed, 2 no such command or wrong arguments, 3 no relay answers.\n");
}

static int
no_relay(const char *path, int err)
{
	if (err == -EACCES)
		fprintf(stderr, "plenum: %s: not allowed, it is its owner's alone (sudo?)\n", path);
	else
		fprintf(stderr,
				"plenum: no relay runs at %s (%s); is plenum started, and is this its "
				"control_socket?\n",
				path, strerror(-err));
	return EXIT_NO_RELAY;
}

static bool
read_answer(int fd, unsigned int *result)
{
	FILE *in = fdopen(fd, "r");
	char buf[4096];
	size_t left;
	bool whole = in != NULL && fscanf(in, "%u %zu", result, &left) == 2 && fgetc(in) == '\n';

	while (whole && left > 0) {
		size_t n = fread(buf, 1, left < sizeof(buf) ? left : sizeof(buf), in);

		whole = n > 0;
		left -= n;
		fwrite(buf, 1, n, stdout);
	}
	if (in != NULL)
		fclose(in);
	return whole;
}

int
ctl_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const struct timeval patience = { .tv_sec = ANSWER_S };
	const char *path = DEFAULT_SOCKET;
	char line[CTLSOCK_LINE];
	struct plm_text text;
	unsigned int result;
	int opt;
	int fd;

	while ((opt = getopt_long(argc, argv, "+s:h", options, NULL)) != -1) {
		if (opt == 's') {
			path = optarg;
			continue;
		}
		usage(opt == 'h' ? stdout : stderr);
		return opt == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
	}
	if (optind == argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	plm_text_init(&text, line, sizeof(line));
	for (int i = optind; i < argc; i++)
		plm_text_add(&text, "%s%s", i == optind ? "" : " ", argv[i]);
	plm_text_add(&text, "\n");
	if (text.cut || strcspn(line, "\n") + 1 != text.len) {
		fprintf(stderr, "plenum: a command is one line of at most %d characters\n",
				CTLSOCK_LINE - 2);
		return EXIT_USAGE;
	}
	fd = ctlsock_connect(path);
	if (fd < 0)
		return no_relay(path, fd);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (send(fd, line, text.len, MSG_NOSIGNAL) != (ssize_t)text.len ||
			!read_answer(fd, &result)) {
		fprintf(stderr, "plenum: the relay at %s hung up or did not answer in %d s\n", path,
				ANSWER_S);
		return EXIT_NO_RELAY;
	}
	return (int)result;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* start, stop, drain, quit, reload. `call_` runs on the slow path. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "app.h"
#include "events.h"
#include "plm_crypto.h"

int
cmd_start(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	struct app *app = ctx;

	plm_relay_set_running(plm_ctl_relay(app->ctl), true);
	return 0;
}

int
cmd_stop(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	struct app *app = ctx;

	plm_relay_set_running(plm_ctl_relay(app->ctl), false);
	return 0;
}

int
cmd_drain(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	unsigned int seconds = args->nb > 0 ? (unsigned int)args->arg[0].num : 0;

	app_end(ctx, seconds);
	plm_cli_print(cli, "draining, the relay ends within %u s\n", seconds + 1);
	return 0;
}

int
cmd_quit(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	app_end(ctx, 0);
	return 0;
}

/* What changes all at once, or why nothing does. */
struct reload {
	struct plm_secrets secrets; /* nb 0: the file is invalid */
	struct plm_admit_limits limits;
	char why[128];
};
static_assert(sizeof(struct reload) <= PLM_CALL_ARG, "travels by value");

/* Static endpoints travel ahead, a few at a time; they count with the rest. */
struct reload_statics {
	bool begins;
	uint8_t nb;
	struct plm_static entries[4];
};
static_assert(sizeof(struct reload_statics) <= PLM_CALL_ARG, "travel by value");

static int
call_reload(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	const struct reload *reload = arg;
	const struct plm_event event = {
		.type = PLM_EVENT_RELOAD,
		.now_ns = now_ns,
		.wall_s = wall_s,
		.reason = reload->why,
	};

	if (reload->secrets.nb != 0) {
		plm_admit_set_secrets(plm_ctl_admit(ctl), &reload->secrets);
		plm_ctl_set_limits(ctl, &reload->limits);
		plm_admit_static_commit(plm_ctl_admit(ctl));
	}
	plm_ctl_event(ctl, &event);
	return 0;
}

static int
call_reload_statics(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	const struct reload_statics *statics = arg;
	int ret = 0;

	if (statics->begins)
		plm_admit_static_begin(plm_ctl_admit(ctl));
	for (unsigned int i = 0; ret == 0 && i < statics->nb; i++)
		ret = plm_admit_static_add(plm_ctl_admit(ctl), &statics->entries[i]);
	return ret;
}

static int
call(struct app *app, plm_call_fn fn, const void *arg, size_t len)
{
	char out[PLM_CALL_TEXT];
	uint32_t cursor = 0;

	return plm_ctl_call(app->ctl, fn, arg, len, out, &cursor, 2000);
}

static int
send_statics(struct app *app, const struct conf *conf)
{
	unsigned int done = 0;
	int ret;

	do {
		struct reload_statics statics = { .begins = done == 0 };

		while (statics.nb < RTE_DIM(statics.entries) && done < conf->nb_statics)
			statics.entries[statics.nb++] = conf->statics[done++].entry;
		ret = call(app, call_reload_statics, &statics, sizeof(statics));
	} while (ret == 0 && done < conf->nb_statics);
	return ret;
}

int
app_reload(struct app *app, struct plm_text *why)
{
	struct conf *conf = malloc(sizeof(*conf));
	struct reload reload = { .why = "" };
	int called = 0;
	int ret;

	if (conf == NULL)
		return -ENOMEM;
	/* The whole file, whatever changes: who reloads a file that would not start wants to
	 * know. */
	ret = conf_load(conf, app->conf_path, &app->conf, why);
	if (ret == 0)
		ret = app_read_secrets(conf, &reload.secrets, why);
	if (ret == 0) {
		conf_fill_limits(conf, &reload.limits);
		plm_text_add(why,
				"%u secret%s read, limits, %u static endpoint%s; other settings "
				"need a restart",
				reload.secrets.nb, reload.secrets.nb == 1 ? "" : "s",
				conf_nb_endpoints(conf), conf_nb_endpoints(conf) == 1 ? "" : "s");
		called = send_statics(app, conf);
	} else {
		plm_text_add(why, " (nothing changed)");
	}
	free(conf);
	snprintf(reload.why, sizeof(reload.why), "%s", why->buf);
	if (called == 0)
		called = call(app, call_reload, &reload, sizeof(reload));
	plm_crypto_erase(&reload, sizeof(reload));
	if (called < 0 && ret == 0) {
		plm_text_init(why, why->buf, why->size);
		plm_text_add(why, "the slow path did not take the settings: %s", strerror(-called));
		return called;
	}
	return ret;
}

int
cmd_reload(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	char buf[512];
	struct plm_text why;
	int ret;

	plm_text_init(&why, buf, sizeof(buf));
	ret = app_reload(ctx, &why);
	plm_cli_print(cli, "reload: %s\n", buf);
	return ret;
}

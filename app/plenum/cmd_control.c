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

/* New secrets, or why there are none. */
struct reload {
	struct plm_secrets secrets; /* nb 0: the file is invalid */
	char why[96];
};
static_assert(sizeof(struct reload) <= PLM_CALL_ARG, "travels by value");

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

	if (reload->secrets.nb != 0)
		plm_admit_set_secrets(plm_ctl_admit(ctl), &reload->secrets);
	plm_ctl_event(ctl, &event);
	return 0;
}

int
app_reload(struct app *app, struct plm_text *why)
{
	struct conf *conf = malloc(sizeof(*conf));
	struct reload reload = { .why = "" };
	char out[PLM_CALL_TEXT];
	uint32_t cursor = 0;
	int called;
	int ret;

	if (conf == NULL)
		return -ENOMEM;
	/* The whole file, not only the secrets: who reloads a file that would not start wants to
	 * know. */
	ret = conf_load(conf, app->conf_path, why);
	if (ret == 0)
		ret = app_read_secrets(conf, &reload.secrets, why);
	if (ret == 0)
		plm_text_add(why, "%u secret%s read, other settings need a restart",
				reload.secrets.nb, reload.secrets.nb == 1 ? "" : "s");
	else
		plm_text_add(why, " (nothing changed)");
	free(conf);
	snprintf(reload.why, sizeof(reload.why), "%s", why->buf);
	called = plm_ctl_call(app->ctl, call_reload, &reload, sizeof(reload), out, &cursor, 2000);
	plm_crypto_erase(&reload, sizeof(reload));
	if (called < 0 && ret == 0) {
		plm_text_init(why, why->buf, why->size);
		plm_text_add(why, "the slow path did not take the secrets: %s", strerror(-called));
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

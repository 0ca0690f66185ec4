/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The prompt's line editor. librte_cmdline's own loop answers a wrong line with "Bad arguments" and
 * has a terminal to itself; so its editor is used directly. The functions that allocate one are
 * marked experimental in 22.11 and stable from 23.07 on, unchanged.
 */
#define ALLOW_EXPERIMENTAL_API
#include <errno.h>
#include <stdlib.h>

#include <rte_errno.h>

#include "cli_priv.h"

struct plm_cli_edit {
	struct plm_cli *cli;
	struct rdline *rdl;
	char *prompt;
};

static int
write_char(struct rdline *rdl, char c)
{
	struct plm_cli_edit *edit = rdline_get_opaque(rdl);

	edit->cli->conf.write(edit->cli->conf.write_ctx, &c, 1);
	return 0;
}

static void
validate(struct rdline *rdl, const char *buf, unsigned int size)
{
	struct plm_cli_edit *edit = rdline_get_opaque(rdl);

	plm_cli_run(edit->cli, buf);
}

static int
complete(struct rdline *rdl, const char *buf, char *dst, unsigned int size, int *state)
{
	struct plm_cli_edit *edit = rdline_get_opaque(rdl);

	return cmdline_complete(edit->cli->cmdline, buf, state, dst, size);
}

struct plm_cli_edit *
plm_cli_edit_create(struct plm_cli *cli, const char *prompt)
{
	struct plm_cli_edit *edit = calloc(1, sizeof(*edit));

	if (edit == NULL)
		goto fail;
	edit->cli = cli;
	edit->prompt = strdup(prompt);
	edit->rdl = rdline_new(write_char, validate, complete, edit);
	if (edit->prompt == NULL || edit->rdl == NULL)
		goto fail;
	rdline_newline(edit->rdl, edit->prompt);
	return edit;

fail:
	plm_cli_edit_free(edit);
	rte_errno = ENOMEM;
	return NULL;
}

void
plm_cli_edit_free(struct plm_cli_edit *edit)
{
	if (edit == NULL)
		return;
	rdline_free(edit->rdl);
	free(edit->prompt);
	free(edit);
}

bool
plm_cli_edit_input(struct plm_cli_edit *edit, const char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		int ret = rdline_char_in(edit->rdl, buf[i]);

		if (ret == RDLINE_RES_EOF || ret == RDLINE_RES_EXITED)
			return false;
		if (ret != RDLINE_RES_VALIDATED)
			continue;
		if (rdline_get_buffer(edit->rdl)[0] > ' ')
			rdline_add_history(edit->rdl, rdline_get_buffer(edit->rdl));
		rdline_newline(edit->rdl, edit->prompt);
	}
	return true;
}

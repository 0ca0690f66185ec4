/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The prompt's line editor. librte_cmdline's own loop answers a wrong line with "Bad arguments" and
 * has a terminal to itself; so its editor is used directly. The functions that allocate one are
 * marked experimental in 22.11 and stable from 23.07 on, unchanged.
 *
 * Where the terminal's size is known, what a command prints is gathered while it runs and shown
 * in pages afterwards: the command never waits for whoever reads.
 */
#define ALLOW_EXPERIMENTAL_API
#include <errno.h>
#include <stdlib.h>

#include <rte_errno.h>

#include "cli_priv.h"

/* What a command may print where it is shown in pages; the rest is cut. */
#define PAGED_MAX (16u << 20)
#define MORE      "--more-- (space: page, enter: line, q: stop)"
#define CUT       "--- cut here: ask for fewer rows ---\n"
#define CTRL_D    4

struct plm_cli_edit {
	struct plm_cli *cli;
	struct rdline *rdl;
	char *prompt;

	/* Where the table's output went before we took it, and goes. */
	void (*write)(void *write_ctx, const char *text, size_t len);
	void *write_ctx;

	unsigned int rows; /* of the terminal; 0: no pages */
	unsigned int columns;
	bool gathers; /* a command runs */
	char *text;   /* what it printed and was not shown */
	size_t len;
	size_t size;
	size_t shown;
	bool cut;
};

static void
say(struct plm_cli_edit *edit, const char *text, size_t len)
{
	edit->write(edit->write_ctx, text, len);
}

static int
write_char(struct rdline *rdl, char c)
{
	say(rdline_get_opaque(rdl), &c, 1);
	return 0;
}

/* --- pages ---------------------------------------------------------------------------------- */

/* Room for `len` bytes more? */
static bool
text_grow(struct plm_cli_edit *edit, size_t len)
{
	size_t size = edit->size != 0 ? edit->size : 4096;
	char *grown;

	while (size < edit->len + len)
		size *= 2;
	if (size == edit->size)
		return true;
	grown = realloc(edit->text, size);
	if (grown == NULL)
		return false;
	edit->text = grown;
	edit->size = size;
	return true;
}

/* Where the table's commands print to. */
static void
take_text(void *ctx, const char *text, size_t len)
{
	struct plm_cli_edit *edit = ctx;

	if (!edit->gathers) {
		say(edit, text, len);
		return;
	}
	if (edit->cut)
		return;
	if (edit->len + len + strlen(CUT) > PAGED_MAX || !text_grow(edit, len)) {
		edit->cut = true;
		text = CUT;
		len = strlen(CUT);
		if (!text_grow(edit, len))
			return;
	}
	memcpy(edit->text + edit->len, text, len);
	edit->len += len;
}

static void
text_free(struct plm_cli_edit *edit)
{
	free(edit->text);
	edit->text = NULL;
	edit->len = edit->size = edit->shown = 0;
	edit->cut = false;
}

/* Show lines that fill at most `rows` of the terminal, one at least. True: that was all. */
static bool
show(struct plm_cli_edit *edit, unsigned int rows)
{
	size_t from = edit->shown;
	unsigned int used = 0;

	while (edit->shown < edit->len) {
		const char *line = edit->text + edit->shown;
		const char *end = memchr(line, '\n', edit->len - edit->shown);
		size_t len = end != NULL ? (size_t)(end - line) : edit->len - edit->shown;
		unsigned int takes = len == 0 ? 1 : (unsigned int)((len - 1) / edit->columns + 1);

		if (used > 0 && used + takes > rows)
			break;
		used += takes;
		edit->shown += len + (end != NULL);
	}
	say(edit, edit->text + from, edit->shown - from);
	return edit->shown == edit->len;
}

/* The next page; false: it was the last, or empty. */
static bool
page(struct plm_cli_edit *edit, unsigned int rows)
{
	bool whole = edit->len == 0 || show(edit, rows);

	if (whole)
		text_free(edit);
	else
		say(edit, MORE, strlen(MORE));
	return !whole;
}

/* A key while there is more to show; false: there is not any more. */
static bool
page_key(struct plm_cli_edit *edit, char key)
{
	static const char erase[] = "\r\033[K";
	unsigned int rows = key == ' ' ? edit->rows - 1 : 1;

	if (key != ' ' && key != '\r' && key != '\n' && key != 'q' && key != CTRL_D)
		return true;
	say(edit, erase, strlen(erase));
	if (key != 'q' && key != CTRL_D)
		return page(edit, rows);
	text_free(edit);
	return false;
}

void
plm_cli_edit_resize(struct plm_cli_edit *edit, unsigned int rows, unsigned int columns)
{
	edit->rows = rows >= 2 && columns > 0 ? rows : 0;
	edit->columns = columns;
}

/* --- lines ---------------------------------------------------------------------------------- */

static void
validate(struct rdline *rdl, const char *buf, unsigned int size)
{
	struct plm_cli_edit *edit = rdline_get_opaque(rdl);

	edit->gathers = edit->rows != 0;
	plm_cli_run(edit->cli, buf);
	edit->gathers = false;
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

	if (edit == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	edit->cli = cli;
	edit->write = cli->conf.write;
	edit->write_ctx = cli->conf.write_ctx;
	cli->conf.write = take_text;
	cli->conf.write_ctx = edit;
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
	edit->cli->conf.write = edit->write;
	edit->cli->conf.write_ctx = edit->write_ctx;
	rdline_free(edit->rdl);
	text_free(edit);
	free(edit->prompt);
	free(edit);
}

bool
plm_cli_edit_input(struct plm_cli_edit *edit, const char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		int ret;

		if (edit->text != NULL) {
			/* A terminal that is gone, or has no pages any more: show the rest. */
			if (edit->rows == 0 ? !page(edit, UINT32_MAX) : !page_key(edit, buf[i]))
				rdline_newline(edit->rdl, edit->prompt);
			continue;
		}
		ret = rdline_char_in(edit->rdl, buf[i]);
		if (ret == RDLINE_RES_EOF || ret == RDLINE_RES_EXITED)
			return false;
		if (ret != RDLINE_RES_VALIDATED)
			continue;
		if (rdline_get_buffer(edit->rdl)[0] > ' ')
			rdline_add_history(edit->rdl, rdline_get_buffer(edit->rdl));
		if (edit->text == NULL || !page(edit, edit->rows - 1))
			rdline_newline(edit->rdl, edit->prompt);
	}
	return true;
}

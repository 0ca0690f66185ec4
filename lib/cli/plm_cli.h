/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Commands: one table gives librte_cmdline its parsers, completion and help, a script its exit
 * code, and docs/ the reference.
 *
 * A command's syntax is words, parted by one space:
 *   room             stands for itself
 *   clear|opaque     one of these, handed over
 *   <name>           any word, handed over; not one that another command has in this place
 *   <count:1-100>    a number in this range, handed over
 *   [<seconds:0-60>] the last word may be in brackets: it may be left out
 */
#ifndef PLM_CLI_H
#define PLM_CLI_H

#include "plm_base.h"

#define PLM_CLI_ARGS 4

/** What was typed for the words of a syntax that are handed over, in their order. */
struct plm_cli_args {
	unsigned int nb;
	struct {
		const char *word;
		uint64_t num; /**< where the syntax has a range */
	} arg[PLM_CLI_ARGS];
};

struct plm_cli;

/** Runs a command: 0, or negative errno after it has printed what is wrong. */
typedef int (*plm_cli_fn)(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);

/** A table ends with a NULL syntax. */
struct plm_cli_cmd {
	const char *syntax;
	plm_cli_fn fn;
	const char *help;
};

/** A table, ready to run lines. Owner: the thread that created it. */
struct plm_cli;

struct plm_cli_conf {
	const struct plm_cli_cmd *cmds; /**< const as long as the object lives */
	void *ctx;                      /**< of the commands */
	void (*write)(void *write_ctx, const char *text, size_t len);
	void *write_ctx;
};

/** 0, -EINVAL (a syntax that is none), -ENOMEM. */
int plm_cli_create(struct plm_cli **cli, const struct plm_cli_conf *conf);
void plm_cli_free(struct plm_cli *cli);

/** How a line went; also the exit codes of `plenum ctl`. */
enum plm_cli_result {
	PLM_CLI_OK = 0,
	PLM_CLI_FAILED = 1, /**< the command said no */
	PLM_CLI_USAGE = 2,  /**< no such command, or not with these arguments; usage was printed */
};

/** Run one line. Empty lines and comments (#) are fine. */
enum plm_cli_result plm_cli_run(struct plm_cli *cli, const char *line);

/** Print, for commands. */
void plm_cli_print(struct plm_cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Print one line per command: what `help` does. */
void plm_cli_help(struct plm_cli *cli);

/** The reference of a table in Markdown. */
void plm_cli_reference(const struct plm_cli_cmd *cmds, struct plm_text *text);

/** A line editor with history and completion, fed with what a terminal in raw mode yields. */
struct plm_cli_edit;

/** NULL and rte_errno. `cli` outlives it; until plm_cli_edit_free() it prints through the editor. */
struct plm_cli_edit *plm_cli_edit_create(struct plm_cli *cli, const char *prompt);
void plm_cli_edit_free(struct plm_cli_edit *edit);

/**
 * The terminal has so many rows and columns: what a command prints is shown in pages from now on
 * (space: the next one, enter: a line more, q: enough). Without a call, or with 0 rows, it is not.
 */
void plm_cli_edit_resize(struct plm_cli_edit *edit, unsigned int rows, unsigned int columns);

/** Feed it; runs the lines that end in `buf`. False when the user is done (Ctrl-D). */
bool plm_cli_edit_input(struct plm_cli_edit *edit, const char *buf, size_t len);

#endif

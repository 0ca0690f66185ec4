/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes librte_cmdline's instances from a table of commands, and runs lines through it. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli_priv.h"

/* As long a line as librte_cmdline takes. */
#define LINE_SIZE 512

static_assert(CLI_WORDS * sizeof(struct cli_value) <= CMDLINE_PARSE_RESULT_BUFSIZE,
		"a command's words fit the parser's result");

/* librte_cmdline has parsed a line: hand over what varies. */
static void
run_inst(void *parsed, struct cmdline *cmdline, void *arg)
{
	const struct cli_inst *inst = arg;
	const struct cli_value *values = parsed;
	struct plm_cli *cli = inst->cli;
	struct plm_cli_args args = { .nb = 0 };

	for (unsigned int i = 0; i < inst->nb_tokens; i++) {
		if (inst->tokens[i].kind == CLI_WORD)
			continue;
		args.arg[args.nb].word = values[i].word;
		args.arg[args.nb].num = inst->tokens[i].kind == CLI_NUMBER ? values[i].num : 0;
		args.nb++;
	}
	cli->result = inst->cmd->fn(cli, cli->conf.ctx, &args) < 0 ? PLM_CLI_FAILED : PLM_CLI_OK;
}

static int
add_inst(struct plm_cli *cli, const struct plm_cli_cmd *cmd, bool optional, bool *has_optional)
{
	struct cli_inst *inst = &cli->insts[cli->nb_insts];
	int ret = cli_split(inst->tokens, &inst->nb_tokens, cmd->syntax, optional, has_optional);

	if (ret < 0)
		return ret;
	inst->cli = cli;
	inst->cmd = cmd;
	inst->rte = calloc(1, sizeof(*inst->rte) + (inst->nb_tokens + 1) * sizeof(void *));
	if (inst->rte == NULL)
		return -ENOMEM;
	inst->rte->f = run_inst;
	inst->rte->data = inst;
	inst->rte->help_str = cmd->help;
	for (unsigned int i = 0; i < inst->nb_tokens; i++)
		inst->rte->tokens[i] = &inst->tokens[i].rte.hdr;
	cli->parse_ctx[cli->nb_insts++] = inst->rte;
	return 0;
}

static bool
same_beginning(const struct cli_inst *a, const struct cli_inst *b, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (strcmp(a->tokens[i].text, b->tokens[i].text) != 0)
			return false;
	}
	return true;
}

/* "show room all" beside "show room <name>" would be ambiguous: a name is not "all" there. */
static int
reserve_words(struct plm_cli *cli, struct cli_inst *inst)
{
	for (unsigned int i = 0; i < inst->nb_tokens; i++) {
		struct cli_token *t = &inst->tokens[i];

		if (t->kind != CLI_NAME)
			continue;
		for (unsigned int k = 0; k < cli->nb_insts; k++) {
			const struct cli_inst *other = &cli->insts[k];

			if (other->nb_tokens <= i || other->tokens[i].kind != CLI_WORD ||
					!same_beginning(inst, other, i))
				continue;
			if (t->nb_taken == CLI_TAKEN)
				return -EINVAL;
			t->taken[t->nb_taken++] = other->tokens[i].text;
		}
	}
	return 0;
}

static int
add_all(struct plm_cli *cli)
{
	bool has_optional;
	int ret;

	for (const struct plm_cli_cmd *cmd = cli->conf.cmds; cmd->syntax != NULL; cmd++) {
		ret = add_inst(cli, cmd, false, &has_optional);
		if (ret == 0 && has_optional)
			ret = add_inst(cli, cmd, true, &has_optional);
		if (ret < 0)
			return ret;
	}
	for (unsigned int i = 0; i < cli->nb_insts; i++) {
		ret = reserve_words(cli, &cli->insts[i]);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int
plm_cli_create(struct plm_cli **cli, const struct plm_cli_conf *conf)
{
	struct plm_cli *c = calloc(1, sizeof(*c));
	unsigned int n = 0;
	int ret = -ENOMEM;

	if (c == NULL)
		return -ENOMEM;
	c->conf = *conf;
	while (conf->cmds[n].syntax != NULL)
		n++;
	/* Twice as many: with the optional word and without. */
	c->insts = calloc(2 * n + 1, sizeof(*c->insts));
	c->parse_ctx = calloc(2 * n + 1, sizeof(*c->parse_ctx));
	if (c->insts == NULL || c->parse_ctx == NULL)
		goto fail;
	ret = add_all(c);
	if (ret < 0)
		goto fail;
	c->cmdline = cmdline_new(c->parse_ctx, "", -1, -1);
	if (c->cmdline == NULL) {
		ret = -ENOMEM;
		goto fail;
	}
	*cli = c;
	return 0;

fail:
	plm_cli_free(c);
	return ret;
}

void
plm_cli_free(struct plm_cli *cli)
{
	if (cli == NULL)
		return;
	if (cli->cmdline != NULL)
		cmdline_free(cli->cmdline);
	for (unsigned int i = 0; i < cli->nb_insts; i++)
		free(cli->insts[i].rte);
	free(cli->insts);
	free(cli->parse_ctx);
	free(cli);
}

void
plm_cli_print(struct plm_cli *cli, const char *fmt, ...)
{
	char buf[512];
	char *text = buf;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof(buf)) {
		va_start(ap, fmt);
		n = vasprintf(&text, fmt, ap);
		va_end(ap);
		if (n < 0)
			return;
	}
	cli->conf.write(cli->conf.write_ctx, text, (size_t)n);
	if (text != buf)
		free(text);
}

void
plm_cli_help(struct plm_cli *cli)
{
	for (const struct plm_cli_cmd *cmd = cli->conf.cmds; cmd->syntax != NULL; cmd++)
		plm_cli_print(cli, "%-44s %s\n", cmd->syntax, cmd->help);
}

/* How many words of a line fit the beginning of a syntax; what varies fits any word. */
static unsigned int
words_matched(const char *syntax, const char *line)
{
	unsigned int n = 0;

	for (;;) {
		size_t a = strcspn(syntax, " ");
		bool varies = *syntax == '<' || *syntax == '[';
		size_t b;

		line += strspn(line, " \t");
		b = strcspn(line, " \t\r\n#");
		if (a == 0 || b == 0)
			return n;
		if (!varies && (a != b || strncmp(syntax, line, a) != 0))
			return n;
		n++;
		syntax += a + (syntax[a] == ' ');
		line += b;
	}
}

/* The commands that begin as the line does, as far as any does. */
static void
usage(struct plm_cli *cli, const char *line)
{
	unsigned int best = 0;

	for (const struct plm_cli_cmd *cmd = cli->conf.cmds; cmd->syntax != NULL; cmd++) {
		unsigned int n = words_matched(cmd->syntax, line);

		best = n > best ? n : best;
	}
	if (best == 0) {
		plm_cli_print(cli, "unknown command; `help` lists them\n");
		return;
	}
	for (const struct plm_cli_cmd *cmd = cli->conf.cmds; cmd->syntax != NULL; cmd++) {
		if (words_matched(cmd->syntax, line) == best)
			plm_cli_print(cli, "usage: %s\n", cmd->syntax);
	}
}

enum plm_cli_result
plm_cli_run(struct plm_cli *cli, const char *line)
{
	char buf[LINE_SIZE];
	size_t len;
	int ret;

	line += strspn(line, " \t\r\n");
	len = strcspn(line, "\r\n");
	if (len == 0 || line[0] == '#')
		return PLM_CLI_OK;
	if (len + 2 > sizeof(buf)) {
		plm_cli_print(cli, "line too long, at most %zu characters\n", sizeof(buf) - 2);
		return PLM_CLI_USAGE;
	}
	memcpy(buf, line, len);
	memcpy(buf + len, "\n", 2);
	ret = cmdline_parse(cli->cmdline, buf);
	if (ret >= 0)
		return cli->result;
	usage(cli, buf);
	return PLM_CLI_USAGE;
}

void
plm_cli_reference(const struct plm_cli_cmd *cmds, struct plm_text *text)
{
	plm_text_add(text, "| command | what it does |\n|---|---|\n");
	for (; cmds->syntax != NULL; cmds++) {
		plm_text_add(text, "| `");
		for (const char *p = cmds->syntax; *p != '\0'; p++)
			plm_text_add(text, *p == '|' ? "\\%c" : "%c", *p);
		plm_text_add(text, "` | %s |\n", cmds->help);
	}
}

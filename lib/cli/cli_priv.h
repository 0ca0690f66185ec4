/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_PRIV_H
#define CLI_PRIV_H

#include <cmdline.h>
#include <cmdline_parse.h>
#include <cmdline_parse_string.h>

#include "plm_cli.h"

/* Words of one syntax. */
#define CLI_WORDS 12
/* Words that a <name> must not be, since other commands have them there. */
#define CLI_TAKEN  32
#define CLI_SYNTAX 160

enum cli_kind {
	CLI_WORD,   /* stands for itself */
	CLI_CHOICE, /* a|b */
	CLI_NAME,   /* <name> */
	CLI_NUMBER, /* <name:min-max> */
};

/* One word of a syntax. The first member makes it a token of librte_cmdline. */
struct cli_token {
	struct cmdline_token_string rte; /* `str` is "a#b" for words and choices */
	enum cli_kind kind;
	char text[STR_TOKEN_SIZE]; /* as in the syntax, without brackets */
	char choices[STR_TOKEN_SIZE];
	uint64_t min;
	uint64_t max;
	const char *taken[CLI_TAKEN];
	unsigned int nb_taken;
};

/* What a token leaves in the result, at its offset. The string comes first for cmdline's own
 * parser. */
struct cli_value {
	cmdline_fixed_string_t word;
	uint64_t num;
};

struct cli_inst;

struct plm_cli {
	struct plm_cli_conf conf;
	struct cli_inst *insts;
	unsigned int nb_insts;
	cmdline_parse_ctx_t *parse_ctx; /* [nb_insts + 1], NULL at the end */
	struct cmdline *cmdline;        /* parses and completes; reads and writes nothing */
	enum plm_cli_result result;     /* of the command that ran last */
};

struct cli_inst {
	struct plm_cli *cli;
	const struct plm_cli_cmd *cmd;
	struct cli_token tokens[CLI_WORDS];
	unsigned int nb_tokens;
	cmdline_parse_inst_t *rte; /* ends in an array of tokens, so it stands alone */
};

/* Split a syntax; with `optional` the word in brackets counts. 0, -EINVAL. */
int cli_split(struct cli_token *tokens, unsigned int *nb, const char *syntax, bool optional,
		bool *has_optional);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Words of a syntax as tokens of librte_cmdline: its own for fixed words, ours for what varies. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli_priv.h"

static int
parse_word(cmdline_parse_token_hdr_t *hdr, const char *src, void *res, unsigned int size)
{
	const struct cli_token *t = (const struct cli_token *)hdr;
	struct cli_value value = { .num = 0 };
	size_t len = 0;
	char *end;

	while (!cmdline_isendoftoken(src[len]))
		len++;
	if (len == 0 || len >= sizeof(value.word))
		return -1;
	memcpy(value.word, src, len);
	if (t->kind == CLI_NUMBER) {
		if (src[0] < '0' || src[0] > '9')
			return -1;
		errno = 0;
		value.num = strtoull(value.word, &end, 10);
		if (*end != '\0' || errno != 0 || value.num < t->min || value.num > t->max)
			return -1;
	}
	for (unsigned int i = 0; i < t->nb_taken; i++) {
		if (strcmp(value.word, t->taken[i]) == 0)
			return -1;
	}
	if (res != NULL) {
		if (size < sizeof(value))
			return -1;
		memcpy(res, &value, sizeof(value));
	}
	return (int)len;
}

static int
help_word(cmdline_parse_token_hdr_t *hdr, char *buf, unsigned int size)
{
	snprintf(buf, size, "%s", ((const struct cli_token *)hdr)->text);
	return 0;
}

static struct cmdline_token_ops varying_ops = {
	.parse = parse_word,
	.get_help = help_word,
};

static int
fill_token(struct cli_token *t, const char *word, size_t len)
{
	const char *colon;
	char *end;

	memset(t, 0, sizeof(*t));
	if (len == 0 || len >= sizeof(t->text))
		return -EINVAL;
	memcpy(t->text, word, len);
	if (t->text[0] != '<') {
		t->kind = strchr(t->text, '|') != NULL ? CLI_CHOICE : CLI_WORD;
		for (size_t i = 0; i < len; i++)
			t->choices[i] = t->text[i] == '|' ? '#' : t->text[i];
		t->rte.hdr.ops = &cmdline_token_string_ops;
		t->rte.string_data.str = t->choices;
		return 0;
	}
	if (t->text[len - 1] != '>')
		return -EINVAL;
	t->rte.hdr.ops = &varying_ops;
	colon = strchr(t->text, ':');
	t->kind = colon != NULL ? CLI_NUMBER : CLI_NAME;
	if (colon == NULL)
		return 0;
	t->min = strtoull(colon + 1, &end, 10);
	if (*end != '-')
		return -EINVAL;
	t->max = strtoull(end + 1, &end, 10);
	return strcmp(end, ">") == 0 && t->min <= t->max ? 0 : -EINVAL;
}

int
cli_split(struct cli_token *tokens, unsigned int *nb, const char *syntax, bool optional,
		bool *has_optional)
{
	unsigned int nb_args = 0;
	int ret;

	*nb = 0;
	*has_optional = false;
	while (*syntax != '\0') {
		size_t len = strcspn(syntax, " ");
		const char *word = syntax;
		size_t word_len = len;

		syntax += len;
		if (*syntax == ' ')
			syntax++;
		if (word[0] == '[') {
			if (len < 3 || word[len - 1] != ']' || *syntax != '\0')
				return -EINVAL;
			*has_optional = true;
			if (!optional)
				return 0;
			word++;
			word_len -= 2;
		}
		if (*nb == CLI_WORDS)
			return -EINVAL;
		ret = fill_token(&tokens[*nb], word, word_len);
		if (ret < 0)
			return ret;
		nb_args += tokens[*nb].kind != CLI_WORD;
		tokens[*nb].rte.hdr.offset = *nb * (unsigned int)sizeof(struct cli_value);
		(*nb)++;
	}
	return *nb > 0 && nb_args <= PLM_CLI_ARGS ? 0 : -EINVAL;
}

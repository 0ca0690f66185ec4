/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines through a table: who is called with what, what is refused and how; the line editor. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "plm_cli.h"
#include "test_eal.h"

/* What commands printed, usage included. */
struct sink {
	char buf[8192];
	struct plm_text text;
};

static void
sink_write(void *ctx, const char *text, size_t len)
{
	struct sink *sink = ctx;

	plm_text_add(&sink->text, "%.*s", (int)len, text);
}

/* Commands print their name and arguments. */
static int
say(struct plm_cli *cli, const char *who, const struct plm_cli_args *args)
{
	plm_cli_print(cli, "%s", who);
	for (unsigned int i = 0; i < args->nb; i++)
		plm_cli_print(cli, " %s/%" PRIu64, args->arg[i].word, args->arg[i].num);
	plm_cli_print(cli, "\n");
	return 0;
}

static int
cmd_all(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	return say(cli, "all", args);
}

static int
cmd_one(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	return say(cli, "one", args);
}

static int
cmd_max(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	return say(cli, "max", args);
}

static int
cmd_mode(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	return say(cli, "mode", args);
}

static int
cmd_drain(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	return say(cli, "drain", args);
}

static int
cmd_fail(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	return -ENOENT;
}

static int
cmd_long(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	plm_cli_print(cli, "%2000s", "x");
	return 0;
}

/* Ten lines, the fifth of 45 characters. */
static int
cmd_lines(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	for (unsigned int i = 1; i <= 10; i++)
		plm_cli_print(cli, i == 5 ? "%045u\n" : "line %u\n", i);
	return 0;
}

/* 40 MB. */
static int
cmd_flood(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	for (unsigned int i = 0; i < 20000; i++)
		plm_cli_print(cli, "%2000s\n", "x");
	return 0;
}

static const struct plm_cli_cmd cmds[] = {
	{ "show room all", cmd_all, "all rooms" },
	{ "show room <name>", cmd_one, "one room" },
	{ "set room <name> max <count:1-100>", cmd_max, "limit" },
	{ "set room <name> mode clear|opaque", cmd_mode, "mode" },
	{ "drain [<seconds:0-60>]", cmd_drain, "drain" },
	{ "fail", cmd_fail, "fail" },
	{ "long", cmd_long, "long" },
	{ "lines", cmd_lines, "ten lines" },
	{ "flood", cmd_flood, "too many lines" },
	{ NULL, NULL, NULL },
};

static enum plm_cli_result
run(const char *line, struct sink *sink)
{
	const struct plm_cli_conf conf = { .cmds = cmds, .write = sink_write, .write_ctx = sink };
	enum plm_cli_result result;
	struct plm_cli *cli;

	plm_text_init(&sink->text, sink->buf, sizeof(sink->buf));
	assert_int_equal(plm_cli_create(&cli, &conf), 0);
	result = plm_cli_run(cli, line);
	plm_cli_free(cli);
	return result;
}

static const struct {
	const char *line;
	enum plm_cli_result want;
	const char *prints;
} run_cases[] = {
	{ "show room all", PLM_CLI_OK, "all\n" },
	{ "  show   room\tall  \n", PLM_CLI_OK, "all\n" },
	{ "show room all # comment", PLM_CLI_OK, "all\n" },
	{ "show room blue", PLM_CLI_OK, "one blue/0\n" },
	{ "show room al", PLM_CLI_OK, "one al/0\n" },
	{ "set room blue max 100", PLM_CLI_OK, "max blue/0 100/100\n" },
	{ "set room all max 1", PLM_CLI_OK, "max all/0 1/1\n" },
	{ "set room blue mode opaque", PLM_CLI_OK, "mode blue/0 opaque/0\n" },
	{ "drain", PLM_CLI_OK, "drain\n" },
	{ "drain 60", PLM_CLI_OK, "drain 60/60\n" },
	{ "", PLM_CLI_OK, "" },
	{ "   ", PLM_CLI_OK, "" },
	{ "# show room all", PLM_CLI_OK, "" },
	{ "fail", PLM_CLI_FAILED, "" },
	{ "set room blue max 0", PLM_CLI_USAGE, "usage: set room <name> max <count:1-100>\n" },
	{ "set room blue max 101", PLM_CLI_USAGE, "<count:1-100>" },
	{ "set room blue max -1", PLM_CLI_USAGE, "<count:1-100>" },
	{ "set room blue max 0x10", PLM_CLI_USAGE, "<count:1-100>" },
	{ "set room blue max 18446744073709551617", PLM_CLI_USAGE, "<count:1-100>" },
	{ "set room blue mode grey", PLM_CLI_USAGE, "mode clear|opaque" },
	{ "drain 61", PLM_CLI_USAGE, "usage: drain [<seconds:0-60>]\n" },
	{ "show room", PLM_CLI_USAGE, "usage: show room all\nusage: show room <name>\n" },
	{ "show room a b", PLM_CLI_USAGE, "usage: show room <name>\n" },
	{ "show", PLM_CLI_USAGE, "usage: show room all\n" },
	{ "frobnicate", PLM_CLI_USAGE, "unknown command" },
	{ "fail now", PLM_CLI_USAGE, "usage: fail\n" },
};

static void
cli_run__lines(void **state)
{
	struct sink sink;

	for (size_t i = 0; i < sizeof(run_cases) / sizeof(run_cases[0]); i++) {
		enum plm_cli_result got = run(run_cases[i].line, &sink);

		if (got != run_cases[i].want)
			fail_msg("%s: %d, wanted %d", run_cases[i].line, got, run_cases[i].want);
		if (got == PLM_CLI_OK ? strcmp(sink.buf, run_cases[i].prints) != 0
				      : strstr(sink.buf, run_cases[i].prints) == NULL)
			fail_msg("%s printed: %s", run_cases[i].line, sink.buf);
	}
}

static void
cli_run__refuses_lines_and_words_too_long(void **state)
{
	struct sink sink;
	char line[2048];

	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	assert_int_equal(run(line, &sink), PLM_CLI_USAGE);
	memcpy(line, "show room ", 10);
	line[10 + 128] = '\0'; /* a word with its NUL is at most 128 */
	assert_int_equal(run(line, &sink), PLM_CLI_USAGE);
	line[10 + 127] = '\0';
	assert_int_equal(run(line, &sink), PLM_CLI_OK);
}

static void
cli_run__prints_more_than_a_buffer(void **state)
{
	struct sink sink;

	assert_int_equal(run("long", &sink), PLM_CLI_OK);
	assert_int_equal(sink.text.len, 2000);
}

static void
cli_create__refuses_a_wrong_syntax(void **state)
{
	static const char *const wrong[] = {
		"",
		"a  b",
		"set <name",
		"set <n:5-1>",
		"set <n:1>",
		"drain [<n:1-2>] more",
		"drain [",
		"a b c d e f g h i j k l m",
		"set <a> <b> <c> <d> <e>",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const struct plm_cli_cmd table[] = { { wrong[i], cmd_fail, "" },
			{ NULL, NULL, NULL } };
		const struct plm_cli_conf conf = { .cmds = table, .write = sink_write };
		struct plm_cli *cli;

		if (plm_cli_create(&cli, &conf) != -EINVAL)
			fail_msg("\"%s\" was taken", wrong[i]);
	}
}

static void
cli_help__lists_every_command(void **state)
{
	struct sink sink;
	const struct plm_cli_conf conf = { .cmds = cmds, .write = sink_write, .write_ctx = &sink };
	char buf[4096];
	struct plm_text text;
	struct plm_cli *cli;

	plm_text_init(&sink.text, sink.buf, sizeof(sink.buf));
	plm_text_init(&text, buf, sizeof(buf));
	assert_int_equal(plm_cli_create(&cli, &conf), 0);
	plm_cli_help(cli);
	plm_cli_free(cli);
	plm_cli_reference(cmds, &text);
	for (const struct plm_cli_cmd *cmd = cmds; cmd->syntax != NULL; cmd++) {
		assert_non_null(strstr(sink.buf, cmd->syntax));
		assert_non_null(strstr(buf, cmd->help));
	}
	assert_non_null(strstr(buf, "clear\\|opaque"));
}

static void
cli_edit__completes_runs_and_ends(void **state)
{
	struct sink sink;
	const struct plm_cli_conf conf = { .cmds = cmds, .write = sink_write, .write_ctx = &sink };
	struct plm_cli_edit *edit;
	struct plm_cli *cli;

	plm_text_init(&sink.text, sink.buf, sizeof(sink.buf));
	assert_int_equal(plm_cli_create(&cli, &conf), 0);
	edit = plm_cli_edit_create(cli, "test> ");
	assert_non_null(edit);
	assert_non_null(strstr(sink.buf, "test> "));
	assert_true(plm_cli_edit_input(edit, "dr\t 7\n", 6));
	assert_non_null(strstr(sink.buf, "drain 7/7\n"));
	assert_true(plm_cli_edit_input(edit, "set room x max 0\n", 17));
	assert_non_null(strstr(sink.buf, "usage: set room <name> max <count:1-100>\n"));
	/* Ctrl-D on an empty line */
	assert_false(plm_cli_edit_input(edit, "\004", 1));
	plm_cli_edit_free(edit);
	plm_cli_free(cli);
}

/* What was printed since the last look. */
static const char *
printed(struct sink *sink)
{
	static char copy[sizeof(sink->buf)];

	memcpy(copy, sink->buf, sizeof(copy));
	plm_text_init(&sink->text, sink->buf, sizeof(sink->buf));
	return copy;
}

#define MORE  "--more-- (space: page, enter: line, q: stop)"
#define ERASE "\r\033[K"

static void
cli_edit__shows_long_answers_in_pages(void **state)
{
	/* A terminal of 4 rows and 20 columns: the fifth line takes three of them. */
	static const struct {
		const char *keys;
		const char *want;
	} steps[] = {
		{ "x", "" },
		{ "\n", ERASE "line 4\n" MORE },
		{ " ", ERASE "000000000000000000000000000000000000000000005\n" MORE },
		{ " ", ERASE "line 6\nline 7\nline 8\n" MORE },
		{ " ", ERASE "line 9\nline 10\n" },
	};
	struct sink sink;
	const struct plm_cli_conf conf = { .cmds = cmds, .write = sink_write, .write_ctx = &sink };
	struct plm_cli_edit *edit;
	struct plm_cli *cli;

	plm_text_init(&sink.text, sink.buf, sizeof(sink.buf));
	assert_int_equal(plm_cli_create(&cli, &conf), 0);
	edit = plm_cli_edit_create(cli, "test> ");
	assert_non_null(edit);
	plm_cli_edit_resize(edit, 4, 20);
	assert_true(plm_cli_edit_input(edit, "lines\n", 6));
	assert_non_null(strstr(printed(&sink), "line 1\nline 2\nline 3\n" MORE));
	for (unsigned int i = 0; i < RTE_DIM(steps); i++) {
		assert_true(plm_cli_edit_input(edit, steps[i].keys, 1));
		if (i + 1 < RTE_DIM(steps))
			assert_string_equal(printed(&sink), steps[i].want);
	}
	/* The last page, and the prompt behind it. */
	assert_memory_equal(sink.buf, steps[RTE_DIM(steps) - 1].want,
			strlen(steps[RTE_DIM(steps) - 1].want));
	assert_non_null(strstr(printed(&sink), "test> "));

	/* Enough after one page; then commands run again. */
	assert_true(plm_cli_edit_input(edit, "lines\nq", 7));
	assert_null(strstr(printed(&sink), "line 4"));
	assert_true(plm_cli_edit_input(edit, "show room x\n", 12));
	assert_non_null(strstr(printed(&sink), "one x"));

	/* Nothing is held back without a terminal. */
	plm_cli_edit_resize(edit, 0, 0);
	assert_true(plm_cli_edit_input(edit, "lines\n", 6));
	assert_non_null(strstr(printed(&sink), "line 10\n"));
	plm_cli_edit_free(edit);
	plm_cli_free(cli);
}

static void
cli_edit__cuts_what_is_beyond_all_pages(void **state)
{
	struct sink sink;
	const struct plm_cli_conf conf = { .cmds = cmds, .write = sink_write, .write_ctx = &sink };
	struct plm_cli_edit *edit;
	struct plm_cli *cli;

	plm_text_init(&sink.text, sink.buf, sizeof(sink.buf));
	assert_int_equal(plm_cli_create(&cli, &conf), 0);
	edit = plm_cli_edit_create(cli, "test> ");
	assert_non_null(edit);
	plm_cli_edit_resize(edit, 2, 100000);
	assert_true(plm_cli_edit_input(edit, "flood\n", 6));
	for (unsigned int i = 0; i < 20000 && strstr(sink.buf, "--- cut here") == NULL; i++) {
		plm_text_init(&sink.text, sink.buf, sizeof(sink.buf));
		assert_true(plm_cli_edit_input(edit, "\n", 1));
		/* 16 MB of lines of 2 001 bytes, and no more. */
		assert_true(i < (16u << 20) / 2001);
	}
	assert_non_null(strstr(sink.buf, "test> "));
	plm_cli_edit_free(edit);
	plm_cli_free(cli);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cli_run__lines),
		cmocka_unit_test(cli_run__refuses_lines_and_words_too_long),
		cmocka_unit_test(cli_run__prints_more_than_a_buffer),
		cmocka_unit_test(cli_create__refuses_a_wrong_syntax),
		cmocka_unit_test(cli_help__lists_every_command),
		cmocka_unit_test(cli_edit__completes_runs_and_ends),
		cmocka_unit_test(cli_edit__shows_long_answers_in_pages),
		cmocka_unit_test(cli_edit__cuts_what_is_beyond_all_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

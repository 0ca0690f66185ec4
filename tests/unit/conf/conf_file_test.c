/* SPDX-License-Identifier: BSD-3-Clause */
/* A table and files: what is taken, what is refused, and where the message points. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plm_conf.h"
#include "test_eal.h"

struct item {
	uint16_t port;
	char name[8];
};

struct settings {
	bool on;
	uint8_t small;
	uint32_t rate;
	uint64_t big;
	uint16_t mode;
	char name[8];
	uint32_t even;
	struct item items[3];
	unsigned int nb_items;
	uint16_t cpus[2];
	unsigned int nb_cpus;
	struct {
		uint32_t depth;
	} tuning;
};

static int
parse_even(const char *text, void *field, struct plm_text *why)
{
	uint32_t n = (uint32_t)atoi(text);

	if (n % 2 != 0) {
		plm_text_add(why, "must be even");
		return -EINVAL;
	}
	memcpy(field, &n, sizeof(n));
	return 0;
}

#define FIELD(s, f) .offset = offsetof(s, f), .size = sizeof(((s *)0)->f)
#define LIST(s, f)  .offset = offsetof(s, f), .size = sizeof(((s *)0)->f[0])

static const struct plm_conf_word modes[] = { { "slow", 3 }, { "fast", 7 }, { NULL, 0 } };
static const struct plm_conf_word none[] = { { "none", 0 }, { NULL, 0 } };

static const struct plm_conf_def item_defs[] = {
	{ .key = "port",
			.type = PLM_CONF_UINT,
			FIELD(struct item, port),
			.min = 1,
			.max = 65535,
			.help = "a port" },
	{ .key = "name",
			.type = PLM_CONF_STRING,
			FIELD(struct item, name),
			.fallback = "x",
			.help = "a | name" },
	{ .key = NULL },
};

static const struct plm_conf_def tuning_defs[] = {
	{ .key = "depth",
			.type = PLM_CONF_UINT,
			FIELD(struct settings, tuning.depth),
			.max = 9,
			.fallback = "4",
			.help = "how deep" },
	{ .key = NULL },
};

static const struct plm_conf_def defs[] = {
	{ .key = "on",
			.type = PLM_CONF_BOOL,
			FIELD(struct settings, on),
			.fallback = "true",
			.help = "on" },
	{ .key = "small",
			.type = PLM_CONF_UINT,
			FIELD(struct settings, small),
			.min = 2,
			.max = 200,
			.fallback = "5",
			.help = "small" },
	{ .key = "rate",
			.type = PLM_CONF_UINT,
			FIELD(struct settings, rate),
			.min = 1,
			.max = 1000,
			.words = none,
			.fallback = "none",
			.help = "rate" },
	{ .key = "big",
			.type = PLM_CONF_UINT,
			FIELD(struct settings, big),
			.max = UINT64_C(100000000000),
			.fallback = "0",
			.help = "big" },
	{ .key = "mode",
			.type = PLM_CONF_WORD,
			FIELD(struct settings, mode),
			.words = modes,
			.fallback = "fast",
			.help = "mode" },
	{ .key = "name",
			.type = PLM_CONF_STRING,
			FIELD(struct settings, name),
			.min = 1,
			.fallback = "abc",
			.help = "name" },
	{ .key = "even",
			.type = PLM_CONF_PARSED,
			FIELD(struct settings, even),
			.parse = parse_even,
			.form = "EVEN",
			.fallback = "8",
			.help = "even" },
	{ .key = "items",
			.type = PLM_CONF_GROUP,
			LIST(struct settings, items),
			.list_min = 1,
			.list_max = 3,
			.nb_offset = offsetof(struct settings, nb_items),
			.group = item_defs,
			.help = "items" },
	{ .key = "cpus",
			.type = PLM_CONF_UINT,
			LIST(struct settings, cpus),
			.max = 7,
			.list_max = 2,
			.nb_offset = offsetof(struct settings, nb_cpus),
			.fallback = "",
			.help = "cpus" },
	{ .key = "tuning",
			.type = PLM_CONF_GROUP,
			.size = sizeof(((struct settings *)0)->tuning),
			.group = tuning_defs,
			.fallback = "",
			.help = "tuning" },
	{ .key = NULL },
};

/* A directory with a file "main" and maybe one "other"; removed with both. */
struct fixture {
	char dir[64];
	char path[96];
	char other[96];
	char why_buf[512];
	struct plm_text why;
	struct settings out;
};

static void
write_file(const char *path, const char *text)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	snprintf(f->dir, sizeof(f->dir), "/tmp/conf_test.XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/main", f->dir);
	snprintf(f->other, sizeof(f->other), "%s/other", f->dir);
	plm_text_init(&f->why, f->why_buf, sizeof(f->why_buf));
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	unlink(f->other);
	rmdir(f->dir);
	free(f);
	return 0;
}

static int
read_text(struct fixture *f, const char *text)
{
	struct plm_conf *conf = NULL;
	int ret;

	write_file(f->path, text);
	memset(&f->out, 0, sizeof(f->out));
	plm_text_init(&f->why, f->why_buf, sizeof(f->why_buf));
	ret = plm_conf_read(&conf, f->path, defs, &f->out, &f->why);
	plm_conf_free(conf);
	return ret;
}

static void
conf_read__defaults(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(read_text(f, "items = ( { port = 9; } );"), 0);
	assert_true(f->out.on);
	assert_int_equal(f->out.small, 5);
	assert_int_equal(f->out.rate, 0);
	assert_int_equal(f->out.mode, 7);
	assert_string_equal(f->out.name, "abc");
	assert_int_equal(f->out.even, 8);
	assert_int_equal(f->out.nb_items, 1);
	assert_int_equal(f->out.items[0].port, 9);
	assert_string_equal(f->out.items[0].name, "x");
	assert_int_equal(f->out.nb_cpus, 0);
	assert_int_equal(f->out.tuning.depth, 4);
}

static void
conf_read__values(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
			read_text(f,
					"on = false; small = 200; rate = 1000; big = 5000000000L;\n"
					"mode = \"slow\"; name = \"abcdefg\"; even = \"12\";\n"
					"items = ( { port = 1; }, { port = 65535; name = \"\"; } );\n"
					"cpus = [ 0, 7 ]; tuning = { depth = 9; };\n"),
			0);
	assert_false(f->out.on);
	assert_int_equal(f->out.small, 200);
	assert_int_equal(f->out.rate, 1000);
	assert_int_equal(f->out.big, UINT64_C(5000000000));
	assert_int_equal(f->out.mode, 3);
	assert_string_equal(f->out.name, "abcdefg");
	assert_int_equal(f->out.even, 12);
	assert_int_equal(f->out.nb_items, 2);
	assert_int_equal(f->out.items[1].port, 65535);
	assert_string_equal(f->out.items[1].name, "");
	assert_int_equal(f->out.nb_cpus, 2);
	assert_int_equal(f->out.cpus[1], 7);
	assert_int_equal(f->out.tuning.depth, 9);
}

/* What is wrong, and what the message must say besides the file's name. */
static const struct {
	const char *text;
	const char *says;
} wrong_cases[] = {
	{ "items = ( { port = 9; } );\nsmall = 1;",
			"main:2: small: 1 is out of range, must be 2 to 200" },
	{ "items = ( { port = 9; } );\nsmall = 201;", "main:2: small: 201 is out of range" },
	{ "items = ( { port = 9; } );\nsmall = -1;", "main:2: small: -1 is out of range" },
	{ "items = ( { port = 9; } );\nsmall = \"3\";",
			"small: \"3\" is not allowed, must be 2 to 200" },
	{ "items = ( { port = 9; } );\nsmall = 3.0;", "small: must be 2 to 200" },
	{ "items = ( { port = 9; } );\nrate = \"some\";", "1 to 1000, or \"none\"" },
	{ "items = ( { port = 9; } );\non = 1;", "on: must be true or false" },
	{ "items = ( { port = 9; } );\nmode = \"no\";", "one of \"slow\", \"fast\"" },
	{ "items = ( { port = 9; } );\nmode = 3;", "one of \"slow\", \"fast\"" },
	{ "items = ( { port = 9; } );\nname = \"\";",
			"name: must be a string of 1 to 7 characters" },
	{ "items = ( { port = 9; } );\nname = \"abcdefgh\";", "a string of 1 to 7" },
	{ "items = ( { port = 9; } );\neven = \"3\";", "main:2: even: must be even" },
	{ "items = ( { port = 9; } );\n\ntypo = 3;", "main:3: typo: unknown setting" },
	{ "items = ( { port = 9; },\n{ prot = 9; } );", "main:2: items[1].prot: unknown setting" },
	{ "items = ( { port = 9; },\n{ port = 0; } );", "items[1].port: 0 is out of range" },
	{ "items = ( { name = \"x\"; } );", "items[0].port: missing, must be 1 to 65535" },
	{ "items = ( 3 );", "items[0]: must be a group" },
	{ "items = { port = 9; };", "items: must be a list" },
	{ "items = ( );", "items: 0 entries, must be 1 to 3" },
	{ "on = true;", "items: missing, must be a list of 1 to 3" },
	{ "items = ( { port = 9; } );\ncpus = [ 1, 2, 3 ];", "cpus: 3 entries, must be 0 to 2" },
	{ "items = ( { port = 9; } );\ncpus = [ 1, 8 ];", "cpus[1]: 8 is out of range" },
	{ "items = ( { port = 9; } );\ntuning = { depth = 10; };",
			"tuning.depth: 10 is out of range" },
	{ "items = ( { port = 9; } );\ntuning = 3;", "tuning: must be a group" },
	{ "on = true;\non = false;", "main:2: duplicate setting name" },
	{ "on = true;\nsmall = ;", "main:2: syntax error" },
	{ "on = true;\n@include \"nowhere\"\n", "main:2: @include: " },
	{ "on = true;\n@include \"/etc/hosts\"\n", "main:2: @include: must be relative to " },
	/* libconfig would read 705032704 */
	{ "items = ( { port = 9; } );\nbig = 5000000000;", "main:2: 5000000000: does not fit" },
	{ "/* 5000000000 */ # 5000000000\nname = \"5000000000\";\nbig = 99999999999999999999L;",
			"main:3: 99999999999999999999: does not fit" },
};

static void
conf_read__says_what_is_wrong(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(wrong_cases) / sizeof(wrong_cases[0]); i++) {
		int ret = read_text(f, wrong_cases[i].text);

		if (ret != -EINVAL || strstr(f->why_buf, wrong_cases[i].says) == NULL)
			fail_msg("%s\ngave %d: %s", wrong_cases[i].text, ret, f->why_buf);
		assert_ptr_equal(strstr(f->why_buf, f->path), f->why_buf);
		assert_null(strchr(f->why_buf, '\n'));
	}
}

static void
conf_read__points_into_included_files(void **state)
{
	struct fixture *f = *state;

	write_file(f->other, "\nsmall = 7;\n");
	assert_int_equal(read_text(f, "@include \"other\"\nitems = ( { port = 9; } );"), 0);
	assert_int_equal(f->out.small, 7);

	write_file(f->other, "\n\nsmall = 1;\n");
	assert_int_equal(read_text(f, "@include \"other\"\nitems = ( { port = 9; } );"), -EINVAL);
	assert_non_null(strstr(f->why_buf, "other:3: small"));

	write_file(f->other, "\nbig = 5000000000;\n");
	assert_int_equal(read_text(f, "@include \"other\"\nitems = ( { port = 9; } );"), -EINVAL);
	assert_non_null(strstr(f->why_buf, "other:2: 5000000000"));
}

static void
conf_read__survives_an_include_of_itself(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(read_text(f, "@include \"main\"\n"), -EINVAL);
	assert_non_null(strstr(f->why_buf, "nesting too deep"));
}

static void
conf_read__unreadable(void **state)
{
	struct fixture *f = *state;
	struct plm_conf *conf;

	assert_int_equal(plm_conf_read(&conf, f->path, defs, &f->out, &f->why), -ENOENT);
	assert_non_null(strstr(f->why_buf, "cannot be read"));
	plm_text_init(&f->why, f->why_buf, sizeof(f->why_buf));
	assert_int_equal(plm_conf_read(&conf, f->dir, defs, &f->out, &f->why), -EINVAL);
	assert_non_null(strstr(f->why_buf, "not a regular file"));
}

static void
conf_where__finds_the_nearest_line(void **state)
{
	static const struct {
		const char *key;
		const char *says;
	} cases[] = {
		{ "items[1].port", "main:3: items[1].port: " },
		{ "items[1].name", "main:3: items[1].name: " }, /* absent: its group's line */
		{ "small", "main: small: " },
	};
	struct fixture *f = *state;
	struct plm_conf *conf;

	write_file(f->path, "on = true;\nitems = ( { port = 9; },\n{ port = 10; } );");
	assert_int_equal(plm_conf_read(&conf, f->path, defs, &f->out, &f->why), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		plm_text_init(&f->why, f->why_buf, sizeof(f->why_buf));
		plm_conf_where(conf, cases[i].key, &f->why);
		assert_non_null(strstr(f->why_buf, cases[i].says));
	}
	plm_conf_free(conf);
}

static void
conf_defaults__fill_a_group(void **state)
{
	struct settings out = { .tuning.depth = 0 };

	assert_int_equal(plm_conf_defaults(tuning_defs, &out), 0);
	assert_int_equal(out.tuning.depth, 4);
	assert_int_equal(plm_conf_defaults(defs, &out), -EINVAL);
}

static void
conf_reference__has_every_setting(void **state)
{
	char buf[8192];
	struct plm_text text;

	plm_text_init(&text, buf, sizeof(buf));
	plm_conf_reference(defs, &text);
	assert_false(text.cut);
	for (const struct plm_conf_def *d = defs; d->key != NULL; d++)
		assert_non_null(strstr(buf, d->key));
	assert_non_null(strstr(buf,
			"| `items[].name` | a string of 0 to 7 characters | `\"x\"` | a \\| name |"));
	assert_non_null(strstr(buf, "| `small` | 2 to 200 | `5` | small |"));
	assert_non_null(strstr(buf, "| `rate` | 1 to 1000, or \"none\" | `\"none\"` | rate |"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(conf_read__defaults, setup, teardown),
		cmocka_unit_test_setup_teardown(conf_read__values, setup, teardown),
		cmocka_unit_test_setup_teardown(conf_read__says_what_is_wrong, setup, teardown),
		cmocka_unit_test_setup_teardown(conf_read__points_into_included_files, setup,
				teardown),
		cmocka_unit_test_setup_teardown(conf_read__survives_an_include_of_itself, setup,
				teardown),
		cmocka_unit_test_setup_teardown(conf_read__unreadable, setup, teardown),
		cmocka_unit_test_setup_teardown(conf_where__finds_the_nearest_line, setup,
				teardown),
		cmocka_unit_test(conf_defaults__fill_a_group),
		cmocka_unit_test(conf_reference__has_every_setting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

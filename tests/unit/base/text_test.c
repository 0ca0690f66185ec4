/* SPDX-License-Identifier: BSD-3-Clause */
/* Bounded text, names, the byte cursor and handles. */
#include "plm_base.h"
#include "test_eal.h"

static void
text__cuts_what_does_not_fit(void **state)
{
	struct plm_text text;
	char buf[8];

	plm_text_init(&text, buf, sizeof(buf));
	assert_string_equal(buf, "");
	plm_text_add(&text, "%d-%s", 12, "ab");
	assert_string_equal(buf, "12-ab");
	assert_int_equal(text.len, 5);
	assert_false(text.cut);
	plm_text_add(&text, "cd");
	assert_string_equal(buf, "12-abcd");
	assert_false(text.cut);
	plm_text_add(&text, "e");
	assert_string_equal(buf, "12-abcd");
	assert_true(text.cut);
	assert_int_equal(text.len, 7);
	plm_text_add(&text, "%s", "");
	assert_int_equal(text.len, 7);
}

static void
text__one_byte_holds_the_end_alone(void **state)
{
	struct plm_text text;
	char buf[1] = { 'x' };

	plm_text_init(&text, buf, sizeof(buf));
	plm_text_add(&text, "abc");
	assert_string_equal(buf, "");
	assert_true(text.cut);
}

static const struct {
	const char *name;
	bool want;
} names[] = {
	{ "", false },
	{ "a", true },
	{ "Room-1.b_Z", true },
	{ "..", true },
	{ "a b", false },
	{ "a:b", false },
	{ "a/b", false },
	{ "caf\xc3\xa9", false },
	{ "123456789012345678901234567890123456789012345678901234567890123", true },
	{ "1234567890123456789012345678901234567890123456789012345678901234", false },
};

static void
name__has_its_alphabet_and_length(void **state)
{
	for (size_t i = 0; i < RTE_DIM(names); i++)
		assert_int_equal(plm_name_valid(names[i].name, strlen(names[i].name)),
				names[i].want);
	assert_false(plm_name_valid("a\0b", 3));
}

static void
cursor__takes_big_endian(void **state)
{
	static const uint8_t bytes[] = { 1, 2, 3, 0xff, 5, 6, 7, 8, 9 };
	struct plm_cursor c = plm_cursor(bytes, sizeof(bytes));

	assert_int_equal(plm_cursor_left(&c), 9);
	assert_int_equal(plm_cursor_u8(&c), 1);
	assert_int_equal(plm_cursor_be16(&c), 0x0203);
	assert_int_equal(plm_cursor_be32(&c), 0xff050607);
	assert_ptr_equal(plm_cursor_bytes(&c, 2), bytes + 7);
	assert_int_equal(plm_cursor_left(&c), 0);
}

static void
handle__differs_by_generation(void **state)
{
	struct plm_handle a = { 5, 1 };

	assert_true(plm_handle_eq(a, (struct plm_handle){ 5, 1 }));
	assert_false(plm_handle_eq(a, (struct plm_handle){ 5, 2 }));
	assert_false(plm_handle_eq(a, (struct plm_handle){ 4, 1 }));
	assert_false(plm_handle_eq(a, PLM_HANDLE_NONE));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text__cuts_what_does_not_fit),
		cmocka_unit_test(text__one_byte_holds_the_end_alone),
		cmocka_unit_test(name__has_its_alphabet_and_length),
		cmocka_unit_test(cursor__takes_big_endian),
		cmocka_unit_test(handle__differs_by_generation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The counter table: every counter has a name of its own and a class with one. */
#include "plm_stats.h"
#include "test_eal.h"

static void
counter__adds_to_itself_alone(void **state)
{
	static struct plm_counters counters;

	plm_count(&counters, PLM_CNT_MEDIA);
	plm_count_add(&counters, PLM_CNT_MEDIA, 41);
	for (unsigned int i = 0; i < PLM_CNT_MAX; i++)
		assert_int_equal(plm_counter_get(&counters, i), i == PLM_CNT_MEDIA ? 42 : 0);
}

static void
counter_defs__are_complete_and_distinct(void **state)
{
	for (unsigned int i = 0; i < PLM_CNT_MAX; i++) {
		const struct plm_counter_def *def = &plm_counter_defs[i];

		assert_true(def->name[0] != '\0');
		assert_int_equal(strspn(def->name, "abcdefghijklmnopqrstuvwxyz0123456789_"),
				strlen(def->name));
		assert_true(def->help[0] != '\0');
		assert_non_null(plm_counter_class_name(def->class));
		for (unsigned int k = 0; k < i; k++)
			assert_string_not_equal(def->name, plm_counter_defs[k].name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counter__adds_to_itself_alone),
		cmocka_unit_test(counter_defs__are_complete_and_distinct),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "load.h"
#include "test_eal.h"

#define S PLM_NS_PER_S

static const struct {
	const char *name;
	uint64_t rate, taken, at_ns, due;
} cases[] = {
	{ "before the start", 1000, 0, 999, 0 },
	{ "at the start nothing has begun", 1000, 0, 1000, 0 },
	{ "the first at once", 1000, 0, 1001, 1 },
	{ "not before its time", 1000, 1, 1000 + S / 1000, 0 },
	{ "the second", 1000, 1, 1001 + S / 1000, 1 },
	{ "what a pause left is owed", 1000, 1, 1000 + S / 2, 499 },
	{ "a rate that divides no second", 3, 0, 1000 + S, 3 },
	{ "faster than the clock ticks", 3000000000, 0, 1010, 30 },
	{ "nothing beyond the end", 1000, 0, 1000 + 7 * S, 2000 },
	{ "all taken", 1000, 2000, 1000 + 7 * S, 0 },
	{ "flat out", 0, 5, 1001, UINT64_MAX },
	{ "flat out has an end", 0, 5, 1000 + 2 * S, 0 },
};

static void
pace_due__follows_the_schedule(void **state)
{
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct load_pace pace = { .start_ns = 1000,
			.end_ns = 1000 + 2 * S,
			.rate = cases[i].rate,
			.n = cases[i].taken };
		uint64_t due = load_pace_due(&pace, cases[i].at_ns);

		if (due != cases[i].due)
			fail_msg("%s: %lu due, not %lu", cases[i].name, due, cases[i].due);
	}
}

/* Open loop: each packet's time is its own, also an hour later and at any rate. */
static void
pace_at__never_drifts(void **state)
{
	static const uint64_t rates[] = { 1, 3, 7, 999983, 14880952, 999999999 };

	for (size_t i = 0; i < RTE_DIM(rates); i++) {
		struct load_pace pace = { .start_ns = 5, .end_ns = 5 + 3600 * S, .rate = rates[i] };

		assert_int_equal(load_pace_at(&pace, 0), 5);
		assert_int_equal(load_pace_at(&pace, 3600 * rates[i]), 5 + 3600 * S);
		assert_int_equal(load_pace_total(&pace), 3600 * rates[i]);
		for (uint64_t k = 1; k < 1000; k++)
			assert_true(load_pace_at(&pace, k) >= load_pace_at(&pace, k - 1));
		pace.n = 3600 * rates[i];
		assert_int_equal(load_pace_due(&pace, 5 + 3600 * S), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pace_due__follows_the_schedule),
		cmocka_unit_test(pace_at__never_drifts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "load.h"
#include "test_eal.h"

/* A device that passes up to `can`, and is disturbed on every trial above `noisy_above`. */
static const struct {
	const char *name;
	uint64_t ceiling, can, noisy_above;
	unsigned int trials;
	double precision;
	uint64_t least, most; /* that may be found */
	unsigned int repeated;
} cases[] = {
	{ "passes its ceiling", 1000, 5000, UINT64_MAX, 3, 0.01, 1000, 1000, 0 },
	{ "in the middle", 1000000, 613579, UINT64_MAX, 3, 0.01, 607000, 613579, 0 },
	{ "exactly", 1000000, 613579, UINT64_MAX, 1, 0, 613579, 613579, 0 },
	{ "almost nothing", 1000, 1, UINT64_MAX, 2, 0, 1, 1, 0 },
	{ "nothing at all", 1000, 0, UINT64_MAX, 2, 0, 0, 0, 0 },
	{ "no ceiling", 0, 0, UINT64_MAX, 2, 0, 0, 0, 0 },
	{ "repeats come to an end", 1000, 100, 0, 1, 0, 100, 100, LOAD_REPEATS_MAX },
	{ "noise that loses nothing", 1000, 1000, 0, 3, 0.01, 1000, 1000, 0 },
};

static void
search__finds_what_the_device_can(void **state)
{
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct load_search s;
		unsigned int n = 0;

		load_search_init(&s, cases[i].ceiling, cases[i].trials, cases[i].precision);
		for (; !s.over && n < 1000; n++) {
			enum load_verdict v = LOAD_PASSED;

			assert_in_range(s.rate, 1, cases[i].ceiling);
			if (s.rate > cases[i].can)
				v = s.rate > cases[i].noisy_above ? LOAD_DISTURBED : LOAD_FAILED;
			load_search_tell(&s, v);
		}
		if (!s.over || s.good < cases[i].least || s.good > cases[i].most ||
				s.nb_repeated != cases[i].repeated)
			fail_msg("%s: found %lu after %u trials, %u repeated", cases[i].name,
					s.good, n, s.nb_repeated);
	}
}

static void
search__wants_every_trial_of_a_rate(void **state)
{
	struct load_search s;

	load_search_init(&s, 1000, 3, 0);
	load_search_tell(&s, LOAD_PASSED);
	load_search_tell(&s, LOAD_PASSED);
	assert_int_equal(s.rate, 1000);
	assert_int_equal(s.good, 0);
	load_search_tell(&s, LOAD_FAILED);
	assert_int_equal(s.rate, 500);
	load_search_tell(&s, LOAD_PASSED);
	load_search_tell(&s, LOAD_DISTURBED);
	assert_int_equal(s.rate, 500);
	load_search_tell(&s, LOAD_PASSED);
	load_search_tell(&s, LOAD_PASSED);
	assert_int_equal(s.good, 500);
	assert_int_equal(s.rate, 750);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(search__finds_what_the_device_can),
		cmocka_unit_test(search__wants_every_trial_of_a_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

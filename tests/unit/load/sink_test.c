/* SPDX-License-Identifier: BSD-3-Clause */
#include "load.h"
#include "test_eal.h"

static const struct {
	const char *name;
	uint64_t seq[8];
	unsigned int nb;
	uint64_t unique;
	uint32_t reordered, duplicates, late;
} cases[] = {
	{ "in order", { 0, 1, 2, 3 }, 4, 4, 0, 0, 0 },
	{ "first ones lost", { 5, 6 }, 2, 2, 0, 0, 0 },
	{ "one lost", { 0, 2, 3 }, 3, 3, 0, 0, 0 },
	{ "swapped", { 0, 2, 1, 3 }, 4, 4, 1, 0, 0 },
	{ "twice", { 0, 1, 1, 2 }, 4, 3, 0, 1, 0 },
	{ "the first again, later", { 0, 1, 2, 0 }, 4, 3, 0, 1, 0 },
	{ "a late one twice", { 0, 3, 1, 1 }, 4, 3, 1, 1, 0 },
	{ "the window's last", { LOAD_WINDOW, 1 }, 2, 2, 1, 0, 0 },
	{ "behind the window", { LOAD_WINDOW, 0 }, 2, 1, 0, 0, 1 },
	{ "the window is used again", { 0, LOAD_WINDOW, 1 }, 3, 3, 1, 0, 0 },
	{ "a gap of more than a window", { 0, 1, 2 + 3 * LOAD_WINDOW, 1 + 3 * LOAD_WINDOW }, 4, 4,
			1, 0, 0 },
	{ "a gap of some words", { 0, 1, 130, 100, 66 }, 5, 5, 2, 0, 0 },
};

static void
pair_take__accounts_for_each_packet(void **state)
{
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct load_pair pair = { 0 };
		uint64_t taken = 0;

		for (unsigned int n = 0; n < cases[i].nb; n++)
			taken += load_pair_take(&pair, cases[i].seq[n]);
		if (taken != cases[i].unique || pair.unique != cases[i].unique ||
				pair.reordered != cases[i].reordered ||
				pair.duplicates != cases[i].duplicates ||
				pair.late != cases[i].late)
			fail_msg("%s: unique %lu reordered %u duplicates %u late %u", cases[i].name,
					pair.unique, pair.reordered, pair.duplicates, pair.late);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pair_take__accounts_for_each_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The lists of barred and of spent credentials, against a plain model. */
#include <errno.h>

#include "admit_priv.h"
#include "test_eal.h"

#define MAX   64
#define NAMES 200

static void
bars__agree_with_a_model(void **state)
{
	struct admit_bars bars;
	uint64_t until[NAMES] = { 0 }; /* 0: not barred */
	uint64_t wall_s = 1000;
	uint32_t seed = 7;
	unsigned int full = 0;

	assert_int_equal(admit_bars_init(&bars, MAX), 0);
	for (unsigned int i = 0; i < 100000; i++) {
		unsigned int who;
		unsigned int nb = 0;

		seed = seed * 1664525 + 1013904223;
		who = (seed >> 8) % NAMES;
		for (unsigned int n = 0; n < NAMES; n++)
			nb += until[n] > wall_s;
		if (until[who] <= wall_s) {
			uint64_t expiry_s = wall_s + 1 + (seed >> 20) % 50;
			/* Few distinct low bits, so that probe sequences are long. */
			int ret = admit_bars_add(&bars, (who + 1) << 4, expiry_s, wall_s);

			/* A bar that has expired but was not swept yet may stand for the new one. */
			assert_int_equal(ret, ret == 0 ? 0 : -ENOSPC);
			if (ret == 0)
				until[who] = expiry_s;
			else
				assert_int_equal(nb, MAX);
			full += ret < 0;
		}
		if (i % 3 == 0) {
			wall_s++;
			for (unsigned int n = 0; n < 64; n++)
				admit_bars_sweep(&bars, wall_s);
		}
		for (unsigned int n = 0; n < NAMES; n++)
			if (admit_bars_has(&bars, (n + 1) << 4) != (until[n] > wall_s))
				fail_msg("step %u, name %u", i, n);
	}
	assert_true(full > 0 || bars.nb < MAX);
	admit_bars_fini(&bars);
}

static void
bars__make_room_by_forgetting_the_expired(void **state)
{
	struct admit_bars bars;

	assert_int_equal(admit_bars_init(&bars, 4), 0);
	for (uint64_t i = 1; i <= 4; i++)
		assert_int_equal(admit_bars_add(&bars, i, 100 + i, 50), 0);
	assert_int_equal(admit_bars_add(&bars, 5, 200, 50), -ENOSPC);
	assert_int_equal(admit_bars_add(&bars, 5, 200, 102), 0);
	assert_false(admit_bars_has(&bars, 1) || admit_bars_has(&bars, 2));
	assert_true(admit_bars_has(&bars, 3) && admit_bars_has(&bars, 4) &&
			admit_bars_has(&bars, 5));
	admit_bars_fini(&bars);
}

static void
spent__forgets_the_earliest_to_expire_first(void **state)
{
	struct admit_spent spent;
	struct admit_tids tids = { .tids = { 7 }, .pos = 1 };

	assert_int_equal(admit_spent_init(&spent, 1), 0); /* one set of four */
	for (uint64_t i = 1; i <= 4; i++)
		admit_spent_add(&spent, i, 100 * i, &tids);
	admit_spent_add(&spent, 5, 250, &tids);
	assert_null(admit_spent_find(&spent, 1));
	for (uint64_t i = 2; i <= 5; i++)
		assert_non_null(admit_spent_find(&spent, i));
	admit_spent_fini(&spent);
}

static void
spent__keeps_the_latest_requests(void **state)
{
	struct admit_spent spent;
	struct admit_tids tids = { 0 };
	const struct admit_used *used;

	assert_int_equal(admit_spent_init(&spent, 1), 0);
	admit_tid_remember(&tids, 11);
	admit_spent_add(&spent, 1, 100, &tids);
	admit_spent_add(&spent, 2, 50, &tids); /* would be the one to go */
	for (uint32_t i = 0; i < ADMIT_TIDS; i++)
		admit_tid_remember(&tids, 100 + i);
	admit_spent_add(&spent, 1, 100, &tids);
	used = admit_spent_find(&spent, 1);
	assert_non_null(used);
	assert_false(admit_tid_seen(&used->tids, 11));
	assert_true(admit_tid_seen(&used->tids, 100));
	assert_true(admit_tid_seen(&used->tids, 99 + ADMIT_TIDS));
	used = admit_spent_find(&spent, 2);
	assert_non_null(used);
	assert_true(admit_tid_seen(&used->tids, 11));
	assert_false(admit_tid_seen(&used->tids, 100));
	admit_spent_fini(&spent);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bars__agree_with_a_model),
		cmocka_unit_test(bars__make_room_by_forgetting_the_expired),
		cmocka_unit_test(spent__forgets_the_earliest_to_expire_first),
		cmocka_unit_test(spent__keeps_the_latest_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Deadlines on a wheel, against a list that is searched. */
#include <string.h>

#include <rte_common.h>

#include "plm_wheel.h"
#include "test_eal.h"

#define TICK_NS  PLM_NS_PER_MS
#define ROUND_NS (PLM_WHEEL_SIZE * TICK_NS)
#define START_NS (1000 * PLM_NS_PER_S + 123456)
#define ENTRIES  64

struct fixture {
	struct plm_wheel wheel;
	struct plm_wheel_entry entries[ENTRIES];
};

static int
setup(void **state)
{
	static struct fixture fx;

	memset(&fx, 0, sizeof(fx));
	plm_wheel_init(&fx.wheel, fx.entries, TICK_NS, START_NS);
	*state = &fx;
	return 0;
}

/* When an entry comes, looked for every tick, 1 ms at most after that; 0: not by `until_ns`. */
static uint64_t
comes(struct fixture *fx, uint32_t idx, uint64_t from_ns, uint64_t until_ns)
{
	for (uint64_t now_ns = from_ns; now_ns <= until_ns; now_ns += TICK_NS)
		for (uint32_t got; (got = plm_wheel_next(&fx->wheel, now_ns)) != PLM_WHEEL_NONE;)
			if (got == idx)
				return now_ns;
	return 0;
}

static const struct {
	const char *name;
	uint64_t after_ns;
} due_cases[] = {
	{ "at once", 0 },
	{ "a nanosecond", 1 },
	{ "a tick", TICK_NS },
	{ "five ticks and a half", 5 * TICK_NS + TICK_NS / 2 },
	{ "all but a round", ROUND_NS - 3 * TICK_NS },
};

static void
wheel__looks_at_most_two_ticks_late_and_never_early(void **state)
{
	for (size_t i = 0; i < RTE_DIM(due_cases); i++) {
		struct fixture *fx;
		uint64_t due_ns = START_NS + due_cases[i].after_ns;
		uint64_t got_ns;

		setup((void **)&fx);
		print_message("%s\n", due_cases[i].name);
		plm_wheel_arm(&fx->wheel, 7, due_ns);
		assert_true(plm_wheel_armed_ns(&fx->wheel, 7) <= due_ns + 2 * TICK_NS);
		got_ns = comes(fx, 7, START_NS, START_NS + 2 * ROUND_NS);
		assert_in_range(got_ns, due_ns, due_ns + 2 * TICK_NS);
		assert_int_equal(plm_wheel_armed_ns(&fx->wheel, 7), UINT64_MAX);
		assert_int_equal(comes(fx, 7, got_ns, got_ns + 2 * ROUND_NS), 0);
	}
}

static void
wheel__is_overdue_at_once_for_what_is_past(void **state)
{
	struct fixture *fx = *state;

	assert_int_equal(comes(fx, 3, START_NS, START_NS + 100 * TICK_NS), 0);
	plm_wheel_arm(&fx->wheel, 3, START_NS - PLM_NS_PER_S);
	assert_in_range(comes(fx, 3, START_NS + 100 * TICK_NS, START_NS + ROUND_NS),
			START_NS + 100 * TICK_NS, START_NS + 103 * TICK_NS);
	plm_wheel_arm(&fx->wheel, 3, 0);
	assert_true(comes(fx, 3, START_NS + 103 * TICK_NS, START_NS + 106 * TICK_NS) > 0);
}

static void
arm__earlier_wins_and_later_is_found_out_by_looking(void **state)
{
	struct fixture *fx = *state;
	uint64_t at_ns;

	plm_wheel_arm(&fx->wheel, 1, START_NS + 100 * TICK_NS);
	plm_wheel_arm(&fx->wheel, 1, START_NS + 20 * TICK_NS);
	plm_wheel_arm(&fx->wheel, 1, START_NS + 50 * TICK_NS);
	at_ns = comes(fx, 1, START_NS, START_NS + ROUND_NS);
	assert_in_range(at_ns, START_NS + 20 * TICK_NS, START_NS + 22 * TICK_NS);
	/* Once, and not again where it was first. */
	assert_int_equal(comes(fx, 1, at_ns, at_ns + ROUND_NS), 0);
}

static void
arm__far_away_is_looked_at_within_a_round(void **state)
{
	struct fixture *fx = *state;
	uint64_t at_ns;

	plm_wheel_arm(&fx->wheel, 1, START_NS + 10 * ROUND_NS);
	at_ns = comes(fx, 1, START_NS, START_NS + 20 * ROUND_NS);
	assert_in_range(at_ns, START_NS + ROUND_NS - 3 * TICK_NS, START_NS + ROUND_NS);
	plm_wheel_arm(&fx->wheel, 1, UINT64_MAX);
	assert_in_range(comes(fx, 1, at_ns, at_ns + 2 * ROUND_NS), at_ns, at_ns + ROUND_NS);
}

static void
disarm__takes_one_out_wherever_it_stands(void **state)
{
	for (uint32_t out = 0; out < 3; out++) {
		struct fixture *fx;
		bool got[3] = { false };

		setup((void **)&fx);
		for (uint32_t i = 0; i < 3; i++)
			plm_wheel_arm(&fx->wheel, i, START_NS + 5 * TICK_NS);
		plm_wheel_disarm(&fx->wheel, out);
		plm_wheel_disarm(&fx->wheel, out);
		plm_wheel_disarm(&fx->wheel, 10); /* was never armed */
		for (uint32_t idx; (idx = plm_wheel_next(&fx->wheel, START_NS + 10 * TICK_NS)) !=
				PLM_WHEEL_NONE;)
			got[idx] = true;
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(got[i], i != out);
	}
}

static void
next__after_a_long_pause_meets_everybody_once(void **state)
{
	static const uint64_t pauses_ns[] = { ROUND_NS - TICK_NS, ROUND_NS, ROUND_NS + TICK_NS,
		100 * ROUND_NS, 3600 * PLM_NS_PER_S };

	for (size_t p = 0; p < RTE_DIM(pauses_ns); p++) {
		struct fixture *fx;
		unsigned int got[ENTRIES] = { 0 };

		setup((void **)&fx);
		for (uint32_t i = 0; i < ENTRIES; i++)
			plm_wheel_arm(&fx->wheel, i, START_NS + i * ROUND_NS / ENTRIES);
		for (uint32_t idx; (idx = plm_wheel_next(&fx->wheel, START_NS + pauses_ns[p])) !=
				PLM_WHEEL_NONE;)
			got[idx]++;
		for (uint32_t i = 0; i < ENTRIES; i++)
			assert_int_equal(got[i], 1);
		/* And goes on as ever from there. */
		plm_wheel_arm(&fx->wheel, 5, START_NS + pauses_ns[p] + 9 * TICK_NS);
		assert_true(comes(fx, 5, START_NS + pauses_ns[p],
					    START_NS + pauses_ns[p] + 8 * TICK_NS) == 0);
		assert_true(comes(fx, 5, START_NS + pauses_ns[p] + 9 * TICK_NS,
					    START_NS + pauses_ns[p] + 11 * TICK_NS) > 0);
	}
}

static void
due__is_when_a_call_may_find_something(void **state)
{
	struct fixture *fx = *state;
	uint64_t now_ns = START_NS;

	plm_wheel_arm(&fx->wheel, 2, START_NS + 30 * TICK_NS);
	for (unsigned int i = 0; i < 100; i++, now_ns += TICK_NS / 3) {
		if (now_ns < plm_wheel_due(&fx->wheel)) {
			assert_int_equal(plm_wheel_next(&fx->wheel, now_ns), PLM_WHEEL_NONE);
			continue;
		}
		if (plm_wheel_next(&fx->wheel, now_ns) == 2)
			break;
		assert_true(plm_wheel_due(&fx->wheel) > now_ns);
		assert_true(plm_wheel_due(&fx->wheel) <= now_ns + TICK_NS);
	}
	assert_in_range(now_ns, START_NS + 30 * TICK_NS, START_NS + 33 * TICK_NS);
}

static uint64_t
draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed >> 11;
}

/* Of many that move on, none is missed by more than two ticks, and each look is paid for by one arming. */
static void
wheel__never_forgets_one_of_many(void **state)
{
	struct fixture *fx = *state;
	uint64_t due_ns[ENTRIES] = { 0 };
	uint64_t seed = 88172645463325252, now_ns = START_NS;
	uint64_t nb_armed = 0, nb_looks = 0;

	for (unsigned int turn = 0; turn < 200000; turn++) {
		uint32_t idx = (uint32_t)(draw(&seed) % ENTRIES);
		uint64_t span_ns = draw(&seed) % 8 ? 50 * TICK_NS : 3 * ROUND_NS;

		now_ns += draw(&seed) % (2 * TICK_NS);
		if (draw(&seed) % 20000 == 0)
			now_ns += draw(&seed) % (2 * ROUND_NS);
		/* Whoever is armed again for later stays where it is. */
		while ((idx = plm_wheel_next(&fx->wheel, now_ns)) != PLM_WHEEL_NONE) {
			nb_looks++;
			if (now_ns >= due_ns[idx]) {
				due_ns[idx] = 0;
			} else {
				plm_wheel_arm(&fx->wheel, idx, due_ns[idx]);
				nb_armed++;
			}
		}
		for (uint32_t i = 0; i < ENTRIES; i++)
			assert_true(due_ns[i] == 0 || due_ns[i] + 2 * TICK_NS > now_ns);
		idx = (uint32_t)(draw(&seed) % ENTRIES);
		if (draw(&seed) % 16 == 0) {
			plm_wheel_disarm(&fx->wheel, idx);
			due_ns[idx] = 0;
		} else {
			due_ns[idx] = now_ns + draw(&seed) % span_ns;
			plm_wheel_arm(&fx->wheel, idx, due_ns[idx]);
			nb_armed++;
		}
	}
	assert_true(nb_looks <= nb_armed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wheel__looks_at_most_two_ticks_late_and_never_early),
		cmocka_unit_test_setup(wheel__is_overdue_at_once_for_what_is_past, setup),
		cmocka_unit_test_setup(arm__earlier_wins_and_later_is_found_out_by_looking, setup),
		cmocka_unit_test_setup(arm__far_away_is_looked_at_within_a_round, setup),
		cmocka_unit_test(disarm__takes_one_out_wherever_it_stands),
		cmocka_unit_test(next__after_a_long_pause_meets_everybody_once),
		cmocka_unit_test_setup(due__is_when_a_call_may_find_something, setup),
		cmocka_unit_test_setup(wheel__never_forgets_one_of_many, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The poll loop on a clock of the test: what counts as busy, when it rests, and that a resting
 * worker never holds up a grace period. One test runs it in a thread of its own.
 */
#include <pthread.h>
#include <sched.h>

#include "plm_lcore.h"
#include "test_eal.h"

#define TEST_TURNS_MAX 64

/* A turn that does what its script says and takes 1000 ns for it; 100 ns when idle. */
struct fixture {
	struct plm_lcore lcore;
	struct plm_rcu rcu;
	uint64_t now_ns;
	uint64_t nb_reads;
	uint64_t turn_now[TEST_TURNS_MAX];
	unsigned int nb_turns;
	const char *script; /* 'w' works, 'i' is idle; stops at the end */
};

static uint64_t
fake_now(void *ctx)
{
	struct fixture *f = ctx;

	f->nb_reads++;
	return f->now_ns;
}

static unsigned int
fake_turn(void *ctx, uint64_t now_ns)
{
	struct fixture *f = ctx;
	bool works = f->script[f->nb_turns] == 'w';

	f->turn_now[f->nb_turns++] = now_ns;
	f->now_ns += works ? 1000 : 100;
	if (f->script[f->nb_turns] == '\0')
		plm_lcore_stop(&f->lcore);
	return works ? 3 : 0;
}

static void
fixture_init(struct fixture *f, const char *script, enum plm_idle idle)
{
	memset(f, 0, sizeof(*f));
	f->now_ns = 5000;
	f->script = script;
	f->lcore.turn = fake_turn;
	f->lcore.ctx = f;
	f->lcore.clock = (struct plm_clock){ fake_now, f };
	f->lcore.idle = idle;
	f->lcore.idle_turns = 2;
	f->lcore.sleep_us = 1;
	assert_int_equal(plm_rcu_init(&f->rcu, 2, 0), 0);
	f->lcore.rcu = &f->rcu;
	f->lcore.worker = 1;
}

static void
lcore_loop__accounts_for_its_time(void **state)
{
	static const struct {
		const char *script;
		enum plm_idle idle;
		uint64_t busy_ns;
		uint64_t total_ns;
	} cases[] = {
		{ "w", PLM_IDLE_BUSY, 1000, 1000 },
		{ "i", PLM_IDLE_BUSY, 0, 100 },
		{ "wiwwi", PLM_IDLE_BUSY, 3000, 3200 },
		{ "iiiiiiiiw", PLM_IDLE_BUSY, 1000, 1800 },
		{ "iiiiiiiiw", PLM_IDLE_SLEEP, 1000, 1800 },
		{ "iiiiiiiiw", PLM_IDLE_MONITOR, 1000, 1800 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture f;
		size_t n = strlen(cases[i].script);

		fixture_init(&f, cases[i].script, cases[i].idle);
		plm_lcore_loop(&f.lcore);
		assert_int_equal(f.nb_turns, n);
		assert_int_equal(atomic_load(&f.lcore.nb_turns), n);
		assert_int_equal(atomic_load(&f.lcore.busy_ns), cases[i].busy_ns);
		assert_int_equal(atomic_load(&f.lcore.total_ns), cases[i].total_ns);
		assert_false(atomic_load(&f.lcore.running));
		/* One read a turn and one to begin with; each turn is told its own start. */
		assert_int_equal(f.nb_reads, n + 1);
		assert_int_equal(f.turn_now[0], 5000);
		plm_rcu_fini(&f.rcu);
	}
}

static void
lcore_loop__leaves_the_worker_offline(void **state)
{
	struct fixture f;
	uint64_t token;

	fixture_init(&f, "wi", PLM_IDLE_BUSY);
	plm_lcore_loop(&f.lcore);
	token = plm_rcu_start(&f.rcu);
	assert_true(plm_rcu_over(&f.rcu, token));
	plm_rcu_fini(&f.rcu);
}

static void
rcu__waits_for_online_workers_only(void **state)
{
	struct plm_rcu rcu;
	uint64_t token;

	assert_int_equal(plm_rcu_init(&rcu, 3, 0), 0);
	plm_rcu_online(&rcu, 0);
	plm_rcu_online(&rcu, 2);
	token = plm_rcu_start(&rcu);
	assert_false(plm_rcu_over(&rcu, token));
	plm_rcu_quiescent(&rcu, 0);
	assert_false(plm_rcu_over(&rcu, token));
	plm_rcu_offline(&rcu, 2);
	assert_true(plm_rcu_over(&rcu, token));
	plm_rcu_fini(&rcu);
	plm_rcu_fini(&rcu);
}

/* An idle worker that reports nothing by itself: only its rest can end a grace period. */
static unsigned int
idle_turn(void *ctx, uint64_t now_ns)
{
	return 0;
}

static uint64_t
counting_now(void *ctx)
{
	static _Atomic uint64_t now = 1;

	return atomic_fetch_add(&now, 50);
}

static void *
loop_main(void *arg)
{
	plm_lcore_loop(arg);
	return NULL;
}

static void
lcore_loop__grace_periods_pass_while_it_sleeps(void **state)
{
	struct plm_rcu rcu;
	struct plm_lcore lcore = { .turn = idle_turn,
		.clock = { counting_now, NULL },
		.rcu = &rcu,
		.idle = PLM_IDLE_SLEEP,
		.idle_turns = 4,
		.sleep_us = 200 };
	pthread_t thread;
	uint64_t beats;

	assert_int_equal(plm_rcu_init(&rcu, 1, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, loop_main, &lcore), 0);
	while (atomic_load(&lcore.nb_turns) == 0)
		sched_yield();
	assert_true(atomic_load(&lcore.running));
	for (int i = 0; i < 20; i++) {
		uint64_t token = plm_rcu_start(&rcu);

		while (!plm_rcu_over(&rcu, token))
			sched_yield();
	}
	/* The heart beats on while it sleeps between turns. */
	beats = atomic_load(&lcore.nb_turns);
	while (atomic_load(&lcore.nb_turns) < beats + 3)
		sched_yield();
	plm_lcore_stop(&lcore);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(atomic_load(&lcore.running));
	assert_int_equal(atomic_load(&lcore.busy_ns), 0);
	assert_true(atomic_load(&lcore.total_ns) > 0);
	plm_rcu_fini(&rcu);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lcore_loop__accounts_for_its_time),
		cmocka_unit_test(lcore_loop__leaves_the_worker_offline),
		cmocka_unit_test(rcu__waits_for_online_workers_only),
		cmocka_unit_test(lcore_loop__grace_periods_pass_while_it_sleeps),
	};

	test_eal_init(64);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

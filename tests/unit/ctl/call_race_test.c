/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many callers with little patience against a slow path in a thread of its own: every answer is to
 * the question that was asked, whoever gives up gets none, and every slot comes back. Meant for the
 * thread sanitizer as well.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include "fixture.h"

#define SLOTS   8  /* CTL_CALLS */
#define CALLERS 12 /* more than that */
#define CALLS   150

struct caller {
	pthread_t thread;
	unsigned int id;
	unsigned int nb_answered;
	unsigned int nb_late;
	unsigned int nb_busy;
	unsigned int nb_bad;
	char text[PLM_CALL_TEXT];
};

struct question {
	uint32_t caller;
	uint32_t serial;
	uint8_t rest[200];
};

static struct fx fx;
static _Atomic bool stop;

static uint64_t
real_now(void *ctx)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * PLM_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static int
answer(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	static const struct timespec pause = { 0, 2 * PLM_NS_PER_MS };
	const struct question *q = arg;

	for (size_t i = 0; i < sizeof(q->rest); i++)
		if (q->rest[i] != (uint8_t)q->serial)
			return -EIO;
	/* Some answers take longer than their callers wait. */
	if (q->serial % 8 == 0)
		nanosleep(&pause, NULL);
	plm_text_add(out, "%u %u", q->caller, q->serial);
	*cursor = q->serial;
	return (int)(q->serial % 100);
}

static void
ask(struct caller *c, uint32_t serial, unsigned int timeout_ms)
{
	struct question q = { .caller = c->id, .serial = serial };
	uint32_t cursor = 0;
	char expected[32];
	int ret;

	memset(q.rest, (uint8_t)serial, sizeof(q.rest));
	snprintf(expected, sizeof(expected), "%u %u", c->id, serial);
	ret = plm_ctl_call(fx.ctl, answer, &q, sizeof(q), c->text, &cursor, timeout_ms);
	if (ret == -EBUSY) {
		c->nb_busy++;
	} else if (ret == -ETIMEDOUT) {
		c->nb_late++;
		c->nb_bad += cursor != 0 || c->text[0] != '\0';
	} else {
		c->nb_answered++;
		c->nb_bad += ret != (int)(serial % 100) || cursor != serial ||
				strcmp(c->text, expected) != 0;
	}
}

static void *
caller_run(void *arg)
{
	struct caller *c = arg;

	for (uint32_t i = 1; i <= CALLS; i++) {
		ask(c, i, i % 3);
		if (i % 16 == 0)
			sched_yield();
	}
	return NULL;
}

/* One call that nobody will answer. */
static void *
waiter_run(void *arg)
{
	ask(arg, 1, 300);
	return NULL;
}

static void *
slow_path_run(void *arg)
{
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		plm_ctl_turn(fx.ctl, fx.now_ns, fx.wall_s);
		sched_yield();
	}
	return NULL;
}

static void
call__answers_its_own_caller_or_nobody(void **state)
{
	static struct caller callers[CALLERS];
	static struct caller waiters[SLOTS];
	pthread_t slow_path;
	unsigned int nb_answered = 0;

	fx_conf(&fx);
	fx.conf.clock.now_ns = real_now;
	fx_create(&fx);
	assert_int_equal(pthread_create(&slow_path, NULL, slow_path_run, NULL), 0);
	for (unsigned int i = 0; i < CALLERS; i++) {
		callers[i].id = i;
		assert_int_equal(pthread_create(&callers[i].thread, NULL, caller_run, &callers[i]),
				0);
	}
	for (unsigned int i = 0; i < CALLERS; i++) {
		const struct caller *c = &callers[i];

		assert_int_equal(pthread_join(c->thread, NULL), 0);
		assert_int_equal(c->nb_bad, 0);
		assert_int_equal(c->nb_answered + c->nb_late + c->nb_busy, CALLS);
		nb_answered += c->nb_answered;
	}
	atomic_store_explicit(&stop, true, memory_order_relaxed);
	assert_int_equal(pthread_join(slow_path, NULL), 0);
	/* Whatever became of the calls, every slot is free again. */
	for (unsigned int i = 0; i < SLOTS; i++)
		assert_int_equal(pthread_create(&waiters[i].thread, NULL, waiter_run, &waiters[i]),
				0);
	for (unsigned int i = 0; i < SLOTS; i++) {
		assert_int_equal(pthread_join(waiters[i].thread, NULL), 0);
		assert_int_equal(waiters[i].nb_late, 1);
		assert_int_equal(waiters[i].nb_bad, 0);
	}
	print_message("%u of %u answered in time\n", nb_answered, CALLERS * CALLS);
	fx_free(&fx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(call__answers_its_own_caller_or_nobody),
	};

	test_eal_init(256);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls from other threads: answers, pages, timeouts, and that a slot always comes back. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fixture.h"

#define PAGES 3

static struct fx fx;

struct caller {
	pthread_t thread;
	plm_call_fn fn;
	unsigned int timeout_ms;
	int ret;
	unsigned int nb_pages;
	char text[PLM_CALL_TEXT];
	_Atomic bool done;
};

static uint64_t
real_now(void *ctx)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * PLM_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static int
setup(void **state)
{
	fx_conf(&fx);
	fx.conf.clock.now_ns = real_now; /* the callers' timeouts are real ones */
	fx_create(&fx);
	return 0;
}

static int
teardown(void **state)
{
	fx_free(&fx);
	return 0;
}

static int
echo(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor, uint64_t now_ns,
		uint64_t wall_s)
{
	plm_text_add(out, "%s %u", (const char *)arg, *cursor);
	*cursor = *cursor + 1 < PAGES ? *cursor + 1 : 0;
	return *cursor == 0 ? -ENOENT : 0;
}

static int
fill(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor, uint64_t now_ns,
		uint64_t wall_s)
{
	for (unsigned int i = 0; i < PLM_CALL_TEXT; i++)
		plm_text_add(out, "xy");
	return 0;
}

static void *
caller_main(void *arg)
{
	struct caller *c = arg;
	uint32_t cursor = 0;

	do {
		c->ret = plm_ctl_call(fx.ctl, c->fn, "page", 5, c->text, &cursor, c->timeout_ms);
		c->nb_pages++;
	} while (cursor != 0);
	c->done = true;
	return NULL;
}

static struct caller *
caller_start(plm_call_fn fn, unsigned int timeout_ms)
{
	struct caller *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->fn = fn;
	c->timeout_ms = timeout_ms;
	assert_int_equal(pthread_create(&c->thread, NULL, caller_main, c), 0);
	return c;
}

static void
caller_join(struct caller *c, bool turning)
{
	while (turning && !c->done)
		plm_ctl_turn(fx.ctl, fx.now_ns, fx.wall_s);
	pthread_join(c->thread, NULL);
}

static void
call__answers_in_pages(void **state)
{
	struct caller *c = caller_start(echo, 10000);

	caller_join(c, true);
	assert_int_equal(c->nb_pages, PAGES);
	assert_int_equal(c->ret, -ENOENT);
	assert_string_equal(c->text, "page 2");
	free(c);
}

static void
call__cuts_what_does_not_fit(void **state)
{
	struct caller *c = caller_start(fill, 10000);

	caller_join(c, true);
	assert_int_equal(strlen(c->text), PLM_CALL_TEXT - 1);
	free(c);
}

static void
call__times_out_when_nobody_turns(void **state)
{
	/* More often than there are slots: each comes back. */
	for (unsigned int i = 0; i < 20; i++) {
		struct caller *c = caller_start(echo, 1);

		caller_join(c, false);
		assert_int_equal(c->ret, -ETIMEDOUT);
		assert_string_equal(c->text, "");
		free(c);
	}
	call__answers_in_pages(state);
}

static void
call__is_busy_when_all_slots_are_taken(void **state)
{
	struct caller *waiting[32];
	unsigned int nb_busy = 0;

	for (unsigned int i = 0; i < RTE_DIM(waiting); i++)
		waiting[i] = caller_start(echo, 300);
	for (unsigned int i = 0; i < RTE_DIM(waiting); i++) {
		caller_join(waiting[i], false);
		assert_true(waiting[i]->ret == -ETIMEDOUT || waiting[i]->ret == -EBUSY);
		nb_busy += waiting[i]->ret == -EBUSY;
		free(waiting[i]);
	}
	assert_true(nb_busy > 0);
	call__answers_in_pages(state);
}

static struct caller *late;

/* The caller gives up while its call runs. */
static int
outlast(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	pthread_join(late->thread, NULL);
	plm_text_add(out, "nobody reads this");
	return 0;
}

static void
call__given_up_while_it_runs_gives_its_slot_back(void **state)
{
	for (unsigned int i = 0; i < 20; i++) {
		late = caller_start(outlast, 20);
		/* Until it is posted nothing happens; then the turn runs it to the end. */
		while (!late->done)
			plm_ctl_turn(fx.ctl, fx.now_ns, fx.wall_s);
		assert_int_equal(late->ret, -ETIMEDOUT);
		free(late);
	}
	call__answers_in_pages(state);
}

static void
call__takes_no_more_than_fits(void **state)
{
	static char out[PLM_CALL_TEXT];
	static const char arg[PLM_CALL_ARG + 1];
	uint32_t cursor = 0;

	assert_int_equal(plm_ctl_call(fx.ctl, echo, arg, sizeof(arg), out, &cursor, 1), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(call__answers_in_pages),
		TEST(call__cuts_what_does_not_fit),
		TEST(call__times_out_when_nobody_turns),
		TEST(call__is_busy_when_all_slots_are_taken),
		TEST(call__given_up_while_it_runs_gives_its_slot_back),
		TEST(call__takes_no_more_than_fits),
	};

	test_eal_init(256);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

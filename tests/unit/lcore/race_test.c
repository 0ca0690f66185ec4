/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mailboxes and grace periods between real threads: every message arrives once, in order and with
 * what was written before it; a full mailbox refuses and loses nothing; what a worker could read is
 * freed when it cannot any more, sleeping workers included. Meant for the thread sanitizer as well,
 * which sees what is read without having been handed over.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "plm_lcore.h"
#include "test_eal.h"

#define MESSAGES 100000u
#define BURST    8
#define PARCELS  64 /* more than the mailbox holds */

/* --- mailboxes ---------------------------------------------------------------------------- */

/* One way: nothing comes back that would order what the threads do. */
struct stream {
	struct plm_mailbox box;
	uint64_t content[MESSAGES]; /* plain memory, handed over with a message each */
	uint64_t nb_bad;            /* consumer */
};

static void *
reader_of_stream_run(void *arg)
{
	struct stream *stream = arg;
	struct plm_msg msgs[BURST];
	uint32_t serial = 0;

	while (serial < MESSAGES) {
		unsigned int n = plm_mailbox_get(&stream->box, msgs, 1 + serial % BURST);

		for (unsigned int i = 0; i < n; i++, serial++) {
			stream->nb_bad += msgs[i].idx != serial || msgs[i].gen != ~serial ||
					msgs[i].aux != (uint16_t)serial;
			stream->nb_bad += stream->content[msgs[i].idx % MESSAGES] != ~serial;
		}
		if (n == 0)
			sched_yield();
	}
	return NULL;
}

static void
mailbox__hands_over_what_was_written_before(void **state)
{
	static struct stream stream;
	pthread_t consumer;
	struct plm_msg msgs[BURST];
	uint32_t nb_sent = 0;
	unsigned int n;

	assert_int_equal(plm_mailbox_init(&stream.box, "race_one_way", 15, 0), 0);
	assert_int_equal(pthread_create(&consumer, NULL, reader_of_stream_run, &stream), 0);
	while (nb_sent < MESSAGES) {
		for (n = 0; n < BURST && nb_sent + n < MESSAGES; n++) {
			uint32_t serial = nb_sent + n;

			stream.content[serial] = ~serial;
			msgs[n] = (struct plm_msg){ .type = PLM_MSG_SSRC_CLAIM,
				.aux = (uint16_t)serial,
				.idx = serial,
				.gen = ~serial };
		}
		n = plm_mailbox_put(&stream.box, msgs, n);
		nb_sent += n;
		if (n == 0)
			sched_yield();
	}
	assert_int_equal(pthread_join(consumer, NULL), 0);
	assert_int_equal(stream.nb_bad, 0);
	assert_int_equal(rte_ring_count(stream.box.ring), 0);
	plm_mailbox_fini(&stream.box);
}

/* Plain memory that changes hands with a message, and comes back with another. */
struct parcel {
	uint32_t serial;
	uint32_t answer;
};

struct post {
	struct plm_mailbox up;
	struct plm_mailbox down;
	struct parcel parcels[PARCELS];
	uint64_t nb_refused; /* producer */
	uint64_t nb_bad;     /* consumer */
};

/* Takes what comes, in order, writes an answer and gives the parcel back. */
static void *
consumer_run(void *arg)
{
	struct post *post = arg;
	struct plm_msg msgs[BURST];
	uint32_t serial = 0;

	while (serial < MESSAGES) {
		unsigned int n = plm_mailbox_get(&post->up, msgs, 1 + serial % BURST);
		unsigned int answered = 0;

		for (unsigned int i = 0; i < n; i++, serial++) {
			struct parcel *parcel = &post->parcels[msgs[i].idx % PARCELS];

			post->nb_bad += msgs[i].ssrc != serial || msgs[i].gen != ~serial ||
					msgs[i].aux != (uint16_t)serial;
			post->nb_bad += parcel->serial != serial;
			parcel->answer = ~serial;
		}
		/* The way back is as narrow; what it refuses is kept. */
		while (answered < n) {
			unsigned int taken =
					plm_mailbox_put(&post->down, msgs + answered, n - answered);

			answered += taken;
			if (taken == 0)
				sched_yield();
		}
		if (n == 0)
			sched_yield();
	}
	return NULL;
}

static void
mailbox__loses_nothing_when_both_ways_are_full(void **state)
{
	static struct post post;
	pthread_t consumer;
	struct plm_msg msgs[BURST];
	bool is_consumed = false;
	uint32_t nb_sent = 0;
	uint32_t nb_back = 0;
	uint64_t nb_bad = 0;

	assert_int_equal(plm_mailbox_init(&post.up, "race_up", 15, 0), 0);
	assert_int_equal(plm_mailbox_init(&post.down, "race_down", 7, 0), 0);
	while (nb_back < MESSAGES) {
		/* As many as parcels are here, and no more than a burst. */
		unsigned int n = RTE_MIN(RTE_MIN(MESSAGES - nb_sent, (unsigned int)BURST),
				PARCELS - (nb_sent - nb_back));
		unsigned int taken;

		for (unsigned int i = 0; i < n; i++) {
			uint32_t serial = nb_sent + i;

			post.parcels[serial % PARCELS].serial = serial;
			msgs[i] = (struct plm_msg){ .type = PLM_MSG_SSRC_CLAIM,
				.aux = (uint16_t)serial,
				.idx = serial % PARCELS,
				.gen = ~serial,
				.ssrc = serial };
		}
		taken = plm_mailbox_put(&post.up, msgs, n);
		nb_sent += taken;
		post.nb_refused += n - taken;
		if (!is_consumed && post.nb_refused > 0) { /* it was full once for certain */
			assert_int_equal(pthread_create(&consumer, NULL, consumer_run, &post), 0);
			is_consumed = true;
		}
		n = plm_mailbox_get(&post.down, msgs, BURST);
		for (unsigned int i = 0; i < n; i++, nb_back++) {
			nb_bad += msgs[i].ssrc != nb_back;
			nb_bad += post.parcels[nb_back % PARCELS].answer != ~nb_back;
		}
		if (taken == 0 && n == 0)
			sched_yield();
	}
	assert_int_equal(pthread_join(consumer, NULL), 0);
	assert_int_equal(nb_sent, MESSAGES);
	assert_int_equal(post.nb_bad + nb_bad, 0);
	assert_int_equal(rte_ring_count(post.up.ring), 0);
	assert_int_equal(rte_ring_count(post.down.ring), 0);
	plm_mailbox_fini(&post.up);
	plm_mailbox_fini(&post.down);
}

/* --- grace periods ------------------------------------------------------------------------ */

#define WORKERS  2
#define REPLACED 20000 /* objects, at least */
#define TURNS    1000  /* of each reader while they are replaced, at least */
#define BACKLOG  8

/* From the C library, so that the sanitizer knows when it is freed. */
struct object {
	uint64_t serial;
	uint64_t copy;
};

struct reader {
	struct plm_lcore lcore;
	pthread_t thread;
	uint64_t last;
	uint64_t nb_bad;
};

static struct plm_rcu rcu;
static _Atomic(struct object *) published;

/* Reads, reports, and now and then has nothing to do: then the loop sleeps, offline. */
static unsigned int
reader_turn(void *ctx, uint64_t now_ns)
{
	struct reader *r = ctx;
	const struct object *object = atomic_load_explicit(&published, memory_order_acquire);

	r->nb_bad += object->serial != object->copy || object->serial < r->last;
	r->last = object->serial;
	plm_rcu_quiescent(&rcu, r->lcore.worker);
	return now_ns % 8;
}

static uint64_t
turns_now(void *ctx)
{
	uint64_t *now = ctx;

	return ++*now;
}

static void *
reader_run(void *arg)
{
	plm_lcore_loop(arg);
	return NULL;
}

/* A thread that the kernel has not started yet is offline: alone it would prove nothing. */
static bool
have_read(const struct reader *readers)
{
	for (unsigned int w = 0; w < WORKERS; w++)
		if (atomic_load(&readers[w].lcore.nb_turns) < TURNS)
			return false;
	return true;
}

static struct object *
object_create(uint64_t serial)
{
	struct object *object = malloc(sizeof(*object));

	assert_non_null(object);
	object->serial = serial;
	object->copy = serial;
	return object;
}

static void
rcu__frees_nothing_that_a_worker_may_read(void **state)
{
	struct reader readers[WORKERS] = { 0 };
	uint64_t clocks[WORKERS] = { 0 };
	struct {
		struct object *object;
		uint64_t token;
	} backlog[BACKLOG];
	unsigned int first = 0;
	unsigned int nb = 0;

	assert_int_equal(plm_rcu_init(&rcu, WORKERS, SOCKET_ID_ANY), 0);
	atomic_store(&published, object_create(0));
	for (unsigned int w = 0; w < WORKERS; w++) {
		readers[w].lcore = (struct plm_lcore){ .turn = reader_turn,
			.ctx = &readers[w],
			.clock = { turns_now, &clocks[w] },
			.rcu = &rcu,
			.worker = w,
			.idle = PLM_IDLE_SLEEP,
			.idle_turns = 0,
			.sleep_us = 1 };
		assert_int_equal(pthread_create(&readers[w].thread, NULL, reader_run,
						 &readers[w].lcore),
				0);
	}
	for (uint64_t serial = 1; serial <= REPLACED || !have_read(readers);) {
		if (nb < BACKLOG) {
			unsigned int last = (first + nb++) % BACKLOG;

			backlog[last].object = atomic_exchange_explicit(&published,
					object_create(serial++), memory_order_acq_rel);
			backlog[last].token = plm_rcu_start(&rcu);
		}
		while (nb > 0 && plm_rcu_over(&rcu, backlog[first].token)) {
			free(backlog[first].object);
			first = (first + 1) % BACKLOG;
			nb--;
		}
		if (nb == BACKLOG)
			sched_yield();
	}
	for (unsigned int w = 0; w < WORKERS; w++) {
		plm_lcore_stop(&readers[w].lcore);
		assert_int_equal(pthread_join(readers[w].thread, NULL), 0);
		assert_int_equal(readers[w].nb_bad, 0);
	}
	/* Who stopped is offline: nothing waits. */
	for (; nb > 0; nb--, first = (first + 1) % BACKLOG) {
		assert_true(plm_rcu_over(&rcu, backlog[first].token));
		free(backlog[first].object);
	}
	free(atomic_load(&published));
	plm_rcu_fini(&rcu);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mailbox__hands_over_what_was_written_before),
		cmocka_unit_test(mailbox__loses_nothing_when_both_ways_are_full),
		cmocka_unit_test(rcu__frees_nothing_that_a_worker_may_read),
	};

	test_eal_init(64);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

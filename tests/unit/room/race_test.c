/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two reading threads against a slow path that never stops joining, leaving, and publishing: no
 * reader ever meets a freed or half-built view, somebody who left without a tombstone, or
 * somebody whose session was handed back before the reader began its turn. Meant for the thread
 * sanitizer as well.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "plm_room.h"
#include "test_eal.h"

#define READERS  2
#define SESSIONS 64
#define CHANGES  200000

struct reader {
	pthread_t thread;
	unsigned int worker;
	uint64_t nb_turns;
	uint64_t nb_bad;
};

static struct plm_rcu rcu;
static struct plm_room_table *tbl;
static uint32_t room_idx;
static _Atomic bool stop;
static _Atomic bool present[SESSIONS];  /* joined, and not handed back yet */
static _Atomic bool has_left[SESSIONS]; /* since plm_room_leave() returned */

static void
released(void *ctx, uint32_t session_idx, const struct plm_egress *egress, bool ended)
{
	if (ended)
		atomic_store_explicit(&present[session_idx], false, memory_order_release);
}

static uint64_t
view_check(struct plm_view *view)
{
	uint64_t nb_bad = view->room_idx != room_idx || view->nb_ranges != 1;
	uint32_t last = 0;

	for (uint32_t i = 0; i < view->nb_members; i++) {
		const struct plm_sub *sub = &view->subs[i];
		bool is_gone = atomic_load_explicit(&has_left[sub->session_idx % SESSIONS],
				memory_order_acquire);

		nb_bad += is_gone && !atomic_load_explicit(&sub->left, memory_order_relaxed);
		nb_bad += sub->session_idx >= SESSIONS;
		nb_bad += i > 0 && sub->session_idx <= last;
		last = sub->session_idx;
		nb_bad += sub->nexthop_idx != sub->session_idx + 1000;
		nb_bad += !atomic_load_explicit(&present[sub->session_idx % SESSIONS],
				memory_order_acquire);
	}
	return nb_bad;
}

static void *
reader_run(void *arg)
{
	struct reader *r = arg;
	struct plm_view *pinned = NULL;

	plm_rcu_online(&rcu, r->worker);
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		struct plm_view *view = plm_room_view(tbl, room_idx);

		r->nb_bad += view_check(view);
		if (pinned != NULL) {
			/* Parked some turns ago. */
			if (r->nb_turns % 8 == 0) {
				r->nb_bad += view_check(pinned);
				plm_view_unpin(pinned, r->worker);
				pinned = NULL;
			}
		} else if (r->nb_turns % 64 == 1) {
			plm_view_pin(view, r->worker);
			pinned = view;
		}
		r->nb_turns++;
		plm_rcu_quiescent(&rcu, r->worker);
	}
	if (pinned != NULL)
		plm_view_unpin(pinned, r->worker);
	plm_rcu_offline(&rcu, r->worker);
	return NULL;
}

static void
join(uint32_t session_idx, uint64_t now_ns)
{
	struct plm_member m = { .session_idx = session_idx, .flags = PLM_SUB_SUBSCRIBES };

	if (atomic_load_explicit(&present[session_idx], memory_order_relaxed))
		return;
	snprintf(m.name, sizeof(m.name), "p%u", session_idx);
	m.egress.nexthop_idx = (uint16_t)(session_idx + 1000);
	atomic_store_explicit(&has_left[session_idx], false, memory_order_relaxed);
	atomic_store_explicit(&present[session_idx], true, memory_order_relaxed);
	if (plm_room_join(tbl, room_idx, &m, now_ns) < 0)
		atomic_store_explicit(&present[session_idx], false, memory_order_relaxed);
}

static void
room_view__stays_whole_while_workers_read_it(void **state)
{
	static const struct plm_room_settings settings = { .max_members = SESSIONS };
	struct plm_room_conf conf = {
		.max_rooms = 1,
		.max_members = SESSIONS,
		.max_backlog = 16,
		.nb_workers = READERS,
		.rcu = &rcu,
		.socket = SOCKET_ID_ANY,
		.released = released,
	};
	struct reader readers[READERS] = { 0 };
	uint64_t now_ns = 1;
	uint64_t rnd = 88172645463325252u;

	assert_int_equal(plm_rcu_init(&rcu, READERS, SOCKET_ID_ANY), 0);
	assert_int_equal(plm_room_table_create(&tbl, &conf), 0);
	assert_int_equal(plm_room_open(tbl, 'r', "race", &settings, 0, &room_idx), 0);
	join(0, now_ns); /* stays, so that the room does */
	plm_room_turn(tbl, ++now_ns);
	for (unsigned int i = 0; i < READERS; i++) {
		readers[i].worker = i;
		assert_int_equal(pthread_create(&readers[i].thread, NULL, reader_run, &readers[i]),
				0);
	}
	for (unsigned int i = 0; i < CHANGES; i++) {
		uint32_t s;

		rnd ^= rnd << 13;
		rnd ^= rnd >> 7;
		rnd ^= rnd << 17;
		s = 1 + (uint32_t)(rnd % (SESSIONS - 1));
		if (rnd >> 63) {
			join(s, now_ns);
		} else {
			plm_room_leave(tbl, room_idx, s, now_ns);
			atomic_store_explicit(&has_left[s], true, memory_order_release);
		}
		plm_room_turn(tbl, ++now_ns);
	}
	atomic_store_explicit(&stop, true, memory_order_relaxed);
	for (unsigned int i = 0; i < READERS; i++) {
		assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
		assert_int_equal(readers[i].nb_bad, 0);
		assert_true(readers[i].nb_turns > 0);
	}
	plm_room_turn(tbl, ++now_ns);
	plm_room_turn(tbl, ++now_ns);
	assert_int_equal(plm_room_backlog(tbl), 0);
	plm_room_table_free(tbl);
	plm_rcu_fini(&rcu);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(room_view__stays_whole_while_workers_read_it),
	};

	test_eal_init(128);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

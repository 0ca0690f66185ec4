/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two reading threads against a slow path that never stops joining, leaving, and publishing: no
 * reader ever meets a freed or half-built view, somebody who left without a tombstone, or
 * somebody whose session was handed back before the reader began its turn; and no session's state
 * becomes another's while a view, a turn or an old reference names it. Meant for the thread
 * sanitizer as well, which sees a view or a state that is written while somebody reads it.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "plm_room.h"
#include "plm_session.h"
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

/* Let the slow path go on now and then, where only the pin holds the view, or nothing does. */
static void
rest(const struct reader *r, bool is_parked)
{
	if (r->nb_turns % 4 != 0)
		return;
	if (is_parked) {
		sched_yield();
		return;
	}
	plm_rcu_offline(&rcu, r->worker);
	sched_yield();
	plm_rcu_online(&rcu, r->worker);
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
			if (r->nb_turns % 16 == 9) {
				r->nb_bad += view_check(pinned);
				plm_view_unpin(pinned, r->worker);
				pinned = NULL;
			}
		} else if (r->nb_turns % 32 == 1) {
			plm_view_pin(view, r->worker);
			pinned = view;
		}
		r->nb_turns++;
		plm_rcu_quiescent(&rcu, r->worker);
		rest(r, pinned != NULL);
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

/* --- sessions and views ------------------------------------------------------------------- */

/*
 * Indexes go from session to session as fast as they can. A session's state holds its serial number
 * twice, a member's next hop says which of an index's sessions it is, and references to sessions are
 * kept long after and tried.
 */
#define LIFE(gen)  ((uint16_t)((gen)&0xffff))
#define REUSES     5000
#define INDEXES    4
#define REFERENCES 4

static struct plm_session_table *sessions;
static _Atomic plm_sref_t latest[INDEXES]; /* for readers, as a lookup would yield it */
static _Atomic plm_sref_t busy[READERS];   /* what a reader dwells on; relaxed: orders nothing */

static void
session_released(void *ctx, uint32_t session_idx, const struct plm_egress *egress, bool ended)
{
	if (ended)
		plm_session_release(sessions, session_idx);
}

struct reference {
	plm_sref_t ref;
	uint32_t serial; /* of the session, once it was seen; 0: not yet */
};

/* The state that a reference leads to is that session's, for as long as the turn. */
static uint64_t
state_check(const struct plm_session_hot *hot, struct reference *r)
{
	if (r->serial == 0)
		r->serial = hot->room_idx;
	return hot->room_idx != r->serial || hot->packet_rate.cost != r->serial;
}

/* A view names sessions that live or have ended, never those that came after them. */
static uint64_t
entries_check(struct plm_view *view)
{
	uint64_t nb_bad = 0;

	for (uint32_t i = 0; i < view->nb_members; i++) {
		const struct plm_sub *sub = &view->subs[i];
		uint32_t gen;

		if (sub->session_idx == INDEXES) /* keeps the room open */
			continue;
		gen = atomic_load_explicit(&sessions->hot[sub->session_idx].gen,
				memory_order_acquire);
		nb_bad += gen != 0 && LIFE(gen) != sub->nexthop_idx;
	}
	return nb_bad;
}

/* A reference is kept until it leads nowhere; the next one is the latest of an index. */
static struct plm_session_hot *
reference_get(struct reference *r, uint32_t idx)
{
	struct plm_session_hot *hot = r->ref != 0 ? plm_session_get(sessions, r->ref) : NULL;

	if (hot != NULL)
		return hot;
	*r = (struct reference){ atomic_load_explicit(&latest[idx], memory_order_relaxed) };
	return r->ref != 0 ? plm_session_get(sessions, r->ref) : NULL;
}

/* A long turn that holds a session's state. */
static void
dwell(const struct reader *r, plm_sref_t ref)
{
	atomic_store_explicit(&busy[r->worker], ref, memory_order_relaxed);
	for (unsigned int i = 0; i < 4; i++)
		sched_yield();
	atomic_store_explicit(&busy[r->worker], 0, memory_order_relaxed);
}

/* Wait a little for a reader to dwell on the session. */
static void
dwell_await(const struct plm_handle *session)
{
	for (unsigned int i = 0; i < 16; i++) {
		for (unsigned int w = 0; w < READERS; w++) {
			plm_sref_t ref = atomic_load_explicit(&busy[w], memory_order_relaxed);

			if (ref == plm_sref(session->idx, session->gen, 0))
				return;
		}
		sched_yield();
	}
}

static void *
user_run(void *arg)
{
	struct reader *r = arg;
	struct reference kept[REFERENCES] = { 0 };
	struct plm_view *parked = NULL;
	unsigned int rnd = 0;

	plm_rcu_online(&rcu, r->worker);
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		struct plm_view *view = plm_room_view(tbl, room_idx);
		struct reference *ref = &kept[r->nb_turns % REFERENCES];
		struct plm_session_hot *hot = reference_get(ref, rnd++ % INDEXES);

		if (hot != NULL) {
			r->nb_bad += state_check(hot, ref);
			/* The home worker's part is written without further ado. */
			if (hot->home == r->worker) {
				hot->packet_tat++;
				hot->nb_streams = (uint8_t)(hot->nb_streams + 1) % PLM_SSRCS;
			}
		}
		r->nb_bad += entries_check(view);
		if (hot != NULL && r->nb_turns % 8 == 3)
			dwell(r, ref->ref);
		if (parked != NULL) {
			r->nb_bad += entries_check(parked);
			if (r->nb_turns % 8 == 6) {
				plm_view_unpin(parked, r->worker);
				parked = NULL;
			}
		} else if (r->nb_turns % 16 == 1) {
			plm_view_pin(view, r->worker);
			parked = view;
		}
		if (hot != NULL)
			r->nb_bad += state_check(hot, ref);
		r->nb_turns++;
		plm_rcu_quiescent(&rcu, r->worker);
		rest(r, parked != NULL);
	}
	if (parked != NULL)
		plm_view_unpin(parked, r->worker);
	plm_rcu_offline(&rcu, r->worker);
	return NULL;
}

/* As admission does it. */
static void
session_enter(struct plm_handle *session, uint64_t now_ns)
{
	static uint32_t serial = 1;
	const struct plm_session_new conf = {
		.room_idx = serial,
		.home = (uint8_t)(serial % READERS),
		.max_ssrcs = 1,
		.packet_rate = { .cost = serial },
	};
	struct plm_member m = { .flags = PLM_SUB_SUBSCRIBES };

	if (plm_session_create(sessions, &conf, session) < 0)
		return;
	serial++;
	snprintf(m.name, sizeof(m.name), "p%u", session->idx);
	m.session_idx = session->idx;
	m.egress.nexthop_idx = LIFE(session->gen);
	atomic_store_explicit(&latest[session->idx], plm_sref(session->idx, session->gen, 0),
			memory_order_relaxed);
	if (plm_room_join(tbl, room_idx, &m, now_ns) < 0) {
		plm_session_end(sessions, *session);
		plm_session_release(sessions, session->idx);
		session->gen = 0;
	}
}

static void
session_leave(struct plm_handle *session, uint64_t now_ns)
{
	plm_session_end(sessions, *session);
	plm_room_leave(tbl, room_idx, session->idx, now_ns);
	session->gen = 0;
}

static void
session_index__is_nobody_elses_while_it_is_named(void **state)
{
	static const struct plm_room_settings settings = { .max_members = INDEXES + 1 };
	const struct plm_session_conf session_conf = {
		.max_sessions = INDEXES,
		.nb_workers = READERS,
		.rcu = &rcu,
		.socket = SOCKET_ID_ANY,
		.name = "race",
	};
	const struct plm_room_conf conf = {
		.max_rooms = 1,
		.max_members = INDEXES + 1,
		.max_backlog = 16,
		.nb_workers = READERS,
		.rcu = &rcu,
		.socket = SOCKET_ID_ANY,
		.released = session_released,
	};
	const struct plm_member host = { .session_idx = INDEXES, .name = "host" };
	struct plm_handle handles[INDEXES] = { 0 };
	struct reader readers[READERS] = { 0 };
	uint64_t now_ns = 1;
	uint64_t rnd = 88172645463325252u;
	unsigned int nb = 0;

	assert_int_equal(plm_rcu_init(&rcu, READERS, SOCKET_ID_ANY), 0);
	assert_int_equal(plm_session_table_create(&sessions, &session_conf), 0);
	assert_int_equal(plm_room_table_create(&tbl, &conf), 0);
	assert_int_equal(plm_room_open(tbl, 'r', "race", &settings, 0, &room_idx), 0);
	assert_int_equal(plm_room_join(tbl, room_idx, &host, now_ns), 0);
	plm_room_turn(tbl, ++now_ns);
	atomic_store(&stop, false);
	for (unsigned int i = 0; i < READERS; i++) {
		readers[i].worker = i;
		assert_int_equal(pthread_create(&readers[i].thread, NULL, user_run, &readers[i]),
				0);
	}
	while (nb < REUSES) {
		struct plm_handle *session;

		rnd ^= rnd << 13;
		rnd ^= rnd >> 7;
		rnd ^= rnd << 17;
		session = &handles[rnd >> 32 & (INDEXES - 1)];
		if (session->gen != 0) {
			session_leave(session, now_ns);
		} else {
			session_enter(session, now_ns);
			nb += session->gen != 0;
			if (session->gen != 0 && (rnd & 4)) { /* before any view names it */
				dwell_await(session);
				session_leave(session, now_ns);
			}
		}
		if (rnd & 3)
			plm_room_turn(tbl, ++now_ns);
		plm_session_reclaim(sessions);
		if (plm_session_nb_pending(sessions) == INDEXES)
			sched_yield();
	}
	atomic_store_explicit(&stop, true, memory_order_relaxed);
	for (unsigned int i = 0; i < READERS; i++) {
		assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
		assert_int_equal(readers[i].nb_bad, 0);
		assert_true(readers[i].nb_turns > 0);
	}
	for (unsigned int i = 0; i < INDEXES; i++)
		if (handles[i].gen != 0)
			session_leave(&handles[i], now_ns);
	for (unsigned int i = 0; i < 3; i++) {
		plm_room_turn(tbl, ++now_ns);
		plm_session_reclaim(sessions);
	}
	assert_int_equal(plm_room_backlog(tbl), 0);
	assert_int_equal(plm_session_nb_pending(sessions), 0);
	plm_room_table_free(tbl);
	plm_session_table_free(sessions);
	plm_rcu_fini(&rcu);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(room_view__stays_whole_while_workers_read_it),
		cmocka_unit_test(session_index__is_nobody_elses_while_it_is_named),
	};

	test_eal_init(128);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

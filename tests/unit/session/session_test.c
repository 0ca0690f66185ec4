/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions: tuples, SSRCs, and an index's way round. One worker, stepped by hand. */
#include <errno.h>
#include <stdlib.h>

#include <rte_malloc.h>

#include "session_priv.h"
#include "test_eal.h"

#define MAX 16
/* Tables of fewer sessions have more room than sessions use on average. */
#define FULL_TABLES 16384

struct fixture {
	struct plm_rcu rcu;
	struct plm_session_table *tbl;
};

static void
fixture_setup(struct fixture *f, uint32_t max_sessions)
{
	struct plm_session_conf conf = {
		.max_sessions = max_sessions,
		.nb_workers = 1,
		.rcu = &f->rcu,
		.socket = SOCKET_ID_ANY,
		.name = "test",
		.hash_seed = 7,
	};

	assert_int_equal(plm_rcu_init(&f->rcu, 1, SOCKET_ID_ANY), 0);
	assert_int_equal(plm_session_table_create(&f->tbl, &conf), 0);
	plm_rcu_online(&f->rcu, 0);
}

static void
fixture_teardown(struct fixture *f)
{
	plm_rcu_offline(&f->rcu, 0);
	plm_session_table_free(f->tbl);
	plm_rcu_fini(&f->rcu);
}

static int
setup(void **state)
{
	static struct fixture f;

	fixture_setup(&f, MAX);
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	fixture_teardown(*state);
	return 0;
}

static struct plm_handle
create(struct fixture *f, uint32_t room_idx)
{
	struct plm_session_new new = { .room_idx = room_idx,
		.role = PLM_ROLE_BOTH,
		.max_ssrcs = 4 };
	struct plm_handle session = PLM_HANDLE_NONE;

	assert_int_equal(plm_session_create(f->tbl, &new, &session), 0);
	assert_int_not_equal(session.gen, 0);
	return session;
}

static struct plm_tuple
tuple(bool is_v6, uint8_t host, uint16_t port)
{
	struct plm_tuple t = { .port = rte_cpu_to_be_16(port), .local_idx = 1, .is_v6 = is_v6 };

	memset(t.addr, 0x20, is_v6 ? 16 : 4);
	t.addr[is_v6 ? 15 : 3] = host;
	return t;
}

static plm_sref_t
bulk_find(struct fixture *f, const struct plm_tuple *t)
{
	plm_sref_t ref = 1;

	if (t->is_v6) {
		struct plm_key6 key = { .port = t->port, .local_idx = t->local_idx };
		const struct plm_key6 *keys[] = { &key };

		memcpy(key.addr, t->addr, sizeof(key.addr));
		plm_session_lookup6(f->tbl, keys, 1, &ref);
	} else {
		struct plm_key4 key = { .port = t->port, .local_idx = t->local_idx };
		const struct plm_key4 *keys[] = { &key };

		memcpy(key.addr, t->addr, sizeof(key.addr));
		plm_session_lookup4(f->tbl, keys, 1, &ref);
	}
	return ref;
}

static void
session_lookup__finds_what_was_added_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	static const struct {
		bool is_v6;
		uint8_t host;
		uint16_t port;
	} cases[] = {
		{ false, 1, 1000 },
		{ false, 1, 1001 },
		{ true, 1, 1000 },
		{ true, 2, 1000 },
	};
	struct plm_handle s = create(f, 3);

	for (unsigned int i = 0; i < RTE_DIM(cases); i++) {
		struct plm_tuple t = tuple(cases[i].is_v6, cases[i].host, cases[i].port);
		uint8_t slot = 99;
		plm_sref_t ref;

		assert_true(bulk_find(f, &t) == 0);
		assert_int_equal(plm_session_add_tuple(f->tbl, s, &t, &slot), 0);
		assert_int_equal(slot, i);
		ref = bulk_find(f, &t);
		assert_true(ref == plm_session_find(f->tbl, &t));
		assert_int_equal(plm_sref_idx(ref), s.idx);
		assert_int_equal(plm_sref_gen(ref), s.gen);
		assert_int_equal(plm_sref_slot(ref), i);
		assert_non_null(plm_session_get(f->tbl, ref));
		assert_int_equal(plm_session_get(f->tbl, ref)->room_idx, 3);
	}
}

static void
session_lookup__serves_a_burst_with_misses_between(void **state)
{
	struct fixture *f = *state;
	struct plm_handle s = create(f, 0);
	struct plm_key4 key[64];
	const struct plm_key4 *keys[64];
	plm_sref_t refs[64];
	uint8_t slot;

	for (unsigned int i = 0; i < 64; i++) {
		struct plm_tuple t = tuple(false, (uint8_t)i, 5000);

		key[i] = (struct plm_key4){ .port = t.port, .local_idx = t.local_idx };
		memcpy(key[i].addr, t.addr, sizeof(key[i].addr));
		keys[i] = &key[i];
		if (i % 16 == 5)
			assert_int_equal(plm_session_add_tuple(f->tbl, s, &t, &slot), 0);
	}
	plm_session_lookup4(f->tbl, keys, 64, refs);
	for (unsigned int i = 0; i < 64; i++)
		assert_int_equal(refs[i] != 0, i % 16 == 5);
}

static void
session_add_tuple__stops_at_four_and_at_a_strangers(void **state)
{
	struct fixture *f = *state;
	struct plm_handle a = create(f, 0);
	struct plm_handle b = create(f, 0);
	struct plm_tuple t;
	uint8_t slot = 9;

	for (uint16_t i = 0; i < PLM_TUPLES; i++) {
		t = tuple(false, 1, i);
		assert_int_equal(plm_session_add_tuple(f->tbl, a, &t, &slot), 0);
	}
	t = tuple(false, 1, 77);
	slot = 9;
	assert_int_equal(plm_session_add_tuple(f->tbl, a, &t, &slot), -ENOSPC);
	t = tuple(false, 1, 2);
	assert_int_equal(plm_session_add_tuple(f->tbl, b, &t, &slot), -EEXIST);
	assert_int_equal(slot, 9);
	assert_int_equal(plm_session_del_tuple(f->tbl, a, 2), 0);
	assert_int_equal(plm_session_del_tuple(f->tbl, a, 2), -ENOENT);
	assert_int_equal(plm_session_add_tuple(f->tbl, b, &t, &slot), 0);
}

/* The deleted key's entry still waits for the worker; the address is back all the same. */
static void
session_add_tuple__takes_a_tuple_back_before_its_old_key_is_reclaimed(void **state)
{
	struct fixture *f = *state;
	struct plm_handle s = create(f, 0);
	struct plm_tuple t = tuple(true, 9, 999);
	uint8_t slot;

	for (unsigned int i = 0; i < 40; i++) {
		assert_int_equal(plm_session_add_tuple(f->tbl, s, &t, &slot), 0);
		assert_true(bulk_find(f, &t) != 0);
		assert_int_equal(plm_session_del_tuple(f->tbl, s, slot), 0);
		assert_true(bulk_find(f, &t) == 0);
	}
}

static void
session_end__shuts_out_at_once(void **state)
{
	struct fixture *f = *state;
	struct plm_handle s = create(f, 0);
	struct plm_tuple t = tuple(false, 4, 400);
	plm_sref_t ref;
	uint8_t slot;

	assert_int_equal(plm_session_add_tuple(f->tbl, s, &t, &slot), 0);
	assert_int_equal(plm_session_claim_ssrc(f->tbl, s, 42), 0);
	ref = bulk_find(f, &t);
	plm_session_end(f->tbl, s);
	assert_true(bulk_find(f, &t) == 0);
	assert_null(plm_session_get(f->tbl, ref));
	assert_true(plm_session_ssrc_owner(f->tbl, 0, 42) == 0);
	assert_int_equal(plm_session_add_tuple(f->tbl, s, &t, &slot), -ENOENT);
	assert_int_equal(plm_session_claim_ssrc(f->tbl, s, 42), -ENOENT);
	assert_int_equal(plm_session_nb_open(f->tbl), 0);
	assert_int_equal(plm_session_nb_pending(f->tbl), 1);
}

static void
session_create__gives_an_index_again_only_after_release_and_grace_period(void **state)
{
	struct fixture *f = *state;
	struct plm_session_new new = { .role = PLM_ROLE_BOTH };
	struct plm_handle s[MAX];
	struct plm_handle again;

	for (unsigned int i = 0; i < MAX; i++)
		s[i] = create(f, 0);
	f->tbl->hot[s[5].idx].nb_streams = 3;
	f->tbl->tx[0][s[5].idx].packets = 17;
	assert_int_equal(plm_session_create(f->tbl, &new, &again), -ENOSPC);

	plm_session_end(f->tbl, s[5]);
	plm_rcu_quiescent(&f->rcu, 0);
	plm_session_reclaim(f->tbl);
	assert_int_equal(plm_session_create(f->tbl, &new, &again), -ENOSPC);

	plm_session_release(f->tbl, s[5].idx);
	plm_session_release(f->tbl, s[5].idx); /* once is enough */
	plm_session_reclaim(f->tbl);
	assert_int_equal(plm_session_create(f->tbl, &new, &again), -ENOSPC);

	plm_rcu_quiescent(&f->rcu, 0);
	plm_session_reclaim(f->tbl);
	assert_int_equal(plm_session_nb_pending(f->tbl), 0);
	again = create(f, 1);
	assert_int_equal(again.idx, s[5].idx);
	assert_int_not_equal(again.gen, s[5].gen);
	assert_int_equal(f->tbl->hot[again.idx].nb_streams, 0);
	assert_int_equal(f->tbl->tx[0][again.idx].packets, 0);
	assert_null(plm_session_get(f->tbl, plm_sref(s[5].idx, s[5].gen, 0)));
}

static void
session_ssrc__belongs_to_the_first_in_its_room(void **state)
{
	struct fixture *f = *state;
	struct plm_handle a = create(f, 1);
	struct plm_handle b = create(f, 1);
	struct plm_handle other = create(f, 2);
	uint32_t got[PLM_SSRCS];

	assert_int_equal(plm_session_claim_ssrc(f->tbl, a, 7), 0);
	assert_int_equal(plm_session_claim_ssrc(f->tbl, a, 7), 0);
	assert_int_equal(plm_session_claim_ssrc(f->tbl, b, 7), -EEXIST);
	assert_int_equal(plm_session_claim_ssrc(f->tbl, other, 7), 0);
	assert_int_equal(plm_sref_idx(plm_session_ssrc_owner(f->tbl, 1, 7)), a.idx);
	assert_int_equal(plm_sref_idx(plm_session_ssrc_owner(f->tbl, 2, 7)), other.idx);
	assert_int_equal(plm_session_ssrcs(f->tbl, a, got, PLM_SSRCS), 1);
	assert_int_equal(got[0], 7);
	for (uint32_t i = 1; i < PLM_SSRCS; i++)
		assert_int_equal(plm_session_claim_ssrc(f->tbl, a, 7 + i), 0);
	assert_int_equal(plm_session_claim_ssrc(f->tbl, a, 999), -ENOSPC);
	plm_session_end(f->tbl, a);
	assert_int_equal(plm_session_claim_ssrc(f->tbl, b, 7), 0);
}

/* As many as the table promises, twice over: keys that wait for reclamation must not get in the
 * way as long as the worker keeps reporting. */
static void
session_table__holds_its_maximum_again_and_again(void **state)
{
	struct plm_handle *s;
	struct fixture f;
	const uint32_t max = 5000;

	fixture_setup(&f, max);
	s = calloc(max, sizeof(*s));
	for (unsigned int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < max; i++) {
			struct plm_tuple t = tuple(i & 1, (uint8_t)i, (uint16_t)i);
			uint8_t slot;

			s[i] = create(&f, i / 4);
			assert_int_equal(plm_session_add_tuple(f.tbl, s[i], &t, &slot), 0);
			assert_int_equal(plm_session_claim_ssrc(f.tbl, s[i], i), 0);
		}
		for (uint32_t i = 0; i < max; i++) {
			plm_session_end(f.tbl, s[i]);
			plm_session_release(f.tbl, s[i].idx);
			plm_rcu_quiescent(&f.rcu, 0);
			plm_session_reclaim(f.tbl);
		}
		assert_int_equal(plm_session_nb_pending(f.tbl), 0);
	}
	free(s);
	fixture_teardown(&f);
}

/* First in, first out: a straggler's handle stays stale for as long as can be. */
static void
session_create__takes_the_index_that_rested_longest(void **state)
{
	struct fixture *f = *state;
	struct plm_handle first = create(f, 0);
	struct plm_handle next;

	plm_session_end(f->tbl, first);
	plm_session_release(f->tbl, first.idx);
	plm_rcu_quiescent(&f->rcu, 0);
	plm_session_reclaim(f->tbl);
	for (unsigned int i = 1; i < MAX; i++) {
		next = create(f, 0);
		assert_int_not_equal(next.idx, first.idx);
	}
	next = create(f, 0);
	assert_int_equal(next.idx, first.idx);
	assert_int_equal(next.gen, first.gen + 1);
}

static void
session_create__skips_generation_0(void **state)
{
	struct fixture *f = *state;
	struct plm_handle s = PLM_HANDLE_NONE;

	/* As after 2^24 - 1 sessions of each index. */
	for (unsigned int i = 0; i < MAX; i++)
		f->tbl->ctl->slots[i].gen = PLM_GEN_MASK;
	s = create(f, 0);
	assert_int_equal(s.gen, 1);
}

/* Nothing is reclaimed while a worker does not report; additions fail, retirements do not. */
static void
session_keys__of_a_stalled_worker_fill_the_table_but_never_block(void **state)
{
	struct fixture *f = *state;
	struct plm_handle s = create(f, 0);
	struct plm_tuple t = tuple(false, 3, 3);
	unsigned int n = 0;
	uint8_t slot;
	int ret;

	while ((ret = plm_session_add_tuple(f->tbl, s, &t, &slot)) == 0) {
		assert_int_equal(plm_session_del_tuple(f->tbl, s, slot), 0);
		assert_true(++n < 10000);
	}
	assert_int_equal(ret, -ENOSPC);
	assert_true(n > MAX * PLM_TUPLES);
	assert_true(bulk_find(f, &t) == 0);
	plm_rcu_quiescent(&f->rcu, 0);
	assert_int_equal(plm_session_add_tuple(f->tbl, s, &t, &slot), 0);
	assert_true(bulk_find(f, &t) != 0);
}

/* Small relays may have every session at its limits. */
static void
session_table__holds_the_worst_case_of_a_small_relay(void **state)
{
	struct fixture *f = *state;
	uint8_t slot;

	for (unsigned int i = 0; i < MAX; i++) {
		struct plm_handle s = create(f, i % 2);

		for (uint16_t j = 0; j < PLM_TUPLES; j++) {
			struct plm_tuple t = tuple(true, (uint8_t)i, j);

			assert_int_equal(plm_session_add_tuple(f->tbl, s, &t, &slot), 0);
		}
		for (uint32_t j = 0; j < PLM_SSRCS; j++)
			assert_int_equal(plm_session_claim_ssrc(f->tbl, s, i << 8 | j), 0);
	}
}

static size_t
heap_used(void)
{
	struct rte_malloc_socket_stats stats;

	assert_int_equal(rte_malloc_get_socket_stats(0, &stats), 0);
	return stats.heap_allocsz_bytes;
}

/* What is promised for planning is what is taken, and at most 1 KB. */
static void
session_bytes__is_what_the_tables_take(void **state)
{
	static const uint32_t sizes[] = { 4096, 50000, 65536, 400000 };

	for (unsigned int i = 0; i < RTE_DIM(sizes); i++) {
		struct plm_session_conf conf = { .max_sessions = sizes[i], .nb_workers = 2 };
		const size_t want = plm_session_bytes(&conf) * sizes[i] -
				sizes[i] * sizeof(struct session_slot); /* from the C library */
		size_t before = heap_used();
		size_t used;
		struct fixture f;

		conf.rcu = &f.rcu;
		conf.name = "bytes";
		conf.socket = SOCKET_ID_ANY;
		assert_int_equal(plm_rcu_init(&f.rcu, 2, SOCKET_ID_ANY), 0);
		assert_int_equal(plm_session_table_create(&f.tbl, &conf), 0);
		used = heap_used() - before;
		assert_in_range(used, want - want / 50, want + want / 50 + 65536);
		if (sizes[i] > FULL_TABLES)
			assert_in_range(plm_session_bytes(&conf), 1, 1024);
		plm_session_table_free(f.tbl);
		plm_rcu_fini(&f.rcu);
	}
}

static void
session_table_create__refuses_what_it_cannot_hold(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *what;
		uint32_t max_sessions;
		unsigned int nb_workers;
		const char *name;
		int want;
	} cases[] = {
		{ "no session", 0, 1, "a", -EINVAL },
		{ "too many sessions", PLM_SESSIONS_MAX + 1, 1, "a", -EINVAL },
		{ "too many workers", 1, PLM_WORKERS_MAX + 1, "a", -EINVAL },
		{ "long name", 1, 1, "seventeen letters", -EINVAL },
		{ "name taken", 1, 1, "test", -EEXIST },
		{ "longest name", 1, 1, "sixteen  letters", 0 },
	};

	for (unsigned int i = 0; i < RTE_DIM(cases); i++) {
		const struct plm_session_conf conf = {
			.max_sessions = cases[i].max_sessions,
			.nb_workers = cases[i].nb_workers,
			.rcu = &f->rcu,
			.socket = SOCKET_ID_ANY,
			.name = cases[i].name,
		};
		struct plm_session_table *tbl = NULL;

		assert_int_equal(plm_session_table_create(&tbl, &conf), cases[i].want);
		plm_session_table_free(tbl);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
				session_lookup__finds_what_was_added_and_nothing_else, setup,
				teardown),
		cmocka_unit_test_setup_teardown(session_lookup__serves_a_burst_with_misses_between,
				setup, teardown),
		cmocka_unit_test_setup_teardown(session_add_tuple__stops_at_four_and_at_a_strangers,
				setup, teardown),
		cmocka_unit_test_setup_teardown(
				session_add_tuple__takes_a_tuple_back_before_its_old_key_is_reclaimed,
				setup, teardown),
		cmocka_unit_test_setup_teardown(session_end__shuts_out_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
				session_create__gives_an_index_again_only_after_release_and_grace_period,
				setup, teardown),
		cmocka_unit_test_setup_teardown(session_ssrc__belongs_to_the_first_in_its_room,
				setup, teardown),
		cmocka_unit_test(session_table__holds_its_maximum_again_and_again),
		cmocka_unit_test_setup_teardown(session_create__takes_the_index_that_rested_longest,
				setup, teardown),
		cmocka_unit_test_setup_teardown(session_create__skips_generation_0, setup,
				teardown),
		cmocka_unit_test_setup_teardown(
				session_keys__of_a_stalled_worker_fill_the_table_but_never_block,
				setup, teardown),
		cmocka_unit_test_setup_teardown(
				session_table__holds_the_worst_case_of_a_small_relay, setup,
				teardown),
		cmocka_unit_test_setup_teardown(session_table_create__refuses_what_it_cannot_hold,
				setup, teardown),
		cmocka_unit_test(session_bytes__is_what_the_tables_take),
	};

	test_eal_init(512);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

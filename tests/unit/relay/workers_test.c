/* SPDX-License-Identifier: BSD-3-Clause */
/* Several workers: packets that RSS delivers elsewhere, workers without a queue of their own. */
#include <errno.h>

#include <rte_errno.h>
#include <rte_malloc.h>

#include "test_relay.h"

static void
rand_zero(void *ctx, void *buf, size_t len)
{
	memset(buf, 0, len);
}

static void
expect_stream(const struct test_peer *peer, uint32_t ssrc, unsigned int n, uint16_t len)
{
	uint8_t want[1600];

	assert_int_equal(peer->nb_kept, n);
	for (unsigned int i = 0; i < n; i++) {
		test_rtp(want, ssrc, (uint16_t)i, len);
		assert_int_equal(peer->got[i].len, len);
		assert_memory_equal(peer->got[i].bytes, want, len);
	}
}

static const struct {
	const char *name;
	unsigned int nb_workers;
	unsigned int nb_queues;
	uint8_t home;
	uint16_t rx_queue;
	bool crosses;
	bool carried;
} cases[] = {
	{ "at home", 2, 2, 0, 0, false, false },
	{ "delivered elsewhere", 2, 2, 0, 1, true, false },
	{ "and the other way round", 2, 2, 1, 0, true, false },
	{ "home without a queue", 2, 1, 1, 0, true, true },
	{ "the owner of the only queue", 3, 1, 0, 0, false, false },
	{ "the third of three on two queues", 3, 2, 2, 1, true, true },
};

static void
workers__deliver_the_same(void **state)
{
	for (size_t c = 0; c < RTE_DIM(cases); c++) {
		struct test_relay_conf conf = test_relay_defaults();
		struct test_relay *r;
		struct test_peer *peers[10];

		print_message("  %s\n", cases[c].name);
		conf.nb_workers = cases[c].nb_workers;
		conf.nb_queues = cases[c].nb_queues;
		r = test_relay_create(&conf);
		for (unsigned int i = 0; i < 10; i++)
			peers[i] = test_relay_join(r, "room", PLM_ROLE_BOTH, i % 2 != 0, 0,
					cases[c].home);
		peers[0]->rx_queue = cases[c].rx_queue;
		test_relay_settle(r);
		for (uint16_t seq = 0; seq < 100; seq++)
			test_relay_rtp(r, peers[0], 3, seq, (uint16_t)(200));
		test_relay_settle(r);
		for (unsigned int i = 1; i < 10; i++)
			expect_stream(peers[i], 3, 100, 200);
		assert_int_equal(peers[0]->nb_got, 0);
		assert_int_equal(test_relay_count(r, PLM_CNT_CROSSED_OUT),
				cases[c].crosses ? 100 : 0);
		assert_int_equal(test_relay_count(r, PLM_CNT_CROSSED_IN),
				cases[c].crosses ? 100 : 0);
		assert_int_equal(test_relay_count(r, PLM_CNT_COPIES_HANDED),
				cases[c].carried ? 900 : 0);
		assert_int_equal(test_relay_count(r, PLM_CNT_CARRIED_IN),
				cases[c].carried ? 900 : 0);
		assert_int_equal(test_relay_count(r, PLM_CNT_CARRIED_SENT),
				cases[c].carried ? 900 : 0);
		assert_int_equal(test_relay_count(r, PLM_CNT_COPIES_SENT),
				cases[c].carried ? 0 : 900);
		test_relay_check_sums(r, 0);
		test_relay_free(r);
	}
}

static void
workers__count_a_full_cross_ring(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *a;
	struct test_peer *b;
	uint64_t crossed;

	conf.nb_workers = 2;
	conf.nb_queues = 2;
	conf.ring_size = 16;
	r = test_relay_create(&conf);
	a = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
	b = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
	a->rx_queue = 1;
	test_relay_settle(r);
	for (uint16_t seq = 0; seq < 100; seq++)
		test_relay_rtp(r, a, 1, seq, 100);
	for (unsigned int i = 0; i < 4; i++)
		test_relay_turn(r, 1); /* while worker 0 stalls */
	crossed = test_relay_count(r, PLM_CNT_CROSSED_OUT);
	assert_in_range(crossed, 15, 32);
	assert_int_equal(test_relay_count(r, PLM_CNT_RX_CROSS_RING), 100 - crossed);
	test_relay_settle(r);
	assert_int_equal(b->nb_got, crossed);
	test_relay_free(r);
}

static void
workers__drop_for_a_session_that_ended_on_the_way(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *a;
	struct test_peer *b;

	conf.nb_workers = 2;
	conf.nb_queues = 2;
	r = test_relay_create(&conf);
	a = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
	b = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
	a->rx_queue = 1;
	test_relay_settle(r);
	test_relay_rtp(r, a, 1, 0, 100);
	test_relay_turn(r, 1);
	test_relay_leave(r, a);
	test_relay_settle(r);
	assert_int_equal(test_relay_count(r, PLM_CNT_RX_STALE_SESSION), 1);
	assert_int_equal(b->nb_got, 0);
	test_relay_free(r);
}

/* Two workers share one slow queue: both get through, nothing is lost while lists hold. */
static void
workers__share_a_queue_fairly(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *talkers[2];
	struct test_peer *subs[2][200];

	conf.nb_workers = 2;
	conf.nb_txd = 64;
	r = test_relay_create(&conf);
	for (uint8_t home = 0; home < 2; home++) {
		const char *room = home == 0 ? "zero" : "one";

		talkers[home] = test_relay_join(r, room, PLM_ROLE_PUBLISH, false, 0, home);
		for (unsigned int i = 0; i < 200; i++)
			subs[home][i] = test_relay_join(r, room, PLM_ROLE_SUBSCRIBE, false, 0,
					home);
	}
	test_relay_settle(r);
	for (uint16_t seq = 0; seq < 30; seq++)
		for (unsigned int home = 0; home < 2; home++)
			test_relay_rtp(r, talkers[home], 1, seq, 60);
	for (unsigned int i = 0; i < 100; i++) { /* about half of what is due */
		r->now_ns += 1000;
		test_relay_turn(r, 0);
		test_relay_turn(r, 1);
		test_relay_sink(r, 60);
	}
	for (unsigned int home = 0; home < 2; home++) {
		uint64_t got = 0;

		for (unsigned int i = 0; i < 200; i++)
			got += subs[home][i]->nb_got;
		assert_true(got > 1500);
	}
	test_relay_settle(r);
	for (unsigned int home = 0; home < 2; home++)
		for (unsigned int i = 0; i < 200; i++)
			expect_stream(subs[home][i], 1, 30, 60);
	test_relay_free(r);
}

static void
workers__count_what_is_carried_at_the_end(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *a;
	struct test_peer *b;

	conf.nb_workers = 2;
	r = test_relay_create(&conf);
	a = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 1);
	b = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 1);
	test_relay_settle(r);
	for (uint16_t seq = 0; seq < 10; seq++)
		test_relay_rtp(r, a, 1, seq, 100);
	test_relay_turn(r, 0);
	test_relay_turn(r, 1);
	plm_relay_discard(r->relay);
	assert_int_equal(test_relay_count(r, PLM_CNT_COPIES_HANDED), 10);
	assert_int_equal(test_relay_count(r, PLM_CNT_CARRY_STOPPED), 10);
	assert_int_equal(r->sessions->tx[0][b->session.idx].dropped, 10);
	test_relay_free(r);
}

/* A ring's name is taken, or memory is short: an error, and nothing half-made is left behind. */
static void
relay_create__says_why_it_failed(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct plm_relay_conf rc = { 0 };
	struct rte_ring *taken;

	conf.nb_workers = 2;
	r = test_relay_create(&conf);
	rc.nb_workers = 2;
	rc.ports = r->port_list;
	rc.nb_ports = 1;
	rc.queue_owner[0][1] = 1;
	memcpy(rc.hdr_pools, r->hdr_pools, sizeof(rc.hdr_pools));
	memcpy(rc.slice_pools, r->slice_pools, sizeof(rc.slice_pools));
	rc.net = r->net;
	rc.sessions = r->sessions;
	rc.rooms = r->rooms;
	rc.rcu = &r->rcu;
	rc.rand.fill = rand_zero;
	rc.ring_size = 64;
	rc.turn_copies = 64;
	rc.park_entries = 4;
	rc.name = "again";
	rc.socket = SOCKET_ID_ANY;
	taken = rte_ring_create("again_down1_0", 8, SOCKET_ID_ANY, 0);
	assert_non_null(taken);
	assert_null(plm_relay_create(&rc));
	assert_int_equal(rte_errno, EEXIST);
	rte_ring_free(taken);
	rc.slice_pools[1] = NULL;
	assert_null(plm_relay_create(&rc));
	assert_int_equal(rte_errno, EINVAL);
	rc.slice_pools[1] = r->slice_pools[1];
	plm_relay_free(plm_relay_create(&rc));
	test_relay_free(r);
}

static const struct {
	const char *name;
	unsigned int nb_workers;
	unsigned int ring_size;
	unsigned int park_entries;
	uint32_t max_sessions;
} bytes_cases[] = {
	{ "one worker by default", 1, 1024, 512, 10000 },
	{ "fan-outs parked", 1, 64, 16384, 64 },
	{ "rings", 4, 8191, 16, 64 },
	{ "rings of a power of two", 4, 4096, 16, 64 },
	{ "sessions", 2, 64, 16, 200000 },
	{ "everything", 4, 4096, 8192, 100000 },
};

static size_t
heap_used(void)
{
	struct rte_malloc_socket_stats stats;

	assert_int_equal(rte_malloc_get_socket_stats(0, &stats), 0);
	return stats.heap_allocsz_bytes;
}

/* What memory is asked of EAL for must be there, and no fortune more. */
static void
relay_bytes__are_what_it_takes(void **state)
{
	for (size_t c = 0; c < RTE_DIM(bytes_cases); c++) {
		struct test_relay_conf conf = test_relay_defaults();
		struct plm_relay_conf rc = { 0 };
		struct plm_relay *relay;
		struct test_relay *r;
		size_t said;
		size_t took;

		conf.nb_workers = bytes_cases[c].nb_workers;
		conf.max_sessions = bytes_cases[c].max_sessions;
		r = test_relay_create(&conf);
		rc.nb_workers = bytes_cases[c].nb_workers;
		rc.ports = r->port_list;
		rc.nb_ports = 1;
		memcpy(rc.hdr_pools, r->hdr_pools, sizeof(rc.hdr_pools));
		memcpy(rc.slice_pools, r->slice_pools, sizeof(rc.slice_pools));
		rc.net = r->net;
		rc.sessions = r->sessions;
		rc.rooms = r->rooms;
		rc.rcu = &r->rcu;
		rc.rand.fill = rand_zero;
		rc.ring_size = bytes_cases[c].ring_size;
		rc.turn_copies = 64;
		rc.park_entries = bytes_cases[c].park_entries;
		rc.name = "bytes";
		said = plm_relay_bytes(&rc, bytes_cases[c].max_sessions);
		took = heap_used();
		relay = plm_relay_create(&rc);
		assert_non_null(relay);
		took = heap_used() - took;
		/* The heap's own headers come on top. */
		if (took > said + said / 100 || said > took)
			fail_msg("%s: %zu bytes said, %zu taken", bytes_cases[c].name, said, took);
		plm_relay_free(relay);
		test_relay_free(r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers__deliver_the_same),
		cmocka_unit_test(workers__count_a_full_cross_ring),
		cmocka_unit_test(workers__drop_for_a_session_that_ended_on_the_way),
		cmocka_unit_test(workers__share_a_queue_fairly),
		cmocka_unit_test(workers__count_what_is_carried_at_the_end),
		cmocka_unit_test(relay_create__says_why_it_failed),
		cmocka_unit_test(relay_bytes__are_what_it_takes),
	};

	test_eal_init(512);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

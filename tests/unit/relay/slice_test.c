/* SPDX-License-Identifier: BSD-3-Clause */
/* One room whose members live with several workers. */
#include "relay_priv.h"
#include "test_relay.h"

#define WORKERS 3

static struct test_relay *
relay_make(unsigned int nb_workers, unsigned int ring_size)
{
	struct test_relay_conf conf = test_relay_defaults();

	conf.nb_workers = conf.nb_queues = nb_workers;
	conf.ring_size = ring_size;
	return test_relay_create(&conf);
}

static uint32_t
nb_lent(const struct test_relay *r)
{
	uint32_t n = 0;

	for (unsigned int w = 0; w < r->conf.nb_workers; w++)
		for (unsigned int v = 0; v < r->conf.nb_workers; v++)
			n += r->relay->workers[w]->lent[v];
	return n;
}

static void
expect_rtp(const struct test_packet *got, uint32_t ssrc, uint16_t seq, uint16_t len)
{
	uint8_t want[1600];

	assert_int_equal(got->len, test_rtp(want, ssrc, seq, len));
	assert_memory_equal(got->bytes, want, len);
}

static const struct {
	const char *name;
	uint16_t len;
	uint16_t copy_below;
	enum plm_chain chain;
} ways[] = {
	{ "a shared payload", 1200, 0, PLM_CHAIN_ON },
	{ "a small copy", 200, 256, PLM_CHAIN_ON },
	{ "a large copy", 1200, 0, PLM_CHAIN_OFF },
};

static void
slice__is_served_once_and_in_order(void **state)
{
	for (size_t c = 0; c < RTE_DIM(ways); c++) {
		struct test_relay_conf conf = test_relay_defaults();
		struct test_peer *peers[20];
		struct test_relay *r;

		print_message("  %s\n", ways[c].name);
		conf.nb_workers = conf.nb_queues = WORKERS;
		conf.nb_ports = 2;
		conf.copy_below = ways[c].copy_below;
		conf.chain = ways[c].chain;
		r = test_relay_create(&conf);
		for (unsigned int i = 0; i < RTE_DIM(peers); i++)
			peers[i] = test_relay_join(r, "room",
					i == 19 ? PLM_ROLE_PUBLISH : PLM_ROLE_BOTH, i % 2 != 0,
					i / 2 % 2, (uint8_t)(i % WORKERS));
		test_relay_settle(r);
		/* From three homes at once, in bursts and alone. */
		for (uint16_t seq = 0; seq < 100; seq++) {
			for (uint32_t p = 0; p < 3; p++)
				test_relay_rtp(r, peers[p], 1 + p, seq, ways[c].len);
			if (seq % 7 == 0)
				test_relay_step(r, 1000);
		}
		test_relay_settle(r);
		for (unsigned int i = 0; i < RTE_DIM(peers); i++) {
			uint16_t seq[3] = { 0 };
			unsigned int due = i == 19 ? 0 : i < 3 ? 200 : 300;

			assert_int_equal(peers[i]->nb_kept, due);
			for (unsigned int k = 0; k < due; k++) {
				uint32_t p = peers[i]->got[k].bytes[11] - 1u;

				assert_in_range(p, 0, 2);
				assert_int_not_equal(p, i);
				expect_rtp(&peers[i]->got[k], 1 + p, seq[p]++, ways[c].len);
			}
		}
		assert_int_equal(test_relay_count(r, PLM_CNT_SLICES_OUT), 300 * (WORKERS - 1));
		assert_int_equal(test_relay_count(r, PLM_CNT_SLICES_IN), 300 * (WORKERS - 1));
		assert_int_equal(test_relay_count(r, PLM_CNT_COPIES_DUE), 300 * 18);
		assert_int_equal(nb_lent(r), 0);
		test_relay_check_sums(r, 0);
		test_relay_free(r);
	}
}

/* Who has no members there is told nothing. */
static void
slice__is_handed_to_those_with_members_only(void **state)
{
	struct test_relay *r = relay_make(WORKERS, 1024);
	struct test_peer *a = test_relay_join(r, "small", PLM_ROLE_BOTH, false, 0, 0);
	struct test_peer *b = test_relay_join(r, "small", PLM_ROLE_BOTH, false, 0, 0);
	struct test_peer *c = test_relay_join(r, "wide", PLM_ROLE_BOTH, false, 0, 0);
	struct test_peer *d = test_relay_join(r, "wide", PLM_ROLE_PUBLISH, false, 0, 1);
	struct test_peer *e = test_relay_join(r, "wide", PLM_ROLE_BOTH, false, 0, 2);

	test_relay_settle(r);
	test_relay_rtp(r, a, 1, 0, 100);
	test_relay_rtp(r, c, 2, 0, 100);
	test_relay_settle(r);
	assert_int_equal(b->nb_got, 1);
	assert_int_equal(d->nb_got, 0);
	assert_int_equal(e->nb_got, 1);
	assert_int_equal(test_relay_count(r, PLM_CNT_SLICES_OUT), 1);
	test_relay_free(r);
}

/* A worker that stands still costs its own members packets, counted, and nobody else. */
static void
slice__of_a_stalled_worker_delays_no_other(void **state)
{
	struct test_relay *r = relay_make(WORKERS, 15);
	struct test_peer *peers[12];
	uint64_t lost;

	for (unsigned int i = 0; i < RTE_DIM(peers); i++)
		peers[i] = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0,
				(uint8_t)(i % WORKERS));
	test_relay_settle(r);
	for (uint16_t seq = 0; seq < 100; seq++) {
		test_relay_rtp(r, peers[0], 1, seq, 400);
		test_relay_turn(r, 0);
		test_relay_turn(r, 2);
		test_relay_sink(r, UINT32_MAX);
	}
	for (unsigned int i = 1; i < RTE_DIM(peers); i++)
		assert_int_equal(peers[i]->nb_got, i % WORKERS == 1 ? 0 : 100);
	lost = test_relay_count(r, PLM_CNT_COPY_SLICE_RING);
	assert_int_equal(lost, (100 - 15) * 4);
	assert_int_equal(r->relay->workers[0]->lent[1], 15);
	test_relay_settle(r);
	for (unsigned int i = 1; i < RTE_DIM(peers); i += WORKERS) {
		assert_int_equal(peers[i]->nb_got, 15);
		expect_rtp(&peers[i]->got[14], 1, 14, 400);
	}
	assert_int_equal(nb_lent(r), 0);

	/* And from then on they get everything again. */
	test_relay_rtp(r, peers[0], 1, 100, 400);
	test_relay_settle(r);
	expect_rtp(&peers[1]->got[15], 1, 100, 400);
	assert_int_equal(test_relay_count(r, PLM_CNT_COPY_SLICE_RING), lost);
	test_relay_check_sums(r, 0);
	test_relay_free(r);
}

static void
slice__without_an_mbuf_is_counted(void **state)
{
	struct test_relay *r = relay_make(2, 1024);
	struct test_peer *peers[6];
	struct rte_mbuf *hoard[4095];
	unsigned int nb = 0;

	for (unsigned int i = 0; i < RTE_DIM(peers); i++)
		peers[i] = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, (uint8_t)(i % 2));
	test_relay_settle(r);
	while (nb < RTE_DIM(hoard) && rte_mempool_get(r->slice_pools[1], (void **)&hoard[nb]) == 0)
		nb++;
	test_relay_rtp(r, peers[0], 1, 0, 400);
	test_relay_settle(r);
	assert_int_equal(peers[1]->nb_got, 0);
	assert_int_equal(peers[2]->nb_got, 1);
	assert_int_equal(test_relay_count(r, PLM_CNT_COPY_SLICE_POOL), 3);
	rte_mempool_put_bulk(r->slice_pools[1], (void **)hoard, nb);
	test_relay_rtp(r, peers[0], 1, 1, 400);
	test_relay_settle(r);
	assert_int_equal(peers[1]->nb_got, 1);
	test_relay_free(r);
}

/* A driver may take more than the MTU: what an RX mbuf holds, one of ours holds, too. */
static void
slice__larger_than_the_mtu_is_dropped_by_who_cannot_send_it(void **state)
{
	struct test_relay *r = relay_make(2, 1024);
	const uint16_t rx_room = rte_pktmbuf_data_room_size(r->rx_pools[0]) - RTE_PKTMBUF_HEADROOM;
	struct test_peer *peers[6];
	uint8_t rtp[2048];
	uint16_t len = (uint16_t)(rx_room - 42);

	assert_true(rte_pktmbuf_data_room_size(r->slice_pools[1]) >=
			rte_pktmbuf_data_room_size(r->rx_pools[0]));
	assert_true(len > 1600 && len <= sizeof(rtp));
	for (unsigned int i = 0; i < RTE_DIM(peers); i++)
		peers[i] = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, (uint8_t)(i % 2));
	test_relay_settle(r);
	test_relay_send(r, peers[0], rtp, test_rtp(rtp, 1, 0, len), 0);
	test_relay_settle(r);
	assert_int_equal(test_relay_count(r, PLM_CNT_COPY_MTU), 5);

	/* And what does not fit is not copied. */
	r->relay->workers[1]->slice_room = 1000;
	test_relay_rtp(r, peers[0], 1, 1, 1001);
	test_relay_rtp(r, peers[0], 1, 2, 1000);
	test_relay_settle(r);
	assert_int_equal(test_relay_count(r, PLM_CNT_COPY_SLICE_POOL), 3);
	assert_int_equal(peers[1]->nb_got, 1);
	assert_int_equal(peers[2]->nb_got, 2);
	test_relay_free(r);
}

/* What it sends as another session may be there already, by another way. */
static void
slice__of_a_sender_that_left_is_dropped(void **state)
{
	struct test_relay *r = relay_make(2, 1024);
	struct test_peer *a = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
	struct test_peer *b = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 1);

	test_relay_settle(r);
	test_relay_rtp(r, a, 1, 0, 100);
	test_relay_turn(r, 0);
	test_relay_leave(r, a);
	test_relay_settle(r);
	assert_int_equal(b->nb_got, 0);
	assert_int_equal(test_relay_count(r, PLM_CNT_COPY_SLICE_STALE), 1);
	assert_int_equal(nb_lent(r), 0);
	test_relay_free(r);
}

/* Time for another view, and for the next hops of who is new in it; worker 1 stands still. */
static void
publish(struct test_relay *r)
{
	for (unsigned int i = 0; i < 3; i++) {
		r->now_ns += PLM_NS_PER_MS;
		test_relay_slow(r);
		test_relay_turn(r, 0);
	}
}

#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

static const struct {
	const char *name;
	enum plm_rtcp_mode mode;
	const uint8_t *rtcp; /* NULL: RTP */
	uint16_t len;
	uint16_t copy_below;
	unsigned int nb; /* packets; a turn makes 32 copies */
	bool to_owner;   /* peer 1 */
} named[] = {
	{ "a shared payload", PLM_RTCP_CLEAR, NULL, 1200, 0, 1, false },
	{ "a small copy", PLM_RTCP_CLEAR, NULL, 200, 256, 1, false },
	{ "parked ones", PLM_RTCP_CLEAR, NULL, 1200, 0, 20, false },
	{ "a BYE, to all", PLM_RTCP_CLEAR, BYTES(0x81, 203, 0, 1, 0, 0, 0, 1), 0, 1, false },
	{ "opaque, to publishers", PLM_RTCP_OPAQUE, BYTES(0x80, 201, 0, 1, 0, 0, 0, 1), 0, 1,
			false },
	{ "feedback, to an owner", PLM_RTCP_CLEAR, BYTES(0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2),
			0, 1, true },
};

/* A packet waits for worker 1 while two come back to that: one whom it serves, and one who has had the
 * packet from worker 0. */
static void
slice__reaches_whom_its_view_named_and_nobody_who_came_later(void **state)
{
	for (size_t c = 0; c < RTE_DIM(named); c++) {
		struct test_relay_conf conf = test_relay_defaults();
		struct test_peer *peers[6]; /* at workers 0 and 1 in turn, the first one sends */
		struct test_peer *back[2];
		struct test_relay *r;

		print_message("  %s\n", named[c].name);
		conf.nb_workers = conf.nb_queues = 2;
		conf.room.rtcp = named[c].mode;
		conf.copy_below = named[c].copy_below;
		conf.turn_copies = 32;
		r = test_relay_create(&conf);
		for (unsigned int i = 0; i < RTE_DIM(peers); i++)
			peers[i] = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0,
					(uint8_t)(i % 2));
		test_relay_settle(r);
		for (uint32_t i = 0; i < 3; i++)
			test_relay_rtp(r, peers[i], 1 + i, 0, 50);
		test_relay_settle(r);
		for (unsigned int i = 0; i < RTE_DIM(peers); i++)
			test_peer_clear(peers[i]);

		if (named[c].rtcp != NULL)
			test_relay_send(r, peers[0], named[c].rtcp, named[c].len, 0);
		for (uint16_t seq = 1; seq <= named[c].nb && named[c].rtcp == NULL; seq++)
			test_relay_rtp(r, peers[0], 1, seq, named[c].len);
		for (unsigned int i = 0; i < 4; i++)
			test_relay_turn(r, 0);
		assert_int_equal(nb_lent(r), named[c].nb);
		for (unsigned int i = 0; i < RTE_DIM(back); i++) {
			test_relay_leave(r, peers[1 + i]);
			publish(r);
			back[i] = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 1);
			publish(r);
		}
		if (named[c].to_owner)
			assert_int_equal(plm_session_claim_ssrc(r->sessions, back[0]->session, 2),
					0);
		test_relay_settle(r);
		for (unsigned int i = 0; i < RTE_DIM(peers); i++)
			assert_int_equal(peers[i]->nb_got,
					i < 2 || named[c].to_owner ? 0 : named[c].nb);
		for (unsigned int i = 0; i < RTE_DIM(back); i++)
			assert_int_equal(back[i]->nb_got, 0);
		assert_int_equal(nb_lent(r), 0);
		test_relay_check_sums(r, 0);

		/* And what comes from now on is theirs, too. */
		test_relay_rtp(r, peers[4], 5, 1, 100);
		test_relay_settle(r);
		for (unsigned int i = 0; i < RTE_DIM(back); i++)
			assert_int_equal(back[i]->nb_got, 1);
		test_relay_free(r);
	}
}

/* Nor is it counted as dropped for them. */
static void
slice__that_is_dropped_is_not_due_to_who_came_later(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_peer *peers[6];
	struct test_relay *r;

	conf.nb_workers = conf.nb_queues = 2;
	conf.turn_copies = 32;
	r = test_relay_create(&conf);
	for (unsigned int i = 0; i < RTE_DIM(peers); i++)
		peers[i] = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, (uint8_t)(i % 2));
	test_relay_settle(r);
	for (uint16_t seq = 0; seq < 20; seq++)
		test_relay_rtp(r, peers[0], 1, seq, 400);
	for (unsigned int i = 0; i < 4; i++)
		test_relay_turn(r, 0);
	test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 1);
	publish(r);
	test_relay_turn(r, 1);
	plm_relay_discard(r->relay);
	assert_int_equal(test_relay_count(r, PLM_CNT_COPY_STOPPED), 20 * 2);
	test_relay_free(r);
}

/* A message waits while its room closes, and another one gets the index. */
static void
slice__of_a_room_that_went_reaches_no_other(void **state)
{
	struct test_relay *r = relay_make(2, 1024);
	struct test_peer *a = test_relay_join(r, "old", PLM_ROLE_BOTH, false, 0, 0);
	struct test_peer *b = test_relay_join(r, "old", PLM_ROLE_BOTH, false, 0, 1);
	const uint32_t idx = a->room_idx;
	struct test_peer *c = NULL;

	test_relay_settle(r);
	test_relay_rtp(r, a, 1, 0, 100);
	test_relay_turn(r, 0);
	/* Asleep, as far as the slow path can tell. */
	plm_rcu_offline(&r->rcu, 1);
	test_relay_leave(r, b);
	plm_room_leave(r->rooms, idx, a->session.idx, r->now_ns);
	a->in_room = false;
	for (unsigned int i = 0; i < 2048 && (c == NULL || c->room_idx != idx); i++) {
		char name[16];

		if (c != NULL)
			test_relay_leave(r, c);
		snprintf(name, sizeof(name), "new%u", i);
		c = test_relay_join(r, name, PLM_ROLE_BOTH, false, 0, 1);
		for (unsigned int k = 0; k < 3; k++) {
			r->now_ns += PLM_NS_PER_MS;
			test_relay_turn(r, 0);
			test_relay_slow(r);
		}
	}
	assert_int_equal(c->room_idx, idx);
	plm_rcu_online(&r->rcu, 1);
	test_relay_settle(r);
	assert_int_equal(c->nb_got, 0);
	assert_int_equal(b->nb_got, 0);
	assert_int_equal(nb_lent(r), 0);
	plm_session_end(r->sessions, a->session);
	plm_session_release(r->sessions, a->session.idx);
	test_relay_free(r);
}

static void
slice__is_given_back_when_the_relay_stops(void **state)
{
	struct test_relay *r = relay_make(2, 1024);
	struct test_peer *peers[6];

	for (unsigned int i = 0; i < RTE_DIM(peers); i++)
		peers[i] = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, (uint8_t)(i % 2));
	test_relay_settle(r);
	test_relay_rtp(r, peers[0], 1, 0, 400); /* one is on its way back, one was not taken */
	test_relay_turn(r, 0);
	test_relay_turn(r, 1);
	test_relay_rtp(r, peers[0], 1, 1, 400);
	test_relay_turn(r, 0);
	plm_relay_discard(r->relay);
	assert_int_equal(test_relay_count(r, PLM_CNT_COPY_STOPPED), 3);
	assert_int_equal(nb_lent(r), 0);
	test_relay_free(r); /* every pool is full */
}

#define CROWD 10000

/* Design: one room of 10 000 participants, on two workers. */
static void
slice__room_of_ten_thousand(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	uint64_t sent;
	uint64_t due;
	struct test_relay *r;

	conf.nb_workers = conf.nb_queues = 2;
	conf.nb_txd = 16384;
	conf.ring_size = 127;
	conf.nb_hdr = 32767;
	conf.max_sessions = 16384;
	conf.max_members = conf.room.max_members = CROWD;
	r = test_relay_create(&conf);
	for (unsigned int i = 0; i < CROWD; i++) {
		struct test_peer *peer = test_relay_join(r, "crowd",
				i < 4 ? PLM_ROLE_BOTH : PLM_ROLE_SUBSCRIBE, i % 2 != 0, 0,
				(uint8_t)(i % 2));

		peer->quiet = true;
		if (i % 100 == 0)
			test_relay_step(r, PLM_NS_PER_MS);
	}
	test_relay_settle(r);
	for (uint16_t seq = 0; seq < 16; seq++) {
		for (uint32_t p = 0; p < 4; p++)
			test_relay_rtp(r, r->peers[p], 4 + p, seq, 200);
		test_relay_step(r, PLM_NS_PER_MS);
	}
	test_relay_settle(r);
	for (unsigned int i = 0; i < CROWD; i++) {
		assert_int_equal(r->peers[i]->nb_got, i < 4 ? 48 : 64);
		assert_int_equal(r->peers[i]->nb_unordered, 0);
	}
	sent = test_relay_count(r, PLM_CNT_COPIES_SENT);
	assert_int_equal(sent, 64 * (CROWD - 1));
	test_relay_check_sums(r, 0);

	/* More than anybody can send: what is not delivered is counted, copy by copy. */
	for (uint16_t seq = 16; seq < 416; seq++)
		test_relay_rtp(r, r->peers[0], 4, seq, 200);
	for (unsigned int i = 0; i < 200; i++)
		test_relay_turn(r, i % 64 == 0 ? 1 : 0);
	for (unsigned int i = 0; i < CROWD; i++)
		r->peers[i]->nb_got = 0;
	test_relay_settle(r);
	due = test_relay_count(r, PLM_CNT_COPIES_DUE);
	assert_int_equal(due, (64 + 400) * (uint64_t)(CROWD - 1));
	assert_true(test_relay_count(r, PLM_CNT_COPIES_SENT) < due);
	test_relay_check_sums(r, 0);
	test_relay_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slice__is_served_once_and_in_order),
		cmocka_unit_test(slice__is_handed_to_those_with_members_only),
		cmocka_unit_test(slice__of_a_stalled_worker_delays_no_other),
		cmocka_unit_test(slice__without_an_mbuf_is_counted),
		cmocka_unit_test(slice__larger_than_the_mtu_is_dropped_by_who_cannot_send_it),
		cmocka_unit_test(slice__of_a_sender_that_left_is_dropped),
		cmocka_unit_test(slice__reaches_whom_its_view_named_and_nobody_who_came_later),
		cmocka_unit_test(slice__that_is_dropped_is_not_due_to_who_came_later),
		cmocka_unit_test(slice__of_a_room_that_went_reaches_no_other),
		cmocka_unit_test(slice__is_given_back_when_the_relay_stops),
		cmocka_unit_test(slice__room_of_ten_thousand),
	};

	test_eal_init(512);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

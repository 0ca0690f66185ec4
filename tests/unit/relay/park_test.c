/* SPDX-License-Identifier: BSD-3-Clause */
/* Fan-outs larger than a turn or than the TX queue: nothing lost, order kept, rooms in turns; and
 * when the list is full, drops that are counted by subscriber and spread. */
#include "test_relay.h"

/* One packet to each subscriber in every turn, and a queue that is emptied slowly. */
static void
park__keeps_order_and_loses_nothing(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *a;
	struct test_peer *subs[500];

	conf.nb_txd = 64;
	conf.park_entries = 64;
	r = test_relay_create(&conf);
	a = test_relay_join(r, "room", PLM_ROLE_PUBLISH, false, 0, 0);
	for (unsigned int i = 0; i < 500; i++)
		subs[i] = test_relay_join(r, "room", PLM_ROLE_SUBSCRIBE, i % 2 == 0, 0, 0);
	test_relay_settle(r);
	for (uint16_t seq = 0; seq < 40; seq++) {
		test_relay_rtp(r, a, 1, seq, 60);
		r->now_ns += 1000;
		test_relay_turn(r, 0);
		test_relay_sink(r, 33);
	}
	assert_true(plm_relay_parked(r->relay, 0) > 0);
	assert_true(test_relay_count(r, PLM_CNT_COPY_PARKED) > 0);
	test_relay_settle(r);
	assert_int_equal(plm_relay_parked(r->relay, 0), 0);
	for (unsigned int i = 0; i < 500; i++) {
		assert_int_equal(subs[i]->nb_kept, 40);
		for (unsigned int k = 0; k < 40; k++)
			assert_int_equal(subs[i]->got[k].bytes[3], k);
	}
	assert_int_equal(test_relay_count(r, PLM_CNT_COPY_PARK_FULL), 0);
	test_relay_free(r);
}

/* The turn's copies bound a turn whatever the queue would take. */
static void
park__bounds_a_turn(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *a;
	unsigned int turns = 0;

	conf.turn_copies = 100;
	r = test_relay_create(&conf);
	a = test_relay_join(r, "room", PLM_ROLE_PUBLISH, false, 0, 0);
	for (unsigned int i = 0; i < 350; i++)
		test_relay_join(r, "room", PLM_ROLE_SUBSCRIBE, false, 0, 0)->quiet = true;
	test_relay_settle(r);
	test_relay_rtp(r, a, 1, 0, 60);
	do {
		unsigned int n;

		test_relay_turn(r, 0);
		n = test_relay_sink(r, UINT32_MAX);
		assert_true(n <= 100);
		turns++;
	} while (plm_relay_parked(r->relay, 0) > 0);
	assert_int_equal(turns, 4);
	test_relay_free(r);
}

/* Big rooms have filled the queue and wait; a small one still passes between their slices. */
static void
park__lets_a_small_room_pass(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *talkers[8];
	struct test_peer *small;
	struct test_peer *listener;

	conf.nb_txd = 512;
	r = test_relay_create(&conf);
	for (unsigned int b = 0; b < 8; b++) {
		char room[16];

		snprintf(room, sizeof(room), "big%u", b);
		talkers[b] = test_relay_join(r, room, PLM_ROLE_PUBLISH, false, 0, 0);
		for (unsigned int i = 0; i < 300; i++)
			test_relay_join(r, room, PLM_ROLE_SUBSCRIBE, false, 0, 0)->quiet = true;
	}
	small = test_relay_join(r, "small", PLM_ROLE_BOTH, false, 0, 0);
	listener = test_relay_join(r, "small", PLM_ROLE_BOTH, false, 0, 0);
	test_relay_settle(r);
	for (unsigned int round = 0; round < 20; round++) {
		unsigned int before = listener->nb_got;

		for (unsigned int b = 0; b < 8; b++)
			test_relay_rtp(r, talkers[b], 1, (uint16_t)round, 60);
		test_relay_turn(r, 0);
		test_relay_rtp(r, small, 2, (uint16_t)round, 60);
		test_relay_turn(r, 0);
		test_relay_sink(r, 256);
		test_relay_turn(r, 0);
		test_relay_sink(r, 512);
		assert_int_equal(listener->nb_got, before + 1);
		test_relay_settle(r);
	}
	test_relay_free(r);
}

static void
park__drops_from_a_rotating_start(void **state)
{
	enum { NB_SUBS = 400, NB_PACKETS = 200 };
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *a;
	struct test_peer *subs[NB_SUBS];
	uint64_t lost = 0;
	uint64_t least = UINT64_MAX;
	uint64_t most = 0;

	conf.nb_txd = 64;
	conf.park_entries = 1;
	r = test_relay_create(&conf);
	a = test_relay_join(r, "room", PLM_ROLE_PUBLISH, false, 0, 0);
	/* Takes the only place on the list, on and off. */
	for (unsigned int i = 0; i < NB_SUBS; i++) {
		subs[i] = test_relay_join(r, "room", PLM_ROLE_SUBSCRIBE, false, 0, 0);
		subs[i]->quiet = true;
	}
	test_relay_settle(r);
	for (uint16_t seq = 0; seq < NB_PACKETS; seq++) {
		test_relay_rtp(r, a, 1, seq, 60);
		r->now_ns += 1000;
		test_relay_turn(r, 0);
		test_relay_sink(r, 100);
	}
	test_relay_settle(r);
	for (unsigned int i = 0; i < NB_SUBS; i++) {
		uint64_t dropped = r->sessions->tx[0][subs[i]->session.idx].dropped;

		assert_int_equal(subs[i]->nb_got + dropped, NB_PACKETS);
		lost += dropped;
		least = RTE_MIN(least, dropped);
		most = RTE_MAX(most, dropped);
	}
	assert_true(lost > 0);
	assert_int_equal(lost, test_relay_count(r, PLM_CNT_COPY_PARK_FULL));
	/* About three quarters do not fit; nobody gets all, nobody nothing. */
	assert_true(most < NB_PACKETS);
	assert_true(least > 0);
	test_relay_free(r);
}

/* A job keeps its view: who joined later is not in it, who left gets nothing more. */
static void
park__pins_its_view(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *a;
	struct test_peer *subs[300];
	struct test_peer *late;

	conf.nb_txd = 64;
	r = test_relay_create(&conf);
	a = test_relay_join(r, "room", PLM_ROLE_PUBLISH, false, 0, 0);
	for (unsigned int i = 0; i < 300; i++)
		subs[i] = test_relay_join(r, "room", PLM_ROLE_SUBSCRIBE, false, 0, 0);
	test_relay_settle(r);
	test_relay_rtp(r, a, 1, 0, 60);
	test_relay_turn(r, 0);

	late = test_relay_join(r, "room", PLM_ROLE_SUBSCRIBE, false, 0, 0);
	for (unsigned int i = 290; i < 300; i++)
		test_relay_leave(r, subs[i]);
	for (unsigned int i = 0; i < 5;
			i++) { /* published, and a grace period: pinned all the same */
		r->now_ns += 2 * PLM_NS_PER_MS;
		test_relay_turn(r, 0);
		test_relay_slow(r);
	}
	assert_true(plm_room_backlog(r->rooms) > 0);
	assert_int_equal(plm_session_nb_pending(r->sessions), 10);
	test_relay_settle(r);
	assert_int_equal(plm_room_backlog(r->rooms), 0);
	assert_int_equal(plm_session_nb_pending(r->sessions), 0);
	for (unsigned int i = 0; i < 300; i++)
		assert_int_equal(subs[i]->nb_got, i < 290);
	assert_int_equal(late->nb_got, 0);
	assert_int_equal(test_relay_count(r, PLM_CNT_COPY_LEFT), 10);
	test_relay_free(r);
}

static void
park__is_counted_when_the_relay_stops(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *a;

	conf.nb_txd = 64;
	r = test_relay_create(&conf);
	a = test_relay_join(r, "room", PLM_ROLE_PUBLISH, false, 0, 0);
	for (unsigned int i = 0; i < 300; i++)
		test_relay_join(r, "room", PLM_ROLE_SUBSCRIBE, i % 2 == 0, 0, 0)->quiet = true;
	test_relay_settle(r);
	for (uint16_t seq = 0; seq < 3; seq++) {
		test_relay_rtp(r, a, 1, seq, 60);
		test_relay_turn(r, 0);
	}
	plm_relay_discard(r->relay);
	assert_int_equal(test_relay_count(r, PLM_CNT_COPIES_SENT), 64);
	assert_int_equal(test_relay_count(r, PLM_CNT_COPY_STOPPED), 3 * 300 - 64);
	test_relay_free(r);
}

/* A port whose queue takes nothing delays nobody on another. */
static void
park__is_per_port(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *a;
	struct test_peer *stuck[2];
	struct test_peer *free_one;
	struct rte_mbuf *m;

	conf.nb_ports = 2;
	conf.nb_txd = 64;
	r = test_relay_create(&conf);
	a = test_relay_join(r, "room", PLM_ROLE_PUBLISH, false, 0, 0);
	stuck[0] = test_relay_join(r, "room", PLM_ROLE_SUBSCRIBE, false, 0, 0);
	stuck[1] = test_relay_join(r, "room", PLM_ROLE_SUBSCRIBE, true, 0, 0);
	free_one = test_relay_join(r, "room", PLM_ROLE_SUBSCRIBE, false, 1, 0);
	test_relay_settle(r);
	for (unsigned int i = 0; i < 64; i++) { /* nobody empties port 0 */
		m = rte_pktmbuf_alloc(r->frame_pool);
		assert_int_equal(rte_ring_enqueue(r->tx[0][0], m), 0);
	}
	for (uint16_t seq = 0; seq < 100; seq++) {
		test_relay_rtp(r, a, 1, seq, 60);
		test_relay_turn(r, 0);
	}
	assert_int_equal(rte_ring_count(r->tx[1][0]), 64);
	while (rte_ring_count(r->tx[0][0]) > 0) {
		assert_int_equal(rte_ring_dequeue(r->tx[0][0], (void **)&m), 0);
		rte_pktmbuf_free(m);
	}
	test_relay_settle(r);
	assert_int_equal(free_one->nb_got, 100);
	assert_int_equal(stuck[0]->nb_got + r->sessions->tx[0][stuck[0]->session.idx].dropped, 100);
	assert_int_equal(stuck[1]->nb_got + r->sessions->tx[0][stuck[1]->session.idx].dropped, 100);
	test_relay_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(park__keeps_order_and_loses_nothing),
		cmocka_unit_test(park__bounds_a_turn),
		cmocka_unit_test(park__lets_a_small_room_pass),
		cmocka_unit_test(park__drops_from_a_rotating_start),
		cmocka_unit_test(park__pins_its_view),
		cmocka_unit_test(park__is_counted_when_the_relay_stops),
		cmocka_unit_test(park__is_per_port),
	};

	test_eal_init(512);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* A port with 512 descriptors that sends 500 frames a turn, a room of 3 000 whose copies come to
 * 90 % of that, and a room of three beside it. The big room loses nothing, and a packet of the small
 * one has left at the end of the turn after the one that received it. */
#include <stdlib.h>

#include "test_relay.h"

#define NB_SUBS   2999
#define NB_TURNS  4000 /* of the full form; a quarter of it otherwise */
#define TURN_NS   (100 * PLM_NS_PER_US)
#define RATE      500 /* frames a turn */
#define BIG_EVERY 7   /* turns: 2 999 copies in 7, beside 2 of the small room in each */

static void
check_in_order(const struct test_peer *peer, unsigned int n)
{
	assert_int_equal(peer->nb_kept, n);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(peer->got[i].bytes[2] << 8 | peer->got[i].bytes[3], i);
}

static void
big_room__loses_nothing_and_delays_nobody(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *talker;
	static struct test_peer *subs[NB_SUBS];
	struct test_peer *small[3];
	static uint64_t sent_ns[NB_TURNS];
	const unsigned int nb_turns = getenv("PLM_TEST_LONG") != NULL ? NB_TURNS : NB_TURNS / 4;
	unsigned int nb_big = 0;
	unsigned int most = 0;

	conf.nb_txd = 512;
	r = test_relay_create(&conf);
	talker = test_relay_join(r, "big", PLM_ROLE_BOTH, false, 0, 0);
	for (unsigned int i = 0; i < NB_SUBS; i++) {
		subs[i] = test_relay_join(r, "big", PLM_ROLE_BOTH, i % 2 == 0, 0, 0);
		subs[i]->quiet = true; /* what it gets is looked at as it comes, and not kept */
	}
	for (unsigned int i = 0; i < 3; i++)
		small[i] = test_relay_join(r, "small", PLM_ROLE_BOTH, i == 2, 0, 0);
	test_relay_settle(r);

	for (unsigned int turn = 0; turn < nb_turns; turn++) {
		r->now_ns += TURN_NS;
		if (turn % BIG_EVERY == 0)
			test_relay_rtp(r, talker, 1, (uint16_t)nb_big++, 200);
		sent_ns[turn] = r->now_ns;
		test_relay_rtp(r, small[0], 2, (uint16_t)turn, 160);
		test_relay_turn(r, 0);
		most = RTE_MAX(most, plm_relay_parked(r->relay, 0));
		test_relay_sink(r, RATE);
		test_relay_slow(r);
	}
	test_relay_settle(r);

	for (unsigned int i = 0; i < NB_SUBS; i++) {
		assert_int_equal(subs[i]->nb_got, nb_big);
		assert_int_equal(subs[i]->nb_unordered, 0);
	}
	for (unsigned int k = 1; k < 3; k++) {
		check_in_order(small[k], nb_turns);
		for (unsigned int i = 0; i < nb_turns; i++)
			assert_true(small[k]->got[i].at_ns <= sent_ns[i] + TURN_NS);
	}
	assert_true(most > 0); /* the queue did fill */
	assert_int_equal(test_relay_count(r, PLM_CNT_COPIES_SENT),
			(uint64_t)nb_big * NB_SUBS + 2 * nb_turns);
	test_relay_check_sums(r, 0);
	test_relay_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(big_room__loses_nothing_and_delays_nobody),
	};

	test_eal_init(1024);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

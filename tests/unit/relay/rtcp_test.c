/* SPDX-License-Identifier: BSD-3-Clause */
/* Who gets which compound. */
#include "test_relay.h"

/* Members, and their bit in `to`. P1 and P2 own the media SSRCs 1 and 2. */
enum { P1, P2, S1, S2, NB };
#define TO(m)   (1u << (m))
#define SSRC(n) 0, 0, 0, n

#define SR(s)        0x80, 200, 0, 6, SSRC(s), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
#define RR0(s)       0x80, 201, 0, 1, SSRC(s)
#define BLOCK(m)     SSRC(m), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
#define RR1(s, m)    0x81, 201, 0, 7, SSRC(s), BLOCK(m)
#define RR2(s, m, n) 0x82, 201, 0, 13, SSRC(s), BLOCK(m), BLOCK(n)
#define SDES(s)      0x81, 202, 0, 2, SSRC(s), 0, 0, 0, 0
#define PLI(s, m)    0x81, 206, 0, 2, SSRC(s), SSRC(m)
#define NACK(s, m)   0x81, 205, 0, 3, SSRC(s), SSRC(m), 0, 1, 0, 0
#define BYE(s)       0x81, 203, 0, 1, SSRC(s)

#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

static const struct {
	const char *name;
	enum plm_rtcp_mode mode;
	unsigned int from;
	const uint8_t *bytes;
	uint16_t len;
	unsigned int to;
	enum plm_counter count;
} cases[] = {
	{ "SR goes to all", PLM_RTCP_CLEAR, P1, BYTES(SR(1), SDES(1)), TO(P2) | TO(S1) | TO(S2),
			PLM_CNT_RTCP },
	{ "a subscriber's SR, too", PLM_RTCP_CLEAR, S1, BYTES(SR(9)), TO(P1) | TO(P2) | TO(S2),
			PLM_CNT_RTCP },
	{ "BYE goes to all, wherever it stands", PLM_RTCP_CLEAR, S1, BYTES(RR0(9), SDES(9), BYE(9)),
			TO(P1) | TO(P2) | TO(S2), PLM_CNT_RTCP },
	{ "RR goes to whom it names", PLM_RTCP_CLEAR, S1, BYTES(RR1(9, 1), SDES(9)), TO(P1),
			PLM_CNT_RTCP },
	{ "RR that names two", PLM_RTCP_CLEAR, S1, BYTES(RR2(9, 1, 2), SDES(9)), TO(P1) | TO(P2),
			PLM_CNT_RTCP },
	{ "one owner named twice gets it once", PLM_RTCP_CLEAR, S1, BYTES(RR2(9, 2, 2), PLI(9, 2)),
			TO(P2), PLM_CNT_RTCP },
	{ "feedback behind an RR", PLM_RTCP_CLEAR, S2, BYTES(RR0(8), PLI(8, 2)), TO(P2),
			PLM_CNT_RTCP },
	{ "bare feedback", PLM_RTCP_CLEAR, S2, BYTES(NACK(8, 1)), TO(P1), PLM_CNT_RTCP },
	{ "to a publisher that does not subscribe", PLM_RTCP_CLEAR, P1, BYTES(PLI(1, 2)), TO(P2),
			PLM_CNT_RTCP },
	{ "SDES does not widen it", PLM_RTCP_CLEAR, S1, BYTES(RR0(9), SDES(9)), 0,
			PLM_CNT_RX_RTCP_NO_TARGET },
	{ "an SSRC that nobody owns", PLM_RTCP_CLEAR, S1, BYTES(PLI(9, 66)), 0,
			PLM_CNT_RX_RTCP_NO_TARGET },
	{ "one's own SSRC", PLM_RTCP_CLEAR, P1, BYTES(PLI(1, 1)), 0, PLM_CNT_RX_RTCP_NO_TARGET },
	{ "a sender SSRC of somebody else", PLM_RTCP_CLEAR, S1, BYTES(RR1(2, 1)), 0,
			PLM_CNT_RX_SSRC_FOREIGN },
	{ "a BYE in somebody else's name", PLM_RTCP_CLEAR, S1, BYTES(RR0(9), BYE(2)), 0,
			PLM_CNT_RX_SSRC_FOREIGN },
	{ "a BYE with somebody else's SSRC among one's own", PLM_RTCP_CLEAR, P1,
			BYTES(RR0(1), 0x82, 203, 0, 2, SSRC(1), SSRC(2)), 0,
			PLM_CNT_RX_SSRC_FOREIGN },
	{ "a BYE for SSRCs of one's own and of nobody", PLM_RTCP_CLEAR, P1,
			BYTES(RR0(1), 0x82, 203, 0, 2, SSRC(1), SSRC(66)), TO(P2) | TO(S1) | TO(S2),
			PLM_CNT_RTCP },
	{ "a second SR of somebody else", PLM_RTCP_CLEAR, P1, BYTES(SR(1), SR(2)), 0,
			PLM_CNT_RX_SSRC_FOREIGN },
	{ "feedback in somebody else's name", PLM_RTCP_CLEAR, S1, BYTES(RR0(9), PLI(1, 2)), 0,
			PLM_CNT_RX_SSRC_FOREIGN },
	{ "an SDES of somebody else", PLM_RTCP_CLEAR, P1, BYTES(SR(1), SDES(2)), 0,
			PLM_CNT_RX_SSRC_FOREIGN },
	{ "a second sender that is nobody's", PLM_RTCP_CLEAR, P1, BYTES(SR(1), SR(66)),
			TO(P2) | TO(S1) | TO(S2), PLM_CNT_RTCP },
	{ "second packet cut", PLM_RTCP_CLEAR, S1, BYTES(RR1(9, 1), 0x81, 202, 0, 9), 0,
			PLM_CNT_RX_RTCP_MALFORMED },
	{ "second packet of another version", PLM_RTCP_CLEAR, S1,
			BYTES(RR1(9, 1), 0x41, 206, 0, 2, SSRC(9), SSRC(1)), 0,
			PLM_CNT_RX_RTCP_MALFORMED },
	{ "opaque: SR goes to all", PLM_RTCP_OPAQUE, P1, BYTES(SR(1), 0xde, 0xad, 0xbe),
			TO(P2) | TO(S1) | TO(S2), PLM_CNT_RTCP },
	{ "opaque: BYE goes to all", PLM_RTCP_OPAQUE, S1, BYTES(BYE(9), 0xde, 0xad),
			TO(P1) | TO(P2) | TO(S2), PLM_CNT_RTCP },
	{ "opaque: RR goes to publishers", PLM_RTCP_OPAQUE, S1,
			BYTES(RR0(9), 0xde, 0xad, 0xbe, 0xef), TO(P1) | TO(P2), PLM_CNT_RTCP },
	{ "opaque: SDES goes to publishers", PLM_RTCP_OPAQUE, S2, BYTES(SDES(8)), TO(P1) | TO(P2),
			PLM_CNT_RTCP },
	{ "opaque: a publisher's feedback goes to the others", PLM_RTCP_OPAQUE, P1,
			BYTES(PLI(1, 0xff)), TO(P2), PLM_CNT_RTCP },
	{ "opaque: 7 bytes", PLM_RTCP_OPAQUE, S1, BYTES(0x80, 201, 0, 1, 0, 0, 0), 0,
			PLM_CNT_RX_RTCP_MALFORMED },
};

/* Member i lives with worker i modulo nb_workers. */
static struct test_relay *
room_make(enum plm_rtcp_mode mode, struct test_peer *peers[NB], uint32_t rtcp_rate,
		unsigned int nb_workers)
{
	static const enum plm_role roles[NB] = { PLM_ROLE_BOTH, PLM_ROLE_PUBLISH,
		PLM_ROLE_SUBSCRIBE, PLM_ROLE_SUBSCRIBE };
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;

	conf.room.rtcp = mode;
	conf.rtcp_rate = rtcp_rate;
	conf.nb_workers = conf.nb_queues = nb_workers;
	r = test_relay_create(&conf);
	for (unsigned int i = 0; i < NB; i++)
		peers[i] = test_relay_join(r, "room", roles[i], i % 2 != 0, 0,
				(uint8_t)(i % nb_workers));
	test_relay_settle(r);
	test_relay_rtp(r, peers[P1], 1, 0, 50);
	test_relay_rtp(r, peers[P2], 2, 0, 50);
	test_relay_settle(r);
	for (unsigned int i = 0; i < NB; i++)
		test_peer_clear(peers[i]);
	return r;
}

static void
cases_check(unsigned int nb_workers)
{
	for (size_t c = 0; c < RTE_DIM(cases); c++) {
		struct test_peer *peers[NB];
		struct test_relay *r = room_make(cases[c].mode, peers, 1000, nb_workers);

		print_message("  %s\n", cases[c].name);
		test_relay_send(r, peers[cases[c].from], cases[c].bytes, cases[c].len, 0);
		test_relay_settle(r);
		for (unsigned int i = 0; i < NB; i++) {
			unsigned int want = (cases[c].to & TO(i)) != 0;

			if (peers[i]->nb_got != want)
				fail_msg("member %u got %u", i, peers[i]->nb_got);
			if (want) {
				assert_int_equal(peers[i]->got[0].len, cases[c].len);
				assert_memory_equal(peers[i]->got[0].bytes, cases[c].bytes,
						cases[c].len);
			}
		}
		assert_int_equal(test_relay_count(r, cases[c].count), 1);
		test_relay_check_sums(r, 0);
		test_relay_free(r);
	}
}

static void
rtcp__goes_where_it_belongs(void **state)
{
	cases_check(1);
}

static void
rtcp__goes_there_whoever_serves_it(void **state)
{
	cases_check(2);
	cases_check(3);
}

static void
rtcp__claims_its_sender_for_subscribers_too(void **state)
{
	struct test_peer *peers[NB];
	struct test_relay *r = room_make(PLM_RTCP_CLEAR, peers, 1000, 1);
	const uint8_t rr[] = { RR1(9, 1) };
	const uint8_t pli[] = { PLI(1, 9) };

	test_relay_send(r, peers[S1], rr, sizeof(rr), 0);
	test_relay_settle(r);
	assert_int_equal(plm_sref_idx(plm_session_ssrc_owner(r->sessions, peers[S1]->room_idx, 9)),
			peers[S1]->session.idx);
	/* So an answer finds its way back. */
	test_relay_send(r, peers[P1], pli, sizeof(pli), 0);
	test_relay_settle(r);
	assert_int_equal(peers[S1]->nb_got, 1);
	test_relay_free(r);
}

/* Neither what is dropped, nor a second sender. */
static void
rtcp__claims_no_other_ssrc(void **state)
{
	struct test_peer *peers[NB];
	struct test_relay *r = room_make(PLM_RTCP_CLEAR, peers, 1000, 1);
	const uint8_t forged[] = { RR0(9), BYE(2) };
	const uint8_t two[] = { RR0(8), PLI(7, 1), BYE(6) };

	test_relay_send(r, peers[S1], forged, sizeof(forged), 0);
	test_relay_send(r, peers[S2], two, sizeof(two), 0);
	test_relay_settle(r);
	for (uint32_t ssrc = 6; ssrc <= 9; ssrc++) {
		plm_sref_t owner = plm_session_ssrc_owner(r->sessions, peers[S1]->room_idx, ssrc);

		assert_int_equal(owner != 0, ssrc == 8);
	}
	test_relay_free(r);
}

static void
rtcp__is_limited(void **state)
{
	struct test_peer *peers[NB];
	struct test_relay *r = room_make(PLM_RTCP_OPAQUE, peers, 10, 1);
	const uint8_t rr[] = { RR0(9) };

	for (unsigned int i = 0; i < 100; i++)
		test_relay_send(r, peers[S1], rr, sizeof(rr), 0);
	for (unsigned int i = 0; i < 5; i++)
		test_relay_step(r, 0);
	assert_int_equal(peers[P2]->nb_got + test_relay_count(r, PLM_CNT_RX_RTCP_RATE), 100);
	assert_in_range(peers[P2]->nb_got, 10, 20);
	test_relay_settle(r);
	test_relay_free(r);
}

/* A compound between media of its room neither overtakes nor is overtaken. */
static void
rtcp__keeps_its_place(void **state)
{
	struct test_peer *peers[NB];
	struct test_relay *r = room_make(PLM_RTCP_CLEAR, peers, 1000, 1);
	const uint8_t sr[] = { SR(1) };

	test_relay_rtp(r, peers[P1], 1, 1, 50);
	test_relay_send(r, peers[P1], sr, sizeof(sr), 0);
	test_relay_rtp(r, peers[P1], 1, 2, 50);
	test_relay_settle(r);
	assert_int_equal(peers[S1]->nb_kept, 3);
	assert_int_equal(peers[S1]->got[0].bytes[3], 1);
	assert_int_equal(peers[S1]->got[1].len, sizeof(sr));
	assert_int_equal(peers[S1]->got[2].bytes[3], 2);
	test_relay_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rtcp__goes_where_it_belongs),
		cmocka_unit_test(rtcp__goes_there_whoever_serves_it),
		cmocka_unit_test(rtcp__claims_its_sender_for_subscribers_too),
		cmocka_unit_test(rtcp__claims_no_other_ssrc),
		cmocka_unit_test(rtcp__is_limited),
		cmocka_unit_test(rtcp__keeps_its_place),
	};

	test_eal_init(512);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

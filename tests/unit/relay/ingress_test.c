/* SPDX-License-Identifier: BSD-3-Clause */
/* What a received packet must pass before it is fanned out. */
#include "test_relay.h"

struct room {
	struct test_relay *r;
	struct test_peer *both;
	struct test_peer *listener; /* may not publish */
	struct test_peer *other;
};

static struct room
room_make(const struct test_relay_conf *conf)
{
	struct room room = { .r = test_relay_create(conf) };

	room.both = test_relay_join(room.r, "room", PLM_ROLE_BOTH, false, 0, 0);
	room.listener = test_relay_join(room.r, "room", PLM_ROLE_SUBSCRIBE, true, 0, 0);
	room.other = test_relay_join(room.r, "room", PLM_ROLE_BOTH, false, 0, 0);
	test_relay_settle(room.r);
	return room;
}

#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

static const struct {
	const char *name;
	const uint8_t *payload;
	uint16_t len;
	enum plm_counter why;
} payload_cases[] = {
	{ "first byte 4", BYTES(4, 0, 0, 0), PLM_CNT_RX_FIRST_BYTE },
	{ "first byte 19", BYTES(19, 0, 0, 0), PLM_CNT_RX_FIRST_BYTE },
	{ "DTLS", BYTES(22, 254, 253, 0), PLM_CNT_RX_FIRST_BYTE },
	{ "QUIC short header", BYTES(0x40, 1, 2, 3), PLM_CNT_RX_FIRST_BYTE },
	{ "QUIC long header", BYTES(0xc0, 1, 2, 3), PLM_CNT_RX_FIRST_BYTE },
	{ "one byte of RTP", BYTES(0x80), PLM_CNT_RX_RTP_MALFORMED },
	{ "RTP header cut", BYTES(0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 1), PLM_CNT_RX_RTP_MALFORMED },
	{ "CSRCs that are not there", BYTES(0x83, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2),
			PLM_CNT_RX_RTP_MALFORMED },
	{ "an extension that is not there",
			BYTES(0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xbe, 0xde, 0, 4),
			PLM_CNT_RX_RTP_MALFORMED },
	{ "RTCP header cut", BYTES(0x80, 200, 0), PLM_CNT_RX_RTCP_MALFORMED },
	{ "RTCP length beyond the datagram", BYTES(0x80, 201, 0, 9, 0, 0, 0, 1),
			PLM_CNT_RX_RTCP_MALFORMED },
	{ "empty", NULL, 0, PLM_CNT_RX_EMPTY },
};

static void
ingress__drops_what_is_malformed(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct room room = room_make(&conf);

	for (size_t i = 0; i < RTE_DIM(payload_cases); i++) {
		uint64_t before = test_relay_count(room.r, payload_cases[i].why);

		test_relay_send(room.r, room.both, payload_cases[i].payload, payload_cases[i].len,
				0);
		test_relay_settle(room.r);
		if (test_relay_count(room.r, payload_cases[i].why) != before + 1)
			fail_msg("%s: not counted", payload_cases[i].name);
		test_relay_check_sums(room.r, 0);
	}
	assert_int_equal(room.other->nb_got, 0);
	assert_int_equal(test_relay_count(room.r, PLM_CNT_MEDIA), 0);
	test_relay_free(room.r);
}

static void
ingress__drops_unknown_sources(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct room room = room_make(&conf);
	struct test_peer stranger = *room.both;

	stranger.udp_port = 9;
	test_relay_rtp(room.r, &stranger, 1, 0, 100);
	stranger = *room.listener;
	stranger.ip.addr[15] ^= 1;
	test_relay_rtp(room.r, &stranger, 1, 0, 100);
	test_relay_settle(room.r);
	assert_int_equal(test_relay_count(room.r, PLM_CNT_RX_NO_SESSION), 2);
	assert_int_equal(room.other->nb_got, 0);
	test_relay_free(room.r);
}

static void
ingress__lets_only_publishers_publish(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct room room = room_make(&conf);

	test_relay_rtp(room.r, room.listener, 1, 0, 100);
	test_relay_settle(room.r);
	assert_int_equal(test_relay_count(room.r, PLM_CNT_RX_ROLE), 1);
	assert_int_equal(room.r->sessions->hot[room.listener->session.idx].rx_dropped, 1);
	assert_int_equal(room.other->nb_got, 0);
	test_relay_free(room.r);
}

static const struct {
	const char *name;
	struct plm_rate packet_rate;
	struct plm_rate bit_rate;
	enum plm_counter why;
	unsigned int first; /* of 50 packets of 125 bytes at one instant */
	unsigned int later; /* of 50 more, 100 ms later */
} rate_cases[] = {
	{ "unlimited", { 0, 0 }, { 0, 0 }, PLM_CNT_RX_RATE_PACKETS, 50, 50 },
	{ "100/s, 95 ms ahead", { 10000000, 95000 }, { 0, 0 }, PLM_CNT_RX_RATE_PACKETS, 10, 10 },
	{ "100/s, no burst", { 10000000, 0 }, { 0, 0 }, PLM_CNT_RX_RATE_PACKETS, 1, 1 },
	/* 1 000 bits a packet, 100 kbit/s: 10 us a bit, in units of 1/1024 ns */
	{ "100 kbit/s, 95 ms ahead", { 0, 0 }, { 10240000, 95000 }, PLM_CNT_RX_RATE_BITS, 10, 10 },
	{ "the stricter of both", { 20000000, 95000 }, { 10240000, 95000 }, PLM_CNT_RX_RATE_PACKETS,
			5, 5 },
};

static void
ingress__limits_packets_and_bits(void **state)
{
	for (size_t c = 0; c < RTE_DIM(rate_cases); c++) {
		struct test_relay_conf conf = test_relay_defaults();
		struct room room;

		print_message("  %s\n", rate_cases[c].name);
		conf.packet_rate = rate_cases[c].packet_rate;
		conf.bit_rate = rate_cases[c].bit_rate;
		room = room_make(&conf);
		for (uint16_t i = 0; i < 50; i++)
			test_relay_rtp(room.r, room.both, 1, i, 125);
		for (unsigned int i = 0; i < 4; i++)
			test_relay_step(room.r, 0);
		assert_int_equal(room.other->nb_got, rate_cases[c].first);
		room.r->now_ns += 100 * PLM_NS_PER_MS;
		for (uint16_t i = 50; i < 100; i++)
			test_relay_rtp(room.r, room.both, 1, i, 125);
		for (unsigned int i = 0; i < 4; i++)
			test_relay_step(room.r, 0);
		assert_int_equal(room.other->nb_got, rate_cases[c].first + rate_cases[c].later);
		assert_int_equal(test_relay_count(room.r, rate_cases[c].why),
				100 - rate_cases[c].first - rate_cases[c].later);
		/* One participant's excess is nobody else's. */
		test_relay_rtp(room.r, room.other, 2, 0, 125);
		test_relay_step(room.r, 0);
		assert_int_equal(room.both->nb_got, 1);
		test_relay_free(room.r);
	}
}

static void
ingress__claims_ssrcs(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct room room = room_make(&conf);
	uint32_t idx = room.both->session.idx;

	/* Forwarded at once, settled afterwards. */
	test_relay_rtp(room.r, room.both, 77, 0, 100);
	test_relay_turn(room.r, 0);
	test_relay_sink(room.r, UINT32_MAX);
	assert_int_equal(room.other->nb_got, 1);
	assert_int_equal(plm_session_ssrc_owner(room.r->sessions, room.both->room_idx, 77), 0);
	test_relay_settle(room.r);
	assert_int_equal(plm_sref_idx(plm_session_ssrc_owner(room.r->sessions, room.both->room_idx,
					 77)),
			idx);
	/* Somebody else's from now on. */
	test_relay_rtp(room.r, room.other, 77, 0, 100);
	test_relay_rtp(room.r, room.both, 77, 1, 100);
	test_relay_settle(room.r);
	assert_int_equal(test_relay_count(room.r, PLM_CNT_RX_SSRC_FOREIGN), 1);
	assert_int_equal(room.both->nb_got, 0);
	assert_int_equal(room.other->nb_got, 2);
	assert_int_equal(room.r->sessions->hot[idx].streams[0].ingress, 2);
	test_relay_free(room.r);
}

static void
ingress__settles_claims_made_at_once(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct room room = room_make(&conf);

	test_relay_rtp(room.r, room.both, 5, 0, 100);
	test_relay_rtp(room.r, room.other, 5, 0, 100);
	test_relay_settle(room.r);
	assert_int_equal(room.r->nb_clashes, 1);
	assert_int_equal(room.listener->nb_got, 2);
	/* The loser was told to forget it. */
	test_relay_rtp(room.r, room.both, 5, 1, 100);
	test_relay_rtp(room.r, room.other, 5, 1, 100);
	test_relay_settle(room.r);
	assert_int_equal(room.listener->nb_got, 3);
	assert_int_equal(test_relay_count(room.r, PLM_CNT_RX_SSRC_FOREIGN), 1);
	/* And is free to use another one. */
	test_relay_rtp(room.r, room.other, 6, 0, 100);
	test_relay_settle(room.r);
	assert_int_equal(room.listener->nb_got, 4);
	test_relay_free(room.r);
}

static void
ingress__limits_ssrcs(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct room room;

	conf.max_ssrcs = 3;
	room = room_make(&conf);
	for (uint32_t ssrc = 1; ssrc <= 5; ssrc++)
		test_relay_rtp(room.r, room.both, ssrc, 0, 100);
	test_relay_settle(room.r);
	assert_int_equal(room.other->nb_got, 3);
	assert_int_equal(test_relay_count(room.r, PLM_CNT_RX_SSRC_LIMIT), 2);
	test_relay_free(room.r);
}

/* More claims than the ring takes: none is lost. */
static void
ingress__repeats_claims_until_they_are_taken(void **state)
{
	enum { NB = 60 };
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *peers[NB];

	conf.ring_size = 8;
	r = test_relay_create(&conf);
	for (unsigned int i = 0; i < NB; i++)
		peers[i] = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
	test_relay_settle(r);
	r->settle_claims = false;
	for (unsigned int i = 0; i < NB; i++) {
		test_relay_rtp(r, peers[i], 1000 + i, 0, 50);
		test_relay_rtp(r, peers[i], 2000 + i, 0, 50);
	}
	test_relay_settle(r);
	r->settle_claims = true;
	for (unsigned int i = 0; i < 2 * NB; i++)
		test_relay_step(r, PLM_NS_PER_MS);
	for (unsigned int i = 0; i < NB; i++) {
		uint32_t idx = peers[i]->session.idx;

		assert_int_equal(r->sessions->hot[idx].claims_pending, 0);
		assert_int_equal(plm_sref_idx(plm_session_ssrc_owner(r->sessions,
						 peers[i]->room_idx, 1000 + i)),
				idx);
		assert_int_equal(plm_sref_idx(plm_session_ssrc_owner(r->sessions,
						 peers[i]->room_idx, 2000 + i)),
				idx);
		assert_int_equal(peers[i]->nb_got, 2 * (NB - 1));
	}
	test_relay_free(r);
}

static void
ingress__notes_who_was_heard(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct room room = room_make(&conf);
	struct plm_session_hot *hot = &room.r->sessions->hot[room.both->session.idx];

	room.r->now_ns = 5 * PLM_NS_PER_S;
	test_relay_rtp(room.r, room.both, 1, 0, 100);
	test_relay_step(room.r, 0);
	assert_int_equal(hot->heard_ms[0], 5000);
	assert_int_equal(hot->rx_packets, 1);
	assert_int_equal(hot->rx_bytes, 100);
	test_relay_free(room.r);
}

static void
ingress__receives_only_while_running(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct room room = room_make(&conf);

	plm_relay_set_running(room.r->relay, false);
	test_relay_rtp(room.r, room.both, 1, 0, 100);
	test_relay_settle(room.r);
	assert_int_equal(room.other->nb_got, 0);
	plm_relay_set_running(room.r->relay, true);
	test_relay_settle(room.r);
	assert_int_equal(room.other->nb_got, 1);
	test_relay_free(room.r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ingress__drops_what_is_malformed),
		cmocka_unit_test(ingress__drops_unknown_sources),
		cmocka_unit_test(ingress__lets_only_publishers_publish),
		cmocka_unit_test(ingress__limits_packets_and_bits),
		cmocka_unit_test(ingress__claims_ssrcs),
		cmocka_unit_test(ingress__settles_claims_made_at_once),
		cmocka_unit_test(ingress__limits_ssrcs),
		cmocka_unit_test(ingress__repeats_claims_until_they_are_taken),
		cmocka_unit_test(ingress__notes_who_was_heard),
		cmocka_unit_test(ingress__receives_only_while_running),
	};

	test_eal_init(512);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

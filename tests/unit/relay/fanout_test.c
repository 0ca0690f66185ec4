/* SPDX-License-Identifier: BSD-3-Clause */
/* Copies: byte-exact, to everybody who is owed one and to nobody else, each counted. */
#include "plm_wire.h"
#include "test_relay.h"

#define NB_PACKETS 5

static void
expect_stream(const struct test_peer *peer, uint32_t ssrc, unsigned int n, uint16_t len,
		uint8_t tos)
{
	uint8_t want[1600];

	assert_int_equal(peer->nb_kept, n);
	for (unsigned int i = 0; i < n; i++) {
		test_rtp(want, ssrc, (uint16_t)i, len);
		assert_int_equal(peer->got[i].len, len);
		assert_int_equal(peer->got[i].tos, tos);
		assert_memory_equal(peer->got[i].bytes, want, len);
	}
}

static const struct {
	const char *name;
	enum plm_chain chain;
	uint16_t copy_below;
	uint16_t len;
	uint8_t dscp;
	uint8_t tos_in;
	uint8_t tos_out;
	uint8_t nb_segs;
} way_cases[] = {
	{ "shared", PLM_CHAIN_AUTO, 0, 200, PLM_DSCP_COPY, 0, 0, 2 },
	{ "shared, large", PLM_CHAIN_AUTO, 256, 1400, PLM_DSCP_COPY, 0xb8, 0xb8, 2 },
	{ "shared, odd length", PLM_CHAIN_AUTO, 0, 333, PLM_DSCP_COPY, 0, 0, 2 },
	{ "copied below the threshold", PLM_CHAIN_AUTO, 256, 200, 46, 0x02, 0xba, 1 },
	{ "at the threshold", PLM_CHAIN_AUTO, 256, 256, 46, 0xff, 0xbb, 2 },
	{ "the port cannot chain, small", PLM_CHAIN_OFF, 0, 200, 0, 0xb8, 0, 1 },
	{ "the longest copy in a header mbuf", PLM_CHAIN_OFF, 0, PLM_HDR_COPY_MAX, 0, 0, 0, 1 },
	{ "the port cannot chain, large", PLM_CHAIN_OFF, 0, 1201, 63, 0, 0xfc, 1 },
	{ "smallest", PLM_CHAIN_AUTO, 64, 12, PLM_DSCP_COPY, 0x28, 0x28, 1 },
};

static void
fan_out__delivers_byte_exact(void **state)
{
	for (size_t c = 0; c < RTE_DIM(way_cases); c++) {
		struct test_relay_conf conf = test_relay_defaults();
		struct test_relay *r;
		struct test_peer *peers[5];
		uint8_t buf[1600];

		print_message("  %s\n", way_cases[c].name);
		conf.chain = way_cases[c].chain;
		conf.copy_below = way_cases[c].copy_below;
		conf.room.dscp = way_cases[c].dscp;
		r = test_relay_create(&conf);
		for (unsigned int i = 0; i < 5; i++)
			peers[i] = test_relay_join(r, "room",
					i == 3 ? PLM_ROLE_SUBSCRIBE : PLM_ROLE_BOTH, i % 2 != 0, 0,
					0);
		test_relay_settle(r);
		for (unsigned int i = 0; i < NB_PACKETS; i++)
			test_relay_send(r, peers[0], buf,
					test_rtp(buf, 7, (uint16_t)i, way_cases[c].len),
					way_cases[c].tos_in);
		test_relay_settle(r);

		assert_int_equal(peers[0]->nb_got, 0);
		for (unsigned int i = 1; i < 5; i++) {
			expect_stream(peers[i], 7, NB_PACKETS, way_cases[c].len,
					way_cases[c].tos_out);
			assert_int_equal(peers[i]->got[0].nb_segs, way_cases[c].nb_segs);
			assert_int_equal(r->sessions->tx[0][peers[i]->session.idx].packets,
					NB_PACKETS);
			assert_int_equal(r->sessions->tx[0][peers[i]->session.idx].bytes,
					NB_PACKETS * way_cases[c].len);
		}
		assert_int_equal(test_relay_count(r, PLM_CNT_MEDIA), NB_PACKETS);
		assert_int_equal(test_relay_count(r, PLM_CNT_COPIES_SENT), 4 * NB_PACKETS);
		test_relay_check_sums(r, 0);
		test_relay_free(r);
	}
}

/* Every value of two payload bytes: the sum that would be 0 is among them. */
static void
fan_out__never_sends_a_zero_checksum(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r = test_relay_create(&conf);
	struct test_peer *a = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
	struct test_peer *b = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
	struct test_peer *c = test_relay_join(r, "room", PLM_ROLE_BOTH, true, 0, 0);
	uint8_t buf[16];

	b->quiet = c->quiet = true;
	test_relay_settle(r);
	test_rtp(buf, 1, 0, 14);
	for (uint32_t v = 0; v < 65536; v++) {
		buf[12] = (uint8_t)(v >> 8);
		buf[13] = (uint8_t)v;
		test_relay_send(r, a, buf, 14, 0);
		if (v % 32 == 31)
			test_relay_step(r, PLM_NS_PER_MS);
	}
	test_relay_settle(r);
	assert_int_equal(b->nb_got, 65536);
	assert_int_equal(c->nb_got, 65536);
	test_relay_free(r);
}

static void
fan_out__gives_nothing_to_other_rooms(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r = test_relay_create(&conf);
	struct test_peer *peers[40];

	/* 20 rooms of two, all of them in one burst. */
	for (unsigned int i = 0; i < 40; i++) {
		char room[16];

		snprintf(room, sizeof(room), "room%u", i / 2);
		peers[i] = test_relay_join(r, room, PLM_ROLE_BOTH, i % 3 == 0, 0, 0);
	}
	test_relay_settle(r);
	for (uint16_t seq = 0; seq < 3; seq++)
		for (unsigned int i = 0; i < 40; i += 2)
			test_relay_rtp(r, peers[i], 100 + i, seq, 100);
	test_relay_settle(r);
	for (unsigned int i = 0; i < 40; i += 2) {
		assert_int_equal(peers[i]->nb_got, 0);
		expect_stream(peers[i + 1], 100 + i, 3, 100, 0);
	}
	test_relay_free(r);
}

static void
fan_out__keeps_the_order_of_each_publisher(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r = test_relay_create(&conf);
	struct test_peer *peers[4];

	for (unsigned int i = 0; i < 4; i++)
		peers[i] = test_relay_join(r, "room", PLM_ROLE_BOTH, i % 2 != 0, 0, 0);
	test_relay_settle(r);
	for (uint16_t seq = 0; seq < 50; seq++)
		for (unsigned int i = 0; i < 3; i++)
			test_relay_rtp(r, peers[i], 10 + i, seq, (uint16_t)(40 + 100 * i));
	test_relay_settle(r);
	for (unsigned int i = 0; i < 4; i++) {
		uint16_t next[3] = { 0 };

		assert_int_equal(peers[i]->nb_kept, i < 3 ? 100 : 150);
		for (unsigned int k = 0; k < peers[i]->nb_kept; k++) {
			const uint8_t *p = peers[i]->got[k].bytes;
			unsigned int from = p[11] - 10u;

			assert_true(from < 3 && from != i);
			assert_int_equal(p[2] << 8 | p[3], next[from]);
			next[from]++;
		}
	}
	test_relay_free(r);
}

static void
fan_out__stops_when_a_member_left(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r = test_relay_create(&conf);
	struct test_peer *a = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
	struct test_peer *b = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
	struct test_peer *c = test_relay_join(r, "room", PLM_ROLE_BOTH, true, 0, 0);

	test_relay_settle(r);
	test_relay_rtp(r, a, 1, 0, 100);
	test_relay_settle(r);
	assert_int_equal(c->nb_got, 1);

	/* The view that names it still stands: the tombstone alone keeps it quiet. */
	test_relay_leave(r, c);
	test_relay_rtp(r, a, 1, 1, 100);
	test_relay_turn(r, 0);
	test_relay_sink(r, UINT32_MAX);
	assert_int_equal(test_relay_count(r, PLM_CNT_COPY_LEFT), 1);
	test_relay_settle(r);
	test_relay_rtp(r, a, 1, 2, 100);
	test_relay_settle(r);
	assert_int_equal(test_relay_count(r, PLM_CNT_COPY_LEFT), 1);
	assert_int_equal(b->nb_got, 3);
	assert_int_equal(c->nb_got, 1);
	/* What it sends finds no session. */
	test_relay_rtp(r, c, 3, 0, 100);
	test_relay_settle(r);
	assert_int_equal(test_relay_count(r, PLM_CNT_RX_NO_SESSION), 1);
	test_relay_free(r);
}

static void
fan_out__counts_an_unknown_neighbour(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r = test_relay_create(&conf);
	struct test_peer *a;
	struct test_peer *b;

	r->answer_neighbours = false;
	a = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
	b = test_relay_join(r, "room", PLM_ROLE_BOTH, true, 0, 0);
	for (unsigned int i = 0; i < 4; i++)
		test_relay_step(r, PLM_NS_PER_MS);
	test_relay_rtp(r, a, 1, 0, 100);
	test_relay_step(r, PLM_NS_PER_MS);
	assert_int_equal(test_relay_count(r, PLM_CNT_COPY_NO_NEIGHBOUR), 1);
	assert_int_equal(r->sessions->tx[0][b->session.idx].dropped, 1);
	test_relay_check_sums(r, 0);
	assert_int_equal(b->nb_got, 0);
	test_relay_free(r);
}

static void
fan_out__respects_the_mtu(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *a;
	struct test_peer *v4;
	struct test_peer *v6;

	conf.nb_ports = 2;
	r = test_relay_create(&conf);
	/* The relay's own idea of the MTU; what comes in may be larger. */
	r->ports[1].mtu = 600;
	a = test_relay_join(r, "room", PLM_ROLE_PUBLISH, false, 0, 0);
	v4 = test_relay_join(r, "room", PLM_ROLE_SUBSCRIBE, false, 1, 0);
	v6 = test_relay_join(r, "room", PLM_ROLE_SUBSCRIBE, true, 1, 0);
	test_relay_settle(r);
	test_relay_rtp(r, a, 1, 0, 552); /* both take it */
	test_relay_rtp(r, a, 1, 1, 572); /* IPv4 alone */
	test_relay_rtp(r, a, 1, 2, 573); /* neither */
	test_relay_settle(r);
	assert_int_equal(v4->nb_got, 2);
	assert_int_equal(v6->nb_got, 1);
	assert_int_equal(test_relay_count(r, PLM_CNT_COPY_MTU), 3);
	assert_int_equal(r->sessions->tx[0][v6->session.idx].dropped, 2);
	test_relay_free(r);
}

static void
fan_out__survives_an_empty_pool(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *a;
	struct test_peer *subs[50];
	unsigned int got = 0;

	conf.nb_hdr = 127;
	r = test_relay_create(&conf);
	a = test_relay_join(r, "room", PLM_ROLE_PUBLISH, false, 0, 0);
	for (unsigned int i = 0; i < 50; i++)
		subs[i] = test_relay_join(r, "room", PLM_ROLE_SUBSCRIBE, i % 2 == 0, 0, 0);
	test_relay_settle(r);
	for (uint16_t seq = 0; seq < 10; seq++)
		test_relay_rtp(r, a, 1, seq, 100);
	test_relay_settle(r);
	for (unsigned int i = 0; i < 50; i++)
		got += subs[i]->nb_got;
	assert_true(test_relay_count(r, PLM_CNT_COPY_NO_MBUF) > 0);
	assert_int_equal(got + test_relay_count(r, PLM_CNT_COPY_NO_MBUF), 500);
	/* Everything came back: the next packet reaches all. */
	test_relay_rtp(r, a, 1, 10, 100);
	test_relay_settle(r);
	for (unsigned int i = 0; i < 50; i++)
		assert_int_equal(subs[i]->got[subs[i]->nb_kept - 1].bytes[3], 10);
	test_relay_free(r);
}

static void
fan_out__leaves_through_every_port(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *peers[6];

	conf.nb_ports = 3;
	r = test_relay_create(&conf);
	for (unsigned int i = 0; i < 6; i++)
		peers[i] = test_relay_join(r, "room", PLM_ROLE_BOTH, i % 2 != 0, (uint16_t)(i / 2),
				0);
	test_relay_settle(r);
	for (uint16_t seq = 0; seq < 40; seq++)
		test_relay_rtp(r, peers[2], 5, seq, 300);
	test_relay_settle(r);
	for (unsigned int i = 0; i < 6; i++)
		if (i != 2)
			expect_stream(peers[i], 5, 40, 300, 0);
	assert_int_equal(peers[2]->nb_got, 0);
	test_relay_free(r);
}

/* A BYE on behalf of somebody who vanished. */
static void
fan_out__takes_payloads_of_the_slow_path(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r = test_relay_create(&conf);
	struct test_peer *publisher = test_relay_join(r, "room", PLM_ROLE_PUBLISH, false, 0, 0);
	struct test_peer *subscriber = test_relay_join(r, "room", PLM_ROLE_SUBSCRIBE, true, 0, 0);
	struct test_peer *other = test_relay_join(r, "other", PLM_ROLE_BOTH, false, 0, 0);
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->frame_pool);
	uint32_t ssrc = 99;
	struct plm_msg msg = { .type = PLM_MSG_FANOUT, .idx = publisher->room_idx, .mbuf = m };
	int len;

	test_relay_settle(r);
	msg.aux = plm_room_view(r->rooms, publisher->room_idx)->gen;
	len = plm_rtcp_build_bye(rte_pktmbuf_mtod(m, uint8_t *), 200, &ssrc, 1);
	assert_true(len > 0);
	m->data_len = (uint16_t)len;
	m->pkt_len = (uint32_t)len;
	assert_int_equal(plm_mailbox_put(plm_relay_box_down(r->relay, 0), &msg, 1), 1);
	test_relay_settle(r);
	assert_int_equal(publisher->nb_got, 1);
	assert_int_equal(subscriber->nb_got, 1);
	assert_int_equal(subscriber->got[0].len, len);
	assert_int_equal(other->nb_got, 0);
	assert_int_equal(test_relay_count(r, PLM_CNT_RTCP), 0);

	/* For the room that had the index before. */
	m = rte_pktmbuf_alloc(r->frame_pool);
	assert_non_null(rte_pktmbuf_append(m, (uint16_t)len));
	msg.mbuf = m;
	msg.aux--;
	assert_int_equal(plm_mailbox_put(plm_relay_box_down(r->relay, 0), &msg, 1), 1);
	test_relay_settle(r);
	assert_int_equal(subscriber->nb_got, 1);
	test_relay_free(r);
}

static void
fan_out__samples_the_latency(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r = test_relay_create(&conf);
	struct test_peer *a = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);

	test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
	test_relay_settle(r);
	for (uint16_t seq = 0; seq < 64; seq++) {
		test_relay_rtp(r, a, 1, seq, 100);
		test_relay_step(r, PLM_NS_PER_MS);
	}
	assert_int_equal(plm_hist_count(plm_relay_latency(r->relay, 0)), 4);
	test_relay_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fan_out__delivers_byte_exact),
		cmocka_unit_test(fan_out__never_sends_a_zero_checksum),
		cmocka_unit_test(fan_out__gives_nothing_to_other_rooms),
		cmocka_unit_test(fan_out__keeps_the_order_of_each_publisher),
		cmocka_unit_test(fan_out__stops_when_a_member_left),
		cmocka_unit_test(fan_out__counts_an_unknown_neighbour),
		cmocka_unit_test(fan_out__respects_the_mtu),
		cmocka_unit_test(fan_out__survives_an_empty_pool),
		cmocka_unit_test(fan_out__leaves_through_every_port),
		cmocka_unit_test(fan_out__takes_payloads_of_the_slow_path),
		cmocka_unit_test(fan_out__samples_the_latency),
	};

	test_eal_init(512);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What of STUN, ARP and ND reaches the slow path. */
#include <stdio.h>

#include "plm_crypto.h"
#include "plm_wire.h"
#include "test_relay.h"

enum where { KNOWN, UNKNOWN, DROP };

static const struct stun_case {
	const char *name;
	const char *credential; /* before base64; NULL: no USERNAME */
	enum plm_stun_class class;
	bool no_colon;
	bool no_fingerprint;
	int spoil;          /* byte to flip, -1 none */
	enum where unknown; /* from an unknown source */
	enum where known;   /* from a session's tuple */
} stun_cases[] = {
	{ "a good request", "1:1800000000:room:alice:b", PLM_STUN_REQUEST, false, false, -1,
			UNKNOWN, KNOWN },
	{ "expired", "1:1600000000:room:alice:b", PLM_STUN_REQUEST, false, false, -1, DROP, KNOWN },
	{ "no user name", NULL, PLM_STUN_REQUEST, false, false, -1, DROP, KNOWN },
	{ "not of the form", "1:1800000000:room", PLM_STUN_REQUEST, false, false, -1, DROP, KNOWN },
	{ "no colon", "1:1800000000:room:alice:b", PLM_STUN_REQUEST, true, false, -1, DROP, KNOWN },
	{ "no fingerprint", "1:1800000000:room:alice:b", PLM_STUN_REQUEST, false, true, -1, DROP,
			KNOWN },
	{ "no cookie", "1:1800000000:room:alice:b", PLM_STUN_REQUEST, false, false, 4, DROP,
			KNOWN },
	{ "wrong fingerprint", "1:1800000000:room:alice:b", PLM_STUN_REQUEST, false, false, 15,
			DROP, KNOWN },
	{ "an indication", "1:1800000000:room:alice:b", PLM_STUN_INDICATION, false, false, -1, DROP,
			KNOWN },
	{ "a response", "1:1800000000:room:alice:b", PLM_STUN_SUCCESS, false, false, -1, DROP,
			KNOWN },
	{ "expired a minute ago", "1:1699999940:room:alice:b", PLM_STUN_REQUEST, false, false, -1,
			UNKNOWN, KNOWN },
};

static uint16_t
stun_build(const struct stun_case *c, uint8_t *buf, size_t size)
{
	static const uint8_t tid[PLM_STUN_TID] = { 1, 2, 3 };
	struct plm_stun_out out;
	char user[256];
	size_t len;

	plm_stun_begin(&out, buf, size, c->class, PLM_STUN_BINDING, tid);
	if (c->credential != NULL) {
		int n = plm_base64_encode(c->credential, strlen(c->credential), user, sizeof(user));

		assert_true(n > 0);
		if (!c->no_colon)
			strcat(user, ":client");
		plm_stun_add_bytes(&out, PLM_STUN_ATTR_USERNAME, user, strlen(user));
	}
	if (c->no_fingerprint) /* cut it off, and out of the header's length */
		len = plm_stun_finish(&out) - 8;
	else
		len = plm_stun_finish(&out);
	buf[2] = (uint8_t)((len - PLM_STUN_HDR) >> 8);
	buf[3] = (uint8_t)(len - PLM_STUN_HDR);
	if (c->spoil >= 0)
		buf[c->spoil] ^= 1;
	return (uint16_t)len;
}

static void
filter__keeps_implausible_stun_from_the_slow_path(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r = test_relay_create(&conf);
	struct test_peer *member = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
	struct test_peer stranger = *member;

	test_relay_settle(r);
	stranger.udp_port = 9;
	for (size_t i = 0; i < RTE_DIM(stun_cases); i++) {
		const struct stun_case *c = &stun_cases[i];
		unsigned int known = r->nb_known;
		unsigned int unknown = r->nb_unknown;
		uint64_t dropped = test_relay_count(r, PLM_CNT_RX_STUN_FILTER);
		uint8_t buf[600];
		uint16_t len = stun_build(c, buf, sizeof(buf));

		test_relay_send(r, &stranger, buf, len, 0);
		test_relay_settle(r);
		if (r->nb_unknown - unknown != (c->unknown == UNKNOWN) ||
				test_relay_count(r, PLM_CNT_RX_STUN_FILTER) - dropped !=
						(c->unknown == DROP))
			fail_msg("%s: from a stranger", c->name);
		assert_int_equal(r->nb_known, known);
		test_relay_send(r, member, buf, len, 0);
		test_relay_settle(r);
		if (r->nb_known - known != (c->known == KNOWN))
			fail_msg("%s: from a member", c->name);
		test_relay_check_sums(r, 0);
	}
	test_relay_free(r);
}

static void
filter__limits_a_prefix_and_no_other(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *member;
	struct test_peer stranger;
	uint8_t buf[600];
	uint16_t len = stun_build(&stun_cases[0], buf, sizeof(buf));
	unsigned int first;

	conf.stun_rate = 100;
	r = test_relay_create(&conf);
	member = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
	test_relay_settle(r);
	stranger = *member;
	for (unsigned int i = 0; i < 200; i++) { /* every address and port of one /24 */
		stranger.ip.addr[3] = (uint8_t)(2 + i);
		stranger.udp_port = (uint16_t)(1000 + i);
		test_relay_send(r, &stranger, buf, len, 0);
	}
	for (unsigned int i = 0; i < 8; i++)
		test_relay_step(r, 0);
	first = r->nb_unknown;
	assert_in_range(first, 10, 12); /* 100 ms ahead of 100/s */
	assert_int_equal(test_relay_count(r, PLM_CNT_RX_STUN_RATE), 200 - first);
	stranger.ip.addr[2] ^= 1;
	test_relay_send(r, &stranger, buf, len, 0);
	test_relay_step(r, 0);
	assert_int_equal(r->nb_unknown, first + 1);
	test_relay_settle(r);
	test_relay_free(r);
}

/* A member that floods STUN keeps nobody's consent from the slow path. */
static void
filter__limits_a_session(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r = test_relay_create(&conf);
	struct test_peer *member = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
	struct test_peer *other = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
	uint8_t buf[600];
	uint16_t len = stun_build(&stun_cases[0], buf, sizeof(buf));
	unsigned int first;

	test_relay_settle(r);
	for (unsigned int i = 0; i < 200; i++)
		test_relay_send(r, member, buf, len, 0);
	for (unsigned int i = 0; i < 8; i++)
		test_relay_step(r, 0);
	first = r->nb_known;
	assert_in_range(first, 20, 50);
	test_relay_send(r, other, buf, len, 0);
	test_relay_step(r, 0);
	assert_int_equal(r->nb_known, first + 1);
	test_relay_settle(r);
	test_relay_free(r);
}

static void
filter__limits_arp(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct plm_arp arp = { .is_request = true,
		.sender_ip = { 198, 18, 1, 1 },
		.target_ip = { 198, 18, 0, 1 },
		.sender_mac = { 2, 0, 0, 0, 0, 9 } };
	uint8_t frame[64];
	int len;

	conf.l2_rate = 100;
	r = test_relay_create(&conf);
	len = plm_arp_build(frame, sizeof(frame), (const uint8_t[]){ 255, 255, 255, 255, 255, 255 },
			&arp);
	assert_true(len > 0);
	test_relay_settle(r);
	for (unsigned int i = 0; i < 100; i++)
		assert_true(test_relay_inject(r, 0, 0, frame, (uint16_t)len));
	for (unsigned int i = 0; i < 5; i++)
		test_relay_step(r, 0);
	assert_in_range(r->nb_known, 10, 12);
	assert_int_equal(test_relay_count(r, PLM_CNT_RX_L2_RATE), 100 - r->nb_known);
	test_relay_check_sums(r, 0);
	test_relay_free(r);
}

/* Next hops live by these answers: a flood in other names must not drown them. */
static void
filter__keeps_a_neighbours_word_beside_a_flood_of_arp(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *member;
	struct plm_arp arp = { .is_request = true,
		.target_ip = { 198, 18, 0, 1 },
		.sender_mac = { 2, 0, 0, 0, 0, 9 } };
	static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };
	uint8_t frame[64];
	uint64_t dropped;
	int len = 0;

	conf.l2_rate = 100;
	r = test_relay_create(&conf);
	member = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
	test_relay_settle(r);
	for (unsigned int i = 0; i < 200; i++) {
		memcpy(arp.sender_ip, (uint8_t[]){ 198, 18, 32, (uint8_t)i }, 4);
		len = plm_arp_build(frame, sizeof(frame), broadcast, &arp);
		assert_true(test_relay_inject(r, 0, 0, frame, (uint16_t)len));
		test_relay_turn(r, 0);
	}
	dropped = test_relay_count(r, PLM_CNT_RX_L2_RATE);
	assert_true(dropped > 150);
	memcpy(arp.sender_ip, member->ip.addr, 4);
	len = plm_arp_build(frame, sizeof(frame), broadcast, &arp);
	for (unsigned int i = 0; i < 50; i++) {
		assert_true(test_relay_inject(r, 0, 0, frame, (uint16_t)len));
		test_relay_turn(r, 0);
	}
	/* Its own rate holds all the same. */
	assert_in_range(test_relay_count(r, PLM_CNT_RX_L2_RATE) - dropped, 40, 45);
	test_relay_settle(r);
	test_relay_free(r);
}

/* A full ring drops and counts, and the relay goes on. */
static void
filter__counts_a_full_ring(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *member;
	struct test_peer stranger;
	uint8_t buf[600];
	uint16_t len = stun_build(&stun_cases[0], buf, sizeof(buf));
	uint64_t taken;

	conf.ring_size = 8;
	r = test_relay_create(&conf);
	member = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
	test_relay_settle(r);
	stranger = *member;
	stranger.udp_port = 9;
	for (unsigned int i = 0; i < 30; i++)
		test_relay_send(r, &stranger, buf, len, 0);
	test_relay_turn(r, 0);
	taken = test_relay_count(r, PLM_CNT_TO_CTL);
	assert_in_range(taken, 7, 16);
	assert_int_equal(test_relay_count(r, PLM_CNT_RX_CTL_RING_UNKNOWN), 30 - taken);
	test_relay_settle(r);
	assert_int_equal(r->nb_unknown, taken);
	test_relay_free(r);
}

/* Some agents say nothing but this for 25 s at a time. */
static void
filter__takes_an_indication_for_a_sign_of_life(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *member;
	struct plm_session_hot *hot;
	uint8_t buf[600];

	conf.nb_workers = 2;
	conf.nb_queues = 2;
	r = test_relay_create(&conf);
	member = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 1);
	hot = &r->sessions->hot[member->session.idx];
	test_relay_settle(r);
	for (uint16_t queue = 0; queue < 2; queue++) {
		r->now_ns += PLM_NS_PER_S;
		member->rx_queue = queue;
		test_relay_send(r, member, buf, stun_build(&stun_cases[0], buf, sizeof(buf)), 0);
		test_relay_step(r, 0);
		assert_int_not_equal(hot->heard_ms[0], r->now_ns / PLM_NS_PER_MS);
		test_relay_send(r, member, buf, stun_build(&stun_cases[8], buf, sizeof(buf)), 0);
		test_relay_step(r, 0);
		assert_int_equal(hot->heard_ms[0], r->now_ns / PLM_NS_PER_MS);
	}
	assert_int_equal(r->nb_known, 4);
	test_relay_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filter__keeps_implausible_stun_from_the_slow_path),
		cmocka_unit_test(filter__limits_a_prefix_and_no_other),
		cmocka_unit_test(filter__limits_a_session),
		cmocka_unit_test(filter__limits_arp),
		cmocka_unit_test(filter__keeps_a_neighbours_word_beside_a_flood_of_arp),
		cmocka_unit_test(filter__counts_a_full_ring),
		cmocka_unit_test(filter__takes_an_indication_for_a_sign_of_life),
	};

	test_eal_init(512);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

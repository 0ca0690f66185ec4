/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports with a VLAN: what carries its tag comes in, and whatever leaves carries it. */
#include "test_relay.h"

#define VLAN 100

static const struct {
	const char *name;
	unsigned int nb_workers;
	unsigned int nb_queues;
	enum plm_chain chain;
	uint16_t copy_below;
	uint16_t len;
} ways[] = {
	{ "shared payload", 1, 1, PLM_CHAIN_ON, 0, 200 },
	{ "small copy", 1, 1, PLM_CHAIN_ON, 256, 200 },
	{ "large copy", 1, 1, PLM_CHAIN_OFF, 0, 1200 },
	{ "as large as the MTU allows", 1, 1, PLM_CHAIN_ON, 0, 1452 },
	{ "carried by another worker", 2, 1, PLM_CHAIN_ON, 0, 200 },
};

static void
vlan__is_on_every_copy(void **state)
{
	/* More than a TX buffer holds; test_relay looks at tag, headers and sums of every frame. */
	enum { PEERS = 150 };

	for (size_t i = 0; i < RTE_DIM(ways); i++) {
		struct test_relay_conf conf = test_relay_defaults();
		struct test_peer *peers[PEERS];
		struct test_relay *r;

		print_message("  %s\n", ways[i].name);
		conf.vlan = VLAN;
		conf.nb_workers = ways[i].nb_workers;
		conf.nb_queues = ways[i].nb_queues;
		conf.chain = ways[i].chain;
		conf.copy_below = ways[i].copy_below;
		r = test_relay_create(&conf);
		for (unsigned int p = 0; p < PEERS; p++)
			peers[p] = test_relay_join(r, "room", PLM_ROLE_BOTH, p % 2 != 0, 0,
					(uint8_t)(ways[i].nb_workers - 1));
		test_relay_settle(r);
		for (uint16_t seq = 0; seq < 20; seq++)
			test_relay_rtp(r, peers[0], 7, seq, ways[i].len);
		test_relay_settle(r);
		assert_int_equal(peers[0]->nb_got, 0);
		for (unsigned int p = 1; p < PEERS; p++) {
			uint8_t want[1600];

			assert_int_equal(peers[p]->nb_kept, 20);
			for (uint16_t seq = 0; seq < 20; seq++) {
				test_rtp(want, 7, seq, ways[i].len);
				assert_int_equal(peers[p]->got[seq].len, ways[i].len);
				assert_memory_equal(peers[p]->got[seq].bytes, want, ways[i].len);
			}
		}
		assert_int_equal(test_relay_count(r, PLM_CNT_RX_VLAN), 0);
		test_relay_check_sums(r, 0);
		test_relay_free(r);
	}
}

/* A frame of `peer` with this tag (TPID and TCI) put in, or none. */
static void
send_tagged(struct test_relay *r, const struct test_peer *peer, const uint8_t *tag)
{
	uint8_t frame[512];
	uint8_t payload[100];
	uint16_t len = test_relay_frame(r, peer, payload, test_rtp(payload, 7, 1, 100), 0, frame);

	if (tag != NULL) {
		memmove(frame + 16, frame + 12, len - 12u);
		memcpy(frame + 12, tag, 4);
		len += 4;
	}
	assert_true(test_relay_inject(r, 0, 0, frame, len));
}

static void
vlan__of_a_frame_is_the_ports(void **state)
{
	static const struct {
		const char *name;
		uint16_t port; /* its VLAN */
		bool tagged;
		uint8_t tag[4];
		uint16_t dropped; /* counter, or PLM_CNT_MAX: it arrives */
	} cases[] = {
		{ "its own", VLAN, true, { 0x81, 0, 0, VLAN }, PLM_CNT_MAX },
		{ "with a priority", VLAN, true, { 0x81, 0, 0xb0, VLAN }, PLM_CNT_MAX },
		{ "another", VLAN, true, { 0x81, 0, 0, VLAN + 1 }, PLM_CNT_RX_VLAN },
		{ "same low byte", VLAN, true, { 0x81, 0, 1, VLAN }, PLM_CNT_RX_VLAN },
		{ "priority alone", VLAN, true, { 0x81, 0, 0xb0, 0 }, PLM_CNT_RX_VLAN },
		{ "untagged", VLAN, false, { 0 }, PLM_CNT_RX_VLAN },
		{ "802.1ad", VLAN, true, { 0x88, 0xa8, 0, VLAN }, PLM_CNT_RX_VLAN },
		{ "untagged port", 0, true, { 0x81, 0, 0, VLAN }, PLM_CNT_RX_L2_TYPE },
		{ "both untagged", 0, false, { 0 }, PLM_CNT_MAX },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct test_relay_conf conf = test_relay_defaults();
		bool arrives = cases[i].dropped == PLM_CNT_MAX;
		struct test_relay *r;
		struct test_peer *a;
		struct test_peer *b;
		uint64_t bytes;

		print_message("  %s\n", cases[i].name);
		conf.vlan = cases[i].port;
		r = test_relay_create(&conf);
		a = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
		b = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
		test_relay_settle(r);
		bytes = test_relay_count(r, PLM_CNT_RX_BYTES);
		send_tagged(r, a, cases[i].tagged ? cases[i].tag : NULL);
		test_relay_settle(r);
		assert_int_equal(b->nb_got, arrives);
		if (!arrives)
			assert_int_equal(test_relay_count(r, cases[i].dropped), 1);
		assert_int_equal(test_relay_count(r, PLM_CNT_RX_BYTES) - bytes,
				142 + (cases[i].tagged ? 4 : 0));
		test_relay_check_sums(r, 0);
		test_relay_free(r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vlan__is_on_every_copy),
		cmocka_unit_test(vlan__of_a_frame_is_the_ports),
	};

	test_eal_init(512);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

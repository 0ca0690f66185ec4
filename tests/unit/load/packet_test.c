/* SPDX-License-Identifier: BSD-3-Clause */
#include "load.h"
#include "test_eal.h"

#define PAYLOAD 101

static struct load_net
make_net(const char *first, const char *relay, unsigned int nb_addresses)
{
	struct load_net net = { .mac = { { 2, 0, 0, 0, 0, 9 } },
		.hop_mac = { { 2, 0, 0, 0, 0, 1 } },
		.nb_addresses = nb_addresses,
		.first_port = 20000,
		.relay_port = 3478 };

	assert_int_equal(plm_ip_parse(first, &net.first), 0);
	assert_int_equal(plm_ip_parse(relay, &net.relay), 0);
	return net;
}

static const struct {
	const char *first, *relay;
	unsigned int nb_addresses, participant;
	const char *address;
	uint16_t port;
} cases[] = {
	{ "198.18.1.1", "198.18.0.1", 1, 0, "198.18.1.1", 20000 },
	{ "198.18.1.1", "198.18.0.1", 1, 7, "198.18.1.1", 20007 },
	{ "198.18.1.254", "198.18.0.1", 4, 3, "198.18.2.1", 20000 },
	{ "198.18.1.254", "198.18.0.1", 4, 6, "198.18.2.0", 20001 },
	{ "fd00::1:ffff", "fd00::1", 2, 5, "fd00::2:0", 20002 },
};

/* Checksums and all, and the relay's copy finds its way back to the same participant. */
static void
headers__are_those_of_the_participant(void **state)
{
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct load_net net =
				make_net(cases[i].first, cases[i].relay, cases[i].nb_addresses);
		bool is_v6 = net.first.is_v6;
		size_t hdr = load_hdr_len(&net);
		size_t at = PLM_ETH_HDR + (is_v6 ? 8 : 12);
		size_t alen = is_v6 ? 16 : 4;
		struct load_datagram d;
		struct plm_ip want;
		uint8_t frame[256];
		uint8_t swap[16];
		uint8_t *udp;

		for (size_t b = 0; b < PAYLOAD; b++)
			frame[hdr + b] = (uint8_t)(b * 37 + i);
		load_headers(&net, cases[i].participant, frame, PAYLOAD,
				plm_wire_sum(frame + hdr, PAYLOAD));
		plm_ip_parse(cases[i].address, &want);
		udp = frame + hdr - PLM_UDP_HDR;
		assert_memory_equal(frame + at, want.addr, alen);
		assert_int_equal(udp[0] << 8 | udp[1], cases[i].port);
		assert_int_equal(plm_wire_l4_sum(frame + at, frame + at + alen, is_v6, 17, udp,
						 PLM_UDP_HDR + PAYLOAD),
				0);
		if (!is_v6)
			assert_int_equal(plm_wire_sum(frame + PLM_ETH_HDR, PLM_IP4_HDR), 0xffff);

		/* Ours is no datagram from the relay. */
		assert_false(load_datagram_get(&net, frame, hdr + PAYLOAD, hdr + PAYLOAD, &d));
		load_ecn_put(&net, frame, (uint8_t)(i & 3));
		assert_int_equal(load_ecn_get(&net, frame), i & 3);
		if (!is_v6)
			assert_int_equal(plm_wire_sum(frame + PLM_ETH_HDR, PLM_IP4_HDR), 0xffff);
		memcpy(frame, &net.mac, 6);
		memcpy(swap, frame + at, alen);
		memcpy(frame + at, frame + at + alen, alen);
		memcpy(frame + at + alen, swap, alen);
		memcpy(swap, udp, 2);
		memcpy(udp, udp + 2, 2);
		memcpy(udp + 2, swap, 2);
		assert_true(load_datagram_get(&net, frame, hdr + PAYLOAD, hdr + PAYLOAD, &d));
		assert_int_equal(d.participant, cases[i].participant);
		assert_int_equal(d.off, hdr);
		assert_int_equal(d.len, PAYLOAD);
		/* Padded by the wire, then cut short. */
		assert_true(load_datagram_get(&net, frame, hdr + PAYLOAD + 3, hdr + PAYLOAD + 3,
				&d));
		assert_int_equal(d.len, PAYLOAD);
		assert_false(load_datagram_get(&net, frame, hdr + PAYLOAD, hdr + PAYLOAD - 1, &d));
		for (size_t len = 0; len < hdr; len++)
			assert_false(load_datagram_get(&net, frame, len, len, &d));
	}
}

static void
stamp__is_read_back_and_harm_is_seen(void **state)
{
	struct load_stamp stamp = { .run = 3,
		.publisher = 77,
		.seq = UINT64_C(0x123456789a),
		.intended_ns = UINT64_C(987654321987) };
	struct load_stamp got = { 0 };
	uint8_t rtp[LOAD_SIZE_MIN] = { 0x80 };

	load_stamp_put(rtp, &stamp);
	assert_true(load_stamp_get(rtp, sizeof(rtp), &got));
	assert_memory_equal(&got, &stamp, sizeof(stamp));
	assert_false(load_stamp_get(rtp, sizeof(rtp) - 1, &got));
	for (size_t bit = PLM_RTP_HDR * 8; bit < sizeof(rtp) * 8; bit++) {
		rtp[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (load_stamp_get(rtp, sizeof(rtp), &got))
			fail_msg("bit %zu flipped and not seen", bit);
		rtp[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers__are_those_of_the_participant),
		cmocka_unit_test(stamp__is_read_back_and_harm_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

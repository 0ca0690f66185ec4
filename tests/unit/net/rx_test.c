/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checks of received frames: a good one, and one byte at a time made bad. Checksums are made by
 * the fixture's own byte-wise sum.
 */
#include "net_fixture.h"

static struct net_fixture f;
static struct rte_mempool *pool;

static const char payload[] = "\x80\x60 a payload of odd length.";
#define PAYLOAD_LEN (sizeof(payload) - 1)

enum { NO_FIX = 0, FIX_IP = 1, FIX_L4 = 2 };

static int
group_setup(void **state)
{
	net_fixture_init(&f, 16);
	pool = plm_pool_create_rx("rx", 15, 1500, 0);
	return pool == NULL ? -1 : 0;
}

static int
group_teardown(void **state)
{
	net_fixture_fini(&f);
	if (rte_mempool_in_use_count(pool) != 0)
		return -1;
	rte_mempool_free(pool);
	return 0;
}

static struct rte_mbuf *
mbuf_of(const uint8_t *frame, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	char *p;

	assert_non_null(m);
	memset(plm_pkt(m), 0xee, sizeof(struct plm_pkt));
	p = rte_pktmbuf_append(m, (uint16_t)len);
	assert_non_null(p);
	memcpy(p, frame, len);
	return m;
}

static enum plm_net_verdict
rx(const uint8_t *frame, size_t len, const struct plm_port *port, uint64_t ol_flags,
		enum plm_counter *why)
{
	struct rte_mbuf *m = mbuf_of(frame, len);
	enum plm_net_verdict verdict;

	m->ol_flags |= ol_flags;
	*why = PLM_CNT_MAX;
	verdict = plm_net_rx(f.net, port, m, why);
	rte_pktmbuf_free(m);
	return verdict;
}

static void
net_rx__describes_a_datagram(void **state)
{
	static const struct {
		const char *src;
		const char *dst;
		uint16_t local_idx;
		uint16_t payload_off;
		uint8_t pad;
	} cases[] = {
		{ "198.18.0.2", "198.18.0.1", LOCAL_V4, 42, 0 },
		{ "203.0.113.9", "198.18.0.1", LOCAL_V4, 42, 18 },
		{ "fd00::2", "fd00::1", LOCAL_V6, 62, 0 },
		{ "2001:db8::2", "fd00::1", LOCAL_V6, 62, 7 },
		{ "fe80::2", "fe80::ff:fe00:10", LOCAL_LL0, 62, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct plm_ip src = ip_of(cases[i].src);
		enum plm_counter why;
		uint8_t frame[256];
		struct rte_mbuf *m;
		struct plm_pkt *pkt;
		size_t len;
		uint16_t sum;

		len = udp_frame(frame, cases[i].src, cases[i].dst, 40000, TEST_UDP_PORT, payload,
				PAYLOAD_LEN);
		/* Traffic class 0xb8 with a flow label, or TOS 0xb8. */
		if (src.is_v6) {
			frame[14] = 0x6b;
			frame[15] = 0x85;
		} else {
			frame[15] = 0xb8;
			frame[24] = frame[25] = 0;
			sum = (uint16_t)~ref_fold(ref_sum(0, frame + 14, 20));
			frame[24] = (uint8_t)(sum >> 8);
			frame[25] = (uint8_t)sum;
		}
		memset(frame + len, 0xcc, cases[i].pad);
		m = mbuf_of(frame, len + cases[i].pad);
		pkt = plm_pkt(m);
		assert_int_equal(plm_net_rx(f.net, &f.ports[0], m, &why), PLM_NET_UDP);
		assert_int_equal(pkt->sref, 0);
		assert_int_equal(pkt->is_known, 0);
		assert_int_equal(pkt->port_idx, 0);
		assert_int_equal(pkt->l3_off, 14);
		assert_int_equal(pkt->payload_off, cases[i].payload_off);
		assert_int_equal(pkt->payload_len, PAYLOAD_LEN);
		assert_int_equal(pkt->local_idx, cases[i].local_idx);
		assert_int_equal(pkt->src_port, rte_cpu_to_be_16(40000));
		assert_int_equal(pkt->tos, 0xb8);
		assert_int_equal(pkt->is_v6, src.is_v6);
		assert_memory_equal(pkt->src_addr, src.addr, 16);
		sum = ref_fold(ref_sum(0, (const uint8_t *)payload, PAYLOAD_LEN));
		assert_int_equal(pkt->payload_sum, rte_cpu_to_be_16(sum));
		rte_pktmbuf_free(m);
	}
}

static void
net_rx__checks_every_length(void **state)
{
	static uint8_t bytes[1400];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 167 + 13);
	for (size_t len = 1; len <= 1400; len += len < 80 ? 1 : 37) {
		for (int v6 = 0; v6 < 2; v6++) {
			enum plm_counter why;
			uint8_t frame[1500];
			size_t n = udp_frame(frame, v6 ? "fd00::2" : "198.18.0.2",
					v6 ? "fd00::1" : "198.18.0.1", 5, TEST_UDP_PORT, bytes,
					len);

			assert_int_equal(rx(frame, n, &f.ports[0], 0, &why), PLM_NET_UDP);
			frame[n - 1] ^= 1;
			assert_int_equal(rx(frame, n, &f.ports[0], 0, &why), PLM_NET_DROP);
			assert_int_equal(why, PLM_CNT_RX_UDP_CHECKSUM);
		}
	}
}

static void
net_rx__drops_by_reason(void **state)
{
	/* A good datagram with some bytes changed; offsets from the start of the frame. */
	static const struct {
		const char *name;
		bool v6;
		int fix;
		uint16_t len; /* 0: all of it */
		uint16_t off;
		uint8_t n;
		uint8_t bytes[16];
		enum plm_net_verdict verdict;
		enum plm_counter why;
	} cases[] = {
#define DROPS(c) PLM_NET_DROP, PLM_CNT_RX_##c
		{ "empty", false, NO_FIX, 13, 0, 0, { 0 }, DROPS(L2_SHORT) },
		{ "no IPv4 header", false, NO_FIX, 33, 0, 0, { 0 }, DROPS(L2_SHORT) },
		{ "no IPv6 header", true, NO_FIX, 53, 0, 0, { 0 }, DROPS(L2_SHORT) },
		{ "another MAC", false, NO_FIX, 0, 5, 1, { 0x77 }, DROPS(L2_FOREIGN) },
		{ "IPv4 to a group MAC", false, NO_FIX, 0, 0, 1, { 1 }, DROPS(L2_FOREIGN) },
		{ "UDP to a group MAC", true, NO_FIX, 0, 0, 2, { 0x33, 0x33 }, DROPS(L2_FOREIGN) },
		{ "VLAN tag", false, NO_FIX, 0, 12, 2, { 0x81, 0x00 }, DROPS(L2_TYPE) },
		{ "802.3 length", false, NO_FIX, 0, 12, 2, { 0, 50 }, DROPS(L2_TYPE) },
		{ "short ARP", false, NO_FIX, 40, 12, 2, { 8, 6 }, DROPS(L2_SHORT) },
		{ "ARP", false, NO_FIX, 0, 12, 2, { 8, 6 }, PLM_NET_CTL, PLM_CNT_MAX },
		{ "version 6 in IPv4", false, FIX_IP, 0, 14, 1, { 0x65 }, DROPS(IP_VERSION) },
		{ "header of 16", false, FIX_IP, 0, 14, 1, { 0x44 }, DROPS(IP_LENGTH) },
		{ "options", false, FIX_IP, 0, 14, 1, { 0x46 }, DROPS(IP_OPTIONS) },
		{ "total too long", false, FIX_IP, 0, 16, 2, { 1, 0 }, DROPS(IP_LENGTH) },
		{ "total below header", false, FIX_IP, 0, 16, 2, { 0, 19 }, DROPS(IP_LENGTH) },
		{ "truncated", false, NO_FIX, 60, 0, 0, { 0 }, DROPS(IP_LENGTH) },
		{ "header checksum", false, NO_FIX, 0, 22, 1, { 63 }, DROPS(IP_CHECKSUM) },
		{ "first fragment", false, FIX_IP, 0, 20, 2, { 0x20, 0 }, DROPS(IP_FRAGMENT) },
		{ "later fragment", false, FIX_IP, 0, 20, 2, { 0, 9 }, DROPS(IP_FRAGMENT) },
		{ "DF is fine", false, FIX_IP, 0, 20, 2, { 0x40, 0 }, PLM_NET_UDP, PLM_CNT_MAX },
		{ "source 0.0.0.0", false, FIX_IP, 0, 26, 4, { 0, 0, 0, 0 }, DROPS(IP_SOURCE) },
		{ "loopback", false, FIX_IP, 0, 26, 4, { 127, 0, 0, 1 }, DROPS(IP_SOURCE) },
		{ "multicast", false, FIX_IP, 0, 26, 4, { 224, 0, 0, 1 }, DROPS(IP_SOURCE) },
		{ "broadcast", false, FIX_IP, 0, 26, 4, { 255, 255, 255, 255 }, DROPS(IP_SOURCE) },
		{ "from ourselves", false, FIX_IP, 0, 26, 4, { 198, 18, 0, 1 }, DROPS(IP_SOURCE) },
		{ "not to us", false, FIX_IP, 0, 30, 4, { 198, 18, 0, 9 }, DROPS(IP_FOREIGN) },
		{ "to the other port", false, FIX_IP, 0, 30, 4, { 198, 19, 0, 1 },
				DROPS(IP_FOREIGN) },
		{ "TCP", false, FIX_IP, 0, 23, 1, { 6 }, DROPS(IP_PROTO) },
		{ "ICMP", false, FIX_IP, 0, 23, 1, { 1 }, PLM_NET_CTL, PLM_CNT_MAX },
		{ "UDP length too long", false, FIX_L4, 0, 38, 2, { 0, 250 }, DROPS(UDP_LENGTH) },
		{ "UDP length short", false, FIX_L4, 0, 38, 2, { 0, 20 }, DROPS(UDP_LENGTH) },
		{ "IP has no UDP header", false, FIX_IP, 0, 16, 2, { 0, 27 }, DROPS(UDP_LENGTH) },
		{ "UDP port", false, FIX_L4, 0, 36, 2, { 0, 53 }, DROPS(UDP_PORT) },
		{ "UDP checksum", false, NO_FIX, 0, 40, 1, { 0x12 }, DROPS(UDP_CHECKSUM) },
		{ "payload flipped", false, NO_FIX, 0, 50, 1, { 0 }, DROPS(UDP_CHECKSUM) },
		{ "no checksum", false, NO_FIX, 0, 40, 2, { 0, 0 }, PLM_NET_UDP, PLM_CNT_MAX },

		{ "version 4 in IPv6", true, NO_FIX, 0, 14, 1, { 0x40 }, DROPS(IP_VERSION) },
		{ "payload length 0", true, NO_FIX, 0, 18, 2, { 0, 0 }, DROPS(IP_LENGTH) },
		{ "payload too long", true, NO_FIX, 0, 18, 2, { 1, 0 }, DROPS(IP_LENGTH) },
		{ "truncated", true, NO_FIX, 70, 0, 0, { 0 }, DROPS(IP_LENGTH) },
		{ "hop-by-hop", true, NO_FIX, 0, 20, 1, { 0 }, DROPS(IP_OPTIONS) },
		{ "routing", true, NO_FIX, 0, 20, 1, { 43 }, DROPS(IP_OPTIONS) },
		{ "destination options", true, NO_FIX, 0, 20, 1, { 60 }, DROPS(IP_OPTIONS) },
		{ "fragment", true, NO_FIX, 0, 20, 1, { 44 }, DROPS(IP_FRAGMENT) },
		{ "TCP", true, NO_FIX, 0, 20, 1, { 6 }, DROPS(IP_PROTO) },
		{ "ICMPv6", true, NO_FIX, 0, 20, 1, { 58 }, PLM_NET_CTL, PLM_CNT_MAX },
		{ "source multicast", true, NO_FIX, 0, 22, 2, { 0xff, 2 }, DROPS(IP_SOURCE) },
		{ "source ::", true, NO_FIX, 0, 22, 16, { 0 }, DROPS(IP_SOURCE) },
		{ "source ::1", true, NO_FIX, 0, 22, 16, { [15] = 1 }, DROPS(IP_SOURCE) },
		{ "mapped IPv4", true, NO_FIX, 0, 22, 16,
				{ [10] = 0xff, [11] = 0xff, [12] = 9, [15] = 9 },
				DROPS(IP_SOURCE) },
		{ "from ourselves", true, NO_FIX, 0, 22, 16, { 0xfd, [15] = 1 }, DROPS(IP_SOURCE) },
		{ "not to us", true, NO_FIX, 0, 53, 1, { 9 }, DROPS(IP_FOREIGN) },
		{ "UDP to all nodes", true, NO_FIX, 0, 38, 16, { 0xff, 2, [15] = 1 },
				DROPS(IP_FOREIGN) },
		{ "UDP length", true, FIX_L4, 0, 58, 2, { 0, 20 }, DROPS(UDP_LENGTH) },
		{ "UDP checksum", true, NO_FIX, 0, 61, 1, { 0x99 }, DROPS(UDP_CHECKSUM) },
		{ "no checksum", true, NO_FIX, 0, 60, 2, { 0, 0 }, DROPS(UDP_CHECKSUM) },
#undef DROPS
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum plm_net_verdict verdict;
		enum plm_counter why;
		uint8_t frame[256];
		uint16_t sum;
		size_t len;

		len = udp_frame(frame, cases[i].v6 ? "fd00::2" : "198.18.0.2",
				cases[i].v6 ? "fd00::1" : "198.18.0.1", 40000, TEST_UDP_PORT,
				payload, PAYLOAD_LEN);
		memcpy(frame + cases[i].off, cases[i].bytes, cases[i].n);
		if (cases[i].fix == FIX_IP) {
			frame[24] = frame[25] = 0;
			sum = (uint16_t)~ref_fold(ref_sum(0, frame + 14, 20));
			frame[24] = (uint8_t)(sum >> 8);
			frame[25] = (uint8_t)sum;
			if (frame[14] == 0x45 && (size_t)(frame[16] << 8 | frame[17]) == len - 14)
				put_l4_sum(frame + 14, 6, true);
		} else if (cases[i].fix == FIX_L4) {
			put_l4_sum(frame + 14, 6, true);
		}
		verdict = rx(frame, cases[i].len ? cases[i].len : len, &f.ports[0], 0, &why);
		if (verdict != cases[i].verdict || why != cases[i].why)
			fail_msg("%s (IPv%d): verdict %d, %s", cases[i].name, cases[i].v6 ? 6 : 4,
					verdict,
					why < PLM_CNT_MAX ? plm_counter_defs[why].name
							  : "no reason");
	}
}

static void
net_rx__drops_an_empty_datagram(void **state)
{
	enum plm_counter why;
	uint8_t frame[64];
	size_t len = udp_frame(frame, "198.18.0.2", "198.18.0.1", 1, TEST_UDP_PORT, "", 0);

	assert_int_equal(rx(frame, len, &f.ports[0], 0, &why), PLM_NET_DROP);
	assert_int_equal(why, PLM_CNT_RX_EMPTY);
}

static void
net_rx__drops_a_chain(void **state)
{
	enum plm_counter why = PLM_CNT_MAX;
	uint8_t frame[128];
	size_t len = udp_frame(frame, "198.18.0.2", "198.18.0.1", 1, TEST_UDP_PORT, payload,
			PAYLOAD_LEN);
	struct rte_mbuf *m = mbuf_of(frame, len);

	assert_int_equal(rte_pktmbuf_chain(m, mbuf_of(frame, 10)), 0);
	assert_int_equal(plm_net_rx(f.net, &f.ports[0], m, &why), PLM_NET_DROP);
	assert_int_equal(why, PLM_CNT_RX_L2_SHORT);
	rte_pktmbuf_free(m);
}

static void
net_rx__trusts_flags_only_of_ports_that_have_them(void **state)
{
	static const struct {
		bool port_checks;
		bool break_ip;
		bool break_udp;
		uint64_t flags;
		enum plm_net_verdict verdict;
		enum plm_counter why;
	} cases[] = {
		{ true, false, true, RTE_MBUF_F_RX_L4_CKSUM_GOOD, PLM_NET_UDP, PLM_CNT_MAX },
		{ true, true, false, RTE_MBUF_F_RX_IP_CKSUM_GOOD, PLM_NET_UDP, PLM_CNT_MAX },
		{ true, false, false, RTE_MBUF_F_RX_L4_CKSUM_BAD, PLM_NET_DROP,
				PLM_CNT_RX_UDP_CHECKSUM },
		{ true, false, false, RTE_MBUF_F_RX_IP_CKSUM_BAD, PLM_NET_DROP,
				PLM_CNT_RX_IP_CHECKSUM },
		/* A neighbour on the same host: the field is not filled in, the data is whole. */
		{ true, false, true, RTE_MBUF_F_RX_L4_CKSUM_NONE, PLM_NET_UDP, PLM_CNT_MAX },
		{ false, false, true, RTE_MBUF_F_RX_L4_CKSUM_NONE, PLM_NET_DROP,
				PLM_CNT_RX_UDP_CHECKSUM },
		/* The hardware says nothing: look. */
		{ true, false, true, 0, PLM_NET_DROP, PLM_CNT_RX_UDP_CHECKSUM },
		{ true, true, false, 0, PLM_NET_DROP, PLM_CNT_RX_IP_CHECKSUM },
		{ false, false, true, RTE_MBUF_F_RX_L4_CKSUM_GOOD, PLM_NET_DROP,
				PLM_CNT_RX_UDP_CHECKSUM },
		{ false, false, false, RTE_MBUF_F_RX_L4_CKSUM_BAD, PLM_NET_UDP, PLM_CNT_MAX },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct plm_port port = f.ports[0];
		enum plm_counter why;
		uint8_t frame[128];
		size_t len = udp_frame(frame, "198.18.0.2", "198.18.0.1", 1, TEST_UDP_PORT, payload,
				PAYLOAD_LEN);

		port.rx_ip_csum = cases[i].port_checks;
		port.rx_udp_csum = cases[i].port_checks;
		if (cases[i].break_ip)
			frame[24] ^= 0x55;
		if (cases[i].break_udp)
			frame[40] ^= 0x55;
		assert_int_equal(rx(frame, len, &port, cases[i].flags, &why), cases[i].verdict);
		assert_int_equal(why, cases[i].why);
	}
}

static void
net_rx__takes_neighbour_discovery_of_its_groups(void **state)
{
	static const struct {
		const char *src;
		const char *dst;
		enum plm_net_verdict verdict;
	} cases[] = {
		{ "fe80::2", "ff02::1", PLM_NET_CTL },
		{ "fe80::2", "ff02::1:ff00:1", PLM_NET_CTL },
		{ "::", "ff02::1:ff00:1", PLM_NET_CTL },
		{ "fe80::2", "ff02::1:ff00:10", PLM_NET_CTL }, /* of the link-local address */
		{ "fe80::2", "ff02::1:ff00:2", PLM_NET_DROP },
		{ "fe80::2", "ff02::2", PLM_NET_DROP },
		{ "::1", "ff02::1", PLM_NET_DROP },
	};
	static const uint8_t body[24] = { 135 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		static const uint8_t group_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
		enum plm_counter why;
		uint8_t frame[128];
		size_t len = icmp6_frame(frame, group_mac, mac_peer, cases[i].src, cases[i].dst,
				255, body, sizeof(body));

		assert_int_equal(rx(frame, len, &f.ports[0], 0, &why), cases[i].verdict);
	}
}

static void
net_rx__is_total(void **state)
{
	/* Whatever a frame is cut to and whichever byte is wrong, there is a verdict. */
	for (int v6 = 0; v6 < 2; v6++) {
		uint8_t good[128], frame[128];
		size_t len = udp_frame(good, v6 ? "fd00::2" : "198.18.0.2",
				v6 ? "fd00::1" : "198.18.0.1", 1, TEST_UDP_PORT, payload,
				PAYLOAD_LEN);

		for (size_t i = 0; i <= len; i++) {
			enum plm_counter why;

			if (rx(good, i, &f.ports[0], 0, &why) !=
					(i < len ? PLM_NET_DROP : PLM_NET_UDP))
				fail_msg("%zu of %zu bytes", i, len);
		}
		for (size_t i = 0; i < len; i++) {
			for (unsigned int v = 0; v < 256; v++) {
				enum plm_net_verdict verdict;
				enum plm_counter why;

				memcpy(frame, good, len);
				frame[i] = (uint8_t)v;
				verdict = rx(frame, len, &f.ports[0], 0, &why);
				if (verdict == PLM_NET_DROP && why >= PLM_CNT_MAX)
					fail_msg("byte %zu as %u: dropped without a reason", i, v);
			}
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(net_rx__describes_a_datagram),
		cmocka_unit_test(net_rx__checks_every_length),
		cmocka_unit_test(net_rx__drops_by_reason),
		cmocka_unit_test(net_rx__drops_an_empty_datagram),
		cmocka_unit_test(net_rx__drops_a_chain),
		cmocka_unit_test(net_rx__trusts_flags_only_of_ports_that_have_them),
		cmocka_unit_test(net_rx__takes_neighbour_discovery_of_its_groups),
		cmocka_unit_test(net_rx__is_total),
	};

	test_eal_init(64);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

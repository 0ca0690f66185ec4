/* SPDX-License-Identifier: BSD-3-Clause */
/* Own addresses, templates, whole frames and answers; byte-exact. */
#include <errno.h>

#include "net_fixture.h"

static struct net_fixture f;

static int
setup(void **state)
{
	net_fixture_init(&f, 4);
	return 0;
}

static int
teardown(void **state)
{
	net_fixture_fini(&f);
	return 0;
}

static void
net_create__adds_a_link_local_address_per_port(void **state)
{
	static const char *const want[NB_LOCALS] = { "198.18.0.1", "fd00::1", "198.19.0.1",
		"fe80::ff:fe00:10", "fe80::ff:fe00:11" };

	assert_int_equal(plm_net_nb_locals(f.net), NB_LOCALS);
	for (uint16_t i = 0; i < NB_LOCALS; i++) {
		char buf[INET6_ADDRSTRLEN];

		assert_string_equal(plm_ip_text(&plm_net_local(f.net, i)->ip, buf), want[i]);
	}
	assert_int_equal(plm_net_local(f.net, LOCAL_LL1)->port_idx, 1);
}

static void
net_create__refuses_bad_addresses(void **state)
{
	static const struct {
		const char *name;
		uint16_t port_idx;
		const char *ip;
		uint8_t prefix_len;
		const char *gateway;
		int want;
	} cases[] = {
		{ "plain", 0, "198.18.0.1", 24, NULL, 0 },
		{ "gateway", 0, "198.18.0.1", 24, "198.18.0.254", 0 },
		{ "point to point", 0, "198.18.0.0", 31, "198.18.0.1", 0 },
		{ "host route", 0, "198.18.0.1", 32, NULL, 0 },
		{ "link-local gateway", 0, "fd00::1", 64, "fe80::1", 0 },
		{ "no such port", 1, "198.18.0.1", 24, NULL, -EINVAL },
		{ "prefix of IPv4", 0, "198.18.0.1", 33, NULL, -EINVAL },
		{ "prefix of IPv6", 0, "fd00::1", 129, NULL, -EINVAL },
		{ "multicast", 0, "224.0.0.1", 24, NULL, -EINVAL },
		{ "multicast", 0, "ff02::1", 64, NULL, -EINVAL },
		{ "loopback", 0, "127.0.0.1", 8, NULL, -EINVAL },
		{ "loopback", 0, "::1", 128, NULL, -EINVAL },
		{ "network address", 0, "198.18.0.0", 24, NULL, -EINVAL },
		{ "broadcast", 0, "198.18.0.255", 24, NULL, -EINVAL },
		{ "gateway off-link", 0, "198.18.0.1", 24, "198.18.1.254", -EINVAL },
		{ "gateway is us", 0, "198.18.0.1", 24, "198.18.0.1", -EINVAL },
		{ "gateway of another family", 0, "198.18.0.1", 24, "fd00::1", -EINVAL },
		{ "gateway is broadcast", 0, "198.18.0.1", 24, "198.18.0.255", -EINVAL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct plm_port *ports[1] = { &f.ports[0] };
		struct plm_net_local_conf local = { cases[i].port_idx, ip_of(cases[i].ip),
			cases[i].prefix_len, { { 0 }, false } };
		struct plm_net_conf conf = { .ports = ports,
			.nb_ports = 1,
			.locals = &local,
			.nb_locals = 1,
			.max_neighbours = 4,
			.rand = net_fixture_rand,
			.counters = &f.counters };
		struct plm_net *net = NULL;
		int ret;

		if (cases[i].gateway != NULL)
			local.gateway = ip_of(cases[i].gateway);
		ret = plm_net_create(&net, &conf);
		if (ret != cases[i].want)
			fail_msg("%s %s: %d", cases[i].name, cases[i].ip, ret);
		plm_net_free(net);
	}
}

static void
net_mcast__lists_each_group_once(void **state)
{
	static const uint8_t want[][6] = { { 0x33, 0x33, 0, 0, 0, 1 }, /* all nodes */
		{ 0x33, 0x33, 0xff, 0, 0, 1 }, { 0x33, 0x33, 0xff, 0, 0, 0x10 } };
	struct rte_ether_addr list[8];

	assert_int_equal(plm_net_mcast(f.net, 0, list, 8), 3);
	assert_memory_equal(list, want, sizeof(want));
	assert_int_equal(plm_net_mcast(f.net, 1, list, 8), 2);
	assert_int_equal(plm_net_mcast(f.net, 0, list, 2), 2);
	assert_int_equal(plm_net_mcast(f.net, 0, list, 0), 0);
}

static void
net_route__finds_the_next_hop(void **state)
{
	static const struct {
		uint16_t local_idx;
		const char *remote;
		int want;        /* 0 or error */
		const char *hop; /* whom the first probe asks for; NULL: known already */
	} cases[] = {
		{ LOCAL_V4, "198.18.0.7", 0, "198.18.0.7" },
		{ LOCAL_V4, "198.18.0.7", 0, NULL },
		{ LOCAL_V4, "203.0.113.5", 0, NULL }, /* the gateway is always in the table */
		{ LOCAL_V4, "198.18.0.255", -EHOSTUNREACH, NULL },
		{ LOCAL_V4, "198.18.0.1", -EHOSTUNREACH, NULL },
		{ LOCAL_V4, "224.1.1.1", -EHOSTUNREACH, NULL },
		{ LOCAL_V4, "fd00::2", -EHOSTUNREACH, NULL },
		{ LOCAL_V6, "2001:db8::5", 0, NULL },
		{ LOCAL_V6, "fd00::2", 0, "fd00::2" },
		{ LOCAL_LL0, "fd00::2", 0, NULL },
		{ LOCAL_LL0, "fe80::7", 0, "fe80::7" },
		{ LOCAL_LL0, "2001:db8::5", -EHOSTUNREACH, NULL },
		{ LOCAL_SMALL, "198.19.0.2", 0, "198.19.0.2" },
		{ LOCAL_SMALL, "198.19.0.9", -EHOSTUNREACH, NULL },
	};
	struct plm_template tmpl[sizeof(cases) / sizeof(cases[0])];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct plm_ip remote = ip_of(cases[i].remote);
		int ret;

		f.nb_emitted = 0;
		ret = plm_net_route(f.net, cases[i].local_idx, &remote, 5, &tmpl[i], 1000);
		if (ret != cases[i].want || f.nb_emitted != (cases[i].hop != NULL ? 1 : 0))
			fail_msg("%u to %s: %d, %u probes", cases[i].local_idx, cases[i].remote,
					ret, f.nb_emitted);
		if (cases[i].hop != NULL) {
			const struct emitted *e = &f.emitted[0];
			struct plm_ip hop = ip_of(cases[i].hop);

			assert_int_equal(e->port_idx,
					plm_net_local(f.net, cases[i].local_idx)->port_idx);
			/* Target of the ARP request, or of the solicitation. */
			assert_memory_equal(e->bytes + (hop.is_v6 ? 62 : 38), hop.addr,
					hop.is_v6 ? 16 : 4);
		}
	}
	assert_int_equal(tmpl[0].nexthop_idx, tmpl[1].nexthop_idx);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (cases[i].want == 0)
			plm_net_route_put(f.net, &tmpl[i]);
	}
}

/* Teach a next hop its MAC address, as its own answer would. */
static void
resolve(const struct plm_template *tmpl, const uint8_t mac[6])
{
	uint64_t word = 0;

	memcpy(&word, mac, 6);
	atomic_store(&plm_net_nexthops(f.net)[tmpl->nexthop_idx], word);
}

static void
net_route__fills_the_template(void **state)
{
	/* clang-format off */
	static const uint8_t want4[] = {
		0x02, 0, 0, 0, 0, 0x10, 0x08, 0x00,
		0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 198, 18, 0, 1, 198, 18, 0, 7,
		0x0d, 0x96, 0x9c, 0x40, 0, 0, 0, 0 };
	/* clang-format on */
	struct plm_ip remote = ip_of("198.18.0.7");
	struct plm_template tmpl;
	uint8_t hdr[sizeof(want4)];
	uint16_t sum;

	assert_int_equal(plm_net_route(f.net, LOCAL_V4, &remote, rte_cpu_to_be_16(40000), &tmpl, 1),
			0);
	memcpy(hdr, tmpl.hdr, sizeof(hdr));
	sum = ref_fold(ref_sum(0, want4 + 8, 20));
	assert_int_equal(hdr[18] << 8 | hdr[19], sum);
	sum = ref_fold(17 + ref_sum(0, want4 + 20, 8 + 4)); /* addresses and ports */
	assert_int_equal(hdr[34] << 8 | hdr[35], sum);
	hdr[18] = hdr[19] = hdr[34] = hdr[35] = 0;
	assert_memory_equal(hdr, want4, sizeof(want4));
	assert_int_equal(tmpl.port_idx, 0);
	assert_false(tmpl.is_v6);
	plm_net_route_put(f.net, &tmpl);
}

static void
net_build__sums_are_right(void **state)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct plm_ip remote = ip_of(v6 ? "fd00::7" : "198.18.0.7");
		struct plm_template tmpl;
		size_t hdr_len = v6 ? 62 : 42;

		assert_int_equal(plm_net_route(f.net, v6 ? LOCAL_V6 : LOCAL_V4, &remote,
						 rte_cpu_to_be_16(40000), &tmpl, 1),
				0);
		assert_int_equal(plm_net_hdr_len(f.net, &tmpl), hdr_len);
		for (size_t len = 0; len <= 1400; len += len < 40 ? 1 : 97) {
			uint8_t frame[1600];

			memset(frame, 0xa5, sizeof(frame));
			for (size_t i = 0; i < len; i++)
				frame[hdr_len + i] = (uint8_t)(i * 31 + len);
			atomic_store(&plm_net_nexthops(f.net)[tmpl.nexthop_idx], 0);
			assert_int_equal(plm_net_build(f.net, &tmpl, 46, frame, len),
					-EHOSTUNREACH);
			resolve(&tmpl, mac_peer);
			assert_int_equal(plm_net_build(f.net, &tmpl, 46, frame, len),
					hdr_len + len);
			assert_memory_equal(frame, mac_peer, 6);
			assert_memory_equal(frame + 6, mac_port0, 6);
			if (v6) {
				assert_int_equal(frame[14] << 8 | frame[15], 0x6000 | 46 << 6);
				assert_int_equal(frame[21], 64);
			} else {
				assert_int_equal(frame[15], 46 << 2);
				assert_int_equal(frame[20], 0x40);
				assert_int_equal(frame[22], 64);
				assert_int_equal(ref_fold(ref_sum(0, frame + 14, 20)), 0xffff);
			}
			assert_int_equal(ref_l4_check(frame + 14), 0xffff);
			assert_false(frame[hdr_len - 2] == 0 && frame[hdr_len - 1] == 0);
			assert_int_equal(frame[hdr_len + len], 0xa5);
			for (size_t i = 0; i < len; i++)
				assert_int_equal(frame[hdr_len + i], (uint8_t)(i * 31 + len));
		}
		plm_net_route_put(f.net, &tmpl);
	}
}

static void
net_build__never_sends_a_checksum_of_0(void **state)
{
	struct plm_ip remote = ip_of("198.18.0.7");
	struct plm_template tmpl;
	uint8_t frame[64];
	uint16_t sum;

	assert_int_equal(plm_net_route(f.net, LOCAL_V4, &remote, 77, &tmpl, 1), 0);
	resolve(&tmpl, mac_peer);
	memset(frame + 42, 0, 2);
	assert_int_equal(plm_net_build(f.net, &tmpl, 0, frame, 2), 44);
	/* A payload that is the checksum itself makes the sum come out as 0. */
	memcpy(frame + 42, frame + 40, 2);
	assert_int_equal(plm_net_build(f.net, &tmpl, 0, frame, 2), 44);
	memcpy(&sum, frame + 40, 2);
	assert_int_equal(sum, 0xffff);
	assert_int_equal(ref_l4_check(frame + 14), 0xffff);
	plm_net_route_put(f.net, &tmpl);
}

static void
net_build__tags_and_limits(void **state)
{
	struct plm_ip remote = ip_of("198.18.0.7");
	struct plm_template tmpl;
	static uint8_t frame[1600];
	uint8_t hop[8] = { 2, 0xaa, 0, 0, 0, 2, 0x00, 0x2a };
	uint64_t word;

	assert_int_equal(plm_net_route(f.net, LOCAL_V4, &remote, 77, &tmpl, 1), 0);
	resolve(&tmpl, mac_peer);
	assert_int_equal(plm_net_build(f.net, &tmpl, 0, frame, 1500 - 28), 1514);
	assert_int_equal(plm_net_build(f.net, &tmpl, 0, frame, 1500 - 27), -EMSGSIZE);
	memcpy(&word, hop, 8);
	atomic_store(&plm_net_nexthops(f.net)[tmpl.nexthop_idx], word);
	assert_int_equal(plm_net_hdr_len(f.net, &tmpl), 46);
	memset(frame + 46, 0x11, 8);
	assert_int_equal(plm_net_build(f.net, &tmpl, 0, frame, 8), 54);
	assert_memory_equal(frame + 12, "\x81\x00\x00\x2a\x08\x00\x45", 7);
	assert_int_equal(ref_l4_check(frame + 18), 0xffff);
	plm_net_route_put(f.net, &tmpl);
}

static void
net_reply__goes_straight_back(void **state)
{
	for (int v6 = 0; v6 < 2; v6++) {
		const char *src = v6 ? "2001:db8::5" : "203.0.113.5";
		const char *dst = v6 ? "fd00::1" : "198.18.0.1";
		struct plm_pkt pkt = { .payload_off = v6 ? 62 : 42,
			.payload_len = 4,
			.l3_off = 14,
			.local_idx = v6 ? LOCAL_V6 : LOCAL_V4,
			.src_port = rte_cpu_to_be_16(40000),
			.is_v6 = (uint8_t)v6 };
		uint8_t request[128], want[128], out[128];
		struct plm_ip from = ip_of(src);
		size_t hdr_len = v6 ? 62 : 42;
		size_t len;

		udp_frame(request, src, dst, 40000, TEST_UDP_PORT, "abcd", 4);
		memcpy(pkt.src_addr, from.addr, 16);
		len = udp_frame(want, dst, src, TEST_UDP_PORT, 40000, "an answer", 9);
		memcpy(want, mac_peer, 6);
		memcpy(want + 6, mac_port0, 6);
		if (!v6) {
			uint16_t sum;

			want[20] = 0x40; /* DF */
			want[24] = want[25] = 0;
			sum = (uint16_t)~ref_fold(ref_sum(0, want + 14, 20));
			want[24] = (uint8_t)(sum >> 8);
			want[25] = (uint8_t)sum;
		}
		assert_int_equal(plm_net_reply(f.net, request, &pkt, "an answer", 9, out,
						 sizeof(out)),
				len);
		assert_memory_equal(out, want, len);
		assert_int_equal(ref_l4_check(out + 14), 0xffff);
		assert_int_equal(plm_net_reply(f.net, request, &pkt, "an answer", 9, out,
						 hdr_len + 8),
				-EMSGSIZE);
	}
}

static void
ip_parse__takes_both_families(void **state)
{
	struct plm_ip ip;
	char buf[INET6_ADDRSTRLEN];

	assert_int_equal(plm_ip_parse("198.18.0.1", &ip), 0);
	assert_false(ip.is_v6);
	assert_string_equal(plm_ip_text(&ip, buf), "198.18.0.1");
	assert_int_equal(plm_ip_parse("fd00::1:0", &ip), 0);
	assert_true(ip.is_v6);
	assert_string_equal(plm_ip_text(&ip, buf), "fd00::1:0");
	assert_int_equal(plm_ip_parse("", &ip), -EINVAL);
	assert_int_equal(plm_ip_parse("198.18.0", &ip), -EINVAL);
	assert_int_equal(plm_ip_parse("198.18.0.1/24", &ip), -EINVAL);
	assert_true(ip.is_v6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(net_create__adds_a_link_local_address_per_port,
				setup, teardown),
		cmocka_unit_test_setup_teardown(net_create__refuses_bad_addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(net_mcast__lists_each_group_once, setup, teardown),
		cmocka_unit_test_setup_teardown(net_route__finds_the_next_hop, setup, teardown),
		cmocka_unit_test_setup_teardown(net_route__fills_the_template, setup, teardown),
		cmocka_unit_test_setup_teardown(net_build__sums_are_right, setup, teardown),
		cmocka_unit_test_setup_teardown(net_build__never_sends_a_checksum_of_0, setup,
				teardown),
		cmocka_unit_test_setup_teardown(net_build__tags_and_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(net_reply__goes_straight_back, setup, teardown),
		cmocka_unit_test_setup_teardown(ip_parse__takes_both_families, setup, teardown),
	};

	test_eal_init(64);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* ARP, neighbour discovery and pseudo-header checksums. */
#include <errno.h>
#include <stdlib.h>

#include "plm_wire.h"
#include "test_eal.h"

static const uint8_t mac_a[6] = { 2, 0, 0, 0, 0, 0xa };
static const uint8_t mac_b[6] = { 2, 0, 0, 0, 0, 0xb };
static const uint8_t ip6_a[16] = { 0xfd, 0, [15] = 1 };
static const uint8_t ip6_b[16] = { 0xfd, 0, [15] = 2 };

static void
arp__round_trips(void **state)
{
	for (int request = 0; request < 2; request++) {
		struct plm_arp arp = { .is_request = request,
			.sender_ip = { 198, 18, 0, 1 },
			.target_ip = { 198, 18, 0, 2 } };
		struct plm_arp got;
		uint8_t buf[60];

		memcpy(arp.sender_mac, mac_a, 6);
		memcpy(arp.target_mac, mac_b, 6);
		assert_int_equal(plm_arp_build(buf, 59, mac_b, &arp), -ENOSPC);
		assert_int_equal(plm_arp_build(buf, sizeof(buf), mac_b, &arp), 60);
		assert_memory_equal(buf, mac_b, 6);
		assert_memory_equal(buf + 6, mac_a, 6);
		memset(&got, 0, sizeof(got));
		assert_int_equal(plm_arp_parse(buf + PLM_ETH_HDR, 28, &got), 0);
		assert_memory_equal(&got, &arp, sizeof(arp));
	}
}

static void
arp_parse__refuses_prefixes_and_other_hardware(void **state)
{
	struct plm_arp arp = { .is_request = true };
	struct plm_arp got;
	uint8_t buf[60];

	plm_arp_build(buf, sizeof(buf), mac_b, &arp);
	for (size_t len = 0; len < 28; len++)
		assert_int_equal(plm_arp_parse(buf + PLM_ETH_HDR, len, &got), -EMSGSIZE);
	for (size_t i = 0; i < 8; i++) {
		buf[PLM_ETH_HDR + i] ^= 4;
		assert_int_equal(plm_arp_parse(buf + PLM_ETH_HDR, 28, &got), -EPROTO);
		buf[PLM_ETH_HDR + i] ^= 4;
	}
}

static const struct {
	const char *name;
	struct plm_nd nd;
} nd_cases[] = {
	{ "solicitation",
			{ .type = PLM_ICMP6_NS,
					.has_lladdr = true,
					.lladdr = { 2, 3, 4, 5, 6, 7 } } },
	{ "solicitation, DAD", { .type = PLM_ICMP6_NS } },
	{ "advertisement",
			{ .type = PLM_ICMP6_NA,
					.has_lladdr = true,
					.lladdr = { 2, 3, 4, 5, 6, 7 },
					.solicited = true,
					.override = true } },
	{ "advertisement of a router", { .type = PLM_ICMP6_NA, .router = true } },
};

static void
nd__round_trips(void **state)
{
	for (size_t i = 0; i < RTE_DIM(nd_cases); i++) {
		struct plm_nd nd = nd_cases[i].nd;
		size_t icmp_len = nd.has_lladdr ? 32 : 24;
		uint8_t buf[86];
		const uint8_t *icmp = buf + PLM_ETH_HDR + PLM_IP6_HDR;
		struct plm_nd got;

		memcpy(nd.target, ip6_a, 16);
		assert_int_equal(plm_nd_build(buf, 53 + icmp_len, mac_a, mac_b, ip6_a, ip6_b, &nd),
				-ENOSPC);
		assert_int_equal(plm_nd_build(buf, sizeof(buf), mac_a, mac_b, ip6_a, ip6_b, &nd),
				54 + icmp_len);
		assert_int_equal(buf[PLM_ETH_HDR + 7], 255);
		assert_int_equal(plm_wire_l4_sum(ip6_a, ip6_b, true, 58, icmp, icmp_len), 0);
		memset(&got, 0, sizeof(got));
		assert_int_equal(plm_nd_parse(icmp, icmp_len, &got), 0);
		if (memcmp(&got, &nd, sizeof(nd)) != 0)
			fail_msg("%s", nd_cases[i].name);
		/* Cut anywhere but where the option starts. */
		for (size_t len = 0; len < icmp_len; len++) {
			uint8_t *copy = malloc(len + 1);

			assert_non_null(copy);
			memcpy(copy + 1, icmp, len);
			assert_int_equal(plm_nd_parse(copy + 1, len, &got),
					len == 24 ? 0 : -EMSGSIZE);
			free(copy);
		}
	}
}

static const struct {
	const char *name;
	uint8_t off;
	uint8_t value;
	int want;
} nd_bad[] = {
	{ "router advertisement", 0, 134, -EPROTO },
	{ "code 1", 1, 1, -EPROTO },
	{ "multicast target", 8, 0xff, -EPROTO },
	{ "option of length 0", 25, 0, -EPROTO },
	{ "option beyond the end", 25, 2, -EMSGSIZE },
	{ "another option", 24, 14, 0 },
};

static void
nd_parse__refuses(void **state)
{
	for (size_t i = 0; i < RTE_DIM(nd_bad); i++) {
		struct plm_nd nd = { .type = PLM_ICMP6_NS, .has_lladdr = true, .target = { 0xfd } };
		uint8_t buf[86];
		uint8_t *icmp = buf + PLM_ETH_HDR + PLM_IP6_HDR;

		plm_nd_build(buf, sizeof(buf), mac_a, mac_b, ip6_a, ip6_b, &nd);
		icmp[nd_bad[i].off] = nd_bad[i].value;
		if (plm_nd_parse(icmp, 32, &nd) != nd_bad[i].want)
			fail_msg("%s", nd_bad[i].name);
		if (nd_bad[i].want == 0)
			assert_false(nd.has_lladdr);
	}
}

static void
l4_sum__matches_a_known_datagram(void **state)
{
	/* 198.18.0.1:1 to 198.18.0.2:2, 3 bytes; the checksum worked out by hand. */
	static const uint8_t src[4] = { 198, 18, 0, 1 };
	static const uint8_t dst[4] = { 198, 18, 0, 2 };
	uint8_t udp[11] = { 0, 1, 0, 2, 0, 11, 0, 0, 0x80, 0x60, 0x01 };
	uint16_t sum = plm_wire_l4_sum(src, dst, false, 17, udp, sizeof(udp));

	/* c612+0001 + c612+0002 + 0011 + 000b + 0001+0002+000b + 8060+0100 = 20db1 -> 0db3 */
	assert_int_equal(rte_be_to_cpu_16(sum), ~0x0db3 & 0xffff);
	memcpy(udp + 6, &sum, 2);
	assert_int_equal(plm_wire_l4_sum(src, dst, false, 17, udp, sizeof(udp)), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arp__round_trips),
		cmocka_unit_test(arp_parse__refuses_prefixes_and_other_hardware),
		cmocka_unit_test(nd__round_trips),
		cmocka_unit_test(nd_parse__refuses),
		cmocka_unit_test(l4_sum__matches_a_known_datagram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

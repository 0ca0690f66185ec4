/* SPDX-License-Identifier: BSD-3-Clause */
/* ARP and neighbour discovery: what parses is built again and must parse to the same. */
#include "fuzz.h"
#include "plm_wire.h"

static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t ip[16] = { 0xfd, [15] = 1 };

static void
check_arp(const uint8_t *buf, size_t len)
{
	struct plm_arp arp, again;
	uint8_t frame[64];

	memset(&arp, 0x5a, sizeof(arp));
	memcpy(&again, &arp, sizeof(arp));
	if (plm_arp_parse(buf, len, &arp) < 0) {
		FUZZ_CHECK(memcmp(&arp, &again, sizeof(arp)) == 0);
		return;
	}
	FUZZ_CHECK(plm_arp_build(frame, sizeof(frame), mac, &arp) == 60);
	FUZZ_CHECK(memcmp(frame + PLM_ETH_HDR, buf, 28) == 0);
	FUZZ_CHECK(plm_arp_parse(frame + PLM_ETH_HDR, 46, &again) == 0);
	FUZZ_CHECK(memcmp(&arp, &again, sizeof(arp)) == 0);
}

static void
check_nd(const uint8_t *buf, size_t len)
{
	struct plm_nd nd, again;
	uint8_t frame[128];
	const uint8_t *icmp = frame + PLM_ETH_HDR + PLM_IP6_HDR;
	size_t icmp_len;
	int ret;

	memset(&nd, 0x5a, sizeof(nd));
	memcpy(&again, &nd, sizeof(nd));
	if (plm_nd_parse(buf, len, &nd) < 0) {
		FUZZ_CHECK(memcmp(&nd, &again, sizeof(nd)) == 0);
		return;
	}
	ret = plm_nd_build(frame, sizeof(frame), mac, mac, ip, ip, &nd);
	FUZZ_CHECK(ret == PLM_ETH_HDR + PLM_IP6_HDR + (nd.has_lladdr ? 32 : 24));
	icmp_len = (size_t)ret - PLM_ETH_HDR - PLM_IP6_HDR;
	FUZZ_CHECK(plm_wire_l4_sum(ip, ip, true, 58, icmp, icmp_len) == 0);
	FUZZ_CHECK(plm_nd_parse(icmp, icmp_len, &again) == 0);
	FUZZ_CHECK(memcmp(&nd, &again, sizeof(nd)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	check_arp(buf, len);
	check_nd(buf, len);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Internet checksums, ARP and neighbour discovery messages. */
#include <errno.h>

#include <rte_byteorder.h>
#include <rte_common.h>

#include "plm_wire.h"

#define ETHERTYPE_ARP  0x0806
#define ETHERTYPE_IPV6 0x86dd

#define ARP_LEN       28
#define ETH_FRAME_MIN 60 /* without the FCS */

#define ND_LEN            24 /* up to and with the target address */
#define ND_OPT_SRC_LLADDR 1
#define ND_OPT_DST_LLADDR 2
#define ND_OPT_LLADDR_LEN 8

#define NA_ROUTER    0x80
#define NA_SOLICITED 0x40
#define NA_OVERRIDE  0x20

/* Sums of 16-bit words in 32-bit lanes, low and high halves apart: a lane takes 65 536 vectors
 * before it can overflow. One AVX2 register wide; the compiler splits it where there is none. */
typedef uint32_t sum_vec __attribute__((vector_size(32)));
#define SUM_LANES   (sizeof(sum_vec) / sizeof(uint32_t))
#define SUM_RUN_MAX (32768 * sizeof(sum_vec))

static uint64_t
sum_run(const uint8_t **pos, size_t len)
{
	const uint8_t *p = *pos;
	sum_vec even_0 = { 0 }, odd_0 = { 0 };
	sum_vec even_1 = { 0 }, odd_1 = { 0 };
	uint64_t sum = 0;

	for (; len >= 2 * sizeof(sum_vec); len -= 2 * sizeof(sum_vec), p += 2 * sizeof(sum_vec)) {
		sum_vec v0, v1;

		memcpy(&v0, p, sizeof(v0));
		memcpy(&v1, p + sizeof(v0), sizeof(v1));
		even_0 += v0 & 0xffff;
		odd_0 += v0 >> 16;
		even_1 += v1 & 0xffff;
		odd_1 += v1 >> 16;
	}
	if (len >= sizeof(sum_vec)) {
		sum_vec v;

		memcpy(&v, p, sizeof(v));
		even_0 += v & 0xffff;
		odd_0 += v >> 16;
		p += sizeof(v);
	}
	even_0 += odd_0 + even_1 + odd_1;
	for (unsigned int i = 0; i < SUM_LANES; i++)
		sum += even_0[i];
	*pos = p;
	return sum;
}

uint16_t
plm_wire_sum(const void *buf, size_t len)
{
	const uint8_t *p = buf;
	const uint8_t *end = p + len;
	uint64_t sum = 0;

	while ((size_t)(end - p) >= sizeof(sum_vec))
		sum += sum_run(&p, RTE_MIN((size_t)(end - p), SUM_RUN_MAX));
	for (; end - p >= 4; p += 4) {
		uint32_t v;

		memcpy(&v, p, sizeof(v));
		sum += v;
	}
	if (end - p >= 2) {
		uint16_t v;

		memcpy(&v, p, sizeof(v));
		sum += v;
		p += 2;
	}
	if (p < end) {
		uint16_t v = 0;

		memcpy(&v, p, 1);
		sum += v;
	}
	/* 2^32 is 1 modulo 0xffff, as 2^16 is. */
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	return plm_wire_fold((uint32_t)sum);
}

uint16_t
plm_wire_l4_sum(const uint8_t *src, const uint8_t *dst, bool is_v6, uint8_t proto, const void *l4,
		size_t len)
{
	size_t addr_len = is_v6 ? 16 : 4;
	uint32_t sum = plm_wire_sum(src, addr_len);

	sum += plm_wire_sum(dst, addr_len);
	sum += rte_cpu_to_be_16(proto);
	sum += rte_cpu_to_be_16((uint16_t)(len >> 16));
	sum += rte_cpu_to_be_16((uint16_t)len);
	sum += plm_wire_sum(l4, len);
	return (uint16_t)~plm_wire_fold(sum);
}

static void
put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
put_eth(uint8_t *p, const uint8_t dst[6], const uint8_t src[6], uint16_t type)
{
	memcpy(p, dst, 6);
	memcpy(p + 6, src, 6);
	put_be16(p + 12, type);
}

/* Ethernet and IPv4, address sizes 6 and 4. */
static const uint8_t arp_start[6] = { 0, 1, 8, 0, 6, 4 };

int
plm_arp_parse(const uint8_t *buf, size_t len, struct plm_arp *arp)
{
	uint16_t op;

	if (len < ARP_LEN)
		return -EMSGSIZE;
	op = (uint16_t)(buf[6] << 8 | buf[7]);
	if (memcmp(buf, arp_start, sizeof(arp_start)) != 0 || op < 1 || op > 2)
		return -EPROTO;
	arp->is_request = op == 1;
	memcpy(arp->sender_mac, buf + 8, 6);
	memcpy(arp->sender_ip, buf + 14, 4);
	memcpy(arp->target_mac, buf + 18, 6);
	memcpy(arp->target_ip, buf + 24, 4);
	return 0;
}

int
plm_arp_build(uint8_t *buf, size_t size, const uint8_t dst_mac[6], const struct plm_arp *arp)
{
	uint8_t *p = buf + PLM_ETH_HDR;

	if (size < ETH_FRAME_MIN)
		return -ENOSPC;
	put_eth(buf, dst_mac, arp->sender_mac, ETHERTYPE_ARP);
	memcpy(p, arp_start, sizeof(arp_start));
	put_be16(p + 6, arp->is_request ? 1 : 2);
	memcpy(p + 8, arp->sender_mac, 6);
	memcpy(p + 14, arp->sender_ip, 4);
	memcpy(p + 18, arp->target_mac, 6);
	memcpy(p + 24, arp->target_ip, 4);
	memset(p + ARP_LEN, 0, ETH_FRAME_MIN - PLM_ETH_HDR - ARP_LEN);
	return ETH_FRAME_MIN;
}

int
plm_nd_parse(const uint8_t *buf, size_t len, struct plm_nd *nd)
{
	struct plm_cursor c = plm_cursor(buf, len);
	const uint8_t *lladdr = NULL;
	uint8_t lladdr_opt;

	if (len < ND_LEN)
		return -EMSGSIZE;
	if ((buf[0] != PLM_ICMP6_NS && buf[0] != PLM_ICMP6_NA) || buf[1] != 0 || buf[8] == 0xff)
		return -EPROTO;
	lladdr_opt = buf[0] == PLM_ICMP6_NS ? ND_OPT_SRC_LLADDR : ND_OPT_DST_LLADDR;
	plm_cursor_bytes(&c, ND_LEN);
	while (plm_cursor_left(&c) > 0) {
		const uint8_t *opt = c.pos;
		size_t opt_len;

		if (plm_cursor_left(&c) < 2)
			return -EMSGSIZE;
		opt_len = 8u * opt[1];
		if (opt_len == 0)
			return -EPROTO;
		if (plm_cursor_left(&c) < opt_len)
			return -EMSGSIZE;
		plm_cursor_bytes(&c, opt_len);
		if (opt[0] == lladdr_opt && opt_len == ND_OPT_LLADDR_LEN)
			lladdr = opt + 2;
	}

	nd->type = buf[0];
	memcpy(nd->target, buf + 8, 16);
	nd->has_lladdr = lladdr != NULL;
	if (lladdr != NULL)
		memcpy(nd->lladdr, lladdr, 6);
	else
		memset(nd->lladdr, 0, 6);
	nd->router = nd->type == PLM_ICMP6_NA && buf[4] & NA_ROUTER;
	nd->solicited = nd->type == PLM_ICMP6_NA && buf[4] & NA_SOLICITED;
	nd->override = nd->type == PLM_ICMP6_NA && buf[4] & NA_OVERRIDE;
	return 0;
}

int
plm_nd_build(uint8_t *buf, size_t size, const uint8_t src_mac[6], const uint8_t dst_mac[6],
		const uint8_t src[16], const uint8_t dst[16], const struct plm_nd *nd)
{
	size_t icmp_len = ND_LEN + (nd->has_lladdr ? ND_OPT_LLADDR_LEN : 0);
	size_t len = PLM_ETH_HDR + PLM_IP6_HDR + icmp_len;
	uint8_t *ip = buf + PLM_ETH_HDR;
	uint8_t *icmp = ip + PLM_IP6_HDR;
	uint16_t sum;

	if (size < len)
		return -ENOSPC;
	put_eth(buf, dst_mac, src_mac, ETHERTYPE_IPV6);
	memset(ip, 0, PLM_IP6_HDR);
	ip[0] = 0x60;
	put_be16(ip + 4, (uint16_t)icmp_len);
	ip[6] = 58;
	ip[7] = 255; /* RFC 4861 §7.1: whoever is off-link cannot send this */
	memcpy(ip + 8, src, 16);
	memcpy(ip + 24, dst, 16);

	memset(icmp, 0, ND_LEN);
	icmp[0] = nd->type;
	if (nd->type == PLM_ICMP6_NA)
		icmp[4] = (nd->router ? NA_ROUTER : 0) | (nd->solicited ? NA_SOLICITED : 0) |
				(nd->override ? NA_OVERRIDE : 0);
	memcpy(icmp + 8, nd->target, 16);
	if (nd->has_lladdr) {
		icmp[24] = nd->type == PLM_ICMP6_NS ? ND_OPT_SRC_LLADDR : ND_OPT_DST_LLADDR;
		icmp[25] = ND_OPT_LLADDR_LEN / 8;
		memcpy(icmp + 26, nd->lladdr, 6);
	}
	sum = plm_wire_l4_sum(src, dst, true, 58, icmp, icmp_len);
	memcpy(icmp + 2, &sum, sizeof(sum));
	return (int)len;
}

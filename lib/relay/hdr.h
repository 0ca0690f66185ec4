/* SPDX-License-Identifier: BSD-3-Clause */
/* Headers in front of what is sent: from a template, as fast as it goes. */
#ifndef RELAY_HDR_H
#define RELAY_HDR_H

#include "relay_priv.h"

/* What is stored at once; the compiler picks the registers. */
typedef uint8_t v32u8 __attribute__((vector_size(32), aligned(1), may_alias));
typedef uint8_t v16u8 __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t u64u __attribute__((aligned(1), may_alias));
typedef uint32_t u32u __attribute__((aligned(1), may_alias));
typedef uint16_t u16u __attribute__((aligned(1), may_alias));

/*
 * A frame and, in brackets, its template, which lacks the 6 bytes of the destination MAC:
 *
 *  0 destination MAC   6 [0] source MAC   12 [6] EtherType
 * IPv4: 14 [8] version  15 [9] TOS    16 [10] length        24 [18] checksum  34 [28] ports
 *       38 [32] UDP length and checksum                     42 payload
 * IPv6: 14 [8] version, traffic class 18 [12] payload length                  54 [48] ports
 *       58 [52] UDP length and checksum                     62 payload
 */
#define RELAY_HDR4 (RTE_ETHER_ADDR_LEN + 36)
#define RELAY_HDR6 (RTE_ETHER_ADDR_LEN + 56)
static_assert(RELAY_HDR4 == PLM_ETH_HDR + PLM_IP4_HDR + PLM_UDP_HDR, "template layout");
static_assert(RELAY_HDR6 == PLM_ETH_HDR + PLM_IP6_HDR + PLM_UDP_HDR, "template layout");
static_assert(RELAY_HDR6 == RTE_ETHER_ADDR_LEN + PLM_EGRESS_HDR, "template layout");
static_assert(RELAY_HDR6 + PLM_HDR_COPY_MAX <= PLM_HDR_ROOM, "a small copy fits a header mbuf");

/* The headers of one copy; the template's checksum fields hold the sums of what is constant. */
static __rte_always_inline void
relay_hdr_write(uint8_t *frame, uint64_t mac, const uint8_t *hdr, const struct relay_payload *p,
		const bool is_v6)
{
	uint32_t udp;
	uint16_t csum;

	*(u64u *)frame = mac;
	*(v32u8 *)(frame + 6) = *(const v32u8 *)hdr;
	udp = (is_v6 ? *(const u16u *)(hdr + 54) : *(const u16u *)(hdr + 34)) + p->udp_sum;
	csum = (uint16_t)~plm_wire_fold(udp);
	if (csum == 0) /* 0 says "no checksum"; ones' complement has two zeros (RFC 768) */
		csum = 0xffff;
	if (is_v6) {
		*(v16u8 *)(frame + 38) = *(const v16u8 *)(hdr + 32);
		*(u32u *)(frame + 54) = *(const u32u *)(hdr + 48);
		*(u32u *)(frame + 14) =
				*(const u32u *)(hdr + 8) | rte_cpu_to_be_32((uint32_t)p->tos << 20);
		*(u16u *)(frame + 18) = p->udp_len;
		*(u16u *)(frame + 58) = p->udp_len;
		*(u16u *)(frame + 60) = csum;
	} else {
		uint32_t ip = *(const u16u *)(hdr + 18) + p->ip4_sum;

		frame[15] = p->tos;
		*(u16u *)(frame + 16) = p->ip4_len;
		*(u16u *)(frame + 24) = (uint16_t)~plm_wire_fold(ip);
		*(u16u *)(frame + 38) = p->udp_len;
		*(u16u *)(frame + 40) = csum;
	}
}

/* Set what a raw mbuf does not have by itself. */
static __rte_always_inline void
relay_mbuf_fill(struct rte_mbuf *m, uint16_t nb_segs, uint16_t len, uint32_t pkt_len,
		uint32_t session)
{
	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->nb_segs = nb_segs;
	m->ol_flags = 0;
	m->pkt_len = pkt_len;
	m->data_len = len;
	m->hash.usr = session; /* whom an lcore that carries it counts for */
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames as they leave and as they come back.
 *
 *   RTP header (12) | magic 4 | run 4 | publisher 4 | check 4 | sequence 8 | intended time 8 | filler
 */
#include <rte_common.h>

#include "bytes.h"
#include "load.h"

#define MAGIC     0x504c4d4cu /* "PLML" */
#define TTL       64
#define IP4_DF    0x4000
#define PROTO_UDP 17

#define OFF_MAGIC     PLM_RTP_HDR
#define OFF_RUN       (OFF_MAGIC + 4)
#define OFF_PUBLISHER (OFF_RUN + 4)
#define OFF_CHECK     (OFF_PUBLISHER + 4)
#define OFF_SEQ       (OFF_CHECK + 4)
#define OFF_INTENDED  (OFF_SEQ + 8)
static_assert(OFF_INTENDED + 8 == LOAD_SIZE_MIN, "the stamp's size");

/* Each field moves every bit of the check. */
static uint32_t
check_of(const struct load_stamp *stamp)
{
	uint64_t z = stamp->seq ^ stamp->intended_ns * UINT64_C(0x9e3779b97f4a7c15) ^
			((uint64_t)stamp->run << 32 | stamp->publisher);

	return (uint32_t)mix64(z);
}

void
load_stamp_put(uint8_t *rtp, const struct load_stamp *stamp)
{
	put_be32(rtp + OFF_MAGIC, MAGIC);
	put_be32(rtp + OFF_RUN, stamp->run);
	put_be32(rtp + OFF_PUBLISHER, stamp->publisher);
	put_be32(rtp + OFF_CHECK, check_of(stamp));
	put_be64(rtp + OFF_SEQ, stamp->seq);
	put_be64(rtp + OFF_INTENDED, stamp->intended_ns);
}

bool
load_stamp_get(const uint8_t *rtp, size_t len, struct load_stamp *stamp)
{
	struct load_stamp s;

	if (len < LOAD_SIZE_MIN || get_be32(rtp + OFF_MAGIC) != MAGIC)
		return false;
	s = (struct load_stamp){ .run = get_be32(rtp + OFF_RUN),
		.publisher = get_be32(rtp + OFF_PUBLISHER),
		.seq = get_be64(rtp + OFF_SEQ),
		.intended_ns = get_be64(rtp + OFF_INTENDED) };
	if (get_be32(rtp + OFF_CHECK) != check_of(&s))
		return false;
	*stamp = s;
	return true;
}

void
load_address(const struct load_net *net, unsigned int i, struct plm_ip *ip)
{
	uint8_t *last;

	*ip = net->first;
	last = ip->addr + (ip->is_v6 ? 12 : 0);
	put_be32(last, get_be32(last) + i);
}

int
load_address_find(const struct load_net *net, const uint8_t *addr, bool is_v6)
{
	size_t off = is_v6 ? 12 : 0;
	uint32_t i;

	if (is_v6 != net->first.is_v6 || memcmp(addr, net->first.addr, off) != 0)
		return -1;
	i = get_be32(addr + off) - get_be32(net->first.addr + off);
	return i < net->nb_addresses ? (int)i : -1;
}

void
load_headers(const struct load_net *net, unsigned int participant, uint8_t *frame, size_t len,
		uint16_t payload_sum)
{
	bool is_v6 = net->first.is_v6;
	uint16_t udp_len = (uint16_t)(PLM_UDP_HDR + len);
	uint8_t *ip = frame + PLM_ETH_HDR;
	uint8_t *udp = ip + (is_v6 ? PLM_IP6_HDR : PLM_IP4_HDR);
	struct plm_ip own;
	uint32_t sum;
	uint16_t v;

	load_address(net, participant % net->nb_addresses, &own);
	memcpy(frame, &net->hop_mac, 6);
	memcpy(frame + 6, &net->mac, 6);
	put_be16(frame + 12, is_v6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
	if (is_v6) {
		put_be32(ip, 0x60000000);
		put_be16(ip + 4, udp_len);
		ip[6] = PROTO_UDP;
		ip[7] = TTL;
		memcpy(ip + 8, own.addr, 16);
		memcpy(ip + 24, net->relay.addr, 16);
		sum = plm_wire_sum(ip + 8, 32);
	} else {
		put_be16(ip, 0x4500);
		put_be16(ip + 2, (uint16_t)(PLM_IP4_HDR + udp_len));
		put_be16(ip + 4, 0);
		put_be16(ip + 6, IP4_DF);
		ip[8] = TTL;
		ip[9] = PROTO_UDP;
		put_be16(ip + 10, 0);
		memcpy(ip + 12, own.addr, 4);
		memcpy(ip + 16, net->relay.addr, 4);
		v = (uint16_t)~plm_wire_sum(ip, PLM_IP4_HDR);
		memcpy(ip + 10, &v, sizeof(v));
		sum = plm_wire_sum(ip + 12, 8);
	}
	put_be16(udp, load_participant_port(net, participant));
	put_be16(udp + 2, net->relay_port);
	put_be16(udp + 4, udp_len);
	put_be16(udp + 6, 0);
	sum += plm_wire_sum(udp, PLM_UDP_HDR) + payload_sum;
	sum += rte_cpu_to_be_16(PROTO_UDP);
	sum += rte_cpu_to_be_16(udp_len);
	v = (uint16_t)~plm_wire_fold(sum);
	if (v == 0)
		v = 0xffff; /* 0 would say "no checksum" (RFC 768) */
	memcpy(udp + 6, &v, sizeof(v));
}

void
load_ecn_put(const struct load_net *net, uint8_t *frame, uint8_t ecn)
{
	uint8_t *ip = frame + PLM_ETH_HDR;
	uint32_t sum;

	if (net->first.is_v6) {
		ip[1] |= (uint8_t)(ecn << 4);
		return;
	}
	ip[1] |= ecn;
	sum = (uint16_t)~get_be16(ip + 10) + ecn; /* RFC 1624 */
	put_be16(ip + 10, (uint16_t) ~(sum + (sum >> 16)));
}

uint8_t
load_ecn_get(const struct load_net *net, const uint8_t *frame)
{
	return (net->first.is_v6 ? frame[PLM_ETH_HDR + 1] >> 4 : frame[PLM_ETH_HDR + 1]) & 3;
}

bool
load_datagram_get(const struct load_net *net, const uint8_t *frame, size_t avail, size_t len,
		struct load_datagram *datagram)
{
	bool is_v6 = net->first.is_v6;
	size_t l3 = is_v6 ? PLM_IP6_HDR : PLM_IP4_HDR;
	const uint8_t *ip = frame + PLM_ETH_HDR;
	const uint8_t *udp = ip + l3;
	size_t udp_len;
	uint16_t port;
	int address;

	if (avail < load_hdr_len(net) || memcmp(frame, &net->mac, 6) != 0 ||
			get_be16(frame + 12) != (is_v6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4))
		return false;
	if (is_v6 ? ip[6] != PROTO_UDP : ip[0] != 0x45 || ip[9] != PROTO_UDP)
		return false;
	if (memcmp(ip + (is_v6 ? 8 : 12), net->relay.addr, is_v6 ? 16 : 4) != 0 ||
			get_be16(udp) != net->relay_port)
		return false;
	address = load_address_find(net, ip + (is_v6 ? 24 : 16), is_v6);
	port = get_be16(udp + 2);
	udp_len = get_be16(udp + 4);
	if (address < 0 || port < net->first_port || udp_len < PLM_UDP_HDR ||
			udp_len > len - PLM_ETH_HDR - l3)
		return false;
	datagram->participant = (unsigned int)(port - net->first_port) * net->nb_addresses +
			(unsigned int)address;
	datagram->off = load_hdr_len(net);
	datagram->len = udp_len - PLM_UDP_HDR;
	return true;
}

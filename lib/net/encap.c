/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole frames of the slow path: from a template, or straight back to a request's sender. */
#include <errno.h>

#include "net_priv.h"

#define VLAN_TAG 4

static uint64_t
nexthop_load(const struct plm_net *net, uint16_t idx)
{
	return atomic_load_explicit(&net->nexthops[idx], memory_order_relaxed);
}

static uint16_t
nexthop_vlan(uint64_t hop)
{
	uint8_t bytes[8];

	memcpy(bytes, &hop, sizeof(bytes));
	return load16(bytes + 6);
}

/* Lengths, TOS and both checksums of headers whose other fields are set. The payload stands
 * right behind them. */
static void
finish_udp(uint8_t *ip, bool is_v6, uint8_t tos, size_t payload_len)
{
	uint16_t udp_len = (uint16_t)(PLM_UDP_HDR + payload_len);
	uint8_t *udp = ip + (is_v6 ? PLM_IP6_HDR : PLM_IP4_HDR);
	uint16_t sum;

	if (is_v6) {
		put_be16(ip, (uint16_t)(0x6000 | tos << 4));
		put_be16(ip + 4, udp_len);
	} else {
		ip[1] = tos;
		put_be16(ip + 2, (uint16_t)(PLM_IP4_HDR + udp_len));
		store16(ip + 10, 0);
		store16(ip + 10, (uint16_t)~plm_wire_sum(ip, PLM_IP4_HDR));
	}
	put_be16(udp + 4, udp_len);
	store16(udp + 6, 0);
	sum = is_v6 ? plm_wire_l4_sum(ip + 8, ip + 24, true, NET_PROTO_UDP, udp, udp_len)
		    : plm_wire_l4_sum(ip + 12, ip + 16, false, NET_PROTO_UDP, udp, udp_len);
	store16(udp + 6, sum == 0 ? 0xffff : sum); /* 0 would say "no checksum" (RFC 768) */
}

static size_t
l3_hdr_len(bool is_v6)
{
	return (is_v6 ? PLM_IP6_HDR : PLM_IP4_HDR) + PLM_UDP_HDR;
}

size_t
plm_net_hdr_len(const struct plm_net *net, const struct plm_template *tmpl)
{
	bool tagged = nexthop_vlan(nexthop_load(net, tmpl->nexthop_idx)) != 0;

	return PLM_ETH_HDR + l3_hdr_len(tmpl->is_v6) + (tagged ? VLAN_TAG : 0);
}

int
plm_net_build(struct plm_net *net, const struct plm_template *tmpl, uint8_t dscp, uint8_t *frame,
		size_t payload_len)
{
	uint64_t hop = nexthop_load(net, tmpl->nexthop_idx);
	size_t l3_len = l3_hdr_len(tmpl->is_v6);
	uint16_t vlan = nexthop_vlan(hop);
	uint8_t *ip = frame + PLM_ETH_HDR;

	if (hop == 0)
		return -EHOSTUNREACH;
	if (l3_len + payload_len > net->ports[tmpl->port_idx]->mtu)
		return -EMSGSIZE;
	memcpy(frame, &hop, 6);
	memcpy(frame + 6, tmpl->hdr, 6);
	if (vlan != 0) {
		put_be16(frame + 12, RTE_ETHER_TYPE_VLAN);
		store16(frame + 14, vlan);
		ip += VLAN_TAG;
	}
	memcpy(ip - 2, tmpl->hdr + 6, 2 + l3_len);
	finish_udp(ip, tmpl->is_v6, (uint8_t)(dscp << 2), payload_len);
	return (int)(ip - frame + l3_len + payload_len);
}

int
plm_net_build_to(const struct plm_net *net, const struct plm_template *tmpl, uint64_t mac,
		uint8_t tos, const void *payload, size_t payload_len, uint8_t *frame, size_t size)
{
	size_t l3_len = l3_hdr_len(tmpl->is_v6);
	uint8_t *ip = frame + PLM_ETH_HDR;

	if (l3_len + payload_len > net->ports[tmpl->port_idx]->mtu ||
			PLM_ETH_HDR + l3_len + payload_len > size)
		return -EMSGSIZE;
	memcpy(frame, &mac, 6);
	memcpy(frame + 6, tmpl->hdr, 6);
	memcpy(ip - 2, tmpl->hdr + 6, 2 + l3_len);
	memcpy(ip + l3_len, payload, payload_len);
	finish_udp(ip, tmpl->is_v6, tos, payload_len);
	return (int)(PLM_ETH_HDR + l3_len + payload_len);
}

int
plm_net_reply(const struct plm_net *net, const uint8_t *request, const struct plm_pkt *pkt,
		const void *payload, size_t payload_len, uint8_t *out, size_t out_size)
{
	const struct plm_net_local_conf *local = &net->locals[pkt->local_idx];
	const struct plm_port *port = net->ports[pkt->port_idx];
	size_t l3_len = l3_hdr_len(pkt->is_v6);
	size_t hdr_len = pkt->l3_off + l3_len;
	uint8_t *ip = out + pkt->l3_off;
	uint8_t *udp;

	if (hdr_len + payload_len > out_size || l3_len + payload_len > port->mtu)
		return -EMSGSIZE;
	memset(ip, 0, l3_len);
	memcpy(out, request + 6, 6);
	memcpy(out + 6, port->mac.addr_bytes, 6);
	memcpy(out + 12, request + 12,
			pkt->l3_off - 12u); /* EtherType, and a tag if there is one */
	if (pkt->is_v6) {
		ip[6] = NET_PROTO_UDP;
		ip[7] = NET_TTL;
		memcpy(ip + 8, local->ip.addr, 16);
		memcpy(ip + 24, pkt->src_addr, 16);
		udp = ip + PLM_IP6_HDR;
	} else {
		ip[0] = 0x45;
		put_be16(ip + 6, NET_IP4_DF);
		ip[8] = NET_TTL;
		ip[9] = NET_PROTO_UDP;
		memcpy(ip + 12, local->ip.addr, 4);
		memcpy(ip + 16, pkt->src_addr, 4);
		udp = ip + PLM_IP4_HDR;
	}
	store16(udp, net->udp_port);
	store16(udp + 2, pkt->src_port);
	memcpy(out + hdr_len, payload, payload_len);
	finish_udp(ip, pkt->is_v6, 0, payload_len);
	return (int)(hdr_len + payload_len);
}

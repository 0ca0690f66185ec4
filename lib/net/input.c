/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ARP, neighbour discovery and ICMP echo, as they come from the workers. Total over its bytes: a
 * frame is checked again here, whoever hands it in.
 *
 * Requests are answered from their own bytes and leave nothing behind; answers to our own
 * solicitations are the only thing that changes a neighbour.
 */
#include <errno.h>

#include "net_priv.h"

#define PROTO_ICMP  1
#define PROTO_ICMP6 58

#define ICMP_HDR          8
#define ICMP_ECHO_REPLY   0
#define ICMP_ECHO_REQUEST 8

/* RFC 5227 §2.4: how often an address is defended at most. */
#define DEFEND_GAP_NS (10 * PLM_NS_PER_S)

struct frame {
	const uint8_t *eth;
	const uint8_t *ip;
	const uint8_t *l4;
	size_t l4_len;
};

static void
malformed(struct plm_net *net)
{
	plm_count(net->counters, PLM_CNT_CTL_MALFORMED);
}

static void
ignored(struct plm_net *net)
{
	plm_count(net->counters, PLM_CNT_CTL_IGNORED);
}

static bool
mac_is_station(const uint8_t mac[6])
{
	static const uint8_t zero[6];

	return (mac[0] & 1) == 0 && memcmp(mac, zero, 6) != 0;
}

/* Somebody else uses an address of ours: say once that it is taken. */
static void
defend(struct plm_net *net, uint16_t local_idx, uint64_t now_ns)
{
	uint64_t *last_ns = &net->defend_ns[local_idx];

	if (*last_ns != 0 && now_ns - *last_ns < DEFEND_GAP_NS) {
		ignored(net);
		return;
	}
	*last_ns = now_ns;
	net_announce_local(net, local_idx);
}

static void
input_arp(struct plm_net *net, uint16_t port_idx, const uint8_t *buf, size_t len, uint64_t now_ns)
{
	const uint8_t *own = net->ports[port_idx]->mac.addr_bytes;
	static const uint8_t zero[4];
	struct plm_ip sender = { 0 };
	struct plm_arp arp;
	bool is_probe;
	int target;
	int conflict;

	if (plm_arp_parse(buf, len, &arp) < 0 || !mac_is_station(arp.sender_mac)) {
		malformed(net);
		return;
	}
	is_probe = arp.is_request && memcmp(arp.sender_ip, zero, 4) == 0;
	if (!is_probe && ip4_bad_source(arp.sender_ip)) {
		malformed(net);
		return;
	}
	plm_count(net->counters, PLM_CNT_CTL_ARP);
	conflict = net_local4(net, port_idx, arp.sender_ip);
	if (conflict >= 0) {
		defend(net, (uint16_t)conflict, now_ns);
		return;
	}
	target = net_local4(net, port_idx, arp.target_ip);
	memcpy(sender.addr, arp.sender_ip, 4);

	if (!arp.is_request && target >= 0 && memcmp(arp.target_mac, own, 6) == 0) {
		neigh_answered(net, port_idx, &sender, arp.sender_mac, now_ns);
		return;
	}
	if (arp.is_request && target >= 0) {
		struct plm_arp reply = { .is_request = false };
		int n;

		memcpy(reply.sender_mac, own, 6);
		memcpy(reply.sender_ip, arp.target_ip, 4);
		memcpy(reply.target_mac, arp.sender_mac, 6);
		memcpy(reply.target_ip, arp.sender_ip, 4);
		n = plm_arp_build(net->frame, net->frame_size, arp.sender_mac, &reply);
		if (n > 0)
			net->emit(net->emit_ctx, port_idx, net->frame, (size_t)n);
		if (is_probe)
			return;
	}
	neigh_claimed(net, port_idx, &sender, arp.sender_mac, now_ns);
}

/* Somebody asks for one of our addresses, or whether it is free (from the address ::). */
static void
answer_ns(struct plm_net *net, uint16_t port_idx, const struct frame *f, const struct plm_nd *ns,
		bool is_dad)
{
	static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 };
	const uint8_t *own = net->ports[port_idx]->mac.addr_bytes;
	struct plm_nd na = { .type = PLM_ICMP6_NA,
		.has_lladdr = true,
		.solicited = !is_dad,
		.override = true };
	const uint8_t *dst = is_dad ? all_nodes : f->ip + 8;
	uint8_t dst_mac[6];
	int n;

	if (is_dad)
		net_group_mac(all_nodes, dst_mac);
	else
		memcpy(dst_mac, ns->has_lladdr ? ns->lladdr : f->eth + 6, 6);
	memcpy(na.target, ns->target, 16);
	memcpy(na.lladdr, own, 6);
	n = plm_nd_build(net->frame, net->frame_size, own, dst_mac, ns->target, dst, &na);
	if (n > 0)
		net->emit(net->emit_ctx, port_idx, net->frame, (size_t)n);
}

static void
input_nd(struct plm_net *net, uint16_t port_idx, const struct frame *f, uint64_t now_ns)
{
	static const uint8_t unspecified[16];
	bool is_dad = memcmp(f->ip + 8, unspecified, 16) == 0;
	struct plm_ip who = { .is_v6 = true };
	struct plm_nd nd;
	int target;

	if (f->ip[7] != NET_ND_HOPS || plm_nd_parse(f->l4, f->l4_len, &nd) < 0 ||
			(nd.has_lladdr && !mac_is_station(nd.lladdr))) {
		malformed(net);
		return;
	}
	target = net_local6(net, port_idx, nd.target);

	if (nd.type == PLM_ICMP6_NS) {
		/* RFC 4861 §7.1.1: DAD goes to a group and says no address. */
		if (is_dad && (f->ip[24] != 0xff || nd.has_lladdr)) {
			malformed(net);
			return;
		}
		plm_count(net->counters, PLM_CNT_CTL_ND);
		if (target >= 0)
			answer_ns(net, port_idx, f, &nd, is_dad);
		if (!is_dad && nd.has_lladdr) {
			memcpy(who.addr, f->ip + 8, 16);
			neigh_claimed(net, port_idx, &who, nd.lladdr, now_ns);
		} else if (target < 0) {
			ignored(net);
		}
		return;
	}

	/* RFC 4861 §7.1.2: nothing solicited goes to a group. */
	if (is_dad || (nd.solicited && f->ip[24] == 0xff)) {
		malformed(net);
		return;
	}
	plm_count(net->counters, PLM_CNT_CTL_ND);
	if (target >= 0) {
		defend(net, (uint16_t)target, now_ns);
		return;
	}
	memcpy(who.addr, nd.target, 16);
	if (nd.solicited)
		neigh_answered(net, port_idx, &who, nd.has_lladdr ? nd.lladdr : NULL, now_ns);
	else if (nd.has_lladdr)
		neigh_claimed(net, port_idx, &who, nd.lladdr, now_ns);
	else
		ignored(net);
}

/* Send an echo request's bytes back as the reply; the caller has checked its sum. */
static void
echo(struct plm_net *net, uint16_t port_idx, const struct frame *f, bool is_v6)
{
	size_t hdr_len = is_v6 ? PLM_IP6_HDR : PLM_IP4_HDR;
	size_t len = PLM_ETH_HDR + hdr_len + f->l4_len;
	size_t addr_len = is_v6 ? 16 : 4;
	uint8_t *ip = net->frame + PLM_ETH_HDR;
	uint8_t *src = ip + (is_v6 ? 8 : 12);
	const uint8_t *from = f->ip + (is_v6 ? 8 : 12);
	uint8_t *l4 = ip + hdr_len;

	if (len > PLM_ETH_HDR + (size_t)net->ports[port_idx]->mtu) {
		malformed(net);
		return;
	}
	memcpy(net->frame, f->eth + 6, 6);
	memcpy(net->frame + 6, net->ports[port_idx]->mac.addr_bytes, 6);
	memcpy(net->frame + 12, f->eth + 12, 2);
	memset(ip, 0, hdr_len);
	memcpy(src, from + addr_len, addr_len);
	memcpy(src + addr_len, from, addr_len);
	memcpy(l4, f->l4, f->l4_len);
	store16(l4 + 2, 0);
	if (is_v6) {
		memcpy(ip, f->ip, 4);
		put_be16(ip + 4, (uint16_t)f->l4_len);
		ip[6] = PROTO_ICMP6;
		ip[7] = NET_TTL;
		l4[0] = PLM_ICMP6_ECHO_REPLY;
		store16(l4 + 2, plm_wire_l4_sum(src, src + 16, true, PROTO_ICMP6, l4, f->l4_len));
	} else {
		ip[0] = 0x45;
		ip[1] = f->ip[1];
		put_be16(ip + 2, (uint16_t)(PLM_IP4_HDR + f->l4_len));
		put_be16(ip + 6, NET_IP4_DF);
		ip[8] = NET_TTL;
		ip[9] = PROTO_ICMP;
		store16(ip + 10, (uint16_t)~plm_wire_sum(ip, PLM_IP4_HDR));
		l4[0] = ICMP_ECHO_REPLY;
		store16(l4 + 2, (uint16_t)~plm_wire_sum(l4, f->l4_len));
	}
	plm_count(net->counters, PLM_CNT_CTL_ECHO);
	net->emit(net->emit_ctx, port_idx, net->frame, len);
}

static void
input_icmp(struct plm_net *net, uint16_t port_idx, struct frame *f, size_t len)
{
	size_t total;

	if (len < PLM_IP4_HDR || f->ip[0] != 0x45) {
		malformed(net);
		return;
	}
	total = get_be16(f->ip + 2);
	if (total < PLM_IP4_HDR + ICMP_HDR || total > len ||
			plm_wire_sum(f->ip, PLM_IP4_HDR) != 0xffff ||
			(get_be16(f->ip + 6) & NET_IP4_FRAG) != 0 || ip4_bad_source(f->ip + 12)) {
		malformed(net);
		return;
	}
	f->l4 = f->ip + PLM_IP4_HDR;
	f->l4_len = total - PLM_IP4_HDR;
	if (f->ip[9] != PROTO_ICMP || net_local4(net, port_idx, f->ip + 16) < 0 ||
			f->l4[0] != ICMP_ECHO_REQUEST || f->l4[1] != 0) {
		ignored(net);
		return;
	}
	if (plm_wire_sum(f->l4, f->l4_len) != 0xffff) {
		malformed(net);
		return;
	}
	echo(net, port_idx, f, false);
}

static void
input_icmp6(struct plm_net *net, uint16_t port_idx, struct frame *f, size_t len, uint64_t now_ns)
{
	static const uint8_t unspecified[16];
	bool to_us;

	if (len < PLM_IP6_HDR + ICMP_HDR || f->ip[0] >> 4 != 6) {
		malformed(net);
		return;
	}
	f->l4 = f->ip + PLM_IP6_HDR;
	f->l4_len = get_be16(f->ip + 4);
	if (f->l4_len < ICMP_HDR || f->l4_len > len - PLM_IP6_HDR ||
			(ip6_bad_source(f->ip + 8) && memcmp(f->ip + 8, unspecified, 16) != 0)) {
		malformed(net);
		return;
	}
	to_us = net_local6(net, port_idx, f->ip + 24) >= 0;
	if (f->ip[6] != PROTO_ICMP6 || (!to_us && !net_group6(net, port_idx, f->ip + 24))) {
		ignored(net);
		return;
	}
	if (plm_wire_l4_sum(f->ip + 8, f->ip + 24, true, PROTO_ICMP6, f->l4, f->l4_len) != 0) {
		malformed(net);
		return;
	}
	switch (f->l4[0]) {
	case PLM_ICMP6_NS:
	case PLM_ICMP6_NA:
		input_nd(net, port_idx, f, now_ns);
		break;
	case PLM_ICMP6_ECHO_REQUEST:
		/* Not to a group, and not to nobody. */
		if (to_us && f->l4[1] == 0 && !ip6_bad_source(f->ip + 8))
			echo(net, port_idx, f, true);
		else
			ignored(net);
		break;
	default:
		ignored(net);
		break;
	}
}

void
plm_net_input(struct plm_net *net, uint16_t port_idx, const uint8_t *frame, size_t len,
		uint64_t now_ns)
{
	struct frame f = { .eth = frame, .ip = frame + PLM_ETH_HDR };

	if (len < PLM_ETH_HDR || !mac_is_station(frame + 6)) {
		malformed(net);
		return;
	}
	/* Our own frame, reflected by the link. */
	if (memcmp(frame + 6, net->ports[port_idx]->mac.addr_bytes, 6) == 0) {
		ignored(net);
		return;
	}
	len -= PLM_ETH_HDR;
	switch (get_be16(frame + 12)) {
	case RTE_ETHER_TYPE_ARP:
		input_arp(net, port_idx, f.ip, len, now_ns);
		break;
	case RTE_ETHER_TYPE_IPV4:
		input_icmp(net, port_idx, &f, len);
		break;
	case RTE_ETHER_TYPE_IPV6:
		input_icmp6(net, port_idx, &f, len, now_ns);
		break;
	default:
		ignored(net);
		break;
	}
}

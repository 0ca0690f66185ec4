/* SPDX-License-Identifier: BSD-3-Clause */
/* Own addresses: what a port answers for, which groups it receives, how they are announced. */
#include <arpa/inet.h>
#include <errno.h>

#include <rte_malloc.h>

#include "net_priv.h"

#define NET_ANNOUNCEMENTS   3
#define NET_ANNOUNCE_GAP_NS PLM_NS_PER_S
/* How soon it is noticed that a link came up. */
#define NET_LINK_NS (100 * PLM_NS_PER_MS)

static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 };

int
net_local4(const struct plm_net *net, uint16_t port_idx, const uint8_t addr[4])
{
	const struct net_port *rx = &net->rx[port_idx];
	uint32_t want;

	memcpy(&want, addr, sizeof(want));
	for (uint16_t i = 0; i < rx->nb_v4; i++) {
		if (rx->addr4[i] == want)
			return rx->idx4[i];
	}
	return -1;
}

int
net_local6(const struct plm_net *net, uint16_t port_idx, const uint8_t addr[16])
{
	const struct net_port *rx = &net->rx[port_idx];

	for (uint16_t i = 0; i < rx->nb_v6; i++) {
		if (memcmp(rx->addr6[i], addr, 16) == 0)
			return rx->idx6[i];
	}
	return -1;
}

void
net_solicited(const uint8_t addr[16], uint8_t group[16])
{
	static const uint8_t prefix[13] = { 0xff, 2, [11] = 1, [12] = 0xff };

	memcpy(group, prefix, sizeof(prefix));
	memcpy(group + 13, addr + 13, 3);
}

void
net_group_mac(const uint8_t group[16], uint8_t mac[6])
{
	mac[0] = 0x33;
	mac[1] = 0x33;
	memcpy(mac + 2, group + 12, 4);
}

bool
net_group6(const struct plm_net *net, uint16_t port_idx, const uint8_t group[16])
{
	const struct net_port *rx = &net->rx[port_idx];
	uint8_t solicited[16];

	if (memcmp(group, all_nodes, 16) == 0)
		return true;
	for (uint16_t i = 0; i < rx->nb_v6; i++) {
		net_solicited(rx->addr6[i], solicited);
		if (memcmp(group, solicited, 16) == 0)
			return true;
	}
	return false;
}

/* Whether `ip` is in the on-link prefix of `local`. */
static bool
prefix_has(const struct plm_net_local_conf *local, const struct plm_ip *ip)
{
	unsigned int bytes = local->prefix_len / 8;
	unsigned int bits = local->prefix_len % 8;

	if (local->ip.is_v6 != ip->is_v6 || memcmp(local->ip.addr, ip->addr, bytes) != 0)
		return false;
	return bits == 0 || (local->ip.addr[bytes] ^ ip->addr[bytes]) >> (8 - bits) == 0;
}

static bool
ip_is_zero(const struct plm_ip *ip)
{
	static const uint8_t zero[16];

	return memcmp(ip->addr, zero, sizeof(zero)) == 0;
}

/* A host part of all ones (broadcast) or none (RFC 3021 exempts /31 and /32). */
static bool
ip4_is_broadcast(const struct plm_net_local_conf *local, const struct plm_ip *ip)
{
	uint32_t host;
	uint32_t addr;

	if (ip->is_v6 || local->prefix_len > 30 || !prefix_has(local, ip))
		return false;
	host = UINT32_MAX >> local->prefix_len;
	memcpy(&addr, ip->addr, sizeof(addr));
	addr = rte_be_to_cpu_32(addr) & host;
	return addr == 0 || addr == host;
}

static int
check_local(const struct plm_net *net, const struct plm_net_local_conf *local)
{
	static const uint8_t zero[12];
	const struct plm_ip *gw = &local->gateway;

	if (local->port_idx >= net->nb_ports || local->prefix_len > (local->ip.is_v6 ? 128 : 32))
		return -EINVAL;
	if (local->ip.is_v6 ? ip6_bad_source(local->ip.addr) : ip4_bad_source(local->ip.addr))
		return -EINVAL;
	if (!local->ip.is_v6 && memcmp(local->ip.addr + 4, zero, sizeof(zero)) != 0)
		return -EINVAL;
	if (ip4_is_broadcast(local, &local->ip))
		return -EINVAL;
	for (unsigned int i = 0; i < net->nb_locals; i++) {
		if (net->locals[i].port_idx == local->port_idx &&
				ip_eq(&net->locals[i].ip, &local->ip))
			return -EINVAL;
	}
	if (ip_is_zero(gw))
		return 0;
	if (gw->is_v6 != local->ip.is_v6 || ip_eq(gw, &local->ip) || ip4_is_broadcast(local, gw) ||
			(gw->is_v6 && gw->addr[0] == 0xff))
		return -EINVAL;
	if (!prefix_has(local, gw) && !(gw->is_v6 && ip6_is_link_local(gw->addr)))
		return -EINVAL;
	return 0;
}

static int
add_local(struct plm_net *net, const struct plm_net_local_conf *local)
{
	struct net_port *rx;
	int ret;

	if (net->nb_locals == NET_LOCALS_MAX)
		return -EINVAL;
	ret = check_local(net, local);
	if (ret < 0)
		return ret;
	rx = &net->rx[local->port_idx];
	if (local->ip.is_v6) {
		memcpy(rx->addr6[rx->nb_v6], local->ip.addr, 16);
		rx->idx6[rx->nb_v6++] = net->nb_locals;
	} else {
		memcpy(&rx->addr4[rx->nb_v4], local->ip.addr, 4);
		rx->idx4[rx->nb_v4++] = net->nb_locals;
	}
	net->locals[net->nb_locals++] = *local;
	return 0;
}

/* fe80::/64 with the interface identifier from the MAC address (RFC 4291, appendix A). */
static int
add_link_local(struct plm_net *net, uint16_t port_idx)
{
	const uint8_t *mac = net->ports[port_idx]->mac.addr_bytes;
	struct plm_net_local_conf local = { .port_idx = port_idx, .prefix_len = 64 };
	uint8_t *addr = local.ip.addr;

	local.ip.is_v6 = true;
	addr[0] = 0xfe;
	addr[1] = 0x80;
	memcpy(addr + 8, mac, 3);
	addr[8] ^= 2;
	addr[11] = 0xff;
	addr[12] = 0xfe;
	memcpy(addr + 13, mac + 3, 3);
	if (net_local6(net, port_idx, addr) >= 0)
		return 0; /* configured by hand */
	return add_local(net, &local);
}

/* Relaxed: a hint. */
static bool
link_up(const struct plm_net *net, uint16_t port_idx)
{
	return atomic_load_explicit(&net->ports[port_idx]->link_up, memory_order_relaxed);
}

int
plm_net_create(struct plm_net **net_out, const struct plm_net_conf *conf)
{
	struct plm_net *net;
	uint16_t mtu = 0;
	int ret = -ENOMEM;

	if (conf->nb_ports == 0 || conf->nb_ports > PLM_PORTS_MAX)
		return -EINVAL;
	net = rte_zmalloc_socket("plm_net", sizeof(*net), RTE_CACHE_LINE_SIZE, conf->socket);
	if (net == NULL)
		return -ENOMEM;
	net->nb_ports = (uint16_t)conf->nb_ports;
	for (uint16_t p = 0; p < net->nb_ports; p++) {
		net->ports[p] = conf->ports[p];
		net->link_up[p] = link_up(net, p);
		mtu = RTE_MAX(mtu, conf->ports[p]->mtu);
	}
	net->udp_port = rte_cpu_to_be_16(conf->udp_port);
	net->emit = conf->emit;
	net->emit_ctx = conf->emit_ctx;
	net->counters = conf->counters;
	plm_rand_fill(&conf->rand, net->hash_key, sizeof(net->hash_key));

	net->rx = rte_calloc_socket("plm_net_rx", net->nb_ports, sizeof(*net->rx),
			RTE_CACHE_LINE_SIZE, conf->socket);
	net->frame_size = PLM_ETH_HDR + RTE_MAX(mtu, (uint16_t)RTE_ETHER_MTU);
	net->frame = rte_malloc_socket("plm_net_frame", net->frame_size, 0, conf->socket);
	if (net->rx == NULL || net->frame == NULL)
		goto fail;
	for (unsigned int i = 0; i < conf->nb_locals; i++) {
		ret = add_local(net, &conf->locals[i]);
		if (ret < 0)
			goto fail;
	}
	for (uint16_t p = 0; p < net->nb_ports; p++) {
		ret = add_link_local(net, p);
		if (ret < 0)
			goto fail;
	}
	ret = neigh_init(net, conf->max_neighbours, conf->socket);
	if (ret < 0)
		goto fail;
	*net_out = net;
	return 0;

fail:
	plm_net_free(net);
	return ret;
}

void
plm_net_free(struct plm_net *net)
{
	if (net == NULL)
		return;
	neigh_fini(net);
	rte_free(net->frame);
	rte_free(net->rx);
	rte_free(net);
}

unsigned int
plm_net_nb_locals(const struct plm_net *net)
{
	return net->nb_locals;
}

const struct plm_net_local_conf *
plm_net_local(const struct plm_net *net, uint16_t local_idx)
{
	return &net->locals[local_idx];
}

unsigned int
plm_net_mcast(const struct plm_net *net, uint16_t port_idx, struct rte_ether_addr *list,
		unsigned int n)
{
	const struct net_port *rx = &net->rx[port_idx];
	uint8_t group[16];
	unsigned int nb = 0;

	if (n == 0)
		return 0;
	net_group_mac(all_nodes, list[nb++].addr_bytes);
	for (uint16_t i = 0; i < rx->nb_v6 && nb < n; i++) {
		bool known = false;

		net_solicited(rx->addr6[i], group);
		net_group_mac(group, list[nb].addr_bytes);
		for (unsigned int k = 0; k < nb; k++)
			known |= rte_is_same_ether_addr(&list[k], &list[nb]);
		nb += !known;
	}
	return nb;
}

/* What answers, and where to: an on-link neighbour, a gateway, or nothing. */
static int
next_hop(const struct plm_net *net, const struct plm_net_local_conf *local,
		const struct plm_ip *remote, struct plm_ip *hop)
{
	bool on_link = remote->is_v6 && ip6_is_link_local(remote->addr);

	if (remote->is_v6 != local->ip.is_v6)
		return -EHOSTUNREACH;
	if (remote->is_v6 ? ip6_bad_source(remote->addr) : ip4_bad_source(remote->addr))
		return -EHOSTUNREACH;
	for (unsigned int i = 0; i < net->nb_locals; i++) {
		const struct plm_net_local_conf *l = &net->locals[i];

		if (l->port_idx != local->port_idx)
			continue;
		if (ip_eq(&l->ip, remote) || ip4_is_broadcast(l, remote))
			return -EHOSTUNREACH;
		on_link |= prefix_has(l, remote);
	}
	if (on_link) {
		*hop = *remote;
		return 0;
	}
	if (ip_is_zero(&local->gateway))
		return -EHOSTUNREACH;
	*hop = local->gateway;
	return 0;
}

/* Headers of everything that goes to one tuple; see struct plm_template for the sums. */
static void
fill_template(const struct plm_net *net, const struct plm_net_local_conf *local,
		const struct plm_ip *remote, rte_be16_t remote_port, struct plm_template *tmpl)
{
	uint8_t *ip = tmpl->hdr + 8;
	uint8_t *udp;
	size_t addr_len;
	uint32_t sum;

	memset(tmpl, 0, sizeof(*tmpl));
	memcpy(tmpl->hdr, net->ports[local->port_idx]->mac.addr_bytes, 6);
	tmpl->port_idx = (uint8_t)local->port_idx;
	tmpl->is_v6 = remote->is_v6;
	if (remote->is_v6) {
		put_be16(tmpl->hdr + 6, RTE_ETHER_TYPE_IPV6);
		ip[0] = 0x60;
		ip[6] = NET_PROTO_UDP;
		ip[7] = NET_TTL;
		memcpy(ip + 8, local->ip.addr, 16);
		memcpy(ip + 24, remote->addr, 16);
		udp = ip + PLM_IP6_HDR;
		addr_len = 16;
	} else {
		put_be16(tmpl->hdr + 6, RTE_ETHER_TYPE_IPV4);
		ip[0] = 0x45;
		put_be16(ip + 6, NET_IP4_DF);
		ip[8] = NET_TTL;
		ip[9] = NET_PROTO_UDP;
		memcpy(ip + 12, local->ip.addr, 4);
		memcpy(ip + 16, remote->addr, 4);
		store16(ip + 10, plm_wire_sum(ip, PLM_IP4_HDR));
		udp = ip + PLM_IP4_HDR;
		addr_len = 4;
	}
	store16(udp, net->udp_port);
	store16(udp + 2, remote_port);
	sum = plm_wire_sum(local->ip.addr, addr_len);
	sum += plm_wire_sum(remote->addr, addr_len);
	sum += rte_cpu_to_be_16(NET_PROTO_UDP);
	sum += net->udp_port;
	sum += remote_port;
	store16(udp + 6, plm_wire_fold(sum));
}

void
plm_net_template(const struct plm_net *net, uint16_t local_idx, const struct plm_ip *remote,
		rte_be16_t remote_port, struct plm_template *tmpl)
{
	fill_template(net, &net->locals[local_idx], remote, remote_port, tmpl);
}

int
plm_net_route(struct plm_net *net, uint16_t local_idx, const struct plm_ip *remote,
		rte_be16_t remote_port, struct plm_template *tmpl, uint64_t now_ns)
{
	const struct plm_net_local_conf *local = &net->locals[local_idx];
	struct plm_ip hop;
	int idx;
	int ret;

	ret = next_hop(net, local, remote, &hop);
	if (ret < 0)
		return ret;
	idx = neigh_get(net, local_idx, &hop, now_ns);
	if (idx < 0)
		return idx;
	fill_template(net, local, remote, remote_port, tmpl);
	tmpl->nexthop_idx = (uint16_t)idx;
	return 0;
}

void
plm_net_route_put(struct plm_net *net, const struct plm_template *tmpl)
{
	neigh_put(net, tmpl->nexthop_idx);
}

void
net_announce_local(struct plm_net *net, uint16_t local_idx)
{
	const struct plm_net_local_conf *local = &net->locals[local_idx];
	const uint8_t *mac = net->ports[local->port_idx]->mac.addr_bytes;
	uint8_t dst_mac[6];
	int len;

	if (local->ip.is_v6) {
		struct plm_nd nd = { .type = PLM_ICMP6_NA, .has_lladdr = true, .override = true };

		memcpy(nd.target, local->ip.addr, 16);
		memcpy(nd.lladdr, mac, 6);
		net_group_mac(all_nodes, dst_mac);
		len = plm_nd_build(net->frame, net->frame_size, mac, dst_mac, local->ip.addr,
				all_nodes, &nd);
	} else {
		struct plm_arp arp = { .is_request = true };

		/* RFC 5227 §2.3: an announcement is a request for one's own address. */
		memset(dst_mac, 0xff, 6);
		memcpy(arp.sender_mac, mac, 6);
		memcpy(arp.sender_ip, local->ip.addr, 4);
		memcpy(arp.target_ip, local->ip.addr, 4);
		len = plm_arp_build(net->frame, net->frame_size, dst_mac, &arp);
	}
	if (len > 0)
		net->emit(net->emit_ctx, local->port_idx, net->frame, (size_t)len);
}

static void
announce_all(struct plm_net *net, uint64_t now_ns)
{
	for (uint16_t i = 0; i < net->nb_locals; i++)
		net_announce_local(net, i);
	net->announce_left--;
	net->announce_ns = now_ns + NET_ANNOUNCE_GAP_NS;
}

void
plm_net_announce(struct plm_net *net, uint64_t now_ns)
{
	net->announce_left = NET_ANNOUNCEMENTS;
	announce_all(net, now_ns);
}

/* Behind a link that came up nobody has heard yet what was announced and asked, and somebody else may
 * be there. Returns when to look again: soon, to see a link that is down for a short time. */
static uint64_t
look_at_links(struct plm_net *net, uint64_t now_ns)
{
	for (uint16_t p = 0; p < net->nb_ports; p++) {
		bool was_up = net->link_up[p];

		net->link_up[p] = link_up(net, p);
		if (net->link_up[p] && !was_up) {
			neigh_link_up(net, p, now_ns);
			net->announce_left = NET_ANNOUNCEMENTS;
			net->announce_ns = now_ns;
		}
	}
	return now_ns + NET_LINK_NS;
}

uint64_t
plm_net_timer(struct plm_net *net, uint64_t now_ns)
{
	uint64_t look_ns = look_at_links(net, now_ns);
	uint64_t next_ns = RTE_MIN(neigh_timer(net, now_ns), look_ns);

	if (net->announce_left > 0 && now_ns >= net->announce_ns)
		announce_all(net, now_ns);
	if (net->announce_left > 0)
		next_ns = RTE_MIN(next_ns, net->announce_ns);
	return next_ns;
}

const char *
plm_ip_text(const struct plm_ip *ip, char buf[INET6_ADDRSTRLEN])
{
	return inet_ntop(ip->is_v6 ? AF_INET6 : AF_INET, ip->addr, buf, INET6_ADDRSTRLEN);
}

int
plm_ip_parse(const char *text, struct plm_ip *ip)
{
	struct plm_ip parsed = { 0 };

	if (inet_pton(AF_INET6, text, parsed.addr) == 1)
		parsed.is_v6 = true;
	else if (inet_pton(AF_INET, text, parsed.addr) != 1)
		return -EINVAL;
	*ip = parsed;
	return 0;
}

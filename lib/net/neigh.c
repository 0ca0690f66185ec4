/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Next hops: a bounded table of gateways and on-link hosts, kept fresh by asking. Nothing that
 * somebody merely announces is believed: it makes us ask, and the answer counts (RFC 826 and RFC
 * 4861 would believe more, and let anyone on the link take over a gateway's traffic).
 */
#include <assert.h>
#include <errno.h>

#include <rte_malloc.h>

#include "net_priv.h"

#define NEIGH_RETRY_NS   PLM_NS_PER_S
#define NEIGH_RETRIES    3
#define NEIGH_REFRESH_NS (5 * PLM_NS_PER_S)
/* An answer that comes later than this is none. */
#define NEIGH_ANSWER_NS (3 * PLM_NS_PER_S)
/* How long a MAC address is used on without an answer. */
#define NEIGH_LOST_NS (30 * PLM_NS_PER_S)
/* Announcements cause at most one probe in this time: they must not make us flood the link. */
#define NEIGH_URGENT_NS PLM_NS_PER_S
/* Probes of one call of the timer. */
#define NEIGH_TIMER_BUDGET 64

/* Template and slot agree on 16 bits. */
#define NEIGH_MAX 65536u

static uint64_t
hash_of(const struct plm_net *net, uint16_t port_idx, const struct plm_ip *ip)
{
	uint8_t key[19];

	memcpy(key, ip->addr, 16);
	key[16] = ip->is_v6;
	memcpy(key + 17, &port_idx, 2);
	return plm_siphash(net->hash_key, key, sizeof(key));
}

static uint32_t
bucket_of(const struct plm_net *net, uint16_t port_idx, const struct plm_ip *ip)
{
	return (uint32_t)hash_of(net, port_idx, ip) & net->bucket_mask;
}

static void
await(struct plm_net *net, const struct neigh *n, int by)
{
	_Atomic uint16_t *nb = &net->awaited[hash_of(net, n->port_idx, &n->ip) % PLM_NET_CELLS];

	/* Relaxed: a hint, about one address or several. */
	atomic_store_explicit(nb, (uint16_t)(atomic_load_explicit(nb, memory_order_relaxed) + by),
			memory_order_relaxed);
}

bool
plm_net_awaits(const struct plm_net *net, struct rte_mbuf *m, unsigned int *cell)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	const uint8_t *body = frame + PLM_ETH_HDR;
	const size_t len = m->data_len;
	struct plm_ip ip = { 0 };

	switch (get_be16(frame + 12)) {
	case RTE_ETHER_TYPE_ARP:
		if (len < PLM_ETH_HDR + 28)
			return false;
		memcpy(ip.addr, body + 14, 4); /* sender */
		break;
	case RTE_ETHER_TYPE_IPV6:
		if (len < PLM_ETH_HDR + PLM_IP6_HDR + 24)
			return false;
		ip.is_v6 = true;
		if (body[PLM_IP6_HDR] == PLM_ICMP6_NA)
			memcpy(ip.addr, body + PLM_IP6_HDR + 8, 16); /* target */
		else if (body[PLM_IP6_HDR] == PLM_ICMP6_NS)
			memcpy(ip.addr, body + 8, 16); /* source */
		else
			return false;
		break;
	default:
		return false;
	}
	*cell = (unsigned int)(hash_of(net, plm_pkt(m)->port_idx, &ip) % PLM_NET_CELLS);
	return atomic_load_explicit(&net->awaited[*cell], memory_order_relaxed) != 0;
}

static uint32_t
neigh_idx(const struct plm_net *net, const struct neigh *n)
{
	return (uint32_t)(n - net->neighs);
}

static struct neigh *
neigh_find(const struct plm_net *net, uint16_t port_idx, const struct plm_ip *ip)
{
	uint32_t i = net->buckets[bucket_of(net, port_idx, ip)];

	for (; i != 0; i = net->neighs[i - 1].chain) {
		struct neigh *n = &net->neighs[i - 1];

		if (n->port_idx == port_idx && ip_eq(&n->ip, ip))
			return n;
	}
	return NULL;
}

static uint64_t
neigh_mac(const struct plm_net *net, const struct neigh *n)
{
	return atomic_load_explicit(&net->nexthops[neigh_idx(net, n)], memory_order_relaxed);
}

/* Relaxed: the word is the whole message, nothing else is published with it. */
static void
neigh_set_mac(struct plm_net *net, const struct neigh *n, const uint8_t *mac)
{
	uint64_t word = 0;

	if (mac != NULL)
		memcpy(&word, mac, 6);
	if (word != neigh_mac(net, n))
		atomic_store_explicit(&net->nexthops[neigh_idx(net, n)], word,
				memory_order_relaxed);
}

static void
neigh_unschedule(struct plm_net *net, struct neigh *n)
{
	TAILQ_REMOVE(n->later ? &net->later : &net->soon, n, timer);
}

static void
neigh_schedule(struct plm_net *net, struct neigh *n, uint64_t now_ns)
{
	/* Reachable, or silent for long: no hurry. */
	n->later = n->nb_probes == 0 || n->nb_probes >= NEIGH_RETRIES;
	n->next_ns = now_ns + (n->later ? NEIGH_REFRESH_NS : NEIGH_RETRY_NS);
	TAILQ_INSERT_TAIL(n->later ? &net->later : &net->soon, n, timer);
}

/* Ask for the neighbour's MAC address: the one we know, or everybody where `mac` is 0. */
static void
send_probe(struct plm_net *net, const struct neigh *n, uint64_t mac)
{
	const struct plm_net_local_conf *local = &net->locals[n->local_idx];
	const uint8_t *own = net->ports[n->port_idx]->mac.addr_bytes;
	uint8_t dst_mac[6];
	int len;

	memcpy(dst_mac, &mac, 6);
	if (n->ip.is_v6) {
		struct plm_nd nd = { .type = PLM_ICMP6_NS, .has_lladdr = true };
		uint8_t dst[16];

		memcpy(nd.target, n->ip.addr, 16);
		memcpy(nd.lladdr, own, 6);
		if (mac == 0) {
			net_solicited(n->ip.addr, dst);
			net_group_mac(dst, dst_mac);
		} else {
			memcpy(dst, n->ip.addr, 16);
		}
		len = plm_nd_build(net->frame, net->frame_size, own, dst_mac, local->ip.addr, dst,
				&nd);
	} else {
		struct plm_arp arp = { .is_request = true };

		memcpy(arp.sender_mac, own, 6);
		memcpy(arp.sender_ip, local->ip.addr, 4);
		memcpy(arp.target_ip, n->ip.addr, 4);
		if (mac == 0)
			memset(dst_mac, 0xff, 6);
		else
			memcpy(arp.target_mac, dst_mac, 6);
		len = plm_arp_build(net->frame, net->frame_size, dst_mac, &arp);
	}
	if (len > 0)
		net->emit(net->emit_ctx, n->port_idx, net->frame, (size_t)len);
}

/* Send a probe and wait for its answer. The neighbour is on no list. */
static void
neigh_probe(struct plm_net *net, struct neigh *n, uint64_t mac, uint64_t now_ns)
{
	send_probe(net, n, mac);
	n->probe_ns = now_ns;
	if (n->nb_probes < UINT16_MAX)
		n->nb_probes++;
	neigh_schedule(net, n, now_ns);
}

/* Take a free entry; the caller schedules it. NULL if there is none. */
static struct neigh *
neigh_insert(struct plm_net *net, uint16_t local_idx, const struct plm_ip *ip)
{
	uint16_t port_idx = net->locals[local_idx].port_idx;
	uint32_t *bucket = &net->buckets[bucket_of(net, port_idx, ip)];
	uint32_t link = net->free;
	struct neigh *n;

	if (link == 0 || plm_fault(NEIGHBOURS))
		return NULL;
	n = &net->neighs[link - 1];
	net->free = n->chain;
	*n = (struct neigh){ .ip = *ip,
		.port_idx = port_idx,
		.local_idx = local_idx,
		.refs = 1,
		.chain = *bucket };
	*bucket = link;
	plm_sched_point(NEXTHOP_TAKE, &net->nexthops[link - 1]);
	await(net, n, 1);
	return n;
}

int
neigh_get(struct plm_net *net, uint16_t local_idx, const struct plm_ip *ip, uint64_t now_ns)
{
	struct neigh *n = neigh_find(net, net->locals[local_idx].port_idx, ip);

	if (n != NULL) {
		n->refs++;
		return (int)neigh_idx(net, n);
	}
	n = neigh_insert(net, local_idx, ip);
	if (n == NULL) {
		plm_count(net->counters, PLM_CNT_NEIGH_TABLE_FULL);
		return -ENOSPC;
	}
	neigh_probe(net, n, 0, now_ns);
	return (int)neigh_idx(net, n);
}

void
neigh_put(struct plm_net *net, uint32_t idx)
{
	struct neigh *n = &net->neighs[idx];
	uint32_t *link;

	assert(n->refs > 0);
	if (--n->refs > 0)
		return;
	link = &net->buckets[bucket_of(net, n->port_idx, &n->ip)];
	while (*link != idx + 1)
		link = &net->neighs[*link - 1].chain;
	*link = n->chain;
	await(net, n, -1);
	neigh_unschedule(net, n);
	neigh_set_mac(net, n, NULL);
	plm_sched_point(NEXTHOP_FREE, &net->nexthops[idx]);
	n->chain = net->free;
	net->free = idx + 1;
}

void
neigh_answered(struct plm_net *net, uint16_t port_idx, const struct plm_ip *ip, const uint8_t *mac,
		uint64_t now_ns)
{
	struct neigh *n = neigh_find(net, port_idx, ip);

	if (n == NULL) {
		plm_count(net->counters, PLM_CNT_CTL_IGNORED);
		return;
	}
	if (n->nb_probes == 0 || now_ns - n->probe_ns > NEIGH_ANSWER_NS) {
		/* We did not ask, whatever it says of itself. */
		if (mac != NULL)
			neigh_claimed(net, port_idx, ip, mac, now_ns);
		else
			plm_count(net->counters, PLM_CNT_CTL_IGNORED);
		return;
	}
	if (mac != NULL) {
		neigh_set_mac(net, n, mac);
	} else if (neigh_mac(net, n) == 0) {
		plm_count(net->counters, PLM_CNT_CTL_IGNORED);
		return;
	}
	neigh_unschedule(net, n);
	n->nb_probes = 0;
	n->answered_ns = now_ns;
	neigh_schedule(net, n, now_ns);
}

void
neigh_claimed(struct plm_net *net, uint16_t port_idx, const struct plm_ip *ip, const uint8_t mac[6],
		uint64_t now_ns)
{
	struct neigh *n = neigh_find(net, port_idx, ip);
	uint64_t word = 0;

	memcpy(&word, mac, 6);
	if (n == NULL || neigh_mac(net, n) == word ||
			(n->urgent_ns != 0 && now_ns - n->urgent_ns < NEIGH_URGENT_NS)) {
		plm_count(net->counters, PLM_CNT_CTL_IGNORED);
		return;
	}
	/* Everybody is asked: the address that we know may be gone, the new one may be a lie. */
	n->urgent_ns = now_ns;
	neigh_unschedule(net, n);
	neigh_probe(net, n, 0, now_ns);
}

/* One neighbour whose time has come. */
static void
neigh_due(struct plm_net *net, struct neigh *n, uint64_t now_ns)
{
	uint64_t mac = neigh_mac(net, n);

	neigh_unschedule(net, n);
	if (n->nb_probes > 0) {
		if (mac != 0 && now_ns - n->answered_ns >= NEIGH_LOST_NS)
			neigh_set_mac(net, n, NULL);
		mac = 0;
	}
	neigh_probe(net, n, mac, now_ns);
}

uint64_t
neigh_timer(struct plm_net *net, uint64_t now_ns)
{
	struct neigh_list *lists[] = { &net->soon, &net->later };
	unsigned int budget = NEIGH_TIMER_BUDGET;
	uint64_t next_ns = UINT64_MAX;

	for (unsigned int i = 0; i < RTE_DIM(lists); i++) {
		struct neigh *n;

		while ((n = TAILQ_FIRST(lists[i])) != NULL && n->next_ns <= now_ns) {
			if (budget-- == 0)
				return now_ns;
			neigh_due(net, n, now_ns);
		}
	}
	for (unsigned int i = 0; i < RTE_DIM(lists); i++) {
		if (!TAILQ_EMPTY(lists[i]))
			next_ns = RTE_MIN(next_ns, TAILQ_FIRST(lists[i])->next_ns);
	}
	return next_ns;
}

/* Who stands at the other end of a link that came up may be another than before. Who answered is asked
 * alone, as ever, and if in vain everybody a second later; for who was silent everybody is asked. */
void
neigh_link_up(struct plm_net *net, uint16_t port_idx, uint64_t now_ns)
{
	struct neigh_list *lists[] = { &net->soon, &net->later };
	struct neigh_list again = TAILQ_HEAD_INITIALIZER(again);

	for (unsigned int i = 0; i < RTE_DIM(lists); i++) {
		struct neigh *next;

		for (struct neigh *n = TAILQ_FIRST(lists[i]); n != NULL; n = next) {
			next = TAILQ_NEXT(n, timer);
			if (n->port_idx != port_idx)
				continue;
			neigh_unschedule(net, n);
			/* As if the one to the address that we know had just not been answered. */
			n->nb_probes = n->nb_probes > 0 && neigh_mac(net, n) != 0;
			n->next_ns = now_ns;
			n->later = false;
			TAILQ_INSERT_TAIL(&again, n, timer);
		}
	}
	TAILQ_CONCAT(&again, &net->soon, timer);
	TAILQ_CONCAT(&net->soon, &again, timer);
}

/* Gateways are in the table from the start, whether a session needs them or not, so that the
 * first one finds the way known. Due at the first call of the timer. */
static void
enter_gateway(struct plm_net *net, uint16_t local_idx)
{
	static const uint8_t zero[16];
	const struct plm_net_local_conf *local = &net->locals[local_idx];
	struct neigh *n;

	if (memcmp(local->gateway.addr, zero, sizeof(zero)) == 0 ||
			neigh_find(net, local->port_idx, &local->gateway) != NULL)
		return;
	n = neigh_insert(net, local_idx, &local->gateway);
	assert(n != NULL); /* the first to come, and fewer than own addresses */
	TAILQ_INSERT_HEAD(&net->soon, n, timer);
}

int
neigh_init(struct plm_net *net, unsigned int max_neighbours, int socket)
{
	/* Gateways have places of their own, as far as 16 bits go. */
	uint32_t nb = max_neighbours + net->nb_locals;
	uint32_t nb_buckets;

	TAILQ_INIT(&net->soon);
	TAILQ_INIT(&net->later);
	if (max_neighbours == 0 || max_neighbours > NEIGH_MAX)
		return -EINVAL;
	nb = RTE_MIN(nb, NEIGH_MAX);
	nb_buckets = rte_align32pow2(nb);
	net->nb_neighs = nb;
	net->bucket_mask = nb_buckets - 1;
	net->nexthops = rte_calloc_socket("plm_nexthops", nb, sizeof(*net->nexthops),
			RTE_CACHE_LINE_SIZE, socket);
	net->neighs = rte_calloc_socket("plm_neighs", nb, sizeof(*net->neighs), 0, socket);
	net->buckets = rte_calloc_socket("plm_neigh_hash", nb_buckets, sizeof(*net->buckets), 0,
			socket);
	if (net->nexthops == NULL || net->neighs == NULL || net->buckets == NULL)
		return -ENOMEM;
	for (uint32_t i = nb; i > 0; i--) {
		net->neighs[i - 1].chain = net->free;
		net->free = i;
	}
	for (uint16_t i = 0; i < net->nb_locals; i++)
		enter_gateway(net, i);
	return 0;
}

void
neigh_fini(struct plm_net *net)
{
	rte_free(net->buckets);
	rte_free(net->neighs);
	rte_free(net->nexthops);
}

plm_nexthop_t *
plm_net_nexthops(const struct plm_net *net)
{
	return net->nexthops;
}

unsigned int
plm_net_show(const struct plm_net *net, unsigned int cursor, struct plm_text *text, uint64_t now_ns)
{
	for (uint32_t i = cursor; i < net->nb_neighs; i++) {
		const struct neigh *n = &net->neighs[i];
		char ip[INET6_ADDRSTRLEN];
		uint64_t word;
		uint8_t mac[8];

		if (n->refs == 0)
			continue;
		word = neigh_mac(net, n);
		memcpy(mac, &word, sizeof(mac));
		plm_text_add(text, "port %u  %-39s  ", n->port_idx, plm_ip_text(&n->ip, ip));
		if (word == 0)
			plm_text_add(text, "-                  resolving, %u probes", n->nb_probes);
		else
			plm_text_add(text, "%02x:%02x:%02x:%02x:%02x:%02x  %s, answered %u s ago",
					mac[0], mac[1], mac[2], mac[3], mac[4], mac[5],
					n->nb_probes == 0 ? "reachable" : "probing",
					(unsigned int)((now_ns - n->answered_ns) / PLM_NS_PER_S));
		plm_text_add(text, ", used by %u\n", n->refs);
		return i + 1 < net->nb_neighs ? i + 1 : 0;
	}
	return 0;
}

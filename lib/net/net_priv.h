/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the network layer's files: own addresses, the neighbour table, frame layouts. */
#ifndef PLM_NET_PRIV_H
#define PLM_NET_PRIV_H

#include <sys/queue.h>

#include <rte_byteorder.h>

#include "plm_net.h"
#include "plm_wire.h"

/** Own addresses in all, link-local ones included. */
#define NET_LOCALS_MAX 64

#define NET_TTL       64
#define NET_ND_HOPS   255 /* RFC 4861 §7.1: proof that the sender is on-link */
#define NET_IP4_DF    0x4000
#define NET_IP4_FRAG  0x3fff /* more fragments, or an offset */
#define NET_PROTO_UDP 17

/** Receive addresses of one port, in the order in which they are compared. const. */
struct net_port {
	uint16_t nb_v4;
	uint16_t nb_v6;
	uint16_t idx4[NET_LOCALS_MAX];
	uint16_t idx6[NET_LOCALS_MAX];
	uint32_t addr4[NET_LOCALS_MAX]; /* as on the wire */
	uint8_t addr6[NET_LOCALS_MAX][16];
};

/**
 * A next hop: a gateway, or a host on one of our links.
 *
 *             probe answered
 *   resolving ──────────────▶ reachable ──5 s──▶ probing ──answered──▶ reachable
 *       ▲                         │ announcement:    │ 30 s without an answer
 *       │                         ▼ probe at once    │
 *       └─────────────────────────────────────────────┘
 *
 * Without an answer: three probes a second apart, then one every 5 s. When the port's link comes up
 * everybody is due at once. Only an answer to a probe of ours changes the MAC address.
 */
struct neigh {
	TAILQ_ENTRY(neigh) timer; /* in `soon` or `later`, by next_ns */
	struct plm_ip ip;
	uint16_t port_idx;
	uint16_t local_idx; /* whom probes come from */
	uint32_t refs;      /* 0: free */
	uint32_t chain;     /* next in the bucket or on the free list, index + 1 */
	uint16_t nb_probes; /* unanswered ones, saturating */
	bool later;         /* which list */
	uint64_t next_ns;
	uint64_t probe_ns;    /* last probe sent */
	uint64_t urgent_ns;   /* last probe that an announcement caused */
	uint64_t answered_ns; /* last answer, 0: never */
};
TAILQ_HEAD(neigh_list, neigh);

struct plm_net {
	/* const: what plm_net_rx() reads. */
	rte_be16_t udp_port;
	uint16_t nb_ports;
	uint16_t nb_locals;
	struct net_port *rx; /* [nb_ports] */
	struct plm_net_local_conf locals[NET_LOCALS_MAX];
	const struct plm_port *ports[PLM_PORTS_MAX];

	/* const */
	void (*emit)(void *ctx, uint16_t port_idx, const void *frame, size_t len);
	void *emit_ctx;
	struct plm_counters *counters;
	uint8_t hash_key[16];
	uint32_t nb_neighs;
	uint32_t bucket_mask;

	/* owner writes (slow path), any reads: one 8-byte atomic each. */
	plm_nexthop_t *nexthops; /* [nb_neighs] */
	/* Neighbours of each class, see plm_net_awaits(). */
	_Atomic uint16_t awaited[PLM_NET_CELLS];

	/* ctl */
	struct neigh *neighs; /* [nb_neighs] */
	uint32_t *buckets;    /* [bucket_mask + 1], index + 1 */
	uint32_t free;        /* index + 1 */
	/* Delays are constants, so each list is in the order of its deadlines. */
	struct neigh_list soon;      /* 1 s */
	struct neigh_list later;     /* 5 s */
	bool link_up[PLM_PORTS_MAX]; /* as the timer last saw it */
	unsigned int announce_left;
	uint64_t announce_ns;
	uint64_t defend_ns[NET_LOCALS_MAX]; /* when an address was last defended */
	size_t frame_size;
	uint8_t *frame; /* under construction, as large as the largest MTU */
};

static inline bool
ip_eq(const struct plm_ip *a, const struct plm_ip *b)
{
	return a->is_v6 == b->is_v6 && memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

static inline bool
ip6_is_link_local(const uint8_t addr[16])
{
	return addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80;
}

/** Whether nobody may send from it: multicast, broadcast, reserved, loopback, unspecified. */
static inline bool
ip4_bad_source(const uint8_t addr[4])
{
	return addr[0] == 0 || addr[0] == 127 || addr[0] >= 224;
}

/** Multicast, ::, ::1, and IPv4 in disguise (::/96 and ::ffff:0:0/96). */
static inline bool
ip6_bad_source(const uint8_t addr[16])
{
	static const uint8_t zero[10];
	uint16_t next;

	if (addr[0] == 0xff)
		return true;
	if (likely(addr[0] != 0) || memcmp(addr, zero, sizeof(zero)) != 0)
		return false;
	memcpy(&next, addr + 10, sizeof(next));
	return next == 0 || next == 0xffff;
}

static inline uint16_t
get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void
put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline uint16_t
load16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void
store16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

/** Index of an own address on a port, or -1. */
int net_local4(const struct plm_net *net, uint16_t port_idx, const uint8_t addr[4]);
int net_local6(const struct plm_net *net, uint16_t port_idx, const uint8_t addr[16]);

/** Whether an IPv6 group is all-nodes or one of the port's solicited-node groups. */
bool net_group6(const struct plm_net *net, uint16_t port_idx, const uint8_t group[16]);

/** The solicited-node group of an address (RFC 4291 §2.7.1), and an IPv6 group's MAC address. */
void net_solicited(const uint8_t addr[16], uint8_t group[16]);
void net_group_mac(const uint8_t group[16], uint8_t mac[6]);

/** Gratuitous ARP or unsolicited NA of one own address. */
void net_announce_local(struct plm_net *net, uint16_t local_idx);

/** Make the table; gateways are entered for good. */
int neigh_init(struct plm_net *net, unsigned int max_neighbours, int socket);
void neigh_fini(struct plm_net *net);

/** Take a reference on a next hop. Its index or -ENOSPC. */
int neigh_get(struct plm_net *net, uint16_t local_idx, const struct plm_ip *ip, uint64_t now_ns);
void neigh_put(struct plm_net *net, uint32_t idx);

/** The port's link came up: all its neighbours are due, as the next calls of neigh_timer() get to them. */
void neigh_link_up(struct plm_net *net, uint16_t port_idx, uint64_t now_ns);

/** What is due, at most a budget of probes. Returns when it wants to be called next. */
uint64_t neigh_timer(struct plm_net *net, uint64_t now_ns);

/** A neighbour answered a solicitation, as it says. `mac` NULL: "the one you asked". */
void neigh_answered(struct plm_net *net, uint16_t port_idx, const struct plm_ip *ip,
		const uint8_t *mac, uint64_t now_ns);

/** Somebody says that `ip` has `mac`: believed only once the neighbour itself was asked. */
void neigh_claimed(struct plm_net *net, uint16_t port_idx, const struct plm_ip *ip,
		const uint8_t mac[6], uint64_t now_ns);

#endif

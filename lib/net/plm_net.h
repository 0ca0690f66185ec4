/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The network layer: own addresses, next hops, checks of received frames, and the headers of
 * what is sent. ARP (RFC 826, 5227), neighbour discovery (RFC 4861), ICMP echo.
 *
 * Workers call plm_net_rx() and read next hops; everything else is the slow path's.
 */
#ifndef PLM_NET_H
#define PLM_NET_H

#include <netinet/in.h>
#include <stdatomic.h>

#include "plm_port.h"

struct plm_net;

/** IPv4 in the first four bytes, the rest 0. */
struct plm_ip {
	uint8_t addr[16];
	bool is_v6;
};

/** One own address: what a client is told to send to. const after start. */
struct plm_net_local_conf {
	uint16_t port_idx;
	struct plm_ip ip;
	uint8_t prefix_len;    /**< on-link prefix, 0 to 32 or 128 */
	struct plm_ip gateway; /**< all zero: none, on-link only; same family as `ip` */
};

struct plm_net_conf {
	const struct plm_port *const *ports;
	unsigned int nb_ports;
	const struct plm_net_local_conf *locals; /**< global addresses; a link-local IPv6 address
	                                          *   per port is added (EUI-64, RFC 4291) */
	unsigned int nb_locals;
	uint16_t udp_port;           /**< host order; the one port of all transports */
	unsigned int max_neighbours; /**< next hops and on-link neighbours, all ports */
	struct plm_rand rand;
	/** Send a finished Ethernet frame on a port. The bytes are the caller's again afterwards. */
	void (*emit)(void *ctx, uint16_t port_idx, const void *frame, size_t len);
	void *emit_ctx;
	struct plm_counters *counters; /**< the slow path's */
	int socket;
};

/**
 * 0, -EINVAL (an address out of its family or twice on a port, a gateway off-link, more than 64 own
 * addresses or 65 536 neighbours), -ENOMEM. Gateways do not count as neighbours; they are resolved
 * from the first call of plm_net_timer() on.
 */
int plm_net_create(struct plm_net **net, const struct plm_net_conf *conf);
void plm_net_free(struct plm_net *net);

/* --- workers ------------------------------------------------------------------------------ */

/** What plm_net_rx() found. */
enum plm_net_verdict {
	PLM_NET_UDP,  /**< a checked UDP datagram for us; struct plm_pkt is filled */
	PLM_NET_CTL,  /**< ARP, ND or ICMP for the slow path; port_idx and l3_off are filled */
	PLM_NET_DROP, /**< `*why` says which counter */
};

/**
 * Check one received frame: Ethernet, IP (length, version, options, fragments, header
 * checksum), destination, UDP (length, checksum, port). The payload's sum is left in struct
 * plm_pkt, since every copy needs it. Reads only.
 */
enum plm_net_verdict plm_net_rx(const struct plm_net *net, const struct plm_port *port,
		struct rte_mbuf *m, enum plm_counter *why);

/** Classes of what neighbours say, by hash of who says it. */
#define PLM_NET_CELLS 4096

/**
 * Whether an ARP or ND frame (PLM_NET_CTL) speaks for an address that is in the neighbour table,
 * and its class. A flood in other names then does not drown the answers that next hops live by.
 */
bool plm_net_awaits(const struct plm_net *net, struct rte_mbuf *m, unsigned int *cell);

/** MAC address in bytes 0 to 5 in memory order, VLAN in 6 to 7 (0: untagged). All 0: unknown. */
typedef _Atomic uint64_t plm_nexthop_t;

/** Next hops by index, one 8-byte atomic each: slow path writes, workers read (relaxed). */
plm_nexthop_t *plm_net_nexthops(const struct plm_net *net);

/* --- slow path ---------------------------------------------------------------------------- */

/** The headers of one session's packets but for the next hop's MAC address. */
#define PLM_TEMPLATE_SIZE 56

/**
 * What is constant in the headers of everything sent to one tuple.
 *
 * hdr: bytes from the Ethernet source address on: source MAC (6), EtherType (2), IPv4 (20) or
 * IPv6 (40), UDP (8). Lengths are 0. The IPv4 checksum field holds the folded sum (not
 * inverted) of the IPv4 header with TOS, total length and checksum taken as 0; the UDP checksum
 * field the folded sum of the pseudo-header with length taken as 0, plus both ports; both
 * in network byte order as rte_raw_cksum() yields them. TTL and hop limit 64, DF set, ID 0.
 */
struct plm_template {
	uint8_t hdr[PLM_TEMPLATE_SIZE];
	uint16_t nexthop_idx;
	uint8_t port_idx;
	uint8_t is_v6;
};

/**
 * The way from own address `local_idx` to a remote address and UDP port. Takes a reference on
 * the next hop, whose resolution starts if it is new.
 * @return 0, -EHOSTUNREACH (off-link and no gateway), -ENOSPC (neighbour table full).
 */
int plm_net_route(struct plm_net *net, uint16_t local_idx, const struct plm_ip *remote,
		rte_be16_t remote_port, struct plm_template *tmpl, uint64_t now_ns);

/** The same headers, without a next hop: for who knows the MAC address otherwise. Reads only; any lcore. */
void plm_net_template(const struct plm_net *net, uint16_t local_idx, const struct plm_ip *remote,
		rte_be16_t remote_port, struct plm_template *tmpl);

/** Give the reference back, once no view names the next hop any more. */
void plm_net_route_put(struct plm_net *net, const struct plm_template *tmpl);

/**
 * Build Ethernet, IP and UDP headers before `payload_len` bytes that stand at
 * `frame + plm_net_hdr_len(tmpl)`, checksums filled in software.
 * @return the frame's length, -EHOSTUNREACH while the next hop is unresolved (the caller counts
 *   it), -EMSGSIZE above the port's MTU.
 */
int plm_net_build(struct plm_net *net, const struct plm_template *tmpl, uint8_t dscp,
		uint8_t *frame, size_t payload_len);

/**
 * The same to a next hop that is known otherwise, the payload copied: `mac` as in plm_nexthop_t.
 * @return the frame's length, -EMSGSIZE (above the port's MTU, or `size`).
 */
int plm_net_build_to(const struct plm_net *net, const struct plm_template *tmpl, uint64_t mac,
		uint8_t tos, const void *payload, size_t payload_len, uint8_t *frame, size_t size);

/** Bytes of the headers: 42 or 62, and 4 more behind a VLAN tag. */
size_t plm_net_hdr_len(const struct plm_net *net, const struct plm_template *tmpl);

/** Answer straight back to where `request` (a received frame and its struct plm_pkt) came from:
 *  same next hop MAC, addresses and ports swapped. `out` takes headers + payload.
 *  @return the frame's length or -EMSGSIZE. No neighbour entry is needed or made. */
int plm_net_reply(const struct plm_net *net, const uint8_t *request, const struct plm_pkt *pkt,
		const void *payload, size_t payload_len, uint8_t *out, size_t out_size);

/** Handle an ARP, ND or ICMP frame; answers leave through emit(). */
void plm_net_input(struct plm_net *net, uint16_t port_idx, const uint8_t *frame, size_t len,
		uint64_t now_ns);

/** Announce own addresses (gratuitous ARP, unsolicited NA), three times a second apart. The timer
 *  does so by itself when a port's link comes up. */
void plm_net_announce(struct plm_net *net, uint64_t now_ns);

/** Resolution, re-probing every 5 s, expiry. Returns when it wants to be called next. */
uint64_t plm_net_timer(struct plm_net *net, uint64_t now_ns);

/** Own addresses: index in struct plm_pkt and struct plm_tuple. Any thread, const. */
unsigned int plm_net_nb_locals(const struct plm_net *net);
const struct plm_net_local_conf *plm_net_local(const struct plm_net *net, uint16_t local_idx);

/** Solicited-node and all-nodes MAC addresses that a port must receive; how many were written. */
unsigned int plm_net_mcast(const struct plm_net *net, uint16_t port_idx,
		struct rte_ether_addr *list, unsigned int n);

/** A line per neighbour for the CLI; `cursor` 0 to start, returns the next or 0 at the end. */
unsigned int plm_net_show(const struct plm_net *net, unsigned int cursor, struct plm_text *text,
		uint64_t now_ns);

/** "198.18.0.1" or "fd00::1"; for text, not for the packet path. */
const char *plm_ip_text(const struct plm_ip *ip, char buf[INET6_ADDRSTRLEN]);
/** 0 or -EINVAL. Accepts both families. */
int plm_ip_parse(const char *text, struct plm_ip *ip);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/** @file A network layer on two ports without ethdevs, its emitted frames, and frames to hand in. */
#ifndef NET_FIXTURE_H
#define NET_FIXTURE_H

#include "plm_net.h"
#include "test_eal.h"

#define TEST_UDP_PORT 3478
#define TEST_EMITTED  512

/** 198.18.0.1/24 with gateway .254 and fd00::1/64 with gateway fe80::fe on port 0; 198.19.0.1/30
 *  without a gateway on port 1; then the link-local addresses of ports 0 and 1. */
enum { LOCAL_V4, LOCAL_V6, LOCAL_SMALL, LOCAL_LL0, LOCAL_LL1, NB_LOCALS };

struct emitted {
	uint16_t port_idx;
	size_t len;
	uint8_t bytes[1600];
};

struct net_fixture {
	struct plm_port ports[2];
	struct plm_counters counters;
	struct plm_net *net;
	unsigned int nb_emitted;
	struct emitted emitted[TEST_EMITTED];
};

/** Always the same bytes. */
extern const struct plm_rand net_fixture_rand;
extern const uint8_t mac_port0[6];
extern const uint8_t mac_port1[6];
extern const uint8_t mac_peer[6];
extern const uint8_t mac_other[6];
extern const uint8_t mac_broadcast[6];

/** Create with room for `max_neighbours`; net_fixture_fini() undoes it. */
void net_fixture_init(struct net_fixture *f, unsigned int max_neighbours);
void net_fixture_fini(struct net_fixture *f);

struct plm_ip ip_of(const char *text);

/** Ones' complement sum as RFC 1071 defines it, a byte pair at a time, big-endian. */
uint32_t ref_sum(uint32_t sum, const uint8_t *p, size_t len);
uint16_t ref_fold(uint32_t sum);
/** Sum of the pseudo-header of an IP packet and everything behind its IP header: 0xffff is right. */
uint16_t ref_l4_check(const uint8_t *ip);

/** Ethernet header. Returns what follows. */
uint8_t *put_eth(uint8_t *frame, const uint8_t dst[6], const uint8_t src[6], uint16_t type);
/** IP header (IPv4 without options) for `l4_len` bytes, its checksum filled. Returns the L4 header. */
uint8_t *put_ip(uint8_t *ip, const char *src, const char *dst, uint8_t proto, size_t l4_len);
/** Fill in the L4 checksum at `off` of an IP packet's L4 header. */
void put_l4_sum(uint8_t *ip, size_t off, bool pseudo);
/** A whole UDP frame to own MAC address of port 0. Returns its length. */
size_t udp_frame(uint8_t *frame, const char *src, const char *dst, uint16_t sport, uint16_t dport,
		const void *payload, size_t len);
/** ICMPv6 frame around `body` (checksum at 2 filled). Returns its length. */
size_t icmp6_frame(uint8_t *frame, const uint8_t dst_mac[6], const uint8_t src_mac[6],
		const char *src, const char *dst, uint8_t hops, const void *body, size_t len);

uint64_t counter(const struct net_fixture *f, enum plm_counter id);

#endif

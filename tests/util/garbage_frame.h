/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Frames of garbage: random Ethernet, IP, UDP, STUN, RTP, RTCP, ARP and neighbour discovery, most
 * of it nearly right, since what is nearly right gets furthest. The sequence follows from the
 * seed alone.
 */
#ifndef PLM_TEST_GARBAGE_FRAME_H
#define PLM_TEST_GARBAGE_FRAME_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define GARBAGE_FRAME_MAX 1514

/** The relay at which it is aimed. */
struct garbage_target {
	uint8_t mac[6];
	struct in_addr ip4;
	struct in6_addr ip6;
	uint16_t port; /**< host order */
};

/**
 * Write one frame. `rnd` is the seed, and moves on. `frame` has GARBAGE_FRAME_MAX + 8 bytes.
 * @return its length.
 */
size_t garbage_frame(uint64_t *rnd, const struct garbage_target *to, uint8_t *frame);

#endif

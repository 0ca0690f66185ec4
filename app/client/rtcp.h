/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * RTCP as an endpoint speaks it (RFC 3550 §6, RFC 4585 §6.3.1): compounds built packet by
 * packet, and a walk over received ones. Pure.
 */
#ifndef CLIENT_RTCP_H
#define CLIENT_RTCP_H

#include "plm_base.h"
#include "plm_wire.h"
#include "rx_stats.h"

/** Report blocks of one SR or RR: the count has five bits. */
#define RTCP_BLOCKS_MAX 31

/** A compound under construction. */
struct rtcp_out {
	uint8_t *buf;
	size_t size;
	size_t len;
	bool overflow; /**< something did not fit: do not send */
};

struct rtcp_sender {
	uint32_t ssrc;
	uint64_t ntp; /**< RFC 5905: seconds since 1900, 32.32 */
	uint32_t timestamp;
	uint32_t packets;
	uint32_t bytes;
};

void rtcp_begin(struct rtcp_out *out, void *buf, size_t size);
void rtcp_add_sr(struct rtcp_out *out, const struct rtcp_sender *sender,
		const struct rx_report *blocks, unsigned int n);
void rtcp_add_rr(struct rtcp_out *out, uint32_t ssrc, const struct rx_report *blocks,
		unsigned int n);
void rtcp_add_sdes(struct rtcp_out *out, uint32_t ssrc, const char *cname);
void rtcp_add_pli(struct rtcp_out *out, uint32_t ssrc, uint32_t media_ssrc);
void rtcp_add_bye(struct rtcp_out *out, const uint32_t *ssrcs, unsigned int n);

/** One packet of a compound. */
struct rtcp_packet {
	uint8_t type;
	uint8_t count;
	const uint8_t *body; /**< behind the 4-byte header */
	size_t len;          /**< of the body */
};

/** Take the next packet. 0, -ENOENT at the end, -EPROTO (malformed: stop). */
int rtcp_next(struct plm_cursor *c, struct rtcp_packet *packet);

/** NTP time of a Unix time in nanoseconds. */
uint64_t rtcp_ntp(uint64_t wall_ns);

#endif

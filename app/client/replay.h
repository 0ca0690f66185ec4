/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * RTP out of a capture, to be sent again with the timing that it had. The whole file is read at the
 * start and kept; then it is a list of datagrams and the times at which they are due.
 *
 * From the second lap on sequence numbers and timestamps go on where the lap before ended, so that a
 * receiver sees one stream without an end. (With SRTP that breaks authentication, as repeated
 * numbers would; RTCP is of the first lap only, since its times and counts are.)
 */
#ifndef CLIENT_REPLAY_H
#define CLIENT_REPLAY_H

#include "plm_base.h"

#define REPLAY_SOURCES_MAX 8
#define REPLAY_BYTES_MAX   (UINT64_C(256) << 20) /**< of datagrams */
#define REPLAY_PACKETS_MAX (UINT64_C(4) << 20)
#define REPLAY_DATAGRAM    9216 /**< a longer one is left out */

/** One SSRC of the capture. */
struct replay_source {
	/* const */
	uint32_t ssrc;
	uint8_t payload_type; /**< of its first packet */
	uint16_t seq_step;    /**< from lap to lap */
	uint32_t ts_step;

	/* owner */
	uint64_t packets; /**< sent */
};

struct replay_packet {
	uint64_t at_ns; /**< from the first one on; never less than that of the one before */
	uint32_t off;
	uint16_t len;
	uint8_t source;
	bool is_rtcp;
	bool is_bye;
};

struct replay {
	/* const */
	struct replay_packet *packets; /**< owned, at least one */
	uint8_t *bytes;                /**< owned */
	uint64_t nb_packets;
	uint64_t lap_ns;
	bool loops;
	bool is_raw;          /**< WZP media, see wzp_file.h: no RTP, sent as it is */
	uint64_t nb_left_out; /**< frames of the file that are not sent */

	/* owner */
	struct replay_source sources[REPLAY_SOURCES_MAX];
	unsigned int nb_sources;
	uint64_t start_ns; /**< 0: not started */
	bool bye_sent;
	uint64_t pos; /**< of the next datagram, over all laps */
};

/**
 * Read a pcap or pcapng file.
 * @param port  only datagrams from or to this UDP port; 0: all
 * @return 0; -EINVAL (no such file, no capture, no RTP in it, too many sources); -E2BIG; -ENOMEM. `why`
 *   says it.
 */
int replay_load(struct replay **replay, const char *path, uint16_t port, bool loops,
		struct plm_text *why);
void replay_free(struct replay *replay);

/** Has everything been sent? Never where it loops. */
static inline bool
replay_over(const struct replay *r)
{
	return !r->loops && r->pos >= r->nb_packets;
}

/** When the next datagram of a started replay is due. It is not over. */
static inline uint64_t
replay_due_ns(const struct replay *r)
{
	return r->start_ns + r->pos / r->nb_packets * r->lap_ns +
			r->packets[r->pos % r->nb_packets].at_ns;
}

/** The next datagram, in `buf`; 0: it is not to be sent in this lap. It stays the next one. */
size_t replay_build(const struct replay *r, uint8_t buf[REPLAY_DATAGRAM]);

/** It was sent, or was not to be: go on. */
void replay_advance(struct replay *r);

#endif

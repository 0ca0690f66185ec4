/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The built-in generator: RTP packets whose payload says which packet it is and when it was
 * sent, and proves that not a bit of it, header included, was changed on the way. Pure.
 *
 *  RTP header (12) | magic (4) | CRC-32 (4) | index (8) | sent, CLOCK_MONOTONIC ns (8) | pattern
 *
 * Big endian. The CRC covers the first 36 bytes with its own field 0; the pattern follows from
 * SSRC and index.
 */
#ifndef CLIENT_GEN_H
#define CLIENT_GEN_H

#include "plm_base.h"
#include "plm_wire.h"

#define GEN_SIZE_MIN (PLM_RTP_HDR + 24)
#define GEN_SIZE_MAX 9000
#define GEN_PPS_MAX  1000000

/** What `--generate` asks for. */
struct gen_conf {
	uint32_t pps;
	uint16_t size; /**< of the RTP packet, header included */
	uint8_t payload_type;
	bool has_ssrc;
	uint32_t ssrc;
	uint32_t clock_hz;
	uint64_t count; /**< packets to send; 0: no end */
};

/** One stream being sent. */
struct gen_stream {
	/* const */
	struct gen_conf conf;
	uint32_t ssrc;
	uint16_t first_seq;
	uint32_t first_timestamp;

	/* owner */
	uint64_t start_ns; /**< 0: not started */
	uint64_t index;    /**< of the next packet */
	uint64_t bytes;    /**< payload bytes sent, for sender reports */
	bool bye_sent;
};

/** What a received packet proves to be. */
enum gen_verdict {
	GEN_FOREIGN, /**< no generator's packet */
	GEN_INTACT,
	GEN_CORRUPT,
};

struct gen_stamp {
	uint64_t index;
	uint64_t sent_ns;
};

/** When packet `index` of a started stream is due. */
static inline uint64_t
gen_due_ns(const struct gen_stream *gen, uint64_t index)
{
	return gen->start_ns + index * PLM_NS_PER_S / gen->conf.pps;
}

static inline bool
gen_over(const struct gen_stream *gen)
{
	return gen->conf.count != 0 && gen->index >= gen->conf.count;
}

/** RTP timestamp of packet `index`. */
uint32_t gen_timestamp(const struct gen_stream *gen, uint64_t index);

/** Build packet `index` in `buf`, conf.size bytes. */
void gen_build(const struct gen_stream *gen, uint64_t index, uint64_t now_ns, uint8_t *buf);

/** Judge a received RTP packet. `stamp` is set for GEN_INTACT. */
enum gen_verdict gen_check(const uint8_t *buf, size_t len, struct gen_stamp *stamp);

#endif

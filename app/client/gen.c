/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen.h"

#include "bytes.h"

#define GEN_MAGIC   0x504c4d47u /* "PLMG" */
#define OFF_MAGIC   PLM_RTP_HDR
#define OFF_CRC     (OFF_MAGIC + 4)
#define OFF_INDEX   (OFF_CRC + 4)
#define OFF_SENT    (OFF_INDEX + 8)
#define OFF_PATTERN GEN_SIZE_MIN

/* Word `k` of a packet's pattern: every word of every packet differs. */
static inline uint64_t
pattern_word(uint64_t seed, uint64_t k)
{
	return rte_cpu_to_be_64(mix64(seed + (k + 1) * UINT64_C(0x9e3779b97f4a7c15)));
}

static uint64_t
pattern_seed(uint32_t ssrc, uint64_t index)
{
	return (uint64_t)ssrc << 32 ^ index;
}

static void
pattern_fill(uint8_t *p, size_t len, uint64_t seed)
{
	uint64_t w;
	size_t k;

	for (k = 0; len >= 8; k++, p += 8, len -= 8) {
		w = pattern_word(seed, k);
		memcpy(p, &w, 8);
	}
	w = pattern_word(seed, k);
	memcpy(p, &w, len);
}

static bool
pattern_ok(const uint8_t *p, size_t len, uint64_t seed)
{
	uint64_t diff = 0;
	uint64_t got;
	uint64_t w;
	size_t k;

	for (k = 0; len >= 8; k++, p += 8, len -= 8) {
		memcpy(&got, p, 8);
		diff |= got ^ pattern_word(seed, k);
	}
	w = pattern_word(seed, k);
	return diff == 0 && memcmp(p, &w, len) == 0;
}

static uint32_t
header_crc(const uint8_t *buf)
{
	uint8_t hdr[GEN_SIZE_MIN];

	memcpy(hdr, buf, sizeof(hdr));
	put_be32(hdr + OFF_CRC, 0);
	return plm_wire_crc32(hdr, sizeof(hdr));
}

uint32_t
gen_timestamp(const struct gen_stream *gen, uint64_t index)
{
	return gen->first_timestamp + (uint32_t)(index * gen->conf.clock_hz / gen->conf.pps);
}

void
gen_build(const struct gen_stream *gen, uint64_t index, uint64_t now_ns, uint8_t *buf)
{
	buf[0] = 0x80;
	buf[1] = gen->conf.payload_type;
	put_be16(buf + 2, (uint16_t)(gen->first_seq + index));
	put_be32(buf + 4, gen_timestamp(gen, index));
	put_be32(buf + 8, gen->ssrc);
	put_be32(buf + OFF_MAGIC, GEN_MAGIC);
	put_be64(buf + OFF_INDEX, index);
	put_be64(buf + OFF_SENT, now_ns);
	put_be32(buf + OFF_CRC, header_crc(buf));
	pattern_fill(buf + OFF_PATTERN, gen->conf.size - (size_t)OFF_PATTERN,
			pattern_seed(gen->ssrc, index));
}

enum gen_verdict
gen_check(const uint8_t *buf, size_t len, struct gen_stamp *stamp)
{
	uint64_t index;

	if (len < GEN_SIZE_MIN || get_be32(buf + OFF_MAGIC) != GEN_MAGIC)
		return GEN_FOREIGN;
	index = get_be64(buf + OFF_INDEX);
	if (get_be32(buf + OFF_CRC) != header_crc(buf) ||
			!pattern_ok(buf + OFF_PATTERN, len - OFF_PATTERN,
					pattern_seed(get_be32(buf + 8), index)))
		return GEN_CORRUPT;
	stamp->index = index;
	stamp->sent_ns = get_be64(buf + OFF_SENT);
	return GEN_INTACT;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* STUN messages (RFC 8489) with the attributes of ICE (RFC 8445), and FINGERPRINT's CRC. */
#include <errno.h>

#include "plm_wire.h"

#define ATTR_HDR        4
#define INTEGRITY_SIZE  20
#define FINGERPRINT_XOR 0x5354554eu

/* Understood only so far as not to be answered with 420: none matters to a Binding request. */
#define ATTR_MAPPED 0x0001
#define ATTR_REALM  0x0014
#define ATTR_NONCE  0x0015

#define ATTR_OPTIONAL 0x8000 /* from here on comprehension is optional */

#define FAMILY_V4 1
#define FAMILY_V6 2

/* --- CRC-32 ---------------------------------------------------------------------------------- */

/*
 * Eight bytes a step: table k holds what byte n contributes when k bytes follow it. A CRC is
 * linear over GF(2), so that the eight single-bit entries of a table give all 256.
 */
#define CRC_1(n, b0, b1, b2, b3, b4, b5, b6, b7)                                                   \
	(((n)&1 ? b0 : 0) ^ ((n)&2 ? b1 : 0) ^ ((n)&4 ? b2 : 0) ^ ((n)&8 ? b3 : 0) ^               \
			((n)&16 ? b4 : 0) ^ ((n)&32 ? b5 : 0) ^ ((n)&64 ? b6 : 0) ^                \
			((n)&128 ? b7 : 0))
#define CRC_4(n, ...)                                                                              \
	CRC_1((n), __VA_ARGS__), CRC_1((n) + 1, __VA_ARGS__), CRC_1((n) + 2, __VA_ARGS__),         \
			CRC_1((n) + 3, __VA_ARGS__)
#define CRC_16(n, ...)                                                                             \
	CRC_4((n), __VA_ARGS__), CRC_4((n) + 4, __VA_ARGS__), CRC_4((n) + 8, __VA_ARGS__),         \
			CRC_4((n) + 12, __VA_ARGS__)
#define CRC_64(n, ...)                                                                             \
	CRC_16((n), __VA_ARGS__), CRC_16((n) + 16, __VA_ARGS__), CRC_16((n) + 32, __VA_ARGS__),    \
			CRC_16((n) + 48, __VA_ARGS__)
#define CRC_TABLE(...)                                                                             \
	{                                                                                          \
		CRC_64(0, __VA_ARGS__), CRC_64(64, __VA_ARGS__), CRC_64(128, __VA_ARGS__),         \
				CRC_64(192, __VA_ARGS__)                                           \
	}

static const uint32_t crc_table[8][256] = {
	CRC_TABLE(0x77073096, 0xee0e612c, 0x076dc419, 0x0edb8832, 0x1db71064, 0x3b6e20c8,
			0x76dc4190, 0xedb88320),
	CRC_TABLE(0x191b3141, 0x32366282, 0x646cc504, 0xc8d98a08, 0x4ac21251, 0x958424a2,
			0xf0794f05, 0x3b83984b),
	CRC_TABLE(0x01c26a37, 0x0384d46e, 0x0709a8dc, 0x0e1351b8, 0x1c26a370, 0x384d46e0,
			0x709a8dc0, 0xe1351b80),
	CRC_TABLE(0xb8bc6765, 0xaa09c88b, 0x8f629757, 0xc5b428ef, 0x5019579f, 0xa032af3e,
			0x9b14583d, 0xed59b63b),
	CRC_TABLE(0x3d6029b0, 0x7ac05360, 0xf580a6c0, 0x30704bc1, 0x60e09782, 0xc1c12f04,
			0x58f35849, 0xb1e6b092),
	CRC_TABLE(0xcb5cd3a5, 0x4dc8a10b, 0x9b914216, 0xec53826d, 0x03d6029b, 0x07ac0536,
			0x0f580a6c, 0x1eb014d8),
	CRC_TABLE(0xa6770bb4, 0x979f1129, 0xf44f2413, 0x33ef4e67, 0x67de9cce, 0xcfbd399c,
			0x440b7579, 0x8816eaf2),
	CRC_TABLE(0xccaa009e, 0x4225077d, 0x844a0efa, 0xd3e51bb5, 0x7cbb312b, 0xf9766256,
			0x299dc2ed, 0x533b85da),
};

uint32_t
plm_wire_crc32(const void *buf, size_t len)
{
	const uint8_t *p = buf;
	uint32_t crc = UINT32_MAX;

	for (; len >= 8; len -= 8, p += 8) {
		uint32_t lo, hi;

		memcpy(&lo, p, sizeof(lo));
		memcpy(&hi, p + 4, sizeof(hi));
		lo = rte_le_to_cpu_32(lo) ^ crc;
		hi = rte_le_to_cpu_32(hi);
		crc = crc_table[7][lo & 0xff] ^ crc_table[6][lo >> 8 & 0xff] ^
				crc_table[5][lo >> 16 & 0xff] ^ crc_table[4][lo >> 24] ^
				crc_table[3][hi & 0xff] ^ crc_table[2][hi >> 8 & 0xff] ^
				crc_table[1][hi >> 16 & 0xff] ^ crc_table[0][hi >> 24];
	}
	for (; len > 0; len--, p++)
		crc = crc >> 8 ^ crc_table[0][(crc ^ *p) & 0xff];
	return ~crc;
}

/* --- parsing --------------------------------------------------------------------------------- */

static void
put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
put_be32(uint8_t *p, uint32_t v)
{
	put_be16(p, (uint16_t)(v >> 16));
	put_be16(p + 2, (uint16_t)v);
}

static size_t
padded(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

static void
add_unknown(struct plm_stun *msg, uint16_t type)
{
	for (unsigned int i = 0; i < msg->nb_unknown; i++) {
		if (msg->unknown[i] == type)
			return;
	}
	if (msg->nb_unknown < sizeof(msg->unknown) / sizeof(msg->unknown[0]))
		msg->unknown[msg->nb_unknown++] = type;
}

/* One attribute that stands before MESSAGE-INTEGRITY. Of equal ones the first counts
 * (RFC 8489 §14). */
static int
parse_attr(struct plm_stun *msg, uint16_t type, const uint8_t *value, uint16_t len)
{
	struct plm_cursor c = plm_cursor(value, len);

	switch (type) {
	case PLM_STUN_ATTR_USERNAME:
		if (len > PLM_STUN_USERNAME_MAX)
			return -EBADMSG;
		if (msg->username == NULL) {
			msg->username = value;
			msg->username_len = len;
		}
		return 0;
	case PLM_STUN_ATTR_ERROR:
		if (len < 4 || (value[2] & 7) < 3 || (value[2] & 7) > 6 || value[3] > 99)
			return -EBADMSG;
		if (msg->error_code == 0)
			msg->error_code = (uint16_t)((value[2] & 7) * 100 + value[3]);
		return 0;
	case PLM_STUN_ATTR_XOR_MAPPED:
		if (!(len == 8 && value[1] == FAMILY_V4) && !(len == 20 && value[1] == FAMILY_V6))
			return -EBADMSG;
		if (msg->mapped == NULL) {
			msg->mapped = value;
			msg->mapped_len = len;
		}
		return 0;
	case PLM_STUN_ATTR_PRIORITY:
		if (len != 4)
			return -EBADMSG;
		if (!msg->has_priority) {
			msg->priority = plm_cursor_be32(&c);
			msg->has_priority = true;
		}
		return 0;
	case PLM_STUN_ATTR_USE_CANDIDATE:
		if (len != 0)
			return -EBADMSG;
		msg->use_candidate = true;
		return 0;
	case PLM_STUN_ATTR_CONTROLLED:
	case PLM_STUN_ATTR_CONTROLLING:
		if (len != 8)
			return -EBADMSG;
		if (!msg->controlled && !msg->controlling) {
			msg->tie_breaker = (uint64_t)plm_cursor_be32(&c) << 32;
			msg->tie_breaker |= plm_cursor_be32(&c);
		}
		if (type == PLM_STUN_ATTR_CONTROLLED)
			msg->controlled = true;
		else
			msg->controlling = true;
		return 0;
	case ATTR_MAPPED:
	case ATTR_REALM:
	case ATTR_NONCE:
	case PLM_STUN_ATTR_UNKNOWN:
		return 0;
	default:
		if (type < ATTR_OPTIONAL)
			add_unknown(msg, type);
		return 0;
	}
}

int
plm_stun_parse(const uint8_t *buf, size_t len, struct plm_stun *msg)
{
	struct plm_cursor c = plm_cursor(buf, len);
	struct plm_stun found = { 0 };
	uint16_t type;
	size_t body;
	int ret;

	if (len < PLM_STUN_HDR)
		return -EMSGSIZE;
	type = plm_cursor_be16(&c);
	body = plm_cursor_be16(&c);
	if (type & 0xc000 || plm_cursor_be32(&c) != PLM_STUN_COOKIE)
		return -EPROTO;
	if (body % 4 != 0 || body != len - PLM_STUN_HDR)
		return -EMSGSIZE;
	found.class = (enum plm_stun_class)((type & 0x0010) >> 4 | (type & 0x0100) >> 7);
	found.method = (uint16_t)((type & 0x000f) | (type & 0x00e0) >> 1 | (type & 0x3e00) >> 2);
	found.tid = plm_cursor_bytes(&c, PLM_STUN_TID);

	while (plm_cursor_left(&c) > 0) {
		size_t off = len - plm_cursor_left(&c);
		const uint8_t *value;
		uint16_t attr_len;

		if (plm_cursor_left(&c) < ATTR_HDR)
			return -EBADMSG;
		type = plm_cursor_be16(&c);
		attr_len = plm_cursor_be16(&c);
		if (plm_cursor_left(&c) < padded(attr_len))
			return -EBADMSG;
		value = plm_cursor_bytes(&c, padded(attr_len));

		if (type == PLM_STUN_ATTR_FINGERPRINT) {
			struct plm_cursor v = plm_cursor(value, attr_len);

			if (attr_len != 4 || plm_cursor_left(&c) > 0 ||
					plm_cursor_be32(&v) !=
							(plm_wire_crc32(buf, off) ^
									FINGERPRINT_XOR))
				return -EBADMSG;
			found.has_fingerprint = true;
		} else if (found.integrity != NULL) {
			continue; /* not covered by the HMAC: anybody may have added it */
		} else if (type == PLM_STUN_ATTR_INTEGRITY) {
			if (attr_len != INTEGRITY_SIZE)
				return -EBADMSG;
			found.integrity = value;
			found.integrity_off = (uint16_t)off;
		} else {
			ret = parse_attr(&found, type, value, attr_len);
			if (ret < 0)
				return ret;
		}
	}
	*msg = found;
	return 0;
}

void
plm_stun_integrity_hdr(const uint8_t *buf, const struct plm_stun *msg, uint8_t hdr[PLM_STUN_HDR])
{
	memcpy(hdr, buf, PLM_STUN_HDR);
	put_be16(hdr + 2,
			(uint16_t)(msg->integrity_off + ATTR_HDR + INTEGRITY_SIZE - PLM_STUN_HDR));
}

/* --- building -------------------------------------------------------------------------------- */

/* Attribute header and zero padding; where the value goes, or NULL when it does not fit. */
static uint8_t *
add_attr(struct plm_stun_out *out, uint16_t type, size_t len)
{
	size_t total = ATTR_HDR + padded(len);
	uint8_t *p = out->buf + out->len;

	if (out->overflow || len > UINT16_MAX || out->size - out->len < total) {
		out->overflow = true;
		return NULL;
	}
	put_be16(p, type);
	put_be16(p + 2, (uint16_t)len);
	if (total > ATTR_HDR + len)
		memset(p + ATTR_HDR + len, 0, total - ATTR_HDR - len);
	out->len += total;
	return p + ATTR_HDR;
}

/* The header's length field as if `more` bytes followed what there is. */
static void
set_length(struct plm_stun_out *out, size_t more)
{
	size_t body = out->len + more - PLM_STUN_HDR;

	if (body > UINT16_MAX)
		out->overflow = true;
	if (!out->overflow)
		put_be16(out->buf + 2, (uint16_t)body);
}

void
plm_stun_begin(struct plm_stun_out *out, void *buf, size_t size, enum plm_stun_class class,
		uint16_t method, const uint8_t tid[PLM_STUN_TID])
{
	out->buf = buf;
	out->size = size;
	out->len = 0;
	out->overflow = size < PLM_STUN_HDR;
	if (out->overflow)
		return;
	put_be16(out->buf,
			(uint16_t)((method & 0x000f) | (method & 0x0070) << 1 |
					(method & 0x0f80) << 2 | (class & 1) << 4 |
					(class & 2) << 7));
	put_be16(out->buf + 2, 0);
	put_be32(out->buf + 4, PLM_STUN_COOKIE);
	memcpy(out->buf + 8, tid, PLM_STUN_TID);
	out->len = PLM_STUN_HDR;
}

void
plm_stun_add_xor_mapped(struct plm_stun_out *out, const uint8_t *addr, bool is_v6, rte_be16_t port)
{
	size_t addr_len = is_v6 ? 16 : 4;
	uint8_t *p = add_attr(out, PLM_STUN_ATTR_XOR_MAPPED, 4 + addr_len);
	const uint8_t *mask;

	if (p == NULL)
		return;
	mask = out->buf + 4; /* cookie and transaction ID, as they stand in the header */
	p[0] = 0;
	p[1] = is_v6 ? FAMILY_V6 : FAMILY_V4;
	memcpy(p + 2, &port, sizeof(port));
	p[2] ^= mask[0];
	p[3] ^= mask[1];
	for (size_t i = 0; i < addr_len; i++)
		p[4 + i] = addr[i] ^ mask[i];
}

void
plm_stun_add_error(struct plm_stun_out *out, uint16_t code, const char *reason)
{
	size_t len = strlen(reason);
	uint8_t *p = add_attr(out, PLM_STUN_ATTR_ERROR, 4 + len);

	if (p == NULL)
		return;
	put_be16(p, 0);
	p[2] = (uint8_t)(code / 100);
	p[3] = (uint8_t)(code % 100);
	memcpy(p + 4, reason, len);
}

void
plm_stun_add_unknown(struct plm_stun_out *out, const uint16_t *types, unsigned int n)
{
	uint8_t *p = add_attr(out, PLM_STUN_ATTR_UNKNOWN, 2 * (size_t)n);

	if (p == NULL)
		return;
	for (unsigned int i = 0; i < n; i++)
		put_be16(p + 2 * i, types[i]);
}

void
plm_stun_add_bytes(struct plm_stun_out *out, uint16_t type, const void *value, size_t len)
{
	uint8_t *p = add_attr(out, type, len);

	if (p != NULL && len > 0)
		memcpy(p, value, len);
}

void
plm_stun_add_u32(struct plm_stun_out *out, uint16_t type, uint32_t value)
{
	uint8_t *p = add_attr(out, type, 4);

	if (p != NULL)
		put_be32(p, value);
}

void
plm_stun_add_u64(struct plm_stun_out *out, uint16_t type, uint64_t value)
{
	uint8_t *p = add_attr(out, type, 8);

	if (p == NULL)
		return;
	put_be32(p, (uint32_t)(value >> 32));
	put_be32(p + 4, (uint32_t)value);
}

void
plm_stun_prepare_integrity(struct plm_stun_out *out)
{
	set_length(out, ATTR_HDR + INTEGRITY_SIZE);
}

void
plm_stun_add_integrity(struct plm_stun_out *out, const uint8_t hmac[20])
{
	plm_stun_add_bytes(out, PLM_STUN_ATTR_INTEGRITY, hmac, INTEGRITY_SIZE);
}

size_t
plm_stun_finish(struct plm_stun_out *out)
{
	set_length(out, ATTR_HDR + 4);
	if (out->overflow)
		return 0;
	plm_stun_add_u32(out, PLM_STUN_ATTR_FINGERPRINT,
			plm_wire_crc32(out->buf, out->len) ^ FINGERPRINT_XOR);
	return out->overflow ? 0 : out->len;
}

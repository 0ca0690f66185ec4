/* SPDX-License-Identifier: BSD-3-Clause */
/* Bound by the packet's length, whatever is in it. */
#include "frames.h"

#include <rte_common.h>

/* Numbers of a frame up to NEW_TOKEN and from MAX_DATA to RETIRE_CONNECTION_ID, by type (RFC 9000 §19). */
static const uint8_t nb_varints[0x1a] = {
	[0x04] = 3,
	[0x05] = 2,
	[0x10] = 1,
	[0x11] = 2,
	[0x12] = 1,
	[0x13] = 1,
	[0x14] = 1,
	[0x15] = 2,
	[0x16] = 1,
	[0x17] = 1,
	[0x18] = 2,
	[0x19] = 1,
};

static bool
varints(struct plm_cursor *c, uint64_t n)
{
	uint64_t v;

	while (n-- > 0)
		if (!quic_varint(c, &v))
			return false;
	return true;
}

static bool
skip(struct plm_cursor *c, uint64_t n)
{
	if (plm_cursor_left(c) < n)
		return false;
	c->pos += n;
	return true;
}

bool
quic_frame_skip(struct plm_cursor *c, uint8_t type)
{
	uint64_t v;

	switch (type) {
	case 0x02: /* ACK, with counts of ECN marks or without */
	case 0x03:
		return varints(c, 2) && quic_varint(c, &v) &&
				varints(c, 1) && /* no more than 2^62 */
				varints(c, 2 * v + (type == 0x03 ? 3 : 0));
	case 0x07: /* NEW_TOKEN */
	case 0x31: /* DATAGRAM */
		return quic_varint(c, &v) && skip(c, v);
	case 0x18: /* NEW_CONNECTION_ID */
		return varints(c, 2) && plm_cursor_left(c) > 0 && skip(c, *c->pos + 17u);
	case 0x1a: /* PATH_CHALLENGE, PATH_RESPONSE */
	case 0x1b:
		return skip(c, 8);
	default:
		return type == 0 || type == 1 || type == 0x1e ||
				(type < RTE_DIM(nb_varints) && nb_varints[type] > 0 &&
						varints(c, nb_varints[type]));
	}
}

enum quic_ask
quic_frames_ask(const uint8_t *frames, size_t len)
{
	struct plm_cursor c = plm_cursor(frames, len);
	enum quic_ask ask = QUIC_ASK_NOTHING;

	while (plm_cursor_left(&c) > 0) {
		uint8_t type = plm_cursor_u8(&c);

		switch (type) {
		case 0x00: /* PADDING */
			continue;
		case 0x02: /* ACK */
		case 0x03:
			break;
		case 0x30: /* DATAGRAM, to the packet's end */
			return QUIC_ASK_ACK;
		case 0x01: /* PING */
		case 0x31: /* DATAGRAM */
			ask = QUIC_ASK_ACK;
			break;
		default:
			return QUIC_ASK_MORE;
		}
		if (!quic_frame_skip(&c, type))
			return QUIC_ASK_MORE;
	}
	return ask;
}

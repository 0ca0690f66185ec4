/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of a packet, looked at before ngtcp2 reads them (RFC 9000 §19, RFC 9221 §4). */
#ifndef QUIC_FRAMES_H
#define QUIC_FRAMES_H

#include "plm_base.h"

/* A variable-length integer (RFC 9000 §16). False: it is not all there. */
static inline bool
quic_varint(struct plm_cursor *c, uint64_t *value)
{
	size_t len;
	uint64_t v;

	if (plm_cursor_left(c) == 0)
		return false;
	len = (size_t)1 << (*c->pos >> 6);
	if (plm_cursor_left(c) < len)
		return false;
	v = plm_cursor_u8(c) & 0x3f;
	while (--len > 0)
		v = v << 8 | plm_cursor_u8(c);
	*value = v;
	return true;
}

/* Step over the rest of a frame that is none of a stream. False: it is the packet's last one, or nonsense, which
 * is ngtcp2's to judge. */
bool quic_frame_skip(struct plm_cursor *c, uint8_t type);

/* What a packet's frames want of us. */
enum quic_ask {
	QUIC_ASK_NOTHING, /* ACK, PADDING */
	QUIC_ASK_ACK,     /* and PING, DATAGRAM: to be acknowledged, and that can wait */
	QUIC_ASK_MORE,    /* and others */
};
enum quic_ask quic_frames_ask(const uint8_t *frames, size_t len);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* RTP headers, and of RTCP as much as routing needs: who sent it and whom it names. */
#include <assert.h>
#include <errno.h>

#include "plm_wire.h"

#define VERSION_MASK 0xc0
#define VERSION_2    0x80
#define PADDING_BIT  0x20
#define COUNT_MASK   0x1f

#define RTCP_HDR     4
#define SR_INFO      20 /* NTP and RTP time, counts: between sender SSRC and report blocks */
#define REPORT_BLOCK 24
#define FCI_ENTRY    8

/* Feedback message types whose SSRCs stand in the FCI (RFC 5104; REMB by its own draft). */
enum {
	RTPFB_TMMBR = 3,
	RTPFB_TMMBN = 4,
	PSFB_FIR = 4,
	PSFB_TSTR = 5,
	PSFB_TSTN = 6,
	PSFB_VBCM = 7,
	PSFB_AFB = 15,
};

/* RFC 3611 §4: blocks that name a source. */
enum {
	XR_LOSS_RLE = 1,
	XR_DUPLICATE_RLE = 2,
	XR_RECEIPT_TIMES = 3,
	XR_DLRR = 5,
	XR_STATISTICS = 6,
	XR_VOIP = 7,
};

int
plm_rtp_parse(const uint8_t *buf, size_t len, struct plm_rtp *rtp)
{
	struct plm_cursor c = plm_cursor(buf, len);
	size_t off = PLM_RTP_HDR;

	if (len < PLM_RTP_HDR)
		return -EMSGSIZE;
	if ((buf[0] & VERSION_MASK) != VERSION_2)
		return -EPROTO;
	off += 4u * (buf[0] & 0x0f);
	if (buf[0] & 0x10) {
		if (len < off + 4)
			return -EMSGSIZE;
		off += 4 + 4u * (size_t)(buf[off + 2] << 8 | buf[off + 3]);
	}
	if (len < off || off > UINT16_MAX)
		return -EMSGSIZE;

	c.pos++;
	rtp->marker = *c.pos >> 7;
	rtp->payload_type = plm_cursor_u8(&c) & 0x7f;
	rtp->seq = plm_cursor_be16(&c);
	rtp->timestamp = plm_cursor_be32(&c);
	rtp->ssrc = plm_cursor_be32(&c);
	rtp->payload_off = (uint16_t)off;
	return 0;
}

/* Name a media SSRC once; 0 stands for none. False when there are too many. */
static bool
add_target(struct plm_rtcp *rtcp, uint32_t ssrc)
{
	if (ssrc == 0)
		return true;
	for (unsigned int i = 0; i < rtcp->nb_targets; i++) {
		if (rtcp->targets[i] == ssrc)
			return true;
	}
	if (rtcp->nb_targets == PLM_RTCP_TARGETS)
		return false;
	rtcp->targets[rtcp->nb_targets++] = ssrc;
	return true;
}

/* Note one SSRC that the compound speaks for. */
static int
add_source(struct plm_rtcp *rtcp, uint32_t ssrc)
{
	for (unsigned int i = 0; i < rtcp->nb_sources; i++) {
		if (rtcp->sources[i] == ssrc)
			return 0;
	}
	if (rtcp->nb_sources == PLM_RTCP_SOURCES)
		return -EPROTO;
	rtcp->sources[rtcp->nb_sources++] = ssrc;
	return 0;
}

/* SSRCs that stand `stride` bytes apart. Bytes that fill no stride are profile extensions. */
static int
add_targets(struct plm_rtcp *rtcp, struct plm_cursor c, size_t stride)
{
	while (plm_cursor_left(&c) >= stride) {
		const uint8_t *entry = plm_cursor_bytes(&c, stride);
		struct plm_cursor e = plm_cursor(entry, stride);

		if (!add_target(rtcp, plm_cursor_be32(&e)))
			return -EPROTO;
	}
	return 0;
}

/* The SSRC at the start of a packet's body, of its sender. */
static int
parse_sender(struct plm_rtcp *rtcp, struct plm_cursor *c)
{
	if (plm_cursor_left(c) < 4)
		return -EMSGSIZE;
	return add_source(rtcp, plm_cursor_be32(c));
}

/* Behind the sender's SSRC (and sender info, of an SR). */
static int
parse_reports(struct plm_rtcp *rtcp, struct plm_cursor c, unsigned int count)
{
	size_t len = (size_t)count * REPORT_BLOCK;

	if (plm_cursor_left(&c) < len)
		return -EMSGSIZE;
	return add_targets(rtcp, plm_cursor(c.pos, len), REPORT_BLOCK);
}

/* {"REMB", number of SSRCs, exponent and mantissa (3), SSRCs}. */
static int
parse_remb(struct plm_rtcp *rtcp, struct plm_cursor c)
{
	size_t len;

	if (plm_cursor_left(&c) < 8 || memcmp(c.pos, "REMB", 4) != 0)
		return 0;
	len = 4u * c.pos[4];
	plm_cursor_bytes(&c, 8);
	if (plm_cursor_left(&c) < len)
		return -EMSGSIZE;
	return add_targets(rtcp, plm_cursor(c.pos, len), 4);
}

/* Video back channel messages (RFC 5104 §4.3.4.1) are the only FCI entries of varying size. */
static int
parse_vbcm(struct plm_rtcp *rtcp, struct plm_cursor c)
{
	while (plm_cursor_left(&c) >= FCI_ENTRY) {
		uint32_t ssrc = plm_cursor_be32(&c);
		size_t len;

		plm_cursor_be16(&c);
		len = (plm_cursor_be16(&c) + 3u) & ~(size_t)3;
		if (plm_cursor_left(&c) < len)
			return -EMSGSIZE;
		plm_cursor_bytes(&c, len);
		if (!add_target(rtcp, ssrc))
			return -EPROTO;
	}
	return 0;
}

/* Behind the sender's SSRC: the media SSRC, and what the format has. */
static int
parse_feedback(struct plm_rtcp *rtcp, struct plm_cursor c, uint8_t type, unsigned int fmt)
{
	if (plm_cursor_left(&c) < 4)
		return -EMSGSIZE;
	if (!add_target(rtcp, plm_cursor_be32(&c)))
		return -EPROTO;
	if (type == PLM_RTCP_RTPFB)
		return fmt == RTPFB_TMMBR || fmt == RTPFB_TMMBN ? add_targets(rtcp, c, FCI_ENTRY)
								: 0;

	switch (fmt) {
	case PSFB_FIR:
	case PSFB_TSTR:
	case PSFB_TSTN:
		return add_targets(rtcp, c, FCI_ENTRY);
	case PSFB_VBCM:
		return parse_vbcm(rtcp, c);
	case PSFB_AFB:
		return parse_remb(rtcp, c);
	default:
		return 0;
	}
}

/* Behind the sender's SSRC. */
static int
parse_xr(struct plm_rtcp *rtcp, struct plm_cursor c)
{
	while (plm_cursor_left(&c) > 0) {
		struct plm_cursor block;
		uint8_t type;
		size_t len;
		int ret = 0;

		if (plm_cursor_left(&c) < 4)
			return -EMSGSIZE;
		type = plm_cursor_u8(&c);
		plm_cursor_u8(&c);
		len = 4u * plm_cursor_be16(&c);
		if (plm_cursor_left(&c) < len)
			return -EMSGSIZE;
		block = plm_cursor(plm_cursor_bytes(&c, len), len);

		switch (type) {
		case XR_LOSS_RLE:
		case XR_DUPLICATE_RLE:
		case XR_RECEIPT_TIMES:
		case XR_STATISTICS:
		case XR_VOIP:
			if (len < 4)
				return -EMSGSIZE;
			ret = add_targets(rtcp, plm_cursor(block.pos, 4), 4);
			break;
		case XR_DLRR:
			ret = add_targets(rtcp, block, 12);
			break;
		default:
			break;
		}
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int
parse_bye(struct plm_rtcp *rtcp, struct plm_cursor c, unsigned int count)
{
	int ret = 0;

	if (plm_cursor_left(&c) < 4u * count)
		return -EMSGSIZE;
	rtcp->has_bye = true;
	while (count-- > 0 && ret == 0)
		ret = add_source(rtcp, plm_cursor_be32(&c));
	return ret;
}

/* One packet of a compound, `c` from behind its 4-byte header. */
static int
parse_packet(struct plm_rtcp *rtcp, struct plm_cursor c, uint8_t type, unsigned int count)
{
	int ret;

	switch (type) {
	case PLM_RTCP_SR:
		ret = parse_sender(rtcp, &c);
		if (ret < 0)
			return ret;
		if (plm_cursor_left(&c) < SR_INFO)
			return -EMSGSIZE;
		plm_cursor_bytes(&c, SR_INFO);
		return parse_reports(rtcp, c, count);
	case PLM_RTCP_RR:
		ret = parse_sender(rtcp, &c);
		return ret < 0 ? ret : parse_reports(rtcp, c, count);
	case PLM_RTCP_SDES:
		return count > 0 ? parse_sender(rtcp, &c) : 0;
	case PLM_RTCP_BYE:
		return parse_bye(rtcp, c, count);
	case PLM_RTCP_APP:
		return parse_sender(rtcp, &c);
	case PLM_RTCP_RTPFB:
	case PLM_RTCP_PSFB:
		ret = parse_sender(rtcp, &c);
		return ret < 0 ? ret : parse_feedback(rtcp, c, type, count);
	case PLM_RTCP_XR:
		ret = parse_sender(rtcp, &c);
		return ret < 0 ? ret : parse_xr(rtcp, c);
	default:
		return 0;
	}
}

int
plm_rtcp_peek(const uint8_t *buf, size_t len, uint8_t *first_type, uint32_t *sender_ssrc)
{
	struct plm_cursor c = plm_cursor(buf, len);

	if (len < 8)
		return -EMSGSIZE;
	if ((buf[0] & VERSION_MASK) != VERSION_2 || buf[1] < 192 || buf[1] > 223)
		return -EPROTO;
	plm_cursor_bytes(&c, RTCP_HDR);
	*first_type = buf[1];
	*sender_ssrc = plm_cursor_be32(&c);
	return 0;
}

int
plm_rtcp_parse(const uint8_t *buf, size_t len, struct plm_rtcp *rtcp)
{
	struct plm_cursor c = plm_cursor(buf, len);
	struct plm_rtcp found;
	int ret;

	found.has_bye = false;
	found.nb_targets = 0;
	ret = plm_rtcp_peek(buf, len, &found.first_type, &found.sender_ssrc);
	if (ret < 0)
		return ret;
	/* The first packet is the one whose sender we go by: it must have one. */
	if (buf[2] == 0 && buf[3] == 0)
		return -EMSGSIZE;
	found.sources[0] = found.sender_ssrc;
	found.nb_sources = 1;

	while (plm_cursor_left(&c) > 0) {
		uint8_t first, type;
		size_t body, pad = 0;

		if (plm_cursor_left(&c) < RTCP_HDR)
			return -EMSGSIZE;
		first = plm_cursor_u8(&c);
		type = plm_cursor_u8(&c);
		body = 4u * plm_cursor_be16(&c);
		if ((first & VERSION_MASK) != VERSION_2)
			return -EPROTO;
		if (plm_cursor_left(&c) < body)
			return -EMSGSIZE;
		if (first & PADDING_BIT) {
			if (plm_cursor_left(&c) != body || body == 0)
				return -EPROTO;
			pad = c.pos[body - 1];
			if (pad == 0 || pad % 4 != 0 || pad > body)
				return -EPROTO;
		}
		ret = parse_packet(&found, plm_cursor(c.pos, body - pad), type, first & COUNT_MASK);
		if (ret < 0)
			return ret;
		plm_cursor_bytes(&c, body);
	}

	rtcp->first_type = found.first_type;
	rtcp->has_bye = found.has_bye;
	rtcp->sender_ssrc = found.sender_ssrc;
	rtcp->nb_targets = found.nb_targets;
	memcpy(rtcp->targets, found.targets, found.nb_targets * sizeof(found.targets[0]));
	rtcp->nb_sources = found.nb_sources;
	memcpy(rtcp->sources, found.sources, found.nb_sources * sizeof(found.sources[0]));
	return 0;
}

static uint8_t *
put_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
	return p + 4;
}

int
plm_rtcp_build_bye(uint8_t *buf, size_t size, const uint32_t *ssrcs, unsigned int n)
{
	size_t len = 8 + RTCP_HDR + 4u * (size_t)n;
	uint8_t *p = buf;

	assert(n >= 1 && n <= COUNT_MASK);
	if (size < len)
		return -ENOSPC;
	p = put_be32(p, (uint32_t)VERSION_2 << 24 | (uint32_t)PLM_RTCP_RR << 16 | 1);
	p = put_be32(p, ssrcs[0]);
	p = put_be32(p, (VERSION_2 | n) << 24 | (uint32_t)PLM_RTCP_BYE << 16 | n);
	for (unsigned int i = 0; i < n; i++)
		p = put_be32(p, ssrcs[i]);
	return (int)len;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "rtcp.h"

#include <errno.h>

#define NTP_UNIX_OFFSET UINT64_C(2208988800)
#define SDES_CNAME      1
#define PSFB_PLI        1
#define BLOCK_SIZE      24

void
rtcp_begin(struct rtcp_out *out, void *buf, size_t size)
{
	*out = (struct rtcp_out){ .buf = buf, .size = size };
}

/* The start of `len` more bytes, or NULL. */
static uint8_t *
take(struct rtcp_out *out, size_t len)
{
	uint8_t *p = out->buf + out->len;

	if (out->overflow || out->size - out->len < len) {
		out->overflow = true;
		return NULL;
	}
	out->len += len;
	return p;
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

/* A packet of `len` bytes, header included; returns where its body starts. */
static uint8_t *
take_packet(struct rtcp_out *out, uint8_t type, unsigned int count, size_t len)
{
	uint8_t *p = take(out, len);

	if (p == NULL)
		return NULL;
	return put_be32(p,
			0x80000000u | count << 24 | (uint32_t)type << 16 | (uint32_t)(len / 4 - 1));
}

static void
put_blocks(uint8_t *p, const struct rx_report *blocks, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		const struct rx_report *b = &blocks[i];

		p = put_be32(p, b->ssrc);
		p = put_be32(p, (uint32_t)b->fraction_lost << 24 | ((uint32_t)b->lost & 0xffffff));
		p = put_be32(p, b->highest);
		p = put_be32(p, b->jitter);
		p = put_be32(p, b->last_sr);
		p = put_be32(p, b->delay_since_sr);
	}
}

void
rtcp_add_sr(struct rtcp_out *out, const struct rtcp_sender *sender, const struct rx_report *blocks,
		unsigned int n)
{
	uint8_t *p = take_packet(out, PLM_RTCP_SR, n, 28 + (size_t)n * BLOCK_SIZE);

	if (p == NULL)
		return;
	p = put_be32(p, sender->ssrc);
	p = put_be32(p, (uint32_t)(sender->ntp >> 32));
	p = put_be32(p, (uint32_t)sender->ntp);
	p = put_be32(p, sender->timestamp);
	p = put_be32(p, sender->packets);
	p = put_be32(p, sender->bytes);
	put_blocks(p, blocks, n);
}

void
rtcp_add_rr(struct rtcp_out *out, uint32_t ssrc, const struct rx_report *blocks, unsigned int n)
{
	uint8_t *p = take_packet(out, PLM_RTCP_RR, n, 8 + (size_t)n * BLOCK_SIZE);

	if (p != NULL)
		put_blocks(put_be32(p, ssrc), blocks, n);
}

void
rtcp_add_sdes(struct rtcp_out *out, uint32_t ssrc, const char *cname)
{
	size_t name = strnlen(cname, 255);
	/* Header, SSRC, item header, the name, at least one zero that ends the chunk. */
	size_t len = (4 + 4 + 2 + name + 1 + 3) / 4 * 4;
	uint8_t *p = take_packet(out, PLM_RTCP_SDES, 1, len);

	if (p == NULL)
		return;
	memset(p, 0, len - 4);
	p = put_be32(p, ssrc);
	*p++ = SDES_CNAME;
	*p++ = (uint8_t)name;
	memcpy(p, cname, name);
}

void
rtcp_add_pli(struct rtcp_out *out, uint32_t ssrc, uint32_t media_ssrc)
{
	uint8_t *p = take_packet(out, PLM_RTCP_PSFB, PSFB_PLI, 12);

	if (p != NULL)
		put_be32(put_be32(p, ssrc), media_ssrc);
}

void
rtcp_add_bye(struct rtcp_out *out, const uint32_t *ssrcs, unsigned int n)
{
	uint8_t *p = take_packet(out, PLM_RTCP_BYE, n, 4 + (size_t)n * 4);

	for (unsigned int i = 0; i < n && p != NULL; i++)
		p = put_be32(p, ssrcs[i]);
}

int
rtcp_next(struct plm_cursor *c, struct rtcp_packet *packet)
{
	struct rtcp_packet got;
	uint8_t first;
	size_t len;

	if (plm_cursor_left(c) == 0)
		return -ENOENT;
	if (plm_cursor_left(c) < 4)
		return -EPROTO;
	first = plm_cursor_u8(c);
	got.type = plm_cursor_u8(c);
	len = (size_t)plm_cursor_be16(c) * 4;
	if (first >> 6 != 2 || plm_cursor_left(c) < len)
		return -EPROTO;
	got.count = first & 31;
	got.len = len;
	got.body = plm_cursor_bytes(c, len);
	*packet = got;
	return 0;
}

uint64_t
rtcp_ntp(uint64_t wall_ns)
{
	uint64_t s = wall_ns / PLM_NS_PER_S;
	uint64_t frac = (wall_ns % PLM_NS_PER_S << 32) / PLM_NS_PER_S;

	return (s + NTP_UNIX_OFFSET) << 32 | frac;
}

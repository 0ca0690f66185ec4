/* SPDX-License-Identifier: BSD-3-Clause */
/* Media datagrams of the WZP protocol, and the frames that trunk them. */
#include "plm_wire.h"

int
plm_wzp_media_parse(const uint8_t *buf, size_t len, struct plm_wzp_media *media)
{
	struct plm_cursor c = plm_cursor(buf, len);
	int ret = plm_wzp_media_check(buf, len);
	uint8_t first, second;

	if (ret < 0)
		return ret;
	first = plm_cursor_u8(&c);
	second = plm_cursor_u8(&c);
	*media = (struct plm_wzp_media){
		.version = first >> 7,
		.is_repair = (first & 0x40) != 0,
		.codec = first >> 2 & 0x0f,
		.has_report = plm_wzp_has_report(first),
		.fec_ratio = (uint8_t)((first & 0x01) << 6 | second >> 2),
		.payload_len = len - PLM_WZP_HDR,
	};
	media->sequence = plm_cursor_be16(&c);
	media->timestamp = plm_cursor_be32(&c);
	media->block = plm_cursor_u8(&c);
	media->symbol = plm_cursor_u8(&c);
	media->reserved = plm_cursor_u8(&c);
	media->csrc = plm_cursor_u8(&c);
	if (media->has_report) {
		media->payload_len -= PLM_WZP_REPORT;
		memcpy(media->report, buf + len - PLM_WZP_REPORT, PLM_WZP_REPORT);
	}
	return 0;
}

int
plm_wzp_media_build(uint8_t *buf, size_t size, const struct plm_wzp_media *media,
		const void *payload)
{
	const size_t rest = media->has_report ? PLM_WZP_REPORT : 0;

	if (media->version > 1 || media->codec > PLM_WZP_CODEC_AUDIO_MAX || media->fec_ratio > 0x7f)
		return -EINVAL;
	if (size < PLM_WZP_HDR + rest || media->payload_len > size - PLM_WZP_HDR - rest)
		return -ENOSPC;
	buf[0] = (uint8_t)(media->version << 7 | media->is_repair << 6 | media->codec << 2 |
			media->has_report << 1 | media->fec_ratio >> 6);
	buf[1] = (uint8_t)(media->fec_ratio << 2);
	buf[2] = (uint8_t)(media->sequence >> 8);
	buf[3] = (uint8_t)media->sequence;
	for (unsigned int i = 0; i < 4; i++)
		buf[4 + i] = (uint8_t)(media->timestamp >> (24 - 8 * i));
	buf[8] = media->block;
	buf[9] = media->symbol;
	buf[10] = media->reserved;
	buf[11] = media->csrc;
	if (payload != NULL && media->payload_len > 0)
		memcpy(buf + PLM_WZP_HDR, payload, media->payload_len);
	memcpy(buf + PLM_WZP_HDR + media->payload_len, media->report, rest);
	return (int)(PLM_WZP_HDR + media->payload_len + rest);
}

bool
plm_wzp_is_trunk(const uint8_t *buf, size_t len)
{
	struct plm_cursor c = plm_cursor(buf, len);
	unsigned int n;

	if (plm_cursor_left(&c) < 2)
		return false;
	n = plm_cursor_be16(&c);
	if (n == 0 || n > PLM_WZP_TRUNK_MAX)
		return false;
	for (; n > 0; n--) {
		uint16_t size;

		if (plm_cursor_left(&c) < 4)
			return false;
		plm_cursor_be16(&c); /* the session */
		size = plm_cursor_be16(&c);
		if (size < PLM_WZP_HDR || plm_cursor_left(&c) < size)
			return false;
		plm_cursor_bytes(&c, size);
	}
	return plm_cursor_left(&c) == 0;
}

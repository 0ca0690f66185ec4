/* SPDX-License-Identifier: BSD-3-Clause */
/* Media headers: what is read is written again, but for spare bits. Trunk frames: against a walk that
 * is written another way. */
#include "fuzz.h"
#include "plm_wire.h"

/* Entries counted from the front, by recursion. */
static bool
entries_fill(const uint8_t *buf, size_t len, unsigned int left)
{
	size_t size;

	if (left == 0)
		return len == 0;
	if (len < 16)
		return false;
	size = (size_t)buf[2] << 8 | buf[3];
	return size >= 12 && size <= len - 4 &&
			entries_fill(buf + 4 + size, len - 4 - size, left - 1);
}

static bool
is_trunk(const uint8_t *buf, size_t len)
{
	return len >= 18 && buf[0] == 0 && buf[1] >= 1 && buf[1] <= 64 &&
			entries_fill(buf + 2, len - 2, buf[1]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	static uint8_t again[64 * 1024];
	struct plm_wzp_media before, media;
	int ret;

	if (len > sizeof(again))
		return 0;
	FUZZ_CHECK(plm_wzp_is_trunk(buf, len) == is_trunk(buf, len));
	memset(&before, 0x5a, sizeof(before));
	memcpy(&media, &before, sizeof(media));
	ret = plm_wzp_media_parse(buf, len, &media);
	FUZZ_CHECK(ret == plm_wzp_media_check(buf, len));
	if (ret < 0) {
		FUZZ_CHECK(memcmp(&media, &before, sizeof(media)) == 0);
		return 0;
	}
	/* A trunk frame is media, too: it goes on. */
	FUZZ_CHECK(plm_wzp_is_audio(buf, len) == !media.is_repair);
	FUZZ_CHECK(plm_wzp_media_build(again, len - 1, &media, buf + PLM_WZP_HDR) == -ENOSPC);
	FUZZ_CHECK(plm_wzp_media_build(again, sizeof(again), &media, buf + PLM_WZP_HDR) ==
			(int)len);
	FUZZ_CHECK(again[0] == buf[0]);
	FUZZ_CHECK(again[1] == (buf[1] & 0xfc));
	FUZZ_CHECK(memcmp(again + 2, buf + 2, len - 2) == 0);
	return 0;
}

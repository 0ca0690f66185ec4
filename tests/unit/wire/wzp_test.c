/* SPDX-License-Identifier: BSD-3-Clause */
/* Media headers of the WZP protocol and trunk frames: the specification's §4.10, and what is no media. */
#include <stdlib.h>

#include <rte_common.h>

#include "plm_wire.h"
#include "test_eal.h"

#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

static const struct {
	const char *name;
	const uint8_t *bytes;
	size_t len;
	struct plm_wzp_media media;
} packets[] = {
	{ "Opus24k",
			BYTES(0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x8c, 0x00, 0x00, 0x00,
					0x00, 0xde, 0xad, 0xbe, 0xef),
			{ .sequence = 7, .timestamp = 140, .payload_len = 4 } },
	{ "Opus24k with a report",
			BYTES(0x02, 0x00, 0x00, 0x39, 0x00, 0x00, 0x04, 0x74, 0x00, 0x00, 0x00,
					0x00, 0xde, 0xad, 0xbe, 0xef, 0x19, 0x19, 0x14, 0xc8),
			{ .has_report = true,
					.sequence = 57,
					.timestamp = 1140,
					.payload_len = 4,
					.report = { 25, 25, 20, 200 } } },
	{ "Opus6k",
			BYTES(0x08, 0x00, 0x12, 0x34, 0x01, 0x02, 0x03, 0x04, 0x00, 0x00, 0x00,
					0x00, 0xaa),
			{ .codec = 2,
					.sequence = 0x1234,
					.timestamp = 0x01020304,
					.payload_len = 1 } },
	{ "Opus64k",
			BYTES(0x20, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00,
					0x00, 0xaa),
			{ .codec = 8, .sequence = 1, .timestamp = 20, .payload_len = 1 } },
	{ "comfort noise",
			BYTES(0x14, 0x00, 0x00, 0x09, 0x00, 0x00, 0x01, 0x90, 0x00, 0x00, 0x00,
					0x00, 0x32),
			{ .codec = 5, .sequence = 9, .timestamp = 400, .payload_len = 1 } },
	{ "Codec2_1200, ratio 1.0",
			BYTES(0x11, 0x00, 0x00, 0x64, 0x00, 0x00, 0x0f, 0xa0, 0x0c, 0x03, 0x00,
					0x00, 1, 2, 3, 4, 5, 6),
			{ .codec = 4,
					.fec_ratio = 64,
					.sequence = 100,
					.timestamp = 4000,
					.block = 12,
					.symbol = 3,
					.payload_len = 6 } },
	{ "Codec2_1200, repair",
			BYTES(0x51, 0x00, 0x00, 0x6c, 0x00, 0x00, 0x10, 0xe0, 0x0c, 0x08, 0x00,
					0x00),
			{ .is_repair = true,
					.codec = 4,
					.fec_ratio = 64,
					.sequence = 108,
					.timestamp = 4320,
					.block = 12,
					.symbol = 8 } },
	{ "all of a header, with a report of zeros",
			BYTES(0x02, 0xa8, 0x30, 0x39, 0x00, 0x0f, 0x12, 0x06, 0x07, 0x03, 0x00,
					0x00, 0, 0, 0, 0),
			{ .has_report = true,
					.fec_ratio = 42,
					.sequence = 12345,
					.timestamp = 987654,
					.block = 7,
					.symbol = 3 } },
	{ "nearly all ones",
			BYTES(0x51, 0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					0x00),
			{ .is_repair = true,
					.codec = 4,
					.fec_ratio = 127,
					.sequence = 0xffff,
					.timestamp = 0xffffffff,
					.block = 0xff,
					.symbol = 0xff,
					.reserved = 0xff } },
	{ "version 1, CSRC count",
			BYTES(0x80, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0xff,
					0x07, 0xaa),
			{ .version = 1,
					.sequence = 1,
					.timestamp = 20,
					.reserved = 0xff,
					.csrc = 7,
					.payload_len = 1 } },
};

static void
media__is_read_and_written_as_the_specification_has_it(void **state)
{
	for (size_t i = 0; i < RTE_DIM(packets); i++) {
		const uint8_t *bytes = packets[i].bytes;
		struct plm_wzp_media media;
		uint8_t buf[64];

		print_message("%s\n", packets[i].name);
		assert_int_equal(plm_wzp_media_parse(bytes, packets[i].len, &media), 0);
		assert_int_equal(media.version, packets[i].media.version);
		assert_int_equal(media.is_repair, packets[i].media.is_repair);
		assert_int_equal(media.codec, packets[i].media.codec);
		assert_int_equal(media.has_report, packets[i].media.has_report);
		assert_int_equal(media.fec_ratio, packets[i].media.fec_ratio);
		assert_int_equal(media.sequence, packets[i].media.sequence);
		assert_int_equal(media.timestamp, packets[i].media.timestamp);
		assert_int_equal(media.block, packets[i].media.block);
		assert_int_equal(media.symbol, packets[i].media.symbol);
		assert_int_equal(media.reserved, packets[i].media.reserved);
		assert_int_equal(media.csrc, packets[i].media.csrc);
		assert_int_equal(media.payload_len, packets[i].media.payload_len);
		assert_memory_equal(media.report, packets[i].media.report, PLM_WZP_REPORT);
		assert_int_equal(plm_wzp_media_build(buf, packets[i].len, &packets[i].media,
						 bytes + PLM_WZP_HDR),
				packets[i].len);
		assert_memory_equal(buf, bytes, packets[i].len);
		assert_int_equal(plm_wzp_media_build(buf, packets[i].len - 1, &packets[i].media,
						 bytes + PLM_WZP_HDR),
				-ENOSPC);
	}
}

/* The specification's example goes on as it came: nothing of ours writes it anew. */
static void
media_parse__does_not_look_at_spare_bits(void **state)
{
	static const uint8_t bytes[] = { 0x80, 0x03, 0, 1, 0, 0, 0, 0x14, 0, 0, 0xff, 0x07, 0xaa };
	struct plm_wzp_media media;

	assert_int_equal(plm_wzp_media_parse(bytes, sizeof(bytes), &media), 0);
	assert_int_equal(media.fec_ratio, 0);
	assert_int_equal(media.reserved, 0xff);
}

/* Each first byte, with each length that matters; misaligned, and nothing behind it. */
static void
media_parse__takes_what_the_original_takes(void **state)
{
	struct plm_wzp_media before, media;

	memset(&before, 0x5a, sizeof(before));
	for (unsigned int first = 0; first < 256; first++) {
		for (size_t len = 0; len <= 20; len++) {
			uint8_t *copy = calloc(1, len + 1);
			int want = 0;

			assert_non_null(copy);
			media = before;
			if (len > 0)
				copy[1] = (uint8_t)first;
			if (len < 12)
				want = -EMSGSIZE;
			else if ((first >> 2 & 15) > 8)
				want = -EPROTO;
			else if ((first & 2) != 0 && len < 16)
				want = -EMSGSIZE;
			assert_int_equal(plm_wzp_media_parse(copy + 1, len, &media), want);
			if (want < 0)
				assert_memory_equal(&media, &before, sizeof(media));
			else
				assert_int_equal(media.payload_len,
						len - 12 - ((first & 2) != 0 ? 4 : 0));
			free(copy);
		}
	}
}

static void
media_build__refuses_fields_out_of_range(void **state)
{
	static const struct plm_wzp_media bad[] = {
		{ .version = 2 },
		{ .codec = PLM_WZP_CODEC_AUDIO_MAX + 1 },
		{ .fec_ratio = 128 },
	};
	uint8_t buf[PLM_WZP_HDR];

	for (size_t i = 0; i < RTE_DIM(bad); i++)
		assert_int_equal(plm_wzp_media_build(buf, sizeof(buf), &bad[i], NULL), -EINVAL);
}

/* --- trunk frames --------------------------------------------------------------------------- */

/* `n` entries whose media is `size` bytes. */
static size_t
trunk(uint8_t *buf, unsigned int n, uint16_t size)
{
	size_t len = 2;

	buf[0] = (uint8_t)(n >> 8);
	buf[1] = (uint8_t)n;
	for (unsigned int i = 0; i < n; i++) {
		memset(buf + len, 0, 4u + size);
		buf[len + 1] = (uint8_t)i;
		buf[len + 2] = (uint8_t)(size >> 8);
		buf[len + 3] = (uint8_t)size;
		len += 4u + size;
	}
	return len;
}

static void
is_trunk__adds_up_exactly(void **state)
{
	uint8_t buf[2 + 70 * 20];

	for (unsigned int n = 0; n <= 70; n++) {
		size_t len = trunk(buf, n, 12);

		assert_int_equal(plm_wzp_is_trunk(buf, len), n >= 1 && n <= PLM_WZP_TRUNK_MAX);
		assert_false(plm_wzp_is_trunk(buf, len + 1));
		/* Every prefix, with nothing behind it. */
		for (size_t cut = n > 3 ? len - 20 : 0; cut < len; cut++) {
			uint8_t *copy = malloc(cut + 1);

			assert_non_null(copy);
			memcpy(copy, buf, cut);
			assert_false(plm_wzp_is_trunk(copy, cut));
			free(copy);
		}
	}
	assert_false(plm_wzp_is_trunk(buf, trunk(buf, 2, 11)));
	assert_true(plm_wzp_is_trunk(buf, trunk(buf, 2, 300)));
}

/* The example of §4.10, whose entries are no media. */
static void
is_trunk__wants_media_in_each_entry(void **state)
{
	static const uint8_t frame[] = { 0, 3, 0, 1, 0, 5, 'h', 'e', 'l', 'l', 'o', 0, 2, 0, 6, 'w',
		'o', 'r', 'l', 'd', '!', 1, 0, 0, 1, 'x' };

	assert_false(plm_wzp_is_trunk(frame, sizeof(frame)));
}

/* Compact frames (§4.5) have no place on the wire: they are what their first bytes say. */
static void
media_parse__knows_no_compact_frames(void **state)
{
	static const uint8_t full[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xde, 0xad };
	static const uint8_t mini[] = { 1, 0, 0x14, 0, 2, 0xde, 0xad };
	struct plm_wzp_media media;

	assert_int_equal(plm_wzp_media_parse(full, sizeof(full), &media), 0);
	assert_int_equal(media.payload_len, 3);
	assert_int_equal(plm_wzp_media_parse(mini, sizeof(mini), &media), -EMSGSIZE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(media__is_read_and_written_as_the_specification_has_it),
		cmocka_unit_test(media_parse__does_not_look_at_spare_bits),
		cmocka_unit_test(media_parse__takes_what_the_original_takes),
		cmocka_unit_test(media_build__refuses_fields_out_of_range),
		cmocka_unit_test(media_parse__knows_no_compact_frames),
		cmocka_unit_test(is_trunk__adds_up_exactly),
		cmocka_unit_test(is_trunk__wants_media_in_each_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

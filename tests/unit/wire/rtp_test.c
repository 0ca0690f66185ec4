/* SPDX-License-Identifier: BSD-3-Clause */
/* First byte and RTP header. */
#include <errno.h>
#include <stdlib.h>

#include "plm_wire.h"
#include "test_eal.h"

static void
classify__follows_rfc_7983(void **state)
{
	for (unsigned int b0 = 0; b0 < 256; b0++) {
		for (unsigned int b1 = 0; b1 < 256; b1++) {
			const uint8_t p[2] = { (uint8_t)b0, (uint8_t)b1 };
			enum plm_proto want = PLM_PROTO_NONE;

			if (b0 <= 3)
				want = PLM_PROTO_STUN;
			else if (b0 >= 20 && b0 <= 63)
				want = PLM_PROTO_DTLS;
			else if (b0 >= 64 && b0 <= 127)
				want = PLM_PROTO_QUIC_SHORT;
			else if (b0 >= 192)
				want = PLM_PROTO_QUIC_LONG;
			else if (b0 >= 128)
				want = b1 >= 192 && b1 <= 223 ? PLM_PROTO_RTCP : PLM_PROTO_RTP;
			assert_int_equal(plm_wire_classify(p, 2), want);
		}
	}
	assert_int_equal(plm_wire_classify((const uint8_t[]){ 0x80 }, 1), PLM_PROTO_RTP);
}

/* Two CSRCs, an extension of one word, marker. */
static const uint8_t full[] = {
	0x92,
	0xe0,
	0x12,
	0x34,
	0x01,
	0x02,
	0x03,
	0x04,
	0xca,
	0xfe,
	0xba,
	0xbe, /**/
	0,
	0,
	0,
	1,
	0,
	0,
	0,
	2,
	0xbe,
	0xde,
	0,
	1,
	0x10,
	0xff,
	0,
	0,
	'p',
};

static void
rtp_parse__reads_all_fields(void **state)
{
	struct plm_rtp rtp;

	assert_int_equal(plm_rtp_parse(full, sizeof(full), &rtp), 0);
	assert_int_equal(rtp.ssrc, 0xcafebabe);
	assert_int_equal(rtp.timestamp, 0x01020304);
	assert_int_equal(rtp.seq, 0x1234);
	assert_int_equal(rtp.payload_type, 0x60);
	assert_true(rtp.marker);
	assert_int_equal(rtp.payload_off, 28);
}

static void
rtp_parse__refuses_every_prefix_of_a_header(void **state)
{
	struct plm_rtp before, rtp;

	memset(&before, 0x5a, sizeof(before));
	for (size_t len = 0; len <= sizeof(full); len++) {
		uint8_t *copy = malloc(len + 1);

		assert_non_null(copy);
		rtp = before;
		memcpy(copy + 1, full, len); /* misaligned, and nothing behind it */
		if (len < 28) {
			assert_int_equal(plm_rtp_parse(copy + 1, len, &rtp), -EMSGSIZE);
			assert_memory_equal(&rtp, &before, sizeof(rtp));
		} else {
			assert_int_equal(plm_rtp_parse(copy + 1, len, &rtp), 0);
		}
		free(copy);
	}
}

static void
rtp_parse__refuses_other_versions_and_huge_extensions(void **state)
{
	uint8_t buf[sizeof(full)];
	struct plm_rtp rtp;

	memcpy(buf, full, sizeof(buf));
	for (unsigned int version = 0; version < 4; version++) {
		buf[0] = (uint8_t)((full[0] & 0x3f) | version << 6);
		assert_int_equal(plm_rtp_parse(buf, sizeof(buf), &rtp), version == 2 ? 0 : -EPROTO);
	}
	buf[0] = full[0];
	buf[22] = 0xff;
	buf[23] = 0xff;
	assert_int_equal(plm_rtp_parse(buf, sizeof(buf), &rtp), -EMSGSIZE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classify__follows_rfc_7983),
		cmocka_unit_test(rtp_parse__reads_all_fields),
		cmocka_unit_test(rtp_parse__refuses_every_prefix_of_a_header),
		cmocka_unit_test(rtp_parse__refuses_other_versions_and_huge_extensions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* STUN: the vectors of RFC 5769, every truncation of them, lying attributes, what we build. */
#include <errno.h>
#include <stdlib.h>

#include "plm_crypto.h"
#include "plm_wire.h"
#include "test_eal.h"

#define TID 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae

static const uint8_t tid[PLM_STUN_TID] = { TID };
static const char password[] = "VOkJxbRl1RmTxUk/WvJxBt";

/* clang-format off */

/* RFC 5769 §2.1 */
static const uint8_t request[] = {
	0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, TID,
	0x80, 0x22, 0x00, 0x10, /* SOFTWARE */
	'S', 'T', 'U', 'N', ' ', 't', 'e', 's', 't', ' ', 'c', 'l', 'i', 'e', 'n', 't',
	0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff, /* PRIORITY */
	0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36, /* CONTROLLED */
	0x00, 0x06, 0x00, 0x09, 'e', 'v', 't', 'j', ':', 'h', '6', 'v', 'Y', ' ', ' ', ' ',
	0x00, 0x08, 0x00, 0x14, /* MESSAGE-INTEGRITY */
	0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e,
	0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49, 0xc1, 0xb5, 0x71, 0xa2,
	0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf, /* FINGERPRINT */
};

/* RFC 5769 §2.2 */
static const uint8_t response_v4[] = {
	0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, TID,
	0x80, 0x22, 0x00, 0x0b, 't', 'e', 's', 't', ' ', 'v', 'e', 'c', 't', 'o', 'r', ' ',
	0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43, /* XOR-MAPPED */
	0x00, 0x08, 0x00, 0x14,
	0x2b, 0x91, 0xf5, 0x99, 0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74,
	0x89, 0xf9, 0x2a, 0xf9, 0xba, 0x53, 0xf0, 0x6b, 0xe7, 0xd7,
	0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96,
};

/* RFC 5769 §2.3 */
static const uint8_t response_v6[] = {
	0x01, 0x01, 0x00, 0x48, 0x21, 0x12, 0xa4, 0x42, TID,
	0x80, 0x22, 0x00, 0x0b, 't', 'e', 's', 't', ' ', 'v', 'e', 'c', 't', 'o', 'r', ' ',
	0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa,
	0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9,
	0x00, 0x08, 0x00, 0x14,
	0xa3, 0x82, 0x95, 0x4e, 0x4b, 0xe6, 0x7b, 0xf1, 0x17, 0x84,
	0xc9, 0x7c, 0x82, 0x92, 0xc2, 0x75, 0xbf, 0xe3, 0xed, 0x41,
	0x80, 0x28, 0x00, 0x04, 0xc8, 0xfb, 0x0b, 0x4c,
};

/* clang-format on */

static const uint8_t addr_v4[] = { 192, 0, 2, 1 };
static const uint8_t addr_v6[] = { 0x20, 0x01, 0x0d, 0xb8, 0x12, 0x34, 0x56, 0x78, 0x00, 0x11, 0x22,
	0x33, 0x44, 0x55, 0x66, 0x77 };

static bool
integrity_right(const uint8_t *buf, const struct plm_stun *msg, const char *pwd, size_t pwd_len)
{
	struct plm_hmac *hmac = plm_hmac_create();
	uint8_t hdr[PLM_STUN_HDR];
	uint8_t mac[PLM_SHA1_SIZE];

	assert_non_null(hmac);
	plm_stun_integrity_hdr(buf, msg, hdr);
	assert_int_equal(plm_hmac_sha1(hmac, pwd, pwd_len, hdr, sizeof(hdr), buf + PLM_STUN_HDR,
					 msg->integrity_off - PLM_STUN_HDR, mac),
			0);
	plm_hmac_free(hmac);
	return plm_crypto_equal(mac, msg->integrity, sizeof(mac));
}

static void
stun_parse__reads_the_rfc_5769_request(void **state)
{
	struct plm_stun msg;

	assert_int_equal(plm_stun_parse(request, sizeof(request), &msg), 0);
	assert_int_equal(msg.class, PLM_STUN_REQUEST);
	assert_int_equal(msg.method, PLM_STUN_BINDING);
	assert_memory_equal(msg.tid, tid, PLM_STUN_TID);
	assert_int_equal(msg.username_len, 9);
	assert_memory_equal(msg.username, "evtj:h6vY", 9);
	assert_true(msg.has_priority);
	assert_int_equal(msg.priority, 0x6e0001ff);
	assert_true(msg.controlled);
	assert_false(msg.controlling);
	assert_int_equal(msg.tie_breaker, UINT64_C(0x932ff9b151263b36));
	assert_false(msg.use_candidate);
	assert_true(msg.has_fingerprint);
	assert_int_equal(msg.nb_unknown, 0);
	assert_true(integrity_right(request, &msg, password, strlen(password)));
	assert_false(integrity_right(request, &msg, password, strlen(password) - 1));
}

static void
stun_parse__reads_the_rfc_5769_responses(void **state)
{
	struct plm_stun msg;

	assert_int_equal(plm_stun_parse(response_v4, sizeof(response_v4), &msg), 0);
	assert_int_equal(msg.class, PLM_STUN_SUCCESS);
	assert_int_equal(msg.mapped_len, 8);
	assert_true(msg.has_fingerprint);
	assert_true(integrity_right(response_v4, &msg, password, strlen(password)));

	assert_int_equal(plm_stun_parse(response_v6, sizeof(response_v6), &msg), 0);
	assert_int_equal(msg.class, PLM_STUN_SUCCESS);
	assert_int_equal(msg.mapped_len, 20);
	assert_true(msg.has_fingerprint);
	assert_true(integrity_right(response_v6, &msg, password, strlen(password)));
}

/* In memory of its own exact size, so that a sanitizer sees one byte too many. */
static int
parse_exactly(const uint8_t *buf, size_t len, struct plm_stun *msg)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	int ret;

	assert_non_null(copy);
	if (len > 0)
		memcpy(copy, buf, len);
	ret = plm_stun_parse(copy, len, msg);
	free(copy);
	return ret;
}

static void
stun_parse__refuses_every_prefix(void **state)
{
	struct plm_stun before, msg;
	uint8_t buf[sizeof(request)];

	memset(&before, 0x5a, sizeof(before));
	msg = before;
	for (size_t len = 0; len < sizeof(request); len++)
		assert_int_equal(parse_exactly(request, len, &msg), -EMSGSIZE);

	/* The same with a header that tells the truth about the length: only where the attributes
	 * happen to end is there a message. */
	memcpy(buf, request, sizeof(buf));
	for (size_t len = PLM_STUN_HDR; len < sizeof(buf); len++) {
		struct plm_stun fresh = before;
		int ret;

		buf[2] = 0;
		buf[3] = (uint8_t)(len - PLM_STUN_HDR);
		ret = parse_exactly(buf, len, &fresh);
		if (len == 20 || len == 40 || len == 48 || len == 60 || len == 76 || len == 100) {
			assert_int_equal(ret, 0);
			continue;
		}
		assert_int_equal(ret, len % 4 != 0 ? -EMSGSIZE : -EBADMSG);
		assert_memory_equal(&fresh, &before, sizeof(before));
	}
	assert_memory_equal(&msg, &before, sizeof(before));
}

static void
stun_parse__notices_every_flipped_bit(void **state)
{
	uint8_t buf[sizeof(request)];

	for (size_t bit = 0; bit < 8 * sizeof(request); bit++) {
		struct plm_stun msg;

		memcpy(buf, request, sizeof(buf));
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		/* A longer attribute may swallow the fingerprint, or its type may change: then there
		 * is none. One that is there is right. */
		if (parse_exactly(buf, sizeof(buf), &msg) == 0)
			assert_false(msg.has_fingerprint);
	}
}

/* A message of one attribute, or two. */
static const struct {
	const char *name;
	uint8_t attrs[32];
	uint8_t len;
	int want;
} attr_cases[] = {
	{ "none", { 0 }, 0, 0 },
	{ "half an attribute header", { 0, 6 }, 2, -EMSGSIZE },
	{ "value beyond the end", { 0, 6, 0, 5, 'a', 'b', 'c', 'd' }, 8, -EBADMSG },
	{ "padding missing", { 0, 6, 0, 1 }, 4, -EBADMSG },
	{ "length 65535", { 0x80, 0x22, 0xff, 0xff, 0, 0, 0, 0 }, 8, -EBADMSG },
	{ "empty user name", { 0, 6, 0, 0 }, 4, 0 },
	{ "priority of 2 bytes", { 0, 0x24, 0, 2, 0, 0, 0, 0 }, 8, -EBADMSG },
	{ "use-candidate with a value", { 0, 0x25, 0, 1, 0, 0, 0, 0 }, 8, -EBADMSG },
	{ "controlling of 4 bytes", { 0x80, 0x2a, 0, 4, 0, 0, 0, 0 }, 8, -EBADMSG },
	{ "integrity of 4 bytes", { 0, 8, 0, 4, 0, 0, 0, 0 }, 8, -EBADMSG },
	{ "error without a code", { 0, 9, 0, 0 }, 4, -EBADMSG },
	{ "error code 200", { 0, 9, 0, 4, 0, 0, 2, 0 }, 8, -EBADMSG },
	{ "error code 4100", { 0, 9, 0, 4, 0, 0, 4, 100 }, 8, -EBADMSG },
	{ "error code 487", { 0, 9, 0, 4, 0, 0, 4, 87 }, 8, 0 },
	{ "mapped IPv6 of IPv4 size", { 0, 0x20, 0, 8, 0, 2, 0, 0, 1, 2, 3, 4 }, 12, -EBADMSG },
	{ "wrong fingerprint", { 0x80, 0x28, 0, 4, 0, 0, 0, 0 }, 8, -EBADMSG },
	{ "fingerprint not last", { 0x80, 0x28, 0, 4, 0, 0, 0, 0, 0x80, 0x22, 0, 0 }, 12,
			-EBADMSG },
	{ "unknown, optional", { 0xc0, 0x57, 0, 4, 0, 0, 0, 0 }, 8, 0 },
};

static void
stun_parse__checks_attributes(void **state)
{
	for (size_t i = 0; i < RTE_DIM(attr_cases); i++) {
		uint8_t buf[PLM_STUN_HDR + sizeof(attr_cases[0].attrs)];
		struct plm_stun msg;

		memcpy(buf, request, PLM_STUN_HDR);
		buf[3] = attr_cases[i].len;
		memcpy(buf + PLM_STUN_HDR, attr_cases[i].attrs, attr_cases[i].len);
		if (parse_exactly(buf, PLM_STUN_HDR + attr_cases[i].len, &msg) !=
				attr_cases[i].want)
			fail_msg("%s", attr_cases[i].name);
	}
}

static void
stun_parse__wants_cookie_and_length(void **state)
{
	struct plm_stun msg;
	uint8_t buf[sizeof(request) + 4] = { 0 };

	memcpy(buf, request, sizeof(request));
	assert_int_equal(parse_exactly(buf, sizeof(buf), &msg), -EMSGSIZE);
	buf[4] ^= 1;
	assert_int_equal(parse_exactly(buf, sizeof(request), &msg), -EPROTO);
	buf[4] ^= 1;
	buf[0] = 0x40;
	assert_int_equal(parse_exactly(buf, sizeof(request), &msg), -EPROTO);
}

static void
stun_parse__keeps_four_unknown_mandatory_attributes(void **state)
{
	uint8_t buf[PLM_STUN_HDR + 6 * 4 + 24 + 4];
	struct plm_stun_out out;
	struct plm_stun msg;
	size_t len;

	plm_stun_begin(&out, buf, sizeof(buf), PLM_STUN_REQUEST, PLM_STUN_BINDING, tid);
	plm_stun_add_bytes(&out, 0x7001, NULL, 0);
	plm_stun_add_bytes(&out, 0x7001, NULL, 0);
	for (uint16_t i = 2; i < 6; i++)
		plm_stun_add_bytes(&out, 0x7000 + i, NULL, 0);
	len = out.len;
	buf[3] = (uint8_t)(len - PLM_STUN_HDR);
	assert_int_equal(plm_stun_parse(buf, len, &msg), 0);
	assert_int_equal(msg.nb_unknown, 4);
	for (uint16_t i = 0; i < 4; i++)
		assert_int_equal(msg.unknown[i], 0x7001 + i);
}

static void
stun_parse__ignores_what_follows_the_integrity(void **state)
{
	uint8_t buf[128];
	uint8_t mac[20] = { 0 };
	struct plm_stun_out out;
	struct plm_stun msg;
	size_t len;

	plm_stun_begin(&out, buf, sizeof(buf), PLM_STUN_REQUEST, PLM_STUN_BINDING, tid);
	plm_stun_add_u32(&out, PLM_STUN_ATTR_PRIORITY, 7);
	plm_stun_prepare_integrity(&out);
	plm_stun_add_integrity(&out, mac);
	plm_stun_add_bytes(&out, PLM_STUN_ATTR_USE_CANDIDATE, NULL, 0);
	plm_stun_add_bytes(&out, PLM_STUN_ATTR_USERNAME, "x", 1);
	plm_stun_add_bytes(&out, 0x7fff, NULL, 0);
	len = plm_stun_finish(&out);
	assert_int_equal(plm_stun_parse(buf, len, &msg), 0);
	assert_int_equal(msg.priority, 7);
	assert_false(msg.use_candidate);
	assert_null(msg.username);
	assert_int_equal(msg.nb_unknown, 0);
	assert_int_equal(msg.integrity_off, PLM_STUN_HDR + 8);
	assert_true(msg.has_fingerprint);
}

static void
stun_parse__takes_the_first_of_equal_attributes(void **state)
{
	uint8_t buf[128];
	struct plm_stun_out out;
	struct plm_stun msg;
	size_t len;

	plm_stun_begin(&out, buf, sizeof(buf), PLM_STUN_REQUEST, PLM_STUN_BINDING, tid);
	plm_stun_add_u32(&out, PLM_STUN_ATTR_PRIORITY, 1);
	plm_stun_add_u32(&out, PLM_STUN_ATTR_PRIORITY, 2);
	plm_stun_add_bytes(&out, PLM_STUN_ATTR_USERNAME, "a", 1);
	plm_stun_add_bytes(&out, PLM_STUN_ATTR_USERNAME, "bb", 2);
	len = plm_stun_finish(&out);
	assert_int_equal(plm_stun_parse(buf, len, &msg), 0);
	assert_int_equal(msg.priority, 1);
	assert_int_equal(msg.username_len, 1);
	assert_memory_equal(msg.username, "a", 1);
}

static void
stun_build__makes_what_rfc_5769_holds(void **state)
{
	struct plm_hmac *hmac = plm_hmac_create();

	assert_non_null(hmac);
	for (int v6 = 0; v6 < 2; v6++) {
		struct plm_stun_out out;
		struct plm_stun msg;
		uint8_t buf[128];
		uint8_t mac[PLM_SHA1_SIZE];
		size_t len;
		const uint8_t *want = v6 ? response_v6 : response_v4;

		plm_stun_begin(&out, buf, sizeof(buf), PLM_STUN_SUCCESS, PLM_STUN_BINDING, tid);
		plm_stun_add_bytes(&out, PLM_STUN_ATTR_SOFTWARE, "test vector", 11);
		plm_stun_add_xor_mapped(&out, v6 ? addr_v6 : addr_v4, v6, rte_cpu_to_be_16(32853));
		/* The vectors pad with a space, we with zero (RFC 8489 §14). */
		buf[35] = ' ';
		plm_stun_prepare_integrity(&out);
		assert_int_equal(plm_hmac_sha1(hmac, password, strlen(password), buf, out.len, NULL,
						 0, mac),
				0);
		plm_stun_add_integrity(&out, mac);
		len = plm_stun_finish(&out);
		assert_int_equal(len, v6 ? sizeof(response_v6) : sizeof(response_v4));
		assert_memory_equal(buf, want, len);
		assert_int_equal(plm_stun_parse(buf, len, &msg), 0);
	}
	plm_hmac_free(hmac);
}

static void
stun_build__carries_class_and_method(void **state)
{
	for (unsigned int class = 0; class < 4; class ++) {
		for (unsigned int method = 0; method < 0x1000; method++) {
			uint8_t buf[32];
			struct plm_stun_out out;
			struct plm_stun msg;
			size_t len;

			plm_stun_begin(&out, buf, sizeof(buf), class, (uint16_t)method, tid);
			len = plm_stun_finish(&out);
			assert_int_equal(plm_stun_parse(buf, len, &msg), 0);
			assert_int_equal(msg.class, class);
			assert_int_equal(msg.method, method);
		}
	}
}

/* Everything an answer may hold. */
static size_t
build_all(uint8_t *buf, size_t size)
{
	static const uint16_t unknown[] = { 0x7001, 0x7002, 0x7003 };
	static const uint8_t mac[20];
	struct plm_stun_out out;

	plm_stun_begin(&out, buf, size, PLM_STUN_ERROR, PLM_STUN_BINDING, tid);
	plm_stun_add_error(&out, 420, "Unknown");
	plm_stun_add_unknown(&out, unknown, RTE_DIM(unknown));
	plm_stun_add_xor_mapped(&out, addr_v6, true, 1);
	plm_stun_add_u64(&out, PLM_STUN_ATTR_CONTROLLING, UINT64_C(0x0102030405060708));
	plm_stun_prepare_integrity(&out);
	plm_stun_add_integrity(&out, mac);
	return plm_stun_finish(&out);
}

static void
stun_build__gives_up_when_it_does_not_fit(void **state)
{
	uint8_t full[256];
	size_t len = build_all(full, sizeof(full));
	struct plm_stun msg;

	assert_int_not_equal(len, 0);
	assert_int_equal(plm_stun_parse(full, len, &msg), 0);
	assert_int_equal(msg.error_code, 420);
	assert_int_equal(msg.tie_breaker, UINT64_C(0x0102030405060708));
	for (size_t size = 0; size < len; size++) {
		uint8_t *buf = malloc(size > 0 ? size : 1);

		assert_non_null(buf);
		assert_int_equal(build_all(buf, size), 0);
		free(buf);
	}
	assert_int_equal(build_all(full, len), len);
}

static void
crc32__has_its_check_value(void **state)
{
	uint8_t buf[64];

	assert_int_equal(plm_wire_crc32("", 0), 0);
	assert_int_equal(plm_wire_crc32("123456789", 9), 0xcbf43926);
	/* Bit by bit, at every length around the step of eight and every alignment. */
	for (unsigned int i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 37 + 11);
	for (size_t off = 0; off < 8; off++) {
		for (size_t len = 0; len <= 40; len++) {
			uint32_t crc = UINT32_MAX;

			for (size_t i = 0; i < len; i++) {
				crc ^= buf[off + i];
				for (int b = 0; b < 8; b++)
					crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
			}
			assert_int_equal(plm_wire_crc32(buf + off, len), ~crc);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stun_parse__reads_the_rfc_5769_request),
		cmocka_unit_test(stun_parse__reads_the_rfc_5769_responses),
		cmocka_unit_test(stun_parse__refuses_every_prefix),
		cmocka_unit_test(stun_parse__notices_every_flipped_bit),
		cmocka_unit_test(stun_parse__checks_attributes),
		cmocka_unit_test(stun_parse__wants_cookie_and_length),
		cmocka_unit_test(stun_parse__keeps_four_unknown_mandatory_attributes),
		cmocka_unit_test(stun_parse__ignores_what_follows_the_integrity),
		cmocka_unit_test(stun_parse__takes_the_first_of_equal_attributes),
		cmocka_unit_test(stun_build__makes_what_rfc_5769_holds),
		cmocka_unit_test(stun_build__carries_class_and_method),
		cmocka_unit_test(stun_build__gives_up_when_it_does_not_fit),
		cmocka_unit_test(crc32__has_its_check_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

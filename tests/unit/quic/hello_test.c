/* SPDX-License-Identifier: BSD-3-Clause */
/* What is read of a ClientHello, and what is not taken for one. */
#include <stdlib.h>

#include <rte_common.h>

#include "initial_priv.h"
#include "test_eal.h"

struct hello {
	uint8_t buf[PLM_INITIAL_HELLO_MAX];
	size_t len;
};

static void
put(struct hello *h, const void *bytes, size_t len)
{
	assert_true(h->len + len <= sizeof(h->buf));
	memcpy(h->buf + h->len, bytes, len);
	h->len += len;
}

static void
put_be16(struct hello *h, size_t v)
{
	uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	put(h, b, sizeof(b));
}

/* A good beginning; extensions follow, then close_hello(). */
static void
open_hello(struct hello *h)
{
	static const uint8_t begin[] = { 1, 0, 0, 0, 3, 3, [38] = 0, 0, 4, 0x13, 1, 0x13, 2, 1, 0 };

	h->len = 0;
	put(h, begin, sizeof(begin));
	put_be16(h, 0);
}

#define EXTS_AT 49

static void
close_hello(struct hello *h)
{
	size_t body = h->len - 4, exts = h->len - EXTS_AT;

	h->buf[2] = (uint8_t)(body >> 8);
	h->buf[3] = (uint8_t)body;
	h->buf[EXTS_AT - 2] = (uint8_t)(exts >> 8);
	h->buf[EXTS_AT - 1] = (uint8_t)exts;
}

static void
put_ext(struct hello *h, uint16_t type, const void *bytes, size_t len)
{
	put_be16(h, type);
	put_be16(h, len);
	put(h, bytes, len);
}

static void
put_name(struct hello *h, const char *name, size_t len)
{
	put_be16(h, 0);
	put_be16(h, len + 5);
	put_be16(h, len + 3);
	put(h, "", 1);
	put_be16(h, len);
	put(h, name, len);
}

static enum plm_initial_result
read_bytes(const uint8_t *buf, size_t len, struct plm_initial_flight *flight)
{
	struct initial_crypto *crypto = calloc(1, sizeof(*crypto));
	struct plm_initial_flight before;
	enum plm_initial_result ret;

	assert_non_null(crypto);
	crypto->end = (uint32_t)len;
	memcpy(crypto->buf, buf, len);
	memset(crypto->have, 1, len);
	memset(flight, 0x5a, sizeof(*flight));
	memcpy(&before, flight, sizeof(before));
	ret = initial_hello(crypto, flight);
	if (ret != PLM_INITIAL_READY)
		assert_memory_equal(flight, &before, sizeof(before));
	free(crypto);
	return ret;
}

static enum plm_initial_result
read_hello(struct hello *h, struct plm_initial_flight *flight)
{
	close_hello(h);
	return read_bytes(h->buf, h->len, flight);
}

static void
name__is_taken_as_it_stands(void **state)
{
	static const char long_name[256] = { [0 ... 254] = 'x' };
	static const struct {
		const char *name;
		const char *want; /* NULL: refused */
		size_t len;       /* 0: the text's */
		enum plm_initial_result ret;
	} cases[] = {
		{ "default", "default", 0, PLM_INITIAL_READY },
		{ "_federation", "_federation", 0, PLM_INITIAL_READY },
		{ "0123456789", "0123456789", 0, PLM_INITIAL_READY },
		{ "A_b-C.d", "A_b-C.d", 0, PLM_INITIAL_READY },
		{ "!~", "!~", 0, PLM_INITIAL_READY },
		{ "1.2.3", "1.2.3", 0, PLM_INITIAL_READY },
		{ "1.2.3.4", "", 0, PLM_INITIAL_READY },
		{ "1.2.3.4.5", "1.2.3.4.5", 0, PLM_INITIAL_READY },
		{ "::1", "", 0, PLM_INITIAL_READY },
		{ "[fd00::1]", "", 0, PLM_INITIAL_READY },
		{ "[room]", "[room]", 0, PLM_INITIAL_READY },
		{ "[]", "[]", 0, PLM_INITIAL_READY },
		{ "[", "[", 0, PLM_INITIAL_READY },
		{ long_name, long_name, 255, PLM_INITIAL_READY },
		{ long_name, NULL, 256, PLM_INITIAL_NAME },
		{ "a room", NULL, 0, PLM_INITIAL_NAME },
		{ "r\xc3\xb6om", NULL, 0, PLM_INITIAL_NAME },
		{ "a\0b", NULL, 3, PLM_INITIAL_NAME },
		{ "a\x7f", NULL, 0, PLM_INITIAL_NAME },
		{ "", NULL, 0, PLM_INITIAL_HELLO },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		size_t len = cases[i].len > 0 ? cases[i].len : strlen(cases[i].name);
		struct plm_initial_flight flight;
		struct hello h;

		print_message("  %.20s\n", cases[i].name);
		open_hello(&h);
		put_name(&h, cases[i].name, len);
		assert_int_equal(read_hello(&h, &flight), cases[i].ret);
		if (cases[i].want == NULL)
			continue;
		assert_true(flight.has_hello && !flight.has_wzp && !flight.has_tls13);
		assert_string_equal(flight.name, cases[i].want);
		assert_int_equal(flight.name_len, strlen(cases[i].want));
	}
}

static void
extension__is_read_or_refused(void **state)
{
#define E(bytes) bytes, sizeof(bytes) - 1
	static const struct {
		const char *name;
		const char *bytes;
		size_t len;
		uint16_t type;
		enum plm_initial_result ret;
		bool wzp;
		bool tls13;
	} cases[] = {
		{ "wzp alone", E("\0\4\3wzp"), 16, PLM_INITIAL_READY, true },
		{ "wzp behind another", E("\0\7\2h3\3wzp"), 16, PLM_INITIAL_READY, true },
		{ "in capitals", E("\0\4\3WZP"), 16, PLM_INITIAL_READY },
		{ "a longer one", E("\0\5\4wzpx"), 16, PLM_INITIAL_READY },
		{ "no protocol", E("\0\0"), 16, PLM_INITIAL_HELLO },
		{ "a protocol without a name", E("\0\1\0"), 16, PLM_INITIAL_HELLO },
		{ "a name cut", E("\0\4\4wzp"), 16, PLM_INITIAL_HELLO },
		{ "a list cut", E("\0\5\3wzp"), 16, PLM_INITIAL_HELLO },
		{ "more than the list", E("\0\4\3wzp\0"), 16, PLM_INITIAL_HELLO },
		{ "nothing at all", E(""), 16, PLM_INITIAL_HELLO },
		{ "TLS 1.3 alone", E("\2\3\4"), 43, PLM_INITIAL_READY, false, true },
		{ "TLS 1.3 behind grease", E("\6\x3a\x3a\3\4\3\3"), 43, PLM_INITIAL_READY, false,
				true },
		{ "TLS 1.2 alone", E("\2\3\3"), 43, PLM_INITIAL_READY },
		{ "half a version", E("\3\3\4\3"), 43, PLM_INITIAL_HELLO },
		{ "no version", E("\0"), 43, PLM_INITIAL_HELLO },
		{ "versions cut", E("\4\3\4"), 43, PLM_INITIAL_HELLO },
		{ "more than versions", E("\2\3\4\0"), 43, PLM_INITIAL_HELLO },
		{ "a name of another type", E("\0\4\1\0\1x"), 0, PLM_INITIAL_READY },
		{ "two names", E("\0\x8\0\0\1x\0\0\1y"), 0, PLM_INITIAL_HELLO },
		{ "a server's empty answer", E(""), 0, PLM_INITIAL_HELLO },
		{ "an empty list of names", E("\0\0"), 0, PLM_INITIAL_HELLO },
		{ "a name's list cut", E("\0\5\0\0\1x"), 0, PLM_INITIAL_HELLO },
		{ "a name's end cut", E("\0\4\0\0\2x"), 0, PLM_INITIAL_HELLO },
		{ "more than the names", E("\0\4\0\0\1xy"), 0, PLM_INITIAL_HELLO },
		{ "one that nobody knows", E("whatever"), 0x5a5a, PLM_INITIAL_READY },
	};
#undef E

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct plm_initial_flight flight;
		struct hello h;

		print_message("  %s\n", cases[i].name);
		open_hello(&h);
		put_ext(&h, cases[i].type, cases[i].bytes, cases[i].len);
		assert_int_equal(read_hello(&h, &flight), cases[i].ret);
		if (cases[i].ret == PLM_INITIAL_READY) {
			assert_int_equal(flight.has_wzp, cases[i].wzp);
			assert_int_equal(flight.has_tls13, cases[i].tls13);
			assert_string_equal(flight.name, "");
		}
	}
}

static void
full_hello(struct hello *h)
{
	open_hello(h);
	put_name(h, "room", 4);
	put_ext(h, 0x1a1a, "", 0);
	put_ext(h, 16, "\0\4\3wzp", 6);
	put_ext(h, 43, "\2\3\4", 3);
	close_hello(h);
}

static void
extension__comes_once(void **state)
{
	struct plm_initial_flight flight;
	struct hello h;

	full_hello(&h);
	assert_int_equal(read_bytes(h.buf, h.len + 1, &flight), PLM_INITIAL_HELLO);
	assert_int_equal(read_bytes(h.buf, h.len, &flight), PLM_INITIAL_READY);
	assert_true(flight.has_wzp && flight.has_tls13);
	assert_string_equal(flight.name, "room");
	for (unsigned int i = 0; i < 3; i++) {
		full_hello(&h);
		if (i == 0)
			put_name(&h, "room", 4);
		else if (i == 1)
			put_ext(&h, 16, "\0\4\3wzp", 6);
		else
			put_ext(&h, 43, "\2\3\4", 3);
		assert_int_equal(read_hello(&h, &flight), PLM_INITIAL_HELLO);
	}
}

static void
hello__cut_anywhere_is_waited_for_or_refused(void **state)
{
	struct plm_initial_flight flight;
	struct hello h;

	full_hello(&h);
	for (size_t len = 0; len < h.len; len++) {
		struct hello cut = h;

		/* The rest is still to come. */
		assert_int_equal(read_bytes(h.buf, len, &flight), PLM_INITIAL_WAIT);
		/* It says that this is all. */
		if (len < 4)
			continue;
		cut.buf[2] = (uint8_t)((len - 4) >> 8);
		cut.buf[3] = (uint8_t)(len - 4);
		assert_int_equal(read_bytes(cut.buf, len, &flight), PLM_INITIAL_HELLO);
		/* And so do the extensions. */
		if (len < EXTS_AT)
			continue;
		cut.len = len;
		switch (read_hello(&cut, &flight)) {
		case PLM_INITIAL_HELLO:
			break;
		case PLM_INITIAL_READY:
			/* Between two extensions. */
			assert_true(len == EXTS_AT || len == EXTS_AT + 13 || len == EXTS_AT + 17 ||
					len == EXTS_AT + 27);
			break;
		default:
			fail_msg("cut at %zu", len);
		}
	}
}

static void
hello__has_a_body_that_adds_up(void **state)
{
	static const struct {
		const char *name;
		uint16_t at;
		uint8_t value;
		enum plm_initial_result want;
	} cases[] = {
		{ "another message", 0, 2, PLM_INITIAL_HELLO },
		{ "a session id of 33 bytes", 38, 33, PLM_INITIAL_HELLO },
		{ "no cipher suite", 40, 0, PLM_INITIAL_HELLO },
		{ "half a cipher suite", 40, 3, PLM_INITIAL_HELLO },
		{ "more cipher suites than bytes", 39, 0x7f, PLM_INITIAL_HELLO },
		{ "no compression", 45, 0, PLM_INITIAL_HELLO },
		{ "extensions longer than the rest", EXTS_AT - 2, 1, PLM_INITIAL_HELLO },
		{ "65 536 bytes", 1, 1, PLM_INITIAL_HELLO_BIG },
		{ "4 096 bytes and its header", 2, 16, PLM_INITIAL_HELLO_BIG },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct plm_initial_flight flight;
		struct hello h;

		print_message("  %s\n", cases[i].name);
		full_hello(&h);
		h.buf[cases[i].at] = cases[i].value;
		assert_int_equal(read_bytes(h.buf, h.len, &flight), cases[i].want);
	}
}

static void
hello__as_big_as_it_may_be(void **state)
{
	static uint8_t pad[PLM_INITIAL_HELLO_MAX];
	struct plm_initial_flight flight;
	struct hello h;

	full_hello(&h);
	put_ext(&h, 21, pad, PLM_INITIAL_HELLO_MAX - h.len - 4);
	assert_int_equal(h.len, PLM_INITIAL_HELLO_MAX);
	assert_int_equal(read_hello(&h, &flight), PLM_INITIAL_READY);
	assert_string_equal(flight.name, "room");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name__is_taken_as_it_stands),
		cmocka_unit_test(extension__is_read_or_refused),
		cmocka_unit_test(extension__comes_once),
		cmocka_unit_test(hello__cut_anywhere_is_waited_for_or_refused),
		cmocka_unit_test(hello__has_a_body_that_adds_up),
		cmocka_unit_test(hello__as_big_as_it_may_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

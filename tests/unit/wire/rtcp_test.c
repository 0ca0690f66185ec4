/* SPDX-License-Identifier: BSD-3-Clause */
/* RTCP compounds: whom they name, what is malformed, what we build. */
#include <errno.h>
#include <stdlib.h>

#include "plm_wire.h"
#include "test_eal.h"

#define W(v)                    (uint8_t)((v) >> 24), (uint8_t)((v) >> 16), (uint8_t)((v) >> 8), (uint8_t)(v)
#define HDR(count, type, words) 0x80 | (count), (type), 0, (words)
#define ZERO_5                  W(0), W(0), W(0), W(0), W(0)
#define BLOCK(s)                W(s), ZERO_5
#define SDES                    HDR(1, PLM_RTCP_SDES, 3), W(0x11), 1, 4, 'a', '@', 'b', 'c', 0, 0

#define A 0xaaaaaaaau
#define B 0xbbbbbbbbu
#define C 0xccccccccu

static const struct {
	const char *name;
	uint8_t bytes[128];
	uint8_t len;
	int want;
	uint8_t first_type;
	bool has_bye;
	uint8_t nb_targets;
	uint32_t targets[4];
} cases[] = {
	{ "SR, no block, SDES", { HDR(0, 200, 6), W(0x11), ZERO_5, SDES }, 28 + 16, 0, 200, false,
			0, { 0 } },
	{ "SR, two blocks", { HDR(2, 200, 18), W(0x11), ZERO_5, BLOCK(A), BLOCK(B) }, 76, 0, 200,
			false, 2, { A, B } },
	{ "empty RR, SDES", { HDR(0, 201, 1), W(0x11), SDES }, 8 + 16, 0, 201, false, 0, { 0 } },
	{ "RR, one source twice", { HDR(2, 201, 13), W(0x11), BLOCK(A), BLOCK(A) }, 56, 0, 201,
			false, 1, { A } },
	{ "RR, profile extension", { HDR(1, 201, 8), W(0x11), BLOCK(A), W(B) }, 36, 0, 201, false,
			1, { A } },
	{ "RR lies about its blocks", { HDR(2, 201, 7), W(0x11), BLOCK(A) }, 32, -EMSGSIZE },
	{ "SR lies about its blocks", { HDR(1, 200, 6), W(0x11), ZERO_5 }, 28, -EMSGSIZE },
	{ "SR without sender info", { HDR(0, 200, 1), W(0x11) }, 8, -EMSGSIZE },
	{ "RR, SDES, NACK", { HDR(0, 201, 1), W(0x11), SDES, HDR(1, 205, 3), W(0x11), W(A), W(0) },
			8 + 16 + 16, 0, 201, false, 1, { A } },
	{ "transport-cc", { HDR(15, 205, 4), W(0x11), W(A), W(0), W(0) }, 20, 0, 205, false, 1,
			{ A } },
	{ "TMMBR", { HDR(3, 205, 6), W(0x11), W(0), W(A), W(0), W(B), W(0) }, 28, 0, 205, false, 2,
			{ A, B } },
	{ "PLI", { HDR(1, 206, 2), W(0x11), W(A) }, 12, 0, 206, false, 1, { A } },
	{ "PLI of nobody", { HDR(1, 206, 2), W(0x11), W(0) }, 12, 0, 206, false, 0, { 0 } },
	{ "PLI without media SSRC", { HDR(1, 206, 1), W(0x11) }, 8, -EMSGSIZE },
	{ "FIR of two", { HDR(4, 206, 6), W(0x11), W(0), W(A), W(0), W(B), W(0) }, 28, 0, 206,
			false, 2, { A, B } },
	{ "VBCM", { HDR(7, 206, 7), W(0x11), W(0), W(A), 1, 0, 0, 3, 1, 2, 3, 0, W(B), 1, 0, 0, 0 },
			32, 0, 206, false, 2, { A, B } },
	{ "VBCM beyond its end", { HDR(7, 206, 4), W(0x11), W(0), W(A), 1, 0, 0, 3 }, 20,
			-EMSGSIZE },
	{ "REMB of two",
			{ HDR(15, 206, 6), W(0x11), W(0), 'R', 'E', 'M', 'B', 2, 0, 1, 2, W(A),
					W(B) },
			28, 0, 206, false, 2, { A, B } },
	{ "REMB that lies",
			{ HDR(15, 206, 5), W(0x11), W(0), 'R', 'E', 'M', 'B', 2, 0, 1, 2, W(A) },
			24, -EMSGSIZE },
	{ "other application feedback",
			{ HDR(15, 206, 4), W(0x11), W(A), 'G', 'O', 'O', 'G', W(B) }, 20, 0, 206,
			false, 1, { A } },
	{ "XR: RRT, DLRR of two, statistics",
			{ HDR(0, 207, 15), W(0x11), 4, 0, 0, 2, W(0), W(0), 5, 0, 0, 6, W(A), W(1),
					W(2), W(B), W(3), W(4), 6, 0, 0, 2, W(C), W(0) },
			4 + 4 + 12 + 28 + 12, -EMSGSIZE },
	{ "XR: RRT, DLRR of two, statistics, right",
			{ HDR(0, 207, 14), W(0x11), 4, 0, 0, 2, W(0), W(0), 5, 0, 0, 6, W(A), W(1),
					W(2), W(B), W(3), W(4), 6, 0, 0, 2, W(C), W(0) },
			4 + 4 + 12 + 28 + 12, 0, 207, false, 3, { A, B, C } },
	{ "XR block beyond its packet", { HDR(0, 207, 2), W(0x11), 6, 0, 0, 9 }, 12, -EMSGSIZE },
	{ "XR statistics of nobody", { HDR(0, 207, 2), W(0x11), 6, 0, 0, 0 }, 12, -EMSGSIZE },
	{ "XR block unknown", { HDR(0, 207, 3), W(0x11), 99, 0, 0, 1, W(A) }, 16, 0, 207, false, 0,
			{ 0 } },
	{ "RR, BYE", { HDR(0, 201, 1), W(0x11), HDR(1, 203, 1), W(0x11) }, 16, 0, 201, true, 0,
			{ 0 } },
	{ "BYE with reason", { HDR(1, 203, 3), W(0x11), 4, 'l', 'e', 'f', 't', 0, 0, 0 }, 16, 0,
			203, true, 0, { 0 } },
	{ "BYE that lies", { HDR(3, 203, 1), W(0x11) }, 8, -EMSGSIZE },
	{ "BYE of nobody first", { HDR(0, 203, 0), HDR(0, 201, 1), W(0x11) }, 12, -EMSGSIZE },
	{ "APP of nobody", { HDR(0, 201, 1), W(0x11), HDR(0, 204, 0) }, 12, -EMSGSIZE },
	{ "SDES that lies", { HDR(0, 201, 1), W(0x11), HDR(1, 202, 0) }, 12, -EMSGSIZE },
	{ "APP", { HDR(0, 204, 2), W(0x11), 'n', 'a', 'm', 'e' }, 12, 0, 204, false, 0, { 0 } },
	{ "padding in the last", { 0xa0, 201, 0, 2, W(0x11), 0, 0, 0, 4 }, 12, 0, 201, false, 0,
			{ 0 } },
	{ "padding hides a block", { 0xa1, 201, 0, 7, W(0x11), BLOCK(A) }, 32, -EPROTO },
	{ "padding eats a block", { 0xa1, 201, 0, 7, W(0x11), W(A), W(0), W(0), W(0), W(0), W(24) },
			32, -EMSGSIZE },
	{ "padding before the last", { 0xa0, 201, 0, 2, W(0x11), 0, 0, 0, 4, SDES }, 28, -EPROTO },
	{ "padding of 3", { 0xa0, 201, 0, 2, W(0x11), 0, 0, 0, 3 }, 12, -EPROTO },
	{ "padding larger than the packet", { 0xa0, 201, 0, 2, W(0x11), 0, 0, 0, 12 }, 12,
			-EPROTO },
	{ "version 1", { 0x40, 201, 0, 1, W(0x11) }, 8, -EPROTO },
	{ "version 1 later", { HDR(0, 201, 1), W(0x11), 0x41, 203, 0, 1, W(0x11) }, 16, -EPROTO },
	{ "type 96", { HDR(0, 96, 1), W(0x11) }, 8, -EPROTO },
	{ "trailing bytes", { HDR(0, 201, 1), W(0x11), 0x80, 203 }, 10, -EMSGSIZE },
};

static void
rtcp_parse__finds_the_targets(void **state)
{
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct plm_rtcp before, rtcp;
		int ret;

		memset(&before, 0x5a, sizeof(before));
		rtcp = before;
		ret = plm_rtcp_parse(cases[i].bytes, cases[i].len, &rtcp);
		if (ret != cases[i].want)
			fail_msg("%s: %d", cases[i].name, ret);
		if (ret < 0) {
			assert_memory_equal(&rtcp, &before, sizeof(rtcp));
			continue;
		}
		if (rtcp.first_type != cases[i].first_type || rtcp.has_bye != cases[i].has_bye ||
				rtcp.nb_targets != cases[i].nb_targets ||
				rtcp.sender_ssrc != 0x11 ||
				memcmp(rtcp.targets, cases[i].targets,
						4 * (size_t)cases[i].nb_targets) != 0)
			fail_msg("%s", cases[i].name);
	}
}

/* A prefix is a compound only where one of its packets ends. */
static void
rtcp_parse__refuses_every_other_prefix(void **state)
{
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		size_t end = 0;

		if (cases[i].want != 0)
			continue;
		for (size_t len = 0; len < cases[i].len; len++) {
			uint8_t *copy = malloc(len + 1);
			struct plm_rtcp rtcp;
			int ret;

			assert_non_null(copy);
			memcpy(copy + 1, cases[i].bytes, len);
			ret = plm_rtcp_parse(copy + 1, len, &rtcp);
			free(copy);
			if (len == end + 4u * (cases[i].bytes[end + 3] + 1u))
				end = len;
			assert_int_equal(ret, len == end && len > 0 ? 0 : -EMSGSIZE);
		}
	}
}

static void
rtcp_parse__bounds_the_targets(void **state)
{
	uint8_t buf[8 + 4 + 4 * 255] = { HDR(15, 206, 0), W(0x11), W(0), 'R', 'E', 'M', 'B', 64 };
	struct plm_rtcp rtcp;

	for (unsigned int n = PLM_RTCP_TARGETS; n <= PLM_RTCP_TARGETS + 1; n++) {
		buf[3] = (uint8_t)(4 + n);
		buf[16] = (uint8_t)n;
		for (unsigned int i = 0; i < n; i++)
			buf[20 + 4 * i] = (uint8_t)(i + 1);
		assert_int_equal(plm_rtcp_parse(buf, 20 + 4 * (size_t)n, &rtcp),
				n == PLM_RTCP_TARGETS ? 0 : -EPROTO);
		assert_int_equal(rtcp.nb_targets, PLM_RTCP_TARGETS);
	}
}

static const struct {
	const char *name;
	uint8_t bytes[96];
	uint8_t len;
	uint8_t nb_sources;
	uint32_t sources[6];
} source_cases[] = {
	{ "the sender, once",
			{ HDR(0, 200, 6), W(0x11), ZERO_5, SDES, HDR(1, 206, 2), W(0x11), W(A) },
			28 + 16 + 12, 1, { 0x11 } },
	{ "two senders", { HDR(0, 200, 6), W(0x11), ZERO_5, HDR(0, 200, 6), W(B), ZERO_5 }, 56, 2,
			{ 0x11, B } },
	{ "senders of every type",
			{ HDR(0, 201, 1), W(0x11), HDR(1, 202, 2), W(1), W(0), HDR(0, 204, 2), W(2),
					'n', 'a', 'm', 'e', HDR(1, 205, 2), W(3), W(A),
					HDR(1, 206, 2), W(4), W(A), HDR(0, 207, 1), W(5) },
			8 + 12 + 12 + 12 + 12 + 8, 6, { 0x11, 1, 2, 3, 4, 5 } },
	{ "a BYE's, all of them", { HDR(0, 201, 1), W(0x11), HDR(3, 203, 3), W(A), W(0x11), W(B) },
			8 + 16, 3, { 0x11, A, B } },
	{ "not a BYE's reason", { HDR(1, 203, 3), W(0x11), 7, 'r', 'e', 'a', 's', 'o', 'n', 's' },
			16, 1, { 0x11 } },
	{ "0 is an SSRC", { HDR(0, 201, 1), W(0x11), HDR(1, 203, 1), W(0) }, 16, 2, { 0x11, 0 } },
	{ "a mixer's SDES", { HDR(0, 201, 1), W(0x11), HDR(2, 202, 4), W(0x11), W(0), W(A), W(0) },
			8 + 20, 1, { 0x11 } },
	{ "nobody's SDES", { HDR(0, 201, 1), W(0x11), HDR(0, 202, 0) }, 12, 1, { 0x11 } },
	{ "a type without a sender", { HDR(0, 201, 1), W(0x11), HDR(1, 195, 1), W(A) }, 16, 1,
			{ 0x11 } },
};

static void
rtcp_parse__finds_the_sources(void **state)
{
	for (size_t i = 0; i < RTE_DIM(source_cases); i++) {
		struct plm_rtcp rtcp;

		print_message("  %s\n", source_cases[i].name);
		assert_int_equal(plm_rtcp_parse(source_cases[i].bytes, source_cases[i].len, &rtcp),
				0);
		assert_int_equal(rtcp.nb_sources, source_cases[i].nb_sources);
		assert_memory_equal(rtcp.sources, source_cases[i].sources,
				4 * (size_t)rtcp.nb_sources);
	}
}

static void
rtcp_parse__bounds_the_sources(void **state)
{
	uint8_t buf[8 + 4 + 4 * 31 + 8] = { HDR(0, 201, 1), W(0x11), HDR(31, 203, 31) };
	const uint8_t more[] = { HDR(1, 203, 1), W(0x99) };
	struct plm_rtcp rtcp;

	for (unsigned int i = 0; i < 31; i++)
		buf[12 + 4 * i] = (uint8_t)(i + 1);
	memcpy(buf + sizeof(buf) - sizeof(more), more, sizeof(more));
	assert_int_equal(plm_rtcp_parse(buf, sizeof(buf) - sizeof(more), &rtcp), 0);
	assert_int_equal(rtcp.nb_sources, PLM_RTCP_SOURCES);
	assert_int_equal(plm_rtcp_parse(buf, sizeof(buf), &rtcp), -EPROTO);
}

static void
rtcp_peek__reads_eight_bytes(void **state)
{
	static const uint8_t buf[] = { HDR(3, 201, 200), W(0x12345678) };
	uint8_t type = 0;
	uint32_t ssrc = 0;

	for (size_t len = 0; len < sizeof(buf); len++)
		assert_int_equal(plm_rtcp_peek(buf, len, &type, &ssrc), -EMSGSIZE);
	assert_int_equal(type, 0);
	assert_int_equal(plm_rtcp_peek(buf, sizeof(buf), &type, &ssrc), 0);
	assert_int_equal(type, 201);
	assert_int_equal(ssrc, 0x12345678);
}

static void
rtcp_build_bye__is_parsed_again(void **state)
{
	uint32_t ssrcs[31];

	for (unsigned int i = 0; i < RTE_DIM(ssrcs); i++)
		ssrcs[i] = 0xa0000000u + i;
	for (unsigned int n = 1; n <= RTE_DIM(ssrcs); n++) {
		uint8_t buf[8 + 4 + 4 * 31];
		size_t len = 12 + 4 * (size_t)n;
		struct plm_rtcp rtcp;

		assert_int_equal(plm_rtcp_build_bye(buf, len - 1, ssrcs, n), -ENOSPC);
		assert_int_equal(plm_rtcp_build_bye(buf, len, ssrcs, n), len);
		assert_int_equal(plm_rtcp_parse(buf, len, &rtcp), 0);
		assert_int_equal(rtcp.first_type, PLM_RTCP_RR);
		assert_int_equal(rtcp.sender_ssrc, ssrcs[0]);
		assert_true(rtcp.has_bye);
		assert_int_equal(rtcp.nb_targets, 0);
		for (unsigned int i = 0; i < n; i++) {
			struct plm_cursor c = plm_cursor(buf + 12 + 4 * i, 4);

			assert_int_equal(plm_cursor_be32(&c), ssrcs[i]);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rtcp_parse__finds_the_targets),
		cmocka_unit_test(rtcp_parse__refuses_every_other_prefix),
		cmocka_unit_test(rtcp_parse__bounds_the_targets),
		cmocka_unit_test(rtcp_parse__finds_the_sources),
		cmocka_unit_test(rtcp_parse__bounds_the_sources),
		cmocka_unit_test(rtcp_peek__reads_eight_bytes),
		cmocka_unit_test(rtcp_build_bye__is_parsed_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

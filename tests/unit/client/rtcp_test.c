/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "rtcp.h"
#include "test_eal.h"

static const struct rx_report block = {
	.ssrc = 0x11223344,
	.fraction_lost = 64,
	.lost = 25,
	.highest = 0x00010063,
	.jitter = 7,
	.last_sr = 0xaabbccdd,
	.delay_since_sr = 0x00020000,
};

static void
rtcp_add__writes_what_rfc_3550_draws(void **state)
{
	static const uint8_t want[] = {
		0x81, 201, 0, 7, 0, 0, 0, 9, /* RR of 9 with one block */
		0x11, 0x22, 0x33, 0x44, 64, 0, 0, 25, 0, 1, 0, 0x63, 0, 0, 0, 7, 0xaa, 0xbb, 0xcc,
		0xdd, 0, 2, 0, 0, 0x81, 202, 0, 2, 0, 0, 0, 9, 1, 1, 'x', 0, /* SDES: CNAME "x" */
		0x81, 206, 0, 2, 0, 0, 0, 9, 0x11, 0x22, 0x33, 0x44,         /* PLI */
		0x81, 203, 0, 1, 0, 0, 0, 9,                                 /* BYE */
	};
	uint32_t ssrc = 9;
	struct rtcp_out out;
	uint8_t buf[128];

	rtcp_begin(&out, buf, sizeof(buf));
	rtcp_add_rr(&out, ssrc, &block, 1);
	rtcp_add_sdes(&out, ssrc, "x");
	rtcp_add_pli(&out, ssrc, block.ssrc);
	rtcp_add_bye(&out, &ssrc, 1);
	assert_false(out.overflow);
	assert_int_equal(out.len, sizeof(want));
	assert_memory_equal(buf, want, sizeof(want));
}

static void
rtcp_add__is_routed_by_the_relay_s_parser(void **state)
{
	struct rtcp_sender sender = { .ssrc = 5,
		.ntp = 1,
		.timestamp = 2,
		.packets = 3,
		.bytes = 4 };
	struct plm_rtcp rtcp;
	struct rtcp_out out;
	uint8_t buf[128];

	rtcp_begin(&out, buf, sizeof(buf));
	rtcp_add_sr(&out, &sender, &block, 1);
	rtcp_add_sdes(&out, 5, "participant-1@plenum");
	assert_int_equal(plm_rtcp_parse(buf, out.len, &rtcp), 0);
	assert_int_equal(rtcp.first_type, PLM_RTCP_SR);
	assert_int_equal(rtcp.sender_ssrc, 5);
	assert_int_equal(rtcp.nb_targets, 1);
	assert_int_equal(rtcp.targets[0], block.ssrc);
	assert_false(rtcp.has_bye);
}

static void
rtcp_add_sdes__pads_names_of_any_length(void **state)
{
	char name[300];

	for (size_t len = 0; len < sizeof(name) - 1; len++) {
		struct plm_cursor c;
		struct rtcp_packet packet;
		struct rtcp_out out;
		uint8_t buf[512];

		memset(name, 'n', len);
		name[len] = '\0';
		rtcp_begin(&out, buf, sizeof(buf));
		rtcp_add_sdes(&out, 1, name);
		assert_false(out.overflow);
		c = plm_cursor(buf, out.len);
		assert_int_equal(rtcp_next(&c, &packet), 0);
		assert_int_equal(plm_cursor_left(&c), 0);
		assert_int_equal(packet.body[5], len > 255 ? 255 : len);
		/* The chunk ends with at least one zero. */
		assert_int_equal(packet.body[packet.len - 1], 0);
	}
}

static void
rtcp_add__stops_at_the_end_of_the_buffer(void **state)
{
	struct rtcp_out out;
	uint8_t buf[40];

	rtcp_begin(&out, buf, sizeof(buf));
	rtcp_add_rr(&out, 1, &block, 1);
	assert_false(out.overflow);
	rtcp_add_sdes(&out, 1, "too long for it");
	assert_true(out.overflow);
	assert_int_equal(out.len, 32);
	/* What would fit by itself does not close the gap. */
	rtcp_add_bye(&out, NULL, 0);
	assert_int_equal(out.len, 32);
}

static void
rtcp_next__refuses_what_lies(void **state)
{
	static const struct {
		const char *name;
		uint8_t bytes[8];
		size_t len;
		int want;
	} cases[] = {
		{ "end", { 0 }, 0, -ENOENT },
		{ "three bytes", { 0x80, 201, 0 }, 3, -EPROTO },
		{ "version 1", { 0x40, 201, 0, 0 }, 4, -EPROTO },
		{ "longer than the datagram", { 0x80, 201, 0, 2, 0, 0, 0, 1 }, 8, -EPROTO },
		{ "fits", { 0x80, 201, 0, 1, 0, 0, 0, 1 }, 8, 0 },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct plm_cursor c = plm_cursor(cases[i].bytes, cases[i].len);
		struct rtcp_packet packet;

		if (rtcp_next(&c, &packet) != cases[i].want)
			fail_msg("%s", cases[i].name);
	}
}

static void
rtcp_ntp__starts_in_1900(void **state)
{
	assert_int_equal(rtcp_ntp(0) >> 32, 2208988800u);
	assert_int_equal(rtcp_ntp(1500 * PLM_NS_PER_MS) >> 32, 2208988801u);
	assert_int_equal((uint32_t)rtcp_ntp(1500 * PLM_NS_PER_MS), 0x80000000u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rtcp_add__writes_what_rfc_3550_draws),
		cmocka_unit_test(rtcp_add__is_routed_by_the_relay_s_parser),
		cmocka_unit_test(rtcp_add_sdes__pads_names_of_any_length),
		cmocka_unit_test(rtcp_add__stops_at_the_end_of_the_buffer),
		cmocka_unit_test(rtcp_next__refuses_what_lies),
		cmocka_unit_test(rtcp_ntp__starts_in_1900),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen.h"
#include "test_eal.h"

static const struct gen_stream stream = {
	.conf = { .pps = 50, .size = 200, .payload_type = 96, .clock_hz = 90000, .count = 10 },
	.ssrc = 0xdeadbeef,
	.first_seq = 65530,
	.first_timestamp = 0xfffffff0,
	.start_ns = 1000,
};

static void
gen_check__takes_back_what_was_built(void **state)
{
	static const uint16_t sizes[] = { GEN_SIZE_MIN, GEN_SIZE_MIN + 1, GEN_SIZE_MIN + 8, 160,
		200, 1199, 1200, GEN_SIZE_MAX };
	uint8_t buf[GEN_SIZE_MAX];

	for (size_t i = 0; i < RTE_DIM(sizes); i++) {
		struct gen_stream gen = stream;
		struct gen_stamp stamp;
		struct plm_rtp rtp;

		gen.conf.size = sizes[i];
		gen_build(&gen, 7, 123456789, buf);
		assert_int_equal(gen_check(buf, sizes[i], &stamp), GEN_INTACT);
		assert_int_equal(stamp.index, 7);
		assert_int_equal(stamp.sent_ns, 123456789);
		assert_int_equal(plm_rtp_parse(buf, sizes[i], &rtp), 0);
		assert_int_equal(rtp.ssrc, 0xdeadbeef);
		assert_int_equal(rtp.payload_type, 96);
		assert_int_equal(rtp.seq, 1); /* 65530 + 7, wrapped */
		assert_int_equal(rtp.timestamp, (uint32_t)(0xfffffff0u + 7 * 1800));
	}
}

static void
gen_check__sees_every_changed_bit(void **state)
{
	struct gen_stamp stamp;
	uint8_t buf[200];

	gen_build(&stream, 3, 42, buf);
	for (size_t bit = 0; bit < sizeof(buf) * 8; bit++) {
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		/* A damaged magic makes it nobody's packet. */
		assert_int_not_equal(gen_check(buf, sizeof(buf), &stamp), GEN_INTACT);
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(gen_check(buf, sizeof(buf), &stamp), GEN_INTACT);
}

static void
gen_check__leaves_foreign_packets_alone(void **state)
{
	struct gen_stamp stamp = { 1, 2 };
	uint8_t buf[200] = { 0x80, 96 };

	for (size_t len = 0; len <= sizeof(buf); len++)
		assert_int_equal(gen_check(buf, len, &stamp), GEN_FOREIGN);
	assert_int_equal(stamp.index, 1);
	assert_int_equal(stamp.sent_ns, 2);
}

static void
gen_due__keeps_the_rate(void **state)
{
	struct gen_stream gen = stream;

	assert_int_equal(gen_due_ns(&gen, 0), 1000);
	assert_int_equal(gen_due_ns(&gen, 50), 1000 + PLM_NS_PER_S);
	/* 3 a second: no drift from a rounded interval. */
	gen.conf.pps = 3;
	assert_int_equal(gen_due_ns(&gen, 3000000), 1000 + 1000000 * PLM_NS_PER_S);
}

static void
gen_over__at_its_count(void **state)
{
	struct gen_stream gen = stream;

	gen.index = 9;
	assert_false(gen_over(&gen));
	gen.index = 10;
	assert_true(gen_over(&gen));
	gen.conf.count = 0;
	assert_false(gen_over(&gen));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gen_check__takes_back_what_was_built),
		cmocka_unit_test(gen_check__sees_every_changed_bit),
		cmocka_unit_test(gen_check__leaves_foreign_packets_alone),
		cmocka_unit_test(gen_due__keeps_the_rate),
		cmocka_unit_test(gen_over__at_its_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The vector sum against the scalar one of RFC 1071. */
#include <stdlib.h>

#include "plm_wire.h"
#include "test_eal.h"

static uint16_t
scalar_sum(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i += 2) {
		uint8_t pair[2] = { p[i], i + 1 < len ? p[i + 1] : 0 };
		uint16_t v;

		memcpy(&v, pair, 2);
		sum += v;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void
sum__matches_the_scalar_one_at_every_length(void **state)
{
	uint32_t seed = 1;

	for (size_t len = 0; len <= 2100; len = len < 300 ? len + 1 : len + 37) {
		uint8_t *buf = malloc(len + 1);

		assert_non_null(buf);
		for (int fill = 0; fill < 3; fill++) {
			/* Alignment 0 and 1: the payload behind odd headers starts anywhere. */
			uint8_t *p = buf + (fill == 2);

			for (size_t i = 0; i < len; i++) {
				seed = seed * 1103515245 + 12345;
				p[i] = fill == 0 ? 0xff : (uint8_t)(seed >> 16);
			}
			assert_int_equal(plm_wire_sum(p, len), scalar_sum(p, len));
		}
		free(buf);
	}
}

static void
sum__does_not_overflow_on_megabytes(void **state)
{
	size_t len = (3u << 20) + 5;
	uint8_t *buf = malloc(len);

	assert_non_null(buf);
	memset(buf, 0xff, len);
	assert_int_equal(plm_wire_sum(buf, len), scalar_sum(buf, len));
	free(buf);
}

static void
sum__of_zeros_alone_is_0(void **state)
{
	static const uint8_t zero[100];
	static const uint8_t ones[2] = { 0xff, 0xff };

	assert_int_equal(plm_wire_sum(zero, sizeof(zero)), 0);
	assert_int_equal(plm_wire_sum(ones, sizeof(ones)), 0xffff);
	assert_int_equal(plm_wire_fold(0x1fffe), 0xffff);
	assert_int_equal(plm_wire_fold(0xffffffff), 0xffff);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sum__matches_the_scalar_one_at_every_length),
		cmocka_unit_test(sum__does_not_overflow_on_megabytes),
		cmocka_unit_test(sum__of_zeros_alone_is_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

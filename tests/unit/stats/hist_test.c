/* SPDX-License-Identifier: BSD-3-Clause */
/* Histograms: buckets are contiguous and 1/16 wide, quantiles are upper bounds. */
#include <stdlib.h>

#include "plm_stats.h"
#include "test_eal.h"

static int
setup(void **state)
{
	*state = calloc(2, sizeof(struct plm_hist));
	return *state == NULL;
}

static int
teardown(void **state)
{
	free(*state);
	return 0;
}

static void
hist_bucket__is_monotonic_and_narrow(void **state)
{
	unsigned int prev = 0;

	for (unsigned int bits = 0; bits < PLM_HIST_MAX_BITS; bits++) {
		for (unsigned int step = 0; step < 64; step++) {
			uint64_t value =
					(UINT64_C(1) << bits) + ((UINT64_C(1) << bits) * step >> 6);
			unsigned int b = plm_hist_bucket(value);

			assert_in_range(b, prev, prev + 1);
			assert_in_range(b, 0, PLM_HIST_BUCKETS - 1);
			prev = b;
		}
	}
	assert_int_equal(prev, PLM_HIST_BUCKETS - 1);
	assert_int_equal(plm_hist_bucket(0), 0);
	assert_int_equal(plm_hist_bucket(UINT64_MAX), PLM_HIST_BUCKETS - 1);
}

static void
hist_quantile__of_nothing_is_0(void **state)
{
	assert_int_equal(plm_hist_quantile(*state, 5000), 0);
	assert_int_equal(plm_hist_count(*state), 0);
}

static void
hist_quantile__bounds_the_value_from_above(void **state)
{
	static const uint64_t values[] = { 0, 1, 15, 16, 17, 1000, 123456, UINT64_C(1) << 39,
		(UINT64_C(1) << 40) - 1 };

	for (size_t i = 0; i < RTE_DIM(values); i++) {
		struct plm_hist *hist = *state;
		uint64_t got;

		memset(hist, 0, sizeof(*hist));
		plm_hist_add(hist, values[i]);
		got = plm_hist_quantile(hist, 5000);
		assert_true(got >= values[i]);
		assert_true(got <= values[i] + values[i] / 16);
	}
}

static void
hist_quantile__counts_from_below(void **state)
{
	struct plm_hist *hist = *state;

	for (uint64_t i = 1; i <= 1000; i++)
		plm_hist_add(hist, i <= 990 ? 5 : 14);
	assert_int_equal(plm_hist_count(hist), 1000);
	assert_int_equal(plm_hist_quantile(hist, 0), 5);
	assert_int_equal(plm_hist_quantile(hist, 5000), 5);
	assert_int_equal(plm_hist_quantile(hist, 9900), 5);
	assert_int_equal(plm_hist_quantile(hist, 9901), 14);
	assert_int_equal(plm_hist_quantile(hist, 10000), 14);
}

static void
hist_merge__adds_bucket_by_bucket(void **state)
{
	struct plm_hist *a = *state;
	struct plm_hist *b = a + 1;

	plm_hist_add(a, 3);
	plm_hist_add(b, 3);
	plm_hist_add(b, 300);
	plm_hist_merge(a, b);
	assert_int_equal(plm_hist_count(a), 3);
	assert_int_equal(plm_hist_count(b), 2);
	assert_int_equal(plm_hist_quantile(a, 6600), 3);
	assert_true(plm_hist_quantile(a, 10000) >= 300);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hist_bucket__is_monotonic_and_narrow),
		cmocka_unit_test_setup_teardown(hist_quantile__of_nothing_is_0, setup, teardown),
		cmocka_unit_test_setup_teardown(hist_quantile__bounds_the_value_from_above, setup,
				teardown),
		cmocka_unit_test_setup_teardown(hist_quantile__counts_from_below, setup, teardown),
		cmocka_unit_test_setup_teardown(hist_merge__adds_bucket_by_bucket, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

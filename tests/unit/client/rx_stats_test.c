/* SPDX-License-Identifier: BSD-3-Clause */
#include "rx_stats.h"
#include "test_eal.h"

#define STEP (20 * PLM_NS_PER_MS)

static struct rx_table table;

static int
setup(void **state)
{
	table = (struct rx_table){ 0 };
	return 0;
}

static int
teardown(void **state)
{
	rx_table_fini(&table);
	return 0;
}

/* A packet that no generator made. */
static void
arrive(struct rx_stream *rx, uint16_t seq, uint64_t now_ns)
{
	struct plm_rtp rtp = { .ssrc = rx->ssrc, .seq = seq, .payload_type = 96 };

	rx_packet(rx, &rtp, 100, now_ns, GEN_FOREIGN, NULL);
}

static void
arrive_stamped(struct rx_stream *rx, uint64_t index, uint64_t sent_ns, uint64_t now_ns)
{
	struct plm_rtp rtp = { .ssrc = rx->ssrc, .seq = (uint16_t)index, .payload_type = 96 };
	struct gen_stamp stamp = { .index = index, .sent_ns = sent_ns };

	rx_packet(rx, &rtp, 100, now_ns, GEN_INTACT, &stamp);
}

static const struct {
	const char *name;
	uint16_t seq[8];
	unsigned int nb;
	uint64_t expected, unique, lost, reordered, duplicates, late;
} cases[] = {
	{ "in order", { 1, 2, 3, 4 }, 4, 4, 4, 0, 0, 0, 0 },
	{ "one lost", { 1, 2, 4, 5 }, 4, 5, 4, 1, 0, 0, 0 },
	{ "swapped", { 1, 3, 2, 4 }, 4, 4, 4, 0, 1, 0, 0 },
	{ "twice", { 1, 2, 2, 3 }, 4, 3, 3, 0, 0, 1, 0 },
	{ "twice, much later", { 1, 2, 3, 1 }, 4, 3, 3, 0, 0, 1, 0 },
	{ "late one twice", { 1, 4, 2, 2 }, 4, 4, 3, 1, 1, 1, 0 },
	{ "wraps", { 65534, 65535, 0, 1 }, 4, 4, 4, 0, 0, 0, 0 },
	{ "lost across the wrap", { 65534, 1 }, 2, 4, 2, 2, 0, 0, 0 },
	{ "swapped across the wrap", { 65535, 1, 0, 2 }, 4, 4, 4, 0, 1, 0, 0 },
	{ "below the first", { 10, 9, 11 }, 3, 3, 3, 0, 1, 0, 0 },
	{ "first is 0, then below", { 0, 65535, 1 }, 3, 3, 3, 0, 1, 0, 0 },
	{ "far forward", { 1, 30001 }, 2, 30001, 2, 29999, 0, 0, 0 },
	{ "window's last", { 2000, 2000 - RX_WINDOW + 1, 2001 }, 3, RX_WINDOW + 1, 3, RX_WINDOW - 2,
			1, 0, 0 },
	{ "behind the window", { 3000, 3000 - RX_WINDOW, 3001 }, 3, 2, 2, 0, 0, 0, 1 },
	{ "window reused", { 1, 1 + RX_WINDOW, 2 }, 3, RX_WINDOW + 1, 3, RX_WINDOW - 2, 1, 0, 0 },
	{ "begins anew", { 9000, 9001, 5, 6, 7 }, 5, 5, 5, 0, 0, 0, 0 },
	{ "a stray is no restart", { 9000, 5, 9001, 6, 9002 }, 5, 3, 3, 0, 0, 0, 2 },
};

static void
rx_packet__counts_by_sequence(void **state)
{
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct rx_stream *rx = rx_get(&table, (uint32_t)i + 1);

		for (unsigned int n = 0; n < cases[i].nb; n++)
			arrive(rx, cases[i].seq[n], 1 + n * STEP);
		if (rx_expected(rx) != cases[i].expected || rx->unique != cases[i].unique ||
				rx_lost(rx) != cases[i].lost ||
				rx->reordered != cases[i].reordered ||
				rx->duplicates != cases[i].duplicates ||
				rx->late != cases[i].late || rx->received != cases[i].nb)
			fail_msg("%s: expected %lu unique %lu lost %lu reordered %lu duplicates %lu "
				 "late %lu",
					cases[i].name, rx_expected(rx), rx->unique, rx_lost(rx),
					rx->reordered, rx->duplicates, rx->late);
	}
}

static void
rx_packet__counts_long_gaps_of_generated_streams(void **state)
{
	struct rx_stream *rx = rx_get(&table, 1);

	arrive_stamped(rx, 0, 1, 2);
	/* More than 16 bits of sequence numbers can say. */
	arrive_stamped(rx, 200000, 3, 4);
	assert_int_equal(rx_lost(rx), 199999);
	assert_int_equal(rx->unique, 2);
}

static void
rx_packet__believes_nothing_of_a_corrupt_one(void **state)
{
	struct plm_rtp rtp = { .ssrc = 1, .seq = 999 };
	struct rx_stream *rx = rx_get(&table, 1);

	rx_packet(rx, &rtp, 100, 1, GEN_CORRUPT, NULL);
	assert_int_equal(rx_expected(rx), 0);
	arrive_stamped(rx, 0, 1, 2);
	rx_packet(rx, &rtp, 100, 1, GEN_CORRUPT, NULL);
	/* In a generated stream a packet without magic is damaged too. */
	rx_packet(rx, &rtp, 100, 1, GEN_FOREIGN, NULL);
	arrive_stamped(rx, 3, 1, 2);
	assert_int_equal(rx->received, 5);
	assert_int_equal(rx->corrupt, 3);
	assert_int_equal(rx->unique, 2);
	assert_int_equal(rx_lost(rx), 2);
}

static void
rx_packet__measures_delay_and_jitter(void **state)
{
	struct rx_stream *rx = rx_get(&table, 1);

	/* Sent every 20 ms, 1 ms on the way, every second one 1.5 ms. */
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t sent_ns = 1 + i * STEP;

		arrive_stamped(rx, i, sent_ns, sent_ns + PLM_NS_PER_MS + i % 2 * 500000);
	}
	assert_int_equal(plm_hist_count(rx->delay), 1000);
	assert_in_range(plm_hist_quantile(rx->delay, 5000), 1000000, 1000000 * 17 / 16);
	assert_in_range(plm_hist_quantile(rx->delay, 9900), 1500000, 1500000 * 17 / 16);
	assert_int_equal(plm_hist_count(rx->jitter), 999);
	assert_in_range(plm_hist_quantile(rx->jitter, 5000), 500000, 500000 * 17 / 16);
	/* The mean deviation comes to 500 us, give or take the rounding of the recursion. */
	assert_in_range(rx->jitter_ns >> 4, 499000, 501000);
}

static void
rx_packet__takes_jitter_from_the_rtp_clock(void **state)
{
	struct rx_stream *rx = rx_get(&table, 1);

	rx->clock_hz = 8000;
	for (uint32_t i = 0; i < 100; i++) {
		struct plm_rtp rtp = { .ssrc = 1,
			.seq = (uint16_t)i,
			.timestamp = 0xffffff00u + i * 160 };

		rx_packet(rx, &rtp, 172, 1 + i * STEP, GEN_FOREIGN, NULL);
	}
	assert_int_equal(plm_hist_quantile(rx->jitter, 10000), 0);
	assert_int_equal(rx->jitter_ns, 0);
}

static void
rx_report__tells_loss_since_the_last(void **state)
{
	struct rx_stream *rx = rx_get(&table, 1);
	struct rx_report report;

	for (uint16_t i = 0; i < 100; i++)
		if (i % 4 != 1)
			arrive(rx, i, 1 + i * STEP);
	rx->last_sr = 0x12345678;
	rx->last_sr_ns = PLM_NS_PER_S;
	rx_report(rx, 3 * PLM_NS_PER_S, &report);
	assert_int_equal(report.fraction_lost, 64);
	assert_int_equal(report.lost, 25);
	assert_int_equal(report.highest & 0xffff, 99);
	assert_int_equal(report.last_sr, 0x12345678);
	assert_int_equal(report.delay_since_sr, 2 << 16);

	for (uint16_t i = 100; i < 200; i++)
		arrive(rx, i, 1 + i * STEP);
	rx_report(rx, 4 * PLM_NS_PER_S, &report);
	assert_int_equal(report.fraction_lost, 0);
	assert_int_equal(report.lost, 25);
}

static void
rx_get__finds_each_up_to_the_limit(void **state)
{
	for (uint32_t i = 0; i < RX_STREAMS_MAX; i++)
		assert_non_null(rx_get(&table, i * 0x10001));
	assert_null(rx_get(&table, 0xffffffff));
	assert_int_equal(table.refused, 1);
	assert_null(rx_lookup(&table, 0xffffffff));
	for (uint32_t i = 0; i < RX_STREAMS_MAX; i++) {
		assert_int_equal(rx_lookup(&table, i * 0x10001)->ssrc, i * 0x10001);
		assert_int_equal(rx_lookup(&table, i * 0x10001)->order, i);
	}
	assert_int_equal(table.nb_streams, RX_STREAMS_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rx_packet__counts_by_sequence, setup, teardown),
		cmocka_unit_test_setup_teardown(rx_packet__counts_long_gaps_of_generated_streams,
				setup, teardown),
		cmocka_unit_test_setup_teardown(rx_packet__believes_nothing_of_a_corrupt_one, setup,
				teardown),
		cmocka_unit_test_setup_teardown(rx_packet__measures_delay_and_jitter, setup,
				teardown),
		cmocka_unit_test_setup_teardown(rx_packet__takes_jitter_from_the_rtp_clock, setup,
				teardown),
		cmocka_unit_test_setup_teardown(rx_report__tells_loss_since_the_last, setup,
				teardown),
		cmocka_unit_test_setup_teardown(rx_get__finds_each_up_to_the_limit, setup,
				teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

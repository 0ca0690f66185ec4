/* SPDX-License-Identifier: BSD-3-Clause */
/* Pool sizes cover every place where an mbuf may wait; pools have the room that they promise. */
#include "plm_port.h"
#include "test_eal.h"

static const struct plm_pool_need base_need = {
	.nb_workers = 2,
	.rx_desc = 512,
	.tx_desc = 1024,
	.ring_size = 256,
	.park_entries = 64,
	.burst = 32,
	.mtu = 1500,
	.linear = true,
};

static void
pool_plan__covers_what_can_be_in_flight(void **state)
{
	const struct plm_pool_need *n = &base_need;
	struct plm_pool_plan plan;

	plm_pool_plan(n, &plan);
	assert_true(plan.rx >= n->rx_desc + n->burst + 3 * n->ring_size +
					2 * (n->park_entries * n->burst + n->tx_desc));
	assert_true(plan.hdr >= n->tx_desc + n->ring_size + PLM_TXQ_SIZE);
	assert_int_equal(plan.copy, plan.hdr);
	assert_true(plan.ctl >= 2 * (n->ring_size + n->park_entries + n->tx_desc));
}

static void
pool_plan__grows_with_each_need(void **state)
{
	static const struct {
		const char *name;
		struct plm_pool_need more;
	} cases[] = {
		{ "workers", { .nb_workers = 2 } },
		{ "RX descriptors", { .rx_desc = 4096 } },
		{ "TX descriptors", { .tx_desc = 4096 } },
		{ "rings", { .ring_size = 8192 } },
		{ "parked entries", { .park_entries = 1024 } },
	};
	struct plm_pool_plan small, large;

	plm_pool_plan(&base_need, &small);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct plm_pool_need need = base_need;

		need.nb_workers += cases[i].more.nb_workers;
		need.rx_desc += cases[i].more.rx_desc;
		need.tx_desc += cases[i].more.tx_desc;
		need.ring_size += cases[i].more.ring_size;
		need.park_entries += cases[i].more.park_entries;
		plm_pool_plan(&need, &large);
		if (large.rx <= small.rx || large.bytes <= small.bytes)
			fail_msg("%s: rx %u to %u, bytes %zu to %zu", cases[i].name, small.rx,
					large.rx, small.bytes, large.bytes);
	}
}

static void
pool_plan__has_no_copies_where_all_ports_chain(void **state)
{
	struct plm_pool_need need = base_need;
	struct plm_pool_plan linear, chained;

	plm_pool_plan(&need, &linear);
	need.linear = false;
	plm_pool_plan(&need, &chained);
	assert_int_equal(chained.copy, 0);
	assert_int_equal(chained.rx, linear.rx);
	assert_true(chained.bytes < linear.bytes);
}

static void
pool_create__has_the_room_promised(void **state)
{
	static const uint16_t mtus[] = { 576, 1500, 2030, 9000, 16000 };

	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		struct rte_mempool *rx = plm_pool_create_rx("rx", 63, mtus[i], 0);
		struct rte_mempool *copy = plm_pool_create_copy("copy", 63, mtus[i], 0);

		assert_non_null(rx);
		assert_non_null(copy);
		assert_true(rte_pktmbuf_data_room_size(rx) - RTE_PKTMBUF_HEADROOM >= mtus[i] + 18);
		assert_true(rte_pktmbuf_data_room_size(copy) - RTE_PKTMBUF_HEADROOM >=
				mtus[i] + 18);
		assert_true(rte_pktmbuf_priv_size(rx) >= sizeof(struct plm_pkt));
		rte_mempool_free(copy);
		rte_mempool_free(rx);
	}
}

static void
pool_create__headers_and_a_short_payload_fit(void **state)
{
	struct rte_mempool *hdr = plm_pool_create_hdr("hdr", 63, 0);
	struct rte_mbuf *m;

	assert_non_null(hdr);
	m = rte_pktmbuf_alloc(hdr);
	assert_non_null(m);
	assert_non_null(rte_pktmbuf_append(m, 66 + PLM_HDR_COPY_MAX));
	rte_pktmbuf_free(m);
	assert_int_equal(rte_mempool_in_use_count(hdr), 0);
	rte_mempool_free(hdr);
}

static void
pool_create__fails_when_memory_is_short(void **state)
{
	assert_null(plm_pool_create_rx("huge", 1000000, 9000, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pool_plan__covers_what_can_be_in_flight),
		cmocka_unit_test(pool_plan__grows_with_each_need),
		cmocka_unit_test(pool_plan__has_no_copies_where_all_ports_chain),
		cmocka_unit_test(pool_create__has_the_room_promised),
		cmocka_unit_test(pool_create__headers_and_a_short_payload_fit),
		cmocka_unit_test(pool_create__fails_when_memory_is_short),
	};

	test_eal_init(64);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

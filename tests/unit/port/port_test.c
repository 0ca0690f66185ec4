/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening ports of drivers that can little: what is refused, and how that is told. */
#include <errno.h>

#include <rte_bus_vdev.h>
#include <rte_eth_ring.h>

#include "plm_port.h"
#include "test_eal.h"

static struct rte_mempool *pools[4];

static struct plm_port_conf
null_conf(void)
{
	return (struct plm_port_conf){ .name = "net_null0",
		.nb_queues = 1,
		.nb_rxd = 128,
		.nb_txd = 128,
		.rx_pools = pools };
}

/*
 * No virtual driver refuses what it offers, so one is made to: configurations with more than
 * `max_queues` or with any offload are refused while these are set. (The linker sends the library's
 * calls here.)
 */
static struct {
	uint16_t max_queues;
	bool no_offloads;
	int reta; /* answer to a new RSS table */
} refuse;
static struct rte_eth_conf last_conf;
static struct rte_eth_rss_reta_entry64 last_reta[8];

int __real_rte_eth_dev_configure(uint16_t id, uint16_t nb_rx, uint16_t nb_tx,
		const struct rte_eth_conf *conf);
int __wrap_rte_eth_dev_configure(uint16_t id, uint16_t nb_rx, uint16_t nb_tx,
		const struct rte_eth_conf *conf);
int __real_rte_eth_dev_rss_reta_update(uint16_t id, struct rte_eth_rss_reta_entry64 *reta,
		uint16_t size);
int __wrap_rte_eth_dev_rss_reta_update(uint16_t id, struct rte_eth_rss_reta_entry64 *reta,
		uint16_t size);

int
__wrap_rte_eth_dev_configure(uint16_t id, uint16_t nb_rx, uint16_t nb_tx,
		const struct rte_eth_conf *conf)
{
	last_conf = *conf;
	if (refuse.max_queues != 0 && nb_rx > refuse.max_queues)
		return -EINVAL;
	if (refuse.no_offloads && (conf->rxmode.offloads | conf->txmode.offloads) != 0)
		return -EINVAL;
	return __real_rte_eth_dev_configure(id, nb_rx, nb_tx, conf);
}

int
__wrap_rte_eth_dev_rss_reta_update(uint16_t id, struct rte_eth_rss_reta_entry64 *reta,
		uint16_t size)
{
	if (refuse.reta != 0)
		return refuse.reta;
	memcpy(last_reta, reta, sizeof(*reta) * size / RTE_ETH_RETA_GROUP_SIZE);
	return __real_rte_eth_dev_rss_reta_update(id, reta, size);
}

static int
group_setup(void **state)
{
	for (int i = 0; i < 4; i++) {
		char name[] = "pool0";

		name[4] += (char)i;
		pools[i] = plm_pool_create_rx(name, 511, 1500, 0);
		if (pools[i] == NULL)
			return -1;
	}
	return 0;
}

static void
assert_pools_full(void)
{
	for (int i = 0; i < 4; i++)
		assert_int_equal(rte_mempool_in_use_count(pools[i]), 0);
}

static void
port_open__refuses_with_a_reason(void **state)
{
	static const struct {
		const char *name;
		uint16_t nb_queues;
		uint16_t mtu;
		int want;
		const char *why;
	} cases[] = {
		{ "net_nil0", 1, 0, -ENODEV, "no such device; EAL found: net_null0" },
		{ "net_null0", 0, 0, -EINVAL, "0 queues asked for" },
		{ "net_null0", 65535, 0, -EINVAL, "65535 queues asked for" },
		{ "net_null0", 1, 20, -EINVAL, "MTU 20 asked for" },
	};

	assert_int_equal(rte_vdev_init("net_null0", "no-rx=1"), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct plm_port_conf conf = null_conf();
		struct plm_port port;
		struct plm_text why;
		char buf[256];

		conf.name = cases[i].name;
		conf.nb_queues = cases[i].nb_queues;
		conf.mtu = cases[i].mtu;
		plm_text_init(&why, buf, sizeof(buf));
		assert_int_equal(plm_port_open(&port, 0, &conf, &why), cases[i].want);
		if (strstr(buf, cases[i].why) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", buf, cases[i].why);
		assert_false(why.cut);
		plm_port_close(&port);
	}
	assert_int_equal(rte_vdev_uninit("net_null0"), 0);
}

static void
port_open__chains_as_told(void **state)
{
	/* net_null handles chains and does not say so, net_ring says so. */
	static const struct {
		enum plm_chain chain;
		bool null_chains;
		bool ring_chains;
	} cases[] = {
		{ PLM_CHAIN_AUTO, false, true },
		{ PLM_CHAIN_ON, true, true },
		{ PLM_CHAIN_OFF, false, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct plm_port_conf conf = null_conf();
		struct rte_ring *ring;
		struct plm_port port;
		struct plm_text why;
		char buf[256];

		plm_text_init(&why, buf, sizeof(buf));
		conf.chain = cases[i].chain;
		conf.nb_queues = 2;
		conf.mtu = 1400;
		conf.copy_below = 99;
		assert_int_equal(rte_vdev_init("net_null0", "no-rx=1"), 0);
		if (plm_port_open(&port, 3, &conf, &why) != 0)
			fail_msg("%s", buf);
		assert_int_equal(port.chain, cases[i].null_chains);
		assert_int_equal(port.idx, 3);
		assert_int_equal(port.nb_queues, 2);
		assert_int_equal(port.mtu, 1400);
		assert_int_equal(port.copy_below, 99);
		assert_false(port.rx_udp_csum);
		plm_port_poll_link(&port);
		assert_true(atomic_load(&port.link_up));
		plm_port_close(&port);
		plm_port_close(&port);
		(void)rte_vdev_uninit("net_null0");

		ring = rte_ring_create("loop", 64, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
		assert_non_null(ring);
		assert_true(rte_eth_from_rings("pair", &ring, 1, &ring, 1, 0) >= 0);
		conf.name = "net_ring_pair";
		conf.nb_queues = 1;
		if (plm_port_open(&port, 5, &conf, &why) != 0)
			fail_msg("%s", buf);
		assert_int_equal(port.chain, cases[i].ring_chains);
		assert_int_equal(port.mtu, 1400);
		assert_false(rte_is_zero_ether_addr(&port.mac));
		plm_port_close(&port);
		(void)rte_vdev_uninit("net_ring_pair");
		rte_ring_free(ring);
	}
	assert_pools_full();
}

static void
port_open__spreads_where_it_can(void **state)
{
	static const struct {
		const char *name;
		uint16_t nb_queues;
		uint16_t max_queues;
		int reta;
		uint16_t want_queues;
		enum plm_spread want;
		bool want_reta;
	} cases[] = {
		/* net_null has RSS over UDP ports and a table, net_ring has neither. */
		{ "net_null0", 1, 0, 0, 1, PLM_SPREAD_NONE, false },
		{ "net_null0", 3, 0, 0, 3, PLM_SPREAD_RSS, true },
		{ "net_null0", 3, 0, -EINVAL, 3, PLM_SPREAD_RSS, false },
		{ "net_null0", 3, 1, 0, 1, PLM_SPREAD_NONE, false },
		{ "net_ring_pair", 3, 0, 0, 3, PLM_SPREAD_DRIVER, false },
		{ "net_ring_pair", 3, 1, 0, 1, PLM_SPREAD_NONE, false },
	};
	struct rte_ring *rings[3];
	struct plm_text why;
	char buf[256];

	plm_text_init(&why, buf, sizeof(buf));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct plm_port_conf conf = null_conf();
		struct plm_port port;
		bool is_ring = strcmp(cases[i].name, "net_ring_pair") == 0;

		for (unsigned int q = 0; q < 3; q++) {
			char name[] = "loop0";

			name[4] += (char)q;
			rings[q] = rte_ring_create(name, 64, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
			assert_non_null(rings[q]);
		}
		if (is_ring)
			assert_true(rte_eth_from_rings("pair", rings, 3, rings, 3, 0) >= 0);
		else
			assert_int_equal(rte_vdev_init("net_null0", "no-rx=1"), 0);
		conf.name = cases[i].name;
		conf.nb_queues = cases[i].nb_queues;
		refuse.max_queues = cases[i].max_queues;
		refuse.reta = cases[i].reta;
		memset(last_reta, 0xff, sizeof(last_reta));
		if (plm_port_open(&port, 0, &conf, &why) != 0)
			fail_msg("case %zu: %s", i, buf);
		assert_int_equal(port.nb_queues, cases[i].want_queues);
		assert_int_equal(port.spread, cases[i].want);
		assert_int_equal(port.reta_size != 0, cases[i].want_reta);
		if (cases[i].want == PLM_SPREAD_RSS) {
			assert_int_equal(last_conf.rxmode.mq_mode, RTE_ETH_MQ_RX_RSS);
			assert_int_equal(last_conf.rx_adv_conf.rss_conf.rss_hf,
					RTE_ETH_RSS_NONFRAG_IPV4_UDP |
							RTE_ETH_RSS_NONFRAG_IPV6_UDP);
		} else {
			assert_int_equal(last_conf.rx_adv_conf.rss_conf.rss_hf, 0);
		}
		for (unsigned int e = 0; e < port.reta_size; e++)
			assert_int_equal(last_reta[e / RTE_ETH_RETA_GROUP_SIZE]
							 .reta[e % RTE_ETH_RETA_GROUP_SIZE],
					e % port.nb_queues);
		plm_port_close(&port);
		(void)rte_vdev_uninit(cases[i].name);
		for (unsigned int q = 0; q < 3; q++)
			rte_ring_free(rings[q]);
	}
	memset(&refuse, 0, sizeof(refuse));
	assert_pools_full();
}

static void
port_open__does_without_offloads_that_are_refused(void **state)
{
	struct plm_port_conf conf = null_conf();
	struct rte_ring *ring = rte_ring_create("loop", 64, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
	struct plm_port port;
	struct plm_text why;
	char buf[256];

	plm_text_init(&why, buf, sizeof(buf));
	assert_non_null(ring);
	assert_true(rte_eth_from_rings("pair", &ring, 1, &ring, 1, 0) >= 0);
	conf.name = "net_ring_pair";
	refuse.no_offloads = true;
	if (plm_port_open(&port, 0, &conf, &why) != 0)
		fail_msg("%s", buf);
	refuse.no_offloads = false;
	assert_false(port.chain);
	assert_false(port.rx_udp_csum);
	plm_port_close(&port);
	(void)rte_vdev_uninit("net_ring_pair");
	rte_ring_free(ring);
}

static void
port_poll_link__heeds_what_the_driver_cannot_know(void **state)
{
	struct plm_port_conf conf = null_conf();
	struct plm_port port;
	struct plm_text why;
	char buf[256];

	plm_text_init(&why, buf, sizeof(buf));
	assert_int_equal(rte_vdev_init("net_null0", "no-rx=1"), 0);
	if (plm_port_open(&port, 0, &conf, &why) != 0)
		fail_msg("%s", buf);
	assert_true(atomic_load(&port.link_up));
	port.lost = true;
	plm_port_poll_link(&port);
	assert_false(atomic_load(&port.link_up));
	port.lost = false;
	plm_port_poll_link(&port);
	assert_true(atomic_load(&port.link_up));
	plm_port_close(&port);
	(void)rte_vdev_uninit("net_null0");
}

static void
port_set_mcast__falls_back_to_everything(void **state)
{
	const struct rte_ether_addr groups[] = { { { 0x33, 0x33, 0, 0, 0, 1 } },
		{ { 0x33, 0x33, 0xff, 1, 2, 3 } } };
	struct plm_port_conf conf = null_conf();
	struct plm_port port;
	struct plm_text why;
	char buf[256];

	plm_text_init(&why, buf, sizeof(buf));
	assert_int_equal(rte_vdev_init("net_null0", "no-rx=1"), 0);
	if (plm_port_open(&port, 0, &conf, &why) != 0)
		fail_msg("%s", buf);
	assert_int_equal(plm_port_set_mcast(&port, groups, 2), 0);
	/* Whatever the driver lacks, nothing that we want is filtered away. */
	assert_true(port.promiscuous || rte_eth_allmulticast_get(port.ethdev_id) == 1 ||
			rte_eth_dev_set_mc_addr_list(port.ethdev_id, NULL, 0) == 0);
	plm_port_close(&port);
	(void)rte_vdev_uninit("net_null0");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(port_open__refuses_with_a_reason),
		cmocka_unit_test(port_open__chains_as_told),
		cmocka_unit_test(port_open__spreads_where_it_can),
		cmocka_unit_test(port_open__does_without_offloads_that_are_refused),
		cmocka_unit_test(port_poll_link__heeds_what_the_driver_cannot_know),
		cmocka_unit_test(port_set_mcast__falls_back_to_everything),
	};

	test_eal_init(64);
	return cmocka_run_group_tests(tests, group_setup, NULL);
}

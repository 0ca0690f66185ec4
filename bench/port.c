/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In-process ports. A TX queue of a NIC holds frames until they are on the wire and gives them back
 * when the driver next looks, on the same lcore. A ring does the same here: before a burst is
 * queued, a callback frees the oldest frames as far as room is needed.
 */
#include <stdio.h>

#include <rte_eth_ring.h>
#include <rte_ethdev.h>

#include "bench.h"

#define RECLAIM 32

static uint16_t
reclaim(uint16_t ethdev_id, uint16_t queue, struct rte_mbuf *pkts[], uint16_t n, void *arg)
{
	struct rte_ring *ring = arg;
	struct rte_mbuf *old[RECLAIM];
	unsigned int room = rte_ring_free_count(ring);

	while (room < n) {
		unsigned int nb = rte_ring_sc_dequeue_burst(ring, (void **)old, RECLAIM, NULL);

		rte_pktmbuf_free_bulk(old, nb);
		room += nb;
	}
	return n;
}

static void
open_port(struct bench_port *port, const char *name, uint16_t nb_queues,
		struct rte_mempool **rx_pools)
{
	char why_buf[256];
	struct plm_text why;
	struct plm_port_conf conf = {
		.name = name,
		.nb_queues = nb_queues,
		.nb_rxd = BENCH_RX_RING,
		.nb_txd = BENCH_IN_FLIGHT,
		.mtu = 1500,
		.chain = PLM_CHAIN_ON,
		.copy_below = 0, /* what the shared primitive is compared with shares, too */
		.rx_pools = rx_pools,
	};

	plm_text_init(&why, why_buf, sizeof(why_buf));
	if (plm_port_open(&port->port, 0, &conf, &why) < 0)
		bench_die("%s", why_buf);
}

struct rte_ring *
bench_ring_create(const char *name, const char *way, unsigned int queue, unsigned int size)
{
	char ring_name[RTE_RING_NAMESIZE];
	struct rte_ring *ring;

	snprintf(ring_name, sizeof(ring_name), "%s_%s%u", name, way, queue);
	ring = rte_ring_create(ring_name, size, (int)rte_socket_id(),
			RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
	if (ring == NULL)
		bench_die("ring %s: out of memory", ring_name);
	return ring;
}

void
bench_port_open(struct bench_port *port, const char *name, uint16_t nb_queues,
		struct rte_mempool **rx_pools)
{
	char *ethdev_name;

	for (unsigned int q = 0; q < nb_queues; q++) {
		port->rx[q] = bench_ring_create(name, "rx", q, BENCH_RX_RING);
		port->tx[q] = bench_ring_create(name, "tx", q, BENCH_IN_FLIGHT);
	}
	if (rte_eth_from_rings(name, port->rx, nb_queues, port->tx, nb_queues, rte_socket_id()) < 0)
		bench_die("port %s: net_ring says no", name);
	if (asprintf(&ethdev_name, "net_ring_%s", name) < 0)
		bench_die("out of memory");
	open_port(port, ethdev_name, nb_queues, rx_pools);
	for (uint16_t q = 0; q < nb_queues; q++)
		if (rte_eth_add_tx_callback(port->port.ethdev_id, q, reclaim, port->tx[q]) == NULL)
			bench_die("port %s: this DPDK has no TX callbacks", name);
}

void
bench_port_open_null(struct bench_port *port, struct rte_mempool **rx_pools)
{
	open_port(port, "net_null0", 1, rx_pools);
}

void
bench_ring_drain(struct rte_ring *ring)
{
	void *m;

	while (rte_ring_dequeue(ring, &m) == 0)
		rte_pktmbuf_free(m);
}

void
bench_port_drain(struct bench_port *port, uint16_t queue)
{
	bench_ring_drain(port->rx[queue]);
	bench_ring_drain(port->tx[queue]);
}

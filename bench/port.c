/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In-process ports. A TX queue of a NIC holds frames until they are on the wire and gives them back
 * when the driver next looks, on the same lcore. A ring does the same here: before a burst is
 * queued, a callback frees the oldest frames as far as room is needed.
 */
#include <stdio.h>

#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>

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

/* Frames that the sink has taken are freed, and as many offered as there is room for: the queue
 * then takes them all, and they are noted before the sink sees them. */
static uint16_t
note_sent(uint16_t ethdev_id, uint16_t queue, struct rte_mbuf *pkts[], uint16_t n, void *arg)
{
	struct bench_txq *txq = arg;
	uint32_t waiting = rte_ring_count(txq->ring);

	while (txq->sent - txq->freed > waiting) {
		uint32_t first = txq->freed % BENCH_IN_FLIGHT;
		uint32_t nb = RTE_MIN(txq->sent - txq->freed - waiting,
				(uint32_t)BENCH_IN_FLIGHT - first);

		rte_pktmbuf_free_bulk(&txq->frames[first], nb);
		txq->freed += nb;
	}
	n = (uint16_t)RTE_MIN((uint32_t)n, BENCH_IN_FLIGHT - waiting);
	for (uint16_t i = 0; i < n; i++)
		txq->frames[txq->sent++ % BENCH_IN_FLIGHT] = pkts[i];
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
		.nb_rxd = (uint16_t)(port->nb_rxd > 0 ? port->nb_rxd : BENCH_RX_RING),
		.nb_txd = BENCH_IN_FLIGHT,
		.mtu = 1500,
		.chain = port->device != NULL ? PLM_CHAIN_AUTO : PLM_CHAIN_ON,
		.copy_below = port->copy_below,
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

static void
open_rings(struct bench_port *port, const char *name, uint16_t nb_queues,
		struct rte_mempool **rx_pools)
{
	char *ethdev_name;

	for (unsigned int q = 0; q < nb_queues; q++) {
		port->rx[q] = bench_ring_create(name, "rx", q,
				port->nb_rxd > 0 ? port->nb_rxd : BENCH_RX_RING);
		port->tx[q] = bench_ring_create(name, "tx", q, BENCH_IN_FLIGHT);
		if (!port->sunk)
			continue;
		port->txq[q] = rte_zmalloc("txq", sizeof(*port->txq[q]), RTE_CACHE_LINE_SIZE);
		if (port->txq[q] == NULL)
			bench_die("port %s: out of memory", name);
		port->txq[q]->ring = port->tx[q];
	}
	if (rte_eth_from_rings(name, port->rx, nb_queues, port->tx, nb_queues, rte_socket_id()) < 0)
		bench_die("port %s: net_ring says no", name);
	if (asprintf(&ethdev_name, "net_ring_%s", name) < 0)
		bench_die("out of memory");
	open_port(port, ethdev_name, nb_queues, rx_pools);
	for (uint16_t q = 0; q < nb_queues; q++) {
		void *arg = port->sunk ? (void *)port->txq[q] : port->tx[q];

		port->callbacks[q] = rte_eth_add_tx_callback(port->port.ethdev_id, q,
				port->sunk ? note_sent : reclaim, arg);
		if (port->callbacks[q] == NULL)
			bench_die("port %s: this DPDK has no TX callbacks", name);
	}
}

void
bench_port_open(struct bench_port *port, const char *name, uint16_t nb_queues,
		struct rte_mempool **rx_pools)
{
	if (port->device != NULL)
		open_port(port, port->device, nb_queues, rx_pools);
	else
		open_rings(port, name, nb_queues, rx_pools);
}

/* A port that gets the same number later would have the callbacks of this one, too. */
void
bench_port_close(struct bench_port *port)
{
	for (uint16_t q = 0; q < PLM_WORKERS_MAX; q++)
		if (port->callbacks[q] != NULL)
			rte_eth_remove_tx_callback(port->port.ethdev_id, q, port->callbacks[q]);
	plm_port_close(&port->port);
	for (uint16_t q = 0; q < PLM_WORKERS_MAX; q++)
		rte_free(port->txq[q]);
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
	if (port->device != NULL)
		return;
	bench_ring_drain(port->rx[queue]);
	if (!port->sunk) {
		bench_ring_drain(port->tx[queue]);
		return;
	}
	for (struct bench_txq *txq = port->txq[queue]; txq->freed != txq->sent; txq->freed++)
		rte_pktmbuf_free(txq->frames[txq->freed % BENCH_IN_FLIGHT]);
	rte_ring_reset(port->tx[queue]);
}

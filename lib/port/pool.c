/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mempools: how many mbufs can be away from a pool at once, and how large they are.
 *
 * A pool must not run dry because of mbufs that wait somewhere in good order, so its size is the
 * sum of every place where they may wait.
 */
#include <rte_errno.h>

#include "plm_port.h"

/* A bulk of 32 seldom leaves the lcore's cache; what several caches hold is part of the plan. */
#define POOL_CACHE 256
/* A cache is flushed when it holds half as much again. */
#define POOL_CACHE_HELD (POOL_CACHE + POOL_CACHE / 2)

/* Drivers that cannot scatter take buffers of this much, and the usual ones want multiples of
 * 1024 behind the headroom. */
#define RX_ROOM_MIN  2048
#define RX_ROOM_STEP 1024

/* Ethernet header, one VLAN tag, and the CRC that some drivers leave on. */
#define L2_ROOM (RTE_ETHER_HDR_LEN + 4 + RTE_ETHER_CRC_LEN)

static_assert(PLM_HDR_ROOM >= PLM_HDR_COPY_MAX + 66, "longest headers and payload fit");

static uint16_t
room_rx(uint16_t mtu)
{
	uint32_t room = RTE_ALIGN_CEIL(RTE_MAX((uint32_t)mtu + L2_ROOM, (uint32_t)RX_ROOM_MIN),
			RX_ROOM_STEP);

	return (uint16_t)RTE_MIN(room + RTE_PKTMBUF_HEADROOM, (uint32_t)UINT16_MAX);
}

static uint16_t
room_copy(uint16_t mtu)
{
	uint32_t room = RTE_ALIGN_CEIL((uint32_t)mtu + L2_ROOM, (uint32_t)RTE_CACHE_LINE_SIZE);

	return (uint16_t)RTE_MIN(room + RTE_PKTMBUF_HEADROOM, (uint32_t)UINT16_MAX);
}

static uint16_t
room_hdr(void)
{
	return RTE_PKTMBUF_HEADROOM + PLM_HDR_ROOM;
}

/* A pool's ring has a power of two of slots, one unused: take them all where they come cheap. */
static unsigned int
round_up(unsigned int n)
{
	unsigned int all = rte_align32pow2(n + 1) - 1;

	return all - n <= n / 8 ? all : n;
}

#define SMALL_PAGE 4096

/* An object may not cross a page, since pages need not lie beside each other for a device. */
static size_t
pool_bytes(const struct plm_pool_need *need, unsigned int n, uint16_t priv, uint16_t room)
{
	uint32_t obj = rte_mempool_calc_obj_size((uint32_t)sizeof(struct rte_mbuf) + priv + room, 0,
			NULL);

	if (need->small_pages)
		obj = obj <= SMALL_PAGE ? SMALL_PAGE / (SMALL_PAGE / obj)
					: RTE_ALIGN_CEIL(obj, SMALL_PAGE);
	return (size_t)n * obj + (size_t)rte_align32pow2(n + 1) * sizeof(void *);
}

void
plm_pool_plan(const struct plm_pool_need *need, struct plm_pool_plan *plan)
{
	unsigned int w = need->nb_workers;
	/* Workers, slow path and main: each may hold a cache of each pool. */
	unsigned int cached = (w + 2) * POOL_CACHE_HELD;
	unsigned int buffered = PLM_PORTS_MAX * PLM_TXQ_SIZE;
	/* A worker without a queue of its own hands its frames to one owner. */
	unsigned int carried = (w - 1) * need->ring_size;
	unsigned int lent = (w - 1) * need->ring_size;
	unsigned int parked = need->park_entries * need->burst;
	size_t per_worker;

	/*
	 * A payload from this worker's queues may wait to cross (one ring to each other worker), for
	 * the slow path (two rings), and then, wherever its home is, parked, buffered, in a ring to
	 * the owner of a queue, or in a TX descriptor; or lent to any other worker.
	 */
	plan->rx = round_up(need->rx_desc + need->burst + (w - 1 + 2) * need->ring_size +
			w * (parked + buffered + need->tx_desc) + carried + lent + cached);
	/* What was lent is copied: parked, buffered, carried or sent like any other payload. */
	plan->slice = w == 1 ? 0
			     : round_up(need->burst + parked + buffered + need->tx_desc +
					       need->ring_size + cached);

	/* A header is taken when its copy is made: buffered (twice if carried), carried or sent. */
	plan->hdr = round_up(need->tx_desc + 2 * buffered + (w > 1 ? need->ring_size : 0) +
			need->burst + cached);
	plan->copy = need->linear ? plan->hdr : 0;

	/* A datagram's payload waits like one from a queue; a packet is made when it is sent, and may be carried. */
	plan->quic = need->quic
			? round_up(need->burst + need->quic_parts + parked + lent + need->tx_desc +
					  2 * buffered + (w > 1 ? need->ring_size : 0) + cached)
			: 0;

	/* Frames on their way down to each worker, and a BYE may be what is parked. */
	plan->ctl = round_up(w * (need->ring_size + need->park_entries + buffered + need->tx_desc) +
			cached);

	per_worker = pool_bytes(need, plan->rx, sizeof(struct plm_pkt), room_rx(need->mtu)) +
			pool_bytes(need, plan->hdr, 0, room_hdr());
	if (plan->copy > 0)
		per_worker += pool_bytes(need, plan->copy, 0, room_copy(need->mtu));
	if (plan->slice > 0)
		per_worker += pool_bytes(need, plan->slice, sizeof(struct plm_pkt),
				room_rx(need->mtu));
	if (plan->quic > 0)
		per_worker += pool_bytes(need, plan->quic, sizeof(struct plm_pkt),
				room_rx(need->mtu));
	plan->bytes = w * per_worker + pool_bytes(need, plan->ctl, 0, room_copy(need->mtu));
}

static struct rte_mempool *
pool_create(const char *name, unsigned int n, uint16_t priv, uint16_t room, int socket)
{
	/* Small pools get small caches: what one lcore's cache holds, another cannot have. */
	unsigned int cache = RTE_MIN(n / 8, (unsigned int)POOL_CACHE);

	return rte_pktmbuf_pool_create(name, n, cache, priv, room, socket);
}

struct rte_mempool *
plm_pool_create_rx(const char *name, unsigned int n, uint16_t mtu, int socket)
{
	return pool_create(name, n, sizeof(struct plm_pkt), room_rx(mtu), socket);
}

struct rte_mempool *
plm_pool_create_hdr(const char *name, unsigned int n, int socket)
{
	return pool_create(name, n, 0, room_hdr(), socket);
}

struct rte_mempool *
plm_pool_create_slice(const char *name, unsigned int n, uint16_t mtu, int socket)
{
	/* Whatever an RX mbuf holds: a driver may take more than the MTU. */
	return pool_create(name, n, sizeof(struct plm_pkt), room_rx(mtu), socket);
}

struct rte_mempool *
plm_pool_create_copy(const char *name, unsigned int n, uint16_t mtu, int socket)
{
	return pool_create(name, n, 0, room_copy(mtu), socket);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies of frames for whoever traces a room. Each worker has a ring of slots of its own, which it
 * fills and one reader empties; a frame that finds it full is counted and forgotten. The rings
 * are made when the first trace begins and stay, so nothing has to be freed under a worker.
 */
#include <errno.h>
#include <stdlib.h>

#include "relay_priv.h"

/* Memory of one worker's ring, about. */
#define TAPS_BYTES (2u << 20)

struct tap {
	uint64_t rx_ns;
	uint32_t room_idx;
	uint32_t len;
	uint32_t nb_bytes; /* of them, in `bytes` */
	uint8_t bytes[];
};

struct relay_taps {
	/* const */
	uint32_t nb_slots; /* a power of two */
	uint32_t slot_size;

	/* worker writes, reader reads */
	alignas(RTE_CACHE_LINE_SIZE) _Atomic uint32_t head;
	/* reader writes, worker reads */
	alignas(RTE_CACHE_LINE_SIZE) _Atomic uint32_t tail;
	/* whose turn it is by head and tail */
	alignas(RTE_CACHE_LINE_SIZE) uint8_t slots[];
};

static struct tap *
slot(struct relay_taps *taps, uint32_t pos)
{
	return (struct tap *)(taps->slots + (size_t)(pos & (taps->nb_slots - 1)) * taps->slot_size);
}

static struct relay_taps *
taps_create(uint32_t frame_max)
{
	uint32_t slot_size = RTE_CACHE_LINE_ROUNDUP((uint32_t)sizeof(struct tap) + frame_max);
	uint32_t nb_slots = rte_align32prevpow2(TAPS_BYTES / slot_size);
	size_t size = sizeof(struct relay_taps) + (size_t)nb_slots * slot_size;
	struct relay_taps *taps = aligned_alloc(RTE_CACHE_LINE_SIZE, size);

	if (taps == NULL)
		return NULL;
	memset(taps, 0, size); /* touched here, so that no worker waits for a page */
	taps->nb_slots = nb_slots;
	taps->slot_size = slot_size;
	return taps;
}

int
plm_relay_trace_prepare(struct plm_relay *relay)
{
	uint32_t frame_max = 0;

	for (unsigned int p = 0; p < relay->conf.nb_ports; p++)
		frame_max = RTE_MAX(frame_max, relay->conf.ports[p]->mtu + (uint32_t)PLM_TRACE_L2);
	for (unsigned int w = 0; w < relay->conf.nb_workers; w++) {
		struct relay_worker *worker = relay->workers[w];
		struct relay_taps *taps;

		if (atomic_load_explicit(&worker->taps, memory_order_relaxed) != NULL)
			continue;
		taps = taps_create(frame_max);
		if (taps == NULL)
			return -ENOMEM;
		/* Release pairs with the acquire in relay_tap(). */
		atomic_store_explicit(&worker->taps, taps, memory_order_release);
	}
	return 0;
}

void
relay_trace_fini(struct relay_worker *w)
{
	free(atomic_load_explicit(&w->taps, memory_order_relaxed));
	atomic_store_explicit(&w->taps, NULL, memory_order_relaxed);
}

__rte_noinline void
relay_tap(struct relay_worker *w, uint32_t room_idx, struct rte_mbuf *m)
{
	struct relay_taps *taps = atomic_load_explicit(&w->taps, memory_order_acquire);
	const void *frame;
	struct tap *tap;
	uint32_t head;

	/* Acquire pairs with the reader's release: it is done with the slot. */
	if (taps == NULL || plm_fault(TRACE_FULL) ||
			(head = atomic_load_explicit(&taps->head, memory_order_relaxed)) -
							atomic_load_explicit(&taps->tail,
									memory_order_acquire) ==
					taps->nb_slots) {
		if (!plm_mutant(TRACE_UNCOUNTED) ||
				plm_counter_get(&w->counters, PLM_CNT_TRACE_MISSED) == 0)
			plm_count(&w->counters, PLM_CNT_TRACE_MISSED);
		return;
	}
	tap = slot(taps, head);
	tap->rx_ns = plm_pkt(m)->rx_ns;
	tap->room_idx = room_idx;
	tap->len = m->pkt_len;
	tap->nb_bytes = RTE_MIN(m->pkt_len, taps->slot_size - (uint32_t)sizeof(*tap));
	frame = rte_pktmbuf_read(m, 0, tap->nb_bytes, tap->bytes);
	if (frame != tap->bytes)
		memcpy(tap->bytes, frame, tap->nb_bytes);
	/* Release: who sees the head sees the slot. */
	atomic_store_explicit(&taps->head, head + 1, memory_order_release);
}

bool
plm_relay_trace_next(struct plm_relay *relay, unsigned int worker, struct plm_relay_frame *frame)
{
	struct relay_taps *taps =
			atomic_load_explicit(&relay->workers[worker]->taps, memory_order_relaxed);
	const struct tap *tap;
	uint32_t tail;

	if (taps == NULL)
		return false;
	tail = atomic_load_explicit(&taps->tail, memory_order_relaxed);
	/* Acquire pairs with the worker's release. */
	if (atomic_load_explicit(&taps->head, memory_order_acquire) == tail)
		return false;
	tap = slot(taps, tail);
	*frame = (struct plm_relay_frame){
		.rx_ns = tap->rx_ns,
		.room_idx = tap->room_idx,
		.len = tap->len,
		.nb_bytes = tap->nb_bytes,
		.bytes = tap->bytes,
	};
	return true;
}

bool
plm_relay_trace_oldest(struct plm_relay *relay, unsigned int *worker, struct plm_relay_frame *frame)
{
	struct plm_relay_frame next;
	bool found = false;

	for (unsigned int w = 0; w < relay->conf.nb_workers; w++) {
		if (!plm_relay_trace_next(relay, w, &next) || (found && next.rx_ns >= frame->rx_ns))
			continue;
		*frame = next;
		*worker = w;
		found = true;
	}
	return found;
}

void
plm_relay_trace_taken(struct plm_relay *relay, unsigned int worker)
{
	struct relay_taps *taps =
			atomic_load_explicit(&relay->workers[worker]->taps, memory_order_relaxed);
	uint32_t tail = atomic_load_explicit(&taps->tail, memory_order_relaxed);

	/* Release: our reads of the slot come before. */
	atomic_store_explicit(&taps->tail, tail + 1, memory_order_release);
}

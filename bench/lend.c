/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why a payload is lent to another worker and not shared with it. Two lcores make as many copies each
 * of the same stream of payloads, in both ways, in turns:
 *
 *   shared  both send the one payload; its count, taken at once for all, is given back by both
 *   lent    the second copies the payload, gives it back, and sends its own
 *
 * A sample is over when both have sent everything, so waiting for each other is part of it.
 */
#include <rte_memcpy.h>

#include "bench.h"

#define PAYLOADS 256 /* of a sample */
#define COPIES   500 /* of a payload and lcore */

struct pair {
	/* const */
	bool shared;
	uint16_t size;
	struct rte_ring *to;   /* the lender puts */
	struct rte_ring *back; /* the borrower puts */
	const struct bench_pools *pools;
	struct bench_primitive lender;
	struct bench_primitive borrower;
	/* each lcore its own */
	struct {
		alignas(RTE_CACHE_LINE_SIZE) uint64_t cycles;
		bool disturbed;
	} of[2];
	alignas(RTE_CACHE_LINE_SIZE) _Atomic unsigned int nb_ready;
};

/* Begin together; returns when. */
static uint64_t
begin(struct pair *pair, struct bench_watch *watch)
{
	atomic_fetch_add_explicit(&pair->nb_ready, 1, memory_order_acq_rel);
	while (atomic_load_explicit(&pair->nb_ready, memory_order_acquire) < 2)
		rte_pause();
	bench_watch_start(watch);
	return rte_rdtsc();
}

static void
end(struct pair *pair, unsigned int who, uint64_t begun, const struct bench_watch *watch)
{
	pair->of[who].cycles = rte_rdtsc() - begun;
	pair->of[who].disturbed = bench_watch_disturbed(watch);
}

/* Payloads that came back; their reference is dropped by who counted it. */
static unsigned int
take_back(struct pair *pair)
{
	void *m[BENCH_BURST];
	unsigned int n = rte_ring_sc_dequeue_burst(pair->back, m, BENCH_BURST, NULL);

	for (unsigned int i = 0; i < n; i++)
		rte_pktmbuf_free(m[i]);
	return n;
}

static void
lend(struct pair *pair)
{
	struct bench_watch watch;
	const uint64_t begun = begin(pair, &watch);
	unsigned int nb_back = 0;

	for (unsigned int i = 0; i < PAYLOADS; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pair->pools->payload);

		if (m == NULL)
			bench_die("payload pool is empty");
		m->data_len = pair->size;
		m->pkt_len = pair->size;
		memset(rte_pktmbuf_mtod(m, void *), (int)i, pair->size);
		/* One reference is there: it is the last copy's. */
		rte_mbuf_refcnt_update(m, (int16_t)(pair->shared ? 2 * COPIES - 1 : COPIES));
		while (rte_ring_sp_enqueue(pair->to, m) != 0)
			rte_pause();
		bench_primitive_send(&pair->lender, m);
		nb_back += take_back(pair);
	}
	while (!pair->shared && nb_back < PAYLOADS)
		nb_back += take_back(pair);
	end(pair, 0, begun, &watch);
}

static int
borrow(void *arg)
{
	struct pair *pair = arg;
	struct bench_watch watch;
	const uint64_t begun = begin(pair, &watch);

	for (unsigned int i = 0; i < PAYLOADS; i++) {
		struct rte_mbuf *own;
		void *m;

		while (rte_ring_sc_dequeue(pair->to, &m) != 0)
			rte_pause();
		if (pair->shared) {
			bench_primitive_send(&pair->borrower, m);
			continue;
		}
		own = rte_pktmbuf_alloc(pair->pools->copy);
		if (own == NULL)
			bench_die("payload pool is empty");
		own->data_len = pair->size;
		own->pkt_len = pair->size;
		rte_memcpy(rte_pktmbuf_mtod(own, void *),
				rte_pktmbuf_mtod((struct rte_mbuf *)m, void *), pair->size);
		rte_ring_sp_enqueue(pair->back, m); /* holds all of a sample */
		rte_mbuf_refcnt_update(own, COPIES - 1);
		bench_primitive_send(&pair->borrower, own);
	}
	end(pair, 1, begun, &watch);
	return 0;
}

/* ns per copy of one lcore. */
static double
sample(struct pair *pair)
{
	const unsigned int lcore = rte_get_next_lcore(-1, 1, 0);

	for (unsigned int try = 0; try < BENCH_RETRIES; try++) {
		atomic_store_explicit(&pair->nb_ready, 0, memory_order_relaxed);
		if (rte_eal_remote_launch(borrow, pair, lcore) != 0)
			bench_die("the worker lcore is busy");
		lend(pair);
		rte_eal_wait_lcore(lcore);
		if (!pair->of[0].disturbed && !pair->of[1].disturbed)
			break;
		bench_figures.repeated++;
		bench_figures.disturbed += try + 1 == BENCH_RETRIES;
	}
	return bench_ns(RTE_MAX(pair->of[0].cycles, pair->of[1].cycles)) / PAYLOADS / COPIES;
}

void
bench_lending(const struct bench_options *opt)
{
	static const uint16_t sizes[BENCH_LENDING_SIZES] = { 200, 1200 };
	struct rte_mempool *rx_pools[2];
	struct bench_port port = { 0 };
	struct bench_pools pools;
	struct pair pair = { .pools = &pools };

	bench_pools_create(&pools, "lend");
	rx_pools[0] = rx_pools[1] = pools.payload;
	bench_port_open(&port, "lend", 2, rx_pools);
	pair.to = bench_ring_create("lend", "to", 0, PAYLOADS);
	pair.back = bench_ring_create("lend", "back", 0, PAYLOADS);
	pair.lender = (struct bench_primitive){ .kind = BENCH_SHARED,
		.copies = COPIES,
		.ethdev_id = port.port.ethdev_id,
		.pools = &pools };
	pair.borrower = pair.lender;
	pair.borrower.queue_id = 1;
	for (unsigned int r = 0; r < opt->repetitions; r++) {
		for (unsigned int s = 0; s < RTE_DIM(sizes); s++) {
			struct bench_figure_lending *fig = &bench_figures.lending[s];
			double lent, shared;

			fig->size = pair.size = pair.lender.size = pair.borrower.size = sizes[s];
			pair.shared = false;
			lent = sample(&pair);
			pair.shared = true;
			shared = sample(&pair);
			bench_series_add(&fig->lent_ns, lent);
			bench_series_add(&fig->shared_ns, shared);
			bench_series_add(&fig->x_lent, shared / lent);
		}
	}
	bench_port_drain(&port, 0);
	bench_port_drain(&port, 1);
	bench_port_close(&port);
	rte_ring_free(pair.to);
	rte_ring_free(pair.back);
	bench_pools_free(&pools);
}

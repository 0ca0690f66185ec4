/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bare fan-out primitive: one payload, N copies, each with a header of its own, and nothing
 * else. It is the yardstick of the packet path, so it is written as one would by the book: bulk
 * allocation, one reference count update, bursts of 32.
 */
#include <rte_ethdev.h>
#include <rte_memcpy.h>

#include "bench.h"

#define WARM_UP 0.3 /* of a sample's time, unmeasured */

const char *const bench_primitive_names[BENCH_PRIMITIVE_KINDS] = {
#define BENCH_PRIMITIVE_NAME(id, name) name,
	BENCH_PRIMITIVES(BENCH_PRIMITIVE_NAME)
#undef BENCH_PRIMITIVE_NAME
};

/* A header for each subscriber, as its session would hold it. */
static struct {
	alignas(RTE_CACHE_LINE_SIZE) uint8_t bytes[BENCH_HDR];
} hdrs[BENCH_MEMBERS_MAX];

static const char *
pool_name(char buf[RTE_MEMPOOL_NAMESIZE], const char *prefix, const char *what)
{
	snprintf(buf, RTE_MEMPOOL_NAMESIZE, "%s_%s", prefix, what);
	return buf;
}

void
bench_pools_create(struct bench_pools *pools, const char *prefix)
{
	int socket = (int)rte_socket_id();
	char name[RTE_MEMPOOL_NAMESIZE];

	pools->payload = plm_pool_create_rx(pool_name(name, prefix, "payload"), 4095, 1500, socket);
	pools->hdr = plm_pool_create_hdr(pool_name(name, prefix, "hdr"), 4095, socket);
	pools->copy = plm_pool_create_copy(pool_name(name, prefix, "copy"), 4095, 1500, socket);
	pools->indirect = rte_pktmbuf_pool_create(pool_name(name, prefix, "indirect"), 4095, 256, 0,
			0, socket);
	if (pools->payload == NULL || pools->hdr == NULL || pools->copy == NULL ||
			pools->indirect == NULL)
		bench_die("not enough memory for the pools");
	for (unsigned int i = 0; i < BENCH_MEMBERS_MAX; i++)
		memset(hdrs[i].bytes, (int)i, sizeof(hdrs[i].bytes));
}

void
bench_pools_free(struct bench_pools *pools)
{
	rte_mempool_free(pools->indirect);
	rte_mempool_free(pools->copy);
	rte_mempool_free(pools->hdr);
	rte_mempool_free(pools->payload);
}

static __rte_always_inline void
send_all(const struct bench_primitive *p, struct rte_mbuf **m, uint16_t n)
{
	uint16_t sent = 0;

	while (sent < n)
		sent += rte_eth_tx_burst(p->ethdev_id, p->queue_id, m + sent, n - sent);
}

static __rte_always_inline void
copies_send(const struct bench_primitive *p, const enum bench_primitive_kind kind,
		struct rte_mbuf *payload)
{
	struct rte_mempool *pool = kind == BENCH_COPIED ? p->pools->copy : p->pools->hdr;
	struct rte_mbuf *m[BENCH_BURST];

	for (uint16_t done = 0; done < p->copies;) {
		uint16_t n = RTE_MIN((uint16_t)BENCH_BURST, (uint16_t)(p->copies - done));

		if (rte_pktmbuf_alloc_bulk(pool, m, n) != 0)
			bench_die("header pool is empty");
		for (uint16_t i = 0; i < n; i++) {
			uint8_t *frame = rte_pktmbuf_mtod(m[i], uint8_t *);

			memcpy(frame, hdrs[done + i].bytes, BENCH_HDR);
			m[i]->data_len = BENCH_HDR;
			m[i]->pkt_len = BENCH_HDR;
			if (kind == BENCH_SHARED) {
				m[i]->next = payload;
				m[i]->nb_segs = 2;
				m[i]->pkt_len += p->size;
			} else if (kind == BENCH_CLONED) {
				m[i]->next = rte_pktmbuf_clone(payload, p->pools->indirect);
				m[i]->nb_segs = 2;
				m[i]->pkt_len += p->size;
			} else if (kind == BENCH_COPIED) {
				rte_memcpy(frame + BENCH_HDR, rte_pktmbuf_mtod(payload, void *),
						p->size);
				m[i]->data_len += p->size;
				m[i]->pkt_len += p->size;
			}
		}
		send_all(p, m, n);
		done += n;
	}
}

static __rte_always_inline void
fan_out(const struct bench_primitive *p, const enum bench_primitive_kind kind)
{
	struct rte_mbuf *payload = rte_pktmbuf_alloc(p->pools->payload);

	if (payload == NULL)
		bench_die("payload pool is empty");
	payload->data_len = p->size;
	payload->pkt_len = p->size;
	if (kind == BENCH_SHARED)
		rte_mbuf_refcnt_update(payload, (int16_t)p->copies);
	copies_send(p, kind, payload);
	rte_pktmbuf_free(payload);
}

void
bench_primitive_send(const struct bench_primitive *p, struct rte_mbuf *payload)
{
	copies_send(p, BENCH_SHARED, payload);
}

void
bench_primitive_once(const struct bench_primitive *p)
{
	switch (p->kind) {
	case BENCH_SHARED:
		fan_out(p, BENCH_SHARED);
		break;
	case BENCH_CLONED:
		fan_out(p, BENCH_CLONED);
		break;
	case BENCH_COPIED:
		fan_out(p, BENCH_COPIED);
		break;
	default:
		fan_out(p, BENCH_HEADER);
		break;
	}
}

static uint64_t
run_until(const struct bench_primitive *p, uint64_t end)
{
	uint64_t copies = 0;

	do {
		for (unsigned int i = 0; i < BENCH_BURST; i++)
			bench_primitive_once(p);
		copies += (uint64_t)BENCH_BURST * p->copies;
	} while (rte_rdtsc() < end);
	return copies;
}

double
bench_primitive_sample(const struct bench_primitive *p, double ns)
{
	uint64_t begun = rte_rdtsc();
	uint64_t copies;

	run_until(p, begun + bench_cycles(ns * WARM_UP));
	begun = rte_rdtsc();
	copies = run_until(p, begun + bench_cycles(ns));
	return bench_ns(rte_rdtsc() - begun) / (double)copies;
}

/* --- section 1 of the report --------------------------------------------------------------- */

#define SAMPLE_NS 2e6

struct task {
	struct bench_primitive p;
	double ns;
};

static int
sample_task(void *arg)
{
	struct task *task = arg;

	task->ns = bench_primitive_sample(&task->p, SAMPLE_NS);
	return 0;
}

static void
add_figure(enum bench_primitive_kind kind, uint16_t copies, uint16_t size, bool in_flight)
{
	struct bench_figures *f = &bench_figures;

	f->primitive = realloc(f->primitive, (f->nb_primitive + 1) * sizeof(*f->primitive));
	if (f->primitive == NULL)
		bench_die("out of memory");
	f->primitive[f->nb_primitive++] = (struct bench_figure_primitive){
		.kind = kind,
		.copies = copies,
		.size = size,
		.in_flight = in_flight,
	};
}

void
bench_primitive_all(const struct bench_options *opt)
{
	static const uint16_t counts[] = { 1, 10, 100, 1000 };
	static const uint16_t sizes[] = { 100, 200, 1200 };
	struct bench_figures *f = &bench_figures;
	struct bench_port ring = { 0 };
	struct bench_port null = { 0 };
	struct bench_pools pools;

	bench_pools_create(&pools, "prim");
	bench_port_open(&ring, "prim", 1, &pools.payload);
	bench_port_open_null(&null, &pools.payload);
	for (int in_flight = 1; in_flight >= 0; in_flight--)
		for (int kind = 0; kind < BENCH_PRIMITIVE_KINDS; kind++)
			for (unsigned int c = 0; c < RTE_DIM(counts); c++)
				for (unsigned int s = 0; s < RTE_DIM(sizes); s++)
					if (kind == BENCH_SHARED || counts[c] == 10 ||
							counts[c] == 100)
						add_figure(kind, counts[c], sizes[s], in_flight);

	for (unsigned int r = 0; r < opt->repetitions; r++) {
		for (unsigned int i = 0; i < f->nb_primitive; i++) {
			struct bench_figure_primitive *fig = &f->primitive[i];
			struct task task = { .p = { .kind = fig->kind,
							     .copies = fig->copies,
							     .size = fig->size,
							     .pools = &pools } };

			task.p.ethdev_id =
					fig->in_flight ? ring.port.ethdev_id : null.port.ethdev_id;
			bench_sample(sample_task, &task, NULL);
			bench_series_add(&fig->ns, task.ns);
		}
	}
	bench_port_drain(&ring, 0);
	bench_port_close(&null);
	bench_port_close(&ring);
	bench_pools_free(&pools);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packet path on several workers at once, each a thread on a CPU of its own. No generator takes
 * part: before a sample each worker writes its packets into a ring of its own, then all begin
 * together, and a burst reaches a worker's port when the one before is served. What is compared with
 * one worker is done in the same way by one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_malloc.h>

#include "bench.h"

#define PRELOAD_MAX 8192   /* packets of a worker and sample */
#define COPIES      250000 /* of a worker and sample, about */
#define SIZE        200
/* Bursts that a worker may be ahead of the slowest: what is handed over must fit a ring. */
#define AHEAD 16

/* What there is to do; each is measured with every number of workers. */
static const struct shape {
	uint32_t rooms; /* in all, or 0: one a worker */
	uint32_t members;
	bool spread; /* rooms over all workers, instead of each on one of them */
} shapes[] = {
	{ .rooms = 0, .members = 1000 },
	{ .rooms = 1000, .members = 3 },
	{ .rooms = 1, .members = 1000, .spread = true },
	{ .rooms = 1, .members = 10000, .spread = true },
};

struct lane {
	/* const */
	struct crew *crew;
	unsigned int worker;
	struct rte_ring *ring;
	struct bench_feed feed;
	unsigned int nb_packets;
	/* of its worker */
	uint64_t cycles;
	uint64_t copies;
	bool disturbed;
	/* its worker writes, all read */
	alignas(RTE_CACHE_LINE_SIZE) _Atomic uint64_t nb_bursts;
};

/* A rig and its workers. */
struct crew {
	struct bench_rig rig;
	struct bench_set *sets; /* of each shape one a worker; a spread one is in the first */
	struct lane *lanes;
	uint64_t copies_due; /* counted from the rig's beginning */
	alignas(RTE_CACHE_LINE_SIZE) _Atomic unsigned int nb_ready;
};

static uint64_t
copies_sent(const struct bench_rig *rig, unsigned int worker)
{
	return plm_counter_get(plm_relay_counters(rig->relay, worker), PLM_CNT_COPIES_SENT);
}

static uint64_t
copies_of_all(const struct bench_rig *rig)
{
	uint64_t n = 0;

	for (unsigned int w = 0; w < rig->nb_workers; w++)
		n += copies_sent(rig, w);
	return n;
}

/* The next burst, unless the others are far behind. */
static void
receive(struct lane *lane)
{
	const struct crew *crew = lane->crew;
	uint64_t mine = atomic_load_explicit(&lane->nb_bursts, memory_order_relaxed);
	void *m[BENCH_BURST];

	for (unsigned int w = 0; w < crew->rig.nb_workers; w++)
		if (atomic_load_explicit(&crew->lanes[w].nb_bursts, memory_order_relaxed) + AHEAD <
				mine)
			return;
	if (rte_ring_sc_dequeue_bulk(lane->ring, m, BENCH_BURST, NULL) == 0)
		return;
	rte_ring_sp_enqueue_bulk(crew->rig.port.rx[lane->worker], m, BENCH_BURST, NULL);
	atomic_store_explicit(&lane->nb_bursts, mine + 1, memory_order_relaxed);
}

static void
work(struct lane *lane)
{
	struct crew *crew = lane->crew;
	const struct bench_rig *rig = &crew->rig;
	const uint64_t give_up = rte_rdtsc() + bench_cycles(5e9);
	uint64_t copies = copies_sent(rig, lane->worker);

	lane->cycles = 0;
	for (;;) {
		uint64_t begun, ended;
		unsigned int done;

		if (plm_relay_parked(rig->relay, lane->worker) == 0)
			receive(lane);
		begun = rte_rdtsc();
		done = plm_relay_turn(rig->relay, lane->worker, (uint64_t)bench_ns(begun));
		ended = rte_rdtsc();
		if (done > 0)
			lane->cycles += ended - begun;
		else if (copies_of_all(rig) == crew->copies_due)
			break;
		if (ended > give_up)
			bench_die("worker %u waits for copies: %" PRIu64 " of %" PRIu64
				  " were sent",
					lane->worker, copies_of_all(rig), crew->copies_due);
	}
	lane->copies = copies_sent(rig, lane->worker) - copies;
}

static int
lane_run(void *arg)
{
	struct lane *lane = arg;
	struct crew *crew = lane->crew;
	struct bench_watch watch;

	for (unsigned int i = 0; i < lane->nb_packets; i += BENCH_BURST)
		if (!bench_feed_put(&lane->feed, lane->ring, BENCH_BURST))
			bench_die("RX pool or ring is exhausted");
	atomic_store_explicit(&lane->nb_bursts, 0, memory_order_relaxed);
	/* Release: whoever sees everybody ready sees where everybody begins. */
	atomic_fetch_add_explicit(&crew->nb_ready, 1, memory_order_acq_rel);
	while (atomic_load_explicit(&crew->nb_ready, memory_order_acquire) < crew->rig.nb_workers)
		rte_pause();
	bench_watch_start(&watch);
	work(lane);
	lane->disturbed = bench_watch_disturbed(&watch);
	return 0;
}

/* All lanes at once; the last one runs here when there is no other CPU for it. */
static void
run_lanes(struct crew *crew)
{
	unsigned int lcore = rte_get_next_lcore(-1, 1, 0);
	unsigned int w = 0;

	atomic_store_explicit(&crew->nb_ready, 0, memory_order_relaxed);
	for (; w < crew->rig.nb_workers && lcore < RTE_MAX_LCORE; w++) {
		if (rte_eal_remote_launch(lane_run, &crew->lanes[w], lcore) != 0)
			bench_die("the worker lcore is busy");
		lcore = rte_get_next_lcore(lcore, 1, 0);
	}
	if (w < crew->rig.nb_workers)
		lane_run(&crew->lanes[w]);
	rte_eal_mp_wait_lcore();
}

/* One sample: ns per copy of all workers, and of the one whose copies cost most. */
static void
sample(struct crew *crew, unsigned int shape, double *ns, double *ns_slowest)
{
	struct bench_rig *rig = &crew->rig;
	uint32_t members = shapes[shape].members;
	unsigned int nb_packets = RTE_MIN(COPIES / (members - 1), (unsigned int)PRELOAD_MAX);
	static uint64_t seed = 1;

	nb_packets = RTE_ALIGN_CEIL(nb_packets, BENCH_BURST);
	for (unsigned int try = 0; try < BENCH_RETRIES; try++) {
		uint64_t cycles = 0;
		uint64_t copies = 0;
		bool disturbed = false;

		for (unsigned int w = 0; w < rig->nb_workers; w++) {
			struct lane *lane = &crew->lanes[w];
			bool spread = shapes[shape].spread;

			lane->nb_packets = nb_packets;
			lane->feed = (struct bench_feed){ .rig = rig,
				.set = &crew->sets[shape * rig->nb_workers + (spread ? 0 : w)],
				.queue = (uint16_t)w,
				.publisher = (uint16_t)(spread ? w : 0),
				.size = SIZE,
				.burst = BENCH_BURST,
				.random = seed++ * UINT64_C(0x9e3779b97f4a7c15) };
		}
		crew->copies_due = copies_of_all(rig) +
				(uint64_t)rig->nb_workers * nb_packets * (members - 1);
		run_lanes(crew);
		bench_rig_slow(rig);
		*ns_slowest = 0;
		for (unsigned int w = 0; w < rig->nb_workers; w++) {
			const struct lane *lane = &crew->lanes[w];

			cycles += lane->cycles;
			copies += lane->copies;
			disturbed = disturbed || lane->disturbed;
			*ns_slowest = RTE_MAX(*ns_slowest,
					bench_ns(lane->cycles) / (double)lane->copies);
		}
		*ns = bench_ns(cycles) / (double)copies;
		if (!disturbed)
			return;
		bench_figures.repeated++;
	}
	bench_figures.disturbed++;
}

static int
warm(void *arg)
{
	bench_rig_warm(arg);
	return 0;
}

static struct crew *
crew_create(unsigned int nb_workers)
{
	struct crew *crew = rte_zmalloc("crew", sizeof(*crew), RTE_CACHE_LINE_SIZE);
	char *name;

	if (crew == NULL || asprintf(&name, "work%u", nb_workers) < 0)
		bench_die("out of memory");
	crew->sets = calloc(RTE_DIM(shapes) * nb_workers, sizeof(*crew->sets));
	crew->lanes = rte_zmalloc("lanes", nb_workers * sizeof(*crew->lanes), RTE_CACHE_LINE_SIZE);
	if (crew->sets == NULL || crew->lanes == NULL)
		bench_die("out of memory");
	for (unsigned int i = 0; i < RTE_DIM(shapes); i++) {
		for (unsigned int w = 0; w < nb_workers; w++) {
			struct bench_set *set = &crew->sets[i * nb_workers + w];

			set->members = shapes[i].members;
			set->spread = shapes[i].spread;
			set->home = shapes[i].spread ? 0 : w;
			if (!shapes[i].spread)
				set->rooms = shapes[i].rooms > 0 ? shapes[i].rooms / nb_workers : 1;
			else if (w == 0)
				set->rooms = shapes[i].rooms;
		}
	}
	crew->rig.name = name;
	crew->rig.nb_workers = nb_workers;
	crew->rig.sets = crew->sets;
	crew->rig.nb_sets = RTE_DIM(shapes) * nb_workers;
	crew->rig.preload = PRELOAD_MAX;
	bench_rig_create(&crew->rig);
	for (unsigned int w = 0; w < nb_workers; w++) {
		crew->lanes[w].crew = crew;
		crew->lanes[w].worker = w;
		crew->lanes[w].ring = bench_ring_create(name, "lane", w, PRELOAD_MAX);
	}
	bench_on_worker(warm, &crew->rig, NULL);
	return crew;
}

static void
crew_free(struct crew *crew)
{
	bench_rig_check(&crew->rig);
	bench_rig_free(&crew->rig);
	for (unsigned int w = 0; w < crew->rig.nb_workers; w++)
		rte_ring_free(crew->lanes[w].ring);
	rte_free(crew->lanes);
	free(crew->sets);
	rte_free(crew);
}

/* Row by row: the workers' sample follows one worker's at once, and both are a pair. */
static void
sample_pair(struct crew *one, struct crew *crew, unsigned int shape,
		struct bench_figure_workers *fig_one, struct bench_figure_workers *fig)
{
	double ns_one, ns, ns_slowest;

	sample(one, shape, &ns_one, &ns_slowest);
	bench_series_add(&fig_one->ns_per_copy, ns_one);
	bench_series_add(&fig_one->ns_slowest, ns_slowest);
	sample(crew, shape, &ns, &ns_slowest);
	bench_series_add(&fig->ns_per_copy, ns);
	bench_series_add(&fig->ns_slowest, ns_slowest);
	bench_series_add(&fig->x_one_worker, ns / ns_one);
}

static void
figure_init(struct bench_figure_workers *fig, const struct crew *crew, unsigned int shape)
{
	fig->workers = crew->rig.nb_workers;
	for (unsigned int w = 0; w < crew->rig.nb_workers; w++)
		fig->rooms += crew->sets[shape * crew->rig.nb_workers + w].rooms;
	fig->members = shapes[shape].members;
	fig->size = SIZE;
	fig->spread = shapes[shape].spread;
}

void
bench_workers_all(const struct bench_options *opt)
{
	struct bench_figures *f = &bench_figures;
	struct crew *crews[PLM_WORKERS_MAX];
	unsigned int nb_crews = 0;

	for (unsigned int n = 1; n <= opt->workers;
			n = n < opt->workers ? RTE_MIN(2 * n, opt->workers) : n + 1)
		crews[nb_crews++] = crew_create(n);
	f->nb_workers = nb_crews * RTE_DIM(shapes);
	f->workers = calloc(f->nb_workers, sizeof(*f->workers));
	if (f->workers == NULL)
		bench_die("out of memory");
	for (unsigned int i = 0; i < f->nb_workers; i++)
		figure_init(&f->workers[i], crews[i % nb_crews], i / nb_crews);
	for (unsigned int r = 0; r < opt->repetitions; r++) {
		for (unsigned int s = 0; s < RTE_DIM(shapes); s++) {
			struct bench_figure_workers *figs = &f->workers[s * nb_crews];

			for (unsigned int c = 1; c < nb_crews; c++)
				sample_pair(crews[0], crews[c], s, &figs[0], &figs[c]);
		}
	}
	for (unsigned int c = 0; c < nb_crews; c++)
		crew_free(crews[c]);
}

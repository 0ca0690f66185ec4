/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a worker on a CPU of its own carries without loss, and how late. Main is the wire: it puts
 * packets into the port's RX ring when its schedule wants them there, dropping what finds the ring full,
 * as a NIC does, and takes every copy from the TX ring. It counts all of them and reads the intended
 * time in some; the others it does not touch, so their lines stay with the worker, which frees them
 * as a driver does.
 *
 *   schedule ──▶ RX ring ──▶ plm_relay_turn() ──▶ TX ring ──▶ sink
 *
 * What the wire itself could not offer in time is lost, too, so that it cannot pass for a relay.
 *
 * A trial is made of windows, each of which begins with empty queues and some packets that are not
 * timed. A window during which a thread was preempted, or time was stolen, is taken again, whatever it
 * showed, at most as often as a trial has windows; after that the rest counts as it is.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_launch.h>
#include <rte_lcore.h>

#include "bench.h"
#include "load.h"

#define DESCRIPTORS 1024 /* of the RX queue: what a configuration gets that says nothing */
#define SINK_BURST  512
#define LOOK_EVERY  31 /* of so many copies one is looked at; no divisor of a room's members */
#define QUIET_NS    (2 * PLM_NS_PER_S) /* nothing came for so long: nothing will */

#define WINDOW_NS (20 * PLM_NS_PER_MS)
#define WARM_NS   (PLM_NS_PER_MS)      /* of a window, not timed */
#define AWAY_NS   (50 * PLM_NS_PER_US) /* a thread without its CPU for longer was disturbed */

#define FLAT_NS        (300 * PLM_NS_PER_MS)
#define SEARCH_NS      (PLM_NS_PER_S / 2)
#define TRIALS         3
#define PRECISION      0.01
#define SEARCHES_AGAIN 2   /* of PDR, when it does not hold while latency is measured */
#define CEILING        1.2 /* times what goes flat out */
#define PDR_LOSS       0.005
#define LATENCY_NS     (2 * PLM_NS_PER_S)
#define GRACE          100 /* what is due at the end may be offered so much of the time later */
#define QUICK          20  /* times shorter, to see that it works */
#define LOSS_LOAD      0.8
#define LOSS_NS        (500 * PLM_NS_PER_MS)
#define LOSS_COPIES    100000000u

static const double loads[] = { 0.1, 0.5, 0.9 };

/* What is measured; latency and loss of the first. */
static const struct shape {
	uint32_t rooms;
	uint32_t members;
	uint16_t size;
} shapes[] = {
	{ 1, 11, 200 },
	{ 1, 11, 1200 },
	{ 1, 101, 200 },
	{ 1000, 3, 200 },
};

/* Was a thread left alone while packets were offered? */
struct rest {
	bool disturbed;
	uint64_t away_ns; /* without a CPU */
};

struct wire {
	struct bench_rig rig;
	struct bench_feed feed;
	struct load_pace pace;
	uint64_t run;       /* number of the window; 0 in stamps: not timed */
	unsigned int quick; /* trials are so many times shorter */
	bool miscounts;     /* for the test of check_books() */
	/* of this window */
	uint64_t missed; /* packets that found no descriptor */
	uint64_t unsent; /* packets that were not offered in time */
	uint64_t no_mbuf;
	uint64_t received;
	uint64_t stale; /* looked at, and of another run */
	uint64_t last_ns;
	unsigned int skip; /* copies until the next look */
	struct plm_hist latency;

	/* the worker's, read when it has ended */
	struct rest rest;
	uint64_t longest; /* turn, cycles */
	double busy;      /* of its time, in turns that found something */
	/* main stores, the worker reads */
	alignas(RTE_CACHE_LINE_SIZE) _Atomic bool stop;
};

struct trial {
	uint64_t due;
	uint64_t lost;
	uint64_t received;
	unsigned int windows;
	unsigned int disturbed; /* of them, counted all the same */
	unsigned int repeated;  /* not counted */
	uint64_t repeated_lost; /* in those */
	uint64_t away_ns;       /* both threads without a CPU */
	double longest_us;      /* turn */
	double worker_busy;     /* of all time */
	double wire_busy;
	struct plm_hist end_to_end;
	struct plm_hist in_relay;
};

static uint64_t
now_ns(void)
{
	return (uint64_t)bench_ns(rte_rdtsc());
}

/* --- the wire -------------------------------------------------------------------------------- */

/* A copy's stamp stands behind its headers, or in the segment that they are chained to. */
static void
look(struct wire *wire, const struct rte_mbuf *m)
{
	struct bench_stamp stamp;
	size_t off = BENCH_STAMP_OFFSET;

	if (m->nb_segs > 1) {
		off -= m->data_len;
		m = m->next;
	}
	memcpy(&stamp, rte_pktmbuf_mtod_offset(m, const void *, off), sizeof(stamp));
	if (stamp.run == wire->run)
		plm_hist_add(&wire->latency, now_ns() - stamp.intended_ns);
	else if (stamp.run != 0)
		wire->stale++;
}

static unsigned int
sink(struct wire *wire)
{
	struct rte_ring *tx = wire->rig.port.tx[0];
	struct rte_ring_zc_data at;
	unsigned int n = rte_ring_dequeue_zc_burst_start(tx, SINK_BURST, &at, NULL);
	unsigned int i = wire->skip;

	if (n > 0) {
		wire->last_ns = now_ns();
		wire->received += n;
		for (; i < n; i += LOOK_EVERY)
			look(wire,
					i < at.n1 ? ((struct rte_mbuf **)at.ptr1)[i]
						  : ((struct rte_mbuf **)at.ptr2)[i - at.n1]);
		wire->skip = i - n;
	}
	rte_ring_dequeue_zc_finish(tx, n); /* the worker may free them now */
	return n;
}

/* What is due goes to the RX ring, or is lost. */
static unsigned int
generate(struct wire *wire)
{
	struct rte_ring *rx = wire->rig.port.rx[0];
	uint64_t due = load_pace_due(&wire->pace, now_ns());
	unsigned int n = (unsigned int)RTE_MIN(due, (uint64_t)BENCH_BURST);
	unsigned int room = rte_ring_free_count(rx);
	struct bench_stamp stamps[BENCH_BURST];
	struct rte_mbuf *m[BENCH_BURST];

	if (wire->pace.rate == 0) /* flat out: what there is room for is due */
		n = RTE_MIN(n, room);
	if (n == 0)
		return n;
	for (unsigned int i = 0; i < n; i++) {
		stamps[i].intended_ns = wire->pace.rate == 0
				? wire->last_ns
				: load_pace_at(&wire->pace, wire->pace.n + i);
		stamps[i].run = stamps[i].intended_ns < wire->pace.start_ns + WARM_NS ? 0
										      : wire->run;
	}
	wire->pace.n += n;
	if (n > room) {
		wire->missed += n - room;
		n = room;
	}
	if (n == 0)
		return n;
	if (!bench_feed_make(&wire->feed, m, n, stamps)) {
		wire->no_mbuf += n;
		return n;
	}
	rte_ring_sp_enqueue_bulk(rx, (void **)m, n, NULL);
	return n;
}

/* Watches the calling thread while packets are offered. */
struct guard {
	enum { GUARD_WAITS, GUARD_WATCHES, GUARD_OVER } state;
	struct bench_watch watch;
};

static inline void
guard_turn(struct guard *guard, const struct load_pace *pace, uint64_t now, struct rest *rest)
{
	if (guard->state == GUARD_WAITS && now >= pace->start_ns) {
		bench_watch_start(&guard->watch);
		guard->state = GUARD_WATCHES;
	} else if (guard->state == GUARD_WATCHES && now >= pace->end_ns) {
		rest->away_ns = bench_watch_away_ns(&guard->watch);
		rest->disturbed = bench_watch_disturbed(&guard->watch) || rest->away_ns > AWAY_NS;
		guard->state = GUARD_OVER;
	}
}

static int
worker_run(void *arg)
{
	struct wire *wire = arg;
	const uint64_t start = rte_rdtsc();
	struct guard guard = { 0 };
	uint64_t spent = 0;

	wire->longest = 0;
	while (!atomic_load_explicit(&wire->stop, memory_order_relaxed)) {
		uint64_t begun = rte_rdtsc();
		uint64_t turn;

		guard_turn(&guard, &wire->pace, (uint64_t)bench_ns(begun), &wire->rest);
		if (plm_relay_turn(wire->rig.relay, 0, (uint64_t)bench_ns(begun)) == 0)
			continue;
		turn = rte_rdtsc() - begun;
		spent += turn;
		wire->longest = RTE_MAX(wire->longest, turn);
	}
	wire->busy = (double)spent / (double)(rte_rdtsc() - start);
	return 0;
}

/* --- a window, and a trial -------------------------------------------------------------------- */

static uint64_t
drops(const struct bench_rig *rig, enum plm_counter_class class)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < PLM_CNT_MAX; i++)
		if (plm_counter_defs[i].class == class)
			n += plm_counter_get(plm_relay_counters(rig->relay, 0), i);
	return n;
}

static uint64_t
lost_on_wire(const struct wire *wire)
{
	return wire->missed + wire->no_mbuf + wire->unsent;
}

/* What the wire lost and what the relay says that it dropped must be the same. */
static void
check_books(const struct wire *wire, uint64_t lost, uint64_t packets, uint64_t copies)
{
	uint64_t told = copies + (packets + lost_on_wire(wire)) * (wire->feed.set->members - 1);

	if (lost != told)
		bench_die("%" PRIu64 " copies were lost, and the counters say %" PRIu64, lost,
				told);
	if (wire->stale > 0)
		bench_die("copies of an earlier trial came late");
}

/* All was offered, and all came back or nothing will. */
static bool
is_over(const struct wire *wire)
{
	uint64_t now = now_ns();

	if (now < wire->pace.end_ns || load_pace_due(&wire->pace, now) > 0)
		return false;
	return wire->received ==
			(wire->pace.n - lost_on_wire(wire)) * (wire->feed.set->members - 1) ||
			now > wire->last_ns + QUIET_NS;
}

/* Main's part of a trial. Returns the part of the time in which it had something to do. */
static double
play(struct wire *wire, struct rest *rest)
{
	const uint64_t begun = rte_rdtsc();
	const struct load_pace *pace = &wire->pace;
	const uint64_t late_ns = pace->end_ns + (pace->end_ns - pace->start_ns) / GRACE;
	struct guard guard = { 0 };
	uint64_t busy = 0;

	while (!is_over(wire)) {
		uint64_t turn = rte_rdtsc();
		uint64_t now = (uint64_t)bench_ns(turn);

		if (now > late_ns) {
			uint64_t due = load_pace_due(pace, now);

			wire->unsent += due;
			wire->pace.n += due;
		}
		guard_turn(&guard, pace, now, rest);
		if (generate(wire) + sink(wire) > 0)
			busy += rte_rdtsc() - turn;
	}
	guard_turn(&guard, pace, now_ns(), rest);
	return (double)busy / (double)(rte_rdtsc() - begun);
}

/* Add a window to a trial. False: it was disturbed. */
static bool
window_run(struct wire *wire, const struct shape *shape, uint64_t rate, uint64_t ns,
		struct trial *t)
{
	static struct plm_hist before, in_relay;
	const struct plm_hist *relay = plm_relay_latency(wire->rig.relay, 0);
	uint64_t packets = drops(&wire->rig, PLM_CLASS_RX_DROP);
	uint64_t copies = drops(&wire->rig, PLM_CLASS_COPY_DROP);
	const uint64_t start = now_ns() + 2 * PLM_NS_PER_MS; /* the worker is awake by then */
	const unsigned int nb_copies = shape->members - 1;
	const bool may_repeat = rate > 0 && t->repeated < t->windows;
	struct rest rest = { 0 };
	uint64_t due, lost;
	double wire_busy;

	before = *relay;
	wire->run++;
	wire->missed = wire->no_mbuf = wire->unsent = wire->received = 0;
	wire->latency = (struct plm_hist){ 0 };
	wire->rest = (struct rest){ 0 };
	wire->pace = (struct load_pace){ .start_ns = start, .end_ns = start + ns, .rate = rate };
	wire->last_ns = start;
	atomic_store_explicit(&wire->stop, false, memory_order_relaxed);
	if (rte_eal_remote_launch(worker_run, wire, rte_get_next_lcore(-1, 1, 0)) != 0)
		bench_die("the worker lcore is busy");
	wire_busy = play(wire, &rest);
	atomic_store_explicit(&wire->stop, true, memory_order_relaxed);
	rte_eal_mp_wait_lcore();
	bench_rig_slow(&wire->rig);

	wire->received -= wire->miscounts;
	due = wire->pace.n * nb_copies;
	lost = due - wire->received;
	check_books(wire, lost, drops(&wire->rig, PLM_CLASS_RX_DROP) - packets,
			drops(&wire->rig, PLM_CLASS_COPY_DROP) - copies);
	if (rest.disturbed || wire->rest.disturbed) {
		if (may_repeat) {
			t->repeated++;
			t->repeated_lost += lost;
			return false;
		}
		t->disturbed++;
	}
	t->due += due;
	t->lost += lost;
	t->received += wire->received;
	t->away_ns += rest.away_ns + wire->rest.away_ns;
	t->longest_us = RTE_MAX(t->longest_us, bench_ns(wire->longest) / 1e3);
	t->worker_busy += wire->busy / t->windows;
	t->wire_busy += wire_busy / t->windows;
	plm_hist_merge(&t->end_to_end, &wire->latency);
	bench_hist_since(&in_relay, &before, relay);
	plm_hist_merge(&t->in_relay, &in_relay);
	return true;
}

static void
trial_run(struct wire *wire, const struct shape *shape, uint64_t rate, uint64_t ns, struct trial *t)
{
	const uint64_t window_ns = RTE_MIN(ns, (uint64_t)WINDOW_NS);

	*t = (struct trial){ .windows = (unsigned int)(ns / window_ns) };
	wire->feed.set = &wire->rig.sets[shape - shapes];
	wire->feed.size = shape->size;
	for (unsigned int i = 0; i < t->windows;)
		i += window_run(wire, shape, rate, window_ns, t);
	/* Who never came is later than all who did. */
	for (uint64_t i = 0; i < t->lost / LOOK_EVERY; i++)
		plm_hist_add(&t->end_to_end, UINT64_MAX);
}

/* --- what is made of trials ------------------------------------------------------------------ */

/* Packets per second of a worker that never waits for any. */
static double
flat_out(struct wire *wire, const struct shape *shape, double *wire_busy)
{
	static struct trial t;

	trial_run(wire, shape, 0, FLAT_NS / wire->quick, &t);
	*wire_busy = t.wire_busy;
	fprintf(stderr, "  flat out the worker is busy %.0f %% of the time, the wire %.0f %%\n",
			100 * t.worker_busy, 100 * t.wire_busy);
	return (double)t.received / (shape->members - 1) / ((double)(FLAT_NS / wire->quick) / 1e9);
}

/* The highest rate that loses at most `limit`; `repeated` windows were taken again. */
static uint64_t
search(struct wire *wire, const struct shape *shape, double ceiling, double limit,
		unsigned int *repeated)
{
	const uint64_t ns = SEARCH_NS / wire->quick;
	static struct trial t;
	struct load_search s;

	load_search_init(&s, (uint64_t)ceiling, TRIALS, PRECISION * wire->quick);
	while (!s.over) {
		bool passed;

		trial_run(wire, shape, s.rate, ns, &t);
		passed = (double)t.lost <= limit * (double)t.due;
		fprintf(stderr,
				"    %" PRIu64 " packets/s: %" PRIu64 " of %" PRIu64
				" copies lost; %u windows of %u taken again, %u disturbed%s\n",
				s.rate, t.lost, t.due, t.repeated, t.windows, t.disturbed,
				passed ? "" : ": failed");
		*repeated += t.repeated;
		load_search_tell(&s, passed ? LOAD_PASSED : LOAD_FAILED);
	}
	return s.good;
}

static void
search_pdr(struct wire *wire, const struct shape *shape, struct bench_figure_rate *r)
{
	r->pdr_pps = search(wire, shape, CEILING * r->flat_pps, PDR_LOSS, &r->pdr_repeated);
	r->pdr_searches++;
}

static void
measure_rate(struct wire *wire, const struct shape *shape, struct bench_figure_rate *r)
{
	r->rooms = shape->rooms;
	r->members = shape->members;
	r->size = shape->size;
	r->flat_pps = flat_out(wire, shape, &r->wire_busy);
	r->ndr_pps = search(wire, shape, CEILING * r->flat_pps, 0, &r->ndr_repeated);
	search_pdr(wire, shape, r);
	fprintf(stderr,
			"  %u x %u, %u B: flat out %.0f packets/s, NDR %" PRIu64 ", PDR %" PRIu64
			"\n",
			r->rooms, r->members, r->size, r->flat_pps, r->ndr_pps, r->pdr_pps);
}

static double
quantile_us(const struct plm_hist *hist, unsigned int permille_x10)
{
	return (double)plm_hist_quantile(hist, permille_x10) / 1e3;
}

static void
keep_latency(struct bench_figure_latency *fig, const struct plm_hist *hist)
{
	bench_series_add(&fig->p50_us, quantile_us(hist, 5000));
	bench_series_add(&fig->p99_us, quantile_us(hist, 9900));
	bench_series_add(&fig->p999_us, quantile_us(hist, 9990));
}

static void
measure_load(struct wire *wire, struct bench_figure_latency *both)
{
	const unsigned int trials = wire->quick > 1 ? 1 : BENCH_LATENCY_TRIALS;
	static struct trial t;

	for (unsigned int i = 0; i < trials; i++) {
		trial_run(wire, &shapes[0], both[0].rate_pps, LATENCY_NS / wire->quick, &t);
		fprintf(stderr,
				"  %.0f %% of PDR: p50 %.1f, p99 %.1f, p99.9 %.1f us; %" PRIu64
				" lost; busy %.0f and %.0f %%, longest turn %.0f us; %u windows of %u taken "
				"again, %u disturbed\n",
				100 * both[0].load, quantile_us(&t.end_to_end, 5000),
				quantile_us(&t.end_to_end, 9900), quantile_us(&t.end_to_end, 9990),
				t.lost, 100 * t.worker_busy, 100 * t.wire_busy, t.longest_us,
				t.repeated, t.windows, t.disturbed);
		keep_latency(&both[0], &t.end_to_end);
		keep_latency(&both[1], &t.in_relay);
		for (unsigned int k = 0; k < 2; k++) {
			both[k].windows += t.windows;
			both[k].repeated += t.repeated;
			both[k].disturbed += t.disturbed;
			both[k].due += t.due;
			both[k].lost += t.lost;
		}
	}
}

/* A row of both kinds, empty. */
static void
set_load(struct bench_figure_latency *both, double load)
{
	for (unsigned int k = 0; k < 2; k++) {
		bench_series_free(&both[k].p50_us);
		bench_series_free(&both[k].p99_us);
		bench_series_free(&both[k].p999_us);
		both[k] = (struct bench_figure_latency){
			.load = load,
			.rate_pps = (uint64_t)(load * (double)bench_figures.rate[0].pdr_pps),
			.in_relay = k == 1,
		};
	}
}

static void
measure_latency(struct wire *wire)
{
	struct bench_figures *f = &bench_figures;

	f->nb_latency = 2 * RTE_DIM(loads);
	f->latency = calloc(f->nb_latency, sizeof(*f->latency));
	if (f->latency == NULL)
		bench_die("out of memory");
	for (unsigned int i = RTE_DIM(loads); i-- > 0;) {
		struct bench_figure_latency *both = &f->latency[2 * i];

		set_load(both, loads[i]);
		if (both[0].rate_pps > 0)
			measure_load(wire, both);
		/* Who loses more at nine tenths of a rate than that rate may has another rate. */
		if (i == RTE_DIM(loads) - 1 && f->rate[0].pdr_searches <= SEARCHES_AGAIN &&
				(double)both[0].lost > PDR_LOSS * (double)both[0].due) {
			fprintf(stderr, "  the machine has changed: PDR is searched again\n");
			search_pdr(wire, &shapes[0], &f->rate[0]);
			i++;
		}
	}
}

static void
measure_loss(struct wire *wire)
{
	struct bench_figure_loss *loss = &bench_figures.loss;
	static struct trial t;

	loss->load = LOSS_LOAD;
	loss->rate_pps = (uint64_t)(LOSS_LOAD * (double)bench_figures.rate[0].ndr_pps);
	while (loss->rate_pps > 0 && loss->copies < LOSS_COPIES / wire->quick) {
		trial_run(wire, &shapes[0], loss->rate_pps,
				RTE_MAX(LOSS_NS / wire->quick, WINDOW_NS), &t);
		loss->windows += t.windows;
		loss->repeated += t.repeated;
		loss->repeated_lost += t.repeated_lost;
		loss->disturbed += t.disturbed;
		loss->copies += t.due;
		loss->lost += t.lost;
	}
	fprintf(stderr, "  80 %% of NDR: %" PRIu64 " of %" PRIu64 " copies lost\n", loss->lost,
			loss->copies);
}

/* --- all of it ------------------------------------------------------------------------------- */

struct warming {
	struct bench_rig *rig;
	_Atomic bool over;
};

static int
warm(void *arg)
{
	struct warming *warming = arg;

	bench_rig_warm(warming->rig);
	atomic_store_explicit(&warming->over, true, memory_order_relaxed);
	return 0;
}

/* Publishers' first packets; their copies are none of a trial's. */
static void
warm_up(struct wire *wire)
{
	struct warming warming = { .rig = &wire->rig };

	if (rte_eal_remote_launch(warm, &warming, rte_get_next_lcore(-1, 1, 0)) != 0)
		bench_die("the worker lcore is busy");
	while (!atomic_load_explicit(&warming.over, memory_order_relaxed))
		sink(wire);
	rte_eal_mp_wait_lcore();
	while (rte_ring_empty(wire->rig.port.tx[0]) == 0)
		sink(wire);
	wire->stale = 0;
}

void
bench_capacity_all(const struct bench_options *opt)
{
	struct wire *wire = aligned_alloc(RTE_CACHE_LINE_SIZE,
			RTE_ALIGN_CEIL(sizeof(*wire), (size_t)RTE_CACHE_LINE_SIZE));
	struct bench_set sets[RTE_DIM(shapes)] = { 0 };
	struct bench_figures *f = &bench_figures;

	if (wire == NULL)
		bench_die("out of memory");
	memset(wire, 0, sizeof(*wire));
	for (unsigned int i = 0; i < RTE_DIM(shapes); i++) {
		sets[i].rooms = shapes[i].rooms;
		sets[i].members = shapes[i].members;
	}
	wire->rig.name = "wire";
	wire->rig.nb_workers = 1;
	wire->rig.sets = sets;
	wire->rig.nb_sets = RTE_DIM(sets);
	wire->rig.port.sunk = true;
	wire->rig.port.nb_rxd = DESCRIPTORS;
	wire->rig.port.copy_below = BENCH_COPY_BELOW;
	wire->quick = opt->quick ? QUICK : 1;
	wire->miscounts = opt->miscount;
	wire->feed = (struct bench_feed){ .rig = &wire->rig, .burst = BENCH_BURST, .random = 1 };
	bench_rig_create(&wire->rig);
	warm_up(wire);
	f->nb_rate = opt->quick ? 1 : RTE_DIM(shapes);
	f->rate = calloc(f->nb_rate, sizeof(*f->rate));
	if (f->rate == NULL)
		bench_die("out of memory");
	for (unsigned int i = 0; i < f->nb_rate; i++) {
		measure_rate(wire, &shapes[i], &f->rate[i]);
		if (i == 0) { /* while the machine is in the mood in which the rate was found */
			measure_latency(wire);
			measure_loss(wire);
		}
	}
	bench_rig_free(&wire->rig);
	free(wire);
}

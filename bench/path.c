/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The whole packet path in one worker, each sample followed at once by one of the shared primitive
 * with the same size and number of copies: CPUs change their speed every few seconds, so only
 * ratios taken together mean anything. And what crossing a ring costs.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_ethdev.h>

#include "bench.h"

#define SAMPLE_NS  3e6
#define WARM_UP_NS 1e6
#define PAIR_NS    100e6 /* two samples further apart are no pair */
#define PAIR_TRIES 60

/* Rows that a limit compares with the row before follow it at once. */
static struct bench_set sets[] = {
	{ .rooms = 1, .members = 2 },
	{ .rooms = 1, .members = 3 },
	{ .rooms = 1, .members = 10 },
	{ .rooms = 1, .members = 100 },
	{ .rooms = 1, .members = 1000 },
	{ .rooms = 1000, .members = 3 },
	{ .rooms = 100000, .members = 3 },
};

struct task {
	struct bench_rig *rig;
	struct bench_feed feed;
	struct bench_primitive primitive;
	double ns_per_copy;
	double ns_per_ingress;
	double primitive_ns;
};

static int
task_run(void *arg)
{
	struct task *task = arg;
	struct bench_work work;

	atomic_store_explicit(&task->feed.stopped, false, memory_order_relaxed);
	bench_rig_run(task->rig, 0, &task->feed, WARM_UP_NS, &work);
	bench_rig_run(task->rig, 0, &task->feed, SAMPLE_NS, &work);
	bench_rig_finish(task->rig, 0, &task->feed);
	task->ns_per_copy = bench_ns(work.cycles) / (double)work.copies;
	task->ns_per_ingress = task->ns_per_copy * task->primitive.copies;
	task->primitive_ns = bench_primitive_sample(&task->primitive, SAMPLE_NS / 2);
	return 0;
}

static void
sample_figure(struct bench_rig *rig, const struct bench_pools *pools, const struct bench_set *set,
		struct bench_figure_path *fig)
{
	static uint64_t seed = 1;
	struct task task = {
		.rig = rig,
		.feed = { .rig = rig,
				.set = set,
				.size = fig->size,
				.burst = fig->burst,
				.random = seed++ * UINT64_C(0x9e3779b97f4a7c15) },
		.primitive = { .kind = BENCH_SHARED,
				.copies = (uint16_t)(set->members - 1),
				.size = fig->size,
				.ethdev_id = rig->port.port.ethdev_id,
				.pools = pools },
	};

	bench_port_drain(&rig->port, 0);
	bench_ring_drain(rig->waiting);
	bench_sample(task_run, &task, &task.feed);
	bench_rig_slow(rig);
	bench_series_add(&fig->ns_per_copy, task.ns_per_copy);
	bench_series_add(&fig->ns_per_ingress, task.ns_per_ingress);
	bench_series_add(&fig->x_primitive, task.ns_per_copy / task.primitive_ns);
	fig->last_ns_per_copy = task.ns_per_copy;
	fig->last_ns_per_ingress = task.ns_per_ingress;
	fig->at_ns = bench_ns(rte_rdtsc());
}

/* The room of 1 000 against that of 100, and 100 000 rooms against 1 000. */
static void
compare_with_before(struct bench_figure_path *fig)
{
	const struct bench_figure_path *before = fig - 1;

	if (fig->at_ns - before->at_ns > PAIR_NS)
		return;
	if (fig->rooms != before->rooms && fig->rooms > 1 && before->rooms > 1)
		bench_series_add(&fig->x_before_ingress,
				fig->last_ns_per_ingress / before->last_ns_per_ingress);
	else if (fig->members == 1000)
		bench_series_add(&fig->x_before_copy,
				fig->last_ns_per_copy / before->last_ns_per_copy);
}

/* Rows whose pairs fell apart for want of an undisturbed sample. */
static void
repeat_pairs(struct bench_rig *rig, const struct bench_pools *pools)
{
	struct bench_figures *f = &bench_figures;

	for (unsigned int i = 1; i < f->nb_path; i++) {
		struct bench_figure_path *fig = &f->path[i];
		const struct bench_series *pairs =
				fig->members == 1000 ? &fig->x_before_copy : &fig->x_before_ingress;

		if (fig->members != 1000 && fig->rooms != 100000)
			continue;
		for (unsigned int r = 0; r < PAIR_TRIES && pairs->n < BENCH_PAIRS_MIN; r++) {
			sample_figure(rig, pools, &sets[(i - 1) % RTE_DIM(sets)], fig - 1);
			sample_figure(rig, pools, &sets[i % RTE_DIM(sets)], fig);
			compare_with_before(fig);
		}
	}
}

static int
warm(void *arg)
{
	bench_rig_warm(arg);
	return 0;
}

/* Against the kernel's sockets: 1 -> 100, one sample of each right after the other. */
static void
sample_kernel(struct bench_rig *rig, const struct bench_pools *pools,
		const struct bench_options *opt)
{
	struct bench_kernel *kernel = bench_kernel_open(100, 200);
	struct bench_figure_path path = { .size = 200, .burst = BENCH_BURST };
	const struct bench_set *set = &sets[3];

	for (unsigned int r = 0; r < opt->repetitions; r++) {
		double ns, bare_ns;

		bench_kernel_sample(kernel, &ns, &bare_ns);
		sample_figure(rig, pools, set, &path);
		bench_series_add(&bench_figures.to_kernel, ns / path.last_ns_per_copy);
	}
	bench_series_free(&path.ns_per_copy);
	bench_series_free(&path.ns_per_ingress);
	bench_series_free(&path.x_primitive);
	bench_kernel_close(kernel);
}

void
bench_path_all(const struct bench_options *opt)
{
	static const uint16_t sizes[] = { 200, 1200 };
	static const uint16_t bursts[] = { BENCH_BURST, 1 };
	struct bench_figures *f = &bench_figures;
	struct bench_rig *rig = calloc(1, sizeof(*rig));
	struct bench_pools pools;
	unsigned int nb = 0;

	f->nb_path = RTE_DIM(sizes) * RTE_DIM(bursts) * RTE_DIM(sets);
	f->path = calloc(f->nb_path, sizeof(*f->path));
	if (rig == NULL || f->path == NULL)
		bench_die("out of memory");
	rig->name = "path";
	rig->nb_workers = 1;
	rig->sets = sets;
	rig->nb_sets = RTE_DIM(sets);
	bench_pools_create(&pools, "path");
	bench_rig_create(rig);
	bench_on_worker(warm, rig, NULL);
	f->session_bytes = rig->session_bytes;
	f->room_bytes = rig->room_bytes;

	for (unsigned int b = 0; b < RTE_DIM(bursts); b++)
		for (unsigned int z = 0; z < RTE_DIM(sizes); z++)
			for (unsigned int s = 0; s < RTE_DIM(sets); s++)
				f->path[nb++] = (struct bench_figure_path){ .rooms = sets[s].rooms,
					.members = sets[s].members,
					.size = sizes[z],
					.burst = bursts[b] };
	for (unsigned int r = 0; r < opt->repetitions; r++) {
		for (unsigned int i = 0; i < f->nb_path; i++) {
			sample_figure(rig, &pools, &sets[i % RTE_DIM(sets)], &f->path[i]);
			if (i % RTE_DIM(sets) > 0)
				compare_with_before(&f->path[i]);
		}
	}
	repeat_pairs(rig, &pools);
	sample_kernel(rig, &pools, opt);
	bench_rig_check(rig);
	bench_rig_free(rig);
	free(rig);
}

/* --- for a profiler -------------------------------------------------------------------------- */

struct load {
	struct bench_rig *rig;
	struct bench_feed feed;
	double ns;
};

static int
load_run(void *arg)
{
	struct load *load = arg;
	struct bench_work work;

	bench_rig_run(load->rig, 0, &load->feed, load->ns, &work);
	bench_rig_finish(load->rig, 0, &load->feed);
	printf("%" PRIu64 " copies, %.1f ns each\n", work.copies,
			bench_ns(work.cycles) / (double)work.copies);
	return 0;
}

void
bench_profile(const char *what)
{
	struct bench_set room = { .rooms = 1 };
	struct bench_rig rig = { .name = "load", .nb_workers = 1, .sets = &room, .nb_sets = 1 };
	struct load load = { .rig = &rig,
		.feed = { .rig = &rig,
				.set = &room,
				.size = 200,
				.burst = BENCH_BURST,
				.random = 1 } };
	unsigned int seconds;

	if (sscanf(what, "%u:%u", &room.members, &seconds) != 2 || room.members < 2 ||
			room.members > BENCH_MEMBERS_MAX || seconds < 1 || seconds > 600)
		bench_die("--profile %s: MEMBERS:SECONDS, 2 to %u and 1 to 600", what,
				BENCH_MEMBERS_MAX);
	load.ns = seconds * 1e9;
	bench_rig_create(&rig);
	bench_on_worker(warm, &rig, NULL);
	bench_on_worker(load_run, &load, &load.feed);
	bench_rig_check(&rig);
	bench_rig_free(&rig);
}

/* --- crossing a ring -------------------------------------------------------------------------- */

/* Packets on their way between the workers. */
#define CROSSING_AHEAD 256
/* In a room of three. */
#define COPIES 2

struct crossing {
	struct bench_rig *rig;
	struct bench_feed feed;
	bool cross;
	struct bench_work home;
	_Atomic bool done;
};

static int
home_run(void *arg)
{
	struct crossing *c = arg;

	bench_rig_run(c->rig, 1, NULL, SAMPLE_NS, &c->home);
	atomic_store_explicit(&c->done, true, memory_order_relaxed);
	return 0;
}

/* Worker 0 receives for worker 1, on main's CPU, which feeds it, too. Cycles of its turns. */
static uint64_t
receive_for_other(struct crossing *c)
{
	const struct plm_counters *from = plm_relay_counters(c->rig->relay, 0);
	const struct plm_counters *to = plm_relay_counters(c->rig->relay, 1);
	uint64_t spent = 0;

	while (!atomic_load_explicit(&c->done, memory_order_relaxed)) {
		uint64_t begun, ended;

		if (plm_counter_get(from, PLM_CNT_CROSSED_OUT) -
						plm_counter_get(to, PLM_CNT_CROSSED_IN) <
				CROSSING_AHEAD)
			bench_feed_put(&c->feed, c->rig->port.rx[0], BENCH_BURST);
		begun = rte_rdtsc();
		if (plm_relay_turn(c->rig->relay, 0, (uint64_t)bench_ns(begun)) == 0)
			continue;
		ended = rte_rdtsc();
		spent += ended - begun;
	}
	return spent;
}

static void
sample_cross(struct crossing *c)
{
	unsigned int lcore = rte_get_next_lcore(-1, 1, 0);
	const struct plm_counters *from = plm_relay_counters(c->rig->relay, 0);
	uint64_t crossed = plm_counter_get(from, PLM_CNT_CROSSED_OUT);
	uint64_t spent;

	atomic_store_explicit(&c->done, false, memory_order_relaxed);
	if (rte_eal_remote_launch(home_run, c, lcore) != 0)
		bench_die("the worker lcore is busy");
	spent = receive_for_other(c);
	rte_eal_wait_lcore(lcore);
	crossed = plm_counter_get(from, PLM_CNT_CROSSED_OUT) - crossed;
	bench_series_add(&bench_figures.cross_cross,
			bench_ns(spent) / (double)crossed +
					bench_ns(c->home.cycles) / (double)c->home.copies * COPIES);
}

static int
same_run(void *arg)
{
	struct crossing *c = arg;

	atomic_store_explicit(&c->feed.stopped, false, memory_order_relaxed);
	bench_rig_run(c->rig, 1, &c->feed, SAMPLE_NS, &c->home);
	bench_rig_finish(c->rig, 1, &c->feed);
	return 0;
}

void
bench_crossing(const struct bench_options *opt)
{
	struct bench_set room = { .rooms = 1, .members = 3, .home = 1 };
	struct bench_rig *rig = calloc(1, sizeof(*rig));
	struct crossing c = { .rig = rig };

	if (rig == NULL)
		bench_die("out of memory");
	rig->name = "cross";
	rig->nb_workers = 2;
	rig->sets = &room;
	rig->nb_sets = 1;
	bench_rig_create(rig);
	bench_on_worker(warm, rig, NULL);
	c.feed = (struct bench_feed){ .rig = rig,
		.set = &room,
		.size = 200,
		.burst = BENCH_BURST,
		.random = 1 };
	for (unsigned int r = 0; r < opt->repetitions; r++) {
		c.feed.queue = 1;
		bench_sample(same_run, &c, &c.feed);
		bench_series_add(&bench_figures.cross_same,
				bench_ns(c.home.cycles) / (double)c.home.copies * COPIES);
		bench_port_drain(&rig->port, 1);
		bench_ring_drain(rig->waiting);
		c.feed.queue = 0;
		sample_cross(&c);
		bench_port_drain(&rig->port, 0);
	}
	bench_rig_check(rig);
	bench_rig_free(rig);
	free(rig);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Series, medians, and whether the machine left a sample alone. */
#include <math.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include <rte_launch.h>
#include <rte_lcore.h>

#include "bench.h"

struct bench_figures bench_figures;

void
bench_die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "plenum-bench: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	exit(2);
}

void
bench_series_add(struct bench_series *series, double value)
{
	if (series->n == series->size) {
		series->size = series->size > 0 ? 2 * series->size : 32;
		series->v = realloc(series->v, series->size * sizeof(*series->v));
		if (series->v == NULL)
			bench_die("out of memory");
	}
	series->v[series->n++] = value;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

struct bench_stat
bench_series_stat(const struct bench_series *series)
{
	struct bench_stat stat = { .n = series->n };
	unsigned int n = series->n;
	double *v;
	double half;
	int lo, hi;

	if (n == 0)
		return stat;
	v = malloc(n * sizeof(*v));
	if (v == NULL)
		bench_die("out of memory");
	memcpy(v, series->v, n * sizeof(*v));
	qsort(v, n, sizeof(*v), by_value);
	stat.median = n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
	/* The number of values below the true median is binomial(n, 1/2). */
	half = 1.96 * sqrt(n) / 2;
	lo = (int)floor((n - 1) / 2.0 - half);
	hi = (int)ceil((n - 1) / 2.0 + half);
	stat.lo = v[RTE_MAX(lo, 0)];
	stat.hi = v[RTE_MIN(hi, (int)n - 1)];
	free(v);
	return stat;
}

void
bench_series_free(struct bench_series *series)
{
	free(series->v);
	*series = (struct bench_series){ 0 };
}

void
bench_hist_since(struct plm_hist *diff, const struct plm_hist *from, const struct plm_hist *to)
{
	for (unsigned int i = 0; i < PLM_HIST_BUCKETS; i++)
		atomic_store_explicit(&diff->bucket[i],
				atomic_load_explicit(&to->bucket[i], memory_order_relaxed) -
						atomic_load_explicit(&from->bucket[i],
								memory_order_relaxed),
				memory_order_relaxed);
}

/* Time that the hypervisor gave to others instead of this CPU, in ticks. */
static uint64_t
stolen_ticks(void)
{
	char line[256];
	char name[16];
	uint64_t stolen = 0;
	FILE *f = fopen("/proc/stat", "re");

	if (f == NULL)
		return 0;
	snprintf(name, sizeof(name), "cpu%d ", sched_getcpu());
	while (fgets(line, sizeof(line), f) != NULL) {
		unsigned long long v[8];

		if (strncmp(line, name, strlen(name)) != 0)
			continue;
		if (sscanf(line + strlen(name), "%llu %llu %llu %llu %llu %llu %llu %llu", &v[0],
				    &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]) == 8)
			stolen = v[7];
		break;
	}
	fclose(f);
	return stolen;
}

static uint64_t
clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * PLM_NS_PER_S + (uint64_t)t.tv_nsec;
}

void
bench_watch_start(struct bench_watch *watch)
{
	struct rusage usage;

	watch->wall_ns = clock_ns(CLOCK_MONOTONIC);
	watch->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	watch->stolen = stolen_ticks();
	getrusage(RUSAGE_THREAD, &usage);
	watch->preemptions = (uint64_t)usage.ru_nivcsw;
}

bool
bench_watch_disturbed(const struct bench_watch *watch)
{
	struct bench_watch now;

	bench_watch_start(&now);
	return now.preemptions != watch->preemptions || now.stolen != watch->stolen;
}

uint64_t
bench_watch_away_ns(const struct bench_watch *watch)
{
	uint64_t wall = clock_ns(CLOCK_MONOTONIC) - watch->wall_ns;
	uint64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - watch->cpu_ns;

	return wall > cpu ? wall - cpu : 0;
}

void
bench_on_worker(int (*fn)(void *arg), void *arg, struct bench_feed *feed)
{
	unsigned int lcore = rte_get_next_lcore(-1, 1, 0);

	if (rte_eal_remote_launch(fn, arg, lcore) != 0)
		bench_die("the worker lcore is busy");
	while (rte_eal_get_lcore_state(lcore) == RUNNING) {
		if (feed != NULL)
			bench_feed_turn(feed);
		else
			rte_pause();
	}
	rte_eal_wait_lcore(lcore);
}

struct watched {
	int (*fn)(void *arg);
	void *arg;
	bool disturbed;
};

static int
watched_run(void *arg)
{
	struct watched *watched = arg;
	struct bench_watch watch;

	bench_watch_start(&watch);
	watched->fn(watched->arg);
	watched->disturbed = bench_watch_disturbed(&watch);
	return 0;
}

void
bench_sample(int (*fn)(void *arg), void *arg, struct bench_feed *feed)
{
	struct watched watched = { .fn = fn, .arg = arg };

	for (unsigned int i = 0; i < BENCH_RETRIES; i++) {
		bench_on_worker(watched_run, &watched, feed);
		if (!watched.disturbed)
			return;
		bench_figures.repeated++;
	}
	bench_figures.disturbed++;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables for people, JSON for programs, and which limits are met. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <time.h>

#include <rte_version.h>

#include "bench.h"

#define KERNEL_VALID 0.6

struct limit {
	char *what;
	double value;
	double lo;
	double hi;
	unsigned int n; /* pairs or trials; 0: a count that does not wobble */
	const char *of;
	double bound;
	bool at_least;
	bool met;
};

static struct limit *limits;
static unsigned int nb_limits;

static void
add_limit(struct bench_stat stat, bool at_least, double bound, const char *fmt, ...)
{
	struct limit *l;
	va_list ap;

	limits = realloc(limits, (nb_limits + 1) * sizeof(*limits));
	if (limits == NULL)
		bench_die("out of memory");
	l = &limits[nb_limits++];
	*l = (struct limit){
		.value = stat.median,
		.lo = stat.lo,
		.hi = stat.hi,
		.n = stat.n,
		.of = "pairs",
		.bound = bound,
		.at_least = at_least,
	};
	va_start(ap, fmt);
	if (vasprintf(&l->what, fmt, ap) < 0)
		bench_die("out of memory");
	va_end(ap);
	l->met = (stat.n == 0 || stat.n >= BENCH_PAIRS_MIN) && stat.median > 0 &&
			(at_least ? stat.median >= bound : stat.median <= bound);
}

/* The median of a few long trials, each of millions of packets. */
static void
add_trials_limit(const struct bench_series *series, double load, const char *what, double bound)
{
	struct bench_stat stat = bench_series_stat(series);
	struct limit *l;

	add_limit(stat, false, bound, "1 -> 10, 200 B, %.0f %% of PDR: %s, end to end, us",
			100 * load, what);
	l = &limits[nb_limits - 1];
	l->of = "trials";
	l->met = stat.n >= BENCH_LATENCY_TRIALS && stat.median <= bound;
}

static void
find_capacity_limits(void)
{
	const struct bench_figures *f = &bench_figures;

	for (unsigned int i = 0; i < f->nb_latency; i++) {
		const struct bench_figure_latency *l = &f->latency[i];

		if (l->in_relay || l->load < BENCH_LATENCY_LOAD)
			continue;
		add_trials_limit(&l->p99_us, l->load, "p99", 50);
		add_trials_limit(&l->p999_us, l->load, "p99.9", 200);
	}
	if (f->nb_rate > 0) {
		/* In lost copies of 10^7, so that the figure can be read. */
		double lost = f->loss.copies > 0
				? 1e7 * (double)f->loss.lost / (double)f->loss.copies
				: -1;

		add_limit((struct bench_stat){ lost, lost, lost, 0 }, false, 1,
				"1 -> 10, 200 B, 80 %% of NDR: copies lost of 10 000 000");
		/* None lost is what it should be; no trial is not. */
		limits[nb_limits - 1].met = lost >= 0 && lost <= 1;
	}
}

static void
find_quic_limits(void)
{
	const struct bench_figures *f = &bench_figures;

	for (unsigned int i = 0; i < f->nb_quic; i++) {
		const struct bench_figure_quic *q = &f->quic[i];

		if (q->is_limited)
			add_limit(bench_series_stat(&q->x_bare_less), false, 1.3,
					"QUIC, %u x %u, %u B: (delivery - %u ns) / library alone",
					q->rooms, q->members, q->size, BENCH_QUIC_FIXED_NS);
	}
	for (unsigned int i = 0; i < f->nb_quic_kernel; i++) {
		const struct bench_figure_quic_kernel *k = &f->quic_kernel[i];

		if (k->at_once == 1)
			add_limit(bench_series_stat(&k->x_plain), true, 4,
					"QUIC, %u x %u, %u B: kernel sockets' ns per delivery / ours",
					k->rooms, k->members, k->size);
	}
	if (f->shakes_ed25519.n == 0)
		return;
	add_limit(bench_series_stat(&f->shakes_ed25519), true, 4000,
			"QUIC handshakes, Ed25519, per second of the relay's calls");
	limits[nb_limits - 1].of = "samples";
	add_limit(bench_series_stat(&f->shakes_p256), true, 4000,
			"QUIC handshakes, P-256, per second of the relay's calls");
	limits[nb_limits - 1].of = "samples";
	add_limit((struct bench_stat){ .median = f->quic_held_bytes / 1024 }, false, 40,
			"KB set aside for a QUIC connection");
}

static void
find_wzp_limits(void)
{
	const struct bench_figure_wzp *w = &bench_figures.wzp;
	struct bench_stat more = bench_series_stat(&w->more_us);
	double alone = bench_series_stat(&w->alone_us).median;
	struct limit *l;

	if (!w->is_measured)
		return;
	add_limit(more, false, RTE_MAX(5.0, alone / 10),
			"p99 in the relay, us: room of 11 beside joins and leaves of another, more than alone");
	l = &limits[nb_limits - 1];
	l->met = more.n >= BENCH_PAIRS_MIN && more.median <= l->bound; /* it may be less, too */
}

static double
path_bound(const struct bench_figure_path *fig)
{
	if (fig->members == 10)
		return fig->burst == 1 ? 3.2 : 2.4;
	return fig->burst == 1 ? 2.4 : 1.6;
}

static void
find_limits(const struct bench_options *opt)
{
	const struct bench_figures *f = &bench_figures;

	for (unsigned int i = 0; i < f->nb_path; i++) {
		const struct bench_figure_path *fig = &f->path[i];

		if (fig->members >= 10)
			add_limit(bench_series_stat(&fig->x_primitive), false, path_bound(fig),
					"room of %u, %u B, bursts of %u: copy / primitive",
					fig->members, fig->size, fig->burst);
	}
	for (unsigned int i = 0; i < f->nb_path; i++) {
		const struct bench_figure_path *fig = &f->path[i];

		if (fig->members == 1000)
			add_limit(bench_series_stat(&fig->x_before_copy), false, 1.15,
					"%u B, bursts of %u: copy in a room of 1000 / of 100",
					fig->size, fig->burst);
		if (fig->rooms == 100000)
			add_limit(bench_series_stat(&fig->x_before_ingress), false, 2,
					"%u B, bursts of %u: ingress with 100 000 x 3 / 1 000 x 3",
					fig->size, fig->burst);
	}
	for (unsigned int i = 0; i < f->nb_workers; i++) {
		const struct bench_figure_workers *w = &f->workers[i];

		if (w->workers == 2)
			add_limit(bench_series_stat(&w->x_one_worker), false, 1.3,
					"2 workers, %u x %u: copy / copy of one worker", w->rooms,
					w->members);
	}
	for (unsigned int i = 0; i < f->nb_count; i++) {
		const struct bench_figure_count *c = &f->count[i];
		double ratio = c->primitive > 0 ? c->path / c->primitive : 0;

		add_limit((struct bench_stat){ ratio, ratio, ratio, 0 }, false,
				c->members == 10 ? 2.4 : 1.8,
				"room of %u: instructions per copy / primitive's", c->members);
	}
	if (f->to_kernel.n > 0)
		add_limit(bench_series_stat(&f->to_kernel), true, 60,
				"1 -> 100, 200 B: kernel sockets' ns per copy / ours");
	/* A kernel relay much slower than its own calls would be a straw man. */
	if (f->virtio_to_kernel.n > 0 &&
			bench_series_stat(&f->virtio_x_bare).median <= 1 / KERNEL_VALID)
		add_limit(bench_series_stat(&f->virtio_to_kernel), true, 8,
				"1 -> 100, 200 B: kernel sockets' ns per copy / ours across virtio-user");
	find_quic_limits();
	find_wzp_limits();
	if (!opt->quick)
		find_capacity_limits();
}

/* --- text ------------------------------------------------------------------------------------ */

static const char *
cpu_model(void)
{
	static char model[128] = "unknown CPU";
	char line[256];
	FILE *f = fopen("/proc/cpuinfo", "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "model name : %127[^\n]", model) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return model;
}

static void
kernel_release(char *buf, size_t size)
{
	struct utsname uts;

	snprintf(buf, size, "%s", uname(&uts) == 0 ? uts.release : "?");
}

static void
print_stat(FILE *out, const struct bench_series *series, int digits)
{
	struct bench_stat s = bench_series_stat(series);

	fprintf(out, " %.*f (%.*f–%.*f) |", digits, s.median, digits, s.lo, digits, s.hi);
}

static void
print_primitive(FILE *out)
{
	const struct bench_figures *f = &bench_figures;

	if (f->nb_primitive == 0)
		return;
	fprintf(out,
			"\n### The fan-out primitive\n\n"
			"ns per copy, median (95 %% interval).\n\n"
			"| kind | copies | bytes | 1 024 in flight | net_null |\n"
			"|---|---|---|---|---|\n");
	for (unsigned int i = 0; i < f->nb_primitive / 2; i++) {
		const struct bench_figure_primitive *p = &f->primitive[i];

		fprintf(out, "| %s | %u | %u |", bench_primitive_names[p->kind], p->copies,
				p->size);
		print_stat(out, &p->ns, 1);
		print_stat(out, &f->primitive[i + f->nb_primitive / 2].ns, 1);
		fprintf(out, "\n");
	}
}

static void
print_path(FILE *out)
{
	const struct bench_figures *f = &bench_figures;

	if (f->nb_path == 0)
		return;
	fprintf(out,
			"\n### The packet path, one worker\n\n"
			"| rooms × members | bytes | burst | ns per copy | ns per ingress packet | "
			"× primitive |\n|---|---|---|---|---|---|\n");
	for (unsigned int i = 0; i < f->nb_path; i++) {
		const struct bench_figure_path *p = &f->path[i];

		fprintf(out, "| %u × %u | %u | %u |", p->rooms, p->members, p->size, p->burst);
		print_stat(out, &p->ns_per_copy, 1);
		print_stat(out, &p->ns_per_ingress, 0);
		print_stat(out, &p->x_primitive, 2);
		fprintf(out, "\n");
	}
	fprintf(out, "\nMemory: %zu bytes per session, %zu bytes per room of three.\n",
			f->session_bytes, f->room_bytes);
}

static void
print_workers(FILE *out)
{
	const struct bench_figures *f = &bench_figures;

	if (f->nb_workers == 0)
		return;
	fprintf(out,
			"\n### Several workers at once\n\n"
			"Each on a CPU of its own, with packets that waited before the sample began; 200 B, "
			"bursts of 32.\n\n"
			"| workers | rooms × members | ns per copy | of the slowest worker | × one worker "
			"|\n|---|---|---|---|---|\n");
	for (unsigned int i = 0; i < f->nb_workers; i++) {
		const struct bench_figure_workers *w = &f->workers[i];

		fprintf(out, "| %u | %u × %u%s |", w->workers, w->rooms, w->members,
				w->spread ? " over all workers" : "");
		print_stat(out, &w->ns_per_copy, 1);
		print_stat(out, &w->ns_slowest, 1);
		if (w->workers > 1)
			print_stat(out, &w->x_one_worker, 2);
		else
			fprintf(out, " |");
		fprintf(out, "\n");
	}
}

static void
print_lending(FILE *out)
{
	const struct bench_figures *f = &bench_figures;

	if (f->lending[0].lent_ns.n == 0)
		return;
	fprintf(out,
			"\n### One payload for two workers\n\n"
			"500 copies each; ns per copy of one of them.\n\n"
			"| bytes | lent, and copied there | shared by both | shared / lent "
			"|\n|---|---|---|---|\n");
	for (unsigned int i = 0; i < BENCH_LENDING_SIZES; i++) {
		fprintf(out, "| %u |", f->lending[i].size);
		print_stat(out, &f->lending[i].lent_ns, 1);
		print_stat(out, &f->lending[i].shared_ns, 1);
		print_stat(out, &f->lending[i].x_lent, 2);
		fprintf(out, "\n");
	}
}

static bool
kernel_valid(const struct bench_figure_kernel *k)
{
	/* Packets per second of the relay at least 60 % of the bare loop's. */
	return bench_series_stat(&k->bare_ns).median >=
			KERNEL_VALID * bench_series_stat(&k->ns).median;
}

static void
print_rest(FILE *out)
{
	const struct bench_figures *f = &bench_figures;

	if (f->cross_same.n > 0) {
		fprintf(out,
				"\n### Crossing a ring\n\nns per ingress packet of a room of three: "
				"received by its home worker |");
		print_stat(out, &f->cross_same, 0);
		fprintf(out, " received by another (both workers' time) |");
		print_stat(out, &f->cross_cross, 0);
		fprintf(out, "\n");
	}
	if (f->nb_kernel > 0)
		fprintf(out,
				"\n### The same job by kernel sockets\n\n"
				"One core, loopback, recvmmsg and sendmmsg, no GSO; ns per copy.\n\n"
				"| copies | bytes | relay | bare sendmmsg loop | |\n|---|---|---|---|---|\n");
	for (unsigned int i = 0; i < f->nb_kernel; i++) {
		fprintf(out, "| %u | %u |", f->kernel[i].copies, f->kernel[i].size);
		print_stat(out, &f->kernel[i].ns, 0);
		print_stat(out, &f->kernel[i].bare_ns, 0);
		fprintf(out, " %s |\n", kernel_valid(&f->kernel[i]) ? "" : "void: under 60 %");
	}
	if (f->virtio_ns.n > 0) {
		fprintf(out,
				"\n### Across virtio-user and vhost\n\n1 → 100, 200 B; ns per copy, all of "
				"the worker's time |");
		print_stat(out, &f->virtio_ns, 1);
		fprintf(out, " kernel sockets / that |");
		print_stat(out, &f->virtio_to_kernel, 2);
		fprintf(out, "\n");
	}
	if (f->nb_count > 0)
		fprintf(out,
				"\n### Instructions per copy (callgrind, 200 B, bursts of 32)\n\n"
				"| members | packet path | primitive | ratio |\n|---|---|---|---|\n");
	for (unsigned int i = 0; i < f->nb_count; i++)
		fprintf(out, "| %u | %.1f | %.1f | %.2f |\n", f->count[i].members, f->count[i].path,
				f->count[i].primitive,
				f->count[i].primitive > 0 ? f->count[i].path / f->count[i].primitive
							  : 0);
}

static void
print_rates(FILE *out)
{
	const struct bench_figures *f = &bench_figures;

	if (f->nb_rate == 0)
		return;
	fprintf(out,
			"\n### What one worker carries\n\n"
			"Million packets/s into the relay and copies/s out of it: NDR loses nothing, PDR at most "
			"0.5 %%, \"flat out\" is a worker that never waits. 1 024 descriptors each way.\n\n"
			"| rooms × members | bytes | NDR in | NDR out | PDR in | PDR out | flat out, in | wire "
			"busy then | windows repeated |\n|---|---|---|---|---|---|---|---|---|\n");
	for (unsigned int i = 0; i < f->nb_rate; i++) {
		const struct bench_figure_rate *r = &f->rate[i];
		double copies = (r->members - 1) / 1e6;

		fprintf(out, "| %u × %u | %u | %.3f | %.2f | %.3f | %.2f | %.3f | %.0f %% | %u |\n",
				r->rooms, r->members, r->size, (double)r->ndr_pps / 1e6,
				(double)r->ndr_pps * copies, (double)r->pdr_pps / 1e6,
				(double)r->pdr_pps * copies, r->flat_pps / 1e6, 100 * r->wire_busy,
				r->ndr_repeated + r->pdr_repeated);
	}
	if (f->rate[0].pdr_searches > 1)
		fprintf(out,
				"\nThe first row's PDR is of search %u: at nine tenths of the one before, more than "
				"0.5 %% were lost.\n",
				f->rate[0].pdr_searches);
	fprintf(out,
			"\nAt 80 %% of NDR, 1 → 10, 200 B: %" PRIu64 " of %" PRIu64
			" copies lost, in %u windows of 20 ms; %u more were disturbed and not counted (%" PRIu64
			" lost in them), %u disturbed and counted.\n",
			f->loss.lost, f->loss.copies, f->loss.windows, f->loss.repeated,
			f->loss.repeated_lost, f->loss.disturbed);
}

/* Microseconds; in the last bucket are the lost ones. */
static void
print_us(FILE *out, const struct bench_series *series)
{
	struct bench_stat s = bench_series_stat(series);

	if (s.median < 1e6)
		print_stat(out, series, 1);
	else
		fprintf(out, " lost (%.1f–) |", s.lo);
}

static void
print_latency(FILE *out)
{
	const struct bench_figures *f = &bench_figures;

	if (f->nb_latency == 0)
		return;
	fprintf(out,
			"\n### Latency\n\n"
			"1 → 10, 200 B, one worker alone on its CPU; microseconds, medians of %u trials of 2 s. "
			"End to end: from the intended time to the sink. In the relay: from RX burst to TX "
			"burst. A lost copy counts as the latest.\n\n"
			"| load | where | p50 | p99 | p99.9 | lost | windows | repeated | disturbed, but counted "
			"|\n|---|---|---|---|---|---|---|---|---|\n",
			BENCH_LATENCY_TRIALS);
	for (unsigned int i = 0; i < f->nb_latency; i++) {
		const struct bench_figure_latency *l = &f->latency[i];

		fprintf(out, "| %.0f %% of PDR | %s |", 100 * l->load,
				l->in_relay ? "in the relay" : "end to end");
		print_us(out, &l->p50_us);
		print_us(out, &l->p99_us);
		print_us(out, &l->p999_us);
		fprintf(out, " %.2g | %u | %u | %u |\n",
				l->due > 0 ? (double)l->lost / (double)l->due : 0, l->windows,
				l->repeated, l->disturbed);
	}
}

static void
print_quantiles(FILE *out, const struct bench_quantiles *q)
{
	print_stat(out, &q->p50_us, 1);
	print_stat(out, &q->p99_us, 1);
	print_stat(out, &q->p999_us, 1);
}

static void
print_quic_latency(FILE *out)
{
	const struct bench_figures *f = &bench_figures;

	fprintf(out,
			"\nLatency at a part of the deliveries that the worker can do, microseconds, medians of "
			"trials of 1 s. In the relay: from RX burst to TX burst. At the clients: from the time at "
			"which a datagram was due, with all that they do on their one CPU.\n\n"
			"| rooms × members | bytes | load | M deliveries/s | worker busy | in the relay: p50 | p99 "
			"| p99.9 | at the clients: p50 | p99 | p99.9 | disturbed, but counted |\n"
			"|---|---|---|---|---|---|---|---|---|---|---|---|\n");
	for (unsigned int i = 0; i < f->nb_quic_latency; i++) {
		const struct bench_figure_quic_latency *l = &f->quic_latency[i];

		fprintf(out, "| %u × %u | %u | %.0f %% | %.3f | %.0f %% |", l->rooms, l->members,
				l->size, 100 * l->load,
				(double)l->rate_pps * (l->members - 1) / 1e6, 100 * l->busy);
		print_quantiles(out, &l->in_relay);
		print_quantiles(out, &l->at_clients);
		fprintf(out, " %u of %u windows |\n", l->disturbed, l->windows);
	}
}

static void
print_quic(FILE *out)
{
	const struct bench_figures *f = &bench_figures;

	if (f->nb_quic == 0)
		return;
	fprintf(out,
			"\n### QUIC datagrams, one worker\n\n"
			"ns per delivered datagram, the receivers' acknowledgements included; beside it what "
			"the library takes for the same in the same run, called straight.\n\n"
			"| rooms × members | bytes | cipher | by | M deliveries/s | ns | library alone | × "
			"|\n|---|---|---|---|---|---|---|---|\n");
	for (unsigned int i = 0; i < f->nb_quic; i++) {
		const struct bench_figure_quic *q = &f->quic[i];

		fprintf(out, "| %u × %u | %u | %s | %s | %.2f |", q->rooms, q->members, q->size,
				q->cipher, q->backend, 1e3 / bench_series_stat(&q->ns).median);
		print_stat(out, &q->ns, 0);
		print_stat(out, &q->bare_ns, 0);
		print_stat(out, &q->x_bare, 2);
		fprintf(out, "\n");
	}
	fprintf(out,
			"\nThe same job by a relay on kernel sockets and the same library, AES-128-GCM, best "
			"backend; *at once* are datagrams that a speaker sends in a row.\n\n"
			"| rooms × members | bytes | at once | ns | kernel sockets | with GSO | × | × with GSO "
			"|\n|---|---|---|---|---|---|---|---|\n");
	for (unsigned int i = 0; i < f->nb_quic_kernel; i++) {
		const struct bench_figure_quic_kernel *k = &f->quic_kernel[i];

		fprintf(out, "| %u × %u | %u | %u |", k->rooms, k->members, k->size, k->at_once);
		print_stat(out, &k->ns, 0);
		print_stat(out, &k->plain_ns, 0);
		print_stat(out, &k->gso_ns, 0);
		print_stat(out, &k->x_plain, 2);
		print_stat(out, &k->x_gso, 2);
		fprintf(out, "\n");
	}
	print_quic_latency(out);
	fprintf(out, "\nHandshakes per second of the relay's own calls: Ed25519 |");
	print_stat(out, &f->shakes_ed25519, 0);
	fprintf(out, " P-256 |");
	print_stat(out, &f->shakes_p256, 0);
	fprintf(out,
			"\n\nMemory of a connection: %.0f bytes in use, %.0f set aside, with what some have "
			"beyond.\n",
			f->quic_used_bytes, f->quic_held_bytes);
}

static void
print_wzp(FILE *out)
{
	const struct bench_figure_wzp *w = &bench_figures.wzp;

	if (!w->is_measured)
		return;
	fprintf(out, "\n### WZP\n\nPer second of the slow path's time: signals (Ping and Pong) |");
	print_stat(out, &w->signals_per_s, 0);
	fprintf(out, " of the worker's, ns each |");
	print_stat(out, &w->signal_worker_ns, 0);
	fprintf(out, " joins, of the relay's, in rooms of 48, RoomUpdates included |");
	print_stat(out, &w->joins_per_s, 0);
	fprintf(out,
			"\n\n%u who are connected join a room at once, %u times; slow path and clients share a "
			"CPU. Another room of 11 talks meanwhile. A thread lost its CPU in %u of them.\n\n"
			"| all are in, ms | all are told | slow path's part | worker busy | RoomUpdates made | "
			"received | MB | p99 of the other room in the relay, us | before |\n"
			"|---|---|---|---|---|---|---|---|---|\n|",
			w->storm, w->nb_storms, w->storm_disturbed);
	print_stat(out, &w->storm_in_ms, 0);
	print_stat(out, &w->storm_told_ms, 0);
	print_stat(out, &w->storm_ctl_ms, 0);
	print_stat(out, &w->storm_busy, 2);
	print_stat(out, &w->storm_made, 0);
	print_stat(out, &w->storm_updates, 0);
	print_stat(out, &w->storm_mb, 1);
	print_stat(out, &w->storm_p99_us, 1);
	print_stat(out, &w->calm_p99_us, 1);
	fprintf(out,
			"\n\np99 in the relay of a room of 11, us, in windows of 5 s in turns; %u of %u slices of 20 ms "
			"disturbed, but counted: alone |",
			w->slices_disturbed, w->slices);
	print_stat(out, &w->alone_us, 1);
	fprintf(out, " beside 20 joins and leaves a second of another room, %" PRIu64 " in all |",
			w->joins_beside);
	print_stat(out, &w->beside_us, 1);
	fprintf(out, " more |");
	print_stat(out, &w->more_us, 1);
	fprintf(out, "\n");
	if (w->count_plain > 0 && w->count_report > 0)
		fprintf(out,
				"\nInstructions of the worker (callgrind) for a datagram of 200 B that goes to ten, "
				"acknowledgements included: %.0f; with a quality report %.0f.\n",
				w->count_plain, w->count_report);
}

static bool
print_limits(FILE *out)
{
	bool all = true;

	if (nb_limits > 0)
		fprintf(out, "\n### Limits\n\n| | figure | limit | |\n|---|---|---|---|\n");
	for (unsigned int i = 0; i < nb_limits; i++) {
		const struct limit *l = &limits[i];

		fprintf(out, "| %s | %.2f", l->what, l->value);
		if (l->n > 0)
			fprintf(out, " (%.2f–%.2f, %u %s)", l->lo, l->hi, l->n, l->of);
		fprintf(out, " | %s %g | %s |\n", l->at_least ? "at least" : "at most", l->bound,
				l->met ? "met" : "**NOT met**");
		all = all && l->met;
	}
	return all;
}

static bool
print_text(FILE *out, const struct bench_options *opt)
{
	const struct bench_figures *f = &bench_figures;
	time_t now = time(NULL);
	char release[80];
	char date[32];
	struct tm tm;

	kernel_release(release, sizeof(release));
	strftime(date, sizeof(date), "%Y-%m-%d", gmtime_r(&now, &tm));
	fprintf(out,
			"## Report of %s\n\n"
			"%s, TSC %.2f GHz, Linux %s, %s, %s; %u repetitions. No NIC: cycle costs, not line "
			"rates. %u samples were disturbed and taken again, %u counted although disturbed.\n",
			date, cpu_model(), (double)rte_get_tsc_hz() / 1e9, release, rte_version(),
			opt->huge ? "hugepages" : "no hugepages", opt->repetitions, f->repeated,
			f->disturbed);
	print_primitive(out);
	print_path(out);
	print_workers(out);
	print_lending(out);
	print_rest(out);
	print_rates(out);
	print_latency(out);
	print_quic(out);
	print_wzp(out);
	return print_limits(out);
}

/* --- JSON ------------------------------------------------------------------------------------ */

static void
set_stat(json_t *to, const char *name, const struct bench_series *series)
{
	struct bench_stat s = bench_series_stat(series);
	char ci[64];

	if (s.n == 0)
		return;
	snprintf(ci, sizeof(ci), "%s_ci95", name);
	json_object_set_new(to, name, json_real(s.median));
	json_object_set_new(to, ci, json_pack("[ff]", s.lo, s.hi));
}

static json_t *
json_machine(const struct bench_options *opt)
{
	char release[80];

	kernel_release(release, sizeof(release));
	return json_pack("{ss ss sf ss ss sb si si si}", "cpu", cpu_model(), "compiler",
			__VERSION__, "tsc_ghz", (double)rte_get_tsc_hz() / 1e9, "kernel", release,
			"dpdk", rte_version(), "hugepages", opt->huge, "repetitions",
			(int)opt->repetitions, "samples_repeated", (int)bench_figures.repeated,
			"samples_disturbed", (int)bench_figures.disturbed);
}

static json_t *
json_primitive(void)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < bench_figures.nb_primitive; i++) {
		const struct bench_figure_primitive *p = &bench_figures.primitive[i];
		struct bench_stat s = bench_series_stat(&p->ns);
		json_t *o = json_pack("{ss si si ss}", "kind", bench_primitive_names[p->kind],
				"copies", p->copies, "size", p->size, "tx",
				p->in_flight ? "1024_in_flight" : "net_null");

		set_stat(o, "ns", &p->ns);
		json_object_set_new(o, "cycles", json_real(s.median * rte_get_tsc_hz() / 1e9));
		json_array_append_new(list, o);
	}
	return list;
}

/* Rows of packet_path[], told from the others by "preloaded". */
static void
json_workers(json_t *list)
{
	for (unsigned int i = 0; i < bench_figures.nb_workers; i++) {
		const struct bench_figure_workers *w = &bench_figures.workers[i];
		double ns = bench_series_stat(&w->ns_per_copy).median;
		json_t *o = json_pack("{si si si si si sb sb}", "workers", (int)w->workers, "rooms",
				(int)w->rooms, "members", (int)w->members, "size", w->size, "burst",
				BENCH_BURST, "preloaded", true, "spread", w->spread);

		set_stat(o, "ns_per_copy", &w->ns_per_copy);
		set_stat(o, "ns_per_copy_slowest", &w->ns_slowest);
		set_stat(o, "x_one_worker", &w->x_one_worker);
		json_object_set_new(o, "mpps_out", json_real(w->workers * 1e3 / ns));
		json_object_set_new(o, "cycles_per_copy",
				json_real(ns * (double)rte_get_tsc_hz() / 1e9));
		json_array_append_new(list, o);
	}
}

static json_t *
json_path(void)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < bench_figures.nb_path; i++) {
		const struct bench_figure_path *p = &bench_figures.path[i];
		double copy = bench_series_stat(&p->ns_per_copy).median;
		double ingress = bench_series_stat(&p->ns_per_ingress).median;
		double ghz = (double)rte_get_tsc_hz() / 1e9;
		json_t *o = json_pack("{si si si si si}", "workers", 1, "rooms", (int)p->rooms,
				"members", (int)p->members, "size", p->size, "burst", p->burst);

		set_stat(o, "x_primitive", &p->x_primitive);
		set_stat(o, "x_100_members", &p->x_before_copy);
		if (p->rooms == 100000)
			set_stat(o, "x_1000_rooms", &p->x_before_ingress);
		set_stat(o, "ns_per_copy", &p->ns_per_copy);
		set_stat(o, "ns_per_ingress", &p->ns_per_ingress);
		json_object_set_new(o, "mpps_in", json_real(1e3 / ingress));
		json_object_set_new(o, "mpps_out", json_real(1e3 / copy));
		json_object_set_new(o, "cycles_per_ingress", json_real(ingress * ghz));
		json_object_set_new(o, "cycles_per_copy", json_real(copy * ghz));
		json_array_append_new(list, o);
	}
	json_workers(list);
	return list;
}

static json_t *
json_kernel(void)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < bench_figures.nb_kernel; i++) {
		const struct bench_figure_kernel *k = &bench_figures.kernel[i];
		json_t *o = json_pack("{si si sb sb}", "copies", k->copies, "size", k->size, "gso",
				0, "valid", kernel_valid(k));

		set_stat(o, "ns_per_copy", &k->ns);
		set_stat(o, "bare_ns_per_copy", &k->bare_ns);
		json_object_set_new(o, "mpps_out",
				json_real(1e3 / bench_series_stat(&k->ns).median));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *
json_lending(void)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < BENCH_LENDING_SIZES; i++) {
		const struct bench_figure_lending *l = &bench_figures.lending[i];
		json_t *o;

		if (l->lent_ns.n == 0)
			continue;
		o = json_pack("{si}", "size", l->size);
		set_stat(o, "lent_ns", &l->lent_ns);
		set_stat(o, "shared_ns", &l->shared_ns);
		set_stat(o, "shared_x_lent", &l->x_lent);
		json_array_append_new(list, o);
	}
	return list;
}

/* "ndr" or "pdr". */
static json_t *
json_rates(bool ndr)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < bench_figures.nb_rate; i++) {
		const struct bench_figure_rate *r = &bench_figures.rate[i];
		uint64_t pps = ndr ? r->ndr_pps : r->pdr_pps;

		json_array_append_new(list,
				json_pack("{si si si si sI sf sf sf si si si si}", "workers", 1,
						"rooms", (int)r->rooms, "members", (int)r->members,
						"size", r->size, "pps_in", (json_int_t)pps,
						"mpps_out", (double)pps * (r->members - 1) / 1e6,
						"loss_at_most", ndr ? 0 : 0.005, "flat_out_pps",
						r->flat_pps, "rx_descriptors", 1024,
						"tx_descriptors", BENCH_IN_FLIGHT,
						"windows_repeated",
						(int)(ndr ? r->ndr_repeated : r->pdr_repeated),
						"searches", ndr ? 1 : (int)r->pdr_searches));
	}
	return list;
}

static json_t *
json_latency(void)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < bench_figures.nb_latency; i++) {
		const struct bench_figure_latency *l = &bench_figures.latency[i];
		json_t *o = json_pack("{sf ss si si si sI si si si si sI sI}", "load", l->load,
				"where", l->in_relay ? "in the relay" : "end to end", "workers", 1,
				"members", 11, "size", 200, "pps_in", (json_int_t)l->rate_pps,
				"trials", (int)l->p50_us.n, "windows", (int)l->windows,
				"windows_repeated", (int)l->repeated, "windows_disturbed",
				(int)l->disturbed, "due", (json_int_t)l->due, "lost",
				(json_int_t)l->lost);

		set_stat(o, "p50_us", &l->p50_us);
		set_stat(o, "p99_us", &l->p99_us);
		set_stat(o, "p999_us", &l->p999_us);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *
json_loss(void)
{
	const struct bench_figure_loss *l = &bench_figures.loss;

	return json_pack("{sf sI sI sI si si si sI}", "load", l->load, "pps_in",
			(json_int_t)l->rate_pps, "copies", (json_int_t)l->copies, "lost",
			(json_int_t)l->lost, "windows", (int)l->windows, "windows_repeated",
			(int)l->repeated, "windows_disturbed", (int)l->disturbed,
			"lost_in_repeated", (json_int_t)l->repeated_lost);
}

static json_t *
json_quic(void)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < bench_figures.nb_quic; i++) {
		const struct bench_figure_quic *q = &bench_figures.quic[i];
		json_t *o = json_pack("{si si si si ss ss sf}", "conns",
				(int)(q->rooms * q->members), "rooms", (int)q->rooms, "members",
				(int)q->members, "size", q->size, "cipher", q->cipher, "backend",
				q->backend, "mdps", 1e3 / bench_series_stat(&q->ns).median);

		set_stat(o, "ns_per_delivery", &q->ns);
		set_stat(o, "bare_ns_per_delivery", &q->bare_ns);
		set_stat(o, "x_bare", &q->x_bare);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *
json_quic_kernel(void)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < bench_figures.nb_quic_kernel; i++) {
		const struct bench_figure_quic_kernel *k = &bench_figures.quic_kernel[i];
		json_t *o = json_pack("{si si si si si}", "conns", (int)(k->rooms * k->members),
				"rooms", (int)k->rooms, "members", (int)k->members, "size", k->size,
				"at_once", k->at_once);

		set_stat(o, "ns_per_delivery", &k->ns);
		set_stat(o, "kernel_ns_per_delivery", &k->plain_ns);
		set_stat(o, "kernel_gso_ns_per_delivery", &k->gso_ns);
		set_stat(o, "x_plain", &k->x_plain);
		set_stat(o, "x_gso", &k->x_gso);
		json_array_append_new(list, o);
	}
	return list;
}

/* The ratios that are worst for us: of the jobs with a limit, and with GSO of all. */
static json_t *
json_quic_kernel_ratio(void)
{
	const struct bench_figures *f = &bench_figures;
	const struct bench_series *plain = &f->quic_kernel[0].x_plain;
	const struct bench_series *gso = &f->quic_kernel[0].x_gso;
	json_t *o = json_object();

	for (unsigned int i = 1; i < f->nb_quic_kernel; i++) {
		const struct bench_figure_quic_kernel *k = &f->quic_kernel[i];

		if (k->at_once == 1 &&
				bench_series_stat(&k->x_plain).median <
						bench_series_stat(plain).median)
			plain = &k->x_plain;
		if (bench_series_stat(&k->x_gso).median < bench_series_stat(gso).median)
			gso = &k->x_gso;
	}
	set_stat(o, "plain", plain);
	set_stat(o, "gso", gso);
	return o;
}

static json_t *
json_quantiles(const struct bench_quantiles *q)
{
	json_t *o = json_object();

	set_stat(o, "p50_us", &q->p50_us);
	set_stat(o, "p99_us", &q->p99_us);
	set_stat(o, "p999_us", &q->p999_us);
	return o;
}

static json_t *
json_quic_latency(void)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < bench_figures.nb_quic_latency; i++) {
		const struct bench_figure_quic_latency *l = &bench_figures.quic_latency[i];

		json_array_append_new(list,
				json_pack("{si si si sf sI sf sI so so si si si}", "rooms",
						(int)l->rooms, "members", (int)l->members, "size",
						l->size, "load", l->load, "pps_in",
						(json_int_t)l->rate_pps, "worker_busy", l->busy,
						"deliveries", (json_int_t)l->deliveries, "in_relay",
						json_quantiles(&l->in_relay), "at_clients",
						json_quantiles(&l->at_clients), "windows",
						(int)l->windows, "windows_repeated",
						(int)l->repeated, "windows_disturbed",
						(int)l->disturbed));
	}
	return list;
}

static json_t *
json_wzp(void)
{
	const struct bench_figure_wzp *w = &bench_figures.wzp;
	json_t *o = json_pack("{si si si sI si si si sf sf}", "storm", (int)w->storm, "storms",
			(int)w->nb_storms, "storms_disturbed", (int)w->storm_disturbed,
			"joins_beside", (json_int_t)w->joins_beside, "slices", (int)w->slices,
			"slices_repeated", (int)w->slices_repeated, "slices_disturbed",
			(int)w->slices_disturbed, "instructions_per_datagram", w->count_plain,
			"instructions_per_datagram_with_report", w->count_report);

	set_stat(o, "signals_per_s", &w->signals_per_s);
	set_stat(o, "signal_worker_ns", &w->signal_worker_ns);
	set_stat(o, "joins_per_s", &w->joins_per_s);
	set_stat(o, "storm_in_ms", &w->storm_in_ms);
	set_stat(o, "storm_told_ms", &w->storm_told_ms);
	set_stat(o, "storm_slow_path_ms", &w->storm_ctl_ms);
	set_stat(o, "storm_worker_busy", &w->storm_busy);
	set_stat(o, "storm_updates_made", &w->storm_made);
	set_stat(o, "storm_updates_received", &w->storm_updates);
	set_stat(o, "storm_mb", &w->storm_mb);
	set_stat(o, "storm_p99_us", &w->storm_p99_us);
	set_stat(o, "calm_p99_us", &w->calm_p99_us);
	set_stat(o, "alone_p99_us", &w->alone_us);
	set_stat(o, "beside_p99_us", &w->beside_us);
	set_stat(o, "more_p99_us", &w->more_us);
	return o;
}

static json_t *
json_count(void)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < bench_figures.nb_count; i++) {
		const struct bench_figure_count *c = &bench_figures.count[i];

		json_array_append_new(list,
				json_pack("{si sf sf}", "members", (int)c->members, "path", c->path,
						"primitive", c->primitive));
	}
	return list;
}

static json_t *
json_limits(void)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < nb_limits; i++)
		json_array_append_new(list,
				json_pack("{ss sf s[ff] si sf sb sb}", "what", limits[i].what,
						"value", limits[i].value, "ci95", limits[i].lo,
						limits[i].hi, "pairs", (int)limits[i].n, "limit",
						limits[i].bound, "at_least", limits[i].at_least,
						"met", limits[i].met));
	return list;
}

static void
write_json(const struct bench_options *opt)
{
	const struct bench_figures *f = &bench_figures;
	json_t *crossing = json_object();
	json_t *kernel = json_object();
	json_t *root;

	set_stat(crossing, "ns_same", &f->cross_same);
	set_stat(crossing, "ns_cross", &f->cross_cross);
	set_stat(kernel, "in_process", &f->to_kernel);
	set_stat(kernel, "virtio_user", &f->virtio_to_kernel);
	root = json_pack("{so so so so so so so so s{sI sI} so so so so so}", "machine",
			json_machine(opt), "fanout_primitive", json_primitive(), "packet_path",
			json_path(), "crossing", crossing, "lending", json_lending(),
			"kernel_relay", json_kernel(), "ratio_to_kernel", kernel,
			"instructions_per_copy", json_count(), "memory", "bytes_per_session",
			(json_int_t)f->session_bytes, "bytes_per_room", (json_int_t)f->room_bytes,
			"ndr", json_rates(true), "pdr", json_rates(false), "latency",
			json_latency(), "loss", json_loss(), "limits", json_limits());
	if (root != NULL && f->nb_quic > 0) {
		json_object_set_new(root, "quic", json_quic());
		json_object_set_new(root, "quic_kernel", json_quic_kernel());
		json_object_set_new(root, "quic_kernel_ratio", json_quic_kernel_ratio());
		json_object_set_new(root, "quic_latency", json_quic_latency());
		set_stat(root, "handshakes_per_s", &f->shakes_ed25519);
		set_stat(root, "handshakes_per_s_p256", &f->shakes_p256);
		json_object_set_new(root, "bytes_per_conn",
				json_integer((json_int_t)f->quic_held_bytes));
		json_object_set_new(root, "bytes_per_conn_used",
				json_integer((json_int_t)f->quic_used_bytes));
	}
	if (root != NULL && f->wzp.is_measured)
		json_object_set_new(root, "wzp", json_wzp());
	if (root == NULL ||
			json_dump_file(root, opt->json, JSON_INDENT(2) | JSON_REAL_PRECISION(5)) <
					0)
		bench_die("%s: cannot be written", opt->json);
	json_decref(root);
}

bool
bench_report(const struct bench_options *opt)
{
	bool met;

	find_limits(opt);
	met = print_text(stdout, opt);
	if (opt->markdown != NULL) {
		FILE *out = fopen(opt->markdown, "we");

		if (out == NULL)
			bench_die("%s: %s", opt->markdown, strerror(errno));
		print_text(out, opt);
		fclose(out);
	}
	if (opt->json != NULL)
		write_json(opt);
	return met;
}

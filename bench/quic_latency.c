/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Latency of QUIC datagrams at a part of what the worker can do. The worker runs all the time; main
 * keeps a schedule, plays the clients and carries the frames. In the relay: from RX burst to TX burst,
 * by the relay's own histogram. At the clients: from the time at which a datagram was due to the call
 * that hands it over, with all that clients do on main's CPU before, one after the other.
 *
 * A window during which a thread lost its CPU is taken again, at most as many as there are.
 */
#include <stdio.h>
#include <stdlib.h>

#include "load.h"
#include "quic.h"

#define TRIALS      5
#define TRIAL_NS    PLM_NS_PER_S
#define WINDOW_NS   (20 * PLM_NS_PER_MS)
#define PATIENCE_NS PLM_NS_PER_S
#define SAY_BURST   8             /* datagrams before frames are carried again */
#define CHORE_NS    PLM_NS_PER_MS /* between two looks at timers, and turns of the slow path */

static const double loads[] = { 0.1, 0.3 };

struct window {
	/* const */
	struct quic_relay *relay;
	const struct bench_figure_quic_latency *fig;
	uint32_t taking; /* clients */

	/* main */
	struct load_pace pace;
	uint64_t chores_ns; /* when they are due */
	uint64_t had;
	struct bench_watch watch;
	bool disturbed; /* either thread */

	/* the worker */
	uint64_t busy; /* cycles of turns in which something was done */
	uint64_t all;

	alignas(RTE_CACHE_LINE_SIZE) _Atomic bool over;
};

static void
worker_live(void *arg)
{
	struct window *w = arg;
	struct plm_relay *relay = plm_ctl_relay(w->relay->ctl);
	struct bench_watch watch;
	uint64_t begun = rte_rdtsc();
	const uint64_t first = begun;

	bench_watch_start(&watch);
	while (!atomic_load_explicit(&w->over, memory_order_acquire)) {
		unsigned int n = plm_relay_turn(relay, 0, 1 + (uint64_t)bench_ns(begun));
		uint64_t ended = rte_rdtsc();

		w->busy += n > 0 ? ended - begun : 0;
		begun = ended;
	}
	w->all = begun - first;
	w->disturbed = bench_watch_disturbed(&watch);
}

static void
say(struct window *w)
{
	const uint64_t due_ns = load_pace_at(&w->pace, w->pace.n);
	uint8_t payload[1200] = { 0 }; /* a header of zeros is Opus */

	memcpy(payload + PLM_WZP_HDR, &due_ns, sizeof(due_ns));
	quic_client_say(&w->relay->clients, w->pace.n++ % w->fig->rooms * w->fig->members, payload,
			w->fig->size);
}

/* Main's part, again and again; it ends the window when everything has come. */
static void
play(void *arg)
{
	struct window *w = arg;
	uint64_t now_ns = quic_now();
	uint64_t due = load_pace_due(&w->pace, now_ns);
	uint64_t all;

	for (uint64_t i = 0; i < RTE_MIN(due, (uint64_t)SAY_BURST); i++)
		say(w);
	quic_relay_carry(w->relay);
	if (now_ns >= w->chores_ns) {
		w->chores_ns = now_ns + CHORE_NS;
		quic_clients_timers(&w->relay->clients, 0, w->taking);
		quic_relay_slow(w->relay);
	}
	all = load_pace_total(&w->pace);
	if (w->pace.n == all &&
			(now_ns > w->pace.end_ns + PATIENCE_NS ||
					quic_clients_received(&w->relay->clients) - w->had ==
							all * (w->fig->members - 1)))
		atomic_store_explicit(&w->over, true, memory_order_release);
}

/* What one window brought to a trial; false: it is to be taken again. */
static bool
window_run(struct window *w, struct bench_figure_quic_latency *fig, struct plm_hist *in_relay,
		struct plm_hist *at_clients, bool may_repeat)
{
	static struct plm_hist before, since, heard;
	const struct plm_hist *relay = plm_relay_latency(plm_ctl_relay(w->relay->ctl), 0);
	const uint64_t start_ns = quic_now();
	uint64_t got;

	before = *relay;
	heard = (struct plm_hist){ 0 };
	w->relay->clients.latency = &heard;
	w->pace = (struct load_pace){ .start_ns = start_ns,
		.end_ns = start_ns + WINDOW_NS,
		.rate = fig->rate_pps };
	w->had = quic_clients_received(&w->relay->clients);
	w->busy = w->all = 0;
	atomic_store(&w->over, false);
	bench_watch_start(&w->watch);
	quic_on_worker(worker_live, play, w);
	w->disturbed = w->disturbed || bench_watch_disturbed(&w->watch);
	w->relay->clients.latency = NULL;
	got = quic_clients_received(&w->relay->clients) - w->had;
	if (got != w->pace.n * (fig->members - 1))
		bench_die("latency: %" PRIu64 " of %" PRIu64 " datagrams were delivered", got,
				w->pace.n * (fig->members - 1));
	if (w->disturbed && may_repeat) {
		fig->repeated++;
		return false;
	}
	fig->disturbed += w->disturbed;
	fig->windows++;
	fig->deliveries += got;
	fig->busy += (double)w->busy / (double)w->all;
	bench_hist_since(&since, &before, relay);
	plm_hist_merge(in_relay, &since);
	plm_hist_merge(at_clients, &heard);
	return true;
}

static void
keep(struct bench_quantiles *to, const struct plm_hist *hist)
{
	bench_series_add(&to->p50_us, (double)plm_hist_quantile(hist, 5000) / 1e3);
	bench_series_add(&to->p99_us, (double)plm_hist_quantile(hist, 9900) / 1e3);
	bench_series_add(&to->p999_us, (double)plm_hist_quantile(hist, 9990) / 1e3);
}

static void
measure(struct quic_relay *relay, struct bench_figure_quic_latency *fig, unsigned int trials,
		uint64_t trial_ns)
{
	static struct plm_hist in_relay, at_clients;
	struct window w = { .relay = relay, .fig = fig, .taking = fig->rooms * fig->members };

	for (unsigned int t = 0; t < trials; t++) {
		unsigned int repeated = fig->repeated;

		in_relay = at_clients = (struct plm_hist){ 0 };
		for (unsigned int i = 0; i < trial_ns / WINDOW_NS;)
			i += window_run(&w, fig, &in_relay, &at_clients,
					fig->repeated - repeated < trial_ns / WINDOW_NS);
		keep(&fig->in_relay, &in_relay);
		keep(&fig->at_clients, &at_clients);
	}
	fig->busy /= fig->windows;
	fprintf(stderr,
			"  %u x %u, %u B, %.0f deliveries/s, worker busy %.0f %%: in the relay p50 %.1f, "
			"p99 %.1f, p99.9 %.1f us\n",
			fig->rooms, fig->members, fig->size,
			(double)fig->rate_pps * (fig->members - 1), 100 * fig->busy,
			bench_series_stat(&fig->in_relay.p50_us).median,
			bench_series_stat(&fig->in_relay.p99_us).median,
			bench_series_stat(&fig->in_relay.p999_us).median);
}

void
quic_latency(struct quic_relay *relay, const struct bench_figure_quic *of,
		const struct bench_options *opt)
{
	struct bench_figures *f = &bench_figures;
	struct bench_figure_quic_latency *figs = realloc(f->quic_latency,
			(f->nb_quic_latency + RTE_DIM(loads)) * sizeof(*figs));
	const double ns = bench_series_stat(&of->ns).median;

	if (figs == NULL)
		bench_die("out of memory");
	f->quic_latency = figs;
	for (unsigned int i = 0; i < RTE_DIM(loads); i++) {
		struct bench_figure_quic_latency *fig = &figs[f->nb_quic_latency++];

		*fig = (struct bench_figure_quic_latency){
			.rooms = of->rooms,
			.members = of->members,
			.size = of->size,
			.load = loads[i],
			.rate_pps = (uint64_t)(1e9 * loads[i] / ns / (of->members - 1)),
		};
		if (fig->rate_pps > 0)
			measure(relay, fig,
					opt->quick ? 1
						   : RTE_MIN(opt->repetitions,
								     (unsigned int)TRIALS),
					opt->quick ? 5 * WINDOW_NS : TRIAL_NS);
	}
}

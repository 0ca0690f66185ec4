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
	const struct bench_figure_quic_latency *fig;
	uint32_t taking; /* clients */

	/* main */
	struct quic_live live;
	struct load_pace pace;
	uint64_t chores_ns; /* when they are due */
	uint64_t had;
};

static void
say(struct window *w)
{
	const uint64_t due_ns = load_pace_at(&w->pace, w->pace.n);
	uint8_t payload[1200] = { 0 }; /* a header of zeros is Opus */

	memcpy(payload + PLM_WZP_HDR, &due_ns, sizeof(due_ns));
	quic_client_say(&w->live.relay->clients, w->pace.n++ % w->fig->rooms * w->fig->members,
			payload, w->fig->size);
}

/* Main's part, again and again; the window ends when everything has come. */
static bool
play(void *arg, uint64_t now_ns)
{
	struct window *w = arg;
	struct quic_relay *relay = w->live.relay;
	uint64_t due = load_pace_due(&w->pace, now_ns);
	uint64_t all;

	for (uint64_t i = 0; i < RTE_MIN(due, (uint64_t)SAY_BURST); i++)
		say(w);
	quic_relay_carry(relay);
	if (now_ns >= w->chores_ns) {
		w->chores_ns = now_ns + CHORE_NS;
		quic_clients_timers(&relay->clients, 0, w->taking);
		quic_relay_slow(relay);
	}
	all = load_pace_total(&w->pace);
	return w->pace.n == all &&
			(now_ns > w->pace.end_ns + PATIENCE_NS ||
					quic_clients_received(&relay->clients) - w->had ==
							all * (w->fig->members - 1));
}

/* What one window brought to a trial; false: it is to be taken again. */
static bool
window_run(struct window *w, struct bench_figure_quic_latency *fig, struct plm_hist *in_relay,
		struct plm_hist *at_clients, bool may_repeat)
{
	static struct plm_hist heard;
	struct quic_clients *clients = &w->live.relay->clients;
	const uint64_t start_ns = quic_now();
	uint64_t got;

	heard = (struct plm_hist){ 0 };
	clients->latency = &heard;
	w->pace = (struct load_pace){ .start_ns = start_ns,
		.end_ns = start_ns + WINDOW_NS,
		.rate = fig->rate_pps };
	w->had = quic_clients_received(clients);
	quic_live_run(&w->live);
	clients->latency = NULL;
	got = quic_clients_received(clients) - w->had;
	if (got != w->pace.n * (fig->members - 1))
		bench_die("latency: %" PRIu64 " of %" PRIu64 " datagrams were delivered", got,
				w->pace.n * (fig->members - 1));
	if (w->live.disturbed && may_repeat) {
		fig->repeated++;
		return false;
	}
	fig->disturbed += w->live.disturbed;
	fig->windows++;
	fig->deliveries += got;
	fig->busy += (double)w->live.busy / (double)w->live.all;
	plm_hist_merge(in_relay, &w->live.in_relay);
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
	static struct window w;

	w = (struct window){ .fig = fig,
		.taking = fig->rooms * fig->members,
		.live = { .relay = relay, .play = play, .ctx = &w } };
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

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What WZP adds to QUIC: signals on the slow path, many who join at once, what others notice of joins and
 * leaves, and the reports at the end of datagrams.
 *
 * The worker runs on its own CPU; the slow path and all clients are main's. So the time until all are in is
 * the clients', too; the slow path's alone stands beside it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "load.h"
#include "quic.h"

#define CHORE_NS PLM_NS_PER_MS /* between two looks at timers */

/* Signals: rooms that are told at once, and what each client may say in a row. */
#define SIGNAL_ROOMS   8
#define SIGNAL_MEMBERS 48
#define SIGNAL_ROUNDS  40

/* The storm: one room, beside a small one in which somebody talks. */
#define STORM        1000
#define STORM_QUICK  150
#define STORMS       5
#define OFFERS       4 /* that leave before frames are carried again */
#define TALKERS      11
#define TALK_PPS     200
#define CALM_NS      (2 * PLM_NS_PER_S)
#define JOIN_TIME_NS (60 * PLM_NS_PER_S)
#define PATIENCE_NS  (30 * PLM_NS_PER_S)

/* Joins and leaves: of a room with some who stay. */
#define STAY_MEMBERS 20
#define PASSERS      48 /* clients that take turns */
#define JOINS_PER_S  20
#define STAY_NS      PLM_NS_PER_S
#define WINDOWS      20 /* of each kind */
#define WINDOW_NS    (5 * PLM_NS_PER_S)
#define SLICE_NS     (20 * PLM_NS_PER_MS)

static const char signature[] = "SIGN-EDDSA-ED25519";

static void
relay_init(struct quic_relay *r, char name[16], uint32_t nb)
{
	static unsigned int serial;

	snprintf(name, 16, "wzp%u", serial++);
	*r = (struct quic_relay){
		.name = name,
		.max_connections = nb,
		.backend = PLM_AEAD_BEST,
		.clients = { .nb = nb, .cipher = "AES-128-GCM", .signature = signature },
	};
}

static uint64_t
ctl_count(const struct quic_relay *r, enum plm_counter counter)
{
	return plm_counter_get(plm_ctl_counters(r->ctl), counter);
}

/* --- signals ------------------------------------------------------------------------------------- */

struct signalling {
	struct bench_figure_wzp *fig;
	uint32_t rooms;
	unsigned int rounds;
};

/* Each client says one, and waits for its answer. */
static void
signal_round(struct quic_relay *r, struct bench_figure_wzp *fig)
{
	const uint32_t nb = r->clients.nb;
	const uint64_t wanted = r->clients.nb_pongs + nb;
	const uint64_t give_up = quic_now() + PATIENCE_NS;

	r->worker_spent = r->ctl_spent = 0;
	for (uint32_t i = 0; i < nb; i++)
		quic_client_ping(&r->clients, i);
	while (r->clients.nb_pongs < wanted) {
		quic_relay_carry(r);
		quic_relay_turns(r, false);
		if (quic_now() > give_up)
			bench_die("signals: %" PRIu64 " were not answered",
					wanted - r->clients.nb_pongs);
	}
	bench_series_add(&fig->signals_per_s, nb * 1e9 / bench_ns(r->ctl_spent));
	bench_series_add(&fig->signal_worker_ns, bench_ns(r->worker_spent) / nb);
	quic_relay_linger(r, 60 * PLM_NS_PER_MS, 0, nb);
}

static int
signals(void *arg)
{
	const struct signalling *s = arg;
	struct quic_relay r;
	char name[16], room[16];

	relay_init(&r, name, s->rooms * SIGNAL_MEMBERS);
	quic_relay_create(&r);
	for (uint32_t i = 0; i < s->rooms; i++) {
		snprintf(room, sizeof(room), "room%u", i);
		r.worker_joined = r.ctl_joined = 0;
		quic_relay_connect(&r, room, i * SIGNAL_MEMBERS, SIGNAL_MEMBERS);
		bench_series_add(&s->fig->joins_per_s,
				SIGNAL_MEMBERS * 1e9 / bench_ns(r.worker_joined + r.ctl_joined));
	}
	for (unsigned int i = 0; i < s->rounds; i++)
		signal_round(&r, s->fig);
	quic_relay_free(&r);
	return 0;
}

/* --- a room in which somebody talks ------------------------------------------------------------- */

struct talk {
	struct quic_relay *relay;
	struct load_pace pace;
	uint32_t first; /* speaker, then listeners */
	uint64_t had;
	uint64_t chores_ns;
};

static void
talk_begin(struct talk *t, uint64_t ns)
{
	uint64_t now_ns = quic_now();

	t->pace = (struct load_pace){ .start_ns = now_ns, .end_ns = now_ns + ns, .rate = TALK_PPS };
	t->had = quic_clients_received(&t->relay->clients);
}

/* One at most, so that a late one does not make a burst. */
static void
talk_on(struct talk *t, uint64_t now_ns)
{
	static const uint8_t media[200];

	if (load_pace_due(&t->pace, now_ns) == 0)
		return;
	t->pace.n++;
	quic_client_say(&t->relay->clients, t->first, media, sizeof(media));
}

static bool
talk_is_over(const struct talk *t, uint64_t now_ns)
{
	const uint64_t said = t->pace.n;

	return now_ns > t->pace.end_ns && load_pace_due(&t->pace, now_ns) == 0 &&
			(quic_clients_received(&t->relay->clients) - t->had ==
							said * (TALKERS - 1) ||
					now_ns > t->pace.end_ns + PATIENCE_NS);
}

static void
talk_check(const struct talk *t)
{
	const uint64_t got = quic_clients_received(&t->relay->clients) - t->had;

	if (got != t->pace.n * (TALKERS - 1))
		bench_die("wzp: %" PRIu64 " of %" PRIu64 " datagrams were delivered", got,
				t->pace.n * (TALKERS - 1));
}

static bool
chores_due(struct talk *t, uint64_t now_ns)
{
	if (now_ns < t->chores_ns)
		return false;
	t->chores_ns = now_ns + CHORE_NS;
	return true;
}

static double
p99_us(const struct plm_hist *hist)
{
	return (double)plm_hist_quantile(hist, 9900) / 1e3;
}

/* --- many who join at once ----------------------------------------------------------------------- */

struct storm {
	struct bench_figure_wzp *fig;
	struct quic_relay relay;
	struct quic_live live;
	struct talk talk;
	char name[16];
	uint32_t nb;
	uint32_t offered;
	uint64_t begun_ns;
	uint64_t in_ns;
	uint64_t told_ns; /* 0: not yet */
	uint64_t ctl_spent;
};

/* All are connected, and have not said yet who they are. */
static int
storm_open(void *arg)
{
	struct storm *s = arg;

	relay_init(&s->relay, s->name, s->nb + TALKERS);
	s->relay.join_timeout_ns = JOIN_TIME_NS;
	quic_relay_create(&s->relay);
	quic_relay_connect(&s->relay, "calm", s->nb, TALKERS);
	for (uint32_t i = 0; i < s->nb; i += SIGNAL_MEMBERS)
		quic_relay_shake(&s->relay, "storm", i,
				RTE_MIN(s->nb - i, (uint32_t)SIGNAL_MEMBERS));
	for (uint32_t i = 0; i < s->nb; i++)
		quic_client_sign(&s->relay.clients, i);
	return 0;
}

static int
storm_close(void *arg)
{
	struct storm *s = arg;

	quic_relay_free(&s->relay);
	return 0;
}

static void
slow_path(struct storm *s)
{
	uint64_t begun = rte_rdtsc();

	if (quic_relay_slow(&s->relay) > 0)
		s->ctl_spent += rte_rdtsc() - begun;
}

static bool
are_told(const struct storm *s)
{
	for (uint32_t i = 0; i < s->nb; i++)
		if (s->relay.clients.wzp[i].nb_listed != s->nb)
			return false;
	return true;
}

static bool
storm_play(void *ctx, uint64_t now_ns)
{
	struct storm *s = ctx;
	struct quic_clients *clients = &s->relay.clients;

	talk_on(&s->talk, now_ns);
	for (unsigned int i = 0; i < OFFERS && s->offered < s->nb; i++)
		quic_client_offer(clients, s->offered++);
	quic_relay_carry(&s->relay);
	slow_path(s);
	if (s->in_ns == 0 && clients->nb_in == clients->nb)
		s->in_ns = now_ns;
	if (chores_due(&s->talk, now_ns)) {
		quic_clients_timers(clients, 0, clients->nb);
		if (s->told_ns == 0 && s->in_ns != 0 && are_told(s)) {
			s->told_ns = now_ns;
			s->talk.pace.end_ns = now_ns;
		}
	}
	if (now_ns > s->begun_ns + PATIENCE_NS)
		bench_die("wzp: %u of %u are in, or not all were told", clients->nb_in,
				clients->nb);
	return s->told_ns != 0 && talk_is_over(&s->talk, now_ns);
}

static bool
calm_play(void *ctx, uint64_t now_ns)
{
	struct storm *s = ctx;

	talk_on(&s->talk, now_ns);
	quic_relay_carry(&s->relay);
	quic_relay_slow(&s->relay);
	if (chores_due(&s->talk, now_ns))
		quic_clients_timers(&s->relay.clients, 0, s->relay.clients.nb);
	return talk_is_over(&s->talk, now_ns);
}

/* What clients were told, in all. */
static void
count_updates(const struct quic_clients *clients, uint64_t *updates, uint64_t *bytes)
{
	*updates = *bytes = 0;
	for (uint32_t i = 0; i < clients->nb; i++) {
		*updates += clients->clients[i].updates;
		*bytes += clients->clients[i].update_bytes;
	}
}

static void
storm_run(struct storm *s)
{
	struct bench_figure_wzp *fig = s->fig;
	uint64_t made, updates, bytes, had_updates, had_bytes;

	s->live = (struct quic_live){ .relay = &s->relay, .ctx = s };
	s->talk = (struct talk){ .relay = &s->relay, .first = s->nb };
	s->live.play = calm_play;
	talk_begin(&s->talk, CALM_NS);
	quic_live_run(&s->live);
	talk_check(&s->talk);
	bench_series_add(&fig->calm_p99_us, p99_us(&s->live.in_relay));

	s->offered = 0;
	s->in_ns = s->told_ns = s->ctl_spent = 0;
	count_updates(&s->relay.clients, &had_updates, &had_bytes);
	made = ctl_count(&s->relay, PLM_CNT_WZP_UPDATES);
	s->live.play = storm_play;
	talk_begin(&s->talk, PATIENCE_NS);
	s->begun_ns = quic_now();
	quic_live_run(&s->live);
	talk_check(&s->talk);
	count_updates(&s->relay.clients, &updates, &bytes);
	bench_series_add(&fig->storm_p99_us, p99_us(&s->live.in_relay));
	bench_series_add(&fig->storm_in_ms, (double)(s->in_ns - s->begun_ns) / 1e6);
	bench_series_add(&fig->storm_told_ms, (double)(s->told_ns - s->begun_ns) / 1e6);
	bench_series_add(&fig->storm_ctl_ms, bench_ns(s->ctl_spent) / 1e6);
	bench_series_add(&fig->storm_busy, (double)s->live.busy / (double)s->live.all);
	bench_series_add(&fig->storm_made,
			(double)(ctl_count(&s->relay, PLM_CNT_WZP_UPDATES) - made));
	bench_series_add(&fig->storm_updates, (double)(updates - had_updates));
	bench_series_add(&fig->storm_mb, (double)(bytes - had_bytes) / 1e6);
	fig->storm_disturbed += s->live.disturbed;
}

static void
storms(struct bench_figure_wzp *fig, const struct bench_options *opt)
{
	static struct storm s;

	fig->storm = opt->quick ? STORM_QUICK : STORM;
	fig->nb_storms = opt->quick ? 1 : RTE_MIN(opt->repetitions, (unsigned int)STORMS);
	for (unsigned int i = 0; i < fig->nb_storms; i++) {
		s = (struct storm){ .fig = fig, .nb = fig->storm };
		bench_on_worker(storm_open, &s, NULL);
		quic_crew_start();
		storm_run(&s);
		quic_crew_stop();
		bench_on_worker(storm_close, &s, NULL);
	}
	fprintf(stderr,
			"  %u joins: all in after %.0f ms, told after %.0f; %.0f updates made, %.1f MB; "
			"p99 in the relay of another room %.1f us, %.1f before\n",
			fig->storm, bench_series_stat(&fig->storm_in_ms).median,
			bench_series_stat(&fig->storm_told_ms).median,
			bench_series_stat(&fig->storm_made).median,
			bench_series_stat(&fig->storm_mb).median,
			bench_series_stat(&fig->storm_p99_us).median,
			bench_series_stat(&fig->calm_p99_us).median);
}

/* --- joins and leaves of another room -------------------------------------------------------------- */

enum passing {
	AWAY,
	SHAKING,
	JOINING,
	PRESENT,
};

struct beside {
	struct bench_figure_wzp *fig;
	struct quic_relay relay;
	struct quic_live live;
	struct talk talk;
	char name[16];
	bool has_joins;
	struct load_pace joins;
	uint32_t next; /* of those who take turns */
	struct {
		enum passing phase;
		uint64_t leave_ns;
	} passers[PASSERS];
	uint64_t joined;
};

static int
beside_open(void *arg)
{
	struct beside *b = arg;

	relay_init(&b->relay, b->name, TALKERS + STAY_MEMBERS + PASSERS);
	/* Those who have left hold their places for a moment. */
	b->relay.max_connections *= 4;
	quic_relay_create(&b->relay);
	quic_relay_connect(&b->relay, "calm", 0, TALKERS);
	quic_relay_connect(&b->relay, "busy", TALKERS, STAY_MEMBERS);
	return 0;
}

static int
beside_close(void *arg)
{
	struct beside *b = arg;

	quic_relay_free(&b->relay);
	return 0;
}

static uint32_t
passer(uint32_t i)
{
	return TALKERS + STAY_MEMBERS + i;
}

static void
pass_on(struct beside *b, uint32_t i, uint64_t now_ns)
{
	struct quic_clients *clients = &b->relay.clients;
	const struct quic_client *c = &clients->clients[passer(i)];

	if (b->passers[i].phase == SHAKING && c->is_open) {
		quic_client_sign(clients, passer(i));
		quic_client_offer(clients, passer(i));
		b->passers[i].phase = JOINING;
	} else if (b->passers[i].phase == JOINING && c->is_in) {
		quic_clients_settled(clients, passer(i), 1);
		b->passers[i].phase = PRESENT;
		b->passers[i].leave_ns = now_ns + STAY_NS;
		b->joined++;
	} else if (b->passers[i].phase == PRESENT && now_ns >= b->passers[i].leave_ns) {
		quic_client_leave(clients, passer(i));
		b->passers[i].phase = AWAY;
	}
}

static void
passing(struct beside *b, uint64_t now_ns)
{
	if (b->has_joins && load_pace_due(&b->joins, now_ns) > 0 &&
			b->passers[b->next].phase == AWAY) {
		b->joins.n++;
		b->passers[b->next].phase = SHAKING;
		quic_client_begin(&b->relay.clients, passer(b->next), "busy");
		b->next = (b->next + 1) % PASSERS;
	}
	for (uint32_t i = 0; i < PASSERS; i++)
		if (b->passers[i].phase != AWAY)
			pass_on(b, i, now_ns);
}

static bool
beside_play(void *ctx, uint64_t now_ns)
{
	struct beside *b = ctx;

	talk_on(&b->talk, now_ns);
	quic_relay_carry(&b->relay);
	quic_relay_slow(&b->relay);
	if (chores_due(&b->talk, now_ns)) {
		quic_clients_timers(&b->relay.clients, 0, b->relay.clients.nb);
		passing(b, now_ns);
	}
	return talk_is_over(&b->talk, now_ns);
}

/* In slices, of which a disturbed one is taken again; p99 in the relay. */
static double
window(struct beside *b, uint64_t ns, bool has_joins)
{
	static struct plm_hist hist;
	const unsigned int nb = (unsigned int)(ns / SLICE_NS);
	struct bench_figure_wzp *fig = b->fig;
	unsigned int repeated = 0;

	hist = (struct plm_hist){ 0 };
	b->has_joins = has_joins;
	b->joins = (struct load_pace){ .start_ns = quic_now(),
		.end_ns = UINT64_MAX,
		.rate = JOINS_PER_S };
	for (unsigned int i = 0; i < nb;) {
		talk_begin(&b->talk, SLICE_NS);
		quic_live_run(&b->live);
		talk_check(&b->talk);
		if (b->live.disturbed && repeated < nb) {
			repeated++;
			continue;
		}
		fig->slices_disturbed += b->live.disturbed;
		fig->slices++;
		plm_hist_merge(&hist, &b->live.in_relay);
		i++;
	}
	fig->slices_repeated += repeated;
	return p99_us(&hist);
}

static void
besides(struct bench_figure_wzp *fig, const struct bench_options *opt)
{
	static struct beside b;
	const unsigned int pairs =
			opt->quick ? 2 : RTE_MIN(opt->repetitions, (unsigned int)WINDOWS);
	const uint64_t ns = opt->quick ? 20 * SLICE_NS : WINDOW_NS;

	b = (struct beside){ .fig = fig,
		.live = { .relay = &b.relay, .play = beside_play, .ctx = &b },
		.talk = { .relay = &b.relay } };
	bench_on_worker(beside_open, &b, NULL);
	quic_crew_start();
	for (unsigned int i = 0; i < pairs; i++) {
		double alone = window(&b, ns, false);
		double beside = window(&b, ns, true);

		bench_series_add(&fig->alone_us, alone);
		bench_series_add(&fig->beside_us, beside);
		bench_series_add(&fig->more_us, beside - alone);
	}
	quic_crew_stop();
	if (b.joined == 0)
		bench_die("wzp: nobody joined the other room");
	fig->joins_beside = b.joined;
	bench_on_worker(beside_close, &b, NULL);
	fprintf(stderr,
			"  p99 in the relay: %.1f us, %.1f beside %" PRIu64
			" joins and leaves of another "
			"room\n",
			bench_series_stat(&fig->alone_us).median,
			bench_series_stat(&fig->beside_us).median, b.joined);
}

/* --- all of it --------------------------------------------------------------------------------------- */

void
bench_wzp_all(const struct bench_options *opt)
{
	struct bench_figure_wzp *fig = &bench_figures.wzp;
	struct signalling s = { fig, opt->quick ? 2 : SIGNAL_ROOMS,
		opt->quick ? 3 : RTE_MIN(opt->repetitions, (unsigned int)SIGNAL_ROUNDS) };

	bench_on_worker(signals, &s, NULL);
	fprintf(stderr, "  %.0f joins/s, %.0f signals/s\n",
			bench_series_stat(&fig->joins_per_s).median,
			bench_series_stat(&fig->signals_per_s).median);
	storms(fig, opt);
	besides(fig, opt);
	bench_count_reports(opt, fig);
	fig->is_measured = true;
}

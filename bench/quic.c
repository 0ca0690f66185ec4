/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QUIC: a delivered datagram through one worker, its receivers' acknowledgements included, beside what
 * the library alone and a relay on kernel sockets take for the same; handshakes; memory.
 *
 * A round is one datagram in each room that takes part. Rounds go by units, since receivers acknowledge
 * every second packet; a sample is the median over its units, so that one in which somebody else had the
 * CPU does not count, and it is a pair: the relay's units and the library's in turns.
 */
#include "quic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_launch.h>
#include <rte_lcore.h>

#define UNIT         8 /* rounds */
#define UNITS        7
#define OTHERS       5 /* samples of the ciphers and backends that have no limit */
#define KERNEL_UNITS 3
#define WARM_UNITS   8   /* when the connections are new */
#define BIG          101 /* members of rooms */
#define SMALL        11
#define BIG_ROOMS    10
#define SMALL_ROOMS  92
/* Handshakes of one sample, at the same time. */
#define BATCH  48
#define SHAKES BENCH_PAIRS_MIN

#define ED25519 "SIGN-EDDSA-ED25519"

static const struct {
	const char *name;
	const char *priority;
} ciphers[] = {
	{ "AES-128-GCM", "AES-128-GCM" },
	{ "AES-256-GCM", "AES-256-GCM" },
	{ "ChaCha20-Poly1305", "CHACHA20-POLY1305" },
};

static const struct {
	const char *name;
	enum plm_aead_backend backend;
} backends[] = {
	{ "ipsec-mb", PLM_AEAD_MB },
	{ "openssl", PLM_AEAD_EVP },
};

/* Which rooms take part; the first are all of a kind. */
static const struct shape {
	uint32_t rooms;
	uint32_t members;
} shapes[] = {
	{ 9, SMALL },
	{ SMALL_ROOMS, SMALL },
	{ 1, BIG },
	{ BIG_ROOMS, BIG },
};

static const uint16_t sizes[] = { 200, 1100 };

/* What a relay on kernel sockets does, too: rooms of a hundred receivers. */
static const struct job {
	uint32_t rooms;
	uint32_t members;
	uint16_t size;
	uint16_t at_once; /* datagrams of a speaker */
} kernel_jobs[] = {
	{ 1, BIG, 200, 1 },
	{ 1, BIG, 1100, 1 },
	{ 1, BIG, 200, 8 },
	{ 1, BIG, 1100, 8 },
	{ BIG_ROOMS, BIG, 200, 1 },
	{ BIG_ROOMS, BIG, 1100, 1 },
};
#define KERNEL_QUICK 4 /* of them, those with one room */
#define AT_ONCE_MAX  8

/* Who says something in a round, at most. */
#define SPEAKERS_MAX SMALL_ROOMS
static_assert(BIG_ROOMS * AT_ONCE_MAX <= SPEAKERS_MAX, "a burst of each speaker");

/* --- the worker's lcore ------------------------------------------------------------------------- */

/* `asked` is main's, `done` the worker's. */
static struct {
	void (*fn)(void *arg);
	void *arg;
	bool over;
	alignas(RTE_CACHE_LINE_SIZE) _Atomic uint32_t asked;
	alignas(RTE_CACHE_LINE_SIZE) _Atomic uint32_t done;
} crew;

static int
serve(void *arg)
{
	uint32_t served = atomic_load_explicit(&crew.done, memory_order_relaxed);

	for (;;) {
		while (atomic_load_explicit(&crew.asked, memory_order_acquire) == served)
			rte_pause();
		if (crew.over)
			return 0;
		crew.fn(crew.arg);
		atomic_store_explicit(&crew.done, ++served, memory_order_release);
	}
}

void
quic_on_worker(void (*fn)(void *arg), void (*meanwhile)(void *arg), void *arg)
{
	uint32_t asked = atomic_load_explicit(&crew.asked, memory_order_relaxed) + 1;

	crew.fn = fn;
	crew.arg = arg;
	atomic_store_explicit(&crew.asked, asked, memory_order_release);
	while (atomic_load_explicit(&crew.done, memory_order_acquire) != asked) {
		if (meanwhile != NULL)
			meanwhile(arg);
		rte_pause();
	}
}

void
quic_crew_start(void)
{
	crew.over = false;
	atomic_store(&crew.asked, 0);
	atomic_store(&crew.done, 0);
	if (rte_eal_remote_launch(serve, NULL, rte_get_next_lcore(-1, 1, 0)) != 0)
		bench_die("the worker lcore is busy");
}

void
quic_crew_stop(void)
{
	crew.over = true;
	atomic_fetch_add(&crew.asked, 1);
	rte_eal_mp_wait_lcore();
}

/* --- rounds -------------------------------------------------------------------------------------- */

struct stage {
	unsigned int cipher;
	unsigned int backend;
	uint32_t big_rooms;
	uint32_t small_rooms;
	struct quic_relay relay;
	struct quic_bare *bare;
	struct quic_kernel *kernel; /* NULL: this is measured without */
	bool miscounts;
};

/* Client `first` of a room speaks. */
static uint32_t
speaker_of(const struct stage *st, uint32_t members, uint32_t room)
{
	return (members == BIG ? 0 : st->big_rooms * BIG) + room * members;
}

/* What the relay says that it dropped. */
static void
print_drops(const struct quic_relay *r)
{
	const struct plm_counters *counters = plm_relay_counters(plm_ctl_relay(r->ctl), 0);

	for (unsigned int i = 0; i < PLM_CNT_MAX; i++)
		if ((plm_counter_defs[i].class == PLM_CLASS_RX_DROP ||
				    plm_counter_defs[i].class == PLM_CLASS_COPY_DROP) &&
				plm_counter_get(counters, i) > 0)
			fprintf(stderr, "  dropped: %" PRIu64 ", %s\n",
					plm_counter_get(counters, i), plm_counter_defs[i].name);
}

/* Who says something in a round. */
static unsigned int
speakers_of(const struct stage *st, const struct job *job, uint32_t *speakers)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < job->rooms; i++)
		for (unsigned int k = 0; k < job->at_once; k++)
			speakers[n++] = speaker_of(st, job->members, i);
	return n;
}

static unsigned int
deliveries(const struct job *job)
{
	return UNIT * job->rooms * (job->members - 1) * job->at_once;
}

/* ns per delivery of one unit of each. */
static double
relay_unit(struct stage *st, const struct job *job)
{
	uint32_t speakers[SPEAKERS_MAX];
	unsigned int n = speakers_of(st, job, speakers);

	st->relay.worker_spent = 0;
	for (unsigned int i = 0; i < UNIT; i++)
		quic_relay_round(&st->relay, speakers, n, job->size);
	return bench_ns(st->relay.worker_spent) / deliveries(job);
}

static double
kernel_unit(struct stage *st, const struct job *job, bool gso)
{
	uint32_t speakers[SPEAKERS_MAX];
	unsigned int n = speakers_of(st, job, speakers);
	uint64_t spent = 0;

	for (unsigned int i = 0; i < UNIT; i++)
		spent += quic_kernel_round(st->kernel, speakers, n, job->members, job->size, gso);
	return bench_ns(spent) / deliveries(job);
}

static double
bare_unit(struct stage *st, const struct job *job)
{
	const uint32_t nb = job->rooms * (job->members - 1);
	uint64_t spent = 0;

	for (unsigned int i = 0; i < UNIT; i++)
		spent += quic_bare_round(st->bare, nb, job->size);
	return bench_ns(spent) / deliveries(job);
}

/* Every datagram came to everybody it was for, and nothing was dropped. */
static void
check_books(struct stage *st, uint64_t had, uint64_t due)
{
	uint64_t got = quic_clients_received(&st->relay.clients) - had - st->miscounts;

	if (got == due)
		return;
	print_drops(&st->relay);
	bench_die("%" PRIu64 " of %" PRIu64 " datagrams were delivered", got, due);
}

static void
sample(struct stage *st, struct bench_figure_quic *fig, unsigned int warm)
{
	const struct job job = { fig->rooms, fig->members, fig->size, 1 };
	const uint64_t per_unit = deliveries(&job);
	struct bench_series relay = { 0 };
	struct bench_series bare = { 0 };
	uint64_t had = quic_clients_received(&st->relay.clients);
	uint64_t bare_had = quic_bare_received(st->bare);
	double ns, bare_ns;

	for (unsigned int i = 0; i < warm; i++) {
		relay_unit(st, &job);
		bare_unit(st, &job);
	}
	for (unsigned int i = 0; i < UNITS; i++) {
		bench_series_add(&relay, relay_unit(st, &job));
		bench_series_add(&bare, bare_unit(st, &job));
	}
	check_books(st, had, (UNITS + warm) * per_unit);
	if (quic_bare_received(st->bare) - bare_had != (UNITS + warm) * per_unit)
		bench_die("bare library: a datagram was lost");
	ns = bench_series_stat(&relay).median;
	bare_ns = bench_series_stat(&bare).median;
	bench_series_add(&fig->ns, ns);
	bench_series_add(&fig->bare_ns, bare_ns);
	bench_series_add(&fig->x_bare, ns / bare_ns);
	bench_series_add(&fig->x_bare_less, (ns - BENCH_QUIC_FIXED_NS) / bare_ns);
	bench_series_free(&relay);
	bench_series_free(&bare);
}

/* The same jobs by both relays in turns, the one on sockets with and without GSO. */
static void
kernel_sample(struct stage *st, struct bench_figure_quic_kernel *fig)
{
	const struct job job = { fig->rooms, fig->members, fig->size, fig->at_once };
	struct bench_series ours = { 0 }, plain = { 0 }, gso = { 0 };
	uint64_t had = quic_clients_received(&st->relay.clients);
	uint64_t kernel_had = quic_kernel_received(st->kernel);
	double ns;

	for (unsigned int i = 0; i < KERNEL_UNITS; i++) {
		relay_unit(st, &job); /* so that neither pays for what the other leaves in the caches */
		bench_series_add(&ours, relay_unit(st, &job));
		kernel_unit(st, &job, false);
		bench_series_add(&plain, kernel_unit(st, &job, false));
		bench_series_add(&gso, kernel_unit(st, &job, true));
	}
	check_books(st, had, 2 * KERNEL_UNITS * (uint64_t)deliveries(&job));
	if (quic_kernel_received(st->kernel) - kernel_had !=
			3 * KERNEL_UNITS * (uint64_t)deliveries(&job))
		bench_die("relay on kernel sockets: a datagram was lost");
	ns = bench_series_stat(&ours).median;
	bench_series_add(&fig->ns, ns);
	bench_series_add(&fig->plain_ns, bench_series_stat(&plain).median);
	bench_series_add(&fig->gso_ns, bench_series_stat(&gso).median);
	bench_series_add(&fig->x_plain, bench_series_stat(&plain).median / ns);
	bench_series_add(&fig->x_gso, bench_series_stat(&gso).median / ns);
	bench_series_free(&ours);
	bench_series_free(&plain);
	bench_series_free(&gso);
}

/* --- one cipher, one backend ---------------------------------------------------------------------- */

static int
stage_open(void *arg)
{
	static unsigned int serial;
	static char name[16];
	struct stage *st = arg;
	const uint32_t nb = st->big_rooms * BIG + st->small_rooms * SMALL;
	char room[16];

	snprintf(name, sizeof(name), "quic%u", serial++);
	st->relay = (struct quic_relay){
		.name = name,
		.max_connections = nb,
		.backend = backends[st->backend].backend,
		.clients = { .nb = nb,
				.cipher = ciphers[st->cipher].priority,
				.signature = ED25519 },
	};
	quic_relay_create(&st->relay);
	for (uint32_t i = 0; i < st->big_rooms + st->small_rooms; i++) {
		const bool big = i < st->big_rooms;
		const uint32_t members = big ? BIG : SMALL;
		uint32_t first = speaker_of(st, members, big ? i : i - st->big_rooms);

		snprintf(room, sizeof(room), "room%u", i);
		for (uint32_t k = 0; k < members; k += BATCH)
			quic_relay_connect(&st->relay, room, first + k,
					RTE_MIN(members - k, (uint32_t)BATCH));
	}
	quic_relay_rest(&st->relay);
	st->bare = quic_bare_create(st->big_rooms * BIG, backends[st->backend].backend,
			ciphers[st->cipher].priority);
	if (st->cipher > 0 || st->backend > 0)
		return 0;
	st->kernel = quic_kernel_create(st->big_rooms * BIG, backends[st->backend].backend,
			ciphers[st->cipher].priority);
	for (uint32_t i = 0; i < st->big_rooms; i++) {
		snprintf(room, sizeof(room), "room%u", i);
		quic_kernel_connect(st->kernel, room, speaker_of(st, BIG, i), BIG);
	}
	return 0;
}

static int
stage_close(void *arg)
{
	struct stage *st = arg;

	if (st->kernel != NULL)
		quic_kernel_free(st->kernel);
	st->kernel = NULL;
	quic_bare_free(st->bare);
	quic_relay_free(&st->relay);
	return 0;
}

static void
fig_init(struct bench_figure_quic *fig, const struct stage *st, const struct shape *shape,
		uint16_t size)
{
	*fig = (struct bench_figure_quic){
		.rooms = shape->rooms,
		.members = shape->members,
		.size = size,
		.cipher = ciphers[st->cipher].name,
		.backend = backends[st->backend].name,
		.is_limited = st->cipher == 0 && st->backend == 0,
	};
}

static void
measure_kernel(struct stage *st, const struct bench_options *opt)
{
	struct bench_figures *f = &bench_figures;
	const unsigned int pairs =
			opt->quick ? 2 : RTE_MIN(opt->repetitions, (unsigned int)BENCH_PAIRS_MIN);

	f->nb_quic_kernel = opt->quick ? KERNEL_QUICK : RTE_DIM(kernel_jobs);
	f->quic_kernel = calloc(f->nb_quic_kernel, sizeof(*f->quic_kernel));
	if (f->quic_kernel == NULL)
		bench_die("out of memory");
	for (unsigned int i = 0; i < f->nb_quic_kernel; i++)
		f->quic_kernel[i] = (struct bench_figure_quic_kernel){
			.rooms = kernel_jobs[i].rooms,
			.members = kernel_jobs[i].members,
			.size = kernel_jobs[i].size,
			.at_once = kernel_jobs[i].at_once,
		};
	for (unsigned int r = 0; r < pairs; r++) {
		for (unsigned int i = 0; i < f->nb_quic_kernel; i++) {
			quic_relay_settle(&st->relay);
			quic_kernel_settle(st->kernel);
			kernel_sample(st, &f->quic_kernel[i]);
		}
	}
	for (unsigned int i = 0; i < f->nb_quic_kernel; i++) {
		const struct bench_figure_quic_kernel *k = &f->quic_kernel[i];

		fprintf(stderr, "  %u x %u, %u B, %u at once: %.0f ns, kernel sockets %.0f, GSO %.0f\n",
				k->rooms, k->members, k->size, k->at_once,
				bench_series_stat(&k->ns).median,
				bench_series_stat(&k->plain_ns).median,
				bench_series_stat(&k->gso_ns).median);
	}
}

static void
measure_stage(struct stage *st, const struct bench_options *opt)
{
	struct bench_figures *f = &bench_figures;
	struct bench_figure_quic *figs = &f->quic[f->nb_quic];
	const unsigned int first = opt->quick ? 2 : 0; /* one room of 100 */
	const unsigned int last = opt->quick ? 2 : RTE_DIM(shapes) - 1;
	unsigned int samples = opt->repetitions;
	unsigned int n = 0;

	bench_on_worker(stage_open, st, NULL);
	for (unsigned int z = 0; z < RTE_DIM(sizes); z++)
		for (unsigned int s = first; s <= last; s++)
			fig_init(&figs[n++], st, &shapes[s], sizes[z]);
	if (!figs[0].is_limited)
		samples = RTE_MIN(samples, (unsigned int)OTHERS);
	quic_crew_start();
	for (unsigned int r = 0; r < samples; r++) {
		for (unsigned int i = 0; i < n; i++) {
			quic_relay_settle(&st->relay);
			quic_bare_settle(st->bare);
			sample(st, &figs[i], r == 0 ? WARM_UNITS : 1);
		}
	}
	if (f->quic_held_bytes == 0)
		quic_relay_memory(&st->relay, &f->quic_used_bytes, &f->quic_held_bytes);
	if (st->kernel != NULL)
		measure_kernel(st, opt);
	for (unsigned int i = 0; i < n; i++)
		if (figs[i].is_limited && figs[i].members == BIG)
			quic_latency(&st->relay, &figs[i], opt);
	quic_crew_stop();
	for (unsigned int i = 0; i < n; i++)
		fprintf(stderr, "  %s, %s, %u x %u, %u B: %.0f ns, library alone %.0f\n",
				figs[i].cipher, figs[i].backend, figs[i].rooms, figs[i].members,
				figs[i].size, bench_series_stat(&figs[i].ns).median,
				bench_series_stat(&figs[i].bare_ns).median);
	f->nb_quic += n;
	bench_on_worker(stage_close, st, NULL);
}

/* --- handshakes ------------------------------------------------------------------------------------ */

struct shaking {
	const char *signature;
	struct bench_series *per_s;
	unsigned int samples;
};

static int
shake(void *arg)
{
	static unsigned int serial;
	struct shaking *s = arg;
	char name[16], room[16];
	struct quic_relay r = {
		.name = name,
		.max_connections = s->samples * BATCH,
		.backend = PLM_AEAD_BEST,
		.clients = { .nb = s->samples * BATCH,
				.cipher = ciphers[0].priority,
				.signature = s->signature },
	};

	snprintf(name, sizeof(name), "shake%u", serial++);
	quic_relay_create(&r);
	for (unsigned int i = 0; i < s->samples; i++) {
		r.worker_spent = r.ctl_spent = 0;
		snprintf(room, sizeof(room), "room%u", i);
		quic_relay_connect(&r, room, i * BATCH, BATCH);
		bench_series_add(s->per_s, BATCH * 1e9 / bench_ns(r.worker_spent + r.ctl_spent));
	}
	quic_relay_free(&r);
	return 0;
}

/* --- all of it -------------------------------------------------------------------------------------- */

void
bench_quic_all(const struct bench_options *opt)
{
	struct bench_figures *f = &bench_figures;
	struct shaking ed25519 = { ED25519, &f->shakes_ed25519, opt->quick ? 2 : SHAKES };
	struct shaking p256 = { "SIGN-ECDSA-SECP256R1-SHA256", &f->shakes_p256, ed25519.samples };
	struct stage st = {
		.big_rooms = opt->quick ? 1 : BIG_ROOMS,
		.small_rooms = opt->quick ? 0 : SMALL_ROOMS,
		.miscounts = opt->miscount,
	};

	f->quic = calloc(RTE_DIM(ciphers) * RTE_DIM(backends) * RTE_DIM(shapes) * RTE_DIM(sizes),
			sizeof(*f->quic));
	if (f->quic == NULL)
		bench_die("out of memory");
	for (st.backend = 0; st.backend < (opt->quick ? 1 : RTE_DIM(backends)); st.backend++) {
		for (st.cipher = 0; st.cipher < (opt->quick ? 1 : RTE_DIM(ciphers)); st.cipher++)
			measure_stage(&st, opt);
	}
	bench_on_worker(shake, &ed25519, NULL);
	bench_on_worker(shake, &p256, NULL);
}

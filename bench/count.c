/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Instructions per copy. callgrind runs this program again and counts inside the functions below
 * alone; unlike times these figures do not wobble.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "quic.h"

#define COPIES 200000 /* about this many are counted */
/* Datagrams over QUIC, of one speaker in a room of so many; each takes its receivers' time here, too. */
#define QUIC_ROUNDS  1000
#define QUIC_WARM    64
#define QUIC_MEMBERS 11

/* Names that callgrind is told: not to be inlined or renamed. */
unsigned int bench_counted_turn(struct bench_rig *rig);
void bench_counted_primitive(const struct bench_primitive *p);
unsigned int bench_counted_quic(struct plm_relay *relay, uint64_t now_ns);

__rte_noinline unsigned int
bench_counted_turn(struct bench_rig *rig)
{
	return plm_relay_turn(rig->relay, 0, rig->now_ns);
}

__rte_noinline void
bench_counted_primitive(const struct bench_primitive *p)
{
	bench_primitive_once(p);
}

__rte_noinline unsigned int
bench_counted_quic(struct plm_relay *relay, uint64_t now_ns)
{
	return plm_relay_turn(relay, 0, now_ns);
}

static void
count_path(uint16_t members)
{
	struct bench_set set = { .rooms = 1, .members = members };
	struct bench_rig rig = { .name = "count", .nb_workers = 1, .sets = &set, .nb_sets = 1 };
	struct bench_feed feed = { .rig = &rig, .set = &set, .size = 200, .random = 1 };
	const struct plm_counters *counters;
	uint64_t copies;

	bench_rig_create(&rig);
	bench_rig_warm(&rig);
	counters = plm_relay_counters(rig.relay, 0);
	copies = plm_counter_get(counters, PLM_CNT_COPIES_SENT);
	for (unsigned int i = 0; i < COPIES / BENCH_BURST / (members - 1u) + 8; i++) {
		rig.now_ns += PLM_NS_PER_MS;
		if (!bench_feed_put(&feed, rig.port.rx[0], BENCH_BURST))
			bench_die("RX pool or ring is exhausted");
		while (bench_counted_turn(&rig) > 0)
			;
	}
	copies = plm_counter_get(counters, PLM_CNT_COPIES_SENT) - copies;
	bench_rig_check(&rig);
	bench_rig_free(&rig);
	printf("copies %" PRIu64 "\n", copies);
}

static void
count_primitive(uint16_t members)
{
	struct bench_primitive p = { .kind = BENCH_SHARED,
		.copies = (uint16_t)(members - 1),
		.size = 200 };
	struct bench_port port = { 0 };
	struct bench_pools pools;
	uint64_t copies = 0;

	bench_pools_create(&pools, "count");
	bench_port_open(&port, "count", 1, &pools.payload);
	p.ethdev_id = port.port.ethdev_id;
	p.pools = &pools;
	for (; copies < BENCH_IN_FLIGHT; copies += p.copies)
		bench_primitive_once(&p); /* fill the TX queue */
	for (copies = 0; copies < COPIES; copies += p.copies)
		bench_counted_primitive(&p);
	printf("copies %" PRIu64 "\n", copies);
}

/* As quic_relay_round(), on one lcore and a clock of our own. */
static void
quic_round(struct quic_relay *r, const uint8_t *media, uint16_t size, bool counts)
{
	struct plm_relay *relay = plm_ctl_relay(r->ctl);

	quic_clock_ns += 20 * PLM_NS_PER_MS;
	quic_clients_timers(&r->clients, 0, r->clients.nb);
	quic_client_say(&r->clients, 0, media, size);
	for (unsigned int i = 0; i < 2; i++) {
		quic_relay_carry(r);
		if (counts)
			while (bench_counted_quic(relay, quic_clock_ns) > 0)
				;
		else
			while (plm_relay_turn(relay, 0, quic_clock_ns) > 0)
				;
	}
	quic_relay_carry(r);
	quic_relay_slow(r);
}

/* A datagram that comes in and goes to ten, all acknowledgements included. */
static void
count_datagram(bool has_report)
{
	uint8_t media[200] = { 0 };
	struct plm_wzp_media header = { .has_report = has_report,
		.payload_len = sizeof(media) - PLM_WZP_HDR - (has_report ? PLM_WZP_REPORT : 0),
		.report = { 1, 2, 3, 4 } };
	struct quic_relay r = {
		.name = "count",
		.max_connections = QUIC_MEMBERS,
		.backend = PLM_AEAD_BEST,
		.clients = { .nb = QUIC_MEMBERS,
				.cipher = "AES-128-GCM",
				.signature = "SIGN-EDDSA-ED25519" },
	};
	uint64_t had;

	quic_clock_ns = PLM_NS_PER_S;
	quic_relay_create(&r);
	quic_relay_connect(&r, "count", 0, QUIC_MEMBERS);
	had = quic_clients_received(&r.clients);
	for (unsigned int i = 0; i < QUIC_WARM + QUIC_ROUNDS; i++) {
		header.sequence = (uint16_t)i;
		header.timestamp = 20 * i;
		if (plm_wzp_media_build(media, sizeof(media), &header, NULL) < 0)
			bench_die("no media");
		quic_round(&r, media, sizeof(media), i >= QUIC_WARM);
	}
	if (quic_clients_received(&r.clients) - had !=
			(QUIC_WARM + QUIC_ROUNDS) * (uint64_t)(QUIC_MEMBERS - 1))
		bench_die("a datagram was lost");
	quic_relay_free(&r);
	printf("copies %u\n", QUIC_ROUNDS);
}

void
bench_count_one(const char *what)
{
	unsigned int members;

	if (strcmp(what, "datagram:11") == 0 || strcmp(what, "report:11") == 0)
		count_datagram(what[0] == 'r');
	else if (sscanf(what, "path:%u", &members) == 1 && members >= 2 &&
			members <= BENCH_MEMBERS_MAX)
		count_path((uint16_t)members);
	else if (sscanf(what, "primitive:%u", &members) == 1 && members >= 2 &&
			members <= BENCH_MEMBERS_MAX)
		count_primitive((uint16_t)members);
	else
		bench_die("--count %s: path:MEMBERS or primitive:MEMBERS, 2 to %u, datagram:11 or "
			  "report:11",
				what, BENCH_MEMBERS_MAX);
}

/* Instructions per copy of one run, 0 when callgrind or its figure is not to be had. */
static double
callgrind(const struct bench_options *opt, const char *what, const char *function,
		unsigned int members)
{
	unsigned long long collected = 0;
	unsigned long long copies = 0;
	char line[256];
	char *command;
	FILE *f;
	int status;

	if (asprintf(&command,
			    "valgrind --tool=callgrind --callgrind-out-file=/dev/null "
			    "--toggle-collect=%s '%s' --count %s:%u 2>&1",
			    function, opt->self, what, members) < 0)
		bench_die("out of memory");
	f = popen(command, "re");
	if (f == NULL)
		bench_die("callgrind: %s", strerror(errno));
	while (fgets(line, sizeof(line), f) != NULL) {
		const char *p = strstr(line, "Collected : ");

		if (p != NULL)
			sscanf(p, "Collected : %llu", &collected);
		sscanf(line, "copies %llu", &copies);
	}
	status = pclose(f);
	free(command);
	if (status != 0 || copies == 0 || collected == 0) {
		fprintf(stderr, "plenum-bench: callgrind of %s:%u gave no figure (is valgrind there?)\n",
				what, members);
		return 0;
	}
	return (double)collected / (double)copies;
}

void
bench_count_all(const struct bench_options *opt)
{
	static const uint32_t members[] = { 10, 100, 1000 };
	struct bench_figures *f = &bench_figures;

	f->count = calloc(RTE_DIM(members), sizeof(*f->count));
	if (f->count == NULL)
		bench_die("out of memory");
	for (unsigned int i = 0; i < RTE_DIM(members); i++) {
		struct bench_figure_count *fig = &f->count[f->nb_count++];

		fig->members = members[i];
		fig->path = callgrind(opt, "path", "bench_counted_turn", members[i]);
		fig->primitive = callgrind(opt, "primitive", "bench_counted_primitive", members[i]);
	}
}

void
bench_count_reports(const struct bench_options *opt, struct bench_figure_wzp *fig)
{
	fig->count_plain = callgrind(opt, "datagram", "bench_counted_quic", QUIC_MEMBERS);
	fig->count_report = callgrind(opt, "report", "bench_counted_quic", QUIC_MEMBERS);
}

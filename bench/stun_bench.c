/* SPDX-License-Identifier: BSD-3-Clause */
/* What admission costs the slow path, per STUN request: from the bytes of a request to the bytes
 * of its answer, with real tables and no port. `stun_rate` follows from the first figure. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "plm_admit.h"
#include "plm_crypto.h"

#define NB_CLIENTS  4096
#define NB_REQUESTS 8
#define REPEAT      7
#define WALL_S      UINT64_C(1800000000)

static const char secret[] = "a secret for the bench only";
static const char stranger[] = "a secret that the relay does not know";

struct request {
	uint8_t buf[256];
	size_t len;
	struct plm_tuple tuple;
};

struct bench {
	struct plm_rcu rcu;
	struct plm_session_table *sessions;
	struct plm_room_table *rooms;
	struct plm_counters counters;
	struct plm_admit *admit;
	struct plm_hmac *hmac;
};

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * PLM_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void
settings(void *ctx, const char *room, struct plm_room_settings *out)
{
	*out = (struct plm_room_settings){ .max_members = 64 };
}

static unsigned int
home(void *ctx, unsigned int worker)
{
	return 0;
}

static unsigned int
spread(void *ctx, uint32_t room_idx)
{
	return 0;
}

static int
route(void *ctx, const struct plm_tuple *tuple, struct plm_egress *egress, uint64_t at_ns)
{
	memset(egress, 0, sizeof(*egress));
	return 0;
}

static void
route_put(void *ctx, const struct plm_egress *egress)
{
}

static void
released(void *ctx, uint32_t session_idx, const struct plm_egress *egress, bool ended)
{
	if (ended)
		plm_session_release(((struct bench *)ctx)->sessions, session_idx);
}

static void
create(struct bench *b)
{
	struct plm_session_conf sessions = { .max_sessions = 2 * NB_CLIENTS,
		.nb_workers = 1,
		.rcu = &b->rcu,
		.socket = SOCKET_ID_ANY,
		.name = "bench" };
	struct plm_room_conf rooms = { .max_rooms = NB_CLIENTS,
		.max_members = 64,
		.max_backlog = 2 * NB_CLIENTS,
		.publish_interval_ns = PLM_NS_PER_MS,
		.nb_workers = 1,
		.rcu = &b->rcu,
		.socket = SOCKET_ID_ANY,
		.released = released,
		.released_ctx = b };
	struct plm_admit_conf admit = { .counters = &b->counters,
		.secrets = { .nb = 1, .s[0].len = sizeof(secret) - 1 },
		.max_bars = 1024,
		.max_backlog = 2 * NB_CLIENTS,
		.consent_timeout_ns = 30 * PLM_NS_PER_S,
		.max_ssrcs = PLM_SSRCS,
		.rand.fill = plm_crypto_random,
		.settings = settings,
		.home = home,
		.spread = spread,
		.route = route,
		.route_put = route_put };

	memcpy(admit.secrets.s[0].key, secret, sizeof(secret) - 1);
	if (plm_rcu_init(&b->rcu, 1, SOCKET_ID_ANY) < 0 ||
			plm_session_table_create(&b->sessions, &sessions) < 0 ||
			plm_room_table_create(&b->rooms, &rooms) < 0)
		rte_exit(1, "no memory\n");
	admit.sessions = b->sessions;
	admit.rooms = b->rooms;
	b->admit = plm_admit_create(&admit);
	b->hmac = plm_hmac_create();
	if (b->admit == NULL || b->hmac == NULL)
		rte_exit(1, "no memory\n");
}

/* Requests as aioice writes them: USERNAME, PRIORITY, ICE-CONTROLLING, USE-CANDIDATE. */
static void
build(struct bench *b, struct request *r, unsigned int client, unsigned int n, const char *key)
{
	struct plm_credential cred = { .expiry_s = WALL_S + 3600, .role = PLM_ROLE_BOTH };
	uint8_t tid[PLM_STUN_TID];
	char ufrag[PLM_UFRAG_MAX + 1];
	char pwd[PLM_PWD_LEN + 1];
	char name[PLM_UFRAG_MAX + 8];
	uint8_t mac[PLM_SHA1_SIZE];
	struct plm_stun_out out;

	snprintf(cred.room, sizeof(cred.room), "room-%u", client / 8);
	snprintf(cred.participant, sizeof(cred.participant), "participant-%u", client);
	plm_credential_mint(&cred, key, strlen(key), ufrag, pwd);
	snprintf(name, sizeof(name), "%s:abcd", ufrag);
	memset(tid, (int)n, sizeof(tid));
	memcpy(tid, &client, sizeof(client));
	plm_stun_begin(&out, r->buf, sizeof(r->buf), PLM_STUN_REQUEST, PLM_STUN_BINDING, tid);
	plm_stun_add_bytes(&out, PLM_STUN_ATTR_USERNAME, name, strlen(name));
	plm_stun_add_u32(&out, PLM_STUN_ATTR_PRIORITY, 1000);
	plm_stun_add_u64(&out, PLM_STUN_ATTR_CONTROLLING, 1);
	plm_stun_add_bytes(&out, PLM_STUN_ATTR_USE_CANDIDATE, NULL, 0);
	plm_stun_prepare_integrity(&out);
	plm_hmac_sha1(b->hmac, pwd, PLM_PWD_LEN, out.buf, out.len, NULL, 0, mac);
	plm_stun_add_integrity(&out, mac);
	r->len = plm_stun_finish(&out);
	memset(&r->tuple, 0, sizeof(r->tuple));
	memcpy(r->tuple.addr, &client, 4);
	r->tuple.port = 1234;
}

static double
run(struct bench *b, const struct request *requests, uint64_t at_ns)
{
	uint64_t begin = now_ns();
	uint8_t answer[256];

	for (unsigned int i = 0; i < NB_CLIENTS; i++) {
		struct plm_admit_request req = { .msg = requests[i].buf,
			.len = requests[i].len,
			.tuple = requests[i].tuple,
			.now_ns = at_ns,
			.wall_s = WALL_S };

		if (plm_admit_stun(b->admit, &req, answer, sizeof(answer)) == 0)
			rte_exit(1, "no answer\n");
	}
	return (double)(now_ns() - begin) / NB_CLIENTS;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
report(const char *what, double *ns)
{
	qsort(ns, REPEAT, sizeof(*ns), by_value);
	printf("%-34s %7.0f ns  %9.0f a second\n", what, ns[REPEAT / 2], 1e9 / ns[REPEAT / 2]);
}

int
main(void)
{
	char *argv[] = { (char *)"stun_bench", (char *)"--no-huge", (char *)"-m", (char *)"256",
		(char *)"--no-pci", (char *)"--no-shconf", (char *)"--no-telemetry", (char *)"-l",
		(char *)"0", (char *)"--log-level", (char *)"lib.eal:error" };
	struct bench b = { 0 };
	struct request *valid = calloc(NB_CLIENTS, sizeof(*valid));
	struct request *forged = calloc(NB_CLIENTS, sizeof(*forged));
	double refuse[REPEAT];
	double open[REPEAT];
	double refresh[REPEAT];
	uint64_t at_ns = PLM_NS_PER_S;

	if (valid == NULL || forged == NULL || rte_eal_init(RTE_DIM(argv), argv) < 0)
		return 1;
	create(&b);
	for (unsigned int r = 0; r < REPEAT; r++) {
		struct plm_handle session;

		for (unsigned int i = 0; i < NB_CLIENTS; i++) {
			build(&b, &valid[i], i, NB_REQUESTS * r, secret);
			build(&b, &forged[i], i, NB_REQUESTS * r, stranger);
		}
		refuse[r] = run(&b, forged, at_ns);
		open[r] = run(&b, valid, at_ns);
		for (unsigned int i = 0; i < NB_CLIENTS; i++)
			build(&b, &valid[i], i, NB_REQUESTS * r + 1, secret);
		refresh[r] = run(&b, valid, at_ns);
		while (plm_admit_next(b.admit, 0, &session) == 0)
			plm_admit_end(b.admit, session, PLM_END_DRAIN, at_ns, WALL_S);
		for (unsigned int i = 0; i < NB_CLIENTS; i++, at_ns += PLM_NS_PER_MS) {
			plm_room_turn(b.rooms, at_ns);
			plm_session_reclaim(b.sessions);
		}
	}
	report("refuse a forged request (401)", refuse);
	report("open a session", open);
	report("refresh consent", refresh);
	plm_admit_free(b.admit);
	plm_room_table_free(b.rooms);
	plm_session_table_free(b.sessions);
	plm_rcu_fini(&b.rcu);
	plm_hmac_free(b.hmac);
	free(valid);
	free(forged);
	return 0;
}

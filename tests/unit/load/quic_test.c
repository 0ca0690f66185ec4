/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The QUIC clients against servers of lib/quic in the same process, on a virtual clock. The relay here is a
 * table of connections, one for each client, that gives a datagram to all others of the sender's room.
 */
#include <stdlib.h>

#include "load.h"
#include "plm_crypto.h"
#include "plm_quic_initial.h"
#include "quic_side.h"
#include "test_eal.h"

#define ROOMS      2
#define ROOM_SIZE  3
#define STEADY     (ROOMS * ROOM_SIZE)
#define CLIENTS    128
#define ARENA      (64 * 1024)
#define QUEUE      512
#define TURN_NS    (200 * PLM_NS_PER_US)
#define HANDSHAKES 1000
#define UPDATES    128

enum behaviour {
	GOOD,
	SILENT,
	REFUSES,
	ENDS,    /* after the handshake */
	MUTE,    /* it does not answer offers */
	FORGES,  /* or says that somebody else answers */
	BABBLES, /* or says something else */
	ENDS_LATER,
};

struct packet {
	unsigned int client;
	size_t len;
	uint8_t buf[PLM_QUIC_PACKET_MAX];
};

struct queue {
	unsigned int head;
	unsigned int nb;
	struct packet packets[QUEUE];
};

struct server {
	struct plm_quic_conn *conn;
	void *arena;
	void *tls;
	enum plm_aead_cipher cipher;
	bool is_up;
	uint64_t in_ns; /* when it was answered; 0: not yet */
	uint8_t offer[LOAD_WZP_FRAME_MAX];
	size_t offer_len;
	struct plm_quic_chunk answer;
	uint8_t answer_frame[LOAD_WZP_FRAME_MAX];
	struct plm_quic_chunk updates[UPDATES];
	unsigned int nb_updates;
	unsigned int nb_updates_done;
	uint8_t identity[PLM_WZP_KEY];
	struct plm_quic_end end;
};

static struct plm_quic_identity *identity;

static struct {
	enum behaviour behaviour;
	struct quic_side side;
	struct plm_quic_out out;
	struct server servers[CLIENTS];

	struct plm_wzp_identity wzp;
	uint8_t update[2][4096]; /* of one participant, and of all of a room */
	size_t update_len[2];

	unsigned int nb_closed; /* by a client, with code 0 */
	uint64_t behind_ns;     /* the clock of who has connections after their handshake */
	struct queue to_relay;
	struct queue to_load;
	uint8_t packet[PLM_QUIC_PACKET_MAX];
	unsigned int heard[CLIENTS];
	uint64_t now;
} lab;

static uint8_t *
queue_get(struct queue *q)
{
	return q->nb == QUEUE ? NULL : q->packets[(q->head + q->nb) % QUEUE].buf;
}

static void
queue_put(struct queue *q, unsigned int client, size_t len)
{
	struct packet *p = &q->packets[(q->head + q->nb++) % QUEUE];

	p->client = client;
	p->len = len;
}

static struct packet *
queue_take(struct queue *q)
{
	struct packet *p = &q->packets[q->head];

	if (q->nb == 0)
		return NULL;
	q->head = (q->head + 1) % QUEUE;
	q->nb--;
	return p;
}

/* --- the relay ------------------------------------------------------------------------------ */

static uint64_t
server_now(const struct server *s)
{
	return s->is_up ? lab.now - lab.behind_ns : lab.now;
}

static uint8_t *
out_get(struct plm_quic_out *out)
{
	return queue_get(&lab.to_load);
}

static void
out_put(struct plm_quic_out *out, struct plm_quic_conn *conn, size_t len,
		const struct plm_quic_path *path, uint8_t ecn)
{
	if (len > 0)
		queue_put(&lab.to_load, plm_quic_conn_slot(conn), len);
}

static void
got_datagram(void *ctx, struct plm_quic_conn *conn, const uint8_t *buf, size_t len)
{
	unsigned int sender = plm_quic_conn_slot(conn);

	for (unsigned int i = 0; i < STEADY; i++) {
		struct plm_quic_dgram d = { .buf = buf, .len = (uint16_t)len };

		if (i != sender && i / ROOM_SIZE == sender / ROOM_SIZE)
			assert_int_equal(plm_quic_send(lab.servers[i].conn, &lab.out, &d, 1,
							 server_now(&lab.servers[i])),
					1);
	}
}

static void
established(void *ctx, struct plm_quic_conn *conn)
{
	lab.servers[plm_quic_conn_slot(conn)].is_up = true;
}

static void
say_update(unsigned int client, bool lists_all)
{
	struct server *s = &lab.servers[client];
	struct plm_quic_chunk *chunk = &s->updates[s->nb_updates++];

	assert_true(s->nb_updates <= UPDATES);
	*chunk = (struct plm_quic_chunk){ .buf = lab.update[lists_all],
		.len = (uint32_t)lab.update_len[lists_all] };
	assert_int_equal(plm_quic_stream_send(s->conn, chunk), 0);
}

/* The offer is whole, signed, and no other one's. */
static void
got_offer(unsigned int client)
{
	struct server *s = &lab.servers[client];
	const struct plm_rand rand = { .fill = plm_crypto_random };
	static struct plm_wzp_signal signal;
	int len;

	assert_int_equal(plm_wzp_decode(s->offer + PLM_WZP_LENGTH, s->offer_len - PLM_WZP_LENGTH,
					 &signal),
			0);
	assert_int_equal(signal.type, PLM_WZP_CALL_OFFER);
	assert_int_equal(plm_wzp_offer_verify(&signal), 0);
	for (unsigned int i = 0; i < CLIENTS; i++)
		if (i != client)
			assert_memory_not_equal(signal.call_offer.identity_pub,
					lab.servers[i].identity, PLM_WZP_KEY);
	memcpy(s->identity, signal.call_offer.identity_pub, PLM_WZP_KEY);
	if (lab.behaviour == MUTE)
		return;
	assert_int_equal(plm_wzp_answer_make(&lab.wzp, &rand, &signal), 0);
	if (lab.behaviour == FORGES)
		signal.call_answer.identity_pub[0] ^= 1;
	if (lab.behaviour == BABBLES)
		signal = (struct plm_wzp_signal){ .type = PLM_WZP_PONG };
	len = plm_wzp_encode(&signal, s->answer_frame, sizeof(s->answer_frame));
	assert_true(len > 0);
	s->answer = (struct plm_quic_chunk){ .buf = s->answer_frame, .len = (uint32_t)len };
	assert_int_equal(plm_quic_stream_send(s->conn, &s->answer), 0);
	s->in_ns = lab.now;
	say_update(client, client < STEADY);
}

static int
got_stream(void *ctx, struct plm_quic_conn *conn, int64_t stream_id, const uint8_t *buf, size_t len,
		bool fin)
{
	unsigned int client = plm_quic_conn_slot(conn);
	struct server *s = &lab.servers[client];

	if (stream_id != 0) /* the ends of halves that clients have no use for */
		return 0;
	assert_true(s->offer_len + len <= sizeof(s->offer));
	if (len > 0)
		memcpy(s->offer + s->offer_len, buf, len);
	s->offer_len += len;
	plm_quic_stream_consumed(conn, stream_id, len);
	if (fin)
		got_offer(client);
	return 0;
}

static void
chunk_done(void *ctx, struct plm_quic_chunk *chunk)
{
	for (unsigned int i = 0; i < CLIENTS; i++)
		if (chunk >= lab.servers[i].updates && chunk < lab.servers[i].updates + UPDATES)
			lab.servers[i].nb_updates_done++;
}

static const struct plm_quic_ops ops = {
	.datagram = got_datagram,
	.stream = got_stream,
	.stream_reset = quic_side_no_reset,
	.established = established,
	.moved = quic_side_no_move,
	.chunk_done = chunk_done,
};

static void
server_free(struct server *s)
{
	void *tls = s->conn == NULL ? NULL : plm_quic_conn_tls_take(s->conn);

	plm_quic_conn_free(s->conn);
	if (tls != NULL)
		gnutls_deinit(tls);
	s->conn = NULL;
	s->is_up = false;
	s->in_ns = 0;
	s->offer_len = s->nb_updates = s->nb_updates_done = 0;
}

static void
server_begin(unsigned int client, const struct plm_initial_hd *hd)
{
	struct server *s = &lab.servers[client];
	gnutls_session_t tls;
	struct plm_quic_new new = {
		.arena = s->arena,
		.arena_size = ARENA,
		.slot = client,
		.gen = 1,
		.path = { .port = 1 },
		.ops = &ops,
		.dcid = hd->dcid,
		.dcid_len = hd->dcid_len,
		.scid = hd->scid,
		.scid_len = hd->scid_len,
		.version = PLM_QUIC_V1,
	};

	assert_int_equal(quic_tls_server_session(lab.side.tls, &tls), 0);
	new.tls = tls;
	assert_int_equal(plm_quic_conn_server(lab.side.quic, &new, lab.now, &s->conn), 0);
}

static void
server_turn(unsigned int client)
{
	struct server *s = &lab.servers[client];
	struct plm_quic_figures figures;

	if (s->conn == NULL)
		return;
	if (plm_quic_expiry(s->conn) <= server_now(s))
		plm_quic_timer(s->conn, server_now(s));
	if ((s->is_up && lab.behaviour == ENDS) ||
			(lab.behaviour == ENDS_LATER && s->in_ns != 0 &&
					lab.now > s->in_ns + 100 * PLM_NS_PER_MS))
		plm_quic_close(s->conn, 5, "enough");
	if (plm_quic_is_dirty(s->conn))
		plm_quic_flush(s->conn, &lab.out, server_now(s));
	if (s->is_up) {
		plm_quic_conn_figures(s->conn, &figures);
		s->cipher = figures.cipher;
	}
	if (plm_quic_conn_state(s->conn) != PLM_QUIC_DRAINING)
		return;
	s->end = plm_quic_conn_end(s->conn);
	lab.nb_closed += s->end.is_remote && s->end.is_application && s->end.code == 0;
	server_free(s);
}

static void
relay_input(struct packet *p)
{
	struct server *s = &lab.servers[p->client];
	struct plm_quic_path path = { .port = 1 };
	struct plm_initial_hd hd;
	int len;

	if (lab.behaviour == SILENT)
		return;
	if (s->conn == NULL) {
		if (plm_initial_parse(p->buf, p->len, &hd) != PLM_INITIAL_READY)
			return; /* of one that has ended */
		if (lab.behaviour == REFUSES) {
			len = plm_answers_close(&hd, PLM_QUIC_CONNECTION_REFUSED, "no",
					queue_get(&lab.to_load), PLM_QUIC_PACKET_MAX);
			assert_true(len > 0);
			queue_put(&lab.to_load, p->client, (size_t)len);
			return;
		}
		server_begin(p->client, &hd);
	}
	plm_quic_recv(s->conn, &path, 0, p->buf, p->len, server_now(s));
}

/* --- the engine's part ---------------------------------------------------------------------- */

static uint8_t *
load_get(void *ctx)
{
	return queue_get(&lab.to_relay);
}

static void
load_put(void *ctx, unsigned int client, size_t len, uint8_t ecn)
{
	assert_true(client < CLIENTS);
	queue_put(&lab.to_relay, client, len);
}

static void
load_media(void *ctx, unsigned int client, const uint8_t *buf, size_t len, uint64_t now_ns)
{
	assert_int_equal(len, 100);
	assert_int_equal(buf[99], 99);
	assert_int_equal(now_ns, lab.now);
	lab.heard[client]++;
}

static void
run_for(struct load_quic *q, uint64_t ns)
{
	struct packet *p;

	for (uint64_t end = lab.now + ns; lab.now < end; lab.now += TURN_NS) {
		while ((p = queue_take(&lab.to_load)) != NULL)
			load_quic_input(q, p->client, 0, p->buf, p->len, lab.now);
		load_quic_turn(q, lab.now);
		while ((p = queue_take(&lab.to_relay)) != NULL)
			relay_input(p);
		for (unsigned int i = 0; i < CLIENTS; i++)
			server_turn(i);
	}
}

static struct load_quic *
make_some_clients(unsigned int churn, int cipher, double unread)
{
	struct load_quic_conf conf = {
		.rand = { .fill = plm_crypto_random },
		.user = { load_get, load_put, load_media, NULL },
		.path = { .port = 1 },
		.room = "load",
		.rooms = ROOMS,
		.room_size = ROOM_SIZE,
		.nb_steady = STEADY,
		.handshakes_per_s = HANDSHAKES,
		.churn = churn,
		.unread = unread,
		.has_cipher = cipher >= 0,
		.cipher = cipher >= 0 ? (enum plm_aead_cipher)cipher : PLM_AES128_GCM,
	};
	struct load_quic *q;

	lab.now += PLM_NS_PER_S;
	lab.nb_closed = 0;
	memset(lab.heard, 0, sizeof(lab.heard));
	q = load_quic_create(&conf, lab.now);
	assert_non_null(q);
	load_quic_start(q, lab.now);
	return q;
}

static struct load_quic *
make_clients(unsigned int churn, int cipher)
{
	return make_some_clients(churn, cipher, 0);
}

static void
free_all(struct load_quic *q)
{
	load_quic_free(q);
	for (unsigned int i = 0; i < CLIENTS; i++)
		server_free(&lab.servers[i]);
	lab.to_load.nb = lab.to_relay.nb = 0;
	lab.behaviour = GOOD;
}

/* --- tests ---------------------------------------------------------------------------------- */

static void
clients__hear_their_room_and_nobody_else(void **state)
{
	static const int ciphers[] = { -1, PLM_AES128_GCM, PLM_AES256_GCM, PLM_CHACHA20_POLY1305 };
	uint8_t buf[100];

	for (unsigned int i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)i;
	for (size_t c = 0; c < RTE_DIM(ciphers); c++) {
		struct load_quic *q = make_clients(0, ciphers[c]);
		const struct load_quic_kind *steady = &load_quic_result(q)->steady;

		assert_int_equal(load_quic_send(q, 0, buf, sizeof(buf), lab.now),
				PLM_QUIC_NOT_OPEN);
		run_for(q, 200 * PLM_NS_PER_MS);
		assert_int_equal(steady->begun, STEADY);
		assert_int_equal(steady->established, STEADY);
		assert_int_equal(steady->joined, STEADY);
		assert_int_equal(steady->updates, STEADY);
		assert_int_equal(steady->update_bytes, STEADY * lab.update_len[1]);
		assert_int_equal(steady->told, STEADY);
		assert_int_equal(plm_hist_count(&steady->times), STEADY);
		assert_int_equal(plm_hist_count(&steady->joins), STEADY);
		assert_int_equal(load_quic_nb_arriving(q), 0);
		for (unsigned int i = 0; i < 10; i++) {
			assert_int_equal(load_quic_send(q, 1, buf, sizeof(buf), lab.now),
					PLM_QUIC_SENT);
			run_for(q, 20 * PLM_NS_PER_MS);
		}
		for (unsigned int i = 0; i < STEADY; i++) {
			assert_int_equal(lab.heard[i], i != 1 && i < ROOM_SIZE ? 10 : 0);
			assert_int_equal(lab.servers[i].cipher, ciphers[c] < 0 ? 0 : ciphers[c]);
		}
		free_all(q);
	}
}

/* The lcore that takes a connection over looked at the clock before the one that gives it away did. */
static void
connections__survive_a_clock_that_is_behind(void **state)
{
	static const uint64_t behind_ns[] = { 1, PLM_NS_PER_US, PLM_NS_PER_MS };
	uint8_t buf[100];

	for (unsigned int i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)i;
	for (size_t i = 0; i < RTE_DIM(behind_ns); i++) {
		struct load_quic *q;

		lab.behind_ns = behind_ns[i];
		q = make_clients(0, -1);
		run_for(q, 200 * PLM_NS_PER_MS);
		assert_int_equal(load_quic_result(q)->steady.established, STEADY);
		assert_int_equal(load_quic_send(q, 0, buf, sizeof(buf), lab.now), PLM_QUIC_SENT);
		run_for(q, 100 * PLM_NS_PER_MS);
		assert_int_equal(lab.heard[1], 1);
		free_all(q);
	}
	lab.behind_ns = 0;
}

static const struct {
	const char *name;
	enum behaviour behaviour;
	int fail; /* -1: it was in */
	uint64_t code;
} ends[] = {
	{ "nobody answers", SILENT, LOAD_QUIC_TIMEOUT, 0 },
	{ "a refusal", REFUSES, LOAD_QUIC_REFUSED, PLM_QUIC_CONNECTION_REFUSED },
	{ "closed instead of an answer", ENDS, LOAD_QUIC_CLOSED, 5 },
	{ "an offer that is not answered", MUTE, LOAD_QUIC_TIMEOUT, 0 },
	{ "an answer that is not signed", FORGES, LOAD_QUIC_ANSWER, 0 },
	{ "no answer, but another signal", BABBLES, LOAD_QUIC_ANSWER, 0 },
	{ "closed afterwards", ENDS_LATER, -1, 5 },
};

static void
ends__are_counted_by_reason_and_the_first_is_named(void **state)
{
	for (size_t i = 0; i < RTE_DIM(ends); i++) {
		const struct load_quic_kind *steady;
		enum load_quic_fail fail;
		struct plm_quic_end end;
		struct load_quic *q;
		unsigned int client;

		lab.behaviour = ends[i].behaviour;
		q = make_clients(0, -1);
		assert_false(load_quic_failed(q, &client, &fail, &end));
		run_for(q, 12 * PLM_NS_PER_S);
		steady = &load_quic_result(q)->steady;
		for (int f = 0; f < LOAD_QUIC_NB_FAILS; f++)
			if (steady->failed[f] != (f == ends[i].fail ? STEADY : 0))
				fail_msg("%s: %s %d", ends[i].name,
						load_quic_fail_name((enum load_quic_fail)f),
						(int)steady->failed[f]);
		assert_int_equal(steady->lost, ends[i].fail < 0 ? STEADY : 0);
		assert_int_equal(load_quic_nb_arriving(q), 0);
		assert_true(load_quic_failed(q, &client, &fail, &end));
		assert_int_equal(client, 0);
		assert_int_equal(end.code, ends[i].code);
		free_all(q);
	}
}

/* They hear their room, and the relay runs out of what it may send them. */
static void
clients__that_read_no_signals_are_as_many_as_asked_for(void **state)
{
	struct load_quic *q = make_some_clients(0, -1, 0.5);
	const struct load_quic_kind *steady = &load_quic_result(q)->steady;
	const unsigned int nb_updates = 100;
	uint8_t buf[100];

	for (unsigned int i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)i;
	run_for(q, 200 * PLM_NS_PER_MS);
	assert_int_equal(steady->joined, STEADY);
	assert_int_equal(steady->updates, STEADY / 2);
	assert_int_equal(steady->told, STEADY / 2);
	for (unsigned int n = 1; n < nb_updates; n++) {
		for (unsigned int i = 0; i < STEADY; i++)
			say_update(i, true);
		run_for(q, 40 * PLM_NS_PER_MS);
	}
	assert_int_equal(steady->updates, STEADY / 2 * nb_updates);
	for (unsigned int i = 0; i < STEADY; i++) {
		if (i % 2 == 0)
			assert_int_equal(lab.servers[i].nb_updates_done, nb_updates);
		else
			assert_true(lab.servers[i].nb_updates_done < nb_updates);
	}
	assert_int_equal(load_quic_send(q, 0, buf, sizeof(buf), lab.now), PLM_QUIC_SENT);
	run_for(q, 100 * PLM_NS_PER_MS);
	for (unsigned int i = 0; i < STEADY; i++)
		assert_int_equal(lab.heard[i], i > 0 && i < ROOM_SIZE);
	free_all(q);
}

/* As the relay lists them: one update that lists one of its participants is not one that lists all. */
static void
clients__that_were_told_of_fewer_are_not_told(void **state)
{
	struct load_quic *q = make_clients(0, -1);
	const struct load_quic_kind *steady = &load_quic_result(q)->steady;

	run_for(q, 200 * PLM_NS_PER_MS);
	say_update(2, false);
	run_for(q, 100 * PLM_NS_PER_MS);
	assert_int_equal(steady->told, STEADY - 1);
	say_update(2, true);
	run_for(q, 100 * PLM_NS_PER_MS);
	assert_int_equal(steady->told, STEADY);
	assert_int_equal(steady->updates, STEADY + 2);
	free_all(q);
}

static void
others__come_stay_a_second_and_go(void **state)
{
	struct load_quic *q = make_clients(10, -1);
	const struct load_quic_kind *passing = &load_quic_result(q)->passing;

	run_for(q, 200 * PLM_NS_PER_MS);
	load_quic_churn(q, lab.now, lab.now + 8 * PLM_NS_PER_S);
	run_for(q, PLM_NS_PER_S);
	assert_int_equal(passing->begun, 10);
	assert_int_equal(passing->closed, 0);
	assert_int_equal(lab.nb_closed, 0);
	/* Twice as long as there are addresses. */
	run_for(q, 9 * PLM_NS_PER_S);
	assert_int_equal(passing->begun, 80);
	assert_int_equal(passing->established, 80);
	assert_int_equal(passing->joined, 80);
	assert_int_equal(passing->closed, 80);
	assert_int_equal(passing->lost, 0);
	assert_int_equal(load_quic_result(q)->no_place, 0);
	assert_int_equal(lab.nb_closed, 80);
	/* Who stays says goodbye at the end. */
	assert_int_equal(load_quic_result(q)->steady.lost, 0);
	assert_false(load_quic_ended(q));
	load_quic_end(q);
	run_for(q, PLM_NS_PER_S);
	assert_true(load_quic_ended(q));
	assert_int_equal(lab.nb_closed, 80 + STEADY);
	free_all(q);
}

/* Nobody says that they are gone: their addresses are not used again, and nothing grows. */
static void
others__are_not_begun_while_all_addresses_are_taken(void **state)
{
	struct load_quic *q = make_clients(10, -1);
	const struct load_quic_result *r = load_quic_result(q);

	run_for(q, 200 * PLM_NS_PER_MS);
	lab.behaviour = SILENT;
	load_quic_churn(q, lab.now, lab.now + 6 * PLM_NS_PER_S);
	run_for(q, 6 * PLM_NS_PER_S);
	assert_int_equal(r->passing.begun, load_quic_places(10));
	assert_int_equal(r->no_place, 60 - load_quic_places(10));
	assert_int_equal(load_quic_nb_arriving(q), load_quic_places(10));
	run_for(q, 12 * PLM_NS_PER_S);
	assert_int_equal(r->passing.failed[LOAD_QUIC_TIMEOUT], load_quic_places(10));
	assert_int_equal(load_quic_nb_arriving(q), 0);
	free_all(q);
}

/* As a room of `n` is listed. */
static size_t
make_update(unsigned int n, uint8_t *to, size_t size)
{
	char list[4096] = "";
	size_t len = 0;
	int head;

	for (unsigned int i = 0; i < n; i++) {
		const uint8_t fp[PLM_WZP_FINGERPRINT] = { (uint8_t)i };
		int more;

		if (i > 0)
			list[len++] = ',';
		more = plm_wzp_participant_encode(fp, "somebody", NULL, list + len,
				sizeof(list) - len);
		assert_true(more > 0);
		len += (size_t)more;
	}
	head = plm_wzp_room_update_head(n, len, to, size);
	assert_true(head > 0);
	memcpy(to + head, list, len);
	memcpy(to + head + len, PLM_WZP_ROOM_UPDATE_TAIL, strlen(PLM_WZP_ROOM_UPDATE_TAIL));
	return (size_t)head + len + strlen(PLM_WZP_ROOM_UPDATE_TAIL);
}

static int
setup(void **state)
{
	static const uint8_t seed[PLM_QUIC_SEED_SIZE] = { 1 };
	const struct plm_quic_conf conf = {
		.rand = { .fill = plm_crypto_random },
		.idle_timeout_ns = 30 * PLM_NS_PER_S,
		.handshake_timeout_ns = 10 * PLM_NS_PER_S,
		.max_streams = 4,
		.max_stream_bytes = 4096,
		.max_bytes = 16384,
		.max_chunks = UPDATES,
	};
	char buf[128];
	struct plm_text why;

	plm_text_init(&why, buf, sizeof(buf));
	identity = plm_quic_identity_create();
	assert_non_null(identity);
	assert_int_equal(plm_quic_identity_add_seed(identity, seed, &why), 0);
	assert_int_equal(quic_side_init(&lab.side, &conf, PLM_AEAD_BEST,
					 quic_tls_server_create(identity)),
			0);
	assert_int_equal(plm_wzp_identity_derive(seed, &lab.wzp), 0);
	lab.update_len[0] = make_update(1, lab.update[0], sizeof(lab.update[0]));
	lab.update_len[1] = make_update(ROOM_SIZE, lab.update[1], sizeof(lab.update[1]));
	lab.out.get = out_get;
	lab.out.put = out_put;
	for (unsigned int i = 0; i < CLIENTS; i++)
		lab.servers[i].arena = aligned_alloc(RTE_CACHE_LINE_SIZE, ARENA);
	lab.now = PLM_NS_PER_S;
	return 0;
}

static int
teardown(void **state)
{
	for (unsigned int i = 0; i < CLIENTS; i++)
		free(lab.servers[i].arena);
	quic_side_fini(&lab.side);
	plm_quic_identity_free(identity);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients__hear_their_room_and_nobody_else),
		cmocka_unit_test(connections__survive_a_clock_that_is_behind),
		cmocka_unit_test(ends__are_counted_by_reason_and_the_first_is_named),
		cmocka_unit_test(clients__that_read_no_signals_are_as_many_as_asked_for),
		cmocka_unit_test(clients__that_were_told_of_fewer_are_not_told),
		cmocka_unit_test(others__come_stay_a_second_and_go),
		cmocka_unit_test(others__are_not_begun_while_all_addresses_are_taken),
	};

	test_eal_init(64);
	return cmocka_run_group_tests(tests, setup, teardown);
}

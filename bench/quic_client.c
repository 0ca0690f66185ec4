/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QUIC clients in this process: the library's client side, which acknowledges as ngtcp2 does by itself,
 * every second packet. Its timer for a single one is not asked during a round: a round comes sooner
 * than any client's packets would.
 */
#include <stdio.h>
#include <stdlib.h>

#include <rte_malloc.h>

#include "quic.h"

#define ARENA  (56 * 1024)
#define EXTENT (16 * 1024) /* that a client may have beyond */
#define COLOUR (7 * RTE_CACHE_LINE_SIZE)

uint64_t quic_clock_ns;

void
quic_pass(void)
{
	if (quic_clock_ns != 0)
		quic_clock_ns += 100 * PLM_NS_PER_US;
}

uint64_t
quic_now(void)
{
	if (quic_clock_ns != 0)
		return quic_clock_ns;
	return 1 + (uint64_t)bench_ns(rte_rdtsc());
}

void
quic_rand_fill(void *ctx, void *buf, size_t len)
{
	static _Thread_local uint64_t state = 88172645463325252u;
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(bench_random(&state) >> 56);
}

/* --- what a connection tells and asks for ---------------------------------------------------- */

static void
got_datagram(void *ctx, struct plm_quic_conn *conn, const uint8_t *buf, size_t len)
{
	struct quic_client *c = ctx;
	uint64_t due_ns;

	c->received++;
	if (c->all->latency == NULL || len < PLM_WZP_HDR + sizeof(due_ns))
		return;
	memcpy(&due_ns, buf + PLM_WZP_HDR, sizeof(due_ns));
	plm_hist_add(c->all->latency, quic_now() - due_ns);
}

static void
established(void *ctx, struct plm_quic_conn *conn)
{
	struct quic_client *c = ctx;

	c->is_open = true;
	c->all->nb_open++;
}

static int
got_stream(void *ctx, struct plm_quic_conn *conn, int64_t stream_id, const uint8_t *buf, size_t len,
		bool fin)
{
	struct quic_client *c = ctx;

	if (c->wzp == NULL)
		return 0;
	plm_quic_stream_consumed(conn, stream_id, len);
	switch (load_wzp_take(c->wzp, stream_id, buf, len, fin)) {
	case LOAD_WZP_ANSWERED:
		c->is_in = true;
		c->all->nb_in++;
		break;
	case LOAD_WZP_UPDATE:
		c->updates++;
		c->update_bytes += c->wzp->update_len;
		break;
	case LOAD_WZP_PONG:
		c->all->nb_pongs++;
		break;
	case LOAD_WZP_NOTHING:
		break;
	case LOAD_WZP_OTHER:
	case LOAD_WZP_WRONG:
		bench_die("client %u: a signal that is none, or not due", c->idx);
	}
	return 0;
}

static const struct plm_quic_ops ops = {
	.datagram = got_datagram,
	.stream = got_stream,
	.stream_reset = quic_side_no_reset,
	.established = established,
	.moved = quic_side_no_move,
	.chunk_done = quic_side_no_chunk,
};

static uint8_t *
out_get(struct plm_quic_out *out)
{
	return container_of(out, struct quic_client, out)->packet;
}

static void
out_put(struct plm_quic_out *out, struct plm_quic_conn *conn, size_t len,
		const struct plm_quic_path *path, uint8_t ecn)
{
	struct quic_client *c = container_of(out, struct quic_client, out);

	if (len > 0)
		c->all->send(c->all->ctx, c->idx, c->packet, len);
}

/* --- made and freed ------------------------------------------------------------------------- */

static void *
extent_get(void *ctx)
{
	return aligned_alloc(RTE_CACHE_LINE_SIZE, EXTENT);
}

static void
extent_put(void *ctx, void *extent)
{
	free(extent);
}

static const struct plm_quic_memory memory = { extent_get, extent_put, NULL, EXTENT };

void
quic_clients_create(struct quic_clients *all)
{
	struct plm_quic_conf conf = {
		.rand = { quic_rand_fill, NULL },
		.idle_timeout_ns = 3600 * PLM_NS_PER_S,
		.handshake_timeout_ns = 60 * PLM_NS_PER_S,
		.max_streams = LOAD_WZP_STREAMS,
		.max_stream_bytes = 16 * 1024,
		.max_bytes = 64 * 1024,
		.max_chunks = 4,
	};
	struct quic_tls_client_conf tls = { NULL, NULL };
	char priority[256];

	snprintf(priority, sizeof(priority),
			"NORMAL:-VERS-ALL:+VERS-TLS1.3:%%DISABLE_TLS13_COMPAT_MODE:-CIPHER-ALL:+%s:-SIGN-ALL:+%s",
			all->cipher, all->signature);
	tls.priority = priority;
	if (quic_side_init(&all->side, &conf, PLM_AEAD_BEST, quic_tls_client_create(&tls)) < 0)
		bench_die("clients: no TLS, or no packet protection");
	all->clients = calloc(all->nb, sizeof(*all->clients));
	all->wzp = calloc(all->nb, sizeof(*all->wzp));
	all->arenas = rte_malloc("quic_clients", all->nb * (size_t)(ARENA + COLOUR),
			RTE_CACHE_LINE_SIZE);
	if (all->clients == NULL || all->wzp == NULL || all->arenas == NULL)
		bench_die("not enough memory for %u clients", all->nb);
	for (uint32_t i = 0; i < all->nb; i++)
		all->clients[i] = (struct quic_client){
			.out = { out_get, out_put },
			.all = all,
			.idx = i,
		};
}

static void
end(struct quic_client *c)
{
	void *tls = c->conn == NULL ? NULL : plm_quic_conn_tls_take(c->conn);

	plm_quic_conn_free(c->conn);
	if (tls != NULL)
		gnutls_deinit(tls);
	c->conn = NULL;
	c->all->nb_open -= c->is_open;
	c->all->nb_in -= c->is_in;
	c->is_open = c->is_in = false;
	c->wzp = NULL;
}

void
quic_clients_free(struct quic_clients *all)
{
	for (uint32_t i = 0; i < all->nb; i++)
		end(&all->clients[i]);
	free(all->clients);
	free(all->wzp);
	rte_free(all->arenas);
	quic_side_fini(&all->side);
}

/* --- a client -------------------------------------------------------------------------------- */

/* All have the same address as far as they know: there is one server, and nobody moves. */
static const struct plm_quic_path path = { .addr = { 198, 18, 0, 1 }, .port = 1 };

static void
check(struct quic_client *c)
{
	if (plm_quic_conn_state(c->conn) > PLM_QUIC_ESTABLISHED)
		bench_die("client %u: its connection ended, code %" PRIu64, c->idx,
				plm_quic_conn_end(c->conn).code);
}

static void
flush(struct quic_client *c, uint64_t now_ns)
{
	while (plm_quic_is_dirty(c->conn) && plm_quic_flush(c->conn, &c->out, now_ns))
		;
	check(c);
}

void
quic_client_begin(struct quic_clients *all, uint32_t idx, const char *name)
{
	struct quic_client *c = &all->clients[idx];
	struct plm_quic_new new = {
		.arena = all->arenas + idx * (size_t)(ARENA + COLOUR),
		.arena_size = ARENA,
		.memory = &memory,
		.slot = idx,
		.gen = 1,
		.path = path,
		.ops = &ops,
		.ops_ctx = c,
	};
	uint64_t now_ns = quic_now();
	gnutls_session_t tls;

	end(c);
	if (quic_tls_client_session(all->side.tls, name, &tls) < 0)
		bench_die("client %u: no TLS session", idx);
	new.tls = tls;
	if (plm_quic_conn_client(all->side.quic, &new, now_ns, &c->conn) < 0)
		bench_die("client %u: no connection", idx);
	flush(c, now_ns);
}

void
quic_client_sign(struct quic_clients *all, uint32_t idx)
{
	const struct plm_rand rand = { quic_rand_fill, NULL };
	uint8_t seed[PLM_WZP_KEY] = { (uint8_t)idx, (uint8_t)(idx >> 8), (uint8_t)(idx >> 16), 1 };
	struct plm_wzp_identity id;
	char alias[32];

	snprintf(alias, sizeof(alias), "client %u", idx);
	if (plm_wzp_identity_derive(seed, &id) < 0 ||
			load_wzp_init(&all->wzp[idx], &id, &rand, alias) < 0)
		bench_die("client %u: no identity, or no offer", idx);
}

void
quic_client_offer(struct quic_clients *all, uint32_t idx)
{
	struct quic_client *c = &all->clients[idx];

	c->wzp = &all->wzp[idx];
	if (load_wzp_offer(c->wzp, c->conn) < 0)
		bench_die("client %u: its offer cannot be sent", idx);
	flush(c, quic_now());
}

void
quic_client_ping(struct quic_clients *all, uint32_t idx)
{
	const struct plm_wzp_signal ping = { .type = PLM_WZP_PING,
		.ping = { .timestamp_ms = quic_now() / PLM_NS_PER_MS } };
	struct quic_client *c = &all->clients[idx];
	int len = plm_wzp_encode(&ping, c->ping_frame, sizeof(c->ping_frame));

	c->ping = (struct plm_quic_chunk){ .buf = c->ping_frame, .len = (uint32_t)len };
	if (len < 0 || plm_quic_stream_send(c->conn, &c->ping) < 0)
		bench_die("client %u: its ping cannot be sent", idx);
	flush(c, quic_now());
}

void
quic_client_leave(struct quic_clients *all, uint32_t idx)
{
	struct quic_client *c = &all->clients[idx];

	plm_quic_close(c->conn, 0, "");
	plm_quic_flush(c->conn, &c->out, quic_now());
	end(c);
}

void
quic_client_take(struct quic_clients *all, uint32_t idx, uint8_t *buf, size_t len)
{
	struct quic_client *c = &all->clients[idx];
	uint64_t now_ns = quic_now();

	if (c->conn == NULL)
		return;
	plm_quic_recv(c->conn, &path, 0, buf, len, now_ns);
	flush(c, now_ns);
}

void
quic_client_say(struct quic_clients *all, uint32_t idx, const uint8_t *buf, uint16_t len)
{
	struct quic_client *c = &all->clients[idx];
	struct plm_quic_dgram dgram = { .buf = buf, .len = len };

	if (plm_quic_send(c->conn, &c->out, &dgram, 1, quic_now()) != 1)
		bench_die("client %u cannot send: %u", idx, dgram.verdict);
}

void
quic_clients_timers(struct quic_clients *all, uint32_t first, uint32_t nb)
{
	uint64_t now_ns = quic_now();

	for (uint32_t i = first; i < first + nb; i++) {
		struct quic_client *c = &all->clients[i];

		if (c->conn == NULL || plm_quic_expiry(c->conn) > now_ns)
			continue;
		plm_quic_timer(c->conn, now_ns);
		flush(c, now_ns);
	}
}

void
quic_clients_settled(struct quic_clients *all, uint32_t first, uint32_t nb)
{
	for (uint32_t i = first; i < first + nb; i++) {
		void *tls = plm_quic_conn_tls_take(all->clients[i].conn);

		if (tls != NULL)
			gnutls_deinit(tls);
	}
}

uint64_t
quic_clients_received(const struct quic_clients *all)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < all->nb; i++)
		n += all->clients[i].received;
	return n;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the library alone costs: ngtcp2 called straight, with the keys, callbacks and memory that the
 * relay's connections have, one datagram to each connection and then what comes back. No frame, no
 * mbuf, no window of our own, no timer; a packet lies in a buffer of its own until it is taken, as
 * something must hold it.
 */
#include <stdio.h>

#include <rte_malloc.h>
#include <rte_mempool.h>

#include "plm_quic_initial.h"
#include "plm_relay_quic.h"
#include "quic.h"
#include "quic_priv.h"

#define STRIDE (PLM_QUIC_ARENA_MIN + 5 * RTE_CACHE_LINE_SIZE) /* as in the relay's table */
/* Packets on their way in one direction at most: handshakes have several. */
#define ON_THE_WAY 4096

struct packet {
	uint16_t len;
	uint32_t idx;
	alignas(RTE_CACHE_LINE_SIZE) uint8_t buf[QUIC_PACKET];
};

struct way {
	struct packet *packets;
	unsigned int n;
};

struct quic_bare {
	struct plm_quic_out out;
	struct quic_side side;
	struct plm_quic_identity *identity;
	struct quic_clients clients;
	uint8_t *arenas;
	struct rte_mempool *extents;
	struct plm_quic_memory memory;
	struct plm_quic_conn **conns;
	uint32_t nb_open;
	struct way up; /* from clients */
	struct way down;
	/* of a round */
	uint32_t nb;
	uint16_t size;
	uint64_t spent;
	ngtcp2_path_storage path;
};

static const struct plm_quic_path path = { .addr = { 198, 19, 0, 1 }, .port = 2 };

static struct packet *
packet_next(struct way *way)
{
	if (way->n == ON_THE_WAY)
		bench_die("more packets on their way than there is room for");
	return &way->packets[way->n];
}

/* --- a server's connections, for their handshakes ------------------------------------------------ */

static void
got_datagram(void *ctx, struct plm_quic_conn *conn, const uint8_t *buf, size_t len)
{
}

static void
established(void *ctx, struct plm_quic_conn *conn)
{
	((struct quic_bare *)ctx)->nb_open++;
}

static const struct plm_quic_ops ops = {
	.datagram = got_datagram,
	.stream = quic_side_no_stream,
	.stream_reset = quic_side_no_reset,
	.established = established,
	.moved = quic_side_no_move,
	.chunk_done = quic_side_no_chunk,
};

static uint8_t *
out_get(struct plm_quic_out *out)
{
	return packet_next(&container_of(out, struct quic_bare, out)->down)->buf;
}

static void
out_put(struct plm_quic_out *out, struct plm_quic_conn *conn, size_t len,
		const struct plm_quic_path *to, uint8_t ecn)
{
	struct quic_bare *b = container_of(out, struct quic_bare, out);
	struct packet *p;

	if (len == 0)
		return;
	p = packet_next(&b->down);
	p->len = (uint16_t)len;
	p->idx = plm_quic_conn_slot(conn);
	b->down.n++;
}

static void
client_sent(void *ctx, uint32_t idx, const uint8_t *buf, size_t len)
{
	struct quic_bare *b = ctx;
	struct packet *p = packet_next(&b->up);

	memcpy(p->buf, buf, len);
	p->len = (uint16_t)len;
	p->idx = idx;
	b->up.n++;
}

static void
server_begin(struct quic_bare *b, const struct packet *p)
{
	struct plm_quic_new new = {
		.arena = b->arenas + p->idx * (size_t)STRIDE,
		.arena_size = PLM_QUIC_ARENA_MIN,
		.memory = &b->memory,
		.slot = p->idx,
		.gen = 1,
		.path = path,
		.ops = &ops,
		.ops_ctx = b,
		.version = PLM_QUIC_V1,
	};
	ngtcp2_version_cid ids;
	gnutls_session_t tls;

	if (ngtcp2_pkt_decode_version_cid(&ids, p->buf, p->len, PLM_CID_LEN) != 0 ||
			quic_tls_server_session(b->side.tls, &tls) < 0)
		bench_die("connection %u of the bare library does not begin", p->idx);
	new.tls = tls;
	new.dcid = ids.dcid;
	new.dcid_len = ids.dcidlen;
	new.scid = ids.scid;
	new.scid_len = ids.scidlen;
	if (plm_quic_conn_server(b->side.quic, &new, quic_now(), &b->conns[p->idx]) < 0)
		bench_die("connection %u of the bare library is not made", p->idx);
}

/* Clients take what is on its way to them. */
static void
clients_turn(struct quic_bare *b)
{
	for (unsigned int i = 0; i < b->down.n; i++) {
		struct packet *p = &b->down.packets[i];
		uint8_t packet[QUIC_PACKET];

		memcpy(packet, p->buf, p->len); /* the lines stay the worker's */
		quic_client_take(&b->clients, p->idx, packet, p->len);
	}
	b->down.n = 0;
}

static void
servers_turn(struct quic_bare *b)
{
	for (unsigned int i = 0; i < b->up.n; i++) {
		struct packet *p = &b->up.packets[i];

		if (b->conns[p->idx] == NULL)
			server_begin(b, p);
		plm_quic_recv(b->conns[p->idx], &path, 0, p->buf, p->len, quic_now());
		while (plm_quic_is_dirty(b->conns[p->idx]) &&
				plm_quic_flush(b->conns[p->idx], &b->out, quic_now()))
			;
	}
	b->up.n = 0;
}

static void
connect_all(struct quic_bare *b, uint32_t nb)
{
	const uint64_t give_up = quic_now() + 60 * PLM_NS_PER_S;

	for (uint32_t i = 0; i < nb; i++) {
		quic_client_begin(&b->clients, i, "bare");
		while (b->nb_open <= i || b->up.n + b->down.n > 0) {
			servers_turn(b);
			clients_turn(b);
			quic_clients_timers(&b->clients, i, 1);
			if (quic_now() > give_up)
				bench_die("bare library: handshakes are missing");
		}
	}
	for (uint64_t until = quic_now() + 60 * PLM_NS_PER_MS; quic_now() < until;) {
		quic_clients_timers(&b->clients, 0, nb);
		servers_turn(b);
		clients_turn(b);
	}
	quic_clients_settled(&b->clients, 0, nb);
	for (uint32_t i = 0; i < nb; i++)
		gnutls_deinit(plm_quic_conn_tls_take(b->conns[i]));
}

/* --- a round -------------------------------------------------------------------------------------- */

static void
send_all(void *arg)
{
	static const uint8_t payload[1200];
	struct quic_bare *b = arg;
	ngtcp2_vec vec = { (uint8_t *)(uintptr_t)payload, b->size };
	uint64_t begun = rte_rdtsc();
	uint64_t now_ns = 1 + (uint64_t)bench_ns(begun);

	for (uint32_t i = 0; i < b->nb; i++) {
		struct packet *p = &b->down.packets[b->down.n];
		ngtcp2_pkt_info pi;
		int accepted;

		do {
			ngtcp2_ssize n = ngtcp2_conn_writev_datagram(b->conns[i]->ng, &b->path.path,
					&pi, p->buf, PLM_QUIC_PACKET_MAX, &accepted, 0, 0, &vec, 1,
					now_ns);

			if (n <= 0)
				bench_die("bare library: a datagram is refused: %zd", n);
			p->len = (uint16_t)n;
			p->idx = i;
			p = &b->down.packets[++b->down.n];
		} while (!accepted);
	}
	b->spent += rte_rdtsc() - begun;
}

static void
read_all(void *arg)
{
	struct quic_bare *b = arg;
	uint64_t begun = rte_rdtsc();
	uint64_t now_ns = 1 + (uint64_t)bench_ns(begun);
	ngtcp2_pkt_info pi = { 0 };
	ngtcp2_path_storage from;

	quic_path_to(&from, &path);
	for (unsigned int i = 0; i < b->up.n; i++) {
		struct packet *p = &b->up.packets[i];

		if (ngtcp2_conn_read_pkt(b->conns[p->idx]->ng, &from.path, &pi, p->buf, p->len,
				    now_ns) != 0)
			bench_die("bare library: a packet is refused");
	}
	b->up.n = 0;
	b->spent += rte_rdtsc() - begun;
}

uint64_t
quic_bare_round(struct quic_bare *b, uint32_t nb, uint16_t size)
{
	b->nb = nb;
	b->size = size;
	b->spent = 0;
	quic_on_worker(send_all, NULL, b);
	clients_turn(b);
	quic_on_worker(read_all, NULL, b);
	return b->spent;
}

void
quic_bare_settle(struct quic_bare *b)
{
	quic_clients_timers(&b->clients, 0, b->clients.nb);
	quic_on_worker(read_all, NULL, b);
}

uint64_t
quic_bare_received(const struct quic_bare *b)
{
	return quic_clients_received(&b->clients);
}

/* --- made and freed ------------------------------------------------------------------------------- */

static void *
extent_get(void *ctx)
{
	void *extent;

	return rte_mempool_get(((struct quic_bare *)ctx)->extents, &extent) < 0 ? NULL : extent;
}

static void
extent_put(void *ctx, void *extent)
{
	rte_mempool_put(((struct quic_bare *)ctx)->extents, extent);
}

struct quic_bare *
quic_bare_create(uint32_t nb, enum plm_aead_backend backend, const char *cipher)
{
	static const uint8_t seed[PLM_QUIC_SEED_SIZE] = { 1, 2, 3 };
	struct plm_quic_conf conf = {
		.rand = { quic_rand_fill, NULL },
		.idle_timeout_ns = 3600 * PLM_NS_PER_S,
		.handshake_timeout_ns = 60 * PLM_NS_PER_S,
		.max_streams = 100,
		.max_stream_bytes = 64 * 1024,
		.max_bytes = 256 * 1024,
		.max_chunks = 64,
	};
	struct quic_bare *b = calloc(1, sizeof(*b));
	char text[256];
	struct plm_text why;

	if (b == NULL)
		bench_die("out of memory");
	b->identity = plm_quic_identity_create();
	plm_text_init(&why, text, sizeof(text));
	if (b->identity == NULL || plm_quic_identity_add_seed(b->identity, seed, &why) < 0 ||
			quic_side_init(&b->side, &conf, backend,
					quic_tls_server_create(b->identity)) < 0)
		bench_die("bare library: no identity, or no packet protection");
	b->arenas = rte_malloc("bare", nb * (size_t)STRIDE, RTE_CACHE_LINE_SIZE);
	b->extents = rte_mempool_create("bare_ext", nb / 2 + 1, PLM_QUIC_EXTENT, 0, 0, NULL, NULL,
			NULL, NULL, (int)rte_socket_id(), 0);
	b->up.packets = rte_malloc("bare", ON_THE_WAY * sizeof(struct packet), RTE_CACHE_LINE_SIZE);
	b->down.packets =
			rte_malloc("bare", ON_THE_WAY * sizeof(struct packet), RTE_CACHE_LINE_SIZE);
	b->conns = calloc(nb, sizeof(struct plm_quic_conn *));
	if (b->arenas == NULL || b->extents == NULL || b->up.packets == NULL ||
			b->down.packets == NULL || b->conns == NULL)
		bench_die("not enough memory for %u connections", nb);
	b->memory = (struct plm_quic_memory){ extent_get, extent_put, b, PLM_QUIC_EXTENT };
	b->out = (struct plm_quic_out){ out_get, out_put };
	quic_path_to(&b->path, &path);
	b->clients = (struct quic_clients){
		.nb = nb,
		.cipher = cipher,
		.signature = "SIGN-EDDSA-ED25519",
		.send = client_sent,
		.ctx = b,
	};
	quic_clients_create(&b->clients);
	connect_all(b, nb);
	return b;
}

void
quic_bare_free(struct quic_bare *b)
{
	uint32_t nb = b->clients.nb;

	quic_clients_free(&b->clients);
	for (uint32_t i = 0; i < nb; i++)
		plm_quic_conn_free(b->conns[i]);
	free(b->conns);
	rte_free(b->up.packets);
	rte_free(b->down.packets);
	rte_mempool_free(b->extents);
	rte_free(b->arenas);
	quic_side_fini(&b->side);
	plm_quic_identity_free(b->identity);
	free(b);
}

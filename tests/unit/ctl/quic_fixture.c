/* SPDX-License-Identifier: BSD-3-Clause */
#include "quic_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl_priv.h"
#include "plm_wzp.h"
#include "quic_tls.h"

#define ARENA  (64 * 1024)
#define EXTENT (64 * 1024)

/* --- what connections tell ------------------------------------------------------------------ */

static void
on_datagram(void *ctx, struct plm_quic_conn *conn, const uint8_t *buf, size_t len)
{
	struct fxq_client *c = ctx;

	c->nb_datagrams++;
	assert_true(len <= sizeof(c->last));
	if (len > 0)
		memcpy(c->last, buf, len);
	c->last_len = len;
}

static int
on_stream(void *ctx, struct plm_quic_conn *conn, int64_t stream_id, const uint8_t *buf, size_t len,
		bool fin)
{
	struct fxq_client *c = ctx;

	assert_true(stream_id >= c->last_stream[stream_id & 3]);
	if ((stream_id & 3) == 1 && stream_id != c->last_stream[1]) {
		assert_true(c->nb_frames < FXQ_FRAMES);
		c->frames[c->nb_frames].stream_id = stream_id;
		c->frames[c->nb_frames++].at = c->nb_bytes;
	}
	c->last_stream[stream_id & 3] = stream_id;
	c->bytes = realloc(c->bytes, c->nb_bytes + len + 1);
	assert_non_null(c->bytes);
	if (len > 0)
		memcpy(c->bytes + c->nb_bytes, buf, len);
	c->nb_bytes += len;
	c->nb_fins += fin;
	if (!c->keeps)
		plm_quic_stream_consumed(conn, stream_id, len);
	return 0;
}

static void
on_stream_reset(void *ctx, struct plm_quic_conn *conn, int64_t stream_id)
{
}

static void
on_established(void *ctx, struct plm_quic_conn *conn)
{
	((struct fxq_client *)ctx)->is_established = true;
}

static void
on_moved(void *ctx, struct plm_quic_conn *conn, const struct plm_quic_path *path)
{
}

static void
on_chunk_done(void *ctx, struct plm_quic_chunk *chunk)
{
	((struct fxq_client *)ctx)->nb_chunks_done++;
	free(chunk);
}

static const struct plm_quic_ops ops = {
	.datagram = on_datagram,
	.stream = on_stream,
	.stream_reset = on_stream_reset,
	.established = on_established,
	.moved = on_moved,
	.chunk_done = on_chunk_done,
};

/* --- packets ---------------------------------------------------------------------------------- */

static void
fill(void *ctx, void *buf, size_t len)
{
	static uint64_t seed = 77;
	uint8_t *p = buf;

	while (len-- > 0) {
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		*p++ = (uint8_t)(seed >> 56);
	}
}

static bool
is_lost(const struct fxq_client *c)
{
	uint8_t byte;

	if (c->loss == 0)
		return false;
	fill(NULL, &byte, 1);
	return byte * 100u < c->loss * 256u;
}

static uint8_t *
out_get(struct plm_quic_out *out)
{
	return ((struct fxq_client *)out)->buf;
}

static void
out_put(struct plm_quic_out *out, struct plm_quic_conn *conn, size_t len,
		const struct plm_quic_path *path, uint8_t ecn)
{
	struct fxq_client *c = (struct fxq_client *)out;

	if (len == 0)
		return;
	if (c->keeps_tx) {
		memcpy(c->kept, c->buf, len);
		c->kept_len = (uint16_t)len;
		return;
	}
	if (c->nb_drop > 0) {
		c->nb_drop--;
		return;
	}
	if (!is_lost(c))
		fx_udp(&c->q->fx, &c->net, c->buf, (uint16_t)len);
}

/* Where the relay is, for clients. */
static struct plm_quic_path
relay_path(const struct fxq *q)
{
	struct plm_quic_path path = { .addr = { 198, 18, 0, 1 } };

	path.port = rte_cpu_to_be_16(q->fx.conf.udp_port);
	return path;
}

static void
sink(void *ctx, const uint8_t *mac, uint16_t dst_port, uint8_t *payload, uint16_t len)
{
	struct fxq *q = ctx;
	struct plm_quic_path path = relay_path(q);

	for (unsigned int i = 0; i < q->nb; i++) {
		struct fxq_client *c = &q->clients[i];

		if (c->net.port != dst_port)
			continue;
		c->nb_packets++;
		c->mac_seen = mac[5];
		if (c->conn != NULL && !c->is_deaf && !is_lost(c))
			plm_quic_recv(c->conn, &path, 0, payload, len, q->fx.now_ns);
	}
}

static void *
extent_get(void *ctx)
{
	return aligned_alloc(RTE_CACHE_LINE_SIZE, EXTENT);
}

static void
extent_put(void *ctx, void *region)
{
	free(region);
}

/* --- made and ended ---------------------------------------------------------------------------- */

void
fxq_conf(struct fxq *q)
{
	static unsigned int serial;
	const uint8_t seed[PLM_QUIC_SEED_SIZE] = { 42 };
	struct plm_text why;
	char text[128];

	memset(q, 0, sizeof(*q));
	fx_conf(&q->fx);
	plm_text_init(&why, text, sizeof(text));
	q->identity = plm_quic_identity_create();
	assert_int_equal(plm_quic_identity_add_seed(q->identity, seed, &why), 0);
	q->aead = plm_aead_create(PLM_AEAD_BEST);
	assert_non_null(q->aead);
	q->fx.conf.quic.max_connections = 32;
	q->fx.conf.wzp.open_rooms = true;
	q->fx.conf.quic.identity = q->identity;
	q->fx.conf.quic.aead = q->aead;
	for (unsigned int w = 0; w < FX_WORKERS; w++) {
		char name[32];

		snprintf(name, sizeof(name), "fxq%u", serial++);
		q->fx.conf.quic.pools[w] = plm_pool_create_slice(name, FXQ_POOL, 1500, 0);
		assert_non_null(q->fx.conf.quic.pools[w]);
	}
	q->fx.sink = sink;
	q->fx.sink_ctx = q;
}

void
fxq_create(struct fxq *q)
{
	struct plm_quic_conf conf = {
		.rand = { fill, NULL },
		.aead = q->aead,
		.idle_timeout_ns = 30 * PLM_NS_PER_S,
		.handshake_timeout_ns = 10 * PLM_NS_PER_S,
		.max_streams = 100,
		.max_stream_bytes = PLM_QUIC_WINDOW_MAX,
		.max_bytes = PLM_QUIC_WINDOW_MAX,
		.max_chunks = 600,
	};

	assert_int_equal(plm_cid_key_init(&q->cid_key, (const uint8_t *)"a key of 16 byte"), 0);
	conf.cid_key = q->cid_key;
	q->engine = plm_quic_create(&conf);
	q->tls = quic_tls_client_create(&(struct quic_tls_client_conf){ NULL, NULL });
	assert_true(q->engine != NULL && q->tls != NULL);
	q->memory = (struct plm_quic_memory){ extent_get, extent_put, NULL, EXTENT };
	fx_create(&q->fx);
}

static void
client_end(struct fxq_client *c)
{
	if (c->conn != NULL) {
		plm_quic_conn_tls_take(c->conn);
		plm_quic_conn_free(c->conn);
	}
	if (c->tls != NULL)
		gnutls_deinit(c->tls);
	free(c->arena);
	free(c->bytes);
}

void
fxq_free(struct fxq *q)
{
	for (unsigned int i = 0; i < q->nb; i++)
		client_end(&q->clients[i]);
	fx_free(&q->fx);
	for (unsigned int w = 0; w < FX_WORKERS; w++) {
		assert_int_equal(rte_mempool_in_use_count(q->fx.conf.quic.pools[w]), 0);
		rte_mempool_free(q->fx.conf.quic.pools[w]);
	}
	plm_quic_free(q->engine);
	quic_tls_free(q->tls);
	plm_cid_key_fini(&q->cid_key);
	plm_quic_identity_free(q->identity);
	plm_aead_free(q->aead);
}

/* --- what a test does --------------------------------------------------------------------------- */

void
fxq_flush(struct fxq_client *c)
{
	while (c->conn != NULL && plm_quic_is_dirty(c->conn) &&
			plm_quic_flush(c->conn, &c->out, c->q->fx.now_ns))
		;
}

void
fxq_step(struct fxq *q, unsigned int n)
{
	while (n-- > 0) {
		for (unsigned int i = 0; i < q->nb; i++) {
			struct fxq_client *c = &q->clients[i];

			if (c->conn == NULL || c->is_mute)
				continue;
			if (plm_quic_expiry(c->conn) <= q->fx.now_ns)
				plm_quic_timer(c->conn, q->fx.now_ns);
			fxq_flush(c);
		}
		fx_step(&q->fx, 1);
	}
}

struct fxq_client *
fxq_begin(struct fxq *q, const char *room, unsigned int queue, uint8_t net)
{
	struct fxq_client *c = &q->clients[q->nb++];
	struct plm_quic_new new = {
		.arena_size = ARENA,
		.memory = &q->memory,
		.slot = q->nb,
		.gen = 1,
		.path = relay_path(q),
		.ops = &ops,
		.ops_ctx = c,
	};
	gnutls_session_t tls;

	assert_true(q->nb <= FXQ_CLIENTS);
	*c = (struct fxq_client){ .out = { out_get, out_put },
		.q = q,
		.last_stream = { -1, -1, -1, -1 } };
	c->net = (struct fx_client){ .addr = { 198, 18, net, (uint8_t)(10 + q->nb) },
		.port = (uint16_t)(7000 + q->nb),
		.queue = queue };
	c->entered = c->net.port;
	assert_int_equal(quic_tls_client_session(q->tls, room, &tls), 0);
	c->tls = tls;
	c->arena = aligned_alloc(RTE_CACHE_LINE_SIZE, ARENA);
	assert_non_null(c->arena);
	new.tls = tls;
	new.arena = c->arena;
	assert_int_equal(plm_quic_conn_client(q->engine, &new, q->fx.now_ns, &c->conn), 0);
	return c;
}

static void
forget(struct fxq_client *c)
{
	c->nb_bytes = 0;
	c->nb_frames = 0;
	c->nb_fins = 0;
	c->nb_chunks_done = 0;
}

void
fxq_offer(struct fxq_client *c, unsigned int who, const char *alias)
{
	const uint8_t seed[PLM_WZP_KEY] = { (uint8_t)who, (uint8_t)(who >> 8), 1 };
	const struct plm_rand rand = { fill, NULL };
	struct plm_wzp_identity id;
	struct plm_wzp_signal offer;
	int len;

	assert_int_equal(plm_wzp_identity_derive(seed, &id), 0);
	assert_int_equal(plm_wzp_offer_make(&id, &rand, alias, &offer), 0);
	len = plm_wzp_encode(&offer, c->offer, sizeof(c->offer));
	assert_true(len > 0);
	assert_int_equal(fxq_message(c, c->offer, (size_t)len), 0);
	c->q->nb_offered += (uint64_t)len;
}

struct fxq_client *
fxq_join(struct fxq *q, const char *room, unsigned int queue)
{
	struct fxq_client *c = fxq_begin(q, room, queue, 2);

	fxq_step(q, 50);
	assert_true(c->is_established);
	fxq_offer(c, q->nb, NULL);
	fxq_step(q, 20);
	assert_int_equal(plm_quic_conn_state(c->conn), PLM_QUIC_ESTABLISHED);
	fxq_session(c);
	for (unsigned int i = 0; i < q->nb; i++)
		forget(&q->clients[i]);
	return c;
}

int
fxq_message(struct fxq_client *c, const uint8_t *buf, size_t len)
{
	struct plm_quic_chunk *chunk = calloc(1, sizeof(*chunk));
	int ret;

	assert_non_null(chunk);
	chunk->buf = buf;
	chunk->len = (uint32_t)len;
	ret = plm_quic_stream_send(c->conn, chunk);
	if (ret < 0)
		free(chunk);
	return ret;
}

enum plm_quic_verdict
fxq_send(struct fxq_client *c, const void *buf, size_t len)
{
	uint8_t media[PLM_QUIC_PACKET_MAX] = { 0 };

	assert_true(len <= sizeof(media) - PLM_WZP_HDR);
	memcpy(media + PLM_WZP_HDR, buf, len);
	return fxq_datagram(c, media, PLM_WZP_HDR + len);
}

enum plm_quic_verdict
fxq_datagram(struct fxq_client *c, const void *buf, size_t len)
{
	struct plm_quic_dgram d = { .buf = buf, .len = (uint16_t)len };

	plm_quic_send(c->conn, &c->out, &d, 1, c->q->fx.now_ns);
	return d.verdict;
}

void
fxq_send_small(struct fxq_client *c, unsigned int n, uint16_t len)
{
	static const uint8_t zeros[PLM_WZP_HDR];
	struct plm_quic_dgram *d = calloc(n, sizeof(*d));

	assert_non_null(d);
	assert_true(len <= sizeof(zeros));
	for (unsigned int i = 0; i < n; i++)
		d[i] = (struct plm_quic_dgram){ .buf = zeros, .len = len };
	assert_int_equal(plm_quic_send(c->conn, &c->out, d, n, c->q->fx.now_ns), n);
	free(d);
}

void
fxq_step_workers(struct fxq *q, unsigned int n)
{
	while (n-- > 0) {
		for (unsigned int w = 0; w < FX_WORKERS; w++)
			plm_relay_turn(plm_ctl_relay(q->fx.ctl), w, q->fx.now_ns);
		q->fx.now_ns += PLM_NS_PER_MS;
	}
}

struct plm_handle
fxq_session(const struct fxq_client *c)
{
	const struct plm_admit *admit = plm_ctl_admit(c->q->fx.ctl);
	struct plm_handle session = { 0 };

	for (uint32_t at = 0; plm_admit_next(admit, at, &session) == 0; at = session.idx + 1) {
		struct plm_quic_shown shown;
		struct plm_quic_path since;

		if (plm_ctl_quic_shown(c->q->fx.ctl, session, &since, &shown) &&
				rte_be_to_cpu_16(since.port) == c->entered)
			return session;
	}
	fail_msg("no session of port %u", c->entered);
	return session;
}

uint64_t
fxq_stream_bytes(const struct fxq *q)
{
	return fxq_count(q, PLM_CNT_QUIC_STREAM_BYTES) - q->nb_offered;
}

void
fxq_end(struct fxq_client *c)
{
	client_end(c);
	*c = (struct fxq_client){ 0 };
}

void
fxq_read_all(struct fxq_client *c)
{
	for (unsigned int i = 0; i < c->nb_frames; i++) {
		size_t end = i + 1 < c->nb_frames ? c->frames[i + 1].at : c->nb_bytes;

		plm_quic_stream_consumed(c->conn, c->frames[i].stream_id, end - c->frames[i].at);
	}
}

const char *
fxq_signal(const struct fxq_client *c, unsigned int n)
{
	static char json[64 * 1024];
	size_t at, end, len;

	if (n >= c->nb_frames)
		return "";
	at = c->frames[n].at;
	end = n + 1 < c->nb_frames ? c->frames[n + 1].at : c->nb_bytes;
	assert_true(end - at >= 4 && end - at < sizeof(json));
	len = (size_t)c->bytes[at] << 24 | (size_t)c->bytes[at + 1] << 16 |
			(size_t)c->bytes[at + 2] << 8 | c->bytes[at + 3];
	assert_int_equal(len, end - at - 4);
	memcpy(json, c->bytes + at + 4, len);
	json[len] = '\0';
	return json;
}

unsigned int
fxq_messages(const struct fxq *q)
{
	const struct plm_quic_table *t = ctl_quic_table(q->fx.ctl);

	return rte_mempool_in_use_count(t->messages) + rte_mempool_in_use_count(t->notes);
}

uint64_t
fxq_count(const struct fxq *q, enum plm_counter counter)
{
	uint64_t sum = plm_counter_get(plm_ctl_counters(q->fx.ctl), counter);

	for (unsigned int w = 0; w < FX_WORKERS; w++)
		sum += plm_counter_get(plm_relay_counters(plm_ctl_relay(q->fx.ctl), w), counter);
	return sum;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include <ngtcp2/ngtcp2.h>

#include "quic_tls.h"

#define STEP_NS     PLM_NS_PER_MS
#define SERVER_PORT 4433
#define NAT_PORT    40000
/* A client has so many addresses of its own; each is a port behind the NAT. */
#define OWN_ADDRS 4

struct fx_packet {
	struct fx_packet *next;
	uint64_t at_ns;
	struct plm_quic_path path; /* as the receiver sees it */
	uint16_t to_port;          /* of a client, behind the NAT */
	uint16_t len;
	uint8_t ecn;
	uint8_t bytes[PLM_QUIC_PACKET_MAX];
};

const struct fx_conf fx_default = {
	.backend = PLM_AEAD_BEST,
	.idle_timeout_ns = 30 * PLM_NS_PER_S,
	.handshake_timeout_ns = 10 * PLM_NS_PER_S,
	.max_streams = 100,
	.max_stream_bytes = PLM_QUIC_WINDOW_MAX,
	.max_bytes = PLM_QUIC_WINDOW_MAX,
	.max_chunks = 64,
	.nb_extents = 2 * PLM_QUIC_EXTENTS_MAX,
	.arena_size = FX_ARENA,
};

/* --- randomness ---------------------------------------------------------------------------- */

uint64_t
fx_random(struct fx_pair *pair)
{
	uint64_t x = pair->seed;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	pair->seed = x;
	return x * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

static void
fill(void *ctx, void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len-- > 0)
		*p++ = (uint8_t)fx_random(ctx);
}

static bool
happens(struct fx_pair *pair, uint32_t ppm)
{
	return ppm > 0 && fx_random(pair) % 1000000 < ppm;
}

uint8_t *
fx_bytes(struct fx_pair *pair, size_t len)
{
	uint8_t *buf = malloc(len + 1);

	assert_non_null(buf);
	fill(pair, buf, len);
	return buf;
}

uint64_t
fx_sum(const uint8_t *buf, size_t len)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325) ^ len;

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ buf[i]) * UINT64_C(0x100000001b3);
	return sum;
}

/* --- the network --------------------------------------------------------------------------- */

static struct fx_side *
other(struct fx_side *side)
{
	return side == &side->pair->client ? &side->pair->server : &side->pair->client;
}

static void
enqueue(struct fx_side *from, const struct plm_quic_path *path, size_t len, uint8_t ecn)
{
	struct fx_pair *pair = from->pair;
	struct fx_link *link = &from->link;
	struct fx_packet *pkt = calloc(1, sizeof(*pkt));
	struct fx_packet **at = &link->queue;

	assert_non_null(pkt);
	pkt->len = (uint16_t)len;
	pkt->at_ns = pair->now_ns + link->delay_ns;
	if (happens(pair, link->late_ppm))
		pkt->at_ns += fx_random(pair) % link->late_ns;
	memcpy(pkt->bytes, from->buf, len);
	if (from == &pair->client) {
		pkt->path = (struct plm_quic_path){ .addr = { 198, 18, 0, 2 } };
		pkt->path.port = rte_cpu_to_be_16(pair->nat_port + path->local_idx);
	} else {
		pkt->path = (struct plm_quic_path){ .addr = { 198, 18, 0, 1 } };
		pkt->path.port = rte_cpu_to_be_16(SERVER_PORT);
		pkt->to_port = rte_be_to_cpu_16(path->port);
	}
	if (!link->is_bleaching)
		pkt->ecn = ecn;
	if (pkt->ecn != 0 && happens(pair, link->ce_ppm))
		pkt->ecn = 3;
	while (*at != NULL && (*at)->at_ns <= pkt->at_ns)
		at = &(*at)->next;
	pkt->next = *at;
	*at = pkt;
}

static uint8_t *
out_get(struct plm_quic_out *out)
{
	struct fx_side *side = (struct fx_side *)out;

	return side->has_no_room ? NULL : side->buf;
}

static void
out_put(struct plm_quic_out *out, struct plm_quic_conn *conn, size_t len,
		const struct plm_quic_path *path, uint8_t ecn)
{
	struct fx_side *side = (struct fx_side *)out;
	struct fx_link *link = &side->link;
	uint64_t nth = link->nb_in;

	if (len == 0)
		return;
	assert_true(len <= PLM_QUIC_PACKET_MAX);
	link->nb_in++;
	link->largest = RTE_MAX(link->largest, (uint16_t)len);
	if (link->is_down || len > link->mtu || happens(side->pair, link->loss_ppm) ||
			(nth < 64 && (link->drop_mask >> nth & 1))) {
		link->nb_lost++;
		return;
	}
	enqueue(side, path, len, ecn);
	if (happens(side->pair, link->dup_ppm))
		enqueue(side, path, len, ecn);
}

static void
links_free(struct fx_link *link)
{
	while (link->queue != NULL) {
		struct fx_packet *pkt = link->queue;

		link->queue = pkt->next;
		free(pkt);
	}
}

/* --- what connections tell ------------------------------------------------------------------ */

static void
on_datagram(void *ctx, struct plm_quic_conn *conn, const uint8_t *buf, size_t len)
{
	struct fx_side *side = ctx;

	side->nb_datagrams++;
	side->gap_ns = RTE_MAX(side->gap_ns, side->pair->now_ns - side->last_ns);
	side->last_ns = side->pair->now_ns;
	side->sum += fx_sum(buf, len);
	side->last = realloc(side->last, len + 1);
	assert_non_null(side->last);
	if (len > 0) /* then there may be no `buf` */
		memcpy(side->last, buf, len);
	side->last_len = len;
}

static struct fx_message *
message(struct fx_side *side, int64_t stream_id)
{
	struct fx_message *m;

	for (unsigned int i = side->nb_messages; i-- > 0;)
		if (side->messages[i].stream_id == stream_id)
			return &side->messages[i];
	assert_true(side->nb_messages < FX_MESSAGES);
	m = &side->messages[side->nb_messages++];
	*m = (struct fx_message){ .stream_id = stream_id };
	return m;
}

static int
on_stream(void *ctx, struct plm_quic_conn *conn, int64_t stream_id, const uint8_t *buf, size_t len,
		bool fin)
{
	struct fx_side *side = ctx;
	struct fx_message *m;

	if (side->refuses)
		return -1;
	if (side->ignores) {
		plm_quic_stream_consumed(conn, stream_id, len);
		return 0;
	}
	m = message(side, stream_id);
	assert_false(m->fin);
	m->bytes = realloc(m->bytes, m->len + len + 1);
	assert_non_null(m->bytes);
	if (len > 0)
		memcpy(m->bytes + m->len, buf, len);
	m->len += len;
	m->fin = fin;
	if (side->keeps)
		side->kept += len;
	else
		plm_quic_stream_consumed(conn, stream_id, len);
	return 0;
}

static void
on_stream_reset(void *ctx, struct plm_quic_conn *conn, int64_t stream_id)
{
	struct fx_side *side = ctx;

	side->nb_resets++;
	if (!side->ignores)
		message(side, stream_id)->is_reset = true;
}

static void
on_established(void *ctx, struct plm_quic_conn *conn)
{
	struct fx_side *side = ctx;

	assert_false(side->is_established);
	side->is_established = true;
}

static void
on_moved(void *ctx, struct plm_quic_conn *conn, const struct plm_quic_path *path)
{
	struct fx_side *side = ctx;

	side->nb_moved++;
	side->moved = *path;
}

/* Chunks are the head of what fx_message() allocated for each. */
static void
on_chunk_done(void *ctx, struct plm_quic_chunk *chunk)
{
	struct fx_side *side = ctx;

	side->nb_chunks_done++;
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

/* --- memory --------------------------------------------------------------------------------- */

static void *
extent_get(void *ctx)
{
	struct fx_pair *pair = ctx;
	void *region;

	if (pair->nb_out == pair->conf.nb_extents)
		return NULL;
	region = aligned_alloc(RTE_CACHE_LINE_SIZE, FX_EXTENT);
	assert_non_null(region);
	memset(region, 0xa5, FX_EXTENT);
	pair->nb_out++;
	pair->most_out = RTE_MAX(pair->most_out, pair->nb_out);
	return region;
}

static void
extent_put(void *ctx, void *region)
{
	struct fx_pair *pair = ctx;

	assert_true(pair->nb_out > 0);
	pair->nb_out--;
	free(region);
}

/* --- a pair --------------------------------------------------------------------------------- */

static void
side_init(struct fx_pair *pair, struct fx_side *side)
{
	side->out.get = out_get;
	side->out.put = out_put;
	side->pair = pair;
	side->link.mtu = FX_MTU;
	side->link.delay_ns = FX_RTT_NS / 2;
	side->arena = aligned_alloc(RTE_CACHE_LINE_SIZE, pair->conf.arena_size);
	assert_non_null(side->arena);
	memset(side->arena, 0xa5, pair->conf.arena_size);
}

static struct plm_quic_new
new_conn(struct fx_side *side)
{
	return (struct plm_quic_new){
		.arena = side->arena,
		.arena_size = side->pair->conf.arena_size,
		.memory = &side->pair->memory,
		.tls = side->tls,
		.slot = FX_SLOT,
		.gen = FX_GEN,
		.worker = FX_WORKER,
		.ops = &ops,
		.ops_ctx = side,
	};
}

static void
client_begin(struct fx_pair *pair)
{
	struct fx_side *side = &pair->client;
	struct plm_quic_new new;
	gnutls_session_t tls;

	assert_int_equal(quic_tls_client_session(pair->tls[0], "room", &tls), 0);
	side->tls = tls;
	new = new_conn(side);
	new.path = (struct plm_quic_path){ .addr = { 198, 18, 0, 1 } };
	new.path.port = rte_cpu_to_be_16(SERVER_PORT);
	assert_int_equal(plm_quic_conn_client(pair->quic[0], &new, pair->now_ns, &side->conn), 0);
}

/* A server's connection is made when the first Initial has come. */
static void
server_begin(struct fx_pair *pair, const struct fx_packet *pkt)
{
	struct fx_side *side = &pair->server;
	struct plm_quic_new new;
	ngtcp2_version_cid ids;
	gnutls_session_t tls;

	assert_int_equal(ngtcp2_pkt_decode_version_cid(&ids, pkt->bytes, pkt->len, PLM_CID_LEN), 0);
	assert_int_equal(quic_tls_server_session(pair->tls[1], &tls), 0);
	side->tls = tls;
	new = new_conn(side);
	new.path = pkt->path;
	new.dcid = ids.dcid;
	new.dcid_len = ids.dcidlen;
	new.scid = ids.scid;
	new.scid_len = ids.scidlen;
	new.version = ids.version;
	assert_int_equal(plm_quic_conn_server(pair->quic[1], &new, pair->now_ns, &side->conn), 0);
}

struct fx_pair *
fx_begin(const struct fx_conf *conf)
{
	const uint8_t seed[PLM_QUIC_SEED_SIZE] = { 42 };
	struct fx_pair *pair = calloc(1, sizeof(*pair));
	struct plm_quic_conf c;
	struct plm_text why;
	char buf[128];

	assert_non_null(pair);
	pair->conf = conf != NULL ? *conf : fx_default;
	pair->now_ns = PLM_NS_PER_S;
	pair->nat_port = NAT_PORT;
	pair->seed = UINT64_C(88172645463325252);
	pair->memory = (struct plm_quic_memory){ extent_get, extent_put, pair, FX_EXTENT };
	pair->aead = plm_aead_create(pair->conf.backend);
	assert_non_null(pair->aead);
	assert_int_equal(plm_cid_key_init(&pair->cid_key, (const uint8_t *)"a key of 16 byte"), 0);
	plm_text_init(&why, buf, sizeof(buf));
	pair->identity = plm_quic_identity_create();
	assert_int_equal(plm_quic_identity_add_seed(pair->identity, seed, &why), 0);
	pair->tls[0] = quic_tls_client_create(
			&(struct quic_tls_client_conf){ NULL, pair->conf.priority });
	pair->tls[1] = quic_tls_server_create(pair->identity);
	assert_non_null(pair->tls[0]);
	assert_non_null(pair->tls[1]);
	c = (struct plm_quic_conf){
		.rand = { fill, pair },
		.aead = pair->aead,
		.cid_key = pair->cid_key,
		.idle_timeout_ns = pair->conf.idle_timeout_ns,
		.handshake_timeout_ns = pair->conf.handshake_timeout_ns,
		.max_streams = pair->conf.max_streams,
		.max_stream_bytes = pair->conf.max_stream_bytes,
		.max_bytes = pair->conf.max_bytes,
		.max_chunks = pair->conf.max_chunks,
	};
	memcpy(c.reset_secret, FX_RESET_SECRET, sizeof(c.reset_secret));
	for (unsigned int i = 0; i < 2; i++) {
		pair->quic[i] = plm_quic_create(&c);
		assert_non_null(pair->quic[i]);
		if (pair->conf.prepare != NULL)
			pair->conf.prepare(pair->quic[i]);
	}
	side_init(pair, &pair->client);
	side_init(pair, &pair->server);
	client_begin(pair);
	return pair;
}

struct fx_pair *
fx_connected(const struct fx_conf *conf)
{
	struct fx_pair *pair = fx_begin(conf);

	assert_true(fx_handshake(pair, PLM_NS_PER_S));
	fx_run(pair, PLM_NS_PER_S);
	return pair;
}

void
fx_forget(struct fx_side *side)
{
	if (side->conn == NULL)
		return;
	plm_quic_conn_tls_take(side->conn);
	plm_quic_conn_free(side->conn);
	side->conn = NULL;
	if (side->tls != NULL)
		gnutls_deinit(side->tls);
	side->tls = NULL;
}

static void
side_drain(struct fx_side *side)
{
	links_free(&side->link);
	while (side->nb_messages > 0)
		free(side->messages[--side->nb_messages].bytes);
	free(side->last);
	side->last = NULL;
}

void
fx_drain(struct fx_pair *pair)
{
	side_drain(&pair->client);
	side_drain(&pair->server);
}

static void
side_fini(struct fx_side *side)
{
	fx_forget(side);
	side_drain(side);
	free(side->arena);
}

void
fx_end(struct fx_pair *pair)
{
	side_fini(&pair->client);
	side_fini(&pair->server);
	assert_int_equal(pair->nb_out, 0);
	for (unsigned int i = 0; i < 2; i++) {
		plm_quic_free(pair->quic[i]);
		quic_tls_free(pair->tls[i]);
	}
	plm_quic_identity_free(pair->identity);
	plm_cid_key_fini(&pair->cid_key);
	plm_aead_free(pair->aead);
	free(pair);
}

void
fx_delay(struct fx_pair *pair, uint64_t one_way_ns)
{
	pair->client.link.delay_ns = one_way_ns;
	pair->server.link.delay_ns = one_way_ns;
}

void
fx_loss(struct fx_pair *pair, uint32_t ppm)
{
	pair->client.link.loss_ppm = ppm;
	pair->server.link.loss_ppm = ppm;
}

void
fx_down(struct fx_pair *pair, bool is_down)
{
	pair->client.link.is_down = is_down;
	pair->server.link.is_down = is_down;
}

/* --- time ----------------------------------------------------------------------------------- */

/* Its session goes as soon as nothing needs it, as the relay's does. */
static void
tls_release(struct fx_side *side)
{
	if (!side->is_established || side->tls == NULL)
		return;
	assert_ptr_equal(plm_quic_conn_tls_take(side->conn), side->tls);
	gnutls_deinit(side->tls);
	side->tls = NULL;
}

static void
deliver(struct fx_side *side, struct fx_packet *pkt)
{
	struct fx_pair *pair = side->pair;

	if (side == &pair->client) {
		uint16_t idx = (uint16_t)(pkt->to_port - pair->nat_port);

		if (idx >= OWN_ADDRS) /* the NAT has forgotten this one */
			return;
		pkt->path.local_idx = idx;
	} else if (side->conn == NULL && !side->is_established) {
		server_begin(pair, pkt);
	}
	if (side->conn == NULL)
		return;
	other(side)->link.nb_ecn += pkt->ecn != 0;
	plm_quic_recv(side->conn, &pkt->path, pkt->ecn, pkt->bytes, pkt->len, pair->now_ns);
	tls_release(side);
}

void
fx_deliver(struct fx_side *side)
{
	struct fx_pair *pair = side->pair;
	struct fx_link *in = &other(side)->link;

	while (in->queue != NULL && in->queue->at_ns <= pair->now_ns) {
		struct fx_packet *pkt = in->queue;

		in->queue = pkt->next;
		deliver(side, pkt);
		free(pkt);
	}
}

static void
step(struct fx_side *side)
{
	struct fx_pair *pair = side->pair;

	fx_deliver(side);
	if (side->conn == NULL)
		return;
	if (plm_quic_expiry(side->conn) <= pair->now_ns)
		plm_quic_timer(side->conn, pair->now_ns);
	if (plm_quic_is_dirty(side->conn))
		plm_quic_flush(side->conn, &side->out, pair->now_ns);
}

void
fx_step(struct fx_pair *pair)
{
	pair->now_ns += STEP_NS;
	step(&pair->server);
	step(&pair->client);
}

void
fx_run(struct fx_pair *pair, uint64_t ns)
{
	uint64_t end_ns = pair->now_ns + ns;

	while (pair->now_ns < end_ns)
		fx_step(pair);
}

bool
fx_handshake(struct fx_pair *pair, uint64_t ns)
{
	uint64_t end_ns = pair->now_ns + ns;

	while (pair->now_ns < end_ns) {
		if (pair->client.is_established && pair->server.is_established)
			return true;
		fx_step(pair);
	}
	return false;
}

/* --- what a test does ----------------------------------------------------------------------- */

enum plm_quic_verdict
fx_send(struct fx_side *side, const void *buf, size_t len, bool is_urgent)
{
	struct plm_quic_dgram d = { .buf = buf, .len = (uint16_t)len, .is_urgent = is_urgent };
	unsigned int n = plm_quic_send(side->conn, &side->out, &d, 1, side->pair->now_ns);

	assert_int_equal(n, d.verdict == PLM_QUIC_SENT);
	return d.verdict;
}

void
fx_inject(struct fx_side *side, const void *buf, size_t len)
{
	struct plm_quic_path path = *plm_quic_conn_path(side->conn);
	uint8_t copy[PLM_QUIC_PACKET_MAX];

	memcpy(copy, buf, len);
	plm_quic_recv(side->conn, &path, 0, copy, len, side->pair->now_ns);
}

int
fx_message(struct fx_side *side, const uint8_t *buf, size_t len, size_t chunk_size, bool uni)
{
	struct plm_quic_chunk *first = NULL;
	struct plm_quic_chunk **at = &first;
	int ret;

	do {
		size_t n = RTE_MIN(len, chunk_size);

		*at = calloc(1, sizeof(**at));
		assert_non_null(*at);
		(*at)->buf = buf;
		(*at)->len = (uint32_t)n;
		(*at)->uni = uni;
		at = &(*at)->next;
		buf += n;
		len -= n;
	} while (len > 0);
	ret = plm_quic_stream_send(side->conn, first);
	while (ret < 0 && first != NULL) {
		struct plm_quic_chunk *chunk = first;

		first = chunk->next;
		free(chunk);
	}
	return ret;
}

struct plm_quic_figures
fx_figures(const struct fx_side *side)
{
	struct plm_quic_figures figures;

	plm_quic_conn_figures(side->conn, &figures);
	return figures;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients of QUIC, and the network between them and the relay. All of it runs between two steps of the
 * relay's lcores, outside of their fibers. */
#include "quic.h"

#include <stdlib.h>

#include "ctl_priv.h"
#include "frames.h"
#include "net.h"
#include "oracle_priv.h"
#include "packet.h"
#include "quic_tls.h"

#define NONE SIM_QUIC_NONE
/* A client's handshake takes some more than a server's. */
#define ARENA  (PLM_QUIC_ARENA_MIN + 8 * 1024)
#define EXTENT (16 * 1024)
/* Flushes in a row, of one that has more to say. */
#define FLUSHES 8
/* After a refusal, and how many of them one takes in a row. */
#define PATIENCE_NS (300 * PLM_NS_PER_MS)
#define PATIENCE    3
#define MESSAGE     1200

static struct {
	struct plm_quic_identity *identity;
	struct plm_aead *aead;
	struct quic_tls *tls;
	uint8_t seed[PLM_QUIC_SEED_SIZE];
} world = { .seed = { 17 } };

void
sim_quic_world(void)
{
	char buf[256];
	struct plm_text why;

	plm_text_init(&why, buf, sizeof(buf));
	world.identity = plm_quic_identity_create();
	world.aead = plm_aead_create(PLM_AEAD_BEST);
	world.tls = quic_tls_client_create(&(struct quic_tls_client_conf){ 0 });
	if (world.identity == NULL || world.aead == NULL || world.tls == NULL ||
			plm_quic_identity_add_seed(world.identity, world.seed, &why) < 0) {
		fprintf(stderr, "plenum-sim: no QUIC: %s\n", buf);
		exit(2);
	}
	sim_wzp_world();
}

void
sim_quic_conf(const struct sim_run *run, struct plm_ctl_quic_conf *conf)
{
	const struct sim_sizes *sizes = &run->plan->sizes;

	conf->max_connections = sizes->quic_conns;
	conf->max_handshakes = sizes->quic_handshakes;
	conf->retry_above = sizes->quic_retry_above;
	conf->idle_timeout_ns = sizes->quic_idle_ns;
	conf->handshake_timeout_ns = sizes->quic_handshake_ns;
	conf->identity = world.identity;
	conf->aead = world.aead;
}

struct sim_quic_client *
sim_quic_client(const struct sim_run *run, unsigned int peer)
{
	struct sim_quic *q = run->quic;

	for (unsigned int i = 0; i < q->nb_clients; i++)
		if (q->clients[i].peer->idx == peer)
			return &q->clients[i];
	return NULL;
}

/* Something happened on its path that may cost it packets. */
static void
disturb(struct sim_run *run, struct sim_quic_client *c)
{
	if (c->disturbed_ns + 500 * PLM_NS_PER_MS < run->now_ns)
		c->trouble_ns = run->now_ns;
	c->disturbed_ns = run->now_ns;
	c->disturbed_tick = ++run->tick;
}

/* --- the network ---------------------------------------------------------------------------- */

static void
put_by_time(struct sim_quic_packet **at, struct sim_quic_packet *packet)
{
	while (*at != NULL && (*at)->at_ns <= packet->at_ns)
		at = &(*at)->next;
	packet->next = *at;
	*at = packet;
}

/* What the network does with the `nth` packet of a client's in one direction. */
static void
travel(struct sim_run *run, struct sim_quic_client *c, const struct sim_quic_packet *sent, bool up,
		uint64_t nth)
{
	static const struct sim_wire calm;
	struct sim_quic *q = run->quic;
	const struct sim_wire *wire = run->settling ? &calm : &run->plan->wire;
	struct sim_rng rng = sim_rng_keyed(run->plan->seed + 9, 2u * c->peer->idx + up, nth);
	const bool lost = sim_chance(&rng, wire->loss);
	const bool twice = sim_chance(&rng, wire->duplicate);
	const bool corrupt = sim_chance(&rng, wire->corrupt);

	SIM_TRACE(&run->trace, "%.6f %s at address %u %s %s%u bytes%s\n",
			(double)(run->now_ns - SIM_EPOCH_NS) / 1e9, c->peer->name, sent->addr,
			up ? "sends" : "is sent", sent->is_long ? "a hello of " : "", sent->len,
			c->is_cut_off || lost ? ", in vain" : "");
	if (c->is_cut_off || lost) {
		run->fired.world[c->is_cut_off                  ? SIM_WORLD_QUIC_OUTAGE
						: sent->is_long ? SIM_WORLD_QUIC_HELLO_LOSS
								: SIM_WORLD_QUIC_LOSS]++;
		disturb(run, c);
		return;
	}
	for (unsigned int i = 0; i < 1u + twice; i++) {
		struct sim_quic_packet *packet = malloc(sizeof(*packet));

		if (packet == NULL)
			abort();
		*packet = *sent;
		packet->sent_ns = run->now_ns;
		packet->at_ns = run->now_ns + run->plan->wire.delay_ns;
		if (wire->jitter_ns > 0)
			packet->at_ns += sim_below(&rng, wire->jitter_ns);
		packet->is_corrupt = i == 0 && corrupt && up;
		if (packet->is_corrupt)
			disturb(run, c);
		put_by_time(up ? &q->up : &q->down, packet);
		q->next_ns = RTE_MIN(q->next_ns, packet->at_ns);
	}
}

/* Behind the handshake's packets, a datagram may end with one that has a short header (RFC 9000 §12.2). NULL: none. */
static const uint8_t *
short_packet(const uint8_t *buf, size_t len)
{
	struct plm_cursor c = plm_cursor(buf, len);

	while (plm_cursor_left(&c) > 0 && *c.pos & 0x80) {
		const bool is_initial = (*c.pos & 0x30) == 0;
		uint64_t n = 0;

		plm_cursor_bytes(&c, 1 + 4);
		for (unsigned int i = 0; i < 2; i++) /* ids */
			plm_cursor_bytes(&c, plm_cursor_u8(&c));
		if (is_initial && quic_varint(&c, &n)) /* token */
			plm_cursor_bytes(&c, n);
		if (!quic_varint(&c, &n) || n > plm_cursor_left(&c))
			return NULL;
		plm_cursor_bytes(&c, n);
	}
	/* Or PADDING. */
	return plm_cursor_left(&c) > PLM_CID_LEN && *c.pos & 0x40 ? c.pos : NULL;
}

static uint8_t *
out_get(struct plm_quic_out *out)
{
	return container_of(out, struct sim_quic, out)->buf;
}

static void
out_put(struct plm_quic_out *out, struct plm_quic_conn *conn, size_t len,
		const struct plm_quic_path *path, uint8_t ecn)
{
	struct sim_quic *q = container_of(out, struct sim_quic, out);
	struct sim_quic_client *c = &q->clients[plm_quic_conn_slot(conn)];
	struct sim_quic_packet packet = { .peer = c->peer->idx };
	const uint8_t *last;
	struct plm_cid cid;

	if (len == 0)
		return;
	last = short_packet(q->buf, len);
	packet.addr = (uint8_t)((path->local_idx + c->shift) % SIM_ADDRS);
	packet.len = (uint16_t)len;
	packet.is_long = q->buf[0] & 0x80;
	packet.dgram = packet.slot = NONE;
	memcpy(packet.bytes, q->buf, len);
	if (last != NULL && plm_cid_read(&ctl_quic_table(sim->ctl)->cid_key, last + 1, &cid) == 0) {
		packet.slot = c->slot = cid.slot;
		packet.gen = c->slot_gen = cid.gen;
		/* With it come, if any, answers of other kinds, and it is the last. */
		packet.dgram = q->sending;
		sim_wzp_spoke(sim, c);
	}
	c->nb_up++;
	travel(sim, c, &packet, true, c->nb_up);
}

void
sim_quic_sent(struct sim_run *run, const struct sim_peer *to, unsigned int addr,
		const uint8_t *payload, size_t len)
{
	struct sim_quic_client *c = sim_quic_client(run, to->idx);
	struct sim_quic_packet packet = { .peer = to->idx,
		.addr = (uint8_t)addr,
		.len = (uint16_t)len,
		.is_long = payload[0] & 0x80,
		.dgram = NONE,
		.slot = NONE };

	SIM_EXPECT(payload[0] & 0x40, CONTENT, "%s gets a packet that is not QUIC", to->name);
	if (len > sizeof(packet.bytes)) {
		sim_fail(SIM_INV_CONTENT, "%s gets a QUIC packet of %zu bytes", to->name, len);
		return;
	}
	memcpy(packet.bytes, payload, len);
	packet.is_reachable = run->oracle->peers[to->idx].nb_reachable > 0;
	packet.sent_tick = run->tick;
	c->nb_down++;
	travel(run, c, &packet, false, c->nb_down);
}

/* --- what a connection tells ----------------------------------------------------------------- */

static const struct sim_quic_packet *reading; /* by the client that is called */

static void
got_datagram(void *ctx, struct plm_quic_conn *conn, const uint8_t *buf, size_t len)
{
	struct sim_quic *q = ctx;

	sim_quic_delivered(sim, &q->clients[plm_quic_conn_slot(conn)], reading, buf, len);
}

/* A message is its number, and bytes that follow from that. */
static uint8_t
message_byte(uint32_t number, uint32_t at)
{
	return at < 4 ? (uint8_t)(number >> 8 * at) : (uint8_t)(number * 31 + at);
}

/* Part of what a STREAMS had the relay say. */
static void
got_message(struct sim_quic_client *c, int64_t stream_id, const uint8_t *buf, size_t len, bool fin)
{
	struct sim_quic_stream *s = NULL;

	for (unsigned int i = 0; i < RTE_DIM(c->streams); i++)
		if (c->streams[i].len > 0 && c->streams[i].id == stream_id)
			s = &c->streams[i];
	if (s == NULL) {
		s = &c->streams[c->next_stream++ % RTE_DIM(c->streams)];
		*s = (struct sim_quic_stream){ .id = stream_id };
	}
	for (size_t i = 0; i < len; i++) {
		if (s->len < 4)
			s->number |= (uint32_t)buf[i] << 8 * s->len;
		SIM_EXPECT(message_byte(s->number, s->len) == buf[i] &&
						s->number < sim->quic->nb_messages,
				CONTENT, "%s is told what nobody said", c->peer->name);
		s->len++;
	}
	if (fin)
		s->len = 0;
}

/* Of a stream's id, the lowest bits: who began it, and that it goes one way only (RFC 9000 §2.1). */
#define STREAM_SERVER 1
#define STREAM_UNI    2

static int
got_stream(void *ctx, struct plm_quic_conn *conn, int64_t stream_id, const uint8_t *buf, size_t len,
		bool fin)
{
	struct sim_quic *q = ctx;
	struct sim_quic_client *c = &q->clients[plm_quic_conn_slot(conn)];

	if (!(stream_id & STREAM_SERVER))
		SIM_EXPECT(len == 0, CONTENT, "%s is answered on a stream of its own",
				c->peer->name);
	else if (stream_id & STREAM_UNI)
		got_message(c, stream_id, buf, len, fin);
	else
		sim_wzp_got(sim, c, stream_id, buf, len, fin);
	if (c->reads_no_stream || (c->peer->reads_answer_only && stream_id > 1))
		sim->fired.world[SIM_WORLD_QUIC_UNREAD]++;
	else
		plm_quic_stream_consumed(conn, stream_id, len);
	return 0;
}

static void
stream_reset(void *ctx, struct plm_quic_conn *conn, int64_t stream_id)
{
	struct sim_quic *q = ctx;

	if ((stream_id & (STREAM_SERVER | STREAM_UNI)) == STREAM_SERVER)
		sim_wzp_reset(sim, &q->clients[plm_quic_conn_slot(conn)], stream_id);
}

static void
established(void *ctx, struct plm_quic_conn *conn)
{
	struct sim_quic *q = ctx;

	q->clients[plm_quic_conn_slot(conn)].is_established = true;
}

static void
moved(void *ctx, struct plm_quic_conn *conn, const struct plm_quic_path *path)
{
}

static void
chunk_done(void *ctx, struct plm_quic_chunk *chunk)
{
	free(chunk);
}

static const struct plm_quic_ops ops = {
	.datagram = got_datagram,
	.stream = got_stream,
	.stream_reset = stream_reset,
	.established = established,
	.moved = moved,
	.chunk_done = chunk_done,
};

static void *
extent_get(void *ctx)
{
	void *extent = aligned_alloc(RTE_CACHE_LINE_SIZE, EXTENT);

	((struct sim_quic *)ctx)->nb_extents += extent != NULL;
	return extent;
}

static void
extent_put(void *ctx, void *extent)
{
	((struct sim_quic *)ctx)->nb_extents--;
	free(extent);
}

static void
rand_fill(void *ctx, void *buf, size_t len)
{
	sim_fill(&((struct sim_quic *)ctx)->rng, buf, len);
}

/* --- clients -------------------------------------------------------------------------------- */

/* The relay as a client sees it. */
static struct plm_quic_path
path_of(const struct sim_quic_client *c, uint8_t own)
{
	const struct sim_addr *addr = &c->peer->addrs[own];
	struct plm_quic_path path = { .local_idx = own, .is_v6 = addr->ip.is_v6 };
	struct plm_ip ip;

	sim_local_ip(addr->local_idx, &ip);
	memcpy(path.addr, ip.addr, addr->ip.is_v6 ? 16 : 4);
	path.port = rte_cpu_to_be_16(SIM_UDP_PORT);
	return path;
}

static void
conn_free(struct sim_quic_client *c)
{
	if (c->conn == NULL)
		return;
	plm_quic_conn_tls_take(c->conn);
	plm_quic_conn_free(c->conn);
	c->conn = NULL;
	if (c->tls != NULL)
		gnutls_deinit(c->tls);
	c->tls = NULL;
	c->phase = SIM_QUIC_IDLE;
	sim_wzp_gone(c);
}

/* Those who stay try again; who is refused over and over gives up. */
static void
gone(struct sim_run *run, struct sim_quic_client *c)
{
	struct sim_rng rng = sim_rng_keyed(run->plan->seed + 10, c->peer->idx, c->gen);
	const struct plm_quic_end end = plm_quic_conn_end(c->conn);
	uint64_t wait_ns = sim_range(&rng, 20, 200) * PLM_NS_PER_MS;

	if (c->phase == SIM_QUIC_JOINING && end.is_remote && end.is_application) {
		wait_ns += PATIENCE_NS;
		if (++c->wzp.refusals == PATIENCE)
			c->op = NONE;
	}
	conn_free(c);
	c->again_ns = run->now_ns + wait_ns;
}

/* After anything that may have changed it. */
static void
settle(struct sim_run *run, struct sim_quic_client *c)
{
	if (c->phase == SIM_QUIC_HANDSHAKE && c->is_established) {
		c->phase = SIM_QUIC_JOINING;
		sim_wzp_introduce(run, c);
	}
	for (unsigned int i = 0; i < FLUSHES && plm_quic_is_dirty(c->conn); i++)
		plm_quic_flush(c->conn, &run->quic->out, run->now_ns);
	if (c->phase != SIM_QUIC_HANDSHAKE && c->tls != NULL &&
			plm_quic_conn_state(c->conn) == PLM_QUIC_ESTABLISHED) {
		gnutls_deinit(plm_quic_conn_tls_take(c->conn));
		c->tls = NULL;
	}
	if (plm_quic_conn_state(c->conn) < PLM_QUIC_DRAINING)
		return;
	if (c->phase != SIM_QUIC_LEAVING)
		sim_quic_lost(run, c);
	gone(run, c);
}

static void
begin(struct sim_run *run, struct sim_quic_client *c)
{
	struct sim_quic *q = run->quic;
	struct plm_quic_new new = {
		.arena = c->arena,
		.arena_size = ARENA,
		.memory = &q->memory,
		.slot = (uint32_t)(c - q->clients),
		.ops = &ops,
		.ops_ctx = q,
	};
	gnutls_session_t tls;

	c->gen = c->gen == PLM_CID_GEN_MAX ? 1 : c->gen + 1;
	c->phase = SIM_QUIC_HANDSHAKE;
	c->used = (uint8_t)(1u << c->own);
	c->slot = NONE;
	c->is_established = false;
	c->was_unread = c->reads_no_stream;
	sim_wzp_begin(run, c);
	memset(c->streams, 0, sizeof(c->streams));
	new.gen = c->gen;
	new.path = path_of(c, c->own);
	if (quic_tls_client_session(world.tls, run->plan->rooms[c->peer->room].name, &tls) < 0)
		abort();
	new.tls = c->tls = tls;
	if (plm_quic_conn_client(c->peer->reads_answer_only ? q->strict : q->engine, &new,
			    run->now_ns, &c->conn) < 0)
		abort();
	settle(run, c);
}

static void
leave(struct sim_run *run, struct sim_quic_client *c)
{
	c->op = NONE;
	if (c->conn == NULL || c->phase == SIM_QUIC_LEAVING)
		return;
	c->phase = SIM_QUIC_LEAVING;
	disturb(run, c);
	plm_quic_close(c->conn, 0, "");
	settle(run, c);
}

static void
vanish(struct sim_run *run, struct sim_quic_client *c)
{
	c->op = NONE;
	if (c->conn == NULL)
		return;
	run->fired.world[SIM_WORLD_QUIC_GHOST] += c->phase == SIM_QUIC_OPEN;
	disturb(run, c);
	conn_free(c);
}

static void
talk(struct sim_run *run, struct sim_quic_talk *t)
{
	struct sim_quic *q = run->quic;
	const struct sim_op *op = &run->plan->ops[t->op];
	struct sim_quic_client *c = sim_quic_client(run, op->peer);
	struct sim_rng rng = sim_rng_keyed(run->plan->seed + 3, t->op, t->nth);
	uint8_t bytes[PLM_QUIC_PACKET_MAX];
	struct plm_quic_dgram d = { .buf = bytes };

	t->next_ns += op->gap_ns - op->gap_ns / 8 + sim_below(&rng, op->gap_ns / 4 + 1);
	t->nth++;
	if (c->phase != SIM_QUIC_OPEN && c->phase != SIM_QUIC_HUNG &&
			!(op->a && c->phase == SIM_QUIC_JOINING))
		return;
	q->sending = sim_quic_dgram_make(run, t->op, t->nth, bytes, &d.len);
	plm_quic_send(c->conn, &q->out, &d, 1, run->now_ns);
	q->sending = NONE;
	settle(run, c);
}

static void
tell(struct sim_run *run, struct sim_quic_talk *t)
{
	const struct sim_op *op = &run->plan->ops[t->op];
	struct sim_quic_client *c = sim_quic_client(run, op->peer);
	struct plm_quic_chunk *chunk;

	t->next_ns += op->gap_ns;
	t->nth++;
	if (c->phase != SIM_QUIC_OPEN)
		return;
	chunk = calloc(1, sizeof(*chunk) + op->a);
	if (chunk == NULL)
		abort();
	chunk->buf = (const uint8_t *)(chunk + 1);
	chunk->len = op->a;
	chunk->uni = t->nth & 1;
	if (plm_quic_stream_send(c->conn, chunk) < 0)
		free(chunk); /* it waits for credit */
	settle(run, c);
}

/* One signal of a SAY. */
static void
say(struct sim_run *run, struct sim_quic_talk *t)
{
	const struct sim_op *op = &run->plan->ops[t->op];
	struct sim_quic_client *c = sim_quic_client(run, op->peer);

	t->next_ns += op->gap_ns;
	if (c->phase != SIM_QUIC_OPEN || t->nth == op->b)
		return;
	t->nth++;
	sim_wzp_say(run, c, (enum sim_signal)op->a);
	settle(run, c);
}

/* It hears the others until it closes, or the relay does; and does not come back. */
static void
hang_up(struct sim_run *run, struct sim_quic_client *c)
{
	if (c->phase != SIM_QUIC_OPEN)
		return;
	sim_wzp_hang_up(run, c);
	c->phase = SIM_QUIC_HUNG;
	c->op = NONE;
	settle(run, c);
}

/* The slow path's half of STREAMS, in its own turn. On streams that carry no signals. */
void
sim_quic_tell(struct sim_run *run)
{
	struct sim_quic *q = run->quic;
	uint8_t bytes[MESSAGE * 4];

	for (unsigned int i = 0; i < q->nb_talks; i++) {
		const struct sim_op *op = &run->plan->ops[q->talks[i].op];
		const struct sim_quic_client *c;

		if (op->type != SIM_OP_STREAMS || q->talks[i].nth == q->talks[i].told)
			continue;
		q->talks[i].told = q->talks[i].nth;
		c = sim_quic_client(run, op->peer);
		if (c->slot == NONE || !q->sessions[c->slot].is_open ||
				q->sessions[c->slot].gen != c->slot_gen)
			continue;
		for (uint32_t k = 0; k < op->a; k++)
			bytes[k] = message_byte(q->nb_messages, k);
		q->nb_messages++;
		plm_ctl_quic_send(run->ctl, q->sessions[c->slot].session, true, bytes, op->a);
	}
}

void
sim_quic_kick(struct sim_run *run, const struct sim_peer *peer, uint64_t now_ns, uint64_t wall_s)
{
	struct sim_quic *q = run->quic;
	const struct sim_quic_client *c = sim_quic_client(run, peer->idx);
	const uint32_t slot = c->slot; /* the client may well be gone when its session is */
	struct plm_handle session;

	if (slot == NONE || !q->sessions[slot].is_open)
		return;
	session = q->sessions[slot].session;
	run->oracle->kicking = true;
	plm_admit_kick(plm_ctl_admit(run->ctl), session, now_ns, wall_s);
	run->oracle->kicking = false;
	SIM_EXPECT(!q->sessions[slot].is_open, ADMISSION, "%s was kicked and is still here",
			peer->name);
}

/* --- operations ----------------------------------------------------------------------------- */

static void
talk_end(struct sim_quic *q, uint32_t op)
{
	for (unsigned int i = 0; i < q->nb_talks; i++)
		if (q->talks[i].op == op)
			q->talks[i--] = q->talks[--q->nb_talks];
}

static void
update(struct sim_run *run, struct sim_quic_client *c)
{
	if (c->phase != SIM_QUIC_OPEN || plm_quic_key_update(c->conn, run->now_ns) < 0)
		return;
	run->fired.world[SIM_WORLD_QUIC_UPDATE]++;
}

static void
migrate(struct sim_run *run, struct sim_quic_client *c, uint8_t own)
{
	struct plm_quic_path path = path_of(c, own);

	if (c->phase != SIM_QUIC_OPEN || own == c->own ||
			plm_quic_migrate(c->conn, &path, run->now_ns) < 0)
		return;
	run->fired.world[SIM_WORLD_QUIC_MIGRATE]++;
	c->own = own;
	c->used |= (uint8_t)(1u << own);
	c->has_moved = true;
	c->moved_ns = run->now_ns;
	disturb(run, c);
	settle(run, c);
}

void
sim_quic_happen(struct sim_run *run, uint32_t op_idx, bool is_end)
{
	struct sim_quic *q = run->quic;
	const struct sim_op *op = &run->plan->ops[op_idx];
	struct sim_quic_client *c = sim_quic_client(run, op->peer);

	q->next_ns = 0;
	switch (op->type) {
	case SIM_OP_CONNECT:
		if (!is_end) {
			c->op = op_idx;
			c->again_ns = run->now_ns;
			c->wzp.intro = (uint8_t)op->b;
			c->wzp.refusals = 0;
		} else if (c->op == op_idx && op->a) {
			vanish(run, c);
		} else if (c->op == op_idx) {
			leave(run, c);
		}
		break;
	case SIM_OP_DATAGRAMS:
	case SIM_OP_STREAMS:
	case SIM_OP_SAY:
		if (is_end)
			talk_end(q, op_idx);
		else if (q->nb_talks < RTE_DIM(q->talks))
			q->talks[q->nb_talks++] = (struct sim_quic_talk){ .op = op_idx,
				.next_ns = run->now_ns };
		break;
	case SIM_OP_UPDATE:
		update(run, c);
		break;
	case SIM_OP_MIGRATE:
		migrate(run, c, (uint8_t)op->a);
		break;
	case SIM_OP_REBIND:
		c->shift = (uint8_t)((c->shift + 1) % SIM_ADDRS);
		c->has_moved = true;
		c->moved_ns = run->now_ns;
		run->fired.world[SIM_WORLD_QUIC_REBIND] += c->phase == SIM_QUIC_OPEN;
		disturb(run, c);
		break;
	case SIM_OP_OUTAGE:
		c->is_cut_off = !is_end;
		disturb(run, c);
		break;
	case SIM_OP_DEAF:
		if (op->a) {
			c->reads_no_stream = !is_end;
			c->was_unread = true;
			break;
		}
		c->is_deaf = !is_end;
		disturb(run, c);
		break;
	case SIM_OP_HANGUP:
		if (!is_end)
			hang_up(run, c);
		else if (c->phase == SIM_QUIC_HUNG && !op->a)
			leave(run, c);
		break;
	case SIM_OP_REVOKE:
		sim_wzp_revoke(run, op->peer);
		break;
	case SIM_OP_SERVER:
		sim_wzp_server(run, !is_end, op->a);
		break;
	default:
		break;
	}
}

/* --- time ----------------------------------------------------------------------------------- */

static void
come_down(struct sim_run *run, struct sim_quic_packet *packet)
{
	struct sim_quic_client *c = sim_quic_client(run, packet->peer);
	const uint8_t own = (uint8_t)((packet->addr + SIM_ADDRS - c->shift) % SIM_ADDRS);
	struct plm_quic_path path;

	if (c->conn == NULL)
		return;
	if (c->is_deaf) {
		run->fired.world[SIM_WORLD_QUIC_DEAF]++;
		disturb(run, c);
		return;
	}
	if (!(c->used >> own & 1)) { /* the NAT has forgotten this one */
		disturb(run, c);
		return;
	}
	path = path_of(c, own);
	reading = packet;
	plm_quic_recv(c->conn, &path, 0, packet->bytes, packet->len, run->now_ns);
	reading = NULL;
	settle(run, c);
}

static unsigned int
queue_of(struct sim_run *run, struct sim_quic_client *c, const struct sim_addr *addr)
{
	struct sim_rng rng = sim_rng_keyed(run->plan->seed + 11, c->peer->idx, run->quic->nb_given);
	const unsigned int nb = run->ports[addr->port_idx].nb_queues;

	if (!run->settling && sim_chance(&rng, run->plan->sizes.quic_astray))
		return (unsigned int)sim_below(&rng, nb);
	return sim_net_rss(run, addr->port_idx, addr);
}

static void
come_up(struct sim_run *run, struct sim_quic_packet *packet)
{
	struct sim_quic *q = run->quic;
	struct sim_quic_client *c = sim_quic_client(run, packet->peer);
	const struct sim_addr *addr = &c->peer->addrs[packet->addr];
	const unsigned int queue = queue_of(run, c, addr);

	q->given = sim_grow(q->given, &q->size_given, q->nb_given + 1,
			sizeof(struct sim_quic_packet *));
	q->given[q->nb_given] = packet;
	sim_net_bring(run, addr->port_idx, queue, SIM_QUIC_FIRST + q->nb_given++);
}

struct sim_quic_packet *
sim_quic_given(const struct sim_run *run, uint32_t i)
{
	return run->quic->given[i];
}

static void
client_due(struct sim_run *run, struct sim_quic_client *c)
{
	if (c->conn == NULL) {
		if (c->op != NONE && !run->quic->is_over && c->again_ns <= run->now_ns)
			begin(run, c);
		return;
	}
	if (plm_quic_expiry(c->conn) <= run->now_ns) {
		plm_quic_timer(c->conn, run->now_ns);
		settle(run, c);
	}
}

static void
next_find(const struct sim_run *run)
{
	struct sim_quic *q = run->quic;

	q->next_ns = UINT64_MAX;
	if (q->up != NULL)
		q->next_ns = RTE_MIN(q->next_ns, q->up->at_ns);
	if (q->down != NULL)
		q->next_ns = RTE_MIN(q->next_ns, q->down->at_ns);
	q->next_ns = RTE_MIN(q->next_ns, sim_wzp_next(run));
	for (unsigned int i = 0; i < q->nb_talks && !q->is_over; i++)
		q->next_ns = RTE_MIN(q->next_ns, q->talks[i].next_ns);
	for (unsigned int i = 0; i < q->nb_clients; i++) {
		struct sim_quic_client *c = &q->clients[i];

		if (c->conn != NULL)
			q->next_ns = RTE_MIN(q->next_ns, plm_quic_expiry(c->conn));
		else if (c->op != NONE && !q->is_over)
			q->next_ns = RTE_MIN(q->next_ns, c->again_ns);
	}
}

void
sim_quic_advance(struct sim_run *run)
{
	struct sim_quic *q = run->quic;

	if (q == NULL || q->next_ns > run->now_ns)
		return;
	while (q->down != NULL && q->down->at_ns <= run->now_ns) {
		struct sim_quic_packet *packet = q->down;

		q->down = packet->next;
		come_down(run, packet);
		free(packet);
	}
	for (unsigned int i = 0; i < q->nb_talks && !q->is_over; i++) {
		struct sim_quic_talk *t = &q->talks[i];

		if (t->next_ns > run->now_ns)
			continue;
		if (run->plan->ops[t->op].type == SIM_OP_STREAMS)
			tell(run, t);
		else if (run->plan->ops[t->op].type == SIM_OP_SAY)
			say(run, t);
		else
			talk(run, t);
	}
	for (unsigned int i = 0; i < q->nb_clients; i++)
		client_due(run, &q->clients[i]);
	while (q->up != NULL && q->up->at_ns <= run->now_ns) {
		struct sim_quic_packet *packet = q->up;

		q->up = packet->next;
		come_up(run, packet);
	}
	next_find(run);
}

uint64_t
sim_quic_next(const struct sim_run *run)
{
	return run->quic == NULL ? UINT64_MAX : run->quic->next_ns;
}

void
sim_quic_calm(struct sim_run *run)
{
	struct sim_quic *q = run->quic;

	if (q == NULL)
		return;
	q->is_over = true;
	q->next_ns = 0;
	for (unsigned int i = 0; i < q->nb_clients; i++)
		q->clients[i].is_cut_off = q->clients[i].is_deaf = false;
}

void
sim_quic_leave(struct sim_run *run)
{
	struct sim_quic *q = run->quic;

	if (q == NULL)
		return;
	q->next_ns = 0;
	for (unsigned int i = 0; i < q->nb_clients; i++) {
		struct sim_quic_client *c = &q->clients[i];

		/* A relay that drains says so itself. */
		if (!run->plan->in_order || c->phase == SIM_QUIC_HANDSHAKE ||
				c->phase == SIM_QUIC_JOINING)
			leave(run, c);
	}
}

bool
sim_quic_is_over(const struct sim_run *run)
{
	const struct sim_quic *q = run->quic;
	const struct plm_quic_table *table;

	if (q == NULL)
		return true;
	for (unsigned int i = 0; i < q->nb_clients; i++)
		if (q->clients[i].conn != NULL)
			return false;
	table = ctl_quic_table(run->ctl);
	for (uint32_t i = 0; i < table->nb_slots; i++)
		if (plm_quic_slot_state(&table->slots[i]) != PLM_QUIC_SLOT_FREE)
			return false;
	return true;
}

/* --- made and freed ------------------------------------------------------------------------- */

void
sim_quic_create(struct sim_run *run)
{
	const struct sim_plan *plan = run->plan;
	static const uint8_t secret[PLM_CID_SECRET] = "clients' own ids";
	struct plm_quic_conf conf = {
		.aead = world.aead,
		.idle_timeout_ns = plan->sizes.quic_idle_ns,
		.handshake_timeout_ns = plan->sizes.quic_handshake_ns,
		.keep_alive_ns = plan->sizes.quic_idle_ns / 4,
		.max_streams = 100,
		.max_stream_bytes = PLM_QUIC_WINDOW_MAX,
		.max_bytes = PLM_QUIC_WINDOW_MAX,
		.max_chunks = 16,
	};
	struct sim_quic *q;

	if (plan->sizes.quic_conns == 0)
		return;
	run->quic = q = calloc(1, sizeof(*q));
	if (q == NULL || plm_cid_key_init(&conf.cid_key, secret) < 0)
		abort();
	q->rng = sim_rng_keyed(plan->seed, 12, 0);
	conf.rand = (struct plm_rand){ rand_fill, q };
	q->engine = plm_quic_create(&conf);
	conf.max_streams = plan->sizes.wzp_streams;
	conf.max_stream_bytes = conf.max_bytes = plan->sizes.wzp_window;
	conf.leaves_streams = true;
	q->strict = plm_quic_create(&conf);
	q->memory = (struct plm_quic_memory){ extent_get, extent_put, q, EXTENT };
	q->out.get = out_get;
	q->out.put = out_put;
	q->sending = NONE;
	q->nb_slots = plan->sizes.quic_conns;
	q->sessions = calloc(q->nb_slots, sizeof(*q->sessions));
	q->homes = calloc(q->nb_slots, sizeof(*q->homes));
	if (q->engine == NULL || q->strict == NULL || q->sessions == NULL || q->homes == NULL)
		abort();
	for (unsigned int i = 0; i < plan->nb_peers; i++) {
		struct sim_quic_client *c;

		if (!plan->peers[i].is_quic)
			continue;
		if (q->nb_clients == SIM_QUICS)
			abort();
		c = &q->clients[q->nb_clients++];
		c->peer = &plan->peers[i];
		c->op = c->slot = NONE;
		c->arena = aligned_alloc(RTE_CACHE_LINE_SIZE, ARENA);
		if (c->arena == NULL)
			abort();
	}
	sim_wzp_create(run);
}

static void
packets_free(struct sim_quic_packet *packet)
{
	while (packet != NULL) {
		struct sim_quic_packet *next = packet->next;

		free(packet);
		packet = next;
	}
}

void
sim_quic_free(struct sim_run *run)
{
	struct sim_quic *q = run->quic;

	if (q == NULL)
		return;
	for (unsigned int i = 0; i < q->nb_clients; i++) {
		conn_free(&q->clients[i]);
		free(q->clients[i].arena);
	}
	for (uint32_t i = 0; i < q->nb_given; i++)
		free(q->given[i]);
	packets_free(q->up);
	packets_free(q->down);
	sim_wzp_free(run);
	plm_quic_free(q->engine);
	plm_quic_free(q->strict);
	free(q->given);
	free(q->sessions);
	free(q->homes);
	free(q->dgrams);
	free(q->pairs);
	free(q);
	run->quic = NULL;
}

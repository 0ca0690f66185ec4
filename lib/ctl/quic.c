/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QUIC on the slow path: first packets, handshakes, and the way to and from connections that have gone home. One is
 * made here, in a slot of the table that workers see, and handed to its home worker when its handshake is complete;
 * nothing here touches it again until the worker says that it has ended. What it says on its streams, and
 * whether its participant may join, is wzp.c's.
 *
 * A client's Initials are opened before there is a connection, since the room that its ClientHello names
 * decides where the connection will live, which stands in every id that it gets.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_errno.h>
#include <rte_hash.h>

#include "ctl_priv.h"
#include "plm_crypto.h"
#include "plm_quic_initial.h"
#include "quic_tls.h"

/* Clients that may wait for the rest of their ClientHello, and how long (docs/quic.md). */
#define HELLOS     256
#define HELLO_NS   (200 * PLM_NS_PER_MS)
#define PER_PREFIX 64
/* Packets with a complete ClientHello that wait for their turn: one a turn is read. */
#define WAITING      64
#define TOKEN_NS     (10 * PLM_NS_PER_S)
#define ROTATE_NS    (60 * PLM_NS_PER_S)
#define TOKENS       4096
#define RESETS_PER_S 100
#define RESET_BURST  20
#define TIMER_BUDGET 32
/* Ids that a Retry asks for are longer than those of connections, and lead to nobody. */
#define RETRY_ID 18
/* One network may have a quarter of the handshakes in progress, but for a few that it may always have. */
#define PREFIXES     4096
#define PREFIX_PART  4
#define PREFIX_LEAST 16

/* How long a room that nobody has entered yet keeps its home. */
#define BEGUN_NS (10 * PLM_NS_PER_S)

#define NONE UINT32_MAX

/* What a client's first id leads to: until its connection is gone, so that a late copy begins no other. */
struct first_id {
	uint8_t id[PLM_QUIC_ID_MAX];
	uint8_t len;
	uint8_t zero[3];
};

/* What the slow path knows of a slot beside what is in it. */
struct ctl_quic_conn {
	struct plm_handle session; /* gen 0: in no room */
	struct first_id first;
	bool has_first;  /* `first` is in the table */
	bool is_adopted; /* the worker has it, or will by the next message */
	bool is_gone;    /* and has given it back */
	bool is_named;   /* in a view that a worker may still read */
	bool is_established;
	bool is_answered; /* there was a reason to end the handshake */
	bool is_counted;  /* as a handshake in progress: not in a room yet */
	bool adopt_due;   /* messages that found the ring full */
	uint8_t nb_early; /* parts of streams that came before it went home */
	bool close_due;
	uint8_t class;   /* enum wzp_class */
	uint16_t prefix; /* bucket of its source, while it counts there */
	struct ctl_room_name room;
	struct plm_quic_path since; /* where it came from when it went home */
	uint32_t next;              /* of the free ones, or of those with a message due */
};

/* Parts of streams that were read and wait for room in the ring of the worker that they came from: of PLM_QUIC_WORKER_PARTS
 * that it may have under way. Linked by `next`. */
struct credits {
	struct rte_mbuf *head;
	struct rte_mbuf **tail;
};

/* A room that somebody is on his way to, and its home. */
struct begun_room {
	uint64_t hash;
	uint64_t until_ns;
	uint8_t home;
};

struct ctl_quic {
	/* const */
	struct plm_ctl *ctl;
	struct plm_quic_table *table;
	struct plm_initials *initials;
	struct plm_answers *answers;
	struct quic_tls *tls;
	uint8_t prefix_key[16];

	/* ctl */
	struct ctl_quic_conn *conns; /* [nb_slots] */
	struct rte_hash *by_first_id;
	uint32_t free_head;
	uint32_t due_head;            /* those with a message due */
	uint32_t nb_handshakes;       /* QUIC's, and of those in no room */
	uint32_t nb_taken;            /* slots that are not free */
	uint32_t nb_adopted;          /* of them, their worker's */
	uint32_t nb_outside;          /* of them, in no room yet, or in none at all */
	uint32_t by_prefix[PREFIXES]; /* of them, by hash of the source's /24 or /64 */
	struct begun_room begun[256]; /* by hash of the name */
	struct plm_wheel wheel;
	struct plm_quic_out out;
	uint8_t packet[PLM_QUIC_PACKET_MAX];
	struct credits credits[PLM_WORKERS_MAX];
	struct rte_mbuf *waiting[WAITING];
	unsigned int waiting_worker[WAITING];
	unsigned int waiting_head;
	unsigned int nb_waiting;
	bool was_whole; /* the last ClientHello had not waited for a part of it */
};

static uint32_t
index_of(const struct ctl_quic *q, const struct plm_quic_slot *slot)
{
	return (uint32_t)(slot - q->table->slots);
}

/* --- out ----------------------------------------------------------------------------------- */

static uint8_t *
out_get(struct plm_quic_out *out)
{
	return container_of(out, struct ctl_quic, out)->packet;
}

static void
out_put(struct plm_quic_out *out, struct plm_quic_conn *conn, size_t len,
		const struct plm_quic_path *path, uint8_t ecn)
{
	struct ctl_quic *q = container_of(out, struct ctl_quic, out);
	struct plm_ctl *ctl = q->ctl;
	const struct plm_quic_way *way;
	struct rte_mbuf *m;
	int ret;

	if (len == 0)
		return;
	way = plm_quic_slot_way(&q->table->slots[plm_quic_conn_slot(conn)], path);
	if (way == NULL) {
		plm_count(&ctl->counters, PLM_CNT_QUIC_NO_WAY);
		return;
	}
	m = ctl_frame_alloc(ctl);
	if (m == NULL) {
		plm_count(&ctl->counters, PLM_CNT_CTL_NO_MBUF);
		return;
	}
	ret = plm_net_build_to(ctl->net, &way->tmpl, way->mac, ecn, q->packet, len,
			rte_pktmbuf_mtod(m, uint8_t *), rte_pktmbuf_tailroom(m));
	if (ret < 0) {
		plm_count(&ctl->counters, PLM_CNT_CTL_NO_MBUF);
		rte_pktmbuf_free(m);
		return;
	}
	rte_pktmbuf_append(m, (uint16_t)ret);
	ctl_send_down(ctl, way->tmpl.port_idx, m);
}

/* --- slots --------------------------------------------------------------------------------- */

static struct plm_quic_slot *
slot_take(struct ctl_quic *q)
{
	struct plm_quic_slot *slot;
	struct ctl_quic_conn *c;
	uint32_t idx = q->free_head;
	uint32_t gen;

	if (idx == NONE || plm_fault(QUIC_SLOT))
		return NULL;
	slot = &q->table->slots[idx];
	c = &q->conns[idx];
	q->free_head = c->next;
	q->nb_taken++;
	*c = (struct ctl_quic_conn){ .next = NONE };
	gen = atomic_load_explicit(&slot->gen, memory_order_relaxed) + 1;
	if (gen > PLM_CID_GEN_MAX)
		gen = 1;
	atomic_store_explicit(&slot->gen, gen, memory_order_relaxed);
	atomic_store_explicit(&slot->sref, 0, memory_order_relaxed);
	slot->conn = NULL;
	slot->is_queued = false;
	slot->moves = 0;
	atomic_store_explicit(&slot->handshake_tat, 0, memory_order_relaxed);
	memset(slot->ways, 0, sizeof(slot->ways));
	slot->end = (struct plm_quic_end){ 0 };
	return slot;
}

static void
first_id_forget(struct ctl_quic *q, struct ctl_quic_conn *c)
{
	if (c->has_first)
		rte_hash_del_key(q->by_first_id, &c->first);
	c->has_first = false;
}

/* Nobody looks at it any more. */
static void
slot_free(struct ctl_quic *q, struct plm_quic_slot *slot)
{
	uint32_t idx = index_of(q, slot);
	struct ctl_quic_conn *c = &q->conns[idx];
	void *tls = slot->conn == NULL ? NULL : plm_quic_conn_tls_take(slot->conn);

	if (!c->is_adopted)
		ctl_wzp_gone(q->ctl, idx);
	plm_wheel_disarm(&q->wheel, idx);
	first_id_forget(q, c);
	plm_quic_conn_free(slot->conn);
	slot->conn = NULL;
	if (tls != NULL)
		gnutls_deinit(tls);
	plm_quic_slot_pass(slot, PLM_QUIC_SLOT_FREE);
	c->next = q->free_head;
	q->free_head = idx;
	q->nb_taken--;
}

static void
handshake_count(struct ctl_quic *q, struct ctl_quic_conn *c, uint64_t prefix)
{
	c->prefix = (uint16_t)(prefix % PREFIXES);
	c->is_counted = true;
	q->by_prefix[c->prefix]++;
	q->nb_handshakes++;
}

static void
handshake_uncount(struct ctl_quic *q, struct ctl_quic_conn *c)
{
	if (!c->is_counted)
		return;
	c->is_counted = false;
	q->by_prefix[c->prefix]--;
	q->nb_handshakes--;
	q->nb_outside -= c->is_adopted;
}

/* May a source begin another one? False: no, and that is counted. */
static bool
handshake_allowed(struct ctl_quic *q, uint64_t prefix)
{
	uint32_t max = q->ctl->conf.quic.max_handshakes;

	if (q->nb_handshakes >= max) {
		plm_count(&q->ctl->counters, PLM_CNT_QUIC_LIMIT);
		ctl_wzp_make_room(q->ctl);
		return false;
	}
	if (q->by_prefix[prefix % PREFIXES] >= RTE_MAX(max / PREFIX_PART, (uint32_t)PREFIX_LEAST)) {
		plm_count(&q->ctl->counters, PLM_CNT_QUIC_NETWORK);
		return false;
	}
	return true;
}

/* A handshake that came to nothing, or to an answer that ended it. */
static void
handshake_end(struct ctl_quic *q, struct plm_quic_slot *slot)
{
	struct ctl_quic_conn *c = &q->conns[index_of(q, slot)];

	handshake_uncount(q, c);
	if (!c->is_answered)
		plm_count(&q->ctl->counters, PLM_CNT_QUIC_FAILED);
	slot_free(q, slot);
}

/* Once nobody can look at it any more. */
static void
free_if_unused(struct ctl_quic *q, uint32_t idx)
{
	struct ctl_quic_conn *c = &q->conns[idx];

	if (c->is_gone && !c->is_named && !c->adopt_due && !c->close_due)
		slot_free(q, &q->table->slots[idx]);
}

/* --- messages to workers ---------------------------------------------------------------------- */

static void
due_add(struct ctl_quic *q, uint32_t idx)
{
	struct ctl_quic_conn *c = &q->conns[idx];

	if (c->adopt_due || c->close_due)
		return;
	c->next = q->due_head;
	q->due_head = idx;
}

static bool
tell(struct ctl_quic *q, uint32_t idx, enum plm_msg_type type)
{
	const struct plm_quic_slot *slot = &q->table->slots[idx];
	struct plm_msg msg = { .type = (uint16_t)type, .idx = idx };

	msg.gen = atomic_load_explicit(&slot->gen, memory_order_relaxed);
	return plm_mailbox_put(plm_relay_box_down(q->ctl->relay, slot->home), &msg, 1) == 1;
}

/* What found a ring full; a connection is handed over before it is closed. */
static void
due_flush(struct ctl_quic *q)
{
	uint32_t *at = &q->due_head;

	while (*at != NONE) {
		uint32_t idx = *at;
		struct ctl_quic_conn *c = &q->conns[idx];

		if (c->adopt_due && tell(q, idx, PLM_MSG_QUIC_ADOPT))
			c->adopt_due = false;
		if (c->close_due && !c->adopt_due &&
				(c->is_gone || tell(q, idx, PLM_MSG_QUIC_CLOSE)))
			c->close_due = false;
		if (c->adopt_due || c->close_due) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		free_if_unused(q, idx);
	}
}

/* --- going home ------------------------------------------------------------------------------- */

static void
tuple_of(const struct plm_quic_path *path, struct plm_tuple *tuple)
{
	*tuple = (struct plm_tuple){
		.port = path->port,
		.local_idx = path->local_idx,
		.is_v6 = path->is_v6,
	};
	memcpy(tuple->addr, path->addr, sizeof(tuple->addr));
}

/* Its worker's from here on, in no room yet: what it says decides. */
static void
go_home(struct ctl_quic *q, struct plm_quic_slot *slot)
{
	uint32_t idx = index_of(q, slot);
	struct ctl_quic_conn *c = &q->conns[idx];
	void *tls;

	c->since = *plm_quic_conn_path(slot->conn);
	plm_quic_slot_show(slot, q->ctl->now_ns);
	tls = plm_quic_conn_tls_take(slot->conn);
	if (tls != NULL)
		gnutls_deinit(tls);
	plm_wheel_disarm(&q->wheel, idx);
	c->is_adopted = true;
	q->nb_adopted++;
	q->nb_outside++;
	if (!tell(q, idx, PLM_MSG_QUIC_ADOPT) && !plm_mutant(QUIC_ADOPT_LOST)) {
		due_add(q, idx);
		c->adopt_due = true;
	}
	ctl_wzp_begin(q->ctl, idx, (enum wzp_class)c->class);
}

/* The handshake is complete. Who wants no room has all that he came for, or is told that it is not there. */
static void
welcome(struct ctl_quic *q, struct plm_quic_slot *slot)
{
	struct plm_counters *counters = &q->ctl->counters;
	struct ctl_quic_conn *c = &q->conns[index_of(q, slot)];

	/* The name in the handshake is the same; only where its beginning was lost it is news. */
	if (c->class == WZP_CLASS_UNKNOWN)
		c->class = (uint8_t)ctl_wzp_class(plm_quic_conn_name(slot->conn), &c->room);
	if (ctl_wzp_serves(q->ctl, (enum wzp_class)c->class)) {
		go_home(q, slot);
		return;
	}
	c->is_answered = true;
	plm_count(counters, c->class == WZP_CLASS_PING ? PLM_CNT_WZP_PINGS : PLM_CNT_QUIC_REFUSED);
	plm_quic_close(slot->conn, 0, c->class == WZP_CLASS_PING ? "" : CTL_WZP_REFUSAL);
}

/* After anything that a handshake in progress went through. */
static void
settle(struct ctl_quic *q, struct plm_quic_slot *slot)
{
	struct ctl_quic_conn *c = &q->conns[index_of(q, slot)];

	/* Its first flight and what comes after are less than a flush writes. */
	if (plm_quic_is_dirty(slot->conn))
		plm_quic_flush(slot->conn, &q->out, q->ctl->now_ns);
	if (c->is_established && !c->is_adopted &&
			plm_quic_conn_state(slot->conn) == PLM_QUIC_ESTABLISHED) {
		c->is_established = false;
		plm_count(&q->ctl->counters, PLM_CNT_QUIC_ESTABLISHED);
		welcome(q, slot);
		if (c->is_adopted)
			return;
		plm_quic_flush(slot->conn, &q->out, q->ctl->now_ns);
	}
	if (plm_quic_conn_state(slot->conn) == PLM_QUIC_DEAD)
		handshake_end(q, slot);
	else
		plm_wheel_arm(&q->wheel, index_of(q, slot), plm_quic_expiry(slot->conn));
}

/* --- joining ---------------------------------------------------------------------------------- */

int
ctl_quic_enter(struct plm_ctl *ctl, uint32_t idx, const char *participant, uint32_t *room_idx)
{
	struct ctl_quic *q = ctl->quic;
	struct plm_quic_slot *slot = &q->table->slots[idx];
	struct ctl_quic_conn *c = &q->conns[idx];
	struct plm_admit_quic req = {
		.room = c->room.key,
		.whole_name = c->room.whole,
		.participant = participant,
		.role = PLM_ROLE_BOTH,
		.home = slot->home,
		.now_ns = ctl->now_ns,
		.wall_s = ctl->wall_s,
	};
	struct plm_handle session;
	struct plm_admit_info info;
	int ret;

	tuple_of(&c->since, &req.tuple);
	ret = plm_admit_quic(ctl->admit, &req, &session);
	if (ret < 0)
		return ret;
	plm_admit_info(ctl->admit, session, &info);
	*room_idx = info.room_idx;
	c->session = session;
	c->is_named = true;
	/* Both before the view that names it is published, which releases. */
	atomic_store_explicit(&slot->sref, plm_sref(session.idx, session.gen, 0),
			memory_order_release);
	q->table->slot_of[session.idx] = idx;
	handshake_uncount(q, c);
	return 0;
}

uint32_t
ctl_quic_gen(const struct plm_ctl *ctl, uint32_t idx)
{
	return atomic_load_explicit(&ctl->quic->table->slots[idx].gen, memory_order_relaxed);
}

unsigned int
ctl_quic_home(const struct plm_ctl *ctl, uint32_t idx)
{
	return ctl->quic->table->slots[idx].home;
}

void
ctl_quic_tuple(const struct plm_ctl *ctl, uint32_t idx, struct plm_tuple *tuple)
{
	tuple_of(&ctl->quic->conns[idx].since, tuple);
}

uint32_t
ctl_quic_slot(const struct plm_ctl *ctl, struct plm_handle session)
{
	const struct ctl_quic *q = ctl->quic;
	uint32_t idx = q == NULL ? NONE : q->table->slot_of[session.idx];

	return idx != NONE && plm_handle_eq(q->conns[idx].session, session) ? idx : NONE;
}

const struct ctl_room_name *
ctl_quic_room(const struct plm_ctl *ctl, uint32_t idx)
{
	return &ctl->quic->conns[idx].room;
}

/* --- what a connection tells during its handshake ---------------------------------------------- */

static void
got_datagram(void *ctx, struct plm_quic_conn *conn, const uint8_t *buf, size_t len)
{
	struct ctl_quic *q = ctx;

	plm_count(&q->ctl->counters, PLM_CNT_DGRAMS);
	plm_count(&q->ctl->counters, PLM_CNT_DGRAM_EARLY);
}

/* With the handshake's last packet: it waits like a part that comes from the worker. Nobody has reason to send
 * more than its first messages there. */
static int
early_part(struct ctl_quic *q, uint32_t idx, struct plm_quic_part part, const uint8_t *buf,
		size_t len)
{
	struct rte_mbuf *m;

	if (len > PLM_QUIC_PACKET_MAX || q->conns[idx].nb_early == PLM_QUIC_EARLY_PARTS) {
		plm_count(&q->ctl->counters, PLM_CNT_QUIC_STREAM_FLOOD);
		return -ENOBUFS;
	}
	m = plm_fault(POOL_FRAME) ? NULL : rte_pktmbuf_alloc(q->table->early);
	if (m == NULL) {
		plm_count(&q->ctl->counters, PLM_CNT_CTL_NO_MBUF);
		return -ENOBUFS;
	}
	if (len > 0)
		memcpy(rte_pktmbuf_append(m, (uint16_t)len), buf, len);
	part.gen = ctl_quic_gen(q->ctl, idx);
	part.is_early = true;
	*plm_quic_part(m) = part;
	m->hash.usr = idx;
	q->conns[idx].nb_early++;
	ctl_wzp_part(q->ctl, idx, m);
	return 0;
}

static int
got_stream(void *ctx, struct plm_quic_conn *conn, int64_t stream_id, const uint8_t *buf, size_t len,
		bool fin)
{
	const struct plm_quic_part part = { .stream_id = stream_id, .fin = fin };

	return early_part(ctx, plm_quic_conn_slot(conn), part, buf, len);
}

static void
stream_reset(void *ctx, struct plm_quic_conn *conn, int64_t stream_id)
{
	const struct plm_quic_part part = { .stream_id = stream_id, .is_reset = true };

	if (early_part(ctx, plm_quic_conn_slot(conn), part, NULL, 0) < 0)
		plm_quic_close(conn, 0, CTL_WZP_REFUSAL);
}

static void
established(void *ctx, struct plm_quic_conn *conn)
{
	struct ctl_quic *q = ctx;

	q->conns[plm_quic_conn_slot(conn)].is_established = true;
}

static void
moved(void *ctx, struct plm_quic_conn *conn, const struct plm_quic_path *path)
{
}

static void
chunk_done(void *ctx, struct plm_quic_chunk *chunk)
{
}

static const struct plm_quic_ops ops = {
	.datagram = got_datagram,
	.stream = got_stream,
	.stream_reset = stream_reset,
	.established = established,
	.moved = moved,
	.chunk_done = chunk_done,
};

/* --- a client's first packets -------------------------------------------------------------------- */

/* Straight back to where `request` came from. */
static void
answer(struct ctl_quic *q, struct rte_mbuf *request, const uint8_t *buf, int len)
{
	if (len > 0)
		ctl_reply(q->ctl, request, buf, (size_t)len);
}

static void
source_of(const struct ctl_quic *q, struct rte_mbuf *m, struct plm_initial_source *source)
{
	const struct plm_pkt *pkt = plm_pkt(m);
	struct plm_quic_path path;

	plm_quic_path_of(pkt, &path);
	source->mac = plm_quic_source_mac(rte_pktmbuf_mtod(m, const uint8_t *));
	memcpy(source->key, &path, sizeof(source->key));
	source->prefix = plm_siphash(q->prefix_key, pkt->src_addr, pkt->is_v6 ? 8 : 3);
}

static void
refuse(struct ctl_quic *q, struct rte_mbuf *request, const struct plm_initial_hd *hd, uint64_t code,
		const char *reason)
{
	uint8_t buf[PLM_ANSWER_MAX];

	answer(q, request, buf, plm_answers_close(hd, code, reason, buf, sizeof(buf)));
}

/* Who come to a room at the same time, before there is one, are to live together like those who come later. */
static unsigned int
home_of(struct ctl_quic *q, const char *room, unsigned int worker)
{
	const uint64_t hash = plm_siphash(q->prefix_key, room, strlen(room));
	struct begun_room *begun = &q->begun[hash % RTE_DIM(q->begun)];
	uint32_t room_idx;

	if (room[0] == '\0' || plm_room_find(q->ctl->rooms, PLM_ROOM_WZP, room, &room_idx) == 0)
		return plm_admit_quic_home(q->ctl->admit, room, worker);
	if (begun->hash != hash || begun->until_ns < q->ctl->now_ns) {
		begun->hash = hash;
		begun->home = (uint8_t)plm_admit_quic_home(q->ctl->admit, room, worker);
	}
	begun->until_ns = q->ctl->now_ns + BEGUN_NS;
	return begun->home;
}

/* Make the connection and feed it what has come. False: there is no place or no memory for it, and that is counted. */
static bool
begin(struct ctl_quic *q, const struct plm_quic_way *way, unsigned int worker,
		const struct plm_initial_flight *flight, const uint8_t *odcid, size_t odcid_len)
{
	struct plm_ctl *ctl = q->ctl;
	const struct plm_initial_hd *hd = &flight->hd;
	struct plm_quic_slot *slot = slot_take(q);
	struct plm_quic_new new = {
		.memory = &q->table->memory,
		/* Who has shown nothing yet may take one, for a ClientHello whose parts come in another order. */
		.max_extents = 1,
		.ops = &ops,
		.ops_ctx = q,
		.dcid = hd->dcid,
		.dcid_len = hd->dcid_len,
		.scid = hd->scid,
		.scid_len = hd->scid_len,
		.original_dcid = odcid_len > 0 ? odcid : NULL,
		.original_dcid_len = odcid_len,
		.token = hd->token,
		.token_len = hd->token_len,
		.version = PLM_QUIC_V1,
	};
	struct ctl_quic_conn *c;
	gnutls_session_t tls;
	uint8_t buf[PLM_INITIAL_MAX];

	if (slot == NULL) {
		plm_count(&ctl->counters, PLM_CNT_QUIC_FULL);
		return false;
	}
	c = &q->conns[index_of(q, slot)];
	if (flight->has_hello)
		c->class = (uint8_t)ctl_wzp_class(flight->name, &c->room);
	slot->home = (uint8_t)home_of(q, c->room.key, worker);
	slot->ways[0] = *way;
	new.arena = slot->arena;
	new.arena_size = q->table->arena_size;
	new.slot = index_of(q, slot);
	new.gen = atomic_load_explicit(&slot->gen, memory_order_relaxed);
	new.worker = slot->home;
	new.path = slot->ways[0].path;
	plm_quic_slot_pass(slot, PLM_QUIC_SLOT_HANDSHAKE);
	handshake_count(q, c, flight->source.prefix);
	memcpy(c->first.id, hd->dcid, hd->dcid_len);
	c->first.len = hd->dcid_len;
	c->has_first = rte_hash_add_key_data(q->by_first_id, &c->first,
				       (void *)(uintptr_t)index_of(q, slot)) == 0;
	if (!c->has_first || plm_fault(QUIC_TLS) || quic_tls_server_session(q->tls, &tls) < 0)
		goto no_memory;
	new.tls = tls;
	if (plm_quic_conn_server(q->table->quic, &new, ctl->now_ns, &slot->conn) < 0) {
		slot->conn = NULL;
		gnutls_deinit(tls);
		goto no_memory;
	}
	plm_count(&ctl->counters, PLM_CNT_QUIC_HANDSHAKES);
	if (odcid_len > 0)
		plm_answers_token_used(q->answers, hd, ctl->now_ns);
	for (unsigned int i = 0; i < flight->nb_dgrams; i++) {
		const struct plm_initial_dgram *d = &flight->dgrams[i];

		memcpy(buf, d->buf, d->len); /* opened in place */
		plm_quic_recv(slot->conn, &new.path, d->ecn, buf, d->len, ctl->now_ns);
	}
	settle(q, slot);
	return true;

no_memory:
	plm_count(&ctl->counters, PLM_CNT_QUIC_MEMORY);
	handshake_uncount(q, c);
	slot_free(q, slot);
	return false;
}

static bool
retries(const struct ctl_quic *q)
{
	const struct plm_ctl_quic_conf *conf = &q->ctl->conf.quic;

	return conf->retry_always || q->nb_handshakes >= conf->retry_above;
}

/*
 * Must the client show first that it receives at its address? Under load everybody must, which costs nothing
 * but this answer; whoever has is told by its token. False: it was answered, or its token is not good.
 */
static bool
is_validated(struct ctl_quic *q, struct rte_mbuf *request, const struct plm_initial_source *source,
		const struct plm_initial_hd *hd)
{
	struct plm_counters *counters = &q->ctl->counters;
	uint8_t odcid[PLM_QUIC_ID_MAX];
	uint8_t buf[PLM_ANSWER_MAX];
	uint8_t id[RETRY_ID];
	size_t odcid_len;
	int ret;

	ret = plm_answers_token(q->answers, source, hd, q->ctl->now_ns, odcid, &odcid_len);
	if (ret == 0)
		return true;
	if (ret != -ENOENT) {
		plm_count(counters, PLM_CNT_QUIC_TOKEN);
		refuse(q, request, hd, PLM_QUIC_INVALID_TOKEN, "token");
		return false;
	}
	if (!retries(q))
		return true;
	plm_rand_fill(&q->ctl->conf.rand, id, sizeof(id));
	plm_count(counters, PLM_CNT_QUIC_RETRIES);
	answer(q, request, buf,
			plm_answers_retry(q->answers, source, hd, id, sizeof(id), q->ctl->now_ns,
					buf, sizeof(buf)));
	return false;
}

/* A ClientHello is there. */
static void
hello(struct ctl_quic *q, struct rte_mbuf *request, unsigned int worker,
		const struct plm_initial_flight *flight)
{
	struct plm_counters *counters = &q->ctl->counters;
	const struct plm_initial_hd *hd = &flight->hd;
	uint8_t odcid[PLM_QUIC_ID_MAX];
	size_t odcid_len = 0;
	struct plm_quic_way way;
	struct ctl_room_name room;
	enum wzp_class class;

	if (!flight->has_tls13) {
		plm_count(counters, PLM_CNT_QUIC_REFUSED);
		refuse(q, request, hd, PLM_QUIC_CRYPTO_ERROR + 70, "TLS 1.3");
		return;
	}
	if (!flight->has_wzp) {
		plm_count(counters, PLM_CNT_QUIC_REFUSED);
		refuse(q, request, hd, PLM_QUIC_CRYPTO_ERROR + 120, "ALPN");
		return;
	}
	class = ctl_wzp_class(flight->name, &room);
	if (class == WZP_CLASS_NONE ||
			(class == WZP_CLASS_ROOM && !ctl_wzp_serves(q->ctl, class))) {
		plm_count(counters, PLM_CNT_QUIC_REFUSED);
		refuse(q, request, hd, PLM_QUIC_CONNECTION_REFUSED, "room");
		return;
	}
	if (plm_answers_token(q->answers, &flight->source, hd, q->ctl->now_ns, odcid, &odcid_len) <
			0)
		odcid_len = 0;
	if (!handshake_allowed(q, flight->source.prefix))
		return; /* it will pass: the client tries again */
	plm_quic_way_of(q->ctl->net, plm_pkt(request), rte_pktmbuf_mtod(request, const uint8_t *),
			&way);
	if (!begin(q, &way, worker, flight, odcid, odcid_len))
		refuse(q, request, hd, PLM_QUIC_CONNECTION_REFUSED, "full");
}

/* The rest of a ClientHello did not come in time. With its beginning a connection can be made, which asks
 * for the rest; where it lives is decided without the room's name. */
static void
late_hello(struct ctl_quic *q, const struct plm_initial_flight *flight)
{
	struct plm_ctl *ctl = q->ctl;
	struct plm_quic_way way = { .mac = flight->source.mac };
	uint8_t odcid[PLM_QUIC_ID_MAX];
	struct first_id first = { .len = flight->hd.dcid_len };
	size_t odcid_len = 0;
	struct plm_ip remote = { 0 };
	int ret;

	if (!flight->has_start) {
		plm_count(&ctl->counters, PLM_CNT_QUIC_EVICTED);
		return;
	}
	if (!ctl_wzp_serves(ctl, WZP_CLASS_ROOM)) {
		plm_count(&ctl->counters, PLM_CNT_QUIC_REFUSED);
		return;
	}
	if (!handshake_allowed(q, flight->source.prefix))
		return;
	/* Its client was heard from another port since, or its token has become too old. */
	memcpy(first.id, flight->hd.dcid, flight->hd.dcid_len);
	if (rte_hash_lookup(q->by_first_id, &first) >= 0) {
		plm_count(&ctl->counters, PLM_CNT_QUIC_EVICTED);
		return;
	}
	ret = plm_answers_token(q->answers, &flight->source, &flight->hd, ctl->now_ns, odcid,
			&odcid_len);
	if (ret < 0 && ret != -ENOENT) {
		plm_count(&ctl->counters, PLM_CNT_QUIC_TOKEN);
		return;
	}
	memcpy(&way.path, flight->source.key, sizeof(way.path));
	memcpy(remote.addr, way.path.addr, sizeof(remote.addr));
	remote.is_v6 = way.path.is_v6;
	/* Back the way that the first of it came. */
	plm_net_template(ctl->net, way.path.local_idx, &remote, way.path.port, &way.tmpl);
	begin(q, &way, PLM_WORKERS_MAX, flight, odcid, odcid_len);
}

/* A packet for a handshake in progress. */
static void
feed(struct ctl_quic *q, struct plm_quic_slot *slot, struct rte_mbuf *m)
{
	struct plm_pkt *pkt = plm_pkt(m);
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	struct plm_quic_path path;

	plm_quic_path_of(pkt, &path);
	plm_quic_recv(slot->conn, &path, pkt->tos & 3, frame + pkt->payload_off, pkt->payload_len,
			q->ctl->now_ns);
	settle(q, slot);
}

/* The worker had it adopted meanwhile, or will by the message before this. Consumes `m`. */
static void
give_back(struct ctl_quic *q, const struct plm_quic_slot *slot, struct rte_mbuf *m)
{
	struct plm_msg msg = { .type = PLM_MSG_QUIC, .aux = 1, .mbuf = m };

	if (!q->conns[index_of(q, slot)].adopt_due &&
			plm_mailbox_put(plm_relay_box_down(q->ctl->relay, slot->home), &msg, 1) ==
					1)
		return;
	plm_count(&q->ctl->counters, PLM_CNT_CTL_TX_RING);
	rte_pktmbuf_free(m);
}

/* One that has an id of ours. Consumes `m`. False: it has not. */
static bool
known(struct ctl_quic *q, struct rte_mbuf *m, const uint8_t *p)
{
	struct plm_quic_slot *slot;
	struct plm_cid cid;

	if (plm_cid_read(&q->table->cid_key, p + (p[0] & 0x80 ? 6 : 1), &cid) < 0)
		return false;
	slot = plm_quic_slot_find(q->table, &cid);
	if (slot == NULL)
		return false;
	if (q->conns[cid.slot].is_adopted && !q->conns[cid.slot].is_gone && !plm_mutant(QUIC_TWO)) {
		give_back(q, slot, m);
		return true;
	}
	if (slot->conn == NULL) /* ended: its peer may be told so */
		return false;
	if (!q->conns[cid.slot].is_adopted || plm_mutant(QUIC_TWO))
		feed(q, slot, m);
	else
		plm_count(&q->ctl->counters, PLM_CNT_QUIC_STRAY);
	rte_pktmbuf_free(m);
	return true;
}

static struct plm_quic_slot *
by_first_id(const struct ctl_quic *q, const struct plm_initial_hd *hd)
{
	struct first_id key = { .len = hd->dcid_len };
	void *idx;

	memcpy(key.id, hd->dcid, hd->dcid_len);
	if (rte_hash_lookup_data(q->by_first_id, &key, &idx) < 0)
		return NULL;
	return &q->table->slots[(uintptr_t)idx];
}

/* Why a first packet leads no further. */
static enum plm_counter
why(enum plm_initial_result result)
{
	switch (result) {
	case PLM_INITIAL_WAIT_EVICTED:
		return PLM_CNT_QUIC_EVICTED;
	case PLM_INITIAL_NOT_INITIAL: /* of a handshake that is not there */
	case PLM_INITIAL_DUPLICATE:
	case PLM_INITIAL_CLOSED:
		return PLM_CNT_QUIC_STRAY;
	case PLM_INITIAL_FRAMES:
	case PLM_INITIAL_NO_CRYPTO:
	case PLM_INITIAL_MANY:
	case PLM_INITIAL_HELLO:
	case PLM_INITIAL_HELLO_BIG:
		return PLM_CNT_QUIC_HELLO;
	case PLM_INITIAL_NAME: /* no room has such a name */
		return PLM_CNT_QUIC_REFUSED;
	case PLM_INITIAL_INTERNAL:
		return PLM_CNT_QUIC_MEMORY;
	default:
		return PLM_CNT_QUIC_MALFORMED;
	}
}

/* An Initial that may complete a ClientHello. Reads one at most. */
static void
initial(struct ctl_quic *q, struct rte_mbuf *m, unsigned int worker)
{
	const struct plm_pkt *pkt = plm_pkt(m);
	struct plm_initial_dgram dgram = {
		.buf = rte_pktmbuf_mtod_offset(m, const uint8_t *, pkt->payload_off),
		.len = pkt->payload_len,
		.ecn = pkt->tos & 3,
	};
	struct plm_initial_source source;
	struct plm_initial_flight flight;
	enum plm_initial_result ret;
	struct plm_quic_slot *slot;
	struct plm_initial_hd hd;

	ret = plm_initial_parse(dgram.buf, dgram.len, &hd);
	if (ret == PLM_INITIAL_READY) {
		slot = by_first_id(q, &hd);
		if (slot != NULL && q->conns[index_of(q, slot)].is_adopted) {
			plm_count(&q->ctl->counters, PLM_CNT_QUIC_STRAY);
			return;
		}
		if (slot != NULL) {
			feed(q, slot, m);
			return;
		}
	}
	source_of(q, m, &source);
	if (ret == PLM_INITIAL_READY && !is_validated(q, m, &source, &hd))
		return;
	ret = plm_initials_take(q->initials, &source, &dgram, q->ctl->now_ns, &flight);
	if (ret == PLM_INITIAL_READY)
		hello(q, m, worker, &flight);
	else if (ret != PLM_INITIAL_WAIT)
		plm_count(&q->ctl->counters, why(ret));
}

/* Of nobody that we know. Consumes `m`. */
static void
unknown(struct ctl_quic *q, struct rte_mbuf *m, unsigned int worker)
{
	const struct plm_pkt *pkt = plm_pkt(m);
	const uint8_t *p = rte_pktmbuf_mtod_offset(m, const uint8_t *, pkt->payload_off);
	struct plm_counters *counters = &q->ctl->counters;
	uint8_t buf[PLM_ANSWER_MAX];
	int len;

	if (!(p[0] & 0x80)) {
		len = plm_answers_reset(q->answers, p, pkt->payload_len, p + 1, PLM_CID_LEN,
				q->ctl->now_ns, buf, sizeof(buf));
		plm_count(counters, len > 0 ? PLM_CNT_QUIC_RESETS : PLM_CNT_QUIC_STRAY);
		answer(q, m, buf, len);
	} else if (p[1] != 0 || p[2] != 0 || p[3] != 0 || p[4] != 1) {
		len = plm_answers_version(q->answers, p, pkt->payload_len, buf, sizeof(buf));
		plm_count(counters, len > 0 ? PLM_CNT_QUIC_VERSIONS : PLM_CNT_QUIC_MALFORMED);
		answer(q, m, buf, len);
	} else {
		plm_count(counters, PLM_CNT_QUIC_INITIALS);
		if (q->nb_waiting < WAITING) {
			unsigned int at = (q->waiting_head + q->nb_waiting++) % WAITING;

			q->waiting[at] = m;
			q->waiting_worker[at] = worker;
			return;
		}
		plm_count(counters, PLM_CNT_QUIC_BACKLOG);
	}
	rte_pktmbuf_free(m);
}

void
ctl_quic_packet(struct plm_ctl *ctl, unsigned int worker, struct rte_mbuf *m)
{
	struct ctl_quic *q = ctl->quic;
	const struct plm_pkt *pkt = plm_pkt(m);
	const uint8_t *p = rte_pktmbuf_mtod_offset(m, const uint8_t *, pkt->payload_off);

	if (m->nb_segs > 1) {
		plm_count(&ctl->counters, PLM_CNT_QUIC_MALFORMED);
		rte_pktmbuf_free(m);
	} else if (!known(q, m, p)) {
		unknown(q, m, worker);
	}
}

/* --- streams --------------------------------------------------------------------------------------- */

/* Back to the worker, which lets the peer send as much more. What is urgent goes the same way, and has the ring's
 * other half. */
static void
credits_flush(struct ctl_quic *q, unsigned int worker)
{
	struct plm_mailbox *box = plm_relay_box_down(q->ctl->relay, worker);
	struct credits *c = &q->credits[worker];

	while (c->head != NULL && !plm_mailbox_is_half_full(box)) {
		struct rte_mbuf *m = c->head;
		struct rte_mbuf *next = m->next;
		struct plm_msg msg = { .type = PLM_MSG_QUIC_STREAM, .idx = m->hash.usr, .mbuf = m };

		/* It is another lcore's once it is in the ring. */
		m->next = NULL;
		if (plm_mailbox_put(box, &msg, 1) == 0) {
			m->next = next;
			return;
		}
		c->head = next;
	}
	if (c->head == NULL)
		c->tail = &c->head;
}

void
ctl_quic_stream(struct plm_ctl *ctl, unsigned int worker, uint32_t idx, struct rte_mbuf *m)
{
	const struct plm_quic_part *part = plm_quic_part(m);
	const struct plm_quic_slot *slot = &ctl->quic->table->slots[idx];

	/* Its connection is not forgotten before its end is told, which comes behind this. */
	assert(atomic_load_explicit(&slot->gen, memory_order_relaxed) == part->gen);
	assert(slot->home == worker);
	plm_count_add(&ctl->counters, PLM_CNT_QUIC_STREAM_BYTES, m->data_len);
	ctl_wzp_part(ctl, idx, m);
}

void
ctl_quic_consumed(struct plm_ctl *ctl, uint32_t idx, struct rte_mbuf *m)
{
	struct ctl_quic *q = ctl->quic;
	/* To whom it came from: when there is room, the slot may be another connection's, which lives elsewhere. */
	const unsigned int worker = q->table->slots[idx].home;

	if (plm_quic_part(m)->is_early && !q->conns[idx].is_adopted) {
		rte_pktmbuf_free(m); /* nobody takes it back: the connection came to nothing */
		return;
	}
	m->next = NULL;
	*q->credits[worker].tail = m;
	q->credits[worker].tail = &m->next;
	credits_flush(q, worker);
}

/* Room for a message of `len` bytes, or 0 for a blob's; NULL: there is none now, and that is counted. */
static struct rte_mbuf *
message_alloc(struct ctl_quic *q, uint32_t idx, const void *buf, size_t len)
{
	struct rte_mempool *pool = len > 0 ? q->table->messages : q->table->notes;
	struct rte_mbuf *m = plm_fault(POOL_FRAME) ? NULL : rte_pktmbuf_alloc(pool);
	struct plm_quic_message *msg;

	if (m == NULL) {
		plm_count(&q->ctl->counters, PLM_CNT_CTL_NO_MBUF);
		return NULL;
	}
	msg = (struct plm_quic_message *)rte_pktmbuf_append(m, (uint16_t)(sizeof(*msg) + len));
	*msg = (struct plm_quic_message){
		.gen = atomic_load_explicit(&q->table->slots[idx].gen, memory_order_relaxed),
	};
	if (len > 0)
		memcpy(msg + 1, buf, len);
	return m;
}

/* Consumes it. */
static int
message_put(struct ctl_quic *q, uint32_t idx, struct rte_mbuf *m)
{
	struct plm_msg msg = { .type = PLM_MSG_QUIC_SEND, .idx = idx, .mbuf = m };

	if (!q->conns[idx].adopt_due &&
			plm_mailbox_put(plm_relay_box_down(q->ctl->relay,
							q->table->slots[idx].home),
					&msg, 1) == 1) {
		plm_count(&q->ctl->counters, PLM_CNT_QUIC_MESSAGES);
		return 0;
	}
	plm_count(&q->ctl->counters, PLM_CNT_CTL_TX_RING);
	plm_quic_message_free(m);
	return -ENOBUFS;
}

bool
ctl_quic_may_say(const struct plm_ctl *ctl, uint32_t idx)
{
	const struct ctl_quic *q = ctl->quic;

	return !q->conns[idx].adopt_due &&
			!plm_mailbox_is_half_full(
					plm_relay_box_down(ctl->relay, q->table->slots[idx].home));
}

int
ctl_quic_say(struct plm_ctl *ctl, uint32_t idx, enum wzp_message kind, const void *buf, size_t len)
{
	struct rte_mbuf *m;
	struct plm_quic_message *msg;

	assert(len <= PLM_QUIC_MESSAGE_BYTES);
	m = message_alloc(ctl->quic, idx, buf, len);
	if (m == NULL)
		return -ENOBUFS;
	msg = rte_pktmbuf_mtod(m, struct plm_quic_message *);
	msg->kind = (uint8_t)kind;
	msg->uni = kind == WZP_MESSAGE_VERSION;
	return message_put(ctl->quic, idx, m);
}

int
ctl_quic_say_blob(struct plm_ctl *ctl, uint32_t idx, enum wzp_message kind,
		struct plm_quic_blob *blob)
{
	struct rte_mbuf *m = message_alloc(ctl->quic, idx, NULL, 0);
	struct plm_quic_message *msg;

	if (m == NULL)
		return -ENOBUFS;
	msg = rte_pktmbuf_mtod(m, struct plm_quic_message *);
	msg->kind = (uint8_t)kind;
	msg->blob = blob;
	atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
	return message_put(ctl->quic, idx, m);
}

int
plm_ctl_quic_send(struct plm_ctl *ctl, struct plm_handle session, bool uni, const void *buf,
		size_t len)
{
	struct ctl_quic *q = ctl->quic;
	uint32_t idx = q == NULL ? NONE : q->table->slot_of[session.idx];
	struct rte_mbuf *first = NULL;
	struct rte_mbuf *last = NULL;
	const uint8_t *from = buf;

	if (idx == NONE || !plm_handle_eq(q->conns[idx].session, session))
		return -ENOENT;
	if (len == 0 || len > PLM_CTL_MESSAGE)
		return -EMSGSIZE;
	while (len > 0) {
		size_t n = RTE_MIN(len, (size_t)PLM_QUIC_MESSAGE_BYTES);
		struct rte_mbuf *m = message_alloc(q, idx, from, n);

		if (m == NULL) {
			rte_pktmbuf_free(first);
			return -ENOBUFS;
		}
		from += n;
		len -= n;
		if (first == NULL) {
			first = m;
			rte_pktmbuf_mtod(m, struct plm_quic_message *)->uni = uni;
		} else {
			last->next = m;
			first->nb_segs++;
			first->pkt_len += m->pkt_len;
		}
		last = m;
	}
	return message_put(q, idx, first);
}

/* --- ends ---------------------------------------------------------------------------------------- */

static enum plm_end_reason
reason_of(const struct plm_quic_end *end)
{
	if (end->is_timeout)
		return PLM_END_IDLE;
	return end->is_remote ? PLM_END_CLOSED : PLM_END_PROTOCOL;
}

void
ctl_quic_gone(struct plm_ctl *ctl, struct plm_handle handle)
{
	struct ctl_quic *q = ctl->quic;
	struct plm_quic_slot *slot = &q->table->slots[handle.idx];
	struct ctl_quic_conn *c = &q->conns[handle.idx];

	plm_count(&ctl->counters, PLM_CNT_QUIC_ENDED);
	c->is_gone = true;
	if (c->is_counted && !c->is_answered)
		plm_count(&ctl->counters, PLM_CNT_WZP_WENT);
	handshake_uncount(q, c);
	q->nb_adopted--;
	ctl_wzp_gone(ctl, handle.idx);
	if (c->session.gen != 0)
		plm_admit_end_code(ctl->admit, c->session, reason_of(&slot->end),
				(int)RTE_MIN(slot->end.code, (uint64_t)INT_MAX), ctl->now_ns,
				ctl->wall_s);
	free_if_unused(q, handle.idx);
}

/* Have the worker close it, unless it has ended already. */
static void
close_home(struct ctl_quic *q, uint32_t idx, const char *reason)
{
	struct ctl_quic_conn *c = &q->conns[idx];

	if (c->is_gone || c->close_due)
		return;
	q->table->slots[idx].close_reason = reason;
	if (c->adopt_due || !tell(q, idx, PLM_MSG_QUIC_CLOSE)) {
		due_add(q, idx);
		c->close_due = true;
	}
}

void
ctl_quic_ending(struct plm_ctl *ctl, struct plm_handle session, enum plm_end_reason reason)
{
	struct ctl_quic *q = ctl->quic;
	uint32_t idx = q == NULL ? NONE : q->table->slot_of[session.idx];
	struct ctl_quic_conn *c;

	if (idx == NONE || !plm_handle_eq(q->conns[idx].session, session))
		return;
	c = &q->conns[idx];
	c->session = PLM_HANDLE_NONE;
	ctl_wzp_left(ctl, idx);
	close_home(q, idx, plm_end_reason_name(reason));
}

void
ctl_quic_refuse(struct plm_ctl *ctl, uint32_t idx, const char *reason)
{
	ctl->quic->conns[idx].is_answered = true;
	close_home(ctl->quic, idx, reason);
}

int
ctl_quic_end(struct plm_ctl *ctl, uint32_t idx, enum plm_end_reason reason)
{
	struct plm_handle session = ctl->quic->conns[idx].session;

	if (session.gen == 0)
		return -ENOENT;
	return plm_admit_end(ctl->admit, session, reason, ctl->now_ns, ctl->wall_s);
}

void
ctl_quic_released(struct plm_ctl *ctl, uint32_t session_idx)
{
	struct ctl_quic *q = ctl->quic;
	uint32_t idx = q == NULL ? NONE : q->table->slot_of[session_idx];

	if (idx == NONE)
		return;
	q->table->slot_of[session_idx] = NONE;
	q->conns[idx].is_named = false;
	free_if_unused(q, idx);
}

/* --- the turn ------------------------------------------------------------------------------------- */

static void
timers(struct ctl_quic *q)
{
	for (unsigned int i = 0; i < TIMER_BUDGET; i++) {
		uint32_t idx = plm_wheel_next(&q->wheel, q->ctl->now_ns);
		struct plm_quic_slot *slot;

		if (idx == PLM_WHEEL_NONE)
			return;
		slot = &q->table->slots[idx];
		if (plm_quic_expiry(slot->conn) <= q->ctl->now_ns)
			plm_quic_timer(slot->conn, q->ctl->now_ns);
		settle(q, slot);
	}
}

unsigned int
ctl_quic_turn(struct plm_ctl *ctl)
{
	struct ctl_quic *q = ctl->quic;
	struct plm_initial_flight flight;
	unsigned int n = 0;

	/* One ClientHello a turn; those that waited long enough for their rest take turns with those that came. */
	if ((q->nb_waiting == 0 || q->was_whole) &&
			plm_initials_expired(q->initials, ctl->now_ns, &flight)) {
		q->was_whole = false;
		late_hello(q, &flight);
		n++;
	} else if (q->nb_waiting > 0) {
		struct rte_mbuf *m = q->waiting[q->waiting_head];

		initial(q, m, q->waiting_worker[q->waiting_head]);
		rte_pktmbuf_free(m);
		q->waiting_head = (q->waiting_head + 1) % WAITING;
		q->nb_waiting--;
		q->was_whole = true;
		n++;
	}
	if (ctl->now_ns >= plm_wheel_due(&q->wheel))
		timers(q);
	if (q->due_head != NONE)
		due_flush(q);
	n += ctl_wzp_turn(ctl);
	for (unsigned int w = 0; w < ctl->conf.nb_workers; w++)
		if (q->credits[w].head != NULL)
			credits_flush(q, w);
	return n;
}

/* --- made and freed ------------------------------------------------------------------------------- */

int
ctl_quic_init(struct plm_ctl *ctl)
{
	const struct plm_ctl_conf *conf = &ctl->conf;
	struct plm_quic_table_conf table = {
		.nb_slots = conf->quic.max_connections,
		.max_sessions = ctl->sessions->max_sessions,
		.nb_extents = 3 * conf->quic.max_connections / 2 + 1,
		.quic = {
			.rand = conf->rand,
			.aead = conf->quic.aead,
			.idle_timeout_ns = conf->quic.idle_timeout_ns,
			.handshake_timeout_ns = conf->quic.handshake_timeout_ns,
			.max_streams = 100,
			.max_stream_bytes = PLM_QUIC_WINDOW_MAX,
			.max_bytes = PLM_QUIC_WINDOW_MAX,
			.max_chunks = 64,
		},
		.name = conf->name,
		.socket = conf->socket,
	};
	struct plm_initials_conf initials = {
		.max_entries = HELLOS,
		.max_per_prefix = PER_PREFIX,
		.hold_ns = HELLO_NS,
		.rand = conf->rand,
	};
	struct plm_answers_conf answers = {
		.rand = conf->rand,
		.token_ns = TOKEN_NS,
		.rotate_ns = ROTATE_NS,
		.max_tokens = TOKENS,
		.resets_per_s = RESETS_PER_S,
		.reset_burst = RESET_BURST,
	};
	char name[RTE_HASH_NAMESIZE];
	struct rte_hash_parameters hash = {
		.name = name,
		.entries = RTE_MAX(conf->quic.max_connections, 64u),
		.key_len = sizeof(struct first_id),
		.socket_id = conf->socket,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};
	struct ctl_quic *q;
	int ret;

	if (conf->quic.max_connections == 0)
		return 0;
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		return -ENOMEM;
	ctl->quic = q;
	q->ctl = ctl;
	q->free_head = q->due_head = NONE;
	for (unsigned int w = 0; w < PLM_WORKERS_MAX; w++)
		q->credits[w].tail = &q->credits[w].head;
	q->out.get = out_get;
	q->out.put = out_put;
	memcpy(table.pools, conf->quic.pools, sizeof(table.pools));
	ret = plm_quic_table_create(&q->table, &table);
	if (ret < 0)
		return ret;
	plm_quic_reset_secret(q->table->quic, answers.reset_secret);
	plm_rand_fill(&conf->rand, q->prefix_key, sizeof(q->prefix_key));
	plm_rand_fill(&conf->rand, &hash.hash_func_init_val, sizeof(hash.hash_func_init_val));
	snprintf(name, sizeof(name), "%s_first", conf->name);
	q->conns = calloc(q->table->nb_slots, sizeof(*q->conns));
	q->initials = plm_initials_create(&initials);
	q->answers = plm_answers_create(&answers);
	q->tls = quic_tls_server_create(conf->quic.identity);
	q->by_first_id = rte_hash_create(&hash);
	plm_crypto_erase(answers.reset_secret, sizeof(answers.reset_secret));
	if (q->conns == NULL || q->initials == NULL || q->answers == NULL || q->tls == NULL ||
			q->by_first_id == NULL)
		return -ENOMEM;
	if (ctl_wzp_init(ctl, q->table->nb_slots) < 0)
		return -ENOMEM;
	plm_wheel_init(&q->wheel, q->table->timers, PLM_NS_PER_MS, plm_clock_now(&conf->clock));
	for (uint32_t i = q->table->nb_slots; i-- > 0;) {
		q->conns[i].next = q->free_head;
		q->free_head = i;
	}
	return 0;
}

bool
plm_ctl_quic_shown(const struct plm_ctl *ctl, struct plm_handle session,
		struct plm_quic_path *since, struct plm_quic_shown *shown)
{
	const struct ctl_quic *q = ctl->quic;
	uint32_t idx = q == NULL ? NONE : q->table->slot_of[session.idx];

	if (idx == NONE || !plm_handle_eq(q->conns[idx].session, session))
		return false;
	*since = q->conns[idx].since;
	return plm_quic_slot_shown(&q->table->slots[idx], shown);
}

void
plm_ctl_quic_totals(const struct plm_ctl *ctl, struct plm_ctl_quic_totals *totals)
{
	const struct ctl_quic *q = ctl->quic;

	*totals = (struct plm_ctl_quic_totals){ 0 };
	if (q == NULL)
		return;
	*totals = (struct plm_ctl_quic_totals){
		.max_connections = q->table->nb_slots,
		.established = q->nb_adopted - q->nb_outside,
		.handshakes = q->nb_handshakes,
		.ending = q->nb_taken - q->nb_adopted - (q->nb_handshakes - q->nb_outside),
		.extents = q->table->extents->size + q->table->more_extents->size,
		.extents_used = rte_mempool_in_use_count(q->table->extents) +
				rte_mempool_in_use_count(q->table->more_extents),
		.retries = retries(q),
	};
}

bool
ctl_quic_is_late(const struct plm_ctl *ctl)
{
	return ctl->quic->due_head != NONE;
}

struct plm_quic_table *
ctl_quic_table(struct plm_ctl *ctl)
{
	return ctl->quic == NULL ? NULL : ctl->quic->table;
}

void
ctl_quic_fini(struct plm_ctl *ctl)
{
	struct ctl_quic *q = ctl->quic;

	if (q == NULL)
		return;
	/* Connections first: messages that they have not sent yet give up what lists of rooms they share. */
	for (uint32_t i = 0; q->table != NULL && i < q->table->nb_slots; i++) {
		struct plm_quic_slot *slot = &q->table->slots[i];
		void *tls = slot->conn == NULL ? NULL : plm_quic_conn_tls_take(slot->conn);

		plm_quic_conn_free(slot->conn);
		slot->conn = NULL;
		if (tls != NULL)
			gnutls_deinit(tls);
	}
	ctl_wzp_fini(ctl);
	for (unsigned int w = 0; w < PLM_WORKERS_MAX; w++)
		while (q->credits[w].head != NULL) {
			struct rte_mbuf *m = q->credits[w].head;

			q->credits[w].head = m->next;
			m->next = NULL;
			rte_pktmbuf_free(m);
		}
	for (unsigned int i = 0; i < q->nb_waiting; i++)
		rte_pktmbuf_free(q->waiting[(q->waiting_head + i) % WAITING]);
	plm_quic_table_free(q->table);
	quic_tls_free(q->tls);
	plm_answers_free(q->answers);
	plm_initials_free(q->initials);
	rte_hash_free(q->by_first_id);
	free(q->conns);
	free(q);
	ctl->quic = NULL;
}

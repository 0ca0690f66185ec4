/* SPDX-License-Identifier: BSD-3-Clause */
/* QUIC on the packet path: connections of which this worker is the home. What is received is opened, and
 * its datagrams become payloads like RTP's; a copy is encrypted for its receiver, into an mbuf of its own. */
#include <assert.h>

#include <rte_malloc.h>
#include <rte_memcpy.h>
#include <rte_mempool.h>

#include "hdr.h"
#include "plm_relay_quic.h"

/* Packet mbufs taken from the pool at once. */
#define MBUFS 32
/* In front of a packet: headers of IPv6, the longer ones. */
#define HDR_ROOM RELAY_HDR6
/* Timers that a turn looks at, and connections that it flushes. */
#define TIMER_BUDGET 64
#define FLUSH_BUDGET 64
/* And packets that these write, some more: a room that is told something must not keep others waiting. */
#define FLUSH_PACKETS 32
/* What a timer may be late for media: that a datagram was lost is found out much later anyway, and one that came is
 * acknowledged by then with what is sent. */
#define LAZY_NS (20 * PLM_NS_PER_MS)
#define TICK_NS PLM_NS_PER_MS
static_assert(LAZY_NS + 2 * TICK_NS < PLM_QUIC_ACK_NS, "acknowledgements wait for it");
/* How old what is shown of a connection that does something may be. */
#define SHOW_NS (200 * PLM_NS_PER_MS)

/* Packets of one handshake in progress that go to the slow path: 200 a second, 40 at once. */
#define HANDSHAKE_NS    (PLM_NS_PER_S / 200)
#define HANDSHAKE_BURST 40
/* Streams of one connection that take memory for having been reset before anything of them came. */
#define STREAMS_KEPT 32
/* Datagrams of packets that were read and not served: a burst of them, and what one packet more may hold. */
#define MEDIA (PLM_BURST + 256)

#define NONE UINT32_MAX

/* So many connections stay in a core's own cache, by the lines that packets touch of each: nothing is to be fetched. */
#define WARM_CONNS 128

/* Of a small datagram's packet; the CPU itself goes on with a large one's. */
#define FRAME_LINES 5

/* Connections in a row, linked by plm_quic_slot.next. */
struct quic_row {
	uint32_t head;
	uint32_t tail;
	uint32_t nb;
};

struct relay_quic {
	/* const */
	struct relay_worker *w;
	struct plm_quic_table *table;
	struct rte_mempool *pool;

	/* owner */
	struct plm_quic_out out;
	struct rte_mbuf *packet;       /* that out.get() gave */
	struct plm_quic_slot *reading; /* whose packet is being opened */
	const struct plm_pkt *reading_pkt;
	uint8_t tos;         /* of what is sent */
	unsigned int nb_put; /* packets, since the flush of this turn began */
	unsigned int nb_media;
	struct rte_mbuf *media[MEDIA]; /* payloads that came, with struct plm_pkt */
	unsigned int nb_mbufs;
	struct rte_mbuf *mbufs[MBUFS];
	struct rte_mbuf *parts; /* of streams, on their way to the slow path; linked by `next` */
	struct rte_mbuf **parts_tail;
	uint32_t nb_parts;                    /* and with it, or on their way back */
	struct quic_row dirty[PLM_PORTS_MAX]; /* to be flushed, by the port that they leave by */
	uint32_t nb_dirty;
	unsigned int flush_first; /* port */
	struct quic_row gone;     /* to be reported to the slow path */
	struct plm_wheel wheel;
	uint32_t nb_home; /* connections */
};

/* --- rows ---------------------------------------------------------------------------------- */

static void
row_add(struct relay_quic *q, struct quic_row *row, struct plm_quic_slot *slot)
{
	uint32_t idx = (uint32_t)(slot - q->table->slots);

	slot->next = NONE;
	if (row->nb++ == 0)
		row->head = idx;
	else
		q->table->slots[row->tail].next = idx;
	row->tail = idx;
}

static struct plm_quic_slot *
row_take(struct relay_quic *q, struct quic_row *row)
{
	struct plm_quic_slot *slot = &q->table->slots[row->head];

	row->head = slot->next;
	row->nb--;
	return slot;
}

static inline void
dirty(struct relay_quic *q, struct plm_quic_slot *slot)
{
	if (slot->is_queued)
		return;
	slot->is_queued = true;
	q->nb_dirty++;
	row_add(q, &q->dirty[slot->ways[0].tmpl.port_idx], slot);
}

/* --- out ----------------------------------------------------------------------------------- */

static __rte_noinline bool
mbufs_refill(struct relay_quic *q)
{
	if (plm_fault(POOL_QUIC) || rte_mempool_get_bulk(q->pool, (void **)q->mbufs, MBUFS) < 0)
		return false;
	q->nb_mbufs = MBUFS;
	return true;
}

/* The next packet's: one that was on the wire since is in nobody's cache, or in another's. */
static inline void
prefetch_mbuf(struct rte_mbuf *m)
{
	const uint8_t *frame = (const uint8_t *)(plm_pkt(m) + 1) + RTE_PKTMBUF_HEADROOM;

	__builtin_prefetch(m, 1);
	for (unsigned int i = 0; i < FRAME_LINES; i++)
		__builtin_prefetch(frame + i * RTE_CACHE_LINE_SIZE, 1);
}

static uint8_t *
out_get(struct plm_quic_out *out)
{
	struct relay_quic *q = container_of(out, struct relay_quic, out);

	if (q->packet == NULL) {
		if (unlikely(q->nb_mbufs == 0 && !mbufs_refill(q)))
			return NULL;
		q->packet = q->mbufs[--q->nb_mbufs];
		if (likely(q->nb_mbufs > 0))
			prefetch_mbuf(q->mbufs[q->nb_mbufs - 1]);
	}
	return (uint8_t *)q->packet->buf_addr + RTE_PKTMBUF_HEADROOM + HDR_ROOM;
}

static inline void
add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			memory_order_relaxed);
}

static inline plm_sref_t
sref_of(const struct plm_quic_slot *slot)
{
	return atomic_load_explicit(&slot->sref, memory_order_relaxed);
}

static inline uint32_t
session_of(const struct plm_quic_slot *slot)
{
	plm_sref_t sref = sref_of(slot);

	return likely(sref != 0) ? plm_sref_idx(sref) : RELAY_NOBODY;
}

/* Headers for the path that the packet must take, which may not be the usual one. */
static void
out_put(struct plm_quic_out *out, struct plm_quic_conn *conn, size_t len,
		const struct plm_quic_path *path, uint8_t ecn)
{
	struct relay_quic *q = container_of(out, struct relay_quic, out);
	struct relay_worker *w = q->w;
	struct plm_quic_slot *slot;
	const struct plm_quic_way *way;
	struct rte_mbuf *m = q->packet;
	struct relay_payload p;
	struct plm_txq *txq;
	uint16_t hdr_len;
	uint8_t *payload;

	if (len == 0)
		return;
	slot = &q->table->slots[plm_quic_conn_slot(conn)];
	way = plm_quic_slot_way(slot, path);
	if (unlikely(way == NULL)) {
		plm_count(&w->counters, PLM_CNT_QUIC_NO_WAY);
		return;
	}
	txq = &w->txq[way->tmpl.port_idx];
	hdr_len = way->tmpl.is_v6 ? RELAY_HDR6 : RELAY_HDR4;
	if (unlikely(hdr_len - PLM_ETH_HDR + len > w->ports[way->tmpl.port_idx]->mtu)) {
		plm_count(&w->counters, PLM_CNT_QUIC_TX_MTU);
		return;
	}
	if (unlikely(!plm_txq_reserve(txq, 1))) {
		plm_count(&w->counters, PLM_CNT_QUIC_TX_QUEUE);
		return;
	}
	payload = (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM + HDR_ROOM;
	p.tos = (uint8_t)(q->tos & ~3) | ecn;
	p.udp_len = rte_cpu_to_be_16((uint16_t)(PLM_UDP_HDR + len));
	p.ip4_len = rte_cpu_to_be_16((uint16_t)(PLM_IP4_HDR + PLM_UDP_HDR + len));
	p.udp_sum = plm_wire_sum(payload, len) + 2u * p.udp_len;
	p.ip4_sum = rte_cpu_to_be_16(p.tos) + p.ip4_len;
	q->packet = NULL;
	q->nb_put++;
	relay_mbuf_fill(m, 1, (uint16_t)(hdr_len + len), (uint32_t)(hdr_len + len),
			session_of(slot));
	m->data_off = (uint16_t)(RTE_PKTMBUF_HEADROOM + HDR_ROOM - hdr_len);
	if (way->tmpl.is_v6)
		relay_hdr_write(payload - RELAY_HDR6, way->mac, way->tmpl.hdr, &p, true);
	else
		relay_hdr_write(payload - RELAY_HDR4, way->mac, way->tmpl.hdr, &p, false);
	if (unlikely(w->ports[way->tmpl.port_idx]->vlan != 0))
		plm_port_tag(w->ports[way->tmpl.port_idx], m);
	plm_txq_put(txq, m, PLM_TX_QUIC);
}

/* --- what a connection tells ----------------------------------------------------------------- */

static void
got_datagram(void *ctx, struct plm_quic_conn *conn, const uint8_t *buf, size_t len)
{
	struct relay_quic *q = ctx;
	struct relay_worker *w = q->w;
	const plm_sref_t sref = sref_of(q->reading);
	struct plm_pkt *pkt;
	struct rte_mbuf *m;

	plm_count(&w->counters, PLM_CNT_DGRAMS);
	if (unlikely(sref == 0)) {
		plm_count(&w->counters, PLM_CNT_DGRAM_EARLY);
		return;
	}
	if (unlikely(len == 0 || len > PLM_QUIC_PACKET_MAX)) {
		plm_count(&w->counters, PLM_CNT_DGRAM_SIZE);
		return;
	}
	/* They are served behind the packet: a fan-out may well send to the connection that is read. */
	if (unlikely(q->nb_media == MEDIA)) {
		plm_count(&w->counters, PLM_CNT_DGRAM_MANY);
		return;
	}
	if (unlikely(q->nb_mbufs == 0 && !mbufs_refill(q))) {
		plm_count(&w->counters, PLM_CNT_DGRAM_NO_MBUF);
		return;
	}
	m = q->mbufs[--q->nb_mbufs];
	relay_mbuf_fill(m, 1, (uint16_t)len, (uint32_t)len, 0);
	rte_memcpy(rte_pktmbuf_mtod(m, void *), buf, len);
	/* The packet's mbuf is in front of its struct plm_pkt. */
	plm_sim_copied(m, (const struct rte_mbuf *)q->reading_pkt - 1);
	pkt = plm_pkt(m);
	*pkt = (struct plm_pkt){
		.sref = sref,
		.rx_ns = q->reading_pkt->rx_ns,
		.payload_len = (uint16_t)len,
		.tos = q->reading_pkt->tos,
	};
	q->media[q->nb_media++] = m;
}

/* A part for the slow path. Who sends more than is read, however small, loses the connection: the fewer places
 * are left on this worker the sooner, so that who has few waiting keeps its own. */
static int
part_add(struct relay_quic *q, struct plm_quic_slot *slot, struct plm_quic_part part,
		const uint8_t *buf, size_t len)
{
	uint32_t left = PLM_QUIC_WORKER_PARTS - q->nb_parts;
	struct rte_mbuf *m;

	if (unlikely(slot->nb_parts >= (left + 3) / 4)) {
		plm_count(&q->w->counters, PLM_CNT_QUIC_STREAM_FLOOD);
		return -ENOBUFS;
	}
	if (unlikely(q->nb_mbufs == 0 && !mbufs_refill(q))) {
		plm_count(&q->w->counters, PLM_CNT_QUIC_STREAM_MBUF);
		return -ENOBUFS;
	}
	m = q->mbufs[--q->nb_mbufs];
	relay_mbuf_fill(m, 1, (uint16_t)len, (uint32_t)len, (uint32_t)(slot - q->table->slots));
	rte_memcpy(rte_pktmbuf_mtod(m, void *), buf, len);
	part.gen = atomic_load_explicit(&slot->gen, memory_order_relaxed);
	*plm_quic_part(m) = part;
	m->next = NULL;
	*q->parts_tail = m;
	q->parts_tail = &m->next;
	q->nb_parts++;
	slot->nb_parts++;
	slot->nb_kept++;
	return 0;
}

/* What waited for a lost packet comes in one piece: it is cut into what an mbuf holds. */
static int
got_stream(void *ctx, struct plm_quic_conn *conn, int64_t stream_id, const uint8_t *buf, size_t len,
		bool fin)
{
	struct relay_quic *q = ctx;
	struct plm_quic_part part = { .stream_id = stream_id };
	int ret;

	for (; len > PLM_QUIC_PACKET_MAX; buf += PLM_QUIC_PACKET_MAX, len -= PLM_QUIC_PACKET_MAX) {
		ret = part_add(q, q->reading, part, buf, PLM_QUIC_PACKET_MAX);
		if (ret < 0)
			return ret;
	}
	part.fin = fin;
	return part_add(q, q->reading, part, buf, len);
}

/* Parts that came before it are read as ever, and credit for the rest came back with it; the slow path is not to
 * wait for the rest. */
static void
stream_reset(void *ctx, struct plm_quic_conn *conn, int64_t stream_id)
{
	struct relay_quic *q = ctx;
	const struct plm_quic_part part = { .stream_id = stream_id, .is_reset = true };

	if (plm_quic_streams_kept(conn) >= STREAMS_KEPT) {
		plm_count(&q->w->counters, PLM_CNT_QUIC_STREAM_FLOOD);
		plm_quic_close(conn, 0, "streams");
	} else if (part_add(q, q->reading, part, NULL, 0) < 0) {
		plm_quic_close(conn, 0, "streams");
	}
}

static void
established(void *ctx, struct plm_quic_conn *conn)
{
	assert(!"the handshake is the slow path's");
}

static void
moved(void *ctx, struct plm_quic_conn *conn, const struct plm_quic_path *path)
{
	struct relay_quic *q = ctx;
	struct plm_quic_slot *slot = &q->table->slots[plm_quic_conn_slot(conn)];

	plm_count(&q->w->counters, PLM_CNT_QUIC_MOVED);
	slot->moves++;
	slot->shown_ns = 0; /* soon */
	if (memcmp(&slot->ways[1].path, path, sizeof(*path)) == 0) {
		struct plm_quic_way old = slot->ways[0];

		slot->ways[0] = slot->ways[1];
		slot->ways[1] = old;
	}
}

static void
chunk_done(void *ctx, struct plm_quic_chunk *chunk)
{
	plm_quic_message_free(container_of(chunk, struct plm_quic_message, chunk)->m);
}

static const struct plm_quic_ops ops = {
	.datagram = got_datagram,
	.stream = got_stream,
	.stream_reset = stream_reset,
	.established = established,
	.moved = moved,
	.chunk_done = chunk_done,
};

/* --- connections ----------------------------------------------------------------------------- */

static inline void
arm(struct relay_quic *q, struct plm_quic_slot *slot)
{
	plm_wheel_arm(&q->wheel, (uint32_t)(slot - q->table->slots), plm_quic_expiry(slot->conn));
}

/* A timer that is looked at soon will see what is due then. */
static inline void
arm_lazily(struct relay_quic *q, struct plm_quic_slot *slot)
{
	const uint32_t idx = (uint32_t)(slot - q->table->slots);
	const uint64_t soon_ns = q->w->now_ns + LAZY_NS;

	if (unlikely(plm_quic_has_unacked(slot->conn)))
		arm(q, slot);
	else if (plm_wheel_armed_ns(&q->wheel, idx) > soon_ns)
		plm_wheel_arm(&q->wheel, idx, RTE_MAX(plm_quic_expiry(slot->conn), soon_ns));
}

/* The connection has said and heard its last: the slow path's again, once it has been told. */
static void
retire(struct relay_quic *q, struct plm_quic_slot *slot)
{
	plm_wheel_disarm(&q->wheel, (uint32_t)(slot - q->table->slots));
	slot->end = plm_quic_conn_end(slot->conn);
	/* Nobody's until the slow path is told. */
	plm_quic_slot_pass(slot, PLM_QUIC_SLOT_GONE);
	q->nb_home--;
	row_add(q, &q->gone, slot);
}

static inline void
show(struct relay_quic *q, struct plm_quic_slot *slot)
{
	if (q->w->now_ns - slot->shown_ns <= SHOW_NS)
		return;
	plm_quic_trim(slot->conn);
	plm_quic_slot_show(slot, q->w->now_ns);
}

/* After anything that may have changed it. What the peer closed says nothing more (RFC 9000 §10.2.2), and what
 * still comes for it finds nobody. */
static inline void
settle(struct relay_quic *q, struct plm_quic_slot *slot)
{
	show(q, slot);
	if (unlikely(plm_quic_conn_state(slot->conn) >= PLM_QUIC_DRAINING))
		retire(q, slot);
	else if (plm_quic_is_dirty(slot->conn))
		dirty(q, slot);
	else
		arm_lazily(q, slot);
}

void
relay_quic_adopt(struct relay_worker *w, struct plm_handle handle)
{
	struct relay_quic *q = w->quic;
	struct plm_quic_slot *slot = &q->table->slots[handle.idx];

	assert(plm_quic_slot_state(slot) == PLM_QUIC_SLOT_HANDSHAKE && slot->home == w->idx);
	plm_quic_slot_pass(slot, PLM_QUIC_SLOT_HOME);
	q->nb_home++;
	plm_quic_conn_adopt(slot->conn, &ops, q, &q->table->memory);
	slot->is_queued = false;
	slot->shown_ns = 0;
	slot->nb_parts = slot->nb_kept = 0;
	dirty(q, slot);
}

void
relay_quic_close(struct relay_worker *w, struct plm_handle handle)
{
	struct relay_quic *q = w->quic;
	struct plm_quic_slot *slot = &q->table->slots[handle.idx];

	if (plm_quic_slot_state(slot) != PLM_QUIC_SLOT_HOME || slot->gen != handle.gen)
		return; /* it ended by itself meanwhile */
	plm_quic_close(slot->conn, 0, slot->close_reason);
	dirty(q, slot);
}

/* Only then is what is in it ours to look at. */
static inline bool
is_at_home(const struct relay_quic *q, const struct plm_quic_slot *slot)
{
	return plm_quic_slot_state(slot) == PLM_QUIC_SLOT_HOME && slot->home == q->w->idx;
}

/* The connection if it is still ours, and the one that is meant. */
static struct plm_quic_slot *
slot_at(struct relay_quic *q, uint32_t idx, uint32_t gen)
{
	struct plm_quic_slot *slot = &q->table->slots[idx];

	if (!is_at_home(q, slot) || atomic_load_explicit(&slot->gen, memory_order_relaxed) != gen)
		return NULL;
	return slot;
}

void
relay_quic_credit(struct relay_worker *w, uint32_t idx, struct rte_mbuf *m)
{
	struct relay_quic *q = w->quic;
	const struct plm_quic_part *part = plm_quic_part(m);
	struct plm_quic_slot *slot = slot_at(q, idx, part->gen);

	assert(part->is_early || q->nb_parts > 0);
	q->nb_parts -= !part->is_early;
	if (slot != NULL) {
		slot->nb_parts -= !part->is_early;
		plm_quic_stream_consumed(slot->conn, part->stream_id, m->data_len);
		dirty(q, slot);
	}
	rte_pktmbuf_free(m);
}

/* A queue that is full is the peer's own fault: it does not read. */
void
relay_quic_message(struct relay_worker *w, uint32_t idx, struct rte_mbuf *m)
{
	struct relay_quic *q = w->quic;
	struct plm_quic_message *first = rte_pktmbuf_mtod(m, struct plm_quic_message *);
	struct plm_quic_slot *slot = slot_at(q, idx, first->gen);
	struct plm_quic_chunk **tail = NULL;
	struct rte_mbuf *next;

	for (struct rte_mbuf *seg = m; slot != NULL && seg != NULL; seg = next) {
		struct plm_quic_message *msg = rte_pktmbuf_mtod(seg, struct plm_quic_message *);

		msg->chunk = (struct plm_quic_chunk){
			.buf = (const uint8_t *)(msg + 1),
			.len = seg->data_len - (uint32_t)sizeof(*msg),
			.uni = first->uni,
			.kind = first->kind,
		};
		if (msg->blob != NULL) {
			msg->chunk.buf = msg->blob->buf;
			msg->chunk.len = msg->blob->len;
		}
		msg->m = seg;
		if (tail != NULL)
			*tail = &msg->chunk;
		tail = &msg->chunk.next;
		next = seg->next;
	}
	if (slot == NULL || plm_quic_stream_send(slot->conn, &first->chunk) < 0) {
		plm_count(&w->counters, PLM_CNT_QUIC_STREAM_FULL);
		plm_quic_message_free(m);
		return;
	}
	/* Each segment goes when its bytes are acknowledged. */
	for (struct rte_mbuf *seg = m; seg != NULL; seg = next) {
		next = seg->next;
		seg->next = NULL;
		seg->nb_segs = 1;
	}
	dirty(q, slot);
}

static inline bool
is_cold(const struct relay_quic *q)
{
	return q->nb_home > WARM_CONNS;
}

/* What a packet of the connection's needs of its slot; to be sent, its headers, too. */
static inline void
prefetch_slot(const struct plm_quic_table *t, uint32_t idx, bool is_sent)
{
	const struct plm_quic_slot *slot = &t->slots[idx];

	rte_prefetch0(slot);
	rte_prefetch0(&slot->ways[0].mac);
	if (is_sent)
		rte_prefetch0(&slot->ways[0].tmpl.port_idx);
	rte_prefetch0(&t->timers[idx]);
}

/* --- reception ------------------------------------------------------------------------------- */

static void
read_packet(struct relay_quic *q, struct plm_quic_slot *slot, struct rte_mbuf *m)
{
	struct relay_worker *w = q->w;
	struct plm_pkt *pkt = plm_pkt(m);
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	struct plm_quic_path path;
	const struct plm_quic_heard *heard = plm_quic_conn_heard(slot->conn);
	const struct plm_quic_heard before = *heard;

	if (unlikely(q->nb_media >= PLM_BURST))
		relay_quic_media(w);
	plm_quic_path_of(pkt, &path);
	/* Answers to a new path are written later in this turn. */
	q->reading = slot;
	q->reading_pkt = pkt;
	plm_quic_recv(slot->conn, &path, pkt->tos & 3, frame + pkt->payload_off, pkt->payload_len,
			w->now_ns);
	if (likely(heard->opened != before.opened))
		plm_quic_slot_heard(slot, w->net, pkt, frame, heard->newest != before.newest);
	else
		plm_count(&w->counters,
				heard->late != before.late ? PLM_CNT_QUIC_STREAM_LATE
							   : PLM_CNT_QUIC_UNOPENED);
	plm_count(&w->counters, PLM_CNT_QUIC_IN);
	rte_pktmbuf_free(m);
	if (!slot->is_queued)
		settle(q, slot);
}

/* To the slow path: of a handshake in progress, or of nobody that we know. */
static void
to_slow_path(struct relay_worker *w, struct rte_mbuf *m, bool is_known)
{
	struct relay_batch *batch = is_known ? &w->to_known : &w->to_unknown;
	struct plm_pkt *pkt = plm_pkt(m);

	pkt->is_known = PLM_PKT_QUIC;
	if (!is_known && !relay_unknown_due(w, pkt)) {
		relay_drop(w, m, PLM_CNT_RX_QUIC_RATE);
		return;
	}
	batch->msgs[batch->n++] = (struct plm_msg){ .type = PLM_MSG_CTL_PACKET, .mbuf = m };
}

static bool
handshake_due(struct plm_quic_slot *slot, uint64_t now_ns)
{
	uint64_t tat = atomic_load_explicit(&slot->handshake_tat, memory_order_relaxed);

	if (!relay_gcra(&tat, now_ns, HANDSHAKE_NS, HANDSHAKE_BURST * HANDSHAKE_NS))
		return false;
	atomic_store_explicit(&slot->handshake_tat, tat, memory_order_relaxed);
	return true;
}

/* A packet for a connection of ours, whoever received it. */
static void
home_packet(struct relay_worker *w, struct rte_mbuf *m, const struct plm_cid *cid, bool is_last)
{
	struct relay_quic *q = w->quic;
	struct plm_quic_slot *slot = plm_quic_slot_find(q->table, cid);

	switch (slot == NULL ? PLM_QUIC_SLOT_FREE : plm_quic_slot_state(slot)) {
	case PLM_QUIC_SLOT_HOME:
		read_packet(q, slot, m);
		break;
	case PLM_QUIC_SLOT_HANDSHAKE:
		if (is_last)
			relay_drop(w, m, PLM_CNT_RX_QUIC_UNKNOWN);
		else if (!handshake_due(slot, w->now_ns))
			relay_drop(w, m, PLM_CNT_RX_QUIC_RATE);
		else
			to_slow_path(w, m, true);
		break;
	case PLM_QUIC_SLOT_GONE:
		relay_drop(w, m, PLM_CNT_RX_QUIC_CLOSED);
		break;
	case PLM_QUIC_SLOT_FREE: /* a former one's: the slow path may tell the peer */
		if (is_last)
			relay_drop(w, m, PLM_CNT_RX_QUIC_UNKNOWN);
		else
			to_slow_path(w, m, false);
		break;
	}
}

/* A client's first packets have an id of its own choosing, and at least 1200 bytes (RFC 9000 §14.1). */
static void
first_packet(struct relay_worker *w, struct rte_mbuf *m, const uint8_t *p, uint16_t len)
{
	if (len < 1200 || (p[0] & 0x40) == 0)
		relay_drop(w, m, PLM_CNT_RX_QUIC_FILTER);
	else
		to_slow_path(w, m, false);
}

static inline void
prefetch_home(const struct relay_quic *q, const struct plm_cid *cids, unsigned int i,
		unsigned int n)
{
	const struct plm_quic_table *t = q->table;

	if (i >= n || unlikely(cids[i].slot >= t->nb_slots))
		return;
	plm_quic_prefetch_recv(t->arenas + cids[i].slot * t->stride);
}

static inline void
prefetch_home_more(const struct relay_quic *q, const struct plm_cid *cids,
		struct rte_mbuf *const *pkts, unsigned int i, unsigned int n)
{
	const struct plm_quic_table *t = q->table;

	if (i < n && likely(cids[i].slot < t->nb_slots) && is_at_home(q, &t->slots[cids[i].slot]))
		plm_quic_prefetch_recv_more(t->arenas + cids[i].slot * t->stride,
				plm_pkt(pkts[i])->payload_len);
}

void
relay_quic_rx(struct relay_worker *w, struct rte_mbuf **pkts, unsigned int n)
{
	struct relay_quic *q = w->quic;

	struct plm_cid cids[PLM_BURST];
	struct rte_mbuf *home[PLM_BURST];
	unsigned int nb_home = 0;
	unsigned int nb_fetch;

	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		const struct plm_pkt *pkt = plm_pkt(m);
		const uint8_t *p = rte_pktmbuf_mtod_offset(m, const uint8_t *, pkt->payload_off);
		const bool is_long = p[0] & 0x80;
		const uint8_t *id = p + (is_long ? 6 : 1);
		struct plm_cid cid;

		if (unlikely(pkt->payload_len < 1 + PLM_CID_LEN + 4 + PLM_AEAD_TAG)) {
			relay_drop(w, m, PLM_CNT_RX_QUIC_FILTER);
			continue;
		}
		if (unlikely(is_long && p[5] != PLM_CID_LEN)) {
			first_packet(w, m, p, pkt->payload_len);
			continue;
		}
		if (unlikely(plm_cid_read(&q->table->cid_key, id, &cid) < 0)) {
			if (is_long)
				first_packet(w, m, p, pkt->payload_len);
			else
				to_slow_path(w, m, false);
			continue;
		}
		if (cid.worker == w->idx) {
			if (likely(cid.slot < q->table->nb_slots))
				prefetch_slot(q->table, cid.slot, false);
			cids[nb_home] = cid;
			home[nb_home++] = m;
		} else if (likely(cid.worker < w->nb_workers)) {
			struct relay_batch *cross = &w->cross[cid.worker];

			cross->msgs[cross->n++] = (struct plm_msg){ .type = PLM_MSG_QUIC,
				.idx = cid.slot,
				.mbuf = m };
		} else {
			relay_drop(w, m, PLM_CNT_RX_QUIC_UNKNOWN);
		}
	}
	nb_fetch = is_cold(q) ? nb_home : 0;
	prefetch_home(q, cids, 0, nb_fetch);
	prefetch_home(q, cids, 1, nb_fetch);
	prefetch_home_more(q, cids, home, 0, nb_fetch);
	for (unsigned int i = 0; i < nb_home; i++) {
		prefetch_home(q, cids, i + 2, nb_fetch);
		prefetch_home_more(q, cids, home, i + 1, nb_fetch);
		home_packet(w, home[i], &cids[i], false);
	}
}

void
relay_quic_take(struct relay_worker *w, struct rte_mbuf *m, bool is_last)
{
	const uint8_t *p = rte_pktmbuf_mtod_offset(m, const uint8_t *, plm_pkt(m)->payload_off);
	struct plm_cid cid;

	if (plm_cid_read(&w->quic->table->cid_key, p + (p[0] & 0x80 ? 6 : 1), &cid) == 0 &&
			cid.worker == w->idx)
		home_packet(w, m, &cid, is_last);
	else
		relay_drop(w, m, PLM_CNT_RX_QUIC_UNKNOWN);
}

void
relay_quic_media(struct relay_worker *w)
{
	struct relay_quic *q = w->quic;

	for (unsigned int i = 0; i < q->nb_media; i += PLM_BURST)
		relay_ingress_quic(w, &q->media[i],
				RTE_MIN(q->nb_media - i, (unsigned int)PLM_BURST));
	q->nb_media = 0;
}

/* --- copies ---------------------------------------------------------------------------------- */

static void
count_refused(struct relay_worker *w, const struct relay_job *job,
		const struct plm_quic_dgram *dgrams, uint32_t session_idx)
{
	static const enum plm_counter why[] = {
		[PLM_QUIC_NO_WINDOW] = PLM_CNT_COPY_QUIC_WINDOW,
		[PLM_QUIC_NO_MEMORY] = PLM_CNT_COPY_QUIC_MEMORY,
		[PLM_QUIC_TOO_LARGE] = PLM_CNT_COPY_QUIC_SIZE,
		[PLM_QUIC_NO_ROOM] = PLM_CNT_COPY_NO_MBUF,
		[PLM_QUIC_NOT_OPEN] = PLM_CNT_COPY_QUIC_CLOSED,
	};

	for (unsigned int i = 0; i < job->nb; i++) {
		const struct plm_quic_dgram *d = dgrams;

		if (job->pay[i].sender == session_idx && !plm_mutant(TO_SENDER))
			continue;
		dgrams++;
		if (d->verdict == PLM_QUIC_SENT)
			continue;
		plm_sim_copy_drop(&w->counters, job->pay[i].m, session_idx, why[d->verdict]);
		plm_count(&w->counters, why[d->verdict]);
		relay_count_dropped(w, session_idx, 1);
	}
}

void
relay_quic_prefetch(struct relay_worker *w, uint32_t session_idx)
{
	const struct plm_quic_table *t = w->quic->table;
	uint32_t idx = t->slot_of[session_idx];

	if (is_cold(w->quic) && likely(idx < t->nb_slots)) {
		prefetch_slot(t, idx, true);
		rte_prefetch0(&w->tx[session_idx]);
		plm_quic_prefetch_send(t->arenas + idx * t->stride);
	}
}

void
relay_quic_prefetch_more(struct relay_worker *w, uint32_t session_idx, size_t len)
{
	const struct plm_quic_table *t = w->quic->table;
	uint32_t idx = t->slot_of[session_idx];

	if (is_cold(w->quic) && likely(idx < t->nb_slots) && is_at_home(w->quic, &t->slots[idx]))
		plm_quic_prefetch_send_more(t->arenas + idx * t->stride, len);
}

bool
relay_quic_room(struct relay_worker *w, uint32_t session_idx, unsigned int nb)
{
	const struct plm_quic_table *t = w->quic->table;
	uint32_t idx = t->slot_of[session_idx];

	/* A few more than there are datagrams: answers to challenges, probes. */
	return idx >= t->nb_slots ||
			plm_txq_reserve(&w->txq[t->slots[idx].ways[0].tmpl.port_idx],
					(uint16_t)RTE_MIN(nb + 4, (unsigned int)PLM_TXQ_SIZE));
}

unsigned int
relay_quic_copy(struct relay_worker *w, const struct relay_job *job, uint32_t session_idx)
{
	struct relay_quic *q = w->quic;
	struct plm_session_tx *tx = &w->tx[session_idx];
	struct plm_quic_dgram dgrams[PLM_BURST];
	struct plm_quic_slot *slot = NULL;
	uint32_t idx = q->table->slot_of[session_idx];
	unsigned int sent = 0;
	uint64_t bytes = 0;
	unsigned int n = 0;

	for (unsigned int i = 0; i < job->nb; i++) {
		const struct relay_payload *p = &job->pay[i];

		if (p->sender == session_idx && !plm_mutant(TO_SENDER))
			continue;
		dgrams[n++] = (struct plm_quic_dgram){
			.buf = rte_pktmbuf_mtod(p->m, const uint8_t *),
			.len = p->len,
			.is_urgent = plm_wzp_is_audio(rte_pktmbuf_mtod(p->m, const uint8_t *),
					p->len),
			.verdict = PLM_QUIC_NOT_OPEN,
		};
		q->tos = p->tos;
	}
	if (n == 0)
		return 0;
	if (likely(idx < q->table->nb_slots))
		slot = &q->table->slots[idx];
	if (likely(slot != NULL && is_at_home(q, slot) &&
			    plm_sref_idx(sref_of(slot)) == session_idx)) {
		bool was_quiet = plm_quic_in_flight(slot->conn) == 0;

		sent = plm_quic_send(slot->conn, &q->out, dgrams, n, w->now_ns);
		if (unlikely(sent < n && plm_quic_is_dirty(slot->conn)))
			dirty(q, slot); /* it failed, and has to say so */
		/* With others in flight a probe is due already, and comes later for this one. */
		if (was_quiet && sent > 0 && !slot->is_queued)
			arm_lazily(q, slot);
	}
	for (unsigned int i = 0; i < n; i++)
		bytes += dgrams[i].verdict == PLM_QUIC_SENT ? dgrams[i].len : 0;
	if (unlikely(sent < n))
		count_refused(w, job, dgrams, session_idx);
	plm_count_add(&w->counters, PLM_CNT_COPIES_SENT, sent);
	add(&tx->packets, sent);
	add(&tx->bytes, bytes);
	return n;
}

/* --- the turn -------------------------------------------------------------------------------- */

static void
timers(struct relay_quic *q)
{
	struct relay_worker *w = q->w;

	for (unsigned int i = 0; i < TIMER_BUDGET; i++) {
		uint32_t idx = plm_wheel_next(&q->wheel, w->now_ns);
		struct plm_quic_slot *slot;

		if (idx == PLM_WHEEL_NONE)
			return;
		slot = &q->table->slots[idx];
		if (slot->is_queued)
			continue;
		w->nb_done++;
		if (plm_quic_expiry(slot->conn) > w->now_ns) {
			show(q, slot);
			arm(q, slot);
			continue;
		}
		plm_quic_timer(slot->conn, w->now_ns);
		settle(q, slot);
	}
}

/* Those of one port, while its queue has room: what is written without is lost, and comes again after a time that
 * doubles each time. */
static void
flush_port(struct relay_quic *q, unsigned int port, uint32_t *budget)
{
	struct quic_row *row = &q->dirty[port];
	struct relay_worker *w = q->w;

	for (uint32_t n = row->nb; n > 0 && *budget > 0 && q->nb_put < FLUSH_PACKETS; n--) {
		struct plm_quic_slot *slot;

		if (unlikely(!plm_txq_reserve(&w->txq[port], PLM_QUIC_FLUSH_MAX)))
			return;
		slot = row_take(q, row);
		/* It was read a while ago. */
		if (row->nb > 0 && is_cold(q)) {
			prefetch_slot(q->table, row->head, true);
			plm_quic_prefetch_send(q->table->arenas + row->head * q->table->stride);
		}
		w->nb_done++;
		(*budget)--;
		q->nb_dirty--;
		slot->is_queued = false;
		if (plm_quic_flush(slot->conn, &q->out, w->now_ns))
			dirty(q, slot);
		else
			settle(q, slot);
	}
}

/* Ports take turns with being the first. */
static void
flush_dirty(struct relay_quic *q)
{
	const unsigned int nb_ports = q->w->nb_ports;
	uint32_t budget = FLUSH_BUDGET;

	q->tos = 0;
	q->nb_put = 0;
	q->flush_first = q->flush_first + 1 < nb_ports ? q->flush_first + 1 : 0;
	for (unsigned int i = 0; i < nb_ports; i++)
		flush_port(q, (q->flush_first + i) % nb_ports, &budget);
}

/* The ring's other half is left to what cannot wait: STUN, handshakes. */
static void
hand_up_parts(struct relay_quic *q)
{
	while (q->parts != NULL && !plm_mailbox_is_half_full(&q->w->known)) {
		struct rte_mbuf *m = q->parts;
		struct rte_mbuf *next = m->next;
		struct plm_msg msg = { .type = PLM_MSG_QUIC_STREAM, .idx = m->hash.usr, .mbuf = m };

		/* It is another lcore's once it is in the ring. */
		m->next = NULL;
		if (plm_mailbox_put(&q->w->known, &msg, 1) == 0) {
			m->next = next;
			return;
		}
		q->table->slots[msg.idx].nb_kept--;
		q->parts = next;
	}
	if (q->parts == NULL)
		q->parts_tail = &q->parts;
}

static void
report_gone(struct relay_quic *q)
{
	struct relay_worker *w = q->w;

	while (q->gone.nb > 0) {
		const struct plm_quic_slot *slot = &q->table->slots[q->gone.head];
		struct plm_msg msg = { .type = PLM_MSG_QUIC_GONE, .idx = q->gone.head };
		uint32_t next = slot->next;

		/* What it said last is read before its end is told; that leaves in its turn, whatever others say. */
		if (slot->nb_kept > 0)
			return;
		msg.gen = slot->gen;
		if (plm_mailbox_put(&w->known, &msg, 1) == 0)
			return;
		q->gone.head = next;
		q->gone.nb--;
	}
}

uint32_t
relay_quic_waiting(const struct relay_worker *w)
{
	return w->quic->nb_dirty;
}

void
relay_quic_turn(struct relay_worker *w)
{
	struct relay_quic *q = w->quic;

	relay_quic_media(w);
	if (w->now_ns >= plm_wheel_due(&q->wheel))
		timers(q);
	if (q->nb_dirty > 0)
		flush_dirty(q);
	if (q->parts != NULL)
		hand_up_parts(q);
	if (q->gone.nb > 0)
		report_gone(q);
}

/* --- made and freed -------------------------------------------------------------------------- */

int
relay_quic_init(struct relay_worker *w, struct plm_quic_table *table, uint64_t now_ns, int socket)
{
	struct relay_quic *q;

	q = rte_zmalloc_socket("plm_relay_quic", sizeof(*q), RTE_CACHE_LINE_SIZE, socket);
	if (q == NULL)
		return -ENOMEM;
	w->quic = q;
	q->w = w;
	q->table = table;
	q->pool = table->pools[w->idx];
	q->parts_tail = &q->parts;
	q->out.get = out_get;
	q->out.put = out_put;
	plm_wheel_init(&q->wheel, table->timers, TICK_NS, now_ns);
	return 0;
}

void
relay_quic_discard(struct relay_worker *w)
{
	struct relay_quic *q = w->quic;

	if (q == NULL)
		return;
	for (unsigned int i = 0; i < q->nb_media; i++)
		rte_pktmbuf_free(q->media[i]);
	while (q->parts != NULL) {
		struct rte_mbuf *m = q->parts;

		q->parts = m->next;
		m->next = NULL;
		rte_pktmbuf_free(m);
	}
	q->parts_tail = &q->parts;
	q->nb_parts = 0;
	plm_count_add(&w->counters, PLM_CNT_DGRAM_STOPPED, q->nb_media);
	q->nb_media = 0;
	if (q->packet != NULL)
		rte_mempool_put(q->pool, q->packet);
	q->packet = NULL;
	if (q->nb_mbufs > 0)
		rte_mempool_put_bulk(q->pool, (void **)q->mbufs, q->nb_mbufs);
	q->nb_mbufs = 0;
}

void
relay_quic_fini(struct relay_worker *w)
{
	rte_free(w->quic);
	w->quic = NULL;
}

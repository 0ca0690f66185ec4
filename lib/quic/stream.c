/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams. What comes is handed up as it comes, in order within its stream; what goes is a queue of chunks
 * in the caller's memory, written in order, so that messages leave in the order of their streams' ids. */
#include <errno.h>

#include "frames.h"
#include "quic_priv.h"

/* Of memory: what a packet in flight may take at once; and bytes in flight that need no more. */
#define FLIGHT_BYTES   4096
#define FLIGHT_EXTENTS (PLM_QUIC_EXTENTS_MAX - 2)
#define FLIGHT_FREE    9600
/* Messages of which only the newest of a kind counts that may be under way. */
#define KINDS_UNACKED 2

void
quic_stream_init(struct plm_quic_conn *conn)
{
	conn->unsent.tail = &conn->unsent.head;
	conn->unacked.tail = &conn->unacked.head;
	for (unsigned int i = 0; i < RTE_DIM(conn->rx); i++)
		conn->rx[i].stream_id = -1;
	conn->rx_reset = -1;
}

static void
chunk_done(struct plm_quic_conn *conn, struct plm_quic_chunk *chunk)
{
	conn->nb_chunks--;
	if (chunk->kind != 0 && chunk->stream_id >= 0) {
		conn->nb_kinds--;
		conn->is_dirty |= conn->unsent.head != NULL; /* that waits for this */
	}
	conn->ops->chunk_done(conn->ops_ctx, chunk);
}

/* Those of one stream up to an offset; UINT64_MAX: all. */
static void
chunks_drop(struct plm_quic_conn *conn, struct quic_chunks *list, int64_t stream_id, uint64_t to)
{
	struct plm_quic_chunk **at = &list->head;

	while (*at != NULL) {
		struct plm_quic_chunk *chunk = *at;

		if (chunk->stream_id != stream_id || chunk->offset + chunk->len > to) {
			at = &chunk->next;
			continue;
		}
		*at = chunk->next;
		if (list->tail == &chunk->next)
			list->tail = at;
		chunk_done(conn, chunk);
	}
}

void
quic_stream_fini(struct plm_quic_conn *conn)
{
	struct quic_chunks *lists[] = { &conn->unsent, &conn->unacked };

	for (unsigned int i = 0; i < RTE_DIM(lists); i++) {
		while (lists[i]->head != NULL) {
			struct plm_quic_chunk *chunk = lists[i]->head;

			lists[i]->head = chunk->next;
			chunk_done(conn, chunk);
		}
		lists[i]->tail = &lists[i]->head;
	}
}

/* A newer one of its kind comes: what has not begun is worth nothing any more, and what the peer does not read on
 * is not kept for ever. Nothing else of that kind can be behind either. */
static void
supersede(struct plm_quic_conn *conn, uint8_t kind)
{
	struct plm_quic_chunk **at = &conn->unsent.head;

	while (*at != NULL) {
		struct plm_quic_chunk *chunk = *at;

		if (chunk->kind != kind ||
				(chunk->stream_id >= 0 &&
						++chunk->nb_passed < PLM_QUIC_PASSED_MAX)) {
			at = &chunk->next;
			continue;
		}
		if (chunk->stream_id >= 0)
			ngtcp2_conn_shutdown_stream_write(conn->ng, 0, chunk->stream_id, 0);
		*at = chunk->next;
		if (conn->unsent.tail == &chunk->next)
			conn->unsent.tail = at;
		chunk_done(conn, chunk);
	}
}

int
plm_quic_stream_send(struct plm_quic_conn *conn, struct plm_quic_chunk *first)
{
	struct plm_quic_chunk *last = first;
	uint32_t n = 1;

	for (; last->next != NULL; last = last->next)
		n++;
	if (conn->state != PLM_QUIC_ESTABLISHED || conn->close_due)
		return -ENOTCONN;
	assert(first->kind == 0 || n == 1);
	/* Those of a kind bound themselves. */
	if (first->kind != 0)
		supersede(conn, first->kind);
	else if (conn->nb_chunks + n > conn->quic->conf.max_chunks)
		return -ENOBUFS;
	for (struct plm_quic_chunk *c = first; c != NULL; c = c->next) {
		c->sent = 0;
		c->stream_id = -1;
		c->offset = 0;
		c->nb_passed = 0;
		c->is_next = c != first;
		c->more = c->next != NULL;
	}
	*conn->unsent.tail = first;
	conn->unsent.tail = &last->next;
	conn->nb_chunks += n;
	conn->is_dirty = true;
	return 0;
}

void
plm_quic_stream_consumed(struct plm_quic_conn *conn, int64_t stream_id, size_t len)
{
	if (conn->state > PLM_QUIC_ESTABLISHED)
		return;
	/* A stream that has ended needs no more room. */
	ngtcp2_conn_extend_max_stream_offset(conn->ng, stream_id, len);
	ngtcp2_conn_extend_max_offset(conn->ng, len);
	conn->is_dirty = true;
}

/* The stream of the chunk at the head. False: the peer allows no more of them now. */
static bool
chunk_stream(struct plm_quic_conn *conn, struct plm_quic_chunk *chunk)
{
	int ret;

	if (chunk->stream_id >= 0)
		return true;
	if (chunk->is_next) {
		chunk->stream_id = conn->tx_stream;
		chunk->offset = conn->tx_offset;
		return true;
	}
	/* What comes next may as well be newer. */
	if (chunk->kind != 0 && conn->nb_kinds >= KINDS_UNACKED)
		return false;
	ret = chunk->uni ? ngtcp2_conn_open_uni_stream(conn->ng, &chunk->stream_id, NULL)
			 : ngtcp2_conn_open_bidi_stream(conn->ng, &chunk->stream_id, NULL);
	if (ret != 0) {
		chunk->stream_id = -1;
		return false;
	}
	conn->nb_kinds += chunk->kind != 0;
	conn->tx_stream = chunk->stream_id;
	conn->tx_offset = 0;
	return true;
}

static void
chunk_sent(struct plm_quic_conn *conn)
{
	struct plm_quic_chunk *chunk = conn->unsent.head;

	conn->unsent.head = chunk->next;
	if (chunk->next == NULL)
		conn->unsent.tail = &conn->unsent.head;
	conn->tx_offset = chunk->offset + chunk->len;
	chunk->next = NULL;
	*conn->unacked.tail = chunk;
	conn->unacked.tail = &chunk->next;
}

/* Memory for another packet in flight, unless there are so few that what is there suffices. */
static bool
has_memory(struct plm_quic_conn *conn)
{
	ngtcp2_conn_info info;

	ngtcp2_conn_get_conn_info(conn->ng, &info);
	return info.bytes_in_flight < FLIGHT_FREE ||
			quic_arena_has(&conn->arena, FLIGHT_BYTES, FLIGHT_EXTENTS);
}

ngtcp2_ssize
quic_stream_write(struct plm_quic_conn *conn, ngtcp2_path *path, ngtcp2_pkt_info *pi, uint8_t *buf,
		size_t size, uint64_t now_ns)
{
	bool began = false; /* a packet, that is not full */

	for (;;) {
		struct plm_quic_chunk *chunk = conn->unsent.head;
		uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_MORE;
		ngtcp2_ssize taken = -1;
		ngtcp2_ssize n;
		ngtcp2_vec vec;

		/* A packet that was begun is ended before ngtcp2 is asked for anything else. */
		if (chunk == NULL ||
				(began ? chunk->stream_id < 0 && !chunk->is_next
				       : !has_memory(conn)) ||
				!chunk_stream(conn, chunk))
			return ngtcp2_conn_writev_stream(conn->ng, path, pi, buf, size, NULL, 0, -1,
					NULL, 0, now_ns);
		if (chunk->len == 0 && chunk->more) { /* ngtcp2 has no frame for it */
			chunk_sent(conn);
			continue;
		}
		vec.base = (uint8_t *)(uintptr_t)chunk->buf + chunk->sent;
		vec.len = chunk->len - chunk->sent;
		if (!chunk->more)
			flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
		n = ngtcp2_conn_writev_stream(conn->ng, path, pi, buf, size, &taken, flags,
				chunk->stream_id, &vec, vec.len > 0, now_ns);
		if (taken >= 0) {
			chunk->sent += (uint32_t)taken;
			if (chunk->sent == chunk->len)
				chunk_sent(conn);
		}
		switch (n) {
		case NGTCP2_ERR_WRITE_MORE:
			began = true;
			continue;
		case NGTCP2_ERR_STREAM_SHUT_WR:
		case NGTCP2_ERR_STREAM_NOT_FOUND: /* the peer wants no more of it */
			chunks_drop(conn, &conn->unsent, chunk->stream_id, UINT64_MAX);
			continue;
		case NGTCP2_ERR_STREAM_DATA_BLOCKED: /* of this stream, and order holds */
			return ngtcp2_conn_writev_stream(conn->ng, path, pi, buf, size, NULL, 0, -1,
					NULL, 0, now_ns);
		default:
			return n;
		}
	}
}

/* --- what comes out of order ---------------------------------------------------------------- */

/* ngtcp2 keeps it in blocks of 8 KB, aligned to as much, and cannot go on without. Beside them so much stays
 * for all else: for lists of gaps of each stream, and for the packet. */
#define BLOCK_DATA    ((uint64_t)8 * 1024)
#define BLOCK_BYTES   (8 * 1024 + 64)
#define BLOCKS_MAX    32 /* of one stream that are told apart */
#define RESERVE_BYTES 4096
#define STREAM_BYTES  2560
/* Of one packet: streams that are told apart, and those whose data may be the first that waits. */
#define PACKET_STREAMS 8
#define PACKET_NEW     3
static_assert(RESERVE_BYTES + (PACKET_NEW - 1) * STREAM_BYTES <= BLOCK_BYTES + 1024,
		"quic_arena_has_blocks()");

/* NULL: none of the last that data came for. */
static struct quic_rx_stream *
rx_find(struct plm_quic_conn *conn, int64_t stream_id)
{
	for (unsigned int i = 0; i < RTE_DIM(conn->rx); i++)
		if (conn->rx[i].stream_id == stream_id)
			return &conn->rx[i];
	return NULL;
}

static struct quic_rx_stream *
rx_get(struct plm_quic_conn *conn, int64_t stream_id)
{
	struct quic_rx_stream *rx = rx_find(conn, stream_id);

	if (rx != NULL)
		return rx;
	rx = &conn->rx[conn->rx_next++ % RTE_DIM(conn->rx)];
	*rx = (struct quic_rx_stream){ .stream_id = stream_id };
	return rx;
}

static void
rx_advance(struct quic_rx_stream *rx, uint64_t offset)
{
	uint64_t passed = offset / BLOCK_DATA - rx->offset / BLOCK_DATA;

	rx->blocks = passed < BLOCKS_MAX ? rx->blocks >> passed : 0;
	rx->offset = offset;
}

/* Blocks that the data needs and that are not there; they are from then on. */
static unsigned int
rx_reserve(struct quic_rx_stream *rx, uint64_t offset, uint64_t size)
{
	const uint64_t base = rx->offset / BLOCK_DATA;
	unsigned int n = 0;

	if (size == 0)
		return 0;
	for (uint64_t at = offset / BLOCK_DATA; at <= (offset + size - 1) / BLOCK_DATA; at++) {
		uint32_t bit = at - base < BLOCKS_MAX ? 1u << (at - base) : 0;

		n += (rx->blocks & bit) == 0;
		rx->blocks |= bit;
	}
	return n;
}

/* What a packet's frames of streams come to, looked at in their order. */
struct demand {
	struct {
		struct quic_rx_stream rx;
		uint64_t next; /* where its data ends once the packet is read */
	} streams[PACKET_STREAMS];
	unsigned int nb_streams;
	unsigned int nb_waiting; /* frames */
	unsigned int nb_new;     /* streams whose data is the first that waits */
	bool has_forgotten;      /* data of a stream of which it is not known how far it came */
	unsigned int nb_blocks;
};

static void
demand_add(struct plm_quic_conn *conn, struct demand *d, int64_t stream_id, uint64_t offset,
		uint64_t size)
{
	unsigned int i = 0;

	while (i < d->nb_streams && d->streams[i].rx.stream_id != stream_id)
		i++;
	if (i == PACKET_STREAMS) /* the last one's place: it may be looked for what nobody needs */
		i--;
	if (i == d->nb_streams || d->streams[i].rx.stream_id != stream_id) {
		const struct quic_rx_stream *rx = rx_find(conn, stream_id);

		/* One of many that take turns: most likely it is in order. */
		if (rx == NULL && offset > 0 && stream_id < conn->rx_top[stream_id & 3]) {
			d->has_forgotten = true;
			return;
		}
		d->streams[i].rx = rx != NULL ? *rx : (struct quic_rx_stream){ stream_id, 0, 0 };
		d->streams[i].next = d->streams[i].rx.offset;
		d->nb_streams = i + 1;
	}
	if (offset <= d->streams[i].next) { /* goes up at once */
		d->streams[i].next = RTE_MAX(d->streams[i].next, offset + size);
		return;
	}
	d->nb_waiting++;
	d->nb_new += d->streams[i].rx.blocks == 0;
	d->nb_blocks += rx_reserve(&d->streams[i].rx, offset, size);
}

/* All of it or nothing. */
static bool
demand_meet(struct plm_quic_conn *conn, const struct demand *d)
{
	unsigned int nb_more = d->nb_new > 0 ? d->nb_new - 1 : 0;

	if (d->nb_waiting == 0 && !d->has_forgotten)
		return true;
	if (d->nb_new > PACKET_NEW ||
			!quic_arena_has_blocks(&conn->arena, BLOCK_BYTES,
					d->nb_blocks + d->has_forgotten,
					RESERVE_BYTES + nb_more * STREAM_BYTES,
					PLM_QUIC_EXTENTS_MAX))
		return false;
	for (unsigned int i = 0; i < d->nb_streams; i++)
		if (d->streams[i].rx.blocks != 0)
			rx_get(conn, d->streams[i].rx.stream_id)->blocks = d->streams[i].rx.blocks;
	return true;
}

bool
quic_stream_has_memory(struct plm_quic_conn *conn, const uint8_t *frames, size_t len)
{
	struct plm_cursor c = plm_cursor(frames, len);
	struct demand d;

	d.nb_streams = d.nb_waiting = d.nb_new = d.nb_blocks = 0;
	d.has_forgotten = false;
	while (plm_cursor_left(&c) > 0) {
		uint8_t type = plm_cursor_u8(&c);
		uint64_t id, offset = 0, size;

		if (type < 0x08 || type > 0x0f) {
			if (!quic_frame_skip(&c, type))
				break;
			continue;
		}
		if (!quic_varint(&c, &id) || (type & 4 && !quic_varint(&c, &offset)))
			break;
		size = plm_cursor_left(&c);
		if (type & 2 && !quic_varint(&c, &size))
			break;
		if (size > plm_cursor_left(&c)) /* nonsense: the connection ends of it */
			break;
		demand_add(conn, &d, (int64_t)id, offset, size);
		plm_cursor_bytes(&c, size);
	}
	return demand_meet(conn, &d);
}

/* --- callbacks ----------------------------------------------------------------------------- */

static int
recv_stream_data(ngtcp2_conn *ng, uint32_t flags, int64_t stream_id, uint64_t offset,
		const uint8_t *buf, size_t len, void *user_data, void *stream_ctx)
{
	struct plm_quic_conn *conn = user_data;

	rx_advance(rx_get(conn, stream_id), offset + len);
	conn->rx_top[stream_id & 3] = RTE_MAX(conn->rx_top[stream_id & 3], stream_id + 4);
	if (conn->ops->stream(conn->ops_ctx, conn, stream_id, buf, len,
			    flags & NGTCP2_STREAM_DATA_FLAG_FIN) < 0)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

/* Nobody answers on a stream that the peer opened: our half of it ends at once. */
static int
stream_open(ngtcp2_conn *ng, int64_t stream_id, void *user_data)
{
	const struct plm_quic_conn *conn = user_data;

	if (ngtcp2_is_bidi_stream(stream_id) && !conn->quic->conf.leaves_streams)
		return ngtcp2_conn_shutdown_stream_write(ng, 0, stream_id, 0) == 0
				? 0
				: NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int
stream_close(ngtcp2_conn *ng, uint32_t flags, int64_t stream_id, uint64_t code, void *user_data,
		void *stream_ctx)
{
	struct plm_quic_conn *conn = user_data;

	chunks_drop(conn, &conn->unsent, stream_id, UINT64_MAX);
	chunks_drop(conn, &conn->unacked, stream_id, UINT64_MAX);
	if (stream_id == conn->rx_reset)
		conn->rx_reset = -1;
	if (ngtcp2_conn_is_local_stream(ng, stream_id) || conn->quic->conf.leaves_streams)
		return 0;
	conn->is_dirty =
			true; /* an acknowledgement alone may end it: the peer is to learn of the room */
	if (ngtcp2_is_bidi_stream(stream_id))
		ngtcp2_conn_extend_max_streams_bidi(ng, 1);
	else
		ngtcp2_conn_extend_max_streams_uni(ng, 1);
	return 0;
}

/*
 * ngtcp2 gives back the credit for what will not come, and closes the stream within this frame; but for a
 * unidirectional one of which nothing else came before, which it never closes (1.11, and later). The next reset shows
 * that: the peer may open another one in its place then, and its memory is the connection's until that ends.
 */
static int
stream_reset(ngtcp2_conn *ng, int64_t stream_id, uint64_t size, uint64_t code, void *user_data,
		void *stream_ctx)
{
	struct plm_quic_conn *conn = user_data;

	if (conn->rx_reset >= 0) {
		conn->nb_kept++;
		conn->is_dirty = true;
		ngtcp2_conn_extend_max_streams_uni(ng, 1);
	}
	conn->rx_reset = ngtcp2_is_bidi_stream(stream_id) ? -1 : stream_id;
	if (!conn->close_due)
		conn->ops->stream_reset(conn->ops_ctx, conn, stream_id);
	return 0;
}

uint32_t
plm_quic_streams_kept(const struct plm_quic_conn *conn)
{
	return conn->nb_kept;
}

static int
acked(ngtcp2_conn *ng, int64_t stream_id, uint64_t offset, uint64_t len, void *user_data,
		void *stream_ctx)
{
	struct plm_quic_conn *conn = user_data;

	chunks_drop(conn, &conn->unacked, stream_id, offset + len);
	return 0;
}

/* There may be room for streams that wait. */
static int
more_streams(ngtcp2_conn *ng, uint64_t max, void *user_data)
{
	struct plm_quic_conn *conn = user_data;

	conn->is_dirty |= conn->unsent.head != NULL;
	return 0;
}

static int
more_stream_data(ngtcp2_conn *ng, int64_t stream_id, uint64_t max, void *user_data,
		void *stream_ctx)
{
	return more_streams(ng, max, user_data);
}

void
quic_stream_callbacks(ngtcp2_callbacks *cb)
{
	cb->recv_stream_data = recv_stream_data;
	cb->stream_open = stream_open;
	cb->stream_close = stream_close;
	cb->stream_reset = stream_reset;
	cb->acked_stream_data_offset = acked;
	cb->extend_max_local_streams_bidi = more_streams;
	cb->extend_max_local_streams_uni = more_streams;
	cb->extend_max_stream_data = more_stream_data;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What clients say on their streams: one frame on each bidirectional one (WZP §1.6). Parts wait as they came, without credit
 * for more, until a frame is whole; so nothing is kept but what the worker counts and bounds.
 *
 * Until a client is in its room its frames are read in the order of their streams, each when its turn comes. Then nothing
 * depends on order any more, and what is of use is short: a stream is done with as soon as it is known to be too long, so that
 * streams which are written in turns never use up the credit that they all need.
 */
#include "wzp_priv.h"

/* Frames that one turn reads: each may cost a signature. */
#define FRAMES 2
#define PREFIX 4
/* JSON of a signal that somebody in a room has use for. As many streams as there may be, of that length, fit into a client's
 * credit. */
#define ROOM_SIGNAL 200
static_assert(100 * (PREFIX + ROOM_SIGNAL) < PLM_QUIC_WINDOW_MAX,
		"no stream waits for another's credit");
/* Parts of one client that wait: each that comes is looked at beside them. */
#define PARTS 64
/* Streams from the first that is not done with on, that are told apart. */
#define STREAMS 128

/* Streams of ids such as these carry frames. */
static bool
is_client_bidi(int64_t stream_id)
{
	return (stream_id & 3) == 0;
}

static bool
is_inside(const struct wzp_conn *c)
{
	return c->stage == WZP_STAGE_ROOM || c->stage == WZP_STAGE_LEAVING ||
			c->stage == WZP_STAGE_VERSION;
}

void
wzp_stream_init(struct wzp_conn *c)
{
	c->parts.head = NULL;
	c->parts.tail = &c->parts.head;
	c->nb_parts = 0;
	c->stream_id = 0;
	c->done[0] = c->done[1] = 0;
}

void
wzp_stream_fini(struct ctl_wzp *z, uint32_t idx)
{
	struct wzp_conn *c = &z->conns[idx];

	while (c->parts.head != NULL) {
		struct rte_mbuf *m = c->parts.head;

		c->parts.head = m->next;
		ctl_quic_consumed(z->ctl, idx, m);
	}
	c->parts.tail = &c->parts.head;
	c->nb_parts = 0;
}

/* --- streams that are done with --------------------------------------------------------------------- */

static bool
is_done(const struct wzp_conn *c, int64_t stream_id)
{
	const uint64_t at = (uint64_t)(stream_id - c->stream_id) / 4;

	return stream_id < c->stream_id || (at < STREAMS && (c->done[at / 64] >> at % 64 & 1));
}

static void
set_done(struct wzp_conn *c, int64_t stream_id)
{
	const uint64_t at = (uint64_t)(stream_id - c->stream_id) / 4;

	c->done[at / 64] |= UINT64_C(1) << at % 64;
	while (c->done[0] & 1) {
		c->done[0] = c->done[0] >> 1 | c->done[1] << 63;
		c->done[1] >>= 1;
		c->stream_id += 4;
	}
}

/* Nothing of it is of interest any more: its parts are given back, and so is what still comes. */
static void
close_stream(struct ctl_wzp *z, uint32_t idx, int64_t stream_id)
{
	struct wzp_conn *c = &z->conns[idx];
	struct rte_mbuf **at = &c->parts.head;

	set_done(c, stream_id);
	while (*at != NULL) {
		struct rte_mbuf *m = *at;

		if (plm_quic_part(m)->stream_id != stream_id) {
			at = &m->next;
			continue;
		}
		*at = m->next;
		if (c->parts.tail == &m->next)
			c->parts.tail = at;
		c->nb_parts--;
		ctl_quic_consumed(z->ctl, idx, m);
	}
}

/* --- frames ------------------------------------------------------------------------------------------ */

enum frame {
	FRAME_MORE, /* of it must come */
	FRAME_WHOLE,
	FRAME_SHORT, /* the stream ended within it */
	FRAME_RESET, /* or was reset */
	FRAME_BIG,
};

/* What came of a stream, in all. */
struct have {
	struct rte_mbuf *first;
	size_t len;
	bool fin;
	bool is_reset;
};

/* And of it bytes `from` to `to`, as far as they are there, to `buf`. */
static struct have
copy_out(const struct wzp_conn *c, int64_t stream_id, size_t from, size_t to, void *buf)
{
	struct have have = { 0 };

	for (struct rte_mbuf *m = c->parts.head; m != NULL; m = m->next) {
		const struct plm_quic_part *part = plm_quic_part(m);
		size_t low, high;

		if (part->stream_id != stream_id)
			continue;
		if (have.first == NULL)
			have.first = m;
		low = RTE_MAX(from, have.len);
		high = RTE_MIN(to, have.len + m->data_len);
		if (low < high)
			memcpy((uint8_t *)buf + low - from,
					rte_pktmbuf_mtod(m, const uint8_t *) + low - have.len,
					high - low);
		have.len += m->data_len;
		have.fin |= part->fin;
		have.is_reset |= part->is_reset;
	}
	return have;
}

static enum frame
frame_state(const struct wzp_conn *c, int64_t stream_id, size_t *len, struct have *have)
{
	rte_be32_t prefix = 0;

	*have = copy_out(c, stream_id, 0, PREFIX, &prefix);
	*len = rte_be_to_cpu_32(prefix);
	if (have->len >= PREFIX && *len > (is_inside(c) ? ROOM_SIGNAL : PLM_WZP_SIGNAL_MAX))
		return FRAME_BIG;
	if (have->len >= PREFIX && have->len >= PREFIX + *len)
		return FRAME_WHOLE;
	if (have->is_reset)
		return FRAME_RESET;
	return have->fin ? FRAME_SHORT : FRAME_MORE;
}

static void
ready_add(struct ctl_wzp *z, uint32_t idx)
{
	struct wzp_conn *c = &z->conns[idx];

	if (c->is_ready)
		return;
	c->is_ready = true;
	c->ready_next = WZP_NONE;
	if (z->ready.nb++ == 0)
		z->ready.head = idx;
	else
		z->conns[z->ready.tail].ready_next = idx;
	z->ready.tail = idx;
}

/* Something came of a stream. True: it is done with, or waits for nothing but to be read. */
static bool
look_at(struct ctl_wzp *z, uint32_t idx, int64_t stream_id)
{
	struct wzp_conn *c = &z->conns[idx];
	enum frame frame;
	struct have have;
	size_t len;

	frame = frame_state(c, stream_id, &len, &have);
	switch (frame) {
	case FRAME_MORE:
		return false;
	case FRAME_WHOLE:
		plm_quic_part(have.first)->is_whole = true;
		ready_add(z, idx);
		return true;
	case FRAME_SHORT:
	case FRAME_RESET:
	case FRAME_BIG:
		close_stream(z, idx, stream_id);
		wzp_signal_bad(z, idx,
				frame == FRAME_BIG ? PLM_CNT_WZP_SIGNAL_BIG
						   : PLM_CNT_WZP_SIGNAL_SHORT);
		return true;
	}
	return false;
}

void
wzp_stream_look(struct ctl_wzp *z, uint32_t idx)
{
	struct wzp_conn *c = &z->conns[idx];
	struct rte_mbuf *m = c->parts.head;

	if (c->stage == WZP_STAGE_TOKEN || c->stage == WZP_STAGE_OFFER) {
		look_at(z, idx, c->stream_id);
		return;
	}
	/* They are few: PARTS. */
	while (is_inside(c) && m != NULL) {
		if (!plm_quic_part(m)->is_whole && look_at(z, idx, plm_quic_part(m)->stream_id))
			m = c->parts.head;
		else
			m = m->next;
	}
}

void
ctl_wzp_part(struct plm_ctl *ctl, uint32_t idx, struct rte_mbuf *m)
{
	struct ctl_wzp *z = ctl->wzp;
	struct wzp_conn *c = &z->conns[idx];
	struct plm_quic_part *part = plm_quic_part(m);

	/* What follows a frame, streams that carry none, and the end of a half that clients have no use for. */
	if (!is_client_bidi(part->stream_id) || is_done(c, part->stream_id) ||
			(c->stage == WZP_STAGE_NONE && !part->is_early)) {
		ctl_quic_consumed(ctl, idx, m);
		return;
	}
	/* One that was never finished is given up when there are so many after it. */
	while (part->stream_id - c->stream_id >= 4 * STREAMS)
		close_stream(z, idx, c->stream_id);
	part->is_whole = false;
	m->next = NULL;
	*c->parts.tail = m;
	c->parts.tail = &m->next;
	c->nb_parts++;
	if (c->nb_parts > PARTS) {
		/* In a room it loses what it began first; before, it has nothing to say that takes so many. */
		close_stream(z, idx, plm_quic_part(c->parts.head)->stream_id);
		wzp_signal_bad(z, idx, PLM_CNT_WZP_SIGNAL_BIG);
	} else if (is_inside(c)) {
		look_at(z, idx, part->stream_id);
	} else if (part->stream_id == c->stream_id && c->stage != WZP_STAGE_NONE &&
			c->stage != WZP_STAGE_AUTH) {
		look_at(z, idx, part->stream_id);
	}
}

/* The signal that is to be read next: of those that are whole the one that was begun first, outside of a room if its turn
 * has come. NULL: none. */
static struct rte_mbuf *
next_whole(const struct wzp_conn *c)
{
	struct rte_mbuf *next = NULL;

	if (c->stage == WZP_STAGE_NONE || c->stage == WZP_STAGE_AUTH)
		return NULL;
	for (struct rte_mbuf *m = c->parts.head; m != NULL; m = m->next)
		if (plm_quic_part(m)->is_whole &&
				(next == NULL ||
						plm_quic_part(m)->stream_id <
								plm_quic_part(next)->stream_id))
			next = m;
	return next != NULL && (is_inside(c) || plm_quic_part(next)->stream_id == c->stream_id)
			? next
			: NULL;
}

static void
read_one(struct ctl_wzp *z, uint32_t idx)
{
	struct wzp_conn *c = &z->conns[idx];
	struct rte_mbuf *m = next_whole(c);
	struct have have;
	int64_t stream_id;
	size_t len;

	if (m == NULL)
		return;
	stream_id = plm_quic_part(m)->stream_id;
	frame_state(c, stream_id, &len, &have);
	copy_out(c, stream_id, PREFIX, PREFIX + len, z->json);
	close_stream(z, idx, stream_id);
	wzp_signal(z, idx, z->json, len);
	if (next_whole(c) != NULL)
		ready_add(z, idx);
	else if (!is_inside(c))
		wzp_stream_look(z, idx);
}

unsigned int
wzp_stream_turn(struct ctl_wzp *z)
{
	unsigned int n;

	for (n = 0; n < FRAMES && z->ready.nb > 0; n++) {
		uint32_t idx = z->ready.head;

		z->ready.head = z->conns[idx].ready_next;
		z->ready.nb--;
		z->conns[idx].is_ready = false;
		read_one(z, idx);
	}
	return n;
}

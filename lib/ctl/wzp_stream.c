/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What clients say on their streams: one frame on each bidirectional one, read in the order of the streams' ids (WZP
 * §1.6). Parts wait as they came, without credit for more, until the frame that is next is whole; so nothing is kept
 * but what the worker counts and bounds.
 */
#include <rte_byteorder.h>

#include "wzp_priv.h"

/* Frames that one turn reads: each may cost a signature. */
#define FRAMES 2
#define PREFIX 4

/* Streams of ids such as these carry frames. */
static bool
is_client_bidi(int64_t stream_id)
{
	return (stream_id & 3) == 0;
}

void
wzp_stream_init(struct wzp_conn *c)
{
	c->parts.head = NULL;
	c->parts.tail = &c->parts.head;
	c->stream_id = 0;
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
}

/* Give back the parts of all streams before the one that is next. */
static void
drop_read(struct ctl_wzp *z, uint32_t idx)
{
	struct wzp_conn *c = &z->conns[idx];
	struct rte_mbuf **at = &c->parts.head;

	while (*at != NULL) {
		struct rte_mbuf *m = *at;

		if (plm_quic_part(m)->stream_id >= c->stream_id) {
			at = &m->next;
			continue;
		}
		*at = m->next;
		if (c->parts.tail == &m->next)
			c->parts.tail = at;
		ctl_quic_consumed(z->ctl, idx, m);
	}
}

enum frame {
	FRAME_MORE, /* of it must come */
	FRAME_WHOLE,
	FRAME_SHORT, /* the stream ended within it */
	FRAME_RESET, /* or was reset */
	FRAME_BIG,
};

/* Copy what there is of bytes `from` to `to` of the next stream. How many came of it in all, and its end. */
struct have {
	size_t len;
	bool fin;
	bool is_reset;
};

static struct have
copy_out(const struct wzp_conn *c, size_t from, size_t to, void *buf)
{
	struct have have = { 0 };

	for (struct rte_mbuf *m = c->parts.head; m != NULL; m = m->next) {
		const struct plm_quic_part *part = plm_quic_part(m);
		size_t low, high;

		if (part->stream_id != c->stream_id)
			continue;
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

/* The next stream's frame; its JSON is in z->json when it is whole. */
static enum frame
frame_get(struct ctl_wzp *z, const struct wzp_conn *c, size_t *len)
{
	rte_be32_t prefix = 0;
	struct have have = copy_out(c, 0, PREFIX, &prefix);

	*len = rte_be_to_cpu_32(prefix);
	if (have.len >= PREFIX && *len > PLM_WZP_SIGNAL_MAX)
		return FRAME_BIG;
	if (have.len >= PREFIX && have.len >= PREFIX + *len) {
		copy_out(c, PREFIX, PREFIX + *len, z->json);
		return FRAME_WHOLE;
	}
	if (have.is_reset)
		return FRAME_RESET;
	return have.fin ? FRAME_SHORT : FRAME_MORE;
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

void
wzp_stream_look(struct ctl_wzp *z, uint32_t idx)
{
	struct wzp_conn *c = &z->conns[idx];
	rte_be32_t prefix = 0;
	struct have have;

	if (c->is_ready || !wzp_serves_streams(c) || c->parts.head == NULL)
		return;
	have = copy_out(c, 0, PREFIX, &prefix);
	if (have.fin || have.is_reset ||
			(have.len >= PREFIX &&
					(rte_be_to_cpu_32(prefix) > PLM_WZP_SIGNAL_MAX ||
							have.len >= PREFIX + rte_be_to_cpu_32(prefix))))
		ready_add(z, idx);
}

void
ctl_wzp_part(struct plm_ctl *ctl, uint32_t idx, struct rte_mbuf *m)
{
	struct ctl_wzp *z = ctl->wzp;
	struct wzp_conn *c = &z->conns[idx];
	const int64_t stream_id = plm_quic_part(m)->stream_id;

	/* What follows a frame, streams that carry none, and the end of a half that clients have no use for. */
	if (!is_client_bidi(stream_id) || stream_id < c->stream_id ||
			(c->stage == WZP_STAGE_NONE && !plm_quic_part(m)->is_early)) {
		ctl_quic_consumed(ctl, idx, m);
		return;
	}
	m->next = NULL;
	*c->parts.tail = m;
	c->parts.tail = &m->next;
	if (stream_id == c->stream_id)
		wzp_stream_look(z, idx);
}

/* The next frame of a client that may have one. */
static void
read_one(struct ctl_wzp *z, uint32_t idx)
{
	struct wzp_conn *c = &z->conns[idx];
	enum frame frame;
	size_t len;

	if (!wzp_serves_streams(c))
		return;
	frame = frame_get(z, c, &len);
	if (frame == FRAME_MORE)
		return;
	c->stream_id += 4;
	drop_read(z, idx);
	switch (frame) {
	case FRAME_WHOLE:
		wzp_signal(z, idx, z->json, len);
		break;
	case FRAME_SHORT:
		wzp_signal_bad(z, idx, PLM_CNT_WZP_SIGNAL_SHORT);
		break;
	case FRAME_BIG:
		wzp_signal_bad(z, idx, PLM_CNT_WZP_SIGNAL_BIG);
		break;
	case FRAME_RESET:
	case FRAME_MORE:
		break;
	}
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

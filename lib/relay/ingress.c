/* SPDX-License-Identifier: BSD-3-Clause */
/* From a received burst to fan-out jobs, in stages: what a stage reads was prefetched for the whole
 * burst by the one before it, so that the cache misses of 32 packets of 32 rooms overlap. */
#include <rte_ethdev.h>
#include <rte_prefetch.h>

#include "relay_priv.h"

/* Burst of the RTCP rate: some agents send a compound per stream at once. */
#define RTCP_BURST 16

/* Packets of one room that travel together. */
struct relay_group {
	struct plm_view *view;
	uint8_t nb;
	uint8_t is_rtcp; /* one compound, alone */
	uint8_t pkts[PLM_BURST];
};

/* --- claims ------------------------------------------------------------------------------- */

static void
claim_queue(struct relay_worker *w, uint32_t session_idx)
{
	if (w->claim_next[session_idx] != RELAY_CLAIM_NONE)
		return;
	w->claim_next[session_idx] = RELAY_CLAIM_END;
	if (w->claim_head == RELAY_CLAIM_END)
		w->claim_head = session_idx;
	else
		w->claim_next[w->claim_tail] = session_idx;
	w->claim_tail = session_idx;
}

/* All claims of one session; false when the ring is full. */
static bool
claims_send(struct relay_worker *w, uint32_t session_idx)
{
	struct plm_session_hot *hot = &w->sessions->hot[session_idx];
	struct plm_msg msg = { .type = PLM_MSG_SSRC_CLAIM, .idx = session_idx };

	/* Acquire pairs with the release in plm_session_open(). */
	msg.gen = atomic_load_explicit(&hot->gen, memory_order_acquire);
	if (msg.gen == 0 || hot->home != w->idx)
		return true; /* it ended meanwhile */
	for (unsigned int i = 0; i < hot->nb_streams && hot->claims_pending > 0; i++) {
		struct plm_stream *stream = &hot->streams[i];

		if (!stream->claim_pending)
			continue;
		msg.ssrc = stream->ssrc;
		if (plm_mailbox_put(&w->known, &msg, 1) == 0 && !plm_mutant(CLAIM_LOST))
			return false;
		stream->claim_pending = 0;
		hot->claims_pending--;
	}
	return true;
}

void
relay_claims(struct relay_worker *w)
{
	while (w->claim_head != RELAY_CLAIM_END && claims_send(w, w->claim_head)) {
		uint32_t session_idx = w->claim_head;

		w->claim_head = w->claim_next[session_idx];
		w->claim_next[session_idx] = RELAY_CLAIM_NONE;
	}
}

void
relay_revoke(struct relay_worker *w, struct plm_handle session, uint32_t ssrc)
{
	struct plm_session_hot *hot =
			plm_session_get(w->sessions, plm_sref(session.idx, session.gen, 0));

	if (hot == NULL || hot->home != w->idx)
		return;
	for (unsigned int i = 0; i < hot->nb_streams; i++) {
		if (hot->streams[i].ssrc != ssrc)
			continue;
		hot->claims_pending -= hot->streams[i].claim_pending;
		hot->streams[i] = hot->streams[--hot->nb_streams];
		hot->streams[hot->nb_streams] = (struct plm_stream){ 0 };
		return;
	}
}

/* --- limits and SSRCs --------------------------------------------------------------------- */

static bool
ssrc_is_foreign(const struct relay_worker *w, uint32_t room_idx, plm_sref_t sref, uint32_t ssrc)
{
	plm_sref_t owner = plm_session_ssrc_owner(w->sessions, room_idx, ssrc);

	return owner != 0 &&
			(plm_sref_idx(owner) != plm_sref_idx(sref) ||
					plm_sref_gen(owner) != plm_sref_gen(sref));
}

/* An SSRC that the session has not used before. The map may still say nothing although two
 * sessions claim it at once; the slow path settles that. */
static __rte_noinline struct plm_stream *
stream_new(struct relay_worker *w, struct plm_session_hot *hot, plm_sref_t sref, uint32_t ssrc,
		enum plm_counter *why)
{
	struct plm_stream *stream;

	if (ssrc_is_foreign(w, hot->room_idx, sref, ssrc)) {
		*why = PLM_CNT_RX_SSRC_FOREIGN;
		return NULL;
	}
	if (hot->nb_streams >= hot->max_ssrcs) {
		*why = PLM_CNT_RX_SSRC_LIMIT;
		return NULL;
	}
	stream = &hot->streams[hot->nb_streams++];
	*stream = (struct plm_stream){ .ssrc = ssrc,
		.view_idx = hot->room_idx,
		.claim_pending = 1 };
	hot->claims_pending++;
	claim_queue(w, plm_sref_idx(sref));
	return stream;
}

static inline struct plm_stream *
stream_find(struct relay_worker *w, struct plm_session_hot *hot, plm_sref_t sref, uint32_t ssrc,
		enum plm_counter *why)
{
	for (unsigned int i = 0; i < hot->nb_streams; i++)
		if (likely(hot->streams[i].ssrc == ssrc))
			return &hot->streams[i];
	return stream_new(w, hot, sref, ssrc, why);
}

/* Both rates, or neither, move on. */
static inline bool
rates_pass(struct plm_session_hot *hot, uint64_t now, uint16_t len, enum plm_counter *why)
{
	uint64_t packet = RTE_MAX(hot->packet_tat, now);
	uint64_t bit = RTE_MAX(hot->bit_tat, now);

	if (unlikely(packet - now > hot->packet_rate.burst_us * PLM_NS_PER_US)) {
		*why = PLM_CNT_RX_RATE_PACKETS;
		return false;
	}
	if (unlikely(bit - now > hot->bit_rate.burst_us * PLM_NS_PER_US)) {
		*why = PLM_CNT_RX_RATE_BITS;
		return false;
	}
	hot->packet_tat = packet + hot->packet_rate.cost;
	hot->bit_tat = bit + ((uint64_t)len * 8 * hot->bit_rate.cost >> 10);
	return true;
}

static inline void
add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			memory_order_relaxed);
}

static inline void
heard(struct relay_worker *w, struct plm_session_hot *hot, plm_sref_t sref)
{
	_Atomic uint32_t *ms = &hot->heard_ms[plm_sref_slot(sref)];

	if (atomic_load_explicit(ms, memory_order_relaxed) != w->now_ms)
		atomic_store_explicit(ms, w->now_ms, memory_order_relaxed);
}

/* RTP header checks (RFC 3550 A.1) as far as forwarding needs them: what CC and X promise is
 * there. The version is part of the first byte's range. */
static inline bool
rtp_valid(const uint8_t *p, uint16_t len)
{
	struct plm_rtp rtp;

	if (unlikely(len < PLM_RTP_HDR))
		return false;
	if (likely((p[0] & 0x1f) == 0)) /* neither CSRCs nor an extension */
		return true;
	return plm_rtp_parse(p, len, &rtp) == 0;
}

static inline uint32_t
be32_at(const uint8_t *p)
{
	rte_be32_t v;

	memcpy(&v, p, sizeof(v));
	return rte_be_to_cpu_32(v);
}

/* May this compound go on? Fills `rtcp`. */
static __rte_noinline bool
rtcp_accept(struct relay_worker *w, struct plm_session_hot *hot, const struct plm_pkt *pkt,
		const uint8_t *p, struct plm_rtcp *rtcp, enum plm_counter *why)
{
	const struct plm_view *view = plm_room_view(w->rooms, hot->room_idx);

	*why = PLM_CNT_RX_RTCP_NO_TARGET;
	if (view == NULL)
		return false;
	*why = PLM_CNT_RX_RTCP_MALFORMED;
	if (relay_rtcp_parse(view->rtcp, p, pkt->payload_len, rtcp) < 0)
		return false;
	heard(w, hot, pkt->sref);
	if (!rates_pass(hot, w->now_ns, pkt->payload_len, why))
		return false;
	*why = PLM_CNT_RX_RTCP_RATE;
	if (!relay_gcra(&hot->rtcp_tat, w->now_ns, w->rtcp_cost_ns,
			    (uint64_t)w->rtcp_cost_ns * RTCP_BURST))
		return false;
	/* A member speaks for no other: the first packet's sender it claims, further ones and those
	 * that a BYE takes leave of may be nobody's, but not somebody else's. */
	*why = PLM_CNT_RX_SSRC_FOREIGN;
	for (unsigned int i = 1; i < rtcp->nb_sources; i++) {
		if (ssrc_is_foreign(w, hot->room_idx, pkt->sref, rtcp->sources[i]))
			return false;
	}
	return stream_find(w, hot, pkt->sref, rtcp->sender_ssrc, why) != NULL;
}

static inline bool
rtp_accept(struct relay_worker *w, struct plm_session_hot *hot, const struct plm_pkt *pkt,
		const uint8_t *p, uint32_t *view_idx, enum plm_counter *why)
{
	struct plm_stream *stream;

	if (unlikely(!rtp_valid(p, pkt->payload_len))) {
		*why = PLM_CNT_RX_RTP_MALFORMED;
		return false;
	}
	heard(w, hot, pkt->sref);
	if (unlikely(!(hot->role & PLM_ROLE_PUBLISH))) {
		*why = PLM_CNT_RX_ROLE;
		return false;
	}
	if (unlikely(!rates_pass(hot, w->now_ns, pkt->payload_len, why)))
		return false;
	stream = stream_find(w, hot, pkt->sref, be32_at(p + 8), why);
	if (unlikely(stream == NULL))
		return false;
	stream->ingress++;
	*view_idx = stream->view_idx;
	return true;
}

/* --- groups ------------------------------------------------------------------------------- */

/* Where the room's latest group of this burst is written down. */
static inline uint8_t *
group_slot(struct relay_worker *w, uint32_t room_idx, bool *found)
{
	const uint32_t mask = RTE_DIM(w->group_slot) - 1;
	uint32_t i = (room_idx * 0x9e3779b1u >> 16) & mask;

	while (w->group_slot[i].stamp == w->group_stamp && w->group_slot[i].room_idx != room_idx)
		i = (i + 1) & mask;
	*found = w->group_slot[i].stamp == w->group_stamp;
	w->group_slot[i].stamp = w->group_stamp;
	w->group_slot[i].room_idx = room_idx;
	return &w->group_slot[i].group;
}

/* Group by room in order of first appearance. A compound is a group of its own and ends the room's
 * present one, so order within a room holds. Returns the groups. */
static inline unsigned int
group_by_room(struct relay_worker *w, const uint32_t *rooms, const bool *is_rtcp, unsigned int n,
		struct relay_group *groups)
{
	unsigned int nb = 0;

	if (unlikely(++w->group_stamp == 0)) { /* older than any slot, once in 2^32 bursts */
		memset(w->group_slot, 0, sizeof(w->group_slot));
		w->group_stamp = 1;
	}
	for (unsigned int i = 0; i < n; i++) {
		bool found;
		uint8_t *slot = group_slot(w, rooms[i], &found);
		struct relay_group *g = &groups[*slot];

		if (!found || is_rtcp[i] || g->is_rtcp) {
			g = &groups[nb];
			g->view = plm_room_view(w->rooms, rooms[plm_mutant(WRONG_ROOM) ? 0 : i]);
			g->nb = 0;
			g->is_rtcp = is_rtcp[i];
			rte_prefetch0(g->view);
			*slot = (uint8_t)nb++;
		}
		g->pkts[g->nb++] = (uint8_t)i;
	}
	return nb;
}

/* Lines of the views that the fan-out will read first: ranges, entries, their counters. */
static inline void
prefetch_views(struct relay_worker *w, const struct relay_group *groups, unsigned int nb)
{
	for (unsigned int g = 0; g < nb; g++) {
		const struct plm_view *view = groups[g].view;

		if (likely(view != NULL))
			rte_prefetch0(&view->ranges[view->first_range[w->idx]]);
	}
	for (unsigned int g = 0; g < nb; g++) {
		const struct plm_view *view = groups[g].view;
		const struct plm_range *r;

		if (unlikely(view == NULL ||
				    view->first_range[w->idx] == view->first_range[w->idx + 1]))
			continue;
		r = &view->ranges[view->first_range[w->idx]];
		for (unsigned int i = 0; i < 3 && i < r->nb_subs; i++)
			rte_prefetch0(&view->subs[r->first + i]);
	}
	for (unsigned int g = 0; g < nb; g++) {
		const struct plm_view *view = groups[g].view;
		const struct plm_range *r;

		if (unlikely(view == NULL ||
				    view->first_range[w->idx] == view->first_range[w->idx + 1]))
			continue;
		r = &view->ranges[view->first_range[w->idx]];
		for (unsigned int i = 0; i < 3 && i < r->nb_subs; i++)
			rte_prefetch0(&w->tx[view->subs[r->first + i].session_idx]);
	}
}

/* Does the session of a packet that was accepted still stand, now that the view is loaded? A view may
 * name the session that its participant came back with, which would get what is its own. The old
 * one ended before that view was published, so whoever sees the view sees the end. */
static inline bool
sender_stays(const struct relay_worker *w, struct rte_mbuf *m)
{
	return plm_mutant(TO_SUCCESSOR) || plm_session_get(w->sessions, plm_pkt(m)->sref) != NULL;
}

/* The first of a room's members whom this worker serves. NULL: none. */
static inline const struct plm_range *
first_range(const struct relay_worker *w, const struct plm_view *view)
{
	if (view == NULL || view->first_range[w->idx] == view->first_range[w->idx + 1])
		return NULL;
	return &view->ranges[view->first_range[w->idx]];
}

/* The receivers that a QUIC room's fan-out begins with: of the room after next, and more of the next one's. */
static inline void
prefetch_receivers(struct relay_worker *w, const struct relay_group *groups, unsigned int g,
		unsigned int nb)
{
	const struct plm_range *r = g < nb ? first_range(w, groups[g].view) : NULL;

	for (unsigned int i = 0; r != NULL && i < 2 && i < r->nb_subs; i++)
		relay_quic_prefetch(w, groups[g].view->subs[r->first + i].session_idx);
}

static inline void
prefetch_receivers_more(struct relay_worker *w, struct rte_mbuf *const *ok,
		const struct relay_group *groups, unsigned int g, unsigned int nb)
{
	const struct plm_range *r = g < nb ? first_range(w, groups[g].view) : NULL;

	if (r != NULL && r->nb_subs > 0)
		relay_quic_prefetch_more(w, groups[g].view->subs[r->first].session_idx,
				plm_pkt(ok[groups[g].pkts[0]])->payload_len);
}

/* Accepted packets, with the room of each, to whom they reach. Consumes them; how many were media. */
static __rte_always_inline unsigned int
dispatch(struct relay_worker *w, struct rte_mbuf **ok, const uint32_t *rooms, const bool *is_rtcp,
		unsigned int nb_ok, enum plm_counter stale, const bool is_quic)
{
	struct relay_group groups[PLM_BURST];
	unsigned int nb_media = 0;
	unsigned int nb_groups;

	nb_groups = group_by_room(w, rooms, is_rtcp, nb_ok, groups);
	prefetch_views(w, groups, nb_groups);
	if (is_quic) {
		prefetch_receivers(w, groups, 0, nb_groups);
		prefetch_receivers(w, groups, 1, nb_groups);
		prefetch_receivers_more(w, ok, groups, 0, nb_groups);
	}
	for (unsigned int g = 0; g < nb_groups; g++) {
		const struct relay_group *group = &groups[g];
		struct rte_mbuf *first = ok[group->pkts[0]];

		plm_sched_point(GROUP, NULL);
		if (is_quic) {
			prefetch_receivers(w, groups, g + 2, nb_groups);
			prefetch_receivers_more(w, ok, groups, g + 1, nb_groups);
		}
		if (unlikely(group->is_rtcp)) {
			if (group->view != NULL && unlikely(group->view->traced))
				relay_tap(w, group->view->room_idx, first);
			if (sender_stays(w, first))
				relay_rtcp_route(w, group->view, &w->rtcp[group->pkts[0]], first);
			else
				relay_drop(w, first, stale);
			continue;
		}
		if (unlikely(group->view == NULL)) { /* the room went; nobody is owed a copy */
			for (unsigned int i = 0; i < group->nb; i++)
				rte_pktmbuf_free(ok[group->pkts[i]]);
			nb_media += group->nb;
			continue;
		}
		/* Before the headers are cut off. */
		if (unlikely(group->view->traced))
			for (unsigned int i = 0; i < group->nb; i++)
				relay_tap(w, group->view->room_idx,
						plm_mutant(TRACE_FIRST) ? first
									: ok[group->pkts[i]]);
		relay_job_begin(w, group->view, plm_pkt(first)->rx_ns);
		for (unsigned int i = 0; i < group->nb; i++) {
			struct rte_mbuf *m = ok[group->pkts[i]];

			if (likely(sender_stays(w, m)))
				relay_job_add(w, m);
			else
				relay_drop(w, m, stale);
		}
		nb_media += w->job.nb;
		if (likely(w->job.nb > 0))
			relay_job_to_room(w, RELAY_SUBSCRIBERS);
	}
	return nb_media;
}

/* Packets of sessions whose home we are: limits, SSRCs, fan-out. Consumes them. */
static void
ingress(struct relay_worker *w, struct rte_mbuf **pkts, unsigned int n)
{
	struct rte_mbuf *ok[PLM_BURST];
	uint32_t rooms[PLM_BURST];
	bool is_rtcp[PLM_BURST];
	unsigned int nb_ok = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		const struct plm_pkt *pkt = plm_pkt(m);
		const uint8_t *p = rte_pktmbuf_mtod_offset(m, const uint8_t *, pkt->payload_off);
		struct plm_session_hot *hot = &w->sessions->hot[plm_sref_idx(pkt->sref)];
		enum plm_counter why;
		bool accepted;

		plm_sched_point(INGRESS, NULL);
		rooms[nb_ok] = hot->room_idx;
		is_rtcp[nb_ok] = plm_wire_classify(p, pkt->payload_len) == PLM_PROTO_RTCP;
		if (unlikely(is_rtcp[nb_ok]))
			accepted = rtcp_accept(w, hot, pkt, p, &w->rtcp[nb_ok], &why);
		else
			accepted = rtp_accept(w, hot, pkt, p, &rooms[nb_ok], &why);
		if (unlikely(!accepted)) {
			add(&hot->rx_dropped, 1);
			relay_drop(w, m, why);
			continue;
		}
		add(&hot->rx_packets, 1);
		add(&hot->rx_bytes, pkt->payload_len);
		rte_prefetch0(&w->rooms->hot[rooms[nb_ok]]);
		ok[nb_ok++] = m;
	}
	plm_count_add(&w->counters, PLM_CNT_MEDIA,
			dispatch(w, ok, rooms, is_rtcp, nb_ok, PLM_CNT_RX_STALE_SESSION, false));
}

/* May this datagram go on? A session of QUIC has no SSRCs. */
static inline bool
datagram_accept(struct relay_worker *w, struct plm_session_hot *hot, const struct plm_pkt *pkt,
		const uint8_t *p, enum plm_counter *why)
{
	*why = PLM_CNT_DGRAM_SESSION;
	if (unlikely(hot == NULL))
		return false;
	*why = PLM_CNT_DGRAM_ROLE;
	if (unlikely(!(hot->role & PLM_ROLE_PUBLISH)))
		return false;
	*why = PLM_CNT_DGRAM_MALFORMED;
	if (unlikely(plm_wzp_media_check(p, pkt->payload_len) < 0))
		return false;
	if (likely(rates_pass(hot, w->now_ns, pkt->payload_len, why)))
		return true;
	*why = *why == PLM_CNT_RX_RATE_BITS ? PLM_CNT_DGRAM_RATE_BITS : PLM_CNT_DGRAM_RATE_PACKETS;
	return false;
}

/* What is told apart, although all of it goes on as it came. */
static __rte_noinline void
datagram_note(struct relay_worker *w, struct plm_session_hot *hot, const uint8_t *p, uint16_t len)
{
	if (plm_wzp_has_report(p[0])) {
		plm_quality_store(hot, be32_at(p + len - PLM_WZP_REPORT));
		plm_count(&w->counters, PLM_CNT_DGRAM_REPORTS);
	} else if (plm_wzp_is_trunk(p, len)) {
		plm_count(&w->counters, PLM_CNT_DGRAM_TRUNKS);
	}
}

/* A report, or what may be a trunk frame: clients' Opus begins with two zeros. */
static inline bool
datagram_is_notable(const uint8_t *p)
{
	return plm_wzp_has_report(p[0]) || (p[0] == 0 && p[1] != 0);
}

void
relay_ingress_quic(struct relay_worker *w, struct rte_mbuf **media, unsigned int n)
{
	static const bool is_rtcp[PLM_BURST];
	struct rte_mbuf *ok[PLM_BURST];
	uint32_t rooms[PLM_BURST];
	unsigned int nb_ok = 0;

	for (unsigned int i = 0; i < n; i++) {
		const struct plm_pkt *pkt = plm_pkt(media[i]);
		const uint8_t *p = rte_pktmbuf_mtod(media[i], const uint8_t *);
		struct plm_session_hot *hot = plm_session_get(w->sessions, pkt->sref);
		enum plm_counter why;

		if (unlikely(!datagram_accept(w, hot, pkt, p, &why))) {
			if (hot != NULL)
				add(&hot->rx_dropped, 1);
			plm_count(&w->counters, why);
			rte_pktmbuf_free(media[i]);
			continue;
		}
		if (unlikely(datagram_is_notable(p)))
			datagram_note(w, hot, p, pkt->payload_len);
		add(&hot->rx_packets, 1);
		add(&hot->rx_bytes, pkt->payload_len);
		rooms[nb_ok] = hot->room_idx;
		ok[nb_ok++] = media[i];
	}
	plm_count_add(&w->counters, PLM_CNT_DGRAMS_MEDIA,
			dispatch(w, ok, rooms, is_rtcp, nb_ok, PLM_CNT_DGRAM_SESSION, true));
}

/* --- reception ---------------------------------------------------------------------------- */

/* Session references of a burst, in bulk, by family. */
static inline void
lookup(struct relay_worker *w, struct rte_mbuf **pkts, unsigned int n)
{
	/* The hash function reads 8 bytes at a time. */
	alignas(8) struct plm_key4 key4[PLM_BURST];
	struct {
		alignas(8) struct plm_key6 key;
	} key6[PLM_BURST];
	const struct plm_key4 *keys4[PLM_BURST];
	const struct plm_key6 *keys6[PLM_BURST];
	struct plm_pkt *pkt4[PLM_BURST];
	struct plm_pkt *pkt6[PLM_BURST];
	plm_sref_t refs[PLM_BURST];
	unsigned int n4 = 0;
	unsigned int n6 = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct plm_pkt *pkt = plm_pkt(pkts[i]);

		if (pkt->is_v6) {
			struct plm_key6 *key = &key6[n6].key;

			memcpy(key->addr, pkt->src_addr, sizeof(key->addr));
			key->port = pkt->src_port;
			key->local_idx = pkt->local_idx;
			keys6[n6] = key;
			pkt6[n6++] = pkt;
		} else {
			memcpy(key4[n4].addr, pkt->src_addr, sizeof(key4[n4].addr));
			key4[n4].port = pkt->src_port;
			key4[n4].local_idx = pkt->local_idx;
			keys4[n4] = &key4[n4];
			pkt4[n4++] = pkt;
		}
	}
	if (n4 > 0) {
		plm_session_lookup4(w->sessions, keys4, n4, refs);
		for (unsigned int i = 0; i < n4; i++)
			pkt4[i]->sref = refs[i];
	}
	if (n6 > 0) {
		plm_session_lookup6(w->sessions, keys6, n6, refs);
		for (unsigned int i = 0; i < n6; i++)
			pkt6[i]->sref = refs[i];
	}
	plm_sched_point(LOOKUP, NULL);
	for (unsigned int i = 0; i < n; i++) {
		const struct plm_session_hot *hot =
				&w->sessions->hot[plm_sref_idx(plm_pkt(pkts[i])->sref)];

		rte_prefetch0(hot);
		rte_prefetch0(&hot->rx_packets);
	}
}

/* An indication counts as a sign of life, and only the home may write that down. */
static inline bool
is_indication(const struct rte_mbuf *m, const struct plm_pkt *pkt)
{
	const uint8_t *p = rte_pktmbuf_mtod_offset(m, const uint8_t *, pkt->payload_off);

	return pkt->payload_len >= 2 && (p[0] & 0x01) == 0 && (p[1] & 0x10) != 0;
}

static inline void
cross(struct relay_worker *w, unsigned int home, struct rte_mbuf *m)
{
	struct relay_batch *batch = &w->cross[home];

	batch->msgs[batch->n++] = (struct plm_msg){
		.type = PLM_MSG_PACKET,
		.idx = plm_sref_idx(plm_pkt(m)->sref),
		.mbuf = m,
	};
}

/* Of a looked-up packet: whether it is media of a session whose home we are. Otherwise it is
 * consumed: crosses, goes to the slow path, or is dropped. */
static inline bool
is_ours(struct relay_worker *w, struct rte_mbuf *m)
{
	struct plm_pkt *pkt = plm_pkt(m);
	const uint8_t first = *rte_pktmbuf_mtod_offset(m, const uint8_t *, pkt->payload_off);
	struct plm_session_hot *hot = NULL;

	if (likely(pkt->sref != 0))
		hot = plm_session_get(w->sessions, pkt->sref);
	if (unlikely(first < 128)) {
		if (hot == NULL)
			pkt->sref = 0;
		else if (is_indication(m, pkt)) {
			if (hot->home != w->idx) {
				cross(w, hot->home, m);
				return false;
			}
			heard(w, hot, pkt->sref);
		}
		relay_stun(w, m, pkt);
		return false;
	}
	if (unlikely(hot == NULL)) {
		relay_drop(w, m, pkt->sref == 0 ? PLM_CNT_RX_NO_SESSION : PLM_CNT_RX_STALE_SESSION);
		return false;
	}
	if (unlikely(hot->home != w->idx) && !plm_mutant(FOREIGN_HOME)) {
		cross(w, hot->home, m);
		return false;
	}
	return true;
}

/* Hand the gathered messages over; what the ring does not take is dropped and counted. */
static void
batch_flush(struct relay_worker *w, struct relay_batch *batch, struct plm_mailbox *box,
		enum plm_counter sent, enum plm_counter full)
{
	unsigned int taken = plm_mailbox_put(box, batch->msgs, batch->n);

	plm_count_add(&w->counters, sent, taken);
	if (unlikely(taken < batch->n)) {
		plm_count_add(&w->counters, full, batch->n - taken);
		for (unsigned int i = taken; i < batch->n; i++) {
			plm_sim_drop(&w->counters, batch->msgs[i].mbuf, full);
			if (!plm_mutant(RING_LEAK))
				rte_pktmbuf_free(batch->msgs[i].mbuf);
		}
	}
	batch->n = 0;
}

static inline void
batches_flush(struct relay_worker *w)
{
	if (unlikely(w->to_known.n > 0))
		batch_flush(w, &w->to_known, &w->known, PLM_CNT_TO_CTL, PLM_CNT_RX_CTL_RING_KNOWN);
	if (unlikely(w->to_unknown.n > 0))
		batch_flush(w, &w->to_unknown, &w->unknown, PLM_CNT_TO_CTL,
				PLM_CNT_RX_CTL_RING_UNKNOWN);
	for (unsigned int i = 0; i < w->nb_workers; i++)
		if (w->cross[i].n > 0)
			batch_flush(w, &w->cross[i], &w->relay->workers[i]->cross_in[w->idx],
					PLM_CNT_CROSSED_OUT, PLM_CNT_RX_CROSS_RING);
}

/* Lines of a frame's start that are asked for at once. */
#define FRAME_LINES 4
/* Packets of which the rest is asked for ahead of the one at hand, whose payload is summed. */
#define FRAMES_AHEAD 2

/* Another core, or the NIC, wrote all this. RX pools are ours, so where the frame is follows from
 * the mbuf's address, and the lines of both come at the same time; those of the mbuf and of struct
 * plm_pkt to be written. A wrong guess costs a line. */
static inline void
prefetch_frame(struct rte_mbuf *m)
{
	struct plm_pkt *pkt = plm_pkt(m);
	const uint8_t *frame = (const uint8_t *)(pkt + 1) + RTE_PKTMBUF_HEADROOM;

	__builtin_prefetch(m, 1);
	__builtin_prefetch(pkt, 1);
	for (unsigned int i = 0; i < FRAME_LINES; i++)
		rte_prefetch0(frame + i * RTE_CACHE_LINE_SIZE);
}

static inline void
prefetch_rest(const struct rte_mbuf *m)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	const uint8_t *end = p + m->data_len;

	for (p += FRAME_LINES * RTE_CACHE_LINE_SIZE; p < end; p += RTE_CACHE_LINE_SIZE)
		rte_prefetch0(p);
}

/* Of a burst of a port with a VLAN: what carries its tag, without it. The rest is dropped. */
static __rte_noinline unsigned int
burst_untag(struct relay_worker *w, const struct plm_port *port, struct rte_mbuf **pkts,
		unsigned int n)
{
	uint64_t bytes = 0; /* that the caller will not see */
	unsigned int nb = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];

		bytes += m->pkt_len;
		if (likely(plm_port_untag(port, m))) {
			bytes -= m->pkt_len;
			pkts[nb++] = m;
		} else {
			relay_drop(w, m, PLM_CNT_RX_VLAN);
		}
	}
	plm_count_add(&w->counters, PLM_CNT_RX_BYTES, bytes);
	plm_count_add(&w->counters, PLM_CNT_RX_PACKETS, n - nb);
	return nb;
}

unsigned int
relay_rx(struct relay_worker *w, const struct relay_rxq *rxq)
{
	struct rte_mbuf *pkts[PLM_BURST];
	struct rte_mbuf *quic[PLM_BURST];
	const struct plm_port *port = rxq->port;
	uint64_t bytes = 0;
	unsigned int nb_udp = 0;
	unsigned int nb_ours = 0;
	unsigned int nb_quic = 0;
	unsigned int taken;
	unsigned int n;

	taken = rte_eth_rx_burst(port->ethdev_id, rxq->queue_id, pkts, PLM_BURST);
	n = taken;
	if (n == 0)
		return 0;
	for (unsigned int i = 0; i < n; i++)
		prefetch_frame(pkts[i]);
	if (unlikely(port->vlan != 0))
		n = burst_untag(w, port, pkts, n);
	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct plm_pkt *pkt = plm_pkt(m);
		enum plm_net_verdict verdict;
		enum plm_counter why;

		if (i + FRAMES_AHEAD < n)
			prefetch_rest(pkts[i + FRAMES_AHEAD]);
		bytes += m->pkt_len;
		verdict = plm_net_rx(w->net, port, m, &why);
		pkt->rx_ns = w->now_ns;
		if (likely(verdict == PLM_NET_UDP)) {
			const uint8_t *p = rte_pktmbuf_mtod_offset(m, const uint8_t *,
					pkt->payload_off);

			/* STUN, RTP and RTCP, QUIC; DTLS has its place here. */
			if (likely((*p >= 128 && *p <= 191) || *p <= 3))
				pkts[nb_udp++] = m;
			else if (*p >= 64 && w->quic != NULL)
				quic[nb_quic++] = m;
			else
				relay_drop(w, m, PLM_CNT_RX_FIRST_BYTE);
		} else if (verdict == PLM_NET_CTL) {
			relay_l2(w, m, pkt);
		} else {
			relay_drop(w, m, why);
		}
	}
	plm_count_add(&w->counters, PLM_CNT_RX_PACKETS, n);
	plm_count_add(&w->counters, PLM_CNT_RX_BYTES, bytes);

	lookup(w, pkts, nb_udp);
	for (unsigned int i = 0; i < nb_udp; i++)
		if (likely(is_ours(w, pkts[i])))
			pkts[nb_ours++] = pkts[i];
	if (nb_quic > 0)
		relay_quic_rx(w, quic, nb_quic);
	batches_flush(w);
	if (nb_ours > 0)
		ingress(w, pkts, nb_ours);
	if (nb_quic > 0)
		relay_quic_media(w);
	return taken;
}

unsigned int
relay_cross_rx(struct relay_worker *w, unsigned int from)
{
	struct plm_msg msgs[PLM_BURST];
	struct rte_mbuf *pkts[PLM_BURST];
	unsigned int nb_ours = 0;
	unsigned int n = plm_mailbox_get(&w->cross_in[from], msgs, PLM_BURST);

	if (n == 0)
		return 0;
	for (unsigned int i = 0; i < n; i++) {
		const struct plm_session_hot *hot = &w->sessions->hot[msgs[i].idx];

		if (likely(msgs[i].type == PLM_MSG_PACKET)) {
			rte_prefetch0(hot);
			rte_prefetch0(&hot->rx_packets);
		}
		rte_prefetch0(plm_pkt(msgs[i].mbuf));
		rte_prefetch0(rte_pktmbuf_mtod(msgs[i].mbuf, void *));
	}
	plm_count_add(&w->counters, PLM_CNT_CROSSED_IN, n);
	for (unsigned int i = 0; i < n; i++) {
		if (unlikely(msgs[i].type == PLM_MSG_QUIC))
			relay_quic_take(w, msgs[i].mbuf, false);
		else if (likely(is_ours(w, msgs[i].mbuf)))
			pkts[nb_ours++] = msgs[i].mbuf;
	}
	batches_flush(w);
	if (nb_ours > 0)
		ingress(w, pkts, nb_ours);
	if (w->quic != NULL)
		relay_quic_media(w);
	return n;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One room on every worker. A view is sliced by home worker. The home of a packet's sender hands it
 * once to each other worker that serves members whom it reaches:
 *
 *   the sender's home                     another worker
 *   fan-out ─┬─▶ its own slice
 *            └─▶ slice ring ────────────▶ a copy of the payload ─▶ its own slice, of the view that
 *   one reference back ◀── return ring ─────────┘                  stands then, newcomers left out
 *
 * The payload is lent: it is read there and comes back, and the reference is dropped by the worker
 * that took it. So a payload's count is touched by one lcore only, and so is the count of each copy.
 * A worker lends no more than the return ring holds; there a full ring cannot be.
 *
 * Order: what one sender's home hands to one worker stays in line, and nobody else sends to that
 * worker's members. A sender that has ended may have come back, with another home, whose ring is another
 * line: what was handed over for it before is dropped.
 *
 * A message may wait longer than a grace period. It names the room by index, so the generation is
 * looked at again: it may be another room now. And it says which view was loaded for the packet: only
 * whom that view named is served, if he is still there. A participant may have been a member elsewhere when
 * the packet came, served by another worker or the packet's sender, and have come back into this slice
 * since; he has had what was his.
 */
#include <rte_memcpy.h>
#include <rte_prefetch.h>

#include "relay_priv.h"

/* Bursts of payloads that come back from one worker in one turn. */
#define BACK_BURSTS 4

static uint32_t
slice_size(const struct plm_view *view, unsigned int home, enum relay_reach reach)
{
	uint32_t n = 0;

	for (unsigned int r = view->first_range[home]; r < view->first_range[home + 1]; r++) {
		const struct plm_range *range = &view->ranges[r];

		n += reach == RELAY_SUBSCRIBERS          ? range->nb_subs
				: reach == RELAY_MEMBERS ? range->nb_members
							 : range->nb_publishers;
	}
	return n;
}

/* The simulator is told of each copy that a slice does not get. */
static void
slice_note(struct relay_worker *w, struct plm_view *view, unsigned int home, enum relay_reach reach,
		const struct rte_mbuf *m, enum plm_counter why)
{
#ifdef PLM_SIM
	const struct plm_pkt *pkt = plm_pkt((struct rte_mbuf *)(uintptr_t)m);
	struct relay_target targets[PLM_RTCP_TARGETS];
	unsigned int n;

	for (unsigned int r = view->first_range[home]; r < view->first_range[home + 1]; r++) {
		const struct plm_range *range = &view->ranges[r];

		n = reach == RELAY_SUBSCRIBERS ? range->nb_subs : range->nb_members;
		for (uint32_t i = 0; i < n && reach != RELAY_OWNERS; i++) {
			const struct plm_sub *sub = &view->subs[range->first + i];

			if (reach != RELAY_PUBLISHERS || sub->flags & PLM_SUB_PUBLISHES)
				plm_sim_copy_drop(&w->counters, m, sub->session_idx, why);
		}
	}
	n = reach != RELAY_OWNERS ? 0
				  : relay_rtcp_owners(w, view, home, pkt->lent, pkt->payload_len,
						    plm_sref_idx(pkt->sref), targets);
	for (unsigned int i = 0; i < n; i++)
		plm_sim_copy_drop(&w->counters, m, view->subs[targets[i].pos].session_idx, why);
#endif
}

/* None of a slice's members gets this packet. They are too many to be counted one by one. */
static __rte_noinline void
slice_drop(struct relay_worker *w, struct plm_view *view, unsigned int home, enum relay_reach reach,
		const struct rte_mbuf *m, uint32_t size, enum plm_counter why)
{
	slice_note(w, view, home, reach, m, why);
	if (plm_mutant(SLICE_UNCOUNTED) && size > 1)
		size = 1;
	w->due += size;
	plm_count_add(&w->counters, why, size);
}

/* --- lending ------------------------------------------------------------------------------ */

void
relay_lend_begin(struct relay_worker *w)
{
	for (unsigned int i = 0; i < w->job.nb; i++) {
		struct rte_mbuf *m = w->job.pay[i].m;

		plm_pkt(m)->lent = rte_pktmbuf_mtod(m, const uint8_t *);
		plm_pkt(m)->view_seq = (uint32_t)w->job.view->seq;
	}
}

void
relay_lend_to(struct relay_worker *w, unsigned int to, enum relay_reach reach, unsigned int size)
{
	const struct relay_job *job = &w->job;
	struct plm_view *view = job->view;
	struct plm_msg msgs[PLM_BURST];
	unsigned int n = RTE_MIN(job->nb, w->relay->conf.ring_size - w->lent[to]);

	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = job->pay[i].m;

		msgs[i] = (struct plm_msg){
			.type = (uint16_t)(PLM_MSG_SLICE + reach),
			.aux = view->gen,
			.idx = view->room_idx,
			.mbuf = m,
		};
		/* Before it can come back. Not an atomic operation the first time. */
		rte_mbuf_refcnt_update(m, 1);
		plm_sched_point(REF_ADD, m);
	}
	if (likely(n > 0)) {
		unsigned int taken =
				plm_mailbox_put(&w->relay->workers[to]->slice_in[w->idx], msgs, n);

		for (unsigned int i = taken; i < n; i++)
			rte_mbuf_refcnt_update(job->pay[i].m, -1); /* ours is left */
		n = taken;
	}
	w->lent[to] += n;
	plm_count_add(&w->counters, PLM_CNT_SLICES_OUT, n);
	for (unsigned int i = n; i < job->nb; i++)
		slice_drop(w, view, to, reach, job->pay[i].m, size, PLM_CNT_COPY_SLICE_RING);
}

void
relay_lend(struct relay_worker *w, enum relay_reach reach)
{
	const struct plm_view *view = w->job.view;
	unsigned int last = PLM_WORKERS_MAX;

	relay_lend_begin(w);
	for (unsigned int v = 0; v < w->nb_workers && plm_mutant(SLICE_FORGOTTEN); v++)
		if (v != w->idx && slice_size(view, v, reach) > 0)
			last = v;
	for (unsigned int v = 0; v < w->nb_workers; v++) {
		uint32_t size = v != w->idx ? slice_size(view, v, reach) : 0;

		if (size == 0 || v == last)
			continue;
		relay_lend_to(w, v, reach, size);
		if (plm_mutant(SLICE_TWICE))
			relay_lend_to(w, v, reach, size);
	}
}

unsigned int
relay_back_rx(struct relay_worker *w, unsigned int from)
{
	struct plm_msg msgs[PLM_BURST];
	unsigned int total = 0;
	unsigned int n;

	for (unsigned int b = 0; b < BACK_BURSTS; b++) {
		n = plm_mailbox_get(&w->back_in[from], msgs, PLM_BURST);
		for (unsigned int i = 0; i < n; i++)
			relay_refs_drop(msgs[i].mbuf, 1);
		total += n;
		if (n < PLM_BURST)
			break;
	}
	w->lent[from] -= total;
	return total;
}

/* --- borrowing ---------------------------------------------------------------------------- */

/* A copy of a lent payload, as if it had been received here. NULL: the pool is empty, or its mbufs
 * are smaller than those of the lender's RX pool. */
static struct rte_mbuf *
copy_lent(struct relay_worker *w, struct rte_mbuf *lent)
{
	const struct plm_pkt *from = plm_pkt(lent);
	struct rte_mbuf *m;
	struct plm_pkt *pkt;
	void *obj;

	if (plm_mutant(SLICE_SHARED)) {
		rte_mbuf_refcnt_update(lent, 1);
		plm_sched_point(REF_ADD, lent);
		return lent;
	}
	/* Raw: reference count 1, next NULL and one segment are the pool's own invariants. */
	if (plm_fault(POOL_SLICE) || unlikely(from->payload_len > w->slice_room) ||
			rte_mempool_get(w->slice_pool, &obj) < 0)
		return NULL;
	m = obj;
	pkt = plm_pkt(m);
	*pkt = *from;
	pkt->payload_off = 0;
	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->ol_flags = 0;
	pkt->lent = rte_pktmbuf_mtod(m, const uint8_t *);
	rte_memcpy(rte_pktmbuf_mtod(m, void *), from->lent, from->payload_len);
	plm_sim_copied(m, lent);
	return m;
}

/* The room's view, if it is still that room's. */
static struct plm_view *
view_of(struct relay_worker *w, const struct plm_msg *msg)
{
	struct plm_view *view = plm_room_view(w->rooms, msg->idx);

	return view != NULL && view->gen == msg->aux ? view : NULL;
}

static enum relay_reach
reach_of(const struct plm_msg *msg)
{
	return (enum relay_reach)(msg->type - PLM_MSG_SLICE);
}

/* Our members get nothing of a packet that was handed over. */
static __rte_noinline void
ours_drop(struct relay_worker *w, struct plm_view *view, enum relay_reach reach, struct rte_mbuf *m,
		enum plm_counter why)
{
	const struct plm_pkt *pkt = plm_pkt(m);
	struct relay_target targets[PLM_RTCP_TARGETS];
	uint32_t size;

	if (reach == RELAY_OWNERS)
		size = relay_rtcp_owners(w, view, w->idx, pkt->lent, pkt->payload_len,
				plm_sref_idx(pkt->sref), targets);
	else
		size = slice_size(view, w->idx, reach);
	slice_drop(w, view, w->idx, reach, m, size, why);
}

static __rte_noinline void
copy_failed(struct relay_worker *w, const struct plm_msg *msg)
{
	struct plm_view *view = view_of(w, msg);

	if (view != NULL)
		ours_drop(w, view, reach_of(msg), msg->mbuf, PLM_CNT_COPY_SLICE_POOL);
}

/* Does the sender's session still stand? What its successor sent may be here already, by another way. */
static bool
sender_stays(const struct relay_worker *w, struct rte_mbuf *m)
{
	return plm_mutant(SLICE_STALE) || plm_session_get(w->sessions, plm_pkt(m)->sref) != NULL;
}

static void
owners_serve(struct relay_worker *w)
{
	struct relay_target targets[PLM_RTCP_TARGETS];
	struct rte_mbuf *m = w->job.pay[0].m;
	unsigned int found = relay_rtcp_owners(w, w->job.view, w->idx,
			rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, w->job.pay[0].sender,
			targets);
	unsigned int n = 0;

	for (unsigned int i = 0; i < found; i++)
		if (relay_slice_named(w->job.view, targets[i].pos, m))
			targets[n++] = targets[i];
	if (n > 0)
		relay_job_send(w, targets, n);
	else
		rte_pktmbuf_free(m);
}

/* Packets of one room, reach and view, copied. Consumes them. */
static void
slice_serve(struct relay_worker *w, const struct plm_msg *msg, struct rte_mbuf **pkts,
		unsigned int n)
{
	const enum relay_reach reach = reach_of(msg);
	struct plm_view *view = view_of(w, msg);
	const uint32_t view_seq = plm_pkt(pkts[0])->view_seq;
	uint8_t need = 0;

	if (unlikely(view == NULL)) { /* the room went; nobody is owed a copy */
		rte_pktmbuf_free_bulk(pkts, n);
		return;
	}
	relay_job_begin(w, view, plm_pkt(pkts[0])->rx_ns);
	for (unsigned int i = 0; i < n; i++) {
		if (likely(sender_stays(w, pkts[i]))) {
			relay_job_add(w, pkts[i]);
			continue;
		}
		ours_drop(w, view, reach, pkts[i], PLM_CNT_COPY_SLICE_STALE);
		rte_pktmbuf_free(pkts[i]);
	}
	if (unlikely(w->job.nb == 0))
		return;
	/* Views have come and gone meanwhile: with them, members. */
	if (unlikely(view_seq != (uint32_t)view->seq) && !plm_mutant(SLICE_NEWCOMERS))
		need = RELAY_NEED_AGE;
	if (unlikely(reach == RELAY_OWNERS))
		owners_serve(w);
	else
		relay_job_fan_out(w, reach, need);
}

/* May two messages, with copies of what they brought, be served at once? An RTCP compound goes alone. */
static bool
same_job(const struct plm_msg *a, const struct plm_msg *b, struct rte_mbuf *a_pkt,
		struct rte_mbuf *b_pkt)
{
	return a->type == b->type && a->type == PLM_MSG_SLICE + RELAY_SUBSCRIBERS &&
			a->idx == b->idx && a->aux == b->aux &&
			plm_pkt(a_pkt)->view_seq == plm_pkt(b_pkt)->view_seq;
}

/* Room for all that is lent, so the ring takes it all. */
static void
give_back(struct relay_worker *w, unsigned int to, struct rte_mbuf **lent, unsigned int n)
{
	struct plm_msg msgs[PLM_BURST];

	for (unsigned int i = 0; i < n; i++) {
		if (plm_mutant(SLICE_KEPT))
			relay_refs_drop(lent[i], 1);
		msgs[i] = (struct plm_msg){ .type = PLM_MSG_RETURN, .mbuf = lent[i] };
	}
	if (!plm_mutant(SLICE_KEPT))
		plm_mailbox_put(&w->relay->workers[to]->back_in[w->idx], msgs, n);
}

unsigned int
relay_slice_rx(struct relay_worker *w, unsigned int from)
{
	struct plm_msg msgs[PLM_BURST];
	struct rte_mbuf *lent[PLM_BURST];
	struct rte_mbuf *pkts[PLM_BURST];
	unsigned int nb = 0;
	unsigned int n = plm_mailbox_get(&w->slice_in[from], msgs, PLM_BURST);

	if (n == 0)
		return 0;
	for (unsigned int i = 0; i < n; i++)
		rte_prefetch0(plm_pkt(msgs[i].mbuf));
	for (unsigned int i = 0; i < n; i++) {
		const struct plm_pkt *pkt = plm_pkt(msgs[i].mbuf);

		rte_prefetch0(pkt->lent);
		rte_prefetch0(pkt->lent + RTE_CACHE_LINE_SIZE);
		rte_prefetch0(&w->sessions->hot[plm_sref_idx(pkt->sref)].gen);
	}
	plm_count_add(&w->counters, PLM_CNT_SLICES_IN, n);
	for (unsigned int i = 0; i < n; i++) {
		lent[i] = msgs[i].mbuf;
		pkts[nb] = copy_lent(w, lent[i]);
		if (unlikely(pkts[nb] == NULL))
			copy_failed(w, &msgs[i]);
		else
			msgs[nb++] = msgs[i];
	}
	give_back(w, from, lent, n);
	if (plm_mutant(SLICE_ORDER)) {
		for (unsigned int i = 0; i < nb / 2; i++) {
			RTE_SWAP(pkts[i], pkts[nb - 1 - i]);
			RTE_SWAP(msgs[i], msgs[nb - 1 - i]);
		}
	}
	for (unsigned int i = 0, end; i < nb; i = end) {
		for (end = i + 1; end < nb && same_job(&msgs[i], &msgs[end], pkts[i], pkts[end]);
				end++)
			;
		slice_serve(w, &msgs[i], &pkts[i], end - i);
	}
	return n;
}

void
relay_slices_drop(struct relay_worker *w)
{
	struct plm_msg msgs[PLM_BURST];

	for (unsigned int from = 0; from < w->nb_workers; from++) {
		unsigned int n;

		if (w->back_in[from].ring == NULL) /* ourselves, or never made */
			continue;
		while ((n = plm_mailbox_get(&w->slice_in[from], msgs, PLM_BURST)) > 0) {
			plm_count_add(&w->counters, PLM_CNT_SLICES_IN, n);
			for (unsigned int i = 0; i < n; i++) {
				struct plm_view *view = view_of(w, &msgs[i]);

				if (view != NULL)
					ours_drop(w, view, reach_of(&msgs[i]), msgs[i].mbuf,
							PLM_CNT_COPY_STOPPED);
				/* Its lender runs no more, either. */
				rte_pktmbuf_free(msgs[i].mbuf);
			}
			w->relay->workers[from]->lent[w->idx] -= n;
		}
		while (relay_back_rx(w, from) > 0)
			;
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Copies: one header from the subscriber's template for each, in front of a shared payload segment
 * or of a copy of it. Subscribers are the outer loop and the packets of the job the inner one.
 *
 * References: a payload gets as many as its jobs have entries to serve, at once, before the first
 * copy can leave; our own is one of them. Each chained copy uses one up. Those of entries that
 * get none, such as the sender's own, are counted as surplus and given back when the job ends;
 * until then they are what keeps the payload alive for us. */
#include <rte_memcpy.h>
#include <rte_mempool.h>

#include "hdr.h"

/* Have `n` raw header mbufs or more in w->hdrs, if the pool has them. */
static __rte_noinline void
hdrs_refill(struct relay_worker *w, unsigned int n)
{
	void **free_slots = (void **)&w->hdrs[w->nb_hdrs];

	/* Raw: reference count 1, next NULL and one segment are the pool's own invariants. */
	if (plm_fault(POOL_HDR))
		return;
	if (likely(rte_mempool_get_bulk(w->hdr_pool, free_slots, RELAY_HDRS) == 0)) {
		w->nb_hdrs += RELAY_HDRS;
		return;
	}
	if (rte_mempool_get_bulk(w->hdr_pool, free_slots, n - w->nb_hdrs) == 0)
		w->nb_hdrs = n;
}

static inline uint16_t
job_surplus(const struct relay_job *job, const struct relay_payload *p)
{
	return p->way == RELAY_SHARE ? job->surplus + p->surplus : 1;
}

static inline void
job_end(struct relay_worker *w, struct relay_job *job)
{
	for (unsigned int i = 0; i < job->nb; i++)
		relay_refs_drop(job->pay[i].m, job_surplus(job, &job->pay[i]));
	if (unlikely(w->sampling) && job->rx_ns != 0 && w->nb_samples < RELAY_SAMPLES)
		w->samples[w->nb_samples++] = job->rx_ns;
}

/* An entry gets nothing. */
static __rte_noinline void
entry_skip(struct relay_worker *w, struct relay_job *job, const struct plm_sub *sub,
		enum plm_counter why)
{
	unsigned int due = 0;

	job->surplus++;
	for (unsigned int i = 0; i < job->nb; i++) {
		due += job->pay[i].sender != sub->session_idx;
		if (job->pay[i].sender != sub->session_idx)
			plm_sim_copy_drop(&w->counters, job->pay[i].m, sub->session_idx, why);
	}
	w->due += due;
	plm_count_add(&w->counters, why, due);
	if (why != PLM_CNT_COPY_LEFT)
		relay_count_dropped(w, sub->session_idx, due);
}

/* An entry lacks what the job needs. May it have its packets all the same? */
static __rte_noinline bool
entry_may(const struct relay_job *job, const struct plm_sub *sub)
{
	const uint8_t need = job->need & (uint8_t)~RELAY_NEED_AGE;

	return need != job->need && (sub->flags & need) == need &&
			relay_slice_named(job->view, (uint32_t)(sub - job->view->subs),
					job->pay[0].m);
}

/* One copy is not made although its entry gets others. */
static __rte_noinline void
copy_skip(struct relay_worker *w, struct relay_payload *p, const struct plm_sub *sub,
		enum plm_counter why)
{
	plm_sim_copy_drop(&w->counters, p->m, sub->session_idx, why);
	p->surplus++;
	w->due++;
	plm_count(&w->counters, why);
	relay_count_dropped(w, sub->session_idx, 1);
}

static __rte_noinline struct rte_mbuf *
copy_big(struct relay_worker *w)
{
	void *m;

	if (w->copy_pool == NULL || plm_fault(POOL_COPY) || rte_mempool_get(w->copy_pool, &m) < 0)
		return NULL;
	return m;
}

/* What the loops below keep in registers: every store of theirs might alias the originals. */
struct cursor {
	struct rte_mbuf **hdr_top; /* behind the last raw header mbuf */
	struct rte_mbuf **tx_buf;  /* the next frame's place in the TX buffer */
	struct relay_payload *pay;
	struct relay_payload *pay_end;
	uint32_t mtu;
};

/* The job's packets to one entry. Returns copies made. */
static __rte_always_inline unsigned int
entry_send(struct relay_worker *w, struct cursor *c, const struct plm_sub *sub, uint64_t mac,
		const bool is_v6)
{
	const uint16_t hdr_len = is_v6 ? RELAY_HDR6 : RELAY_HDR4;
	const uint32_t max_len = c->mtu - (hdr_len - PLM_ETH_HDR);
	const uint32_t session = sub->session_idx;
	struct plm_session_tx *tx = &w->tx[session];
	struct rte_mbuf **const first = c->tx_buf;
	unsigned int made;
	uint32_t bytes = 0;

	for (struct relay_payload *p = c->pay; p < c->pay_end; p++) {
		const uint32_t len = p->len;
		struct rte_mbuf *m;
		uint8_t *frame;

		if (unlikely(p->sender == session) && !plm_mutant(TO_SENDER)) {
			p->surplus++;
			continue;
		}
		if (unlikely(len > max_len)) {
			copy_skip(w, p, sub, PLM_CNT_COPY_MTU);
			continue;
		}
		if (likely(p->way == RELAY_SHARE)) {
			m = *--c->hdr_top;
			frame = (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM;
			relay_mbuf_fill(m, 2, hdr_len, hdr_len + len, session);
			m->next = p->m;
			if (plm_mutant(OVERWRITE) && rte_mbuf_refcnt_read(p->m) > 2)
				*rte_pktmbuf_mtod_offset(p->m, uint8_t *, len - 1) ^= 1;
		} else {
			if (p->way == RELAY_COPY_HDR) {
				m = *--c->hdr_top;
			} else {
				m = copy_big(w);
				if (m == NULL) {
					copy_skip(w, p, sub, PLM_CNT_COPY_NO_MBUF);
					continue;
				}
			}
			frame = (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM;
			relay_mbuf_fill(m, 1, (uint16_t)(hdr_len + len), hdr_len + len, session);
			rte_memcpy(frame + hdr_len, rte_pktmbuf_mtod(p->m, void *), len);
		}
		relay_hdr_write(frame, mac, sub->hdr, p, is_v6);
		*c->tx_buf++ = m;
		bytes += len;
	}
	made = (unsigned int)(c->tx_buf - first);
	atomic_store_explicit(&tx->packets,
			atomic_load_explicit(&tx->packets, memory_order_relaxed) + made,
			memory_order_relaxed);
	atomic_store_explicit(&tx->bytes,
			atomic_load_explicit(&tx->bytes, memory_order_relaxed) + bytes,
			memory_order_relaxed);
	return made;
}

/* The frames between the buffer's end and `tx_buf` are copies of ours. */
static __rte_always_inline void
txq_extend(struct plm_txq *q, struct rte_mbuf **tx_buf)
{
	unsigned int n = (unsigned int)(tx_buf - q->buf);
	unsigned int made = n - q->n;

	memset(&q->kind[q->n], PLM_TX_COPY, made);
	q->pending[PLM_TX_COPY] += made;
	q->n = (uint16_t)n;
}

/* A port with a VLAN has its tag put into the copies when they are made, all at once: the loops that
 * make them know nothing of it, and other ports pay a branch a job. */
static __rte_noinline void
copies_tag(const struct plm_port *port, const struct plm_txq *q, struct rte_mbuf **tx_buf)
{
	for (struct rte_mbuf *const *m = &q->buf[q->n]; m < tx_buf; m++)
		plm_port_tag(port, *m);
}

/* The same for receivers of QUIC: nothing is shared, and what a receiver has no window for is dropped. */
static __rte_noinline bool
quic_job_run(struct relay_worker *w, struct relay_job *job, int32_t *quota)
{
	const struct plm_sub *const subs = &job->view->subs[job->first];
	const unsigned int nb = job->nb;
	const uint32_t allowed = RTE_MIN(w->budget / nb, ((uint32_t)*quota + nb - 1) / nb);
	const uint32_t todo = RTE_MIN(job->left, allowed);
	uint32_t left = todo;

	for (; left > 0; left--) {
		const struct plm_sub *sub = &subs[job->pos];
		uint32_t next = job->pos + 1 == job->size ? 0 : job->pos + 1;
		unsigned int made;

		if (unlikely(!relay_quic_room(w, sub->session_idx, nb)))
			break;
		plm_sched_point(ENTRY, NULL);
		if (left > 2)
			relay_quic_prefetch(w,
					subs[next + 1 == job->size ? 0 : next + 1].session_idx);
		if (left > 1)
			relay_quic_prefetch_more(w, subs[next].session_idx, job->pay[0].len);
		job->pos = next;
		if (unlikely((sub->flags & job->need) != job->need) && !entry_may(job, sub)) {
			job->surplus++;
		} else if (unlikely(atomic_load_explicit(&sub->left, memory_order_relaxed)) &&
				!plm_mutant(AFTER_LEAVE) && !plm_mutant(QUIC_LEFT)) {
			entry_skip(w, job, sub, PLM_CNT_COPY_LEFT);
		} else {
			made = relay_quic_copy(w, job, sub->session_idx);
			w->due += made;
			w->nb_done += made;
		}
	}
	job->left -= todo - left;
	w->budget -= (todo - left) * nb;
	*quota -= (int32_t)((todo - left) * nb);
	if (job->left > 0)
		return false;
	job_end(w, job);
	return true;
}

bool
relay_job_run(struct relay_worker *w, struct relay_job *job, int32_t *quota)
{
	struct plm_txq *const q = &w->txq[job->port_idx];
	const struct plm_sub *const subs = &job->view->subs[job->first];
	const struct plm_sub *const subs_end = subs + job->size;
	const struct plm_sub *next = subs + job->pos;
	const struct plm_session_tx *const tx = w->tx;
	const plm_nexthop_t *const nexthops = w->nexthops;
	const unsigned int nb = job->nb;
	const uint8_t need = job->need;
	/* Entries that the turn's copies and the quota allow; the last one may overdraw the quota. */
	const uint32_t allowed = RTE_MIN(w->budget / nb, ((uint32_t)*quota + nb - 1) / nb);
	const uint32_t todo = RTE_MIN(job->left, allowed);
	uint32_t left = todo;
	uint32_t made = 0;
	struct cursor c = {
		.hdr_top = &w->hdrs[w->nb_hdrs],
		.tx_buf = &q->buf[q->n],
		.pay = job->pay,
		.pay_end = job->pay + nb,
		.mtu = w->ports[job->port_idx]->mtu,
	};

	if (unlikely(job->view->is_quic))
		return quic_job_run(w, job, quota);
	for (; left > 0; left--) {
		const struct plm_sub *sub = next;
		uint64_t mac;

		if (unlikely(c.tx_buf + nb > &q->buf[PLM_TXQ_SIZE])) {
			if (w->ports[job->port_idx]->vlan != 0)
				copies_tag(w->ports[job->port_idx], q, c.tx_buf);
			txq_extend(q, c.tx_buf);
			if (unlikely(!plm_txq_reserve(q, (uint16_t)nb))) {
				c.tx_buf = &q->buf[q->n];
				break;
			}
			c.tx_buf = &q->buf[q->n];
		}
		if (unlikely(c.hdr_top < &w->hdrs[nb])) {
			w->nb_hdrs = (unsigned int)(c.hdr_top - w->hdrs);
			hdrs_refill(w, nb);
			c.hdr_top = &w->hdrs[w->nb_hdrs];
		}
		plm_sched_point(ENTRY, NULL);
		if (unlikely(++next == subs_end))
			next = subs;
		rte_prefetch0(next + 2);
		rte_prefetch0(&tx[next->session_idx]);
		mac = atomic_load_explicit(&nexthops[sub->nexthop_idx], memory_order_relaxed);
		if (unlikely((sub->flags & need) != need) && !entry_may(job, sub))
			job->surplus++;
		else if (unlikely(atomic_load_explicit(&sub->left, memory_order_relaxed)) &&
				!plm_mutant(AFTER_LEAVE))
			entry_skip(w, job, sub, PLM_CNT_COPY_LEFT);
		else if (unlikely(mac == 0))
			entry_skip(w, job, sub, PLM_CNT_COPY_NO_NEIGHBOUR);
		else if (unlikely(c.hdr_top < &w->hdrs[nb]))
			entry_skip(w, job, sub, PLM_CNT_COPY_NO_MBUF);
		else if (sub->flags & PLM_SUB_V6)
			made += entry_send(w, &c, sub, mac, true);
		else
			made += entry_send(w, &c, sub, mac, false);
	}
	if (unlikely(w->ports[job->port_idx]->vlan != 0))
		copies_tag(w->ports[job->port_idx], q, c.tx_buf);
	txq_extend(q, c.tx_buf);
	w->nb_hdrs = (unsigned int)(c.hdr_top - w->hdrs);
	job->pos = (uint32_t)(next - subs);
	job->left -= todo - left;
	w->budget -= (todo - left) * nb;
	*quota -= (int32_t)((todo - left) * nb);
	w->due += made;
	w->nb_done += made;
	if (job->left > 0)
		return false;
	job_end(w, job);
	return true;
}

void
relay_job_drop(struct relay_worker *w, struct relay_job *job, enum plm_counter why)
{
	const struct plm_sub *subs = &job->view->subs[job->first];

	for (; job->left > 0; job->left--) {
		const struct plm_sub *sub = &subs[job->pos];

		if (++job->pos == job->size)
			job->pos = 0;
		if ((sub->flags & job->need) != job->need && !entry_may(job, sub))
			job->surplus++;
		else if (atomic_load_explicit(&sub->left, memory_order_relaxed))
			entry_skip(w, job, sub, PLM_CNT_COPY_LEFT);
		else
			entry_skip(w, job, sub, why);
	}
	for (unsigned int i = 0; i < job->nb; i++)
		relay_refs_drop(job->pay[i].m, job_surplus(job, &job->pay[i]));
}

void
relay_job_begin(struct relay_worker *w, struct plm_view *view, uint64_t rx_ns)
{
	w->job.view = view;
	w->job.rx_ns = rx_ns;
	w->job.nb = 0;
}

static inline void
job_add(struct relay_worker *w, struct rte_mbuf *m, uint32_t sender, uint16_t len, uint16_t sum,
		uint8_t tos)
{
	struct relay_job *job = &w->job;
	struct relay_payload *p = &job->pay[job->nb++];

	/* ECN bits pass as they are; the room's code point replaces the packet's. */
	if (job->view->dscp != PLM_DSCP_COPY)
		tos = (uint8_t)(job->view->dscp << 2) | (tos & 3);
	p->m = m;
	p->sender = sender;
	p->len = len;
	p->tos = tos;
	p->udp_len = rte_cpu_to_be_16(PLM_UDP_HDR + len);
	p->ip4_len = rte_cpu_to_be_16(PLM_IP4_HDR + PLM_UDP_HDR + len);
	/* The length stands in the UDP header and in the pseudo-header. */
	p->udp_sum = sum + 2u * p->udp_len;
	p->ip4_sum = rte_cpu_to_be_16(tos) + p->ip4_len;
}

void
relay_job_add(struct relay_worker *w, struct rte_mbuf *m)
{
	const struct plm_pkt *pkt = plm_pkt(m);

	m->data_off += pkt->payload_off;
	m->data_len = pkt->payload_len;
	m->pkt_len = pkt->payload_len;
	job_add(w, m, plm_sref_idx(pkt->sref), pkt->payload_len, (uint16_t)pkt->payload_sum,
			pkt->tos);
}

void
relay_job_add_bare(struct relay_worker *w, struct rte_mbuf *m)
{
	const uint8_t *payload = rte_pktmbuf_mtod(m, const uint8_t *);

	job_add(w, m, RELAY_NOBODY, m->data_len, plm_wire_sum(payload, m->data_len), 0);
}

static inline enum relay_way
way_of(const struct plm_port *port, bool is_quic, uint16_t len)
{
	if (unlikely(is_quic))
		return RELAY_ENCRYPT;
	if (port->chain && len >= port->copy_below)
		return RELAY_SHARE;
	return len <= PLM_HDR_COPY_MAX ? RELAY_COPY_HDR : RELAY_COPY_BIG;
}

/* References that `size` entries behind one port need. */
static inline int
refs_needed(const struct plm_port *port, bool is_quic, uint16_t len, uint32_t size)
{
	return way_of(port, is_quic, len) == RELAY_SHARE ? (int)size : 1;
}

/* Point the scratch job at a range's entries and let it run, or park. */
static inline void
job_submit(struct relay_worker *w, uint8_t port_idx, uint32_t first, uint32_t size)
{
	struct relay_job *job = &w->job;
	const struct plm_port *port = w->ports[port_idx];

	plm_sched_point(SLICE, NULL);
	job->port_idx = port_idx;
	job->first = first;
	job->size = size;
	job->left = size;
	job->pos = 0;
	job->surplus = 0;
	for (unsigned int i = 0; i < job->nb; i++) {
		job->pay[i].surplus = 0;
		job->pay[i].way = way_of(port, job->view->is_quic, job->pay[i].len);
	}
	relay_park_submit(w, job);
}

static inline uint32_t
range_size(const struct plm_range *range, enum relay_reach reach)
{
	return reach == RELAY_SUBSCRIBERS ? range->nb_subs : range->nb_members;
}

/* The port of a slice: its own. */
static inline uint8_t
slice_port(const struct plm_range *begin, const struct plm_range *end, const struct plm_range *r)
{
	if (plm_mutant(SWAP_SLICES) && end - begin == 2)
		return r == begin ? begin[1].port_idx : begin->port_idx;
	return r->port_idx;
}

void
relay_job_fan_out(struct relay_worker *w, enum relay_reach reach, uint8_t need)
{
	struct relay_job *job = &w->job;
	const struct plm_view *view = job->view;
	const struct plm_range *begin = &view->ranges[view->first_range[w->idx]];
	const struct plm_range *end = &view->ranges[view->first_range[w->idx + 1]];

	if (plm_mutant(FOREIGN_HOME)) {
		begin = &view->ranges[0];
		end = &view->ranges[view->nb_ranges];
	}
	job->need = need | (reach == RELAY_PUBLISHERS ? PLM_SUB_PUBLISHES : 0);
	for (unsigned int i = 0; i < job->nb; i++) {
		int refs = -1; /* our own is there already */

		for (const struct plm_range *r = begin; r < end; r++)
			if (range_size(r, reach) > 0)
				refs += refs_needed(w->ports[r->port_idx], view->is_quic,
						job->pay[i].len, range_size(r, reach));
		if (plm_mutant(REF_SHORT) && refs > 0)
			refs--;
		if (plm_mutant(REF_EXTRA) && refs > 0)
			refs++;
		if (unlikely(refs < 0))
			rte_pktmbuf_free(job->pay[i].m);
		else if (refs > 0)
			/* Not an atomic operation while we are the only owner. */
			rte_mbuf_refcnt_update(job->pay[i].m, (int16_t)refs);
		plm_sched_point(REF_ADD, refs > 0 ? job->pay[i].m : NULL);
	}
	for (const struct plm_range *r = begin; r < end; r++)
		if (range_size(r, reach) > 0)
			job_submit(w, slice_port(begin, end, r), r->first, range_size(r, reach));
}

void
relay_job_send(struct relay_worker *w, const struct relay_target *targets, unsigned int n)
{
	struct relay_job *job = &w->job;

	job->need = 0;
	for (unsigned int i = 0; i < job->nb && n > 1; i++)
		rte_mbuf_refcnt_update(job->pay[i].m, (int16_t)(n - 1));
	plm_sched_point(REF_ADD, NULL);
	for (unsigned int t = 0; t < n; t++)
		job_submit(w, targets[t].range->port_idx, targets[t].pos, 1);
}

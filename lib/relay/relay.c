/* SPDX-License-Identifier: BSD-3-Clause */
/* Workers: made and freed, and the turn that ties the parts together. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include <rte_errno.h>
#include <rte_malloc.h>

#include "relay_priv.h"

/* Messages from the slow path in one turn. */
#define DOWN_BURSTS 4

/* Bursts of frames carried for one other worker in one turn. */
#define CARRY_BURSTS 4

/* --- made and freed ----------------------------------------------------------------------- */

static int
box_init(struct plm_mailbox *box, const struct plm_relay_conf *conf, const char *what,
		unsigned int a, unsigned int b)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "%s_%s%u_%u", conf->name, what, a, b);
	return plm_mailbox_init(box, name, conf->ring_size, conf->socket);
}

/* What comes from another worker. What is lent and what comes back have the same number. */
static int
pair_init(struct relay_worker *w, const struct plm_relay_conf *conf, unsigned int from)
{
	int ret = box_init(&w->cross_in[from], conf, "cross", from, w->idx);

	if (ret == 0)
		ret = box_init(&w->slice_in[from], conf, "slice", from, w->idx);
	if (ret == 0)
		ret = box_init(&w->back_in[from], conf, "back", from, w->idx);
	return ret;
}

/* The way of worker `w` out through port `p`: a queue of its own or a ring to the owner of one;
 * those without a queue are spread over the owners. */
static int
txq_init(struct plm_relay *relay, struct relay_worker *w, unsigned int p)
{
	const struct plm_relay_conf *conf = &relay->conf;
	const struct plm_port *port = conf->ports[p];
	struct plm_txq *q = &w->txq[p];
	struct relay_carry *carry;
	struct relay_worker *owner;
	int ret;

	q->port = port;
	q->ethdev_id = port->ethdev_id;
	q->port_idx = (uint8_t)p;
	q->counters = &w->counters;
	for (uint16_t i = 0; i < port->nb_queues; i++) {
		if (conf->queue_owner[p][i] == w->idx) {
			q->queue_id = i;
			return 0;
		}
	}
	carry = &relay->carry[relay->nb_carry];
	carry->port_idx = (uint8_t)p;
	owner = relay->workers[conf->queue_owner[p][w->idx % port->nb_queues]];
	ret = box_init(&carry->box, conf, "carry", w->idx, p);
	if (ret < 0)
		return ret;
	relay->nb_carry++;
	owner->carry[owner->nb_carry++] = carry;
	q->carried = true;
	q->ring = &carry->box;
	return 0;
}

static int
worker_init(struct plm_relay *relay, struct relay_worker *w)
{
	const struct plm_relay_conf *conf = &relay->conf;
	int ret;

	w->claim_head = RELAY_CLAIM_END;
	w->claim_next = rte_malloc_socket("plm_claims",
			conf->sessions->max_sessions * sizeof(*w->claim_next), RTE_CACHE_LINE_SIZE,
			conf->socket);
	if (w->claim_next == NULL)
		return -ENOMEM;
	memset(w->claim_next, 0xff, conf->sessions->max_sessions * sizeof(*w->claim_next));

	ret = relay_filter_init(w, conf);
	if (ret == 0 && conf->quic != NULL)
		ret = relay_quic_init(w, conf->quic, plm_clock_now(&conf->clock), conf->socket);
	if (ret == 0)
		ret = box_init(&w->known, conf, "known", w->idx, 0);
	if (ret == 0)
		ret = box_init(&w->unknown, conf, "unknown", w->idx, 0);
	if (ret == 0)
		ret = box_init(&w->down, conf, "down", w->idx, 0);
	for (unsigned int from = 0; from < conf->nb_workers && ret == 0; from++)
		if (from != w->idx)
			ret = pair_init(w, conf, from);
	for (unsigned int p = 0; p < conf->nb_ports && ret == 0; p++) {
		for (uint16_t i = 0; i < conf->ports[p]->nb_queues; i++)
			if (conf->queue_owner[p][i] == w->idx)
				w->rxq[w->nb_rxq++] = (struct relay_rxq){ conf->ports[p], i };
		ret = relay_park_init(&w->park[p], conf->park_entries, conf->socket);
	}
	return ret;
}

static int
conf_check(const struct plm_relay_conf *conf)
{
	if (conf->nb_workers == 0 || conf->nb_workers > PLM_WORKERS_MAX || conf->nb_ports == 0 ||
			conf->nb_ports > PLM_PORTS_MAX)
		return -EINVAL;
	/* One subscriber's share of a burst has to fit a turn. */
	if (conf->turn_copies < PLM_BURST || conf->park_entries == 0)
		return -EINVAL;
	for (unsigned int p = 0; p < conf->nb_ports; p++)
		for (uint16_t i = 0; i < conf->ports[p]->nb_queues; i++)
			if (conf->queue_owner[p][i] >= conf->nb_workers)
				return -EINVAL;
	for (unsigned int w = 0; w < conf->nb_workers; w++)
		if (conf->nb_workers > 1 && conf->slice_pools[w] == NULL)
			return -EINVAL;
	return 0;
}

struct plm_relay *
plm_relay_create(const struct plm_relay_conf *conf)
{
	struct plm_relay *relay = NULL;
	int ret = conf_check(conf);

	if (ret < 0)
		goto fail;
	ret = -ENOMEM;
	relay = rte_zmalloc_socket("plm_relay", sizeof(*relay), RTE_CACHE_LINE_SIZE, conf->socket);
	if (relay == NULL)
		goto fail;
	relay->conf = *conf;
	for (unsigned int i = 0; i < conf->nb_workers; i++) {
		struct relay_worker *w = rte_zmalloc_socket("plm_worker", sizeof(*w),
				RTE_CACHE_LINE_SIZE, conf->socket);

		if (w == NULL)
			goto fail;
		relay->workers[i] = w;
		w->relay = relay;
		w->idx = i;
		w->net = conf->net;
		w->nexthops = plm_net_nexthops(conf->net);
		w->sessions = conf->sessions;
		w->rooms = conf->rooms;
		w->tx = conf->sessions->tx[i];
		w->hdr_pool = conf->hdr_pools[i];
		w->copy_pool = conf->copy_pools[i];
		w->slice_pool = conf->slice_pools[i];
		if (w->slice_pool != NULL)
			w->slice_room = (uint16_t)(rte_pktmbuf_data_room_size(w->slice_pool) -
					RTE_PKTMBUF_HEADROOM);
		memcpy(w->ports, conf->ports, conf->nb_ports * sizeof(w->ports[0]));
		w->nb_workers = conf->nb_workers;
		w->nb_ports = conf->nb_ports;
	}
	for (unsigned int i = 0; i < conf->nb_workers; i++) {
		ret = worker_init(relay, relay->workers[i]);
		if (ret < 0)
			goto fail;
	}
	for (unsigned int i = 0; i < conf->nb_workers; i++) {
		for (unsigned int p = 0; p < conf->nb_ports; p++) {
			ret = txq_init(relay, relay->workers[i], p);
			if (ret < 0)
				goto fail;
		}
	}
	return relay;

fail:
	plm_relay_free(relay);
	rte_errno = -ret;
	return NULL;
}

size_t
plm_relay_bytes(const struct plm_relay_conf *conf, uint32_t max_sessions)
{
	size_t others = conf->nb_workers - 1;
	/* known, unknown, down; cross, slice, back from each other worker. */
	size_t nb_boxes = 3 + 3 * others;
	size_t worker = sizeof(struct relay_worker) + relay_filter_bytes(max_sessions) +
			max_sessions * sizeof(uint32_t) + /* claim_next */
			conf->nb_ports * relay_park_bytes(conf->park_entries);

	/* At least one worker of each port has a queue of its own, the others carry. */
	return sizeof(struct plm_relay) + conf->nb_workers * worker +
			(conf->nb_workers * nb_boxes + conf->nb_ports * others) *
			plm_mailbox_bytes(conf->ring_size);
}

/* Packets that crossed and were not taken over yet: received, and dropped. */
static void
cross_drop(struct relay_worker *w, struct plm_mailbox *box)
{
	struct plm_msg msgs[PLM_BURST];
	unsigned int n;

	if (box->ring == NULL)
		return;
	while ((n = plm_mailbox_get(box, msgs, PLM_BURST)) > 0) {
		plm_count_add(&w->counters, PLM_CNT_CROSSED_IN, n);
		for (unsigned int i = 0; i < n; i++)
			relay_drop(w, msgs[i].mbuf, PLM_CNT_RX_STOPPED);
	}
}

static void
carry_drop(struct relay_worker *w, struct relay_carry *carry)
{
	struct plm_msg msgs[PLM_BURST];
	unsigned int n;

	while ((n = plm_mailbox_get(&carry->box, msgs, PLM_BURST)) > 0) {
		plm_count_add(&w->counters, PLM_CNT_CARRIED_IN, n);
		for (unsigned int i = 0; i < n; i++) {
			if (msgs[i].mbuf->hash.usr != RELAY_NOBODY)
				relay_count_dropped(w, msgs[i].mbuf->hash.usr, 1);
			relay_drop(w, msgs[i].mbuf, PLM_CNT_CARRY_STOPPED);
		}
	}
}

/* Copies due are counted once a turn. */
static inline void
due_count(struct relay_worker *w)
{
	plm_count_add(&w->counters, PLM_CNT_COPIES_DUE, w->due);
	w->due = 0;
}

static void
worker_discard(struct relay_worker *w)
{
	for (unsigned int p = 0; p < w->nb_ports; p++) {
		relay_park_drop(w, &w->park[p]);
		plm_txq_drop(&w->txq[p]);
	}
	for (unsigned int i = 0; i < w->nb_carry; i++)
		carry_drop(w, w->carry[i]);
	for (unsigned int i = 0; i < w->nb_workers; i++)
		cross_drop(w, &w->cross_in[i]);
	relay_slices_drop(w);
	relay_quic_discard(w);
	if (w->nb_hdrs > 0)
		rte_mempool_put_bulk(w->hdr_pool, (void **)w->hdrs, w->nb_hdrs);
	w->nb_hdrs = 0;
	due_count(w);
}

void
plm_relay_discard(struct plm_relay *relay)
{
	for (unsigned int i = 0; i < relay->conf.nb_workers; i++)
		if (relay->workers[i] != NULL)
			worker_discard(relay->workers[i]);
}

void
plm_relay_free(struct plm_relay *relay)
{
	if (relay == NULL)
		return;
	plm_relay_discard(relay);
	for (unsigned int i = 0; i < relay->nb_carry; i++)
		plm_mailbox_fini(&relay->carry[i].box);
	for (unsigned int i = 0; i < relay->conf.nb_workers; i++) {
		struct relay_worker *w = relay->workers[i];

		if (w == NULL)
			continue;
		for (unsigned int p = 0; p < w->nb_ports; p++)
			relay_park_fini(&w->park[p]);
		for (unsigned int from = 0; from < w->nb_workers; from++)
			plm_mailbox_fini(&w->cross_in[from]);
		for (unsigned int from = 0; from < w->nb_workers; from++)
			plm_mailbox_fini(&w->slice_in[from]);
		for (unsigned int from = 0; from < w->nb_workers; from++)
			plm_mailbox_fini(&w->back_in[from]);
		plm_mailbox_fini(&w->known);
		plm_mailbox_fini(&w->unknown);
		plm_mailbox_fini(&w->down);
		relay_filter_fini(w);
		relay_quic_fini(w);
		relay_trace_fini(w);
		rte_free(w->claim_next);
		rte_free(w);
	}
	rte_free(relay);
}

/* --- the turn ----------------------------------------------------------------------------- */

static void
ctl_frame(struct relay_worker *w, uint16_t port_idx, struct rte_mbuf *m)
{
	struct plm_txq *q = &w->txq[port_idx];

	if (plm_txq_reserve(q, 1))
		plm_txq_put(q, m, PLM_TX_CTL);
	else
		relay_drop(w, m, PLM_CNT_CTL_TX_QUEUE);
}

/* To our slice; the slow path tells the others. */
static void
ctl_fan_out(struct relay_worker *w, uint32_t room_idx, uint16_t gen, struct rte_mbuf *m)
{
	struct plm_view *view = plm_room_view(w->rooms, room_idx);

	if (view == NULL || view->gen != gen) {
		rte_pktmbuf_free(m); /* nobody is left who could be told */
		return;
	}
	relay_job_begin(w, view, 0);
	relay_job_add_bare(w, m);
	relay_job_fan_out(w, RELAY_MEMBERS, 0);
}

static unsigned int
down(struct relay_worker *w)
{
	struct plm_msg msgs[PLM_BURST];
	unsigned int total = 0;

	for (unsigned int b = 0; b < DOWN_BURSTS; b++) {
		unsigned int n = plm_mailbox_get(&w->down, msgs, PLM_BURST);

		for (unsigned int i = 0; i < n; i++) {
			const struct plm_msg *msg = &msgs[i];

			switch ((enum plm_msg_type)msg->type) {
			case PLM_MSG_TX:
				ctl_frame(w, msg->aux, msg->mbuf);
				break;
			case PLM_MSG_SSRC_REVOKE:
				relay_revoke(w, (struct plm_handle){ msg->idx, msg->gen },
						msg->ssrc);
				break;
			case PLM_MSG_QUIC:
				plm_count(&w->counters, PLM_CNT_QUIC_BACK);
				relay_quic_take(w, msg->mbuf, true);
				break;
			case PLM_MSG_QUIC_ADOPT:
				relay_quic_adopt(w, (struct plm_handle){ msg->idx, msg->gen });
				break;
			case PLM_MSG_QUIC_CLOSE:
				relay_quic_close(w, (struct plm_handle){ msg->idx, msg->gen });
				break;
			case PLM_MSG_QUIC_STREAM:
				relay_quic_credit(w, msg->idx, msg->mbuf);
				break;
			case PLM_MSG_QUIC_SEND:
				relay_quic_message(w, msg->idx, msg->mbuf);
				break;
			case PLM_MSG_FANOUT:
				ctl_fan_out(w, msg->idx, msg->aux, msg->mbuf);
				break;
			default:
				assert(!"a message that no slow path sends");
			}
		}
		total += n;
		if (n < PLM_BURST)
			break;
	}
	return total;
}

/* Frames of workers without a queue: no more than the buffers have room for, the rest stays in
 * the rings. */
static unsigned int
carry(struct relay_worker *w)
{
	struct plm_msg msgs[PLM_BURST];
	unsigned int total = 0;
	bool waiting = false;

	for (unsigned int i = 0; i < w->nb_carry; i++) {
		struct relay_carry *c = w->carry[i];
		struct plm_txq *q = &w->txq[c->port_idx];
		unsigned int n = 0;

		for (unsigned int b = 0; b < CARRY_BURSTS && plm_txq_reserve(q, 1); b++) {
			n = plm_mailbox_get(&c->box, msgs, RTE_MIN(PLM_BURST, PLM_TXQ_SIZE - q->n));
			if (n == 0)
				break;
			for (unsigned int k = 0; k < n; k++)
				plm_txq_put(q, msgs[k].mbuf, PLM_TX_CARRY);
			plm_count_add(&w->counters, PLM_CNT_CARRIED_IN, n);
			total += n;
		}
		waiting |= rte_ring_count(c->box.ring) > 0;
	}
	w->carry_waits = waiting;
	return total;
}

/* Who goes before what is received in this turn: carried frames every other time while any wait,
 * and parked rooms that found nothing left in the last turn. They get half of the turn then, so that
 * small rooms still pass. */
static void
serve_starved(struct relay_worker *w)
{
	w->carry_first = w->carry_waits && !w->carry_first;
	if (unlikely(w->carry_first))
		w->nb_done += carry(w);
	for (unsigned int p = 0; p < w->nb_ports; p++) {
		struct relay_park *park = &w->park[p];

		park->progress = false;
		if (unlikely(park->starved)) {
			uint32_t half = w->budget / 2;

			w->budget -= half;
			relay_park_serve(w, park);
			w->budget += half;
		}
	}
}

static void
serve_parked(struct relay_worker *w)
{
	for (unsigned int p = 0; p < w->nb_ports; p++) {
		struct relay_park *park = &w->park[p];

		if (unlikely(park->nb > 0))
			relay_park_serve(w, park);
		park->starved = park->nb > 0 && !park->progress;
	}
}

/* Offer every TX buffer to its queue; returns frames that left. */
static unsigned int
flush(struct relay_worker *w)
{
	unsigned int left = 0;

	for (unsigned int p = 0; p < w->nb_ports; p++) {
		uint16_t n = w->txq[p].n;

		if (n > 0)
			left += n - plm_txq_flush(&w->txq[p]);
	}
	return left;
}

static void
sample_latency(struct relay_worker *w)
{
	uint64_t now = plm_clock_now(&w->relay->conf.clock);

	for (unsigned int i = 0; i < w->nb_samples; i++)
		plm_hist_add(&w->latency, now - w->samples[i]);
	w->nb_samples = 0;
}

static uint32_t
count_waiting(struct relay_worker *w)
{
	uint32_t waiting = 0;

	for (unsigned int p = 0; p < w->nb_ports; p++)
		waiting += w->park[p].nb + w->txq[p].n;
	if (w->quic != NULL)
		waiting += relay_quic_waiting(w);
	/* Most turns leave nothing: do not store to a line that others read. */
	if (atomic_load_explicit(&w->nb_waiting, memory_order_relaxed) != waiting)
		atomic_store_explicit(&w->nb_waiting, waiting, memory_order_relaxed);
	return waiting;
}

unsigned int
plm_relay_turn(struct plm_relay *relay, unsigned int worker, uint64_t now_ns)
{
	struct relay_worker *w = relay->workers[worker];

	w->now_ns = now_ns;
	w->now_ms = (uint32_t)(now_ns / PLM_NS_PER_MS);
	w->budget = relay->conf.turn_copies;
	w->sampling = w->nb_turns++ % RELAY_SAMPLE_TURNS == 0;
	w->nb_done = flush(w);

	w->nb_done += down(w);
	serve_starved(w);
	for (unsigned int i = 0; i < w->nb_workers; i++) {
		if (i == w->idx)
			continue;
		w->nb_done += relay_back_rx(w, i);
		w->nb_done += relay_slice_rx(w, i);
		w->nb_done += relay_cross_rx(w, i);
	}
	if (likely(atomic_load_explicit(&relay->running, memory_order_relaxed)))
		for (unsigned int i = 0; i < w->nb_rxq; i++)
			w->nb_done += relay_rx(w, &w->rxq[i]);
	if (w->quic != NULL)
		relay_quic_turn(w);
	serve_parked(w);
	if (w->nb_carry > 0)
		w->nb_done += carry(w);

	relay_claims(w);
	w->nb_done += flush(w);
	if (w->nb_samples > 0)
		sample_latency(w);
	if (w->due > 0)
		due_count(w);
	if (count_waiting(w) > 0)
		w->nb_done++;
	plm_sched_point(QUIESCENT, NULL);
	plm_rcu_quiescent(relay->conf.rcu, worker);
	plm_sched_point(TURN_END, NULL);
	return w->nb_done;
}

/* --- for the slow path and readers -------------------------------------------------------- */

void
plm_relay_set_running(struct plm_relay *relay, bool running)
{
	atomic_store_explicit(&relay->running, running, memory_order_relaxed);
}

void
plm_relay_set_wall(struct plm_relay *relay, uint64_t wall_s)
{
	if (atomic_load_explicit(&relay->wall_s, memory_order_relaxed) != wall_s)
		atomic_store_explicit(&relay->wall_s, wall_s, memory_order_relaxed);
}

struct plm_mailbox *
plm_relay_box_known(struct plm_relay *relay, unsigned int worker)
{
	return &relay->workers[worker]->known;
}

struct plm_mailbox *
plm_relay_box_unknown(struct plm_relay *relay, unsigned int worker)
{
	return &relay->workers[worker]->unknown;
}

struct plm_mailbox *
plm_relay_box_down(struct plm_relay *relay, unsigned int worker)
{
	return &relay->workers[worker]->down;
}

unsigned int
plm_relay_port_worker(const struct plm_relay *relay, uint16_t port_idx)
{
	return relay->conf.queue_owner[port_idx][0];
}

const struct plm_counters *
plm_relay_counters(const struct plm_relay *relay, unsigned int worker)
{
	return &relay->workers[worker]->counters;
}

const struct plm_hist *
plm_relay_latency(const struct plm_relay *relay, unsigned int worker)
{
	return &relay->workers[worker]->latency;
}

unsigned int
plm_relay_parked(const struct plm_relay *relay, unsigned int worker)
{
	return atomic_load_explicit(&relay->workers[worker]->nb_waiting, memory_order_relaxed);
}

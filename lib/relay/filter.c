/* SPDX-License-Identifier: BSD-3-Clause */
/* What the workers keep from the slow path, so that a flood of garbage finds no more than a few
 * nanoseconds of theirs and nothing of its. Rates are virtual schedules, one 64-bit time each. */
#include <errno.h>

#include <rte_malloc.h>

#include "relay_priv.h"

/* Schedules of unknown sources, by hashed prefix; what shares one shares its rate. */
#define STUN_BUCKETS 4096

/* An agent starts a check every 50 ms at most (RFC 8445 §14.2), on up to PLM_TUPLES pairs. */
#define STUN_KNOWN_RATE  100
#define STUN_KNOWN_BURST 32

/* What one class of neighbours may say: an answer to each probe, and some announcements. */
#define NEIGH_RATE  20
#define NEIGH_BURST 8

/* How long an expired user name is passed on, to be told so: agents take 401 for final, and
 * silence for a reason to go on asking. Older ones are replays or garbage. */
#define EXPIRED_S 3600

/* How far ahead of their schedule the other rates may be. */
#define FILTER_BURST_NS (100 * PLM_NS_PER_MS)

static uint32_t
cost_ns(uint32_t rate)
{
	return rate == 0 ? 0 : (uint32_t)(PLM_NS_PER_S / rate);
}

int
relay_filter_init(struct relay_worker *w, const struct plm_relay_conf *conf)
{
	plm_rand_fill(&conf->rand, w->stun_key, sizeof(w->stun_key));
	w->stun_cost_ns = cost_ns(conf->stun_rate);
	w->l2_cost_ns = cost_ns(conf->l2_rate);
	w->rtcp_cost_ns = cost_ns(conf->rtcp_rate);
	w->stun_tat = rte_zmalloc_socket("plm_filter", STUN_BUCKETS * sizeof(*w->stun_tat),
			RTE_CACHE_LINE_SIZE, conf->socket);
	w->stun_known_tat = rte_zmalloc_socket("plm_filter",
			conf->sessions->max_sessions * sizeof(*w->stun_known_tat),
			RTE_CACHE_LINE_SIZE, conf->socket);
	w->neigh_tat = rte_zmalloc_socket("plm_filter", PLM_NET_CELLS * sizeof(*w->neigh_tat),
			RTE_CACHE_LINE_SIZE, conf->socket);
	if (w->stun_tat == NULL || w->stun_known_tat == NULL || w->neigh_tat == NULL)
		return -ENOMEM;
	return 0;
}

size_t
relay_filter_bytes(uint32_t max_sessions)
{
	return ((size_t)STUN_BUCKETS + PLM_NET_CELLS + max_sessions) * sizeof(uint64_t);
}

void
relay_filter_fini(struct relay_worker *w)
{
	rte_free(w->stun_tat);
	rte_free(w->stun_known_tat);
	rte_free(w->neigh_tat);
}

static inline void
give(struct relay_batch *batch, struct rte_mbuf *m)
{
	batch->msgs[batch->n++] = (struct plm_msg){ .type = PLM_MSG_CTL_PACKET, .mbuf = m };
}

/* A Binding request with cookie and FINGERPRINT whose user name could open a session, or could
 * until a while ago. */
static bool
stun_plausible(const struct relay_worker *w, const uint8_t *p, size_t len)
{
	uint64_t wall_s = atomic_load_explicit(&w->relay->wall_s, memory_order_relaxed);
	struct plm_ufrag ufrag;
	struct plm_stun msg;
	const uint8_t *colon;

	if (plm_stun_parse(p, len, &msg) < 0)
		return false;
	if (msg.class != PLM_STUN_REQUEST || msg.method != PLM_STUN_BINDING ||
			!msg.has_fingerprint || msg.username == NULL)
		return false;
	colon = memchr(msg.username, ':', msg.username_len);
	if (colon == NULL)
		return false;
	if (plm_ufrag_parse((const char *)msg.username, (size_t)(colon - msg.username), &ufrag) < 0)
		return false;
	return ufrag.expiry_s + EXPIRED_S > wall_s;
}

/* The schedule of a source's /24 or /64. */
static uint64_t *
stun_bucket(const struct relay_worker *w, const struct plm_pkt *pkt)
{
	uint64_t hash = plm_siphash(w->stun_key, pkt->src_addr, pkt->is_v6 ? 8 : 3);

	return &w->stun_tat[hash & (STUN_BUCKETS - 1)];
}

bool
relay_unknown_due(struct relay_worker *w, const struct plm_pkt *pkt)
{
	return relay_gcra(stun_bucket(w, pkt), w->now_ns, w->stun_cost_ns, FILTER_BURST_NS);
}

void
relay_stun(struct relay_worker *w, struct rte_mbuf *m, struct plm_pkt *pkt)
{
	pkt->is_known = pkt->sref != 0 ? PLM_PKT_SESSION : PLM_PKT_OTHER;
	if (pkt->sref != 0) {
		uint64_t *tat = &w->stun_known_tat[plm_sref_idx(pkt->sref)];
		uint64_t cost = PLM_NS_PER_S / STUN_KNOWN_RATE;

		if (relay_gcra(tat, w->now_ns, cost, STUN_KNOWN_BURST * cost))
			give(&w->to_known, m);
		else
			relay_drop(w, m, PLM_CNT_RX_STUN_RATE);
		return;
	}
	if (!stun_plausible(w, rte_pktmbuf_mtod_offset(m, const uint8_t *, pkt->payload_off),
			    pkt->payload_len))
		relay_drop(w, m, PLM_CNT_RX_STUN_FILTER);
	else if (!relay_unknown_due(w, pkt))
		relay_drop(w, m, PLM_CNT_RX_STUN_RATE);
	else
		give(&w->to_unknown, m);
}

void
relay_l2(struct relay_worker *w, struct rte_mbuf *m, struct plm_pkt *pkt)
{
	const uint64_t cost = PLM_NS_PER_S / NEIGH_RATE;
	unsigned int cell;
	bool ok;

	pkt->sref = 0;
	pkt->is_known = PLM_PKT_OTHER;
	if (plm_net_awaits(w->net, m, &cell))
		ok = relay_gcra(&w->neigh_tat[cell], w->now_ns, cost, NEIGH_BURST * cost);
	else
		ok = relay_gcra(&w->l2_tat, w->now_ns, w->l2_cost_ns, FILTER_BURST_NS);
	if (ok)
		give(&w->to_known, m);
	else
		relay_drop(w, m, PLM_CNT_RX_L2_RATE);
}

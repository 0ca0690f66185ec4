/* SPDX-License-Identifier: BSD-3-Clause */
/* Where RTCP goes. A compound is never split.
 *
 *  begins with         clear room                           opaque room (SRTCP)
 *  SR, or holds a BYE  every member but the sender          the same, for a first packet BYE
 *  anything else       each owner of a media SSRC named     every publisher but the sender
 */
#include <errno.h>

#include "relay_priv.h"

int
relay_rtcp_parse(enum plm_rtcp_mode mode, const uint8_t *buf, size_t len, struct plm_rtcp *rtcp)
{
	if (mode == PLM_RTCP_CLEAR)
		return plm_rtcp_parse(buf, len, rtcp);
	rtcp->nb_targets = 0;
	if (plm_rtcp_peek(buf, len, &rtcp->first_type, &rtcp->sender_ssrc) < 0)
		return -EPROTO;
	rtcp->has_bye = rtcp->first_type == PLM_RTCP_BYE;
	rtcp->sources[0] = rtcp->sender_ssrc;
	rtcp->nb_sources = 1;
	return 0;
}

/* Entries of the owners of the SSRCs named, each once, the sender's own left out; whoever serves
 * them. */
static unsigned int
find_owners(struct relay_worker *w, struct plm_view *view, const struct plm_rtcp *rtcp,
		uint32_t sender, struct relay_target *targets)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < rtcp->nb_targets; i++) {
		plm_sref_t owner = plm_session_ssrc_owner(w->sessions, view->room_idx,
				rtcp->targets[i]);
		const uint32_t session_idx = plm_sref_idx(owner);
		const struct plm_range *range;
		const struct plm_sub *sub;
		unsigned int k = 0;
		uint32_t pos;

		if (owner == 0 || session_idx == sender)
			continue;
		sub = plm_view_find(view, w->sessions->hot[session_idx].home, session_idx, &range);
		if (sub == NULL)
			continue; /* its claim is settled, its view not yet published */
		pos = (uint32_t)(sub - view->subs);
		while (k < n && targets[k].pos != pos)
			k++;
		if (k == n)
			targets[n++] = (struct relay_target){ range, pos };
	}
	return n;
}

/* Keep those that one worker serves. */
static unsigned int
keep_home(struct relay_target *targets, unsigned int n, unsigned int home)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < n; i++)
		if (targets[i].range->home == home)
			targets[kept++] = targets[i];
	return kept;
}

unsigned int
relay_rtcp_owners(struct relay_worker *w, struct plm_view *view, unsigned int home,
		const uint8_t *p, size_t len, uint32_t sender, struct relay_target *targets)
{
	struct plm_rtcp rtcp;

	if (view->rtcp != PLM_RTCP_CLEAR || relay_rtcp_parse(PLM_RTCP_CLEAR, p, len, &rtcp) < 0)
		return 0; /* the room's mode has changed on the way */
	return keep_home(targets, find_owners(w, view, &rtcp, sender, targets), home);
}

static void
to_owners(struct relay_worker *w, const struct relay_target *targets, unsigned int n,
		struct rte_mbuf *m)
{
	struct relay_target ours[PLM_RTCP_TARGETS];
	uint8_t nb_homed[PLM_WORKERS_MAX] = { 0 };

	for (unsigned int i = 0; i < n; i++) {
		const unsigned int home = targets[i].range->home;

		if (home == w->idx)
			ours[nb_homed[home]] = targets[i];
		nb_homed[home]++;
	}
	relay_lend_begin(w);
	for (unsigned int v = 0; v < w->nb_workers; v++)
		if (v != w->idx && nb_homed[v] > 0)
			relay_lend_to(w, v, RELAY_OWNERS, nb_homed[v]);
	if (nb_homed[w->idx] > 0)
		relay_job_send(w, ours, nb_homed[w->idx]);
	else
		relay_refs_drop(m, 1);
}

void
relay_rtcp_route(struct relay_worker *w, struct plm_view *view, const struct plm_rtcp *rtcp,
		struct rte_mbuf *m)
{
	struct relay_target targets[PLM_RTCP_TARGETS];
	const struct plm_pkt *pkt = plm_pkt(m);
	unsigned int n;
	bool to_all;

	if (view == NULL) { /* the room went since the compound was read */
		relay_drop(w, m, PLM_CNT_RX_RTCP_NO_TARGET);
		return;
	}
	to_all = rtcp->first_type == PLM_RTCP_SR || rtcp->has_bye;
	if (to_all || view->rtcp == PLM_RTCP_OPAQUE) {
		plm_count(&w->counters, PLM_CNT_RTCP);
		relay_job_begin(w, view, pkt->rx_ns);
		relay_job_add(w, m);
		relay_job_to_room(w, to_all ? RELAY_MEMBERS : RELAY_PUBLISHERS);
		return;
	}
	n = find_owners(w, view, rtcp, plm_sref_idx(pkt->sref), targets);
	if (n == 0) {
		relay_drop(w, m, PLM_CNT_RX_RTCP_NO_TARGET);
		return;
	}
	plm_count(&w->counters, PLM_CNT_RTCP);
	relay_job_begin(w, view, pkt->rx_ns);
	relay_job_add(w, m);
	to_owners(w, targets, n, m);
}

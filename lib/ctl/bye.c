/* SPDX-License-Identifier: BSD-3-Clause */
/* BYE on behalf of a publisher that vanished, in rooms whose RTCP is clear. It is built and sent
 * after the publisher has left the views, so the others get it and the publisher does not. */
#include <errno.h>

#include "ctl_priv.h"

/* Sessions of one call to plm_ctl_end_all(). */
#define END_BUDGET 256u
/* And places of the session table that it looks at. */
#define SCAN_BUDGET 4096u
/* How long the BYEs of a drain may take to leave. */
#define END_WAIT_NS (2 * PLM_NS_PER_S)

static struct ctl_bye *
bye_at(struct plm_ctl *ctl, unsigned int i)
{
	return &ctl->byes[(ctl->bye_head + i) % CTL_BYES];
}

/* Nobody who turns is waited for: only workers that stand still. */
static bool
is_stuck(const struct plm_ctl *ctl, const struct ctl_bye *bye)
{
	return bye->full != 0 && (bye->full & ~plm_ctl_stalled(ctl)) == 0;
}

/* Place for one more in a full queue: the oldest that only a worker that stands still has not got
 * is given up, or else the oldest. The other workers have had what they could take. */
static void
give_one_up(struct plm_ctl *ctl)
{
	unsigned int pos = 0;

	while (pos < ctl->nb_byes && !is_stuck(ctl, bye_at(ctl, pos)))
		pos++;
	if (pos == ctl->nb_byes)
		pos = 0;
	for (; pos > 0; pos--)
		*bye_at(ctl, pos) = *bye_at(ctl, pos - 1);
	ctl->bye_head = (ctl->bye_head + 1) % CTL_BYES;
	ctl->nb_byes--;
	ctl->nb_byes_tried--;
	plm_count(&ctl->counters, PLM_CNT_BYES_LOST);
}

void
ctl_ending(void *ctx, struct plm_handle session, uint32_t room_idx, enum plm_end_reason reason)
{
	struct plm_ctl *ctl = ctx;
	const struct plm_session_hot *hot = &ctl->sessions->hot[session.idx];
	struct plm_room_info room;
	struct ctl_bye bye = { .room_idx = room_idx };

	ctl_quic_ending(ctl, session, reason);
	if (reason == PLM_END_DRAIN && ctl->end == CTL_END_SESSIONS)
		return; /* the others know already */
	if (!(hot->role & PLM_ROLE_PUBLISH) || plm_room_info(ctl->rooms, room_idx, &room) < 0 ||
			room.settings.rtcp != PLM_RTCP_CLEAR || room.nb_members < 2)
		return;
	bye.nb = (uint8_t)plm_session_ssrcs(ctl->sessions, session, bye.ssrcs, PLM_SSRCS);
	if (bye.nb == 0)
		return;
	bye.gen = room.gen;
	/* Those before it are of publishers that have left: one that was not tried yet can go. */
	if (ctl->nb_byes == CTL_BYES && ctl->nb_byes_tried == 0)
		ctl_bye_flush(ctl);
	if (ctl->nb_byes == CTL_BYES)
		give_one_up(ctl);
	*bye_at(ctl, ctl->nb_byes++) = bye;
}

/* To one worker's members. 0, -ENOBUFS: its ring is full, -ENOMEM: there is no mbuf. */
static int
bye_put(struct plm_ctl *ctl, const struct ctl_bye *bye, struct plm_mailbox *box)
{
	struct plm_msg msg = {
		.type = PLM_MSG_FANOUT,
		.aux = bye->gen,
		.idx = bye->room_idx,
	};
	struct rte_mbuf *m;
	int len;

	m = ctl_frame_alloc(ctl);
	if (m == NULL) {
		plm_count(&ctl->counters, PLM_CNT_CTL_NO_MBUF);
		return -ENOMEM;
	}
	len = plm_rtcp_build_bye(rte_pktmbuf_mtod(m, uint8_t *), rte_pktmbuf_tailroom(m),
			bye->ssrcs, bye->nb);
	if (len > 0) {
		rte_pktmbuf_append(m, (uint16_t)len);
		msg.mbuf = m;
		if (plm_mailbox_put(box, &msg, 1) == 1)
			return 0;
	}
	rte_pktmbuf_free(m);
	return plm_mutant(BYE_LOST) ? 0 : -ENOBUFS;
}

/* To the workers whose bit in `full` is clear; those that refuse it join them, all of them when
 * there is no mbuf. False: somebody must still be told, and cannot be now. */
static bool
bye_send(struct plm_ctl *ctl, struct ctl_bye *bye, uint32_t *full)
{
	struct plm_room_info room;
	int ret;

	bye->full = 0;
	if (plm_room_info(ctl->rooms, bye->room_idx, &room) < 0 || room.gen != bye->gen)
		return true; /* nobody is left who could be told */
	for (unsigned int w = 0; w < ctl->conf.nb_workers; w++) {
		if (bye->told & 1u << w || room.nb_homed[w] == 0)
			continue;
		if (plm_mutant(BYE_HOME) && w != room.home)
			continue;
		ret = *full & 1u << w ? -ENOBUFS
				      : bye_put(ctl, bye, plm_relay_box_down(ctl->relay, w));
		if (ret == 0)
			bye->told |= (uint16_t)(1u << w);
		else if (ret == -ENOMEM)
			*full = UINT32_MAX;
		else
			*full |= 1u << w;
		if (ret < 0)
			bye->full |= (uint16_t)(1u << w);
	}
	return bye->full == 0;
}

/* In order to each worker, and no further than the first that its ring does not take: a worker that
 * does not empty its ring delays what is for its own members. */
unsigned int
ctl_bye_flush(struct plm_ctl *ctl)
{
	const unsigned int nb = ctl->nb_byes;
	unsigned int kept = 0;
	uint32_t full = 0;

	for (unsigned int i = 0; i < nb; i++) {
		struct ctl_bye *bye = bye_at(ctl, i);

		if (bye_send(ctl, bye, &full))
			continue;
		*bye_at(ctl, kept++) = *bye;
	}
	ctl->nb_byes = kept;
	ctl->nb_byes_tried = kept;
	return nb - kept;
}

/* The next session from `end_from` on, which moves behind it; `scan` is what is left of the places that
 * may be looked at. 0, -EAGAIN, -ENOENT as plm_admit_scan(). */
static int
next_session(struct plm_ctl *ctl, unsigned int *scan, struct plm_handle *session)
{
	const uint32_t from = ctl->end_from;
	int ret = plm_admit_scan(ctl->admit, &ctl->end_from, *scan, session);

	*scan -= ctl->end_from - from;
	return ret;
}

/* A publisher hears its own BYE, too: it is not gone yet, but it soon will be. True at the end. */
static bool
announce_some(struct plm_ctl *ctl)
{
	/* A session leaves one BYE at most, so what the queue takes is the bound. What waits for a
	 * worker that stands still makes room. */
	unsigned int room = CTL_BYES - ctl->nb_byes;
	unsigned int budget;
	unsigned int scan = SCAN_BUDGET;
	struct plm_admit_info info;
	struct plm_handle session;
	int ret;

	for (unsigned int i = 0; i < ctl->nb_byes; i++)
		room += is_stuck(ctl, bye_at(ctl, i));
	budget = RTE_MIN(room, END_BUDGET);
	while (budget-- > 0) {
		ret = next_session(ctl, &scan, &session);
		if (ret == -ENOENT)
			return true;
		if (ret < 0)
			return false;
		if (plm_admit_info(ctl->admit, session, &info) == 0)
			ctl_ending(ctl, session, info.room_idx, PLM_END_DRAIN);
	}
	return false;
}

static bool
delivered(struct plm_ctl *ctl)
{
	if (ctl->nb_byes > 0)
		return false;
	for (unsigned int w = 0; w < ctl->conf.nb_workers; w++) {
		if (rte_ring_empty(plm_relay_box_down(ctl->relay, w)->ring) == 0)
			return false;
	}
	return true;
}

static bool
sent(struct plm_ctl *ctl)
{
	if (!plm_rcu_over(&ctl->rcu, ctl->end_token))
		return false;
	for (unsigned int w = 0; w < ctl->conf.nb_workers; w++) {
		if (plm_relay_parked(ctl->relay, w) > 0)
			return false;
	}
	return true;
}

/* Round and round, since sessions may open behind us where nobody drains. */
static void
end_some(struct plm_ctl *ctl, uint64_t now_ns, uint64_t wall_s)
{
	unsigned int scan = SCAN_BUDGET;
	struct plm_handle session;

	for (unsigned int i = 0; i < END_BUDGET; i++) {
		int ret = next_session(ctl, &scan, &session);

		if (ret == -ENOENT)
			ctl->end_from = 0;
		if (ret < 0)
			return;
		plm_admit_end(ctl->admit, session, PLM_END_DRAIN, now_ns, wall_s);
	}
}

/* Those of QUIC connections, whose sessions have ended. */
static bool
closes_sent(struct plm_ctl *ctl)
{
	if (ctl->end != CTL_END_CLOSES) {
		if (ctl_quic_is_late(ctl) || !delivered(ctl))
			return false;
		ctl->end = CTL_END_CLOSES;
		ctl->end_token = plm_rcu_start(&ctl->rcu);
	}
	return sent(ctl);
}

uint32_t
plm_ctl_end_all(struct plm_ctl *ctl, uint64_t now_ns, uint64_t wall_s)
{
	bool late = ctl->end != CTL_END_NONE && now_ns >= ctl->end_by_ns;
	uint32_t left;

	ctl_bye_flush(ctl);
	if (ctl->end == CTL_END_NONE) {
		ctl->end = CTL_END_ANNOUNCE;
		ctl->end_from = 0;
		ctl->end_by_ns = now_ns + END_WAIT_NS;
	}
	if (ctl->end == CTL_END_ANNOUNCE && (announce_some(ctl) || late))
		ctl->end = CTL_END_DELIVER;
	ctl_bye_flush(ctl);
	if (ctl->end == CTL_END_DELIVER && (delivered(ctl) || late)) {
		ctl->end = CTL_END_SEND;
		ctl->end_token = plm_rcu_start(&ctl->rcu);
	}
	if (ctl->end == CTL_END_SEND && (sent(ctl) || late)) {
		ctl->end = CTL_END_SESSIONS;
		ctl->end_from = 0;
	}
	if (ctl->end == CTL_END_SESSIONS)
		end_some(ctl, now_ns, wall_s);
	left = plm_session_nb_open(ctl->sessions) + ctl->nb_byes;
	if (left > 0)
		return left;
	if (ctl->quic != NULL && !late && !closes_sent(ctl))
		return 1;
	ctl->end = CTL_END_NONE;
	return 0;
}

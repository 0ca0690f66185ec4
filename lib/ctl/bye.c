/* SPDX-License-Identifier: BSD-3-Clause */
/* BYE on behalf of a publisher that vanished, in rooms whose RTCP is clear. It is built and sent
 * after the publisher has left the views, so the others get it and the publisher does not. */
#include "ctl_priv.h"

static uint64_t
room_hash(const struct plm_ctl *ctl, const struct plm_room_info *room)
{
	return plm_siphash(ctl->room_key, room->name, strlen(room->name));
}

void
ctl_ending(void *ctx, struct plm_handle session, uint32_t room_idx, enum plm_end_reason reason)
{
	struct plm_ctl *ctl = ctx;
	const struct plm_session_hot *hot = &ctl->sessions->hot[session.idx];
	struct plm_room_info room;
	struct ctl_bye *bye;

	if (!(hot->role & PLM_ROLE_PUBLISH) || plm_room_info(ctl->rooms, room_idx, &room) < 0 ||
			room.settings.rtcp != PLM_RTCP_CLEAR || room.nb_members < 2)
		return;
	if (ctl->nb_byes == CTL_BYES) {
		plm_count(&ctl->counters, PLM_CNT_CTL_TX_RING);
		return;
	}
	bye = &ctl->byes[(ctl->bye_head + ctl->nb_byes) % CTL_BYES];
	bye->nb = (uint8_t)plm_session_ssrcs(ctl->sessions, session, bye->ssrcs, PLM_SSRCS);
	if (bye->nb == 0)
		return;
	bye->room_idx = room_idx;
	bye->room_hash = room_hash(ctl, &room);
	bye->home = room.home;
	ctl->nb_byes++;
}

/* False: there is no mbuf or no room in the ring now. */
static bool
bye_send(struct plm_ctl *ctl, const struct ctl_bye *bye)
{
	struct plm_mailbox *box = plm_relay_box_down(ctl->relay, bye->home);
	struct plm_msg msg = { .type = PLM_MSG_FANOUT, .idx = bye->room_idx };
	struct plm_room_info room;
	struct rte_mbuf *m;
	int len;

	if (plm_room_info(ctl->rooms, bye->room_idx, &room) < 0 ||
			room_hash(ctl, &room) != bye->room_hash)
		return true; /* nobody is left who could be told */
	m = rte_pktmbuf_alloc(ctl->conf.frame_pool);
	if (m == NULL) {
		plm_count(&ctl->counters, PLM_CNT_CTL_NO_MBUF);
		return false;
	}
	len = plm_rtcp_build_bye(rte_pktmbuf_mtod(m, uint8_t *), rte_pktmbuf_tailroom(m),
			bye->ssrcs, bye->nb);
	if (len > 0) {
		rte_pktmbuf_append(m, (uint16_t)len);
		msg.mbuf = m;
		if (plm_mailbox_put(box, &msg, 1) == 1)
			return true;
	}
	rte_pktmbuf_free(m);
	return false;
}

unsigned int
ctl_bye_flush(struct plm_ctl *ctl)
{
	unsigned int n = 0;

	/* In order, and no further than the first that must wait. */
	while (ctl->nb_byes > 0 && bye_send(ctl, &ctl->byes[ctl->bye_head])) {
		ctl->bye_head = (ctl->bye_head + 1) % CTL_BYES;
		ctl->nb_byes--;
		n++;
	}
	return n;
}

/* A session leaves one BYE at most: what ends at once is bounded by the queue's free entries. */
uint32_t
plm_ctl_end_all(struct plm_ctl *ctl, uint64_t now_ns, uint64_t wall_s)
{
	struct plm_handle session;
	uint32_t from = 0;
	unsigned int budget;

	ctl_bye_flush(ctl);
	budget = RTE_MIN(CTL_BYES - ctl->nb_byes, 256u);
	while (budget-- > 0 && plm_admit_next(ctl->admit, from, &session) == 0) {
		plm_admit_end(ctl->admit, session, PLM_END_DRAIN, now_ns, wall_s);
		from = session.idx + 1;
	}
	ctl_bye_flush(ctl);
	return plm_session_nb_open(ctl->sessions) + ctl->nb_byes;
}

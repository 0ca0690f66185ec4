/* SPDX-License-Identifier: BSD-3-Clause */
/* What the workers hand up: by class, each with a budget, so that a flood of unknown sources costs
 * those who are in a call nothing. And what goes down: frames and answers. */
#include <errno.h>

#include "ctl_priv.h"

#define INPUT_BURST 32
/* An error or success answer; plm_admit_stun() asks for no less. */
#define ANSWER_SIZE 256

/* Frames are made without a tag; whoever sends puts it in. Consumes `m`. */
void
ctl_send_down(struct plm_ctl *ctl, uint16_t port_idx, struct rte_mbuf *m)
{
	struct plm_msg msg = { .type = PLM_MSG_TX, .aux = port_idx, .mbuf = m };
	unsigned int worker = plm_relay_port_worker(ctl->relay, port_idx);

	if (ctl->conf.ports[port_idx]->vlan != 0)
		plm_port_tag(ctl->conf.ports[port_idx], m);
	if (plm_mailbox_put(plm_relay_box_down(ctl->relay, worker), &msg, 1) == 1)
		return;
	plm_count(&ctl->counters, PLM_CNT_CTL_TX_RING);
	rte_pktmbuf_free(m);
}

void
ctl_emit(void *ctx, uint16_t port_idx, const void *frame, size_t len)
{
	struct plm_ctl *ctl = ctx;
	struct rte_mbuf *m = NULL;
	char *p = NULL;

	if (ctl->relay == NULL)
		return; /* being assembled: no worker could send it */
	if (len <= UINT16_MAX)
		m = ctl_frame_alloc(ctl);
	if (m != NULL)
		p = rte_pktmbuf_append(m, (uint16_t)len);
	if (p == NULL) {
		plm_count(&ctl->counters, PLM_CNT_CTL_NO_MBUF);
		rte_pktmbuf_free(m);
		return;
	}
	memcpy(p, frame, len);
	ctl_send_down(ctl, port_idx, m);
}

void
ctl_reply(struct plm_ctl *ctl, struct rte_mbuf *request, const void *payload, size_t len)
{
	const uint8_t *frame = rte_pktmbuf_mtod(request, const uint8_t *);
	const struct plm_pkt *pkt = plm_pkt(request);
	struct rte_mbuf *m = ctl_frame_alloc(ctl);
	int ret;

	if (m == NULL) {
		plm_count(&ctl->counters, PLM_CNT_CTL_NO_MBUF);
		return;
	}
	ret = plm_net_reply(ctl->net, frame, pkt, payload, len, rte_pktmbuf_mtod(m, uint8_t *),
			rte_pktmbuf_tailroom(m));
	if (ret < 0) {
		plm_count(&ctl->counters, PLM_CNT_CTL_NO_MBUF);
		rte_pktmbuf_free(m);
		return;
	}
	rte_pktmbuf_append(m, (uint16_t)ret);
	ctl_send_down(ctl, pkt->port_idx, m);
}

static void
answer_stun(struct plm_ctl *ctl, unsigned int worker, struct rte_mbuf *request)
{
	const uint8_t *frame = rte_pktmbuf_mtod(request, const uint8_t *);
	const struct plm_pkt *pkt = plm_pkt(request);
	struct plm_admit_request req = {
		.msg = frame + pkt->payload_off,
		.len = pkt->payload_len,
		.tuple = {
			.port = pkt->src_port,
			.local_idx = pkt->local_idx,
			.is_v6 = pkt->is_v6,
		},
		.worker = worker,
		.now_ns = ctl->now_ns,
		.wall_s = ctl->wall_s,
	};
	uint8_t answer[ANSWER_SIZE];
	size_t len;

	memcpy(req.tuple.addr, pkt->src_addr, sizeof(req.tuple.addr));
	len = plm_admit_stun(ctl->admit, &req, answer, sizeof(answer));
	if (len == 0)
		return;
	ctl_reply(ctl, request, answer, len);
}

/* STUN from the tuple of a session comes in the first ring with its reference, ARP, ND and ICMP in
 * the first without one, other STUN in the second. Consumes `m`. */
static void
packet(struct plm_ctl *ctl, unsigned int worker, struct rte_mbuf *m, bool is_first_ring)
{
	const struct plm_pkt *pkt = plm_pkt(m);

	plm_count(&ctl->counters, PLM_CNT_CTL_FRAMES_IN);
	if (pkt->is_known == PLM_PKT_QUIC) {
		ctl_quic_packet(ctl, worker, m);
		return;
	}
	if (unlikely(m->nb_segs > 1))
		plm_count(&ctl->counters, PLM_CNT_CTL_MALFORMED);
	else if (is_first_ring && !pkt->is_known)
		plm_net_input(ctl->net, pkt->port_idx, rte_pktmbuf_mtod(m, const uint8_t *),
				m->data_len, ctl->now_ns);
	else
		answer_stun(ctl, worker, m);
	rte_pktmbuf_free(m);
}

/* The revocation that waits for room in the worker's ring; false: it still does. */
static bool
revoke_flush(struct plm_ctl *ctl, unsigned int worker)
{
	if (!ctl->has_revoke[worker])
		return true;
	if (plm_mailbox_put(plm_relay_box_down(ctl->relay, worker), &ctl->revoke[worker], 1) == 0 &&
			!plm_mutant(REVOKE_LOST))
		return false;
	ctl->has_revoke[worker] = false;
	return true;
}

static void
claim(struct plm_ctl *ctl, unsigned int worker, const struct plm_msg *msg)
{
	int ret = plm_session_claim_ssrc(ctl->sessions, (struct plm_handle){ msg->idx, msg->gen },
			msg->ssrc);

	plm_sched_point(CLAIM, NULL);
	if (ret == 0 || ret == -ENOENT) /* an ended session's home has forgotten it already */
		return;
	plm_count(&ctl->counters, ret == -EEXIST ? PLM_CNT_SSRC_CLASH : PLM_CNT_SSRC_TABLE_FULL);
	ctl->revoke[worker] = *msg;
	ctl->revoke[worker].type = PLM_MSG_SSRC_REVOKE;
	ctl->has_revoke[worker] = true;
}

/* One at a time: behind a claim whose answer waits, nothing is taken. */
static unsigned int
known(struct plm_ctl *ctl, unsigned int worker)
{
	struct plm_mailbox *box = plm_relay_box_known(ctl->relay, worker);
	unsigned int n;

	for (n = 0; n < ctl->known_budget && revoke_flush(ctl, worker); n++) {
		struct plm_msg msg;

		if (plm_mailbox_get(box, &msg, 1) == 0)
			break;
		if (msg.type == PLM_MSG_SSRC_CLAIM)
			claim(ctl, worker, &msg);
		else if (msg.type == PLM_MSG_QUIC_STREAM)
			ctl_quic_stream(ctl, worker, msg.idx, msg.mbuf);
		else if (msg.type == PLM_MSG_QUIC_GONE)
			ctl_quic_gone(ctl, (struct plm_handle){ msg.idx, msg.gen });
		else
			packet(ctl, worker, msg.mbuf, true);
	}
	return n;
}

static unsigned int
unknown(struct plm_ctl *ctl, unsigned int worker)
{
	struct plm_mailbox *box = plm_relay_box_unknown(ctl->relay, worker);
	struct plm_msg msgs[INPUT_BURST];
	unsigned int n;

	n = plm_mailbox_get(box, msgs, RTE_MIN(ctl->unknown_budget, (unsigned int)INPUT_BURST));
	for (unsigned int i = 0; i < n; i++)
		packet(ctl, worker, msgs[i].mbuf, false);
	return n;
}

unsigned int
ctl_input(struct plm_ctl *ctl)
{
	unsigned int n = 0;

	for (unsigned int w = 0; w < ctl->conf.nb_workers; w++)
		n += known(ctl, w);
	for (unsigned int w = 0; w < ctl->conf.nb_workers; w++)
		n += unknown(ctl, w);
	return n;
}

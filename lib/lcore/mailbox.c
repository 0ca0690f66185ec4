/* SPDX-License-Identifier: BSD-3-Clause */
/* Mailboxes: one ring of whole messages per direction and pair of lcores. */
#include <rte_common.h>
#include <rte_errno.h>

#include "plm_lcore.h"

/* A ring holds one element less than its power of two. */
static unsigned int
ring_slots(unsigned int size)
{
	return rte_align32pow2(size + 1);
}

int
plm_mailbox_init(struct plm_mailbox *box, const char *name, unsigned int size, int socket)
{
	struct rte_ring *ring;

	ring = rte_ring_create_elem(name, sizeof(struct plm_msg), ring_slots(size), socket,
			RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (ring == NULL)
		return -rte_errno;
	box->ring = ring;
	return 0;
}

size_t
plm_mailbox_bytes(unsigned int size)
{
	return (size_t)rte_ring_get_memsize_elem(sizeof(struct plm_msg), ring_slots(size));
}

/* Whether the message owns an mbuf; the others carry a handle in its place. */
static bool
msg_has_mbuf(const struct plm_msg *msg)
{
	switch ((enum plm_msg_type)msg->type) {
	case PLM_MSG_PACKET:
	case PLM_MSG_CARRY:
	case PLM_MSG_CTL_PACKET:
	case PLM_MSG_TX:
	case PLM_MSG_FANOUT:
	case PLM_MSG_QUIC:
	case PLM_MSG_QUIC_STREAM:
	case PLM_MSG_QUIC_SEND:
	case PLM_MSG_RETURN:
		return true;
	case PLM_MSG_QUIC_ADOPT:
	case PLM_MSG_QUIC_CLOSE:
	case PLM_MSG_QUIC_GONE:
	case PLM_MSG_SSRC_CLAIM:
	case PLM_MSG_SSRC_REVOKE:
		return false;
	case PLM_MSG_SLICE:
		break;
	}
	return msg->type >= PLM_MSG_SLICE;
}

void
plm_mailbox_fini(struct plm_mailbox *box)
{
	struct plm_msg msg;

	if (box->ring == NULL)
		return;
	while (plm_mailbox_get(box, &msg, 1) == 1) {
		if (msg_has_mbuf(&msg))
			rte_pktmbuf_free(msg.mbuf);
	}
	rte_ring_free(box->ring);
	box->ring = NULL;
}

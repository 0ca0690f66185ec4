/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the files of lib/session: what the slow path alone knows of a session. */
#ifndef SESSION_PRIV_H
#define SESSION_PRIV_H

#include "plm_session.h"

enum slot_state {
	SLOT_FREE, /* in the queue of free indexes */
	SLOT_OPEN,
	SLOT_ENDED, /* views may still name it */
	SLOT_WAITS, /* released: one more grace period */
};

/* ctl: one per session index. */
struct session_slot {
	struct plm_tuple tuple[PLM_TUPLES];
	uint32_t ssrc[PLM_SSRCS];
	uint32_t gen;   /* of the present or last session, 24 bits, never 0 once used */
	uint8_t tuples; /* bit s: slot s is taken */
	uint8_t nb_ssrcs;
	uint8_t state; /* enum slot_state */
};

/* A queue of indexes; as large as there are sessions, so it never overflows. */
struct index_queue {
	uint32_t *idx;
	uint32_t head;
	uint32_t n;
};

/* ctl */
struct plm_session_ctl {
	struct plm_rcu *rcu;
	struct session_slot *slots; /* [max_sessions] */
	struct index_queue unused;  /* first in, first out: stragglers meet a stale generation */
	struct index_queue waiting; /* released, in the order of their tokens */
	uint64_t *token;            /* [max_sessions], of what waits */
	unsigned int nb_workers;
	uint32_t nb_open;
	uint32_t nb_pending;
};

/* The slot of a handle if it is open, else NULL. */
static inline struct session_slot *
slot_get(const struct plm_session_table *tbl, struct plm_handle session)
{
	struct session_slot *slot;

	if (session.idx >= tbl->max_sessions)
		return NULL;
	slot = &tbl->ctl->slots[session.idx];
	return slot->state == SLOT_OPEN && slot->gen == session.gen ? slot : NULL;
}

/* Forget every SSRC that the session owns. */
void session_drop_ssrcs(struct plm_session_table *tbl, struct plm_handle session);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What session.c and ssrc.c share. */
#ifndef PLM_SESSION_PRIV_H
#define PLM_SESSION_PRIV_H

#include <assert.h>

#include "plm_session.h"

/** No session: the end of a list of indexes. */
#define SESSION_NONE UINT32_MAX

/** free → open (create) → ended (end) → waiting (release) → free, a grace period later. */
enum session_state {
	SESSION_FREE,
	SESSION_OPEN,
	SESSION_ENDED,
	SESSION_WAITING,
};

/** The slow path's part of a session. ctl. */
struct session_slot {
	struct plm_tuple tuples[PLM_TUPLES];
	uint32_t ssrcs[PLM_SSRCS];
	uint64_t token;      /* grace period that a waiting index waits for */
	uint32_t gen;        /* the present or last generation; changes with every session */
	uint32_t next;       /* in the free or waiting list */
	uint8_t used_tuples; /* bit per slot of `tuples` */
	uint8_t nb_ssrcs;
	uint8_t state; /* enum session_state */
};

/** First in, first out: an index rests as long as can be, so a straggler's handle stays stale. */
struct session_list {
	uint32_t head;
	uint32_t tail;
	uint32_t nb;
};

struct plm_session_ctl {
	/* const */
	struct plm_rcu *rcu;
	unsigned int nb_workers;
	/* ctl */
	uint32_t nb_open;
	uint32_t nb_ended; /* ended, not yet released */
	struct session_list free;
	struct session_list waiting; /* in the order of their tokens */
	struct session_slot *slots;  /* [max_sessions] */
};

struct ssrc_key {
	uint32_t room_idx;
	uint32_t ssrc;
};
static_assert(sizeof(struct ssrc_key) == 8, "a hash key has no padding");

/** The slot of an open session, NULL for a stale handle. */
static inline struct session_slot *
session_open_slot(const struct plm_session_table *tbl, struct plm_handle session)
{
	struct session_slot *slot;

	if (session.idx >= tbl->max_sessions)
		return NULL;
	slot = &tbl->ctl->slots[session.idx];
	return slot->state == SESSION_OPEN && slot->gen == session.gen ? slot : NULL;
}

/** Retire every SSRC of a session that is about to end. */
void session_ssrcs_retire(struct plm_session_table *tbl, uint32_t idx, struct session_slot *slot);

/** Retire one key. It was entered by us, so it is there; memory for it is in the defer queue. */
static inline void
session_key_retire(const struct rte_hash *hash, const void *key)
{
	int ret = rte_hash_del_key(hash, key);

	assert(ret >= 0);
	RTE_SET_USED(ret);
}

#endif

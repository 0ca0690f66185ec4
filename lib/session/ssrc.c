/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who sends from which SSRC: one owner per room and SSRC, first come, first served. The slow path
 * writes; a worker looks here before it takes a new SSRC and keeps the answer beside the session.
 */
#include <errno.h>

#include "session_priv.h"

plm_sref_t
plm_session_ssrc_owner(const struct plm_session_table *tbl, uint32_t room_idx, uint32_t ssrc)
{
	const struct ssrc_key key = { room_idx, ssrc };
	void *owner = NULL;

	if (rte_hash_lookup_data(tbl->by_ssrc, &key, &owner) < 0)
		return 0;
	return (plm_sref_t)(uintptr_t)owner;
}

int
plm_session_claim_ssrc(struct plm_session_table *tbl, struct plm_handle session, uint32_t ssrc)
{
	struct session_slot *slot = session_open_slot(tbl, session);
	const plm_sref_t self = plm_sref(session.idx, session.gen, 0);
	struct ssrc_key key;
	plm_sref_t owner;

	if (slot == NULL)
		return -ENOENT;
	key = (struct ssrc_key){ tbl->hot[session.idx].room_idx, ssrc };
	owner = plm_session_ssrc_owner(tbl, key.room_idx, ssrc);
	if (owner != 0)
		return owner == self ? 0 : -EEXIST;
	if (slot->nb_ssrcs == PLM_SSRCS)
		return -ENOSPC;
	if (plm_fault(HASH_SSRC) ||
			rte_hash_add_key_data(tbl->by_ssrc, &key, (void *)(uintptr_t)self) < 0)
		return -ENOSPC;
	slot->ssrcs[slot->nb_ssrcs++] = ssrc;
	return 0;
}

unsigned int
plm_session_ssrcs(const struct plm_session_table *tbl, struct plm_handle session, uint32_t *ssrcs,
		unsigned int n)
{
	const struct session_slot *slot = session_open_slot(tbl, session);

	if (slot == NULL)
		return 0;
	n = RTE_MIN(n, slot->nb_ssrcs);
	memcpy(ssrcs, slot->ssrcs, n * sizeof(*ssrcs));
	return n;
}

void
session_ssrcs_retire(struct plm_session_table *tbl, uint32_t idx, struct session_slot *slot)
{
	struct ssrc_key key = { .room_idx = tbl->hot[idx].room_idx };

	for (unsigned int i = 0; i < slot->nb_ssrcs; i++) {
		key.ssrc = slot->ssrcs[i];
		session_key_retire(tbl->by_ssrc, &key);
	}
	slot->nb_ssrcs = 0;
}

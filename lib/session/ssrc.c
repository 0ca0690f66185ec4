/* SPDX-License-Identifier: BSD-3-Clause */
/* Who owns an SSRC of a room, and the bulk lookups of workers. */
#include <errno.h>

#include "session_priv.h"

/* In one word: no padding, and room and SSRC as the key. */
static uint64_t
ssrc_key(uint32_t room_idx, uint32_t ssrc)
{
	return (uint64_t)room_idx << 32 | ssrc;
}

static inline void
lookup(const struct rte_hash *hash, const void *const *keys, unsigned int n, plm_sref_t *refs)
{
	uint64_t hits = 0;
	void *found[RTE_HASH_LOOKUP_BULK_MAX];

	if (rte_hash_lookup_bulk_data(hash, (const void **)(uintptr_t)keys, n, &hits, found) < 0)
		hits = 0;
	for (unsigned int i = 0; i < n; i++)
		refs[i] = hits & UINT64_C(1) << i ? (plm_sref_t)(uintptr_t)found[i] : 0;
}

void
plm_session_lookup4(const struct plm_session_table *tbl, const struct plm_key4 *const *keys,
		unsigned int n, plm_sref_t *refs)
{
	lookup(tbl->by_tuple4, (const void *const *)keys, n, refs);
}

void
plm_session_lookup6(const struct plm_session_table *tbl, const struct plm_key6 *const *keys,
		unsigned int n, plm_sref_t *refs)
{
	lookup(tbl->by_tuple6, (const void *const *)keys, n, refs);
}

plm_sref_t
plm_session_ssrc_owner(const struct plm_session_table *tbl, uint32_t room_idx, uint32_t ssrc)
{
	uint64_t key = ssrc_key(room_idx, ssrc);
	void *ref;

	if (rte_hash_lookup_data(tbl->by_ssrc, &key, &ref) < 0)
		return 0;
	return (plm_sref_t)(uintptr_t)ref;
}

int
plm_session_claim_ssrc(struct plm_session_table *tbl, struct plm_handle session, uint32_t ssrc)
{
	struct session_slot *slot = slot_get(tbl, session);
	plm_sref_t self = plm_sref(session.idx, session.gen, 0);
	uint32_t room_idx;
	plm_sref_t owner;
	uint64_t key;
	int ret;

	if (slot == NULL)
		return -ENOENT;
	room_idx = tbl->hot[session.idx].room_idx;
	owner = plm_session_ssrc_owner(tbl, room_idx, ssrc);
	if (owner == self)
		return 0;
	if (owner != 0)
		return -EEXIST;
	if (slot->nb_ssrcs == PLM_SSRCS)
		return -ENOSPC;
	key = ssrc_key(room_idx, ssrc);
	ret = rte_hash_add_key_data(tbl->by_ssrc, &key, (void *)(uintptr_t)self);
	if (ret < 0)
		return ret;
	slot->ssrc[slot->nb_ssrcs++] = ssrc;
	return 0;
}

unsigned int
plm_session_ssrcs(const struct plm_session_table *tbl, struct plm_handle session, uint32_t *ssrcs,
		unsigned int n)
{
	const struct session_slot *slot = slot_get(tbl, session);

	if (slot == NULL)
		return 0;
	n = RTE_MIN(n, (unsigned int)slot->nb_ssrcs);
	memcpy(ssrcs, slot->ssrc, n * sizeof(ssrcs[0]));
	return n;
}

void
session_drop_ssrcs(struct plm_session_table *tbl, struct plm_handle session)
{
	struct session_slot *slot = slot_get(tbl, session);
	uint32_t room_idx = tbl->hot[session.idx].room_idx;

	for (unsigned int i = 0; i < slot->nb_ssrcs; i++) {
		uint64_t key = ssrc_key(room_idx, slot->ssrc[i]);

		rte_hash_del_key(tbl->by_ssrc, &key);
	}
	slot->nb_ssrcs = 0;
}

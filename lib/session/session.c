/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The session tables: lock-free hashes from address to session, packet state by index, and the
 * slow path's record of what each session holds.
 *
 * A hash key is never overwritten in place: it is retired, and its place is reused by rte_hash
 * itself a grace period later, out of a defer queue as long as the table, so that retiring cannot
 * fail. The same key may come back at once, in another place.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_errno.h>
#include <rte_hash_crc.h>
#include <rte_jhash.h>
#include <rte_malloc.h>

#include "session_priv.h"

/* rte_hash puts "HASH_RCU_" and "RG_" before our name and ".4", ".6" or ".s" comes behind. */
#define NAME_MAX_LEN 16
/* Below this many keys a table holds the worst case; above, what sessions use on average. */
#define FULL_KEYS 16384
/* Places for retired keys in the smallest tables; larger ones have theirs in the rounding. */
#define RETIRED_KEYS 64
/* Indexes given out again per call. */
#define RECLAIM_BURST 256

/*
 * Keys that a table for `average` (in halves) per session and at most `most` has room for. One
 * below a power of two by two, since the rings and buckets inside are rounded up to one.
 */
static uint32_t
hash_entries(uint32_t max_sessions, unsigned int average_x2, unsigned int most)
{
	const uint64_t usual = (uint64_t)max_sessions * average_x2 / 2;
	const uint64_t worst = (uint64_t)max_sessions * most + RETIRED_KEYS;

	return rte_align32pow2((uint32_t)RTE_MAX(usual, RTE_MIN(worst, FULL_KEYS))) - 2;
}

/*
 * Agents that gather several addresses use two of a family for some seconds, one in the long
 * run; the four that the protocol allows are there for small tables.
 */
static uint32_t
tuple_entries(uint32_t max_sessions)
{
	return hash_entries(max_sessions, 4, PLM_TUPLES);
}

/* A subscriber sends reports from one SSRC, a publisher audio and video from two or more. */
static uint32_t
ssrc_entries(uint32_t max_sessions)
{
	return hash_entries(max_sessions, 5, PLM_SSRCS);
}

static int
hash_create(struct rte_hash **hash, const struct plm_session_conf *conf, const char *suffix,
		uint32_t entries, uint32_t key_len, rte_hash_function func)
{
	char name[RTE_HASH_NAMESIZE];
	const struct rte_hash_parameters params = {
		.name = name,
		.entries = entries,
		.key_len = key_len,
		.hash_func = func,
		.hash_func_init_val = conf->hash_seed,
		.socket_id = conf->socket,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF |
				RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};
	/* The default queue is as long as the table; each retirement frees up to 16 older ones. */
	struct rte_hash_rcu_config rcu = {
		.v = conf->rcu->qsbr,
		.mode = RTE_HASH_QSBR_MODE_DQ,
	};

	snprintf(name, sizeof(name), "%s.%s", conf->name, suffix);
	*hash = rte_hash_create(&params);
	if (*hash == NULL)
		return -rte_errno;
	if (rte_hash_rcu_qsbr_add(*hash, &rcu) != 0)
		return -rte_errno;
	return 0;
}

/* What rte_hash_create() and the defer queue allocate, without their fixed parts. */
static size_t
hash_bytes(uint32_t entries, uint32_t key_len)
{
	const size_t places = (size_t)entries + 1;
	const size_t rounded = rte_align32pow2(entries);
	const size_t key_size = RTE_ALIGN_CEIL(sizeof(void *) + key_len, 16);
	const size_t buckets = 2 * rounded / 8 * RTE_CACHE_LINE_SIZE; /* and as many to extend */
	const size_t rings = rounded * sizeof(uint32_t) + rounded / 8 * sizeof(uint32_t);
	const size_t defer_queue = rounded * 16; /* token and two indexes */

	return places * (key_size + sizeof(uint32_t)) + buckets + rings + defer_queue;
}

size_t
plm_session_bytes(const struct plm_session_conf *conf)
{
	const uint32_t n = conf->max_sessions;
	const size_t hashes = hash_bytes(tuple_entries(n), sizeof(struct plm_key4)) +
			hash_bytes(tuple_entries(n), sizeof(struct plm_key6)) +
			hash_bytes(ssrc_entries(n), sizeof(struct ssrc_key));

	return hashes / n + sizeof(struct plm_session_hot) +
			conf->nb_workers * sizeof(struct plm_session_tx) +
			sizeof(struct session_slot);
}

static void
list_put(struct plm_session_ctl *ctl, struct session_list *list, uint32_t idx)
{
	ctl->slots[idx].next = SESSION_NONE;
	if (list->nb++ == 0)
		list->head = idx;
	else
		ctl->slots[list->tail].next = idx;
	list->tail = idx;
}

static uint32_t
list_get(struct plm_session_ctl *ctl, struct session_list *list)
{
	const uint32_t idx = list->head;

	list->head = ctl->slots[idx].next;
	list->nb--;
	return idx;
}

static int
ctl_create(struct plm_session_ctl **out, const struct plm_session_conf *conf)
{
	struct plm_session_ctl *ctl = calloc(1, sizeof(*ctl));

	*out = ctl;
	if (ctl == NULL)
		return -ENOMEM;
	ctl->rcu = conf->rcu;
	ctl->nb_workers = conf->nb_workers;
	ctl->slots = calloc(conf->max_sessions, sizeof(*ctl->slots));
	if (ctl->slots == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < conf->max_sessions; i++)
		list_put(ctl, &ctl->free, i);
	return 0;
}

int
plm_session_table_create(struct plm_session_table **tbl, const struct plm_session_conf *conf)
{
	const uint32_t n = conf->max_sessions;
	struct plm_session_table *t;
	int ret;

	if (n == 0 || n > PLM_SESSIONS_MAX || conf->nb_workers > PLM_WORKERS_MAX ||
			strlen(conf->name) > NAME_MAX_LEN)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->max_sessions = n;
	ret = ctl_create(&t->ctl, conf);
	if (ret < 0)
		goto fail;

	ret = -ENOMEM;
	t->hot = rte_zmalloc_socket("plm_session_hot", n * sizeof(*t->hot), RTE_CACHE_LINE_SIZE,
			conf->socket);
	if (t->hot == NULL)
		goto fail;
	for (unsigned int w = 0; w < conf->nb_workers; w++) {
		t->tx[w] = rte_zmalloc_socket("plm_session_tx", n * sizeof(*t->tx[w]),
				RTE_CACHE_LINE_SIZE, conf->socket);
		if (t->tx[w] == NULL)
			goto fail;
	}

	/* An SSRC is the peer's choice and so takes the hash that a seed makes unpredictable; a
	 * tuple gets in only by authentication, and the faster one does for it.
	 */
	ret = hash_create(&t->by_tuple4, conf, "4", tuple_entries(n), sizeof(struct plm_key4),
			rte_hash_crc);
	if (ret == 0)
		ret = hash_create(&t->by_tuple6, conf, "6", tuple_entries(n),
				sizeof(struct plm_key6), rte_hash_crc);
	if (ret == 0)
		ret = hash_create(&t->by_ssrc, conf, "s", ssrc_entries(n), sizeof(struct ssrc_key),
				rte_jhash);
	if (ret < 0)
		goto fail;
	*tbl = t;
	return 0;

fail:
	plm_session_table_free(t); /* takes half-built tables */
	return ret;
}

void
plm_session_table_free(struct plm_session_table *tbl)
{
	if (tbl == NULL)
		return;
	rte_hash_free(tbl->by_tuple4);
	rte_hash_free(tbl->by_tuple6);
	rte_hash_free(tbl->by_ssrc);
	for (unsigned int w = 0; w < PLM_WORKERS_MAX; w++)
		rte_free(tbl->tx[w]);
	rte_free(tbl->hot);
	if (tbl->ctl != NULL)
		free(tbl->ctl->slots);
	free(tbl->ctl);
	free(tbl);
}

/* --- lookup ------------------------------------------------------------------------------- */

/* The value of a key is the reference itself: a hit costs no line of its own. */
static_assert(sizeof(plm_sref_t) == sizeof(void *), "a reference fits a hash's value");

static inline void
lookup(const struct rte_hash *hash, const void **keys, unsigned int n, plm_sref_t *refs)
{
	uint64_t found = 0;

	assert(n <= RTE_HASH_LOOKUP_BULK_MAX);
	if (n == 0)
		return;
	/* Nothing to overlap: the bulk lookup's stages cost one key twice its own instructions. */
	if (n == 1) {
		if (rte_hash_lookup_data(hash, keys[0], (void **)refs) < 0)
			refs[0] = 0;
		return;
	}
	memset(refs, 0, n * sizeof(*refs));
	/* Only the values of keys that were found are written. */
	rte_hash_lookup_bulk_data(hash, keys, n, &found, (void **)refs);
}

void
plm_session_lookup4(const struct plm_session_table *tbl, const struct plm_key4 *const *keys,
		unsigned int n, plm_sref_t *refs)
{
	lookup(tbl->by_tuple4, (const void **)(uintptr_t)keys, n, refs);
}

void
plm_session_lookup6(const struct plm_session_table *tbl, const struct plm_key6 *const *keys,
		unsigned int n, plm_sref_t *refs)
{
	lookup(tbl->by_tuple6, (const void **)(uintptr_t)keys, n, refs);
}

/* --- tuples ------------------------------------------------------------------------------- */

union tuple_key {
	struct plm_key4 v4;
	struct plm_key6 v6;
};

static const struct rte_hash *
tuple_hash(const struct plm_session_table *tbl, const struct plm_tuple *tuple, union tuple_key *key)
{
	if (tuple->is_v6) {
		memcpy(key->v6.addr, tuple->addr, sizeof(key->v6.addr));
		key->v6.port = tuple->port;
		key->v6.local_idx = tuple->local_idx;
		return tbl->by_tuple6;
	}
	memcpy(key->v4.addr, tuple->addr, sizeof(key->v4.addr));
	key->v4.port = tuple->port;
	key->v4.local_idx = tuple->local_idx;
	return tbl->by_tuple4;
}

plm_sref_t
plm_session_find(const struct plm_session_table *tbl, const struct plm_tuple *tuple)
{
	union tuple_key key;
	const struct rte_hash *hash = tuple_hash(tbl, tuple, &key);
	void *ref = NULL;

	if (rte_hash_lookup_data(hash, &key, &ref) < 0)
		return 0;
	return (plm_sref_t)(uintptr_t)ref;
}

int
plm_session_add_tuple(struct plm_session_table *tbl, struct plm_handle session,
		const struct plm_tuple *tuple, uint8_t *slot_idx)
{
	struct session_slot *slot = session_open_slot(tbl, session);
	union tuple_key key;
	const struct rte_hash *hash = tuple_hash(tbl, tuple, &key);
	plm_sref_t ref;
	uint8_t i;

	if (slot == NULL)
		return -ENOENT;
	if (plm_session_find(tbl, tuple) != 0)
		return -EEXIST;
	if (slot->used_tuples == (1u << PLM_TUPLES) - 1)
		return -ENOSPC;
	i = (uint8_t)__builtin_ctz(~slot->used_tuples);
	/* Nothing was heard from it; its predecessor in the slot may have been. */
	atomic_store_explicit(&tbl->hot[session.idx].heard_ms[i], 0, memory_order_relaxed);
	ref = plm_sref(session.idx, session.gen, i);
	if (plm_fault(HASH_TUPLE) || rte_hash_add_key_data(hash, &key, (void *)(uintptr_t)ref) < 0)
		return -ENOSPC;
	slot->tuples[i] = *tuple;
	slot->used_tuples |= (uint8_t)(1u << i);
	*slot_idx = i;
	plm_sched_point(TUPLE, &tbl->hot[session.idx]);
	return 0;
}

static void
tuple_retire(struct plm_session_table *tbl, struct session_slot *slot, unsigned int i)
{
	union tuple_key key;
	const struct rte_hash *hash = tuple_hash(tbl, &slot->tuples[i], &key);

	session_key_retire(hash, &key);
	slot->used_tuples &= (uint8_t) ~(1u << i);
}

int
plm_session_del_tuple(struct plm_session_table *tbl, struct plm_handle session, uint8_t slot_idx)
{
	struct session_slot *slot = session_open_slot(tbl, session);

	if (slot == NULL || slot_idx >= PLM_TUPLES || !(slot->used_tuples & 1u << slot_idx))
		return -ENOENT;
	tuple_retire(tbl, slot, slot_idx);
	return 0;
}

const struct plm_tuple *
plm_session_tuple(const struct plm_session_table *tbl, struct plm_handle session, uint8_t slot_idx)
{
	const struct session_slot *slot = session_open_slot(tbl, session);

	if (slot == NULL || slot_idx >= PLM_TUPLES || !(slot->used_tuples & 1u << slot_idx))
		return NULL;
	return &slot->tuples[slot_idx];
}

/* --- life --------------------------------------------------------------------------------- */

/* No worker knows the index: the last session of it is a grace period away. */
static void
hot_reset(struct plm_session_table *tbl, uint32_t idx, const struct plm_session_new *conf)
{
	struct plm_session_hot *hot = &tbl->hot[idx];

	hot->room_idx = conf->room_idx;
	hot->home = conf->home;
	hot->role = conf->role;
	hot->max_ssrcs = conf->max_ssrcs;
	hot->consent_alive = conf->consent_alive;
	hot->packet_rate = conf->packet_rate;
	hot->bit_rate = conf->bit_rate;
	hot->nb_streams = 0;
	hot->claims_pending = 0;
	hot->packet_tat = 0;
	hot->bit_tat = 0;
	hot->rtcp_tat = 0;
	atomic_store_explicit(&hot->rx_packets, 0, memory_order_relaxed);
	atomic_store_explicit(&hot->rx_bytes, 0, memory_order_relaxed);
	atomic_store_explicit(&hot->rx_dropped, 0, memory_order_relaxed);
	atomic_store_explicit(&hot->quality, 0, memory_order_relaxed);
	memset(hot->streams, 0, sizeof(hot->streams));

	/* A copy that waited in another lcore's queue all that time may still be counted here:
	 * off by one in a statistic.
	 */
	for (unsigned int w = 0; w < tbl->ctl->nb_workers; w++) {
		struct plm_session_tx *tx = &tbl->tx[w][idx];

		atomic_store_explicit(&tx->packets, 0, memory_order_relaxed);
		atomic_store_explicit(&tx->bytes, 0, memory_order_relaxed);
		atomic_store_explicit(&tx->dropped, 0, memory_order_relaxed);
	}
}

int
plm_session_prepare(struct plm_session_table *tbl, const struct plm_session_new *conf,
		struct plm_handle *session)
{
	struct plm_session_ctl *ctl = tbl->ctl;
	struct session_slot *slot;
	uint32_t idx;

	if (ctl->free.nb == 0)
		return -ENOSPC;
	idx = list_get(ctl, &ctl->free);
	slot = &ctl->slots[idx];
	slot->state = SESSION_OPEN;
	if (!plm_mutant(SAME_GENERATION) || slot->gen == 0)
		slot->gen = (slot->gen + 1) & PLM_GEN_MASK;
	if (slot->gen == 0)
		slot->gen = 1;
	hot_reset(tbl, idx, conf);
	ctl->nb_open++;
	*session = (struct plm_handle){ idx, slot->gen };
	return 0;
}

void
plm_session_open(struct plm_session_table *tbl, struct plm_handle session)
{
	struct plm_session_hot *hot = &tbl->hot[session.idx];

	if (session_open_slot(tbl, session) == NULL)
		return;
	plm_sched_point(SESSION_NEW, hot);
	/* Release: who sees the generation sees the rest. Pairs with plm_session_get(). */
	atomic_store_explicit(&hot->gen, session.gen, memory_order_release);
	plm_sched_point(SESSION_OPEN, hot);
}

int
plm_session_create(struct plm_session_table *tbl, const struct plm_session_new *conf,
		struct plm_handle *session)
{
	int ret = plm_session_prepare(tbl, conf, session);

	if (ret == 0)
		plm_session_open(tbl, *session);
	return ret;
}

void
plm_session_end(struct plm_session_table *tbl, struct plm_handle session)
{
	struct session_slot *slot = session_open_slot(tbl, session);

	if (slot == NULL)
		return;
	atomic_store_explicit(&tbl->hot[session.idx].gen, 0, memory_order_release);
	plm_sched_point(SESSION_END, &tbl->hot[session.idx]);
	for (unsigned int i = 0; i < PLM_TUPLES; i++)
		if (slot->used_tuples & 1u << i)
			tuple_retire(tbl, slot, i);
	session_ssrcs_retire(tbl, session.idx, slot);
	slot->state = SESSION_ENDED;
	tbl->ctl->nb_open--;
	tbl->ctl->nb_ended++;
}

void
plm_session_release(struct plm_session_table *tbl, uint32_t session_idx)
{
	struct plm_session_ctl *ctl = tbl->ctl;
	struct session_slot *slot = &ctl->slots[session_idx];

	if (slot->state != SESSION_ENDED)
		return;
	slot->state = SESSION_WAITING;
	slot->token = plm_rcu_start(ctl->rcu);
	ctl->nb_ended--;
	list_put(ctl, &ctl->waiting, session_idx);
}

void
plm_session_reclaim(struct plm_session_table *tbl)
{
	struct plm_session_ctl *ctl = tbl->ctl;

	for (unsigned int i = 0; i < RECLAIM_BURST && ctl->waiting.nb > 0; i++) {
		const uint32_t idx = ctl->waiting.head;

		if (!plm_rcu_over(ctl->rcu, ctl->slots[idx].token) && !plm_mutant(REUSE_EARLY))
			return;
		list_get(ctl, &ctl->waiting);
		ctl->slots[idx].state = SESSION_FREE;
		plm_sched_point(SESSION_FREE, &tbl->hot[idx]);
		list_put(ctl, &ctl->free, idx);
	}
}

uint32_t
plm_session_nb_open(const struct plm_session_table *tbl)
{
	return tbl->ctl->nb_open;
}

uint32_t
plm_session_nb_pending(const struct plm_session_table *tbl)
{
	return tbl->ctl->nb_ended + tbl->ctl->waiting.nb;
}

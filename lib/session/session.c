/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions by tuple. The slow path writes, workers look up without a lock; an index goes round:
 *
 *   free ── create ──▶ open ── end ──▶ ended ── release ──▶ waits ── grace period ──▶ free
 *
 * `end` takes generation, tuples and SSRCs away at once, so that no worker gets through with a
 * reference it still holds; `release` says that no view names the index; the grace period
 * that follows is for workers that counted a copy to it in the turn before. */
#include <errno.h>
#include <stdio.h>

#include <rte_errno.h>
#include <rte_hash_crc.h>
#include <rte_malloc.h>

#include "session_priv.h"

/* Slots given out again in one turn of the slow path. */
#define RECLAIM_MAX 64
/* Deleted keys whose entries are reclaimed at once when a key is added or deleted. */
#define HASH_RECLAIM_MAX 32

static uint32_t
nb_keys(uint32_t max_sessions)
{
	/* Agents check from two addresses or so until they have nominated, and a deleted key holds
	 * its entry for a grace period. */
	return 2 * max_sessions + 1024;
}

static struct rte_hash *
hash_create(const struct plm_session_conf *conf, const char *suffix, uint32_t key_len,
		uint32_t entries)
{
	char name[RTE_HASH_NAMESIZE];
	struct rte_hash_parameters params = {
		.name = name,
		.entries = entries,
		.key_len = key_len,
		.hash_func = rte_hash_crc,
		.hash_func_init_val = conf->hash_seed,
		.socket_id = conf->socket,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF |
				RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};
	struct rte_hash_rcu_config rcu = {
		.v = conf->rcu->qsbr,
		.mode = RTE_HASH_QSBR_MODE_DQ,
		.dq_size = entries,
		.max_reclaim_size = HASH_RECLAIM_MAX,
	};
	struct rte_hash *hash;

	if (snprintf(name, sizeof(name), "%s_%s", conf->name, suffix) >= (int)sizeof(name)) {
		rte_errno = ENAMETOOLONG;
		return NULL;
	}
	hash = rte_hash_create(&params);
	if (hash == NULL)
		return NULL;
	if (rte_hash_rcu_qsbr_add(hash, &rcu) != 0) {
		int err = rte_errno != 0 ? rte_errno : ENOMEM;

		rte_hash_free(hash);
		rte_errno = err;
		return NULL;
	}
	return hash;
}

static void
queue_push(struct index_queue *q, uint32_t size, uint32_t idx)
{
	uint32_t at = q->head + q->n;

	q->idx[at >= size ? at - size : at] = idx;
	q->n++;
}

static uint32_t
queue_pop(struct index_queue *q, uint32_t size)
{
	uint32_t idx = q->idx[q->head];

	q->head = q->head + 1 == size ? 0 : q->head + 1;
	q->n--;
	return idx;
}

static int
ctl_create(struct plm_session_table *tbl, const struct plm_session_conf *conf)
{
	uint32_t n = conf->max_sessions;
	struct plm_session_ctl *ctl;

	ctl = rte_zmalloc_socket("plm_session", sizeof(*ctl), 0, conf->socket);
	if (ctl == NULL)
		return -ENOMEM;
	tbl->ctl = ctl;
	ctl->rcu = conf->rcu;
	ctl->nb_workers = conf->nb_workers;
	ctl->slots = rte_zmalloc_socket("plm_session", n * sizeof(*ctl->slots), 0, conf->socket);
	ctl->unused.idx = rte_zmalloc_socket("plm_session", n * sizeof(uint32_t), 0, conf->socket);
	ctl->waiting.idx = rte_zmalloc_socket("plm_session", n * sizeof(uint32_t), 0, conf->socket);
	ctl->token = rte_zmalloc_socket("plm_session", n * sizeof(uint64_t), 0, conf->socket);
	if (ctl->slots == NULL || ctl->unused.idx == NULL || ctl->waiting.idx == NULL ||
			ctl->token == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		queue_push(&ctl->unused, n, i);
	return 0;
}

int
plm_session_table_create(struct plm_session_table **out, const struct plm_session_conf *conf)
{
	struct plm_session_table *tbl;
	int ret;

	if (conf->max_sessions == 0 || conf->nb_workers == 0 || conf->nb_workers > PLM_WORKERS_MAX)
		return -EINVAL;
	tbl = rte_zmalloc_socket("plm_session", sizeof(*tbl), 0, conf->socket);
	if (tbl == NULL)
		return -ENOMEM;
	tbl->max_sessions = conf->max_sessions;
	ret = ctl_create(tbl, conf);
	if (ret < 0)
		goto fail;
	ret = -ENOMEM;
	tbl->hot = rte_zmalloc_socket("plm_session", conf->max_sessions * sizeof(*tbl->hot),
			RTE_CACHE_LINE_SIZE, conf->socket);
	if (tbl->hot == NULL)
		goto fail;
	for (unsigned int w = 0; w < conf->nb_workers; w++) {
		tbl->tx[w] = rte_zmalloc_socket("plm_session",
				conf->max_sessions * sizeof(*tbl->tx[w]), RTE_CACHE_LINE_SIZE,
				conf->socket);
		if (tbl->tx[w] == NULL)
			goto fail;
	}
	tbl->by_tuple4 = hash_create(conf, "tuple4", sizeof(struct plm_key4),
			nb_keys(conf->max_sessions));
	if (tbl->by_tuple4 == NULL)
		goto fail_hash;
	tbl->by_tuple6 = hash_create(conf, "tuple6", sizeof(struct plm_key6),
			nb_keys(conf->max_sessions));
	if (tbl->by_tuple6 == NULL)
		goto fail_hash;
	tbl->by_ssrc = hash_create(conf, "ssrc", sizeof(uint64_t), nb_keys(conf->max_sessions));
	if (tbl->by_ssrc == NULL)
		goto fail_hash;
	*out = tbl;
	return 0;

fail_hash:
	ret = -rte_errno;
fail:
	plm_session_table_free(tbl);
	return ret;
}

void
plm_session_table_free(struct plm_session_table *tbl)
{
	if (tbl == NULL)
		return;
	rte_hash_free(tbl->by_ssrc);
	rte_hash_free(tbl->by_tuple6);
	rte_hash_free(tbl->by_tuple4);
	for (unsigned int w = 0; w < PLM_WORKERS_MAX; w++)
		rte_free(tbl->tx[w]);
	rte_free(tbl->hot);
	if (tbl->ctl != NULL) {
		rte_free(tbl->ctl->token);
		rte_free(tbl->ctl->waiting.idx);
		rte_free(tbl->ctl->unused.idx);
		rte_free(tbl->ctl->slots);
		rte_free(tbl->ctl);
	}
	rte_free(tbl);
}

int
plm_session_create(struct plm_session_table *tbl, const struct plm_session_new *conf,
		struct plm_handle *session)
{
	struct plm_session_ctl *ctl = tbl->ctl;
	struct plm_session_hot *hot;
	struct session_slot *slot;
	uint32_t idx;
	uint32_t gen;

	if (ctl->unused.n == 0)
		return -ENOSPC;
	idx = queue_pop(&ctl->unused, tbl->max_sessions);
	slot = &ctl->slots[idx];
	gen = (slot->gen + 1) & PLM_GEN_MASK;
	*slot = (struct session_slot){ .gen = gen != 0 ? gen : 1, .state = SLOT_OPEN };

	/* Nobody writes to it: its last session's grace period is over. */
	hot = &tbl->hot[idx];
	memset(hot, 0, sizeof(*hot));
	for (unsigned int w = 0; w < ctl->nb_workers; w++)
		memset(&tbl->tx[w][idx], 0, sizeof(tbl->tx[w][idx]));
	hot->room_idx = conf->room_idx;
	hot->home = conf->home;
	hot->role = conf->role;
	hot->max_ssrcs = conf->max_ssrcs;
	hot->consent_alive = conf->consent_alive;
	hot->packet_rate = conf->packet_rate;
	hot->bit_rate = conf->bit_rate;
	/* Release: who sees the generation sees the settings. Pairs with plm_session_get(). */
	atomic_store_explicit(&hot->gen, slot->gen, memory_order_release);
	ctl->nb_open++;
	*session = (struct plm_handle){ idx, slot->gen };
	return 0;
}

static struct plm_key4
key4(const struct plm_tuple *tuple)
{
	struct plm_key4 key = { .port = tuple->port, .local_idx = tuple->local_idx };

	memcpy(key.addr, tuple->addr, sizeof(key.addr));
	return key;
}

static struct plm_key6
key6(const struct plm_tuple *tuple)
{
	struct plm_key6 key = { .port = tuple->port, .local_idx = tuple->local_idx };

	memcpy(key.addr, tuple->addr, sizeof(key.addr));
	return key;
}

plm_sref_t
plm_session_find(const struct plm_session_table *tbl, const struct plm_tuple *tuple)
{
	void *ref;
	int ret;

	if (tuple->is_v6) {
		struct plm_key6 key = key6(tuple);

		ret = rte_hash_lookup_data(tbl->by_tuple6, &key, &ref);
	} else {
		struct plm_key4 key = key4(tuple);

		ret = rte_hash_lookup_data(tbl->by_tuple4, &key, &ref);
	}
	return ret < 0 ? 0 : (plm_sref_t)(uintptr_t)ref;
}

int
plm_session_add_tuple(struct plm_session_table *tbl, struct plm_handle session,
		const struct plm_tuple *tuple, uint8_t *slot_out)
{
	struct session_slot *slot = slot_get(tbl, session);
	void *ref;
	uint8_t s = 0;
	int ret;

	if (slot == NULL)
		return -ENOENT;
	/* Adding a key that is there would overwrite it under the workers' eyes. */
	if (plm_session_find(tbl, tuple) != 0)
		return -EEXIST;
	while (s < PLM_TUPLES && (slot->tuples & 1u << s))
		s++;
	if (s == PLM_TUPLES)
		return -ENOSPC;
	atomic_store_explicit(&tbl->hot[session.idx].heard_ms[s], 0, memory_order_relaxed);
	ref = (void *)(uintptr_t)plm_sref(session.idx, session.gen, s);
	if (tuple->is_v6) {
		struct plm_key6 key = key6(tuple);

		ret = rte_hash_add_key_data(tbl->by_tuple6, &key, ref);
	} else {
		struct plm_key4 key = key4(tuple);

		ret = rte_hash_add_key_data(tbl->by_tuple4, &key, ref);
	}
	if (ret < 0)
		return ret;
	slot->tuple[s] = *tuple;
	slot->tuples |= (uint8_t)(1u << s);
	*slot_out = s;
	return 0;
}

int
plm_session_del_tuple(struct plm_session_table *tbl, struct plm_handle session, uint8_t s)
{
	struct session_slot *slot = slot_get(tbl, session);
	int ret;

	if (slot == NULL || s >= PLM_TUPLES || !(slot->tuples & 1u << s))
		return -ENOENT;
	if (slot->tuple[s].is_v6) {
		struct plm_key6 key = key6(&slot->tuple[s]);

		ret = rte_hash_del_key(tbl->by_tuple6, &key);
	} else {
		struct plm_key4 key = key4(&slot->tuple[s]);

		ret = rte_hash_del_key(tbl->by_tuple4, &key);
	}
	slot->tuples &= (uint8_t) ~(1u << s);
	return ret < 0 ? ret : 0;
}

const struct plm_tuple *
plm_session_tuple(const struct plm_session_table *tbl, struct plm_handle session, uint8_t s)
{
	const struct session_slot *slot = slot_get(tbl, session);

	if (slot == NULL || s >= PLM_TUPLES || !(slot->tuples & 1u << s))
		return NULL;
	return &slot->tuple[s];
}

void
plm_session_end(struct plm_session_table *tbl, struct plm_handle session)
{
	struct session_slot *slot = slot_get(tbl, session);

	if (slot == NULL)
		return;
	/* Release is not needed: a worker that still sees the old generation is one that started
	 * its turn before. */
	atomic_store_explicit(&tbl->hot[session.idx].gen, 0, memory_order_relaxed);
	for (uint8_t s = 0; s < PLM_TUPLES; s++)
		plm_session_del_tuple(tbl, session, s);
	session_drop_ssrcs(tbl, session);
	slot->state = SLOT_ENDED;
	tbl->ctl->nb_open--;
	tbl->ctl->nb_pending++;
}

void
plm_session_release(struct plm_session_table *tbl, uint32_t idx)
{
	struct plm_session_ctl *ctl = tbl->ctl;

	if (idx >= tbl->max_sessions || ctl->slots[idx].state != SLOT_ENDED)
		return;
	ctl->slots[idx].state = SLOT_WAITS;
	ctl->token[idx] = plm_rcu_start(ctl->rcu);
	queue_push(&ctl->waiting, tbl->max_sessions, idx);
}

void
plm_session_reclaim(struct plm_session_table *tbl)
{
	struct plm_session_ctl *ctl = tbl->ctl;

	for (unsigned int i = 0; i < RECLAIM_MAX && ctl->waiting.n > 0; i++) {
		uint32_t idx = ctl->waiting.idx[ctl->waiting.head];

		if (!plm_rcu_over(ctl->rcu, ctl->token[idx]))
			break; /* those behind it began later */
		queue_pop(&ctl->waiting, tbl->max_sessions);
		ctl->slots[idx].state = SLOT_FREE;
		queue_push(&ctl->unused, tbl->max_sessions, idx);
		ctl->nb_pending--;
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
	return tbl->ctl->nb_pending;
}

size_t
plm_session_bytes(const struct plm_session_conf *conf)
{
	/* Of a hash entry: its key slot (data, key, padding to 16), its share of a bucket of 8
	 * entries (64 bytes) and of an extension bucket, a free slot and a deferred deletion. */
	const size_t hash = 2 * (64 / 8) + 4 + 16;
	const size_t keys = 2 * (16 + 32 + 16 + 3 * hash);

	return sizeof(struct plm_session_hot) + sizeof(struct session_slot) +
			conf->nb_workers * sizeof(struct plm_session_tx) + 2 * sizeof(uint32_t) +
			sizeof(uint64_t) + keys;
}

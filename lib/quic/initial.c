/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients whose ClientHello is not complete yet: a bounded table of their datagrams as they came.
 *
 * An entry is in three lists: its hash chain, all entries by age, its prefix's entries by age. Prefixes
 * are in one list per number of entries, so that the heaviest is found at once however many there are.
 * What a datagram brings is not kept: with its successor all are opened again, which costs a microsecond
 * each and halves the memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <rte_common.h>
#include <rte_errno.h>

#include "initial_priv.h"

#define ENTRIES_MAX 65536

struct initial_prefix;

struct initial_entry {
	TAILQ_ENTRY(initial_entry) by_age;
	TAILQ_ENTRY(initial_entry) in_prefix;
	LIST_ENTRY(initial_entry) in_chain;
	struct initial_prefix *prefix;
	uint64_t came_ns;
	struct plm_initial_source source;
	struct initial_keys keys;
	uint8_t dcid[PLM_QUIC_ID_MAX];
	uint8_t scid[PLM_QUIC_ID_MAX];
	uint8_t dcid_len;
	uint8_t scid_len;
	/* By `offset`, the lowest of its CRYPTO data; of equal ones the earlier first. */
	uint8_t nb_dgrams;
	struct {
		uint16_t offset;
		uint16_t len;
		uint8_t ecn;
		uint8_t slot; /* of `bytes` */
	} dgrams[PLM_INITIAL_DGRAMS];
	uint8_t bytes[PLM_INITIAL_DGRAMS][PLM_INITIAL_MAX];
};

TAILQ_HEAD(initial_entry_queue, initial_entry);
LIST_HEAD(initial_entry_list, initial_entry);

/* Those who share a prefix, while there are any. */
struct initial_prefix {
	TAILQ_ENTRY(initial_prefix) by_weight; /* or free */
	LIST_ENTRY(initial_prefix) in_chain;
	struct initial_entry_queue entries; /* oldest first */
	uint64_t hash;
	uint32_t nb;
};

TAILQ_HEAD(initial_prefix_queue, initial_prefix);
LIST_HEAD(initial_prefix_list, initial_prefix);

struct plm_initials {
	/* const */
	struct plm_initials_conf conf;
	uint8_t hash_key[16];
	uint32_t chain_mask;

	/* ctl */
	struct initial_opener opener;
	struct initial_crypto crypto; /* of the client at hand */
	struct initial_entry *entries;
	struct initial_prefix *prefixes;
	struct initial_entry_list *chains;
	struct initial_prefix_list *prefix_chains;
	struct initial_prefix_queue
			*weights; /* prefixes with 1 to max_per_prefix entries, at [nb] */
	struct initial_prefix_queue free_prefixes;
	struct initial_entry_queue free_entries;
	struct initial_entry_queue by_age; /* oldest first */
	uint32_t max_weight;               /* no prefix has more entries */
	uint32_t nb;
};

static uint32_t
chains_for(uint32_t max_entries)
{
	return rte_align32pow2(max_entries);
}

struct plm_initials *
plm_initials_create(const struct plm_initials_conf *conf)
{
	struct plm_initials *t;
	uint32_t n = conf->max_entries;
	int ret;

	if (n == 0 || n > ENTRIES_MAX || conf->max_per_prefix == 0 || conf->max_per_prefix > n ||
			conf->rand.fill == NULL) {
		rte_errno = EINVAL;
		return NULL;
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	t->conf = *conf;
	plm_rand_fill(&conf->rand, t->hash_key, sizeof(t->hash_key));
	t->chain_mask = chains_for(n) - 1;
	ret = initial_opener_init(&t->opener);
	if (ret < 0)
		goto fail;
	t->entries = calloc(n, sizeof(*t->entries));
	t->prefixes = calloc(n, sizeof(*t->prefixes));
	t->chains = calloc(t->chain_mask + 1, sizeof(*t->chains));
	t->prefix_chains = calloc(t->chain_mask + 1, sizeof(*t->prefix_chains));
	t->weights = calloc(conf->max_per_prefix + 1, sizeof(*t->weights));
	ret = -ENOMEM;
	if (t->entries == NULL || t->prefixes == NULL || t->chains == NULL ||
			t->prefix_chains == NULL || t->weights == NULL)
		goto fail;
	TAILQ_INIT(&t->by_age);
	TAILQ_INIT(&t->free_entries);
	TAILQ_INIT(&t->free_prefixes);
	for (uint32_t i = 0; i <= conf->max_per_prefix; i++)
		TAILQ_INIT(&t->weights[i]);
	for (uint32_t i = 0; i < n; i++) {
		TAILQ_INSERT_TAIL(&t->free_entries, &t->entries[i], by_age);
		TAILQ_INIT(&t->prefixes[i].entries);
		TAILQ_INSERT_TAIL(&t->free_prefixes, &t->prefixes[i], by_weight);
	}
	return t;

fail:
	plm_initials_free(t);
	rte_errno = -ret;
	return NULL;
}

void
plm_initials_free(struct plm_initials *t)
{
	if (t == NULL)
		return;
	initial_opener_fini(&t->opener);
	free(t->weights);
	free(t->prefix_chains);
	free(t->chains);
	free(t->prefixes);
	free(t->entries);
	free(t);
}

uint32_t
plm_initials_count(const struct plm_initials *t)
{
	return t->nb;
}

/* --- lists ------------------------------------------------------------------------------------- */

static struct initial_entry_list *
chain_of(struct plm_initials *t, const struct plm_initial_source *source, const uint8_t *dcid,
		uint8_t dcid_len)
{
	uint8_t key[sizeof(source->key) + PLM_QUIC_ID_MAX];

	memcpy(key, source->key, sizeof(source->key));
	memcpy(key + sizeof(source->key), dcid, dcid_len);
	return &t->chains[plm_siphash(t->hash_key, key, sizeof(source->key) + dcid_len) &
			t->chain_mask];
}

static struct initial_entry *
entry_lookup(struct plm_initials *t, const struct plm_initial_source *source,
		const struct plm_initial_hd *hd)
{
	struct initial_entry *e;

	LIST_FOREACH(e, chain_of(t, source, hd->dcid, hd->dcid_len), in_chain)
	{
		if (e->dcid_len == hd->dcid_len && memcmp(e->dcid, hd->dcid, hd->dcid_len) == 0 &&
				memcmp(e->source.key, source->key, sizeof(source->key)) == 0)
			return e;
	}
	return NULL;
}

static struct initial_prefix *
prefix_lookup(struct plm_initials *t, uint64_t hash)
{
	struct initial_prefix *p;

	LIST_FOREACH(p, &t->prefix_chains[hash & t->chain_mask], in_chain)
	{
		if (p->hash == hash)
			return p;
	}
	return NULL;
}

/* The prefix's record, a new one of weight 0 when it has no entry. There is one for each entry. */
static struct initial_prefix *
prefix_get(struct plm_initials *t, uint64_t hash)
{
	struct initial_prefix *p = prefix_lookup(t, hash);

	if (p != NULL)
		return p;
	p = TAILQ_FIRST(&t->free_prefixes);
	TAILQ_REMOVE(&t->free_prefixes, p, by_weight);
	p->hash = hash;
	p->nb = 0;
	LIST_INSERT_HEAD(&t->prefix_chains[hash & t->chain_mask], p, in_chain);
	TAILQ_INSERT_TAIL(&t->weights[0], p, by_weight);
	return p;
}

/* To the list of its new weight, or to the free ones. At the tail: of equal ones the one that has
 * changed least recently stands first, so that with one entry each the oldest entry goes. */
static void
prefix_weigh(struct plm_initials *t, struct initial_prefix *p, uint32_t nb)
{
	TAILQ_REMOVE(&t->weights[p->nb], p, by_weight);
	p->nb = nb;
	if (nb > 0) {
		TAILQ_INSERT_TAIL(&t->weights[nb], p, by_weight);
		t->max_weight = RTE_MAX(t->max_weight, nb);
	} else {
		LIST_REMOVE(p, in_chain);
		TAILQ_INSERT_TAIL(&t->free_prefixes, p, by_weight);
	}
	/* Weights change by one, so this goes one step down at the most. */
	while (t->max_weight > 0 && TAILQ_EMPTY(&t->weights[t->max_weight]))
		t->max_weight--;
}

/* The entry's bytes stay until it is given out again. */
static void
entry_release(struct plm_initials *t, struct initial_entry *e)
{
	LIST_REMOVE(e, in_chain);
	TAILQ_REMOVE(&t->by_age, e, by_age);
	TAILQ_REMOVE(&e->prefix->entries, e, in_prefix);
	prefix_weigh(t, e->prefix, e->prefix->nb - 1);
	TAILQ_INSERT_TAIL(&t->free_entries, e, by_age);
	t->nb--;
}

/* A place for a newcomer of `source`; `evicted`: somebody had to go for it. */
static struct initial_entry *
entry_create(struct plm_initials *t, const struct plm_initial_source *source,
		const struct plm_initial_hd *hd, uint64_t now_ns, bool *evicted)
{
	bool is_full = t->nb == t->conf.max_entries;
	struct initial_prefix *p;
	struct initial_entry *e;

	/* Its own prefix gives way at its bound, and in a full table when none is heavier. */
	p = prefix_lookup(t, source->prefix);
	if (p == NULL || (p->nb < t->conf.max_per_prefix && (!is_full || p->nb < t->max_weight)))
		p = is_full ? TAILQ_FIRST(&t->weights[t->max_weight]) : NULL;
	*evicted = p != NULL;
	if (p != NULL)
		entry_release(t, TAILQ_FIRST(&p->entries));

	e = TAILQ_FIRST(&t->free_entries);
	TAILQ_REMOVE(&t->free_entries, e, by_age);
	e->source = *source;
	e->came_ns = now_ns;
	e->dcid_len = hd->dcid_len;
	e->scid_len = hd->scid_len;
	memcpy(e->dcid, hd->dcid, sizeof(e->dcid));
	memcpy(e->scid, hd->scid, sizeof(e->scid));
	e->nb_dgrams = 0;
	LIST_INSERT_HEAD(chain_of(t, source, e->dcid, e->dcid_len), e, in_chain);
	TAILQ_INSERT_TAIL(&t->by_age, e, by_age);
	e->prefix = prefix_get(t, source->prefix);
	TAILQ_INSERT_TAIL(&e->prefix->entries, e, in_prefix);
	prefix_weigh(t, e->prefix, e->prefix->nb + 1);
	t->nb++;
	return e;
}

/* --- datagrams --------------------------------------------------------------------------------- */

static struct plm_initial_dgram
entry_dgram(const struct initial_entry *e, unsigned int i)
{
	return (struct plm_initial_dgram){
		.buf = e->bytes[e->dgrams[i].slot],
		.len = e->dgrams[i].len,
		.ecn = e->dgrams[i].ecn,
	};
}

/* Where a datagram whose CRYPTO data begins at `offset` has its place. */
static unsigned int
entry_place(const struct initial_entry *e, uint32_t offset)
{
	unsigned int i = 0;

	while (i < e->nb_dgrams && e->dgrams[i].offset <= offset)
		i++;
	return i;
}

static void
entry_hold(struct initial_entry *e, const struct plm_initial_dgram *dgram, uint32_t offset)
{
	unsigned int at = entry_place(e, offset);

	for (unsigned int i = e->nb_dgrams; i > at; i--)
		e->dgrams[i] = e->dgrams[i - 1];
	e->dgrams[at].offset = (uint16_t)offset;
	e->dgrams[at].len = dgram->len;
	e->dgrams[at].ecn = dgram->ecn;
	e->dgrams[at].slot = e->nb_dgrams;
	memcpy(e->bytes[e->nb_dgrams++], dgram->buf, dgram->len);
}

/* Fill in all but what the ClientHello says. */
static void
flight_fill(struct plm_initial_flight *flight, const struct plm_initial_source *source)
{
	flight->source = *source;
	/* It parsed when it came. */
	plm_initial_parse(flight->dgrams[0].buf, flight->dgrams[0].len, &flight->hd);
}

enum plm_initial_result
plm_initials_take(struct plm_initials *t, const struct plm_initial_source *source,
		const struct plm_initial_dgram *dgram, uint64_t now_ns,
		struct plm_initial_flight *flight)
{
	struct plm_initial_flight f = { 0 };
	struct initial_entry *e;
	struct initial_keys keys;
	struct initial_got got, again;
	struct plm_initial_hd hd;
	enum plm_initial_result ret;
	unsigned int at;
	bool evicted;

	ret = plm_initial_parse(dgram->buf, dgram->len, &hd);
	if (ret != PLM_INITIAL_READY)
		return ret;
	e = entry_lookup(t, source, &hd);
	if (e != NULL)
		keys = e->keys;
	else if (initial_keys_derive(&t->opener, hd.dcid, hd.dcid_len, &keys) < 0)
		return PLM_INITIAL_INTERNAL;

	/* What is held opened before, into the same state. */
	t->crypto.end = 0;
	memset(t->crypto.have, 0, sizeof(t->crypto.have));
	for (unsigned int i = 0; e != NULL && i < e->nb_dgrams; i++) {
		struct plm_initial_dgram held = entry_dgram(e, i);
		struct plm_initial_hd held_hd;

		if (plm_initial_parse(held.buf, held.len, &held_hd) != PLM_INITIAL_READY ||
				initial_open(&t->opener, &keys, &held, &held_hd, &t->crypto,
						&again) != PLM_INITIAL_READY)
			return PLM_INITIAL_INTERNAL;
	}
	ret = initial_open(&t->opener, &keys, dgram, &hd, &t->crypto, &got);
	if (ret != PLM_INITIAL_READY)
		return ret;
	/* From here on it is the client who speaks: nobody else knows the first id. */
	if (e != NULL && (e->scid_len != hd.scid_len || memcmp(e->scid, hd.scid, hd.scid_len) != 0))
		return PLM_INITIAL_ID;
	if (got.is_closed) {
		if (e != NULL)
			entry_release(t, e);
		return PLM_INITIAL_CLOSED;
	}
	if (!got.has_crypto)
		return PLM_INITIAL_NO_CRYPTO;
	if (!got.has_new)
		return PLM_INITIAL_DUPLICATE;

	ret = initial_hello(&t->crypto, &f);
	switch (ret) {
	case PLM_INITIAL_READY:
		if (e != NULL && e->nb_dgrams == PLM_INITIAL_DGRAMS)
			return PLM_INITIAL_MANY;
		f.nb_dgrams = e != NULL ? e->nb_dgrams + 1 : 1;
		at = e != NULL ? entry_place(e, got.offset) : 0;
		for (unsigned int i = 0; i < f.nb_dgrams; i++)
			f.dgrams[i] = i == at ? *dgram : entry_dgram(e, i - (i > at));
		f.has_start = true;
		flight_fill(&f, source);
		if (e != NULL)
			entry_release(t, e);
		*flight = f;
		return PLM_INITIAL_READY;
	case PLM_INITIAL_WAIT:
		if (e != NULL && e->nb_dgrams == PLM_INITIAL_DGRAMS)
			return PLM_INITIAL_MANY;
		evicted = false;
		if (e == NULL) {
			e = entry_create(t, source, &hd, now_ns, &evicted);
			e->keys = keys;
		}
		entry_hold(e, dgram, got.offset);
		return evicted ? PLM_INITIAL_WAIT_EVICTED : PLM_INITIAL_WAIT;
	default:
		/* Nothing that may follow makes it a good one. */
		if (e != NULL)
			entry_release(t, e);
		return ret;
	}
}

bool
plm_initials_expired(struct plm_initials *t, uint64_t now_ns, struct plm_initial_flight *flight)
{
	struct initial_entry *e = TAILQ_FIRST(&t->by_age);
	struct plm_initial_flight f = { 0 };

	if (e == NULL || now_ns - e->came_ns < t->conf.hold_ns)
		return false;
	f.nb_dgrams = e->nb_dgrams;
	for (unsigned int i = 0; i < e->nb_dgrams; i++)
		f.dgrams[i] = entry_dgram(e, i);
	f.has_start = e->dgrams[0].offset == 0;
	flight_fill(&f, &e->source);
	entry_release(t, e);
	*flight = f;
	return true;
}

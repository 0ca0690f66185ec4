/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may come in: what tokens were found to be, and whom a room's rule allows. The cache is a table of
 * rows, a token's row by its digest; within a row places are searched. A client cannot choose a row for
 * another's token, which it does not know, and invalid ones make place before valid ones.
 */
#include <errno.h>
#include <stdlib.h>

#include <rte_common.h>
#include <rte_errno.h>

#include "ctl_priv.h"
#include "plm_crypto.h"

/* Places of a row. */
#define WAYS 8

struct entry {
	uint64_t until_ns; /* good before then; 0: the place is free */
	uint8_t digest[PLM_SHA256_SIZE];
	uint8_t fingerprint[PLM_AUTH_FINGERPRINT];
	bool valid;
	char alias[PLM_AUTH_ALIAS_MAX + 1];
};

struct plm_auth_cache {
	/* const */
	uint64_t valid_ns;
	uint64_t invalid_ns;
	uint32_t row_mask;
	/* ctl */
	struct entry *entries;
};

struct plm_auth_cache *
plm_auth_cache_create(uint32_t entries, uint64_t valid_ns, uint64_t invalid_ns)
{
	struct plm_auth_cache *cache = calloc(1, sizeof(*cache));
	uint32_t rows = rte_align32pow2(RTE_MAX(1U, entries / WAYS + (entries % WAYS != 0)));

	if (cache != NULL)
		cache->entries = calloc(rows, WAYS * sizeof(*cache->entries));
	if (cache == NULL || cache->entries == NULL) {
		free(cache);
		rte_errno = ENOMEM;
		return NULL;
	}
	cache->valid_ns = valid_ns;
	cache->invalid_ns = invalid_ns;
	cache->row_mask = rows - 1;
	return cache;
}

void
plm_auth_cache_free(struct plm_auth_cache *cache)
{
	if (cache == NULL)
		return;
	free(cache->entries);
	free(cache);
}

static struct entry *
row_of(const struct plm_auth_cache *cache, const uint8_t digest[PLM_SHA256_SIZE])
{
	uint32_t row;

	memcpy(&row, digest, sizeof(row));
	return &cache->entries[(size_t)(row & cache->row_mask) * WAYS];
}

/* The token's place in its row; NULL: it has none. */
static struct entry *
find(struct entry *row, const uint8_t digest[PLM_SHA256_SIZE])
{
	for (unsigned int i = 0; i < WAYS; i++) {
		if (row[i].until_ns != 0 &&
				plm_crypto_equal(row[i].digest, digest, sizeof(row[i].digest)))
			return &row[i];
	}
	return NULL;
}

bool
plm_auth_cache_get(struct plm_auth_cache *cache, const char *token, size_t len, uint64_t now_ns,
		struct plm_auth_answer *answer)
{
	uint8_t digest[PLM_SHA256_SIZE];
	const struct entry *e;

	if (plm_sha256(token, len, digest) < 0)
		return false;
	e = find(row_of(cache, digest), digest);
	if (e == NULL || (now_ns >= e->until_ns && !plm_mutant(AUTH_STALE)))
		return false;
	answer->verdict = e->valid ? PLM_AUTH_VALID : PLM_AUTH_INVALID;
	memcpy(answer->fingerprint, e->fingerprint, sizeof(answer->fingerprint));
	memcpy(answer->alias, e->alias, sizeof(answer->alias));
	return true;
}

/* Whose place is taken before another's: time over (or free), then invalid, then the oldest. */
static bool
goes_before(const struct entry *a, const struct entry *b, uint64_t now_ns)
{
	bool a_over = now_ns >= a->until_ns;
	bool b_over = now_ns >= b->until_ns;

	if (a_over != b_over)
		return a_over;
	if (a->valid != b->valid)
		return b->valid;
	return a->until_ns < b->until_ns;
}

void
plm_auth_cache_put(struct plm_auth_cache *cache, const char *token, size_t len,
		const struct plm_auth_answer *answer, uint64_t now_ns)
{
	bool valid = answer->verdict == PLM_AUTH_VALID;
	uint64_t for_ns = valid ? cache->valid_ns : cache->invalid_ns;
	uint8_t digest[PLM_SHA256_SIZE];
	struct entry *row;
	struct entry *e;

	if (answer->verdict == PLM_AUTH_FAILED || plm_sha256(token, len, digest) < 0)
		return;
	row = row_of(cache, digest);
	e = find(row, digest);
	if (for_ns == 0) {
		if (e != NULL)
			e->until_ns = 0; /* what it was found to be before is no longer so */
		return;
	}
	if (e == NULL) {
		e = row;
		for (unsigned int i = 1; i < WAYS; i++) {
			if (goes_before(&row[i], e, now_ns))
				e = &row[i];
		}
	}
	*e = (struct entry){ .until_ns = now_ns + for_ns, .valid = valid };
	memcpy(e->digest, digest, sizeof(e->digest));
	if (!valid)
		return;
	memcpy(e->fingerprint, answer->fingerprint, sizeof(e->fingerprint));
	memcpy(e->alias, answer->alias, sizeof(e->alias));
}

bool
ctl_allows(const struct plm_ctl *ctl, const char *room, const uint8_t fp[PLM_AUTH_FINGERPRINT])
{
	const struct plm_room_rule *rule = ctl_rule(ctl, room);

	if (rule == NULL || rule->nb_allow == 0 || plm_mutant(ACL_IGNORED))
		return true;
	for (unsigned int i = 0; i < rule->nb_allow; i++) {
		if (memcmp(rule->allow[i], fp, PLM_AUTH_FINGERPRINT) == 0)
			return true;
	}
	return false;
}

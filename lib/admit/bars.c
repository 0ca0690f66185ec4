/* SPDX-License-Identifier: BSD-3-Clause */
/* What is remembered of credentials after their session: the barred ones, exactly, and the spent
 * ones, as many as there is room for. Both by a keyed hash of the ufrag, until it expires. */
#include <errno.h>
#include <stdlib.h>

#include <rte_common.h>

#include "admit_priv.h"

#define SWEEP_STEP 8

int
admit_bars_init(struct admit_bars *bars, uint32_t max)
{
	uint32_t size = rte_align32pow2(RTE_MAX(max, 1u) * 2);

	bars->slots = calloc(size, sizeof(*bars->slots));
	if (bars->slots == NULL)
		return -ENOMEM;
	bars->mask = size - 1;
	bars->max = max;
	bars->nb = 0;
	bars->sweep = 0;
	return 0;
}

void
admit_bars_fini(struct admit_bars *bars)
{
	free(bars->slots);
	bars->slots = NULL;
}

/* The slot of `hash`, or the free one where it would go; the table is never more than half full. */
static uint32_t
bars_slot(const struct admit_bars *bars, uint64_t hash)
{
	uint32_t i = (uint32_t)hash & bars->mask;

	while (bars->slots[i].hash != 0 && bars->slots[i].hash != hash)
		i = (i + 1) & bars->mask;
	return i;
}

/* Empty slot `hole`, and fill it from behind so that no probe sequence is broken. */
static void
bars_del(struct admit_bars *bars, uint32_t hole)
{
	uint32_t i = hole;

	bars->nb--;
	for (;;) {
		uint32_t home;

		i = (i + 1) & bars->mask;
		if (bars->slots[i].hash == 0)
			break;
		home = (uint32_t)bars->slots[i].hash & bars->mask;
		/* An entry whose own place lies behind the hole stays where it is. */
		if (((i - home) & bars->mask) < ((i - hole) & bars->mask))
			continue;
		bars->slots[hole] = bars->slots[i];
		hole = i;
	}
	bars->slots[hole].hash = 0;
}

static void
bars_expire(struct admit_bars *bars, uint32_t n, uint64_t wall_s)
{
	while (n-- > 0) {
		struct admit_bar *b = &bars->slots[bars->sweep];

		if (b->hash != 0 && b->expiry_s <= wall_s)
			bars_del(bars, bars->sweep); /* what was shifted in is looked at next */
		else
			bars->sweep = (bars->sweep + 1) & bars->mask;
	}
}

int
admit_bars_add(struct admit_bars *bars, uint64_t hash, uint64_t expiry_s, uint64_t wall_s)
{
	uint32_t i = bars_slot(bars, hash);

	if (bars->slots[i].hash == hash)
		return 0;
	if (bars->nb >= bars->max) {
		bars_expire(bars, 2 * (bars->mask + 1), wall_s);
		if (bars->nb >= bars->max)
			return -ENOSPC;
		i = bars_slot(bars, hash);
	}
	bars->slots[i] = (struct admit_bar){ hash, expiry_s };
	bars->nb++;
	return 0;
}

bool
admit_bars_has(const struct admit_bars *bars, uint64_t hash)
{
	return bars->slots[bars_slot(bars, hash)].hash == hash;
}

void
admit_bars_sweep(struct admit_bars *bars, uint64_t wall_s)
{
	if (bars->nb > 0)
		bars_expire(bars, SWEEP_STEP, wall_s);
}

int
admit_spent_init(struct admit_spent *spent, uint32_t max_sessions)
{
	uint32_t sets = rte_align32pow2(RTE_MAX(max_sessions / SPENT_WAYS, 1u));

	spent->sets = calloc(sets, sizeof(*spent->sets));
	if (spent->sets == NULL)
		return -ENOMEM;
	spent->mask = sets - 1;
	return 0;
}

void
admit_spent_fini(struct admit_spent *spent)
{
	free(spent->sets);
	spent->sets = NULL;
}

void
admit_spent_add(struct admit_spent *spent, uint64_t hash, uint64_t expiry_s,
		const struct admit_tids *tids)
{
	struct admit_used *set = spent->sets[(uint32_t)hash & spent->mask];
	unsigned int place = 0;

	for (unsigned int i = 0; i < SPENT_WAYS; i++) {
		if (set[i].hash == hash) {
			place = i;
			break;
		}
		if (set[i].expiry_s < set[place].expiry_s) /* a free one expired at 0 */
			place = i;
	}
	set[place] = (struct admit_used){ hash, expiry_s, *tids };
}

const struct admit_used *
admit_spent_find(const struct admit_spent *spent, uint64_t hash)
{
	const struct admit_used *set = spent->sets[(uint32_t)hash & spent->mask];

	for (unsigned int i = 0; i < SPENT_WAYS; i++) {
		if (set[i].hash == hash)
			return &set[i];
	}
	return NULL;
}

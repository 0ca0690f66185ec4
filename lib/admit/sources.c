/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions by the network that they were opened from: an IPv4 address, an IPv6 /64 (a host has all
 * of that to itself, RFC 6177). Each open session is in here once, so there is a slot for each. */
#include <errno.h>
#include <stdlib.h>

#include <rte_common.h>

#include "admit_priv.h"

int
admit_sources_init(struct admit_sources *sources, uint32_t max_sessions)
{
	/* Two thirds full at the most: probe sequences stay short. */
	uint32_t size = rte_align32pow2(max_sessions + max_sessions / 2 + 2);

	sources->slots = calloc(size, sizeof(*sources->slots));
	if (sources->slots == NULL)
		return -ENOMEM;
	sources->mask = size - 1;
	return 0;
}

void
admit_sources_fini(struct admit_sources *sources)
{
	free(sources->slots);
	sources->slots = NULL;
}

uint64_t
admit_source(const struct plm_admit *admit, const struct plm_tuple *tuple)
{
	uint64_t hash = plm_siphash(admit->hash_key, tuple->addr, tuple->is_v6 ? 8 : 4);

	return hash + (hash == 0);
}

/* The slot of `hash`, or the free one where it would go. */
static uint32_t
slot_of(const struct admit_sources *sources, uint64_t hash)
{
	uint32_t i = (uint32_t)hash & sources->mask;

	while (sources->slots[i].hash != 0 && sources->slots[i].hash != hash)
		i = (i + 1) & sources->mask;
	return i;
}

uint32_t
admit_sources_get(const struct admit_sources *sources, uint64_t hash)
{
	return sources->slots[slot_of(sources, hash)].nb;
}

void
admit_sources_add(struct admit_sources *sources, uint64_t hash)
{
	struct admit_source *slot = &sources->slots[slot_of(sources, hash)];

	slot->hash = hash;
	slot->nb++;
}

/* One session less; an empty slot is filled from behind so that no probe sequence is broken. */
void
admit_sources_del(struct admit_sources *sources, uint64_t hash)
{
	uint32_t hole = slot_of(sources, hash);
	uint32_t i = hole;

	if (sources->slots[hole].hash == 0 || --sources->slots[hole].nb > 0)
		return;
	for (;;) {
		uint32_t home;

		i = (i + 1) & sources->mask;
		if (sources->slots[i].hash == 0)
			break;
		home = (uint32_t)sources->slots[i].hash & sources->mask;
		/* An entry whose own place lies behind the hole stays where it is. */
		if (((i - home) & sources->mask) < ((i - hole) & sources->mask))
			continue;
		sources->slots[hole] = sources->slots[i];
		hole = i;
	}
	sources->slots[hole] = (struct admit_source){ 0 };
}

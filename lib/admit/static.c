/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Static endpoints: sessions without STUN. The list says what there is to be, and a few steps a turn
 * make it so; a new list ends what it does not have, or has otherwise, before it opens the rest.
 *
 * An entry may be a row of endpoints, and stays one: a list is bounded by its entries, whatever
 * number of sessions they stand for.
 */
#include <errno.h>
#include <stdlib.h>

#include "admit_priv.h"

/* Of one turn: sessions looked at and, for a static one, entries that it is compared with (the last
 * one's may exceed it); sessions ended; endpoints opened or found open. */
#define SCAN_BUDGET 4096
#define END_BUDGET  64
#define OPEN_BUDGET 64
/* How long one that found no place waits for another try. */
#define RETRY_NS PLM_NS_PER_S

int
admit_statics_init(struct admit_statics *statics)
{
	statics->list = calloc(PLM_STATICS, sizeof(*statics->list));
	statics->staged = calloc(PLM_STATICS, sizeof(*statics->staged));
	return statics->list == NULL || statics->staged == NULL ? -ENOMEM : 0;
}

void
admit_statics_fini(struct admit_statics *statics)
{
	free(statics->list);
	free(statics->staged);
}

/* --- rows --------------------------------------------------------------------------------- */

/* Address `n` further; false beyond the last one. */
static bool
address_add(uint8_t *addr, size_t len, uint32_t n)
{
	uint64_t carry = n;

	for (size_t i = len; i-- > 0 && carry > 0;) {
		carry += addr[i];
		addr[i] = (uint8_t)carry;
		carry >>= 8;
	}
	return carry == 0;
}

/* The tuple of endpoint `i`, or -ERANGE. */
static int
tuple_at(const struct plm_static *entry, uint32_t i, struct plm_tuple *tuple)
{
	struct plm_tuple at = entry->tuple;
	uint16_t port = rte_be_to_cpu_16(at.port);

	if (i >= entry->count)
		return -ERANGE;
	if (entry->each_address) {
		if (!address_add(at.addr, at.is_v6 ? 16 : 4, i))
			return -ERANGE;
	} else {
		if (i > (uint32_t)UINT16_MAX - port)
			return -ERANGE;
		at.port = rte_cpu_to_be_16((uint16_t)(port + i));
	}
	*tuple = at;
	return 0;
}

int
plm_static_at(const struct plm_static *entry, uint32_t i, struct plm_tuple *tuple,
		char name[PLM_NAME_SIZE])
{
	struct plm_tuple at;
	char buf[PLM_NAME_SIZE] = { 0 };
	struct plm_text text;
	int ret = tuple_at(entry, i, &at);

	if (ret < 0)
		return ret;
	plm_text_init(&text, buf, sizeof(buf));
	plm_text_add(&text, "%s", entry->participant);
	if (entry->count > 1)
		plm_text_add(&text, "-%u", i + 1);
	if (text.cut)
		return -ENAMETOOLONG;
	*tuple = at;
	memcpy(name, buf, sizeof(buf));
	return 0;
}

/* Which endpoint of an entry has this name: 0 to count - 1, or UINT32_MAX. */
static uint32_t
member_of(const struct plm_static *entry, const char *name)
{
	size_t len = strlen(entry->participant);
	unsigned long n;
	char *end;

	if (entry->count == 1)
		return strcmp(entry->participant, name) == 0 ? 0 : UINT32_MAX;
	if (strncmp(entry->participant, name, len) != 0 || name[len] != '-')
		return UINT32_MAX;
	/* As we would write it: no sign, no zero in front. */
	if (name[len + 1] < '1' || name[len + 1] > '9')
		return UINT32_MAX;
	n = strtoul(name + len + 1, &end, 10);
	return *end == '\0' && n <= entry->count ? (uint32_t)n - 1 : UINT32_MAX;
}

bool
plm_static_same_name(const struct plm_static *a, const struct plm_static *b)
{
	if (strcmp(a->room, b->room) != 0)
		return false;
	if (a->count > 1 && b->count > 1)
		return strcmp(a->participant, b->participant) == 0;
	return a->count == 1 ? member_of(b, a->participant) != UINT32_MAX
			     : member_of(a, b->participant) != UINT32_MAX;
}

/* A row is a rectangle of addresses by ports, one of its sides of length 1. */
static void
corners(const struct plm_static *s, struct plm_tuple *low, struct plm_tuple *high)
{
	*low = s->tuple;
	*high = s->tuple;
	tuple_at(s, s->count - 1, high);
}

bool
plm_static_same_tuple(const struct plm_static *a, const struct plm_static *b)
{
	struct plm_tuple a_low, a_high, b_low, b_high;

	if (a->tuple.is_v6 != b->tuple.is_v6 || a->tuple.local_idx != b->tuple.local_idx)
		return false;
	corners(a, &a_low, &a_high);
	corners(b, &b_low, &b_high);
	return memcmp(a_low.addr, b_high.addr, 16) <= 0 &&
			memcmp(b_low.addr, a_high.addr, 16) <= 0 &&
			rte_be_to_cpu_16(a_low.port) <= rte_be_to_cpu_16(b_high.port) &&
			rte_be_to_cpu_16(b_low.port) <= rte_be_to_cpu_16(a_high.port);
}

/* --- the list ----------------------------------------------------------------------------- */

void
plm_admit_static_begin(struct plm_admit *admit)
{
	admit->statics.nb_staged = 0;
}

int
plm_admit_static_add(struct plm_admit *admit, const struct plm_static *entry)
{
	struct admit_statics *statics = &admit->statics;
	struct plm_tuple tuple;
	char name[PLM_NAME_SIZE];

	if (statics->nb_staged == PLM_STATICS)
		return -ENOSPC;
	if (entry->count == 0 || plm_static_at(entry, entry->count - 1, &tuple, name) < 0)
		return -EINVAL;
	statics->staged[statics->nb_staged++] = *entry;
	return 0;
}

void
plm_admit_static_commit(struct plm_admit *admit)
{
	struct admit_statics *statics = &admit->statics;
	struct plm_static *old = statics->list;

	statics->list = statics->staged;
	statics->nb = statics->nb_staged;
	statics->staged = old;
	statics->nb_staged = 0;
	statics->step = ADMIT_STATIC_ENDING;
	statics->pos = 0;
	statics->retry_ns = 0;
}

uint32_t
plm_admit_nb_static(const struct plm_admit *admit)
{
	return admit->statics.nb_open;
}

/* All that an entry says of an endpoint but its names: another value is another endpoint. */
static uint64_t
hash_of(const struct plm_admit *admit, const struct plm_static *entry,
		const struct plm_tuple *tuple)
{
	uint8_t buf[sizeof(*tuple) + 1 + sizeof(entry->packets_per_s) + sizeof(entry->bits_per_s)];
	uint8_t *p = buf;
	uint64_t hash;

	memcpy(p, tuple, sizeof(*tuple));
	p += sizeof(*tuple);
	*p++ = entry->role;
	memcpy(p, &entry->packets_per_s, sizeof(entry->packets_per_s));
	p += sizeof(entry->packets_per_s);
	memcpy(p, &entry->bits_per_s, sizeof(entry->bits_per_s));
	hash = plm_siphash(admit->hash_key, buf, sizeof(buf));
	return hash + (hash == 0);
}

/* Does the list have this session, as it is? */
static bool
is_listed(const struct plm_admit *admit, const struct admit_session *s)
{
	const struct admit_statics *statics = &admit->statics;
	struct plm_room_info room;

	if (plm_room_info(admit->conf.rooms, s->room_idx, &room) < 0)
		return false;
	for (uint32_t e = 0; e < statics->nb; e++) {
		const struct plm_static *entry = &statics->list[e];
		struct plm_tuple tuple;
		char name[PLM_NAME_SIZE];
		uint32_t i;

		if (strcmp(entry->room, room.name) != 0)
			continue;
		i = member_of(entry, s->participant);
		if (i != UINT32_MAX && plm_static_at(entry, i, &tuple, name) == 0 &&
				(plm_mutant(STATIC_STAYS) ||
						hash_of(admit, entry, &tuple) == s->ufrag_hash))
			return true;
	}
	return false;
}

/* True when no session is left to look at. */
static bool
end_some(struct plm_admit *admit, uint64_t now_ns, uint64_t wall_s)
{
	struct admit_statics *statics = &admit->statics;
	unsigned int ended = 0;

	for (uint32_t cost = 0; cost < SCAN_BUDGET && ended < END_BUDGET; cost++) {
		struct admit_session *s;

		if (statics->pos >= admit->max_sessions || statics->nb_open == 0)
			return true;
		s = &admit->sessions[statics->pos++];
		if (s->handle.gen == 0 || !s->is_static)
			continue;
		cost += statics->nb;
		if (is_listed(admit, s))
			continue;
		admit_end(admit, s, PLM_END_REMOVED, now_ns, wall_s);
		ended++;
	}
	return false;
}

static void
open_one(struct plm_admit *admit, const struct plm_static *entry, uint32_t i, uint64_t now_ns,
		uint64_t wall_s)
{
	struct plm_admit_request req = {
		.worker = PLM_WORKERS_MAX,
		.now_ns = now_ns,
		.wall_s = wall_s,
	};
	struct admit_check check = { .req = &req, .role = entry->role, .fixed = entry };

	if (plm_static_at(entry, i, &req.tuple, check.name.participant) < 0)
		return; /* not so, since it was added */
	memcpy(check.name.room, entry->room, sizeof(check.name.room));
	check.named = true;
	check.session = admit_by_name(admit, PLM_ROOM_RTP, check.name.room, check.name.participant);
	if (check.session != NULL && check.session->is_static)
		return;
	check.ufrag_hash = hash_of(admit, entry, &req.tuple);
	if (admit_open_static(admit, &check) == 0)
		return;
	admit->statics.nb_waiting++;
	admit_count(admit, PLM_CNT_STATIC_WAITING);
}

/* True when every endpoint was looked at. */
static bool
open_some(struct plm_admit *admit, uint64_t now_ns, uint64_t wall_s)
{
	struct admit_statics *statics = &admit->statics;

	for (unsigned int n = 0; n < OPEN_BUDGET; n++) {
		const struct plm_static *entry;

		if (statics->pos >= statics->nb)
			return true;
		entry = &statics->list[statics->pos];
		open_one(admit, entry, statics->member, now_ns, wall_s);
		if (++statics->member >= entry->count) {
			statics->member = 0;
			statics->pos++;
		}
	}
	return false;
}

uint64_t
admit_statics_turn(struct plm_admit *admit, uint64_t now_ns, uint64_t wall_s)
{
	struct admit_statics *statics = &admit->statics;

	if (admit->draining)
		return UINT64_MAX;
	switch (statics->step) {
	case ADMIT_STATIC_IDLE:
		if (statics->nb_waiting == 0 || plm_mutant(STATIC_FORGOTTEN))
			return UINT64_MAX;
		if (now_ns < statics->retry_ns)
			return statics->retry_ns;
		break;
	case ADMIT_STATIC_ENDING:
		if (!end_some(admit, now_ns, wall_s))
			return now_ns;
		break;
	case ADMIT_STATIC_OPENING:
		if (!open_some(admit, now_ns, wall_s))
			return now_ns;
		statics->step = ADMIT_STATIC_IDLE;
		statics->retry_ns = now_ns + RETRY_NS;
		return statics->nb_waiting > 0 ? statics->retry_ns : UINT64_MAX;
	}
	statics->step = ADMIT_STATIC_OPENING;
	statics->pos = 0;
	statics->member = 0;
	statics->nb_waiting = 0;
	return now_ns;
}

int
plm_admit_static_get(const struct plm_admit *admit, uint32_t pos, struct plm_static_info *info)
{
	const struct admit_statics *statics = &admit->statics;

	for (uint32_t e = 0; e < statics->nb; e++) {
		const struct plm_static *entry = &statics->list[e];
		const struct admit_session *s;

		if (pos >= entry->count) {
			pos -= entry->count;
			continue;
		}
		info->entry = entry;
		info->session = PLM_HANDLE_NONE;
		if (plm_static_at(entry, pos, &info->tuple, info->participant) < 0)
			return -ENOENT;
		s = admit_by_name(admit, PLM_ROOM_RTP, entry->room, info->participant);
		if (s != NULL && s->is_static)
			info->session = s->handle;
		return 0;
	}
	return -ENOENT;
}

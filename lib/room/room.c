/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rooms and their members, as the slow path knows them; what workers see is made in view.c.
 * Views are in DPDK's memory, where workers read; members are the slow path's own and come from
 * the C library, whose small blocks are small.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_errno.h>
#include <rte_malloc.h>

#include "room_priv.h"

#define PLACES_MIN 4

/* --- members, in the order of views ------------------------------------------------------- */

static uint64_t
order_key(const struct plm_member *m)
{
	return (uint64_t)m->home << 48 | (uint64_t)m->egress.port_idx << 40 |
			(uint64_t) !(m->flags & PLM_SUB_SUBSCRIBES) << 32 | m->session_idx;
}

/* The array has room for it. */
static void
place_insert(struct room *room, struct member *member, uint32_t name_hash)
{
	const uint64_t key = order_key(&member->pub);
	uint32_t low = 0;
	uint32_t high = room->nb_members;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (room->places[mid].key < key)
			low = mid + 1;
		else
			high = mid;
	}
	memmove(&room->places[low + 1], &room->places[low],
			(room->nb_members - low) * sizeof(room->places[0]));
	room->places[low] = (struct place){ key, member, name_hash };
	room->nb_members++;
}

static struct place
place_remove(struct room *room, uint32_t pos)
{
	const struct place place = room->places[pos];

	room->nb_members--;
	memmove(&room->places[pos], &room->places[pos + 1],
			(room->nb_members - pos) * sizeof(room->places[0]));
	return place;
}

void
room_readdress(struct room *room, uint32_t pos, const struct plm_egress *egress)
{
	const struct place place = place_remove(room, pos);

	place.member->pub.egress = *egress;
	place_insert(room, place.member, place.name_hash);
}

/* Position of a session, nb_members if it is not in the room. */
static uint32_t
pos_by_session(const struct room *room, uint32_t session_idx)
{
	uint32_t pos = 0;

	while (pos < room->nb_members && (uint32_t)room->places[pos].key != session_idx)
		pos++;
	return pos;
}

static uint32_t
hash_name(const struct plm_room_table *tbl, const char *name)
{
	return (uint32_t)plm_siphash(tbl->ctl->conf.siphash_key, name, strlen(name));
}

static struct member *
member_by_name(const struct room *room, const char *name, uint32_t hash)
{
	for (uint32_t i = 0; i < room->nb_members; i++) {
		const struct place *place = &room->places[i];

		if (place->name_hash == hash && strcmp(place->member->pub.name, name) == 0)
			return place->member;
	}
	return NULL;
}

static int
places_grow(struct room *room)
{
	const uint32_t size = room->size == 0 ? PLACES_MIN : 2 * room->size;
	struct place *places;

	if (room->nb_members < room->size)
		return 0;
	places = realloc(room->places, size * sizeof(*places));
	if (places == NULL)
		return -ENOMEM;
	room->places = places;
	room->size = size;
	return 0;
}

/* --- the table ---------------------------------------------------------------------------- */

int
plm_room_table_create(struct plm_room_table **out, const struct plm_room_conf *conf)
{
	struct rte_hash_parameters params = {
		.entries = conf->max_rooms + 8,
		.key_len = sizeof(uint64_t),
		.socket_id = conf->socket,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};
	struct plm_room_table *tbl;
	char name[RTE_HASH_NAMESIZE];
	int ret = -ENOMEM;

	if (conf->max_rooms == 0 || conf->max_members == 0 ||
			conf->max_members > PLM_ROOM_MEMBERS_MAX ||
			conf->nb_workers > PLM_WORKERS_MAX)
		return -EINVAL;
	tbl = rte_zmalloc_socket("plm_room", sizeof(*tbl), 0, conf->socket);
	if (tbl == NULL)
		return -ENOMEM;
	tbl->max_rooms = conf->max_rooms;
	tbl->hot = rte_zmalloc_socket("plm_room", conf->max_rooms * sizeof(*tbl->hot),
			RTE_CACHE_LINE_SIZE, conf->socket);
	tbl->ctl = rte_zmalloc_socket("plm_room", sizeof(*tbl->ctl), 0, conf->socket);
	if (tbl->hot == NULL || tbl->ctl == NULL)
		goto fail;
	tbl->ctl->conf = *conf;
	TAILQ_INIT(&tbl->ctl->ready);
	TAILQ_INIT(&tbl->ctl->cooling);
	TAILQ_INIT(&tbl->ctl->ripe);
	TAILQ_INIT(&tbl->ctl->closing);
	TAILQ_INIT(&tbl->ctl->backlog);
	STAILQ_INIT(&tbl->ctl->unused);
	tbl->ctl->rooms = rte_zmalloc_socket("plm_room",
			conf->max_rooms * sizeof(tbl->ctl->rooms[0]), 0, conf->socket);
	if (tbl->ctl->rooms == NULL)
		goto fail;
	for (uint32_t i = 0; i < conf->max_rooms; i++) {
		struct room *room = &tbl->ctl->rooms[i];

		room->idx = i;
		TAILQ_INIT(&room->views);
		STAILQ_INIT(&room->leavers);
		STAILQ_INSERT_TAIL(&tbl->ctl->unused, room, in_unused);
	}
	/* The address makes the name unique: several relays may live in one process. */
	snprintf(name, sizeof(name), "plm_room_%" PRIxPTR, (uintptr_t)tbl);
	params.name = name;
	tbl->ctl->by_name = rte_hash_create(&params);
	if (tbl->ctl->by_name == NULL) {
		ret = -rte_errno;
		goto fail;
	}
	*out = tbl;
	return 0;

fail:
	plm_room_table_free(tbl);
	return ret;
}

/* Neither workers nor whoever `released` tells of are there any more. */
static void
room_clear(struct room *room)
{
	struct view_block *block;
	struct member *m;

	while ((block = TAILQ_FIRST(&room->views)) != NULL) {
		TAILQ_REMOVE(&room->views, block, in_room);
		rte_free(block);
	}
	while ((m = STAILQ_FIRST(&room->leavers)) != NULL) {
		STAILQ_REMOVE_HEAD(&room->leavers, link);
		free(m);
	}
	while (room->nb_members > 0)
		free(place_remove(room, room->nb_members - 1).member);
	free(room->places);
}

void
plm_room_table_free(struct plm_room_table *tbl)
{
	if (tbl == NULL)
		return;
	if (tbl->ctl != NULL) {
		for (uint32_t i = 0; tbl->ctl->rooms != NULL && i < tbl->max_rooms; i++)
			room_clear(&tbl->ctl->rooms[i]);
		rte_hash_free(tbl->ctl->by_name);
		free(tbl->ctl->spare);
		rte_free(tbl->ctl->rooms);
	}
	rte_free(tbl->ctl);
	rte_free(tbl->hot);
	rte_free(tbl);
}

/* The key of a room: SipHash of its format and name. */
static uint64_t
room_key(const struct plm_room_table *tbl, char format, const char *name)
{
	char buf[1 + PLM_NAME_SIZE];
	size_t len = strlen(name);

	buf[0] = format;
	memcpy(buf + 1, name, len);
	return plm_siphash(tbl->ctl->conf.siphash_key, buf, 1 + len);
}

static struct room *
room_by_key(const struct plm_room_table *tbl, uint64_t key)
{
	void *room;

	return rte_hash_lookup_data(tbl->ctl->by_name, &key, &room) < 0 ? NULL : room;
}

int
plm_room_find(const struct plm_room_table *tbl, char format, const char *name, uint32_t *room_idx)
{
	const struct room *room;

	if (!plm_name_valid(name, strnlen(name, PLM_NAME_SIZE)))
		return -ENOENT;
	room = room_by_key(tbl, room_key(tbl, format, name));
	if (room == NULL || room->format != format || strcmp(room->name, name) != 0)
		return -ENOENT;
	*room_idx = room->idx;
	return 0;
}

int
plm_room_open(struct plm_room_table *tbl, char format, const char *name,
		const struct plm_room_settings *settings, uint8_t home, uint32_t *room_idx)
{
	struct plm_room_ctl *ctl = tbl->ctl;
	struct room *room;
	uint64_t key;
	int ret;

	if (!plm_name_valid(name, strnlen(name, PLM_NAME_SIZE)) || home >= ctl->conf.nb_workers)
		return -EINVAL;
	key = room_key(tbl, format, name);
	room = room_by_key(tbl, key);
	if (room != NULL) {
		if (room->format != format || strcmp(room->name, name) != 0)
			return -EEXIST;
		*room_idx = room->idx;
		return 0;
	}
	room = STAILQ_FIRST(&ctl->unused);
	if (room == NULL)
		return -ENOSPC;
	ret = plm_fault(HASH_ROOM) ? -ENOSPC : rte_hash_add_key_data(ctl->by_name, &key, room);
	if (ret < 0)
		return ret;
	STAILQ_REMOVE_HEAD(&ctl->unused, in_unused);
	room->state = ROOM_OPEN;
	room->home = home;
	room->format = format;
	room->key = key;
	strcpy(room->name, name); /* fits: plm_name_valid() */
	room->settings = *settings;
	room->nb_publishers = 0;
	room->nb_subscribers = 0;
	room->gen++;
	room->seq = 0;

	ctl->nb_open++;
	room_mark(tbl, room); /* closed in the next turn if nobody joined by then */
	*room_idx = room->idx;
	return 0;
}

void
room_close(struct plm_room_table *tbl, struct room *room)
{
	struct plm_room_ctl *ctl = tbl->ctl;

	rte_hash_del_key(ctl->by_name, &room->key);
	room->state = ROOM_CLOSED;
	ctl->nb_open--;
	room_unpublish(tbl, room);
	TAILQ_INSERT_TAIL(&ctl->closing, room, in_closing);
}

/* --- coming, moving, going ---------------------------------------------------------------- */

static void
count_member(struct room *room, const struct plm_member *m, int n)
{
	if (m->flags & PLM_SUB_PUBLISHES)
		room->nb_publishers += (uint32_t)n;
	if (m->flags & PLM_SUB_SUBSCRIBES)
		room->nb_subscribers += (uint32_t)n;
	room->nb_homed[m->home] += (uint32_t)n;
}

int
plm_room_reserve(struct plm_room_table *tbl)
{
	if (tbl->ctl->spare == NULL && !plm_fault(MEMORY_MEMBER))
		tbl->ctl->spare = malloc(sizeof(*tbl->ctl->spare));
	return tbl->ctl->spare != NULL ? 0 : -ENOMEM;
}

int
plm_room_join(struct plm_room_table *tbl, uint32_t room_idx, const struct plm_member *new,
		uint64_t now_ns)
{
	struct room *room = room_get(tbl, room_idx);
	struct member *member;
	uint32_t hash;
	int ret;

	if (room == NULL)
		return -ENOENT;
	if (new->home >= tbl->ctl->conf.nb_workers || new->egress.port_idx >= PLM_PORTS_MAX)
		return -EINVAL;
	if (room->nb_members >= RTE_MIN(room->settings.max_members, tbl->ctl->conf.max_members))
		return -ENOSPC;
	if (tbl->ctl->nb_backlog >= tbl->ctl->conf.max_backlog)
		return -EAGAIN;
	hash = hash_name(tbl, new->name);
	if (member_by_name(room, new->name, hash) != NULL)
		return -EEXIST;
	ret = places_grow(room);
	if (ret < 0)
		return ret;
	ret = plm_room_reserve(tbl);
	if (ret < 0)
		return ret;
	member = tbl->ctl->spare;
	tbl->ctl->spare = NULL;
	*member = (struct member){ .pub = *new, .first_seq = room->seq + 1 };
	place_insert(room, member, hash);
	count_member(room, new, 1);
	room_mark(tbl, room);
	return 0;
}

static void
give_back(struct plm_room_table *tbl, uint32_t session_idx, const struct plm_egress *egress)
{
	tbl->ctl->conf.released(tbl->ctl->conf.released_ctx, session_idx, egress, false);
}

void
plm_room_move(struct plm_room_table *tbl, uint32_t room_idx, uint32_t session_idx,
		const struct plm_egress *egress, uint64_t now_ns)
{
	struct room *room = room_get(tbl, room_idx);
	uint32_t pos = room != NULL ? pos_by_session(room, session_idx) : 0;
	struct plm_egress old;
	struct member *m;

	if (room == NULL || pos == room->nb_members) {
		give_back(tbl, session_idx, egress); /* gone meanwhile */
		return;
	}
	m = room->places[pos].member;
	if (m->last_seq == 0) {
		/* No view names the old address; the new one just takes its place. */
		old = m->pub.egress;
		room_readdress(room, pos, egress);
		give_back(tbl, session_idx, &old);
	} else {
		/* The old one stays until the views that name it are gone. What it takes to keep
		 * it is allocated when the next view is, where it can be tried again. */
		old = m->next_egress;
		m->next_egress = *egress;
		if (m->has_next)
			give_back(tbl, session_idx, &old);
		else
			room->nb_moves++;
		m->has_next = true;
	}
	room_mark(tbl, room);
}

void
plm_room_leave(struct plm_room_table *tbl, uint32_t room_idx, uint32_t session_idx, uint64_t now_ns)
{
	struct room *room = room_get(tbl, room_idx);
	uint32_t pos = room != NULL ? pos_by_session(room, session_idx) : 0;
	struct member *m;

	if (room == NULL || pos == room->nb_members)
		return;
	m = place_remove(room, pos).member;
	room_bury(room, m->pub.home, session_idx);
	count_member(room, &m->pub, -1);
	if (m->has_next) {
		room->nb_moves--;
		give_back(tbl, session_idx, &m->next_egress);
	}
	m->ended = true;
	if (m->last_seq != 0) {
		STAILQ_INSERT_TAIL(&room->leavers, m, link);
	} else {
		STAILQ_INSERT_HEAD(&room->leavers, m, link);
		room_ripen(tbl, room);
	}
	room_mark(tbl, room);
}

/* --- what is shown and set ---------------------------------------------------------------- */

int
plm_room_info(const struct plm_room_table *tbl, uint32_t room_idx, struct plm_room_info *info)
{
	const struct room *room = room_get(tbl, room_idx);

	if (room == NULL)
		return -ENOENT;
	*info = (struct plm_room_info){
		.name = room->name,
		.format = room->format,
		.home = room->home,
		.gen = room->gen,
		.nb_members = room->nb_members,
		.nb_homed = room->nb_homed,
		.nb_publishers = room->nb_publishers,
		.nb_subscribers = room->nb_subscribers,
		.view_seq = room->seq,
		.settings = room->settings,
	};
	return 0;
}

int
plm_room_set(struct plm_room_table *tbl, uint32_t room_idx,
		const struct plm_room_settings *settings, uint64_t now_ns)
{
	struct room *room = room_get(tbl, room_idx);

	if (room == NULL)
		return -ENOENT;
	room->settings = *settings;
	room_mark(tbl, room);
	return 0;
}

const struct plm_member *
plm_room_member(const struct plm_room_table *tbl, uint32_t room_idx, uint32_t pos)
{
	const struct room *room = room_get(tbl, room_idx);

	return room != NULL && pos < room->nb_members ? &room->places[pos].member->pub : NULL;
}

const struct plm_member *
plm_room_member_by_name(const struct plm_room_table *tbl, uint32_t room_idx, const char *name)
{
	const struct room *room = room_get(tbl, room_idx);
	const struct member *m;

	if (room == NULL)
		return NULL;
	m = member_by_name(room, name, hash_name(tbl, name));
	return m != NULL ? &m->pub : NULL;
}

uint32_t
plm_room_nb_open(const struct plm_room_table *tbl)
{
	return tbl->ctl->nb_open;
}

uint32_t
plm_room_backlog(const struct plm_room_table *tbl)
{
	return tbl->ctl->nb_backlog;
}

struct plm_room_stats
plm_room_stats(const struct plm_room_table *tbl)
{
	return tbl->ctl->stats;
}

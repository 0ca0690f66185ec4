/* SPDX-License-Identifier: BSD-3-Clause */
/* Rooms and their members, as the slow path knows them. What workers see is made in view.c. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <rte_errno.h>
#include <rte_malloc.h>

#include "room_priv.h"

#define MEMBERS_MIN 8

/* --- members, in the order of views ------------------------------------------------------- */

/* Home, port, subscribers before the others, session index. */
static uint64_t
order_key(const struct plm_member *m)
{
	return (uint64_t)m->home << 48 | (uint64_t)m->egress.port_idx << 40 |
			(uint64_t) !(m->flags & PLM_SUB_SUBSCRIBES) << 32 | m->session_idx;
}

void
room_insert(struct room *room, struct member *member, uint32_t name_hash)
{
	const uint64_t key = order_key(&member->pub);
	uint32_t low = 0;
	uint32_t high = room->nb_members;
	uint32_t behind;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (order_key(&room->members[mid]->pub) < key)
			low = mid + 1;
		else
			high = mid;
	}
	behind = room->nb_members - low;
	memmove(&room->members[low + 1], &room->members[low], behind * sizeof(room->members[0]));
	memmove(&room->name_hash[low + 1], &room->name_hash[low],
			behind * sizeof(room->name_hash[0]));
	room->members[low] = member;
	room->name_hash[low] = name_hash;
	room->nb_members++;
}

struct member *
room_remove(struct room *room, uint32_t pos, uint32_t *name_hash)
{
	struct member *member = room->members[pos];
	uint32_t behind = --room->nb_members - pos;

	*name_hash = room->name_hash[pos];
	memmove(&room->members[pos], &room->members[pos + 1], behind * sizeof(room->members[0]));
	memmove(&room->name_hash[pos], &room->name_hash[pos + 1],
			behind * sizeof(room->name_hash[0]));
	return member;
}

uint32_t
room_pos(const struct room *room, uint32_t session_idx)
{
	uint32_t pos = 0;

	while (pos < room->nb_members && room->members[pos]->pub.session_idx != session_idx)
		pos++;
	return pos;
}

static uint32_t
name_hash(const struct plm_room_table *tbl, const char *name)
{
	return (uint32_t)plm_siphash(tbl->ctl->conf.siphash_key, name, strlen(name));
}

static struct member *
member_by_name(const struct room *room, const char *name, uint32_t hash)
{
	for (uint32_t i = 0; i < room->nb_members; i++)
		if (room->name_hash[i] == hash && strcmp(room->members[i]->pub.name, name) == 0)
			return room->members[i];
	return NULL;
}

static int
members_grow(struct room *room)
{
	uint32_t size = room->size == 0 ? MEMBERS_MIN : 2 * room->size;
	struct member **members;
	uint32_t *hash;

	if (room->nb_members < room->size)
		return 0;
	members = rte_realloc(room->members, size * sizeof(*members), 0);
	if (members == NULL)
		return -ENOMEM;
	room->members = members;
	hash = rte_realloc(room->name_hash, size * sizeof(*hash), 0);
	if (hash == NULL)
		return -ENOMEM;
	room->name_hash = hash;
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
	TAILQ_INIT(&tbl->ctl->dirty);
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
		LIST_INIT(&room->views);
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

void
plm_room_table_free(struct plm_room_table *tbl)
{
	if (tbl == NULL)
		return;
	if (tbl->ctl != NULL && tbl->ctl->rooms != NULL) {
		for (uint32_t i = 0; i < tbl->max_rooms; i++) {
			struct room *room = &tbl->ctl->rooms[i];

			while (room->nb_members > 0)
				rte_free(room->members[--room->nb_members]);
			room_free_views(tbl, room);
			rte_free(room->members);
			rte_free(room->name_hash);
		}
	}
	if (tbl->ctl != NULL) {
		rte_hash_free(tbl->ctl->by_name);
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

void
room_mark(struct plm_room_table *tbl, struct room *room)
{
	if (room->dirty)
		return;
	room->dirty = true;
	TAILQ_INSERT_TAIL(&tbl->ctl->dirty, room, in_dirty);
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
	ret = rte_hash_add_key_data(ctl->by_name, &key, room);
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
	room->seq = 0;
	room->published_ns = 0;
	ctl->nb_open++;
	room_mark(tbl, room); /* closed in the next turn if nobody joins */
	*room_idx = room->idx;
	return 0;
}

void
room_close(struct plm_room_table *tbl, struct room *room)
{
	struct plm_room_ctl *ctl = tbl->ctl;

	if (room->dirty)
		TAILQ_REMOVE(&ctl->dirty, room, in_dirty);
	room->dirty = false;
	rte_hash_del_key(ctl->by_name, &room->key);
	room->state = ROOM_CLOSED;
	ctl->nb_open--;
	room_unpublish(tbl, room);
	TAILQ_INSERT_TAIL(&ctl->closing, room, in_closing);
}

/* --- coming, moving, going ---------------------------------------------------------------- */

static void
count_roles(struct room *room, uint8_t flags, int n)
{
	if (flags & PLM_SUB_PUBLISHES)
		room->nb_publishers += (uint32_t)n;
	if (flags & PLM_SUB_SUBSCRIBES)
		room->nb_subscribers += (uint32_t)n;
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
	hash = name_hash(tbl, new->name);
	if (member_by_name(room, new->name, hash) != NULL)
		return -EEXIST;
	ret = members_grow(room);
	if (ret < 0)
		return ret;
	member = rte_zmalloc_socket("plm_member", sizeof(*member), 0, tbl->ctl->conf.socket);
	if (member == NULL)
		return -ENOMEM;
	member->pub = *new;
	room_insert(room, member, hash);
	count_roles(room, new->flags, 1);
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
	uint32_t pos = room != NULL ? room_pos(room, session_idx) : 0;
	struct member *m;
	uint32_t hash;

	if (room == NULL || pos == room->nb_members) {
		give_back(tbl, session_idx, egress); /* gone meanwhile */
		return;
	}
	m = room->members[pos];
	if (m->last_seq == 0) {
		/* No view names the old address; the new one just takes its place. */
		give_back(tbl, session_idx, &m->pub.egress);
		room_remove(room, pos, &hash);
		m->pub.egress = *egress;
		room_insert(room, m, hash);
	} else {
		if (m->has_next)
			give_back(tbl, session_idx, &m->next_egress);
		m->next_egress = *egress;
		m->has_next = true;
	}
	room_mark(tbl, room);
}

void
plm_room_leave(struct plm_room_table *tbl, uint32_t room_idx, uint32_t session_idx, uint64_t now_ns)
{
	struct room *room = room_get(tbl, room_idx);
	uint32_t pos = room != NULL ? room_pos(room, session_idx) : 0;
	struct member *m;
	uint32_t hash;

	if (room == NULL || pos == room->nb_members)
		return;
	m = room_remove(room, pos, &hash);
	room_bury(room, m->pub.home, session_idx);
	count_roles(room, m->pub.flags, -1);
	if (m->has_next)
		give_back(tbl, session_idx, &m->next_egress);
	m->ended = true;
	STAILQ_INSERT_TAIL(&room->leavers, m, link);
	if (room->nb_members == 0)
		room_close(tbl, room);
	else
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
		.nb_members = room->nb_members,
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

	return room != NULL && pos < room->nb_members ? &room->members[pos]->pub : NULL;
}

const struct plm_member *
plm_room_member_by_name(const struct plm_room_table *tbl, uint32_t room_idx, const char *name)
{
	const struct room *room = room_get(tbl, room_idx);
	const struct member *m;

	if (room == NULL)
		return NULL;
	m = member_by_name(room, name, name_hash(tbl, name));
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

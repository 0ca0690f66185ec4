/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the files of lib/room: what the slow path knows of rooms, and a view's other half. */
#ifndef ROOM_PRIV_H
#define ROOM_PRIV_H

#include <sys/queue.h>

#include <rte_hash.h>

#include "plm_room.h"

/* A member, and afterwards what is left of it until no view names it. Owner: slow path. */
struct member {
	struct plm_member pub;
	struct plm_egress next_egress; /* to be published instead of pub.egress */
	bool has_next;
	bool ended;                /* of a leaver: it left; else only this egress is given up */
	uint64_t last_seq;         /* newest view that names it; 0: none yet */
	STAILQ_ENTRY(member) link; /* of room.leavers */
};

/* A view as it is allocated: what workers read comes first. */
struct view_block {
	struct plm_view view;
	/* ctl */
	struct room *room;
	uint64_t token; /* grace period since another view took its place */
	LIST_ENTRY(view_block) in_room;
	TAILQ_ENTRY(view_block) in_backlog;
};

enum room_state {
	ROOM_FREE,
	ROOM_OPEN,
	ROOM_CLOSED, /* nobody finds it; its views and leavers go */
};

/* ctl */
struct room {
	uint32_t idx;
	uint8_t state; /* enum room_state */
	uint8_t home;
	char format;
	bool dirty; /* in the dirty list: changes to publish */
	char name[PLM_NAME_SIZE];
	uint64_t key; /* in by_name */
	struct plm_room_settings settings;

	/* Members sorted as views are: home, port, subscribers first, session index. */
	struct member **members;
	uint32_t *name_hash; /* of members[], side by side so that a join scans few lines */
	uint32_t nb_members;
	uint32_t size;
	uint32_t nb_publishers;
	uint32_t nb_subscribers;

	uint64_t seq;          /* of the newest view */
	uint64_t published_ns; /* when; 0: never */
	uint64_t close_token;
	LIST_HEAD(, view_block) views; /* that stand, the published one included */
	STAILQ_HEAD(, member) leavers;
	TAILQ_ENTRY(room) in_dirty;
	TAILQ_ENTRY(room) in_closing;
	STAILQ_ENTRY(room) in_unused;
};

/* ctl */
struct plm_room_ctl {
	struct plm_room_conf conf;
	struct room *rooms;       /* [max_rooms] */
	struct rte_hash *by_name; /* SipHash of format and name → struct room */
	uint32_t nb_open;
	uint32_t nb_backlog;
	TAILQ_HEAD(, room) dirty;
	TAILQ_HEAD(closing, room) closing; /* closed, waiting for their views and grace period */
	STAILQ_HEAD(, room) unused;        /* first in, first out */
	TAILQ_HEAD(backlog, view_block) backlog;
};

static inline struct room *
room_get(const struct plm_room_table *tbl, uint32_t room_idx)
{
	struct room *room;

	if (room_idx >= tbl->max_rooms)
		return NULL;
	room = &tbl->ctl->rooms[room_idx];
	return room->state == ROOM_OPEN ? room : NULL;
}

/* --- room.c ------------------------------------------------------------------------------- */

/* Position of a session among the members, nb_members if it is none of them. */
uint32_t room_pos(const struct room *room, uint32_t session_idx);

/* Take a member's place in the order (it is in no list); the arrays have room. */
void room_insert(struct room *room, struct member *member, uint32_t name_hash);

/* Take the member at `pos` out of the order and return it. */
struct member *room_remove(struct room *room, uint32_t pos, uint32_t *name_hash);

/* The room has a change to publish. */
void room_mark(struct plm_room_table *tbl, struct room *room);

/* Shut a room without members; views and index follow when nobody can see them. */
void room_close(struct plm_room_table *tbl, struct room *room);

/* --- view.c ------------------------------------------------------------------------------- */

/* Set the tombstone of a session in every view that stands. */
void room_bury(struct room *room, uint8_t home, uint32_t session_idx);

/* Take the room's view from the workers; it joins the backlog. */
void room_unpublish(struct plm_room_table *tbl, struct room *room);

/* Hand back what no view names any more. */
void room_release(struct plm_room_table *tbl, struct room *room);

/* At the table's end, when no worker runs. */
void room_free_views(struct plm_room_table *tbl, struct room *room);

#endif

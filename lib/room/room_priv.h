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
	uint64_t first_seq;        /* oldest view that names it, or the next one */
	uint64_t last_seq;         /* newest view that names it; 0: none yet */
	STAILQ_ENTRY(member) link; /* of room.leavers */
};

/* A member's place in the order of views, with what is searched for side by side: finding one
 * of thousands reads few lines. */
struct place {
	uint64_t key; /* home, port, subscribers before the others, session index */
	struct member *member;
	uint32_t name_hash;
};

/* A view as it is allocated: what workers read comes first. */
struct view_block {
	struct plm_view view;
	/* ctl */
	struct room *room;
	uint64_t token; /* grace period since another view took its place */
	TAILQ_ENTRY(view_block) in_room;
	TAILQ_ENTRY(view_block) in_backlog;
};

/* A room's part of the bound on members that views name while they wait: a few large rooms shall not
 * use up what many small ones live by. */
enum room_weight { ROOM_SMALL, ROOM_LARGE, ROOM_WEIGHTS };

enum room_state {
	ROOM_FREE,
	ROOM_OPEN,
	ROOM_CLOSED, /* nobody finds it; its views and leavers go */
};

/* ctl */
struct room {
	uint32_t idx;
	uint8_t state; /* enum room_state */
	uint8_t home;  /* of the first, and of all while they are few */
	char format;
	uint16_t gen; /* another for each room of this index */
	bool dirty;   /* has changes to publish: in `ready`, or in `cooling` until it may */
	bool cooling; /* published less than an interval ago */
	bool ripe;    /* in `ripe` */
	char name[PLM_NAME_SIZE];
	uint64_t key; /* in by_name */
	struct plm_room_settings settings;

	struct place *places; /* [nb_members], sorted by key */
	uint32_t nb_members;
	uint32_t size;
	uint32_t nb_moves; /* members with a next_egress */
	uint32_t nb_publishers;
	uint32_t nb_subscribers;
	uint32_t nb_homed[PLM_WORKERS_MAX]; /* members by home */

	uint64_t seq;          /* of the newest view */
	uint64_t published_ns; /* when; while it cools */
	uint64_t close_token;
	TAILQ_HEAD(, view_block) views; /* that stand, the oldest first, the published one last */
	STAILQ_HEAD(, member) leavers;  /* in the order of last_seq */
	TAILQ_ENTRY(room) in_ready;
	TAILQ_ENTRY(room) in_cooling;
	TAILQ_ENTRY(room) in_ripe;
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
	uint32_t nb_backlog_large;   /* of nb_backlog */
	uint64_t nb_backlog_members; /* that the views in it name */
	uint64_t nb_backlog_small;   /* of those, in views of small rooms */
	/* Since when rooms of a weight have waited without one of them being published; 0: none waits. */
	uint64_t wait_since_ns[ROOM_WEIGHTS];
	uint32_t nb_cooling_dirty;
	struct plm_room_stats stats;
	struct member *spare;              /* for the next join, or NULL */
	TAILQ_HEAD(, room) ready;          /* dirty, and may be published */
	TAILQ_HEAD(, room) cooling;        /* by published_ns */
	TAILQ_HEAD(, room) ripe;           /* a view of it went: leavers may be released */
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

/* Give the member at `pos` another address, and the place that comes with it. */
void room_readdress(struct room *room, uint32_t pos, const struct plm_egress *egress);

/* Shut a room without members that is in none of the lists; views and index follow when nobody
 * can see them. */
void room_close(struct plm_room_table *tbl, struct room *room);

/* --- view.c ------------------------------------------------------------------------------- */

/* Set the tombstone of a session in every view that stands. */
void room_bury(struct room *room, uint8_t home, uint32_t session_idx);

/* Take the room's view from the workers; it joins the backlog. */
void room_unpublish(struct plm_room_table *tbl, struct room *room);

/* The room has a change to publish. */
void room_mark(struct plm_room_table *tbl, struct room *room);

/* Leavers of the room may be named by no view any more: the turn looks. */
void room_ripen(struct plm_room_table *tbl, struct room *room);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Rooms, their participants, and the published fan-out list of each: the view. A view is an
 * immutable snapshot but for one atomic tombstone per entry; the slow path publishes it with one
 * atomic pointer, workers read it without a lock, and it is freed once every worker was quiescent
 * and none has it pinned by a parked fan-out.
 */
#ifndef PLM_ROOM_H
#define PLM_ROOM_H

#include <stdalign.h>
#include <stdatomic.h>

#include "plm_lcore.h"

/** A payload's reference count is 16 bits and its increment a signed one. */
#define PLM_ROOM_MEMBERS_MAX 32000

#define PLM_EGRESS_HDR 56

/** Formats of rooms: what its members speak. */
#define PLM_ROOM_RTP 'r'
#define PLM_ROOM_WZP 'w' /* over QUIC */

/** Where a copy goes; filled from struct plm_template by the slow path. */
struct plm_egress {
	uint8_t hdr[PLM_EGRESS_HDR]; /**< see struct plm_template */
	uint16_t nexthop_idx;
	uint8_t port_idx;
	uint8_t is_v6;
};

/** One member in a view: a line. */
struct plm_sub {
	/* const once published */
	alignas(RTE_CACHE_LINE_SIZE) uint8_t hdr[PLM_EGRESS_HDR];
	uint32_t session_idx;
	uint16_t nexthop_idx;
	uint8_t flags; /**< PLM_SUB_* */
	/* slow path writes, workers read: set when the member left */
	_Atomic uint8_t left;
};
static_assert(sizeof(struct plm_sub) == RTE_CACHE_LINE_SIZE, "one line per subscriber");

#define PLM_SUB_V6         0x01
#define PLM_SUB_PUBLISHES  0x02
#define PLM_SUB_SUBSCRIBES 0x04

/** The members that one worker serves through one port: subscribers first, then the others. */
struct plm_range {
	uint32_t first;
	uint16_t nb_subs;       /**< get media */
	uint16_t nb_members;    /**< nb_subs and those that only publish */
	uint16_t nb_publishers; /**< of nb_members */
	uint8_t port_idx;
	uint8_t home;
};

/** How RTCP is routed (design: with SRTCP only the first 8 bytes are readable). */
enum plm_rtcp_mode {
	PLM_RTCP_CLEAR,
	PLM_RTCP_OPAQUE,
};

#define PLM_DSCP_COPY 0xff

struct plm_view {
	/* const once published; the line that a packet of the room touches first */
	alignas(RTE_CACHE_LINE_SIZE) uint32_t room_idx;
	uint32_t nb_members;
	uint8_t rtcp; /**< enum plm_rtcp_mode */
	uint8_t dscp; /**< 0 to 63, or PLM_DSCP_COPY */
	uint8_t nb_ranges;
	uint8_t traced; /**< copy what is received, see plm_relay_trace_next() */
	uint8_t first_range[PLM_WORKERS_MAX + 1]; /**< worker w has [w] to [w + 1] - 1 */
	uint8_t is_quic;                /**< members are QUIC connections: copies are encrypted */
	uint16_t gen;                   /**< of the room: another for the next one with its index */
	const struct plm_range *ranges; /**< within each, entries are sorted by session index */
	struct plm_sub *subs;           /**< [nb_members]; only `left` changes */
	struct plm_range only;          /**< where `ranges` points if there is but one */

	/* worker w writes pins[w], slow path reads: parked bursts that hold this view */
	alignas(RTE_CACHE_LINE_SIZE) _Atomic uint32_t pins[PLM_WORKERS_MAX];

	/* const */
	uint64_t seq; /**< of this room, from 1 */
	/** [nb_members]: how many views before this one named the member, at most UINT32_MAX. They are
	 *  the last ones: who comes again is another member. */
	const uint32_t *ages;
};
static_assert(offsetof(struct plm_view, pins) == RTE_CACHE_LINE_SIZE, "one line, then the pins");

/** What workers see of a room. */
struct plm_room_hot {
	/* rcu: slow path publishes, workers read until their next quiescent point; NULL: no room */
	_Atomic(struct plm_view *) view;
};

struct plm_room_conf {
	uint32_t max_rooms;
	uint32_t max_members; /**< per room, 1 to PLM_ROOM_MEMBERS_MAX */
	uint32_t max_backlog; /**< views that may wait for reclamation; at it joins are refused */
	/** Members that views may name while they wait, beyond the first view of a large room: at it
	 *  publication waits. A quarter is for rooms of at most a 64th alone. 0: unlimited. */
	uint32_t max_backlog_members;
	uint64_t publish_interval_ns; /**< changes of one room are coalesced to one view per this */
	unsigned int nb_workers;
	struct plm_rcu *rcu;
	uint8_t siphash_key[16];
	int socket;
	/**
	 * No view names this egress any more, so its next hop may be given back; with `ended`
	 * the member left and its session may be released, without it moved. Slow path.
	 */
	void (*released)(void *ctx, uint32_t session_idx, const struct plm_egress *egress,
			bool ended);
	void *released_ctx;
};

struct plm_room_table {
	/* const */
	struct plm_room_hot *hot; /**< [max_rooms] */
	uint32_t max_rooms;
	/* ctl */
	struct plm_room_ctl *ctl;
};

int plm_room_table_create(struct plm_room_table **tbl, const struct plm_room_conf *conf);
/** Free it all, workers being gone; nothing is `released` any more. Takes NULL. */
void plm_room_table_free(struct plm_room_table *tbl);

/* --- workers ------------------------------------------------------------------------------ */

/** The room's present list; NULL when the room is gone. Valid until the quiescent report. */
static inline struct plm_view *
plm_room_view(const struct plm_room_table *tbl, uint32_t room_idx)
{
	struct plm_view *view;

	/* Acquire pairs with the exchange in view.c: who sees the view sees its entries. */
	view = atomic_load_explicit(&tbl->hot[room_idx].view, memory_order_acquire);
	plm_sched_point(VIEW_LOADED, view);
	return view;
}

/** Keep the view beyond this turn (parked). Worker `w` only; not nested deeper than 2^32. */
static inline void
plm_view_pin(struct plm_view *view, unsigned int w)
{
	_Atomic uint32_t *pin = &view->pins[w];

	/* Before the quiescent report, which releases: the slow path then sees the pin. */
	atomic_store_explicit(pin, atomic_load_explicit(pin, memory_order_relaxed) + 1,
			memory_order_release);
	plm_sched_point(VIEW_PIN, view);
}

static inline void
plm_view_unpin(struct plm_view *view, unsigned int w)
{
	_Atomic uint32_t *pin = &view->pins[w];

	plm_sched_point(VIEW_UNPIN, view);
	/* Release: our last reads of the view come before; pairs with the reclaimer's acquire. */
	atomic_store_explicit(pin, atomic_load_explicit(pin, memory_order_relaxed) - 1,
			memory_order_release);
}

/** Is somebody else's part of the view not empty? */
static inline bool
plm_view_is_spread(const struct plm_view *view, unsigned int w)
{
	return view->first_range[w + 1] - view->first_range[w] != view->nb_ranges;
}

/** Entry of a member in worker `w`'s part, NULL if not there. O(log members). */
struct plm_sub *plm_view_find(struct plm_view *view, unsigned int w, uint32_t session_idx,
		const struct plm_range **range);

/* --- slow path ---------------------------------------------------------------------------- */

/** Settings of a room, from the config; a change holds from the next publication. */
struct plm_room_settings {
	uint32_t max_members;
	uint8_t rtcp;
	uint8_t dscp;
	uint8_t consent_alive;
	uint8_t traced;         /**< workers copy what they receive, see plm_relay.h */
	uint32_t packets_per_s; /**< of one session; 0: unlimited */
	uint64_t bits_per_s;    /**< of one session; 0: unlimited */
};

struct plm_member {
	uint32_t session_idx;
	uint8_t home;
	uint8_t flags; /**< PLM_SUB_PUBLISHES, PLM_SUB_SUBSCRIBES */
	char name[PLM_NAME_SIZE];
	struct plm_egress egress;
};

/**
 * The room of this format ('r': RTP, 'w': WZP) and name, made if it does not exist. One that
 * nobody joined is closed by the next plm_room_turn().
 * @return 0, -ENOSPC (as many rooms as allowed), -EEXIST (hash collision with another name),
 *   -EINVAL (not a name, or no such worker).
 */
int plm_room_open(struct plm_room_table *tbl, char format, const char *name,
		const struct plm_room_settings *settings, uint8_t home, uint32_t *room_idx);

/** -ENOENT if there is none. */
int plm_room_find(const struct plm_room_table *tbl, char format, const char *name,
		uint32_t *room_idx);

/**
 * Have what the next plm_room_join() allocates, so that it does not fail for want of memory where a
 * member has just left the room.
 * @return 0, -ENOMEM.
 */
int plm_room_reserve(struct plm_room_table *tbl);

/**
 * Add a participant. Others see it from the next publication on.
 * @return 0, -ENOSPC (room full), -EAGAIN (backlog of views at its limit), -EEXIST (the name
 *   is in the room: end that session first), -ENOENT (no such room), -ENOMEM.
 */
int plm_room_join(struct plm_room_table *tbl, uint32_t room_idx, const struct plm_member *member,
		uint64_t now_ns);

/**
 * A member's address changed. Cannot fail: the change waits for the backlog if it must. An address
 * that no view came to name is `released` from within.
 */
void plm_room_move(struct plm_room_table *tbl, uint32_t room_idx, uint32_t session_idx,
		const struct plm_egress *egress, uint64_t now_ns);

/**
 * Take a member out: a tombstone in every view that still stands, at once; `released` follows
 * when none names it, from plm_room_turn(). A room that is then empty is closed when its next
 * publication would be due, unless somebody joins before. Cannot fail.
 */
void plm_room_leave(struct plm_room_table *tbl, uint32_t room_idx, uint32_t session_idx,
		uint64_t now_ns);

/**
 * Publish what changed (each room at most once per interval), then free what is past its grace
 * period and unpinned. Bounded work per call.
 * @return when it wants to be called again, UINT64_MAX if nothing waits.
 */
uint64_t plm_room_turn(struct plm_room_table *tbl, uint64_t now_ns);

/** Everything about a room that the CLI shows. */
struct plm_room_info {
	const char *name;
	char format;
	uint8_t home;
	uint16_t gen; /**< changes when the index is given to another room */
	uint32_t nb_members;
	const uint32_t *nb_homed; /**< members by home worker */
	uint32_t nb_publishers;
	uint32_t nb_subscribers;
	uint64_t view_seq;
	struct plm_room_settings settings;
};

/** -ENOENT for an index without a room. */
int plm_room_info(const struct plm_room_table *tbl, uint32_t room_idx, struct plm_room_info *info);

/** Change what `set room` may change. 0, -ENOENT. */
int plm_room_set(struct plm_room_table *tbl, uint32_t room_idx,
		const struct plm_room_settings *settings, uint64_t now_ns);

/** Members by position, 0 to nb_members - 1; NULL beyond. Valid until the next change. */
const struct plm_member *plm_room_member(const struct plm_room_table *tbl, uint32_t room_idx,
		uint32_t pos);

/** A participant by name, NULL if absent. */
const struct plm_member *plm_room_member_by_name(const struct plm_room_table *tbl,
		uint32_t room_idx, const char *name);

uint32_t plm_room_nb_open(const struct plm_room_table *tbl);
/** Views that wait for reclamation. */
uint32_t plm_room_backlog(const struct plm_room_table *tbl);

/** Whether one who joins would be published: false while the views that wait for reclamation are
 *  max_backlog, or name so many members that rooms of this one's size have had to wait for 100 ms
 *  and still must. `room_idx` UINT32_MAX: a room that is about to be opened. */
bool plm_room_publishes(const struct plm_room_table *tbl, uint32_t room_idx, uint64_t now_ns);

struct plm_room_stats {
	uint64_t published;        /**< views */
	uint64_t deferred_backlog; /**< turns in which a publication waited for the backlog */
	uint64_t deferred_memory;  /**< turns in which one waited for memory */
};

struct plm_room_stats plm_room_stats(const struct plm_room_table *tbl);

#endif

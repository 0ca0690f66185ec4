/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Views: built from a room's members, published, taken back, freed.
 *
 *   members ── publish ──▶ published ── another one takes its place ──▶ backlog ── freed
 *
 * A view leaves the backlog when its grace period is over and, after that, no worker is seen to
 * have it pinned. No pin can come later: a worker gets at a view through the room, or through a
 * parked fan-out that has it pinned. The first way ended when the view was unpublished, before
 * the grace period began: a worker that took that way before has been quiescent since, and a pin
 * that it set in that turn is visible, since its quiescent report released it. The second way is
 * one only while the worker's pins are not 0.
 *
 * When a room may be published:
 *
 *   clean ── change ──▶ ready ── turn ──▶ cooling ── an interval later ──▶ clean, or ready again
 *                                                                          if changed meanwhile
 */
#include <stdlib.h>

#include <rte_malloc.h>

#include "room_priv.h"

/* Bounds of one plm_room_turn(): publications, members in them, rooms that have cooled, retired
 * views and closed rooms looked at, members released. */
#define PUBLISH_MAX     32
#define PUBLISH_MEMBERS 8192
#define COOL_MAX        64
#define RECLAIM_MAX     128
#define RELEASE_MAX     256

/* How soon to look again at what waits for workers or memory. */
#define RETRY_NS (100 * PLM_NS_PER_US)
/* When nothing was published for longer than this though somebody waits, that is for a worker that
 * stands still, not for one that is busy: nobody else is let in who would not be heard. */
#define STUCK_NS (100 * PLM_NS_PER_MS)

/* Of max_backlog_members: the part that small rooms have for themselves, and how small they are. */
#define SMALL_PART 4
#define SMALL_ROOM 64

static bool
same_range(const struct place *a, const struct place *b)
{
	return a->key >> 40 == b->key >> 40; /* home and port */
}

static void
fill_sub(struct plm_sub *sub, const struct plm_member *m)
{
	memcpy(sub->hdr, m->egress.hdr, sizeof(sub->hdr));
	sub->session_idx = m->session_idx;
	sub->nexthop_idx = m->egress.nexthop_idx;
	sub->flags = (uint8_t)(m->flags | (m->egress.is_v6 ? PLM_SUB_V6 : 0));
	atomic_init(&sub->left, 0);
}

static uint8_t
count_ranges(const struct room *room)
{
	unsigned int n = 1;

	for (uint32_t i = 1; i < room->nb_members; i++)
		n += !same_range(&room->places[i - 1], &room->places[i]);
	return (uint8_t)n;
}

/* At least one member. NULL when there is no memory: tried again in the next turn. */
static struct view_block *
view_build(const struct plm_room_table *tbl, struct room *room)
{
	const uint8_t nb_ranges = count_ranges(room);
	const size_t head = RTE_CACHE_LINE_ROUNDUP(sizeof(struct view_block) +
			(nb_ranges == 1 ? 0 : nb_ranges) * sizeof(struct plm_range));
	struct view_block *block;
	struct plm_range *ranges;
	struct plm_range *range = NULL;
	struct plm_view *view;
	uint32_t *ages;
	uint8_t nb = 0;

	block = rte_malloc_socket("plm_view",
			head + room->nb_members * (sizeof(struct plm_sub) + sizeof(*ages)),
			RTE_CACHE_LINE_SIZE, tbl->ctl->conf.socket);
	if (block == NULL)
		return NULL;
	memset(block, 0, head);
	view = &block->view;
	ranges = nb_ranges == 1 ? &view->only : (struct plm_range *)(block + 1);
	view->room_idx = room->idx;
	view->nb_members = room->nb_members;
	view->seq = room->seq + 1;
	view->gen = room->gen;
	view->rtcp = room->settings.rtcp;
	view->dscp = room->settings.dscp;
	view->is_quic = room->format == PLM_ROOM_WZP;
	view->traced = room->settings.traced || plm_mutant(TRACE_ALL);
	view->nb_ranges = nb_ranges;
	view->ranges = ranges;
	view->subs = (struct plm_sub *)((uint8_t *)block + head);
	view->ages = ages = (uint32_t *)(view->subs + room->nb_members);
	block->room = room;
	for (uint32_t i = 0; i < room->nb_members; i++) {
		const struct member *member = room->places[i].member;
		const struct plm_member *m = &member->pub;

		if (i == 0 || !same_range(&room->places[i - 1], &room->places[i])) {
			range = &ranges[nb++];
			range->first = i;
			range->home = m->home;
			range->port_idx = m->egress.port_idx;
		}
		range->nb_members++;
		range->nb_subs += (m->flags & PLM_SUB_SUBSCRIBES) != 0;
		range->nb_publishers += (m->flags & PLM_SUB_PUBLISHES) != 0;
		ages[i] = (uint32_t)RTE_MIN(view->seq - member->first_seq, (uint64_t)UINT32_MAX);
		if (plm_mutant(HALF_VIEW) && i == room->nb_members - 1)
			continue;
		fill_sub(&view->subs[i], m);
	}
	nb = 0;
	for (unsigned int w = 0; w < PLM_WORKERS_MAX; w++) {
		while (nb < nb_ranges && ranges[nb].home == w)
			nb++;
		view->first_range[w + 1] = nb;
	}
	return block;
}

static enum room_weight
weight_of(const struct plm_room_ctl *ctl, uint32_t nb_members)
{
	return nb_members > ctl->conf.max_backlog_members / SMALL_ROOM ? ROOM_LARGE : ROOM_SMALL;
}

/* `block` joins the backlog (n 1), or leaves it (-1). */
static void
count_backlog(struct plm_room_ctl *ctl, const struct view_block *block, int n)
{
	const uint32_t nb_members = block->view.nb_members;
	const uint64_t members = n > 0 ? nb_members : -(uint64_t)nb_members;

	ctl->nb_backlog += (uint32_t)n;
	ctl->nb_backlog_members += members;
	if (weight_of(ctl, nb_members) == ROOM_LARGE)
		ctl->nb_backlog_large += (uint32_t)n;
	else
		ctl->nb_backlog_small += members;
}

/* The room's list is now `block`, or none. What stood before goes to the backlog. */
static void
exchange(struct plm_room_table *tbl, struct room *room, struct view_block *block)
{
	struct plm_room_ctl *ctl = tbl->ctl;
	struct view_block *prev;

	/* Release: whoever sees the view sees its entries. Pairs with plm_room_view(). */
	prev = (struct view_block *)atomic_exchange_explicit(&tbl->hot[room->idx].view,
			block != NULL ? &block->view : NULL, memory_order_acq_rel);
	plm_sched_point(VIEW_PUBLISH, block != NULL ? &block->view : NULL);
	if (prev == NULL)
		return;
	prev->token = plm_rcu_start(ctl->conf.rcu);
	TAILQ_INSERT_TAIL(&ctl->backlog, prev, in_backlog);
	count_backlog(ctl, prev, 1);
}

void
room_unpublish(struct plm_room_table *tbl, struct room *room)
{
	exchange(tbl, room, NULL);
	room->close_token = plm_rcu_start(tbl->ctl->conf.rcu);
}

/* Addresses that changed since the last view take effect in the next. False without memory. */
static bool
take_moves(struct room *room)
{
	uint32_t i = 0;

	while (room->nb_moves > 0) {
		struct member *m = room->places[i].member;
		struct member *old;

		if (!m->has_next) {
			i++;
			continue;
		}
		old = plm_fault(MEMORY_MEMBER) ? NULL : calloc(1, sizeof(*old));
		if (old == NULL)
			return false;
		old->pub = m->pub;
		old->last_seq = m->last_seq;
		STAILQ_INSERT_TAIL(&room->leavers, old, link);
		m->has_next = false;
		room->nb_moves--;
		/* The port is part of the order: the member's successor may be at `i` now. */
		room_readdress(room, i, &m->next_egress);
	}
	return true;
}

/* False without memory. */
static bool
publish(struct plm_room_table *tbl, struct room *room)
{
	struct view_block *block;

	if (!take_moves(room))
		return false;
	block = view_build(tbl, room);
	if (block == NULL)
		return false;
	room->seq = block->view.seq;
	for (uint32_t i = 0; i < room->nb_members; i++)
		room->places[i].member->last_seq = room->seq;
	TAILQ_INSERT_TAIL(&room->views, block, in_room);
	exchange(tbl, room, block);
	return true;
}

struct plm_sub *
plm_view_find(struct plm_view *view, unsigned int w, uint32_t session_idx,
		const struct plm_range **range_out)
{
	for (unsigned int r = view->first_range[w]; r < view->first_range[w + 1]; r++) {
		const struct plm_range *range = &view->ranges[r];
		const uint32_t bounds[3] = { 0, range->nb_subs, range->nb_members };

		for (unsigned int part = 0; part < 2; part++) {
			uint32_t low = bounds[part];
			uint32_t high = bounds[part + 1];

			while (low < high) {
				uint32_t mid = low + (high - low) / 2;
				struct plm_sub *sub = &view->subs[range->first + mid];

				if (sub->session_idx == session_idx) {
					*range_out = range;
					return sub;
				}
				if (sub->session_idx < session_idx)
					low = mid + 1;
				else
					high = mid;
			}
		}
	}
	return NULL;
}

void
room_bury(struct room *room, uint8_t home, uint32_t session_idx)
{
	struct view_block *block;
	const struct plm_range *range;

	TAILQ_FOREACH(block, &room->views, in_room) {
		struct plm_sub *sub = plm_view_find(&block->view, home, session_idx, &range);

		/* Relaxed: the grace period that follows orders it for everybody. */
		if (sub != NULL)
			atomic_store_explicit(&sub->left, 1, memory_order_relaxed);
	}
	plm_sched_point(TOMBSTONE, NULL);
}

void
room_mark(struct plm_room_table *tbl, struct room *room)
{
	if (room->dirty)
		return;
	room->dirty = true;
	if (room->cooling)
		tbl->ctl->nb_cooling_dirty++;
	else
		TAILQ_INSERT_TAIL(&tbl->ctl->ready, room, in_ready);
}

/* Rooms whose interval is over may be published again. */
static void
cool(struct plm_room_ctl *ctl, uint64_t now_ns)
{
	struct room *room;

	for (unsigned int i = 0; i < COOL_MAX; i++) {
		room = TAILQ_FIRST(&ctl->cooling);
		if (room == NULL || room->published_ns + ctl->conf.publish_interval_ns > now_ns)
			return;
		TAILQ_REMOVE(&ctl->cooling, room, in_cooling);
		room->cooling = false;
		if (room->dirty) {
			ctl->nb_cooling_dirty--;
			TAILQ_INSERT_TAIL(&ctl->ready, room, in_ready);
		}
	}
}

/* Must a view of so many members wait for older ones to go? A join storm in a big room makes large
 * ones. An empty room has no view to make. */
static bool
backlog_full(const struct plm_room_ctl *ctl, uint32_t nb_members)
{
	const uint64_t max = ctl->conf.max_backlog_members;
	const uint64_t part = max / SMALL_PART;

	if (ctl->nb_backlog >= ctl->conf.max_backlog)
		return true;
	if (max == 0 || nb_members == 0)
		return false;
	if (weight_of(ctl, nb_members) == ROOM_LARGE)
		return ctl->nb_backlog_large > 0 &&
				ctl->nb_backlog_members + nb_members > max - part;
	return ctl->nb_backlog_members + nb_members > max &&
			ctl->nb_backlog_small + nb_members > part;
}

bool
plm_room_publishes(const struct plm_room_table *tbl, uint32_t room_idx, uint64_t now_ns)
{
	const struct plm_room_ctl *ctl = tbl->ctl;
	const struct room *room = room_get(tbl, room_idx);
	const uint32_t nb_members = room != NULL ? room->nb_members + 1 : 1;
	const uint64_t since_ns = ctl->wait_since_ns[weight_of(ctl, nb_members)];

	if (ctl->nb_backlog >= ctl->conf.max_backlog)
		return false;
	return since_ns == 0 || now_ns < since_ns + STUCK_NS || !backlog_full(ctl, nb_members);
}

static bool
publish_one(struct plm_room_table *tbl, struct room *room, uint64_t now_ns)
{
	struct plm_room_ctl *ctl = tbl->ctl;

	if (room->nb_members > 0 && !publish(tbl, room)) {
		ctl->stats.deferred_memory++;
		return false;
	}
	TAILQ_REMOVE(&ctl->ready, room, in_ready);
	room->dirty = false;
	if (room->nb_members == 0) {
		room_close(tbl, room);
		return true;
	}
	ctl->stats.published++;
	ctl->wait_since_ns[weight_of(ctl, room->nb_members)] = 0;
	room->published_ns = now_ns;
	room->cooling = true;
	TAILQ_INSERT_TAIL(&ctl->cooling, room, in_cooling);
	return true;
}

/* The rooms that are ready, in order. One that must wait keeps the others of its weight waiting, and a
 * small one everybody; past large ones the small go on. There are few of those: each has a 64th of
 * a bound that is a small multiple of the sessions. Who waits, and when to go on with the others:
 * UINT64_MAX when there are none. */
static uint64_t
publish_some(struct plm_room_table *tbl, bool waits[ROOM_WEIGHTS], uint64_t now_ns)
{
	struct plm_room_ctl *ctl = tbl->ctl;
	uint32_t members = 0;
	unsigned int n = 0;
	struct room *room;
	struct room *next;

	for (room = TAILQ_FIRST(&ctl->ready); room != NULL && !waits[ROOM_SMALL]; room = next) {
		const uint32_t nb_members = room->nb_members;
		const enum room_weight weight = weight_of(ctl, nb_members);

		next = TAILQ_NEXT(room, in_ready);
		if (n == PUBLISH_MAX || members >= PUBLISH_MEMBERS)
			return now_ns;
		if (waits[weight] || backlog_full(ctl, nb_members)) {
			waits[weight] = true;
			/* No more views at all: nobody goes on. */
			waits[ROOM_SMALL] |= ctl->nb_backlog >= ctl->conf.max_backlog;
			continue;
		}
		if (!publish_one(tbl, room, now_ns)) {
			waits[weight] = true;
			return now_ns + RETRY_NS;
		}
		members += nb_members;
		n++;
	}
	return UINT64_MAX;
}

/* Returns when the next publication is due. */
static uint64_t
publish_ready(struct plm_room_table *tbl, uint64_t now_ns)
{
	struct plm_room_ctl *ctl = tbl->ctl;
	bool waits[ROOM_WEIGHTS] = { false, false };
	uint64_t due_ns;

	cool(ctl, now_ns);
	due_ns = publish_some(tbl, waits, now_ns);
	/* Who has been seen to wait stands before all whom a turn does not get to: who is not seen any
	 * more waits no more. */
	for (unsigned int w = 0; w < ROOM_WEIGHTS; w++) {
		if (!waits[w])
			ctl->wait_since_ns[w] = 0;
		else if (ctl->wait_since_ns[w] == 0)
			ctl->wait_since_ns[w] = now_ns;
	}
	if (due_ns != UINT64_MAX)
		return due_ns;
	if (waits[ROOM_SMALL] || waits[ROOM_LARGE]) {
		ctl->stats.deferred_backlog++;
		return now_ns + RETRY_NS;
	}
	if (ctl->nb_cooling_dirty == 0)
		return UINT64_MAX;
	/* The first to cool may have nothing to publish: early, but never late. */
	return TAILQ_FIRST(&ctl->cooling)->published_ns + ctl->conf.publish_interval_ns;
}

void
room_ripen(struct plm_room_table *tbl, struct room *room)
{
	if (room->ripe || STAILQ_EMPTY(&room->leavers))
		return;
	room->ripe = true;
	TAILQ_INSERT_TAIL(&tbl->ctl->ripe, room, in_ripe);
}

/* Hand back what no view names any more. Views may go out of order, when one is pinned; what a
 * younger one named then waits for the older, which is late but never wrong. */
static void
release(struct plm_room_table *tbl)
{
	const struct plm_room_conf *conf = &tbl->ctl->conf;
	unsigned int budget = RELEASE_MAX;
	struct room *room;

	while ((room = TAILQ_FIRST(&tbl->ctl->ripe)) != NULL) {
		const struct view_block *view = TAILQ_FIRST(&room->views);
		const uint64_t oldest = view != NULL && !plm_mutant(RELEASE_EARLY) ? view->view.seq
										   : UINT64_MAX;
		struct member *m;

		while ((m = STAILQ_FIRST(&room->leavers)) != NULL && m->last_seq < oldest) {
			if (budget-- == 0)
				return;
			STAILQ_REMOVE_HEAD(&room->leavers, link);
			conf->released(conf->released_ctx, m->pub.session_idx, &m->pub.egress,
					m->ended);
			free(m);
		}
		TAILQ_REMOVE(&tbl->ctl->ripe, room, in_ripe);
		room->ripe = false;
	}
}

static bool
pinned(const struct plm_room_table *tbl, const struct plm_view *view)
{
	for (unsigned int w = 0; w < tbl->ctl->conf.nb_workers; w++)
		/* Acquire pairs with the release in plm_view_unpin(). */
		if (atomic_load_explicit(&view->pins[w], memory_order_acquire) != 0)
			return true;
	return false;
}

static void
reclaim_views(struct plm_room_table *tbl)
{
	struct plm_room_ctl *ctl = tbl->ctl;

	for (unsigned int i = RTE_MIN(ctl->nb_backlog, (uint32_t)RECLAIM_MAX); i > 0; i--) {
		struct view_block *block = TAILQ_FIRST(&ctl->backlog);
		struct room *room = block->room;

		TAILQ_REMOVE(&ctl->backlog, block, in_backlog);
		if ((!plm_rcu_over(ctl->conf.rcu, block->token) && !plm_mutant(SKIP_GRACE)) ||
				pinned(tbl, &block->view)) {
			TAILQ_INSERT_TAIL(&ctl->backlog, block, in_backlog);
			continue;
		}
		count_backlog(ctl, block, -1);
		TAILQ_REMOVE(&room->views, block, in_room);
		plm_sched_point(VIEW_RECLAIM, &block->view);
		rte_free(block);
		room_ripen(tbl, room);
	}
}

/* An index is free when no view names it, and no worker holds it from a packet of a session that
 * has ended. */
static void
reclaim_rooms(struct plm_room_table *tbl)
{
	struct plm_room_ctl *ctl = tbl->ctl;
	struct room *last = TAILQ_LAST(&ctl->closing, closing);
	struct room *room = NULL;

	for (unsigned int i = 0; i < RECLAIM_MAX && room != last; i++) {
		room = TAILQ_FIRST(&ctl->closing);
		TAILQ_REMOVE(&ctl->closing, room, in_closing);
		if (!TAILQ_EMPTY(&room->views) || !STAILQ_EMPTY(&room->leavers) || room->ripe ||
				!plm_rcu_over(ctl->conf.rcu, room->close_token)) {
			TAILQ_INSERT_TAIL(&ctl->closing, room, in_closing);
			continue;
		}
		room->state = ROOM_FREE;
		STAILQ_INSERT_TAIL(&ctl->unused, room, in_unused);
	}
}

uint64_t
plm_room_turn(struct plm_room_table *tbl, uint64_t now_ns)
{
	const struct plm_room_ctl *ctl = tbl->ctl;
	uint64_t due_ns = publish_ready(tbl, now_ns);

	reclaim_views(tbl);
	release(tbl);
	reclaim_rooms(tbl);
	if (!TAILQ_EMPTY(&ctl->ripe))
		return now_ns;
	if (ctl->nb_backlog > 0 || !TAILQ_EMPTY(&ctl->closing))
		return RTE_MIN(due_ns, now_ns + RETRY_NS);
	return due_ns;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Views: built from a room's members, published, taken back, freed.
 *
 *   members ── publish ──▶ published ── another one takes its place ──▶ backlog ── freed
 *
 * A view leaves the backlog when its grace period is over and nobody has it pinned. A worker pins
 * only a view that it got in the turn it is in; when the grace period is over every worker has
 * ended the turn in which it could still get this one, and reported so after it set its pin. So
 * a pin that the slow path does not see after the grace period will never come.
 */
#include <rte_malloc.h>

#include "room_priv.h"

/* Bounds of one plm_room_turn(): publications, members copied, retired views looked at. */
#define PUBLISH_MAX     64
#define PUBLISH_MEMBERS 32768
#define RECLAIM_MAX     64

static bool
same_range(const struct plm_member *a, const struct plm_member *b)
{
	return a->home == b->home && a->egress.port_idx == b->egress.port_idx;
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
		n += !same_range(&room->members[i - 1]->pub, &room->members[i]->pub);
	return (uint8_t)n;
}

/* At least one member. NULL when there is no memory: tried again in the next turn. */
static struct view_block *
view_build(const struct plm_room_table *tbl, struct room *room)
{
	const uint8_t nb_ranges = count_ranges(room);
	const size_t head = RTE_CACHE_LINE_ROUNDUP(
			sizeof(struct view_block) + (nb_ranges - 1) * sizeof(struct plm_range));
	struct view_block *block;
	struct plm_range *ranges;
	struct plm_range *range = NULL;
	struct plm_view *view;
	uint8_t nb = 0;

	block = rte_malloc_socket("plm_view", head + room->nb_members * sizeof(struct plm_sub),
			RTE_CACHE_LINE_SIZE, tbl->ctl->conf.socket);
	if (block == NULL)
		return NULL;
	memset(block, 0, head);
	view = &block->view;
	ranges = nb_ranges == 1 ? &view->only : (struct plm_range *)(block + 1);
	view->room_idx = room->idx;
	view->nb_members = room->nb_members;
	view->seq = room->seq + 1;
	view->rtcp = room->settings.rtcp;
	view->dscp = room->settings.dscp;
	view->nb_ranges = nb_ranges;
	view->ranges = ranges;
	view->subs = (struct plm_sub *)((uint8_t *)block + head);
	block->room = room;
	for (uint32_t i = 0; i < room->nb_members; i++) {
		const struct plm_member *m = &room->members[i]->pub;

		if (i == 0 || !same_range(&room->members[i - 1]->pub, m)) {
			range = &ranges[nb++];
			range->first = i;
			range->home = m->home;
			range->port_idx = m->egress.port_idx;
		}
		range->nb_members++;
		range->nb_subs += (m->flags & PLM_SUB_SUBSCRIBES) != 0;
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

/* The room's list is now `block`, or none. What stood before goes to the backlog. */
static void
exchange(struct plm_room_table *tbl, struct room *room, struct view_block *block)
{
	struct plm_room_ctl *ctl = tbl->ctl;
	struct view_block *prev;

	/* Release: whoever sees the view sees its entries. Pairs with plm_room_view(). */
	prev = (struct view_block *)atomic_exchange_explicit(&tbl->hot[room->idx].view,
			block != NULL ? &block->view : NULL, memory_order_acq_rel);
	if (prev == NULL)
		return;
	prev->token = plm_rcu_start(ctl->conf.rcu);
	TAILQ_INSERT_TAIL(&ctl->backlog, prev, in_backlog);
	ctl->nb_backlog++;
}

void
room_unpublish(struct plm_room_table *tbl, struct room *room)
{
	exchange(tbl, room, NULL);
	room->close_token = plm_rcu_start(tbl->ctl->conf.rcu);
}

/* Addresses that changed since the last view take effect in the next one. What cannot be done for
 * want of memory stays for a later one. */
static bool
take_moves(struct room *room)
{
	bool done = true;

	for (uint32_t i = 0; i < room->nb_members; i++) {
		struct member *m = room->members[i];
		struct member *old;
		uint32_t hash;

		if (!m->has_next)
			continue;
		old = rte_zmalloc("plm_member", sizeof(*old), 0);
		if (old == NULL) {
			done = false;
			continue;
		}
		old->pub = m->pub;
		old->last_seq = m->last_seq;
		STAILQ_INSERT_TAIL(&room->leavers, old, link);
		/* The port is part of the order. Whom this skips or meets twice has no `has_next`
		 * or is met in the next publication, for which the room stays marked. */
		room_remove(room, i, &hash);
		m->pub.egress = m->next_egress;
		m->has_next = false;
		room_insert(room, m, hash);
	}
	for (uint32_t i = 0; i < room->nb_members && done; i++)
		done = !room->members[i]->has_next;
	return done;
}

/* False: no memory or nothing left to do it with; the room stays marked. */
static bool
publish(struct plm_room_table *tbl, struct room *room, uint64_t now_ns)
{
	bool complete = take_moves(room);
	struct view_block *block = view_build(tbl, room);

	if (block == NULL)
		return false;
	room->seq = block->view.seq;
	room->published_ns = now_ns;
	for (uint32_t i = 0; i < room->nb_members; i++)
		room->members[i]->last_seq = room->seq;
	LIST_INSERT_HEAD(&room->views, block, in_room);
	exchange(tbl, room, block);
	return complete;
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

	LIST_FOREACH(block, &room->views, in_room)
	{
		struct plm_sub *sub = plm_view_find(&block->view, home, session_idx, &range);

		/* Relaxed: the grace period that follows orders it for everybody. */
		if (sub != NULL)
			atomic_store_explicit(&sub->left, 1, memory_order_relaxed);
	}
}

void
room_release(struct plm_room_table *tbl, struct room *room)
{
	const struct plm_room_conf *conf = &tbl->ctl->conf;
	uint64_t oldest = UINT64_MAX;
	STAILQ_HEAD(, member) stay = STAILQ_HEAD_INITIALIZER(stay);
	struct view_block *block;
	struct member *m;

	LIST_FOREACH(block, &room->views, in_room)
	oldest = RTE_MIN(oldest, block->view.seq);
	while ((m = STAILQ_FIRST(&room->leavers)) != NULL) {
		STAILQ_REMOVE_HEAD(&room->leavers, link);
		if (m->last_seq >= oldest) {
			STAILQ_INSERT_TAIL(&stay, m, link);
			continue;
		}
		conf->released(conf->released_ctx, m->pub.session_idx, &m->pub.egress, m->ended);
		rte_free(m);
	}
	STAILQ_CONCAT(&room->leavers, &stay);
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
		if (!plm_rcu_over(ctl->conf.rcu, block->token) || pinned(tbl, &block->view)) {
			TAILQ_INSERT_TAIL(&ctl->backlog, block, in_backlog);
			continue;
		}
		ctl->nb_backlog--;
		LIST_REMOVE(block, in_room);
		rte_free(block);
		room_release(tbl, room);
	}
}

/* An index is free when no worker can hold it from an ended session's packet any more. */
static void
reclaim_rooms(struct plm_room_table *tbl)
{
	struct plm_room_ctl *ctl = tbl->ctl;
	struct room *last = TAILQ_LAST(&ctl->closing, closing);
	struct room *room = NULL;

	for (unsigned int i = 0; i < RECLAIM_MAX && room != last; i++) {
		room = TAILQ_FIRST(&ctl->closing);
		TAILQ_REMOVE(&ctl->closing, room, in_closing);
		if (!LIST_EMPTY(&room->views) || !plm_rcu_over(ctl->conf.rcu, room->close_token)) {
			TAILQ_INSERT_TAIL(&ctl->closing, room, in_closing);
			continue;
		}
		room_release(tbl, room); /* who came and went before a publication */
		room->state = ROOM_FREE;
		STAILQ_INSERT_TAIL(&ctl->unused, room, in_unused);
	}
}

static uint64_t
publish_dirty(struct plm_room_table *tbl, uint64_t now_ns)
{
	struct plm_room_ctl *ctl = tbl->ctl;
	uint32_t members = 0;
	uint64_t next_ns = UINT64_MAX;
	struct room *next;
	unsigned int n = 0;

	for (struct room *room = TAILQ_FIRST(&ctl->dirty); room != NULL; room = next) {
		uint64_t due_ns = 0;

		next = TAILQ_NEXT(room, in_dirty);
		if (n == PUBLISH_MAX || members >= PUBLISH_MEMBERS ||
				ctl->nb_backlog >= ctl->conf.max_backlog)
			return now_ns;
		if (room->published_ns != 0)
			due_ns = room->published_ns + ctl->conf.publish_interval_ns;
		if (due_ns > now_ns) {
			next_ns = RTE_MIN(next_ns, due_ns);
			continue;
		}
		n++;
		if (room->nb_members == 0) {
			room_close(tbl, room); /* opened, but nobody came in */
			continue;
		}
		members += room->nb_members;
		if (publish(tbl, room, now_ns)) {
			TAILQ_REMOVE(&ctl->dirty, room, in_dirty);
			room->dirty = false;
			room_release(tbl, room);
		} else {
			next_ns = now_ns;
		}
	}
	return next_ns;
}

uint64_t
plm_room_turn(struct plm_room_table *tbl, uint64_t now_ns)
{
	uint64_t next_ns = publish_dirty(tbl, now_ns);

	reclaim_views(tbl);
	reclaim_rooms(tbl);
	if (tbl->ctl->nb_backlog > 0 || !TAILQ_EMPTY(&tbl->ctl->closing))
		return now_ns;
	return next_ns;
}

void
room_free_views(struct plm_room_table *tbl, struct room *room)
{
	struct view_block *block;

	while ((block = LIST_FIRST(&room->views)) != NULL) {
		LIST_REMOVE(block, in_room);
		rte_free(block);
	}
	room_release(tbl, room);
}

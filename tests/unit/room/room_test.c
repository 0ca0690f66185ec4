/* SPDX-License-Identifier: BSD-3-Clause */
/* Rooms and views on a virtual clock; two workers, stepped by hand. */
#include <errno.h>
#include <stdio.h>

#include <rte_malloc.h>

#include "plm_room.h"
#include "test_eal.h"

#define ROOMS       4
#define MEMBERS     6
#define BACKLOG     4
#define INTERVAL_NS PLM_NS_PER_MS

struct gone {
	uint32_t session_idx;
	uint16_t nexthop_idx;
	bool ended;
};

struct fixture {
	struct plm_rcu rcu;
	struct plm_room_table *tbl;
	uint64_t now_ns;
	struct gone gone[64];
	unsigned int nb_gone;
};

static void
released(void *ctx, uint32_t session_idx, const struct plm_egress *egress, bool ended)
{
	struct fixture *f = ctx;

	assert_true(f->nb_gone < RTE_DIM(f->gone));
	f->gone[f->nb_gone++] = (struct gone){ session_idx, egress->nexthop_idx, ended };
}

static int
setup(void **state)
{
	static struct fixture f;
	struct plm_room_conf conf = {
		.max_rooms = ROOMS,
		.max_members = MEMBERS,
		.max_backlog = BACKLOG,
		.publish_interval_ns = INTERVAL_NS,
		.nb_workers = 2,
		.rcu = &f.rcu,
		.socket = SOCKET_ID_ANY,
		.released = released,
		.released_ctx = &f,
	};

	f = (struct fixture){ .now_ns = PLM_NS_PER_S };
	assert_int_equal(plm_rcu_init(&f.rcu, 2, SOCKET_ID_ANY), 0);
	assert_int_equal(plm_room_table_create(&f.tbl, &conf), 0);
	plm_rcu_online(&f.rcu, 0);
	plm_rcu_online(&f.rcu, 1);
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	plm_rcu_offline(&f->rcu, 0);
	plm_rcu_offline(&f->rcu, 1);
	plm_room_table_free(f->tbl);
	plm_rcu_fini(&f->rcu);
	return 0;
}

static const struct plm_room_settings settings = { .max_members = MEMBERS, .dscp = 46 };

static uint32_t
open_room(struct fixture *f, const char *name)
{
	uint32_t idx = UINT32_MAX;

	assert_int_equal(plm_room_open(f->tbl, 'r', name, &settings, 0, &idx), 0);
	return idx;
}

static int
join(struct fixture *f, uint32_t room, uint32_t session_idx, uint8_t flags)
{
	struct plm_member m = { .session_idx = session_idx, .flags = flags };

	snprintf(m.name, sizeof(m.name), "p%u", session_idx);
	m.egress.nexthop_idx = (uint16_t)(100 + session_idx);
	return plm_room_join(f->tbl, room, &m, f->now_ns);
}

#define PUB  PLM_SUB_PUBLISHES
#define SUB  PLM_SUB_SUBSCRIBES
#define BOTH (PUB | SUB)

/* A turn of the slow path, an interval after the last one. */
static void
turn(struct fixture *f)
{
	f->now_ns += INTERVAL_NS;
	plm_room_turn(f->tbl, f->now_ns);
}

static void
quiescent(struct fixture *f)
{
	plm_rcu_quiescent(&f->rcu, 0);
	plm_rcu_quiescent(&f->rcu, 1);
}

static void
room_open__finds_the_same_room_again(void **state)
{
	struct fixture *f = *state;
	uint32_t a = open_room(f, "alpha");
	uint32_t idx = 99;

	assert_int_equal(open_room(f, "alpha"), a);
	assert_int_not_equal(open_room(f, "beta"), a);
	assert_int_equal(plm_room_find(f->tbl, 'r', "alpha", &idx), 0);
	assert_int_equal(idx, a);
	assert_int_equal(plm_room_find(f->tbl, 'w', "alpha", &idx), -ENOENT);
	assert_int_equal(plm_room_find(f->tbl, 'r', "gamma", &idx), -ENOENT);
	assert_int_equal(plm_room_open(f->tbl, 'r', "no/slash", &settings, 0, &idx), -EINVAL);
	assert_int_equal(plm_room_nb_open(f->tbl), 2);
}

static void
room_open__stops_at_capacity_and_closes_what_nobody_entered(void **state)
{
	struct fixture *f = *state;
	uint32_t idx;
	char name[8];

	for (unsigned int i = 0; i < ROOMS; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		open_room(f, name);
	}
	assert_int_equal(plm_room_open(f->tbl, 'r', "more", &settings, 0, &idx), -ENOSPC);
	turn(f);
	assert_int_equal(plm_room_nb_open(f->tbl), 0);
	quiescent(f);
	turn(f);
	open_room(f, "more");
}

static void
room_join__stops_at_capacity(void **state)
{
	static const struct {
		const char *name;
		uint32_t nb_joined;
		int want;
	} cases[] = {
		{ "empty room", 0, 0 },
		{ "last free place", MEMBERS - 1, 0 },
		{ "full room", MEMBERS, -ENOSPC },
	};
	struct fixture *f = *state;

	for (unsigned int c = 0; c < RTE_DIM(cases); c++) {
		uint32_t room = open_room(f, c == 0 ? "a" : c == 1 ? "b" : "c");

		for (uint32_t i = 0; i < cases[c].nb_joined; i++)
			assert_int_equal(join(f, room, i, BOTH), 0);
		assert_int_equal(join(f, room, 50, BOTH), cases[c].want);
	}
}

static void
room_join__refuses_a_name_that_is_there(void **state)
{
	struct fixture *f = *state;
	uint32_t room = open_room(f, "a");
	struct plm_member twin = { .session_idx = 9, .flags = SUB, .name = "p1" };

	assert_int_equal(join(f, room, 1, BOTH), 0);
	assert_int_equal(plm_room_join(f->tbl, room, &twin, f->now_ns), -EEXIST);
	assert_int_equal(plm_room_member_by_name(f->tbl, room, "p1")->session_idx, 1);
	assert_null(plm_room_member_by_name(f->tbl, room, "p2"));
}

static void
room_view__lists_subscribers_first_and_by_session_index(void **state)
{
	static const struct {
		uint32_t session_idx;
		uint8_t flags;
	} joins[] = { { 7, PUB }, { 3, BOTH }, { 9, SUB }, { 1, PUB }, { 5, SUB } };
	static const uint32_t want[] = { 3, 5, 9, 1, 7 };
	struct fixture *f = *state;
	uint32_t room = open_room(f, "a");
	const struct plm_range *range;
	struct plm_view *view;

	for (unsigned int i = 0; i < RTE_DIM(joins); i++)
		assert_int_equal(join(f, room, joins[i].session_idx, joins[i].flags), 0);
	assert_null(plm_room_view(f->tbl, room));
	turn(f);
	view = plm_room_view(f->tbl, room);
	assert_non_null(view);
	assert_int_equal(view->nb_members, RTE_DIM(want));
	assert_int_equal(view->dscp, 46);
	assert_int_equal(view->nb_ranges, 1);
	assert_int_equal(view->first_range[0], 0);
	for (unsigned int w = 1; w <= PLM_WORKERS_MAX; w++)
		assert_int_equal(view->first_range[w], 1);
	assert_int_equal(view->ranges[0].nb_subs, 3);
	assert_int_equal(view->ranges[0].nb_members, 5);
	assert_false(plm_view_is_spread(view, 0));
	assert_true(plm_view_is_spread(view, 1));
	for (unsigned int i = 0; i < RTE_DIM(want); i++) {
		assert_int_equal(view->subs[i].session_idx, want[i]);
		assert_int_equal(view->subs[i].nexthop_idx, 100 + want[i]);
		assert_ptr_equal(plm_view_find(view, 0, want[i], &range), &view->subs[i]);
		assert_null(plm_view_find(view, 1, want[i], &range));
	}
	assert_null(plm_view_find(view, 0, 4, &range));
}

static void
room_view__is_sliced_by_worker_and_port(void **state)
{
	struct fixture *f = *state;
	uint32_t room = open_room(f, "a");
	const struct plm_range *range;
	struct plm_view *view;

	for (uint32_t i = 0; i < MEMBERS; i++) {
		struct plm_member m = { .session_idx = i, .home = i % 2, .flags = SUB };

		snprintf(m.name, sizeof(m.name), "p%u", i);
		m.egress.port_idx = (uint8_t)(i / 4);
		assert_int_equal(plm_room_join(f->tbl, room, &m, f->now_ns), 0);
	}
	turn(f);
	view = plm_room_view(f->tbl, room);
	assert_int_equal(view->nb_ranges, 4);
	assert_int_equal(view->first_range[1], 2);
	assert_int_equal(view->first_range[2], 4);
	for (unsigned int r = 0; r < 4; r++) {
		assert_int_equal(view->ranges[r].home, r / 2);
		assert_int_equal(view->ranges[r].port_idx, r % 2);
		assert_int_equal(view->ranges[r].nb_subs, r % 2 == 0 ? 2 : 1);
		assert_int_equal(view->ranges[r].nb_publishers, 0);
	}
	for (uint32_t i = 0; i < MEMBERS; i++) {
		struct plm_sub *sub = plm_view_find(view, i % 2, i, &range);

		assert_non_null(sub);
		assert_int_equal(sub->session_idx, i);
		assert_int_equal(range->port_idx, i / 4);
	}
}

/* Who moves stays a member; who comes again is another one. */
static void
room_view__counts_the_views_before_it_that_named_a_member(void **state)
{
	static const uint32_t ages[] = { 0, 2, 1 };
	struct fixture *f = *state;
	uint32_t room = open_room(f, "a");
	const struct plm_view *view;

	join(f, room, 0, BOTH);
	join(f, room, 1, BOTH);
	turn(f);
	view = plm_room_view(f->tbl, room);
	assert_int_equal(view->ages[0], 0);
	assert_int_equal(view->ages[1], 0);
	join(f, room, 2, BOTH);
	turn(f);
	plm_room_leave(f->tbl, room, 0, f->now_ns);
	plm_room_move(f->tbl, room, 1, &(struct plm_egress){ .nexthop_idx = 400 }, f->now_ns);
	join(f, room, 0, BOTH);
	turn(f);
	view = plm_room_view(f->tbl, room);
	assert_int_equal(view->seq, 3);
	for (unsigned int i = 0; i < RTE_DIM(ages); i++) {
		assert_int_equal(view->subs[i].session_idx, i);
		assert_int_equal(view->ages[i], ages[i]);
	}
}

/* Ranges fill whole lines, and the first member stands behind them. */
static void
room_view__has_room_for_every_range(void **state)
{
	struct fixture *f = *state;
	uint32_t room = open_room(f, "a");
	const struct plm_view *view;

	for (uint32_t i = 0; i < MEMBERS; i++) {
		struct plm_member m = { .session_idx = i, .flags = SUB };

		snprintf(m.name, sizeof(m.name), "p%u", i);
		m.egress.port_idx = (uint8_t)i;
		memset(m.egress.hdr, 0xa0 + (int)i, sizeof(m.egress.hdr));
		assert_int_equal(plm_room_join(f->tbl, room, &m, f->now_ns), 0);
		turn(f);
		quiescent(f);
	}
	view = plm_room_view(f->tbl, room);
	assert_int_equal(view->nb_ranges, MEMBERS);
	for (uint32_t i = 0; i < MEMBERS; i++) {
		assert_int_equal(view->ranges[i].first, i);
		assert_int_equal(view->ranges[i].nb_members, 1);
		assert_int_equal(view->ranges[i].port_idx, i);
		assert_int_equal(view->subs[i].session_idx, i);
		assert_int_equal(view->subs[i].hdr[0], 0xa0 + i);
	}
}

static void
room_publish__coalesces_the_changes_of_an_interval(void **state)
{
	struct fixture *f = *state;
	uint32_t room = open_room(f, "a");

	assert_int_equal(join(f, room, 0, BOTH), 0);
	plm_room_turn(f->tbl, f->now_ns);
	assert_int_equal(plm_room_view(f->tbl, room)->seq, 1);
	for (uint32_t i = 1; i < 5; i++) {
		uint64_t next_ns;

		f->now_ns += INTERVAL_NS / 8;
		assert_int_equal(join(f, room, i, BOTH), 0);
		next_ns = plm_room_turn(f->tbl, f->now_ns);
		assert_int_equal(plm_room_view(f->tbl, room)->seq, 1);
		assert_int_equal(next_ns, PLM_NS_PER_S + INTERVAL_NS);
	}
	f->now_ns = PLM_NS_PER_S + INTERVAL_NS;
	plm_room_turn(f->tbl, f->now_ns);
	assert_int_equal(plm_room_view(f->tbl, room)->seq, 2);
	assert_int_equal(plm_room_view(f->tbl, room)->nb_members, 5);
}

static void
room_leave__buries_in_every_standing_view_at_once(void **state)
{
	struct fixture *f = *state;
	uint32_t room = open_room(f, "a");
	struct plm_view *old[2];
	const struct plm_range *range;

	join(f, room, 0, BOTH);
	join(f, room, 1, BOTH);
	turn(f);
	old[0] = plm_room_view(f->tbl, room);
	join(f, room, 2, BOTH);
	turn(f);
	old[1] = plm_room_view(f->tbl, room);
	assert_ptr_not_equal(old[0], old[1]);

	plm_room_leave(f->tbl, room, 1, f->now_ns);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(plm_view_find(old[i], 0, 1, &range)->left, 1);
		assert_int_equal(plm_view_find(old[i], 0, 0, &range)->left, 0);
	}
	turn(f);
	assert_null(plm_view_find(plm_room_view(f->tbl, room), 0, 1, &range));
}

static void
room_leave__hands_back_when_no_view_names_the_member(void **state)
{
	struct fixture *f = *state;
	uint32_t room = open_room(f, "a");

	join(f, room, 0, BOTH);
	join(f, room, 1, BOTH);
	turn(f);
	plm_room_leave(f->tbl, room, 1, f->now_ns);
	quiescent(f);
	assert_int_equal(f->nb_gone, 0); /* the published view still names it */
	turn(f);
	assert_int_equal(f->nb_gone, 0);
	plm_rcu_quiescent(&f->rcu, 0);
	turn(f);
	assert_int_equal(f->nb_gone, 0); /* worker 1 may still read the old one */
	plm_rcu_quiescent(&f->rcu, 1);
	turn(f);
	assert_int_equal(f->nb_gone, 1);
	assert_int_equal(f->gone[0].session_idx, 1);
	assert_int_equal(f->gone[0].nexthop_idx, 101);
	assert_true(f->gone[0].ended);
}

static void
room_leave__waits_for_a_pinned_view(void **state)
{
	struct fixture *f = *state;
	uint32_t room = open_room(f, "a");
	struct plm_view *view;

	join(f, room, 0, BOTH);
	join(f, room, 1, BOTH);
	turn(f);
	view = plm_room_view(f->tbl, room);
	plm_view_pin(view, 1);
	plm_view_pin(view, 1);
	plm_room_leave(f->tbl, room, 0, f->now_ns);
	for (unsigned int i = 0; i < 5; i++) {
		turn(f);
		quiescent(f);
	}
	assert_int_equal(f->nb_gone, 0);
	assert_int_equal(plm_room_backlog(f->tbl), 1);
	assert_int_equal(view->subs[0].session_idx, 0); /* still there to be read */
	plm_view_unpin(view, 1);
	turn(f);
	assert_int_equal(f->nb_gone, 0);
	plm_view_unpin(view, 1);
	turn(f);
	assert_int_equal(f->nb_gone, 1);
	assert_int_equal(plm_room_backlog(f->tbl), 0);
}

static void
room_leave__of_somebody_never_published_is_handed_back_too(void **state)
{
	struct fixture *f = *state;
	uint32_t room = open_room(f, "a");

	join(f, room, 0, BOTH);
	turn(f);
	join(f, room, 1, BOTH);
	plm_room_leave(f->tbl, room, 1, f->now_ns);
	turn(f);
	assert_int_equal(f->nb_gone, 1);
	assert_int_equal(f->gone[0].session_idx, 1);
}

static void
room_leave__of_the_last_closes_the_room(void **state)
{
	struct fixture *f = *state;
	uint32_t room = open_room(f, "a");
	struct plm_room_info info;
	struct plm_view *view;
	const struct plm_range *range;
	uint32_t idx;

	join(f, room, 0, BOTH);
	turn(f);
	view = plm_room_view(f->tbl, room);
	plm_room_leave(f->tbl, room, 0, f->now_ns);
	assert_int_equal(plm_view_find(view, 0, 0, &range)->left, 1);
	turn(f);
	assert_null(plm_room_view(f->tbl, room));
	assert_int_equal(plm_room_find(f->tbl, 'r', "a", &idx), -ENOENT);
	assert_int_equal(plm_room_info(f->tbl, room, &info), -ENOENT);
	assert_int_equal(plm_room_join(f->tbl, room, &(struct plm_member){ .name = "late" },
					 f->now_ns),
			-ENOENT);
	/* The name may come back before the old index does. */
	assert_int_not_equal(open_room(f, "a"), room);
	quiescent(f);
	turn(f);
	turn(f);
	assert_int_equal(f->nb_gone, 1);
	assert_int_equal(plm_room_backlog(f->tbl), 0);
}

/* As when a participant's new session replaces its old one, alone in the room. */
static void
room_leave__of_the_last_keeps_the_room_for_who_joins_before_the_turn(void **state)
{
	struct fixture *f = *state;
	uint32_t room = open_room(f, "a");

	join(f, room, 0, BOTH);
	turn(f);
	plm_room_leave(f->tbl, room, 0, f->now_ns);
	assert_int_equal(open_room(f, "a"), room);
	assert_int_equal(join(f, room, 1, BOTH), 0);
	turn(f);
	assert_int_equal(plm_room_view(f->tbl, room)->nb_members, 1);
	assert_int_equal(plm_room_view(f->tbl, room)->subs[0].session_idx, 1);
	quiescent(f);
	turn(f);
	assert_int_equal(f->nb_gone, 1);
	assert_int_equal(f->gone[0].session_idx, 0);
}

static void
room_close__keeps_the_index_while_a_worker_may_hold_it(void **state)
{
	struct fixture *f = *state;
	char name[8];
	uint32_t idx;

	for (unsigned int i = 0; i < ROOMS; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		idx = open_room(f, name);
		assert_int_equal(join(f, idx, i, BOTH), 0);
	}
	turn(f);
	plm_room_leave(f->tbl, idx, ROOMS - 1, f->now_ns);
	turn(f);
	turn(f);
	assert_int_equal(plm_room_nb_open(f->tbl), ROOMS - 1);
	assert_int_equal(plm_room_open(f->tbl, 'r', "new", &settings, 0, &idx), -ENOSPC);
	quiescent(f);
	turn(f);
	assert_int_equal(f->nb_gone, 1);
	assert_int_equal(plm_room_open(f->tbl, 'r', "new", &settings, 0, &idx), 0);
	assert_null(plm_room_view(f->tbl, idx));
}

static void
room_move__takes_effect_in_the_next_view_and_gives_the_old_way_back(void **state)
{
	struct fixture *f = *state;
	uint32_t room = open_room(f, "a");
	struct plm_egress to = { .nexthop_idx = 500, .port_idx = 1 };
	const struct plm_range *range;
	struct plm_view *view;

	join(f, room, 0, BOTH);
	join(f, room, 1, BOTH);
	turn(f);
	view = plm_room_view(f->tbl, room);
	plm_room_move(f->tbl, room, 0, &(struct plm_egress){ .nexthop_idx = 400 }, f->now_ns);
	assert_int_equal(f->nb_gone, 0);
	plm_room_move(f->tbl, room, 0, &to, f->now_ns);
	assert_int_equal(f->nb_gone, 1); /* the first new way was never taken */
	assert_int_equal(f->gone[0].nexthop_idx, 400);
	assert_false(f->gone[0].ended);
	assert_int_equal(plm_view_find(view, 0, 0, &range)->nexthop_idx, 100);
	turn(f);
	view = plm_room_view(f->tbl, room);
	assert_int_equal(plm_view_find(view, 0, 0, &range)->nexthop_idx, 500);
	assert_int_equal(range->port_idx, 1);
	assert_int_equal(view->nb_ranges, 2);
	assert_int_equal(f->nb_gone, 1);
	quiescent(f);
	turn(f);
	assert_int_equal(f->nb_gone, 2);
	assert_int_equal(f->gone[1].nexthop_idx, 100);
	assert_int_equal(f->gone[1].session_idx, 0);
	assert_false(f->gone[1].ended);
}

static void
room_move__of_all_members_across_ports_completes(void **state)
{
	struct fixture *f = *state;
	uint32_t room = open_room(f, "a");
	struct plm_view *view;

	for (uint32_t i = 0; i < MEMBERS; i++)
		assert_int_equal(join(f, room, i, BOTH), 0);
	turn(f);
	for (uint32_t i = 0; i < MEMBERS; i++)
		plm_room_move(f->tbl, room, i,
				&(struct plm_egress){ .nexthop_idx = 7, .port_idx = 1 }, f->now_ns);
	for (unsigned int i = 0; i < 4; i++) {
		turn(f);
		quiescent(f);
	}
	view = plm_room_view(f->tbl, room);
	assert_int_equal(view->nb_ranges, 1);
	assert_int_equal(view->ranges[0].port_idx, 1);
	assert_int_equal(view->ranges[0].nb_members, MEMBERS);
	for (uint32_t i = 0; i < MEMBERS; i++)
		assert_int_equal(view->subs[i].session_idx, i);
	assert_int_equal(f->nb_gone, MEMBERS);
}

static void
room_backlog__at_its_limit_refuses_joins_but_not_leaves(void **state)
{
	struct fixture *f = *state;
	uint32_t room = open_room(f, "a");
	const struct plm_range *range;
	struct plm_view *view;

	join(f, room, 0, BOTH);
	join(f, room, 1, BOTH);
	turn(f);
	for (unsigned int i = 0; i < BACKLOG; i++) {
		assert_int_equal(plm_room_set(f->tbl, room, &settings, f->now_ns), 0);
		turn(f);
	}
	assert_int_equal(plm_room_backlog(f->tbl), BACKLOG);
	assert_int_equal(join(f, room, 2, BOTH), -EAGAIN);

	view = plm_room_view(f->tbl, room);
	plm_room_leave(f->tbl, room, 1, f->now_ns);
	assert_int_equal(plm_view_find(view, 0, 1, &range)->left, 1);
	turn(f);
	assert_ptr_equal(plm_room_view(f->tbl, room), view); /* publication waits */
	assert_int_equal(plm_room_backlog(f->tbl), BACKLOG);
	quiescent(f);
	turn(f);
	turn(f);
	assert_null(plm_view_find(plm_room_view(f->tbl, room), 0, 1, &range));
	quiescent(f);
	turn(f);
	assert_int_equal(plm_room_backlog(f->tbl), 0);
	assert_int_equal(f->nb_gone, 1);
	assert_int_equal(join(f, room, 2, BOTH), 0);
}

/* Rooms that close stay within the bound as well, and lose nobody. */
static void
room_backlog__holds_closing_rooms_too(void **state)
{
	struct fixture *f = *state;
	uint32_t rooms[ROOMS];
	char name[8];

	for (unsigned int i = 0; i < ROOMS; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		rooms[i] = open_room(f, name);
		assert_int_equal(join(f, rooms[i], i, BOTH), 0);
	}
	turn(f);
	plm_room_set(f->tbl, rooms[0], &settings, f->now_ns);
	turn(f);
	for (unsigned int i = 0; i < ROOMS; i++)
		plm_room_leave(f->tbl, rooms[i], i, f->now_ns);
	turn(f);
	assert_int_equal(plm_room_backlog(f->tbl), BACKLOG);
	assert_int_equal(plm_room_nb_open(f->tbl), 1);
	assert_true(plm_room_stats(f->tbl).deferred_backlog > 0);
	for (unsigned int i = 0; i < 3; i++) {
		quiescent(f);
		turn(f);
	}
	assert_int_equal(plm_room_nb_open(f->tbl), 0);
	assert_int_equal(plm_room_backlog(f->tbl), 0);
	assert_int_equal(f->nb_gone, ROOMS);
}

/* Everything that rte_malloc() would still give is taken, and given back. */
static void
room_publish__waits_for_memory(void **state)
{
	struct fixture *f = *state;
	uint32_t room = open_room(f, "a");
	void *hogs[4096];
	unsigned int n = 0;
	const struct plm_range *range;
	struct plm_view *view;

	join(f, room, 0, BOTH);
	join(f, room, 1, BOTH);
	turn(f);
	view = plm_room_view(f->tbl, room);
	for (size_t size = 64 << 20; size >= 64; size /= 2)
		while (n < RTE_DIM(hogs) && (hogs[n] = rte_malloc(NULL, size, 0)) != NULL)
			n++;
	assert_true(n < RTE_DIM(hogs));
	plm_room_leave(f->tbl, room, 1, f->now_ns);
	plm_room_move(f->tbl, room, 0, &(struct plm_egress){ .nexthop_idx = 7 }, f->now_ns);
	turn(f);
	turn(f);
	assert_ptr_equal(plm_room_view(f->tbl, room), view);
	assert_int_equal(plm_view_find(view, 0, 1, &range)->left, 1);
	assert_int_equal(plm_room_stats(f->tbl).deferred_memory, 2);
	while (n > 0)
		rte_free(hogs[--n]);
	turn(f);
	assert_int_equal(plm_room_view(f->tbl, room)->nb_members, 1);
	assert_int_equal(plm_room_view(f->tbl, room)->subs[0].nexthop_idx, 7);
	quiescent(f);
	turn(f);
	assert_int_equal(f->nb_gone, 2);
}

static void
room_leave__after_a_move_gives_both_ways_back(void **state)
{
	struct fixture *f = *state;
	uint32_t room = open_room(f, "a");

	join(f, room, 0, BOTH);
	join(f, room, 1, BOTH);
	turn(f);
	plm_room_move(f->tbl, room, 1, &(struct plm_egress){ .nexthop_idx = 7 }, f->now_ns);
	turn(f);
	plm_room_leave(f->tbl, room, 1, f->now_ns);
	turn(f);
	assert_int_equal(f->nb_gone, 0);
	quiescent(f);
	turn(f);
	/* The session goes last, when its older way has gone. */
	assert_int_equal(f->nb_gone, 2);
	assert_int_equal(f->gone[0].nexthop_idx, 101);
	assert_false(f->gone[0].ended);
	assert_int_equal(f->gone[1].nexthop_idx, 7);
	assert_true(f->gone[1].ended);
}

static void
count_released(void *ctx, uint32_t session_idx, const struct plm_egress *egress, bool ended)
{
	*(unsigned int *)ctx += ended;
}

/* Some thousand come, and go again, within some milliseconds. */
static void
room_storm__costs_a_view_an_interval_and_bounded_turns(void **state)
{
	enum { N = 3000 };
	static const struct plm_room_settings big = { .max_members = N };
	struct fixture *f = *state;
	unsigned int nb_released = 0;
	const struct plm_room_conf conf = {
		.max_rooms = 1,
		.max_members = N,
		.max_backlog = 64,
		.publish_interval_ns = INTERVAL_NS,
		.nb_workers = 2,
		.rcu = &f->rcu,
		.socket = SOCKET_ID_ANY,
		.released = count_released,
		.released_ctx = &nb_released,
	};
	struct plm_room_table *tbl;
	struct plm_member m = { .flags = BOTH };
	uint64_t now_ns = PLM_NS_PER_S;
	uint32_t room;
	unsigned int before;

	assert_int_equal(plm_room_table_create(&tbl, &conf), 0);
	assert_int_equal(plm_room_open(tbl, 'r', "big", &big, 0, &room), 0);
	for (uint32_t i = 0; i < N; i++) {
		m.session_idx = i * 7919 % N;
		snprintf(m.name, sizeof(m.name), "p%u", m.session_idx);
		assert_int_equal(plm_room_join(tbl, room, &m, now_ns), 0);
		now_ns += INTERVAL_NS / 100;
		plm_room_turn(tbl, now_ns);
		quiescent(f);
	}
	now_ns += INTERVAL_NS;
	plm_room_turn(tbl, now_ns);
	assert_in_range(plm_room_stats(tbl).published, N / 100, N / 100 + 2);
	assert_int_equal(plm_room_view(tbl, room)->nb_members, N);
	for (uint32_t i = 0; i < N; i++) {
		const struct plm_range *range;

		snprintf(m.name, sizeof(m.name), "p%u", i);
		assert_int_equal(plm_room_member_by_name(tbl, room, m.name)->session_idx, i);
		assert_non_null(plm_view_find(plm_room_view(tbl, room), 0, i, &range));
	}
	quiescent(f);
	for (uint32_t i = 0; i < N; i++)
		plm_room_leave(tbl, room, i, now_ns);
	for (unsigned int i = 0; i < N && nb_released < N; i++) {
		before = nb_released;
		now_ns += INTERVAL_NS;
		plm_room_turn(tbl, now_ns);
		quiescent(f);
		assert_in_range(nb_released - before, 0, N / 10);
	}
	assert_int_equal(nb_released, N);
	assert_int_equal(plm_room_turn(tbl, now_ns), UINT64_MAX);
	plm_room_table_free(tbl);
}

static void
room_turn__publishes_a_bounded_number_of_rooms(void **state)
{
	enum { N = 200 };
	struct fixture *f = *state;
	unsigned int nb_released = 0;
	const struct plm_room_conf conf = {
		.max_rooms = N,
		.max_members = 2,
		.max_backlog = N,
		.publish_interval_ns = INTERVAL_NS,
		.nb_workers = 2,
		.rcu = &f->rcu,
		.socket = SOCKET_ID_ANY,
		.released = count_released,
		.released_ctx = &nb_released,
	};
	struct plm_room_table *tbl;
	uint32_t room[N];
	uint64_t before = 0;
	unsigned int turns = 0;
	char name[8];

	assert_int_equal(plm_room_table_create(&tbl, &conf), 0);
	for (uint32_t i = 0; i < N; i++) {
		const struct plm_member m = { .session_idx = i, .flags = BOTH, .name = "p" };

		snprintf(name, sizeof(name), "r%u", i);
		assert_int_equal(plm_room_open(tbl, 'r', name, &settings, 0, &room[i]), 0);
		assert_int_equal(plm_room_join(tbl, room[i], &m, f->now_ns), 0);
	}
	while (plm_room_turn(tbl, f->now_ns) == f->now_ns) {
		assert_in_range(plm_room_stats(tbl).published - before, 1, N / 4);
		before = plm_room_stats(tbl).published;
		assert_true(++turns < N);
	}
	assert_int_equal(plm_room_stats(tbl).published, N);
	for (uint32_t i = 0; i < N; i++)
		assert_non_null(plm_room_view(tbl, room[i]));
	plm_room_table_free(tbl);
}

/* A table whose views may name 512 members while they wait, 128 of them in rooms of 8 at most. */
static struct plm_room_table *
bounded_table(struct fixture *f)
{
	struct plm_room_conf conf = {
		.max_rooms = 64,
		.max_members = 1024,
		.max_backlog = 64,
		.max_backlog_members = 512,
		.publish_interval_ns = INTERVAL_NS,
		.nb_workers = 2,
		.rcu = &f->rcu,
		.socket = SOCKET_ID_ANY,
		.released = released,
		.released_ctx = f,
	};
	struct plm_room_table *before = f->tbl;

	assert_int_equal(plm_room_table_create(&f->tbl, &conf), 0);
	return before;
}

static uint32_t
open_wide(struct fixture *f, const char *name)
{
	const struct plm_room_settings wide = { .max_members = 1024 };
	uint32_t room;

	assert_int_equal(plm_room_open(f->tbl, 'r', name, &wide, 0, &room), 0);
	return room;
}

static void
join_many(struct fixture *f, uint32_t room, uint32_t first, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(join(f, room, first + i, BOTH), 0);
}

/* Large views that wait are bounded by what they name. For the time that busy workers take newcomers
 * wait for the view and not at the door; when it is longer, nobody comes in who is not published. */
static void
room_backlog__of_members_delays_the_view_then_refuses_joins(void **state)
{
	struct fixture *f = *state;
	struct plm_room_table *before = bounded_table(f);
	uint32_t room = open_wide(f, "a");
	struct plm_view *view;
	const struct plm_range *range;

	/* Nobody is quiescent: 100 members wait, and 384 may wait with the next view's. */
	join_many(f, room, 0, 100);
	turn(f);
	join_many(f, room, 100, 100);
	turn(f);
	join_many(f, room, 200, 100);
	turn(f);
	view = plm_room_view(f->tbl, room);
	assert_int_equal(view->nb_members, 200);
	assert_true(plm_room_stats(f->tbl).deferred_backlog > 0);
	assert_true(plm_room_publishes(f->tbl, room, f->now_ns));
	f->now_ns += 100 * PLM_NS_PER_MS;
	turn(f);
	assert_false(plm_room_publishes(f->tbl, room, f->now_ns));
	assert_true(plm_room_publishes(f->tbl, UINT32_MAX, f->now_ns));

	/* To go is possible at any time. */
	plm_room_leave(f->tbl, room, 7, f->now_ns);
	assert_int_equal(plm_view_find(view, 0, 7, &range)->left, 1);
	quiescent(f);
	turn(f);
	turn(f);
	assert_int_equal(plm_room_view(f->tbl, room)->nb_members, 299);
	assert_true(plm_room_publishes(f->tbl, room, f->now_ns));
	/* One that is larger than the bound by itself is published when no large one waits. */
	join_many(f, room, 300, 500);
	quiescent(f);
	turn(f);
	quiescent(f);
	turn(f);
	turn(f);
	assert_int_equal(plm_room_view(f->tbl, room)->nb_members, 799);
	plm_room_table_free(f->tbl);
	f->tbl = before;
}

/* What a room of hundreds has used up is not what rooms of eight live by. */
static void
room_backlog__of_a_large_room_delays_no_small_one(void **state)
{
	struct fixture *f = *state;
	struct plm_room_table *before = bounded_table(f);
	uint32_t large = open_wide(f, "large");
	uint32_t small;
	uint32_t next = 2000;
	char name[8];

	join_many(f, large, 0, 600);
	turn(f);
	join_many(f, large, 600, 100);
	turn(f);
	join_many(f, large, 700, 1);
	turn(f); /* 600 members wait in the backlog, and the large room for them */
	assert_int_equal(plm_room_view(f->tbl, large)->nb_members, 700);
	small = open_wide(f, "small");
	for (uint32_t n = 1; n <= 8; n++) {
		assert_true(plm_room_publishes(f->tbl, small, f->now_ns));
		assert_int_equal(join(f, small, 1000 + n, BOTH), 0);
		turn(f);
		assert_int_equal(plm_room_view(f->tbl, small)->nb_members, n);
	}
	/* Views of 1 to 7 wait: their part has place for 100 more, twelve rooms that begin with 4. */
	for (uint32_t n = 0; n < 12; n++) {
		snprintf(name, sizeof(name), "s%u", n);
		small = open_wide(f, name);
		join_many(f, small, next, 4);
		turn(f);
		assert_int_equal(plm_room_view(f->tbl, small)->nb_members, 4);
		join_many(f, small, next + 4, 4);
		turn(f);
		assert_int_equal(plm_room_view(f->tbl, small)->nb_members, 8);
		next += 8;
	}
	/* That part has its bound, too. */
	for (uint32_t n = 0; n < 12; n++) {
		plm_room_find(f->tbl, 'r', "s0", &small);
		plm_room_set(f->tbl, small, &settings, f->now_ns);
		turn(f);
	}
	f->now_ns += 100 * PLM_NS_PER_MS;
	turn(f);
	assert_false(plm_room_publishes(f->tbl, small, f->now_ns));
	assert_false(plm_room_publishes(f->tbl, large, f->now_ns));
	quiescent(f);
	turn(f);
	turn(f);
	assert_true(plm_room_publishes(f->tbl, small, f->now_ns));
	assert_int_equal(plm_room_view(f->tbl, large)->nb_members, 701);
	plm_room_table_free(f->tbl);
	f->tbl = before;
}

/* In every turn one of two large rooms waits for the other's view to go, and each is soon published:
 * that refuses nobody, however long it goes on. */
static void
room_backlog__of_rooms_that_take_turns_refuses_nobody(void **state)
{
	struct plm_room_settings wide = { .max_members = 1024 };
	struct fixture *f = *state;
	struct plm_room_table *before = bounded_table(f);
	uint32_t rooms[2];
	uint64_t published;
	unsigned int waited = 0;

	for (unsigned int i = 0; i < 2; i++) {
		rooms[i] = open_wide(f, i == 0 ? "a" : "b");
		join_many(f, rooms[i], 300 * i, 200);
	}
	turn(f);
	published = plm_room_stats(f->tbl).published;
	for (uint64_t end_ns = f->now_ns + PLM_NS_PER_S; f->now_ns < end_ns;) {
		const uint64_t deferred = plm_room_stats(f->tbl).deferred_backlog;

		for (unsigned int i = 0; i < 2; i++) {
			wide.dscp ^= 1;
			plm_room_set(f->tbl, rooms[i], &wide, f->now_ns);
		}
		turn(f);
		waited += plm_room_stats(f->tbl).deferred_backlog > deferred;
		for (unsigned int i = 0; i < 2; i++)
			assert_true(plm_room_publishes(f->tbl, rooms[i], f->now_ns));
		quiescent(f);
	}
	/* All the time somebody waited, and somebody was published every other turn. */
	assert_true(waited >= PLM_NS_PER_S / INTERVAL_NS - 2);
	assert_true(plm_room_stats(f->tbl).published - published >=
			PLM_NS_PER_S / INTERVAL_NS / 2 - 2);
	/* A worker stands still. */
	for (uint64_t end_ns = f->now_ns + 100 * PLM_NS_PER_MS + 3 * INTERVAL_NS;
			f->now_ns < end_ns;) {
		for (unsigned int i = 0; i < 2; i++)
			plm_room_set(f->tbl, rooms[i], &wide, f->now_ns);
		plm_rcu_quiescent(&f->rcu, 0);
		turn(f);
	}
	for (unsigned int i = 0; i < 2; i++)
		assert_false(plm_room_publishes(f->tbl, rooms[i], f->now_ns));
	plm_room_table_free(f->tbl);
	f->tbl = before;
}

static void
room_info__counts_roles(void **state)
{
	struct fixture *f = *state;
	uint32_t room = open_room(f, "a");
	struct plm_room_info info;

	join(f, room, 0, PUB);
	join(f, room, 1, SUB);
	join(f, room, 2, BOTH);
	plm_room_leave(f->tbl, room, 1, f->now_ns);
	assert_int_equal(plm_room_info(f->tbl, room, &info), 0);
	assert_int_equal(info.nb_members, 2);
	assert_int_equal(info.nb_publishers, 2);
	assert_int_equal(info.nb_subscribers, 1);
	assert_int_equal(info.nb_homed[0], 2);
	assert_int_equal(info.nb_homed[1], 0);
	assert_string_equal(info.name, "a");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(room_open__finds_the_same_room_again),
		T(room_open__stops_at_capacity_and_closes_what_nobody_entered),
		T(room_join__stops_at_capacity),
		T(room_join__refuses_a_name_that_is_there),
		T(room_view__lists_subscribers_first_and_by_session_index),
		T(room_view__is_sliced_by_worker_and_port),
		T(room_view__counts_the_views_before_it_that_named_a_member),
		T(room_view__has_room_for_every_range),
		T(room_publish__coalesces_the_changes_of_an_interval),
		T(room_leave__buries_in_every_standing_view_at_once),
		T(room_leave__hands_back_when_no_view_names_the_member),
		T(room_leave__waits_for_a_pinned_view),
		T(room_leave__of_somebody_never_published_is_handed_back_too),
		T(room_leave__of_the_last_closes_the_room),
		T(room_leave__of_the_last_keeps_the_room_for_who_joins_before_the_turn),
		T(room_leave__after_a_move_gives_both_ways_back),
		T(room_close__keeps_the_index_while_a_worker_may_hold_it),
		T(room_move__takes_effect_in_the_next_view_and_gives_the_old_way_back),
		T(room_move__of_all_members_across_ports_completes),
		T(room_backlog__at_its_limit_refuses_joins_but_not_leaves),
		T(room_backlog__holds_closing_rooms_too),
		T(room_backlog__of_members_delays_the_view_then_refuses_joins),
		T(room_backlog__of_a_large_room_delays_no_small_one),
		T(room_backlog__of_rooms_that_take_turns_refuses_nobody),
		T(room_publish__waits_for_memory),
		T(room_storm__costs_a_view_an_interval_and_bounded_turns),
		T(room_turn__publishes_a_bounded_number_of_rooms),
		T(room_info__counts_roles),
	};

	test_eal_init(128);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

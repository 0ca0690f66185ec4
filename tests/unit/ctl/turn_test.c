/* SPDX-License-Identifier: BSD-3-Clause */
/* The slow path's turn, with real workers on an in-process port. */
#include <errno.h>

#include "ctl_priv.h"
#include "fixture.h"
#include "plm_wire.h"

#define RTP      0x80, 96
#define RTCP_RR1 0x80, 201 /* how a BYE on somebody's behalf begins */

static struct fx fx;

static int
setup(void **state)
{
	fx_conf(&fx);
	fx_create(&fx);
	return 0;
}

static int
teardown(void **state)
{
	fx_free(&fx);
	return 0;
}

static struct plm_handle
session_of(const char *room, const char *who)
{
	struct plm_handle session = PLM_HANDLE_NONE;

	plm_admit_find(plm_ctl_admit(fx.ctl), room, who, &session);
	return session;
}

static void
turn__admits_and_media_flows(void **state)
{
	struct fx_client a = fx_client("r", "a", PLM_ROLE_BOTH, 0);
	struct fx_client b = fx_client("r", "b", PLM_ROLE_BOTH, 1);
	struct fx_client c = fx_client("other", "c", PLM_ROLE_BOTH, 2);

	fx_join(&fx, &a);
	fx_join(&fx, &b);
	fx_join(&fx, &c);
	assert_int_equal(plm_session_nb_open(plm_ctl_sessions(fx.ctl)), 3);
	fx_forget(&fx);
	for (uint16_t i = 0; i < 10; i++) {
		fx_rtp(&fx, &a, 1, i);
		fx_rtp(&fx, &b, 2, i);
		fx_step(&fx, 1);
	}
	fx_step(&fx, 5);
	assert_int_equal(fx_got(&fx, &a, RTP), 10);
	assert_int_equal(fx_got(&fx, &b, RTP), 10);
	assert_int_equal(fx_got(&fx, &c, RTP), 0);
	/* The claims were settled on the way. */
	assert_true(plm_session_ssrc_owner(plm_ctl_sessions(fx.ctl),
				    plm_ctl_sessions(fx.ctl)
						    ->hot[session_of("r", "a").idx]
						    .room_idx,
				    1) != 0);
}

/* A session of plain gear: its media goes both ways, and nobody asked for anything. */
static void
turn__serves_static_endpoints(void **state)
{
	struct fx_client agent = fx_client("r", "agent", PLM_ROLE_BOTH, 0);
	struct fx_client gear = fx_client("r", "gear", PLM_ROLE_BOTH, 1);
	struct plm_static entry;

	memset(&entry, 0, sizeof(entry));
	strcpy(entry.room, "r");
	strcpy(entry.participant, "gear");
	memcpy(entry.tuple.addr, gear.addr, 4);
	entry.tuple.port = rte_cpu_to_be_16(gear.port);
	entry.role = PLM_ROLE_BOTH;
	entry.count = 1;
	fx_conf(&fx);
	fx.busy[0] = 90; /* nobody received it: the less busy worker is its home */
	fx.busy[1] = 10;
	fx.conf.statics = &entry;
	fx.conf.nb_statics = 1;
	fx_create(&fx);
	fx_step(&fx, 100);
	assert_int_equal(plm_admit_nb_static(plm_ctl_admit(fx.ctl)), 1);
	assert_int_equal(plm_ctl_sessions(fx.ctl)->hot[session_of("r", "gear").idx].home, 1);
	fx_join(&fx, &agent);
	fx_forget(&fx);
	for (uint16_t i = 0; i < 10; i++) {
		fx_rtp(&fx, &agent, 1, i);
		fx_rtp(&fx, &gear, 2, i);
		fx_step(&fx, 1);
	}
	fx_step(&fx, 5);
	assert_int_equal(fx_got(&fx, &agent, RTP), 10);
	assert_int_equal(fx_got(&fx, &gear, RTP), 10);
}

static void
turn__sends_one_bye_for_a_publisher_that_vanished(void **state)
{
	struct fx_client a = fx_client("r", "a", PLM_ROLE_BOTH, 0);
	struct fx_client b = fx_client("r", "b", PLM_ROLE_SUBSCRIBE, 1);
	struct fx_client c = fx_client("r", "c", PLM_ROLE_PUBLISH, 2);

	fx_join(&fx, &a);
	fx_join(&fx, &b);
	fx_join(&fx, &c);
	fx_rtp(&fx, &a, 0x01020304, 1);
	fx_rtp(&fx, &a, 0x05060708, 1);
	fx_step(&fx, 5);
	fx_forget(&fx);
	assert_int_equal(plm_admit_kick(plm_ctl_admit(fx.ctl), session_of("r", "a"), fx.now_ns,
					 fx.wall_s),
			0);
	fx_step(&fx, 10);
	assert_int_equal(fx_got(&fx, &b, RTCP_RR1), 1);
	assert_int_equal(fx_got(&fx, &c, RTCP_RR1), 1);
	assert_int_equal(fx_got(&fx, &a, RTCP_RR1), 0);
	/* Nobody published, nobody is told. */
	fx_forget(&fx);
	plm_admit_kick(plm_ctl_admit(fx.ctl), session_of("r", "b"), fx.now_ns, fx.wall_s);
	fx_step(&fx, 10);
	assert_int_equal(fx.nb_out, 0);
}

/* A worker's ring is full when its claim is settled against it: the revocation waits, and with it
 * that worker's other claims, but nothing is lost. */
static void
turn__loses_no_revocation(void **state)
{
	struct fx_client a = fx_client("r", "a", PLM_ROLE_BOTH, 0);
	struct fx_client b = fx_client("r", "b", PLM_ROLE_BOTH, 2);
	struct plm_relay *relay = plm_ctl_relay(fx.ctl);
	struct plm_mailbox *down;
	struct plm_mailbox *known;
	struct plm_handle sa;
	struct plm_handle sb;
	unsigned int home;
	unsigned int filled = 0;
	unsigned int revoked = 0;
	struct plm_msg msg;

	fx_join(&fx, &a);
	fx_join(&fx, &b);
	sa = session_of("r", "a");
	sb = session_of("r", "b");
	home = plm_ctl_sessions(fx.ctl)->hot[sb.idx].home;
	down = plm_relay_box_down(relay, home);
	known = plm_relay_box_known(relay, home);
	for (uint32_t ssrc = 1; ssrc <= 3; ssrc++) {
		assert_int_equal(plm_session_claim_ssrc(plm_ctl_sessions(fx.ctl), sa, ssrc), 0);
		msg = (struct plm_msg){ .type = PLM_MSG_SSRC_CLAIM, .idx = sb.idx };
		msg.gen = sb.gen;
		msg.ssrc = ssrc;
		assert_int_equal(plm_mailbox_put(known, &msg, 1), 1);
	}
	msg = (struct plm_msg){ .type = PLM_MSG_SSRC_REVOKE };
	msg.gen = 0xdead; /* nobody's */
	while (plm_mailbox_put(down, &msg, 1) == 1)
		filled++;
	for (unsigned int i = 0; i < 5; i++)
		plm_ctl_turn(fx.ctl, fx.now_ns, fx.wall_s);
	while (plm_mailbox_get(down, &msg, 1) == 1)
		revoked += msg.gen == sb.gen;
	assert_int_equal(revoked, 0);
	for (unsigned int i = 0; i < 5; i++)
		plm_ctl_turn(fx.ctl, fx.now_ns, fx.wall_s);
	while (plm_mailbox_get(down, &msg, 1) == 1) {
		assert_int_equal(msg.type, PLM_MSG_SSRC_REVOKE);
		revoked += msg.gen == sb.gen && msg.ssrc == revoked + 1;
	}
	assert_int_equal(revoked, 3);
	assert_true(filled > 0);
	assert_int_equal(plm_counter_get(plm_ctl_counters(fx.ctl), PLM_CNT_SSRC_CLASH), 3);
}

static void
turn__keeps_a_bye_until_there_is_room(void **state)
{
	struct fx_client a = fx_client("r", "a", PLM_ROLE_BOTH, 0);
	struct fx_client b = fx_client("r", "b", PLM_ROLE_BOTH, 2);
	struct plm_mailbox *down;
	struct plm_msg msg = { .type = PLM_MSG_SSRC_REVOKE };

	fx_join(&fx, &a);
	fx_join(&fx, &b);
	fx_rtp(&fx, &a, 7, 1);
	fx_step(&fx, 5);
	down = plm_relay_box_down(plm_ctl_relay(fx.ctl),
			plm_ctl_sessions(fx.ctl)->hot[session_of("r", "a").idx].home);
	while (plm_mailbox_put(down, &msg, 1) == 1)
		;
	plm_admit_end(plm_ctl_admit(fx.ctl), session_of("r", "a"), PLM_END_KICKED, fx.now_ns,
			fx.wall_s);
	for (unsigned int i = 0; i < 5; i++)
		plm_ctl_turn(fx.ctl, fx.now_ns, fx.wall_s);
	fx_forget(&fx);
	fx_step(&fx, 60);
	assert_int_equal(fx_got(&fx, &b, RTCP_RR1), 1);
}

static unsigned int
take_fanouts(struct plm_mailbox *box, uint32_t room_idx)
{
	struct plm_msg msg;
	unsigned int n = 0;

	while (plm_mailbox_get(box, &msg, 1) == 1) {
		if (msg.type != PLM_MSG_FANOUT)
			continue;
		n += msg.idx == room_idx;
		rte_pktmbuf_free(msg.mbuf);
	}
	return n;
}

static void
fill_box(unsigned int w)
{
	const struct plm_msg msg = { .type = PLM_MSG_SSRC_REVOKE };

	while (plm_mailbox_put(plm_relay_box_down(plm_ctl_relay(fx.ctl), w), &msg, 1) == 1)
		;
}

/* A publisher and a subscriber in each of two rooms, one at home with each worker; worker 1 stands still,
 * and its ring takes nothing more. */
static void
stall_worker_1(struct plm_handle publisher[2], uint32_t room_idx[2])
{
	struct plm_session_table *sessions = plm_ctl_sessions(fx.ctl);

	for (unsigned int w = 0; w < 2; w++) {
		const char *room = w == 0 ? "quick" : "stuck";
		struct fx_client a = fx_client(room, "a", PLM_ROLE_BOTH, w);
		struct fx_client b = fx_client(room, "b", PLM_ROLE_BOTH, w + 2);

		fx_join(&fx, &a);
		fx_join(&fx, &b);
		fx_rtp(&fx, &a, 7, 1);
		fx_step(&fx, 5);
		publisher[w] = session_of(room, "a");
		room_idx[w] = sessions->hot[publisher[w].idx].room_idx;
		assert_int_equal(sessions->hot[publisher[w].idx].home, w);
	}
	fx.no_beats = 1u << 1;
	fx_step(&fx, 1500);
	assert_int_equal(plm_ctl_stalled(fx.ctl), 1u << 1);
	fill_box(1);
}

/* BYEs up to the queue's size that wait for worker 1. */
static void
queue_stuck_byes(struct plm_handle publisher, uint32_t room_idx)
{
	while (fx.ctl->nb_byes < CTL_BYES)
		ctl_ending(fx.ctl, publisher, room_idx, PLM_END_KICKED);
	assert_int_equal(ctl_bye_flush(fx.ctl), 0);
	assert_int_equal(fx.ctl->nb_byes, CTL_BYES);
}

static void
bye__of_a_room_waits_for_no_other_rooms_worker(void **state)
{
	struct plm_relay *relay = plm_ctl_relay(fx.ctl);
	struct plm_handle publisher[2];
	uint32_t room_idx[2];

	stall_worker_1(publisher, room_idx);
	for (int w = 1; w >= 0; w--)
		plm_admit_end(plm_ctl_admit(fx.ctl), publisher[w], PLM_END_KICKED, fx.now_ns,
				fx.wall_s);
	plm_ctl_turn(fx.ctl, fx.now_ns, fx.wall_s);
	assert_int_equal(take_fanouts(plm_relay_box_down(relay, 0), room_idx[0]), 1);
	assert_int_equal(fx.ctl->nb_byes, 1);
	assert_int_equal(take_fanouts(plm_relay_box_down(relay, 1), room_idx[1]), 0);
	plm_ctl_turn(fx.ctl, fx.now_ns, fx.wall_s);
	assert_int_equal(take_fanouts(plm_relay_box_down(relay, 1), room_idx[1]), 1);
	assert_int_equal(fx.ctl->nb_byes, 0);
	assert_int_equal(plm_ctl_counter(fx.ctl, PLM_WORKERS_MAX, PLM_CNT_BYES_LOST), 0);
}

/* What does not find a place any more is of those that wait for the stalled worker, also when an older
 * one waits for a worker that is only busy. */
static void
bye__that_a_stalled_worker_cannot_take_makes_place_for_others(void **state)
{
	struct plm_relay *relay = plm_ctl_relay(fx.ctl);
	struct plm_handle publisher[2];
	uint32_t room_idx[2];

	stall_worker_1(publisher, room_idx);
	fill_box(0);
	ctl_ending(fx.ctl, publisher[0], room_idx[0], PLM_END_KICKED);
	queue_stuck_byes(publisher[1], room_idx[1]);
	for (unsigned int i = 0; i < 100; i++) {
		ctl_ending(fx.ctl, publisher[1], room_idx[1], PLM_END_KICKED);
		if (i % 50 == 0)
			ctl_bye_flush(fx.ctl);
	}
	assert_int_equal(fx.ctl->nb_byes, CTL_BYES);
	assert_int_equal(plm_ctl_counter(fx.ctl, PLM_WORKERS_MAX, PLM_CNT_BYES_LOST), 100);
	assert_int_equal(take_fanouts(plm_relay_box_down(relay, 0), room_idx[0]), 0);
	ctl_bye_flush(fx.ctl);
	assert_int_equal(take_fanouts(plm_relay_box_down(relay, 0), room_idx[0]), 1);
	assert_int_equal(fx.ctl->nb_byes, CTL_BYES - 1);
	for (unsigned int i = 0; i < 10; i++)
		ctl_ending(fx.ctl, publisher[0], room_idx[0], PLM_END_KICKED);
	ctl_bye_flush(fx.ctl);
	assert_int_equal(take_fanouts(plm_relay_box_down(relay, 0), room_idx[0]), 10);
	assert_int_equal(plm_ctl_counter(fx.ctl, PLM_WORKERS_MAX, PLM_CNT_BYES_LOST), 109);
	assert_int_equal(fx.ctl->nb_byes, CTL_BYES - 10);
	take_fanouts(plm_relay_box_down(relay, 1), room_idx[1]);
	ctl_bye_flush(fx.ctl);
	assert_in_range(take_fanouts(plm_relay_box_down(relay, 1), room_idx[1]), 1, CTL_BYES - 10);
}

/* A queue that is full of what waits for the stalled worker does not hold up a drain: the publishers
 * of others are announced at once, theirs take the places of older ones. */
static void
bye__that_a_stalled_worker_cannot_take_delays_no_drain(void **state)
{
	struct plm_relay *relay = plm_ctl_relay(fx.ctl);
	struct plm_handle publisher[2];
	uint32_t room_idx[2];

	stall_worker_1(publisher, room_idx);
	queue_stuck_byes(publisher[1], room_idx[1]);
	plm_ctl_end_all(fx.ctl, fx.now_ns, fx.wall_s);
	assert_int_equal(take_fanouts(plm_relay_box_down(relay, 0), room_idx[0]), 1);
	assert_int_equal(fx.ctl->end, CTL_END_DELIVER);
	/* Both publishers' BYEs found a place, one of them stays. */
	assert_int_equal(plm_ctl_counter(fx.ctl, PLM_WORKERS_MAX, PLM_CNT_BYES_LOST), 2);
	assert_int_equal(fx.ctl->nb_byes, CTL_BYES - 1);
}

/* For a worker that turns a drain waits, however full its ring is. */
static void
bye__that_a_busy_worker_cannot_take_yet_is_not_given_up_by_a_drain(void **state)
{
	struct plm_relay *relay = plm_ctl_relay(fx.ctl);
	struct plm_handle publisher[2];
	uint32_t room_idx[2];
	unsigned int n;

	stall_worker_1(publisher, room_idx);
	fill_box(0);
	queue_stuck_byes(publisher[0], room_idx[0]);
	plm_ctl_end_all(fx.ctl, fx.now_ns, fx.wall_s);
	assert_int_equal(fx.ctl->end, CTL_END_ANNOUNCE);
	assert_int_equal(plm_ctl_counter(fx.ctl, PLM_WORKERS_MAX, PLM_CNT_BYES_LOST), 0);
	n = take_fanouts(plm_relay_box_down(relay, 0), room_idx[0]);
	assert_int_equal(n, 0);
	for (unsigned int i = 0; i < 10; i++) {
		plm_ctl_end_all(fx.ctl, fx.now_ns, fx.wall_s);
		n += take_fanouts(plm_relay_box_down(relay, 0), room_idx[0]);
	}
	assert_int_equal(n, CTL_BYES + 1);
	assert_int_equal(plm_ctl_counter(fx.ctl, PLM_WORKERS_MAX, PLM_CNT_BYES_LOST), 0);
}

/* A burst of ends that is larger than the queue loses nothing where rings take it. */
static void
bye__of_a_burst_beyond_the_queue_is_sent_meanwhile(void **state)
{
	struct plm_relay *relay = plm_ctl_relay(fx.ctl);
	struct plm_handle publisher[2];
	uint32_t room_idx[2];
	unsigned int n = 0;

	stall_worker_1(publisher, room_idx);
	for (unsigned int i = 0; i < CTL_BYES + 100; i++) {
		ctl_ending(fx.ctl, publisher[0], room_idx[0], PLM_END_KICKED);
		n += i == CTL_BYES ? take_fanouts(plm_relay_box_down(relay, 0), room_idx[0]) : 0;
	}
	for (unsigned int i = 0; i < 3; i++) {
		ctl_bye_flush(fx.ctl);
		n += take_fanouts(plm_relay_box_down(relay, 0), room_idx[0]);
	}
	assert_int_equal(n, CTL_BYES + 100);
	assert_int_equal(plm_ctl_counter(fx.ctl, PLM_WORKERS_MAX, PLM_CNT_BYES_LOST), 0);
}

static void
turn__ends_all_with_a_bye_each(void **state)
{
	struct fx_client c[6];
	unsigned int turns = 0;

	for (unsigned int i = 0; i < 6; i++) {
		char who[8];

		snprintf(who, sizeof(who), "p%u", i);
		c[i] = fx_client("r", who, PLM_ROLE_BOTH, i);
		fx_join(&fx, &c[i]);
		fx_rtp(&fx, &c[i], 100 + i, 1);
	}
	fx_step(&fx, 5);
	plm_ctl_drain(fx.ctl, true);
	fx_forget(&fx);
	while (plm_ctl_end_all(fx.ctl, fx.now_ns, fx.wall_s) > 0) {
		fx_step(&fx, 1);
		assert_true(++turns < 100);
	}
	fx_step(&fx, 50);
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(fx_got(&fx, &c[i], RTCP_RR1), 6);
	assert_int_equal(plm_session_nb_open(plm_ctl_sessions(fx.ctl)), 0);
	assert_int_equal(plm_session_nb_pending(plm_ctl_sessions(fx.ctl)), 0);
	assert_int_equal(plm_room_nb_open(plm_ctl_rooms(fx.ctl)), 0);
	/* Nobody new comes in. */
	fx_forget(&fx);
	fx_check(&fx, &c[0]);
	fx_step(&fx, 5);
	assert_int_equal(fx_got(&fx, &c[0], 0x01, 0x01), 0);
}

/* A call looks at 4096 places of the table, however few sessions there are. */
static void
turn__ends_all_in_bounded_steps(void **state)
{
	struct fx_client c = fx_client("r", "a", PLM_ROLE_BOTH, 0);
	unsigned int calls = 1;

	fx_free(&fx);
	fx_conf(&fx);
	fx.conf.max_sessions = 20000;
	fx_create(&fx);
	fx_join(&fx, &c);
	assert_int_equal(plm_ctl_end_all(fx.ctl, fx.now_ns, fx.wall_s), 1);
	assert_int_equal(fx.ctl->end, CTL_END_ANNOUNCE);
	assert_int_equal(fx.ctl->end_from, 4096);
	while (plm_ctl_end_all(fx.ctl, fx.now_ns, fx.wall_s) > 0) {
		fx_step(&fx, 1);
		calls++;
	}
	assert_in_range(calls, 4, 12);
	assert_int_equal(plm_session_nb_open(plm_ctl_sessions(fx.ctl)), 0);
}

static void
turn__notices_a_stalled_worker_and_its_recovery(void **state)
{
	fx_step(&fx, 100);
	for (unsigned int i = 0; i < 1500; i++) { /* worker 1 stands still */
		fx.beats[0]++;
		fx.now_ns += PLM_NS_PER_MS;
		plm_ctl_turn(fx.ctl, fx.now_ns, fx.wall_s);
		if (i < 900)
			assert_int_equal(plm_ctl_stalled(fx.ctl), 0);
	}
	assert_int_equal(plm_ctl_stalled(fx.ctl), 2);
	assert_int_equal(fx.nb_events, 1);
	assert_int_equal(fx.events[0], PLM_EVENT_STALL);
	fx_step(&fx, 200);
	assert_int_equal(plm_ctl_stalled(fx.ctl), 0);
	assert_int_equal(fx.events[1], PLM_EVENT_RECOVER);
	/* When nobody ran, nobody stalled. */
	fx.now_ns += 60 * PLM_NS_PER_S;
	plm_ctl_turn(fx.ctl, fx.now_ns, fx.wall_s);
	fx_step(&fx, 200);
	assert_int_equal(plm_ctl_stalled(fx.ctl), 0);
}

static void
turn__counts_events_that_were_lost(void **state)
{
	struct fx_client a = fx_client("r", "a", PLM_ROLE_BOTH, 0);

	fx.lose_events = true;
	fx_join(&fx, &a);
	assert_int_equal(plm_counter_get(plm_ctl_counters(fx.ctl), PLM_CNT_EVENTS_LOST), 1);
}

static const struct {
	const char *name;
	unsigned int rebalance_above;
	unsigned int busy[FX_WORKERS];
	unsigned int first_queue; /* on which the room's first request arrives */
	unsigned int homes[3];    /* of three rooms, one after the other */
} home_cases[] = {
	{ "where it arrived", 60, { 10, 10 }, 1, { 1, 1, 1 } },
	{ "up to the limit", 60, { 0, 60 }, 1, { 1, 1, 1 } },
	{ "not where it is busy", 60, { 10, 61 }, 1, { 0, 0, 0 } },
	{ "least busy, always", 0, { 50, 20 }, 0, { 1, 1, 1 } },
	{ "equally busy: in turn", 0, { 50, 50 }, 1, { 0, 1, 0 } },
};

static void
home__is_chosen_by_rule(void **state)
{
	for (size_t i = 0; i < RTE_DIM(home_cases); i++) {
		fx_free(&fx);
		fx_conf(&fx);
		fx.conf.rebalance_above = home_cases[i].rebalance_above;
		memcpy(fx.busy, home_cases[i].busy, sizeof(fx.busy));
		fx_create(&fx);
		for (unsigned int n = 0; n < 3; n++) {
			char room[8];
			struct fx_client c;

			snprintf(room, sizeof(room), "r%u", n);
			c = fx_client(room, "a", PLM_ROLE_BOTH, n);
			c.queue = home_cases[i].first_queue;
			fx_join(&fx, &c);
			if (plm_ctl_sessions(fx.ctl)->hot[session_of(room, "a").idx].home !=
					home_cases[i].homes[n])
				fail_msg("%s, room %u", home_cases[i].name, n);
		}
	}
}

static const struct {
	const char *name;
	unsigned int spread_above;
	bool is_stalled;                   /* worker 1, after four of them */
	unsigned int nb_homed[FX_WORKERS]; /* of 10 members */
} spread_cases[] = {
	{ "never", 0, false, { 10, 0 } },
	{ "at once", 1, false, { 5, 5 } },
	{ "beyond six", 6, false, { 6, 4 } },
	{ "beyond ten", 10, false, { 10, 0 } },
	{ "away from a worker that stands still", 2, true, { 8, 2 } },
};

static void
spread__follows_the_limit(void **state)
{
	for (size_t i = 0; i < RTE_DIM(spread_cases); i++) {
		struct plm_room_info room;
		uint32_t room_idx;

		fx_free(&fx);
		fx_conf(&fx);
		fx.conf.spread_above = spread_cases[i].spread_above;
		fx_create(&fx);
		for (unsigned int n = 0; n < 10; n++) {
			char name[8];
			struct fx_client c;

			snprintf(name, sizeof(name), "p%u", n);
			c = fx_client("r", name, PLM_ROLE_BOTH, 2 * n);
			fx_join(&fx, &c);
			if (n == 3 && spread_cases[i].is_stalled) {
				fx.no_beats = 1u << 1;
				fx_step(&fx, 1500);
				assert_int_equal(plm_ctl_stalled(fx.ctl), 1u << 1);
			}
		}
		assert_int_equal(plm_room_find(plm_ctl_rooms(fx.ctl), 'r', "r", &room_idx), 0);
		assert_int_equal(plm_room_info(plm_ctl_rooms(fx.ctl), room_idx, &room), 0);
		for (unsigned int w = 0; w < FX_WORKERS; w++)
			if (room.nb_homed[w] != spread_cases[i].nb_homed[w])
				fail_msg("%s: %u with worker %u", spread_cases[i].name,
						room.nb_homed[w], w);
	}
}

static void
rates__tell_the_last_second(void **state)
{
	struct fx_client a = fx_client("r", "a", PLM_ROLE_BOTH, 0);
	struct fx_client b = fx_client("r", "b", PLM_ROLE_BOTH, 2);
	struct plm_ctl_rates rates;

	fx_join(&fx, &a);
	fx_join(&fx, &b);
	for (uint16_t i = 0; i < 300; i++) {
		fx_rtp(&fx, &a, 1, i);
		fx_step(&fx, 10);
	}
	plm_ctl_session_rates(fx.ctl, session_of("r", "a").idx, &rates);
	assert_in_range(rates.rx_packets, 98, 102);
	assert_in_range(rates.rx_bits, 78000, 82000);
	assert_int_equal(rates.tx_packets, 0);
	plm_ctl_session_rates(fx.ctl, session_of("r", "b").idx, &rates);
	assert_in_range(rates.tx_packets, 98, 102);
	assert_int_equal(rates.rx_packets, 0);
	fx_step(&fx, 2100);
	plm_ctl_session_rates(fx.ctl, session_of("r", "b").idx, &rates);
	assert_int_equal(rates.tx_packets, 0);
}

static void
clear__shows_counters_from_zero(void **state)
{
	struct fx_client a = fx_client("r", "a", PLM_ROLE_BOTH, 0);
	uint64_t total;

	fx_join(&fx, &a);
	assert_int_equal(plm_ctl_counter(fx.ctl, PLM_WORKERS_MAX, PLM_CNT_STUN_REQUESTS), 1);
	total = plm_counter_get(plm_relay_counters(plm_ctl_relay(fx.ctl), 0), PLM_CNT_RX_PACKETS);
	assert_true(total > 0);
	plm_ctl_clear(fx.ctl);
	assert_int_equal(plm_ctl_counter(fx.ctl, PLM_WORKERS_MAX, PLM_CNT_STUN_REQUESTS), 0);
	assert_int_equal(plm_ctl_counter(fx.ctl, 0, PLM_CNT_RX_PACKETS), 0);
	fx_check(&fx, &a);
	fx_step(&fx, 3);
	assert_int_equal(plm_ctl_counter(fx.ctl, PLM_WORKERS_MAX, PLM_CNT_STUN_REQUESTS), 1);
	assert_true(plm_counter_get(plm_relay_counters(plm_ctl_relay(fx.ctl), 0),
				    PLM_CNT_RX_PACKETS) > total);
}

/* So that switches and neighbours learn where an address went that moved here. */
static void
turn__announces_own_addresses_from_the_first_on(void **state)
{
	assert_int_equal(fx.nb_announced, 1);
	fx_step(&fx, 3000);
	assert_int_equal(fx.nb_announced, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(turn__admits_and_media_flows),
		cmocka_unit_test_teardown(turn__serves_static_endpoints, teardown),
		TEST(turn__announces_own_addresses_from_the_first_on),
		TEST(turn__sends_one_bye_for_a_publisher_that_vanished),
		TEST(turn__loses_no_revocation),
		TEST(turn__keeps_a_bye_until_there_is_room),
		TEST(bye__of_a_room_waits_for_no_other_rooms_worker),
		TEST(bye__that_a_stalled_worker_cannot_take_makes_place_for_others),
		TEST(bye__that_a_stalled_worker_cannot_take_delays_no_drain),
		TEST(bye__that_a_busy_worker_cannot_take_yet_is_not_given_up_by_a_drain),
		TEST(bye__of_a_burst_beyond_the_queue_is_sent_meanwhile),
		TEST(turn__ends_all_with_a_bye_each),
		TEST(turn__ends_all_in_bounded_steps),
		TEST(turn__notices_a_stalled_worker_and_its_recovery),
		TEST(turn__counts_events_that_were_lost),
		TEST(home__is_chosen_by_rule),
		TEST(spread__follows_the_limit),
		TEST(rates__tell_the_last_second),
		TEST(clear__shows_counters_from_zero),
	};

	test_eal_init(512);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

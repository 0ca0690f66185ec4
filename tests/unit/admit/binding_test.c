/* SPDX-License-Identifier: BSD-3-Clause */
/* A session that runs: tuples, moves, replays, replacement, bars. */
#include <errno.h>

#include "fixture.h"

#define SILENT (-1)

static struct fx fx;

static int
setup(void **state)
{
	struct fx_conf conf = fx_defaults();

	fx_create(&fx, &conf);
	return 0;
}

static int
teardown(void **state)
{
	fx_free(&fx);
	return 0;
}

/* Check, then nominate: the pair that was checked first stays until the other one is chosen. */
static void
bind__follows_a_regular_nomination(void **state)
{
	struct fx_client a = fx_client("alice", 0);
	struct fx_client b = fx_elsewhere(&a, 1);

	assert_int_equal(fx_check(&fx, &a), 0);
	assert_int_equal(fx_check(&fx, &b), 0);
	assert_true(fx_bound(&fx, "alice", &a));
	assert_true(fx_accepted(&fx, &b)); /* agents send before they nominate */
	assert_int_equal(fx_nominate(&fx, &b, FX_PRIO), 0);
	assert_true(fx_bound(&fx, "alice", &b));
	assert_int_equal(fx_info(&fx, "alice").moves, 1);
	assert_int_equal(fx_last(&fx)->type, PLM_EVENT_MOVE);
	assert_int_equal(plm_session_nb_open(fx.sessions), 1);

	/* What it left is heard for one second more. */
	fx_pass(&fx, 900 * PLM_NS_PER_MS);
	assert_true(fx_accepted(&fx, &a));
	fx_pass(&fx, 300 * PLM_NS_PER_MS);
	assert_false(fx_accepted(&fx, &a));
	assert_true(fx_accepted(&fx, &b));
}

/* Every check nominates: the best pair wins, whatever comes after it. */
static void
bind__follows_an_aggressive_nomination_upwards(void **state)
{
	struct fx_client c[3];
	static const uint32_t priority[] = { 2000, 1000, 3000 };

	c[0] = fx_client("alice", 0);
	c[1] = fx_elsewhere(&c[0], 1);
	c[2] = fx_elsewhere(&c[0], 2);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(fx_nominate(&fx, &c[i], priority[i]), 0);
		fx_pass(&fx, 20 * PLM_NS_PER_MS);
	}
	assert_true(fx_bound(&fx, "alice", &c[2]));
	/* Consent checks go on nominating; nothing moves back. */
	for (unsigned int n = 0; n < 20; n++) {
		fx_pass(&fx, 500 * PLM_NS_PER_MS);
		for (unsigned int i = 0; i < 3; i++)
			assert_int_equal(fx_nominate(&fx, &c[i], priority[i]), 0);
	}
	assert_true(fx_bound(&fx, "alice", &c[2]));
	assert_int_equal(fx_info(&fx, "alice").moves, 1);
}

static void
bind__moves_once_a_second_and_forgets_no_nomination(void **state)
{
	struct fx_client a = fx_client("alice", 0);
	struct fx_client b = fx_elsewhere(&a, 1);
	struct fx_client c = fx_elsewhere(&a, 2);

	assert_int_equal(fx_nominate(&fx, &a, 1000), 0);
	assert_int_equal(fx_nominate(&fx, &b, 2000), 0);
	assert_true(fx_bound(&fx, "alice", &b)); /* the first binding is no move */
	fx_pass(&fx, 100 * PLM_NS_PER_MS);
	assert_int_equal(fx_nominate(&fx, &c, 3000), 0);
	assert_true(fx_bound(&fx, "alice", &b));
	fx_pass(&fx, 800 * PLM_NS_PER_MS);
	assert_true(fx_bound(&fx, "alice", &b));
	fx_pass(&fx, 300 * PLM_NS_PER_MS);
	assert_true(fx_bound(&fx, "alice", &c));
	assert_int_equal(fx_count(&fx, PLM_CNT_SESSIONS_MOVED), 2);
}

static const struct {
	const char *name;
	uint64_t silence_ms;
	uint32_t priority;
	bool nominates;
	bool media;   /* the bound tuple sent media meanwhile */
	bool refresh; /* or a check */
	bool moves;
} move_cases[] = {
	{ "nominated, equal priority", 0, 1000, true, false, false, true },
	{ "nominated, higher priority", 0, 1001, true, false, false, true },
	{ "nominated, lower priority", 0, 999, true, false, false, false },
	{ "not nominated", 0, 5000, false, false, false, false },
	{ "not nominated, silent for less than 10 s", 9900, 5000, false, false, false, false },
	{ "not nominated, silent for 10 s", 10000, 1, false, false, false, true },
	{ "lower priority, silent for 10 s", 10000, 999, true, false, false, true },
	{ "not nominated, but media was heard", 10000, 5000, false, true, false, false },
	{ "not nominated, but a check was heard", 10000, 5000, false, false, true, false },
};

static void
bind__moves_by_rule(void **state)
{
	for (size_t i = 0; i < RTE_DIM(move_cases); i++) {
		uint64_t silence_ns = move_cases[i].silence_ms * PLM_NS_PER_MS;
		char who[8];
		struct fx_client a;
		struct fx_client b;
		struct fx_req req = { .use_candidate = move_cases[i].nominates,
			.priority = move_cases[i].priority };

		snprintf(who, sizeof(who), "c%zu", i);
		a = fx_client(who, (unsigned int)(10 * i));
		b = fx_elsewhere(&a, (unsigned int)(10 * i + 1));
		assert_int_equal(fx_nominate(&fx, &a, 1000), 0);
		fx_pass(&fx, silence_ns / 2);
		if (move_cases[i].media)
			fx_media(&fx, &a);
		if (move_cases[i].refresh)
			assert_int_equal(fx_check(&fx, &a), 0);
		fx_pass(&fx, silence_ns - silence_ns / 2);
		assert_int_equal(fx_send(&fx, &b, &req), 0);
		if (fx_bound(&fx, who, &b) != move_cases[i].moves)
			fail_msg("%s", move_cases[i].name);
		plm_admit_end(fx.admit, fx_session(&fx, who), PLM_END_DRAIN, fx.now_ns, fx.wall_s);
	}
}

static void
bind__stays_when_there_is_no_way_to_the_new_tuple(void **state)
{
	struct fx_client a = fx_client("alice", 0);
	struct fx_client b = fx_elsewhere(&a, 1);

	assert_int_equal(fx_check(&fx, &a), 0);
	fx.route_ret = -ENOSPC;
	assert_int_equal(fx_nominate(&fx, &b, FX_PRIO), 0);
	assert_true(fx_bound(&fx, "alice", &a));
	assert_int_equal(fx_count(&fx, PLM_CNT_ADMIT_NO_ROUTE), 1);
	fx.route_ret = 0;
	assert_int_equal(fx_nominate(&fx, &b, FX_PRIO), 0);
	assert_true(fx_bound(&fx, "alice", &b));
}

/* Four tuples; a fifth one takes the place of one that was not heard for 10 s, or waits. */
static void
bind__accepts_four_tuples(void **state)
{
	struct fx_client c[6];

	c[0] = fx_client("alice", 0);
	for (unsigned int i = 1; i < 6; i++)
		c[i] = fx_elsewhere(&c[0], i);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(fx_check(&fx, &c[i]), 0);
	assert_int_equal(fx_check(&fx, &c[4]), SILENT);
	assert_int_equal(fx_count(&fx, PLM_CNT_ADMIT_TUPLES), 1);
	fx_pass(&fx, 9 * PLM_NS_PER_S);
	assert_int_equal(fx_check(&fx, &c[0]), 0);
	assert_int_equal(fx_check(&fx, &c[1]), 0);
	fx_media(&fx, &c[3]);
	fx_pass(&fx, PLM_NS_PER_S);
	assert_int_equal(fx_check(&fx, &c[4]), 0); /* in the place of 2 */
	assert_true(fx_accepted(&fx, &c[0]) && fx_accepted(&fx, &c[1]) && fx_accepted(&fx, &c[3]));
	assert_false(fx_accepted(&fx, &c[2]));
	assert_int_equal(fx_check(&fx, &c[5]), SILENT);
	assert_true(fx_bound(&fx, "alice", &c[0]));
	/* What is in reserve and silent for the consent timeout goes by itself. */
	fx_pass(&fx, 15 * PLM_NS_PER_S);
	assert_int_equal(fx_check(&fx, &c[0]), 0);
	fx_pass(&fx, 16 * PLM_NS_PER_S);
	assert_true(fx_accepted(&fx, &c[0]));
	for (unsigned int i = 1; i < 6; i++)
		assert_false(fx_accepted(&fx, &c[i]));
}

/* A tuple that another session is bound to cannot be taken from it. */
static void
bind__leaves_others_their_tuples(void **state)
{
	struct fx_client victim = fx_client("victim", 0);
	struct fx_client thief = fx_client("thief", 1);
	struct fx_client at_victims = thief;

	at_victims.tuple = victim.tuple;
	assert_int_equal(fx_check(&fx, &victim), 0);
	assert_int_equal(fx_check(&fx, &at_victims), SILENT);
	assert_false(fx_open(&fx, "thief"));
	assert_int_equal(fx_check(&fx, &thief), 0);
	assert_int_equal(fx_nominate(&fx, &at_victims, FX_PRIO), SILENT);
	assert_true(fx_bound(&fx, "victim", &victim));
	assert_true(fx_bound(&fx, "thief", &thief));
}

static const struct {
	const char *name;
	unsigned int newer; /* fresh requests between the first and its replay */
	bool seen;
} replay_cases[] = {
	{ "at once", 0, true },
	{ "after some", 20, true },
	{ "the 64th last", 63, true },
	{ "beyond the window", 64, false },
};

static void
replay__changes_nothing_within_the_window(void **state)
{
	for (size_t i = 0; i < RTE_DIM(replay_cases); i++) {
		char who[8];
		struct fx_client c;
		struct fx_client attacker;
		struct fx_req req = { .use_candidate = true,
			.priority = 9000,
			.tid = 1 + (uint32_t)i };
		struct fx_msg captured;
		uint64_t consent_ns;

		snprintf(who, sizeof(who), "c%zu", i);
		c = fx_client(who, (unsigned int)(10 * i));
		attacker = fx_elsewhere(&c, (unsigned int)(10 * i + 2));
		fx_build(&fx, &c, &req, &captured);
		assert_int_equal(fx_deliver(&fx, &c, &c.tuple, &captured), 0);
		for (unsigned int n = 0; n < replay_cases[i].newer; n++)
			assert_int_equal(fx_nominate(&fx, &c, 9000), 0);
		consent_ns = fx_info(&fx, who).consent_ns;
		fx_pass(&fx, 12 * PLM_NS_PER_S); /* silence would let any fresh one move it */
		/* Answered, because the answer may have been lost. */
		assert_int_equal(fx_deliver(&fx, &c, &attacker.tuple, &captured), 0);
		if (fx_accepted(&fx, &attacker) == replay_cases[i].seen)
			fail_msg("%s", replay_cases[i].name);
		if (replay_cases[i].seen) {
			assert_true(fx_bound(&fx, who, &c));
			assert_int_equal(fx_deliver(&fx, &c, &c.tuple, &captured), 0);
			assert_int_equal(fx_info(&fx, who).consent_ns, consent_ns);
			assert_int_equal(fx_info(&fx, who).moves, 0);
		}
		plm_admit_end(fx.admit, fx_session(&fx, who), PLM_END_DRAIN, fx.now_ns, fx.wall_s);
	}
	assert_int_equal(fx_count(&fx, PLM_CNT_STUN_REPLAYED), 6);
}

/* A request that was refused in silence is no replay when it comes again. */
static void
replay__is_not_what_was_never_answered(void **state)
{
	struct fx_client c[5];
	struct fx_msg msg;

	c[0] = fx_client("alice", 0);
	for (unsigned int i = 1; i < 5; i++)
		c[i] = fx_elsewhere(&c[0], i);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(fx_check(&fx, &c[i]), 0);
	fx_build(&fx, &c[4], &(struct fx_req){ 0 }, &msg);
	assert_int_equal(fx_deliver(&fx, &c[4], &c[4].tuple, &msg), SILENT);
	fx_pass(&fx, 11 * PLM_NS_PER_S);
	assert_int_equal(fx_deliver(&fx, &c[4], &c[4].tuple, &msg), 0);
	assert_true(fx_accepted(&fx, &c[4]));
}

/* How a session may end while its credential is still good. */
static void
end_by_consent(const char *who)
{
	fx_pass(&fx, 31 * PLM_NS_PER_S);
}

static void
end_by_drain(const char *who)
{
	plm_admit_end(fx.admit, fx_session(&fx, who), PLM_END_DRAIN, fx.now_ns, fx.wall_s);
}

static const struct {
	const char *who;
	void (*end)(const char *who);
	unsigned int newer; /* fresh requests behind the captured one */
	bool seen;
} ended_cases[] = {
	{ "consent", end_by_consent, 0, true },
	{ "drain", end_by_drain, 0, true },
	{ "later", end_by_drain, 63, true },
	{ "beyond", end_by_drain, 64, false },
};

static void
replay__opens_no_session_that_has_ended(void **state)
{
	uint64_t replayed = 0;

	for (size_t i = 0; i < RTE_DIM(ended_cases); i++) {
		const char *who = ended_cases[i].who;
		struct fx_client c = fx_client(who, (unsigned int)(10 * i));
		struct fx_client attacker = fx_elsewhere(&c, (unsigned int)(10 * i + 2));
		struct fx_msg captured;

		print_message("  %s\n", who);
		fx_build(&fx, &c, &(struct fx_req){ .use_candidate = true }, &captured);
		assert_int_equal(fx_deliver(&fx, &c, &c.tuple, &captured), 0);
		for (unsigned int n = 0; n < ended_cases[i].newer; n++)
			assert_int_equal(fx_check(&fx, &c), 0);
		ended_cases[i].end(who);
		assert_false(fx_open(&fx, who));
		if (!ended_cases[i].seen) {
			assert_int_equal(fx_deliver(&fx, &c, &attacker.tuple, &captured), 0);
			continue;
		}
		assert_int_equal(fx_deliver(&fx, &c, &attacker.tuple, &captured), SILENT);
		assert_int_equal(fx_deliver(&fx, &c, &c.tuple, &captured), SILENT);
		assert_false(fx_open(&fx, who));
		assert_false(fx_accepted(&fx, &attacker));
		replayed += 2;
		assert_int_equal(fx_count(&fx, PLM_CNT_STUN_REPLAYED), replayed);
		assert_string_equal(fx_last(&fx)->reason, "stun_replayed");
	}
}

/* A client that crashed comes back; what it said before stays old in its new session, and behind. */
static void
replay__is_known_across_the_sessions_of_a_credential(void **state)
{
	struct fx_client c = fx_client("alice", 0);
	struct fx_client attacker = fx_elsewhere(&c, 2);
	struct fx_msg first, second;

	fx_build(&fx, &c, &(struct fx_req){ .use_candidate = true }, &first);
	assert_int_equal(fx_deliver(&fx, &c, &c.tuple, &first), 0);
	end_by_consent("alice");
	fx_build(&fx, &c, &(struct fx_req){ .use_candidate = true }, &second);
	assert_int_equal(fx_deliver(&fx, &c, &c.tuple, &second), 0);
	assert_true(fx_bound(&fx, "alice", &c));
	assert_int_equal(fx_deliver(&fx, &c, &attacker.tuple, &first), 0);
	assert_false(fx_accepted(&fx, &attacker));
	assert_true(fx_bound(&fx, "alice", &c));
	end_by_consent("alice");
	assert_int_equal(fx_deliver(&fx, &c, &attacker.tuple, &first), SILENT);
	assert_int_equal(fx_deliver(&fx, &c, &attacker.tuple, &second), SILENT);
	assert_false(fx_open(&fx, "alice"));
	assert_int_equal(fx_count(&fx, PLM_CNT_STUN_REPLAYED), 3);
	assert_int_equal(fx_check(&fx, &c), 0);
	assert_true(fx_bound(&fx, "alice", &c));
}

static void
replace__by_another_credential_of_the_participant(void **state)
{
	struct fx_client old = fx_client("alice", 0);
	struct fx_client new = fx_client("alice", 1);
	struct plm_handle first;

	fx_mint(&new, FX_ROOM, "alice", PLM_ROLE_BOTH, FX_WALL + 60, FX_SECRET);
	assert_int_equal(fx_check(&fx, &old), 0);
	first = fx_session(&fx, "alice");
	assert_int_equal(plm_session_claim_ssrc(fx.sessions, first, 0x1234), 0);
	assert_int_equal(fx_check(&fx, &new), 0);
	assert_false(plm_handle_eq(fx_session(&fx, "alice"), first));
	assert_true(fx_bound(&fx, "alice", &new));
	assert_false(fx_accepted(&fx, &old));
	assert_int_equal(fx_count(&fx, PLM_CNT_SESSIONS_REPLACED), 1);
	assert_int_equal(fx.nb_ending, 1);
	assert_int_equal(fx.events[fx.nb_events - 2].type, PLM_EVENT_REPLACE);
	assert_string_equal(fx.events[fx.nb_events - 2].reason, "replaced");
	assert_int_equal(fx_last(&fx)->type, PLM_EVENT_ADMIT);
	/* Its SSRCs are free. */
	assert_int_equal(plm_session_claim_ssrc(fx.sessions, fx_session(&fx, "alice"), 0x1234), 0);

	/* The old one does not come back by itself, nor by a replay, while the new one is there. */
	assert_int_equal(fx_check(&fx, &old), 403);
	assert_true(fx_bound(&fx, "alice", &new));
	plm_admit_end(fx.admit, fx_session(&fx, "alice"), PLM_END_DRAIN, fx.now_ns, fx.wall_s);
	assert_int_equal(fx_check(&fx, &old), 0);
}

/* From the same address: a program that was restarted and kept its port. */
static void
replace__keeps_the_tuple(void **state)
{
	struct fx_client c = fx_client("alice", 0);

	assert_int_equal(fx_check(&fx, &c), 0);
	fx_mint(&c, FX_ROOM, "alice", PLM_ROLE_SUBSCRIBE, FX_WALL + 60, FX_SECRET);
	assert_int_equal(fx_check(&fx, &c), 0);
	assert_int_equal(fx_info(&fx, "alice").role, PLM_ROLE_SUBSCRIBE);
	assert_true(fx_bound(&fx, "alice", &c));
}

/* Whoever serves it now may be behind with what it has had already. */
static void
replace__keeps_the_home(void **state)
{
	struct fx_client old = fx_client("alice", 0);
	struct fx_client new = fx_client("alice", 1);
	struct fx_client bob = fx_client("bob", 2);

	fx.is_spread = true;
	fx.spread = 1;
	assert_int_equal(fx_check(&fx, &old), 0);
	assert_int_equal(fx.sessions->hot[fx_session(&fx, "alice").idx].home, 1);
	fx.spread = 0;
	fx_mint(&new, FX_ROOM, "alice", PLM_ROLE_BOTH, FX_WALL + 60, FX_SECRET);
	assert_int_equal(fx_check(&fx, &new), 0);
	assert_int_equal(fx.sessions->hot[fx_session(&fx, "alice").idx].home, 1);
	assert_int_equal(fx_check(&fx, &bob), 0);
	assert_int_equal(fx.sessions->hot[fx_session(&fx, "bob").idx].home, 0);
}

/* Who cannot come in puts nobody out. */
static void
replace__ends_nothing_when_it_cannot_begin(void **state)
{
	struct fx_client old = fx_client("alice", 0);
	struct fx_client new = fx_client("alice", 1);
	struct plm_handle first;

	fx_mint(&new, FX_ROOM, "alice", PLM_ROLE_BOTH, FX_WALL + 60, FX_SECRET);
	assert_int_equal(fx_check(&fx, &old), 0);
	first = fx_session(&fx, "alice");
	fx.route_ret = -EHOSTUNREACH;
	assert_int_equal(fx_check(&fx, &new), SILENT);
	fx.route_ret = 0;
	plm_admit_drain(fx.admit, true);
	assert_int_equal(fx_check(&fx, &new), SILENT);
	assert_true(plm_handle_eq(fx_session(&fx, "alice"), first));
	plm_admit_drain(fx.admit, false);
}

static void
expiry__bars_opening_and_moving_alone(void **state)
{
	struct fx_client a = fx_client("alice", 0);
	struct fx_client b;

	fx_mint(&a, FX_ROOM, "alice", PLM_ROLE_BOTH, FX_WALL + 5, FX_SECRET);
	b = fx_elsewhere(&a, 1);
	assert_int_equal(fx_nominate(&fx, &a, FX_PRIO), 0);
	assert_int_equal(fx_check(&fx, &b), 0);
	for (unsigned int i = 0; i < 30; i++) {
		fx_pass(&fx, 5 * PLM_NS_PER_S);
		assert_int_equal(fx_check(&fx, &a), 0); /* consent goes on */
	}
	struct fx_client c = fx_elsewhere(&a, 2);

	assert_int_equal(fx_nominate(&fx, &c, FX_PRIO), 401);
	assert_int_equal(fx_nominate(&fx, &b, FX_PRIO), 401);
	assert_true(fx_bound(&fx, "alice", &a));
	plm_admit_end(fx.admit, fx_session(&fx, "alice"), PLM_END_DRAIN, fx.now_ns, fx.wall_s);
	assert_int_equal(fx_check(&fx, &a), 401);
}

/* A room whose limit was lowered under its members: who is in keeps the place until it leaves. */
static void
replace__ends_nothing_in_a_room_above_its_limit(void **state)
{
	struct fx_client a = fx_client("alice", 0);
	struct fx_client b = fx_client("bob", 2);
	struct fx_client again;
	struct plm_room_info room;
	struct plm_handle before;
	uint32_t room_idx;

	assert_int_equal(fx_check(&fx, &a), 0);
	assert_int_equal(fx_check(&fx, &b), 0);
	assert_int_equal(plm_room_find(fx.rooms, 'r', FX_ROOM, &room_idx), 0);
	assert_int_equal(plm_room_info(fx.rooms, room_idx, &room), 0);
	room.settings.max_members = 1;
	assert_int_equal(plm_room_set(fx.rooms, room_idx, &room.settings, fx.now_ns), 0);
	again = fx_elsewhere(&a, 4);
	fx_mint(&again, FX_ROOM, "alice", PLM_ROLE_BOTH, FX_WALL + 7200, FX_SECRET);
	before = fx_session(&fx, "alice");
	assert_int_equal(fx_check(&fx, &again), 486);
	assert_true(plm_handle_eq(fx_session(&fx, "alice"), before));
	assert_int_equal(fx_count(&fx, PLM_CNT_ADMIT_SESSIONS), 0);
	/* At the limit it takes its own place. */
	room.settings.max_members = 2;
	assert_int_equal(plm_room_set(fx.rooms, room_idx, &room.settings, fx.now_ns), 0);
	assert_int_equal(fx_check(&fx, &again), 0);
	assert_false(plm_handle_eq(fx_session(&fx, "alice"), before));
}

static void
kick__bars_the_credential_until_it_expires(void **state)
{
	struct fx_client c = fx_client("alice", 0);
	struct fx_client other = fx_client("alice", 1);

	fx_mint(&c, FX_ROOM, "alice", PLM_ROLE_BOTH, FX_WALL + 100, FX_SECRET);
	assert_int_equal(fx_check(&fx, &c), 0);
	assert_int_equal(plm_admit_kick(fx.admit, fx_session(&fx, "alice"), fx.now_ns, fx.wall_s),
			0);
	assert_false(fx_open(&fx, "alice"));
	assert_string_equal(fx_last(&fx)->reason, "kicked");
	assert_int_equal(fx_check(&fx, &c), 403);
	fx_pass(&fx, 50 * PLM_NS_PER_S);
	assert_int_equal(fx_check(&fx, &c), 403);
	assert_int_equal(fx_check(&fx, &other), 0); /* the credential is barred, not the person */
	fx_pass(&fx, 51 * PLM_NS_PER_S);
	assert_int_equal(fx_check(&fx, &c), 401);
	assert_int_equal(plm_admit_kick(fx.admit, PLM_HANDLE_NONE, fx.now_ns, fx.wall_s), -ENOENT);
}

static void
kick__ends_the_session_although_the_list_is_full(void **state)
{
	for (unsigned int i = 0; i < 5; i++) {
		char who[8];
		struct fx_client c;

		snprintf(who, sizeof(who), "p%u", i);
		c = fx_client(who, i);
		assert_int_equal(fx_check(&fx, &c), 0);
		assert_int_equal(plm_admit_kick(fx.admit, fx_session(&fx, who), fx.now_ns,
						 fx.wall_s),
				i < 4 ? 0 : -ENOSPC);
		assert_false(fx_open(&fx, who));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(bind__follows_a_regular_nomination),
		TEST(bind__follows_an_aggressive_nomination_upwards),
		TEST(bind__moves_once_a_second_and_forgets_no_nomination),
		TEST(bind__moves_by_rule),
		TEST(bind__stays_when_there_is_no_way_to_the_new_tuple),
		TEST(bind__accepts_four_tuples),
		TEST(bind__leaves_others_their_tuples),
		TEST(replay__changes_nothing_within_the_window),
		TEST(replay__is_not_what_was_never_answered),
		TEST(replay__opens_no_session_that_has_ended),
		TEST(replay__is_known_across_the_sessions_of_a_credential),
		TEST(replace__by_another_credential_of_the_participant),
		TEST(replace__keeps_the_tuple),
		TEST(replace__keeps_the_home),
		TEST(replace__ends_nothing_when_it_cannot_begin),
		TEST(replace__ends_nothing_in_a_room_above_its_limit),
		TEST(expiry__bars_opening_and_moving_alone),
		TEST(kick__bars_the_credential_until_it_expires),
		TEST(kick__ends_the_session_although_the_list_is_full),
	};

	test_eal_init(128);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

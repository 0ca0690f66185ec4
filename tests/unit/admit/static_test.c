/* SPDX-License-Identifier: BSD-3-Clause */
/* Static endpoints: rows of them, the list and what follows from a new one, and who gives way. */
#include <errno.h>
#include <stdio.h>

#include "fixture.h"

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
	/* Nothing is to come back while everybody is sent away. */
	plm_admit_static_begin(fx.admit);
	plm_admit_static_commit(fx.admit);
	fx_pass(&fx, PLM_NS_PER_S);
	fx_free(&fx);
	return 0;
}

/* A subscriber at 198.18.9.`host`, UDP port 5004. */
static struct plm_static
endpoint(const char *who, uint8_t host, uint32_t count)
{
	struct plm_static s;

	memset(&s, 0, sizeof(s));
	snprintf(s.room, sizeof(s.room), "%s", FX_ROOM);
	snprintf(s.participant, sizeof(s.participant), "%s", who);
	memcpy(s.tuple.addr, (uint8_t[]){ 198, 18, 9, host }, 4);
	s.tuple.port = rte_cpu_to_be_16(5004);
	s.role = PLM_ROLE_BOTH;
	s.count = count;
	return s;
}

static void
list(const struct plm_static *entries, unsigned int n)
{
	plm_admit_static_begin(fx.admit);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(plm_admit_static_add(fx.admit, &entries[i]), 0);
	plm_admit_static_commit(fx.admit);
	fx_pass(&fx, 200 * PLM_NS_PER_MS);
}

static void
static_at__goes_on_by_port_or_address(void **state)
{
	static const struct {
		const char *name;
		bool is_v6;
		uint8_t addr[16];
		uint16_t port;
		bool each_address;
		uint32_t count;
		uint32_t i;
		int want;
		uint8_t want_addr[16];
		uint16_t want_port;
		const char *want_name;
	} cases[] = {
		{ "alone", false, { 198, 18, 0, 7 }, 5004, false, 1, 0, 0, { 198, 18, 0, 7 }, 5004,
				"a" },
		{ "first of a row", false, { 198, 18, 0, 7 }, 5004, false, 3, 0, 0,
				{ 198, 18, 0, 7 }, 5004, "a-1" },
		{ "next port", false, { 198, 18, 0, 7 }, 5004, false, 3, 2, 0, { 198, 18, 0, 7 },
				5006, "a-3" },
		{ "next address", false, { 198, 18, 0, 255 }, 5004, true, 300, 257, 0,
				{ 198, 18, 2, 0 }, 5004, "a-258" },
		{ "IPv6", true, { 0xfd, [14] = 0xff, [15] = 0xff }, 9, true, 2, 1, 0,
				{ 0xfd, [13] = 1 }, 9, "a-2" },
		{ "beyond the row", false, { 198, 18, 0, 7 }, 5004, false, 3, 3, -ERANGE, { 0 }, 0,
				NULL },
		{ "the last port", false, { 198, 18, 0, 7 }, 65535, false, 2, 0, 0,
				{ 198, 18, 0, 7 }, 65535, "a-1" },
		{ "beyond the last port", false, { 198, 18, 0, 7 }, 65535, false, 2, 1, -ERANGE,
				{ 0 }, 0, NULL },
		{ "beyond the last address", false, { 255, 255, 255, 255 }, 1, true, 2, 1, -ERANGE,
				{ 0 }, 0, NULL },
	};

	for (size_t c = 0; c < RTE_DIM(cases); c++) {
		struct plm_static s = endpoint("a", 0, cases[c].count);
		struct plm_tuple tuple = { .port = 7 };
		char name[PLM_NAME_SIZE] = "untouched";

		print_message("  %s\n", cases[c].name);
		s.tuple.is_v6 = cases[c].is_v6;
		s.tuple.port = rte_cpu_to_be_16(cases[c].port);
		memcpy(s.tuple.addr, cases[c].addr, 16);
		s.each_address = cases[c].each_address;
		assert_int_equal(plm_static_at(&s, cases[c].i, &tuple, name), cases[c].want);
		if (cases[c].want < 0) {
			assert_int_equal(tuple.port, 7);
			assert_string_equal(name, "untouched");
			continue;
		}
		assert_memory_equal(tuple.addr, cases[c].want_addr, 16);
		assert_int_equal(rte_be_to_cpu_16(tuple.port), cases[c].want_port);
		assert_string_equal(name, cases[c].want_name);
	}
}

static void
static_at__keeps_names_within_their_size(void **state)
{
	struct plm_static s = endpoint("", 1, 100);
	struct plm_tuple tuple;
	char name[PLM_NAME_SIZE];

	memset(s.participant, 'x', PLM_NAME_SIZE - 3);
	assert_int_equal(plm_static_at(&s, 8, &tuple, name), 0);
	assert_int_equal(strlen(name), PLM_NAME_SIZE - 1);
	assert_int_equal(plm_static_at(&s, 9, &tuple, name), -ENAMETOOLONG);
	plm_admit_static_begin(fx.admit);
	assert_int_equal(plm_admit_static_add(fx.admit, &s), -EINVAL);
	s.count = 0;
	assert_int_equal(plm_admit_static_add(fx.admit, &s), -EINVAL);
}

static void
static_same__finds_what_two_entries_share(void **state)
{
	static const struct {
		const char *name;
		const char *who[2];
		uint8_t host[2];
		uint16_t port[2];
		bool each_address[2];
		uint32_t count[2];
		bool same_name;
		bool same_tuple;
	} cases[] = {
		{ "nothing", { "a", "b" }, { 1, 2 }, { 1, 1 }, { 0 }, { 1, 1 }, false, false },
		{ "all", { "a", "a" }, { 1, 1 }, { 1, 1 }, { 0 }, { 1, 1 }, true, true },
		{ "the port after the row", { "a", "b" }, { 1, 1 }, { 1, 11 }, { 0 }, { 10, 1 },
				false, false },
		{ "its last port", { "a", "b" }, { 1, 1 }, { 1, 10 }, { 0 }, { 10, 1 }, false,
				true },
		{ "rows that meet", { "a", "b" }, { 1, 1 }, { 1, 5 }, { 0 }, { 5, 5 }, false,
				true },
		{ "rows that cross", { "a", "b" }, { 1, 3 }, { 5, 1 }, { true, false }, { 9, 9 },
				false, true },
		{ "rows that pass", { "a", "b" }, { 1, 3 }, { 10, 1 }, { true, false }, { 9, 9 },
				false, false },
		{ "a name of a row", { "a", "a-3" }, { 1, 9 }, { 1, 1 }, { 0 }, { 3, 1 }, true,
				false },
		{ "one behind the row", { "a", "a-4" }, { 1, 9 }, { 1, 1 }, { 0 }, { 3, 1 }, false,
				false },
		{ "not as we write it", { "a", "a-03" }, { 1, 9 }, { 1, 1 }, { 0 }, { 3, 1 }, false,
				false },
		{ "no number at all", { "a", "a-" }, { 1, 9 }, { 1, 1 }, { 0 }, { 3, 1 }, false,
				false },
		{ "a row and its base", { "a", "a" }, { 1, 9 }, { 1, 1 }, { 0 }, { 3, 1 }, false,
				false },
		{ "rows of one base", { "a", "a" }, { 1, 9 }, { 1, 1 }, { 0 }, { 3, 2 }, true,
				false },
		{ "rows whose bases look alike", { "a", "a-1" }, { 1, 9 }, { 1, 1 }, { 0 },
				{ 30, 30 }, false, false },
	};

	for (size_t c = 0; c < RTE_DIM(cases); c++) {
		struct plm_static s[2];

		print_message("  %s\n", cases[c].name);
		for (unsigned int i = 0; i < 2; i++) {
			s[i] = endpoint(cases[c].who[i], cases[c].host[i], cases[c].count[i]);
			s[i].tuple.port = rte_cpu_to_be_16(cases[c].port[i]);
			s[i].each_address = cases[c].each_address[i];
		}
		for (unsigned int i = 0; i < 2; i++) {
			assert_int_equal(plm_static_same_name(&s[i], &s[!i]), cases[c].same_name);
			assert_int_equal(plm_static_same_tuple(&s[i], &s[!i]), cases[c].same_tuple);
		}
		/* Another own address is another endpoint, another room another participant. */
		s[1].tuple.local_idx = 1;
		assert_false(plm_static_same_tuple(&s[0], &s[1]));
		strcpy(s[1].room, "green");
		assert_false(plm_static_same_name(&s[0], &s[1]));
	}
}

static void
static__opens_what_is_listed_and_keeps_it(void **state)
{
	struct plm_static entries[] = { endpoint("cam", 1, 1), endpoint("screen", 2, 3) };
	struct plm_static_info listed;
	const struct plm_member *member;
	struct plm_session_hot *hot;
	struct plm_admit_info info;
	struct plm_tuple tuple;
	plm_sref_t ref;

	entries[0].role = PLM_ROLE_PUBLISH;
	entries[0].packets_per_s = 100;
	entries[0].bits_per_s = 1000000;
	entries[0].tuple.local_idx = 3;
	entries[1].role = PLM_ROLE_SUBSCRIBE;
	list(entries, 2);
	assert_int_equal(plm_admit_nb_static(fx.admit), 4);
	assert_int_equal(fx_count(&fx, PLM_CNT_STATIC_OPENED), 4);
	assert_int_equal(fx_count(&fx, PLM_CNT_STUN_ADMITTED), 0);
	assert_int_equal(fx_last(&fx)->type, PLM_EVENT_ADMIT);
	assert_string_equal(fx_last(&fx)->reason, "static");

	info = fx_info(&fx, "cam");
	assert_true(info.is_static);
	assert_int_equal(info.role, PLM_ROLE_PUBLISH);
	member = plm_room_member_by_name(fx.rooms, info.room_idx, "cam");
	assert_int_equal(member->flags, PLM_SUB_PUBLISHES);
	ref = plm_session_find(fx.sessions, &entries[0].tuple);
	hot = plm_session_get(fx.sessions, ref);
	assert_non_null(hot);
	assert_int_equal(hot->packet_rate.cost, 10000000); /* ns */
	assert_int_equal(hot->bit_rate.cost, 1024000);     /* 1/1024 ns */
	/* It is heard on the own address that it is bound to, and on no other. */
	tuple = entries[0].tuple;
	tuple.local_idx = 2;
	assert_int_equal(plm_session_find(fx.sessions, &tuple), 0);

	member = plm_room_member_by_name(fx.rooms, info.room_idx, "screen-3");
	assert_int_equal(member->flags, PLM_SUB_SUBSCRIBES);
	tuple = entries[1].tuple;
	tuple.port = rte_cpu_to_be_16(5006);
	assert_int_equal(plm_sref_idx(plm_session_find(fx.sessions, &tuple)), member->session_idx);
	assert_int_equal(plm_admit_static_get(fx.admit, 3, &listed), 0);
	assert_string_equal(listed.participant, "screen-3");
	assert_int_equal(listed.session.idx, member->session_idx);
	assert_memory_equal(&listed.tuple, &tuple, sizeof(tuple));
	assert_int_equal(plm_admit_static_get(fx.admit, 4, &listed), -ENOENT);

	/* Neither consent nor anything else ends it. */
	fx_pass(&fx, 120 * PLM_NS_PER_S);
	assert_int_equal(plm_admit_nb_static(fx.admit), 4);
	assert_int_equal(fx_count(&fx, PLM_CNT_SESSIONS_ENDED), 0);
}

static void
static__a_new_list_touches_only_what_differs(void **state)
{
	static const char *const names[] = { "same", "role", "rate", "bits", "port", "own",
		"gone" };
	struct plm_static entries[RTE_DIM(names) + 1];
	struct plm_handle before[RTE_DIM(names)];

	for (unsigned int i = 0; i < RTE_DIM(names); i++)
		entries[i] = endpoint(names[i], (uint8_t)(i + 1), 1);
	list(entries, RTE_DIM(names));
	for (unsigned int i = 0; i < RTE_DIM(names); i++) {
		before[i] = fx_session(&fx, names[i]);
		assert_int_not_equal(before[i].gen, 0);
	}
	entries[1].role = PLM_ROLE_SUBSCRIBE;
	entries[2].packets_per_s = 5;
	entries[3].bits_per_s = 5000;
	entries[4].tuple.port = rte_cpu_to_be_16(6000);
	entries[5].tuple.local_idx = 1;
	entries[6] = endpoint("new", 9, 1);
	list(entries, RTE_DIM(names));
	assert_true(plm_handle_eq(fx_session(&fx, "same"), before[0]));
	for (unsigned int i = 1; i < 6; i++) {
		assert_true(fx_open(&fx, names[i]));
		assert_false(plm_handle_eq(fx_session(&fx, names[i]), before[i]));
	}
	assert_false(fx_open(&fx, "gone"));
	assert_true(fx_open(&fx, "new"));
	assert_int_equal(fx_count(&fx, PLM_CNT_SESSIONS_ENDED), 6);
	assert_int_equal(fx_info(&fx, "role").role, PLM_ROLE_SUBSCRIBE);

	/* A row that grows or moves within the list keeps the endpoints that stay. */
	entries[0] = endpoint("x", 20, 1);
	entries[1] = endpoint("row", 30, 2);
	list(entries, 2);
	before[0] = fx_session(&fx, "row-2");
	entries[0] = endpoint("row", 30, 4);
	list(entries, 1);
	assert_true(plm_handle_eq(fx_session(&fx, "row-2"), before[0]));
	assert_true(fx_open(&fx, "row-4"));
	assert_int_equal(plm_admit_nb_static(fx.admit), 4);
	list(entries, 0);
	assert_int_equal(plm_admit_nb_static(fx.admit), 0);
	assert_int_equal(fx_last(&fx)->type, PLM_EVENT_END);
	assert_string_equal(fx_last(&fx)->reason, "removed");
}

static void
static__list_changes_with_its_commit_alone(void **state)
{
	struct plm_static entry = endpoint("cam", 1, 1);
	struct plm_static other = endpoint("other", 2, 1);

	list(&entry, 1);
	plm_admit_static_begin(fx.admit);
	assert_int_equal(plm_admit_static_add(fx.admit, &other), 0);
	fx_pass(&fx, 2 * PLM_NS_PER_S);
	assert_true(fx_open(&fx, "cam"));
	assert_false(fx_open(&fx, "other"));
	/* Who begins anew forgets what was staged; a list has an end. */
	plm_admit_static_begin(fx.admit);
	for (unsigned int i = 0; i < PLM_STATICS; i++)
		assert_int_equal(plm_admit_static_add(fx.admit, &entry), 0);
	assert_int_equal(plm_admit_static_add(fx.admit, &entry), -ENOSPC);
	list(&entry, 1);
	assert_true(fx_open(&fx, "cam"));
	assert_false(fx_open(&fx, "other"));
	assert_int_equal(fx_count(&fx, PLM_CNT_SESSIONS_ENDED), 0);
}

/* A list as long as one may be, over a room full of static endpoints, every other of which it keeps. */
static void
static__a_long_list_is_followed_in_bounded_turns(void **state)
{
	enum { OPEN = 200, KEPT = OPEN / 2 };
	static struct plm_static entries[PLM_STATICS];
	struct fx_conf conf = fx_defaults();
	struct plm_static row = endpoint("row", 0, OPEN);
	struct plm_handle before[OPEN];
	char name[PLM_NAME_SIZE];
	unsigned int turns = 0;
	uint64_t ended = 0;

	fx_free(&fx);
	conf.max_sessions = OPEN;
	conf.settings.max_members = OPEN;
	fx_create(&fx, &conf);
	list(&row, 1);
	assert_int_equal(plm_admit_nb_static(fx.admit), OPEN);
	for (unsigned int i = 0; i < PLM_STATICS; i++) {
		entries[i] = endpoint("", 1, 1);
		entries[i].tuple.port = rte_cpu_to_be_16((uint16_t)(1 + i));
		snprintf(entries[i].participant, sizeof(entries[i].participant), "new%u", i);
	}
	/* Those that stay are found last. */
	for (unsigned int i = 0; i < KEPT; i++)
		assert_int_equal(plm_static_at(&row, 2 * i, &entries[PLM_STATICS - 1 - i].tuple,
						 entries[PLM_STATICS - 1 - i].participant),
				0);
	for (unsigned int i = 0; i < OPEN; i++) {
		snprintf(name, sizeof(name), "row-%u", i + 1);
		before[i] = fx_session(&fx, name);
	}
	plm_admit_static_begin(fx.admit);
	for (unsigned int i = 0; i < PLM_STATICS; i++)
		assert_int_equal(plm_admit_static_add(fx.admit, &entries[i]), 0);
	plm_admit_static_commit(fx.admit);
	while (ended < OPEN - KEPT) {
		uint64_t now_ended;

		fx.now_ns += PLM_NS_PER_US;
		assert_int_equal(plm_admit_timer(fx.admit, fx.now_ns, fx.wall_s), fx.now_ns);
		now_ended = fx_count(&fx, PLM_CNT_SESSIONS_ENDED);
		/* Four sessions with the whole list are what a turn compares. */
		assert_true(now_ended - ended <= 4);
		ended = now_ended;
		assert_true(++turns <= OPEN / 4);
	}
	assert_int_equal(turns, OPEN / 4);
	for (unsigned int i = 0; i < OPEN; i++) {
		snprintf(name, sizeof(name), "row-%u", i + 1);
		if (i % 2 == 0)
			assert_true(plm_handle_eq(fx_session(&fx, name), before[i]));
		else
			assert_false(fx_open(&fx, name));
	}
	/* The places that are free are the first ones' of the list. */
	fx_pass(&fx, 2 * PLM_NS_PER_S);
	assert_int_equal(plm_admit_nb_static(fx.admit), OPEN);
	assert_true(fx_open(&fx, "new0"));
	assert_int_equal(fx_count(&fx, PLM_CNT_SESSIONS_ENDED), OPEN - KEPT);
}

static void
static__name_is_refused_to_credentials(void **state)
{
	struct plm_static entry = endpoint("cam", 1, 1);
	struct fx_client same = fx_client("cam", 2);
	struct fx_client other = fx_client("cam-1", 4);
	struct plm_handle before;

	list(&entry, 1);
	before = fx_session(&fx, "cam");
	assert_int_equal(fx_check(&fx, &same), 403);
	assert_string_equal(fx_last(&fx)->reason, "static endpoint");
	assert_int_equal(fx_count(&fx, PLM_CNT_STUN_403), 1);
	assert_true(plm_handle_eq(fx_session(&fx, "cam"), before));
	assert_int_equal(fx_check(&fx, &other), 0);
	/* Who cannot sign is told no more than ever. */
	strcpy(same.pwd, other.pwd);
	assert_int_equal(fx_check(&fx, &same), 401);
	/* Nobody else speaks from its address. */
	other = fx_client("thief", 6);
	other.tuple = entry.tuple;
	assert_int_equal(fx_check(&fx, &other), -1);
	assert_int_equal(fx_count(&fx, PLM_CNT_ADMIT_TUPLES), 1);
}

static void
static__takes_the_place_of_its_participants_session(void **state)
{
	struct plm_static entry = endpoint("cam", 1, 1);
	struct fx_client c = fx_client("cam", 2);

	assert_int_equal(fx_check(&fx, &c), 0);
	list(&entry, 1);
	assert_true(fx_info(&fx, "cam").is_static);
	assert_false(fx_accepted(&fx, &c));
	assert_int_equal(fx_count(&fx, PLM_CNT_SESSIONS_REPLACED), 1);
	assert_int_equal(fx_check(&fx, &c), 403);
}

static void
static__waits_for_a_place(void **state)
{
	struct plm_static entry = endpoint("cam", 1, 1);
	struct plm_static_info listed;
	struct fx_client c[8];

	for (unsigned int i = 0; i < 8; i++) {
		char name[8];

		snprintf(name, sizeof(name), "m%u", i);
		c[i] = fx_client(name, 2 * i);
		assert_int_equal(fx_check(&fx, &c[i]), 0);
	}
	list(&entry, 1);
	assert_false(fx_open(&fx, "cam"));
	assert_int_equal(plm_admit_static_get(fx.admit, 0, &listed), 0);
	assert_int_equal(listed.session.gen, 0);
	assert_int_equal(fx_count(&fx, PLM_CNT_STATIC_WAITING), 1);
	fx_pass(&fx, 3 * PLM_NS_PER_S);
	assert_in_range(fx_count(&fx, PLM_CNT_STATIC_WAITING), 3, 4); /* once a second */
	plm_admit_end(fx.admit, fx_session(&fx, "m0"), PLM_END_KICKED, fx.now_ns, fx.wall_s);
	fx_pass(&fx, 1100 * PLM_NS_PER_MS);
	assert_true(fx_open(&fx, "cam"));

	/* So it does where a session has the address. */
	entry.tuple = c[1].tuple;
	list(&entry, 1);
	assert_false(fx_open(&fx, "cam"));
	plm_admit_end(fx.admit, fx_session(&fx, "m1"), PLM_END_KICKED, fx.now_ns, fx.wall_s);
	fx_pass(&fx, 1100 * PLM_NS_PER_MS);
	assert_true(fx_open(&fx, "cam"));
}

static void
static__is_not_kicked_and_ends_with_a_drain(void **state)
{
	struct plm_static entry = endpoint("cam", 1, 2);

	list(&entry, 1);
	assert_int_equal(plm_admit_kick(fx.admit, fx_session(&fx, "cam-1"), fx.now_ns, fx.wall_s),
			-EPERM);
	assert_true(fx_open(&fx, "cam-1"));
	plm_admit_drain(fx.admit, true);
	plm_admit_end(fx.admit, fx_session(&fx, "cam-1"), PLM_END_DRAIN, fx.now_ns, fx.wall_s);
	entry.count = 3;
	list(&entry, 1);
	assert_int_equal(plm_admit_nb_static(fx.admit), 1);
	plm_admit_drain(fx.admit, false);
	fx_pass(&fx, 200 * PLM_NS_PER_MS);
	assert_int_equal(plm_admit_nb_static(fx.admit), 3);
}

static void
limits__hold_from_now_on(void **state)
{
	struct plm_admit_limits limits;
	struct fx_client c[4];

	for (unsigned int i = 0; i < 4; i++) {
		char name[8];

		snprintf(name, sizeof(name), "m%u", i);
		c[i] = fx_client(name, 2 * i);
	}
	assert_int_equal(fx_check(&fx, &c[0]), 0);
	assert_int_equal(fx_check(&fx, &c[1]), 0);
	plm_admit_get_limits(fx.admit, &limits);
	limits.participants = 1;
	plm_admit_set_limits(fx.admit, &limits);
	assert_int_equal(fx_check(&fx, &c[2]), 486);
	assert_int_equal(fx_check(&fx, &c[0]), 0); /* who is in stays in */
	limits.participants = 8;
	limits.sessions = 2;
	plm_admit_set_limits(fx.admit, &limits);
	assert_int_equal(fx_check(&fx, &c[2]), -1);
	assert_int_equal(fx_count(&fx, PLM_CNT_ADMIT_SESSIONS), 1);
	limits.sessions = 1000; /* more than the table has */
	limits.rooms = 1;
	plm_admit_set_limits(fx.admit, &limits);
	plm_admit_get_limits(fx.admit, &limits);
	assert_int_equal(limits.sessions, 64);
	assert_int_equal(fx_check(&fx, &c[2]), 0);
	fx_mint(&c[3], "green", "m3", PLM_ROLE_BOTH, FX_WALL + 3600, FX_SECRET);
	assert_int_equal(fx_check(&fx, &c[3]), -1);
	assert_int_equal(fx_count(&fx, PLM_CNT_ADMIT_ROOMS), 1);
	limits.rooms = 8;
	limits.ssrcs = 3;
	limits.admissions_per_s = 1;
	plm_admit_set_limits(fx.admit, &limits);
	assert_int_equal(fx_check(&fx, &c[3]), 0);
	assert_int_equal(fx.sessions->hot[plm_sref_idx(plm_session_find(fx.sessions, &c[3].tuple))]
					 .max_ssrcs,
			3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		cmocka_unit_test(static_at__goes_on_by_port_or_address),
		TEST(static_at__keeps_names_within_their_size),
		cmocka_unit_test(static_same__finds_what_two_entries_share),
		TEST(static__opens_what_is_listed_and_keeps_it),
		TEST(static__a_new_list_touches_only_what_differs),
		TEST(static__list_changes_with_its_commit_alone),
		TEST(static__a_long_list_is_followed_in_bounded_turns),
		TEST(static__name_is_refused_to_credentials),
		TEST(static__takes_the_place_of_its_participants_session),
		TEST(static__waits_for_a_place),
		TEST(static__is_not_kicked_and_ends_with_a_drain),
		TEST(limits__hold_from_now_on),
	};

	test_eal_init(128);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

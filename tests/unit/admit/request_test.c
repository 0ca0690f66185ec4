/* SPDX-License-Identifier: BSD-3-Clause */
/* Which requests are answered how, which open a session, and that no answer outgrows its request. */
#include <errno.h>

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
	fx_free(&fx);
	return 0;
}

#define SILENT (-1)

static const struct {
	const char *name;
	const char *secret; /* NULL: the relay's */
	int expires_in;     /* seconds */
	struct fx_req req;
	int want;
	enum plm_counter counter;
} request_cases[] = {
	{ "an ordinary check", NULL, 3600, { 0 }, 0, PLM_CNT_STUN_ADMITTED },
	{ "nomination in the first check", NULL, 3600, { .use_candidate = true }, 0,
			PLM_CNT_STUN_ADMITTED },
	{ "neither role attribute", NULL, 3600, { .no_role = true }, 0, PLM_CNT_STUN_ADMITTED },
	{ "no FINGERPRINT", NULL, 3600, { .no_fingerprint = true }, 0, PLM_CNT_STUN_ADMITTED },
	{ "unknown optional attribute", NULL, 3600, { .extra = 0xc057 }, 0, PLM_CNT_STUN_ADMITTED },
	{ "no USERNAME", NULL, 3600, { .no_username = true }, 400, PLM_CNT_STUN_400 },
	{ "no MESSAGE-INTEGRITY", NULL, 3600, { .no_integrity = true }, 400, PLM_CNT_STUN_400 },
	{ "USERNAME without colon", NULL, 3600, { .no_colon = true }, 401, PLM_CNT_STUN_401 },
	{ "signed by a stranger", "nobody's secret", 3600, { 0 }, 401, PLM_CNT_STUN_401 },
	{ "expired", NULL, -1, { 0 }, 401, PLM_CNT_STUN_401 },
	{ "expires this second", NULL, 0, { 0 }, 401, PLM_CNT_STUN_401 },
	{ "unknown mandatory attribute", NULL, 3600, { .extra = 0x7fff }, 420, PLM_CNT_STUN_420 },
	{ "controlled", NULL, 3600, { .controlled = true }, 487, PLM_CNT_STUN_487 },
	{ "controlled and unknown attribute", NULL, 3600, { .controlled = true, .extra = 0x7fff },
			420, PLM_CNT_STUN_420 },
	{ "controlled stranger", "nobody's secret", 3600, { .controlled = true }, 401,
			PLM_CNT_STUN_401 },
};

static void
request__is_answered_by_rule(void **state)
{
	for (size_t i = 0; i < RTE_DIM(request_cases); i++) {
		const char *secret = request_cases[i].secret;
		struct fx_client c = fx_client("alice", (unsigned int)i);
		uint64_t before = fx_count(&fx, request_cases[i].counter);
		int ret;

		fx_mint(&c, FX_ROOM, "alice", PLM_ROLE_BOTH,
				fx.wall_s + (uint64_t)request_cases[i].expires_in,
				secret != NULL ? secret : FX_SECRET);
		ret = fx_send(&fx, &c, &request_cases[i].req);
		if (ret != request_cases[i].want)
			fail_msg("%s: %d, not %d", request_cases[i].name, ret,
					request_cases[i].want);
		assert_int_equal(fx_count(&fx, request_cases[i].counter), before + 1);
		if (ret > 0) {
			assert_int_equal(fx_last(&fx)->type, PLM_EVENT_REFUSE);
			assert_int_equal(fx_last(&fx)->code, ret);
			assert_true(fx_last(&fx)->reason[0] != '\0');
		}
		assert_int_equal(fx_open(&fx, "alice"), ret == 0);
		if (ret == 0)
			plm_admit_end(fx.admit, fx_session(&fx, "alice"), PLM_END_DRAIN, fx.now_ns,
					fx.wall_s);
	}
}

/* A role that does not exist, but was signed. */
static void
request__of_an_unknown_role_is_forbidden(void **state)
{
	struct fx_client c = fx_client("alice", 0);
	char text[64];
	uint8_t mac[PLM_SHA256_SIZE];
	int len;

	snprintf(text, sizeof(text), "1:%u:%s:alice:x", (unsigned int)FX_WALL + 60, FX_ROOM);
	len = plm_base64_encode(text, strlen(text), c.ufrag, sizeof(c.ufrag));
	plm_hmac_sha256(fx.hmac, FX_SECRET, strlen(FX_SECRET), c.ufrag, (size_t)len, mac);
	plm_base64_encode(mac, sizeof(mac), c.pwd, sizeof(c.pwd));
	assert_int_equal(fx_check(&fx, &c), 403);
	assert_false(fx_open(&fx, "alice"));
}

/* One character of the user name changed: another role, room, expiry; never a way in. */
static void
request__tampered_with_is_refused(void **state)
{
	struct fx_client good = fx_client("alice", 0);

	for (size_t i = 0; good.ufrag[i] != '\0'; i++) {
		struct fx_client c = good;

		c.ufrag[i] = c.ufrag[i] == 'A' ? 'B' : 'A';
		if (strcmp(c.ufrag, good.ufrag) != 0)
			assert_int_equal(fx_check(&fx, &c), 401);
	}
	assert_int_equal(plm_session_nb_open(fx.sessions), 0);
}

static void
request__opens_with_what_the_credential_grants(void **state)
{
	struct fx_client c = fx_client("pub", 0);
	const struct plm_session_hot *hot;
	const struct plm_member *member;
	struct plm_admit_info info;

	fx.settings.packets_per_s = 1000;
	fx.settings.bits_per_s = 2000000;
	fx.home = 1;
	fx_mint(&c, FX_ROOM, "pub", PLM_ROLE_PUBLISH, FX_WALL + 60, FX_SECRET);
	assert_int_equal(fx_check(&fx, &c), 0);
	info = fx_info(&fx, "pub");
	assert_string_equal(info.participant, "pub");
	assert_int_equal(info.role, PLM_ROLE_PUBLISH);
	assert_int_equal(info.expiry_s, FX_WALL + 60);
	assert_int_equal(info.moves, 0);
	hot = &fx.sessions->hot[fx_session(&fx, "pub").idx];
	assert_int_equal(hot->role, PLM_ROLE_PUBLISH);
	assert_int_equal(hot->home, 1);
	assert_int_equal(hot->max_ssrcs, PLM_SSRCS);
	assert_int_equal(hot->packet_rate.cost, 1000000);
	assert_int_equal(hot->bit_rate.cost, 512000);
	member = plm_room_member_by_name(fx.rooms, info.room_idx, "pub");
	assert_int_equal(member->flags, PLM_SUB_PUBLISHES);
	assert_int_equal(plm_admit_nb_homed(fx.admit, 1), 1);
	assert_true(fx_bound(&fx, "pub", &c));
	assert_int_equal(fx_last(&fx)->type, PLM_EVENT_ADMIT);
	assert_string_equal(fx_last(&fx)->room, FX_ROOM);
	assert_string_equal(fx_last(&fx)->participant, "pub");
}

static void
request__beyond_the_room_is_told_486(void **state)
{
	for (unsigned int i = 0; i < 8; i++) {
		char who[8];
		struct fx_client c;

		snprintf(who, sizeof(who), "m%u", i);
		c = fx_client(who, i);
		assert_int_equal(fx_check(&fx, &c), 0);
	}
	struct fx_client late = fx_client("late", 100);

	assert_int_equal(fx_check(&fx, &late), 486);
	/* A member's new credential takes the member's own place. */
	struct fx_client again = fx_client("m3", 101);

	fx_mint(&again, FX_ROOM, "m3", PLM_ROLE_BOTH, FX_WALL + 7200, FX_SECRET);
	assert_int_equal(fx_check(&fx, &again), 0);
	assert_int_equal(fx_count(&fx, PLM_CNT_STUN_486), 1);
}

/* A QUIC client that is not let in is told of as others are. */
static void
quic__refusals_are_events_with_a_reason(void **state)
{
	struct plm_admit_limits limits, few;
	struct plm_admit_quic req = {
		.room = FX_ROOM,
		.role = PLM_ROLE_BOTH,
		.tuple = { .addr = { 198, 18, 0, 7 }, .port = RTE_BE16(7000) },
		.now_ns = fx.now_ns,
		.wall_s = fx.wall_s,
	};
	struct plm_handle session;
	char who[8];

	req.participant = who;
	for (unsigned int i = 0; i < 8; i++) {
		snprintf(who, sizeof(who), "q%u", i);
		assert_int_equal(plm_admit_quic(fx.admit, &req, &session), 0);
		assert_int_equal(fx_last(&fx)->type, PLM_EVENT_ADMIT);
	}
	snprintf(who, sizeof(who), "late");
	assert_int_equal(plm_admit_quic(fx.admit, &req, &session), -ENOSPC);
	assert_int_equal(fx_last(&fx)->type, PLM_EVENT_REFUSE);
	assert_string_equal(fx_last(&fx)->room, FX_ROOM);
	assert_string_equal(fx_last(&fx)->participant, "late");
	assert_string_equal(fx_last(&fx)->reason, "room full");
	assert_int_equal(fx_last(&fx)->code, 0);
	assert_int_equal(fx_count(&fx, PLM_CNT_QUIC_ROOM_FULL), 1);
	assert_int_equal(fx_count(&fx, PLM_CNT_STUN_486), 0);

	/* And what will pass. */
	req.room = "other";
	plm_admit_get_limits(fx.admit, &limits);
	few = limits;
	few.per_address4 = 8;
	plm_admit_set_limits(fx.admit, &few);
	assert_int_equal(plm_admit_quic(fx.admit, &req, &session), -EAGAIN);
	assert_int_equal(fx_last(&fx)->type, PLM_EVENT_REFUSE);
	assert_string_equal(fx_last(&fx)->reason, "admit_source");
	plm_admit_set_limits(fx.admit, &limits);
	plm_admit_drain(fx.admit, true);
	assert_int_equal(plm_admit_quic(fx.admit, &req, &session), -EAGAIN);
	assert_string_equal(fx_last(&fx)->reason, "admit_draining");
	plm_admit_drain(fx.admit, false);
	assert_int_equal(plm_admit_quic(fx.admit, &req, &session), 0);
	assert_int_equal(fx_count(&fx, PLM_CNT_QUIC_ROOM_FULL), 1);
}

static void
request__meets_silence_where_trying_again_helps(void **state)
{
	struct fx_client c = fx_client("alice", 0);

	plm_admit_drain(fx.admit, true);
	assert_int_equal(fx_check(&fx, &c), SILENT);
	assert_int_equal(fx_count(&fx, PLM_CNT_ADMIT_DRAINING), 1);
	assert_int_equal(fx_last(&fx)->type, PLM_EVENT_REFUSE);
	plm_admit_drain(fx.admit, false);

	fx.route_ret = -EHOSTUNREACH;
	assert_int_equal(fx_check(&fx, &c), SILENT);
	assert_int_equal(fx_count(&fx, PLM_CNT_ADMIT_NO_ROUTE), 1);
	fx.route_ret = 0;
	assert_int_equal(fx_check(&fx, &c), 0);
}

static void
request__meets_silence_when_tables_are_full(void **state)
{
	struct fx_client c;
	unsigned int n = 0;

	fx_free(&fx);
	struct fx_conf conf = fx_defaults();

	conf.max_sessions = 4;
	conf.max_rooms = 2;
	fx_create(&fx, &conf);
	for (; n < 2; n++) {
		char room[8];

		snprintf(room, sizeof(room), "room%u", n);
		c = fx_client("x", n);
		fx_mint(&c, room, "x", PLM_ROLE_BOTH, FX_WALL + 60, FX_SECRET);
		assert_int_equal(fx_check(&fx, &c), 0);
	}
	c = fx_client("x", n++);
	fx_mint(&c, "room9", "x", PLM_ROLE_BOTH, FX_WALL + 60, FX_SECRET);
	assert_int_equal(fx_check(&fx, &c), SILENT);
	assert_int_equal(fx_count(&fx, PLM_CNT_ADMIT_ROOMS), 1);
	for (; n < 5; n++) {
		char who[8];

		snprintf(who, sizeof(who), "p%u", n);
		c = fx_client(who, n);
		fx_mint(&c, "room1", who, PLM_ROLE_BOTH, FX_WALL + 60, FX_SECRET);
		assert_int_equal(fx_check(&fx, &c), 0);
	}
	c = fx_client("late", n);
	fx_mint(&c, "room1", "late", PLM_ROLE_BOTH, FX_WALL + 60, FX_SECRET);
	assert_int_equal(fx_check(&fx, &c), SILENT);
	assert_int_equal(fx_count(&fx, PLM_CNT_ADMIT_SESSIONS), 1);
	assert_int_equal(fx.nb_routes, 4);
}

/* At the limit who comes back with another credential takes his own place, as often as there are spare
 * sessions within a grace period, and then keeps what he has. */
static void
request__replaces_its_own_session_at_the_limit(void **state)
{
	struct fx_client late = fx_client("late", 50);
	struct fx_conf conf = fx_defaults();
	struct fx_client c;

	fx_free(&fx);
	conf.max_sessions = 4;
	conf.spare_sessions = 2;
	fx_create(&fx, &conf);
	for (unsigned int i = 0; i < 4; i++) {
		char who[8];

		snprintf(who, sizeof(who), "p%u", i);
		c = fx_client(who, i);
		assert_int_equal(fx_check(&fx, &c), 0);
	}
	assert_int_equal(fx_check(&fx, &late), SILENT);
	for (unsigned int i = 0; i < 2; i++) {
		c = fx_client("p1", 10 + i);
		fx_mint(&c, FX_ROOM, "p1", PLM_ROLE_BOTH, FX_WALL + 7200 + i, FX_SECRET);
		assert_int_equal(fx_check(&fx, &c), 0);
	}
	assert_int_equal(fx_count(&fx, PLM_CNT_SESSIONS_REPLACED), 2);
	assert_int_equal(plm_session_nb_open(fx.sessions), 4);
	c = fx_client("p2", 20);
	fx_mint(&c, FX_ROOM, "p2", PLM_ROLE_BOTH, FX_WALL + 7300, FX_SECRET);
	assert_int_equal(fx_check(&fx, &c), SILENT);
	assert_int_equal(fx_count(&fx, PLM_CNT_ADMIT_SESSIONS), 2);
	assert_true(fx_open(&fx, "p2"));
	assert_int_equal(fx_check(&fx, &late), SILENT);
	fx_pass(&fx, 100 * PLM_NS_PER_MS);
	assert_int_equal(fx_check(&fx, &c), 0);
	assert_int_equal(fx_check(&fx, &late), SILENT);
	assert_int_equal(plm_session_nb_open(fx.sessions), 4);
}

static void
scan__looks_at_no_more_places_than_it_may(void **state)
{
	struct plm_handle h = PLM_HANDLE_NONE;
	uint32_t from = 0;

	for (unsigned int i = 0; i < 3; i++) {
		char who[8];
		struct fx_client c;

		snprintf(who, sizeof(who), "p%u", i);
		c = fx_client(who, i);
		assert_int_equal(fx_check(&fx, &c), 0);
	}
	plm_admit_end(fx.admit, fx_session(&fx, "p1"), PLM_END_KICKED, fx.now_ns, fx.wall_s);
	assert_int_equal(plm_admit_scan(fx.admit, &from, 0, &h), -EAGAIN);
	assert_int_equal(from, 0);
	assert_int_equal(plm_admit_scan(fx.admit, &from, 1, &h), 0);
	assert_true(plm_handle_eq(h, fx_session(&fx, "p0")) && from == 1);
	assert_int_equal(plm_admit_scan(fx.admit, &from, 1, &h), -EAGAIN);
	assert_int_equal(from, 2);
	assert_int_equal(plm_admit_scan(fx.admit, &from, 9, &h), 0);
	assert_true(plm_handle_eq(h, fx_session(&fx, "p2")) && from == 3);
	assert_int_equal(plm_admit_scan(fx.admit, &from, 60, &h), -EAGAIN);
	assert_int_equal(from, 63);
	assert_int_equal(plm_admit_scan(fx.admit, &from, 60, &h), -ENOENT);
}

static void
request__admissions_keep_to_their_rate(void **state)
{
	unsigned int admitted = 0;

	fx_free(&fx);
	struct fx_conf conf = fx_defaults();

	conf.admissions_per_s = 10;
	conf.settings.max_members = 60;
	fx_create(&fx, &conf);
	/* A second's worth at once, then one every 100 ms; refreshes cost nothing. */
	for (unsigned int i = 0; i < 50; i++) {
		char who[8];
		struct fx_client c;

		snprintf(who, sizeof(who), "p%u", i);
		c = fx_client(who, i);
		admitted += fx_check(&fx, &c) == 0;
		if (i < 10)
			assert_int_equal(fx_check(&fx, &c), 0);
		if (i == 29)
			fx_pass(&fx, 300 * PLM_NS_PER_MS);
	}
	assert_int_equal(admitted, 13);
	assert_int_equal(fx_count(&fx, PLM_CNT_ADMIT_RATE), 37);
}

static void
request__both_secrets_verify_during_a_rotation(void **state)
{
	struct plm_secrets both = fx.conf.secrets;
	struct plm_secrets new = { .nb = 1 };
	struct fx_client old_c = fx_client("old", 0);
	struct fx_client new_c = fx_client("new", 1);
	struct fx_client late = fx_client("late", 2);

	fx_mint(&new_c, FX_ROOM, "new", PLM_ROLE_BOTH, FX_WALL + 60, FX_OTHER);
	assert_int_equal(fx_check(&fx, &old_c), 0);
	assert_int_equal(fx_check(&fx, &new_c), 401);
	memcpy(both.s[1].key, FX_OTHER, strlen(FX_OTHER));
	both.s[1].len = strlen(FX_OTHER);
	both.nb = 2;
	plm_admit_set_secrets(fx.admit, &both);
	assert_int_equal(fx_check(&fx, &new_c), 0);
	new.s[0] = both.s[1];
	plm_admit_set_secrets(fx.admit, &new);
	/* The old secret opens nothing any more; what it opened runs on, and may move. */
	assert_int_equal(fx_check(&fx, &late), 401);
	assert_int_equal(fx_check(&fx, &old_c), 0);
	struct fx_client moved = fx_elsewhere(&old_c, 4);

	assert_int_equal(fx_nominate(&fx, &moved, FX_PRIO), 0);
	assert_true(fx_bound(&fx, "old", &moved));
}

static void
message__that_is_no_request_gets_no_answer(void **state)
{
	static const uint16_t types[] = { 0x0011, 0x0101, 0x0111, 0x0003, 0x0002 };
	struct fx_client c = fx_client("alice", 0);
	struct fx_msg msg;

	for (size_t i = 0; i < RTE_DIM(types); i++) {
		fx_build(&fx, &c, &(struct fx_req){ .no_fingerprint = true }, &msg);
		msg.buf[0] = (uint8_t)(types[i] >> 8);
		msg.buf[1] = (uint8_t)types[i];
		assert_int_equal(fx_deliver(&fx, &c, &c.tuple, &msg), SILENT);
	}
	assert_int_equal(fx_count(&fx, PLM_CNT_STUN_INDICATIONS), 1);
	assert_int_equal(fx_count(&fx, PLM_CNT_STUN_MALFORMED), RTE_DIM(types) - 1);
	assert_int_equal(fx_count(&fx, PLM_CNT_STUN_REQUESTS), 0);
}

/* fx_deliver() checks every answer's size; here over messages of every kind and length, most of
 * them damaged, and of sessions that are open. */
static void
answer__never_outgrows_its_request(void **state)
{
	struct fx_client c = fx_client("alice", 1);
	uint32_t seed = 1;
	unsigned int answered = 0;

	assert_int_equal(fx_check(&fx, &c), 0);
	for (unsigned int i = 0; i < 200000; i++) {
		struct fx_client who = c;
		struct fx_msg msg;
		struct fx_req req;

		seed = seed * 1664525 + 1013904223;
		req = (struct fx_req){
			.use_candidate = seed >> 8 & 1,
			.controlled = (seed >> 9 & 3) == 0,
			.no_role = seed >> 11 & 1,
			.no_username = (seed >> 12 & 7) == 0,
			.no_integrity = (seed >> 15 & 7) == 0,
			.no_fingerprint = seed >> 18 & 1,
			.no_padding_attrs = seed >> 19 & 1,
			.no_colon = (seed >> 20 & 7) == 0,
			.extra = (seed >> 23 & 3) == 0 ? 0x7000 : 0,
		};
		if ((seed >> 25 & 3) == 0)
			who.ufrag[seed >> 27 & 15] ^= 1;
		fx_build(&fx, &who, &req, &msg);
		c.tid = who.tid;
		answered += fx_deliver(&fx, &who, &c.tuple, &msg) >= 0;
	}
	assert_true(answered > 100000);
	assert_true(fx_count(&fx, PLM_CNT_STUN_400) > 0 && fx_count(&fx, PLM_CNT_STUN_401) > 0 &&
			fx_count(&fx, PLM_CNT_STUN_420) > 0 && fx_count(&fx, PLM_CNT_STUN_487) > 0);
}

/* A request of the 28 bytes that a header and a FINGERPRINT take: the error would be larger. */
static void
answer__that_would_outgrow_is_not_sent(void **state)
{
	struct fx_client c = fx_client("alice", 0);
	struct fx_req bare = { .no_username = true,
		.no_integrity = true,
		.no_padding_attrs = true,
		.no_role = true };

	assert_int_equal(fx_send(&fx, &c, &bare), SILENT);
	assert_int_equal(fx_count(&fx, PLM_CNT_STUN_SILENT), 1);
	/* Eight bytes more hold the code, without a phrase. */
	bare.extra = 0x7000;
	assert_int_equal(fx_send(&fx, &c, &bare), 400);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(request__is_answered_by_rule),
		TEST(request__of_an_unknown_role_is_forbidden),
		TEST(request__tampered_with_is_refused),
		TEST(request__opens_with_what_the_credential_grants),
		TEST(request__beyond_the_room_is_told_486),
		TEST(quic__refusals_are_events_with_a_reason),
		TEST(request__meets_silence_where_trying_again_helps),
		TEST(request__meets_silence_when_tables_are_full),
		TEST(request__replaces_its_own_session_at_the_limit),
		TEST(scan__looks_at_no_more_places_than_it_may),
		TEST(request__admissions_keep_to_their_rate),
		TEST(request__both_secrets_verify_during_a_rotation),
		TEST(message__that_is_no_request_gets_no_answer),
		TEST(answer__never_outgrows_its_request),
		TEST(answer__that_would_outgrow_is_not_sent),
	};

	test_eal_init(128);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

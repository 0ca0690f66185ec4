/* SPDX-License-Identifier: BSD-3-Clause */
/* What keeps a session alive, and how soon it is noticed that nothing does. */
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
setup_alive(void **state)
{
	struct fx_conf conf = fx_defaults();

	conf.settings.consent_alive = true;
	fx_create(&fx, &conf);
	return 0;
}

static int
teardown(void **state)
{
	fx_free(&fx);
	return 0;
}

static void
indicate(const struct fx_client *c)
{
	struct fx_msg msg = { .buf = { 0x00, 0x11, 0, 0, 0x21, 0x12, 0xa4, 0x42 }, .len = 20 };

	assert_int_equal(fx_deliver(&fx, c, &c->tuple, &msg), -1);
}

static void
consent__ends_30_s_after_the_last_request(void **state)
{
	struct fx_client c = fx_client("alice", 0);

	assert_int_equal(fx_check(&fx, &c), 0);
	for (unsigned int i = 0; i < 40; i++) {
		fx_pass(&fx, 29 * PLM_NS_PER_S);
		assert_int_equal(fx_check(&fx, &c), 0);
	}
	fx_pass(&fx, 30 * PLM_NS_PER_S - PLM_NS_PER_MS);
	assert_true(fx_open(&fx, "alice"));
	fx_pass(&fx, 200 * PLM_NS_PER_MS);
	assert_false(fx_open(&fx, "alice"));
	assert_false(fx_accepted(&fx, &c));
	assert_string_equal(fx_last(&fx)->reason, "consent");
	assert_int_equal(fx_count(&fx, PLM_CNT_SESSIONS_EXPIRED), 1);
	/* It may come back. */
	assert_int_equal(fx_check(&fx, &c), 0);
}

static void
consent__in_a_strict_room_is_requests_alone(void **state)
{
	struct fx_client c = fx_client("alice", 0);

	assert_int_equal(fx_check(&fx, &c), 0);
	for (unsigned int i = 0; i < 31; i++) {
		fx_pass(&fx, PLM_NS_PER_S);
		if (!fx_open(&fx, "alice"))
			break;
		fx_media(&fx, &c);
		indicate(&c);
	}
	assert_false(fx_open(&fx, "alice"));
}

static void
consent__of_a_live_room_is_media_and_indications_too(void **state)
{
	struct fx_client c = fx_client("alice", 0);
	struct fx_client reserve = fx_elsewhere(&c, 1);

	assert_int_equal(fx_check(&fx, &c), 0);
	for (unsigned int i = 0; i < 4; i++) {
		fx_pass(&fx, 25 * PLM_NS_PER_S);
		fx_media(&fx, &c);
	}
	for (unsigned int i = 0; i < 4; i++) {
		fx_pass(&fx, 25 * PLM_NS_PER_S);
		indicate(&c);
	}
	assert_true(fx_open(&fx, "alice"));
	/* From the bound tuple, not from just any. */
	assert_int_equal(fx_check(&fx, &reserve), 0);
	assert_int_equal(fx_check(&fx, &c), 0);
	for (unsigned int i = 0; i < 32 && fx_open(&fx, "alice"); i++) {
		if (fx_accepted(&fx, &reserve))
			fx_media(&fx, &reserve);
		indicate(&reserve);
		fx_pass(&fx, PLM_NS_PER_S);
	}
	assert_false(fx_open(&fx, "alice"));
}

static void
consent__is_watched_for_many_at_once(void **state)
{
	fx_free(&fx);
	struct fx_conf conf = fx_defaults();

	conf.max_sessions = 4000;
	conf.settings.max_members = 4000;
	fx_create(&fx, &conf);
	for (unsigned int i = 0; i < 4000; i++) {
		char who[8];
		struct fx_client c;

		snprintf(who, sizeof(who), "p%u", i);
		c = fx_client(who, i);
		assert_int_equal(fx_check(&fx, &c), 0);
	}
	fx_pass(&fx, 29900 * PLM_NS_PER_MS);
	assert_int_equal(plm_session_nb_open(fx.sessions), 4000);
	fx_pass(&fx, 1100 * PLM_NS_PER_MS);
	assert_int_equal(plm_session_nb_open(fx.sessions), 0);
}

/* The slow path stood still for minutes: everything is due, nothing is forgotten. */
static void
timer__catches_up_after_a_pause(void **state)
{
	struct fx_client a = fx_client("alice", 0);
	struct fx_client b = fx_client("bob", 2);

	assert_int_equal(fx_check(&fx, &a), 0);
	assert_int_equal(fx_check(&fx, &b), 0);
	fx.now_ns += 20 * PLM_NS_PER_S;
	assert_int_equal(fx_check(&fx, &b), 0);
	fx.now_ns += 15 * PLM_NS_PER_S;
	fx_pass(&fx, 20 * PLM_NS_PER_MS);
	assert_false(fx_open(&fx, "alice"));
	assert_true(fx_open(&fx, "bob"));
	fx.now_ns += 600 * PLM_NS_PER_S;
	fx_pass(&fx, 20 * PLM_NS_PER_MS);
	assert_false(fx_open(&fx, "bob"));
}

static void
max_session__ends_one_that_consents(void **state)
{
	struct fx_client c;

	fx_free(&fx);
	struct fx_conf conf = fx_defaults();

	conf.max_session_ns = 60 * PLM_NS_PER_S;
	fx_create(&fx, &conf);
	c = fx_client("alice", 0);
	assert_int_equal(fx_check(&fx, &c), 0);
	for (unsigned int i = 0; i < 59; i++) {
		fx_pass(&fx, PLM_NS_PER_S);
		assert_int_equal(fx_check(&fx, &c), 0);
	}
	assert_int_equal(fx_info(&fx, "alice").since_ns + 59 * PLM_NS_PER_S, fx.now_ns);
	fx_pass(&fx, 1200 * PLM_NS_PER_MS);
	assert_false(fx_open(&fx, "alice"));
	assert_string_equal(fx_last(&fx)->reason, "max_session");
}

/* Shorter than the consent timeout, too: the first look must not wait for that. */
static void
max_session__may_be_shorter_than_consent(void **state)
{
	struct fx_conf conf = fx_defaults();
	struct fx_client c;

	fx_free(&fx);
	conf.max_session_ns = 5 * PLM_NS_PER_S;
	fx_create(&fx, &conf);
	fx_pass(&fx, 100 * PLM_NS_PER_MS); /* the wheel turns already */
	c = fx_client("alice", 0);
	assert_int_equal(fx_check(&fx, &c), 0);
	fx_pass(&fx, 4900 * PLM_NS_PER_MS);
	assert_true(fx_open(&fx, "alice"));
	fx_pass(&fx, 300 * PLM_NS_PER_MS);
	assert_false(fx_open(&fx, "alice"));
	assert_string_equal(fx_last(&fx)->reason, "max_session");
}

/* Media is stamped with 32 bits of milliseconds: a stamp of a month ago is old, not to come. */
static void
consent__is_not_refreshed_by_media_of_a_month_ago(void **state)
{
	struct fx_client c = fx_client("alice", 0);

	assert_int_equal(fx_check(&fx, &c), 0);
	fx_media(&fx, &c);
	for (unsigned int day = 0; day < 30; day++) {
		fx.now_ns += 86400 * PLM_NS_PER_S;
		assert_int_equal(fx_check(&fx, &c), 0);
	}
	fx_pass(&fx, 31 * PLM_NS_PER_S);
	assert_false(fx_open(&fx, "alice"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(consent__ends_30_s_after_the_last_request),
		TEST(consent__in_a_strict_room_is_requests_alone),
		cmocka_unit_test_setup_teardown(
				consent__of_a_live_room_is_media_and_indications_too, setup_alive,
				teardown),
		TEST(consent__is_watched_for_many_at_once),
		TEST(timer__catches_up_after_a_pause),
		TEST(max_session__ends_one_that_consents),
		TEST(max_session__may_be_shorter_than_consent),
		cmocka_unit_test_setup_teardown(consent__is_not_refreshed_by_media_of_a_month_ago,
				setup_alive, teardown),
	};

	test_eal_init(256);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

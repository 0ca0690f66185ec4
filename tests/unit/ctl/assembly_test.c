/* SPDX-License-Identifier: BSD-3-Clause */
/* Making and undoing a relay: what cannot work is said, and nothing is left. */
#include <errno.h>

#include "fixture.h"

static struct fx fx;

static void
no_workers(struct plm_ctl_conf *conf)
{
	conf->nb_workers = 0;
}

static void
no_ports(struct plm_ctl_conf *conf)
{
	conf->nb_ports = 0;
}

static void
no_address(struct plm_ctl_conf *conf)
{
	conf->nb_locals = 0;
}

static void
no_secret(struct plm_ctl_conf *conf)
{
	conf->secrets.nb = 0;
}

static void
big_room(struct plm_ctl_conf *conf)
{
	conf->max_members = PLM_ROOM_MEMBERS_MAX + 1;
}

static void
many_ssrcs(struct plm_ctl_conf *conf)
{
	conf->max_ssrcs = PLM_SSRCS + 1;
}

static void
no_timeout(struct plm_ctl_conf *conf)
{
	conf->consent_timeout_ns = 0;
}

static void
off_link_gateway(struct plm_ctl_conf *conf)
{
	static struct plm_net_local_conf local;

	local = conf->locals[0];
	memcpy(local.gateway.addr, (uint8_t[]){ 192, 0, 2, 1 }, 4);
	conf->locals = &local;
}

static void
no_parking(struct plm_ctl_conf *conf)
{
	conf->park_entries = 0;
}

static const struct {
	void (*spoil)(struct plm_ctl_conf *conf);
	const char *says;
} bad_cases[] = {
	{ no_workers, "workers" },
	{ no_ports, "ports" },
	{ no_address, "address" },
	{ no_secret, "secrets" },
	{ big_room, "members" },
	{ many_ssrcs, "SSRCs" },
	{ no_timeout, "consent" },
	{ off_link_gateway, "gateway" },
	{ no_parking, "parked" },
};

static void
create__says_what_is_wrong(void **state)
{
	for (size_t i = 0; i < RTE_DIM(bad_cases); i++) {
		struct plm_ctl_conf conf;
		struct plm_ctl *ctl = NULL;
		struct plm_text why;
		char text[256];
		int ret;

		fx_conf(&fx);
		conf = fx.conf;
		bad_cases[i].spoil(&conf);
		plm_text_init(&why, text, sizeof(text));
		ret = plm_ctl_create(&ctl, &conf, &why);
		if (ret >= 0 || strstr(text, bad_cases[i].says) == NULL)
			fail_msg("case %zu: %d, \"%s\"", i, ret, text);
		assert_null(ctl);
		/* Nothing is in the way of the next try under the same name. */
		fx_create(&fx);
		fx_free(&fx);
	}
}

static void
create__copies_rules_and_the_first_match_counts(void **state)
{
	struct plm_room_rule rules[3] = {
		{ "quiet-*", { .max_members = 2 } },
		{ "big", { .max_members = 1000 } },
		{ "*", { .max_members = 5 } },
	};
	static const struct {
		const char *room;
		uint32_t want;
	} cases[] = { { "quiet-1", 2 }, { "big", 32 /* the limit of all */ }, { "any", 5 } };

	fx_conf(&fx);
	fx.conf.rules = rules;
	fx.conf.nb_rules = 3;
	fx_create(&fx);
	memset(rules, 0, sizeof(rules));
	for (unsigned int i = 0; i < RTE_DIM(cases); i++) {
		struct fx_client c = fx_client(cases[i].room, "a", PLM_ROLE_BOTH, i);
		struct plm_room_info info;
		uint32_t room_idx;

		fx_join(&fx, &c);
		assert_int_equal(
				plm_room_find(plm_ctl_rooms(fx.ctl), 'r', cases[i].room, &room_idx),
				0);
		assert_int_equal(plm_room_info(plm_ctl_rooms(fx.ctl), room_idx, &info), 0);
		assert_int_equal(info.settings.max_members, cases[i].want);
	}
	fx_free(&fx);
}

static void
create__makes_tables_with_spare_sessions(void **state)
{
	static const struct {
		uint32_t max;
		uint32_t want;
	} cases[] = {
		{ 1, 2 },
		{ 31, 32 },
		{ 32, 34 },
		{ 1024, 1088 },
		{ 5000, 5064 },
		{ PLM_SESSIONS_MAX - 5, PLM_SESSIONS_MAX },
		{ PLM_SESSIONS_MAX, PLM_SESSIONS_MAX },
	};

	for (unsigned int i = 0; i < RTE_DIM(cases); i++) {
		assert_int_equal(plm_ctl_table_sessions(cases[i].max), cases[i].want);
		if (cases[i].max > 5000)
			continue; /* more memory than a test has */
		fx_conf(&fx);
		fx.conf.max_sessions = cases[i].max;
		fx_create(&fx);
		assert_int_equal(plm_ctl_sessions(fx.ctl)->max_sessions, cases[i].want);
		fx_free(&fx);
	}
}

static void
free__takes_a_relay_in_the_middle_of_everything(void **state)
{
	struct fx_client a;
	struct fx_client b;

	fx_conf(&fx);
	fx_create(&fx);
	a = fx_client("r", "a", PLM_ROLE_BOTH, 0);
	b = fx_client("r", "b", PLM_ROLE_BOTH, 2);
	fx_join(&fx, &a);
	fx_join(&fx, &b);
	fx_rtp(&fx, &a, 1, 1);
	fx_step(&fx, 3);
	plm_admit_end(plm_ctl_admit(fx.ctl), (struct plm_handle){ 0, 0 }, PLM_END_KICKED, fx.now_ns,
			fx.wall_s);
	fx_check(&fx, &b);
	fx_rtp(&fx, &a, 1, 2);
	plm_relay_turn(plm_ctl_relay(fx.ctl), 0, fx.now_ns);
	fx_free(&fx);
	plm_ctl_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create__says_what_is_wrong),
		cmocka_unit_test(create__copies_rules_and_the_first_match_counts),
		cmocka_unit_test(create__makes_tables_with_spare_sessions),
		cmocka_unit_test(free__takes_a_relay_in_the_middle_of_everything),
	};

	test_eal_init(512);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* How many sessions one network may open, and the table that counts them. */
#include <stdio.h>

#include "admit_priv.h"
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

static void
sources__agree_with_a_model(void **state)
{
	enum { NAMES = 60, MAX = 100 };
	struct admit_sources sources;
	uint32_t want[NAMES] = { 0 };
	unsigned int open = 0;
	uint32_t seed = 11;

	assert_int_equal(admit_sources_init(&sources, MAX), 0);
	for (unsigned int i = 0; i < 200000; i++) {
		unsigned int who;
		bool opens;

		seed = seed * 1664525 + 1013904223;
		who = (seed >> 8) % NAMES;
		opens = (seed >> 20) % 2 == 0;
		/* Few distinct low bits, so that probe sequences are long. */
		if (opens && open < MAX) {
			admit_sources_add(&sources, (who + 1) << 4);
			want[who]++;
			open++;
		} else if (!opens && want[who] > 0) {
			admit_sources_del(&sources, (who + 1) << 4);
			want[who]--;
			open--;
		}
		for (unsigned int n = 0; n < NAMES; n++)
			if (admit_sources_get(&sources, (n + 1) << 4) != want[n])
				fail_msg("step %u, name %u", i, n);
	}
	for (unsigned int n = 0; n < NAMES; n++)
		while (want[n]-- > 0)
			admit_sources_del(&sources, (n + 1) << 4);
	for (uint32_t i = 0; i <= sources.mask; i++)
		assert_int_equal(sources.slots[i].hash, 0);
	admit_sources_fini(&sources);
}

/* Participant `i` of a network. */
static struct fx_client
neighbour(bool is_v6, uint8_t network, uint8_t host, unsigned int i)
{
	struct fx_client c;
	char name[16];

	snprintf(name, sizeof(name), "m%u", i);
	c = fx_client(name, 2 * i + is_v6);
	memset(c.tuple.addr, 0, sizeof(c.tuple.addr));
	c.tuple.addr[0] = is_v6 ? 0xfd : 198;
	c.tuple.addr[1] = is_v6 ? 0 : 18;
	c.tuple.addr[is_v6 ? 7 : 2] = network;
	c.tuple.addr[is_v6 ? 15 : 3] = host;
	return c;
}

static void
source__opens_no_more_than_its_share(void **state)
{
	static const struct {
		const char *name;
		bool is_v6;
		uint32_t per_net6;
		uint32_t per_address4;
		bool one_host; /* all from one address, else from one network */
		bool limited;
	} cases[] = {
		{ "no limit", true, 0, 0, true, false },
		{ "a host's /64", true, 2, 0, true, true },
		{ "hosts of one /64", true, 2, 0, false, true },
		{ "IPv4 has a limit of its own", false, 2, 0, true, false },
		{ "one IPv4 address", false, 0, 2, true, true },
		{ "IPv4 neighbours", false, 0, 2, false, false },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		uint64_t silent = fx_count(&fx, PLM_CNT_ADMIT_SOURCE);
		struct plm_admit_limits limits;
		struct fx_client c[3];
		struct fx_client elsewhere;
		struct fx_client again;

		print_message("  %s\n", cases[i].name);
		plm_admit_get_limits(fx.admit, &limits);
		limits.per_net6 = cases[i].per_net6;
		limits.per_address4 = cases[i].per_address4;
		plm_admit_set_limits(fx.admit, &limits);
		for (unsigned int n = 0; n < 3; n++) {
			bool in = n < 2 || !cases[i].limited;

			c[n] = neighbour(cases[i].is_v6, 5,
					cases[i].one_host ? 9 : (uint8_t)(n + 1), n);
			assert_int_equal(fx_check(&fx, &c[n]), in ? 0 : -1);
		}
		assert_int_equal(fx_count(&fx, PLM_CNT_ADMIT_SOURCE) - silent, cases[i].limited);
		if (cases[i].limited) {
			assert_string_equal(fx_last(&fx)->reason, "admit_source");
			/* Others are not concerned, nor is who is in or comes back. */
			elsewhere = neighbour(cases[i].is_v6, 6, 9, 3);
			assert_int_equal(fx_check(&fx, &elsewhere), 0);
			assert_int_equal(fx_check(&fx, &c[0]), 0);
			again = c[0];
			fx_mint(&again, FX_ROOM, "m0", PLM_ROLE_BOTH, FX_WALL + 1800 + i,
					FX_SECRET);
			again.tuple.port ^= 0xff;
			assert_int_equal(fx_check(&fx, &again), 0);
			/* One leaves, another one comes. */
			plm_admit_end(fx.admit, fx_session(&fx, "m1"), PLM_END_DRAIN, fx.now_ns,
					fx.wall_s);
			assert_int_equal(fx_check(&fx, &c[2]), 0);
		}
		for (unsigned int n = 0; n < 4; n++) {
			char name[16];

			snprintf(name, sizeof(name), "m%u", n);
			plm_admit_end(fx.admit, fx_session(&fx, name), PLM_END_DRAIN, fx.now_ns,
					fx.wall_s);
		}
		fx_pass(&fx, 100 * PLM_NS_PER_MS);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sources__agree_with_a_model),
		cmocka_unit_test_setup_teardown(source__opens_no_more_than_its_share, setup,
				teardown),
	};

	test_eal_init(128);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

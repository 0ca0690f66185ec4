/* SPDX-License-Identifier: BSD-3-Clause */
#include <getopt.h>
#include <stdlib.h>

#include "main.h"
#include "test_eal.h"

#define BASE "--vdev net_memif0,role=client --relay 198.18.0.1 --address 198.18.1.1 "
#define GOOD BASE "--secret s "

static const struct {
	const char *line;
	int want;
} cases[] = {
	{ GOOD, 0 },
	{ BASE "--static", 0 },
	{ BASE, -EINVAL },
	{ GOOD "--static", -EINVAL },
	{ "--port 0000:01:00.0 --relay [fd00::1]:99 --address fd00::2 --static", 0 },
	{ "--relay 198.18.0.1 --address 198.18.1.1 --static", -EINVAL },
	{ "--vdev a --address 198.18.1.1 --static", -EINVAL },
	{ "--vdev a --relay 198.18.0.1 --static", -EINVAL },
	{ "--vdev a --relay 198.18.0.1 --address fd00::2 --static", -EINVAL },
	{ "--print-static --address 198.18.1.1", 0 },
	{ GOOD "--gateway 198.18.0.254", 0 },
	{ GOOD "--gateway fd00::1", -EINVAL },
	{ GOOD "--rate max", 0 },
	{ GOOD "--rate 0", -EINVAL },
	{ GOOD "--rate fast", -EINVAL },
	{ GOOD "--size 44,1200:7", 0 },
	{ GOOD "--size 43", -EINVAL },
	{ GOOD "--size 200:0", -EINVAL },
	{ GOOD "--size 1,2", -EINVAL },
	{ GOOD "--size 200,200,200,200,200,200,200,200,200", -EINVAL },
	{ GOOD "--garbage 0.5", 0 },
	{ GOOD "--garbage 1", -EINVAL },
	{ GOOD "--search ndr --trials 16", 0 },
	{ GOOD "--search both", -EINVAL },
	{ GOOD "--trials 17", -EINVAL },
	{ GOOD "--duration 0", -EINVAL },
	{ GOOD "--wait 5", 0 },
	{ GOOD "--wait long", -EINVAL },
	{ GOOD "--rooms 1000 --publishers 1 --subscribers 9", 0 },
	{ GOOD "--rooms 1 --publishers 2000 --subscribers 3000", -EINVAL }, /* pairs */
	{ GOOD "--rooms 6000 --publishers 1 --subscribers 10", -EINVAL },   /* participants */
	{ GOOD "--rooms 5000 --publishers 1 --subscribers 9", -EINVAL },    /* UDP ports */
	{ GOOD "--rooms 5000 --publishers 1 --subscribers 9 --addresses 2", 0 },
	{ BASE "--wzp", 0 },
	{ BASE "--wzp --churn 100 --handshakes-per-s 50 --cipher chacha20", 0 },
	{ GOOD "--wzp", -EINVAL },
	{ BASE "--wzp --static", -EINVAL },
	{ BASE "--wzp --cipher des", -EINVAL },
	{ BASE "--wzp --join-rate 10", -EINVAL },
	{ GOOD "--handshakes-per-s 10", -EINVAL },
	{ BASE "--wzp --churn 1001", -EINVAL },
	{ BASE "--wzp --handshakes-per-s 0", -EINVAL },
	{ GOOD "--churn 1", -EINVAL }, /* not of WZP */
	{ BASE "--wzp --no-read 0.1 --flood 2000", 0 },
	{ BASE "--wzp --no-read 2", -EINVAL },
	{ GOOD "--no-read 0.1", -EINVAL },
	{ GOOD "--flood 1", -EINVAL },
	{ BASE "--quic", -EINVAL },
	{ BASE "--wzp --publishers 2 --subscribers 0", 0 },
	{ BASE "--wzp --publishers 1 --subscribers 0", -EINVAL },
	{ GOOD "--publishers 2 --subscribers 0", -EINVAL },
	{ GOOD "--cipher aes128", -EINVAL },
	{ BASE "--wzp --size 44,1400", 0 },
	{ BASE "--wzp --size 1401", -EINVAL },
	{ BASE "--wzp --rooms 1 --publishers 2000 --subscribers 100",
			-EINVAL }, /* pairs, of all with all */
	{ BASE "--wzp --rooms 4500 --publishers 1 --subscribers 9", 0 },
	{ BASE "--wzp --rooms 4500 --publishers 1 --subscribers 9 --churn 1000",
			-EINVAL }, /* UDP ports */
	{ BASE "--wzp --rooms 1 --publishers 1 --subscribers 32700", 0 },
	{ BASE "--wzp --rooms 1 --publishers 1 --subscribers 32700 --flood 1",
			-EINVAL }, /* the same again */
	{ GOOD "--room a/b", -EINVAL },
	{ GOOD "stray", -EINVAL },
	{ GOOD "--nonsense", -EINVAL },
	{ "--help", 1 },
};

static int
parse(const char *line, struct options *o)
{
	static char copy[512];
	char *argv[64] = { (char *)(uintptr_t) "plenum-load" };
	char *save = NULL;
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *t = strtok_r(copy, " ", &save); t != NULL; t = strtok_r(NULL, " ", &save))
		argv[argc++] = t;
	argv[argc] = NULL;
	optind = 0; /* getopt_long() begins anew */
	return load_options(argc, argv, o);
}

static void
options__accept_what_makes_sense(void **state)
{
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct options o;
		int ret = parse(cases[i].line, &o);

		if (ret != cases[i].want)
			fail_msg("%s: %d, not %d", cases[i].line, ret, cases[i].want);
	}
}

static void
options__name_the_port_and_the_next_hop(void **state)
{
	struct options o;
	char ip[INET6_ADDRSTRLEN];

	assert_int_equal(parse(GOOD, &o), 0);
	assert_string_equal(o.port, "net_memif0");
	assert_string_equal(plm_ip_text(&o.conf.net.hop, ip), "198.18.0.1");
	assert_int_equal(o.conf.net.relay_port, 3478);
	assert_int_equal(parse(GOOD "--gateway 198.18.0.254 --port other", &o), 0);
	assert_string_equal(o.port, "other");
	assert_string_equal(plm_ip_text(&o.conf.net.hop, ip), "198.18.0.254");
}

static void
options__of_quic_say_who_comes_and_what_is_offered(void **state)
{
	struct options o;

	assert_int_equal(parse(BASE "--wzp", &o), 0);
	assert_true(o.conf.is_quic && !o.conf.has_cipher);
	assert_int_equal(o.conf.handshakes_per_s, 200);
	assert_int_equal(o.conf.churn, 0);
	assert_int_equal(load_receivers(&o.conf), 10);
	assert_int_equal(
			parse(BASE "--wzp --publishers 2 --subscribers 3 --churn 7 --cipher aes256",
					&o),
			0);
	assert_true(o.conf.has_cipher);
	assert_int_equal(o.conf.cipher, PLM_AES256_GCM);
	assert_int_equal(o.conf.churn, 7);
	/* Over QUIC publishers hear each other. */
	assert_int_equal(load_receivers(&o.conf), 4);
	assert_int_equal(load_nb_places(&o.conf), 5 + load_quic_places(7));
}

/* Rows for one address, one entry each for several. */
static void
print_static__writes_the_relays_settings(void **state)
{
	char buf[4096] = "";
	struct options o;
	FILE *to = fmemopen(buf, sizeof(buf), "w");

	assert_int_equal(parse("--print-static --address 198.18.1.1 --rooms 2 --publishers 1 "
			       "--subscribers 3",
					 &o),
			0);
	load_print_static(&o.conf, to);
	fclose(to);
	assert_string_equal(buf,
			"trusted_network = true;\nstatic = (\n"
			"  { room = \"load-0\"; participant = \"pub-1\"; role = \"p\"; address = "
			"\"198.18.1.1\"; udp_port = 20000; },\n"
			"  { room = \"load-0\"; participant = \"sub\"; role = \"s\"; address = "
			"\"198.18.1.1\"; udp_port = 20001; count = 3; },\n"
			"  { room = \"load-1\"; participant = \"pub-1\"; role = \"p\"; address = "
			"\"198.18.1.1\"; udp_port = 20004; },\n"
			"  { room = \"load-1\"; participant = \"sub\"; role = \"s\"; address = "
			"\"198.18.1.1\"; udp_port = 20005; count = 3; }\n"
			");\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options__accept_what_makes_sense),
		cmocka_unit_test(options__name_the_port_and_the_next_hop),
		cmocka_unit_test(options__of_quic_say_who_comes_and_what_is_offered),
		cmocka_unit_test(print_static__writes_the_relays_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

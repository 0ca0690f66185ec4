/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbours on a virtual clock: resolution, refreshing, failover, liars and a full table. */
#include <errno.h>
#include <stdio.h>

#include "net_fixture.h"

#define S PLM_NS_PER_S

static struct net_fixture f;
static struct plm_template tmpl4, tmpl6;
static uint64_t now = 1000 * S;

/* Everybody known: gateways and one on-link host of each family, all clocks at `now`. */
static int
setup(void **state)
{
	net_fixture_init(&f, 2);
	now = 1000 * S;
	return 0;
}

static int
teardown(void **state)
{
	net_fixture_fini(&f);
	return 0;
}

static uint64_t
mac_of(const struct plm_template *tmpl)
{
	return atomic_load(&plm_net_nexthops(f.net)[tmpl->nexthop_idx]);
}

static uint64_t
word_of(const uint8_t mac[6])
{
	uint64_t word = 0;

	memcpy(&word, mac, 6);
	return word;
}

static void
route(struct plm_template *tmpl, uint16_t local_idx, const char *remote)
{
	struct plm_ip ip = ip_of(remote);

	assert_int_equal(plm_net_route(f.net, local_idx, &ip, 5, tmpl, now), 0);
}

/* An ARP packet from `mac`; is_reply to us, else a request for `target`. */
static void
arp_in(bool is_reply, const char *sender, const char *target, const uint8_t mac[6],
		const uint8_t target_mac[6])
{
	struct plm_ip s = ip_of(sender), t = ip_of(target);
	uint8_t frame[60] = { 0 };
	uint8_t *p = put_eth(frame, is_reply ? target_mac : mac_broadcast, mac, 0x0806);

	memcpy(p, "\0\1\x08\0\6\4\0", 7);
	p[7] = is_reply ? 2 : 1;
	memcpy(p + 8, mac, 6);
	memcpy(p + 14, s.addr, 4);
	memcpy(p + 18, target_mac, 6);
	memcpy(p + 24, t.addr, 4);
	plm_net_input(f.net, 0, frame, sizeof(frame), now);
}

enum { NA_SOLICITED = 0x40, NA_OVERRIDE = 0x20 };

static void
na_in(const char *src, const char *dst, const char *target, uint8_t flags, uint8_t hops,
		const uint8_t mac[6], bool has_lladdr)
{
	struct plm_ip t = ip_of(target);
	uint8_t body[32] = { 136, 0, 0, 0, flags };
	uint8_t frame[128];
	size_t len;

	memcpy(body + 8, t.addr, 16);
	body[24] = 2;
	body[25] = 1;
	memcpy(body + 26, mac, 6);
	len = icmp6_frame(frame, mac_port0, mac, src, dst, hops, body, has_lladdr ? 32 : 24);
	plm_net_input(f.net, 0, frame, len, now);
}

/* Let `ns` pass, running the timer whenever it wants to. Returns the probes for `ip` sent. */
static unsigned int
pass(uint64_t ns, const char *ip_text)
{
	struct plm_ip ip = ip_of(ip_text);
	uint64_t end = now + ns;
	unsigned int nb = 0;
	uint64_t next;

	f.nb_emitted = 0;
	while ((next = plm_net_timer(f.net, now)) <= end)
		now = next > now ? next : now;
	now = end;
	for (unsigned int i = 0; i < f.nb_emitted; i++) {
		const struct emitted *e = &f.emitted[i];

		nb += memcmp(e->bytes + (ip.is_v6 ? 62 : 38), ip.addr, ip.is_v6 ? 16 : 4) == 0 &&
				e->bytes[12] == (ip.is_v6 ? 0x86 : 0x08);
	}
	return nb;
}

/* The last emitted frame that asks for `ip`. */
static const uint8_t *
last_probe(const char *ip_text)
{
	struct plm_ip ip = ip_of(ip_text);

	for (unsigned int i = f.nb_emitted; i > 0; i--) {
		const uint8_t *b = f.emitted[i - 1].bytes;

		if (memcmp(b + (ip.is_v6 ? 62 : 38), ip.addr, ip.is_v6 ? 16 : 4) == 0)
			return b;
	}
	fail_msg("no probe for %s", ip_text);
	return NULL;
}

static void
neigh__probes_are_well_formed(void **state)
{
	/* clang-format off */
	static const uint8_t arp[60] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x10, 0x08, 0x06,
		0, 1, 8, 0, 6, 4, 0, 1,
		0x02, 0, 0, 0, 0, 0x10, 198, 18, 0, 1,
		0, 0, 0, 0, 0, 0, 198, 18, 0, 7 };
	/* clang-format on */
	struct plm_ip group = ip_of("ff02::1:ff00:7");
	struct plm_ip own = ip_of("fd00::1");
	const uint8_t *ns;

	route(&tmpl4, LOCAL_V4, "198.18.0.7");
	assert_int_equal(f.nb_emitted, 1);
	assert_int_equal(f.emitted[0].len, 60);
	assert_memory_equal(f.emitted[0].bytes, arp, 60);

	route(&tmpl6, LOCAL_V6, "fd00::7");
	assert_int_equal(f.nb_emitted, 2);
	ns = f.emitted[1].bytes;
	assert_int_equal(f.emitted[1].len, 86);
	assert_memory_equal(ns, "\x33\x33\xff\0\0\x07\x02\0\0\0\0\x10\x86\xdd", 14);
	assert_int_equal(ns[21], 255);
	assert_memory_equal(ns + 22, own.addr, 16);
	assert_memory_equal(ns + 38, group.addr, 16);
	assert_int_equal(ns[54], 135);
	assert_memory_equal(ns + 78, "\1\1\x02\0\0\0\0\x10", 8);
	assert_int_equal(ref_l4_check(ns + 14), 0xffff);
}

static void
neigh__retries_three_times_then_slowly(void **state)
{
	route(&tmpl4, LOCAL_V4, "198.18.0.7"); /* the first */
	assert_int_equal(pass(S - 1, "198.18.0.7"), 0);
	assert_int_equal(pass(1, "198.18.0.7"), 1);
	assert_int_equal(pass(S, "198.18.0.7"), 1);
	assert_int_equal(pass(5 * S - 1, "198.18.0.7"), 0);
	assert_int_equal(pass(1, "198.18.0.7"), 1);
	assert_int_equal(pass(50 * S, "198.18.0.7"), 10);
	assert_int_equal(mac_of(&tmpl4), 0);
}

/* What was asked while nobody could hear it is asked anew. */
static void
neigh__are_asked_anew_when_the_link_comes_up(void **state)
{
	route(&tmpl4, LOCAL_V4, "198.18.0.7");
	route(&tmpl6, LOCAL_V6, "fd00::7");
	na_in("fd00::7", "fd00::1", "fd00::7", NA_SOLICITED | NA_OVERRIDE, 255, mac_peer, true);
	pass(2 * S + S / 2, "198.18.0.7"); /* three probes: the next one is 4.5 s away */
	atomic_store(&f.ports[1].link_up, true);
	assert_int_equal(pass(S / 2, "198.18.0.7"), 0); /* another port's */
	atomic_store(&f.ports[0].link_up, true);
	assert_int_equal(pass(S / 4, "198.18.0.7"), 1);
	assert_int_equal(last_probe("198.18.0.7")[0], 0xff);
	assert_memory_equal(last_probe("fd00::7"), mac_peer, 6);
	assert_int_equal(pass(S, "198.18.0.7"), 1);
	assert_int_equal(pass(S, "198.18.0.7"), 1);
	assert_int_equal(pass(4 * S, "198.18.0.7"), 0);
	arp_in(true, "198.18.0.7", "198.18.0.1", mac_peer, mac_port0);
	assert_int_equal(mac_of(&tmpl4), 0); /* too late for an answer: nobody had asked for 3 s */
	/* Down and up again. */
	atomic_store(&f.ports[0].link_up, false);
	pass(S / 2, "198.18.0.7");
	atomic_store(&f.ports[0].link_up, true);
	assert_int_equal(pass(S / 4, "198.18.0.7"), 1);
	arp_in(true, "198.18.0.7", "198.18.0.1", mac_peer, mac_port0);
	assert_int_equal(mac_of(&tmpl4), word_of(mac_peer));
}

/* The link of port 0 is down for `ns`, and the timer is called when it says. */
static void
flap(uint64_t ns)
{
	atomic_store(&f.ports[0].link_up, false);
	pass(ns, "198.18.0.254");
	atomic_store(&f.ports[0].link_up, true);
}

/* Who answered before is asked alone; when that one is another now, everybody a second later. */
static void
neigh__behind_a_link_that_came_up_may_be_others(void **state)
{
	atomic_store(&f.ports[0].link_up, true);
	route(&tmpl4, LOCAL_V4, "203.0.113.1"); /* through the gateway */
	route(&tmpl6, LOCAL_V6, "2001:db8::1");
	pass(0, "198.18.0.254");
	arp_in(true, "198.18.0.254", "198.18.0.1", mac_peer, mac_port0);
	na_in("fe80::fe", "fd00::1", "fe80::fe", NA_SOLICITED, 255, mac_peer, true);
	pass(S, "198.18.0.254");
	flap(S / 5);
	assert_int_equal(pass(S / 10, "198.18.0.254"), 1);
	assert_memory_equal(last_probe("198.18.0.254"), mac_peer, 6);
	assert_memory_equal(last_probe("fe80::fe"), mac_peer, 6);
	assert_int_equal(pass(S, "198.18.0.254"), 1);
	assert_memory_equal(last_probe("198.18.0.254"), mac_broadcast, 6);
	assert_int_equal(last_probe("fe80::fe")[0], 0x33);
	assert_int_equal(mac_of(&tmpl4), word_of(mac_peer));
	arp_in(true, "198.18.0.254", "198.18.0.1", mac_other, mac_port0);
	na_in("fe80::fe", "fd00::1", "fe80::fe", NA_SOLICITED, 255, mac_other, true);
	assert_int_equal(mac_of(&tmpl4), word_of(mac_other));
	assert_int_equal(mac_of(&tmpl6), word_of(mac_other));

	/* Silent for seconds, with an address that we know: everybody at once. */
	pass(9 * S, "198.18.0.254");
	flap(S / 5);
	assert_int_equal(pass(S / 10, "198.18.0.254"), 1);
	assert_memory_equal(last_probe("198.18.0.254"), mac_broadcast, 6);
	assert_int_equal(last_probe("fe80::fe")[0], 0x33);
	arp_in(true, "198.18.0.254", "198.18.0.1", mac_peer, mac_port0);
	assert_int_equal(mac_of(&tmpl4), word_of(mac_peer));
}

/* However many stand behind it: some in each call. */
static void
neigh__of_a_link_that_came_up_are_asked_in_bounded_steps(void **state)
{
	char ip[INET6_ADDRSTRLEN];

	net_fixture_fini(&f);
	net_fixture_init(&f, 200);
	atomic_store(&f.ports[0].link_up, true);
	pass(0, "198.18.0.254");
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(ip, sizeof(ip), "198.18.0.%u", 100 + i);
		route(&tmpl4, LOCAL_V4, ip);
		arp_in(true, ip, "198.18.0.1", mac_peer, mac_port0);
	}
	flap(S / 5);
	f.nb_emitted = 0;
	assert_int_equal(plm_net_timer(f.net, now), now);
	assert_in_range(f.nb_emitted, 64, 64 + 8); /* own addresses are announced, too */
	assert_true(plm_net_timer(f.net, now) > now);
	assert_in_range(f.nb_emitted, 100, 100 + 16);
}

static void
neigh__answers_to_probes_resolve(void **state)
{
	route(&tmpl4, LOCAL_V4, "198.18.0.7");
	arp_in(true, "198.18.0.7", "198.18.0.1", mac_peer, mac_port0);
	assert_int_equal(mac_of(&tmpl4), word_of(mac_peer));
	route(&tmpl6, LOCAL_V6, "fd00::7");
	na_in("fd00::7", "fd00::1", "fd00::7", NA_SOLICITED | NA_OVERRIDE, 255, mac_peer, true);
	assert_int_equal(mac_of(&tmpl6), word_of(mac_peer));

	/* Five seconds later they are asked again, themselves alone. */
	assert_int_equal(pass(5 * S - 1, "198.18.0.7"), 0);
	assert_int_equal(pass(1, "198.18.0.7"), 1);
	assert_memory_equal(last_probe("198.18.0.7"), mac_peer, 6);
	assert_memory_equal(last_probe("fd00::7"), mac_peer, 6);
	assert_memory_equal(last_probe("fd00::7") + 38, last_probe("fd00::7") + 62, 16);
	/* A unicast solicitation may be answered without the option (RFC 4861 §4.4). */
	na_in("fd00::7", "fd00::1", "fd00::7", NA_SOLICITED, 255, mac_peer, false);
	arp_in(true, "198.18.0.7", "198.18.0.1", mac_peer, mac_port0);
	assert_int_equal(pass(5 * S - 1, "fd00::7"), 0);
	assert_int_equal(mac_of(&tmpl4), word_of(mac_peer));
	assert_int_equal(mac_of(&tmpl6), word_of(mac_peer));
}

static void
neigh__what_is_not_an_answer_changes_nothing(void **state)
{
	route(&tmpl4, LOCAL_V4, "198.18.0.7");
	route(&tmpl6, LOCAL_V6, "fd00::7");
	/* Requests, gratuitous ARP, answers to others, and for others. */
	arp_in(false, "198.18.0.7", "198.18.0.1", mac_other, mac_port0);
	arp_in(false, "198.18.0.7", "198.18.0.7", mac_other, mac_broadcast);
	arp_in(true, "198.18.0.7", "198.18.0.7", mac_other, mac_broadcast);
	arp_in(true, "198.18.0.7", "198.18.0.9", mac_other, mac_port0);
	arp_in(true, "198.18.0.7", "198.18.0.1", mac_other, mac_peer);
	arp_in(true, "198.18.0.8", "198.18.0.1", mac_other, mac_port0);
	/* Unsolicited, from off-link, without an address, to a group, for another. */
	na_in("fd00::7", "ff02::1", "fd00::7", NA_OVERRIDE, 255, mac_other, true);
	na_in("fd00::7", "fd00::1", "fd00::7", NA_SOLICITED | NA_OVERRIDE, 254, mac_other, true);
	na_in("fd00::7", "fd00::1", "fd00::7", NA_SOLICITED | NA_OVERRIDE, 255, mac_other, false);
	na_in("fd00::7", "ff02::1", "fd00::7", NA_SOLICITED | NA_OVERRIDE, 255, mac_other, true);
	na_in("fd00::8", "fd00::1", "fd00::8", NA_SOLICITED | NA_OVERRIDE, 255, mac_other, true);
	assert_int_equal(mac_of(&tmpl4), 0);
	assert_int_equal(mac_of(&tmpl6), 0);

	/* An answer that comes too late, while no newer probe waits for one, is none either. */
	arp_in(true, "198.18.0.7", "198.18.0.1", mac_peer, mac_port0);
	assert_int_equal(mac_of(&tmpl4), word_of(mac_peer));
	arp_in(true, "198.18.0.7", "198.18.0.1", mac_other, mac_port0);
	assert_int_equal(mac_of(&tmpl4), word_of(mac_peer));
}

static void
neigh__failover_is_followed_at_once_when_announced(void **state)
{
	route(&tmpl4, LOCAL_V4, "203.0.113.1"); /* through the gateway */
	route(&tmpl6, LOCAL_V6, "2001:db8::1");
	pass(0, "198.18.0.254");
	arp_in(true, "198.18.0.254", "198.18.0.1", mac_peer, mac_port0);
	na_in("fe80::fe", "fd00::1", "fe80::fe", NA_SOLICITED, 255, mac_peer, true);
	assert_int_equal(mac_of(&tmpl4), word_of(mac_peer));
	assert_int_equal(mac_of(&tmpl6), word_of(mac_peer));

	now += S / 2;
	f.nb_emitted = 0;
	arp_in(false, "198.18.0.254", "198.18.0.254", mac_other, mac_broadcast);
	na_in("fe80::fe", "ff02::1", "fe80::fe", NA_OVERRIDE, 255, mac_other, true);
	/* Everybody is asked, and until somebody answers the old one stands. */
	assert_int_equal(f.nb_emitted, 2);
	assert_memory_equal(last_probe("198.18.0.254"), mac_broadcast, 6);
	assert_int_equal(last_probe("fe80::fe")[0], 0x33);
	assert_int_equal(mac_of(&tmpl4), word_of(mac_peer));
	assert_int_equal(mac_of(&tmpl6), word_of(mac_peer));
	/* More announcements cause no more probes. */
	arp_in(false, "198.18.0.254", "198.18.0.254", mac_other, mac_broadcast);
	assert_int_equal(f.nb_emitted, 2);

	arp_in(true, "198.18.0.254", "198.18.0.1", mac_other, mac_port0);
	na_in("fe80::fe", "fd00::1", "fe80::fe", NA_SOLICITED, 255, mac_other, true);
	assert_int_equal(mac_of(&tmpl4), word_of(mac_other));
	assert_int_equal(mac_of(&tmpl6), word_of(mac_other));
}

static void
neigh__a_liar_is_not_followed(void **state)
{
	route(&tmpl4, LOCAL_V4, "203.0.113.1");
	pass(0, "198.18.0.254");
	arp_in(true, "198.18.0.254", "198.18.0.1", mac_peer, mac_port0);
	now += 2 * S;
	arp_in(false, "198.18.0.254", "198.18.0.254", mac_other, mac_broadcast);
	arp_in(true, "198.18.0.254", "198.18.0.1", mac_peer, mac_port0); /* the true one answers */
	assert_int_equal(mac_of(&tmpl4), word_of(mac_peer));
	/* From here on nothing is expected. */
	arp_in(true, "198.18.0.254", "198.18.0.1", mac_other, mac_port0);
	assert_int_equal(mac_of(&tmpl4), word_of(mac_peer));
}

static void
neigh__failover_is_found_without_announcement(void **state)
{
	route(&tmpl4, LOCAL_V4, "203.0.113.1");
	pass(0, "198.18.0.254");
	arp_in(true, "198.18.0.254", "198.18.0.1", mac_peer, mac_port0);
	assert_int_equal(pass(5 * S, "198.18.0.254"), 1); /* to the old one alone: no answer */
	assert_int_equal(pass(S, "198.18.0.254"), 1);
	assert_memory_equal(last_probe("198.18.0.254"), mac_broadcast, 6);
	assert_int_equal(mac_of(&tmpl4), word_of(mac_peer));
	arp_in(true, "198.18.0.254", "198.18.0.1", mac_other, mac_port0);
	assert_int_equal(mac_of(&tmpl4), word_of(mac_other));
}

static void
neigh__a_silent_one_is_given_up_after_30_s(void **state)
{
	route(&tmpl4, LOCAL_V4, "198.18.0.7");
	arp_in(true, "198.18.0.7", "198.18.0.1", mac_peer, mac_port0);
	pass(29 * S, "198.18.0.7");
	assert_int_equal(mac_of(&tmpl4), word_of(mac_peer));
	pass(6 * S, "198.18.0.7");
	assert_int_equal(mac_of(&tmpl4), 0);
	pass(5 * S, "198.18.0.7");
	arp_in(true, "198.18.0.7", "198.18.0.1", mac_other, mac_port0);
	assert_int_equal(mac_of(&tmpl4), word_of(mac_other));
}

static void
neigh__gateways_are_asked_from_the_start(void **state)
{
	assert_int_equal(pass(0, "198.18.0.254"), 1);
	assert_int_equal(pass(S, "fe80::fe"), 1);
	/* From the address whose gateway it is, to its solicited-node group. */
	assert_memory_equal(last_probe("fe80::fe"), "\x33\x33\xff\0\0\xfe", 6);
}

static void
neigh__table_is_bounded_and_reused(void **state)
{
	struct plm_ip third = ip_of("198.18.0.9");
	struct plm_template a, b, c, d;
	unsigned int cursor = 0, lines = 0;
	struct plm_text text;
	char buf[1024];

	/* Room for two; own addresses bring places for gateways, of which three are unused here. */
	route(&a, LOCAL_V4, "198.18.0.7");
	route(&b, LOCAL_V4, "198.18.0.8");
	route(&c, LOCAL_V6, "fd00::7");
	route(&d, LOCAL_V6, "fd00::8");
	route(&tmpl4, LOCAL_V6, "fd00::9");
	assert_int_equal(plm_net_route(f.net, LOCAL_V4, &third, 5, &tmpl6, now), -ENOSPC);
	assert_int_equal(counter(&f, PLM_CNT_NEIGH_TABLE_FULL), 1);

	/* Two users, one entry: it goes with the second. */
	route(&tmpl6, LOCAL_V4, "198.18.0.8");
	assert_int_equal(tmpl6.nexthop_idx, b.nexthop_idx);
	plm_net_route_put(f.net, &b);
	assert_int_equal(plm_net_route(f.net, LOCAL_V4, &third, 5, &tmpl4, now), -ENOSPC);
	arp_in(true, "198.18.0.8", "198.18.0.1", mac_peer, mac_port0);
	plm_net_route_put(f.net, &tmpl6);
	assert_int_equal(mac_of(&tmpl6), 0);
	route(&b, LOCAL_V4, "198.18.0.9");
	assert_int_equal(b.nexthop_idx, tmpl6.nexthop_idx);
	assert_int_equal(mac_of(&b), 0);
	arp_in(true, "198.18.0.9", "198.18.0.1", mac_peer, mac_port0);

	plm_text_init(&text, buf, sizeof(buf));
	do {
		cursor = plm_net_show(f.net, cursor, &text, now);
		lines++;
	} while (cursor != 0);
	assert_int_equal(lines, 7);
	assert_non_null(strstr(buf, "198.18.0.9"));
	assert_non_null(strstr(buf, "02:aa:00:00:00:02"));
	assert_null(strstr(buf, "198.18.0.8"));
}

static void
neigh__many_are_probed_in_portions(void **state)
{
	struct net_fixture *big = &f;
	unsigned int calls = 0;

	net_fixture_fini(&f);
	net_fixture_init(&f, 200);
	for (int i = 0; i < 150; i++) {
		char text[32];
		struct plm_template t;

		snprintf(text, sizeof(text), "198.18.0.%d", 2 + i);
		route(&t, LOCAL_V4, text);
	}
	big->nb_emitted = 0;
	now += S;
	while (plm_net_timer(f.net, now) <= now) {
		assert_true(big->nb_emitted <= 64 * (calls + 1));
		calls++;
	}
	assert_true(calls >= 2);
	assert_int_equal(big->nb_emitted, 150 + 2); /* and the gateways */
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(neigh__probes_are_well_formed),
		TEST(neigh__retries_three_times_then_slowly),
		TEST(neigh__are_asked_anew_when_the_link_comes_up),
		TEST(neigh__behind_a_link_that_came_up_may_be_others),
		TEST(neigh__of_a_link_that_came_up_are_asked_in_bounded_steps),
		TEST(neigh__answers_to_probes_resolve),
		TEST(neigh__what_is_not_an_answer_changes_nothing),
		TEST(neigh__failover_is_followed_at_once_when_announced),
		TEST(neigh__a_liar_is_not_followed),
		TEST(neigh__failover_is_found_without_announcement),
		TEST(neigh__a_silent_one_is_given_up_after_30_s),
		TEST(neigh__gateways_are_asked_from_the_start),
		TEST(neigh__table_is_bounded_and_reused),
		TEST(neigh__many_are_probed_in_portions),
	};

	test_eal_init(64);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

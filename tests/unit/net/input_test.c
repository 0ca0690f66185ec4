/* SPDX-License-Identifier: BSD-3-Clause */
/* What the relay answers: ARP, neighbour solicitations, echo; and what it does not. Byte-exact. */
#include <stdlib.h>

#include "net_fixture.h"

#define S PLM_NS_PER_S

static struct net_fixture f;
static uint64_t now;

static int
setup(void **state)
{
	net_fixture_init(&f, 4);
	now = 50 * S;
	return 0;
}

static int
teardown(void **state)
{
	net_fixture_fini(&f);
	return 0;
}

static void
arp_in(const uint8_t eth_src[6], const char *sender, const char *target, const uint8_t mac[6],
		size_t len)
{
	struct plm_ip s = ip_of(sender), t = ip_of(target);
	uint8_t frame[60] = { 0 };
	uint8_t *p = put_eth(frame, mac_broadcast, eth_src, 0x0806);

	memcpy(p, "\0\1\x08\0\6\4\0\1", 8);
	memcpy(p + 8, mac, 6);
	memcpy(p + 14, s.addr, 4);
	memcpy(p + 24, t.addr, 4);
	plm_net_input(f.net, 0, frame, len, now);
}

static void
net_input__answers_arp_for_its_addresses(void **state)
{
	/* clang-format off */
	static const uint8_t want[60] = {
		0x02, 0xaa, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0x10, 0x08, 0x06,
		0, 1, 8, 0, 6, 4, 0, 2,
		0x02, 0, 0, 0, 0, 0x10, 198, 18, 0, 1,
		0x02, 0xaa, 0, 0, 0, 0x02, 198, 18, 0, 2 };
	/* clang-format on */
	static const uint8_t multicast[6] = { 0x01, 0, 0x5e, 0, 0, 1 };
	static const struct {
		const char *name;
		const uint8_t *eth_src;
		const char *sender;
		const char *target;
		const uint8_t *mac;
		size_t len;
		unsigned int answers;
	} cases[] = {
		{ "ours", mac_peer, "198.18.0.2", "198.18.0.1", mac_peer, 60, 1 },
		{ "ours, unpadded", mac_peer, "198.18.0.2", "198.18.0.1", mac_peer, 42, 1 },
		{ "probe", mac_peer, "0.0.0.0", "198.18.0.1", mac_peer, 60, 1 },
		{ "another's", mac_peer, "198.18.0.2", "198.18.0.3", mac_peer, 60, 0 },
		{ "another port's", mac_peer, "198.18.0.2", "198.19.0.1", mac_peer, 60, 0 },
		{ "truncated", mac_peer, "198.18.0.2", "198.18.0.1", mac_peer, 41, 0 },
		{ "sender multicast", mac_peer, "224.0.0.2", "198.18.0.1", mac_peer, 60, 0 },
		{ "MAC multicast", mac_peer, "198.18.0.2", "198.18.0.1", multicast, 60, 0 },
		{ "frame from a group", multicast, "198.18.0.2", "198.18.0.1", mac_peer, 60, 0 },
		{ "our own, reflected", mac_port0, "198.18.0.2", "198.18.0.1", mac_peer, 60, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f.nb_emitted = 0;
		arp_in(cases[i].eth_src, cases[i].sender, cases[i].target, cases[i].mac,
				cases[i].len);
		if (f.nb_emitted != cases[i].answers)
			fail_msg("%s: %u answers", cases[i].name, f.nb_emitted);
		if (i > 1 || f.nb_emitted == 0)
			continue;
		assert_int_equal(f.emitted[0].len, 60);
		assert_memory_equal(f.emitted[0].bytes, want, 60);
	}
	assert_int_equal(counter(&f, PLM_CNT_CTL_ARP), 5);
	assert_int_equal(counter(&f, PLM_CNT_CTL_MALFORMED), 4);
}

static void
net_input__defends_its_address_now_and_then(void **state)
{
	for (int i = 0; i < 5; i++, now += S)
		arp_in(mac_peer, "198.18.0.1", "198.18.0.9", mac_peer, 60);
	assert_int_equal(f.nb_emitted, 1);
	assert_memory_equal(f.emitted[0].bytes, mac_broadcast, 6);
	now += 10 * S;
	arp_in(mac_peer, "198.18.0.1", "198.18.0.9", mac_peer, 60);
	assert_int_equal(f.nb_emitted, 2);
}

static void
net_announce__says_each_address_three_times(void **state)
{
	/* clang-format off */
	static const uint8_t garp[60] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x10, 0x08, 0x06,
		0, 1, 8, 0, 6, 4, 0, 1,
		0x02, 0, 0, 0, 0, 0x10, 198, 18, 0, 1,
		0, 0, 0, 0, 0, 0, 198, 18, 0, 1 };
	/* clang-format on */
	const uint8_t *na;
	unsigned int nb = 0;
	uint64_t next;

	plm_net_announce(f.net, now);
	assert_int_equal(f.nb_emitted, NB_LOCALS);
	assert_memory_equal(f.emitted[LOCAL_V4].bytes, garp, 60);
	na = f.emitted[LOCAL_V6].bytes;
	assert_memory_equal(na, "\x33\x33\0\0\0\1\x02\0\0\0\0\x10\x86\xdd", 14);
	assert_int_equal(na[21], 255);
	assert_int_equal(na[54], 136);
	assert_int_equal(na[58], 0x20); /* override, not solicited */
	assert_memory_equal(na + 62, na + 22, 16);
	assert_memory_equal(na + 78, "\2\1\x02\0\0\0\0\x10", 8);
	assert_int_equal(ref_l4_check(na + 14), 0xffff);
	assert_int_equal(f.emitted[LOCAL_SMALL].port_idx, 1);

	/* Twice more, a second apart; probes for gateways go on beside them. */
	for (uint64_t end = now + 10 * S; (next = plm_net_timer(f.net, now)) <= end; now = next)
		;
	for (unsigned int i = 0; i < f.nb_emitted; i++)
		nb += f.emitted[i].len == 60 && memcmp(f.emitted[i].bytes, garp, 60) == 0;
	assert_int_equal(nb, 3);
}

static size_t
ns_frame(uint8_t *frame, const char *src, const char *dst, uint8_t hops, const char *target,
		const uint8_t *lladdr)
{
	struct plm_ip t = ip_of(target);
	uint8_t body[32] = { 135 };

	memcpy(body + 8, t.addr, 16);
	body[24] = 1;
	body[25] = 1;
	if (lladdr != NULL)
		memcpy(body + 26, lladdr, 6);
	return icmp6_frame(frame, mac_port0, mac_peer, src, dst, hops, body, lladdr ? 32 : 24);
}

static void
net_input__answers_solicitations(void **state)
{
	static const uint8_t multicast[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	static const struct {
		const char *name;
		const char *src;
		const char *dst;
		uint8_t hops;
		const char *target;
		const uint8_t *lladdr;
		const uint8_t *answer_mac; /* NULL: no answer */
		uint8_t flags;
	} cases[] = {
		{ "multicast", "fd00::2", "ff02::1:ff00:1", 255, "fd00::1", mac_other, mac_other,
				0x60 },
		{ "unicast, no option", "fd00::2", "fd00::1", 255, "fd00::1", NULL, mac_peer,
				0x60 },
		{ "link-local", "fe80::2", "ff02::1:ff00:10", 255, "fe80::ff:fe00:10", mac_peer,
				mac_peer, 0x60 },
		{ "duplicate address detection", "::", "ff02::1:ff00:1", 255, "fd00::1", NULL,
				multicast, 0x20 },
		{ "DAD with an option", "::", "ff02::1:ff00:1", 255, "fd00::1", mac_peer, NULL, 0 },
		{ "DAD to unicast", "::", "fd00::1", 255, "fd00::1", NULL, NULL, 0 },
		{ "from off-link", "fd00::2", "fd00::1", 64, "fd00::1", mac_peer, NULL, 0 },
		{ "another's address", "fd00::2", "ff02::1", 255, "fd00::9", mac_peer, NULL, 0 },
		{ "another port's", "fd00::2", "ff02::1", 255, "fe80::ff:fe00:11", mac_peer, NULL,
				0 },
		{ "multicast target", "fd00::2", "ff02::1", 255, "ff02::1", mac_peer, NULL, 0 },
		{ "multicast option", "fd00::2", "fd00::1", 255, "fd00::1", multicast, NULL, 0 },
		{ "another group", "fd00::2", "ff02::1:ff00:9", 255, "fd00::1", mac_peer, NULL, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct plm_ip target = ip_of(cases[i].target);
		uint8_t frame[128];
		const uint8_t *na = f.emitted[0].bytes;
		size_t len;

		f.nb_emitted = 0;
		len = ns_frame(frame, cases[i].src, cases[i].dst, cases[i].hops, cases[i].target,
				cases[i].lladdr);
		plm_net_input(f.net, 0, frame, len, now);
		if (f.nb_emitted != (cases[i].answer_mac != NULL))
			fail_msg("%s: %u answers", cases[i].name, f.nb_emitted);
		if (cases[i].answer_mac == NULL)
			continue;
		assert_int_equal(f.emitted[0].len, 86);
		assert_memory_equal(na, cases[i].answer_mac, 6);
		assert_memory_equal(na + 6, mac_port0, 6);
		assert_int_equal(na[21], 255);
		assert_memory_equal(na + 22, target.addr, 16);
		assert_int_equal(na[54], 136);
		assert_int_equal(na[58], cases[i].flags);
		assert_memory_equal(na + 62, target.addr, 16);
		assert_memory_equal(na + 78, "\2\1\x02\0\0\0\0\x10", 8);
		assert_int_equal(ref_l4_check(na + 14), 0xffff);
	}
}

static void
net_input__echoes(void **state)
{
	for (int v6 = 0; v6 < 2; v6++) {
		for (size_t len = 8; len <= (v6 ? 1460 : 1480); len += len < 40 ? 1 : 180) {
			static uint8_t frame[1600], body[1600];
			const struct emitted *e = &f.emitted[0];
			size_t hdr = v6 ? 54 : 34;
			uint8_t *ip, *l4;

			for (size_t i = 0; i < len; i++)
				body[i] = (uint8_t)(i * 13);
			body[0] = v6 ? 128 : 8;
			body[1] = 0;
			if (v6) {
				icmp6_frame(frame, mac_port0, mac_peer, "2001:db8::2", "fd00::1",
						57, body, len);
			} else {
				ip = put_eth(frame, mac_port0, mac_peer, 0x0800);
				l4 = put_ip(ip, "203.0.113.2", "198.18.0.1", 1, len);
				memcpy(l4, body, len);
				put_l4_sum(ip, 2, false);
			}
			memset(frame + hdr + len, 0, 6); /* padding is not echoed */
			f.nb_emitted = 0;
			plm_net_input(f.net, 0, frame, hdr + len + 6, now);
			assert_int_equal(f.nb_emitted, 1);
			assert_int_equal(e->len, hdr + len);
			assert_memory_equal(e->bytes, mac_peer, 6);
			assert_memory_equal(e->bytes + 6, mac_port0, 6);
			assert_int_equal(e->bytes[hdr], v6 ? 129 : 0);
			assert_memory_equal(e->bytes + hdr + 4, frame + hdr + 4, len - 4);
			if (v6) {
				assert_memory_equal(e->bytes + 22, frame + 38, 16);
				assert_memory_equal(e->bytes + 38, frame + 22, 16);
				assert_int_equal(e->bytes[21], 64);
				assert_int_equal(ref_l4_check(e->bytes + 14), 0xffff);
			} else {
				assert_memory_equal(e->bytes + 26, frame + 30, 4);
				assert_memory_equal(e->bytes + 30, frame + 26, 4);
				assert_int_equal(e->bytes[22], 64);
				assert_int_equal(ref_fold(ref_sum(0, e->bytes + 14, 20)), 0xffff);
				assert_int_equal(ref_fold(ref_sum(0, e->bytes + 34, len)), 0xffff);
			}
		}
	}
	assert_true(counter(&f, PLM_CNT_CTL_ECHO) > 80);
}

static void
net_input__does_not_echo(void **state)
{
	static const struct {
		const char *name;
		const char *src;
		const char *dst;
		size_t off; /* of a byte that is flipped afterwards; 0: none */
		uint8_t type;
		uint8_t code;
	} cases[] = {
		{ "reply", "203.0.113.2", "198.18.0.1", 0, 0, 0 },
		{ "unreachable", "203.0.113.2", "198.18.0.1", 0, 3, 1 },
		{ "code", "203.0.113.2", "198.18.0.1", 0, 8, 1 },
		{ "broadcast", "203.0.113.2", "198.18.0.255", 0, 8, 0 },
		{ "another", "203.0.113.2", "198.18.0.2", 0, 8, 0 },
		{ "from loopback", "127.0.0.1", "198.18.0.1", 0, 8, 0 },
		{ "bad sum", "203.0.113.2", "198.18.0.1", 40, 8, 0 },
		{ "bad header sum", "203.0.113.2", "198.18.0.1", 22, 8, 0 },
		{ "IPv6 reply", "fd00::2", "fd00::1", 0, 129, 0 },
		{ "IPv6 code", "fd00::2", "fd00::1", 0, 128, 1 },
		{ "all nodes", "fd00::2", "ff02::1", 0, 128, 0 },
		{ "from nobody", "::", "fd00::1", 0, 128, 0 },
		{ "from a group", "ff02::1", "fd00::1", 0, 128, 0 },
		{ "IPv6 bad sum", "fd00::2", "fd00::1", 60, 128, 0 },
		{ "router advertisement", "fe80::2", "ff02::1", 0, 134, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t body[16] = { cases[i].type, cases[i].code };
		bool v6 = ip_of(cases[i].src).is_v6;
		uint8_t frame[128];
		uint8_t *ip, *l4;
		uint64_t before;

		if (v6) {
			icmp6_frame(frame, mac_port0, mac_peer, cases[i].src, cases[i].dst, 64,
					body, 16);
		} else {
			ip = put_eth(frame, mac_port0, mac_peer, 0x0800);
			l4 = put_ip(ip, cases[i].src, cases[i].dst, 1, 16);
			memcpy(l4, body, 16);
			put_l4_sum(ip, 2, false);
		}
		if (cases[i].off != 0)
			frame[cases[i].off] ^= 0x10;
		before = counter(&f, PLM_CNT_CTL_IGNORED) + counter(&f, PLM_CNT_CTL_MALFORMED);
		plm_net_input(f.net, 0, frame, v6 ? 70 : 50, now);
		if (f.nb_emitted != 0)
			fail_msg("%s was answered", cases[i].name);
		/* Whatever is not answered moves one counter. */
		assert_int_equal(counter(&f, PLM_CNT_CTL_IGNORED) +
						counter(&f, PLM_CNT_CTL_MALFORMED),
				before + 1);
	}
}

static void
net_input__is_total(void **state)
{
	uint32_t seed = 12345;

	/* Every truncation and many corruptions of one frame of each kind. */
	for (int kind = 0; kind < 4; kind++) {
		uint8_t good[128] = { 0 }, frame[128];
		uint8_t body[32] = { 136 };
		uint8_t *ip, *l4;
		size_t len;

		switch (kind) {
		case 0:
			memcpy(put_eth(good, mac_port0, mac_peer, 0x0806), "\0\1\x08\0\6\4\0\2", 8);
			memcpy(good + 22, mac_peer, 6);
			memcpy(good + 28, "\xc6\x12\0\2", 4);
			len = 42;
			break;
		case 1:
			ip = put_eth(good, mac_port0, mac_peer, 0x0800);
			l4 = put_ip(ip, "198.18.0.2", "198.18.0.1", 1, 24);
			l4[0] = 8;
			put_l4_sum(ip, 2, false);
			len = 58;
			break;
		case 2:
			len = ns_frame(good, "fd00::2", "fd00::1", 255, "fd00::1", mac_peer);
			break;
		default:
			len = icmp6_frame(good, mac_port0, mac_peer, "fd00::2", "fd00::1", 255,
					body, 32);
			break;
		}
		for (size_t i = 0; i <= len; i++) {
			/* A buffer of its own size, so that sanitizers see a read beyond it. */
			uint8_t *exact = malloc(i + !i);

			memcpy(exact, good, i);
			f.nb_emitted = 0;
			plm_net_input(f.net, 0, exact, i, now);
			free(exact);
		}
		for (int i = 0; i < 20000; i++) {
			memcpy(frame, good, len);
			for (int k = 0; k < 3; k++) {
				seed = seed * 1664525 + 1013904223;
				frame[(seed >> 8) % len] = (uint8_t)(seed >> 24);
			}
			f.nb_emitted = 0;
			plm_net_input(f.net, 0, frame, len, now);
			assert_true(f.nb_emitted <= 1);
		}
	}
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(net_input__answers_arp_for_its_addresses),
		TEST(net_input__defends_its_address_now_and_then),
		TEST(net_announce__says_each_address_three_times),
		TEST(net_input__answers_solicitations),
		TEST(net_input__echoes),
		TEST(net_input__does_not_echo),
		TEST(net_input__is_total),
	};

	test_eal_init(64);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

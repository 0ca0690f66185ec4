/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>

#include "client.h"
#include "test_eal.h"

static const struct {
	const char *text;
	int family; /* 0: refused */
	const char *host;
	uint16_t port;
} addrs[] = {
	{ "198.18.0.1", AF_INET, "198.18.0.1", 3478 },
	{ "198.18.0.1:5000", AF_INET, "198.18.0.1", 5000 },
	{ "fd00::1", AF_INET6, "fd00::1", 3478 },
	{ "[fd00::1]", AF_INET6, "fd00::1", 3478 },
	{ "[fd00::1]:5000", AF_INET6, "fd00::1", 5000 },
	{ "198.18.0.1:", 0, NULL, 0 },
	{ "198.18.0.1:0", 0, NULL, 0 },
	{ "198.18.0.1:65536", 0, NULL, 0 },
	{ "198.18.0.1:-1", 0, NULL, 0 },
	{ "198.18.0.1:5000x", 0, NULL, 0 },
	{ "[fd00::1", 0, NULL, 0 },
	{ "[fd00::1]5000", 0, NULL, 0 },
	{ "[]:5000", 0, NULL, 0 },
	{ ":5000", 0, NULL, 0 },
	{ "", 0, NULL, 0 },
};

static void
options_addr__reads_both_families(void **state)
{
	for (size_t i = 0; i < RTE_DIM(addrs); i++) {
		struct client_addr addr = { 0 };
		char host[INET6_ADDRSTRLEN];
		char why_buf[128];
		struct plm_text why;
		const void *bytes;
		int ret;

		plm_text_init(&why, why_buf, sizeof(why_buf));
		ret = options_addr(addrs[i].text, 3478, &addr, &why);
		if (addrs[i].family == 0) {
			if (ret != -EINVAL || why.len == 0)
				fail_msg("'%s' is accepted, or refused without a reason",
						addrs[i].text);
			continue;
		}
		if (ret != 0)
			fail_msg("'%s': %s", addrs[i].text, why.buf);
		assert_int_equal(addr.sa.ss_family, addrs[i].family);
		if (addrs[i].family == AF_INET6)
			bytes = &((struct sockaddr_in6 *)&addr.sa)->sin6_addr;
		else
			bytes = &((struct sockaddr_in *)&addr.sa)->sin_addr;
		inet_ntop(addrs[i].family, bytes, host, sizeof(host));
		assert_string_equal(host, addrs[i].host);
		assert_int_equal(ntohs(((struct sockaddr_in *)&addr.sa)->sin_port), addrs[i].port);
	}
}

static const struct {
	const char *text;
	int ret;
	struct gen_conf want;
} generates[] = {
	{ "pps=50,size=200", 0, { .pps = 50, .size = 200 } },
	{ "pps=100,size=1200,count=7", 0, { .pps = 100, .size = 1200, .count = 7 } },
	{ "pps=50,size=160,seconds=30", 0, { .pps = 50, .size = 160, .count = 1500 } },
	{ "pps=3,size=160,seconds=0.5", 0, { .pps = 3, .size = 160, .count = 2 } },
	{ "pps=0", -EINVAL, { 0 } },
	{ "size=35", -EINVAL, { 0 } },
	{ "size=9001", -EINVAL, { 0 } },
	{ "pt=128", -EINVAL, { 0 } },
	{ "pt=72", -EINVAL, { 0 } },
	{ "pps", -EINVAL, { 0 } },
	{ "pps=", -EINVAL, { 0 } },
	{ "pps=5x", -EINVAL, { 0 } },
	{ "rate=5", -EINVAL, { 0 } },
	{ "count=5,seconds=1", -EINVAL, { 0 } },
	{ "seconds=-1", -EINVAL, { 0 } },
	{ "seconds=nan", -EINVAL, { 0 } },
};

static void
options_generate__checks_every_value(void **state)
{
	for (size_t i = 0; i < RTE_DIM(generates); i++) {
		struct gen_conf gen = { 0 };
		char why_buf[256];
		struct plm_text why;

		plm_text_init(&why, why_buf, sizeof(why_buf));
		if (options_generate(generates[i].text, &gen, &why) != generates[i].ret)
			fail_msg("'%s': %s", generates[i].text, why.buf);
		assert_int_equal(why.len != 0, generates[i].ret != 0);
		assert_int_equal(gen.pps, generates[i].want.pps);
		assert_int_equal(gen.size, generates[i].want.size);
		assert_int_equal(gen.count, generates[i].want.count);
	}
}

static const struct {
	const char *text;
	int ret;
	int payload_type;
	int order;
} sinks[] = {
	{ "127.0.0.1:5004", 0, -1, -1 },
	{ "pt=96:127.0.0.1:5004", 0, 96, -1 },
	{ "n=1:[::1]:5004", 0, -1, 1 },
	{ "127.0.0.1", -EINVAL, 0, 0 },
	{ "pt=96", -EINVAL, 0, 0 },
	{ "pt=:127.0.0.1:5004", -EINVAL, 0, 0 },
	{ "pt=128:127.0.0.1:5004", -EINVAL, 0, 0 },
	{ "n=99999999999:127.0.0.1:5004", -EINVAL, 0, 0 },
};

static void
options_sink__selects_by_type_or_order(void **state)
{
	for (size_t i = 0; i < RTE_DIM(sinks); i++) {
		struct sink_conf sink = { 0 };
		char why_buf[256];
		struct plm_text why;

		plm_text_init(&why, why_buf, sizeof(why_buf));
		if (options_sink(sinks[i].text, &sink, &why) != sinks[i].ret)
			fail_msg("'%s': %s", sinks[i].text, why.buf);
		assert_int_equal(sink.payload_type, sinks[i].payload_type);
		assert_int_equal(sink.order, sinks[i].order);
	}
}

#define RELAY   "--relay", "198.18.0.1"
#define SECRET  "--secret", "s", "--room", "r", "--participant", "p"
#define GEN     "--generate", "pps=50,size=200"
#define WZP     "--wzp", "--room", "r"
#define ROOM_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde."
#define ROOM_253                                                                                   \
	ROOM_64 ROOM_64 ROOM_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abc"
#define PIN "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const struct {
	const char *name;
	int ret;
	const char *argv[32];
} lines[] = {
	{ "publish", 0, { "publish", RELAY, SECRET, GEN } },
	{ "subscribe", 0, { "subscribe", RELAY, SECRET } },
	{ "clones", 0, { "both", RELAY, SECRET, GEN, "--clones", "10" } },
	{ "ready credential", 0,
			{ "subscribe", RELAY, "--ufrag", "abcd", "--pwd",
					"0123456789012345678901" } },
	{ "unknown verb", -EINVAL, { "listen", RELAY, SECRET } },
	{ "unknown option", -EINVAL, { "subscribe", RELAY, SECRET, "--loud" } },
	{ "no relay", -EINVAL, { "subscribe", SECRET } },
	{ "no credential", -EINVAL, { "subscribe", RELAY } },
	{ "two credentials", -EINVAL,
			{ "subscribe", RELAY, SECRET, "--ufrag", "abcd", "--pwd",
					"0123456789012345678901" } },
	{ "short password", -EINVAL, { "subscribe", RELAY, "--ufrag", "abcd", "--pwd", "x" } },
	{ "half a credential", -EINVAL, { "subscribe", RELAY, "--ufrag", "abcd" } },
	{ "name outside the alphabet", -EINVAL,
			{ "subscribe", RELAY, "--secret", "s", "--room", "r/x", "--participant",
					"p" } },
	{ "nothing to publish", -EINVAL, { "publish", RELAY, SECRET } },
	{ "generator at a subscriber", -EINVAL, { "subscribe", RELAY, SECRET, GEN } },
	{ "clones of one producer", -EINVAL,
			{ "publish", RELAY, SECRET, "--rtp", "5004", "--clones", "2" } },
	{ "a capture", 0,
			{ "publish", RELAY, SECRET, "--pcap", "f", "--pcap-port", "5004",
					"--loop" } },
	{ "what is received as a capture", 0, { "both", RELAY, SECRET, GEN, "--pcap", "f" } },
	{ "a loop of nothing", -EINVAL, { "publish", RELAY, SECRET, GEN, "--loop" } },
	{ "a port of no capture", -EINVAL, { "publish", RELAY, SECRET, GEN, "--pcap-port", "1" } },
	{ "port 0", -EINVAL, { "publish", RELAY, SECRET, "--pcap", "f", "--pcap-port", "0" } },
	{ "clones of a capture", -EINVAL,
			{ "publish", RELAY, SECRET, "--pcap", "f", "--clones", "2" } },
	{ "a subscriber's loop", -EINVAL, { "subscribe", RELAY, SECRET, "--pcap", "f", "--loop" } },
	{ "no clones", -EINVAL, { "subscribe", RELAY, SECRET, "--clones", "0" } },
	{ "overlapping SSRCs", -EINVAL,
			{ "publish", RELAY, SECRET, "--clones", "3", "--generate", "ssrc=10",
					"--generate", "ssrc=12" } },
	{ "SSRCs side by side", 0,
			{ "publish", RELAY, SECRET, "--clones", "2", "--generate", "ssrc=10",
					"--generate", "ssrc=12" } },
	{ "two families", -EINVAL, { "subscribe", RELAY, SECRET, "--bind", "fd00::2" } },
	{ "stray word", -EINVAL, { "subscribe", RELAY, SECRET, "now" } },
	{ "value out of range", -EINVAL, { "subscribe", RELAY, SECRET, "--expect", "-1" } },
	{ "WZP", 0, { "subscribe", RELAY, WZP } },
	{ "WZP with a name", 0, { "both", RELAY, WZP, GEN, "--participant", "p" } },
	{ "clones of WZP", 0, { "subscribe", RELAY, WZP, "--clones", "10" } },
	{ "a capture as WZP", 0, { "publish", RELAY, WZP, "--pcap", "f" } },
	{ "all that QUIC can", 0,
			{ "publish", RELAY, WZP, GEN, "--cipher", "chacha20", "--key-update-after",
					"0.5", "--pin", PIN, "--keep-alive", "0" } },
	{ "moving over QUIC", 0,
			{ "publish", RELAY, WZP, GEN, "--rebind-after", "1",
					"--rebind-nominate" } },
	{ "WZP without a room", -EINVAL, { "subscribe", RELAY, "--wzp" } },
	{ "WZP with a secret", -EINVAL, { "subscribe", RELAY, SECRET, "--wzp" } },
	{ "WZP with a credential", -EINVAL,
			{ "subscribe", RELAY, WZP, "--ufrag", "abcd", "--pwd",
					"0123456789012345678901" } },
	{ "ICE's role with WZP", -EINVAL, { "subscribe", RELAY, WZP, "--role", "controlled" } },
	{ "consent with WZP", -EINVAL, { "subscribe", RELAY, WZP, "--no-consent" } },
	{ "a cipher without WZP", -EINVAL, { "subscribe", RELAY, SECRET, "--cipher", "aes128" } },
	{ "keys without WZP", -EINVAL, { "subscribe", RELAY, SECRET, "--key-update-after", "1" } },
	{ "a pin without WZP", -EINVAL, { "subscribe", RELAY, SECRET, "--pin", PIN } },
	{ "a keep-alive without WZP", -EINVAL,
			{ "subscribe", RELAY, SECRET, "--keep-alive", "1" } },
	{ "as large as a QUIC packet", 0,
			{ "publish", RELAY, WZP, "--generate", "pps=50,size=1384" } },
	{ "larger than a QUIC packet", -EINVAL,
			{ "publish", RELAY, WZP, "--generate", "pps=50,size=1385" } },
	{ "all that a participant of WZP can be told", 0,
			{ "both", RELAY, WZP, "--rtp", "5004", "--alias", "Alice", "--token", "t",
					"--signals", "--no-read", "--ping", "1", "--hangup",
					"--codec", "opus64k", "--quality-report", "1,20,3",
					"--record", "f", "--payload-type", "96" } },
	{ "media of a capture", 0, { "publish", RELAY, WZP, "--replay", "f" } },
	{ "media of a capture beside other media", -EINVAL,
			{ "publish", RELAY, WZP, GEN, "--replay", "f" } },
	{ "media of a capture for subscribers", -EINVAL,
			{ "subscribe", RELAY, WZP, "--replay", "f" } },
	{ "a room as long as a server name", 0,
			{ "subscribe", RELAY, "--wzp", "--room", ROOM_253 } },
	{ "a longer one", -EINVAL, { "subscribe", RELAY, "--wzp", "--room", ROOM_253 "x" } },
	{ "no server name", 0, { "subscribe", RELAY, "--wzp", "--room", "" } },
	{ "clones of one identity", -EINVAL,
			{ "subscribe", RELAY, WZP, "--identity", "f", "--clones", "2" } },
	{ "clones with an alias", 0, { "subscribe", RELAY, WZP, "--alias", "a", "--clones", "2" } },
	{ "clones that record", -EINVAL,
			{ "subscribe", RELAY, WZP, "--record", "f", "--clones", "2" } },
	{ "two programs of one participant", -EINVAL,
			{ "publish", RELAY, WZP, "--rtp", "5004,5006" } },
	{ "two tokens", -EINVAL,
			{ "subscribe", RELAY, WZP, "--token", "t", "--token-file", "/dev/null" } },
	{ "a token's file that is not there", -EINVAL,
			{ "subscribe", RELAY, WZP, "--token-file", "/nonexistent" } },
	{ "RTCP reports with WZP", -EINVAL, { "subscribe", RELAY, WZP, "--rtcp" } },
	{ "requests for pictures with WZP", -EINVAL,
			{ "subscribe", RELAY, WZP, "--pli-every", "1" } },
	{ "no such codec", -EINVAL, { "publish", RELAY, WZP, GEN, "--codec", "Opus" } },
	{ "a subscriber's codec", -EINVAL, { "subscribe", RELAY, WZP, "--codec", "Opus24k" } },
	{ "an alias without WZP", -EINVAL, { "subscribe", RELAY, SECRET, "--alias", "a" } },
	{ "a codec without WZP", -EINVAL, { "publish", RELAY, SECRET, GEN, "--codec", "Opus24k" } },
	{ "signals without WZP", -EINVAL, { "subscribe", RELAY, SECRET, "--signals" } },
	{ "no such cipher", -EINVAL, { "subscribe", RELAY, WZP, "--cipher", "rc4" } },
	{ "half a pin", -EINVAL, { "subscribe", RELAY, WZP, "--pin", "00ff" } },
	{ "bad clock", -EINVAL, { "subscribe", RELAY, SECRET, "--clock", "97" } },
};

/* What is refused is told on standard error, which belongs to the test here. */
static int
parse_quietly(int argc, char **argv, struct client_conf *conf)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int saved = dup(STDERR_FILENO);
	int ret;

	assert_true(null >= 0 && saved >= 0);
	dup2(null, STDERR_FILENO);
	optind = 0; /* begin anew, for getopt_long() */
	ret = options_parse(argc, argv, conf);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(null);
	return ret;
}

static void
options_parse__accepts_what_makes_sense(void **state)
{
	for (size_t i = 0; i < RTE_DIM(lines); i++) {
		char *argv[RTE_DIM(lines[i].argv) + 1] = { NULL };
		struct client_conf conf;
		int argc = 0;

		while (argc < (int)RTE_DIM(lines[i].argv) && lines[i].argv[argc] != NULL) {
			argv[argc] = (char *)(uintptr_t)lines[i].argv[argc];
			argc++;
		}
		if (parse_quietly(argc, argv, &conf) != lines[i].ret)
			fail_msg("%s", lines[i].name);
	}
}

static void
options_parse__reads_what_wzp_is_to_do(void **state)
{
	static const char *const words[] = { "publish", RELAY, WZP, GEN, "--cipher", "aes256",
		"--key-update-after", "1.5", "--keep-alive", "0.25", "--pin", PIN, "--codec",
		"OPUS6K", "--quality-report", "10,100,20", "--ping", "2" };
	char *argv[RTE_DIM(words) + 1] = { NULL };
	struct client_conf conf;

	for (size_t i = 0; i < RTE_DIM(words); i++)
		argv[i] = (char *)(uintptr_t)words[i];
	assert_int_equal(parse_quietly((int)RTE_DIM(words), argv, &conf), 0);
	assert_true(conf.wzp && conf.has_pin);
	assert_int_equal(conf.cipher, QUIC_CIPHER_AES256);
	assert_int_equal(conf.key_update_ns, 1500 * PLM_NS_PER_MS);
	assert_int_equal(conf.keep_alive_ns, 250 * PLM_NS_PER_MS);
	assert_int_equal(conf.pin[1], 0x11);
	assert_string_equal(conf.participant, "wzp");
	assert_int_equal(conf.codec, 2);
	assert_int_equal(conf.ping_ns, 2 * PLM_NS_PER_S);
	/* The example of the protocol's §4.10. */
	assert_true(conf.has_quality);
	assert_int_equal(conf.quality.loss, 0x19);
	assert_int_equal(conf.quality.rtt_4ms, 0x19);
	assert_int_equal(conf.quality.jitter_ms, 0x14);
	/* Players get Opus. */
	assert_int_equal(conf.payload_type, 111);
	assert_int_equal(conf.clock_hz[111], 48000);
}

static void
options_pin__reads_hex_with_and_without_colons(void **state)
{
	static const struct {
		const char *text;
		int ret;
	} cases[] = {
		{ PIN, 0 },
		{ "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA"
		  ":BB:CC:DD:EE:FF",
				0 },
		{ PIN "00", -EINVAL },
		{ PIN ":", -EINVAL },
		{ "", -EINVAL },
		{ "0", -EINVAL },
		{ "00112233445566778899aabbccddeeff00112233445566778899aabbccddeef", -EINVAL },
		{ "00112233445566778899aabbccddeeff00112233445566778899aabbccddeegg", -EINVAL },
		{ "+0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", -EINVAL },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		uint8_t pin[QUIC_PIN_SIZE] = { 0xee };

		if (options_pin(cases[i].text, pin) != cases[i].ret)
			fail_msg("'%s'", cases[i].text);
		assert_int_equal(pin[0], cases[i].ret == 0 ? 0x00 : 0xee);
		assert_int_equal(pin[31], cases[i].ret == 0 ? 0xff : 0x00);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_addr__reads_both_families),
		cmocka_unit_test(options_generate__checks_every_value),
		cmocka_unit_test(options_sink__selects_by_type_or_order),
		cmocka_unit_test(options_parse__accepts_what_makes_sense),
		cmocka_unit_test(options_parse__reads_what_wzp_is_to_do),
		cmocka_unit_test(options_pin__reads_hex_with_and_without_colons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

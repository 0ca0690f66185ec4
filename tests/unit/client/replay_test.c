/* SPDX-License-Identifier: BSD-3-Clause */
/* What of a capture is sent again, when, and how it goes on in the next lap. */
#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <unistd.h>

#include "plm_wire.h"
#include "replay.h"
#include "test_eal.h"

#define SSRC 0x01020304
#define MS   PLM_NS_PER_MS

struct capture {
	char path[64];
	pcap_t *pcap;
	pcap_dumper_t *dump;
};

static void
capture_begin(struct capture *c, int link)
{
	snprintf(c->path, sizeof(c->path), "/tmp/plm-replay-%d.pcap", (int)getpid());
	c->pcap = pcap_open_dead_with_tstamp_precision(link, 65535, PCAP_TSTAMP_PRECISION_NANO);
	assert_non_null(c->pcap);
	c->dump = pcap_dump_open(c->pcap, c->path);
	assert_non_null(c->dump);
}

static void
capture_end(struct capture *c)
{
	pcap_dump_close(c->dump);
	pcap_close(c->pcap);
}

static void
put_frame(struct capture *c, uint64_t at_ns, const uint8_t *frame, uint32_t len, uint32_t kept)
{
	struct pcap_pkthdr head = { .caplen = kept, .len = len };

	head.ts.tv_sec = (time_t)(1000 + at_ns / PLM_NS_PER_S);
	head.ts.tv_usec = (suseconds_t)(at_ns % PLM_NS_PER_S);
	pcap_dump((u_char *)c->dump, &head, frame);
}

/* A datagram behind the headers of these link and address families. Returns the frame's length. */
static uint32_t
frame_of(uint8_t *frame, int link, bool is_vlan, bool is_v6, uint16_t port, const uint8_t *payload,
		uint16_t len)
{
	static const uint32_t heads[][2] = { { DLT_EN10MB, 14 }, { DLT_RAW, 0 },
		{ DLT_LINUX_SLL, 16 }, { DLT_LINUX_SLL2, 20 }, { DLT_NULL, 4 } };
	uint8_t *p = frame;

	memset(frame, 0, 128);
	for (size_t i = 0; i < RTE_DIM(heads); i++)
		if ((int)heads[i][0] == link)
			p += heads[i][1];
	if (link == DLT_EN10MB) {
		if (is_vlan) {
			memcpy(p - 2, "\x81\x00\x00\x05", 4);
			p += 4;
		}
		memcpy(p - 2, is_v6 ? "\x86\xdd" : "\x08\x00", 2);
	}
	if (is_v6) {
		p[0] = 0x60;
		p[4] = (uint8_t)((len + 8) >> 8);
		p[5] = (uint8_t)(len + 8);
		p[6] = 17;
		p += 40;
	} else {
		p[0] = 0x45;
		p[2] = (uint8_t)((len + 28) >> 8);
		p[3] = (uint8_t)(len + 28);
		p[9] = 17;
		p += 20;
	}
	p[0] = 0x40; /* from port 0x4000 */
	p[2] = (uint8_t)(port >> 8);
	p[3] = (uint8_t)port;
	p[4] = (uint8_t)((len + 8) >> 8);
	p[5] = (uint8_t)(len + 8);
	memcpy(p + 8, payload, len);
	return (uint32_t)(p + 8 + len - frame);
}

static uint16_t
rtp(uint8_t *buf, uint32_t ssrc, uint16_t seq, uint32_t ts, uint16_t len)
{
	const uint8_t head[12] = { 0x80, 96, (uint8_t)(seq >> 8), (uint8_t)seq, (uint8_t)(ts >> 24),
		(uint8_t)(ts >> 16), (uint8_t)(ts >> 8), (uint8_t)ts, (uint8_t)(ssrc >> 24),
		(uint8_t)(ssrc >> 16), (uint8_t)(ssrc >> 8), (uint8_t)ssrc };

	memset(buf, seq & 0xff, len);
	memcpy(buf, head, sizeof(head));
	return len;
}

static void
put_rtp(struct capture *c, uint64_t at_ns, uint16_t port, uint32_t ssrc, uint16_t seq, uint32_t ts)
{
	uint8_t payload[200];
	uint8_t frame[512];
	uint32_t len = frame_of(frame, DLT_EN10MB, false, false, port, payload,
			rtp(payload, ssrc, seq, ts, sizeof(payload)));

	put_frame(c, at_ns, frame, len, len);
}

static int
load(const struct capture *c, struct replay **r, uint16_t port, bool loops, char why_buf[256])
{
	struct plm_text why;
	int ret;

	plm_text_init(&why, why_buf, 256);
	ret = replay_load(r, c->path, port, loops, &why);
	assert_true((ret < 0) == (why.len != 0));
	unlink(c->path);
	return ret;
}

static const struct {
	const char *name;
	int link;
	bool is_vlan;
	bool is_v6;
} link_cases[] = {
	{ "Ethernet, IPv4", DLT_EN10MB, false, false },
	{ "Ethernet, IPv6", DLT_EN10MB, false, true },
	{ "VLAN, IPv4", DLT_EN10MB, true, false },
	{ "VLAN, IPv6", DLT_EN10MB, true, true },
	{ "raw IPv4", DLT_RAW, false, false },
	{ "raw IPv6", DLT_RAW, false, true },
	{ "cooked", DLT_LINUX_SLL, false, false },
	{ "cooked, version 2", DLT_LINUX_SLL2, false, true },
	{ "loopback", DLT_NULL, false, false },
};

static void
replay__finds_rtp_behind_every_kind_of_header(void **state)
{
	for (size_t i = 0; i < RTE_DIM(link_cases); i++) {
		uint8_t payload[200];
		uint8_t buf[REPLAY_DATAGRAM];
		uint8_t frame[512];
		struct replay *r = NULL;
		struct capture c;
		char why[256];

		capture_begin(&c, link_cases[i].link);
		for (uint16_t n = 0; n < 3; n++) {
			uint32_t len = frame_of(frame, link_cases[i].link, link_cases[i].is_vlan,
					link_cases[i].is_v6, 5004, payload,
					rtp(payload, SSRC, n, n * 960, 100));

			/* Ethernet fills up what is short: not to be taken for payload. */
			put_frame(&c, n * 20 * MS, frame, len + 10, len + 10);
		}
		capture_end(&c);
		if (load(&c, &r, 0, false, why) != 0)
			fail_msg("%s: %s", link_cases[i].name, why);
		assert_int_equal(r->nb_sources, 1);
		assert_int_equal(r->sources[0].ssrc, SSRC);
		assert_int_equal(r->sources[0].payload_type, 96);
		r->start_ns = 5000 * MS;
		for (uint16_t n = 0; n < 3; n++) {
			assert_int_equal(replay_due_ns(r), 5000 * MS + n * 20 * MS);
			if (replay_build(r, buf) != rtp(payload, SSRC, n, n * 960, 100) ||
					memcmp(buf, payload, 100) != 0)
				fail_msg("%s: packet %u", link_cases[i].name, n);
			assert_false(replay_over(r));
			replay_advance(r);
		}
		assert_true(replay_over(r));
		assert_int_equal(r->sources[0].packets, 3);
		replay_free(r);
	}
}

static void
replay__goes_on_from_lap_to_lap(void **state)
{
	/* Numbers and times wrap within the lap; one packet came late. */
	static const uint16_t seqs[] = { 65533, 65534, 0, 65535, 1 };
	static const uint32_t times[] = { 0xfffff000, 0xfffff3c0, 0xfffffb40, 0xfffff780,
		0xffffff00 };
	static const uint8_t sr[28] = { 0x80, 200, 0, 6, 1, 2, 3, 4 };
	uint8_t buf[REPLAY_DATAGRAM];
	uint8_t frame[512];
	struct replay *r = NULL;
	struct capture c;
	char why[256];
	uint32_t len;

	capture_begin(&c, DLT_EN10MB);
	for (unsigned int i = 0; i < RTE_DIM(seqs); i++)
		put_rtp(&c, i * 20 * MS, 5004, SSRC, seqs[i], times[i]);
	len = frame_of(frame, DLT_EN10MB, false, false, 5005, sr, sizeof(sr));
	put_frame(&c, 80 * MS, frame, len, len);
	capture_end(&c);
	assert_int_equal(load(&c, &r, 0, true, why), 0);
	r->start_ns = 1;
	for (unsigned int lap = 0; lap < 3; lap++) {
		for (unsigned int i = 0; i < RTE_DIM(seqs); i++) {
			uint16_t seq = (uint16_t)(seqs[i] + lap * 5);
			uint32_t ts = times[i] + lap * 5 * 960;
			uint8_t want[200];

			rtp(want, SSRC, seq, ts, sizeof(want));
			memset(want + 12, seqs[i] & 0xff, sizeof(want) - 12);
			assert_int_equal(replay_build(r, buf), sizeof(want));
			assert_memory_equal(buf, want, sizeof(want));
			assert_int_equal(replay_due_ns(r), 1 + lap * r->lap_ns + i * 20 * MS);
			replay_advance(r);
		}
		/* Reports are true once. */
		assert_int_equal(replay_build(r, buf), lap == 0 ? sizeof(sr) : 0);
		replay_advance(r);
		assert_false(replay_over(r));
	}
	assert_int_equal(r->sources[0].packets, 15);
	assert_in_range(r->lap_ns, 90 * MS, 100 * MS);
	replay_free(r);
}

static void
replay__takes_the_port_that_is_asked_for(void **state)
{
	struct replay *r = NULL;
	struct capture c;
	char why[256];

	capture_begin(&c, DLT_EN10MB);
	for (uint16_t i = 0; i < 10; i++) {
		put_rtp(&c, i * MS, 5004, SSRC, i, i);
		put_rtp(&c, i * MS, 5006, SSRC + 1, i, i);
	}
	put_rtp(&c, 0, 5004, SSRC, 10, 10); /* clocks are set back */
	capture_end(&c);
	assert_int_equal(load(&c, &r, 5006, false, why), 0);
	assert_int_equal(r->nb_sources, 1);
	assert_int_equal(r->sources[0].ssrc, SSRC + 1);
	assert_int_equal(r->nb_packets, 10);
	assert_int_equal(r->nb_left_out, 11);
	replay_free(r);
}

/* Datagrams that are no RTP, or not whole. */
static const struct {
	const char *name;
	uint8_t payload[16];
	uint16_t len;
	uint32_t cut;
	const char *why;
} foreign_cases[] = {
	{ "DNS", { 0x12, 0x34, 1, 0, 0, 1 }, 16, 0, "no RTP in 2 frames, of which 2 are UDP" },
	{ "one number twice", { 0x80, 96, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4 }, 16, 0, "no RTP" },
	{ "only RTCP", { 0x80, 201, 0, 1, 1, 2, 3, 4 }, 8, 0, "no RTP" },
	{ "a header cut", { 0x80, 96, 0, 1, 0, 0, 0, 0 }, 8, 0, "no RTP" },
	{ "snaplen", { 0x80, 96, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4 }, 16, 6, "not captured whole" },
};

static void
replay__refuses_what_has_no_rtp(void **state)
{
	struct capture c = { .path = "/nonexistent/capture.pcap" };
	struct replay *r = NULL;
	uint8_t frame[128];
	char why[256];

	assert_int_equal(load(&c, &r, 0, false, why), -EINVAL);
	assert_non_null(strstr(why, "/nonexistent/capture.pcap"));
	for (size_t i = 0; i < RTE_DIM(foreign_cases); i++) {
		uint32_t len = frame_of(frame, DLT_EN10MB, false, false, 53,
				foreign_cases[i].payload, foreign_cases[i].len);

		capture_begin(&c, DLT_EN10MB);
		put_frame(&c, 0, frame, len, len - foreign_cases[i].cut);
		put_frame(&c, MS, frame, len, len - foreign_cases[i].cut);
		capture_end(&c);
		assert_int_equal(load(&c, &r, 0, false, why), -EINVAL);
		if (strstr(why, foreign_cases[i].why) == NULL)
			fail_msg("%s: %s", foreign_cases[i].name, why);
	}
	capture_begin(&c, DLT_IEEE802_11);
	capture_end(&c);
	assert_int_equal(load(&c, &r, 0, false, why), -EINVAL);
	assert_non_null(strstr(why, "link type"));

	capture_begin(&c, DLT_EN10MB);
	for (uint32_t i = 0; i < 20; i++)
		put_rtp(&c, i, 5004, SSRC + i / 2, (uint16_t)i, i);
	capture_end(&c);
	assert_int_equal(load(&c, &r, 0, false, why), -EINVAL);
	assert_non_null(strstr(why, "10 RTP streams"));
}

/* Every header at every length, and every byte of it set to something else: nothing is read beyond. */
static void
replay__survives_cut_and_damaged_frames(void **state)
{
	for (size_t i = 0; i < RTE_DIM(link_cases); i++) {
		uint8_t payload[64];
		uint8_t frame[512];
		struct replay *r = NULL;
		struct capture c;
		char why[256];
		uint32_t len;

		capture_begin(&c, link_cases[i].link);
		len = frame_of(frame, link_cases[i].link, link_cases[i].is_vlan,
				link_cases[i].is_v6, 5004, payload,
				rtp(payload, SSRC, 1, 1, sizeof(payload)));
		for (uint32_t cut = 0; cut <= len; cut++)
			put_frame(&c, 0, frame, len, cut);
		for (uint32_t at = 0; at < len; at++) {
			for (unsigned int value = 0; value < 256; value += 17) {
				uint8_t before = frame[at];

				frame[at] = (uint8_t)value;
				put_frame(&c, 0, frame, len, len);
				frame[at] = before;
			}
		}
		capture_end(&c);
		if (load(&c, &r, 0, true, why) == 0) {
			uint8_t buf[REPLAY_DATAGRAM];

			for (uint64_t n = 0; n < 2 * r->nb_packets; n++) {
				replay_build(r, buf);
				replay_advance(r);
			}
			replay_free(r);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replay__finds_rtp_behind_every_kind_of_header),
		cmocka_unit_test(replay__goes_on_from_lap_to_lap),
		cmocka_unit_test(replay__takes_the_port_that_is_asked_for),
		cmocka_unit_test(replay__refuses_what_has_no_rtp),
		cmocka_unit_test(replay__survives_cut_and_damaged_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

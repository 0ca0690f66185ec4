/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_common.h>

#include "bytes.h"
#include "test_eal.h"
#include "wzp_media.h"

#define MS PLM_NS_PER_MS

/* An RTP packet of three bytes of payload, 0xde 0xad and the number. */
static size_t
make_rtp(uint8_t *buf, uint16_t seq, uint32_t timestamp, uint32_t ssrc)
{
	buf[0] = 0x80;
	buf[1] = 111;
	put_be16(buf + 2, seq);
	put_be32(buf + 4, timestamp);
	put_be32(buf + 8, ssrc);
	buf[12] = 0xde;
	buf[13] = 0xad;
	buf[14] = (uint8_t)seq;
	return 15;
}

static struct plm_wzp_media
parsed(const uint8_t *buf, size_t len)
{
	struct plm_wzp_media media;

	assert_int_equal(plm_wzp_media_parse(buf, len, &media), 0);
	return media;
}

static void
wzp_tx__numbers_what_it_sends_from_zero(void **state)
{
	struct wzp_tx tx = { .codec = 8 };
	uint8_t buf[64];

	for (unsigned int i = 0; i < 70000; i++) {
		uint64_t now_ns = 5 * PLM_NS_PER_S + i * 20 * MS;
		size_t len = wzp_tx_whole(&tx, now_ns, (const uint8_t *)"abc", 3, buf, sizeof(buf));
		struct plm_wzp_media media;

		assert_int_equal(len, PLM_WZP_HDR + 3);
		media = parsed(buf, len);
		assert_int_equal(media.sequence, (uint16_t)i);
		assert_int_equal(media.timestamp, i * 20);
		assert_int_equal(media.codec, 8);
		assert_false(media.is_repair || media.has_report || media.version != 0);
		assert_int_equal(media.block | media.symbol | media.reserved | media.csrc, 0);
		assert_memory_equal(buf + PLM_WZP_HDR, "abc", 3);
	}
	assert_int_equal(tx.packets, 70000);
	/* What does not fit has no number. */
	assert_int_equal(wzp_tx_whole(&tx, 0, (const uint8_t *)"abc", 3, buf, PLM_WZP_HDR + 2), 0);
	assert_int_equal(tx.packets, 70000);
}

static void
wzp_tx__counts_milliseconds_where_rtp_counts_samples(void **state)
{
	struct wzp_tx tx = { .codec = 0 };
	uint32_t base = 0xffffff00;
	uint8_t rtp[64];
	uint8_t buf[64];

	/* For longer than 32 bits of samples last, with a number that was late. */
	for (uint64_t i = 0; i < 5000000; i += i < 100 ? 1 : 4999) {
		size_t len = make_rtp(rtp, (uint16_t)i, base + (uint32_t)i * 960, 7);

		len = wzp_tx_rtp(&tx, PLM_NS_PER_S + i * 20 * MS, rtp, len, buf, sizeof(buf));
		assert_int_equal(len, PLM_WZP_HDR + 3);
		assert_int_equal(parsed(buf, len).timestamp, (uint32_t)(i * 20));
		assert_int_equal(buf[PLM_WZP_HDR + 2], (uint8_t)i);
	}
}

static void
wzp_tx__goes_on_in_time_with_another_ssrc(void **state)
{
	struct wzp_tx tx = { .codec = 0 };
	uint8_t rtp[64];
	uint8_t buf[64];
	struct plm_wzp_media media;
	size_t len;

	len = make_rtp(rtp, 100, 5000, 7);
	len = wzp_tx_rtp(&tx, PLM_NS_PER_S, rtp, len, buf, sizeof(buf));
	assert_int_equal(parsed(buf, len).timestamp, 0);
	/* The program was started anew, 3 s later. */
	len = make_rtp(rtp, 900, 77, 8);
	len = wzp_tx_rtp(&tx, 4 * PLM_NS_PER_S, rtp, len, buf, sizeof(buf));
	media = parsed(buf, len);
	assert_int_equal(media.timestamp, 3000);
	assert_int_equal(media.sequence, 1);
	len = make_rtp(rtp, 901, 77 + 960, 8);
	len = wzp_tx_rtp(&tx, 4 * PLM_NS_PER_S + 20 * MS, rtp, len, buf, sizeof(buf));
	assert_int_equal(parsed(buf, len).timestamp, 3020);
	/* Late. */
	len = make_rtp(rtp, 899, 77 - 960, 8);
	len = wzp_tx_rtp(&tx, 4 * PLM_NS_PER_S + 21 * MS, rtp, len, buf, sizeof(buf));
	assert_int_equal(parsed(buf, len).timestamp, 2980);
}

static void
wzp_tx__takes_the_payload_out_of_rtp(void **state)
{
	/* A contributor, a header extension of one word, three bytes of padding. */
	static const uint8_t full[] = { 0xb1, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9, 0xbe,
		0xde, 0, 1, 1, 2, 3, 4, 'o', 'p', 'u', 's', 0, 0, 3 };
	static const struct {
		const char *name;
		size_t len;
		uint8_t first;
		uint8_t last;
		size_t want; /* of the datagram; 0: none */
	} cases[] = {
		{ "all of it", sizeof(full), 0xb1, 3, PLM_WZP_HDR + 4 },
		{ "no padding", sizeof(full), 0x91, 3, PLM_WZP_HDR + 7 },
		{ "padding that is all", sizeof(full), 0xb1, 7, 0 },
		{ "more padding than there is", sizeof(full), 0xb1, 255, 0 },
		{ "no payload", 24, 0x91, 4, 0 },
		{ "half a header", 11, 0x80, 0, 0 },
		{ "another version", sizeof(full), 0x31, 3, 0 },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct wzp_tx tx = { .codec = 0 };
		uint8_t rtp[sizeof(full)];
		uint8_t buf[64];

		memcpy(rtp, full, sizeof(full));
		rtp[0] = cases[i].first;
		rtp[cases[i].len - 1] = cases[i].last;
		if (wzp_tx_rtp(&tx, 1, rtp, cases[i].len, buf, sizeof(buf)) != cases[i].want)
			fail_msg("%s", cases[i].name);
		if (cases[i].want != 0)
			assert_memory_equal(buf + PLM_WZP_HDR, "opus", 4);
		assert_int_equal(tx.packets, cases[i].want != 0);
	}
}

static void
wzp_tx__reports_once_a_second(void **state)
{
	/* The example of the protocol's §4.10. */
	struct wzp_tx tx = { .codec = 0, .has_quality = true, .quality = { 0x19, 0x19, 0x14 } };
	static const uint8_t report[] = { 0x19, 0x19, 0x14, 0xc8 };
	unsigned int nb = 0;

	for (unsigned int i = 0; i < 250; i++) {
		uint8_t buf[64];
		size_t len = wzp_tx_whole(&tx, PLM_NS_PER_S + i * 20 * MS, (const uint8_t *)"abc",
				3, buf, sizeof(buf));
		struct plm_wzp_media media = parsed(buf, len);

		assert_int_equal(media.payload_len, 3);
		assert_int_equal(media.has_report, i % 50 == 0);
		if (media.has_report)
			assert_memory_equal(buf + len - 4, report, 4);
		nb += media.has_report;
	}
	assert_int_equal(nb, 5);
	assert_int_equal(tx.reports, 5);
}

/* --- who it is ------------------------------------------------------------------------------ */

static uint32_t
whose(struct wzp_senders *senders, uint16_t sequence, uint32_t timestamp, uint64_t at_ms)
{
	struct plm_wzp_media media = { .sequence = sequence, .timestamp = timestamp };

	return wzp_senders_find(senders, &media, at_ms * MS)->ssrc - WZP_SSRC_FIRST;
}

static void
wzp_senders__tells_those_apart_whose_numbers_are(void **state)
{
	struct wzp_senders senders = { .nb = 0 };

	/* Heard from the middle on, 100 numbers apart, then somebody who begins. */
	for (unsigned int i = 0; i < 500; i++) {
		assert_int_equal(whose(&senders, (uint16_t)(65500 + i), i * 20, 1000 + i * 20), 0);
		assert_int_equal(whose(&senders, (uint16_t)(64 + i), 9000 + i * 20, 1003 + i * 20),
				1);
		if (i >= 200)
			assert_int_equal(whose(&senders, (uint16_t)(i - 200), (i - 200) * 20,
							 1007 + i * 20),
					2);
	}
	assert_int_equal(senders.nb, 3);
	assert_int_equal(senders.list[0].packets, 500);
	assert_int_equal(senders.list[2].packets, 300);
}

static void
wzp_senders__bears_loss_silence_and_disorder(void **state)
{
	static const struct {
		uint16_t sequence;
		uint32_t timestamp;
		uint64_t at_ms;
	} heard[] = {
		{ 10, 200, 200 },
		{ 11, 220, 220 },
		{ 13, 260, 260 }, /* out of order */
		{ 12, 240, 261 },
		{ 18, 360, 360 },       /* four lost */
		{ 19, 380, 380 },       /* silence suppressed for a minute */
		{ 20, 60000, 60000 },   /* no number is missing */
		{ 1520, 90000, 90000 }, /* half a minute lost */
		{ 1521, 90020, 90000 }, /* several at once */
		{ 1522, 90040, 90000 },
		{ 1525, 90100, 90000 },
		{ 1524, 90080, 90000 },
	};
	struct wzp_senders senders = { .nb = 0 };

	for (size_t i = 0; i < RTE_DIM(heard); i++)
		assert_int_equal(whose(&senders, heard[i].sequence, heard[i].timestamp,
						 heard[i].at_ms),
				0);
	assert_int_equal(senders.list[0].sequence, 1525);
}

static void
wzp_senders__knows_a_newcomer_with_numbers_that_were(void **state)
{
	struct wzp_senders senders = { .nb = 0 };

	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(whose(&senders, (uint16_t)i, i * 20, i * 20), 0);
	/* Number 0 came already: somebody else's. And from then on both, in the same milliseconds. */
	for (unsigned int i = 0; i < 100; i++) {
		assert_int_equal(whose(&senders, (uint16_t)i, i * 20, 400 + i * 20), 1);
		assert_int_equal(whose(&senders, (uint16_t)(20 + i), 400 + i * 20, 400 + i * 20),
				0);
	}
}

static void
wzp_senders__gives_the_place_of_the_most_silent(void **state)
{
	struct wzp_senders senders = { .nb = 0 };

	for (unsigned int i = 0; i < WZP_SENDERS_MAX; i++)
		assert_int_equal(whose(&senders, (uint16_t)(1000 * i), 0, 1 + i), i);
	assert_int_equal(whose(&senders, 1, 20, 100), 0);
	assert_int_equal(whose(&senders, 500, 0, 101), WZP_SENDERS_MAX);
	assert_int_equal(senders.nb, WZP_SENDERS_MAX);
	/* Sender 1 had been silent longest. */
	assert_int_equal(senders.list[1].ssrc, WZP_SSRC_FIRST + WZP_SENDERS_MAX);
	assert_int_equal(whose(&senders, 2, 40, 102), 0);
}

/* --- RTP again ------------------------------------------------------------------------------ */

static void
wzp_to_rtp__counts_samples_whatever_the_sender_counts(void **state)
{
	static const struct {
		const char *name;
		uint32_t first;
		uint32_t step;
		uint32_t want; /* step of RTP */
	} cases[] = {
		{ "milliseconds", 0, 20, 960 },
		{ "milliseconds of 40 ms frames, wrapping", 0xffffffe0, 40, 1920 },
		{ "samples", 77, 960, 960 },
		{ "samples of 40 ms frames", 0, 1920, 1920 },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct wzp_senders senders = { .nb = 0 };

		for (unsigned int n = 0; n < 10; n++) {
			struct plm_wzp_media media = { .sequence = (uint16_t)(65530 + n),
				.timestamp = cases[i].first + n * cases[i].step,
				.payload_len = 4 };
			struct wzp_sender *sender = wzp_senders_find(&senders, &media, n * 20 * MS);
			struct plm_rtp rtp;
			uint8_t buf[16];

			assert_int_equal(wzp_to_rtp(sender, &media, (const uint8_t *)"opus", 111,
							 &rtp, buf, sizeof(buf)),
					16);
			assert_int_equal(plm_rtp_parse(buf, sizeof(buf), &rtp), 0);
			if (rtp.timestamp != n * cases[i].want)
				fail_msg("%s: %u is %u", cases[i].name, n, rtp.timestamp);
			assert_int_equal(rtp.payload_type, 111);
			assert_int_equal(rtp.ssrc, WZP_SSRC_FIRST);
			assert_int_equal(rtp.seq, (uint16_t)(65530 + n));
			assert_memory_equal(buf + rtp.payload_off, "opus", 4);
			assert_int_equal(wzp_to_rtp(sender, &media, (const uint8_t *)"opus", 111,
							 &rtp, buf, sizeof(buf) - 1),
					0);
		}
	}
}

static void
wzp_to_rtp__numbers_for_players_what_they_get(void **state)
{
	/* Comfort noise, repair and Codec2 among Opus frames. */
	static const struct {
		uint8_t codec;
		bool is_repair;
		bool is_opus;
	} packets[] = { { 0, false, true }, { 5, false, false }, { 8, false, true },
		{ 4, true, false }, { 0, true, false }, { 3, false, false }, { 2, false, true } };
	struct wzp_senders senders = { .nb = 0 };
	uint16_t want = 0;

	for (size_t i = 0; i < RTE_DIM(packets); i++) {
		struct plm_wzp_media media = { .codec = packets[i].codec,
			.is_repair = packets[i].is_repair,
			.sequence = (uint16_t)i,
			.timestamp = (uint32_t)i * 20,
			.payload_len = 1 };
		struct wzp_sender *sender = wzp_senders_find(&senders, &media, i * 20 * MS);
		struct plm_rtp rtp;
		uint8_t buf[64];

		assert_int_equal(wzp_is_opus(&media), packets[i].is_opus);
		assert_int_equal(wzp_to_rtp(sender, &media, (const uint8_t *)"x", 111, &rtp, buf,
						 sizeof(buf)),
				13);
		/* That by which it is counted stays. */
		assert_int_equal(rtp.seq, i);
		if (packets[i].is_opus)
			assert_int_equal(get_be16(buf + 2), want++);
	}
	assert_int_equal(senders.list[0].noises, 1);
	assert_int_equal(senders.list[0].repairs, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wzp_tx__numbers_what_it_sends_from_zero),
		cmocka_unit_test(wzp_tx__counts_milliseconds_where_rtp_counts_samples),
		cmocka_unit_test(wzp_tx__goes_on_in_time_with_another_ssrc),
		cmocka_unit_test(wzp_tx__takes_the_payload_out_of_rtp),
		cmocka_unit_test(wzp_tx__reports_once_a_second),
		cmocka_unit_test(wzp_senders__tells_those_apart_whose_numbers_are),
		cmocka_unit_test(wzp_senders__bears_loss_silence_and_disorder),
		cmocka_unit_test(wzp_senders__knows_a_newcomer_with_numbers_that_were),
		cmocka_unit_test(wzp_senders__gives_the_place_of_the_most_silent),
		cmocka_unit_test(wzp_to_rtp__counts_samples_whatever_the_sender_counts),
		cmocka_unit_test(wzp_to_rtp__numbers_for_players_what_they_get),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

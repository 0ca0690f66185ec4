/* SPDX-License-Identifier: BSD-3-Clause */
/* Copies of frames of a traced room: which, whole, in order, and what becomes of too many. */
#include "test_relay.h"

#define SSRC 7

/* Have workers see the room traced, or not any more. */
static void
set_traced(struct test_relay *r, uint32_t room_idx, bool on)
{
	struct plm_room_info info;

	assert_int_equal(plm_room_info(r->rooms, room_idx, &info), 0);
	info.settings.traced = on;
	assert_int_equal(plm_room_set(r->rooms, room_idx, &info.settings, r->now_ns), 0);
	test_relay_settle(r);
}

static unsigned int
take_all(struct test_relay *r, unsigned int worker)
{
	struct plm_relay_frame frame;
	unsigned int n = 0;

	while (plm_relay_trace_next(r->relay, worker, &frame)) {
		plm_relay_trace_taken(r->relay, worker);
		n++;
	}
	return n;
}

/* RTP, then RTCP, of both families; whether payloads are shared or copied into headers. */
static const struct {
	const char *name;
	bool is_v6;
	uint16_t copy_below;
	uint16_t len;
} frame_cases[] = {
	{ "IPv4, shared", false, 0, 1000 },
	{ "IPv6, shared", true, 0, 1000 },
	{ "IPv4, copied", false, 256, 100 },
	{ "IPv6, MTU", true, 0, 1452 },
};

static void
trace__has_every_byte_of_every_frame(void **state)
{
	static const uint8_t sr[28] = { 0x80, 200, 0, 6, 0, 0, 0, SSRC };

	for (size_t i = 0; i < RTE_DIM(frame_cases); i++) {
		struct test_relay_conf conf = test_relay_defaults();
		struct plm_relay_frame frame;
		uint8_t want[2][2048];
		uint16_t len[2];
		uint8_t rtp[1600];
		struct test_relay *r;
		struct test_peer *talker;
		struct test_peer *listener;

		conf.copy_below = frame_cases[i].copy_below;
		r = test_relay_create(&conf);
		talker = test_relay_join(r, "room", PLM_ROLE_BOTH, frame_cases[i].is_v6, 0, 0);
		listener = test_relay_join(r, "room", PLM_ROLE_SUBSCRIBE, false, 0, 0);
		test_relay_settle(r);
		assert_int_equal(plm_relay_trace_prepare(r->relay), 0);
		set_traced(r, talker->room_idx, true);

		test_rtp(rtp, SSRC, 0, frame_cases[i].len);
		len[0] = test_relay_frame(r, talker, rtp, frame_cases[i].len, 0, want[0]);
		len[1] = test_relay_frame(r, talker, sr, sizeof(sr), 0, want[1]);
		test_relay_rtp(r, talker, SSRC, 0, frame_cases[i].len);
		test_relay_send(r, talker, sr, sizeof(sr), 0);
		test_relay_settle(r);
		for (unsigned int k = 0; k < 2; k++) {
			if (!plm_relay_trace_next(r->relay, 0, &frame) || frame.len != len[k] ||
					frame.nb_bytes != len[k] ||
					memcmp(frame.bytes, want[k], len[k]) != 0)
				fail_msg("%s: frame %u", frame_cases[i].name, k);
			assert_int_equal(frame.room_idx, talker->room_idx);
			assert_true(frame.rx_ns > 0 && frame.rx_ns <= r->now_ns);
			plm_relay_trace_taken(r->relay, 0);
		}
		assert_false(plm_relay_trace_next(r->relay, 0, &frame));
		assert_int_equal(listener->nb_got, 2);
		test_relay_free(r);
	}
}

static void
trace__is_of_that_room_and_what_it_accepts(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r = test_relay_create(&conf);
	struct test_peer *talker = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
	struct test_peer *listener = test_relay_join(r, "room", PLM_ROLE_SUBSCRIBE, false, 0, 0);
	struct test_peer *other = test_relay_join(r, "other", PLM_ROLE_BOTH, false, 0, 0);

	test_relay_join(r, "other", PLM_ROLE_BOTH, false, 0, 0);
	test_relay_settle(r);
	assert_int_equal(plm_relay_trace_prepare(r->relay), 0);
	set_traced(r, talker->room_idx, true);
	for (uint16_t seq = 0; seq < 10; seq++) {
		test_relay_rtp(r, talker, SSRC, seq, 200);
		test_relay_rtp(r, other, SSRC, seq, 200);
		test_relay_rtp(r, listener, SSRC + 1, seq, 200); /* may not publish */
	}
	test_relay_settle(r);
	assert_int_equal(take_all(r, 0), 10);
	set_traced(r, talker->room_idx, false);
	test_relay_rtp(r, talker, SSRC, 10, 200);
	test_relay_settle(r);
	assert_int_equal(take_all(r, 0), 0);
	assert_int_equal(listener->nb_got, 11);
	assert_int_equal(test_relay_count(r, PLM_CNT_TRACE_MISSED), 0);
	test_relay_free(r);
}

static void
trace__counts_what_its_buffer_has_no_room_for(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r = test_relay_create(&conf);
	struct test_peer *talker = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 0);
	struct test_peer *listener = test_relay_join(r, "room", PLM_ROLE_SUBSCRIBE, false, 0, 0);
	unsigned int nb = 0;
	unsigned int kept;

	test_relay_settle(r);
	/* Before there is a buffer everything is missed. */
	set_traced(r, talker->room_idx, true);
	test_relay_rtp(r, talker, SSRC, 0, 200);
	test_relay_settle(r);
	assert_int_equal(test_relay_count(r, PLM_CNT_TRACE_MISSED), 1);
	assert_int_equal(take_all(r, 0), 0);

	assert_int_equal(plm_relay_trace_prepare(r->relay), 0);
	listener->quiet = true;
	while (test_relay_count(r, PLM_CNT_TRACE_MISSED) < 101) {
		test_relay_rtp(r, talker, SSRC, (uint16_t)++nb, 200);
		test_relay_settle(r);
		assert_true(nb < 10000);
	}
	assert_int_equal(listener->nb_got, nb + 1); /* nobody else misses anything */
	kept = take_all(r, 0);
	assert_int_equal(kept + 100, nb);
	assert_true(kept >= 512);
	/* And there is room again. */
	for (unsigned int i = 0; i < kept; i++) {
		test_relay_rtp(r, talker, SSRC, (uint16_t)++nb, 200);
		test_relay_settle(r);
	}
	assert_int_equal(take_all(r, 0), kept);
	assert_int_equal(test_relay_count(r, PLM_CNT_TRACE_MISSED), 101);
	test_relay_free(r);
}

static void
trace__is_taken_by_each_home_worker(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct test_relay *r;
	struct test_peer *talker;

	conf.nb_workers = 2;
	conf.nb_queues = 2;
	r = test_relay_create(&conf);
	talker = test_relay_join(r, "room", PLM_ROLE_BOTH, false, 0, 1);
	test_relay_join(r, "room", PLM_ROLE_SUBSCRIBE, false, 0, 1);
	talker->rx_queue = 0; /* its packets cross */
	test_relay_settle(r);
	assert_int_equal(plm_relay_trace_prepare(r->relay), 0);
	set_traced(r, talker->room_idx, true);
	for (uint16_t seq = 0; seq < 5; seq++)
		test_relay_rtp(r, talker, SSRC, seq, 200);
	test_relay_settle(r);
	assert_int_equal(take_all(r, 0), 0);
	assert_int_equal(take_all(r, 1), 5);
	test_relay_free(r);
}

/* Worker 0 is far ahead of its reader, and worker 1 has what came in between. */
static void
trace__gives_the_oldest_of_all_workers_first(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct plm_relay_frame frame;
	struct test_peer *talkers[2];
	struct test_relay *r;
	unsigned int nb[2] = { 0 };
	uint64_t last_ns = 0;
	unsigned int w = 7;

	conf.nb_workers = 2;
	conf.nb_queues = 2;
	r = test_relay_create(&conf);
	for (uint8_t home = 0; home < 2; home++)
		talkers[home] = test_relay_join(r, "room", PLM_ROLE_PUBLISH, false, 0, home);
	test_relay_settle(r);
	assert_false(plm_relay_trace_oldest(r->relay, &w, &frame));
	assert_int_equal(plm_relay_trace_prepare(r->relay), 0);
	set_traced(r, talkers[0]->room_idx, true);
	assert_false(plm_relay_trace_oldest(r->relay, &w, &frame));
	assert_int_equal(w, 7);
	for (uint16_t seq = 0; seq < 90; seq++) {
		uint8_t home = seq % 9 == 5;

		test_relay_rtp(r, talkers[home], SSRC + home, seq, 200);
		test_relay_settle(r);
	}
	while (plm_relay_trace_oldest(r->relay, &w, &frame)) {
		const uint8_t *rtp = frame.bytes + frame.len - 200;

		assert_true(frame.rx_ns > last_ns);
		assert_int_equal(rtp[3], nb[0] + nb[1]);
		assert_int_equal(w, rtp[3] % 9 == 5);
		last_ns = frame.rx_ns;
		nb[w]++;
		plm_relay_trace_taken(r->relay, w);
	}
	assert_int_equal(nb[0], 80);
	assert_int_equal(nb[1], 10);
	test_relay_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trace__has_every_byte_of_every_frame),
		cmocka_unit_test(trace__is_of_that_room_and_what_it_accepts),
		cmocka_unit_test(trace__counts_what_its_buffer_has_no_room_for),
		cmocka_unit_test(trace__is_taken_by_each_home_worker),
		cmocka_unit_test(trace__gives_the_oldest_of_all_workers_first),
	};

	test_eal_init(512);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

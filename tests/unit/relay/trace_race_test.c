/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker that copies frames of a traced room, and the thread that takes them meanwhile. */
#include <pthread.h>
#include <stdlib.h>

#include "test_relay.h"

#define SSRC    7
#define PACKETS 20000
#define LEN     600

struct reader {
	struct test_relay *r;
	_Atomic bool done;
	unsigned int nb;
	unsigned int nb_wrong;
};

static void *
read_frames(void *arg)
{
	struct reader *reader = arg;
	struct plm_relay_frame frame;
	uint32_t next = 0;
	bool done;

	do {
		/* Acquire: after the last frame was copied. Pairs with the end of the test. */
		done = atomic_load_explicit(&reader->done, memory_order_acquire);
		while (plm_relay_trace_next(reader->r->relay, 0, &frame)) {
			const uint8_t *rtp = frame.bytes + frame.len - LEN;
			uint16_t seq = (uint16_t)(rtp[2] << 8 | rtp[3]);
			uint8_t want[LEN];

			/* Frames may be missing, but none is torn and none comes twice. */
			test_rtp(want, SSRC, seq, LEN);
			if (seq < next || memcmp(rtp, want, LEN) != 0)
				reader->nb_wrong++;
			next = seq + 1u;
			reader->nb++;
			plm_relay_trace_taken(reader->r->relay, 0);
		}
	} while (!done);
	return NULL;
}

static void
trace_race__a_reader_never_sees_half_a_frame(void **state)
{
	struct test_relay_conf conf = test_relay_defaults();
	struct reader reader = { .r = test_relay_create(&conf) };
	struct test_relay *r = reader.r;
	struct test_peer *talker = test_relay_join(r, "room", PLM_ROLE_PUBLISH, false, 0, 0);
	struct plm_room_info info;
	pthread_t thread;

	test_relay_settle(r);
	assert_int_equal(plm_relay_trace_prepare(r->relay), 0);
	assert_int_equal(plm_room_info(r->rooms, talker->room_idx, &info), 0);
	info.settings.traced = 1;
	assert_int_equal(plm_room_set(r->rooms, talker->room_idx, &info.settings, r->now_ns), 0);
	test_relay_settle(r);
	assert_int_equal(pthread_create(&thread, NULL, read_frames, &reader), 0);
	for (unsigned int i = 0; i < PACKETS; i++) {
		test_relay_rtp(r, talker, SSRC, (uint16_t)i, LEN);
		test_relay_step(r, 1000);
	}
	/* Release pairs with the reader's acquire. */
	atomic_store_explicit(&reader.done, true, memory_order_release);
	pthread_join(thread, NULL);
	assert_int_equal(reader.nb_wrong, 0);
	assert_int_equal(reader.nb + test_relay_count(r, PLM_CNT_TRACE_MISSED), PACKETS);
	assert_true(reader.nb > 0);
	test_relay_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trace_race__a_reader_never_sees_half_a_frame),
	};

	test_eal_init(512);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

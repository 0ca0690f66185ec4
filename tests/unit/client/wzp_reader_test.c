/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "test_eal.h"
#include "wzp_reader.h"

#define FRAMES 16

/* What the reader handed out, and gave back. */
struct heard {
	char frames[FRAMES][32]; /* their beginnings */
	size_t lens[FRAMES];
	unsigned int nb_frames;
	size_t consumed[64]; /* by stream id */
	unsigned int stop_after;
	struct wzp_reader *reader;
};

static void
take_frame(void *ctx, const uint8_t *json, size_t len)
{
	struct heard *h = ctx;

	assert_true(h->nb_frames < FRAMES);
	memcpy(h->frames[h->nb_frames], json, RTE_MIN(len, sizeof(h->frames[0]) - 1));
	h->lens[h->nb_frames++] = len;
	if (h->nb_frames == h->stop_after)
		wzp_reader_stop(h->reader);
}

static void
take_consumed(void *ctx, int64_t stream_id, size_t len)
{
	struct heard *h = ctx;

	h->consumed[stream_id % 64] += len;
}

static const struct wzp_reader_ops ops = { .frame = take_frame, .consumed = take_consumed };

/* Bytes of a frame of this text, given over in pieces of `step`; ended with the last one. */
static void
feed(struct wzp_reader *reader, int64_t id, const char *text, size_t step, bool has_ended)
{
	uint8_t buf[64] = { 0, 0, 0, (uint8_t)strlen(text) };
	size_t len = 4 + strlen(text);

	memcpy(buf + 4, text, strlen(text));
	for (size_t off = 0; off < len; off += step) {
		size_t n = RTE_MIN(step, len - off);

		assert_int_equal(wzp_reader_take(reader, id, buf + off, n,
						 has_ended && off + n == len),
				0);
	}
}

static int
setup(void **state)
{
	struct heard *h = calloc(1, sizeof(*h));

	h->reader = calloc(1, sizeof(*h->reader));
	wzp_reader_init(h->reader, &ops, h);
	*state = h;
	return 0;
}

static int
teardown(void **state)
{
	struct heard *h = *state;

	wzp_reader_fini(h->reader);
	free(h->reader);
	free(h);
	return 0;
}

static void
wzp_reader__reads_streams_in_the_order_of_their_ids(void **state)
{
	struct heard *h = *state;

	feed(h->reader, 9, "third", 100, true);
	feed(h->reader, 5, "second", 100, true);
	assert_int_equal(h->nb_frames, 0);
	feed(h->reader, 1, "first", 1, true);
	assert_int_equal(h->nb_frames, 3);
	assert_string_equal(h->frames[0], "first");
	assert_string_equal(h->frames[1], "second");
	assert_string_equal(h->frames[2], "third");
	assert_int_equal(h->reader->frames, 3);
}

static void
wzp_reader__gives_credit_back_when_it_is_a_streams_turn(void **state)
{
	struct heard *h = *state;

	feed(h->reader, 5, "second", 100, false);
	assert_int_equal(h->consumed[5], 0);
	feed(h->reader, 1, "fir", 3, false);
	/* All that came of the first, and with its frame the second's. */
	assert_int_equal(h->consumed[1], 7);
	assert_int_equal(h->consumed[5], 10);
	assert_int_equal(h->nb_frames, 2);
}

static void
wzp_reader__does_not_wait_for_the_end_of_a_stream(void **state)
{
	struct heard *h = *state;

	feed(h->reader, 1, "first", 100, false);
	assert_int_equal(h->nb_frames, 1);
	/* What else comes on it is nobody's. */
	feed(h->reader, 1, "again", 100, true);
	assert_int_equal(h->nb_frames, 1);
	assert_int_equal(h->reader->trailing, 9);
	assert_int_equal(h->consumed[1], 18);
}

static void
wzp_reader__goes_on_behind_what_is_broken(void **state)
{
	static const uint8_t huge[] = { 0x00, 0x10, 0x00, 0x01, '{' };
	static const uint8_t half[] = { 0, 0, 0, 9, '{' };
	struct heard *h = *state;

	/* Longer than allowed; ended within a frame; reset; ended at once. */
	assert_int_equal(wzp_reader_take(h->reader, 1, huge, sizeof(huge), false), 0);
	assert_int_equal(wzp_reader_take(h->reader, 5, half, sizeof(half), true), 0);
	assert_int_equal(wzp_reader_take(h->reader, 13, NULL, 0, true), 0);
	assert_int_equal(wzp_reader_take(h->reader, 9, NULL, 0, true), 0);
	feed(h->reader, 17, "fine", 100, true);
	assert_int_equal(h->nb_frames, 1);
	assert_string_equal(h->frames[0], "fine");
	assert_int_equal(h->reader->oversize, 1);
	assert_int_equal(h->reader->broken, 3);
	assert_int_equal(h->reader->nb_streams, 0);
}

static void
wzp_reader__takes_a_frame_of_a_megabyte(void **state)
{
	struct heard *h = *state;
	uint8_t piece[1000] = { 0x00, 0x10, 0x00, 0x00 };
	size_t left = 4 + WZP_READER_FRAME_MAX;

	while (left != 0) {
		size_t n = RTE_MIN(left, sizeof(piece));

		assert_int_equal(h->nb_frames, 0);
		assert_int_equal(wzp_reader_take(h->reader, 1, piece, n, false), 0);
		memset(piece, 'x', 4);
		left -= n;
	}
	assert_int_equal(h->nb_frames, 1);
	assert_int_equal(h->lens[0], WZP_READER_FRAME_MAX);
	/* Each byte's credit at once, or it could not come. */
	assert_int_equal(h->consumed[1], 4 + WZP_READER_FRAME_MAX);
}

static void
wzp_reader__stops_when_told_within_a_frame(void **state)
{
	struct heard *h = *state;
	size_t before;

	h->stop_after = 1;
	feed(h->reader, 5, "second", 100, true);
	feed(h->reader, 1, "first", 100, true);
	assert_int_equal(h->nb_frames, 1);
	before = h->consumed[5] + h->consumed[9];
	feed(h->reader, 9, "third", 100, true);
	feed(h->reader, 5, "second", 100, true);
	assert_int_equal(h->nb_frames, 1);
	assert_int_equal(h->consumed[5] + h->consumed[9], before);
	assert_int_equal(before, 0);
}

static void
wzp_reader__leaves_unidirectional_streams_aside(void **state)
{
	struct heard *h = *state;

	feed(h->reader, 3, "version", 100, true);
	assert_int_equal(h->nb_frames, 0);
	assert_int_equal(h->consumed[3], 11);
	assert_int_equal(h->reader->trailing, 0);
	feed(h->reader, 1, "first", 100, true);
	assert_int_equal(h->nb_frames, 1);
}

static void
wzp_reader__keeps_so_many_streams_and_no_more(void **state)
{
	struct heard *h = *state;
	uint8_t byte = 0;

	for (int64_t i = 1; i <= WZP_READER_STREAMS; i++)
		assert_int_equal(wzp_reader_take(h->reader, 1 + 4 * i, &byte, 1, false), 0);
	assert_int_equal(wzp_reader_take(h->reader, 1 + 4 * (WZP_READER_STREAMS + 1), &byte, 1,
					 false),
			-ENOBUFS);
	assert_int_equal(h->nb_frames, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(wzp_reader__reads_streams_in_the_order_of_their_ids),
		TEST(wzp_reader__gives_credit_back_when_it_is_a_streams_turn),
		TEST(wzp_reader__does_not_wait_for_the_end_of_a_stream),
		TEST(wzp_reader__goes_on_behind_what_is_broken),
		TEST(wzp_reader__takes_a_frame_of_a_megabyte),
		TEST(wzp_reader__stops_when_told_within_a_frame),
		TEST(wzp_reader__leaves_unidirectional_streams_aside),
		TEST(wzp_reader__keeps_so_many_streams_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

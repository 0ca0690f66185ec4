/* SPDX-License-Identifier: BSD-3-Clause */
/* QUIC clients at a whole relay: streams both ways, limits, and who may move a way back. */
#include <errno.h>
#include <stdlib.h>

#include "quic_fixture.h"

static struct fxq q;

static uint8_t *
bytes(size_t len)
{
	uint8_t *buf = malloc(len);

	assert_non_null(buf);
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(i * 7 + i / 251);
	return buf;
}

/* --- streams from clients -------------------------------------------------------------------- */

/* A worker that stands still keeps the credit of its own clients waiting, and that of no others. */
static void
streams__are_credited_beside_a_worker_that_stands_still(void **state)
{
	struct fxq_client *stuck, *fine;
	uint8_t *buf = bytes(100000);
	uint64_t read;

	fxq_conf(&q);
	q.fx.conf.ring_size = 64;
	fxq_create(&q);
	fine = fxq_join(&q, "fine", 0);
	stuck = fxq_join(&q, "stuck", 1);
	/* Its parts are on their way up when its worker stops, and nothing more can be given to that. */
	assert_int_equal(fxq_message(stuck, buf, 5000), 0);
	fxq_flush(stuck);
	plm_relay_turn(plm_ctl_relay(q.fx.ctl), 1, q.fx.now_ns);
	q.fx.stopped = 2;
	while (plm_ctl_quic_send(q.fx.ctl, fxq_session(stuck), true, "x", 1) == 0)
		;
	read = fxq_count(&q, PLM_CNT_QUIC_STREAM_BYTES);
	assert_int_equal(fxq_message(fine, buf, 100000), 0);
	fxq_step(&q, 200);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_STREAM_BYTES) - read, 105000);
	assert_int_equal(fine->nb_chunks_done, 1);
	/* It goes on, and so does its client: far beyond a window. */
	q.fx.stopped = 0;
	assert_int_equal(fxq_message(stuck, buf, 100000), 0);
	fxq_step(&q, 400);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_STREAM_BYTES) - read, 205000);
	assert_int_equal(stuck->nb_chunks_done, 2);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_STREAM_FLOOD), 0);
	fxq_free(&q);
	free(buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams__are_credited_beside_a_worker_that_stands_still),
	};

	test_eal_init(512);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

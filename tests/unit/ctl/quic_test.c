/* SPDX-License-Identifier: BSD-3-Clause */
/* QUIC clients at a whole relay: streams both ways, limits, and who may move a way back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "quic_fixture.h"
#include "quic_priv.h"
#include "test_initial.h"

static struct fxq q;

/* What the next packet of a client is to carry instead; NULL: nothing. */
static struct {
	const uint8_t *frames;
	size_t len;
	ngtcp2_encrypt encrypt;
} forged;

static int
encrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *ctx,
		const uint8_t *plain, size_t len, const uint8_t *nonce, size_t nonce_len,
		const uint8_t *aad, size_t aad_len)
{
	uint8_t frames[PLM_QUIC_PACKET_MAX] = { 0 }; /* the rest is PADDING */

	if (forged.frames != NULL) {
		assert_true(forged.len <= len);
		memcpy(frames, forged.frames, forged.len);
		forged.frames = NULL;
		plain = frames;
	}
	return forged.encrypt(dest, aead, ctx, plain, len, nonce, nonce_len, aad, aad_len);
}

/* Of clients that begin from here on. */
static void
forge_prepare(void)
{
	forged.frames = NULL;
	forged.encrypt = q.engine->client.encrypt;
	q.engine->client.encrypt = encrypt;
}

/* A packet of the client's with these frames. */
static void
forge(struct fxq_client *c, const uint8_t *frames, size_t len)
{
	static const uint8_t zeros[1000];

	forged.frames = frames;
	forged.len = len;
	assert_int_equal(fxq_datagram(c, zeros, RTE_MAX(len, (size_t)20)), PLM_QUIC_SENT);
	assert_null(forged.frames);
}

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
	read = fxq_stream_bytes(&q);
	assert_int_equal(fxq_message(fine, buf, 100000), 0);
	fxq_step(&q, 200);
	assert_int_equal(fxq_stream_bytes(&q) - read, 105000);
	assert_int_equal(fine->nb_chunks_done, 1);
	/* It goes on, and so does its client: far beyond a window. */
	q.fx.stopped = 0;
	assert_int_equal(fxq_message(stuck, buf, 100000), 0);
	fxq_step(&q, 400);
	assert_int_equal(fxq_stream_bytes(&q) - read, 205000);
	assert_int_equal(stuck->nb_chunks_done, 2);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_STREAM_FLOOD), 0);
	fxq_free(&q);
	free(buf);
}

/* Messages that a ring holds, and those of them that parts of streams may be. */
#define RING 63
#define HALF 32

/* A message in parts of one byte; the bytes stay until the end. */
static void
say_bytes(struct fxq_client *c, const uint8_t *buf, unsigned int n)
{
	struct plm_quic_chunk *first = NULL, **at = &first;

	for (unsigned int i = 0; i < n; i++) {
		*at = calloc(1, sizeof(**at));
		assert_non_null(*at);
		(*at)->buf = &buf[i];
		(*at)->len = 1;
		at = &(*at)->next;
	}
	assert_int_equal(plm_quic_stream_send(c->conn, first), 0);
}

/* While the slow path stands still a client says more than there is room for. Checks of those who are in a call find
 * theirs all the same, and are answered as soon as it goes on. */
static void
streams__leave_half_of_the_way_up_to_what_cannot_wait(void **state)
{
	uint8_t *buf = bytes(200);
	struct fx_client calls[24];
	struct fxq_client *a;
	uint64_t asked;

	fxq_conf(&q);
	q.fx.conf.ring_size = RING;
	fxq_create(&q);
	for (unsigned int i = 0; i < RTE_DIM(calls); i++) {
		char who[8];

		snprintf(who, sizeof(who), "m%u", i);
		calls[i] = fx_client("call", who, PLM_ROLE_BOTH, i);
		calls[i].queue = 0;
		fx_check(&q.fx, &calls[i]);
		fxq_step(&q, 2);
	}
	a = fxq_join(&q, "room", 0);
	assert_int_equal(fxq_count(&q, PLM_CNT_STUN_ADMITTED), RTE_DIM(calls));
	asked = fxq_count(&q, PLM_CNT_STUN_REQUESTS);
	say_bytes(a, buf, 200);
	fxq_flush(a);
	fxq_step_workers(&q, 5);
	for (unsigned int i = 0; i < RTE_DIM(calls); i++)
		fx_check(&q.fx, &calls[i]);
	fxq_step_workers(&q, 5);
	assert_int_equal(fxq_count(&q, PLM_CNT_RX_CTL_RING_KNOWN), 0);
	fxq_step(&q, 20);
	assert_int_equal(fxq_count(&q, PLM_CNT_STUN_REQUESTS) - asked, RTE_DIM(calls));
	/* And nothing of what waited is lost. */
	assert_int_equal(fxq_stream_bytes(&q), 200);
	assert_int_equal(plm_quic_conn_state(a->conn), PLM_QUIC_ESTABLISHED);
	fxq_free(&q);
	free(buf);
}

/* The same of what was read, on its way back to a worker that stands still: the ring's other half is there for what is
 * said to its clients. */
static void
streams__leave_half_of_the_way_down_to_what_cannot_wait(void **state)
{
	uint8_t *buf = bytes(60);
	struct fxq_client *a;
	unsigned int taken = 0;

	fxq_conf(&q);
	q.fx.conf.ring_size = RING;
	fxq_create(&q);
	a = fxq_join(&q, "room", 1);
	say_bytes(a, buf, 60);
	fxq_flush(a);
	plm_relay_turn(plm_ctl_relay(q.fx.ctl), 1, q.fx.now_ns);
	q.fx.stopped = 2;
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(plm_ctl_quic_send(q.fx.ctl, fxq_session(a), true, "x", 1), 0);
	/* Half a ring of parts has come up, and is read. */
	fx_step(&q.fx, 5);
	assert_int_equal(fxq_stream_bytes(&q), HALF);
	while (plm_ctl_quic_send(q.fx.ctl, fxq_session(a), true, "x", 1) == 0)
		taken++;
	assert_int_equal(taken, RING - HALF);
	q.fx.stopped = 0;
	fxq_step(&q, 100);
	assert_int_equal(fxq_stream_bytes(&q), 60);
	assert_int_equal(a->nb_chunks_done, 60);
	assert_int_equal(a->nb_fins, 20 + taken);
	fxq_free(&q);
	free(buf);
}

/* What waited for a lost packet comes in one piece that is larger than an mbuf. */
/* A port that takes nothing for a while costs nobody a packet: what is written is what has room. */
static void
streams__wait_for_room_in_the_queue(void **state)
{
	struct fxq_client *clients[6];
	uint8_t *buf = bytes(20000);
	struct rte_mbuf *m;
	uint64_t now_ns;

	fxq_conf(&q);
	fxq_create(&q);
	for (unsigned int i = 0; i < RTE_DIM(clients); i++)
		clients[i] = fxq_join(&q, "room", 1);
	while ((m = rte_pktmbuf_alloc(q.fx.rx_pools[1])) != NULL) {
		memset(rte_pktmbuf_append(m, 60), 0, 60);
		if (rte_ring_enqueue(q.fx.tx[1], m) != 0)
			break;
	}
	assert_non_null(m);
	rte_pktmbuf_free(m);
	for (unsigned int i = 0; i < RTE_DIM(clients); i++)
		assert_int_equal(plm_ctl_quic_send(q.fx.ctl, fxq_session(clients[i]), false, buf,
						 20000),
				0);
	now_ns = q.fx.now_ns;
	fxq_step_workers(&q, 50);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_TX_QUEUE), 0);
	/* And none is sent twice, or late. */
	fxq_step(&q, 20);
	for (unsigned int i = 0; i < RTE_DIM(clients); i++) {
		assert_int_equal(clients[i]->nb_bytes, 20000);
		assert_memory_equal(clients[i]->bytes, buf, 20000);
	}
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_TX_QUEUE), 0);
	assert_true(q.fx.now_ns - now_ns < 100 * PLM_NS_PER_MS);
	fxq_free(&q);
	free(buf);
}

static void
streams__that_wait_for_a_lost_packet_are_cut(void **state)
{
	uint8_t *buf = bytes(9000);
	struct fxq_client *a;

	fxq_conf(&q);
	fxq_create(&q);
	a = fxq_join(&q, "room", 0);
	a->nb_drop = 1;
	assert_int_equal(fxq_message(a, buf, 9000), 0);
	fxq_flush(a);
	fx_step(&q.fx, 1);
	assert_int_equal(fxq_stream_bytes(&q), 0);
	fxq_step(&q, 500);
	assert_int_equal(fxq_stream_bytes(&q), 9000);
	assert_int_equal(a->nb_chunks_done, 1);
	assert_int_equal(plm_quic_conn_state(a->conn), PLM_QUIC_ESTABLISHED);
	fxq_free(&q);
	free(buf);
}

static const struct {
	size_t size;
	unsigned int loss; /* percent, either way */
} large[] = {
	{ 64 * 1024 + 4, 0 },
	{ 64 * 1024 + 4, 5 },
	{ 256 * 1024, 0 },
	{ 256 * 1024, 1 },
	{ 256 * 1024, 5 },
	{ 256 * 1024, 10 },
};

/* More than there is credit for at once, on one stream: as it is read, there is more. */
static void
streams__of_any_length_are_read_whatever_is_lost(void **state)
{
	for (size_t i = 0; i < RTE_DIM(large); i++) {
		uint8_t *buf = bytes(large[i].size);
		struct fxq_client *a;
		unsigned int n = 0;

		fxq_conf(&q);
		fxq_create(&q);
		a = fxq_join(&q, "room", 0);
		a->loss = large[i].loss;
		assert_int_equal(fxq_message(a, buf, large[i].size), 0);
		while (a->nb_chunks_done == 0 && n++ < 20000)
			fxq_step(&q, 1);
		print_message("%zu bytes, %u %% lost: %u ms\n", large[i].size, large[i].loss, n);
		assert_int_equal(a->nb_chunks_done, 1);
		assert_int_equal(fxq_stream_bytes(&q), large[i].size);
		assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_STREAM_LATE), 0);
		assert_int_equal(plm_quic_conn_state(a->conn), PLM_QUIC_ESTABLISHED);
		fxq_free(&q);
		free(buf);
	}
}

/* Bytes one by one, while nobody reads: who does so loses the connection, and nobody beside it. */
static void
streams__that_flood_close_the_connection(void **state)
{
	uint8_t *buf = bytes(600);
	struct fxq_client *a, *b;

	fxq_conf(&q);
	fxq_create(&q);
	a = fxq_join(&q, "room", 0);
	b = fxq_join(&q, "room", 0);
	say_bytes(a, buf, 600);
	fxq_flush(a);
	assert_int_equal(fxq_message(b, buf, 600), 0);
	fxq_flush(b);
	fxq_step_workers(&q, 5);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_STREAM_FLOOD), 1);
	assert_int_equal(fxq_stream_bytes(&q), 0);
	fxq_step(&q, 50);
	/* Alone it may have a fifth of the places, so that as much as four times that is left. What it said before was read; it was told, and the other one is heard. */
	assert_int_equal(fxq_stream_bytes(&q), (PLM_QUIC_WORKER_PARTS + 4) / 5 + 600);
	assert_true(plm_quic_conn_state(a->conn) >= PLM_QUIC_CLOSING);
	assert_true(plm_quic_conn_end(a->conn).is_remote);
	assert_int_equal(b->nb_chunks_done, 1);
	assert_int_equal(plm_quic_conn_state(b->conn), PLM_QUIC_ESTABLISHED);
	/* And every place is free again. */
	for (unsigned int i = 0; i < 8; i++) {
		assert_int_equal(fxq_message(b, buf, 600), 0);
		fxq_step(&q, 20);
	}
	assert_int_equal(fxq_stream_bytes(&q), (PLM_QUIC_WORKER_PARTS + 4) / 5 + 9 * 600);
	fxq_free(&q);
	free(buf);
}

/* A stream of which so many bytes come one by one, and RESET_STREAM, which says that there were 1 000. */
static void
reset_stream(struct fxq_client *c, unsigned int nb_bytes)
{
	uint8_t f[200];
	uint8_t id[4];
	int64_t stream_id;
	size_t n = 0;

	assert_int_equal(ngtcp2_conn_open_uni_stream(c->conn->ng, &stream_id, NULL), 0);
	for (unsigned int i = 0; i < 4; i++)
		id[i] = (uint8_t)((uint32_t)stream_id >> (24 - 8 * i));
	id[0] |= 0x80;
	for (unsigned int i = 0; i < nb_bytes; i++) {
		f[n++] = 0x0e;
		memcpy(f + n, id, sizeof(id));
		n += sizeof(id);
		f[n++] = (uint8_t)i;
		f[n++] = 1;
		f[n++] = 'x';
	}
	f[n++] = 0x04;
	memcpy(f + n, id, sizeof(id));
	n += sizeof(id);
	f[n++] = 0;
	f[n++] = 0x40 | 1000 >> 8;
	f[n++] = 1000 & 0xff;
	forge(c, f, n);
}

/* What came before is read, the rest is given back: far beyond a window, and what a client may have of
 * streams and of its worker's parts. */
static void
streams__that_are_reset_leave_nothing_behind(void **state)
{
	struct fxq_client *a;

	fxq_conf(&q);
	fxq_create(&q);
	forge_prepare();
	a = fxq_join(&q, "room", 0);
	for (unsigned int i = 0; i < 110; i++) {
		reset_stream(a, 10);
		fxq_step(&q, 2);
	}
	assert_int_equal(fxq_stream_bytes(&q), 1100);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_STREAM_FLOOD), 0);
	assert_int_equal(plm_quic_conn_state(a->conn), PLM_QUIC_ESTABLISHED);
	fxq_free(&q);
}

/* Those of which nothing came before stay in memory: who resets many of them loses the connection, and nobody beside
 * it. */
static void
streams__that_are_reset_before_they_begin_are_bounded(void **state)
{
	uint8_t *buf = bytes(1000);
	struct fxq_client *a, *b;

	fxq_conf(&q);
	fxq_create(&q);
	forge_prepare();
	a = fxq_join(&q, "room", 0);
	b = fxq_join(&q, "room", 0);
	for (unsigned int i = 0; i < 32; i++) {
		reset_stream(a, 0);
		fxq_step(&q, 5);
	}
	assert_int_equal(fxq_message(a, buf, 1000), 0);
	fxq_step(&q, 20);
	assert_int_equal(fxq_stream_bytes(&q), 1000);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_STREAM_FLOOD), 0);
	reset_stream(a, 0);
	fxq_step(&q, 20);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_STREAM_FLOOD), 1);
	assert_true(plm_quic_conn_end(a->conn).is_remote);
	assert_int_equal(fxq_message(b, buf, 1000), 0);
	fxq_step(&q, 20);
	assert_int_equal(fxq_stream_bytes(&q), 2000);
	fxq_free(&q);
	free(buf);
}

/* --- messages to clients ---------------------------------------------------------------------- */

static int
say(struct fxq_client *c, bool uni, const uint8_t *buf, size_t len)
{
	return plm_ctl_quic_send(q.fx.ctl, fxq_session(c), uni, buf, len);
}

static void
messages__arrive_whole_and_in_order(void **state)
{
	static const size_t sizes[] = { 1, 2, 1400, 1500, 3000, PLM_CTL_MESSAGE, 7, 20000 };
	uint8_t *buf = bytes(PLM_CTL_MESSAGE + 1);

	for (unsigned int home = 0; home < FX_WORKERS; home++)
		for (unsigned int uni = 0; uni < 2; uni++) {
			struct fxq_client *a;
			size_t at = 0;

			fxq_conf(&q);
			fxq_create(&q);
			a = fxq_join(&q, "room", home);
			assert_int_equal(say(a, uni, buf, 0), -EMSGSIZE);
			assert_int_equal(say(a, uni, buf, PLM_CTL_MESSAGE + 1), -EMSGSIZE);
			for (size_t i = 0; i < RTE_DIM(sizes); i++) {
				assert_int_equal(say(a, uni, buf, sizes[i]), 0);
				fxq_step(&q, sizes[i] > 10000 ? 300 : 1);
			}
			fxq_step(&q, 500);
			assert_int_equal(a->nb_fins, RTE_DIM(sizes));
			for (size_t i = 0; i < RTE_DIM(sizes); i++) {
				assert_true(at + sizes[i] <= a->nb_bytes);
				assert_memory_equal(a->bytes + at, buf, sizes[i]);
				at += sizes[i];
			}
			assert_int_equal(a->nb_bytes, at);
			assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_MESSAGES), RTE_DIM(sizes) + 2);
			assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_STREAM_FULL), 0);
			assert_int_equal(fxq_messages(&q), 0);
			/* And of one whose session has ended there is nothing to say to. */
			{
				struct plm_handle gone = fxq_session(a);

				plm_quic_close(a->conn, 0, "bye");
				fxq_step(&q, 500);
				assert_int_equal(plm_ctl_quic_send(q.fx.ctl, gone, uni, "x", 1),
						-ENOENT);
			}
			fxq_free(&q);
		}
	free(buf);
}

/* What waits for who never reads is bounded, refused and counted then; the other one in its room waits for nothing. */
static void
messages__to_a_client_that_never_reads_delay_nobody(void **state)
{
	uint8_t *buf = bytes(1000);
	struct fxq_client *a, *b;

	fxq_conf(&q);
	fxq_create(&q);
	a = fxq_join(&q, "room", 0);
	b = fxq_join(&q, "room", 0);
	a->keeps = true;
	for (unsigned int i = 1; i <= 400; i++) {
		assert_int_equal(say(a, true, buf, 1000), 0);
		assert_int_equal(say(b, true, buf, 1000), 0);
		assert_int_equal(fxq_send(b, "media", 5), PLM_QUIC_SENT);
		fxq_step(&q, 3);
		assert_int_equal(b->nb_bytes, i * 1000);
		assert_int_equal(a->nb_datagrams, i);
		/* An mbuf for each message: of its queue, and of the other's that was not acknowledged. */
		assert_true(fxq_messages(&q) <= 64 + 40);
	}
	assert_int_equal(b->nb_fins, 400);
	assert_true(a->nb_bytes <= PLM_QUIC_WINDOW_MAX);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_STREAM_FULL) + a->nb_fins + 64, 400);
	/* It reads after all: what was taken comes, in order. */
	for (unsigned int i = 0; i < a->nb_fins; i++)
		plm_quic_stream_consumed(a->conn, 3 + 4 * (int64_t)i, 1000);
	a->keeps = false;
	fxq_step(&q, 300);
	assert_int_equal(a->nb_bytes, 1000 * (400 - fxq_count(&q, PLM_CNT_QUIC_STREAM_FULL)));
	for (size_t at = 0; at < a->nb_bytes; at += 1000)
		assert_memory_equal(a->bytes + at, buf, 1000);
	assert_int_equal(plm_quic_conn_state(a->conn), PLM_QUIC_ESTABLISHED);
	fxq_free(&q);
	free(buf);
}

static const struct {
	const char *name;
	bool is_told;  /* the relay ends it; else it is silent until it times out */
	bool is_large; /* of many mbufs each */
} waiting[] = {
	{ "kicked", true, false },
	{ "kicked, with large ones", true, true },
	{ "silent for ever", false, false },
	{ "silent for ever, with large ones", false, true },
};

static void
messages__that_wait_when_the_connection_ends_are_given_back(void **state)
{
	uint8_t *buf = bytes(PLM_CTL_MESSAGE);

	for (size_t i = 0; i < RTE_DIM(waiting); i++) {
		struct fxq_client *a;

		print_message("%s\n", waiting[i].name);
		fxq_conf(&q);
		q.fx.conf.quic.idle_timeout_ns = 2 * PLM_NS_PER_S;
		fxq_create(&q);
		a = fxq_join(&q, "room", 0);
		a->keeps = true;
		for (unsigned int k = 0; k < 100; k++) {
			say(a, true, buf, waiting[i].is_large ? PLM_CTL_MESSAGE : 1000);
			fxq_step(&q, 3);
		}
		assert_true(fxq_count(&q, PLM_CNT_QUIC_STREAM_FULL) > 0);
		assert_true(fxq_messages(&q) >= 20);
		if (waiting[i].is_told)
			assert_int_equal(plm_admit_end(plm_ctl_admit(q.fx.ctl), fxq_session(a),
							 PLM_END_KICKED, q.fx.now_ns, q.fx.wall_s),
					0);
		else
			a->is_mute = true;
		fxq_step(&q, 4000);
		assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_ENDED), 1);
		assert_int_equal(fxq_messages(&q), 0);
		fxq_free(&q);
	}
	free(buf);
}

/* To a worker that stands still: refused when its ring is full, and what was taken arrives. */
static void
messages__to_a_worker_that_stands_still_are_refused(void **state)
{
	uint8_t *buf = bytes(1000);
	struct fxq_client *a;
	unsigned int taken = 0;

	fxq_conf(&q);
	q.fx.conf.ring_size = 32;
	fxq_create(&q);
	a = fxq_join(&q, "room", 1);
	q.fx.stopped = 2;
	for (unsigned int i = 0; i < 100; i++) {
		int ret = say(a, true, buf + taken, 10);

		taken += ret == 0;
		assert_true(ret == 0 || ret == -ENOBUFS);
	}
	assert_in_range(taken, 16, 64);
	assert_int_equal(fxq_count(&q, PLM_CNT_CTL_TX_RING), 100 - taken);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_MESSAGES), taken + 2);
	assert_int_equal(fxq_messages(&q), taken);
	q.fx.stopped = 0;
	fxq_step(&q, 50);
	assert_int_equal(a->nb_fins, taken);
	for (unsigned int i = 0; i < taken; i++)
		assert_memory_equal(a->bytes + 10 * i, buf + i, 10);
	fxq_free(&q);
	free(buf);
}

/* --- datagrams ---------------------------------------------------------------------------------- */

/* The datagrams of two packets of one burst, each of whose senders gets the other's: more than are served at once, so
 * that some fall due while the packet of their receiver is being read. */
static void
datagrams__are_served_behind_the_packet_that_is_read(void **state)
{
	uint64_t counts[2];
	struct fxq_client *a, *b;

	fxq_conf(&q);
	fxq_create(&q);
	a = fxq_join(&q, "room", 0);
	b = fxq_join(&q, "room", 0);
	for (unsigned int i = 1; i <= 50; i++) {
		fxq_send_small(a, 20, PLM_WZP_HDR);
		fxq_send_small(b, 200, PLM_WZP_HDR);
		fxq_send_small(a, 200, PLM_WZP_HDR);
		fxq_step(&q, 20);
		assert_int_equal(b->nb_datagrams, i * 220);
		assert_int_equal(a->nb_datagrams, i * 200);
	}
	/* More than are kept of one packet, too small for media, are dropped, and counted. */
	counts[0] = a->nb_datagrams;
	counts[1] = fxq_count(&q, PLM_CNT_DGRAMS);
	fxq_send_small(b, 350, 1);
	fxq_step(&q, 20);
	assert_int_equal(fxq_count(&q, PLM_CNT_DGRAMS) - counts[1], 350);
	assert_in_range(fxq_count(&q, PLM_CNT_DGRAM_MANY), 1, 350 - 256);
	assert_int_equal(fxq_count(&q, PLM_CNT_DGRAM_MALFORMED),
			350 - fxq_count(&q, PLM_CNT_DGRAM_MANY));
	assert_int_equal(a->nb_datagrams, counts[0]);
	assert_int_equal(fxq_count(&q, PLM_CNT_DGRAMS), fxq_count(&q, PLM_CNT_DGRAMS_MEDIA) + 350);
	fxq_free(&q);
}

/* Nobody sends it anything that could take the acknowledgement along, which waits no longer than promised. */
static void
datagrams__of_who_is_alone_are_acknowledged_in_time(void **state)
{
	struct fxq_client *a;
	unsigned int most = 0;

	fxq_conf(&q);
	fxq_create(&q);
	a = fxq_join(&q, "room", 0);
	for (unsigned int i = 0; i < 200; i++) {
		unsigned int ms = 0;

		fxq_step(&q, i % 37);
		assert_int_equal(fxq_send(a, "x", 1), PLM_QUIC_SENT);
		/* Its own turns are of a millisecond, too. */
		for (; plm_quic_in_flight(a->conn) > 0; ms++)
			fxq_step(&q, 1);
		most = RTE_MAX(most, ms);
	}
	assert_in_range(most, 2, PLM_QUIC_ACK_NS / PLM_NS_PER_MS);
	fxq_free(&q);
}

/* All that it says is acknowledgements, which are answered with the next datagram: nothing is written for their sake. */
static void
datagrams__to_who_only_listens_are_shown_as_they_are(void **state)
{
	struct plm_quic_shown shown;
	struct plm_quic_path since;
	struct fxq_client *a, *b;

	fxq_conf(&q);
	fxq_create(&q);
	a = fxq_join(&q, "room", 0);
	b = fxq_join(&q, "room", 0);
	for (unsigned int i = 1; i <= 200; i++) {
		assert_int_equal(fxq_send(b, "x", 1), PLM_QUIC_SENT);
		fxq_step(&q, 20);
		assert_true(plm_ctl_quic_shown(q.fx.ctl, fxq_session(a), &since, &shown));
		/* Half a second old at most, and every second one is acknowledged. */
		assert_in_range(shown.figures.datagrams_acked, i < 27 ? 0 : i - 27, i);
	}
	assert_int_equal(a->nb_datagrams, 200);
	fxq_free(&q);
}

/* One that comes with the handshake's last packet, or before the offer, goes nowhere, is counted, and costs its sender
 * nothing. */
static void
datagrams__before_their_sender_is_in_a_room_are_dropped(void **state)
{
	struct fxq_client *a, *b;

	fxq_conf(&q);
	fxq_create(&q);
	b = fxq_join(&q, "room", 0);
	a = fxq_begin(&q, "room", 0, 2);
	while (!a->is_established)
		fxq_step(&q, 1);
	assert_int_equal(fxq_send(a, "early", 5), PLM_QUIC_SENT);
	fxq_step(&q, 50);
	assert_int_equal(fxq_send(a, "early", 5), PLM_QUIC_SENT);
	fxq_step(&q, 50);
	assert_int_equal(fxq_count(&q, PLM_CNT_DGRAM_EARLY), 2);
	assert_int_equal(b->nb_datagrams, 0);
	fxq_offer(a, 2, NULL);
	fxq_step(&q, 20);
	assert_int_equal(fxq_send(a, "in time", 7), PLM_QUIC_SENT);
	fxq_step(&q, 5);
	assert_int_equal(b->nb_datagrams, 1);
	assert_int_equal(fxq_count(&q, PLM_CNT_DGRAMS), 3);
	assert_int_equal(fxq_count(&q, PLM_CNT_DGRAMS_MEDIA), 1);
	fxq_free(&q);
}

#define MEDIA(...) .len = sizeof((const uint8_t[]){ __VA_ARGS__ }), .bytes = { __VA_ARGS__ }

static const struct {
	const char *name;
	uint8_t len;
	uint8_t bytes[64];
	bool is_media;
	uint32_t report; /* 0: none */
	bool is_trunk;
} media[] = {
	{ "a header alone", MEDIA(0, 0, 0, 7, 0, 0, 0, 0x8c, 0, 0, 0, 0), .is_media = true },
	{ "a byte short of a header", MEDIA(0, 0, 0, 7, 0, 0, 0, 0x8c, 0, 0, 0) },
	{ "version 1, spare bits, reserved bytes",
			MEDIA(0x80, 3, 0, 1, 0, 0, 0, 0x14, 0, 0, 0xff, 7, 0xaa),
			.is_media = true },
	{ "the last codec", MEDIA(0x20, 0, 0, 1, 0, 0, 0, 0x14, 0, 0, 0, 0, 0xaa),
			.is_media = true },
	{ "codec 9", MEDIA(0x24, 0, 0, 1, 0, 0, 0, 0x14, 0, 0, 0, 0, 0xaa) },
	{ "codec 15, repair", MEDIA(0x7c, 0, 0, 1, 0, 0, 0, 0x14, 0, 0, 0, 0, 0xaa) },
	{ "a report",
			MEDIA(2, 0, 0, 0x39, 0, 0, 4, 0x74, 0, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef,
					0x19, 0x19, 0x14, 0xc8),
			.is_media = true, .report = 0x191914c8 },
	{ "a report and nothing else",
			MEDIA(2, 0, 0, 0x39, 0, 0, 4, 0x74, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff),
			.is_media = true, .report = 0xffffffff },
	{ "a report cut", MEDIA(2, 0, 0, 0x39, 0, 0, 4, 0x74, 0, 0, 0, 0, 0x19, 0x19, 0x14) },
	{ "a trunk of one", MEDIA(0, 1, 0, 1, 0, 12, 0, 0, 0, 7, 0, 0, 0, 0x8c, 0, 0, 0, 0),
			.is_media = true, .is_trunk = true },
	{ "a trunk of one and a byte",
			MEDIA(0, 1, 0, 1, 0, 12, 0, 0, 0, 7, 0, 0, 0, 0x8c, 0, 0, 0, 0, 0),
			.is_media = true },
};

/* Whatever is media goes on byte for byte, and whatever is not costs its sender nothing more. */
static void
datagrams__that_are_no_media_are_dropped(void **state)
{
	uint64_t nb_reports = 0, nb_trunks = 0, nb_bad = 0, nb_good = 0;
	struct fxq_client *a, *b;

	fxq_conf(&q);
	fxq_create(&q);
	a = fxq_join(&q, "room", 0);
	b = fxq_join(&q, "room", 0);
	for (size_t i = 0; i < RTE_DIM(media); i++) {
		const struct plm_session_hot *hot =
				&plm_ctl_sessions(q.fx.ctl)->hot[fxq_session(a).idx];
		struct plm_quality quality;

		print_message("%s\n", media[i].name);
		assert_int_equal(fxq_datagram(a, media[i].bytes, media[i].len), PLM_QUIC_SENT);
		fxq_step(&q, 5);
		nb_good += media[i].is_media;
		nb_bad += !media[i].is_media;
		nb_reports += media[i].report != 0;
		nb_trunks += media[i].is_trunk;
		assert_int_equal(b->nb_datagrams, nb_good);
		if (media[i].is_media) {
			assert_int_equal(b->last_len, media[i].len);
			assert_memory_equal(b->last, media[i].bytes, media[i].len);
		}
		assert_int_equal(fxq_count(&q, PLM_CNT_DGRAMS_MEDIA), nb_good);
		assert_int_equal(fxq_count(&q, PLM_CNT_DGRAM_MALFORMED), nb_bad);
		assert_int_equal(fxq_count(&q, PLM_CNT_DGRAM_REPORTS), nb_reports);
		assert_int_equal(fxq_count(&q, PLM_CNT_DGRAM_TRUNKS), nb_trunks);
		assert_int_equal(hot->rx_packets, nb_good);
		assert_int_equal(hot->rx_dropped, nb_bad);
		quality = plm_quality(hot);
		assert_int_equal(quality.nb, nb_reports);
		if (media[i].report != 0) {
			assert_int_equal(quality.lost, media[i].report >> 24);
			assert_int_equal(quality.rtt_4ms, media[i].report >> 16 & 0xff);
			assert_int_equal(quality.jitter_ms, media[i].report >> 8 & 0xff);
			assert_int_equal(quality.max_kbps, media[i].report & 0xff);
		}
	}
	assert_int_equal(plm_quality(&plm_ctl_sessions(q.fx.ctl)->hot[fxq_session(b).idx]).nb, 0);
	fxq_free(&q);
}

static const struct {
	const char *name;
	unsigned int at; /* byte that is changed */
	enum plm_counter counter;
} spoilt[] = {
	{ "its tag", 40, PLM_CNT_QUIC_UNOPENED },
	{ "its id", 5, PLM_CNT_QUIC_STRAY },
	{ "its id's worker", 1, PLM_CNT_QUIC_STRAY },
};

/* One byte of a packet is changed. Resets are bounded, and never sent to what is too short for one. */
static void
packet__that_is_spoilt_is_counted_and_harms_nobody(void **state)
{
	for (size_t i = 0; i < RTE_DIM(spoilt); i++) {
		struct fxq_client *a, *b;

		print_message("%s\n", spoilt[i].name);
		fxq_conf(&q);
		fxq_create(&q);
		a = fxq_join(&q, "room", 0);
		b = fxq_join(&q, "room", 0);
		a->keeps_tx = true;
		assert_int_equal(fxq_datagram(a, "x", 1), PLM_QUIC_SENT);
		a->keeps_tx = false;
		assert_in_range(a->kept_len, 38, 43); /* too short to be answered */
		a->kept[RTE_MIN(spoilt[i].at, a->kept_len - 1u)] ^= 0x10;
		for (unsigned int k = 0; k < 10; k++) {
			fx_udp(&q.fx, &a->net, a->kept, a->kept_len);
			fxq_step(&q, 5);
		}
		assert_int_equal(fxq_count(&q, spoilt[i].counter), 10);
		assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_RESETS), 0);
		assert_int_equal(b->nb_datagrams, 0);
		assert_int_equal(fxq_send(a, "x", 1), PLM_QUIC_SENT);
		fxq_step(&q, 5);
		assert_int_equal(b->nb_datagrams, 1);
		fxq_free(&q);
	}
}

/* --- handshakes ---------------------------------------------------------------------------------- */

/* One network may have so many in progress, and others still get in beside them; unfinished, they end. */
static void
handshakes__that_are_never_finished_are_bounded_by_network_and_time(void **state)
{
	struct fxq_client *fine;

	fxq_conf(&q);
	q.fx.conf.quic.max_handshakes = 20;
	q.fx.conf.quic.retry_above = 100;
	q.fx.conf.quic.handshake_timeout_ns = PLM_NS_PER_S;
	fxq_create(&q);
	for (unsigned int i = 0; i < 19; i++) {
		struct fxq_client *c = fxq_begin(&q, "room", i % 2, 3);

		c->is_deaf = true;
		fxq_step(&q, 5);
		c->is_mute = true;
	}
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_HANDSHAKES), 16);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_NETWORK), 3);
	fine = fxq_join(&q, "room", 0);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_ADMITTED), 1);
	fxq_step(&q, 1200);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_FAILED), 16);
	assert_int_equal(plm_quic_conn_state(fine->conn), PLM_QUIC_ESTABLISHED);
	/* Their places are free again. */
	fxq_begin(&q, "room", 0, 3);
	fxq_step(&q, 50);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_ESTABLISHED), 2);
	fxq_free(&q);
}

static const struct {
	const char *name;
	unsigned int dgram; /* of two: the one that comes */
	bool is_full;
	bool is_closed;
	enum plm_counter counter;
} late[] = {
	{ "its end alone", 1, false, false, PLM_CNT_QUIC_EVICTED },
	{ "its beginning", 0, false, false, PLM_CNT_QUIC_HANDSHAKES },
	{ "its beginning, beside as many handshakes as there may be", 0, true, false,
			PLM_CNT_QUIC_LIMIT },
	{ "its beginning, where nobody is let in", 0, false, true, PLM_CNT_QUIC_REFUSED },
};

/* A ClientHello of which half never comes is counted under what became of it, once. */
static void
handshakes__that_lack_half_a_hello_are_counted_once(void **state)
{
	static const enum plm_counter all[] = { PLM_CNT_QUIC_EVICTED, PLM_CNT_QUIC_HANDSHAKES,
		PLM_CNT_QUIC_FULL, PLM_CNT_QUIC_LIMIT, PLM_CNT_QUIC_NETWORK, PLM_CNT_QUIC_BACKLOG,
		PLM_CNT_QUIC_REFUSED, PLM_CNT_ADMIT_NO_ROUTE, PLM_CNT_QUIC_MEMORY,
		PLM_CNT_QUIC_MALFORMED, PLM_CNT_QUIC_HELLO, PLM_CNT_QUIC_STRAY };
	const struct test_client_conf conf = { .name = "room",
		.alpn = "wzp",
		.dcid_len = 8,
		.scid_len = 8,
		.hello_pad = 1100 };

	for (size_t i = 0; i < RTE_DIM(late); i++) {
		struct fx_client net = { .addr = { 198, 18, 2, 77 }, .port = 9000 };
		const struct plm_initial_dgram *d;
		struct test_client client;

		print_message("%s\n", late[i].name);
		fxq_conf(&q);
		q.fx.conf.quic.max_handshakes = late[i].is_full ? 0 : 64;
		q.fx.conf.wzp.open_rooms = !late[i].is_closed;
		fxq_create(&q);
		test_client_init(&client, &conf);
		assert_int_equal(client.nb_dgrams, 2);
		d = &client.dgrams[late[i].dgram];
		fx_udp(&q.fx, &net, d->buf, (uint16_t)d->len);
		fxq_step(&q, 300);
		for (size_t k = 0; k < RTE_DIM(all); k++)
			assert_int_equal(fxq_count(&q, all[k]), all[k] == late[i].counter);
		test_client_fini(&client);
		fxq_free(&q);
	}
}

/* --- first packets -------------------------------------------------------------------------------- */

/* Frames of a first packet; the rest is PADDING. */
static const struct {
	const char *name;
	enum plm_counter counter;
	uint8_t frames[16];
	uint8_t len;
} odd[] = {
	{ "a ClientHello of another kind", PLM_CNT_QUIC_HELLO, { 0x06, 0, 5, 2, 0, 0, 1, 0 }, 8 },
	{ "none", PLM_CNT_QUIC_HELLO, { 0x01 }, 1 },
	{ "the end of one that is too large", PLM_CNT_QUIC_HELLO, { 0x06, 0x50, 0, 4, 1, 1, 1, 1 },
			8 },
	{ "a stream", PLM_CNT_QUIC_HELLO, { 0x0a, 0, 1, 1 }, 4 },
	{ "a client that gives up", PLM_CNT_QUIC_STRAY, { 0x1c, 0, 0, 0 }, 4 },
};

static const struct {
	const char *name;
	enum plm_counter counter;
	uint16_t at; /* byte that is changed */
	uint8_t to;
} changed[] = {
	{ "of a handshake that is not there", PLM_CNT_QUIC_STRAY, 0, 0xe0 },
	{ "version negotiation", PLM_CNT_QUIC_MALFORMED, 4, 0 },
	{ "an id that is too long", PLM_CNT_QUIC_MALFORMED, 5, 21 },
	{ "longer than it is", PLM_CNT_QUIC_MALFORMED, 23, 0x7f },
	{ "changed on its way", PLM_CNT_QUIC_MALFORMED, 1000, 0 },
};

static const enum plm_counter drops[] = { PLM_CNT_QUIC_MALFORMED, PLM_CNT_QUIC_HELLO,
	PLM_CNT_QUIC_TOKEN, PLM_CNT_QUIC_EVICTED, PLM_CNT_QUIC_BACKLOG, PLM_CNT_QUIC_FULL,
	PLM_CNT_QUIC_LIMIT, PLM_CNT_QUIC_NETWORK, PLM_CNT_QUIC_MEMORY, PLM_CNT_QUIC_FAILED,
	PLM_CNT_QUIC_REFUSED, PLM_CNT_QUIC_ROOM_FULL, PLM_CNT_QUIC_STRAY };

/* Only this one has counted. */
static void
assert_drops(enum plm_counter counter, uint64_t n)
{
	for (size_t i = 0; i < RTE_DIM(drops); i++)
		if (fxq_count(&q, drops[i]) != (drops[i] == counter ? n : 0))
			fail_msg("%s counts %" PRIu64, plm_counter_defs[drops[i]].name,
					fxq_count(&q, drops[i]));
}

/* An Initial of 1 200 bytes, from a client of its own. */
static size_t
first_packet(uint8_t *buf, const uint8_t *frames, size_t len)
{
	static uint8_t serial;
	const struct test_initial how = { .dcid = { 9, 8, 7, 6, 5, 4, 3, ++serial },
		.dcid_len = 8,
		.scid = { 1, 2, 3, 4, 5, 6, 7, 8 },
		.scid_len = 8,
		.pn_len = 1,
		.pad_to = PLM_INITIAL_MIN };

	return test_initial_seal(&how, frames, len, buf);
}

static void
first_packet__that_leads_nowhere_is_counted_by_why(void **state)
{
	const struct test_client_conf conf = { .name = "no room",
		.alpn = "wzp",
		.dcid_len = 8,
		.scid_len = 8 };
	const struct fx_client net = { .addr = { 198, 18, 2, 77 }, .port = 9000 };
	struct test_client client;
	uint8_t buf[PLM_INITIAL_MAX];

	for (size_t i = 0; i < RTE_DIM(odd) + RTE_DIM(changed) + 1; i++) {
		size_t k = i - RTE_DIM(odd);
		enum plm_counter counter;

		fxq_conf(&q);
		fxq_create(&q);
		if (i < RTE_DIM(odd)) {
			print_message("%s\n", odd[i].name);
			counter = odd[i].counter;
			first_packet(buf, odd[i].frames, odd[i].len);
		} else if (k < RTE_DIM(changed)) {
			print_message("%s\n", changed[k].name);
			counter = changed[k].counter;
			first_packet(buf, odd[0].frames, odd[0].len);
			buf[changed[k].at] = changed[k].to;
		} else {
			print_message("a name that no room has\n");
			counter = PLM_CNT_QUIC_REFUSED;
			test_client_init(&client, &conf);
			memcpy(buf, client.dgrams[0].buf, client.dgrams[0].len);
			test_client_fini(&client);
		}
		fx_udp(&q.fx, &net, buf, PLM_INITIAL_MIN);
		fxq_step(&q, 300);
		assert_drops(counter, 1);
		fxq_free(&q);
	}
}

/* More of them at once than may wait for their turn. */
static void
first_packets__beyond_those_that_may_wait_are_counted(void **state)
{
	uint8_t buf[PLM_INITIAL_MAX];

	fxq_conf(&q);
	fxq_create(&q);
	for (unsigned int i = 0; i < 100; i++) {
		const struct fx_client net = { .addr = { 198, 18, (uint8_t)i, 77 }, .port = 9000 };

		first_packet(buf, odd[0].frames, odd[0].len);
		fx_udp(&q.fx, &net, buf, PLM_INITIAL_MIN);
	}
	fxq_step(&q, 5);
	assert_in_range(fxq_count(&q, PLM_CNT_QUIC_BACKLOG), 100 - 64 - 5, 100 - 64);
	fxq_step(&q, 200);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_HELLO) + fxq_count(&q, PLM_CNT_QUIC_BACKLOG),
			100);
	fxq_free(&q);
}

static const struct {
	const char *name;
	uint32_t connections;
	uint32_t handshakes;
	unsigned int nb; /* clients of one network that begin, of which one too many */
	enum plm_counter counter;
} bounds[] = {
	{ "a slot", 3, 64, 4, PLM_CNT_QUIC_FULL },
	{ "handshakes", 32, 3, 4, PLM_CNT_QUIC_LIMIT },
	{ "handshakes of a network", 32, 64, 17, PLM_CNT_QUIC_NETWORK },
};

static void
handshake__that_finds_no_place_is_counted_by_what_is_lacking(void **state)
{
	for (size_t i = 0; i < RTE_DIM(bounds); i++) {
		print_message("%s\n", bounds[i].name);
		fxq_conf(&q);
		q.fx.conf.quic.max_connections = bounds[i].connections;
		q.fx.conf.quic.max_handshakes = bounds[i].handshakes;
		q.fx.conf.quic.retry_above = 100;
		fxq_create(&q);
		for (unsigned int k = 0; k < bounds[i].nb; k++) {
			struct fxq_client *c = fxq_begin(&q, "room", 0, 3);

			c->is_deaf = true;
			fxq_step(&q, 5);
			c->is_mute = true;
		}
		assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_HANDSHAKES), bounds[i].nb - 1);
		assert_drops(bounds[i].counter, 1);
		fxq_free(&q);
	}
}

/* As a participant of an RTP room that is full is. */
static void
room__that_is_full_refuses_with_an_event_and_a_counter(void **state)
{
	struct fxq_client *third;

	fxq_conf(&q);
	q.fx.conf.max_members = 2;
	fxq_create(&q);
	fxq_join(&q, "room", 0);
	fxq_join(&q, "room", 0);
	q.fx.nb_events = 0;
	third = fxq_begin(&q, "room", 0, 2);
	fxq_step(&q, 50);
	fxq_offer(third, 3, NULL);
	fxq_step(&q, 50);
	assert_true(plm_quic_conn_end(third->conn).is_application);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_ADMITTED), 2);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_ROOM_FULL), 1);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_REFUSED), 1);
	assert_int_equal(q.fx.nb_events, 1);
	assert_int_equal(q.fx.events[0], PLM_EVENT_REFUSE);
	/* Another room has place. */
	fxq_join(&q, "other", 0);
	fxq_free(&q);
}

/* --- first packets that come again, or late ------------------------------------------------------ */

/* Keep the next packet of a client that writes one, and send it once. */
static void
keep_and_send(struct fxq_client *c)
{
	c->kept_len = 0;
	c->keeps_tx = true;
	fxq_flush(c);
	c->keeps_tx = false;
	assert_true(c->kept_len >= PLM_INITIAL_MIN);
	fx_udp(&q.fx, &c->net, c->kept, c->kept_len);
}

static const struct {
	const char *name;
	bool is_retried;          /* it has a token */
	bool is_deaf;             /* and stays in its handshake */
	bool is_closed;           /* its connection is gone before the copy comes */
	uint16_t port;            /* 0: the client's */
	enum plm_counter counter; /* that counts the copies; QUIC_INITIALS: none but that */
} again[] = {
	{ "during the handshake", false, true, false, 0, PLM_CNT_QUIC_INITIALS },
	{ "during the handshake, from elsewhere", false, true, false, 9999, PLM_CNT_QUIC_INITIALS },
	{ "when it is in its room", false, false, false, 0, PLM_CNT_QUIC_STRAY },
	{ "when it is in its room, from elsewhere", false, false, false, 9999, PLM_CNT_QUIC_STRAY },
	{ "with a token, during the handshake", true, true, false, 0, PLM_CNT_QUIC_INITIALS },
	{ "with a token, when it is in its room", true, false, false, 0, PLM_CNT_QUIC_STRAY },
	{ "with a token, when its connection is gone", true, false, true, 0, PLM_CNT_QUIC_TOKEN },
	{ "with a token, from elsewhere, when its connection is gone", true, false, true, 9999,
			PLM_CNT_QUIC_TOKEN },
};

/* Whoever repeats a client's first packet has no second connection of it. */
static void
first_packet__that_comes_again_begins_nothing(void **state)
{
	for (size_t i = 0; i < RTE_DIM(again); i++) {
		struct fx_client copy;
		struct fxq_client *a;

		print_message("%s\n", again[i].name);
		fxq_conf(&q);
		q.fx.conf.quic.retry_always = again[i].is_retried;
		fxq_create(&q);
		a = fxq_begin(&q, "room", 0, 2);
		if (again[i].is_retried) {
			fxq_step(&q, 1);
			for (unsigned int k = 0; k < 10 && fxq_count(&q, PLM_CNT_QUIC_RETRIES) == 0;
					k++)
				fx_step(&q.fx, 1);
			fx_step(&q.fx, 1);
		}
		keep_and_send(a);
		a->is_deaf = again[i].is_deaf;
		a->is_mute = again[i].is_deaf;
		fxq_step(&q, 20);
		assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_HANDSHAKES), 1);
		assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_ESTABLISHED), !again[i].is_deaf);
		if (again[i].is_closed) {
			plm_quic_close(a->conn, 0, "bye");
			fxq_step(&q, 1000);
			assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_ENDED), 1);
		}
		assert_drops(again[i].counter, 0);
		copy = a->net;
		if (again[i].port != 0)
			copy.port = again[i].port;
		for (unsigned int k = 0; k < 5; k++) {
			fx_udp(&q.fx, &copy, a->kept, a->kept_len);
			fxq_step(&q, 5);
		}
		assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_INITIALS), 6 + again[i].is_retried);
		assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_HANDSHAKES), 1);
		assert_drops(again[i].counter, 5);
		fxq_free(&q);
	}
}

/* A client up to its ClientHello of two datagrams, which the test gives to the relay when it likes. */
static struct {
	struct test_client client;
	struct fx_client net;
	void (*others)(void *ctx, const uint8_t *mac, uint16_t dst_port, uint8_t *payload,
			uint16_t len);
	uint64_t begun_ns;
	unsigned int nb_packets; /* that came for it */
	uint8_t mac;             /* last byte of the address that the last one went to */
} slow;

static uint64_t
slow_now(void)
{
	return PLM_NS_PER_S + q.fx.now_ns - slow.begun_ns;
}

static void
slow_sink(void *ctx, const uint8_t *mac, uint16_t dst_port, uint8_t *payload, uint16_t len)
{
	if (dst_port != slow.net.port) {
		slow.others(ctx, mac, dst_port, payload, len);
		return;
	}
	slow.nb_packets++;
	slow.mac = mac[5];
	assert_int_equal(test_client_read(&slow.client, payload, len, slow_now()), 0);
}

static void
slow_begin(uint8_t mac)
{
	static const struct test_client_conf conf = { .name = "room",
		.alpn = "wzp",
		.dcid_len = 8,
		.scid_len = 8,
		.hello_pad = 1100 };

	memset(&slow, 0, sizeof(slow));
	slow.net = (struct fx_client){ .addr = { 198, 18, 2, 77 }, .port = 9000, .mac = mac };
	slow.begun_ns = q.fx.now_ns;
	slow.others = q.fx.sink;
	q.fx.sink = slow_sink;
	test_client_init(&slow.client, &conf);
	assert_int_equal(slow.client.nb_dgrams, 2);
}

static void
slow_say(unsigned int dgram)
{
	const struct plm_initial_dgram *d = &slow.client.dgrams[dgram];

	fx_udp(&q.fx, &slow.net, d->buf, (uint16_t)d->len);
}

/* It does as clients do from here on. */
static void
slow_go_on(unsigned int ms)
{
	for (unsigned int i = 0; i < ms; i++) {
		test_client_write(&slow.client, slow_now());
		for (unsigned int k = 0; k < slow.client.nb_dgrams; k++)
			slow_say(k);
		fxq_step(&q, 1);
	}
}

static const struct {
	const char *name;
	bool is_retried;
} slowly[] = {
	{ "without a token", false },
	{ "with a token", true },
};

/* Half a ClientHello is answered after a while, by the way that it came, so that its client sends the rest. In a relay
 * that nobody but QUIC clients use, and that never asked for a neighbour. */
static void
hello__whose_rest_is_late_gets_in_where_quic_is_all_there_is(void **state)
{
	for (size_t i = 0; i < RTE_DIM(slowly); i++) {
		print_message("%s\n", slowly[i].name);
		fxq_conf(&q);
		q.fx.conf.quic.retry_always = slowly[i].is_retried;
		fxq_create(&q);
		slow_begin(66);
		if (slowly[i].is_retried) {
			slow_say(0);
			fxq_step(&q, 3);
			assert_int_equal(slow.nb_packets, 1);
			test_client_write(&slow.client, slow_now());
			assert_int_equal(slow.client.nb_dgrams, 2);
			slow.nb_packets = 0;
		}
		slow_say(0);
		fxq_step(&q, 150);
		assert_int_equal(slow.nb_packets, 0);
		assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_HANDSHAKES), 0);
		fxq_step(&q, 100);
		assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_HANDSHAKES), 1);
		assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_NO_WAY), 0);
		assert_true(slow.nb_packets > 0);
		assert_int_equal(slow.mac, 66);
		slow_say(1);
		fxq_step(&q, 3);
		slow_go_on(50);
		assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_ESTABLISHED), 1);
		assert_int_equal(slow.mac, 66);
		assert_drops(PLM_CNT_QUIC_FAILED, 0);
		fxq_free(&q);
		test_client_fini(&slow.client);
	}
}

/* Its client's NAT gave it another port meanwhile, and the whole of it came from there. */
static void
hello__whose_client_came_otherwise_meanwhile_begins_nothing(void **state)
{
	fxq_conf(&q);
	fxq_create(&q);
	slow_begin(0);
	slow_say(0);
	fxq_step(&q, 50);
	slow.net.port = 9001;
	slow_say(0);
	slow_say(1);
	fxq_step(&q, 3);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_HANDSHAKES), 1);
	slow_go_on(300);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_HANDSHAKES), 1);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_ESTABLISHED), 1);
	assert_drops(PLM_CNT_QUIC_EVICTED, 1);
	fxq_free(&q);
	test_client_fini(&slow.client);
}

/* A token that was good when the half came. */
static void
hello__whose_token_ends_while_it_waits_begins_nothing(void **state)
{
	fxq_conf(&q);
	q.fx.conf.quic.retry_always = true;
	fxq_create(&q);
	slow_begin(0);
	slow_say(0);
	fxq_step(&q, 3);
	test_client_write(&slow.client, slow_now());
	fxq_step(&q, 9900);
	slow_say(0);
	fxq_step(&q, 50);
	assert_drops(PLM_CNT_QUIC_TOKEN, 0);
	fxq_step(&q, 200);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_HANDSHAKES), 0);
	assert_drops(PLM_CNT_QUIC_TOKEN, 1);
	fxq_free(&q);
	test_client_fini(&slow.client);
}

/* While more first packets come than have a turn. */
static void
hello__whose_rest_is_late_has_its_turn_beside_others(void **state)
{
	struct fxq_client *a;

	fxq_conf(&q);
	fxq_create(&q);
	a = fxq_begin(&q, "room", 0, 3);
	keep_and_send(a);
	fxq_step(&q, 50);
	slow_begin(0);
	slow_say(0);
	for (unsigned int i = 0; i < 300; i++) {
		for (unsigned int k = 0; k < 2; k++) {
			struct fx_client net = a->net;

			net.addr[2] = (uint8_t)(10 + (2 * i + k) % 200);
			fx_udp(&q.fx, &net, a->kept, a->kept_len);
		}
		fxq_step(&q, 1);
	}
	assert_true(fxq_count(&q, PLM_CNT_QUIC_BACKLOG) > 0);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_HANDSHAKES), 2);
	fxq_free(&q);
	test_client_fini(&slow.client);
}

/* --- ways ---------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	bool is_repeated; /* else it is late: never seen before, but newer ones were */
	uint8_t mac;
	uint16_t port; /* 0: the client's */
} copies[] = {
	{ "repeated by another gateway", true, 66, 0 },
	{ "late, by another gateway", false, 66, 0 },
	{ "repeated from another address", true, 66, 9999 },
	{ "late, from another address", false, 66, 9999 },
};

static void
way__is_not_moved_by_a_packet_that_is_not_the_newest(void **state)
{
	for (size_t i = 0; i < RTE_DIM(copies); i++) {
		struct plm_quic_path since;
		struct plm_quic_shown shown;
		struct fxq_client *a, *b;
		struct fx_client copy;
		uint64_t had;

		print_message("%s\n", copies[i].name);
		fxq_conf(&q);
		fxq_create(&q);
		a = fxq_join(&q, "room", 0);
		b = fxq_join(&q, "room", 0);
		a->keeps_tx = true;
		assert_int_equal(fxq_send(a, "first", 5), PLM_QUIC_SENT);
		a->keeps_tx = false;
		if (copies[i].is_repeated)
			fx_udp(&q.fx, &a->net, a->kept, a->kept_len);
		assert_int_equal(fxq_send(a, "second", 6), PLM_QUIC_SENT);
		fxq_step(&q, 5);
		assert_int_equal(b->nb_datagrams, copies[i].is_repeated ? 2 : 1);
		copy = a->net;
		copy.mac = copies[i].mac;
		if (copies[i].port != 0)
			copy.port = copies[i].port;
		/* Nothing of the client's own comes between the copy and what is sent to it. */
		fxq_step(&q, 50);
		fx_udp(&q.fx, &copy, a->kept, a->kept_len);
		had = a->nb_datagrams;
		assert_int_equal(fxq_send(b, "down", 4), PLM_QUIC_SENT);
		fx_step(&q.fx, 1);
		assert_int_equal(a->nb_datagrams, had + 1);
		assert_int_equal(a->mac_seen, 9);
		fxq_step(&q, 50);
		assert_int_equal(a->mac_seen, 9);
		assert_true(plm_ctl_quic_shown(q.fx.ctl, fxq_session(a), &since, &shown));
		assert_int_equal(rte_be_to_cpu_16(shown.path.port), a->net.port);
		/* But for another gateway that its newest packet came by. */
		a->net.mac = 77;
		assert_int_equal(fxq_send(a, "third", 5), PLM_QUIC_SENT);
		fxq_step(&q, 2);
		assert_int_equal(fxq_send(b, "down", 4), PLM_QUIC_SENT);
		fxq_step(&q, 5);
		assert_int_equal(a->mac_seen, 77);
		fxq_free(&q);
	}
}

/* A client whose NAT gave it another port while a copy of an old packet holds the second place. */
static void
way__of_a_client_that_moves_is_found_beside_copies_of_its_packets(void **state)
{
	struct fxq_client *a, *b;
	struct fx_client copy;

	fxq_conf(&q);
	fxq_create(&q);
	a = fxq_join(&q, "room", 0);
	b = fxq_join(&q, "room", 0);
	a->keeps_tx = true;
	assert_int_equal(fxq_send(a, "first", 5), PLM_QUIC_SENT);
	a->keeps_tx = false;
	copy = a->net;
	copy.port = 9999;
	for (unsigned int i = 0; i < 20; i++) {
		fx_udp(&q.fx, i == 0 ? &a->net : &copy, a->kept, a->kept_len);
		fxq_step(&q, 1);
	}
	a->net.port = 8888;
	for (unsigned int i = 0; i < 20; i++) {
		assert_int_equal(fxq_send(a, "up", 2), PLM_QUIC_SENT);
		fx_udp(&q.fx, &copy, a->kept, a->kept_len);
		fxq_step(&q, 5);
	}
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_MOVED), 1);
	assert_int_equal(fxq_send(b, "down", 4), PLM_QUIC_SENT);
	fxq_step(&q, 5);
	assert_int_equal(a->last_len, PLM_WZP_HDR + 4);
	fxq_free(&q);
}

/* A packet of the client's, the newest, that comes from somewhere else before it comes from there. */
static void
overtaken(struct fxq_client *c, uint16_t port)
{
	struct fx_client copy = c->net;

	c->keeps_tx = true;
	assert_int_equal(fxq_send(c, "up", 2), PLM_QUIC_SENT);
	c->keeps_tx = false;
	copy.port = port;
	copy.mac = 66;
	fx_udp(&q.fx, &copy, c->kept, c->kept_len);
}

static const struct {
	const char *name;
	uint16_t ports[3]; /* that its packets seem to come from, of which nothing answers */
	bool is_moved;     /* before that, by its NAT */
} strangers[] = {
	{ "one", { 9001 }, false },
	{ "two", { 9001, 9002 }, false },
	{ "three", { 9001, 9002, 9003 }, false },
	{ "one, after a move", { 9001 }, true },
	{ "two, after a move", { 9001, 9002 }, true },
	{ "three, after a move", { 9001, 9002, 9003 }, true },
};

/* Whoever is heard from a path that is never validated takes nothing from the client on the one in use, which only
 * listens all the while. */
static void
way__in_use_stays_beside_paths_that_are_never_validated(void **state)
{
	for (size_t i = 0; i < RTE_DIM(strangers); i++) {
		struct fxq_client *a, *b;
		uint64_t had;

		print_message("%s\n", strangers[i].name);
		fxq_conf(&q);
		fxq_create(&q);
		a = fxq_join(&q, "room", 0);
		b = fxq_join(&q, "room", 0);
		if (strangers[i].is_moved) {
			a->net.port = 8888;
			assert_int_equal(fxq_send(a, "up", 2), PLM_QUIC_SENT);
			fxq_step(&q, 50);
		}
		assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_MOVED), strangers[i].is_moved);
		for (unsigned int k = 0; k < 3 && strangers[i].ports[k] != 0; k++) {
			overtaken(a, strangers[i].ports[k]);
			a->is_mute = true;
			fxq_step(&q, 20);
		}
		fxq_step(&q, 6000);
		assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_MOVED), strangers[i].is_moved);
		assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_NO_WAY), 0);
		had = a->nb_datagrams;
		assert_int_equal(fxq_send(b, "down", 4), PLM_QUIC_SENT);
		fxq_step(&q, 2);
		assert_int_equal(a->nb_datagrams, had + 1);
		assert_int_equal(a->mac_seen, 9);
		fxq_free(&q);
	}
}

/* A path is validated although another one that was heard meanwhile, and asks for nothing but an answer, has the second
 * place. From then on it is the usual one, which no third one displaces. */
static void
way__of_a_path_that_is_validated_late_is_the_usual_one(void **state)
{
	static const uint8_t challenge[] = { 0x1a, 1, 2, 3, 4, 5, 6, 7, 8 };
	struct fxq_client *a, *b;
	uint64_t had;

	fxq_conf(&q);
	fxq_create(&q);
	forge_prepare();
	a = fxq_join(&q, "room", 0);
	b = fxq_join(&q, "room", 0);
	a->net.port = 8888;
	a->net.mac = 88;
	/* It has answered a challenge as small as all that it sent itself, and not yet the one of full size. */
	assert_int_equal(fxq_send(a, "up", 2), PLM_QUIC_SENT);
	fxq_step(&q, 2);
	a->is_mute = true;
	a->net.port = 9999;
	forge(a, challenge, sizeof(challenge));
	a->net.port = 8888;
	fxq_step(&q, 2);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_MOVED), 0);
	a->is_mute = false;
	fxq_step(&q, 50);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_MOVED), 1);
	overtaken(a, 9001);
	a->is_mute = true;
	fxq_step(&q, 6000);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_MOVED), 1);
	had = a->nb_datagrams;
	assert_int_equal(fxq_send(b, "down", 4), PLM_QUIC_SENT);
	fxq_step(&q, 2);
	assert_int_equal(a->nb_datagrams, had + 1);
	assert_int_equal(a->mac_seen, 88);
	fxq_free(&q);
}

/* A client that is at home behind a NAT gone mad, and copies of its packets from elsewhere: where it settles it is
 * found. */
static void
way__is_where_the_client_settles_whatever_came_before(void **state)
{
	for (unsigned int seed = 1; seed <= 100; seed++) {
		struct fxq_client *a, *b;
		uint64_t had, lost;
		uint32_t rng = seed;

		fxq_conf(&q);
		fxq_create(&q);
		a = fxq_join(&q, "room", 0);
		b = fxq_join(&q, "room", 0);
		for (unsigned int i = 0; i < 60; i++) {
			uint16_t port;

			rng = rng * 1664525 + 1013904223;
			port = (uint16_t)(8001 + (rng >> 16) % 3);
			if (rng >> 28 < 4) {
				a->net.port = port;
				a->net.mac = (uint8_t)(70 + port % 10);
			}
			if (rng >> 28 < 8)
				overtaken(a, port);
			assert_int_equal(fxq_send(a, "up", 2), PLM_QUIC_SENT);
			if (rng >> 28 > 12) /* a copy of what is old by now */
				overtaken(a, (uint16_t)(port + 5));
			fxq_step(&q, (rng >> 20) % 8);
		}
		a->net.port = 8002;
		a->net.mac = 72;
		/* A path that was left is looked at again for as long as it takes to give up on one, three seconds, during
		 * which ngtcp2 takes nobody for having come back to it. */
		for (unsigned int i = 0; i < 35; i++) {
			assert_int_equal(fxq_send(a, "up", 2), PLM_QUIC_SENT);
			fxq_step(&q, 100);
		}
		lost = fxq_count(&q, PLM_CNT_QUIC_NO_WAY);
		had = a->nb_datagrams;
		for (unsigned int i = 0; i < 10; i++) {
			assert_int_equal(fxq_send(b, "down", 4), PLM_QUIC_SENT);
			fxq_step(&q, 20);
		}
		if (a->nb_datagrams != had + 10 || a->mac_seen != 72 ||
				fxq_count(&q, PLM_CNT_QUIC_NO_WAY) != lost)
			fail_msg("seed %u: %" PRIu64 " of 10, to %u, no way for %" PRIu64, seed,
					a->nb_datagrams - had, a->mac_seen,
					fxq_count(&q, PLM_CNT_QUIC_NO_WAY) - lost);
		fxq_free(&q);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams__are_credited_beside_a_worker_that_stands_still),
		cmocka_unit_test(streams__leave_half_of_the_way_up_to_what_cannot_wait),
		cmocka_unit_test(streams__leave_half_of_the_way_down_to_what_cannot_wait),
		cmocka_unit_test(streams__wait_for_room_in_the_queue),
		cmocka_unit_test(streams__that_wait_for_a_lost_packet_are_cut),
		cmocka_unit_test(streams__of_any_length_are_read_whatever_is_lost),
		cmocka_unit_test(streams__that_flood_close_the_connection),
		cmocka_unit_test(streams__that_are_reset_leave_nothing_behind),
		cmocka_unit_test(streams__that_are_reset_before_they_begin_are_bounded),
		cmocka_unit_test(messages__arrive_whole_and_in_order),
		cmocka_unit_test(messages__to_a_client_that_never_reads_delay_nobody),
		cmocka_unit_test(messages__that_wait_when_the_connection_ends_are_given_back),
		cmocka_unit_test(messages__to_a_worker_that_stands_still_are_refused),
		cmocka_unit_test(datagrams__are_served_behind_the_packet_that_is_read),
		cmocka_unit_test(datagrams__of_who_is_alone_are_acknowledged_in_time),
		cmocka_unit_test(datagrams__to_who_only_listens_are_shown_as_they_are),
		cmocka_unit_test(datagrams__before_their_sender_is_in_a_room_are_dropped),
		cmocka_unit_test(datagrams__that_are_no_media_are_dropped),
		cmocka_unit_test(packet__that_is_spoilt_is_counted_and_harms_nobody),
		cmocka_unit_test(
				handshakes__that_are_never_finished_are_bounded_by_network_and_time),
		cmocka_unit_test(handshakes__that_lack_half_a_hello_are_counted_once),
		cmocka_unit_test(first_packet__that_leads_nowhere_is_counted_by_why),
		cmocka_unit_test(first_packets__beyond_those_that_may_wait_are_counted),
		cmocka_unit_test(handshake__that_finds_no_place_is_counted_by_what_is_lacking),
		cmocka_unit_test(room__that_is_full_refuses_with_an_event_and_a_counter),
		cmocka_unit_test(first_packet__that_comes_again_begins_nothing),
		cmocka_unit_test(hello__whose_rest_is_late_gets_in_where_quic_is_all_there_is),
		cmocka_unit_test(hello__whose_client_came_otherwise_meanwhile_begins_nothing),
		cmocka_unit_test(hello__whose_token_ends_while_it_waits_begins_nothing),
		cmocka_unit_test(hello__whose_rest_is_late_has_its_turn_beside_others),
		cmocka_unit_test(way__is_not_moved_by_a_packet_that_is_not_the_newest),
		cmocka_unit_test(way__of_a_client_that_moves_is_found_beside_copies_of_its_packets),
		cmocka_unit_test(way__in_use_stays_beside_paths_that_are_never_validated),
		cmocka_unit_test(way__of_a_path_that_is_validated_late_is_the_usual_one),
		cmocka_unit_test(way__is_where_the_client_settles_whatever_came_before),
	};

	test_eal_init(512);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

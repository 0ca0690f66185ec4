/* SPDX-License-Identifier: BSD-3-Clause */
/* A client and a server of our own over a network on a virtual clock: handshakes, datagrams, streams, ends,
 * keys, paths, ids, memory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include <ngtcp2/ngtcp2_crypto.h>

#include "fixture.h"
#include "quic_priv.h"

#define MS PLM_NS_PER_MS
#define S  PLM_NS_PER_S

/* RFC 9000 §20.1 */
#define INTERNAL_ERROR     0x01
#define PROTOCOL_VIOLATION 0x0a

/* --- handshake ------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	enum plm_aead_backend backend;
	const char *priority;
	enum plm_aead_cipher cipher;
} suites[] = {
	{ "AES-128, ipsec-mb", PLM_AEAD_MB, FX_AES128, PLM_AES128_GCM },
	{ "AES-256, ipsec-mb", PLM_AEAD_MB, FX_AES256, PLM_AES256_GCM },
	{ "ChaCha20, ipsec-mb", PLM_AEAD_MB, FX_CHACHA, PLM_CHACHA20_POLY1305 },
	{ "AES-128, OpenSSL", PLM_AEAD_EVP, FX_AES128, PLM_AES128_GCM },
	{ "AES-256, OpenSSL", PLM_AEAD_EVP, FX_AES256, PLM_AES256_GCM },
	{ "ChaCha20, OpenSSL", PLM_AEAD_EVP, FX_CHACHA, PLM_CHACHA20_POLY1305 },
};

static bool
has_backend(enum plm_aead_backend backend)
{
	struct plm_aead *aead = plm_aead_create(backend);

	plm_aead_free(aead);
	return aead != NULL;
}

static void
handshake__works_in_every_cipher_and_backend(void **state)
{
	for (size_t i = 0; i < RTE_DIM(suites); i++) {
		struct fx_conf conf = fx_default;
		struct fx_pair *pair;

		print_message("%s\n", suites[i].name);
		if (!has_backend(suites[i].backend)) {
			print_message("not in this build, or not on this CPU\n");
			continue;
		}
		conf.backend = suites[i].backend;
		conf.priority = suites[i].priority;
		pair = fx_connected(&conf);
		assert_int_equal(plm_quic_conn_state(pair->client.conn), PLM_QUIC_ESTABLISHED);
		assert_int_equal(plm_quic_conn_state(pair->server.conn), PLM_QUIC_ESTABLISHED);
		assert_int_equal(fx_figures(&pair->client).cipher, suites[i].cipher);
		assert_int_equal(fx_figures(&pair->server).cipher, suites[i].cipher);
		assert_int_equal(fx_send(&pair->client, "up", 2, false), PLM_QUIC_SENT);
		assert_int_equal(fx_send(&pair->server, "down", 4, false), PLM_QUIC_SENT);
		fx_run(pair, 100 * MS);
		assert_int_equal(pair->server.last_len, 2);
		assert_memory_equal(pair->server.last, "up", 2);
		assert_int_equal(pair->client.last_len, 4);
		assert_memory_equal(pair->client.last, "down", 4);
		fx_end(pair);
	}
}

/* Numbers of packets are those of a run without loss: one of a ClientHello, then the server's two or three,
 * then the client's with Finished. */
static const struct {
	const char *name;
	uint64_t client;
	uint64_t server;
} losses[] = {
	{ "ClientHello", 0x1, 0 },
	{ "ClientHello, three times", 0x7, 0 },
	{ "the server's first packet", 0, 0x1 },
	{ "the server's first flight", 0, 0x7 },
	{ "Finished, and what acknowledges the flight", 0xe, 0 },
	{ "HANDSHAKE_DONE and what is with it", 0, 0x78 },
	{ "every other packet", 0x55555555, 0xaaaaaaaa },
};

static void
handshake__survives_the_loss_of_any_flight(void **state)
{
	for (size_t i = 0; i < RTE_DIM(losses); i++) {
		struct fx_pair *pair = fx_begin(NULL);

		print_message("%s\n", losses[i].name);
		pair->client.link.drop_mask = losses[i].client;
		pair->server.link.drop_mask = losses[i].server;
		assert_true(fx_handshake(pair, 9 * S));
		fx_run(pair, 3 * S);
		/* It is confirmed, too: before that keys stay. */
		assert_int_equal(plm_quic_key_update(pair->client.conn, pair->now_ns), 0);
		pair->client.link.drop_mask = pair->server.link.drop_mask = 0;
		assert_int_equal(fx_send(&pair->client, "x", 1, false), PLM_QUIC_SENT);
		assert_int_equal(fx_send(&pair->server, "x", 1, false), PLM_QUIC_SENT);
		fx_run(pair, 2 * S);
		assert_int_equal(pair->server.nb_datagrams, 1);
		assert_int_equal(pair->client.nb_datagrams, 1);
		fx_end(pair);
	}
}

static void
handshake__survives_a_network_that_does_everything(void **state)
{
	for (unsigned int i = 0; i < 20; i++) {
		struct fx_pair *pair = fx_begin(NULL);

		pair->seed += i * 7919;
		for (unsigned int k = 0; k < 2; k++) {
			struct fx_link *link = k ? &pair->server.link : &pair->client.link;

			link->loss_ppm = 100000;
			link->dup_ppm = 200000;
			link->late_ppm = 300000;
			link->late_ns = 30 * MS;
		}
		assert_true(fx_handshake(pair, 9 * S));
		fx_end(pair);
	}
}

static void
handshake__that_is_never_finished_times_out(void **state)
{
	struct fx_pair *pair = fx_begin(NULL);
	struct plm_quic_end end;

	pair->client.link.drop_mask = ~UINT64_C(1);
	fx_run(pair, 9 * S);
	assert_int_equal(plm_quic_conn_state(pair->server.conn), PLM_QUIC_HANDSHAKE);
	fx_run(pair, 2 * S);
	assert_int_equal(plm_quic_conn_state(pair->server.conn), PLM_QUIC_DEAD);
	end = plm_quic_conn_end(pair->server.conn);
	assert_true(end.is_timeout);
	assert_false(end.is_remote);
	assert_int_equal(plm_quic_expiry(pair->server.conn), UINT64_MAX);
	fx_end(pair);
}

/* The address is not validated: three times what came (RFC 9000 §8.1). */
static void
handshake__sends_three_times_what_came_before_the_address_is_known(void **state)
{
	struct fx_pair *pair = fx_begin(NULL);

	pair->client.link.drop_mask = ~UINT64_C(1);
	fx_run(pair, 9 * S);
	assert_true(pair->server.link.nb_in > 0);
	assert_true(pair->server.link.nb_in * 1200 <= 3 * 1200 ||
			pair->server.link.largest * pair->server.link.nb_in <= 3 * 1200);
	fx_end(pair);
}

/* --- datagrams ------------------------------------------------------------------------------ */

static void
datagrams__arrive_bit_by_bit_both_ways(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 63, 64, 65, 200, 1000, 1100, 1149 };
	struct fx_pair *pair = fx_connected(NULL);
	struct fx_side *sides[] = { &pair->client, &pair->server };

	for (size_t i = 0; i < RTE_DIM(sizes); i++) {
		uint8_t *buf = fx_bytes(pair, sizes[i]);

		for (unsigned int k = 0; k < 2; k++) {
			struct fx_side *to = sides[1 - k];
			uint64_t had = to->nb_datagrams;

			assert_int_equal(fx_send(sides[k], buf, sizes[i], false), PLM_QUIC_SENT);
			fx_run(pair, 50 * MS);
			assert_int_equal(to->nb_datagrams, had + 1);
			assert_int_equal(to->last_len, sizes[i]);
			assert_memory_equal(to->last, buf, sizes[i]);
		}
		free(buf);
	}
	fx_end(pair);
}

/* The largest there is: it makes a packet of what the engine ever writes. */
static size_t
largest(struct fx_side *side)
{
	static const uint8_t zeros[PLM_QUIC_PACKET_MAX];

	for (size_t len = PLM_QUIC_PACKET_MAX; len > 1200; len--)
		if (fx_send(side, zeros, len, false) != PLM_QUIC_TOO_LARGE)
			return len;
	return 0;
}

static void
datagrams__of_the_largest_size_arrive(void **state)
{
	struct fx_pair *pair = fx_connected(NULL);
	size_t len = largest(&pair->server);
	uint8_t *buf = fx_bytes(pair, len);

	fx_run(pair, 100 * MS);
	assert_int_equal(pair->client.last_len, len);
	assert_true(len >= PLM_QUIC_PACKET_MAX - 50);
	assert_int_equal(fx_send(&pair->server, buf, len, false), PLM_QUIC_SENT);
	fx_run(pair, 100 * MS);
	assert_int_equal(pair->client.last_len, len);
	assert_memory_equal(pair->client.last, buf, len);
	assert_true(pair->server.link.largest <= PLM_QUIC_PACKET_MAX);
	free(buf);
	fx_end(pair);
}

static void
datagrams__that_are_too_large_are_told_so_and_stop_nobody(void **state)
{
	static const uint8_t zeros[2000];
	struct fx_pair *pair = fx_connected(NULL);
	struct plm_quic_dgram d[] = {
		{ .buf = zeros, .len = 10 },
		{ .buf = zeros, .len = 2000 },
		{ .buf = zeros, .len = 10 },
		{ .buf = zeros, .len = 1453 },
	};

	assert_int_equal(plm_quic_send(pair->server.conn, &pair->server.out, d, RTE_DIM(d),
					 pair->now_ns),
			2);
	assert_int_equal(d[0].verdict, PLM_QUIC_SENT);
	assert_int_equal(d[1].verdict, PLM_QUIC_TOO_LARGE);
	assert_int_equal(d[2].verdict, PLM_QUIC_SENT);
	assert_int_equal(d[3].verdict, PLM_QUIC_TOO_LARGE);
	fx_run(pair, 100 * MS);
	assert_int_equal(pair->client.nb_datagrams, 2);
	fx_end(pair);
}

/* The packet that the first one began must go all the same, and from the buffer that it was begun in. */
static void
datagrams__larger_than_the_peer_takes_leave_the_packet_whole(void **state)
{
	static const uint8_t zeros[200];
	static const struct {
		uint16_t lens[3];
		unsigned int nb_sent;
	} cases[] = {
		{ { 10, 200, 10 }, 2 },
		{ { 10, 10, 200 }, 2 },
		{ { 200, 10, 200 }, 1 },
		{ { 200, 200, 200 }, 0 },
	};
	struct fx_pair *pair = fx_connected(NULL);
	const ngtcp2_transport_params *peer =
			ngtcp2_conn_get_remote_transport_params(pair->server.conn->ng);
	uint64_t due = 0;

	/* As if the client had said so. */
	((ngtcp2_transport_params *)(uintptr_t)peer)->max_datagram_frame_size = 100;
	for (unsigned int i = 0; i < RTE_DIM(cases); i++) {
		struct plm_quic_dgram d[3];
		uint64_t packets = pair->server.link.nb_in;

		for (unsigned int k = 0; k < RTE_DIM(d); k++)
			d[k] = (struct plm_quic_dgram){ .buf = zeros, .len = cases[i].lens[k] };
		assert_int_equal(plm_quic_send(pair->server.conn, &pair->server.out, d, RTE_DIM(d),
						 pair->now_ns),
				cases[i].nb_sent);
		for (unsigned int k = 0; k < RTE_DIM(d); k++)
			assert_int_equal(d[k].verdict,
					d[k].len > 100 ? PLM_QUIC_TOO_LARGE : PLM_QUIC_SENT);
		assert_int_equal(pair->server.link.nb_in - packets, cases[i].nb_sent > 0);
		due += cases[i].nb_sent;
		/* What the next packet's buffer holds must not matter to the one before. */
		memset(pair->server.buf, 0x5a, sizeof(pair->server.buf));
		fx_run(pair, 100 * MS);
		assert_int_equal(pair->client.nb_datagrams, due);
	}
	assert_int_equal(fx_figures(&pair->client).undecryptable, 0);
	fx_end(pair);
}

static void
datagrams__that_are_small_share_a_packet(void **state)
{
	struct fx_pair *pair = fx_connected(NULL);
	struct plm_quic_dgram d[10];
	uint8_t *buf[RTE_DIM(d)];
	uint64_t had, sum = 0;

	for (unsigned int i = 0; i < RTE_DIM(d); i++) {
		buf[i] = fx_bytes(pair, 100);
		sum += fx_sum(buf[i], 100);
		d[i] = (struct plm_quic_dgram){ .buf = buf[i], .len = 100 };
	}
	had = pair->server.link.nb_in;
	assert_int_equal(plm_quic_send(pair->server.conn, &pair->server.out, d, RTE_DIM(d),
					 pair->now_ns),
			RTE_DIM(d));
	assert_int_equal(pair->server.link.nb_in - had, 1);
	fx_run(pair, 100 * MS);
	assert_int_equal(pair->client.nb_datagrams, RTE_DIM(d));
	assert_true(pair->client.sum == sum);
	for (unsigned int i = 0; i < RTE_DIM(d); i++)
		free(buf[i]);
	fx_end(pair);
}

/* Of mixed sizes, none twice, none lost, none longer or shorter. */
static void
datagrams__of_a_mixed_burst_arrive_once_each(void **state)
{
	static const uint16_t sizes[] = { 100, 1100, 100, 100, 1390, 0, 600, 600, 600, 1, 1300,
		80 };
	struct fx_pair *pair = fx_connected(NULL);
	struct plm_quic_dgram d[RTE_DIM(sizes)];
	uint8_t *buf = fx_bytes(pair, 1452);
	uint64_t sum = 0;

	for (unsigned int i = 0; i < RTE_DIM(d); i++) {
		d[i] = (struct plm_quic_dgram){ .buf = buf + i, .len = sizes[i] };
		sum += fx_sum(buf + i, sizes[i]);
	}
	assert_int_equal(plm_quic_send(pair->server.conn, &pair->server.out, d, RTE_DIM(d),
					 pair->now_ns),
			RTE_DIM(d));
	fx_run(pair, 100 * MS);
	assert_int_equal(pair->client.nb_datagrams, RTE_DIM(d));
	assert_true(pair->client.sum == sum);
	free(buf);
	fx_end(pair);
}

static void
datagrams__get_a_verdict_when_there_is_no_room_or_no_connection(void **state)
{
	struct fx_pair *pair = fx_begin(NULL);

	assert_int_equal(fx_send(&pair->client, "x", 1, false), PLM_QUIC_NOT_OPEN);
	assert_true(fx_handshake(pair, S));
	fx_run(pair, S);
	pair->server.has_no_room = true;
	assert_int_equal(fx_send(&pair->server, "x", 1, false), PLM_QUIC_NO_ROOM);
	pair->server.has_no_room = false;
	assert_int_equal(fx_send(&pair->server, "x", 1, false), PLM_QUIC_SENT);
	plm_quic_close(pair->server.conn, 1, "a reason");
	assert_int_equal(fx_send(&pair->server, "x", 1, false), PLM_QUIC_NOT_OPEN);
	fx_run(pair, S);
	assert_int_equal(fx_send(&pair->server, "x", 1, false), PLM_QUIC_NOT_OPEN);
	assert_int_equal(fx_send(&pair->client, "x", 1, false), PLM_QUIC_NOT_OPEN);
	fx_end(pair);
}

/* --- streams -------------------------------------------------------------------------------- */

static void
message_check(const struct fx_message *m, const uint8_t *buf, size_t len)
{
	assert_true(m->fin);
	assert_int_equal(m->len, len);
	assert_memory_equal(m->bytes, buf, len);
}

static const struct {
	size_t len;
	size_t chunk_size;
	bool uni;
} message_cases[] = {
	{ 1, 1, false },
	{ 1, 1, true },
	{ 1000, 100, true },
	{ 65536, 65536, false },
	{ 65537, 4096, true },
	{ 200000, 4096, false },
	{ 200000, 4096, true },
	{ 0, 1, true },
};

static void
streams__carry_messages_of_any_size_both_ways(void **state)
{
	for (size_t i = 0; i < RTE_DIM(message_cases); i++) {
		struct fx_pair *pair = fx_connected(NULL);
		size_t len = message_cases[i].len;
		uint8_t *buf = fx_bytes(pair, len);

		print_message("%zu bytes\n", len);
		assert_int_equal(fx_message(&pair->client, buf, len, message_cases[i].chunk_size,
						 message_cases[i].uni),
				0);
		assert_int_equal(fx_message(&pair->server, buf, len, message_cases[i].chunk_size,
						 message_cases[i].uni),
				0);
		fx_run(pair, 2 * S);
		message_check(&pair->server.messages[0], buf, len);
		message_check(&pair->client.messages[0], buf, len);
		free(buf);
		fx_end(pair);
	}
}

/* What is under way when a packet is lost must fit into a connection's memory. */
static void
streams__carry_messages_over_a_network_that_does_everything(void **state)
{
	for (unsigned int i = 0; i < 20; i++) {
		struct fx_pair *pair = fx_connected(NULL);
		uint8_t *buf = fx_bytes(pair, 200000);

		pair->seed += i * 104729;
		fx_loss(pair, i * 5000);
		pair->client.link.late_ppm = pair->server.link.late_ppm = i % 4 * 100000;
		pair->client.link.late_ns = pair->server.link.late_ns = 20 * MS;
		pair->client.link.dup_ppm = pair->server.link.dup_ppm = i % 3 * 50000;
		assert_int_equal(fx_message(&pair->client, buf, 200000, 8000, true), 0);
		assert_int_equal(fx_message(&pair->server, buf, 200000, 8000, true), 0);
		fx_run(pair, 20 * S);
		assert_int_equal(plm_quic_conn_end(pair->client.conn).code, 0);
		assert_int_equal(plm_quic_conn_end(pair->server.conn).code, 0);
		message_check(&pair->server.messages[0], buf, 200000);
		message_check(&pair->client.messages[0], buf, 200000);
		assert_int_equal(pair->server.nb_chunks_done, 25);
		assert_int_equal(pair->client.nb_chunks_done, 25);
		free(buf);
		fx_end(pair);
	}
}

/* Nothing is kept that came out of order: it takes longer, if need be until there is memory again. */
static void
streams__outlive_a_shortage_of_memory(void **state)
{
	for (unsigned int i = 0; i < 10; i++) {
		struct fx_conf conf = fx_default;
		struct fx_pair *pair;
		uint8_t *buf;

		conf.nb_extents = 2;
		pair = fx_connected(&conf);
		buf = fx_bytes(pair, 50000);
		pair->seed += i * 104729;
		fx_loss(pair, 20000);
		for (unsigned int k = 0; k < 3; k++)
			assert_int_equal(fx_message(&pair->client, buf + k, 49000, 8000, true), 0);
		fx_run(pair, 10 * S);
		assert_int_equal(plm_quic_conn_state(pair->server.conn), PLM_QUIC_ESTABLISHED);
		assert_int_equal(plm_quic_conn_state(pair->client.conn), PLM_QUIC_ESTABLISHED);
		pair->conf.nb_extents = fx_default.nb_extents;
		fx_run(pair, 25 * S);
		assert_int_equal(pair->server.nb_messages, 3);
		for (unsigned int k = 0; k < 3; k++)
			message_check(&pair->server.messages[k], buf + k, 49000);
		free(buf);
		fx_end(pair);
	}
}

/* With ECN, acknowledgements are frames of another kind. */
static struct fx_pair *
connected_with_ecn(bool has_ecn)
{
	struct fx_pair *pair = fx_begin(NULL);

	pair->server.link.is_bleaching = pair->client.link.is_bleaching = !has_ecn;
	assert_true(fx_handshake(pair, S));
	fx_run(pair, S);
	return pair;
}

/* At once, and not when a timer is due. */
static void
streams__repeat_what_was_lost_when_acknowledgements_show_it(void **state)
{
	for (unsigned int i = 0; i < 16; i++) {
		struct fx_pair *pair = connected_with_ecn(i % 2);
		uint8_t *buf = fx_bytes(pair, 9000);

		for (unsigned int k = 0; k < i; k++) {
			fx_send(&pair->server, "x", 1, false);
			fx_run(pair, 50 * MS);
		}
		assert_int_equal(fx_message(&pair->server, buf, 9000, 9000, true), 0);
		pair->server.link.drop_mask = UINT64_C(1) << pair->server.link.nb_in;
		fx_run(pair, 3 * FX_RTT_NS / 2 + 2 * MS);
		assert_int_equal(pair->server.link.nb_lost, 1);
		message_check(&pair->client.messages[0], buf, 9000);
		free(buf);
		fx_end(pair);
	}
}

/* What comes back for media alone wants no answer now: a flush for each would cost a worker dearly. */
static void
acknowledgements__leave_a_connection_clean(void **state)
{
	for (unsigned int has_ecn = 0; has_ecn < 2; has_ecn++) {
		struct fx_pair *pair = connected_with_ecn(has_ecn);
		unsigned int nb_dirty = 0;

		for (unsigned int i = 0; i < 500; i++) {
			assert_int_equal(fx_send(&pair->server, "x", 1, false), PLM_QUIC_SENT);
			pair->now_ns += 5 * MS;
			/* As fx_step(), but the server's state is looked at before it is flushed. */
			fx_deliver(&pair->server);
			nb_dirty += plm_quic_is_dirty(pair->server.conn);
			fx_step(pair);
		}
		/* ngtcp2 has a PING in every other one, and gets its answer with the next datagram. */
		assert_in_range(nb_dirty, 0, 2);
		fx_end(pair);
	}
}

/* A datagram that the server reads, and does not answer. Does it want to? */
static bool
is_answered_now(struct fx_pair *pair)
{
	assert_int_equal(fx_send(&pair->client, "x", 1, false), PLM_QUIC_SENT);
	pair->now_ns += FX_RTT_NS;
	fx_deliver(&pair->server);
	return plm_quic_is_dirty(pair->server.conn);
}

/* And what tells of congestion, or of another path, is not kept waiting (RFC 9000 §13.2). */
static void
acknowledgements__are_written_for_every_second_packet_or_when_it_matters(void **state)
{
	struct fx_pair *pair = fx_connected(NULL);

	for (unsigned int i = 0; i < 10; i++) {
		assert_false(is_answered_now(pair));
		assert_true(is_answered_now(pair));
		fx_run(pair, FX_RTT_NS);
	}
	/* The first is acknowledged with what the server sends, when it is time for that. */
	assert_false(is_answered_now(pair));
	pair->now_ns += PLM_QUIC_ACK_NS;
	assert_int_equal(fx_send(&pair->server, "x", 1, false), PLM_QUIC_SENT);
	assert_false(is_answered_now(pair));
	fx_run(pair, S);
	/* One before it is missing. */
	pair->client.link.drop_mask = UINT64_C(1) << pair->client.link.nb_in;
	assert_false(is_answered_now(pair));
	assert_true(is_answered_now(pair));
	fx_run(pair, S);
	/* It met congestion. */
	pair->client.link.ce_ppm = 1000000;
	assert_true(is_answered_now(pair));
	pair->client.link.ce_ppm = 0;
	fx_run(pair, S);
	/* It came from elsewhere, where the server asks whether somebody is. */
	pair->nat_port++;
	assert_true(is_answered_now(pair));
	fx_run(pair, S);
	assert_int_equal(pair->server.nb_moved, 1);
	assert_false(is_answered_now(pair));
	fx_end(pair);
}

/* More than a window of anything: what follows goes when the first is acknowledged. */
static void
streams__go_on_when_acknowledgements_open_the_window(void **state)
{
	struct fx_pair *pair = fx_connected(NULL);
	uint8_t *buf = fx_bytes(pair, 50000);

	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(fx_message(&pair->server, buf, 50000, 50000, true), 0);
	fx_run(pair, S);
	assert_int_equal(pair->client.nb_messages, 5);
	for (unsigned int i = 0; i < 5; i++)
		message_check(&pair->client.messages[i], buf, 50000);
	free(buf);
	fx_end(pair);
}

static void
streams__keep_the_order_of_messages(void **state)
{
	struct fx_pair *pair = fx_connected(NULL);
	uint8_t *buf = fx_bytes(pair, 2000);

	for (unsigned int i = 0; i < 50; i++)
		assert_int_equal(fx_message(&pair->client, buf + i, 10 + 20 * i, 2000, true), 0);
	fx_run(pair, S);
	assert_int_equal(pair->server.nb_messages, 50);
	for (unsigned int i = 0; i < 50; i++) {
		assert_int_equal(pair->server.messages[i].stream_id, 2 + 4 * i);
		message_check(&pair->server.messages[i], buf + i, 10 + 20 * i);
	}
	free(buf);
	fx_end(pair);
}

static void
streams__of_a_message_with_empty_chunks_arrive(void **state)
{
	struct fx_pair *pair = fx_connected(NULL);
	struct plm_quic_chunk *c[4];

	for (unsigned int i = 0; i < 4; i++) {
		c[i] = calloc(1, sizeof(*c[i]));
		c[i]->buf = (const uint8_t *)"ab";
		c[i]->len = i % 2 ? 2 : 0;
		if (i > 0)
			c[i - 1]->next = c[i];
	}
	assert_int_equal(plm_quic_stream_send(pair->server.conn, c[0]), 0);
	fx_run(pair, S);
	message_check(&pair->client.messages[0], (const uint8_t *)"abab", 4);
	assert_int_equal(pair->server.nb_chunks_done, 4);
	fx_end(pair);
}

/* Who never reads has cost `max_chunks` and their memory in the end, and delays no datagram. */
static void
streams__of_a_peer_that_never_reads_are_refused_in_the_end(void **state)
{
	struct fx_pair *pair = fx_connected(NULL);
	uint8_t *buf = fx_bytes(pair, 8000);
	unsigned int nb_taken = 0;
	int ret = 0;

	pair->client.keeps = true;
	for (unsigned int i = 0; i < 200; i++) {
		ret = fx_message(&pair->server, buf, 8000, 8000, true);
		nb_taken += ret == 0;
		if (ret != 0)
			break;
		fx_run(pair, 50 * MS);
	}
	assert_int_equal(ret, -ENOBUFS);
	/* What the client's credit let through, and the queue. */
	assert_in_range(nb_taken, 64, 64 + PLM_QUIC_WINDOW_MAX / 8000 + 1);
	assert_true(pair->client.kept <= PLM_QUIC_WINDOW_MAX);
	assert_int_equal(fx_send(&pair->server, "x", 1, false), PLM_QUIC_SENT);
	fx_run(pair, 100 * MS);
	assert_int_equal(pair->client.nb_datagrams, 1);
	/* It reads after all: the queue moves, as many bytes as it gave back and no more. */
	for (unsigned int i = 0; i < 2; i++)
		plm_quic_stream_consumed(pair->client.conn, pair->client.messages[i].stream_id,
				pair->client.messages[i].len);
	pair->client.kept -= 2 * 8000;
	fx_run(pair, S);
	assert_int_equal(fx_message(&pair->server, buf, 8000, 8000, true), 0);
	assert_true(pair->client.kept <= PLM_QUIC_WINDOW_MAX &&
			pair->client.kept > PLM_QUIC_WINDOW_MAX - 8000);
	free(buf);
	fx_end(pair);
}

/* Streams that the peer opens and leaves open are bounded by the credit it was given. */
static void
streams__that_flood_are_bounded_by_credit(void **state)
{
	struct fx_conf conf = fx_default;
	struct fx_pair *pair;

	conf.max_streams = 10;
	pair = fx_connected(&conf);
	pair->server.keeps = true;
	for (unsigned int i = 0; i < 100; i++) {
		int64_t id;
		int ret = ngtcp2_conn_open_uni_stream(pair->client.conn->ng, &id, NULL);

		assert_int_equal(ret, i < 10 ? 0 : NGTCP2_ERR_STREAM_ID_BLOCKED);
	}
	/* And of messages, those that end make room for the next. */
	fx_end(pair);
	pair = fx_connected(&conf);
	for (unsigned int i = 0; i < 60; i++)
		assert_int_equal(fx_message(&pair->client, (const uint8_t *)"abc", 3, 3, i % 2), 0);
	fx_run(pair, 2 * S);
	assert_int_equal(pair->server.nb_messages, 60);
	fx_end(pair);
}

static void
streams__that_nobody_has_memory_for_close_the_connection(void **state)
{
	struct fx_pair *pair = fx_connected(NULL);

	pair->server.refuses = true;
	assert_int_equal(fx_message(&pair->client, (const uint8_t *)"abc", 3, 3, true), 0);
	fx_run(pair, 300 * MS);
	assert_int_equal(plm_quic_conn_end(pair->server.conn).code, INTERNAL_ERROR);
	assert_int_equal(plm_quic_conn_state(pair->client.conn), PLM_QUIC_DRAINING);
	assert_int_equal(plm_quic_conn_end(pair->client.conn).code, INTERNAL_ERROR);
	assert_true(plm_quic_conn_end(pair->client.conn).is_remote);
	fx_end(pair);
}

static void
streams__that_the_peer_stops_give_their_chunks_back(void **state)
{
	struct fx_pair *pair = fx_connected(NULL);
	uint8_t *buf = fx_bytes(pair, 200000);

	/* The second one is not touched by what happens to the first. */
	pair->client.keeps = true;
	assert_int_equal(fx_message(&pair->server, buf, 200000, 8000, true), 0);
	assert_int_equal(fx_message(&pair->server, buf, 1000, 1000, true), 0);
	fx_run(pair, 200 * MS);
	assert_int_equal(pair->client.messages[0].len, PLM_QUIC_WINDOW_MAX);
	assert_int_equal(ngtcp2_conn_shutdown_stream_read(pair->client.conn->ng, 0,
					 pair->client.messages[0].stream_id, 7),
			0);
	plm_quic_stream_consumed(pair->client.conn, pair->client.messages[0].stream_id,
			pair->client.messages[0].len);
	pair->client.conn->is_dirty = true;
	fx_run(pair, S);
	assert_int_equal(pair->server.nb_chunks_done, 26);
	assert_int_equal(pair->client.nb_messages, 2);
	message_check(&pair->client.messages[1], buf, 1000);
	free(buf);
	fx_end(pair);
}

static void
streams__that_the_peer_resets_are_told_and_give_credit_back(void **state)
{
	struct fx_conf conf = fx_default;
	struct fx_pair *pair;
	uint8_t *buf;

	conf.max_streams = 4;
	conf.max_bytes = PLM_QUIC_WINDOW_MAX;
	pair = fx_connected(&conf);
	buf = fx_bytes(pair, 20000);
	/* Twenty of 20 KB through a window of 24 KB: only if credit comes back. */
	for (unsigned int i = 0; i < 20; i++) {
		unsigned int had = pair->server.nb_messages;

		assert_int_equal(fx_message(&pair->client, buf, 20000, 20000, true), 0);
		pair->client.link.loss_ppm = i % 2 ? 300000 : 0;
		fx_run(pair, 30 * MS);
		ngtcp2_conn_shutdown_stream_write(pair->client.conn->ng, 0, 2 + 4 * i, 9);
		pair->client.conn->is_dirty = true;
		pair->client.link.loss_ppm = 0;
		fx_run(pair, S);
		assert_in_range(pair->server.nb_messages, had, had + 1);
		assert_int_equal(pair->client.nb_chunks_done, i + 1);
	}
	assert_int_equal(pair->server.nb_resets, 10); /* of those that had not arrived in full */
	assert_int_equal(fx_message(&pair->client, buf, 20000, 20000, true), 0);
	fx_run(pair, S);
	message_check(&pair->server.messages[pair->server.nb_messages - 1], buf, 20000);
	free(buf);
	fx_end(pair);
}

static void
streams__wait_for_nobody_once_the_connection_is_closed(void **state)
{
	struct fx_pair *pair = fx_begin(NULL);
	uint8_t *buf;

	assert_int_equal(fx_message(&pair->client, (const uint8_t *)"x", 1, 1, true), -ENOTCONN);
	assert_true(fx_handshake(pair, S));
	buf = fx_bytes(pair, 200000);
	assert_int_equal(fx_message(&pair->client, buf, 200000, 8000, true), 0);
	fx_run(pair, 30 * MS);
	plm_quic_close(pair->client.conn, 1, "a reason");
	assert_int_equal(fx_message(&pair->client, buf, 1, 1, true), -ENOTCONN);
	fx_run(pair, S);
	fx_forget(&pair->client);
	assert_int_equal(pair->client.nb_chunks_done, 25);
	free(buf);
	fx_end(pair);
}

/* --- ends ----------------------------------------------------------------------------------- */

static void
close__tells_the_peer_its_code(void **state)
{
	for (unsigned int by_client = 0; by_client < 2; by_client++) {
		struct fx_pair *pair = fx_connected(NULL);
		struct fx_side *from = by_client ? &pair->client : &pair->server;
		struct fx_side *to = by_client ? &pair->server : &pair->client;
		struct plm_quic_end end;

		plm_quic_close(from->conn, 0x1234, "a reason");
		assert_true(plm_quic_is_dirty(from->conn));
		fx_run(pair, 25 * MS);
		assert_int_equal(plm_quic_conn_state(from->conn), PLM_QUIC_CLOSING);
		assert_int_equal(plm_quic_conn_state(to->conn), PLM_QUIC_DRAINING);
		end = plm_quic_conn_end(to->conn);
		assert_int_equal(end.code, 0x1234);
		assert_true(end.is_application && end.is_remote);
		assert_false(end.is_timeout || end.is_reset);
		end = plm_quic_conn_end(from->conn);
		assert_int_equal(end.code, 0x1234);
		assert_true(end.is_application);
		assert_false(end.is_remote);
		fx_run(pair, 2 * S);
		assert_int_equal(plm_quic_conn_state(from->conn), PLM_QUIC_DEAD);
		assert_int_equal(plm_quic_conn_state(to->conn), PLM_QUIC_DEAD);
		fx_end(pair);
	}
}

static void
close__is_repeated_more_and_more_rarely(void **state)
{
	struct fx_pair *pair = fx_connected(NULL);
	uint64_t had;

	plm_quic_close(pair->server.conn, 1, "a reason");
	pair->server.link.is_down = true;
	fx_step(pair);
	assert_int_equal(plm_quic_conn_state(pair->server.conn), PLM_QUIC_CLOSING);
	had = pair->server.link.nb_in;
	for (unsigned int i = 1; i <= 40; i++) {
		fx_inject(&pair->server, "\x40 a packet", 11);
		if (plm_quic_is_dirty(pair->server.conn))
			plm_quic_flush(pair->server.conn, &pair->server.out, pair->now_ns);
		had += (i & (i - 1)) == 0;
		assert_int_equal(pair->server.link.nb_in, had);
	}
	/* The client hears the next one. */
	pair->server.link.is_down = false;
	for (unsigned int i = 41; i <= 64; i++)
		fx_inject(&pair->server, "\x40 a packet", 11);
	fx_run(pair, 25 * MS);
	assert_int_equal(plm_quic_conn_state(pair->client.conn), PLM_QUIC_DRAINING);
	assert_int_equal(plm_quic_conn_end(pair->client.conn).code, 1);
	fx_end(pair);
}

static void
close__during_the_handshake_reaches_the_client(void **state)
{
	struct fx_pair *pair = fx_begin(NULL);

	while (pair->server.conn == NULL)
		fx_step(pair);
	plm_quic_close(pair->server.conn, 5, "a reason");
	fx_run(pair, S);
	assert_true(plm_quic_conn_state(pair->client.conn) >= PLM_QUIC_DRAINING);
	assert_true(plm_quic_conn_end(pair->client.conn).is_remote);
	fx_end(pair);
}

static void
end__comes_after_the_idle_timeout(void **state)
{
	struct fx_conf conf = fx_default;
	struct fx_pair *pair;

	conf.idle_timeout_ns = 5 * S;
	pair = fx_connected(&conf);
	fx_down(pair, true);
	fx_run(pair, 3900 * MS);
	assert_int_equal(plm_quic_conn_state(pair->server.conn), PLM_QUIC_ESTABLISHED);
	fx_run(pair, 1200 * MS);
	assert_int_equal(plm_quic_conn_state(pair->server.conn), PLM_QUIC_DEAD);
	assert_int_equal(plm_quic_conn_state(pair->client.conn), PLM_QUIC_DEAD);
	assert_true(plm_quic_conn_end(pair->server.conn).is_timeout);
	assert_false(plm_quic_conn_end(pair->server.conn).is_remote);
	assert_int_equal(plm_quic_expiry(pair->server.conn), UINT64_MAX);
	fx_end(pair);
}

/* The id that the client uses now, out of a packet of its own. */
static void
used_id(struct fx_pair *pair, ngtcp2_cid *cid)
{
	ngtcp2_cid_init(cid, ngtcp2_conn_get_dcid(pair->client.conn->ng)->data, PLM_CID_LEN);
}

static void
end__comes_by_a_stateless_reset_with_the_right_token_only(void **state)
{
	for (unsigned int is_right = 0; is_right < 2; is_right++) {
		struct fx_pair *pair = fx_connected(NULL);
		uint8_t *pkt = fx_bytes(pair, 60);
		ngtcp2_cid cid;

		pkt[0] = 0x40 | (pkt[0] & 0x3f);
		used_id(pair, &cid);
		assert_int_equal(ngtcp2_crypto_generate_stateless_reset_token(pkt + 60 - 16,
						 (const uint8_t *)FX_RESET_SECRET, 32, &cid),
				0);
		pkt[59] ^= !is_right;
		fx_inject(&pair->client, pkt, 60);
		assert_int_equal(plm_quic_conn_state(pair->client.conn),
				is_right ? PLM_QUIC_DRAINING : PLM_QUIC_ESTABLISHED);
		assert_int_equal(plm_quic_conn_end(pair->client.conn).is_reset, is_right);
		assert_int_equal(plm_quic_conn_end(pair->client.conn).is_remote, is_right);
		free(pkt);
		fx_end(pair);
	}
}

static void
crypto_after_the_handshake__closes_the_connection(void **state)
{
	static const uint8_t hello[] = { 1, 0, 0, 2, 3, 3 };
	struct fx_pair *pair = fx_connected(NULL);

	assert_int_equal(ngtcp2_conn_submit_crypto_data(pair->client.conn->ng,
					 NGTCP2_ENCRYPTION_LEVEL_1RTT, hello, sizeof(hello)),
			0);
	pair->client.conn->is_dirty = true;
	fx_run(pair, 100 * MS);
	assert_int_equal(plm_quic_conn_end(pair->server.conn).code, PROTOCOL_VIOLATION);
	assert_int_equal(plm_quic_conn_state(pair->client.conn), PLM_QUIC_DRAINING);
	assert_int_equal(plm_quic_conn_end(pair->client.conn).code, PROTOCOL_VIOLATION);
	fx_end(pair);
}

/* --- keys ----------------------------------------------------------------------------------- */

static void
traffic(struct fx_pair *pair, uint64_t ns)
{
	static const uint8_t zeros[500];
	uint64_t end_ns = pair->now_ns + ns;

	while (pair->now_ns < end_ns) {
		fx_send(&pair->server, zeros, 500, false);
		fx_send(&pair->client, zeros, 50, true);
		for (unsigned int i = 0; i < 5; i++)
			fx_step(pair);
	}
}

static void
key_updates__go_on_under_traffic_from_both_sides(void **state)
{
	for (size_t s = 0; s < RTE_DIM(suites); s++) {
		struct fx_conf conf = fx_default;
		struct fx_pair *pair;
		uint32_t used;

		print_message("%s\n", suites[s].name);
		if (!has_backend(suites[s].backend))
			continue;
		conf.backend = suites[s].backend;
		conf.priority = suites[s].priority;
		pair = fx_connected(&conf);
		traffic(pair, S);
		used = fx_figures(&pair->server).arena_used;
		for (unsigned int i = 0; i < 40; i++) {
			struct fx_side *side = i % 3 ? &pair->client : &pair->server;
			uint64_t had = pair->client.nb_datagrams;

			assert_int_equal(plm_quic_key_update(side->conn, pair->now_ns), 0);
			assert_int_equal(plm_quic_key_update(side->conn, pair->now_ns), -EAGAIN);
			traffic(pair, S);
			assert_true(pair->client.nb_datagrams > had + 180);
			if (i != 19)
				continue;
			/* Keys that are no longer used were given back. */
			assert_true(fx_figures(&pair->server).arena_used <= used + 4096);
			fx_loss(pair, 20000);
			pair->client.link.late_ppm = pair->server.link.late_ppm = 50000;
			pair->client.link.late_ns = pair->server.link.late_ns = 5 * MS;
		}
		assert_int_equal(fx_figures(&pair->server).key_updates, 40);
		assert_int_equal(fx_figures(&pair->client).key_updates, 40);
		assert_int_equal(fx_figures(&pair->server).undecryptable, 0);
		assert_int_equal(plm_quic_conn_state(pair->server.conn), PLM_QUIC_ESTABLISHED);
		fx_end(pair);
	}
}

static void
key_update__before_the_handshake_is_confirmed_is_refused(void **state)
{
	struct fx_pair *pair = fx_begin(NULL);

	assert_int_equal(plm_quic_key_update(pair->client.conn, pair->now_ns), -EAGAIN);
	while (!pair->client.is_established)
		fx_step(pair);
	assert_int_equal(plm_quic_key_update(pair->client.conn, pair->now_ns), -EAGAIN);
	fx_end(pair);
}

/* --- paths ---------------------------------------------------------------------------------- */

static void
migration__by_the_client_is_followed(void **state)
{
	struct fx_pair *pair = fx_connected(NULL);
	struct plm_quic_path path = *plm_quic_conn_path(pair->client.conn);

	traffic(pair, S);
	for (uint16_t i = 1; i < 4; i++) {
		path.local_idx = i;
		assert_int_equal(plm_quic_migrate(pair->client.conn, &path, pair->now_ns), 0);
		traffic(pair, 300 * MS);
		pair->client.gap_ns = pair->server.gap_ns = 0;
		traffic(pair, 2 * S);
		assert_int_equal(pair->server.nb_moved, i);
		assert_int_equal(rte_be_to_cpu_16(pair->server.moved.port), pair->nat_port + i);
		assert_int_equal(rte_be_to_cpu_16(plm_quic_conn_path(pair->server.conn)->port),
				pair->nat_port + i);
		assert_true(pair->client.gap_ns < 100 * MS);
		assert_true(pair->server.gap_ns < 100 * MS);
	}
	fx_end(pair);
}

static void
migration__to_and_fro_before_it_is_validated_harms_nobody(void **state)
{
	struct fx_pair *pair = fx_connected(NULL);
	struct plm_quic_path path = *plm_quic_conn_path(pair->client.conn);

	traffic(pair, S);
	for (unsigned int i = 0; i < 12; i++) {
		path.local_idx = (i + 1) % 2;
		plm_quic_migrate(pair->client.conn, &path, pair->now_ns);
		traffic(pair, i % 4 * 10 * MS);
	}
	traffic(pair, 2 * S);
	assert_int_equal(plm_quic_conn_state(pair->server.conn), PLM_QUIC_ESTABLISHED);
	pair->client.gap_ns = 0;
	traffic(pair, S);
	assert_true(pair->client.gap_ns < 100 * MS);
	fx_end(pair);
}

static void
rebinding__is_told_and_media_goes_on(void **state)
{
	struct fx_pair *pair = fx_connected(NULL);

	traffic(pair, S);
	for (unsigned int i = 1; i <= 3; i++) {
		pair->nat_port = (uint16_t)(pair->nat_port + 100);
		pair->client.gap_ns = 0;
		traffic(pair, 2 * S);
		assert_int_equal(pair->server.nb_moved, i);
		assert_int_equal(rte_be_to_cpu_16(pair->server.moved.port), pair->nat_port);
		assert_true(pair->client.gap_ns < 500 * MS);
		assert_true(fx_figures(&pair->server).srtt_ns < 3 * FX_RTT_NS);
	}
	assert_int_equal(pair->client.nb_moved, 0);
	fx_end(pair);
}

static void
ecn__marks_travel_and_are_done_without(void **state)
{
	for (unsigned int i = 0; i < 3; i++) {
		struct fx_pair *pair = fx_connected(NULL);

		pair->server.link.is_bleaching = i == 1;
		pair->server.link.ce_ppm = i == 2 ? 50000 : 0;
		pair->server.link.nb_ecn = 0;
		traffic(pair, 5 * S);
		assert_true(pair->client.nb_datagrams > 990);
		assert_int_equal(pair->server.link.nb_ecn > 100, i != 1);
		fx_end(pair);
	}
}

/* --- ids and memory -------------------------------------------------------------------------- */

static void
ids__all_lead_to_the_connection(void **state)
{
	struct fx_pair *pair = fx_connected(NULL);
	ngtcp2_cid ids[16];
	size_t n = ngtcp2_conn_get_scid(pair->server.conn->ng, NULL);

	assert_in_range(n, 5, RTE_DIM(ids));
	ngtcp2_conn_get_scid(pair->server.conn->ng, ids);
	for (size_t i = 0; i < n; i++) {
		struct plm_cid cid;

		assert_int_equal(ids[i].datalen, PLM_CID_LEN);
		assert_int_equal(plm_cid_read(&pair->cid_key, ids[i].data, &cid), 0);
		assert_int_equal(cid.slot, FX_SLOT);
		assert_int_equal(cid.gen, FX_GEN);
		assert_int_equal(cid.worker, FX_WORKER);
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(ids[i].data + 1, ids[k].data + 1, PLM_CID_LEN - 1);
	}
	assert_int_equal(plm_quic_conn_slot(pair->server.conn), FX_SLOT);
	fx_end(pair);
}

static void
memory__of_an_established_connection_stays_within_40_kilobytes(void **state)
{
	for (size_t s = 0; s < RTE_DIM(suites); s++) {
		struct fx_conf conf = fx_default;
		struct fx_pair *pair;
		uint32_t size;

		if (!has_backend(suites[s].backend))
			continue;
		conf.backend = suites[s].backend;
		conf.priority = suites[s].priority;
		conf.nb_extents = 0;
		pair = fx_connected(&conf);
		traffic(pair, 2 * S);
		size = fx_figures(&pair->server).arena_used +
				(uint32_t)sizeof(struct plm_quic_conn);
		print_message("%s: %u bytes, at most %u of the arena\n", suites[s].name, size,
				fx_figures(&pair->server).arena_peak);
		assert_true(size <= 40000);
		assert_true(fx_figures(&pair->server).arena_peak <= PLM_QUIC_ARENA_MIN);
		fx_end(pair);
	}
}

static void
memory__that_runs_out_refuses_datagrams_and_ends_nothing(void **state)
{
	static const uint8_t zeros[1100];

	for (unsigned int nb_extents = 0; nb_extents <= PLM_QUIC_EXTENTS_MAX; nb_extents++) {
		struct fx_conf conf = fx_default;
		struct fx_pair *pair;
		unsigned int nb_refused = 0;

		conf.nb_extents = nb_extents;
		pair = fx_connected(&conf);
		fx_delay(pair, 500 * MS);
		/* Small ones: each packet in flight takes memory, and the window holds many. */
		for (unsigned int i = 0; i < 3000; i++) {
			nb_refused += fx_send(&pair->server, zeros, i % 2 ? 10 : 200, true) ==
					PLM_QUIC_NO_MEMORY;
			if (i % 10 == 0)
				fx_step(pair);
		}
		print_message("%u extents: %u refused\n", nb_extents, nb_refused);
		assert_true(nb_refused > 0);
		fx_run(pair, 5 * S);
		assert_int_equal(plm_quic_conn_state(pair->server.conn), PLM_QUIC_ESTABLISHED);
		assert_int_equal(plm_quic_conn_state(pair->client.conn), PLM_QUIC_ESTABLISHED);
		assert_int_equal(fx_send(&pair->server, zeros, 1100, false), PLM_QUIC_SENT);
		fx_run(pair, S);
		assert_int_equal(pair->client.last_len, 1100);
		fx_end(pair);
	}
}

/* What a handshake took beside a connection's own memory is given back, and what is left is in one piece: the first
 * streams, both ways, find room there. Then again for what was in flight, as far as ngtcp2 gives it back. */
static void
memory__that_is_no_longer_used_comes_back(void **state)
{
	struct fx_pair *pair = fx_connected(NULL);
	uint8_t *buf = fx_bytes(pair, 8000);

	fx_run(pair, S);
	for (unsigned int i = 0; i < 20; i++) {
		assert_int_equal(fx_message(&pair->client, buf, 1000, 1000, true), 0);
		assert_int_equal(fx_message(&pair->server, buf, 8000, 8000, true), 0);
		fx_run(pair, S);
		plm_quic_trim(pair->server.conn);
		assert_in_range(fx_figures(&pair->server).arena_size, PLM_QUIC_ARENA_MIN - 2048,
				PLM_QUIC_ARENA_MIN);
		message_check(&pair->client.messages[i], buf, 8000);
	}
	free(buf);
	fx_end(pair);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshake__works_in_every_cipher_and_backend),
		cmocka_unit_test(handshake__survives_the_loss_of_any_flight),
		cmocka_unit_test(handshake__survives_a_network_that_does_everything),
		cmocka_unit_test(handshake__that_is_never_finished_times_out),
		cmocka_unit_test(
				handshake__sends_three_times_what_came_before_the_address_is_known),
		cmocka_unit_test(datagrams__arrive_bit_by_bit_both_ways),
		cmocka_unit_test(datagrams__of_the_largest_size_arrive),
		cmocka_unit_test(datagrams__that_are_too_large_are_told_so_and_stop_nobody),
		cmocka_unit_test(datagrams__larger_than_the_peer_takes_leave_the_packet_whole),
		cmocka_unit_test(datagrams__that_are_small_share_a_packet),
		cmocka_unit_test(datagrams__of_a_mixed_burst_arrive_once_each),
		cmocka_unit_test(datagrams__get_a_verdict_when_there_is_no_room_or_no_connection),
		cmocka_unit_test(streams__carry_messages_of_any_size_both_ways),
		cmocka_unit_test(streams__carry_messages_over_a_network_that_does_everything),
		cmocka_unit_test(streams__outlive_a_shortage_of_memory),
		cmocka_unit_test(streams__repeat_what_was_lost_when_acknowledgements_show_it),
		cmocka_unit_test(acknowledgements__leave_a_connection_clean),
		cmocka_unit_test(
				acknowledgements__are_written_for_every_second_packet_or_when_it_matters),
		cmocka_unit_test(streams__go_on_when_acknowledgements_open_the_window),
		cmocka_unit_test(streams__keep_the_order_of_messages),
		cmocka_unit_test(streams__of_a_message_with_empty_chunks_arrive),
		cmocka_unit_test(streams__of_a_peer_that_never_reads_are_refused_in_the_end),
		cmocka_unit_test(streams__that_flood_are_bounded_by_credit),
		cmocka_unit_test(streams__that_nobody_has_memory_for_close_the_connection),
		cmocka_unit_test(streams__that_the_peer_stops_give_their_chunks_back),
		cmocka_unit_test(streams__that_the_peer_resets_are_told_and_give_credit_back),
		cmocka_unit_test(streams__wait_for_nobody_once_the_connection_is_closed),
		cmocka_unit_test(close__tells_the_peer_its_code),
		cmocka_unit_test(close__is_repeated_more_and_more_rarely),
		cmocka_unit_test(close__during_the_handshake_reaches_the_client),
		cmocka_unit_test(end__comes_after_the_idle_timeout),
		cmocka_unit_test(end__comes_by_a_stateless_reset_with_the_right_token_only),
		cmocka_unit_test(crypto_after_the_handshake__closes_the_connection),
		cmocka_unit_test(key_updates__go_on_under_traffic_from_both_sides),
		cmocka_unit_test(key_update__before_the_handshake_is_confirmed_is_refused),
		cmocka_unit_test(migration__by_the_client_is_followed),
		cmocka_unit_test(migration__to_and_fro_before_it_is_validated_harms_nobody),
		cmocka_unit_test(rebinding__is_told_and_media_goes_on),
		cmocka_unit_test(ecn__marks_travel_and_are_done_without),
		cmocka_unit_test(ids__all_lead_to_the_connection),
		cmocka_unit_test(memory__of_an_established_connection_stays_within_40_kilobytes),
		cmocka_unit_test(memory__that_runs_out_refuses_datagrams_and_ends_nothing),
		cmocka_unit_test(memory__that_is_no_longer_used_comes_back),
	};

	test_eal_init(64);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

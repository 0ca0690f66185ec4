/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of a peer that holds the keys and means ill, or packs its packets as no stack of ours does. A client of our
 * own writes a packet, and its frames are replaced where they are encrypted. */
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "frames.h"
#include "quic_priv.h"

#define MS PLM_NS_PER_MS
#define S  PLM_NS_PER_S

/* RFC 9000 §20.1 */
#define NO_ERROR               0x00
#define FLOW_CONTROL_ERROR     0x03
#define STREAM_LIMIT_ERROR     0x04
#define STREAM_STATE_ERROR     0x05
#define FINAL_SIZE_ERROR       0x06
#define FRAME_ENCODING_ERROR   0x07
#define PROTOCOL_VIOLATION     0x0a
#define CRYPTO_BUFFER_EXCEEDED 0x0d

struct frames {
	uint8_t bytes[1100];
	size_t len;
};

/* What the nth packet from now that the client encrypts is to carry instead. */
static struct {
	const struct frames *frames; /* NULL: nothing */
	unsigned int nth;
} forged;
static ngtcp2_encrypt encrypt_really;

static int
encrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *ctx,
		const uint8_t *plain, size_t len, const uint8_t *nonce, size_t nonce_len,
		const uint8_t *aad, size_t aad_len)
{
	uint8_t frames[PLM_QUIC_PACKET_MAX] = { 0 }; /* the rest is PADDING */

	if (forged.frames != NULL && forged.nth-- == 0) {
		assert_true(forged.frames->len <= len);
		memcpy(frames, forged.frames->bytes, forged.frames->len);
		forged.frames = NULL;
		plain = frames;
	}
	return encrypt_really(dest, aead, ctx, plain, len, nonce, nonce_len, aad, aad_len);
}

static void
prepare(struct plm_quic *quic)
{
	encrypt_really = quic->client.encrypt;
	quic->client.encrypt = encrypt;
}

static struct fx_pair *
connected(unsigned int nb_extents)
{
	struct fx_conf conf = fx_default;

	conf.nb_extents = nb_extents;
	conf.prepare = prepare;
	forged.frames = NULL;
	return fx_connected(&conf);
}

/* A packet of the client's with these frames; the server reads it, and answers. */
static void
forge(struct fx_pair *pair, const struct frames *f)
{
	static const uint8_t zeros[1100];

	forged.frames = f;
	forged.nth = 0;
	assert_int_equal(fx_send(&pair->client, zeros, RTE_MAX(f->len, (size_t)20), true),
			PLM_QUIC_SENT);
	assert_null(forged.frames);
	fx_run(pair, 2 * FX_RTT_NS);
}

/* --- writing frames ---------------------------------------------------------------------------- */

static void
put(struct frames *f, uint64_t v)
{
	unsigned int n = v < 1u << 6 ? 1 : v < 1u << 14 ? 2 : v < 1u << 30 ? 4 : 8;
	static const uint8_t mark[] = { [1] = 0x00, [2] = 0x40, [4] = 0x80, [8] = 0xc0 };

	assert_true(f->len + n <= sizeof(f->bytes));
	for (unsigned int i = 0; i < n; i++)
		f->bytes[f->len + i] = (uint8_t)(v >> (8 * (n - 1 - i)));
	f->bytes[f->len] |= mark[n];
	f->len += n;
}

static uint8_t
byte_at(int64_t id, uint64_t offset)
{
	return (uint8_t)(offset * 31 + offset / 256 + (uint64_t)id);
}

static void
put_stream(struct frames *f, int64_t id, uint64_t offset, size_t len, bool fin)
{
	put(f, 0x0e | fin); /* with offset and length */
	put(f, (uint64_t)id);
	put(f, offset);
	put(f, len);
	assert_true(f->len + len <= sizeof(f->bytes));
	for (size_t i = 0; i < len; i++)
		f->bytes[f->len++] = byte_at(id, offset + i);
}

/* --- what a peer may not send ------------------------------------------------------------------- */

static const struct {
	const char *name;
	uint64_t code; /* NO_ERROR: nothing comes of it */
	uint64_t v[10];
	unsigned int n;
} bad[] = {
	{ "an ACK of packets that were never sent", PROTOCOL_VIOLATION, { 0x02, 100000, 0, 0, 0 },
			5 },
	{ "an ACK of all packets up to one that was never sent", PROTOCOL_VIOLATION,
			{ 0x02, 100000, 0, 0, 100000 }, 5 },
	{ "an ACK with a range below packet 0", FRAME_ENCODING_ERROR, { 0x02, 1, 0, 0, 2 }, 5 },
	{ "an ACK with a gap below packet 0", FRAME_ENCODING_ERROR, { 0x02, 3, 0, 1, 0, 5, 0 }, 7 },
	{ "an ACK that says it has more ranges than a packet holds", FRAME_ENCODING_ERROR,
			{ 0x02, 3, 0, 100000, 0 }, 5 },
	{ "HANDSHAKE_DONE of a client", PROTOCOL_VIOLATION, { 0x1e }, 1 },
	{ "NEW_TOKEN of a client", PROTOCOL_VIOLATION, { 0x07, 1, 1 }, 3 },
	{ "CRYPTO after the handshake", PROTOCOL_VIOLATION, { 0x06, 0, 3, 1, 0, 0 }, 6 },
	{ "CRYPTO far ahead", CRYPTO_BUFFER_EXCEEDED, { 0x06, 1000000, 1, 1 }, 4 },
	{ "a stream that only the server may write", STREAM_STATE_ERROR, { 0x0a, 3, 1, 1 }, 4 },
	{ "a stream of the server's that it has not opened", STREAM_STATE_ERROR, { 0x0a, 1, 1, 1 },
			4 },
	{ "a stream beyond those allowed", STREAM_LIMIT_ERROR, { 0x0a, 4 * 100 + 2, 1, 1 }, 4 },
	{ "a bidirectional stream beyond those allowed", STREAM_LIMIT_ERROR,
			{ 0x0a, 4 * 100, 1, 1 }, 4 },
	{ "stream data beyond the credit", FLOW_CONTROL_ERROR, { 0x0e, 2, 1 << 20, 1, 1 }, 5 },
	{ "stream data beyond any offset", FLOW_CONTROL_ERROR,
			{ 0x0e, 2, (UINT64_C(1) << 62) - 1, 1, 1 }, 5 },
	{ "the end of a stream at two places", FINAL_SIZE_ERROR, { 0x0f, 2, 5, 0, 0x0f, 2, 6, 0 },
			8 },
	{ "a reset beyond the credit", FLOW_CONTROL_ERROR, { 0x04, 2, 0, 1 << 20 }, 4 },
	{ "a reset of a stream that only the server may write", PROTOCOL_VIOLATION,
			{ 0x04, 3, 0, 0 }, 4 },
	{ "STOP_SENDING of a stream that only the client may write", STREAM_STATE_ERROR,
			{ 0x05, 2, 0 }, 3 },
	{ "credit for a stream that only the client may write", STREAM_STATE_ERROR,
			{ 0x11, 2, 100000 }, 3 },
	{ "more streams than there can be", FRAME_ENCODING_ERROR, { 0x12, (UINT64_C(1) << 60) + 1 },
			2 },
	{ "an id that retires later ones", FRAME_ENCODING_ERROR, { 0x18, 1, 2, 17 }, 4 },
	{ "retiring an id that was never given out", PROTOCOL_VIOLATION, { 0x19, 1000 }, 2 },
	{ "an answer to a challenge that nobody sent", NO_ERROR, { 0x1b, 1, 2, 3, 4, 5, 6, 7, 8 },
			9 },
	{ "a datagram that is longer than the packet", FRAME_ENCODING_ERROR, { 0x31, 16000, 1 },
			3 },
	{ "a frame of no known type", FRAME_ENCODING_ERROR, { 0x21 }, 1 },
	{ "a frame of a type that takes eight bytes", FRAME_ENCODING_ERROR,
			{ UINT64_C(0x3fffffffffffffff) }, 1 },
};

static void
frame__that_a_client_may_not_send_closes_with_its_code(void **state)
{
	for (size_t i = 0; i < RTE_DIM(bad); i++) {
		struct fx_pair *pair = connected(fx_default.nb_extents);
		struct frames f = { .len = 0 };
		struct plm_quic_end end;

		print_message("%s\n", bad[i].name);
		for (unsigned int k = 0; k < bad[i].n; k++)
			put(&f, bad[i].v[k]);
		forge(pair, &f);
		end = plm_quic_conn_end(pair->server.conn);
		if (bad[i].code == NO_ERROR) {
			assert_int_equal(plm_quic_conn_state(pair->server.conn),
					PLM_QUIC_ESTABLISHED);
		} else {
			assert_in_range(plm_quic_conn_state(pair->server.conn), PLM_QUIC_CLOSING,
					PLM_QUIC_DEAD);
			assert_false(end.is_application || end.is_remote || end.is_timeout);
			assert_int_equal(plm_quic_conn_end(pair->client.conn).code, bad[i].code);
			assert_true(plm_quic_conn_end(pair->client.conn).is_remote);
		}
		assert_int_equal(end.code, bad[i].code);
		fx_end(pair);
	}
}

/* Frames in a packet of the handshake that belong into none. */
static const struct {
	const char *name;
	uint64_t v[6];
	unsigned int n;
} misplaced[] = {
	{ "a stream", { 0x0a, 0, 1, 1 }, 4 },
	{ "a datagram", { 0x31, 1, 1 }, 3 },
	{ "credit", { 0x10, 1 << 20 }, 2 },
	{ "an id", { 0x19, 0 }, 2 },
	{ "HANDSHAKE_DONE", { 0x1e }, 1 },
	{ "an ACK of what was never sent", { 0x02, 1000, 0, 0, 0 }, 5 },
};

/* The client's packets: an Initial with its ClientHello, one with an ACK, and then one of the handshake. Whoever saw the
 * first may have made the second, so that ends nothing. */
static const struct {
	const char *name;
	enum plm_quic_state least;
	enum plm_quic_state most;
	uint64_t code;
} spaces[] = {
	{ "instead of the ClientHello", PLM_QUIC_DEAD, PLM_QUIC_DEAD, NO_ERROR },
	{ "in another Initial", PLM_QUIC_ESTABLISHED, PLM_QUIC_ESTABLISHED, NO_ERROR },
	{ "in the handshake", PLM_QUIC_CLOSING, PLM_QUIC_DEAD, PROTOCOL_VIOLATION },
};

static void
frame__in_the_wrong_space_is_never_taken(void **state)
{
	for (size_t i = 0; i < RTE_DIM(misplaced); i++)
		for (unsigned int nth = 0; nth < RTE_DIM(spaces); nth++) {
			struct fx_conf conf = fx_default;
			struct frames f = { .len = 0 };
			struct fx_pair *pair;

			print_message("%s %s\n", misplaced[i].name, spaces[nth].name);
			conf.prepare = prepare;
			for (unsigned int k = 0; k < misplaced[i].n; k++)
				put(&f, misplaced[i].v[k]);
			forged.frames = &f;
			forged.nth = nth;
			pair = fx_begin(&conf);
			fx_run(pair, S);
			assert_null(forged.frames);
			assert_in_range(plm_quic_conn_state(pair->server.conn), spaces[nth].least,
					spaces[nth].most);
			assert_int_equal(plm_quic_conn_end(pair->server.conn).code,
					spaces[nth].code);
			assert_int_equal(pair->server.nb_datagrams + pair->server.nb_messages, 0);
			fx_end(pair);
		}
}

/* A receiver that acknowledges whatever it was sent, lost or not, so that it is sent more. */
static void
acknowledgements__that_lie_win_no_more_than_the_largest_window(void **state)
{
	static const uint8_t zeros[1000];
	struct fx_pair *pair = connected(fx_default.nb_extents);
	uint64_t largest = 0;

	for (unsigned int i = 0; i < 200; i++) {
		struct frames f = { .len = 0 };
		uint64_t burst = 0;

		pair->server.link.loss_ppm = 500000;
		while (fx_send(&pair->server, zeros, sizeof(zeros), false) == PLM_QUIC_SENT)
			burst += sizeof(zeros);
		fx_run(pair, FX_RTT_NS / 2);
		pair->server.link.loss_ppm = 0;
		largest = RTE_MAX(largest, burst);
		put(&f, 0x01); /* PING: it is acknowledged itself */
		put(&f, 0x02);
		put(&f, pair->server.link.nb_in - 4); /* but for those of the handshake */
		put(&f, 0);
		put(&f, 0);
		put(&f, pair->server.link.nb_in - 4);
		forge(pair, &f);
		assert_int_equal(plm_quic_conn_state(pair->server.conn), PLM_QUIC_ESTABLISHED);
	}
	print_message("%lu bytes at once\n", largest);
	assert_in_range(largest, 70000, 96 * 1024);
	fx_end(pair);
}

/* --- packets of several streams' data, out of order --------------------------------------------- */

#define LATE 6 /* frames of a packet at most */

static const struct {
	const char *name;
	struct {
		int64_t id;
		uint64_t offset;
		size_t len;
	} late[LATE];
	unsigned int nb_extents; /* the least with which it is taken */
} packed[] = {
	{ "one of a stream", { { 2, 100, 50 } }, 1 },
	{ "two of one stream, in one block", { { 2, 100, 50 }, { 2, 300, 50 } }, 1 },
	{ "two of one stream, in two blocks", { { 2, 100, 50 }, { 2, 9000, 50 } }, 2 },
	{ "one across the border of two blocks", { { 2, 8180, 50 } }, 2 },
	{ "one of each of two streams", { { 2, 100, 50 }, { 6, 100, 50 } }, 2 },
	{ "one of each of three streams", { { 2, 100, 50 }, { 6, 100, 50 }, { 10, 100, 50 } }, 4 },
	{ "of two streams in four blocks",
			{ { 2, 100, 50 }, { 2, 8180, 50 }, { 6, 100, 50 }, { 6, 9000, 50 } }, 4 },
	{ "behind one that is in order", { { 6, 0, 50 }, { 2, 100, 50 } }, 1 },
	{ "in order all the way", { { 2, 0, 50 }, { 2, 50, 50 }, { 6, 0, 50 }, { 6, 50, 50 } }, 0 },
};

static void
late_put(struct frames *f, size_t i)
{
	f->len = 0;
	for (unsigned int k = 0; k < LATE && packed[i].late[k].len > 0; k++)
		put_stream(f, packed[i].late[k].id, packed[i].late[k].offset, packed[i].late[k].len,
				false);
}

static size_t
got_of(const struct fx_side *side, int64_t id)
{
	for (unsigned int i = 0; i < side->nb_messages; i++) {
		const struct fx_message *m = &side->messages[i];

		if (m->stream_id != id)
			continue;
		for (size_t k = 0; k < m->len; k++)
			assert_int_equal(m->bytes[k], byte_at(id, k));
		return m->len;
	}
	return 0;
}

/* Whatever memory there is: all of the packet is taken or nothing, and it is taken as soon as there is enough. */
static void
packet__of_several_late_frames_is_taken_whole_or_lost(void **state)
{
	for (size_t i = 0; i < RTE_DIM(packed); i++)
		for (unsigned int nb = 0; nb <= packed[i].nb_extents; nb++) {
			struct fx_pair *pair = connected(fx_default.nb_extents);
			const bool fits = nb == packed[i].nb_extents;
			uint64_t ends[16] = { 0 };
			struct frames f;

			print_message("%s, %u extents\n", packed[i].name, nb);
			/* The streams are there, and of the server's memory so much that no block is left. */
			f.len = 0;
			for (int64_t id = 2; id <= 10; id += 4) {
				int64_t same;

				assert_int_equal(ngtcp2_conn_open_uni_stream(pair->client.conn->ng,
								 &same, NULL),
						0);
				assert_int_equal(same, id);
				put_stream(&f, id, 0, 0, false);
			}
			forge(pair, &f);
			pair->conf.nb_extents = pair->nb_out;
			while (quic_arena_has(&pair->server.conn->arena, 9000, 0))
				assert_non_null(quic_arena_alloc(&pair->server.conn->arena, 900));
			pair->conf.nb_extents += nb;
			late_put(&f, i);
			forge(pair, &f);
			assert_int_equal(plm_quic_conn_state(pair->server.conn),
					PLM_QUIC_ESTABLISHED);
			assert_int_equal(plm_quic_conn_heard(pair->server.conn)->late, !fits);
			for (unsigned int k = 0; !fits && k < pair->server.nb_messages; k++)
				assert_int_equal(pair->server.messages[k].len, 0);
			/* What was missing: in order, so it needs nothing. */
			for (unsigned int k = 0; k < LATE && packed[i].late[k].len > 0; k++) {
				int64_t id = packed[i].late[k].id;

				for (uint64_t at = ends[id]; at < packed[i].late[k].offset;) {
					size_t len = RTE_MIN(packed[i].late[k].offset - at,
							(uint64_t)1000);

					f.len = 0;
					put_stream(&f, id, at, len, false);
					forge(pair, &f);
					at += len;
				}
				if (!fits) { /* and it is sent again */
					f.len = 0;
					put_stream(&f, id, packed[i].late[k].offset,
							packed[i].late[k].len, false);
					forge(pair, &f);
				}
				ends[id] = packed[i].late[k].offset + packed[i].late[k].len;
			}
			for (int64_t id = 2; id <= 10; id += 4)
				assert_int_equal(got_of(&pair->server, id), ends[id]);
			assert_int_equal(plm_quic_conn_state(pair->server.conn),
					PLM_QUIC_ESTABLISHED);
			fx_end(pair);
		}
}

/* All that a peer's credit lets it have under way may wait, in as many blocks as it may touch, beside as much as may
 * be in flight to it. */
static void
packet__of_late_frames_is_taken_as_far_as_the_credit_goes(void **state)
{
	struct fx_pair *pair = connected(fx_default.nb_extents);
	const uint64_t begin = 14000, end = 13000 + PLM_QUIC_WINDOW_MAX;
	struct quic_arena *arena = &pair->server.conn->arena;
	struct frames f = { .len = 0 };
	int64_t id;

	assert_int_equal(ngtcp2_conn_open_uni_stream(pair->client.conn->ng, &id, NULL), 0);
	for (uint64_t at = 0; at < begin; at += 1000) {
		f.len = 0;
		put_stream(&f, id, at, 1000, false);
		forge(pair, &f);
	}
	while (quic_arena_has(arena, 4000, 4))
		assert_non_null(quic_arena_alloc(arena, 3500));
	/* From its end on; it was last told of its credit a packet ago. */
	for (uint64_t at = end; at > begin + 1000; at -= 1000) {
		f.len = 0;
		put_stream(&f, id, at - 1000, 1000, at == end);
		forge(pair, &f);
		assert_int_equal(plm_quic_conn_heard(pair->server.conn)->late, 0);
	}
	assert_int_equal(got_of(&pair->server, id), begin);
	f.len = 0;
	put_stream(&f, id, begin, 1000, false);
	forge(pair, &f);
	assert_int_equal(got_of(&pair->server, id), end);
	assert_true(pair->server.messages[0].fin);
	assert_int_equal(plm_quic_conn_state(pair->server.conn), PLM_QUIC_ESTABLISHED);
	fx_end(pair);
}

/* More streams than it is remembered of how far they came, each going on in every packet. */
static void
packet__of_many_streams_that_take_turns_is_in_order(void **state)
{
	struct fx_pair *pair = connected(fx_default.nb_extents);
	struct frames f;
	int64_t id;

	for (unsigned int i = 0; i < 40; i++)
		assert_int_equal(ngtcp2_conn_open_uni_stream(pair->client.conn->ng, &id, NULL), 0);
	for (uint64_t at = 0; at < 100; at += 20) {
		f.len = 0;
		for (id = 2; id < 2 + 4 * 40; id += 4)
			put_stream(&f, id, at, 20, false);
		forge(pair, &f);
	}
	assert_int_equal(plm_quic_conn_heard(pair->server.conn)->late, 0);
	for (id = 2; id < 2 + 4 * 40; id += 4)
		assert_int_equal(got_of(&pair->server, id), 100);
	fx_end(pair);
}

/* --- what frames want -------------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum quic_ask ask;
	uint8_t bytes[24];
	size_t len;
} wants[] = {
	{ "ACK", QUIC_ASK_NOTHING, { 0x02, 5, 0, 0, 5 }, 5 },
	{ "ACK with a range and counts of ECN marks", QUIC_ASK_NOTHING,
			{ 0x03, 5, 0, 1, 0, 1, 1, 9, 9, 9 }, 10 },
	{ "ACK with large numbers", QUIC_ASK_NOTHING,
			{ 0x02, 0xc0, 0, 0, 0, 0, 0, 0, 5, 0x80, 0, 0, 1, 0, 0x40, 0 }, 16 },
	{ "ACK and PADDING", QUIC_ASK_NOTHING, { 0x02, 5, 0, 0, 5, 0, 0, 0 }, 8 },
	{ "two ACKs", QUIC_ASK_NOTHING, { 0x02, 5, 0, 0, 0, 0x02, 3, 0, 0, 0 }, 10 },
	{ "PADDING", QUIC_ASK_NOTHING, { 0, 0, 0 }, 3 },
	{ "nothing", QUIC_ASK_NOTHING, { 0 }, 0 },
	{ "PING", QUIC_ASK_ACK, { 0x01 }, 1 },
	{ "ACK and PING", QUIC_ASK_ACK, { 0x02, 5, 0, 0, 5, 0x01 }, 6 },
	{ "DATAGRAM to the end", QUIC_ASK_ACK, { 0x30, 0x08, 1, 1 }, 4 },
	{ "DATAGRAMs, one empty", QUIC_ASK_ACK, { 0x31, 2, 0x08, 0x08, 0x31, 0, 0x31, 1, 7 }, 9 },
	{ "DATAGRAM, then STREAM", QUIC_ASK_MORE, { 0x31, 1, 7, 0x0a, 2, 1, 7 }, 7 },
	{ "STREAM", QUIC_ASK_MORE, { 0x08, 0, 7 }, 3 },
	{ "ACK, then MAX_DATA", QUIC_ASK_MORE, { 0x02, 5, 0, 0, 5, 0x10, 9 }, 7 },
	{ "PATH_CHALLENGE", QUIC_ASK_MORE, { 0x1a, 1, 2, 3, 4, 5, 6, 7, 8 }, 9 },
	{ "CONNECTION_CLOSE", QUIC_ASK_MORE, { 0x1c, 0, 0, 0 }, 4 },
	{ "a frame that nobody knows", QUIC_ASK_MORE, { 0x21 }, 1 },
	{ "ACK that ends early", QUIC_ASK_MORE, { 0x02, 5, 0, 0 }, 4 },
	{ "ACK with fewer ranges than it says", QUIC_ASK_MORE, { 0x02, 5, 0, 2, 0, 1 }, 6 },
	{ "ACK with as many ranges as there are numbers", QUIC_ASK_MORE,
			{ 0x02, 5, 0, 0xff, 255, 255, 255, 255, 255, 255, 255, 0 }, 12 },
	{ "DATAGRAM that is longer than the packet", QUIC_ASK_MORE, { 0x31, 9, 1 }, 3 },
};

static void
frames__tell_what_they_want(void **state)
{
	for (size_t i = 0; i < RTE_DIM(wants); i++) {
		/* At the end of its memory, for the sanitizer. */
		uint8_t *bytes = malloc(RTE_MAX(wants[i].len, (size_t)1));

		assert_non_null(bytes);
		memcpy(bytes, wants[i].bytes, wants[i].len);
		if (quic_frames_ask(bytes, wants[i].len) != wants[i].ask)
			fail_msg("%s", wants[i].name);
		free(bytes);
	}
}

/* --- streams that are reset --------------------------------------------------------------------- */

#define RESETS     60
#define RESET_SIZE 3000 /* final size of each */

static const struct {
	const char *name;
	size_t len;      /* of what came of it before; 0: nothing */
	uint64_t offset; /* of that */
	bool keeps;      /* it is read after the reset */
	bool bidi;
	unsigned int nb_kept; /* in memory */
} resets[] = {
	{ "before anything came", 0, 0, false, false, RESETS - 1 },
	{ "behind what was read", 500, 0, false, false, 0 },
	{ "behind what is read later", 500, 0, true, false, 0 },
	{ "with data that waits for what was lost", 500, 1000, false, false, 0 },
	{ "both ways, before anything came", 0, 0, false, true, 0 },
	{ "both ways, behind what was read", 500, 0, false, true, 0 },
	{ "both ways, behind what is read later", 500, 0, true, true, 0 },
	{ "both ways, with data that waits", 500, 1000, false, true, 0 },
};

/* Credit for all of it, no more and no less, comes back, and the stream's place; memory, too, but for the one kind that
 * is counted for who bounds it. */
static void
stream__that_is_reset_leaves_nothing_behind(void **state)
{
	for (size_t i = 0; i < RTE_DIM(resets); i++) {
		struct fx_pair *pair = connected(fx_default.nb_extents);
		ngtcp2_conn *ng = pair->client.conn->ng;
		struct frames f = { .len = 0 };
		uint32_t used = 0;
		int64_t id;

		print_message("%s\n", resets[i].name);
		pair->server.keeps = resets[i].keeps;
		for (unsigned int k = 1; k <= RESETS; k++) {
			assert_int_equal(
					resets[i].bidi ? ngtcp2_conn_open_bidi_stream(ng, &id, NULL)
						       : ngtcp2_conn_open_uni_stream(ng, &id, NULL),
					0);
			f.len = 0;
			if (resets[i].len > 0) {
				put_stream(&f, id, resets[i].offset, resets[i].len, false);
				forge(pair, &f);
			}
			f.len = 0;
			put(&f, 0x04);
			put(&f, (uint64_t)id);
			put(&f, 7);
			put(&f, RESET_SIZE);
			forge(pair, &f);
			assert_int_equal(pair->server.nb_resets, k);
			if (resets[i].keeps)
				plm_quic_stream_consumed(pair->server.conn, id, resets[i].len);
			if (k == 10)
				used = fx_figures(&pair->server).arena_used;
		}
		fx_run(pair, S);
		assert_int_equal(plm_quic_conn_state(pair->server.conn), PLM_QUIC_ESTABLISHED);
		assert_int_equal(plm_quic_conn_heard(pair->server.conn)->late, 0);
		assert_in_range(ngtcp2_conn_get_max_data_left(ng),
				RESETS * RESET_SIZE + PLM_QUIC_WINDOW_MAX / 2,
				RESETS * RESET_SIZE + PLM_QUIC_WINDOW_MAX);
		/* The last one's place comes back with the next. */
		assert_int_equal(ngtcp2_conn_get_streams_uni_left(ng),
				100 - (resets[i].nb_kept > 0));
		assert_int_equal(ngtcp2_conn_get_streams_bidi_left(ng), 100);
		assert_int_equal(plm_quic_streams_kept(pair->server.conn), resets[i].nb_kept);
		assert_in_range(fx_figures(&pair->server).arena_used, used - 500,
				used + 500 + 300 * resets[i].nb_kept);
		fx_end(pair);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames__tell_what_they_want),
		cmocka_unit_test(frame__that_a_client_may_not_send_closes_with_its_code),
		cmocka_unit_test(frame__in_the_wrong_space_is_never_taken),
		cmocka_unit_test(acknowledgements__that_lie_win_no_more_than_the_largest_window),
		cmocka_unit_test(packet__of_several_late_frames_is_taken_whole_or_lost),
		cmocka_unit_test(packet__of_many_streams_that_take_turns_is_in_order),
		cmocka_unit_test(packet__of_late_frames_is_taken_as_far_as_the_credit_goes),
		cmocka_unit_test(stream__that_is_reset_leaves_nothing_behind),
	};

	test_eal_init(64);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

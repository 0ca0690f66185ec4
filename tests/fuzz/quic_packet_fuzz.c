/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QUIC connections, before and after their handshake. The first byte says how the rest is taken: as whole
 * packets, which nobody who lacks the keys may do harm with, or as the frames in packets that the peer
 * protects. For the latter a connection of our own writes a packet, and its frames are replaced where
 * they are encrypted.
 *
 * A handshake takes a thousand times as long as a packet. The established pair is made once; its memory
 * and what the fixture knows of it are put back before each input, so that an input alone says what happens.
 */
#include <rte_common.h>

#include "fixture.h"
#include "fuzz.h"
#include "quic_priv.h"

#define MODE_MASK      0x03
#define MODE_RAW       0 /* packets to an established connection */
#define MODE_FRAMES    1 /* frames to one */
#define MODE_HS_RAW    2 /* packets to a server amid its handshake */
#define MODE_HS_FRAMES 3 /* frames of the client's, or the server's, in its handshake */
#define TO_CLIENT      0x04
#define WITH_CID       0x08 /* raw packets get the id that the connection has */
#define SLOWLY         0x30 /* without these, a handshake's mode is the one of the same kind after it */

#define MS    PLM_NS_PER_MS
#define ARENA (64 * 1024)
/* Of a datagram whose packet has room for the frames. */
#define FRAMES_MAX 1100
#define PACKETS    16

static struct fx_pair *pair;
static struct fx_pair was;
static uint8_t *arenas[2];

/* What the nth packet from now that this side encrypts is to carry instead. */
static struct {
	const uint8_t *frames; /* NULL: nothing */
	size_t len;
	unsigned int nth;
	bool by_client;
} forged;
static ngtcp2_encrypt encrypt_really;

static int
encrypt(bool by_client, uint8_t *dest, const ngtcp2_crypto_aead *aead,
		const ngtcp2_crypto_aead_ctx *ctx, const uint8_t *plain, size_t len,
		const uint8_t *nonce, size_t nonce_len, const uint8_t *aad, size_t aad_len)
{
	uint8_t frames[PLM_QUIC_PACKET_MAX] = { 0 }; /* the rest is PADDING */

	if (forged.frames != NULL && forged.by_client == by_client && forged.nth-- == 0) {
		memcpy(frames, forged.frames, RTE_MIN(len, forged.len));
		forged.frames = NULL;
		plain = frames;
	}
	return encrypt_really(dest, aead, ctx, plain, len, nonce, nonce_len, aad, aad_len);
}

static int
encrypt_client(uint8_t *dest, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *ctx,
		const uint8_t *plain, size_t len, const uint8_t *nonce, size_t nonce_len,
		const uint8_t *aad, size_t aad_len)
{
	return encrypt(true, dest, aead, ctx, plain, len, nonce, nonce_len, aad, aad_len);
}

static int
encrypt_server(uint8_t *dest, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *ctx,
		const uint8_t *plain, size_t len, const uint8_t *nonce, size_t nonce_len,
		const uint8_t *aad, size_t aad_len)
{
	return encrypt(false, dest, aead, ctx, plain, len, nonce, nonce_len, aad, aad_len);
}

static void
prepare(struct plm_quic *quic)
{
	encrypt_really = quic->client.encrypt;
	quic->client.encrypt = encrypt_client;
	quic->server.encrypt = encrypt_server;
}

/* No extents: memory runs out, too, and all of it is in the arenas. */
static struct fx_conf
conf(void)
{
	struct fx_conf c = fx_default;

	c.priority = FX_AES128;
	c.arena_size = ARENA;
	c.nb_extents = 0;
	c.prepare = prepare;
	return c;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct fx_conf c = conf();

	test_eal_init(64);
	pair = fx_connected(&c);
	fx_delay(pair, 0);
	/* Nothing of it is to be anywhere but in the arenas: OpenSSL's keys would be. */
	FUZZ_CHECK(strcmp(plm_aead_name(pair->aead), "ipsec-mb") == 0);
	FUZZ_CHECK(pair->client.link.queue == NULL && pair->server.link.queue == NULL);
	FUZZ_CHECK(pair->client.tls == NULL && pair->server.tls == NULL);
	pair->client.ignores = pair->server.ignores = true;
	for (unsigned int i = 0; i < 2; i++) {
		arenas[i] = malloc(ARENA);
		FUZZ_CHECK(arenas[i] != NULL);
		memcpy(arenas[i], i ? pair->server.arena : pair->client.arena, ARENA);
	}
	was = *pair;
	return 0;
}

static void
put_back(void)
{
	fx_drain(pair);
	memcpy(pair->client.arena, arenas[0], ARENA);
	memcpy(pair->server.arena, arenas[1], ARENA);
	*pair = was;
	forged.frames = NULL;
}

/* The next packet of the input: two bytes of length, what is there at most. */
static bool
next(struct plm_cursor *c, const uint8_t **buf, size_t *len, size_t most)
{
	if (plm_cursor_left(c) < 2)
		return false;
	*len = plm_cursor_be16(c) % (most + 1);
	*len = RTE_MIN(*len, plm_cursor_left(c));
	*buf = plm_cursor_bytes(c, *len);
	return true;
}

static void
inject(struct fx_side *to, const uint8_t *buf, size_t len, bool with_cid)
{
	uint8_t pkt[PLM_QUIC_PACKET_MAX];
	ngtcp2_cid ids[16];

	memcpy(pkt, buf, len);
	if (with_cid && len > PLM_CID_LEN + 6 &&
			ngtcp2_conn_get_scid(to->conn->ng, NULL) <= RTE_DIM(ids)) {
		size_t at = pkt[0] & 0x80 ? 6 : 1;

		ngtcp2_conn_get_scid(to->conn->ng, ids);
		if (at == 6) { /* version 1, and how long the id is */
			memcpy(&pkt[1], "\0\0\0\1", 4);
			pkt[5] = PLM_CID_LEN;
		}
		memcpy(&pkt[at], ids[0].data, PLM_CID_LEN);
	}
	fx_inject(to, pkt, len);
}

static void
raw(struct fx_side *to, struct plm_cursor *c, bool with_cid)
{
	const uint8_t *buf;
	size_t len;

	for (unsigned int i = 0; i < PACKETS && next(c, &buf, &len, PLM_QUIC_PACKET_MAX); i++) {
		inject(to, buf, len, with_cid);
		fx_step(pair);
	}
	fx_run(pair, 50 * MS);
	/* Nobody without the keys has a say, and both go on. */
	FUZZ_CHECK(plm_quic_conn_state(to->conn) == PLM_QUIC_ESTABLISHED);
	FUZZ_CHECK(fx_send(to, "x", 1, true) == PLM_QUIC_SENT);
	fx_run(pair, 5 * MS);
	FUZZ_CHECK((to == &pair->client ? &pair->server : &pair->client)->nb_datagrams == 1);
}

static void
frames(struct fx_side *to, struct plm_cursor *c)
{
	static const uint8_t zeros[FRAMES_MAX];
	struct fx_side *from = to == &pair->client ? &pair->server : &pair->client;
	const uint8_t *buf;
	size_t len;

	for (unsigned int i = 0; i < PACKETS && next(c, &buf, &len, FRAMES_MAX); i++) {
		forged.frames = buf;
		forged.len = len;
		forged.nth = 0;
		forged.by_client = from == &pair->client;
		if (fx_send(from, zeros, len, true) != PLM_QUIC_SENT)
			break;
		forged.frames = NULL;
		fx_run(pair, 3 * MS);
	}
	fx_run(pair, 100 * MS);
	/* However it ended, it knows how it stands, and time ends it. */
	FUZZ_CHECK(plm_quic_conn_state(to->conn) <= PLM_QUIC_DEAD);
	FUZZ_CHECK(fx_figures(to).arena_used <= fx_figures(to).arena_size);
	if (plm_quic_conn_state(to->conn) > PLM_QUIC_ESTABLISHED)
		fx_run(pair, 500 * MS);
	FUZZ_CHECK(plm_quic_conn_state(to->conn) == PLM_QUIC_ESTABLISHED ||
			plm_quic_conn_state(to->conn) == PLM_QUIC_DEAD);
}

static void
handshake_raw(struct plm_cursor *c, bool with_cid)
{
	struct fx_conf cf = conf();
	struct fx_pair *p = fx_begin(&cf);
	const uint8_t *buf;
	size_t len;

	while (p->server.conn == NULL)
		fx_step(p);
	for (unsigned int i = 0; i < PACKETS && next(c, &buf, &len, PLM_QUIC_PACKET_MAX); i++)
		inject(&p->server, buf, len, with_cid);
	FUZZ_CHECK(fx_handshake(p, 5 * PLM_NS_PER_S));
	fx_end(p);
}

static void
handshake_frames(struct plm_cursor *c, bool by_client)
{
	struct fx_conf cf = conf();
	struct fx_pair *p;
	const uint8_t *buf = NULL;
	size_t len = 0;
	unsigned int nth;

	if (plm_cursor_left(c) < 1)
		return;
	nth = plm_cursor_u8(c) % 8;
	if (!next(c, &buf, &len, FRAMES_MAX))
		return;
	forged.frames = buf;
	forged.len = len;
	forged.nth = nth;
	forged.by_client = by_client;
	p = fx_begin(&cf);
	p->client.ignores = p->server.ignores = true;
	fx_run(p, 500 * MS);
	forged.frames = NULL;
	fx_end(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	struct plm_cursor c = plm_cursor(buf, len);
	struct fx_side *to;
	uint8_t how;

	if (len < 1)
		return 0;
	how = plm_cursor_u8(&c);
	to = how & TO_CLIENT ? &pair->client : &pair->server;
	switch (how & MODE_MASK & ((how & SLOWLY) == SLOWLY ? MODE_MASK : 1)) {
	case MODE_RAW:
		raw(to, &c, how & WITH_CID);
		break;
	case MODE_FRAMES:
		frames(to, &c);
		break;
	case MODE_HS_RAW:
		handshake_raw(&c, how & WITH_CID);
		return 0;
	default:
		handshake_frames(&c, !(how & TO_CLIENT));
		return 0;
	}
	put_back();
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Packet protection of 1-RTT packets: the keys are ours, behind the callbacks through which ngtcp2
 * encrypts; Initial and Handshake keys stay those of its helper library. The callbacks are not told
 * which connection they serve, so everything they need hangs off the key. */
#include <gnutls/gnutls.h>
#include <string.h>

#include <rte_branch_prediction.h>

#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include "frames.h"
#include "plm_crypto.h"
#include "plm_sim.h"
#include "quic_priv.h"

#define LABEL_MAX 32

#define FRAME_ACK     2
#define FRAME_ACK_ECN 3
/* Packets that are acknowledged at once, when they want it and nothing else. */
#define ACK_EVERY 2

/* ngtcp2 gives our handles back as it got them. */
static inline struct quic_key *
ours(const void *handle)
{
	return (struct quic_key *)((uintptr_t)handle & ~(uintptr_t)1);
}

static inline bool
is_ours(const void *handle)
{
	return (uintptr_t)handle & 1;
}

/* --- callbacks on the packet path ---------------------------------------------------------- */

/* The number of the packet that a nonce is for (RFC 9001 §5.3). */
static inline uint64_t
packet_number(const struct quic_key *key, const uint8_t *nonce)
{
	uint64_t n;

	memcpy(&n, nonce + PLM_AEAD_NONCE - sizeof(n), sizeof(n));
	return rte_be_to_cpu_64(n ^ key->iv);
}

static int
encrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *ctx,
		const uint8_t *plain, size_t len, const uint8_t *nonce, size_t nonce_len,
		const uint8_t *aad, size_t aad_len)
{
	struct quic_key *key;

	if (unlikely(!is_ours(ctx->native_handle)))
		return ngtcp2_crypto_encrypt_cb(dest, aead, ctx, plain, len, nonce, nonce_len, aad,
				aad_len);
	key = ours(ctx->native_handle);
	key->conn->tx_key = key;
	if (plain[0] == FRAME_ACK || plain[0] == FRAME_ACK_ECN) /* ngtcp2 begins with it */
		key->conn->nb_unanswered = 0;
	if (plm_mutant(QUIC_NONCE) && ngtcp2_conn_is_server(key->conn->ng))
		nonce = (const uint8_t *)"of all packets";
	plm_sched_point(QUIC_SEAL, (&(const struct plm_sim_seal){ key, nonce }));
	if (plm_aead_seal(key->aead, key->cipher, key->bytes, dest, plain, len, nonce, aad,
			    aad_len) < 0)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

/* Does what was received want an answer now? Acknowledgements alone are for every second packet (RFC 9000 §13.2.2),
 * and at once for one out of order (§13.2.1). */
static bool
is_answer_due(struct plm_quic_conn *conn, enum quic_ask ask, uint64_t number)
{
	if (ask == QUIC_ASK_NOTHING)
		return false;
	conn->nb_unanswered += conn->nb_unanswered < UINT8_MAX;
	return ask == QUIC_ASK_MORE || conn->nb_unanswered >= ACK_EVERY ||
			number != conn->heard.newest;
}

static int
decrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *ctx,
		const uint8_t *cipher, size_t len, const uint8_t *nonce, size_t nonce_len,
		const uint8_t *aad, size_t aad_len)
{
	struct plm_quic_conn *conn;
	struct quic_key *key;
	enum quic_ask ask;
	uint64_t number;

	if (unlikely(!is_ours(ctx->native_handle)))
		return ngtcp2_crypto_decrypt_cb(dest, aead, ctx, cipher, len, nonce, nonce_len, aad,
				aad_len);
	key = ours(ctx->native_handle);
	if (plm_aead_open(key->aead, key->cipher, key->bytes, dest, cipher, len, nonce, aad,
			    aad_len) < 0) {
		key->conn->heard.undecryptable++;
		return NGTCP2_ERR_DECRYPT;
	}
	conn = key->conn;
	ask = quic_frames_ask(dest, len - PLM_AEAD_TAG);
	/* As if it had been lost: the peer sends it again. */
	if (unlikely(ask == QUIC_ASK_MORE &&
			    !quic_stream_has_memory(conn, dest, len - PLM_AEAD_TAG))) {
		conn->got_more = true;
		conn->heard.late++;
		return NGTCP2_ERR_DECRYPT;
	}
	number = packet_number(key, nonce);
	conn->got_more |= is_answer_due(conn, ask, number);
	conn->heard.opened++;
	conn->heard.newest = RTE_MAX(conn->heard.newest, number + 1);
	conn->rx_key = key;
	return 0;
}

static int
hp_mask(uint8_t *dest, const ngtcp2_crypto_cipher *hp, const ngtcp2_crypto_cipher_ctx *ctx,
		const uint8_t *sample)
{
	struct quic_key *key;

	if (unlikely(!is_ours(ctx->native_handle)))
		return ngtcp2_crypto_hp_mask_cb(dest, hp, ctx, sample);
	key = ours(ctx->native_handle);
	if (plm_aead_mask(key->aead, key->cipher, key->bytes, sample, dest) < 0)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

/* --- keys made and erased ------------------------------------------------------------------- */

static struct quic_key *
key_new(struct plm_quic_conn *conn, bool is_hp, const uint8_t *secret)
{
	const struct plm_aead *aead = conn->quic->conf.aead;
	enum plm_aead_cipher cipher = conn->cipher;
	size_t size = is_hp ? plm_aead_hp_size(aead, cipher) : plm_aead_key_size(aead, cipher);
	/* The arena aligns to 16 only. */
	uint8_t *raw = quic_arena_alloc(&conn->arena,
			sizeof(struct quic_key) + size + RTE_CACHE_LINE_SIZE);
	struct quic_key *key;
	int ret;

	if (raw == NULL)
		return NULL;
	key = (struct quic_key *)RTE_PTR_ALIGN_CEIL(raw + 1, RTE_CACHE_LINE_SIZE);
	((uint8_t *)key)[-1] = (uint8_t)((uint8_t *)key - raw);
	*key = (struct quic_key){ .aead = aead, .conn = conn, .cipher = (uint8_t)cipher };
	ret = is_hp ? plm_aead_hp_init(aead, cipher, key->bytes, secret)
		    : plm_aead_key_init(aead, cipher, key->bytes, secret);
	plm_sched_point(QUIC_KEY, key);
	if (ret == 0)
		return key;
	quic_arena_release(&conn->arena, raw);
	return NULL;
}

static void
key_free(struct quic_key *key, bool is_hp)
{
	uint8_t *raw = (uint8_t *)key - ((uint8_t *)key)[-1];
	struct plm_quic_conn *conn = key->conn;

	if (conn->tx_key == key)
		conn->tx_key = NULL;
	if (conn->rx_key == key)
		conn->rx_key = NULL;
	if (is_hp)
		plm_aead_hp_fini(key->aead, key->cipher, key->bytes);
	else
		plm_aead_key_fini(key->aead, key->cipher, key->bytes);
	quic_arena_release(&conn->arena, raw);
}

static void
delete_aead(ngtcp2_conn *ng, ngtcp2_crypto_aead_ctx *ctx, void *user_data)
{
	if (is_ours(ctx->native_handle))
		key_free(ours(ctx->native_handle), false);
	else
		ngtcp2_crypto_delete_crypto_aead_ctx_cb(ng, ctx, user_data);
}

static void
delete_hp(ngtcp2_conn *ng, ngtcp2_crypto_cipher_ctx *ctx, void *user_data)
{
	if (is_ours(ctx->native_handle))
		key_free(ours(ctx->native_handle), true);
	else
		ngtcp2_crypto_delete_crypto_cipher_ctx_cb(ng, ctx, user_data);
}

/* HKDF-Expand-Label (RFC 8446 §7.1) with an empty context. */
static int
expand_label(const ngtcp2_crypto_md *md, const uint8_t *secret, size_t secret_len,
		const char *label, uint8_t *out, size_t len)
{
	uint8_t hkdf[LABEL_MAX];
	size_t n = strlen(label);

	hkdf[0] = 0;
	hkdf[1] = (uint8_t)len;
	hkdf[2] = (uint8_t)(6 + n);
	memcpy(&hkdf[3], "tls13 ", 6);
	memcpy(&hkdf[9], label, n);
	hkdf[9 + n] = 0;
	return ngtcp2_crypto_hkdf_expand(out, len, md, secret, secret_len, hkdf, 10 + n);
}

static const ngtcp2_crypto_md *
hash_of(struct plm_quic_conn *conn)
{
	return &ngtcp2_conn_get_crypto_ctx(conn->ng)->md;
}

/* A key of ours and its IV from a traffic secret. */
static int
derive(struct plm_quic_conn *conn, const uint8_t *secret, size_t len, ngtcp2_crypto_aead_ctx *ctx,
		uint8_t *iv)
{
	uint8_t bytes[32];
	struct quic_key *key = NULL;
	size_t key_len = conn->cipher == PLM_AES128_GCM ? 16 : 32;

	if (expand_label(hash_of(conn), secret, len, "quic key", bytes, key_len) == 0 &&
			expand_label(hash_of(conn), secret, len, "quic iv", iv, PLM_AEAD_NONCE) ==
					0)
		key = key_new(conn, false, bytes);
	plm_crypto_erase(bytes, sizeof(bytes));
	if (key == NULL)
		return -1;
	memcpy(&key->iv, iv + PLM_AEAD_NONCE - sizeof(key->iv), sizeof(key->iv));
	ctx->native_handle = (void *)((uintptr_t)key | 1);
	return 0;
}

static int
derive_hp(struct plm_quic_conn *conn, const uint8_t *secret, size_t len,
		ngtcp2_crypto_cipher_ctx *ctx)
{
	uint8_t bytes[32];
	struct quic_key *key = NULL;
	size_t key_len = conn->cipher == PLM_AES128_GCM ? 16 : 32;

	if (expand_label(hash_of(conn), secret, len, "quic hp", bytes, key_len) == 0)
		key = key_new(conn, true, bytes);
	plm_crypto_erase(bytes, sizeof(bytes));
	if (key == NULL)
		return -1;
	ctx->native_handle = (void *)((uintptr_t)key | 1);
	return 0;
}

static int
update_key(ngtcp2_conn *ng, uint8_t *rx_secret, uint8_t *tx_secret, ngtcp2_crypto_aead_ctx *rx,
		uint8_t *rx_iv, ngtcp2_crypto_aead_ctx *tx, uint8_t *tx_iv, const uint8_t *rx_now,
		const uint8_t *tx_now, size_t len, void *user_data)
{
	struct plm_quic_conn *conn = user_data;
	const ngtcp2_crypto_md *md = hash_of(conn);

	if (expand_label(md, rx_now, len, "quic ku", rx_secret, len) < 0 ||
			expand_label(md, tx_now, len, "quic ku", tx_secret, len) < 0 ||
			derive(conn, rx_secret, len, rx, rx_iv) < 0)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	if (derive(conn, tx_secret, len, tx, tx_iv) < 0) {
		key_free(ours(rx->native_handle), false);
		return NGTCP2_ERR_CALLBACK_FAILURE;
	}
	conn->key_updates++;
	return 0;
}

/* --- the TLS session's secrets -------------------------------------------------------------- */

/* The level's parameters (tag, hash, limits of use) come from the session, once. */
static int
crypto_ctx(struct plm_quic_conn *conn, gnutls_session_t tls)
{
	ngtcp2_crypto_ctx ctx;

	switch (gnutls_cipher_get(tls)) {
	case GNUTLS_CIPHER_AES_128_GCM:
		conn->cipher = PLM_AES128_GCM;
		break;
	case GNUTLS_CIPHER_AES_256_GCM:
		conn->cipher = PLM_AES256_GCM;
		break;
	case GNUTLS_CIPHER_CHACHA20_POLY1305:
		conn->cipher = PLM_CHACHA20_POLY1305;
		break;
	default:
		return -1;
	}
	if (ngtcp2_conn_get_crypto_ctx(conn->ng)->aead.native_handle == NULL) {
		if (ngtcp2_crypto_ctx_tls(&ctx, tls) == NULL)
			return -1;
		ngtcp2_conn_set_crypto_ctx(conn->ng, &ctx);
	}
	return 0;
}

static int
install(struct plm_quic_conn *conn, const uint8_t *secret, size_t len, bool is_tx)
{
	ngtcp2_crypto_aead_ctx aead = { 0 };
	ngtcp2_crypto_cipher_ctx hp = { 0 };
	uint8_t iv[PLM_AEAD_NONCE];
	int ret = -1;

	if (derive(conn, secret, len, &aead, iv) < 0)
		return -1;
	if (derive_hp(conn, secret, len, &hp) < 0)
		goto fail;
	ret = is_tx ? ngtcp2_conn_install_tx_key(conn->ng, secret, len, &aead, iv, sizeof(iv), &hp)
		    : ngtcp2_conn_install_rx_key(conn->ng, secret, len, &aead, iv, sizeof(iv), &hp);
	if (ret == 0) {
		*(is_tx ? &conn->tx_hp : &conn->rx_hp) = ours(hp.native_handle);
		return 0;
	}
	key_free(ours(hp.native_handle), true);
fail:
	key_free(ours(aead.native_handle), false);
	return -1;
}

static int
set_secret(gnutls_session_t tls, gnutls_record_encryption_level_t gnutls_level, const void *rx,
		const void *tx, size_t len)
{
	ngtcp2_crypto_conn_ref *ref = gnutls_session_get_ptr(tls);
	struct plm_quic_conn *conn = ref->user_data;
	ngtcp2_encryption_level level =
			ngtcp2_crypto_gnutls_from_gnutls_record_encryption_level(gnutls_level);

	if (level != NGTCP2_ENCRYPTION_LEVEL_1RTT) {
		if (rx != NULL &&
				ngtcp2_crypto_derive_and_install_rx_key(conn->ng, NULL, NULL, NULL,
						level, rx, len) != 0)
			return -1;
		if (tx != NULL &&
				ngtcp2_crypto_derive_and_install_tx_key(conn->ng, NULL, NULL, NULL,
						level, tx, len) != 0)
			return -1;
		return 0;
	}
	if (crypto_ctx(conn, tls) < 0)
		return -1;
	/* In this order, as the helper library does: what was received early is opened at once. */
	if (rx != NULL && install(conn, rx, len, false) < 0)
		return -1;
	if (tx != NULL && install(conn, tx, len, true) < 0)
		return -1;
	return 0;
}

void
quic_keys_take_over(struct plm_quic_conn *conn, void *tls)
{
	gnutls_handshake_set_secret_function(tls, set_secret);
}

void
quic_keys_callbacks(ngtcp2_callbacks *cb)
{
	cb->encrypt = encrypt;
	cb->decrypt = decrypt;
	cb->hp_mask = hp_mask;
	cb->update_key = update_key;
	cb->delete_crypto_aead_ctx = delete_aead;
	cb->delete_crypto_cipher_ctx = delete_hp;
}

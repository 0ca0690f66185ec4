/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Packet protection of QUIC (RFC 9001 §5): AEAD and header protection masks of the three suites that
 * its TLS 1.3 knows, over two backends: intel-ipsec-mb, where the build and the CPU have it, and
 * OpenSSL's EVP everywhere.
 *
 * struct plm_aead is constant once it is created: it holds function pointers and fetched
 * algorithms, no state of an operation, so all lcores may use one. Whatever an operation changes is
 * in the key, in the caller's memory, or on the stack. A key is used by one lcore at a time and may
 * be handed over with what it belongs to.
 *
 * Sealing, opening and masking allocate nothing, lock nothing and enter no kernel. Making and ending a
 * key of the OpenSSL backend (and a ChaCha20 header key of either) allocates.
 */
#ifndef PLM_AEAD_H
#define PLM_AEAD_H

#include "plm_base.h"

#define PLM_AEAD_TAG    16
#define PLM_AEAD_NONCE  12
#define PLM_AEAD_SAMPLE 16
#define PLM_AEAD_MASK   5
#define PLM_AEAD_SECRET 32 /**< the longest key, of AES-256 and ChaCha20 */
#define PLM_AEAD_ALIGN  64 /**< of a key's memory, bytes */

enum plm_aead_cipher {
	PLM_AES128_GCM,
	PLM_AES256_GCM,
	PLM_CHACHA20_POLY1305,
	PLM_NB_AEAD_CIPHERS,
};

enum plm_aead_backend {
	PLM_AEAD_BEST, /**< ipsec-mb, or OpenSSL where that is not to be had */
	PLM_AEAD_MB,
	PLM_AEAD_EVP,
};

/** A backend and its algorithms. Const after creation: any lcore. */
struct plm_aead;

/** NULL and rte_errno: -ENOMEM; -ENOTSUP when the build or the CPU has no such backend. Main. */
struct plm_aead *plm_aead_create(enum plm_aead_backend backend);

/** After every key made with it has ended. Takes NULL. */
void plm_aead_free(struct plm_aead *aead);

/** "ipsec-mb" or "openssl". */
const char *plm_aead_name(const struct plm_aead *aead);

/** Bytes of `secret`, of keys and of header keys alike: 16 or 32. */
size_t plm_aead_secret_size(enum plm_aead_cipher cipher);

/** Memory of an expanded key, bytes, a multiple of PLM_AEAD_ALIGN. The caller's, and aligned so. */
size_t plm_aead_key_size(const struct plm_aead *aead, enum plm_aead_cipher cipher);

/** The same for a header protection key. */
size_t plm_aead_hp_size(const struct plm_aead *aead, enum plm_aead_cipher cipher);

/** Expand a key ("quic key") into `key`. 0; -ENOMEM, -EIO: then there is nothing to end. */
int plm_aead_key_init(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key,
		const uint8_t *secret);

/** Erase a key and free what it refers to. Once per key that was made. */
void plm_aead_key_fini(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key);

/** Expand a header protection key ("quic hp"). As plm_aead_key_init(). */
int plm_aead_hp_init(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *hp,
		const uint8_t *secret);

void plm_aead_hp_fini(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *hp);

/** Have those parts of a key in the cache soon that a message of `len` bytes needs. A hint. */
void plm_aead_key_prefetch(const struct plm_aead *aead, enum plm_aead_cipher cipher,
		const void *key, size_t len);

/**
 * Encrypt `len` bytes and put the tag behind them.
 *
 * @param[out] dst
 *   len + PLM_AEAD_TAG bytes: `src` itself, or memory that does not overlap it.
 * @param len
 *   0 to 65535.
 * @param nonce
 *   Never twice for one key.
 * @param aad_len
 *   0 to 65535; `aad` may lie right before `dst`, and does in a QUIC packet.
 * @return
 *   0; -EIO if OpenSSL fails, which leaves `dst` undefined.
 */
int plm_aead_seal(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key, uint8_t *dst,
		const uint8_t *src, size_t len, const uint8_t nonce[PLM_AEAD_NONCE],
		const uint8_t *aad, size_t aad_len);

/**
 * Decrypt and check.
 *
 * @param[out] dst
 *   len - PLM_AEAD_TAG bytes: `src` itself, or memory that does not overlap it. Undefined on error,
 *   and never to be used then.
 * @param len
 *   Of the ciphertext and its tag, up to 65535.
 * @return
 *   0, -EBADMSG when the tag is not the right one or `len` is too short for one.
 */
int plm_aead_open(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key, uint8_t *dst,
		const uint8_t *src, size_t len, const uint8_t nonce[PLM_AEAD_NONCE],
		const uint8_t *aad, size_t aad_len);

/** The mask of a packet's header for a sample of its ciphertext (RFC 9001 §5.4). 0 or -EIO. */
int plm_aead_mask(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *hp,
		const uint8_t sample[PLM_AEAD_SAMPLE], uint8_t mask[PLM_AEAD_MASK]);

#endif

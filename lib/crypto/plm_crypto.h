/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The cryptography that admission needs, over OpenSSL 3: HMAC-SHA1 (STUN MESSAGE-INTEGRITY),
 * HMAC-SHA256 (credentials), SHA-256, base64, strong randomness, comparison in constant time and erasure.
 * Any thread; the keyed context belongs to one lcore.
 */
#ifndef PLM_CRYPTO_H
#define PLM_CRYPTO_H

#include "plm_base.h"

#define PLM_SHA1_SIZE   20
#define PLM_SHA256_SIZE 32

/** Algorithms fetched once and a MAC context to reuse. Owner: the lcore that created it. */
struct plm_hmac;

/** NULL and rte_errno (-ENOMEM, -ENOTSUP when OpenSSL has no such digest). */
struct plm_hmac *plm_hmac_create(void);
void plm_hmac_free(struct plm_hmac *hmac);

/** HMAC-SHA1 (RFC 2104) of the concatenation of two pieces; either may be empty. 0 or -EIO. */
int plm_hmac_sha1(struct plm_hmac *hmac, const void *key, size_t key_len, const void *a,
		size_t a_len, const void *b, size_t b_len, uint8_t out[PLM_SHA1_SIZE]);

/** HMAC-SHA256. 0 or -EIO. */
int plm_hmac_sha256(struct plm_hmac *hmac, const void *key, size_t key_len, const void *msg,
		size_t len, uint8_t out[PLM_SHA256_SIZE]);

/** SHA-256. 0 or -EIO. */
int plm_sha256(const void *msg, size_t len, uint8_t out[PLM_SHA256_SIZE]);

/** Equal, in time that does not depend on where they differ? */
bool plm_crypto_equal(const void *a, const void *b, size_t len);

/** Erase a secret so that the compiler cannot leave it out. */
void plm_crypto_erase(void *buf, size_t len);

/** Randomness of the operating system through OpenSSL; for struct plm_rand's `fill`. Aborts
 *  when there is none, since nothing secure can be done without. */
void plm_crypto_random(void *ctx, void *buf, size_t len);

/** Base64 with the standard alphabet and without padding. Writes a NUL. Length or -ENOSPC. */
int plm_base64_encode(const void *in, size_t len, char *out, size_t size);

/** Decode; padding is refused, so is anything non-canonical. Length or -EINVAL, -ENOSPC. */
int plm_base64_decode(const char *in, size_t len, void *out, size_t size);

#endif

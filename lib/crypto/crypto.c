/* SPDX-License-Identifier: BSD-3-Clause */
/* HMAC, base64, randomness, comparison and erasure over OpenSSL 3. */
#include <errno.h>
#include <stdlib.h>

#include <rte_errno.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "plm_crypto.h"

/* Fetching an algorithm and choosing its digest cost more than the hashing of a short message,
 * so both are done once; a new key alone restarts a context. */
struct plm_hmac {
	EVP_MAC_CTX *sha1;
	EVP_MAC_CTX *sha256;
};

static EVP_MAC_CTX *
ctx_create(EVP_MAC *mac, const char *digest)
{
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
	char name[16];
	OSSL_PARAM params[2];

	if (ctx == NULL)
		return NULL;
	snprintf(name, sizeof(name), "%s", digest);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0);
	params[1] = OSSL_PARAM_construct_end();
	if (EVP_MAC_CTX_set_params(ctx, params) != 1) {
		EVP_MAC_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

struct plm_hmac *
plm_hmac_create(void)
{
	struct plm_hmac *hmac = calloc(1, sizeof(*hmac));
	EVP_MAC *mac;

	if (hmac == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (mac != NULL) {
		hmac->sha1 = ctx_create(mac, "SHA1");
		hmac->sha256 = ctx_create(mac, "SHA256");
		EVP_MAC_free(mac); /* the contexts hold references of their own */
	}
	if (hmac->sha1 == NULL || hmac->sha256 == NULL) {
		plm_hmac_free(hmac);
		rte_errno = ENOTSUP;
		return NULL;
	}
	return hmac;
}

void
plm_hmac_free(struct plm_hmac *hmac)
{
	if (hmac == NULL)
		return;
	EVP_MAC_CTX_free(hmac->sha1); /* erases the last key */
	EVP_MAC_CTX_free(hmac->sha256);
	free(hmac);
}

static int
hmac_run(EVP_MAC_CTX *ctx, const void *key, size_t key_len, const void *a, size_t a_len,
		const void *b, size_t b_len, uint8_t *out, size_t out_size)
{
	/* A NULL key would mean "the one before" to OpenSSL. */
	const void *k = key_len > 0 ? key : "";
	uint8_t mac[PLM_SHA256_SIZE];
	size_t len;

	if (EVP_MAC_init(ctx, k, key_len, NULL) != 1 ||
			(a_len > 0 && EVP_MAC_update(ctx, a, a_len) != 1) ||
			(b_len > 0 && EVP_MAC_update(ctx, b, b_len) != 1) ||
			EVP_MAC_final(ctx, mac, &len, sizeof(mac)) != 1 || len != out_size)
		return -EIO;
	memcpy(out, mac, out_size);
	return 0;
}

int
plm_hmac_sha1(struct plm_hmac *hmac, const void *key, size_t key_len, const void *a, size_t a_len,
		const void *b, size_t b_len, uint8_t out[PLM_SHA1_SIZE])
{
	return hmac_run(hmac->sha1, key, key_len, a, a_len, b, b_len, out, PLM_SHA1_SIZE);
}

int
plm_hmac_sha256(struct plm_hmac *hmac, const void *key, size_t key_len, const void *msg, size_t len,
		uint8_t out[PLM_SHA256_SIZE])
{
	return hmac_run(hmac->sha256, key, key_len, msg, len, NULL, 0, out, PLM_SHA256_SIZE);
}

int
plm_sha256(const void *msg, size_t len, uint8_t out[PLM_SHA256_SIZE])
{
	return EVP_Digest(msg, len, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
}

bool
plm_crypto_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

void
plm_crypto_erase(void *buf, size_t len)
{
	OPENSSL_cleanse(buf, len);
}

void
plm_crypto_random(void *ctx, void *buf, size_t len)
{
	if (RAND_bytes_ex(NULL, buf, len, 0) != 1)
		abort();
}

/* --- base64 (RFC 4648 §4), no padding ---------------------------------------------------------
 * Encoded text is public (ufrag) or compared by HMAC alone, so the tables may depend on it. The
 * one secret that passes here is a password on its way to its owner.
 */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* 0 to 63, or -1. */
static int
digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

int
plm_base64_encode(const void *in, size_t len, char *out, size_t size)
{
	const uint8_t *p = in;
	size_t n = len / 3 * 4 + (len % 3 * 8 + 5) / 6;
	uint32_t bits = 0;
	unsigned int nb_bits = 0;

	if (n >= size)
		return -ENOSPC;
	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | p[i];
		for (nb_bits += 8; nb_bits >= 6; nb_bits -= 6)
			*out++ = alphabet[bits >> (nb_bits - 6) & 63];
	}
	if (nb_bits > 0)
		*out++ = alphabet[bits << (6 - nb_bits) & 63];
	*out = '\0';
	return (int)n;
}

int
plm_base64_decode(const char *in, size_t len, void *out, size_t size)
{
	uint8_t *p = out;
	size_t n = len / 4 * 3 + len % 4 * 6 / 8;
	uint32_t bits = 0;
	unsigned int nb_bits = 0;

	if (len % 4 == 1)
		return -EINVAL;
	/* First look, then write: outputs change on success only. */
	for (size_t i = 0; i < len; i++) {
		if (digit(in[i]) < 0)
			return -EINVAL;
	}
	/* Bits of the last digit that belong to no byte are 0 in the one canonical text. */
	if (len % 4 != 0 && digit(in[len - 1]) & (len % 4 == 2 ? 15 : 3))
		return -EINVAL;
	if (n > size)
		return -ENOSPC;
	for (size_t i = 0; i < len; i++) {
		bits = bits << 6 | (uint32_t)digit(in[i]);
		nb_bits += 6;
		if (nb_bits >= 8) {
			nb_bits -= 8;
			*p++ = (uint8_t)(bits >> nb_bits);
		}
	}
	return (int)n;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Identities and what is known of them: keys from a seed, fingerprints, the hashed names of rooms. */
#include <errno.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "plm_crypto.h"
#include "plm_wzp.h"

/* HKDF-SHA256 without salt (RFC 5869). */
static int
derive(const uint8_t seed[PLM_WZP_KEY], const char *label, uint8_t out[PLM_WZP_KEY])
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
				(char *)(uintptr_t) "SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)seed,
				PLM_WZP_KEY),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)label,
				strlen(label)),
		OSSL_PARAM_construct_end(),
	};
	int ret = -EIO;

	if (ctx != NULL && EVP_KDF_derive(ctx, out, PLM_WZP_KEY, params) == 1)
		ret = 0;
	EVP_KDF_CTX_free(ctx); /* erases what it holds */
	EVP_KDF_free(kdf);
	return ret;
}

int
plm_wzp_identity_derive(const uint8_t seed[PLM_WZP_KEY], struct plm_wzp_identity *id)
{
	struct plm_wzp_identity new = { 0 };
	size_t len = sizeof(new.pub);
	EVP_PKEY *key = NULL;
	int ret = -EIO;

	if (derive(seed, "warzone-ed25519", new.secret) == 0)
		key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, new.secret,
				sizeof(new.secret));
	if (key != NULL && EVP_PKEY_get_raw_public_key(key, new.pub, &len) == 1 &&
			len == sizeof(new.pub))
		ret = plm_wzp_fingerprint(new.pub, new.fingerprint);
	if (ret == 0) {
		plm_wzp_fingerprint_text(new.fingerprint, new.text);
		*id = new;
	}
	EVP_PKEY_free(key);
	plm_crypto_erase(&new, sizeof(new));
	return ret;
}

int
plm_wzp_fingerprint(const uint8_t pub[PLM_WZP_KEY], uint8_t fp[PLM_WZP_FINGERPRINT])
{
	uint8_t hash[PLM_SHA256_SIZE];

	if (EVP_Digest(pub, PLM_WZP_KEY, hash, NULL, EVP_sha256(), NULL) != 1)
		return -EIO;
	memcpy(fp, hash, PLM_WZP_FINGERPRINT);
	return 0;
}

void
plm_wzp_fingerprint_text(const uint8_t fp[PLM_WZP_FINGERPRINT], char text[PLM_WZP_FINGERPRINT_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	char *p = text;

	for (unsigned int i = 0; i < PLM_WZP_FINGERPRINT; i++) {
		if (i > 0 && i % 2 == 0)
			*p++ = ':';
		*p++ = digits[fp[i] >> 4];
		*p++ = digits[fp[i] & 15];
	}
	*p = '\0';
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
plm_wzp_fingerprint_read(const char *text, size_t len, uint8_t fp[PLM_WZP_FINGERPRINT])
{
	uint8_t read[PLM_WZP_FINGERPRINT] = { 0 };
	unsigned int nb = 0;

	if (len != PLM_WZP_FINGERPRINT_TEXT - 1)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		int digit = hex_digit(text[i]);

		if (i % 5 == 4) {
			if (text[i] != ':')
				return -EINVAL;
			continue;
		}
		if (digit < 0)
			return -EINVAL;
		read[nb / 2] = (uint8_t)(read[nb / 2] << 4 | digit);
		nb++;
	}
	memcpy(fp, read, sizeof(read));
	return 0;
}

int
plm_wzp_room_hash(const char *room, char hex[33])
{
	static const char prefix[] = "featherchat-group:";
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t hash[PLM_SHA256_SIZE];
	int ret = -EIO;

	if (ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
			EVP_DigestUpdate(ctx, prefix, strlen(prefix)) == 1 &&
			EVP_DigestUpdate(ctx, room, strlen(room)) == 1 &&
			EVP_DigestFinal_ex(ctx, hash, NULL) == 1) {
		for (unsigned int i = 0; i < 16; i++)
			snprintf(&hex[2 * i], 3, "%02x", hash[i]);
		ret = 0;
	}
	EVP_MD_CTX_free(ctx);
	return ret;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packet protection by OpenSSL. A key is a cipher context of its own: OpenSSL keeps nonce and tag in
 * it, which is why a key belongs to one lcore at a time. It is made with its key schedule; a packet
 * changes the nonce alone, and that allocates nothing.
 */
#include <errno.h>
#include <stdalign.h>

#include "aead_priv.h"
#include "plm_crypto.h"

struct evp_key {
	alignas(PLM_AEAD_ALIGN) EVP_CIPHER_CTX *ctx;
};

static int
ctx_init(struct evp_key *key, EVP_CIPHER *cipher, const uint8_t *secret)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (ctx == NULL)
		return -ENOMEM;
	if (EVP_EncryptInit_ex(ctx, cipher, NULL, secret, NULL) != 1 ||
			EVP_CIPHER_CTX_set_padding(ctx, 0) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		return -EIO;
	}
	key->ctx = ctx;
	return 0;
}

static void
ctx_fini(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key)
{
	EVP_CIPHER_CTX_free(((struct evp_key *)key)->ctx); /* erases the key schedule */
	plm_crypto_erase(key, sizeof(struct evp_key));
}

static int
evp_key_init(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key,
		const uint8_t *secret)
{
	return ctx_init(key, aead->evp[cipher], secret);
}

static int
evp_hp_init(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *hp,
		const uint8_t *secret)
{
	return ctx_init(hp, aead->evp_hp[cipher], secret);
}

/* OpenSSL takes a NULL input for "no more of it", so what is empty is left out. */
static int
evp_seal(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key, uint8_t *dst,
		const uint8_t *src, size_t len, const uint8_t *nonce, const uint8_t *aad,
		size_t aad_len)
{
	EVP_CIPHER_CTX *ctx = ((struct evp_key *)key)->ctx;
	int n;

	if (EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, nonce) != 1 ||
			(aad_len > 0 && EVP_EncryptUpdate(ctx, NULL, &n, aad, (int)aad_len) != 1) ||
			(len > 0 && EVP_EncryptUpdate(ctx, dst, &n, src, (int)len) != 1) ||
			EVP_EncryptFinal_ex(ctx, dst + len, &n) != 1 ||
			EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, PLM_AEAD_TAG, dst + len) !=
					1)
		return -EIO;
	return 0;
}

static int
evp_open(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key, uint8_t *dst,
		const uint8_t *src, size_t len, const uint8_t *nonce, const uint8_t *aad,
		size_t aad_len)
{
	EVP_CIPHER_CTX *ctx = ((struct evp_key *)key)->ctx;
	uint8_t tag[PLM_AEAD_TAG];
	uint8_t none[PLM_AEAD_TAG];
	int n;

	memcpy(tag, src + len, sizeof(tag));
	if (EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, nonce) != 1 ||
			EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, PLM_AEAD_TAG, tag) != 1 ||
			(aad_len > 0 && EVP_DecryptUpdate(ctx, NULL, &n, aad, (int)aad_len) != 1) ||
			(len > 0 && EVP_DecryptUpdate(ctx, dst, &n, src, (int)len) != 1) ||
			EVP_DecryptFinal_ex(ctx, none, &n) != 1)
		return -EBADMSG;
	return 0;
}

/* AES: the sample is the block that ECB encrypts. */
static int
evp_mask_aes(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *hp,
		const uint8_t *sample, uint8_t *mask)
{
	uint8_t block[PLM_AEAD_SAMPLE];
	int n;

	if (EVP_EncryptUpdate(((struct evp_key *)hp)->ctx, block, &n, sample, PLM_AEAD_SAMPLE) != 1)
		return -EIO;
	memcpy(mask, block, PLM_AEAD_MASK);
	return 0;
}

/* ChaCha20: the sample is block counter and nonce, in the order in which OpenSSL takes them. */
static int
evp_mask_chacha(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *hp,
		const uint8_t *sample, uint8_t *mask)
{
	static const uint8_t zero[PLM_AEAD_MASK];
	EVP_CIPHER_CTX *ctx = ((struct evp_key *)hp)->ctx;
	int n;

	if (EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, sample) != 1 ||
			EVP_EncryptUpdate(ctx, mask, &n, zero, PLM_AEAD_MASK) != 1)
		return -EIO;
	return 0;
}

int
aead_evp_init(struct plm_aead *aead)
{
	static const char *const ciphers[PLM_NB_AEAD_CIPHERS] = {
		[PLM_AES128_GCM] = "AES-128-GCM",
		[PLM_AES256_GCM] = "AES-256-GCM",
		[PLM_CHACHA20_POLY1305] = "ChaCha20-Poly1305",
	};
	static const char *const masks[PLM_NB_AEAD_CIPHERS] = {
		[PLM_AES128_GCM] = "AES-128-ECB",
		[PLM_AES256_GCM] = "AES-256-ECB",
		[PLM_CHACHA20_POLY1305] = "ChaCha20",
	};

	aead->name = "openssl";
	for (unsigned int i = 0; i < PLM_NB_AEAD_CIPHERS; i++) {
		aead->evp[i] = EVP_CIPHER_fetch(NULL, ciphers[i], NULL);
		aead->evp_hp[i] = EVP_CIPHER_fetch(NULL, masks[i], NULL);
		if (aead->evp[i] == NULL || aead->evp_hp[i] == NULL)
			return -ENOTSUP;
		aead->suites[i] = (struct aead_suite){
			.key_size = sizeof(struct evp_key),
			.hp_size = sizeof(struct evp_key),
			.head = sizeof(struct evp_key), /* the rest is OpenSSL's, elsewhere */
			.key_init = evp_key_init,
			.key_fini = ctx_fini,
			.hp_init = evp_hp_init,
			.hp_fini = ctx_fini,
			.seal = evp_seal,
			.open = evp_open,
			.mask = i == PLM_CHACHA20_POLY1305 ? evp_mask_chacha : evp_mask_aes,
		};
	}
	return 0;
}

void
aead_evp_fini(struct plm_aead *aead)
{
	for (unsigned int i = 0; i < PLM_NB_AEAD_CIPHERS; i++) {
		EVP_CIPHER_free(aead->evp[i]);
		EVP_CIPHER_free(aead->evp_hp[i]);
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What a backend of plm_aead.h fills in. */
#ifndef PLM_AEAD_PRIV_H
#define PLM_AEAD_PRIV_H

#include <openssl/evp.h>

#include "plm_aead.h"

/* One suite of one backend. The functions are those of plm_aead.h. */
struct aead_suite {
	size_t key_size;
	size_t hp_size;
	/* What messages touch of a key: its first bytes, and of the last ones as many as the message is long. */
	uint16_t head;
	uint16_t tail;
	int (*key_init)(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key,
			const uint8_t *secret);
	void (*key_fini)(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key);
	int (*hp_init)(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *hp,
			const uint8_t *secret);
	void (*hp_fini)(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *hp);
	int (*seal)(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key,
			uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *nonce,
			const uint8_t *aad, size_t aad_len);
	/* `len` without the tag, which lies behind. */
	int (*open)(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key,
			uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *nonce,
			const uint8_t *aad, size_t aad_len);
	int (*mask)(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *hp,
			const uint8_t *sample, uint8_t *mask);
};

struct plm_aead {
	/* const: set by plm_aead_create(). */
	struct aead_suite suites[PLM_NB_AEAD_CIPHERS];
	const char *name;
	EVP_CIPHER *evp[PLM_NB_AEAD_CIPHERS];
	EVP_CIPHER *evp_hp[PLM_NB_AEAD_CIPHERS];
	struct aead_mb *mb; /* aead_mb.c: ipsec-mb's functions for this CPU; NULL without */
};

/* Both fill in all suites. 0, -ENOMEM, -ENOTSUP; what is half made goes with its _fini(). */
int aead_evp_init(struct plm_aead *aead);
void aead_evp_fini(struct plm_aead *aead);

/* Behind aead_evp_init(): ipsec-mb has no ChaCha20 header protection, so that stays OpenSSL's. */
int aead_mb_init(struct plm_aead *aead);
void aead_mb_fini(struct plm_aead *aead);

#endif

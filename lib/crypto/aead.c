/* SPDX-License-Identifier: BSD-3-Clause */
/* The backend is chosen once; from then on each call is one jump through a constant table. */
#include <errno.h>
#include <stdlib.h>

#include <rte_common.h>
#include <rte_errno.h>
#include <rte_prefetch.h>

#include "aead_priv.h"

#ifndef PLM_HAVE_IPSEC_MB
int
aead_mb_init(struct plm_aead *aead)
{
	return -ENOTSUP;
}

void
aead_mb_fini(struct plm_aead *aead)
{
}
#endif

struct plm_aead *
plm_aead_create(enum plm_aead_backend backend)
{
	struct plm_aead *aead = calloc(1, sizeof(*aead));
	int ret;

	if (aead == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	ret = aead_evp_init(aead);
	if (ret == 0 && backend != PLM_AEAD_EVP) {
		ret = aead_mb_init(aead);
		if (ret == -ENOTSUP && backend == PLM_AEAD_BEST)
			ret = 0;
	}
	if (ret < 0) {
		plm_aead_free(aead);
		rte_errno = -ret;
		return NULL;
	}
	return aead;
}

void
plm_aead_free(struct plm_aead *aead)
{
	if (aead == NULL)
		return;
	aead_mb_fini(aead);
	aead_evp_fini(aead);
	free(aead);
}

const char *
plm_aead_name(const struct plm_aead *aead)
{
	return aead->name;
}

size_t
plm_aead_secret_size(enum plm_aead_cipher cipher)
{
	return cipher == PLM_AES128_GCM ? 16 : PLM_AEAD_SECRET;
}

size_t
plm_aead_key_size(const struct plm_aead *aead, enum plm_aead_cipher cipher)
{
	return aead->suites[cipher].key_size;
}

size_t
plm_aead_hp_size(const struct plm_aead *aead, enum plm_aead_cipher cipher)
{
	return aead->suites[cipher].hp_size;
}

int
plm_aead_key_init(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key,
		const uint8_t *secret)
{
	return aead->suites[cipher].key_init(aead, cipher, key, secret);
}

void
plm_aead_key_fini(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key)
{
	aead->suites[cipher].key_fini(aead, cipher, key);
}

static inline void
prefetch(const uint8_t *p, size_t len)
{
	const uint8_t *line = RTE_PTR_ALIGN_FLOOR(p, RTE_CACHE_LINE_SIZE);

	for (; line < p + len; line += RTE_CACHE_LINE_SIZE)
		rte_prefetch0(line);
}

void
plm_aead_key_prefetch(const struct plm_aead *aead, enum plm_aead_cipher cipher, const void *key,
		size_t len)
{
	const struct aead_suite *suite = &aead->suites[cipher];
	/* Blocks of lengths, of additional data and of the end are hashed, too. */
	const size_t tail = RTE_MIN((size_t)suite->tail, len + 4 * 16);
	const uint8_t *p = key;

	prefetch(p, suite->head);
	prefetch(p + suite->head + suite->tail - tail, tail);
}

int
plm_aead_hp_init(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *hp,
		const uint8_t *secret)
{
	return aead->suites[cipher].hp_init(aead, cipher, hp, secret);
}

void
plm_aead_hp_fini(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *hp)
{
	aead->suites[cipher].hp_fini(aead, cipher, hp);
}

int
plm_aead_seal(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key, uint8_t *dst,
		const uint8_t *src, size_t len, const uint8_t nonce[PLM_AEAD_NONCE],
		const uint8_t *aad, size_t aad_len)
{
	return aead->suites[cipher].seal(aead, cipher, key, dst, src, len, nonce, aad, aad_len);
}

int
plm_aead_open(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key, uint8_t *dst,
		const uint8_t *src, size_t len, const uint8_t nonce[PLM_AEAD_NONCE],
		const uint8_t *aad, size_t aad_len)
{
	if (len < PLM_AEAD_TAG)
		return -EBADMSG;
	return aead->suites[cipher].open(aead, cipher, key, dst, src, len - PLM_AEAD_TAG, nonce,
			aad, aad_len);
}

int
plm_aead_mask(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *hp,
		const uint8_t sample[PLM_AEAD_SAMPLE], uint8_t mask[PLM_AEAD_MASK])
{
	return aead->suites[cipher].mask(aead, cipher, hp, sample, mask);
}

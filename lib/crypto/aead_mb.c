/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packet protection by intel-ipsec-mb's direct calls. A manager of that library is a queue of jobs
 * and belongs to one thread; what is needed of it here are the functions that it found for this CPU,
 * so one is made, they are copied, and it is freed. They work on their arguments alone: an expanded
 * key that they only read, and a context that is on the caller's stack. So nothing is shared, and no
 * manager is needed per lcore. (The queue does ChaCha20 a fifth faster, for a manager of its own per
 * lcore that each key would have to find; AES is what clients are made to choose.)
 */
#include <errno.h>
#include <immintrin.h>
#include <intel-ipsec-mb.h>
#include <stdalign.h>
#include <stdlib.h>

#include "aead_priv.h"
#include "plm_crypto.h"

#define AES_BLOCK     16
#define AES128_ROUNDS 10
#define AES256_ROUNDS 14
#define CHACHA20_ROOM 64
#define ROUND_KEYS    ((AES256_ROUNDS + 1) * AES_BLOCK) /* room for the longer ones */
#define NARROW_POWERS (2 * 8 * AES_BLOCK)
#define WIDE_FEATURES (IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ | IMB_FEATURE_AVX512F)
#define MB_FEATURES   (IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ)

struct aead_mb {
	/* const: by cipher; those of ChaCha20 are empty. */
	aes_gcm_pre_t pre[PLM_NB_AEAD_CIPHERS];
	aes_gcm_enc_dec_t enc[PLM_NB_AEAD_CIPHERS];
	aes_gcm_enc_dec_t dec[PLM_NB_AEAD_CIPHERS];
	keyexp_t keyexp[PLM_NB_AEAD_CIPHERS];

	chacha_poly_init_t chacha_init;
	chacha_poly_enc_dec_update_t chacha_enc;
	chacha_poly_enc_dec_update_t chacha_dec;
	chacha_poly_finalize_t chacha_final;
};

/* The library's header forgets the alignment that its code is written for. */
struct gcm_key {
	alignas(PLM_AEAD_ALIGN) struct gcm_key_data expanded;
};

struct aes_hp {
	alignas(PLM_AEAD_ALIGN) uint8_t keys[AES256_ROUNDS + 1][AES_BLOCK];
};

struct chacha_key {
	alignas(PLM_AEAD_ALIGN) uint8_t key[CHACHA20_ROOM];
};

/* In time that does not depend on where they differ. */
static bool
tag_equal(const uint8_t *a, const uint8_t *b)
{
	uint64_t x[2], y[2];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

/* --- AES-GCM ---------------------------------------------------------------------------------- */

static int
gcm_key_init(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key,
		const uint8_t *secret)
{
	aead->mb->pre[cipher](secret, key);
	return 0;
}

static void
gcm_key_fini(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key)
{
	plm_crypto_erase(key, sizeof(struct gcm_key));
}

static int
gcm_seal(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key, uint8_t *dst,
		const uint8_t *src, size_t len, const uint8_t *nonce, const uint8_t *aad,
		size_t aad_len)
{
	struct gcm_context_data ctx;

	aead->mb->enc[cipher](key, &ctx, dst, src, len, nonce, aad, aad_len, dst + len,
			PLM_AEAD_TAG);
	return 0;
}

static int
gcm_open(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key, uint8_t *dst,
		const uint8_t *src, size_t len, const uint8_t *nonce, const uint8_t *aad,
		size_t aad_len)
{
	struct gcm_context_data ctx;
	uint8_t tag[PLM_AEAD_TAG];

	aead->mb->dec[cipher](key, &ctx, dst, src, len, nonce, aad, aad_len, tag, sizeof(tag));
	return tag_equal(tag, src + len) ? 0 : -EBADMSG;
}

static int
aes_hp_init(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *hp,
		const uint8_t *secret)
{
	struct aes_hp unused; /* the library always makes the decrypting keys, too */

	aead->mb->keyexp[cipher](secret, hp, &unused);
	plm_crypto_erase(&unused, sizeof(unused));
	return 0;
}

static void
aes_hp_fini(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *hp)
{
	plm_crypto_erase(hp, sizeof(struct aes_hp));
}

/* One block. The library has no direct call for that; the CPU was asked before. */
__attribute__((target("aes"))) static int
aes_mask(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *hp, const uint8_t *sample,
		uint8_t *mask)
{
	const __m128i *keys = (const __m128i *)((const struct aes_hp *)hp)->keys;
	unsigned int nb_rounds = cipher == PLM_AES128_GCM ? AES128_ROUNDS : AES256_ROUNDS;
	__m128i x = _mm_xor_si128(_mm_loadu_si128((const __m128i *)sample), keys[0]);
	uint64_t low;

	for (unsigned int i = 1; i < nb_rounds; i++)
		x = _mm_aesenc_si128(x, keys[i]);
	x = _mm_aesenclast_si128(x, keys[nb_rounds]);
	low = (uint64_t)_mm_cvtsi128_si64(x);
	memcpy(mask, &low, PLM_AEAD_MASK);
	return 0;
}

/* --- ChaCha20-Poly1305 ------------------------------------------------------------------------ */

static int
chacha_key_init(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key,
		const uint8_t *secret)
{
	memcpy(key, secret, PLM_AEAD_SECRET);
	return 0;
}

static void
chacha_key_fini(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key)
{
	plm_crypto_erase(key, sizeof(struct chacha_key));
}

static int
chacha_seal(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key, uint8_t *dst,
		const uint8_t *src, size_t len, const uint8_t *nonce, const uint8_t *aad,
		size_t aad_len)
{
	alignas(PLM_AEAD_ALIGN) struct chacha20_poly1305_context_data ctx;

	aead->mb->chacha_init(key, &ctx, nonce, aad, aad_len);
	aead->mb->chacha_enc(key, &ctx, dst, src, len);
	aead->mb->chacha_final(&ctx, dst + len, PLM_AEAD_TAG);
	return 0;
}

static int
chacha_open(const struct plm_aead *aead, enum plm_aead_cipher cipher, void *key, uint8_t *dst,
		const uint8_t *src, size_t len, const uint8_t *nonce, const uint8_t *aad,
		size_t aad_len)
{
	alignas(PLM_AEAD_ALIGN) struct chacha20_poly1305_context_data ctx;
	uint8_t tag[PLM_AEAD_TAG];

	aead->mb->chacha_init(key, &ctx, nonce, aad, aad_len);
	aead->mb->chacha_dec(key, &ctx, dst, src, len);
	aead->mb->chacha_final(&ctx, tag, sizeof(tag));
	return tag_equal(tag, src + len) ? 0 : -EBADMSG;
}

/* ---------------------------------------------------------------------------------------------- */

int
aead_mb_init(struct plm_aead *aead)
{
	IMB_MGR *mgr;
	bool usable, is_wide;

	aead->mb = calloc(1, sizeof(*aead->mb));
	mgr = alloc_mb_mgr(0);
	if (aead->mb == NULL || mgr == NULL) {
		free_mb_mgr(mgr);
		return -ENOMEM;
	}
	init_mb_mgr_auto(mgr, NULL);
	/* Without the instructions it would emulate them, slower than OpenSSL. */
	usable = imb_get_errno(mgr) == 0 && (mgr->features & MB_FEATURES) == MB_FEATURES &&
			((mgr->features & IMB_FEATURE_SELF_TEST) == 0 ||
					(mgr->features & IMB_FEATURE_SELF_TEST_PASS) != 0);
	if (!usable) {
		free_mb_mgr(mgr);
		return -ENOTSUP;
	}
	*aead->mb = (struct aead_mb){
		.pre = { mgr->gcm128_pre, mgr->gcm256_pre },
		.enc = { mgr->gcm128_enc, mgr->gcm256_enc },
		.dec = { mgr->gcm128_dec, mgr->gcm256_dec },
		.keyexp = { mgr->keyexp_128, mgr->keyexp_256 },
		.chacha_init = mgr->chacha20_poly1305_init,
		.chacha_enc = mgr->chacha20_poly1305_enc_update,
		.chacha_dec = mgr->chacha20_poly1305_dec_update,
		.chacha_final = mgr->chacha20_poly1305_finalize,
	};
	aead->name = "ipsec-mb";
	/* Powers of the hash key are behind the round keys: where 16 blocks are done at a time the lowest are
	 * last, and elsewhere the few that are used are first. */
	is_wide = (mgr->features & WIDE_FEATURES) == WIDE_FEATURES;
	free_mb_mgr(mgr);
	for (unsigned int i = PLM_AES128_GCM; i <= PLM_AES256_GCM; i++) {
		aead->suites[i] = (struct aead_suite){
			.key_size = sizeof(struct gcm_key),
			.hp_size = sizeof(struct aes_hp),
			.head = is_wide ? ROUND_KEYS : ROUND_KEYS + NARROW_POWERS,
			.tail = is_wide ? sizeof(struct gcm_key_data) - ROUND_KEYS : 0,
			.key_init = gcm_key_init,
			.key_fini = gcm_key_fini,
			.hp_init = aes_hp_init,
			.hp_fini = aes_hp_fini,
			.seal = gcm_seal,
			.open = gcm_open,
			.mask = aes_mask,
		};
	}
	aead->suites[PLM_CHACHA20_POLY1305].key_size = sizeof(struct chacha_key);
	aead->suites[PLM_CHACHA20_POLY1305].head = PLM_AEAD_SECRET;
	aead->suites[PLM_CHACHA20_POLY1305].key_init = chacha_key_init;
	aead->suites[PLM_CHACHA20_POLY1305].key_fini = chacha_key_fini;
	aead->suites[PLM_CHACHA20_POLY1305].seal = chacha_seal;
	aead->suites[PLM_CHACHA20_POLY1305].open = chacha_open;
	return 0;
}

void
aead_mb_fini(struct plm_aead *aead)
{
	free(aead->mb);
}

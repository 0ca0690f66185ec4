/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One block at a time. The build's instruction set (x86-64-v3) does not include AES, so the functions
 * that use it are marked, and the CPU is asked when a key is made. Elsewhere OpenSSL's old interface
 * does it: its newer one has contexts that are allocated and belong to one thread.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <assert.h>
#include <errno.h>

#include <rte_branch_prediction.h>

#include <openssl/aes.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "plm_aes.h"
#include "plm_crypto.h"

#define NB_ROUNDS 10

static_assert(sizeof(AES_KEY) <= sizeof(((struct plm_aes128 *)NULL)->enc), "room for OpenSSL's");

#ifdef __x86_64__
static bool
has_instructions(void)
{
	return __builtin_cpu_supports("aes");
}

/* FIPS 197 §5.2: the next round key, from the one before and the instruction's part of it. */
__attribute__((target("aes"))) static __m128i
next_key(__m128i key, __m128i assist)
{
	key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
	key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
	return _mm_xor_si128(key, _mm_shuffle_epi32(assist, 0xff));
}

__attribute__((target("aes"))) static void
expand(struct plm_aes128 *aes, const uint8_t *key)
{
	__m128i *enc = (__m128i *)aes->enc;
	__m128i *dec = (__m128i *)aes->dec;

	enc[0] = _mm_loadu_si128((const __m128i *)key);
	enc[1] = next_key(enc[0], _mm_aeskeygenassist_si128(enc[0], 0x01));
	enc[2] = next_key(enc[1], _mm_aeskeygenassist_si128(enc[1], 0x02));
	enc[3] = next_key(enc[2], _mm_aeskeygenassist_si128(enc[2], 0x04));
	enc[4] = next_key(enc[3], _mm_aeskeygenassist_si128(enc[3], 0x08));
	enc[5] = next_key(enc[4], _mm_aeskeygenassist_si128(enc[4], 0x10));
	enc[6] = next_key(enc[5], _mm_aeskeygenassist_si128(enc[5], 0x20));
	enc[7] = next_key(enc[6], _mm_aeskeygenassist_si128(enc[6], 0x40));
	enc[8] = next_key(enc[7], _mm_aeskeygenassist_si128(enc[7], 0x80));
	enc[9] = next_key(enc[8], _mm_aeskeygenassist_si128(enc[8], 0x1b));
	enc[10] = next_key(enc[9], _mm_aeskeygenassist_si128(enc[9], 0x36));
	dec[0] = enc[NB_ROUNDS];
	for (unsigned int i = 1; i < NB_ROUNDS; i++)
		dec[i] = _mm_aesimc_si128(enc[NB_ROUNDS - i]);
	dec[NB_ROUNDS] = enc[0];
}

__attribute__((target("aes"))) static void
encrypt(const struct plm_aes128 *aes, const uint8_t *in, uint8_t *out)
{
	const __m128i *keys = (const __m128i *)aes->enc;
	__m128i x = _mm_xor_si128(_mm_loadu_si128((const __m128i *)in), keys[0]);

	for (unsigned int i = 1; i < NB_ROUNDS; i++)
		x = _mm_aesenc_si128(x, keys[i]);
	_mm_storeu_si128((__m128i *)out, _mm_aesenclast_si128(x, keys[NB_ROUNDS]));
}

__attribute__((target("aes"))) static void
decrypt(const struct plm_aes128 *aes, const uint8_t *in, uint8_t *out)
{
	const __m128i *keys = (const __m128i *)aes->dec;
	__m128i x = _mm_xor_si128(_mm_loadu_si128((const __m128i *)in), keys[0]);

	for (unsigned int i = 1; i < NB_ROUNDS; i++)
		x = _mm_aesdec_si128(x, keys[i]);
	_mm_storeu_si128((__m128i *)out, _mm_aesdeclast_si128(x, keys[NB_ROUNDS]));
}
#else
static bool
has_instructions(void)
{
	return false;
}

/* Never called, since keys are made portable. */
static void
expand(struct plm_aes128 *aes, const uint8_t *key)
{
}

static void
encrypt(const struct plm_aes128 *aes, const uint8_t *in, uint8_t *out)
{
}

static void
decrypt(const struct plm_aes128 *aes, const uint8_t *in, uint8_t *out)
{
}
#endif

int
plm_aes128_init(struct plm_aes128 *aes, const uint8_t key[PLM_AES128_KEY], bool portable)
{
	aes->portable = portable || !has_instructions();
	if (!aes->portable) {
		expand(aes, key);
		return 0;
	}
	if (AES_set_encrypt_key(key, 8 * PLM_AES128_KEY, (AES_KEY *)aes->enc) != 0 ||
			AES_set_decrypt_key(key, 8 * PLM_AES128_KEY, (AES_KEY *)aes->dec) != 0)
		return -EIO;
	return 0;
}

void
plm_aes128_fini(struct plm_aes128 *aes)
{
	plm_crypto_erase(aes, sizeof(*aes));
}

void
plm_aes128_encrypt(const struct plm_aes128 *aes, const uint8_t in[PLM_AES_BLOCK],
		uint8_t out[PLM_AES_BLOCK])
{
	if (likely(!aes->portable))
		encrypt(aes, in, out);
	else
		AES_encrypt(in, out, (const AES_KEY *)aes->enc);
}

void
plm_aes128_decrypt(const struct plm_aes128 *aes, const uint8_t in[PLM_AES_BLOCK],
		uint8_t out[PLM_AES_BLOCK])
{
	if (likely(!aes->portable))
		decrypt(aes, in, out);
	else
		AES_decrypt(in, out, (const AES_KEY *)aes->dec);
}

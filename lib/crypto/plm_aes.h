/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * AES-128 of single blocks, by the CPU's instructions where it has them, else by OpenSSL. For what
 * is no protection of data: a permutation under a key. No call allocates, and a key is constant once
 * it is made: any lcore may use it.
 */
#ifndef PLM_AES_H
#define PLM_AES_H

#include <stdalign.h>

#include "plm_base.h"

#define PLM_AES_BLOCK  16
#define PLM_AES128_KEY 16

struct plm_aes128 {
	/* const after plm_aes128_init(): round keys as whoever uses them wants them. */
	alignas(64) uint8_t enc[256];
	uint8_t dec[256];
	bool portable;
};

/**
 * @param portable
 *   By OpenSSL whatever the CPU has; tests compare the two.
 * @return
 *   0; -EIO if OpenSSL refuses the key.
 */
int plm_aes128_init(struct plm_aes128 *aes, const uint8_t key[PLM_AES128_KEY], bool portable);

/** Erase. */
void plm_aes128_fini(struct plm_aes128 *aes);

/** `in` and `out` may be the same block. */
void plm_aes128_encrypt(const struct plm_aes128 *aes, const uint8_t in[PLM_AES_BLOCK],
		uint8_t out[PLM_AES_BLOCK]);
void plm_aes128_decrypt(const struct plm_aes128 *aes, const uint8_t in[PLM_AES_BLOCK],
		uint8_t out[PLM_AES_BLOCK]);

#endif

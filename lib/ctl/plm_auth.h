/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Tokens: who validates them, and the cache of what they were found to be. A token is a secret: it is
 * handed on, never kept, and the cache knows it by its digest alone.
 */
#ifndef PLM_AUTH_H
#define PLM_AUTH_H

#include "plm_base.h"

/** Bytes of the longest token. */
#define PLM_AUTH_TOKEN_MAX 4096
/** Bytes of the longest alias that is kept: UTF-8, cut at a character. */
#define PLM_AUTH_ALIAS_MAX 64
/** Bytes of an identity's fingerprint. */
#define PLM_AUTH_FINGERPRINT 16

enum plm_auth_verdict {
	PLM_AUTH_VALID,
	PLM_AUTH_INVALID,
	PLM_AUTH_FAILED, /**< nobody knows: no answer in time, unreachable, or not of the form */
};

/** What became of a token. `fingerprint` and `alias` count where it is valid. */
struct plm_auth_answer {
	uint32_t id;  /**< as asked */
	uint32_t gen; /**< as asked */
	enum plm_auth_verdict verdict;
	uint8_t fingerprint[PLM_AUTH_FINGERPRINT]; /**< whom it was given to */
	char alias[PLM_AUTH_ALIAS_MAX + 1];        /**< "": none */
};

/**
 * Who validates tokens: asked and answering on the slow path, never waiting; the work is another
 * thread's. Each token that was taken is answered once, in any order, and its place is free again when
 * the answer was fetched.
 */
struct plm_auth {
	/* const */

	/**
	 * @param id, gen
	 *   Any; the answer has them again.
	 * @param token
	 *   Copied. `len` bytes, 1 to PLM_AUTH_TOKEN_MAX; what is not UTF-8 is found invalid.
	 * @return
	 *   0; -EBUSY: as many are being asked as may be; -EINVAL: `len` is out of range.
	 */
	int (*ask)(void *ctx, uint32_t id, uint32_t gen, const char *token, size_t len);
	/** The next answer. False: there is none now, and `answer` is untouched. */
	bool (*answer)(void *ctx, struct plm_auth_answer *answer);
	void *ctx;
};

/** An invalid token is asked again after this long at the latest: it may become valid. */
#define PLM_AUTH_INVALID_NS (5 * PLM_NS_PER_S)

/**
 * What tokens were found to be, for a while: a bounded table, in which a new token takes the place of
 * one whose time is over, else of the oldest invalid, else of the oldest of all that it competes with.
 * Owner: the slow path.
 */
struct plm_auth_cache;

/**
 * @param entries
 *   Tokens that it knows at most; rounded up.
 * @param valid_ns, invalid_ns
 *   How long an answer is good for; 0: not at all.
 * @return
 *   NULL and rte_errno (ENOMEM).
 */
struct plm_auth_cache *plm_auth_cache_create(uint32_t entries, uint64_t valid_ns,
		uint64_t invalid_ns);
/** Takes NULL. */
void plm_auth_cache_free(struct plm_auth_cache *cache);

/**
 * What a token was found to be. False: it must be asked.
 * @param[out] answer
 *   Verdict, fingerprint and alias are set, `id` and `gen` stay; untouched if false.
 */
bool plm_auth_cache_get(struct plm_auth_cache *cache, const char *token, size_t len,
		uint64_t now_ns, struct plm_auth_answer *answer);

/** Remember an answer, from now on; one of a token known already is replaced. FAILED is not kept. */
void plm_auth_cache_put(struct plm_auth_cache *cache, const char *token, size_t len,
		const struct plm_auth_answer *answer, uint64_t now_ns);

#endif

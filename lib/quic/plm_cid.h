/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The connection ids that this relay gives out (RFC 9000 §5.1):
 *
 *      0        1               5        8       10              16
 *     +--------+---------------+--------+-------+---------------+
 *     | worker | slot          | gener- | seq   | tag: zeros    |
 *     +--------+---------------+--------+-------+---------------+
 *       clear    AES-128, one block of 16 bytes; the byte that is not drawn is the worker, again
 *
 * Any lcore that has the key reads one with one AES operation and no table. A block that was not
 * made with the key decrypts to what nobody could choose, so it has worker and tag right once in
 * 2^56 times; the worker in the block refuses an id whose first byte was changed.
 *
 * Two ids of one connection have nothing in common but the first byte. That one says to anybody which
 * worker a packet is for, to a load balancer or a NIC's rule as well.
 */
#ifndef PLM_CID_H
#define PLM_CID_H

#include "plm_aes.h"
#include "plm_base.h"

#define PLM_CID_LEN     17
#define PLM_CID_SECRET  16
#define PLM_CID_GEN_MAX UINT32_C(0xffffff)

/** Const after plm_cid_key_init(): all lcores may read with one. */
struct plm_cid_key {
	struct plm_aes128 aes;
};

/** What an id says. */
struct plm_cid {
	uint32_t slot;  /**< in the worker's array of connections */
	uint32_t gen;   /**< of the slot, 0 to PLM_CID_GEN_MAX */
	uint16_t seq;   /**< of the id among those of its connection */
	uint8_t worker; /**< the connection's home */
};

/** From 16 random bytes, of this process alone. 0 or -EIO. */
int plm_cid_key_init(struct plm_cid_key *key, const uint8_t secret[PLM_CID_SECRET]);

/** Erase. */
void plm_cid_key_fini(struct plm_cid_key *key);

/** The id of {worker, slot, gen, seq}: always the same one. Of `gen` the low 24 bits are carried. */
void plm_cid_make(const struct plm_cid_key *key, uint8_t worker, uint32_t slot, uint32_t gen,
		uint16_t seq, uint8_t cid[PLM_CID_LEN]);

/**
 * Read what a peer sent. Any lcore, packet path.
 *
 * @param[out] out
 *   Untouched on error. `slot` is what was put in, but may be stale: look at the generation.
 * @return
 *   0, -ENOENT if this key did not make it.
 */
int plm_cid_read(const struct plm_cid_key *key, const uint8_t cid[PLM_CID_LEN],
		struct plm_cid *out);

#endif

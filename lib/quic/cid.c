/* SPDX-License-Identifier: BSD-3-Clause */
/* Connection ids: see plm_cid.h for the layout. */
#include <assert.h>
#include <errno.h>

#include "plm_cid.h"

/* The block before it is encrypted; the byte order is this host's, since nobody else reads it. */
struct block {
	uint32_t slot;
	uint32_t worker_gen; /* worker << 24 | generation */
	uint16_t seq;
	uint16_t tag[3];
};

static_assert(sizeof(struct block) == PLM_AES_BLOCK && PLM_CID_LEN == 1 + PLM_AES_BLOCK,
		"a byte and a block");
static_assert(PLM_CID_SECRET == PLM_AES128_KEY, "the secret is the key");

int
plm_cid_key_init(struct plm_cid_key *key, const uint8_t secret[PLM_CID_SECRET])
{
	return plm_aes128_init(&key->aes, secret, false);
}

void
plm_cid_key_fini(struct plm_cid_key *key)
{
	plm_aes128_fini(&key->aes);
}

void
plm_cid_make(const struct plm_cid_key *key, uint8_t worker, uint32_t slot, uint32_t gen,
		uint16_t seq, uint8_t cid[PLM_CID_LEN])
{
	struct block b = { .slot = slot,
		.worker_gen = (uint32_t)worker << 24 | (gen & PLM_CID_GEN_MAX),
		.seq = seq };

	cid[0] = worker;
	plm_aes128_encrypt(&key->aes, (const uint8_t *)&b, cid + 1);
}

int
plm_cid_read(const struct plm_cid_key *key, const uint8_t cid[PLM_CID_LEN], struct plm_cid *out)
{
	struct block b;

	plm_aes128_decrypt(&key->aes, cid + 1, (uint8_t *)&b);
	if ((b.tag[0] | b.tag[1] | b.tag[2]) != 0 || b.worker_gen >> 24 != cid[0])
		return -ENOENT;
	*out = (struct plm_cid){ .slot = b.slot,
		.gen = b.worker_gen & PLM_CID_GEN_MAX,
		.seq = b.seq,
		.worker = cid[0] };
	return 0;
}

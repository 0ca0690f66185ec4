/* SPDX-License-Identifier: BSD-3-Clause */
/* Connection ids: what a peer makes up is none, and what reads can be made again to the same bytes.
 * The first byte of the input says whether the rest is an id, or what to make one of and how to
 * change it. */
#include <errno.h>

#include "fuzz.h"
#include "plm_cid.h"

static const uint8_t secret[PLM_CID_SECRET] = "0123456789abcde";

/* The worker, slot, generation and number of an id, and a change to it. */
struct recipe {
	uint32_t slot;
	uint32_t gen;
	uint16_t seq;
	uint8_t worker;
	uint8_t flip[PLM_CID_LEN];
};

static void
raw(const struct plm_cid_key *key, const uint8_t *buf)
{
	struct plm_cid cid, untouched;
	uint8_t again[PLM_CID_LEN];

	memset(&cid, 0x5a, sizeof(cid));
	memcpy(&untouched, &cid, sizeof(cid));
	if (plm_cid_read(key, buf, &cid) < 0) {
		FUZZ_CHECK(memcmp(&cid, &untouched, sizeof(cid)) == 0);
		return;
	}
	FUZZ_CHECK(cid.worker == buf[0] && cid.gen <= PLM_CID_GEN_MAX);
	plm_cid_make(key, cid.worker, cid.slot, cid.gen, cid.seq, again);
	FUZZ_CHECK(memcmp(again, buf, PLM_CID_LEN) == 0);
}

static void
changed(const struct plm_cid_key *key, const struct recipe *r)
{
	uint8_t buf[PLM_CID_LEN];
	struct plm_cid cid;
	uint8_t any = 0;

	plm_cid_make(key, r->worker, r->slot, r->gen, r->seq, buf);
	FUZZ_CHECK(plm_cid_read(key, buf, &cid) == 0);
	FUZZ_CHECK(cid.worker == r->worker && cid.slot == r->slot && cid.seq == r->seq);
	FUZZ_CHECK(cid.gen == (r->gen & PLM_CID_GEN_MAX));
	for (unsigned int i = 0; i < PLM_CID_LEN; i++) {
		buf[i] ^= r->flip[i];
		any |= r->flip[i];
	}
	/* A change would have to be one in 2^56. */
	FUZZ_CHECK(plm_cid_read(key, buf, &cid) == (any ? -ENOENT : 0));
	raw(key, buf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	struct plm_cid_key key;
	struct recipe r;

	if (len < 1)
		return 0;
	FUZZ_CHECK(plm_cid_key_init(&key, secret) == 0);
	if (buf[0] % 2 == 0 && len >= 1 + PLM_CID_LEN) {
		raw(&key, buf + 1);
	} else if (buf[0] % 2 == 1 && len >= 1 + sizeof(r)) {
		memcpy(&r, buf + 1, sizeof(r));
		changed(&key, &r);
	}
	plm_cid_key_fini(&key);
	return 0;
}

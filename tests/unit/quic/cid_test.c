/* SPDX-License-Identifier: BSD-3-Clause */
/* Connection ids: what was put in comes out, and nothing else is taken for one. */
#include <errno.h>

#include "plm_cid.h"
#include "test_eal.h"

static const uint8_t secret[PLM_CID_SECRET] = "sixteen bytes...";

static int
setup(void **state)
{
	static struct plm_cid_key key;

	*state = &key;
	return plm_cid_key_init(&key, secret);
}

static const struct plm_cid cases[] = {
	{ .worker = 0, .slot = 0, .gen = 0, .seq = 0 },
	{ .worker = 1, .slot = 2, .gen = 3, .seq = 4 },
	{ .worker = 0xff, .slot = UINT32_MAX, .gen = PLM_CID_GEN_MAX, .seq = UINT16_MAX },
	{ .worker = 0x80, .slot = 0x01020304, .gen = 0x050607, .seq = 0x0809 },
};

static void
cid__says_what_was_put_in(void **state)
{
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		uint8_t cid[PLM_CID_LEN], again[PLM_CID_LEN];
		struct plm_cid got = { 0 };

		plm_cid_make(*state, cases[i].worker, cases[i].slot, cases[i].gen, cases[i].seq,
				cid);
		plm_cid_make(*state, cases[i].worker, cases[i].slot, cases[i].gen, cases[i].seq,
				again);
		assert_memory_equal(cid, again, sizeof(cid));
		assert_int_equal(cid[0], cases[i].worker);
		assert_int_equal(plm_cid_read(*state, cid, &got), 0);
		assert_int_equal(got.worker, cases[i].worker);
		assert_int_equal(got.slot, cases[i].slot);
		assert_int_equal(got.gen, cases[i].gen);
		assert_int_equal(got.seq, cases[i].seq);
	}
}

static void
cid__carries_24_bits_of_a_generation(void **state)
{
	uint8_t cid[PLM_CID_LEN], wrapped[PLM_CID_LEN];

	plm_cid_make(*state, 3, 9, PLM_CID_GEN_MAX + 6, 1, cid);
	plm_cid_make(*state, 3, 9, 5, 1, wrapped);
	assert_memory_equal(cid, wrapped, sizeof(cid));
}

static void
cid_read__refuses_any_bit_that_changed(void **state)
{
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct plm_cid got, untouched;
		uint8_t cid[PLM_CID_LEN];

		memset(&got, 0x5a, sizeof(got));
		memcpy(&untouched, &got, sizeof(got));
		plm_cid_make(*state, cases[i].worker, cases[i].slot, cases[i].gen, cases[i].seq,
				cid);
		for (unsigned int bit = 0; bit < 8 * PLM_CID_LEN; bit++) {
			cid[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_equal(plm_cid_read(*state, cid, &got), -ENOENT);
			cid[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		assert_memory_equal(&got, &untouched, sizeof(got));
		assert_int_equal(plm_cid_read(*state, cid, &got), 0);
	}
}

static void
cid_read__refuses_another_key(void **state)
{
	uint8_t other[PLM_CID_SECRET];

	for (unsigned int bit = 0; bit < 8 * PLM_CID_SECRET; bit++) {
		struct plm_cid_key key;
		uint8_t cid[PLM_CID_LEN];
		struct plm_cid got;

		memcpy(other, secret, sizeof(other));
		other[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(plm_cid_key_init(&key, other), 0);
		plm_cid_make(&key, 1, 2, 3, 4, cid);
		assert_int_equal(plm_cid_read(*state, cid, &got), -ENOENT);
		plm_cid_key_fini(&key);
	}
}

/* Of two ids of one connection, each bit behind the worker differs as often as not, and a byte is
 * the same once in 256 times: nobody can tell that they belong together. */
static void
cid__has_nothing_in_common_with_the_next(void **state)
{
	enum { NB = 4096, NB_BITS = 8 * PLM_AES_BLOCK };
	uint8_t prev[PLM_CID_LEN];
	unsigned int differ[NB_BITS] = { 0 };
	unsigned int nb_same = 0;

	plm_cid_make(*state, 7, 1000, 1, 0, prev);
	for (unsigned int seq = 1; seq <= NB; seq++) {
		uint8_t cid[PLM_CID_LEN];

		plm_cid_make(*state, 7, 1000, 1, (uint16_t)seq, cid);
		assert_int_equal(cid[0], prev[0]);
		assert_memory_not_equal(cid + 1, prev + 1, PLM_AES_BLOCK);
		for (unsigned int bit = 0; bit < NB_BITS; bit++)
			differ[bit] += (cid[1 + bit / 8] ^ prev[1 + bit / 8]) >> bit % 8 & 1;
		for (unsigned int i = 1; i < PLM_CID_LEN; i++)
			nb_same += cid[i] == prev[i];
		memcpy(prev, cid, sizeof(prev));
	}
	/* Within 5 standard deviations: 32 for a bit; 16 for 65 536 bytes. */
	for (unsigned int bit = 0; bit < NB_BITS; bit++)
		assert_in_range(differ[bit], NB / 2 - 5 * 32, NB / 2 + 5 * 32);
	assert_in_range(nb_same, NB * PLM_AES_BLOCK / 256 - 5 * 16,
			NB * PLM_AES_BLOCK / 256 + 5 * 16);
}

static void
cid_key_fini__erases(void **state)
{
	static const uint8_t zero[sizeof(struct plm_cid_key)];
	struct plm_cid_key key;

	memset(&key, 0, sizeof(key));
	assert_int_equal(plm_cid_key_init(&key, secret), 0);
	assert_memory_not_equal(&key, zero, sizeof(key));
	plm_cid_key_fini(&key);
	assert_memory_equal(&key, zero, sizeof(key));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(cid__says_what_was_put_in, setup),
		cmocka_unit_test_setup(cid__carries_24_bits_of_a_generation, setup),
		cmocka_unit_test_setup(cid_read__refuses_any_bit_that_changed, setup),
		cmocka_unit_test_setup(cid_read__refuses_another_key, setup),
		cmocka_unit_test_setup(cid__has_nothing_in_common_with_the_next, setup),
		cmocka_unit_test(cid_key_fini__erases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

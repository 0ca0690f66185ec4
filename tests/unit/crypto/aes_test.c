/* SPDX-License-Identifier: BSD-3-Clause */
/* AES-128 of one block: FIPS 197's example, and the CPU's instructions against OpenSSL. */
#include "plm_aes.h"
#include "test_eal.h"

static void
aes128__gives_the_answer_of_fips_197(void **state)
{
	static const uint8_t key[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	static const uint8_t plain[] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99,
		0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
	static const uint8_t cipher[] = { 0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30, 0xd8,
		0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a };

	for (unsigned int portable = 0; portable < 2; portable++) {
		uint8_t block[PLM_AES_BLOCK];
		struct plm_aes128 aes;

		assert_int_equal(plm_aes128_init(&aes, key, portable), 0);
		plm_aes128_encrypt(&aes, plain, block);
		assert_memory_equal(block, cipher, sizeof(block));
		plm_aes128_decrypt(&aes, block, block);
		assert_memory_equal(block, plain, sizeof(block));
	}
}

/* A chain: each answer is the next key and the next block. */
static void
aes128__is_the_same_with_and_without_instructions(void **state)
{
	uint8_t key[PLM_AES128_KEY] = { 1 };
	uint8_t block[PLM_AES_BLOCK] = { 2 };

	for (unsigned int i = 0; i < 10000; i++) {
		uint8_t a[PLM_AES_BLOCK], b[PLM_AES_BLOCK];
		struct plm_aes128 fast, portable;

		assert_int_equal(plm_aes128_init(&fast, key, false), 0);
		assert_int_equal(plm_aes128_init(&portable, key, true), 0);
		assert_true(portable.portable);
		plm_aes128_decrypt(&fast, block, a);
		plm_aes128_decrypt(&portable, block, b);
		assert_memory_equal(a, b, sizeof(a));
		memcpy(key, a, sizeof(key));
		plm_aes128_encrypt(&fast, block, a);
		plm_aes128_encrypt(&portable, block, b);
		assert_memory_equal(a, b, sizeof(a));
		memcpy(block, a, sizeof(block));
	}
}

static void
aes128_fini__erases(void **state)
{
	static const struct plm_aes128 zero;
	static const uint8_t key[PLM_AES128_KEY] = { 1 };
	struct plm_aes128 aes = { 0 };

	for (unsigned int portable = 0; portable < 2; portable++) {
		assert_int_equal(plm_aes128_init(&aes, key, portable), 0);
		assert_memory_not_equal(aes.enc, zero.enc, sizeof(zero.enc));
		plm_aes128_fini(&aes);
		assert_memory_equal(aes.enc, zero.enc, sizeof(zero.enc));
		assert_memory_equal(aes.dec, zero.dec, sizeof(zero.dec));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aes128__gives_the_answer_of_fips_197),
		cmocka_unit_test(aes128__is_the_same_with_and_without_instructions),
		cmocka_unit_test(aes128_fini__erases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

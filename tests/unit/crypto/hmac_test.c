/* SPDX-License-Identifier: BSD-3-Clause */
/* HMAC against RFC 2202 and RFC 4231; SHA-256 against FIPS 180; equality, erasure, randomness. */
#include "plm_crypto.h"
#include "test_eal.h"

static int
setup(void **state)
{
	*state = plm_hmac_create();
	return *state == NULL;
}

static int
teardown(void **state)
{
	plm_hmac_free(*state);
	return 0;
}

#define BYTES_20(b) b b b b b b b b b b b b b b b b b b b b
#define BYTES_80(b) BYTES_20(b) BYTES_20(b) BYTES_20(b) BYTES_20(b)

static const struct {
	const char *key;
	size_t key_len;
	const char *msg;
	const char *want;
} sha1_vectors[] = {
	{ BYTES_20("\x0b"), 20, "Hi There",
			"\xb6\x17\x31\x86\x55\x05\x72\x64\xe2\x8b\xc0\xb6\xfb\x37\x8c\x8e\xf1"
			"\x46\xbe\x00" },
	{ "Jefe", 4, "what do ya want for nothing?",
			"\xef\xfc\xdf\x6a\xe5\xeb\x2f\xa2\xd2\x74\x16\xd5\xf1\x84\xdf\x9c\x25"
			"\x9a\x7c\x79" },
	{ BYTES_80("\xaa"), 80, "Test Using Larger Than Block-Size Key - Hash Key First",
			"\xaa\x4a\xe5\xe1\x52\x72\xd0\x0e\x95\x70\x56\x37\xce\x8a\x3b\x55\xed"
			"\x40\x21\x12" },
	{ "", 0, "",
			"\xfb\xdb\x1d\x1b\x18\xaa\x6c\x08\x32\x4b\x7d\x64\xb7\x1f\xb7\x63\x70"
			"\x69\x0e\x1d" },
};

static void
hmac_sha1__matches_rfc_2202_however_it_is_cut(void **state)
{
	uint8_t out[PLM_SHA1_SIZE];

	for (size_t i = 0; i < RTE_DIM(sha1_vectors); i++) {
		const char *msg = sha1_vectors[i].msg;
		size_t len = strlen(msg);

		for (size_t cut = 0; cut <= len; cut++) {
			memset(out, 0, sizeof(out));
			assert_int_equal(plm_hmac_sha1(*state, sha1_vectors[i].key,
							 sha1_vectors[i].key_len, msg, cut,
							 msg + cut, len - cut, out),
					0);
			assert_memory_equal(out, sha1_vectors[i].want, sizeof(out));
		}
	}
}

static const struct {
	const char *key;
	size_t key_len;
	const char *msg;
	const char *want;
} sha256_vectors[] = {
	{ BYTES_20("\x0b"), 20, "Hi There",
			"\xb0\x34\x4c\x61\xd8\xdb\x38\x53\x5c\xa8\xaf\xce\xaf\x0b\xf1\x2b\x88"
			"\x1d\xc2\x00\xc9\x83\x3d\xa7\x26\xe9\x37\x6c\x2e\x32\xcf\xf7" },
	{ "Jefe", 4, "what do ya want for nothing?",
			"\x5b\xdc\xc1\x46\xbf\x60\x75\x4e\x6a\x04\x24\x26\x08\x95\x75\xc7\x5a"
			"\x00\x3f\x08\x9d\x27\x39\x83\x9d\xec\x58\xb9\x64\xec\x38\x43" },
};

static void
hmac_sha256__matches_rfc_4231(void **state)
{
	uint8_t out[PLM_SHA256_SIZE];

	for (size_t i = 0; i < RTE_DIM(sha256_vectors); i++) {
		assert_int_equal(plm_hmac_sha256(*state, sha256_vectors[i].key,
						 sha256_vectors[i].key_len, sha256_vectors[i].msg,
						 strlen(sha256_vectors[i].msg), out),
				0);
		assert_memory_equal(out, sha256_vectors[i].want, sizeof(out));
	}
}

static void
sha256__matches_fips_180(void **state)
{
	static const struct {
		const char *msg;
		const char *want;
	} vectors[] = {
		{ "",
				"\xe3\xb0\xc4\x42\x98\xfc\x1c\x14\x9a\xfb\xf4\xc8\x99\x6f\xb9\x24\x27"
				"\xae\x41\xe4\x64\x9b\x93\x4c\xa4\x95\x99\x1b\x78\x52\xb8\x55" },
		{ "abc",
				"\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23\xb0"
				"\x03\x61\xa3\x96\x17\x7a\x9c\xb4\x10\xff\x61\xf2\x00\x15\xad" },
	};
	uint8_t out[PLM_SHA256_SIZE];

	for (size_t i = 0; i < RTE_DIM(vectors); i++) {
		assert_int_equal(plm_sha256(vectors[i].msg, strlen(vectors[i].msg), out), 0);
		assert_memory_equal(out, vectors[i].want, sizeof(out));
	}
}

static void
hmac__keeps_no_key_from_before(void **state)
{
	uint8_t first[PLM_SHA1_SIZE], again[PLM_SHA1_SIZE], other[PLM_SHA1_SIZE];

	assert_int_equal(plm_hmac_sha1(*state, "a", 1, "m", 1, NULL, 0, first), 0);
	assert_int_equal(plm_hmac_sha1(*state, NULL, 0, "m", 1, NULL, 0, other), 0);
	assert_int_equal(plm_hmac_sha1(*state, "a", 1, "m", 1, NULL, 0, again), 0);
	assert_memory_equal(first, again, sizeof(first));
	assert_memory_not_equal(first, other, sizeof(first));
}

static void
equal__says_where_they_differ_to_nobody(void **state)
{
	assert_true(plm_crypto_equal("abc", "abc", 3));
	assert_false(plm_crypto_equal("abc", "abd", 3));
	assert_true(plm_crypto_equal("abc", "abd", 2));
	assert_true(plm_crypto_equal("", "", 0));
}

static void
erase__leaves_zeros(void **state)
{
	static const uint8_t zero[8];
	uint8_t secret[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	plm_crypto_erase(secret, sizeof(secret));
	assert_memory_equal(secret, zero, sizeof(zero));
}

static void
random__differs(void **state)
{
	uint8_t a[16] = { 0 }, b[16] = { 0 };

	plm_crypto_random(NULL, a, sizeof(a));
	plm_crypto_random(NULL, b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(hmac_sha1__matches_rfc_2202_however_it_is_cut,
				setup, teardown),
		cmocka_unit_test_setup_teardown(hmac_sha256__matches_rfc_4231, setup, teardown),
		cmocka_unit_test_setup_teardown(hmac__keeps_no_key_from_before, setup, teardown),
		cmocka_unit_test(sha256__matches_fips_180),
		cmocka_unit_test(equal__says_where_they_differ_to_nobody),
		cmocka_unit_test(erase__leaves_zeros),
		cmocka_unit_test(random__differs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

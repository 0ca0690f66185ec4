/* SPDX-License-Identifier: BSD-3-Clause */
/* SipHash-2-4 against the vectors of its reference: key 00 01 .. 0f, message 00 01 .. n - 1. */
#include "plm_base.h"
#include "test_eal.h"

static const struct {
	size_t len;
	uint64_t want;
} vectors[] = {
	{ 0, UINT64_C(0x726fdb47dd0e0e31) },
	{ 1, UINT64_C(0x74f839c593dc67fd) },
	{ 7, UINT64_C(0xab0200f58b01d137) },
	{ 8, UINT64_C(0x93f5f5799a932462) },
	{ 15, UINT64_C(0xa129ca6149be45e5) },
};

static void
siphash__matches_the_reference(void **state)
{
	uint8_t bytes[16];

	for (unsigned int i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	for (size_t i = 0; i < RTE_DIM(vectors); i++)
		assert_int_equal(plm_siphash(bytes, bytes, vectors[i].len), vectors[i].want);
}

static void
siphash__depends_on_the_key(void **state)
{
	static const uint8_t zero[16];
	static const uint8_t one[16] = { 1 };

	assert_int_not_equal(plm_siphash(zero, "room", 4), plm_siphash(one, "room", 4));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash__matches_the_reference),
		cmocka_unit_test(siphash__depends_on_the_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

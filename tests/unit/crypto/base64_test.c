/* SPDX-License-Identifier: BSD-3-Clause */
/* Base64 (RFC 4648) without padding: one text per byte string, and nothing else is taken. */
#include <errno.h>

#include "plm_crypto.h"
#include "test_eal.h"

static const struct {
	const char *bytes;
	const char *text;
} pairs[] = {
	{ "", "" },
	{ "f", "Zg" },
	{ "fo", "Zm8" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg" },
	{ "fooba", "Zm9vYmE" },
	{ "foobar", "Zm9vYmFy" },
	{ "\xff\xff\xfe", "///+" },
};

static void
base64__round_trips_the_rfc_vectors(void **state)
{
	for (size_t i = 0; i < RTE_DIM(pairs); i++) {
		size_t n = strlen(pairs[i].bytes);
		size_t t = strlen(pairs[i].text);
		char text[16];
		char bytes[16];

		assert_int_equal(plm_base64_encode(pairs[i].bytes, n, text, t + 1), t);
		assert_string_equal(text, pairs[i].text);
		assert_int_equal(plm_base64_decode(pairs[i].text, t, bytes, n), n);
		assert_memory_equal(bytes, pairs[i].bytes, n);
	}
}

static void
base64__says_when_there_is_no_room(void **state)
{
	char text[8] = "unused";
	char bytes[3] = "--";

	assert_int_equal(plm_base64_encode("foob", 4, text, 6), -ENOSPC);
	assert_string_equal(text, "unused");
	assert_int_equal(plm_base64_decode("Zm9v", 4, bytes, 2), -ENOSPC);
	assert_string_equal(bytes, "--");
}

static const char *const refused[] = {
	"Z", /* six bits are no byte */
	"Zm9vY",
	"Zg==", /* padding */
	"Zm8=",
	"Zh", /* non-canonical: unused bits set */
	"Zm9",
	"Zm 9",
	"Zm9v\n",
	"Zm-_", /* the URL alphabet */
	"Zm9\xc3",
};

static void
base64_decode__refuses_what_it_would_not_write(void **state)
{
	char bytes[8] = "unused";

	for (size_t i = 0; i < RTE_DIM(refused); i++)
		assert_int_equal(plm_base64_decode(refused[i], strlen(refused[i]), bytes,
						 sizeof(bytes)),
				-EINVAL);
	assert_string_equal(bytes, "unused");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64__round_trips_the_rfc_vectors),
		cmocka_unit_test(base64__says_when_there_is_no_room),
		cmocka_unit_test(base64_decode__refuses_what_it_would_not_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

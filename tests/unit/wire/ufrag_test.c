/* SPDX-License-Identifier: BSD-3-Clause */
/* The user name of a credential: its form, and that one name has one spelling. */
#include <errno.h>

#include "plm_crypto.h"
#include "plm_wire.h"
#include "test_eal.h"

#define NAME_40 "0123456789012345678901234567890123456789"

static const struct {
	const char *text; /* before base64 */
	int want;
} cases[] = {
	{ "1:1893456000:room:alice:b", 0 },
	{ "1:0:r:a:p", 0 },
	{ "1:999999999999999999:A.b_c-9:x:s", 0 },
	{ "1:1893456000:room:" NAME_40 ":b", 0 },
	{ "1:1893456000:" NAME_40 ":" NAME_40 ":b", -EINVAL }, /* 112 characters in base64 */
	{ "", -EINVAL },
	{ "1", -EINVAL },
	{ "2:1893456000:room:alice:b", -EINVAL },
	{ "11:1893456000:room:alice:b", -EINVAL },
	{ "1::room:alice:b", -EINVAL },
	{ "1:-1:room:alice:b", -EINVAL },
	{ "1:1e9:room:alice:b", -EINVAL },
	{ "1:1000000000000000000:room:alice:b", -EINVAL },
	{ "1:1893456000::alice:b", -EINVAL },
	{ "1:1893456000:room::b", -EINVAL },
	{ "1:1893456000:ro om:alice:b", -EINVAL },
	{ "1:1893456000:room:ali/ce:b", -EINVAL },
	{ "1:1893456000:room:alice:x", 0 },
	{ "1:1893456000:room:alice:B", -EINVAL },
	{ "1:1893456000:room:alice:", -EINVAL },
	{ "1:1893456000:room:alice:bb", -EINVAL },
	{ "1:1893456000:room:alice:b:", -EINVAL },
	{ "1:1893456000:room:alice", -EINVAL },
};

static void
ufrag_parse__takes_the_form_alone(void **state)
{
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct plm_ufrag before, ufrag;
		char b64[192];
		int len = plm_base64_encode(cases[i].text, strlen(cases[i].text), b64, sizeof(b64));

		memset(&before, 0x5a, sizeof(before));
		ufrag = before;
		assert_true(len >= 0);
		if (plm_ufrag_parse(b64, (size_t)len, &ufrag) != cases[i].want)
			fail_msg("%s", cases[i].text);
		if (cases[i].want < 0)
			assert_memory_equal(&ufrag, &before, sizeof(before));
	}
}

static void
ufrag_parse__fills_all_fields(void **state)
{
	/* printf '1:1893456000:room:alice:b' | base64 | tr -d = */
	static const char text[] = "MToxODkzNDU2MDAwOnJvb206YWxpY2U6Yg";
	struct plm_ufrag ufrag;

	assert_int_equal(plm_ufrag_parse(text, strlen(text), &ufrag), 0);
	assert_int_equal(ufrag.expiry_s, 1893456000);
	assert_string_equal(ufrag.room, "room");
	assert_string_equal(ufrag.participant, "alice");
	assert_int_equal(ufrag.role, 'b');
}

static const char *const misspelt[] = {
	"MToxODkzNDU2MDAwOnJvb206YWxpY2U6Yg==", /* padding */
	"MToxODkzNDU2MDAwOnJvb206YWxpY2U6Yh",   /* unused bits set */
	"MToxODkzNDU2MDAwOnJvb206YWxpY2U6Y",    /* cut within a byte */
	"MToxODkzNDU2MDAwOnJvb206YWxpY2U6Yg\n",
	"MToxODkzNDU2MDAwOnJvb206YWxpY2U6Yg-_",
};

static void
ufrag_parse__refuses_other_spellings(void **state)
{
	struct plm_ufrag ufrag;

	for (size_t i = 0; i < RTE_DIM(misspelt); i++)
		assert_int_equal(plm_ufrag_parse(misspelt[i], strlen(misspelt[i]), &ufrag),
				-EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ufrag_parse__takes_the_form_alone),
		cmocka_unit_test(ufrag_parse__fills_all_fields),
		cmocka_unit_test(ufrag_parse__refuses_other_spellings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Identities from seeds, fingerprints and their text, hashed room names. */
#include <errno.h>

#include "plm_wzp.h"
#include "test_eal.h"

/* The specification's A.1: each seed is one byte 32 times. */
static const struct {
	uint8_t seed;
	const char *secret, *pub, *fingerprint;
} identities[] = {
	{ 0x2a, "22918c83ff58f09b4b0539d6fddb7ca22fad958d7a0e64e194179032ffd336a6",
			"d335301856dc5f763fb71fbec9728840d3feb078855e184dce5b0769fcda04bc",
			"9983:c2ce:87f9:61b7:7931:d7c1:fd7f:864c" },
	{ 0xaa, "2bc5081e06540a3ab233404c5d4298a7fab4a892bac9b9efeee1dff33a817679",
			"faf4b680b032384cd5ae074209bda89a0c9504591bf7e5bc57d2b546ff8db11d",
			"0258:ab5d:7c27:9b61:3b75:a4e3:7ce7:1bf9" },
	{ 0xbb, "b64d3f815a4e7fe8fbc99661ccb0fd38f24c8a3e24c82d754d4e9e4be645f619",
			"7b2cef30da34599644df0b9b52d43efc17cfdc7e2176973d16e67a99902b2d44",
			"5daf:cd48:13fb:bc41:a1e9:9a27:2ebe:6d66" },
};

static void
hex(const uint8_t *bytes, size_t len, char *text)
{
	for (size_t i = 0; i < len; i++)
		snprintf(&text[2 * i], 3, "%02x", bytes[i]);
}

static void
identity_derive__is_the_specifications(void **state)
{
	for (size_t i = 0; i < RTE_DIM(identities); i++) {
		uint8_t seed[PLM_WZP_KEY], fp[PLM_WZP_FINGERPRINT];
		struct plm_wzp_identity id;
		char text[65];

		memset(seed, identities[i].seed, sizeof(seed));
		assert_int_equal(plm_wzp_identity_derive(seed, &id), 0);
		hex(id.secret, sizeof(id.secret), text);
		assert_string_equal(text, identities[i].secret);
		hex(id.pub, sizeof(id.pub), text);
		assert_string_equal(text, identities[i].pub);
		assert_string_equal(id.text, identities[i].fingerprint);
		assert_int_equal(plm_wzp_fingerprint_read(id.text, strlen(id.text), fp), 0);
		assert_memory_equal(fp, id.fingerprint, sizeof(fp));
	}
}

static const char *const no_fingerprints[] = {
	"",
	"9983:c2ce:87f9:61b7:7931:d7c1:fd7f:864",
	"9983:c2ce:87f9:61b7:7931:d7c1:fd7f:864c0",
	"9983:C2CE:87f9:61b7:7931:d7c1:fd7f:864c",
	"9983:c2ce:87f9:61b7:7931:d7c1:fd7f-864c",
	"9983:c2ce:87f9:61b7:7931:d7c1:fd7f:86 c",
	"9983c:2ce:87f9:61b7:7931:d7c1:fd7f:864c",
	"9983:c2ce:87f9:61b7:7931:d7c1:fd7f::64c",
	"9983:c2ce:87f9:61b7:7931:d7c1:fd7f:864g",
};

static void
fingerprint_read__takes_one_form_only(void **state)
{
	uint8_t fp[PLM_WZP_FINGERPRINT], before[PLM_WZP_FINGERPRINT];

	memset(before, 0x5a, sizeof(before));
	memcpy(fp, before, sizeof(fp));
	for (size_t i = 0; i < RTE_DIM(no_fingerprints); i++)
		assert_int_equal(plm_wzp_fingerprint_read(no_fingerprints[i],
						 strlen(no_fingerprints[i]), fp),
				-EINVAL);
	assert_memory_equal(fp, before, sizeof(fp));
}

/* The specification's A.4. */
static const struct {
	const char *room, *hash;
} rooms[] = {
	{ "general", "a47b63f7d5b511ba5bc4089a74446906" },
	{ "android", "3f8466a8c694c38ccbe4ff7479015ae0" },
	{ "podcast", "6502ba5e786315a68a59961f5cb766ed" },
	{ "test-room", "6304eb8dfdf8fc6d19067184745920e8" },
	{ "my-group", "46de10172c0bd3222eea8f521ac04d59" },
};

static void
room_hash__is_the_web_bridges(void **state)
{
	for (size_t i = 0; i < RTE_DIM(rooms); i++) {
		char text[33];

		assert_int_equal(plm_wzp_room_hash(rooms[i].room, text), 0);
		assert_string_equal(text, rooms[i].hash);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identity_derive__is_the_specifications),
		cmocka_unit_test(fingerprint_read__takes_one_form_only),
		cmocka_unit_test(room_hash__is_the_web_bridges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

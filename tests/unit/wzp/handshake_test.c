/* SPDX-License-Identifier: BSD-3-Clause */
/* Offer and answer: the specification's vectors, what is signed, and what is refused. */
#include <errno.h>
#include <stdlib.h>

#include "plm_crypto.h"
#include "plm_wzp.h"
#include "test_eal.h"

/* A.2: client with seed 32 x aa and ephemeral secret 32 x 11, one profile; relay with bb and 22. */
static const char offer_json[] =
		"{\"CallOffer\":{\"identity_pub\":[250,244,182,128,176,50,56,76,213,174,7,66,9,18"
		"9,168,154,12,149,4,89,27,247,229,188,87,210,181,70,255,141,177,29],\"ephemera"
		"l_pub\":[123,78,144,155,190,127,254,68,196,101,162,32,3,125,96,142,227,88,151"
		",211,30,249,114,240,127,116,137,44,176,247,63,19],\"signature\":[247,99,32,131"
		",187,145,239,41,101,104,133,165,115,245,163,132,66,36,78,44,210,102,117,104,"
		"151,229,38,137,18,52,199,22,203,96,211,230,252,170,68,35,15,36,110,56,102,72"
		",3,82,66,224,189,69,0,193,9,166,91,193,199,80,69,254,160,14],\"supported_prof"
		"iles\":[{\"codec\":\"Opus24k\",\"fec_ratio\":0.2,\"frame_duration_ms\":20,\"frames_per"
		"_block\":5}],\"alias\":null}}";
static const char answer_json[] =
		"{\"CallAnswer\":{\"identity_pub\":[123,44,239,48,218,52,89,150,68,223,11,155,82,"
		"212,62,252,23,207,220,126,33,118,151,61,22,230,122,153,144,43,45,68],\"epheme"
		"ral_pub\":[15,170,104,78,210,136,103,185,127,74,106,45,238,93,248,206,151,78,"
		"118,183,1,142,63,34,161,196,207,38,120,87,15,32],\"signature\":[120,185,201,45"
		",80,65,170,175,175,196,88,64,147,7,112,57,164,203,116,200,41,19,41,156,107,1"
		"51,111,118,21,34,241,50,0,58,234,223,67,107,228,215,182,144,45,185,25,228,22"
		"1,171,102,41,53,132,15,12,46,67,193,140,164,8,225,31,117,13],\"chosen_profile"
		"\":{\"codec\":\"Opus24k\",\"fec_ratio\":0.2,\"frame_duration_ms\":20,\"frames_per_bloc"
		"k\":5}}}";

static void
fill(void *ctx, void *buf, size_t len)
{
	memset(buf, *(const uint8_t *)ctx, len);
}

struct fixture {
	struct plm_wzp_identity client, relay;
	uint8_t byte; /* what randomness yields */
	struct plm_rand rand;
};

static int
setup(void **state)
{
	struct fixture *fx = calloc(1, sizeof(*fx));
	uint8_t seed[PLM_WZP_KEY];

	assert_non_null(fx);
	memset(seed, 0xaa, sizeof(seed));
	assert_int_equal(plm_wzp_identity_derive(seed, &fx->client), 0);
	memset(seed, 0xbb, sizeof(seed));
	assert_int_equal(plm_wzp_identity_derive(seed, &fx->relay), 0);
	fx->byte = 0x11;
	fx->rand = (struct plm_rand){ fill, &fx->byte };
	*state = fx;
	return 0;
}

static int
teardown(void **state)
{
	free(*state);
	return 0;
}

static void
frame_is(const struct plm_wzp_signal *signal, const char *json)
{
	size_t len = strlen(json);
	const uint8_t prefix[] = { 0, 0, (uint8_t)(len >> 8), (uint8_t)len };
	char buf[2048];

	assert_int_equal(plm_wzp_encode(signal, buf, sizeof(buf)), len + 4);
	assert_memory_equal(buf, prefix, sizeof(prefix));
	buf[4 + len] = '\0';
	assert_string_equal(buf + 4, json);
}

static void
offer__is_the_specifications_vector(void **state)
{
	struct fixture *fx = *state;
	struct plm_wzp_signal offer, read;

	assert_int_equal(plm_wzp_offer_make(&fx->client, &fx->rand, NULL, &offer), 0);
	assert_int_equal(offer.call_offer.profiles.nb, PLM_WZP_PRESETS);
	offer.call_offer.profiles.list[0] = plm_wzp_profiles[PLM_WZP_GOOD];
	offer.call_offer.profiles.nb = 1;
	frame_is(&offer, offer_json);
	assert_int_equal(strlen(offer_json), 634);
	assert_int_equal(plm_wzp_decode(offer_json, strlen(offer_json), &read), 0);
	assert_int_equal(plm_wzp_offer_verify(&read), 0);
	frame_is(&read, offer_json);
}

static void
answer__is_the_specifications_vector(void **state)
{
	struct fixture *fx = *state;
	struct plm_wzp_signal answer, read;

	fx->byte = 0x22;
	assert_int_equal(plm_wzp_answer_make(&fx->relay, &fx->rand, &answer), 0);
	frame_is(&answer, answer_json);
	assert_int_equal(strlen(answer_json), 615);
	assert_int_equal(plm_wzp_decode(answer_json, strlen(answer_json), &read), 0);
	assert_int_equal(plm_wzp_answer_verify(&read), 0);
	frame_is(&read, answer_json);
}

static void
offer_make__lists_all_presets_in_order(void **state)
{
	struct fixture *fx = *state;
	struct plm_wzp_signal offer;
	char buf[2048];
	int len;

	assert_int_equal(plm_wzp_offer_make(&fx->client, &fx->rand, "Alice", &offer), 0);
	len = plm_wzp_encode(&offer, buf, sizeof(buf) - 1);
	assert_true(len > 0);
	buf[len] = '\0';
	assert_non_null(strstr(buf + PLM_WZP_LENGTH,
			"\"supported_profiles\":["
			"{\"codec\":\"Opus64k\",\"fec_ratio\":0.1,\"frame_duration_ms\":20,"
			"\"frames_per_block\":5},"
			"{\"codec\":\"Opus48k\",\"fec_ratio\":0.1,\"frame_duration_ms\":20,"
			"\"frames_per_block\":5},"
			"{\"codec\":\"Opus32k\",\"fec_ratio\":0.1,\"frame_duration_ms\":20,"
			"\"frames_per_block\":5},"
			"{\"codec\":\"Opus24k\",\"fec_ratio\":0.2,\"frame_duration_ms\":20,"
			"\"frames_per_block\":5},"
			"{\"codec\":\"Opus6k\",\"fec_ratio\":0.5,\"frame_duration_ms\":40,"
			"\"frames_per_block\":10},"
			"{\"codec\":\"Codec2_1200\",\"fec_ratio\":1.0,\"frame_duration_ms\":40,"
			"\"frames_per_block\":8}],\"alias\":\"Alice\"}}"));
}

static void
verify__refuses_what_was_not_signed_so(void **state)
{
	struct fixture *fx = *state;
	struct plm_wzp_signal offer, answer, bad;

	assert_int_equal(plm_wzp_offer_make(&fx->client, &fx->rand, NULL, &offer), 0);
	assert_int_equal(plm_wzp_offer_verify(&offer), 0);
	for (unsigned int bit = 0; bit < 8 * PLM_WZP_SIGNATURE; bit++) {
		bad = offer;
		bad.call_offer.signature.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(plm_wzp_offer_verify(&bad), -EKEYREJECTED);
	}
	for (unsigned int bit = 0; bit < 8 * PLM_WZP_KEY; bit++) {
		bad = offer;
		bad.call_offer.identity_pub[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(plm_wzp_offer_verify(&bad), -EKEYREJECTED);
		bad = offer;
		bad.call_offer.ephemeral_pub[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(plm_wzp_offer_verify(&bad), -EKEYREJECTED);
	}
	bad = offer;
	bad.call_offer.signature.len = 63;
	assert_int_equal(plm_wzp_offer_verify(&bad), -EKEYREJECTED);
	bad.call_offer.signature.len = 65;
	assert_int_equal(plm_wzp_offer_verify(&bad), -EKEYREJECTED);
	bad.call_offer.signature.len = 0;
	assert_int_equal(plm_wzp_offer_verify(&bad), -EKEYREJECTED);

	/* An answer's signature is not an offer's, although key and form are. */
	assert_int_equal(plm_wzp_answer_make(&fx->client, &fx->rand, &answer), 0);
	bad = offer;
	bad.call_offer.signature = answer.call_answer.signature;
	assert_int_equal(plm_wzp_offer_verify(&bad), -EKEYREJECTED);
	answer.call_answer.signature = offer.call_offer.signature;
	assert_int_equal(plm_wzp_answer_verify(&answer), -EKEYREJECTED);
}

/* Their y in little endian: 0, 1, both of order 8, -1, 0 + p, 1 + p. */
static const char *const low_order[] = {
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

/* {neutral element, 0} signs every eighth message, or all of them, in the name of such a key. */
static void
verify__refuses_keys_for_which_anybody_can_sign(void **state)
{
	struct fixture *fx = *state;
	struct plm_wzp_signal offer;

	assert_int_equal(plm_wzp_offer_make(&fx->client, &fx->rand, NULL, &offer), 0);
	memset(offer.call_offer.signature.bytes, 0, PLM_WZP_SIGNATURE);
	offer.call_offer.signature.bytes[0] = 1;
	for (size_t i = 0; i < 2 * RTE_DIM(low_order); i++) {
		for (unsigned int k = 0; k < PLM_WZP_KEY; k++) {
			unsigned int byte;

			sscanf(&low_order[i / 2][2 * k], "%2x", &byte);
			offer.call_offer.identity_pub[k] = (uint8_t)byte;
		}
		offer.call_offer.identity_pub[PLM_WZP_KEY - 1] |= i % 2 == 0 ? 0 : 0x80;
		for (unsigned int k = 0; k < 256; k++) {
			offer.call_offer.ephemeral_pub[0] = (uint8_t)k;
			assert_int_equal(plm_wzp_offer_verify(&offer), -EKEYREJECTED);
		}
	}
}

static void
offer_make__takes_no_alias_that_it_could_not_write(void **state)
{
	struct fixture *fx = *state;
	char alias[PLM_WZP_TEXT_MAX + 2];
	struct plm_wzp_signal offer;

	memset(alias, 'a', sizeof(alias));
	alias[PLM_WZP_TEXT_MAX + 1] = '\0';
	assert_int_equal(plm_wzp_offer_make(&fx->client, &fx->rand, alias, &offer), -EINVAL);
	alias[PLM_WZP_TEXT_MAX] = '\0';
	assert_int_equal(plm_wzp_offer_make(&fx->client, &fx->rand, alias, &offer), 0);
	assert_string_equal(offer.call_offer.alias.text, alias);
	assert_int_equal(plm_wzp_offer_make(&fx->client, &fx->rand, "\xff", &offer), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offer__is_the_specifications_vector),
		cmocka_unit_test(answer__is_the_specifications_vector),
		cmocka_unit_test(offer_make__lists_all_presets_in_order),
		cmocka_unit_test(offer_make__takes_no_alias_that_it_could_not_write),
		cmocka_unit_test(verify__refuses_what_was_not_signed_so),
		cmocka_unit_test(verify__refuses_keys_for_which_anybody_can_sign),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

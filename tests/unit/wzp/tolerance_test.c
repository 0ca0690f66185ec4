/* SPDX-License-Identifier: BSD-3-Clause */
/* What is taken and what is not: the specification's §2.2, and what comes from who means no good. */
#include <errno.h>
#include <stdlib.h>

#include "plm_wzp.h"
#include "test_eal.h"

#define KEY                                                                                        \
	"[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,255]"
/* In front of the 32nd byte of a key, and behind it. */
#define KEY_31               "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30"
#define DIRECTIVE(profile)   "{\"QualityDirective\":{\"recommended_profile\":" profile "}}"
#define REKEY(key)           "{\"Rekey\":{\"new_ephemeral_pub\":" key ",\"signature\":[]}}"
#define RATIO(ratio)         "[\"Opus6k\"," ratio ",40,10]"
#define UPDATE(participants) "{\"RoomUpdate\":{\"count\":1,\"participants\":" participants "}}"

static const struct {
	const char *name;
	const char *json;
	int want;
} rows[] = {
	{ "unknown fields", "{\"Ping\":{\"a\":1,\"timestamp_ms\":5,\"b\":{\"c\":[null,true]}}}",
			0 },
	{ "white space", " \t\r\n{ \"Ping\" :\n{ \"timestamp_ms\"\t: 5 } } \r\n", 0 },
	{ "other white space", "\v{\"Ping\":{\"timestamp_ms\":5}}", -EBADMSG },
	{ "fields in another order", "{\"RouteQuery\":{\"ttl\":1,\"fingerprint\":\"x\"}}", 0 },
	{ "an optional field missing", "{\"Hangup\":{\"reason\":\"Normal\"}}", 0 },
	{ "an optional field of null", "{\"Hangup\":{\"reason\":\"Normal\",\"call_id\":null}}", 0 },
	{ "an optional field without a default missing",
			"{\"Transfer\":{\"target_fingerprint\":\"x\"}}", 0 },
	{ "fields with a default missing", "{\"LossRecoveryUpdate\":{}}", 0 },
	{ "a field with a default that is null",
			"{\"LossRecoveryUpdate\":{\"frames_decoded\":null}}", -EBADMSG },
	{ "a mandatory field missing", "{\"Ping\":{}}", -EBADMSG },
	{ "a field twice", "{\"Ping\":{\"timestamp_ms\":5,\"timestamp_ms\":5}}", -EBADMSG },
	{ "an unknown field twice", "{\"Ping\":{\"a\":1,\"timestamp_ms\":5,\"a\":1}}", -EBADMSG },
	{ "an unknown variant", "{\"Dance\":{}}", -ENOTSUP },
	{ "an unknown variant alone", "\"Dance\"", -ENOTSUP },
	{ "a variant in lower case", "{\"ping\":{\"timestamp_ms\":5}}", -ENOTSUP },
	{ "a variant and more", "{\"Pingg\":{\"timestamp_ms\":5}}", -ENOTSUP },
	{ "an unknown variant within another",
			"{\"FederatedSignalForward\":{\"inner\":\"Dance\",\"origin_relay_fp\":\"x\"}}",
			-ENOTSUP },
	{ "null for a unit variant", "{\"Hold\":null}", 0 },
	{ "an object for a unit variant", "{\"Hold\":{}}", -EBADMSG },
	{ "a struct variant alone", "\"Ping\"", -EBADMSG },
	{ "null for a struct variant", "{\"Ping\":null}", -EBADMSG },
	{ "fields in an array", "{\"Ping\":[5]}", 0 },
	{ "one too many in an array", "{\"Ping\":[5,6]}", -EBADMSG },
	{ "one missing in an array", "{\"Ping\":[]}", -EBADMSG },
	{ "one with a default missing in an array", "{\"Hangup\":[\"Normal\"]}", 0 },
	{ "one without a default missing in an array", "{\"Transfer\":[\"x\"]}", -EBADMSG },
	{ "null in an array", "{\"Hangup\":[\"Normal\",null]}", 0 },
	{ "a profile in an array", DIRECTIVE(RATIO("0.5")), 0 },
	{ "a participant in an array", UPDATE("[[\"f\",\"a\",\"l\"]]"), 0 },
	{ "a participant in an array, its label missing", UPDATE("[[\"f\",\"a\"]]"), 0 },
	{ "a participant in an array, its alias missing", UPDATE("[[\"f\"]]"), -EBADMSG },
	{ "a participant with its fingerprint alone", UPDATE("[{\"fingerprint\":\"f\"}]"), 0 },
	{ "a name of a list as an object", "{\"Hangup\":{\"reason\":{\"Busy\":null}}}", 0 },
	{ "a name of a list as an object that holds something",
			"{\"Hangup\":{\"reason\":{\"Busy\":0}}}", -EBADMSG },
	{ "a name of no list", "{\"Hangup\":{\"reason\":\"Tired\"}}", -EBADMSG },
	{ "an unknown codec", DIRECTIVE("[\"Opus96k\",0.5,40,10]"), -EBADMSG },
	{ "1.0 for an unsigned integer", "{\"Ping\":{\"timestamp_ms\":1.0}}", -EBADMSG },
	{ "1e2 for an unsigned integer", "{\"Ping\":{\"timestamp_ms\":1e2}}", -EBADMSG },
	{ "a negative unsigned integer", "{\"Ping\":{\"timestamp_ms\":-1}}", -EBADMSG },
	{ "a string for an unsigned integer", "{\"Ping\":{\"timestamp_ms\":\"5\"}}", -EBADMSG },
	{ "the largest timestamp", "{\"Ping\":{\"timestamp_ms\":9223372036854775807}}", 0 },
	{ "a timestamp beyond", "{\"Ping\":{\"timestamp_ms\":9223372036854775808}}", -EBADMSG },
	{ "a number as long as it likes",
			"{\"Ping\":{\"timestamp_ms\":5,\"x\":1000000000000000000000000}}",
			-EBADMSG },
	{ "an exponent as large as it likes", "{\"Ping\":{\"timestamp_ms\":5,\"x\":1e999999}}",
			-EBADMSG },
	{ "255 for a byte", "{\"RouteQuery\":{\"fingerprint\":\"x\",\"ttl\":255}}", 0 },
	{ "256 for a byte", "{\"RouteQuery\":{\"fingerprint\":\"x\",\"ttl\":256}}", -EBADMSG },
	{ "2^32 - 1 for a count", "{\"RoomUpdate\":{\"count\":4294967295,\"participants\":[]}}",
			0 },
	{ "2^32 for a count", "{\"RoomUpdate\":{\"count\":4294967296,\"participants\":[]}}",
			-EBADMSG },
	{ "an integer for a float", DIRECTIVE(RATIO("1")), 0 },
	{ "a negative float", DIRECTIVE(RATIO("-0.25")), 0 },
	{ "a float beyond 32 bits", DIRECTIVE(RATIO("1e39")), -EBADMSG },
	{ "a string for a float", DIRECTIVE(RATIO("\"1\"")), -EBADMSG },
	{ "a key", REKEY(KEY), 0 },
	{ "a key a byte short", REKEY("[" KEY_31 "]"), -EBADMSG },
	{ "a key a byte long", REKEY("[" KEY_31 ",0,0]"), -EBADMSG },
	{ "a key with 256 in it", REKEY("[" KEY_31 ",256]"), -EBADMSG },
	{ "a key with null in it", REKEY("[" KEY_31 ",null]"), -EBADMSG },
	{ "a key as text", REKEY("\"0123456789abcdef0123456789abcdef\""), -EBADMSG },
	{ "bytes behind", "{\"Ping\":{\"timestamp_ms\":5}}x", -EBADMSG },
	{ "another value behind", "\"Hold\" \"Hold\"", -EBADMSG },
	{ "two variants", "{\"Hold\":null,\"Mute\":null}", -EBADMSG },
	{ "no variant", "{}", -EBADMSG },
	{ "an array", "[\"Hold\"]", -EBADMSG },
	{ "a number", "5", -EBADMSG },
	{ "null", "null", -EBADMSG },
	{ "nothing", "", -EBADMSG },
	{ "only white space", "  ", -EBADMSG },
	{ "a byte order mark", "\xef\xbb\xbf\"Hold\"", -EBADMSG },
	{ "a comment", "\"Hold\"//", -EBADMSG },
	{ "a comma behind", "{\"Ping\":{\"timestamp_ms\":5,}}", -EBADMSG },
	{ "single quotes", "'Hold'", -EBADMSG },
	{ "a leading zero", "{\"Ping\":{\"timestamp_ms\":05}}", -EBADMSG },
	{ "a plus", "{\"Ping\":{\"timestamp_ms\":+5}}", -EBADMSG },
	{ "not a number", DIRECTIVE(RATIO("NaN")), -EBADMSG },
	{ "an escaped name", "{\"P\\u0069ng\":{\"timestamp_\\u006ds\":5}}", 0 },
	{ "all escapes", "{\"IceCandidate\":{\"candidate\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"}}",
			0 },
	{ "an unknown escape", "{\"IceCandidate\":{\"candidate\":\"\\x41\"}}", -EBADMSG },
	{ "a control character", "{\"IceCandidate\":{\"candidate\":\"\n\"}}", -EBADMSG },
	{ "a surrogate pair", "{\"IceCandidate\":{\"candidate\":\"\\ud834\\udd1e\"}}", 0 },
	{ "a high surrogate alone", "{\"IceCandidate\":{\"candidate\":\"\\ud834\"}}", -EBADMSG },
	{ "a low surrogate alone", "{\"IceCandidate\":{\"candidate\":\"\\udd1e\"}}", -EBADMSG },
	{ "a surrogate alone where nobody looks",
			"{\"Ping\":{\"timestamp_ms\":5,\"x\":\"\\ud834\"}}", -EBADMSG },
	{ "UTF-8", "{\"IceCandidate\":{\"candidate\":\"\xc3\xa9\xf0\x9d\x84\x9e\"}}", 0 },
	{ "no UTF-8", "{\"IceCandidate\":{\"candidate\":\"\xff\"}}", -EBADMSG },
	{ "UTF-8 cut", "{\"IceCandidate\":{\"candidate\":\"\xf0\x9d\x84\"}}", -EBADMSG },
	{ "UTF-8 longer than it need be", "{\"IceCandidate\":{\"candidate\":\"\xc0\xaf\"}}",
			-EBADMSG },
	{ "a surrogate in UTF-8", "{\"IceCandidate\":{\"candidate\":\"\xed\xa0\x80\"}}", -EBADMSG },
	{ "a character beyond the last", "{\"IceCandidate\":{\"candidate\":\"\xf4\x90\x80\x80\"}}",
			-EBADMSG },
	{ "no UTF-8 where nobody looks", "{\"Ping\":{\"timestamp_ms\":5,\"x\":\"\xff\"}}",
			-EBADMSG },
	{ "NUL in a text", "{\"IceCandidate\":{\"candidate\":\"a\\u0000b\"}}", 0 },
	{ "NUL in a token", "{\"AuthToken\":{\"token\":\"a\\u0000b\"}}", -EBADMSG },
	{ "NUL in a call id", "{\"Hangup\":{\"reason\":\"Normal\",\"call_id\":\"\\u0000\"}}",
			-EBADMSG },
	{ "NUL in a name", "{\"Hold\\u0000\":null}", -EBADMSG },
	{ "NUL in a name alone", "\"Hold\\u0000\"", -ENOTSUP },
};

static void
decode__is_as_tolerant_as_the_original(void **state)
{
	struct plm_wzp_signal before, signal;

	memset(&before, 0x5a, sizeof(before));
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		size_t len = strlen(rows[i].json);
		char *copy = malloc(len + 1);
		int ret;

		assert_non_null(copy);
		memcpy(copy, rows[i].json, len); /* without a NUL */
		memcpy(&signal, &before, sizeof(signal));
		ret = plm_wzp_decode(copy, len, &signal);
		if (ret != rows[i].want)
			fail_msg("%s: %d instead of %d", rows[i].name, ret, rows[i].want);
		if (ret < 0)
			assert_memory_equal(&signal, &before, sizeof(signal));
		free(copy);
	}
}

/* --- cut short ------------------------------------------------------------------------------ */

static void
decode__refuses_every_prefix(void **state)
{
	static const char json[] =
			"{\"CallOffer\":{\"identity_pub\":" KEY ",\"ephemeral_pub\":" KEY
			",\"signature\":[1],\"supported_profiles\":[[\"Opus6k\",0.5,40,10]],"
			"\"alias\":\"\xc3\xa9\\u00e9\"}}";
	struct plm_wzp_signal signal;

	for (size_t len = 0; len < sizeof(json) - 1; len++) {
		char *copy = malloc(len + 1);

		assert_non_null(copy);
		memcpy(copy, json, len);
		assert_int_equal(plm_wzp_decode(copy, len, &signal), -EBADMSG);
		free(copy);
	}
	assert_int_equal(plm_wzp_decode(json, sizeof(json) - 1, &signal), 0);
	assert_string_equal(signal.call_offer.alias.text, "\xc3\xa9\xc3\xa9");
}

/* --- limits --------------------------------------------------------------------------------- */

/* {"Hold":...}, which is refused whatever is within, with `nb` times `unit` inside. */
static size_t
repeat(char *buf, const char *head, const char *unit, size_t nb, const char *tail)
{
	size_t len = 0;

	len += strlen(strcpy(buf + len, head));
	for (; nb > 0; nb--)
		len += strlen(strcpy(buf + len, unit));
	return len + strlen(strcpy(buf + len, tail));
}

static char big[2 * PLM_WZP_FRAME_MAX];

static void
decode__has_limits(void **state)
{
	struct plm_wzp_signal signal;
	size_t len;

	/* Length: white space does count, and nothing beyond is looked at. */
	memset(big, ' ', sizeof(big));
	memcpy(big, "\"Hold\"", 6);
	assert_int_equal(plm_wzp_decode(big, PLM_WZP_SIGNAL_MAX, &signal), 0);
	assert_int_equal(plm_wzp_decode(big, PLM_WZP_SIGNAL_MAX + 1, &signal), -E2BIG);
	assert_int_equal(plm_wzp_decode(big, PLM_WZP_FRAME_MAX, &signal), -E2BIG);

	/* Depth: the signal's own two objects, then arrays. */
	len = repeat(big, "{\"Ping\":{\"timestamp_ms\":5,\"x\":", "[", PLM_WZP_DEPTH_MAX - 2, "");
	len += repeat(big + len, "", "]", PLM_WZP_DEPTH_MAX - 2, "}}");
	assert_int_equal(plm_wzp_decode(big, len, &signal), 0);
	len = repeat(big, "{\"Ping\":{\"timestamp_ms\":5,\"x\":", "[", PLM_WZP_DEPTH_MAX - 1, "");
	len += repeat(big + len, "", "]", PLM_WZP_DEPTH_MAX - 1, "}}");
	assert_int_equal(plm_wzp_decode(big, len, &signal), -EBADMSG);
	len = repeat(big, "", "[", PLM_WZP_SIGNAL_MAX, "");
	assert_int_equal(plm_wzp_decode(big, len, &signal), -EBADMSG);
	len = repeat(big, "", "{\"a\":", PLM_WZP_SIGNAL_MAX / 5, "");
	assert_int_equal(plm_wzp_decode(big, len, &signal), -EBADMSG);
	/* Signals within each other are no deeper than what they are written in. */
	len = repeat(big, "", "{\"FederatedSignalForward\":{\"inner\":", PLM_WZP_DEPTH_MAX / 2,
			"\"Hold\"");
	len += repeat(big + len, "", ",\"origin_relay_fp\":\"\"}}", PLM_WZP_DEPTH_MAX / 2, "");
	assert_int_equal(plm_wzp_decode(big, len, &signal), 0);

	/* Values; those in strings are none. */
	len = repeat(big, "{\"Ping\":{\"timestamp_ms\":5,\"x\":[1", ",1", PLM_WZP_VALUES_MAX - 5,
			"]}}");
	assert_int_equal(plm_wzp_decode(big, len, &signal), 0);
	len = repeat(big, "{\"Ping\":{\"timestamp_ms\":5,\"x\":[1", ",1", PLM_WZP_VALUES_MAX - 4,
			"]}}");
	assert_int_equal(plm_wzp_decode(big, len, &signal), -E2BIG);
	len = repeat(big, "{\"Ping\":{\"timestamp_ms\":5,\"x\":\"\\\"", ",[{", 5000, "\"}}");
	assert_int_equal(plm_wzp_decode(big, len, &signal), 0);

	/* Profiles, and the same where they are not kept. */
	len = repeat(big, "{\"CallOffer\":[" KEY "," KEY ",[],[[\"Opus6k\",0.5,40,10]",
			",[\"Opus6k\",0.5,40,10]", PLM_WZP_PROFILES_MAX - 1, "]]}");
	assert_int_equal(plm_wzp_decode(big, len, &signal), 0);
	assert_int_equal(signal.call_offer.profiles.nb, PLM_WZP_PROFILES_MAX);
	len = repeat(big, "{\"CallOffer\":[" KEY "," KEY ",[],[[\"Opus6k\",0.5,40,10]",
			",[\"Opus6k\",0.5,40,10]", PLM_WZP_PROFILES_MAX, "]]}");
	assert_int_equal(plm_wzp_decode(big, len, &signal), -E2BIG);

	/* A token, a call id. */
	len = repeat(big, "{\"AuthToken\":{\"token\":\"", "t", PLM_WZP_TOKEN_MAX, "\"}}");
	assert_int_equal(plm_wzp_decode(big, len, &signal), 0);
	assert_int_equal(strlen(signal.auth_token.token), PLM_WZP_TOKEN_MAX);
	len = repeat(big, "{\"AuthToken\":{\"token\":\"", "t", PLM_WZP_TOKEN_MAX + 1, "\"}}");
	assert_int_equal(plm_wzp_decode(big, len, &signal), -E2BIG);
	len = repeat(big, "{\"Hangup\":{\"reason\":\"Normal\",\"call_id\":\"", "c",
			PLM_WZP_TEXT_MAX, "\"}}");
	assert_int_equal(plm_wzp_decode(big, len, &signal), 0);
	assert_int_equal(strlen(signal.hangup.call_id.text), PLM_WZP_TEXT_MAX);
	len = repeat(big, "{\"Hangup\":{\"reason\":\"Normal\",\"call_id\":\"", "c",
			PLM_WZP_TEXT_MAX + 1, "\"}}");
	assert_int_equal(plm_wzp_decode(big, len, &signal), -E2BIG);
}

static const struct {
	const char *name;
	const char *head; /* of the alias */
	const char *unit;
	size_t nb;
	size_t want; /* bytes that are kept */
} aliases[] = {
	{ "none", "", "", 0, 0 },
	{ "as long as is kept", "", "a", PLM_WZP_TEXT_MAX, PLM_WZP_TEXT_MAX },
	{ "a byte longer", "", "a", PLM_WZP_TEXT_MAX + 1, PLM_WZP_TEXT_MAX },
	{ "much longer", "", "a", 15000, PLM_WZP_TEXT_MAX },
	{ "characters of two bytes", "", "\xc3\xa9", 40, 64 },
	{ "which straddle the end", "a", "\xc3\xa9", 40, 63 },
	{ "characters of four bytes that straddle it", "aa", "\xf0\x9d\x84\x9e", 40, 62 },
	{ "up to a NUL", "ab\\u0000", "c", 5, 2 },
};

static void
alias__is_cut_at_a_character(void **state)
{
	for (size_t i = 0; i < RTE_DIM(aliases); i++) {
		struct plm_wzp_signal signal;
		char text[PLM_WZP_TEXT_MAX + 8];
		size_t len = repeat(big, "{\"CallOffer\":[" KEY "," KEY ",[],[],\"", "", 0, "");
		int written;

		print_message("%s\n", aliases[i].name);
		len += repeat(big + len, aliases[i].head, aliases[i].unit, aliases[i].nb, "\"]}");
		assert_int_equal(plm_wzp_decode(big, len, &signal), 0);
		assert_true(signal.call_offer.alias.is_set);
		assert_int_equal(strlen(signal.call_offer.alias.text), aliases[i].want);
		/* What is left is a text again. */
		written = plm_wzp_encode(&signal, big, sizeof(big));
		assert_true(written > 0);
		memcpy(text, signal.call_offer.alias.text, aliases[i].want + 1);
		assert_int_equal(plm_wzp_decode(big + PLM_WZP_LENGTH,
						 (size_t)written - PLM_WZP_LENGTH, &signal),
				0);
		assert_string_equal(signal.call_offer.alias.text, text);
	}
}

static void
signature__of_any_length_is_read_and_none_but_64_verified(void **state)
{
	for (size_t nb = 0; nb < 800; nb += 7) {
		struct plm_wzp_signal signal;
		size_t len = repeat(big, "{\"CallOffer\":[" KEY "," KEY ",[0", ",1", nb, "],[]]}");

		assert_int_equal(plm_wzp_decode(big, len, &signal), 0);
		assert_int_equal(signal.call_offer.signature.len, nb + 1);
		assert_int_equal(plm_wzp_offer_verify(&signal), -EKEYREJECTED);
	}
}

/* --- lists of participants ------------------------------------------------------------------ */

struct list {
	unsigned int nb;
	struct {
		char fingerprint[64], alias[64], relay_label[64];
	} of[4];
};

static void
listed(void *ctx, const struct plm_wzp_participant *p)
{
	struct list *list = ctx;

	if (list->nb < RTE_DIM(list->of)) {
		snprintf(list->of[list->nb].fingerprint, 64, "%s", p->fingerprint);
		snprintf(list->of[list->nb].alias, 64, "%s", p->alias == NULL ? "-" : p->alias);
		snprintf(list->of[list->nb].relay_label, 64, "%s",
				p->relay_label == NULL ? "-" : p->relay_label);
	}
	list->nb++;
}

static void
room_update_read__tells_each_participant_in_order(void **state)
{
	static const char json[] =
			UPDATE("[{\"fingerprint\":\"a\",\"alias\":\"A\",\"relay_label\":null},"
			       "[\"b\",null,\"R\"],{\"alias\":\"\",\"fingerprint\":\"\"}]");
	static const char bad[] = UPDATE("[{\"fingerprint\":\"a\"},{\"alias\":\"b\"}]");
	struct list list = { 0 };
	uint32_t count = 77;

	assert_int_equal(plm_wzp_room_update_read(json, strlen(json), listed, &list, &count), 0);
	assert_int_equal(count, 1); /* as it says, not as it is */
	assert_int_equal(list.nb, 3);
	assert_string_equal(list.of[0].fingerprint, "a");
	assert_string_equal(list.of[0].alias, "A");
	assert_string_equal(list.of[0].relay_label, "-");
	assert_string_equal(list.of[1].fingerprint, "b");
	assert_string_equal(list.of[1].alias, "-");
	assert_string_equal(list.of[1].relay_label, "R");
	assert_string_equal(list.of[2].fingerprint, "");
	assert_string_equal(list.of[2].alias, "");
	/* Nothing of one that is wrong at its end. */
	list.nb = 0;
	count = 77;
	assert_int_equal(plm_wzp_room_update_read(bad, strlen(bad), listed, &list, &count),
			-EBADMSG);
	assert_int_equal(plm_wzp_room_update_read("\"Hold\"", 6, listed, &list, &count), -ENOMSG);
	assert_int_equal(list.nb, 0);
	assert_int_equal(count, 77);
}

static void
room_update_read__takes_a_megabyte(void **state)
{
	static const char unit[] = ",{\"fingerprint\":\"0258:ab5d:7c27:9b61:3b75:a4e3:7ce7:1bf9\","
				   "\"alias\":null,\"relay_label\":null}";
	const size_t nb = PLM_WZP_FRAME_MAX / (sizeof(unit) - 1) - 1;
	struct list list = { 0 };
	struct plm_wzp_signal signal;
	uint32_t count;
	size_t len = repeat(big, "{\"RoomUpdate\":{\"count\":1,\"participants\":[[\"\",null]", unit,
			nb, "]}}");

	assert_int_equal(plm_wzp_decode(big, len, &signal), -E2BIG);
	memset(big + len, ' ', PLM_WZP_FRAME_MAX + 1 - len);
	assert_int_equal(plm_wzp_room_update_read(big, PLM_WZP_FRAME_MAX, listed, &list, &count),
			0);
	assert_int_equal(list.nb, nb + 1);
	assert_int_equal(
			plm_wzp_room_update_read(big, PLM_WZP_FRAME_MAX + 1, listed, &list, &count),
			-E2BIG);
	/* The same of what is no list at all. */
	len = repeat(big, "", "[", PLM_WZP_FRAME_MAX, "");
	assert_int_equal(plm_wzp_room_update_read(big, len, listed, &list, &count), -EBADMSG);
	memset(big, '"', PLM_WZP_FRAME_MAX);
	assert_int_equal(plm_wzp_room_update_read(big, PLM_WZP_FRAME_MAX, listed, &list, &count),
			-EBADMSG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decode__is_as_tolerant_as_the_original),
		cmocka_unit_test(decode__refuses_every_prefix),
		cmocka_unit_test(decode__has_limits),
		cmocka_unit_test(alias__is_cut_at_a_character),
		cmocka_unit_test(signature__of_any_length_is_read_and_none_but_64_verified),
		cmocka_unit_test(room_update_read__tells_each_participant_in_order),
		cmocka_unit_test(room_update_read__takes_a_megabyte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* All 36 signals of the specification's §2.4: which fields there are, and which may be missing. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "plm_wzp.h"
#include "test_eal.h"

#define KEY                                                                                        \
	"[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,255]"
#define PROFILE                                                                                    \
	"{\"codec\":\"Opus6k\",\"fec_ratio\":0.5,\"frame_duration_ms\":40,\"frames_per_block\":10}"
#define PARTICIPANT "{\"fingerprint\":\"f\",\"alias\":null,\"relay_label\":null}"

/* `may_lack`: a null does, or nothing. `may_end_before`: so does an array that ends before it; a null
 * does, too, but for those with an exclamation mark. */
static const struct {
	enum plm_wzp_type type;
	const char *body; /* NULL: a name alone */
	const char *may_lack;
	const char *may_end_before;
} variants[] = {
	{ PLM_WZP_CALL_OFFER,
			"{\"identity_pub\":" KEY ",\"ephemeral_pub\":" KEY
			",\"signature\":[1,2],\"supported_profiles\":[" PROFILE
			"],\"alias\":\"a\"}",
			"", "alias" },
	{ PLM_WZP_CALL_ANSWER,
			"{\"identity_pub\":" KEY ",\"ephemeral_pub\":" KEY
			",\"signature\":[],\"chosen_profile\":" PROFILE "}",
			"", "" },
	{ PLM_WZP_ICE_CANDIDATE, "{\"candidate\":\"c\"}", "", "" },
	{ PLM_WZP_REKEY, "{\"new_ephemeral_pub\":" KEY ",\"signature\":[1]}", "", "" },
	{ PLM_WZP_QUALITY_UPDATE,
			"{\"report\":{\"loss_pct\":1,\"rtt_4ms\":2,\"jitter_ms\":3,"
			"\"bitrate_cap_kbps\":4},\"recommended_profile\":" PROFILE "}",
			"", "" },
	{ PLM_WZP_LOSS_RECOVERY_UPDATE,
			"{\"dred_reconstructions\":1,\"classical_plc_invocations\":2,"
			"\"frames_decoded\":3}",
			"", "!dred_reconstructions !classical_plc_invocations !frames_decoded" },
	{ PLM_WZP_PING, "{\"timestamp_ms\":1776000000000}", "", "" },
	{ PLM_WZP_PONG, "{\"timestamp_ms\":0}", "", "" },
	{ PLM_WZP_HANGUP, "{\"reason\":\"Busy\",\"call_id\":\"18a5\"}", "", "call_id" },
	{ PLM_WZP_AUTH_TOKEN, "{\"token\":\"abc\"}", "", "" },
	{ PLM_WZP_HOLD, NULL, "", "" },
	{ PLM_WZP_UNHOLD, NULL, "", "" },
	{ PLM_WZP_MUTE, NULL, "", "" },
	{ PLM_WZP_UNMUTE, NULL, "", "" },
	{ PLM_WZP_TRANSFER, "{\"target_fingerprint\":\"x\",\"relay_addr\":\"y\"}", "relay_addr",
			"" },
	{ PLM_WZP_TRANSFER_ACK, NULL, "", "" },
	{ PLM_WZP_PRESENCE_UPDATE,
			"{\"fingerprints\":[\"a\",\"b\"],\"relay_addr\":\"10.0.0.1:4433\"}", "",
			"" },
	{ PLM_WZP_ROUTE_QUERY, "{\"fingerprint\":\"f\",\"ttl\":3}", "", "" },
	{ PLM_WZP_ROUTE_RESPONSE, "{\"fingerprint\":\"f\",\"found\":true,\"relay_chain\":[\"r\"]}",
			"", "" },
	{ PLM_WZP_SESSION_FORWARD,
			"{\"session_id\":\"s\",\"target_fingerprint\":\"t\","
			"\"source_relay\":\"r\"}",
			"", "" },
	{ PLM_WZP_SESSION_FORWARD_ACK, "{\"session_id\":\"s\",\"room_name\":\"r\"}", "", "" },
	{ PLM_WZP_ROOM_UPDATE, "{\"count\":1,\"participants\":[" PARTICIPANT "]}", "", "" },
	{ PLM_WZP_FEDERATION_HELLO, "{\"tls_fingerprint\":\"89:05\"}", "", "" },
	{ PLM_WZP_GLOBAL_ROOM_ACTIVE, "{\"room\":\"general\",\"participants\":[" PARTICIPANT "]}",
			"", "!participants" },
	{ PLM_WZP_GLOBAL_ROOM_INACTIVE, "{\"room\":\"general\"}", "", "" },
	{ PLM_WZP_REGISTER_PRESENCE, "{\"identity_pub\":" KEY ",\"signature\":[],\"alias\":\"a\"}",
			"alias", "" },
	{ PLM_WZP_REGISTER_PRESENCE_ACK,
			"{\"success\":true,\"error\":\"e\",\"relay_build\":\"9377a90\"}", "error",
			"relay_build" },
	{ PLM_WZP_DIRECT_CALL_OFFER,
			"{\"caller_fingerprint\":\"a\",\"caller_alias\":\"b\","
			"\"target_fingerprint\":\"c\",\"call_id\":\"d\",\"identity_pub\":" KEY
			",\"ephemeral_pub\":" KEY
			",\"signature\":[],\"supported_profiles\":[" PROFILE
			"],\"caller_reflexive_addr\":\"e\",\"caller_local_addrs\":[\"f\"],"
			"\"caller_build_version\":\"g\"}",
			"caller_alias",
			"caller_reflexive_addr !caller_local_addrs caller_build_version" },
	{ PLM_WZP_DIRECT_CALL_ANSWER,
			"{\"call_id\":\"a\",\"accept_mode\":\"AcceptGeneric\",\"identity_pub\":" KEY
			",\"ephemeral_pub\":" KEY ",\"signature\":[1],\"chosen_profile\":" PROFILE
			",\"callee_reflexive_addr\":\"e\",\"callee_local_addrs\":[\"f\"],"
			"\"callee_build_version\":\"g\"}",
			"identity_pub ephemeral_pub signature chosen_profile",
			"callee_reflexive_addr !callee_local_addrs callee_build_version" },
	{ PLM_WZP_CALL_SETUP,
			"{\"call_id\":\"a\",\"room\":\"call-a\",\"relay_addr\":\"r\","
			"\"peer_direct_addr\":\"p\",\"peer_local_addrs\":[\"10.0.0.2:4433\"]}",
			"", "peer_direct_addr !peer_local_addrs" },
	{ PLM_WZP_CALL_RINGING, "{\"call_id\":\"a\"}", "", "" },
	{ PLM_WZP_REFLECT, NULL, "", "" },
	{ PLM_WZP_REFLECT_RESPONSE, "{\"observed_addr\":\"192.0.2.17:54321\"}", "", "" },
	{ PLM_WZP_MEDIA_PATH_REPORT,
			"{\"call_id\":\"a\",\"direct_ok\":true,\"race_winner\":\"Direct\"}", "",
			"!race_winner" },
	{ PLM_WZP_FEDERATED_SIGNAL_FORWARD,
			"{\"inner\":{\"CallRinging\":{\"call_id\":\"a\"}},"
			"\"origin_relay_fp\":\"o\"}",
			"", "" },
	{ PLM_WZP_QUALITY_DIRECTIVE, "{\"recommended_profile\":" PROFILE ",\"reason\":\"r\"}", "",
			"reason" },
};

/* Whether a field is in a list of words; with `mark`, the same word with an exclamation mark. */
static bool
listed(const char *list, const char *field, bool mark)
{
	char word[64];
	const char *at;

	snprintf(word, sizeof(word), "%s%s", mark ? "!" : "", field);
	for (at = strstr(list, word); at != NULL; at = strstr(at + 1, word)) {
		char before = at == list ? ' ' : at[-1];
		char behind = at[strlen(word)];

		if (before == ' ' && (behind == ' ' || behind == '\0'))
			return true;
	}
	return false;
}

static int
decode(const char *name, const json_t *body)
{
	struct plm_wzp_signal signal;
	json_t *json = json_pack("{sO}", name, body);
	char *text = json_dumps(json, JSON_COMPACT);
	int ret;

	assert_non_null(text);
	ret = plm_wzp_decode(text, strlen(text), &signal);
	if (ret == 0)
		assert_string_equal(plm_wzp_type_name(signal.type), name);
	json_decref(json);
	free(text);
	return ret;
}

static void
expect(int ret, int want, const char *name, const char *field, const char *what)
{
	if (ret != want)
		fail_msg("%s, %s %s: %d instead of %d", name, field, what, ret, want);
}

static void
variants__stand_in_the_specifications_order(void **state)
{
	for (size_t i = 0; i < RTE_DIM(variants); i++)
		assert_int_equal(variants[i].type, i);
	assert_int_equal(RTE_DIM(variants), PLM_WZP_TYPES);
}

static void
variants__of_a_name_alone_have_no_fields(void **state)
{
	for (size_t i = 0; i < RTE_DIM(variants); i++) {
		const char *name = plm_wzp_type_name(variants[i].type);
		bool is_unit = variants[i].body == NULL;
		struct plm_wzp_signal signal;
		json_t *null = json_null(), *object = json_object(), *array = json_array();
		char text[64];

		snprintf(text, sizeof(text), "\"%s\"", name);
		expect(plm_wzp_decode(text, strlen(text), &signal), is_unit ? 0 : -EBADMSG, name,
				"it", "alone");
		if (is_unit) {
			assert_int_equal(signal.type, variants[i].type);
			expect(decode(name, null), 0, name, "null", "inside");
			expect(decode(name, object), -EBADMSG, name, "{}", "inside");
			expect(decode(name, array), -EBADMSG, name, "[]", "inside");
		}
		json_decref(object);
		json_decref(array);
	}
}

static void
variants__with_fields_are_checked_completely(void **state)
{
	for (size_t i = 0; i < RTE_DIM(variants); i++) {
		const char *name = plm_wzp_type_name(variants[i].type);
		json_t *body, *array, *value;
		const char *field;

		if (variants[i].body == NULL)
			continue;
		body = json_loads(variants[i].body, 0, NULL);
		array = json_array();
		assert_non_null(body);
		expect(decode(name, body), 0, name, "all", "as it is");
		json_object_foreach(body, field, value)
		{
			const char *may_lack = variants[i].may_lack;
			const char *may_end = variants[i].may_end_before;
			bool null_ok = listed(may_lack, field, false) ||
					listed(may_end, field, false);
			json_t *copy = json_deep_copy(body);

			json_object_del(copy, field);
			expect(decode(name, copy),
					null_ok || listed(may_end, field, true) ? 0 : -EBADMSG,
					name, field, "missing");
			json_object_set_new(copy, field, json_null());
			expect(decode(name, copy), null_ok ? 0 : -EBADMSG, name, field, "null");
			/* No field is an object without members. */
			json_object_set_new(copy, field, json_object());
			expect(decode(name, copy), -EBADMSG, name, field, "of another type");
			json_object_set(copy, field, value);
			json_object_set_new(copy, "unknown", json_pack("{s[i]}", "x", 1));
			expect(decode(name, copy), 0, name, field, "beside an unknown one");
			json_decref(copy);
			/* The same in an array, which ends here: the others must have a default. */
			json_array_append(array, value);
			bool rest_ok = true, seen = false;
			const char *other;
			json_t *unused;

			json_object_foreach(body, other, unused)
			{
				if (seen && !listed(may_end, other, false) &&
						!listed(may_end, other, true))
					rest_ok = false;
				seen = seen || strcmp(other, field) == 0;
			}
			expect(decode(name, array), rest_ok ? 0 : -EBADMSG, name, field,
					"last in an array");
		}
		json_array_append_new(array, json_null());
		expect(decode(name, array), -EBADMSG, name, "an array", "with one too many");
		json_decref(array);
		json_decref(body);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(variants__stand_in_the_specifications_order),
		cmocka_unit_test(variants__of_a_name_alone_have_no_fields),
		cmocka_unit_test(variants__with_fields_are_checked_completely),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Signals: JSON in, JSON out, byte for byte. */
#include <errno.h>
#include <stdlib.h>

#include "plm_wzp.h"
#include "test_eal.h"

#define KEY                                                                                        \
	"[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,255]"
#define ZEROS "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]"
#define SIG                                                                                        \
	"[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,"  \
	"32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60,61,62,255]"

/* The specification's §2.6, with bytes for its ellipses. */
static const struct {
	enum plm_wzp_type type;
	bool is_written; /* by us, too: then byte for byte the same */
	const char *json;
} exact[] = {
	{ PLM_WZP_AUTH_TOKEN, true, "{\"AuthToken\":{\"token\":\"abc\"}}" },
	{ PLM_WZP_CALL_OFFER, true,
			"{\"CallOffer\":{\"identity_pub\":" KEY ",\"ephemeral_pub\":" KEY
			",\"signature\":" SIG
			",\"supported_profiles\":[{\"codec\":\"Opus64k\",\"fec_ratio\":0.1,"
			"\"frame_duration_ms\":20,"
			"\"frames_per_block\":5},{\"codec\":\"Opus48k\",\"fec_ratio\":0.1,"
			"\"frame_duration_ms\":20,"
			"\"frames_per_block\":5},{\"codec\":\"Opus32k\",\"fec_ratio\":0.1,"
			"\"frame_duration_ms\":20,"
			"\"frames_per_block\":5},{\"codec\":\"Opus24k\",\"fec_ratio\":0.2,"
			"\"frame_duration_ms\":20,"
			"\"frames_per_block\":5},{\"codec\":\"Opus6k\",\"fec_ratio\":0.5,"
			"\"frame_duration_ms\":40,"
			"\"frames_per_block\":10},{\"codec\":\"Codec2_1200\","
			"\"fec_ratio\":1.0,\"frame_duration_ms\":40,"
			"\"frames_per_block\":8}],\"alias\":null}}" },
	{ PLM_WZP_CALL_ANSWER, true,
			"{\"CallAnswer\":{\"identity_pub\":" KEY ",\"ephemeral_pub\":" KEY
			",\"signature\":" SIG
			",\"chosen_profile\":{\"codec\":\"Opus24k\",\"fec_ratio\":0.2,"
			"\"frame_duration_ms\":20,\"frames_per_block\":5}}}" },
	{ PLM_WZP_ROOM_UPDATE, false,
			"{\"RoomUpdate\":{\"count\":2,"
			"\"participants\":[{\"fingerprint\":\"9983:c2ce:87f9:61b7:7931:d7c1:fd7f:864c\","
			"\"alias\":\"Alice\","
			"\"relay_label\":null},{\"fingerprint\":\"0258:ab5d:7c27:9b61:3b75:a4e3:7ce7:1bf9\","
			"\"alias\":null,\"relay_label\":\"Relay B\"}]}}" },
	{ PLM_WZP_QUALITY_DIRECTIVE, true,
			""
			"{\"QualityDirective\":{\"recommended_profile\":{\"codec\":\"Opus6k\","
			"\"fec_ratio\":0.5,\"frame_duration_ms\":40,"
			"\"frames_per_block\":10},\"reason\":\"weakest link: Degraded\"}}" },
	{ PLM_WZP_HANGUP, true, "{\"Hangup\":{\"reason\":\"Normal\"}}" },
	{ PLM_WZP_HANGUP, true,
			"{\"Hangup\":{\"reason\":\"Normal\","
			"\"call_id\":\"18a5b1c2d3e4f506\"}}" },
	{ PLM_WZP_PING, true, "{\"Ping\":{\"timestamp_ms\":1776000000000}}" },
	{ PLM_WZP_PONG, true, "{\"Pong\":{\"timestamp_ms\":1776000000000}}" },
	{ PLM_WZP_REGISTER_PRESENCE, false,
			"{\"RegisterPresence\":{\"identity_pub\":" KEY
			",\"signature\":[],\"alias\":null}}" },
	{ PLM_WZP_REGISTER_PRESENCE_ACK, false,
			"{\"RegisterPresenceAck\":{\"success\":true,"
			"\"relay_build\":\"9377a90\"}}" },
	{ PLM_WZP_REGISTER_PRESENCE_ACK, false,
			"{\"RegisterPresenceAck\":{\"success\":false,\"error\":\"nope\"}}" },
	{ PLM_WZP_DIRECT_CALL_OFFER, false,
			"{\"DirectCallOffer\":{\"caller_fingerprint\":\"x\","
			"\"caller_alias\":null,\"target_fingerprint\":\"x\","
			"\"call_id\":\"18a5b1c2d3e4f506\",\"identity_pub\":" KEY
			",\"ephemeral_pub\":" ZEROS
			",\"signature\":[],\"supported_profiles\":[{\"codec\":\"Opus24k\","
			"\"fec_ratio\":0.2,\"frame_duration_ms\":20,"
			"\"frames_per_block\":5}]}}" },
	{ PLM_WZP_DIRECT_CALL_ANSWER, false,
			"{\"DirectCallAnswer\":{\"call_id\":\"18a5b1c2d3e4f506\","
			"\"accept_mode\":\"AcceptGeneric\",\"identity_pub\":" KEY
			",\"chosen_profile\":{\"codec\":\"Opus24k\",\"fec_ratio\":0.2,"
			"\"frame_duration_ms\":20,\"frames_per_block\":5}}}" },
	{ PLM_WZP_DIRECT_CALL_ANSWER, false,
			"{\"DirectCallAnswer\":{\"call_id\":\"18a5b1c2d3e4f506\","
			"\"accept_mode\":\"Reject\"}}" },
	{ PLM_WZP_CALL_RINGING, false, "{\"CallRinging\":{\"call_id\":\"18a5b1c2d3e4f506\"}}" },
	{ PLM_WZP_CALL_SETUP, false,
			"{\"CallSetup\":{\"call_id\":\"18a5b1c2d3e4f506\","
			"\"room\":\"call-18a5b1c2d3e4f506\","
			"\"relay_addr\":\"203.0.113.5:4433\"}}" },
	{ PLM_WZP_CALL_SETUP, false,
			"{\"CallSetup\":{\"call_id\":\"18a5b1c2d3e4f506\","
			"\"room\":\"call-18a5b1c2d3e4f506\","
			"\"relay_addr\":\"203.0.113.5:4433\","
			"\"peer_direct_addr\":\"192.0.2.1:4433\","
			"\"peer_local_addrs\":[\"10.0.0.2:4433\"]}}" },
	{ PLM_WZP_REFLECT, true, "\"Reflect\"" },
	{ PLM_WZP_REFLECT_RESPONSE, false,
			"{\"ReflectResponse\":{\"observed_addr\":\"192.0.2.17:54321\"}}" },
	{ PLM_WZP_MEDIA_PATH_REPORT, false,
			"{\"MediaPathReport\":{\"call_id\":\"18a5b1c2d3e4f506\","
			"\"direct_ok\":true,\"race_winner\":\"Direct\"}}" },
	{ PLM_WZP_PRESENCE_UPDATE, false,
			"{\"PresenceUpdate\":{\"fingerprints\":[\"9983:x\"],"
			"\"relay_addr\":\"10.0.0.1:4433\"}}" },
	{ PLM_WZP_ROUTE_QUERY, false, "{\"RouteQuery\":{\"fingerprint\":\"9983:x\",\"ttl\":3}}" },
	{ PLM_WZP_ROUTE_RESPONSE, false,
			"{\"RouteResponse\":{\"fingerprint\":\"9983:x\",\"found\":true,"
			"\"relay_chain\":[\"10.0.0.1:4433\"]}}" },
	{ PLM_WZP_FEDERATION_HELLO, false,
			"{\"FederationHello\":{\"tls_fingerprint\":\"89:05:77:d6:x\"}}" },
	{ PLM_WZP_GLOBAL_ROOM_ACTIVE, false,
			"{\"GlobalRoomActive\":{\"room\":\"general\","
			"\"participants\":[{\"fingerprint\":\"9983:x\",\"alias\":\"Alice\","
			"\"relay_label\":null}]}}" },
	{ PLM_WZP_GLOBAL_ROOM_INACTIVE, false, "{\"GlobalRoomInactive\":{\"room\":\"general\"}}" },
	{ PLM_WZP_FEDERATED_SIGNAL_FORWARD, false,
			""
			"{\"FederatedSignalForward\":{\"inner\":{\"CallRinging\":{\"call_id\":\"18a5b1c2d3e4f506\"}},"
			"\"origin_relay_fp\":\"89:05:77:d6:x\"}}" },
	{ PLM_WZP_FEDERATED_SIGNAL_FORWARD, false,
			"{\"FederatedSignalForward\":{\"inner\":\"Reflect\","
			"\"origin_relay_fp\":\"89:05:77:d6:x\"}}" },
	{ PLM_WZP_HOLD, true, "\"Hold\"" },
	{ PLM_WZP_TRANSFER, false,
			"{\"Transfer\":{\"target_fingerprint\":\"x\",\"relay_addr\":null}}" },
	{ PLM_WZP_LOSS_RECOVERY_UPDATE, false,
			"{\"LossRecoveryUpdate\":{\"dred_reconstructions\":1,"
			"\"classical_plc_invocations\":2,\"frames_decoded\":3}}" },
	{ PLM_WZP_QUALITY_UPDATE, false,
			"{\"QualityUpdate\":{\"report\":{\"loss_pct\":1,\"rtt_4ms\":2,"
			"\"jitter_ms\":3,\"bitrate_cap_kbps\":4},"
			"\"recommended_profile\":{\"codec\":\"Opus6k\",\"fec_ratio\":0.5,"
			"\"frame_duration_ms\":40,\"frames_per_block\":10}}}" },
};

static void
signals__of_the_specification_are_read_and_written_the_same(void **state)
{
	for (size_t i = 0; i < RTE_DIM(exact); i++) {
		const char *json = exact[i].json;
		size_t len = strlen(json);
		struct plm_wzp_signal signal;
		char buf[2048];

		assert_int_equal(plm_wzp_decode(json, len, &signal), 0);
		assert_int_equal(signal.type, exact[i].type);
		memset(buf, 0x5a, sizeof(buf));
		if (!exact[i].is_written) {
			assert_int_equal(plm_wzp_encode(&signal, buf, sizeof(buf)), -EINVAL);
			continue;
		}
		assert_int_equal(plm_wzp_encode(&signal, buf, sizeof(buf)), len + PLM_WZP_LENGTH);
		assert_int_equal((uint8_t)buf[2] << 8 | (uint8_t)buf[3], len);
		assert_memory_equal(buf + PLM_WZP_LENGTH, json, len);
		/* In exactly that much room, and in no less. */
		memset(buf, 0x5a, sizeof(buf));
		assert_int_equal(plm_wzp_encode(&signal, buf, len + PLM_WZP_LENGTH),
				len + PLM_WZP_LENGTH);
		assert_int_equal(buf[len + PLM_WZP_LENGTH], 0x5a);
		for (size_t size = 0; size < len + PLM_WZP_LENGTH; size++) {
			char *small = malloc(size + 1);

			assert_non_null(small);
			assert_int_equal(plm_wzp_encode(&signal, small, size), -ENOSPC);
			free(small);
		}
	}
}

static const struct {
	float ratio;
	const char *text;
} ratios[] = {
	{ 0.0f, "0.0" },
	{ -0.0f, "-0.0" },
	{ 1.0f, "1.0" },
	{ -1.5f, "-1.5" },
	{ 0.1f, "0.1" },
	{ 0.2f, "0.2" },
	{ 0.3f, "0.3" },
	{ 0.33333334f, "0.33333334" },
	{ 16777216.0f, "16777216.0" },
	{ 123456.79f, "123456.79" },
	{ 0.00001f, "0.00001" },
	{ 0.000001f, "0.000001" },
	{ 1e12f, "1000000000000.0" },
	{ 1e13f, "1e+13" },
	{ 1e-7f, "1e-7" },
	{ 3.4028235e38f, "3.4028235e+38" },
	{ 1e-45f, "1e-45" },
};

static void
encode__writes_floats_as_short_as_they_can_be(void **state)
{
	for (size_t i = 0; i < RTE_DIM(ratios); i++) {
		struct plm_wzp_signal signal = { .type = PLM_WZP_QUALITY_DIRECTIVE,
			.quality_directive.profile.fec_ratio = ratios[i].ratio };
		char buf[512], want[64];
		int len = plm_wzp_encode(&signal, buf, sizeof(buf) - 1);

		assert_true(len > 0);
		buf[len] = '\0';
		snprintf(want, sizeof(want), "\"fec_ratio\":%s,", ratios[i].text);
		if (strstr(buf + PLM_WZP_LENGTH, want) == NULL)
			fail_msg("%s instead of %s", buf + PLM_WZP_LENGTH, want);
	}
}

static void
encode__escapes_as_little_as_it_must(void **state)
{
	struct plm_wzp_signal signal = { .type = PLM_WZP_AUTH_TOKEN,
		.auth_token.token = "\"\\/\b\f\n\r\t\x01\x1f\x7f \xc3\xa9\xe2\x80\xa8" };
	static const char want[] = "{\"AuthToken\":{\"token\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001"
				   "\\u001f\x7f \xc3\xa9\xe2\x80\xa8\"}}";
	char buf[128];

	assert_int_equal(plm_wzp_encode(&signal, buf, sizeof(buf)),
			sizeof(want) - 1 + PLM_WZP_LENGTH);
	assert_memory_equal(buf + PLM_WZP_LENGTH, want, sizeof(want) - 1);
}

static void
encode__refuses_what_there_is_not(void **state)
{
	struct plm_wzp_signal bad[] = {
		{ .type = PLM_WZP_TYPES },
		{ .type = PLM_WZP_HANGUP, .hangup.reason = PLM_WZP_REASONS },
		{ .type = PLM_WZP_QUALITY_DIRECTIVE,
				.quality_directive.profile.codec = PLM_WZP_CODECS },
		{ .type = PLM_WZP_QUALITY_DIRECTIVE,
				.quality_directive.profile.fec_ratio = 1.0f / 0.0f },
		{ .type = PLM_WZP_CALL_OFFER, .call_offer.profiles.nb = PLM_WZP_PROFILES_MAX + 1 },
		{ .type = PLM_WZP_CALL_OFFER, .call_offer.signature.len = PLM_WZP_SIGNATURE + 1 },
	};
	char buf[2048];

	for (size_t i = 0; i < RTE_DIM(bad); i++)
		assert_int_equal(plm_wzp_encode(&bad[i], buf, sizeof(buf)), -EINVAL);
}

/* Ids are those of media headers (§4.2). */
static void
codecs__have_the_names_of_their_ids(void **state)
{
	static const char *const names[] = { "Opus24k", "Opus16k", "Opus6k", "Codec2_3200",
		"Codec2_1200", "ComfortNoise", "Opus32k", "Opus48k", "Opus64k" };

	assert_int_equal(RTE_DIM(names), PLM_WZP_CODECS);
	for (uint8_t id = 0; id < PLM_WZP_CODECS; id++) {
		struct plm_wzp_signal signal;
		char json[256];

		assert_string_equal(plm_wzp_codec_name(id), names[id]);
		snprintf(json, sizeof(json),
				"{\"QualityDirective\":{\"recommended_profile\":[\"%s\",1,2,3]}}",
				names[id]);
		assert_int_equal(plm_wzp_decode(json, strlen(json), &signal), 0);
		assert_int_equal(signal.quality_directive.profile.codec, id);
	}
	assert_null(plm_wzp_codec_name(PLM_WZP_CODECS));
}

static void
encode__puts_the_length_in_front(void **state)
{
	const struct plm_wzp_signal ping = { .type = PLM_WZP_PING,
		.ping.timestamp_ms = 1776000000000 };
	const struct plm_wzp_signal reflect = { .type = PLM_WZP_REFLECT };
	char buf[64];

	assert_int_equal(plm_wzp_encode(&ping, buf, sizeof(buf)), 43);
	assert_memory_equal(buf, "\0\0\0\x27{\"Ping\":{\"timestamp_ms\":1776000000000}}", 43);
	assert_int_equal(plm_wzp_encode(&reflect, buf, sizeof(buf)), 13);
	assert_memory_equal(buf, "\0\0\0\x09\"Reflect\"", 13);
}

static void
room_update__is_put_together_from_parts(void **state)
{
	static const char want[] = "{\"RoomUpdate\":{\"count\":2,\"participants\":["
				   "{\"fingerprint\":\"9983:c2ce:87f9:61b7:7931:d7c1:fd7f:864c\","
				   "\"alias\":\"Alice\",\"relay_label\":null},"
				   "{\"fingerprint\":\"0258:ab5d:7c27:9b61:3b75:a4e3:7ce7:1bf9\","
				   "\"alias\":null,\"relay_label\":\"Relay B\"}]}}";
	uint8_t alice[PLM_WZP_FINGERPRINT], bob[PLM_WZP_FINGERPRINT];
	char list[512], frame[1024];
	int len, a, b;

	assert_int_equal(plm_wzp_fingerprint_read("9983:c2ce:87f9:61b7:7931:d7c1:fd7f:864c", 39,
					 alice),
			0);
	assert_int_equal(plm_wzp_fingerprint_read("0258:ab5d:7c27:9b61:3b75:a4e3:7ce7:1bf9", 39,
					 bob),
			0);
	a = plm_wzp_participant_encode(alice, "Alice", NULL, list, sizeof(list));
	assert_true(a > 0);
	list[a++] = ',';
	b = plm_wzp_participant_encode(bob, NULL, "Relay B", list + a, sizeof(list) - (size_t)a);
	assert_true(b > 0);
	len = plm_wzp_room_update_head(2, (size_t)(a + b), frame, PLM_WZP_ROOM_UPDATE_HEAD_MAX);
	assert_true(len > 0);
	snprintf(frame + len, sizeof(frame) - (size_t)len, "%.*s" PLM_WZP_ROOM_UPDATE_TAIL, a + b,
			list);
	assert_string_equal(frame + 4, want);
	assert_memory_equal(frame, ((const char[]){ 0, 0, 0, (char)strlen(want) }), 4);
}

static void
participant__is_never_longer_than_is_said(void **state)
{
	static const uint8_t fp[PLM_WZP_FINGERPRINT];
	char text[PLM_WZP_TEXT_MAX + 1], buf[PLM_WZP_PARTICIPANT_MAX];
	int len;

	memset(text, 1, PLM_WZP_TEXT_MAX); /* each six characters */
	text[PLM_WZP_TEXT_MAX] = '\0';
	len = plm_wzp_participant_encode(fp, text, text, buf, sizeof(buf));
	assert_in_range(len, 12 * PLM_WZP_TEXT_MAX, PLM_WZP_PARTICIPANT_MAX);
	for (int size = 0; size < len; size++)
		assert_int_equal(plm_wzp_participant_encode(fp, text, text, buf, (size_t)size),
				-ENOSPC);
}

static void
room_update_head__refuses_what_is_longer_than_a_frame(void **state)
{
	char head[PLM_WZP_ROOM_UPDATE_HEAD_MAX];
	int len = plm_wzp_room_update_head(UINT32_MAX, 0, head, sizeof(head));
	size_t most;

	assert_true(len > 0);
	most = PLM_WZP_FRAME_MAX - ((size_t)len - PLM_WZP_LENGTH) -
			strlen(PLM_WZP_ROOM_UPDATE_TAIL);
	assert_int_equal(plm_wzp_room_update_head(UINT32_MAX, most, head, sizeof(head)), len);
	assert_memory_equal(head, ((const char[]){ 0, 0x10, 0, 0 }), 4);
	assert_int_equal(plm_wzp_room_update_head(UINT32_MAX, most + 1, head, sizeof(head)),
			-EMSGSIZE);
	assert_int_equal(plm_wzp_room_update_head(UINT32_MAX, SIZE_MAX, head, sizeof(head)),
			-EMSGSIZE);
	assert_int_equal(plm_wzp_room_update_head(UINT32_MAX, 0, head, (size_t)len - 1), -ENOSPC);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals__of_the_specification_are_read_and_written_the_same),
		cmocka_unit_test(encode__writes_floats_as_short_as_they_can_be),
		cmocka_unit_test(encode__escapes_as_little_as_it_must),
		cmocka_unit_test(encode__refuses_what_there_is_not),
		cmocka_unit_test(codecs__have_the_names_of_their_ids),
		cmocka_unit_test(encode__puts_the_length_in_front),
		cmocka_unit_test(room_update__is_put_together_from_parts),
		cmocka_unit_test(participant__is_never_longer_than_is_said),
		cmocka_unit_test(room_update_head__refuses_what_is_longer_than_a_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

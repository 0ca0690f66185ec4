/* SPDX-License-Identifier: BSD-3-Clause */
/* Signals: JSON in, JSON out, byte for byte. */
#include <errno.h>
#include <stdlib.h>

#include "plm_wzp.h"
#include "test_eal.h"

/* The specification's §2.6, those that have fields here: what is read is written the same. */
static const struct {
	enum plm_wzp_type type;
	const char *json;
} exact[] = {
	{ PLM_WZP_AUTH_TOKEN, "{\"AuthToken\":{\"token\":\"abc\"}}" },
	{ PLM_WZP_PING, "{\"Ping\":{\"timestamp_ms\":1776000000000}}" },
	{ PLM_WZP_PONG, "{\"Pong\":{\"timestamp_ms\":1776000000000}}" },
	{ PLM_WZP_HANGUP, "{\"Hangup\":{\"reason\":\"Normal\"}}" },
	{ PLM_WZP_HANGUP, "{\"Hangup\":{\"reason\":\"Normal\",\"call_id\":\"18a5b1c2d3e4f506\"}}" },
	{ PLM_WZP_QUALITY_DIRECTIVE,
			"{\"QualityDirective\":{\"recommended_profile\":{\"codec\":\"Opus6k\","
			"\"fec_ratio\":0.5,\"frame_duration_ms\":40,\"frames_per_block\":10},"
			"\"reason\":\"weakest link: Degraded\"}}" },
	{ PLM_WZP_REFLECT, "\"Reflect\"" },
	{ PLM_WZP_HOLD, "\"Hold\"" },
};

static void
signals__are_written_as_they_were_read(void **state)
{
	for (size_t i = 0; i < RTE_DIM(exact); i++) {
		const char *json = exact[i].json;
		struct plm_wzp_signal signal;
		char buf[512];

		assert_int_equal(plm_wzp_decode(json, strlen(json), &signal), 0);
		assert_int_equal(signal.type, exact[i].type);
		assert_int_equal(plm_wzp_encode(&signal, buf, sizeof(buf)), strlen(json) + 4);
		buf[strlen(json) + 4] = '\0';
		assert_string_equal(buf + 4, json);
	}
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals__are_written_as_they_were_read),
		cmocka_unit_test(encode__puts_the_length_in_front),
		cmocka_unit_test(room_update__is_put_together_from_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients of the WZP protocol at a whole relay: classes, the handshake, tokens, rooms, and who never reads. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl_priv.h"
#include "plm_wzp.h"
#include "quic_fixture.h"

static struct fxq q;

/* What clients say stays until the end of a test. */
static char *said[4096];
static unsigned int nb_said;

static void
say_bytes(struct fxq_client *c, const void *buf, size_t len)
{
	char *copy = malloc(len + 1);

	assert_non_null(copy);
	assert_true(nb_said < RTE_DIM(said));
	memcpy(copy, buf, len);
	said[nb_said++] = copy;
	assert_int_equal(fxq_message(c, (const uint8_t *)copy, len), 0);
}

/* A frame with this JSON. */
static void
say(struct fxq_client *c, const char *json)
{
	const size_t len = strlen(json);
	uint8_t frame[8192];

	assert_true(len + 4 <= sizeof(frame));
	frame[0] = frame[1] = 0;
	frame[2] = (uint8_t)(len >> 8);
	frame[3] = (uint8_t)len;
	memcpy(frame + 4, json, len);
	say_bytes(c, frame, len + 4);
}

static int
setup(void **state)
{
	fxq_conf(&q);
	return 0;
}

static int
teardown(void **state)
{
	fxq_free(&q);
	while (nb_said > 0)
		free(said[--nb_said]);
	return 0;
}

/* One that is connected, and has said nothing. */
static struct fxq_client *
connects(const char *room)
{
	struct fxq_client *c = fxq_begin(&q, room, 0, 2);

	fxq_step(&q, 20);
	assert_true(c->is_established);
	return c;
}

static struct fxq_client *
joins(const char *room, unsigned int who, const char *alias)
{
	struct fxq_client *c = connects(room);

	fxq_offer(c, who, alias);
	fxq_step(&q, 10);
	assert_int_equal(plm_quic_conn_state(c->conn), PLM_QUIC_ESTABLISHED);
	return c;
}

static void
leaves(struct fxq_client *c)
{
	plm_quic_close(c->conn, 0, "shutdown");
	fxq_step(&q, 10);
}

static bool
is_closed(const struct fxq_client *c)
{
	const struct plm_quic_end end = plm_quic_conn_end(c->conn);

	return end.is_remote && end.is_application && end.code == 0;
}

static void
fingerprint(unsigned int who, char text[PLM_WZP_FINGERPRINT_TEXT])
{
	const uint8_t seed[PLM_WZP_KEY] = { (uint8_t)who, (uint8_t)(who >> 8), 1 };
	struct plm_wzp_identity id;

	assert_int_equal(plm_wzp_identity_derive(seed, &id), 0);
	memcpy(text, id.text, PLM_WZP_FINGERPRINT_TEXT);
}

/* The update that lists these, by number, without an alias. */
static const char *
update_of(const unsigned int *who, unsigned int n)
{
	static char json[64 * 1024];
	struct plm_text text;

	plm_text_init(&text, json, sizeof(json));
	plm_text_add(&text, "{\"RoomUpdate\":{\"count\":%u,\"participants\":[", n);
	for (unsigned int i = 0; i < n; i++) {
		char name[PLM_WZP_FINGERPRINT_TEXT];

		fingerprint(who[i], name);
		plm_text_add(&text,
				"%s{\"fingerprint\":\"%s\",\"alias\":null,\"relay_label\":null}",
				i > 0 ? "," : "", name);
	}
	plm_text_add(&text, "]}}");
	return json;
}

static void
assert_told(const struct fxq_client *c, unsigned int n, const unsigned int *who, unsigned int nb)
{
	const char *want = update_of(who, nb);

	assert_string_equal(fxq_signal(c, n), want);
}

/* --- classes ------------------------------------------------------------------------------------ */

#define LONG60 "abcdefghijklmnopqrstuvwxyz-0123456789_abcdefghijklmnopqrstuv"

static const struct {
	const char *name;
	enum wzp_class class;
	const char *room;
} names[] = {
	{ "", WZP_CLASS_ROOM, "default" },
	{ "general", WZP_CLASS_ROOM, "general" },
	{ "GenEral", WZP_CLASS_ROOM, "general" },
	{ "general.", WZP_CLASS_ROOM, "general" },
	{ "a47b63f7d5b511ba5bc4089a74446906", WZP_CLASS_ROOM, "a47b63f7d5b511ba5bc4089a74446906" },
	{ "my_room-1.example", WZP_CLASS_ROOM, "my_room-1.example" },
	{ "call-18a5b1c2d3e4f506", WZP_CLASS_CALL, "call-18a5b1c2d3e4f506" },
	{ "Call-1", WZP_CLASS_CALL, "call-1" },
	{ "calls", WZP_CLASS_ROOM, "calls" },
	{ "_relay", WZP_CLASS_ROOM, "_relay" },
	{ "_other", WZP_CLASS_ROOM, "_other" },
	{ "pings", WZP_CLASS_ROOM, "pings" },
	{ "ping", WZP_CLASS_PING, "" },
	{ "Ping", WZP_CLASS_PING, "" },
	{ "version", WZP_CLASS_VERSION, "" },
	{ "_signal", WZP_CLASS_SIGNAL, "" },
	{ "_SIGNAL", WZP_CLASS_SIGNAL, "" },
	{ "_probe", WZP_CLASS_PROBE, "" },
	{ "_federation", WZP_CLASS_FEDERATION, "" },
	{ "a room", WZP_CLASS_NONE, "" },
	{ "a/b", WZP_CLASS_NONE, "" },
	{ "zimmer-\xc3\xbc", WZP_CLASS_NONE, "" },
	{ "\xd0\xba\xd0\xbe\xd0\xbc", WZP_CLASS_NONE, "" },
	{ "a\nb", WZP_CLASS_NONE, "" },
	{ LONG60 "abc", WZP_CLASS_ROOM, LONG60 "abc" },
};

static void
name__is_a_class_or_a_room_in_lower_case(void **state)
{
	for (size_t i = 0; i < RTE_DIM(names); i++) {
		struct ctl_room_name room;

		if (ctl_wzp_class(names[i].name, &room) != names[i].class ||
				strcmp(room.key, names[i].room) != 0 ||
				strcmp(room.whole, names[i].room) != 0)
			fail_msg("%s is class %d, room \"%s\"", names[i].name,
					ctl_wzp_class(names[i].name, &room), room.key);
	}
}

/* Names that are longer than Plenum's own get one each, which no client can ask for. */
static void
name__that_is_long_is_a_room_of_its_own(void **state)
{
	struct ctl_room_name a, b, c;
	char name[300];

	assert_int_equal(ctl_wzp_class(LONG60 ".abcd", &a), WZP_CLASS_ROOM);
	assert_int_equal(ctl_wzp_class(LONG60 ".ABCD", &b), WZP_CLASS_ROOM);
	assert_int_equal(ctl_wzp_class(LONG60 ".abce", &c), WZP_CLASS_ROOM);
	assert_string_equal(a.key, b.key);
	assert_string_equal(a.whole, LONG60 ".abcd");
	assert_string_not_equal(a.key, c.key);
	assert_true(plm_name_valid(a.key, strlen(a.key)));
	/* Asking for what it is called here leads elsewhere. */
	assert_int_equal(ctl_wzp_class(a.key, &b), WZP_CLASS_ROOM);
	assert_string_not_equal(a.key, b.key);
	memset(name, 'x', sizeof(name));
	name[253] = '\0';
	assert_int_equal(ctl_wzp_class(name, &a), WZP_CLASS_ROOM);
	name[253] = 'x';
	name[254] = '\0';
	assert_int_equal(ctl_wzp_class(name, &a), WZP_CLASS_NONE);
}

static void
ping__is_closed_when_the_handshake_is_complete(void **state)
{
	struct fxq_client *c;

	q.fx.conf.wzp.open_rooms = false;
	fxq_create(&q);
	c = connects("ping");
	assert_true(is_closed(c));
	assert_int_equal(fxq_count(&q, PLM_CNT_WZP_PINGS), 1);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_FAILED), 0);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_REFUSED), 0);
}

static void
version__is_told_on_a_unidirectional_stream_and_closed_after_100_ms(void **state)
{
	struct fxq_client *c;
	unsigned int ms = 0;

	q.fx.conf.wzp.build = "1.2.3-test";
	q.fx.conf.wzp.open_rooms = false;
	fxq_create(&q);
	c = fxq_begin(&q, "version", 0, 2);
	for (unsigned int i = 0; i < 50 && c->nb_fins == 0; i++)
		fxq_step(&q, 1);
	assert_int_equal(c->last_stream[3], 3);
	assert_int_equal(c->nb_bytes, 10);
	assert_memory_equal(c->bytes, "1.2.3-test", 10);
	for (; !is_closed(c); ms++)
		fxq_step(&q, 1);
	assert_in_range(ms, 95, 130);
	assert_int_equal(fxq_count(&q, PLM_CNT_WZP_VERSIONS), 1);
	assert_int_equal(fxq_count(&q, PLM_CNT_WZP_WENT), 0);
}

static void
signal_probe_federation_and_call__are_refused_with_code_0(void **state)
{
	static const char *const classes[] = { "_signal", "_probe", "_federation", "call-1" };

	fxq_create(&q);
	for (size_t i = 0; i < RTE_DIM(classes); i++) {
		struct fxq_client *c = connects(classes[i]);

		assert_true(is_closed(c));
		assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_REFUSED), i + 1);
	}
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_ADMITTED), 0);
}

/* --- joining -------------------------------------------------------------------------------------- */

static void
offer__is_answered_on_stream_1_then_the_room_is_told(void **state)
{
	struct plm_wzp_signal answer;
	struct plm_wzp_identity id;
	const uint8_t seed[32] = { 7, 7 };
	struct fxq_client *c;
	const char *json;

	memcpy(q.fx.conf.wzp.seed, seed, sizeof(seed));
	assert_int_equal(plm_wzp_identity_derive(seed, &id), 0);
	fxq_create(&q);
	c = joins("room", 1, NULL);
	assert_int_equal(c->nb_frames, 2);
	assert_int_equal(c->frames[0].stream_id, 1);
	assert_int_equal(c->frames[1].stream_id, 5);
	json = fxq_signal(c, 0);
	assert_int_equal(plm_wzp_decode(json, strlen(json), &answer), 0);
	assert_int_equal(answer.type, PLM_WZP_CALL_ANSWER);
	assert_int_equal(plm_wzp_answer_verify(&answer), 0);
	assert_memory_equal(answer.call_answer.identity_pub, id.pub, sizeof(id.pub));
	assert_int_equal(answer.call_answer.profile.codec, plm_wzp_profiles[PLM_WZP_GOOD].codec);
	assert_told(c, 1, (const unsigned int[]){ 1 }, 1);
	assert_int_equal(fxq_count(&q, PLM_CNT_WZP_JOINED), 1);
}

static void
update__lists_all_in_the_order_of_joining_at_each_change(void **state)
{
	struct fxq_client *a, *b, *c;

	fxq_create(&q);
	a = joins("room", 9, NULL);
	b = joins("ROOM", 3, NULL);
	c = joins("room", 5, NULL);
	joins("other", 4, NULL);
	assert_int_equal(a->nb_frames, 4);
	assert_told(a, 2, (const unsigned int[]){ 9, 3 }, 2);
	assert_told(a, 3, (const unsigned int[]){ 9, 3, 5 }, 3);
	assert_int_equal(b->nb_frames, 3);
	assert_told(b, 1, (const unsigned int[]){ 9, 3 }, 2);
	assert_told(c, 1, (const unsigned int[]){ 9, 3, 5 }, 3);
	leaves(b);
	assert_int_equal(a->nb_frames, 5);
	assert_told(a, 4, (const unsigned int[]){ 9, 5 }, 2);
	assert_told(c, 2, (const unsigned int[]){ 9, 5 }, 2);
	leaves(a);
	assert_told(c, 3, (const unsigned int[]){ 5 }, 1);
	assert_int_equal(c->nb_frames, 4);
	/* It is made once for each change, whoever is told. */
	assert_int_equal(fxq_count(&q, PLM_CNT_WZP_UPDATES), 3 + 1 + 2);
	assert_int_equal(fxq_count(&q, PLM_CNT_WZP_UPDATES_SENT), 1 + 2 + 3 + 1 + 2 + 1);
}

static void
update__has_the_alias_as_it_was_offered(void **state)
{
	struct fxq_client *c;

	fxq_create(&q);
	c = joins("room", 1, "J\xc3\xbcrgen \"J\" \\o/");
	assert_non_null(strstr(fxq_signal(c, 1),
			"\"alias\":\"J\xc3\xbcrgen \\\"J\\\" \\\\o/\",\"relay_label\":null"));
}

/* As specified: an identity may join twice, and is listed twice. */
static void
identity__that_joins_twice_is_there_twice(void **state)
{
	struct fxq_client *a, *b;

	fxq_create(&q);
	a = joins("room", 1, NULL);
	b = joins("room", 1, NULL);
	assert_told(a, 2, (const unsigned int[]){ 1, 1 }, 2);
	assert_told(b, 1, (const unsigned int[]){ 1, 1 }, 2);
	assert_int_equal(fxq_send(a, "\0\0\0\0\0\0\0\0\0\0\0\0x", 13), PLM_QUIC_SENT);
	fxq_step(&q, 5);
	assert_int_equal(b->nb_datagrams, 1);
	leaves(a);
	assert_told(b, 2, (const unsigned int[]){ 1 }, 1);
}

/* --- who may not join ----------------------------------------------------------------------------- */

enum wrong {
	WRONG_SIGNATURE,
	WRONG_REPLAY,
	WRONG_JSON,
	WRONG_UNKNOWN,
	WRONG_TOKEN,
	WRONG_PING,
	WRONG_BIG,
	WRONG_SHORT,
	WRONG_EMPTY,
	WRONG_NOTHING,
	WRONG_HALF,
};

static const struct {
	const char *name;
	enum wrong wrong;
	enum plm_counter counter;
} wrongs[] = {
	{ "a wrong signature", WRONG_SIGNATURE, PLM_CNT_WZP_SIGNATURE },
	{ "another's offer", WRONG_REPLAY, PLM_CNT_WZP_REPLAYED },
	{ "no JSON", WRONG_JSON, PLM_CNT_WZP_SIGNAL_MALFORMED },
	{ "a signal that nobody knows", WRONG_UNKNOWN, PLM_CNT_WZP_SIGNAL_UNKNOWN },
	{ "a token where none is asked for", WRONG_TOKEN, PLM_CNT_WZP_SIGNAL_ORDER },
	{ "another signal first", WRONG_PING, PLM_CNT_WZP_SIGNAL_ORDER },
	{ "a megabyte", WRONG_BIG, PLM_CNT_WZP_SIGNAL_BIG },
	{ "less than it announced", WRONG_SHORT, PLM_CNT_WZP_SIGNAL_SHORT },
	{ "an empty stream", WRONG_EMPTY, PLM_CNT_WZP_SIGNAL_SHORT },
	{ "nothing", WRONG_NOTHING, PLM_CNT_WZP_TIMEOUT },
	{ "half an offer, for ever", WRONG_HALF, PLM_CNT_WZP_TIMEOUT },
};

static void
say_wrong(struct fxq_client *c, const struct fxq_client *other, enum wrong wrong)
{
	struct plm_quic_chunk *chunk;
	uint8_t *big;

	switch (wrong) {
	case WRONG_SIGNATURE: {
		const size_t len = 4 + ((size_t)other->offer[2] << 8 | other->offer[3]);
		char *copy = malloc(len + 1), *at;

		memcpy(copy, other->offer, len);
		copy[len] = '\0';
		at = strstr(copy + 4, "\"signature\":[") + 13;
		*at = *at == '1' ? '2' : '1';
		say_bytes(c, copy, len);
		free(copy);
		break;
	}
	case WRONG_REPLAY:
		say_bytes(c, other->offer, 4 + ((size_t)other->offer[2] << 8 | other->offer[3]));
		break;
	case WRONG_JSON:
		say(c, "{\"CallOffer\":");
		break;
	case WRONG_UNKNOWN:
		say(c, "{\"Teleport\":{}}");
		break;
	case WRONG_TOKEN:
		say(c, "{\"AuthToken\":{\"token\":\"abc\"}}");
		break;
	case WRONG_PING:
		say(c, "{\"Ping\":{\"timestamp_ms\":1}}");
		break;
	case WRONG_BIG:
		big = calloc(1, 20000);
		big[1] = 0x10;
		say_bytes(c, big, 20000);
		free(big);
		break;
	case WRONG_SHORT:
		say_bytes(c, "\0\0\0\xff{}", 6);
		break;
	case WRONG_EMPTY:
		say_bytes(c, "", 0);
		break;
	case WRONG_NOTHING:
		break;
	case WRONG_HALF: /* the stream stays open: no end is ever queued */
		chunk = calloc(1, sizeof(*chunk));
		chunk->buf = (const uint8_t *)"\0\0\4\0{\"CallOffer\":{";
		chunk->len = 17;
		chunk->next = calloc(1, sizeof(*chunk));
		chunk->next->buf = chunk->buf;
		chunk->next->len = 0x7fffffff; /* more than there will ever be credit for */
		assert_int_equal(plm_quic_stream_send(c->conn, chunk), 0);
		c->is_mute = true;
		break;
	}
}

/* Refused with code 0, counted by why, and told in one event; who is in the room notices nothing. */
static void
client__that_is_wrong_is_refused_with_a_reason(void **state)
{
	for (size_t i = 0; i < RTE_DIM(wrongs); i++) {
		struct fxq_client *in, *c;
		unsigned int ms;

		print_message("%s\n", wrongs[i].name);
		if (i > 0)
			fxq_conf(&q);
		fxq_create(&q);
		in = joins("room", 1, NULL);
		c = connects("room");
		q.fx.nb_events = 0;
		if (wrongs[i].wrong != WRONG_HALF)
			say_wrong(c, in, wrongs[i].wrong);
		for (ms = 0; ms < 11000 && !is_closed(c); ms++)
			fxq_step(&q, 1);
		if (wrongs[i].counter == PLM_CNT_WZP_TIMEOUT)
			assert_in_range(ms, 9900, 10100);
		else
			assert_in_range(ms, 0, 50);
		assert_int_equal(fxq_count(&q, wrongs[i].counter), 1);
		assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_REFUSED), 1);
		assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_ADMITTED), 1);
		assert_int_equal(q.fx.nb_events, 1);
		assert_int_equal(q.fx.events[0], PLM_EVENT_REFUSE);
		assert_int_equal(c->nb_frames, 0);
		assert_int_equal(in->nb_frames, 2);
		assert_int_equal(plm_quic_conn_state(in->conn), PLM_QUIC_ESTABLISHED);
		if (i + 1 < RTE_DIM(wrongs))
			teardown(NULL);
	}
}

static void
acl__lets_in_those_whom_the_rooms_rule_names(void **state)
{
	struct plm_room_rule rules[] = {
		{ .pattern = "*team-?", .settings = { .max_members = 100 }, .nb_allow = 2 },
		{ .pattern = "*", .settings = { .max_members = 100 } },
	};
	struct fxq_client *in, *out;

	for (unsigned int i = 0; i < 2; i++) {
		char text[PLM_WZP_FINGERPRINT_TEXT];

		fingerprint(1 + i, text);
		assert_int_equal(plm_wzp_fingerprint_read(text, strlen(text), rules[0].allow[i]),
				0);
	}
	q.fx.conf.rules = rules;
	q.fx.conf.nb_rules = RTE_DIM(rules);
	fxq_create(&q);
	in = joins("team-a", 2, NULL);
	assert_int_equal(in->nb_frames, 2);
	out = connects("team-a");
	fxq_offer(out, 3, NULL);
	fxq_step(&q, 20);
	assert_true(is_closed(out));
	assert_int_equal(out->nb_frames, 0);
	assert_int_equal(fxq_count(&q, PLM_CNT_WZP_ACL), 1);
	assert_int_equal(in->nb_frames, 2);
	/* A name's end counts, however long the name is. */
	out = connects(LONG60 LONG60 "team-a");
	fxq_offer(out, 3, NULL);
	fxq_step(&q, 20);
	assert_true(is_closed(out));
	joins(LONG60 LONG60 "team-a", 1, NULL);
	joins("else", 3, NULL);
}

/* As many as may be say nothing: whoever says who he is gets in all the same, and they have their two seconds. */
static void
client__that_says_nothing_makes_room_when_there_is_none(void **state)
{
	struct fxq_client *silent[8], *c;

	q.fx.conf.quic.max_handshakes = RTE_DIM(silent);
	q.fx.conf.quic.retry_above = 100;
	fxq_create(&q);
	for (unsigned int i = 0; i < RTE_DIM(silent); i++) {
		silent[i] = fxq_begin(&q, "room", 0, (uint8_t)(10 + i));
		fxq_step(&q, 20);
		assert_true(silent[i]->is_established);
	}
	c = fxq_begin(&q, "room", 0, 2);
	fxq_step(&q, 1000);
	assert_false(c->is_established);
	assert_int_equal(fxq_count(&q, PLM_CNT_WZP_TIMEOUT), 0);
	for (unsigned int i = 0; i < 8000 && !c->is_established; i++)
		fxq_step(&q, 1);
	assert_true(c->is_established);
	assert_in_range(fxq_count(&q, PLM_CNT_WZP_TIMEOUT), 1, 4);
	fxq_offer(c, 1, NULL);
	fxq_step(&q, 20);
	assert_int_equal(c->nb_frames, 2);
}

/* --- tokens ---------------------------------------------------------------------------------------- */

/* Who validates: what it was asked, and what it is to answer. */
static struct {
	unsigned int nb_asked;
	uint32_t id, gen;
	char token[64];
	int ret;
	bool has_answer;
	struct plm_auth_answer answer;
} server;

static int
server_ask(void *ctx, uint32_t id, uint32_t gen, const char *token, size_t len)
{
	if (server.ret < 0)
		return server.ret;
	server.nb_asked++;
	server.id = id;
	server.gen = gen;
	snprintf(server.token, sizeof(server.token), "%.*s", (int)len, token);
	return 0;
}

static bool
server_answer(void *ctx, struct plm_auth_answer *answer)
{
	if (!server.has_answer)
		return false;
	*answer = server.answer;
	server.has_answer = false;
	return true;
}

static const struct plm_auth auth = { server_ask, server_answer, NULL };

/* It answers what it was asked last; the token is identity `who`'s. */
static void
answers(enum plm_auth_verdict verdict, unsigned int who)
{
	char text[PLM_WZP_FINGERPRINT_TEXT];

	server.answer = (struct plm_auth_answer){ server.id, server.gen, verdict, { 0 }, "" };
	fingerprint(who, text);
	plm_wzp_fingerprint_read(text, strlen(text), server.answer.fingerprint);
	server.has_answer = true;
	fxq_step(&q, 10);
}

static void
auth_create(void)
{
	memset(&server, 0, sizeof(server));
	q.fx.conf.wzp.open_rooms = false;
	q.fx.conf.wzp.auth = &auth;
	q.fx.conf.wzp.auth_cache_ns = 60 * PLM_NS_PER_S;
	fxq_create(&q);
}

static void
token__is_asked_about_before_the_offer_is_read(void **state)
{
	struct fxq_client *c;

	auth_create();
	c = connects("room");
	say(c, "{\"AuthToken\":{\"token\":\"secret-1\"}}");
	fxq_offer(c, 1, NULL);
	fxq_step(&q, 20);
	assert_int_equal(server.nb_asked, 1);
	assert_string_equal(server.token, "secret-1");
	assert_int_equal(c->nb_frames, 0);
	answers(PLM_AUTH_VALID, 1);
	assert_int_equal(c->nb_frames, 2);
	assert_told(c, 1, (const unsigned int[]){ 1 }, 1);
	assert_int_equal(fxq_count(&q, PLM_CNT_WZP_AUTH_ASKED), 1);
}

static const struct {
	const char *name;
	const char *first; /* signal */
	int ret;           /* of who is asked */
	bool is_answered;
	enum plm_auth_verdict verdict;
	unsigned int who;
	enum plm_counter counter;
} tokens[] = {
	{ "an invalid token", "{\"AuthToken\":{\"token\":\"x\"}}", 0, true, PLM_AUTH_INVALID, 1,
			PLM_CNT_WZP_AUTH_INVALID },
	{ "a server that is dead", "{\"AuthToken\":{\"token\":\"x\"}}", 0, true, PLM_AUTH_FAILED, 1,
			PLM_CNT_WZP_AUTH_FAILED },
	{ "a token of somebody else", "{\"AuthToken\":{\"token\":\"x\"}}", 0, true, PLM_AUTH_VALID,
			2, PLM_CNT_WZP_IDENTITY },
	{ "as many under way as may be", "{\"AuthToken\":{\"token\":\"x\"}}", -EBUSY, false,
			PLM_AUTH_VALID, 1, PLM_CNT_WZP_AUTH_BUSY },
	{ "a server that never answers", "{\"AuthToken\":{\"token\":\"x\"}}", 0, false,
			PLM_AUTH_VALID, 1, PLM_CNT_WZP_TIMEOUT },
	{ "no token", "{\"Ping\":{\"timestamp_ms\":1}}", 0, false, PLM_AUTH_VALID, 1,
			PLM_CNT_WZP_SIGNAL_ORDER },
};

static void
token__that_is_not_good_is_refused(void **state)
{
	for (size_t i = 0; i < RTE_DIM(tokens); i++) {
		struct fxq_client *c;

		print_message("%s\n", tokens[i].name);
		if (i > 0)
			fxq_conf(&q);
		auth_create();
		server.ret = tokens[i].ret;
		c = connects("room");
		say(c, tokens[i].first);
		fxq_offer(c, 1, NULL);
		fxq_step(&q, 20);
		if (tokens[i].is_answered)
			answers(tokens[i].verdict, tokens[i].who);
		fxq_step(&q, tokens[i].counter == PLM_CNT_WZP_TIMEOUT ? 6100 : 50);
		assert_true(is_closed(c));
		assert_int_equal(fxq_count(&q, tokens[i].counter), 1);
		assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_ADMITTED), 0);
		if (i + 1 < RTE_DIM(tokens))
			teardown(NULL);
	}
}

static void
token__of_any_identity_is_good_where_that_is_set(void **state)
{
	struct fxq_client *c;

	q.fx.conf.wzp.match_identity = false;
	auth_create();
	c = connects("room");
	say(c, "{\"AuthToken\":{\"token\":\"x\"}}");
	fxq_offer(c, 1, NULL);
	fxq_step(&q, 20);
	answers(PLM_AUTH_VALID, 2);
	/* The server's word counts. */
	assert_told(c, 1, (const unsigned int[]){ 2 }, 1);
}

static void
token__that_is_known_is_not_asked_about_until_its_time_is_over(void **state)
{
	struct fxq_client *c;

	auth_create();
	for (unsigned int i = 0; i < 3; i++) {
		c = connects("room");
		say(c, "{\"AuthToken\":{\"token\":\"x\"}}");
		fxq_offer(c, 1, NULL);
		fxq_step(&q, 20);
		if (i == 0)
			answers(PLM_AUTH_VALID, 1);
		assert_int_equal(c->nb_frames, 2);
		leaves(c);
	}
	assert_int_equal(server.nb_asked, 1);
	assert_int_equal(fxq_count(&q, PLM_CNT_WZP_AUTH_CACHED), 2);
	fxq_step(&q, 60000);
	c = connects("room");
	say(c, "{\"AuthToken\":{\"token\":\"x\"}}");
	fxq_offer(c, 1, NULL);
	fxq_step(&q, 20);
	assert_int_equal(server.nb_asked, 2);
	assert_int_equal(c->nb_frames, 0);
}

/* Whoever asked has gone, and somebody else has his place. */
static void
token__answered_too_late_lets_nobody_else_in(void **state)
{
	struct fxq_client *a, *b;

	q.fx.conf.quic.max_connections = 1;
	auth_create();
	a = connects("room");
	say(a, "{\"AuthToken\":{\"token\":\"good\"}}");
	fxq_step(&q, 20);
	server.answer = (struct plm_auth_answer){ server.id, server.gen, PLM_AUTH_VALID, { 0 },
		"" };
	leaves(a);
	fxq_step(&q, 1000);
	b = connects("room");
	say(b, "{\"AuthToken\":{\"token\":\"bad\"}}");
	fxq_offer(b, 1, NULL);
	fxq_step(&q, 20);
	assert_int_equal(server.nb_asked, 2);
	server.has_answer = true;
	fxq_step(&q, 20);
	assert_int_equal(b->nb_frames, 0);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_ADMITTED), 0);
	answers(PLM_AUTH_INVALID, 1);
	fxq_step(&q, 20);
	assert_true(is_closed(b));
}

/* --- in the room ------------------------------------------------------------------------------------ */

static void
ping__is_answered_with_its_own_time(void **state)
{
	struct fxq_client *c;

	fxq_create(&q);
	c = joins("room", 1, NULL);
	say(c, "{\"Ping\":{\"timestamp_ms\":1776000000000}}");
	fxq_step(&q, 10);
	assert_string_equal(fxq_signal(c, 2), "{\"Pong\":{\"timestamp_ms\":1776000000000}}");
}

/* It hears the others for a while, as clients do that wait before they close, and is gone then; they are told once. */
static void
hangup__ends_the_session_within_three_seconds_and_the_room_is_told_once(void **state)
{
	static const uint8_t media[13];
	struct fxq_client *a, *b;

	fxq_create(&q);
	a = joins("room", 1, NULL);
	b = joins("room", 2, NULL);
	say(a, "{\"Hangup\":{\"reason\":\"Normal\"}}");
	fxq_step(&q, 2900);
	assert_int_equal(fxq_send(b, media, sizeof(media)), PLM_QUIC_SENT);
	fxq_step(&q, 5);
	assert_int_equal(a->nb_datagrams, 1);
	assert_int_equal(b->nb_frames, 2);
	fxq_step(&q, 150);
	assert_true(is_closed(a));
	assert_int_equal(b->nb_frames, 3);
	assert_told(b, 2, (const unsigned int[]){ 2 }, 1);
	assert_int_equal(fxq_count(&q, PLM_CNT_WZP_HANGUPS), 1);
	fxq_step(&q, 2000);
	assert_int_equal(b->nb_frames, 3);
	/* One who closes by itself meanwhile goes at once. */
	a = joins("room", 3, NULL);
	say(a, "{\"Hangup\":{\"reason\":\"Normal\"}}");
	fxq_step(&q, 500);
	leaves(a);
	assert_int_equal(b->nb_frames, 5);
	assert_told(b, 4, (const unsigned int[]){ 2 }, 1);
}

static const struct {
	const char *json;
	enum plm_counter counter;
} idle[] = {
	{ "\"Hold\"", PLM_CNT_WZP_SIGNAL_IGNORED },
	{ "{\"Mute\":null}", PLM_CNT_WZP_SIGNAL_IGNORED },
	{ "{\"IceCandidate\":{\"candidate\":\"x\"}}", PLM_CNT_WZP_SIGNAL_IGNORED },
	{ "{\"Teleport\":{}}", PLM_CNT_WZP_SIGNAL_UNKNOWN },
	{ "{\"Ping\":{}}", PLM_CNT_WZP_SIGNAL_MALFORMED },
	{ "\xff\xfe", PLM_CNT_WZP_SIGNAL_MALFORMED },
	{ "", PLM_CNT_WZP_SIGNAL_MALFORMED },
};

/* What a room has no use for is read, counted and forgotten; what comes behind it is heard. */
static void
signal__that_a_room_has_no_use_for_harms_nobody(void **state)
{
	static char big[20000] = { 0, 0x10 };
	struct fxq_client *c;

	fxq_create(&q);
	c = joins("room", 1, NULL);
	for (size_t i = 0; i < RTE_DIM(idle); i++) {
		uint64_t had = fxq_count(&q, idle[i].counter);

		say(c, idle[i].json);
		fxq_step(&q, 10);
		if (fxq_count(&q, idle[i].counter) != had + 1)
			fail_msg("%s", idle[i].json);
	}
	say_bytes(c, big, sizeof(big));
	say_bytes(c, "\0\0\0\x05{", 5);
	fxq_step(&q, 100);
	assert_int_equal(fxq_count(&q, PLM_CNT_WZP_SIGNAL_BIG), 1);
	assert_int_equal(fxq_count(&q, PLM_CNT_WZP_SIGNAL_SHORT), 1);
	say(c, "{\"Ping\":{\"timestamp_ms\":5}}");
	fxq_step(&q, 20);
	assert_string_equal(fxq_signal(c, 2), "{\"Pong\":{\"timestamp_ms\":5}}");
}

/* Thousands of streams: each is read, few are parsed, and the client goes on. */
static void
signals__beyond_what_one_may_send_are_dropped(void **state)
{
	struct fxq_client *c;

	fxq_create(&q);
	c = joins("room", 1, NULL);
	for (unsigned int i = 0; i < 3000; i++) {
		say(c, "\"Hold\"");
		if (i % 50 == 49)
			fxq_step(&q, 60);
	}
	fxq_step(&q, 200);
	/* 50 at once, 10 a second: in some four seconds. */
	assert_in_range(fxq_count(&q, PLM_CNT_WZP_SIGNALS), 50, 110);
	assert_int_equal(fxq_count(&q, PLM_CNT_WZP_SIGNALS) +
					fxq_count(&q, PLM_CNT_WZP_SIGNAL_RATE),
			1 + 3000);
	assert_int_equal(plm_quic_conn_state(c->conn), PLM_QUIC_ESTABLISHED);
}

/* Streams whose packets come in another order are read in that of their ids. */
static void
signals__are_read_in_the_order_of_their_streams(void **state)
{
	struct fxq_client *c;

	auth_create();
	c = connects("room");
	c->keeps_tx = true;
	say(c, "{\"AuthToken\":{\"token\":\"x\"}}");
	fxq_flush(c);
	c->keeps_tx = false;
	fxq_offer(c, 1, NULL);
	fxq_step(&q, 1); /* it finds out soon, and says it again */
	assert_true(fxq_count(&q, PLM_CNT_QUIC_STREAM_BYTES) > 1000);
	assert_int_equal(server.nb_asked, 0);
	assert_int_equal(fxq_count(&q, PLM_CNT_WZP_SIGNAL_ORDER), 0);
	fx_udp(&q.fx, &c->net, c->kept, c->kept_len);
	fxq_step(&q, 3);
	assert_int_equal(server.nb_asked, 1);
	answers(PLM_AUTH_VALID, 1);
	assert_int_equal(c->nb_frames, 2);
}

/* --- who never reads -------------------------------------------------------------------------------- */

/* As the original's command line client: 100 streams towards it, and no more. It waits for the newest update, nobody
 * else for anything; what it pins is bounded. */
static void
client__that_never_reads_delays_nobody_and_pins_two_updates(void **state)
{
	struct fxq_client *deaf, *fine;
	unsigned int nb = 2;

	fxq_create(&q);
	deaf = joins("room", 1, NULL);
	deaf->keeps = true;
	fine = joins("room", 2, NULL);
	deaf->keeps = true;
	for (unsigned int i = 0; i < 200; i++) {
		struct fxq_client *c;

		q.nb = 2; /* its place, again and again */
		c = joins("room", 3, NULL);
		assert_told(fine, nb++, (const unsigned int[]){ 1, 2, 3 }, 3);
		assert_told(c, 1, (const unsigned int[]){ 1, 2, 3 }, 3);
		leaves(c);
		assert_told(fine, nb++, (const unsigned int[]){ 1, 2 }, 2);
		fxq_end(c);
		assert_true(fxq_messages(&q) <= 8);
	}
	/* 400 changes; it has had what its 24 KB of credit bear, and then no more. */
	assert_in_range(deaf->nb_frames, 20, 120);
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_STREAM_FULL), 0);
	/* It reads after all: what had begun comes to its end, then the newest, alone. */
	nb = deaf->nb_frames;
	deaf->keeps = false;
	fxq_read_all(deaf);
	fxq_step(&q, 500);
	assert_in_range(deaf->nb_frames, nb, nb + 2);
	assert_told(deaf, deaf->nb_frames - 1, (const unsigned int[]){ 1, 2 }, 2);
}

/* Nothing of what it is told arrives for a while, far more than may be under way: then it is told how the room is now. */
static void
client__that_was_cut_off_is_told_the_newest(void **state)
{
	struct fxq_client *cut;
	unsigned int had;

	fxq_create(&q);
	cut = joins("room", 1, NULL);
	joins("room", 2, NULL);
	had = cut->nb_frames;
	cut->is_deaf = cut->is_mute = true;
	for (unsigned int i = 0; i < 100; i++) {
		struct fxq_client *c;

		q.nb = 2;
		c = joins("room", 3, NULL);
		leaves(c);
		fxq_end(c);
		assert_true(fxq_messages(&q) <= 8);
	}
	assert_int_equal(fxq_count(&q, PLM_CNT_QUIC_STREAM_FULL), 0);
	cut->is_deaf = cut->is_mute = false;
	fxq_step(&q, 5000);
	assert_in_range(cut->nb_frames, had + 1, had + 3);
	assert_told(cut, cut->nb_frames - 1, (const unsigned int[]){ 1, 2 }, 2);
}

/* --- large rooms ------------------------------------------------------------------------------------- */

static void
room__above_50_is_told_once_a_second(void **state)
{
	unsigned int who[60];
	struct fxq_client *first;
	unsigned int had;

	q.fx.conf.quic.max_connections = 64;
	q.fx.conf.max_sessions = q.fx.conf.max_members = 64;
	q.fx.conf.quic.max_handshakes = 64;
	q.fx.conf.quic.retry_above = 100;
	fxq_create(&q);
	for (unsigned int i = 0; i < 51; i++) {
		joins("room", 100 + i, NULL);
		who[i] = 100 + i;
	}
	first = &q.clients[0];
	assert_int_equal(first->nb_frames, 1 + 51);
	had = first->nb_frames;
	/* Four more within a second, and one who leaves: all of it in one. */
	for (unsigned int i = 51; i < 55; i++) {
		joins("room", 100 + i, NULL);
		who[i] = 100 + i;
	}
	leaves(&q.clients[54]);
	assert_int_equal(first->nb_frames, had);
	fxq_step(&q, 1000);
	assert_int_equal(first->nb_frames, had + 1);
	assert_told(first, had, who, 54);
	assert_told(&q.clients[53], q.clients[53].nb_frames - 1, who, 54);
	fxq_step(&q, 3000);
	assert_int_equal(first->nb_frames, had + 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name__is_a_class_or_a_room_in_lower_case),
		cmocka_unit_test(name__that_is_long_is_a_room_of_its_own),
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(ping__is_closed_when_the_handshake_is_complete),
		T(version__is_told_on_a_unidirectional_stream_and_closed_after_100_ms),
		T(signal_probe_federation_and_call__are_refused_with_code_0),
		T(offer__is_answered_on_stream_1_then_the_room_is_told),
		T(update__lists_all_in_the_order_of_joining_at_each_change),
		T(update__has_the_alias_as_it_was_offered),
		T(identity__that_joins_twice_is_there_twice),
		T(client__that_is_wrong_is_refused_with_a_reason),
		T(client__that_says_nothing_makes_room_when_there_is_none),
		T(acl__lets_in_those_whom_the_rooms_rule_names),
		T(token__is_asked_about_before_the_offer_is_read),
		T(token__that_is_not_good_is_refused),
		T(token__of_any_identity_is_good_where_that_is_set),
		T(token__that_is_known_is_not_asked_about_until_its_time_is_over),
		T(token__answered_too_late_lets_nobody_else_in),
		T(ping__is_answered_with_its_own_time),
		T(hangup__ends_the_session_within_three_seconds_and_the_room_is_told_once),
		T(signal__that_a_room_has_no_use_for_harms_nobody),
		T(signals__beyond_what_one_may_send_are_dropped),
		T(signals__are_read_in_the_order_of_their_streams),
		T(client__that_never_reads_delays_nobody_and_pins_two_updates),
		T(client__that_was_cut_off_is_told_the_newest),
		T(room__above_50_is_told_once_a_second),
#undef T
	};

	test_eal_init(512);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

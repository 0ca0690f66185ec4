/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients of the WZP protocol, from the handshake of QUIC to the room and out of it: who they are, whether they
 * may join, what they are told. docs/wzp.md has the stages.
 */
#include <errno.h>
#include <stdlib.h>

#include "plm_crypto.h"
#include "plm_quic_identity.h"
#include "wzp_priv.h"

/* Who has hung up still hears the others for this long: clients close two seconds later by themselves. */
#define LINGER_NS (3 * PLM_NS_PER_S)
/* From the version's stream to the close. */
#define VERSION_NS (100 * PLM_NS_PER_MS)
/* What the control thread may be late for. */
#define AUTH_SLACK_NS PLM_NS_PER_S
#define TICK_NS       (10 * PLM_NS_PER_MS)
#define TIMERS        32
#define ANSWERS       16
/* With as many handshakes as may be, who has said nothing for so long makes room; connections that are looked at. */
#define PATIENCE_NS (2 * PLM_NS_PER_S)
#define LOOKS       64
/* Messages to clients in one turn, over all workers. */
#define MESSAGES 64
/* What is read of one client in a room: 10 signals a second, 50 at once. */
#define SIGNAL_NS    (PLM_NS_PER_S / 10)
#define SIGNAL_BURST 50

/* --- classes ------------------------------------------------------------------------------------- */

/* A name that is longer than names are here gets one of its own: no client's, since those are in lower case. */
static void
shorten(const char *name, size_t len, char room[PLM_NAME_SIZE])
{
	uint8_t hash[PLM_QUIC_FINGERPRINT_SIZE];
	size_t n = PLM_NAME_SIZE - 1 - 33;

	plm_quic_fingerprint((const uint8_t *)name, len, hash);
	memcpy(room, name, n);
	room[n++] = '.';
	for (unsigned int i = 0; i < 16; i++)
		for (unsigned int half = 0; half < 2; half++)
			room[n++] = "0123456789ABCDEF"[half ? hash[i] & 15 : hash[i] >> 4];
	room[n] = '\0';
}

static bool
is_room_char(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '.' || ch == '_' ||
			ch == '-';
}

enum wzp_class
ctl_wzp_class(const char *name, struct ctl_room_name *room)
{
	static const struct {
		const char *name;
		enum wzp_class class;
	} classes[] = {
		{ "ping", WZP_CLASS_PING },
		{ "version", WZP_CLASS_VERSION },
		{ "_signal", WZP_CLASS_SIGNAL },
		{ "_probe", WZP_CLASS_PROBE },
		{ "_federation", WZP_CLASS_FEDERATION },
	};
	static const char call[] = "call-";
	char *lower = room->whole;
	size_t len = strlen(name);

	room->key[0] = room->whole[0] = '\0';
	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len > CTL_ROOM_MAX)
		return WZP_CLASS_NONE;
	for (size_t i = 0; i < len; i++) {
		lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];
		if (!is_room_char(lower[i])) {
			lower[0] = '\0';
			return WZP_CLASS_NONE;
		}
	}
	lower[len] = '\0';
	for (unsigned int i = 0; i < RTE_DIM(classes); i++)
		if (strcmp(lower, classes[i].name) == 0) {
			lower[0] = '\0';
			return classes[i].class;
		}
	if (len == 0)
		len = strlen(strcpy(lower, "default"));
	if (len < PLM_NAME_SIZE)
		memcpy(room->key, lower, len + 1);
	else
		shorten(lower, len, room->key);
	return strncmp(lower, call, strlen(call)) == 0 ? WZP_CLASS_CALL : WZP_CLASS_ROOM;
}

bool
ctl_wzp_serves(const struct plm_ctl *ctl, enum wzp_class class)
{
	const struct plm_ctl_wzp_conf *conf = &ctl->conf.wzp;

	if (class == WZP_CLASS_ROOM)
		return conf->open_rooms || conf->auth != NULL;
	return class == WZP_CLASS_VERSION;
}

/* --- rows of those to be told something ------------------------------------------------------------- */

static void
told_add(struct ctl_wzp *z, uint32_t idx)
{
	struct wzp_conn *c = &z->conns[idx];
	struct wzp_row *row = &z->told[ctl_quic_home(z->ctl, idx)];

	c->is_told = true;
	c->told_next = WZP_NONE;
	c->told_prev = row->nb > 0 ? row->tail : WZP_NONE;
	if (row->nb++ == 0)
		row->head = idx;
	else
		z->conns[row->tail].told_next = idx;
	row->tail = idx;
}

static void
told_remove(struct ctl_wzp *z, uint32_t idx)
{
	struct wzp_conn *c = &z->conns[idx];
	struct wzp_row *row = &z->told[ctl_quic_home(z->ctl, idx)];

	if (!c->is_told)
		return;
	c->is_told = false;
	if (c->told_prev != WZP_NONE)
		z->conns[c->told_prev].told_next = c->told_next;
	else
		row->head = c->told_next;
	if (c->told_next != WZP_NONE)
		z->conns[c->told_next].told_prev = c->told_prev;
	else
		row->tail = c->told_prev;
	row->nb--;
}

/* --- stages -------------------------------------------------------------------------------------- */

static void
enter_stage(struct ctl_wzp *z, uint32_t idx, enum wzp_stage stage, uint64_t for_ns)
{
	struct wzp_conn *c = &z->conns[idx];

	c->stage = (uint8_t)stage;
	c->since_ns = z->ctl->now_ns;
	plm_wheel_disarm(&z->wheel, idx);
	c->deadline_ns = UINT64_MAX;
	if (for_ns > 0) {
		c->deadline_ns = z->ctl->now_ns + for_ns;
		plm_wheel_arm(&z->wheel, idx, c->deadline_ns);
	}
	wzp_stream_look(z, idx);
}

static void
tell_of_refusal(struct ctl_wzp *z, uint32_t idx, const char *reason)
{
	const struct wzp_conn *c = &z->conns[idx];
	static const uint8_t nobody[PLM_WZP_FINGERPRINT];
	char name[PLM_WZP_FINGERPRINT_TEXT];
	struct plm_event event = {
		.type = PLM_EVENT_REFUSE,
		.now_ns = z->ctl->now_ns,
		.wall_s = z->ctl->wall_s,
		.room = ctl_quic_room(z->ctl, idx)->key,
		.reason = reason,
		.has_tuple = true,
	};

	if (memcmp(c->fingerprint, nobody, sizeof(nobody)) != 0) {
		plm_wzp_fingerprint_text(c->fingerprint, name);
		event.participant = name;
	}
	ctl_quic_tuple(z->ctl, idx, &event.tuple);
	plm_ctl_event(z->ctl, &event);
}

/* Nothing that it says is heard any more. */
static void
refuse(struct ctl_wzp *z, uint32_t idx, enum plm_counter why)
{
	plm_count(&z->ctl->counters, why);
	plm_count(&z->ctl->counters, PLM_CNT_QUIC_REFUSED);
	if (why != PLM_CNT_WZP_NO_PLACE) /* of which admission has told why */
		tell_of_refusal(z, idx, plm_counter_defs[why].name);
	enter_stage(z, idx, WZP_STAGE_NONE, 0);
	wzp_stream_fini(z, idx);
	ctl_quic_refuse(z->ctl, idx, CTL_WZP_REFUSAL);
}

void
ctl_wzp_begin(struct plm_ctl *ctl, uint32_t idx, enum wzp_class class)
{
	struct ctl_wzp *z = ctl->wzp;

	if (class == WZP_CLASS_VERSION) {
		enter_stage(z, idx, WZP_STAGE_VERSION, ctl->conf.wzp.join_timeout_ns);
		wzp_tell(z, idx, WZP_MESSAGE_VERSION);
	} else {
		enter_stage(z, idx, ctl->conf.wzp.auth != NULL ? WZP_STAGE_TOKEN : WZP_STAGE_OFFER,
				ctl->conf.wzp.join_timeout_ns);
	}
}

void
ctl_wzp_gone(struct plm_ctl *ctl, uint32_t idx)
{
	struct ctl_wzp *z = ctl->wzp;
	struct wzp_conn *c = &z->conns[idx];

	enter_stage(z, idx, WZP_STAGE_NONE, 0);
	wzp_stream_fini(z, idx);
	wzp_stream_init(c);
	told_remove(z, idx);
	c->due = 0;
	c->has_auth = false;
	c->signal_tat = 0;
	memset(c->fingerprint, 0, sizeof(c->fingerprint));
	c->alias.is_set = false;
}

void
ctl_wzp_left(struct plm_ctl *ctl, uint32_t idx)
{
	struct ctl_wzp *z = ctl->wzp;

	if (z->conns[idx].room_idx == WZP_NONE)
		return;
	wzp_room_leave(z, idx);
	told_remove(z, idx);
	z->conns[idx].due = 0;
	enter_stage(z, idx, WZP_STAGE_NONE, 0);
	wzp_stream_fini(z, idx);
}

/* Who means well says who he is within a round trip. */
void
ctl_wzp_make_room(struct plm_ctl *ctl)
{
	struct ctl_wzp *z = ctl->wzp;

	for (unsigned int i = 0; i < LOOKS && i < z->nb_conns; i++) {
		uint32_t idx = z->oldest_at++ % z->nb_conns;
		const struct wzp_conn *c = &z->conns[idx];

		if ((c->stage == WZP_STAGE_TOKEN || c->stage == WZP_STAGE_OFFER) &&
				c->since_ns + PATIENCE_NS <= ctl->now_ns) {
			refuse(z, idx, PLM_CNT_WZP_TIMEOUT);
			return;
		}
	}
}

/* --- tokens -------------------------------------------------------------------------------------- */

static void
token_judged(struct ctl_wzp *z, uint32_t idx, const struct plm_auth_answer *answer)
{
	struct wzp_conn *c = &z->conns[idx];

	switch (answer->verdict) {
	case PLM_AUTH_VALID:
		c->has_auth = true;
		memcpy(c->fingerprint, answer->fingerprint, sizeof(c->fingerprint));
		enter_stage(z, idx, WZP_STAGE_OFFER, z->ctl->conf.wzp.join_timeout_ns);
		break;
	case PLM_AUTH_INVALID:
		refuse(z, idx, PLM_CNT_WZP_AUTH_INVALID);
		break;
	case PLM_AUTH_FAILED:
		refuse(z, idx, PLM_CNT_WZP_AUTH_FAILED);
		break;
	}
}

static void
got_token(struct ctl_wzp *z, uint32_t idx, const char *token)
{
	const struct plm_auth *auth = z->ctl->conf.wzp.auth;
	struct wzp_conn *c = &z->conns[idx];
	const size_t len = strlen(token);
	struct plm_auth_answer answer;
	int ret;

	if (plm_auth_digest(token, len, c->token) < 0) {
		refuse(z, idx, PLM_CNT_WZP_AUTH_FAILED);
		return;
	}
	if (plm_auth_cache_get(z->cache, c->token, z->ctl->now_ns, &answer)) {
		plm_count(&z->ctl->counters, PLM_CNT_WZP_AUTH_CACHED);
		token_judged(z, idx, &answer);
		return;
	}
	ret = auth->ask(auth->ctx, idx, ctl_quic_gen(z->ctl, idx), token, len);
	if (ret < 0) {
		refuse(z, idx, ret == -EBUSY ? PLM_CNT_WZP_AUTH_BUSY : PLM_CNT_WZP_AUTH_INVALID);
		return;
	}
	plm_count(&z->ctl->counters, PLM_CNT_WZP_AUTH_ASKED);
	enter_stage(z, idx, WZP_STAGE_AUTH, z->ctl->conf.wzp.auth_timeout_ns + AUTH_SLACK_NS);
}

/* What the control thread found out. Who asked may have gone meanwhile: then it is worth knowing all the same, but
 * not known for which token. */
static unsigned int
answers(struct ctl_wzp *z)
{
	const struct plm_auth *auth = z->ctl->conf.wzp.auth;
	struct plm_auth_answer answer;
	unsigned int n;

	for (n = 0; n < ANSWERS && auth->answer(auth->ctx, &answer); n++) {
		struct wzp_conn *c;

		if (answer.id >= z->nb_conns)
			continue;
		c = &z->conns[answer.id];
		if (c->stage != WZP_STAGE_AUTH || ctl_quic_gen(z->ctl, answer.id) != answer.gen)
			continue;
		plm_auth_cache_put(z->cache, c->token, &answer, z->ctl->now_ns);
		token_judged(z, answer.id, &answer);
	}
	return n;
}

/* --- offers -------------------------------------------------------------------------------------- */

/* An offer is signed for nobody and no time: whoever saw one could come with it in the name of who made it.
 * So each is good once, as far back as there is memory for. */
static bool
was_offered(struct ctl_wzp *z, const struct plm_wzp_call_offer *offer)
{
	uint8_t keys[2 * PLM_WZP_KEY];
	uint64_t hash, *set;
	uint32_t at;

	memcpy(keys, offer->identity_pub, PLM_WZP_KEY);
	memcpy(keys + PLM_WZP_KEY, offer->ephemeral_pub, PLM_WZP_KEY);
	hash = plm_siphash(z->offer_key, keys, sizeof(keys)) | 1; /* 0: nothing */
	at = (uint32_t)(hash >> 32) % (WZP_OFFERS / WZP_OFFERS_WAYS);
	set = &z->offers[(size_t)at * WZP_OFFERS_WAYS];
	for (unsigned int i = 0; i < WZP_OFFERS_WAYS; i++)
		if (set[i] == hash)
			return true;
	set[z->offers_next[at]++ % WZP_OFFERS_WAYS] = hash;
	return false;
}

/* A participant's name in Plenum: the fingerprint and the slot, since one may join twice. */
static void
name_of(const struct wzp_conn *c, uint32_t idx, char name[PLM_NAME_SIZE])
{
	struct plm_text text;

	plm_text_init(&text, name, PLM_NAME_SIZE);
	for (unsigned int i = 0; i < sizeof(c->fingerprint); i++)
		plm_text_add(&text, "%02x", c->fingerprint[i]);
	plm_text_add(&text, "-%" PRIu32, idx);
}

static void
got_offer(struct ctl_wzp *z, uint32_t idx, const struct plm_wzp_signal *signal)
{
	const struct plm_wzp_call_offer *offer = &signal->call_offer;
	struct wzp_conn *c = &z->conns[idx];
	uint8_t fingerprint[PLM_WZP_FINGERPRINT];
	char name[PLM_NAME_SIZE];
	uint32_t room_idx;

	if (plm_wzp_offer_verify(signal) < 0 ||
			plm_wzp_fingerprint(offer->identity_pub, fingerprint) < 0) {
		refuse(z, idx, PLM_CNT_WZP_SIGNATURE);
		return;
	}
	if (was_offered(z, offer)) {
		refuse(z, idx, PLM_CNT_WZP_REPLAYED);
		return;
	}
	if (c->has_auth && z->ctl->conf.wzp.match_identity &&
			memcmp(c->fingerprint, fingerprint, sizeof(fingerprint)) != 0) {
		refuse(z, idx, PLM_CNT_WZP_IDENTITY);
		return;
	}
	if (!c->has_auth)
		memcpy(c->fingerprint, fingerprint, sizeof(fingerprint));
	if (!ctl_allows(z->ctl, ctl_quic_room(z->ctl, idx)->whole, c->fingerprint)) {
		refuse(z, idx, PLM_CNT_WZP_ACL);
		return;
	}
	c->alias = offer->alias;
	name_of(c, idx, name);
	if (ctl_quic_enter(z->ctl, idx, name, &room_idx) < 0) {
		refuse(z, idx, PLM_CNT_WZP_NO_PLACE);
		return;
	}
	plm_count(&z->ctl->counters, PLM_CNT_WZP_JOINED);
	wzp_tell(z, idx, WZP_MESSAGE_ANSWER);
	enter_stage(z, idx, WZP_STAGE_ROOM, 0);
	wzp_room_join(z, idx, room_idx);
}

/* --- signals ------------------------------------------------------------------------------------- */

/* Does it say more than it may? */
static bool
is_talkative(struct ctl_wzp *z, struct wzp_conn *c)
{
	const uint64_t now_ns = z->ctl->now_ns;

	if (c->signal_tat > now_ns + SIGNAL_BURST * SIGNAL_NS)
		return true;
	c->signal_tat = RTE_MAX(c->signal_tat, now_ns) + SIGNAL_NS;
	return false;
}

static void
in_room(struct ctl_wzp *z, uint32_t idx, const struct plm_wzp_signal *signal)
{
	struct wzp_conn *c = &z->conns[idx];

	switch (signal->type) {
	case PLM_WZP_PING: /* one answer for those that came together, of which the newest may not be the last */
		if (!(c->due & WZP_DUE(WZP_MESSAGE_PONG)) || c->ping_ms < signal->ping.timestamp_ms)
			c->ping_ms = signal->ping.timestamp_ms;
		wzp_tell(z, idx, WZP_MESSAGE_PONG);
		break;
	case PLM_WZP_HANGUP:
		plm_count(&z->ctl->counters, PLM_CNT_WZP_HANGUPS);
		enter_stage(z, idx, WZP_STAGE_LEAVING, LINGER_NS);
		break;
	default:
		plm_count(&z->ctl->counters, PLM_CNT_WZP_SIGNAL_IGNORED);
		break;
	}
}

void
wzp_signal_bad(struct ctl_wzp *z, uint32_t idx, enum plm_counter why)
{
	if (z->conns[idx].stage == WZP_STAGE_TOKEN || z->conns[idx].stage == WZP_STAGE_OFFER)
		refuse(z, idx, why);
	else
		plm_count(&z->ctl->counters, why);
}

void
wzp_signal(struct ctl_wzp *z, uint32_t idx, const char *json, size_t len)
{
	struct wzp_conn *c = &z->conns[idx];
	struct plm_wzp_signal *signal = &z->signal;
	int ret;

	if (c->stage >= WZP_STAGE_LEAVING)
		return;
	if (c->stage == WZP_STAGE_ROOM && is_talkative(z, c)) {
		plm_count(&z->ctl->counters, PLM_CNT_WZP_SIGNAL_RATE);
		return;
	}
	ret = plm_wzp_decode(json, len, signal);
	if (ret < 0) {
		wzp_signal_bad(z, idx,
				ret == -ENOTSUP ? PLM_CNT_WZP_SIGNAL_UNKNOWN
						: PLM_CNT_WZP_SIGNAL_MALFORMED);
		return;
	}
	plm_count(&z->ctl->counters, PLM_CNT_WZP_SIGNALS);
	if (signal->type == PLM_WZP_AUTH_TOKEN)
		plm_crypto_erase(z->json, len);
	if (c->stage == WZP_STAGE_ROOM) {
		in_room(z, idx, signal);
	} else if (c->stage == WZP_STAGE_TOKEN && signal->type == PLM_WZP_AUTH_TOKEN) {
		got_token(z, idx, signal->auth_token.token);
	} else if (c->stage == WZP_STAGE_OFFER && signal->type == PLM_WZP_CALL_OFFER) {
		got_offer(z, idx, signal);
	} else {
		refuse(z, idx, PLM_CNT_WZP_SIGNAL_ORDER);
	}
	if (signal->type == PLM_WZP_AUTH_TOKEN)
		plm_crypto_erase(signal, sizeof(*signal));
}

/* --- telling ------------------------------------------------------------------------------------- */

void
wzp_tell(struct ctl_wzp *z, uint32_t idx, enum wzp_message message)
{
	z->conns[idx].due |= WZP_DUE(message);
	if (!z->conns[idx].is_told)
		told_add(z, idx);
}

/* A signal that is made for one client. 0, -ENOBUFS. */
static int
say_signal(struct ctl_wzp *z, uint32_t idx, enum wzp_message kind)
{
	const struct plm_ctl_conf *conf = &z->ctl->conf;
	struct plm_wzp_signal *signal = &z->signal;
	uint8_t buf[PLM_QUIC_MESSAGE_BYTES];
	int len = 0;

	if (kind == WZP_MESSAGE_ANSWER) {
		len = plm_wzp_answer_make(&z->identity, &conf->rand, signal);
	} else {
		signal->type = PLM_WZP_PONG;
		signal->pong.timestamp_ms = z->conns[idx].ping_ms;
	}
	if (len == 0)
		len = plm_wzp_encode(signal, buf, sizeof(buf));
	return len < 0 ? -ENOBUFS : ctl_quic_say(z->ctl, idx, kind, buf, (size_t)len);
}

/* Whose update it is to be told. */
static uint32_t
update_room(const struct ctl_wzp *z, const struct wzp_conn *c)
{
	for (uint32_t i = 0; plm_mutant(WZP_WRONG_ROOM) && i < z->nb_rooms; i++)
		if (i != c->room_idx && z->rooms[i].blob != NULL)
			return i;
	return c->room_idx;
}

static int
say(struct ctl_wzp *z, uint32_t idx, enum wzp_message kind)
{
	const struct wzp_conn *c = &z->conns[idx];
	const char *build = z->ctl->conf.wzp.build;
	int ret;

	switch (kind) {
	case WZP_MESSAGE_UPDATE:
		ret = ctl_quic_say_blob(z->ctl, idx, kind, z->rooms[update_room(z, c)].blob);
		if (ret == 0)
			plm_count(&z->ctl->counters, PLM_CNT_WZP_UPDATES_SENT);
		return ret;
	case WZP_MESSAGE_VERSION:
		ret = ctl_quic_say(z->ctl, idx, kind, build, strlen(build));
		if (ret == 0)
			enter_stage(z, idx, WZP_STAGE_VERSION, VERSION_NS);
		return ret;
	default:
		return say_signal(z, idx, kind);
	}
}

/* All that is due to one client, in order; false: not all of it could go. */
static bool
say_due(struct ctl_wzp *z, uint32_t idx)
{
	struct wzp_conn *c = &z->conns[idx];

	for (unsigned int kind = 0; c->due != 0; kind++) {
		if (!(c->due & WZP_DUE(kind)))
			continue;
		if (say(z, idx, (enum wzp_message)kind) < 0)
			return false;
		c->due &= (uint8_t)~WZP_DUE(kind);
	}
	return true;
}

static unsigned int
tell_some(struct ctl_wzp *z, unsigned int worker, unsigned int most)
{
	struct wzp_row *row = &z->told[worker];
	unsigned int n;

	most = RTE_MIN(most, row->nb);
	for (n = 0; n < most; n++) {
		uint32_t idx = row->head;

		if (!ctl_quic_may_say(z->ctl, idx))
			break;
		told_remove(z, idx);
		/* For want of an mbuf: others may need one of another kind. */
		if (!say_due(z, idx))
			told_add(z, idx);
	}
	return n;
}

/* --- the turn ------------------------------------------------------------------------------------ */

static void
time_is_up(struct ctl_wzp *z, uint32_t idx)
{
	switch ((enum wzp_stage)z->conns[idx].stage) {
	case WZP_STAGE_TOKEN:
	case WZP_STAGE_AUTH:
	case WZP_STAGE_OFFER:
		refuse(z, idx, PLM_CNT_WZP_TIMEOUT);
		break;
	case WZP_STAGE_LEAVING:
		if (!plm_mutant(WZP_HANGUP_STAYS))
			ctl_quic_end(z->ctl, idx, PLM_END_HANGUP);
		break;
	case WZP_STAGE_VERSION:
		plm_count(&z->ctl->counters, PLM_CNT_WZP_VERSIONS);
		enter_stage(z, idx, WZP_STAGE_NONE, 0);
		ctl_quic_refuse(z->ctl, idx, "");
		break;
	case WZP_STAGE_NONE:
	case WZP_STAGE_ROOM:
		break;
	}
}

static void
timers(struct ctl_wzp *z)
{
	for (unsigned int i = 0; i < TIMERS; i++) {
		uint32_t idx = plm_wheel_next(&z->wheel, z->ctl->now_ns);

		if (idx == PLM_WHEEL_NONE)
			return;
		if (z->conns[idx].deadline_ns <= z->ctl->now_ns)
			time_is_up(z, idx);
		else if (z->conns[idx].deadline_ns != UINT64_MAX)
			plm_wheel_arm(&z->wheel, idx, z->conns[idx].deadline_ns);
	}
}

unsigned int
ctl_wzp_turn(struct plm_ctl *ctl)
{
	struct ctl_wzp *z = ctl->wzp;
	unsigned int left = MESSAGES;
	unsigned int n = 0;

	if (ctl->conf.wzp.auth != NULL)
		n += answers(z);
	if (z->ready.nb > 0)
		n += wzp_stream_turn(z);
	if (ctl->now_ns >= plm_wheel_due(&z->wheel))
		timers(z);
	n += wzp_room_turn(z);
	for (unsigned int w = 0; w < ctl->conf.nb_workers; w++)
		left -= tell_some(z, w, left / (ctl->conf.nb_workers - w));
	return n + MESSAGES - left;
}

/* --- what is shown --------------------------------------------------------------------------------- */

bool
plm_ctl_wzp_shown(const struct plm_ctl *ctl, struct plm_handle session, struct plm_wzp_shown *shown)
{
	uint32_t idx = ctl_quic_slot(ctl, session);
	const struct wzp_conn *c;

	if (idx == WZP_NONE)
		return false;
	c = &ctl->wzp->conns[idx];
	*shown = (struct plm_wzp_shown){
		.alias = c->alias.is_set ? c->alias.text : NULL,
		.has_token = c->has_auth,
		.has_hung_up = c->stage == WZP_STAGE_LEAVING,
	};
	plm_wzp_fingerprint_text(c->fingerprint, shown->fingerprint);
	return true;
}

/* --- made and freed -------------------------------------------------------------------------------- */

int
ctl_wzp_init(struct plm_ctl *ctl, uint32_t nb_conns)
{
	const struct plm_ctl_conf *conf = &ctl->conf;
	struct ctl_wzp *z = calloc(1, sizeof(*z));

	if (z == NULL)
		return -ENOMEM;
	ctl->wzp = z;
	z->ctl = ctl;
	z->nb_conns = nb_conns;
	z->nb_rooms = conf->max_rooms;
	z->old_tail = &z->old;
	z->conns = calloc(nb_conns, sizeof(*z->conns));
	z->rooms = calloc(z->nb_rooms, sizeof(*z->rooms));
	z->timers = calloc(nb_conns, sizeof(*z->timers));
	z->offers = calloc(WZP_OFFERS, sizeof(*z->offers));
	if (conf->wzp.auth != NULL)
		z->cache = plm_auth_cache_create(4 * nb_conns, conf->wzp.auth_cache_ns,
				PLM_AUTH_INVALID_NS);
	if (z->conns == NULL || z->rooms == NULL || z->timers == NULL || z->offers == NULL ||
			(conf->wzp.auth != NULL && z->cache == NULL))
		return -ENOMEM;
	if (plm_wzp_identity_derive(conf->wzp.seed, &z->identity) < 0)
		return -EIO;
	plm_crypto_erase(ctl->conf.wzp.seed, sizeof(ctl->conf.wzp.seed));
	plm_rand_fill(&conf->rand, z->offer_key, sizeof(z->offer_key));
	for (uint32_t i = 0; i < nb_conns; i++) {
		wzp_stream_init(&z->conns[i]);
		z->conns[i].room_idx = WZP_NONE;
		z->conns[i].deadline_ns = UINT64_MAX;
	}
	plm_wheel_init(&z->wheel, z->timers, TICK_NS, plm_clock_now(&conf->clock));
	return 0;
}

void
ctl_wzp_fini(struct plm_ctl *ctl)
{
	struct ctl_wzp *z = ctl->wzp;

	if (z == NULL)
		return;
	for (uint32_t i = 0; z->conns != NULL && i < z->nb_conns; i++)
		for (struct rte_mbuf *m = z->conns[i].parts.head, *next; m != NULL; m = next) {
			next = m->next;
			m->next = NULL;
			rte_pktmbuf_free(m);
		}
	for (uint32_t i = 0; z->rooms != NULL && i < z->nb_rooms; i++)
		free(z->rooms[i].blob);
	while (z->old != NULL) {
		struct plm_quic_blob *blob = z->old;

		z->old = blob->next;
		free(blob);
	}
	plm_auth_cache_free(z->cache);
	plm_crypto_erase(&z->identity, sizeof(z->identity));
	free(z->offers);
	free(z->timers);
	free(z->rooms);
	free(z->conns);
	free(z);
	ctl->wzp = NULL;
}

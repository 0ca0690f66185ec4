/* SPDX-License-Identifier: BSD-3-Clause */
#include "wzp.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include <rte_common.h>

#include "bytes.h"
#include "client.h"
#include "wzp_file.h"

/* Of a frame that we send: that of a token, each byte of which may become six. */
#define FRAME_SIZE (6 * PLM_WZP_TOKEN_MAX + 64)
/* Participants of an update that are named in a line for people. */
#define NAMED_MAX 8

static const struct plm_rand randomness = { .fill = plm_crypto_random };

/* --- signals out ---------------------------------------------------------------------------- */

static void
signal_send(struct participant *p, const struct plm_wzp_signal *signal)
{
	uint8_t *frame = malloc(FRAME_SIZE);
	int len = frame != NULL ? plm_wzp_encode(signal, frame, FRAME_SIZE) : -ENOMEM;

	if (len >= 0 && quic_link_signal(p, frame, (size_t)len) == 0)
		p->wzp.signals_sent++;
	else
		p->wzp.signals_unsent++;
	free(frame);
}

/* Token and offer travel together; the relay reads them in this order. */
static void
ask(struct participant *p, uint64_t now_ns)
{
	const char *token = p->client->conf->token;
	struct wzp_link *wzp = &p->wzp;
	struct plm_wzp_signal signal = { .type = PLM_WZP_AUTH_TOKEN };

	wzp->stage = WZP_ASKED;
	wzp->asked_ns = now_ns;
	if (token != NULL) {
		snprintf(signal.auth_token.token, sizeof(signal.auth_token.token), "%s", token);
		signal_send(p, &signal);
	}
	if (plm_wzp_offer_make(&wzp->id, &randomness, wzp->alias[0] != '\0' ? wzp->alias : NULL,
			    &signal) < 0) {
		wzp->stage = WZP_MISTAKEN;
		wzp->why = "no offer can be made: is the alias UTF-8?";
		return;
	}
	signal_send(p, &signal);
}

static void
ping(struct participant *p, uint64_t now_ns)
{
	struct wzp_link *wzp = &p->wzp;
	struct plm_wzp_signal signal = { .type = PLM_WZP_PING };

	wzp->ping_ns = now_ns + p->client->conf->ping_ns;
	wzp->pinged_ns = now_ns;
	wzp->pinged_ms = (now_ns + p->client->wall_offset_ns) / PLM_NS_PER_MS;
	signal.ping.timestamp_ms = wzp->pinged_ms;
	wzp->pings++;
	signal_send(p, &signal);
}

void
wzp_link_hangup(struct participant *p)
{
	struct plm_wzp_signal signal = { .type = PLM_WZP_HANGUP };

	if (p->wzp.stage != WZP_IN_ROOM)
		return;
	p->wzp.is_hung_up = true;
	signal.hangup.reason = PLM_WZP_REASON_NORMAL;
	signal_send(p, &signal);
}

/* --- what is said of them ------------------------------------------------------------------- */

/* One line about a signal: what is in `o`, or for people. Takes `o`. */
static void
tell(struct participant *p, const char *type, json_t *o, const char *text)
{
	const struct client *client = p->client;
	json_t *line;

	if (client->conf->signals && client->conf->json) {
		line = json_pack("{s:s, s:s, s:f}", "signal", type, "participant", p->name,
				"elapsed_s",
				(double)(client_now() - client->begin_ns) / (double)PLM_NS_PER_S);
		json_object_update(line, o);
		json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
		putchar('\n');
		fflush(stdout);
		json_decref(line);
	} else if (client->conf->signals) {
		client_say(client, p, "%s%s%s", type, text[0] != '\0' ? ": " : "", text);
	}
	json_decref(o);
}

struct listing {
	json_t *list; /* owned until told; NULL: nobody wants to know */
	struct plm_text text;
	unsigned int nb;
};

/* Names are somebody else's bytes: as they would stand in JSON, and in ASCII. */
static void
add_quoted(struct plm_text *text, const char *name)
{
	json_t *string = json_string(name);
	char *quoted = string != NULL ? json_dumps(string, JSON_ENCODE_ANY | JSON_ENSURE_ASCII)
				      : NULL;

	plm_text_add(text, "%s", quoted != NULL ? quoted : "?");
	free(quoted);
	json_decref(string);
}

static void
list_participant(void *ctx, const struct plm_wzp_participant *participant)
{
	struct listing *listing = ctx;

	if (listing->list == NULL)
		return;
	json_array_append_new(listing->list,
			json_pack("{s:s, s:s?, s:s?}", "fingerprint", participant->fingerprint,
					"alias", participant->alias, "relay_label",
					participant->relay_label));
	if (listing->nb++ >= NAMED_MAX)
		return;
	plm_text_add(&listing->text, "%s", listing->nb > 1 ? ", " : " ");
	/* A fingerprint is not checked by anybody. */
	if (participant->alias == NULL)
		add_quoted(&listing->text, participant->fingerprint);
	else
		add_quoted(&listing->text, participant->alias);
}

/* -ENOMSG: it is none. */
static int
take_room_update(struct participant *p, const uint8_t *json, size_t len)
{
	struct wzp_link *wzp = &p->wzp;
	struct listing listing = { .list = p->client->conf->signals ? json_array() : NULL };
	char text_buf[200];
	uint32_t count;
	int ret;

	plm_text_init(&listing.text, text_buf, sizeof(text_buf));
	ret = plm_wzp_room_update_read(json, len, list_participant, &listing, &count);
	if (ret < 0) {
		json_decref(listing.list);
		return ret;
	}
	wzp->room_updates++;
	wzp->members = count;
	if (listing.list != NULL) {
		char line[240];

		snprintf(line, sizeof(line), "%" PRIu32 " participants:%s%s", count, text_buf,
				listing.nb > NAMED_MAX ? " and more" : "");
		tell(p, "RoomUpdate",
				json_pack("{s:I, s:o}", "count", (json_int_t)count, "participants",
						listing.list),
				line);
	}
	return 0;
}

static void
take_answer(struct participant *p, const struct plm_wzp_signal *signal)
{
	struct wzp_link *wzp = &p->wzp;
	uint8_t fp[PLM_WZP_FINGERPRINT];

	wzp->answer_ns = client_now() - p->quic.start_ns;
	wzp->profile = signal->call_answer.profile.codec;
	if (plm_wzp_fingerprint(signal->call_answer.identity_pub, fp) == 0)
		plm_wzp_fingerprint_text(fp, wzp->relay);
	wzp->is_verified = plm_wzp_answer_verify(signal) == 0;
	tell(p, "CallAnswer",
			json_pack("{s:s, s:b, s:s}", "relay", wzp->relay, "verified",
					wzp->is_verified, "profile",
					plm_wzp_codec_name(wzp->profile)),
			wzp->relay);
	if (!wzp->is_verified) {
		wzp->stage = WZP_MISTAKEN;
		wzp->why = "the relay's answer is not signed by the identity that it names";
		return;
	}
	wzp->stage = WZP_IN_ROOM;
	if (p->client->conf->ping_ns != 0)
		wzp->ping_ns = client_now() + p->client->conf->ping_ns;
	if (p->client->conf->no_read)
		wzp_reader_stop(&wzp->reader);
}

static void
take_pong(struct participant *p, uint64_t timestamp_ms)
{
	struct wzp_link *wzp = &p->wzp;
	bool is_ours = wzp->pinged_ns != 0 && timestamp_ms == wzp->pinged_ms;

	wzp->pongs++;
	if (is_ours) {
		wzp->pong_ns = client_now() - wzp->pinged_ns;
		wzp->pinged_ns = 0;
	}
	tell(p, "Pong",
			json_pack("{s:I, s:b}", "timestamp_ms", (json_int_t)timestamp_ms,
					"expected", is_ours),
			is_ours ? "of the last Ping" : "of another Ping");
}

static void
take_other(struct participant *p, const struct plm_wzp_signal *signal)
{
	struct wzp_link *wzp = &p->wzp;
	const char *type = plm_wzp_type_name(signal->type);

	switch (signal->type) {
	case PLM_WZP_QUALITY_DIRECTIVE: {
		const char *codec = plm_wzp_codec_name(signal->quality_directive.profile.codec);
		const struct plm_wzp_text *reason = &signal->quality_directive.reason;

		wzp->directives++;
		wzp->has_directive = true;
		wzp->directive = signal->quality_directive.profile.codec;
		tell(p, type,
				json_pack("{s:s, s:s?}", "codec", codec, "reason",
						reason->is_set ? reason->text : NULL),
				codec);
		break;
	}
	case PLM_WZP_HANGUP: {
		const char *reason = plm_wzp_reason_name(signal->hangup.reason);

		wzp->hangups++;
		tell(p, type, json_pack("{s:s}", "reason", reason), reason);
		break;
	}
	case PLM_WZP_PONG:
		take_pong(p, signal->pong.timestamp_ms);
		break;
	default: /* of no use to a participant */
		tell(p, type, json_object(), "");
		break;
	}
}

/* --- signals in ----------------------------------------------------------------------------- */

static void
take_frame(void *ctx, const uint8_t *json, size_t len)
{
	struct participant *p = ctx;
	struct wzp_link *wzp = &p->wzp;
	struct plm_wzp_signal signal;
	int ret;

	wzp->signals_received++;
	/* Only these may be longer than what else is read. */
	ret = wzp->stage == WZP_IN_ROOM ? take_room_update(p, json, len) : -ENOMSG;
	if (ret == 0)
		return;
	if (ret == -ENOMSG)
		ret = plm_wzp_decode(json, len, &signal);
	if (ret < 0)
		wzp->signals_refused++;
	if (wzp->stage == WZP_IN_ROOM) {
		if (ret == 0)
			take_other(p, &signal);
		return;
	}
	if (ret == 0 && signal.type == PLM_WZP_CALL_ANSWER && wzp->stage == WZP_ASKED) {
		take_answer(p, &signal);
	} else if (wzp->stage == WZP_ASKED) {
		wzp->stage = WZP_MISTAKEN;
		wzp->why = ret < 0 ? "what the relay said first is no signal"
				   : "what the relay said first is no CallAnswer";
	}
}

static void
give_back(void *ctx, int64_t stream_id, size_t len)
{
	struct participant *p = ctx;

	plm_quic_stream_consumed(p->quic.conn, stream_id, len);
}

int
wzp_link_stream(struct participant *p, int64_t stream_id, const uint8_t *buf, size_t len,
		bool has_ended)
{
	return wzp_reader_take(&p->wzp.reader, stream_id, buf, len, has_ended);
}

/* --- media ---------------------------------------------------------------------------------- */

/*
 * A generator's packet is the payload, RTP header and all, and so is the RTCP that ends its stream. An
 * Opus frame may begin as RTP does, but does not go on so.
 */
static bool
is_generated(struct participant *p, const uint8_t *payload, size_t len)
{
	struct gen_stamp stamp;
	struct plm_rtcp rtcp;
	const struct rx_stream *rx;

	if (len == 0)
		return false;
	switch (plm_wire_classify(payload, len)) {
	case PLM_PROTO_RTP:
		return gen_check(payload, len, &stamp) != GEN_FOREIGN;
	case PLM_PROTO_RTCP:
		if (len < 8 || plm_rtcp_parse(payload, len, &rtcp) < 0)
			return false;
		rx = rx_lookup(&p->rx, get_be32(payload + 4));
		return rx != NULL && rx->generated;
	default:
		return false;
	}
}

static void
take_sound(struct participant *p, const struct plm_wzp_media *media, const uint8_t *payload,
		uint64_t now_ns)
{
	struct wzp_link *wzp = &p->wzp;
	static uint8_t buf[PLM_RTP_HDR + CLIENT_DATAGRAM_MAX];
	struct wzp_sender *sender;
	struct plm_rtp rtp;
	size_t len;

	if (wzp->senders == NULL)
		wzp->senders = calloc(1, sizeof(*wzp->senders));
	if (wzp->senders == NULL)
		return;
	sender = wzp_senders_find(wzp->senders, media, now_ns);
	len = wzp_to_rtp(sender, media, payload, p->client->conf->payload_type, &rtp, buf,
			sizeof(buf));
	if (len != 0)
		subscribe_sound(p, &rtp, buf, len, wzp_is_opus(media), now_ns);
}

void
wzp_link_datagram(struct participant *p, const uint8_t *buf, size_t len, uint64_t now_ns)
{
	struct wzp_link *wzp = &p->wzp;
	struct plm_wzp_media media;

	wzp->media_received++;
	if (p->client->record != NULL)
		wzp_file_add(p->client->record, now_ns - p->client->begin_ns, buf, len);
	if (plm_wzp_is_trunk(buf, len)) {
		wzp->trunks++;
	} else if (plm_wzp_media_parse(buf, len, &media) < 0) {
		wzp->media_malformed++;
	} else if (is_generated(p, buf + PLM_WZP_HDR, media.payload_len)) {
		participant_media(p, buf + PLM_WZP_HDR, media.payload_len, now_ns);
	} else {
		take_sound(p, &media, buf + PLM_WZP_HDR, now_ns);
	}
}

size_t
wzp_link_wrap(struct participant *p, enum wzp_wrap wrap, const uint8_t *msg, size_t len,
		uint64_t now_ns, uint8_t *buf, size_t size)
{
	switch (wrap) {
	case WZP_WHOLE:
		return wzp_tx_whole(&p->wzp.tx, now_ns, msg, len, buf, size);
	case WZP_RTP:
		return wzp_tx_rtp(&p->wzp.tx, now_ns, msg, len, buf, size);
	case WZP_RAW:
		if (len > size)
			return 0;
		memcpy(buf, msg, len);
		p->wzp.tx.packets++;
		return len;
	}
	return 0;
}

/* --- a participant -------------------------------------------------------------------------- */

static const struct wzp_reader_ops reader_ops = { .frame = take_frame, .consumed = give_back };

/* What was read from --identity, or somebody new. */
static int
make_identity(struct participant *p)
{
	const struct client_conf *conf = p->client->conf;
	uint8_t seed[PLM_QUIC_SEED_SIZE];
	char why_buf[256];
	struct plm_text why;
	int ret = 0;

	plm_text_init(&why, why_buf, sizeof(why_buf));
	if (conf->identity_path != NULL)
		ret = plm_quic_seed_load(conf->identity_path, &randomness, seed, &why);
	else
		plm_crypto_random(NULL, seed, sizeof(seed));
	if (ret < 0) {
		client_say(p->client, NULL, "--identity: %s", why.buf);
		return ret;
	}
	ret = plm_wzp_identity_derive(seed, &p->wzp.id);
	plm_crypto_erase(seed, sizeof(seed));
	if (ret < 0)
		client_say(p->client, NULL, "identity: %s", strerror(-ret));
	return ret;
}

int
wzp_link_init(struct participant *p)
{
	const struct client_conf *conf = p->client->conf;
	struct wzp_link *wzp = &p->wzp;

	wzp_reader_init(&wzp->reader, &reader_ops, p);
	wzp->tx = (struct wzp_tx){ .codec = conf->codec,
		.has_quality = conf->has_quality,
		.quality = conf->quality };
	if (conf->alias != NULL && conf->clones == 1)
		snprintf(wzp->alias, sizeof(wzp->alias), "%s", conf->alias);
	else if (conf->alias != NULL &&
			snprintf(wzp->alias, sizeof(wzp->alias), "%s-%u", conf->alias, p->idx) >=
					(int)sizeof(wzp->alias)) {
		client_say(p->client, NULL, "alias %s: too long", conf->alias);
		return -ENAMETOOLONG;
	}
	return make_identity(p);
}

void
wzp_link_fini(struct participant *p)
{
	wzp_reader_fini(&p->wzp.reader);
	free(p->wzp.senders);
	plm_crypto_erase(&p->wzp.id, sizeof(p->wzp.id));
}

uint64_t
wzp_link_turn(struct participant *p, uint64_t now_ns)
{
	struct wzp_link *wzp = &p->wzp;

	if (wzp->stage == WZP_CONNECTING)
		ask(p, now_ns);
	if (wzp->stage == WZP_ASKED) {
		if (now_ns < wzp->asked_ns + WZP_ANSWER_NS)
			return wzp->asked_ns + WZP_ANSWER_NS;
		wzp->stage = WZP_UNANSWERED;
	}
	if (wzp->stage != WZP_IN_ROOM || wzp->ping_ns == 0 || wzp->is_hung_up)
		return UINT64_MAX;
	if (now_ns >= wzp->ping_ns)
		ping(p, now_ns);
	return wzp->ping_ns;
}

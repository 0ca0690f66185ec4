/* SPDX-License-Identifier: BSD-3-Clause */
/* What WZP clients say and read on the streams of their connections, and an auth server. All of it runs between two
 * steps of the relay's lcores, but for the auth server's two functions, which are the slow path's. */
#include "wzp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "packet.h"
#include "quic.h"

#define NONE SIM_WZP_NONE
/* Of frames that are no signals: of more than fits a packet, too. */
#define BODY_MAX 6000
/* How long after its time a late answer comes, at most: the relay waits for one second. */
#define LATE_NS (2500 * PLM_NS_PER_MS)

static const uint8_t relay_seed[PLM_WZP_KEY] = { 23 };

/* Identities by number: made when they are first needed, the same in every run. */
static struct {
	struct plm_wzp_identity list[SIM_PEERS];
	bool made[SIM_PEERS];
} identities;

static void
fixed(void *ctx, void *buf, size_t len)
{
	memset(buf, 41, len);
}

void
sim_wzp_world(void)
{
	plm_wzp_init(&(struct plm_rand){ fixed, NULL });
}

static const struct plm_wzp_identity *
identity(unsigned int i)
{
	struct sim_rng rng = sim_rng_keyed(i, 13, 13);
	uint8_t seed[PLM_WZP_KEY];

	sim_fill(&rng, seed, sizeof(seed));
	if (!identities.made[i] && plm_wzp_identity_derive(seed, &identities.list[i]) < 0)
		abort();
	identities.made[i] = true;
	return &identities.list[i];
}

/* --- auth server --------------------------------------------------------------------------- */

bool
sim_wzp_token_is_good(const struct sim_run *run, unsigned int peer, uint64_t at_ns)
{
	const struct sim_wzp *z = &run->quic->wzp;

	return run->plan->peers[peer].token != SIM_TOKEN_INVALID &&
			(z->revoked_ns[peer] == 0 || at_ns < z->revoked_ns[peer]);
}

/* Whom the server gave a peer's token to. */
static void
token_fingerprint(const struct sim_peer *peer, uint8_t fingerprint[PLM_WZP_FINGERPRINT])
{
	memcpy(fingerprint, identity(peer->identity)->fingerprint, PLM_WZP_FINGERPRINT);
	if (peer->token == SIM_TOKEN_FOREIGN)
		fingerprint[0] ^= 0xff;
}

static int
ask(void *ctx, uint32_t id, uint32_t gen, const char *token, size_t len)
{
	struct sim_run *run = ctx;
	struct sim_wzp *z = &run->quic->wzp;
	struct sim_wzp_ask *a = &z->asks[z->nb_asks];
	struct sim_rng rng = sim_rng_keyed(run->plan->seed + 14, id, gen);
	unsigned int peer;
	unsigned int kind;

	if (z->nb_asks >= run->plan->sizes.wzp_asks) {
		z->was_busy = true;
		return -EBUSY;
	}
	if (sscanf(token, "token %u of %u", &kind, &peer) != 2 || peer >= run->plan->nb_peers ||
			kind != run->plan->peers[peer].token) {
		sim_fail(SIM_INV_CONTENT, "the auth server is asked of a token that nobody has");
		return -EINVAL;
	}
	z->nb_asks++;
	*a = (struct sim_wzp_ask){ .id = id,
		.gen = gen,
		.peer = (uint16_t)peer,
		.token = (uint8_t)kind,
		.is_failed = z->is_down || kind == SIM_TOKEN_SILENT || kind == SIM_TOKEN_LATE,
		.at_ns = run->now_ns + sim_below(&rng, 60) * PLM_NS_PER_MS };
	if (kind == SIM_TOKEN_SLOW)
		a->at_ns += sim_below(&rng, run->plan->sizes.wzp_auth_ns);
	if (kind == SIM_TOKEN_SILENT || (z->is_down && z->is_silent))
		a->at_ns = run->now_ns + run->plan->sizes.wzp_auth_ns;
	if (kind == SIM_TOKEN_LATE)
		a->at_ns = run->now_ns + run->plan->sizes.wzp_auth_ns + sim_below(&rng, LATE_NS);
	return 0;
}

static bool
answer(void *ctx, struct plm_auth_answer *to)
{
	struct sim_run *run = ctx;
	struct sim_wzp *z = &run->quic->wzp;
	struct sim_wzp_ask *a = NULL;

	for (unsigned int i = 0; i < z->nb_asks; i++)
		if (a == NULL || z->asks[i].at_ns < a->at_ns)
			a = &z->asks[i];
	if (a == NULL || a->at_ns > run->now_ns)
		return false;
	*to = (struct plm_auth_answer){ .id = a->id, .gen = a->gen, .verdict = PLM_AUTH_INVALID };
	if (a->is_failed) {
		to->verdict = PLM_AUTH_FAILED;
	} else if (sim_wzp_token_is_good(run, a->peer, run->now_ns)) {
		to->verdict = PLM_AUTH_VALID;
		token_fingerprint(&run->plan->peers[a->peer], to->fingerprint);
	}
	*a = z->asks[--z->nb_asks];
	return true;
}

uint64_t
sim_wzp_next(const struct sim_run *run)
{
	const struct sim_wzp *z = &run->quic->wzp;
	uint64_t next_ns = UINT64_MAX;

	for (unsigned int i = 0; i < z->nb_asks; i++)
		next_ns = RTE_MIN(next_ns, z->asks[i].at_ns);
	return next_ns;
}

void
sim_wzp_revoke(struct sim_run *run, unsigned int peer)
{
	struct sim_wzp *z = &run->quic->wzp;

	if (z->revoked_ns[peer] == 0)
		z->revoked_ns[peer] = run->now_ns;
}

void
sim_wzp_server(struct sim_run *run, bool is_down, bool is_silent)
{
	struct sim_wzp *z = &run->quic->wzp;

	z->is_down = is_down;
	z->is_silent = is_silent;
	z->down_ns = run->now_ns;
}

/* --- saying -------------------------------------------------------------------------------- */

static void
rand_fill(void *ctx, void *buf, size_t len)
{
	sim_fill(&((struct sim_quic *)ctx)->rng, buf, len);
}

/* On a stream of its own. What waits for credit for too long is not said. */
static void
send_bytes(struct sim_quic_client *c, const void *buf, size_t len, bool uni)
{
	struct plm_quic_chunk *chunk = calloc(1, sizeof(*chunk) + len);

	if (chunk == NULL)
		abort();
	memcpy(chunk + 1, buf, len);
	chunk->buf = (const uint8_t *)(chunk + 1);
	chunk->len = (uint32_t)len;
	chunk->uni = uni;
	if (plm_quic_stream_send(c->conn, chunk) < 0)
		free(chunk);
}

static void
send_frame(struct sim_quic_client *c, const char *json, size_t says, size_t len)
{
	static uint8_t frame[PLM_WZP_LENGTH + BODY_MAX];
	const rte_be32_t prefix = rte_cpu_to_be_32((uint32_t)says);

	memset(frame, ' ', sizeof(frame));
	memcpy(frame, &prefix, sizeof(prefix));
	memcpy(frame + PLM_WZP_LENGTH, json, strlen(json));
	send_bytes(c, frame, PLM_WZP_LENGTH + len, false);
}

static void
send_signal(struct sim_quic_client *c, const struct plm_wzp_signal *signal)
{
	uint8_t frame[SIM_WZP_OFFER];
	const int len = plm_wzp_encode(signal, frame, sizeof(frame));

	if (len < 0)
		abort();
	send_bytes(c, frame, (size_t)len, false);
}

static void
send_junk(struct sim_quic_client *c, enum sim_signal kind, struct sim_rng *rng)
{
	static const char *const junk[] = { "", "nonsense", "{\"Ping\":{}}", "{\"Ping\":", "[1]",
		"\"Ping\"", "{\"Hangup\":{\"reason\":\"Bored\"}}", "\xff\xfe", "{}" };
	static const char whisper[] = "{\"Whisper\":{\"to\":\"nobody\"}}";
	const char *json = SIM_PICK(rng, junk);
	const size_t big = sim_range(rng, PLM_WZP_SIGNAL_MAX + 1, UINT32_MAX);
	const size_t whole = sim_range(rng, 2000, PLM_WZP_SIGNAL_MAX);

	switch (kind) {
	case SIM_SIGNAL_BIG:
		send_frame(c, "", big, sim_below(rng, BODY_MAX));
		break;
	case SIM_SIGNAL_SHORT:
		send_frame(c, "", whole, sim_below(rng, 1999));
		break;
	case SIM_SIGNAL_UNKNOWN:
		send_frame(c, whisper, strlen(whisper), strlen(whisper));
		break;
	default:
		send_frame(c, json, strlen(json), strlen(json));
		break;
	}
}

static void
send_token(struct sim_run *run, struct sim_quic_client *c)
{
	static struct plm_wzp_signal signal;

	if (!run->plan->sizes.wzp_auth)
		return;
	signal = (struct plm_wzp_signal){ .type = PLM_WZP_AUTH_TOKEN };
	snprintf(signal.auth_token.token, sizeof(signal.auth_token.token), "token %u of %u",
			c->peer->token, c->peer->idx);
	send_signal(c, &signal);
}

static void
offer_make(struct sim_run *run, struct sim_quic_client *c)
{
	const struct plm_rand rand = { rand_fill, run->quic };
	struct sim_wzp_client *w = &c->wzp;
	static struct plm_wzp_signal signal;
	char alias[32];
	int len;

	snprintf(alias, sizeof(alias), "t%" PRIu32, w->try);
	if (plm_wzp_offer_make(&w->identity, &rand, alias, &signal) < 0)
		abort();
	if (run->quic->wzp.tries[w->try].intro == SIM_INTRO_FORGED)
		signal.call_offer.ephemeral_pub[5] ^= 4;
	len = plm_wzp_encode(&signal, w->offer, sizeof(w->offer));
	if (len < 0)
		abort();
	w->offer_len = (uint16_t)len;
}

void
sim_wzp_begin(struct sim_run *run, struct sim_quic_client *c)
{
	struct sim_wzp *z = &run->quic->wzp;
	struct sim_wzp_client *w = &c->wzp;
	struct sim_wzp_try *try;

	z->tries = sim_grow(z->tries, &z->size_tries, z->nb_tries + 1, sizeof(*z->tries));
	try = &z->tries[z->nb_tries];
	*try = (struct sim_wzp_try){ .peer = c->peer->idx,
		.intro = w->intro,
		.slot = NONE,
		.state = NONE,
		.begun_ns = run->now_ns };
	/* Before anybody came in there is none to be replayed. */
	if (try->intro == SIM_INTRO_REPLAYED && z->seen_len == 0)
		try->intro = SIM_INTRO_FORGED;
	if (run->plan->sizes.wzp_auth)
		token_fingerprint(c->peer, try->fingerprint);
	else
		memcpy(try->fingerprint, w->identity.fingerprint, sizeof(try->fingerprint));
	w->try = z->nb_tries++;
	w->intro = SIM_INTRO_GOOD;
	w->intros |= (uint16_t)(1u << try->intro);
	w->stream_id = 1;
	w->is_answered = false;
	w->told = NONE;
	w->nb_said = 0;
	w->ping = w->pong = 0;
	memset(w->answered, 0, sizeof(w->answered));
	w->offer_len = 0;
}

void
sim_wzp_introduce(struct sim_run *run, struct sim_quic_client *c)
{
	struct sim_wzp *z = &run->quic->wzp;
	const enum sim_intro intro = z->tries[c->wzp.try].intro;
	struct sim_rng rng = sim_rng_keyed(run->plan->seed + 15, c->peer->idx, c->gen);
	const struct plm_wzp_signal ping = { .type = PLM_WZP_PING, .ping.timestamp_ms = 1 };

	run->fired.world[SIM_WORLD_WZP_STRANGE] += intro != SIM_INTRO_GOOD;
	switch (intro) {
	case SIM_INTRO_SILENT:
		return;
	case SIM_INTRO_JUNK:
		send_junk(c, SIM_SIGNAL_JUNK, &rng);
		break;
	case SIM_INTRO_BIG:
		send_junk(c, SIM_SIGNAL_BIG, &rng);
		break;
	case SIM_INTRO_SHORT:
		send_junk(c, SIM_SIGNAL_SHORT, &rng);
		break;
	case SIM_INTRO_UNKNOWN:
		send_junk(c, SIM_SIGNAL_UNKNOWN, &rng);
		break;
	case SIM_INTRO_ORDER:
		send_signal(c, &ping);
		break;
	default:
		break;
	}
	send_token(run, c);
	if (intro == SIM_INTRO_REPLAYED) {
		send_bytes(c, z->seen, z->seen_len, false);
		return;
	}
	offer_make(run, c);
	send_bytes(c, c->wzp.offer, c->wzp.offer_len, false);
}

void
sim_wzp_say(struct sim_run *run, struct sim_quic_client *c, enum sim_signal kind)
{
	struct sim_wzp_client *w = &c->wzp;
	struct sim_rng rng = sim_rng_keyed(run->plan->seed + 16, c->peer->idx, w->nb_said);
	struct plm_wzp_signal signal = { .type = PLM_WZP_PING };

	w->nb_said++;
	switch (kind) {
	case SIM_SIGNAL_PING:
		signal.ping.timestamp_ms = ++w->ping;
		send_signal(c, &signal);
		break;
	case SIM_SIGNAL_MUTE:
		send_frame(c, "\"Mute\"", 6, 6);
		break;
	case SIM_SIGNAL_OFFER:
		send_bytes(c, w->offer, w->offer_len, false);
		break;
	case SIM_SIGNAL_TOKEN:
		send_token(run, c);
		break;
	case SIM_SIGNAL_UNI:
		send_bytes(c, "nothing", 7, true);
		break;
	default:
		run->fired.world[SIM_WORLD_WZP_JUNK]++;
		send_junk(c, kind, &rng);
		break;
	}
}

void
sim_wzp_hang_up(struct sim_run *run, struct sim_quic_client *c)
{
	const struct plm_wzp_signal signal = { .type = PLM_WZP_HANGUP,
		.hangup.reason = PLM_WZP_REASON_NORMAL };

	run->fired.world[SIM_WORLD_WZP_HANGUP]++;
	run->quic->wzp.tries[c->wzp.try].hung_ns = run->now_ns;
	send_signal(c, &signal);
}

/* --- hearing ------------------------------------------------------------------------------- */

static struct sim_wzp_stream *
stream_find(struct sim_wzp_client *w, int64_t id)
{
	for (uint32_t i = 0; i < w->nb_streams; i++)
		if (w->streams[i].id == id)
			return &w->streams[i];
	return NULL;
}

static struct sim_wzp_stream *
stream_get(struct sim_wzp_client *w, int64_t id)
{
	struct sim_wzp_stream *s = stream_find(w, id);

	if (s != NULL)
		return s;
	w->streams = sim_grow(w->streams, &w->size_streams, w->nb_streams + 1, sizeof(*s));
	s = &w->streams[w->nb_streams++];
	*s = (struct sim_wzp_stream){ .id = id };
	return s;
}

static void
frame_read(struct sim_run *run, struct sim_quic_client *c, const struct sim_wzp_stream *s)
{
	const int64_t last_id = 1 + 4 * ((int64_t)run->plan->sizes.wzp_streams - 1);
	rte_be32_t prefix = 0;

	run->fired.world[SIM_WORLD_WZP_CREDIT] += c->peer->reads_answer_only && s->id == last_id;
	if (s->len >= PLM_WZP_LENGTH)
		memcpy(&prefix, s->buf, sizeof(prefix));
	if (s->len < PLM_WZP_LENGTH || s->len - PLM_WZP_LENGTH != rte_be_to_cpu_32(prefix))
		sim_fail(SIM_INV_SIGNALS,
				"%s gets a signal of %" PRIu32 " bytes that says it has %" PRIu32,
				c->peer->name, s->len, rte_be_to_cpu_32(prefix));
	else
		sim_wzp_told(run, c, s->buf + PLM_WZP_LENGTH, s->len - PLM_WZP_LENGTH);
}

/* In the order of the streams; of one that was given up there is nothing to be read. */
static void
streams_read(struct sim_run *run, struct sim_quic_client *c)
{
	struct sim_wzp_client *w = &c->wzp;

	for (;;) {
		struct sim_wzp_stream *s = stream_find(w, w->stream_id);

		if (s == NULL || !(s->is_over || s->is_reset))
			return;
		if (!s->is_reset)
			frame_read(run, c, s);
		else
			run->fired.world[SIM_WORLD_WZP_GIVEN_UP]++;
		free(s->buf);
		*s = w->streams[--w->nb_streams];
		w->stream_id += 4;
	}
}

void
sim_wzp_got(struct sim_run *run, struct sim_quic_client *c, int64_t stream_id, const uint8_t *buf,
		size_t len, bool is_over)
{
	struct sim_wzp_stream *s = stream_get(&c->wzp, stream_id);

	s->buf = sim_grow(s->buf, &s->size, s->len + (uint32_t)len, 1);
	if (len > 0)
		memcpy(s->buf + s->len, buf, len);
	s->len += (uint32_t)len;
	s->is_over |= is_over;
	streams_read(run, c);
}

void
sim_wzp_reset(struct sim_run *run, struct sim_quic_client *c, int64_t stream_id)
{
	if (stream_id < c->wzp.stream_id)
		return;
	stream_get(&c->wzp, stream_id)->is_reset = true;
	streams_read(run, c);
}

void
sim_wzp_gone(struct sim_quic_client *c)
{
	struct sim_wzp_client *w = &c->wzp;

	while (w->nb_streams > 0)
		free(w->streams[--w->nb_streams].buf);
}

/* --- made and freed ------------------------------------------------------------------------ */

void
sim_wzp_conf(struct sim_run *run, struct plm_ctl_wzp_conf *conf)
{
	const struct sim_sizes *sizes = &run->plan->sizes;

	conf->open_rooms = !sizes->wzp_auth;
	conf->auth = sizes->wzp_auth ? &run->quic->wzp.auth : NULL;
	conf->match_identity = sizes->wzp_match;
	conf->auth_cache_ns = sizes->wzp_cache_ns;
	conf->auth_timeout_ns = sizes->wzp_auth_ns;
	conf->join_timeout_ns = sizes->wzp_join_ns;
	memcpy(conf->seed, relay_seed, sizeof(conf->seed));
}

void
sim_wzp_create(struct sim_run *run)
{
	struct sim_quic *q = run->quic;
	struct sim_wzp *z = &q->wzp;

	z->by_slot = calloc(q->nb_slots, sizeof(*z->by_slot));
	if (z->by_slot == NULL || plm_wzp_identity_derive(relay_seed, &z->relay) < 0)
		abort();
	for (uint32_t i = 0; i < q->nb_slots; i++)
		z->by_slot[i] = NONE;
	z->auth = (struct plm_auth){ .ask = ask, .answer = answer, .ctx = run };
	for (unsigned int i = 0; i < q->nb_clients; i++) {
		q->clients[i].wzp.identity = *identity(q->clients[i].peer->identity);
		q->clients[i].wzp.try = NONE;
	}
	for (unsigned int i = 0; i < run->plan->nb_rooms; i++) {
		struct sim_wzp_room *room = &z->rooms[i];

		room->states = sim_grow(NULL, &room->size_states, 1, sizeof(*room->states));
		room->states[0] = (struct sim_wzp_state){ 0 };
		room->nb_states = 1;
	}
}

void
sim_wzp_free(struct sim_run *run)
{
	struct sim_quic *q = run->quic;

	for (unsigned int i = 0; i < q->nb_clients; i++) {
		sim_wzp_gone(&q->clients[i]);
		free(q->clients[i].wzp.streams);
	}
	for (unsigned int i = 0; i < SIM_ROOMS; i++) {
		free(q->wzp.rooms[i].states);
		free(q->wzp.rooms[i].lists);
	}
	free(q->wzp.tries);
	free(q->wzp.by_slot);
}

void
sim_wzp_rule(const struct sim_run *run, unsigned int room_idx, struct plm_room_rule *rule)
{
	const struct sim_room *room = &run->plan->rooms[room_idx];

	rule->nb_allow = 0;
	for (unsigned int i = 0; i < room->nb_peers && room->has_list; i++) {
		const struct sim_peer *peer = &run->plan->peers[room->peers[i]];

		if (peer->is_allowed && rule->nb_allow < PLM_ROOM_ALLOW)
			memcpy(rule->allow[rule->nb_allow++], identity(peer->identity)->fingerprint,
					PLM_WZP_FINGERPRINT);
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may join a room over WZP, and what its members must be told.
 *
 * A connection's offer carries its number as an alias, so a RoomUpdate names connections, not people. What the relay
 * says of admissions and ends makes a row of states of each room; each update that a client reads must be one of
 * these, later than the one before. So nobody is told of another room, of an order that never was, of the same thing
 * twice, or that somebody came back who did not.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl_priv.h"
#include "oracle_priv.h"
#include "packet.h"
#include "quic.h"
#include "wzp_priv.h"

#define NONE SIM_WZP_NONE
/* The slow path's clock is that of a turn, and a timer is found late. */
#define SLACK_NS (300 * PLM_NS_PER_MS)
/* Who has hung up may stay for so long. */
#define LINGER_NS (3 * PLM_NS_PER_S)
/* What is on its way for longer has been lost. */
#define TRAVEL_NS PLM_NS_PER_S
/* Who says who it is has joined by then, or is refused: even if the auth server takes its time. */
#define JOIN_NS (2 * PLM_NS_PER_S)
/* Signals that are read of one client in any case. */
#define BURST 50

void
sim_wzp_spoke(struct sim_run *run, const struct sim_quic_client *c)
{
	struct sim_wzp *z = &run->quic->wzp;

	/* What is sent to a connection that is gone says nothing of who has its slot now. */
	if (c->slot >= run->quic->nb_slots ||
			ctl_quic_table(run->ctl)->slots[c->slot].gen != c->slot_gen)
		return;
	z->by_slot[c->slot] = c->wzp.try;
	z->tries[c->wzp.try].slot = c->slot;
}

uint32_t
sim_wzp_try_of(const struct sim_run *run, uint32_t slot)
{
	return run->quic->wzp.by_slot[slot];
}

/* --- the states of a room ------------------------------------------------------------------ */

static struct sim_wzp_room *
room_of(struct sim_run *run, uint32_t try)
{
	struct sim_wzp *z = &run->quic->wzp;

	return &z->rooms[run->plan->peers[z->tries[try].peer].room];
}

/* Add a state: the last one, and somebody more, or less. Its index. */
static uint32_t
change(struct sim_wzp_room *room, uint32_t try, bool joins)
{
	const struct sim_wzp_state last = room->states[room->nb_states - 1];
	struct sim_wzp_state *next;

	room->lists = sim_grow(room->lists, &room->size_lists, room->nb_lists + last.nb + 1,
			sizeof(*room->lists));
	room->states = sim_grow(room->states, &room->size_states, room->nb_states + 1,
			sizeof(*room->states));
	next = &room->states[room->nb_states];
	*next = (struct sim_wzp_state){ .first = room->nb_lists };
	for (uint32_t i = 0; i < last.nb; i++)
		if (room->lists[last.first + i] != try)
			room->lists[next->first + next->nb++] = room->lists[last.first + i];
	if (joins)
		room->lists[next->first + next->nb++] = try;
	room->nb_lists += next->nb;
	return room->nb_states++;
}

static bool
is_state(const struct sim_wzp_room *room, uint32_t state, const uint32_t *list, uint32_t nb)
{
	const struct sim_wzp_state *s = &room->states[state];

	return s->nb == nb &&
			(nb == 0 || memcmp(&room->lists[s->first], list, nb * sizeof(*list)) == 0);
}

/* --- who may come in ----------------------------------------------------------------------- */

static bool
is_listed(const struct sim_run *run, const struct sim_peer *peer, const uint8_t *fingerprint)
{
	struct plm_room_rule rule;

	sim_wzp_rule(run, peer->room, &rule);
	for (unsigned int i = 0; i < rule.nb_allow; i++)
		if (memcmp(rule.allow[i], fingerprint, PLM_WZP_FINGERPRINT) == 0)
			return true;
	return rule.nb_allow == 0;
}

/* Could the token be known as a good one when the connection had begun? */
static bool
is_token_known(const struct sim_run *run, const struct sim_wzp_try *t)
{
	const struct sim_peer *peer = &run->plan->peers[t->peer];
	const uint64_t revoked_ns = run->quic->wzp.revoked_ns[t->peer];

	if (!run->plan->sizes.wzp_auth)
		return true;
	if (peer->token == SIM_TOKEN_INVALID || peer->token == SIM_TOKEN_SILENT ||
			peer->token == SIM_TOKEN_LATE ||
			(peer->token == SIM_TOKEN_FOREIGN && run->plan->sizes.wzp_match))
		return false;
	return revoked_ns == 0 ||
			t->begun_ns < revoked_ns + run->plan->sizes.wzp_cache_ns + SLACK_NS;
}

static void
offer_seen(struct sim_run *run, uint32_t try)
{
	struct sim_quic *q = run->quic;
	const struct sim_quic_client *c = sim_quic_client(run, q->wzp.tries[try].peer);

	if (c->wzp.try != try || c->wzp.offer_len == 0)
		return;
	memcpy(q->wzp.seen, c->wzp.offer, c->wzp.offer_len);
	q->wzp.seen_len = c->wzp.offer_len;
}

void
sim_wzp_admitted(struct sim_run *run, uint32_t slot, const struct plm_event *e)
{
	const uint32_t try = sim_wzp_try_of(run, slot);
	struct sim_wzp_try *t = &run->quic->wzp.tries[try];
	const struct sim_peer *peer = &run->plan->peers[t->peer];
	char hex[2 * PLM_WZP_FINGERPRINT + 1];

	for (unsigned int i = 0; i < PLM_WZP_FINGERPRINT; i++)
		snprintf(&hex[2 * i], 3, "%02x", t->fingerprint[i]);
	SIM_EXPECT(memcmp(e->participant, hex, 2 * PLM_WZP_FINGERPRINT) == 0, ADMISSION,
			"%s is admitted as %s", peer->name, e->participant);
	SIM_EXPECT(!t->is_admitted, ADMISSION, "%s is admitted twice by one connection",
			peer->name);
	SIM_EXPECT(t->intro == SIM_INTRO_GOOD, ADMISSION,
			"%s is admitted, and introduced itself badly (%u)", peer->name, t->intro);
	SIM_EXPECT(is_listed(run, peer, t->fingerprint), ADMISSION,
			"%s is admitted, and the room's rule does not list it", peer->name);
	SIM_EXPECT(is_token_known(run, t), ADMISSION,
			"%s is admitted by a token that is no good, or has been none for %" PRIu64
			" ms",
			peer->name,
			run->quic->wzp.revoked_ns[t->peer] == 0
					? 0
					: (run->now_ns - run->quic->wzp.revoked_ns[t->peer]) /
							PLM_NS_PER_MS);
	t->is_admitted = true;
	t->slot = slot;
	t->state = change(room_of(run, try), try, true);
	offer_seen(run, try);
}

void
sim_wzp_ended(struct sim_run *run, uint32_t try, const struct plm_event *e)
{
	const struct sim_wzp_try *t = &run->quic->wzp.tries[try];

	if (strcmp(e->reason, "hangup") == 0)
		SIM_EXPECT(t->hung_ns != 0 && run->now_ns + SLACK_NS >= t->hung_ns + LINGER_NS,
				CONSENT, "%s is said to have hung up",
				run->plan->peers[t->peer].name);
	change(room_of(run, try), try, false);
}

static bool
anything_fired(const struct sim_run *run)
{
	for (unsigned int i = 0; i < PLM_FAULT_MAX; i++)
		if (run->fired.site[i] > 0)
			return true;
	return run->fired.world[SIM_WORLD_WORKER_STALL] > 0 ||
			run->fired.world[SIM_WORLD_CTL_STALL] > 0;
}

static bool
is_late(const struct sim_run *run, const struct sim_quic_client *c)
{
	const struct sim_sizes *sizes = &run->plan->sizes;

	/* An lcore that others preempt may stay away for long. */
	return c->phase != SIM_QUIC_JOINING || anything_fired(run) ||
			(run->plan->pace.preempt > 0 && run->plan->pace.nap > 0) ||
			(c->wzp.intros & 1u << SIM_INTRO_SILENT) ||
			(sizes->wzp_auth && c->peer->token == SIM_TOKEN_LATE) ||
			(c->disturbed_ns != 0 &&
					run->now_ns < c->disturbed_ns + 2 * sizes->wzp_join_ns);
}

/* Has who is refused given cause for it? */
static bool
refusal_due(const struct sim_run *run, const struct sim_quic_client *c, const char *reason)
{
	const struct sim_wzp *z = &run->quic->wzp;
	const struct sim_sizes *sizes = &run->plan->sizes;
	const struct {
		const char *reason;
		bool is_due;
	} causes[] = {
		{ "wzp_signal_malformed", c->wzp.intros & 1u << SIM_INTRO_JUNK },
		{ "wzp_signal_unknown", c->wzp.intros & 1u << SIM_INTRO_UNKNOWN },
		{ "wzp_signal_big", c->wzp.intros & 1u << SIM_INTRO_BIG },
		{ "wzp_signal_short", c->wzp.intros & 1u << SIM_INTRO_SHORT },
		{ "wzp_signal_order", c->wzp.intros & 1u << SIM_INTRO_ORDER },
		{ "wzp_signature", c->wzp.intros & 1u << SIM_INTRO_FORGED },
		{ "wzp_replayed", c->wzp.intros & 1u << SIM_INTRO_REPLAYED },
		{ "wzp_identity", c->peer->token == SIM_TOKEN_FOREIGN && sizes->wzp_match },
		{ "wzp_acl", !is_listed(run, c->peer, z->tries[c->wzp.try].fingerprint) },
		{ "wzp_auth_invalid", !sim_wzp_token_is_good(run, c->peer->idx, run->now_ns) },
		{ "wzp_auth_failed",
				c->peer->token == SIM_TOKEN_SILENT ||
						c->peer->token == SIM_TOKEN_LATE ||
						z->down_ns != 0 },
		{ "wzp_auth_busy", z->was_busy },
		{ "wzp_timeout", is_late(run, c) },
		{ "wzp_no_place",
				run->oracle->draining || run->oracle->ending ||
						anything_fired(run) || sizes->max_backlog < 100 },
	};

	for (unsigned int i = 0; i < RTE_DIM(causes); i++)
		if (strcmp(causes[i].reason, reason) == 0)
			return causes[i].is_due;
	return false;
}

void
sim_wzp_refused(struct sim_run *run, const struct plm_event *e)
{
	unsigned int addr;
	const struct sim_peer *peer = !e->has_tuple
			? NULL
			: sim_peer_by_port(run->plan, rte_be_to_cpu_16(e->tuple.port), &addr);

	if (strncmp(e->reason, "wzp_", 4) != 0)
		return;
	if (peer == NULL || !peer->is_quic) {
		sim_fail(SIM_INV_ADMISSION, "nobody is refused: %s", e->reason);
		return;
	}
	run->fired.world[SIM_WORLD_WZP_REFUSED]++;
	SIM_EXPECT(refusal_due(run, sim_quic_client(run, peer->idx), e->reason), ADMISSION,
			"%s is refused without a cause: %s", peer->name, e->reason);
}

/* --- what clients are told ----------------------------------------------------------------- */

struct list {
	struct sim_run *run;
	const struct sim_quic_client *c;
	uint32_t tries[SIM_QUICS];
	uint32_t nb;
};

static void
participant(void *ctx, const struct plm_wzp_participant *p)
{
	struct list *list = ctx;
	struct sim_run *run = list->run;
	const struct sim_wzp *z = &run->quic->wzp;
	uint8_t fingerprint[PLM_WZP_FINGERPRINT];
	uint32_t try = NONE;

	if (p->alias != NULL)
		sscanf(p->alias, "t%" SCNu32, &try);
	if (try >= z->nb_tries || list->nb == RTE_DIM(list->tries) ||
			plm_wzp_fingerprint_read(p->fingerprint, strlen(p->fingerprint),
					fingerprint) < 0) {
		sim_fail(SIM_INV_SIGNALS, "%s is told of nobody, or of too many",
				list->c->peer->name);
		return;
	}
	list->tries[list->nb++] = try;
	SIM_EXPECT(memcmp(fingerprint, z->tries[try].fingerprint, sizeof(fingerprint)) == 0 &&
					p->relay_label == NULL,
			SIGNALS, "%s is told of %s with another fingerprint, or of another relay",
			list->c->peer->name, run->plan->peers[z->tries[try].peer].name);
	SIM_EXPECT(run->plan->peers[z->tries[try].peer].room == list->c->peer->room, SIGNALS,
			"%s of room %u is told of %s", list->c->peer->name, list->c->peer->room,
			run->plan->peers[z->tries[try].peer].name);
}

static void
told_room(struct sim_run *run, struct sim_quic_client *c, const uint8_t *json, size_t len)
{
	struct list list = { .run = run, .c = c };
	const struct sim_wzp_room *room = room_of(run, c->wzp.try);
	const struct sim_wzp_try *t = &run->quic->wzp.tries[c->wzp.try];
	uint32_t count;
	uint32_t state;

	if (plm_wzp_room_update_read(json, len, participant, &list, &count) < 0 ||
			count != list.nb) {
		sim_fail(SIM_INV_SIGNALS, "%s gets an update that cannot be read", c->peer->name);
		return;
	}
	if (run->failed)
		return;
	state = c->wzp.told == NONE ? t->state : c->wzp.told + 1;
	while (state < room->nb_states && !is_state(room, state, list.tries, list.nb))
		state++;
	if (state == room->nb_states) {
		sim_fail(SIM_INV_SIGNALS,
				"%s is told of %" PRIu32 " participants, as it never was since",
				c->peer->name, list.nb);
		return;
	}
	run->fired.world[SIM_WORLD_WZP_SKIPPED] +=
			state > (c->wzp.told == NONE ? t->state : c->wzp.told + 1);
	c->wzp.told = state;
}

void
sim_wzp_told(struct sim_run *run, struct sim_quic_client *c, const uint8_t *json, size_t len)
{
	const struct sim_wzp *z = &run->quic->wzp;
	static struct plm_wzp_signal signal;
	int ret = plm_wzp_decode(json, len, &signal);
	uint64_t at;

	if (ret < 0) {
		sim_fail(SIM_INV_SIGNALS, "%s gets a signal that cannot be read: %d", c->peer->name,
				ret);
		return;
	}
	SIM_TRACE(&run->trace, "%.6f %s is told %.*s\n", (double)(run->now_ns - SIM_EPOCH_NS) / 1e9,
			c->peer->name, (int)len, (const char *)json);
	if (!c->wzp.is_answered) {
		SIM_EXPECT(z->tries[c->wzp.try].is_admitted && c->phase == SIM_QUIC_JOINING,
				ADMISSION, "%s is answered and was not admitted", c->peer->name);
		SIM_EXPECT(signal.type == PLM_WZP_CALL_ANSWER &&
						plm_wzp_answer_verify(&signal) == 0 &&
						memcmp(signal.call_answer.identity_pub,
								z->relay.pub, PLM_WZP_KEY) == 0,
				SIGNALS, "%s gets no CallAnswer first, or not the relay's",
				c->peer->name);
		c->wzp.is_answered = true;
		c->wzp.refusals = 0;
		if (c->phase == SIM_QUIC_JOINING)
			c->phase = SIM_QUIC_OPEN;
		c->opened_tick = ++run->tick;
		return;
	}
	switch (signal.type) {
	case PLM_WZP_ROOM_UPDATE:
		told_room(run, c, json, len);
		break;
	case PLM_WZP_PONG:
		/* Of Pings that came in another order a later one may be answered first, and none twice. */
		at = signal.pong.timestamp_ms % SIM_WZP_PINGS;
		SIM_EXPECT(signal.pong.timestamp_ms > 0 &&
						signal.pong.timestamp_ms <= c->wzp.ping &&
						(c->wzp.ping >= SIM_WZP_PINGS ||
								!(c->wzp.answered[at /
										  64] >> at % 64 &
										1)),
				SIGNALS,
				"%s gets an answer to Ping %" PRIu64 " of %" PRIu64 ", or another",
				c->peer->name, signal.pong.timestamp_ms, c->wzp.ping);
		c->wzp.answered[at / 64] |= UINT64_C(1) << at % 64;
		c->wzp.pong = RTE_MAX(c->wzp.pong, signal.pong.timestamp_ms);
		break;
	default:
		sim_fail(SIM_INV_SIGNALS, "%s gets %s", c->peer->name,
				plm_wzp_type_name(signal.type));
		break;
	}
}

/* --- from turn to turn --------------------------------------------------------------------- */

/* Who has hung up is gone in time, by the clock of the slow path. */
static void
hung_check(struct sim_run *run, const struct sim_quic_session *s)
{
	struct sim_wzp_try *t = &run->quic->wzp.tries[s->try];
	const uint64_t now_ns = run->lcores[run->nb_workers].now_ns;
	struct plm_wzp_shown shown;

	if (t->hung_ns == 0 || !plm_ctl_wzp_shown(run->ctl, s->session, &shown) ||
			!shown.has_hung_up)
		return;
	if (t->read_ns == 0)
		t->read_ns = now_ns;
	SIM_EXPECT(now_ns <= t->read_ns + LINGER_NS + SLACK_NS, CONSENT,
			"%s hung up %" PRIu64 " ms ago and is still in its room",
			run->plan->peers[t->peer].name, (now_ns - t->read_ns) / PLM_NS_PER_MS);
}

void
sim_wzp_rest(struct sim_run *run)
{
	struct sim_quic *q = run->quic;

	for (uint32_t i = 0; i < q->nb_slots; i++)
		if (q->sessions[i].is_open)
			hung_check(run, &q->sessions[i]);
}

/* Messages that found the connection's queue full are gone. */
static bool
is_lossy(const struct sim_run *run)
{
	for (unsigned int w = 0; w < run->nb_workers; w++)
		if (plm_counter_get(plm_relay_counters(plm_ctl_relay(run->ctl), w),
				    PLM_CNT_QUIC_STREAM_FULL) > 0)
			return true;
	return false;
}

void
sim_wzp_settled(struct sim_run *run)
{
	struct sim_quic *q = run->quic;

	for (unsigned int i = 0; i < q->nb_clients && !run->failed; i++) {
		const struct sim_quic_client *c = &q->clients[i];
		const struct sim_wzp_room *room;
		const struct sim_wzp_state *last;
		const struct sim_wzp_try *t;

		if (c->conn == NULL || sim_quic_is_recovering(run, c))
			continue;
		t = &q->wzp.tries[c->wzp.try];
		SIM_EXPECT(c->phase != SIM_QUIC_JOINING || is_late(run, c) ||
						(run->plan->sizes.wzp_auth &&
								(c->peer->token >= SIM_TOKEN_SILENT ||
										q->wzp.is_down)) ||
						run->now_ns < t->begun_ns + JOIN_NS,
				CONTROL, "%s says who it is, and gets no answer", c->peer->name);
		SIM_EXPECT(c->phase != SIM_QUIC_HUNG || t->read_ns != 0 ||
						run->now_ns < t->hung_ns + TRAVEL_NS,
				CONTROL, "%s hung up, and the relay does not know", c->peer->name);
		if (c->phase != SIM_QUIC_OPEN || c->peer->reads_answer_only || c->was_unread ||
				is_lossy(run))
			continue;
		room = room_of(run, c->wzp.try);
		last = &room->states[room->nb_states - 1];
		SIM_EXPECT(c->wzp.told != NONE &&
						is_state(room, c->wzp.told,
								&room->lists[last->first],
								last->nb),
				SIGNALS,
				"%s was not told last who is in its room: %" PRIu32 " participants",
				c->peer->name, last->nb);
		SIM_EXPECT(c->wzp.nb_said > BURST || c->wzp.pong == c->wzp.ping, SIGNALS,
				"%s never got an answer to Ping %" PRIu64, c->peer->name,
				c->wzp.ping);
	}
}

void
sim_wzp_empty(struct sim_run *run)
{
	const struct ctl_wzp *z = run->ctl->wzp;
	uint32_t nb_told = 0;

	if (z == NULL)
		return;
	for (unsigned int w = 0; w < run->nb_workers; w++)
		nb_told += z->told[w].nb;
	SIM_EXPECT(nb_told == 0 && z->ready.nb == 0 && z->changed.nb == 0, EMPTY,
			"%" PRIu32 " clients are to be told something, %" PRIu32
			" said something, %" PRIu32 " rooms changed",
			nb_told, z->ready.nb, z->changed.nb);
	SIM_EXPECT(z->nb_old == 0, EMPTY, "%" PRIu32 " lists are still on their way", z->nb_old);
	for (uint32_t i = 0; i < z->nb_conns; i++)
		SIM_EXPECT(z->conns[i].stage == WZP_STAGE_NONE && z->conns[i].parts.head == NULL &&
						z->conns[i].room_idx == WZP_NONE,
				EMPTY, "something is kept of connection %" PRIu32, i);
	for (uint32_t i = 0; i < z->nb_rooms; i++)
		SIM_EXPECT(z->rooms[i].nb == 0 && z->rooms[i].blob == NULL, EMPTY,
				"room %" PRIu32 " still has %" PRIu32 " WZP participants", i,
				z->rooms[i].nb);
}

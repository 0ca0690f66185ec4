/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may come in, stay and move: judged by the requests that came, not by what the relay made of
 * them. Its events are claims that must have a cause. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "ctl_priv.h"
#include "oracle_priv.h"
#include "plm_crypto.h"
#include "plm_wire.h"
#include "quic.h"
#include "relay_priv.h"

/* Deadlines are found two ticks of 64 ms late at most (lib/admit), and a late clock adds its own. */
#define SLACK_NS (200 * PLM_NS_PER_MS)
#define LATE_NS  (300 * PLM_NS_PER_MS)
/* An answer may have been on its way for so long. */
#define ANSWER_NS PLM_NS_PER_S
/* A session leaves a silent address after 10 s, moves once a second, and accepts the address that
 * it left for one second more. */
#define SILENT_NS (10 * PLM_NS_PER_S)
#define MOVE_NS   PLM_NS_PER_S

enum watch_stage {
	WATCH_TOMBSTONE, /* until the member is taken out of the views */
	WATCH_PUBLISH,   /* until a view has its new address */
	WATCH_VIEWS_END, /* the same, but it left before: until the tombstone */
	WATCH_VIEWS,     /* until the views before it are gone: parked fan-outs hold them */
	WATCH_GRACE,     /* until every worker ended a turn */
	WATCH_CLEAN,     /* until every worker's buffers were empty */
	WATCH_CARRIED,   /* and once more, for what went through another one's */
};

/* --- requests ------------------------------------------------------------------------------- */

static uint32_t
tid_hash(const uint8_t *tid)
{
	return (uint32_t)sim_hash(tid, PLM_STUN_TID);
}

void
sim_tids_make(struct sim_run *run)
{
	const struct sim_plan *plan = run->plan;
	struct sim_oracle *o = run->oracle;
	uint32_t size = rte_align32pow2(2 * plan->nb_packets + 2);

	o->tid_mask = size - 1;
	o->tids = calloc(size, sizeof(*o->tids));
	if (o->tids == NULL)
		abort();
	for (uint32_t i = 0; i < plan->nb_packets; i++) {
		const struct sim_packet *packet = &plan->packets[i];
		uint32_t h;

		if (packet->kind != SIM_STUN || packet->original != i)
			continue;
		h = tid_hash(sim_packet_bytes(plan, packet) + 8) & o->tid_mask;
		while (o->tids[h] != 0)
			h = (h + 1) & o->tid_mask;
		o->tids[h] = i + 1;
	}
}

static uint32_t
tid_find(const struct sim_run *run, const uint8_t *tid)
{
	const struct sim_oracle *o = run->oracle;
	uint32_t h = tid_hash(tid) & o->tid_mask;

	for (; o->tids[h] != 0; h = (h + 1) & o->tid_mask) {
		const struct sim_packet *packet = &run->plan->packets[o->tids[h] - 1];

		if (memcmp(sim_packet_bytes(run->plan, packet) + 8, tid, PLM_STUN_TID) == 0)
			return o->tids[h] - 1;
	}
	return UINT32_MAX;
}

static uint64_t
wall_s(const struct sim_run *run)
{
	return SIM_WALL_S + (run->now_ns - SIM_EPOCH_NS) / PLM_NS_PER_S;
}

static bool
authentic(const struct sim_run *run, const struct sim_packet *packet)
{
	return !(packet->flags &
			       (SIM_CHECK_TAMPERED | SIM_CHECK_UNKNOWN | SIM_CHECK_CONTROLLED |
					       SIM_CHECK_BARE)) &&
			!run->plan->peers[packet->peer].creds[packet->cred].forged;
}

void
sim_admission_arrived(struct sim_run *run, uint32_t arrival, const struct sim_packet *packet)
{
	struct sim_oracle *o = run->oracle;
	struct peer_state *s = &o->peers[packet->peer];
	struct packet_state *original = &o->packets[packet->original];
	const struct sim_cred *cred = &run->plan->peers[packet->peer].creds[packet->cred];
	const uint8_t bit = (uint8_t)(1u << packet->addr);

	if (s->is_open && packet->addr == s->bound)
		s->heard_ns = run->now_ns;
	if (packet->kind != SIM_STUN)
		return;
	original->nb_requests++;
	/* The slow path may work it off in the turn that it is in, whose time is older. */
	if (original->in_ns == 0)
		original->in_ns = run->lcores[run->nb_workers].in_turn
				? run->lcores[run->nb_workers].now_ns
				: run->now_ns;
	if (wall_s(run) >= cred->expiry_s && wall_s(run) < cred->expiry_s + 2)
		run->fired.world[SIM_WORLD_EXPIRY]++;
	if (original->seen || !authentic(run, packet))
		return;
	s->asked_tick[packet->cred][packet->addr] = run->tick;
	s->possible |= bit;
	s->left_ns[packet->addr] = 0;
	s->asks = true;
	if (packet->flags & SIM_CHECK_NOMINATE) {
		s->nominated_tick[packet->addr] = run->tick;
		s->nominated_priority[packet->addr] =
				RTE_MAX(s->nominated_priority[packet->addr], packet->priority);
	}
	s->least_priority[packet->addr] =
			RTE_MIN(s->least_priority[packet->addr], packet->priority);
}

/* Did this endpoint send that request, or somebody for it? */
static bool
asked_from(const struct sim_run *run, uint32_t original, const struct sim_peer *peer,
		unsigned int addr)
{
	const struct sim_plan *plan = run->plan;

	if (plan->packets[original].peer == peer->idx && plan->packets[original].addr == addr)
		return true;
	for (uint32_t i = 0; i < plan->nb_packets; i++)
		if (plan->packets[i].original == original && plan->packets[i].kind == SIM_STUN &&
				plan->packets[i].peer == peer->idx && plan->packets[i].addr == addr)
			return true;
	return false;
}

static bool
error_due(const struct sim_run *run, const struct sim_packet *packet, uint16_t code)
{
	const struct sim_peer *peer = &run->plan->peers[packet->peer];
	const struct sim_cred *cred = &peer->creds[packet->cred];
	const struct peer_state *s = &run->oracle->peers[peer->idx];

	switch (code) {
	case 401:
		return cred->forged || (packet->flags & SIM_CHECK_TAMPERED) ||
				cred->expiry_s <= wall_s(run) + 1 ||
				!(run->oracle->secrets & 1u << cred->secret) ||
				run->oracle->secrets_ns + ANSWER_NS > run->now_ns;
	case 403:
		return (s->barred | s->spent) & 1u << packet->cred;
	case 420:
		return packet->flags & SIM_CHECK_UNKNOWN;
	case 486:
		return run->oracle->rooms[peer->room].least < run->plan->rooms[peer->room].nb_peers;
	case 487:
		return packet->flags & SIM_CHECK_CONTROLLED;
	default:
		return false;
	}
}

static bool
mapped_right(const struct plm_stun *msg, const struct sim_addr *addr)
{
	const size_t len = addr->ip.is_v6 ? 16 : 4;
	uint8_t mask[16] = { 0x21, 0x12, 0xa4, 0x42 };

	if (msg->mapped == NULL || msg->mapped_len != 4 + len)
		return false;
	memcpy(mask + 4, msg->tid, PLM_STUN_TID);
	if ((uint16_t)((msg->mapped[2] << 8 | msg->mapped[3]) ^ 0x2112) != addr->udp_port)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((msg->mapped[4 + i] ^ mask[i]) != addr->ip.addr[i])
			return false;
	return true;
}

void
sim_admission_answered(struct sim_run *run, const struct sim_peer *to, unsigned int addr,
		const uint8_t *payload, size_t len)
{
	struct sim_oracle *o = run->oracle;
	struct peer_state *s = &o->peers[to->idx];
	const struct sim_packet *packet;
	struct packet_state *state;
	struct plm_stun msg;
	uint32_t idx;

	if (plm_stun_parse(payload, len, &msg) < 0 || !msg.has_fingerprint ||
			(msg.class != PLM_STUN_SUCCESS && msg.class != PLM_STUN_ERROR)) {
		sim_fail(SIM_INV_ANSWERS, "%s gets STUN that does not parse", to->name);
		return;
	}
	idx = tid_find(run, msg.tid);
	if (idx == UINT32_MAX || !asked_from(run, idx, to, addr)) {
		sim_fail(SIM_INV_ANSWERS, "%s gets an answer at address %u and did not ask",
				to->name, addr);
		return;
	}
	packet = &run->plan->packets[idx];
	state = &o->packets[idx];
	state->nb_answers++;
	SIM_EXPECT(len <= packet->len, ANSWERS, "%s gets %zu bytes for %u", to->name, len,
			packet->len);
	SIM_EXPECT(state->nb_answers <= state->nb_requests, ANSWERS,
			"%s gets %u answers to %u requests", to->name, state->nb_answers,
			state->nb_requests);
	if (msg.class == PLM_STUN_ERROR) {
		SIM_EXPECT(error_due(run, packet, msg.error_code), ADMISSION,
				"%s is told %u without a cause", to->name, msg.error_code);
		return;
	}
	o->nb_success++;
	SIM_EXPECT(mapped_right(&msg, &to->addrs[addr]), ANSWERS,
			"%s is told an address that is not its own", to->name);
	SIM_EXPECT(authentic(run, packet), ADMISSION, "%s has success with a bad request",
			to->name);
	state->seen = true;
	if (s->is_open && s->cred == packet->cred)
		s->answered_ns = RTE_MAX(s->answered_ns, state->in_ns);
}

/* --- senders -------------------------------------------------------------------------------- */

bool
sim_sender_certain(const struct sim_run *run, const struct sim_packet *packet, uint64_t in)
{
	const struct peer_state *s = &run->oracle->peers[packet->peer];

	return s->is_open && packet->addr == s->bound && s->certain_tick != 0 &&
			s->certain_tick < in;
}

bool
sim_sender_possible(const struct sim_run *run, const struct sim_packet *packet, uint64_t in)
{
	const struct peer_state *s = &run->oracle->peers[packet->peer];

	return (s->possible & 1u << packet->addr) || s->lost_tick[packet->addr] >= in;
}

bool
sim_neighbour_settled(const struct sim_run *run, const struct sim_addr *addr)
{
	/* At rest after it came; what is not at rest for long is open. */
	return sim_net_answered(run, addr) != 0 &&
			sim_net_answered(run, addr) + PLM_NS_PER_MS < run->now_ns &&
			run->oracle->nb_in_flight == 0;
}

/* --- a grace period later ------------------------------------------------------------------- */

static void
watch_add(struct sim_run *run, const struct sim_peer *peer, unsigned int addr, bool is_move)
{
	struct sim_oracle *o = run->oracle;
	unsigned int i = 0;

	while (i < o->nb_watches && o->watches[i].used)
		i++;
	if (i == WATCHES)
		abort();
	if (i == o->nb_watches)
		o->nb_watches++;
	o->watches[i] = (struct watch){ .used = true,
		.is_move = is_move,
		.addr = (uint8_t)addr,
		.stage = is_move ? WATCH_PUBLISH : WATCH_TOMBSTONE,
		.peer = peer->idx,
		.room = peer->room };
}

void
sim_oracle_watch(struct sim_run *run, const struct sim_peer *peer, unsigned int addr)
{
	watch_add(run, peer, addr, false);
}

static uint8_t
workers_in_turn(const struct sim_run *run)
{
	uint8_t bits = 0;

	for (unsigned int w = 0; w < run->nb_workers; w++)
		if (run->lcores[w].in_turn)
			bits |= (uint8_t)(1u << w);
	return bits;
}

static uint8_t
all_workers(const struct sim_run *run)
{
	return (uint8_t)((1u << run->nb_workers) - 1);
}

static void
watch_done(struct sim_run *run, struct watch *watch)
{
	struct peer_state *s = &run->oracle->peers[watch->peer];

	watch->used = false;
	s->reachable[watch->addr]--;
	s->nb_reachable--;
	s->over_tick = run->tick;
	if (watch->is_move) {
		bool more = false;

		for (unsigned int i = 0; i < run->oracle->nb_watches; i++)
			more |= run->oracle->watches[i].used && run->oracle->watches[i].is_move &&
					run->oracle->watches[i].peer == watch->peer;
		s->loose = more;
	}
}

static void
watch_next(struct sim_run *run, struct watch *watch)
{
	while (watch->used && watch->stage >= WATCH_GRACE && watch->waiting == 0) {
		if (watch->stage == WATCH_CARRIED) {
			watch_done(run, watch);
			return;
		}
		watch->stage++;
		watch->waiting = all_workers(run);
	}
}

static void
watch_grace(struct sim_run *run, struct watch *watch)
{
	watch->stage = WATCH_GRACE;
	watch->waiting = workers_in_turn(run);
	watch_next(run, watch);
}

void
sim_oracle_tombstone(struct sim_run *run)
{
	struct sim_oracle *o = run->oracle;

	run->tick++;
	for (unsigned int i = 0; i < o->nb_watches; i++)
		if (o->watches[i].used &&
				(o->watches[i].stage == WATCH_TOMBSTONE ||
						o->watches[i].stage == WATCH_VIEWS_END))
			watch_grace(run, &o->watches[i]);
}

void
sim_oracle_published(struct sim_run *run, const struct plm_view *view)
{
	struct sim_oracle *o = run->oracle;
	int room = -1;

	run->tick++;
	if (view == NULL)
		return;
	for (uint32_t i = 0; i < view->nb_members; i++) {
		uint32_t idx = view->subs[i].session_idx;
		struct peer_state *s;

		if (idx >= SIM_SESSIONS || o->by_session[idx] == 0)
			continue;
		s = &o->peers[o->by_session[idx] - 1];
		if (run->quic != NULL)
			sim_quic_named(run, idx);
		room = run->plan->peers[o->by_session[idx] - 1].room;
		if (s->is_open && s->session.idx == idx && s->named_tick == 0)
			s->named_tick = run->tick;
	}
	for (unsigned int i = 0; i < o->nb_watches; i++) {
		struct watch *watch = &o->watches[i];

		if (!watch->used || watch->stage != WATCH_PUBLISH || watch->room != room)
			continue;
		watch->stage = WATCH_VIEWS;
		watch->room_idx = view->room_idx;
		watch->seq = view->seq;
	}
	if (room >= 0)
		sim_trace_published(run, (unsigned int)room, view->traced);
	sim_oracle_reclaimed(run);
}

void
sim_oracle_reclaimed(struct sim_run *run)
{
	struct sim_oracle *o = run->oracle;

	for (unsigned int i = 0; i < o->nb_watches; i++) {
		struct watch *watch = &o->watches[i];

		if (watch->used && watch->stage == WATCH_VIEWS &&
				!sim_check_older_view(run, watch->room_idx, watch->seq))
			watch_grace(run, watch);
	}
}

/* Has this worker handed on every frame that it made? */
static bool
is_clean(const struct sim_run *run, unsigned int w)
{
	const struct relay_worker *worker = plm_ctl_relay(run->ctl)->workers[w];

	for (unsigned int p = 0; p < worker->nb_ports; p++) {
		if (worker->txq[p].n > 0)
			return false;
		if (worker->txq[p].carried && !rte_ring_empty(worker->txq[p].ring->ring))
			return false;
	}
	return true;
}

void
sim_oracle_turn_end(struct sim_run *run, unsigned int worker)
{
	struct sim_oracle *o = run->oracle;
	bool clean = is_clean(run, worker);

	for (unsigned int i = 0; i < o->nb_watches; i++) {
		struct watch *watch = &o->watches[i];

		if (!watch->used || watch->stage < WATCH_GRACE)
			continue;
		if (watch->stage == WATCH_GRACE || clean)
			watch->waiting &= (uint8_t) ~(1u << worker);
		watch_next(run, watch);
	}
	while (o->nb_watches > 0 && !o->watches[o->nb_watches - 1].used)
		o->nb_watches--;
}

/* --- events --------------------------------------------------------------------------------- */

static uint64_t
late_ns(const struct sim_run *run)
{
	return run->fired.world[SIM_WORLD_LATE_CLOCK] > 0 ? LATE_NS : 0;
}

static void
reach(struct peer_state *s, unsigned int addr)
{
	s->reachable[addr]++;
	s->nb_reachable++;
	s->was_reachable |= (uint8_t)(1u << addr);
}

static void
admitted(struct sim_run *run, const struct plm_event *e, const struct sim_peer *peer,
		unsigned int addr)
{
	struct sim_oracle *o = run->oracle;
	struct peer_state *s = &o->peers[peer->idx];
	struct plm_admit *admit = plm_ctl_admit(run->ctl);
	struct plm_admit_info info;
	unsigned int c = 0;

	if (plm_admit_find(admit, e->room, e->participant, &s->session) < 0 ||
			plm_admit_info(admit, s->session, &info) < 0) {
		sim_fail(SIM_INV_ADMISSION, "%s is admitted and has no session", peer->name);
		return;
	}
	if (peer->is_static) {
		sim_static_admitted(run, peer, addr, &info);
		if (s->is_open)
			sim_fail(SIM_INV_ADMISSION, "%s is opened twice", peer->name);
		goto in;
	}
	while (c < SIM_CREDS && (!peer->creds[c].used || peer->creds[c].expiry_s != info.expiry_s))
		c++;
	if (c == SIM_CREDS || s->is_open) {
		sim_fail(SIM_INV_ADMISSION, "%s is admitted %s", peer->name,
				s->is_open ? "twice" : "by no credential of its own");
		return;
	}
	SIM_EXPECT(strcmp(e->room, run->plan->rooms[peer->room].name) == 0, ADMISSION,
			"%s is admitted to %s", peer->name, e->room);
	SIM_EXPECT(info.role == peer->creds[c].role, ADMISSION, "%s is admitted in role %u",
			peer->name, info.role);
	SIM_EXPECT(s->asked_tick[c][addr] > s->end_rest_tick, ADMISSION,
			"%s is admitted at address %u and did not ask", peer->name, addr);
	SIM_EXPECT(peer->creds[c].expiry_s > e->wall_s, ADMISSION,
			"%s is admitted with an expired credential", peer->name);
	SIM_EXPECT(!(s->barred & 1u << c), ADMISSION, "%s is admitted though barred", peer->name);
	SIM_EXPECT(o->secrets & 1u << peer->creds[c].secret, ADMISSION,
			"%s is admitted by a secret that is not in force", peer->name);
in:
	SIM_EXPECT(!o->draining, ADMISSION, "%s is admitted while draining", peer->name);
	SIM_EXPECT(o->rooms[peer->room].nb_open < o->rooms[peer->room].max, ADMISSION,
			"%s is admitted to a room of %u, which is full", peer->name,
			o->rooms[peer->room].max);
	o->rooms[peer->room].nb_open++;
	o->by_session[s->session.idx] = (uint16_t)(peer->idx + 1);
	s->is_open = true;
	s->replaced = false;
	s->cred = (uint8_t)c;
	s->role = info.role;
	s->bound = (uint8_t)addr;
	s->since_ns = run->now_ns;
	s->opened_ns = e->now_ns;
	s->named_tick = 0;
	s->certain_tick = run->tick;
	s->refreshed_ns = run->now_ns;
	s->asks = !peer->is_static;
	s->answered_ns = 0;
	s->heard_ns = run->now_ns;
	s->moved_ns = 0;
	s->byes_due = s->nb_byes = 0;
	reach(s, addr);
}

/* Whoever else is here is to be told that a publisher went. */
static void
byes_due(struct sim_run *run, const struct sim_peer *peer)
{
	struct sim_oracle *o = run->oracle;
	const struct peer_state *gone = &o->peers[peer->idx];
	const struct sim_room *room = &run->plan->rooms[peer->room];
	uint32_t ssrcs[PLM_SSRCS];

	if (!(gone->role & PLM_ROLE_PUBLISH) || room->settings.rtcp != PLM_RTCP_CLEAR ||
			o->ending ||
			plm_session_ssrcs(plm_ctl_sessions(run->ctl), gone->session, ssrcs,
					PLM_SSRCS) == 0)
		return;
	for (unsigned int i = 0; i < room->nb_peers; i++) {
		struct peer_state *s = &o->peers[room->peers[i]];

		if (room->peers[i] != peer->idx && s->is_open && s->named_tick != 0)
			s->byes_due++;
	}
}

static void
ended(struct sim_run *run, const struct plm_event *e, const struct sim_peer *peer)
{
	struct sim_oracle *o = run->oracle;
	struct peer_state *s = &o->peers[peer->idx];
	const bool alive = run->plan->rooms[peer->room].settings.consent_alive;

	if (!s->is_open) {
		sim_fail(SIM_INV_ADMISSION, "%s ends and had no session", peer->name);
		return;
	}
	if (strcmp(e->reason, "consent") == 0) {
		uint64_t heard = alive ? RTE_MAX(s->answered_ns, s->opened_ns) : s->answered_ns;

		SIM_EXPECT(e->now_ns + late_ns(run) >= heard + run->plan->sizes.consent_ns, CONSENT,
				"%s loses its session %" PRIu64 " ms after its last request",
				peer->name, (e->now_ns - heard) / PLM_NS_PER_MS);
	} else if (strcmp(e->reason, "max_session") == 0) {
		SIM_EXPECT(e->now_ns >= s->opened_ns + run->plan->sizes.max_session_ns, CONSENT,
				"%s loses its session before its time", peer->name);
	} else if (strcmp(e->reason, "drain") == 0) {
		SIM_EXPECT(o->ending, CONSENT, "%s is drained too early", peer->name);
	} else if (strcmp(e->reason, "replaced") == 0) {
		bool asked = false;

		for (unsigned int c = 0; c < SIM_CREDS; c++)
			for (unsigned int a = 0; a < SIM_ADDRS; a++)
				asked |= c != s->cred && s->asked_tick[c][a] > s->end_rest_tick;
		SIM_EXPECT(asked, CONSENT, "%s is replaced by nobody", peer->name);
	} else if (strcmp(e->reason, "removed") == 0) {
		sim_static_removed(run, peer);
	} else {
		SIM_EXPECT(o->kicking, CONSENT, "%s is %s, and nobody did", peer->name, e->reason);
	}
	byes_due(run, peer);
	s->replaced = e->type == PLM_EVENT_REPLACE;
	s->spent |= (uint8_t)(1u << s->cred);
	s->is_open = false;
	s->nb_ends++;
	s->end_rest_tick = o->rest_tick;
	/* The next to come may find a room made anew, with its limit from the configuration. */
	if (--o->rooms[peer->room].nb_open == 0)
		o->rooms[peer->room].max = RTE_MAX(o->rooms[peer->room].max,
				run->plan->rooms[peer->room].settings.max_members);
	watch_add(run, peer, s->bound, false);
	/* No view will name where it moved to. */
	for (unsigned int i = 0; i < o->nb_watches; i++)
		if (o->watches[i].used && o->watches[i].peer == peer->idx &&
				o->watches[i].stage == WATCH_PUBLISH)
			o->watches[i].stage = WATCH_VIEWS_END;
}

static void
moved(struct sim_run *run, const struct plm_event *e, const struct sim_peer *peer,
		unsigned int addr)
{
	struct peer_state *s = &run->oracle->peers[peer->idx];
	const unsigned int old = s->bound;
	bool nominated;

	if (!s->is_open || addr == old) {
		sim_fail(SIM_INV_MOVES, "%s moves from nowhere", peer->name);
		return;
	}
	/* The bound pair's priority is that of one of its requests. */
	nominated = s->nominated_tick[addr] > s->end_rest_tick &&
			s->nominated_priority[addr] >= s->least_priority[old];
	SIM_EXPECT(s->asked_tick[s->cred][addr] > 0, MOVES,
			"%s moves to address %u, which did not ask", peer->name, addr);
	/* What was heard is stamped with the time of a turn, which may be older than its arrival. */
	SIM_EXPECT(nominated || run->now_ns + LATE_NS >= s->heard_ns + SILENT_NS, MOVES,
			"%s moves to address %u, which was not nominated", peer->name, addr);
	SIM_EXPECT(s->moved_ns == 0 || e->now_ns >= s->moved_ns + MOVE_NS, MOVES,
			"%s moves again after %" PRIu64 " ms", peer->name,
			(e->now_ns - s->moved_ns) / PLM_NS_PER_MS);
	s->moved_ns = e->now_ns;
	s->bound = (uint8_t)addr;
	s->since_ns = run->now_ns;
	s->certain_tick = run->tick;
	/* Unless one more request from there is under way: then it is in use after all. */
	if (s->asked_tick[s->cred][old] <= run->oracle->rest_tick)
		s->left_ns[old] = e->now_ns;
	s->heard_ns = run->now_ns;
	s->loose = true;
	reach(s, addr);
	watch_add(run, peer, old, true);
}

static const struct sim_peer *
peer_by_name(const struct sim_run *run, const char *name)
{
	unsigned int i;

	if (name == NULL || sscanf(name, "peer%u", &i) != 1 || i >= run->plan->nb_peers)
		return NULL;
	return &run->plan->peers[i];
}

void
sim_oracle_event(struct sim_run *run, const struct plm_event *e)
{
	static const char *const names[] = { "admit", "refuse", "move", "replace", "end", "stall",
		"recover", "reload" };
	const struct sim_peer *peer = peer_by_name(run, e->participant);
	const bool is_quic = run->quic != NULL && sim_quic_is_meant(e);
	unsigned int addr = 0;

	run->tick++;
	sim_trace_word(&run->trace, (uint64_t)e->type << 32 | (uint32_t)e->code);
	sim_trace_word(&run->trace, e->now_ns);
	if (e->participant != NULL)
		sim_trace_word(&run->trace, sim_hash(e->participant, strlen(e->participant)));
	SIM_TRACE(&run->trace, "%.6f %s %s %s %s %d\n", (double)(run->now_ns - SIM_EPOCH_NS) / 1e9,
			names[e->type], e->room != NULL ? e->room : "-",
			e->participant != NULL ? e->participant : "-",
			e->reason != NULL ? e->reason : "-", e->code);
	if (e->type == PLM_EVENT_REFUSE && !is_quic)
		run->oracle->nb_refused++;
	if (is_quic) {
		sim_quic_event(run, e);
		return;
	}
	if (e->type != PLM_EVENT_ADMIT && e->type != PLM_EVENT_MOVE && e->type != PLM_EVENT_END &&
			e->type != PLM_EVENT_REPLACE)
		return;
	if (peer == NULL || !e->has_tuple ||
			sim_peer_by_port(run->plan, rte_be_to_cpu_16(e->tuple.port), &addr) !=
					peer) {
		sim_fail(SIM_INV_ADMISSION, "an event about nobody, or about %s elsewhere",
				e->participant != NULL ? e->participant : "-");
		return;
	}
	if (e->type == PLM_EVENT_ADMIT)
		admitted(run, e, peer, addr);
	else if (e->type == PLM_EVENT_MOVE)
		moved(run, e, peer, addr);
	else
		ended(run, e, peer);
}

void
sim_oracle_kicking(struct sim_run *run)
{
	run->oracle->kicking = true;
}

/* --- what operators do ---------------------------------------------------------------------- */

void
sim_oracle_kicked(struct sim_run *run, const struct sim_peer *peer, int ret)
{
	struct peer_state *s = &run->oracle->peers[peer->idx];

	run->oracle->kicking = false;
	SIM_EXPECT(!s->is_open, ADMISSION, "%s was kicked and is still here", peer->name);
	if (ret == 0 && peer->creds[s->cred].expiry_s > wall_s(run))
		s->barred |= (uint8_t)(1u << s->cred);
}

void
sim_oracle_secrets(struct sim_run *run, unsigned int a, unsigned int b)
{
	run->oracle->secrets = (uint8_t)(1u << a | 1u << b);
	run->oracle->secrets_ns = run->now_ns;
}

void
sim_oracle_draining(struct sim_run *run, bool draining)
{
	run->oracle->draining = draining;
}

void
sim_oracle_max(struct sim_run *run, unsigned int room, uint32_t max)
{
	run->oracle->rooms[room].max = max;
	run->oracle->rooms[room].least = RTE_MIN(run->oracle->rooms[room].least, max);
}

/* --- from turn to turn ---------------------------------------------------------------------- */

void
sim_oracle_ctl_turn(struct sim_run *run, const struct sim_lcore *lcore)
{
	struct sim_oracle *o = run->oracle;

	for (unsigned int i = 0; i < run->plan->nb_peers; i++) {
		const struct peer_state *s = &o->peers[i];
		const struct sim_peer *peer = &run->plan->peers[i];

		/* The address of the old session is the successor's after that has ended; the one
		 * thing that can still go wrong then is that the table has no place for it. */
		SIM_EXPECT(!s->replaced || run->fired.site[PLM_FAULT_HASH_TUPLE] > 0, ADMISSION,
				"%s lost its session to a successor that did not get in",
				peer->name);
		if (!s->is_open || s->asks || peer->is_static || peer->is_quic ||
				run->plan->rooms[peer->room].settings.consent_alive)
			continue;
		SIM_EXPECT(run->plan->sizes.max_session_ns == 0 || run->settling ||
						lcore->now_ns <=
								s->opened_ns + run->plan->sizes.max_session_ns +
										SLACK_NS + LATE_NS,
				CONSENT, "%s is here for longer than max_session", peer->name);
		SIM_EXPECT(lcore->now_ns <= s->refreshed_ns + run->plan->sizes.consent_ns +
								SLACK_NS,
				CONSENT, "%s is silent for %" PRIu64 " ms and still here",
				peer->name, (lcore->now_ns - s->refreshed_ns) / PLM_NS_PER_MS);
	}
}

void
sim_admission_rest(struct sim_run *run)
{
	struct sim_oracle *o = run->oracle;

	for (unsigned int i = 0; i < run->plan->nb_peers; i++) {
		struct peer_state *s = &o->peers[i];

		if (s->asks) {
			s->asks = false;
			s->refreshed_ns = run->now_ns;
		}
		for (unsigned int a = 0; a < SIM_ADDRS; a++) {
			const uint8_t bit = (uint8_t)(1u << a);
			bool gone = !s->is_open && s->nb_reachable == 0;

			/* The slow path took turns after the tuple's last second. */
			if (s->left_ns[a] != 0 && s->is_open && s->bound != a)
				gone |= run->lcores[run->nb_workers].now_ns >
						s->left_ns[a] + PLM_NS_PER_S + SLACK_NS + LATE_NS;
			if (!(s->possible & bit) || !gone)
				continue;
			s->possible &= (uint8_t)~bit;
			s->lost_tick[a] = run->tick;
		}
		SIM_EXPECT(!s->is_open || s->nb_byes >= s->byes_due ||
						plm_counter_get(plm_ctl_counters(run->ctl),
								PLM_CNT_BYES_LOST) > 0,
				CONTROL, "%s was told of %u publishers that vanished, of %u",
				run->plan->peers[i].name, s->nb_byes, s->byes_due);
	}
}

void
sim_oracle_settled(struct sim_run *run)
{
	sim_statics_settled(run);
	sim_quic_settled(run);
	run->oracle->ending = true;
}

static uint64_t
ctl_count(const struct sim_run *run, enum plm_counter id)
{
	return plm_counter_get(plm_ctl_counters(run->ctl), id);
}

void
sim_oracle_end(struct sim_run *run)
{
	struct sim_oracle *o = run->oracle;
	uint64_t answered = ctl_count(run, PLM_CNT_STUN_REQUESTS) - o->nb_refused;
	uint64_t lost = ctl_count(run, PLM_CNT_CTL_NO_MBUF) + ctl_count(run, PLM_CNT_CTL_TX_RING) +
			ctl_count(run, PLM_CNT_STUN_SILENT);

	for (unsigned int w = 0; w < run->nb_workers; w++)
		lost += plm_counter_get(plm_relay_counters(plm_ctl_relay(run->ctl), w),
				PLM_CNT_CTL_TX_QUEUE);
	SIM_EXPECT(o->nb_success <= answered && o->nb_success + lost >= answered, ADMISSION,
			"%" PRIu64 " requests succeeded, %" PRIu64 " answers came, %" PRIu64
			" were counted as lost",
			answered, o->nb_success, lost);
	o->ended = true;
}

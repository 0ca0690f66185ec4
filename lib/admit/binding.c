/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests to a session that runs: its tuples, which of them gets the media, and when that
 * changes. A client has several addresses at once (agents check every pair and send before they
 * nominate), and it changes them (NAT rebinding, another interface). */
#include <errno.h>

#include "admit_priv.h"

/* How far a worker's time may be ahead of the slow path's. */
#define AHEAD_MS 10000

bool
admit_tid_seen(const struct admit_tids *tids, uint32_t tid)
{
	bool seen = false;

	for (unsigned int i = 0; i < ADMIT_TIDS; i++)
		seen |= tids->tids[i] == tid;
	return seen;
}

void
admit_tid_remember(struct admit_tids *tids, uint32_t tid)
{
	tids->tids[tids->pos] = tid;
	tids->pos = (tids->pos + 1) % ADMIT_TIDS;
}

/* The home worker stamps media with 32 bits of milliseconds; unwound against the present. A stamp
 * of a tuple that had the slot before is older than `since_ns`, and one of a worker that is a
 * little ahead of us is now. What lies further ahead is weeks old: nobody stamps for a client that
 * only listens. */
uint64_t
admit_slot_heard(const struct plm_admit *admit, const struct admit_session *s, uint8_t slot,
		uint64_t now_ns)
{
	const struct plm_session_hot *hot = &admit->conf.sessions->hot[s->handle.idx];
	uint32_t stamp = atomic_load_explicit(&hot->heard_ms[slot], memory_order_relaxed);
	uint32_t age_ms = (uint32_t)(now_ns / PLM_NS_PER_MS) - stamp;
	/* Indications count where the room takes them for a sign of life. */
	uint64_t asked_ns = RTE_MAX(s->slots[slot].asked_ns, slot == s->bound ? s->alive_ns : 0);
	uint64_t age_ns;
	uint64_t media_ns;

	if (stamp == 0)
		return asked_ns;
	age_ns = age_ms > UINT32_MAX - AHEAD_MS ? 0 : age_ms * PLM_NS_PER_MS;
	media_ns = now_ns > age_ns ? now_ns - age_ns : 0;
	return media_ns >= s->slots[slot].since_ns ? RTE_MAX(asked_ns, media_ns) : asked_ns;
}

void
admit_slot_drop(struct plm_admit *admit, struct admit_session *s, uint8_t slot)
{
	plm_session_del_tuple(admit->conf.sessions, s->handle, slot);
	s->slots[slot] = (struct admit_slot){ 0 };
	if (s->want == slot)
		s->want = ADMIT_NO_SLOT;
}

static bool
slot_silent(const struct plm_admit *admit, const struct admit_session *s, uint8_t slot,
		uint64_t now_ns)
{
	return now_ns >= admit_slot_heard(admit, s, slot, now_ns) + ADMIT_SILENT_NS;
}

/*
 * A tuple belongs to one session. Another one takes it over when its owner only kept it in reserve
 * and did not use it for 10 s; what an owner is bound to it loses with its consent alone, or a
 * participant could put another one out with a forged source address.
 */
int
admit_tuple_vacate(struct plm_admit *admit, const struct plm_tuple *tuple,
		const struct admit_session *self, uint64_t now_ns)
{
	plm_sref_t ref = plm_session_find(admit->conf.sessions, tuple);
	struct admit_session *owner;
	uint8_t slot;

	if (ref == 0)
		return 0;
	owner = &admit->sessions[plm_sref_idx(ref)];
	slot = plm_sref_slot(ref);
	if (owner == self)
		return 0; /* it goes when the session is replaced */
	if (owner->bound == slot || !slot_silent(admit, owner, slot, now_ns))
		return -EBUSY;
	admit_slot_drop(admit, owner, slot);
	return 0;
}

/* Make room for one more tuple: of those in reserve and silent for 10 s the longest silent goes.
 * Where all are in use the newcomer stays out, and its agent tries again. */
static int
evict(struct plm_admit *admit, struct admit_session *s, uint64_t now_ns)
{
	uint64_t oldest_ns = UINT64_MAX;
	uint8_t victim = ADMIT_NO_SLOT;

	for (uint8_t i = 0; i < PLM_TUPLES; i++) {
		uint64_t heard_ns;

		if (s->slots[i].since_ns == 0)
			return 0;
		heard_ns = admit_slot_heard(admit, s, i, now_ns);
		if (i != s->bound && heard_ns < oldest_ns) {
			oldest_ns = heard_ns;
			victim = i;
		}
	}
	if (oldest_ns + ADMIT_SILENT_NS > now_ns)
		return -ENOSPC;
	admit_slot_drop(admit, s, victim);
	return 0;
}

static int
let_in(struct plm_admit *admit, struct admit_session *s, const struct plm_tuple *tuple,
		uint64_t now_ns, uint8_t *slot)
{
	int ret;

	ret = admit_tuple_vacate(admit, tuple, s, now_ns);
	if (ret == 0)
		ret = evict(admit, s, now_ns);
	if (ret == 0)
		ret = plm_session_add_tuple(admit->conf.sessions, s->handle, tuple, slot);
	if (ret < 0)
		return ret;
	s->slots[*slot] = (struct admit_slot){ .since_ns = now_ns, .asked_ns = now_ns };
	admit_wheel_arm(admit, s, now_ns + admit->conf.consent_timeout_ns);
	return 0;
}

void
admit_move(struct plm_admit *admit, struct admit_session *s, uint8_t slot, uint32_t priority,
		uint64_t now_ns, uint64_t wall_s)
{
	const struct plm_admit_conf *conf = &admit->conf;
	struct plm_egress egress;

	s->want = ADMIT_NO_SLOT;
	if (conf->route(conf->ctx, plm_session_tuple(conf->sessions, s->handle, slot), &egress,
			    now_ns) < 0) {
		admit_count(admit, PLM_CNT_ADMIT_NO_ROUTE);
		return;
	}
	plm_room_move(conf->rooms, s->room_idx, s->handle.idx, &egress, now_ns);
	if (!plm_mutant(OLD_TUPLE))
		s->slots[s->bound].retire_ns = now_ns + ADMIT_RETIRE_NS;
	s->slots[slot].retire_ns = 0;
	s->bound = slot;
	s->alive_ns = 0; /* the other tuple's */
	s->bound_priority = priority;
	s->moved_ns = now_ns;
	s->moves++;
	admit_wheel_arm(admit, s, now_ns + ADMIT_RETIRE_NS);
	admit_count(admit, PLM_CNT_SESSIONS_MOVED);
	admit_event(admit, PLM_EVENT_MOVE, s, NULL, NULL, 0, now_ns, wall_s);
}

int
admit_bind(struct plm_admit *admit, struct admit_check *check)
{
	const struct plm_admit_request *req = check->req;
	const struct plm_stun *msg = &check->msg;
	struct admit_session *s = check->session;
	bool expired = check->name.expiry_s <= req->wall_s;
	plm_sref_t ref = plm_session_find(admit->conf.sessions, &req->tuple);
	bool known = ref != 0 && plm_sref_idx(ref) == s->handle.idx;
	uint8_t slot = known ? plm_sref_slot(ref) : ADMIT_NO_SLOT;
	bool moves;

	if (admit_tid_seen(&s->tids, check->tid) && !plm_mutant(REPLAY_MOVES)) {
		admit_count(admit, PLM_CNT_STUN_REPLAYED);
		return 0;
	}
	moves = slot != s->bound &&
			((msg->use_candidate &&
					 (msg->priority >= s->bound_priority ||
							 plm_mutant(LOW_PRIORITY))) ||
					slot_silent(admit, s, s->bound, req->now_ns));
	if (expired && (!known || moves)) {
		check->reason = "expired";
		return 401;
	}
	if (!known && let_in(admit, s, &req->tuple, req->now_ns, &slot) < 0) {
		admit_count(admit, PLM_CNT_ADMIT_TUPLES);
		check->reason = plm_counter_defs[PLM_CNT_ADMIT_TUPLES].name;
		return ADMIT_SILENCE;
	}

	admit_tid_remember(&s->tids, check->tid);
	admit_count(admit, PLM_CNT_STUN_CONSENT);
	s->consent_ns = req->now_ns;
	s->slots[slot].asked_ns = req->now_ns;
	s->slots[slot].retire_ns = 0; /* in use again after all */
	if (slot == s->bound && msg->has_priority)
		s->bound_priority = msg->priority;
	if (!moves)
		return 0;
	if (s->moved_ns == 0 || req->now_ns >= s->moved_ns + ADMIT_MOVE_GAP_NS) {
		admit_move(admit, s, slot, msg->priority, req->now_ns, req->wall_s);
	} else if (s->want == ADMIT_NO_SLOT || msg->priority >= s->want_priority) {
		/* Too soon. The agent nominates once and then sends from there: not forgotten. */
		s->want = slot;
		s->want_priority = msg->priority;
		admit_wheel_arm(admit, s, s->moved_ns + ADMIT_MOVE_GAP_NS);
	}
	return 0;
}

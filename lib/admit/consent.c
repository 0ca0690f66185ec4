/* SPDX-License-Identifier: BSD-3-Clause */
/* Consent (RFC 7675) and every other deadline of a session, on one timer wheel: nobody scans the
 * sessions, and one that lost its consent is found within a tick or two (64 ms each). */
#include "admit_priv.h"

/* Sessions looked at in one call; the rest is due at once and comes with the next. */
#define TIMER_BUDGET 256

void
admit_wheel_disarm(struct plm_admit *admit, struct admit_session *s)
{
	plm_wheel_disarm(&admit->wheel, s->handle.idx);
}

void
admit_wheel_arm(struct plm_admit *admit, struct admit_session *s, uint64_t due_ns)
{
	plm_wheel_arm(&admit->wheel, s->handle.idx, due_ns);
}

/* Whatever refreshes consent in this session's room. */
static uint64_t
refreshed_ns(const struct plm_admit *admit, const struct admit_session *s, uint64_t now_ns)
{
	uint64_t heard_ns;

	if (!s->is_alive_room)
		return s->consent_ns;
	heard_ns = admit_slot_heard(admit, s, s->bound, now_ns);
	return RTE_MAX(s->consent_ns, heard_ns);
}

/* See to one tuple that is not the bound one; when to look again. */
static uint64_t
visit_slot(struct plm_admit *admit, struct admit_session *s, uint8_t slot, uint64_t now_ns)
{
	uint64_t due_ns = s->slots[slot].retire_ns;

	if (due_ns == 0)
		due_ns = admit_slot_heard(admit, s, slot, now_ns) + admit->conf.consent_timeout_ns;
	if (now_ns < due_ns)
		return due_ns;
	admit_slot_drop(admit, s, slot);
	return UINT64_MAX;
}

static void
visit(struct plm_admit *admit, struct admit_session *s, uint64_t now_ns, uint64_t wall_s)
{
	uint64_t due_ns = s->is_quic
			? UINT64_MAX
			: refreshed_ns(admit, s, now_ns) + admit->conf.consent_timeout_ns;

	if (now_ns >= due_ns && !plm_mutant(IGNORE_CONSENT)) {
		admit_end(admit, s, PLM_END_CONSENT, now_ns, wall_s);
		return;
	}
	if (admit->conf.max_session_ns != 0) {
		uint64_t end_ns = s->since_ns + admit->conf.max_session_ns;

		if (now_ns >= end_ns) {
			admit_end(admit, s, PLM_END_MAX_SESSION, now_ns, wall_s);
			return;
		}
		due_ns = RTE_MIN(due_ns, end_ns);
	}
	if (s->want != ADMIT_NO_SLOT && now_ns >= s->moved_ns + ADMIT_MOVE_GAP_NS)
		admit_move(admit, s, s->want, s->want_priority, now_ns, wall_s);
	if (s->want != ADMIT_NO_SLOT)
		due_ns = RTE_MIN(due_ns, s->moved_ns + ADMIT_MOVE_GAP_NS);
	for (uint8_t i = 0; i < PLM_TUPLES; i++) {
		if (i != s->bound && s->slots[i].since_ns != 0) {
			uint64_t slot_ns = visit_slot(admit, s, i, now_ns);

			due_ns = RTE_MIN(due_ns, slot_ns);
		}
	}
	admit_wheel_arm(admit, s, due_ns);
}

static uint64_t
wheel_turn(struct plm_admit *admit, uint64_t now_ns, uint64_t wall_s)
{
	uint64_t due_ns = plm_wheel_due(&admit->wheel);

	if (now_ns < due_ns)
		return due_ns;
	admit_bars_sweep(&admit->bars, wall_s);
	for (unsigned int i = 0; i < TIMER_BUDGET; i++) {
		uint32_t idx = plm_wheel_next(&admit->wheel, now_ns);

		if (idx == PLM_WHEEL_NONE)
			return plm_wheel_due(&admit->wheel);
		visit(admit, &admit->sessions[idx], now_ns, wall_s);
	}
	return now_ns;
}

uint64_t
plm_admit_timer(struct plm_admit *admit, uint64_t now_ns, uint64_t wall_s)
{
	uint64_t wheel_ns = wheel_turn(admit, now_ns, wall_s);
	uint64_t statics_ns = admit_statics_turn(admit, now_ns, wall_s);

	return RTE_MIN(wheel_ns, statics_ns);
}

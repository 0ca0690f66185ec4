/* SPDX-License-Identifier: BSD-3-Clause */
/* Consent (RFC 7675) and every other deadline of a session, on one timer wheel: nobody scans the
 * sessions, and one that lost its consent is found within a tick or two (64 ms each). */
#include "admit_priv.h"

/* Sessions looked at in one call; the rest is due at once and comes with the next. */
#define TIMER_BUDGET 256

void
admit_wheel_init(struct admit_wheel *wheel)
{
	for (unsigned int i = 0; i < WHEEL_SIZE; i++)
		wheel->head[i] = WHEEL_NONE;
}

void
admit_wheel_disarm(struct plm_admit *admit, struct admit_session *s)
{
	struct admit_wheel *wheel = &admit->wheel;

	if (s->tick == 0)
		return;
	if (s->prev == WHEEL_NONE)
		wheel->head[s->tick % WHEEL_SIZE] = s->next;
	else
		admit->sessions[s->prev].next = s->next;
	if (s->next != WHEEL_NONE)
		admit->sessions[s->next].prev = s->prev;
	s->tick = 0;
}

void
admit_wheel_arm(struct plm_admit *admit, struct admit_session *s, uint64_t due_ns)
{
	struct admit_wheel *wheel = &admit->wheel;
	uint64_t tick = due_ns / WHEEL_TICK_NS + 1;
	uint32_t *head;

	if (tick > wheel->tick + WHEEL_SIZE - 1)
		tick = wheel->tick + WHEEL_SIZE - 1;
	if (tick <= wheel->tick)
		tick = wheel->tick + 1;
	if (s->tick != 0) {
		if (s->tick <= tick)
			return;
		admit_wheel_disarm(admit, s);
	}
	head = &wheel->head[tick % WHEEL_SIZE];
	s->tick = tick;
	s->prev = WHEEL_NONE;
	s->next = *head;
	if (*head != WHEEL_NONE)
		admit->sessions[*head].prev = s->handle.idx;
	*head = s->handle.idx;
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
	struct admit_wheel *wheel = &admit->wheel;
	uint64_t now_tick = now_ns / WHEEL_TICK_NS;
	unsigned int budget = TIMER_BUDGET;

	if (wheel->tick > now_tick)
		return wheel->tick * WHEEL_TICK_NS;
	admit_bars_sweep(&admit->bars, wall_s);
	/* After a long pause once around is enough to meet everybody. */
	if (now_tick - wheel->tick >= WHEEL_SIZE)
		wheel->tick = now_tick - WHEEL_SIZE + 1;
	while (wheel->tick <= now_tick) {
		uint32_t *head = &wheel->head[wheel->tick % WHEEL_SIZE];

		while (*head != WHEEL_NONE) {
			struct admit_session *s = &admit->sessions[*head];

			if (budget-- == 0)
				return now_ns;
			admit_wheel_disarm(admit, s);
			visit(admit, s, now_ns, wall_s);
		}
		wheel->tick++;
	}
	return wheel->tick * WHEEL_TICK_NS;
}

uint64_t
plm_admit_timer(struct plm_admit *admit, uint64_t now_ns, uint64_t wall_s)
{
	uint64_t wheel_ns = wheel_turn(admit, now_ns, wall_s);
	uint64_t statics_ns = admit_statics_turn(admit, now_ns, wall_s);

	return RTE_MIN(wheel_ns, statics_ns);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "plm_wheel.h"

void
plm_wheel_init(struct plm_wheel *wheel, struct plm_wheel_entry *entries, uint64_t tick_ns,
		uint64_t now_ns)
{
	wheel->entries = entries;
	wheel->tick_ns = tick_ns;
	wheel->tick = now_ns / tick_ns;
	for (unsigned int i = 0; i < PLM_WHEEL_SIZE; i++)
		wheel->head[i] = PLM_WHEEL_NONE;
}

void
plm_wheel_disarm(struct plm_wheel *wheel, uint32_t idx)
{
	struct plm_wheel_entry *e = &wheel->entries[idx];

	if (e->tick == 0)
		return;
	if (e->prev == PLM_WHEEL_NONE)
		wheel->head[e->tick % PLM_WHEEL_SIZE] = e->next;
	else
		wheel->entries[e->prev].next = e->next;
	if (e->next != PLM_WHEEL_NONE)
		wheel->entries[e->next].prev = e->prev;
	e->tick = 0;
}

void
plm_wheel_arm(struct plm_wheel *wheel, uint32_t idx, uint64_t due_ns)
{
	struct plm_wheel_entry *e = &wheel->entries[idx];
	uint64_t tick = due_ns / wheel->tick_ns + 1;
	uint32_t *head;

	if (tick > wheel->tick + PLM_WHEEL_SIZE - 1)
		tick = wheel->tick + PLM_WHEEL_SIZE - 1;
	if (tick <= wheel->tick)
		tick = wheel->tick + 1;
	if (e->tick != 0) {
		if (e->tick <= tick)
			return;
		plm_wheel_disarm(wheel, idx);
	}
	head = &wheel->head[tick % PLM_WHEEL_SIZE];
	*e = (struct plm_wheel_entry){ .next = *head, .prev = PLM_WHEEL_NONE, .tick = tick };
	if (*head != PLM_WHEEL_NONE)
		wheel->entries[*head].prev = idx;
	*head = idx;
}

uint32_t
plm_wheel_next(struct plm_wheel *wheel, uint64_t now_ns)
{
	uint64_t now_tick = now_ns / wheel->tick_ns;

	/* After a gap of more than a round every place is looked at once. */
	if (now_tick >= PLM_WHEEL_SIZE && wheel->tick < now_tick - PLM_WHEEL_SIZE + 1)
		wheel->tick = now_tick - PLM_WHEEL_SIZE + 1;
	for (; wheel->tick <= now_tick; wheel->tick++) {
		uint32_t idx = wheel->head[wheel->tick % PLM_WHEEL_SIZE];

		/* After a gap a place may hold what a later round is for: it comes early. */
		if (idx != PLM_WHEEL_NONE) {
			plm_wheel_disarm(wheel, idx);
			return idx;
		}
	}
	return PLM_WHEEL_NONE;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Deadlines of many objects, by index, on one hashed wheel: arming and looking cost the same
 * however many there are. An entry is looked at when the earliest of its deadlines may have come; who
 * finds it too early arms it again, so a deadline that moves on costs nothing until then.
 *
 * One lcore's; memory is the caller's.
 */
#ifndef PLM_WHEEL_H
#define PLM_WHEEL_H

#include "plm_base.h"

#define PLM_WHEEL_SIZE 1024 /* ticks; what is further away is looked at once a round */
#define PLM_WHEEL_NONE UINT32_MAX

struct plm_wheel_entry {
	uint32_t next;
	uint32_t prev;
	uint64_t tick; /* when it is looked at; 0: not on the wheel */
};

struct plm_wheel {
	/* owner */
	uint64_t tick;    /* everything before it has been looked at */
	uint64_t tick_ns; /* const */
	struct plm_wheel_entry *entries;
	uint32_t head[PLM_WHEEL_SIZE];
};

/** A wheel of so fine a tick over a zeroed array of entries. `now_ns` is any time before the first use. */
void plm_wheel_init(struct plm_wheel *wheel, struct plm_wheel_entry *entries, uint64_t tick_ns,
		uint64_t now_ns);

/** Look at `idx` at `due_ns`, or earlier if it was armed for that: never more than two ticks late. */
void plm_wheel_arm(struct plm_wheel *wheel, uint32_t idx, uint64_t due_ns);

/** Not at all. */
void plm_wheel_disarm(struct plm_wheel *wheel, uint32_t idx);

/** The next whose time has come, disarmed; PLM_WHEEL_NONE: there is none now. */
uint32_t plm_wheel_next(struct plm_wheel *wheel, uint64_t now_ns);

/** When plm_wheel_next() is worth a call. */
static inline uint64_t
plm_wheel_due(const struct plm_wheel *wheel)
{
	return wheel->tick * wheel->tick_ns;
}

/** At which time an armed entry is looked at; UINT64_MAX: it is not armed. */
static inline uint64_t
plm_wheel_armed_ns(const struct plm_wheel *wheel, uint32_t idx)
{
	uint64_t tick = wheel->entries[idx].tick;

	return tick == 0 ? UINT64_MAX : tick * wheel->tick_ns;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The event log: JSON lines, written by a control thread out of a bounded ring. */
#ifndef EVENTS_H
#define EVENTS_H

#include "plm_admit.h"

struct events;

/* `path` is a file to append to, or "stderr". After EAL, before the slow path runs. 0 or negative
 * errno, `why` is one line. */
int events_start(struct events **events, const char *path, uint32_t per_s, struct plm_text *why);

/* Write what waits, end the thread. Takes NULL. */
void events_stop(struct events *events);

/* Take an event; `events` is a struct events. False: over the rate or the ring full. Never waits.
 * Slow path only. */
bool events_put(void *events, const struct plm_event *event);

/* Address and port of a tuple, "198.18.0.2:5004" or "[fd00::2]:5004". */
#define TUPLE_TEXT_SIZE 64

#endif

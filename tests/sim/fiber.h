/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Fibers: lcores that share one thread and change places only where they are told to. Made once,
 * used for run after run.
 */
#ifndef SIM_FIBER_H
#define SIM_FIBER_H

#include <stdbool.h>

struct sim_fiber;

/** Make a fiber that runs `body(arg)` each time it is restarted. Aborts without memory. */
struct sim_fiber *sim_fiber_create(void (*body)(void *arg), void *arg);

/** Run it until it yields or its body returns. Not from within a fiber. */
void sim_fiber_resume(struct sim_fiber *fiber);

/** Back to whoever resumed us. From within a fiber. */
void sim_fiber_yield(void);

/** Has its body returned? The next resume starts it anew. */
bool sim_fiber_done(const struct sim_fiber *fiber);

/** The fiber that runs, NULL outside. */
struct sim_fiber *sim_fiber_self(void);

#endif

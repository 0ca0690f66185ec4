/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Clocks and randomness of linked libraries: while a run goes on they get the run's time and
 * numbers that follow from its seed, and every call is counted.
 */
#ifndef SIM_INTERPOSE_H
#define SIM_INTERPOSE_H

#include <stdint.h>

/** From now on in this thread; numbers follow from `seed`. */
void sim_interpose_on(uint64_t seed);
void sim_interpose_off(void);
/** Calls since the last sim_interpose_on(). */
uint64_t sim_interpose_calls(void);

#endif

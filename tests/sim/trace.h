/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The trace of a run: everything that happens goes into one hash, and into a file if one is asked
 * for. Same seed, same hash. No address and nothing of the machine may get in.
 */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include <stdint.h>
#include <stdio.h>

#include "rng.h"

struct sim_trace {
	uint64_t hash;
	FILE *file;
};

static inline void
sim_trace_word(struct sim_trace *trace, uint64_t word)
{
	trace->hash = sim_mix(trace->hash ^ word) + UINT64_C(0x9e3779b97f4a7c15);
}

/** A line for people; what it says must be in words, too. */
#define SIM_TRACE(trace, ...)                                                                      \
	do {                                                                                       \
		if ((trace)->file != NULL)                                                         \
			fprintf((trace)->file, __VA_ARGS__);                                       \
	} while (0)

#endif

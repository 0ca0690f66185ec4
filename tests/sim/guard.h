/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Poisoned memory. Views live in pages of their own that are taken away when they are freed, so
 * that a late read faults at once; a free session's state and a free next hop are overwritten.
 */
#ifndef SIM_GUARD_H
#define SIM_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** No MAC address of anybody. */
#define SIM_POISON_MAC UINT64_C(0x0000dddddddddddd)

/** Is this the address of a view that was freed, or of none yet? For the signal handler. */
bool sim_guard_hit(const void *addr);

/** Between runs: every page is free again. */
void sim_guard_clear(void);

#endif

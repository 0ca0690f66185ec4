/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What must hold of the relay's own state, at the points where it changes: views, references,
 * counters, budgets, tables.
 */
#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include "run.h"

void sim_check_create(struct sim_run *run);
void sim_check_free(struct sim_run *run);

/** At a point, before anybody else may run. */
void sim_check_point(struct sim_run *run, enum plm_sched_site site, const void *what);
/** Is a view of this room not yet freed that was published before number `seq`? */
bool sim_check_older_view(const struct sim_run *run, uint32_t room_idx, uint64_t seq);
/** A drop was reported: the counters must say the same, in the end. */
void sim_check_drop(struct sim_run *run, const void *counters, enum plm_counter why);
/** The sums of plm_stats.h, per lcore and over all, and drops by reason; at the end. */
void sim_check_sums(struct sim_run *run);
/** Around a turn of the slow path: its budgets. */
void sim_check_ctl_begin(struct sim_run *run);
void sim_check_ctl_end(struct sim_run *run);
/** Every claim is settled. */
void sim_check_claims(struct sim_run *run);
/** Tables and backlogs are empty. */
void sim_check_empty(struct sim_run *run);

#endif

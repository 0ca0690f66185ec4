/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Runs in processes of their own: a run that failed or crashed leaves a relay half-way, so its
 * process ends with it and the next run gets a fresh one. The parent never starts EAL.
 */
#ifndef SIM_BATCH_H
#define SIM_BATCH_H

#include "run.h"

/** What to run, as the command line says it. */
struct sim_job {
	uint64_t seed;
	const struct sim_story *story; /* NULL: by seed, all of them in turn */
	uint64_t max_steps;
	unsigned int nb_workers; /* 0: by seed */
	bool agree;              /* the same plan with 1, 2, 4 and 8 workers, and compare */
	enum plm_mutant mutant;
	struct sim_cut cut;
	const char *trace;
};

const struct sim_story *sim_job_story(const struct sim_job *job);

/** In this process, which must have called sim_world_init(). */
void sim_job_run(const struct sim_job *job, struct sim_result *result);

/** In a process of its own. */
void sim_job_run_apart(const struct sim_job *job, struct sim_result *result);

/** Command line that repeats a job. */
void sim_job_text(const struct sim_job *job, struct plm_text *text);

/** Runs of `count` seeds from job->seed on, `jobs` processes at once. Exit status. */
int sim_sweep(const struct sim_job *job, uint64_t count, unsigned int jobs);

/** Every mutant, each with up to `count` seeds until one run fails. Exit status. */
int sim_mutants(const struct sim_job *job, uint64_t count, unsigned int jobs);

/** One mutant: 0 when it is caught. */
int sim_mutate(const struct sim_job *job, uint64_t count);

/** Named runs of a file, see tests/sim/regressions. Exit status. */
int sim_regressions(const char *path, uint64_t max_steps);

/** Shorten a run that fails. Exit status. */
int sim_minimize(const struct sim_job *job);

const char *sim_mutant_name(enum plm_mutant mutant);
/** PLM_MUTANT_NONE if there is none of this name. */
enum plm_mutant sim_mutant_find(const char *name);
/** NULL if there is none of this name. */
const struct sim_story *sim_story_find(const char *name);

/** What fired how often, as a table. */
void sim_fired_add(struct sim_fired *to, const struct sim_fired *from);
/** Sites that never fired. */
unsigned int sim_fired_print(const struct sim_fired *fired);

#endif

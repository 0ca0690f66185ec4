/* SPDX-License-Identifier: BSD-3-Clause */
/* A run that fails, made short: fewer steps, fewer operations, a calmer network, fewer workers, as
 * long as it fails the same invariant. Every try is a process of its own. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "batch.h"

static unsigned int nb_tries;

static bool
fails(const struct sim_job *job, enum sim_invariant invariant, uint64_t *steps)
{
	struct sim_result result;

	nb_tries++;
	sim_job_run_apart(job, &result);
	if (steps != NULL)
		*steps = result.steps;
	return result.failed && result.invariant == invariant;
}

/* The least number of steps after which the story may end; failing need not be monotonic, so what
 * is found is a short run, not the shortest. */
static void
fewer_steps(struct sim_job *job, enum sim_invariant invariant, uint64_t most)
{
	uint64_t low = 0;
	uint64_t high = most;

	while (low + 1 < high) {
		struct sim_job shorter = *job;

		shorter.max_steps = low + (high - low) / 2;
		if (fails(&shorter, invariant, NULL))
			high = shorter.max_steps;
		else
			low = shorter.max_steps;
	}
	if (high < most)
		job->max_steps = high;
	printf("steps: %" PRIu64 "\n", high);
}

/* Leave out a run of operations at a time, halves first, then less (ddmin). */
static void
fewer_ops(struct sim_job *job, enum sim_invariant invariant, uint32_t nb_ops)
{
	uint32_t *cut = calloc(nb_ops + 1, sizeof(*cut));
	uint32_t *keep = calloc(nb_ops + 1, sizeof(*keep));
	uint32_t nb_keep = 0;

	if (cut == NULL || keep == NULL)
		abort();
	if (job->cut.nb_ops > 0)
		memcpy(cut, job->cut.ops, job->cut.nb_ops * sizeof(*cut));
	for (uint32_t i = 0; i < nb_ops; i++) {
		bool is_cut = false;

		for (unsigned int k = 0; k < job->cut.nb_ops; k++)
			is_cut |= cut[k] == i;
		if (!is_cut)
			keep[nb_keep++] = i;
	}
	for (uint32_t chunk = nb_keep / 2; chunk > 0; chunk /= 2) {
		for (uint32_t at = 0; at < nb_keep;) {
			struct sim_job smaller = *job;
			uint32_t n = chunk < nb_keep - at ? chunk : nb_keep - at;
			uint32_t *ops = cut;

			memcpy(cut + job->cut.nb_ops, keep + at, n * sizeof(*cut));
			smaller.cut.ops = ops;
			smaller.cut.nb_ops = job->cut.nb_ops + n;
			if (!fails(&smaller, invariant, NULL)) {
				at += n;
				continue;
			}
			job->cut.ops = cut;
			job->cut.nb_ops = smaller.cut.nb_ops;
			memmove(keep + at, keep + at + n, (nb_keep - at - n) * sizeof(*keep));
			nb_keep -= n;
		}
		printf("operations: %u of %u\n", nb_keep, nb_ops);
		fflush(stdout);
	}
	free(keep); /* `cut` is the job's now */
}

static uint32_t
count_ops(const struct sim_job *job)
{
	struct sim_plan *plan = sim_plan_create(sim_job_story(job), job->seed, &job->cut);
	uint32_t n = plan->nb_ops;

	sim_plan_free(plan);
	return n;
}

int
sim_minimize(const struct sim_job *original)
{
	struct sim_job job = *original;
	struct sim_result result;
	char buf[16384];
	struct plm_text text;

	job.story = sim_job_story(&job);
	sim_job_run_apart(&job, &result);
	if (!result.failed) {
		printf("nothing to shorten: it does not fail\n");
		return 2;
	}
	printf("%s: %s\n", sim_invariant_names[result.invariant], result.text);
	for (unsigned int w = 1; w <= 2; w++) {
		struct sim_job fewer = job;

		fewer.nb_workers = w;
		if (!job.agree && fails(&fewer, result.invariant, NULL)) {
			job.nb_workers = w;
			printf("workers: %u\n", w);
			break;
		}
	}
	if (!job.cut.calm_wire) {
		struct sim_job calm = job;

		calm.cut.calm_wire = true;
		if (fails(&calm, result.invariant, NULL))
			job.cut.calm_wire = true;
	}
	fewer_ops(&job, result.invariant, count_ops(&job));
	if (!job.agree)
		fewer_steps(&job, result.invariant,
				job.max_steps != UINT64_MAX ? job.max_steps : 1u << 20);
	sim_job_run_apart(&job, &result);
	plm_text_init(&text, buf, sizeof(buf));
	sim_job_text(&job, &text);
	printf("%u runs. The rest:\n", nb_tries);
	fflush(stdout);
	{
		struct sim_plan *plan = sim_plan_create(job.story, job.seed, &job.cut);

		for (uint32_t i = 0; i < plan->nb_ops; i++) {
			char line[256];
			struct plm_text op;

			plm_text_init(&op, line, sizeof(line));
			sim_op_text(plan, i, &op);
			if (!plan->ops[i].off)
				printf("%s\n", line);
		}
		sim_plan_free(plan);
	}
	printf("%s: %s\n%s\n", sim_invariant_names[result.invariant], result.text, buf);
	return 1;
}

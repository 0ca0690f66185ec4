/* SPDX-License-Identifier: BSD-3-Clause */
/* What fired how often; and the named runs of a file. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "batch.h"

void
sim_fired_add(struct sim_fired *to, const struct sim_fired *from)
{
	for (unsigned int i = 0; i < PLM_FAULT_MAX; i++)
		to->site[i] += from->site[i];
	for (unsigned int i = 0; i < SIM_WORLD_MAX; i++)
		to->world[i] += from->world[i];
	for (unsigned int i = 0; i < PLM_SCHED_MAX; i++) {
		to->point[i] += from->point[i];
		to->yield[i] += from->yield[i];
	}
}

unsigned int
sim_fired_print(const struct sim_fired *fired)
{
	static const char *const sites[] = {
#define NAME(id, name, help) name,
		PLM_FAULT_SITES(NAME)
	};
	static const char *const world[] = { SIM_WORLD_FAULTS(NAME) };
	static const char *const points[] = { PLM_SCHED_SITES(NAME) };
#undef NAME
	unsigned int silent = 0;

	printf("%-16s %12s\n", "fault", "fired");
	for (unsigned int i = 0; i < PLM_FAULT_MAX; i++) {
		printf("%-16s %12" PRIu64 "\n", sites[i], fired->site[i]);
		silent += fired->site[i] == 0;
	}
	for (unsigned int i = 0; i < SIM_WORLD_MAX; i++) {
		printf("%-16s %12" PRIu64 "\n", world[i], fired->world[i]);
		silent += fired->world[i] == 0;
	}
	printf("%-16s %12s %12s\n", "point", "reached", "gave way");
	for (unsigned int i = 0; i < PLM_SCHED_MAX; i++) {
		printf("%-16s %12" PRIu64 " %12" PRIu64 "\n", points[i], fired->point[i],
				fired->yield[i]);
		silent += fired->yield[i] == 0;
	}
	return silent;
}

/* "name story seed [workers=K] [agree] [mutant=NAME]": must hold; with a mutant also: must fail
 * once that is alive, or the run has lost its point. */
static int
regression(char *line, uint64_t max_steps)
{
	struct sim_job job = { .max_steps = max_steps };
	struct sim_result result;
	enum plm_mutant mutant = PLM_MUTANT_NONE;
	const char *name = strtok(line, " \t\n");
	const char *story = strtok(NULL, " \t\n");
	const char *seed = strtok(NULL, " \t\n");
	const char *word;

	if (name == NULL || story == NULL || seed == NULL)
		return -1;
	job.story = sim_story_find(story);
	job.seed = strtoull(seed, NULL, 10);
	if (job.story == NULL)
		return -1;
	while ((word = strtok(NULL, " \t\n")) != NULL) {
		if (strncmp(word, "workers=", 8) == 0)
			job.nb_workers = (unsigned int)strtoul(word + 8, NULL, 10);
		else if (strncmp(word, "mutant=", 7) == 0)
			mutant = sim_mutant_find(word + 7);
		else if (strcmp(word, "agree") == 0)
			job.agree = true;
		else
			return -1;
	}
	sim_job_run_apart(&job, &result);
	if (result.failed) {
		printf("%-44s FAILED %s: %s\n", name, sim_invariant_names[result.invariant],
				result.text);
		return 1;
	}
	if (mutant != PLM_MUTANT_NONE) {
		job.mutant = mutant;
		sim_job_run_apart(&job, &result);
		if (!result.failed) {
			printf("%-44s FAILED: holds even with %s\n", name, sim_mutant_name(mutant));
			return 1;
		}
		printf("%-44s ok, and fails %s with %s\n", name,
				sim_invariant_names[result.invariant], sim_mutant_name(mutant));
		return 0;
	}
	printf("%-44s ok\n", name);
	return 0;
}

int
sim_regressions(const char *path, uint64_t max_steps)
{
	FILE *file = fopen(path, "r");
	unsigned int nb_line = 0;
	unsigned int failed = 0;
	char line[512];

	if (file == NULL) {
		perror(path);
		return 2;
	}
	while (fgets(line, sizeof(line), file) != NULL) {
		const char *p = line;
		int ret;

		nb_line++;
		while (isspace((unsigned char)*p))
			p++;
		if (*p == '#' || *p == '\0')
			continue;
		ret = regression(line, max_steps);
		if (ret < 0) {
			fprintf(stderr, "%s:%u: name story seed [workers=K] [agree] [mutant=NAME]\n",
					path, nb_line);
			fclose(file);
			return 2;
		}
		failed += (unsigned int)ret;
	}
	fclose(file);
	return failed > 0;
}

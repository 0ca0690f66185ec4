/* SPDX-License-Identifier: BSD-3-Clause */
/* plenum-sim: the whole relay in one thread, in an order that a seed chooses. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "batch.h"

enum {
	OPT_SEED = 256,
	OPT_STORY,
	OPT_STEPS,
	OPT_WORKERS,
	OPT_TRACE,
	OPT_SWEEP,
	OPT_JOBS,
	OPT_AGREE,
	OPT_MINIMIZE,
	OPT_MUTATE,
	OPT_MUTANTS,
	OPT_REGRESSIONS,
	OPT_WITHOUT,
	OPT_CALM_WIRE,
	OPT_LIST,
	OPT_PLAN,
};

static const struct option options[] = {
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "story", required_argument, NULL, OPT_STORY },
	{ "steps", required_argument, NULL, OPT_STEPS },
	{ "workers", required_argument, NULL, OPT_WORKERS },
	{ "trace", required_argument, NULL, OPT_TRACE },
	{ "sweep", required_argument, NULL, OPT_SWEEP },
	{ "jobs", required_argument, NULL, OPT_JOBS },
	{ "agree", no_argument, NULL, OPT_AGREE },
	{ "minimize", no_argument, NULL, OPT_MINIMIZE },
	{ "mutate", required_argument, NULL, OPT_MUTATE },
	{ "mutants", no_argument, NULL, OPT_MUTANTS },
	{ "regressions", required_argument, NULL, OPT_REGRESSIONS },
	{ "without", required_argument, NULL, OPT_WITHOUT },
	{ "calm-wire", no_argument, NULL, OPT_CALM_WIRE },
	{ "list", no_argument, NULL, OPT_LIST },
	{ "plan", no_argument, NULL, OPT_PLAN },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const char usage[] =
		"usage: plenum-sim [OPTION]...\n"
		"Run the whole relay in one thread, lcores taking turns as a seed says, over a network\n"
		"that a story spoils, and check what leaves it. The last line is the trace's hash: same\n"
		"seed, same hash. Exit 0 when everything held, 1 when something did not.\n"
		"\n"
		"  --seed N          what everything is drawn from (1)\n"
		"  --story NAME      one of --list (by seed, all of them in turn)\n"
		"  --workers K       1 to 8 (by seed)\n"
		"  --steps M         end the story after M steps of the scheduler (when it is over)\n"
		"  --trace FILE      write what happens\n"
		"  --plan            print the operations of the story, and run nothing\n"
		"  --without OPS     leave these operations out: 3,7,9\n"
		"  --calm-wire       the network does nothing bad\n"
		"  --agree           the same plan with 1, 2, 4 and 8 workers; they must agree\n"
		"  --sweep COUNT     COUNT seeds from --seed on; prints what failed, and how often every\n"
		"                    site of a fault fired\n"
		"  --jobs J          processes at once (as many as there are CPUs)\n"
		"  --minimize        shorten the run that fails, and print how to repeat it\n"
		"  --mutate NAME     with a fault put in on purpose; up to 200 seeds until it is caught,\n"
		"                    or with --seed that one run\n"
		"  --mutants         every such fault; each must be caught\n"
		"  --regressions FILE  the named runs of a file\n"
		"  --list            stories, sites, mutants, invariants\n";

static void
print_table(const char *title, const char *const *rows, unsigned int n)
{
	printf("%s\n", title);
	for (unsigned int i = 0; i < n; i++)
		printf("  %-16s %s\n", rows[2 * i], rows[2 * i + 1]);
}

static void
list(void)
{
#define ROW(id, name, help) name, help,
	static const char *const sites[] = { PLM_FAULT_SITES(ROW) SIM_WORLD_FAULTS(ROW) };
	static const char *const points[] = { PLM_SCHED_SITES(ROW) };
	static const char *const mutants[] = { PLM_MUTANTS(ROW) };
	static const char *const invariants[] = { SIM_INVARIANTS(ROW) };
#undef ROW
	printf("stories\n");
	for (unsigned int i = 0; sim_stories[i] != NULL; i++)
		printf("  %-16s %s\n", sim_stories[i]->name, sim_stories[i]->help);
	print_table("faults", sites, sizeof(sites) / sizeof(sites[0]) / 2);
	print_table("points at which lcores change places", points,
			sizeof(points) / sizeof(points[0]) / 2);
	print_table("mutants", mutants, sizeof(mutants) / sizeof(mutants[0]) / 2);
	print_table("invariants", invariants, sizeof(invariants) / sizeof(invariants[0]) / 2);
}

static uint64_t
number(const char *option, const char *text, uint64_t least, uint64_t most)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || n < least || n > most) {
		fprintf(stderr, "plenum-sim: --%s %s: a number from %" PRIu64 " to %" PRIu64 "\n",
				option, text, least, most);
		exit(2);
	}
	return n;
}

static void
without(struct sim_job *job, char *text)
{
	static uint32_t ops[4096];

	for (char *p = strtok(text, ","); p != NULL; p = strtok(NULL, ","))
		if (job->cut.nb_ops < sizeof(ops) / sizeof(ops[0]))
			ops[job->cut.nb_ops++] = (uint32_t)number("without", p, 0, UINT32_MAX);
	job->cut.ops = ops;
}

static int
print_plan(const struct sim_job *job)
{
	struct sim_plan *plan = sim_plan_create(sim_job_story(job), job->seed, &job->cut);

	printf("%s, seed %" PRIu64 ": %u rooms, %u participants, %u packets, %u arrivals\n",
			plan->story->name, job->seed, plan->nb_rooms, plan->nb_peers,
			plan->nb_packets, plan->nb_arrivals);
	for (uint32_t i = 0; i < plan->nb_ops; i++) {
		char buf[256];
		struct plm_text text;

		plm_text_init(&text, buf, sizeof(buf));
		sim_op_text(plan, i, &text);
		printf("%s\n", buf);
	}
	sim_plan_free(plan);
	return 0;
}

static int
run_one(const struct sim_job *job)
{
	struct sim_result result;
	char buf[4096];
	struct plm_text text;

	plm_text_init(&text, buf, sizeof(buf));
	sim_job_text(job, &text);
	printf("%s\n", buf);
	sim_job_run_apart(job, &result);
	if (result.failed)
		printf("FAILED %s: %s\n", sim_invariant_names[result.invariant], result.text);
	else
		printf("ok\n");
	printf("%" PRIu64 " steps, %" PRIu64 " packets in, %" PRIu64 " copies out\n", result.steps,
			result.nb_in, result.nb_copies);
	printf("hash %016" PRIx64 "\n", result.hash);
	return result.failed;
}

int
main(int argc, char **argv)
{
	struct sim_job job = { .seed = 1, .max_steps = UINT64_MAX };
	const char *regressions = NULL;
	uint64_t sweep = 0;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int jobs = cpus < 1 ? 1 : cpus > 64 ? 64 : (unsigned int)cpus;
	bool has_seed = false;
	bool minimize = false;
	bool mutants = false;
	bool plan = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case OPT_SEED:
			job.seed = number("seed", optarg, 0, UINT64_MAX / 2);
			has_seed = true;
			break;
		case OPT_STORY:
			job.story = sim_story_find(optarg);
			if (job.story == NULL) {
				fprintf(stderr, "plenum-sim: no story %s (try --list)\n", optarg);
				return 2;
			}
			break;
		case OPT_STEPS:
			job.max_steps = number("steps", optarg, 0, UINT64_MAX / 2);
			break;
		case OPT_WORKERS:
			job.nb_workers = (unsigned int)number("workers", optarg, 1, SIM_WORKERS);
			break;
		case OPT_TRACE:
			job.trace = optarg;
			break;
		case OPT_SWEEP:
			sweep = number("sweep", optarg, 1, 100000000);
			break;
		case OPT_JOBS:
			jobs = (unsigned int)number("jobs", optarg, 1, 64);
			break;
		case OPT_AGREE:
			job.agree = true;
			break;
		case OPT_MINIMIZE:
			minimize = true;
			break;
		case OPT_MUTATE:
			job.mutant = sim_mutant_find(optarg);
			if (job.mutant == PLM_MUTANT_NONE) {
				fprintf(stderr, "plenum-sim: no mutant %s (try --list)\n", optarg);
				return 2;
			}
			break;
		case OPT_MUTANTS:
			mutants = true;
			break;
		case OPT_REGRESSIONS:
			regressions = optarg;
			break;
		case OPT_WITHOUT:
			without(&job, optarg);
			break;
		case OPT_CALM_WIRE:
			job.cut.calm_wire = true;
			break;
		case OPT_LIST:
			list();
			return 0;
		case OPT_PLAN:
			plan = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs("Try plenum-sim --help.\n", stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "plenum-sim: what is %s? Try --help.\n", argv[optind]);
		return 2;
	}
	if (plan)
		return print_plan(&job);
	if (regressions != NULL)
		return sim_regressions(regressions, job.max_steps);
	if (minimize)
		return sim_minimize(&job);
	if (mutants)
		return sim_mutants(&job, sweep != 0 ? sweep : 200, jobs);
	if (sweep != 0)
		return sim_sweep(&job, sweep, jobs);
	if (job.mutant != PLM_MUTANT_NONE && !has_seed)
		return sim_mutate(&job, 200);
	return run_one(&job);
}

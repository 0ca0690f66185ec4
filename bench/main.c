/* SPDX-License-Identifier: BSD-3-Clause */
/* plenum-bench: what a copy costs, in one run on two CPUs. */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "bench.h"

#define REPETITIONS      31
#define REPETITIONS_FULL 151

static const char usage[] =
		"usage: plenum-bench [--json FILE] [--report FILE] [--full] [--only PART] [--no-huge]\n"
		"\n"
		"  --json FILE    write all figures as JSON\n"
		"  --report FILE  write the printed tables as Markdown\n"
		"  --repetitions N, or\n"
		"  --full         " RTE_STR(REPETITIONS_FULL) " repetitions instead of " RTE_STR(
				REPETITIONS) "\n"
					     "  --only PART    primitive, path, crossing, kernel or instructions\n"
					     "  --no-huge      run without hugepages\n"
					     "\n"
					     "Two CPUs: main feeds, the worker is measured. Exit 0 when every limit is met, 1 when\n"
					     "one is not, 2 when it could not be measured.\n";

/* The first and the last CPU that we may run on. */
static void
find_cpus(int *first, int *last)
{
	cpu_set_t cpus;

	*first = *last = -1;
	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		bench_die("sched_getaffinity(): %s", strerror(errno));
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &cpus))
			continue;
		if (*first < 0)
			*first = i;
		*last = i;
	}
}

static void
start_eal(bool huge, bool counting)
{
	int first, last;
	char cpus[32];
	char prefix[32];
	const char *args[16] = { "plenum-bench", "--no-pci", "--no-telemetry", "--no-shconf",
		"--log-level", "lib.eal:error" };
	char *argv[16];
	int n = 6;

	find_cpus(&first, &last);
	if (counting)
		last = first;
	else if (first == last)
		bench_die("two CPUs are needed, one to feed and one to be measured");
	snprintf(cpus, sizeof(cpus), first == last ? "%d" : "%d,%d", first, last);
	snprintf(prefix, sizeof(prefix), "plmbench%d", (int)getpid());
	args[n++] = "-l";
	args[n++] = cpus;
	if (huge) {
		args[n++] = "--in-memory";
	} else {
		args[n++] = "--no-huge";
		args[n++] = "-m";
		args[n++] = counting ? "256" : "2048";
		args[n++] = "--file-prefix";
		args[n++] = prefix;
	}
	if (!counting) {
		args[n++] = "--vdev";
		args[n++] = "net_null0,no-rx=1";
	}
	for (int i = 0; i < n; i++)
		argv[i] = (char *)(uintptr_t)args[i];
	if (rte_eal_init(n, argv) < 0)
		bench_die("EAL: %s%s", rte_strerror(rte_errno),
				huge ? " (are there 1 GB of hugepages? --no-huge does without)"
				     : "");
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", required_argument, NULL, 'j' },
		{ "report", required_argument, NULL, 'r' },
		{ "full", no_argument, NULL, 'f' },
		{ "repetitions", required_argument, NULL, 'N' },
		{ "only", required_argument, NULL, 'o' },
		{ "no-huge", no_argument, NULL, 'n' },
		{ "count", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static const struct {
		const char *name;
		void (*run)(const struct bench_options *opt);
	} parts[] = {
		{ "primitive", bench_primitive_all },
		{ "path", bench_path_all },
		{ "crossing", bench_crossing },
		{ "kernel", bench_kernel_all },
		{ "instructions", bench_count_all },
	};
	struct bench_options opt = { .repetitions = REPETITIONS, .self = argv[0], .huge = true };
	const char *only = NULL;
	const char *count = NULL;
	bool found = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			opt.json = optarg;
			break;
		case 'r':
			opt.markdown = optarg;
			break;
		case 'f':
			opt.repetitions = REPETITIONS_FULL;
			break;
		case 'N':
			opt.repetitions = (unsigned int)atoi(optarg);
			break;
		case 'o':
			only = optarg;
			break;
		case 'n':
			opt.huge = false;
			break;
		case 'c':
			count = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind < argc || opt.repetitions < 1 || opt.repetitions > 10000) {
		fputs(usage, stderr);
		return 2;
	}
	start_eal(opt.huge && count == NULL, count != NULL);
	if (count != NULL) {
		bench_count_one(count);
		return 0;
	}
	for (size_t i = 0; i < RTE_DIM(parts); i++) {
		if (only != NULL && strcmp(only, parts[i].name) != 0)
			continue;
		found = true;
		fprintf(stderr, "measuring: %s\n", parts[i].name);
		parts[i].run(&opt);
	}
	if (!found)
		bench_die("--only %s: no such part", only);
	return bench_report(&opt) ? 0 : 1;
}

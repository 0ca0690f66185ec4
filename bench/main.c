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
#define HUGE_MB          1280
#define SMALL_MB(w)      (1024 + 512 * (w)) /* pools of one rig for each number of workers */

static const char usage[] =
		"usage: plenum-bench [--json FILE] [--report FILE] [--full] [--only PART]\n"
		"                    [--workers N] [--no-huge]\n"
		"\n"
		"  --json FILE    write all figures as JSON\n"
		"  --report FILE  write the printed tables as Markdown\n"
		"  --repetitions N, or\n"
		"  --full         " RTE_STR(REPETITIONS_FULL) " repetitions instead of " RTE_STR(
				REPETITIONS) "\n"
					     "  --only PART    primitive, path, crossing, workers, lending, kernel,\n"
					     "                 virtio, capacity, quic, wzp or instructions\n"
					     "  --workers N    as many workers at most, each on a CPU of its own (2)\n"
					     "  --quick        capacity, quic and wzp: less of it, a fraction of the time, for tests\n"
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

/* The last one, and the first n - 1 others that we may run on: the first is main's. */
static void
list_cpus(char *list, size_t size, unsigned int n, int last)
{
	unsigned int found = 1;
	size_t len = 0;
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		bench_die("sched_getaffinity(): %s", strerror(errno));
	for (int i = 0; i < last && found < n; i++) {
		if (!CPU_ISSET(i, &cpus))
			continue;
		len += (size_t)snprintf(list + len, size - len, "%d,", i);
		found++;
	}
	if (found < n)
		bench_die("%u workers need as many CPUs, there are %u", n, found);
	snprintf(list + len, size - len, "%d", last);
}

static void
start_eal(bool huge, bool counting, unsigned int nb_workers)
{
	int first, last;
	char cpus[256];
	char prefix[32];
	char memory[16];
	const char *args[20] = { "plenum-bench", "--no-pci", "--no-telemetry", "--no-shconf",
		"--log-level", "lib.eal:error", "--log-level", "lib.vhost.*:warning" };
	char *argv[20];
	int n = 8;

	find_cpus(&first, &last);
	if (counting)
		last = first;
	else if (first == last)
		bench_die("two CPUs are needed, one to feed and one to be measured");
	list_cpus(cpus, sizeof(cpus), first == last ? 1 : RTE_MAX(nb_workers, 2u), last);
	snprintf(prefix, sizeof(prefix), "plmbench%d", (int)getpid());
	args[n++] = "-l";
	args[n++] = cpus;
	if (huge) {
		args[n++] = "--in-memory";
		/* virtio-user stops after a few packets without this... */
		args[n++] = "--single-file-segments";
		/* ...and waits for vhost, which waits for it, when memory comes while it is plugged. */
		args[n++] = "-m";
		args[n++] = RTE_STR(HUGE_MB);
	} else {
		args[n++] = "--no-huge";
		args[n++] = "-m";
		snprintf(memory, sizeof(memory), "%u", counting ? 256 : SMALL_MB(nb_workers));
		args[n++] = memory;
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
				huge ? " (are there " RTE_STR(
						       HUGE_MB) " MB of hugepages? --no-huge does without)"
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
		{ "profile", required_argument, NULL, 'p' },
		{ "workers", required_argument, NULL, 'w' },
		{ "quick", no_argument, NULL, 'q' },
		{ "miscount", no_argument, NULL, 'm' },
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
		{ "workers", bench_workers_all },
		{ "lending", bench_lending },
		{ "kernel", bench_kernel_all },
		{ "virtio", bench_virtio_all },
		{ "capacity", bench_capacity_all },
		{ "quic", bench_quic_all },
		{ "wzp", bench_wzp_all },
		{ "instructions", bench_count_all },
	};
	struct bench_options opt = { .repetitions = REPETITIONS,
		.workers = 2,
		.self = argv[0],
		.huge = true };
	const char *only = NULL;
	const char *count = NULL;
	const char *profile = NULL;
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
		case 'p':
			profile = optarg;
			break;
		case 'w':
			opt.workers = (unsigned int)atoi(optarg);
			break;
		case 'q':
			opt.quick = true;
			break;
		case 'm':
			opt.miscount = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind < argc || opt.repetitions < 1 || opt.repetitions > 10000 || opt.workers < 2 ||
			opt.workers > PLM_WORKERS_MAX) {
		fputs(usage, stderr);
		return 2;
	}
	start_eal(opt.huge && count == NULL, count != NULL, opt.workers);
	if (count != NULL) {
		bench_count_one(count);
		return 0;
	}
	if (profile != NULL) {
		bench_profile(profile);
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

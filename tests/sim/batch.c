/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes, and what becomes of one that dies: a signal is a verdict, too. */
#include "batch.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guard.h"
#include "oracle.h"

/* Seconds after which a run hangs. */
#define HANG_S       120
#define MAX_FAILURES 10

/* Shared between the parent and one process of its own. */
struct slot {
	uint64_t index; /* of the run that goes on, or that failed */
	bool failed;
	struct sim_result result;
	struct sim_fired fired; /* of all its runs */
	uint64_t nb_in, nb_copies, nb_judged, nb_compared, foreign_random;
};

static struct slot *crash_slot; /* of this process */

static void *
shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

/* --- names ---------------------------------------------------------------------------------- */

static const char *const mutant_names[] = { "none",
#define MUTANT_NAME(id, name, help) name,
	PLM_MUTANTS(MUTANT_NAME)
#undef MUTANT_NAME
};

const char *
sim_mutant_name(enum plm_mutant mutant)
{
	return mutant_names[mutant];
}

enum plm_mutant
sim_mutant_find(const char *name)
{
	unsigned int i = PLM_MUTANT_MAX - 1;

	while (i > 0 && strcmp(mutant_names[i], name) != 0)
		i--;
	return (enum plm_mutant)i;
}

const struct sim_story *
sim_story_find(const char *name)
{
	for (unsigned int i = 0; sim_stories[i] != NULL; i++)
		if (strcmp(sim_stories[i]->name, name) == 0)
			return sim_stories[i];
	return NULL;
}

const struct sim_story *
sim_job_story(const struct sim_job *job)
{
	unsigned int n = 0;

	if (job->story != NULL)
		return job->story;
	while (sim_stories[n] != NULL)
		n++;
	return sim_stories[job->seed % n];
}

void
sim_job_text(const struct sim_job *job, struct plm_text *text)
{
	plm_text_add(text, "plenum-sim --story %s --seed %" PRIu64, sim_job_story(job)->name,
			job->seed);
	if (job->agree)
		plm_text_add(text, " --agree");
	if (job->nb_workers != 0)
		plm_text_add(text, " --workers %u", job->nb_workers);
	if (job->max_steps != UINT64_MAX)
		plm_text_add(text, " --steps %" PRIu64, job->max_steps);
	for (unsigned int i = 0; i < job->cut.nb_ops; i++)
		plm_text_add(text, "%s%u", i == 0 ? " --without " : ",", job->cut.ops[i]);
	if (job->cut.calm_wire)
		plm_text_add(text, " --calm-wire");
	if (job->mutant != PLM_MUTANT_NONE)
		plm_text_add(text, " --mutate %s", sim_mutant_name(job->mutant));
}

/* --- one run -------------------------------------------------------------------------------- */

static void
agree(const struct sim_job *job, const struct sim_plan *plan, struct sim_result *result)
{
	static const unsigned int workers[] = { 1, 2, 4, 8 };
	struct sim_ledger ledgers[4];
	unsigned int n = 0;
	uint64_t hash = 0;
	uint64_t compared = 0;

	for (; n < 4; n++) {
		struct sim_run_conf conf = { .max_steps = job->max_steps,
			.nb_workers = workers[n],
			.ledger = &ledgers[n] };
		struct sim_result one;

		sim_run(plan, &conf, &one);
		hash = sim_mix(hash ^ one.hash);
		sim_fired_add(&one.fired, &result->fired);
		one.steps += result->steps;
		*result = one;
		if (one.failed)
			return;
		if (n > 0) {
			struct plm_text why;

			plm_text_init(&why, result->text, sizeof(result->text));
			if (!sim_ledger_agree(plan, &ledgers[0], &ledgers[n], &compared, &why)) {
				plm_text_add(&why, ", with 1 worker or %u", workers[n]);
				result->failed = true;
				result->invariant = SIM_INV_AGREE;
				return;
			}
		}
	}
	result->hash = hash;
	result->nb_compared = compared;
	while (n-- > 0) {
		free(ledgers[n].first);
		free(ledgers[n].pairs);
		free(ledgers[n].rx_dropped);
	}
}

void
sim_job_run(const struct sim_job *job, struct sim_result *result)
{
	struct sim_plan *plan = sim_plan_create(sim_job_story(job), job->seed, &job->cut);
	struct sim_run_conf conf = { .max_steps = job->max_steps,
		.nb_workers = job->nb_workers,
		.trace = job->trace };

	memset(result, 0, sizeof(*result));
	plm_sim_mutant = job->mutant;
	if (job->agree)
		agree(job, plan, result);
	else
		sim_run(plan, &conf, result);
	plm_sim_mutant = PLM_MUTANT_NONE;
	sim_plan_free(plan);
}

/* Async-signal-safe: it only writes to memory, and ends the process. */
static void
on_signal(int number, siginfo_t *info, void *context)
{
	struct sim_result *result = &crash_slot->result;
	const char *text = "signal";

	result->failed = true;
	result->invariant = SIM_INV_CRASH;
	if (sim != NULL && sim->failed) {
		result->invariant = sim->invariant;
		text = sim->text;
	} else if (number == SIGALRM) {
		result->invariant = SIM_INV_STUCK;
		text = "it hangs";
	} else if (number == SIGABRT) {
		text = "an assertion failed";
	} else if (number == SIGSEGV && sim_guard_hit(info->si_addr)) {
		result->invariant = SIM_INV_FREED;
		text = "a view was read that is freed";
	} else if (number == SIGSEGV) {
		text = "a read or write outside of all memory";
	}
	for (size_t i = 0; i + 1 < sizeof(result->text) && text[i] != '\0'; i++)
		result->text[i] = text[i];
	crash_slot->failed = true;
	_exit(1);
}

static void
signals_catch(struct slot *slot)
{
	static uint8_t stack[64 * 1024];
	const stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND };

	crash_slot = slot;
	sigaltstack(&alt, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGABRT, &action, NULL);
	sigaction(SIGFPE, &action, NULL);
	sigaction(SIGILL, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	/* An assertion's own words are of no use on the terminal of a sweep. */
	if (freopen("/dev/null", "w", stderr) == NULL)
		_exit(2);
}

static pid_t
fork_checked(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		perror("plenum-sim: fork");
		exit(2);
	}
	return pid;
}

/* A process that ended without a verdict: killed from outside, or could not begin. */
static void
unexplained(struct slot *slot, int status)
{
	struct plm_text text;

	if (slot->failed)
		return;
	slot->failed = true;
	slot->result.failed = true;
	slot->result.invariant = SIM_INV_CRASH;
	plm_text_init(&text, slot->result.text, sizeof(slot->result.text));
	if (WIFSIGNALED(status))
		plm_text_add(&text, "the process got signal %d", WTERMSIG(status));
	else
		plm_text_add(&text, "the process ended with status %d", WEXITSTATUS(status));
}

void
sim_job_run_apart(const struct sim_job *job, struct sim_result *result)
{
	static struct slot *slot;
	int status = 0;
	pid_t pid;

	if (slot == NULL)
		slot = shared(sizeof(*slot));
	memset(slot, 0, sizeof(*slot));
	pid = fork_checked();
	if (pid == 0) {
		signals_catch(slot);
		sim_world_init();
		alarm(HANG_S);
		sim_job_run(job, &slot->result);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	if (status != 0)
		unexplained(slot, status);
	*result = slot->result;
}

/* --- sweeps --------------------------------------------------------------------------------- */

struct sweep {
	_Atomic uint64_t next;
	_Atomic uint64_t done;
	_Atomic bool stop;
	uint64_t hashes[]; /* of every run, in order of their seeds */
};

static void
sweep_process(struct sweep *sweep, struct slot *slot, const struct sim_job *job, uint64_t count)
{
	signals_catch(slot);
	sim_world_init();
	for (;;) {
		struct sim_job one = *job;
		uint64_t i = atomic_fetch_add(&sweep->next, 1);

		if (i >= count || atomic_load(&sweep->stop))
			_exit(0);
		slot->index = i;
		one.seed += i;
		alarm(HANG_S);
		sim_job_run(&one, &slot->result);
		alarm(0);
		sweep->hashes[i] = slot->result.hash;
		sim_fired_add(&slot->fired, &slot->result.fired);
		slot->nb_in += slot->result.nb_in;
		slot->nb_copies += slot->result.nb_copies;
		slot->nb_judged += slot->result.nb_judged;
		slot->nb_compared += slot->result.nb_compared;
		slot->foreign_random += slot->result.foreign_random;
		atomic_fetch_add(&sweep->done, 1);
		if (slot->result.failed) {
			slot->failed = true;
			_exit(1);
		}
	}
}

static double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
failure_print(const struct sim_job *job, const struct slot *slot)
{
	struct sim_job one = *job;
	char buf[4096];
	struct plm_text text;

	one.seed += slot->index;
	plm_text_init(&text, buf, sizeof(buf));
	sim_job_text(&one, &text);
	printf("FAILED %s: %s\n  %s\n", sim_invariant_names[slot->result.invariant],
			slot->result.text, buf);
}

int
sim_sweep(const struct sim_job *job, uint64_t count, unsigned int jobs)
{
	struct sweep *sweep = shared(sizeof(*sweep) + count * sizeof(sweep->hashes[0]));
	struct slot *slots = shared((jobs + 1) * sizeof(*slots));
	struct slot *total = &slots[jobs];
	pid_t pids[64];
	const bool is_tty = isatty(STDOUT_FILENO);
	const double begun = now_s();
	unsigned int nb_failed = 0;
	unsigned int running = 0;
	unsigned int silent;
	uint64_t hash = 0;

	for (unsigned int k = 0; k < jobs; k++) {
		pids[k] = fork_checked();
		if (pids[k] == 0)
			sweep_process(sweep, &slots[k], job, count);
		running++;
	}
	while (running > 0) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);
		unsigned int k = 0;

		if (is_tty)
			printf("\r%" PRIu64 " of %" PRIu64 " stories, %.0f s",
					atomic_load(&sweep->done), count, now_s() - begun);
		if (pid <= 0) {
			usleep(50000);
			continue;
		}
		while (k < jobs && pids[k] != pid)
			k++;
		if (k == jobs)
			continue;
		running--;
		sim_fired_add(&total->fired, &slots[k].fired);
		total->nb_in += slots[k].nb_in;
		total->nb_copies += slots[k].nb_copies;
		total->nb_judged += slots[k].nb_judged;
		total->nb_compared += slots[k].nb_compared;
		total->foreign_random += slots[k].foreign_random;
		if (status == 0)
			continue;
		unexplained(&slots[k], status);
		if (is_tty)
			printf("\n");
		failure_print(job, &slots[k]);
		fflush(stdout);
		memset(&slots[k], 0, sizeof(slots[k]));
		if (++nb_failed == MAX_FAILURES)
			atomic_store(&sweep->stop, true);
		if (atomic_load(&sweep->stop) || atomic_load(&sweep->next) >= count)
			continue;
		pids[k] = fork_checked();
		if (pids[k] == 0)
			sweep_process(sweep, &slots[k], job, count);
		running++;
	}
	if (is_tty)
		printf("\r");
	silent = sim_fired_print(&total->fired);
	printf("%" PRIu64 " stories in %.1f s: %" PRIu64 " packets in, %" PRIu64
	       " copies out, %" PRIu64 " of them certain; %u failed; %u sites never fired\n",
			atomic_load(&sweep->done), now_s() - begun, total->nb_in, total->nb_copies,
			total->nb_judged, nb_failed, silent);
	if (job->agree)
		printf("%" PRIu64 " certain copies with 2, 4 and 8 workers as with 1\n",
				total->nb_compared);
	printf("libraries asked %" PRIu64 " times for time or randomness of their own\n",
			total->foreign_random);
	for (uint64_t i = 0; i < count; i++)
		hash = sim_mix(hash ^ sweep->hashes[i]);
	printf("hash %016" PRIx64 "\n", hash);
	/* Few stories need not meet everything that can go wrong. */
	return nb_failed > 0 || (silent > 0 && count >= 2000);
}

/* --- mutants -------------------------------------------------------------------------------- */

/* Races of a few instructions, and what only QUIC has, which one story is made for; the others are met by all. */
static const struct {
	enum plm_mutant mutant;
	const char *story;
} aims[] = {
	{ PLM_MUTANT_TO_SUCCESSOR, "reuse" },
	{ PLM_MUTANT_EVICT_FIRST, "shortage" },
	{ PLM_MUTANT_OPEN_EARLY, "chaos" },
	{ PLM_MUTANT_RELEASE_EARLY, "crowd" },
	{ PLM_MUTANT_SLICE_STALE, "spread" },
	{ PLM_MUTANT_SAME_GENERATION, "reuse" },
	{ PLM_MUTANT_REUSE_EARLY, "reuse" },
	{ PLM_MUTANT_QUIC_TWO, "quic_rush" },
	{ PLM_MUTANT_QUIC_GENERATION, "quic_rush" },
	{ PLM_MUTANT_QUIC_LEFT, "quic" },
	{ PLM_MUTANT_QUIC_NONCE, "quic_roaming" },
	{ PLM_MUTANT_QUIC_WINDOW, "quic_roaming" },
	{ PLM_MUTANT_QUIC_ARENA, "quic_roaming" },
	{ PLM_MUTANT_QUIC_ADOPT_LOST, "quic_shortage" },
	{ PLM_MUTANT_AUTH_STALE, "wzp_doors" },
	{ PLM_MUTANT_ACL_IGNORED, "wzp_doors" },
	{ PLM_MUTANT_WZP_WRONG_ROOM, "wzp" },
	{ PLM_MUTANT_WZP_HANGUP_STAYS, "wzp" },
};

static void
aim(struct sim_job *job)
{
	for (unsigned int i = 0; i < RTE_DIM(aims) && job->story == NULL; i++)
		if (aims[i].mutant == job->mutant)
			job->story = sim_story_find(aims[i].story);
}

int
sim_mutate(const struct sim_job *given, uint64_t count)
{
	struct sim_job with = *given;
	const struct sim_job *job = &with;
	struct slot *slot = shared(sizeof(*slot));
	struct sweep *sweep = shared(sizeof(*sweep) + count * sizeof(sweep->hashes[0]));
	int status = 0;
	pid_t pid;

	aim(&with);
	pid = fork_checked();
	if (pid == 0)
		sweep_process(sweep, slot, job, count);
	while (waitpid(pid, &status, 0) < 0)
		;
	if (!slot->failed && WIFEXITED(status) && WEXITSTATUS(status) == 2) {
		printf("%-16s not tried: no relay could be made\n", sim_mutant_name(job->mutant));
		fflush(stdout);
		return 2;
	}
	if (status != 0)
		unexplained(slot, status);
	if (slot->failed) {
		struct sim_job one = *job;

		one.seed += slot->index;
		printf("%-16s %-10s %5" PRIu64 "  %-12s %s\n", sim_mutant_name(job->mutant),
				sim_job_story(&one)->name, slot->index + 1,
				sim_invariant_names[slot->result.invariant], slot->result.text);
	} else {
		printf("%-16s not caught in %" PRIu64 " stories\n", sim_mutant_name(job->mutant),
				count);
	}
	fflush(stdout);
	return slot->failed ? 0 : 1;
}

int
sim_mutants(const struct sim_job *job, uint64_t count, unsigned int jobs)
{
	unsigned int next = PLM_MUTANT_NONE + 1;
	unsigned int running = 0;
	unsigned int caught = 0;
	unsigned int missed = 0;

	printf("%-16s %-10s %5s  %-12s %s\n", "mutant", "story", "nth", "invariant",
			"what was seen");
	while (next < PLM_MUTANT_MAX || running > 0) {
		int status;

		if (next < PLM_MUTANT_MAX && running < jobs) {
			if (fork_checked() == 0) {
				struct sim_job one = *job;

				one.mutant = (enum plm_mutant)next;
				status = sim_mutate(&one, count);
				_exit(status);
			}
			next++;
			running++;
			continue;
		}
		if (wait(&status) < 0)
			continue;
		running--;
		if (status == 0)
			caught++;
		else
			missed++;
	}
	printf("%u mutants caught, %u missed\n", caught, missed);
	return missed > 0;
}

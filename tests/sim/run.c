/* SPDX-License-Identifier: BSD-3-Clause */
/* One run, from the relay's assembly to the last look at its mempools. */
#include <stdarg.h>
#include <stdlib.h>

#include "check.h"
#include "interpose.h"
#include "net.h"
#include "oracle_priv.h"
#include "quic.h"

/* Fibers hold addresses into it: there is one, for run after run. */
static struct sim_run the_run;
struct sim_run *sim;

const char *const sim_invariant_names[SIM_INV_MAX] = {
#define SIM_INVARIANT_NAME(id, name, help) name,
	SIM_INVARIANTS(SIM_INVARIANT_NAME)
#undef SIM_INVARIANT_NAME
};

void
sim_fail(enum sim_invariant invariant, const char *fmt, ...)
{
	va_list ap;

	if (sim->failed)
		return;
	sim->failed = true;
	sim->invariant = invariant;
	va_start(ap, fmt);
	vsnprintf(sim->text, sizeof(sim->text), fmt, ap);
	va_end(ap);
	SIM_TRACE(&sim->trace, "%.6f FAILED %s: %s\n", (double)(sim->now_ns - SIM_EPOCH_NS) / 1e9,
			sim_invariant_names[invariant], sim->text);
}

static void
fired_by_net(struct sim_run *run)
{
	const struct sim_plan *plan = run->plan;
	uint64_t *world = run->fired.world;

	world[SIM_WORLD_LOSS] += plan->net.lost;
	world[SIM_WORLD_BURST_LOSS] += plan->net.burst;
	world[SIM_WORLD_DUPLICATE] += plan->net.duplicated;
	world[SIM_WORLD_REORDER] += plan->net.reordered;
	world[SIM_WORLD_CORRUPT] += plan->net.corrupted;
	world[SIM_WORLD_PATH_MTU] += plan->net.too_large;
	world[SIM_WORLD_PARTITION] += plan->net.partitioned;
}

/* The figures of every counter belong to the trace. */
static void
trace_counters(struct sim_run *run)
{
	for (unsigned int w = 0; w <= run->nb_workers; w++) {
		const struct plm_counters *c = w < run->nb_workers
				? plm_relay_counters(plm_ctl_relay(run->ctl), w)
				: plm_ctl_counters(run->ctl);

		for (unsigned int i = 0; i < PLM_CNT_MAX; i++)
			sim_trace_word(&run->trace, plm_counter_get(c, (enum plm_counter)i));
	}
}

static unsigned int
workers_of(uint64_t seed)
{
	static const unsigned int some[] = { 1, 2, 2, 3, 4, 8 };
	struct sim_rng rng = sim_rng_keyed(seed, 6, 0);

	return SIM_PICK(&rng, some);
}

void
sim_run(const struct sim_plan *plan, const struct sim_run_conf *conf, struct sim_result *result)
{
	struct sim_run *run = &the_run;

	memset(run, 0, sizeof(*run));
	run->plan = plan;
	run->nb_workers = conf->nb_workers != 0 ? conf->nb_workers : workers_of(plan->seed);
	run->max_steps = conf->max_steps;
	run->now_ns = SIM_EPOCH_NS;
	run->wire_slow = 1;
	run->rng = sim_rng_keyed(plan->seed, 2, run->nb_workers);
	run->trace.hash = plan->seed;
	if (conf->trace != NULL) {
		run->trace.file = fopen(conf->trace, "w");
		if (run->trace.file == NULL) {
			perror(conf->trace);
			exit(2);
		}
	}
	sim = run;
	sim_interpose_on(plan->seed);
	sim_net_create(run);
	sim_oracle_create(run);
	sim_check_create(run);
	sim_quic_create(run);
	sim_relay_create(run);

	sim_sched_run(run);
	if (!run->failed) {
		trace_counters(run);
		sim_relay_free(run);
	}

	sim_interpose_off();
	fired_by_net(run);
	*result = (struct sim_result){
		.failed = run->failed,
		.invariant = run->invariant,
		.hash = run->trace.hash,
		.steps = run->step,
		.nb_in = run->oracle->nb_in,
		.nb_copies = run->oracle->nb_copies,
		.nb_judged = run->oracle->nb_judged,
		.foreign_random = sim_interpose_calls(),
		.fired = run->fired,
	};
	memcpy(result->text, run->text, sizeof(result->text));
	if (conf->ledger != NULL) {
		*conf->ledger = *run->oracle->ledger;
		free(run->oracle->ledger);
		run->oracle->ledger = NULL;
	}
	if (run->trace.file != NULL)
		fclose(run->trace.file);
	sim_quic_free(run);
	sim_check_free(run);
	sim_oracle_free(run);
	sim_net_free(run);
	sim = NULL;
}

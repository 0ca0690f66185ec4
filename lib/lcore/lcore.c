/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The poll loop: one clock read a turn, no system call while there is work, and an idle policy
 * that never sleeps while the slow path could wait for this worker's quiescent state.
 */

/* rte_power_pause() has kept its shape since DPDK 20.11, but is still marked so in 22.11. */
#define ALLOW_EXPERIMENTAL_API

#include <sys/prctl.h>
#include <time.h>

#include <rte_cpuflags.h>
#include <rte_cycles.h>
#include <rte_malloc.h>
#include <rte_power_intrinsics.h>

#include "plm_lcore.h"

int
plm_rcu_init(struct plm_rcu *rcu, unsigned int nb_workers, int socket)
{
	struct rte_rcu_qsbr *qsbr;

	qsbr = rte_zmalloc_socket("plm_rcu", rte_rcu_qsbr_get_memsize(nb_workers),
			RTE_CACHE_LINE_SIZE, socket);
	if (qsbr == NULL)
		return -ENOMEM;
	rte_rcu_qsbr_init(qsbr, nb_workers);
	for (unsigned int w = 0; w < nb_workers; w++)
		rte_rcu_qsbr_thread_register(qsbr, w);
	rcu->qsbr = qsbr;
	rcu->nb_workers = nb_workers;
	return 0;
}

void
plm_rcu_fini(struct plm_rcu *rcu)
{
	rte_free(rcu->qsbr);
	rcu->qsbr = NULL;
	rcu->nb_workers = 0;
}

/* Counters with one writer, this lcore: a load and a store, no locked instruction. */
static inline void
owner_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			memory_order_relaxed);
}

/* Let the CPU go for `sleep_us`, offline so that nobody waits for us meanwhile. */
static void
idle_wait(const struct plm_lcore *lcore, bool can_pause)
{
	const struct timespec pause = {
		.tv_sec = lcore->sleep_us / 1000000,
		.tv_nsec = (long)(lcore->sleep_us % 1000000) * 1000,
	};

	if (lcore->rcu != NULL)
		plm_rcu_offline(lcore->rcu, lcore->worker);
	if (can_pause)
		rte_power_pause(rte_get_tsc_cycles() +
				lcore->sleep_us * rte_get_tsc_hz() / 1000000);
	else
		nanosleep(&pause, NULL); /* a signal only ends it early */
	if (lcore->rcu != NULL)
		plm_rcu_online(lcore->rcu, lcore->worker);
}

void
plm_lcore_loop(struct plm_lcore *lcore)
{
	struct rte_cpu_intrinsics cpu = { 0 };
	unsigned int nb_idle = 0;
	uint64_t now_ns;

	if (lcore->idle == PLM_IDLE_MONITOR)
		rte_cpu_get_intrinsics_support(&cpu);
	/* The kernel's default slack of 50 us would be most of a short sleep. */
	if (lcore->idle != PLM_IDLE_BUSY)
		prctl(PR_SET_TIMERSLACK, 1UL);
	if (lcore->rcu != NULL)
		plm_rcu_online(lcore->rcu, lcore->worker);
	atomic_store_explicit(&lcore->running, true, memory_order_relaxed);

	now_ns = plm_clock_now(&lcore->clock);
	while (!atomic_load_explicit(&lcore->stop, memory_order_relaxed)) {
		unsigned int done = lcore->turn(lcore->ctx, now_ns);
		uint64_t then_ns = now_ns;

		owner_add(&lcore->nb_turns, 1);
		if (done > 0)
			nb_idle = 0;
		else if (lcore->idle != PLM_IDLE_BUSY && ++nb_idle > lcore->idle_turns)
			idle_wait(lcore, cpu.power_pause);

		now_ns = plm_clock_now(&lcore->clock);
		if (done > 0)
			owner_add(&lcore->busy_ns, now_ns - then_ns);
		owner_add(&lcore->total_ns, now_ns - then_ns);
	}

	if (lcore->rcu != NULL)
		plm_rcu_offline(lcore->rcu, lcore->worker);
	/* Release: who sees us stopped sees all that the turns wrote. */
	atomic_store_explicit(&lcore->running, false, memory_order_release);
}

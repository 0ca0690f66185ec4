/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker runs all the time, while main plays everybody else. */
#include "quic.h"

static void
worker_live(void *arg)
{
	struct quic_live *live = arg;
	struct plm_relay *relay = plm_ctl_relay(live->relay->ctl);
	struct bench_watch watch;
	uint64_t begun = rte_rdtsc();
	const uint64_t first = begun;

	bench_watch_start(&watch);
	while (!atomic_load_explicit(&live->over, memory_order_acquire)) {
		unsigned int n = plm_relay_turn(relay, 0, 1 + (uint64_t)bench_ns(begun));
		uint64_t ended = rte_rdtsc();

		live->busy += n > 0 ? ended - begun : 0;
		begun = ended;
	}
	live->all = begun - first;
	live->disturbed = bench_watch_disturbed(&watch);
}

static void
play(void *arg)
{
	struct quic_live *live = arg;

	if (!atomic_load_explicit(&live->over, memory_order_relaxed) &&
			live->play(live->ctx, quic_now()))
		atomic_store_explicit(&live->over, true, memory_order_release);
}

void
quic_live_run(struct quic_live *live)
{
	const struct plm_hist *relay = plm_relay_latency(plm_ctl_relay(live->relay->ctl), 0);
	static struct plm_hist before;
	struct bench_watch watch;

	before = *relay;
	live->busy = live->all = 0;
	atomic_store(&live->over, false);
	bench_watch_start(&watch);
	quic_on_worker(worker_live, play, live);
	live->disturbed = live->disturbed || bench_watch_disturbed(&watch);
	bench_hist_since(&live->in_relay, &before, relay);
}

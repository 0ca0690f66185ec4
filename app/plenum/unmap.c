/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * munmap() for everybody in this process: memory of a peer goes when no worker uses it any more.
 *
 * net_memif's control thread marks a port as disconnected, which bursts heed from then on, and
 * unmaps the peer's rings at once, which a burst that had begun does not survive. So an unmapping
 * thread waits until each worker has ended the turn that it was in. Workers never wait for it.
 */
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rte_lcore.h>

#include "app.h"

/* How often a waiting thread looks, and for how long: a worker that made no turn in that time is
 * stopped by a debugger or a hypervisor, and not within a burst more likely than elsewhere. */
#define UNMAP_LOOK_US 20
#define UNMAP_LOOKS   (10 * 1000 * 1000 / UNMAP_LOOK_US)

/* main writes, any reads: the workers, NULL while none run */
static _Atomic(const struct app *) unmap_app;

void
unmap_guard(const struct app *app)
{
	atomic_store_explicit(&unmap_app, app, memory_order_release);
}

static void
wait_for_turn(const struct plm_lcore *worker)
{
	uint64_t turn = atomic_load_explicit(&worker->nb_turns, memory_order_acquire);

	for (unsigned int i = 0; i < UNMAP_LOOKS; i++) {
		if (!atomic_load_explicit(&worker->running, memory_order_acquire) ||
				atomic_load_explicit(&worker->nb_turns, memory_order_acquire) !=
						turn)
			return;
		usleep(UNMAP_LOOK_US);
	}
}

int
munmap(void *addr, size_t len)
{
	const struct app *app = atomic_load_explicit(&unmap_app, memory_order_acquire);

	/* An lcore that unmaps waits for nobody: main, once its workers have ended. */
	if (app != NULL && rte_lcore_id() == LCORE_ID_ANY) {
		/* What made workers stay away comes before this. Pairs with nothing of the driver's,
		 * whose flag is a plain one: the wait is far longer than a store buffer lasts. */
		atomic_thread_fence(memory_order_seq_cst);
		for (unsigned int w = 0; w < app->conf.nb_workers; w++)
			wait_for_turn(&app->workers[w]);
	}
	return (int)syscall(SYS_munmap, addr, len);
}

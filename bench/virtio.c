/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One to a hundred across a device boundary: the relay's port is virtio-user, main has the other
 * end, net_vhost, which copies every frame. All of the worker's time counts, also what it waits for
 * descriptors or packets; the kernel-socket relay's samples are taken in turns.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_bus_vdev.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "bench.h"

#define SAMPLE_NS   10000000u
#define COPIES      100
#define SIZE        200
#define PEER_MBUFS  8191
#define OUTSTANDING 64 /* packets whose copies have not all come back */
#define PATH_SIZE   64
#define LINK_MS     5000

struct boundary {
	struct bench_rig rig;
	struct bench_port peer; /* net_vhost; main's */
	struct bench_feed feed;
	struct rte_mempool *peer_pool;
	char dir[PATH_SIZE];
	/* main */
	uint64_t published;
	uint64_t received;
	uint64_t come_ns;
	/* of the worker, read when it has measured */
	double ns;
	bool disturbed;
	alignas(RTE_CACHE_LINE_SIZE) _Atomic bool measured; /* the worker stores, main reads */
	alignas(RTE_CACHE_LINE_SIZE) _Atomic bool stop;     /* main stores, the worker reads */
};

static int
worker_run(void *arg)
{
	struct boundary *b = arg;
	const struct plm_counters *counters = plm_relay_counters(b->rig.relay, 0);
	const uint64_t begun = rte_rdtsc();
	const uint64_t until = begun + bench_cycles(SAMPLE_NS);
	uint64_t copies = plm_counter_get(counters, PLM_CNT_COPIES_SENT);
	struct bench_watch watch;
	bool measured = false;

	bench_watch_start(&watch);
	while (!atomic_load_explicit(&b->stop, memory_order_relaxed)) {
		uint64_t now = rte_rdtsc();

		if (now >= until && !measured) {
			measured = true;
			copies = plm_counter_get(counters, PLM_CNT_COPIES_SENT) - copies;
			b->ns = bench_ns(now - begun) / (double)RTE_MAX(copies, (uint64_t)1);
			b->disturbed = bench_watch_disturbed(&watch);
			/* Release: main reads the figures when it sees this. */
			atomic_store_explicit(&b->measured, true, memory_order_release);
		}
		plm_relay_turn(b->rig.relay, 0, (uint64_t)bench_ns(now));
	}
	return 0;
}

/* --- main's end ------------------------------------------------------------------------------ */

static void
publish(struct boundary *b)
{
	struct rte_mbuf *m[BENCH_BURST];
	uint16_t sent;

	if (b->published * COPIES - b->received > (OUTSTANDING - BENCH_BURST) * COPIES ||
			!bench_feed_make(&b->feed, m, BENCH_BURST, NULL))
		return;
	sent = rte_eth_tx_burst(b->peer.port.ethdev_id, 0, m, BENCH_BURST);
	rte_pktmbuf_free_bulk(m + sent, BENCH_BURST - sent);
	b->published += sent;
}

static void
take(struct boundary *b)
{
	struct rte_mbuf *m[2 * BENCH_BURST];
	uint16_t n = rte_eth_rx_burst(b->peer.port.ethdev_id, 0, m, RTE_DIM(m));

	if (n == 0)
		return;
	b->come_ns = (uint64_t)bench_ns(rte_rdtsc());
	for (uint16_t i = 0; i < n; i++)
		b->received += m[i]->pkt_len == BENCH_HDR + SIZE;
	rte_pktmbuf_free_bulk(m, n);
}

static void
run_once(struct boundary *b)
{
	atomic_store_explicit(&b->measured, false, memory_order_relaxed);
	atomic_store_explicit(&b->stop, false, memory_order_relaxed);
	b->published = b->received = 0;
	if (rte_eal_remote_launch(worker_run, b, rte_get_next_lcore(-1, 1, 0)) != 0)
		bench_die("the worker lcore is busy");
	while (!atomic_load_explicit(&b->measured, memory_order_acquire)) {
		publish(b);
		take(b);
	}
	b->come_ns = (uint64_t)bench_ns(rte_rdtsc());
	while (b->received < b->published * COPIES) {
		take(b);
		if ((uint64_t)bench_ns(rte_rdtsc()) > b->come_ns + PLM_NS_PER_S)
			bench_die("virtio-user: %" PRIu64 " of %" PRIu64 " copies did not come",
					b->published * COPIES - b->received, b->published * COPIES);
	}
	atomic_store_explicit(&b->stop, true, memory_order_relaxed);
	rte_eal_mp_wait_lcore();
	bench_rig_slow(&b->rig);
}

static double
sample(struct boundary *b)
{
	for (unsigned int i = 0; i < BENCH_RETRIES; i++) {
		run_once(b);
		if (!b->disturbed)
			return b->ns;
		bench_figures.repeated++;
	}
	bench_figures.disturbed++;
	return b->ns;
}

/* --- made and freed -------------------------------------------------------------------------- */

static void
plug(const char *name, const char *fmt, const char *dir)
{
	char args[2 * PATH_SIZE];

	snprintf(args, sizeof(args), fmt, dir);
	if (rte_vdev_init(name, args) < 0)
		bench_die("%s,%s: cannot be made", name, args);
}

static void
open_boundary(struct boundary *b, struct bench_set *set)
{
	struct rte_eth_link link = { 0 };

	snprintf(b->dir, sizeof(b->dir), "/tmp/plenum-bench-XXXXXX");
	if (mkdtemp(b->dir) == NULL)
		bench_die("%s: cannot be made", b->dir);
	plug("net_vhost0", "iface=%s/vhost,queues=1", b->dir);
	b->peer_pool = plm_pool_create_rx("virtio_peer", PEER_MBUFS, 1500, (int)rte_socket_id());
	if (b->peer_pool == NULL)
		bench_die("not enough memory for the pools");
	b->peer.device = "net_vhost0";
	bench_port_open(&b->peer, "peer", 1, &b->peer_pool); /* it listens from now on */
	plug("net_virtio_user0", "path=%s/vhost,mac=02:00:00:00:00:01,queue_size=1024", b->dir);
	b->rig.name = "virtio";
	b->rig.nb_workers = 1;
	b->rig.sets = set;
	b->rig.nb_sets = 1;
	b->rig.port.device = "net_virtio_user0";
	b->rig.port.copy_below = BENCH_COPY_BELOW;
	bench_rig_create(&b->rig);
	b->feed = (struct bench_feed){ .rig = &b->rig, .set = set, .size = SIZE, .random = 1 };
	for (unsigned int ms = 0; ms < LINK_MS && link.link_status == RTE_ETH_LINK_DOWN; ms++) {
		usleep(1000);
		(void)rte_eth_link_get_nowait(b->peer.port.ethdev_id, &link);
	}
	if (link.link_status == RTE_ETH_LINK_DOWN)
		bench_die("virtio-user and vhost do not find each other");
}

static void
close_boundary(struct boundary *b)
{
	char path[2 * PATH_SIZE];

	bench_rig_free(&b->rig);
	plm_port_close(&b->peer.port);
	rte_vdev_uninit("net_virtio_user0");
	rte_vdev_uninit("net_vhost0");
	snprintf(path, sizeof(path), "%s/vhost", b->dir);
	unlink(path);
	rmdir(b->dir);
}

void
bench_virtio_all(const struct bench_options *opt)
{
	struct bench_set set = { .rooms = 1, .members = COPIES + 1 };
	struct bench_kernel *kernel = bench_kernel_open(COPIES, SIZE);
	struct boundary *b = aligned_alloc(RTE_CACHE_LINE_SIZE,
			RTE_ALIGN_CEIL(sizeof(*b), (size_t)RTE_CACHE_LINE_SIZE));

	if (b == NULL)
		bench_die("out of memory");
	memset(b, 0, sizeof(*b));
	open_boundary(b, &set);
	sample(b); /* the publisher's SSRC is settled */
	for (unsigned int r = 0; r < opt->repetitions; r++) {
		double kernel_ns, bare_ns, ns;

		bench_kernel_sample(kernel, &kernel_ns, &bare_ns);
		ns = sample(b);
		bench_series_add(&bench_figures.virtio_ns, ns);
		bench_series_add(&bench_figures.virtio_to_kernel, kernel_ns / ns);
		bench_series_add(&bench_figures.virtio_x_bare, kernel_ns / bare_ns);
	}
	bench_kernel_close(kernel);
	bench_rig_check(&b->rig);
	close_boundary(b);
	free(b);
}

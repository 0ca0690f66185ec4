/* SPDX-License-Identifier: BSD-3-Clause */
/* What a relay stands on: EAL without devices, ports that are pairs of rings, mempools. They are
 * made once a process and serve run after run; the relay itself is made anew for each. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_bus_vdev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>

#include "check.h"
#include "guard.h"
#include "net.h"
#include "oracle.h"
#include "packet.h"
#include "quic.h"
#include "run.h"

#define EAL_MB    "352"
#define RX_RING   1024
#define TX_RING   4096
#define RX_MBUFS  2047
#define HDR_MBUFS 4095
#define CPY_MBUFS 1023
#define SLC_MBUFS 2047
#define FRM_MBUFS 2047
#define QUI_MBUFS 2047

static struct {
	struct plm_port ports[SIM_PORTS];
	struct rte_ring *rx[SIM_PORTS][SIM_WORKERS];
	struct rte_ring *tx[SIM_PORTS][SIM_WORKERS];
	struct rte_mempool *rx_pools[SIM_WORKERS];
	struct rte_mempool *hdr_pools[SIM_WORKERS];
	struct rte_mempool *copy_pools[SIM_WORKERS];
	struct rte_mempool *slice_pools[SIM_WORKERS];
	struct rte_mempool *quic_pools[SIM_WORKERS];
	struct rte_mempool *frame_pool;
	/* header mbufs taken out, so that a run has few */
	void *withheld[SIM_WORKERS][HDR_MBUFS];
	unsigned int nb_withheld[SIM_WORKERS];
} world;

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "plenum-sim: cannot make %s: %s\n", what, rte_strerror(rte_errno));
	exit(2);
}

static void
eal_init(void)
{
	char prefix[32];
	const char *argv[] = { "plenum-sim", "--no-huge", "-m", EAL_MB, "--no-pci", "--file-prefix",
		prefix, "--no-shconf", "--no-telemetry", "--log-level", "lib.eal:error", "-l",
		"0" };

	snprintf(prefix, sizeof(prefix), "plmsim%d", (int)getpid());
	/* EAL reorders the pointers and leaves the strings alone. */
	need(rte_eal_init((int)RTE_DIM(argv), (char **)(uintptr_t)argv) >= 0, "EAL");
}

static void
port_create(unsigned int p)
{
	static char dev[SIM_PORTS][48];
	char name[32];
	char why_buf[256];
	struct plm_text why;
	struct plm_port_conf conf = { .name = dev[p],
		.nb_queues = SIM_WORKERS,
		.nb_rxd = 512,
		.nb_txd = 512,
		.chain = PLM_CHAIN_ON,
		.rx_pools = world.rx_pools };

	for (unsigned int q = 0; q < SIM_WORKERS; q++) {
		snprintf(name, sizeof(name), "simrx%u_%u", p, q);
		world.rx[p][q] = rte_ring_create(name, RX_RING, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
		snprintf(name, sizeof(name), "simtx%u_%u", p, q);
		world.tx[p][q] = rte_ring_create(name, TX_RING, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
		need(world.rx[p][q] != NULL && world.tx[p][q] != NULL, "rings");
	}
	snprintf(name, sizeof(name), "sim%u", p);
	snprintf(dev[p], sizeof(dev[p]), "net_ring_%s", name);
	need(rte_eth_from_rings(name, world.rx[p], SIM_WORKERS, world.tx[p], SIM_WORKERS, 0) >= 0,
			"a port");
	plm_text_init(&why, why_buf, sizeof(why_buf));
	if (plm_port_open(&world.ports[p], (uint16_t)p, &conf, &why) < 0) {
		fprintf(stderr, "plenum-sim: %s\n", why_buf);
		exit(2);
	}
}

void
sim_world_init(void)
{
	char name[32];

	eal_init();
	for (unsigned int w = 0; w < SIM_WORKERS; w++) {
		snprintf(name, sizeof(name), "simrx%u", w);
		world.rx_pools[w] = plm_pool_create_rx(name, RX_MBUFS, 1500, 0);
		snprintf(name, sizeof(name), "simhdr%u", w);
		world.hdr_pools[w] = plm_pool_create_hdr(name, HDR_MBUFS, 0);
		snprintf(name, sizeof(name), "simcpy%u", w);
		world.copy_pools[w] = plm_pool_create_copy(name, CPY_MBUFS, 1500, 0);
		snprintf(name, sizeof(name), "simslc%u", w);
		world.slice_pools[w] = plm_pool_create_slice(name, SLC_MBUFS, 1500, 0);
		snprintf(name, sizeof(name), "simqui%u", w);
		world.quic_pools[w] = plm_pool_create_slice(name, QUI_MBUFS, 1500, 0);
		need(world.rx_pools[w] != NULL && world.hdr_pools[w] != NULL &&
						world.copy_pools[w] != NULL &&
						world.slice_pools[w] != NULL &&
						world.quic_pools[w] != NULL,
				"mempools");
	}
	world.frame_pool = plm_pool_create_copy("simfrm", FRM_MBUFS, 1500, 0);
	need(world.frame_pool != NULL, "mempools");
	for (unsigned int p = 0; p < SIM_PORTS; p++)
		port_create(p);
	sim_quic_world();
}

struct rte_mempool *
sim_rx_pool(unsigned int queue)
{
	return world.rx_pools[queue];
}

struct rte_ring *
sim_rx_ring(unsigned int port, unsigned int queue)
{
	return world.rx[port][queue];
}

struct rte_ring *
sim_tx_ring(unsigned int port, unsigned int queue)
{
	return world.tx[port][queue];
}

unsigned int
sim_port_of(uint16_t ethdev_id)
{
	return ethdev_id == world.ports[0].ethdev_id ? 0 : 1;
}

bool
sim_is_rx(const struct rte_mbuf *m)
{
	for (unsigned int w = 0; w < SIM_WORKERS; w++)
		if (m->pool == world.rx_pools[w] || m->pool == world.slice_pools[w])
			return true;
	return false;
}

/* --- what the relay asks for ---------------------------------------------------------------- */

static uint64_t
clock_now(void *ctx)
{
	const struct sim_run *run = ctx;

	return run->now_ns;
}

static void
rand_fill(void *ctx, void *buf, size_t len)
{
	struct sim_run *run = ctx;

	sim_fill(&run->rng, buf, len);
}

static uint64_t
beats(void *ctx, unsigned int worker)
{
	const struct sim_run *run = ctx;

	return run->lcores[worker].turns;
}

static bool
event(void *ctx, const struct plm_event *e)
{
	struct sim_run *run = ctx;

	sim_oracle_event(run, e);
	return true;
}

/* --- made and freed ------------------------------------------------------------------------- */

static void
ports_conf(struct sim_run *run)
{
	const struct sim_sizes *sizes = &run->plan->sizes;
	struct plm_ctl_conf *conf = &run->conf;

	for (unsigned int p = 0; p < sizes->nb_ports; p++) {
		struct plm_port *port = &run->ports[p];

		memcpy(port, &world.ports[p], sizeof(*port));
		port->nb_queues = (uint16_t)RTE_MIN(sizes->queues[p], run->nb_workers);
		port->mtu = sizes->mtu[p];
		port->chain = sizes->chain[p];
		port->copy_below = sizes->copy_below[p];
		memcpy(port->mac.addr_bytes, (uint8_t[]){ 2, 0, 0, 0, 0, (uint8_t)(1 + p) }, 6);
		run->port_list[p] = port;
		for (unsigned int q = 0; q < port->nb_queues; q++)
			conf->queue_owner[p][q] = (uint8_t)((q + p) % run->nb_workers);
		for (unsigned int v6 = 0; v6 < 2; v6++) {
			struct plm_net_local_conf *local = &run->locals[2 * p + v6];

			local->port_idx = (uint16_t)p;
			sim_local_ip(2 * p + v6, &local->ip);
			sim_gateway_ip(2 * p + v6, &local->gateway);
			local->prefix_len = v6 ? 64 : 18;
		}
	}
	conf->ports = run->port_list;
	conf->nb_ports = sizes->nb_ports;
	conf->locals = run->locals;
	conf->nb_locals = 2u * sizes->nb_ports;
}

static void
secrets_conf(struct plm_secrets *secrets)
{
	secrets->nb = 1;
	secrets->s[0].len = 32;
	sim_secret(0, secrets->s[0].key);
}

void
sim_relay_create(struct sim_run *run)
{
	const struct sim_plan *plan = run->plan;
	const struct sim_sizes *sizes = &plan->sizes;
	static struct plm_room_rule rules[SIM_ROOMS];
	struct plm_ctl_conf *conf = &run->conf;
	char why_buf[256];
	struct plm_text why;

	plm_ctl_conf_init(conf);
	conf->name = "sim";
	conf->socket = 0;
	conf->clock = (struct plm_clock){ clock_now, run };
	conf->rand = (struct plm_rand){ rand_fill, run };
	conf->nb_workers = run->nb_workers;
	ports_conf(run);
	for (unsigned int w = 0; w < run->nb_workers; w++) {
		conf->hdr_pools[w] = world.hdr_pools[w];
		conf->copy_pools[w] = world.copy_pools[w];
		conf->slice_pools[w] = world.slice_pools[w];
	}
	conf->frame_pool = world.frame_pool;
	if (sizes->quic_conns > 0) {
		sim_quic_conf(run, &conf->quic);
		sim_wzp_conf(run, &conf->wzp);
		memcpy(conf->quic.pools, world.quic_pools, sizeof(world.quic_pools));
	}
	conf->udp_port = SIM_UDP_PORT;
	conf->max_neighbours = sizes->max_neighbours;
	conf->max_rooms = sizes->max_rooms;
	conf->max_sessions = sizes->max_sessions;
	conf->max_members = SIM_PEERS;
	conf->max_backlog = sizes->max_backlog;
	conf->publish_interval_ns = sizes->publish_interval_ns;
	conf->admissions_per_s = sizes->admissions_per_s;
	conf->consent_timeout_ns = sizes->consent_ns;
	conf->max_session_ns = sizes->max_session_ns;
	conf->rebalance_above = 0;
	conf->spread_above = sizes->spread_above;
	conf->ring_size = sizes->ring_size;
	conf->turn_copies = sizes->turn_copies;
	conf->park_entries = sizes->park_entries;
	secrets_conf(&conf->secrets);
	for (unsigned int i = 0; i < plan->nb_rooms; i++) {
		memcpy(rules[i].pattern, plan->rooms[i].name, sizeof(rules[i].pattern));
		rules[i].settings = plan->rooms[i].settings;
		sim_wzp_rule(run, i, &rules[i]);
	}
	conf->rules = rules;
	conf->nb_rules = plan->nb_rooms;
	conf->beats = beats;
	conf->lcore_ctx = run;
	conf->event = event;
	conf->event_ctx = run;

	plm_text_init(&why, why_buf, sizeof(why_buf));
	if (plm_ctl_create(&run->ctl, conf, &why) < 0) {
		fprintf(stderr, "plenum-sim: no relay for seed %" PRIu64 " of %s: %s\n", plan->seed,
				plan->story->name, why_buf);
		exit(2);
	}
	for (unsigned int w = 0; w < run->nb_workers; w++) {
		unsigned int n = sizes->hdr_mbufs == 0 ? 0 : HDR_MBUFS - sizes->hdr_mbufs;

		if (n > 0 && rte_mempool_get_bulk(world.hdr_pools[w], world.withheld[w], n) == 0)
			world.nb_withheld[w] = n;
		plm_rcu_online(plm_ctl_rcu(run->ctl), w);
	}
	plm_relay_set_running(plm_ctl_relay(run->ctl), true);
}

static void
pool_check(const struct rte_mempool *pool)
{
	unsigned int in_use = rte_mempool_in_use_count(pool);

	SIM_EXPECT(in_use == 0 && rte_mempool_avail_count(pool) == pool->size, POOLS,
			"mempool %s: %u of %u mbufs are missing", pool->name,
			pool->size - rte_mempool_avail_count(pool), pool->size);
}

void
sim_relay_free(struct sim_run *run)
{
	for (unsigned int w = 0; w < run->nb_workers; w++)
		plm_rcu_offline(plm_ctl_rcu(run->ctl), w);
	plm_relay_discard(plm_ctl_relay(run->ctl));
	sim_check_sums(run);
	plm_ctl_free(run->ctl);
	run->ctl = NULL;
	sim_net_clear(run);
	for (unsigned int w = 0; w < SIM_WORKERS; w++) {
		rte_mempool_put_bulk(world.hdr_pools[w], world.withheld[w], world.nb_withheld[w]);
		world.nb_withheld[w] = 0;
	}
	sim_guard_clear();
	for (unsigned int w = 0; w < SIM_WORKERS; w++) {
		pool_check(world.rx_pools[w]);
		pool_check(world.hdr_pools[w]);
		pool_check(world.copy_pools[w]);
		pool_check(world.slice_pools[w]);
		pool_check(world.quic_pools[w]);
	}
	pool_check(world.frame_pool);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Assembly: pools, ports, libraries and lcores in order, and everything undone in reverse. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "app.h"
#include "ctlsock.h"
#include "events.h"
#include "plm_crypto.h"
#include "plm_wzp.h"
#include "telemetry.h"
#include "trace.h"

/* lcore ids as eal.c hands them out. */
#define LCORE_SLOW    1
#define LCORE_WORKERS 2

/* How long ended sessions' last frames may take to leave. */
#define FLUSH_MS 1000
/* How long the slow path may take to end every session. */
#define END_ALL_MS 10000
#define CALL_MS    2000

static unsigned int
worker_turn(void *ctx, uint64_t now_ns)
{
	const struct app_worker *w = ctx;

	return plm_relay_turn(plm_ctl_relay(w->app->ctl), w->idx, now_ns);
}

static unsigned int
slow_turn(void *ctx, uint64_t now_ns)
{
	const struct app *app = ctx;

	return plm_ctl_turn(app->ctl, now_ns, clock_wall_s());
}

static int
lcore_main(void *lcore)
{
	plm_lcore_loop(lcore);
	return 0;
}

static unsigned int
busy_of(void *ctx, unsigned int worker)
{
	const struct app *app = ctx;

	return atomic_load_explicit(&app->busy[worker], memory_order_relaxed);
}

static uint64_t
beats_of(void *ctx, unsigned int worker)
{
	const struct app *app = ctx;

	return atomic_load_explicit(&app->workers[worker].nb_turns, memory_order_relaxed);
}

/* --- pools and ports ------------------------------------------------------------------------ */

static uint16_t
largest_mtu(const struct app *app)
{
	struct plm_pool_need need;

	conf_pool_need(&app->conf, &need);
	return need.mtu;
}

static int
no_memory(const struct app *app, const char *what, struct plm_text *why)
{
	plm_text_add(why, "no memory for %s: %s; %s", what, rte_strerror(rte_errno),
			app->conf.hugepages
					? "raise vm.nr_hugepages (`plenum --check` says how far)"
					: "raise memory_mb");
	return -ENOMEM;
}

static int
create_rx_pools(struct app *app, const struct plm_pool_plan *plan, struct plm_text *why)
{
	char name[RTE_MEMPOOL_NAMESIZE];

	for (unsigned int w = 0; w < app->conf.nb_workers; w++) {
		snprintf(name, sizeof(name), "rx%u", w);
		app->rx_pools[w] = plm_pool_create_rx(name, plan->rx, largest_mtu(app),
				(int)rte_socket_id());
		if (app->rx_pools[w] == NULL)
			return no_memory(app, "an RX pool", why);
	}
	return 0;
}

static int
create_tx_pools(struct app *app, const struct plm_pool_plan *plan, struct plm_text *why)
{
	char name[RTE_MEMPOOL_NAMESIZE];

	for (unsigned int w = 0; w < app->conf.nb_workers; w++) {
		snprintf(name, sizeof(name), "hdr%u", w);
		app->hdr_pools[w] = plm_pool_create_hdr(name, plan->hdr, (int)rte_socket_id());
		if (app->hdr_pools[w] == NULL)
			return no_memory(app, "a header pool", why);
		if (plan->slice > 0) {
			snprintf(name, sizeof(name), "slice%u", w);
			app->slice_pools[w] = plm_pool_create_slice(name, plan->slice,
					largest_mtu(app), (int)rte_socket_id());
			if (app->slice_pools[w] == NULL)
				return no_memory(app, "a pool of slices", why);
		}
		if (plan->quic > 0) {
			snprintf(name, sizeof(name), "quic%u", w);
			app->quic_pools[w] = plm_pool_create_slice(name, plan->quic,
					largest_mtu(app), (int)rte_socket_id());
			if (app->quic_pools[w] == NULL)
				return no_memory(app, "a pool of QUIC packets", why);
		}
		if (plan->copy == 0)
			continue;
		snprintf(name, sizeof(name), "copy%u", w);
		app->copy_pools[w] = plm_pool_create_copy(name, plan->copy, largest_mtu(app),
				(int)rte_socket_id());
		if (app->copy_pools[w] == NULL)
			return no_memory(app, "a copy pool", why);
	}
	app->frame_pool = plm_pool_create_copy("frames", plan->ctl, largest_mtu(app),
			(int)rte_socket_id());
	if (app->frame_pool == NULL)
		return no_memory(app, "the slow path's pool", why);
	return 0;
}

static int
find_device(const struct conf_port *port, unsigned int *max_queues, struct plm_text *why)
{
	struct rte_eth_dev_info info;
	uint16_t id;
	int ret = rte_eth_dev_get_port_by_name(port->name, &id);

	if (ret == 0)
		ret = rte_eth_dev_info_get(id, &info);
	if (ret < 0) {
		plm_text_add(why, "port %s: no such device; %s", port->device,
				conf_port_driver(port)->missing);
		return -ENODEV;
	}
	*max_queues = RTE_MIN(info.max_rx_queues, info.max_tx_queues);
	return 0;
}

/* Queues are dealt out in turn, so that ports with few of them do not all load worker 0. */
static int
open_ports(struct app *app, struct plm_ctl_conf *ctl, struct plm_text *why)
{
	struct conf *conf = &app->conf;
	unsigned int next = 0;

	for (unsigned int p = 0; p < conf->nb_ports; p++) {
		struct rte_mempool *pools[PLM_WORKERS_MAX];
		unsigned int max_queues;
		int ret = find_device(&conf->ports[p], &max_queues, why);
		struct plm_port_conf port = {
			.name = conf->ports[p].name,
			.nb_rxd = conf->ports[p].nic.rx_descriptors,
			.nb_txd = conf->ports[p].nic.tx_descriptors,
			.mtu = conf->ports[p].nic.mtu,
			.chain = (enum plm_chain)conf->ports[p].nic.chain,
			.copy_below = conf->ports[p].nic.copy_below,
			.vlan = conf->ports[p].vlan,
			.rx_pools = pools,
		};

		if (ret < 0)
			return ret;
		port.nb_queues = (uint16_t)conf_port_queues(conf, &conf->ports[p], max_queues);
		if (port.nb_queues > max_queues) {
			const char *arg = conf_port_driver(&conf->ports[p])->queues_arg;

			plm_text_add(why, "port %s: %u queues asked for, the device has %u",
					conf->ports[p].device, port.nb_queues, max_queues);
			if (arg != NULL)
				plm_text_add(why, "; add %s=%u to `device`", arg, port.nb_queues);
			return -EINVAL;
		}
		for (unsigned int q = 0; q < port.nb_queues; q++) {
			unsigned int w = (next + q) % conf->nb_workers;

			ctl->queue_owner[p][q] = (uint8_t)w;
			pools[q] = app->rx_pools[w];
		}
		ret = plm_port_open(&app->ports[p], (uint16_t)p, &port, why);
		if (ret < 0)
			return ret;
		next += app->ports[p].nb_queues; /* it may have got by with fewer */
		app->port_list[p] = &app->ports[p];
		app->nb_ports = p + 1;
	}
	return 0;
}

/* --- libraries ------------------------------------------------------------------------------ */

int
app_read_secrets(const struct conf *conf, struct plm_secrets *secrets, struct plm_text *why)
{
	int ret = 0;

	for (unsigned int i = 0; ret == 0 && i < conf->nb_secrets; i++)
		ret = plm_secret_read(conf->secrets[i].path, secrets->s[i].key, &secrets->s[i].len,
				why);
	secrets->nb = ret == 0 ? conf->nb_secrets : 0;
	return ret;
}

static unsigned int
fill_locals(const struct conf *conf, struct plm_net_local_conf *locals)
{
	unsigned int n = 0;

	for (unsigned int p = 0; p < conf->nb_ports; p++) {
		for (unsigned int a = 0; a < conf->ports[p].nb_addresses; a++) {
			const struct conf_address *address = &conf->ports[p].addresses[a];

			locals[n++] = (struct plm_net_local_conf){
				.port_idx = (uint16_t)p,
				.ip = address->prefix.ip,
				.prefix_len = address->prefix.len,
				.gateway = address->gateway,
			};
		}
	}
	return n;
}

/* Certificates, and the seed of what WZP clients are answered with: of a relay whose certificate is read from a
 * file, a new one at each start unless there is one, too. Clients compare it with nothing. */
static int
read_identity(struct app *app, uint8_t seed[PLM_QUIC_SEED_SIZE], struct plm_text *why)
{
	const struct plm_rand rand = { .fill = plm_crypto_random };
	const struct conf_quic *quic = &app->conf.quic;
	int ret = 0;

	app->identity = plm_quic_identity_create();
	if (app->identity == NULL)
		return -ENOMEM;
	if (quic->identity[0] != '\0')
		ret = plm_quic_seed_load(quic->identity, &rand, seed, why);
	else
		plm_rand_fill(&rand, seed, PLM_QUIC_SEED_SIZE);
	if (ret < 0)
		return ret;
	if (quic->certificate[0] != '\0')
		return plm_quic_identity_add_pem(app->identity, quic->certificate, quic->key,
				(uint64_t)time(NULL), why);
	return plm_quic_identity_add_seed(app->identity, seed, why);
}

static int
create_quic(struct app *app, struct plm_ctl_quic_conf *ctl, struct plm_ctl_wzp_conf *wzp,
		struct plm_text *why)
{
	const struct conf_quic *quic = &app->conf.quic;
	int ret;

	if (quic->connections == 0)
		return 0;
	plm_wzp_init(&(struct plm_rand){ .fill = plm_crypto_random });
	ret = read_identity(app, wzp->seed, why);
	if (ret < 0)
		return ret;
	app->aead = plm_aead_create(PLM_AEAD_BEST);
	if (app->aead == NULL) {
		plm_text_add(why, "packet protection: %s", rte_strerror(rte_errno));
		return -rte_errno;
	}
	ctl->max_connections = quic->connections;
	ctl->max_handshakes = quic->handshakes;
	ctl->retry_above = quic->retry_above;
	ctl->retry_always = quic->retry_always;
	wzp->open_rooms = app->conf.wzp.open_rooms;
	wzp->build = PLM_VERSION;
	ctl->idle_timeout_ns = quic->idle_timeout_s * PLM_NS_PER_S;
	ctl->identity = app->identity;
	ctl->aead = app->aead;
	memcpy(ctl->pools, app->quic_pools, sizeof(ctl->pools));
	return 0;
}

static int
create_wzp(struct app *app, struct plm_ctl_wzp_conf *ctl, struct plm_text *why)
{
	const struct conf_wzp *wzp = &app->conf.wzp;
	const struct auth_conf auth = {
		.url = wzp->auth_url,
		.ca = wzp->auth_ca,
		.requests = wzp->auth_requests,
		.timeout_ms = wzp->auth_timeout_s * 1000,
	};
	int ret;

	if (app->conf.quic.connections == 0 || wzp->auth_url[0] == '\0')
		return 0;
	ret = auth_start(&app->auth, &auth, why);
	if (ret < 0)
		return ret;
	ctl->auth = auth_of(app->auth);
	ctl->match_identity = wzp->match_identity;
	ctl->auth_cache_ns = wzp->auth_cache_s * PLM_NS_PER_S;
	ctl->auth_timeout_ns = wzp->auth_timeout_s * PLM_NS_PER_S;
	return 0;
}

static int
create_ctl(struct app *app, struct plm_ctl_conf *ctl, struct plm_text *why)
{
	const struct conf *conf = &app->conf;
	struct plm_net_local_conf locals[PLM_PORTS_MAX * CONF_ADDRESSES];
	struct plm_static *statics;
	int ret;

	statics = malloc((conf->nb_statics + 1) * sizeof(*statics));
	if (statics == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < conf->nb_statics; i++)
		statics[i] = conf->statics[i].entry;
	ctl->statics = statics;
	ctl->nb_statics = conf->nb_statics;
	ctl->name = "plenum";
	ctl->socket = (int)rte_socket_id();
	ctl->clock = (struct plm_clock){ .now_ns = clock_now_ns };
	ctl->rand = (struct plm_rand){ .fill = plm_crypto_random };
	ctl->ports = app->port_list;
	ctl->nb_ports = app->nb_ports;
	ctl->nb_workers = conf->nb_workers;
	memcpy(ctl->hdr_pools, app->hdr_pools, sizeof(ctl->hdr_pools));
	memcpy(ctl->copy_pools, app->copy_pools, sizeof(ctl->copy_pools));
	memcpy(ctl->slice_pools, app->slice_pools, sizeof(ctl->slice_pools));
	ctl->frame_pool = app->frame_pool;
	ctl->locals = locals;
	ctl->nb_locals = fill_locals(conf, locals);
	ctl->udp_port = conf->udp_port;
	ctl->max_neighbours = conf->limits.neighbours;
	ctl->max_rooms = conf->limits.rooms;
	ctl->max_sessions = conf->limits.sessions;
	ctl->max_members = conf->limits.participants;
	ctl->max_backlog = conf->limits.view_backlog;
	ctl->max_ssrcs = conf->limits.ssrcs;
	ctl->max_bars = conf->limits.bars;
	ctl->admissions_per_s = conf->limits.admissions_per_s;
	ctl->per_net6 = conf->limits.sessions_per_net6;
	ctl->per_address4 = conf->limits.sessions_per_address4;
	ctl->publish_interval_ns = conf->tuning.publish_us * PLM_NS_PER_US;
	ctl->consent_timeout_ns = conf->consent_timeout_s * PLM_NS_PER_S;
	ctl->max_session_ns = conf->max_session_s * PLM_NS_PER_S;
	ctl->rebalance_above = conf->rebalance_above;
	ctl->spread_above = conf->spread_above;
	ctl->rules = conf->rules;
	ctl->nb_rules = conf->nb_rules;
	ctl->ring_size = conf->tuning.ring_size;
	ctl->turn_copies = conf->tuning.turn_copies;
	ctl->park_entries = conf->tuning.park_entries;
	ctl->stun_rate = conf->tuning.stun_rate;
	ctl->l2_rate = conf->tuning.l2_rate;
	ctl->rtcp_rate = conf->tuning.rtcp_rate;
	ctl->stall_ns = conf->tuning.stall_ms * PLM_NS_PER_MS;
	ctl->busy = busy_of;
	ctl->beats = beats_of;
	ctl->lcore_ctx = app;
	ctl->event = events_put;
	ctl->event_ctx = app->events;
	ret = app_read_secrets(conf, &ctl->secrets, why);
	if (ret == 0)
		ret = create_quic(app, &ctl->quic, &ctl->wzp, why);
	if (ret == 0)
		ret = create_wzp(app, &ctl->wzp, why);
	if (ret == 0)
		ret = plm_ctl_create(&app->ctl, ctl, why);
	plm_crypto_erase(&ctl->secrets, sizeof(ctl->secrets));
	free(statics);
	return ret;
}

/* Neighbour solicitations come to groups, which a port without promiscuous mode must be told. */
static int
open_filters(struct app *app, struct plm_text *why)
{
	struct rte_ether_addr groups[PLM_PORTS_MAX * CONF_ADDRESSES + 2];

	for (unsigned int p = 0; p < app->nb_ports; p++) {
		unsigned int n = plm_net_mcast(plm_ctl_net(app->ctl), (uint16_t)p, groups,
				RTE_DIM(groups));
		int ret = plm_port_set_mcast(&app->ports[p], groups, n);

		if (ret < 0) {
			plm_text_add(why, "port %s: its driver receives no multicast groups: %s",
					app->ports[p].name, rte_strerror(-ret));
			return ret;
		}
	}
	return 0;
}

static bool
shares_cpu(const struct conf *conf, unsigned int worker)
{
	uint16_t cpu = conf->workers[worker];

	for (unsigned int i = 0; i < conf->nb_workers; i++) {
		if (i != worker && conf->workers[i] == cpu)
			return true;
	}
	return cpu == conf->main_cpu || cpu == conf->slow_cpu;
}

static enum plm_idle
worker_idle(const struct conf *conf, unsigned int worker)
{
	switch (conf->idle) {
	case CONF_IDLE_BUSY:
		return PLM_IDLE_BUSY;
	case CONF_IDLE_SLEEP:
		return PLM_IDLE_SLEEP;
	case CONF_IDLE_MONITOR:
		return PLM_IDLE_MONITOR;
	default:
		break;
	}
	for (unsigned int p = 0; p < conf->nb_ports; p++) {
		if (conf_port_is_kernel(&conf->ports[p]))
			return PLM_IDLE_SLEEP;
	}
	return shares_cpu(conf, worker) ? PLM_IDLE_SLEEP : PLM_IDLE_BUSY;
}

/* Takes those that were never launched. */
static void
stop_lcores(struct app *app)
{
	/* Workers first: the slow path goes on to take what they still say. */
	for (unsigned int w = 0; w < app->conf.nb_workers; w++)
		plm_lcore_stop(&app->workers[w]);
	for (unsigned int w = 0; w < app->conf.nb_workers; w++)
		rte_eal_wait_lcore(LCORE_WORKERS + w);
	plm_lcore_stop(&app->slow);
	rte_eal_wait_lcore(LCORE_SLOW);
	unmap_guard(NULL);
}

/* All lcores run afterwards, or none. */
static int
launch(struct app *app, struct plm_text *why)
{
	const struct conf *conf = &app->conf;
	const struct plm_lcore common = {
		.clock = { .now_ns = clock_now_ns },
		.idle = PLM_IDLE_SLEEP,
		.idle_turns = conf->tuning.idle_turns,
		.sleep_us = conf->tuning.sleep_us,
	};
	int ret;

	/* The slow path always sleeps when idle: nothing it does is a matter of microseconds. */
	app->slow = common;
	app->slow.turn = slow_turn;
	app->slow.ctx = app;
	unmap_guard(app);
	ret = rte_eal_remote_launch(lcore_main, &app->slow, LCORE_SLOW);
	if (ret < 0)
		plm_text_add(why, "the slow path's lcore does not start: %s", strerror(-ret));
	for (unsigned int w = 0; ret == 0 && w < conf->nb_workers; w++) {
		app->worker_ctx[w] = (struct app_worker){ app, w };
		app->workers[w] = common;
		app->workers[w].turn = worker_turn;
		app->workers[w].ctx = &app->worker_ctx[w];
		app->workers[w].rcu = plm_ctl_rcu(app->ctl);
		app->workers[w].worker = w;
		app->workers[w].idle = worker_idle(conf, w);
		ret = rte_eal_remote_launch(lcore_main, &app->workers[w], LCORE_WORKERS + w);
		if (ret < 0)
			plm_text_add(why, "the lcore of worker %u does not start: %s", w,
					strerror(-ret));
	}
	if (ret < 0)
		stop_lcores(app);
	app->lcores_launched = ret == 0;
	return ret;
}

int
app_start(struct app *app, struct plm_text *why)
{
	struct plm_ctl_conf ctl;
	struct plm_pool_need need;
	struct plm_pool_plan plan;
	int ret;

	plm_ctl_conf_init(&ctl);
	conf_pool_need(&app->conf, &need);
	plm_pool_plan(&need, &plan);
	ret = create_rx_pools(app, &plan, why);
	if (ret == 0)
		ret = open_ports(app, &ctl, why);
	if (ret < 0)
		return ret;
	/* Now it is known which port cannot chain. */
	need.linear = false;
	for (unsigned int p = 0; p < app->nb_ports; p++)
		need.linear |= !app->ports[p].chain;
	plm_pool_plan(&need, &plan);
	ret = create_tx_pools(app, &plan, why);
	if (ret == 0)
		ret = create_ctl(app, &ctl, why);
	if (ret == 0)
		ret = open_filters(app, why);
	watch_start(app);
	if (ret == 0)
		ret = launch(app, why);
	if (ret == 0)
		plm_relay_set_running(plm_ctl_relay(app->ctl), true);
	return ret;
}

/* --- the end -------------------------------------------------------------------------------- */

static int
call_drain(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	plm_ctl_drain(ctl, true);
	/* Static endpoints do not leave by themselves. */
	plm_text_add(out, "%u",
			plm_session_nb_open(plm_ctl_sessions(ctl)) -
					plm_admit_nb_static(plm_ctl_admit(ctl)));
	return 0;
}

static int
call_end_all(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	plm_text_add(out, "%u", plm_ctl_end_all(ctl, now_ns, wall_s));
	return 0;
}

/* Run a call that answers with a number of sessions. A slow path that does not answer in time may
 * have some: the caller asks again until its deadline. */
static unsigned int
call_number(struct app *app, plm_call_fn fn)
{
	char out[PLM_CALL_TEXT];
	uint32_t cursor = 0;
	unsigned int n;

	if (plm_ctl_call(app->ctl, fn, NULL, 0, out, &cursor, CALL_MS) < 0 ||
			sscanf(out, "%u", &n) != 1)
		return UINT_MAX;
	return n;
}

static uint64_t
deadline(unsigned int ms)
{
	return clock_now_ns(NULL) + ms * PLM_NS_PER_MS;
}

static void
drain(struct app *app)
{
	struct pollfd wish = { .fd = app->wake_fd, .events = POLLIN };
	uint64_t end_ns = deadline(app->drain_s * 1000);
	unsigned int waiting;

	/* A signal or `quit` meanwhile: the operator has waited enough. */
	while (call_number(app, call_drain) > 0 && clock_now_ns(NULL) < end_ns &&
			poll(&wish, 1, 100) == 0)
		continue;
	end_ns = deadline(END_ALL_MS);
	while (call_number(app, call_end_all) > 0 && clock_now_ns(NULL) < end_ns)
		usleep(1000);
	/* The BYEs pass a ring, a fan-out and a TX queue. */
	end_ns = deadline(FLUSH_MS);
	do {
		usleep(20000);
		waiting = 0;
		for (unsigned int w = 0; w < app->conf.nb_workers; w++)
			waiting += plm_relay_parked(plm_ctl_relay(app->ctl), w);
	} while (waiting > 0 && clock_now_ns(NULL) < end_ns);
}

struct pool_sum {
	unsigned int nb_mbufs;
	unsigned int nb_kept; /* by drivers that give none back at their end */
};

/* Free a pool once every mbuf is back, but for `kept` at most; what is not is named. */
static int
free_pool(struct rte_mempool **pool, unsigned int kept, struct pool_sum *sum, struct plm_text *what)
{
	unsigned int used;

	if (*pool == NULL)
		return 0;
	used = rte_mempool_in_use_count(*pool);
	sum->nb_mbufs += (*pool)->size;
	if (used <= kept) {
		sum->nb_kept += used;
		used = 0;
	}
	if (used != 0)
		plm_text_add(what, "%s%s lacks %u of %u mbufs", what->len != 0 ? ", " : "",
				(*pool)->name, used, (*pool)->size);
	rte_mempool_free(*pool);
	*pool = NULL;
	return used != 0 ? -EBUSY : 0;
}

static int
free_pools(struct app *app, struct plm_text *what)
{
	struct pool_sum sum = { 0 };
	unsigned int kept = 0;
	int ret;

	for (unsigned int p = 0; p < app->conf.nb_ports; p++)
		kept += conf_port_driver(&app->conf.ports[p])->rx_extra;
	ret = free_pool(&app->frame_pool, 0, &sum, what);
	for (unsigned int w = 0; w < PLM_WORKERS_MAX; w++) {
		ret |= free_pool(&app->quic_pools[w], 0, &sum, what);
		ret |= free_pool(&app->slice_pools[w], 0, &sum, what);
		ret |= free_pool(&app->copy_pools[w], 0, &sum, what);
		ret |= free_pool(&app->hdr_pools[w], 0, &sum, what);
		ret |= free_pool(&app->rx_pools[w], kept, &sum, what);
	}
	if (ret == 0 && sum.nb_kept == 0)
		plm_text_add(what, "%u mbufs", sum.nb_mbufs);
	else if (ret == 0)
		plm_text_add(what, "%u mbufs, but for %u that a driver had given to the kernel",
				sum.nb_mbufs, sum.nb_kept);
	return ret == 0 ? 0 : -EBUSY;
}

int
app_stop(struct app *app, struct plm_text *what)
{
	if (app->lcores_launched) {
		drain(app);
		plm_relay_set_running(plm_ctl_relay(app->ctl), false);
	}
	ctlsock_stop(app->ctlsock);
	app->ctlsock = NULL;
	telemetry_stop();
	trace_free(app->trace);
	app->trace = NULL;
	if (app->lcores_launched)
		stop_lcores(app);
	plm_ctl_free(app->ctl);
	app->ctl = NULL;
	auth_stop(app->auth);
	app->auth = NULL;
	plm_quic_identity_free(app->identity);
	app->identity = NULL;
	plm_aead_free(app->aead);
	app->aead = NULL;
	while (app->nb_ports > 0)
		plm_port_close(&app->ports[--app->nb_ports]);
	return free_pools(app, what);
}

void
app_end(struct app *app, unsigned int drain_s)
{
	uint64_t one = 1;

	app->drain_s = drain_s;
	/* Release: main sees drain_s; pairs with its acquire. */
	atomic_store_explicit(&app->end, APP_DRAIN, memory_order_release);
	if (write(app->wake_fd, &one, sizeof(one)) < 0)
		return; /* it is full, so main wakes up anyway */
}

/* --- once a second -------------------------------------------------------------------------- */

static void
measure_busy(struct app *app, unsigned int idx, const struct plm_lcore *lcore)
{
	struct app_busy now = {
		.busy_ns = atomic_load_explicit(&lcore->busy_ns, memory_order_relaxed),
		.total_ns = atomic_load_explicit(&lcore->total_ns, memory_order_relaxed),
	};
	uint64_t busy = now.busy_ns - app->busy_from[idx].busy_ns;
	uint64_t total = now.total_ns - app->busy_from[idx].total_ns;

	app->busy_from[idx] = now;
	atomic_store_explicit(&app->busy[idx],
			(uint8_t)(total == 0 ? 0 : RTE_MIN(100, busy * 100 / total)),
			memory_order_relaxed);
}

void
app_tick(struct app *app)
{
	pthread_mutex_lock(&app->lock);
	watch_ports(app);
	for (unsigned int w = 0; w < app->conf.nb_workers; w++)
		measure_busy(app, w, &app->workers[w]);
	measure_busy(app, PLM_WORKERS_MAX, &app->slow);
	pthread_mutex_unlock(&app->lock);
}

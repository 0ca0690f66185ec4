/* SPDX-License-Identifier: BSD-3-Clause */
/* show lcore, drops, counters, latency, neighbour, memory; clear. `call_` runs on the slow path. */
#include <inttypes.h>

#include <rte_malloc.h>

#include "nic.h"

static const char *
idle_name(enum plm_idle idle)
{
	switch (idle) {
	case PLM_IDLE_BUSY:
		return "busy";
	case PLM_IDLE_SLEEP:
		return "sleep";
	default:
		return "monitor";
	}
}

static void
lcore_line(struct plm_cli *cli, const char *role, unsigned int cpu, unsigned int busy,
		const struct plm_lcore *lcore, unsigned int parked, bool stalled)
{
	plm_cli_print(cli, "%-10s %4u %-8s %6u %16" PRIu64 " %7u %s\n", role, cpu,
			idle_name(lcore->idle), busy,
			atomic_load_explicit(&lcore->nb_turns, memory_order_relaxed), parked,
			stalled ? "STALLED" : "no");
}

int
cmd_show_lcore_all(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	struct app *app = ctx;
	const struct conf *conf = &app->conf;
	uint32_t stalled = plm_ctl_stalled(app->ctl);
	char role[16];

	plm_cli_print(cli, "%-10s %4s %-8s %6s %16s %7s %s\n", "lcore", "cpu", "idle", "busy %",
			"turns", "parked", "stalled");
	plm_cli_print(cli, "%-10s %4u\n", "main", conf->main_cpu);
	lcore_line(cli, "slow path", conf->slow_cpu,
			atomic_load_explicit(&app->busy[PLM_WORKERS_MAX], memory_order_relaxed),
			&app->slow, 0, false);
	for (unsigned int w = 0; w < conf->nb_workers; w++) {
		struct plm_text text;

		plm_text_init(&text, role, sizeof(role));
		plm_text_add(&text, "worker %u", w);
		lcore_line(cli, role, conf->workers[w],
				atomic_load_explicit(&app->busy[w], memory_order_relaxed),
				&app->workers[w], plm_relay_parked(plm_ctl_relay(app->ctl), w),
				(stalled >> w & 1) != 0);
	}
	return 0;
}

enum which {
	DROPS,
	DROPS_ALL,
	COUNTERS,
};

bool counter_is_drop(enum plm_counter_class class)
{
	return class == PLM_CLASS_RX_DROP || class == PLM_CLASS_COPY_DROP ||
			class == PLM_CLASS_CARRY_DROP || class == PLM_CLASS_QUIC_DROP ||
			class == PLM_CLASS_DGRAM_DROP || class == PLM_CLASS_CTL_DROP;
}

static void
counters_head(const struct plm_ctl *ctl, struct plm_text *out)
{
	plm_text_add(out, "%-20s %-10s %14s", "counter", "class", "sum");
	for (unsigned int w = 0; w < plm_ctl_conf(ctl)->nb_workers; w++)
		plm_text_add(out, "      worker %-2u", w);
	plm_text_add(out, " %14s\n", "slow path");
}

static void
counter_line(const struct plm_ctl *ctl, enum plm_counter id, bool with_zero, struct plm_text *out)
{
	const struct plm_counter_def *def = &plm_counter_defs[id];
	unsigned int nb_workers = plm_ctl_conf(ctl)->nb_workers;
	uint64_t slow = plm_ctl_counter(ctl, PLM_WORKERS_MAX, id);
	uint64_t of[PLM_WORKERS_MAX];
	uint64_t sum = slow;

	for (unsigned int w = 0; w < nb_workers; w++) {
		of[w] = plm_ctl_counter(ctl, w, id);
		sum += of[w];
	}
	if (sum == 0 && !with_zero)
		return;
	plm_text_add(out, "%-20s %-10s %14" PRIu64, def->name, plm_counter_class_name(def->class),
			sum);
	for (unsigned int w = 0; w < nb_workers; w++)
		plm_text_add(out, " %14" PRIu64, of[w]);
	plm_text_add(out, " %14" PRIu64 "%s\n", slow,
			sum > 0 && (id == PLM_CNT_COPY_NO_MBUF || id == PLM_CNT_CTL_NO_MBUF)
					? "  ALARM: a pool ran empty, see show memory"
					: "");
}

static int
call_show_counters(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	const enum which *which = arg;
	uint32_t id = *cursor;

	*cursor = 0;
	if (id == 0)
		counters_head(ctl, out);
	for (; id < PLM_CNT_MAX; id++) {
		if (app_page_full(out)) {
			*cursor = id;
			return 0;
		}
		if (*which == COUNTERS || counter_is_drop(plm_counter_defs[id].class))
			counter_line(ctl, (enum plm_counter)id, *which != DROPS, out);
	}
	return 0;
}

int
cmd_show_drops(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	enum which which = DROPS;
	int ret = app_call(ctx, cli, call_show_counters, &which, sizeof(which));

	return ret < 0 ? ret : nic_show_losses(ctx, cli);
}

int
cmd_show_drops_all(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	enum which which = DROPS_ALL;
	int ret = app_call(ctx, cli, call_show_counters, &which, sizeof(which));

	return ret < 0 ? ret : nic_show_losses(ctx, cli);
}

int
cmd_show_counters(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	enum which which = COUNTERS;

	return app_call(ctx, cli, call_show_counters, &which, sizeof(which));
}

static void
latency_line(const char *name, const struct plm_hist *hist, struct plm_text *out)
{
	plm_text_add(out, "%-10s %14" PRIu64 " %10.1f %10.1f %10.1f %10.1f\n", name,
			plm_hist_count(hist), (double)plm_hist_quantile(hist, 5000) / 1e3,
			(double)plm_hist_quantile(hist, 9900) / 1e3,
			(double)plm_hist_quantile(hist, 9990) / 1e3,
			(double)plm_hist_quantile(hist, 10000) / 1e3);
}

static int
call_show_latency(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	struct plm_hist all = { 0 };
	struct plm_hist one;
	char name[16];

	plm_text_add(out, "%-10s %14s %10s %10s %10s %10s\n", "RX to TX", "samples", "p50 us",
			"p99 us", "p99.9 us", "max us");
	for (unsigned int w = 0; w < plm_ctl_conf(ctl)->nb_workers; w++) {
		struct plm_text text;

		plm_ctl_latency(ctl, w, &one);
		plm_hist_merge(&all, &one);
		plm_text_init(&text, name, sizeof(name));
		plm_text_add(&text, "worker %u", w);
		latency_line(name, &one, out);
	}
	latency_line("all", &all, out);
	return 0;
}

int
cmd_show_latency(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	return app_call(ctx, cli, call_show_latency, NULL, 0);
}

static int
call_show_neighbours(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	do {
		*cursor = plm_net_show(plm_ctl_net(ctl), *cursor, out, now_ns);
	} while (*cursor != 0 && !app_page_full(out));
	return 0;
}

int
cmd_show_neighbours(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	return app_call(ctx, cli, call_show_neighbours, NULL, 0);
}

static int
call_quic_totals(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	const struct plm_ctl_quic_conf *conf = &plm_ctl_conf(ctl)->quic;
	struct plm_ctl_quic_totals t;

	plm_ctl_quic_totals(ctl, &t);
	if (t.max_connections == 0) {
		plm_text_add(out, "QUIC is not served: quic.connections is 0\n");
		return 0;
	}
	plm_text_add(out,
			"connections: %u established, %u handshakes in progress, %u ending, %u of %u "
			"free\n",
			t.established, t.handshakes, t.ending,
			t.max_connections - t.established - t.handshakes - t.ending,
			t.max_connections);
	plm_text_add(out, "handshakes: at most %u; Retry %s\n", conf->max_handshakes,
			conf->retry_always          ? "always"
					: t.retries ? "now, since there are many"
						    : "not now");
	plm_text_add(out, "memory beyond their own: %u of %u extents of %u KB in use\n",
			t.extents_used, t.extents, PLM_QUIC_EXTENT / 1024);
	if (!plm_ctl_conf(ctl)->wzp.open_rooms && plm_ctl_conf(ctl)->wzp.auth == NULL)
		plm_text_add(out,
				"nobody is let in: wzp.open_rooms is false, and there is no "
				"wzp.auth_url\n");
	return 0;
}

static void
certificate_line(struct plm_cli *cli, const struct plm_quic_identity *identity,
		enum plm_quic_cert kind)
{
	static const char *const names[PLM_QUIC_CERTS] = {
		[PLM_QUIC_CERT_ED25519] = "Ed25519",
		[PLM_QUIC_CERT_P256] = "P-256",
		[PLM_QUIC_CERT_P384] = "P-384",
	};
	uint8_t fingerprint[PLM_QUIC_FINGERPRINT_SIZE];
	char text[PLM_QUIC_FINGERPRINT_TEXT_SIZE];
	const uint8_t *cert;
	size_t len;

	cert = plm_quic_identity_cert(identity, kind, &len);
	if (cert == NULL || plm_quic_fingerprint(cert, len, fingerprint) < 0)
		return;
	plm_quic_fingerprint_text(fingerprint, text);
	plm_cli_print(cli, "certificate %-7s SHA-256 %s\n", names[kind], text);
}

int
cmd_show_quic(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	struct app *app = ctx;
	int ret = app_call(app, cli, call_quic_totals, NULL, 0);

	for (unsigned int kind = 0; ret == 0 && app->identity != NULL && kind < PLM_QUIC_CERTS;
			kind++)
		certificate_line(cli, app->identity, (enum plm_quic_cert)kind);
	return ret;
}

static int
call_wzp_cached(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	plm_text_add(out, "answers that were known: %" PRIu64 "\n",
			plm_ctl_counter(ctl, PLM_WORKERS_MAX, PLM_CNT_WZP_AUTH_CACHED));
	return 0;
}

int
cmd_show_wzp(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	struct app *app = ctx;
	struct auth_figures f;

	if (app->auth == NULL) {
		plm_cli_print(cli, "tokens are not asked for: wzp.auth_url is not set\n");
		return 0;
	}
	auth_read(app->auth, &f);
	plm_cli_print(cli, "auth server: %s\n", app->conf.wzp.auth_url);
	plm_cli_print(cli,
			"tokens since the start: %" PRIu64 " asked, %" PRIu64 " valid, %" PRIu64
			" invalid, %" PRIu64 " failed, %" PRIu64 " not taken\n",
			f.asked, f.valid, f.invalid, f.failed, f.busy);
	plm_cli_print(cli, "requests in flight: %u of %u\n", f.in_flight,
			app->conf.wzp.auth_requests);
	if (f.error_ns != 0)
		plm_cli_print(cli, "last error, %" PRIu64 " s ago: %s\n",
				(clock_now_ns(NULL) - f.error_ns) / PLM_NS_PER_S, f.error);
	return app_call(app, cli, call_wzp_cached, NULL, 0);
}

static void
pool_line(struct plm_cli *cli, const struct rte_mempool *pool)
{
	if (pool == NULL)
		return;
	plm_cli_print(cli, "%-10s %10u %10u %10u\n", pool->name, pool->size,
			rte_mempool_in_use_count(pool), rte_mempool_avail_count(pool));
}

/* DPDK's heap, where the pools, tables and fan-out lists are. Takes its lock for a moment, which
 * no worker ever wants. */
static void
heap_line(struct plm_cli *cli)
{
	size_t used = 0;
	size_t total = 0;
	unsigned int nb = 0;

	for (unsigned int i = 0; i < rte_socket_count(); i++) {
		struct rte_malloc_socket_stats stats;

		if (rte_malloc_get_socket_stats(rte_socket_id_by_idx(i), &stats) < 0)
			continue;
		used += stats.heap_allocsz_bytes;
		total += stats.heap_totalsz_bytes;
		nb += stats.alloc_count;
	}
	plm_cli_print(cli, "heap: %zu of %zu bytes in use by %u allocations\n", used, total, nb);
}

/* What waits for workers to be quiescent, and what waits for that. */
static int
call_show_reclamation(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	const struct plm_room_table *rooms = plm_ctl_rooms(ctl);
	const struct plm_room_stats stats = plm_room_stats(rooms);

	plm_text_add(out,
			"views: %" PRIu64 " published, %u of %u wait to be freed; publication was "
			"put off %" PRIu64 " times by these, %" PRIu64 " times by memory\n",
			stats.published, plm_room_backlog(rooms), plm_ctl_conf(ctl)->max_backlog,
			stats.deferred_backlog, stats.deferred_memory);
	plm_text_add(out, "sessions: %u open, %u ended ones wait to be freed\n",
			plm_session_nb_open(plm_ctl_sessions(ctl)),
			plm_session_nb_pending(plm_ctl_sessions(ctl)));
	return 0;
}

int
cmd_show_memory(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	struct app *app = ctx;

	plm_cli_print(cli, "%-10s %10s %10s %10s\n", "pool", "mbufs", "in use", "free");
	for (unsigned int w = 0; w < app->conf.nb_workers; w++) {
		pool_line(cli, app->rx_pools[w]);
		pool_line(cli, app->hdr_pools[w]);
		pool_line(cli, app->copy_pools[w]);
		pool_line(cli, app->slice_pools[w]);
		pool_line(cli, app->quic_pools[w]);
	}
	pool_line(cli, app->frame_pool);
	heap_line(cli);
	return app_call(app, cli, call_show_reclamation, NULL, 0);
}

static int
call_clear(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	plm_ctl_clear(ctl);
	return 0;
}

int
cmd_clear(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	struct app *app = ctx;

	for (unsigned int p = 0; p < app->nb_ports; p++) {
		rte_eth_stats_reset(app->ports[p].ethdev_id);
		rte_eth_xstats_reset(app->ports[p].ethdev_id);
	}
	return app_call(app, cli, call_clear, NULL, 0);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Commands of DPDK's telemetry socket. Its threads are DPDK's own, one for each client, and nobody
 * ends them: what they use is static, and once the relay ends they find none. They take turns, so
 * all clients together have one call to the slow path open. What they tell comes through such a
 * call (plm_ctl_call()), from counters that anyone may read, or from ports, which app->lock guards. That
 * is held while ports are read and never while a call waits: a slow path that is busy keeps nobody but
 * telemetry's clients.
 *
 * An answer of DPDK's is at most 16 KB, so lists come in pages: `next` says where the following
 * one begins, 0 that there is none. Rows are keyed by their index, since keys may not contain
 * every character of a name.
 */
#include "telemetry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_telemetry.h>

#include "nic.h"

#define CALL_MS 2000
/* Rows of one page: 32 of 500 bytes. */
#define ROWS     32
#define TEXT_MAX RTE_TEL_MAX_STRING_LEN

/* Guards what follows, and the relay that is served: it does not end meanwhile (telemetry_stop()). Taken
 * before app->lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct app *served; /* NULL: none, or none any more */
static char answer[PLM_CALL_TEXT];

struct question {
	struct app *app;
	char params[2 * PLM_NAME_SIZE]; /* behind the command's comma */
	struct rte_tel_data *d;         /* a dictionary */
};

static int __attribute__((format(printf, 2, 3)))
refuse(struct rte_tel_data *d, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return rte_tel_data_add_dict_string(d, "error", text);
}

/* A dictionary within another; NULL without memory. */
static struct rte_tel_data *
inner(struct rte_tel_data *d, const char *name)
{
	struct rte_tel_data *in = rte_tel_data_alloc();

	if (in == NULL)
		return NULL;
	rte_tel_data_start_dict(in);
	if (rte_tel_data_add_dict_container(d, name, in, 0) == 0)
		return in;
	rte_tel_data_free(in);
	return NULL;
}

static struct rte_tel_data *
inner_idx(struct rte_tel_data *d, const char *prefix, uint32_t idx)
{
	char name[32];

	snprintf(name, sizeof(name), "%s%u", prefix, idx);
	return inner(d, name);
}

/* Ask the slow path; `answer` holds what it says. Negative: the client has been told. */
static int
ask(const struct question *q, plm_call_fn fn, const void *arg, size_t len, uint32_t *cursor)
{
	int ret = plm_ctl_call(q->app->ctl, fn, arg, len, answer, cursor, CALL_MS);

	if (ret == -ENOENT)
		refuse(q->d, "there is no room %s", q->params);
	else if (ret < 0)
		refuse(q->d, "the slow path does not answer: %s", strerror(-ret));
	return ret;
}

/* A number as all of `text`. 0 or -EINVAL. */
static int
number(const char *text, uint32_t max, uint32_t *n)
{
	unsigned long v;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || v > max)
		return -EINVAL;
	*n = (uint32_t)v;
	return 0;
}

static void
add_rates(struct rte_tel_data *d, const struct plm_ctl_rates *rates)
{
	rte_tel_data_add_dict_u64(d, "rx_packets_per_s", rates->rx_packets);
	rte_tel_data_add_dict_u64(d, "tx_packets_per_s", rates->tx_packets);
	rte_tel_data_add_dict_u64(d, "rx_bits_per_s", rates->rx_bits);
	rte_tel_data_add_dict_u64(d, "tx_bits_per_s", rates->tx_bits);
}

/* --- lcores --------------------------------------------------------------------------------- */

static void
add_lcore(struct rte_tel_data *d, uint16_t cpu, const struct plm_lcore *lcore, uint8_t busy)
{
	rte_tel_data_add_dict_u64(d, "cpu", cpu);
	rte_tel_data_add_dict_u64(d, "busy_percent", busy);
	rte_tel_data_add_dict_u64(d, "turns",
			atomic_load_explicit(&lcore->nb_turns, memory_order_relaxed));
}

static int
lcores(const struct question *q)
{
	struct app *app = q->app;
	uint32_t stalled = plm_ctl_stalled(app->ctl);
	struct rte_tel_data *d = inner(q->d, "main");

	if (d == NULL)
		return -ENOMEM;
	rte_tel_data_add_dict_u64(d, "cpu", app->conf.main_cpu);
	d = inner(q->d, "slow_path");
	if (d == NULL)
		return -ENOMEM;
	add_lcore(d, app->conf.slow_cpu, &app->slow,
			atomic_load_explicit(&app->busy[PLM_WORKERS_MAX], memory_order_relaxed));
	for (unsigned int w = 0; w < app->conf.nb_workers; w++) {
		d = inner_idx(q->d, "worker", w);
		if (d == NULL)
			return -ENOMEM;
		add_lcore(d, app->conf.workers[w], &app->workers[w],
				atomic_load_explicit(&app->busy[w], memory_order_relaxed));
		rte_tel_data_add_dict_u64(d, "parked",
				plm_relay_parked(plm_ctl_relay(app->ctl), w));
		rte_tel_data_add_dict_u64(d, "stalled", stalled >> w & 1);
	}
	return 0;
}

/* --- ports ---------------------------------------------------------------------------------- */

static int
add_port(struct rte_tel_data *d, const struct plm_port *port)
{
	struct rte_eth_stats s;
	int ret = rte_eth_stats_get(port->ethdev_id, &s);

	rte_tel_data_add_dict_string(d, "name", port->name);
	rte_tel_data_add_dict_u64(d, "link_up",
			atomic_load_explicit(&port->link_up, memory_order_relaxed));
	rte_tel_data_add_dict_u64(d, "link_mbps",
			atomic_load_explicit(&port->link_mbps, memory_order_relaxed));
	rte_tel_data_add_dict_u64(d, "queues", port->nb_queues);
	if (ret < 0)
		return refuse(d, "its driver has no statistics");
	rte_tel_data_add_dict_u64(d, "rx_packets", s.ipackets);
	rte_tel_data_add_dict_u64(d, "rx_bytes", s.ibytes);
	rte_tel_data_add_dict_u64(d, "rx_missed", s.imissed);
	rte_tel_data_add_dict_u64(d, "rx_no_mbuf", s.rx_nombuf);
	rte_tel_data_add_dict_u64(d, "rx_errors", s.ierrors);
	rte_tel_data_add_dict_u64(d, "tx_packets", s.opackets);
	rte_tel_data_add_dict_u64(d, "tx_bytes", s.obytes);
	rte_tel_data_add_dict_u64(d, "tx_errors", s.oerrors);
	return 0;
}

/* "queue0", "queue1"... where the driver counts them. */
static int
add_queues(struct rte_tel_data *d, const struct app *app, unsigned int port)
{
	for (uint16_t i = 0; i < app->ports[port].nb_queues; i++) {
		struct rte_tel_data *in;
		struct nic_queue s;

		if (!nic_queue_stats(&app->ports[port], i, &s))
			continue;
		in = inner_idx(d, "queue", i);
		if (in == NULL)
			return -ENOMEM;
		rte_tel_data_add_dict_u64(in, "worker",
				plm_ctl_conf(app->ctl)->queue_owner[port][i]);
		rte_tel_data_add_dict_u64(in, "rx_packets", s.rx_packets);
		rte_tel_data_add_dict_u64(in, "rx_bytes", s.rx_bytes);
		rte_tel_data_add_dict_u64(in, "rx_errors", s.rx_errors);
		rte_tel_data_add_dict_u64(in, "tx_packets", s.tx_packets);
		rte_tel_data_add_dict_u64(in, "tx_bytes", s.tx_bytes);
	}
	return 0;
}

/* Lock held. */
static int
add_ports(const struct question *q)
{
	int ret = 0;

	for (uint32_t p = 0; ret == 0 && p < q->app->nb_ports; p++) {
		struct rte_tel_data *d = inner_idx(q->d, "port", p);

		ret = d != NULL ? add_port(d, &q->app->ports[p]) : -ENOMEM;
	}
	return ret;
}

static int
ports(const struct question *q)
{
	uint32_t p = 0;
	int ret;

	if (q->params[0] != '\0' && number(q->params, q->app->nb_ports - 1, &p) < 0)
		return refuse(q->d, "%s is no port, must be 0 to %u", q->params,
				q->app->nb_ports - 1);
	/* Drivers' statistics are read and cleared by one thread at a time. */
	pthread_mutex_lock(&q->app->lock);
	if (q->params[0] == '\0') {
		ret = add_ports(q);
	} else {
		ret = add_port(q->d, &q->app->ports[p]);
		if (ret == 0)
			ret = add_queues(q->d, q->app, p);
	}
	pthread_mutex_unlock(&q->app->lock);
	return ret;
}

/* --- rooms ---------------------------------------------------------------------------------- */

struct room_row {
	char name[ROOM_TEXT_SIZE];
	uint32_t idx;
	uint32_t nb_members;
	uint32_t nb_publishers;
	uint32_t nb_subscribers;
	uint32_t home;
	uint64_t view_seq;
	struct plm_room_settings settings;
	struct plm_ctl_rates rates;
};

struct room_page {
	uint32_t nb;
	struct room_row rows[ROWS];
};
static_assert(sizeof(struct room_page) < PLM_CALL_TEXT, "an answer holds a page");

static void
fill_room(struct plm_ctl *ctl, uint32_t idx, const struct plm_room_info *info, struct room_row *row)
{
	*row = (struct room_row){
		.idx = idx,
		.nb_members = info->nb_members,
		.nb_publishers = info->nb_publishers,
		.nb_subscribers = info->nb_subscribers,
		.home = info->home,
		.view_seq = info->view_seq,
		.settings = info->settings,
	};
	room_text(info, row->name);
	room_rates(ctl, idx, info->nb_members, &row->rates);
}

static int
call_rooms(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	const struct plm_room_table *tbl = plm_ctl_rooms(ctl);
	struct room_page page = { .nb = 0 };
	uint32_t i = *cursor;
	uint32_t end = RTE_MIN((uint64_t)i + APP_SCAN_ROOMS, (uint64_t)tbl->max_rooms);

	for (; i < end && page.nb < ROWS; i++) {
		struct plm_room_info info;

		if (plm_room_info(tbl, i, &info) == 0)
			fill_room(ctl, i, &info, &page.rows[page.nb++]);
	}
	*cursor = i < tbl->max_rooms ? i : 0;
	return app_answer(out, &page, sizeof(page));
}

static void
add_room(struct rte_tel_data *d, const struct room_row *row)
{
	rte_tel_data_add_dict_string(d, "name", row->name);
	rte_tel_data_add_dict_u64(d, "members", row->nb_members);
	rte_tel_data_add_dict_u64(d, "publishers", row->nb_publishers);
	rte_tel_data_add_dict_u64(d, "subscribers", row->nb_subscribers);
	rte_tel_data_add_dict_u64(d, "home", row->home);
	add_rates(d, &row->rates);
}

static int
rooms(const struct question *q)
{
	struct rte_tel_data *list;
	struct room_page page;
	uint32_t cursor = 0;
	int ret;

	if (q->params[0] != '\0' && number(q->params, UINT32_MAX, &cursor) < 0)
		return refuse(q->d, "%s is no index of a room", q->params);
	/* Slots without a room are passed over, some thousand a call. */
	do {
		ret = ask(q, call_rooms, NULL, 0, &cursor);
		if (ret < 0)
			return 0;
		memcpy(&page, answer, sizeof(page));
	} while (page.nb == 0 && cursor != 0);
	rte_tel_data_add_dict_u64(q->d, "next", cursor);
	list = inner(q->d, "rooms");
	for (uint32_t i = 0; list != NULL && i < page.nb; i++) {
		struct rte_tel_data *d = inner_idx(list, "", page.rows[i].idx);

		if (d == NULL)
			return -ENOMEM;
		add_room(d, &page.rows[i]);
	}
	return list != NULL ? 0 : -ENOMEM;
}

static int
call_room(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	struct plm_room_info info;
	struct room_row row;
	uint32_t idx;
	int ret = room_find(ctl, arg, &idx);

	if (ret == 0)
		ret = plm_room_info(plm_ctl_rooms(ctl), idx, &info);
	if (ret < 0)
		return ret;
	fill_room(ctl, idx, &info, &row);
	return app_answer(out, &row, sizeof(row));
}

static int
room(const struct question *q)
{
	const struct plm_room_settings *s;
	struct room_row row;
	uint32_t cursor = 0;

	if (q->params[0] == '\0')
		return refuse(q->d, "which? /plenum/room,NAME");
	if (ask(q, call_room, q->params, sizeof(q->params), &cursor) < 0)
		return 0;
	memcpy(&row, answer, sizeof(row));
	s = &row.settings;
	add_room(q->d, &row);
	rte_tel_data_add_dict_u64(q->d, "index", row.idx);
	rte_tel_data_add_dict_u64(q->d, "view", row.view_seq);
	rte_tel_data_add_dict_u64(q->d, "max", s->max_members);
	rte_tel_data_add_dict_string(q->d, "rtcp", s->rtcp == PLM_RTCP_OPAQUE ? "opaque" : "clear");
	rte_tel_data_add_dict_string(q->d, "consent", s->consent_alive ? "alive" : "strict");
	rte_tel_data_add_dict_u64(q->d, "limit_packets_per_s", s->packets_per_s);
	rte_tel_data_add_dict_u64(q->d, "limit_bits_per_s", s->bits_per_s);
	return 0;
}

/* --- sessions ------------------------------------------------------------------------------- */

struct session_row {
	char participant[PLM_NAME_SIZE];
	char address[TUPLE_TEXT_SIZE];
	struct plm_handle handle;
	uint32_t home;
	uint8_t role;
	char by[8];
	uint64_t age_s;
	uint64_t quiet_s;
	struct plm_ctl_rates rates;
	struct plm_quality quality;
};

struct session_page {
	uint32_t nb;
	struct session_row rows[ROWS];
};
static_assert(sizeof(struct session_page) < PLM_CALL_TEXT, "an answer holds a page");

static void
fill_session(struct plm_ctl *ctl, const struct plm_member *m, uint64_t now_ns,
		struct session_row *row)
{
	const struct plm_session_table *sessions = plm_ctl_sessions(ctl);
	const struct plm_session_hot *hot = &sessions->hot[m->session_idx];
	struct plm_admit_info info;

	*row = (struct session_row){
		.handle = { m->session_idx, atomic_load_explicit(&hot->gen, memory_order_relaxed) },
		.home = m->home,
		.role = hot->role,
		.quality = plm_quality(hot),
	};
	snprintf(row->participant, sizeof(row->participant), "%s", m->name);
	plm_ctl_session_rates(ctl, m->session_idx, &row->rates);
	if (plm_admit_info(plm_ctl_admit(ctl), row->handle, &info) < 0)
		return;
	row->age_s = (now_ns - info.since_ns) / PLM_NS_PER_S;
	row->quiet_s = (now_ns - info.consent_ns) / PLM_NS_PER_S;
	snprintf(row->by, sizeof(row->by), "%s", session_by(&info));
	session_address(ctl, row->handle, &info, row->address);
}

static int
call_sessions(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	struct session_page page = { .nb = 0 };
	const struct plm_member *m = NULL;
	uint32_t pos = *cursor;
	uint32_t idx;
	int ret = room_find(ctl, arg, &idx);

	if (ret < 0)
		return ret;
	for (; page.nb < ROWS; pos++) {
		m = plm_room_member(plm_ctl_rooms(ctl), idx, pos);
		if (m == NULL)
			break;
		fill_session(ctl, m, now_ns, &page.rows[page.nb++]);
	}
	*cursor = plm_room_member(plm_ctl_rooms(ctl), idx, pos) != NULL ? pos : 0;
	return app_answer(out, &page, sizeof(page));
}

/* The last report, and how many came; of none, zeros. */
static void
add_quality(struct rte_tel_data *d, const struct plm_quality *quality)
{
	rte_tel_data_add_dict_u64(d, "reports", quality->nb);
	rte_tel_data_add_dict_u64(d, "lost_of_255", quality->lost);
	rte_tel_data_add_dict_u64(d, "reported_rtt_ms", quality->rtt_4ms * 4u);
	rte_tel_data_add_dict_u64(d, "reported_jitter_ms", quality->jitter_ms);
	rte_tel_data_add_dict_u64(d, "reported_max_kbps", quality->max_kbps);
}

static int
add_session(struct rte_tel_data *list, const struct session_row *row)
{
	struct rte_tel_data *d = inner_idx(list, "", row->handle.idx);
	char id[32];

	if (d == NULL)
		return -ENOMEM;
	snprintf(id, sizeof(id), "%u.%u", row->handle.idx, row->handle.gen);
	rte_tel_data_add_dict_string(d, "session", id);
	rte_tel_data_add_dict_string(d, "participant", row->participant);
	rte_tel_data_add_dict_string(d, "role", role_name(row->role));
	rte_tel_data_add_dict_string(d, "by", row->by);
	rte_tel_data_add_dict_string(d, "address", row->address);
	rte_tel_data_add_dict_u64(d, "home", row->home);
	rte_tel_data_add_dict_u64(d, "age_s", row->age_s);
	rte_tel_data_add_dict_u64(d, "quiet_s", row->quiet_s);
	add_rates(d, &row->rates);
	if (strcmp(row->by, "quic") == 0)
		add_quality(d, &row->quality);
	return 0;
}

static int
sessions(const struct question *q)
{
	char name[sizeof(q->params)];
	struct rte_tel_data *list;
	struct session_page page;
	uint32_t cursor = 0;
	char *comma;
	int ret = 0;

	memcpy(name, q->params, sizeof(name));
	comma = strchr(name, ',');
	if (comma != NULL) {
		*comma = '\0';
		ret = number(comma + 1, PLM_ROOM_MEMBERS_MAX, &cursor);
	}
	if (name[0] == '\0' || ret < 0)
		return refuse(q->d, "which? /plenum/sessions,ROOM or /plenum/sessions,ROOM,NEXT");
	if (ask(q, call_sessions, name, sizeof(name), &cursor) < 0)
		return 0;
	memcpy(&page, answer, sizeof(page));
	rte_tel_data_add_dict_u64(q->d, "next", cursor);
	list = inner(q->d, "sessions");
	if (list == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; ret == 0 && i < page.nb; i++)
		ret = add_session(list, &page.rows[i]);
	return ret;
}

/* --- counters and latency ------------------------------------------------------------------- */

struct counter_page {
	uint64_t sum[PLM_CNT_MAX];
};

/* `arg`: the lcore, PLM_WORKERS_MAX for the slow path, above for all of them. */
static int
call_counters(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	const uint32_t *lcore = arg;
	struct counter_page page;

	for (unsigned int i = 0; i < PLM_CNT_MAX; i++) {
		enum plm_counter id = (enum plm_counter)i;

		page.sum[i] = 0;
		for (unsigned int w = 0; w < plm_ctl_conf(ctl)->nb_workers; w++) {
			if (*lcore == w || *lcore > PLM_WORKERS_MAX)
				page.sum[i] += plm_ctl_counter(ctl, w, id);
		}
		if (*lcore >= PLM_WORKERS_MAX)
			page.sum[i] += plm_ctl_counter(ctl, PLM_WORKERS_MAX, id);
	}
	return app_answer(out, &page, sizeof(page));
}

static int
add_counters(const struct question *q, bool (*wanted)(enum plm_counter_class class))
{
	uint32_t lcore = PLM_WORKERS_MAX + 1;
	struct counter_page page;
	uint32_t cursor = 0;

	if (strcmp(q->params, "slow_path") == 0)
		lcore = PLM_WORKERS_MAX;
	else if (q->params[0] != '\0' && number(q->params, q->app->conf.nb_workers - 1, &lcore) < 0)
		return refuse(q->d, "%s is no worker, must be 0 to %u, or slow_path", q->params,
				q->app->conf.nb_workers - 1);
	if (ask(q, call_counters, &lcore, sizeof(lcore), &cursor) < 0)
		return 0;
	memcpy(&page, answer, sizeof(page));
	for (unsigned int i = 0; i < PLM_CNT_MAX; i++) {
		if (wanted(plm_counter_defs[i].class))
			rte_tel_data_add_dict_u64(q->d, plm_counter_defs[i].name, page.sum[i]);
	}
	return 0;
}
static_assert(PLM_CNT_MAX <= RTE_TEL_MAX_DICT_ENTRIES, "one dictionary holds them");

static bool every(enum plm_counter_class class)
{
	return true;
}

static int
drops(const struct question *q)
{
	return add_counters(q, counter_is_drop);
}

static int
counters(const struct question *q)
{
	return add_counters(q, every);
}

struct latency_row {
	uint64_t samples;
	uint64_t p50_ns;
	uint64_t p99_ns;
	uint64_t p999_ns;
	uint64_t max_ns;
};

struct latency_page {
	struct latency_row all;
	struct latency_row workers[PLM_WORKERS_MAX];
};

static void
fill_latency(const struct plm_hist *hist, struct latency_row *row)
{
	*row = (struct latency_row){
		.samples = plm_hist_count(hist),
		.p50_ns = plm_hist_quantile(hist, 5000),
		.p99_ns = plm_hist_quantile(hist, 9900),
		.p999_ns = plm_hist_quantile(hist, 9990),
		.max_ns = plm_hist_quantile(hist, 10000),
	};
}

static int
call_latency(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	struct latency_page page = { .all = { 0 } };
	struct plm_hist all = { 0 };
	struct plm_hist one;

	for (unsigned int w = 0; w < plm_ctl_conf(ctl)->nb_workers; w++) {
		plm_ctl_latency(ctl, w, &one);
		plm_hist_merge(&all, &one);
		fill_latency(&one, &page.workers[w]);
	}
	fill_latency(&all, &page.all);
	return app_answer(out, &page, sizeof(page));
}

static int
add_latency(struct rte_tel_data *d, const struct latency_row *row)
{
	if (d == NULL)
		return -ENOMEM;
	rte_tel_data_add_dict_u64(d, "samples", row->samples);
	rte_tel_data_add_dict_u64(d, "p50_ns", row->p50_ns);
	rte_tel_data_add_dict_u64(d, "p99_ns", row->p99_ns);
	rte_tel_data_add_dict_u64(d, "p999_ns", row->p999_ns);
	rte_tel_data_add_dict_u64(d, "max_ns", row->max_ns);
	return 0;
}

static int
latency(const struct question *q)
{
	struct latency_page page;
	uint32_t cursor = 0;
	int ret;

	if (ask(q, call_latency, NULL, 0, &cursor) < 0)
		return 0;
	memcpy(&page, answer, sizeof(page));
	ret = add_latency(inner(q->d, "all"), &page.all);
	for (unsigned int w = 0; ret == 0 && w < q->app->conf.nb_workers; w++)
		ret = add_latency(inner_idx(q->d, "worker", w), &page.workers[w]);
	return ret;
}

/* --- QUIC ----------------------------------------------------------------------------------- */

static int
call_quic(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	struct plm_ctl_quic_totals totals;

	plm_ctl_quic_totals(ctl, &totals);
	return app_answer(out, &totals, sizeof(totals));
}

static int
quic(const struct question *q)
{
	struct plm_ctl_quic_totals t;
	uint32_t cursor = 0;

	if (ask(q, call_quic, NULL, 0, &cursor) < 0)
		return 0;
	memcpy(&t, answer, sizeof(t));
	rte_tel_data_add_dict_u64(q->d, "connections_max", t.max_connections);
	rte_tel_data_add_dict_u64(q->d, "connections_established", t.established);
	rte_tel_data_add_dict_u64(q->d, "handshakes_in_progress", t.handshakes);
	rte_tel_data_add_dict_u64(q->d, "connections_ending", t.ending);
	rte_tel_data_add_dict_u64(q->d, "connections_free",
			t.max_connections - t.established - t.handshakes - t.ending);
	rte_tel_data_add_dict_u64(q->d, "extents", t.extents);
	rte_tel_data_add_dict_u64(q->d, "extents_in_use", t.extents_used);
	rte_tel_data_add_dict_u64(q->d, "retries", t.retries);
	return 0;
}

/* --- WZP ------------------------------------------------------------------------------------ */

static int
wzp(const struct question *q)
{
	struct auth_figures f = { 0 };

	if (q->app->auth != NULL)
		auth_read(q->app->auth, &f);
	rte_tel_data_add_dict_u64(q->d, "auth_requests_max",
			q->app->auth != NULL ? q->app->conf.wzp.auth_requests : 0);
	rte_tel_data_add_dict_u64(q->d, "auth_in_flight", f.in_flight);
	rte_tel_data_add_dict_u64(q->d, "auth_asked", f.asked);
	rte_tel_data_add_dict_u64(q->d, "auth_valid", f.valid);
	rte_tel_data_add_dict_u64(q->d, "auth_invalid", f.invalid);
	rte_tel_data_add_dict_u64(q->d, "auth_failed", f.failed);
	rte_tel_data_add_dict_u64(q->d, "auth_busy", f.busy);
	rte_tel_data_add_dict_string(q->d, "auth_error", f.error);
	return 0;
}

/* --- the table ------------------------------------------------------------------------------ */

static const struct command {
	const char *name;
	int (*fn)(const struct question *q);
	const char *help;
} commands[] = {
	{ "/plenum/lcores", lcores, "CPU, busy share, turns and stalls by lcore. No parameters" },
	{ "/plenum/ports", ports,
			"Packets, losses and errors by port. Parameter: a port's number, for its queues" },
	{ "/plenum/rooms", rooms,
			"Rooms, 32 at a time. Parameter: `next` of the page before, for the following" },
	{ "/plenum/room", room, "Members, rates and settings. Parameter: the room's name" },
	{ "/plenum/sessions", sessions,
			"A room's sessions, 32 at a time. Parameters: its name[,`next` of the page before]" },
	{ "/plenum/quic", quic, "QUIC connections, handshakes and their memory. No parameters" },
	{ "/plenum/wzp", wzp, "Tokens that were validated. No parameters" },
	{ "/plenum/drops", drops,
			"Drops by reason since `clear`. Parameter: a worker's number, or slow_path" },
	{ "/plenum/counters", counters, "Every counter, likewise" },
	{ "/plenum/latency", latency, "RX to TX within the relay, by worker. No parameters" },
};

static int
run(const struct command *command, const char *params, struct rte_tel_data *d)
{
	struct question q = { .app = served, .d = d };

	if (served == NULL)
		return refuse(d, "the relay is not running");
	if (params != NULL && strlen(params) >= sizeof(q.params))
		return refuse(d, "the parameters are too long");
	snprintf(q.params, sizeof(q.params), "%s", params != NULL ? params : "");
	return command->fn(&q);
}

/* On a thread of DPDK's. */
static int
take_command(const char *cmd, const char *params, struct rte_tel_data *d)
{
	int ret = -ENOENT;

	rte_tel_data_start_dict(d);
	pthread_mutex_lock(&lock);
	for (unsigned int i = 0; i < RTE_DIM(commands); i++) {
		if (strcmp(commands[i].name, cmd) == 0)
			ret = run(&commands[i], params, d);
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

int
telemetry_start(struct app *app)
{
	for (unsigned int i = 0; i < RTE_DIM(commands); i++) {
		int ret = rte_telemetry_register_cmd(commands[i].name, take_command,
				commands[i].help);

		if (ret < 0)
			return ret;
	}
	pthread_mutex_lock(&lock);
	served = app;
	pthread_mutex_unlock(&lock);
	return 0;
}

void
telemetry_stop(void)
{
	pthread_mutex_lock(&lock);
	served = NULL;
	pthread_mutex_unlock(&lock);
}

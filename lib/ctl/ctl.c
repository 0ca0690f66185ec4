/* SPDX-License-Identifier: BSD-3-Clause */
/* The assembly of a relay, and what its parts ask of each other. */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>

#include <rte_errno.h>

#include "ctl_priv.h"
#include "plm_crypto.h"

/* The slow path's template and a view's egress are the same bytes: one may be copied to the other. */
static_assert(sizeof(struct plm_template) == sizeof(struct plm_egress) &&
				PLM_TEMPLATE_SIZE == PLM_EGRESS_HDR &&
				offsetof(struct plm_template, nexthop_idx) ==
						offsetof(struct plm_egress, nexthop_idx) &&
				offsetof(struct plm_template, port_idx) ==
						offsetof(struct plm_egress, port_idx) &&
				offsetof(struct plm_template, is_v6) ==
						offsetof(struct plm_egress, is_v6),
		"an egress is a template");

/* Messages that a turn takes, known sources' and unknown ones', over all workers. */
#define KNOWN_BUDGET   256
#define UNKNOWN_BUDGET 64

void
plm_ctl_conf_init(struct plm_ctl_conf *conf)
{
	memset(conf, 0, sizeof(*conf));
	conf->name = "plenum";
	conf->socket = SOCKET_ID_ANY;
	conf->rand.fill = plm_crypto_random;
	conf->nb_workers = 1;
	conf->udp_port = 3478;
	conf->max_neighbours = 1024;
	conf->max_rooms = 1024;
	conf->max_sessions = 4096;
	conf->max_members = 3000;
	conf->max_backlog = 4096;
	conf->publish_interval_ns = PLM_NS_PER_MS;
	conf->max_ssrcs = PLM_SSRCS;
	conf->admissions_per_s = 1000;
	conf->max_bars = 4096;
	conf->consent_timeout_ns = 30 * PLM_NS_PER_S;
	conf->rebalance_above = 60;
	conf->spread_above = 512;
	conf->ring_size = 1024;
	conf->turn_copies = 1024;
	conf->park_entries = 256;
	/* Half of the sessions that a slow path opens in a second (bench/stun_bench: 230 000 on one
	 * core of 2.6 GHz); a forged request costs it half as much. */
	conf->stun_rate = 100000;
	conf->l2_rate = 1000;
	conf->rtcp_rate = 100;
	conf->stall_ns = PLM_NS_PER_S;
	conf->quic.max_handshakes = 256;
	conf->quic.retry_above = 64;
	conf->quic.idle_timeout_ns = 30 * PLM_NS_PER_S;
	conf->quic.handshake_timeout_ns = 10 * PLM_NS_PER_S;
}

/* --- what admission and rooms ask -------------------------------------------------------------- */

const struct plm_room_rule *
ctl_rule(const struct plm_ctl *ctl, const char *room)
{
	for (unsigned int i = 0; i < ctl->conf.nb_rules; i++) {
		if (fnmatch(ctl->rules[i].pattern, room, 0) == 0)
			return &ctl->rules[i];
	}
	return NULL;
}

static void
admit_settings(void *ctx, const char *room, struct plm_room_settings *settings)
{
	const struct plm_ctl *ctl = ctx;
	const struct plm_room_rule *rule = ctl_rule(ctl, room);

	if (rule != NULL) {
		*settings = rule->settings;
		settings->max_members = RTE_MIN(settings->max_members, ctl->most_members);
		return;
	}
	*settings = (struct plm_room_settings){
		.max_members = ctl->most_members,
		.rtcp = PLM_RTCP_CLEAR,
		.dscp = PLM_DSCP_COPY,
	};
}

static unsigned int
busy(const struct plm_ctl *ctl, unsigned int worker)
{
	return ctl->conf.busy != NULL ? ctl->conf.busy(ctl->conf.lcore_ctx, worker) : 0;
}

/* The least busy worker; of equals the one that is home to fewest, then the first. */
static unsigned int
least_busy(const struct plm_ctl *ctl)
{
	unsigned int best = 0;
	unsigned int best_busy = busy(ctl, 0);

	for (unsigned int w = 1; w < ctl->conf.nb_workers; w++) {
		unsigned int b = busy(ctl, w);

		if (b < best_busy ||
				(b == best_busy &&
						plm_admit_nb_homed(ctl->admit, w) <
								plm_admit_nb_homed(ctl->admit,
										best))) {
			best = w;
			best_busy = b;
		}
	}
	return best;
}

static unsigned int
admit_home(void *ctx, unsigned int worker)
{
	const struct plm_ctl *ctl = ctx;

	if (worker < ctl->conf.nb_workers && ctl->conf.rebalance_above != 0 &&
			busy(ctl, worker) <= ctl->conf.rebalance_above)
		return worker;
	return least_busy(ctl);
}

/* Few members live together, since a packet is then handed over to nobody. Of many, each worker
 * serves as many; one that stands still gets no more of them. */
static unsigned int
admit_spread(void *ctx, uint32_t room_idx)
{
	const struct plm_ctl *ctl = ctx;
	const uint32_t stalled = plm_ctl_stalled(ctl);
	struct plm_room_info room;
	unsigned int best;

	if (plm_room_info(ctl->rooms, room_idx, &room) < 0)
		return 0;
	best = room.home;
	if (ctl->conf.spread_above == 0 || room.nb_members < ctl->conf.spread_above)
		return best;
	for (unsigned int w = 0; w < ctl->conf.nb_workers; w++) {
		if (stalled & 1u << w)
			continue;
		if (room.nb_homed[w] < room.nb_homed[best] || stalled & 1u << best)
			best = w;
	}
	return best;
}

static int
admit_route(void *ctx, const struct plm_tuple *tuple, struct plm_egress *egress, uint64_t now_ns)
{
	struct plm_ctl *ctl = ctx;
	struct plm_template tmpl;
	struct plm_ip remote = { .is_v6 = tuple->is_v6 };
	int ret;

	memcpy(remote.addr, tuple->addr, sizeof(remote.addr));
	ret = plm_net_route(ctl->net, tuple->local_idx, &remote, tuple->port, &tmpl, now_ns);
	if (ret == 0)
		memcpy(egress, &tmpl, sizeof(*egress));
	return ret;
}

static void
admit_route_put(void *ctx, const struct plm_egress *egress)
{
	struct plm_ctl *ctl = ctx;
	struct plm_template tmpl;

	memcpy(&tmpl, egress, sizeof(tmpl));
	plm_net_route_put(ctl->net, &tmpl);
}

static void
admit_event(void *ctx, const struct plm_event *event)
{
	plm_ctl_event(ctx, event);
}

static void
room_released(void *ctx, uint32_t session_idx, const struct plm_egress *egress, bool ended)
{
	struct plm_ctl *ctl = ctx;

	admit_route_put(ctl, egress);
	if (!ended)
		return;
	plm_session_release(ctl->sessions, session_idx);
	ctl_quic_released(ctl, session_idx);
}

/* Sessions that the table has beyond the limit, for who comes back while it is reached: as many may do
 * so within a grace period. */
static uint32_t
spare_sessions(uint32_t max_sessions)
{
	uint32_t spare = RTE_MIN(RTE_MAX(max_sessions / 16, 1u), 64u);

	return RTE_MIN(spare, PLM_SESSIONS_MAX - RTE_MIN(max_sessions, PLM_SESSIONS_MAX));
}

uint32_t
plm_ctl_table_sessions(uint32_t max_sessions)
{
	return max_sessions + spare_sessions(max_sessions);
}

/* --- assembly ---------------------------------------------------------------------------------- */

static int
sessions_init(struct plm_ctl *ctl)
{
	const struct plm_ctl_conf *conf = &ctl->conf;
	struct plm_session_conf sessions = {
		.max_sessions = plm_ctl_table_sessions(conf->max_sessions),
		.nb_workers = conf->nb_workers,
		.rcu = &ctl->rcu,
		.socket = conf->socket,
		.name = conf->name,
	};

	plm_rand_fill(&conf->rand, &sessions.hash_seed, sizeof(sessions.hash_seed));
	return plm_session_table_create(&ctl->sessions, &sessions);
}

static int
rooms_init(struct plm_ctl *ctl)
{
	const struct plm_ctl_conf *conf = &ctl->conf;
	struct plm_room_conf rooms = {
		.max_rooms = conf->max_rooms,
		.max_members = conf->max_members,
		.max_backlog = conf->max_backlog,
		.max_backlog_members = 2 * conf->max_sessions,
		.publish_interval_ns = conf->publish_interval_ns,
		.nb_workers = conf->nb_workers,
		.rcu = &ctl->rcu,
		.socket = conf->socket,
		.released = room_released,
		.released_ctx = ctl,
	};

	plm_rand_fill(&conf->rand, rooms.siphash_key, sizeof(rooms.siphash_key));
	return plm_room_table_create(&ctl->rooms, &rooms);
}

static int
net_init(struct plm_ctl *ctl)
{
	const struct plm_ctl_conf *conf = &ctl->conf;
	struct plm_net_conf net = {
		.ports = conf->ports,
		.nb_ports = conf->nb_ports,
		.locals = conf->locals,
		.nb_locals = conf->nb_locals,
		.udp_port = conf->udp_port,
		.max_neighbours = conf->max_neighbours,
		.rand = conf->rand,
		.emit = ctl_emit,
		.emit_ctx = ctl,
		.counters = &ctl->counters,
		.socket = conf->socket,
	};

	return plm_net_create(&ctl->net, &net);
}

static int
relay_init(struct plm_ctl *ctl)
{
	const struct plm_ctl_conf *conf = &ctl->conf;
	struct plm_relay_conf relay = {
		.nb_workers = conf->nb_workers,
		.ports = conf->ports,
		.nb_ports = conf->nb_ports,
		.net = ctl->net,
		.sessions = ctl->sessions,
		.rooms = ctl->rooms,
		.rcu = &ctl->rcu,
		.quic = ctl_quic_table(ctl),
		.clock = conf->clock,
		.rand = conf->rand,
		.ring_size = conf->ring_size,
		.turn_copies = conf->turn_copies,
		.park_entries = conf->park_entries,
		.stun_rate = conf->stun_rate,
		.l2_rate = conf->l2_rate,
		.rtcp_rate = conf->rtcp_rate,
		.name = conf->name,
		.socket = conf->socket,
	};

	memcpy(relay.queue_owner, conf->queue_owner, sizeof(relay.queue_owner));
	memcpy(relay.hdr_pools, conf->hdr_pools, sizeof(relay.hdr_pools));
	memcpy(relay.copy_pools, conf->copy_pools, sizeof(relay.copy_pools));
	memcpy(relay.slice_pools, conf->slice_pools, sizeof(relay.slice_pools));
	ctl->relay = plm_relay_create(&relay);
	return ctl->relay != NULL ? 0 : -rte_errno;
}

static int
admit_init(struct plm_ctl *ctl)
{
	const struct plm_ctl_conf *conf = &ctl->conf;
	struct plm_admit_conf admit = {
		.sessions = ctl->sessions,
		.rooms = ctl->rooms,
		.counters = &ctl->counters,
		.secrets = conf->secrets,
		.spare_sessions = spare_sessions(conf->max_sessions),
		.admissions_per_s = conf->admissions_per_s,
		.per_net6 = conf->per_net6,
		.per_address4 = conf->per_address4,
		.max_bars = conf->max_bars,
		.max_backlog = conf->max_backlog,
		.consent_timeout_ns = conf->consent_timeout_ns,
		.max_session_ns = conf->max_session_ns,
		.max_ssrcs = conf->max_ssrcs,
		.rand = conf->rand,
		.ctx = ctl,
		.settings = admit_settings,
		.home = admit_home,
		.spread = admit_spread,
		.route = admit_route,
		.route_put = admit_route_put,
		.ending = ctl_ending,
		.event = admit_event,
	};

	ctl->admit = plm_admit_create(&admit);
	plm_crypto_erase(&admit.secrets, sizeof(admit.secrets));
	return ctl->admit != NULL ? 0 : -rte_errno;
}

static int
statics_init(struct plm_ctl *ctl)
{
	const struct plm_ctl_conf *conf = &ctl->conf;
	int ret = 0;

	plm_admit_static_begin(ctl->admit);
	for (unsigned int i = 0; ret == 0 && i < conf->nb_statics; i++)
		ret = plm_admit_static_add(ctl->admit, &conf->statics[i]);
	if (ret == 0)
		plm_admit_static_commit(ctl->admit);
	ctl->conf.statics = NULL;
	return ret;
}

static int
conf_check(const struct plm_ctl_conf *conf, struct plm_text *why)
{
	if (conf->nb_workers < 1 || conf->nb_workers > PLM_WORKERS_MAX)
		plm_text_add(why, "workers: 1 to %d", PLM_WORKERS_MAX);
	else if (conf->nb_ports < 1 || conf->nb_ports > PLM_PORTS_MAX)
		plm_text_add(why, "ports: 1 to %d", PLM_PORTS_MAX);
	else if (conf->nb_locals < 1)
		plm_text_add(why, "no own address: give at least one port an address");
	else if (conf->secrets.nb < 1 || conf->secrets.nb > PLM_SECRETS)
		plm_text_add(why, "secrets: 1 to %d, or nobody can be let in", PLM_SECRETS);
	else if (conf->max_sessions < 1 || conf->max_rooms < 1)
		plm_text_add(why, "sessions and rooms: at least 1");
	else if (conf->max_members < 1 || conf->max_members > PLM_ROOM_MEMBERS_MAX)
		plm_text_add(why, "members of a room: 1 to %d", PLM_ROOM_MEMBERS_MAX);
	else if (conf->max_ssrcs < 1 || conf->max_ssrcs > PLM_SSRCS)
		plm_text_add(why, "SSRCs of a session: 1 to %d", PLM_SSRCS);
	else if (conf->consent_timeout_ns == 0)
		plm_text_add(why, "consent timeout: more than 0");
	else
		return 0;
	return -EINVAL;
}

static int
rules_copy(struct plm_ctl *ctl)
{
	size_t n = ctl->conf.nb_rules;

	if (n == 0)
		return 0;
	ctl->rules = malloc(n * sizeof(*ctl->rules));
	if (ctl->rules == NULL)
		return -ENOMEM;
	memcpy(ctl->rules, ctl->conf.rules, n * sizeof(*ctl->rules));
	ctl->conf.rules = ctl->rules;
	return 0;
}

static int
calls_init(struct plm_ctl *ctl)
{
	ctl->calls = aligned_alloc(RTE_CACHE_LINE_SIZE, CTL_CALLS * sizeof(*ctl->calls));
	if (ctl->calls == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < CTL_CALLS; i++)
		atomic_init(&ctl->calls[i].state, CTL_CALL_FREE);
	return 0;
}

/* A part of the assembly, and what to say when it cannot be had. */
static const struct {
	int (*init)(struct plm_ctl *ctl);
	const char *what;
} parts[] = {
	{ rules_copy, "room rules" },
	{ calls_init, "calls" },
	{ sessions_init, "session tables (lower the limit of sessions, or give more memory)" },
	{ ctl_figures_init, "session figures (lower the limit of sessions)" },
	{ rooms_init, "room tables (lower the limits of rooms or members, or give more memory)" },
	{ net_init, "network layer (check addresses, prefixes and gateways)" },
	{ ctl_quic_init, "QUIC (lower its connections, or give more memory)" },
	{ relay_init, "workers (check ring size, copies of a turn, parked entries; or more memory)" },
	{ admit_init, "admission (lower the limit of sessions, or check OpenSSL)" },
	{ statics_init, "static endpoints" },
};

int
plm_ctl_create(struct plm_ctl **out, const struct plm_ctl_conf *conf, struct plm_text *why)
{
	struct plm_ctl *ctl;
	size_t size = RTE_ALIGN_CEIL(sizeof(*ctl), (size_t)RTE_CACHE_LINE_SIZE);
	int ret;

	ret = conf_check(conf, why);
	if (ret < 0)
		return ret;
	ctl = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	if (ctl == NULL) {
		plm_text_add(why, "no memory");
		return -ENOMEM;
	}
	memset(ctl, 0, size);
	ctl->conf = *conf;
	ctl->most_members = conf->max_members;
	ctl->known_budget = RTE_MAX(KNOWN_BUDGET / conf->nb_workers, 8u);
	ctl->unknown_budget = RTE_MAX(UNKNOWN_BUDGET / conf->nb_workers, 4u);
	ret = plm_rcu_init(&ctl->rcu, conf->nb_workers, conf->socket);
	if (ret < 0)
		plm_text_add(why, "quiescent states: %s", strerror(-ret));
	for (unsigned int i = 0; ret == 0 && i < RTE_DIM(parts); i++) {
		ret = parts[i].init(ctl);
		if (ret < 0)
			plm_text_add(why, "%s: %s", parts[i].what, strerror(-ret));
	}
	/* Admission's and the network layer's now: the caller may forget them. */
	plm_crypto_erase(&ctl->conf.secrets, sizeof(ctl->conf.secrets));
	ctl->conf.locals = NULL;
	if (ret < 0) {
		plm_ctl_free(ctl);
		return ret;
	}
	*out = ctl;
	return 0;
}

/* In reverse. The room table goes before the network layer: what its views name is given back. */
void
plm_ctl_free(struct plm_ctl *ctl)
{
	if (ctl == NULL)
		return;
	plm_admit_free(ctl->admit);
	plm_relay_free(ctl->relay);
	ctl->relay = NULL;
	ctl_quic_fini(ctl);
	plm_room_table_free(ctl->rooms);
	plm_net_free(ctl->net);
	plm_session_table_free(ctl->sessions);
	plm_rcu_fini(&ctl->rcu);
	ctl_figures_fini(ctl);
	free(ctl->calls);
	free(ctl->rules);
	free(ctl);
}

void
plm_ctl_set_limits(struct plm_ctl *ctl, const struct plm_admit_limits *limits)
{
	struct plm_admit_limits now = *limits;

	now.participants = RTE_MIN(limits->participants, ctl->most_members);
	ctl->conf.max_members = now.participants;
	plm_admit_set_limits(ctl->admit, &now);
}

void
plm_ctl_drain(struct plm_ctl *ctl, bool draining)
{
	plm_admit_drain(ctl->admit, draining);
}

uint32_t
plm_ctl_stalled(const struct plm_ctl *ctl)
{
	return atomic_load_explicit(&ctl->stalled, memory_order_relaxed);
}

struct plm_relay *
plm_ctl_relay(struct plm_ctl *ctl)
{
	return ctl->relay;
}

struct plm_rcu *
plm_ctl_rcu(struct plm_ctl *ctl)
{
	return &ctl->rcu;
}

struct plm_net *
plm_ctl_net(struct plm_ctl *ctl)
{
	return ctl->net;
}

struct plm_admit *
plm_ctl_admit(struct plm_ctl *ctl)
{
	return ctl->admit;
}

struct plm_session_table *
plm_ctl_sessions(struct plm_ctl *ctl)
{
	return ctl->sessions;
}

struct plm_room_table *
plm_ctl_rooms(struct plm_ctl *ctl)
{
	return ctl->rooms;
}

const struct plm_counters *
plm_ctl_counters(const struct plm_ctl *ctl)
{
	return &ctl->counters;
}

const struct plm_ctl_conf *
plm_ctl_conf(const struct plm_ctl *ctl)
{
	return &ctl->conf;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening a session, replacing the participant's old one, and ending. Whatever can fail comes before
 * the old session is touched: who cannot be let in takes nobody's place. One thing cannot: an address
 * that both sessions have is entered for the new one when the old one has ended. */
#include <errno.h>
#include <stdio.h>

#include "admit_priv.h"

static char
format_of(const struct admit_check *check)
{
	return check->quic != NULL ? PLM_ROOM_WZP : PLM_ROOM_RTP;
}

struct admit_session *
admit_by_name(const struct plm_admit *admit, char format, const char *room, const char *participant)
{
	const struct plm_member *member;
	struct admit_session *s;
	uint32_t room_idx;

	if (plm_room_find(admit->conf.rooms, format, room, &room_idx) < 0)
		return NULL;
	member = plm_room_member_by_name(admit->conf.rooms, room_idx, participant);
	if (member == NULL)
		return NULL;
	s = &admit->sessions[member->session_idx];
	return s->handle.gen != 0 ? s : NULL;
}

static int
silence(struct plm_admit *admit, struct admit_check *check, enum plm_counter id)
{
	admit_count(admit, id);
	check->reason = plm_counter_defs[id].name;
	return ADMIT_SILENCE;
}

static struct plm_rate
packet_rate(uint32_t packets_per_s)
{
	struct plm_rate rate = { 0, ADMIT_MEDIA_BURST_US };

	if (packets_per_s > 0)
		rate.cost = RTE_MAX((uint32_t)(PLM_NS_PER_S / packets_per_s), 1u);
	return rate;
}

static struct plm_rate
bit_rate(uint64_t bits_per_s)
{
	struct plm_rate rate = { 0, ADMIT_MEDIA_BURST_US };
	uint64_t cost;

	if (bits_per_s > 0) {
		cost = PLM_NS_PER_S * 1024 / bits_per_s; /* 1/1024 ns a bit */
		rate.cost = (uint32_t)RTE_MIN(RTE_MAX(cost, 1u), UINT32_MAX);
	}
	return rate;
}

static uint64_t
admission_cost(const struct plm_admit *admit)
{
	return PLM_NS_PER_S / admit->limits.admissions_per_s;
}

static bool
admission_due(const struct plm_admit *admit, uint64_t now_ns)
{
	if (admit->limits.admissions_per_s == 0)
		return true;
	return admit->admission_tat + admission_cost(admit) <= now_ns + ADMIT_BURST_NS;
}

static void
admission_charge(struct plm_admit *admit, uint64_t now_ns)
{
	if (admit->limits.admissions_per_s != 0)
		admit->admission_tat =
				RTE_MAX(admit->admission_tat, now_ns) + admission_cost(admit);
}

/* Is there room in the room? The old session's place counts as free; that may not be enough where
 * the limit was lowered under the members. */
static bool
room_full(const struct plm_admit *admit, const struct admit_check *check)
{
	struct plm_room_info room;
	uint32_t room_idx;

	return plm_room_find(admit->conf.rooms, format_of(check), check->name.room, &room_idx) ==
			0 &&
			plm_room_info(admit->conf.rooms, room_idx, &room) == 0 &&
			room.nb_members - (check->session != NULL) >=
			RTE_MIN(room.settings.max_members, admit->limits.participants);
}

/* Is there a session to be had? One that has ended counts until its index can be given out again. The
 * old session's place is not free so soon, so its successor may have a spare one meanwhile. */
static bool
sessions_full(const struct plm_admit *admit, const struct admit_check *check)
{
	const struct plm_session_table *sessions = admit->conf.sessions;
	uint32_t max = admit->limits.sessions;

	if (check->session != NULL)
		max += admit->conf.spare_sessions;
	return plm_session_nb_open(sessions) + plm_session_nb_pending(sessions) >= max;
}

/* Would the others come to hear the newcomer? Not while some worker stands still and the views that
 * it may be reading are as many as may be. */
static bool
published(const struct plm_admit *admit, const struct admit_check *check)
{
	uint32_t room_idx = UINT32_MAX;

	if (plm_room_backlog(admit->conf.rooms) >= admit->limits.backlog)
		return false;
	plm_room_find(admit->conf.rooms, format_of(check), check->name.room, &room_idx);
	return plm_room_publishes(admit->conf.rooms, room_idx, check->req->now_ns);
}

/* Has the source's network as many sessions as it may? The old session's place counts as free. */
static bool
source_full(const struct plm_admit *admit, const struct admit_check *check)
{
	const struct plm_tuple *tuple = &check->req->tuple;
	uint32_t max = tuple->is_v6 ? admit->limits.per_net6 : admit->limits.per_address4;
	uint64_t source = admit_source(admit, tuple);
	bool frees = check->session != NULL && check->session->source == source;

	return max != 0 && admit_sources_get(&admit->sources, source) - frees >= max;
}

/* What a newcomer is to have, on its way to be complete. */
struct entry {
	struct plm_egress egress;
	struct plm_handle session; /* gen 0: none yet */
	uint32_t room_idx;
	struct plm_room_info room;
	uint8_t home;
	bool has_tuple;
	uint8_t slot;
};

/* The room by name, made if there is none, with its settings. */
static int
open_room(struct plm_admit *admit, const struct admit_check *check, struct entry *entry)
{
	const struct plm_admit_conf *conf = &admit->conf;
	struct plm_room_settings settings;
	int ret;

	if (plm_room_find(conf->rooms, format_of(check), check->name.room, &entry->room_idx) < 0) {
		if (plm_room_nb_open(conf->rooms) >= admit->limits.rooms)
			return -ENOSPC;
		conf->settings(conf->ctx,
				check->quic != NULL && check->quic->whole_name != NULL
						? check->quic->whole_name
						: check->name.room,
				&settings);
		ret = plm_room_open(conf->rooms, format_of(check), check->name.room, &settings,
				check->quic != NULL ? check->quic->home
						    : (uint8_t)conf->home(conf->ctx,
								      check->req->worker),
				&entry->room_idx);
		if (ret < 0)
			return ret;
	}
	return plm_room_info(conf->rooms, entry->room_idx, &entry->room);
}

/* Who comes back is served by the worker that served it: from another one, what is sent to it now might
 * pass what waits in the first one's queue. */
static uint8_t
home_of(const struct plm_admit *admit, const struct admit_check *check, const struct entry *entry)
{
	if (check->quic != NULL) /* where the connection is */
		return check->quic->home;
	if (check->session != NULL && !plm_mutant(SLICE_NEWCOMERS) && !plm_mutant(SLICE_STALE))
		return check->session->home;
	return (uint8_t)admit->conf.spread(admit->conf.ctx, entry->room_idx);
}

static int
add_tuple(struct plm_admit *admit, const struct admit_check *check, struct entry *entry)
{
	int ret = plm_session_add_tuple(admit->conf.sessions, entry->session, &check->req->tuple,
			&entry->slot);

	entry->has_tuple = ret == 0;
	return ret;
}

/* Everything that can fail while the old session, if there is one, is still untouched: session,
 * address, memory for the member. 0, -ENOSPC, -ENOMEM. */
static int
prepare(struct plm_admit *admit, const struct admit_check *check, struct entry *entry)
{
	const struct plm_admit_conf *conf = &admit->conf;
	const struct plm_static *fixed = check->fixed;
	const struct plm_room_settings *room = &entry->room.settings;
	const struct plm_session_new new = {
		.room_idx = entry->room_idx,
		.home = entry->home,
		.role = check->role,
		.max_ssrcs = admit->limits.ssrcs,
		.consent_alive = room->consent_alive,
		.packet_rate = packet_rate(fixed != NULL && fixed->packets_per_s != 0
						? fixed->packets_per_s
						: room->packets_per_s),
		.bit_rate = bit_rate(fixed != NULL && fixed->bits_per_s != 0 ? fixed->bits_per_s
									     : room->bits_per_s),
	};
	int ret;

	ret = plm_room_reserve(conf->rooms);
	if (ret == 0)
		ret = plm_session_prepare(conf->sessions, &new, &entry->session);
	/* The old session's own address is its successor's once that has ended. QUIC has ids instead. */
	if (ret == 0 && check->quic == NULL &&
			plm_session_find(conf->sessions, &check->req->tuple) == 0)
		ret = add_tuple(admit, check, entry);
	return ret;
}

/* Become a member; the old session has made room. 0, -ENOSPC, -EAGAIN. */
static int
enter(struct plm_admit *admit, const struct admit_check *check, struct entry *entry)
{
	struct plm_member member = {
		.session_idx = entry->session.idx,
		.home = entry->home,
		.flags = (uint8_t)((check->role & PLM_ROLE_PUBLISH ? PLM_SUB_PUBLISHES : 0) |
				(check->role & PLM_ROLE_SUBSCRIBE ? PLM_SUB_SUBSCRIBES : 0)),
		.egress = entry->egress,
	};
	int ret = 0;

	if (!entry->has_tuple && check->quic == NULL)
		ret = add_tuple(admit, check, entry);
	if (ret < 0)
		return ret;
	memcpy(member.name, check->name.participant, sizeof(member.name));
	return plm_room_join(admit->conf.rooms, entry->room_idx, &member, check->req->now_ns);
}

/* Give back what a newcomer that does not come in has. */
static void
turn_away(struct plm_admit *admit, const struct entry *entry)
{
	const struct plm_admit_conf *conf = &admit->conf;

	conf->route_put(conf->ctx, &entry->egress);
	if (entry->session.gen == 0)
		return;
	plm_session_end(conf->sessions, entry->session);
	plm_session_release(conf->sessions, entry->session.idx);
}

/* The participant's old session, if it has one. */
static void
end_predecessor(struct plm_admit *admit, struct admit_check *check)
{
	const struct plm_admit_request *req = check->req;

	if (check->session != NULL)
		admit_end(admit, check->session, PLM_END_REPLACED, req->now_ns, req->wall_s);
	check->session = NULL;
}

static void
start(struct plm_admit *admit, struct admit_check *check, const struct entry *entry)
{
	const struct plm_admit_conf *conf = &admit->conf;
	const struct plm_admit_request *req = check->req;
	struct admit_session *s = &admit->sessions[entry->session.idx];
	const struct admit_used *used = admit_spent_find(&admit->spent, check->ufrag_hash);
	uint64_t look_ns = conf->consent_timeout_ns;

	*s = (struct admit_session){
		.handle = entry->session,
		.room_idx = entry->room_idx,
		.role = check->role,
		.home = entry->home,
		.bound = entry->slot,
		.want = ADMIT_NO_SLOT,
		.is_alive_room = entry->room.settings.consent_alive,
		.is_quic = check->quic != NULL,
		.is_static = check->fixed != NULL,
		.ufrag_hash = check->ufrag_hash,
		.expiry_s = check->name.expiry_s,
		.since_ns = req->now_ns,
		.consent_ns = req->now_ns,
		.bound_priority = check->msg.priority,
	};
	memcpy(s->participant, check->name.participant, sizeof(s->participant));
	memcpy(s->pwd, check->pwd, sizeof(s->pwd));
	if (!s->is_quic)
		s->slots[s->bound] = (struct admit_slot){ .since_ns = req->now_ns,
			.asked_ns = req->now_ns };
	if (used != NULL) /* what its last session has seen is no newer in this one */
		s->tids = used->tids;
	admit_tid_remember(&s->tids, check->tid);
	admit->nb_homed[s->home]++;
	if (s->is_static) { /* no deadline: it goes when the list of them says so */
		admit->statics.nb_open++;
		admit_count(admit, PLM_CNT_STATIC_OPENED);
		admit_event(admit, PLM_EVENT_ADMIT, s, NULL, "static", 0, req->now_ns, req->wall_s);
		return;
	}
	s->source = admit_source(admit, &req->tuple);
	admit_sources_add(&admit->sources, s->source);
	if (conf->max_session_ns != 0)
		look_ns = s->is_quic ? conf->max_session_ns
				     : RTE_MIN(look_ns, conf->max_session_ns);
	if (!s->is_quic || conf->max_session_ns != 0)
		admit_wheel_arm(admit, s, req->now_ns + look_ns);
	admit_count(admit, s->is_quic ? PLM_CNT_QUIC_ADMITTED : PLM_CNT_STUN_ADMITTED);
	admit_event(admit, PLM_EVENT_ADMIT, s, NULL, NULL, 0, req->now_ns, req->wall_s);
}

/* Whoever may come in does so here, if there is a place. 0 or ADMIT_SILENCE. */
static int
come_in(struct plm_admit *admit, struct admit_check *check)
{
	const struct plm_admit_conf *conf = &admit->conf;
	const struct plm_admit_request *req = check->req;
	struct entry entry = { 0 };
	int ret;

	if (sessions_full(admit, check))
		return silence(admit, check, PLM_CNT_ADMIT_SESSIONS);
	if (!published(admit, check))
		return silence(admit, check, PLM_CNT_ADMIT_BACKLOG);
	if (check->quic == NULL &&
			admit_tuple_vacate(admit, &req->tuple, check->session, req->now_ns) < 0)
		return silence(admit, check, PLM_CNT_ADMIT_TUPLES);
	if (conf->route(conf->ctx, &req->tuple, &entry.egress, req->now_ns) < 0)
		return silence(admit, check, PLM_CNT_ADMIT_NO_ROUTE);
	ret = open_room(admit, check, &entry);
	if (ret < 0) {
		turn_away(admit, &entry);
		return silence(admit, check, PLM_CNT_ADMIT_ROOMS);
	}
	entry.home = home_of(admit, check, &entry);

	if (plm_mutant(EVICT_FIRST))
		end_predecessor(admit, check);
	ret = prepare(admit, check, &entry);
	if (plm_mutant(OPEN_EARLY) && ret == 0)
		plm_session_open(conf->sessions, entry.session);
	if (ret == 0) {
		end_predecessor(admit, check);
		ret = enter(admit, check, &entry);
	}
	if (ret < 0) {
		turn_away(admit, &entry);
		return silence(admit, check,
				ret == -EAGAIN ? PLM_CNT_ADMIT_BACKLOG : PLM_CNT_ADMIT_SESSIONS);
	}
	/* Not before the old session has left the views, which its own packets would reach. */
	plm_session_open(conf->sessions, entry.session);
	start(admit, check, &entry);
	return 0;
}

/*
 * A credential that ran a session before, and was followed by another one of its participant,
 * does not take the place back: two clients with a credential each would throw each other out for
 * ever, and a request captured from the older one would do it for anybody. Where nobody followed,
 * it opens a session again (a client that crashed), but only with a request that was not seen yet.
 * A success would confirm an address that nobody spoke from: what was seen gets no answer.
 */
int
admit_open(struct plm_admit *admit, struct admit_check *check)
{
	const struct plm_admit_request *req = check->req;
	const struct admit_used *used = admit_spent_find(&admit->spent, check->ufrag_hash);
	int ret;

	if (used != NULL && admit_tid_seen(&used->tids, check->tid))
		return silence(admit, check, PLM_CNT_STUN_REPLAYED);
	if (check->session != NULL && used != NULL) {
		check->reason = "replaced";
		return 403;
	}
	if (admit->draining)
		return silence(admit, check, PLM_CNT_ADMIT_DRAINING);
	if (room_full(admit, check)) {
		check->reason = "room full";
		return 486;
	}
	if (source_full(admit, check)) /* others of its network may leave: that will pass */
		return silence(admit, check, PLM_CNT_ADMIT_SOURCE);
	if (!admission_due(admit, req->now_ns))
		return silence(admit, check, PLM_CNT_ADMIT_RATE);
	ret = come_in(admit, check);
	if (ret == 0)
		admission_charge(admit, req->now_ns);
	return ret;
}

int
admit_open_static(struct plm_admit *admit, struct admit_check *check)
{
	if (room_full(admit, check)) {
		check->reason = "room full";
		return ADMIT_SILENCE;
	}
	return come_in(admit, check);
}

/* QUIC's 486. */
static int
quic_room_full(struct plm_admit *admit, struct admit_check *check)
{
	admit_count(admit, PLM_CNT_QUIC_ROOM_FULL);
	check->reason = "room full";
	return -ENOSPC;
}

int
plm_admit_quic(struct plm_admit *admit, const struct plm_admit_quic *quic,
		struct plm_handle *session)
{
	const struct plm_admit_request req = {
		.tuple = quic->tuple,
		.worker = quic->home,
		.now_ns = quic->now_ns,
		.wall_s = quic->wall_s,
	};
	struct admit_check check = { .req = &req, .role = quic->role, .quic = quic };
	int ret;

	if (strlen(quic->room) >= sizeof(check.name.room))
		return -ENOSPC;
	snprintf(check.name.room, sizeof(check.name.room), "%s", quic->room);
	snprintf(check.name.participant, sizeof(check.name.participant), "%s", quic->participant);
	check.named = true;
	if (admit->draining)
		ret = silence(admit, &check, PLM_CNT_ADMIT_DRAINING);
	else if (room_full(admit, &check))
		ret = quic_room_full(admit, &check);
	else if (source_full(admit, &check))
		ret = silence(admit, &check, PLM_CNT_ADMIT_SOURCE);
	else if (!admission_due(admit, quic->now_ns))
		ret = silence(admit, &check, PLM_CNT_ADMIT_RATE);
	else
		ret = come_in(admit, &check);
	if (ret != 0) {
		admit_event(admit, PLM_EVENT_REFUSE, NULL, &check, check.reason, 0, quic->now_ns,
				quic->wall_s);
		return ret == ADMIT_SILENCE ? -EAGAIN : ret;
	}
	admission_charge(admit, quic->now_ns);
	*session = admit_by_name(admit, PLM_ROOM_WZP, quic->room, quic->participant)->handle;
	return 0;
}

unsigned int
plm_admit_quic_home(const struct plm_admit *admit, const char *room, unsigned int worker)
{
	const struct plm_admit_conf *conf = &admit->conf;
	uint32_t room_idx;

	if (plm_room_find(conf->rooms, PLM_ROOM_WZP, room, &room_idx) == 0)
		return conf->spread(conf->ctx, room_idx);
	return conf->home(conf->ctx, worker);
}

void
admit_end(struct plm_admit *admit, struct admit_session *s, enum plm_end_reason reason,
		uint64_t now_ns, uint64_t wall_s)
{
	const struct plm_admit_conf *conf = &admit->conf;
	struct plm_handle session = s->handle;

	if (conf->ending != NULL)
		conf->ending(conf->ctx, session, s->room_idx, reason);
	admit_event(admit, reason == PLM_END_REPLACED ? PLM_EVENT_REPLACE : PLM_EVENT_END, s, NULL,
			plm_end_reason_name(reason), s->end_code, now_ns, wall_s);
	admit_count(admit, PLM_CNT_SESSIONS_ENDED);
	if (reason == PLM_END_CONSENT)
		admit_count(admit, PLM_CNT_SESSIONS_EXPIRED);
	if (reason == PLM_END_REPLACED)
		admit_count(admit, PLM_CNT_SESSIONS_REPLACED);
	if (s->is_static) {
		admit->statics.nb_open--;
	} else {
		if (!s->is_quic)
			admit_spent_add(&admit->spent, s->ufrag_hash, s->expiry_s, &s->tids);
		admit_sources_del(&admit->sources, s->source);
	}
	admit_wheel_disarm(admit, s);
	admit->nb_homed[s->home]--;

	/* Packets from it are refused from here on, packets to it when it has left the views. */
	plm_session_end(conf->sessions, session);
	plm_room_leave(conf->rooms, s->room_idx, session.idx, now_ns);
	plm_crypto_erase(s, sizeof(*s));
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A STUN message's way: parse, authenticate, refuse what stays wrong, then bind (a session that
 * runs) or open. Errors are final for several agents: what will pass is met with silence.
 *
 *   not parsed, no Binding                      silence
 *   no USERNAME or MESSAGE-INTEGRITY            400
 *   unknown user name, wrong key, expired       401
 *   unknown comprehension-required attribute    420
 *   role letter that we do not know, barred     403
 *   participant is a static endpoint            403
 *   ICE-CONTROLLED                              487
 *   room full                                   486
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include <rte_errno.h>

#include "admit_priv.h"

static const char *const reason_names[] = {
#define REASON_NAME(id, name, help) [PLM_END_##id] = name,
	PLM_END_REASONS(REASON_NAME)
#undef REASON_NAME
};

const char *
plm_end_reason_name(enum plm_end_reason reason)
{
	return reason_names[reason];
}

struct plm_admit *
plm_admit_create(const struct plm_admit_conf *conf)
{
	struct plm_admit *admit = calloc(1, sizeof(*admit));
	int ret = -ENOMEM;

	if (admit == NULL)
		goto fail;
	admit->conf = *conf;
	admit->max_sessions = conf->sessions->max_sessions;
	admit->limits = (struct plm_admit_limits){
		.sessions = admit->max_sessions - conf->spare_sessions,
		.rooms = conf->rooms->max_rooms,
		.participants = UINT32_MAX,
		.backlog = conf->max_backlog,
		.bars = conf->max_bars,
		.admissions_per_s = conf->admissions_per_s,
		.per_net6 = conf->per_net6,
		.per_address4 = conf->per_address4,
		.ssrcs = conf->max_ssrcs,
	};
	plm_rand_fill(&conf->rand, admit->hash_key, sizeof(admit->hash_key));
	admit->hmac = plm_hmac_create();
	if (admit->hmac == NULL) {
		ret = -rte_errno;
		goto fail;
	}
	admit->sessions = calloc(admit->max_sessions, sizeof(*admit->sessions));
	admit->timers = calloc(admit->max_sessions, sizeof(*admit->timers));
	if (admit->sessions == NULL || admit->timers == NULL ||
			admit_bars_init(&admit->bars, conf->max_bars) < 0 ||
			admit_spent_init(&admit->spent, admit->max_sessions) < 0 ||
			admit_sources_init(&admit->sources, admit->max_sessions) < 0 ||
			admit_statics_init(&admit->statics) < 0)
		goto fail;
	plm_wheel_init(&admit->wheel, admit->timers, WHEEL_TICK_NS, 0);
	return admit;

fail:
	plm_admit_free(admit);
	rte_errno = -ret;
	return NULL;
}

void
plm_admit_free(struct plm_admit *admit)
{
	if (admit == NULL)
		return;
	if (admit->sessions != NULL)
		plm_crypto_erase(admit->sessions,
				(size_t)admit->max_sessions * sizeof(*admit->sessions));
	free(admit->sessions);
	free(admit->timers);
	admit_statics_fini(&admit->statics);
	admit_sources_fini(&admit->sources);
	admit_spent_fini(&admit->spent);
	admit_bars_fini(&admit->bars);
	plm_hmac_free(admit->hmac);
	plm_crypto_erase(&admit->conf.secrets, sizeof(admit->conf.secrets));
	free(admit);
}

void
admit_event(struct plm_admit *admit, enum plm_event_type type, const struct admit_session *s,
		const struct admit_check *check, const char *reason, int code, uint64_t now_ns,
		uint64_t wall_s)
{
	struct plm_event event = {
		.type = type,
		.now_ns = now_ns,
		.wall_s = wall_s,
		.reason = reason,
		.code = code,
	};
	const struct plm_tuple *tuple = NULL;
	struct plm_room_info room;

	if (admit->conf.event == NULL)
		return;
	if (s != NULL) {
		event.participant = s->participant;
		if (plm_room_info(admit->conf.rooms, s->room_idx, &room) == 0)
			event.room = room.name;
		tuple = plm_session_tuple(admit->conf.sessions, s->handle, s->bound);
	} else if (check != NULL) {
		if (check->named) {
			event.participant = check->name.participant;
			event.room = check->name.room;
		}
		tuple = &check->req->tuple;
	}
	if (tuple != NULL) {
		event.tuple = *tuple;
		event.has_tuple = true;
	}
	admit->conf.event(admit->conf.ctx, &event);
}

/* Does the request's MESSAGE-INTEGRITY hold under check->pwd? */
static bool
integrity_holds(struct plm_admit *admit, const struct admit_check *check)
{
	const struct plm_admit_request *req = check->req;
	const struct plm_stun *msg = &check->msg;
	uint8_t hdr[PLM_STUN_HDR];
	uint8_t mac[PLM_SHA1_SIZE];

	plm_stun_integrity_hdr(req->msg, msg, hdr);
	return plm_hmac_sha1(admit->hmac, check->pwd, PLM_PWD_LEN, hdr, sizeof(hdr),
			       req->msg + PLM_STUN_HDR, msg->integrity_off - (size_t)PLM_STUN_HDR,
			       mac) == 0 &&
			plm_crypto_equal(mac, msg->integrity, sizeof(mac));
}

/* Find the key that the request was made with. The session's own needs no secret: it stays good
 * after a rotation, and is found with one HMAC less. */
static bool
find_key(struct plm_admit *admit, struct admit_check *check, const char *ufrag, size_t len)
{
	const struct plm_secrets *secrets = &admit->conf.secrets;

	if (check->own) {
		memcpy(check->pwd, check->session->pwd, sizeof(check->pwd));
		return integrity_holds(admit, check);
	}
	for (unsigned int i = 0; i < secrets->nb; i++) {
		if (admit_password(admit->hmac, secrets->s[i].key, secrets->s[i].len, ufrag, len,
				    check->pwd) == 0 &&
				integrity_holds(admit, check))
			return true;
	}
	return false;
}

/* 0, 400 or 401. */
static int
authenticate(struct plm_admit *admit, struct admit_check *check)
{
	const struct plm_stun *msg = &check->msg;
	const char *ufrag = (const char *)msg->username;
	const char *colon;
	size_t len;

	if (msg->username == NULL || msg->integrity == NULL) {
		check->reason = "no user name or message integrity";
		return 400;
	}
	colon = memchr(ufrag, ':', msg->username_len);
	len = colon != NULL ? (size_t)(colon - ufrag) : 0;
	if (colon == NULL || plm_ufrag_parse(ufrag, len, &check->name) < 0) {
		check->reason = "unknown user name";
		return 401;
	}
	check->named = true;
	check->role = admit_role(check->name.role);
	if (plm_mutant(ANY_ROLE) && check->role != 0)
		check->role = PLM_ROLE_BOTH;
	check->ufrag_hash = plm_siphash(admit->hash_key, ufrag, len);
	check->ufrag_hash += check->ufrag_hash == 0; /* 0 is "none" in the lists */
	check->session = admit_by_name(admit, PLM_ROOM_RTP, check->name.room,
			check->name.participant);
	check->own = check->session != NULL && check->session->ufrag_hash == check->ufrag_hash;
	check->keyed = find_key(admit, check, ufrag, len);
	if (!check->keyed) {
		check->reason = "signature";
		return 401;
	}
	/* A running session's refresh is not barred by expiry; admit_bind() sees to the rest. */
	if (!check->own && check->name.expiry_s <= check->req->wall_s &&
			!plm_mutant(EXPIRED_JOINS)) {
		check->reason = "expired";
		return 401;
	}
	return 0;
}

/* 0: success; else the code of the error, or ADMIT_SILENCE. */
static int
handle_request(struct plm_admit *admit, struct admit_check *check)
{
	const struct plm_stun *msg = &check->msg;
	int code = authenticate(admit, check);

	if (code != 0)
		return code;
	if (msg->nb_unknown > 0) {
		check->reason = "unknown attribute";
		return 420;
	}
	if (check->role == 0) {
		check->reason = "unknown role";
		return 403;
	}
	if (!check->own && admit_bars_has(&admit->bars, check->ufrag_hash)) {
		check->reason = "barred";
		return 403;
	}
	if (check->session != NULL && check->session->is_static) {
		check->reason = "static endpoint";
		return 403;
	}
	/* We are lite, hence always controlled. Only what says so of itself conflicts: an agent
	 * that is told to switch although it controls may never nominate. */
	if (msg->controlled) {
		check->reason = "role conflict";
		return 487;
	}
	check->tid = (uint32_t)plm_siphash(admit->hash_key, msg->tid, PLM_STUN_TID);
	check->tid += check->tid == 0;
	return check->own ? admit_bind(admit, check) : admit_open(admit, check);
}

/* Not authenticated: a sign of life where the room's settings take it for one. */
static void
handle_indication(struct plm_admit *admit, const struct plm_admit_request *req)
{
	plm_sref_t ref = plm_session_find(admit->conf.sessions, &req->tuple);
	struct admit_session *s;

	admit_count(admit, PLM_CNT_STUN_INDICATIONS);
	if (ref == 0)
		return;
	s = &admit->sessions[plm_sref_idx(ref)];
	if (s->handle.gen == plm_sref_gen(ref) && s->is_alive_room &&
			s->bound == plm_sref_slot(ref))
		s->alive_ns = req->now_ns;
}

size_t
plm_admit_stun(struct plm_admit *admit, const struct plm_admit_request *req, uint8_t *answer,
		size_t size)
{
	struct admit_check check = { .req = req };
	size_t len = 0;
	int code;

	if (plm_stun_parse(req->msg, req->len, &check.msg) < 0 ||
			check.msg.method != PLM_STUN_BINDING ||
			check.msg.class == PLM_STUN_SUCCESS || check.msg.class == PLM_STUN_ERROR) {
		admit_count(admit, PLM_CNT_STUN_MALFORMED);
		return 0;
	}
	if (check.msg.class == PLM_STUN_INDICATION) {
		handle_indication(admit, req);
		return 0;
	}
	admit_count(admit, PLM_CNT_STUN_REQUESTS);
	code = handle_request(admit, &check);
	if (code == 0) {
		len = admit_answer_success(admit, &check, answer, size);
	} else {
		if (code != ADMIT_SILENCE)
			len = admit_answer_error(admit, &check, code, answer, size);
		admit_event(admit, PLM_EVENT_REFUSE, NULL, &check, check.reason,
				code == ADMIT_SILENCE ? 0 : code, req->now_ns, req->wall_s);
	}
	plm_crypto_erase(check.pwd, sizeof(check.pwd));
	return len;
}

static struct admit_session *
by_handle(const struct plm_admit *admit, struct plm_handle session)
{
	struct admit_session *s;

	if (session.idx >= admit->max_sessions || session.gen == 0)
		return NULL;
	s = &admit->sessions[session.idx];
	return plm_handle_eq(s->handle, session) ? s : NULL;
}

int
plm_admit_find(const struct plm_admit *admit, const char *room, const char *participant,
		struct plm_handle *session)
{
	const struct admit_session *s = admit_by_name(admit, PLM_ROOM_RTP, room, participant);

	if (s == NULL)
		s = admit_by_name(admit, PLM_ROOM_WZP, room, participant);

	if (s == NULL)
		return -ENOENT;
	*session = s->handle;
	return 0;
}

int
plm_admit_info(const struct plm_admit *admit, struct plm_handle session,
		struct plm_admit_info *info)
{
	const struct admit_session *s = by_handle(admit, session);

	if (s == NULL)
		return -ENOENT;
	*info = (struct plm_admit_info){
		.participant = s->participant,
		.room_idx = s->room_idx,
		.role = s->role,
		.bound_slot = s->bound,
		.since_ns = s->since_ns,
		.consent_ns = s->consent_ns,
		.expiry_s = s->expiry_s,
		.moves = s->moves,
		.is_static = s->is_static,
		.is_quic = s->is_quic,
	};
	return 0;
}

int
plm_admit_next(const struct plm_admit *admit, uint32_t from, struct plm_handle *session)
{
	return plm_admit_scan(admit, &from, UINT_MAX, session);
}

int
plm_admit_scan(const struct plm_admit *admit, uint32_t *from, unsigned int most,
		struct plm_handle *session)
{
	for (; most > 0 && *from < admit->max_sessions; most--) {
		const struct plm_handle *handle = &admit->sessions[(*from)++].handle;

		if (handle->gen == 0)
			continue;
		*session = *handle;
		return 0;
	}
	return *from < admit->max_sessions ? -EAGAIN : -ENOENT;
}

int
plm_admit_end(struct plm_admit *admit, struct plm_handle session, enum plm_end_reason reason,
		uint64_t now_ns, uint64_t wall_s)
{
	return plm_admit_end_code(admit, session, reason, 0, now_ns, wall_s);
}

int
plm_admit_end_code(struct plm_admit *admit, struct plm_handle session, enum plm_end_reason reason,
		int code, uint64_t now_ns, uint64_t wall_s)
{
	struct admit_session *s = by_handle(admit, session);

	if (s == NULL)
		return -ENOENT;
	s->end_code = code;
	admit_end(admit, s, reason, now_ns, wall_s);
	return 0;
}

int
plm_admit_kick(struct plm_admit *admit, struct plm_handle session, uint64_t now_ns, uint64_t wall_s)
{
	struct admit_session *s = by_handle(admit, session);
	uint64_t hash;
	uint64_t expiry_s;

	if (s == NULL)
		return -ENOENT;
	if (s->is_static)
		return -EPERM;
	hash = s->ufrag_hash;
	expiry_s = s->expiry_s;
	admit_end(admit, s, PLM_END_KICKED, now_ns, wall_s);
	if (expiry_s <= wall_s || plm_mutant(KICK_FORGETS))
		return 0; /* it opens nothing any more */
	return admit_bars_add(&admit->bars, hash, expiry_s, wall_s);
}

void
plm_admit_set_secrets(struct plm_admit *admit, const struct plm_secrets *secrets)
{
	plm_crypto_erase(&admit->conf.secrets, sizeof(admit->conf.secrets));
	admit->conf.secrets = *secrets;
}

void
plm_admit_set_limits(struct plm_admit *admit, const struct plm_admit_limits *limits)
{
	admit->limits = *limits;
	admit->limits.sessions =
			RTE_MIN(limits->sessions, admit->max_sessions - admit->conf.spare_sessions);
	admit->limits.rooms = RTE_MIN(limits->rooms, admit->conf.rooms->max_rooms);
	admit->limits.bars = RTE_MIN(limits->bars, admit->conf.max_bars);
	admit->bars.max = admit->limits.bars;
}

void
plm_admit_get_limits(const struct plm_admit *admit, struct plm_admit_limits *limits)
{
	*limits = admit->limits;
}

void
plm_admit_drain(struct plm_admit *admit, bool draining)
{
	admit->draining = draining;
}

uint32_t
plm_admit_nb_homed(const struct plm_admit *admit, unsigned int worker)
{
	return admit->nb_homed[worker];
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.h"

#include <errno.h>

static void
fill_random(void *ctx, void *buf, size_t len)
{
	static uint64_t seed = 1;
	uint8_t *p = buf;

	while (len-- > 0) {
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		*p++ = (uint8_t)(seed >> 56);
	}
}

static void
settings(void *ctx, const char *room, struct plm_room_settings *out)
{
	*out = ((const struct fx *)ctx)->settings;
}

static unsigned int
home(void *ctx, unsigned int worker)
{
	return ((const struct fx *)ctx)->home;
}

static unsigned int
spread(void *ctx, uint32_t room_idx)
{
	const struct fx *fx = ctx;
	struct plm_room_info room;

	assert_int_equal(plm_room_info(fx->rooms, room_idx, &room), 0);
	return fx->is_spread ? fx->spread : room.home;
}

static int
route(void *ctx, const struct plm_tuple *tuple, struct plm_egress *egress, uint64_t now_ns)
{
	struct fx *fx = ctx;

	if (fx->route_ret < 0)
		return fx->route_ret;
	memset(egress, 0, sizeof(*egress));
	memcpy(egress->hdr, tuple, sizeof(*tuple));
	egress->is_v6 = tuple->is_v6;
	fx->nb_routes++;
	return 0;
}

static void
route_put(void *ctx, const struct plm_egress *egress)
{
	((struct fx *)ctx)->nb_routes--;
}

static void
released(void *ctx, uint32_t session_idx, const struct plm_egress *egress, bool ended)
{
	struct fx *fx = ctx;

	fx->nb_routes--;
	if (ended)
		plm_session_release(fx->sessions, session_idx);
}

static void
ending(void *ctx, struct plm_handle session, uint32_t room_idx, enum plm_end_reason reason)
{
	struct fx *fx = ctx;
	struct plm_room_info room;

	/* Session and room are still there. */
	assert_int_equal(fx->sessions->hot[session.idx].gen, session.gen);
	assert_int_equal(plm_room_info(fx->rooms, room_idx, &room), 0);
	fx->nb_ending++;
}

static void
event(void *ctx, const struct plm_event *e)
{
	struct fx *fx = ctx;
	struct fx_event *kept = &fx->events[fx->nb_events++ % 64];

	*kept = (struct fx_event){ .type = e->type, .code = e->code };
	snprintf(kept->room, sizeof(kept->room), "%s", e->room != NULL ? e->room : "");
	snprintf(kept->participant, sizeof(kept->participant), "%s",
			e->participant != NULL ? e->participant : "");
	snprintf(kept->reason, sizeof(kept->reason), "%s", e->reason != NULL ? e->reason : "");
}

struct fx_conf
fx_defaults(void)
{
	return (struct fx_conf){
		.max_sessions = 64,
		.max_rooms = 8,
		.max_bars = 4,
		.settings = { .max_members = 8, .dscp = PLM_DSCP_COPY },
	};
}

void
fx_create(struct fx *fx, const struct fx_conf *conf)
{
	static unsigned int serial;
	char name[16];
	struct plm_session_conf sessions = {
		.max_sessions = conf->max_sessions + conf->spare_sessions,
		.nb_workers = 2,
		.rcu = &fx->rcu,
		.socket = SOCKET_ID_ANY,
		.name = name,
	};
	struct plm_room_conf rooms = {
		.max_rooms = conf->max_rooms,
		.max_members = conf->settings.max_members,
		.max_backlog = 64,
		.publish_interval_ns = PLM_NS_PER_MS,
		.nb_workers = 2,
		.rcu = &fx->rcu,
		.socket = SOCKET_ID_ANY,
		.released = released,
		.released_ctx = fx,
	};

	memset(fx, 0, sizeof(*fx));
	snprintf(name, sizeof(name), "fx%u", serial++);
	fx->now_ns = 1000 * PLM_NS_PER_S;
	fx->wall_s = FX_WALL;
	fx->settings = conf->settings;
	assert_int_equal(plm_rcu_init(&fx->rcu, 2, SOCKET_ID_ANY), 0);
	assert_int_equal(plm_session_table_create(&fx->sessions, &sessions), 0);
	assert_int_equal(plm_room_table_create(&fx->rooms, &rooms), 0);
	fx->conf = (struct plm_admit_conf){
		.sessions = fx->sessions,
		.rooms = fx->rooms,
		.counters = &fx->counters,
		.secrets = { .nb = 1 },
		.spare_sessions = conf->spare_sessions,
		.admissions_per_s = conf->admissions_per_s,
		.max_bars = conf->max_bars,
		.max_backlog = 64,
		.consent_timeout_ns = 30 * PLM_NS_PER_S,
		.max_session_ns = conf->max_session_ns,
		.max_ssrcs = PLM_SSRCS,
		.rand = { fill_random, NULL },
		.ctx = fx,
		.settings = settings,
		.home = home,
		.spread = spread,
		.route = route,
		.route_put = route_put,
		.ending = ending,
		.event = event,
	};
	memcpy(fx->conf.secrets.s[0].key, FX_SECRET, strlen(FX_SECRET));
	fx->conf.secrets.s[0].len = strlen(FX_SECRET);
	fx->admit = plm_admit_create(&fx->conf);
	assert_non_null(fx->admit);
	fx->hmac = plm_hmac_create();
	assert_non_null(fx->hmac);
}

static void
turn(struct fx *fx)
{
	plm_admit_timer(fx->admit, fx->now_ns, fx->wall_s);
	plm_room_turn(fx->rooms, fx->now_ns);
	plm_session_reclaim(fx->sessions);
}

void
fx_pass(struct fx *fx, uint64_t ns)
{
	uint64_t end_ns = fx->now_ns + ns;
	uint64_t wall_base = fx->wall_s - fx->now_ns / PLM_NS_PER_S;

	while (fx->now_ns < end_ns) {
		fx->now_ns = RTE_MIN(fx->now_ns + 20 * PLM_NS_PER_MS, end_ns);
		fx->wall_s = wall_base + fx->now_ns / PLM_NS_PER_S;
		turn(fx);
	}
}

void
fx_free(struct fx *fx)
{
	struct plm_handle session;

	while (plm_admit_next(fx->admit, 0, &session) == 0)
		plm_admit_end(fx->admit, session, PLM_END_DRAIN, fx->now_ns, fx->wall_s);
	fx_pass(fx, PLM_NS_PER_S);
	assert_int_equal(plm_session_nb_open(fx->sessions), 0);
	assert_int_equal(plm_session_nb_pending(fx->sessions), 0);
	assert_int_equal(plm_room_nb_open(fx->rooms), 0);
	assert_int_equal(fx->nb_routes, 0);
	assert_int_equal(plm_admit_nb_homed(fx->admit, 0) + plm_admit_nb_homed(fx->admit, 1), 0);
	plm_admit_free(fx->admit);
	plm_room_table_free(fx->rooms);
	plm_session_table_free(fx->sessions);
	plm_rcu_fini(&fx->rcu);
	plm_hmac_free(fx->hmac);
}

void
fx_mint(struct fx_client *c, const char *room, const char *participant, enum plm_role role,
		uint64_t expiry_s, const char *secret)
{
	struct plm_credential cred = { .expiry_s = expiry_s, .role = role };

	snprintf(cred.room, sizeof(cred.room), "%s", room);
	snprintf(cred.participant, sizeof(cred.participant), "%s", participant);
	assert_int_equal(plm_credential_mint(&cred, secret, strlen(secret), c->ufrag, c->pwd), 0);
}

static void
set_tuple(struct fx_client *c, unsigned int n)
{
	static uint32_t base;

	memset(&c->tuple, 0, sizeof(c->tuple));
	c->tuple.addr[0] = n % 2 ? 0xfd : 198;
	c->tuple.addr[1] = n % 2 ? 0 : 18;
	c->tuple.addr[2] = (uint8_t)(n >> 8);
	c->tuple.addr[3] = (uint8_t)n;
	c->tuple.is_v6 = n % 2;
	c->tuple.port = rte_cpu_to_be_16((uint16_t)(40000 + n));
	c->tid = ++base << 16; /* nobody's requests have the same */
}

struct fx_client
fx_client(const char *who, unsigned int n)
{
	struct fx_client c;

	memset(&c, 0, sizeof(c));
	fx_mint(&c, FX_ROOM, who, PLM_ROLE_BOTH, FX_WALL + 3600, FX_SECRET);
	set_tuple(&c, n);
	return c;
}

struct fx_client
fx_elsewhere(const struct fx_client *c, unsigned int n)
{
	struct fx_client other = *c;

	set_tuple(&other, n);
	return other;
}

void
fx_build(struct fx *fx, struct fx_client *c, const struct fx_req *req, struct fx_msg *msg)
{
	uint8_t tid[PLM_STUN_TID] = "transact";
	uint32_t id = req->tid != 0 ? req->tid : ++c->tid;
	struct plm_stun_out out;
	uint8_t mac[PLM_SHA1_SIZE];
	char name[PLM_UFRAG_MAX + 8];

	memcpy(tid + 8, &id, sizeof(id));
	plm_stun_begin(&out, msg->buf, sizeof(msg->buf), PLM_STUN_REQUEST, PLM_STUN_BINDING, tid);
	snprintf(name, sizeof(name), "%s%sabcd", c->ufrag, req->no_colon ? "" : ":");
	if (!req->no_username)
		plm_stun_add_bytes(&out, PLM_STUN_ATTR_USERNAME, name, strlen(name));
	if (!req->no_padding_attrs)
		plm_stun_add_u32(&out, PLM_STUN_ATTR_PRIORITY,
				req->priority != 0 ? req->priority : FX_PRIO);
	if (req->controlled)
		plm_stun_add_u64(&out, PLM_STUN_ATTR_CONTROLLED, 7);
	else if (!req->no_role && !req->no_padding_attrs)
		plm_stun_add_u64(&out, PLM_STUN_ATTR_CONTROLLING, 7);
	if (req->use_candidate)
		plm_stun_add_bytes(&out, PLM_STUN_ATTR_USE_CANDIDATE, NULL, 0);
	if (req->extra != 0)
		plm_stun_add_u32(&out, req->extra, 1);
	if (!req->no_integrity) {
		plm_stun_prepare_integrity(&out);
		assert_int_equal(plm_hmac_sha1(fx->hmac, c->pwd, strlen(c->pwd), out.buf, out.len,
						 NULL, 0, mac),
				0);
		plm_stun_add_integrity(&out, mac);
	}
	if (req->no_fingerprint) {
		msg->len = out.len;
	} else {
		msg->len = plm_stun_finish(&out);
		assert_true(msg->len > 0);
	}
	/* Without FINGERPRINT the header's length is the integrity's. */
	if (req->no_fingerprint) {
		msg->buf[2] = (uint8_t)((msg->len - PLM_STUN_HDR) >> 8);
		msg->buf[3] = (uint8_t)(msg->len - PLM_STUN_HDR);
	}
}

static void
check_mapped(const struct plm_stun *stun, const struct plm_tuple *tuple, const uint8_t *answer)
{
	size_t n = tuple->is_v6 ? 16 : 4;
	uint16_t port;

	assert_non_null(stun->mapped);
	assert_int_equal(stun->mapped_len, 4 + n);
	memcpy(&port, stun->mapped + 2, 2);
	assert_int_equal(rte_be_to_cpu_16(port) ^ PLM_STUN_COOKIE >> 16,
			rte_be_to_cpu_16(tuple->port));
	for (size_t i = 0; i < n; i++)
		assert_int_equal(stun->mapped[4 + i] ^ answer[4 + i], tuple->addr[i]);
}

int
fx_deliver(struct fx *fx, const struct fx_client *c, const struct plm_tuple *tuple,
		const struct fx_msg *msg)
{
	struct plm_admit_request req = {
		.msg = msg->buf,
		.len = msg->len,
		.tuple = *tuple,
		.worker = 0,
		.now_ns = fx->now_ns,
		.wall_s = fx->wall_s,
	};
	uint8_t answer[256];
	struct plm_stun stun;
	uint8_t hdr[PLM_STUN_HDR];
	uint8_t mac[PLM_SHA1_SIZE];
	size_t len;

	len = plm_admit_stun(fx->admit, &req, answer, sizeof(answer));
	assert_true(len <= msg->len);
	if (len == 0)
		return -1;
	assert_int_equal(plm_stun_parse(answer, len, &stun), 0);
	assert_true(stun.has_fingerprint);
	assert_memory_equal(stun.tid, msg->buf + 8, PLM_STUN_TID);
	assert_int_equal(stun.method, PLM_STUN_BINDING);
	if (stun.error_code == 400 || stun.error_code == 401) {
		assert_null(stun.integrity);
	} else {
		assert_non_null(stun.integrity);
		plm_stun_integrity_hdr(answer, &stun, hdr);
		plm_hmac_sha1(fx->hmac, c->pwd, strlen(c->pwd), hdr, sizeof(hdr),
				answer + sizeof(hdr), stun.integrity_off - sizeof(hdr), mac);
		assert_memory_equal(mac, stun.integrity, sizeof(mac));
	}
	if (stun.class == PLM_STUN_SUCCESS) {
		check_mapped(&stun, tuple, answer);
		return 0;
	}
	assert_int_equal(stun.class, PLM_STUN_ERROR);
	assert_in_range(stun.error_code, 400, 499);
	return stun.error_code;
}

int
fx_send(struct fx *fx, struct fx_client *c, const struct fx_req *req)
{
	struct fx_msg msg;

	fx_build(fx, c, req, &msg);
	return fx_deliver(fx, c, &c->tuple, &msg);
}

int
fx_check(struct fx *fx, struct fx_client *c)
{
	return fx_send(fx, c, &(struct fx_req){ 0 });
}

int
fx_nominate(struct fx *fx, struct fx_client *c, uint32_t priority)
{
	return fx_send(fx, c, &(struct fx_req){ .use_candidate = true, .priority = priority });
}

void
fx_media(struct fx *fx, const struct fx_client *c)
{
	plm_sref_t ref = plm_session_find(fx->sessions, &c->tuple);

	assert_true(ref != 0);
	atomic_store(&fx->sessions->hot[plm_sref_idx(ref)].heard_ms[plm_sref_slot(ref)],
			(uint32_t)(fx->now_ns / PLM_NS_PER_MS));
}

struct plm_handle
fx_session(const struct fx *fx, const char *who)
{
	struct plm_handle session = PLM_HANDLE_NONE;

	plm_admit_find(fx->admit, FX_ROOM, who, &session);
	return session;
}

bool
fx_open(const struct fx *fx, const char *who)
{
	return fx_session(fx, who).gen != 0;
}

struct plm_admit_info
fx_info(const struct fx *fx, const char *who)
{
	struct plm_admit_info info;

	assert_int_equal(plm_admit_info(fx->admit, fx_session(fx, who), &info), 0);
	return info;
}

bool
fx_accepted(const struct fx *fx, const struct fx_client *c)
{
	return plm_session_find(fx->sessions, &c->tuple) != 0;
}

bool
fx_bound(struct fx *fx, const char *who, const struct fx_client *c)
{
	struct plm_admit_info info = fx_info(fx, who);
	const struct plm_tuple *tuple =
			plm_session_tuple(fx->sessions, fx_session(fx, who), info.bound_slot);
	const struct plm_member *member = plm_room_member_by_name(fx->rooms, info.room_idx, who);

	assert_non_null(tuple);
	assert_non_null(member);
	/* Where the media goes, once that is published, is where the session is bound. */
	fx_pass(fx, 2 * PLM_NS_PER_MS);
	assert_memory_equal(member->egress.hdr, tuple, sizeof(*tuple));
	return memcmp(tuple, &c->tuple, sizeof(*tuple)) == 0;
}

uint64_t
fx_count(const struct fx *fx, enum plm_counter id)
{
	return plm_counter_get(&fx->counters, id);
}

const struct fx_event *
fx_last(const struct fx *fx)
{
	assert_true(fx->nb_events > 0);
	return &fx->events[(fx->nb_events - 1) % 64];
}

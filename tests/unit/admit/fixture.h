/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Admission with real tables, a clock that is a number, and clients that are structs. */
#ifndef ADMIT_FIXTURE_H
#define ADMIT_FIXTURE_H

#include "plm_admit.h"
#include "plm_crypto.h"
#include "test_eal.h"

#define FX_WALL   UINT64_C(1800000000)
#define FX_SECRET "the first secret of the tests"
#define FX_OTHER  "another secret, for rotation"
#define FX_PRIO   1000
#define FX_ROOM   "blue"

struct fx_event {
	enum plm_event_type type;
	int code;
	char room[PLM_NAME_SIZE];
	char participant[PLM_NAME_SIZE];
	char reason[64];
};

struct fx {
	struct plm_admit_conf conf;
	struct plm_admit *admit;
	struct plm_rcu rcu;
	struct plm_session_table *sessions;
	struct plm_room_table *rooms;
	struct plm_counters counters;
	struct plm_room_settings settings;
	uint64_t now_ns;
	uint64_t wall_s;
	int route_ret; /* what the next route() says */
	int nb_routes; /* references on next hops that are out */
	unsigned int home;
	bool is_spread; /* newcomers live with `spread`, not with their room */
	unsigned int spread;
	unsigned int nb_ending;
	unsigned int nb_events;
	struct fx_event events[64]; /* the last ones, by nb_events % 64 */
	struct plm_hmac *hmac;
};

struct fx_conf {
	uint32_t max_sessions;
	uint32_t spare_sessions; /* beyond them */
	uint32_t max_rooms;
	uint32_t admissions_per_s;
	uint32_t max_bars;
	uint64_t max_session_ns;
	struct plm_room_settings settings;
};

struct fx_conf fx_defaults(void);
void fx_create(struct fx *fx, const struct fx_conf *conf);
/* Ends every session, and checks that nothing is left and every next hop was given back. */
void fx_free(struct fx *fx);
/* Let time pass in steps of 20 ms, as the slow path would. */
void fx_pass(struct fx *fx, uint64_t ns);

/* An ICE agent on one address. */
struct fx_client {
	char ufrag[PLM_UFRAG_MAX + 1];
	char pwd[PLM_PWD_LEN + 1];
	struct plm_tuple tuple;
	uint32_t tid; /* the next request's */
};

void fx_mint(struct fx_client *c, const char *room, const char *participant, enum plm_role role,
		uint64_t expiry_s, const char *secret);
/* Client number `n`: an address of its own; v6 when `n` is odd. Credential of participant `who`. */
struct fx_client fx_client(const char *who, unsigned int n);
/* The same credential from another address. */
struct fx_client fx_elsewhere(const struct fx_client *c, unsigned int n);

/* What a request says; 0 everywhere is an ordinary check by a controlling agent. */
struct fx_req {
	bool use_candidate;
	bool controlled;
	bool no_role;
	bool no_username;
	bool no_integrity;
	bool no_fingerprint;
	bool no_padding_attrs; /* nothing that is not asked for */
	bool no_colon;
	uint32_t priority; /* 0: FX_PRIO */
	uint16_t extra;    /* an attribute of this type */
	uint32_t tid;      /* 0: a new one */
};

struct fx_msg {
	uint8_t buf[512];
	size_t len;
};

void fx_build(struct fx *fx, struct fx_client *c, const struct fx_req *req, struct fx_msg *msg);
/* Hand a message in from `tuple`. 0: success answer, an error's code, -1: silence. Checks whatever
 * must hold for every answer: size, FINGERPRINT, transaction ID, MESSAGE-INTEGRITY, address. */
int fx_deliver(struct fx *fx, const struct fx_client *c, const struct plm_tuple *tuple,
		const struct fx_msg *msg);
int fx_send(struct fx *fx, struct fx_client *c, const struct fx_req *req);

/* An ordinary check. */
int fx_check(struct fx *fx, struct fx_client *c);
/* A check that nominates, with this priority. */
int fx_nominate(struct fx *fx, struct fx_client *c, uint32_t priority);

/* Media from this client's tuple, as its home worker would note it. */
void fx_media(struct fx *fx, const struct fx_client *c);

struct plm_handle fx_session(const struct fx *fx, const char *who);
struct plm_admit_info fx_info(const struct fx *fx, const char *who);
bool fx_open(const struct fx *fx, const char *who);
/* May this client's tuple send? Is it where the session's media goes (2 ms later)? */
bool fx_accepted(const struct fx *fx, const struct fx_client *c);
bool fx_bound(struct fx *fx, const char *who, const struct fx_client *c);
uint64_t fx_count(const struct fx *fx, enum plm_counter id);
const struct fx_event *fx_last(const struct fx *fx);

#endif

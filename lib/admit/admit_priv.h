/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the files of lib/admit. Everything here is the slow path's. */
#ifndef ADMIT_PRIV_H
#define ADMIT_PRIV_H

#include "plm_admit.h"
#include "plm_crypto.h"
#include "plm_stats.h"
#include "plm_wheel.h"
#include "plm_wire.h"

/** Transaction IDs that are remembered of a credential. */
#define ADMIT_TIDS 64
/** A tuple that was not heard for this long may be left by its session without a nomination. */
#define ADMIT_SILENT_NS (10 * PLM_NS_PER_S)
/** Between two moves of a session; and how long the tuple it left is still accepted. */
#define ADMIT_MOVE_GAP_NS PLM_NS_PER_S
#define ADMIT_RETIRE_NS   PLM_NS_PER_S
/** New sessions that may open at once, as time at the configured rate. */
#define ADMIT_BURST_NS PLM_NS_PER_S
/** How far ahead of its packet or bit rate a session may be: a keyframe arrives in one piece. */
#define ADMIT_MEDIA_BURST_US 250000

/** One of a session's tuples, by the slot that plm_session gave it. */
struct admit_slot {
	uint64_t since_ns;  /* let in; 0: the slot is free */
	uint64_t asked_ns;  /* last request that was authentic and new */
	uint64_t retire_ns; /* left by a move: shut out then; 0: not so */
};

#define ADMIT_NO_SLOT 0xff

/** A credential's latest requests, as keyed hashes; never 0 for one that was seen. */
struct admit_tids {
	uint32_t tids[ADMIT_TIDS];
	uint32_t pos;
};

struct admit_session {
	struct plm_handle handle; /* gen 0: nobody */
	uint32_t room_idx;
	uint8_t role;
	uint8_t home;
	uint8_t bound;
	uint8_t want;       /* slot to move to once the gap is over, or ADMIT_NO_SLOT */
	bool is_alive_room; /* media and indications refresh consent */
	bool is_quic;
	bool is_static; /* `ufrag_hash` is of what its entry says of it */
	char participant[PLM_NAME_SIZE];
	/* The password outlives the secret that made it: a reload touches no session that runs. */
	char pwd[PLM_PWD_LEN + 1];
	uint64_t ufrag_hash;
	uint64_t source; /* the network it was opened from; see sources.c */
	uint64_t expiry_s;
	uint64_t since_ns;
	uint64_t consent_ns; /* last authentic new request */
	uint64_t alive_ns;   /* last indication from the bound tuple */
	int end_code;        /* of the transport, for the event */
	uint64_t moved_ns;   /* 0: never */
	uint32_t bound_priority;
	uint32_t want_priority;
	uint32_t moves;
	struct admit_slot slots[PLM_TUPLES];
	struct admit_tids tids;
};

/* Sessions are looked at when the earliest of their deadlines may have come, and put on again: a refresh
 * writes a time stamp and touches no list. */
#define WHEEL_TICK_NS (64 * PLM_NS_PER_MS)

/** Credentials that an operator barred: open addressing, deletion by shifting back. */
struct admit_bar {
	uint64_t hash; /* of the ufrag; 0: free */
	uint64_t expiry_s;
};

struct admit_bars {
	struct admit_bar *slots; /* [mask + 1], at least twice `max` */
	uint32_t mask;
	uint32_t max;
	uint32_t nb;
	uint32_t sweep;
};

/** A credential whose session has ended, and the requests that it knew. */
struct admit_used {
	uint64_t hash; /* of the ufrag; 0: free */
	uint64_t expiry_s;
	struct admit_tids tids;
};

/**
 * Credentials whose session has ended: one of them opens a session again, though not with a request
 * that was seen, and takes none away from another credential of its participant. A cache: four
 * ways, the earliest to expire goes first.
 */
#define SPENT_WAYS 4
struct admit_spent {
	struct admit_used (*sets)[SPENT_WAYS];
	uint32_t mask;
};

/** Open sessions by the network they were opened from: open addressing, like the bars. */
struct admit_source {
	uint64_t hash; /* 0: free */
	uint32_t nb;
};

struct admit_sources {
	struct admit_source *slots; /* [mask + 1], more than there can be sessions */
	uint32_t mask;
};

/** Following the list: first those go that it no longer has so, then the others come. */
enum admit_static_step {
	ADMIT_STATIC_IDLE,
	ADMIT_STATIC_ENDING,
	ADMIT_STATIC_OPENING,
};

struct admit_statics {
	struct plm_static *list;   /* [PLM_STATICS], in force */
	struct plm_static *staged; /* [PLM_STATICS], not committed yet */
	uint32_t nb;
	uint32_t nb_staged;
	uint32_t nb_open;
	uint32_t nb_waiting; /* found no place in this round */
	enum admit_static_step step;
	uint32_t pos;      /* ENDING: session; OPENING: entry of `list` */
	uint32_t member;   /* OPENING: endpoint of the entry */
	uint64_t retry_ns; /* next round, for those that wait */
};

struct plm_admit {
	struct plm_admit_conf conf;
	struct plm_admit_limits limits;
	struct plm_hmac *hmac;
	uint8_t hash_key[16];
	struct admit_session *sessions; /* [max_sessions] */
	uint32_t max_sessions;
	struct plm_wheel wheel;
	struct plm_wheel_entry *timers; /* [max_sessions] */
	struct admit_bars bars;
	struct admit_spent spent;
	struct admit_sources sources;
	struct admit_statics statics;
	uint64_t admission_tat; /* theoretical arrival time of the admission rate, ns */
	uint32_t nb_homed[PLM_WORKERS_MAX];
	bool draining;
};

/** One request on its way through. */
struct admit_check {
	const struct plm_admit_request *req;
	struct plm_stun msg;
	struct plm_ufrag name;
	bool named;   /* `name` is filled; authentic or not */
	bool keyed;   /* `pwd` is the one that the request was made with */
	bool own;     /* `session` was opened with this very user name */
	uint8_t role; /* 0: a letter that we do not know */
	uint32_t tid;
	uint64_t ufrag_hash;
	struct admit_session *session;     /* the participant's open one, or NULL */
	const struct plm_admit_quic *quic; /* a QUIC participant, or NULL */
	const struct plm_static *fixed;    /* a static endpoint's entry, or NULL */
	const char *reason;                /* of a refusal, for the event */
	char pwd[PLM_PWD_LEN + 1];
};

/** Instead of an error code: no answer. The counter has moved. */
#define ADMIT_SILENCE (-1)

/* answer.c */
size_t admit_answer_success(struct plm_admit *admit, const struct admit_check *check,
		uint8_t *answer, size_t size);
size_t admit_answer_error(struct plm_admit *admit, const struct admit_check *check, int code,
		uint8_t *answer, size_t size);

/* credential.c */
uint8_t admit_role(char letter);
int admit_password(struct plm_hmac *hmac, const void *key, size_t key_len, const char *ufrag,
		size_t len, char pwd[PLM_PWD_LEN + 1]);

/* open.c: 0, an error code, or ADMIT_SILENCE */
int admit_open(struct plm_admit *admit, struct admit_check *check);
/** The same for a static endpoint; 0 or ADMIT_SILENCE. */
int admit_open_static(struct plm_admit *admit, struct admit_check *check);
/** In a room of this format. */
struct admit_session *admit_by_name(const struct plm_admit *admit, char format, const char *room,
		const char *participant);
/** End an open session; its handle and strings are gone afterwards. */
void admit_end(struct plm_admit *admit, struct admit_session *s, enum plm_end_reason reason,
		uint64_t now_ns, uint64_t wall_s);

/* binding.c */
int admit_bind(struct plm_admit *admit, struct admit_check *check);
bool admit_tid_seen(const struct admit_tids *tids, uint32_t tid);
void admit_tid_remember(struct admit_tids *tids, uint32_t tid);
/** Have a tuple free of sessions other than `self` (which may be NULL): 0, -EBUSY. */
int admit_tuple_vacate(struct plm_admit *admit, const struct plm_tuple *tuple,
		const struct admit_session *self, uint64_t now_ns);
/** When a tuple was last heard: a request that was authentic, or media. */
uint64_t admit_slot_heard(const struct plm_admit *admit, const struct admit_session *s,
		uint8_t slot, uint64_t now_ns);
void admit_slot_drop(struct plm_admit *admit, struct admit_session *s, uint8_t slot);
void admit_move(struct plm_admit *admit, struct admit_session *s, uint8_t slot, uint32_t priority,
		uint64_t now_ns, uint64_t wall_s);

/* consent.c */
/** Look at the session at `due_ns` at the latest (and a tick). */
void admit_wheel_arm(struct plm_admit *admit, struct admit_session *s, uint64_t due_ns);
void admit_wheel_disarm(struct plm_admit *admit, struct admit_session *s);

/* sources.c */
int admit_sources_init(struct admit_sources *sources, uint32_t max_sessions);
void admit_sources_fini(struct admit_sources *sources);
/** A tuple's network: its IPv4 address, its IPv6 /64. Never 0. */
uint64_t admit_source(const struct plm_admit *admit, const struct plm_tuple *tuple);
uint32_t admit_sources_get(const struct admit_sources *sources, uint64_t hash);
void admit_sources_add(struct admit_sources *sources, uint64_t hash);
void admit_sources_del(struct admit_sources *sources, uint64_t hash);

/* static.c */
int admit_statics_init(struct admit_statics *statics);
void admit_statics_fini(struct admit_statics *statics);
/** Some of what is to be done; returns when the rest is. */
uint64_t admit_statics_turn(struct plm_admit *admit, uint64_t now_ns, uint64_t wall_s);

/* bars.c */
int admit_bars_init(struct admit_bars *bars, uint32_t max);
void admit_bars_fini(struct admit_bars *bars);
/** 0, -ENOSPC. Makes room by forgetting what has expired. */
int admit_bars_add(struct admit_bars *bars, uint64_t hash, uint64_t expiry_s, uint64_t wall_s);
bool admit_bars_has(const struct admit_bars *bars, uint64_t hash);
/** Forget what has expired among the next few; bounded. */
void admit_bars_sweep(struct admit_bars *bars, uint64_t wall_s);
int admit_spent_init(struct admit_spent *spent, uint32_t max_sessions);
void admit_spent_fini(struct admit_spent *spent);
/** Remember a credential, or what is new of one that is remembered. */
void admit_spent_add(struct admit_spent *spent, uint64_t hash, uint64_t expiry_s,
		const struct admit_tids *tids);
/** NULL: not known to have run a session. */
const struct admit_used *admit_spent_find(const struct admit_spent *spent, uint64_t hash);

/** Report an event about a session, or (s NULL) about the names in `check`. */
void admit_event(struct plm_admit *admit, enum plm_event_type type, const struct admit_session *s,
		const struct admit_check *check, const char *reason, int code, uint64_t now_ns,
		uint64_t wall_s);

static inline void
admit_count(struct plm_admit *admit, enum plm_counter id)
{
	plm_count(admit->conf.counters, id);
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Who may come in: ICE-lite (RFC 8445, 8489) with credentials that any app server can mint,
 * consent (RFC 7675), roles, replacement, limits. No packets in or out of its own: a request is
 * bytes, so is the answer. Slow path only, but for minting.
 */
#ifndef PLM_ADMIT_H
#define PLM_ADMIT_H

#include "plm_room.h"
#include "plm_session.h"
#include "plm_wire.h"

#define PLM_PWD_LEN    43 /**< base64 of HMAC-SHA256 without padding */
#define PLM_SECRET_MIN 16
#define PLM_SECRET_MAX 256
#define PLM_SECRETS    2

/** Secrets that sign credentials; the first mints, both verify, so they can be rotated. */
struct plm_secrets {
	unsigned int nb;
	struct {
		uint8_t key[PLM_SECRET_MAX];
		size_t len;
	} s[PLM_SECRETS];
};

/** What a credential grants; its user name is base64("1:expiry:room:participant:role"). */
struct plm_credential {
	uint64_t expiry_s; /**< Unix seconds */
	char room[PLM_NAME_SIZE];
	char participant[PLM_NAME_SIZE];
	enum plm_role role;
};

/**
 * Read a ufrag (not the whole USERNAME). Says nothing of the signature.
 * @return 0, -EINVAL (not base64, not the form, a name outside its alphabet, too long).
 */
int plm_credential_parse(const char *ufrag, size_t len, struct plm_credential *cred);

/** Make ufrag and password. 0, -ENAMETOOLONG (ufrag above 111), -EINVAL, -EIO. Any thread. */
int plm_credential_mint(const struct plm_credential *cred, const void *key, size_t key_len,
		char ufrag[PLM_UFRAG_MAX + 1], char pwd[PLM_PWD_LEN + 1]);

/**
 * Read a secret file: mode 0600 or 0400, owned by us or root, PLM_SECRET_MIN to PLM_SECRET_MAX
 * bytes but for one trailing newline. The content is never logged.
 * @return 0, -EACCES (mode or owner), -EINVAL (size), or the error of open(); `why` says it.
 */
int plm_secret_read(const char *path, uint8_t *key, size_t *len, struct plm_text *why);

/** Why a session ended or a request was refused; for events, `show session` and tests. */
#define PLM_END_REASONS(X)                                                                         \
	X(CONSENT, "consent", "no authenticated request within consent_timeout")                   \
	X(REPLACED, "replaced", "the same participant came back with another request")             \
	X(KICKED, "kicked", "an operator's kick")                                                  \
	X(MAX_SESSION, "max_session", "longer than max_session")                                   \
	X(REMOVED, "removed", "a static endpoint that the settings no longer list so")             \
	X(CLOSED, "closed", "the client closed its connection")                                    \
	X(HANGUP, "hangup", "the client hung up, and did not close by itself")                     \
	X(IDLE, "idle", "nothing heard from the client within the idle timeout")                   \
	X(PROTOCOL, "protocol", "the connection ended for an error of ours or the client's")       \
	X(DRAIN, "drain", "the relay is going down")

enum plm_end_reason {
#define PLM_END_ID(id, name, help) PLM_END_##id,
	PLM_END_REASONS(PLM_END_ID)
#undef PLM_END_ID
};

const char *plm_end_reason_name(enum plm_end_reason reason);

enum plm_event_type {
	PLM_EVENT_ADMIT,
	PLM_EVENT_REFUSE,
	PLM_EVENT_MOVE,
	PLM_EVENT_REPLACE,
	PLM_EVENT_END,
	PLM_EVENT_STALL,   /**< a worker's heartbeat stopped; made by ctl */
	PLM_EVENT_RECOVER, /**< and came back */
	PLM_EVENT_RELOAD,  /**< settings read again, or why not */
};

/** One line of the event log. Strings are copied by whoever keeps it. */
struct plm_event {
	enum plm_event_type type;
	uint64_t now_ns;
	uint64_t wall_s;
	const char *room;        /**< or NULL */
	const char *participant; /**< or NULL */
	const char *reason;      /**< or NULL */
	int code; /**< STUN error code, QUIC close code, 0 none; the worker of a stall */
	struct plm_tuple tuple;
	bool has_tuple;
};

/** What may change while the relay runs. Tables are as large as they were made: see each. */
struct plm_admit_limits {
	uint32_t sessions;         /**< at most the session table's, but for its spare ones */
	uint32_t rooms;            /**< at most the room table's */
	uint32_t participants;     /**< of one room, whatever its settings say */
	uint32_t backlog;          /**< views waiting for reclamation at which rooms refuse joins */
	uint32_t bars;             /**< barred credentials remembered; at most plm_admit_conf's */
	uint32_t admissions_per_s; /**< new sessions, 0: unlimited */
	uint32_t per_net6;         /**< sessions opened from one IPv6 /64, 0: unlimited */
	uint32_t per_address4;     /**< sessions opened from one IPv4 address, 0: unlimited */
	uint8_t ssrcs;             /**< of a session that opens from now on, 1 to PLM_SSRCS */
};

struct plm_admit;

struct plm_admit_conf {
	struct plm_session_table *sessions;
	struct plm_room_table *rooms;
	struct plm_counters *counters;
	struct plm_secrets secrets;
	/** Of the session table, kept for who comes back with another credential: the old session's place
	 *  is free only when no worker can know it any more. Less than the table has. */
	uint32_t spare_sessions;
	uint32_t admissions_per_s; /**< new sessions, 0: unlimited */
	uint32_t per_net6;         /**< see struct plm_admit_limits; so the next */
	uint32_t per_address4;
	uint32_t max_bars;    /**< barred credentials remembered */
	uint32_t max_backlog; /**< views waiting for reclamation at which rooms refuse joins */
	uint64_t consent_timeout_ns; /**< 30 s */
	uint64_t max_session_ns;     /**< 0: unlimited */
	uint8_t max_ssrcs;
	struct plm_rand rand;
	void *ctx; /**< of the functions below */
	/** Settings of a room that is about to be made. */
	void (*settings)(void *ctx, const char *room, struct plm_room_settings *settings);
	/** Home of a room whose first request `worker` received, PLM_WORKERS_MAX: nobody did. */
	unsigned int (*home)(void *ctx, unsigned int worker);
	/** Home of a participant that is new in a room. */
	unsigned int (*spread)(void *ctx, uint32_t room_idx);
	/** The way to a tuple: 0, -EHOSTUNREACH, -ENOSPC; and giving one back that no view got. */
	int (*route)(void *ctx, const struct plm_tuple *tuple, struct plm_egress *egress,
			uint64_t now_ns);
	void (*route_put)(void *ctx, const struct plm_egress *egress);
	/** A session is about to end: its SSRCs can still be read (BYE on its behalf). */
	void (*ending)(void *ctx, struct plm_handle session, uint32_t room_idx,
			enum plm_end_reason reason);
	void (*event)(void *ctx, const struct plm_event *event);
};

/** NULL and rte_errno. */
struct plm_admit *plm_admit_create(const struct plm_admit_conf *conf);
void plm_admit_free(struct plm_admit *admit);

struct plm_admit_request {
	const uint8_t *msg;
	size_t len;
	struct plm_tuple tuple; /**< where it came from, and which own address was asked */
	unsigned int worker;    /**< that received it */
	uint64_t now_ns;
	uint64_t wall_s;
};

/**
 * Handle a STUN message.
 * @param[out] answer
 *   At least 256 bytes. Goes back to req->tuple, from the address that was asked.
 * @return the answer's length, never more than req->len; 0 is silence.
 */
size_t plm_admit_stun(struct plm_admit *admit, const struct plm_admit_request *req, uint8_t *answer,
		size_t size);

/** A session by room and participant. 0, -ENOENT. */
int plm_admit_find(const struct plm_admit *admit, const char *room, const char *participant,
		struct plm_handle *session);

/** What `show session` prints. 0, -ENOENT (ended). */
struct plm_admit_info {
	const char *participant;
	uint32_t room_idx;
	uint8_t role;
	uint8_t bound_slot;
	uint64_t since_ns;
	uint64_t consent_ns; /**< last refresh */
	uint64_t expiry_s;   /**< of the credential */
	uint32_t moves;
	bool is_static; /**< no credential, no consent */
	bool is_quic;   /**< no credential either: its connection is what lasts */
};
int plm_admit_info(const struct plm_admit *admit, struct plm_handle session,
		struct plm_admit_info *info);

/** Walk the open sessions: the first with an index of at least `from`. 0, -ENOENT at the end. */
int plm_admit_next(const struct plm_admit *admit, uint32_t from, struct plm_handle *session);

/** The same in bounded steps: looks at no more than `most` places of the table, from `*from` on, which
 *  is then where to go on. 0, -EAGAIN: none among them, -ENOENT at the end. */
int plm_admit_scan(const struct plm_admit *admit, uint32_t *from, unsigned int most,
		struct plm_handle *session);

/** End a session now. 0, -ENOENT. */
int plm_admit_end(struct plm_admit *admit, struct plm_handle session, enum plm_end_reason reason,
		uint64_t now_ns, uint64_t wall_s);

/** The same, with a code of the transport's for the event. */
int plm_admit_end_code(struct plm_admit *admit, struct plm_handle session,
		enum plm_end_reason reason, int code, uint64_t now_ns, uint64_t wall_s);

/** End a session and bar its credential until it expires. 0, -ENOENT, -ENOSPC (bar list full:
 *  the session is ended all the same), -EPERM (a static endpoint: the settings would bring it
 *  back). */
int plm_admit_kick(struct plm_admit *admit, struct plm_handle session, uint64_t now_ns,
		uint64_t wall_s);

/** Sessions that a worker is home to, for placing rooms. */
uint32_t plm_admit_nb_homed(const struct plm_admit *admit, unsigned int worker);

/** Take new secrets; sessions that run are not touched. */
void plm_admit_set_secrets(struct plm_admit *admit, const struct plm_secrets *secrets);

/** Take new limits. Who is in stays in: they hold for who comes from now on. */
void plm_admit_set_limits(struct plm_admit *admit, const struct plm_admit_limits *limits);
void plm_admit_get_limits(const struct plm_admit *admit, struct plm_admit_limits *limits);

/* --- QUIC ----------------------------------------------------------------------------------- */

/** A participant whose QUIC connection is established: whom it wants to meet, and where it comes from. */
struct plm_admit_quic {
	const char *room;        /**< as the client named it, lower case */
	const char *whole_name;  /**< that its settings are looked up by; NULL: `room` */
	const char *participant; /**< made up: nobody else's in that room */
	uint8_t role;            /**< enum plm_role */
	uint8_t home;            /**< the connection's home */
	struct plm_tuple tuple;
	uint64_t now_ns;
	uint64_t wall_s;
};

/**
 * Let a QUIC participant in. Its session has no tuple and no consent: it lasts as long as its
 * connection, and plm_admit_conf's `ending` tells when it must close.
 *
 * @param[out] session
 *   Untouched on error.
 * @return
 *   0; -ENOSPC: the room is full, counted, or not a name that rooms have; -EAGAIN: no place now, counted.
 */
int plm_admit_quic(struct plm_admit *admit, const struct plm_admit_quic *req,
		struct plm_handle *session);

/** Home of a connection to a room that may not exist yet, whose first packet `worker` received. */
unsigned int plm_admit_quic_home(const struct plm_admit *admit, const char *room,
		unsigned int worker);

/* --- static endpoints --------------------------------------------------------------------- */

/** Entries that the list of static endpoints may have. */
#define PLM_STATICS 1024

/**
 * One static endpoint, or a row of them: let in without STUN or credential, for plain RTP gear and
 * generators on a network where nobody forges addresses. It stays until it is no longer listed.
 */
struct plm_static {
	char room[PLM_NAME_SIZE];
	char participant[PLM_NAME_SIZE]; /**< in a row, `-1`, `-2`... is put behind it */
	struct plm_tuple tuple;          /**< of the first */
	uint8_t role;                    /**< enum plm_role */
	bool each_address;      /**< a row goes on with the next address; else with the next port */
	uint32_t count;         /**< endpoints, 1: no row */
	uint32_t packets_per_s; /**< 0: what the room's settings say */
	uint64_t bits_per_s;    /**< 0: what the room's settings say */
};

/**
 * Endpoint `i` of an entry, 0 to count - 1.
 * @return 0, -ENAMETOOLONG (its name), -ERANGE (beyond the last port or address, or no such `i`).
 */
int plm_static_at(const struct plm_static *entry, uint32_t i, struct plm_tuple *tuple,
		char name[PLM_NAME_SIZE]);

/** Do two entries share an address and port, or a participant of one room? */
bool plm_static_same_tuple(const struct plm_static *a, const struct plm_static *b);
bool plm_static_same_name(const struct plm_static *a, const struct plm_static *b);

/**
 * A new list in steps: begin, add each entry, commit. Before the commit nothing changes, after it
 * plm_admit_timer() ends what is no longer listed as it was, then opens what is new; what finds no
 * place (a full room or table, an address that a session has) is tried again every second. An
 * endpoint takes the place of a session of its participant's.
 */
void plm_admit_static_begin(struct plm_admit *admit);
/** 0, -ENOSPC (PLM_STATICS), -EINVAL (see plm_static_at()). */
int plm_admit_static_add(struct plm_admit *admit, const struct plm_static *entry);
void plm_admit_static_commit(struct plm_admit *admit);

/** Static endpoints that are open. */
uint32_t plm_admit_nb_static(const struct plm_admit *admit);

/** The `pos`-th listed static endpoint. `session` is PLM_HANDLE_NONE while it waits. 0, -ENOENT. */
struct plm_static_info {
	const struct plm_static *entry;
	struct plm_tuple tuple;
	char participant[PLM_NAME_SIZE];
	struct plm_handle session;
};
int plm_admit_static_get(const struct plm_admit *admit, uint32_t pos, struct plm_static_info *info);

/** No new sessions from now on (true), or again. Consent goes on. */
void plm_admit_drain(struct plm_admit *admit, bool draining);

/** Expire consent, sessions, old tuples after a move, bars; follow the list of static endpoints.
 *  Bounded work per call; returns when it wants to be called next. */
uint64_t plm_admit_timer(struct plm_admit *admit, uint64_t now_ns, uint64_t wall_s);

#endif

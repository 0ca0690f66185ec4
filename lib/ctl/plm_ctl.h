/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The slow path, and the assembly of a relay: plm_ctl_create() makes tables, network layer,
 * admission and workers in order; plm_ctl_turn() is the slow path's turn: packets by class and
 * budget, timers, publication, reclamation, calls from the prompt. Ports and pools are arguments.
 */
#ifndef PLM_CTL_H
#define PLM_CTL_H

#include "plm_admit.h"
#include "plm_auth.h"
#include "plm_net.h"
#include "plm_quic_identity.h"
#include "plm_relay.h"

struct plm_ctl;

/** Identities that a rule for rooms may list. */
#define PLM_ROOM_ALLOW 64

/** Settings of the rooms whose name a pattern (fnmatch) matches; the first match counts. */
struct plm_room_rule {
	char pattern[PLM_NAME_SIZE];
	struct plm_room_settings settings;
	/** Who alone may join, of QUIC rooms only. */
	uint8_t allow[PLM_ROOM_ALLOW][PLM_AUTH_FINGERPRINT];
	unsigned int nb_allow; /**< 0: everybody may */
};

/** QUIC: none with max_connections 0. */
struct plm_ctl_quic_conf {
	uint32_t max_connections;
	uint32_t max_handshakes; /**< in progress; beyond it first packets are met with silence */
	uint32_t retry_above;    /**< handshakes in progress from which on a Retry comes first */
	bool retry_always;
	uint64_t idle_timeout_ns;
	uint64_t handshake_timeout_ns;
	const struct plm_quic_identity *identity; /**< stays */
	const struct plm_aead *aead;              /**< stays */
	struct rte_mempool
			*pools[PLM_WORKERS_MAX]; /**< packets and payloads, with struct plm_pkt */
};

/** Rooms of WZP clients: who may join them. */
struct plm_ctl_wzp_conf {
	bool open_rooms;             /**< without a token */
	const struct plm_auth *auth; /**< stays; who validates tokens; NULL: none is asked for */
	bool match_identity;    /**< a token's fingerprint must be that of the client's handshake */
	uint64_t auth_cache_ns; /**< how long a valid token needs no asking; 0: not at all */
	uint64_t auth_timeout_ns; /**< `auth` takes no longer to answer */
	uint64_t join_timeout_ns; /**< for token and offer, each */
	uint8_t seed[32];         /**< of the relay's identity; copied, and erased */
	const char *build;        /**< what `version` is told; stays */
};

struct plm_ctl_conf {
	const char *name; /**< unique per process */
	int socket;
	struct plm_clock clock;
	struct plm_rand rand;

	const struct plm_port *const *ports;
	unsigned int nb_ports;
	unsigned int nb_workers;
	uint8_t queue_owner[PLM_PORTS_MAX][PLM_WORKERS_MAX];
	struct rte_mempool *hdr_pools[PLM_WORKERS_MAX];
	struct rte_mempool *copy_pools[PLM_WORKERS_MAX];
	struct rte_mempool *slice_pools[PLM_WORKERS_MAX]; /**< from two workers on */
	struct rte_mempool *frame_pool;                   /**< the slow path's */

	const struct plm_net_local_conf *locals;
	unsigned int nb_locals;
	uint16_t udp_port;
	unsigned int max_neighbours;

	struct plm_ctl_quic_conf quic;
	struct plm_ctl_wzp_conf wzp;
	uint32_t max_rooms;
	uint32_t max_sessions;
	uint32_t max_members;
	uint32_t max_backlog;
	uint64_t publish_interval_ns;
	uint8_t max_ssrcs;
	uint32_t admissions_per_s;
	uint32_t per_net6; /**< see struct plm_admit_limits; 0: unlimited; so the next */
	uint32_t per_address4;
	uint32_t max_bars;
	uint64_t consent_timeout_ns;
	uint64_t max_session_ns;
	unsigned int rebalance_above; /**< percent busy; 0: the least busy worker always */
	unsigned int spread_above; /**< members of a room from which on others live anywhere; 0: never */
	const struct plm_room_rule *rules; /**< copied; the last should be "*" */
	unsigned int nb_rules;
	struct plm_secrets secrets;
	const struct plm_static *statics; /**< copied; opened in the first turns */
	unsigned int nb_statics;

	unsigned int ring_size;
	unsigned int turn_copies;
	unsigned int park_entries;
	uint32_t stun_rate;
	uint32_t l2_rate;
	uint32_t rtcp_rate;
	uint64_t stall_ns; /**< a worker without heartbeat for this long is stalled */

	/** Busy share of a worker, 0 to 100, for placing rooms; NULL: all 0. */
	unsigned int (*busy)(void *ctx, unsigned int worker);
	/** Turns of a worker so far, for the heartbeat; NULL: no watch. */
	uint64_t (*beats)(void *ctx, unsigned int worker);
	void *lcore_ctx;
	/** An event; must not wait. False: it is lost, and counted (EVENTS_LOST). NULL: none. */
	bool (*event)(void *ctx, const struct plm_event *event);
	void *event_ctx;
};

/** Fill in every default that does not depend on the machine. */
void plm_ctl_conf_init(struct plm_ctl_conf *conf);

/** Sessions that the tables of a relay for `max_sessions` have: some more, so that who comes back with
 *  another credential while the limit is reached finds a place. Any thread. */
uint32_t plm_ctl_table_sessions(uint32_t max_sessions);

/** Assemble a relay. 0, -EINVAL, -ENOMEM, -EEXIST; `why` says what the operator can do. */
int plm_ctl_create(struct plm_ctl **ctl, const struct plm_ctl_conf *conf, struct plm_text *why);

/** Undo, in reverse. Workers no longer run. */
void plm_ctl_free(struct plm_ctl *ctl);

/** One turn of the slow path; how much was done. */
unsigned int plm_ctl_turn(struct plm_ctl *ctl, uint64_t now_ns, uint64_t wall_s);

/* What it is made of. The slow path's parts are read on the slow path only (plm_ctl_call()). */
struct plm_relay *plm_ctl_relay(struct plm_ctl *ctl);
/** For the workers' poll loops, which are offline while they sleep. */
struct plm_rcu *plm_ctl_rcu(struct plm_ctl *ctl);
struct plm_net *plm_ctl_net(struct plm_ctl *ctl);
struct plm_admit *plm_ctl_admit(struct plm_ctl *ctl);
struct plm_session_table *plm_ctl_sessions(struct plm_ctl *ctl);
struct plm_room_table *plm_ctl_rooms(struct plm_ctl *ctl);
const struct plm_counters *plm_ctl_counters(const struct plm_ctl *ctl);
const struct plm_ctl_conf *plm_ctl_conf(const struct plm_ctl *ctl);

/**
 * Send a message to a session's QUIC client, on a stream of its own, in the order of the calls.
 *
 * @param len
 *   1 to PLM_CTL_MESSAGE.
 * @return
 *   0; -ENOENT: it has no connection; -ENOBUFS: no mbuf, or the worker's ring is full; -EMSGSIZE. That
 *   the client does not read is the worker's to find out, and is counted.
 * @note Slow path.
 */
#define PLM_CTL_MESSAGE (48 * 1024)
int plm_ctl_quic_send(struct plm_ctl *ctl, struct plm_handle session, bool uni, const void *buf,
		size_t len);

/** How many QUIC connections there are, and what they hold. */
struct plm_ctl_quic_totals {
	uint32_t max_connections; /**< 0: QUIC is not served, and all of this is 0 */
	uint32_t established;     /**< of participants in rooms */
	uint32_t handshakes;      /**< in progress */
	uint32_t ending;          /**< ended, but a worker may still look at them */
	uint32_t extents;         /**< of PLM_QUIC_EXTENT bytes, beside those that each has */
	uint32_t extents_used;
	bool retries; /**< whoever comes now must show first that it receives */
};
/** Slow path only. */
void plm_ctl_quic_totals(const struct plm_ctl *ctl, struct plm_ctl_quic_totals *totals);

/** How a session's QUIC connection stands, and from where it entered. False: it has none. Slow path. */
bool plm_ctl_quic_shown(const struct plm_ctl *ctl, struct plm_handle session,
		struct plm_quic_path *since, struct plm_quic_shown *shown);

/** What a WZP participant said of itself. */
struct plm_wzp_shown {
	char fingerprint[40]; /**< 9983:c2ce:... */
	const char *alias;    /**< NULL: none; good until the slow path's next turn */
	bool has_token;
	bool has_hung_up;
};
/** False: the session is none. Slow path only. */
bool plm_ctl_wzp_shown(const struct plm_ctl *ctl, struct plm_handle session,
		struct plm_wzp_shown *shown);

/** Rates of the last full second, for the CLI; slow path only. */
struct plm_ctl_rates {
	uint32_t rx_packets; /**< per second */
	uint32_t tx_packets;
	uint64_t rx_bits;
	uint64_t tx_bits;
};
void plm_ctl_session_rates(const struct plm_ctl *ctl, uint32_t session_idx,
		struct plm_ctl_rates *rates);

/** Counters of a worker or of the slow path (worker == PLM_WORKERS_MAX) since the last clear. */
uint64_t plm_ctl_counter(const struct plm_ctl *ctl, unsigned int worker, enum plm_counter id);
/** Show counters and latency from zero from now on; the counters themselves go on. */
void plm_ctl_clear(struct plm_ctl *ctl);
/** Latency of a worker since the last clear. */
void plm_ctl_latency(const struct plm_ctl *ctl, unsigned int worker, struct plm_hist *hist);

/** Bit w: worker w is stalled. Any thread. */
uint32_t plm_ctl_stalled(const struct plm_ctl *ctl);

/** Hand an event to the sink; what it does not take is counted. Slow path. */
void plm_ctl_event(struct plm_ctl *ctl, const struct plm_event *event);

/** Take new limits, none above what tables were made for. Slow path. */
void plm_ctl_set_limits(struct plm_ctl *ctl, const struct plm_admit_limits *limits);

/** Refuse new sessions. Slow path. */
void plm_ctl_drain(struct plm_ctl *ctl, bool draining);

/** End every session with a BYE where rooms have clear RTCP. Slow path; bounded work per call:
 *  call until it returns 0, the sessions that are left. */
uint32_t plm_ctl_end_all(struct plm_ctl *ctl, uint64_t now_ns, uint64_t wall_s);

/* --- calls from other threads -------------------------------------------------------------- */

/** Text that one answer may hold; longer lists come in pages. */
#define PLM_CALL_TEXT 32768

/**
 * Runs on the slow path. Writes its answer as text and says with `*cursor` where the next page
 * begins: 0 on entry for the first page, left at 0 when this was the last.
 * @return 0 or negative errno for the caller.
 */
typedef int (*plm_call_fn)(struct plm_ctl *ctl, const void *arg, struct plm_text *out,
		uint32_t *cursor, uint64_t now_ns, uint64_t wall_s);

#define PLM_CALL_ARG 768

/**
 * Have the slow path run `fn` and wait for one page of its answer.
 * @param arg  copied, at most PLM_CALL_ARG bytes
 * @return what `fn` returned; -ETIMEDOUT when the slow path did not answer in `timeout_ms`;
 *   -EBUSY when all calls are taken. Any thread but the slow path and the workers.
 */
int plm_ctl_call(struct plm_ctl *ctl, plm_call_fn fn, const void *arg, size_t arg_len,
		char out[PLM_CALL_TEXT], uint32_t *cursor, unsigned int timeout_ms);

#endif

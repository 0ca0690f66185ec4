/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Sessions: authenticated transports. A session has up to PLM_TUPLES addresses from which it may
 * send, one home worker that runs its packets, limits and SSRCs.
 *
 * The slow path creates and frees, workers look up in bulk without a lock. An index is given out
 * again only after every worker was quiescent and no view names it.
 */
#ifndef PLM_SESSION_H
#define PLM_SESSION_H

#include <stdalign.h>
#include <stdatomic.h>

#include <rte_byteorder.h>
#include <rte_hash.h>

#include "plm_lcore.h"

/** Authenticated addresses of one session (design: agents send before they nominate). */
#define PLM_TUPLES 4
/** SSRCs that one session may use, RTCP's included. */
#define PLM_SSRCS 12
/** Sessions that one table may be made for. */
#define PLM_SESSIONS_MAX (UINT32_C(1) << 24)

/** May publish, may subscribe: a credential's `p`, `s`, `b`. */
enum plm_role {
	PLM_ROLE_PUBLISH = 1,
	PLM_ROLE_SUBSCRIBE = 2,
	PLM_ROLE_BOTH = 3,
};

/** Where a session's packets come from: remote address and port, and which own address. */
struct plm_tuple {
	uint8_t addr[16]; /**< IPv4 in the first four bytes, the rest 0 */
	rte_be16_t port;
	uint16_t local_idx;
	uint8_t is_v6;
	uint8_t zero; /**< so that tuples compare with memcmp() */
};
static_assert(sizeof(struct plm_tuple) == 22, "no padding");

struct plm_key4 {
	uint8_t addr[4];
	rte_be16_t port;
	uint16_t local_idx;
};
static_assert(sizeof(struct plm_key4) == 8, "a hash key has no padding");

struct plm_key6 {
	uint8_t addr[16];
	rte_be16_t port;
	uint16_t local_idx;
};
static_assert(sizeof(struct plm_key6) == 20, "a hash key has no padding");

/**
 * What a lookup yields, in one word: session index, tuple slot, generation. 0 is none.
 * bits 0-31 index, 32-39 tuple slot, 40-63 generation (24 bits, never 0).
 */
typedef uint64_t plm_sref_t;
#define PLM_GEN_MASK 0xffffffu

static inline plm_sref_t
plm_sref(uint32_t idx, uint32_t gen, uint8_t slot)
{
	return (uint64_t)idx | (uint64_t)slot << 32 | (uint64_t)gen << 40;
}

static inline uint32_t
plm_sref_idx(plm_sref_t ref)
{
	return (uint32_t)ref;
}

static inline uint8_t
plm_sref_slot(plm_sref_t ref)
{
	return (uint8_t)(ref >> 32);
}

static inline uint32_t
plm_sref_gen(plm_sref_t ref)
{
	return (uint32_t)(ref >> 40);
}

/** One SSRC that a session sends from. Owner: the home worker. */
struct plm_stream {
	uint32_t ssrc;
	uint32_t view_idx;     /**< whose view it is sent to: its room's index */
	uint16_t ingress;      /**< packets taken so far, modulo 2^16 */
	uint8_t claim_pending; /**< PLM_MSG_SSRC_CLAIM still to be sent */
	uint8_t unused;
};
static_assert(sizeof(struct plm_stream) == 12, "five to a line");

/** A rate as a virtual schedule (GCRA): what a unit costs and how far ahead one may be. */
struct plm_rate {
	uint32_t cost;     /**< ns a packet, or 1/1024 ns a bit; 0: unlimited */
	uint32_t burst_us; /**< tolerance, microseconds */
};

/**
 * Packet state of a session. Slow path writes the const group before the tuple can be looked
 * up; after that the home worker alone writes the rest.
 */
struct plm_session_hot {
	/* const while `gen` stands; the slow path writes gen last (release), 0 when it ends */
	alignas(RTE_CACHE_LINE_SIZE) _Atomic uint32_t gen;
	uint32_t room_idx;
	uint8_t home;
	uint8_t role; /**< enum plm_role */
	uint8_t max_ssrcs;
	uint8_t consent_alive;
	struct plm_rate packet_rate;
	struct plm_rate bit_rate;

	/* owner: the home worker */
	uint8_t nb_streams;
	uint8_t claims_pending; /**< entries of `streams` with claim_pending */
	uint64_t packet_tat;    /**< theoretical arrival times of both rates, ns */
	uint64_t bit_tat;
	uint64_t rtcp_tat;

	/* owner writes, any reads */
	alignas(RTE_CACHE_LINE_SIZE) _Atomic uint64_t rx_packets;
	_Atomic uint64_t rx_bytes;   /**< UDP payload */
	_Atomic uint64_t rx_dropped; /**< limits, roles, SSRCs, malformed media */
	_Atomic uint32_t heard_ms
			[PLM_TUPLES]; /**< last media from a tuple: now_ns / 1e6, modulo 2^32 */
	_Atomic uint64_t quality;     /**< how many reports came << 32 | the last: plm_quality() */

	/* owner */
	struct plm_stream streams[PLM_SSRCS];
};
static_assert(sizeof(struct plm_session_hot) <= 4 * RTE_CACHE_LINE_SIZE, "four lines");

/** What a participant last said of its own reception, by WZP's quality reports. */
struct plm_quality {
	uint32_t nb;       /**< reports that came, modulo 2^32; 0: none yet */
	uint8_t lost;      /**< of 255 packets */
	uint8_t rtt_4ms;   /**< 4 ms, 255 at most */
	uint8_t jitter_ms; /**< 255 at most */
	uint8_t max_kbps;  /**< bit rate that it can take */
};

/** The home worker: another report, as its 4 bytes in network order. One store: readers see all of it. */
static inline void
plm_quality_store(struct plm_session_hot *hot, uint32_t report)
{
	uint64_t nb = (atomic_load_explicit(&hot->quality, memory_order_relaxed) >> 32) + 1;

	atomic_store_explicit(&hot->quality, nb << 32 | report, memory_order_relaxed);
}

/** Any thread. */
static inline struct plm_quality
plm_quality(const struct plm_session_hot *hot)
{
	uint64_t word = atomic_load_explicit(&hot->quality, memory_order_relaxed);

	return (struct plm_quality){
		.nb = (uint32_t)(word >> 32),
		.lost = (uint8_t)(word >> 24),
		.rtt_4ms = (uint8_t)(word >> 16),
		.jitter_ms = (uint8_t)(word >> 8),
		.max_kbps = (uint8_t)word,
	};
}

/** Copies sent to a session: one array per worker, by session index. owner writes, any reads. */
struct plm_session_tx {
	_Atomic uint64_t packets;
	_Atomic uint64_t bytes; /**< UDP payload */
	_Atomic uint64_t dropped;
	_Atomic uint64_t unused;
};
static_assert(sizeof(struct plm_session_tx) == 32, "two to a line");

struct plm_session_conf {
	uint32_t max_sessions;
	unsigned int nb_workers;
	struct plm_rcu *rcu;
	int socket;
	const char *name; /**< unique per process, at most 16 characters: prefix of hash names */
	uint32_t hash_seed;
};

/** Tables shared by slow path and workers. */
struct plm_session_table {
	/* const */
	uint32_t max_sessions;
	struct rte_hash *by_tuple4;
	struct rte_hash *by_tuple6;
	struct rte_hash *by_ssrc;                   /**< {room index, SSRC} → sref with slot 0 */
	struct plm_session_hot *hot;                /**< [max_sessions] */
	struct plm_session_tx *tx[PLM_WORKERS_MAX]; /**< [worker][max_sessions] */
	/* ctl */
	struct plm_session_ctl *ctl;
};

/**
 * Make the tables. An address table holds two tuples per session (and all four up to some 4 000
 * sessions), the SSRC table two and a half (all twelve up to some 1 300), retired keys included
 * until their grace period is over.
 * @return 0, -EINVAL, -EEXIST (the name is taken), -ENOMEM.
 */
int plm_session_table_create(struct plm_session_table **tbl, const struct plm_session_conf *conf);

/**
 * Free the tables. Workers must be offline, or rte_hash keeps the retired keys, and its name.
 * Takes NULL.
 */
void plm_session_table_free(struct plm_session_table *tbl);

/* --- workers ------------------------------------------------------------------------------ */

/**
 * Look up a burst of tuples, of one family, at most 64. refs[i] is 0 where nothing was found.
 */
void plm_session_lookup4(const struct plm_session_table *tbl, const struct plm_key4 *const *keys,
		unsigned int n, plm_sref_t *refs);
void plm_session_lookup6(const struct plm_session_table *tbl, const struct plm_key6 *const *keys,
		unsigned int n, plm_sref_t *refs);

/** Owner of an SSRC in a room, 0 if nobody claimed it. Worker or slow path. */
plm_sref_t plm_session_ssrc_owner(const struct plm_session_table *tbl, uint32_t room_idx,
		uint32_t ssrc);

/** The packet state if the reference is still good, else NULL. Worker or slow path. */
static inline struct plm_session_hot *
plm_session_get(const struct plm_session_table *tbl, plm_sref_t ref)
{
	struct plm_session_hot *hot = &tbl->hot[plm_sref_idx(ref)];

	/* Acquire pairs with the release in plm_session_open(). */
	if (atomic_load_explicit(&hot->gen, memory_order_acquire) != plm_sref_gen(ref))
		return NULL;
	return hot;
}

/* --- slow path ---------------------------------------------------------------------------- */

struct plm_session_new {
	uint32_t room_idx;
	uint8_t home;
	uint8_t role;
	uint8_t max_ssrcs; /**< 1 to PLM_SSRCS */
	uint8_t consent_alive;
	struct plm_rate packet_rate;
	struct plm_rate bit_rate;
};

/**
 * New session without a tuple, from which workers take nothing yet: what can fail is done before
 * it is opened, or ended. 0, -ENOSPC if the table is full.
 */
int plm_session_prepare(struct plm_session_table *tbl, const struct plm_session_new *conf,
		struct plm_handle *session);

/** Workers take its packets from now on, and see all that the slow path did before. */
void plm_session_open(struct plm_session_table *tbl, struct plm_handle session);

/** Prepare and open. 0, -ENOSPC if the table is full. */
int plm_session_create(struct plm_session_table *tbl, const struct plm_session_new *conf,
		struct plm_handle *session);

/** Let a tuple in; it takes the lowest free slot. 0, -ENOSPC (four already, or the hash is
 *  full), -EEXIST (the tuple belongs to a session), -ENOENT (the session ended). */
int plm_session_add_tuple(struct plm_session_table *tbl, struct plm_handle session,
		const struct plm_tuple *tuple, uint8_t *slot);

/** Shut a tuple out; workers see it from their next burst on. 0, -ENOENT. */
int plm_session_del_tuple(struct plm_session_table *tbl, struct plm_handle session, uint8_t slot);

/** The session that a tuple belongs to, 0 if none. */
plm_sref_t plm_session_find(const struct plm_session_table *tbl, const struct plm_tuple *tuple);

/** A tuple by slot, NULL when the slot is free. */
const struct plm_tuple *plm_session_tuple(const struct plm_session_table *tbl,
		struct plm_handle session, uint8_t slot);

/**
 * Settle a claim: enter the SSRC for the session unless another has it.
 * @return 0 (owned by it now or before), -EEXIST (another's), -ENOSPC (the session has
 *   PLM_SSRCS, or the hash is full), -ENOENT (session ended).
 */
int plm_session_claim_ssrc(struct plm_session_table *tbl, struct plm_handle session, uint32_t ssrc);

/** SSRCs that the session owns; how many were written. */
unsigned int plm_session_ssrcs(const struct plm_session_table *tbl, struct plm_handle session,
		uint32_t *ssrcs, unsigned int n);

/**
 * End a session: its generation, tuples and SSRCs go at once. The index is given out again
 * after plm_session_release() and a grace period.
 */
void plm_session_end(struct plm_session_table *tbl, struct plm_handle session);

/** No view names the ended session any more (plm_room's promise). */
void plm_session_release(struct plm_session_table *tbl, uint32_t session_idx);

/** Give out again what is past its grace period. Call it every turn; bounded. */
void plm_session_reclaim(struct plm_session_table *tbl);

/** Sessions now open, and indexes that wait for reclamation. */
uint32_t plm_session_nb_open(const struct plm_session_table *tbl);
uint32_t plm_session_nb_pending(const struct plm_session_table *tbl);

/** Bytes of all tables per session, for the bench and `--check`. */
size_t plm_session_bytes(const struct plm_session_conf *conf);

#endif

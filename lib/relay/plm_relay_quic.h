/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Where QUIC connections live: one table of slots, shared by slow path and workers. A slot's state says
 * whose it is, with everything in it; who moves the state hands it over (release, acquire):
 *
 *   FREE ──▶ HANDSHAKE ──▶ HOME ──▶ GONE ──▶ FREE
 *     slow path       slow path   worker   slow path, after a grace period
 */
#ifndef PLM_RELAY_QUIC_H
#define PLM_RELAY_QUIC_H

#include "plm_net.h"
#include "plm_quic.h"
#include "plm_session.h"
#include "plm_wheel.h"

enum plm_quic_slot_state {
	PLM_QUIC_SLOT_FREE,
	PLM_QUIC_SLOT_HANDSHAKE, /**< the slow path's */
	PLM_QUIC_SLOT_HOME,      /**< its home worker's */
	PLM_QUIC_SLOT_GONE,      /**< the slow path's again */
};

/** Straight back to where packets come from that could be opened: no neighbour is asked for. */
struct plm_quic_way {
	struct plm_quic_path path;
	uint64_t mac; /**< destination, in bytes 0 to 5 in memory order; 0: no way */
	struct plm_template tmpl;
};

/** What `show session` says of a connection: a copy, now and then. */
struct plm_quic_shown {
	struct plm_quic_path path;
	uint32_t moves;
	struct plm_quic_figures figures;
};

struct plm_quic_slot {
	/* who owns the slot writes, workers read */
	alignas(RTE_CACHE_LINE_SIZE) _Atomic uint32_t state; /**< enum plm_quic_slot_state */
	/* const while it is not FREE */
	_Atomic uint32_t gen; /**< 1 to PLM_CID_GEN_MAX; of the connection's ids */
	struct plm_quic_conn *conn;
	void *arena; /**< const */
	/* slow path writes before HOME */
	uint8_t home;
	/* owner */
	bool is_queued; /**< to be flushed */
	/* slow path writes before it asks for the close */
	const char *close_reason;
	/* slow path writes, before a view names the session; the home worker reads */
	_Atomic plm_sref_t sref; /**< the participant's session, 0: in no room yet */

	/* owner */
	struct plm_quic_way ways[2]; /**< the path in use, and another one that was heard */
	struct plm_quic_end end;     /**< how it ended; before GONE */
	uint32_t next;               /**< of those to be flushed, or reported as gone */

	uint64_t shown_ns; /**< when `shown` was last written */
	uint32_t moves;
	uint32_t nb_parts; /**< of streams, that were not read yet */
	uint32_t nb_kept;  /**< of them, those that are not on their way to who reads them */

	/* home worker writes while the slow path owns the slot, which begins anew with it */
	_Atomic uint64_t handshake_tat; /**< virtual schedule of packets that go there */

	/* owner writes, any reads: odd while it is being written */
	_Atomic uint32_t shown_seq;
	struct plm_quic_shown shown;
};

/** What a part of a stream is, in its mbuf's private area; the bytes are the mbuf's. */
struct plm_quic_part {
	int64_t stream_id;
	uint32_t gen;  /**< of the connection */
	bool fin;      /**< the stream ends with it */
	bool is_reset; /**< it ends without FIN; no bytes */
	bool is_early; /**< the slow path took it itself, before the connection went home */
	bool is_whole; /**< slow path: with it begins a signal that is all there */
};
static_assert(sizeof(struct plm_quic_part) <= sizeof(struct plm_pkt), "fits the pool's mbufs");

static inline struct plm_quic_part *
plm_quic_part(struct rte_mbuf *m)
{
	return rte_mbuf_to_priv(m);
}

/** Bytes that many messages share, const once made. */
struct plm_quic_blob {
	/* slow path raises it for each message that it makes, who is done with one lowers it; the slow path frees
	 * at 0 */
	_Atomic uint32_t refs;
	uint32_t len;
	struct plm_quic_blob *next; /**< slow path */
	uint8_t buf[];
};

/** In front of each segment of a message to a peer; its bytes follow, unless they are a blob's. */
struct plm_quic_message {
	struct plm_quic_chunk chunk;
	struct rte_mbuf *m;
	struct plm_quic_blob *blob; /**< all of the message, or NULL */
	uint32_t gen;               /**< of the connection; in the first */
	bool uni;                   /**< on a unidirectional stream; in the first */
	uint8_t kind;               /**< see struct plm_quic_chunk; in the first */
};

/** Parts of streams that a connection may bring with the packet that completes its handshake. */
#define PLM_QUIC_EARLY_PARTS 2

/** Bytes of a message that one mbuf of plm_quic_table.messages holds. */
#define PLM_QUIC_MESSAGE_BYTES 1024

/** The message, or what is left of it, goes nowhere any more. Any lcore. */
static inline void
plm_quic_message_free(struct rte_mbuf *m)
{
	struct plm_quic_blob *blob = rte_pktmbuf_mtod(m, struct plm_quic_message *)->blob;

	/* Release: our last read of the bytes comes before; pairs with the slow path's acquire. */
	if (blob != NULL)
		atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_release);
	rte_pktmbuf_free(m);
}

/** Parts of one worker's connections that may wait for the slow path. */
#define PLM_QUIC_WORKER_PARTS 2048

struct plm_quic_table {
	/* const */
	struct plm_quic *quic;
	struct plm_cid_key cid_key;
	struct plm_quic_slot *slots; /**< [nb_slots] */
	uint32_t nb_slots;
	uint32_t nb_extents;
	size_t arena_size;
	size_t stride; /**< from one to the next */
	uint8_t *arenas;
	struct plm_wheel_entry *timers; /**< [nb_slots]; of the slot's owner */
	struct rte_mempool *extents;    /**< regions of PLM_QUIC_EXTENT bytes, one for each slot */
	struct rte_mempool *more_extents; /**< and for those that have one */
	struct plm_quic_memory memory;    /**< them, for connections */
	struct rte_mempool *messages;     /**< to peers: struct plm_quic_message and bytes */
	struct rte_mempool *notes;        /**< and those whose bytes are a blob's */
	struct rte_mempool *early; /**< parts of streams that came with the end of a handshake */
	struct rte_mempool *pools[PLM_WORKERS_MAX]; /**< packets and payloads of each worker */
	/* slow path writes before the session can be seen in a view, workers read */
	uint32_t *slot_of; /**< [max_sessions] */
};

/** Bytes of a region that a connection may have beyond its arena. */
#define PLM_QUIC_EXTENT (16 * 1024)

struct plm_quic_table_conf {
	uint32_t nb_slots;
	uint32_t max_sessions;
	uint32_t nb_extents; /**< more than slots */
	struct rte_mempool *pools[PLM_WORKERS_MAX];
	struct plm_quic_conf quic; /**< but for `cid_key`, which is made here */
	const char *name;
	int socket;
};

/** 0, -ENOMEM, -EINVAL. Connections may live there until it is freed. main, before the workers run. */
int plm_quic_table_create(struct plm_quic_table **table, const struct plm_quic_table_conf *conf);

/** Nobody runs any more: end every connection without a word. Takes NULL. */
void plm_quic_table_free(struct plm_quic_table *table);

/** Bytes that it takes, and those of them that are mbufs of messages. */
size_t plm_quic_table_bytes(const struct plm_quic_table_conf *conf);
size_t plm_quic_message_bytes(const struct plm_quic_table_conf *conf);

static inline enum plm_quic_slot_state
plm_quic_slot_state(const struct plm_quic_slot *slot)
{
	/* Acquire pairs with plm_quic_slot_pass(). */
	return atomic_load_explicit(&slot->state, memory_order_acquire);
}

/** Hand the slot, and all that is in it, to whom `state` names. */
static inline void
plm_quic_slot_pass(struct plm_quic_slot *slot, enum plm_quic_slot_state state)
{
	atomic_store_explicit(&slot->state, state, memory_order_release);
}

/** The slot that an id of ours names; NULL: none, or a former connection's. Any lcore. */
static inline struct plm_quic_slot *
plm_quic_slot_find(const struct plm_quic_table *table, const struct plm_cid *cid)
{
	struct plm_quic_slot *slot;

	if (cid->slot >= table->nb_slots)
		return NULL;
	slot = &table->slots[cid->slot];
	if (atomic_load_explicit(&slot->gen, memory_order_relaxed) != cid->gen &&
			!plm_mutant(QUIC_GENERATION))
		return NULL;
	return slot;
}

/** Show how the connection stands now. Its owner. */
void plm_quic_slot_show(struct plm_quic_slot *slot, uint64_t now_ns);

/** What was last shown. False: it is being written, over and over. Any lcore. */
bool plm_quic_slot_shown(const struct plm_quic_slot *slot, struct plm_quic_shown *shown);

/** Where a packet came from, and the way back there. */
void plm_quic_path_of(const struct plm_pkt *pkt, struct plm_quic_path *path);
/** The MAC address that a frame came from, as in struct plm_quic_way. */
uint64_t plm_quic_source_mac(const uint8_t *frame);
void plm_quic_way_of(const struct plm_net *net, const struct plm_pkt *pkt, const uint8_t *frame,
		struct plm_quic_way *way);

/** Note that an authentic packet came this way. What is known already changes only by one that is newer than all
 *  before: another may be a copy that somebody else sent. */
void plm_quic_slot_heard(struct plm_quic_slot *slot, const struct plm_net *net,
		const struct plm_pkt *pkt, const uint8_t *frame, bool is_newest);

/** The way of a path; NULL: none is known. */
const struct plm_quic_way *plm_quic_slot_way(const struct plm_quic_slot *slot,
		const struct plm_quic_path *path);

#endif

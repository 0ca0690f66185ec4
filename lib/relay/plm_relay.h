/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The packet path: receive, classify, look up, limit, fan out, transmit. N workers are N objects;
 * plm_relay_turn() steps one of them once. No lock, no malloc, no system call, no log.
 */
#ifndef PLM_RELAY_H
#define PLM_RELAY_H

#include "plm_net.h"
#include "plm_relay_quic.h"
#include "plm_room.h"
#include "plm_session.h"

/** Packets taken from one queue at once, and payloads of one parked burst. */
#define PLM_BURST 32

struct plm_relay;

struct plm_relay_conf {
	unsigned int nb_workers;
	const struct plm_port *const *ports;
	unsigned int nb_ports;
	/** Owner of each queue: worker index. Queues of a port beyond nb_queues are not read. */
	uint8_t queue_owner[PLM_PORTS_MAX][PLM_WORKERS_MAX];
	struct rte_mempool *hdr_pools[PLM_WORKERS_MAX];
	struct rte_mempool *copy_pools[PLM_WORKERS_MAX];  /**< NULL where no port needs one */
	struct rte_mempool *slice_pools[PLM_WORKERS_MAX]; /**< NULL where there is one worker */
	const struct plm_net *net;
	struct plm_session_table *sessions;
	struct plm_room_table *rooms;
	struct plm_rcu *rcu;
	struct plm_quic_table *quic; /**< NULL: no QUIC */
	struct plm_clock clock;      /**< for latency, read once in 16 turns */
	struct plm_rand rand;        /**< seeds, at creation only */
	unsigned int ring_size;      /**< messages of one mailbox */
	unsigned int turn_copies;    /**< copies of one turn (design: 1 024) */
	unsigned int park_entries;   /**< parked bursts of one worker and port */
	uint32_t stun_rate; /**< unknown sources' STUN per worker, /24 or /64, and second */
	uint32_t l2_rate;   /**< ARP, ND and ICMP per worker and second */
	uint32_t rtcp_rate; /**< RTCP compounds per session and second */
	const char *name;   /**< unique per process, prefix of ring names */
	int socket;
};

/** NULL and rte_errno. */
struct plm_relay *plm_relay_create(const struct plm_relay_conf *conf);

/** Bytes that it takes at most, rings included. Of `conf` this reads the numbers of workers and ports,
 *  ring_size and park_entries. */
size_t plm_relay_bytes(const struct plm_relay_conf *conf, uint32_t max_sessions);

/** Free and count whatever waits in rings between workers, in TX buffers and parked. The counters
 *  can still be read; no worker runs any more. */
void plm_relay_discard(struct plm_relay *relay);

/** Discard, and free the rings with what waits in them. Takes NULL. */
void plm_relay_free(struct plm_relay *relay);

/**
 * One turn of one worker: messages, received bursts, parked fan-outs, TX, quiescent report.
 * @return how much was done, 0 when idle.
 */
unsigned int plm_relay_turn(struct plm_relay *relay, unsigned int worker, uint64_t now_ns);

/** Receive (true) or not; rings and parked fan-outs go on. Any thread. */
void plm_relay_set_running(struct plm_relay *relay, bool running);

/** Unix time for the filter of expired user names. Slow path, once a turn. */
void plm_relay_set_wall(struct plm_relay *relay, uint64_t wall_s);

/** Mailboxes of the slow path: it consumes the first two kinds and produces the third. */
struct plm_mailbox *plm_relay_box_known(struct plm_relay *relay, unsigned int worker);
struct plm_mailbox *plm_relay_box_unknown(struct plm_relay *relay, unsigned int worker);
struct plm_mailbox *plm_relay_box_down(struct plm_relay *relay, unsigned int worker);

/** The worker that sends the slow path's frames for a port (the owner of its first queue). */
unsigned int plm_relay_port_worker(const struct plm_relay *relay, uint16_t port_idx);

const struct plm_counters *plm_relay_counters(const struct plm_relay *relay, unsigned int worker);
/** In-relay RX-to-TX latency, ns. */
const struct plm_hist *plm_relay_latency(const struct plm_relay *relay, unsigned int worker);
/** Headers of a frame that an MTU does not count: Ethernet with one VLAN tag. */
#define PLM_TRACE_L2 18

/** A frame that a room received while it was traced (plm_room_settings.traced). */
struct plm_relay_frame {
	uint64_t rx_ns; /**< by the relay's clock */
	uint32_t room_idx;
	uint32_t len;      /**< on the wire */
	uint32_t nb_bytes; /**< of them, in `bytes` */
	const uint8_t *bytes;
};

/** Have what a trace needs; before the first room is traced. What a worker copies before, and what
 *  finds its buffer full, is counted as TRACE_MISSED. 0, -ENOMEM. One thread, not a worker. */
int plm_relay_trace_prepare(struct plm_relay *relay);

/** The oldest frame that `worker` copied and nobody took, valid until it is. False: there is none.
 *  One thread. */
bool plm_relay_trace_next(struct plm_relay *relay, unsigned int worker,
		struct plm_relay_frame *frame);

/**
 * The oldest frame that any worker copied and nobody took, by the time at which it came. A worker that
 * is in the middle of its turn may copy an older one yet.
 *
 * @param[out] worker
 *   Whose it is, for plm_relay_trace_taken(). Untouched when there is none.
 * @return
 *   False: there is none.
 * @note The same thread.
 */
bool plm_relay_trace_oldest(struct plm_relay *relay, unsigned int *worker,
		struct plm_relay_frame *frame);

/** Done with what plm_relay_trace_next() or plm_relay_trace_oldest() found. The same thread. */
void plm_relay_trace_taken(struct plm_relay *relay, unsigned int worker);

/** Parked bursts and buffered frames of a worker now; any thread, a snapshot. */
unsigned int plm_relay_parked(const struct plm_relay *relay, unsigned int worker);

#endif

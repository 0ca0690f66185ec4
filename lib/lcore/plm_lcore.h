/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What lcores are made of: the poll loop with its idle policy and heartbeat, mailboxes between
 * lcores, and the quiescent state that lets the slow path free what workers might still read.
 *
 * Roles are objects, not threads: a turn function is handed its object and the time, so a test or
 * the simulator can step any number of workers in one thread.
 */
#ifndef PLM_LCORE_H
#define PLM_LCORE_H

#include <stdalign.h>
#include <stdatomic.h>

#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "plm_base.h"
#include "plm_sim.h"
#include "plm_stats.h"

/** What a message says. The object of `mbuf` changes hands with the message. */
enum plm_msg_type {
	/** worker → home worker: a packet of `idx` (session) that RSS delivered elsewhere; its
	 *  struct plm_pkt travels in the mbuf. */
	PLM_MSG_PACKET = 1,
	/** worker → owner of a TX queue: a finished frame, session index in the mbuf. */
	PLM_MSG_CARRY,
	/** worker → slow path: a packet with its struct plm_pkt. */
	PLM_MSG_CTL_PACKET,
	/** home worker → slow path: session {idx, gen} sends from `ssrc`, may it? */
	PLM_MSG_SSRC_CLAIM,
	/** slow path → home worker: session {idx, gen} does not own `ssrc`; forget it. */
	PLM_MSG_SSRC_REVOKE,
	/** slow path → worker: send the finished frame on port `aux`. */
	PLM_MSG_TX,
	/** slow path → worker: fan the payload out to its slice of room `idx` (a BYE); `aux`: the
	 *  room's generation. */
	PLM_MSG_FANOUT,
	/** worker → home worker: a QUIC packet that RSS delivered elsewhere; slow path → home worker: one
	 *  for a connection that it had not known to be adopted, with `aux` 1. */
	PLM_MSG_QUIC,
	/** slow path → home worker: connection {idx, gen} is yours. */
	PLM_MSG_QUIC_ADOPT,
	/** slow path → home worker: close connection {idx, gen}. */
	PLM_MSG_QUIC_CLOSE,
	/** home worker → slow path: connection {idx, gen} has ended and is yours again. */
	PLM_MSG_QUIC_GONE,
	/** home worker → slow path: part of a stream that connection `idx`'s peer opened, in the mbuf with
	 *  its struct plm_quic_part; slow path → home worker: it was read, the peer may send as much more. */
	PLM_MSG_QUIC_STREAM,
	/** slow path → home worker: send the message in the mbuf (struct plm_quic_message) to `idx` on a
	 *  stream of its own. */
	PLM_MSG_QUIC_SEND,
	/** worker → the one that lent it: the payload is copied, its reference comes back. */
	PLM_MSG_RETURN,
	/** home worker → another: serve your slice of room `idx` with this payload, which is lent;
	 *  its struct plm_pkt travels in the mbuf. `aux`: the room's generation. Whom it reaches is
	 *  added to the type (enum relay_reach): nothing may follow. */
	PLM_MSG_SLICE,
};

/** Fixed-size message; carries handles, never a pointer that RCU protects. */
struct plm_msg {
	uint16_t type; /**< enum plm_msg_type */
	uint16_t aux;
	uint32_t idx;
	union {
		struct rte_mbuf *mbuf;
		struct {
			uint32_t gen;
			uint32_t ssrc;
		};
	};
};
static_assert(sizeof(struct plm_msg) == 16, "a ring element");

/** A bounded single-producer, single-consumer queue of messages; one per direction and pair. */
struct plm_mailbox {
	struct rte_ring *ring; /* const */
};

/**
 * Create a mailbox for at least `size` messages.
 * @return 0, -EEXIST if the name is taken, -ENOMEM.
 */
int plm_mailbox_init(struct plm_mailbox *box, const char *name, unsigned int size, int socket);

/** Bytes that such a mailbox takes. */
size_t plm_mailbox_bytes(unsigned int size);

/** Free the ring. Mbufs still queued are freed, too. Takes a zeroed one. */
void plm_mailbox_fini(struct plm_mailbox *box);

/** Simulator builds: is the ring full for this kind of message? */
static inline bool
plm_mailbox_fault(const struct plm_msg *msg)
{
	switch ((enum plm_msg_type)msg->type) {
	case PLM_MSG_PACKET:
		return plm_fault(RING_CROSS);
	case PLM_MSG_CARRY:
		return plm_fault(RING_CARRY);
	case PLM_MSG_CTL_PACKET:
		return plm_fault(RING_CTL);
	case PLM_MSG_SSRC_CLAIM:
		return plm_fault(RING_CLAIM);
	case PLM_MSG_SSRC_REVOKE:
		return plm_fault(RING_REVOKE);
	case PLM_MSG_TX:
		return plm_fault(RING_DOWN);
	case PLM_MSG_FANOUT:
		return plm_fault(RING_BYE);
	case PLM_MSG_QUIC: /* `aux`: the slow path gives it back */
		return msg->aux ? plm_fault(RING_BACK) : plm_fault(RING_CROSS);
	case PLM_MSG_QUIC_ADOPT:
		return plm_fault(RING_ADOPT);
	case PLM_MSG_QUIC_CLOSE:
		return plm_fault(RING_CLOSE);
	case PLM_MSG_QUIC_SEND:
	case PLM_MSG_QUIC_STREAM:
		return plm_fault(RING_STREAM);
	case PLM_MSG_QUIC_GONE:
		return plm_fault(RING_GONE);
	case PLM_MSG_RETURN: /* there is room for all that is lent */
		return false;
	case PLM_MSG_SLICE:
		break;
	}
	return plm_fault(RING_SLICE);
}

/** Producer only. How many of `n` were taken; the rest stays the caller's. */
static inline unsigned int
plm_mailbox_put(struct plm_mailbox *box, const struct plm_msg *msgs, unsigned int n)
{
	plm_sched_point(RING_PUT, NULL);
	if (plm_mailbox_fault(msgs))
		return 0;
	return rte_ring_sp_enqueue_burst_elem(box->ring, msgs, sizeof(*msgs), n, NULL);
}

/** Producer only. Is half of it taken? What can wait leaves the rest to what cannot. */
static inline bool
plm_mailbox_is_half_full(const struct plm_mailbox *box)
{
	return rte_ring_count(box->ring) > rte_ring_get_capacity(box->ring) / 2;
}

/** Consumer only. How many messages were taken, at most `n`. */
static inline unsigned int
plm_mailbox_get(struct plm_mailbox *box, struct plm_msg *msgs, unsigned int n)
{
	n = rte_ring_sc_dequeue_burst_elem(box->ring, msgs, sizeof(*msgs), n, NULL);
	if (n > 0)
		plm_sched_point(RING_GOT, NULL);
	return n;
}

/**
 * Quiescent states of the workers: the slow path starts a grace period and asks later whether
 * it is over; a worker reports at the end of each turn and is offline while it sleeps.
 */
struct plm_rcu {
	struct rte_rcu_qsbr *qsbr; /* const; its content is shared, see rte_rcu_qsbr.h */
	unsigned int nb_workers;
};

/** Create for workers 0 to nb_workers - 1, all registered and offline. 0 or -ENOMEM. */
int plm_rcu_init(struct plm_rcu *rcu, unsigned int nb_workers, int socket);
void plm_rcu_fini(struct plm_rcu *rcu);

static inline void
plm_rcu_online(struct plm_rcu *rcu, unsigned int worker)
{
	rte_rcu_qsbr_thread_online(rcu->qsbr, worker);
}

static inline void
plm_rcu_offline(struct plm_rcu *rcu, unsigned int worker)
{
	rte_rcu_qsbr_thread_offline(rcu->qsbr, worker);
}

/** Worker: I hold no pointer that I read before. */
static inline void
plm_rcu_quiescent(struct plm_rcu *rcu, unsigned int worker)
{
	rte_rcu_qsbr_quiescent(rcu->qsbr, worker);
}

/** Slow path: start a grace period, after what is to be freed was unpublished. */
static inline uint64_t
plm_rcu_start(struct plm_rcu *rcu)
{
	return rte_rcu_qsbr_start(rcu->qsbr);
}

/** Slow path: is the grace period of `token` over? Never waits. */
static inline bool
plm_rcu_over(struct plm_rcu *rcu, uint64_t token)
{
	return rte_rcu_qsbr_check(rcu->qsbr, token, false) == 1;
}

/** What an lcore does when it finds no work. */
enum plm_idle {
	PLM_IDLE_BUSY,    /**< poll on */
	PLM_IDLE_SLEEP,   /**< sleep `sleep_us` after `idle_turns` empty turns */
	PLM_IDLE_MONITOR, /**< rte_power_pause() where the CPU can, else as SLEEP */
};

/** One lcore's loop. The turn says how much it did; 0 is an idle turn. */
struct plm_lcore {
	/* const */
	unsigned int (*turn)(void *ctx, uint64_t now_ns);
	void *ctx;
	struct plm_clock clock;
	struct plm_rcu *rcu; /**< NULL for the slow path, which reads nothing under RCU */
	unsigned int worker; /**< reader of `rcu` */
	enum plm_idle idle;
	unsigned int idle_turns;
	unsigned int sleep_us;

	/* owner writes, any reads */
	alignas(RTE_CACHE_LINE_SIZE) _Atomic uint64_t nb_turns; /**< the heartbeat */
	_Atomic uint64_t busy_ns;  /**< time in turns that did something */
	_Atomic uint64_t total_ns; /**< time in the loop */
	_Atomic bool running;

	/* any writes, owner reads */
	alignas(RTE_CACHE_LINE_SIZE) _Atomic bool stop;
};

/** Run turns until plm_lcore_stop(). The worker is online while it runs and offline after. */
void plm_lcore_loop(struct plm_lcore *lcore);

/** Ask the loop to end after its turn. Any thread. */
static inline void
plm_lcore_stop(struct plm_lcore *lcore)
{
	atomic_store_explicit(&lcore->stop, true, memory_order_relaxed);
}

#endif

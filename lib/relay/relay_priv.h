/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the files of lib/relay: the state of one worker, its fan-out jobs, and what the parts
 * of its turn ask of each other. All of it belongs to the worker, but for what is marked. */
#ifndef RELAY_PRIV_H
#define RELAY_PRIV_H

#include <stdalign.h>

#include "plm_relay.h"
#include "plm_wire.h"

/* Nobody's session index: the sender of what the slow path fans out. */
#define RELAY_NOBODY UINT32_MAX

/* Copies of one room before another one's turn, once something is parked. Small, so that a small
 * room passes between two slices of a big one; large enough to keep the view's lines warm. */
#define RELAY_QUANTUM 64

/* Raw header mbufs taken from the pool at once. */
#define RELAY_HDRS 64

/* Turns between two latency samples, and jobs that one sample looks at. */
#define RELAY_SAMPLE_TURNS 16
#define RELAY_SAMPLES      64

/* How a payload gets into a copy. */
enum relay_way {
	RELAY_SHARE,    /* a header mbuf, chained to the payload */
	RELAY_COPY_HDR, /* copied behind the header, in the header mbuf */
	RELAY_COPY_BIG, /* copied behind the header, in an mbuf of the copy pool */
	RELAY_ENCRYPT,  /* for each receiver, see quic.c */
};

/* No entry has it, so that each is looked at twice: payloads that another worker handed over under an
 * older view, and all under the same one, are for those whom that view named. */
#define RELAY_NEED_AGE 0x80
static_assert((RELAY_NEED_AGE & (PLM_SUB_V6 | PLM_SUB_PUBLISHES | PLM_SUB_SUBSCRIBES)) == 0,
		"a flag of the job's own");

/* One packet of a job, reduced to what a copy needs. */
struct relay_payload {
	struct rte_mbuf *m; /* data: the UDP payload and nothing else; read-only while shared */
	uint32_t sender;    /* session index that gets no copy */
	uint32_t udp_sum;   /* what payload and length add to the UDP checksum */
	uint32_t ip4_sum;   /* what TOS and length add to the IPv4 header checksum */
	uint16_t len;
	uint16_t surplus; /* references that turned out not to be needed */
	rte_be16_t udp_len;
	rte_be16_t ip4_len;
	uint8_t tos;
	uint8_t way; /* enum relay_way */
};
static_assert(sizeof(struct relay_payload) == 32, "two to a line");

/* The packets of one burst and room that go to one range of its view: made in the worker's
 * scratch job, copied to the parked list when a turn cannot finish it. */
struct relay_job {
	struct plm_view *view;
	struct relay_job *next; /* of its room, or of the free list */
	uint64_t rx_ns;         /* of the first packet; 0: not from the wire */
	uint32_t first;         /* entries of the view: first to first + size - 1 */
	uint32_t size;
	uint32_t pos;     /* next one, relative to first; wraps, see relay_park.rotor */
	uint32_t left;    /* entries still to be served */
	uint16_t surplus; /* references to every payload that were not needed */
	uint8_t nb;
	uint8_t need; /* PLM_SUB_* that an entry must have, and RELAY_NEED_AGE; 0: none */
	uint8_t port_idx;
	struct relay_payload pay[PLM_BURST];
};

/* A room with parked jobs, first in first out. */
struct relay_parked_room {
	struct relay_job *head;
	struct relay_job *tail;
	struct relay_parked_room *next;      /* in the round */
	struct relay_parked_room *hash_next; /* in its bucket, or of the free list */
	uint32_t room_idx;
	int32_t quota; /* copies left before the next room's turn */
};

struct relay_round {
	struct relay_parked_room *head;
	struct relay_parked_room *tail;
};

/*
 * What one worker parked for one port. Rooms whose first job fits one slice have a round of their
 * own, and the two rounds alternate: a small room waits for the small ones before it and as many
 * slices of large ones, however many of those there are; and small rooms never starve a large one.
 */
struct relay_park {
	uint32_t nb;    /* jobs */
	uint32_t rotor; /* where the next fan-out starts: moves on whenever something was dropped */
	bool starved;   /* the last turn had nothing left for us */
	bool progress;  /* in this turn */
	bool large_turn; /* the round that is served next */
	struct relay_round small;
	struct relay_round large;
	struct relay_parked_room **bucket;
	uint32_t bucket_mask;
	struct relay_job *free_jobs;
	struct relay_parked_room *free_rooms;
	struct relay_job *jobs;          /* [park_entries] */
	struct relay_parked_room *rooms; /* [park_entries] */
};

/* Messages gathered for one mailbox while a burst is worked through. */
struct relay_batch {
	unsigned int n;
	struct plm_msg msgs[PLM_BURST];
};

/* Frames that another worker without a queue hands to us. */
struct relay_carry {
	struct plm_mailbox box;
	uint8_t port_idx;
	uint8_t from;
	uint8_t to;
};

/* A (port, queue) that we receive from. */
struct relay_rxq {
	const struct plm_port *port;
	uint16_t queue_id;
};

struct relay_taps;
struct relay_quic;

struct relay_worker {
	/* const */
	struct plm_relay *relay;
	const struct plm_net *net;
	struct plm_session_table *sessions;
	struct plm_room_table *rooms;
	const plm_nexthop_t *nexthops;
	struct plm_session_tx *tx;
	struct rte_mempool *hdr_pool;
	struct rte_mempool *copy_pool;
	struct rte_mempool *slice_pool;
	uint16_t slice_room; /* of one of its mbufs, bytes of payload */
	const struct plm_port *ports[PLM_PORTS_MAX];
	unsigned int idx;
	unsigned int nb_workers;
	unsigned int nb_ports;
	unsigned int nb_rxq;
	unsigned int nb_carry; /* mailboxes that we empty */
	struct relay_rxq rxq[PLM_PORTS_MAX * PLM_WORKERS_MAX];
	struct relay_carry *carry[PLM_PORTS_MAX * PLM_WORKERS_MAX];
	struct plm_mailbox known;
	struct plm_mailbox unknown;
	struct plm_mailbox down;
	struct plm_mailbox cross_in[PLM_WORKERS_MAX]; /* by sender; we empty them */
	struct plm_mailbox slice_in[PLM_WORKERS_MAX]; /* lent to us, by lender; the same */
	struct plm_mailbox back_in[PLM_WORKERS_MAX];  /* what we lent, by borrower; the same */

	/* owner */
	alignas(RTE_CACHE_LINE_SIZE) uint64_t now_ns;
	uint32_t now_ms;
	uint32_t budget;  /* copies that this turn may still make */
	uint32_t due;     /* copies due, since the last time they were counted */
	uint32_t nb_done; /* work of this turn */
	uint32_t nb_turns;
	unsigned int nb_hdrs;
	struct rte_mbuf *hdrs[RELAY_HDRS + PLM_BURST]; /* raw, from hdr_pool */
	struct plm_txq txq[PLM_PORTS_MAX];
	struct relay_park park[PLM_PORTS_MAX];
	struct relay_job job; /* scratch */
	struct relay_batch to_known;
	struct relay_batch to_unknown;
	struct relay_batch cross[PLM_WORKERS_MAX];
	struct relay_quic *quic;         /* NULL: not served */
	uint32_t lent[PLM_WORKERS_MAX];  /* payloads that a worker has of us */
	struct plm_rtcp rtcp[PLM_BURST]; /* of the burst's RTCP packets, by position */
	struct {
		uint32_t stamp;
		uint32_t room_idx;
		uint8_t group;
	} group_slot[2 * PLM_BURST]; /* groups of this burst by room; others' stamps differ */
	uint32_t group_stamp;
	bool carry_waits; /* frames were left in the rings by the last turn */
	bool carry_first; /* they went before our own in this turn */
	bool sampling;
	unsigned int nb_samples;
	uint64_t samples[RELAY_SAMPLES]; /* rx_ns of jobs that this turn finished */

	/* any writes once, we read: see trace.c */
	_Atomic(struct relay_taps *) taps;

	/* Sessions with a claim still to be sent: a queue through claim_next[session]. */
	uint32_t *claim_next; /* CLAIM_NONE: not queued */
	uint32_t claim_head;
	uint32_t claim_tail;

	/* Virtual schedules of what goes to the slow path, see filter.c. */
	uint64_t l2_tat;
	uint64_t *neigh_tat;      /* by class of plm_net_awaits() */
	uint64_t *stun_tat;       /* by hash of the source prefix */
	uint64_t *stun_known_tat; /* by session index */
	uint8_t stun_key[16];
	uint32_t stun_cost_ns;
	uint32_t l2_cost_ns;
	uint32_t rtcp_cost_ns;

	/* owner writes, any reads */
	alignas(RTE_CACHE_LINE_SIZE) _Atomic uint32_t nb_waiting; /* parked and buffered */
	struct plm_counters counters;
	struct plm_hist latency;
};

struct plm_relay {
	/* const */
	struct plm_relay_conf conf;
	struct relay_worker *workers[PLM_WORKERS_MAX];
	struct relay_carry carry[PLM_PORTS_MAX * PLM_WORKERS_MAX];
	unsigned int nb_carry;

	/* any writes, workers read */
	alignas(RTE_CACHE_LINE_SIZE) _Atomic bool running;
	/* slow path writes, workers read */
	_Atomic uint64_t wall_s;
};

/* --- virtual schedules (GCRA) ------------------------------------------------------------- */

/* One unit of `cost` at `now`, up to `burst` ahead of schedule? Moves `tat` if so. */
static inline bool
relay_gcra(uint64_t *tat, uint64_t now, uint64_t cost, uint64_t burst)
{
	uint64_t t = RTE_MAX(*tat, now);

	if (t - now > burst)
		return false;
	*tat = t + cost;
	return true;
}

/* --- ingress.c ---------------------------------------------------------------------------- */

/* Receive up to a burst from one queue and work it through. How many were received. */
unsigned int relay_rx(struct relay_worker *w, const struct relay_rxq *rxq);

/* Take over up to a burst that another worker received. How many were taken. */
unsigned int relay_cross_rx(struct relay_worker *w, unsigned int from);

/* The session does not own this SSRC: forget it. */
void relay_revoke(struct relay_worker *w, struct plm_handle session, uint32_t ssrc);

/* Datagrams of QUIC sessions whose home we are, in mbufs that hold nothing else. Consumes them. */
void relay_ingress_quic(struct relay_worker *w, struct rte_mbuf **media, unsigned int n);

/* Send what claims wait. */
void relay_claims(struct relay_worker *w);

/* Copies that a session did not get. */
static inline void
relay_count_dropped(struct relay_worker *w, uint32_t session_idx, uint64_t n)
{
	_Atomic uint64_t *dropped = &w->tx[session_idx].dropped;

	atomic_store_explicit(dropped, atomic_load_explicit(dropped, memory_order_relaxed) + n,
			memory_order_relaxed);
}

/* Drop a received packet. */
static inline void
relay_drop(struct relay_worker *w, struct rte_mbuf *m, enum plm_counter why)
{
	plm_count(&w->counters, why);
	if (plm_mutant(COUNT_TWICE))
		plm_count(&w->counters, why);
	plm_sim_drop(&w->counters, m, why);
	rte_pktmbuf_free(m);
}

/* Ends the queue of sessions with claims; not queued at all. */
#define RELAY_CLAIM_END  (UINT32_MAX - 1)
#define RELAY_CLAIM_NONE UINT32_MAX

/* Give references to a payload of ours back. */
static inline void
relay_refs_drop(struct rte_mbuf *m, uint16_t n)
{
	plm_sched_point(REF_DROP, m);
	if (n == 0 || rte_mbuf_refcnt_update(m, (int16_t)-n) > 0)
		return;
	rte_mbuf_refcnt_set(m, 1);
	rte_pktmbuf_free_seg(m);
}

/* --- filter.c ----------------------------------------------------------------------------- */

/* 0 or -ENOMEM. */
int relay_filter_init(struct relay_worker *w, const struct plm_relay_conf *conf);
void relay_filter_fini(struct relay_worker *w);
/* What relay_filter_init() takes. */
size_t relay_filter_bytes(uint32_t max_sessions);

/* STUN to the slow path, or not; pkt->sref says whether the tuple is known. Consumes `m`. */
void relay_stun(struct relay_worker *w, struct rte_mbuf *m, struct plm_pkt *pkt);

/* ARP, ND, ICMP to the slow path, or not. Consumes `m`. */
void relay_l2(struct relay_worker *w, struct rte_mbuf *m, struct plm_pkt *pkt);

/* What goes to the slow path from a source that it does not know has a rate per prefix. */
bool relay_unknown_due(struct relay_worker *w, const struct plm_pkt *pkt);

/* --- quic.c ------------------------------------------------------------------------------- */

struct plm_quic_table;

/* Only where there is a table. 0 or -ENOMEM. */
int relay_quic_init(struct relay_worker *w, struct plm_quic_table *table, uint64_t now_ns,
		int socket);
void relay_quic_discard(struct relay_worker *w);
void relay_quic_fini(struct relay_worker *w);

/* Received packets whose first byte says QUIC. Consumes them. */
void relay_quic_rx(struct relay_worker *w, struct rte_mbuf **pkts, unsigned int n);
/* One that another lcore received; `is_last`: it goes nowhere else. Consumes it. */
void relay_quic_take(struct relay_worker *w, struct rte_mbuf *m, bool is_last);
/* Serve the datagrams that came. */
void relay_quic_media(struct relay_worker *w);

/* Messages of the slow path. */
void relay_quic_adopt(struct relay_worker *w, struct plm_handle handle);
void relay_quic_close(struct relay_worker *w, struct plm_handle handle);
/* A part of a stream was read. Consumes it. */
void relay_quic_credit(struct relay_worker *w, uint32_t idx, struct rte_mbuf *m);
/* A message to a peer. Consumes it. */
void relay_quic_message(struct relay_worker *w, uint32_t idx, struct rte_mbuf *m);

/* Is there room in the TX buffer for `nb` packets to a receiver? */
bool relay_quic_room(struct relay_worker *w, uint32_t session_idx, unsigned int nb);
void relay_quic_prefetch(struct relay_worker *w, uint32_t session_idx);
void relay_quic_prefetch_more(struct relay_worker *w, uint32_t session_idx, size_t len);
/* A job's payloads to one receiver. How many were due. */
unsigned int relay_quic_copy(struct relay_worker *w, const struct relay_job *job,
		uint32_t session_idx);

/* Connections that have something to send. */
uint32_t relay_quic_waiting(const struct relay_worker *w);
/* Timers, acknowledgements, connections that ended: before the TX buffers are flushed. */
void relay_quic_turn(struct relay_worker *w);

/* --- rtcp.c ------------------------------------------------------------------------------- */

/* Read a compound as the room's mode allows. 0 or -EPROTO. */
int relay_rtcp_parse(enum plm_rtcp_mode mode, const uint8_t *buf, size_t len,
		struct plm_rtcp *rtcp);

/* Send one compound where it belongs. Consumes `m`. */
void relay_rtcp_route(struct relay_worker *w, struct plm_view *view, const struct plm_rtcp *rtcp,
		struct rte_mbuf *m);

/* One entry of a view, named by its position. */
struct relay_target {
	const struct plm_range *range;
	uint32_t pos;
};

/* Of the members to whom a compound goes because it names them (relay_rtcp_route()), those that
 * worker `home` serves; room for PLM_RTCP_TARGETS. */
unsigned int relay_rtcp_owners(struct relay_worker *w, struct plm_view *view, unsigned int home,
		const uint8_t *p, size_t len, uint32_t sender, struct relay_target *targets);

/* --- trace.c ------------------------------------------------------------------------------ */

/* Copy a received frame of a traced room for the reader, or count that it was missed. */
void relay_tap(struct relay_worker *w, uint32_t room_idx, struct rte_mbuf *m);

/* At the end: nobody reads any more. */
void relay_trace_fini(struct relay_worker *w);

/* Whom a fan-out reaches. */
enum relay_reach {
	RELAY_SUBSCRIBERS,
	RELAY_MEMBERS,
	RELAY_PUBLISHERS,
	RELAY_OWNERS, /* of what an RTCP compound names */
};

/* --- slice.c ------------------------------------------------------------------------------ */

/* Hand the scratch job to every other worker with members that it reaches. Consumes nothing. */
void relay_lend(struct relay_worker *w, enum relay_reach reach);

/* Hand it to `size` of worker `to`'s members, after relay_lend_begin(): others may read by then what
 * that writes. */
void relay_lend_begin(struct relay_worker *w);
void relay_lend_to(struct relay_worker *w, unsigned int to, enum relay_reach reach,
		unsigned int size);

/* Take back what worker `from` has copied. How many payloads. */
unsigned int relay_back_rx(struct relay_worker *w, unsigned int from);

/* Serve our slices of what worker `from` handed over, up to a burst. How many packets. */
unsigned int relay_slice_rx(struct relay_worker *w, unsigned int from);

/* Did the view under which a packet was handed over name the member that has this entry now? */
static inline bool
relay_slice_named(const struct plm_view *view, uint32_t pos, struct rte_mbuf *m)
{
	return view->ages[pos] >= (uint32_t)view->seq - plm_pkt(m)->view_seq;
}

/* At the end: drop what was handed to us and not yet served, and take ours back. */
void relay_slices_drop(struct relay_worker *w);

/* --- fanout.c ----------------------------------------------------------------------------- */

/* Start the worker's scratch job anew for packets of this view. */
void relay_job_begin(struct relay_worker *w, struct plm_view *view, uint64_t rx_ns);

/* Add a received packet; its headers and padding are cut off here. */
void relay_job_add(struct relay_worker *w, struct rte_mbuf *m);

/* Add a bare payload that came from the slow path. */
void relay_job_add_bare(struct relay_worker *w, struct rte_mbuf *m);

/* Fan the scratch job out to this worker's part of the view; `need`: RELAY_NEED_AGE or 0. Consumes its
 * payloads. */
void relay_job_fan_out(struct relay_worker *w, enum relay_reach reach, uint8_t need);

/* Send the scratch job to these entries. Consumes its payloads. `n` at least 1. */
void relay_job_send(struct relay_worker *w, const struct relay_target *targets, unsigned int n);

/* The scratch job to everybody of its room whom it reaches. Consumes its payloads. */
static inline void
relay_job_to_room(struct relay_worker *w, enum relay_reach reach)
{
	if (unlikely(plm_view_is_spread(w->job.view, w->idx)))
		relay_lend(w, reach);
	relay_job_fan_out(w, reach, 0);
}

/* Copies of a job until it is done (true), or the turn's copies, `quota` or the queue are used
 * up (false). `quota` may be overdrawn by less than a burst. */
bool relay_job_run(struct relay_worker *w, struct relay_job *job, int32_t *quota);

/* Count the copies that a job will not make, and give its references back. */
void relay_job_drop(struct relay_worker *w, struct relay_job *job, enum plm_counter why);

/* --- park.c ------------------------------------------------------------------------------- */

/* 0 or -ENOMEM. */
int relay_park_init(struct relay_park *park, unsigned int nb_entries, int socket);
/* What that takes. */
size_t relay_park_bytes(unsigned int nb_entries);
/* Takes a zeroed one; what was parked has been dropped. */
void relay_park_fini(struct relay_park *park);

/* Drop what is parked, at the end. */
void relay_park_drop(struct relay_worker *w, struct relay_park *park);

/* Run a job of a room now, behind the room's parked ones, or partly now and partly later.
 * Consumes its references. */
void relay_park_submit(struct relay_worker *w, struct relay_job *job);

/* Go on with what is parked, rooms taking turns. */
void relay_park_serve(struct relay_worker *w, struct relay_park *park);

#endif

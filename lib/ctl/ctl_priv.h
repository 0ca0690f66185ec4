/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the files of lib/ctl. All of it belongs to the slow path, but for what is marked. */
#ifndef CTL_PRIV_H
#define CTL_PRIV_H

#include <stdalign.h>
#include <stdatomic.h>

#include "plm_ctl.h"
#include "plm_wire.h"

/** Calls that other threads may have open at once. */
#define CTL_CALLS 8
/** BYEs that wait for room in a ring; what ends sessions in bulk leaves room first. When they are that
 *  many, the oldest that waits for a worker that stands still makes place, counted. */
#define CTL_BYES 1024

/**
 *   free -> taken -> posted -> running -> done -> free
 *     ^               |          |
 *     +--- timeout ---+          +-> abandoned (timeout) -> free
 *
 * The caller moves a slot but where it is running; then the slow path does.
 */
enum ctl_call_state {
	CTL_CALL_FREE,
	CTL_CALL_TAKEN,
	CTL_CALL_POSTED,
	CTL_CALL_RUNNING,
	CTL_CALL_DONE,
	CTL_CALL_ABANDONED,
};

struct ctl_call {
	/* any writes, by compare and exchange */
	alignas(RTE_CACHE_LINE_SIZE) _Atomic uint32_t state;
	/* who moved the state last */
	plm_call_fn fn;
	int ret;
	uint32_t cursor;
	uint32_t text_len;
	alignas(8) uint8_t arg[PLM_CALL_ARG]; /* functions read a struct of their own there */
	char text[PLM_CALL_TEXT];
};

/** The SSRCs of a publisher that vanished, to be told to the others. */
struct ctl_bye {
	uint32_t room_idx;
	uint16_t gen;  /* of the room: the index may be another one's by now */
	uint16_t told; /* bit w: worker w's members */
	uint16_t full; /* bit w: the others that must be told, when it was last tried */
	uint8_t nb;
	uint32_t ssrcs[PLM_SSRCS];
};

/** What a session's counters stood at, and how fast they went. */
struct ctl_sample {
	uint64_t at_ns;
	uint64_t rx_packets;
	uint64_t rx_bytes;
	uint64_t tx_packets;
	uint64_t tx_bytes;
	struct plm_ctl_rates rates;
	uint32_t gen; /* whose they are; 0: nobody's */
};

/**
 * The end of all sessions: first every publisher's BYE while there is still somebody to hear it,
 * then, once the workers have sent them, the sessions.
 */
enum ctl_end {
	CTL_END_NONE,
	CTL_END_ANNOUNCE, /* BYEs are made; sessions are looked at from `end_from` on */
	CTL_END_DELIVER,  /* and travel: our queue, the workers' rings */
	CTL_END_SEND,     /* and are copied and sent: a grace period, parked fan-outs */
	CTL_END_SESSIONS,
	CTL_END_CLOSES, /* of QUIC connections travel, and are sent */
};

struct ctl_watch {
	uint64_t beats;
	uint64_t changed_ns; /* when `beats` was seen to change; 0: the worker has not begun */
};

struct ctl_quic;

struct plm_ctl {
	/* const */
	struct plm_ctl_conf conf; /* but for max_members, a limit */
	uint32_t most_members;    /* what the rooms were made for */
	struct plm_room_rule *rules;
	unsigned int known_budget; /* messages of one worker's ring in one turn */
	unsigned int unknown_budget;

	/* ctl */
	struct plm_rcu rcu;
	struct plm_session_table *sessions;
	struct plm_room_table *rooms;
	struct plm_net *net;
	struct plm_relay *relay;
	struct plm_admit *admit;
	struct ctl_quic *quic; /* NULL: not served */
	uint64_t now_ns;       /* of this turn */
	uint64_t wall_s;
	bool announced; /* own addresses, at the first turn */
	uint64_t net_due_ns;
	uint64_t admit_due_ns;
	uint64_t watch_ns;
	struct ctl_watch watch[PLM_WORKERS_MAX];

	/* One revocation that found its ring full; until it is on its way, that worker's claims
	 * stay where they are, so one is all there can be. */
	struct plm_msg revoke[PLM_WORKERS_MAX];
	bool has_revoke[PLM_WORKERS_MAX];

	struct ctl_bye byes[CTL_BYES];
	unsigned int bye_head;
	unsigned int nb_byes;
	unsigned int nb_byes_tried; /* the first of them: not all workers could take them */
	enum ctl_end end;
	uint32_t end_from;
	uint64_t end_by_ns; /* whatever the workers do */
	uint64_t end_token;

	struct ctl_sample *samples; /* [sessions->max_sessions] */
	uint32_t sample_next;
	uint64_t sample_ns; /* when this round began */

	uint64_t (*baseline)[PLM_CNT_MAX]; /* [nb_workers + 1], the slow path's last */
	struct plm_hist *latency_baseline; /* [nb_workers] */

	/* slow path writes, any reads */
	struct plm_counters counters;
	_Atomic uint32_t stalled;

	/* shared with the callers */
	struct ctl_call *calls; /* [CTL_CALLS] */
};

/** An mbuf for a frame or payload of the slow path's own, NULL when the pool is empty. */
static inline struct rte_mbuf *
ctl_frame_alloc(struct plm_ctl *ctl)
{
	return plm_fault(POOL_FRAME) ? NULL : rte_pktmbuf_alloc(ctl->conf.frame_pool);
}

/* input.c */
/** Send a finished frame through the worker that owns the port's queue. Copies it; counted. */
void ctl_emit(void *ctx, uint16_t port_idx, const void *frame, size_t len);
unsigned int ctl_input(struct plm_ctl *ctl);

/** The same for a frame whose port is known. Consumes `m`. */
void ctl_send_down(struct plm_ctl *ctl, uint16_t port_idx, struct rte_mbuf *m);
/** Straight back to where `request` came from. */
void ctl_reply(struct plm_ctl *ctl, struct rte_mbuf *request, const void *payload, size_t len);

/* quic.c; all but init and table work without QUIC, too */
int ctl_quic_init(struct plm_ctl *ctl);
void ctl_quic_fini(struct plm_ctl *ctl);
struct plm_quic_table *ctl_quic_table(struct plm_ctl *ctl);
/** A QUIC packet that a worker handed up. Consumes `m`. */
void ctl_quic_packet(struct plm_ctl *ctl, unsigned int worker, struct rte_mbuf *m);
/** A part of a stream that a worker handed up. Consumes `m`. */
void ctl_quic_stream(struct plm_ctl *ctl, unsigned int worker, uint32_t idx, struct rte_mbuf *m);
/** A connection has ended, says its worker. */
void ctl_quic_gone(struct plm_ctl *ctl, struct plm_handle handle);
/** A session ends: so must its connection. */
void ctl_quic_ending(struct plm_ctl *ctl, struct plm_handle session, enum plm_end_reason reason);
/** No view names the session any more. */
void ctl_quic_released(struct plm_ctl *ctl, uint32_t session_idx);
/** Handshakes, their timers, messages that found a ring full. How much was done. */
unsigned int ctl_quic_turn(struct plm_ctl *ctl);
/** Are there messages that found a ring full? */
bool ctl_quic_is_late(const struct plm_ctl *ctl);

/* ctl.c */
/** The rule for rooms of this name, the first that matches; NULL: none does. */
const struct plm_room_rule *ctl_rule(const struct plm_ctl *ctl, const char *room);

/* auth.c */
/** May this identity join the QUIC room of this name, by its rule? */
bool ctl_allows(const struct plm_ctl *ctl, const char *room,
		const uint8_t fp[PLM_AUTH_FINGERPRINT]);

/* bye.c */
void ctl_ending(void *ctx, struct plm_handle session, uint32_t room_idx,
		enum plm_end_reason reason);
/** Put waiting BYEs on their way; how many left. */
unsigned int ctl_bye_flush(struct plm_ctl *ctl);

/* call.c */
unsigned int ctl_call_run(struct plm_ctl *ctl);

/* figures.c */
void ctl_sample_some(struct plm_ctl *ctl);
int ctl_figures_init(struct plm_ctl *ctl);
void ctl_figures_fini(struct plm_ctl *ctl);

#endif

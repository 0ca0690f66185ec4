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
struct ctl_wzp;
struct plm_quic_blob;

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
	struct ctl_wzp *wzp;   /* with it */
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

/** The session's participant, the room's index. 0, or why not (see plm_admit_quic()). */
int ctl_quic_enter(struct plm_ctl *ctl, uint32_t idx, const char *participant, uint32_t *room_idx);
/** The room that a connection's name means. */
const struct ctl_room_name *ctl_quic_room(const struct plm_ctl *ctl, uint32_t idx);
/** Of the connection in a slot: generation, home, where it came from. */
uint32_t ctl_quic_gen(const struct plm_ctl *ctl, uint32_t idx);
unsigned int ctl_quic_home(const struct plm_ctl *ctl, uint32_t idx);
void ctl_quic_tuple(const struct plm_ctl *ctl, uint32_t idx, struct plm_tuple *tuple);
/** The slot of a session's connection; UINT32_MAX: it has none. */
uint32_t ctl_quic_slot(const struct plm_ctl *ctl, struct plm_handle session);
/** A part of a stream was read: the peer may send as much more. Consumes `m`. */
void ctl_quic_consumed(struct plm_ctl *ctl, uint32_t idx, struct rte_mbuf *m);
/** Close a connection that has no session, with code 0. */
void ctl_quic_refuse(struct plm_ctl *ctl, uint32_t idx, const char *reason);
/** End the session of a connection, and so the connection. 0, -ENOENT. */
int ctl_quic_end(struct plm_ctl *ctl, uint32_t idx, enum plm_end_reason reason);

/* wzp.c, with wzp_stream.c and wzp_room.c: what clients say, and are told */

/** What a server name asks for. */
enum wzp_class {
	WZP_CLASS_UNKNOWN, /**< the name is not known yet */
	WZP_CLASS_NONE,    /**< nothing that there could be */
	WZP_CLASS_ROOM,
	WZP_CLASS_CALL, /**< a room of two that a direct call opens */
	WZP_CLASS_PING,
	WZP_CLASS_VERSION,
	WZP_CLASS_SIGNAL,
	WZP_CLASS_PROBE,
	WZP_CLASS_FEDERATION,
};

/** Messages to clients; of each but the first only the newest counts. */
enum wzp_message {
	WZP_MESSAGE_ANSWER,
	WZP_MESSAGE_UPDATE,
	WZP_MESSAGE_PONG,
	WZP_MESSAGE_VERSION,
};

/** The protocol knows one code, 0, and nobody parses the text. */
#define CTL_WZP_REFUSAL "normal close"

/** Characters of the longest server name. */
#define CTL_ROOM_MAX 253

/** A room of WZP's, in lower case; both empty where a name is none. */
struct ctl_room_name {
	char key[PLM_NAME_SIZE];      /**< as it is known here: long ones are shortened */
	char whole[CTL_ROOM_MAX + 1]; /**< that rules are compared with */
};

/** The class of a name, and of a room what it is called. */
enum wzp_class ctl_wzp_class(const char *name, struct ctl_room_name *room);
/** As many handshakes as may be are in progress: end one of those that have said nothing for longest, if that is long. */
void ctl_wzp_make_room(struct plm_ctl *ctl);
/** Is anybody of that class served on a connection that lasts? */
bool ctl_wzp_serves(const struct plm_ctl *ctl, enum wzp_class class);
int ctl_wzp_init(struct plm_ctl *ctl, uint32_t nb_conns);
void ctl_wzp_fini(struct plm_ctl *ctl);
/** A connection has gone home. */
void ctl_wzp_begin(struct plm_ctl *ctl, uint32_t idx, enum wzp_class class);
/** A part of a stream of its came, perhaps before that. Consumes `m`. */
void ctl_wzp_part(struct plm_ctl *ctl, uint32_t idx, struct rte_mbuf *m);
/** Its session ends. */
void ctl_wzp_left(struct plm_ctl *ctl, uint32_t idx);
/** It is gone. */
void ctl_wzp_gone(struct plm_ctl *ctl, uint32_t idx);
unsigned int ctl_wzp_turn(struct plm_ctl *ctl);

/** Is there room in the ring for something that can wait? */
bool ctl_quic_may_say(const struct plm_ctl *ctl, uint32_t idx);
/** At most PLM_QUIC_MESSAGE_BYTES. 0, -ENOBUFS: later. */
int ctl_quic_say(struct plm_ctl *ctl, uint32_t idx, enum wzp_message kind, const void *buf,
		size_t len);
/** The same with what many are told. */
int ctl_quic_say_blob(struct plm_ctl *ctl, uint32_t idx, enum wzp_message kind,
		struct plm_quic_blob *blob);

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

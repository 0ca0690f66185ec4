/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Shared by oracle.c (copies) and admission.c (who may come in, stay and move). */
#ifndef SIM_ORACLE_PRIV_H
#define SIM_ORACLE_PRIV_H

#include "net.h"
#include "oracle.h"

#define WATCHES 2048

/* A participant as it stands. */
struct peer_state {
	bool is_open;
	uint8_t cred; /* of the session */
	uint8_t role;
	uint8_t bound; /* endpoint that gets the media */
	struct plm_handle session;
	uint64_t since_ns;   /* admitted, or moved */
	uint64_t opened_ns;  /* of the slow path's clock */
	uint64_t named_tick; /* a view names it; 0: not yet */
	uint64_t over_tick;  /* when its last session was over for everybody */
	unsigned int nb_reachable;
	uint8_t reachable[SIM_ADDRS]; /* sessions, old and new, that get media at an endpoint */
	uint8_t was_reachable;        /* bit per endpoint */
	bool loose;                   /* it moved just now: its next hop may be unresolved */
	unsigned int nb_ends;
	unsigned int nb_byes;  /* that reached it, or were counted as dropped */
	unsigned int byes_due; /* for publishers that vanished while it was here */

	/* as a sender */
	uint64_t certain_tick;         /* its packets from `bound` must be accepted */
	uint8_t possible;              /* endpoints that may be accepted: a bit each */
	uint64_t lost_tick[SIM_ADDRS]; /* when an endpoint was no longer possible */
	uint64_t left_ns[SIM_ADDRS];   /* a move left it; 0: no */

	/* consent */
	bool asks;             /* a fresh request is under way */
	uint64_t refreshed_ns; /* at the latest */
	uint64_t answered_ns;  /* arrival of the last request that was answered: at the least */
	uint64_t heard_ns;     /* anything from `bound` */
	uint64_t moved_ns;
	uint32_t least_priority[SIM_ADDRS]; /* among authentic requests from there */
	bool replaced;                      /* its successor must follow at once */

	/* fresh requests, by credential and endpoint: when the last one came; 0: none */
	uint64_t asked_tick[SIM_CREDS][SIM_ADDRS];
	uint64_t nominated_tick[SIM_ADDRS];
	uint32_t nominated_priority[SIM_ADDRS];
	uint64_t end_rest_tick; /* what came before was worked off when the last session ended */
	uint8_t barred;         /* credentials: a bit each */
	uint8_t spent;          /* that had a session which ended */
};

/* Something that becomes true a grace period later, and when frames made before have left. */
struct watch {
	bool used;
	bool is_move;
	uint8_t addr;    /* that is given up */
	uint8_t stage;   /* enum watch_stage */
	uint8_t waiting; /* workers, a bit each */
	uint16_t peer;
	uint16_t room;
	uint32_t room_idx; /* the relay's, and the first view with the new address */
	uint64_t seq;
};

struct arrival_state {
	uint64_t in_tick;
};

struct packet_state {
	uint8_t nb_answers;
	uint8_t nb_requests; /* that came, replays included */
	bool seen;           /* it was answered: what comes again is a replay */
	uint64_t in_ns;      /* when it first came */
	uint8_t nb_tapped;   /* read from a trace */
	uint8_t tap_least;   /* must have been */
	uint8_t tap_lacking; /* of those, when last judged */
};

/* A room's trace. */
struct room_trace {
	bool on;            /* as the operator has it */
	bool in_view;       /* the newest view says so */
	bool quiet;         /* nothing that comes can be copied */
	uint64_t from_tick; /* what came before was not traced */
	uint64_t view_tick; /* since when the newest views say so */
};

struct sim_oracle {
	struct peer_state peers[SIM_PEERS];
	uint16_t by_session[SIM_SESSIONS]; /* peer + 1 that has or last had a session index */
	struct {
		uint32_t max;
		uint32_t least; /* that it ever was */
		unsigned int nb_open;
	} rooms[SIM_ROOMS];
	struct watch watches[WATCHES];
	unsigned int nb_watches; /* beyond the last used one */

	struct arrival_state *arrivals;
	uint32_t *in_flight;
	uint32_t nb_in_flight;
	struct packet_state *packets;
	uint64_t *last; /* [receiver][sender][address]: arrival delivered last */
	uint32_t *tids; /* packet + 1 by hash of a transaction ID */
	uint32_t tid_mask;
	struct sim_ledger *ledger;

	struct room_trace traces[SIM_ROOMS];
	/* arrival read last, by worker, sender, endpoint, RTP or RTCP */
	uint64_t tapped[SIM_WORKERS][SIM_PEERS][SIM_ADDRS][2];
	uint64_t tap_lacking; /* sum over packets */
	uint8_t list;         /* of static endpoints, in force */
	bool has_list;

	uint8_t secrets;     /* active, a bit each */
	uint64_t secrets_ns; /* since when */
	bool draining;
	bool ending; /* the relay ends all sessions */
	bool ended;
	uint64_t rest_tick; /* when the relay was last at rest */
	uint64_t nb_in, nb_copies, nb_judged;
	uint64_t nb_refused; /* REFUSE events */
	uint64_t nb_success; /* answers */
	bool kicking;        /* an operator's kick is being worked off */
};

/* --- admission.c ---------------------------------------------------------------------------- */

void sim_tids_make(struct sim_run *run);
void sim_admission_arrived(struct sim_run *run, uint32_t arrival, const struct sim_packet *packet);
void sim_admission_answered(struct sim_run *run, const struct sim_peer *to, unsigned int addr,
		const uint8_t *payload, size_t len);
void sim_admission_rest(struct sim_run *run);
/** Must a packet that came at `in` be accepted from where it came? */
bool sim_sender_certain(const struct sim_run *run, const struct sim_packet *packet, uint64_t in);
/** May it? */
bool sim_sender_possible(const struct sim_run *run, const struct sim_packet *packet, uint64_t in);
/** A session of a peer has ended: until nobody can hold its endpoint any more it is reachable. */
void sim_oracle_watch(struct sim_run *run, const struct sim_peer *peer, unsigned int addr);
/** Has the slow path worked off the next hop's last answer? */
bool sim_neighbour_settled(const struct sim_run *run, const struct sim_addr *addr);

/* --- service.c ------------------------------------------------------------------------------ */

/** A static endpoint came, went, or has had its time to. */
void sim_static_admitted(struct sim_run *run, const struct sim_peer *peer, unsigned int addr,
		const struct plm_admit_info *info);
void sim_static_removed(struct sim_run *run, const struct sim_peer *peer);
void sim_statics_settled(struct sim_run *run);
/** A view of a room was published. */
void sim_trace_published(struct sim_run *run, unsigned int room, bool traced);
/** A packet that came at `in`; afterwards, what is to be said of it. */
void sim_trace_due(struct sim_run *run, uint32_t packet_idx, uint64_t in, bool certain);
void sim_trace_judge(struct sim_run *run, uint32_t packet_idx);
void sim_trace_rest(struct sim_run *run);

#endif

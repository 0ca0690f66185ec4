/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * WZP over the connections of quic.c: what clients say on their streams, the auth server (wzp.c), and what must
 * hold of who joins a room and of what its members are told (wzp_oracle.c).
 */
#ifndef SIM_WZP_H
#define SIM_WZP_H

#include "plm_auth.h"
#include "plm_wzp.h"
#include "run.h"

struct sim_quic_client;
struct plm_room_rule;

#define SIM_WZP_NONE UINT32_MAX
/** Questions to the auth server that are under way, at the most. */
#define SIM_WZP_ASKS 64
/** Bytes of an offer's frame. */
#define SIM_WZP_PINGS 1024 /* of one connection that are told apart */
#define SIM_WZP_OFFER 4096

/* A connection of a client's, from its first packet on. The alias that it offers is "t" and its number. */
struct sim_wzp_try {
	uint16_t peer;
	uint8_t intro;
	bool is_admitted; /* it was, once */
	uint32_t slot;    /* of the relay's; SIM_WZP_NONE: not known */
	uint32_t state;   /* of its room, when it had joined */
	uint64_t begun_ns;
	uint64_t hung_ns; /* it said that it hangs up; 0: no */
	uint64_t read_ns; /* the relay was seen to know; by the slow path's clock */
	uint8_t fingerprint[PLM_WZP_FINGERPRINT]; /* that the relay must know it by */
};

/* A stream of the relay's that is not read yet. */
struct sim_wzp_stream {
	int64_t id;
	uint8_t *buf; /* owned */
	uint32_t len, size;
	bool is_over;
	bool is_reset;
};

/* A client's part. */
struct sim_wzp_client {
	struct plm_wzp_identity identity;
	uint32_t try;      /* of the connection that it has, or had last */
	uint8_t intro;     /* of the next one */
	uint16_t intros;   /* that there were: a bit each */
	uint8_t refusals;  /* in a row */
	int64_t stream_id; /* that is read next */
	bool is_answered;
	uint32_t told;       /* state of its room that it was told last, or NONE */
	uint32_t nb_said;    /* signals in the room */
	uint64_t ping, pong; /* the last ones: each is a number of its own */
	uint64_t answered[SIM_WZP_PINGS / 64];
	struct sim_wzp_stream *streams;
	uint32_t nb_streams, size_streams;
	uint8_t offer[SIM_WZP_OFFER]; /* of this connection */
	uint16_t offer_len;
};

/* Who is in a room after each change, in the order of joining. */
struct sim_wzp_state {
	uint32_t first; /* in `lists` */
	uint32_t nb;
};

struct sim_wzp_room {
	struct sim_wzp_state *states; /* the first one: nobody */
	uint32_t nb_states, size_states;
	uint32_t *lists; /* numbers of struct sim_wzp_try */
	uint32_t nb_lists, size_lists;
};

struct sim_wzp_ask {
	uint32_t id, gen;
	uint16_t peer;
	uint8_t token;
	bool is_failed;
	uint64_t at_ns;
};

struct sim_wzp {
	struct sim_wzp_try *tries;
	uint32_t nb_tries, size_tries;
	uint32_t *by_slot; /* [nb_slots], the last try that spoke to it */
	struct sim_wzp_room rooms[SIM_ROOMS];
	struct plm_wzp_identity relay;
	uint8_t seen[SIM_WZP_OFFER]; /* an offer that somebody came in with */
	uint16_t seen_len;

	/* auth server */
	struct plm_auth auth;
	struct sim_wzp_ask asks[SIM_WZP_ASKS];
	unsigned int nb_asks;
	uint64_t revoked_ns[SIM_PEERS];
	bool is_down, is_silent;
	uint64_t down_ns; /* when it last was */
	bool was_busy;
};

/** Once a process. */
void sim_wzp_world(void);
/** Who alone may join a room of the plan. */
void sim_wzp_rule(const struct sim_run *run, unsigned int room, struct plm_room_rule *rule);
void sim_wzp_conf(struct sim_run *run, struct plm_ctl_wzp_conf *conf);
void sim_wzp_create(struct sim_run *run);
void sim_wzp_free(struct sim_run *run);

/** A connection of the client's begins. */
void sim_wzp_begin(struct sim_run *run, struct sim_quic_client *c);
/** Its handshake is complete: it says who it is. */
void sim_wzp_introduce(struct sim_run *run, struct sim_quic_client *c);
/** Say something in the room. The caller flushes. */
void sim_wzp_say(struct sim_run *run, struct sim_quic_client *c, enum sim_signal signal);
void sim_wzp_hang_up(struct sim_run *run, struct sim_quic_client *c);
/** A part of a stream of the relay's came. */
void sim_wzp_got(struct sim_run *run, struct sim_quic_client *c, int64_t stream_id,
		const uint8_t *buf, size_t len, bool is_over);
void sim_wzp_reset(struct sim_run *run, struct sim_quic_client *c, int64_t stream_id);
/** It has ended. */
void sim_wzp_gone(struct sim_quic_client *c);
void sim_wzp_revoke(struct sim_run *run, unsigned int peer);
void sim_wzp_server(struct sim_run *run, bool is_down, bool is_silent);
/** When the auth server knows something; UINT64_MAX: nobody asked. */
uint64_t sim_wzp_next(const struct sim_run *run);

/* --- wzp_oracle.c -------------------------------------------------------------------------- */

/** A client spoke to one of the relay's connections. */
void sim_wzp_spoke(struct sim_run *run, const struct sim_quic_client *c);
/** The try that the relay's connection is, or NONE. */
uint32_t sim_wzp_try_of(const struct sim_run *run, uint32_t slot);
/** A try was admitted, or its session ended. */
void sim_wzp_admitted(struct sim_run *run, uint32_t slot, const struct plm_event *e);
void sim_wzp_ended(struct sim_run *run, uint32_t try, const struct plm_event *e);
void sim_wzp_refused(struct sim_run *run, const struct plm_event *e);
/** A client read a signal. */
void sim_wzp_told(struct sim_run *run, struct sim_quic_client *c, const uint8_t *json, size_t len);
void sim_wzp_rest(struct sim_run *run);
void sim_wzp_settled(struct sim_run *run);
/** Nobody is there any more: nothing is kept of anybody. */
void sim_wzp_empty(struct sim_run *run);
bool sim_wzp_token_is_good(const struct sim_run *run, unsigned int peer, uint64_t at_ns);

#endif

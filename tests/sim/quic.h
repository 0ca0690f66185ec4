/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * QUIC around the relay: clients of the same engine, what the network does with their packets (quic.c),
 * and what of their datagrams is due to whom (quic_oracle.c). What a client sends depends on what it
 * got, so these packets are no part of the plan: the plan says who connects, talks, moves and falls
 * silent, and the network draws by key.
 */
#ifndef SIM_QUIC_H
#define SIM_QUIC_H

#include <gnutls/gnutls.h>

#include "plm_relay_quic.h"
#include "run.h"
#include "wzp.h"

/** Of a frame that waits before a queue: SIM_QUIC_FIRST and its number, in place of an arrival. */
#define SIM_QUIC_FIRST UINT32_C(0x40000000)
#define SIM_QUIC_NONE  UINT32_MAX
/** A datagram's bytes: its number, and what follows from that. */
#define SIM_QUIC_DGRAM_MIN 20

/* A packet on its way. */
struct sim_quic_packet {
	struct sim_quic_packet *next;
	uint64_t at_ns;
	uint64_t sent_ns;
	uint64_t sent_tick;
	uint32_t dgram; /* to the relay: that it carries, or NONE */
	uint32_t slot;  /* that its id names, or NONE */
	uint32_t gen;
	uint16_t peer;
	uint16_t len;
	uint8_t addr;      /* of the peer, as the relay sees it */
	bool is_reachable; /* from the relay: a session of the peer may get media */
	bool is_long;
	bool is_corrupt;
	uint8_t bytes[PLM_QUIC_PACKET_MAX];
};

/* A datagram of a client's, and what became of it. */
struct sim_quic_dgram {
	uint32_t op;
	uint32_t slot; /* of its sender's connection */
	uint32_t gen;
	uint32_t pairs; /* in `pairs`, by seat */
	uint16_t peer;
	uint16_t len;
	uint64_t in_tick;   /* when the relay got it; 0: it did not */
	uint64_t in_lane;   /* port and queue of that, 1 at least */
	uint64_t done_ns;   /* the relay was at rest after that */
	uint64_t misses;    /* quic_misses() when it came */
	uint64_t limited;   /* of its sender's, by its rates, then */
	uint8_t rx_dropped; /* with its packet */
	bool judged;
};

struct sim_quic_pair {
	uint8_t delivered;
	uint8_t dropped; /* explained by a counter */
};

enum sim_quic_phase {
	SIM_QUIC_IDLE,
	SIM_QUIC_HANDSHAKE,
	SIM_QUIC_JOINING, /* it has said who it is */
	SIM_QUIC_OPEN,
	SIM_QUIC_HUNG, /* and has hung up */
	SIM_QUIC_LEAVING,
};

/* A stream that comes in. */
struct sim_quic_stream {
	int64_t id;
	uint32_t number; /* of the message */
	uint32_t len;
};

struct sim_quic_client {
	const struct sim_peer *peer;
	struct plm_quic_conn *conn; /* owned; NULL: IDLE */
	void *tls;
	void *arena; /* owned */
	uint32_t op; /* CONNECT that goes on, or NONE */
	uint32_t gen;
	uint8_t phase;
	uint8_t own;   /* endpoint that it believes to use */
	uint8_t shift; /* that a NAT adds to it */
	uint8_t used;  /* own endpoints, a bit each */
	bool is_deaf;
	bool is_cut_off;
	bool reads_no_stream;
	bool was_unread; /* that, once: what it did not read is never given back */
	bool is_established;
	bool has_moved; /* once at least */
	uint64_t moved_ns;
	uint64_t passed_ns; /* when it last read a datagram */
	uint64_t again_ns;  /* when it tries once more */
	uint64_t nb_up, nb_down;
	uint32_t slot; /* of its connection at the relay, NONE: not known yet */
	uint32_t slot_gen;
	uint64_t opened_tick;
	uint64_t disturbed_tick; /* when its packets last got lost, or it moved */
	uint64_t disturbed_ns;
	uint64_t trouble_ns;                 /* since when there was no calm of half a second */
	struct sim_quic_stream streams[512]; /* more than may be open at once */
	uint32_t next_stream;
	struct sim_wzp_client wzp;
};

/* What the relay said of one of its slots. */
struct sim_quic_session {
	uint32_t gen;
	uint16_t peer;
	uint8_t addr;
	bool is_open;
	uint32_t try; /* that was admitted */
	struct plm_handle session;
	uint64_t named_tick; /* a view names it; 0: not yet */
	uint64_t home_tick;  /* its home was seen to have it, at rest */
	uint64_t heard_ns;   /* a packet of it was put before a worker */
	bool was_dropped;    /* and the relay gave some of them up */
};

/* A connection of the relay's, whether anybody joined by it or not. */
struct sim_quic_home {
	uint32_t gen;
	uint64_t turn;     /* of the slow path, which is the last one to touch it */
	uint64_t heard_ns; /* a packet of it was put before a worker */
	uint32_t detours_gen;
	uint32_t nb_detours; /* packets that went by the slow path, or another worker: as late as may be */
};

struct sim_quic_lane {
	uint64_t in_tick;
	uint64_t in_lane;
};

/* A DATAGRAMS, STREAMS or SAY that goes on. */
struct sim_quic_talk {
	uint32_t op;
	uint32_t nth;
	uint32_t told; /* by the relay */
	uint64_t next_ns;
};

/** Packets that a relay seals in a run, of which nonces are compared; keys' addresses. */
#define SIM_QUIC_SEALS (1u << 17)
#define SIM_QUIC_KEYS  (1u << 12)

struct sim_quic_key {
	const void *key;
	uint64_t last;   /* hash of its last nonce */
	uint32_t number; /* of the key that is there now */
};

struct sim_quic {
	/* const in a run */
	struct plm_quic *engine; /* owned */
	struct plm_quic *strict; /* owned; of those that read the answer only */
	struct plm_quic_memory memory;
	struct plm_quic_out out;
	struct plm_rand rand;
	struct sim_rng rng;

	struct sim_quic_client clients[SIM_QUICS];
	unsigned int nb_clients;
	struct sim_quic_talk talks[4 * SIM_QUICS];
	unsigned int nb_talks;
	uint64_t now_ns;
	uint64_t next_ns; /* nothing happens before */
	uint8_t buf[PLM_QUIC_PACKET_MAX];
	struct sim_quic_packet *up; /* by time */
	struct sim_quic_packet *down;
	struct sim_quic_packet **given; /* that wait before a queue, or are in the relay */
	uint32_t nb_given, size_given;
	uint32_t sending; /* datagram that is being sent, or NONE */
	uint32_t nb_messages;
	unsigned int nb_extents;
	bool is_over; /* nobody comes any more */

	/* quic_oracle.c */
	struct sim_quic_session *sessions;                    /* [conns] */
	struct sim_quic_home *homes;                          /* [conns] */
	const struct plm_quic_conn *touched[SIM_WORKERS + 1]; /* last, by lcore */
	uint64_t none_left_ns; /* when there was last no more memory for connections */
	uint32_t nb_slots;
	struct sim_quic_dgram *dgrams;
	uint32_t nb_dgrams, size_dgrams;
	struct sim_quic_pair *pairs;
	uint32_t nb_pairs, size_pairs;
	uint32_t first_open;                              /* every datagram before it is judged */
	struct sim_quic_lane lanes[SIM_QUICS][SIM_QUICS]; /* [receiver][sender] */
	struct sim_quic_key keys[SIM_QUIC_KEYS];
	uint32_t nb_keys, nb_key_places;
	uint64_t seals[SIM_QUIC_SEALS]; /* a hash of key and nonce each, 0: free */
	uint32_t nb_seals;

	struct sim_wzp wzp;
};

/** Certificate, packet protection, TLS settings: once a process. */
void sim_quic_world(void);
/** The relay's part of it. */
void sim_quic_conf(const struct sim_run *run, struct plm_ctl_quic_conf *conf);

void sim_quic_create(struct sim_run *run);
void sim_quic_free(struct sim_run *run);
/** An operation of the plan begins or ends. */
void sim_quic_happen(struct sim_run *run, uint32_t op, bool is_end);
/** Clients and network, up to now. */
void sim_quic_advance(struct sim_run *run);
/** When that is worth a call; UINT64_MAX: no QUIC. */
uint64_t sim_quic_next(const struct sim_run *run);
/** The story is over: nobody comes or talks any more, and all is well with the network. */
void sim_quic_calm(struct sim_run *run);
/** Everybody leaves. */
void sim_quic_leave(struct sim_run *run);
/** No client, no connection at the relay. */
bool sim_quic_is_over(const struct sim_run *run);
/** Between two turns of the slow path: messages to clients, an operator's kick. */
void sim_quic_tell(struct sim_run *run);
void sim_quic_kick(struct sim_run *run, const struct sim_peer *peer, uint64_t now_ns,
		uint64_t wall_s);

/** A frame that is put before a worker. */
struct sim_quic_packet *sim_quic_given(const struct sim_run *run, uint32_t i);
/** A UDP datagram left for a client. */
void sim_quic_sent(struct sim_run *run, const struct sim_peer *to, unsigned int addr,
		const uint8_t *payload, size_t len);
struct sim_quic_client *sim_quic_client(const struct sim_run *run, unsigned int peer);

/* --- quic_oracle.c -------------------------------------------------------------------------- */

/** A datagram that is about to be sent: its number. `bytes` has room for op->max_len. */
uint32_t sim_quic_dgram_make(struct sim_run *run, uint32_t op, uint32_t nth, uint8_t *bytes,
		uint16_t *len);
void sim_quic_arrived(struct sim_run *run, uint32_t i, unsigned int port, unsigned int queue);
/** Its path was bad so lately that its window may still be full. */
bool sim_quic_is_recovering(const struct sim_run *run, const struct sim_quic_client *c);
/** Is an event about a participant over QUIC? */
bool sim_quic_is_meant(const struct plm_event *e);
/** A client read a datagram out of a packet. */
void sim_quic_delivered(struct sim_run *run, const struct sim_quic_client *c,
		const struct sim_quic_packet *packet, const uint8_t *bytes, size_t len);
/** A client's connection ended, and not because it wanted to. */
void sim_quic_lost(struct sim_run *run, const struct sim_quic_client *c);
void sim_quic_rx_dropped(struct sim_run *run, uint32_t i, enum plm_counter why);
void sim_quic_copy_dropped(struct sim_run *run, const struct rte_mbuf *payload,
		const struct sim_peer *to, uint32_t session_idx, enum plm_counter why);
void sim_quic_event(struct sim_run *run, const struct plm_event *e);
/** A view names this session. */
void sim_quic_named(struct sim_run *run, uint32_t session_idx);
void sim_quic_rest(struct sim_run *run);
void sim_quic_settled(struct sim_run *run);
void sim_quic_point(struct sim_run *run, const struct sim_lcore *lcore, enum plm_sched_site site,
		const void *what);

#endif

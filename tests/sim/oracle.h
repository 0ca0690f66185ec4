/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The oracle: what a relay owes whom. It knows rooms and participants from what they asked for
 * and from what the relay said of them, and judges every frame that leaves, every drop, every
 * event. Two kinds of copies are left open: what a drop counter explains, and packets that were
 * in the relay while a membership changed, which may go either way, though never twice.
 */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include "run.h"

void sim_oracle_create(struct sim_run *run);
void sim_oracle_free(struct sim_run *run);

/** An arrival of the plan was put into an RX ring. */
void sim_oracle_arrived(struct sim_run *run, uint32_t arrival);
/** The relay gave a received packet up. */
void sim_oracle_dropped(struct sim_run *run, const struct rte_mbuf *m, enum plm_counter why);
/** It gave up the copy of a payload for a session. */
void sim_oracle_copy_dropped(struct sim_run *run, const struct rte_mbuf *payload,
		uint32_t session_idx, enum plm_counter why);
/** A UDP datagram left for an endpoint; returns the packet that it carries, or UINT32_MAX. */
uint32_t sim_oracle_sent(struct sim_run *run, const struct sim_peer *to, unsigned int addr,
		const uint8_t *payload, size_t len);
void sim_oracle_event(struct sim_run *run, const struct plm_event *event);
/** Something that an operator did. */
void sim_oracle_kicking(struct sim_run *run);
void sim_oracle_kicked(struct sim_run *run, const struct sim_peer *peer, int ret);
void sim_oracle_secrets(struct sim_run *run, unsigned int a, unsigned int b);
void sim_oracle_draining(struct sim_run *run, bool draining);
void sim_oracle_max(struct sim_run *run, unsigned int room, uint32_t max);

/** List of static endpoints that is in force from now on; which it hands to the relay (service.c). */
void sim_statics_set(struct sim_run *run, unsigned int list);
/** A room is traced, or no longer; hands it to the relay. */
void sim_trace_set(struct sim_run *run, unsigned int room, bool on, uint64_t now_ns);
/** Take some of the frames that a worker copied. */
void sim_trace_read(struct sim_run *run, unsigned int worker, unsigned int most);

/** Points of the relay that move membership: publications, tombstones, turns that end. */
void sim_oracle_published(struct sim_run *run, const struct plm_view *view);
/** A view was freed. */
void sim_oracle_reclaimed(struct sim_run *run);
void sim_oracle_tombstone(struct sim_run *run);
void sim_oracle_turn_end(struct sim_run *run, unsigned int worker);
void sim_oracle_ctl_turn(struct sim_run *run, const struct sim_lcore *lcore);
/** Nothing is under way in the relay: judge what came in since the last time. */
void sim_oracle_rest(struct sim_run *run);

/** Every claim is settled, every member served; the story is over, nobody has left yet. */
void sim_oracle_settled(struct sim_run *run);
/** Everybody has left. */
void sim_oracle_end(struct sim_run *run);

/** Participants that have a session. */
unsigned int sim_oracle_nb_open(const struct sim_run *run);

/** Outcome of every (packet, seat of its room): what two runs of one plan are compared by. */
struct sim_pair {
	uint8_t delivered;
	uint8_t dropped; /* explained by a counter */
	uint8_t left;    /* of them because the receiver had left */
	uint8_t least;   /* copies due for certain */
	uint8_t most;    /* and at the most */
};

struct sim_ledger {
	uint32_t nb_packets;
	uint32_t *first; /* [nb_packets + 1] into pairs */
	struct sim_pair *pairs;
	uint8_t *rx_dropped; /* [nb_packets] */
};

void sim_ledger_free(struct sim_ledger *ledger);
/** Do two runs of one plan agree? Adds the pairs compared to `nb`, writes what differs to `why`. */
bool sim_ledger_agree(const struct sim_plan *plan, const struct sim_ledger *a,
		const struct sim_ledger *b, uint64_t *nb, struct plm_text *why);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The network around the relay: brings arrivals of the plan and neighbours' answers to its RX
 * queues, takes what it sends, and holds it as a NIC does before the mbufs are given back.
 */
#ifndef SIM_NET_H
#define SIM_NET_H

#include "run.h"

void sim_net_create(struct sim_run *run);
void sim_net_free(struct sim_run *run);

/** Everything that is due now waits before its queue. */
void sim_net_advance(struct sim_run *run);
/** Put up to `n` packets that wait before a queue into its ring. */
void sim_net_give(struct sim_run *run, unsigned int port, unsigned int queue, unsigned int n);
/** The queue that an endpoint's packets come to. */
unsigned int sim_net_rss(const struct sim_run *run, unsigned int port, const struct sim_addr *addr);
/** A packet of QUIC (quic.h) waits before a queue. */
void sim_net_bring(struct sim_run *run, unsigned int port, unsigned int queue, uint32_t what);
/** Packets that wait before a queue. */
unsigned int sim_net_waiting(const struct sim_run *run, unsigned int port, unsigned int queue);
/** When the next one is due; UINT64_MAX if none is on its way. */
uint64_t sim_net_next(const struct sim_run *run);

/** The wire takes `n` frames of each queue, whose mbufs go back. */
void sim_net_send(struct sim_run *run, unsigned int n);
/** Frames that the ports hold. */
unsigned int sim_net_held(const struct sim_run *run);
/** Free what the ports hold and what was not received; after the relay. */
void sim_net_clear(struct sim_run *run);

/** The next hop of this peer's endpoint gets another MAC address. */
void sim_net_failover(struct sim_run *run, const struct sim_addr *addr, bool announce);
/** Look at what the queue that was offered frames last has taken. */
void sim_net_collect(struct sim_run *run);

/** When the next hop of an endpoint last answered, 0: never. */
uint64_t sim_net_answered(const struct sim_run *run, const struct sim_addr *addr);

#endif

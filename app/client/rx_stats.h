/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What arrived, per SSRC: loss, reordering and duplicates through a sliding window of extended
 * sequence numbers (RFC 3550 appendix A.1), one-way delay and jitter. Packets and time are
 * arguments.
 */
#ifndef CLIENT_RX_STATS_H
#define CLIENT_RX_STATS_H

#include "gen.h"
#include "plm_base.h"
#include "plm_stats.h"
#include "plm_wire.h"

/** Sequence numbers behind the highest for which duplicates are told from reordering. */
#define RX_WINDOW 1024
/** SSRCs that one participant keeps statistics of. */
#define RX_STREAMS_MAX 4096

struct rx_stream {
	/* const */
	uint32_t ssrc;
	uint32_t order; /**< of appearance, from 0 */
	uint32_t clock_hz;
	uint8_t payload_type; /**< of the first packet */
	bool own;             /**< our own stream came back */
	bool generated;       /**< first packet was the generator's: the rest must be */

	/* sequence */
	uint64_t base; /**< lowest extended number of this run */
	uint64_t highest;
	uint64_t restart;         /**< a jump back: the number that would confirm a restart */
	uint64_t expected_before; /**< packets expected of earlier runs */
	uint64_t seen[RX_WINDOW / 64];

	/* counters */
	uint64_t received; /**< all of the below */
	uint64_t bytes;
	uint64_t unique;
	uint64_t reordered; /**< of the unique ones, those that came after a later one */
	uint64_t duplicates;
	uint64_t late;    /**< too old to tell whether duplicate or reordered */
	uint64_t corrupt; /**< generator's packets with a wrong checksum or pattern */
	uint64_t restarts;

	/* time */
	uint64_t first_ns;
	uint64_t last_ns;
	int64_t transit_ns;
	uint32_t last_timestamp;
	uint64_t jitter_ns;      /**< RFC 3550 §6.4.1, times 16 */
	struct plm_hist *delay;  /**< one-way; owned; NULL unless generated on this machine */
	struct plm_hist *jitter; /**< |D| of packets that follow each other; owned */

	/* RTCP */
	uint64_t nb_sr;
	uint64_t nb_rr;
	bool bye;
	uint32_t last_sr; /**< middle 32 bits of the last SR's NTP time */
	uint64_t last_sr_ns;
	uint64_t expected_prior; /**< at the last report block */
	uint64_t received_prior;
};

/** Statistics of everything that one participant received. */
struct rx_table {
	struct rx_stream **streams; /**< in order of appearance; owned */
	uint32_t nb_streams;
	uint32_t *slot;    /**< hash of SSRC: index + 1 into `streams`; owned */
	uint32_t nb_slots; /**< a power of two */
	uint64_t refused;  /**< packets of SSRCs beyond RX_STREAMS_MAX, or without memory */
};

/** Packets that should have come: from the first one received to the highest. */
uint64_t rx_expected(const struct rx_stream *rx);

/** Of those, the missing ones. */
uint64_t rx_lost(const struct rx_stream *rx);

/** One packet. `stamp` counts for GEN_INTACT only. */
void rx_packet(struct rx_stream *rx, const struct plm_rtp *rtp, size_t len, uint64_t now_ns,
		enum gen_verdict verdict, const struct gen_stamp *stamp);

/** A block of a receiver report (RFC 3550 §6.4.1), host order. */
struct rx_report {
	uint32_t ssrc;
	uint8_t fraction_lost;
	int32_t lost;
	uint32_t highest;
	uint32_t jitter;
	uint32_t last_sr;
	uint32_t delay_since_sr;
};

/** Fill in a report block; the next fraction counts from here. */
void rx_report(struct rx_stream *rx, uint64_t now_ns, struct rx_report *report);

struct rx_stream *rx_lookup(const struct rx_table *table, uint32_t ssrc);

/** Lookup, or make. NULL when there is no room (counted). */
struct rx_stream *rx_get(struct rx_table *table, uint32_t ssrc);

void rx_table_fini(struct rx_table *table);

#endif

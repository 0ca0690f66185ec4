/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The program around the engine: command line, EAL and port, trials, reports. One thread.
 */
#ifndef LOAD_MAIN_H
#define LOAD_MAIN_H

#include <jansson.h>
#include <stdio.h>

#include "load.h"

#define LOAD_VDEVS_MAX 4
#define LOAD_WHY_SIZE  512
#define LOAD_TEXT_SIZE 128
#define LOAD_TRIALS    512 /* of a search, at most: 30 rates of 16 trials, and repeats */

/** Exit codes, documented in docs/load.md. */
enum load_exit {
	LOAD_OK = 0,
	LOAD_FAILED_TO_RUN = 1, /**< usage or system */
	LOAD_WAS_REFUSED = 2,
	LOAD_CONSENT_LOST = 3,
	LOAD_TOO_LOSSY = 4,
	LOAD_NO_ANSWER = 5,
};

enum load_search_kind {
	SEARCH_NONE,
	SEARCH_NDR, /**< no loss at all */
	SEARCH_PDR, /**< at most 0.5 % */
};

struct options {
	struct load_conf conf; /**< ports, pools and keys are filled in later */
	const char *vdevs[LOAD_VDEVS_MAX];
	unsigned int nb_vdevs;
	char port[RTE_ETH_NAME_MAX_LEN];
	const char *eal;
	unsigned int cpu;
	bool has_cpu;
	bool no_huge;
	unsigned int memory_mb;
	uint16_t nb_rxd;
	uint16_t nb_txd;
	uint16_t mtu; /**< 0: the driver's */
	const char *secret_path;
	bool has_relay;
	bool has_address;
	bool print_static;

	uint64_t rate; /**< 0: flat out */
	uint64_t duration_ns;
	uint64_t warm_up_ns;
	uint64_t timeout_ns;
	bool has_max_loss;
	double max_loss;

	enum load_search_kind search;
	unsigned int trials;
	uint64_t trial_ns;
	uint64_t ceiling; /**< 0: what goes flat out */
	double precision;
	uint64_t gap_ns; /**< a longer pause between two turns disturbs a trial */

	const char *json_path;
	bool quiet;
};

/** Read the command line. 0, -EINVAL (said on stderr), 1 (help was asked for and printed). */
int load_options(int argc, char **argv, struct options *o);

/** A run, and what else was seen of it. */
struct trial {
	struct load_result r;
	uint64_t missed;      /**< by our own port: the sink was too slow */
	uint64_t preemptions; /**< of our thread */
	bool disturbed;
	bool cut;               /**< by a signal */
	uint64_t latency_ns[4]; /**< p50, p99, p99.9, largest */
	uint64_t nb_latencies;
	struct load_quic_result quic; /**< all 0 without */
	const char *verdict;          /**< of a search's trial; NULL: none */
};

/** Keep the percentiles of a run, since the next one begins anew. */
void trial_keep_latency(struct trial *trial, const struct plm_hist *latency);

/** What stands above all results. */
struct report {
	const struct options *options;
	const struct plm_port *port;
	char driver[LOAD_TEXT_SIZE];
	char cpu[LOAD_TEXT_SIZE];
	bool began; /**< the live table has its heading */
};

void report_init(struct report *report, const struct options *options, const struct plm_port *port);
void report_setup(const struct report *report);
/** One line a second: what happened since `before`. */
void report_live(struct report *report, const struct load_result *before,
		const struct load_result *now, const struct plm_hist *latency);
void report_trial(const struct report *report, const struct trial *trial, unsigned int number);
/** Of QUIC: those who joined. */
void report_joined(const struct load_quic_result *quic);
void report_run(const struct report *report, const struct trial *trial);
void report_search(const struct report *report, const struct load_search *search);
/** Write --json. `search` and `trials` of a search, otherwise one trial. 0 or negative errno. */
int report_json(const struct report *report, const struct load_search *search,
		const struct trial *trials, unsigned int nb_trials, enum load_exit code);

#endif

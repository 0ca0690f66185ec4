/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * One run: a relay, its lcores as fibers, the network around it, and what is known of all that.
 *
 *   plan ──▶ net ──▶ RX rings ──▶ relay (lib/, as it ships) ──▶ TX rings ──▶ net
 *             │                      │ points, faults, events                 │
 *             │                      ▼                                        ▼
 *             └──────────────▶ oracle (who is owed what) ◀───────────── every frame
 *                              checks (what must hold of the relay's own state)
 *
 * A packet's way: an operation of the plan ─▶ struct sim_packet ─▶ struct sim_arrival (packet.c) ─▶
 * sim_net_give() ─▶ sim_oracle_arrived() ─▶ the relay ─▶ plm_sim_tx() ─▶ sim_net_collect() ─▶
 * sim_oracle_sent(); sim_oracle_rest() judges it.
 *
 * Everything is the scheduler's, in one thread; nothing here is read by two at once. The plan is
 * const in a run. Network, oracle and checks are made and freed by sim_run(), and written by their
 * own file alone; the ledger is the oracle's until the caller takes it. EAL, ports, pools, fibers
 * and the pages of guard.c outlive a run; a run that fails ends its process.
 *
 * Something new to be relayed: its packets in plan.h and packet.c, its stories in story.c, whom it
 * owes what and what may drop it in oracle.c (owes(), drop_explained()), who may send it in
 * admission.c, its state in check.c; its sites, points and mutants in lib/base/plm_sim.h.
 */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "fiber.h"
#include "plan.h"
#include "plm_ctl.h"
#include "trace.h"

/** X(ID, name, what must hold) */
#define SIM_INVARIANTS(X)                                                                          \
	X(CONTENT, "content", "what leaves is byte for byte what came in, headers and sums right") \
	X(TWICE, "twice", "nothing is delivered twice")                                            \
	X(MISSING, "missing", "every copy due is delivered, or counted as dropped")                \
	X(EXPLAINED, "explained", "a drop's reason is one that the packet gave cause for")         \
	X(STRANGER, "stranger", "nothing goes to who is not in the room")                          \
	X(SENDER, "sender", "nothing goes back to its sender")                                     \
	X(AFTER_LEAVE, "after_leave", "nothing goes to who left a grace period ago")               \
	X(ORDER, "order", "first in, first out, per publisher's address and subscriber")           \
	X(WAY_OUT, "way_out", "a copy leaves through its subscriber's port, to its next hop")      \
	X(HOME, "home", "only a session's home worker sends to it")                                \
	X(OWNER, "owner", "only the owner of a queue sends through it")                            \
	X(VIEW, "view", "a view is whole when it is published, and never changes")                 \
	X(FREED, "freed", "what was freed is never read")                                          \
	X(REFERENCES, "references",                                                                \
			"a payload lives as long as somebody sends it, and one worker counts")     \
	X(ADMISSION, "admission", "nobody comes in who may not, and refusals say why")             \
	X(CONSENT, "consent", "exactly the silent lose their session")                             \
	X(MOVES, "moves", "a session moves for fresh, nominated or overdue requests only")         \
	X(ANSWERS, "answers", "an answer goes to who asked, and is no larger")                     \
	X(CONTROL, "control", "no control message is lost")                                        \
	X(TRACE, "trace", "a trace has what its room received, all of it, once and in order")      \
	X(SUMS, "sums", "per lcore: received = handed on + media + dropped; due = sent + dropped") \
	X(DROPS, "drops", "every packet dropped is counted once, under its reason")                \
	X(BUDGET, "budget", "no turn does more than it may")                                       \
	X(EMPTY, "empty", "when everybody has left, every table and backlog is empty")             \
	X(LCORE, "lcore", "a connection is touched by the lcore that owns it, and by no other")    \
	X(NONCE, "nonce", "no nonce is used twice with a key")                                     \
	X(IDS, "ids", "what comes for a connection that is gone reaches no other one")             \
	X(WINDOW, "window", "a window that was full opens when its path is good again")            \
	X(SIGNALS, "signals", "who is in a room is told so, all of it, once and in order")         \
	X(POOLS, "pools", "at the end every mempool is full")                                      \
	X(AGREE, "agree", "one worker and several deliver the same")                               \
	X(CRASH, "crash", "no signal, no failed assertion")                                        \
	X(STUCK, "stuck", "the relay comes to rest when nothing more happens")

enum sim_invariant {
#define SIM_INVARIANT_ID(id, name, help) SIM_INV_##id,
	SIM_INVARIANTS(SIM_INVARIANT_ID)
#undef SIM_INVARIANT_ID
			SIM_INV_MAX
};

extern const char *const sim_invariant_names[SIM_INV_MAX];

/** X(ID, name, what it does): what goes wrong outside of the relay's code. */
#define SIM_WORLD_FAULTS(X)                                                                        \
	X(LOSS, "loss", "a packet is lost on its way")                                             \
	X(BURST_LOSS, "burst_loss", "most packets of 50 ms are lost")                              \
	X(DUPLICATE, "duplicate", "a packet comes twice")                                          \
	X(REORDER, "reorder", "a packet comes before an earlier one")                              \
	X(CORRUPT, "corrupt", "a bit of a packet is flipped")                                      \
	X(PATH_MTU, "path_mtu", "a packet is too large for its path")                              \
	X(PARTITION, "partition", "a port is cut off")                                             \
	X(NEIGHBOUR_LOSS, "neighbour_loss", "an ARP or ND answer is lost")                         \
	X(SLOW_WIRE, "slow_wire", "a TX queue has no descriptor left")                             \
	X(WORKER_STALL, "worker_stall", "a worker takes no turn for a while")                      \
	X(CTL_STALL, "ctl_stall", "the slow path takes no turn for a while")                       \
	X(LATE_CLOCK, "late_clock", "an lcore is told an old time")                                \
	X(EXPIRY, "expiry", "a request comes with a credential that has just expired")             \
	X(FAILOVER, "failover", "a next hop gets another MAC address")                             \
	X(OFFLINE, "offline", "a worker sleeps, offline")                                          \
	X(SPREAD, "spread", "a room grows beyond what lives with one worker")                      \
	X(GATHERED, "gathered", "a room shrinks to what lives with one worker")                    \
	X(QUIC_HELLO_LOSS, "quic_hello_loss", "a packet of a QUIC handshake is lost")              \
	X(QUIC_LOSS, "quic_loss", "another packet of a QUIC connection is lost")                   \
	X(QUIC_UPDATE, "quic_update", "a QUIC client changes its keys")                            \
	X(QUIC_MIGRATE, "quic_migrate", "a QUIC client goes on from another address")              \
	X(QUIC_REBIND, "quic_rebind", "a NAT gives a QUIC client another address")                 \
	X(QUIC_OUTAGE, "quic_outage", "a QUIC client is cut off")                                  \
	X(QUIC_DEAF, "quic_deaf", "a QUIC client reads no packet")                                 \
	X(QUIC_UNREAD, "quic_unread", "a QUIC client reads no stream")                             \
	X(QUIC_ASTRAY, "quic_astray", "a QUIC packet comes to another worker than its home")       \
	X(QUIC_RUSH, "quic_rush", "a handshake ends while its worker has media in hand")           \
	X(QUIC_RETRY, "quic_retry", "a handshake has to show its address first")                   \
	X(QUIC_GHOST, "quic_ghost", "a QUIC client is gone without a word")                        \
	X(WZP_STRANGE, "wzp_strange", "a WZP client does not introduce itself as is due")          \
	X(WZP_REFUSED, "wzp_refused", "a WZP client is refused")                                   \
	X(WZP_JUNK, "wzp_junk", "a WZP client says what is no signal")                             \
	X(WZP_HANGUP, "wzp_hangup", "a WZP client hangs up")                                       \
	X(WZP_SKIPPED, "wzp_skipped", "a WZP client is told the newest list, and not each")        \
	X(WZP_GIVEN_UP, "wzp_given_up", "a list that a WZP client does not read is given up")      \
	X(WZP_CREDIT, "wzp_credit", "a WZP client allows no more streams")                         \
	X(WZP_FLOOD, "wzp_flood", "a WZP client says more than is read")                           \
	X(QUIC_FLOOD, "quic_flood", "a QUIC client sends more than its room's rate")

enum sim_world_fault {
#define SIM_WORLD_ID(id, name, help) SIM_WORLD_##id,
	SIM_WORLD_FAULTS(SIM_WORLD_ID)
#undef SIM_WORLD_ID
			SIM_WORLD_MAX
};

/** How often everything that can go wrong did. */
struct sim_fired {
	uint64_t site[PLM_FAULT_MAX];
	uint64_t world[SIM_WORLD_MAX];
	uint64_t point[PLM_SCHED_MAX]; /* reached */
	uint64_t yield[PLM_SCHED_MAX]; /* and somebody else ran */
};

struct sim_lcore {
	struct sim_fiber *fiber;
	unsigned int worker; /* or nb_workers: the slow path */
	bool in_turn;
	bool offline;
	bool stop;
	unsigned int idle; /* turns in a row that found nothing */
	uint64_t nap_step; /* it goes on from this step on */
	uint64_t turns;
	uint64_t now_ns; /* of its turn */
};

struct sim_run {
	/* const */
	const struct sim_plan *plan;
	unsigned int nb_workers;
	uint64_t max_steps;

	/* the relay under test */
	struct plm_ctl *ctl;
	struct plm_ctl_conf conf;
	struct plm_port ports[SIM_PORTS];
	const struct plm_port *port_list[SIM_PORTS];
	struct plm_net_local_conf locals[2 * SIM_PORTS];

	/* sched.c */
	struct sim_lcore lcores[SIM_WORKERS + 1];
	struct sim_rng rng;
	uint64_t now_ns;
	uint64_t step;
	uint64_t tick;                 /* moves on with everything that is observed */
	bool tracing;                  /* some room was traced: there are frames to be read */
	bool settling;                 /* the story is over: no faults, no stalls */
	uint16_t fault[PLM_FAULT_MAX]; /* n in 1024, now */
	uint64_t stalled_until[SIM_WORKERS + 1];
	uint64_t late_until[SIM_WORKERS + 1];
	uint64_t late_ns[SIM_WORKERS + 1];
	uint32_t wire_slow; /* a port sends at this fraction of its speed; 1 */

	struct sim_fired fired;
	struct sim_trace trace;

	/* the first thing that did not hold */
	bool failed;
	enum sim_invariant invariant;
	char text[512];

	struct sim_net *net;
	struct sim_oracle *oracle;
	struct sim_check *check;
	struct sim_quic *quic; /* NULL: a story without */
};

/** The run that goes on; NULL between runs. */
extern struct sim_run *sim;

/** Something does not hold. The first one counts; the run ends with it. */
void sim_fail(enum sim_invariant invariant, const char *fmt, ...)
		__attribute__((format(printf, 2, 3)));

/** Expect, in a condition's place. */
#define SIM_EXPECT(cond, invariant, ...)                                                           \
	do {                                                                                       \
		if (!(cond))                                                                       \
			sim_fail(SIM_INV_##invariant, __VA_ARGS__);                                \
	} while (0)

/** What a pair of relays is compared by: per packet and seat, see oracle.h. */
struct sim_ledger;

struct sim_result {
	bool failed;
	enum sim_invariant invariant;
	char text[512];
	uint64_t hash;
	uint64_t steps;
	uint64_t nb_in;          /* packets that the relay received */
	uint64_t nb_copies;      /* frames that it sent to participants */
	uint64_t nb_judged;      /* copies that had to be delivered, and were, or were counted */
	uint64_t nb_compared;    /* certain copies that two runs of one plan were compared by */
	uint64_t foreign_random; /* calls for randomness or time from outside of the relay */
	struct sim_fired fired;
};

struct sim_run_conf {
	uint64_t max_steps;
	unsigned int nb_workers;   /* 0: as the seed says */
	const char *trace;         /* file, or NULL */
	struct sim_ledger *ledger; /* filled, if not NULL */
};

/** EAL, ports and pools; once a process. */
void sim_world_init(void);

/** One run. After a failure the process is of no further use. */
void sim_run(const struct sim_plan *plan, const struct sim_run_conf *conf,
		struct sim_result *result);

/* --- world.c -------------------------------------------------------------------------------- */

/** Make the relay; leave it running. */
void sim_relay_create(struct sim_run *run);
/** Undo; then every pool must be full. */
void sim_relay_free(struct sim_run *run);
struct rte_mempool *sim_rx_pool(unsigned int queue);
struct rte_ring *sim_rx_ring(unsigned int port, unsigned int queue);
struct rte_ring *sim_tx_ring(unsigned int port, unsigned int queue);
/** Port and queue of an ethdev's number. */
unsigned int sim_port_of(uint16_t ethdev_id);
/** Whether this mbuf holds what was received: a packet of the plan, or of a neighbour. */
bool sim_is_rx(const struct rte_mbuf *m);
/** Arrival + 1 of a received mbuf, 0 if it is none of the plan's. */
#define sim_tag(m) ((m)->dynfield1[0])
/** Frames that the ports hold of a payload. */
#define sim_held(m) ((m)->dynfield1[1])
/** Worker + 1 that counts its references, 0 if none has yet. */
#define sim_counted(m) ((m)->dynfield1[2])

/* --- sched.c -------------------------------------------------------------------------------- */

/** Take turns until the story is over, everybody gone, and the relay at rest. */
void sim_sched_run(struct sim_run *run);
/** The lcore that runs, NULL outside of its fiber. */
struct sim_lcore *sim_lcore_self(void);
/** Nothing is under way: no packet in a ring, a buffer, a parked fan-out or a turn. */
bool sim_at_rest(const struct sim_run *run);

#endif

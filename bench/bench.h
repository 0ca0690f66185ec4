/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of plenum-bench share. Two lcores: main feeds, the worker is measured (in
 * workers.c main is a worker, too). A sample is some milliseconds of one thing; figures are medians
 * over samples taken in turns.
 */
#ifndef PLM_BENCH_H
#define PLM_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_cycles.h>
#include <rte_ring.h>

#include "plm_relay.h"
#include "plm_wire.h"

/** What stands before every payload: Ethernet, IPv4, UDP. */
#define BENCH_HDR (PLM_ETH_HDR + PLM_IP4_HDR + PLM_UDP_HDR)

/** Frames that a TX queue holds, as descriptors of a NIC would. */
#define BENCH_IN_FLIGHT 1024
/** Packets that an RX queue holds. */
#define BENCH_RX_RING     512
#define BENCH_BURST       32
#define BENCH_COPY_BELOW  256 /**< what a configuration gets that says nothing */
#define BENCH_MEMBERS_MAX 1000
#define BENCH_UDP_PORT    3478

/** End with a message: a bench that cannot measure says so and stops. */
void bench_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* --- samples ------------------------------------------------------------------------------- */

/** Values of one figure, one per repetition. */
struct bench_series {
	double *v;
	unsigned int n;
	unsigned int size;
};

/** Median and its 95 % interval (order statistics, no distribution assumed). */
struct bench_stat {
	double median;
	double lo;
	double hi;
	unsigned int n;
};

void bench_series_add(struct bench_series *series, double value);
struct bench_stat bench_series_stat(const struct bench_series *series);
void bench_series_free(struct bench_series *series);

/** to - from, of one writer that has ended. */
void bench_hist_since(struct plm_hist *diff, const struct plm_hist *from,
		const struct plm_hist *to);

/** Was the calling thread left alone since bench_watch_start()? */
struct bench_watch {
	uint64_t preemptions;
	uint64_t stolen;
	uint64_t wall_ns;
	uint64_t cpu_ns;
};
void bench_watch_start(struct bench_watch *watch);
bool bench_watch_disturbed(const struct bench_watch *watch);
/** Time in which the thread had no CPU: others ran, or the hypervisor's guests. */
uint64_t bench_watch_away_ns(const struct bench_watch *watch);

/** A limit is judged by at least this many pairs. */
#define BENCH_PAIRS_MIN 15

/** A disturbed sample is taken again, this often at most; then it counts, and is counted. */
#define BENCH_RETRIES 16

static inline double
bench_ns(uint64_t cycles)
{
	return (double)cycles * 1e9 / (double)rte_get_tsc_hz();
}

static inline uint64_t
bench_cycles(double ns)
{
	return (uint64_t)(ns * (double)rte_get_tsc_hz() / 1e9);
}

/** Cheap, and of a period that no run sees the end of (xorshift64*). */
static inline uint64_t
bench_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

/* --- ports --------------------------------------------------------------------------------- */

/** What a driver keeps of a TX queue whose frames another lcore takes: it frees them when they are
 *  taken. Owner: the lcore that sends. */
struct bench_txq {
	struct rte_ring *ring;
	uint32_t sent;
	uint32_t freed;
	struct rte_mbuf *frames[BENCH_IN_FLIGHT]; /**< by number modulo BENCH_IN_FLIGHT */
};

/** An in-process port: rings for RX, and TX queues that hold the last BENCH_IN_FLIGHT frames. */
struct bench_port {
	/* as asked for */
	bool sunk;           /**< another lcore takes what is sent, and only looks at it */
	uint16_t copy_below; /**< payloads shorter than this are copied, not shared */
	unsigned int nb_rxd; /**< descriptors of an RX queue; 0: BENCH_RX_RING */
	const char *device;  /**< name of an ethdev that is there already, instead of rings */

	struct plm_port port;
	struct rte_ring *rx[PLM_WORKERS_MAX];
	struct rte_ring *tx[PLM_WORKERS_MAX];
	struct bench_txq *txq[PLM_WORKERS_MAX]; /**< if `sunk` */
	const void *callbacks[PLM_WORKERS_MAX]; /**< before a burst is queued */
};

void bench_port_open(struct bench_port *port, const char *name, uint16_t nb_queues,
		struct rte_mempool **rx_pools);
/** net_null, which frees what it is given at once. */
void bench_port_open_null(struct bench_port *port, struct rte_mempool **rx_pools);
struct rte_ring *bench_ring_create(const char *name, const char *way, unsigned int queue,
		unsigned int size);
/** Nobody uses it any more. */
void bench_port_close(struct bench_port *port);
/** Free what the RX and TX rings hold; nobody uses them meanwhile. */
void bench_port_drain(struct bench_port *port, uint16_t queue);
/** The same for one ring. Its consumer. */
void bench_ring_drain(struct rte_ring *ring);

/* --- the fan-out primitive ----------------------------------------------------------------- */

#define BENCH_PRIMITIVES(X)                                                                        \
	X(SHARED, "shared")                                                                        \
	X(CLONED, "cloned")                                                                        \
	X(COPIED, "copied")                                                                        \
	X(HEADER, "header")

enum bench_primitive_kind {
#define BENCH_PRIMITIVE_ID(id, name) BENCH_##id,
	BENCH_PRIMITIVES(BENCH_PRIMITIVE_ID)
#undef BENCH_PRIMITIVE_ID
			BENCH_PRIMITIVE_KINDS
};

extern const char *const bench_primitive_names[BENCH_PRIMITIVE_KINDS];

/** Pools of the primitive: of the same kind and size as the relay's. */
struct bench_pools {
	struct rte_mempool *payload;
	struct rte_mempool *hdr;
	struct rte_mempool *copy;
	struct rte_mempool *indirect;
};

void bench_pools_create(struct bench_pools *pools, const char *prefix);
void bench_pools_free(struct bench_pools *pools);

struct bench_primitive {
	enum bench_primitive_kind kind;
	uint16_t copies;
	uint16_t size;
	uint16_t ethdev_id;
	uint16_t queue_id;
	const struct bench_pools *pools;
};

/** Send copies that share `payload`, of which each uses up a reference. Any lcore. */
void bench_primitive_send(const struct bench_primitive *p, struct rte_mbuf *payload);
/** Fan one payload out. */
void bench_primitive_once(const struct bench_primitive *p);
/** Cycles per copy, one sample. Worker. */
double bench_primitive_sample(const struct bench_primitive *p, double ns);

/* --- a relay between in-process ports ------------------------------------------------------ */

/** Rooms of one size. */
struct bench_set {
	uint32_t rooms;
	uint32_t members;
	unsigned int home;
	bool spread; /**< members take turns with homes, and one publishes on each worker */
	/* filled by bench_rig_create() */
	uint32_t first;      /**< sender of its first room */
	uint32_t publishers; /**< senders of a room: one, or one a worker */
};

struct bench_rig {
	/* as asked for */
	const char *name;
	unsigned int nb_workers;
	struct bench_set *sets;
	unsigned int nb_sets;
	unsigned int preload; /**< packets that wait for a worker at once, beside RX and TX rings */

	struct bench_port port;
	struct rte_ring *waiting; /**< filled by main; the worker moves on a burst a turn */
	struct rte_mempool *rx_pools[PLM_WORKERS_MAX];
	struct plm_rcu rcu;
	struct plm_session_table *sessions;
	struct plm_room_table *rooms;
	struct plm_net *net;
	struct plm_relay *relay;
	struct plm_counters ctl_counters;
	struct bench_sender *senders; /**< of each room the first member, or one a worker */
	uint32_t nb_rooms;
	uint32_t nb_senders;
	uint32_t nb_sessions;
	size_t session_bytes; /**< of all tables, per session */
	size_t room_bytes;    /**< tables, views, members: per room of the first set of 3 */
	uint64_t now_ns;
	struct {
		uint8_t frame[128];
		size_t len;
	} asked; /**< the last frame that lib/net sent */
};

void bench_rig_create(struct bench_rig *rig);
/** Have every publisher send once and settle its SSRC. Whoever runs it plays all workers. */
void bench_rig_warm(struct bench_rig *rig);
/** The slow path's part between two samples: SSRC claims. Main. */
void bench_rig_slow(struct bench_rig *rig);
/** Every packet became the copies that were due? Dies if not. Main. */
void bench_rig_check(const struct bench_rig *rig);
void bench_rig_free(struct bench_rig *rig);

/** Packets for one RX queue. Owner: main. */
struct bench_feed {
	struct bench_rig *rig;
	const struct bench_set *set;
	uint16_t queue;
	uint16_t publisher; /**< which of a room's publishers */
	uint16_t size;      /**< payload bytes */
	uint16_t burst;     /**< packets that a turn finds */
	uint64_t random;
	_Atomic bool stopped; /**< by the worker: no more */
};

/** What a stamped packet says of itself, behind its RTP header. */
struct bench_stamp {
	uint64_t intended_ns; /**< when the schedule wanted it sent */
	uint64_t run;
};
#define BENCH_STAMP_OFFSET (BENCH_HDR + PLM_RTP_HDR)

/** Put `n` packets of rooms drawn uniformly into a ring, all or none. */
bool bench_feed_put(struct bench_feed *feed, struct rte_ring *ring, unsigned int n);
/** Make `n` packets, at most BENCH_BURST, stamped unless `stamps` is NULL. False: pool empty. */
bool bench_feed_make(struct bench_feed *feed, struct rte_mbuf **m, unsigned int n,
		const struct bench_stamp *stamps);
/** One turn of the feeder: keep `waiting` full. */
void bench_feed_turn(struct bench_feed *feed);

/** What a worker did in one sample. */
struct bench_work {
	uint64_t cycles; /**< in turns that found something */
	uint64_t copies;
};

/** Step a worker for `ns` of work. */
void bench_rig_run(struct bench_rig *rig, unsigned int worker, struct bench_feed *feed, double ns,
		struct bench_work *work);

/** End of a sample: no more packets, and nothing stays parked. The worker's lcore. */
void bench_rig_finish(struct bench_rig *rig, unsigned int worker, struct bench_feed *feed);

/* --- running on the worker lcore ----------------------------------------------------------- */

/** Run `fn` on the worker lcore and `feed` on main (or nothing) until it is done. */
void bench_on_worker(int (*fn)(void *arg), void *arg, struct bench_feed *feed);

/* --- parts and report ---------------------------------------------------------------------- */

struct bench_options {
	unsigned int repetitions;
	unsigned int workers; /**< at most, each on a CPU of its own */
	const char *json;
	const char *markdown;
	const char *self; /**< path of this program, for callgrind */
	bool huge;
	bool skip_count;
	bool quick;    /**< capacity, quic, wzp: only to see that it works */
	bool miscount; /**< capacity, quic: count a copy less, which must not go unnoticed */
};

struct bench_figure_primitive {
	enum bench_primitive_kind kind;
	uint16_t copies;
	uint16_t size;
	bool in_flight;
	struct bench_series ns;
};

struct bench_figure_path {
	uint32_t rooms;
	uint32_t members;
	uint16_t size;
	uint16_t burst;
	struct bench_series ns_per_copy;
	struct bench_series ns_per_ingress;
	struct bench_series x_primitive;
	/* against the figure before it in the table, where a limit asks for it */
	struct bench_series x_before_copy;
	struct bench_series x_before_ingress;
	double at_ns; /**< when its last sample ended, and what it said: for pairs */
	double last_ns_per_copy;
	double last_ns_per_ingress;
};

struct bench_figure_workers {
	unsigned int workers;
	uint32_t rooms; /**< of all workers */
	uint32_t members;
	uint16_t size;
	bool spread; /**< one room over all workers, else each room on one of them */
	struct bench_series ns_per_copy; /**< time of all workers by copies of all */
	struct bench_series ns_slowest;  /**< of the worker whose copies cost most */
	struct bench_series x_one_worker;
};

#define BENCH_LENDING_SIZES 2

/** One payload for two lcores: shared by them, or lent to the second and copied there. */
struct bench_figure_lending {
	uint16_t size;
	struct bench_series lent_ns; /**< per copy of one lcore */
	struct bench_series shared_ns;
	struct bench_series x_lent; /**< shared by lent */
};

struct bench_figure_kernel {
	uint16_t copies;
	uint16_t size;
	struct bench_series ns;
	struct bench_series bare_ns;
};

/** The highest rate at which no more is lost than a limit allows. */
struct bench_figure_rate {
	uint32_t rooms;
	uint32_t members;
	uint16_t size;
	double flat_pps; /**< into the relay, when it never waits for packets */
	double wire_busy; /**< part of main's time, meanwhile; near 1 it is the limit, not the relay */
	uint64_t ndr_pps;
	uint64_t pdr_pps;
	unsigned int ndr_repeated; /**< disturbed windows that were taken again */
	unsigned int pdr_repeated;
	unsigned int pdr_searches; /**< more than one: it did not hold while latency was measured */
};

/** Latency at a part of PDR. */
struct bench_figure_latency {
	double load;
	uint64_t rate_pps;
	bool in_relay; /**< from RX burst to TX burst; else from the intended time to the sink */
	struct bench_series p50_us; /**< one of each trial */
	struct bench_series p99_us;
	struct bench_series p999_us;
	uint64_t due; /**< copies of all trials; a lost one counts as the latest */
	uint64_t lost;
	unsigned int windows;
	unsigned int repeated;  /**< disturbed ones that were taken again */
	unsigned int disturbed; /**< that count although they were */
};

/** What was lost at a part of NDR. */
struct bench_figure_loss {
	double load;
	uint64_t rate_pps;
	uint64_t copies;
	uint64_t lost;
	unsigned int windows;
	unsigned int repeated;
	unsigned int disturbed;
	uint64_t repeated_lost; /**< in those, and not in `lost` */
};

/** A delivered QUIC datagram, its receiver's acknowledgements included. */
struct bench_figure_quic {
	uint32_t rooms; /**< that take part, each with one speaker */
	uint32_t members;
	uint16_t size; /**< bytes of a datagram */
	const char *cipher;
	const char *backend;
	bool is_limited;
	struct bench_series ns;      /**< per delivery, the worker's */
	struct bench_series bare_ns; /**< and the library's alone */
	struct bench_series x_bare;
	struct bench_series x_bare_less; /**< without BENCH_QUIC_FIXED_NS, by the library's */
};

/** The same by a relay on kernel sockets and the same library, packets of one receiver leaving one by
 *  one or, where there are several, as one (GSO). */
struct bench_figure_quic_kernel {
	uint32_t rooms;
	uint32_t members;
	uint16_t size;
	uint16_t at_once;       /**< datagrams that a speaker sends in a row */
	struct bench_series ns; /**< per delivery, ours */
	struct bench_series plain_ns;
	struct bench_series gso_ns;
	struct bench_series x_plain; /**< theirs by ours */
	struct bench_series x_gso;
};

/** Of one latency, one of each trial. */
struct bench_quantiles {
	struct bench_series p50_us;
	struct bench_series p99_us;
	struct bench_series p999_us;
};

/** Latency of QUIC datagrams at a part of what the worker can deliver. */
struct bench_figure_quic_latency {
	uint32_t rooms;
	uint32_t members;
	uint16_t size;
	double load; /**< asked for: rate by what the worker can do, as it was measured before */
	uint64_t rate_pps; /**< datagrams per second into the relay */
	double busy;       /**< part of the worker's time in turns in which something was done */
	uint64_t deliveries;
	struct bench_quantiles in_relay;   /**< from RX burst to TX burst */
	struct bench_quantiles at_clients; /**< from the time it was due to the client */
	unsigned int windows;
	unsigned int repeated;  /**< disturbed ones that were taken again */
	unsigned int disturbed; /**< that count although they were */
};

/** What WZP adds to QUIC. */
struct bench_figure_wzp {
	bool is_measured;
	/* rooms of 48, one after another */
	struct bench_series joins_per_s;   /**< of the relay's calls, RoomUpdates included */
	struct bench_series signals_per_s; /**< Ping and Pong, of the slow path's time */
	struct bench_series signal_worker_ns;
	/* many who are connected join one room at once */
	uint32_t storm;
	unsigned int nb_storms;
	unsigned int storm_disturbed;      /**< storms during which a thread lost its CPU */
	struct bench_series storm_in_ms;   /**< until all were answered */
	struct bench_series storm_told_ms; /**< and the newest RoomUpdate of each listed all */
	struct bench_series storm_ctl_ms;  /**< of the slow path's turns meanwhile */
	struct bench_series storm_busy;    /**< part of the worker's time */
	struct bench_series storm_made;    /**< RoomUpdates */
	struct bench_series storm_updates; /**< that clients received */
	struct bench_series storm_mb;
	struct bench_series storm_p99_us; /**< of a room of 11, in the relay */
	struct bench_series calm_p99_us;  /**< before */
	/* joins and leaves of another room: p99 in the relay of windows in turns */
	struct bench_series alone_us;
	struct bench_series beside_us;
	struct bench_series more_us; /**< the difference of each pair */
	uint64_t joins_beside;
	unsigned int slices;
	unsigned int slices_repeated;
	unsigned int slices_disturbed;
	/* instructions of the worker for a datagram that goes to ten, without and with a report; 0: no figure */
	double count_plain;
	double count_report;
};

/** What a relay may add to a delivery whatever the library takes, ns. */
#define BENCH_QUIC_FIXED_NS 80

#define BENCH_LATENCY_TRIALS 10
#define BENCH_LATENCY_LOAD   0.9 /**< of PDR; the one that is judged */

struct bench_figure_count {
	uint32_t members;
	double path;
	double primitive;
};

struct bench_figures {
	struct bench_figure_primitive *primitive;
	unsigned int nb_primitive;
	struct bench_figure_path *path;
	unsigned int nb_path;
	struct bench_figure_workers *workers;
	unsigned int nb_workers;
	struct bench_figure_lending lending[BENCH_LENDING_SIZES];
	struct bench_figure_kernel *kernel;
	unsigned int nb_kernel;
	struct bench_figure_rate *rate;
	unsigned int nb_rate;
	struct bench_figure_latency *latency;
	unsigned int nb_latency;
	struct bench_figure_loss loss;
	struct bench_figure_quic *quic;
	unsigned int nb_quic;
	struct bench_figure_quic_kernel *quic_kernel;
	unsigned int nb_quic_kernel;
	struct bench_figure_quic_latency *quic_latency;
	unsigned int nb_quic_latency;
	struct bench_series shakes_ed25519; /**< handshakes per second of the relay's calls */
	struct bench_series shakes_p256;
	double quic_used_bytes; /**< of a connection, by what it holds */
	double quic_held_bytes; /**< and what is set aside for it */
	struct bench_figure_wzp wzp;
	struct bench_figure_count *count;
	unsigned int nb_count;
	struct bench_series cross_same;
	struct bench_series cross_cross;
	struct bench_series to_kernel;        /**< ratio, in-process */
	struct bench_series virtio_to_kernel; /**< ratio, across virtio-user and vhost */
	struct bench_series virtio_ns;        /**< per copy */
	struct bench_series virtio_x_bare;    /**< kernel relay by a bare sendmmsg() loop */
	size_t session_bytes;
	size_t room_bytes;
	unsigned int disturbed; /**< samples that count although they were disturbed */
	unsigned int repeated;  /**< samples taken again */
};

extern struct bench_figures bench_figures;

void bench_primitive_all(const struct bench_options *opt);
void bench_path_all(const struct bench_options *opt);
void bench_crossing(const struct bench_options *opt);
/** The path on 1 worker, 2, 4... opt->workers, all at once. */
void bench_workers_all(const struct bench_options *opt);
/** A payload that two lcores send: shared, or lent and copied. */
void bench_lending(const struct bench_options *opt);
/** NDR, PDR, latency at parts of them, loss: a generator that keeps a schedule, and a sink. */
void bench_capacity_all(const struct bench_options *opt);
/** Datagrams over QUIC, beside the library alone; handshakes; memory. */
void bench_quic_all(const struct bench_options *opt);
/** Signals, joins, what others notice of them, reports. */
void bench_wzp_all(const struct bench_options *opt);
/** The path across virtio-user and vhost, against kernel sockets. */
void bench_virtio_all(const struct bench_options *opt);
/** Keep a worker busy with one room, for whoever looks at it with a profiler: "MEMBERS:SECONDS". */
void bench_profile(const char *what);
void bench_kernel_all(const struct bench_options *opt);
/** Instructions per copy, by callgrind over this program. */
void bench_count_all(const struct bench_options *opt);
/** The same for a datagram over QUIC with a report, and without. */
void bench_count_reports(const struct bench_options *opt, struct bench_figure_wzp *fig);
/** What runs under callgrind: "path:100", "primitive:100", "datagram:11" or "report:11". Prints the copies
 *  made, or datagrams. */
void bench_count_one(const char *what);

/** Take a sample on the worker, again while it is disturbed. */
void bench_sample(int (*fn)(void *arg), void *arg, struct bench_feed *feed);

/** One sample of the kernel-socket relay, and of a bare sendmmsg() loop; ns per copy. */
struct bench_kernel;
struct bench_kernel *bench_kernel_open(uint16_t copies, uint16_t size);
void bench_kernel_sample(struct bench_kernel *kernel, double *ns, double *bare_ns);
void bench_kernel_close(struct bench_kernel *kernel);

/** Print the tables and limits, write the files. True when every limit is met. */
bool bench_report(const struct bench_options *opt);

#endif

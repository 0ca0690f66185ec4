/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * plenum-load's engine: participants of many rooms behind one ethdev queue, a paced generator and
 * a sink that accounts for every copy. The ethdev, time and randomness are arguments, so that
 * tests and benches can drive it. packet.c lays out frames, pace.c says what is due, sink.c
 * counts, search.c looks for a rate, quic.c has clients that come over QUIC, wzp.c what they
 * say on streams, engine.c joins and runs.
 * Everything here belongs to the one lcore that calls load_turn().
 */
#ifndef LOAD_H
#define LOAD_H

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "ice.h"
#include "plm_admit.h"
#include "plm_net.h"
#include "plm_quic.h"
#include "plm_stats.h"
#include "plm_wzp.h"

#define LOAD_PARTICIPANTS_MAX 65536
#define LOAD_PAIRS_MAX        (1u << 22) /**< publisher × subscriber pairs, 64 bytes each */
#define LOAD_SIZES_MAX        8
#define LOAD_ADDRESSES_MAX    1024
#define LOAD_TX_BUF           64
#define LOAD_TX_SPARE         16 /**< of them, for answers and checks: the generator leaves them */
#define LOAD_HDR_MAX          (PLM_ETH_HDR + PLM_IP6_HDR + PLM_UDP_HDR)
#define LOAD_OTHER_MAX        512 /**< bytes of payload of what is no media: STUN, garbage */
#define LOAD_STAMP            32  /**< bytes behind the RTP header that the sink reads */
#define LOAD_SIZE_MIN         (PLM_RTP_HDR + LOAD_STAMP)
#define LOAD_SIZE_MAX         9000
#define LOAD_QUIC_SIZE_MAX    1400 /**< of a datagram that fits a packet of PLM_QUIC_PACKET_MAX */
#define LOAD_CHURN_MAX        1000
#define LOAD_PAYLOAD_TYPE     96

/* --- packet.c ------------------------------------------------------------------------------- */

/** Who we are on the wire. Participant i has address `first` + i % nb_addresses and UDP port
 *  `first_port` + i / nb_addresses. */
struct load_net {
	struct rte_ether_addr mac;
	struct rte_ether_addr hop_mac; /**< of the relay, or of the gateway to it */
	struct plm_ip first;
	unsigned int nb_addresses;
	uint16_t first_port;
	struct plm_ip relay;
	struct plm_ip hop; /**< whose MAC address is asked for */
	uint16_t relay_port;
};

/** What a media packet says of itself. */
struct load_stamp {
	uint32_t run; /**< a packet of an earlier run is no news to this one */
	uint32_t publisher;
	uint64_t seq;         /**< of the publisher in this run, from 0 */
	uint64_t intended_ns; /**< when the schedule wanted it sent */
};

void load_stamp_put(uint8_t *rtp, const struct load_stamp *stamp);
/** False: not ours, or harmed. `len` is of the RTP packet. */
bool load_stamp_get(const uint8_t *rtp, size_t len, struct load_stamp *stamp);

/** Own address number `i`. */
void load_address(const struct load_net *net, unsigned int i, struct plm_ip *ip);
/** Which of our addresses it is, or -1. */
int load_address_find(const struct load_net *net, const uint8_t *addr, bool is_v6);

static inline uint16_t
load_participant_port(const struct load_net *net, unsigned int participant)
{
	return (uint16_t)(net->first_port + participant / net->nb_addresses);
}

/** Bytes of Ethernet, IP and UDP headers. */
static inline size_t
load_hdr_len(const struct load_net *net)
{
	return PLM_ETH_HDR + PLM_UDP_HDR + (net->first.is_v6 ? PLM_IP6_HDR : PLM_IP4_HDR);
}

/** Headers from a participant to the relay before a payload of `len` bytes whose ones' complement
 *  sum is `payload_sum`. */
void load_headers(const struct load_net *net, unsigned int participant, uint8_t *frame, size_t len,
		uint16_t payload_sum);
/** Mark a frame of load_headers() with an ECN codepoint. */
void load_ecn_put(const struct load_net *net, uint8_t *frame, uint8_t ecn);
/** That of a frame to us. */
uint8_t load_ecn_get(const struct load_net *net, const uint8_t *frame);

struct load_datagram {
	unsigned int participant; /**< whom it is for; maybe above what there are */
	size_t off;               /**< of the payload */
	size_t len;
};

/** A UDP datagram from the relay to one of our addresses: `avail` bytes of the frame's `len` are
 *  there to be read. */
bool load_datagram_get(const struct load_net *net, const uint8_t *frame, size_t avail, size_t len,
		struct load_datagram *datagram);

/* --- pace.c --------------------------------------------------------------------------------- */

/** An open-loop schedule: packet k is due at start + k / rate, whatever became of those before. */
struct load_pace {
	uint64_t start_ns;
	uint64_t end_ns;
	uint64_t rate; /**< packets per second; 0: as fast as it goes */
	uint64_t n;    /**< packets taken from the schedule */
};

/** When packet `k` is due. */
uint64_t load_pace_at(const struct load_pace *pace, uint64_t k);
/** Packets that are due at `now_ns` and not taken yet; UINT64_MAX flat out. */
uint64_t load_pace_due(const struct load_pace *pace, uint64_t now_ns);
/** Packets of the whole schedule; what was taken, flat out. */
uint64_t load_pace_total(const struct load_pace *pace);

/* --- sink.c --------------------------------------------------------------------------------- */

#define LOAD_WINDOW 256

/** One publisher's packets at one subscriber: a cache line. */
struct load_pair {
	uint64_t next;   /**< highest sequence number seen, plus one */
	uint64_t unique; /**< distinct packets */
	uint32_t duplicates;
	uint32_t reordered; /**< arrived behind a later one */
	uint32_t late;      /**< more than the window behind: as good as lost */
	uint32_t pad;
	uint64_t window[LOAD_WINDOW / 64]; /**< seen, by sequence number modulo LOAD_WINDOW */
};
static_assert(sizeof(struct load_pair) == RTE_CACHE_LINE_SIZE, "one line per pair");

/** Account for a packet. True if it is a new one. */
bool load_pair_take(struct load_pair *pair, uint64_t seq);

/* --- search.c ------------------------------------------------------------------------------- */

/** Binary search for the highest rate at which every trial passes. */
struct load_search {
	uint64_t good;                 /**< highest rate that passed; 0: none yet */
	uint64_t bad;                  /**< lowest rate that did not, or the ceiling plus one */
	uint64_t rate;                 /**< under trial */
	unsigned int nb_trials;        /**< that a rate must pass */
	unsigned int nb_passed;        /**< trials of `rate` so far */
	unsigned int nb_repeated;      /**< disturbed trials so far */
	unsigned int nb_repeated_here; /**< of them, at `rate` */
	double precision;              /**< of the result, as a fraction of it */
	bool over;
};

/** A trial's verdict. */
enum load_verdict {
	LOAD_PASSED,
	LOAD_FAILED,
	LOAD_DISTURBED, /**< failed, but the generator itself was kept from running */
};

#define LOAD_REPEATS_MAX  10
#define LOAD_REPEATS_RATE 3 /**< of them, at one rate */

/** Would a disturbed trial be repeated? Otherwise it counts as failed. */
static inline bool
load_search_repeats(const struct load_search *s)
{
	return s->nb_repeated < LOAD_REPEATS_MAX && s->nb_repeated_here < LOAD_REPEATS_RATE;
}

/** Search from 1 to `ceiling` packets per second; the first rate tried is the ceiling itself. */
void load_search_init(struct load_search *s, uint64_t ceiling, unsigned int nb_trials,
		double precision);
/** A trial at s->rate ended so. Sets the next rate, or `over`. */
void load_search_tell(struct load_search *s, enum load_verdict verdict);

/* --- wzp.c ---------------------------------------------------------------------------------- */

#define LOAD_WZP_FRAME_MAX 1280 /**< of an offer, or of an answer */
#define LOAD_WZP_STREAMS   16 /**< of the relay's that are open at once: what a client must allow */
#define LOAD_WZP_HEAD      64 /**< bytes of a frame that are kept; all of most */

/** A frame that is coming. */
struct load_wzp_stream {
	int64_t id;   /**< -1: none */
	uint32_t len; /**< that came */
	uint8_t head[LOAD_WZP_HEAD + 1];
};

/** What one client says on its streams, and is told; as long as its connection. */
struct load_wzp {
	struct plm_quic_chunk chunk; /**< the offer */
	size_t answer_len;
	bool has_answer;
	uint32_t nb_listed;  /**< participants that the newest RoomUpdate counts; 0: none came */
	uint32_t update_len; /**< bytes of it */
	struct load_wzp_stream streams[LOAD_WZP_STREAMS];
	uint8_t offer[LOAD_WZP_FRAME_MAX];
	uint8_t answer[LOAD_WZP_FRAME_MAX];
};

/** What a part of a stream brought. */
enum load_wzp_news {
	LOAD_WZP_NOTHING,
	LOAD_WZP_ANSWERED, /**< it is in */
	LOAD_WZP_UPDATE,
	LOAD_WZP_PONG,
	LOAD_WZP_OTHER,
	LOAD_WZP_WRONG, /**< an answer that is none or is not signed, or no frame */
};

/** For a new connection: a fresh offer, which costs some 100 us. 0 or negative errno. */
int load_wzp_init(struct load_wzp *w, const struct plm_wzp_identity *id,
		const struct plm_rand *rand, const char *alias);
/** Queue it. As plm_quic_stream_send(). */
int load_wzp_offer(struct load_wzp *w, struct plm_quic_conn *conn);
/** Stream data came: of struct plm_quic_ops. An answer's signature costs as much as an offer. */
enum load_wzp_news load_wzp_take(struct load_wzp *w, int64_t stream_id, const uint8_t *buf,
		size_t len, bool fin);
/** A stream was reset. */
void load_wzp_reset(struct load_wzp *w, int64_t stream_id);

/* --- quic.c --------------------------------------------------------------------------------- */

/** Why somebody did not get in. */
enum load_quic_fail {
	LOAD_QUIC_TIMEOUT, /**< no answer for so long */
	LOAD_QUIC_REFUSED, /**< CONNECTION_REFUSED */
	LOAD_QUIC_TLS,     /**< an alert of the relay's */
	LOAD_QUIC_CLOSED,  /**< any other code of the relay's, before it answered an offer too */
	LOAD_QUIC_ANSWER,  /**< its answer to an offer was none, or not signed */
	LOAD_QUIC_OURS,    /**< what came was wrong, or we had no memory */
	LOAD_QUIC_NB_FAILS,
};
const char *load_quic_fail_name(enum load_quic_fail fail);

/** What became of the connections of those who stay, or of those who come and go. */
struct load_quic_kind {
	uint64_t begun;
	uint64_t established;                /**< handshakes of QUIC */
	uint64_t joined;                     /**< whose offer was answered */
	uint64_t failed[LOAD_QUIC_NB_FAILS]; /**< who did not get so far */
	uint64_t lost;                       /**< who were in, and whom we did not end */
	uint64_t closed;                     /**< by us */
	uint64_t given_up;                   /**< who were not in yet, at our end */
	uint64_t updates;                    /**< RoomUpdates that were read */
	uint64_t update_bytes;
	uint64_t told;         /**< who stay, and whose newest lists as many as stay in a room */
	struct plm_hist times; /**< of handshakes, ns */
	struct plm_hist joins; /**< from the first packet to the answer, ns */
};

struct load_quic_result {
	struct load_quic_kind steady;
	struct load_quic_kind passing; /**< of this run */
	uint64_t no_place; /**< times that all who come and go were under way: none was begun */
	uint64_t stray;    /**< packets for a connection that has ended */
};

/** What the clients need of the engine. */
struct load_quic_user {
	/** Room for PLM_QUIC_PACKET_MAX bytes; NULL: there is none now. */
	uint8_t *(*get)(void *ctx);
	/** A packet of client `client` is there. */
	void (*put)(void *ctx, unsigned int client, size_t len, uint8_t ecn);
	/** A datagram came. */
	void (*media)(void *ctx, unsigned int client, const uint8_t *buf, size_t len,
			uint64_t now_ns);
	void *ctx;
};

struct load_quic_conf {
	struct plm_rand rand;
	struct load_quic_user user;
	struct plm_quic_path path;     /**< to the relay */
	const char *room;              /**< server names are ROOM-0, ROOM-1... */
	unsigned int rooms;            /**< into which others come and go */
	unsigned int room_size;        /**< of those who stay */
	unsigned int nb_steady;        /**< clients 0 to nb_steady - 1 */
	unsigned int handshakes_per_s; /**< of them, at the start */
	unsigned int churn;            /**< that come per second, and go */
	double unread;   /**< part of those who stay that read no stream but the answer's */
	bool has_cipher; /**< only this one is offered */
	enum plm_aead_cipher cipher;
};

struct load_quic;

/** Clients beyond `nb_steady` that so many per second take: their addresses follow. */
unsigned int load_quic_places(unsigned int churn);
/** NULL and rte_errno. */
struct load_quic *load_quic_create(const struct load_quic_conf *conf, uint64_t now_ns);
/** Ends all connections without a word. Takes NULL. */
void load_quic_free(struct load_quic *q);
/** The steady ones begin. */
void load_quic_start(struct load_quic *q, uint64_t now_ns);
/** Others come and go meanwhile, counted anew. */
void load_quic_churn(struct load_quic *q, uint64_t begin_ns, uint64_t end_ns);
/** No others come any more. */
void load_quic_stop(struct load_quic *q, uint64_t now_ns);
/** Handshakes, timers, packets: a bounded amount of each. */
void load_quic_turn(struct load_quic *q, uint64_t now_ns);
/** A UDP payload for a client; it is overwritten. */
void load_quic_input(struct load_quic *q, unsigned int client, uint8_t ecn, uint8_t *buf,
		size_t len, uint64_t now_ns);
/** Send a datagram; PLM_QUIC_NOT_OPEN before the client has joined. */
enum plm_quic_verdict load_quic_send(struct load_quic *q, unsigned int client, const uint8_t *buf,
		size_t len, uint64_t now_ns);
/** Close all with code 0, and say so to the relay for three PTOs, until load_quic_ended(). */
void load_quic_end(struct load_quic *q);
bool load_quic_ended(const struct load_quic *q);
/** Who is on the way in; each ends, in time. */
unsigned int load_quic_nb_arriving(const struct load_quic *q);
const struct load_quic_result *load_quic_result(const struct load_quic *q);
/** Did one who should stay fail or end? Then who was the first, and why. */
bool load_quic_failed(const struct load_quic *q, unsigned int *client, enum load_quic_fail *fail,
		struct plm_quic_end *end);

/* --- engine.c ------------------------------------------------------------------------------- */

struct load_conf {
	/* the port: configured and started, queue 0 is ours */
	uint16_t ethdev_id;
	struct rte_mempool
			*tx_pool; /**< data room for the largest frame, media or LOAD_OTHER_MAX */
	struct load_net net;      /**< hop_mac is found out */

	unsigned int rooms;
	unsigned int publishers;  /**< of one room */
	unsigned int subscribers; /**< of one room */
	const char *room;         /**< rooms are ROOM-0, ROOM-1... */
	bool is_static;           /**< the relay knows us by our addresses: no STUN */
	const uint8_t *key;       /**< secret that signs credentials, unless static */
	size_t key_len;
	uint64_t expiry_s;      /**< of the credentials, Unix seconds */
	unsigned int join_rate; /**< first checks per second */
	bool is_quic; /**< participants are WZP clients, which come over QUIC: no STUN, no key */
	unsigned int handshakes_per_s; /**< of QUIC, at the start */
	unsigned int churn;            /**< QUIC clients that come per second, and go */
	double unread; /**< part of QUIC clients that read no stream but the answer's */
	uint64_t flood; /**< packets per second that another room's publishers send beside a run, QUIC only */
	bool has_cipher;
	enum plm_aead_cipher cipher; /**< the only one of QUIC's */

	struct {
		uint16_t size; /**< of an RTP packet, header included */
		unsigned int weight;
	} sizes[LOAD_SIZES_MAX];
	unsigned int nb_sizes;
	double garbage;       /**< fraction of all packets, 0 to 1 */
	uint64_t wait_ns;     /**< nothing came for so long after a run: nothing will */
	uint64_t seed;        /**< of sizes, garbage and SSRCs; 0: drawn from `rand` */
	struct plm_rand rand; /**< of transaction IDs: never the same twice */
	uint64_t now_ns;      /**< of QUIC: any time before the first turn */
};

enum load_state {
	LOAD_RESOLVING, /**< the next hop's MAC address */
	LOAD_JOINING,
	LOAD_READY,
	LOAD_REFUSED, /**< a participant: load_why() */
	LOAD_LOST,    /**< a participant's consent */
};

/** What happened in a run so far. */
struct load_result {
	uint64_t rate;      /**< asked for, packets per second; 0: flat out */
	uint64_t ran_ns;    /**< time in which packets were offered */
	uint64_t scheduled; /**< packets that the schedule holds until now */
	uint64_t sent;      /**< media packets */
	uint64_t garbage;   /**< of no use to anybody */
	uint64_t unsent;    /**< scheduled, but the port did not take them in time */
	uint64_t due;       /**< copies: media packets scheduled × subscribers */
	uint64_t received;  /**< distinct copies */
	uint64_t lost;      /**< once the run is over: due - received */
	uint64_t duplicates;
	uint64_t reordered;
	uint64_t late;
	uint64_t stale;     /**< media of earlier runs */
	uint64_t foreign;   /**< frames that are none of our business */
	uint64_t harmed;    /**< from the relay, but not as it was sent */
	uint64_t misrouted; /**< for a participant who should not get it */
	uint64_t refused;   /**< media that a publisher's connection did not take */
	uint64_t passing;   /**< copies to those who come and go */
	uint64_t flood;     /**< packets of the room that floods, which are in no other figure */
	uint64_t flood_refused; /**< that its connections did not take */
	uint64_t flood_copies;
	uint64_t no_mbuf;    /**< times that the TX pool was empty */
	uint64_t max_gap_ns; /**< longest time between two turns */
};

struct load;

/** Everything allocated that the run will need. NULL and rte_errno (EINVAL, ENOMEM, ENAMETOOLONG). */
struct load *load_create(const struct load_conf *conf);
void load_free(struct load *load);

/** Receive, answer, join, generate, transmit: a bounded amount of each. */
void load_turn(struct load *load, uint64_t now_ns);

enum load_state load_state(const struct load *load);
/** Participants that are in. */
unsigned int load_nb_joined(const struct load *load);
/** Who should have each packet: subscribers, and over QUIC all others in the room. */
static inline unsigned int
load_receivers(const struct load_conf *conf)
{
	return conf->is_quic ? conf->publishers + conf->subscribers - 1 : conf->subscribers;
}
/** Participants that there may be, those of the room that floods and those who come and go included. */
static inline uint64_t
load_nb_places(const struct load_conf *conf)
{
	return (uint64_t)(conf->rooms + (conf->flood != 0)) *
			(conf->publishers + conf->subscribers) +
			(conf->is_quic ? load_quic_places(conf->churn) : 0);
}
/** Over QUIC: close all connections; then turns until load_closed() is true. */
void load_end(struct load *load);
bool load_closed(const struct load *load);
/** What became of QUIC connections; NULL: there are none. */
const struct load_quic_result *load_quic(const struct load *load);

/** A line about what went wrong. */
void load_why(const struct load *load, struct plm_text *why);

/** Start counting anew and offer `rate` packets per second (0: as many as go) for so long. */
void load_run_begin(struct load *load, uint64_t rate, uint64_t duration_ns, uint64_t now_ns);
/** Offer no more from now on. */
void load_run_cut(struct load *load, uint64_t now_ns);
/** All offered, and all came back or nothing has for a while? */
bool load_run_over(const struct load *load, uint64_t now_ns);
void load_run_result(const struct load *load, uint64_t now_ns, struct load_result *result);
/** From the intended send time to the sink, nanoseconds, of this run. */
const struct plm_hist *load_latency(const struct load *load);

/** The relay's settings for these participants as static endpoints. */
void load_print_static(const struct load_conf *conf, FILE *to);

#endif

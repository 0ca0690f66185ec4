/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The plan of a run: rooms, participants, and a list of operations with their times, made from a
 * seed by a story. Then every packet that the operations send, and what the network makes of it
 * on its way to the relay. Nothing here depends on what the relay does, or on how many workers it
 * has, so two relays can be given the same plan; and an operation left out changes no other one.
 */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include "plm_admit.h"
#include "plm_net.h"
#include "plm_room.h"
#include "plm_sim.h"
#include "rng.h"

#define SIM_PEERS    256
#define SIM_ROOMS    32
#define SIM_SESSIONS (SIM_PEERS + 64) /* at most, with the spare ones */
#define SIM_ADDRS    4                /* UDP endpoints of a participant */
#define SIM_LISTS    4                /* of static endpoints */
#define SIM_CREDS    8
#define SIM_PORTS    2
#define SIM_WORKERS  8
#define SIM_SECRETS  3
#define SIM_COPIES   3  /* of one packet, on their way at once */
#define SIM_QUICS    32 /* participants over QUIC */

#define SIM_EPOCH_NS (1000 * PLM_NS_PER_S) /* when a run begins */
#define SIM_WALL_S   UINT64_C(1800000000)  /* and on the calendar */
#define SIM_UDP_PORT 3478

/** One UDP endpoint. Its port number alone names participant and endpoint. */
struct sim_addr {
	struct plm_ip ip;
	uint16_t udp_port; /* host order */
	uint8_t port_idx;
	uint8_t local_idx; /* own address of the relay that it sends to */
	bool far;          /* behind the gateway */
};

struct sim_cred {
	bool used;
	bool forged; /* signed with a secret that the relay never had */
	uint8_t secret;
	uint8_t role; /* enum plm_role */
	uint64_t expiry_s;
	char ufrag[PLM_UFRAG_MAX + 1];
	char pwd[PLM_PWD_LEN + 1];
};

struct sim_peer {
	uint16_t idx;
	uint16_t room;
	uint16_t seat; /* position among the room's peers */
	uint8_t role;
	char name[PLM_NAME_SIZE];
	bool is_static;               /* it asks for nothing, and is there while a list names it */
	bool is_quic;                 /* all its addresses ask the same own address of the relay */
	bool is_allowed;              /* the room's rule lists it, if the rule lists anybody */
	bool reads_answer_only;       /* and allows few streams in all: sizes.wzp_streams */
	uint8_t token;                /* enum sim_token */
	uint16_t identity;            /* of which peer it has it: its own, or another one's */
	uint8_t lists;                /* bit l: list l names it */
	uint8_t list_addr[SIM_LISTS]; /* at this endpoint */
	struct sim_addr addrs[SIM_ADDRS];
	struct sim_cred creds[SIM_CREDS];
};

struct sim_room {
	char name[PLM_NAME_SIZE];
	struct plm_room_settings settings;
	uint16_t peers[SIM_PEERS];
	uint16_t nb_peers;
	bool is_quic;   /* `name` may be that of an RTP room, too */
	bool has_list;  /* of those who alone may join, over QUIC */
	bool contested; /* SSRCs of the room do not tell who sends */
};

/** X(ID, name) */
#define SIM_OPS(X)                                                                                 \
	X(CHECKS, "checks")              /* Binding requests from t0 to t1, every gap */           \
	X(TALK, "talks")                 /* RTP */                                                 \
	X(REPORT, "reports")             /* RTCP, one compound every gap */                        \
	X(REPLAY, "is replayed")         /* requests of operation `a`, again, from `addr` */       \
	X(INDICATE, "indicates")         /* STUN indications */                                    \
	X(GARBAGE, "garbage")            /* frames of nobody's */                                  \
	X(KICK, "is kicked")             /* by an operator */                                      \
	X(SET_MAX, "room's limit")       /* `a` members from now on */                             \
	X(RELOAD, "reload")              /* secrets: `a` first, then `b` */                        \
	X(DRAIN, "drain")                /* refuse newcomers from t0 to t1 */                      \
	X(STATICS, "static endpoints")   /* list `a` from now on */                                \
	X(TRACE, "is traced")            /* the room, from t0 to t1 */                             \
	X(FAILOVER, "new MAC")           /* of the peer's next hop; announced if `a` */            \
	X(PARTITION, "partition")        /* port `a` is cut off from t0 to t1 */                   \
	X(STALL, "stall")                /* lcore `a` takes no turn from t0 to t1 */               \
	X(LATE, "late clock")            /* lcore `a` is told the time of `b` ns ago */            \
	X(FAULTS, "faults")              /* site `a` fails `b` times in 1024 from t0 to t1 */      \
	X(NIC, "slow wire")              /* the ports send at a `a`th of their speed */            \
	X(CONNECT, "connects")           /* over QUIC, until t1; `a`: leaves without a word; */    \
					 /* `b`: enum sim_intro of the first time */               \
	X(DATAGRAMS, "talks")            /* over QUIC; `a`: before it is in a room, too */         \
	X(STREAMS, "is told, and tells") /* messages of `a` bytes, both ways */                    \
	X(UPDATE, "changes its keys")                                                              \
	X(MIGRATE, "goes on from address") /* its own `a` */                                       \
	X(REBIND, "is seen elsewhere")     /* a NAT forgot it */                                   \
	X(OUTAGE, "is cut off")                                                                    \
	X(DEAF, "reads nothing")     /* no packet at all or, if `a`, of no stream */               \
	X(SAY, "says")               /* `b` signals, one every gap: enum sim_signal `a` */         \
	X(HANGUP, "hangs up")        /* closes at t1 or, if `a`, leaves that to the relay */       \
	X(REVOKE, "loses its token") /* from now on it is invalid */                               \
	X(SERVER, "auth server")     /* fails at once or, if `a`, is silent */

enum sim_op_type {
#define SIM_OP_ID(id, name) SIM_OP_##id,
	SIM_OPS(SIM_OP_ID)
#undef SIM_OP_ID
			SIM_OP_MAX
};

#define SIM_LCORE_CTL 255 /* in `a` of an operation: the slow path */

/** How a WZP client introduces itself. All but the first are refused. */
enum sim_intro {
	SIM_INTRO_GOOD,
	SIM_INTRO_SILENT,
	SIM_INTRO_JUNK,
	SIM_INTRO_BIG,
	SIM_INTRO_SHORT,
	SIM_INTRO_UNKNOWN, /* a signal that nobody knows */
	SIM_INTRO_ORDER,   /* a Ping, and the offer behind it */
	SIM_INTRO_FORGED,
	SIM_INTRO_REPLAYED, /* an offer that another one came in with */
	SIM_INTRO_MAX
};

/** What the auth server makes of a participant's token. */
enum sim_token {
	SIM_TOKEN_GOOD,
	SIM_TOKEN_SLOW, /* good, found out after a while */
	SIM_TOKEN_INVALID,
	SIM_TOKEN_FOREIGN, /* good, and another identity's */
	SIM_TOKEN_SILENT,  /* there is no answer in time */
	SIM_TOKEN_LATE,    /* nor even of whoever waits for one */
	SIM_TOKEN_MAX
};

/** What one says in a room. */
enum sim_signal {
	SIM_SIGNAL_PING,
	SIM_SIGNAL_MUTE, /* known, and ignored */
	SIM_SIGNAL_JUNK,
	SIM_SIGNAL_BIG,
	SIM_SIGNAL_SHORT,
	SIM_SIGNAL_UNKNOWN,
	SIM_SIGNAL_OFFER, /* again */
	SIM_SIGNAL_TOKEN,
	SIM_SIGNAL_UNI, /* on a stream that carries none */
	SIM_SIGNAL_MAX
};

/** What a Binding request says. */
#define SIM_CHECK_NOMINATE   0x01 /* USE-CANDIDATE */
#define SIM_CHECK_TAMPERED   0x02 /* MESSAGE-INTEGRITY of other content */
#define SIM_CHECK_CONTROLLED 0x04
#define SIM_CHECK_UNKNOWN    0x08 /* with a mandatory attribute that nobody knows */
#define SIM_CHECK_BARE       0x10 /* no FINGERPRINT */

enum sim_report {
	SIM_REPORT_SR,
	SIM_REPORT_RR,   /* with a block about stream 0 of peer `b` */
	SIM_REPORT_NACK, /* the same, and a NACK */
	SIM_REPORT_BYE,
	SIM_REPORT_MAX
};

struct sim_op {
	uint8_t type;   /* enum sim_op_type */
	bool contested; /* somebody else sends from its SSRC, too, or it has more than allowed */
	uint8_t addr;
	uint8_t cred;
	bool off; /* left out */
	uint16_t peer;
	uint16_t room;
	uint64_t t0; /* ns since the run began */
	uint64_t t1;
	uint64_t gap_ns;
	uint32_t a;
	uint32_t b;
	uint32_t ssrc; /* TALK, REPORT: 0 is the peer's own first */
	uint16_t min_len;
	uint16_t max_len;
	uint32_t first_packet; /* of those that it sends */
	uint32_t nb_packets;
};

enum sim_kind {
	SIM_RTP,
	SIM_RTCP,
	SIM_STUN,
	SIM_INDICATION,
	SIM_RAW, /* a whole frame */
};

/** Whom the relay owes a copy. */
enum sim_reach {
	SIM_REACH_NONE,
	SIM_REACH_SUBSCRIBERS,
	SIM_REACH_MEMBERS,
	SIM_REACH_OWNER,      /* of `target` */
	SIM_REACH_PUBLISHERS, /* in a room with opaque RTCP */
};

struct sim_packet {
	uint8_t kind;  /* enum sim_kind */
	uint8_t reach; /* enum sim_reach */
	uint8_t flags; /* SIM_CHECK_* */
	uint8_t cred;
	uint8_t addr;
	uint8_t nb_arrivals;
	uint16_t peer;   /* who made it; of a replay, too */
	uint16_t target; /* peer */
	uint16_t len;
	uint32_t op;
	uint32_t off; /* of its bytes in plan.bytes */
	uint32_t ssrc;
	uint32_t priority;
	uint32_t original; /* of a replay: the packet that was captured; else itself */
	uint64_t sent_ns;
	uint32_t arrivals[SIM_COPIES]; /* that get through */
};

/** A packet at the relay's port, at the earliest. */
struct sim_arrival {
	uint64_t at_ns;
	uint32_t packet;
	bool corrupt; /* one bit flipped on the way: never to be forwarded */
	uint16_t flip_byte;
	uint8_t flip_bit;
};

/** What the network does, n times in 1024. */
struct sim_wire {
	uint16_t loss;
	uint16_t burst; /* slots of 50 ms in which most is lost */
	uint16_t duplicate;
	uint16_t corrupt;
	uint16_t mtu; /* of the path to the relay; what is larger is lost */
	uint64_t delay_ns;
	uint64_t jitter_ns; /* reorders what is sent within it */
};

/** Sizes of the relay, most of them smaller than anybody would choose. */
struct sim_sizes {
	uint16_t nb_ports;
	uint16_t queues[SIM_PORTS]; /* at most the workers */
	uint16_t mtu[SIM_PORTS];
	uint16_t copy_below[SIM_PORTS];
	bool chain[SIM_PORTS];
	uint16_t nb_txd;
	uint32_t ring_size;
	uint32_t turn_copies;
	uint32_t park_entries;
	uint32_t spread_above; /* members of a room */
	uint32_t max_rooms;
	uint32_t max_sessions;
	uint32_t max_backlog;
	uint32_t max_neighbours;
	uint32_t admissions_per_s;
	uint32_t hdr_mbufs; /* left in each header pool; 0: all */
	uint64_t publish_interval_ns;
	uint64_t consent_ns;
	uint64_t max_session_ns;
	uint32_t quic_conns; /* 0: no QUIC */
	uint32_t quic_handshakes;
	uint32_t quic_retry_above;
	uint64_t quic_idle_ns;
	uint64_t quic_handshake_ns;
	uint16_t quic_astray; /* packets that come to another queue, n in 1024 */
	bool wzp_auth;        /* tokens are asked for */
	bool wzp_match;       /* and must be of who comes with them */
	uint32_t wzp_asks;    /* under way to the auth server, at most */
	uint32_t wzp_streams; /* that some clients allow, in all */
	uint32_t wzp_window;  /* and bytes of them */
	uint64_t wzp_cache_ns;
	uint64_t wzp_auth_ns;
	uint64_t wzp_join_ns;
};

/** How the lcores take turns. */
struct sim_pace {
	uint16_t preempt;  /* a point gives way n times in 1024 */
	uint16_t rx_most;  /* packets put before a queue at once */
	uint16_t step_ns;  /* that a step may take */
	uint16_t bias;     /* an lcore is that much slower than another, n in 16 */
	uint16_t nap;      /* who gives way, or sleeps, stays away for up to so many steps */
	uint16_t naps;     /* n times in 1024 */
	uint32_t wire_fps; /* frames that a port sends in a millisecond */
};

struct sim_plan {
	uint64_t seed;
	const struct sim_story *story;
	struct sim_sizes sizes;
	struct sim_pace pace;
	struct sim_wire wire;
	uint64_t end_ns; /* nobody does anything later */
	bool in_order;   /* the end is a drain, not a silence */

	struct sim_room rooms[SIM_ROOMS];
	uint16_t nb_rooms;
	struct sim_peer peers[SIM_PEERS];
	uint16_t nb_peers;

	struct sim_op *ops;
	uint32_t nb_ops, size_ops;
	struct sim_packet *packets;
	uint32_t nb_packets, size_packets;
	struct sim_arrival *arrivals; /* by time */
	uint32_t nb_arrivals, size_arrivals;
	uint8_t *bytes;
	size_t nb_bytes, size_bytes;
	uint32_t *by_hash; /* packet + 1 by hash of its bytes; RTP and RTCP only */
	uint32_t hash_mask;

	struct {
		uint64_t lost, burst, partitioned, too_large, duplicated, corrupted, reordered;
	} net; /* how often it happened */
};

struct sim_story {
	const char *name;
	const char *help;
	void (*plan)(struct sim_plan *plan, struct sim_rng *rng);
};

/** NULL-terminated. */
extern const struct sim_story *const sim_stories[];
/** Those of story_quic.c. */
extern const struct sim_story sim_story_quic, sim_story_quic_roaming, sim_story_quic_rush,
		sim_story_quic_shortage, sim_story_wzp, sim_story_wzp_doors, sim_story_wzp_flood;

/* --- for stories ---------------------------------------------------------------------------- */

struct sim_room *sim_room_add(struct sim_plan *plan);
/** A participant of the last room; roles of `role` (enum plm_role). */
struct sim_peer *sim_peer_add(struct sim_plan *plan, struct sim_rng *rng, uint8_t role);
/** The same over QUIC, in a room of QUIC. */
struct sim_peer *sim_quic_add(struct sim_plan *plan, struct sim_rng *rng);
struct sim_op *sim_op_add(struct sim_plan *plan, enum sim_op_type type, uint64_t t0, uint64_t t1);
struct sim_op *sim_peer_op(struct sim_plan *plan, const struct sim_peer *peer,
		enum sim_op_type type, uint64_t t0, uint64_t t1);
/** A credential of the peer that is good until `expiry_s` (seconds of the run, may be negative). */
void sim_cred_set(struct sim_plan *plan, struct sim_peer *peer, unsigned int cred, uint8_t role,
		int64_t expiry_s, uint8_t secret, bool forged);
/** Checks from t0 to t1, fast at first, as often as consent needs later. */
void sim_attend(struct sim_plan *plan, struct sim_rng *rng, const struct sim_peer *peer,
		unsigned int addr, unsigned int cred, uint64_t t0, uint64_t t1);
/** RTP from one of the peer's streams, `pps` packets a second. */
struct sim_op *sim_talk(struct sim_plan *plan, struct sim_rng *rng, const struct sim_peer *peer,
		unsigned int addr, unsigned int stream, uint64_t t0, uint64_t t1, unsigned int pps);
uint32_t sim_ssrc(const struct sim_peer *peer, unsigned int stream);

/* --- made and freed ------------------------------------------------------------------------- */

/** What is left out of a plan. */
struct sim_cut {
	const uint32_t *ops; /* operations */
	unsigned int nb_ops;
	bool calm_wire; /* the network loses, delays and changes nothing */
};

struct sim_plan *sim_plan_create(const struct sim_story *story, uint64_t seed,
		const struct sim_cut *cut);
void sim_plan_free(struct sim_plan *plan);

static inline const uint8_t *
sim_packet_bytes(const struct sim_plan *plan, const struct sim_packet *packet)
{
	return plan->bytes + packet->off;
}

static inline bool
sim_is_listed(const struct sim_peer *peer, unsigned int list)
{
	return peer->lists >> list & 1;
}

/** The RTP or RTCP packet of these very bytes; UINT32_MAX if there is none. */
uint32_t sim_packet_find(const struct sim_plan *plan, const uint8_t *bytes, size_t len);

/** Peer and endpoint of a UDP port number; NULL if it is nobody's. */
const struct sim_peer *sim_peer_by_port(const struct sim_plan *plan, uint16_t udp_port,
		unsigned int *addr);

/** One of the secrets, SIM_SECRETS of them and a forger's. */
void sim_secret(unsigned int i, uint8_t key[32]);

/** A line that says what an operation does. */
void sim_op_text(const struct sim_plan *plan, uint32_t op, struct plm_text *text);

uint64_t sim_hash(const void *buf, size_t len);

#endif

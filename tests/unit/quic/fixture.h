/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Pairs of a client and a server of lib/quic in one thread, with a network between them on a virtual
 * clock: delay, loss, reordering, duplication, outages, a NAT that changes its port, a limit of packet
 * size, ECN. What is random follows from a seed (but for what GnuTLS draws: keys, never lengths).
 */
#ifndef PLM_TEST_QUIC_FIXTURE_H
#define PLM_TEST_QUIC_FIXTURE_H

#include "plm_quic.h"
#include "test_eal.h"

#define FX_ARENA    (40 * 1024)
#define FX_EXTENT   (16 * 1024)
#define FX_MESSAGES 256 /* streams that a side keeps track of */
#define FX_RTT_NS   (40 * PLM_NS_PER_MS)
#define FX_MTU      1452

/* Priority strings of a client that knows one cipher. */
#define FX_TLS13  "NORMAL:-VERS-ALL:+VERS-TLS1.3:%DISABLE_TLS13_COMPAT_MODE:-CIPHER-ALL"
#define FX_AES128 FX_TLS13 ":+AES-128-GCM"
#define FX_AES256 FX_TLS13 ":+AES-256-GCM"
#define FX_CHACHA FX_TLS13 ":+CHACHA20-POLY1305"

struct quic_tls;

/** What a pair is made of. */
struct fx_conf {
	enum plm_aead_backend backend;
	const char *priority;     /**< of the client; NULL: the library's */
	uint64_t idle_timeout_ns; /**< 30 s */
	uint64_t handshake_timeout_ns;
	uint32_t max_streams;
	uint32_t max_stream_bytes;
	uint32_t max_bytes;
	uint32_t max_chunks;
	unsigned int nb_extents; /**< that there are for both together */
	size_t arena_size;       /**< of either; FX_ARENA */
	/** Called with both engines before there are connections; NULL: nobody. */
	void (*prepare)(struct plm_quic *quic);
};

/** A message on a stream that came. */
struct fx_message {
	int64_t stream_id;
	uint8_t *bytes;
	size_t len;
	bool fin;
	bool is_reset;
};

struct fx_packet;

/** One direction of the network, in front of whom it leads to. */
struct fx_link {
	/* the test's */
	uint64_t delay_ns;
	uint32_t late_ppm; /**< packets that others overtake: */
	uint64_t late_ns;  /**< they take up to so much longer */
	uint32_t loss_ppm;
	uint32_t dup_ppm;
	uint16_t mtu; /**< larger UDP payloads vanish */
	bool is_down;
	bool is_bleaching;  /**< ECN marks are taken off */
	uint32_t ce_ppm;    /**< ECN-capable packets that are marked as having met congestion */
	uint64_t drop_mask; /**< packets that are lost, by number, of the first 64 */

	/* the fixture's */
	uint64_t nb_in;
	uint64_t nb_lost;
	uint64_t nb_ecn; /**< delivered with any mark */
	uint16_t largest;
	struct fx_packet *queue;
};

struct fx_pair;

struct fx_side {
	struct plm_quic_out out; /* first: callbacks get it */
	struct fx_pair *pair;
	struct plm_quic_conn *conn;
	struct fx_link link; /**< towards the other */
	uint8_t buf[PLM_QUIC_PACKET_MAX];
	void *arena;
	void *tls;
	bool has_no_room; /**< the outlet is full */

	/* what it was told */
	bool is_established;
	unsigned int nb_moved;
	struct plm_quic_path moved;
	uint64_t nb_datagrams;
	uint64_t last_ns; /**< when the last datagram came */
	uint64_t gap_ns;  /**< the longest time between two, since the test set it to 0 */
	uint8_t *last;    /**< the last datagram; NULL: none */
	size_t last_len;
	uint64_t sum; /**< of fx_sum() of all that came */
	unsigned int nb_chunks_done;
	unsigned int nb_resets;
	unsigned int nb_messages;
	struct fx_message messages[FX_MESSAGES];
	bool keeps;    /**< stream data is not consumed */
	bool ignores;  /**< stream data is consumed and forgotten */
	bool refuses;  /**< the stream callback says that there is no memory */
	uint64_t kept; /**< bytes that were not consumed */
};

struct fx_pair {
	struct fx_side client;
	struct fx_side server;
	uint64_t now_ns;
	uint16_t nat_port; /**< of the client as the server sees it: the test changes it */
	uint64_t seed;
	unsigned int nb_out; /**< extents that are in use */
	unsigned int most_out;

	struct fx_conf conf;
	struct plm_aead *aead;
	struct plm_quic *quic[2]; /* client's, server's */
	struct quic_tls *tls[2];
	struct plm_quic_identity *identity;
	struct plm_quic_memory memory;
	struct plm_cid_key cid_key;
};

/** What every pair is made of unless a test says otherwise. */
extern const struct fx_conf fx_default;
#define FX_RESET_SECRET "a secret for stateless resets..." /* 32 bytes */
#define FX_SLOT         77
#define FX_GEN          5
#define FX_WORKER       3

/** A client that has its first packet to send. */
struct fx_pair *fx_begin(const struct fx_conf *conf);
/** The same, run until both are established and a second more; the network lossless. */
struct fx_pair *fx_connected(const struct fx_conf *conf);
/** Checks that every extent was given back. */
void fx_end(struct fx_pair *pair);

/** Both networks the same. */
void fx_delay(struct fx_pair *pair, uint64_t one_way_ns);
void fx_loss(struct fx_pair *pair, uint32_t ppm);
void fx_down(struct fx_pair *pair, bool is_down);

/** One millisecond of network, timers and flushing, as a worker's turn. */
void fx_step(struct fx_pair *pair);
/** The side reads what has come by now, and does nothing else. */
void fx_deliver(struct fx_side *side);
void fx_run(struct fx_pair *pair, uint64_t ns);
/** Until both are established; false: not within `ns`. */
bool fx_handshake(struct fx_pair *pair, uint64_t ns);
/** What is under way is lost, and what came is forgotten. */
void fx_drain(struct fx_pair *pair);
/** The side's connection is ended: what it keeps is lost with it. */
void fx_forget(struct fx_side *side);

/** One datagram. */
enum plm_quic_verdict fx_send(struct fx_side *side, const void *buf, size_t len, bool is_urgent);
/** Deliver a packet to the side, past the network, from where the other's last ones came. */
void fx_inject(struct fx_side *side, const void *buf, size_t len);
/** A message in chunks of `chunk_size`, of `buf`; all of it stays until it is done. */
int fx_message(struct fx_side *side, const uint8_t *buf, size_t len, size_t chunk_size, bool uni);
struct plm_quic_figures fx_figures(const struct fx_side *side);

uint64_t fx_random(struct fx_pair *pair);
/** Random bytes of the caller's, to be freed. */
uint8_t *fx_bytes(struct fx_pair *pair, size_t len);
/** A sum over a datagram that tells order of bytes, but not order of datagrams when added up. */
uint64_t fx_sum(const uint8_t *buf, size_t len);

#endif

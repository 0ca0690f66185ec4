/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * QUIC (RFC 9000, 9001, 9221) over ngtcp2, driven by packets and a clock: no socket, no thread, no
 * clock of its own. A connection is one object that one lcore at a time may touch; its memory is one
 * region that moves with it. Servers and clients are the same object.
 *
 * Whoever owns a connection calls plm_quic_recv() for what came, plm_quic_send() for datagrams,
 * plm_quic_flush() once after either, and plm_quic_timer() when plm_quic_expiry() is due.
 */
#ifndef PLM_QUIC_H
#define PLM_QUIC_H

#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>

#include <rte_byteorder.h>

#include "plm_aead.h"
#include "plm_base.h"
#include "plm_cid.h"

/** Bytes of the arena of one connection at least: a handshake, and a few packets in flight. */
#define PLM_QUIC_ARENA_MIN (38 * 1024 + 512)
/** Further regions that a connection may have while much of what it sent is in flight, and the largest
 *  block that is ever asked for: no region is smaller. */
#define PLM_QUIC_EXTENTS_MAX 8
#define PLM_QUIC_BLOCK_MAX   (12 * 1024)
/** Bytes of streams that a peer may have under way, of one or of all, whatever the settings say: what comes
 *  out of order waits in blocks of 8 KB of the connection's memory, four at most, of an extent each. There is no more
 *  credit than that: who sends what cannot be taken gets no acknowledgement, and may repeat it for ever. */
#define PLM_QUIC_WINDOW_MAX (24 * 1024)
/** Bytes of a UDP payload that the engine ever writes. */
#define PLM_QUIC_PACKET_MAX 1452
/** How late an acknowledgement may be (RFC 9000 §18.2, max_ack_delay). */
#define PLM_QUIC_ACK_NS (25 * PLM_NS_PER_MS)
/** Newer messages of its kind after which one that the peer does not read on is given up. */
#define PLM_QUIC_PASSED_MAX 8
/** Packets that one call of plm_quic_flush() writes at most. */
#define PLM_QUIC_FLUSH_MAX 8

/** Where packets come from and go to: remote address, which own address. */
struct plm_quic_path {
	uint8_t addr[16]; /**< IPv4 in the first four bytes, the rest 0 */
	rte_be16_t port;
	uint16_t local_idx;
	uint8_t is_v6;
	uint8_t zero[3];
};
static_assert(sizeof(struct plm_quic_path) == 24, "paths compare with memcmp()");

struct plm_quic;
struct plm_quic_conn;

/** A part of a message on a stream of our own, in memory of the caller's until it is `done`. */
struct plm_quic_chunk {
	struct plm_quic_chunk *next; /* the connection's */
	const uint8_t *buf;
	uint32_t len;
	uint32_t sent;
	int64_t stream_id;
	uint64_t offset; /* in its stream */
	uint8_t uni;     /**< opens a unidirectional stream; else a bidirectional one */
	uint8_t more;    /**< the next chunk goes on with the same stream; else it ends here */
	uint8_t is_next; /**< goes on with the stream of the chunk before */
	/** 0: it goes in any case. Else it is a whole message, and what is told last of its kind counts: one of
	 *  which nothing has gone yet is `done` when the next is queued, one that stands still half-way is given up
	 *  when PLM_QUIC_PASSED_MAX have come after it. */
	uint8_t kind;
	uint8_t nb_passed;
};

/** What a connection tells its owner. Called from within the functions below, never re-entered. */
struct plm_quic_ops {
	/** A datagram came; `buf` is valid during the call. */
	void (*datagram)(void *ctx, struct plm_quic_conn *conn, const uint8_t *buf, size_t len);
	/**
	 * Stream data came, in order within its stream. The peer may send more when it is given back by
	 * plm_quic_stream_consumed().
	 * @return 0; negative closes the connection (there is no memory for it).
	 */
	int (*stream)(void *ctx, struct plm_quic_conn *conn, int64_t stream_id, const uint8_t *buf,
			size_t len, bool fin);
	/** The peer ended a stream without FIN. Of what came before nothing is taken back: it is to be consumed as ever. */
	void (*stream_reset)(void *ctx, struct plm_quic_conn *conn, int64_t stream_id);
	/** The handshake is complete, and with a server's confirmed. */
	void (*established)(void *ctx, struct plm_quic_conn *conn);
	/** The peer's address changed and was validated (RFC 9000 §9). */
	void (*moved)(void *ctx, struct plm_quic_conn *conn, const struct plm_quic_path *path);
	/** A chunk was acknowledged, or its stream or connection ended. */
	void (*chunk_done)(void *ctx, struct plm_quic_chunk *chunk);
};

/** Where packets are written to. */
struct plm_quic_out {
	/** Room for a packet of PLM_QUIC_PACKET_MAX bytes; NULL: there is none now. */
	uint8_t *(*get)(struct plm_quic_out *out);
	/** A packet of `len` bytes was written there; 0: nothing was. */
	void (*put)(struct plm_quic_out *out, struct plm_quic_conn *conn, size_t len,
			const struct plm_quic_path *path, uint8_t ecn);
};

/** Where a connection's further regions come from; of the lcore that owns the connection. */
struct plm_quic_memory {
	void *(*get)(void *ctx); /**< a region of `size` bytes; NULL: there is none */
	void (*put)(void *ctx, void *region);
	void *ctx;
	size_t size; /**< at least PLM_QUIC_BLOCK_MAX and 64 bytes more */
	/** The same for all but a connection's first; NULL: `get`. What those take who have much in flight
	 *  then leaves the others what they cannot go on without. */
	void *(*more)(void *ctx);
};

struct plm_quic_conf {
	struct plm_rand rand;
	const struct plm_aead *aead;
	struct plm_cid_key cid_key;
	uint8_t reset_secret[32]; /**< of stateless reset tokens (RFC 9000 §10.3.2) */
	uint64_t idle_timeout_ns;
	uint64_t handshake_timeout_ns;
	uint64_t keep_alive_ns; /**< 0: none */
	uint32_t max_streams;   /**< that a peer may have open, of each kind */
	uint32_t max_stream_bytes;
	uint32_t max_bytes; /**< of all streams that were not consumed */
	uint32_t max_chunks; /**< of ours that wait or travel, of one connection; those with a kind do not count */
	/** Above PLM_QUIC_WINDOW_MAX the two before count as they are: of who has memory for it. */
	bool has_large_windows;
	/** The peer's streams are left alone: their other halves stay open, and none that ends gives room for the
	 *  next. As of a program that accepts no more of them. */
	bool leaves_streams;
};

/** Settings and secrets of all connections; const after this. NULL and rte_errno. */
struct plm_quic *plm_quic_create(const struct plm_quic_conf *conf);
void plm_quic_free(struct plm_quic *quic);

/** The secret that stateless reset tokens are made from, for who answers without a connection. */
void plm_quic_reset_secret(const struct plm_quic *quic, uint8_t secret[32]);

/** What a connection is made of; all of it stays as long as the connection. */
struct plm_quic_new {
	void *arena; /**< cache-line aligned, at least PLM_QUIC_ARENA_MIN bytes */
	size_t arena_size;
	const struct plm_quic_memory *memory; /**< NULL: the arena is all there is */
	uint32_t max_extents;                 /**< until it is adopted; 0: PLM_QUIC_EXTENTS_MAX */
	void *tls;     /**< gnutls_session_t, configured; plm_quic_conn_tls_take() gives it back */
	uint32_t slot; /**< of the connection's ids, with generation and worker */
	uint32_t gen;
	uint8_t worker;
	struct plm_quic_path path;
	const struct plm_quic_ops *ops;
	void *ops_ctx;
	/* server */
	const uint8_t *dcid; /**< the client's first destination id, or that of our Retry */
	size_t dcid_len;
	const uint8_t *scid; /**< the client's */
	size_t scid_len;
	const uint8_t *original_dcid; /**< before a Retry, NULL without one */
	size_t original_dcid_len;
	const uint8_t *token;
	size_t token_len;
	uint32_t version;
};

/**
 * A connection to a client whose Initial came: feed it with plm_quic_recv().
 * @return 0, -ENOMEM, -EINVAL.
 */
int plm_quic_conn_server(struct plm_quic *quic, const struct plm_quic_new *new, uint64_t now_ns,
		struct plm_quic_conn **conn);

/** A connection to a server: the next plm_quic_flush() writes its first Initial. 0, -ENOMEM. */
int plm_quic_conn_client(struct plm_quic *quic, const struct plm_quic_new *new, uint64_t now_ns,
		struct plm_quic_conn **conn);

/** End it without a word. Its arena is the caller's again. Takes NULL. */
void plm_quic_conn_free(struct plm_quic_conn *conn);

/** The TLS session is no longer needed once it is established; it becomes the caller's, for
 *  gnutls_deinit(). NULL when it was taken before. */
void *plm_quic_conn_tls_take(struct plm_quic_conn *conn);

/** The name that a client asked for; while the TLS session is the connection's. */
const char *plm_quic_conn_name(const struct plm_quic_conn *conn);

/** From now on its owner is told this way; the lcore changes hands outside. */
void plm_quic_conn_adopt(struct plm_quic_conn *conn, const struct plm_quic_ops *ops, void *ops_ctx,
		const struct plm_quic_memory *memory);

/** How a connection stands. */
enum plm_quic_state {
	PLM_QUIC_HANDSHAKE,
	PLM_QUIC_ESTABLISHED,
	PLM_QUIC_CLOSING,  /**< we closed; what comes is answered with the same, rarely */
	PLM_QUIC_DRAINING, /**< the peer closed */
	PLM_QUIC_DEAD,     /**< nothing more will be sent or understood */
};
enum plm_quic_state plm_quic_conn_state(const struct plm_quic_conn *conn);

/** Why it ended. */
struct plm_quic_end {
	uint64_t code; /**< RFC 9000 §20, or the application's */
	bool is_application;
	bool is_remote;
	bool is_timeout; /**< idle, or handshake */
	bool is_reset;   /**< stateless */
};
struct plm_quic_end plm_quic_conn_end(const struct plm_quic_conn *conn);

/**
 * What the peer said when it closed: untrusted bytes, neither printable nor NUL-terminated.
 * @param[out] len
 *   0 to 1 024; 0 when it has not closed or gave no reason.
 * @return as long as the connection.
 */
const uint8_t *plm_quic_conn_reason(const struct plm_quic_conn *conn, size_t *len);

/**
 * A packet came; `buf` is overwritten.
 * @return the state after it. What could not be opened changes nothing but a counter.
 */
enum plm_quic_state plm_quic_recv(struct plm_quic_conn *conn, const struct plm_quic_path *path,
		uint8_t ecn, uint8_t *buf, size_t len, uint64_t now_ns);

/** Have a connection that stands in this arena in the cache when it is sent to, or received from; first the
 *  one, and when that has arrived the other, for a packet of `len` bytes. Hints. */
void plm_quic_prefetch_send(const void *arena);
void plm_quic_prefetch_send_more(const void *arena, size_t len);
void plm_quic_prefetch_recv(const void *arena);
void plm_quic_prefetch_recv_more(const void *arena, size_t len);

/** Give back what memory beyond its own the connection does not use any more; now and then. */
void plm_quic_trim(struct plm_quic_conn *conn);

/** Whether plm_quic_flush() may have something to write. */
bool plm_quic_is_dirty(const struct plm_quic_conn *conn);

/** Write what is due but datagrams: acknowledgements, handshake, streams, probes. True: there may be
 *  more, call again in the next turn. What only wants to be acknowledged makes a connection dirty with every second
 *  packet; before that, plm_quic_send() takes the acknowledgement along, or a timer that is not later than
 *  PLM_QUIC_ACK_NS. */
bool plm_quic_flush(struct plm_quic_conn *conn, struct plm_quic_out *out, uint64_t now_ns);

/** When plm_quic_timer() is due; UINT64_MAX: never. */
uint64_t plm_quic_expiry(struct plm_quic_conn *conn);

/** A timer is due: loss, acknowledgement, idle. The connection is dirty afterwards, or dead. */
enum plm_quic_state plm_quic_timer(struct plm_quic_conn *conn, uint64_t now_ns);

/** What became of a datagram. */
enum plm_quic_verdict {
	PLM_QUIC_SENT,
	PLM_QUIC_NO_WINDOW, /**< congestion control */
	PLM_QUIC_NO_MEMORY, /**< for what is in flight */
	PLM_QUIC_TOO_LARGE, /**< for the path, or for the peer */
	PLM_QUIC_NO_ROOM,   /**< struct plm_quic_out had none */
	PLM_QUIC_NOT_OPEN,  /**< not established, or closed */
};

struct plm_quic_dgram {
	const uint8_t *buf;
	uint16_t len;
	uint8_t is_urgent; /**< may use what is left of a window that is nearly full (audio) */
	uint8_t verdict;   /**< enum plm_quic_verdict, written */
};

/**
 * Send datagrams, in order, those that fit into one packet in one. Pending acknowledgements travel
 * along. Nothing waits: what cannot go now gets a verdict.
 * @return how many were sent.
 */
unsigned int plm_quic_send(struct plm_quic_conn *conn, struct plm_quic_out *out,
		struct plm_quic_dgram *dgrams, unsigned int n, uint64_t now_ns);

/** Queue a message of one chunk, or a list of them linked by `next`, on a new stream. One with a `kind` is one
 *  chunk, and takes the place of those of its kind. 0, -ENOBUFS (max_chunks wait already), -ENOTCONN. */
int plm_quic_stream_send(struct plm_quic_conn *conn, struct plm_quic_chunk *chunk);

/** The owner is done with bytes of a stream: the peer may send as many more. */
void plm_quic_stream_consumed(struct plm_quic_conn *conn, int64_t stream_id, size_t len);

/** Streams of the peer's that were reset and stay in memory, some 300 bytes each, until the connection ends: those of
 *  which a reset was the first that came (a bug of ngtcp2's). Whoever serves strangers bounds them. */
uint32_t plm_quic_streams_kept(const struct plm_quic_conn *conn);

/** Close with an application's code and a constant text; the next flush writes it. */
void plm_quic_close(struct plm_quic_conn *conn, uint64_t code, const char *reason);

/** Change the keys (RFC 9001 §6). 0, -EAGAIN: not confirmed, or the last one is too recent. */
int plm_quic_key_update(struct plm_quic_conn *conn, uint64_t now_ns);

/** Client: go on from another own address. 0, -EAGAIN (no spare id, or not confirmed). */
int plm_quic_migrate(struct plm_quic_conn *conn, const struct plm_quic_path *path, uint64_t now_ns);

/** For `show session`; of the owner's lcore. */
struct plm_quic_figures {
	uint64_t srtt_ns;
	uint64_t min_rtt_ns;
	uint64_t cwnd;
	uint64_t in_flight;
	uint64_t datagrams_lost;
	uint64_t datagrams_acked;
	uint64_t undecryptable;
	uint32_t key_updates;
	uint16_t max_payload; /**< UDP payload that the path is known to carry */
	uint16_t max_datagram;
	uint32_t arena_used;
	uint32_t arena_peak;
	uint32_t arena_size;
	enum plm_aead_cipher cipher;
};
void plm_quic_conn_figures(const struct plm_quic_conn *conn, struct plm_quic_figures *figures);

/** Datagrams that were neither acknowledged nor lost yet. */
uint64_t plm_quic_in_flight(const struct plm_quic_conn *conn);

/** Are there bytes of streams that the peer has not acknowledged, or that were not sent yet? */
bool plm_quic_has_unacked(const struct plm_quic_conn *conn);

/** What came in 1-RTT packets. */
struct plm_quic_heard {
	uint64_t opened; /**< that could be opened, and were taken: whoever sent the last one has the keys */
	/** 1 + the largest number of one of those. Where a packet came from by which it grew is where the peer is (RFC
	 *  9000 §9.3), which one that was late, or repeated by somebody else, does not tell. */
	uint64_t newest;
	uint64_t late; /**< that there was no memory for, having data out of order: as if they had been lost */
	uint64_t undecryptable;
};

/** As long as the connection: it changes with plm_quic_recv(). */
const struct plm_quic_heard *plm_quic_conn_heard(const struct plm_quic_conn *conn);

/** The path that the connection uses now. */
const struct plm_quic_path *plm_quic_conn_path(const struct plm_quic_conn *conn);
uint32_t plm_quic_conn_slot(const struct plm_quic_conn *conn);

#endif

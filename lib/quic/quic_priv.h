/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the files of lib/quic: a connection and its memory. All of it belongs to the lcore that owns
 * the connection. */
#ifndef QUIC_PRIV_H
#define QUIC_PRIV_H

#include <netinet/in.h>

#include <rte_common.h>

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include "plm_quic.h"

/* --- arena.c ------------------------------------------------------------------------------ */

/* Eight sizes to a power of two, from 64 bytes on; below, multiples of 16. */
#define ARENA_CLASSES 80

/* In front of each block, which keeps blocks aligned to 16. */
struct quic_block {
	uint32_t class;
	uint32_t region;
	struct quic_block *next; /* in the list of its class, while it is free */
};
static_assert(sizeof(struct quic_block) == 16, "blocks are aligned to 16");

struct quic_region {
	uint8_t *top; /* never given out beyond it */
	uint8_t *end;
	uint32_t nb_out; /* blocks of it that are out */
};

enum quic_arena_age {
	QUIC_ARENA_OLD, /* blocks that are given back are given out again, wherever they are */
	QUIC_ARENA_YOUNG, /* a server's handshake: nothing in extents is given out twice, so that they can be given back */
	QUIC_ARENA_GROWN, /* the same, and it is over: they are, as soon as nothing in them is used */
};

/*
 * A connection's memory: one region, and a few more of the owner's when that is used up. It is handed out
 * from a region's start; what is given back is kept by size and given out again. ngtcp2 asks for few sizes
 * again and again, so nothing is ever merged, and nothing needs to be: it goes as a whole.
 */
struct quic_arena {
	struct quic_region regions[1 + PLM_QUIC_EXTENTS_MAX]; /* [1 + nb_extents] */
	uint32_t size;                                        /* of all regions */
	uint32_t used;                                        /* bytes of blocks that are out */
	uint32_t peak;
	uint32_t nb_extents;
	uint32_t max_extents;
	uint8_t age;   /* enum quic_arena_age */
	bool is_brief; /* some blocks that are asked for now are given back soon */
	void *extents[PLM_QUIC_EXTENTS_MAX];
	const struct plm_quic_memory *memory; /* where extents come from; NULL: nowhere */
	struct quic_block *free_list[ARENA_CLASSES];
};

void quic_arena_init(struct quic_arena *arena, void *base, size_t size,
		const struct plm_quic_memory *memory);
/* Give the extents back. */
void quic_arena_fini(struct quic_arena *arena);
/* The handshake is complete: what it took beside the connection's own memory goes back. */
void quic_arena_grow_up(struct quic_arena *arena);
/* Give back the extents of which nothing is used any more, the last ones first. */
void quic_arena_trim(struct quic_arena *arena);
/* Are `size` bytes to be had, by way of an extent if need be and there are fewer than `max_extents`? */
bool quic_arena_has(struct quic_arena *arena, size_t size, uint32_t max_extents);
/* And `n` blocks of `size` bytes, with another `beside` in smaller ones? */
bool quic_arena_has_blocks(struct quic_arena *arena, size_t size, unsigned int n, size_t beside,
		uint32_t max_extents);
void *quic_arena_alloc(struct quic_arena *arena, size_t size);
void quic_arena_release(struct quic_arena *arena, void *block);
/* For ngtcp2; user_data is the arena. */
void quic_arena_mem(struct quic_arena *arena, ngtcp2_mem *mem);

/* --- keys.c ------------------------------------------------------------------------------- */

/* One direction's packet protection key of ours. ngtcp2 holds its address with bit 0 set, which tells it
 * from the helper library's keys of Initial and Handshake packets. */
struct quic_key {
	const struct plm_aead *aead;
	struct plm_quic_conn *conn;
	uint8_t cipher;
	uint64_t iv; /* its last eight bytes, which a packet's number is added to */
	alignas(RTE_CACHE_LINE_SIZE) uint8_t bytes[];
};

void quic_keys_callbacks(ngtcp2_callbacks *cb);
/* Have the TLS session's application secrets become keys of ours. */
void quic_keys_take_over(struct plm_quic_conn *conn, void *tls);

/* --- stream.c ----------------------------------------------------------------------------- */

struct quic_chunks {
	struct plm_quic_chunk *head;
	struct plm_quic_chunk **tail;
};

/* How far a stream of the peer's was handed up, and where there is memory for what comes next: bit i stands for
 * the i-th block from the one on that `offset` is in. */
struct quic_rx_stream {
	int64_t stream_id;
	uint64_t offset;
	uint32_t blocks;
};

void quic_stream_callbacks(ngtcp2_callbacks *cb);
void quic_stream_init(struct plm_quic_conn *conn);
void quic_stream_fini(struct plm_quic_conn *conn);
/* Is there memory for the stream data in a packet's frames, should it be out of order? */
bool quic_stream_has_memory(struct plm_quic_conn *conn, const uint8_t *frames, size_t len);
/* The next packet of what is due, with stream data that is. As ngtcp2_conn_writev_stream(). */
ngtcp2_ssize quic_stream_write(struct plm_quic_conn *conn, ngtcp2_path *path, ngtcp2_pkt_info *pi,
		uint8_t *buf, size_t size, uint64_t now_ns);

/* --- control.c ---------------------------------------------------------------------------- */

struct quic_control {
	uint64_t window; /* bytes that may be in flight */
	uint64_t left;   /* of it, while a burst is being sent */
	uint64_t sent;   /* datagrams */
	uint64_t acked;
	uint64_t lost;
	uint64_t in_flight; /* never too many: one that is late counts as lost and as acked */
	uint64_t most_in_flight;
	uint64_t epoch_ns; /* when this epoch ends; what was acked and lost when it began */
	uint64_t epoch_acked;
	uint64_t epoch_lost;
	uint64_t full_ns; /* since when nothing was heard with the window full */
	uint64_t probe_ns;
	uint64_t probe_acked;
	bool is_full;       /* something was refused in this epoch */
	uint8_t mtu_losses; /* of packets larger than known, in a row */
	uint16_t mtu_known; /* UDP payload that the path carries */
	uint16_t mtu_limit; /* and that it may carry */
	uint16_t mtu_most;
	uint64_t mtu_retry_ns; /* when mtu_limit is forgotten */
};

void quic_control_init(struct quic_control *c, uint16_t mtu);
/* Another path: nothing is known of what it carries. */
void quic_control_moved(struct quic_control *c);
/* A burst of datagrams is to be sent. */
void quic_control_begin(struct plm_quic_conn *conn, uint64_t now_ns);
/* May a datagram go that makes a packet of `size` bytes? PLM_QUIC_SENT: yes. */
enum plm_quic_verdict quic_control_check(struct plm_quic_conn *conn,
		const struct plm_quic_dgram *dgram, size_t size, uint64_t now_ns);
/* What to call it when it is acknowledged or lost. */
uint64_t quic_control_id(const struct quic_control *c, size_t size);
void quic_control_sent(struct quic_control *c, size_t size);
void quic_control_acked(struct quic_control *c, uint64_t id);
void quic_control_lost(struct quic_control *c, uint64_t id, uint64_t now_ns);

/* --- a connection ------------------------------------------------------------------------- */

struct plm_quic {
	/* const */
	struct plm_quic_conf conf;
	ngtcp2_callbacks server;
	ngtcp2_callbacks client;
};

struct plm_quic_conn {
	/* owner; the first line is what sending and receiving touch */
	ngtcp2_conn *ng;
	struct plm_quic *quic;
	const struct plm_quic_ops *ops;
	void *ops_ctx;
	uint8_t state; /* enum plm_quic_state */
	uint8_t cipher;
	bool is_dirty;
	bool got_more;         /* in the packet at hand: what wants an answer now */
	uint8_t nb_unanswered; /* packets since our last acknowledgement that want one, and more */
	bool close_due;
	uint8_t worker;
	uint16_t cid_seq;
	uint32_t slot;
	uint32_t gen;
	struct plm_quic_path path; /* where the last packet went, or came from */

	struct quic_chunks unsent;
	struct quic_chunks unacked;
	uint32_t nb_chunks;
	uint32_t nb_kinds; /* of them, that have begun and a newer one of their kind supersedes */
	int64_t tx_stream; /* of the chunk before, for one that goes on with it */
	uint64_t tx_offset;
	struct quic_rx_stream rx[16]; /* those that data came for last */
	uint32_t rx_next;
	int64_t rx_top[4]; /* of each kind of streams, beyond the last that data came for */
	int64_t rx_reset; /* unidirectional stream that was reset last, and is not closed; -1: none */
	uint32_t nb_kept; /* of those before it */

	struct quic_control control;
	uint64_t now_ns; /* of the call that ngtcp2 is in, or was last in */
	struct plm_quic_heard heard;
	/* for plm_quic_prefetch_send_more() and its like for reception */
	const struct quic_key *tx_key; /* that was used last */
	const struct quic_key *rx_key;
	const struct quic_key *tx_hp;
	const struct quic_key *rx_hp;
	uint32_t key_updates;

	ngtcp2_ccerr error; /* what to close with */
	struct plm_quic_end end;
	uint16_t close_len;   /* the packet that said so */
	uint16_t close_heard; /* packets since */
	uint8_t *close_packet;
	uint64_t closed_ns;

	void *tls;
	ngtcp2_crypto_conn_ref ref;
	struct quic_arena arena;
	ngtcp2_mem mem;
};

/* The time of a call. ngtcp2's must never run backwards, and it could: the lcore that takes a connection
 * over may have looked at the clock before the other one did. */
static inline uint64_t
quic_time(struct plm_quic_conn *conn, uint64_t now_ns)
{
	conn->now_ns = RTE_MAX(conn->now_ns, now_ns);
	return conn->now_ns;
}

void quic_conn_callbacks(struct plm_quic *quic);

/* How long it closes. */
uint64_t quic_closing_ns(struct plm_quic_conn *conn);

/* The connection ends: with what we say to the peer, unless it must not be told. */
void quic_conn_fail(struct plm_quic_conn *conn, int liberr);

/* ngtcp2's form of a path, and back. The own address is told by its index, in place of the port. */
void quic_path_to(ngtcp2_path_storage *to, const struct plm_quic_path *from);
void quic_path_from(struct plm_quic_path *to, const ngtcp2_path *from);

#endif

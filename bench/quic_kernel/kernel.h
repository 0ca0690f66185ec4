/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of plenum-quic-kernel share. One thread: all of it is that one's. */
#ifndef QUIC_KERNEL_H
#define QUIC_KERNEL_H

#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdalign.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <rte_common.h>

#include <ngtcp2/ngtcp2.h>

#include "plm_quic.h"
#include "plm_quic_identity.h"
#include "plm_wheel.h"
#include "plm_wzp.h"
#include "quic_side.h"

#define SOCKETS       2 /* of own addresses */
#define CONNS         1024
#define ARENA_SIZE    (PLM_QUIC_ARENA_MIN + 5 * RTE_CACHE_LINE_SIZE) /* as in the relay's table */
#define EXTENT_SIZE   (16 * 1024)
#define EXTENTS       (PLM_QUIC_EXTENTS_MAX * CONNS)
#define BUCKETS       2048 /* of client-chosen first ids */
#define RX_BURST      64
#define RX_SIZE       2048
#define TX_BURST      1024
#define GSO_MAX       16 /* packets that leave as one: below 64 KB */
#define DGRAMS        4096
#define SEND_MAX      256 /* datagrams to one receiver in one call */
#define SOCKET_BUFFER (8 << 20)
#define HUGE_PAGE     ((size_t)2 << 20)
#define NAME_SIZE     256
#define NONE          UINT32_MAX
#define ASK_EVERY     64 /* turns of full bursts without looking at signals and the other socket */

#define FOREACH_COUNTER(X)                                                                         \
	X(handshakes)                                                                              \
	X(closed_by_client) /* with code 0 */                                                      \
	X(ended_otherwise)                                                                         \
	X(packets_in)                                                                              \
	X(packets_out)                                                                             \
	X(gso_packets) /* of them, those that left with others as one */                           \
	X(datagrams_in)                                                                            \
	X(delivered)                                                                               \
	X(no_window)                                                                               \
	X(no_memory)                                                                               \
	X(too_large)                                                                               \
	X(not_open)                                                                                \
	X(drop_truncated)                                                                          \
	X(drop_malformed)                                                                          \
	X(drop_unknown)                                                                            \
	X(drop_not_initial)                                                                        \
	X(drop_conns_full)                                                                         \
	X(drop_no_memory)                                                                          \
	X(drop_burst_full)                                                                         \
	X(drop_no_room)                                                                            \
	X(send_failed)                                                                             \
	X(recv_calls)                                                                              \
	X(send_calls)                                                                              \
	X(moved)

#define X(name) COUNT_##name,
enum counter { FOREACH_COUNTER(X) COUNTERS };
#undef X

struct room {
	char name[NAME_SIZE]; /* empty: free */
	uint32_t nb_members;
	uint32_t *members; /* slots; owned, room for CONNS */
	bool touched;      /* has datagrams of this burst */
	uint32_t first;    /* of them, NONE: there are none */
	uint32_t last;
};

struct peer {
	struct plm_quic_conn *conn; /* NULL: free */
	gnutls_session_t tls;       /* the connection's until it is established */
	uint32_t gen;
	uint32_t room; /* NONE: in none */
	uint32_t next; /* of its bucket, or of the free ones */
	uint8_t dcid_len;
	uint8_t dcid[NGTCP2_MAX_CIDLEN]; /* the client's first */
	bool is_known;                   /* has been handed its keys: `tls` is to go */
	bool is_over;                    /* has been counted as ended */
	bool is_touched;                 /* on the list of those to be flushed */
	bool is_answered;                /* its offer was */
	struct offer *offer;             /* owned; NULL: it made none */
};

/* A datagram of this burst. */
struct pending {
	const uint8_t *buf;
	uint16_t len;
	uint32_t sender;
	uint32_t next; /* of its room */
};

/* Packets of one socket on their way. */
struct tx {
	int fd;
	bool is_readable;
	unsigned int n;
	uint8_t *buf; /* TX_BURST packets */
	struct {
		uint16_t len;
		uint8_t ecn;
		struct plm_quic_path path;
	} pkt[TX_BURST];
	struct mmsghdr msg[TX_BURST];
	struct iovec iov[TX_BURST];
	union {
		struct sockaddr_in6 v6;
		struct sockaddr_in v4;
	} to[TX_BURST];
	/* the size of segments, ECN */
	alignas(struct cmsghdr) uint8_t
			control[TX_BURST][CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(int))];
};

struct kernel {
	/* const */
	struct quic_side side;
	struct plm_quic_identity *identity;
	uint8_t fingerprint[PLM_QUIC_FINGERPRINT_SIZE];
	uint8_t hash_key[16];
	struct plm_wzp_identity wzp; /* that answers are signed with */
	bool gso;
	unsigned int nb_sockets;

	struct peer peers[CONNS];
	struct room rooms[CONNS];
	uint32_t bucket[BUCKETS];
	uint32_t free_peer;
	uint32_t nb_peers;
	uint32_t nb_slots; /* that were ever used: the first ones */
	void *map;         /* of arenas and extents */
	size_t map_size;
	uint8_t *arenas;
	struct plm_quic_memory memory;
	void *free_extent;
	struct plm_wheel wheel;
	struct plm_wheel_entry wheel_entries[CONNS];

	/* of a burst */
	uint64_t now_ns;
	struct mmsghdr msg[RX_BURST];
	struct iovec iov[RX_BURST];
	struct sockaddr_storage from[RX_BURST];
	uint8_t rx[RX_BURST][RX_SIZE];
	alignas(struct cmsghdr) uint8_t rx_control[RX_BURST][CMSG_SPACE(sizeof(int))]; /* ECN */
	struct pending pending[DGRAMS];
	unsigned int nb_pending;
	uint8_t bytes[RX_BURST * RX_SIZE];
	size_t nb_bytes;
	uint32_t touched_rooms[CONNS];
	unsigned int nb_touched_rooms;
	uint32_t touched[CONNS];
	unsigned int nb_touched;
	struct plm_quic_out out;
	struct tx *put_to; /* the buffer that out->get() has given out is this one's */
	struct tx tx[SOCKETS];

	uint64_t counters[COUNTERS];
	struct rusage since;
};

uint64_t kernel_now(void);
/* Say why and end the program; of whoever has the relay in it. */
void kernel_die(const char *what, const char *why) __attribute__((noreturn));

/* --- setup.c ------------------------------------------------------------------------------ */

/* Connections that are silent for `idle_ns` end. */
struct kernel *kernel_create(enum plm_aead_backend backend, uint64_t idle_ns);
/* At ADDR:PORT or [ADDR]:PORT; port 0 is any. */
void kernel_listen(struct kernel *k, const char *text);
void kernel_free(struct kernel *k);

/* --- tx.c --------------------------------------------------------------------------------- */

void kernel_tx_init(struct kernel *k);
/* Where packets of a connection are written to. */
struct plm_quic_out *kernel_out_for(struct kernel *k, const struct peer *peer);
/* Send what was written. */
void kernel_tx_flush(struct kernel *k, struct tx *tx);

/* --- peer.c ------------------------------------------------------------------------------- */

void kernel_peers_init(struct kernel *k);
/* To which connection a packet is, by its id, a new one perhaps; NONE: to none, which was counted. */
uint32_t kernel_lookup(struct kernel *k, const struct plm_quic_path *path, const uint8_t *buf,
		size_t len);
/* It is to be looked at by kernel_turn_end(). */
void kernel_touch(struct kernel *k, uint32_t slot);
/* From now on it gets nothing. */
void kernel_room_leave(struct kernel *k, uint32_t slot);
void kernel_peer_free(struct kernel *k, uint32_t slot);

/* --- offer.c ------------------------------------------------------------------------------ */

/* What a client says on its streams: its offer is answered. 0, -EMSGSIZE, -ENOMEM. */
int kernel_offer_take(struct kernel *k, struct peer *peer, int64_t stream_id, const uint8_t *buf,
		size_t len);
/* When its connection is gone. */
void kernel_offer_free(struct peer *peer);

/* --- burst.c ------------------------------------------------------------------------------ */

/* Serve a burst of each socket that is readable, and the timers; how many packets came. */
unsigned int kernel_turn(struct kernel *k);
/* Fan out, write and send all that came of what was touched. */
void kernel_turn_end(struct kernel *k);
/* Until a packet, a timer or a signal; without `sleep` only look which sockets are readable. Signals are
 * let in here alone, so none is missed. */
void kernel_wait(struct kernel *k, bool sleep, const sigset_t *signals);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A relay in one process and one thread: ports are pairs of rings, time is a number, participants
 * are virtual. A test steps workers, slow path and network in any order and looks at every frame
 * that comes out; each is checked (lengths, checksums, addresses) by code of its own.
 *
 * The slow path is a small one: it settles SSRC claims, publishes views, resolves neighbours and
 * keeps what workers handed up. Sessions are opened by test_relay_join().
 */
#ifndef PLM_TEST_RELAY_H
#define PLM_TEST_RELAY_H

#include "plm_relay.h"
#include "test_eal.h"

#define TEST_UDP_PORT 3478

struct test_relay_conf {
	unsigned int nb_workers; /**< 1 */
	unsigned int nb_ports;   /**< 1 */
	unsigned int nb_queues;  /**< of each port; queue q belongs to worker q */
	unsigned int nb_txd;     /**< frames that a TX ring holds */
	enum plm_chain chain;
	uint16_t copy_below;
	uint16_t mtu;
	uint16_t vlan; /**< of each port; 0: untagged */
	unsigned int ring_size;
	unsigned int turn_copies;
	unsigned int park_entries;
	unsigned int nb_hdr; /**< mbufs of a header pool */
	uint32_t stun_rate;
	uint32_t l2_rate;
	uint32_t rtcp_rate;
	uint8_t max_ssrcs;
	struct plm_rate packet_rate;
	struct plm_rate bit_rate;
	struct plm_room_settings room;
	uint32_t max_members;
	uint32_t max_sessions;
};

/** One payload as a participant got it. */
struct test_packet {
	uint64_t at_ns;
	uint64_t nth; /**< of all frames of the test, in the order they left */
	uint16_t len;
	uint8_t tos;
	uint8_t nb_segs;
	uint8_t bytes[1600];
};

/** A virtual participant. */
struct test_peer {
	char name[PLM_NAME_SIZE];
	uint32_t room_idx;
	struct plm_handle session;
	struct plm_tuple tuple;
	struct plm_ip ip;
	uint16_t udp_port;
	uint16_t port_idx;
	uint16_t rx_queue; /**< where RSS puts its packets */
	bool in_room;
	bool quiet;                /**< count what it gets, keep nothing */
	uint16_t next_seq[4];      /**< of RTP that a quiet one gets, by SSRC modulo 4 */
	unsigned int nb_unordered; /**< of it, what was not that number */
	unsigned int nb_got;
	unsigned int nb_kept;
	struct test_packet *got;
};

struct test_relay {
	/* what it is made of; a test may reach in */
	struct test_relay_conf conf;
	uint64_t now_ns;
	uint64_t wall_s;
	struct plm_rcu rcu;
	struct plm_session_table *sessions;
	struct plm_room_table *rooms;
	struct plm_net *net;
	struct plm_relay *relay;
	struct plm_port ports[PLM_PORTS_MAX];
	const struct plm_port *port_list[PLM_PORTS_MAX];
	struct rte_ring *rx[PLM_PORTS_MAX][PLM_WORKERS_MAX];
	struct rte_ring *tx[PLM_PORTS_MAX][PLM_WORKERS_MAX];
	struct rte_mempool *rx_pools[PLM_WORKERS_MAX];
	struct rte_mempool *hdr_pools[PLM_WORKERS_MAX];
	struct rte_mempool *copy_pools[PLM_WORKERS_MAX];
	struct rte_mempool *slice_pools[PLM_WORKERS_MAX];
	struct rte_mempool *frame_pool;
	struct plm_counters ctl_counters;
	struct test_peer *peers[16384];
	unsigned int nb_peers;
	unsigned int by_port[65536]; /**< peer + 1 by UDP port */
	uint64_t nb_out;             /**< frames seen so far */
	unsigned int nb_known;       /**< packets that workers handed up, by ring */
	unsigned int nb_unknown;
	unsigned int nb_clashes; /**< claims settled against the claimant */
	bool answer_neighbours;  /**< ARP and NS are answered (default) */
	bool settle_claims;      /**< by slow path (default) */
	struct {
		uint16_t port_idx;
		uint16_t len;
		uint8_t bytes[128];
	} wire[8192]; /**< the slow path's frames on their way out */
	unsigned int nb_wire;
};

/** Defaults: one worker, port and queue, sharing from the first byte on, no limits. */
struct test_relay_conf test_relay_defaults(void);

/** Fails the test when anything is missing. */
struct test_relay *test_relay_create(const struct test_relay_conf *conf);

/** Stop, check the counters' sums and that every pool is full again, free. */
void test_relay_free(struct test_relay *r);

/** A room, by name; made if it does not exist. */
uint32_t test_relay_room(struct test_relay *r, const char *name);

/** A participant: session with one tuple, joined, on its way into the next view. */
struct test_peer *test_relay_join(struct test_relay *r, const char *room, enum plm_role role,
		bool is_v6, uint16_t port_idx, uint8_t home);

/** End the session and leave the room. */
void test_relay_leave(struct test_relay *r, struct test_peer *peer);

/** Put one UDP payload of a participant before the relay. */
void test_relay_send(struct test_relay *r, const struct test_peer *peer, const void *payload,
		uint16_t len, uint8_t tos);

/** Put a raw frame before a queue of the relay; false when the ring is full. */
bool test_relay_inject(struct test_relay *r, uint16_t port_idx, uint16_t queue, const void *frame,
		uint16_t len);

/** Headers and payload as this participant would send them; returns the frame's length. */
uint16_t test_relay_frame(struct test_relay *r, const struct test_peer *peer, const void *payload,
		uint16_t len, uint8_t tos, uint8_t *frame);

/** RTP packet number `seq` of an SSRC, `len` bytes that follow from both. Returns `len`. */
uint16_t test_rtp(uint8_t *buf, uint32_t ssrc, uint16_t seq, uint16_t len);

/** Send RTP packet `seq`. */
void test_relay_rtp(struct test_relay *r, const struct test_peer *peer, uint32_t ssrc, uint16_t seq,
		uint16_t len);

/** One turn of a worker at the present time. */
unsigned int test_relay_turn(struct test_relay *r, unsigned int worker);

/** The slow path's turn. */
void test_relay_slow(struct test_relay *r);

/** Take up to `n` frames from every TX ring and deliver them; how many. */
unsigned int test_relay_sink(struct test_relay *r, unsigned int n);

/** Time passes, every worker and the slow path take a turn, all that left is delivered. */
void test_relay_step(struct test_relay *r, uint64_t ns);

/** Steps until nothing moves any more. */
void test_relay_settle(struct test_relay *r);

/** A counter summed over all workers. */
uint64_t test_relay_count(const struct test_relay *r, enum plm_counter id);

/** The sums of plm_stats.h; `waiting` copies are parked, buffered or in carry rings. */
void test_relay_check_sums(const struct test_relay *r, uint64_t waiting);

/** Forget what the participant got. */
void test_peer_clear(struct test_peer *peer);

#endif

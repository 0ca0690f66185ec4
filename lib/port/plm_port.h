/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Ports: one ethdev each, its queues, mempools and TX buffers. What a driver cannot do (chained
 * mbufs, checksums, filters) is found out once, at start, and written down here as flags.
 *
 * A (port, queue) belongs to one lcore. Opening, closing, link, statistics and MTU are main's.
 */
#ifndef PLM_PORT_H
#define PLM_PORT_H

#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "plm_lcore.h"

/** What the relay learns of a packet once, kept in the RX mbuf's private area. */
struct plm_pkt {
	uint64_t sref;        /**< session reference (plm_session.h), 0 if none */
	uint64_t rx_ns;       /**< when its burst was taken */
	uint32_t payload_sum; /**< ones' complement sum of the UDP payload, folded to 16 bits */
	uint16_t payload_off; /**< from the start of the frame */
	uint16_t payload_len; /**< UDP payload bytes */
	uint16_t l3_off;      /**< IP header, from the start of the frame */
	uint16_t local_idx;   /**< own address that was asked (plm_net.h) */
	rte_be16_t src_port;
	uint8_t port_idx; /**< port that received it */
	uint8_t tos;      /**< IPv4 TOS or IPv6 traffic class */
	uint8_t is_v6;
	uint8_t is_known;     /**< to the slow path: enum plm_pkt_known */
	uint8_t src_addr[16]; /**< IPv4 in the first four bytes, the rest 0 */
	/* of a packet that one worker hands to others */
	uint32_t view_seq;   /**< whom it is for: low half of plm_view.seq */
	const uint8_t *lent; /**< payload */
};
static_assert(sizeof(struct plm_pkt) <= RTE_CACHE_LINE_SIZE, "one line behind the mbuf");

/** What a packet is that goes to the slow path. */
enum plm_pkt_known {
	PLM_PKT_OTHER,   /**< ARP, ND, ICMP; STUN of nobody's tuple */
	PLM_PKT_SESSION, /**< STUN of a session's tuple */
	PLM_PKT_QUIC,
};

/** The packet's description. Valid for mbufs of RX pools only. */
static inline struct plm_pkt *
plm_pkt(struct rte_mbuf *m)
{
	return rte_mbuf_to_priv(m);
}

/** Whose frame waits in a TX buffer; decides which counter it moves. */
enum plm_tx_kind {
	PLM_TX_COPY,  /**< this worker's copy for a subscriber */
	PLM_TX_CARRY, /**< another worker's copy */
	PLM_TX_CTL,   /**< the slow path's frame */
	PLM_TX_QUIC,  /**< this worker's QUIC packet: its copies were counted when it was made */
	PLM_TX_KINDS
};

enum plm_chain {
	PLM_CHAIN_AUTO, /**< chain where the port advertises MULTI_SEGS */
	PLM_CHAIN_ON,   /**< the driver can although it does not say so (null, pcap) */
	PLM_CHAIN_OFF,  /**< linear copies only (af_xdp corrupts chains silently) */
};

/** How a port deals out what it receives to its queues. */
enum plm_spread {
	PLM_SPREAD_NONE,   /**< one queue */
	PLM_SPREAD_DRIVER, /**< by the driver's or its peer's own means, if at all */
	PLM_SPREAD_RSS,    /**< RSS over addresses and UDP ports */
};

struct plm_port_conf {
	const char *name;   /**< ethdev name, e.g. "net_af_packet0" or a PCI address */
	uint16_t nb_queues; /**< RX and TX queues, 1 to the ethdev's maximum; 1 if it refuses */
	uint16_t nb_rxd;    /**< adjusted to what the driver allows */
	uint16_t nb_txd;
	uint16_t mtu; /**< 0: leave the driver's */
	enum plm_chain chain;
	uint16_t copy_below; /**< payloads shorter than this are copied, not shared, bytes */
	uint16_t vlan;       /**< 1 to 4094: all frames carry this tag; 0: none does */
	struct rte_mempool **rx_pools; /**< one per queue */
};

/** const after plm_port_open(), but for the link and `lost`. */
struct plm_port {
	const char *name;
	uint16_t ethdev_id;
	uint16_t idx; /**< position in the relay's list of ports */
	uint16_t nb_queues;
	uint16_t nb_rxd;
	uint16_t nb_txd;
	uint16_t mtu;
	uint16_t copy_below;
	uint16_t vlan;    /**< 0: untagged */
	bool chain;       /**< header and shared payload may be sent as two segments */
	bool rx_ip_csum;  /**< RX flags tell of the IPv4 header checksum */
	bool rx_udp_csum; /**< RX flags tell of the UDP checksum */
	bool promiscuous; /**< the driver has no multicast filter: software filters alone */
	enum plm_spread spread;
	uint16_t reta_size; /**< entries of the RSS table that we filled; 0: the driver's own */
	struct rte_ether_addr mac;

	/* main: what carries the frames is down or gone (an interface), whatever the driver says */
	bool lost;

	/* main writes, any reads */
	_Atomic bool link_up;
	_Atomic uint32_t link_mbps;
};

/**
 * Configure and start an ethdev. Says on error, in `why`, what the operator can do. What the driver
 * refuses and can be done without (RSS, offloads) is given up with one line of log: `port` says what
 * is left.
 * @return 0, -ENODEV no such ethdev, -EINVAL a value the driver refuses, -EIO it does not start.
 * @note main lcore, before the workers run.
 */
int plm_port_open(struct plm_port *port, uint16_t idx, const struct plm_port_conf *conf,
		struct plm_text *why);

/** Stop and close. Queues are empty of mbufs afterwards. Takes an unopened one. main lcore. */
void plm_port_close(struct plm_port *port);

/** Receive these multicast MAC addresses (solicited-node groups). 0 or negative errno. */
int plm_port_set_mcast(struct plm_port *port, const struct rte_ether_addr *list, unsigned int n);

/** Read link state and speed into `port`; a device that was pulled out has none. main lcore. */
void plm_port_poll_link(struct plm_port *port);

/** Bytes of an 802.1Q tag. Software puts it in: not every device can, and none says whether it can for
 *  chains. */
#define PLM_VLAN_TAG 4

/** Put the port's VLAN tag into an Ethernet frame: one whose header is ours and has 4 bytes of
 *  headroom. Any lcore that owns `m`. */
static inline void
plm_port_tag(const struct plm_port *port, struct rte_mbuf *m)
{
	const uint8_t tag[PLM_VLAN_TAG] = { 0x81, 0x00, (uint8_t)(port->vlan >> 8),
		(uint8_t)port->vlan };
	uint8_t *frame;

	m->data_off -= PLM_VLAN_TAG;
	m->data_len += PLM_VLAN_TAG;
	m->pkt_len += PLM_VLAN_TAG;
	frame = rte_pktmbuf_mtod(m, uint8_t *);
	memmove(frame, frame + PLM_VLAN_TAG, 2 * RTE_ETHER_ADDR_LEN);
	memcpy(frame + 2 * RTE_ETHER_ADDR_LEN, tag, sizeof(tag));
}

/**
 * Take the port's VLAN tag off a received frame. False: it has none, or another one.
 * @note The queue's owner; the frame is nobody else's yet.
 */
static inline bool
plm_port_untag(const struct plm_port *port, struct rte_mbuf *m)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	uint16_t tci;

	if (m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) /* the driver's own idea */
		return (m->vlan_tci & 0xfff) == port->vlan;
	if (m->data_len < 2 * RTE_ETHER_ADDR_LEN + PLM_VLAN_TAG || frame[12] != 0x81 ||
			frame[13] != 0x00)
		return false;
	tci = (uint16_t)(frame[14] << 8 | frame[15]);
	if ((tci & 0xfff) != port->vlan) /* priority and DEI do not matter */
		return false;
	memmove(frame + PLM_VLAN_TAG, frame, 2 * RTE_ETHER_ADDR_LEN);
	m->data_off += PLM_VLAN_TAG;
	m->data_len -= PLM_VLAN_TAG;
	m->pkt_len -= PLM_VLAN_TAG;
	return true;
}

/** Sizes of every mempool, computed from what can be in flight at once. */
struct plm_pool_plan {
	unsigned int rx;   /**< mbufs of one RX pool (one per worker) */
	unsigned int hdr;  /**< of one header pool (one per worker) */
	unsigned int copy; /**< of one linear-copy pool (one per worker; 0: no port needs it) */
	unsigned int slice; /**< of one pool of payloads handed over (one per worker; 0: one worker) */
	unsigned int quic; /**< of one pool of QUIC packets (one per worker; 0: no QUIC) */
	unsigned int ctl;  /**< of the slow path's frame pool */
	size_t bytes;      /**< of all of them together */
};

struct plm_pool_need {
	unsigned int nb_workers;
	unsigned int rx_desc;      /**< RX descriptors of one worker's queues, all ports */
	unsigned int tx_desc;      /**< TX descriptors of one worker's queues, all ports */
	unsigned int ring_size;    /**< of one mailbox */
	unsigned int park_entries; /**< parked bursts of one worker */
	unsigned int burst;        /**< payloads of one parked burst */
	uint16_t mtu;              /**< largest of all ports */
	bool quic;                 /**< QUIC is served */
	unsigned int quic_parts; /**< parts of its streams that wait on their way to the slow path, or back */
	bool linear;             /**< some port cannot chain */
	bool small_pages; /**< memory in pages of 4 kB instead of hugepages */
};

/** Compute the plan; pure. `plenum --check` prints it. */
void plm_pool_plan(const struct plm_pool_need *need, struct plm_pool_plan *plan);

/** Bytes of a header pool's buffer: headers of 66 B and payloads up to 320 B copied behind them. */
#define PLM_HDR_ROOM 384
/** Longest payload that a header mbuf can take as a copy. */
#define PLM_HDR_COPY_MAX (PLM_HDR_ROOM - 72)

/** RX pool: data room for `mtu` and struct plm_pkt behind the mbuf. NULL and rte_errno. */
struct rte_mempool *plm_pool_create_rx(const char *name, unsigned int n, uint16_t mtu, int socket);
/** Header pool: PLM_HDR_ROOM behind the headroom, no private area. NULL and rte_errno. */
struct rte_mempool *plm_pool_create_hdr(const char *name, unsigned int n, int socket);
/** Payloads that other workers hand over, with their struct plm_pkt. NULL and rte_errno. */
struct rte_mempool *plm_pool_create_slice(const char *name, unsigned int n, uint16_t mtu,
		int socket);
/** Linear copies and slow-path frames: data room for a frame of `mtu`. NULL and rte_errno. */
struct rte_mempool *plm_pool_create_copy(const char *name, unsigned int n, uint16_t mtu,
		int socket);

/** A TX buffer holds this many frames; a subscriber's share of a burst always fits an empty one. */
#define PLM_TXQ_SIZE 64

/**
 * The way out of one worker on one port: its own TX queue, or the ring to the lcore that owns
 * one. What the queue does not take stays in the buffer, in order, for the next turn, or is dropped
 * while the port has no link. Owner: the worker.
 */
struct plm_txq {
	/* const */
	const struct plm_port *port;
	uint16_t ethdev_id;
	uint16_t queue_id;
	uint8_t port_idx;
	bool carried;             /**< no queue of our own: `ring` leads to the owner's */
	struct plm_mailbox *ring; /**< where `carried` */
	struct plm_counters *counters;

	/* owner */
	uint16_t n;                     /**< frames in `buf` */
	uint16_t pending[PLM_TX_KINDS]; /**< of them, by kind */
	struct rte_mbuf *buf[PLM_TXQ_SIZE];
	uint8_t kind[PLM_TXQ_SIZE];
};

/** Offer the buffer to the queue. Returns the frames that stay. Owner only. */
uint16_t plm_txq_flush(struct plm_txq *q);

/** Room for `n` more frames, flushing if needed? Owner only. */
static inline bool
plm_txq_reserve(struct plm_txq *q, uint16_t n)
{
	if (likely(q->n + n <= PLM_TXQ_SIZE))
		return true;
	return plm_txq_flush(q) + n <= PLM_TXQ_SIZE;
}

/** Append a frame for which plm_txq_reserve() found room. Consumes `m`. Owner only. */
static inline void
plm_txq_put(struct plm_txq *q, struct rte_mbuf *m, enum plm_tx_kind kind)
{
	q->buf[q->n] = m;
	q->kind[q->n++] = (uint8_t)kind;
	q->pending[kind]++;
}

/** Free and count as dropped what waits in the buffer (at the end). Owner only. */
void plm_txq_drop(struct plm_txq *q);

#endif

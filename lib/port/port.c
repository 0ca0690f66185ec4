/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports: what a driver can do is found out once, here, and the TX buffers in front of its queues.
 *
 * MBUF_FAST_FREE is never asked for: a payload segment has many references and comes from
 * another pool than its header.
 */
#include <errno.h>

#include <rte_errno.h>

#include "plm_port.h"

RTE_LOG_REGISTER_DEFAULT(plm_logtype, INFO)

/* What a port may do for us; the rest of its offloads stay off. TX checksums are ours: with the
 * template's sums they cost less than telling the port where to put them. */
#define PORT_TX_OFFLOADS RTE_ETH_TX_OFFLOAD_MULTI_SEGS
#define PORT_RX_OFFLOADS (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)
#define PORT_RSS         (RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP)

/* Name the ports that there are, since a wrong name is the usual mistake. */
static void
why_no_device(const struct plm_port_conf *conf, struct plm_text *why)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	const char *sep = "";
	uint16_t id;

	plm_text_add(why, "port %s: no such device; ", conf->name);
	if (rte_eth_dev_count_avail() == 0) {
		plm_text_add(why,
				"EAL found none: give it one with --vdev, or bind the NIC to vfio-pci "
				"and allow its address with -a");
		return;
	}
	plm_text_add(why, "EAL found: ");
	RTE_ETH_FOREACH_DEV(id) {
		if (rte_eth_dev_get_name_by_port(id, name) != 0)
			continue;
		plm_text_add(why, "%s%s", sep, name);
		sep = ", ";
	}
}

static int
check_conf(const struct plm_port_conf *conf, const struct rte_eth_dev_info *info,
		struct plm_text *why)
{
	uint16_t max = RTE_MIN(info->max_rx_queues, info->max_tx_queues);

	if (conf->nb_queues == 0 || conf->nb_queues > max) {
		plm_text_add(why, "port %s: %u queues asked for, %s offers 1 to %u", conf->name,
				conf->nb_queues, info->driver_name, max);
		return -EINVAL;
	}
	if (conf->mtu != 0 && (conf->mtu < info->min_mtu || conf->mtu > info->max_mtu)) {
		plm_text_add(why, "port %s: MTU %u asked for, %s offers %u to %u", conf->name,
				conf->mtu, info->driver_name, info->min_mtu, info->max_mtu);
		return -EINVAL;
	}
	return 0;
}

/* Rings and memif cannot set an MTU and carry any; drivers that can must agree. */
static int
set_mtu(const struct plm_port *port, const struct plm_port_conf *conf, struct plm_text *why)
{
	int ret;

	if (conf->mtu == 0)
		return 0;
	ret = rte_eth_dev_set_mtu(port->ethdev_id, conf->mtu);
	if (ret == 0 || ret == -ENOTSUP)
		return 0;
	plm_text_add(why, "port %s: the driver refuses an MTU of %u: %s", conf->name, conf->mtu,
			rte_strerror(-ret));
	return -EINVAL;
}

/* Fill the RSS table with all queues in turn. */
static void
spread_evenly(struct plm_port *port, uint16_t reta_size)
{
	struct rte_eth_rss_reta_entry64 reta[RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE];
	int ret;

	if (reta_size == 0 || reta_size > RTE_ETH_RSS_RETA_SIZE_512)
		return; /* the driver's own table, even by custom */
	memset(reta, 0, sizeof(reta));
	for (unsigned int i = 0; i < reta_size; i++) {
		struct rte_eth_rss_reta_entry64 *group = &reta[i / RTE_ETH_RETA_GROUP_SIZE];

		group->mask |= UINT64_C(1) << i % RTE_ETH_RETA_GROUP_SIZE;
		group->reta[i % RTE_ETH_RETA_GROUP_SIZE] = (uint16_t)(i % port->nb_queues);
	}
	ret = rte_eth_dev_rss_reta_update(port->ethdev_id, reta, reta_size);
	if (ret == 0)
		port->reta_size = reta_size;
	else if (ret != -ENOTSUP)
		PLM_LOG(WARNING,
				"port %s: the driver keeps an RSS table of its own: %s; if it does not "
				"spread well, packets cross rings to their workers",
				port->name, rte_strerror(-ret));
}

/*
 * Configure with all that is wanted; what is refused is given up, one thing after another, and told
 * only when that helped: a driver does not say what it minds.
 */
static int
configure(struct plm_port *port, const struct plm_port_conf *conf,
		const struct rte_eth_dev_info *info, struct rte_eth_conf *eth, struct plm_text *why)
{
	uint64_t hf = info->flow_type_rss_offloads & PORT_RSS;
	bool has_rss = hf != 0;
	bool no_queues = false;
	bool no_offloads = false;
	int first;
	int ret;

	port->spread = PLM_SPREAD_NONE;
	if (port->nb_queues > 1) {
		port->spread = has_rss ? PLM_SPREAD_RSS : PLM_SPREAD_DRIVER;
		eth->rx_adv_conf.rss_conf.rss_hf = hf;
		eth->rxmode.mq_mode = has_rss ? RTE_ETH_MQ_RX_RSS : RTE_ETH_MQ_RX_NONE;
	}
	ret = first = rte_eth_dev_configure(port->ethdev_id, port->nb_queues, port->nb_queues, eth);
	if (ret < 0 && port->nb_queues > 1) {
		no_queues = true;
		port->nb_queues = 1;
		port->spread = PLM_SPREAD_NONE;
		eth->rx_adv_conf.rss_conf.rss_hf = 0;
		eth->rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
		ret = rte_eth_dev_configure(port->ethdev_id, 1, 1, eth);
	}
	if (ret < 0 && (eth->rxmode.offloads | eth->txmode.offloads) != 0) {
		no_offloads = true;
		eth->rxmode.offloads = 0;
		eth->txmode.offloads = 0;
		ret = rte_eth_dev_configure(port->ethdev_id, 1, 1, eth);
	}
	if (ret < 0) {
		plm_text_add(why, "port %s: %s refuses %u queues with MTU %u: %s", conf->name,
				info->driver_name, conf->nb_queues, conf->mtu,
				rte_strerror(-first));
		return -EINVAL;
	}
	if (no_queues)
		PLM_LOG(WARNING,
				"port %s: %s refuses %u queues%s: %s; one queue, and packets cross rings "
				"to their workers",
				conf->name, info->driver_name, conf->nb_queues,
				has_rss ? " with RSS over UDP ports" : "", rte_strerror(-first));
	else if (port->spread == PLM_SPREAD_DRIVER)
		PLM_LOG(NOTICE,
				"port %s: %s has no RSS over UDP ports; what its own way of spreading "
				"brings to a wrong queue crosses a ring",
				conf->name, info->driver_name);
	if (no_offloads)
		PLM_LOG(WARNING,
				"port %s: %s refuses the offloads that it offers: %s; checksums in "
				"software, linear copies",
				conf->name, info->driver_name, rte_strerror(-first));
	return 0;
}

static int
setup_queues(struct plm_port *port, const struct plm_port_conf *conf,
		const struct rte_eth_dev_info *info, const struct rte_eth_conf *eth,
		struct plm_text *why)
{
	unsigned int socket = (unsigned int)rte_eth_dev_socket_id(port->ethdev_id);
	struct rte_eth_rxconf rx = info->default_rxconf;
	struct rte_eth_txconf tx = info->default_txconf;
	int ret;

	rx.offloads = eth->rxmode.offloads;
	tx.offloads = eth->txmode.offloads;
	for (uint16_t q = 0; q < port->nb_queues; q++) {
		ret = rte_eth_rx_queue_setup(port->ethdev_id, q, port->nb_rxd, socket, &rx,
				conf->rx_pools[q]);
		if (ret < 0) {
			plm_text_add(why,
					"port %s: RX queue %u with %u descriptors and buffers of %u "
					"bytes: %s",
					conf->name, q, port->nb_rxd,
					rte_pktmbuf_data_room_size(conf->rx_pools[q]) -
							RTE_PKTMBUF_HEADROOM,
					rte_strerror(-ret));
			return -EINVAL;
		}
		ret = rte_eth_tx_queue_setup(port->ethdev_id, q, port->nb_txd, socket, &tx);
		if (ret < 0) {
			plm_text_add(why, "port %s: TX queue %u with %u descriptors: %s",
					conf->name, q, port->nb_txd, rte_strerror(-ret));
			return -EINVAL;
		}
	}
	return 0;
}

/* The port's MAC address. A ring has none, and 0 would mean "unknown" to its neighbours. */
static void
find_mac(struct plm_port *port)
{
	if (rte_eth_macaddr_get(port->ethdev_id, &port->mac) == 0 &&
			!rte_is_zero_ether_addr(&port->mac))
		return;
	port->mac = (struct rte_ether_addr){ { 0x02, 'p', 'l', 'm', 0, (uint8_t)port->idx } };
	/* Whether the driver takes note does not matter: it filters nothing. */
	(void)rte_eth_dev_default_mac_addr_set(port->ethdev_id, &port->mac);
}

int
plm_port_open(struct plm_port *port, uint16_t idx, const struct plm_port_conf *conf,
		struct plm_text *why)
{
	struct rte_eth_conf eth = { 0 };
	struct rte_eth_dev_info info;
	int ret;

	memset(port, 0, sizeof(*port));
	if (rte_eth_dev_get_port_by_name(conf->name, &port->ethdev_id) != 0) {
		why_no_device(conf, why);
		return -ENODEV;
	}
	ret = rte_eth_dev_info_get(port->ethdev_id, &info);
	if (ret != 0) {
		plm_text_add(why, "port %s: the driver says nothing about itself: %s", conf->name,
				rte_strerror(-ret));
		return -ENODEV;
	}
	ret = check_conf(conf, &info, why);
	if (ret < 0)
		return ret;

	port->idx = idx;
	port->nb_queues = conf->nb_queues;
	port->nb_rxd = conf->nb_rxd;
	port->nb_txd = conf->nb_txd;
	port->copy_below = conf->copy_below;
	port->vlan = conf->vlan;

	eth.txmode.offloads = info.tx_offload_capa & PORT_TX_OFFLOADS;
	eth.rxmode.offloads = info.rx_offload_capa & PORT_RX_OFFLOADS;
	if (conf->chain == PLM_CHAIN_OFF)
		eth.txmode.offloads &= ~RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	eth.rxmode.mtu = conf->mtu;
	/* Link changes are read once a second anyway; but net_virtio_user without this interrupt leaves a
	 * closed descriptor with EAL when its peer has died, and EAL ends the process for that. */
	eth.intr_conf.lsc = (*info.dev_flags & RTE_ETH_DEV_INTR_LSC) != 0;
	ret = configure(port, conf, &info, &eth, why);
	if (ret < 0)
		return ret;
	port->name = conf->name; /* from here on there is something to close */

	ret = rte_eth_dev_adjust_nb_rx_tx_desc(port->ethdev_id, &port->nb_rxd, &port->nb_txd);
	if (ret < 0 && ret != -ENOTSUP) {
		plm_text_add(why, "port %s: %u and %u descriptors: %s", conf->name, conf->nb_rxd,
				conf->nb_txd, rte_strerror(-ret));
		ret = -EINVAL;
		goto fail;
	}
	ret = setup_queues(port, conf, &info, &eth, why);
	if (ret < 0)
		goto fail;
	ret = set_mtu(port, conf, why);
	if (ret < 0)
		goto fail;
	if (conf->mtu != 0)
		port->mtu = conf->mtu;
	else if (rte_eth_dev_get_mtu(port->ethdev_id, &port->mtu) != 0)
		port->mtu = RTE_ETHER_MTU;

	ret = rte_eth_dev_start(port->ethdev_id);
	if (ret < 0) {
		plm_text_add(why, "port %s: does not start: %s", conf->name, rte_strerror(-ret));
		ret = -EIO;
		goto fail;
	}
	/* A driver that cannot be asked either filters by itself or not at all. */
	(void)rte_eth_promiscuous_disable(port->ethdev_id);
	find_mac(port);
	if (port->spread == PLM_SPREAD_RSS)
		spread_evenly(port, info.reta_size);

	port->chain = conf->chain == PLM_CHAIN_ON ||
			(eth.txmode.offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0;
	port->rx_ip_csum = (eth.rxmode.offloads & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM) != 0;
	port->rx_udp_csum = (eth.rxmode.offloads & RTE_ETH_RX_OFFLOAD_UDP_CKSUM) != 0;
	plm_port_poll_link(port);
	return 0;

fail:
	plm_port_close(port);
	return ret;
}

void
plm_port_close(struct plm_port *port)
{
	int ret;

	if (port->name == NULL)
		return;
	ret = rte_eth_dev_stop(port->ethdev_id);
	if (ret < 0)
		PLM_LOG(ERR, "port %s: stop: %s; frames that it still holds may be lost",
				port->name, rte_strerror(-ret));
	ret = rte_eth_dev_close(port->ethdev_id);
	if (ret < 0)
		PLM_LOG(ERR, "port %s: close: %s", port->name, rte_strerror(-ret));
	port->name = NULL;
	atomic_store_explicit(&port->link_up, false, memory_order_relaxed);
}

int
plm_port_set_mcast(struct plm_port *port, const struct rte_ether_addr *list, unsigned int n)
{
	struct rte_ether_addr own[64];
	int ret = -ENOSPC;

	/* The driver's function is not const-correct. A longer list is worth no filter. */
	if (n <= RTE_DIM(own)) {
		memcpy(own, list, n * sizeof(*list));
		ret = rte_eth_dev_set_mc_addr_list(port->ethdev_id, own, n);
	}
	if (ret != 0)
		ret = rte_eth_allmulticast_enable(port->ethdev_id);
	if (ret == 0) {
		port->promiscuous = false;
		return 0;
	}
	ret = rte_eth_promiscuous_enable(port->ethdev_id);
	port->promiscuous = true;
	/* No filter at all to open: everything comes in already. */
	return ret == -ENOTSUP ? 0 : ret;
}

void
plm_port_poll_link(struct plm_port *port)
{
	struct rte_eth_link link;
	uint32_t mbps;

	if (rte_eth_link_get_nowait(port->ethdev_id, &link) != 0)
		return;
	mbps = link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed;
	atomic_store_explicit(&port->link_mbps, mbps, memory_order_relaxed);
	atomic_store_explicit(&port->link_up,
			link.link_status == RTE_ETH_LINK_UP && !port->lost &&
					rte_eth_dev_is_removed(port->ethdev_id) == 0,
			memory_order_relaxed);
}

/* Offer the buffer to the owner of a queue; the session index goes along. */
static uint16_t
carry(struct plm_txq *q)
{
	struct plm_msg msgs[PLM_TXQ_SIZE];

	for (uint16_t i = 0; i < q->n; i++) {
		msgs[i].type = PLM_MSG_CARRY;
		msgs[i].aux = q->port_idx;
		msgs[i].idx = q->buf[i]->hash.usr;
		msgs[i].mbuf = q->buf[i];
	}
	return (uint16_t)plm_mailbox_put(q->ring, msgs, q->n);
}

/* Move the counters of frames that left, by kind. */
static inline void
count_gone(struct plm_txq *q, const uint16_t gone[PLM_TX_KINDS])
{
	plm_count_add(q->counters, q->carried ? PLM_CNT_COPIES_HANDED : PLM_CNT_COPIES_SENT,
			gone[PLM_TX_COPY]);
	if (unlikely(gone[PLM_TX_CARRY] > 0))
		plm_count_add(q->counters, PLM_CNT_CARRIED_SENT, gone[PLM_TX_CARRY]);
	if (unlikely(gone[PLM_TX_CTL] > 0))
		plm_count_add(q->counters, PLM_CNT_CTL_FRAMES_OUT, gone[PLM_TX_CTL]);
	if (unlikely(gone[PLM_TX_QUIC] > 0))
		plm_count_add(q->counters, PLM_CNT_QUIC_OUT, gone[PLM_TX_QUIC]);
}

static void
drop_all(struct plm_txq *q, enum plm_counter copy, enum plm_counter carried)
{
	if (q->n == 0)
		return; /* perhaps of a relay that failed half-made: no counters either */
	rte_pktmbuf_free_bulk(q->buf, q->n);
	plm_count_add(q->counters, copy, q->pending[PLM_TX_COPY]);
	plm_count_add(q->counters, carried, q->pending[PLM_TX_CARRY]);
	plm_count_add(q->counters, PLM_CNT_CTL_TX_QUEUE, q->pending[PLM_TX_CTL]);
	plm_count_add(q->counters, PLM_CNT_QUIC_TX_QUEUE, q->pending[PLM_TX_QUIC]);
	memset(q->pending, 0, sizeof(q->pending));
	q->n = 0;
}

/* The queue took only the first `sent`: close ranks, keeping the order. */
static __rte_noinline uint16_t
keep_rest(struct plm_txq *q, uint16_t sent)
{
	uint16_t gone[PLM_TX_KINDS] = { 0 };

	for (uint16_t i = 0; i < sent; i++)
		gone[q->kind[i]]++;
	for (unsigned int k = 0; k < PLM_TX_KINDS; k++)
		q->pending[k] -= gone[k];
	q->n -= sent;
	memmove(q->buf, q->buf + sent, q->n * sizeof(q->buf[0]));
	memmove(q->kind, q->kind + sent, q->n * sizeof(q->kind[0]));
	count_gone(q, gone);
	/* Old media is worth nothing when the link is back, and waiting for it would fill what others
	 * wait in. Its owner decides for what is carried. */
	if (!q->carried && !atomic_load_explicit(&q->port->link_up, memory_order_relaxed))
		drop_all(q, PLM_CNT_COPY_LINK, PLM_CNT_CARRY_LINK);
	return q->n;
}

uint16_t
plm_txq_flush(struct plm_txq *q)
{
	uint16_t sent;

	if (q->n == 0)
		return 0;
	if (unlikely(q->carried))
		sent = carry(q);
	else
		sent = rte_eth_tx_burst(q->ethdev_id, q->queue_id, q->buf,
				plm_sim_tx(q->ethdev_id, q->queue_id, q->n));
	plm_sched_point(TX, NULL);
	if (unlikely(sent < q->n))
		return keep_rest(q, sent);
	count_gone(q, q->pending);
	memset(q->pending, 0, sizeof(q->pending));
	q->n = 0;
	return 0;
}

void
plm_txq_drop(struct plm_txq *q)
{
	drop_all(q, PLM_CNT_COPY_STOPPED, PLM_CNT_CARRY_STOPPED);
}

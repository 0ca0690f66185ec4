/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A relay between in-process ports: the tables, network layer and workers of the program, rooms
 * opened by calls instead of STUN, a neighbour that answers, and a feeder of received packets.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_ethdev.h>
#include <rte_malloc.h>

#include "bench.h"

#define RX_MBUFS  4095
#define HDR_MBUFS 4095

/* Of each room the first member publishes. */
struct bench_sender {
	alignas(RTE_CACHE_LINE_SIZE) uint8_t frame[BENCH_HDR + PLM_RTP_HDR]; /* UDP lengths 0 */
	/* sum of pseudo-header, ports and RTP header, lengths left out */
	uint16_t udp_sum;
	uint16_t ip_sum; /* of the IPv4 header, length left out */
};
static_assert(sizeof(struct bench_sender) == RTE_CACHE_LINE_SIZE, "one line per room");

static const uint8_t local_ip[4] = { 198, 18, 0, 1 };
static const uint8_t gateway_ip[4] = { 198, 18, 255, 254 };
static const uint8_t gateway_mac[6] = { 2, 0, 0, 0, 0, 0xfe };

/* What all payloads hold behind their RTP header: zeros. */
static uint8_t filler[1500];

static uint64_t
clock_now(void *ctx)
{
	return 1 + (uint64_t)bench_ns(rte_rdtsc());
}

static void
rand_fill(void *ctx, void *buf, size_t len)
{
	static uint64_t state = 88172645463325252u;
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(bench_random(&state) >> 56);
}

/* --- what lib/net and lib/room ask for ------------------------------------------------------ */

static void
emit(void *ctx, uint16_t port_idx, const void *frame, size_t len)
{
	struct bench_rig *rig = ctx;

	rig->asked.len = RTE_MIN(len, sizeof(rig->asked.frame));
	memcpy(rig->asked.frame, frame, rig->asked.len);
}

/* The gateway answers an ARP request. */
static void
answer_arp(struct bench_rig *rig)
{
	struct plm_arp arp;
	uint8_t frame[64];
	int len;

	if (rig->asked.len < PLM_ETH_HDR ||
			plm_arp_parse(rig->asked.frame + PLM_ETH_HDR, rig->asked.len - PLM_ETH_HDR,
					&arp) < 0 ||
			memcmp(arp.target_ip, gateway_ip, sizeof(gateway_ip)) != 0)
		return;
	rig->asked.len = 0;
	arp.is_request = false;
	memcpy(arp.target_ip, arp.sender_ip, sizeof(arp.target_ip));
	memcpy(arp.target_mac, arp.sender_mac, sizeof(arp.target_mac));
	memcpy(arp.sender_ip, gateway_ip, sizeof(arp.sender_ip));
	memcpy(arp.sender_mac, gateway_mac, sizeof(arp.sender_mac));
	len = plm_arp_build(frame, sizeof(frame), arp.target_mac, &arp);
	plm_net_input(rig->net, 0, frame, (size_t)len, rig->now_ns);
}

static void
released(void *ctx, uint32_t session_idx, const struct plm_egress *egress, bool ended)
{
	struct bench_rig *rig = ctx;
	struct plm_template tmpl;

	memcpy(&tmpl, egress, sizeof(tmpl));
	plm_net_route_put(rig->net, &tmpl);
	if (ended)
		plm_session_release(rig->sessions, session_idx);
}

/* --- made and freed ------------------------------------------------------------------------- */

static size_t
heap_used(void)
{
	struct rte_malloc_socket_stats stats;
	size_t used = mallinfo2().uordblks + mallinfo2().hblkhd;

	if (rte_malloc_get_socket_stats((int)rte_socket_id(), &stats) == 0)
		used += stats.heap_allocsz_bytes;
	return used;
}

static void
create_net(struct bench_rig *rig, const struct plm_port *const *ports)
{
	struct plm_net_local_conf local = { .prefix_len = 16 };
	struct plm_net_conf conf = {
		.ports = ports,
		.nb_ports = 1,
		.locals = &local,
		.nb_locals = 1,
		.udp_port = BENCH_UDP_PORT,
		.max_neighbours = 64,
		.rand = { rand_fill, NULL },
		.emit = emit,
		.emit_ctx = rig,
		.counters = &rig->ctl_counters,
		.socket = (int)rte_socket_id(),
	};

	memcpy(local.ip.addr, local_ip, sizeof(local_ip));
	memcpy(local.gateway.addr, gateway_ip, sizeof(gateway_ip));
	if (plm_net_create(&rig->net, &conf) < 0)
		bench_die("network layer: out of memory");
}

static void
create_tables(struct bench_rig *rig, const struct plm_port *const *ports)
{
	struct plm_session_conf sessions = {
		.max_sessions = rig->nb_sessions,
		.nb_workers = rig->nb_workers,
		.rcu = &rig->rcu,
		.socket = (int)rte_socket_id(),
		.name = rig->name,
		.hash_seed = 7,
	};
	struct plm_room_conf rooms = {
		.max_rooms = rig->nb_rooms,
		.max_members = PLM_ROOM_MEMBERS_MAX,
		.max_backlog = 1024,
		.publish_interval_ns = PLM_NS_PER_MS,
		.nb_workers = rig->nb_workers,
		.rcu = &rig->rcu,
		.socket = (int)rte_socket_id(),
		.released = released,
		.released_ctx = rig,
	};

	if (plm_rcu_init(&rig->rcu, rig->nb_workers, (int)rte_socket_id()) < 0 ||
			plm_session_table_create(&rig->sessions, &sessions) < 0 ||
			plm_room_table_create(&rig->rooms, &rooms) < 0)
		bench_die("tables of %u sessions: out of memory", rig->nb_sessions);
	rig->session_bytes = plm_session_bytes(&sessions);
	create_net(rig, ports);
}

static void
create_relay(struct bench_rig *rig, const struct plm_port *const *ports)
{
	struct plm_relay_conf conf = {
		.nb_workers = rig->nb_workers,
		.ports = ports,
		.nb_ports = 1,
		.net = rig->net,
		.sessions = rig->sessions,
		.rooms = rig->rooms,
		.rcu = &rig->rcu,
		.clock = { clock_now, NULL },
		.rand = { rand_fill, NULL },
		.ring_size = 1024,
		.turn_copies = 1024,
		.park_entries = 1024,
		.stun_rate = 1000,
		.l2_rate = 1000,
		.rtcp_rate = 1000,
		.name = rig->name,
		.socket = (int)rte_socket_id(),
	};

	for (unsigned int w = 0; w < rig->nb_workers; w++) {
		char name[RTE_MEMPOOL_NAMESIZE];

		snprintf(name, sizeof(name), "%s_hdr%u", rig->name, w);
		conf.hdr_pools[w] = plm_pool_create_hdr(name, HDR_MBUFS, (int)rte_socket_id());
		snprintf(name, sizeof(name), "%s_copy%u", rig->name, w);
		conf.copy_pools[w] =
				plm_pool_create_copy(name, HDR_MBUFS, 1500, (int)rte_socket_id());
		if (rig->nb_workers > 1) {
			snprintf(name, sizeof(name), "%s_slice%u", rig->name, w);
			conf.slice_pools[w] = plm_pool_create_slice(name, HDR_MBUFS, 1500,
					(int)rte_socket_id());
		}
		if (conf.hdr_pools[w] == NULL || conf.copy_pools[w] == NULL ||
				(rig->nb_workers > 1 && conf.slice_pools[w] == NULL))
			bench_die("not enough memory for the pools");
		conf.queue_owner[0][w] = (uint8_t)w;
	}
	rig->relay = plm_relay_create(&conf);
	if (rig->relay == NULL)
		bench_die("workers: out of memory");
}

/* Participant `n` of all: an address and a port of its own. */
static struct plm_tuple
tuple_of(uint32_t n)
{
	struct plm_tuple tuple = { .local_idx = 0 };

	tuple.addr[0] = 198;
	tuple.addr[1] = 19;
	tuple.addr[2] = (uint8_t)(n >> 20);
	tuple.addr[3] = (uint8_t)(n >> 12);
	tuple.port = rte_cpu_to_be_16((uint16_t)(10000 + (n & 0xfff)));
	return tuple;
}

static void
sender_init(struct bench_rig *rig, struct bench_sender *s, const struct plm_tuple *tuple,
		uint32_t ssrc)
{
	uint8_t *ip = s->frame + PLM_ETH_HDR;
	uint8_t *udp = ip + PLM_IP4_HDR;
	uint8_t *rtp = udp + PLM_UDP_HDR;
	rte_be16_t local_port = rte_cpu_to_be_16(BENCH_UDP_PORT);
	rte_be32_t be_ssrc = rte_cpu_to_be_32(ssrc);

	memset(s, 0, sizeof(*s));
	memcpy(s->frame, rig->port.port.mac.addr_bytes, 6);
	memcpy(s->frame + 6, gateway_mac, 6);
	s->frame[12] = 0x08;
	ip[0] = 0x45;
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, tuple->addr, 4);
	memcpy(ip + 16, local_ip, 4);
	memcpy(udp, &tuple->port, 2);
	memcpy(udp + 2, &local_port, 2);
	rtp[0] = 0x80;
	rtp[1] = 96;
	memcpy(rtp + 8, &be_ssrc, 4);
	s->ip_sum = plm_wire_sum(ip, PLM_IP4_HDR);
	s->udp_sum = plm_wire_fold((uint32_t)plm_wire_sum(ip + 12, 8) + rte_cpu_to_be_16(17) +
			plm_wire_sum(udp, PLM_UDP_HDR + PLM_RTP_HDR));
}

static void
join(struct bench_rig *rig, const struct bench_set *set, uint32_t room_idx, uint32_t pos,
		uint32_t number, struct bench_sender *senders)
{
	const uint8_t home = (uint8_t)(set->spread ? pos % rig->nb_workers : set->home);
	/* Limits that are checked for each packet and never reached. */
	struct plm_session_new new = {
		.room_idx = room_idx,
		.home = home,
		.role = PLM_ROLE_BOTH,
		.max_ssrcs = PLM_SSRCS,
		.packet_rate = { .cost = 1, .burst_us = 1000000 },
		.bit_rate = { .cost = 1, .burst_us = 1000000 },
	};
	struct plm_tuple tuple = tuple_of(number);
	struct plm_ip ip = { 0 };
	struct plm_handle session;
	struct plm_template tmpl;
	struct plm_member member = {
		.home = home,
		.flags = PLM_SUB_PUBLISHES | PLM_SUB_SUBSCRIBES,
	};
	uint8_t slot;

	memcpy(ip.addr, tuple.addr, 4);
	snprintf(member.name, sizeof(member.name), "p%u", pos);
	if (plm_session_create(rig->sessions, &new, &session) < 0 ||
			plm_session_add_tuple(rig->sessions, session, &tuple, &slot) < 0 ||
			plm_net_route(rig->net, 0, &ip, tuple.port, &tmpl, rig->now_ns) < 0)
		bench_die("session %u does not open", number);
	member.session_idx = session.idx;
	memcpy(&member.egress, &tmpl, sizeof(member.egress));
	if (plm_room_join(rig->rooms, room_idx, &member, rig->now_ns) < 0)
		bench_die("participant %u does not join", number);
	/* In a spread room the first members have different homes. */
	if (pos < set->publishers)
		sender_init(rig, &senders[pos], &tuple, number + 1);
}

/* Publish what changed, and reclaim; no worker runs. */
static void
settle(struct bench_rig *rig)
{
	for (unsigned int i = 0; i < 100000; i++) {
		rig->now_ns += PLM_NS_PER_MS;
		if (plm_room_turn(rig->rooms, rig->now_ns) == UINT64_MAX)
			return;
	}
	bench_die("the rooms' views are not published");
}

static void
open_rooms(struct bench_rig *rig)
{
	struct plm_room_settings settings = {
		.max_members = PLM_ROOM_MEMBERS_MAX,
		.rtcp = PLM_RTCP_CLEAR,
		.dscp = PLM_DSCP_COPY,
	};
	uint32_t sender = 0;
	uint32_t room = 0;
	uint32_t number = 0;

	for (unsigned int s = 0; s < rig->nb_sets; s++) {
		struct bench_set *set = &rig->sets[s];
		size_t before;

		set->first = sender;
		before = heap_used();
		for (uint32_t r = 0; r < set->rooms; r++, room++, sender += set->publishers) {
			char name[PLM_NAME_SIZE];
			uint32_t idx;

			snprintf(name, sizeof(name), "room-%u", room);
			if (plm_room_open(rig->rooms, 'r', name, &settings, (uint8_t)set->home,
					    &idx) < 0)
				bench_die("%s does not open", name);
			for (uint32_t i = 0; i < set->members; i++)
				join(rig, set, idx, i, number++, &rig->senders[sender]);
			if (room % 256 == 0)
				settle(rig);
		}
		settle(rig);
		if (set->members == 3 && set->rooms > 1)
			rig->room_bytes = (heap_used() - before) / set->rooms;
	}
}

void
bench_rig_create(struct bench_rig *rig)
{
	const struct plm_port *ports[] = { &rig->port.port };
	char name[RTE_MEMPOOL_NAMESIZE];

	rig->now_ns = clock_now(NULL);
	for (unsigned int s = 0; s < rig->nb_sets; s++) {
		struct bench_set *set = &rig->sets[s];

		set->publishers = set->spread ? rig->nb_workers : 1;
		rig->nb_rooms += set->rooms;
		rig->nb_senders += set->rooms * set->publishers;
		rig->nb_sessions += set->rooms * set->members;
	}
	rig->senders = rte_calloc("senders", rig->nb_senders, sizeof(*rig->senders),
			RTE_CACHE_LINE_SIZE);
	if (rig->senders == NULL)
		bench_die("not enough memory for the senders");
	for (unsigned int w = 0; w < rig->nb_workers; w++) {
		snprintf(name, sizeof(name), "%s_rx%u", rig->name, w);
		rig->rx_pools[w] = plm_pool_create_rx(name, RX_MBUFS + rig->preload, 1500,
				(int)rte_socket_id());
		if (rig->rx_pools[w] == NULL)
			bench_die("not enough memory for the pools");
	}
	bench_port_open(&rig->port, rig->name, (uint16_t)rig->nb_workers, rig->rx_pools);
	rig->waiting = bench_ring_create(rig->name, "waiting", 0, BENCH_RX_RING);

	create_tables(rig, ports);
	create_relay(rig, ports);
	open_rooms(rig);
	for (unsigned int i = 0; i < 10; i++) {
		plm_net_timer(rig->net, rig->now_ns);
		answer_arp(rig);
		rig->now_ns += PLM_NS_PER_S;
	}
	for (unsigned int w = 0; w < rig->nb_workers; w++)
		plm_rcu_online(&rig->rcu, w);
	plm_relay_set_running(rig->relay, true);
}

void
bench_rig_free(struct bench_rig *rig)
{
	for (unsigned int w = 0; w < rig->nb_workers; w++) {
		plm_rcu_offline(&rig->rcu, w);
		bench_port_drain(&rig->port, (uint16_t)w);
	}
	plm_relay_free(rig->relay);
	plm_room_table_free(rig->rooms);
	plm_session_table_free(rig->sessions);
	plm_net_free(rig->net);
	plm_rcu_fini(&rig->rcu);
	bench_port_close(&rig->port);
	rte_ring_free(rig->waiting);
	rte_free(rig->senders);
}

/* --- the slow path between samples ----------------------------------------------------------- */

void
bench_rig_slow(struct bench_rig *rig)
{
	struct plm_msg msg;

	for (unsigned int w = 0; w < rig->nb_workers; w++) {
		while (plm_mailbox_get(plm_relay_box_known(rig->relay, w), &msg, 1) == 1) {
			struct plm_handle session = { msg.idx, msg.gen };

			if (msg.type != PLM_MSG_SSRC_CLAIM ||
					plm_session_claim_ssrc(rig->sessions, session, msg.ssrc) <
							0)
				bench_die("the slow path got what it did not expect");
		}
	}
}

void
bench_rig_check(const struct bench_rig *rig)
{
	for (unsigned int w = 0; w < rig->nb_workers; w++) {
		for (unsigned int i = 0; i < PLM_CNT_MAX; i++) {
			uint64_t n = plm_counter_get(plm_relay_counters(rig->relay, w), i);

			if (n > 0 &&
					(plm_counter_defs[i].class == PLM_CLASS_RX_DROP ||
							plm_counter_defs[i].class ==
									PLM_CLASS_COPY_DROP))
				bench_die("worker %u dropped %" PRIu64 " packets: %s", w, n,
						plm_counter_defs[i].name);
		}
	}
}

/* --- the feeder ------------------------------------------------------------------------------ */

static void
packet_fill(struct rte_mbuf *m, const struct bench_sender *s, uint16_t size, uint16_t payload_sum)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	uint8_t *ip = frame + PLM_ETH_HDR;
	uint8_t *udp = ip + PLM_IP4_HDR;
	rte_be16_t ip_len = rte_cpu_to_be_16(PLM_IP4_HDR + PLM_UDP_HDR + size);
	rte_be16_t udp_len = rte_cpu_to_be_16(PLM_UDP_HDR + size);
	uint16_t ip_sum = (uint16_t)~plm_wire_fold((uint32_t)s->ip_sum + ip_len);
	/* The length counts twice: pseudo-header and UDP header. */
	uint16_t udp_sum =
			(uint16_t)~plm_wire_fold((uint32_t)s->udp_sum + 2u * udp_len + payload_sum);

	memcpy(frame, s->frame, sizeof(s->frame));
	memcpy(ip + 2, &ip_len, 2);
	memcpy(ip + 10, &ip_sum, 2);
	memcpy(udp + 4, &udp_len, 2);
	memcpy(udp + 6, &udp_sum, 2);
	memcpy(frame + sizeof(s->frame), filler, size - PLM_RTP_HDR);
	m->data_len = (uint16_t)(BENCH_HDR + size);
	m->pkt_len = m->data_len;
}

bool
bench_feed_make(struct bench_feed *feed, struct rte_mbuf **m, unsigned int n,
		const struct bench_stamp *stamps)
{
	uint16_t sum = plm_wire_sum(filler, feed->size - PLM_RTP_HDR);

	static_assert(sizeof(filler) >= sizeof(*stamps), "a stamp is written over zeros");
	if (rte_pktmbuf_alloc_bulk(feed->rig->rx_pools[feed->queue], m, n) != 0)
		return false;
	for (unsigned int i = 0; i < n; i++) {
		uint64_t r = bench_random(&feed->random) >> 32;
		uint32_t room = (uint32_t)(r * feed->set->rooms >> 32);
		uint32_t sender = feed->set->first + room * feed->set->publishers + feed->publisher;

		if (stamps != NULL)
			sum = plm_wire_sum(&stamps[i], sizeof(stamps[i]));
		packet_fill(m[i], &feed->rig->senders[sender], feed->size, sum);
		if (stamps != NULL)
			memcpy(rte_pktmbuf_mtod_offset(m[i], void *, BENCH_STAMP_OFFSET),
					&stamps[i], sizeof(stamps[i]));
	}
	return true;
}

bool
bench_feed_put(struct bench_feed *feed, struct rte_ring *ring, unsigned int n)
{
	struct rte_mbuf *m[BENCH_BURST];

	if (rte_ring_free_count(ring) < n || !bench_feed_make(feed, m, n, NULL))
		return false;
	rte_ring_sp_enqueue_bulk(ring, (void **)m, n, NULL);
	return true;
}

void
bench_feed_turn(struct bench_feed *feed)
{
	if (atomic_load_explicit(&feed->stopped, memory_order_relaxed)) {
		rte_pause();
		return;
	}
	if (!bench_feed_put(feed, feed->rig->waiting, BENCH_BURST))
		rte_pause();
}

/* --- a worker -------------------------------------------------------------------------------- */

void
bench_rig_finish(struct bench_rig *rig, unsigned int worker, struct bench_feed *feed)
{
	atomic_store_explicit(&feed->stopped, true, memory_order_relaxed);
	bench_ring_drain(rig->waiting);
	bench_ring_drain(rig->port.rx[feed->queue]);
	while (plm_relay_turn(rig->relay, worker, clock_now(NULL)) > 0)
		;
}

/* The next burst that waits, if there is one, reaches the port. The other lcore wrote the packets;
 * only pointers move. */
static void
receive(struct bench_rig *rig, const struct bench_feed *feed)
{
	void *m[BENCH_BURST];

	if (rte_ring_sc_dequeue_bulk(rig->waiting, m, feed->burst, NULL) > 0)
		rte_ring_sp_enqueue_bulk(rig->port.rx[feed->queue], m, feed->burst, NULL);
}

void
bench_rig_run(struct bench_rig *rig, unsigned int worker, struct bench_feed *feed, double ns,
		struct bench_work *work)
{
	const struct plm_counters *counters = plm_relay_counters(rig->relay, worker);
	const uint64_t enough = bench_cycles(ns);
	const uint64_t give_up = rte_rdtsc() + bench_cycles(1e9 + 100 * ns);
	uint64_t copies = plm_counter_get(counters, PLM_CNT_COPIES_SENT);
	uint64_t spent = 0;

	while (spent < enough) {
		uint64_t begun, ended;
		unsigned int done;

		/* What parks nothing for good: the next burst is there once this one is served. */
		if (feed != NULL && plm_relay_parked(rig->relay, worker) == 0)
			receive(rig, feed);
		begun = rte_rdtsc();
		done = plm_relay_turn(rig->relay, worker, (uint64_t)bench_ns(begun));
		ended = rte_rdtsc();
		if (ended > give_up)
			bench_die("worker %u finds nothing to do", worker);
		if (done == 0)
			continue;
		spent += ended - begun;
	}
	work->cycles = spent;
	work->copies = plm_counter_get(counters, PLM_CNT_COPIES_SENT) - copies;
}

/* Nothing is left to do, whichever worker it would be. */
static void
settle_workers(struct bench_rig *rig)
{
	unsigned int done;

	do {
		done = 0;
		for (unsigned int w = 0; w < rig->nb_workers; w++)
			done += plm_relay_turn(rig->relay, w, clock_now(NULL));
	} while (done > 0);
}

void
bench_rig_warm(struct bench_rig *rig)
{
	for (unsigned int s = 0; s < rig->nb_sets; s++) {
		const struct bench_set *set = &rig->sets[s];

		for (uint32_t i = 0; i < set->rooms * set->publishers; i++) {
			struct bench_set one = { .rooms = 1,
				.first = set->first + i,
				.publishers = 1 };
			uint32_t home = set->spread ? i % set->publishers : set->home;
			struct bench_feed feed = { .rig = rig,
				.set = &one,
				.size = 200,
				.random = i + 1,
				.queue = (uint16_t)home };

			if (!bench_feed_put(&feed, rig->port.rx[home], 1))
				bench_die("RX pool or ring is exhausted");
			settle_workers(rig);
			bench_rig_slow(rig);
		}
	}
	bench_rig_check(rig);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "test_relay.h"

#include <stdio.h>
#include <stdlib.h>

#include <rte_bus_vdev.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>

#include "plm_wire.h"

#define RX_RING 4096
/* Participants behind one remote address: rooms are larger than neighbour tables. */
#define PEERS_PER_IP 16
#define FIRST_PORT   20000

struct test_relay_conf
test_relay_defaults(void)
{
	return (struct test_relay_conf){
		.nb_workers = 1,
		.nb_ports = 1,
		.nb_queues = 1,
		.nb_txd = 4096,
		.chain = PLM_CHAIN_AUTO,
		.mtu = 1500,
		.ring_size = 1024,
		.turn_copies = 1024,
		.park_entries = 64,
		.nb_hdr = 8191,
		.stun_rate = 1000,
		.l2_rate = 1000,
		.rtcp_rate = 1000,
		.max_ssrcs = PLM_SSRCS,
		.room = { .max_members = 4096, .rtcp = PLM_RTCP_CLEAR, .dscp = PLM_DSCP_COPY },
		.max_members = 4096,
		.max_sessions = 8192,
	};
}

/* --- what the relay asks for --------------------------------------------------------------- */

static uint64_t
clock_now(void *ctx)
{
	const struct test_relay *r = ctx;

	return r->now_ns;
}

/* Deterministic: a test's run is its own replay. */
static void
rand_fill(void *ctx, void *buf, size_t len)
{
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 167 + 13);
}

/* Frames of lib/net wait here until the slow path's turn: an answer must not come inside the call
 * that asked. */
static void
net_emit(void *ctx, uint16_t port_idx, const void *frame, size_t len)
{
	struct test_relay *r = ctx;

	if (r->nb_wire == RTE_DIM(r->wire))
		return;
	r->wire[r->nb_wire].port_idx = port_idx;
	r->wire[r->nb_wire].len = (uint16_t)RTE_MIN(len, sizeof(r->wire[0].bytes));
	memcpy(r->wire[r->nb_wire].bytes, frame, r->wire[r->nb_wire].len);
	r->nb_wire++;
}

static void
released(void *ctx, uint32_t session_idx, const struct plm_egress *egress, bool ended)
{
	struct test_relay *r = ctx;
	struct plm_template tmpl;

	static_assert(sizeof(tmpl) == sizeof(*egress), "one layout, two names");
	memcpy(&tmpl, egress, sizeof(tmpl));
	plm_net_route_put(r->net, &tmpl);
	if (ended)
		plm_session_release(r->sessions, session_idx);
}

static void
mac_of(const struct plm_ip *ip, uint8_t mac[6])
{
	mac[0] = 0x02;
	mac[1] = ip->is_v6;
	memcpy(mac + 2, ip->is_v6 ? ip->addr + 12 : ip->addr, 4);
}

/* The neighbours' answer to a question of lib/net. */
static void
neighbour_answer(struct test_relay *r, uint16_t port_idx, const uint8_t *frame, uint16_t len)
{
	uint8_t out[128];
	struct plm_ip ip = { 0 };
	uint8_t mac[6];
	int n = -1;

	if (frame[12] == 0x08 && frame[13] == 0x06) {
		struct plm_arp q;
		struct plm_arp a = { 0 };

		if (plm_arp_parse(frame + PLM_ETH_HDR, len - PLM_ETH_HDR, &q) < 0 ||
				!q.is_request || memcmp(q.sender_ip, q.target_ip, 4) == 0)
			return;
		memcpy(ip.addr, q.target_ip, 4);
		mac_of(&ip, mac);
		memcpy(a.sender_mac, mac, 6);
		memcpy(a.sender_ip, q.target_ip, 4);
		memcpy(a.target_mac, q.sender_mac, 6);
		memcpy(a.target_ip, q.sender_ip, 4);
		n = plm_arp_build(out, sizeof(out), q.sender_mac, &a);
	} else if (frame[12] == 0x86 && frame[13] == 0xdd && frame[20] == 58) {
		const uint8_t *ip6 = frame + PLM_ETH_HDR;
		struct plm_nd q;
		struct plm_nd a = { .type = PLM_ICMP6_NA,
			.has_lladdr = true,
			.solicited = true,
			.override = true };

		if (plm_nd_parse(ip6 + PLM_IP6_HDR, len - PLM_ETH_HDR - PLM_IP6_HDR, &q) < 0 ||
				q.type != PLM_ICMP6_NS)
			return;
		memcpy(ip.addr, q.target, 16);
		ip.is_v6 = true;
		mac_of(&ip, mac);
		memcpy(a.target, q.target, 16);
		memcpy(a.lladdr, mac, 6);
		n = plm_nd_build(out, sizeof(out), mac, frame + 6, q.target, ip6 + 8, &a);
	}
	if (n > 0)
		plm_net_input(r->net, port_idx, out, (size_t)n, r->now_ns);
}

/* --- made and freed ------------------------------------------------------------------------ */

static void
ports_create(struct test_relay *r, unsigned int id)
{
	for (unsigned int p = 0; p < r->conf.nb_ports; p++) {
		char name[32];
		char why_buf[256];
		struct plm_text why;
		struct plm_port_conf conf = {
			.nb_queues = (uint16_t)r->conf.nb_queues,
			.nb_rxd = 512,
			.nb_txd = (uint16_t)r->conf.nb_txd,
			.mtu = r->conf.mtu,
			.chain = r->conf.chain,
			.copy_below = r->conf.copy_below,
			.vlan = r->conf.vlan,
			.rx_pools = r->rx_pools,
		};
		char dev[64];

		for (unsigned int q = 0; q < r->conf.nb_queues; q++) {
			snprintf(name, sizeof(name), "t%u_rx%u_%u", id, p, q);
			r->rx[p][q] = rte_ring_create(name, RX_RING, 0,
					RING_F_SP_ENQ | RING_F_SC_DEQ);
			snprintf(name, sizeof(name), "t%u_tx%u_%u", id, p, q);
			r->tx[p][q] = rte_ring_create(name, r->conf.nb_txd, 0,
					RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
			assert_non_null(r->rx[p][q]);
			assert_non_null(r->tx[p][q]);
		}
		snprintf(name, sizeof(name), "t%u_p%u", id, p);
		assert_true(rte_eth_from_rings(name, r->rx[p], r->conf.nb_queues, r->tx[p],
					    r->conf.nb_queues, 0) >= 0);
		snprintf(dev, sizeof(dev), "net_ring_%s", name);
		conf.name = strdup(dev);
		plm_text_init(&why, why_buf, sizeof(why_buf));
		if (plm_port_open(&r->ports[p], (uint16_t)p, &conf, &why) < 0)
			fail_msg("%s", why_buf);
	}
}

static void
pools_create(struct test_relay *r, unsigned int id)
{
	char name[32];

	for (unsigned int w = 0; w < r->conf.nb_workers; w++) {
		snprintf(name, sizeof(name), "t%u_rxp%u", id, w);
		r->rx_pools[w] = plm_pool_create_rx(name, 8191, r->conf.mtu, 0);
		snprintf(name, sizeof(name), "t%u_hdr%u", id, w);
		r->hdr_pools[w] = plm_pool_create_hdr(name, r->conf.nb_hdr, 0);
		snprintf(name, sizeof(name), "t%u_cpy%u", id, w);
		r->copy_pools[w] = plm_pool_create_copy(name, 4095, r->conf.mtu, 0);
		assert_non_null(r->rx_pools[w]);
		assert_non_null(r->hdr_pools[w]);
		snprintf(name, sizeof(name), "t%u_slc%u", id, w);
		r->slice_pools[w] = plm_pool_create_slice(name, 4095, r->conf.mtu, 0);
		assert_non_null(r->copy_pools[w]);
		assert_non_null(r->slice_pools[w]);
	}
	snprintf(name, sizeof(name), "t%u_frm", id);
	r->frame_pool = plm_pool_create_copy(name, 1023, r->conf.mtu, 0);
	assert_non_null(r->frame_pool);
}

/* Own addresses of port p: 198.18.(64 p).1/18 and fd00:0:0:p::1/64. */
static void
net_create(struct test_relay *r)
{
	struct plm_net_local_conf locals[2 * PLM_PORTS_MAX] = { 0 };
	struct plm_net_conf conf = {
		.ports = r->port_list,
		.nb_ports = r->conf.nb_ports,
		.locals = locals,
		.nb_locals = 2 * r->conf.nb_ports,
		.udp_port = TEST_UDP_PORT,
		.max_neighbours = 4096,
		.rand = { rand_fill, NULL },
		.emit = net_emit,
		.emit_ctx = r,
		.counters = &r->ctl_counters,
	};

	for (unsigned int p = 0; p < r->conf.nb_ports; p++) {
		struct plm_net_local_conf *v4 = &locals[2 * p];
		struct plm_net_local_conf *v6 = &locals[2 * p + 1];

		v4->port_idx = v6->port_idx = (uint16_t)p;
		memcpy(v4->ip.addr, (uint8_t[]){ 198, 18, (uint8_t)(64 * p), 1 }, 4);
		v4->prefix_len = 18;
		v6->ip.is_v6 = v6->gateway.is_v6 = true;
		v6->ip.addr[0] = 0xfd;
		v6->ip.addr[7] = (uint8_t)p;
		v6->ip.addr[15] = 1;
		v6->prefix_len = 64;
	}
	assert_int_equal(plm_net_create(&r->net, &conf), 0);
}

struct test_relay *
test_relay_create(const struct test_relay_conf *conf)
{
	static unsigned int nb_made;
	struct test_relay *r = calloc(1, sizeof(*r));
	unsigned int id = nb_made++;
	char name[16];
	struct plm_relay_conf rc;
	struct plm_session_conf sc;
	struct plm_room_conf mc;

	assert_non_null(r);
	r->conf = *conf;
	r->now_ns = PLM_NS_PER_S;
	r->wall_s = 1700000000;
	r->answer_neighbours = true;
	r->settle_claims = true;
	snprintf(name, sizeof(name), "t%u", id);

	pools_create(r, id);
	ports_create(r, id);
	for (unsigned int p = 0; p < conf->nb_ports; p++)
		r->port_list[p] = &r->ports[p];
	net_create(r);

	assert_int_equal(plm_rcu_init(&r->rcu, conf->nb_workers, 0), 0);
	sc = (struct plm_session_conf){
		.max_sessions = conf->max_sessions,
		.nb_workers = conf->nb_workers,
		.rcu = &r->rcu,
		.name = name,
		.hash_seed = 7,
	};
	assert_int_equal(plm_session_table_create(&r->sessions, &sc), 0);
	mc = (struct plm_room_conf){
		.max_rooms = 1024,
		.max_members = conf->max_members,
		.max_backlog = 256,
		.publish_interval_ns = PLM_NS_PER_MS,
		.nb_workers = conf->nb_workers,
		.rcu = &r->rcu,
		.released = released,
		.released_ctx = r,
	};
	assert_int_equal(plm_room_table_create(&r->rooms, &mc), 0);

	rc = (struct plm_relay_conf){
		.nb_workers = conf->nb_workers,
		.ports = r->port_list,
		.nb_ports = conf->nb_ports,
		.net = r->net,
		.sessions = r->sessions,
		.rooms = r->rooms,
		.rcu = &r->rcu,
		.clock = { clock_now, r },
		.rand = { rand_fill, NULL },
		.ring_size = conf->ring_size,
		.turn_copies = conf->turn_copies,
		.park_entries = conf->park_entries,
		.stun_rate = conf->stun_rate,
		.l2_rate = conf->l2_rate,
		.rtcp_rate = conf->rtcp_rate,
		.name = name,
	};
	memcpy(rc.hdr_pools, r->hdr_pools, sizeof(rc.hdr_pools));
	memcpy(rc.copy_pools, r->copy_pools, sizeof(rc.copy_pools));
	memcpy(rc.slice_pools, r->slice_pools, sizeof(rc.slice_pools));
	for (unsigned int p = 0; p < conf->nb_ports; p++)
		for (unsigned int q = 0; q < conf->nb_queues; q++)
			rc.queue_owner[p][q] = (uint8_t)q;
	r->relay = plm_relay_create(&rc);
	assert_non_null(r->relay);
	for (unsigned int w = 0; w < conf->nb_workers; w++)
		plm_rcu_online(&r->rcu, w);
	plm_relay_set_wall(r->relay, r->wall_s);
	plm_relay_set_running(r->relay, true);
	return r;
}

static void
slow_mailbox(struct test_relay *r, unsigned int w, struct plm_mailbox *box, unsigned int *nb)
{
	struct plm_msg msg;

	while (plm_mailbox_get(box, &msg, 1) == 1) {
		struct plm_handle session = { msg.idx, msg.gen };

		if (msg.type == PLM_MSG_CTL_PACKET) {
			(*nb)++;
			rte_pktmbuf_free(msg.mbuf);
			continue;
		}
		assert_int_equal(msg.type, PLM_MSG_SSRC_CLAIM);
		if (plm_session_claim_ssrc(r->sessions, session, msg.ssrc) == -EEXIST) {
			r->nb_clashes++;
			msg.type = PLM_MSG_SSRC_REVOKE;
			assert_int_equal(plm_mailbox_put(plm_relay_box_down(r->relay, w), &msg, 1),
					1);
		}
	}
}

void
test_relay_slow(struct test_relay *r)
{
	for (unsigned int w = 0; w < r->conf.nb_workers && r->settle_claims; w++) {
		slow_mailbox(r, w, plm_relay_box_known(r->relay, w), &r->nb_known);
		slow_mailbox(r, w, plm_relay_box_unknown(r->relay, w), &r->nb_unknown);
	}
	plm_net_timer(r->net, r->now_ns);
	for (unsigned int i = 0; i < r->nb_wire; i++)
		if (r->answer_neighbours)
			neighbour_answer(r, r->wire[i].port_idx, r->wire[i].bytes, r->wire[i].len);
	r->nb_wire = 0;
	plm_room_turn(r->rooms, r->now_ns);
	plm_session_reclaim(r->sessions);
}

static void
pool_check(struct rte_mempool *pool)
{
	if (rte_mempool_in_use_count(pool) != 0)
		fail_msg("%s: %u mbufs missing", pool->name, rte_mempool_in_use_count(pool));
	rte_mempool_free(pool);
}

void
test_relay_free(struct test_relay *r)
{
	plm_relay_discard(r->relay);
	test_relay_check_sums(r, 0);
	for (unsigned int i = 0; i < r->nb_peers; i++)
		if (r->peers[i]->in_room)
			test_relay_leave(r, r->peers[i]);
	for (unsigned int w = 0; w < r->conf.nb_workers; w++)
		plm_rcu_offline(&r->rcu, w);
	/* Reclamation is bounded by call. */
	for (unsigned int i = 0; i < 1000 && (i < 4 || plm_session_nb_pending(r->sessions) > 0);
			i++) {
		r->now_ns += 2 * PLM_NS_PER_MS;
		test_relay_slow(r);
	}
	assert_int_equal(plm_room_backlog(r->rooms), 0);
	assert_int_equal(plm_session_nb_open(r->sessions), 0);
	assert_int_equal(plm_session_nb_pending(r->sessions), 0);

	while (test_relay_sink(r, UINT32_MAX) > 0)
		;
	plm_relay_free(r->relay);
	plm_room_table_free(r->rooms);
	plm_session_table_free(r->sessions);
	plm_net_free(r->net);
	plm_rcu_fini(&r->rcu);
	for (unsigned int p = 0; p < r->conf.nb_ports; p++) {
		char *name = strdup(r->ports[p].name);
		struct rte_mbuf *m;

		free((void *)(uintptr_t)r->ports[p].name);
		plm_port_close(&r->ports[p]);
		rte_vdev_uninit(name);
		free(name);
		for (unsigned int q = 0; q < r->conf.nb_queues; q++) {
			while (rte_ring_dequeue(r->rx[p][q], (void **)&m) == 0)
				rte_pktmbuf_free(m);
			rte_ring_free(r->rx[p][q]);
			rte_ring_free(r->tx[p][q]);
		}
	}
	for (unsigned int w = 0; w < r->conf.nb_workers; w++) {
		pool_check(r->rx_pools[w]);
		pool_check(r->hdr_pools[w]);
		pool_check(r->copy_pools[w]);
		pool_check(r->slice_pools[w]);
	}
	pool_check(r->frame_pool);
	for (unsigned int i = 0; i < r->nb_peers; i++) {
		free(r->peers[i]->got);
		free(r->peers[i]);
	}
	free(r);
}

/* --- participants -------------------------------------------------------------------------- */

uint32_t
test_relay_room(struct test_relay *r, const char *name)
{
	uint32_t room_idx;

	assert_int_equal(plm_room_open(r->rooms, 'r', name, &r->conf.room, 0, &room_idx), 0);
	return room_idx;
}

struct test_peer *
test_relay_join(struct test_relay *r, const char *room, enum plm_role role, bool is_v6,
		uint16_t port_idx, uint8_t home)
{
	struct test_peer *peer = calloc(1, sizeof(*peer));
	unsigned int i = r->nb_peers;
	uint32_t host = 0x100 + i / PEERS_PER_IP;
	struct plm_session_new sn = {
		.home = home,
		.role = role,
		.max_ssrcs = r->conf.max_ssrcs,
		.packet_rate = r->conf.packet_rate,
		.bit_rate = r->conf.bit_rate,
	};
	struct plm_member member = { .home = home };
	struct plm_template tmpl;
	uint8_t slot;

	assert_non_null(peer);
	snprintf(peer->name, sizeof(peer->name), "peer%u", i);
	peer->ip.is_v6 = is_v6;
	if (is_v6) {
		peer->ip.addr[0] = 0xfd;
		peer->ip.addr[7] = (uint8_t)port_idx;
		peer->ip.addr[14] = (uint8_t)(host >> 8);
		peer->ip.addr[15] = (uint8_t)host;
	} else {
		memcpy(peer->ip.addr,
				(uint8_t[]){ 198, 18, (uint8_t)(64 * port_idx + (host >> 8)),
						(uint8_t)host },
				4);
	}
	peer->udp_port = (uint16_t)(FIRST_PORT + i);
	peer->port_idx = port_idx;
	peer->rx_queue = home < r->conf.nb_queues ? home : 0;
	memcpy(peer->tuple.addr, peer->ip.addr, 16);
	peer->tuple.port = rte_cpu_to_be_16(peer->udp_port);
	peer->tuple.local_idx = (uint16_t)(2 * port_idx + is_v6);
	peer->tuple.is_v6 = is_v6;

	peer->room_idx = sn.room_idx = test_relay_room(r, room);
	assert_int_equal(plm_session_create(r->sessions, &sn, &peer->session), 0);
	assert_int_equal(plm_net_route(r->net, peer->tuple.local_idx, &peer->ip, peer->tuple.port,
					 &tmpl, r->now_ns),
			0);
	member.session_idx = peer->session.idx;
	member.flags = (role & PLM_ROLE_PUBLISH ? PLM_SUB_PUBLISHES : 0) |
			(role & PLM_ROLE_SUBSCRIBE ? PLM_SUB_SUBSCRIBES : 0) |
			(is_v6 ? PLM_SUB_V6 : 0);
	memcpy(member.name, peer->name, sizeof(member.name));
	memcpy(&member.egress, &tmpl, sizeof(member.egress));
	assert_int_equal(plm_room_join(r->rooms, peer->room_idx, &member, r->now_ns), 0);
	assert_int_equal(plm_session_add_tuple(r->sessions, peer->session, &peer->tuple, &slot), 0);
	peer->in_room = true;
	r->peers[r->nb_peers++] = peer;
	r->by_port[peer->udp_port] = r->nb_peers;
	return peer;
}

void
test_relay_leave(struct test_relay *r, struct test_peer *peer)
{
	plm_session_end(r->sessions, peer->session);
	plm_room_leave(r->rooms, peer->room_idx, peer->session.idx, r->now_ns);
	peer->in_room = false;
}

void
test_peer_clear(struct test_peer *peer)
{
	peer->nb_got = 0;
	peer->nb_kept = 0;
}

/* --- frames in ----------------------------------------------------------------------------- */

/* Ones' complement sum, byte by byte: nothing shared with what is tested. */
static uint32_t
sum16(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void
put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Sum over pseudo-header and datagram. */
static uint32_t
udp_sum(const uint8_t *src, const uint8_t *dst, bool is_v6, const uint8_t *udp, uint16_t len)
{
	uint8_t tail[4] = { 0, IPPROTO_UDP, (uint8_t)(len >> 8), (uint8_t)len };
	uint32_t sum = sum16(0, src, is_v6 ? 16 : 4);

	sum = sum16(sum, dst, is_v6 ? 16 : 4);
	sum = sum16(sum, tail, 4);
	return sum16(sum, udp, len);
}

uint16_t
test_relay_frame(struct test_relay *r, const struct test_peer *peer, const void *payload,
		uint16_t len, uint8_t tos, uint8_t *frame)
{
	const struct plm_net_local_conf *local = plm_net_local(r->net, peer->tuple.local_idx);
	uint8_t *ip = frame + 14;
	uint8_t *udp = ip + (peer->ip.is_v6 ? 40 : 20);
	uint16_t udp_len = (uint16_t)(8 + len);

	memcpy(frame, &r->ports[peer->port_idx].mac, 6);
	mac_of(&peer->ip, frame + 6);
	put16(frame + 12, peer->ip.is_v6 ? 0x86dd : 0x0800);
	if (peer->ip.is_v6) {
		memset(ip, 0, 40);
		ip[0] = (uint8_t)(0x60 | tos >> 4);
		ip[1] = (uint8_t)(tos << 4);
		put16(ip + 4, udp_len);
		ip[6] = IPPROTO_UDP;
		ip[7] = 64;
		memcpy(ip + 8, peer->ip.addr, 16);
		memcpy(ip + 24, local->ip.addr, 16);
	} else {
		memset(ip, 0, 20);
		ip[0] = 0x45;
		ip[1] = tos;
		put16(ip + 2, (uint16_t)(20 + udp_len));
		ip[6] = 0x40;
		ip[8] = 64;
		ip[9] = IPPROTO_UDP;
		memcpy(ip + 12, peer->ip.addr, 4);
		memcpy(ip + 16, local->ip.addr, 4);
		put16(ip + 10, (uint16_t)~sum16(0, ip, 20));
	}
	put16(udp, peer->udp_port);
	put16(udp + 2, TEST_UDP_PORT);
	put16(udp + 4, udp_len);
	put16(udp + 6, 0);
	if (len > 0)
		memcpy(udp + 8, payload, len);
	put16(udp + 6,
			(uint16_t)~udp_sum(peer->ip.addr, local->ip.addr, peer->ip.is_v6, udp,
					udp_len));
	if (get16(udp + 6) == 0)
		put16(udp + 6, 0xffff);
	return (uint16_t)(udp + udp_len - frame);
}

bool
test_relay_inject(struct test_relay *r, uint16_t port_idx, uint16_t queue, const void *frame,
		uint16_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->rx_pools[queue]);
	/* A NIC hands short frames over padded. */
	uint16_t padded = RTE_MAX(len, 60);
	uint8_t *p;

	assert_non_null(m);
	p = (uint8_t *)rte_pktmbuf_append(m, padded);
	assert_non_null(p);
	memset(p, 0xee, padded);
	memcpy(p, frame, len);
	if (rte_ring_enqueue(r->rx[port_idx][queue], m) == 0)
		return true;
	rte_pktmbuf_free(m);
	return false;
}

void
test_relay_send(struct test_relay *r, const struct test_peer *peer, const void *payload,
		uint16_t len, uint8_t tos)
{
	uint8_t frame[2048];
	uint16_t frame_len = test_relay_frame(r, peer, payload, len, tos, frame);

	if (r->conf.vlan != 0) {
		memmove(frame + 16, frame + 12, frame_len - 12u);
		put16(frame + 12, 0x8100);
		put16(frame + 14, r->conf.vlan);
		frame_len += 4;
	}
	assert_true(test_relay_inject(r, peer->port_idx, peer->rx_queue, frame, frame_len));
}

uint16_t
test_rtp(uint8_t *buf, uint32_t ssrc, uint16_t seq, uint16_t len)
{
	for (uint16_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(ssrc + 31u * seq + 7u * i);
	buf[0] = 0x80;
	buf[1] = 96;
	put16(buf + 2, seq);
	put16(buf + 8, (uint16_t)(ssrc >> 16));
	put16(buf + 10, (uint16_t)ssrc);
	return len;
}

void
test_relay_rtp(struct test_relay *r, const struct test_peer *peer, uint32_t ssrc, uint16_t seq,
		uint16_t len)
{
	uint8_t buf[1600];

	test_relay_send(r, peer, buf, test_rtp(buf, ssrc, seq, len), 0);
}

/* --- frames out ---------------------------------------------------------------------------- */

static void
peer_get(struct test_relay *r, struct test_peer *peer, const uint8_t *payload, uint16_t len,
		uint8_t tos, uint16_t nb_segs)
{
	struct test_packet *pkt;

	peer->nb_got++;
	if (peer->quiet) {
		uint16_t *next = &peer->next_seq[payload[11] % 4];

		peer->nb_unordered += get16(payload + 2) != *next;
		*next = (uint16_t)(get16(payload + 2) + 1);
		return;
	}
	/* Twice as many each time: under ASan every step is a copy of all of them. */
	if ((peer->nb_kept & (peer->nb_kept - 1)) == 0) {
		peer->got = realloc(peer->got, RTE_MAX(1u, 2 * peer->nb_kept) * sizeof(*peer->got));
		assert_non_null(peer->got);
	}
	pkt = &peer->got[peer->nb_kept++];
	pkt->at_ns = r->now_ns;
	pkt->nth = r->nb_out;
	pkt->len = len;
	pkt->tos = tos;
	pkt->nb_segs = (uint8_t)nb_segs;
	memcpy(pkt->bytes, payload, len);
}

/* A frame in one piece, without the tag that it must have on a port with a VLAN. */
static const uint8_t *
whole(struct test_relay *r, struct rte_mbuf *m, uint8_t buf[2048], uint32_t *len)
{
	const uint8_t *frame = rte_pktmbuf_read(m, 0, m->pkt_len, buf);

	*len = m->pkt_len;
	assert_non_null(frame);
	if (r->conf.vlan == 0)
		return frame;
	assert_int_equal(get16(frame + 12), 0x8100);
	assert_int_equal(get16(frame + 14), r->conf.vlan);
	*len -= 4;
	memmove(buf, frame, 12);
	memmove(buf + 12, frame + 16, *len - 12);
	return buf;
}

/* Check a frame that left, and give it to whom it is addressed. */
static void
deliver(struct test_relay *r, uint16_t port_idx, struct rte_mbuf *m)
{
	uint8_t buf[2048];
	uint32_t frame_len;
	const uint8_t *frame = whole(r, m, buf, &frame_len);
	const uint8_t *ip = frame + 14;
	bool is_v6 = get16(frame + 12) == 0x86dd;
	const uint8_t *udp = ip + (is_v6 ? 40 : 20);
	const struct plm_net_local_conf *local =
			plm_net_local(r->net, (uint16_t)(2 * port_idx + is_v6));
	const uint8_t *src = is_v6 ? ip + 8 : ip + 12;
	const uint8_t *dst = is_v6 ? ip + 24 : ip + 16;
	struct test_peer *peer;
	uint16_t len = get16(udp + 4);
	uint8_t mac[6];

	r->nb_out++;
	assert_int_equal(frame_len, (uint32_t)(udp - frame) + len);
	assert_memory_equal(frame + 6, &r->ports[port_idx].mac, 6);
	assert_memory_equal(src, local->ip.addr, is_v6 ? 16 : 4);
	assert_int_equal(get16(udp), TEST_UDP_PORT);
	if (is_v6) {
		assert_int_equal(ip[0] >> 4, 6);
		assert_int_equal(get16(ip + 4), len);
		assert_int_equal(ip[6], IPPROTO_UDP);
		assert_int_equal(ip[7], 64);
	} else {
		assert_int_equal(get16(frame + 12), 0x0800);
		assert_int_equal(ip[0], 0x45);
		assert_int_equal(get16(ip + 2), 20 + len);
		assert_int_equal(ip[8], 64);
		assert_int_equal(ip[9], IPPROTO_UDP);
		assert_int_equal(sum16(0, ip, 20), 0xffff);
	}
	assert_int_not_equal(get16(udp + 6), 0);
	assert_int_equal(udp_sum(src, dst, is_v6, udp, len), 0xffff);

	assert_int_not_equal(r->by_port[get16(udp + 2)], 0);
	peer = r->peers[r->by_port[get16(udp + 2)] - 1];
	assert_int_equal(peer->ip.is_v6, is_v6);
	assert_memory_equal(dst, peer->ip.addr, is_v6 ? 16 : 4);
	mac_of(&peer->ip, mac);
	assert_memory_equal(frame, mac, 6);
	peer_get(r, peer, udp + 8, (uint16_t)(len - 8),
			is_v6 ? (uint8_t)(ip[0] << 4 | ip[1] >> 4) : ip[1], m->nb_segs);
}

unsigned int
test_relay_sink(struct test_relay *r, unsigned int n)
{
	unsigned int total = 0;

	for (unsigned int p = 0; p < r->conf.nb_ports; p++) {
		for (unsigned int q = 0; q < r->conf.nb_queues; q++) {
			struct rte_mbuf *m;

			for (unsigned int i = 0; i < n; i++) {
				if (rte_ring_dequeue(r->tx[p][q], (void **)&m) != 0)
					break;
				deliver(r, (uint16_t)p, m);
				rte_pktmbuf_free(m);
				total++;
			}
		}
	}
	return total;
}

/* --- time ---------------------------------------------------------------------------------- */

unsigned int
test_relay_turn(struct test_relay *r, unsigned int worker)
{
	return plm_relay_turn(r->relay, worker, r->now_ns);
}

void
test_relay_step(struct test_relay *r, uint64_t ns)
{
	r->now_ns += ns;
	for (unsigned int w = 0; w < r->conf.nb_workers; w++)
		test_relay_turn(r, w);
	test_relay_slow(r);
	test_relay_sink(r, UINT32_MAX);
}

void
test_relay_settle(struct test_relay *r)
{
	unsigned int idle = 0;

	for (unsigned int i = 0; i < 10000 && idle < 3; i++) {
		uint64_t before = r->nb_out;
		unsigned int done = 0;

		r->now_ns += PLM_NS_PER_MS;
		for (unsigned int w = 0; w < r->conf.nb_workers; w++)
			done += test_relay_turn(r, w);
		test_relay_slow(r);
		test_relay_sink(r, UINT32_MAX);
		idle = done == 0 && r->nb_out == before ? idle + 1 : 0;
	}
	assert_int_equal(idle, 3);
}

/* --- sums ---------------------------------------------------------------------------------- */

uint64_t
test_relay_count(const struct test_relay *r, enum plm_counter id)
{
	uint64_t sum = 0;

	for (unsigned int w = 0; w < r->conf.nb_workers; w++)
		sum += plm_counter_get(plm_relay_counters(r->relay, w), id);
	return sum;
}

static uint64_t
class_sum(const struct plm_counters *c, enum plm_counter_class class)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < PLM_CNT_MAX; i++)
		if (plm_counter_defs[i].class == class)
			sum += plm_counter_get(c, i);
	return sum;
}

void
test_relay_check_sums(const struct test_relay *r, uint64_t waiting)
{
	uint64_t due_left = 0;

	for (unsigned int w = 0; w < r->conf.nb_workers; w++) {
		const struct plm_counters *c = plm_relay_counters(r->relay, w);

		assert_int_equal(plm_counter_get(c, PLM_CNT_RX_PACKETS) +
						plm_counter_get(c, PLM_CNT_CROSSED_IN) +
						plm_counter_get(c, PLM_CNT_QUIC_BACK),
				plm_counter_get(c, PLM_CNT_TO_CTL) +
						plm_counter_get(c, PLM_CNT_CROSSED_OUT) +
						plm_counter_get(c, PLM_CNT_MEDIA) +
						plm_counter_get(c, PLM_CNT_RTCP) +
						plm_counter_get(c, PLM_CNT_QUIC_IN) +
						class_sum(c, PLM_CLASS_RX_DROP));
		due_left += plm_counter_get(c, PLM_CNT_COPIES_DUE) -
				plm_counter_get(c, PLM_CNT_COPIES_SENT) -
				plm_counter_get(c, PLM_CNT_COPIES_HANDED) -
				class_sum(c, PLM_CLASS_COPY_DROP);
		due_left += plm_counter_get(c, PLM_CNT_CARRIED_IN) -
				plm_counter_get(c, PLM_CNT_CARRIED_SENT) -
				class_sum(c, PLM_CLASS_CARRY_DROP);
	}
	assert_int_equal(due_left, waiting);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#include <rte_bus_vdev.h>
#include <rte_eth_ring.h>

#include "plm_wire.h"

#define FRAME_MAX 1600

static const uint8_t own_ip[4] = { 198, 18, 0, 1 };
static const uint8_t far_mac[6] = { 2, 0, 0, 0, 0, 9 };

static uint64_t
clock_now(void *ctx)
{
	return ((const struct fx *)ctx)->now_ns;
}

static void
fill_random(void *ctx, void *buf, size_t len)
{
	static uint64_t seed = 3;
	uint8_t *p = buf;

	while (len-- > 0) {
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		*p++ = (uint8_t)(seed >> 56);
	}
}

static unsigned int
busy(void *ctx, unsigned int worker)
{
	return ((const struct fx *)ctx)->busy[worker];
}

static uint64_t
beats(void *ctx, unsigned int worker)
{
	return ((const struct fx *)ctx)->beats[worker];
}

static bool
event(void *ctx, const struct plm_event *e)
{
	struct fx *fx = ctx;

	if (fx->lose_events)
		return false;
	fx->events[fx->nb_events++ % FX_EVENTS] = e->type;
	return true;
}

static void
port_create(struct fx *fx, unsigned int id)
{
	static char dev[2][64];
	char name[32];
	char text[256];
	struct plm_text why;
	struct plm_port_conf conf = { .name = dev[id % 2],
		.nb_queues = FX_WORKERS,
		.nb_rxd = 512,
		.nb_txd = 512,
		.rx_pools = fx->rx_pools };

	for (unsigned int w = 0; w < FX_WORKERS; w++) {
		snprintf(name, sizeof(name), "c%u_rxp%u", id, w);
		fx->rx_pools[w] = plm_pool_create_rx(name, 1023, 1500, 0);
		snprintf(name, sizeof(name), "c%u_hdr%u", id, w);
		fx->conf.hdr_pools[w] = plm_pool_create_hdr(name, 1023, 0);
		snprintf(name, sizeof(name), "c%u_cpy%u", id, w);
		fx->conf.copy_pools[w] = plm_pool_create_copy(name, 511, 1500, 0);
		snprintf(name, sizeof(name), "c%u_slc%u", id, w);
		fx->conf.slice_pools[w] = plm_pool_create_slice(name, 511, 1500, 0);
		snprintf(name, sizeof(name), "c%u_rx%u", id, w);
		fx->rx[w] = rte_ring_create(name, 512, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
		snprintf(name, sizeof(name), "c%u_tx%u", id, w);
		fx->tx[w] = rte_ring_create(name, 512, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
		assert_true(fx->rx[w] != NULL && fx->tx[w] != NULL && fx->rx_pools[w] != NULL);
	}
	snprintf(name, sizeof(name), "c%u_frm", id);
	fx->conf.frame_pool = plm_pool_create_copy(name, 1023, 1500, 0);
	assert_non_null(fx->conf.frame_pool);
	snprintf(name, sizeof(name), "c%u_p", id);
	snprintf(dev[id % 2], sizeof(dev[0]), "net_ring_%s", name);
	assert_true(rte_eth_from_rings(name, fx->rx, FX_WORKERS, fx->tx, FX_WORKERS, 0) >= 0);
	plm_text_init(&why, text, sizeof(text));
	if (plm_port_open(&fx->port, 0, &conf, &why) < 0)
		fail_msg("%s", text);
}

void
fx_conf(struct fx *fx)
{
	static unsigned int serial;
	static char name[16];
	unsigned int id = serial++;

	memset(fx, 0, sizeof(*fx));
	plm_ctl_conf_init(&fx->conf);
	port_create(fx, id);
	snprintf(name, sizeof(name), "c%u", id);
	fx->now_ns = 1000 * PLM_NS_PER_S;
	fx->wall_s = FX_WALL;
	fx->port_list[0] = &fx->port;
	memcpy(fx->local.ip.addr, own_ip, 4);
	fx->local.prefix_len = 16;
	fx->conf.name = name;
	fx->conf.socket = 0;
	fx->conf.clock = (struct plm_clock){ clock_now, fx };
	fx->conf.rand = (struct plm_rand){ fill_random, NULL };
	fx->conf.ports = fx->port_list;
	fx->conf.nb_ports = 1;
	fx->conf.nb_workers = FX_WORKERS;
	fx->conf.queue_owner[0][1] = 1;
	fx->conf.locals = &fx->local;
	fx->conf.nb_locals = 1;
	fx->conf.max_rooms = 16;
	fx->conf.max_sessions = 64;
	fx->conf.max_members = 32;
	fx->conf.secrets.nb = 1;
	fx->conf.secrets.s[0].len = strlen(FX_SECRET);
	memcpy(fx->conf.secrets.s[0].key, FX_SECRET, strlen(FX_SECRET));
	fx->conf.busy = busy;
	fx->conf.beats = beats;
	fx->conf.lcore_ctx = fx;
	fx->conf.event = event;
	fx->conf.event_ctx = fx;
}

void
fx_create(struct fx *fx)
{
	char text[256];
	struct plm_text why;

	plm_text_init(&why, text, sizeof(text));
	if (plm_ctl_create(&fx->ctl, &fx->conf, &why) < 0)
		fail_msg("%s", text);
	for (unsigned int w = 0; w < FX_WORKERS; w++)
		plm_rcu_online(plm_ctl_rcu(fx->ctl), w);
	plm_relay_set_running(plm_ctl_relay(fx->ctl), true);
	fx_step(fx, 5);
}

void
fx_free(struct fx *fx)
{
	struct rte_mbuf *m;

	if (fx->ctl != NULL) {
		for (unsigned int w = 0; w < FX_WORKERS; w++)
			plm_rcu_offline(plm_ctl_rcu(fx->ctl), w);
		plm_ctl_free(fx->ctl);
	}
	plm_port_close(&fx->port);
	for (unsigned int w = 0; w < FX_WORKERS; w++) {
		while (rte_ring_dequeue(fx->rx[w], (void **)&m) == 0)
			rte_pktmbuf_free(m);
		while (rte_ring_dequeue(fx->tx[w], (void **)&m) == 0)
			rte_pktmbuf_free(m);
		rte_ring_free(fx->rx[w]);
		rte_ring_free(fx->tx[w]);
		assert_int_equal(rte_mempool_in_use_count(fx->rx_pools[w]), 0);
		assert_int_equal(rte_mempool_in_use_count(fx->conf.hdr_pools[w]), 0);
		assert_int_equal(rte_mempool_in_use_count(fx->conf.copy_pools[w]), 0);
		assert_int_equal(rte_mempool_in_use_count(fx->conf.slice_pools[w]), 0);
		rte_mempool_free(fx->rx_pools[w]);
		rte_mempool_free(fx->conf.hdr_pools[w]);
		rte_mempool_free(fx->conf.copy_pools[w]);
		rte_mempool_free(fx->conf.slice_pools[w]);
	}
	assert_int_equal(rte_mempool_in_use_count(fx->conf.frame_pool), 0);
	rte_mempool_free(fx->conf.frame_pool);
}

static void
inject(struct fx *fx, unsigned int queue, const void *frame, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(fx->rx_pools[queue]);

	assert_non_null(m);
	assert_true(len <= rte_pktmbuf_tailroom(m));
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	assert_int_equal(rte_ring_enqueue(fx->rx[queue], m), 0);
}

static void
answer_arp(struct fx *fx, const uint8_t *frame, size_t len)
{
	struct plm_arp q;
	struct plm_arp a = { 0 };
	uint8_t out[64];
	int n;

	if (plm_arp_parse(frame + PLM_ETH_HDR, len - PLM_ETH_HDR, &q) < 0 || !q.is_request)
		return;
	if (memcmp(q.target_ip, own_ip, 4) == 0) {
		fx->nb_announced += memcmp(q.sender_ip, own_ip, 4) == 0;
		return;
	}
	memcpy(a.sender_mac, far_mac, 6);
	memcpy(a.sender_ip, q.target_ip, 4);
	memcpy(a.target_mac, q.sender_mac, 6);
	memcpy(a.target_ip, q.sender_ip, 4);
	n = plm_arp_build(out, sizeof(out), q.sender_mac, &a);
	assert_true(n > 0);
	inject(fx, 0, out, (size_t)n);
}

static void
collect(struct fx *fx, unsigned int queue)
{
	struct rte_mbuf *m;

	while (rte_ring_dequeue(fx->tx[queue], (void **)&m) == 0) {
		uint8_t frame[FRAME_MAX];
		size_t len = RTE_MIN(m->pkt_len, (uint32_t)FRAME_MAX);
		const uint8_t *p = rte_pktmbuf_read(m, 0, (uint32_t)len, frame);

		if (p[12] == 0x08 && p[13] == 0x06) {
			answer_arp(fx, p, len);
		} else if (p[12] == 0x08 && p[13] == 0x00 && fx->sink != NULL) {
			const uint8_t *udp = p + PLM_ETH_HDR + PLM_IP4_HDR;
			uint8_t payload[FRAME_MAX];
			uint16_t n = (uint16_t)((udp[4] << 8 | udp[5]) - PLM_UDP_HDR);

			assert_int_equal(PLM_ETH_HDR + PLM_IP4_HDR + PLM_UDP_HDR + n, m->pkt_len);
			memcpy(payload, udp + PLM_UDP_HDR, n);
			fx->sink(fx->sink_ctx, p, (uint16_t)(udp[2] << 8 | udp[3]), payload, n);
		} else if (p[12] == 0x08 && p[13] == 0x00 && fx->nb_out < RTE_DIM(fx->out)) {
			const uint8_t *udp = p + PLM_ETH_HDR + PLM_IP4_HDR;
			uint16_t n = (uint16_t)((udp[4] << 8 | udp[5]) - PLM_UDP_HDR);

			fx->out[fx->nb_out].len = n;
			fx->out[fx->nb_out].dst_port = (uint16_t)(udp[2] << 8 | udp[3]);
			memcpy(fx->out[fx->nb_out].payload, udp + PLM_UDP_HDR,
					RTE_MIN(n, (uint16_t)sizeof(fx->out[0].payload)));
			fx->nb_out++;
		}
		rte_pktmbuf_free(m);
	}
}

void
fx_step(struct fx *fx, unsigned int n)
{
	uint64_t wall_base = fx->wall_s - fx->now_ns / PLM_NS_PER_S;

	while (n-- > 0) {
		for (unsigned int w = 0; w < FX_WORKERS; w++) {
			if (fx->stopped >> w & 1)
				continue;
			plm_relay_turn(plm_ctl_relay(fx->ctl), w, fx->now_ns);
			fx->beats[w] += (fx->no_beats >> w & 1) == 0;
		}
		plm_ctl_turn(fx->ctl, fx->now_ns, fx->wall_s);
		for (unsigned int w = 0; w < FX_WORKERS; w++)
			collect(fx, w);
		fx->now_ns += PLM_NS_PER_MS;
		fx->wall_s = wall_base + fx->now_ns / PLM_NS_PER_S;
	}
}

void
fx_forget(struct fx *fx)
{
	fx->nb_out = 0;
}

struct fx_client
fx_client(const char *room, const char *who, enum plm_role role, unsigned int n)
{
	struct plm_credential cred = { .expiry_s = FX_WALL + 3600, .role = role };
	struct fx_client c = { .addr = { 198, 18, 1, (uint8_t)(10 + n) },
		.port = (uint16_t)(5000 + n),
		.queue = n % FX_WORKERS };

	snprintf(cred.room, sizeof(cred.room), "%s", room);
	snprintf(cred.participant, sizeof(cred.participant), "%s", who);
	assert_int_equal(plm_credential_mint(&cred, FX_SECRET, strlen(FX_SECRET), c.ufrag, c.pwd),
			0);
	return c;
}

void
fx_udp(struct fx *fx, const struct fx_client *c, const void *payload, uint16_t len)
{
	uint8_t frame[FRAME_MAX] = { 0 };
	uint8_t *ip = frame + PLM_ETH_HDR;
	uint8_t *udp = ip + PLM_IP4_HDR;
	uint16_t total = (uint16_t)(PLM_IP4_HDR + PLM_UDP_HDR + len);
	uint16_t sum;

	memcpy(frame, fx->port.mac.addr_bytes, 6);
	memcpy(frame + 6, far_mac, 6);
	if (c->mac != 0)
		frame[11] = c->mac;
	frame[12] = 0x08;
	ip[0] = 0x45;
	ip[2] = (uint8_t)(total >> 8);
	ip[3] = (uint8_t)total;
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, c->addr, 4);
	memcpy(ip + 16, own_ip, 4);
	sum = (uint16_t)~plm_wire_sum(ip, PLM_IP4_HDR);
	memcpy(ip + 10, &sum, 2);
	udp[0] = (uint8_t)(c->port >> 8);
	udp[1] = (uint8_t)c->port;
	udp[2] = (uint8_t)(fx->conf.udp_port >> 8);
	udp[3] = (uint8_t)fx->conf.udp_port;
	udp[4] = (uint8_t)((len + PLM_UDP_HDR) >> 8);
	udp[5] = (uint8_t)(len + PLM_UDP_HDR);
	memcpy(udp + PLM_UDP_HDR, payload, len);
	sum = plm_wire_l4_sum(ip + 12, ip + 16, false, 17, udp, (size_t)len + PLM_UDP_HDR);
	if (sum == 0)
		sum = 0xffff;
	memcpy(udp + 6, &sum, 2);
	inject(fx, c->queue, frame, (size_t)PLM_ETH_HDR + total);
}

void
fx_check(struct fx *fx, struct fx_client *c)
{
	struct plm_hmac *hmac = plm_hmac_create();
	uint8_t buf[256];
	uint8_t tid[PLM_STUN_TID] = { 0 };
	uint8_t mac[PLM_SHA1_SIZE];
	char name[PLM_UFRAG_MAX + 8];
	struct plm_stun_out out;
	size_t len;

	assert_non_null(hmac);
	c->tid++;
	memcpy(tid, &c->tid, sizeof(c->tid));
	memcpy(tid + 4, &c->port, sizeof(c->port));
	snprintf(name, sizeof(name), "%s:abcd", c->ufrag);
	plm_stun_begin(&out, buf, sizeof(buf), PLM_STUN_REQUEST, PLM_STUN_BINDING, tid);
	plm_stun_add_bytes(&out, PLM_STUN_ATTR_USERNAME, name, strlen(name));
	plm_stun_add_u32(&out, PLM_STUN_ATTR_PRIORITY, 1000);
	plm_stun_add_u64(&out, PLM_STUN_ATTR_CONTROLLING, 1);
	plm_stun_prepare_integrity(&out);
	plm_hmac_sha1(hmac, c->pwd, PLM_PWD_LEN, out.buf, out.len, NULL, 0, mac);
	plm_stun_add_integrity(&out, mac);
	len = plm_stun_finish(&out);
	assert_true(len > 0);
	fx_udp(fx, c, buf, (uint16_t)len);
	plm_hmac_free(hmac);
}

void
fx_join(struct fx *fx, struct fx_client *c)
{
	fx_check(fx, c);
	fx_step(fx, 10);
	assert_true(fx_got(fx, c, 0x01, 0x01) > 0);
}

void
fx_rtp(struct fx *fx, const struct fx_client *c, uint32_t ssrc, uint16_t seq)
{
	uint8_t rtp[100] = { 0x80, 96, (uint8_t)(seq >> 8), (uint8_t)seq };

	for (unsigned int i = 0; i < 4; i++)
		rtp[8 + i] = (uint8_t)(ssrc >> (24 - 8 * i));
	fx_udp(fx, c, rtp, sizeof(rtp));
}

unsigned int
fx_got(const struct fx *fx, const struct fx_client *c, uint8_t first, uint8_t second)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < fx->nb_out; i++)
		n += fx->out[i].dst_port == c->port && fx->out[i].payload[0] == first &&
				fx->out[i].payload[1] == second;
	return n;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* A whole relay that serves QUIC, slow path included, and the frames between it and its clients. */
#include <stdio.h>
#include <time.h>

#include <rte_ethdev.h>
#include <rte_malloc.h>

#include "ctl_priv.h"
#include "quic.h"

#define RX_DESC     4096
#define RX_MBUFS    8191
#define QUIC_MBUFS  4095
#define OTHER_MBUFS 1023
#define SINK_BURST  64
/* Turns of the relay without anything to do that a handshake may take. */
#define PATIENCE_NS (20 * PLM_NS_PER_S)
#define HANDSHAKES  (1u << 20)
/* A room above 50 is told at most once a second, and acknowledges then. */
#define REST_NS (1200 * PLM_NS_PER_MS)

static const uint8_t local_ip[4] = { 198, 18, 0, 1 };
static const uint8_t gateway_ip[4] = { 198, 18, 255, 254 };
static const uint8_t client_mac[6] = { 2, 0, 0, 0, 0, 0xfe };

/* --- frames ---------------------------------------------------------------------------------- */

/* Client `idx`: an address and a port of its own. */
static void
address_of(uint32_t idx, uint8_t addr[4], rte_be16_t *port)
{
	addr[0] = 198;
	addr[1] = 19;
	addr[2] = (uint8_t)(idx >> 20);
	addr[3] = (uint8_t)(idx >> 12);
	*port = rte_cpu_to_be_16((uint16_t)(10000 + (idx & 0xfff)));
}

static uint32_t
client_of(const uint8_t *ip)
{
	return (uint32_t)ip[18] << 20 | (uint32_t)ip[19] << 12 |
			((uint32_t)(ip[22] << 8 | ip[23]) - 10000);
}

static void
put_be16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* A client's packet becomes a frame, as its kernel would make it. */
static void
send_frame(void *ctx, uint32_t idx, const uint8_t *buf, size_t len)
{
	struct quic_relay *r = ctx;
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->rx_pool);
	uint8_t *frame, *ip, *udp;
	uint32_t sum;
	uint16_t be;

	if (m == NULL)
		bench_die("RX pool is exhausted");
	frame = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(BENCH_HDR + len));
	ip = frame + PLM_ETH_HDR;
	udp = ip + PLM_IP4_HDR;
	memset(frame, 0, BENCH_HDR);
	memcpy(frame, r->port.port.mac.addr_bytes, 6);
	memcpy(frame + 6, client_mac, 6);
	frame[12] = 0x08;
	ip[0] = 0x45;
	put_be16(ip + 2, PLM_IP4_HDR + PLM_UDP_HDR + len);
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = 17;
	address_of(idx, ip + 12, &be);
	memcpy(ip + 16, local_ip, 4);
	memcpy(udp, &be, 2);
	put_be16(udp + 2, BENCH_UDP_PORT);
	put_be16(udp + 4, PLM_UDP_HDR + len);
	memcpy(udp + PLM_UDP_HDR, buf, len);
	be = (uint16_t)~plm_wire_sum(ip, PLM_IP4_HDR);
	memcpy(ip + 10, &be, 2);
	sum = (uint32_t)plm_wire_sum(ip + 12, 8) + rte_cpu_to_be_16(17);
	sum += rte_cpu_to_be_16((uint16_t)(PLM_UDP_HDR + len));
	sum += plm_wire_sum(udp, PLM_UDP_HDR + len);
	be = (uint16_t)~plm_wire_fold(sum);
	memcpy(udp + 6, &be, 2);
	if (rte_ring_enqueue(r->air, m) != 0)
		bench_die("more frames on their way than there is room for");
}

/* What clients sent reaches the port. */
static void
land(struct quic_relay *r)
{
	void *m[SINK_BURST];
	unsigned int n;

	do {
		n = rte_ring_dequeue_burst(r->air, m,
				RTE_MIN(rte_ring_free_count(r->port.rx[0]),
						(unsigned int)SINK_BURST),
				NULL);
		rte_ring_enqueue_bulk(r->port.rx[0], m, n, NULL);
	} while (n > 0);
}

/* What the relay sent reaches clients, which copy it: the frame is the relay's. Frames taken. */
static unsigned int
sink(struct quic_relay *r)
{
	struct rte_ring *tx = r->port.tx[0];
	uint8_t packet[QUIC_PACKET];
	struct rte_ring_zc_data at;
	unsigned int n = rte_ring_dequeue_zc_burst_start(tx, SINK_BURST, &at, NULL);

	for (unsigned int i = 0; i < n; i++) {
		const struct rte_mbuf *m = i < at.n1 ? ((struct rte_mbuf **)at.ptr1)[i]
						     : ((struct rte_mbuf **)at.ptr2)[i - at.n1];
		const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
		const uint8_t *ip = frame + PLM_ETH_HDR;
		size_t len;

		if (m->nb_segs > 1 || m->data_len <= BENCH_HDR || frame[12] != 0x08 ||
				frame[13] != 0 || ip[9] != 17)
			continue; /* ARP: nobody asks for a way that is known */
		len = m->data_len - BENCH_HDR;
		if (client_of(ip) >= r->clients.nb || len > sizeof(packet))
			bench_die("a frame of the relay's is for nobody");
		memcpy(packet, frame + BENCH_HDR, len);
		quic_client_take(&r->clients, client_of(ip), packet, len);
	}
	rte_ring_dequeue_zc_finish(tx, n); /* the worker may free them now */
	return n;
}

/* --- handshakes ------------------------------------------------------------------------------- */

void
quic_relay_turns(struct quic_relay *r, bool all)
{
	struct plm_relay *relay = plm_ctl_relay(r->ctl);
	uint64_t wall_s = (uint64_t)time(NULL);
	unsigned int n;

	do {
		uint64_t begun = rte_rdtsc();
		uint64_t between, ended;

		n = plm_relay_turn(relay, 0, quic_now());
		between = rte_rdtsc();
		n += plm_ctl_turn(r->ctl, quic_now(), wall_s);
		ended = rte_rdtsc();
		if (all || n > 0) {
			r->worker_spent += between - begun;
			r->ctl_spent += ended - between;
		}
		sink(r);
		land(r);
	} while (n > 0);
}

static uint64_t
nb_established(const struct quic_relay *r)
{
	return plm_counter_get(plm_ctl_counters(r->ctl), PLM_CNT_QUIC_ESTABLISHED);
}

/* Acknowledgements wait for their timers, and large rooms rest before they are told again. */
void
quic_relay_linger(struct quic_relay *r, uint64_t ns, uint32_t first, uint32_t nb)
{
	const uint64_t until = quic_now() + ns;

	while (quic_now() < until) {
		quic_pass();
		quic_relay_turns(r, false);
		quic_clients_timers(&r->clients, first, nb);
		land(r);
	}
	quic_relay_turns(r, false);
}

void
quic_relay_shake(struct quic_relay *r, const char *room, uint32_t first, uint32_t nb)
{
	const uint64_t wanted = nb_established(r) + nb;
	const uint64_t give_up = quic_now() + PATIENCE_NS;

	for (uint32_t i = first; i < first + nb; i++) {
		quic_client_begin(&r->clients, i, room);
		land(r);
		if ((i - first) % 16 == 15)
			quic_relay_turns(r, true);
	}
	while (nb_established(r) < wanted) {
		quic_pass();
		quic_relay_turns(r, true);
		quic_clients_timers(&r->clients, first, nb);
		land(r);
		if (quic_now() > give_up)
			bench_die("%s: %" PRIu64 " of %u handshakes are missing", room,
					wanted - nb_established(r), nb);
	}
	quic_relay_linger(r, 60 * PLM_NS_PER_MS, first, nb);
	quic_clients_settled(&r->clients, first, nb);
}

void
quic_relay_join(struct quic_relay *r, uint32_t first, uint32_t nb)
{
	const uint64_t give_up = quic_now() + PATIENCE_NS;
	const uint64_t worker_spent = r->worker_spent;
	const uint64_t ctl_spent = r->ctl_spent;
	const uint32_t wanted = r->clients.nb_in + nb;

	for (uint32_t i = first; i < first + nb; i++)
		quic_client_sign(&r->clients, i);
	for (uint32_t i = first; i < first + nb; i++)
		quic_client_offer(&r->clients, i);
	while (r->clients.nb_in < wanted) {
		quic_pass();
		land(r);
		quic_relay_turns(r, true);
		quic_clients_timers(&r->clients, first, nb);
		if (quic_now() > give_up)
			bench_die("%u of %u offers were not answered", wanted - r->clients.nb_in,
					nb);
	}
	quic_relay_linger(r, 60 * PLM_NS_PER_MS, first, nb);
	r->worker_joined += r->worker_spent - worker_spent;
	r->ctl_joined += r->ctl_spent - ctl_spent;
	r->worker_spent = worker_spent;
	r->ctl_spent = ctl_spent;
}

void
quic_relay_connect(struct quic_relay *r, const char *room, uint32_t first, uint32_t nb)
{
	quic_relay_shake(r, room, first, nb);
	quic_relay_join(r, first, nb);
}

void
quic_relay_rest(struct quic_relay *r)
{
	quic_relay_linger(r, REST_NS, 0, r->clients.nb);
}

/* --- rounds ------------------------------------------------------------------------------------ */

/* Until the worker has nothing to do. */
static void
worker_turns(void *arg)
{
	struct quic_relay *r = arg;
	struct plm_relay *relay = plm_ctl_relay(r->ctl);
	uint64_t begun = rte_rdtsc();

	while (plm_relay_turn(relay, 0, 1 + (uint64_t)bench_ns(begun)) > 0) {
		uint64_t ended = rte_rdtsc();

		r->worker_spent += ended - begun;
		begun = ended;
	}
}

/* A round may be more than the TX queue holds. */
static void
make_room(void *arg)
{
	struct quic_relay *r = arg;

	if (rte_ring_count(r->port.tx[0]) > BENCH_IN_FLIGHT / 2)
		sink(r);
}

void
quic_relay_carry(struct quic_relay *r)
{
	land(r);
	sink(r);
	land(r);
}

unsigned int
quic_relay_slow(struct quic_relay *r)
{
	return plm_ctl_turn(r->ctl, quic_now(), (uint64_t)time(NULL));
}

void
quic_relay_round(struct quic_relay *r, const uint32_t *speakers, unsigned int nb, uint16_t size)
{
	static const uint8_t payload[1200];

	for (unsigned int i = 0; i < nb; i++)
		quic_client_say(&r->clients, speakers[i], payload, size);
	land(r);
	quic_on_worker(worker_turns, make_room, r);
	while (sink(r) > 0)
		;
	land(r);
	quic_on_worker(worker_turns, make_room, r);
	while (sink(r) > 0)
		;
	quic_relay_slow(r);
}

void
quic_relay_settle(struct quic_relay *r)
{
	quic_clients_timers(&r->clients, 0, r->clients.nb);
	land(r);
	quic_on_worker(worker_turns, make_room, r);
	while (sink(r) > 0)
		;
	quic_relay_slow(r);
}

/* --- memory ------------------------------------------------------------------------------------ */

void
quic_relay_memory(struct quic_relay *r, double *used, double *held)
{
	const struct plm_quic_table *t = ctl_quic_table(r->ctl);
	const struct plm_quic_table_conf one = { .nb_slots = 1 };
	const struct plm_quic_table_conf none = { .nb_slots = 0 };
	/* Messages to clients are mbufs. */
	size_t slot = plm_quic_table_bytes(&one) - plm_quic_message_bytes(&one) -
			(plm_quic_table_bytes(&none) - plm_quic_message_bytes(&none));
	size_t in_use = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->nb_slots; i++) {
		struct plm_quic_figures figures;

		if (plm_quic_slot_state(&t->slots[i]) != PLM_QUIC_SLOT_HOME)
			continue;
		plm_quic_conn_figures(t->slots[i].conn, &figures);
		in_use += figures.arena_used + sizeof(t->slots[i]);
		n++;
	}
	*used = n > 0 ? (double)in_use / n : 0;
	*held = n > 0 ? (double)slot +
					(double)rte_mempool_in_use_count(t->extents) *
							PLM_QUIC_EXTENT / n
		      : 0;
}

/* --- made and freed ----------------------------------------------------------------------------- */

static struct rte_mempool *
must_pool(struct rte_mempool *pool)
{
	if (pool == NULL)
		bench_die("not enough memory for the pools");
	return pool;
}

static const char *
named(char *buf, const struct quic_relay *r, const char *what)
{
	snprintf(buf, RTE_MEMPOOL_NAMESIZE, "%s_%s", r->name, what);
	return buf;
}

static uint64_t
clock_now(void *ctx)
{
	return quic_now();
}

static void
create_ctl(struct quic_relay *r)
{
	const int socket = (int)rte_socket_id();
	static const struct plm_room_rule rule = { "*",
		{ .max_members = PLM_ROOM_MEMBERS_MAX,
				.rtcp = PLM_RTCP_CLEAR,
				.dscp = PLM_DSCP_COPY } };
	struct plm_ctl_conf *conf = &r->conf;
	char name[RTE_MEMPOOL_NAMESIZE];
	char text[256];
	struct plm_text why;

	plm_ctl_conf_init(conf);
	conf->name = r->name;
	conf->socket = socket;
	conf->clock.now_ns = clock_now;
	conf->rand.fill = quic_rand_fill;
	conf->ports = r->ports;
	conf->nb_ports = 1;
	conf->hdr_pools[0] =
			must_pool(plm_pool_create_hdr(named(name, r, "hdr"), OTHER_MBUFS, socket));
	conf->copy_pools[0] = must_pool(
			plm_pool_create_copy(named(name, r, "copy"), OTHER_MBUFS, 1500, socket));
	conf->frame_pool = must_pool(
			plm_pool_create_copy(named(name, r, "frame"), OTHER_MBUFS, 1500, socket));
	conf->quic.pools[0] = must_pool(
			plm_pool_create_slice(named(name, r, "quic"), QUIC_MBUFS, 1500, socket));
	conf->locals = &r->local;
	conf->nb_locals = 1;
	conf->udp_port = BENCH_UDP_PORT;
	conf->max_sessions = r->max_connections;
	conf->admissions_per_s = 1000000;
	conf->secrets.nb = 1; /* of nobody's: no relay starts without */
	conf->secrets.s[0].len = 32;
	conf->rebalance_above = 0;
	conf->rules = &rule;
	conf->nb_rules = 1;
	conf->quic.max_connections = r->max_connections;
	/* As many as there are may be on the way in, from one network. */
	conf->quic.max_handshakes = conf->quic.retry_above = HANDSHAKES;
	conf->wzp.open_rooms = true;
	if (r->join_timeout_ns != 0)
		conf->wzp.join_timeout_ns = r->join_timeout_ns;
	conf->quic.idle_timeout_ns = 3600 * PLM_NS_PER_S;
	conf->quic.handshake_timeout_ns = 60 * PLM_NS_PER_S;
	conf->quic.identity = r->identity;
	conf->quic.aead = r->aead;
	plm_text_init(&why, text, sizeof(text));
	if (plm_ctl_create(&r->ctl, conf, &why) < 0)
		bench_die("relay: %s", text);
}

void
quic_relay_create(struct quic_relay *r)
{
	static const uint8_t seed[PLM_QUIC_SEED_SIZE] = { 1, 2, 3 };
	char name[RTE_MEMPOOL_NAMESIZE];
	char text[256];
	struct plm_text why;

	r->aead = plm_aead_create(r->backend);
	r->identity = plm_quic_identity_create();
	plm_text_init(&why, text, sizeof(text));
	if (r->aead == NULL || r->identity == NULL ||
			plm_quic_identity_add_seed(r->identity, seed, &why) < 0)
		bench_die("relay: no identity, or no packet protection");
	r->rx_pool = must_pool(plm_pool_create_rx(named(name, r, "rxp"), RX_MBUFS, 1500,
			(int)rte_socket_id()));
	r->port.sunk = true;
	r->port.nb_rxd = RX_DESC;
	bench_port_open(&r->port, r->name, 1, &r->rx_pool);
	r->air = bench_ring_create(r->name, "air", 0, RX_DESC);
	r->ports[0] = &r->port.port;
	r->local.prefix_len = 16;
	memcpy(r->local.ip.addr, local_ip, sizeof(local_ip));
	memcpy(r->local.gateway.addr, gateway_ip, sizeof(gateway_ip));
	create_ctl(r);
	r->clients.send = send_frame;
	r->clients.ctx = r;
	quic_clients_create(&r->clients);
	plm_rcu_online(plm_ctl_rcu(r->ctl), 0);
	plm_relay_set_running(plm_ctl_relay(r->ctl), true);
}

void
quic_relay_free(struct quic_relay *r)
{
	quic_clients_free(&r->clients);
	plm_rcu_offline(plm_ctl_rcu(r->ctl), 0);
	plm_ctl_free(r->ctl);
	bench_port_drain(&r->port, 0);
	bench_ring_drain(r->air);
	bench_port_close(&r->port);
	rte_ring_free(r->air);
	rte_mempool_free(r->conf.hdr_pools[0]);
	rte_mempool_free(r->conf.copy_pools[0]);
	rte_mempool_free(r->conf.frame_pool);
	rte_mempool_free(r->conf.quic.pools[0]);
	rte_mempool_free(r->rx_pool);
	plm_quic_identity_free(r->identity);
	plm_aead_free(r->aead);
}

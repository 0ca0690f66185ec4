/* SPDX-License-Identifier: BSD-3-Clause */
/* The wire in both directions, neighbours included. Every frame that leaves is looked at the moment
 * its queue takes it, and once more when the port lets go of it: nobody may have written into it. */
#include "net.h"

#include <stdlib.h>

#include <rte_ethdev.h>

#include "oracle.h"
#include "packet.h"
#include "plm_wire.h"
#include "quic.h"

#define NEIGHS      1024
#define FRAMES      512 /* of neighbours, on their way to the relay */
#define HELD        4096
#define ANSWER_NS   (300 * PLM_NS_PER_US)
#define FRAME_BYTES 1600

/* A frame that the plan does not know: an answer to the relay's own question. */
struct frame {
	uint64_t at_ns;
	uint8_t port;
	uint8_t len;
	uint16_t neigh;
	uint8_t bytes[90];
};

/* A frame that a port holds. */
struct held {
	struct rte_mbuf *m;
	uint32_t packet; /* that it carries, UINT32_MAX: none of the plan's */
	uint16_t hdr_len;
};

struct neigh {
	struct plm_ip ip;
	uint8_t port;
	uint8_t generation; /* of its MAC address */
	uint32_t asked;
	uint64_t answered_ns;
};

struct queue {
	/* arrivals that are due; SIM_QUIC_FIRST + i: packet of QUIC; UINT32_MAX - i: frame slot i */
	uint32_t *waiting;
	uint32_t nb, first, size;
	struct held held[HELD];
	uint32_t nb_held, first_held;
};

struct sim_net {
	struct queue queues[SIM_PORTS][SIM_WORKERS];
	uint32_t next; /* arrival of the plan that is not due yet */
	struct frame frames[FRAMES];
	uint32_t nb_frames;  /* in flight, by no order */
	struct frame *given; /* slots of frames that wait in a queue */
	uint32_t nb_given, size_given;
	struct neigh neighs[NEIGHS];
	uint32_t nb_neighs;
	uint16_t last_port, last_queue; /* that was asked what it takes */
};

void
sim_net_create(struct sim_run *run)
{
	run->net = calloc(1, sizeof(*run->net));
	if (run->net == NULL)
		abort();
}

void
sim_net_free(struct sim_run *run)
{
	for (unsigned int p = 0; p < SIM_PORTS; p++)
		for (unsigned int q = 0; q < SIM_WORKERS; q++)
			free(run->net->queues[p][q].waiting);
	free(run->net->given);
	free(run->net);
}

/* --- neighbours ----------------------------------------------------------------------------- */

static struct neigh *
neigh_get(struct sim_net *net, unsigned int port, const struct plm_ip *ip)
{
	struct neigh *n;

	for (uint32_t i = 0; i < net->nb_neighs; i++) {
		n = &net->neighs[i];
		if (n->port == port && n->ip.is_v6 == ip->is_v6 &&
				memcmp(n->ip.addr, ip->addr, sizeof(ip->addr)) == 0)
			return n;
	}
	if (net->nb_neighs == NEIGHS)
		abort();
	n = &net->neighs[net->nb_neighs++];
	*n = (struct neigh){ .ip = *ip, .port = (uint8_t)port };
	return n;
}

static struct neigh *
neigh_of(struct sim_net *net, const struct sim_addr *addr)
{
	struct plm_ip ip = addr->ip;

	if (addr->far)
		sim_gateway_ip(addr->local_idx, &ip);
	return neigh_get(net, addr->port_idx, &ip);
}

static void
mac_of(const struct neigh *n, unsigned int generation, uint8_t mac[6])
{
	mac[0] = 2;
	mac[1] = (uint8_t)(generation << 1 | n->ip.is_v6);
	memcpy(mac + 2, n->ip.is_v6 ? n->ip.addr + 12 : n->ip.addr, 4);
}

uint64_t
sim_net_answered(const struct sim_run *run, const struct sim_addr *addr)
{
	return neigh_of(run->net, addr)->answered_ns;
}

static bool
cut_off(const struct sim_run *run, unsigned int port)
{
	const uint64_t t = run->now_ns - SIM_EPOCH_NS;

	for (uint32_t i = 0; i < run->plan->nb_ops; i++) {
		const struct sim_op *op = &run->plan->ops[i];

		if (op->type == SIM_OP_PARTITION && !op->off && op->a == port && t >= op->t0 &&
				t < op->t1)
			return true;
	}
	return false;
}

static struct frame *
frame_add(struct sim_run *run, unsigned int port)
{
	struct sim_net *net = run->net;
	struct frame *f = &net->frames[net->nb_frames];

	if (net->nb_frames == FRAMES || cut_off(run, port))
		return NULL;
	f->at_ns = run->now_ns + ANSWER_NS;
	f->port = (uint8_t)port;
	net->nb_frames++;
	return f;
}

static void
arp_in(struct sim_run *run, unsigned int port, const uint8_t *body, size_t len)
{
	struct plm_arp q;
	struct plm_arp a = { 0 };
	struct plm_ip ip = { 0 };
	struct neigh *n;
	struct frame *f;

	if (plm_arp_parse(body, len, &q) < 0) {
		sim_fail(SIM_INV_CONTENT, "the relay sent ARP that does not parse");
		return;
	}
	if (!q.is_request || memcmp(q.sender_ip, q.target_ip, 4) == 0)
		return;
	memcpy(ip.addr, q.target_ip, 4);
	n = neigh_get(run->net, port, &ip);
	n->asked++;
	if (sim_chance(&(struct sim_rng){ sim_rng_keyed(run->plan->seed + 4, n->asked,
				       q.target_ip[3])
							  .state },
			    run->settling ? 0 : run->plan->wire.loss)) {
		run->fired.world[SIM_WORLD_NEIGHBOUR_LOSS]++;
		return;
	}
	f = frame_add(run, port);
	if (f == NULL)
		return;
	mac_of(n, n->generation, a.sender_mac);
	memcpy(a.sender_ip, q.target_ip, 4);
	memcpy(a.target_mac, q.sender_mac, 6);
	memcpy(a.target_ip, q.sender_ip, 4);
	f->neigh = (uint16_t)(n - run->net->neighs);
	f->len = (uint8_t)plm_arp_build(f->bytes, sizeof(f->bytes), q.sender_mac, &a);
}

static void
nd_in(struct sim_run *run, unsigned int port, const uint8_t *frame, size_t len)
{
	const uint8_t *ip6 = frame + PLM_ETH_HDR;
	struct plm_nd q;
	struct plm_nd a = { .type = PLM_ICMP6_NA,
		.has_lladdr = true,
		.solicited = true,
		.override = true };
	struct plm_ip ip = { .is_v6 = true };
	struct neigh *n;
	struct frame *f;
	uint8_t mac[6];

	if (plm_nd_parse(ip6 + PLM_IP6_HDR, len - PLM_ETH_HDR - PLM_IP6_HDR, &q) < 0) {
		sim_fail(SIM_INV_CONTENT, "the relay sent ND that does not parse");
		return;
	}
	if (q.type != PLM_ICMP6_NS)
		return;
	memcpy(ip.addr, q.target, 16);
	n = neigh_get(run->net, port, &ip);
	n->asked++;
	if (sim_chance(&(struct sim_rng){ sim_rng_keyed(run->plan->seed + 4, n->asked,
				       0x100u + q.target[15])
							  .state },
			    run->settling ? 0 : run->plan->wire.loss)) {
		run->fired.world[SIM_WORLD_NEIGHBOUR_LOSS]++;
		return;
	}
	f = frame_add(run, port);
	if (f == NULL)
		return;
	mac_of(n, n->generation, mac);
	memcpy(a.target, q.target, 16);
	memcpy(a.lladdr, mac, 6);
	f->neigh = (uint16_t)(n - run->net->neighs);
	f->len = (uint8_t)plm_nd_build(f->bytes, sizeof(f->bytes), mac, frame + 6, q.target,
			ip6 + 8, &a);
}

void
sim_net_failover(struct sim_run *run, const struct sim_addr *addr, bool announce)
{
	struct neigh *n = neigh_of(run->net, addr);
	struct plm_ip own;
	struct frame *f;
	int len;

	n->generation = (uint8_t)((n->generation + 1) & 0x7f);
	f = announce ? frame_add(run, addr->port_idx) : NULL;
	if (f == NULL)
		return;
	sim_local_ip(addr->local_idx, &own);
	if (n->ip.is_v6) {
		static const uint8_t all[16] = { 0xff, 2, [15] = 1 };
		struct plm_nd a = { .type = PLM_ICMP6_NA, .has_lladdr = true, .override = true };

		mac_of(n, n->generation, a.lladdr);
		memcpy(a.target, n->ip.addr, 16);
		len = plm_nd_build(f->bytes, sizeof(f->bytes), a.lladdr,
				(uint8_t[6]){ 0x33, 0x33, 0, 0, 0, 1 }, n->ip.addr, all, &a);
	} else {
		static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
		struct plm_arp a = { .is_request = true };

		mac_of(n, n->generation, a.sender_mac);
		memcpy(a.sender_ip, n->ip.addr, 4);
		memcpy(a.target_ip, n->ip.addr, 4);
		len = plm_arp_build(f->bytes, sizeof(f->bytes), all, &a);
	}
	f->neigh = UINT16_MAX;
	f->len = (uint8_t)len;
}

/* --- towards the relay ---------------------------------------------------------------------- */

static void
queue_put(struct queue *q, uint32_t what)
{
	if (q->first + q->nb == q->size) {
		memmove(q->waiting, q->waiting + q->first, q->nb * sizeof(*q->waiting));
		q->first = 0;
		q->waiting = sim_grow(q->waiting, &q->size, q->nb + 64, sizeof(*q->waiting));
	}
	q->waiting[q->first + q->nb++] = what;
}

/* As a NIC would: by the remote address and port alone. */
unsigned int
sim_net_rss(const struct sim_run *run, unsigned int port, const struct sim_addr *addr)
{
	uint64_t h = sim_mix(addr->udp_port * UINT64_C(0x9e3779b97f4a7c15) + addr->ip.addr[3]);

	return (unsigned int)(h % run->ports[port].nb_queues);
}

void
sim_net_advance(struct sim_run *run)
{
	const struct sim_plan *plan = run->plan;
	struct sim_net *net = run->net;

	while (net->next < plan->nb_arrivals &&
			plan->arrivals[net->next].at_ns + SIM_EPOCH_NS <= run->now_ns) {
		const struct sim_packet *packet = &plan->packets[plan->arrivals[net->next].packet];
		unsigned int port;
		unsigned int queue = 0;

		if (packet->kind == SIM_RAW) {
			port = plan->ops[packet->op].a % plan->sizes.nb_ports;
			queue = plan->arrivals[net->next].packet % run->ports[port].nb_queues;
		} else {
			const struct sim_addr *addr =
					&plan->peers[packet->peer].addrs[packet->addr];

			port = addr->port_idx;
			queue = sim_net_rss(run, port, addr);
		}
		queue_put(&net->queues[port][queue], net->next++);
	}
	for (uint32_t i = 0; i < net->nb_frames;) {
		struct frame *f = &net->frames[i];

		if (f->at_ns > run->now_ns) {
			i++;
			continue;
		}
		net->given = sim_grow(net->given, &net->size_given, net->nb_given + 1,
				sizeof(*net->given));
		net->given[net->nb_given] = *f;
		queue_put(&net->queues[f->port][0], UINT32_MAX - net->nb_given++);
		*f = net->frames[--net->nb_frames];
	}
}

void
sim_net_bring(struct sim_run *run, unsigned int port, unsigned int queue, uint32_t what)
{
	queue_put(&run->net->queues[port][queue], what);
}

unsigned int
sim_net_waiting(const struct sim_run *run, unsigned int port, unsigned int queue)
{
	return run->net->queues[port][queue].nb;
}

uint64_t
sim_net_next(const struct sim_run *run)
{
	const struct sim_net *net = run->net;
	uint64_t at_ns = UINT64_MAX;

	if (net->next < run->plan->nb_arrivals)
		at_ns = run->plan->arrivals[net->next].at_ns + SIM_EPOCH_NS;
	for (uint32_t i = 0; i < net->nb_frames; i++)
		at_ns = RTE_MIN(at_ns, net->frames[i].at_ns);
	return at_ns;
}

/* From an endpoint, as its next hop sends it. */
static size_t
endpoint_frame(const struct sim_run *run, const struct sim_addr *addr, const uint8_t *bytes,
		size_t len, uint8_t *frame)
{
	const struct neigh *n = neigh_of(run->net, addr);
	uint8_t mac[6];

	mac_of(n, n->generation, mac);
	return sim_frame(addr, mac, run->ports[addr->port_idx].mac.addr_bytes, bytes, len, frame);
}

static size_t
quic_frame(struct sim_run *run, uint32_t i, uint8_t *frame)
{
	const struct sim_quic_packet *packet = sim_quic_given(run, i);
	size_t len = endpoint_frame(run, &run->plan->peers[packet->peer].addrs[packet->addr],
			packet->bytes, packet->len, frame);

	if (packet->is_corrupt)
		frame[len - 1] ^= 1;
	return len;
}

static size_t
arrival_frame(const struct sim_run *run, uint32_t idx, uint8_t *frame)
{
	const struct sim_plan *plan = run->plan;
	const struct sim_arrival *arrival = &plan->arrivals[idx];
	const struct sim_packet *packet = &plan->packets[arrival->packet];
	const uint8_t *bytes = sim_packet_bytes(plan, packet);
	const struct sim_addr *addr;
	size_t len;

	if (packet->kind == SIM_RAW) {
		unsigned int port = plan->ops[packet->op].a % plan->sizes.nb_ports;

		memcpy(frame, bytes, packet->len);
		memcpy(frame, run->ports[port].mac.addr_bytes, 6);
		return packet->len;
	}
	addr = &plan->peers[packet->peer].addrs[packet->addr];
	len = endpoint_frame(run, addr, bytes, packet->len, frame);
	if (arrival->corrupt) {
		/* Not the Ethernet header, whose faults cost the frame nothing or a switch drops;
		 * and not the UDP checksum, which may become "none". */
		size_t hdr = PLM_ETH_HDR + (addr->ip.is_v6 ? PLM_IP6_HDR : PLM_IP4_HDR);
		size_t at = PLM_ETH_HDR + arrival->flip_byte % (len - PLM_ETH_HDR);

		if (at == hdr + 6 || at == hdr + 7)
			at = hdr + 4;
		/* IPv6: flow label and hop limit are under no sum, and change nothing. */
		if (addr->ip.is_v6 && (at < PLM_ETH_HDR + 4 || at == PLM_ETH_HDR + 7))
			at = hdr + 4;
		frame[at] ^= (uint8_t)(1 << arrival->flip_bit);
	}
	return len;
}

void
sim_net_give(struct sim_run *run, unsigned int port, unsigned int queue, unsigned int n)
{
	struct queue *q = &run->net->queues[port][queue];

	for (; n > 0 && q->nb > 0; n--) {
		uint32_t what = q->waiting[q->first];
		const bool is_frame = what > UINT32_MAX / 2;
		const bool is_quic = !is_frame && what >= SIM_QUIC_FIRST;
		struct rte_mbuf *m;
		uint8_t frame[FRAME_BYTES];
		size_t len;

		if (rte_ring_free_count(sim_rx_ring(port, queue)) == 0)
			return;
		m = rte_pktmbuf_alloc(sim_rx_pool(queue));
		if (m == NULL)
			return; /* the NIC waits for descriptors */
		q->first++;
		q->nb--;
		if (is_frame) {
			const struct frame *f = &run->net->given[UINT32_MAX - what];

			len = f->len;
			memcpy(frame, f->bytes, len);
			if (f->neigh != UINT16_MAX)
				run->net->neighs[f->neigh].answered_ns = run->now_ns;
		} else if (is_quic) {
			len = quic_frame(run, what - SIM_QUIC_FIRST, frame);
		} else {
			len = arrival_frame(run, what, frame);
		}
		memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
		sim_tag(m) = is_frame ? 0 : what + 1;
		sim_held(m) = 0;
		sim_counted(m) = 0;
		sim_trace_word(&run->trace, is_frame ? UINT64_C(0xaa) << 32 | len : what);
		run->tick++;
		if (is_quic)
			sim_quic_arrived(run, what - SIM_QUIC_FIRST, port, queue);
		else if (!is_frame)
			sim_oracle_arrived(run, what);
		rte_ring_enqueue(sim_rx_ring(port, queue), m);
	}
}

/* --- from the relay ------------------------------------------------------------------------- */

/* Where the UDP payload begins, 0 if it is none. Everything before it is checked. */
static size_t
headers_check(struct sim_run *run, unsigned int port, const uint8_t *frame, size_t len,
		const struct sim_peer **to, unsigned int *addr_idx)
{
	const uint8_t *ip = frame + PLM_ETH_HDR;
	const bool is_v6 = frame[12] == 0x86;
	const size_t hdr = PLM_ETH_HDR + (is_v6 ? PLM_IP6_HDR : PLM_IP4_HDR);
	const uint8_t *udp = frame + hdr;
	const struct sim_addr *addr;
	const struct neigh *n;
	struct plm_ip own;
	uint16_t udp_len;
	bool known = false;

	if (len < hdr + PLM_UDP_HDR) {
		sim_fail(SIM_INV_CONTENT, "a frame of %zu bytes", len);
		return 0;
	}
	udp_len = (uint16_t)(udp[4] << 8 | udp[5]);
	if (is_v6) {
		SIM_EXPECT((ip[0] >> 4) == 6 && (ip[4] << 8 | ip[5]) == udp_len && ip[6] == 17 &&
						ip[7] == 64,
				CONTENT, "bad IPv6 header");
		SIM_EXPECT(plm_wire_l4_sum(ip + 8, ip + 24, true, 17, udp, udp_len) == 0, CONTENT,
				"bad UDP checksum over IPv6");
	} else {
		SIM_EXPECT(ip[0] == 0x45 && (ip[2] << 8 | ip[3]) == PLM_IP4_HDR + udp_len &&
						ip[8] == 64 && ip[9] == 17,
				CONTENT, "bad IPv4 header");
		SIM_EXPECT(plm_wire_sum(ip, PLM_IP4_HDR) == 0xffff, CONTENT,
				"bad IPv4 header checksum");
		SIM_EXPECT(plm_wire_l4_sum(ip + 12, ip + 16, false, 17, udp, udp_len) == 0, CONTENT,
				"bad UDP checksum over IPv4");
	}
	SIM_EXPECT(len == hdr + udp_len, CONTENT, "a frame of %zu bytes with %u of UDP", len,
			udp_len);
	*to = sim_peer_by_port(run->plan, (uint16_t)(udp[2] << 8 | udp[3]), addr_idx);
	if (*to == NULL) {
		sim_fail(SIM_INV_STRANGER, "a frame to nobody's UDP port");
		return 0;
	}
	addr = &(*to)->addrs[*addr_idx];
	sim_local_ip(addr->local_idx, &own);
	SIM_EXPECT(addr->ip.is_v6 == is_v6 &&
					memcmp(is_v6 ? ip + 24 : ip + 16, addr->ip.addr,
							is_v6 ? 16 : 4) == 0,
			STRANGER, "%s's port number at another address", (*to)->name);
	SIM_EXPECT(memcmp(is_v6 ? ip + 8 : ip + 12, own.addr, is_v6 ? 16 : 4) == 0 &&
					(udp[0] << 8 | udp[1]) == SIM_UDP_PORT,
			WAY_OUT, "to %s from an address that it did not ask", (*to)->name);
	SIM_EXPECT(addr->port_idx == port, WAY_OUT, "to %s through port %u instead of %u",
			(*to)->name, port, addr->port_idx);
	n = neigh_of(run->net, addr);
	for (unsigned int g = 0; g <= n->generation; g++) {
		uint8_t mac[6];

		mac_of(n, g, mac);
		known |= memcmp(mac, frame, 6) == 0;
	}
	SIM_EXPECT(known, FREED, "to %s at MAC address %02x:%02x:%02x:%02x:%02x:%02x, nobody's",
			(*to)->name, frame[0], frame[1], frame[2], frame[3], frame[4], frame[5]);
	SIM_EXPECT(memcmp(frame + 6, run->ports[port].mac.addr_bytes, 6) == 0, WAY_OUT,
			"the source is not the port's MAC address");
	return hdr + PLM_UDP_HDR;
}

static void
segments_check(const struct rte_mbuf *m)
{
	uint32_t total = 0;
	unsigned int nb = 0;

	for (const struct rte_mbuf *s = m; s != NULL; s = s->next) {
		total += s->data_len;
		if (++nb > m->nb_segs)
			break;
	}
	SIM_EXPECT(nb == m->nb_segs && total == m->pkt_len, REFERENCES,
			"a frame of %u segments and %u bytes that says %u and %u", nb, total,
			m->nb_segs, m->pkt_len);
	SIM_EXPECT(rte_mbuf_refcnt_read(m) == 1, REFERENCES, "a header with %u references",
			rte_mbuf_refcnt_read(m));
}

static void
frame_out(struct sim_run *run, unsigned int port, unsigned int queue, struct rte_mbuf *m)
{
	struct queue *q = &run->net->queues[port][queue];
	uint8_t copy[FRAME_BYTES];
	struct held held = { .m = m, .packet = UINT32_MAX };
	const struct sim_peer *to = NULL;
	unsigned int addr_idx = 0;
	const uint8_t *frame;
	uint16_t type;

	run->tick++;
	segments_check(m);
	if (run->failed || m->pkt_len > sizeof(copy) || m->pkt_len < PLM_ETH_HDR) {
		sim_fail(SIM_INV_CONTENT, "a frame of %u bytes", m->pkt_len);
		return;
	}
	SIM_EXPECT(m->pkt_len - PLM_ETH_HDR <= run->ports[port].mtu, WAY_OUT,
			"a frame of %u bytes through port %u", m->pkt_len, port);
	frame = rte_pktmbuf_read(m, 0, m->pkt_len, copy);
	sim_trace_word(&run->trace, sim_hash(frame, m->pkt_len) ^ (port << 8 | queue));
	type = (uint16_t)(frame[12] << 8 | frame[13]);
	if (type == RTE_ETHER_TYPE_ARP) {
		arp_in(run, port, frame + PLM_ETH_HDR, m->pkt_len - PLM_ETH_HDR);
	} else if (type == RTE_ETHER_TYPE_IPV6 && frame[20] == 58) {
		if (frame[PLM_ETH_HDR + PLM_IP6_HDR] == PLM_ICMP6_NS)
			nd_in(run, port, frame, m->pkt_len);
	} else if (type == RTE_ETHER_TYPE_IPV4 && frame[PLM_ETH_HDR + 9] == 1) {
		; /* an echo to garbage */
	} else {
		held.hdr_len = (uint16_t)headers_check(run, port, frame, m->pkt_len, &to,
				&addr_idx);
		if (held.hdr_len == 0)
			return;
		held.packet = sim_oracle_sent(run, to, addr_idx, frame + held.hdr_len,
				m->pkt_len - held.hdr_len);
	}
	if (m->next != NULL) {
		sim_held(m->next)++;
		SIM_EXPECT(rte_mbuf_refcnt_read(m->next) >= sim_held(m->next), REFERENCES,
				"a payload with %u references in %u frames of a port",
				rte_mbuf_refcnt_read(m->next), sim_held(m->next));
	}
	if (q->nb_held == HELD)
		abort(); /* more than sim_net's own plm_sim_tx() allowed */
	q->held[(q->first_held + q->nb_held++) % HELD] = held;
}

uint16_t
plm_sim_tx(uint16_t ethdev_id, uint16_t queue_id, uint16_t n)
{
	struct sim_net *net = sim->net;
	const struct queue *q;
	const struct sim_lcore *lcore = sim_lcore_self();
	uint32_t room;

	net->last_port = (uint16_t)sim_port_of(ethdev_id);
	net->last_queue = queue_id;
	SIM_EXPECT(lcore == NULL ||
					sim->conf.queue_owner[net->last_port][queue_id] ==
							lcore->worker,
			OWNER, "worker %u sends through queue %u of port %u",
			lcore != NULL ? lcore->worker : 99, queue_id, net->last_port);
	if (plm_fault(TX_REFUSES))
		return sim_chance(&sim->rng, 512) ? 0 : (uint16_t)sim_below(&sim->rng, n);
	q = &net->queues[net->last_port][queue_id];
	room = sim->plan->sizes.nb_txd - RTE_MIN(sim->plan->sizes.nb_txd, q->nb_held);
	if (room < n)
		sim->fired.world[SIM_WORLD_SLOW_WIRE]++;
	return (uint16_t)RTE_MIN(n, room);
}

/* What a queue has just taken. */
void
sim_net_collect(struct sim_run *run)
{
	const unsigned int port = run->net->last_port;
	const unsigned int queue = run->net->last_queue;
	struct rte_mbuf *m;

	while (rte_ring_dequeue(sim_tx_ring(port, queue), (void **)&m) == 0)
		frame_out(run, port, queue, m);
}

/* The port lets go of its oldest frame. */
static void
release(struct sim_run *run, struct queue *q)
{
	const struct held held = q->held[q->first_held];

	q->first_held = (q->first_held + 1) % HELD;
	q->nb_held--;
	if (held.packet != UINT32_MAX) {
		const struct sim_packet *packet = &run->plan->packets[held.packet];
		uint8_t copy[FRAME_BYTES];
		const uint8_t *bytes = rte_pktmbuf_read(held.m, held.hdr_len, packet->len, copy);

		SIM_EXPECT(bytes != NULL &&
						memcmp(bytes, sim_packet_bytes(run->plan, packet),
								packet->len) == 0,
				CONTENT, "a payload was written to while a port held it");
	}
	if (held.m->next != NULL)
		sim_held(held.m->next)--;
	if (!run->failed)
		rte_pktmbuf_free(held.m);
}

void
sim_net_send(struct sim_run *run, unsigned int n)
{
	for (unsigned int p = 0; p < run->plan->sizes.nb_ports; p++) {
		for (unsigned int i = 0; i < run->ports[p].nb_queues; i++) {
			struct queue *q = &run->net->queues[p][i];

			for (unsigned int k = n; k > 0 && q->nb_held > 0; k--)
				release(run, q);
		}
	}
}

unsigned int
sim_net_held(const struct sim_run *run)
{
	unsigned int n = 0;

	for (unsigned int p = 0; p < SIM_PORTS; p++)
		for (unsigned int i = 0; i < SIM_WORKERS; i++)
			n += run->net->queues[p][i].nb_held;
	return n;
}

void
sim_net_clear(struct sim_run *run)
{
	struct rte_mbuf *m;

	sim_net_send(run, UINT32_MAX);
	for (unsigned int p = 0; p < SIM_PORTS; p++) {
		for (unsigned int q = 0; q < SIM_WORKERS; q++) {
			while (rte_ring_dequeue(sim_rx_ring(p, q), (void **)&m) == 0)
				rte_pktmbuf_free(m);
			while (rte_ring_dequeue(sim_tx_ring(p, q), (void **)&m) == 0)
				rte_pktmbuf_free(m);
		}
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets of every kind, byte by byte, and what the network makes of them. What is sent, lost,
 * late or broken is drawn by operation and number: nothing depends on what else there is. */
#include "packet.h"

#include <stdlib.h>

#include <rte_common.h>

#include "plm_crypto.h"
#include "plm_wire.h"

#define PACKET_MAX 1500
#define BURST_NS   (50 * PLM_NS_PER_MS)

static void
put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}

void
sim_local_ip(unsigned int local_idx, struct plm_ip *ip)
{
	uint8_t port = (uint8_t)(local_idx / 2);

	*ip = (struct plm_ip){ .is_v6 = local_idx % 2 };
	if (ip->is_v6) {
		ip->addr[0] = 0xfd;
		ip->addr[7] = port;
		ip->addr[15] = 1;
	} else {
		memcpy(ip->addr, (uint8_t[]){ 198, 18, (uint8_t)(64 * port), 1 }, 4);
	}
}

void
sim_gateway_ip(unsigned int local_idx, struct plm_ip *ip)
{
	sim_local_ip(local_idx, ip);
	ip->addr[ip->is_v6 ? 15 : 3] = 254;
}

size_t
sim_frame(const struct sim_addr *from, const uint8_t src_mac[6], const uint8_t dst_mac[6],
		const void *payload, size_t len, uint8_t *out)
{
	const bool is_v6 = from->ip.is_v6;
	const size_t ip_len = is_v6 ? PLM_IP6_HDR : PLM_IP4_HDR;
	const uint16_t udp_len = (uint16_t)(PLM_UDP_HDR + len);
	uint8_t *ip = out + PLM_ETH_HDR;
	uint8_t *udp = ip + ip_len;
	struct plm_ip local;
	uint16_t sum;

	sim_local_ip(from->local_idx, &local);
	memset(out, 0, PLM_ETH_HDR + ip_len + PLM_UDP_HDR);
	memcpy(out, dst_mac, 6);
	memcpy(out + 6, src_mac, 6);
	put16(out + 12, is_v6 ? 0x86dd : 0x0800);
	put16(udp, from->udp_port);
	put16(udp + 2, SIM_UDP_PORT);
	put16(udp + 4, udp_len);
	memcpy(udp + PLM_UDP_HDR, payload, len);
	if (is_v6) {
		ip[0] = 0x60;
		put16(ip + 4, udp_len);
		ip[6] = 17;
		ip[7] = 64;
		memcpy(ip + 8, from->ip.addr, 16);
		memcpy(ip + 24, local.addr, 16);
		sum = plm_wire_l4_sum(ip + 8, ip + 24, true, 17, udp, udp_len);
	} else {
		ip[0] = 0x45;
		put16(ip + 2, (uint16_t)(PLM_IP4_HDR + udp_len));
		ip[8] = 64;
		ip[9] = 17;
		memcpy(ip + 12, from->ip.addr, 4);
		memcpy(ip + 16, local.addr, 4);
		sum = (uint16_t)~plm_wire_sum(ip, PLM_IP4_HDR);
		memcpy(ip + 10, &sum, 2);
		sum = plm_wire_l4_sum(ip + 12, ip + 16, false, 17, udp, udp_len);
	}
	if (sum == 0)
		sum = 0xffff;
	memcpy(udp + 6, &sum, 2);
	return PLM_ETH_HDR + ip_len + udp_len;
}

/* --- content -------------------------------------------------------------------------------- */

static struct sim_packet *
packet_add(struct sim_plan *plan, uint32_t op_idx, enum sim_kind kind, uint64_t sent_ns,
		const void *bytes, size_t len)
{
	struct sim_op *op = &plan->ops[op_idx];
	struct sim_packet *packet;
	uint32_t size = (uint32_t)plan->size_bytes;

	plan->packets = sim_grow(plan->packets, &plan->size_packets, plan->nb_packets + 1,
			sizeof(*plan->packets));
	plan->bytes = sim_grow(plan->bytes, &size, (uint32_t)(plan->nb_bytes + len), 1);
	plan->size_bytes = size;
	packet = &plan->packets[plan->nb_packets];
	*packet = (struct sim_packet){
		.kind = (uint8_t)kind,
		.cred = op->cred,
		.addr = op->addr,
		.peer = op->peer,
		.target = UINT16_MAX,
		.len = (uint16_t)len,
		.op = op_idx,
		.off = (uint32_t)plan->nb_bytes,
		.original = plan->nb_packets,
		.sent_ns = sent_ns,
	};
	memcpy(plan->bytes + plan->nb_bytes, bytes, len);
	plan->nb_bytes += len;
	plan->nb_packets++;
	op->nb_packets++;
	return packet;
}

/* The number of the packet makes it the only one of its kind. */
static void
rtp_make(struct sim_plan *plan, uint32_t op_idx, unsigned int nth, uint64_t sent_ns)
{
	const struct sim_op *op = &plan->ops[op_idx];
	struct sim_rng rng = sim_rng_keyed(plan->seed, op_idx, nth);
	uint8_t buf[PACKET_MAX];
	uint16_t len = (uint16_t)sim_range(&rng, op->min_len, op->max_len);
	struct sim_packet *packet;

	sim_fill(&rng, buf, len);
	buf[0] = 0x80;
	buf[1] = (uint8_t)(96 + (buf[1] & 0x8f) % 32);
	put16(buf + 2, (uint16_t)nth);
	put32(buf + 8, op->ssrc);
	if (sim_chance(&rng, 100)) { /* a header extension of one word */
		buf[0] |= 0x10;
		put32(buf + 12, 0xbede0001);
	}
	put32(buf + len - 4, op_idx << 16 | nth);
	packet = packet_add(plan, op_idx, SIM_RTP, sent_ns, buf, len);
	packet->ssrc = op->ssrc;
	packet->reach = SIM_REACH_SUBSCRIBERS;
}

static size_t
rr_put(uint8_t *p, uint32_t sender, uint32_t about, uint32_t number)
{
	memset(p, 0, 32);
	p[0] = 0x81;
	p[1] = PLM_RTCP_RR;
	put16(p + 2, 7);
	put32(p + 4, sender);
	put32(p + 8, about);
	put32(p + 16, number); /* extended highest sequence number */
	return 32;
}

static size_t
sdes_put(uint8_t *p, uint32_t ssrc)
{
	memset(p, 0, 16);
	p[0] = 0x81;
	p[1] = PLM_RTCP_SDES;
	put16(p + 2, 3);
	put32(p + 4, ssrc);
	p[8] = 1; /* CNAME */
	p[9] = 4;
	memcpy(p + 10, "peer", 4);
	return 16;
}

static void
rtcp_make(struct sim_plan *plan, uint32_t op_idx, unsigned int nth, uint64_t sent_ns)
{
	const struct sim_op *op = &plan->ops[op_idx];
	const bool opaque = plan->rooms[op->room].settings.rtcp == PLM_RTCP_OPAQUE;
	const uint32_t number = op_idx << 16 | nth;
	const uint32_t about = op->a == SIM_REPORT_RR || op->a == SIM_REPORT_NACK
			? sim_ssrc(&plan->peers[op->b], 0)
			: 0;
	struct sim_packet *packet;
	uint8_t buf[256] = { 0 };
	size_t len = 0;
	uint8_t reach;

	switch ((enum sim_report)op->a) {
	case SIM_REPORT_SR:
		buf[0] = 0x80;
		buf[1] = PLM_RTCP_SR;
		put16(buf + 2, 6);
		put32(buf + 4, op->ssrc);
		put32(buf + 8, number);
		len = 28;
		break;
	default:
		len = rr_put(buf, op->ssrc, about, number);
		break;
	}
	len += sdes_put(buf + len, op->ssrc);
	if (op->a == SIM_REPORT_NACK) {
		buf[len] = 0x81;
		buf[len + 1] = PLM_RTCP_RTPFB;
		put16(buf + len + 2, 3);
		put32(buf + len + 4, op->ssrc);
		put32(buf + len + 8, about);
		put32(buf + len + 12, 17 << 16);
		len += 16;
	} else if (op->a == SIM_REPORT_BYE) {
		buf[len] = 0x81;
		buf[len + 1] = PLM_RTCP_BYE;
		put16(buf + len + 2, 1);
		put32(buf + len + 4, op->ssrc);
		len += 8;
	}
	if (op->a == SIM_REPORT_SR || (op->a == SIM_REPORT_BYE && !opaque))
		reach = SIM_REACH_MEMBERS;
	else
		reach = opaque ? SIM_REACH_PUBLISHERS : SIM_REACH_OWNER;
	packet = packet_add(plan, op_idx, SIM_RTCP, sent_ns, buf, len);
	packet->ssrc = op->ssrc;
	packet->reach = reach;
	if (reach == SIM_REACH_OWNER)
		packet->target = (uint16_t)op->b;
}

static void
stun_make(struct sim_plan *plan, struct plm_hmac *hmac, uint32_t op_idx, unsigned int nth,
		uint64_t sent_ns)
{
	const struct sim_op *op = &plan->ops[op_idx];
	const struct sim_cred *cred = &plan->peers[op->peer].creds[op->cred];
	struct sim_rng rng = sim_rng_keyed(plan->seed, op_idx, nth);
	uint8_t tid[PLM_STUN_TID];
	uint8_t mac[PLM_SHA1_SIZE];
	uint8_t buf[PACKET_MAX];
	char name[PLM_UFRAG_MAX + 8];
	struct plm_stun_out out;
	struct sim_packet *packet;
	size_t len = strlen(cred->ufrag);

	sim_fill(&rng, tid, sizeof(tid));
	memcpy(name, cred->ufrag, len);
	memcpy(name + len, ":abcd", 5);
	plm_stun_begin(&out, buf, sizeof(buf), PLM_STUN_REQUEST, PLM_STUN_BINDING, tid);
	plm_stun_add_bytes(&out, PLM_STUN_ATTR_USERNAME, name, len + 5);
	plm_stun_add_u32(&out, PLM_STUN_ATTR_PRIORITY, op->a);
	plm_stun_add_u64(&out,
			op->b & SIM_CHECK_CONTROLLED ? PLM_STUN_ATTR_CONTROLLED
						     : PLM_STUN_ATTR_CONTROLLING,
			op->peer);
	if (op->b & SIM_CHECK_NOMINATE)
		plm_stun_add_bytes(&out, PLM_STUN_ATTR_USE_CANDIDATE, NULL, 0);
	if (op->b & SIM_CHECK_UNKNOWN)
		plm_stun_add_u32(&out, 0x7777, 1);
	plm_stun_prepare_integrity(&out);
	plm_hmac_sha1(hmac, cred->pwd, PLM_PWD_LEN, out.buf, out.len, NULL, 0, mac);
	if (op->b & SIM_CHECK_TAMPERED)
		mac[0] ^= 1;
	plm_stun_add_integrity(&out, mac);
	len = op->b & SIM_CHECK_BARE ? out.len : plm_stun_finish(&out);
	packet = packet_add(plan, op_idx, SIM_STUN, sent_ns, buf, len);
	packet->flags = (uint8_t)op->b;
	packet->priority = op->a;
}

static void
indication_make(struct sim_plan *plan, uint32_t op_idx, unsigned int nth, uint64_t sent_ns)
{
	struct sim_rng rng = sim_rng_keyed(plan->seed, op_idx, nth);
	uint8_t tid[PLM_STUN_TID];
	uint8_t buf[64];
	struct plm_stun_out out;

	sim_fill(&rng, tid, sizeof(tid));
	plm_stun_begin(&out, buf, sizeof(buf), PLM_STUN_INDICATION, PLM_STUN_BINDING, tid);
	packet_add(plan, op_idx, SIM_INDICATION, sent_ns, buf, plm_stun_finish(&out));
}

/* Nobody's frame, nearly right or not at all; aimed at port `a`. */
static void
garbage_make(struct sim_plan *plan, uint32_t op_idx, unsigned int nth, uint64_t sent_ns)
{
	const struct sim_op *op = &plan->ops[op_idx];
	struct sim_rng rng = sim_rng_keyed(plan->seed, op_idx, nth);
	struct sim_addr nobody = { .udp_port = (uint16_t)sim_range(&rng, 1, 19999),
		.port_idx = (uint8_t)(op->a % plan->sizes.nb_ports) };
	static const uint8_t first[] = { 0, 1, 0x80, 0x81, 0x90, 0x16, 0x40, 0xc0, 0xff };
	uint8_t payload[200];
	uint8_t frame[300];
	size_t len = sim_range(&rng, 0, sizeof(payload));

	nobody.ip.is_v6 = sim_chance(&rng, 512);
	nobody.local_idx = (uint8_t)(2 * nobody.port_idx + nobody.ip.is_v6);
	sim_fill(&rng, nobody.ip.addr, nobody.ip.is_v6 ? 16 : 4);
	if (sim_chance(&rng, 700))
		nobody.ip.addr[0] = nobody.ip.is_v6 ? 0xfd : 198;
	sim_fill(&rng, payload, sizeof(payload));
	payload[0] = SIM_PICK(&rng, first);
	len = sim_frame(&nobody, (uint8_t[6]){ 2, 9, 9, 9, 9, 9 }, (uint8_t[6]){ 0 }, payload, len,
			frame);
	for (uint64_t n = sim_below(&rng, 3); n > 0; n--)
		frame[sim_range(&rng, 12, len - 1)] = (uint8_t)sim_next(&rng);
	if (sim_chance(&rng, 100))
		len = sim_range(&rng, 14, len);
	packet_add(plan, op_idx, SIM_RAW, sent_ns, frame, len);
}

/* Requests of another operation, as an eavesdropper sends them again. */
static void
replay_make(struct sim_plan *plan, uint32_t op_idx, unsigned int nth, uint64_t sent_ns)
{
	const struct sim_op *from = &plan->ops[plan->ops[op_idx].a];
	uint8_t buf[PACKET_MAX];
	struct sim_packet copy;
	struct sim_packet *packet;

	if (from->nb_packets == 0)
		return;
	copy = plan->packets[from->first_packet + nth % from->nb_packets];
	if (copy.sent_ns >= sent_ns)
		return; /* nobody captures what is not sent yet */
	memcpy(buf, plan->bytes + copy.off, copy.len);
	packet = packet_add(plan, op_idx, SIM_STUN, sent_ns, buf, copy.len);
	packet->flags = copy.flags;
	packet->priority = copy.priority;
	packet->cred = copy.cred;
	packet->original = copy.original;
}

/* --- the network ---------------------------------------------------------------------------- */

static bool
partitioned(const struct sim_plan *plan, unsigned int port_idx, uint64_t t)
{
	for (uint32_t i = 0; i < plan->nb_ops; i++) {
		const struct sim_op *op = &plan->ops[i];

		if (op->type == SIM_OP_PARTITION && !op->off && op->a == port_idx && t >= op->t0 &&
				t < op->t1)
			return true;
	}
	return false;
}

static void
arrive(struct sim_plan *plan, uint32_t packet_idx, struct sim_rng *rng, bool corrupt)
{
	struct sim_packet *packet = &plan->packets[packet_idx];
	struct sim_arrival *a;

	plan->arrivals = sim_grow(plan->arrivals, &plan->size_arrivals, plan->nb_arrivals + 1,
			sizeof(*plan->arrivals));
	a = &plan->arrivals[plan->nb_arrivals++];
	*a = (struct sim_arrival){ .at_ns = packet->sent_ns + plan->wire.delay_ns,
		.packet = packet_idx,
		.corrupt = corrupt };
	if (plan->wire.jitter_ns > 0)
		a->at_ns += sim_below(rng, plan->wire.jitter_ns);
	a->flip_byte = (uint16_t)sim_next(rng);
	a->flip_bit = (uint8_t)(sim_next(rng) % 8);
}

static void
travel(struct sim_plan *plan, uint32_t packet_idx)
{
	const struct sim_wire *wire = &plan->wire;
	const struct sim_packet *packet = &plan->packets[packet_idx];
	const struct sim_op *op = &plan->ops[packet->op];
	struct sim_rng rng =
			sim_rng_keyed(plan->seed + 1, packet->op, packet_idx - op->first_packet);
	struct sim_rng slot =
			sim_rng_keyed(plan->seed + 2, packet->peer, packet->sent_ns / BURST_NS);
	unsigned int port_idx = packet->kind == SIM_RAW
			? op->a % plan->sizes.nb_ports
			: plan->peers[packet->peer].addrs[packet->addr].port_idx;
	bool lost = sim_chance(&rng, wire->loss);
	bool burst = sim_chance(&slot, wire->burst) && sim_chance(&rng, 800);
	bool twice = sim_chance(&rng, wire->duplicate);
	/* What is flipped in a frame of garbage is more garbage. */
	bool corrupt = sim_chance(&rng, wire->corrupt) && packet->kind != SIM_RAW;

	if (partitioned(plan, port_idx, packet->sent_ns)) {
		plan->net.partitioned++;
	} else if (packet->len + 48u > wire->mtu && packet->kind != SIM_RAW) {
		plan->net.too_large++;
	} else if (burst) {
		plan->net.burst++;
	} else if (lost) {
		plan->net.lost++;
	} else {
		plan->net.corrupted += corrupt;
		plan->net.duplicated += twice;
		arrive(plan, packet_idx, &rng, corrupt);
		if (twice)
			arrive(plan, packet_idx, &rng, false);
	}
}

static int
arrival_cmp(const void *a, const void *b)
{
	const struct sim_arrival *x = a;
	const struct sim_arrival *y = b;

	if (x->at_ns != y->at_ns)
		return x->at_ns < y->at_ns ? -1 : 1;
	if (x->packet != y->packet)
		return x->packet < y->packet ? -1 : 1;
	return (x->corrupt > y->corrupt) - (x->corrupt < y->corrupt);
}

static void
op_make(struct sim_plan *plan, struct plm_hmac *hmac, uint32_t op_idx)
{
	const struct sim_op op = plan->ops[op_idx];
	const uint64_t gap_ns = op.gap_ns != 0 ? op.gap_ns : PLM_NS_PER_S;
	unsigned int nth = 0;

	plan->ops[op_idx].first_packet = plan->nb_packets;
	if (op.off)
		return;
	for (uint64_t t = op.t0; t < op.t1 || nth == 0; t += gap_ns, nth++) {
		struct sim_rng rng = sim_rng_keyed(plan->seed + 3, op_idx, nth);
		uint64_t sent_ns = t + sim_below(&rng, gap_ns / 4 + 1);

		switch (op.type) {
		case SIM_OP_CHECKS:
			stun_make(plan, hmac, op_idx, nth, sent_ns);
			break;
		case SIM_OP_TALK:
			rtp_make(plan, op_idx, nth, sent_ns);
			break;
		case SIM_OP_REPORT:
			rtcp_make(plan, op_idx, nth, sent_ns);
			break;
		case SIM_OP_REPLAY:
			replay_make(plan, op_idx, nth, sent_ns);
			break;
		case SIM_OP_INDICATE:
			indication_make(plan, op_idx, nth, sent_ns);
			break;
		case SIM_OP_GARBAGE:
			garbage_make(plan, op_idx, nth, sent_ns);
			break;
		default:
			return;
		}
	}
}

static void
index_make(struct sim_plan *plan)
{
	uint32_t size = rte_align32pow2(2 * plan->nb_packets + 2);

	plan->hash_mask = size - 1;
	plan->by_hash = calloc(size, sizeof(*plan->by_hash));
	if (plan->by_hash == NULL)
		abort();
	for (uint32_t i = 0; i < plan->nb_packets; i++) {
		const struct sim_packet *packet = &plan->packets[i];
		uint32_t h;

		if (packet->kind != SIM_RTP && packet->kind != SIM_RTCP)
			continue;
		h = (uint32_t)sim_hash(plan->bytes + packet->off, packet->len) & plan->hash_mask;
		while (plan->by_hash[h] != 0)
			h = (h + 1) & plan->hash_mask;
		plan->by_hash[h] = i + 1;
	}
}

uint32_t
sim_packet_find(const struct sim_plan *plan, const uint8_t *bytes, size_t len)
{
	uint32_t h = (uint32_t)sim_hash(bytes, len) & plan->hash_mask;

	for (; plan->by_hash[h] != 0; h = (h + 1) & plan->hash_mask) {
		const struct sim_packet *packet = &plan->packets[plan->by_hash[h] - 1];

		if (packet->len == len && memcmp(plan->bytes + packet->off, bytes, len) == 0)
			return plan->by_hash[h] - 1;
	}
	return UINT32_MAX;
}

/* Who sends from an SSRC that somebody else of the room sends from, too, may not get through. */
static void
contests_find(struct sim_plan *plan)
{
	for (uint32_t i = 0; i < plan->nb_ops; i++) {
		struct sim_op *op = &plan->ops[i];

		for (uint32_t k = 0; k < plan->nb_ops && op->ssrc != 0; k++) {
			const struct sim_op *other = &plan->ops[k];

			op->contested |= other->ssrc == op->ssrc && other->peer != op->peer;
		}
		if (op->contested ||
				(op->ssrc != 0 &&
						(op->ssrc - sim_ssrc(&plan->peers[0], 0)) /
										0x100u !=
								op->peer))
			plan->rooms[op->room].contested = true;
	}
}

void
sim_packets_make(struct sim_plan *plan)
{
	struct plm_hmac *hmac = plm_hmac_create();

	if (hmac == NULL)
		abort();
	contests_find(plan);
	for (uint32_t i = 0; i < plan->nb_ops; i++)
		op_make(plan, hmac, i);
	plm_hmac_free(hmac);
	for (uint32_t i = 0; i < plan->nb_packets; i++)
		travel(plan, i);
	if (plan->nb_arrivals > 0)
		qsort(plan->arrivals, plan->nb_arrivals, sizeof(*plan->arrivals), arrival_cmp);
	for (uint32_t i = 0; i < plan->nb_arrivals; i++) {
		struct sim_packet *packet = &plan->packets[plan->arrivals[i].packet];

		if (i > 0 && plan->arrivals[i].packet < plan->arrivals[i - 1].packet)
			plan->net.reordered++;
		if (packet->nb_arrivals < SIM_COPIES)
			packet->arrivals[packet->nb_arrivals++] = i;
	}
	index_make(plan);
}

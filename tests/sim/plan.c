/* SPDX-License-Identifier: BSD-3-Clause */
/* Plans: rooms, participants and operations, as stories put them together. */
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>

#include "packet.h"
#include "plm_wire.h"

#define FIRST_UDP_PORT 20000

void *
sim_grow(void *array, uint32_t *size, uint32_t need, size_t item)
{
	if (need <= *size)
		return array;
	while (*size < need)
		*size = *size == 0 ? 64 : 2 * *size;
	array = realloc(array, *size * item);
	if (array == NULL)
		abort();
	return array;
}

uint64_t
sim_hash(const void *buf, size_t len)
{
	static const uint8_t key[16] = "plenum simulator";

	return plm_siphash(key, buf, len);
}

void
sim_secret(unsigned int i, uint8_t key[32])
{
	struct sim_rng rng = sim_rng_keyed(i, 5, 5);

	sim_fill(&rng, key, 32);
}

uint32_t
sim_ssrc(const struct sim_peer *peer, unsigned int stream)
{
	return 0x01000000u + peer->idx * 0x100u + stream;
}

struct sim_room *
sim_room_add(struct sim_plan *plan)
{
	struct sim_room *room = &plan->rooms[plan->nb_rooms];

	if (plan->nb_rooms == SIM_ROOMS)
		abort();
	snprintf(room->name, sizeof(room->name), "room%u", plan->nb_rooms);
	room->settings = (struct plm_room_settings){ .max_members = SIM_PEERS,
		.rtcp = PLM_RTCP_CLEAR,
		.dscp = PLM_DSCP_COPY };
	plan->nb_rooms++;
	return room;
}

static void
addr_fill(struct sim_plan *plan, struct sim_rng *rng, const struct sim_peer *peer, unsigned int i)
{
	struct sim_addr *addr = (struct sim_addr *)&peer->addrs[i];
	uint8_t host = (uint8_t)(2 + sim_below(rng, 200));

	addr->udp_port = (uint16_t)(FIRST_UDP_PORT + peer->idx * SIM_ADDRS + i);
	addr->port_idx = (uint8_t)sim_below(rng, plan->sizes.nb_ports);
	addr->far = sim_chance(rng, 400);
	addr->ip.is_v6 = sim_chance(rng, 400);
	addr->local_idx = (uint8_t)(2 * addr->port_idx + addr->ip.is_v6);
	/* Some share an address, as behind a NAT. */
	if (sim_chance(rng, 256))
		host = 2;
	if (addr->ip.is_v6) {
		addr->ip.addr[0] = 0xfd;
		addr->ip.addr[1] = addr->far;
		addr->ip.addr[7] = addr->port_idx;
		addr->ip.addr[14] = 1;
		addr->ip.addr[15] = host;
	} else {
		addr->ip.addr[0] = 198;
		addr->ip.addr[1] = addr->far ? 19 : 18;
		addr->ip.addr[2] = (uint8_t)(64 * addr->port_idx + 1);
		addr->ip.addr[3] = host;
	}
}

void
sim_cred_set(struct sim_plan *plan, struct sim_peer *peer, unsigned int i, uint8_t role,
		int64_t expiry_s, uint8_t secret, bool forged)
{
	struct sim_cred *cred = &peer->creds[i];
	struct plm_credential mint = { .expiry_s = SIM_WALL_S + (uint64_t)expiry_s, .role = role };
	uint8_t key[32];

	cred->used = true;
	cred->forged = forged;
	cred->secret = secret;
	cred->role = role;
	cred->expiry_s = mint.expiry_s;
	memcpy(mint.room, plan->rooms[peer->room].name, sizeof(mint.room));
	memcpy(mint.participant, peer->name, sizeof(mint.participant));
	sim_secret(forged ? SIM_SECRETS : secret, key);
	if (plm_credential_mint(&mint, key, sizeof(key), cred->ufrag, cred->pwd) < 0)
		abort();
}

struct sim_peer *
sim_peer_add(struct sim_plan *plan, struct sim_rng *rng, uint8_t role)
{
	struct sim_room *room = &plan->rooms[plan->nb_rooms - 1];
	struct sim_peer *peer = &plan->peers[plan->nb_peers];

	if (plan->nb_peers == SIM_PEERS)
		abort();
	peer->idx = plan->nb_peers++;
	peer->room = (uint16_t)(plan->nb_rooms - 1);
	peer->seat = room->nb_peers;
	peer->role = role;
	room->peers[room->nb_peers++] = peer->idx;
	snprintf(peer->name, sizeof(peer->name), "peer%u", peer->idx);
	for (unsigned int i = 0; i < SIM_ADDRS; i++)
		addr_fill(plan, rng, peer, i);
	/* No two alike, or they would be one credential. */
	sim_cred_set(plan, peer, 0, role, 3600, 0, false);
	return peer;
}

struct sim_peer *
sim_quic_add(struct sim_plan *plan, struct sim_rng *rng)
{
	struct sim_peer *peer = sim_peer_add(plan, rng, PLM_ROLE_BOTH);

	peer->is_quic = true;
	peer->identity = peer->idx;
	plan->rooms[peer->room].is_quic = true;
	for (unsigned int i = 1; i < SIM_ADDRS; i++) {
		struct sim_addr *addr = &peer->addrs[i];
		const uint16_t udp_port = addr->udp_port;

		*addr = peer->addrs[0];
		addr->udp_port = udp_port;
		addr->ip.addr[addr->ip.is_v6 ? 15 : 3] = (uint8_t)(2 + sim_below(rng, 200));
	}
	return peer;
}

struct sim_op *
sim_op_add(struct sim_plan *plan, enum sim_op_type type, uint64_t t0, uint64_t t1)
{
	struct sim_op *op;

	plan->ops = sim_grow(plan->ops, &plan->size_ops, plan->nb_ops + 1, sizeof(*plan->ops));
	op = &plan->ops[plan->nb_ops++];
	*op = (struct sim_op){ .type = (uint8_t)type, .t0 = t0, .t1 = t1, .peer = UINT16_MAX };
	if (t1 > plan->end_ns)
		plan->end_ns = t1;
	if (t0 > plan->end_ns)
		plan->end_ns = t0;
	return op;
}

struct sim_op *
sim_peer_op(struct sim_plan *plan, const struct sim_peer *peer, enum sim_op_type type, uint64_t t0,
		uint64_t t1)
{
	struct sim_op *op = sim_op_add(plan, type, t0, t1);

	op->peer = peer->idx;
	op->room = peer->room;
	return op;
}

void
sim_attend(struct sim_plan *plan, struct sim_rng *rng, const struct sim_peer *peer,
		unsigned int addr, unsigned int cred, uint64_t t0, uint64_t t1)
{
	const uint64_t often_ns = 50 * PLM_NS_PER_MS;
	uint64_t steady = t0 + 4 * often_ns < t1 ? t0 + 4 * often_ns : t1;
	struct sim_op *op = sim_peer_op(plan, peer, SIM_OP_CHECKS, t0, steady);
	uint32_t priority = 1000 + (uint32_t)sim_below(rng, 4) * 1000;

	op->addr = (uint8_t)addr;
	op->cred = (uint8_t)cred;
	op->gap_ns = often_ns;
	op->a = priority;
	op->b = sim_chance(rng, 512) ? SIM_CHECK_NOMINATE : 0;
	if (steady == t1)
		return;
	op = sim_peer_op(plan, peer, SIM_OP_CHECKS, steady, t1);
	op->addr = (uint8_t)addr;
	op->cred = (uint8_t)cred;
	op->gap_ns = plan->sizes.consent_ns / sim_range(rng, 4, 8);
	op->a = priority;
}

struct sim_op *
sim_talk(struct sim_plan *plan, struct sim_rng *rng, const struct sim_peer *peer, unsigned int addr,
		unsigned int stream, uint64_t t0, uint64_t t1, unsigned int pps)
{
	struct sim_op *op = sim_peer_op(plan, peer, SIM_OP_TALK, t0, t1);

	op->addr = (uint8_t)addr;
	op->ssrc = sim_ssrc(peer, stream);
	op->gap_ns = PLM_NS_PER_S / pps;
	op->min_len = (uint16_t)sim_range(rng, 24, 200);
	op->max_len = (uint16_t)sim_range(rng, op->min_len, sim_chance(rng, 256) ? 1400 : 400);
	return op;
}

const struct sim_peer *
sim_peer_by_port(const struct sim_plan *plan, uint16_t udp_port, unsigned int *addr)
{
	unsigned int i = (unsigned int)udp_port - FIRST_UDP_PORT;

	if (udp_port < FIRST_UDP_PORT || i / SIM_ADDRS >= plan->nb_peers)
		return NULL;
	*addr = i % SIM_ADDRS;
	return &plan->peers[i / SIM_ADDRS];
}

/* Before a story may change it: small, so that limits are met. */
static void
plan_defaults(struct sim_plan *plan, struct sim_rng *rng)
{
	static const uint16_t copy_below[] = { 0, 64, 256, 2000 };
	static const uint32_t turn_copies[] = { 32, 48, 128, 1024 };
	static const uint32_t ring_size[] = { 63, 127, 1023 };
	static const uint16_t preempt[] = { 0, 16, 100, 300, 600 };
	static const uint64_t publish_ns[] = { 0, 100 * PLM_NS_PER_US, PLM_NS_PER_MS,
		5 * PLM_NS_PER_MS };
	struct sim_sizes *s = &plan->sizes;

	s->nb_ports = (uint16_t)sim_range(rng, 1, SIM_PORTS);
	for (unsigned int p = 0; p < SIM_PORTS; p++) {
		s->queues[p] = (uint16_t)(sim_chance(rng, 300) ? 1 : SIM_WORKERS);
		s->mtu[p] = sim_chance(rng, 200) ? 1280 : 1500;
		s->copy_below[p] = SIM_PICK(rng, copy_below);
		s->chain[p] = !sim_chance(rng, 128);
	}
	s->nb_txd = 512;
	s->ring_size = SIM_PICK(rng, ring_size);
	s->turn_copies = SIM_PICK(rng, turn_copies);
	s->park_entries = (uint32_t)sim_range(rng, 1, 64);
	s->max_rooms = SIM_ROOMS;
	s->max_sessions = SIM_PEERS;
	s->max_backlog = sim_chance(rng, 128) ? 4 : 256;
	s->max_neighbours = 512;
	s->publish_interval_ns = SIM_PICK(rng, publish_ns);
	s->consent_ns = sim_range(rng, 2, 4) * PLM_NS_PER_S;
	plan->pace.preempt = SIM_PICK(rng, preempt);
	plan->pace.rx_most = (uint16_t)sim_range(rng, 1, 40);
	plan->pace.step_ns = (uint16_t)sim_range(rng, 100, 20000);
	plan->pace.bias = (uint16_t)sim_below(rng, 12);
	plan->pace.nap = (uint16_t)(sim_chance(rng, 512) ? 0 : sim_range(rng, 10, 1000));
	plan->pace.naps = 64;
	plan->pace.wire_fps = 5000;
	plan->wire.delay_ns = sim_range(rng, 0, 20) * PLM_NS_PER_MS;
	plan->wire.mtu = 1500;
	plan->in_order = sim_chance(rng, 128);
}

/* From a number of its own. */
static void
spread_default(struct sim_plan *plan)
{
	static const uint32_t spread_above[] = { 0, 1, 2, 3, 4, 6, 24 };
	struct sim_rng rng = sim_rng_keyed(plan->seed, 6, 0);

	plan->sizes.spread_above = SIM_PICK(&rng, spread_above);
}

struct sim_plan *
sim_plan_create(const struct sim_story *story, uint64_t seed, const struct sim_cut *cut)
{
	struct sim_plan *plan = calloc(1, sizeof(*plan));
	struct sim_rng rng = sim_rng_keyed(seed, 1, sim_hash(story->name, strlen(story->name)));

	if (plan == NULL)
		abort();
	plan->seed = seed;
	plan->story = story;
	plan_defaults(plan, &rng);
	spread_default(plan);
	story->plan(plan, &rng);
	for (unsigned int i = 0; i < cut->nb_ops; i++)
		if (cut->ops[i] < plan->nb_ops)
			plan->ops[cut->ops[i]].off = true;
	if (cut->calm_wire)
		plan->wire = (struct sim_wire){ .mtu = 1500 };
	sim_packets_make(plan);
	return plan;
}

void
sim_plan_free(struct sim_plan *plan)
{
	if (plan == NULL)
		return;
	free(plan->ops);
	free(plan->packets);
	free(plan->arrivals);
	free(plan->bytes);
	free(plan->by_hash);
	free(plan);
}

void
sim_op_text(const struct sim_plan *plan, uint32_t i, struct plm_text *text)
{
	static const char *const names[] = {
#define SIM_OP_NAME(id, name) name,
		SIM_OPS(SIM_OP_NAME)
#undef SIM_OP_NAME
	};
	const struct sim_op *op = &plan->ops[i];

	plm_text_add(text, "%3u%s %8.3f", i, op->off ? " (left out)" : "",
			(double)op->t0 / (double)PLM_NS_PER_S);
	if (op->t1 > op->t0)
		plm_text_add(text, " to %.3f", (double)op->t1 / (double)PLM_NS_PER_S);
	plm_text_add(text, " s: ");
	if (op->peer != UINT16_MAX)
		plm_text_add(text, "%s of room%u, address %u, credential %u, ",
				plan->peers[op->peer].name, op->room, op->addr, op->cred);
	plm_text_add(text, "%s", names[op->type]);
	if (op->type == SIM_OP_FAULTS) {
		static const char *const sites[] = {
#define SIM_SITE_NAME(id, name, help) name,
			PLM_FAULT_SITES(SIM_SITE_NAME)
#undef SIM_SITE_NAME
		};

		plm_text_add(text, " %s, %u in 1024", sites[op->a], op->b);
		return;
	}
	if (op->gap_ns != 0)
		plm_text_add(text, " every %.1f ms", (double)op->gap_ns / (double)PLM_NS_PER_MS);
	if (op->ssrc != 0)
		plm_text_add(text, ", SSRC %08x", op->ssrc);
	plm_text_add(text, ", a %u, b %u", op->a, op->b);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Stories of RTP rooms: who comes, what they do, what goes wrong. A story adds rooms, participants
 * and operations to a plan; docs/testing.md says how to write one. */
#include <rte_common.h>

#include "plan.h"

#define MS PLM_NS_PER_MS
#define S  PLM_NS_PER_S

static uint8_t
some_role(struct sim_rng *rng)
{
	static const uint8_t roles[] = { PLM_ROLE_BOTH, PLM_ROLE_BOTH, PLM_ROLE_BOTH,
		PLM_ROLE_PUBLISH, PLM_ROLE_SUBSCRIBE };

	return SIM_PICK(rng, roles);
}

/* Reports of every kind about the others. */
static void
reports(struct sim_plan *plan, struct sim_rng *rng, const struct sim_peer *peer, uint64_t t0,
		uint64_t t1)
{
	const struct sim_room *room = &plan->rooms[peer->room];
	struct sim_op *op = sim_peer_op(plan, peer, SIM_OP_REPORT, t0, t1);

	op->a = (uint32_t)sim_below(rng, SIM_REPORT_BYE);
	op->b = room->peers[sim_below(rng, room->nb_peers)];
	op->ssrc = sim_ssrc(peer, peer->role & PLM_ROLE_PUBLISH ? 0 : 7);
	op->gap_ns = sim_range(rng, 100, 600) * MS;
}

/* Come at t0, talk and report if one may, go at t1. */
static void
take_part(struct sim_plan *plan, struct sim_rng *rng, const struct sim_peer *peer, uint64_t t0,
		uint64_t t1, unsigned int pps)
{
	sim_attend(plan, rng, peer, 0, 0, t0, t1);
	/* Some are heard before they may be, and after. */
	if (peer->role & PLM_ROLE_PUBLISH || sim_chance(rng, 100)) {
		uint64_t from = t0 + sim_below(rng, 300 * MS);

		sim_talk(plan, rng, peer, 0, 0, from, RTE_MAX(t1, from + 100 * MS), pps);
		if (sim_chance(rng, 300))
			sim_talk(plan, rng, peer, 0, 1, from, RTE_MAX(t1, from + 100 * MS),
					pps / 2 + 1);
	}
	if (sim_chance(rng, 400))
		reports(plan, rng, peer, t0 + 200 * MS, t1);
}

static void
people(struct sim_plan *plan, struct sim_rng *rng, unsigned int rooms, unsigned int most)
{
	while (rooms-- > 0) {
		struct sim_room *room = sim_room_add(plan);
		uint64_t n = sim_range(rng, 2, most);

		if (sim_chance(rng, 200))
			room->settings.rtcp = PLM_RTCP_OPAQUE;
		if (sim_chance(rng, 200))
			room->settings.dscp = 46;
		while (n-- > 0)
			sim_peer_add(plan, rng, some_role(rng));
	}
}

static void
calm(struct sim_plan *plan, struct sim_rng *rng)
{
	people(plan, rng, (unsigned int)sim_range(rng, 1, 4), 6);
	for (unsigned int i = 0; i < plan->nb_peers; i++) {
		uint64_t t0 = sim_below(rng, 200 * MS);
		uint64_t t1 = sim_range(rng, 1500, 2500) * MS;

		take_part(plan, rng, &plan->peers[i], t0, t1, (unsigned int)sim_range(rng, 10, 40));
	}
}

static void
weather(struct sim_plan *plan, struct sim_rng *rng)
{
	struct sim_wire *wire = &plan->wire;

	calm(plan, rng);
	wire->loss = (uint16_t)sim_below(rng, 200);
	wire->burst = (uint16_t)sim_below(rng, 200);
	wire->duplicate = (uint16_t)sim_below(rng, 200);
	wire->corrupt = (uint16_t)sim_below(rng, 100);
	wire->jitter_ns = sim_below(rng, 100) * MS;
	if (sim_chance(rng, 300))
		wire->mtu = 600;
	if (sim_chance(rng, 400)) {
		struct sim_op *op = sim_op_add(plan, SIM_OP_PARTITION, 700 * MS,
				sim_range(rng, 800, 1500) * MS);

		op->a = (uint32_t)sim_below(rng, plan->sizes.nb_ports);
	}
}

/* A room that no turn can serve, small queues, and a small room beside it. */
static void
crowd(struct sim_plan *plan, struct sim_rng *rng)
{
	unsigned int n = (unsigned int)sim_range(rng, 20, 90);

	plan->sizes.turn_copies = (uint32_t)sim_range(rng, 32, 128);
	plan->sizes.park_entries = (uint32_t)sim_range(rng, 1, 24);
	plan->sizes.nb_txd = (uint16_t)sim_range(rng, 8, 256);
	plan->pace.wire_fps = (uint32_t)sim_range(rng, 200, 3000);
	sim_room_add(plan);
	for (unsigned int i = 0; i < n; i++)
		sim_peer_add(plan, rng, i < 4 ? PLM_ROLE_BOTH : PLM_ROLE_SUBSCRIBE);
	sim_room_add(plan);
	for (unsigned int i = 0; i < 3; i++)
		sim_peer_add(plan, rng, PLM_ROLE_BOTH);
	for (unsigned int i = 0; i < plan->nb_peers; i++) {
		struct sim_peer *peer = &plan->peers[i];
		uint64_t t1 = sim_range(rng, 800, 1400) * MS;

		sim_attend(plan, rng, peer, 0, 0, sim_below(rng, 300 * MS), t1);
		if (peer->role & PLM_ROLE_PUBLISH) {
			struct sim_op *op = sim_talk(plan, rng, peer, 0, 0, 400 * MS, 1200 * MS,
					(unsigned int)sim_range(rng, 20, 60));

			/* In bursts, now and then. */
			if (sim_chance(rng, 512))
				op->gap_ns = 100 * PLM_NS_PER_US * sim_range(rng, 1, 20);
			op->t1 = RTE_MIN(op->t1, op->t0 + 60 * op->gap_ns);
		}
	}
	if (sim_chance(rng, 512)) {
		struct sim_op *op = sim_op_add(plan, SIM_OP_NIC, 500 * MS, 900 * MS);

		op->a = (uint32_t)sim_range(rng, 2, 20);
	}
	/* While fan-outs wait, members move and go, and others come. */
	for (unsigned int i = 4; i < n; i++) {
		struct sim_peer *peer = &plan->peers[i];
		uint64_t t = sim_range(rng, 400, 1100) * MS;
		struct sim_op *op;

		if (!sim_chance(rng, 200))
			continue;
		if (sim_chance(rng, 300)) {
			sim_peer_op(plan, peer, SIM_OP_KICK, t, 0);
			continue;
		}
		op = sim_peer_op(plan, peer, SIM_OP_CHECKS, t, t + 100 * MS);
		op->addr = (uint8_t)sim_range(rng, 1, SIM_ADDRS - 1);
		op->gap_ns = 20 * MS;
		op->a = 9000;
		op->b = SIM_CHECK_NOMINATE;
	}
}

/* Everybody comes and goes, all the time. */
static void
churn(struct sim_plan *plan, struct sim_rng *rng)
{
	plan->sizes.consent_ns = sim_range(rng, 400, 900) * MS;
	if (sim_chance(rng, 300))
		plan->sizes.max_backlog = (uint32_t)sim_range(rng, 1, 6);
	if (sim_chance(rng, 300))
		plan->sizes.max_sessions = (uint32_t)sim_range(rng, 4, 16);
	people(plan, rng, (unsigned int)sim_range(rng, 1, 3), 8);
	for (unsigned int i = 0; i < plan->nb_peers; i++) {
		struct sim_peer *peer = &plan->peers[i];
		uint64_t t = sim_below(rng, 400 * MS);

		/* A credential each, so that nobody is taken for spent. */
		for (unsigned int c = 0; c < 3; c++) {
			uint64_t stay = sim_range(rng, 60, 900) * MS;

			sim_cred_set(plan, peer, c, peer->role, 3600 + c, 0, false);
			sim_attend(plan, rng, peer, (unsigned int)sim_below(rng, 2), c, t,
					t + stay);
			if (peer->role & PLM_ROLE_PUBLISH) {
				unsigned int stream = (unsigned int)sim_below(rng, 3);

				sim_talk(plan, rng, peer, 0, stream, t, t + stay + 200 * MS,
						(unsigned int)sim_range(rng, 10, 60));
			}
			t += stay + sim_below(rng, 800 * MS);
		}
	}
}

/* Other addresses: nominated, or because the old one fell silent. */
static void
roaming(struct sim_plan *plan, struct sim_rng *rng)
{
	const bool is_long = sim_chance(rng, 200);
	const uint64_t end = (is_long ? 24 : 4) * S;

	plan->sizes.consent_ns = (is_long ? 20 : 3) * S;
	people(plan, rng, (unsigned int)sim_range(rng, 1, 2), 5);
	for (unsigned int i = 0; i < plan->nb_peers; i++) {
		struct sim_peer *peer = &plan->peers[i];
		uint64_t t = sim_below(rng, 300 * MS);
		unsigned int addr = 0;

		while (t < end) {
			uint64_t stay = sim_range(rng, is_long ? 8000 : 300,
							is_long ? 16000 : 1800) *
					MS;
			struct sim_op *op = sim_peer_op(plan, peer, SIM_OP_CHECKS, t,
					RTE_MIN(t + stay, end));

			op->addr = (uint8_t)addr;
			op->gap_ns = (is_long ? 1000 : 100) * MS;
			op->a = 1000 * (uint32_t)sim_range(rng, 1, 3);
			op->b = is_long && sim_chance(rng, 512) ? 0 : SIM_CHECK_NOMINATE;
			/* Some go on talking from where they were. */
			if (peer->role & PLM_ROLE_PUBLISH)
				sim_talk(plan, rng, peer, addr, 0, t + 100 * MS,
						t + stay + (sim_chance(rng, 300) ? 3 * S : 0),
						is_long ? 2 : 20);
			t += stay - sim_below(rng, 200 * MS);
			addr = (addr + (unsigned int)sim_range(rng, 1, 3)) % SIM_ADDRS;
		}
	}
}

/* Somebody on the path sends what he saw again, from elsewhere, to move, hold or open sessions. */
static void
replay(struct sim_plan *plan, struct sim_rng *rng)
{
	people(plan, rng, (unsigned int)sim_range(rng, 1, 2), 5);
	plan->sizes.consent_ns = 1500 * MS;
	for (unsigned int i = 0; i < plan->nb_peers; i++) {
		struct sim_peer *peer = &plan->peers[i];
		uint64_t t1 = sim_range(rng, 600, 1500) * MS;
		uint64_t t0;
		uint32_t first = plan->nb_ops;
		struct sim_op *op;

		sim_attend(plan, rng, peer, 0, 0, sim_below(rng, 100 * MS), t1);
		plan->ops[first].b = SIM_CHECK_NOMINATE;
		if (peer->role & PLM_ROLE_PUBLISH)
			sim_talk(plan, rng, peer, 0, 0, 200 * MS, t1, 20);
		t0 = sim_range(rng, 400, 1000) * MS;
		op = sim_peer_op(plan, peer, SIM_OP_REPLAY, t0, sim_range(rng, 2000, 4500) * MS);
		op->a = first;
		op->addr = (uint8_t)sim_below(rng, SIM_ADDRS);
		op->gap_ns = sim_range(rng, 50, 300) * MS;
	}
}

/* Other people's SSRCs, too many of one's own, roles that do not allow it, forged requests. */
static void
liars(struct sim_plan *plan, struct sim_rng *rng)
{
	struct sim_op *op;

	people(plan, rng, (unsigned int)sim_range(rng, 1, 3), 6);
	for (unsigned int i = 0; i < plan->nb_peers; i++) {
		struct sim_peer *peer = &plan->peers[i];
		struct sim_room *room = &plan->rooms[peer->room];

		take_part(plan, rng, peer, sim_below(rng, 200 * MS), 2 * S, 20);
		switch (sim_below(rng, 6)) {
		case 0: /* another one's stream, maybe before the other one */
			op = sim_talk(plan, rng, peer, 0, 0, sim_below(rng, 1000 * MS), 2 * S, 30);
			op->ssrc = sim_ssrc(
					&plan->peers[room->peers[sim_below(rng, room->nb_peers)]],
					0);
			break;
		case 1:
			for (unsigned int k = 0; k < 15; k++)
				sim_talk(plan, rng, peer, 0, 10 + k, 600 * MS, 1500 * MS, 8);
			for (uint32_t k = 0; k < plan->nb_ops; k++)
				plan->ops[k].contested |= plan->ops[k].peer == peer->idx;
			break;
		case 2: /* with a signature of his own, or a request that was tampered with */
			sim_cred_set(plan, peer, 1, peer->role, 3601, 0, true);
			op = sim_peer_op(plan, peer, SIM_OP_CHECKS, 100 * MS, 1500 * MS);
			op->cred = 1;
			op->addr = 1;
			op->gap_ns = 200 * MS;
			op->b = SIM_CHECK_NOMINATE;
			op = sim_peer_op(plan, peer, SIM_OP_CHECKS, 100 * MS, 1500 * MS);
			op->gap_ns = 200 * MS;
			op->addr = 2;
			op->b = SIM_PICK(rng,
					((const uint8_t[]){ SIM_CHECK_TAMPERED, SIM_CHECK_UNKNOWN,
							SIM_CHECK_CONTROLLED, SIM_CHECK_BARE }));
			break;
		case 3: /* speaks from an address that never asked */
			sim_talk(plan, rng, peer, 3, 0, 400 * MS, 1200 * MS, 20);
			break;
		default:
			break;
		}
	}
}

/* Credentials that run out before, during and right when they are used. */
static void
expiry(struct sim_plan *plan, struct sim_rng *rng)
{
	plan->sizes.consent_ns = 1200 * MS;
	people(plan, rng, (unsigned int)sim_range(rng, 1, 3), 5);
	for (unsigned int i = 0; i < plan->nb_peers; i++) {
		struct sim_peer *peer = &plan->peers[i];
		uint64_t t0 = sim_below(rng, 2500 * MS);

		sim_cred_set(plan, peer, 0, peer->role, (int64_t)sim_range(rng, 0, 4), 0, false);
		sim_cred_set(plan, peer, 1, peer->role, (int64_t)sim_range(rng, 5, 7), 0, false);
		take_part(plan, rng, peer, t0, t0 + sim_range(rng, 500, 2500) * MS, 15);
		if (sim_chance(rng, 512)) /* again, when it may have expired */
			sim_attend(plan, rng, peer, 1, 0, t0 + 3 * S, t0 + 4 * S);
		if (sim_chance(rng, 300))
			sim_attend(plan, rng, peer, 2, 1, t0 + 2 * S, t0 + 4 * S);
	}
	if (sim_chance(rng, 300))
		plan->sizes.max_session_ns = sim_range(rng, 1, 3) * S;
}

/* The same participant comes again with another credential. */
static void
replaced(struct sim_plan *plan, struct sim_rng *rng)
{
	people(plan, rng, (unsigned int)sim_range(rng, 1, 3), 5);
	for (unsigned int i = 0; i < plan->nb_peers; i++) {
		struct sim_peer *peer = &plan->peers[i];
		uint64_t t = sim_below(rng, 300 * MS);

		for (unsigned int c = 0; c < 3; c++) {
			unsigned int addr = sim_chance(rng, 300) ? 0 : c;
			uint64_t t1 = t + sim_range(rng, 300, 1500) * MS;

			sim_cred_set(plan, peer, c, peer->role, 3600 + c, 0, false);
			sim_attend(plan, rng, peer, addr, c, t, t1);
			if (peer->role & PLM_ROLE_PUBLISH)
				sim_talk(plan, rng, peer, addr, 0, t + 50 * MS, t1, 30);
			t += sim_range(rng, 100, 1200) * MS;
		}
	}
}

/* What an operator does to people in a call. */
static void
operators(struct sim_plan *plan, struct sim_rng *rng)
{
	struct sim_op *op;

	people(plan, rng, (unsigned int)sim_range(rng, 1, 3), 7);
	for (unsigned int i = 0; i < plan->nb_peers; i++) {
		struct sim_peer *peer = &plan->peers[i];
		uint64_t t0 = sim_below(rng, 1500 * MS);

		sim_cred_set(plan, peer, 0, peer->role, 3600, (uint8_t)sim_below(rng, SIM_SECRETS),
				false);
		take_part(plan, rng, peer, t0, t0 + sim_range(rng, 500, 2500) * MS, 15);
		if (sim_chance(rng, 400))
			sim_peer_op(plan, peer, SIM_OP_KICK, t0 + sim_range(rng, 100, 1500) * MS,
					0);
	}
	for (unsigned int i = 0; i < plan->nb_rooms; i++) {
		if (sim_chance(rng, 512))
			continue;
		op = sim_op_add(plan, SIM_OP_SET_MAX, sim_range(rng, 100, 1500) * MS, 0);
		op->room = (uint16_t)i;
		op->a = (uint32_t)sim_range(rng, 1, 6);
	}
	for (unsigned int i = 0; i < 3; i++) {
		op = sim_op_add(plan, SIM_OP_RELOAD, sim_range(rng, 0, 2000) * MS, 0);
		op->a = (uint32_t)sim_below(rng, SIM_SECRETS);
		op->b = (uint32_t)sim_below(rng, SIM_SECRETS);
	}
	if (sim_chance(rng, 300)) {
		uint64_t t0 = sim_range(rng, 300, 1500) * MS;

		sim_op_add(plan, SIM_OP_DRAIN, t0, t0 + sim_range(rng, 100, 800) * MS);
	}
}

/* Nobody's frames, and more questions than the slow path wants. */
static void
flood(struct sim_plan *plan, struct sim_rng *rng)
{
	struct sim_op *op;

	calm(plan, rng);
	plan->sizes.ring_size = 63;
	for (unsigned int i = 0; i < 2; i++) {
		op = sim_op_add(plan, SIM_OP_GARBAGE, 300 * MS, 900 * MS);
		op->gap_ns = sim_range(rng, 500, 3000) * PLM_NS_PER_US;
		op->a = i;
	}
	op = sim_peer_op(plan, &plan->peers[0], SIM_OP_CHECKS, 500 * MS, 700 * MS);
	op->gap_ns = 1 * MS;
	op->addr = 1;
	op = sim_peer_op(plan, &plan->peers[plan->nb_peers - 1], SIM_OP_INDICATE, 500 * MS,
			900 * MS);
	op->gap_ns = 5 * MS;
}

/* Next hops change their MAC address, fall silent, and the table of them is small. */
static void
failover(struct sim_plan *plan, struct sim_rng *rng)
{
	people(plan, rng, (unsigned int)sim_range(rng, 1, 3), 6);
	plan->sizes.consent_ns = 4 * S;
	if (sim_chance(rng, 300))
		plan->sizes.max_neighbours = (uint32_t)sim_range(rng, 1, 6);
	for (unsigned int i = 0; i < plan->nb_peers; i++) {
		struct sim_peer *peer = &plan->peers[i];
		uint64_t t0 = sim_below(rng, 500 * MS);

		take_part(plan, rng, peer, t0, t0 + sim_range(rng, 6000, 9000) * MS, 4);
		if (sim_chance(rng, 512)) {
			struct sim_op *op = sim_peer_op(plan, peer, SIM_OP_FAILOVER,
					sim_range(rng, 500, 5000) * MS, 0);

			op->a = (uint32_t)sim_below(rng, 2);
		}
	}
	plan->wire.loss = (uint16_t)sim_below(rng, 150);
}

/* Lcores stand still, or are told an old time. */
static void
stalls(struct sim_plan *plan, struct sim_rng *rng)
{
	calm(plan, rng);
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t t0 = sim_range(rng, 200, 2000) * MS;
		struct sim_op *op;

		if (sim_chance(rng, 700)) {
			op = sim_op_add(plan, SIM_OP_STALL, t0, t0 + sim_range(rng, 10, 900) * MS);
		} else {
			op = sim_op_add(plan, SIM_OP_LATE, t0, t0 + sim_range(rng, 10, 900) * MS);
			op->b = (uint32_t)(sim_range(rng, 1, 200) * MS);
		}
		op->a = sim_chance(rng, 400) ? SIM_LCORE_CTL
					     : (uint32_t)sim_below(rng, SIM_WORKERS);
	}
}

static void
some_faults(struct sim_plan *plan, struct sim_rng *rng, unsigned int n)
{
	while (n-- > 0) {
		uint64_t t0 = sim_below(rng, 1500 * MS);
		struct sim_op *op = sim_op_add(plan, SIM_OP_FAULTS, t0,
				t0 + sim_range(rng, 50, 1000) * MS);

		/* All before the one of traces, of which there are none here. */
		op->a = (uint32_t)sim_below(rng, PLM_FAULT_TRACE_FULL);
		op->b = sim_chance(rng, 200) ? 1024 : (uint32_t)sim_range(rng, 10, 600);
	}
}

/* Everything in the relay that can run out does, while people come and go. */
static void
shortage(struct sim_plan *plan, struct sim_rng *rng)
{
	if (sim_chance(rng, 512))
		churn(plan, rng);
	else
		calm(plan, rng);
	if (sim_chance(rng, 256))
		plan->sizes.hdr_mbufs = 256;
	some_faults(plan, rng, 6);
}

/* A bit of everything. */
static void
chaos(struct sim_plan *plan, struct sim_rng *rng)
{
	switch (sim_below(rng, 5)) {
	case 0:
		churn(plan, rng);
		break;
	case 1:
		replaced(plan, rng);
		break;
	case 2:
		roaming(plan, rng);
		break;
	case 3:
		crowd(plan, rng);
		break;
	default:
		operators(plan, rng);
		break;
	}
	some_faults(plan, rng, 3);
	plan->wire.loss = (uint16_t)sim_below(rng, 60);
	plan->wire.duplicate = (uint16_t)sim_below(rng, 60);
	plan->wire.jitter_ns = sim_below(rng, 30) * MS;
	if (sim_chance(rng, 512)) {
		struct sim_op *op = sim_op_add(plan, SIM_OP_STALL, 600 * MS,
				sim_range(rng, 610, 1000) * MS);

		op->a = sim_chance(rng, 512) ? SIM_LCORE_CTL : 0;
	}
}

/* Rates, and rooms where media is a sign of life. */
static void
limits(struct sim_plan *plan, struct sim_rng *rng)
{
	people(plan, rng, (unsigned int)sim_range(rng, 1, 4), 6);
	if (sim_chance(rng, 512))
		plan->sizes.admissions_per_s = (uint32_t)sim_range(rng, 2, 20);
	for (unsigned int i = 0; i < plan->nb_rooms; i++) {
		struct plm_room_settings *settings = &plan->rooms[i].settings;

		if (sim_chance(rng, 512))
			settings->packets_per_s = (uint32_t)sim_range(rng, 5, 40);
		if (sim_chance(rng, 300))
			settings->bits_per_s = sim_range(rng, 10000, 100000);
		settings->consent_alive = sim_chance(rng, 512);
		if (sim_chance(rng, 300))
			settings->max_members = (uint32_t)sim_range(rng, 1, 4);
	}
	for (unsigned int i = 0; i < plan->nb_peers; i++) {
		struct sim_peer *peer = &plan->peers[i];
		uint64_t t0 = sim_below(rng, 300 * MS);

		take_part(plan, rng, peer, t0, t0 + sim_range(rng, 1000, 2500) * MS, 40);
		if (sim_chance(rng, 300)) {
			struct sim_op *op = sim_peer_op(plan, peer, SIM_OP_INDICATE, 1 * S, 4 * S);

			op->gap_ns = 300 * MS;
		}
	}
}

/* Who owns which SSRC: new ones all the time, several owners, and rings that are full when it is to
 * be settled; publishers vanish, and the others are to be told. */
static void
claims(struct sim_plan *plan, struct sim_rng *rng)
{
	static const uint32_t sites[] = { PLM_FAULT_RING_CLAIM, PLM_FAULT_RING_REVOKE,
		PLM_FAULT_RING_BYE, PLM_FAULT_HASH_SSRC };
	struct sim_op *op;

	people(plan, rng, (unsigned int)sim_range(rng, 1, 3), 6);
	for (unsigned int i = 0; i < plan->nb_rooms; i++)
		plan->rooms[i].settings.rtcp = PLM_RTCP_CLEAR;
	for (unsigned int i = 0; i < plan->nb_peers; i++) {
		struct sim_peer *peer = &plan->peers[i];
		struct sim_room *room = &plan->rooms[peer->room];

		sim_attend(plan, rng, peer, 0, 0, sim_below(rng, 100 * MS), 2500 * MS);
		for (unsigned int k = 0; k < 5; k++) {
			uint64_t t0 = sim_range(rng, 200, 2000) * MS;

			op = sim_talk(plan, rng, peer, 0, k, t0, t0 + 300 * MS, 20);
			if (sim_chance(rng, 200)) {
				uint64_t whose = sim_below(rng, room->nb_peers);

				op->ssrc = sim_ssrc(&plan->peers[room->peers[whose]],
						(unsigned int)sim_below(rng, 5));
			}
		}
		if (sim_chance(rng, 400))
			sim_peer_op(plan, peer, SIM_OP_KICK, sim_range(rng, 600, 2300) * MS, 0);
	}
	for (unsigned int i = 0; i < RTE_DIM(sites); i++) {
		uint64_t t0 = sim_below(rng, 1000 * MS);

		if (sim_chance(rng, 256))
			continue;
		op = sim_op_add(plan, SIM_OP_FAULTS, t0, t0 + sim_range(rng, 300, 1500) * MS);
		op->a = sites[i];
		op->b = (uint32_t)sim_range(rng, 100, 1000);
	}
}

/* Few session indexes, given out again and again: participants come back within milliseconds, often
 * before a view has named them, and talk all the while. */
static void
reuse(struct sim_plan *plan, struct sim_rng *rng)
{
	const uint64_t often_ns = sim_range(rng, 1, 8) * MS;

	plan->sizes.max_sessions = (uint32_t)sim_range(rng, 2, 5);
	plan->sizes.publish_interval_ns = sim_chance(rng, 512) ? 0 : sim_range(rng, 1, 8) * MS;
	plan->sizes.consent_ns = 400 * MS;
	plan->pace.preempt = (uint16_t)sim_range(rng, 50, 400);
	plan->pace.step_ns = (uint16_t)sim_range(rng, 1000, 6000);
	plan->pace.nap = (uint16_t)sim_range(rng, 50, 5000);
	plan->pace.naps = (uint16_t)sim_range(rng, 64, 256);
	people(plan, rng, (unsigned int)sim_range(rng, 2, 3), 3);
	for (unsigned int i = 0; i < plan->nb_peers; i++) {
		struct sim_peer *peer = &plan->peers[i];
		uint64_t t = sim_below(rng, 20 * MS);

		for (unsigned int c = 0; c < SIM_CREDS; c++) {
			struct sim_op *op;

			sim_cred_set(plan, peer, c, peer->role, 3600 + c, 0, false);
			op = sim_peer_op(plan, peer, SIM_OP_CHECKS, t, t + 1 * MS);
			op->cred = (uint8_t)c;
			op->addr = (uint8_t)sim_below(rng, 2);
			op->gap_ns = 1 * MS;
			op->a = 1000;
			t += sim_chance(rng, 900) ? sim_below(rng, often_ns) : 600 * MS;
		}
		for (unsigned int a = 0; a < 2 && peer->role & PLM_ROLE_PUBLISH; a++) {
			struct sim_op *op = sim_talk(plan, rng, peer, a, a, 0, t, 200);

			op->gap_ns = sim_range(rng, 100, 600) * PLM_NS_PER_US;
			op->t1 = RTE_MIN(t + 10 * MS, op->gap_ns * 300);
		}
	}
}

/* Each of the sites fails for a while, or is spared with a chance of `spared` (see sim_chance()). */
static void
faults_of(struct sim_plan *plan, struct sim_rng *rng, const uint32_t *sites, unsigned int nb,
		unsigned int spared, unsigned int low_ms, unsigned int high_ms)
{
	for (unsigned int i = 0; i < nb; i++) {
		uint64_t t0 = sim_below(rng, 1500 * MS);
		struct sim_op *op;

		if (sim_chance(rng, spared))
			continue;
		op = sim_op_add(plan, SIM_OP_FAULTS, t0, t0 + sim_range(rng, low_ms, high_ms) * MS);
		op->a = sites[i];
		op->b = (uint32_t)sim_range(rng, 50, 700);
	}
}

/* A worker stands still, now and then. */
static void
maybe_stall(struct sim_plan *plan, struct sim_rng *rng)
{
	uint64_t t0;
	struct sim_op *op;

	if (!sim_chance(rng, 300))
		return;
	t0 = sim_range(rng, 300, 1500) * MS;
	op = sim_op_add(plan, SIM_OP_STALL, t0, t0 + sim_range(rng, 5, 300) * MS);
	op->a = (uint32_t)sim_below(rng, SIM_WORKERS);
}

/* Rooms that outgrow a worker and shrink again, while members come back with another credential and
 * workers, rings and pools between them fail. */
static void
spread(struct sim_plan *plan, struct sim_rng *rng)
{
	static const uint32_t sites[] = { PLM_FAULT_RING_SLICE, PLM_FAULT_POOL_SLICE,
		PLM_FAULT_RING_BYE, PLM_FAULT_RING_CROSS };

	plan->sizes.spread_above = (uint32_t)sim_range(rng, 1, 6);
	plan->sizes.publish_interval_ns = sim_chance(rng, 512) ? 0 : sim_range(rng, 1, 4) * MS;
	plan->sizes.consent_ns = sim_range(rng, 300, 900) * MS;
	if (sim_chance(rng, 300)) {
		plan->pace.nap = (uint16_t)sim_range(rng, 50, 5000);
		plan->pace.naps = (uint16_t)sim_range(rng, 64, 256);
	}
	people(plan, rng, (unsigned int)sim_range(rng, 1, 2), 14);
	for (unsigned int i = 0; i < plan->nb_peers; i++) {
		struct sim_peer *peer = &plan->peers[i];
		uint64_t t = sim_below(rng, 200 * MS);

		for (unsigned int c = 0; c < 4; c++) {
			const unsigned int addr = (unsigned int)sim_below(rng, 2);
			const uint64_t stay = sim_range(rng, 100, 700) * MS;

			sim_cred_set(plan, peer, c, peer->role, 3600 + c, 0, false);
			sim_attend(plan, rng, peer, addr, c, t, t + stay);
			if (peer->role & PLM_ROLE_PUBLISH) {
				unsigned int pps = (unsigned int)sim_range(rng, 20, 90);

				sim_talk(plan, rng, peer, addr, c % 2, t, t + stay, pps);
			}
			/* Back before it has left, or after the room has shrunk. */
			if (sim_chance(rng, 512))
				t += stay / 2;
			else
				t += stay + plan->sizes.consent_ns + sim_below(rng, 300 * MS);
		}
		if (sim_chance(rng, 500))
			reports(plan, rng, peer, 200 * MS, t);
	}
	faults_of(plan, rng, sites, RTE_DIM(sites), 600, 100, 800);
	maybe_stall(plan, rng);
}

/* Endpoints that a reload brings, moves to another address and takes away again, among agents; they talk
 * from everywhere all the time, and what it takes to let them in fails now and then. */
static void
gear(struct sim_plan *plan, struct sim_rng *rng)
{
	static const uint32_t sites[] = { PLM_FAULT_HASH_TUPLE, PLM_FAULT_MEMORY_MEMBER,
		PLM_FAULT_MEMORY_VIEW, PLM_FAULT_NEIGHBOURS, PLM_FAULT_RING_CROSS,
		PLM_FAULT_RING_BYE, PLM_FAULT_RING_SLICE };
	const unsigned int nb_lists = (unsigned int)sim_range(rng, 2, SIM_LISTS);
	const unsigned int nb_rooms = (unsigned int)sim_range(rng, 1, 2);
	uint64_t t = sim_below(rng, 100 * MS);

	plan->in_order = true; /* they do not fall silent */
	plan->sizes.consent_ns = sim_range(rng, 300, 900) * MS;
	for (unsigned int r = 0; r < nb_rooms; r++) {
		unsigned int nb_static;

		people(plan, rng, 1, 5);
		for (unsigned int i = 0; i < plan->rooms[r].nb_peers; i++) {
			uint64_t t0 = sim_below(rng, 300 * MS);

			take_part(plan, rng, &plan->peers[plan->rooms[r].peers[i]], t0, 2200 * MS,
					30);
		}
		nb_static = (unsigned int)sim_range(rng, 1, 5);
		for (unsigned int i = 0; i < nb_static; i++) {
			struct sim_peer *peer = sim_peer_add(plan, rng, some_role(rng));

			peer->is_static = true;
			for (unsigned int l = 0; l < nb_lists; l++) {
				peer->lists |= (uint8_t)(sim_chance(rng, 700) << l);
				peer->list_addr[l] = (uint8_t)sim_below(rng, 2);
			}
			for (unsigned int a = 0; a < 2; a++) {
				unsigned int pps = (unsigned int)sim_range(rng, 20, 60);

				sim_talk(plan, rng, peer, a, a, 0, 2200 * MS, pps);
			}
		}
	}
	for (unsigned int l = 0; l < nb_lists; l++) {
		struct sim_op *op = sim_op_add(plan, SIM_OP_STATICS, t, 0);

		op->a = l;
		/* Often before the last one was followed. */
		t += sim_chance(rng, 300) ? sim_below(rng, 100 * MS)
					  : sim_range(rng, 100, 900) * MS;
	}
	faults_of(plan, rng, sites, RTE_DIM(sites), 700, 50, 600);
	maybe_stall(plan, rng);
}

/* Rooms whose traces begin and end while media flows, over a bad network, with workers that stand still
 * and rings that are full. */
static void
traced(struct sim_plan *plan, struct sim_rng *rng)
{
	static const uint32_t sites[] = { PLM_FAULT_RING_CROSS, PLM_FAULT_RING_SLICE,
		PLM_FAULT_MEMORY_VIEW, PLM_FAULT_TX_REFUSES };
	struct sim_wire *wire = &plan->wire;

	for (unsigned int p = 0; p < SIM_PORTS; p++)
		plan->sizes.mtu[p] = 1500; /* a frame is copied whole */
	people(plan, rng, (unsigned int)sim_range(rng, 2, 4), 6);
	for (unsigned int i = 0; i < plan->nb_peers; i++) {
		uint64_t t0 = sim_below(rng, 200 * MS);
		uint64_t t1 = sim_range(rng, 1500, 2500) * MS;

		take_part(plan, rng, &plan->peers[i], t0, t1, (unsigned int)sim_range(rng, 20, 80));
	}
	/* The last one has none. */
	for (unsigned int r = 0; r + 1u < plan->nb_rooms; r++) {
		uint64_t t = sim_range(rng, 100, 600) * MS;

		for (unsigned int k = 0; k < 3; k++) {
			uint64_t t1 = t + sim_range(rng, 20, 700) * MS;
			struct sim_op *op = sim_op_add(plan, SIM_OP_TRACE, t, t1);

			op->room = (uint16_t)r;
			t = t1 + sim_range(rng, 10, 400) * MS;
		}
	}
	wire->loss = (uint16_t)sim_below(rng, 100);
	wire->duplicate = (uint16_t)sim_below(rng, 200);
	wire->corrupt = (uint16_t)sim_below(rng, 100);
	wire->jitter_ns = sim_below(rng, 50) * MS;
	for (unsigned int i = 0; i < RTE_DIM(sites); i++) {
		uint64_t t0 = sim_below(rng, 1500 * MS);
		struct sim_op *op;

		if (sim_chance(rng, 700))
			continue;
		op = sim_op_add(plan, SIM_OP_FAULTS, t0, t0 + sim_range(rng, 50, 500) * MS);
		op->a = sites[i];
		op->b = (uint32_t)sim_range(rng, 50, 500);
	}
	if (sim_chance(rng, 400)) {
		uint64_t t0 = sim_range(rng, 300, 1500) * MS;
		struct sim_op *op = sim_op_add(plan, SIM_OP_STALL, t0,
				t0 + sim_range(rng, 5, 200) * MS);

		op->a = (uint32_t)sim_below(rng, SIM_WORKERS);
	}
	if (sim_chance(rng, 500)) {
		uint64_t t0 = sim_range(rng, 100, 600) * MS;
		struct sim_op *op = sim_op_add(plan, SIM_OP_FAULTS, t0,
				t0 + sim_range(rng, 500, 2000) * MS);

		op->a = PLM_FAULT_TRACE_FULL;
		op->b = (uint32_t)sim_range(rng, 50, 900);
	}
}

#define STORY(name, help) static const struct sim_story story_##name = { #name, help, name }

STORY(calm, "some rooms, nothing goes wrong");
STORY(weather, "the network loses, delays, repeats, reorders, corrupts, and is cut off");
STORY(crowd, "a room larger than a turn, slow queues, a small room beside it");
STORY(churn, "everybody comes and goes, small tables");
STORY(roaming, "participants change their address");
STORY(replay, "captured requests are sent again, from elsewhere");
STORY(liars, "other people's SSRCs, forged and tampered requests, foreign addresses");
STORY(expiry, "credentials run out before, while and after they are used");
STORY(replaced, "participants come again with another credential");
STORY(operators, "kicks, limits, reloads, drains");
STORY(flood, "garbage and too many questions");
STORY(failover, "next hops change, fall silent, are too many");
STORY(stalls, "lcores stand still, or are told an old time");
STORY(shortage, "pools, rings and tables of the relay run out");
STORY(limits, "rates, small rooms, media as a sign of life");
STORY(claims, "SSRCs claimed, contested and revoked while rings are full");
STORY(reuse, "session indexes given out again within milliseconds");
STORY(spread, "rooms over several workers, which outgrow one and shrink again");
STORY(gear, "static endpoints that reloads add, replace and remove");
STORY(traced, "rooms whose traces begin and end");
STORY(chaos, "a bit of everything");

const struct sim_story *const sim_stories[] = { &story_calm, &story_weather, &story_crowd,
	&story_churn, &story_roaming, &story_replay, &story_liars, &story_expiry, &story_replaced,
	&story_operators, &story_flood, &story_failover, &story_stalls, &story_shortage,
	&story_limits, &story_claims, &story_reuse, &story_spread, &story_gear, &story_traced,
	&story_chaos, &sim_story_quic, &sim_story_quic_roaming, &sim_story_quic_rush,
	&sim_story_quic_shortage, &sim_story_wzp, &sim_story_wzp_doors, &sim_story_wzp_flood,
	NULL };

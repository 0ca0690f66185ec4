/* SPDX-License-Identifier: BSD-3-Clause */
/* Stories of QUIC rooms, with RTP rooms beside them. Handshakes cost more than all else, so few take part. */
#include <stdio.h>

#include <rte_common.h>

#include "plan.h"
#include "plm_quic.h"

#define MS PLM_NS_PER_MS
#define S  PLM_NS_PER_S

static void
sizes(struct sim_plan *plan, struct sim_rng *rng)
{
	struct sim_sizes *s = &plan->sizes;

	s->quic_conns = 24;
	s->quic_handshakes = 16;
	s->quic_retry_above = sim_chance(rng, 200) ? 1 : 64;
	s->quic_idle_ns = sim_range(rng, 2, 4) * S;
	s->quic_handshake_ns = 1500 * MS;
	s->max_sessions = 64;
	s->wzp_streams = 100;
	s->wzp_window = PLM_QUIC_WINDOW_MAX;
	s->wzp_join_ns = sim_range(rng, 500, 1500) * MS;
	s->wzp_auth_ns = sim_range(rng, 100, 500) * MS;
	if (sim_chance(rng, 300))
		s->quic_astray = (uint16_t)sim_range(rng, 50, 1024);
}

/* A room of RTP, which notices nothing; once in a while of the same name as the one before it. */
static void
beside(struct sim_plan *plan, struct sim_rng *rng, uint64_t t1)
{
	struct sim_room *room = sim_room_add(plan);
	const unsigned int n = (unsigned int)sim_range(rng, 2, 4);

	if (sim_chance(rng, 300))
		snprintf(room->name, sizeof(room->name), "%s", room[-1].name);
	for (unsigned int i = 0; i < n; i++) {
		struct sim_peer *peer = sim_peer_add(plan, rng, PLM_ROLE_BOTH);
		const uint64_t t0 = sim_below(rng, 200 * MS);

		sim_attend(plan, rng, peer, 0, 0, t0, t1);
		if (i < 2)
			sim_talk(plan, rng, peer, 0, 0, t0 + 100 * MS, t1,
					(unsigned int)sim_range(rng, 10, 40));
	}
}

static struct sim_op *
talks(struct sim_plan *plan, struct sim_rng *rng, const struct sim_peer *peer, uint64_t t0,
		uint64_t t1, unsigned int pps)
{
	struct sim_op *op = sim_peer_op(plan, peer, SIM_OP_DATAGRAMS, t0, t1);

	op->gap_ns = S / pps;
	op->min_len = (uint16_t)sim_range(rng, 20, 200);
	op->max_len = (uint16_t)sim_range(rng, op->min_len, sim_chance(rng, 300) ? 1100 : 400);
	return op;
}

static void
streams(struct sim_plan *plan, struct sim_rng *rng, const struct sim_peer *peer, uint64_t t0,
		uint64_t t1)
{
	struct sim_op *op = sim_peer_op(plan, peer, SIM_OP_STREAMS, t0, t1);

	op->gap_ns = sim_range(rng, 20, 200) * MS;
	op->a = (uint32_t)sim_range(rng, 4, sim_chance(rng, 256) ? 4800 : 400);
}

static struct sim_op *
connects(struct sim_plan *plan, struct sim_rng *rng, const struct sim_peer *peer, uint64_t t0,
		uint64_t t1)
{
	struct sim_op *op = sim_peer_op(plan, peer, SIM_OP_CONNECT, t0, t1);

	op->a = sim_chance(rng, 150);
	return op;
}

/* Rooms of QUIC whose members come at about the same time and stay until about t1. */
static void
rooms(struct sim_plan *plan, struct sim_rng *rng, unsigned int nb, unsigned int most, uint64_t t1)
{
	while (nb-- > 0) {
		const unsigned int n = (unsigned int)sim_range(rng, 2, most);

		sim_room_add(plan);
		for (unsigned int i = 0; i < n; i++) {
			struct sim_peer *peer = sim_quic_add(plan, rng);
			const uint64_t t0 = sim_below(rng, 300 * MS);
			const uint64_t until = t1 - sim_below(rng, 300 * MS);

			connects(plan, rng, peer, t0, sim_chance(rng, 250) ? 0 : until);
			if (i < 3)
				talks(plan, rng, peer, t0, t1,
						(unsigned int)sim_range(rng, 10, 60));
			if (sim_chance(rng, 250))
				streams(plan, rng, peer, t0 + 200 * MS, t1);
		}
	}
}

static void
weather(struct sim_plan *plan, struct sim_rng *rng)
{
	struct sim_wire *wire = &plan->wire;

	wire->loss = (uint16_t)sim_below(rng, 150);
	wire->duplicate = (uint16_t)sim_below(rng, 100);
	wire->corrupt = (uint16_t)sim_below(rng, 50);
	wire->jitter_ns = sim_below(rng, 30) * MS;
}

static void
op_kick(struct sim_plan *plan, const struct sim_peer *peer, uint64_t t)
{
	sim_peer_op(plan, peer, SIM_OP_KICK, t, 0);
}

static void
faults(struct sim_plan *plan, struct sim_rng *rng, uint32_t site, uint64_t t0, uint64_t t1)
{
	struct sim_op *op = sim_op_add(plan, SIM_OP_FAULTS, t0, t1);

	op->a = site;
	op->b = sim_chance(rng, 200) ? 1024 : (uint32_t)sim_range(rng, 50, 700);
}

static void
quic(struct sim_plan *plan, struct sim_rng *rng)
{
	sizes(plan, rng);
	rooms(plan, rng, (unsigned int)sim_range(rng, 1, 2), 5, 1800 * MS);
	for (unsigned int i = 0; i < plan->nb_peers; i++)
		if (sim_chance(rng, 200))
			op_kick(plan, &plan->peers[i], sim_range(rng, 500, 1500) * MS);
	if (sim_chance(rng, 500))
		weather(plan, rng);
	if (sim_chance(rng, 700))
		beside(plan, rng, 1800 * MS);
	/* A worker that is told late whom to close, while there is no memory for another view. */
	if (sim_chance(rng, 400)) {
		static const uint32_t sites[] = { PLM_FAULT_RING_CLOSE, PLM_FAULT_MEMORY_VIEW };
		const uint64_t t = sim_range(rng, 500, 1400) * MS;

		for (unsigned int i = 0; i < RTE_DIM(sites); i++) {
			struct sim_op *op =
					sim_op_add(plan, SIM_OP_FAULTS, t - 5 * MS, t + 300 * MS);

			op->a = sites[i];
			op->b = 1024;
		}
		op_kick(plan, &plan->peers[0], t);
	}
}

/* What may become of a client's path, one thing after the other, while a room goes on. */
static void
trouble(struct sim_plan *plan, struct sim_rng *rng, const struct sim_peer *peer, uint64_t t1)
{
	uint64_t t = sim_range(rng, 400, 700) * MS;

	while (t < t1 - 1000 * MS) {
		const uint64_t end = t + sim_range(rng, 100, 900) * MS;
		struct sim_op *op;

		switch (sim_below(rng, 6)) {
		case 0:
			sim_peer_op(plan, peer, SIM_OP_OUTAGE, t, end);
			break;
		case 1:
			sim_peer_op(plan, peer, SIM_OP_REBIND, t, 0);
			break;
		case 2:
			op = sim_peer_op(plan, peer, SIM_OP_MIGRATE, t, 0);
			op->a = (uint32_t)sim_below(rng, SIM_ADDRS);
			break;
		case 3:
			op = sim_peer_op(plan, peer, SIM_OP_DEAF, t, end);
			op->a = sim_chance(rng, 512);
			break;
		default:
			sim_peer_op(plan, peer, SIM_OP_UPDATE, t, 0);
			break;
		}
		t = end + sim_range(rng, 100, 800) * MS;
	}
}

static void
quic_roaming(struct sim_plan *plan, struct sim_rng *rng)
{
	const uint64_t t1 = 3500 * MS;

	sizes(plan, rng);
	rooms(plan, rng, 1, 4, t1);
	for (unsigned int i = 0; i < plan->nb_peers; i++)
		if (sim_chance(rng, 600))
			trouble(plan, rng, &plan->peers[i], t1);
	if (sim_chance(rng, 300)) {
		weather(plan, rng);
	} else if (sim_chance(rng, 400)) {
		/* So much that an outage fills the window, and time enough for it to open. */
		const struct sim_peer *peer = &plan->peers[plan->nb_peers - 1];
		struct sim_op *op = sim_peer_op(plan, &plan->peers[0], SIM_OP_DATAGRAMS, 400 * MS,
				7000 * MS);

		op->gap_ns = S / sim_range(rng, 150, 250);
		op->min_len = op->max_len = 1100;
		connects(plan, rng, peer, 300 * MS, 7000 * MS)->a = 0;
		connects(plan, rng, &plan->peers[0], 300 * MS, 7000 * MS)->a = 0;
		sim_peer_op(plan, peer, SIM_OP_OUTAGE, 700 * MS, sim_range(rng, 1400, 1900) * MS);
	}
	if (sim_chance(rng, 400))
		beside(plan, rng, t1);
}

/* Many come and go while others talk, over workers that stand still and packets that come to the wrong
 * ones; slots are few and given out again at once. */
static void
quic_rush(struct sim_plan *plan, struct sim_rng *rng)
{
	const uint64_t t1 = 1600 * MS;
	unsigned int n;

	sizes(plan, rng);
	plan->sizes.quic_astray = sim_chance(rng, 512) ? 0 : (uint16_t)sim_range(rng, 100, 1024);
	plan->sizes.spread_above = (uint32_t)sim_range(rng, 1, 6);
	plan->wire.delay_ns = sim_below(rng, 5) * MS;
	rooms(plan, rng, 1, 4, t1);
	n = (unsigned int)sim_range(rng, 3, 8);
	plan->sizes.quic_conns = plan->nb_peers + (uint32_t)sim_range(rng, 1, n);
	for (unsigned int i = 0; i < n; i++) {
		struct sim_peer *peer = sim_quic_add(plan, rng);
		uint64_t t = sim_below(rng, 500 * MS);

		while (t < t1 - 200 * MS) {
			const uint64_t end = t + sim_range(rng, 50, 500) * MS;
			const bool vanishes = sim_chance(rng, 300);

			connects(plan, rng, peer, t, end)->a = vanishes;
			talks(plan, rng, peer, t, end, 50);
			t = end + sim_below(rng, 300 * MS);
		}
		if (sim_chance(rng, 300)) {
			/* And does not hear it. */
			t = sim_range(rng, 300, 1300) * MS;
			sim_peer_op(plan, peer, SIM_OP_DEAF, t - 20 * MS, t + 600 * MS);
			op_kick(plan, peer, t);
		}
	}
	if (sim_chance(rng, 300))
		weather(plan, rng);
	if (sim_chance(rng, 300)) {
		const uint64_t t0 = sim_range(rng, 300, 1000) * MS;
		struct sim_op *op = sim_op_add(plan, SIM_OP_STALL, t0,
				t0 + sim_range(rng, 5, 300) * MS);

		op->a = sim_chance(rng, 300) ? SIM_LCORE_CTL
					     : (uint32_t)sim_below(rng, SIM_WORKERS);
	}
	beside(plan, rng, t1);
}

/* --- WZP ------------------------------------------------------------------------------------ */

/* Somebody of the last room, who stays until about t1. */
static struct sim_peer *
member(struct sim_plan *plan, struct sim_rng *rng, uint64_t t1)
{
	struct sim_peer *peer = sim_quic_add(plan, rng);
	const uint64_t t0 = sim_below(rng, 300 * MS);
	struct sim_op *op;

	/* Some are still there when all the others have gone. */
	connects(plan, rng, peer, t0, sim_chance(rng, 500) ? 0 : t1 - sim_below(rng, 300 * MS));
	if (sim_chance(rng, 700)) {
		op = talks(plan, rng, peer, t0, t1, (unsigned int)sim_range(rng, 10, 40));
		op->a = sim_chance(rng, 300);
	}
	return peer;
}

/* Signals of one kind, `n` of them. */
static void
says(struct sim_plan *plan, const struct sim_peer *peer, uint32_t kind, uint64_t t0, uint32_t n,
		uint64_t gap_ns)
{
	struct sim_op *op = sim_peer_op(plan, peer, SIM_OP_SAY, t0, t0 + (n + 1) * gap_ns);

	op->a = kind;
	op->b = n;
	op->gap_ns = gap_ns;
}

static void
chatter(struct sim_plan *plan, struct sim_rng *rng, const struct sim_peer *peer)
{
	uint32_t n;
	uint64_t t;

	if (sim_chance(rng, 500)) {
		n = (uint32_t)sim_range(rng, 2, 20);
		t = sim_range(rng, 200, 800) * MS;
		says(plan, peer, SIM_SIGNAL_PING, t, n, sim_range(rng, 20, 120) * MS);
	}
	if (sim_chance(rng, 300)) {
		const uint32_t kind = (uint32_t)sim_below(rng, SIM_SIGNAL_MAX);

		n = (uint32_t)sim_range(rng, 1, 8);
		t = sim_range(rng, 200, 1200) * MS;
		says(plan, peer, kind, t, n, sim_range(rng, 5, 100) * MS);
	}
}

static void
hangs_up(struct sim_plan *plan, struct sim_rng *rng, const struct sim_peer *peer)
{
	const uint64_t t = sim_range(rng, 500, 1500) * MS;
	const uint64_t end = t + sim_range(rng, 1, 2500) * MS;
	struct sim_op *op = sim_peer_op(plan, peer, SIM_OP_HANGUP, t, end);

	op->a = sim_chance(rng, 600);
	if (op->a && plan->end_ns < t + 3800 * MS)
		plan->end_ns = t + 3800 * MS;
}

/* Who comes and goes, often. */
static void
visitor(struct sim_plan *plan, struct sim_rng *rng, unsigned int visits, uint64_t t1)
{
	struct sim_peer *peer = sim_quic_add(plan, rng);
	uint64_t t = sim_range(rng, 200, 500) * MS;

	for (unsigned int i = 0; i < visits && t < t1; i++) {
		const uint64_t end = t + sim_range(rng, 60, 200) * MS;
		const bool vanishes = sim_chance(rng, 40);

		connects(plan, rng, peer, t, end)->a = vanishes;
		t = end + sim_range(rng, 40, 150) * MS;
	}
}

/* Somebody who reads the answer and nothing else, in a room where others come and go. */
static void
reader_of_one(struct sim_plan *plan, struct sim_rng *rng, uint64_t t1)
{
	const bool all = sim_chance(rng, 150);
	const unsigned int n = all ? 8 : (unsigned int)sim_range(rng, 1, 3);

	plan->sizes.wzp_streams = 100;
	if (!all && sim_chance(rng, 512))
		plan->sizes.wzp_streams = (uint32_t)sim_range(rng, 2, 8);
	else if (!all)
		plan->sizes.wzp_window = (uint32_t)sim_range(rng, 1500, 3000);
	plan->peers[plan->nb_peers - 1].reads_answer_only = true;
	for (unsigned int i = 0; i < n; i++)
		visitor(plan, rng, all ? 13 : 6, t1);
}

/* Somebody of the last room who does not introduce himself as is due, the first time. */
static void
stranger(struct sim_plan *plan, struct sim_rng *rng)
{
	const struct sim_peer *peer = sim_quic_add(plan, rng);
	const uint32_t intro = (uint32_t)sim_range(rng, SIM_INTRO_GOOD + 1, SIM_INTRO_MAX - 1);
	const uint64_t t = sim_range(rng, 100, 900) * MS;
	const uint64_t end = t + sim_range(rng, 800, 2000) * MS;

	connects(plan, rng, peer, t, end)->b = intro;
	talks(plan, rng, peer, t, end, 30)->a = 1;
}

static void
wzp(struct sim_plan *plan, struct sim_rng *rng)
{
	static const uint32_t sites[] = { PLM_FAULT_MEMORY_UPDATE, PLM_FAULT_RING_STREAM,
		PLM_FAULT_POOL_FRAME, PLM_FAULT_RING_ADOPT, PLM_FAULT_RING_CLOSE,
		PLM_FAULT_MEMORY_VIEW };
	const bool is_read = !sim_chance(rng, 250);
	const uint64_t t1 = (is_read ? 2000 : 3500) * MS;
	const unsigned int nb_rooms = (unsigned int)sim_range(rng, 1, 2);

	sizes(plan, rng);
	for (unsigned int r = 0; r < nb_rooms; r++) {
		const unsigned int n = (unsigned int)sim_range(rng, 2, 4);

		sim_room_add(plan);
		for (unsigned int i = 0; i < n; i++) {
			struct sim_peer *peer = member(plan, rng, t1);

			if (i > 0 && sim_chance(rng, 200)) /* the same one, once more */
				peer->identity = (uint16_t)(peer->idx - 1);
			chatter(plan, rng, peer);
			if (sim_chance(rng, 250))
				hangs_up(plan, rng, peer);
			if (sim_chance(rng, 100)) {
				const uint64_t t = sim_range(rng, 300, 1000) * MS;

				sim_peer_op(plan, peer, SIM_OP_DEAF, t, t + 500 * MS)->a = 1;
			}
		}
		if (r == 0 && !is_read)
			reader_of_one(plan, rng, t1);
		else if (sim_chance(rng, 400))
			visitor(plan, rng, 4, t1);
	}
	if (sim_chance(rng, 500))
		stranger(plan, rng);
	if (sim_chance(rng, 300))
		weather(plan, rng);
	if (sim_chance(rng, 300))
		beside(plan, rng, t1);
	if (sim_chance(rng, 400)) {
		const uint64_t t = sim_range(rng, 100, 1200) * MS;
		const uint64_t end = t + sim_range(rng, 50, 500) * MS;
		const uint32_t site = SIM_PICK(rng, sites);

		faults(plan, rng, site, t, end);
	}
}

/* Tokens and lists: who may come in does, and nobody else. */
static void
wzp_doors(struct sim_plan *plan, struct sim_rng *rng)
{
	const uint64_t t1 = 2800 * MS;
	const unsigned int nb_rooms = (unsigned int)sim_range(rng, 1, 2);
	struct sim_sizes *s = &plan->sizes;

	sizes(plan, rng);
	s->wzp_auth = sim_chance(rng, 750);
	s->wzp_match = sim_chance(rng, 512);
	s->wzp_cache_ns = sim_chance(rng, 200) ? 0 : sim_range(rng, 100, 900) * MS;
	s->wzp_asks = (uint32_t)(sim_chance(rng, 300) ? 1 : 16);
	for (unsigned int r = 0; r < nb_rooms; r++) {
		const unsigned int n = (unsigned int)sim_range(rng, 2, 3);
		struct sim_room *room = sim_room_add(plan);

		room->has_list = sim_chance(rng, s->wzp_auth ? 350 : 1024);
		for (unsigned int i = 0; i < n; i++) {
			struct sim_peer *peer = sim_quic_add(plan, rng);
			uint64_t t = sim_below(rng, 100 * MS);
			bool is_slow;

			peer->is_allowed = i == 0 || sim_chance(rng, 500);
			if (sim_chance(rng, 400))
				peer->token = (uint8_t)sim_below(rng, SIM_TOKEN_MAX);
			if (i > 0 && sim_chance(rng, 150))
				peer->identity = (uint16_t)(peer->idx - 1);
			is_slow = peer->token >= SIM_TOKEN_SILENT;
			talks(plan, rng, peer, t, t1, (unsigned int)sim_range(rng, 10, 30));
			/* Again and again, while the cache forgets. */
			while (t < t1 - 300 * MS) {
				const uint64_t end =
						t + sim_range(rng, 200, is_slow ? 2500 : 900) * MS;
				const bool vanishes = sim_chance(rng, 60);

				connects(plan, rng, peer, t, end)->a = vanishes;
				t = end + sim_range(rng, 20, 500) * MS;
			}
			if (sim_chance(rng, 500))
				connects(plan, rng, peer, t, 0);
			if (sim_chance(rng, 400))
				sim_peer_op(plan, peer, SIM_OP_REVOKE,
						sim_range(rng, 300, 1500) * MS, 0);
		}
	}
	if (sim_chance(rng, 250)) {
		const uint64_t t = sim_range(rng, 0, 1500) * MS;
		const uint64_t end = t + sim_range(rng, 100, 900) * MS;
		struct sim_op *op = sim_op_add(plan, SIM_OP_SERVER, t, end);

		op->a = sim_chance(rng, 512);
	}
	if (sim_chance(rng, 200))
		stranger(plan, rng);
	if (sim_chance(rng, 200))
		weather(plan, rng);
	if (sim_chance(rng, 200))
		beside(plan, rng, t1);
}

/* More than may be, of everything that a client can send. */
static void
wzp_flood(struct sim_plan *plan, struct sim_rng *rng)
{
	const uint64_t t1 = 1800 * MS;
	const unsigned int nb_rooms = (unsigned int)sim_range(rng, 2, 3);

	sizes(plan, rng);
	for (unsigned int r = 0; r < nb_rooms; r++) {
		const unsigned int n = (unsigned int)sim_range(rng, 2, 3);
		struct sim_room *room = sim_room_add(plan);

		if (r == 0)
			room->settings.packets_per_s = (uint32_t)sim_range(rng, 40, 120);
		for (unsigned int i = 0; i < n; i++) {
			struct sim_peer *peer = member(plan, rng, t1);

			if (r == 0 && i == 0)
				talks(plan, rng, peer, 300 * MS, t1,
						2 * room->settings.packets_per_s);
			if (i == 1)
				chatter(plan, rng, peer);
		}
	}
	for (unsigned int i = 0; i < 2; i++) {
		const struct sim_peer *peer = &plan->peers[plan->rooms[0].peers[i]];
		const uint32_t kind = (uint32_t)sim_below(rng, SIM_SIGNAL_MAX);
		const uint32_t n = (uint32_t)sim_range(rng, 60, 300);
		const uint64_t t = sim_range(rng, 300, 600) * MS;

		if (sim_chance(rng, 700))
			says(plan, peer, kind, t, n, sim_range(rng, 1, 8) * MS);
	}
	if (sim_chance(rng, 300))
		stranger(plan, rng);
	if (sim_chance(rng, 200))
		weather(plan, rng);
	if (sim_chance(rng, 300))
		beside(plan, rng, t1);
}

/* What a connection needs runs out. */
static void
quic_shortage(struct sim_plan *plan, struct sim_rng *rng)
{
	static const uint32_t sites[] = { PLM_FAULT_POOL_QUIC, PLM_FAULT_QUIC_EXTENT,
		PLM_FAULT_QUIC_SLOT, PLM_FAULT_QUIC_TLS, PLM_FAULT_RING_ADOPT, PLM_FAULT_RING_CLOSE,
		PLM_FAULT_RING_GONE, PLM_FAULT_RING_BACK, PLM_FAULT_RING_STREAM,
		PLM_FAULT_RING_CROSS, PLM_FAULT_RING_SLICE, PLM_FAULT_RING_CTL, PLM_FAULT_RING_DOWN,
		PLM_FAULT_POOL_FRAME, PLM_FAULT_POOL_SLICE, PLM_FAULT_TX_REFUSES,
		PLM_FAULT_RING_CARRY, PLM_FAULT_HASH_ROOM, PLM_FAULT_MEMORY_VIEW,
		PLM_FAULT_MEMORY_MEMBER, PLM_FAULT_MEMORY_UPDATE };

	static void (*const stories[])(struct sim_plan * plan, struct sim_rng * rng) = { quic_rush,
		quic_rush, quic_roaming, quic_roaming, wzp, wzp_doors };

	SIM_PICK(rng, stories)(plan, rng);
	for (unsigned int i = 0; i < 8; i++) {
		const uint64_t t0 = sim_below(rng, 1200 * MS);
		const uint64_t end = t0 + sim_range(rng, 50, 600) * MS;
		const uint32_t site = SIM_PICK(rng, sites);

		faults(plan, rng, site, t0, end);
	}
}

#define STORY(name, help) const struct sim_story sim_story_##name = { #name, help, name }

STORY(quic, "rooms of QUIC beside one of RTP; some are kicked, some vanish");
STORY(quic_roaming, "QUIC clients migrate, change keys, are cut off, or read nothing");
STORY(quic_rush, "QUIC clients come and go while others talk, over the wrong workers");
STORY(quic_shortage, "what QUIC connections need runs out");
STORY(wzp, "WZP clients talk of themselves, hang up, come again, or read nothing");
STORY(wzp_doors, "tokens that are good, late, bad or revoked, and lists of who may join");
STORY(wzp_flood, "WZP clients send and say more than they may");

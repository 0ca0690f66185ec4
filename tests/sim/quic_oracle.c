/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whom a client's datagrams are due to, and what of the relay's connections must hold.
 *
 * A datagram that came in is due to who is in a view, in its home's hands and undisturbed from before it
 * came until it is judged: when the relay was at rest and all that it had sent by then has been read. What the
 * network lost on the way to a client may have held anything that was under way, so that it excuses all of it; so
 * does what the relay counted of packets as a whole. Everything else is exact: no datagram comes twice, to
 * its sender, to another room, changed, or to whom has left.
 */
#include <inttypes.h>
#include <stdio.h>

#include "ctl_priv.h"
#include "oracle_priv.h"
#include "packet.h"
#include "quic.h"
#include "relay_priv.h"

#define NONE SIM_QUIC_NONE
/* ngtcp2 1.11 counts ids that are being given up, and ends a connection that moves twice in a row (RFC 9000
 * §20.1). */
#define CONNECTION_ID_LIMIT 9
#define INTERNAL_ERROR      1
/* What a window that was full may take to open when its path is good again, beside the time that it was not
 * (docs/quic.md: a tenth of it), and the tenths of it. */
#define WINDOW_NS (3 * PLM_NS_PER_S)
/* What is sent where a client is no longer, until both have seen it elsewhere. */
#define MOVE_NS PLM_NS_PER_S
/* An lcore may be told an old time, and a deadline is found late. */
#define SLACK_NS (500 * PLM_NS_PER_MS)

static uint64_t
worker_count(const struct sim_run *run, enum plm_counter id)
{
	uint64_t n = 0;

	for (unsigned int w = 0; w < run->nb_workers; w++)
		n += plm_counter_get(plm_relay_counters(plm_ctl_relay(run->ctl), w), id);
	return n;
}

/* What was given up that cannot be told from its counter whose it was. */
static uint64_t
misses(const struct sim_run *run)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < PLM_CNT_MAX; i++)
		if (i != PLM_CNT_DGRAM_RATE_PACKETS && i != PLM_CNT_DGRAM_RATE_BITS &&
				(plm_counter_defs[i].class == PLM_CLASS_DGRAM_DROP ||
						plm_counter_defs[i].class == PLM_CLASS_QUIC_DROP ||
						plm_counter_defs[i].class == PLM_CLASS_CARRY_DROP))
			n += worker_count(run, (enum plm_counter)i);
	return n;
}

static struct sim_quic_pair *
pair_of(const struct sim_quic *q, const struct sim_quic_dgram *d, const struct sim_peer *to)
{
	return &q->pairs[d->pairs + to->seat];
}

/* The session of a connection, while it is open. */
static const struct sim_quic_session *
session_of(const struct sim_quic *q, uint32_t slot, uint32_t gen)
{
	const struct sim_quic_session *s = slot < q->nb_slots ? &q->sessions[slot] : NULL;

	return s != NULL && s->gen == gen && s->is_open ? s : NULL;
}

/* What a sender lost to its own rates, and for other reasons of its own. */
static uint64_t
limited(const struct sim_run *run, uint32_t slot, uint32_t gen)
{
	const struct sim_quic_session *s = session_of(run->quic, slot, gen);

	return s == NULL ? 0
			 : atomic_load_explicit(&plm_ctl_sessions(run->ctl)
								 ->hot[s->session.idx]
								 .rx_dropped,
					   memory_order_relaxed);
}

/* --- datagrams ------------------------------------------------------------------------------ */

static void
dgram_fill(uint8_t *bytes, const struct sim_run *run, uint32_t i, uint16_t len)
{
	struct sim_rng rng = sim_rng_keyed(run->plan->seed + 12, i, len);

	sim_fill(&rng, bytes, len);
	/* A media header: any codec that there is, with and without a quality report. */
	bytes[0] = (uint8_t)((bytes[0] & 0xc3) |
			(bytes[0] >> 2 & 0x0f) % (PLM_WZP_CODEC_AUDIO_MAX + 1) << 2);
	memcpy(bytes + PLM_WZP_HDR, &i, sizeof(i));
}

uint32_t
sim_quic_dgram_make(struct sim_run *run, uint32_t op_idx, uint32_t nth, uint8_t *bytes,
		uint16_t *len)
{
	struct sim_quic *q = run->quic;
	const struct sim_op *op = &run->plan->ops[op_idx];
	const struct sim_quic_client *c = sim_quic_client(run, op->peer);
	const struct sim_room *room = &run->plan->rooms[c->peer->room];
	struct sim_rng rng = sim_rng_keyed(run->plan->seed, op_idx, nth);
	struct sim_quic_dgram *d;

	*len = (uint16_t)sim_range(&rng, op->min_len, op->max_len);
	q->dgrams = sim_grow(q->dgrams, &q->size_dgrams, q->nb_dgrams + 1, sizeof(*q->dgrams));
	q->pairs = sim_grow(q->pairs, &q->size_pairs, q->nb_pairs + room->nb_peers,
			sizeof(*q->pairs));
	d = &q->dgrams[q->nb_dgrams];
	*d = (struct sim_quic_dgram){ .op = op_idx,
		.slot = c->slot,
		.gen = c->slot_gen,
		.pairs = q->nb_pairs,
		.peer = c->peer->idx,
		.len = *len };
	memset(&q->pairs[q->nb_pairs], 0, room->nb_peers * sizeof(*q->pairs));
	q->nb_pairs += room->nb_peers;
	dgram_fill(bytes, run, q->nb_dgrams, *len);
	return q->nb_dgrams++;
}

static void
note_heard(struct sim_run *run, const struct sim_quic_packet *packet, unsigned int worker)
{
	struct sim_quic *q = run->quic;
	const struct plm_quic_slot *slot;
	struct sim_quic_home *home;

	if (packet->slot >= q->nb_slots)
		return;
	slot = &ctl_quic_table(run->ctl)->slots[packet->slot];
	home = &q->homes[packet->slot];
	if (slot->gen != packet->gen)
		return;
	home->heard_ns = run->now_ns;
	if (home->detours_gen != slot->gen)
		home->nb_detours = 0;
	home->detours_gen = slot->gen;
	home->nb_detours += plm_quic_slot_state(slot) == PLM_QUIC_SLOT_HANDSHAKE ||
			slot->home != worker;
}

void
sim_quic_arrived(struct sim_run *run, uint32_t i, unsigned int port, unsigned int queue)
{
	struct sim_quic *q = run->quic;
	const struct sim_quic_packet *packet = sim_quic_given(run, i);
	const unsigned int worker = run->conf.queue_owner[port][queue];
	struct sim_quic_dgram *d;

	sim_trace_word(&run->trace, sim_hash(packet->bytes, packet->len));
	run->tick++;
	run->oracle->nb_in++;
	if (packet->is_corrupt)
		return;
	note_heard(run, packet, worker);
	if (packet->slot < q->nb_slots && q->sessions[packet->slot].gen == packet->gen) {
		q->sessions[packet->slot].heard_ns = run->now_ns;
		run->fired.world[SIM_WORLD_QUIC_ASTRAY] += packet->bytes[1] != worker;
	}
	if (packet->dgram == NONE)
		return;
	d = &q->dgrams[packet->dgram];
	if (d->in_tick != 0)
		return;
	d->slot = packet->slot;
	d->gen = packet->gen;
	d->in_tick = run->tick;
	d->in_lane = 1 + port * SIM_WORKERS + queue;
	d->misses = misses(run);
	d->limited = limited(run, d->slot, d->gen);
}

/* A datagram that came, or could have, by a session that must be heard. */
static bool
sender_certain(const struct sim_quic *q, uint32_t slot, uint32_t gen, uint64_t in_tick)
{
	const struct sim_quic_session *s = session_of(q, slot, gen);

	return s != NULL && s->home_tick != 0 && s->home_tick < in_tick;
}

/* Nobody else has had the slot since, and it was never admitted. */
static bool
was_in_room(const struct sim_run *run, const struct sim_quic_dgram *d)
{
	const struct sim_quic *q = run->quic;

	return d->slot >= q->nb_slots || q->sessions[d->slot].gen == d->gen ||
			ctl_quic_table(run->ctl)->slots[d->slot].gen != d->gen;
}

void
sim_quic_delivered(struct sim_run *run, const struct sim_quic_client *c,
		const struct sim_quic_packet *packet, const uint8_t *bytes, size_t len)
{
	struct sim_quic *q = run->quic;
	const struct sim_peer *to = c->peer;
	uint8_t want[PLM_QUIC_PACKET_MAX];
	struct sim_quic_lane *lane;
	struct sim_quic_dgram *d;
	struct sim_quic_pair *pair;
	uint32_t i = NONE;

	if (len >= SIM_QUIC_DGRAM_MIN)
		memcpy(&i, bytes + 12, sizeof(i));
	if (i >= q->nb_dgrams || q->dgrams[i].len != len) {
		sim_fail(SIM_INV_CONTENT, "%s gets a datagram of %zu bytes that nobody sent",
				to->name, len);
		return;
	}
	d = &q->dgrams[i];
	dgram_fill(want, run, i, d->len);
	SIM_EXPECT(memcmp(want, bytes, len) == 0, CONTENT, "%s gets datagram %u changed", to->name,
			i);
	SIM_EXPECT(d->peer != to->idx || d->slot != c->slot || d->gen != c->slot_gen, SENDER,
			"%s gets its own datagram %u", to->name, i);
	if (d->peer == to->idx)
		return; /* of a connection that vanished, and that is another participant's until it has timed out */
	SIM_EXPECT(run->plan->peers[d->peer].room == to->room, STRANGER,
			"%s of room %u gets datagram %u of %s", to->name, to->room, i,
			run->plan->peers[d->peer].name);
	SIM_EXPECT(was_in_room(run, d), STRANGER, "%s gets datagram %u of %s, who is in no room",
			to->name, i, run->plan->peers[d->peer].name);
	SIM_EXPECT(packet->is_reachable, AFTER_LEAVE, "%s gets datagram %u, sent after it had left",
			to->name, i);
	if (run->failed)
		return;
	pair = pair_of(q, d, to);
	pair->delivered++;
	run->quic->clients[c - q->clients].passed_ns = run->now_ns;
	run->oracle->nb_copies++;
	SIM_EXPECT(pair->delivered == 1, TWICE, "%s gets datagram %u %u times", to->name, i,
			pair->delivered);
	/* What came through one queue for a connection that was at home leaves in that order; before, it may
	 * have gone by the slow path, and on the way it may overtake. */
	lane = &q->lanes[c - q->clients][sim_quic_client(run, d->peer) - q->clients];
	SIM_EXPECT(run->plan->wire.jitter_ns > 0 || lane->in_lane != d->in_lane ||
					d->in_tick > lane->in_tick ||
					!sender_certain(q, d->slot, d->gen, lane->in_tick) ||
					!sender_certain(q, d->slot, d->gen, d->in_tick),
			ORDER, "%s gets datagram %u after a later one", to->name, i);
	*lane = (struct sim_quic_lane){ d->in_tick, d->in_lane };
}

static bool
fired(const struct sim_run *run, enum plm_fault_site site)
{
	return run->fired.site[site] > 0;
}

void
sim_quic_rx_dropped(struct sim_run *run, uint32_t i, enum plm_counter why)
{
	struct sim_quic *q = run->quic;
	const struct sim_quic_packet *packet = sim_quic_given(run, i);
	const struct sim_quic_client *c = sim_quic_client(run, packet->peer);
	/* Its worker may be done with it before the slow path is told so. */
	const bool certain = sender_certain(q, packet->slot, packet->gen, run->tick) &&
			plm_quic_slot_state(&ctl_quic_table(run->ctl)->slots[packet->slot]) ==
					PLM_QUIC_SLOT_HOME;
	bool ok;

	if (packet->is_corrupt)
		return;
	switch (why) {
	case PLM_CNT_RX_QUIC_RATE:
	case PLM_CNT_RX_QUIC_CLOSED:
	case PLM_CNT_RX_QUIC_UNKNOWN:
		ok = !certain;
		break;
	case PLM_CNT_RX_CROSS_RING:
	case PLM_CNT_RX_CTL_RING_KNOWN:
	case PLM_CNT_RX_CTL_RING_UNKNOWN:
		ok = fired(run, PLM_FAULT_RING_CROSS) || fired(run, PLM_FAULT_RING_CTL) ||
				run->plan->sizes.ring_size < 1000 ||
				run->fired.world[SIM_WORLD_WORKER_STALL] > 0 ||
				run->fired.world[SIM_WORLD_CTL_STALL] > 0;
		break;
	case PLM_CNT_RX_STOPPED:
		ok = run->oracle->ended;
		break;
	default:
		ok = false;
		break;
	}
	SIM_EXPECT(ok, EXPLAINED, "a packet of %s is dropped as %s without a cause", c->peer->name,
			plm_counter_defs[why].name);
	if (packet->slot < q->nb_slots && q->sessions[packet->slot].gen == packet->gen)
		q->sessions[packet->slot].was_dropped = true;
	if (packet->dgram != NONE)
		q->dgrams[packet->dgram].rx_dropped++;
}

/* A worker that had no place for what came on a stream closed the connection. */
static bool
was_flooded(const struct sim_run *run)
{
	return worker_count(run, PLM_CNT_QUIC_STREAM_FLOOD) +
			worker_count(run, PLM_CNT_QUIC_STREAM_MBUF) >
			0;
}

/* Its path was bad so lately that its window may still be full. */
bool
sim_quic_is_recovering(const struct sim_run *run, const struct sim_quic_client *c)
{
	return c->disturbed_ns != 0 &&
			run->now_ns <
			c->disturbed_ns + WINDOW_NS + (c->disturbed_ns - c->trouble_ns) / 4;
}

/* Something passed in the last two seconds; turns of the lcores may be one apart. */
static bool
is_flowing(const struct sim_run *run, const struct sim_peer *to)
{
	return run->now_ns < sim_quic_client(run, to->idx)->passed_ns + 2 * PLM_NS_PER_S;
}

/* Is it the session of the connection that its client has open? */
static bool
is_of(const struct sim_run *run, const struct sim_quic_session *s, const struct sim_quic_client *c)
{
	return c->phase == SIM_QUIC_OPEN && c->slot < run->quic->nb_slots &&
			&run->quic->sessions[c->slot] == s && c->slot_gen == s->gen;
}

static bool
copy_drop_explained(struct sim_run *run, const struct sim_quic_dgram *d, const struct sim_peer *to,
		uint32_t session_idx, enum plm_counter why)
{
	struct sim_quic *q = run->quic;
	const struct sim_quic_client *c = sim_quic_client(run, to->idx);
	const struct sim_quic_session *s = NULL;

	for (uint32_t i = 0; i < q->nb_slots; i++)
		if (q->sessions[i].is_open && q->sessions[i].session.idx == session_idx)
			s = &q->sessions[i];
	switch (why) {
	case PLM_CNT_COPY_LEFT:
		return s == NULL || s->peer != to->idx || s->named_tick == 0;
	case PLM_CNT_COPY_QUIC_CLOSED:
		/* It ends, or its worker has it not yet. */
		return s == NULL || s->home_tick == 0 || !is_of(run, s, c) ||
				sim_quic_is_recovering(run, c) || was_flooded(run);
	case PLM_CNT_COPY_QUIC_WINDOW:
	case PLM_CNT_COPY_QUIC_MEMORY:
		/* Of a session that its client has forgotten, too. */
		return s == NULL || !is_of(run, s, c) || sim_quic_is_recovering(run, c) ||
				(why == PLM_CNT_COPY_QUIC_MEMORY &&
						fired(run, PLM_FAULT_QUIC_EXTENT)) ||
				fired(run, PLM_FAULT_TX_REFUSES) ||
				run->fired.world[SIM_WORLD_WORKER_STALL] > 0;
	case PLM_CNT_COPY_NO_MBUF:
		return fired(run, PLM_FAULT_POOL_QUIC);
	case PLM_CNT_COPY_PARK_FULL:
		return run->fired.world[SIM_WORLD_SLOW_WIRE] > 0 ||
				fired(run, PLM_FAULT_TX_REFUSES) ||
				fired(run, PLM_FAULT_RING_CARRY) ||
				run->plan->sizes.turn_copies < 1000 ||
				run->plan->sizes.ring_size < 1000;
	case PLM_CNT_COPY_SLICE_RING:
		return fired(run, PLM_FAULT_RING_SLICE) || run->plan->sizes.ring_size < 1000 ||
				run->fired.world[SIM_WORLD_WORKER_STALL] > 0;
	case PLM_CNT_COPY_SLICE_POOL:
		return fired(run, PLM_FAULT_POOL_SLICE);
	case PLM_CNT_COPY_SLICE_STALE:
		return !sender_certain(q, d->slot, d->gen, d->in_tick);
	case PLM_CNT_COPY_STOPPED:
		return run->oracle->ended;
	default:
		return false;
	}
}

void
sim_quic_copy_dropped(struct sim_run *run, const struct rte_mbuf *payload,
		const struct sim_peer *to, uint32_t session_idx, enum plm_counter why)
{
	struct sim_quic *q = run->quic;
	const uint32_t tag = sim_tag(payload) - 1; /* of the packet that it came in */
	struct sim_quic_dgram *d;
	uint32_t i = NONE;

	if (tag >= SIM_QUIC_FIRST && tag - SIM_QUIC_FIRST < q->nb_given)
		i = sim_quic_given(run, tag - SIM_QUIC_FIRST)->dgram;
	if (i >= q->nb_dgrams) {
		sim_fail(SIM_INV_CONTENT, "a copy for %s of what nobody sent", to->name);
		return;
	}
	d = &q->dgrams[i];
	if (d->peer == to->idx)
		return; /* of a session that it had before */
	SIM_EXPECT(run->plan->peers[d->peer].room == to->room, STRANGER,
			"a copy for %s of a datagram of %s", to->name,
			run->plan->peers[d->peer].name);
	if (copy_drop_explained(run, d, to, session_idx, why))
		pair_of(q, d, to)->dropped++;
	else if ((why == PLM_CNT_COPY_QUIC_WINDOW || why == PLM_CNT_COPY_QUIC_MEMORY) &&
			is_flowing(run, to))
		pair_of(q, d, to)->dropped++; /* the relay was slow, and had much at once */
	else if (why == PLM_CNT_COPY_QUIC_WINDOW)
		sim_fail(SIM_INV_WINDOW, "the window of %s is full, and its path is good",
				to->name);
	else
		sim_fail(SIM_INV_EXPLAINED, "a copy for %s is dropped as %s without a cause",
				to->name, plm_counter_defs[why].name);
}

/* --- judgement ------------------------------------------------------------------------------ */

/* Does the relay send where its client is? ngtcp2 leaves a path that was validated before in use, while it is
 * heard that way, after the client has gone on from another one; it is read there for as long as it is kept. */
static bool
is_found(const struct sim_run *run, const struct sim_quic_client *c)
{
	const struct plm_quic_slot *slot = &ctl_quic_table(run->ctl)->slots[c->slot];
	const unsigned int addr = (c->own + c->shift) % SIM_ADDRS;

	return !c->has_moved ||
			plm_quic_conn_path(slot->conn)->port ==
			rte_cpu_to_be_16(c->peer->addrs[addr].udp_port);
}

static void
judge(struct sim_run *run, uint32_t i)
{
	struct sim_quic *q = run->quic;
	struct sim_quic_dgram *d = &q->dgrams[i];
	const struct sim_room *room = &run->plan->rooms[run->plan->peers[d->peer].room];

	d->judged = true;
	/* What comes from elsewhere may be discarded until the path is known. */
	if (sim_quic_client(run, d->peer)->moved_ns + MOVE_NS > d->done_ns)
		return;
	if (!sender_certain(q, d->slot, d->gen, d->in_tick) || d->rx_dropped > 0 ||
			misses(run) != d->misses || limited(run, d->slot, d->gen) != d->limited)
		return;
	for (unsigned int k = 0; k < room->nb_peers; k++) {
		const struct sim_peer *to = &run->plan->peers[room->peers[k]];
		const struct sim_quic_client *c = sim_quic_client(run, to->idx);
		const struct sim_quic_pair *pair = pair_of(q, d, to);
		const struct sim_quic_session *s = session_of(q, c->slot, c->slot_gen);

		if (d->peer == to->idx || c->phase != SIM_QUIC_OPEN || c->is_deaf ||
				c->is_cut_off || c->moved_ns + MOVE_NS > d->done_ns ||
				c->opened_tick >= d->in_tick || c->disturbed_tick >= d->in_tick ||
				s == NULL || s->named_tick == 0 || s->named_tick >= d->in_tick ||
				s->home_tick == 0 || s->home_tick >= d->in_tick ||
				!is_found(run, c))
			continue;
		SIM_EXPECT(pair->delivered + pair->dropped > 0, MISSING,
				"datagram %u of %s never reaches %s", i,
				run->plan->peers[d->peer].name, to->name);
		run->oracle->nb_judged++;
	}
}

/* What the relay seals opens at its client; what comes for it, it can open. */
static void
ids_check(struct sim_run *run, uint32_t i)
{
	const struct plm_quic_slot *slot = &ctl_quic_table(run->ctl)->slots[i];
	const struct sim_quic_home *home = &run->quic->homes[i];
	struct plm_quic_figures f;

	if (plm_quic_slot_state(slot) != PLM_QUIC_SLOT_HOME)
		return;
	plm_quic_conn_figures(slot->conn, &f);
	/* Keys that are no longer kept open nothing: that of a packet which was long on its way. Nor can the number be
	 * told of one that took a detour while more than a hundred went past it. */
	SIM_EXPECT(f.undecryptable == 0 || f.key_updates > 0 ||
					(home->detours_gen == slot->gen &&
							f.undecryptable <= home->nb_detours),
			IDS, "connection %u has %" PRIu64 " packets that it cannot open", i,
			f.undecryptable);
}

void
sim_quic_rest(struct sim_run *run)
{
	struct sim_quic *q = run->quic;
	uint64_t oldest_ns = UINT64_MAX;

	if (q == NULL)
		return;
	for (uint32_t i = 0; i < q->nb_slots; i++) {
		struct sim_quic_session *s = &q->sessions[i];

		ids_check(run, i);
		if (s->is_open && s->home_tick == 0 &&
				plm_quic_slot_state(&ctl_quic_table(run->ctl)->slots[i]) ==
						PLM_QUIC_SLOT_HOME)
			s->home_tick = ++run->tick;
	}
	sim_wzp_rest(run);
	for (const struct sim_quic_packet *p = q->down; p != NULL; p = p->next)
		oldest_ns = RTE_MIN(oldest_ns, p->sent_ns);
	while (q->first_open < q->nb_dgrams && q->dgrams[q->first_open].judged)
		q->first_open++;
	for (uint32_t i = q->first_open; i < q->nb_dgrams && !run->failed; i++) {
		struct sim_quic_dgram *d = &q->dgrams[i];

		if (d->judged || d->in_tick == 0)
			continue;
		if (d->done_ns == 0)
			d->done_ns = run->now_ns;
		if (oldest_ns > d->done_ns)
			judge(run, i);
	}
}

/* --- who comes and goes --------------------------------------------------------------------- */

static void
admitted(struct sim_run *run, const struct plm_event *e, struct sim_quic_session *s, uint32_t gen)
{
	struct sim_oracle *o = run->oracle;
	const uint32_t idx = (uint32_t)(s - run->quic->sessions);
	const struct plm_quic_slot *slot = &ctl_quic_table(run->ctl)->slots[idx];
	const uint32_t try = sim_wzp_try_of(run, idx);
	unsigned int addr = 0;
	const struct sim_peer *peer = sim_peer_by_port(run->plan,
			rte_be_to_cpu_16(plm_quic_conn_path(slot->conn)->port), &addr);
	struct plm_handle session;

	if (peer == NULL || !peer->is_quic || try == SIM_WZP_NONE ||
			run->quic->wzp.tries[try].peer != peer->idx) {
		sim_fail(SIM_INV_ADMISSION, "%s is admitted, and is nobody", e->participant);
		return;
	}
	if (s->is_open ||
			plm_admit_find(plm_ctl_admit(run->ctl), e->room, e->participant, &session) <
					0) {
		sim_fail(SIM_INV_ADMISSION, "%s is admitted %s", peer->name,
				s->is_open ? "twice" : "and has no session");
		return;
	}
	SIM_EXPECT(strcmp(e->room, run->plan->rooms[peer->room].name) == 0, ADMISSION,
			"%s is admitted to %s", peer->name, e->room);
	SIM_EXPECT(!o->draining, ADMISSION, "%s is admitted while draining", peer->name);
	*s = (struct sim_quic_session){ .gen = gen,
		.peer = peer->idx,
		.addr = (uint8_t)addr,
		.is_open = true,
		.try = try,
		.session = session,
		.heard_ns = run->quic->homes[idx].heard_ns };
	o->by_session[session.idx] = (uint16_t)(peer->idx + 1);
	run->fired.world[SIM_WORLD_QUIC_RUSH] += run->lcores[slot->home].in_turn;
	o->peers[peer->idx].reachable[addr]++;
	o->peers[peer->idx].nb_reachable++;
	sim_wzp_admitted(run, idx, e);
}

/* It had all the memory that a connection may have, or that there is. */
static bool
is_full(const struct sim_run *run, const struct plm_event *e, const struct sim_quic_session *s)
{
	const uint32_t most = PLM_QUIC_ARENA_MIN + PLM_QUIC_EXTENTS_MAX * PLM_QUIC_EXTENT;
	const struct plm_quic_table *table = ctl_quic_table(run->ctl);
	const struct sim_quic_client *c = sim_quic_client(run, s->peer);
	const bool is_lost = !is_of(run, s, c) || sim_quic_is_recovering(run, c);
	struct plm_quic_figures f;

	if (e->code != INTERNAL_ERROR)
		return false;
	plm_quic_conn_figures(table->slots[s - run->quic->sessions].conn, &f);
	return f.arena_size > most - PLM_QUIC_EXTENT ||
			(is_lost &&
					(rte_mempool_avail_count(table->more_extents) == 0 ||
							run->now_ns <= run->quic->none_left_ns +
											SLACK_NS));
}

static void
ended(struct sim_run *run, const struct plm_event *e, struct sim_quic_session *s, uint32_t gen)
{
	const struct sim_peer *peer = &run->plan->peers[s->peer];
	const struct sim_quic_client *c = sim_quic_client(run, s->peer);
	const bool is_known = c->slot == (uint32_t)(s - run->quic->sessions) && c->slot_gen == gen;

	if (!s->is_open || s->gen != gen) {
		sim_fail(SIM_INV_ADMISSION, "%s ends and had no session", peer->name);
		return;
	}
	if (strcmp(e->reason, "closed") == 0)
		SIM_EXPECT(!is_known || c->phase != SIM_QUIC_OPEN, CONSENT,
				"%s is said to have closed", peer->name);
	else if (strcmp(e->reason, "idle") == 0)
		/* The event has the time of the slow path's turn, which may have begun long before. */
		SIM_EXPECT(s->was_dropped ||
						s->heard_ns + run->plan->sizes.quic_idle_ns <=
								run->now_ns + SLACK_NS,
				CONSENT,
				"%s loses its connection %" PRIu64 " ms after its last packet",
				peer->name, (run->now_ns - s->heard_ns) / PLM_NS_PER_MS);
	else if (strcmp(e->reason, "drain") == 0)
		SIM_EXPECT(run->oracle->ending, CONSENT, "%s is drained too early", peer->name);
	else if (strcmp(e->reason, "hangup") == 0)
		SIM_EXPECT(!is_known || c->phase != SIM_QUIC_OPEN, CONSENT,
				"%s is said to have hung up", peer->name);
	else if (strcmp(e->reason, "kicked") == 0)
		SIM_EXPECT(run->oracle->kicking, CONSENT, "%s is kicked, and nobody did",
				peer->name);
	else
		SIM_EXPECT((e->code == CONNECTION_ID_LIMIT && c->has_moved) || was_flooded(run) ||
						is_full(run, e, s),
				CONSENT, "%s loses its connection: %s, %d", peer->name, e->reason,
				e->code);
	s->is_open = false;
	sim_oracle_watch(run, peer, s->addr);
	sim_wzp_ended(run, s->try, e);
}

/* Who joined over QUIC is known by its fingerprint and the slot of its connection. */
static bool
name_read(const char *name, uint32_t *slot)
{
	size_t i = 0;

	if (name == NULL)
		return false;
	while (i < 2 * PLM_WZP_FINGERPRINT && strchr("0123456789abcdef", name[i]) != NULL &&
			name[i] != '\0')
		i++;
	return i == 2 * PLM_WZP_FINGERPRINT && sscanf(name + i, "-%" SCNu32, slot) == 1;
}

bool
sim_quic_is_meant(const struct plm_event *e)
{
	uint32_t slot;

	return name_read(e->participant, &slot) ||
			(e->type == PLM_EVENT_REFUSE && e->reason != NULL &&
					strncmp(e->reason, "wzp_", 4) == 0);
}

void
sim_quic_event(struct sim_run *run, const struct plm_event *e)
{
	uint32_t slot;
	uint32_t gen;

	if (e->type == PLM_EVENT_REFUSE) {
		sim_wzp_refused(run, e);
		return;
	}
	if (!name_read(e->participant, &slot) || slot >= run->quic->nb_slots) {
		sim_fail(SIM_INV_ADMISSION, "an event about %s", e->participant);
		return;
	}
	gen = ctl_quic_table(run->ctl)->slots[slot].gen;
	if (e->type == PLM_EVENT_ADMIT)
		admitted(run, e, &run->quic->sessions[slot], gen);
	else if (e->type == PLM_EVENT_END)
		ended(run, e, &run->quic->sessions[slot], gen);
	else
		sim_fail(SIM_INV_MOVES, "%s moves or is replaced", e->participant);
}

void
sim_quic_named(struct sim_run *run, uint32_t session_idx)
{
	struct sim_quic *q = run->quic;

	for (uint32_t i = 0; i < q->nb_slots; i++)
		if (q->sessions[i].is_open && q->sessions[i].session.idx == session_idx &&
				q->sessions[i].named_tick == 0)
			q->sessions[i].named_tick = run->tick;
}

/* The relay closed, reset or forgot it, or it heard nothing for too long. */
void
sim_quic_lost(struct sim_run *run, const struct sim_quic_client *c)
{
	const struct plm_quic_end end = plm_quic_conn_end(c->conn);

	/* A relay that ends closes connections first, and what they are to be told has its time. */
	if (c->phase != SIM_QUIC_OPEN || (run->plan->in_order && run->oracle->ending))
		return;
	SIM_EXPECT(session_of(run->quic, c->slot, c->slot_gen) == NULL ||
					sim_quic_is_recovering(run, c) ||
					(end.code == CONNECTION_ID_LIMIT && c->has_moved) ||
					was_flooded(run) || (!end.is_remote && end.is_timeout),
			CONSENT, "%s is closed (%" PRIu64 "%s%s) and still in its room",
			c->peer->name, end.code, end.is_remote ? ", by the relay" : "",
			end.is_timeout ? ", of time" : "");
}

void
sim_quic_settled(struct sim_run *run)
{
	struct sim_quic *q = run->quic;

	if (q == NULL)
		return;
	run->fired.world[SIM_WORLD_QUIC_RETRY] +=
			plm_counter_get(plm_ctl_counters(run->ctl), PLM_CNT_QUIC_RETRIES);
	run->fired.world[SIM_WORLD_WZP_FLOOD] +=
			plm_counter_get(plm_ctl_counters(run->ctl), PLM_CNT_WZP_SIGNAL_RATE);
	run->fired.world[SIM_WORLD_QUIC_FLOOD] += worker_count(run, PLM_CNT_DGRAM_RATE_PACKETS);
	for (unsigned int i = 0; i < q->nb_clients; i++) {
		const struct sim_quic_client *c = &q->clients[i];

		/* Once it has been said that it is open, and by both. */
		SIM_EXPECT(c->phase != SIM_QUIC_OPEN || sim_quic_is_recovering(run, c) ||
						session_of(q, c->slot, c->slot_gen) != NULL,
				ADMISSION, "%s is connected and in no room", c->peer->name);
	}
	for (uint32_t i = 0; i < q->nb_slots; i++) {
		const struct plm_quic_slot *slot = &ctl_quic_table(run->ctl)->slots[i];

		SIM_EXPECT((!q->sessions[i].is_open || q->sessions[i].home_tick != 0) &&
						!(plm_quic_slot_state(
								  slot) == PLM_QUIC_SLOT_HANDSHAKE &&
								plm_quic_conn_state(slot->conn) ==
										PLM_QUIC_ESTABLISHED),
				CONTROL, "connection %u never came home", i);
	}
	sim_wzp_settled(run);
}

/* --- points --------------------------------------------------------------------------------- */

/* The state says whose a connection is; between the slow path's last word and the first turn of its home it
 * is nobody's. */
static void
touched(struct sim_run *run, const struct sim_lcore *lcore, const struct plm_quic_conn *conn)
{
	const uint32_t idx = plm_quic_conn_slot(conn);
	const struct plm_quic_slot *slot = &ctl_quic_table(run->ctl)->slots[idx];
	struct sim_quic_home *home = &run->quic->homes[idx];
	const bool is_ctl = lcore->worker == run->nb_workers;
	bool ok = false;

	switch (plm_quic_slot_state(slot)) {
	case PLM_QUIC_SLOT_HANDSHAKE:
		/* It goes home in the turn in which its handshake is complete. */
		ok = is_ctl;
		if (!is_ctl || slot->conn == NULL ||
				plm_quic_conn_state(slot->conn) != PLM_QUIC_ESTABLISHED)
			break;
		if (home->gen != slot->gen)
			home->turn = lcore->turns;
		home->gen = slot->gen;
		ok = home->turn == lcore->turns;
		break;
	case PLM_QUIC_SLOT_HOME:
		ok = !is_ctl && lcore->worker == slot->home;
		break;
	case PLM_QUIC_SLOT_GONE:
		ok = is_ctl;
		break;
	case PLM_QUIC_SLOT_FREE:
		break;
	}
	if (!ok && is_ctl)
		sim_fail(SIM_INV_LCORE, "the slow path touches connection %u", idx);
	else if (!ok)
		sim_fail(SIM_INV_LCORE, "worker %u touches connection %u", lcore->worker, idx);
}

/* By open addressing; an entry is never taken out, since a key's number is never used again. */
static bool
seal_is_new(struct sim_quic *q, uint64_t h)
{
	uint32_t at = (uint32_t)h & (SIM_QUIC_SEALS - 1);

	for (; q->seals[at] != 0; at = (at + 1) & (SIM_QUIC_SEALS - 1))
		if (q->seals[at] == h)
			return false;
	if (q->nb_seals < SIM_QUIC_SEALS / 2) {
		q->seals[at] = h;
		q->nb_seals++;
	}
	return true;
}

static struct sim_quic_key *
key_of(struct sim_quic *q, const void *key)
{
	uint32_t at = (uint32_t)sim_mix((uintptr_t)key) & (SIM_QUIC_KEYS - 1);

	while (q->keys[at].key != NULL && q->keys[at].key != key)
		at = (at + 1) & (SIM_QUIC_KEYS - 1);
	if (q->keys[at].key == NULL && ++q->nb_key_places == SIM_QUIC_KEYS)
		abort();
	q->keys[at].key = key;
	return &q->keys[at];
}

/* A packet for which ngtcp2 then had no memory is thrown away, and the close has its number. */
static bool
was_unsent(const struct sim_run *run, const struct sim_lcore *lcore)
{
	const struct plm_quic_end end = plm_quic_conn_end(run->quic->touched[lcore->worker]);

	return !end.is_remote && !end.is_application && end.code == INTERNAL_ERROR;
}

void
sim_quic_point(struct sim_run *run, const struct sim_lcore *lcore, enum plm_sched_site site,
		const void *what)
{
	struct sim_quic *q = run->quic;
	const struct plm_sim_seal *seal;
	struct sim_quic_key *key;
	uint64_t h;

	switch (site) {
	case PLM_SCHED_QUIC_TOUCH:
		q->touched[lcore->worker] = what;
		touched(run, lcore, what);
		break;
	case PLM_SCHED_QUIC_KEY:
		key_of(q, what)->number = ++q->nb_keys;
		break;
	case PLM_SCHED_QUIC_SEAL:
		seal = what;
		key = key_of(q, seal->key);
		h = sim_mix(sim_hash(seal->nonce, PLM_AEAD_NONCE) ^ key->number) | 1;
		SIM_EXPECT(seal_is_new(q, h) || (key->last == h && was_unsent(run, lcore)), NONCE,
				"lcore %u seals two packets with one nonce of a key",
				lcore->worker);
		key->last = h;
		break;
	case PLM_SCHED_QUIC_EXTENT: /* nobody has it any more */
		if (rte_mempool_avail_count(ctl_quic_table(run->ctl)->more_extents) == 0)
			q->none_left_ns = run->now_ns;
		memset((void *)(uintptr_t)what, 0xdd, PLM_QUIC_EXTENT);
		break;
	default:
		break;
	}
}

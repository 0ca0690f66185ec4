/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is owed what. A participant's membership, as copies to it are judged:
 *
 *   request ─▶ ADMIT event ─▶ a view names it ─────▶ END event ─▶ every worker was quiescent,
 *              from here on    from here on          until here   and let go of its frames: until
 *              it may get      it must get           it must get  here it may get copies
 *
 * A packet is judged when the relay comes to rest: by then it has left, been dropped, or never
 * will be. It must reach whoever had to get copies from before it came until now; it may reach
 * whoever might have at any time between.
 *
 * Admission, consent and moves (who may send, from where) are in admission.c.
 */
#include <limits.h>
#include <stdlib.h>

#include "oracle_priv.h"
#include "plm_wire.h"
#include "quic.h"
#include "relay_priv.h"

static struct sim_pair *
pair_of(struct sim_run *run, uint32_t packet, const struct sim_peer *peer)
{
	return &run->oracle->ledger->pairs[run->oracle->ledger->first[packet] + peer->seat];
}

void
sim_oracle_create(struct sim_run *run)
{
	const struct sim_plan *plan = run->plan;
	struct sim_oracle *o = calloc(1, sizeof(*o));
	struct sim_ledger *ledger;
	uint32_t nb_pairs = 0;

	if (o == NULL)
		abort();
	run->oracle = o;
	o->ledger = ledger = calloc(1, sizeof(*ledger));
	o->arrivals = calloc(plan->nb_arrivals + 1, sizeof(*o->arrivals));
	o->in_flight = calloc(plan->nb_arrivals + 1, sizeof(*o->in_flight));
	o->packets = calloc(plan->nb_packets + 1, sizeof(*o->packets));
	o->last = calloc((size_t)plan->nb_peers * plan->nb_peers * SIM_ADDRS + 1, sizeof(*o->last));
	if (ledger == NULL || o->arrivals == NULL || o->in_flight == NULL || o->packets == NULL ||
			o->last == NULL)
		abort();
	for (unsigned int i = 0; i < plan->nb_peers; i++)
		for (unsigned int a = 0; a < SIM_ADDRS; a++)
			o->peers[i].least_priority[a] = UINT32_MAX;
	ledger->nb_packets = plan->nb_packets;
	ledger->first = calloc(plan->nb_packets + 1, sizeof(*ledger->first));
	ledger->rx_dropped = calloc(plan->nb_packets + 1, 1);
	if (ledger->first == NULL || ledger->rx_dropped == NULL)
		abort();
	for (uint32_t i = 0; i < plan->nb_packets; i++) {
		const struct sim_packet *packet = &plan->packets[i];

		ledger->first[i] = nb_pairs;
		if (packet->reach != SIM_REACH_NONE)
			nb_pairs += plan->rooms[plan->peers[packet->peer].room].nb_peers;
	}
	ledger->first[plan->nb_packets] = nb_pairs;
	ledger->pairs = calloc(nb_pairs + 1, sizeof(*ledger->pairs));
	if (ledger->pairs == NULL)
		abort();
	for (unsigned int i = 0; i < plan->nb_rooms; i++)
		o->traces[i].quiet = true;
	for (unsigned int i = 0; i < plan->nb_rooms; i++)
		o->rooms[i].max = o->rooms[i].least = plan->rooms[i].settings.max_members;
	o->secrets = 1u << 0;
	sim_tids_make(run);
}

void
sim_ledger_free(struct sim_ledger *ledger)
{
	free(ledger->first);
	free(ledger->pairs);
	free(ledger->rx_dropped);
	free(ledger);
}

void
sim_oracle_free(struct sim_run *run)
{
	struct sim_oracle *o = run->oracle;

	if (o->ledger != NULL)
		sim_ledger_free(o->ledger);
	free(o->arrivals);
	free(o->in_flight);
	free(o->packets);
	free(o->last);
	free(o->tids);
	free(o);
}

unsigned int
sim_oracle_nb_open(const struct sim_run *run)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < run->plan->nb_peers; i++)
		n += run->oracle->peers[i].is_open;
	return n;
}

/* --- what comes in -------------------------------------------------------------------------- */

void
sim_oracle_arrived(struct sim_run *run, uint32_t arrival)
{
	struct sim_oracle *o = run->oracle;
	const struct sim_packet *packet = &run->plan->packets[run->plan->arrivals[arrival].packet];

	o->arrivals[arrival].in_tick = run->tick;
	o->in_flight[o->nb_in_flight++] = arrival;
	o->nb_in++;
	if (packet->kind != SIM_RAW && !run->plan->arrivals[arrival].corrupt)
		sim_admission_arrived(run, arrival, packet);
}

/* --- what leaves ---------------------------------------------------------------------------- */

/* Its arrivals in the order in which they came; the k-th delivery is taken for the earliest that
 * keeps the order. */
static void
order_check(struct sim_run *run, uint32_t packet_idx, const struct sim_peer *to)
{
	struct sim_oracle *o = run->oracle;
	const struct sim_packet *packet = &run->plan->packets[packet_idx];
	const size_t lane = ((size_t)to->idx * run->plan->nb_peers + packet->peer) * SIM_ADDRS +
			packet->addr;
	uint64_t last = o->last[lane];
	uint64_t next = UINT64_MAX;

	for (unsigned int i = 0; i < packet->nb_arrivals; i++) {
		uint64_t in = o->arrivals[packet->arrivals[i]].in_tick;

		if (in > last)
			next = RTE_MIN(next, in);
	}
	if (next != UINT64_MAX)
		o->last[lane] = next;
	else if (o->peers[to->idx].nb_reachable == 1) /* else it just moved, or came back */
		sim_fail(SIM_INV_ORDER, "%s got packet %u of %s after a later one", to->name,
				packet_idx, run->plan->peers[packet->peer].name);
}

/* A BYE that the relay makes for a publisher that vanished. */
static bool
is_bye(struct sim_run *run, const struct sim_peer *to, const uint8_t *p, size_t len)
{
	struct plm_rtcp rtcp;

	if (len < 16 || plm_wire_classify(p, len) != PLM_PROTO_RTCP ||
			plm_rtcp_parse(p, len, &rtcp) < 0 || !rtcp.has_bye)
		return false;
	for (unsigned int i = 0; i < rtcp.nb_sources; i++) {
		uint32_t who = (rtcp.sources[i] - 0x01000000u) / 0x100u;
		struct peer_state *state;

		if (who >= run->plan->nb_peers || run->plan->peers[who].room != to->room)
			return false;
		state = &run->oracle->peers[who];
		SIM_EXPECT(state->nb_ends > 0 || run->oracle->ending ||
						run->plan->rooms[to->room].contested,
				STRANGER, "a BYE for %s, who is here", run->plan->peers[who].name);
	}
	return true;
}

uint32_t
sim_oracle_sent(struct sim_run *run, const struct sim_peer *to, unsigned int addr,
		const uint8_t *payload, size_t len)
{
	struct sim_oracle *o = run->oracle;
	struct peer_state *state = &o->peers[to->idx];
	const struct sim_packet *packet;
	struct sim_pair *pair;
	uint32_t idx;

	if (to->is_quic) {
		sim_quic_sent(run, to, addr, payload, len);
		return UINT32_MAX;
	}
	if (payload[0] <= 3) {
		sim_admission_answered(run, to, addr, payload, len);
		return UINT32_MAX;
	}
	SIM_EXPECT(state->reachable[addr] > 0, AFTER_LEAVE,
			"%s, who has no session at address %u%s, gets a packet", to->name, addr,
			state->was_reachable & 1u << addr ? " any more" : "");
	idx = sim_packet_find(run->plan, payload, len);
	if (idx == UINT32_MAX) {
		if (!is_bye(run, to, payload, len))
			sim_fail(SIM_INV_CONTENT, "%s gets %zu bytes that nobody sent", to->name,
					len);
		state->nb_byes++;
		return UINT32_MAX;
	}
	packet = &run->plan->packets[idx];
	SIM_EXPECT(packet->peer != to->idx, SENDER, "%s gets its own packet %u", to->name, idx);
	SIM_EXPECT(run->plan->peers[packet->peer].room == to->room, STRANGER,
			"%s of room %u gets packet %u of %s", to->name, to->room, idx,
			run->plan->peers[packet->peer].name);
	if (run->failed)
		return UINT32_MAX;
	pair = pair_of(run, idx, to);
	pair->delivered++;
	o->nb_copies++;
	SIM_EXPECT(pair->delivered <= packet->nb_arrivals, TWICE, "%s gets packet %u %u times",
			to->name, idx, pair->delivered);
	order_check(run, idx, to);
	return idx;
}

/* --- what is dropped ------------------------------------------------------------------------ */

static uint32_t
arrival_of(const struct rte_mbuf *m)
{
	return sim_is_rx(m) && sim_tag(m) != 0 ? sim_tag(m) - 1 : UINT32_MAX;
}

static bool
fired(const struct sim_run *run, enum plm_fault_site site)
{
	return run->fired.site[site] > 0;
}

/* May this packet be dropped for this reason? */
static bool
drop_explained(struct sim_run *run, uint32_t arrival, enum plm_counter why)
{
	const struct sim_packet *packet = &run->plan->packets[run->plan->arrivals[arrival].packet];
	const struct sim_peer *peer = &run->plan->peers[packet->peer];
	const struct sim_room *room;

	if (packet->kind == SIM_RAW || run->plan->arrivals[arrival].corrupt)
		return true;
	room = &run->plan->rooms[peer->room];
	switch (why) {
	case PLM_CNT_RX_NO_SESSION:
	case PLM_CNT_RX_STALE_SESSION:
		return !sim_sender_certain(run, packet, run->oracle->arrivals[arrival].in_tick);
	case PLM_CNT_RX_ROLE:
		return !(run->oracle->peers[packet->peer].role & PLM_ROLE_PUBLISH);
	case PLM_CNT_RX_SSRC_FOREIGN:
	case PLM_CNT_RX_SSRC_LIMIT:
		return run->plan->ops[packet->op].contested;
	case PLM_CNT_RX_RATE_PACKETS:
		return room->settings.packets_per_s != 0;
	case PLM_CNT_RX_RATE_BITS:
		return room->settings.bits_per_s != 0;
	case PLM_CNT_RX_RTCP_RATE:
	case PLM_CNT_RX_RTCP_NO_TARGET:
		return packet->kind == SIM_RTCP;
	case PLM_CNT_RX_CROSS_RING:
	case PLM_CNT_RX_CTL_RING_KNOWN:
	case PLM_CNT_RX_CTL_RING_UNKNOWN:
		/* What fills them by themselves is counted the same way; rings are small. */
		return fired(run, PLM_FAULT_RING_CROSS) || fired(run, PLM_FAULT_RING_CTL) ||
				run->plan->sizes.ring_size < 1000 ||
				run->fired.world[SIM_WORLD_WORKER_STALL] > 0 ||
				run->fired.world[SIM_WORLD_CTL_STALL] > 0;
	case PLM_CNT_RX_STUN_FILTER:
		return (packet->flags & SIM_CHECK_BARE) != 0 || packet->kind == SIM_INDICATION;
	case PLM_CNT_RX_STUN_RATE:
		return packet->kind == SIM_STUN || packet->kind == SIM_INDICATION;
	case PLM_CNT_RX_STOPPED:
		return run->oracle->ended;
	default:
		return false;
	}
}

void
sim_oracle_dropped(struct sim_run *run, const struct rte_mbuf *m, enum plm_counter why)
{
	uint32_t arrival = arrival_of(m);
	struct sim_oracle *o = run->oracle;

	run->tick++;
	if (arrival == UINT32_MAX)
		return;
	if (arrival >= SIM_QUIC_FIRST) {
		sim_quic_rx_dropped(run, arrival - SIM_QUIC_FIRST, why);
		return;
	}
	SIM_EXPECT(drop_explained(run, arrival, why), EXPLAINED,
			"packet %u of %s is dropped as %s without a cause",
			run->plan->arrivals[arrival].packet,
			run->plan->peers[run->plan->packets[run->plan->arrivals[arrival].packet]
								 .peer %
						 SIM_PEERS]
					.name,
			plm_counter_defs[why].name);
	o->ledger->rx_dropped[run->plan->arrivals[arrival].packet]++;
}

static bool
copy_drop_explained(struct sim_run *run, uint32_t arrival, const struct sim_peer *to,
		uint32_t session_idx, enum plm_counter why)
{
	const struct sim_packet *packet = &run->plan->packets[run->plan->arrivals[arrival].packet];
	const struct peer_state *state = &run->oracle->peers[to->idx];
	const struct sim_addr *addr = &to->addrs[state->bound];

	switch (why) {
	case PLM_CNT_COPY_LEFT:
		/* Not the session that it has now. */
		return state->nb_ends > 0 && !(state->is_open && state->session.idx == session_idx);
	case PLM_CNT_COPY_NO_MBUF:
		return fired(run, PLM_FAULT_POOL_HDR) || fired(run, PLM_FAULT_POOL_COPY) ||
				run->plan->sizes.hdr_mbufs != 0;
	case PLM_CNT_COPY_NO_NEIGHBOUR:
		/* Its next hop has not answered since it came, or since it moved, or for long. */
		return !state->is_open || state->loose ||
				sim_net_answered(run, addr) <= state->since_ns ||
				!sim_neighbour_settled(run, addr) ||
				sim_net_answered(run, addr) + 25 * PLM_NS_PER_S < run->now_ns;
	case PLM_CNT_COPY_MTU:
		/* On the way to one of the addresses that it has had. */
		for (unsigned int a = 0; a < SIM_ADDRS; a++) {
			uint32_t hdr = PLM_UDP_HDR +
					(to->addrs[a].ip.is_v6 ? PLM_IP6_HDR : PLM_IP4_HDR);

			if (state->was_reachable & 1u << a &&
					packet->len + hdr >
							run->plan->sizes.mtu[to->addrs[a].port_idx])
				return true;
		}
		return false;
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
		return !sim_sender_certain(run, packet, run->oracle->arrivals[arrival].in_tick);
	case PLM_CNT_COPY_STOPPED:
		return run->oracle->ended;
	default:
		return false;
	}
}

void
sim_oracle_copy_dropped(struct sim_run *run, const struct rte_mbuf *payload, uint32_t session_idx,
		enum plm_counter why)
{
	struct sim_oracle *o = run->oracle;
	uint32_t arrival = arrival_of(payload);
	const struct sim_packet *packet;
	const struct sim_peer *to;
	struct sim_pair *pair;

	run->tick++;
	if (session_idx >= SIM_SESSIONS || o->by_session[session_idx] == 0) {
		sim_fail(SIM_INV_STRANGER, "a copy for session %u, which nobody ever had",
				session_idx);
		return;
	}
	to = &run->plan->peers[o->by_session[session_idx] - 1];
	if (to->is_quic) {
		sim_quic_copy_dropped(run, payload, to, session_idx, why);
		return;
	}
	if (arrival == UINT32_MAX) { /* a BYE of the relay's */
		o->peers[to->idx].nb_byes++;
		return;
	}
	packet = &run->plan->packets[run->plan->arrivals[arrival].packet];
	if (packet->peer == to->idx)
		return; /* of a session that it had before */
	SIM_EXPECT(run->plan->peers[packet->peer].room == to->room, STRANGER,
			"a copy for %s of a packet of %s", to->name,
			run->plan->peers[packet->peer].name);
	SIM_EXPECT(copy_drop_explained(run, arrival, to, session_idx, why), EXPLAINED,
			"a copy for %s is dropped as %s without a cause", to->name,
			plm_counter_defs[why].name);
	if (run->failed)
		return;
	pair = pair_of(run, run->plan->arrivals[arrival].packet, to);
	pair->dropped++;
	pair->left += why == PLM_CNT_COPY_LEFT;
}

/* --- judgement ------------------------------------------------------------------------------ */

static bool
owes(const struct sim_packet *packet, const struct sim_peer *to, uint8_t role, bool is_contested)
{
	if (packet->peer == to->idx)
		return false;
	switch ((enum sim_reach)packet->reach) {
	case SIM_REACH_SUBSCRIBERS:
		return role & PLM_ROLE_SUBSCRIBE;
	case SIM_REACH_PUBLISHERS:
		return role & PLM_ROLE_PUBLISH;
	case SIM_REACH_MEMBERS:
		return true;
	case SIM_REACH_OWNER:
		return is_contested || packet->target == to->idx;
	case SIM_REACH_NONE:
		break;
	}
	return false;
}

static void
judge_arrival(struct sim_run *run, uint32_t arrival)
{
	struct sim_oracle *o = run->oracle;
	const struct sim_arrival *a = &run->plan->arrivals[arrival];
	const struct sim_packet *packet = &run->plan->packets[a->packet];
	const struct sim_room *room;
	const uint64_t in = o->arrivals[arrival].in_tick;
	bool certain;
	bool possible;

	if (packet->reach == SIM_REACH_NONE || a->corrupt)
		return;
	room = &run->plan->rooms[run->plan->peers[packet->peer].room];
	possible = sim_sender_possible(run, packet, in);
	certain = !run->plan->ops[packet->op].contested && sim_sender_certain(run, packet, in) &&
			(packet->kind != SIM_RTP || o->peers[packet->peer].role & PLM_ROLE_PUBLISH);
	sim_trace_due(run, a->packet, in, certain);
	for (unsigned int i = 0; i < room->nb_peers; i++) {
		const struct sim_peer *to = &run->plan->peers[room->peers[i]];
		const struct peer_state *state = &o->peers[to->idx];
		struct sim_pair *pair = pair_of(run, a->packet, to);
		bool due = owes(packet, to, state->role, room->contested);
		bool may = possible && due && (state->nb_reachable > 0 || state->over_tick >= in);
		bool must = certain && due && state->is_open && state->named_tick != 0 &&
				state->named_tick < in;

		/* An owner is known when its claim is settled, which nobody out here sees. */
		if (packet->reach == SIM_REACH_OWNER)
			must = false;
		pair->least += must;
		pair->most += may || must;
	}
}

static void
judge_packet(struct sim_run *run, uint32_t packet_idx)
{
	struct sim_oracle *o = run->oracle;
	const struct sim_packet *packet = &run->plan->packets[packet_idx];
	const struct sim_room *room;

	if (packet->reach == SIM_REACH_NONE)
		return;
	sim_trace_judge(run, packet_idx);
	room = &run->plan->rooms[run->plan->peers[packet->peer].room];
	for (unsigned int i = 0; i < room->nb_peers; i++) {
		const struct sim_peer *to = &run->plan->peers[room->peers[i]];
		const struct sim_pair *pair = pair_of(run, packet_idx, to);
		unsigned int got = pair->delivered + pair->dropped;

		SIM_EXPECT(got + o->ledger->rx_dropped[packet_idx] >= pair->least, MISSING,
				"packet %u of %s never reaches %s", packet_idx,
				run->plan->peers[packet->peer].name, to->name);
		SIM_EXPECT(pair->delivered <= pair->most, TWICE,
				"packet %u of %s reaches %s %u times instead of %u", packet_idx,
				run->plan->peers[packet->peer].name, to->name, pair->delivered,
				pair->most);
		o->nb_judged += pair->least;
	}
}

void
sim_oracle_rest(struct sim_run *run)
{
	struct sim_oracle *o = run->oracle;

	for (unsigned int w = 0; w < run->nb_workers && run->tracing; w++)
		sim_trace_read(run, w, UINT_MAX);
	for (uint32_t i = 0; i < o->nb_in_flight && !run->failed; i++)
		judge_arrival(run, o->in_flight[i]);
	for (uint32_t i = 0; i < o->nb_in_flight && !run->failed; i++)
		judge_packet(run, run->plan->arrivals[o->in_flight[i]].packet);
	o->nb_in_flight = 0;
	o->rest_tick = ++run->tick;
	sim_trace_rest(run);
	sim_admission_rest(run);
	sim_quic_rest(run);
}

bool
sim_ledger_agree(const struct sim_plan *plan, const struct sim_ledger *a,
		const struct sim_ledger *b, uint64_t *nb, struct plm_text *why)
{
	for (uint32_t i = 0; i < plan->nb_packets; i++) {
		for (uint32_t k = a->first[i]; k < a->first[i + 1]; k++) {
			const struct sim_pair *x = &a->pairs[k];
			const struct sim_pair *y = &b->pairs[k];
			const struct sim_room *room =
					&plan->rooms[plan->peers[plan->packets[i].peer].room];

			/* Open in one of them: a change of membership, or a drop that was counted. */
			if (x->least != x->most || y->least != y->most || x->dropped > 0 ||
					y->dropped > 0 || a->rx_dropped[i] > 0 ||
					b->rx_dropped[i] > 0)
				continue;
			/* Certain in both, but not the same: they admitted differently. */
			if (x->least != y->least)
				continue;
			*nb += x->least;
			if (x->delivered != y->delivered) {
				plm_text_add(why, "packet %u of %s reaches %s %u times or %u", i,
						plan->peers[plan->packets[i].peer].name,
						plan->peers[room->peers[k - a->first[i]]].name,
						x->delivered, y->delivered);
				return false;
			}
		}
	}
	return true;
}

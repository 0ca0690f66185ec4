/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What runs beside the rooms of agents: endpoints that a list names and that ask for nothing, and
 * traces of what a room receives.
 *
 * Endpoints: they come and go by the list in force, at the address that it says, and by nothing else;
 * when the relay has come to rest after the story they are what the list says.
 *
 * Traces: a frame that is read is one that a participant of the room sent while the room was traced, no
 * more often than it came, and in order. A packet that was certainly accepted while the newest view said
 * "traced" is read, or one that was counted as missed. The reader is a thread of its own to the relay; here it takes
 * some frames between two steps.
 */
#include <inttypes.h>

#include "ctl_priv.h"
#include "oracle_priv.h"
#include "plm_wire.h"

/* --- static endpoints ----------------------------------------------------------------------- */

void
sim_statics_set(struct sim_run *run, unsigned int list)
{
	struct plm_admit *admit = plm_ctl_admit(run->ctl);

	plm_admit_static_begin(admit);
	for (unsigned int i = 0; i < run->plan->nb_peers; i++) {
		const struct sim_peer *peer = &run->plan->peers[i];
		const struct sim_addr *addr = &peer->addrs[peer->list_addr[list]];
		struct plm_static entry = { .role = peer->role, .count = 1 };

		if (!sim_is_listed(peer, list))
			continue;
		memcpy(entry.room, run->plan->rooms[peer->room].name, sizeof(entry.room));
		memcpy(entry.participant, peer->name, sizeof(entry.participant));
		memcpy(entry.tuple.addr, addr->ip.addr, addr->ip.is_v6 ? 16 : 4);
		entry.tuple.port = rte_cpu_to_be_16(addr->udp_port);
		entry.tuple.local_idx = addr->local_idx;
		entry.tuple.is_v6 = addr->ip.is_v6;
		SIM_EXPECT(plm_admit_static_add(admit, &entry) == 0, ADMISSION,
				"%s finds no place in the list", peer->name);
	}
	plm_admit_static_commit(admit);
	run->oracle->list = (uint8_t)list;
	run->oracle->has_list = true;
}

void
sim_static_admitted(struct sim_run *run, const struct sim_peer *peer, unsigned int addr,
		const struct plm_admit_info *info)
{
	const struct sim_oracle *o = run->oracle;
	struct peer_state *s = &run->oracle->peers[peer->idx];

	SIM_EXPECT(o->has_list && sim_is_listed(peer, o->list), ADMISSION,
			"%s is opened and not on the list", peer->name);
	SIM_EXPECT(addr == peer->list_addr[o->list], ADMISSION,
			"%s is opened at address %u, which is not on the list", peer->name, addr);
	SIM_EXPECT(info->is_static && info->role == peer->role, ADMISSION,
			"%s is opened in role %u", peer->name, info->role);
	s->possible |= (uint8_t)(1u << addr);
	s->left_ns[addr] = 0;
}

void
sim_static_removed(struct sim_run *run, const struct sim_peer *peer)
{
	const struct sim_oracle *o = run->oracle;

	SIM_EXPECT(peer->is_static &&
					!(sim_is_listed(peer, o->list) &&
							peer->list_addr[o->list] ==
									o->peers[peer->idx].bound),
			ADMISSION, "%s is removed and on the list as it is", peer->name);
}

void
sim_statics_settled(struct sim_run *run)
{
	const struct sim_oracle *o = run->oracle;

	for (unsigned int i = 0; i < run->plan->nb_peers; i++) {
		const struct sim_peer *peer = &run->plan->peers[i];
		const struct peer_state *s = &o->peers[i];
		const bool is_due = o->has_list && sim_is_listed(peer, o->list);

		if (!peer->is_static)
			continue;
		SIM_EXPECT(s->is_open == is_due, ADMISSION, "%s is %s", peer->name,
				is_due ? "on the list and not here" : "here and not on the list");
		SIM_EXPECT(!s->is_open || s->bound == peer->list_addr[o->list], ADMISSION,
				"%s is at address %u and listed at another", peer->name, s->bound);
	}
}

/* --- traces --------------------------------------------------------------------------------- */

void
sim_trace_set(struct sim_run *run, unsigned int room, bool on, uint64_t now_ns)
{
	struct plm_room_table *rooms = plm_ctl_rooms(run->ctl);
	struct room_trace *trace = &run->oracle->traces[room];
	struct plm_room_info info;
	uint32_t idx;

	if (!run->tracing && plm_relay_trace_prepare(plm_ctl_relay(run->ctl)) < 0)
		return;
	run->tracing = true;
	if (plm_room_find(rooms, 'r', run->plan->rooms[room].name, &idx) < 0 ||
			plm_room_info(rooms, idx, &info) < 0)
		return;
	info.settings.traced = on;
	if (plm_room_set(rooms, idx, &info.settings, now_ns) == 0)
		trace->on = on;
	run->tick++;
	if (on && trace->quiet)
		trace->from_tick =
				run->oracle->rest_tick; /* what is under way may still be copied */
	if (on)
		trace->quiet = false;
}

/* The newest view says whether what comes from here on is copied. */
void
sim_trace_published(struct sim_run *run, unsigned int room, bool traced)
{
	struct room_trace *trace = &run->oracle->traces[room];

	if (traced && !trace->in_view)
		trace->view_tick = run->tick;
	trace->in_view = traced;
}

/* Where the UDP payload is; NULL if it is no datagram. */
static const uint8_t *
datagram(const struct plm_relay_frame *frame, size_t *len)
{
	const uint8_t *p = frame->bytes + PLM_ETH_HDR;
	const size_t hdr = PLM_ETH_HDR + PLM_UDP_HDR +
			(size_t)((p[0] >> 4) == 6 ? PLM_IP6_HDR : PLM_IP4_HDR);

	if (frame->nb_bytes != frame->len || frame->len < hdr)
		return NULL;
	p = frame->bytes + hdr;
	*len = (size_t)(p[-4] << 8 | p[-3]) - PLM_UDP_HDR;
	return hdr + *len <= frame->len ? p : NULL;
}

static void
tapped(struct sim_run *run, unsigned int worker, const struct plm_relay_frame *frame)
{
	struct sim_oracle *o = run->oracle;
	const struct sim_packet *packet;
	const struct room_trace *trace;
	struct packet_state *state;
	uint64_t *last;
	uint64_t in = UINT64_MAX;
	const uint8_t *payload;
	unsigned int came = 0;
	uint32_t idx = UINT32_MAX;
	size_t len;

	payload = datagram(frame, &len);
	if (payload != NULL)
		idx = sim_packet_find(run->plan, payload, len);
	if (idx == UINT32_MAX) {
		sim_fail(SIM_INV_TRACE, "a trace has %u bytes that nobody sent", frame->len);
		return;
	}
	packet = &run->plan->packets[idx];
	state = &o->packets[idx];
	trace = &o->traces[run->plan->peers[packet->peer].room];
	last = &o->tapped[worker][packet->peer][packet->addr][packet->kind == SIM_RTCP];
	for (unsigned int i = 0; i < packet->nb_arrivals; i++) {
		const uint64_t tick = o->arrivals[packet->arrivals[i]].in_tick;

		if (run->plan->arrivals[packet->arrivals[i]].corrupt || tick == 0)
			continue;
		came++;
		if (tick > *last && tick > trace->from_tick)
			in = RTE_MIN(in, tick);
	}
	state->nb_tapped++;
	SIM_EXPECT(state->nb_tapped <= came, TRACE,
			"a trace has packet %u %u times, it came %u times", idx, state->nb_tapped,
			came);
	SIM_EXPECT(!trace->quiet, TRACE, "packet %u is in a trace of a room that has none", idx);
	SIM_EXPECT(in != UINT64_MAX, TRACE,
			"a trace has packet %u after a later one, or of before it began", idx);
	*last = in;
}

void
sim_trace_read(struct sim_run *run, unsigned int worker, unsigned int most)
{
	struct plm_relay *relay = plm_ctl_relay(run->ctl);
	struct plm_relay_frame frame;

	while (most-- > 0 && !run->failed && plm_relay_trace_next(relay, worker, &frame)) {
		tapped(run, worker, &frame);
		plm_relay_trace_taken(relay, worker);
	}
}

/* Before what came is judged: how often must the reader have had it by now? */
void
sim_trace_due(struct sim_run *run, uint32_t packet_idx, uint64_t in, bool certain)
{
	const struct sim_packet *packet = &run->plan->packets[packet_idx];
	const struct room_trace *trace = &run->oracle->traces[run->plan->peers[packet->peer].room];

	if (certain && packet->kind == SIM_RTP && trace->in_view && trace->view_tick < in)
		run->oracle->packets[packet_idx].tap_least++;
}

/* What a packet lacks was counted as missed, and each miss excuses one. */
void
sim_trace_judge(struct sim_run *run, uint32_t packet_idx)
{
	struct sim_oracle *o = run->oracle;
	struct packet_state *state = &o->packets[packet_idx];
	const unsigned int got = state->nb_tapped + o->ledger->rx_dropped[packet_idx];
	uint64_t missed = 0;

	/* Judged before, maybe: it came more than once. */
	o->tap_lacking -= state->tap_lacking;
	state->tap_lacking = state->tap_least > got ? (uint8_t)(state->tap_least - got) : 0;
	o->tap_lacking += state->tap_lacking;
	if (state->tap_lacking == 0)
		return;
	for (unsigned int w = 0; w < run->nb_workers; w++)
		missed += plm_counter_get(plm_relay_counters(plm_ctl_relay(run->ctl), w),
				PLM_CNT_TRACE_MISSED);
	SIM_EXPECT(o->tap_lacking <= missed, TRACE,
			"packet %u is in no trace of its room: %" PRIu64 " are lacking, %" PRIu64
			" were missed",
			packet_idx, o->tap_lacking, missed);
}

void
sim_trace_rest(struct sim_run *run)
{
	for (unsigned int i = 0; i < run->plan->nb_rooms; i++) {
		struct room_trace *trace = &run->oracle->traces[i];

		if (!trace->on && !trace->in_view)
			trace->quiet = true;
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The slow path's turn. Everything in it is bounded: what a turn leaves, the next one goes on
 * with, and nothing waits. */
#include "ctl_priv.h"

void
plm_ctl_event(struct plm_ctl *ctl, const struct plm_event *event)
{
	if (ctl->conf.event != NULL && !ctl->conf.event(ctl->conf.event_ctx, event))
		plm_count(&ctl->counters, PLM_CNT_EVENTS_LOST);
}

static void
stall_event(struct plm_ctl *ctl, unsigned int worker, enum plm_event_type type)
{
	struct plm_event event = {
		.type = type,
		.now_ns = ctl->now_ns,
		.wall_s = ctl->wall_s,
		.code = (int)worker,
	};
	uint32_t stalled = atomic_load_explicit(&ctl->stalled, memory_order_relaxed);

	stalled = type == PLM_EVENT_STALL ? stalled | 1u << worker : stalled & ~(1u << worker);
	atomic_store_explicit(&ctl->stalled, stalled, memory_order_relaxed);
	plm_ctl_event(ctl, &event);
}

/* A worker that has begun and no longer turns is stalled. When we were not running ourselves for
 * a while (a stopped process, a suspended machine), everybody gets a fresh start. */
static void
watch(struct plm_ctl *ctl)
{
	uint64_t stall_ns = ctl->conf.stall_ns;
	uint64_t gap_ns = ctl->now_ns - ctl->watch_ns;

	if (ctl->conf.beats == NULL || stall_ns == 0 || gap_ns < stall_ns / 8)
		return;
	ctl->watch_ns = ctl->now_ns;
	for (unsigned int w = 0; w < ctl->conf.nb_workers; w++) {
		struct ctl_watch *watch = &ctl->watch[w];
		uint64_t beats = ctl->conf.beats(ctl->conf.lcore_ctx, w);
		bool is_stalled =
				atomic_load_explicit(&ctl->stalled, memory_order_relaxed) >> w & 1;

		if (beats != watch->beats) {
			watch->beats = beats;
			watch->changed_ns = ctl->now_ns;
			if (is_stalled)
				stall_event(ctl, w, PLM_EVENT_RECOVER);
		} else if (gap_ns >= stall_ns / 2 && watch->changed_ns != 0) {
			watch->changed_ns = ctl->now_ns;
		} else if (!is_stalled && watch->changed_ns != 0 &&
				ctl->now_ns - watch->changed_ns >= stall_ns) {
			stall_event(ctl, w, PLM_EVENT_STALL);
		}
	}
}

unsigned int
plm_ctl_turn(struct plm_ctl *ctl, uint64_t now_ns, uint64_t wall_s)
{
	unsigned int n;

	ctl->now_ns = now_ns;
	ctl->wall_s = wall_s;
	plm_relay_set_wall(ctl->relay, wall_s);

	n = ctl_input(ctl);
	if (ctl->quic != NULL)
		n += ctl_quic_turn(ctl);
	n += ctl_call_run(ctl);
	if (!ctl->announced) {
		ctl->announced = true;
		plm_net_announce(ctl->net, now_ns);
	}
	if (now_ns >= ctl->admit_due_ns) {
		ctl->admit_due_ns = plm_admit_timer(ctl->admit, now_ns, wall_s);
		ctl->net_due_ns = now_ns;
	}
	/* A move or other input may have started a resolution, which has a deadline of its own. */
	if (now_ns >= ctl->net_due_ns || n > 0)
		ctl->net_due_ns = plm_net_timer(ctl->net, now_ns);
	n += ctl_bye_flush(ctl);
	plm_room_turn(ctl->rooms, now_ns);
	plm_session_reclaim(ctl->sessions);
	watch(ctl);
	ctl_sample_some(ctl);
	return n;
}

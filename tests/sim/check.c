/* SPDX-License-Identifier: BSD-3-Clause */
/* The relay's own state, looked at from inside: whatever can be said without knowing the story. */
#include "check.h"

#include <stdlib.h>

#include "ctl_priv.h"
#include "guard.h"
#include "net_priv.h"
#include "oracle.h"
#include "quic.h"
#include "relay_priv.h"

#define VIEWS 8192
/* Views of at most so many members are summed up each time that a worker loads them. */
#define SUM_ALWAYS 16

/* A view that was published and not yet freed. */
struct seen {
	const struct plm_view *view;
	uint64_t sum;
	uint64_t turn[SIM_WORKERS]; /* in which a worker loaded it */
	uint32_t pins[SIM_WORKERS];
};

struct sim_check {
	struct seen views[VIEWS];
	unsigned int nb_views;
	uint64_t nb_loads;
	uint64_t noted[SIM_WORKERS][PLM_CNT_MAX]; /* drops that were reported */
	uint64_t made[SIM_WORKERS];               /* copies, at the end of the last turn */
	uint64_t moved[SIM_WORKERS];              /* what went through when sums were last taken */
	uint64_t ctl_frames;
	uint32_t members[SIM_ROOMS]; /* of a room's latest view */
};

void
sim_check_create(struct sim_run *run)
{
	run->check = calloc(1, sizeof(*run->check));
	if (run->check == NULL)
		abort();
}

void
sim_check_free(struct sim_run *run)
{
	free(run->check);
}

/* --- views ---------------------------------------------------------------------------------- */

/* Everything in a view that is constant. */
static uint64_t
view_sum(const struct plm_view *view)
{
	uint64_t sum = sim_hash(view->ranges, view->nb_ranges * sizeof(*view->ranges));

	sum ^= sim_hash(view, offsetof(struct plm_view, only));
	sum = sim_mix(sum ^ sim_hash(view->ages, view->nb_members * sizeof(*view->ages)));
	for (uint32_t i = 0; i < view->nb_members; i++)
		sum = sim_mix(sum ^ sim_hash(&view->subs[i], offsetof(struct plm_sub, left)));
	return sum;
}

static struct seen *
seen_get(struct sim_check *check, const struct plm_view *view)
{
	/* The latest are the likeliest. */
	for (unsigned int i = check->nb_views; i > 0; i--)
		if (check->views[i - 1].view == view)
			return &check->views[i - 1];
	return NULL;
}

/* A view says of its room what the room says of itself, in order. */
static void
view_whole(struct sim_run *run, const struct plm_view *view)
{
	struct plm_room_table *rooms = plm_ctl_rooms(run->ctl);
	unsigned int covered = 0;

	for (uint32_t i = 0; i < view->nb_members; i++) {
		const struct plm_member *m = plm_room_member(rooms, view->room_idx, i);
		const struct plm_sub *sub = &view->subs[i];

		if (m == NULL || sub->session_idx != m->session_idx ||
				sub->nexthop_idx != m->egress.nexthop_idx ||
				(sub->flags & (PLM_SUB_PUBLISHES | PLM_SUB_SUBSCRIBES)) !=
						m->flags ||
				memcmp(sub->hdr, m->egress.hdr, sizeof(sub->hdr)) != 0 ||
				atomic_load_explicit(&sub->left, memory_order_relaxed) != 0) {
			sim_fail(SIM_INV_VIEW,
					"entry %u of view %" PRIu64 " of room %u is not "
					"what it should be",
					i, view->seq, view->room_idx);
			return;
		}
	}
	SIM_EXPECT(plm_room_member(rooms, view->room_idx, view->nb_members) == NULL, VIEW,
			"view %" PRIu64 " of room %u lacks members", view->seq, view->room_idx);
	for (unsigned int r = 0; r < view->nb_ranges; r++) {
		const struct plm_range *range = &view->ranges[r];

		SIM_EXPECT(range->first == covered, VIEW, "ranges of room %u leave a gap",
				view->room_idx);
		covered += range->nb_members;
		for (uint32_t i = range->first; i + 1 < covered; i++)
			SIM_EXPECT(view->subs[i].session_idx < view->subs[i + 1].session_idx ||
							i + 1 == range->first + range->nb_subs,
					VIEW, "entries of room %u are not in order",
					view->room_idx);
		SIM_EXPECT(range->home < run->nb_workers && r >= view->first_range[range->home] &&
						r < view->first_range[range->home + 1],
				VIEW, "range %u of room %u is none of worker %u's", r,
				view->room_idx, range->home);
	}
	SIM_EXPECT(covered == view->nb_members, VIEW, "ranges of room %u cover %u of %u",
			view->room_idx, covered, view->nb_members);
}

/* Does the room cross the number from which on newcomers live anywhere? */
static void
spread_note(struct sim_run *run, const struct plm_view *view)
{
	const uint32_t above = run->plan->sizes.spread_above;
	uint32_t *members = &run->check->members[view->room_idx];

	if (view->seq == 1)
		*members = 0;
	if (above > 1 && run->nb_workers > 1) {
		run->fired.world[SIM_WORLD_SPREAD] += *members <= above && view->nb_members > above;
		run->fired.world[SIM_WORLD_GATHERED] +=
				*members > above && view->nb_members <= above;
	}
	*members = view->nb_members;
}

static void
view_published(struct sim_run *run, const struct plm_view *view)
{
	struct sim_check *check = run->check;

	if (view == NULL)
		return;
	view_whole(run, view);
	if (run->failed)
		return;
	spread_note(run, view);
	if (check->nb_views == VIEWS)
		abort();
	check->views[check->nb_views++] = (struct seen){ .view = view, .sum = view_sum(view) };
}

static void
view_loaded(struct sim_run *run, const struct sim_lcore *lcore, const struct plm_view *view)
{
	struct seen *seen;

	if (view == NULL || lcore == NULL)
		return;
	seen = seen_get(run->check, view);
	if (seen == NULL) {
		sim_fail(SIM_INV_VIEW, "worker %u loaded a view that was not published",
				lcore->worker);
		return;
	}
	seen->turn[lcore->worker] = lcore->turns + 1;
	run->check->nb_loads++;
	if (view->nb_members <= SUM_ALWAYS || run->check->nb_loads % 16 == 0)
		SIM_EXPECT(view_sum(view) == seen->sum, VIEW,
				"view %" PRIu64 " of room %u was written to", view->seq,
				view->room_idx);
}

static void
view_reclaimed(struct sim_run *run, const struct plm_view *view)
{
	struct sim_check *check = run->check;
	struct seen *seen = seen_get(check, view);

	if (seen == NULL) {
		sim_fail(SIM_INV_FREED, "a view is freed that was not published");
		return;
	}
	SIM_EXPECT(view_sum(view) == seen->sum, VIEW, "view %" PRIu64 " of room %u was written to",
			view->seq, view->room_idx);
	for (unsigned int w = 0; w < run->nb_workers; w++) {
		const struct sim_lcore *lcore = &run->lcores[w];

		SIM_EXPECT(!lcore->in_turn || seen->turn[w] != lcore->turns + 1, FREED,
				"view %" PRIu64
				" of room %u is freed in the turn in which worker %u "
				"loaded it",
				view->seq, view->room_idx, w);
		SIM_EXPECT(seen->pins[w] == 0, FREED,
				"view %" PRIu64 " of room %u is freed, worker %u has it pinned",
				view->seq, view->room_idx, w);
	}
	*seen = check->views[--check->nb_views];
}

bool
sim_check_older_view(const struct sim_run *run, uint32_t room_idx, uint64_t seq)
{
	const struct sim_check *check = run->check;

	for (unsigned int i = 0; i < check->nb_views; i++)
		if (check->views[i].view->room_idx == room_idx && check->views[i].view->seq < seq)
			return true;
	return false;
}

static void
view_pin(struct sim_run *run, const struct sim_lcore *lcore, const struct plm_view *view, int by)
{
	struct seen *seen = seen_get(run->check, view);

	if (lcore == NULL)
		return;
	if (seen == NULL)
		sim_fail(SIM_INV_FREED, "worker %u pins a view that is gone", lcore->worker);
	else
		seen->pins[lcore->worker] += (uint32_t)by;
}

/* --- sessions and next hops ------------------------------------------------------------------ */

static void
session_home(struct sim_run *run, const struct plm_session_hot *hot)
{
	const struct plm_session_table *sessions = plm_ctl_sessions(run->ctl);
	const uint32_t idx = (uint32_t)(hot - sessions->hot);

	for (unsigned int w = 0; w < run->nb_workers; w++)
		SIM_EXPECT(w == hot->home ||
						atomic_load_explicit(&sessions->tx[w][idx].packets,
								memory_order_relaxed) == 0,
				HOME, "worker %u sent to session %u, whose home is worker %u", w,
				idx, hot->home);
}

static void
session_freed(const struct plm_session_hot *hot)
{
	uint8_t *p = (uint8_t *)(uintptr_t)hot;
	const size_t from = offsetof(struct plm_session_hot, room_idx);

	memset(p + from, 0xdd, sizeof(*hot) - from);
}

static void
nexthop_set(const void *what, uint64_t mac)
{
	plm_nexthop_t *word = (plm_nexthop_t *)(uintptr_t)what;

	atomic_store_explicit(word, mac, memory_order_relaxed);
}

/* References are counted by one worker, or its line goes from core to core. */
static void
count_by(const struct sim_lcore *lcore, const struct rte_mbuf *payload)
{
	struct rte_mbuf *m = (struct rte_mbuf *)(uintptr_t)payload;

	if (lcore == NULL || m == NULL || !sim_is_rx(m))
		return;
	SIM_EXPECT(sim_counted(m) == 0 || sim_counted(m) == lcore->worker + 1, REFERENCES,
			"worker %u counts references of a payload that worker %u counts",
			lcore->worker, sim_counted(m) - 1);
	sim_counted(m) = lcore->worker + 1;
}

/* --- sums and budgets ----------------------------------------------------------------------- */

static uint64_t
class_sum(const struct plm_counters *c, enum plm_counter_class class)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < PLM_CNT_MAX; i++)
		if (plm_counter_defs[i].class == class)
			sum += plm_counter_get(c, (enum plm_counter)i);
	return sum;
}

static uint64_t
get(const struct plm_counters *c, enum plm_counter id)
{
	return plm_counter_get(c, id);
}

/* Most turns find nothing to do, and leave the sums as they are. */
static bool
has_moved(struct sim_run *run, unsigned int w)
{
	const struct plm_counters *c = plm_relay_counters(plm_ctl_relay(run->ctl), w);
	uint64_t moved = get(c, PLM_CNT_RX_PACKETS) + get(c, PLM_CNT_CROSSED_IN) +
			get(c, PLM_CNT_COPIES_DUE) + get(c, PLM_CNT_COPIES_SENT) +
			get(c, PLM_CNT_COPIES_HANDED) + get(c, PLM_CNT_CARRIED_IN);

	if (moved == run->check->moved[w])
		return false;
	run->check->moved[w] = moved;
	return true;
}

static void
worker_sums(struct sim_run *run, unsigned int w, bool is_turn)
{
	const struct relay_worker *worker = plm_ctl_relay(run->ctl)->workers[w];
	const struct plm_counters *c = &worker->counters;
	uint64_t in = get(c, PLM_CNT_RX_PACKETS) + get(c, PLM_CNT_CROSSED_IN) +
			get(c, PLM_CNT_QUIC_BACK);
	uint64_t out = get(c, PLM_CNT_TO_CTL) + get(c, PLM_CNT_CROSSED_OUT) +
			get(c, PLM_CNT_MEDIA) + get(c, PLM_CNT_RTCP) + get(c, PLM_CNT_QUIC_IN) +
			class_sum(c, PLM_CLASS_RX_DROP);
	uint64_t dropped = class_sum(c, PLM_CLASS_COPY_DROP);
	uint64_t made = get(c, PLM_CNT_COPIES_SENT) + get(c, PLM_CNT_COPIES_HANDED);
	uint64_t carried = get(c, PLM_CNT_CARRIED_SENT) + class_sum(c, PLM_CLASS_CARRY_DROP);
	uint64_t due = get(c, PLM_CNT_COPIES_DUE);
	struct sim_check *check = run->check;

	for (unsigned int p = 0; p < worker->nb_ports; p++) {
		made += worker->txq[p].pending[PLM_TX_COPY];
		carried += worker->txq[p].pending[PLM_TX_CARRY];
	}
	SIM_EXPECT(in == out, SUMS, "worker %u received %" PRIu64 " and accounts for %" PRIu64, w,
			in, out);
	SIM_EXPECT(due == made + dropped, SUMS,
			"worker %u owed %" PRIu64 " copies and accounts for %" PRIu64, w, due,
			made + dropped);
	SIM_EXPECT(get(c, PLM_CNT_CARRIED_IN) == carried, SUMS,
			"worker %u took over %" PRIu64 " frames and accounts for %" PRIu64, w,
			get(c, PLM_CNT_CARRIED_IN), carried);
	SIM_EXPECT(!is_turn || made - check->made[w] <= run->plan->sizes.turn_copies, BUDGET,
			"worker %u made %" PRIu64 " copies in a turn of %u", w,
			made - check->made[w], run->plan->sizes.turn_copies);
	check->made[w] = made;
}

static unsigned int
worker_of(struct sim_run *run, const void *counters)
{
	unsigned int w = 0;

	while (w < run->nb_workers && plm_relay_counters(plm_ctl_relay(run->ctl), w) != counters)
		w++;
	return w;
}

void
sim_check_drop(struct sim_run *run, const void *counters, enum plm_counter why)
{
	unsigned int w = worker_of(run, counters);

	if (w < run->nb_workers)
		run->check->noted[w][why]++;
}

void
sim_check_sums(struct sim_run *run)
{
	struct plm_relay *relay = plm_ctl_relay(run->ctl);
	uint64_t crossed_in = 0;
	uint64_t crossed_out = 0;
	uint64_t slices_in = 0;
	uint64_t slices_out = 0;
	uint64_t handed = 0;
	uint64_t carried = 0;
	uint64_t quic = 0; /* of those that were not copies; the owner of the queue may have carried them */

	if (run->failed)
		return;
	for (unsigned int w = 0; w < run->nb_workers; w++) {
		const struct plm_counters *c = plm_relay_counters(relay, w);

		worker_sums(run, w, false);
		crossed_in += get(c, PLM_CNT_CROSSED_IN);
		crossed_out += get(c, PLM_CNT_CROSSED_OUT);
		slices_in += get(c, PLM_CNT_SLICES_IN);
		slices_out += get(c, PLM_CNT_SLICES_OUT);
		handed += get(c, PLM_CNT_COPIES_HANDED);
		carried += get(c, PLM_CNT_CARRIED_IN);
		quic += get(c, PLM_CNT_QUIC_OUT);
		for (unsigned int i = 0; i < PLM_CNT_MAX; i++) {
			enum plm_counter_class class = plm_counter_defs[i].class;

			if ((class != PLM_CLASS_RX_DROP && class != PLM_CLASS_COPY_DROP) ||
					i == PLM_CNT_COPY_STOPPED)
				continue;
			SIM_EXPECT(get(c, (enum plm_counter)i) == run->check->noted[w][i], DROPS,
					"worker %u dropped %" PRIu64 " as %s and counted %" PRIu64,
					w, run->check->noted[w][i], plm_counter_defs[i].name,
					get(c, (enum plm_counter)i));
		}
	}
	SIM_EXPECT(crossed_in == crossed_out, SUMS, "%" PRIu64 " crossed out, %" PRIu64 " in",
			crossed_out, crossed_in);
	SIM_EXPECT(slices_in == slices_out, SUMS, "%" PRIu64 " slices out, %" PRIu64 " in",
			slices_out, slices_in);
	SIM_EXPECT(handed <= carried && carried <= handed + quic, SUMS,
			"%" PRIu64 " handed, %" PRIu64 " carried", handed, carried);
}

void
sim_check_ctl_begin(struct sim_run *run)
{
	run->check->ctl_frames = get(plm_ctl_counters(run->ctl), PLM_CNT_CTL_FRAMES_IN);
}

void
sim_check_ctl_end(struct sim_run *run)
{
	const struct plm_ctl *ctl = run->ctl;
	uint64_t n = get(plm_ctl_counters(ctl), PLM_CNT_CTL_FRAMES_IN) - run->check->ctl_frames;

	SIM_EXPECT(n <= (uint64_t)run->nb_workers * (ctl->known_budget + ctl->unknown_budget),
			BUDGET, "the slow path took %" PRIu64 " packets in a turn", n);
	SIM_EXPECT(plm_room_backlog(ctl->rooms) <= run->plan->sizes.max_backlog, BUDGET,
			"%u views wait for reclamation", plm_room_backlog(ctl->rooms));
}

/* --- at rest -------------------------------------------------------------------------------- */

void
sim_check_claims(struct sim_run *run)
{
	const struct plm_session_table *sessions = plm_ctl_sessions(run->ctl);
	struct plm_handle h;

	for (uint32_t from = 0; plm_admit_next(plm_ctl_admit(run->ctl), from, &h) == 0;
			from = h.idx + 1) {
		const struct plm_session_hot *hot = &sessions->hot[h.idx];

		session_home(run, hot);
		SIM_EXPECT(hot->claims_pending == 0, CONTROL,
				"session %u still has %u SSRCs to claim", h.idx,
				hot->claims_pending);
		for (unsigned int i = 0; i < hot->nb_streams; i++) {
			plm_sref_t owner = plm_session_ssrc_owner(sessions, hot->room_idx,
					hot->streams[i].ssrc);

			SIM_EXPECT(owner == plm_sref(h.idx, h.gen, 0), CONTROL,
					"session %u sends from SSRC %08x, which is not its own",
					h.idx, hot->streams[i].ssrc);
		}
	}
}

static uint32_t
hash_keys(const struct rte_hash *hash)
{
	const void *key;
	void *value;
	uint32_t next = 0;
	uint32_t n = 0;

	while (rte_hash_iterate(hash, &key, &value, &next) >= 0)
		n++;
	return n;
}

void
sim_check_empty(struct sim_run *run)
{
	const struct plm_ctl *ctl = run->ctl;
	const struct plm_session_table *sessions = ctl->sessions;
	uint64_t to_ctl = 0;

	SIM_EXPECT(plm_session_nb_open(sessions) == 0, EMPTY, "%u sessions are open",
			plm_session_nb_open(sessions));
	SIM_EXPECT(plm_session_nb_pending(sessions) == 0, EMPTY, "%u sessions wait",
			plm_session_nb_pending(sessions));
	SIM_EXPECT(plm_room_nb_open(ctl->rooms) == 0, EMPTY, "%u rooms are open",
			plm_room_nb_open(ctl->rooms));
	SIM_EXPECT(plm_room_backlog(ctl->rooms) == 0, EMPTY, "%u views wait",
			plm_room_backlog(ctl->rooms));
	SIM_EXPECT(run->check->nb_views == 0, EMPTY, "%u views were never freed",
			run->check->nb_views);
	SIM_EXPECT(hash_keys(sessions->by_tuple4) == 0 && hash_keys(sessions->by_tuple6) == 0,
			EMPTY, "addresses are left in the tables");
	SIM_EXPECT(hash_keys(sessions->by_ssrc) == 0, EMPTY, "%u SSRCs are left",
			hash_keys(sessions->by_ssrc));
	SIM_EXPECT(ctl->nb_byes == 0, EMPTY, "%u BYEs wait", ctl->nb_byes);
	for (unsigned int w = 0; w < run->nb_workers; w++) {
		SIM_EXPECT(!ctl->has_revoke[w], EMPTY, "a revocation for worker %u waits", w);
		SIM_EXPECT(plm_admit_nb_homed(ctl->admit, w) == 0, EMPTY,
				"worker %u is home to %u sessions", w,
				plm_admit_nb_homed(ctl->admit, w));
		SIM_EXPECT(plm_relay_parked(ctl->relay, w) == 0, EMPTY, "worker %u has %u parked",
				w, plm_relay_parked(ctl->relay, w));
		to_ctl += get(plm_relay_counters(ctl->relay, w), PLM_CNT_TO_CTL);
	}
	SIM_EXPECT(to_ctl == get(&ctl->counters, PLM_CNT_CTL_FRAMES_IN), SUMS,
			"%" PRIu64 " packets for the slow path, which took %" PRIu64, to_ctl,
			get(&ctl->counters, PLM_CNT_CTL_FRAMES_IN));
	for (uint32_t i = 0; i < ctl->net->nb_neighs; i++)
		SIM_EXPECT(ctl->net->neighs[i].refs <= (i < ctl->net->nb_locals ? 1u : 0u), EMPTY,
				"next hop %u has %u references", i, ctl->net->neighs[i].refs);
	sim_wzp_empty(run);
}

/* --- points --------------------------------------------------------------------------------- */

void
sim_check_point(struct sim_run *run, enum plm_sched_site site, const void *what)
{
	const struct sim_lcore *lcore = sim_lcore_self();

	switch (site) {
	case PLM_SCHED_VIEW_LOADED:
		view_loaded(run, lcore, what);
		break;
	case PLM_SCHED_VIEW_PUBLISH:
		view_published(run, what);
		break;
	case PLM_SCHED_VIEW_RECLAIM:
		view_reclaimed(run, what);
		break;
	case PLM_SCHED_VIEW_PIN:
		view_pin(run, lcore, what, 1);
		break;
	case PLM_SCHED_VIEW_UNPIN:
		view_pin(run, lcore, what, -1);
		break;
	case PLM_SCHED_REF_ADD:
	case PLM_SCHED_REF_DROP:
		count_by(lcore, what);
		break;
	case PLM_SCHED_SESSION_END:
		session_home(run, what);
		break;
	case PLM_SCHED_SESSION_FREE:
		session_freed(what);
		break;
	case PLM_SCHED_NEXTHOP_FREE:
		nexthop_set(what, SIM_POISON_MAC);
		break;
	case PLM_SCHED_NEXTHOP_TAKE:
		nexthop_set(what, 0);
		break;
	case PLM_SCHED_TURN_END:
		if (lcore == NULL || !has_moved(run, lcore->worker))
			break;
		worker_sums(run, lcore->worker, true);
		break;
	case PLM_SCHED_QUIC_TOUCH:
	case PLM_SCHED_QUIC_KEY:
	case PLM_SCHED_QUIC_SEAL:
	case PLM_SCHED_QUIC_EXTENT:
		sim_quic_point(run, lcore, site, what);
		break;
	default:
		break;
	}
}

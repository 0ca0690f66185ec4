/* SPDX-License-Identifier: BSD-3-Clause */
/* Turns: which lcore goes on, how far, with how many packets, and how much time that takes. And the
 * simulator's half of plm_sim.h: points give way to others, sites fail, as the seed says. */
#include <stdlib.h>

#include "check.h"
#include "ctl_priv.h"
#include "net.h"
#include "oracle.h"
#include "quic.h"
#include "relay_priv.h"

/* Steps without rest after which the relay is given no more packets until it is at rest. */
#define CALM_LEAST 100
#define CALM_MOST  1500
/* Bounds of the phases after the story; a relay that needs more is stuck. */
#define PHASE_STEPS 400000
/* How far time moves on when nothing happens. */
#define QUIET_NS (16 * PLM_NS_PER_MS)
#define BUSY_NS  (200 * PLM_NS_PER_US)

enum plm_mutant plm_sim_mutant;

/* A moment of an operation that no packet carries. */
struct moment {
	uint64_t at_ns;
	uint32_t op;
	bool is_end;
};

struct sched {
	struct moment *moments;
	uint32_t nb, next;
	uint32_t ctl[64]; /* moments that wait for the slow path's turn */
	unsigned int nb_ctl;
	uint64_t calm_step; /* from here on no packets until rest */
	uint64_t wire_ns;   /* when frames were last sent */
	bool drain;         /* end every session */
	bool rested;        /* the last step found everybody idle, and the relay at rest */
	bool finishing;     /* nobody found anything: turns that go on are ended first */
};

static struct sched sched;

struct sim_lcore *
sim_lcore_self(void)
{
	const struct sim_fiber *self = sim_fiber_self();

	if (self == NULL || sim == NULL)
		return NULL;
	for (unsigned int i = 0; i <= sim->nb_workers; i++)
		if (sim->lcores[i].fiber == self)
			return &sim->lcores[i];
	return NULL;
}

/* --- the simulator's half of plm_sim.h ------------------------------------------------------- */

/* Stay away for a while: in the middle of a turn, as if the CPU had been taken, or asleep. */
static void
nap(struct sim_run *run, struct sim_lcore *lcore)
{
	if (run->plan->pace.nap > 0 && !run->settling)
		lcore->nap_step = run->step + sim_below(&run->rng, run->plan->pace.nap);
}

static void
give_way(void)
{
	do
		sim_fiber_yield();
	while (sim->failed); /* nothing of this process goes on any more */
}

void
plm_sim_point(enum plm_sched_site site, const void *what)
{
	struct sim_run *run = sim;
	struct sim_lcore *lcore;

	if (run == NULL || run->ctl == NULL)
		return;
	lcore = sim_lcore_self();
	if (lcore == NULL)
		return;
	run->fired.point[site]++;
	sim_check_point(run, site, what);
	switch (site) {
	case PLM_SCHED_VIEW_PUBLISH:
		sim_oracle_published(run, what);
		break;
	case PLM_SCHED_VIEW_RECLAIM:
		sim_oracle_reclaimed(run);
		break;
	case PLM_SCHED_TOMBSTONE:
		sim_oracle_tombstone(run);
		break;
	case PLM_SCHED_TURN_END:
		lcore->in_turn = false; /* it holds nothing any more */
		sim_oracle_turn_end(run, lcore->worker);
		break;
	case PLM_SCHED_TX:
		sim_net_collect(run);
		break;
	default:
		break;
	}
	if (run->failed) {
		give_way();
	} else if (!sched.finishing && sim_chance(&run->rng, run->plan->pace.preempt)) {
		run->fired.yield[site]++;
		if (sim_chance(&run->rng, run->plan->pace.naps))
			nap(run, lcore);
		give_way();
	}
}

bool
plm_sim_fault(enum plm_fault_site site)
{
	struct sim_run *run = sim;

	if (run == NULL || run->fault[site] == 0 || run->settling ||
			!sim_chance(&run->rng, run->fault[site]))
		return false;
	run->fired.site[site]++;
	return true;
}

void
plm_sim_drop(const void *counters, const struct rte_mbuf *m, int counter)
{
	if (sim == NULL || sim->ctl == NULL)
		return;
	sim_check_drop(sim, counters, (enum plm_counter)counter);
	sim_oracle_dropped(sim, m, (enum plm_counter)counter);
}

void
plm_sim_copy_drop(const void *counters, const struct rte_mbuf *payload, uint32_t session_idx,
		int counter)
{
	if (sim == NULL || sim->ctl == NULL)
		return;
	sim_check_drop(sim, counters, (enum plm_counter)counter);
	sim_oracle_copy_dropped(sim, payload, session_idx, (enum plm_counter)counter);
}

void
plm_sim_copied(struct rte_mbuf *to, const struct rte_mbuf *from)
{
	sim_tag(to) = sim_tag(from);
	sim_held(to) = 0;
	sim_counted(to) = 0;
}

/* --- lcores --------------------------------------------------------------------------------- */

static uint64_t
lcore_now(struct sim_run *run, struct sim_lcore *lcore)
{
	uint64_t now_ns = run->now_ns;

	if (run->late_until[lcore->worker] > now_ns) {
		now_ns -= run->late_ns[lcore->worker];
		run->fired.world[SIM_WORLD_LATE_CLOCK]++;
	}
	/* Late, but never back. */
	return RTE_MAX(now_ns, lcore->now_ns);
}

static void
worker_body(struct sim_lcore *lcore)
{
	while (!lcore->stop) {
		struct sim_run *run = sim;
		unsigned int done;

		if (lcore->offline) {
			plm_rcu_online(plm_ctl_rcu(run->ctl), lcore->worker);
			lcore->offline = false;
		}
		lcore->now_ns = lcore_now(run, lcore);
		lcore->in_turn = true;
		done = plm_relay_turn(plm_ctl_relay(run->ctl), lcore->worker, lcore->now_ns);
		lcore->in_turn = false;
		lcore->turns++;
		lcore->idle = done == 0 ? lcore->idle + 1 : 0;
		/* As plm_lcore_loop() does it. */
		if (lcore->idle > 2 && sim_chance(&run->rng, 256)) {
			plm_rcu_offline(plm_ctl_rcu(run->ctl), lcore->worker);
			lcore->offline = true;
			run->fired.world[SIM_WORLD_OFFLINE]++;
			if (sim_chance(&run->rng, 4u * run->plan->pace.naps))
				nap(run, lcore);
		}
		sim_fiber_yield();
	}
}

static void
kick(struct sim_run *run, const struct sim_op *op, uint64_t now_ns, uint64_t wall_s)
{
	const struct sim_peer *peer = &run->plan->peers[op->peer];
	struct plm_admit *admit = plm_ctl_admit(run->ctl);
	struct plm_handle session;

	if (peer->is_quic) {
		sim_quic_kick(run, peer, now_ns, wall_s);
		return;
	}
	if (plm_admit_find(admit, run->plan->rooms[peer->room].name, peer->name, &session) < 0)
		return;
	sim_oracle_kicking(run);
	sim_oracle_kicked(run, peer, plm_admit_kick(admit, session, now_ns, wall_s));
}

static void
set_max(struct sim_run *run, const struct sim_op *op, uint64_t now_ns)
{
	struct plm_room_table *rooms = plm_ctl_rooms(run->ctl);
	struct plm_room_info info;
	uint32_t idx;

	if (plm_room_find(rooms, 'r', run->plan->rooms[op->room].name, &idx) < 0 ||
			plm_room_info(rooms, idx, &info) < 0)
		return;
	info.settings.max_members = op->a;
	if (plm_room_set(rooms, idx, &info.settings, now_ns) == 0)
		sim_oracle_max(run, op->room, op->a);
}

static void
reload(struct sim_run *run, const struct sim_op *op)
{
	struct plm_secrets secrets = { .nb = 2 };

	secrets.s[0].len = secrets.s[1].len = 32;
	sim_secret(op->a, secrets.s[0].key);
	sim_secret(op->b, secrets.s[1].key);
	plm_admit_set_secrets(plm_ctl_admit(run->ctl), &secrets);
	sim_oracle_secrets(run, op->a, op->b);
}

/* What an operator asked for, between two turns as plm_ctl_call() has it. */
static void
operate(struct sim_run *run, const struct moment *moment, uint64_t now_ns, uint64_t wall_s)
{
	const struct sim_op *op = &run->plan->ops[moment->op];

	switch (op->type) {
	case SIM_OP_KICK:
		kick(run, op, now_ns, wall_s);
		break;
	case SIM_OP_SET_MAX:
		set_max(run, op, now_ns);
		break;
	case SIM_OP_RELOAD:
		reload(run, op);
		break;
	case SIM_OP_STATICS:
		sim_statics_set(run, op->a);
		break;
	case SIM_OP_TRACE:
		sim_trace_set(run, op->room, !moment->is_end, now_ns);
		break;
	case SIM_OP_DRAIN:
		plm_ctl_drain(run->ctl, !moment->is_end);
		sim_oracle_draining(run, !moment->is_end);
		break;
	default:
		break;
	}
}

static void
ctl_body(struct sim_lcore *lcore)
{
	while (!lcore->stop) {
		struct sim_run *run = sim;
		unsigned int done;
		uint64_t wall_s;

		lcore->now_ns = lcore_now(run, lcore);
		wall_s = SIM_WALL_S + (lcore->now_ns - SIM_EPOCH_NS) / PLM_NS_PER_S;
		lcore->in_turn = true;
		for (unsigned int i = 0; i < sched.nb_ctl; i++)
			operate(run, &sched.moments[sched.ctl[i]], lcore->now_ns, wall_s);
		sched.nb_ctl = 0;
		if (run->quic != NULL)
			sim_quic_tell(run);
		sim_check_ctl_begin(run);
		done = plm_ctl_turn(run->ctl, lcore->now_ns, wall_s);
		sim_check_ctl_end(run);
		if (sched.drain)
			plm_ctl_end_all(run->ctl, lcore->now_ns, wall_s);
		sim_oracle_ctl_turn(run, lcore);
		lcore->in_turn = false;
		lcore->turns++;
		lcore->idle = done == 0 ? lcore->idle + 1 : 0;
		if (run->failed)
			give_way();
		sim_fiber_yield();
	}
}

/* --- operations ----------------------------------------------------------------------------- */

static int
moment_cmp(const void *a, const void *b)
{
	const struct moment *x = a;
	const struct moment *y = b;

	if (x->at_ns != y->at_ns)
		return x->at_ns < y->at_ns ? -1 : 1;
	if (x->op != y->op)
		return x->op < y->op ? -1 : 1;
	return (x->is_end > y->is_end) - (x->is_end < y->is_end);
}

static void
moments_make(const struct sim_plan *plan)
{
	sched = (struct sched){ 0 };
	sched.moments = calloc(2 * plan->nb_ops + 1, sizeof(*sched.moments));
	if (sched.moments == NULL)
		abort();
	for (uint32_t i = 0; i < plan->nb_ops; i++) {
		const struct sim_op *op = &plan->ops[i];

		if (op->off || op->type < SIM_OP_KICK)
			continue;
		sched.moments[sched.nb++] = (struct moment){ SIM_EPOCH_NS + op->t0, i, false };
		if (op->t1 > op->t0)
			sched.moments[sched.nb++] =
					(struct moment){ SIM_EPOCH_NS + op->t1, i, true };
	}
	qsort(sched.moments, sched.nb, sizeof(*sched.moments), moment_cmp);
}

static unsigned int
lcore_of(const struct sim_run *run, uint32_t a)
{
	return a == SIM_LCORE_CTL ? run->nb_workers : a % run->nb_workers;
}

static void
happen(struct sim_run *run, uint32_t idx)
{
	const struct moment *moment = &sched.moments[idx];
	const struct sim_op *op = &run->plan->ops[moment->op];
	const uint64_t until = SIM_EPOCH_NS + op->t1;

	sim_trace_word(&run->trace, UINT64_C(0x0b) << 56 | moment->op << 1 | moment->is_end);
	if (run->trace.file != NULL) {
		char buf[256];
		struct plm_text text;

		plm_text_init(&text, buf, sizeof(buf));
		sim_op_text(run->plan, moment->op, &text);
		SIM_TRACE(&run->trace, "%.6f %s of %s\n",
				(double)(run->now_ns - SIM_EPOCH_NS) / 1e9,
				moment->is_end ? "end" : "begin", buf);
	}
	switch (op->type) {
	case SIM_OP_FAULTS:
		run->fault[op->a] = moment->is_end ? 0 : (uint16_t)op->b;
		break;
	case SIM_OP_STALL:
		if (moment->is_end)
			break;
		run->stalled_until[lcore_of(run, op->a)] =
				RTE_MAX(run->stalled_until[lcore_of(run, op->a)], until);
		if (!moment->is_end)
			run->fired.world[op->a == SIM_LCORE_CTL ? SIM_WORLD_CTL_STALL
								: SIM_WORLD_WORKER_STALL]++;
		break;
	case SIM_OP_LATE:
		if (moment->is_end)
			break;
		run->late_until[lcore_of(run, op->a)] = until;
		run->late_ns[lcore_of(run, op->a)] = op->b;
		break;
	case SIM_OP_NIC:
		run->wire_slow = moment->is_end ? 1 : op->a;
		break;
	case SIM_OP_FAILOVER:
		if (moment->is_end)
			break;
		run->fired.world[SIM_WORLD_FAILOVER]++;
		sim_net_failover(run, &run->plan->peers[op->peer].addrs[op->addr], op->a != 0);
		break;
	default:
		if (op->type >= SIM_OP_CONNECT) {
			sim_quic_happen(run, moment->op, moment->is_end);
			break;
		}
		if (sched.nb_ctl == RTE_DIM(sched.ctl))
			abort();
		sched.ctl[sched.nb_ctl++] = idx;
		break;
	}
}

/* --- steps ---------------------------------------------------------------------------------- */

bool
sim_at_rest(const struct sim_run *run)
{
	const struct plm_ctl *ctl = run->ctl;

	for (unsigned int i = 0; i <= run->nb_workers; i++)
		if (run->lcores[i].in_turn)
			return false;
	for (unsigned int p = 0; p < run->plan->sizes.nb_ports; p++)
		for (unsigned int q = 0; q < run->ports[p].nb_queues; q++)
			if (!rte_ring_empty(sim_rx_ring(p, q)))
				return false;
	if (ctl->nb_byes > 0 || sched.nb_ctl > 0)
		return false;
	for (unsigned int w = 0; w < run->nb_workers; w++) {
		const struct relay_worker *worker = ctl->relay->workers[w];

		if (plm_relay_parked(ctl->relay, w) > 0 || ctl->has_revoke[w] ||
				worker->claim_head != RELAY_CLAIM_END ||
				!rte_ring_empty(worker->known.ring) ||
				!rte_ring_empty(worker->unknown.ring) ||
				!rte_ring_empty(worker->down.ring))
			return false;
		for (unsigned int from = 0; from < run->nb_workers; from++)
			if (worker->lent[from] > 0)
				return false;
		for (unsigned int from = 0; from < run->nb_workers; from++)
			if (from != w &&
					(!rte_ring_empty(worker->cross_in[from].ring) ||
							!rte_ring_empty(worker->slice_in[from]
											.ring)))
				return false;
		for (unsigned int i = 0; i < worker->nb_carry; i++)
			if (!rte_ring_empty(worker->carry[i]->box.ring))
				return false;
	}
	return true;
}

static bool
stalled(const struct sim_run *run, unsigned int lcore)
{
	return !run->settling &&
			(run->stalled_until[lcore] > run->now_ns ||
					run->lcores[lcore].nap_step > run->step);
}

/* The wire has sent what it can in the time that passed. */
static void
wire(struct sim_run *run)
{
	uint64_t per_ms = run->settling ? 100000 : run->plan->pace.wire_fps / run->wire_slow;
	uint64_t n = (run->now_ns - sched.wire_ns) * per_ms / PLM_NS_PER_MS;

	if (n == 0)
		return;
	sched.wire_ns = run->now_ns;
	sim_net_send(run, (unsigned int)RTE_MIN(n, 1u << 20));
}

static void
feed(struct sim_run *run, unsigned int worker)
{
	bool calm = run->step >= sched.calm_step && !run->settling;

	if (calm)
		return;
	for (unsigned int p = 0; p < run->plan->sizes.nb_ports; p++)
		for (unsigned int q = 0; q < run->ports[p].nb_queues; q++)
			if (run->conf.queue_owner[p][q] == worker && sim_net_waiting(run, p, q) > 0)
				sim_net_give(run, p, q,
						(unsigned int)sim_range(&run->rng, 1,
								run->plan->pace.rx_most));
}

static unsigned int
choose(struct sim_run *run)
{
	const unsigned int nb = run->nb_workers + 1;
	const unsigned int slow = (unsigned int)(run->plan->seed % nb);

	sched.finishing = true;
	for (unsigned int i = 0; i < nb; i++)
		sched.finishing &= stalled(run, i) || run->lcores[i].idle > 0;
	for (unsigned int i = 0; i < nb && sched.finishing; i++)
		if (run->lcores[i].in_turn && !stalled(run, i))
			return i;
	for (unsigned int tries = 0; tries < 64; tries++) {
		unsigned int i = (unsigned int)sim_below(&run->rng, nb);

		if (stalled(run, i))
			continue;
		if (i == slow && sim_below(&run->rng, 16) < run->plan->pace.bias)
			continue;
		return i;
	}
	return nb; /* everybody stands still */
}

static bool
anything_waits(const struct sim_run *run)
{
	for (unsigned int p = 0; p < run->plan->sizes.nb_ports; p++)
		for (unsigned int q = 0; q < run->ports[p].nb_queues; q++)
			if (sim_net_waiting(run, p, q) > 0)
				return true;
	return false;
}

/* Nobody found anything to do: on to when something happens. */
static void
pass_time(struct sim_run *run)
{
	bool soon = plm_room_backlog(plm_ctl_rooms(run->ctl)) > 0 ||
			plm_session_nb_pending(plm_ctl_sessions(run->ctl)) > 0;
	uint64_t to_ns;

	for (unsigned int i = 0; i <= run->nb_workers; i++)
		soon |= run->lcores[i].nap_step > run->step;
	to_ns = run->now_ns + (soon ? BUSY_NS : QUIET_NS);

	to_ns = RTE_MIN(to_ns, RTE_MAX(sim_net_next(run), run->now_ns + 1));
	to_ns = RTE_MIN(to_ns, RTE_MAX(sim_quic_next(run), run->now_ns + 1));
	if (sched.next < sched.nb)
		to_ns = RTE_MIN(to_ns, RTE_MAX(sched.moments[sched.next].at_ns, run->now_ns + 1));
	run->now_ns = to_ns;
	for (unsigned int i = 0; i <= run->nb_workers; i++)
		run->lcores[i].idle = 0;
}

static bool
all_idle(const struct sim_run *run)
{
	for (unsigned int i = 0; i <= run->nb_workers; i++)
		if (!stalled(run, i) && (run->lcores[i].idle == 0 || run->lcores[i].in_turn))
			return false;
	return true;
}

static void
step(struct sim_run *run)
{
	unsigned int i;

	run->step++;
	while (sched.next < sched.nb && sched.moments[sched.next].at_ns <= run->now_ns)
		happen(run, sched.next++);
	sim_net_advance(run);
	sim_quic_advance(run);
	wire(run);
	i = choose(run);
	if (i > run->nb_workers) {
		run->now_ns += PLM_NS_PER_MS;
		return;
	}
	if (i < run->nb_workers && !run->lcores[i].in_turn)
		feed(run, i);
	sim_fiber_resume(run->lcores[i].fiber);
	run->now_ns += sim_range(&run->rng, 1, run->plan->pace.step_ns);
	sched.rested = false;
	if (run->tracing && sim_chance(&run->rng, 64))
		sim_trace_read(run, (unsigned int)sim_below(&run->rng, run->nb_workers), 8);
	if (run->failed || !all_idle(run))
		return;
	if (sim_at_rest(run)) {
		sched.rested = true;
		sim_oracle_rest(run);
		if (run->step >= sched.calm_step)
			sched.calm_step = run->step + sim_range(&run->rng, CALM_LEAST, CALM_MOST);
	}
	if (!anything_waits(run) || run->step >= sched.calm_step)
		pass_time(run);
}

static void
stuck(const struct sim_run *run, const char *what)
{
	char buf[384];
	struct plm_text text;

	plm_text_init(&text, buf, sizeof(buf));
	for (unsigned int i = 0; i <= run->nb_workers; i++)
		plm_text_add(&text, " %s%u", run->lcores[i].in_turn ? "in a turn, idle " : "idle ",
				run->lcores[i].idle);
	for (unsigned int w = 0; w < run->nb_workers; w++)
		plm_text_add(&text, "; parked %u", plm_relay_parked(run->ctl->relay, w));
	sim_fail(SIM_INV_STUCK,
			"%s takes more than %u steps: %u views, %u sessions wait, %s, lcores%s",
			what, PHASE_STEPS, plm_room_backlog(run->ctl->rooms),
			plm_session_nb_pending(run->ctl->sessions),
			sched.rested ? "at rest" : "not at rest", buf);
}

/* Steps until it holds, or until there were too many. */
static bool
until(struct sim_run *run, bool (*holds)(const struct sim_run *run), const char *what)
{
	for (uint64_t n = 0; !run->failed; n++) {
		if (holds(run))
			return true;
		if (n == PHASE_STEPS) {
			stuck(run, what);
			break;
		}
		step(run);
	}
	return false;
}

static bool
story_over(const struct sim_run *run)
{
	return run->step >= run->max_steps ||
			(run->now_ns >= SIM_EPOCH_NS + run->plan->end_ns &&
					sim_net_next(run) == UINT64_MAX && !anything_waits(run) &&
					sched.next == sched.nb);
}

static uint64_t settled_ns;

/* At rest, and for so long that every publication and retry has had its time. */
static bool
settled(const struct sim_run *run)
{
	return run->now_ns >= settled_ns && sched.rested;
}

static bool
everybody_left(const struct sim_run *run)
{
	return sim_oracle_nb_open(run) == 0 && plm_session_nb_open(plm_ctl_sessions(run->ctl)) == 0;
}

static bool
nothing_left(const struct sim_run *run)
{
	return settled(run) && plm_session_nb_pending(plm_ctl_sessions(run->ctl)) == 0 &&
			plm_room_backlog(plm_ctl_rooms(run->ctl)) == 0 &&
			plm_room_nb_open(plm_ctl_rooms(run->ctl)) == 0 && sim_quic_is_over(run);
}

static void
lcore_body(void *arg)
{
	struct sim_lcore *lcore = arg;

	if (lcore->worker == sim->nb_workers)
		ctl_body(lcore);
	else
		worker_body(lcore);
}

/* Fibers outlive a run: they are made once, and there is but one struct sim_run. */
static void
lcores_start(struct sim_run *run)
{
	static struct sim_fiber *fibers[SIM_WORKERS + 1];

	for (unsigned int i = 0; i <= run->nb_workers; i++) {
		if (fibers[i] == NULL)
			fibers[i] = sim_fiber_create(lcore_body, &run->lcores[i]);
		run->lcores[i] = (struct sim_lcore){ .fiber = fibers[i], .worker = i };
	}
}

/* Static endpoints that found no place are tried again every second; what clients of QUIC are told last has its way
 * through the network, and those who are joining theirs. */
static uint64_t
settle_ms(const struct sim_plan *plan)
{
	for (unsigned int i = 0; i < plan->nb_peers; i++)
		if (plan->peers[i].is_static)
			return 2500;
	return plan->sizes.quic_conns > 0 ? 500 : 100;
}

void
sim_sched_run(struct sim_run *run)
{
	lcores_start(run);
	moments_make(run->plan);
	sched.calm_step = CALM_MOST;
	sched.wire_ns = run->now_ns;
	while (!run->failed && !story_over(run))
		step(run);
	run->settling = true;
	sched.next = sched.nb;
	memset(run->stalled_until, 0, sizeof(run->stalled_until));
	memset(run->late_until, 0, sizeof(run->late_until));
	run->wire_slow = 1;
	sim_quic_calm(run);
	settled_ns = run->now_ns + settle_ms(run->plan) * PLM_NS_PER_MS;
	if (until(run, settled, "coming to rest")) {
		sim_check_claims(run);
		sim_oracle_settled(run);
		sched.drain = run->plan->in_order;
		if (sched.drain)
			plm_ctl_drain(run->ctl, true);
		sim_quic_leave(run);
	}
	if (until(run, everybody_left, "everybody's leaving")) {
		sched.drain = false;
		settled_ns = run->now_ns + 100 * PLM_NS_PER_MS;
	}
	if (until(run, nothing_left, "reclamation")) {
		sim_oracle_end(run);
		sim_check_empty(run);
	}
	for (unsigned int i = 0; i <= run->nb_workers && !run->failed; i++) {
		run->lcores[i].stop = true;
		while (!sim_fiber_done(run->lcores[i].fiber))
			sim_fiber_resume(run->lcores[i].fiber);
	}
	free(sched.moments);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* plenum-load: starts EAL and one port, lets the engine join, and runs once or many times. */
#include "main.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#define EAL_ARGS   64
#define EAL_TEXT   4096
#define PDR_LOSS   0.005
#define RX_SPARE   1024 /* mbufs beyond what the rings hold */
#define LOAD_TTL   86400
#define SETTLE_NS  (100 * PLM_NS_PER_MS) /* the last who joined are soon sent to, not at once */
#define GOODBYE_NS (3 * PLM_NS_PER_S)    /* to close QUIC connections */

static volatile sig_atomic_t interrupted;

struct program {
	struct options options;
	struct plm_port port;
	struct rte_mempool *rx_pool;
	struct rte_mempool *tx_pool;
	struct load *load;
	struct report report;
	struct trial trials[LOAD_TRIALS];
	unsigned int nb_trials;
};

static void
on_signal(int number)
{
	interrupted = 1;
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * PLM_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static unsigned int
last_cpu(void)
{
	unsigned int last = 0;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		for (unsigned int i = 0; i < CPU_SETSIZE; i++)
			if (CPU_ISSET(i, &set))
				last = i;
	return last;
}

static bool
is_pci(const char *name)
{
	return strchr(name, ':') != NULL && strchr(name, '.') != NULL && strchr(name, ',') == NULL;
}

static int
eal_start(const struct options *o, struct plm_text *why)
{
	/* EAL keeps pointers to its arguments. */
	static char text[EAL_TEXT];
	static char lcores[32], memory[16], prefix[32];
	char *argv[EAL_ARGS];
	char *save = NULL;
	int argc = 0;

#define ADD(s) argv[argc++] = (char *)(uintptr_t)(s)
	snprintf(lcores, sizeof(lcores), "0@%u", o->has_cpu ? o->cpu : last_cpu());
	ADD("plenum-load");
	ADD("--lcores");
	ADD(lcores);
	if (o->no_huge) {
		snprintf(memory, sizeof(memory), "%u", o->memory_mb);
		snprintf(prefix, sizeof(prefix), "plenum-load-%d", (int)getpid());
		ADD("--no-huge");
		ADD("-m");
		ADD(memory);
		ADD("--file-prefix");
		ADD(prefix);
		ADD("--no-shconf");
	} else {
		/* virtio-user stops after a few packets without the second one. */
		ADD("--in-memory");
		ADD("--single-file-segments");
	}
	for (unsigned int i = 0; i < o->nb_vdevs; i++) {
		ADD("--vdev");
		ADD(o->vdevs[i]);
	}
	if (is_pci(o->port)) {
		ADD("-a");
		ADD(o->port);
	} else {
		ADD("--no-pci");
	}
	ADD("--no-telemetry");
	ADD("--log-level=lib.eal:warning");
	snprintf(text, sizeof(text), "%s", o->eal != NULL ? o->eal : "");
	for (char *t = strtok_r(text, " ", &save); t != NULL && argc < EAL_ARGS - 1;
			t = strtok_r(NULL, " ", &save))
		ADD(t);
#undef ADD
	argv[argc] = NULL;
	if (rte_eal_init(argc, argv) >= 0)
		return 0;
	plm_text_add(why, "EAL does not start: %s (its own words stand above)",
			rte_strerror(rte_errno));
	return -rte_errno;
}

static int
port_start(struct program *p, struct plm_text *why)
{
	const struct options *o = &p->options;
	uint16_t room = RTE_MAX(o->mtu, (uint16_t)RTE_ETHER_MTU);
	struct plm_port_conf conf = { .name = o->port,
		.nb_queues = 1,
		.nb_rxd = o->nb_rxd,
		.nb_txd = o->nb_txd,
		.mtu = o->mtu,
		.chain = PLM_CHAIN_OFF,
		.rx_pools = &p->rx_pool };
	uint16_t largest = 0;
	uint16_t tx_room;
	int ret;

	for (unsigned int i = 0; i < o->conf.nb_sizes; i++)
		largest = RTE_MAX(largest, o->conf.sizes[i].size);
	/* Frames that the driver holds on to, and their successors. */
	p->rx_pool = plm_pool_create_rx("load_rx", 2u * o->nb_rxd + RX_SPARE, room,
			(int)rte_socket_id());
	if (o->conf.is_quic)
		largest = RTE_MAX(largest, (uint16_t)PLM_QUIC_PACKET_MAX);
	tx_room = (uint16_t)(RTE_MAX(largest, (uint16_t)LOAD_OTHER_MAX) + LOAD_HDR_MAX);
	p->tx_pool = plm_pool_create_copy("load_tx", 2u * o->nb_txd + RX_SPARE, tx_room,
			(int)rte_socket_id());
	if (p->rx_pool == NULL || p->tx_pool == NULL) {
		plm_text_add(why,
				"too little memory for the mbufs of %u and %u descriptors: give more "
				"hugepages, or --no-huge --memory MB",
				o->nb_rxd, o->nb_txd);
		return -ENOMEM;
	}
	ret = plm_port_open(&p->port, 0, &conf, why);
	if (ret < 0)
		return ret;
	if ((size_t)largest + load_hdr_len(&o->conf.net) > (size_t)p->port.mtu + PLM_ETH_HDR) {
		plm_text_add(why, "packets of %u bytes do not fit the port's MTU of %u", largest,
				p->port.mtu);
		return -EMSGSIZE;
	}
	/* Neighbours ask by multicast. */
	(void)plm_port_set_mcast(&p->port, NULL, UINT16_MAX);
	return 0;
}

static int
load_start(struct program *p, struct plm_text *why)
{
	struct load_conf *conf = &p->options.conf;
	static uint8_t key[PLM_SECRET_MAX];
	struct timespec ts;
	int ret;

	conf->ethdev_id = p->port.ethdev_id;
	conf->tx_pool = p->tx_pool;
	conf->net.mac = p->port.mac;
	conf->rand = (struct plm_rand){ .fill = plm_crypto_random };
	clock_gettime(CLOCK_REALTIME, &ts);
	conf->expiry_s = (uint64_t)ts.tv_sec + LOAD_TTL;
	conf->key = key;
	conf->now_ns = now_ns();
	if (!conf->is_static && !conf->is_quic) {
		ret = plm_secret_read(p->options.secret_path, key, &conf->key_len, why);
		if (ret < 0)
			return ret;
	}
	p->load = load_create(conf);
	plm_crypto_erase(key, sizeof(key));
	if (p->load != NULL)
		return 0;
	plm_text_add(why, "cannot prepare the participants: %s", rte_strerror(rte_errno));
	return -rte_errno;
}

static bool
load_ended(const struct load *l)
{
	return load_state(l) == LOAD_REFUSED || load_state(l) == LOAD_LOST;
}

static enum load_exit
ended_badly(const struct load *l)
{
	char buf[LOAD_WHY_SIZE];
	struct plm_text why;

	plm_text_init(&why, buf, sizeof(buf));
	load_why(l, &why);
	fprintf(stderr, "plenum-load: %s\n", buf);
	if (load_state(l) == LOAD_LOST)
		return LOAD_CONSENT_LOST;
	if (load_state(l) == LOAD_REFUSED && strstr(buf, "refused") != NULL)
		return LOAD_WAS_REFUSED;
	return LOAD_NO_ANSWER;
}

static enum load_exit
join(struct program *p)
{
	uint64_t begin_ns = now_ns();
	uint64_t t = begin_ns;

	while (load_state(p->load) != LOAD_READY) {
		t = now_ns();
		load_turn(p->load, t);
		if (load_ended(p->load) || t - begin_ns > p->options.timeout_ns)
			return ended_badly(p->load);
		if (interrupted)
			return LOAD_OK;
	}
	printf("%u participants %s after %.2f s\n", load_nb_joined(p->load),
			p->options.conf.is_static ? "ready" : "joined",
			(double)(t - begin_ns) / (double)PLM_NS_PER_S);
	if (load_quic(p->load) != NULL)
		report_joined(load_quic(p->load));
	fflush(stdout);
	for (begin_ns = t; t - begin_ns < SETTLE_NS && !load_ended(p->load); t = now_ns())
		load_turn(p->load, t);
	return load_ended(p->load) ? ended_badly(p->load) : LOAD_OK;
}

static uint64_t
port_missed(uint16_t ethdev_id)
{
	struct rte_eth_stats stats;

	if (rte_eth_stats_get(ethdev_id, &stats) != 0)
		return 0;
	return stats.imissed + stats.ierrors + stats.rx_nombuf;
}

static uint64_t
preemptions(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) == 0 ? (uint64_t)usage.ru_nivcsw : 0;
}

/* Once, from the first packet to the last copy. False: a participant was thrown out. */
static bool
run(struct program *p, uint64_t rate, uint64_t duration_ns, bool live, struct trial *trial)
{
	uint64_t missed = port_missed(p->port.ethdev_id);
	uint64_t preempted = preemptions();
	struct load_result before = { 0 };
	uint64_t t = now_ns();
	uint64_t live_ns = t + PLM_NS_PER_S;
	uint64_t end_ns = t + duration_ns;

	*trial = (struct trial){ 0 };
	load_run_begin(p->load, rate, duration_ns, t);
	while (!load_run_over(p->load, t)) {
		load_turn(p->load, t);
		if (unlikely(load_ended(p->load)))
			break;
		if (unlikely(interrupted) && !trial->cut) {
			trial->cut = true;
			load_run_cut(p->load, t);
		}
		if (unlikely(t >= live_ns) && live && t <= end_ns) {
			struct load_result r;

			load_run_result(p->load, t, &r);
			report_live(&p->report, &before, &r, load_latency(p->load));
			before = r;
			live_ns += PLM_NS_PER_S;
		}
		t = now_ns();
	}
	load_run_result(p->load, t, &trial->r);
	trial_keep_latency(trial, load_latency(p->load));
	if (load_quic(p->load) != NULL)
		trial->quic = *load_quic(p->load);
	trial->missed = port_missed(p->port.ethdev_id) - missed;
	trial->preemptions = preemptions() - preempted;
	trial->disturbed = trial->preemptions != 0 || trial->r.max_gap_ns > p->options.gap_ns;
	return !load_ended(p->load);
}

static bool
lossy(const struct trial *t, double limit)
{
	return (double)t->r.lost > limit * (double)t->r.due;
}

static enum load_exit
run_once(struct program *p)
{
	const struct options *o = &p->options;
	struct trial *t = &p->trials[0];

	if (!run(p, o->rate, o->duration_ns, !o->quiet, t))
		return ended_badly(p->load);
	p->nb_trials = 1;
	report_run(&p->report, t);
	return o->has_max_loss && lossy(t, o->max_loss) ? LOAD_TOO_LOSSY : LOAD_OK;
}

static enum load_exit
search(struct program *p, struct load_search *s)
{
	const struct options *o = &p->options;
	double limit = o->search == SEARCH_NDR ? 0 : PDR_LOSS;
	uint64_t ceiling = o->ceiling;

	if (ceiling == 0) {
		struct trial flat;

		if (!run(p, 0, o->trial_ns, false, &flat))
			return ended_badly(p->load);
		ceiling = (uint64_t)((double)(flat.r.sent + flat.r.garbage) * (double)PLM_NS_PER_S /
				(double)flat.r.ran_ns);
		printf("flat out: %" PRIu64 " packets/s\n", ceiling);
	}
	load_search_init(s, ceiling, o->trials, o->precision);
	while (!s->over && !interrupted && p->nb_trials < LOAD_TRIALS) {
		struct trial *t = &p->trials[p->nb_trials];
		enum load_verdict verdict = LOAD_PASSED;

		if (!run(p, s->rate, o->trial_ns, false, t))
			return ended_badly(p->load);
		if (t->cut)
			break;
		if (lossy(t, limit))
			verdict = t->disturbed ? LOAD_DISTURBED : LOAD_FAILED;
		t->verdict = verdict == LOAD_PASSED       ? "passed"
				: verdict == LOAD_FAILED  ? "failed"
				: !load_search_repeats(s) ? "failed, repeats used up"
							  : "repeated";
		report_trial(&p->report, t, ++p->nb_trials);
		load_search_tell(s, verdict);
	}
	report_search(&p->report, s);
	if (!s->over)
		printf("interrupted: the search was not finished\n");
	return s->good == 0 ? LOAD_TOO_LOSSY : LOAD_OK;
}

static enum load_exit
work(struct program *p)
{
	const struct options *o = &p->options;
	struct load_search s = { 0 };
	enum load_exit code;
	struct trial warm;

	report_init(&p->report, o, &p->port);
	report_setup(&p->report);
	code = join(p);
	if (code != LOAD_OK || interrupted)
		return code;
	if (o->warm_up_ns != 0 && !run(p, o->rate, o->warm_up_ns, false, &warm))
		return ended_badly(p->load);
	if (interrupted)
		return LOAD_OK;
	code = o->search == SEARCH_NONE ? run_once(p) : search(p, &s);
	if (o->json_path != NULL && p->nb_trials != 0 &&
			report_json(&p->report, o->search == SEARCH_NONE ? NULL : &s, p->trials,
					p->nb_trials, code) < 0) {
		fprintf(stderr, "plenum-load: cannot write %s\n", o->json_path);
		code = LOAD_FAILED_TO_RUN;
	}
	return code;
}

/* Whoever came over QUIC says that it leaves. */
static void
say_goodbye(struct program *p)
{
	uint64_t begin_ns = now_ns();

	load_end(p->load);
	while (!load_closed(p->load) && now_ns() - begin_ns < GOODBYE_NS)
		load_turn(p->load, now_ns());
}

int
main(int argc, char **argv)
{
	static struct program program;
	struct program *p = &program;
	struct sigaction action = { .sa_handler = on_signal };
	enum load_exit code = LOAD_FAILED_TO_RUN;
	char buf[LOAD_WHY_SIZE];
	struct plm_text why;
	int ret = load_options(argc, argv, &p->options);

	if (ret != 0) {
		if (ret < 0)
			fprintf(stderr, "Try 'plenum-load --help'.\n");
		return ret < 0 ? LOAD_FAILED_TO_RUN : LOAD_OK;
	}
	if (p->options.print_static) {
		load_print_static(&p->options.conf, stdout);
		return LOAD_OK;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	plm_text_init(&why, buf, sizeof(buf));
	ret = eal_start(&p->options, &why);
	if (ret < 0) {
		fprintf(stderr, "plenum-load: %s\n", buf);
		return LOAD_FAILED_TO_RUN;
	}
	ret = port_start(p, &why);
	if (ret == 0)
		ret = load_start(p, &why);
	if (ret < 0)
		fprintf(stderr, "plenum-load: %s\n", buf);
	else
		code = work(p);
	if (p->load != NULL)
		say_goodbye(p);
	load_free(p->load);
	plm_port_close(&p->port);
	rte_mempool_free(p->tx_pool);
	rte_mempool_free(p->rx_pool);
	rte_eal_cleanup();
	return code;
}

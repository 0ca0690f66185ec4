/* SPDX-License-Identifier: BSD-3-Clause */
/* What plenum-load says: the setup, a line a second, trials, the end, and all of it as JSON. */
#include <errno.h>
#include <inttypes.h>

#include <rte_ethdev.h>

#include "main.h"

static const unsigned int quantiles[] = { 5000, 9900, 9990, 10000 };
static const char *const
		search_names[] = { [SEARCH_NONE] = "", [SEARCH_NDR] = "ndr", [SEARCH_PDR] = "pdr" };

static void
read_cpu_model(char *text, size_t size)
{
	FILE *in = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(text, size, "unknown");
	if (in == NULL)
		return;
	while (fgets(line, sizeof(line), in) != NULL) {
		char *colon = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || colon == NULL)
			continue;
		colon[strcspn(colon, "\n")] = '\0';
		snprintf(text, size, "%s", colon + 1 + strspn(colon + 1, " "));
		break;
	}
	fclose(in);
}

void
report_init(struct report *report, const struct options *options, const struct plm_port *port)
{
	struct rte_eth_dev_info info;

	*report = (struct report){ .options = options, .port = port };
	if (rte_eth_dev_info_get(port->ethdev_id, &info) == 0)
		snprintf(report->driver, sizeof(report->driver), "%s", info.driver_name);
	read_cpu_model(report->cpu, sizeof(report->cpu));
}

void
report_setup(const struct report *report)
{
	const struct load_conf *conf = &report->options->conf;

	printf("%s, driver %s, RX ring %u and TX ring %u descriptors, MTU %u; %s\n",
			report->port->name, report->driver, report->port->nb_rxd,
			report->port->nb_txd, report->port->mtu, report->cpu);
	printf("%u room%s, each %u publisher%s to %u subscriber%s, ", conf->rooms,
			conf->rooms == 1 ? "" : "s", conf->publishers,
			conf->publishers == 1 ? "" : "s", conf->subscribers,
			conf->subscribers == 1 ? "" : "s");
	for (unsigned int i = 0; i < conf->nb_sizes; i++)
		printf("%s%u", i == 0 ? "" : "/", conf->sizes[i].size);
	printf(" bytes, garbage %.1f %%", conf->garbage * 100);
	if (conf->is_quic)
		printf(", WZP clients, %u a second come and go", conf->churn);
	if (conf->unread > 0)
		printf(", %.1f %% read no signals", conf->unread * 100);
	if (conf->flood != 0)
		printf(", a room more floods with %" PRIu64 " packets/s", conf->flood);
	printf("\n");
	fflush(stdout);
}

static double
us(const struct plm_hist *hist, unsigned int quantile)
{
	return (double)plm_hist_quantile(hist, quantile) / (double)PLM_NS_PER_US;
}

static double
per_second(uint64_t n, uint64_t ns)
{
	return ns == 0 ? 0 : (double)n * (double)PLM_NS_PER_S / (double)ns;
}

void
report_live(struct report *report, const struct load_result *before, const struct load_result *now,
		const struct plm_hist *latency)
{
	uint64_t ns = now->ran_ns - before->ran_ns;

	if (!report->began)
		printf("%6s %11s %11s %11s %9s %9s %9s %9s %9s\n", "s", "sent/s", "garbage/s",
				"received/s", "open", "dup", "reorder", "p50 us", "p99 us");
	report->began = true;
	printf("%6.1f %11.0f %11.0f %11.0f %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9.1f %9.1f\n",
			(double)now->ran_ns / (double)PLM_NS_PER_S,
			per_second(now->sent - before->sent, ns),
			per_second(now->garbage - before->garbage, ns),
			per_second(now->received - before->received, ns), now->lost,
			now->duplicates, now->reordered, us(latency, 5000), us(latency, 9900));
	fflush(stdout);
}

static double
loss(const struct load_result *r)
{
	return r->due == 0 ? 0 : (double)r->lost / (double)r->due;
}

void
report_trial(const struct report *report, const struct trial *t, unsigned int number)
{
	printf("trial %3u: offered %10.0f/s (asked %" PRIu64
	       "), received %11.0f of %11.0f copies/s, "
	       "loss %.6f %%, p99 %.1f us%s%s%s\n",
			number, per_second(t->r.sent + t->r.garbage, t->r.ran_ns), t->r.rate,
			per_second(t->r.received, t->r.ran_ns), per_second(t->r.due, t->r.ran_ns),
			loss(&t->r) * 100, (double)t->latency_ns[1] / (double)PLM_NS_PER_US,
			t->disturbed ? ", disturbed" : "", t->verdict != NULL ? ": " : "",
			t->verdict != NULL ? t->verdict : "");
	if (t->disturbed)
		printf("           stood still for %" PRIu64 " us, preempted %" PRIu64 " times\n",
				t->r.max_gap_ns / PLM_NS_PER_US, t->preemptions);
	fflush(stdout);
}

static uint64_t
nb_failed(const struct load_quic_kind *kind)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < LOAD_QUIC_NB_FAILS; i++)
		n += kind->failed[i];
	return n;
}

static void
print_quic(const char *who, const struct load_quic_kind *kind)
{
	printf("%s: begun %" PRIu64 ", handshakes %" PRIu64 ", joined %" PRIu64 ", failed %" PRIu64,
			who, kind->begun, kind->established, kind->joined, nb_failed(kind));
	for (unsigned int i = 0; i < LOAD_QUIC_NB_FAILS; i++)
		if (kind->failed[i] != 0)
			printf(" (%s %" PRIu64 ")", load_quic_fail_name((enum load_quic_fail)i),
					kind->failed[i]);
	printf("; closed %" PRIu64 ", lost %" PRIu64
	       "; in after p50 %.1f, p99 %.1f, largest %.1f ms; %" PRIu64 " RoomUpdates\n",
			kind->closed, kind->lost, us(&kind->joins, 5000) / 1e3,
			us(&kind->joins, 9900) / 1e3, us(&kind->joins, 10000) / 1e3, kind->updates);
}

void
report_joined(const struct load_quic_result *quic)
{
	print_quic("those who stay", &quic->steady);
}

void
report_run(const struct report *report, const struct trial *t)
{
	const struct load_result *r = &t->r;

	printf("%s%.1f s: sent %" PRIu64 " (%.0f/s), garbage %" PRIu64 ", unsent %" PRIu64
	       "\ncopies: due %" PRIu64 ", received %" PRIu64 " (%.0f/s), lost %" PRIu64
	       " (%.6f %%), reordered %" PRIu64 ", duplicates %" PRIu64 ", late %" PRIu64 "\n",
			t->cut ? "interrupted after " : "",
			(double)r->ran_ns / (double)PLM_NS_PER_S, r->sent,
			per_second(r->sent, r->ran_ns), r->garbage, r->unsent, r->due, r->received,
			per_second(r->received, r->ran_ns), r->lost, loss(r) * 100, r->reordered,
			r->duplicates, r->late);
	printf("others: harmed %" PRIu64 ", misrouted %" PRIu64 ", of earlier runs %" PRIu64
	       ", foreign %" PRIu64 ", missed by our own port %" PRIu64 "\n",
			r->harmed, r->misrouted, r->stale, r->foreign, t->missed);
	if (t->nb_latencies != 0)
		printf("latency from the intended send time, us: p50 %.1f, p99 %.1f, p99.9 %.1f, "
		       "largest %.1f\n",
				(double)t->latency_ns[0] / 1e3, (double)t->latency_ns[1] / 1e3,
				(double)t->latency_ns[2] / 1e3, (double)t->latency_ns[3] / 1e3);
	if (report->options->conf.is_quic)
		printf("QUIC: refused by the connection %" PRIu64
		       ", copies to who comes and goes %" PRIu64 ", not begun %" PRIu64 "\n",
				r->refused, r->passing, t->quic.no_place);
	if (report->options->conf.flood != 0)
		printf("the room that floods: sent %" PRIu64 ", refused by the connection %" PRIu64
		       ", copies %" PRIu64 "\n",
				r->flood, r->flood_refused, r->flood_copies);
	if (report->options->conf.churn != 0)
		print_quic("those who come and go", &t->quic.passing);
	if (t->disturbed)
		printf("disturbed: our own thread stood still for %" PRIu64
		       " us, preempted %" PRIu64 " times\n",
				r->max_gap_ns / PLM_NS_PER_US, t->preemptions);
	fflush(stdout);
}

void
report_search(const struct report *report, const struct load_search *s)
{
	const struct options *o = report->options;
	const char *name = o->search == SEARCH_NDR ? "NDR (no loss)" : "PDR (0.5 % loss)";
	double copies = (double)s->good * (1 - o->conf.garbage) * load_receivers(&o->conf);

	if (s->good == 0)
		printf("%s: none, not even at %" PRIu64 " packets/s\n", name, s->bad);
	else
		printf("%s: %" PRIu64 " packets/s in, %.0f copies/s out; %u trials of %.1f s, "
		       "%u disturbed ones repeated\n",
				name, s->good, copies, s->nb_trials,
				(double)o->trial_ns / (double)PLM_NS_PER_S, s->nb_repeated);
	printf("with RX ring %u and TX ring %u descriptors, driver %s, %s\n", report->port->nb_rxd,
			report->port->nb_txd, report->driver, report->cpu);
	fflush(stdout);
}

/* --- JSON ----------------------------------------------------------------------------------- */

static void
set_count(json_t *o, const char *key, uint64_t v)
{
	json_object_set_new(o, key, json_integer((json_int_t)v));
}

static void
set_real(json_t *o, const char *key, double v)
{
	json_object_set_new(o, key, json_real(v));
}

static json_t *
json_latency(const uint64_t ns[4])
{
	static const char *const names[] = { "p50", "p99", "p999", "max" };
	json_t *o = json_object();

	for (unsigned int i = 0; i < RTE_DIM(names); i++)
		set_count(o, names[i], ns[i]);
	return o;
}

static json_t *
json_times(const struct plm_hist *times)
{
	uint64_t ns[RTE_DIM(quantiles)];

	if (plm_hist_count(times) == 0)
		return json_null();
	for (unsigned int i = 0; i < RTE_DIM(quantiles); i++)
		ns[i] = plm_hist_quantile(times, quantiles[i]);
	return json_latency(ns);
}

static json_t *
json_quic(const struct load_quic_kind *kind)
{
	json_t *failed = json_object();
	json_t *o = json_object();

	set_count(o, "begun", kind->begun);
	set_count(o, "established", kind->established);
	set_count(o, "joined", kind->joined);
	for (unsigned int i = 0; i < LOAD_QUIC_NB_FAILS; i++)
		set_count(failed, load_quic_fail_name((enum load_quic_fail)i), kind->failed[i]);
	json_object_set_new(o, "failed", failed);
	set_count(o, "lost", kind->lost);
	set_count(o, "closed", kind->closed);
	set_count(o, "given_up", kind->given_up);
	set_count(o, "updates", kind->updates);
	set_count(o, "update_bytes", kind->update_bytes);
	set_count(o, "told", kind->told);
	json_object_set_new(o, "handshake_ns", json_times(&kind->times));
	json_object_set_new(o, "join_ns", json_times(&kind->joins));
	return o;
}

static json_t *
json_trial(const struct options *options, const struct trial *t)
{
	const struct load_result *r = &t->r;
	json_t *o = json_object();

	set_count(o, "rate", r->rate);
	set_real(o, "seconds", (double)r->ran_ns / (double)PLM_NS_PER_S);
	set_count(o, "sent", r->sent);
	set_count(o, "garbage", r->garbage);
	set_count(o, "unsent", r->unsent);
	set_count(o, "due", r->due);
	set_count(o, "received", r->received);
	set_count(o, "lost", r->lost);
	set_real(o, "loss", loss(r));
	set_count(o, "duplicates", r->duplicates);
	set_count(o, "reordered", r->reordered);
	set_count(o, "late", r->late);
	set_count(o, "harmed", r->harmed);
	set_count(o, "misrouted", r->misrouted);
	set_count(o, "stale", r->stale);
	set_count(o, "foreign", r->foreign);
	set_count(o, "missed", t->missed);
	set_count(o, "no_mbuf", r->no_mbuf);
	set_count(o, "max_gap_ns", r->max_gap_ns);
	set_count(o, "preemptions", t->preemptions);
	json_object_set_new(o, "disturbed", json_boolean(t->disturbed));
	json_object_set_new(o, "interrupted", json_boolean(t->cut));
	json_object_set_new(o, "latency_ns",
			t->nb_latencies != 0 ? json_latency(t->latency_ns) : json_null());
	if (options->conf.is_quic) {
		set_count(o, "refused", r->refused);
		set_count(o, "passing", r->passing);
		set_count(o, "no_place", t->quic.no_place);
		set_count(o, "stray", t->quic.stray);
		set_count(o, "flood", r->flood);
		set_count(o, "flood_refused", r->flood_refused);
		set_count(o, "flood_copies", r->flood_copies);
		json_object_set_new(o, "steady", json_quic(&t->quic.steady));
		json_object_set_new(o, "churn", json_quic(&t->quic.passing));
	}
	if (t->verdict != NULL)
		json_object_set_new(o, "verdict", json_string(t->verdict));
	return o;
}

static json_t *
json_setup(const struct report *report)
{
	const struct load_conf *conf = &report->options->conf;
	json_t *sizes = json_array();
	json_t *o = json_object();

	for (unsigned int i = 0; i < conf->nb_sizes; i++)
		json_array_append_new(sizes,
				json_pack("{s:i, s:i}", "size", (int)conf->sizes[i].size, "weight",
						(int)conf->sizes[i].weight));
	set_count(o, "rooms", conf->rooms);
	set_count(o, "publishers", conf->publishers);
	set_count(o, "subscribers", conf->subscribers);
	json_object_set_new(o, "sizes", sizes);
	set_real(o, "garbage", conf->garbage);
	json_object_set_new(o, "wzp", json_boolean(conf->is_quic));
	set_count(o, "churn", conf->churn);
	set_real(o, "no_read", conf->unread);
	set_count(o, "flood", conf->flood);
	json_object_set_new(o, "static", json_boolean(conf->is_static));
	json_object_set_new(o, "ipv6", json_boolean(conf->net.first.is_v6));
	json_object_set_new(o, "port", json_string(report->port->name));
	json_object_set_new(o, "device",
			json_string(report->options->nb_vdevs != 0 ? report->options->vdevs[0]
								   : report->port->name));
	json_object_set_new(o, "driver", json_string(report->driver));
	set_count(o, "rx_descriptors", report->port->nb_rxd);
	set_count(o, "tx_descriptors", report->port->nb_txd);
	set_count(o, "mtu", report->port->mtu);
	json_object_set_new(o, "cpu", json_string(report->cpu));
	return o;
}

static json_t *
json_search(const struct report *report, const struct load_search *s)
{
	const struct options *o = report->options;

	return json_pack("{s:s, s:I, s:f, s:i, s:f, s:f, s:i}", "kind", search_names[o->search],
			"packets_per_s", (json_int_t)s->good, "copies_per_s",
			(double)s->good * (1 - o->conf.garbage) * load_receivers(&o->conf),
			"trials", (int)s->nb_trials, "trial_seconds",
			(double)o->trial_ns / (double)PLM_NS_PER_S, "precision", s->precision,
			"repeated", (int)s->nb_repeated);
}

int
report_json(const struct report *report, const struct load_search *search,
		const struct trial *trials, unsigned int nb_trials, enum load_exit code)
{
	const char *path = report->options->json_path;
	json_t *o = json_object();
	json_t *list;
	int ret;

	json_object_set_new(o, "version", json_string(PLM_VERSION));
	json_object_set_new(o, "setup", json_setup(report));
	if (search == NULL) {
		json_object_set_new(o, "run", json_trial(report->options, &trials[0]));
	} else {
		list = json_array();
		for (unsigned int i = 0; i < nb_trials; i++)
			json_array_append_new(list, json_trial(report->options, &trials[i]));
		json_object_set_new(o, "trials", list);
		json_object_set_new(o, "search", json_search(report, search));
	}
	json_object_set_new(o, "exit", json_integer(code));
	ret = json_dump_file(o, path, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	json_decref(o);
	return ret == 0 ? 0 : -EIO;
}

/* The figures that outlive the next run. */
void
trial_keep_latency(struct trial *t, const struct plm_hist *latency)
{
	for (unsigned int i = 0; i < RTE_DIM(quantiles); i++)
		t->latency_ns[i] = plm_hist_quantile(latency, quantiles[i]);
	t->nb_latencies = plm_hist_count(latency);
}

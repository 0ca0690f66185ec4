/* SPDX-License-Identifier: BSD-3-Clause */
/* What the prompt shows: rates of sessions, and counters and latency since the last clear. */
#include <errno.h>
#include <stdlib.h>

#include "ctl_priv.h"

/* Sessions sampled in one turn at most. */
#define SAMPLE_BUDGET 256

int
ctl_figures_init(struct plm_ctl *ctl)
{
	unsigned int n = ctl->conf.nb_workers;

	ctl->samples = calloc(ctl->sessions->max_sessions, sizeof(*ctl->samples));
	ctl->baseline = calloc(n + 1, sizeof(*ctl->baseline));
	ctl->latency_baseline = calloc(n, sizeof(*ctl->latency_baseline));
	if (ctl->samples == NULL || ctl->baseline == NULL || ctl->latency_baseline == NULL)
		return -ENOMEM;
	return 0;
}

void
ctl_figures_fini(struct plm_ctl *ctl)
{
	free(ctl->samples);
	free(ctl->baseline);
	free(ctl->latency_baseline);
}

static uint64_t
load(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

static uint64_t
per_second(uint64_t n, uint64_t over_ns)
{
	return (uint64_t)((double)n * PLM_NS_PER_S / (double)over_ns + 0.5);
}

static void
sample(struct plm_ctl *ctl, uint32_t idx)
{
	const struct plm_session_hot *hot = &ctl->sessions->hot[idx];
	uint32_t gen = atomic_load_explicit(&hot->gen, memory_order_relaxed);
	struct ctl_sample *s = &ctl->samples[idx];
	struct ctl_sample next = { .gen = gen, .at_ns = ctl->now_ns };
	uint64_t over_ns = ctl->now_ns - s->at_ns;

	if (gen == 0) {
		if (s->gen != 0)
			*s = (struct ctl_sample){ 0 };
		return;
	}
	if (s->gen == gen && over_ns == 0)
		return;
	next.rx_packets = load(&hot->rx_packets);
	next.rx_bytes = load(&hot->rx_bytes);
	for (unsigned int w = 0; w < ctl->conf.nb_workers; w++) {
		next.tx_packets += load(&ctl->sessions->tx[w][idx].packets);
		next.tx_bytes += load(&ctl->sessions->tx[w][idx].bytes);
	}
	if (s->gen == gen) {
		next.rates.rx_packets =
				(uint32_t)per_second(next.rx_packets - s->rx_packets, over_ns);
		next.rates.tx_packets =
				(uint32_t)per_second(next.tx_packets - s->tx_packets, over_ns);
		next.rates.rx_bits = per_second((next.rx_bytes - s->rx_bytes) * 8, over_ns);
		next.rates.tx_bits = per_second((next.tx_bytes - s->tx_bytes) * 8, over_ns);
	}
	*s = next;
}

/* Once around in a second, a few sessions a turn; later when turns are too few for that. */
void
ctl_sample_some(struct plm_ctl *ctl)
{
	uint32_t max = ctl->sessions->max_sessions;
	uint64_t since_ns = ctl->now_ns - ctl->sample_ns;
	uint32_t due = max;

	if (since_ns < PLM_NS_PER_S)
		due = (uint32_t)((uint64_t)max * since_ns / PLM_NS_PER_S);
	for (unsigned int i = 0; i < SAMPLE_BUDGET && ctl->sample_next < due; i++)
		sample(ctl, ctl->sample_next++);
	if (ctl->sample_next == max && since_ns >= PLM_NS_PER_S) {
		ctl->sample_next = 0;
		ctl->sample_ns = ctl->now_ns;
	}
}

void
plm_ctl_session_rates(const struct plm_ctl *ctl, uint32_t session_idx, struct plm_ctl_rates *rates)
{
	*rates = ctl->samples[session_idx].rates;
}

static const struct plm_counters *
counters_of(const struct plm_ctl *ctl, unsigned int worker)
{
	return worker < ctl->conf.nb_workers ? plm_relay_counters(ctl->relay, worker)
					     : &ctl->counters;
}

uint64_t
plm_ctl_counter(const struct plm_ctl *ctl, unsigned int worker, enum plm_counter id)
{
	unsigned int row = RTE_MIN(worker, ctl->conf.nb_workers);

	return plm_counter_get(counters_of(ctl, row), id) - ctl->baseline[row][id];
}

void
plm_ctl_latency(const struct plm_ctl *ctl, unsigned int worker, struct plm_hist *hist)
{
	const struct plm_hist *now = plm_relay_latency(ctl->relay, worker);
	const struct plm_hist *then = &ctl->latency_baseline[worker];

	for (unsigned int i = 0; i < PLM_HIST_BUCKETS; i++)
		atomic_store_explicit(&hist->bucket[i],
				load(&now->bucket[i]) - load(&then->bucket[i]),
				memory_order_relaxed);
}

void
plm_ctl_clear(struct plm_ctl *ctl)
{
	for (unsigned int w = 0; w <= ctl->conf.nb_workers; w++) {
		for (unsigned int i = 0; i < PLM_CNT_MAX; i++)
			ctl->baseline[w][i] =
					plm_counter_get(counters_of(ctl, w), (enum plm_counter)i);
	}
	for (unsigned int w = 0; w < ctl->conf.nb_workers; w++) {
		memset(&ctl->latency_baseline[w], 0, sizeof(ctl->latency_baseline[w]));
		plm_hist_merge(&ctl->latency_baseline[w], plm_relay_latency(ctl->relay, w));
	}
}

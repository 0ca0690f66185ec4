/* SPDX-License-Identifier: BSD-3-Clause */
/* The counter table's text side, and reading histograms. */
#include "plm_stats.h"

const struct plm_counter_def plm_counter_defs[PLM_CNT_MAX] = {
#define PLM_COUNTER_DEF(id, name, class, help) { name, PLM_CLASS_##class, help },
	PLM_COUNTERS(PLM_COUNTER_DEF)
#undef PLM_COUNTER_DEF
};

const char *plm_counter_class_name(enum plm_counter_class class)
{
	static const char *const names[] = {
		[PLM_CLASS_RX] = "rx",
		[PLM_CLASS_RX_DROP] = "rx_drop",
		[PLM_CLASS_COPY] = "copy",
		[PLM_CLASS_COPY_DROP] = "copy_drop",
		[PLM_CLASS_CARRY_DROP] = "carry_drop",
		[PLM_CLASS_QUIC] = "quic",
		[PLM_CLASS_QUIC_DROP] = "quic_drop",
		[PLM_CLASS_DGRAM_DROP] = "dgram_drop",
		[PLM_CLASS_CTL] = "ctl",
		[PLM_CLASS_CTL_DROP] = "ctl_drop",
	};

	return names[class];
}

void
plm_hist_merge(struct plm_hist *to, const struct plm_hist *from)
{
	for (unsigned int i = 0; i < PLM_HIST_BUCKETS; i++) {
		uint64_t n = atomic_load_explicit(&from->bucket[i], memory_order_relaxed);
		uint64_t sum = atomic_load_explicit(&to->bucket[i], memory_order_relaxed) + n;

		atomic_store_explicit(&to->bucket[i], sum, memory_order_relaxed);
	}
}

uint64_t
plm_hist_count(const struct plm_hist *hist)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < PLM_HIST_BUCKETS; i++)
		n += atomic_load_explicit(&hist->bucket[i], memory_order_relaxed);
	return n;
}

/* The largest value that falls into a bucket. */
static uint64_t
bucket_upper(unsigned int i)
{
	unsigned int shift;

	if (i < 1u << PLM_HIST_SUB_BITS)
		return i;
	shift = (i >> PLM_HIST_SUB_BITS) - 1;
	return (((uint64_t)(i & ((1u << PLM_HIST_SUB_BITS) - 1)) + (1u << PLM_HIST_SUB_BITS) + 1)
			       << shift) -
			1;
}

uint64_t
plm_hist_quantile(const struct plm_hist *hist, unsigned int permille_x10)
{
	uint64_t total = plm_hist_count(hist);
	uint64_t want = (total * permille_x10 + 9999) / 10000;
	uint64_t seen = 0;

	if (total == 0)
		return 0;
	for (unsigned int i = 0; i < PLM_HIST_BUCKETS; i++) {
		seen += atomic_load_explicit(&hist->bucket[i], memory_order_relaxed);
		if (seen >= want && seen > 0)
			return bucket_upper(i);
	}
	return bucket_upper(PLM_HIST_BUCKETS - 1);
}

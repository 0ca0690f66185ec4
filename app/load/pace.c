/* SPDX-License-Identifier: BSD-3-Clause */
/* The schedule of an open loop. Times come from packet numbers, so that rounding never adds up. */
#include "load.h"

static uint64_t
mul_div(uint64_t a, uint64_t b, uint64_t c)
{
	return (uint64_t)((unsigned __int128)a * b / c);
}

uint64_t
load_pace_at(const struct load_pace *pace, uint64_t k)
{
	return pace->start_ns + mul_div(k, PLM_NS_PER_S, pace->rate);
}

/* Packets k with k / rate < elapsed. */
static uint64_t
begun(const struct load_pace *pace, uint64_t now_ns)
{
	uint64_t until = now_ns < pace->end_ns ? now_ns : pace->end_ns;
	uint64_t product_rest;
	uint64_t whole;

	if (until <= pace->start_ns)
		return 0;
	whole = mul_div(until - pace->start_ns, pace->rate, PLM_NS_PER_S);
	product_rest = (uint64_t)((unsigned __int128)(until - pace->start_ns) * pace->rate %
			PLM_NS_PER_S);
	return whole + (product_rest != 0);
}

uint64_t
load_pace_due(const struct load_pace *pace, uint64_t now_ns)
{
	uint64_t n;

	if (pace->rate == 0)
		return now_ns < pace->end_ns && now_ns >= pace->start_ns ? UINT64_MAX : 0;
	n = begun(pace, now_ns);
	return n > pace->n ? n - pace->n : 0;
}

uint64_t
load_pace_total(const struct load_pace *pace)
{
	return pace->rate == 0 ? pace->n : begun(pace, UINT64_MAX);
}

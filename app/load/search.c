/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A rate passes when all of its trials do. A trial that lost packets while our own thread was kept
 * from running says nothing of the relay and is repeated, a bounded number of times at one rate
 * and in all; one that lost none has passed, disturbed or not.
 */
#include <rte_common.h>

#include "load.h"

void
load_search_init(struct load_search *s, uint64_t ceiling, unsigned int nb_trials, double precision)
{
	*s = (struct load_search){ .bad = ceiling + 1,
		.rate = ceiling,
		.nb_trials = nb_trials,
		.precision = precision,
		.over = ceiling == 0 };
}

static void
next_rate(struct load_search *s)
{
	uint64_t wide = s->bad - s->good;

	s->nb_passed = 0;
	s->nb_repeated_here = 0;
	if (wide <= 1 || (double)wide <= s->precision * (double)s->bad)
		s->over = true;
	else
		s->rate = s->good + wide / 2;
}

void
load_search_tell(struct load_search *s, enum load_verdict verdict)
{
	switch (verdict) {
	case LOAD_PASSED:
		if (++s->nb_passed < s->nb_trials)
			return;
		s->good = s->rate;
		break;
	case LOAD_DISTURBED:
		if (load_search_repeats(s)) {
			s->nb_repeated++;
			s->nb_repeated_here++;
			return;
		}
		s->bad = s->rate;
		break;
	case LOAD_FAILED:
		s->bad = s->rate;
		break;
	}
	next_rate(s);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What one subscriber has of one publisher. */
#include "load.h"

static inline bool
test_and_set(struct load_pair *pair, uint64_t seq)
{
	uint64_t *word = &pair->window[seq / 64 % (LOAD_WINDOW / 64)];
	uint64_t bit = UINT64_C(1) << (seq % 64);
	bool was = (*word & bit) != 0;

	*word |= bit;
	return was;
}

/* Numbers between the highest so far and `seq` have not been seen. */
static void
forget(struct load_pair *pair, uint64_t seq)
{
	if (seq - pair->next >= LOAD_WINDOW) {
		memset(pair->window, 0, sizeof(pair->window));
		return;
	}
	for (uint64_t s = pair->next; s <= seq; s++)
		pair->window[s / 64 % (LOAD_WINDOW / 64)] &= ~(UINT64_C(1) << (s % 64));
}

bool
load_pair_take(struct load_pair *pair, uint64_t seq)
{
	if (seq >= pair->next) {
		forget(pair, seq);
		pair->next = seq + 1;
		test_and_set(pair, seq);
		pair->unique++;
		return true;
	}
	if (pair->next - seq > LOAD_WINDOW) {
		pair->late++;
		return false;
	}
	if (test_and_set(pair, seq)) {
		pair->duplicates++;
		return false;
	}
	pair->reordered++;
	pair->unique++;
	return true;
}

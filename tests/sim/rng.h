/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Random numbers that follow from a seed (splitmix64). What happens in a story and in the network
 * is drawn by key, so that leaving one operation out changes no other one; what the scheduler and
 * the faults do is drawn in sequence.
 */
#ifndef SIM_RNG_H
#define SIM_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct sim_rng {
	uint64_t state;
};

static inline uint64_t
sim_mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static inline struct sim_rng
sim_rng_keyed(uint64_t seed, uint64_t a, uint64_t b)
{
	uint64_t state = sim_mix(seed + UINT64_C(0x9e3779b97f4a7c15));

	state = sim_mix(state ^ (a + UINT64_C(0x632be59bd9b4e019)));
	state = sim_mix(state ^ (b + UINT64_C(0xd1b54a32d192ed03)));
	return (struct sim_rng){ state };
}

static inline uint64_t
sim_next(struct sim_rng *rng)
{
	rng->state += UINT64_C(0x9e3779b97f4a7c15);
	return sim_mix(rng->state);
}

/** 0 to n - 1; n at least 1. */
static inline uint64_t
sim_below(struct sim_rng *rng, uint64_t n)
{
	return sim_next(rng) % n;
}

/** From low to high, both possible. */
static inline uint64_t
sim_range(struct sim_rng *rng, uint64_t low, uint64_t high)
{
	return low + sim_below(rng, high - low + 1);
}

/** True `n` times in 1024. */
static inline bool
sim_chance(struct sim_rng *rng, unsigned int n)
{
	return (sim_next(rng) >> 32 & 1023) < n;
}

#define SIM_PICK(rng, array) ((array)[sim_below((rng), sizeof(array) / sizeof((array)[0]))])

static inline void
sim_fill(struct sim_rng *rng, void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len > 0) {
		uint64_t word = sim_next(rng);
		size_t n = len < sizeof(word) ? len : sizeof(word);

		memcpy(p, &word, n);
		p += n;
		len -= n;
	}
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The clocks that lib/ is handed. Both are read in user space, without a system call. */
#include <time.h>

#include "app.h"

uint64_t
clock_now_ns(void *ctx)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * PLM_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t
clock_wall_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return (uint64_t)ts.tv_sec;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Defined in the program, these names take precedence over the C library's, for OpenSSL, GnuTLS and
 * DPDK as well, and over GnuTLS's own generator. Outside of a run, and in other threads, they do what they always did. */
#include "interpose.h"

#include <dlfcn.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "rng.h"
#include "run.h"

static __thread bool is_on;
static __thread struct sim_rng rng;
static __thread struct sim_rng tls_rng;
static __thread uint64_t nb_calls;

void
sim_interpose_on(uint64_t seed)
{
	is_on = true;
	rng = sim_rng_keyed(seed, 7, 7);
	tls_rng = sim_rng_keyed(seed, 7, 8);
	nb_calls = 0;
}

void
sim_interpose_off(void)
{
	is_on = false;
}

uint64_t
sim_interpose_calls(void)
{
	return nb_calls;
}

ssize_t
getrandom(void *buf, size_t len, unsigned int flags)
{
	if (!is_on)
		return syscall(SYS_getrandom, buf, len, flags);
	nb_calls++;
	sim_fill(&rng, buf, len);
	return (ssize_t)len;
}

int
getentropy(void *buf, size_t len)
{
	if (len > 256) {
		errno = EIO;
		return -1;
	}
	return getrandom(buf, len, 0) == (ssize_t)len ? 0 : -1;
}

/* Handshakes ask it for key shares and randoms. It keeps a state between runs, hence not by getrandom(). */
int
gnutls_rnd(gnutls_rnd_level_t level, void *buf, size_t len)
{
	static int (*real)(gnutls_rnd_level_t level, void *buf, size_t len);

	if (is_on) {
		sim_fill(&tls_rng, buf, len);
		return 0;
	}
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "gnutls_rnd");
	return real == NULL ? GNUTLS_E_RANDOM_FAILED : real(level, buf, len);
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	uint64_t ns;

	if (!is_on || sim == NULL)
		return (int)syscall(SYS_clock_gettime, id, ts);
	nb_calls++;
	ns = sim->now_ns;
	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
		ns = ns - SIM_EPOCH_NS + SIM_WALL_S * PLM_NS_PER_S;
	ts->tv_sec = (time_t)(ns / PLM_NS_PER_S);
	ts->tv_nsec = (long)(ns % PLM_NS_PER_S);
	return 0;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
		return -1;
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *out)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (out != NULL)
		*out = ts.tv_sec;
	return ts.tv_sec;
}

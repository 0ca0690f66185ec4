/* SPDX-License-Identifier: BSD-3-Clause */
/* LD_PRELOAD library: the lcore that NO_LAUNCH names cannot be launched, as if it ran something. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

#include <rte_launch.h>

int
rte_eal_remote_launch(lcore_function_t *f, void *arg, unsigned int lcore_id)
{
	const char *const refused = getenv("NO_LAUNCH");
	int (*real)(lcore_function_t *, void *, unsigned int);

	if (refused != NULL && strtoul(refused, NULL, 10) == lcore_id)
		return -EBUSY;
	*(void **)&real = dlsym(RTLD_NEXT, "rte_eal_remote_launch");
	return real(f, arg, lcore_id);
}

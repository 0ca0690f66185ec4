/* SPDX-License-Identifier: BSD-3-Clause */
#include "test_eal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>

void
test_eal_init(unsigned int mb)
{
	char prefix[32];
	char mem[16];
	const char *argv[] = { "test", "--no-huge", "-m", mem, "--no-pci", "--file-prefix", prefix,
		"--no-shconf", "--no-telemetry", "--log-level", "lib.eal:error", "-l", "0" };

	snprintf(prefix, sizeof(prefix), "plmtest%d", (int)getpid());
	snprintf(mem, sizeof(mem), "%u", mb);
	/* EAL reorders the pointers and leaves the strings alone. */
	if (rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])), (char **)(uintptr_t)argv) < 0) {
		fprintf(stderr, "EAL: %s\n", rte_strerror(rte_errno));
		exit(1);
	}
}

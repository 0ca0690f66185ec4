/* SPDX-License-Identifier: BSD-3-Clause */
/* A room's packets as a pcap file. One trace at a time. */
#ifndef TRACE_H
#define TRACE_H

#include "plm_base.h"

struct app;
struct trace;

/* End the trace that runs, if any, and free what it needed. Takes NULL. The slow path still runs; no
 * command does. */
void trace_free(struct trace *trace);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What report.c and report_wzp.c share. */
#ifndef CLIENT_REPORT_H
#define CLIENT_REPORT_H

#include <jansson.h>
#include <stdint.h>

struct participant;

static inline json_t *
json_count(uint64_t v)
{
	return json_integer((json_int_t)v);
}

/** Objects `quic` and `wzp` of a participant. */
void report_wzp_json(json_t *o, const struct participant *p);
/** Lines of a participant, once it is connected. */
void report_wzp_print(const struct participant *p);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* What DPDK's telemetry socket tells under /plenum/. */
#ifndef TELEMETRY_H
#define TELEMETRY_H

#include "app.h"

/* Register the commands and answer for this relay from now on. 0 or negative errno. */
int telemetry_start(struct app *app);

/* Waits for the answer that is being made; later ones say that the relay ends. Before lcores and
 * ports go. Fine if never started. */
void telemetry_stop(void);

#endif

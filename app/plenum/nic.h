/* SPDX-License-Identifier: BSD-3-Clause */
/* What NICs count: per port, per queue, and whom their losses concern. Ports are main's: whoever asks
 * holds app->lock. */
#ifndef NIC_H
#define NIC_H

#include "app.h"

/* Of one queue pair; what a driver does not count is 0. */
struct nic_queue {
	uint64_t rx_packets;
	uint64_t rx_bytes;
	uint64_t rx_errors; /* received and dropped: mostly for want of a descriptor */
	uint64_t tx_packets;
	uint64_t tx_bytes;
};

/* False: its driver does not count per queue. */
bool nic_queue_stats(const struct plm_port *port, uint16_t queue, struct nic_queue *stats);

/* Call `fn` for every extended statistic of the driver that is not 0. */
void nic_xstats(const struct plm_port *port,
		void (*fn)(void *ctx, const char *name, uint64_t value), void *ctx);

/* Workers that poll queues on which the port lost packets, as bits: those whose queues counted a
 * loss, or all that poll the port where the driver does not say. 0: nothing was lost. */
uint32_t nic_losers(const struct app *app, unsigned int port, const struct rte_eth_stats *stats);

/* What NICs lost, and the largest rooms of the workers concerned. 0 or negative errno. */
int nic_show_losses(struct app *app, struct plm_cli *cli);

#endif

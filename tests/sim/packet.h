/* SPDX-License-Identifier: BSD-3-Clause */
/** @file From operations to packets, and through the network to arrivals. */
#ifndef SIM_PACKET_H
#define SIM_PACKET_H

#include "plan.h"

/** Make every packet and arrival of the plan's operations. */
void sim_packets_make(struct sim_plan *plan);

/** realloc() to at least `need` items, or abort. */
void *sim_grow(void *array, uint32_t *size, uint32_t need, size_t item);

/**
 * Ethernet, IP and UDP headers before `len` bytes of payload, checksums filled.
 * @return the frame's length. `out` has 62 bytes more than the payload.
 */
size_t sim_frame(const struct sim_addr *from, const uint8_t src_mac[6], const uint8_t dst_mac[6],
		const void *payload, size_t len, uint8_t *out);

/** Own address `local_idx` of the relay, the gateway behind it. */
void sim_local_ip(unsigned int local_idx, struct plm_ip *ip);
void sim_gateway_ip(unsigned int local_idx, struct plm_ip *ip);

#endif

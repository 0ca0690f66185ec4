/* SPDX-License-Identifier: BSD-3-Clause */
/* How much media a connection may have in flight. ngtcp2's window stays at its floor of 131 KB, since media
 * is not made slower by holding it back; what limits datagrams is here, and why is in docs/quic.md:
 *
 * - a window of bytes that shrinks when more than a tenth is lost over an epoch or the path's queue grows
 *   long, and not for the loss that radio links have anyway;
 * - when it is full, one datagram passes now and then, so that the end of an outage is found within an
 *   eighth of its length instead of by probe timeouts that double;
 * - the packets that a path carries are found out with datagrams themselves: one larger than is known to
 *   pass goes all the same, until three in a row were lost.
 */
#include "plm_sim.h"
#include "quic_priv.h"

#define WINDOW_MIN   24000u
#define WINDOW_START 96000u
/* What is left of ngtcp2's window for those that pass a full one. */
#define WINDOW_REST 34000u

#define EPOCH_NS      (500 * PLM_NS_PER_MS) /* at least a round trip, too */
#define EPOCH_SAMPLES 50
#define QUEUE_NS      (300 * PLM_NS_PER_MS) /* of round trip above the least */

#define PROBE_NS     (200 * PLM_NS_PER_MS)
#define PROBE_MAX_NS (1250 * PLM_NS_PER_MS)

#define MTU_BASE     1200 /* RFC 9000 §14 */
#define MTU_LOSSES   3
#define MTU_RETRY_NS (600 * PLM_NS_PER_S) /* RFC 8899 §5.1.1 */

/* Of the window, what is kept for urgent datagrams: an eighth. */
#define URGENT_PART 8
/* Memory that a packet in flight may take at once; what stays for all else, such as gaps in what came, beside
 * the last four extents; and packets for which the handshake has left enough. */
#define FLIGHT_BYTES   4096
#define RESERVE_BYTES  4096
#define FLIGHT_EXTENTS (PLM_QUIC_EXTENTS_MAX - 4)
#define FLIGHT_FREE    8

#define ID_LARGE (UINT64_C(1) << 63)

void
quic_control_init(struct quic_control *c, uint16_t mtu)
{
	*c = (struct quic_control){
		.window = WINDOW_START,
		.most_in_flight = FLIGHT_FREE,
		.mtu_known = MTU_BASE,
		.mtu_limit = mtu,
		.mtu_most = mtu,
	};
}

void
quic_control_moved(struct quic_control *c)
{
	c->mtu_known = MTU_BASE;
	c->mtu_limit = c->mtu_most;
	c->mtu_losses = 0;
}

/* An epoch is over: what was lost in it, and how long the queue is. */
static void
epoch_end(struct quic_control *c, const ngtcp2_conn_info *info, uint64_t now_ns)
{
	uint64_t acked = c->acked - c->epoch_acked;
	uint64_t lost = c->lost - c->epoch_lost;

	if (acked + lost >= EPOCH_SAMPLES) {
		bool is_queued = info->min_rtt != UINT64_MAX &&
				info->smoothed_rtt > info->min_rtt + QUEUE_NS;

		if (lost * 10 > acked + lost || is_queued)
			c->window = RTE_MAX(c->window - c->window / 8, (uint64_t)WINDOW_MIN);
		else if (c->is_full)
			c->window += c->window / 8;
	}
	c->epoch_acked = c->acked;
	c->epoch_lost = c->lost;
	c->epoch_ns = now_ns + RTE_MAX((uint64_t)EPOCH_NS, info->smoothed_rtt);
	c->is_full = false;
}

void
quic_control_begin(struct plm_quic_conn *conn, uint64_t now_ns)
{
	struct quic_control *c = &conn->control;
	ngtcp2_conn_info info;

	ngtcp2_conn_get_conn_info(conn->ng, &info);
	if (plm_mutant(QUIC_WINDOW) && c->is_full)
		return;
	if (now_ns >= c->epoch_ns)
		epoch_end(c, &info, now_ns);
	c->window = RTE_MIN(c->window,
			info.cwnd > WINDOW_REST + WINDOW_MIN ? info.cwnd - WINDOW_REST
							     : (uint64_t)WINDOW_MIN);
	c->left = c->window > info.bytes_in_flight ? c->window - info.bytes_in_flight : 0;
	if (now_ns >= c->mtu_retry_ns)
		c->mtu_limit = c->mtu_most;
}

/* A full window lets one pass, at growing intervals while nothing is heard. */
static bool
may_probe(struct plm_quic_conn *conn, size_t size, uint64_t now_ns)
{
	struct quic_control *c = &conn->control;
	uint64_t silent_ns;

	if (plm_mutant(QUIC_WINDOW))
		return false;
	if (c->probe_acked != c->acked || c->full_ns == 0) {
		c->probe_acked = c->acked;
		c->full_ns = now_ns;
		c->probe_ns = now_ns + PROBE_NS;
		return false;
	}
	if (now_ns < c->probe_ns || ngtcp2_conn_get_cwnd_left(conn->ng) < size)
		return false;
	silent_ns = now_ns - c->full_ns;
	c->probe_ns = now_ns +
			RTE_MIN(RTE_MAX((uint64_t)PROBE_NS, silent_ns / 8), (uint64_t)PROBE_MAX_NS);
	return true;
}

/* ngtcp2 recycles what it has for packets in flight: only more than ever before take memory. */
static bool
has_memory(struct plm_quic_conn *conn)
{
	struct quic_control *c = &conn->control;

	if (c->in_flight < c->most_in_flight)
		return true;
	if (!quic_arena_has(&conn->arena, FLIGHT_BYTES + RESERVE_BYTES, FLIGHT_EXTENTS))
		return false;
	c->most_in_flight = c->in_flight + 1;
	return true;
}

enum plm_quic_verdict
quic_control_check(struct plm_quic_conn *conn, const struct plm_quic_dgram *dgram, size_t size,
		uint64_t now_ns)
{
	struct quic_control *c = &conn->control;
	uint64_t keep = dgram->is_urgent ? 0 : c->window / URGENT_PART;

	if (size > c->mtu_limit)
		return PLM_QUIC_TOO_LARGE;
	if (c->left < size + keep) {
		c->is_full = true;
		if (!may_probe(conn, size, now_ns))
			return PLM_QUIC_NO_WINDOW;
	}
	return has_memory(conn) ? PLM_QUIC_SENT : PLM_QUIC_NO_MEMORY;
}

uint64_t
quic_control_id(const struct quic_control *c, size_t size)
{
	return size > c->mtu_known ? ID_LARGE | size : 0;
}

void
quic_control_sent(struct quic_control *c, size_t size)
{
	c->sent++;
	c->in_flight++;
	c->left -= RTE_MIN(c->left, (uint64_t)size);
}

void
quic_control_acked(struct quic_control *c, uint64_t id)
{
	c->acked++;
	c->in_flight -= c->in_flight > 0; /* what was taken for lost is acknowledged, too */
	if (id & ID_LARGE) {
		c->mtu_known = RTE_MAX(c->mtu_known, (uint16_t)(id & UINT16_MAX));
		c->mtu_losses = 0;
	}
}

void
quic_control_lost(struct quic_control *c, uint64_t id, uint64_t now_ns)
{
	uint16_t size = (uint16_t)(id & UINT16_MAX);

	c->lost++;
	c->in_flight -= c->in_flight > 0;
	if (!(id & ID_LARGE) || size <= c->mtu_known || size > c->mtu_limit)
		return;
	if (++c->mtu_losses < MTU_LOSSES)
		return;
	c->mtu_losses = 0;
	c->mtu_limit = RTE_MAX(c->mtu_known, (uint16_t)(size - 1));
	c->mtu_retry_ns = now_ns + MTU_RETRY_NS;
}

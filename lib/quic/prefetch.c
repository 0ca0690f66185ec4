/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thousand connections do not fit into a cache, and a cold one costs as many misses as a packet touches
 * lines: 75 to send a datagram, 82 to read an acknowledgement, most of them ngtcp2's, and many found only by
 * way of another. But which lines is known: ngtcp2's object is the arena's first block, what it allocates
 * in a handshake stands behind it in much the same order for everybody, and packets are all alike. So they
 * are asked for ahead and all at once; only the keys are looked up, since a key update moves them.
 *
 * The lists were found by taking one line at a time out of the cache of a relay whose connections are otherwise warm, and timing what
 * that costs (AES-128-GCM, ngtcp2 1.11). Another version's would differ, and so does a handshake that lost packets beyond line 146, which
 * costs time and nothing else.
 */
#include <rte_prefetch.h>

#include "quic_priv.h"

/* Counted from the line that ngtcp2's object begins in; it ends in line 146. */
static const uint16_t sent_lines[] = { 1, 2, 3, 4, 7, 8, 10, 11, 14, 15, 17, 18, 30, 33, 34, 35, 36,
	37, 38, 91, 92, 93, 94, 95, 105, 106, 111, 112, 113, 116, 118, 119, 120, 121, 122, 123, 124,
	125, 127, 128, 129, 130, 131, 132, 134, 136, 145, 291, 292, 294, 295, 316, 317, 322, 323,
	416, 417, 461, 462, 463, 464, 465, 519 };
static const uint16_t read_lines[] = { 1, 2, 3, 4, 7, 8, 10, 11, 12, 13, 14, 17, 18, 19, 20, 29, 30,
	31, 33, 34, 35, 36, 37, 38, 90, 91, 93, 102, 107, 112, 113, 118, 119, 125, 127, 128, 129,
	130, 131, 132, 133, 134, 135, 136, 137, 139, 140, 145, 226, 227, 228, 229, 230, 231, 250,
	251, 255, 291, 296, 316, 322, 417, 461, 462, 463, 464, 465, 519, 535, 536, 537, 550, 551 };

#define MASK_BYTES (11 * 16) /* AES-128's round keys */

#define CONTROL_LINE (offsetof(struct plm_quic_conn, control) / RTE_CACHE_LINE_SIZE)
#define CONTROL_LAST (offsetof(struct plm_quic_conn, key_updates) / RTE_CACHE_LINE_SIZE)

static inline void
prefetch_lines(const uint8_t *base, const uint16_t *lines, size_t n)
{
	for (size_t i = 0; i < n; i++)
		rte_prefetch0(base + lines[i] * RTE_CACHE_LINE_SIZE);
}

/* The line with the connection's state, its control and its keys, and ngtcp2's. */
static inline void
prefetch_first(const uint8_t *arena, const uint16_t *lines, size_t n)
{
	rte_prefetch0(arena);
	for (size_t i = CONTROL_LINE; i <= CONTROL_LAST; i++)
		rte_prefetch0(arena + i * RTE_CACHE_LINE_SIZE);
	prefetch_lines(arena + RTE_ALIGN_CEIL(sizeof(struct plm_quic_conn), RTE_CACHE_LINE_SIZE),
			lines, n);
}

void
plm_quic_prefetch_send(const void *arena)
{
	prefetch_first(arena, sent_lines, RTE_DIM(sent_lines));
}

void
plm_quic_prefetch_recv(const void *arena)
{
	rte_prefetch0((const uint8_t *)arena + RTE_CACHE_LINE_SIZE); /* the path */
	prefetch_first(arena, read_lines, RTE_DIM(read_lines));
}

static inline void
prefetch_keys(const struct plm_quic_conn *conn, const struct quic_key *key,
		const struct quic_key *hp, size_t len)
{
	if (key != NULL) {
		rte_prefetch0(key);
		plm_aead_key_prefetch(conn->quic->conf.aead, conn->cipher, key->bytes, len);
	}
	if (hp != NULL)
		for (size_t at = 0; at < sizeof(*hp) + MASK_BYTES; at += RTE_CACHE_LINE_SIZE)
			rte_prefetch0((const uint8_t *)hp + at);
}

void
plm_quic_prefetch_send_more(const void *arena, size_t len)
{
	const struct plm_quic_conn *conn = arena;

	prefetch_keys(conn, conn->tx_key, conn->tx_hp, len);
}

void
plm_quic_prefetch_recv_more(const void *arena, size_t len)
{
	const struct plm_quic_conn *conn = arena;

	prefetch_keys(conn, conn->rx_key, conn->rx_hp, len);
}

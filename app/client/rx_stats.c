/* SPDX-License-Identifier: BSD-3-Clause */
#include "rx_stats.h"

#include <stdlib.h>

/* Extended numbers start here, so that a run can reach below its first packet. */
#define EXT_START (UINT64_C(1) << 32)

uint64_t
rx_expected(const struct rx_stream *rx)
{
	if (rx->received == rx->corrupt)
		return rx->expected_before;
	return rx->expected_before + rx->highest - rx->base + 1;
}

uint64_t
rx_lost(const struct rx_stream *rx)
{
	uint64_t expected = rx_expected(rx);

	return expected > rx->unique ? expected - rx->unique : 0;
}

static bool
window_test(const struct rx_stream *rx, uint64_t ext)
{
	return (rx->seen[ext % RX_WINDOW / 64] >> (ext % 64) & 1) != 0;
}

static void
window_set(struct rx_stream *rx, uint64_t ext)
{
	rx->seen[ext % RX_WINDOW / 64] |= UINT64_C(1) << (ext % 64);
}

/* Move the window's upper edge to `ext`; what it now covers anew has not been seen. */
static void
window_advance(struct rx_stream *rx, uint64_t ext)
{
	if (ext - rx->highest >= RX_WINDOW)
		memset(rx->seen, 0, sizeof(rx->seen));
	else
		for (uint64_t e = rx->highest + 1; e <= ext; e++)
			rx->seen[e % RX_WINDOW / 64] &= ~(UINT64_C(1) << (e % 64));
	rx->highest = ext;
	window_set(rx, ext);
}

static void
run_begin(struct rx_stream *rx, uint64_t ext)
{
	memset(rx->seen, 0, sizeof(rx->seen));
	rx->base = ext;
	rx->highest = ext;
	rx->restart = 0;
	window_set(rx, ext);
}

enum arrival { ARRIVED_NEXT, ARRIVED_EARLIER, ARRIVED_TWICE, ARRIVED_LATE };

static enum arrival
sequence(struct rx_stream *rx, uint64_t ext)
{
	if (rx->unique + rx->duplicates + rx->late == 0) {
		run_begin(rx, ext);
		return ARRIVED_NEXT;
	}
	if (ext > rx->highest) {
		rx->restart = 0;
		window_advance(rx, ext);
		return ARRIVED_NEXT;
	}
	if (rx->highest - ext >= RX_WINDOW) {
		/* Far behind: the sender has begun anew if the next number follows. */
		if (ext != rx->restart) {
			rx->restart = ext + 1;
			return ARRIVED_LATE;
		}
		rx->expected_before += rx->highest - rx->base + 1;
		rx->restarts++;
		/* The packet that announced the restart counted as late; it was the first. */
		run_begin(rx, ext - 1);
		rx->late--;
		rx->unique++;
		window_advance(rx, ext);
		return ARRIVED_NEXT;
	}
	if (window_test(rx, ext))
		return ARRIVED_TWICE;
	window_set(rx, ext);
	if (ext < rx->base)
		rx->base = ext;
	return ARRIVED_EARLIER;
}

static void
count_jitter(struct rx_stream *rx, uint64_t d_ns)
{
	plm_hist_add(rx->jitter, d_ns);
	rx->jitter_ns += d_ns - ((rx->jitter_ns + 8) >> 4);
}

void
rx_packet(struct rx_stream *rx, const struct plm_rtp *rtp, size_t len, uint64_t now_ns,
		enum gen_verdict verdict, const struct gen_stamp *stamp)
{
	bool first = rx->received == rx->corrupt;
	enum arrival arrival;
	int64_t d_ns = 0;
	uint64_t ext;

	if (rx->received == 0) {
		rx->payload_type = rtp->payload_type;
		rx->first_ns = now_ns;
		rx->generated = verdict != GEN_FOREIGN;
	}
	rx->received++;
	rx->bytes += len;
	rx->last_ns = now_ns;
	/* Nothing in a damaged packet can be believed, its number included. */
	if (verdict == GEN_CORRUPT || (rx->generated && verdict == GEN_FOREIGN)) {
		rx->corrupt++;
		return;
	}

	/* The generator's index tells any number of lost packets, 16 bits tell up to 32767. */
	if (rx->generated)
		ext = EXT_START + stamp->index;
	else if (first)
		ext = EXT_START + rtp->seq;
	else
		ext = rx->highest + (uint64_t)(int64_t)(int16_t)(rtp->seq - (uint16_t)rx->highest);

	arrival = sequence(rx, ext);
	rx->unique += arrival == ARRIVED_NEXT || arrival == ARRIVED_EARLIER;
	rx->reordered += arrival == ARRIVED_EARLIER;
	rx->duplicates += arrival == ARRIVED_TWICE;
	rx->late += arrival == ARRIVED_LATE;

	if (rx->generated) {
		int64_t transit_ns = (int64_t)(now_ns - stamp->sent_ns);

		/* A stamp of another machine's clock says nothing about delay. */
		plm_hist_add(rx->delay, transit_ns > 0 ? (uint64_t)transit_ns : 0);
		d_ns = transit_ns - rx->transit_ns;
		rx->transit_ns = transit_ns;
	} else {
		int64_t sent = (int32_t)(rtp->timestamp - rx->last_timestamp);

		d_ns = (int64_t)now_ns - rx->transit_ns -
				sent * (int64_t)PLM_NS_PER_S / (int64_t)rx->clock_hz;
		rx->transit_ns = (int64_t)now_ns;
		rx->last_timestamp = rtp->timestamp;
	}
	if (!first)
		count_jitter(rx, (uint64_t)llabs(d_ns));
}

void
rx_report(struct rx_stream *rx, uint64_t now_ns, struct rx_report *report)
{
	uint64_t expected = rx_expected(rx);
	uint64_t expected_now = expected - rx->expected_prior;
	uint64_t received_now = rx->unique - rx->received_prior;
	uint64_t lost = rx_lost(rx);
	uint64_t fraction = 0;

	if (expected_now > received_now)
		fraction = (expected_now - received_now) * 256 / expected_now;
	rx->expected_prior = expected;
	rx->received_prior = rx->unique;
	*report = (struct rx_report){
		.ssrc = rx->ssrc,
		.fraction_lost = (uint8_t)RTE_MIN(fraction, UINT64_C(255)),
		.lost = (int32_t)RTE_MIN(lost, UINT64_C(0x7fffff)),
		.highest = (uint32_t)rx->highest,
		.jitter = (uint32_t)((rx->jitter_ns >> 4) * rx->clock_hz / PLM_NS_PER_S),
		.last_sr = rx->last_sr,
	};
	if (rx->last_sr_ns != 0)
		report->delay_since_sr =
				(uint32_t)((now_ns - rx->last_sr_ns) * 65536 / PLM_NS_PER_S);
}

static uint32_t
slot_of(const struct rx_table *table, uint32_t ssrc)
{
	return (ssrc * 0x9e3779b1u) >> 7 & (table->nb_slots - 1);
}

struct rx_stream *
rx_lookup(const struct rx_table *table, uint32_t ssrc)
{
	if (table->nb_slots == 0)
		return NULL;
	for (uint32_t i = slot_of(table, ssrc); table->slot[i] != 0;
			i = (i + 1) & (table->nb_slots - 1)) {
		struct rx_stream *rx = table->streams[table->slot[i] - 1];

		if (rx->ssrc == ssrc)
			return rx;
	}
	return NULL;
}

static void
slot_put(struct rx_table *table, uint32_t idx)
{
	uint32_t i = slot_of(table, table->streams[idx]->ssrc);

	while (table->slot[i] != 0)
		i = (i + 1) & (table->nb_slots - 1);
	table->slot[i] = idx + 1;
}

/* Room for one more at a load of at most a half. */
static bool
table_reserve(struct rx_table *table)
{
	uint32_t nb_slots = table->nb_slots == 0 ? 16 : table->nb_slots * 2;
	struct rx_stream **streams;
	uint32_t *slot;

	if (table->nb_streams * 2 < table->nb_slots)
		return true;
	streams = realloc(table->streams, nb_slots / 2 * sizeof(*streams));
	if (streams == NULL)
		return false;
	table->streams = streams;
	slot = calloc(nb_slots, sizeof(*slot));
	if (slot == NULL)
		return false;
	free(table->slot);
	table->slot = slot;
	table->nb_slots = nb_slots;
	for (uint32_t i = 0; i < table->nb_streams; i++)
		slot_put(table, i);
	return true;
}

static void
stream_free(struct rx_stream *rx)
{
	if (rx == NULL)
		return;
	free(rx->delay);
	free(rx->jitter);
	free(rx);
}

struct rx_stream *
rx_get(struct rx_table *table, uint32_t ssrc)
{
	struct rx_stream *rx = rx_lookup(table, ssrc);

	if (rx != NULL)
		return rx;
	if (table->nb_streams == RX_STREAMS_MAX || !table_reserve(table))
		goto fail;
	rx = calloc(1, sizeof(*rx));
	if (rx == NULL)
		goto fail;
	rx->ssrc = ssrc;
	rx->order = table->nb_streams;
	rx->clock_hz = 90000;
	rx->delay = calloc(1, sizeof(*rx->delay));
	rx->jitter = calloc(1, sizeof(*rx->jitter));
	if (rx->delay == NULL || rx->jitter == NULL)
		goto fail;
	table->streams[table->nb_streams++] = rx;
	slot_put(table, rx->order);
	return rx;

fail:
	stream_free(rx);
	table->refused++;
	return NULL;
}

void
rx_table_fini(struct rx_table *table)
{
	for (uint32_t i = 0; i < table->nb_streams; i++)
		stream_free(table->streams[i]);
	free(table->streams);
	free(table->slot);
	*table = (struct rx_table){ 0 };
}

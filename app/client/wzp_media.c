/* SPDX-License-Identifier: BSD-3-Clause */
#include "wzp_media.h"

#include <stdlib.h>

#include <rte_common.h>

#include "bytes.h"

/* Samples at 48 kHz in a millisecond. */
#define SAMPLES_PER_MS 48
/* What clients say of the rate that they could do with. */
#define REPORT_CAP_KBPS 200
/* Numbers that a sender may be ahead of its last packet: some at once, and those that it had the time for,
 * at the shortest frame of Opus that anybody uses. */
#define AHEAD_AT_ONCE 4
#define FRAME_MIN_NS  (5 * PLM_NS_PER_MS)
#define AHEAD_MAX     3000
/* And behind, for as long as is known what came. */
#define BEHIND_MAX 64
/* A first step of this many is one of samples at 48 kHz, not of milliseconds. */
#define STEP_SAMPLES 480

/* --- sending -------------------------------------------------------------------------------- */

static size_t
tx_build(struct wzp_tx *tx, uint64_t now_ns, uint32_t timestamp, const uint8_t *payload, size_t len,
		uint8_t *buf, size_t size)
{
	struct plm_wzp_media media = {
		.codec = tx->codec,
		.sequence = tx->sequence,
		.timestamp = timestamp,
		.payload_len = len,
		.has_report = tx->has_quality && now_ns >= tx->report_ns,
	};
	int ret;

	if (media.has_report) {
		const uint8_t report[] = { tx->quality.loss, tx->quality.rtt_4ms,
			tx->quality.jitter_ms, REPORT_CAP_KBPS };

		memcpy(media.report, report, sizeof(report));
	}
	ret = plm_wzp_media_build(buf, size, &media, payload);
	if (ret < 0)
		return 0;
	if (media.has_report) {
		tx->report_ns = now_ns + PLM_NS_PER_S;
		tx->reports++;
	}
	tx->sequence++;
	tx->packets++;
	tx->bytes += len;
	return (size_t)ret;
}

/* Milliseconds since the first packet. */
static uint32_t
tx_clock(struct wzp_tx *tx, uint64_t now_ns)
{
	if (tx->begin_ns == 0)
		tx->begin_ns = now_ns;
	return (uint32_t)((now_ns - tx->begin_ns) / PLM_NS_PER_MS);
}

size_t
wzp_tx_whole(struct wzp_tx *tx, uint64_t now_ns, const uint8_t *payload, size_t len, uint8_t *buf,
		size_t size)
{
	return tx_build(tx, now_ns, tx_clock(tx, now_ns), payload, len, buf, size);
}

size_t
wzp_tx_rtp(struct wzp_tx *tx, uint64_t now_ns, const uint8_t *buf, size_t len, uint8_t *out,
		size_t size)
{
	uint32_t clock_ms = tx_clock(tx, now_ns);
	struct plm_rtp rtp;
	size_t padding;
	int32_t step;

	if (plm_rtp_parse(buf, len, &rtp) < 0)
		return 0;
	padding = (buf[0] & 0x20) != 0 ? buf[len - 1] : 0;
	if (rtp.payload_off + padding >= len)
		return 0;
	if (!tx->has_rtp || tx->ssrc != rtp.ssrc) {
		tx->has_rtp = true;
		tx->ssrc = rtp.ssrc;
		tx->rtp_base = rtp.timestamp;
		tx->ms_base = clock_ms;
	}
	/* Both ways: of packets that were reordered on their way to us. */
	step = (int32_t)(rtp.timestamp - tx->rtp_base);
	if (abs(step) >= SAMPLES_PER_MS * 1000) { /* a base that is never far away does not wrap */
		tx->rtp_base += (uint32_t)(step / (SAMPLES_PER_MS * 1000)) * SAMPLES_PER_MS * 1000;
		tx->ms_base += (uint32_t)(step / (SAMPLES_PER_MS * 1000)) * 1000;
		step %= SAMPLES_PER_MS * 1000;
	}
	return tx_build(tx, now_ns, tx->ms_base + (uint32_t)(step / SAMPLES_PER_MS),
			buf + rtp.payload_off, len - rtp.payload_off - padding, out, size);
}

/* --- receiving ------------------------------------------------------------------------------ */

bool
wzp_is_opus(const struct plm_wzp_media *media)
{
	return !media->is_repair && media->codec != WZP_CODEC2_3200 &&
			media->codec != WZP_CODEC2_1200 && media->codec != WZP_COMFORT_NOISE;
}

/* How far from what would be next; UINT64_MAX: it is not this sender's. */
static uint64_t
distance(const struct wzp_sender *sender, const struct plm_wzp_media *media, uint64_t now_ns)
{
	int16_t ahead = (int16_t)(media->sequence - sender->sequence);
	int32_t later = (int32_t)(media->timestamp - sender->timestamp);
	uint64_t time = RTE_MIN((uint64_t)llabs((long long)later), UINT64_C(0xffff));

	if (ahead > 0) {
		uint64_t max = AHEAD_AT_ONCE + (now_ns - sender->heard_ns) / FRAME_MIN_NS;

		if ((uint64_t)ahead > RTE_MIN(max, (uint64_t)AHEAD_MAX))
			return UINT64_MAX;
		return (uint64_t)(ahead - 1) << 16 | time;
	}
	/* Late: of a number that did not come yet. The relay repeats nothing. */
	if (-ahead >= BEHIND_MAX || (sender->seen >> -ahead & 1) != 0 || later > 0)
		return UINT64_MAX;
	return (uint64_t)-ahead << 16 | time;
}

static struct wzp_sender *
sender_new(struct wzp_senders *senders)
{
	struct wzp_sender *sender = &senders->list[0];

	if (senders->nb < WZP_SENDERS_MAX)
		sender = &senders->list[senders->nb++];
	else
		for (unsigned int i = 1; i < WZP_SENDERS_MAX; i++)
			if (senders->list[i].heard_ns < sender->heard_ns)
				sender = &senders->list[i];
	*sender = (struct wzp_sender){ .ssrc = WZP_SSRC_FIRST + senders->nb_ever++,
		.scale = SAMPLES_PER_MS };
	return sender;
}

/* Two packets in a row: what do their timestamps count? Android's clients count samples. */
static void
settle_scale(struct wzp_sender *sender, const struct plm_wzp_media *media)
{
	uint32_t step = media->timestamp - sender->timestamp;

	if (sender->has_scale || (uint16_t)(media->sequence - sender->sequence) != 1 || step == 0)
		return;
	sender->has_scale = true;
	if (step % STEP_SAMPLES == 0)
		sender->scale = 1;
}

static void
sender_count(struct wzp_sender *sender, const struct plm_wzp_media *media, uint64_t now_ns)
{
	int16_t ahead = (int16_t)(media->sequence - sender->sequence);

	if (sender->packets == 0) {
		sender->base = media->timestamp;
		sender->seen = 1;
	} else if (ahead > 0) {
		settle_scale(sender, media);
		sender->seen = ahead < BEHIND_MAX ? sender->seen << ahead | 1 : 1;
	} else {
		sender->seen |= UINT64_C(1) << -ahead;
	}
	if (sender->packets == 0 || ahead > 0) {
		sender->sequence = media->sequence;
		sender->timestamp = media->timestamp;
	}
	sender->heard_ns = now_ns;
	sender->codec = media->codec;
	sender->packets++;
	sender->repairs += media->is_repair;
	sender->noises += media->codec == WZP_COMFORT_NOISE;
	if (media->has_report) {
		sender->reports++;
		memcpy(sender->report, media->report, sizeof(sender->report));
	}
	sender->nb_skipped += !wzp_is_opus(media);
}

struct wzp_sender *
wzp_senders_find(struct wzp_senders *senders, const struct plm_wzp_media *media, uint64_t now_ns)
{
	struct wzp_sender *found = NULL;
	uint64_t least = UINT64_MAX;

	for (unsigned int i = 0; i < senders->nb; i++) {
		uint64_t d = distance(&senders->list[i], media, now_ns);

		if (d < least) {
			least = d;
			found = &senders->list[i];
		}
	}
	if (found == NULL)
		found = sender_new(senders);
	sender_count(found, media, now_ns);
	return found;
}

size_t
wzp_to_rtp(struct wzp_sender *sender, const struct plm_wzp_media *media, const uint8_t *payload,
		uint8_t payload_type, struct plm_rtp *rtp, uint8_t *buf, size_t size)
{
	*rtp = (struct plm_rtp){
		.ssrc = sender->ssrc,
		.timestamp = (media->timestamp - sender->base) * sender->scale,
		.seq = media->sequence,
		.payload_type = payload_type,
		.payload_off = PLM_RTP_HDR,
	};
	if (size < PLM_RTP_HDR || media->payload_len > size - PLM_RTP_HDR)
		return 0;
	buf[0] = 0x80;
	buf[1] = payload_type;
	/* For a player, who takes a gap for a loss, those are numbered that it gets. */
	put_be16(buf + 2, (uint16_t)(media->sequence - sender->nb_skipped));
	put_be32(buf + 4, rtp->timestamp);
	put_be32(buf + 8, rtp->ssrc);
	memcpy(buf + PLM_RTP_HDR, payload, media->payload_len);
	return PLM_RTP_HDR + media->payload_len;
}

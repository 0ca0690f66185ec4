/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Media datagrams of the WZP protocol (§4 of its specification) of a participant: what is put in front of
 * that which it sends, and whose those are that come, since their headers name no sender. Packets and
 * time are arguments.
 *
 * An Opus frame of RTP becomes one of WZP and back: the payload is the same, timestamps count 48 kHz
 * there (RFC 7587) and milliseconds here.
 */
#ifndef CLIENT_WZP_MEDIA_H
#define CLIENT_WZP_MEDIA_H

#include "plm_base.h"
#include "plm_wire.h"

#define WZP_SENDERS_MAX 64
/** SSRCs that are made up for senders: this one and the following. */
#define WZP_SSRC_FIRST 0x575a5000u
/** Codecs of §4.2 that are something else than Opus. */
#define WZP_CODEC2_3200   3
#define WZP_CODEC2_1200   4
#define WZP_COMFORT_NOISE 5

/* --- sending -------------------------------------------------------------------------------- */

/** What `--quality-report` asks for, in the trailer's units. */
struct wzp_quality {
	uint8_t loss;    /**< of 255 */
	uint8_t rtt_4ms; /**< 4 ms each */
	uint8_t jitter_ms;
};

/** One participant's media on its way out. */
struct wzp_tx {
	/* const */
	uint8_t codec;
	bool has_quality;
	struct wzp_quality quality;

	/* owner */
	uint16_t sequence; /**< of the next packet */
	uint64_t begin_ns; /**< of the first; 0: none yet */
	uint64_t report_ns;
	bool has_rtp;      /**< RTP came: the three below are set */
	uint32_t ssrc;     /**< of the stream that is being converted */
	uint32_t rtp_base; /**< its timestamp at ... */
	uint32_t ms_base;  /**< ... this one of ours */

	/* counters */
	uint64_t packets;
	uint64_t reports; /**< of them, with a quality report */
	uint64_t bytes;
};

/**
 * A datagram of this payload, whatever it is, with the next number and the time since the first.
 * @return its length; 0: it does not fit.
 */
size_t wzp_tx_whole(struct wzp_tx *tx, uint64_t now_ns, const uint8_t *payload, size_t len,
		uint8_t *buf, size_t size);

/** A datagram of an RTP packet's payload; another SSRC goes on in time. Its length; 0: it is no RTP
 *  packet with a payload, or does not fit. */
size_t wzp_tx_rtp(struct wzp_tx *tx, uint64_t now_ns, const uint8_t *rtp, size_t len, uint8_t *buf,
		size_t size);

/* --- receiving ------------------------------------------------------------------------------ */

/** Somebody who is heard. */
struct wzp_sender {
	uint32_t ssrc;       /**< made up */
	uint16_t sequence;   /**< the highest */
	uint32_t timestamp;  /**< of that one */
	uint64_t seen;       /**< bit n: `sequence` - n came */
	uint64_t heard_ns;   /**< when the last one came */
	uint32_t base;       /**< timestamp of the first packet */
	bool has_scale;      /**< it is known ... */
	uint8_t scale;       /**< ... how many 48 kHz samples a timestamp is: 48 or 1 */
	uint16_t nb_skipped; /**< packets that RTP leaves out, so far */
	uint8_t codec;       /**< of the last packet */

	/* counters */
	uint64_t packets;
	uint64_t repairs;
	uint64_t noises; /**< comfort noise */
	uint64_t reports;
	uint8_t report[PLM_WZP_REPORT]; /**< the last one */
};

struct wzp_senders {
	struct wzp_sender list[WZP_SENDERS_MAX];
	unsigned int nb;
	uint32_t nb_ever; /**< the first have their places taken when there are too many */
};

/**
 * Whose packet this is, counted: of whom it goes on with, by sequence number and time. Two who stand at
 * the same number at the same time cannot be told apart.
 * @return never NULL: somebody new if need be, in the place of who was silent longest.
 */
struct wzp_sender *wzp_senders_find(struct wzp_senders *senders, const struct plm_wzp_media *media,
		uint64_t now_ns);

/** Whether it is an Opus frame, which RTP has a payload format for. */
bool wzp_is_opus(const struct plm_wzp_media *media);

/**
 * Its packet as one of RTP, in `buf`, after wzp_senders_find().
 * @param[out] rtp  its header, with the sequence number that it had
 * @return length, or 0: it does not fit.
 */
size_t wzp_to_rtp(struct wzp_sender *sender, const struct plm_wzp_media *media,
		const uint8_t *payload, uint8_t payload_type, struct plm_rtp *rtp, uint8_t *buf,
		size_t size);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A participant of the WZP protocol (docs/wzp.md), on its QUIC connection: who it is, how it is let in,
 * what is said about the room, and what its media is wrapped in. The connection calls it and is told
 * what to send; it has no socket of its own.
 */
#ifndef CLIENT_WZP_H
#define CLIENT_WZP_H

#include "plm_wzp.h"
#include "wzp_media.h"
#include "wzp_reader.h"

/** How long the relay may take over its answer. */
#define WZP_ANSWER_NS (10 * PLM_NS_PER_S)

struct client;
struct participant;

enum wzp_stage {
	WZP_CONNECTING, /**< the handshake of QUIC */
	WZP_ASKED,      /**< the offer is on its way */
	WZP_IN_ROOM,    /**< it was answered */
	WZP_UNANSWERED, /**< for too long */
	WZP_MISTAKEN,   /**< by something else than an answer that can be believed: `why` */
};

/** Of one participant. */
struct wzp_link {
	/* const */
	struct plm_wzp_identity id;
	char alias[PLM_WZP_TEXT_MAX + 1]; /**< empty: none */

	/* owner */
	enum wzp_stage stage;
	const char *why; /**< of WZP_MISTAKEN */
	uint64_t asked_ns;
	uint64_t ping_ns;   /**< when the next one is due; 0: none */
	uint64_t pinged_ms; /**< what the last one said ... */
	uint64_t pinged_ns; /**< ... and when; 0: none, or it was answered */
	bool is_hung_up;    /**< a Hangup was queued */
	struct wzp_reader reader;
	struct wzp_tx tx;
	struct wzp_senders *senders; /**< owned; NULL: nobody was heard */

	/* what the relay said */
	uint64_t answer_ns; /**< from the first packet to its answer; 0: none */
	bool is_verified;   /**< the answer is signed by whom it names */
	char relay[PLM_WZP_FINGERPRINT_TEXT];
	uint8_t profile;  /**< codec that it chose */
	uint32_t members; /**< of the last update */
	bool has_directive;
	uint8_t directive; /**< codec of the last one */
	uint64_t pong_ns;  /**< round trip of the last Ping */

	/* counters */
	uint64_t signals_sent;
	uint64_t signals_unsent; /**< too many waited already */
	uint64_t signals_received;
	uint64_t signals_refused; /**< no signal, or none that we know */
	uint64_t room_updates;
	uint64_t directives;
	uint64_t hangups;
	uint64_t pings;
	uint64_t pongs;
	uint64_t media_received;
	uint64_t media_malformed;
	uint64_t trunks; /**< datagrams of many, which no client takes apart */
};

/** Identity and such. 0 or negative errno, said on stderr. */
int wzp_link_init(struct participant *p);
/** Takes those that were never initialised. */
void wzp_link_fini(struct participant *p);
/** All that is due on an established connection; returns when to come back. */
uint64_t wzp_link_turn(struct participant *p, uint64_t now_ns);
/** Bytes of a stream of the relay's; `has_ended` by FIN or reset. 0 or negative errno: give the connection up. */
int wzp_link_stream(struct participant *p, int64_t stream_id, const uint8_t *buf, size_t len,
		bool has_ended);
/** A datagram came. */
void wzp_link_datagram(struct participant *p, const uint8_t *buf, size_t len, uint64_t now_ns);
/** Queue a Hangup. */
void wzp_link_hangup(struct participant *p);

/** How a message becomes a datagram. */
enum wzp_wrap {
	WZP_WHOLE, /**< all of it is the payload */
	WZP_RTP,   /**< what it carries is */
	WZP_RAW,   /**< it is one */
};

/** In `buf`; 0: it becomes none. */
size_t wzp_link_wrap(struct participant *p, enum wzp_wrap wrap, const uint8_t *msg, size_t len,
		uint64_t now_ns, uint8_t *buf, size_t size);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Signals that a WZP relay sends: a stream each, read one after the other in the order of their ids, one
 * frame of each, as the protocol's own clients do. No sockets and no clock.
 *
 * What comes on a stream before its turn is kept, and its credit not given back, so that the windows bound
 * it; of the one whose turn it is a frame of up to 1 MiB may come.
 */
#ifndef CLIENT_WZP_READER_H
#define CLIENT_WZP_READER_H

#include "plm_base.h"

/** Streams that may have begun and wait for their turn: more than a peer is allowed to open. */
#define WZP_READER_STREAMS 128
/** Bytes of JSON in a frame. */
#define WZP_READER_FRAME_MAX 1048576

struct wzp_reader_ops {
	/** A frame's JSON, during the call. */
	void (*frame)(void *ctx, const uint8_t *json, size_t len);
	/** The peer may send as much more. */
	void (*consumed)(void *ctx, int64_t stream_id, size_t len);
};

/** What came on a stream whose frame was not read yet. */
struct wzp_rx_stream {
	int64_t id;
	uint8_t *buf; /**< owned */
	size_t len;
	size_t size;
	bool has_ended; /**< by FIN or reset: nothing more comes */
};

struct wzp_reader {
	/* const */
	const struct wzp_reader_ops *ops;
	void *ctx;

	/* owner */
	int64_t next; /**< id of the stream whose turn it is */
	struct wzp_rx_stream streams[WZP_READER_STREAMS];
	unsigned int nb_streams;
	bool is_stopped;

	/* counters */
	uint64_t frames;
	uint64_t broken;   /**< streams that ended before their frame was whole */
	uint64_t oversize; /**< frames that say that they are longer than allowed; left out */
	uint64_t trailing; /**< bytes behind a frame; left out */
};

void wzp_reader_init(struct wzp_reader *reader, const struct wzp_reader_ops *ops, void *ctx);
void wzp_reader_fini(struct wzp_reader *reader);

/** Bytes of a stream that the peer opened, in order within it. 0; -ENOMEM; -ENOBUFS: too many streams. */
int wzp_reader_take(struct wzp_reader *reader, int64_t stream_id, const uint8_t *buf, size_t len,
		bool has_ended);

/** Read nothing any more, and give nothing back: what comes stays the peer's problem. */
void wzp_reader_stop(struct wzp_reader *reader);

#endif

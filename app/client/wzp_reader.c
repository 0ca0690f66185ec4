/* SPDX-License-Identifier: BSD-3-Clause */
#include "wzp_reader.h"

#include <errno.h>
#include <stdlib.h>

#include <rte_common.h>

#include "bytes.h"

/* Of ids (RFC 9000 §2.1): opened by the server, bidirectional. */
#define ID_FIRST 1
#define ID_STEP  4
#define LENGTH   4 /* in front of a frame */

void
wzp_reader_init(struct wzp_reader *reader, const struct wzp_reader_ops *ops, void *ctx)
{
	*reader = (struct wzp_reader){ .ops = ops, .ctx = ctx, .next = ID_FIRST };
}

void
wzp_reader_fini(struct wzp_reader *reader)
{
	for (unsigned int i = 0; i < reader->nb_streams; i++)
		free(reader->streams[i].buf);
	reader->nb_streams = 0;
}

static struct wzp_rx_stream *
stream_find(struct wzp_reader *reader, int64_t id)
{
	for (unsigned int i = 0; i < reader->nb_streams; i++)
		if (reader->streams[i].id == id)
			return &reader->streams[i];
	return NULL;
}

static struct wzp_rx_stream *
stream_get(struct wzp_reader *reader, int64_t id)
{
	struct wzp_rx_stream *stream = stream_find(reader, id);

	if (stream != NULL)
		return stream;
	if (reader->nb_streams == RTE_DIM(reader->streams))
		return NULL;
	stream = &reader->streams[reader->nb_streams++];
	*stream = (struct wzp_rx_stream){ .id = id };
	return stream;
}

static int
stream_add(struct wzp_rx_stream *stream, const uint8_t *buf, size_t len)
{
	if (stream->len + len > stream->size) {
		size_t size = RTE_MAX(2 * stream->size, stream->len + len);
		uint8_t *bytes = realloc(stream->buf, size);

		if (bytes == NULL)
			return -ENOMEM;
		stream->buf = bytes;
		stream->size = size;
	}
	if (len != 0)
		memcpy(stream->buf + stream->len, buf, len);
	stream->len += len;
	return 0;
}

/* It had its turn; what else comes on it is nobody's. Frees what it holds but `buf`, which is given out. */
static uint8_t *
stream_end(struct wzp_reader *reader, struct wzp_rx_stream *stream)
{
	uint8_t *buf = stream->buf;

	*stream = reader->streams[--reader->nb_streams];
	reader->next += ID_STEP;
	return buf;
}

/* The one whose turn it is. True: it is the next one's turn. */
static bool
stream_read(struct wzp_reader *reader, struct wzp_rx_stream *stream)
{
	size_t size = stream->len >= LENGTH ? get_be32(stream->buf) : 0;
	uint8_t *buf;

	if (size > WZP_READER_FRAME_MAX) {
		reader->oversize++;
		free(stream_end(reader, stream));
		return true;
	}
	if (stream->len < LENGTH || stream->len < LENGTH + size) {
		if (!stream->has_ended)
			return false;
		reader->broken++;
		free(stream_end(reader, stream));
		return true;
	}
	reader->frames++;
	reader->trailing += stream->len - LENGTH - size;
	buf = stream_end(reader, stream);
	reader->ops->frame(reader->ctx, buf + LENGTH, size);
	free(buf);
	return true;
}

/* As many as are whole. The first one's credit has been given back already. */
static void
read_on(struct wzp_reader *reader)
{
	struct wzp_rx_stream *stream = stream_find(reader, reader->next);

	while (stream != NULL && stream_read(reader, stream) && !reader->is_stopped) {
		stream = stream_find(reader, reader->next);
		if (stream != NULL && stream->len != 0)
			reader->ops->consumed(reader->ctx, stream->id, stream->len);
	}
}

int
wzp_reader_take(struct wzp_reader *reader, int64_t stream_id, const uint8_t *buf, size_t len,
		bool has_ended)
{
	struct wzp_rx_stream *stream;
	int ret;

	if (reader->is_stopped)
		return 0;
	/* Unidirectional, or its frame was read: nothing on it concerns us. */
	if (stream_id % ID_STEP != ID_FIRST || stream_id < reader->next) {
		reader->trailing += stream_id % ID_STEP == ID_FIRST ? len : 0;
		if (len != 0)
			reader->ops->consumed(reader->ctx, stream_id, len);
		return 0;
	}
	stream = stream_get(reader, stream_id);
	if (stream == NULL)
		return -ENOBUFS;
	ret = stream_add(stream, buf, len);
	if (ret < 0)
		return ret;
	stream->has_ended |= has_ended;
	if (stream_id != reader->next)
		return 0;
	if (len != 0)
		reader->ops->consumed(reader->ctx, stream_id, len);
	read_on(reader);
	return 0;
}

void
wzp_reader_stop(struct wzp_reader *reader)
{
	reader->is_stopped = true;
}

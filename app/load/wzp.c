/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The streams of one client of the WZP protocol: it offers to join, reads the relay's answer on the first
 * stream that the relay opens, and what is said on later ones as far as it takes to know what it was.
 */
#include <stdlib.h>

#include "bytes.h"
#include "load.h"

#define ANSWER_STREAM 1
#define UPDATE        "{\"RoomUpdate\":{\"count\":"

int
load_wzp_init(struct load_wzp *w, const struct plm_wzp_identity *id, const struct plm_rand *rand,
		const char *alias)
{
	struct plm_wzp_signal offer;
	int ret = plm_wzp_offer_make(id, rand, alias, &offer);

	if (ret == 0)
		ret = plm_wzp_encode(&offer, w->offer, sizeof(w->offer));
	if (ret < 0)
		return ret;
	w->chunk = (struct plm_quic_chunk){ .buf = w->offer, .len = (uint32_t)ret };
	w->answer_len = 0;
	w->has_answer = false;
	w->nb_listed = 0;
	for (unsigned int i = 0; i < LOAD_WZP_STREAMS; i++)
		w->streams[i].id = -1;
	return 0;
}

int
load_wzp_offer(struct load_wzp *w, struct plm_quic_conn *conn)
{
	return plm_quic_stream_send(conn, &w->chunk);
}

/* Is it a frame, and no more than that? */
static bool
is_frame(const uint8_t *frame, size_t len)
{
	return len >= PLM_WZP_LENGTH && get_be32(frame) == len - PLM_WZP_LENGTH;
}

static enum load_wzp_news
take_answer(struct load_wzp *w, const uint8_t *buf, size_t len, bool fin)
{
	struct plm_wzp_signal signal;

	if (len > sizeof(w->answer) - w->answer_len)
		return LOAD_WZP_WRONG;
	if (len > 0)
		memcpy(w->answer + w->answer_len, buf, len);
	w->answer_len += len;
	if (!fin)
		return LOAD_WZP_NOTHING;
	if (!is_frame(w->answer, w->answer_len) ||
			plm_wzp_decode(w->answer + PLM_WZP_LENGTH, w->answer_len - PLM_WZP_LENGTH,
					&signal) < 0 ||
			signal.type != PLM_WZP_CALL_ANSWER || plm_wzp_answer_verify(&signal) < 0)
		return LOAD_WZP_WRONG;
	w->has_answer = true;
	return LOAD_WZP_ANSWERED;
}

static struct load_wzp_stream *
stream_of(struct load_wzp *w, int64_t stream_id)
{
	struct load_wzp_stream *unused = NULL;

	for (unsigned int i = 0; i < LOAD_WZP_STREAMS; i++) {
		if (w->streams[i].id == stream_id)
			return &w->streams[i];
		if (w->streams[i].id < 0)
			unused = &w->streams[i];
	}
	if (unused != NULL)
		*unused = (struct load_wzp_stream){ .id = stream_id };
	return unused;
}

/* What a whole frame says, by its beginning. */
static enum load_wzp_news
look_at(struct load_wzp *w, const struct load_wzp_stream *s)
{
	const char *json = (const char *)s->head + PLM_WZP_LENGTH;
	struct plm_wzp_signal signal;
	char *end;
	unsigned long n;

	if (s->len < PLM_WZP_LENGTH || get_be32(s->head) != s->len - PLM_WZP_LENGTH)
		return LOAD_WZP_WRONG;
	if (s->len <= LOAD_WZP_HEAD)
		return plm_wzp_decode(json, s->len - PLM_WZP_LENGTH, &signal) < 0 ? LOAD_WZP_WRONG
				: signal.type == PLM_WZP_PONG                     ? LOAD_WZP_PONG
										  : LOAD_WZP_OTHER;
	if (strncmp(json, UPDATE, strlen(UPDATE)) != 0)
		return LOAD_WZP_OTHER;
	n = strtoul(json + strlen(UPDATE), &end, 10);
	if (*end != ',' || n == 0 || n > UINT32_MAX)
		return LOAD_WZP_WRONG;
	w->nb_listed = (uint32_t)n;
	w->update_len = s->len;
	return LOAD_WZP_UPDATE;
}

enum load_wzp_news
load_wzp_take(struct load_wzp *w, int64_t stream_id, const uint8_t *buf, size_t len, bool fin)
{
	struct load_wzp_stream *s;
	enum load_wzp_news news;

	if ((stream_id & 3) != ANSWER_STREAM) /* no signals come there */
		return LOAD_WZP_NOTHING;
	if (stream_id == ANSWER_STREAM)
		return take_answer(w, buf, len, fin);
	s = stream_of(w, stream_id);
	if (s == NULL)
		return LOAD_WZP_WRONG;
	if (s->len < LOAD_WZP_HEAD && len > 0)
		memcpy(s->head + s->len, buf, RTE_MIN(len, LOAD_WZP_HEAD - s->len));
	s->len += (uint32_t)len;
	if (!fin)
		return LOAD_WZP_NOTHING;
	news = look_at(w, s);
	s->id = -1;
	return news;
}

void
load_wzp_reset(struct load_wzp *w, int64_t stream_id)
{
	for (unsigned int i = 0; i < LOAD_WZP_STREAMS; i++)
		if (w->streams[i].id == stream_id)
			w->streams[i].id = -1;
}

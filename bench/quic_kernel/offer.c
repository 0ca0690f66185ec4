/* SPDX-License-Identifier: BSD-3-Clause */
/* Participants of the WZP protocol go on only once their offer was answered. Whoever makes none is not
 * waited for: its room is the server name in either case. */
#include <errno.h>
#include <stdlib.h>

#include <rte_common.h>

#include "kernel.h"
#include "plm_crypto.h"

/* Of a frame that is looked at. */
#define FRAME_MAX (PLM_WZP_LENGTH + PLM_WZP_SIGNAL_MAX)
/* And of an answer. */
#define ANSWER_MAX 1024

/* What a client has said on the stream that it said something on last; and the answer under way. */
struct offer {
	int64_t stream_id;
	size_t len;
	uint8_t buf[FRAME_MAX];
	struct plm_quic_chunk answer;
	uint8_t frame[ANSWER_MAX];
};

static void
answer(struct kernel *k, struct peer *peer, const struct plm_wzp_signal *signal)
{
	static const struct plm_rand rand = { .fill = plm_crypto_random };
	struct offer *offer = peer->offer;
	struct plm_wzp_signal reply;
	int len = -EKEYREJECTED;

	if (plm_wzp_offer_verify(signal) == 0 && plm_wzp_answer_make(&k->wzp, &rand, &reply) == 0)
		len = plm_wzp_encode(&reply, offer->frame, sizeof(offer->frame));
	if (len >= 0) {
		offer->answer = (struct plm_quic_chunk){ .buf = offer->frame,
			.len = (uint32_t)len };
		len = plm_quic_stream_send(peer->conn, &offer->answer);
	}
	if (len < 0)
		plm_quic_close(peer->conn, 0, "normal close");
	else
		peer->is_answered = true;
}

int
kernel_offer_take(struct kernel *k, struct peer *peer, int64_t stream_id, const uint8_t *buf,
		size_t len)
{
	struct offer *offer = peer->offer;
	struct plm_wzp_signal signal;
	struct plm_cursor c;
	size_t size;

	if (peer->is_answered)
		return 0;
	if (offer == NULL) {
		offer = peer->offer = calloc(1, sizeof(*offer));
		if (offer == NULL)
			return -ENOMEM;
	}
	if (offer->stream_id != stream_id)
		offer->len = 0;
	offer->stream_id = stream_id;
	if (len > sizeof(offer->buf) - offer->len)
		return -EMSGSIZE;
	if (len != 0)
		memcpy(offer->buf + offer->len, buf, len);
	offer->len += len;
	c = plm_cursor(offer->buf, offer->len);
	if (offer->len < PLM_WZP_LENGTH)
		return 0;
	size = plm_cursor_be32(&c);
	if (plm_cursor_left(&c) < size)
		return 0;
	if (plm_wzp_decode(c.pos, size, &signal) == 0 && signal.type == PLM_WZP_CALL_OFFER)
		answer(k, peer, &signal);
	return 0;
}

void
kernel_offer_free(struct peer *peer)
{
	free(peer->offer);
	peer->offer = NULL;
}

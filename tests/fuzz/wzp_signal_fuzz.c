/* SPDX-License-Identifier: BSD-3-Clause */
/* Signals: what is read and can be written is written, and read to the same; nothing of what is refused
 * is left behind. */
#include <errno.h>

#include "fuzz.h"
#include "plm_wzp.h"

static void
check_text(const struct plm_wzp_text *text)
{
	FUZZ_CHECK(memchr(text->text, '\0', sizeof(text->text)) != NULL);
	FUZZ_CHECK(text->is_set || text->text[0] == '\0');
}

static void
check_written(const struct plm_wzp_signal *signal)
{
	static uint8_t buf[64 * 1024], once_more[64 * 1024];
	struct plm_wzp_signal again;
	int len = plm_wzp_encode(signal, buf, sizeof(buf));

	/* Not kept, or with a signature longer than any. */
	if (len == -EINVAL)
		return;
	FUZZ_CHECK(len > PLM_WZP_LENGTH);
	FUZZ_CHECK(plm_wzp_encode(signal, once_more, (size_t)len - 1) == -ENOSPC);
	/* Escapes may make it longer than what is read. */
	if (len - PLM_WZP_LENGTH > PLM_WZP_SIGNAL_MAX)
		return;
	FUZZ_CHECK(plm_wzp_decode(buf + PLM_WZP_LENGTH, (size_t)len - PLM_WZP_LENGTH, &again) == 0);
	FUZZ_CHECK(again.type == signal->type);
	FUZZ_CHECK(plm_wzp_encode(&again, once_more, sizeof(once_more)) == len);
	FUZZ_CHECK(memcmp(buf, once_more, (size_t)len) == 0);
}

static void
count(void *ctx, const struct plm_wzp_participant *participant)
{
	uint32_t *nb = ctx;

	FUZZ_CHECK(participant->fingerprint != NULL);
	(*nb)++;
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	static struct plm_wzp_signal before, signal;
	uint32_t said, nb = 0;
	int ret, update;

	memset(&before, 0x5a, sizeof(before));
	memcpy(&signal, &before, sizeof(signal));
	ret = plm_wzp_decode(buf, len, &signal);
	update = plm_wzp_room_update_read(buf, len, count, &nb, &said);
	if (ret < 0) {
		FUZZ_CHECK(ret == -EBADMSG || ret == -ENOTSUP || ret == -E2BIG);
		FUZZ_CHECK(memcmp(&signal, &before, sizeof(signal)) == 0);
		FUZZ_CHECK(update == ret || ret == -E2BIG);
		return 0;
	}
	FUZZ_CHECK(update == (signal.type == PLM_WZP_ROOM_UPDATE ? 0 : -ENOMSG));
	switch (signal.type) {
	case PLM_WZP_ROOM_UPDATE:
		FUZZ_CHECK(nb == signal.room_update.nb_participants);
		FUZZ_CHECK(said == signal.room_update.count);
		return 0;
	case PLM_WZP_CALL_OFFER:
		FUZZ_CHECK(signal.call_offer.profiles.nb <= PLM_WZP_PROFILES_MAX);
		check_text(&signal.call_offer.alias);
		plm_wzp_offer_verify(&signal);
		break;
	case PLM_WZP_CALL_ANSWER:
		plm_wzp_answer_verify(&signal);
		break;
	case PLM_WZP_HANGUP:
		check_text(&signal.hangup.call_id);
		break;
	case PLM_WZP_QUALITY_DIRECTIVE:
		check_text(&signal.quality_directive.reason);
		break;
	default:
		break;
	}
	check_written(&signal);
	return 0;
}

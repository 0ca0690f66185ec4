/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers to Binding requests. None is larger than its request: a source address that is not
 * authenticated yet must gain nothing by lying about itself. */
#include <string.h>

#include "admit_priv.h"

#define ATTR_HDR        4
#define INTEGRITY_LEN   (ATTR_HDR + PLM_SHA1_SIZE)
#define FINGERPRINT_LEN (ATTR_HDR + 4)
#define ERROR_MIN_LEN   (ATTR_HDR + 4)
#define REASON_MAX      32

static const struct {
	int code;
	enum plm_counter counter;
	char phrase[REASON_MAX];
} errors[] = {
	{ 400, PLM_CNT_STUN_400, "Bad Request" },
	{ 401, PLM_CNT_STUN_401, "Unauthenticated" },
	{ 403, PLM_CNT_STUN_403, "Forbidden" },
	{ 420, PLM_CNT_STUN_420, "Unknown Attribute" },
	{ 486, PLM_CNT_STUN_486, "Room Full" },
	{ 487, PLM_CNT_STUN_487, "Role Conflict" },
};

/* MESSAGE-INTEGRITY under the request's own password, FINGERPRINT; the length, 0 if too long. */
static size_t
finish(struct plm_admit *admit, const struct admit_check *check, struct plm_stun_out *out,
		bool keyed)
{
	uint8_t mac[PLM_SHA1_SIZE];

	if (keyed) {
		plm_stun_prepare_integrity(out);
		if (plm_hmac_sha1(admit->hmac, check->pwd, PLM_PWD_LEN, out->buf, out->len, NULL, 0,
				    mac) < 0)
			return 0;
		plm_stun_add_integrity(out, mac);
	}
	return plm_stun_finish(out);
}

size_t
admit_answer_success(struct plm_admit *admit, const struct admit_check *check, uint8_t *answer,
		size_t size)
{
	const struct plm_admit_request *req = check->req;
	struct plm_stun_out out;
	size_t len;

	plm_stun_begin(&out, answer, RTE_MIN(size, req->len), PLM_STUN_SUCCESS, PLM_STUN_BINDING,
			check->msg.tid);
	plm_stun_add_xor_mapped(&out, req->tuple.addr, req->tuple.is_v6, req->tuple.port);
	len = finish(admit, check, &out, true);
	if (len == 0)
		admit_count(admit, PLM_CNT_STUN_SILENT);
	return len;
}

/*
 * 400 and 401 carry no MESSAGE-INTEGRITY, since there is no key that both sides hold (RFC 8489
 * §9.1.3); the others do. What does not fit gives way in this order: the reason phrase, which
 * is for people, then UNKNOWN-ATTRIBUTES, then the answer.
 */
size_t
admit_answer_error(struct plm_admit *admit, const struct admit_check *check, int code,
		uint8_t *answer, size_t size)
{
	size_t limit = RTE_MIN(size, check->req->len);
	bool keyed = code != 400 && code != 401;
	size_t need = PLM_STUN_HDR + ERROR_MIN_LEN + (keyed ? INTEGRITY_LEN : 0) + FINGERPRINT_LEN;
	size_t unknown = 0;
	struct plm_stun_out out;
	char phrase[REASON_MAX];
	unsigned int i = 0;
	size_t len;

	while (errors[i].code != code)
		i++;
	if (code == 420) {
		unknown = ATTR_HDR + RTE_ALIGN_CEIL(2 * (size_t)check->msg.nb_unknown, 4);
		if (need + unknown > limit)
			unknown = 0;
	}
	need += unknown;
	if (need > limit) {
		admit_count(admit, PLM_CNT_STUN_SILENT);
		return 0;
	}
	len = strlen(errors[i].phrase);
	if (RTE_ALIGN_CEIL(len, 4) > limit - need)
		len = RTE_ALIGN_FLOOR(limit - need, 4);
	memcpy(phrase, errors[i].phrase, len);
	phrase[len] = '\0';

	plm_stun_begin(&out, answer, limit, PLM_STUN_ERROR, PLM_STUN_BINDING, check->msg.tid);
	plm_stun_add_error(&out, (uint16_t)code, phrase);
	if (unknown > 0)
		plm_stun_add_unknown(&out, check->msg.unknown, check->msg.nb_unknown);
	len = finish(admit, check, &out, keyed);
	admit_count(admit, len > 0 ? errors[i].counter : PLM_CNT_STUN_SILENT);
	return len;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* STUN: what parses is rebuilt from what was found, and must parse to the same. */
#include "fuzz.h"
#include "plm_wire.h"

static bool
within(const uint8_t *buf, size_t len, const uint8_t *p, size_t n)
{
	return p >= buf && n <= len && p <= buf + len - n;
}

static void
check_rebuilt(const struct plm_stun *msg)
{
	static uint8_t buf[2048];
	struct plm_stun_out out;
	struct plm_stun again;
	size_t len;

	plm_stun_begin(&out, buf, sizeof(buf), msg->class, msg->method, msg->tid);
	if (msg->username != NULL)
		plm_stun_add_bytes(&out, PLM_STUN_ATTR_USERNAME, msg->username, msg->username_len);
	if (msg->has_priority)
		plm_stun_add_u32(&out, PLM_STUN_ATTR_PRIORITY, msg->priority);
	if (msg->use_candidate)
		plm_stun_add_bytes(&out, PLM_STUN_ATTR_USE_CANDIDATE, NULL, 0);
	if (msg->controlling)
		plm_stun_add_u64(&out, PLM_STUN_ATTR_CONTROLLING, msg->tie_breaker);
	if (msg->controlled)
		plm_stun_add_u64(&out, PLM_STUN_ATTR_CONTROLLED, msg->tie_breaker);
	if (msg->error_code != 0)
		plm_stun_add_error(&out, msg->error_code, "why");
	if (msg->mapped != NULL)
		plm_stun_add_bytes(&out, PLM_STUN_ATTR_XOR_MAPPED, msg->mapped, msg->mapped_len);
	for (unsigned int i = 0; i < msg->nb_unknown; i++)
		plm_stun_add_bytes(&out, msg->unknown[i], "x", i % 2);
	if (msg->integrity != NULL) {
		plm_stun_prepare_integrity(&out);
		plm_stun_add_integrity(&out, msg->integrity);
	}
	len = plm_stun_finish(&out);
	FUZZ_CHECK(len > 0);

	FUZZ_CHECK(plm_stun_parse(buf, len, &again) == 0);
	FUZZ_CHECK(again.has_fingerprint);
	FUZZ_CHECK(again.class == msg->class && again.method == msg->method);
	FUZZ_CHECK(memcmp(again.tid, msg->tid, PLM_STUN_TID) == 0);
	FUZZ_CHECK((again.username == NULL) == (msg->username == NULL));
	FUZZ_CHECK(again.username_len == msg->username_len);
	if (msg->username_len > 0)
		FUZZ_CHECK(memcmp(again.username, msg->username, msg->username_len) == 0);
	FUZZ_CHECK(again.has_priority == msg->has_priority && again.priority == msg->priority);
	FUZZ_CHECK(again.use_candidate == msg->use_candidate);
	FUZZ_CHECK(again.controlling == msg->controlling && again.controlled == msg->controlled);
	FUZZ_CHECK(again.tie_breaker == msg->tie_breaker);
	FUZZ_CHECK(again.error_code == msg->error_code);
	FUZZ_CHECK(again.mapped_len == msg->mapped_len);
	FUZZ_CHECK((again.integrity == NULL) == (msg->integrity == NULL));
	FUZZ_CHECK(again.nb_unknown == msg->nb_unknown);
	FUZZ_CHECK(memcmp(again.unknown, msg->unknown, sizeof(msg->unknown)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	struct plm_stun before, msg;
	uint8_t hdr[PLM_STUN_HDR];

	memset(&before, 0x5a, sizeof(before));
	memcpy(&msg, &before, sizeof(msg));
	if (plm_stun_parse(buf, len, &msg) < 0) {
		FUZZ_CHECK(memcmp(&msg, &before, sizeof(msg)) == 0);
		return 0;
	}
	FUZZ_CHECK(within(buf, len, msg.tid, PLM_STUN_TID));
	if (msg.username != NULL)
		FUZZ_CHECK(within(buf, len, msg.username, msg.username_len));
	if (msg.mapped != NULL)
		FUZZ_CHECK(within(buf, len, msg.mapped, msg.mapped_len));
	if (msg.integrity != NULL) {
		FUZZ_CHECK(within(buf, len, msg.integrity, 20));
		FUZZ_CHECK(msg.integrity == buf + msg.integrity_off + 4);
		plm_stun_integrity_hdr(buf, &msg, hdr);
		FUZZ_CHECK((hdr[2] << 8 | hdr[3]) == msg.integrity_off + 4);
	}
	check_rebuilt(&msg);
	return 0;
}

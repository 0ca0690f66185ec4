/* SPDX-License-Identifier: BSD-3-Clause */
/*
 *  NEW ── start ──▶ CHECKING ── success, aggressive ──▶ JOINED ── 30 s silent ──▶ LOST
 *                   │  ▲ │ └─ success, regular ─▶ NOMINATING ─ success ─▲   │
 *                   │  └─┘ 487: other role, new tie-breaker                 └─ error ─▶ REFUSED
 *                   ├─ any other error ─▶ REFUSED
 *                   └─ unanswered ─▶ NO_ANSWER
 */
#include "ice.h"

#include <stdio.h>

#include <rte_common.h>

/* Type preference 110: what a peer-reflexive candidate found by this check would have
 * (RFC 8445 §7.1.1); local preference 65535, component 1. */
#define ICE_PRIORITY ((UINT32_C(110) << 24) | (UINT32_C(65535) << 8) | 255)

static uint64_t
random_u64(struct ice_agent *ice)
{
	uint64_t v;

	plm_rand_fill(&ice->conf.rand, &v, sizeof(v));
	return v;
}

void
ice_init(struct ice_agent *ice, const struct ice_conf *conf)
{
	static const char alphabet[] =
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint64_t bits;

	*ice = (struct ice_agent){ .conf = *conf, .controlling = conf->controlling };
	bits = random_u64(ice);
	for (size_t i = 0; i < sizeof(ice->local_ufrag) - 1; i++, bits >>= 6)
		ice->local_ufrag[i] = alphabet[bits & 63];
	ice->tie_breaker = random_u64(ice);
}

static void
begin_check(struct ice_agent *ice, uint64_t now_ns, bool nominates)
{
	struct ice_check *check = &ice->check;

	*check = (struct ice_check){ .active = true,
		.nominates = nominates,
		.next_ns = now_ns,
		.rto_ns = ICE_RTO_NS };
	plm_rand_fill(&ice->conf.rand, check->tid, sizeof(check->tid));
}

void
ice_start(struct ice_agent *ice, uint64_t now_ns)
{
	ice->state = ICE_CHECKING;
	begin_check(ice, now_ns, ice->conf.nomination == ICE_AGGRESSIVE);
}

void
ice_renominate(struct ice_agent *ice, uint64_t now_ns)
{
	if (ice->state == ICE_JOINED)
		begin_check(ice, now_ns, true);
}

static size_t
build_request(struct ice_agent *ice, const uint8_t tid[PLM_STUN_TID], bool nominates, uint8_t *buf,
		size_t size)
{
	char username[ICE_UFRAG_MAX + sizeof(ice->local_ufrag) + 1];
	uint8_t mac[PLM_SHA1_SIZE];
	struct plm_stun_out out;
	int len;

	len = snprintf(username, sizeof(username), "%s:%s", ice->conf.ufrag, ice->local_ufrag);
	if (len < 0 || (size_t)len >= sizeof(username))
		return 0;
	plm_stun_begin(&out, buf, size, PLM_STUN_REQUEST, PLM_STUN_BINDING, tid);
	plm_stun_add_bytes(&out, PLM_STUN_ATTR_USERNAME, username, (size_t)len);
	plm_stun_add_u32(&out, PLM_STUN_ATTR_PRIORITY, ICE_PRIORITY);
	plm_stun_add_u64(&out,
			ice->controlling ? PLM_STUN_ATTR_CONTROLLING : PLM_STUN_ATTR_CONTROLLED,
			ice->tie_breaker);
	/* Only the controlling agent may nominate (RFC 8445 §7.1.2). */
	if (nominates && ice->controlling)
		plm_stun_add_bytes(&out, PLM_STUN_ATTR_USE_CANDIDATE, NULL, 0);
	plm_stun_prepare_integrity(&out);
	if (out.overflow ||
			plm_hmac_sha1(ice->conf.hmac, ice->conf.pwd, strlen(ice->conf.pwd), out.buf,
					out.len, NULL, 0, mac) < 0)
		return 0;
	plm_stun_add_integrity(&out, mac);
	ice->requests_sent++;
	return plm_stun_finish(&out);
}

/* Consent checks are spread over 4 to 6 s so that many clients do not fall in step. */
static void
schedule_consent(struct ice_agent *ice, uint64_t now_ns)
{
	uint64_t spread = random_u64(ice) % (ICE_CONSENT_NS * 2 / 5);

	ice->next_consent_ns = now_ns + ICE_CONSENT_NS * 4 / 5 + spread;
}

static size_t
poll_check(struct ice_agent *ice, uint64_t now_ns, uint8_t *buf, size_t size)
{
	struct ice_check *check = &ice->check;

	if (check->nb_sent == ICE_RC) {
		check->active = false;
		/* A joined agent's fate is decided by consent alone. */
		if (ice->state != ICE_JOINED)
			ice->state = ICE_NO_ANSWER;
		return 0;
	}
	if (check->nb_sent++ == 0)
		check->sent_ns = now_ns;
	else
		ice->retransmits++;
	if (check->nb_sent == ICE_RC) {
		check->next_ns = now_ns + ICE_RM * ICE_RTO_NS;
	} else {
		check->next_ns = now_ns + check->rto_ns;
		check->rto_ns *= 2;
	}
	return build_request(ice, check->tid, check->nominates, buf, size);
}

static size_t
poll_consent(struct ice_agent *ice, uint64_t now_ns, uint8_t *buf, size_t size)
{
	unsigned int slot = ice->consents_sent++ % ICE_CONSENTS;

	/* A new transaction each time and none is sent again (RFC 7675 §5.1). */
	plm_rand_fill(&ice->conf.rand, ice->consent_tid[slot], PLM_STUN_TID);
	ice->consent_at_ns[slot] = now_ns;
	schedule_consent(ice, now_ns);
	return build_request(ice, ice->consent_tid[slot], ice->conf.nomination == ICE_AGGRESSIVE,
			buf, size);
}

size_t
ice_poll(struct ice_agent *ice, uint64_t now_ns, uint8_t *buf, size_t size)
{
	if (ice->state == ICE_NEW || ice_over(ice))
		return 0;
	if (ice->state == ICE_JOINED && ice->conf.consent &&
			now_ns >= ice->answered_ns + ICE_EXPIRE_NS) {
		ice->state = ICE_LOST;
		return 0;
	}
	if (ice->check.active && now_ns >= ice->check.next_ns)
		return poll_check(ice, now_ns, buf, size);
	if (ice->state == ICE_JOINED && ice->conf.consent && now_ns >= ice->next_consent_ns)
		return poll_consent(ice, now_ns, buf, size);
	return 0;
}

uint64_t
ice_deadline(const struct ice_agent *ice)
{
	uint64_t at = UINT64_MAX;

	if (ice->state == ICE_NEW || ice_over(ice))
		return at;
	if (ice->check.active)
		at = ice->check.next_ns;
	if (ice->state == ICE_JOINED && ice->conf.consent) {
		at = RTE_MIN(at, ice->next_consent_ns);
		at = RTE_MIN(at, ice->answered_ns + ICE_EXPIRE_NS);
	}
	return at;
}

static bool
integrity_ok(struct ice_agent *ice, const uint8_t *buf, const struct plm_stun *msg)
{
	uint8_t hdr[PLM_STUN_HDR];
	uint8_t mac[PLM_SHA1_SIZE];

	if (msg->integrity == NULL)
		return false;
	plm_stun_integrity_hdr(buf, msg, hdr);
	if (plm_hmac_sha1(ice->conf.hmac, ice->conf.pwd, strlen(ice->conf.pwd), hdr, sizeof(hdr),
			    buf + PLM_STUN_HDR, msg->integrity_off - PLM_STUN_HDR, mac) < 0)
		return false;
	return plm_crypto_equal(mac, msg->integrity, sizeof(mac));
}

/* What a server says that could not or would not check our password. */
static bool
error_may_be_bare(uint16_t code)
{
	return code == 400 || code == 401 || code == 420;
}

static void
keep_mapped(struct ice_agent *ice, const struct plm_stun *msg)
{
	uint8_t mask[16];
	uint8_t size;

	if (msg->mapped == NULL || (msg->mapped_len != 8 && msg->mapped_len != 20))
		return;
	size = (uint8_t)(msg->mapped_len - 4);
	/* XORed with the cookie, then with the transaction id (RFC 8489 §14.2). */
	mask[0] = 0x21;
	mask[1] = 0x12;
	mask[2] = 0xa4;
	mask[3] = 0x42;
	memcpy(mask + 4, msg->tid, PLM_STUN_TID);
	for (uint8_t i = 0; i < size; i++)
		ice->mapped[i] = msg->mapped[4 + i] ^ mask[i];
	ice->mapped_port = (uint16_t)(msg->mapped[2] << 8 | msg->mapped[3]) ^ 0x2112;
	ice->mapped_size = size;
}

static void
success(struct ice_agent *ice, uint64_t now_ns, bool nominated)
{
	ice->answered_ns = now_ns;
	if (ice->state == ICE_JOINED)
		return;
	/* A controlled agent would wait for its peer's nomination; a lite one makes none. */
	if (ice->controlling && !nominated) {
		ice->state = ICE_NOMINATING;
		begin_check(ice, now_ns, true);
		return;
	}
	ice->state = ICE_JOINED;
	schedule_consent(ice, now_ns);
}

static void
error(struct ice_agent *ice, uint64_t now_ns, uint16_t code)
{
	if (code != 487 || ice->role_switches == ICE_CONFLICTS) {
		ice->state = ICE_REFUSED;
		ice->error_code = code;
		return;
	}
	/* RFC 8445 §7.2.5.1. What is still unanswered was asked in the old role. */
	ice->controlling = !ice->controlling;
	ice->tie_breaker = random_u64(ice);
	ice->role_switches++;
	memset(ice->consent_at_ns, 0, sizeof(ice->consent_at_ns));
	begin_check(ice, now_ns,
			ice->conf.nomination == ICE_AGGRESSIVE || ice->state != ICE_CHECKING);
}

static void
answer(struct ice_agent *ice, uint64_t now_ns, const uint8_t *buf, const struct plm_stun *msg)
{
	uint64_t *consent_at = NULL;
	bool authentic = msg->has_fingerprint && integrity_ok(ice, buf, msg);
	bool is_check;

	is_check = ice->check.active && ice->check.nb_sent > 0 &&
			memcmp(msg->tid, ice->check.tid, PLM_STUN_TID) == 0;
	for (unsigned int i = 0; i < ICE_CONSENTS && !is_check; i++)
		if (ice->consent_at_ns[i] != 0 &&
				memcmp(msg->tid, ice->consent_tid[i], PLM_STUN_TID) == 0)
			consent_at = &ice->consent_at_ns[i];
	if (!is_check && consent_at == NULL) {
		ice->unknown_tid++;
		return;
	}
	if (!authentic &&
			!(msg->class == PLM_STUN_ERROR && msg->has_fingerprint &&
					msg->integrity == NULL &&
					error_may_be_bare(msg->error_code))) {
		ice->bad_integrity++;
		return;
	}

	if (is_check) {
		bool nominated = ice->check.nominates;

		ice->check.active = false;
		if (ice->check.nb_sent == 1)
			ice->rtt_ns = now_ns - ice->check.sent_ns;
		if (msg->class == PLM_STUN_SUCCESS) {
			keep_mapped(ice, msg);
			success(ice, now_ns, nominated);
			return;
		}
	} else {
		ice->rtt_ns = now_ns - *consent_at;
		*consent_at = 0;
		if (msg->class == PLM_STUN_SUCCESS) {
			ice->consents_answered++;
			keep_mapped(ice, msg);
			success(ice, now_ns, false);
			return;
		}
	}
	error(ice, now_ns, msg->error_code);
}

void
ice_input(struct ice_agent *ice, uint64_t now_ns, const uint8_t *buf, size_t len)
{
	struct plm_stun msg;

	if (plm_stun_parse(buf, len, &msg) < 0) {
		ice->malformed++;
		return;
	}
	if (msg.method != PLM_STUN_BINDING || msg.class == PLM_STUN_REQUEST ||
			msg.class == PLM_STUN_INDICATION) {
		ice->ignored++;
		return;
	}
	if (ice->state == ICE_NEW || ice_over(ice)) {
		ice->unknown_tid++;
		return;
	}
	answer(ice, now_ns, buf, &msg);
}

const char *
ice_state_name(enum ice_state state)
{
	static const char *const names[] = {
		[ICE_NEW] = "new",
		[ICE_CHECKING] = "checking",
		[ICE_NOMINATING] = "nominating",
		[ICE_JOINED] = "joined",
		[ICE_REFUSED] = "refused",
		[ICE_NO_ANSWER] = "no_answer",
		[ICE_LOST] = "consent_lost",
	};

	return names[state];
}

const char *
ice_error_text(uint16_t code)
{
	switch (code) {
	case 400:
		return "bad request";
	case 401:
		return "credential wrong or expired";
	case 403:
		return "not allowed";
	case 420:
		return "unknown attribute";
	case 486:
		return "room full";
	case 487:
		return "role conflict";
	default:
		return "error";
	}
}

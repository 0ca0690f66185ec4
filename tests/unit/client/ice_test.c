/* SPDX-License-Identifier: BSD-3-Clause */
/* The agent against a lite peer that is written here, on a clock that is written here. */
#include "ice.h"
#include "test_eal.h"

#define UFRAG "MToxNzAwMDAwMDAwOnI6YTpi"
#define PWD   "qIoUQ8bEYVqLxGJgMBPcmkPm2kpYbCRaXo0Fq3jSpzA"

static struct plm_hmac *hmac;
static struct ice_agent ice;
static uint64_t now_ns;
static uint8_t request[512]; /* the last one sent */
static size_t request_len;
static struct plm_stun asked; /* and what it says */

/* Reproducible, and no two alike. */
static void
count_up(void *ctx, void *buf, size_t len)
{
	static uint64_t state = 1;
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++) {
		state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
		p[i] = (uint8_t)(state >> 56);
	}
}

static struct ice_conf
conf_default(void)
{
	return (struct ice_conf){ .ufrag = UFRAG,
		.pwd = PWD,
		.controlling = true,
		.consent = true,
		.rand = { .fill = count_up },
		.hmac = hmac };
}

static void
begin(const struct ice_conf *conf)
{
	now_ns = PLM_NS_PER_S;
	ice_init(&ice, conf);
	ice_start(&ice, now_ns);
}

static bool
integrity_right(const uint8_t *buf, const struct plm_stun *msg)
{
	uint8_t hdr[PLM_STUN_HDR];
	uint8_t mac[PLM_SHA1_SIZE];

	plm_stun_integrity_hdr(buf, msg, hdr);
	assert_int_equal(plm_hmac_sha1(hmac, PWD, strlen(PWD), hdr, sizeof(hdr), buf + PLM_STUN_HDR,
					 msg->integrity_off - PLM_STUN_HDR, mac),
			0);
	return memcmp(mac, msg->integrity, sizeof(mac)) == 0;
}

/* Does the agent send now? Every request is checked for what each must have. */
static bool
polled(void)
{
	static const char prefix[] = UFRAG ":";

	request_len = ice_poll(&ice, now_ns, request, sizeof(request));
	if (request_len == 0)
		return false;
	assert_int_equal(plm_stun_parse(request, request_len, &asked), 0);
	assert_int_equal(asked.class, PLM_STUN_REQUEST);
	assert_int_equal(asked.method, PLM_STUN_BINDING);
	assert_true(asked.has_fingerprint);
	assert_true(asked.has_priority);
	assert_int_equal(asked.priority >> 24, 110);
	assert_true(asked.controlling != asked.controlled);
	assert_non_null(asked.integrity);
	assert_true(integrity_right(request, &asked));
	assert_int_equal(asked.username_len, sizeof(prefix) - 1 + 8);
	assert_memory_equal(asked.username, prefix, sizeof(prefix) - 1);
	return true;
}

/* Sleep until the agent wants something, and let it. */
static bool
polled_next(void)
{
	uint64_t at_ns = ice_deadline(&ice);

	assert_true(at_ns != UINT64_MAX);
	if (at_ns > now_ns)
		now_ns = at_ns;
	return polled();
}

enum seal { SEALED, BARE, FORGED };

static size_t
build_answer(const struct plm_stun *to, uint16_t code, enum seal seal, uint8_t *buf, size_t size)
{
	static const uint8_t addr[4] = { 198, 18, 0, 7 };
	struct plm_stun_out out;
	uint8_t mac[PLM_SHA1_SIZE];

	plm_stun_begin(&out, buf, size, code == 0 ? PLM_STUN_SUCCESS : PLM_STUN_ERROR,
			PLM_STUN_BINDING, to->tid);
	if (code == 0)
		plm_stun_add_xor_mapped(&out, addr, false, rte_cpu_to_be_16(5004));
	else
		plm_stun_add_error(&out, code, "no");
	if (seal != BARE) {
		plm_stun_prepare_integrity(&out);
		assert_int_equal(plm_hmac_sha1(hmac, PWD, strlen(PWD), out.buf, out.len, NULL, 0,
						 mac),
				0);
		mac[0] ^= seal == FORGED;
		plm_stun_add_integrity(&out, mac);
	}
	return plm_stun_finish(&out);
}

/* The peer answers the last request. */
static void
answer(uint16_t code, enum seal seal)
{
	uint8_t buf[256];
	size_t len = build_answer(&asked, code, seal, buf, sizeof(buf));

	assert_true(len != 0);
	ice_input(&ice, now_ns, buf, len);
}

static void
join(const struct ice_conf *conf)
{
	begin(conf);
	while (ice.state != ICE_JOINED) {
		assert_true(polled());
		now_ns += PLM_NS_PER_MS;
		answer(0, SEALED);
	}
}

static void
ice_check__aggressive_nominates_at_once(void **state)
{
	struct ice_conf conf = conf_default();

	begin(&conf);
	assert_true(polled());
	assert_true(asked.use_candidate);
	assert_true(asked.controlling);
	assert_false(polled());
	now_ns += 3 * PLM_NS_PER_MS;
	answer(0, SEALED);
	assert_int_equal(ice.state, ICE_JOINED);
	assert_int_equal(ice.rtt_ns, 3 * PLM_NS_PER_MS);
	assert_int_equal(ice.mapped_size, 4);
	assert_memory_equal(ice.mapped, "\xc6\x12\x00\x07", 4);
	assert_int_equal(ice.mapped_port, 5004);
}

static void
ice_check__regular_nominates_after_success(void **state)
{
	struct ice_conf conf = conf_default();
	uint8_t first[PLM_STUN_TID];

	conf.nomination = ICE_REGULAR;
	begin(&conf);
	assert_true(polled());
	assert_false(asked.use_candidate);
	memcpy(first, asked.tid, sizeof(first));
	answer(0, SEALED);
	assert_int_equal(ice.state, ICE_NOMINATING);
	assert_true(polled());
	assert_true(asked.use_candidate);
	assert_memory_not_equal(first, asked.tid, sizeof(first));
	answer(0, SEALED);
	assert_int_equal(ice.state, ICE_JOINED);
	/* And not again: consent checks of a regular agent nominate nothing. */
	assert_true(polled_next());
	assert_false(asked.use_candidate);
}

static void
ice_check__is_sent_again_as_rfc_8489_says(void **state)
{
	static const unsigned int at_ms[] = { 0, 500, 1500, 3500, 7500, 15500, 31500 };
	struct ice_conf conf = conf_default();
	uint8_t first[sizeof(request)];
	uint64_t start_ns;
	size_t first_len;

	begin(&conf);
	start_ns = now_ns;
	assert_true(polled());
	first_len = request_len;
	memcpy(first, request, first_len);
	for (size_t i = 1; i < RTE_DIM(at_ms); i++) {
		assert_true(polled_next());
		assert_int_equal(now_ns - start_ns, at_ms[i] * PLM_NS_PER_MS);
		assert_int_equal(request_len, first_len);
		assert_memory_equal(request, first, first_len);
	}
	assert_int_equal(ice.retransmits, 6);
	assert_false(polled_next());
	assert_int_equal(now_ns - start_ns, 39500 * PLM_NS_PER_MS);
	assert_int_equal(ice.state, ICE_NO_ANSWER);
	assert_true(ice_deadline(&ice) == UINT64_MAX);
}

static void
ice_check__takes_an_answer_to_a_retransmission(void **state)
{
	struct ice_conf conf = conf_default();

	begin(&conf);
	assert_true(polled());
	assert_true(polled_next());
	answer(0, SEALED);
	assert_int_equal(ice.state, ICE_JOINED);
	/* Which of the two was answered cannot be told (Karn). */
	assert_int_equal(ice.rtt_ns, 0);
}

static void
ice_conflict__switches_role_and_tie_breaker(void **state)
{
	struct ice_conf conf = conf_default();
	uint64_t tie_breaker;

	for (int nomination = ICE_AGGRESSIVE; nomination <= ICE_REGULAR; nomination++) {
		conf.controlling = false;
		conf.nomination = (enum ice_nomination)nomination;
		begin(&conf);
		assert_true(polled());
		assert_true(asked.controlled);
		assert_false(asked.use_candidate);
		tie_breaker = asked.tie_breaker;
		answer(487, SEALED);
		assert_int_equal(ice.state, ICE_CHECKING);
		assert_true(polled());
		assert_true(asked.controlling);
		assert_true(asked.tie_breaker != tie_breaker);
		assert_int_equal(asked.use_candidate, nomination == ICE_AGGRESSIVE);
		answer(0, SEALED);
		if (nomination == ICE_REGULAR) {
			assert_true(polled());
			assert_true(asked.use_candidate);
			answer(0, SEALED);
		}
		assert_int_equal(ice.state, ICE_JOINED);
		assert_int_equal(ice.role_switches, 1);
	}
}

static void
ice_conflict__gives_up_on_a_peer_that_never_agrees(void **state)
{
	struct ice_conf conf = conf_default();

	begin(&conf);
	for (unsigned int i = 0; i <= ICE_CONFLICTS; i++) {
		assert_int_equal(ice.state, ICE_CHECKING);
		assert_true(polled());
		answer(487, SEALED);
	}
	assert_int_equal(ice.state, ICE_REFUSED);
	assert_int_equal(ice.error_code, 487);
}

static const struct {
	const char *name;
	uint16_t code;
	enum seal seal;
	enum ice_state want;
} answers[] = {
	{ "success", 0, SEALED, ICE_JOINED },
	{ "success without integrity", 0, BARE, ICE_CHECKING },
	{ "success, forged", 0, FORGED, ICE_CHECKING },
	{ "400", 400, SEALED, ICE_REFUSED },
	{ "400, bare", 400, BARE, ICE_REFUSED },
	{ "401", 401, SEALED, ICE_REFUSED },
	{ "401, bare", 401, BARE, ICE_REFUSED },
	{ "401, forged", 401, FORGED, ICE_CHECKING },
	{ "403", 403, SEALED, ICE_REFUSED },
	{ "403, bare", 403, BARE, ICE_CHECKING },
	{ "420, bare", 420, BARE, ICE_REFUSED },
	{ "486", 486, SEALED, ICE_REFUSED },
	{ "486, bare", 486, BARE, ICE_CHECKING },
	{ "487, bare", 487, BARE, ICE_CHECKING },
	{ "500", 500, SEALED, ICE_REFUSED },
};

static void
ice_input__believes_what_is_authentic(void **state)
{
	for (size_t i = 0; i < RTE_DIM(answers); i++) {
		struct ice_conf conf = conf_default();

		begin(&conf);
		assert_true(polled());
		answer(answers[i].code, answers[i].seal);
		if (ice.state != answers[i].want)
			fail_msg("%s: %s", answers[i].name, ice_state_name(ice.state));
		assert_int_equal(ice.bad_integrity, answers[i].want == ICE_CHECKING);
		if (answers[i].want == ICE_REFUSED)
			assert_int_equal(ice.error_code, answers[i].code);
	}
}

static void
ice_input__ignores_foreign_transactions(void **state)
{
	struct ice_conf conf = conf_default();
	uint8_t tid[PLM_STUN_TID] = { 1, 2, 3 };
	uint8_t buf[256];
	size_t len;

	begin(&conf);
	assert_true(polled());
	asked.tid = tid;
	answer(0, SEALED);
	assert_int_equal(ice.state, ICE_CHECKING);
	assert_int_equal(ice.unknown_tid, 1);

	/* Its own request, reflected. */
	ice_input(&ice, now_ns, request, request_len);
	assert_int_equal(ice.ignored, 1);

	/* Truncated at every length. */
	asked.tid = ice.check.tid;
	len = build_answer(&asked, 0, SEALED, buf, sizeof(buf));
	for (size_t cut = 0; cut < len; cut++)
		ice_input(&ice, now_ns, buf, cut);
	assert_int_equal(ice.malformed, len);
	assert_int_equal(ice.state, ICE_CHECKING);
	ice_input(&ice, now_ns, buf, len);
	assert_int_equal(ice.state, ICE_JOINED);
	/* The same answer once more is an answer to nothing. */
	ice_input(&ice, now_ns, buf, len);
	assert_int_equal(ice.unknown_tid, 2);
}

static void
ice_consent__is_asked_every_4_to_6_seconds(void **state)
{
	struct ice_conf conf = conf_default();
	uint64_t min_ns = UINT64_MAX;
	uint64_t max_ns = 0;

	join(&conf);
	for (unsigned int i = 0; i < 200; i++) {
		uint64_t before_ns = now_ns;

		assert_true(polled_next());
		assert_true(asked.use_candidate);
		assert_false(polled());
		min_ns = RTE_MIN(min_ns, now_ns - before_ns);
		max_ns = RTE_MAX(max_ns, now_ns - before_ns);
		answer(0, SEALED);
	}
	assert_in_range(min_ns, 4 * PLM_NS_PER_S, 4200 * PLM_NS_PER_MS);
	assert_in_range(max_ns, 5800 * PLM_NS_PER_MS, 6 * PLM_NS_PER_S);
	assert_int_equal(ice.consents_answered, 200);
	assert_int_equal(ice.state, ICE_JOINED);
}

static void
ice_consent__is_lost_after_30_silent_seconds(void **state)
{
	struct ice_conf conf = conf_default();
	uint64_t answered_ns;

	join(&conf);
	assert_true(polled_next());
	answer(0, SEALED);
	answered_ns = now_ns;
	while (ice.state == ICE_JOINED)
		polled_next();
	assert_int_equal(ice.state, ICE_LOST);
	assert_int_equal(now_ns - answered_ns, ICE_EXPIRE_NS);
	assert_in_range(ice.consents_sent, 6, 9);
	assert_true(ice_deadline(&ice) == UINT64_MAX);
	assert_false(polled());
}

static void
ice_consent__survives_lost_answers(void **state)
{
	struct ice_conf conf = conf_default();

	join(&conf);
	/* Four in five are lost; the longest silence is 5 * 6 s at most. */
	for (unsigned int i = 0; i < 100; i++) {
		if (!polled_next())
			break;
		if (i % 4 == 3)
			answer(0, SEALED);
	}
	assert_int_equal(ice.state, ICE_JOINED);
	assert_int_equal(ice.consents_answered, 25);
}

static void
ice_consent__forged_answers_do_not_refresh(void **state)
{
	struct ice_conf conf = conf_default();

	join(&conf);
	while (ice.state == ICE_JOINED)
		if (polled_next())
			answer(0, FORGED);
	assert_int_equal(ice.state, ICE_LOST);
	assert_true(ice.bad_integrity >= 5);
}

static void
ice_consent__an_error_revokes_it(void **state)
{
	struct ice_conf conf = conf_default();

	join(&conf);
	assert_true(polled_next());
	answer(403, SEALED);
	assert_int_equal(ice.state, ICE_REFUSED);
	assert_int_equal(ice.error_code, 403);
}

static void
ice_consent__can_be_left_out(void **state)
{
	struct ice_conf conf = conf_default();

	conf.consent = false;
	join(&conf);
	assert_true(ice_deadline(&ice) == UINT64_MAX);
	now_ns += 3600 * PLM_NS_PER_S;
	assert_false(polled());
	assert_int_equal(ice.state, ICE_JOINED);
}

static void
ice_renominate__checks_at_once_and_leaves_the_session_alone(void **state)
{
	struct ice_conf conf = conf_default();

	conf.nomination = ICE_REGULAR;
	join(&conf);
	now_ns += PLM_NS_PER_S;
	assert_false(polled());
	ice_renominate(&ice, now_ns);
	assert_true(polled());
	assert_true(asked.use_candidate);
	/* Unanswered it is sent again like any check. */
	now_ns += ICE_RTO_NS;
	assert_true(polled());
	assert_true(asked.use_candidate);
	answer(0, SEALED);
	assert_int_equal(ice.state, ICE_JOINED);
	assert_false(ice.check.active);
}

static int
group_setup(void **state)
{
	hmac = plm_hmac_create();
	return hmac == NULL;
}

static int
group_teardown(void **state)
{
	plm_hmac_free(hmac);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ice_check__aggressive_nominates_at_once),
		cmocka_unit_test(ice_check__regular_nominates_after_success),
		cmocka_unit_test(ice_check__is_sent_again_as_rfc_8489_says),
		cmocka_unit_test(ice_check__takes_an_answer_to_a_retransmission),
		cmocka_unit_test(ice_conflict__switches_role_and_tie_breaker),
		cmocka_unit_test(ice_conflict__gives_up_on_a_peer_that_never_agrees),
		cmocka_unit_test(ice_input__believes_what_is_authentic),
		cmocka_unit_test(ice_input__ignores_foreign_transactions),
		cmocka_unit_test(ice_consent__is_asked_every_4_to_6_seconds),
		cmocka_unit_test(ice_consent__is_lost_after_30_silent_seconds),
		cmocka_unit_test(ice_consent__survives_lost_answers),
		cmocka_unit_test(ice_consent__forged_answers_do_not_refresh),
		cmocka_unit_test(ice_consent__an_error_revokes_it),
		cmocka_unit_test(ice_consent__can_be_left_out),
		cmocka_unit_test(ice_renominate__checks_at_once_and_leaves_the_session_alone),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

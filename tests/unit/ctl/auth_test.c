/* SPDX-License-Identifier: BSD-3-Clause */
/* The cache of tokens, and whom a room's rule allows. */
#include <stdio.h>

#include "ctl_priv.h"
#include "fixture.h"

#define NOW     (1000 * PLM_NS_PER_S)
#define VALID   (60 * PLM_NS_PER_S)
#define INVALID PLM_AUTH_INVALID_NS
/* Tokens of one row, all of a cache for so few. */
#define ROW 8

/* What a server might say of a token, recognisable by `n`. */
static struct plm_auth_answer
answer_of(enum plm_auth_verdict verdict, uint8_t n)
{
	struct plm_auth_answer answer = { .id = n, .gen = n, .verdict = verdict };

	memset(answer.fingerprint, n, sizeof(answer.fingerprint));
	snprintf(answer.alias, sizeof(answer.alias), "alias %u", n);
	return answer;
}

static void
put(struct plm_auth_cache *cache, const char *token, enum plm_auth_verdict verdict, uint8_t n,
		uint64_t now_ns)
{
	const struct plm_auth_answer answer = answer_of(verdict, n);

	plm_auth_cache_put(cache, token, strlen(token), &answer, now_ns);
}

static bool
get(struct plm_auth_cache *cache, const char *token, uint64_t now_ns,
		struct plm_auth_answer *answer)
{
	return plm_auth_cache_get(cache, token, strlen(token), now_ns, answer);
}

static bool
knows(struct plm_auth_cache *cache, const char *token, uint64_t now_ns)
{
	struct plm_auth_answer answer;

	return get(cache, token, now_ns, &answer);
}

static const struct {
	const char *name;
	enum plm_auth_verdict verdict;
	uint64_t valid_ns;
	uint64_t invalid_ns;
	uint64_t after_ns;
	bool known;
} time_cases[] = {
	{ "valid, at once", PLM_AUTH_VALID, VALID, INVALID, 0, true },
	{ "valid, at the last moment", PLM_AUTH_VALID, VALID, INVALID, VALID - 1, true },
	{ "valid, its time over", PLM_AUTH_VALID, VALID, INVALID, VALID, false },
	{ "valid, long after", PLM_AUTH_VALID, VALID, INVALID, 100 * VALID, false },
	{ "invalid, at once", PLM_AUTH_INVALID, VALID, INVALID, 0, true },
	{ "invalid, at the last moment", PLM_AUTH_INVALID, VALID, INVALID, INVALID - 1, true },
	{ "invalid, its time over", PLM_AUTH_INVALID, VALID, INVALID, INVALID, false },
	{ "failed", PLM_AUTH_FAILED, VALID, INVALID, 0, false },
	{ "valid, where none is kept", PLM_AUTH_VALID, 0, INVALID, 0, false },
	{ "invalid, where none is kept", PLM_AUTH_INVALID, VALID, 0, 0, false },
};

static void
cache__knows_a_token_for_its_time_and_no_longer(void **state)
{
	for (size_t i = 0; i < RTE_DIM(time_cases); i++) {
		struct plm_auth_cache *cache = plm_auth_cache_create(ROW, time_cases[i].valid_ns,
				time_cases[i].invalid_ns);

		assert_non_null(cache);
		put(cache, "token", time_cases[i].verdict, 1, NOW);
		if (knows(cache, "token", NOW + time_cases[i].after_ns) != time_cases[i].known)
			fail_msg("%s", time_cases[i].name);
		plm_auth_cache_free(cache);
	}
}

static void
cache__answers_with_what_was_put_and_leaves_who_asked(void **state)
{
	struct plm_auth_cache *cache = plm_auth_cache_create(ROW, VALID, INVALID);
	const struct plm_auth_answer want = answer_of(PLM_AUTH_VALID, 7);
	struct plm_auth_answer got = { .id = 3, .gen = 4 };

	put(cache, "token", PLM_AUTH_VALID, 7, NOW);
	assert_true(get(cache, "token", NOW, &got));
	assert_int_equal(got.verdict, PLM_AUTH_VALID);
	assert_int_equal(got.id, 3);
	assert_int_equal(got.gen, 4);
	assert_memory_equal(got.fingerprint, want.fingerprint, sizeof(want.fingerprint));
	assert_string_equal(got.alias, want.alias);
	/* Whom an invalid token was given to is nobody's to know. */
	put(cache, "token", PLM_AUTH_INVALID, 7, NOW);
	assert_true(get(cache, "token", NOW, &got));
	assert_int_equal(got.verdict, PLM_AUTH_INVALID);
	assert_string_equal(got.alias, "");
	plm_auth_cache_free(cache);
}

static void
cache__takes_the_whole_token_to_be_the_same(void **state)
{
	static const struct {
		const char *token;
		size_t len;
	} others[] = { { "toke", 4 }, { "tokens", 6 }, { "token\0", 6 }, { "Token", 5 },
		{ "", 0 } };
	struct plm_auth_cache *cache = plm_auth_cache_create(ROW, VALID, INVALID);
	struct plm_auth_answer answer;

	/* All of them have the same row. */
	put(cache, "token", PLM_AUTH_VALID, 1, NOW);
	for (size_t i = 0; i < RTE_DIM(others); i++)
		assert_false(plm_auth_cache_get(cache, others[i].token, others[i].len, NOW,
				&answer));
	plm_auth_cache_free(cache);
}

static void
cache__believes_the_last_answer(void **state)
{
	struct plm_auth_cache *cache = plm_auth_cache_create(ROW, VALID, INVALID);
	struct plm_auth_answer answer;

	put(cache, "token", PLM_AUTH_VALID, 1, NOW);
	put(cache, "token", PLM_AUTH_FAILED, 2, NOW + 1); /* says nothing about the token */
	assert_true(get(cache, "token", NOW + 1, &answer));
	assert_int_equal(answer.verdict, PLM_AUTH_VALID);
	put(cache, "token", PLM_AUTH_INVALID, 3, NOW + 2);
	assert_true(get(cache, "token", NOW + 2, &answer));
	assert_int_equal(answer.verdict, PLM_AUTH_INVALID);
	assert_false(knows(cache, "token", NOW + 2 + INVALID));
	put(cache, "token", PLM_AUTH_VALID, 4, NOW + 3);
	assert_true(get(cache, "token", NOW + VALID, &answer));
	assert_int_equal(answer.fingerprint[0], 4);
	plm_auth_cache_free(cache);

	/* Revoked, where refusals are not kept. */
	cache = plm_auth_cache_create(ROW, VALID, 0);
	put(cache, "token", PLM_AUTH_VALID, 1, NOW);
	put(cache, "token", PLM_AUTH_INVALID, 1, NOW + 1);
	assert_false(knows(cache, "token", NOW + 1));
	plm_auth_cache_free(cache);
}

/* What fills a row: of each letter a token, 1 ns apart; then one more, and who made place for it. */
static const struct {
	const char *name;
	const char *row; /* 'v'alid, 'i'nvalid */
	uint64_t after_ns;
	unsigned int gone; /* its position */
} full_cases[] = {
	{ "valid ones: the oldest", "vvvvvvvv", ROW, 0 },
	{ "an invalid one before the oldest", "vvvvivvv", ROW, 4 },
	{ "the oldest invalid one", "vvvivivv", ROW, 3 },
	{ "invalid ones: the oldest", "iiiiiiii", ROW, 0 },
	{ "one whose time is over before invalid ones", "vviiiiii", VALID, 0 },
};

static void
cache__makes_place_by_what_is_missed_least(void **state)
{
	for (size_t i = 0; i < RTE_DIM(full_cases); i++) {
		struct plm_auth_cache *cache = plm_auth_cache_create(ROW, VALID, 2 * VALID);
		uint64_t now_ns = NOW + full_cases[i].after_ns;
		char token[8];

		for (unsigned int n = 0; n < ROW; n++) {
			snprintf(token, sizeof(token), "t%u", n);
			put(cache, token,
					full_cases[i].row[n] == 'v' ? PLM_AUTH_VALID
								    : PLM_AUTH_INVALID,
					(uint8_t)n, NOW + n);
		}
		put(cache, "new", PLM_AUTH_VALID, ROW, now_ns);
		assert_true(knows(cache, "new", now_ns));
		for (unsigned int n = 0; n < ROW; n++) {
			snprintf(token, sizeof(token), "t%u", n);
			if (knows(cache, token, now_ns) != (n != full_cases[i].gone))
				fail_msg("%s: token %u", full_cases[i].name, n);
		}
		plm_auth_cache_free(cache);
	}
}

static void
cache__keeps_as_many_as_it_is_made_for(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 8, 9, 1000 };

	for (size_t i = 0; i < RTE_DIM(sizes); i++) {
		struct plm_auth_cache *cache = plm_auth_cache_create(sizes[i], VALID, INVALID);
		uint32_t most = sizes[i] <= ROW ? ROW : sizes[i] <= 2 * ROW ? 2 * ROW : 1024;
		uint32_t nb = 0;
		char token[16];

		for (unsigned int n = 0; n < 20 * most; n++) {
			snprintf(token, sizeof(token), "t%u", n);
			put(cache, token, PLM_AUTH_VALID, 1, NOW + n);
			assert_true(knows(cache, token, NOW + n)); /* the newest has a place */
		}
		for (unsigned int n = 0; n < 20 * most; n++) {
			snprintf(token, sizeof(token), "t%u", n);
			nb += knows(cache, token, NOW + 20 * most);
		}
		assert_int_equal(nb, most);
		plm_auth_cache_free(cache);
	}
	plm_auth_cache_free(NULL);
}

static const struct {
	const char *room;
	uint8_t who;
	bool allowed;
} allow_cases[] = {
	{ "board", 1, true },
	{ "board", 2, true },
	{ "board", 3, false },
	{ "board-2", 3, true }, /* another rule's */
	{ "team-a", 3, true },
	{ "team-a", 1, false },
	{ "team-open", 1, true }, /* an earlier rule without a list counts */
	{ "anything", 9, true },
};

static void
allows__only_whom_the_first_rule_that_matches_lists(void **state)
{
	static struct plm_room_rule rules[4];
	static struct fx fx;

	memset(rules, 0, sizeof(rules));
	for (size_t i = 0; i < RTE_DIM(rules); i++)
		rules[i].settings.max_members = 2;
	snprintf(rules[0].pattern, sizeof(rules[0].pattern), "board");
	memset(rules[0].allow[0], 1, PLM_AUTH_FINGERPRINT);
	memset(rules[0].allow[1], 2, PLM_AUTH_FINGERPRINT);
	rules[0].nb_allow = 2;
	snprintf(rules[1].pattern, sizeof(rules[1].pattern), "team-open");
	snprintf(rules[2].pattern, sizeof(rules[2].pattern), "team-*");
	memset(rules[2].allow[0], 3, PLM_AUTH_FINGERPRINT);
	rules[2].nb_allow = 1;
	snprintf(rules[3].pattern, sizeof(rules[3].pattern), "*");

	fx_conf(&fx);
	fx.conf.rules = rules;
	fx.conf.nb_rules = RTE_DIM(rules);
	fx_create(&fx);
	for (size_t i = 0; i < RTE_DIM(allow_cases); i++) {
		uint8_t fp[PLM_AUTH_FINGERPRINT];

		memset(fp, allow_cases[i].who, sizeof(fp));
		if (ctl_allows(fx.ctl, allow_cases[i].room, fp) != allow_cases[i].allowed)
			fail_msg("%s: %u", allow_cases[i].room, allow_cases[i].who);
		fp[PLM_AUTH_FINGERPRINT - 1] ^= 1; /* nearly one of them */
		if (ctl_allows(fx.ctl, allow_cases[i].room, fp) &&
				ctl_rule(fx.ctl, allow_cases[i].room)->nb_allow > 0)
			fail_msg("%s: nearly %u", allow_cases[i].room, allow_cases[i].who);
	}
	fx_free(&fx);

	/* No rule at all. */
	fx_conf(&fx);
	fx_create(&fx);
	assert_true(ctl_allows(fx.ctl, "board", rules[0].allow[0]));
	fx_free(&fx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cache__knows_a_token_for_its_time_and_no_longer),
		cmocka_unit_test(cache__answers_with_what_was_put_and_leaves_who_asked),
		cmocka_unit_test(cache__takes_the_whole_token_to_be_the_same),
		cmocka_unit_test(cache__believes_the_last_answer),
		cmocka_unit_test(cache__makes_place_by_what_is_missed_least),
		cmocka_unit_test(cache__keeps_as_many_as_it_is_made_for),
		cmocka_unit_test(allows__only_whom_the_first_rule_that_matches_lists),
	};

	test_eal_init(256);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

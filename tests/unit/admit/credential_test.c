/* SPDX-License-Identifier: BSD-3-Clause */
/* Credentials and secret files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

static void
assert_same(const struct plm_credential *a, const struct plm_credential *b)
{
	assert_int_equal(a->expiry_s, b->expiry_s);
	assert_int_equal(a->role, b->role);
	assert_string_equal(a->room, b->room);
	assert_string_equal(a->participant, b->participant);
}

/* printf %s '1:1893456000:room:alice:b' | base64 | tr -d =\\n
 * printf %s UFRAG | openssl dgst -sha256 -hmac 'sixteen bytes ok' -binary | base64 | tr -d = */
static void
credential_mint__agrees_with_the_shell(void **state)
{
	static const char key[] = "sixteen bytes ok";
	struct plm_credential cred = { 1893456000, "room", "alice", PLM_ROLE_BOTH };
	struct plm_credential back;
	char ufrag[PLM_UFRAG_MAX + 1];
	char pwd[PLM_PWD_LEN + 1];

	assert_int_equal(plm_credential_mint(&cred, key, strlen(key), ufrag, pwd), 0);
	assert_string_equal(ufrag, "MToxODkzNDU2MDAwOnJvb206YWxpY2U6Yg");
	assert_string_equal(pwd, "4E9JSxCNgvoGZH1SB0bkb0/sY3YeMJCxmalnMqLrqUY");
	assert_int_equal(plm_credential_parse(ufrag, strlen(ufrag), &back), 0);
	assert_same(&back, &cred);
}

static const struct {
	const char *name;
	const char *room;
	const char *participant;
	int role;
	uint64_t expiry_s;
	int want;
} mint_cases[] = {
	{ "publisher", "r", "p", PLM_ROLE_PUBLISH, 1, 0 },
	{ "subscriber", "r", "p", PLM_ROLE_SUBSCRIBE, 1, 0 },
	{ "no role", "r", "p", 0, 1, -EINVAL },
	{ "no such role", "r", "p", 4, 1, -EINVAL },
	{ "no room", "", "p", PLM_ROLE_BOTH, 1, -EINVAL },
	{ "no participant", "r", "", PLM_ROLE_BOTH, 1, -EINVAL },
	{ "a colon in a name", "r:x", "p", PLM_ROLE_BOTH, 1, -EINVAL },
	{ "a slash in a name", "r", "p/q", PLM_ROLE_BOTH, 1, -EINVAL },
	{ "longest", "0123456789012345678901234567890123456789", "012345678901234567890123456",
			PLM_ROLE_BOTH, 1893456000, 0 },
	{ "too long", "0123456789012345678901234567890123456789", "0123456789012345678901234567",
			PLM_ROLE_BOTH, 1893456000, -ENAMETOOLONG },
	{ "an expiry that the parser refuses", "r", "p", PLM_ROLE_BOTH,
			UINT64_C(1000000000000000000), -EINVAL },
};

static void
credential_mint__makes_only_what_can_be_parsed(void **state)
{
	for (size_t i = 0; i < RTE_DIM(mint_cases); i++) {
		struct plm_credential cred = { .expiry_s = mint_cases[i].expiry_s,
			.role = (enum plm_role)mint_cases[i].role };
		struct plm_credential back;
		char ufrag[PLM_UFRAG_MAX + 1] = "untouched";
		char pwd[PLM_PWD_LEN + 1];
		int ret;

		snprintf(cred.room, sizeof(cred.room), "%s", mint_cases[i].room);
		snprintf(cred.participant, sizeof(cred.participant), "%s",
				mint_cases[i].participant);
		ret = plm_credential_mint(&cred, FX_SECRET, strlen(FX_SECRET), ufrag, pwd);
		if (ret != mint_cases[i].want)
			fail_msg("%s: %d", mint_cases[i].name, ret);
		if (ret < 0) {
			assert_string_equal(ufrag, "untouched");
			continue;
		}
		assert_true(strlen(ufrag) <= PLM_UFRAG_MAX);
		assert_int_equal(strlen(pwd), PLM_PWD_LEN);
		assert_int_equal(plm_credential_parse(ufrag, strlen(ufrag), &back), 0);
		assert_same(&back, &cred);
	}
}

static void
credential_parse__knows_three_roles(void **state)
{
	static const char text[] = "1:1893456000:room:alice:x";
	char ufrag[64];
	int len = plm_base64_encode(text, strlen(text), ufrag, sizeof(ufrag));
	struct plm_credential cred;

	assert_int_equal(plm_credential_parse(ufrag, (size_t)len, &cred), -EINVAL);
}

#define S16 "0123456789abcdef"

static const struct {
	const char *name;
	const char *content;
	size_t repeat; /* of `content` */
	mode_t mode;
	int want;
	size_t len;
} secret_cases[] = {
	{ "a line", S16 "\n", 1, 0600, 0, 16 },
	{ "no newline", S16, 1, 0600, 0, 16 },
	{ "read only", S16, 1, 0400, 0, 16 },
	{ "the longest", S16, 16, 0600, 0, 256 },
	{ "one newline is cut, not two", S16 "\n\n", 1, 0600, 0, 17 },
	{ "too long", S16, 17, 0600, -EINVAL, 0 },
	{ "too short", "0123456789abcde\n", 1, 0600, -EINVAL, 0 },
	{ "empty", "", 1, 0600, -EINVAL, 0 },
	{ "the group reads", S16, 1, 0640, -EACCES, 0 },
	{ "everybody reads", S16, 1, 0644, -EACCES, 0 },
	{ "executable", S16, 1, 0700, -EACCES, 0 },
};

static void
secret_read__takes_what_only_we_can_read(void **state)
{
	char path[] = "/tmp/plm_secret_XXXXXX";
	char text[256];

	for (size_t i = 0; i < RTE_DIM(secret_cases); i++) {
		uint8_t key[PLM_SECRET_MAX] = { 0 };
		struct plm_text why;
		size_t len = 0;
		FILE *f;
		int ret;

		strcpy(path + strlen(path) - 6, "XXXXXX");
		f = fdopen(mkstemp(path), "w");
		assert_non_null(f);
		for (size_t n = 0; n < secret_cases[i].repeat; n++)
			fputs(secret_cases[i].content, f);
		fclose(f);
		assert_int_equal(chmod(path, secret_cases[i].mode), 0);
		plm_text_init(&why, text, sizeof(text));
		ret = plm_secret_read(path, key, &len, &why);
		unlink(path);
		if (ret != secret_cases[i].want || len != secret_cases[i].len)
			fail_msg("%s: %d, %zu", secret_cases[i].name, ret, len);
		assert_true((ret < 0) == (why.len > 0));
		if (ret == 0)
			assert_memory_equal(key, S16, 16);
		else
			assert_null(strstr(text, "0123456789"));
	}
}

static void
secret_read__says_what_is_wrong(void **state)
{
	uint8_t key[PLM_SECRET_MAX];
	struct plm_text why;
	char text[256];
	size_t len;

	plm_text_init(&why, text, sizeof(text));
	assert_int_equal(plm_secret_read("/nonexistent/secret", key, &len, &why), -ENOENT);
	assert_non_null(strstr(text, "/nonexistent/secret"));
	plm_text_init(&why, text, sizeof(text));
	assert_int_equal(plm_secret_read("/dev/zero", key, &len, &why), -EACCES);
	assert_non_null(strstr(text, "regular"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(credential_mint__agrees_with_the_shell),
		cmocka_unit_test(credential_mint__makes_only_what_can_be_parsed),
		cmocka_unit_test(credential_parse__knows_three_roles),
		cmocka_unit_test(secret_read__takes_what_only_we_can_read),
		cmocka_unit_test(secret_read__says_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* `plenum credential`: mint one, as any app server can with one HMAC. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "app.h"
#include "plm_crypto.h"

#define DEFAULT_TTL_S 3600

struct wish {
	struct plm_credential cred;
	const char *secret;
	bool has_role;
	bool json;
};

static void
usage(FILE *out)
{
	fprintf(out,
			"usage: plenum credential --secret FILE --room NAME --participant NAME --role p|s|b\n"
			"                         [--ttl SECONDS | --expiry UNIX] [--json]\n"
			"  --secret FILE       the secret of the relay, mode 0600\n"
			"  --room NAME         [A-Za-z0-9._-]+; so the participant\n"
			"  --role p|s|b        publish, subscribe, both\n"
			"  --ttl SECONDS       valid from now on, %d by default\n"
			"  --expiry UNIX       valid until then\n"
			"  --json              print one JSON object instead of two lines\n",
			DEFAULT_TTL_S);
}

static bool
number(const char *text, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
}

static bool
name(const char *option, const char *text, char to[PLM_NAME_SIZE])
{
	if (!plm_name_valid(text, strlen(text))) {
		fprintf(stderr, "plenum: --%s %s: must be 1 to %d characters of A-Z a-z 0-9 . _ -\n",
				option, text, PLM_NAME_SIZE - 1);
		return false;
	}
	memcpy(to, text, strlen(text) + 1);
	return true;
}

static bool
role(const char *text, struct wish *wish)
{
	static const char letters[] = "psb";
	static const enum plm_role roles[] = {
		PLM_ROLE_PUBLISH,
		PLM_ROLE_SUBSCRIBE,
		PLM_ROLE_BOTH,
	};
	const char *p = strlen(text) == 1 ? strchr(letters, text[0]) : NULL;

	if (p == NULL) {
		fprintf(stderr, "plenum: --role %s: must be p, s or b\n", text);
		return false;
	}
	wish->cred.role = roles[p - letters];
	wish->has_role = true;
	return true;
}

/* False after having said what is wrong. */
static bool
take_option(int opt, struct wish *wish)
{
	uint64_t n;

	switch (opt) {
	case 's':
		wish->secret = optarg;
		return true;
	case 'r':
		return name("room", optarg, wish->cred.room);
	case 'p':
		return name("participant", optarg, wish->cred.participant);
	case 'o':
		return role(optarg, wish);
	case 't':
	case 'e':
		if (!number(optarg, &n)) {
			fprintf(stderr, "plenum: %s: must be a number of seconds\n", optarg);
			return false;
		}
		wish->cred.expiry_s = opt == 't' ? clock_wall_s() + n : n;
		return true;
	case 'j':
		wish->json = true;
		return true;
	default:
		usage(stderr);
		return false;
	}
}

static int
mint(const struct wish *wish)
{
	char ufrag[PLM_UFRAG_MAX + 1];
	char pwd[PLM_PWD_LEN + 1];
	uint8_t key[PLM_SECRET_MAX];
	char buf[320];
	struct plm_text why;
	size_t len;
	int ret;

	plm_text_init(&why, buf, sizeof(buf));
	ret = plm_secret_read(wish->secret, key, &len, &why);
	if (ret < 0) {
		fprintf(stderr, "plenum: %s\n", buf);
		return EXIT_FAILURE;
	}
	ret = plm_credential_mint(&wish->cred, key, len, ufrag, pwd);
	plm_crypto_erase(key, sizeof(key));
	if (ret == -ENAMETOOLONG)
		fprintf(stderr,
				"plenum: room and participant are too long together: the ufrag may "
				"have %d characters\n",
				PLM_UFRAG_MAX);
	else if (ret < 0)
		fprintf(stderr, "plenum: no credential: %s\n", strerror(-ret));
	if (ret < 0)
		return EXIT_FAILURE;
	if (wish->json) {
		json_t *json = json_pack("{s:s, s:s, s:I}", "ufrag", ufrag, "pwd", pwd, "expiry",
				(json_int_t)wish->cred.expiry_s);

		json_dumpf(json, stdout, JSON_COMPACT);
		printf("\n");
		json_decref(json);
	} else {
		printf("ufrag=%s\npwd=%s\n", ufrag, pwd);
	}
	return EXIT_SUCCESS;
}

int
credential_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "secret", required_argument, NULL, 's' },
		{ "room", required_argument, NULL, 'r' },
		{ "participant", required_argument, NULL, 'p' },
		{ "role", required_argument, NULL, 'o' },
		{ "ttl", required_argument, NULL, 't' },
		{ "expiry", required_argument, NULL, 'e' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct wish wish = { .cred.expiry_s = clock_wall_s() + DEFAULT_TTL_S };
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'h') {
			usage(stdout);
			return EXIT_SUCCESS;
		}
		if (!take_option(opt, &wish))
			return EXIT_USAGE;
	}
	if (optind != argc || wish.secret == NULL || !wish.has_role || wish.cred.room[0] == '\0' ||
			wish.cred.participant[0] == '\0') {
		usage(stderr);
		return EXIT_USAGE;
	}
	return mint(&wish);
}

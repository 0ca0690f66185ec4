/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tokens against a real HTTP server (tests/util/auth_server.py), good or bad as the token says. Where
 * root runs this, it has a network namespace of its own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app.h"
#include "test_eal.h"

#define SERVER TEST_SOURCE "/tests/util/auth_server.py"
/* Of a request; enough for a server on a busy machine, and what a hanging one costs. */
#define TIMEOUT_MS 700
#define LONG_MS    30000
/* What is not to be noticed: far below the time that a hanging request takes. */
#define SOON_MS  500
#define REQUESTS 8

static const char fingerprint[] =
		"\x99\x83\xc2\xce\x0b\x17\x4a\x5d\x77\xf0\x21\xc4\x5e\x9a\xb3\xd6";
/* The only name server is at 127.0.0.1. */
static bool has_names;

struct server {
	pid_t pid;
	int in; /* its standard input: it ends with it */
	unsigned int port;
};

struct fixture {
	struct server server;
	struct auth *auth;
	const struct plm_auth *api;
};

static void
nap(void)
{
	usleep(500);
}

static uint64_t
now_ms(void)
{
	return clock_now_ns(NULL) / PLM_NS_PER_MS;
}

/* --- the server ----------------------------------------------------------------------------- */

/* `words`: more of its command line, up to a NULL. */
static void
server_start(struct server *server, const char *address, unsigned int port,
		const char *const words[])
{
	char number[16];
	const char *argv[12] = { "/usr/bin/python3", SERVER, "--address", address, "--port",
		number };
	int in[2];
	int out[2];
	FILE *said;

	snprintf(number, sizeof(number), "%u", port);
	for (unsigned int i = 0; words != NULL && words[i] != NULL; i++)
		argv[6 + i] = words[i];
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	server->pid = fork();
	assert_true(server->pid >= 0);
	if (server->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execv(argv[0], (char **)(uintptr_t)argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	server->in = in[1];
	said = fdopen(out[0], "r");
	assert_non_null(said);
	if (fscanf(said, "%u", &server->port) != 1)
		fail_msg("%s did not start", SERVER);
	fclose(said);
}

static void
server_stop(struct server *server)
{
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	close(server->in);
}

/* --- asking --------------------------------------------------------------------------------- */

static void
start_url(struct fixture *fx, const char *url, const char *ca, uint32_t requests,
		uint32_t timeout_ms)
{
	const struct auth_conf conf = { .url = url,
		.ca = ca,
		.requests = requests,
		.timeout_ms = timeout_ms };
	struct plm_text why;
	char buf[256];

	plm_text_init(&why, buf, sizeof(buf));
	if (auth_check_url(url, &why) < 0 || auth_start(&fx->auth, &conf, &why) < 0)
		fail_msg("%s", buf);
	fx->api = auth_of(fx->auth);
}

static void
start(struct fixture *fx, uint32_t requests, uint32_t timeout_ms)
{
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/validate", fx->server.port);
	start_url(fx, url, "", requests, timeout_ms);
}

static void
stop(struct fixture *fx)
{
	auth_stop(fx->auth);
	fx->auth = NULL;
}

static void
ask(struct fixture *fx, uint32_t id, const char *token)
{
	assert_int_equal(fx->api->ask(fx->api->ctx, id, ~id, token, strlen(token)), 0);
}

/* The next answer; fails when there is none in `ms`. */
static struct plm_auth_answer
next(struct fixture *fx, unsigned int ms)
{
	uint64_t end_ms = now_ms() + ms;
	struct plm_auth_answer answer;

	while (!fx->api->answer(fx->api->ctx, &answer)) {
		if (now_ms() > end_ms)
			fail_msg("no answer in %u ms", ms);
		nap();
	}
	assert_int_equal(answer.gen, ~answer.id);
	return answer;
}

static struct plm_auth_answer
asked(struct fixture *fx, const char *token)
{
	ask(fx, 7, token);
	return next(fx, LONG_MS);
}

static bool
is_valid(struct fixture *fx, const char *token)
{
	return asked(fx, token).verdict == PLM_AUTH_VALID;
}

static int
setup(void **state)
{
	static struct fixture fx;

	memset(&fx, 0, sizeof(fx));
	server_start(&fx.server, "127.0.0.1", 0, NULL);
	*state = &fx;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *fx = *state;

	stop(fx);
	server_stop(&fx->server);
	return 0;
}

/* --- what a server may say ------------------------------------------------------------------ */

static const struct {
	const char *token;
	enum plm_auth_verdict verdict;
	const char *error; /* part of it; "": none is noted */
} said_cases[] = {
	{ "valid", PLM_AUTH_VALID, "" },
	{ "created", PLM_AUTH_VALID, "" },
	{ "no-alias", PLM_AUTH_VALID, "" },
	{ "null-alias", PLM_AUTH_VALID, "" },
	{ "extra-keys", PLM_AUTH_VALID, "" },
	{ "just-fits", PLM_AUTH_VALID, "" },
	{ "chunked", PLM_AUTH_VALID, "" },
	{ "until-the-end", PLM_AUTH_VALID, "" },
	{ "says:\"\\ \t\x01\xc3\xa4\xf0\x9f\x90\x98", PLM_AUTH_VALID, "" },
	{ "invalid", PLM_AUTH_INVALID, "" },
	{ "invalid-with-more", PLM_AUTH_INVALID, "" },
	{ "status-400", PLM_AUTH_INVALID, "status 400" },
	{ "status-401", PLM_AUTH_INVALID, "status 401" },
	{ "status-404", PLM_AUTH_INVALID, "status 404" },
	{ "no UTF-8: \xff", PLM_AUTH_INVALID, "" },
	{ "no UTF-8: \xc3", PLM_AUTH_INVALID, "" },
	{ "no UTF-8: \xed\xa0\x80", PLM_AUTH_INVALID, "" },
	{ "status-408", PLM_AUTH_FAILED, "status 408" },
	{ "status-429", PLM_AUTH_FAILED, "status 429" },
	{ "status-500", PLM_AUTH_FAILED, "status 500" },
	{ "status-503", PLM_AUTH_FAILED, "status 503" },
	{ "status-204", PLM_AUTH_FAILED, "not of the form" },
	{ "redirect", PLM_AUTH_FAILED, "status 302" },
	{ "garbage", PLM_AUTH_FAILED, "not of the form" },
	{ "empty", PLM_AUTH_FAILED, "not of the form" },
	{ "not-utf8", PLM_AUTH_FAILED, "not of the form" },
	{ "array", PLM_AUTH_FAILED, "not of the form" },
	{ "deep", PLM_AUTH_FAILED, "not of the form" },
	{ "no-valid", PLM_AUTH_FAILED, "not of the form" },
	{ "valid-is-text", PLM_AUTH_FAILED, "not of the form" },
	{ "valid-is-number", PLM_AUTH_FAILED, "not of the form" },
	{ "valid-twice", PLM_AUTH_FAILED, "not of the form" },
	{ "no-fingerprint", PLM_AUTH_FAILED, "not of the form" },
	{ "fingerprint-is-number", PLM_AUTH_FAILED, "not of the form" },
	{ "fingerprint-short", PLM_AUTH_FAILED, "not of the form" },
	{ "fingerprint-upper", PLM_AUTH_FAILED, "not of the form" },
	{ "alias-is-number", PLM_AUTH_FAILED, "not of the form" },
	{ "two-objects", PLM_AUTH_FAILED, "not of the form" },
	{ "too-large", PLM_AUTH_FAILED, "more than 65536 bytes" },
	{ "gigabyte", PLM_AUTH_FAILED, "more than 65536 bytes" },
	{ "endless", PLM_AUTH_FAILED, "more than 65536 bytes" },
	{ "chunked-endless", PLM_AUTH_FAILED, "more than 65536 bytes" },
	{ "headers", PLM_AUTH_FAILED, "more than 65536 bytes" },
	{ "continue", PLM_AUTH_FAILED, "more than 65536 bytes" },
	{ "chunked-badly", PLM_AUTH_FAILED, "" },
	{ "no-http", PLM_AUTH_FAILED, "" },
	{ "version-9", PLM_AUTH_FAILED, "" },
	{ "bad-length", PLM_AUTH_FAILED, "" },
	{ "ends-early", PLM_AUTH_FAILED, "" },
	{ "ends-at-once", PLM_AUTH_FAILED, "" },
	{ "reset", PLM_AUTH_FAILED, "" },
	{ "reset-within", PLM_AUTH_FAILED, "" },
};

static void
ask__believes_an_answer_of_the_form_and_no_other(void **state)
{
	struct fixture *fx = *state;

	for (size_t i = 0; i < RTE_DIM(said_cases); i++) {
		struct auth_figures figures;
		struct plm_auth_answer got;

		start(fx, REQUESTS, LONG_MS);
		got = asked(fx, said_cases[i].token);
		auth_read(fx->auth, &figures);
		if (got.verdict != said_cases[i].verdict ||
				strstr(figures.error, said_cases[i].error) == NULL)
			fail_msg("%s: verdict %u, \"%s\"", said_cases[i].token, got.verdict,
					figures.error);
		if (got.verdict == PLM_AUTH_VALID)
			assert_memory_equal(got.fingerprint, fingerprint, PLM_AUTH_FINGERPRINT);
		/* What failed says why. */
		if (figures.error_ns == 0 && got.verdict == PLM_AUTH_FAILED)
			fail_msg("%s: no error", said_cases[i].token);
		for (const char *c = figures.error; *c != '\0'; c++)
			assert_true(*c >= ' ' && *c <= '~');
		/* Nothing of it is left for the next one. */
		assert_true(is_valid(fx, "valid"));
		stop(fx);
	}
}

static const struct {
	const char *token;
	const char *alias;
} alias_cases[] = {
	{ "valid", "manwe" },
	{ "no-alias", "" },
	{ "null-alias", "" },
	{ "invalid-with-more", "" },
	/* 63 bytes, and a character of two that does not fit */
	{ "long-alias", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
	{ "says:1234567890123456789012345678901234567890123456789012345678901234",
			"1234567890123456789012345678901234567890123456789012345678901234" },
	{ "says:12345678901234567890123456789012345678901234567890123456789012345",
			"1234567890123456789012345678901234567890123456789012345678901234" },
	{ "says:1234567890123456789012345678901234567890123456789012345678901\xe2\x82\xac!",
			"1234567890123456789012345678901234567890123456789012345678901\xe2\x82\xac" },
	{ "says:12345678901234567890123456789012345678901234567890123456789012\xe2\x82\xac",
			"12345678901234567890123456789012345678901234567890123456789012" },
	{ "says:\xf0\x9f\x90\x98", "\xf0\x9f\x90\x98" },
};

static void
ask__cuts_an_alias_at_a_character(void **state)
{
	struct fixture *fx = *state;

	start(fx, REQUESTS, LONG_MS);
	for (size_t i = 0; i < RTE_DIM(alias_cases); i++)
		assert_string_equal(asked(fx, alias_cases[i].token).alias, alias_cases[i].alias);
}

static void
ask__takes_tokens_of_every_length_and_no_longer_ones(void **state)
{
	static const struct {
		size_t len;
		int want;
	} cases[] = { { 0, -EINVAL }, { 1, 0 }, { PLM_AUTH_TOKEN_MAX, 0 },
		{ PLM_AUTH_TOKEN_MAX + 1, -EINVAL } };
	static char token[PLM_AUTH_TOKEN_MAX + 1];
	struct fixture *fx = *state;

	start(fx, REQUESTS, LONG_MS);
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		/* Each byte is six in JSON. */
		memset(token, 1, sizeof(token));
		assert_int_equal(fx->api->ask(fx->api->ctx, 1, ~1U, token, cases[i].len),
				cases[i].want);
		/* A server that knows it as malformed JSON would say 500. */
		if (cases[i].want == 0)
			assert_int_equal(next(fx, LONG_MS).verdict, PLM_AUTH_INVALID);
	}
}

/* --- others' requests ----------------------------------------------------------------------- */

static void
ask__is_not_delayed_by_requests_that_hang(void **state)
{
	static const char *const bad[] = { "hang", "trickle", "trickle-headers", "slow:5", "hang",
		"trickle" };
	struct fixture *fx = *state;
	struct auth_figures figures;
	uint64_t begun_ms;

	start(fx, REQUESTS, TIMEOUT_MS);
	assert_true(is_valid(fx, "valid"));
	begun_ms = now_ms();
	for (unsigned int i = 0; i < RTE_DIM(bad); i++)
		ask(fx, i, bad[i]);
	for (unsigned int i = 0; i < 20; i++) {
		ask(fx, 100 + i, i % 2 == 0 ? "valid" : "invalid");
		assert_int_equal(next(fx, SOON_MS).id, 100 + i);
	}
	auth_read(fx->auth, &figures);
	assert_int_equal(figures.in_flight, RTE_DIM(bad));
	for (unsigned int i = 0; i < RTE_DIM(bad); i++)
		assert_int_equal(next(fx, 3 * TIMEOUT_MS).verdict, PLM_AUTH_FAILED);
	assert_in_range(now_ms() - begun_ms, TIMEOUT_MS - 50, 3 * TIMEOUT_MS);
	auth_read(fx->auth, &figures);
	assert_int_equal(figures.in_flight, 0);
	assert_int_equal(figures.asked, 21 + RTE_DIM(bad));
	assert_int_equal(figures.valid, 11);
	assert_int_equal(figures.invalid, 10);
	assert_int_equal(figures.failed, RTE_DIM(bad));
	assert_non_null(strstr(figures.error, "timed out"));
}

static void
ask__takes_as_many_as_may_be_in_flight(void **state)
{
	struct fixture *fx = *state;
	struct auth_figures figures;
	uint32_t seen = 0;

	start(fx, REQUESTS, TIMEOUT_MS);
	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < REQUESTS; i++)
			ask(fx, i, "hang");
		assert_int_equal(fx->api->ask(fx->api->ctx, 99, ~99U, "valid", 5), -EBUSY);
		usleep((TIMEOUT_MS + SOON_MS) * 1000);
		/* Answered, and not fetched: their places are not free. */
		assert_int_equal(fx->api->ask(fx->api->ctx, 99, ~99U, "valid", 5), -EBUSY);
		for (unsigned int i = 0; i < REQUESTS; i++)
			seen |= 1U << next(fx, SOON_MS).id;
		assert_int_equal(seen, (1U << REQUESTS) - 1);
		seen = 0;
	}
	auth_read(fx->auth, &figures);
	assert_int_equal(figures.busy, 4);
	assert_int_equal(figures.failed, 2 * REQUESTS);
	assert_true(is_valid(fx, "valid"));
}

static void
ask__goes_on_where_many_are_asked_at_once(void **state)
{
	struct fixture *fx = *state;
	unsigned int nb_asked = 0;
	unsigned int nb_valid = 0;
	unsigned int nb_answered = 0;
	struct plm_auth_answer answer;

	start(fx, REQUESTS, LONG_MS);
	while (nb_answered < 300) {
		if (nb_asked < 300 &&
				fx->api->ask(fx->api->ctx, nb_asked, ~nb_asked,
						nb_asked % 3 == 0 ? "invalid" : "valid",
						nb_asked % 3 == 0 ? 7 : 5) == 0)
			nb_asked++;
		else
			nap();
		while (fx->api->answer(fx->api->ctx, &answer)) {
			assert_int_equal(answer.verdict,
					answer.id % 3 == 0 ? PLM_AUTH_INVALID : PLM_AUTH_VALID);
			nb_valid += answer.verdict == PLM_AUTH_VALID;
			nb_answered++;
		}
	}
	assert_int_equal(nb_valid, 200);
}

/* --- connections, servers that come and go -------------------------------------------------- */

static void
ask__uses_connections_again_but_none_after_a_failure(void **state)
{
	struct fixture *fx = *state;
	char first[PLM_AUTH_ALIAS_MAX + 1];

	start(fx, REQUESTS, LONG_MS);
	snprintf(first, sizeof(first), "%s", asked(fx, "where").alias);
	assert_string_equal(first, "1.1");
	for (unsigned int i = 2; i < 10; i++) {
		snprintf(first, sizeof(first), "1.%u", i);
		assert_string_equal(asked(fx, "where").alias, first);
	}
	assert_int_equal(asked(fx, "ends-early").verdict, PLM_AUTH_FAILED);
	assert_string_equal(asked(fx, "where").alias, "2.1");
	assert_string_equal(asked(fx, "where").alias, "3.1");
}

static void
ask__works_again_when_the_server_is_back(void **state)
{
	struct fixture *fx = *state;
	unsigned int port = fx->server.port;
	struct auth_figures figures;
	uint64_t begun_ms;

	start(fx, REQUESTS, TIMEOUT_MS);
	for (unsigned int round = 0; round < 3; round++) {
		assert_true(is_valid(fx, "valid"));
		server_stop(&fx->server);
		begun_ms = now_ms();
		for (unsigned int i = 0; i < 3; i++)
			assert_int_equal(asked(fx, "valid").verdict, PLM_AUTH_FAILED);
		assert_true(now_ms() - begun_ms < SOON_MS); /* refused, not waited for */
		server_start(&fx->server, "127.0.0.1", port, NULL);
	}
	auth_read(fx->auth, &figures);
	assert_non_null(strstr(figures.error, "connect"));

	/* Restarted between two requests: the connection that was kept is dead, and nobody notices. */
	assert_true(is_valid(fx, "valid"));
	server_stop(&fx->server);
	server_start(&fx->server, "127.0.0.1", port, NULL);
	assert_true(is_valid(fx, "valid"));

	/* Frozen: it accepts connections and says nothing. */
	kill(fx->server.pid, SIGSTOP);
	assert_int_equal(asked(fx, "valid").verdict, PLM_AUTH_FAILED);
	kill(fx->server.pid, SIGCONT);
	ask(fx, 1, "valid");
	assert_int_equal(next(fx, SOON_MS).verdict, PLM_AUTH_VALID);
}

static void
ask__speaks_ipv6(void **state)
{
	struct fixture fx = { .auth = NULL };
	char url[64];

	server_start(&fx.server, "::1", 0, NULL);
	snprintf(url, sizeof(url), "http://[::1]:%u/validate", fx.server.port);
	start_url(&fx, url, "", REQUESTS, LONG_MS);
	assert_true(is_valid(&fx, "valid"));
	stop(&fx);
	server_stop(&fx.server);
}

/* A server of https with a certificate of its own making. */
struct tls {
	struct server server;
	char dir[32];
	char cert[64];
	char key[64];
	char url[64];
};

static void
tls_start(struct tls *tls, const char *subject, const char *san)
{
	char command[512];

	snprintf(tls->dir, sizeof(tls->dir), "/tmp/plm-auth-XXXXXX");
	assert_non_null(mkdtemp(tls->dir));
	snprintf(tls->cert, sizeof(tls->cert), "%s/cert", tls->dir);
	snprintf(tls->key, sizeof(tls->key), "%s/key", tls->dir);
	snprintf(command, sizeof(command),
			"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
			"-subj '/CN=%s' %s -keyout %s -out %s 2>/dev/null",
			subject, san, tls->key, tls->cert);
	assert_int_equal(system(command), 0);
	server_start(&tls->server, "127.0.0.1", 0,
			(const char *const[]){ "--tls", tls->cert, tls->key, NULL });
	snprintf(tls->url, sizeof(tls->url), "https://127.0.0.1:%u/validate", tls->server.port);
}

static void
tls_stop(struct tls *tls)
{
	server_stop(&tls->server);
	unlink(tls->cert);
	unlink(tls->key);
	rmdir(tls->dir);
}

/* Asks once, is not believed, and says why. */
static void
expect_distrust(const struct tls *tls, const char *ca, const char *why)
{
	struct fixture fx = { .auth = NULL };
	struct auth_figures figures;

	start_url(&fx, tls->url, ca, REQUESTS, LONG_MS);
	assert_int_equal(asked(&fx, "valid").verdict, PLM_AUTH_FAILED);
	auth_read(fx.auth, &figures);
	if (strstr(figures.error, why) == NULL)
		fail_msg("\"%s\" says nothing of \"%s\"", figures.error, why);
	stop(&fx);
}

static void
ask__believes_a_server_of_https_by_its_certificate(void **state)
{
	struct fixture fx = { .auth = NULL };
	struct tls tls;

	tls_start(&tls, "auth", "-addext subjectAltName=IP:127.0.0.1");
	start_url(&fx, tls.url, tls.cert, REQUESTS, LONG_MS);
	assert_true(is_valid(&fx, "valid"));
	assert_true(is_valid(&fx, "valid"));
	stop(&fx);
	expect_distrust(&tls, "", "certificate"); /* the system does not know it */
	tls_stop(&tls);
	/* Another host's, whose name is not to reach the operator's terminal as it is. */
	tls_start(&tls, "a\x1b[1mb", "");
	expect_distrust(&tls, tls.cert, "a?[1mb");
	tls_stop(&tls);
}

/* --- secrets, names, the end ---------------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define SECRET_LEN 40
#define MASK       0x5a

/* How often bytes, given masked, are somewhere in our memory. */
static unsigned int
count_in_memory(const uint8_t masked[SECRET_LEN])
{
	static uint8_t chunk[1 << 16];
	FILE *maps = fopen("/proc/self/maps", "re");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	unsigned long from;
	unsigned long to;
	unsigned int found = 0;
	char mode[8];
	char line[512];

	assert_true(maps != NULL && mem >= 0);
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[1] != 'w')
			continue;
		for (; from < to; from += sizeof(chunk) - SECRET_LEN) {
			ssize_t n = pread(mem, chunk, RTE_MIN(sizeof(chunk), to - from),
					(off_t)from);

			for (ssize_t i = 0; i + SECRET_LEN <= n; i++) {
				unsigned int k = 0;

				while (k < SECRET_LEN && (chunk[i + k] ^ MASK) == masked[k])
					k++;
				found += k == SECRET_LEN;
			}
			memset(chunk, 0, sizeof(chunk));
			if (n < (ssize_t)sizeof(chunk))
				break;
		}
	}
	fclose(maps);
	close(mem);
	return found;
}

static void
ask__leaves_no_token_in_memory(void **state)
{
	static const char *const kinds[] = { "valid#", "unknown#", "trickle#", "hang#", "reset#" };
	struct fixture *fx = *state;
	uint8_t masked[SECRET_LEN];
	char token[64 + SECRET_LEN];

	if (SANITIZED)
		skip(); /* who keeps freed memory, and has terabytes of maps */
	start(fx, REQUESTS, TIMEOUT_MS);
	for (unsigned int i = 0; i < RTE_DIM(kinds); i++) {
		size_t len = strlen(kinds[i]);

		for (unsigned int k = 0; k < SECRET_LEN; k++)
			masked[k] = (uint8_t)((33 + (k * 7 + i * 11) % 90) ^ MASK);
		for (unsigned int k = 0; k < SECRET_LEN; k++)
			token[len + k] = (char)(masked[k] ^ MASK);
		memcpy(token, kinds[i], len);
		assert_int_not_equal(count_in_memory(masked), 0);
		assert_int_equal(fx->api->ask(fx->api->ctx, 1, ~1U, token, len + SECRET_LEN), 0);
		memset(token, 0, sizeof(token));
		next(fx, LONG_MS);
		if (count_in_memory(masked) != 0)
			fail_msg("%s", kinds[i]);
	}
}

/* A name server that hears and says nothing. */
static int
silent_name_server(void)
{
	const struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(53),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

static void
ask__gives_a_name_up_that_nobody_resolves(void **state)
{
	struct fixture fx = { .auth = NULL };
	uint64_t begun_ms;
	int fd;

	if (!has_names)
		skip();
	fd = silent_name_server();
	start_url(&fx, "http://auth.test/validate", "", REQUESTS, TIMEOUT_MS);
	begun_ms = now_ms();
	for (unsigned int i = 0; i < REQUESTS; i++)
		ask(&fx, i, "valid");
	for (unsigned int i = 0; i < REQUESTS; i++)
		assert_int_equal(next(&fx, 3 * TIMEOUT_MS).verdict, PLM_AUTH_FAILED);
	assert_in_range(now_ms() - begun_ms, TIMEOUT_MS - 50, 3 * TIMEOUT_MS);
	/* And it ends while threads still wait for the name server. */
	ask(&fx, 1, "valid");
	usleep(50000);
	begun_ms = now_ms();
	stop(&fx);
	assert_true(now_ms() - begun_ms < SOON_MS);
	close(fd);
}

static void
stop__waits_for_no_request(void **state)
{
	static const char *const tokens[] = { "hang", "trickle", "slow:20", "endless", "valid" };
	struct fixture *fx = *state;
	uint64_t begun_ms;

	for (unsigned int round = 0; round < 5; round++) {
		start(fx, 64, LONG_MS);
		for (unsigned int i = 0; i < 64; i++)
			ask(fx, i, tokens[i % RTE_DIM(tokens)]);
		/* From before the first one is begun to when all wait for the server. */
		usleep(round * 50000);
		begun_ms = now_ms();
		stop(fx);
		assert_true(now_ms() - begun_ms < SOON_MS);
	}
}

static const struct {
	const char *url;
	bool good;
} url_cases[] = {
	{ "http://127.0.0.1/", true },
	{ "http://127.0.0.1:8080/validate?a=b", true },
	{ "https://auth.example.test/v1/validate", true },
	{ "http://[fd00::7]:8080/validate", true },
	{ "HTTP://host", true },
	{ "", false },
	{ "host", false },
	{ "host:8080/validate", false },
	{ "http://", false },
	{ "http://host:99999/", false },
	{ "http://host name/", false },
	{ "http://[fd00::7/", false },
	{ "http://user@host/", false },
	{ "http://user:password@host/", false },
	{ "http://:password@host/", false },
	{ "ftp://host/", false },
	{ "file:///etc/passwd", false },
	{ "gopher://host/", false },
	{ "javascript:1", false },
};

static void
check_url__takes_http_and_https_without_secrets(void **state)
{
	for (size_t i = 0; i < RTE_DIM(url_cases); i++) {
		struct plm_text why;
		char buf[512];
		int ret;

		plm_text_init(&why, buf, sizeof(buf));
		ret = auth_check_url(url_cases[i].url, &why);
		if (ret != (url_cases[i].good ? 0 : -EINVAL) || (ret < 0) != (why.len > 0))
			fail_msg("%s: %d, \"%s\"", url_cases[i].url, ret, buf);
	}
}

/* A network and a list of name servers of our own, where that is allowed. */
static void
enter_lab(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	char path[] = "/tmp/plm-auth-resolv-XXXXXX";
	static const char text[] = "nameserver 127.0.0.1\n";
	int fd;

	if (geteuid() != 0 || unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		return;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0) {
		perror("lo");
		exit(1);
	}
	close(fd);
	fd = mkstemp(path);
	has_names = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) &&
			mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
			mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0;
	close(fd);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ask__believes_an_answer_of_the_form_and_no_other,
				setup, teardown),
		cmocka_unit_test_setup_teardown(ask__cuts_an_alias_at_a_character, setup, teardown),
		cmocka_unit_test_setup_teardown(
				ask__takes_tokens_of_every_length_and_no_longer_ones, setup,
				teardown),
		cmocka_unit_test_setup_teardown(ask__is_not_delayed_by_requests_that_hang, setup,
				teardown),
		cmocka_unit_test_setup_teardown(ask__takes_as_many_as_may_be_in_flight, setup,
				teardown),
		cmocka_unit_test_setup_teardown(ask__goes_on_where_many_are_asked_at_once, setup,
				teardown),
		cmocka_unit_test_setup_teardown(
				ask__uses_connections_again_but_none_after_a_failure, setup,
				teardown),
		cmocka_unit_test_setup_teardown(ask__works_again_when_the_server_is_back, setup,
				teardown),
		cmocka_unit_test(ask__speaks_ipv6),
		cmocka_unit_test(ask__believes_a_server_of_https_by_its_certificate),
		cmocka_unit_test_setup_teardown(ask__leaves_no_token_in_memory, setup, teardown),
		cmocka_unit_test(ask__gives_a_name_up_that_nobody_resolves),
		cmocka_unit_test_setup_teardown(stop__waits_for_no_request, setup, teardown),
		cmocka_unit_test(check_url__takes_http_and_https_without_secrets),
	};

	enter_lab();
	test_eal_init(64);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

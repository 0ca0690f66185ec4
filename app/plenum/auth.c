/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A token's way: the slow path copies it into a place and puts the place's number into a ring; the
 * thread has libcurl send `{"token":"..."}` to the server, reads the answer, and puts the number into
 * the ring back. There are as many places as requests may be in flight, so no ring is ever full, and a
 * place belongs to whoever took its number last. A server that is dead, hangs or lies delays only what
 * it was asked: requests have connections of their own, and all end when their time is over.
 *
 * A token is erased once it was sent: in its place, in what is built of it, and in libcurl's memory,
 * which is why libcurl has an allocator from us.
 */
#include "auth.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_lcore.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "app.h"
#include "plm_crypto.h"
#include "plm_wzp.h"

/* Bytes of an answer, headers and body alike. */
#define ANSWER_MAX 65536
/* Every byte of a token as an escape, and what is around it. */
#define BODY_MAX (6 * PLM_AUTH_TOKEN_MAX + 16)
/* A connection, or what a name stood for, is not used again after this long; seconds. */
#define REUSE_S 10
/* The thread looks around without being woken. */
#define POLL_MS 1000

struct place {
	/* const */
	CURL *easy;

	/* whoever has its number: the slow path where it is free or answered, else the thread */
	uint32_t token_len;
	char token[PLM_AUTH_TOKEN_MAX];
	struct plm_auth_answer answer; /* `id` and `gen` from the beginning on */

	/* the thread */
	char body[BODY_MAX];
	char error[CURL_ERROR_SIZE];
	uint32_t taken; /* bytes of headers and text */
	uint32_t text_len;
	char text[ANSWER_MAX];
};

struct auth {
	/* const */
	struct plm_auth api;
	uint32_t nb_places;
	struct place *places;
	struct rte_ring *asked;    /* numbers of places: slow path to thread */
	struct rte_ring *answered; /* and back */
	CURLM *multi;
	struct curl_slist *headers;
	int wake_fd; /* eventfd: something was asked, or the end */
	pthread_t thread;
	bool has_thread;
	bool has_curl;

	/* slow path */
	uint32_t *free;
	uint32_t nb_free;
	/* slow path writes, any reads */
	_Atomic uint64_t nb_asked;
	_Atomic uint64_t nb_busy;
	_Atomic uint32_t in_flight;

	/* the thread */
	alignas(RTE_CACHE_LINE_SIZE) uint64_t
			distrust_ns; /* until then no connection is used again */
	/* the thread writes, any reads */
	_Atomic uint64_t nb_verdicts[PLM_AUTH_FAILED + 1];

	/* any writes, the thread reads */
	_Atomic bool stop;

	/* guards what follows; control threads only */
	pthread_mutex_t lock;
	uint64_t error_ns;
	char error[AUTH_ERROR_SIZE];
};

/* --- the slow path's side ------------------------------------------------------------------- */

static void
wake(const struct auth *auth)
{
	uint64_t one = 1;

	/* It does not block, and a counter that is full has woken the thread already. */
	if (write(auth->wake_fd, &one, sizeof(one)) < 0)
		return;
}

static int
ask(void *ctx, uint32_t id, uint32_t gen, const char *token, size_t len)
{
	struct auth *auth = ctx;
	struct place *place;
	uint32_t idx;

	if (len == 0 || len > PLM_AUTH_TOKEN_MAX)
		return -EINVAL;
	if (auth->nb_free == 0) {
		atomic_fetch_add_explicit(&auth->nb_busy, 1, memory_order_relaxed);
		return -EBUSY;
	}
	idx = auth->free[--auth->nb_free];
	place = &auth->places[idx];
	place->answer = (struct plm_auth_answer){ .id = id, .gen = gen };
	memcpy(place->token, token, len);
	place->token_len = (uint32_t)len;
	atomic_fetch_add_explicit(&auth->nb_asked, 1, memory_order_relaxed);
	atomic_store_explicit(&auth->in_flight, auth->nb_places - auth->nb_free,
			memory_order_relaxed);
	rte_ring_sp_enqueue_elem(auth->asked, &idx, sizeof(idx));
	wake(auth);
	return 0;
}

static bool
answer(void *ctx, struct plm_auth_answer *out)
{
	struct auth *auth = ctx;
	uint32_t idx;

	if (rte_ring_sc_dequeue_elem(auth->answered, &idx, sizeof(idx)) < 0)
		return false;
	*out = auth->places[idx].answer;
	auth->free[auth->nb_free++] = idx;
	atomic_store_explicit(&auth->in_flight, auth->nb_places - auth->nb_free,
			memory_order_relaxed);
	return true;
}

/* --- what the server says ------------------------------------------------------------------- */

/* UTF-8 of at most PLM_AUTH_ALIAS_MAX bytes, cut at a character. */
static void
copy_alias(char to[PLM_AUTH_ALIAS_MAX + 1], const json_t *from)
{
	const char *text = json_string_value(from);
	size_t len = json_string_length(from);

	if (len > PLM_AUTH_ALIAS_MAX) {
		len = PLM_AUTH_ALIAS_MAX;
		while (len > 0 && (text[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(to, text, len);
	to[len] = '\0';
}

/* An answer of the form: {"valid":true,"fingerprint":"a3f8:...","alias":"..."}, or {"valid":false}. */
static enum plm_auth_verdict
read_answer(const json_t *said, struct plm_auth_answer *out)
{
	const json_t *valid = json_object_get(said, "valid");
	const json_t *fingerprint = json_object_get(said, "fingerprint");
	const json_t *alias = json_object_get(said, "alias");

	if (!json_is_boolean(valid))
		return PLM_AUTH_FAILED;
	if (json_is_false(valid))
		return PLM_AUTH_INVALID;
	if (!json_is_string(fingerprint) ||
			(alias != NULL && !json_is_null(alias) && !json_is_string(alias)))
		return PLM_AUTH_FAILED;
	if (plm_wzp_fingerprint_read(json_string_value(fingerprint),
			    json_string_length(fingerprint), out->fingerprint) < 0)
		return PLM_AUTH_FAILED;
	if (json_is_string(alias))
		copy_alias(out->alias, alias);
	return PLM_AUTH_VALID;
}

static enum plm_auth_verdict
judge(struct place *place, CURLcode result, struct plm_text *why)
{
	enum plm_auth_verdict verdict;
	long status = 0;
	json_t *said;

	if (result == CURLE_WRITE_ERROR) {
		plm_text_add(why, "an answer of more than %d bytes", ANSWER_MAX);
		return PLM_AUTH_FAILED;
	}
	if (result != CURLE_OK) {
		plm_text_add(why, "%s",
				place->error[0] != '\0' ? place->error
							: curl_easy_strerror(result));
		return PLM_AUTH_FAILED;
	}
	curl_easy_getinfo(place->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200 || status > 299) {
		plm_text_add(why, "status %ld", status);
		/* "Request Timeout" and "Too Many Requests" say nothing about the token. */
		return status >= 400 && status <= 499 && status != 408 && status != 429
				? PLM_AUTH_INVALID
				: PLM_AUTH_FAILED;
	}
	said = json_loadb(place->text, place->text_len, JSON_REJECT_DUPLICATES, NULL);
	verdict = read_answer(said, &place->answer);
	json_decref(said);
	if (verdict == PLM_AUTH_FAILED)
		plm_text_add(why, "status %ld with an answer that is not of the form", status);
	return verdict;
}

/* Part of it may come from the server. */
static void
note_error(struct auth *auth, const struct plm_text *why)
{
	pthread_mutex_lock(&auth->lock);
	auth->error_ns = clock_now_ns(NULL);
	for (size_t i = 0; i <= why->len; i++) {
		char c = why->buf[i];

		auth->error[i] = c == '\0' || (c >= ' ' && c <= '~') ? c : '?';
	}
	pthread_mutex_unlock(&auth->lock);
}

/* --- the thread's side ---------------------------------------------------------------------- */

static void
give_answer(struct auth *auth, struct place *place, enum plm_auth_verdict verdict)
{
	uint32_t idx = (uint32_t)(place - auth->places);

	place->answer.verdict = verdict;
	atomic_fetch_add_explicit(&auth->nb_verdicts[verdict], 1, memory_order_relaxed);
	rte_ring_sp_enqueue_elem(auth->answered, &idx, sizeof(idx));
}

static void
finish(struct auth *auth, struct place *place, CURLcode result)
{
	char buf[AUTH_ERROR_SIZE];
	enum plm_auth_verdict verdict;
	struct plm_text why;

	plm_text_init(&why, buf, sizeof(buf));
	verdict = judge(place, result, &why);
	if (result != CURLE_OK)
		auth->distrust_ns = clock_now_ns(NULL) + REUSE_S * PLM_NS_PER_S;
	if (why.len > 0)
		note_error(auth, &why);
	plm_crypto_erase(place->body, sizeof(place->body));
	give_answer(auth, place, verdict);
}

/* Bytes of the body; 0: the token is not UTF-8. The token is erased. */
static size_t
build_body(struct place *place)
{
	json_t *body = json_object();
	json_t *token = json_stringn(place->token, place->token_len);
	size_t len = 0;

	if (token != NULL && json_object_set(body, "token", token) == 0)
		len = json_dumpb(body, place->body, sizeof(place->body), JSON_COMPACT);
	if (token != NULL)
		plm_crypto_erase((char *)(uintptr_t)json_string_value(token),
				json_string_length(token));
	json_decref(body);
	json_decref(token);
	plm_crypto_erase(place->token, sizeof(place->token));
	return len;
}

static void
begin(struct auth *auth, struct place *place)
{
	bool fresh = clock_now_ns(NULL) < auth->distrust_ns;
	size_t len = build_body(place);

	place->taken = 0;
	place->text_len = 0;
	place->error[0] = '\0';
	if (len == 0) {
		give_answer(auth, place, PLM_AUTH_INVALID);
		return;
	}
	curl_easy_setopt(place->easy, CURLOPT_POSTFIELDSIZE, (long)len);
	/* After a failure connections from before may be dead without saying so. */
	curl_easy_setopt(place->easy, CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L);
	if (curl_multi_add_handle(auth->multi, place->easy) != CURLM_OK)
		finish(auth, place, CURLE_OUT_OF_MEMORY);
}

static void
reap(struct auth *auth)
{
	const CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(auth->multi, &left)) != NULL) {
		CURLcode result = msg->data.result;
		CURL *easy = msg->easy_handle;
		char *place;

		curl_easy_getinfo(easy, CURLINFO_PRIVATE, &place);
		curl_multi_remove_handle(auth->multi, easy);
		finish(auth, (struct place *)(void *)place, result);
	}
}

static void *
auth_main(void *arg)
{
	struct auth *auth = arg;
	struct curl_waitfd woken = { .fd = auth->wake_fd, .events = CURL_WAIT_POLLIN };

	while (!atomic_load_explicit(&auth->stop, memory_order_relaxed)) {
		uint64_t count;
		uint32_t idx;
		int running;

		/* Before the ring is looked at: what comes later wakes again. */
		if (read(auth->wake_fd, &count, sizeof(count)) < 0)
			count = 0;
		while (rte_ring_sc_dequeue_elem(auth->asked, &idx, sizeof(idx)) == 0)
			begin(auth, &auth->places[idx]);
		curl_multi_perform(auth->multi, &running);
		reap(auth);
		curl_multi_poll(auth->multi, &woken, 1, POLL_MS, NULL);
	}
	return NULL;
}

/* Headers count, so that they come to an end, too. */
static size_t
take_header(char *bytes, size_t size, size_t n, void *ctx)
{
	struct place *place = ctx;

	if (n > ANSWER_MAX - place->taken)
		return CURL_WRITEFUNC_ERROR;
	place->taken += (uint32_t)n;
	return n;
}

static size_t
take_text(char *bytes, size_t size, size_t n, void *ctx)
{
	struct place *place = ctx;

	if (n > ANSWER_MAX - place->taken)
		return CURL_WRITEFUNC_ERROR;
	place->taken += (uint32_t)n;
	memcpy(place->text + place->text_len, bytes, n);
	place->text_len += (uint32_t)n;
	return n;
}

/* --- beginning and end ---------------------------------------------------------------------- */

static void
curl_erase(void *p)
{
	if (p != NULL)
		plm_crypto_erase(p, malloc_usable_size(p));
	free(p);
}

static void *
curl_resize(void *p, size_t size)
{
	void *q = malloc(size);

	if (q == NULL || p == NULL)
		return q;
	memcpy(q, p, RTE_MIN(size, malloc_usable_size(p)));
	curl_erase(p);
	return q;
}

int
auth_check_url(const char *url, struct plm_text *why)
{
	static const struct {
		CURLUPart part;
		CURLUcode none;
	} secrets[] = { { CURLUPART_USER, CURLUE_NO_USER },
		{ CURLUPART_PASSWORD, CURLUE_NO_PASSWORD } };
	CURLU *u = curl_url();
	const char *wrong = NULL;
	char *scheme = NULL;
	CURLUcode ret;

	if (u == NULL)
		return -ENOMEM;
	ret = curl_url_set(u, CURLUPART_URL, url, 0);
	if (ret == CURLUE_OK)
		ret = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
	if (ret != CURLUE_OK)
		wrong = curl_url_strerror(ret);
	else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
		wrong = "Neither http nor https";
	for (unsigned int i = 0; wrong == NULL && i < RTE_DIM(secrets); i++) {
		char *text = NULL;

		if (curl_url_get(u, secrets[i].part, &text, 0) != secrets[i].none)
			wrong = "A name or password does not belong there";
		curl_free(text);
	}
	curl_free(scheme);
	curl_url_cleanup(u);
	if (wrong == NULL)
		return 0;
	plm_text_add(why,
			"\"%s\" cannot be asked (%s), must be like http://198.18.0.7:8080/validate "
			"or https://[fd00::7]/validate",
			url, wrong);
	return -EINVAL;
}

static int
place_init(struct auth *auth, struct place *place, const struct auth_conf *conf)
{
	CURL *easy = curl_easy_init();
	int ret = 0;

	place->easy = easy;
	if (easy == NULL)
		return -ENOMEM;
	ret |= curl_easy_setopt(easy, CURLOPT_URL, conf->url);
	ret |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	ret |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	ret |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, auth->headers);
	ret |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "plenum/" PLM_VERSION);
	ret |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
	ret |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, place->body);
	ret |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	/* No variable of the environment sends tokens elsewhere. */
	ret |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
	ret |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)conf->timeout_ms);
	ret |= curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)REUSE_S);
	ret |= curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, (long)REUSE_S);
	/* No signals for time, and nobody waits for a thread that resolves a name. */
	ret |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	ret |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	ret |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	ret |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, place);
	ret |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_text);
	ret |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, place);
	ret |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, place->error);
	ret |= curl_easy_setopt(easy, CURLOPT_PRIVATE, place);
	if (conf->ca[0] != '\0')
		ret |= curl_easy_setopt(easy, CURLOPT_CAINFO, conf->ca);
	return ret == CURLE_OK ? 0 : -ENOTSUP;
}

static struct rte_ring *
ring_create(const char *name, uint32_t size)
{
	return rte_ring_create_elem(name, sizeof(uint32_t), rte_align32pow2(size + 1),
			SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

static int
curl_start(struct auth *auth, const struct auth_conf *conf)
{
	int ret = 0;

	auth->has_curl = curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, curl_erase, curl_resize,
					 strdup, calloc) == CURLE_OK;
	if (!auth->has_curl)
		return -ENOTSUP;
	auth->multi = curl_multi_init();
	auth->headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (auth->multi == NULL || auth->headers == NULL)
		return -ENOMEM;
	curl_multi_setopt(auth->multi, CURLMOPT_MAXCONNECTS, (long)auth->nb_places);
	for (uint32_t i = 0; ret == 0 && i < auth->nb_places; i++)
		ret = place_init(auth, &auth->places[i], conf);
	return ret;
}

int
auth_start(struct auth **out, const struct auth_conf *conf, struct plm_text *why)
{
	struct auth *auth = aligned_alloc(RTE_CACHE_LINE_SIZE,
			RTE_ALIGN_CEIL(sizeof(*auth), (size_t)RTE_CACHE_LINE_SIZE));
	int ret;

	if (auth == NULL)
		return -ENOMEM;
	memset(auth, 0, sizeof(*auth));
	pthread_mutex_init(&auth->lock, NULL);
	auth->api = (struct plm_auth){ .ask = ask, .answer = answer, .ctx = auth };
	auth->nb_places = conf->requests;
	auth->places = calloc(conf->requests, sizeof(*auth->places));
	auth->free = calloc(conf->requests, sizeof(*auth->free));
	auth->asked = ring_create("auth-asked", conf->requests);
	auth->answered = ring_create("auth-answered", conf->requests);
	auth->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (auth->places == NULL || auth->free == NULL || auth->asked == NULL ||
			auth->answered == NULL || auth->wake_fd < 0) {
		plm_text_add(why, "wzp.auth_url: no memory for %u requests", conf->requests);
		ret = -ENOMEM;
		goto fail;
	}
	for (uint32_t i = 0; i < conf->requests; i++)
		auth->free[auth->nb_free++] = i;
	ret = curl_start(auth, conf);
	if (ret < 0) {
		plm_text_add(why, "wzp.auth_url: libcurl: %s", strerror(-ret));
		goto fail;
	}
	ret = rte_ctrl_thread_create(&auth->thread, "plm-auth", NULL, auth_main, auth);
	if (ret != 0) {
		plm_text_add(why, "wzp.auth_url: no thread: %s", strerror(abs(ret)));
		ret = -abs(ret);
		goto fail;
	}
	auth->has_thread = true;
	*out = auth;
	return 0;

fail:
	auth_stop(auth);
	return ret;
}

void
auth_stop(struct auth *auth)
{
	if (auth == NULL)
		return;
	if (auth->has_thread) {
		atomic_store_explicit(&auth->stop, true, memory_order_relaxed);
		wake(auth);
		pthread_join(auth->thread, NULL);
	}
	for (uint32_t i = 0; auth->places != NULL && i < auth->nb_places; i++) {
		if (auth->multi != NULL)
			curl_multi_remove_handle(auth->multi, auth->places[i].easy);
		curl_easy_cleanup(auth->places[i].easy);
		plm_crypto_erase(auth->places[i].token, sizeof(auth->places[i].token));
		plm_crypto_erase(auth->places[i].body, sizeof(auth->places[i].body));
	}
	curl_multi_cleanup(auth->multi);
	curl_slist_free_all(auth->headers);
	if (auth->has_curl)
		curl_global_cleanup();
	rte_ring_free(auth->asked);
	rte_ring_free(auth->answered);
	if (auth->wake_fd >= 0)
		close(auth->wake_fd);
	free(auth->free);
	free(auth->places);
	pthread_mutex_destroy(&auth->lock);
	free(auth);
}

const struct plm_auth *
auth_of(const struct auth *auth)
{
	return &auth->api;
}

void
auth_read(struct auth *auth, struct auth_figures *figures)
{
	*figures = (struct auth_figures){
		.asked = atomic_load_explicit(&auth->nb_asked, memory_order_relaxed),
		.valid = atomic_load_explicit(&auth->nb_verdicts[PLM_AUTH_VALID],
				memory_order_relaxed),
		.invalid = atomic_load_explicit(&auth->nb_verdicts[PLM_AUTH_INVALID],
				memory_order_relaxed),
		.failed = atomic_load_explicit(&auth->nb_verdicts[PLM_AUTH_FAILED],
				memory_order_relaxed),
		.busy = atomic_load_explicit(&auth->nb_busy, memory_order_relaxed),
		.in_flight = atomic_load_explicit(&auth->in_flight, memory_order_relaxed),
	};
	pthread_mutex_lock(&auth->lock);
	figures->error_ns = auth->error_ns;
	memcpy(figures->error, auth->error, sizeof(figures->error));
	pthread_mutex_unlock(&auth->lock);
}

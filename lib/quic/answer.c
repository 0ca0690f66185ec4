/* SPDX-License-Identifier: BSD-3-Clause */
/* What is answered without a connection. None of it costs state but a bounded window of used tokens, and
 * none is longer than three times what it answers (RFC 9000 §8.1). */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include <rte_common.h>
#include <rte_errno.h>

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include "plm_crypto.h"
#include "plm_quic_initial.h"

#define SECRET_SIZE 32
#define WAYS        4
#define REASON_MAX  64

static_assert(PLM_QUIC_ID_MAX == NGTCP2_MAX_CIDLEN, "ids of version 1");
static_assert(PLM_QUIC_FIRST_ID_MIN == NGTCP2_MIN_INITIAL_DCIDLEN, "first ids of version 1");
/* First byte, version, two ids with their lengths, then two versions, or token and tag. */
static_assert(PLM_ANSWER_MAX >= 1 + 4 + 2 * (1 + 255) + 2 * 4, "version negotiation");
static_assert(PLM_ANSWER_MAX >= 1 + 4 + 2 * (1 + PLM_QUIC_ID_MAX) +
						NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2 + 16,
		"Retry");
static_assert(PLM_ANSWER_MAX <= 3 * PLM_INITIAL_MIN, "no answer amplifies");

/* A used token; 0: none. */
struct used_token {
	uint64_t hash;
	uint64_t used_ns;
};

struct plm_answers {
	/* const */
	struct plm_answers_conf conf;
	uint8_t hash_key[16];
	uint32_t set_mask;

	/* ctl */
	uint8_t secrets[2][SECRET_SIZE]; /* of tokens: the one in use, the one before */
	uint64_t rotated_ns;
	uint64_t reset_due_ns;   /* when the schedule of resets has room for one more */
	struct used_token *used; /* sets of WAYS */
};

struct plm_answers *
plm_answers_create(const struct plm_answers_conf *conf)
{
	struct plm_answers *a;

	if (conf->rand.fill == NULL || conf->token_ns == 0 || conf->rotate_ns < conf->token_ns ||
			conf->max_tokens < WAYS || conf->max_tokens > 1 << 24 ||
			!rte_is_power_of_2(conf->max_tokens) || conf->resets_per_s > 1000000 ||
			conf->reset_burst == 0 || conf->reset_burst > 1000000) {
		rte_errno = EINVAL;
		return NULL;
	}
	a = calloc(1, sizeof(*a));
	if (a == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	a->conf = *conf;
	a->set_mask = conf->max_tokens / WAYS - 1;
	plm_rand_fill(&conf->rand, a->hash_key, sizeof(a->hash_key));
	plm_rand_fill(&conf->rand, a->secrets, sizeof(a->secrets));
	a->used = calloc(conf->max_tokens, sizeof(*a->used));
	if (a->used == NULL) {
		plm_answers_free(a);
		rte_errno = ENOMEM;
		return NULL;
	}
	return a;
}

void
plm_answers_free(struct plm_answers *a)
{
	if (a == NULL)
		return;
	free(a->used);
	plm_crypto_erase(a, sizeof(*a));
	free(a);
}

/* --- version negotiation ----------------------------------------------------------------------- */

int
plm_answers_version(struct plm_answers *a, const uint8_t *buf, size_t len, uint8_t *out,
		size_t size)
{
	ngtcp2_version_cid vc;
	uint32_t versions[2] = { PLM_QUIC_V1 };
	uint8_t random[5];
	ngtcp2_ssize n;
	int ret;

	if (len < 1 || !(buf[0] & 0x80))
		return -EINVAL;
	/* Good to the library is version 2, too. */
	ret = ngtcp2_pkt_decode_version_cid(&vc, buf, len, 0);
	if (ret != 0 && ret != NGTCP2_ERR_VERSION_NEGOTIATION)
		return len < PLM_INITIAL_MIN ? -EMSGSIZE : -EINVAL;
	if (vc.version == 0 || vc.version == PLM_QUIC_V1)
		return -EINVAL;
	if (len < PLM_INITIAL_MIN)
		return -EMSGSIZE;
	/* 0x?a?a?a?a exists in no future either (RFC 9000 §15), but is not to be the client's own. */
	plm_rand_fill(&a->conf.rand, random, sizeof(random));
	for (unsigned int i = 0; i < 4; i++)
		versions[1] = versions[1] << 8 | (random[i] & 0xf0) | 0x0a;
	if (versions[1] == vc.version)
		versions[1] ^= 0x10;
	n = ngtcp2_pkt_write_version_negotiation(out, size, random[4], vc.scid, vc.scidlen, vc.dcid,
			vc.dcidlen, versions, RTE_DIM(versions));
	return n < 0 ? -ENOBUFS : (int)n;
}

/* --- Retry ------------------------------------------------------------------------------------- */

/* The library compares an address as bytes of a family's length; a source has those of the longer. */
static void
address_of(struct sockaddr_in6 *address, const struct plm_initial_source *source)
{
	static_assert(sizeof(*address) == 4 + sizeof(source->key), "the whole key is bound");
	memset(address, 0, sizeof(*address));
	address->sin6_family = AF_INET6;
	memcpy((uint8_t *)address + 4, source->key, sizeof(source->key));
}

static void
rotate(struct plm_answers *a, uint64_t now_ns)
{
	if (a->rotated_ns == 0)
		a->rotated_ns = now_ns;
	if (now_ns - a->rotated_ns < a->conf.rotate_ns)
		return;
	memcpy(a->secrets[1], a->secrets[0], SECRET_SIZE);
	plm_rand_fill(&a->conf.rand, a->secrets[0], SECRET_SIZE);
	a->rotated_ns = now_ns;
}

int
plm_answers_retry(struct plm_answers *a, const struct plm_initial_source *source,
		const struct plm_initial_hd *hd, const uint8_t *scid, size_t scid_len,
		uint64_t now_ns, uint8_t *out, size_t size)
{
	uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2];
	ngtcp2_cid client, retry, odcid;
	struct sockaddr_in6 address;
	ngtcp2_ssize token_len, n;

	if (scid_len < PLM_QUIC_FIRST_ID_MIN || scid_len > PLM_QUIC_ID_MAX ||
			(scid_len == hd->dcid_len && memcmp(scid, hd->dcid, scid_len) == 0))
		return -EINVAL;
	if (size < PLM_ANSWER_MAX)
		return -ENOBUFS;
	rotate(a, now_ns);
	address_of(&address, source);
	ngtcp2_cid_init(&client, hd->scid, hd->scid_len);
	ngtcp2_cid_init(&retry, scid, scid_len);
	ngtcp2_cid_init(&odcid, hd->dcid, hd->dcid_len);
	token_len = ngtcp2_crypto_generate_retry_token2(token, a->secrets[0], SECRET_SIZE,
			PLM_QUIC_V1, (const ngtcp2_sockaddr *)&address, sizeof(address), &retry,
			&odcid, now_ns);
	if (token_len < 0)
		return -EIO;
	n = ngtcp2_crypto_write_retry(out, size, PLM_QUIC_V1, &client, &retry, &odcid, token,
			(size_t)token_len);
	return n < 0 ? -EIO : (int)n;
}

/* The set that a token belongs to, and its hash there. */
static struct used_token *
used_set(struct plm_answers *a, const struct plm_initial_hd *hd, uint64_t *hash)
{
	uint64_t h = plm_siphash(a->hash_key, hd->token, hd->token_len);

	*hash = h + (h == 0);
	return &a->used[(h & a->set_mask) * WAYS];
}

int
plm_answers_token(struct plm_answers *a, const struct plm_initial_source *source,
		const struct plm_initial_hd *hd, uint64_t now_ns, uint8_t *odcid, size_t *odcid_len)
{
	const struct used_token *set;
	ngtcp2_cid dcid, original;
	struct sockaddr_in6 address;
	uint64_t hash;
	int ret = NGTCP2_CRYPTO_ERR_UNREADABLE_TOKEN;

	if (hd->token_len == 0 || hd->token[0] != NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY2)
		return -ENOENT;
	address_of(&address, source);
	ngtcp2_cid_init(&dcid, hd->dcid, hd->dcid_len);
	for (unsigned int i = 0; i < RTE_DIM(a->secrets); i++) {
		ret = ngtcp2_crypto_verify_retry_token2(&original, hd->token, hd->token_len,
				a->secrets[i], SECRET_SIZE, PLM_QUIC_V1,
				(const ngtcp2_sockaddr *)&address, sizeof(address), &dcid,
				a->conf.token_ns, now_ns);
		if (ret != NGTCP2_CRYPTO_ERR_UNREADABLE_TOKEN)
			break;
	}
	if (ret == NGTCP2_CRYPTO_ERR_UNREADABLE_TOKEN)
		return -EBADMSG;
	if (ret == NGTCP2_CRYPTO_ERR_VERIFY_TOKEN)
		return -EACCES;
	if (ret != 0)
		return -EIO;
	set = used_set(a, hd, &hash);
	for (unsigned int i = 0; i < WAYS; i++) {
		if (set[i].hash == hash)
			return -EALREADY;
	}
	memcpy(odcid, original.data, original.datalen);
	*odcid_len = original.datalen;
	return 0;
}

void
plm_answers_token_used(struct plm_answers *a, const struct plm_initial_hd *hd, uint64_t now_ns)
{
	struct used_token *oldest, *set;
	uint64_t hash;

	set = used_set(a, hd, &hash);
	oldest = &set[0];
	for (unsigned int i = 0; i < WAYS; i++) {
		if (set[i].hash == hash)
			return;
		if (set[i].used_ns < oldest->used_ns)
			oldest = &set[i];
	}
	*oldest = (struct used_token){ .hash = hash, .used_ns = now_ns };
}

/* --- stateless reset --------------------------------------------------------------------------- */

/* One more within resets_per_s and the burst? Each takes its interval from a schedule that may run
 * ahead of the clock by the burst. */
static bool
reset_allowed(struct plm_answers *a, uint64_t now_ns)
{
	uint64_t interval;

	if (a->conf.resets_per_s == 0)
		return false;
	interval = PLM_NS_PER_S / a->conf.resets_per_s;
	if (a->reset_due_ns > now_ns + (a->conf.reset_burst - 1) * interval)
		return false;
	a->reset_due_ns = RTE_MAX(a->reset_due_ns, now_ns) + interval;
	return true;
}

int
plm_answers_reset(struct plm_answers *a, const uint8_t *buf, size_t len, const uint8_t *dcid,
		size_t dcid_len, uint64_t now_ns, uint8_t *out, size_t size)
{
	uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN];
	uint8_t random[64];
	ngtcp2_cid cid;
	ngtcp2_ssize n;
	size_t want;

	if (len < 1 || (buf[0] & 0xc0) != 0x40 || dcid_len == 0 || dcid_len > PLM_QUIC_ID_MAX)
		return -EINVAL;
	if (len < PLM_ANSWER_RESET_MIN)
		return -EMSGSIZE;
	if (size < sizeof(random))
		return -ENOBUFS;
	if (!reset_allowed(a, now_ns))
		return -EAGAIN;
	/* As long as a small packet of a real connection, and shorter than what it answers, so that two
	 * ends that reset each other come to rest (RFC 9000 §10.3.3). */
	plm_rand_fill(&a->conf.rand, random, sizeof(random));
	want = RTE_MIN(len - 1, 42u + (random[sizeof(random) - 1] & 15));
	ngtcp2_cid_init(&cid, dcid, dcid_len);
	if (ngtcp2_crypto_generate_stateless_reset_token(token, a->conf.reset_secret,
			    sizeof(a->conf.reset_secret), &cid) != 0)
		return -EIO;
	n = ngtcp2_pkt_write_stateless_reset(out, want, token, random, want - sizeof(token));
	plm_crypto_erase(token, sizeof(token));
	return n < 0 ? -EIO : (int)n;
}

/* --- refusal ----------------------------------------------------------------------------------- */

int
plm_answers_close(const struct plm_initial_hd *hd, uint64_t code, const char *reason, uint8_t *out,
		size_t size)
{
	ngtcp2_cid client, first;
	ngtcp2_ssize n;

	if (size < PLM_ANSWER_MAX)
		return -ENOBUFS;
	ngtcp2_cid_init(&client, hd->scid, hd->scid_len);
	ngtcp2_cid_init(&first, hd->dcid, hd->dcid_len);
	n = ngtcp2_crypto_write_connection_close(out, size, PLM_QUIC_V1, &client, &first, code,
			(const uint8_t *)reason, strnlen(reason, REASON_MAX));
	return n < 0 ? -EIO : (int)n;
}

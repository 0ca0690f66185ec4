/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers without a connection, as a real client takes them. */
#include <errno.h>

#include <rte_common.h>
#include <rte_errno.h>

#include "test_eal.h"
#include "test_initial.h"

#define TOKEN_NS  (10 * PLM_NS_PER_S)
#define ROTATE_NS (60 * PLM_NS_PER_S)

static struct plm_answers *answers;
static struct plm_initials *initials;
static uint64_t now_ns;
static uint64_t random_state;
static const char *forced_random; /* instead, when set */
static uint8_t out[PLM_ANSWER_MAX];

static const uint8_t retry_id[17] = { 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2 };
static const struct plm_initial_source home = { .key = { 198, 18, 0, 1, [16] = 0x11, 0x51 },
	.prefix = 1 };

static void
fill(void *ctx, void *buf, size_t len)
{
	uint8_t *p = buf;

	if (forced_random != NULL) {
		memcpy(buf, forced_random, len);
		return;
	}
	while (len-- > 0) {
		random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
		*p++ = (uint8_t)(random_state >> 56);
	}
}

static struct plm_answers_conf
defaults(void)
{
	return (struct plm_answers_conf){
		.rand = { .fill = fill },
		.reset_secret = { 1, 2, 3 },
		.token_ns = TOKEN_NS,
		.rotate_ns = ROTATE_NS,
		.max_tokens = 64,
		.resets_per_s = 100,
		.reset_burst = 5,
	};
}

static int
setup(void **state)
{
	struct plm_answers_conf conf = defaults();
	struct plm_initials_conf initials_conf = {
		.max_entries = 4,
		.max_per_prefix = 4,
		.hold_ns = 200 * PLM_NS_PER_MS,
		.rand = { .fill = fill },
	};

	now_ns = PLM_NS_PER_S;
	random_state = 1;
	answers = plm_answers_create(&conf);
	initials = plm_initials_create(&initials_conf);
	return answers != NULL && initials != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	plm_answers_free(answers);
	plm_initials_free(initials);
	return 0;
}

static void
client_init(struct test_client *client, uint8_t scid_len, uint16_t hello_pad)
{
	struct test_client_conf conf = { .name = "room",
		.alpn = "wzp",
		.dcid_len = 8,
		.scid_len = scid_len,
		.hello_pad = hello_pad };

	test_client_init(client, &conf);
}

static struct plm_initial_hd
parsed(const struct plm_initial_dgram *dgram)
{
	struct plm_initial_hd hd;

	assert_int_equal(plm_initial_parse(dgram->buf, dgram->len, &hd), PLM_INITIAL_READY);
	return hd;
}

static void
create__refuses_what_it_cannot_be(void **state)
{
	for (unsigned int i = 0; i < 8; i++) {
		struct plm_answers_conf conf = defaults();

		switch (i) {
		case 0:
			conf.token_ns = 0;
			break;
		case 1:
			conf.rotate_ns = TOKEN_NS - 1;
			break;
		case 2:
			conf.max_tokens = 2;
			break;
		case 3:
			conf.max_tokens = 63;
			break;
		case 4:
			conf.max_tokens = 1 << 25;
			break;
		case 5:
			conf.reset_burst = 0;
			break;
		case 6:
			conf.resets_per_s = 1000001;
			break;
		case 7:
			conf.rand.fill = NULL;
			break;
		}
		rte_errno = 0;
		assert_null(plm_answers_create(&conf));
		assert_int_equal(rte_errno, EINVAL);
	}
}

/* --- version negotiation ----------------------------------------------------------------------- */

static void
version__is_negotiated(void **state)
{
	static const struct {
		const char *name;
		uint32_t version;
		uint16_t len;
		uint8_t dcid_len;
		uint8_t scid_len;
		uint8_t first;
		int want; /* 0: an answer */
	} cases[] = {
		{ "a version from the future", 0x12345678, 1200, 8, 8, 0xc0, 0 },
		{ "version 2", 0x6b3343cf, 1200, 8, 0, 0xd3, 0 },
		{ "a draft", 0xff00001d, 1200, 20, 20, 0xc3, 0 },
		{ "one to grease with", 0x1a2a3a4a, 1500, 8, 8, 0xc0, 0 },
		{ "no fixed bit, another version may do that", 0x12345678, 1200, 8, 8, 0x80, 0 },
		{ "ids as long as they can be", 0x12345678, 1200, 255, 255, 0xc0, 0 },
		{ "no ids", 0x12345678, 1200, 0, 0, 0xc0, 0 },
		{ "1199 bytes", 0x12345678, 1199, 8, 8, 0xc0, -EMSGSIZE },
		{ "1199 bytes of version 2", 0x6b3343cf, 1199, 8, 8, 0xc0, -EMSGSIZE },
		{ "a short one", 0x12345678, 30, 8, 8, 0xc0, -EMSGSIZE },
		{ "version 1", 1, 1200, 8, 8, 0xc0, -EINVAL },
		{ "a negotiation", 0, 1200, 8, 8, 0xc0, -EINVAL },
		{ "a short header", 0x12345678, 1200, 8, 8, 0x40, -EINVAL },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		uint8_t in[1500] = { cases[i].first };
		uint8_t *scid = in + 6 + cases[i].dcid_len;
		int ret;

		print_message("  %s\n", cases[i].name);
		for (unsigned int b = 0; b < 4; b++)
			in[1 + b] = (uint8_t)(cases[i].version >> 8 * (3 - b));
		in[5] = cases[i].dcid_len;
		memset(in + 6, 0xd1, cases[i].dcid_len);
		*scid = cases[i].scid_len;
		memset(scid + 1, 0x51, cases[i].scid_len);
		for (unsigned int n = 0; n < 64; n++) {
			uint8_t *p = out;
			unsigned int ours = 0, greased = 0;

			ret = plm_answers_version(answers, in, cases[i].len, out, sizeof(out));
			if (cases[i].want != 0) {
				assert_int_equal(ret, cases[i].want);
				break;
			}
			assert_int_equal(ret, 7 + cases[i].dcid_len + cases[i].scid_len + 8);
			assert_true((*p++ & 0x80) != 0);
			assert_memory_equal(p, "\0\0\0\0", 4);
			p += 4;
			/* Ids change sides. */
			assert_int_equal(*p++, cases[i].scid_len);
			assert_memory_equal(p, scid + 1, cases[i].scid_len);
			p += cases[i].scid_len;
			assert_int_equal(*p++, cases[i].dcid_len);
			assert_memory_equal(p, in + 6, cases[i].dcid_len);
			p += cases[i].dcid_len;
			for (; p < out + ret; p += 4) {
				ours += memcmp(p, "\0\0\0\1", 4) == 0;
				greased += (p[0] & p[1] & p[2] & p[3] & 0x0f) == 0x0a;
				assert_memory_not_equal(p, in + 1, 4);
			}
			assert_int_equal(ours, 1);
			assert_int_equal(greased, 1);
		}
		assert_true(cases[i].want != 0 ||
				plm_answers_version(answers, in, cases[i].len, out,
						(size_t)ret - 1) == -ENOBUFS);
	}
	assert_int_equal(plm_answers_version(answers, out, 0, out, sizeof(out)), -EINVAL);
}

static void
version__to_grease_with_is_not_the_clients_own(void **state)
{
	uint8_t in[1200] = { 0xc0, 0x1a, 0x2a, 0x3a, 0x4a };
	int len;

	forced_random = "\x11\x22\x33\x44\x55";
	len = plm_answers_version(answers, in, sizeof(in), out, sizeof(out));
	assert_int_equal(len, 15);
	assert_memory_equal(out + 11, "\x1a\x2a\x3a\x5a", 4);
	in[4] = 0x5a;
	len = plm_answers_version(answers, in, sizeof(in), out, sizeof(out));
	assert_int_equal(len, 15);
	assert_memory_equal(out + 11, "\x1a\x2a\x3a\x4a", 4);
	forced_random = NULL;
}

static void
version__cut_anywhere_is_not_answered(void **state)
{
	uint8_t in[1200] = { 0xc0, 1, 2, 3, 4, 255 };

	/* A length that runs beyond the end. */
	in[6 + 255] = 255;
	for (size_t len = 0; len < sizeof(in); len++)
		assert_true(plm_answers_version(answers, in, len, out, sizeof(out)) < 0);
	assert_true(plm_answers_version(answers, in, sizeof(in), out, sizeof(out)) > 0);
}

/* --- Retry ------------------------------------------------------------------------------------- */

/* Answer the client's first datagram with a Retry and let it come back. */
static void
retry(struct test_client *client)
{
	struct plm_initial_hd hd = parsed(&client->dgrams[0]);
	int len;

	assert_int_equal(hd.token_len, 0);
	len = plm_answers_retry(answers, &home, &hd, retry_id, sizeof(retry_id), now_ns, out,
			sizeof(out));
	assert_true(len > 0 && len <= 3 * client->dgrams[0].len);
	assert_int_equal(test_client_read(client, out, (size_t)len, now_ns), 0);
	test_client_write(client, now_ns);
	assert_true(client->nb_dgrams > 0);
}

static void
retry__brings_the_client_back_with_its_token(void **state)
{
	static const uint16_t pads[] = { 0, 1200 };

	for (size_t i = 0; i < RTE_DIM(pads); i++) {
		uint8_t odcid[PLM_QUIC_ID_MAX];
		struct plm_initial_flight flight;
		struct test_client client;
		struct plm_initial_hd hd;
		size_t odcid_len;

		client_init(&client, i == 0 ? 0 : 20, pads[i]);
		hd = parsed(&client.dgrams[0]);
		assert_int_equal(plm_answers_token(answers, &home, &hd, now_ns, odcid, &odcid_len),
				-ENOENT);
		retry(&client);
		assert_int_equal(client.nb_dgrams, i + 1);
		/* Each datagram of the ClientHello carries it, and is good. */
		for (unsigned int n = 0; n < client.nb_dgrams; n++) {
			hd = parsed(&client.dgrams[n]);
			assert_int_equal(hd.dcid_len, sizeof(retry_id));
			assert_memory_equal(hd.dcid, retry_id, sizeof(retry_id));
			assert_int_equal(plm_answers_token(answers, &home, &hd, now_ns, odcid,
							 &odcid_len),
					0);
			assert_int_equal(odcid_len, client.dcid.datalen);
			assert_memory_equal(odcid, client.dcid.data, odcid_len);
			assert_int_equal(plm_initials_take(initials, &home, &client.dgrams[n],
							 now_ns, &flight),
					n + 1 < client.nb_dgrams ? PLM_INITIAL_WAIT
								 : PLM_INITIAL_READY);
		}
		assert_string_equal(flight.name, "room");
		assert_int_equal(flight.hd.token_len, hd.token_len);
		/* Used, it is good for nobody. */
		plm_answers_token_used(answers, &flight.hd, now_ns);
		plm_answers_token_used(answers, &flight.hd, now_ns);
		assert_int_equal(plm_answers_token(answers, &home, &hd, now_ns, odcid, &odcid_len),
				-EALREADY);
		test_client_fini(&client);
	}
}

static void
token__is_bound_to_who_got_it(void **state)
{
	struct plm_initial_source from;
	uint8_t odcid[PLM_QUIC_ID_MAX];
	struct test_client client;
	struct plm_initial_hd hd, bad;
	uint8_t token[256];
	size_t odcid_len = 77;

	client_init(&client, 8, 0);
	retry(&client);
	hd = parsed(&client.dgrams[0]);
	assert_true(hd.token_len <= sizeof(token));
	for (size_t i = 0; i < sizeof(from.key); i++) {
		from = home;
		from.key[i] ^= 1;
		assert_int_equal(plm_answers_token(answers, &from, &hd, now_ns, odcid, &odcid_len),
				-EACCES);
	}
	bad = hd;
	bad.dcid[3] ^= 1;
	assert_true(plm_answers_token(answers, &home, &bad, now_ns, odcid, &odcid_len) < 0);
	bad = hd;
	bad.dcid_len--;
	assert_true(plm_answers_token(answers, &home, &bad, now_ns, odcid, &odcid_len) < 0);
	for (size_t i = 0; i < hd.token_len; i++) {
		bad = hd;
		memcpy(token, hd.token, hd.token_len);
		token[i] ^= 0x10;
		bad.token = token;
		assert_int_equal(plm_answers_token(answers, &home, &bad, now_ns, odcid, &odcid_len),
				i == 0 ? -ENOENT : -EBADMSG);
		bad.token_len = (uint16_t)i;
		token[i] ^= 0x10;
		assert_int_equal(plm_answers_token(answers, &home, &bad, now_ns, odcid, &odcid_len),
				i == 0 ? -ENOENT : -EBADMSG);
	}
	assert_int_equal(odcid_len, 77);
	assert_int_equal(plm_answers_token(answers, &home, &hd, now_ns, odcid, &odcid_len), 0);
	test_client_fini(&client);
}

static void
token__lasts_as_long_as_it_may(void **state)
{
	static const struct {
		const char *name;
		uint64_t after_ns;
		unsigned int rotations; /* of the secret, before it comes back */
		unsigned int others; /* who get tokens before it comes back, without a rotation */
		int want;
	} cases[] = {
		{ "at once", 0, 0, 0, 0 },
		{ "just in time", TOKEN_NS - 1, 0, 0, 0 },
		{ "too late", TOKEN_NS + 1, 0, 0, -EACCES },
		{ "after others", TOKEN_NS / 2, 0, 3, 0 },
		{ "after the secret changed", TOKEN_NS / 2, 1, 0, 0 },
		{ "after that and others", TOKEN_NS / 2, 1, 3, 0 },
		{ "after it changed twice", ROTATE_NS, 2, 0, -EBADMSG },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		uint8_t odcid[PLM_QUIC_ID_MAX];
		struct test_client client, others;
		struct plm_initial_hd hd;
		size_t odcid_len;

		print_message("  %s\n", cases[i].name);
		teardown(state);
		setup(state);
		client_init(&others, 8, 0);
		hd = parsed(&others.dgrams[0]);
		assert_true(plm_answers_retry(answers, &home, &hd, retry_id, sizeof(retry_id),
					    now_ns, out, sizeof(out)) > 0);
		if (cases[i].rotations > 0)
			now_ns += ROTATE_NS - 1; /* the last moment of the first secret */
		client_init(&client, 8, 0);
		retry(&client);
		for (unsigned int n = 0; n < cases[i].rotations + cases[i].others; n++) {
			uint64_t at = now_ns + 1 + n;

			if (cases[i].rotations > 1)
				at += n * ROTATE_NS;
			assert_true(plm_answers_retry(answers, &home, &hd, retry_id,
						    sizeof(retry_id), at, out, sizeof(out)) > 0);
		}
		hd = parsed(&client.dgrams[0]);
		assert_int_equal(plm_answers_token(answers, &home, &hd, now_ns + cases[i].after_ns,
						 odcid, &odcid_len),
				cases[i].want);
		test_client_fini(&client);
		test_client_fini(&others);
	}
}

static void
token__window_forgets_only_the_oldest(void **state)
{
	struct plm_initial_hd hd = { .dcid_len = 8 };
	uint8_t odcid[PLM_QUIC_ID_MAX];
	struct test_client client;
	struct plm_initial_hd first;
	size_t odcid_len;

	client_init(&client, 8, 0);
	retry(&client);
	first = parsed(&client.dgrams[0]);
	plm_answers_token_used(answers, &first, now_ns);
	/* As few as fit beside it in its set, should they all fall there. */
	for (unsigned int i = 0; i < 3; i++) {
		uint8_t token[2] = { 0xb7, (uint8_t)i };

		hd.token = token;
		hd.token_len = sizeof(token);
		plm_answers_token_used(answers, &hd, ++now_ns);
	}
	assert_int_equal(plm_answers_token(answers, &home, &first, now_ns, odcid, &odcid_len),
			-EALREADY);
	for (unsigned int i = 0; i < 4096; i++) {
		uint8_t token[3] = { 0xb7, (uint8_t)i, (uint8_t)(i >> 8) };

		hd.token = token;
		hd.token_len = sizeof(token);
		plm_answers_token_used(answers, &hd, ++now_ns);
	}
	assert_int_equal(plm_answers_token(answers, &home, &first, now_ns, odcid, &odcid_len), 0);
	test_client_fini(&client);
}

static void
retry__refuses_bad_ids_and_buffers(void **state)
{
	struct test_client client;
	struct plm_initial_hd hd;

	client_init(&client, 8, 0);
	hd = parsed(&client.dgrams[0]);
	assert_int_equal(plm_answers_retry(answers, &home, &hd, retry_id, 7, now_ns, out,
					 sizeof(out)),
			-EINVAL);
	assert_int_equal(plm_answers_retry(answers, &home, &hd, out, 21, now_ns, out, sizeof(out)),
			-EINVAL);
	assert_int_equal(plm_answers_retry(answers, &home, &hd, hd.dcid, hd.dcid_len, now_ns, out,
					 sizeof(out)),
			-EINVAL);
	assert_int_equal(plm_answers_retry(answers, &home, &hd, retry_id, 17, now_ns, out,
					 sizeof(out) - 1),
			-ENOBUFS);
	test_client_fini(&client);
}

/* --- refusal ----------------------------------------------------------------------------------- */

static void
close__reaches_the_client(void **state)
{
	static const uint64_t codes[] = { PLM_QUIC_CONNECTION_REFUSED, PLM_QUIC_INVALID_TOKEN,
		PLM_QUIC_CRYPTO_ERROR + 120 };
	static char long_reason[1000];

	memset(long_reason, 'x', sizeof(long_reason) - 1);
	for (size_t i = 0; i < RTE_DIM(codes); i++) {
		const char *reason = i == 0 ? "room full" : i == 1 ? "" : long_reason;
		const ngtcp2_ccerr *err;
		struct test_client client;
		struct plm_initial_hd hd;
		int len;

		client_init(&client, i == 0 ? 0 : 20, 0);
		hd = parsed(&client.dgrams[0]);
		assert_int_equal(plm_answers_close(&hd, codes[i], reason, out, sizeof(out) - 1),
				-ENOBUFS);
		len = plm_answers_close(&hd, codes[i], reason, out, sizeof(out));
		assert_true(len > 0 && len <= 3 * PLM_INITIAL_MIN);
		assert_int_equal(test_client_read(&client, out, (size_t)len, now_ns),
				NGTCP2_ERR_DRAINING);
		err = ngtcp2_conn_get_ccerr(client.conn);
		assert_int_equal(err->type, NGTCP2_CCERR_TYPE_TRANSPORT);
		assert_int_equal(err->error_code, codes[i]);
		assert_int_equal(err->reasonlen, RTE_MIN(strlen(reason), 64u));
		assert_memory_equal(err->reason, reason, err->reasonlen);
		test_client_fini(&client);
	}
}

/* --- stateless reset --------------------------------------------------------------------------- */

static void
reset__is_smaller_than_what_it_answers(void **state)
{
	struct plm_answers_conf conf = defaults();
	uint8_t in[PLM_INITIAL_MAX] = { 0x41 };
	uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN];
	size_t shortest = SIZE_MAX, longest = 0;
	ngtcp2_cid cid;

	ngtcp2_cid_init(&cid, retry_id, sizeof(retry_id));
	assert_int_equal(ngtcp2_crypto_generate_stateless_reset_token(token, conf.reset_secret,
					 sizeof(conf.reset_secret), &cid),
			0);
	for (size_t len = 0; len <= sizeof(in); len++) {
		int ret = plm_answers_reset(answers, in, len, retry_id, sizeof(retry_id), now_ns,
				out, sizeof(out));

		now_ns += PLM_NS_PER_S;
		if (len < PLM_ANSWER_RESET_MIN) {
			assert_int_equal(ret, len == 0 ? -EINVAL : -EMSGSIZE);
			continue;
		}
		assert_true(ret >= 42 && (size_t)ret < len);
		assert_int_equal(out[0] & 0xc0, 0x40);
		assert_memory_equal(out + ret - sizeof(token), token, sizeof(token));
		if (len > 100) {
			shortest = RTE_MIN(shortest, (size_t)ret);
			longest = RTE_MAX(longest, (size_t)ret);
		}
	}
	assert_true(longest > shortest + 8);
	/* Another id, another token. */
	assert_true(plm_answers_reset(answers, in, 100, retry_id, 16, now_ns, out, sizeof(out)) >
			0);
	assert_memory_not_equal(out + 100 - 16, token, sizeof(token));
	in[0] = 0xc0;
	assert_int_equal(plm_answers_reset(answers, in, 1200, retry_id, 17, now_ns, out,
					 sizeof(out)),
			-EINVAL);
	in[0] = 0x40;
	assert_int_equal(
			plm_answers_reset(answers, in, 1200, retry_id, 0, now_ns, out, sizeof(out)),
			-EINVAL);
	assert_int_equal(plm_answers_reset(answers, in, 1200, retry_id, 17, now_ns, out, 63),
			-ENOBUFS);
}

static unsigned int
resets(unsigned int tries)
{
	uint8_t in[100] = { 0x40 };
	unsigned int nb = 0;

	for (unsigned int i = 0; i < tries; i++) {
		int ret = plm_answers_reset(answers, in, sizeof(in), retry_id, 17, now_ns, out,
				sizeof(out));

		assert_true(ret > 0 || ret == -EAGAIN);
		nb += ret > 0;
	}
	return nb;
}

static void
reset__is_limited_in_rate(void **state)
{
	struct plm_answers_conf conf = defaults();
	unsigned int nb = 0;

	assert_int_equal(resets(100), 5);
	now_ns += 10 * PLM_NS_PER_MS;
	assert_int_equal(resets(100), 1);
	now_ns += 30 * PLM_NS_PER_MS;
	assert_int_equal(resets(100), 3);
	now_ns += 3600 * PLM_NS_PER_S;
	assert_int_equal(resets(100), 5);
	for (unsigned int i = 0; i < 10000; i++) {
		now_ns += PLM_NS_PER_MS;
		nb += resets(1);
	}
	assert_int_equal(nb, 1000);

	plm_answers_free(answers);
	conf.resets_per_s = 0;
	answers = plm_answers_create(&conf);
	assert_non_null(answers);
	assert_int_equal(resets(100), 0);
}

int
main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create__refuses_what_it_cannot_be),
		WITH_FIXTURE(version__is_negotiated),
		WITH_FIXTURE(version__to_grease_with_is_not_the_clients_own),
		WITH_FIXTURE(version__cut_anywhere_is_not_answered),
		WITH_FIXTURE(retry__brings_the_client_back_with_its_token),
		WITH_FIXTURE(token__is_bound_to_who_got_it),
		WITH_FIXTURE(token__lasts_as_long_as_it_may),
		WITH_FIXTURE(token__window_forgets_only_the_oldest),
		WITH_FIXTURE(retry__refuses_bad_ids_and_buffers),
		WITH_FIXTURE(close__reaches_the_client),
		WITH_FIXTURE(reset__is_smaller_than_what_it_answers),
		WITH_FIXTURE(reset__is_limited_in_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client's first datagrams. The first byte says how the rest is taken: as datagrams that are what
 * they are, as the frames of one or two Initials that the harness seals (a fuzzer finds no tag by chance),
 * or as a ClientHello in up to three datagrams, cut where the second byte says and sent in any order.
 * Whatever comes of it is answered, too.
 */
#include <errno.h>

#include <rte_common.h>

#include "fuzz.h"
#include "test_initial.h"

#define MODE_RAW    0
#define MODE_FRAMES 1
#define MODE_HELLO  2
#define NB_MODES    3

#define HOLD_NS (200 * PLM_NS_PER_MS)

static struct plm_initials *initials;
static struct plm_answers *answers;
static uint64_t now_ns = PLM_NS_PER_S;

static void
fill(void *ctx, void *buf, size_t len)
{
	memset(buf, 0x42, len);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct plm_initials_conf conf = {
		.max_entries = 4,
		.max_per_prefix = 2,
		.hold_ns = HOLD_NS,
		.rand = { .fill = fill },
	};
	struct plm_answers_conf answers_conf = {
		.rand = { .fill = fill },
		.token_ns = PLM_NS_PER_S,
		.rotate_ns = PLM_NS_PER_S,
		.max_tokens = 4,
		.resets_per_s = 1000000,
		.reset_burst = 1000000,
	};

	initials = plm_initials_create(&conf);
	answers = plm_answers_create(&answers_conf);
	FUZZ_CHECK(initials != NULL && answers != NULL);
	return 0;
}

static void
check_flight(const struct plm_initial_flight *flight)
{
	struct plm_initial_hd hd;

	FUZZ_CHECK(flight->nb_dgrams >= 1 && flight->nb_dgrams <= PLM_INITIAL_DGRAMS);
	for (unsigned int i = 0; i < flight->nb_dgrams; i++) {
		const struct plm_initial_dgram *d = &flight->dgrams[i];

		FUZZ_CHECK(plm_initial_parse(d->buf, d->len, &hd) == PLM_INITIAL_READY);
		FUZZ_CHECK(hd.dcid_len == flight->hd.dcid_len);
		FUZZ_CHECK(memcmp(hd.dcid, flight->hd.dcid, hd.dcid_len) == 0);
		FUZZ_CHECK(hd.end <= d->len);
		FUZZ_CHECK(hd.token_len == 0 ||
				(hd.token > d->buf && hd.token + hd.token_len < d->buf + d->len));
	}
	FUZZ_CHECK(strlen(flight->name) == flight->name_len);
	FUZZ_CHECK(flight->has_hello || flight->name_len == 0);
}

static enum plm_initial_result
take(const uint8_t *buf, size_t len)
{
	struct plm_initial_source source = { .key = { buf[len - 1] & 1 },
		.prefix = buf[len - 1] & 3 };
	struct plm_initial_dgram dgram = { .buf = buf, .len = (uint16_t)len };
	struct plm_initial_flight flight, before;
	enum plm_initial_result ret;

	memset(&flight, 0x5a, sizeof(flight));
	memcpy(&before, &flight, sizeof(before));
	ret = plm_initials_take(initials, &source, &dgram, now_ns, &flight);
	FUZZ_CHECK(ret < PLM_INITIAL_RESULT_MAX && ret != PLM_INITIAL_INTERNAL);
	FUZZ_CHECK(plm_initials_count(initials) <= 4);
	if (ret == PLM_INITIAL_READY) {
		FUZZ_CHECK(flight.has_hello && flight.has_start);
		check_flight(&flight);
	} else {
		FUZZ_CHECK(memcmp(&flight, &before, sizeof(before)) == 0);
	}
	return ret;
}

static void
answer(const uint8_t *buf, size_t len)
{
	static const uint8_t id[17] = { 1 };
	struct plm_initial_source source = { 0 };
	uint8_t out[PLM_ANSWER_MAX], odcid[PLM_QUIC_ID_MAX];
	struct plm_initial_hd hd;
	size_t odcid_len;
	int ret;

	ret = plm_answers_version(answers, buf, len, out, sizeof(out));
	FUZZ_CHECK(ret <= (int)sizeof(out) && (ret < 0 || len >= PLM_INITIAL_MIN));
	ret = plm_answers_reset(answers, buf, len, id, sizeof(id), now_ns, out, sizeof(out));
	FUZZ_CHECK(ret < (int)len);
	if (plm_initial_parse(buf, len, &hd) != PLM_INITIAL_READY)
		return;
	ret = plm_answers_token(answers, &source, &hd, now_ns, odcid, &odcid_len);
	FUZZ_CHECK(ret < 0); /* no client got one */
	ret = plm_answers_retry(answers, &source, &hd, id, sizeof(id), now_ns, out, sizeof(out));
	FUZZ_CHECK(ret > 0 ? (size_t)ret <= 3 * len : ret == -EINVAL);
	ret = plm_answers_close(&hd, PLM_QUIC_CONNECTION_REFUSED, "no", out, sizeof(out));
	FUZZ_CHECK(ret > 0 && (size_t)ret <= 3 * len);
}

/* Datagrams of 1200 bytes, one after another; zeros make up what is missing of the last. */
static void
raw(const uint8_t *buf, size_t len)
{
	for (unsigned int i = 0; i < 4 && len > 0; i++) {
		size_t n = RTE_MIN(len, (size_t)PLM_INITIAL_MIN);
		uint8_t dgram[PLM_INITIAL_MIN] = { 0 };

		answer(buf, n);
		take(buf, n);
		memcpy(dgram, buf, n);
		answer(dgram, sizeof(dgram));
		take(dgram, sizeof(dgram));
		buf += n;
		len -= n;
	}
}

static void
frames(const uint8_t *buf, size_t len)
{
	struct test_initial how = { .dcid_len = 8,
		.scid_len = buf[0] % 21,
		.pn_len = buf[0] % 4 + 1,
		.pn = buf[0] };
	bool two = buf[0] & 0x80;
	size_t cut = buf[0] & 15;
	uint8_t dgram[2 * PLM_INITIAL_MAX];
	size_t n = 0;

	buf++;
	len = RTE_MIN(len - 1, 1100u);
	cut = two ? len * cut / 16 : len;
	if (cut < len)
		n = test_initial_seal(&how, buf + cut, len - cut, dgram);
	how.pad_to = (uint16_t)(n < PLM_INITIAL_MIN ? PLM_INITIAL_MIN - n : 0);
	n += test_initial_seal(&how, buf, cut, dgram + n);
	take(dgram, RTE_MIN(n, (size_t)PLM_INITIAL_MAX));
}

static void
hello(const uint8_t *buf, size_t len)
{
	static uint8_t dgrams[PLM_INITIAL_DGRAMS][PLM_INITIAL_MAX];
	struct test_initial how = { .dcid_len = 8, .pn_len = 1, .pad_to = PLM_INITIAL_MIN };
	enum plm_initial_result ret = PLM_INITIAL_WAIT;
	unsigned int nb = buf[0] % PLM_INITIAL_DGRAMS + 1;
	unsigned int order = buf[0] / PLM_INITIAL_DGRAMS;
	size_t at = 0, total;

	buf++;
	total = RTE_MIN(len - 1, nb * 1100u);
	memset(how.dcid, buf[0], sizeof(how.dcid));
	for (unsigned int i = 0; i < nb; i++) {
		size_t n = i + 1 < nb ? total / nb : total - at;
		uint8_t frame[1300] = { 6, (uint8_t)(0x40 | at >> 8), (uint8_t)at,
			(uint8_t)(0x40 | n >> 8), (uint8_t)n };

		memcpy(frame + 5, buf + at, n);
		test_initial_seal(&how, frame, 5 + n, dgrams[i]);
		at += n;
	}
	for (unsigned int i = 0; i < nb; i++) {
		uint8_t *dgram = dgrams[(i + order) % nb];

		ret = take(dgram, PLM_INITIAL_MIN);
		FUZZ_CHECK(ret != PLM_INITIAL_FORGED && ret != PLM_INITIAL_FRAMES);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	struct plm_initial_flight flight;

	if (len < 4)
		return 0;
	switch (buf[0] % NB_MODES) {
	case MODE_RAW:
		raw(buf + 1, len - 1);
		break;
	case MODE_FRAMES:
		frames(buf + 1, len - 1);
		break;
	case MODE_HELLO:
		hello(buf + 1, len - 1);
		break;
	}
	now_ns += HOLD_NS;
	while (plm_initials_expired(initials, now_ns, &flight)) {
		FUZZ_CHECK(!flight.has_hello);
		check_flight(&flight);
	}
	FUZZ_CHECK(plm_initials_count(initials) == 0);
	return 0;
}

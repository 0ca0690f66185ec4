/* SPDX-License-Identifier: BSD-3-Clause */
/* What packet protection costs, per packet: seal, open and header mask by backend, cipher and size,
 * over a hundred keys in turn; and reading a connection id. Backends alternate, so that what else
 * the machine does hits both; medians. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "plm_aead.h"
#include "plm_cid.h"

#define NB_KEYS    100
#define NB_ROUNDS  20
#define NB_SAMPLES 41
#define HDR_LEN    21 /* of a short header: first byte, id, packet number of 3 bytes */
#define PACKET_MAX 1280

static const size_t sizes[] = { 200, 1100 };
static const char *const cipher_names[] = { "AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305" };

enum { SEAL, OPEN, MASK, NB_OPS };

struct connection {
	void *key;
	void *hp;
	uint8_t *packet; /* header, payload, tag */
};

/* One backend's keys for one cipher. */
struct side {
	const struct plm_aead *aead;
	enum plm_aead_cipher cipher;
	struct connection conns[NB_KEYS];
	double ns[NB_OPS][NB_SAMPLES];
};

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * PLM_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void
fail(const char *what)
{
	fprintf(stderr, "aead-bench: %s\n", what);
	exit(1);
}

static void *
room(size_t size)
{
	void *p = aligned_alloc(PLM_AEAD_ALIGN, size);

	if (p == NULL)
		fail("no memory");
	memset(p, 0, size);
	return p;
}

static void
begin(struct side *s)
{
	uint8_t secret[PLM_AEAD_SECRET] = { 1 };

	for (unsigned int i = 0; i < NB_KEYS; i++) {
		struct connection *c = &s->conns[i];

		secret[1] = (uint8_t)i;
		c->key = room(plm_aead_key_size(s->aead, s->cipher));
		c->hp = room(plm_aead_hp_size(s->aead, s->cipher));
		c->packet = room(PACKET_MAX);
		if (plm_aead_key_init(s->aead, s->cipher, c->key, secret) < 0 ||
				plm_aead_hp_init(s->aead, s->cipher, c->hp, secret) < 0)
			fail("no key");
	}
}

static void
end(struct side *s)
{
	for (unsigned int i = 0; i < NB_KEYS; i++) {
		struct connection *c = &s->conns[i];

		plm_aead_key_fini(s->aead, s->cipher, c->key);
		plm_aead_hp_fini(s->aead, s->cipher, c->hp);
		free(c->key);
		free(c->hp);
		free(c->packet);
	}
}

/* Seal in place, as a sender does; the last round's packets are opened into another buffer. */
static void
sample(struct side *s, size_t len, unsigned int n)
{
	static uint8_t out[PACKET_MAX];
	uint8_t nonce[PLM_AEAD_NONCE] = { 0 };
	uint8_t mask[PLM_AEAD_MASK] = { 0 };
	uint64_t at[NB_OPS + 1];
	int bad = 0;

	at[SEAL] = now_ns();
	for (unsigned int r = 0; r < NB_ROUNDS; r++) {
		nonce[11] = (uint8_t)r;
		for (unsigned int i = 0; i < NB_KEYS; i++) {
			uint8_t *p = s->conns[i].packet;

			bad |= plm_aead_seal(s->aead, s->cipher, s->conns[i].key, p + HDR_LEN,
					p + HDR_LEN, len, nonce, p, HDR_LEN);
		}
	}
	at[OPEN] = now_ns();
	for (unsigned int r = 0; r < NB_ROUNDS; r++) {
		for (unsigned int i = 0; i < NB_KEYS; i++) {
			const uint8_t *p = s->conns[i].packet;

			bad |= plm_aead_open(s->aead, s->cipher, s->conns[i].key, out, p + HDR_LEN,
					len + PLM_AEAD_TAG, nonce, p, HDR_LEN);
		}
	}
	at[MASK] = now_ns();
	for (unsigned int r = 0; r < NB_ROUNDS; r++) {
		for (unsigned int i = 0; i < NB_KEYS; i++)
			bad |= plm_aead_mask(s->aead, s->cipher, s->conns[i].hp,
					s->conns[i].packet + HDR_LEN + 1, mask);
	}
	at[NB_OPS] = now_ns();
	if (bad != 0)
		fail("a packet did not open");
	for (unsigned int op = 0; op < NB_OPS; op++)
		s->ns[op][n] = (double)(at[op + 1] - at[op]) / (NB_ROUNDS * NB_KEYS);
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(double *ns)
{
	qsort(ns, NB_SAMPLES, sizeof(*ns), by_value);
	return ns[NB_SAMPLES / 2];
}

static void
print_cpu(void)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char line[256];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "model name", 10) == 0) {
			printf("CPU%s", strchr(line, ':'));
			break;
		}
	}
	if (f != NULL)
		fclose(f);
}

static void
bench_cid(void)
{
	static const uint8_t secret[PLM_CID_SECRET] = { 1 };
	static uint8_t ids[NB_KEYS][PLM_CID_LEN];
	double make[NB_SAMPLES], take[NB_SAMPLES];
	struct plm_cid_key key;
	struct plm_cid cid;
	int bad = 0;

	if (plm_cid_key_init(&key, secret) < 0)
		fail("no key");
	for (unsigned int n = 0; n < NB_SAMPLES; n++) {
		uint64_t begun = now_ns(), between;

		for (unsigned int r = 0; r < NB_ROUNDS; r++) {
			for (unsigned int i = 0; i < NB_KEYS; i++)
				plm_cid_make(&key, 1, i, n, (uint16_t)r, ids[i]);
		}
		between = now_ns();
		for (unsigned int r = 0; r < NB_ROUNDS; r++) {
			for (unsigned int i = 0; i < NB_KEYS; i++)
				bad |= plm_cid_read(&key, ids[i], &cid);
		}
		take[n] = (double)(now_ns() - between) / (NB_ROUNDS * NB_KEYS);
		make[n] = (double)(between - begun) / (NB_ROUNDS * NB_KEYS);
	}
	if (bad != 0)
		fail("an id is none");
	printf("connection id: make %.1f ns, read %.1f ns\n", median(make), median(take));
	plm_cid_key_fini(&key);
}

int
main(void)
{
	struct plm_aead *backends[] = { plm_aead_create(PLM_AEAD_MB),
		plm_aead_create(PLM_AEAD_EVP) };
	static struct side sides[2];

	if (backends[1] == NULL)
		fail("no OpenSSL");
	if (backends[0] == NULL)
		printf("no ipsec-mb in this build or for this CPU\n");
	print_cpu();
	printf("%-18s %5s  %-9s %8s %8s %8s   ns, medians of %d samples of %d packets\n", "cipher",
			"bytes", "backend", "seal", "open", "mask", NB_SAMPLES,
			NB_ROUNDS * NB_KEYS);
	for (unsigned int c = 0; c < PLM_NB_AEAD_CIPHERS; c++) {
		for (unsigned int z = 0; z < RTE_DIM(sizes); z++) {
			double ns[2][NB_OPS] = { 0 };

			for (unsigned int b = 0; b < 2; b++) {
				sides[b].aead = backends[b];
				sides[b].cipher = c;
				if (backends[b] != NULL)
					begin(&sides[b]);
			}
			for (unsigned int n = 0; n < NB_SAMPLES; n++) {
				for (unsigned int b = 0; b < 2; b++) {
					if (backends[b] != NULL)
						sample(&sides[b], sizes[z], n);
				}
			}
			for (unsigned int b = 0; b < 2; b++) {
				if (backends[b] == NULL)
					continue;
				for (unsigned int op = 0; op < NB_OPS; op++)
					ns[b][op] = median(sides[b].ns[op]);
				printf("%-18s %5zu  %-9s %8.1f %8.1f %8.1f\n", cipher_names[c],
						sizes[z], plm_aead_name(backends[b]), ns[b][SEAL],
						ns[b][OPEN], ns[b][MASK]);
				end(&sides[b]);
			}
			if (backends[0] != NULL)
				printf("%-18s %5s  %-9s %8.2f %8.2f %8.2f\n", "", "", "ratio",
						ns[0][SEAL] / ns[1][SEAL],
						ns[0][OPEN] / ns[1][OPEN],
						ns[0][MASK] / ns[1][MASK]);
		}
	}
	bench_cid();
	plm_aead_free(backends[0]);
	plm_aead_free(backends[1]);
	return 0;
}

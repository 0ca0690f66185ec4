/* SPDX-License-Identifier: BSD-3-Clause */
/* Packet protection: RFC 9001's examples, GCM's and AES's published answers, and the two backends
 * against each other. */
#include <errno.h>
#include <malloc.h>
#include <stdalign.h>
#include <stdlib.h>

#include <rte_errno.h>

#include <openssl/crypto.h>

#include "plm_aead.h"
#include "plm_crypto.h"
#include "test_eal.h"

#define KEY_ROOM    2048
#define PACKET_MAX  1600
#define SIZE_MAX_IN 1500
#define CANARY      0xc5

/* Both backends; one that is not to be had stays NULL. */
static struct plm_aead *backends[2];

/* What OpenSSL asks for, and gives back with a secret still in it. */
static size_t nb_allocs;
static size_t nb_unerased;
static uint8_t watched[PLM_AEAD_SECRET];
static size_t watched_len;

struct keys {
	alignas(PLM_AEAD_ALIGN) uint8_t key[KEY_ROOM];
	alignas(PLM_AEAD_ALIGN) uint8_t hp[KEY_ROOM];
};

static void *
counting_malloc(size_t size, const char *file, int line)
{
	nb_allocs++;
	return malloc(size);
}

static void
look(const void *p)
{
	if (p != NULL && watched_len > 0 &&
			memmem(p, malloc_usable_size((void *)(uintptr_t)p), watched, watched_len) !=
					NULL)
		nb_unerased++;
}

static void *
counting_realloc(void *p, size_t size, const char *file, int line)
{
	nb_allocs++;
	return realloc(p, size);
}

static void
looking_free(void *p, const char *file, int line)
{
	look(p);
	free(p);
}

static size_t
unhex(const char *hex, uint8_t *out)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		char digits[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

		out[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return n;
}

/* The same numbers in each run: xorshift. */
static void
fill(uint64_t *seed, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		*seed ^= *seed << 13;
		*seed ^= *seed >> 7;
		*seed ^= *seed << 17;
		out[i] = (uint8_t)(*seed >> 32);
	}
}

static void
make(const struct plm_aead *a, enum plm_aead_cipher cipher, struct keys *k, const uint8_t *key,
		const uint8_t *hp)
{
	assert_in_range(plm_aead_key_size(a, cipher), 1, KEY_ROOM);
	assert_in_range(plm_aead_hp_size(a, cipher), 1, KEY_ROOM);
	assert_int_equal(plm_aead_key_size(a, cipher) % PLM_AEAD_ALIGN, 0);
	assert_int_equal(plm_aead_hp_size(a, cipher) % PLM_AEAD_ALIGN, 0);
	assert_int_equal(plm_aead_key_init(a, cipher, k->key, key), 0);
	assert_int_equal(plm_aead_hp_init(a, cipher, k->hp, hp), 0);
}

static void
end(const struct plm_aead *a, enum plm_aead_cipher cipher, struct keys *k)
{
	plm_aead_key_fini(a, cipher, k->key);
	plm_aead_hp_fini(a, cipher, k->hp);
}

/* RFC 9001, appendix A. Nonce: the IV and the packet number. */
static const struct {
	const char *name;
	enum plm_aead_cipher cipher;
	const char *key;
	const char *iv;
	const char *hp;
	uint32_t pn;
	unsigned int pn_offset;
	const char *header;
	const char *payload;
	size_t payload_len; /* the rest is PADDING */
	const char *mask;
	const char *begin; /* of the packet */
	const char *tail;
} packets[] = {
	{ "A.2 client Initial", PLM_AES128_GCM, "1f369613dd76d5467730efcbe3b1a22d",
			"fa044b2f42a3fd3b46fb255c", "9f50449e04a0e810283a1e9933adedd2", 2, 18,
			"c300000001088394c8f03e5157080000449e00000002",
			"060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47"
			"f06a2b69484c00000413011302010000c000000010000e00000b6578616d706c652e636f"
			"6dff01000100000a00080006001d0017001800100007000504616c706e00050005010000"
			"0000003300260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce1"
			"5d43e994ec74d748002b0003020304000d0010000e040305030603020308040805080600"
			"2d00020101001c00024001003900320408ffffffffffffffff05048000ffff07048000ff"
			"ff0801100104800075300901100f088394c8f03e51570806048000ffff",
			1162, "437b9aec36",
			"c000000001088394c8f03e5157080000449e7b9aec34"
			"d1b1c98dd7689fb8ec11d242b123dc9b",
			"e221af44860018ab0856972e194cd934" },
	{ "A.3 server Initial", PLM_AES128_GCM, "cf3a5331653c364c88f0f379b6067e37",
			"0ac1493ca1905853b0bba03e", "c206b8d9b9f0f37644430b490eeaa314", 1, 18,
			"c1000000010008f067a5502a4262b50040750001",
			"02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc798"
			"25df566dc5430b9a045a1200130100002e00330024001d00209d3c940d89690b84d08a60"
			"993c144eca684d1081287c834d5311bcf32bb9da1a002b00020304",
			99, "2ec0d8356a",
			"cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b639"
			"4100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7"
			"684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd93795d77d06ed"
			"bb7aaf2f58891850abbdca3d20398c276456cbc42158407dd074ee",
			"3d20398c276456cbc42158407dd074ee" },
	{ "A.5 ChaCha20 short header", PLM_CHACHA20_POLY1305,
			"c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8",
			"e0459b3474bdd0e44a41c144",
			"25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4",
			654360564, 1, "4200bff4", "01", 1, "aefefe7d03",
			"4cfe4189655e5cd55c41f69080575d7999c25a5bfb",
			"5e5cd55c41f69080575d7999c25a5bfb" },
};

static void
aead__protects_as_rfc_9001_shows(void **state)
{
	const struct plm_aead *a = *state;

	for (size_t i = 0; i < RTE_DIM(packets); i++) {
		enum plm_aead_cipher cipher = packets[i].cipher;
		uint8_t key[PLM_AEAD_SECRET], hp[PLM_AEAD_SECRET], nonce[PLM_AEAD_NONCE];
		uint8_t packet[PACKET_MAX] = { 0 };
		uint8_t want[PACKET_MAX], plain[PACKET_MAX] = { 0 };
		uint8_t mask[PLM_AEAD_MASK];
		size_t hdr_len = unhex(packets[i].header, packet);
		size_t pn_len = (packet[0] & 3) + 1u;
		size_t len = packets[i].payload_len;
		struct keys k;
		size_t n;

		print_message("%s, %s\n", packets[i].name, plm_aead_name(a));
		assert_int_equal(unhex(packets[i].key, key), plm_aead_secret_size(cipher));
		assert_int_equal(unhex(packets[i].hp, hp), plm_aead_secret_size(cipher));
		unhex(packets[i].iv, nonce);
		for (unsigned int b = 0; b < 4; b++)
			nonce[11 - b] ^= (uint8_t)(packets[i].pn >> 8 * b);
		make(a, cipher, &k, key, hp);

		unhex(packets[i].payload, packet + hdr_len);
		memcpy(plain, packet + hdr_len, len);
		assert_int_equal(plm_aead_seal(a, cipher, k.key, packet + hdr_len, packet + hdr_len,
						 len, nonce, packet, hdr_len),
				0);
		assert_int_equal(plm_aead_mask(a, cipher, k.hp, packet + packets[i].pn_offset + 4,
						 mask),
				0);
		unhex(packets[i].mask, want);
		assert_memory_equal(mask, want, sizeof(mask));

		packet[0] ^= mask[0] & (packet[0] & 0x80 ? 0x0f : 0x1f);
		for (size_t b = 0; b < pn_len; b++)
			packet[packets[i].pn_offset + b] ^= mask[1 + b];
		n = unhex(packets[i].begin, want);
		assert_memory_equal(packet, want, n);
		n = unhex(packets[i].tail, want);
		assert_memory_equal(packet + hdr_len + len + PLM_AEAD_TAG - n, want, n);

		unhex(packets[i].header, packet);
		assert_int_equal(plm_aead_open(a, cipher, k.key, packet + hdr_len, packet + hdr_len,
						 len + PLM_AEAD_TAG, nonce, packet, hdr_len),
				0);
		assert_memory_equal(packet + hdr_len, plain, len);
		end(a, cipher, &k);
	}
}

/* The GCM specification's test cases 13 to 16; RFC 9001 A.4, whose message is empty. */
static const struct {
	const char *name;
	enum plm_aead_cipher cipher;
	const char *key;
	const char *nonce;
	const char *aad;
	const char *plain;
	const char *sealed;
} answers[] = {
	{ "GCM 13", PLM_AES256_GCM,
			"0000000000000000000000000000000000000000000000000000000000000000",
			"000000000000000000000000", "", "", "530f8afbc74536b9a963b4f1c4cb738b" },
	{ "GCM 14", PLM_AES256_GCM,
			"0000000000000000000000000000000000000000000000000000000000000000",
			"000000000000000000000000", "", "00000000000000000000000000000000",
			"cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919" },
	{ "GCM 15", PLM_AES256_GCM,
			"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
			"cafebabefacedbaddecaf888", "",
			"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
			"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
			"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
			"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
			"b094dac5d93471bdec1a502270e3cc6c" },
	{ "GCM 16", PLM_AES256_GCM,
			"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
			"cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
			"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
			"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
			"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
			"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
			"76fc6ece0f4e1768cddf8853bb2d551b" },
	{ "RFC 9001 A.4", PLM_AES128_GCM, "be0c690b9f66575a1d766b54e368c84e",
			"461599d35d632bf2239825bb",
			"088394c8f03e515708ff000000010008f067a5502a4262b5746f6b656e", "",
			"04a265ba2eff4d829058fb3f0f2496ba" },
};

static void
aead__gives_the_published_answers(void **state)
{
	const struct plm_aead *a = *state;
	static const uint8_t hp[PLM_AEAD_SECRET];

	for (size_t i = 0; i < RTE_DIM(answers); i++) {
		uint8_t key[PLM_AEAD_SECRET], nonce[PLM_AEAD_NONCE], aad[64], plain[128], got[128];
		uint8_t want[128];
		struct keys k;
		size_t aad_len = unhex(answers[i].aad, aad);
		size_t len = unhex(answers[i].plain, plain);
		size_t n = unhex(answers[i].sealed, want);

		print_message("%s, %s\n", answers[i].name, plm_aead_name(a));
		unhex(answers[i].key, key);
		unhex(answers[i].nonce, nonce);
		make(a, answers[i].cipher, &k, key, hp);
		assert_int_equal(plm_aead_seal(a, answers[i].cipher, k.key, got, plain, len, nonce,
						 aad, aad_len),
				0);
		assert_int_equal(n, len + PLM_AEAD_TAG);
		assert_memory_equal(got, want, n);
		end(a, answers[i].cipher, &k);
	}
}

/* FIPS 197 C.1 and C.3, and RFC 8439 A.1 #5 (its counter and nonce as the sample). */
static const struct {
	enum plm_aead_cipher cipher;
	const char *hp;
	const char *sample;
	const char *mask;
} masks[] = {
	{ PLM_AES128_GCM, "000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff",
			"69c4e0d86a" },
	{ PLM_AES256_GCM, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
			"00112233445566778899aabbccddeeff", "8ea2b7ca51" },
	{ PLM_CHACHA20_POLY1305, "0000000000000000000000000000000000000000000000000000000000000000",
			"00000000000000000000000000000002", "c2c64d378c" },
};

static void
mask__is_the_block_of_the_sample(void **state)
{
	const struct plm_aead *a = *state;

	for (size_t i = 0; i < RTE_DIM(masks); i++) {
		enum plm_aead_cipher cipher = masks[i].cipher;
		uint8_t hp[PLM_AEAD_SECRET], sample[PLM_AEAD_SAMPLE], want[PLM_AEAD_MASK];
		uint8_t got[PLM_AEAD_MASK + 1];
		struct keys k;

		unhex(masks[i].hp, hp);
		unhex(masks[i].sample, sample);
		unhex(masks[i].mask, want);
		make(a, cipher, &k, hp, hp);
		for (unsigned int again = 0; again < 2; again++) {
			memset(got, CANARY, sizeof(got));
			assert_int_equal(plm_aead_mask(a, cipher, k.hp, sample, got), 0);
			assert_memory_equal(got, want, sizeof(want));
			assert_int_equal(got[PLM_AEAD_MASK], CANARY);
		}
		end(a, cipher, &k);
	}
}

/* A packet that cannot be told from what was sealed but for one bit. */
static void
open__refuses_any_bit_that_changed(void **state)
{
	const struct plm_aead *a = *state;
	uint64_t seed = 42;

	for (enum plm_aead_cipher cipher = 0; cipher < PLM_NB_AEAD_CIPHERS; cipher++) {
		uint8_t secret[PLM_AEAD_SECRET], aad[21], nonce[PLM_AEAD_NONCE], plain[100];
		uint8_t sealed[100 + PLM_AEAD_TAG], out[100];
		struct {
			uint8_t *p;
			size_t len;
		} parts[] = { { sealed, sizeof(sealed) }, { aad, sizeof(aad) },
			{ nonce, sizeof(nonce) } };
		struct keys k;

		fill(&seed, secret, sizeof(secret));
		fill(&seed, aad, sizeof(aad));
		fill(&seed, nonce, sizeof(nonce));
		fill(&seed, plain, sizeof(plain));
		make(a, cipher, &k, secret, secret);
		assert_int_equal(plm_aead_seal(a, cipher, k.key, sealed, plain, sizeof(plain),
						 nonce, aad, sizeof(aad)),
				0);
		for (size_t part = 0; part < RTE_DIM(parts); part++) {
			for (size_t bit = 0; bit < 8 * parts[part].len; bit++) {
				parts[part].p[bit / 8] ^= (uint8_t)(1u << bit % 8);
				assert_int_equal(plm_aead_open(a, cipher, k.key, out, sealed,
								 sizeof(sealed), nonce, aad,
								 sizeof(aad)),
						-EBADMSG);
				parts[part].p[bit / 8] ^= (uint8_t)(1u << bit % 8);
			}
		}
		for (size_t len = 0; len < sizeof(sealed); len++)
			assert_int_equal(plm_aead_open(a, cipher, k.key, out, sealed, len, nonce,
							 aad, sizeof(aad)),
					-EBADMSG);
		assert_int_equal(plm_aead_open(a, cipher, k.key, out, sealed, sizeof(sealed), nonce,
						 aad, sizeof(aad) - 1),
				-EBADMSG);
		/* A refusal leaves nothing behind that the next packet would suffer from. */
		assert_int_equal(plm_aead_open(a, cipher, k.key, out, sealed, sizeof(sealed), nonce,
						 aad, sizeof(aad)),
				0);
		assert_memory_equal(out, plain, sizeof(plain));
		end(a, cipher, &k);
	}
}

static void
aead__allocates_nothing_for_a_packet(void **state)
{
	const struct plm_aead *a = *state;

	for (enum plm_aead_cipher cipher = 0; cipher < PLM_NB_AEAD_CIPHERS; cipher++) {
		uint8_t secret[PLM_AEAD_SECRET] = { 1 }, nonce[PLM_AEAD_NONCE] = { 0 };
		uint8_t packet[1200 + PLM_AEAD_TAG] = { 0 }, mask[PLM_AEAD_MASK];
		struct keys k;
		size_t before;

		make(a, cipher, &k, secret, secret);
		before = nb_allocs;
		for (unsigned int i = 0; i < 3; i++) {
			nonce[0] = (uint8_t)i;
			plm_aead_seal(a, cipher, k.key, packet, packet, 1200, nonce, nonce, 12);
			plm_aead_mask(a, cipher, k.hp, packet, mask);
			assert_int_equal(plm_aead_open(a, cipher, k.key, packet, packet,
							 sizeof(packet), nonce, nonce, 12),
					0);
			assert_int_equal(plm_aead_open(a, cipher, k.key, packet, packet,
							 sizeof(packet), nonce, nonce, 12),
					-EBADMSG);
		}
		assert_int_equal(nb_allocs, before);
		end(a, cipher, &k);
	}
}

static void
key_fini__leaves_nothing_of_the_key(void **state)
{
	const struct plm_aead *a = *state;
	static const uint8_t zero[KEY_ROOM];
	void *p;

	for (enum plm_aead_cipher cipher = 0; cipher < PLM_NB_AEAD_CIPHERS; cipher++) {
		uint64_t seed = 7 + cipher;
		struct keys k = { 0 };

		fill(&seed, watched, sizeof(watched));
		watched_len = plm_aead_secret_size(cipher);

		/* The watch works: memory that is given back as it is, and erased memory. */
		nb_unerased = 0;
		p = OPENSSL_malloc(100);
		memcpy((uint8_t *)p + 50, watched, sizeof(watched));
		OPENSSL_free(p);
		assert_int_equal(nb_unerased, 1);
		p = OPENSSL_malloc(100);
		memcpy(p, watched, sizeof(watched));
		OPENSSL_clear_free(p, 100);
		assert_int_equal(nb_unerased, 1);

		nb_unerased = 0;
		make(a, cipher, &k, watched, watched);
		assert_memory_not_equal(k.key, zero, plm_aead_key_size(a, cipher));
		assert_memory_not_equal(k.hp, zero, plm_aead_hp_size(a, cipher));
		end(a, cipher, &k);
		watched_len = 0;
		assert_memory_equal(k.key, zero, sizeof(k.key));
		assert_memory_equal(k.hp, zero, sizeof(k.hp));
		assert_int_equal(nb_unerased, 0);
	}
}

/* Each seals, in place and not, and the other one opens; nothing is written beyond the end. */
static void
backends__agree_at_every_size(void **state)
{
	uint64_t seed = 1;
	enum { FRONT = 32 };

	if (backends[0] == NULL)
		skip();
	for (enum plm_aead_cipher cipher = 0; cipher < PLM_NB_AEAD_CIPHERS; cipher++) {
		for (size_t len = 0; len <= SIZE_MAX_IN; len++) {
			uint8_t secret[2][PLM_AEAD_SECRET], aad[64], nonce[PLM_AEAD_NONCE];
			uint8_t plain[PACKET_MAX], sealed[2][PACKET_MAX], mask[2][PLM_AEAD_MASK];
			size_t aad_len = len % (sizeof(aad) + 1);

			fill(&seed, secret[0], sizeof(secret));
			fill(&seed, aad, sizeof(aad));
			fill(&seed, nonce, sizeof(nonce));
			fill(&seed, plain, sizeof(plain));
			for (unsigned int b = 0; b < 2; b++) {
				const struct plm_aead *a = backends[b];
				uint8_t *dst = sealed[b] + FRONT;
				struct keys k;

				make(a, cipher, &k, secret[0], secret[1]);
				memset(sealed[b], CANARY, PACKET_MAX);
				if ((len + b) % 2 == 0)
					memcpy(dst, plain, len);
				assert_int_equal(plm_aead_seal(a, cipher, k.key, dst,
								 (len + b) % 2 == 0 ? dst : plain,
								 len, nonce, aad, aad_len),
						0);
				assert_int_equal(plm_aead_mask(a, cipher, k.hp, dst, mask[b]), 0);
				end(a, cipher, &k);
				for (size_t i = 0; i < FRONT; i++) {
					assert_int_equal(sealed[b][i], CANARY);
					assert_int_equal(dst[len + PLM_AEAD_TAG + i], CANARY);
				}
			}
			assert_memory_equal(sealed[0], sealed[1], PACKET_MAX);
			assert_memory_equal(mask[0], mask[1], PLM_AEAD_MASK);
			for (unsigned int b = 0; b < 2; b++) {
				const struct plm_aead *a = backends[b];
				uint8_t opened[PACKET_MAX];
				bool in_place = (len + b) % 2 == 0;
				uint8_t *dst = in_place ? sealed[b] + FRONT : opened + FRONT;
				struct keys k;

				memset(opened, CANARY, sizeof(opened));
				make(a, cipher, &k, secret[0], secret[1]);
				assert_int_equal(plm_aead_open(a, cipher, k.key, dst,
								 sealed[b] + FRONT,
								 len + PLM_AEAD_TAG, nonce, aad,
								 aad_len),
						0);
				end(a, cipher, &k);
				assert_memory_equal(dst, plain, len);
				for (size_t i = 0; i < FRONT && !in_place; i++) {
					assert_int_equal(opened[i], CANARY);
					assert_int_equal(dst[len + i], CANARY);
				}
			}
		}
	}
}

static void
create__takes_the_best_that_there_is(void **state)
{
	struct plm_aead *best = plm_aead_create(PLM_AEAD_BEST);

	assert_non_null(best);
	assert_string_equal(plm_aead_name(best), backends[0] ? "ipsec-mb" : "openssl");
	assert_string_equal(plm_aead_name(backends[1]), "openssl");
	plm_aead_free(best);
	plm_aead_free(NULL);
}

/* What the build and the CPU must have. */
static bool
have_mb(void)
{
#if defined(PLM_HAVE_IPSEC_MB) && defined(__x86_64__)
	return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#else
	return false;
#endif
}

static int
setup_mb(void **state)
{
	*state = backends[0];
	return 0;
}

static int
setup_evp(void **state)
{
	*state = backends[1];
	return 0;
}

#define EACH(X, setup)                                                                             \
	X(aead__protects_as_rfc_9001_shows, setup), X(aead__gives_the_published_answers, setup),   \
			X(mask__is_the_block_of_the_sample, setup),                                \
			X(open__refuses_any_bit_that_changed, setup),                              \
			X(aead__allocates_nothing_for_a_packet, setup),                            \
			X(key_fini__leaves_nothing_of_the_key, setup)

int
main(void)
{
	const struct CMUnitTest of_mb[] = { EACH(cmocka_unit_test_setup, setup_mb) };
	const struct CMUnitTest of_evp[] = { EACH(cmocka_unit_test_setup, setup_evp) };
	const struct CMUnitTest of_both[] = {
		cmocka_unit_test(backends__agree_at_every_size),
		cmocka_unit_test(create__takes_the_best_that_there_is),
	};
	int failed = 0;

	if (CRYPTO_set_mem_functions(counting_malloc, counting_realloc, looking_free) != 1)
		return 1; /* too late: somebody has allocated */
	backends[0] = plm_aead_create(PLM_AEAD_MB);
	if (backends[0] == NULL && (have_mb() || rte_errno != ENOTSUP))
		return 1;
	backends[1] = plm_aead_create(PLM_AEAD_EVP);
	if (backends[1] == NULL)
		return 1;
	if (backends[0] != NULL)
		failed += cmocka_run_group_tests_name("ipsec-mb", of_mb, NULL, NULL);
	failed += cmocka_run_group_tests_name("openssl", of_evp, NULL, NULL);
	failed += cmocka_run_group_tests_name("both", of_both, NULL, NULL);
	plm_aead_free(backends[0]);
	plm_aead_free(backends[1]);
	return failed;
}

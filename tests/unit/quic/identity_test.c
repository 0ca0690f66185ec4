/* SPDX-License-Identifier: BSD-3-Clause */
/* The seed's file, the certificates that follow from a seed, PEM files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_common.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "plm_quic_identity.h"
#include "quic_tls.h"
#include "test_eal.h"

#define NOW 1800000000 /* 15 January 2027 */
#define DAY 86400

static char dir[64];

static const char *
file(const char *name)
{
	static char paths[2][128];
	static unsigned int nth;

	nth ^= 1;
	snprintf(paths[nth], sizeof(paths[nth]), "%s/%s", dir, name);
	return paths[nth];
}

static int
setup(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/plm-identity-XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int
teardown(void **state)
{
	char cmd[96];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	return system(cmd);
}

static void
put(const char *path, const void *buf, size_t len, mode_t mode)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	assert_int_equal(fwrite(buf, 1, len, out), len);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static size_t
get(const char *path, char *buf, size_t size)
{
	FILE *in = fopen(path, "r");
	size_t n;

	assert_non_null(in);
	n = fread(buf, 1, size, in);
	fclose(in);
	return n;
}

static void
fill_count(void *ctx, void *buf, size_t len)
{
	unsigned int *calls = ctx;

	(*calls)++;
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)(0xa0 + i);
}

/* --- the seed's file ---------------------------------------------------------------------- */

static void
seed_load__makes_a_file_that_is_not_there_once(void **state)
{
	unsigned int calls = 0;
	const struct plm_rand rand = { fill_count, &calls };
	uint8_t seed[PLM_QUIC_SEED_SIZE], again[PLM_QUIC_SEED_SIZE];
	char buf[256], command[96];
	struct plm_text why;
	struct stat st;

	plm_text_init(&why, buf, sizeof(buf));
	umask(0);
	assert_int_equal(plm_quic_seed_load(file("seed"), &rand, seed, &why), 0);
	assert_int_equal(seed[0], 0xa0);
	assert_int_equal(seed[31], 0xbf);
	assert_int_equal(stat(file("seed"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(get(file("seed"), buf, sizeof(buf)), 64);
	assert_memory_equal(buf, "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf",
			64);

	assert_int_equal(plm_quic_seed_load(file("seed"), &rand, again, &why), 0);
	assert_memory_equal(again, seed, sizeof(seed));
	assert_int_equal(calls, 1);
	/* Nothing else was left behind. */
	snprintf(command, sizeof(command), "test $(ls -A '%s' | wc -l) = 1", dir);
	assert_int_equal(system(command), 0);
}

#define HEX_62 "2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a"

static const struct {
	const char *text;
	mode_t mode;
	int want;
	const char *why;
} seed_cases[] = {
	{ HEX_62 "2a", 0600, 0, "" },
	{ HEX_62 "2a\n", 0600, 0, "" },
	{ HEX_62 "2a", 0400, 0, "" },
	{ HEX_62 "2a", 0640, -EACCES, "mode 0640 lets others" },
	{ HEX_62 "2a", 0620, -EACCES, "mode 0620 lets others" },
	{ HEX_62 "2a", 0604, -EACCES, "mode 0604 lets others" },
	{ HEX_62 "2a", 0602, -EACCES, "mode 0602 lets others" },
	{ "", 0600, -EINVAL, "empty" },
	{ "\n", 0600, -EINVAL, "0 hex digits instead of 64" },
	{ HEX_62, 0600, -EINVAL, "62 hex digits instead of 64" },
	{ HEX_62 "2a2", 0600, -EINVAL, "65 hex digits instead of 64" },
	{ HEX_62 "2a2a2a", 0600, -EINVAL, "longer than 65 bytes" },
	{ HEX_62 "2A", 0600, -EINVAL, "character 64 is none of 0-9 and a-f" },
	{ "\n" HEX_62 "2a", 0600, -EINVAL, "character 1 is none of" },
	{ "0x" HEX_62, 0600, -EINVAL, "character 2 is none of" },
};

static void
seed_load__refuses_and_keeps_what_is_no_seed(void **state)
{
	unsigned int calls = 0;
	const struct plm_rand rand = { fill_count, &calls };

	for (size_t i = 0; i < RTE_DIM(seed_cases); i++) {
		const char *path = file("seed");
		uint8_t seed[PLM_QUIC_SEED_SIZE] = { 7 };
		char buf[256], now[128];
		struct plm_text why;
		size_t len = strlen(seed_cases[i].text);
		int ret;

		put(path, seed_cases[i].text, len, seed_cases[i].mode);
		plm_text_init(&why, buf, sizeof(buf));
		ret = plm_quic_seed_load(path, &rand, seed, &why);
		if (ret != seed_cases[i].want)
			fail_msg("case %zu: %d, %s", i, ret, buf);
		if (ret == 0) {
			assert_int_equal(seed[31], 0x2a);
			assert_string_equal(buf, "");
		} else {
			assert_int_equal(seed[0], 7);
			assert_memory_equal(buf, path, strlen(path));
			if (strstr(buf, seed_cases[i].why) == NULL)
				fail_msg("case %zu: %s", i, buf);
		}
		assert_int_equal(get(path, now, sizeof(now)), len);
		assert_memory_equal(now, seed_cases[i].text, len);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(calls, 0);
}

static void
seed_load__refuses_what_is_no_file(void **state)
{
	unsigned int calls = 0;
	const struct plm_rand rand = { fill_count, &calls };
	uint8_t seed[PLM_QUIC_SEED_SIZE];
	struct plm_text why;
	char buf[256];

	plm_text_init(&why, buf, sizeof(buf));
	assert_int_equal(plm_quic_seed_load(dir, &rand, seed, &why), -EACCES);
	assert_non_null(strstr(buf, "not a regular file"));

	plm_text_init(&why, buf, sizeof(buf));
	assert_int_equal(plm_quic_seed_load(file("no/where"), &rand, seed, &why), -ENOENT);
	assert_non_null(strstr(buf, "no/where: cannot make it: No such file"));

	/* A link to nowhere is not followed to where a seed would then be made. */
	assert_int_equal(symlink("nowhere", file("link")), 0);
	plm_text_init(&why, buf, sizeof(buf));
	assert_int_equal(plm_quic_seed_load(file("link"), &rand, seed, &why), -ENOENT);
	assert_int_equal(access(file("nowhere"), F_OK), -1);
}

/* --- what follows from a seed ------------------------------------------------------------- */

static struct plm_quic_identity *
from_seed(uint8_t byte)
{
	struct plm_quic_identity *id = plm_quic_identity_create();
	uint8_t seed[PLM_QUIC_SEED_SIZE];
	struct plm_text why;
	char buf[256];

	assert_non_null(id);
	memset(seed, byte, sizeof(seed));
	plm_text_init(&why, buf, sizeof(buf));
	assert_int_equal(plm_quic_identity_add_seed(id, seed, &why), 0);
	assert_string_equal(buf, "");
	return id;
}

/* Appendix A.1 of the WZP protocol's specification: seed 32 x 2a. */
static const char ed25519_der[] = "3082011d3081d0a003020102021466fd3ec6130254c7786dbb888b0859e2d25a"
				  "b197300506032b65703021311f301d06035504030c16726367656e2073656c66"
				  "207369676e656420636572743020170d3735303130313030303030305a180f34"
				  "303936303130313030303030305a3021311f301d06035504030c16726367656e"
				  "2073656c66207369676e65642063657274302a300506032b65700321003dbb0d"
				  "a5cb00fa2fb6360a38a767dc04e7a8c8aef85295a5caa7766fc3176048a31830"
				  "1630140603551d11040d300b82096c6f63616c686f7374300506032b65700341"
				  "002b2b419a01bf5eaa490c6429740d65d69c346c1e4005e562434c62cb18aba9"
				  "a89cf2867fed46c020e6661a1cc0cbfeeb1e0bcc5eb34cfbb82736bc076d84ee"
				  "0d";

static void
ed25519_cert__is_the_protocols_byte_for_byte(void **state)
{
	struct plm_quic_identity *id = from_seed(0x2a);
	char hex[2 * 289 + 1];
	const uint8_t *der;
	size_t len;

	der = plm_quic_identity_cert(id, PLM_QUIC_CERT_ED25519, &len);
	assert_non_null(der);
	assert_int_equal(len, 289);
	for (size_t i = 0; i < len; i++)
		snprintf(&hex[2 * i], 3, "%02x", der[i]);
	assert_string_equal(hex, ed25519_der);
	plm_quic_identity_free(id);
}

/* The Ed25519 ones are the specification's; the others were computed from HKDF, RFC 6979 and DER by a
 * program that shares nothing with ours. A relay must not change its certificate because a library was
 * renewed. */
static const struct {
	uint8_t byte;
	enum plm_quic_cert kind;
	const char *want;
} fingerprints[] = {
	{ 0x2a, PLM_QUIC_CERT_ED25519,
			"89:05:77:d6:af:c6:12:5e:67:9c:3c:7a:11:b2:3d:6b:"
			"aa:31:35:73:47:ad:f0:98:67:d0:07:e8:b0:d5:be:55" },
	{ 0xaa, PLM_QUIC_CERT_ED25519,
			"d6:82:ae:81:ef:fb:7b:e1:21:a2:e4:85:2c:c7:8d:a8:"
			"50:ad:df:6e:9a:f8:7a:5a:9e:80:00:51:77:b5:80:0c" },
	{ 0xbb, PLM_QUIC_CERT_ED25519,
			"03:b2:21:81:a2:8e:b8:fa:e2:16:68:87:65:47:58:09:"
			"5f:0f:82:8d:ed:4a:c8:74:35:17:7d:17:ed:53:1a:bb" },
	{ 0x2a, PLM_QUIC_CERT_P256,
			"ce:eb:5b:6e:bb:34:20:bf:1f:87:15:12:1e:4b:71:49:"
			"ac:d8:0c:4a:72:c2:d7:0e:65:95:95:09:a5:17:74:eb" },
	{ 0xaa, PLM_QUIC_CERT_P256,
			"36:89:7f:ad:ca:9b:66:67:60:18:e9:f9:64:f7:d7:d1:"
			"6a:aa:4c:9a:02:30:1c:d9:04:1f:71:50:fe:11:46:bd" },
};

static void
certs__have_the_same_fingerprint_after_every_start(void **state)
{
	for (size_t i = 0; i < RTE_DIM(fingerprints); i++) {
		struct plm_quic_identity *id = from_seed(fingerprints[i].byte);
		uint8_t fingerprint[PLM_QUIC_FINGERPRINT_SIZE];
		char text[PLM_QUIC_FINGERPRINT_TEXT_SIZE];
		const uint8_t *der;
		size_t len = 0;

		der = plm_quic_identity_cert(id, fingerprints[i].kind, &len);
		assert_int_equal(plm_quic_fingerprint(der, len, fingerprint), 0);
		plm_quic_fingerprint_text(fingerprint, text);
		assert_string_equal(text, fingerprints[i].want);
		plm_quic_identity_free(id);
	}
}

static void
p256_cert__is_signed_by_its_own_key(void **state)
{
	for (unsigned int byte = 0; byte < 8; byte++) {
		struct plm_quic_identity *id = from_seed((uint8_t)byte);
		const uint8_t *der;
		EVP_PKEY *key;
		size_t len;
		X509 *cert;

		der = plm_quic_identity_cert(id, PLM_QUIC_CERT_P256, &len);
		assert_non_null(der);
		cert = d2i_X509(NULL, &der, (long)len);
		assert_non_null(cert);
		key = X509_get0_pubkey(cert);
		assert_int_equal(EVP_PKEY_get_base_id(key), EVP_PKEY_EC);
		assert_int_equal(EVP_PKEY_get_bits(key), 256);
		assert_int_equal(X509_verify(cert, key), 1);
		X509_free(cert);
		plm_quic_identity_free(id);
	}
}

static const struct {
	const char *name;
	uint8_t first[8]; /* of the number; the rest is that of the order, but for the last byte */
	bool is_zero;
	int last; /* added to the order's */
	bool want;
} scalars[] = {
	{ "0", { 0 }, true, 0, false },
	{ "1", { 0 }, true, 1, true },
	{ "order - 1", { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0 }, false, -1, true },
	{ "order", { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0 }, false, 0, false },
	{ "order + 1", { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0 }, false, 1, false },
	{ "far below", { 0xff, 0xff, 0xff, 0xfe, 0xff, 0, 0, 0 }, false, 1, true },
	{ "far above", { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1 }, false, -1, false },
};

static void
p256_valid__is_from_1_to_the_order_minus_1(void **state)
{
	static const uint8_t rest[24] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
		0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25,
		0x51 };

	for (size_t i = 0; i < RTE_DIM(scalars); i++) {
		uint8_t scalar[32] = { 0 };

		memcpy(scalar, scalars[i].first, 8);
		if (!scalars[i].is_zero)
			memcpy(&scalar[8], rest, sizeof(rest));
		scalar[31] = (uint8_t)(scalar[31] + scalars[i].last);
		if (quic_p256_valid(scalar) != scalars[i].want)
			fail_msg("%s", scalars[i].name);
	}
}

static void
identity__has_one_certificate_of_a_kind(void **state)
{
	struct plm_quic_identity *id = from_seed(1);
	uint8_t seed[PLM_QUIC_SEED_SIZE] = { 0 };
	struct plm_text why;
	size_t len = 4711;
	char buf[256];

	plm_text_init(&why, buf, sizeof(buf));
	assert_int_equal(plm_quic_identity_add_seed(id, seed, &why), -EEXIST);
	assert_null(plm_quic_identity_cert(id, PLM_QUIC_CERT_P384, &len));
	assert_int_equal(len, 4711);
	plm_quic_identity_free(id);
}

/* --- PEM files ---------------------------------------------------------------------------- */

static EVP_PKEY *
make_key(const char *kind)
{
	EVP_PKEY *key;

	if (strcmp(kind, "RSA") == 0)
		key = EVP_RSA_gen(2048);
	else if (strcmp(kind, "ED25519") == 0)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else
		key = EVP_EC_gen(kind);
	assert_non_null(key);
	return key;
}

/* Valid from `from` to `until` days after NOW. */
static X509 *
make_cert(EVP_PKEY *key, const char *cn, EVP_PKEY *issuer_key, const char *issuer_cn, int from,
		int until)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_NAME_new();
	X509_NAME *issuer = X509_NAME_new();
	bool is_ed = EVP_PKEY_get_base_id(issuer_key) == EVP_PKEY_ED25519;

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)cn, -1, -1, 0);
	X509_NAME_add_entry_by_txt(issuer, "CN", MBSTRING_ASC, (const uint8_t *)issuer_cn, -1, -1,
			0);
	X509_set_subject_name(cert, name);
	X509_set_issuer_name(cert, issuer);
	ASN1_TIME_set(X509_getm_notBefore(cert), NOW + from * DAY);
	ASN1_TIME_set(X509_getm_notAfter(cert), NOW + until * DAY);
	X509_set_pubkey(cert, key);
	assert_true(X509_sign(cert, issuer_key, is_ed ? NULL : EVP_sha256()) > 0);
	X509_NAME_free(name);
	X509_NAME_free(issuer);
	return cert;
}

static void
put_key(const char *path, EVP_PKEY *key, const char *password, mode_t mode)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	assert_int_equal(PEM_write_PKCS8PrivateKey(out, key,
					 password == NULL ? NULL : EVP_aes_128_cbc(), NULL, 0, NULL,
					 (void *)(uintptr_t)password),
			1);
	fclose(out);
	assert_int_equal(chmod(path, mode), 0);
}

static void
put_certs(const char *path, X509 *const *certs, unsigned int nb_certs)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	for (unsigned int i = 0; i < nb_certs; i++)
		assert_int_equal(PEM_write_X509(out, certs[i]), 1);
	fclose(out);
}

static int
add_pem(struct plm_quic_identity *id, char *buf, size_t size)
{
	struct plm_text why;

	plm_text_init(&why, buf, size);
	return plm_quic_identity_add_pem(id, file("cert.pem"), file("key.pem"), NOW, &why);
}

static const struct {
	const char *kind;
	int from;
	int until;
	mode_t mode;
	const char *password;
	int want;
	int want_kind;
	const char *why; /* a warning when it is taken; NULL: none */
} pem_cases[] = {
	{ "ED25519", -1, 1, 0600, NULL, 0, PLM_QUIC_CERT_ED25519, NULL },
	{ "P-256", -1, 1, 0600, NULL, 0, PLM_QUIC_CERT_P256, NULL },
	{ "P-384", -1, 1, 0400, NULL, 0, PLM_QUIC_CERT_P384, NULL },
	{ "P-256", -2, -1, 0600, NULL, 0, PLM_QUIC_CERT_P256,
			"cert.pem: certificate 1 expired on 2027-01-14 08:00:00 UTC" },
	{ "P-256", 1, 2, 0600, NULL, 0, PLM_QUIC_CERT_P256,
			"cert.pem: certificate 1 is not valid before 2027-01-16 08:00:00 UTC" },
	{ "RSA", -1, 1, 0600, NULL, -EKEYREJECTED, 0,
			"cert.pem: an RSA key; RSA handshakes cost the relay ten times as much" },
	{ "P-521", -1, 1, 0600, NULL, -EKEYREJECTED, 0, "cert.pem: ECDSA on another curve" },
	{ "P-256", -1, 1, 0640, NULL, -EACCES, 0, "key.pem: mode 0640 lets others" },
	{ "P-256", -1, 1, 0602, NULL, -EACCES, 0, "key.pem: mode 0602 lets others" },
	{ "P-256", -1, 1, 0600, "secret", -EINVAL, 0, "key.pem: encrypted" },
};

static void
add_pem__takes_what_handshakes_can_afford(void **state)
{
	for (size_t i = 0; i < RTE_DIM(pem_cases); i++) {
		struct plm_quic_identity *id = plm_quic_identity_create();
		EVP_PKEY *key = make_key(pem_cases[i].kind);
		X509 *cert = make_cert(key, "relay", key, "relay", pem_cases[i].from,
				pem_cases[i].until);
		uint8_t *want_der = NULL;
		char buf[256];
		size_t len = 0;
		int ret;

		put_key(file("key.pem"), key, pem_cases[i].password, pem_cases[i].mode);
		put_certs(file("cert.pem"), &cert, 1);
		ret = add_pem(id, buf, sizeof(buf));
		if (ret != pem_cases[i].want)
			fail_msg("case %zu: %d, %s", i, ret, buf);
		if (pem_cases[i].why == NULL)
			assert_string_equal(buf, "");
		else if (strstr(buf, pem_cases[i].why) == NULL)
			fail_msg("case %zu: %s", i, buf);
		for (int k = 0; k < PLM_QUIC_CERTS; k++) {
			const uint8_t *der =
					plm_quic_identity_cert(id, (enum plm_quic_cert)k, &len);

			if (ret < 0 || k != pem_cases[i].want_kind) {
				assert_null(der);
				continue;
			}
			assert_int_equal(i2d_X509(cert, &want_der), len);
			assert_memory_equal(der, want_der, len);
			OPENSSL_free(want_der);
		}
		X509_free(cert);
		EVP_PKEY_free(key);
		plm_quic_identity_free(id);
	}
}

static void
add_pem__refuses_another_certificates_key(void **state)
{
	struct plm_quic_identity *id = plm_quic_identity_create();
	EVP_PKEY *key = make_key("P-256");
	EVP_PKEY *other = make_key("P-256");
	X509 *cert = make_cert(key, "relay", key, "relay", -1, 1);
	char buf[256];

	put_key(file("key.pem"), other, NULL, 0600);
	put_certs(file("cert.pem"), &cert, 1);
	assert_int_equal(add_pem(id, buf, sizeof(buf)), -EKEYREJECTED);
	assert_non_null(strstr(buf, "key.pem: not the key of the certificate in "));

	put_key(file("key.pem"), key, NULL, 0600);
	assert_int_equal(add_pem(id, buf, sizeof(buf)), 0);
	assert_int_equal(add_pem(id, buf, sizeof(buf)), -EEXIST);
	assert_non_null(strstr(buf, "cert.pem: there is a certificate of this kind already"));
	X509_free(cert);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	plm_quic_identity_free(id);
}

static void
add_pem__takes_chains_in_order_of_bounded_length(void **state)
{
	struct plm_quic_identity *id = plm_quic_identity_create();
	EVP_PKEY *key = make_key("P-256");
	X509 *certs[QUIC_CHAIN_MAX + 1];
	X509 *swapped[2];
	char buf[256];

	/* 0 is signed by 1, that by 2 and so on; all have the same key. The last but one has expired. */
	for (unsigned int i = 0; i <= QUIC_CHAIN_MAX; i++) {
		char cn[8], issuer[8];

		snprintf(cn, sizeof(cn), "ca%u", i);
		snprintf(issuer, sizeof(issuer), "ca%u", i + 1);
		certs[i] = make_cert(key, cn, key, issuer, -2, i == QUIC_CHAIN_MAX - 1 ? -1 : 1);
	}
	put_key(file("key.pem"), key, NULL, 0600);

	put_certs(file("cert.pem"), certs, QUIC_CHAIN_MAX + 1);
	assert_int_equal(add_pem(id, buf, sizeof(buf)), -EFBIG);
	assert_non_null(strstr(buf, "cert.pem: more than 8 certificates"));

	swapped[0] = certs[1];
	swapped[1] = certs[0];
	put_certs(file("cert.pem"), swapped, 2);
	assert_int_equal(add_pem(id, buf, sizeof(buf)), -EINVAL);
	assert_non_null(strstr(buf, "must be signed by the next"));

	put_certs(file("cert.pem"), certs, QUIC_CHAIN_MAX);
	assert_int_equal(add_pem(id, buf, sizeof(buf)), 0);
	assert_non_null(strstr(buf, "cert.pem: certificate 8 expired on"));
	assert_int_equal(id->certs[PLM_QUIC_CERT_P256].nb_chain, QUIC_CHAIN_MAX);

	for (unsigned int i = 0; i <= QUIC_CHAIN_MAX; i++)
		X509_free(certs[i]);
	EVP_PKEY_free(key);
	plm_quic_identity_free(id);
}

static void
add_pem__says_which_file_is_wrong(void **state)
{
	struct plm_quic_identity *id = plm_quic_identity_create();
	EVP_PKEY *key = make_key("P-256");
	X509 *cert = make_cert(key, "relay", key, "relay", -1, 1);
	char *big = calloc(1, 70000);
	char buf[256];

	assert_int_equal(add_pem(id, buf, sizeof(buf)), -ENOENT);
	assert_non_null(strstr(buf, "cert.pem: No such file"));

	put(file("cert.pem"), "nothing", 7, 0600);
	assert_int_equal(add_pem(id, buf, sizeof(buf)), -EINVAL);
	assert_non_null(strstr(buf, "cert.pem: no PEM certificate"));

	put(file("cert.pem"), big, 70000, 0600);
	assert_int_equal(add_pem(id, buf, sizeof(buf)), -EFBIG);
	assert_non_null(strstr(buf, "cert.pem: longer than 65536 bytes"));

	put_certs(file("cert.pem"), &cert, 1);
	assert_int_equal(add_pem(id, buf, sizeof(buf)), -ENOENT);
	assert_non_null(strstr(buf, "key.pem: No such file"));

	put(file("key.pem"), "nothing", 7, 0600);
	assert_int_equal(add_pem(id, buf, sizeof(buf)), -EINVAL);
	assert_non_null(strstr(buf, "key.pem: no PEM key"));
	free(big);
	X509_free(cert);
	EVP_PKEY_free(key);
	plm_quic_identity_free(id);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(seed_load__makes_a_file_that_is_not_there_once),
		IN_DIR(seed_load__refuses_and_keeps_what_is_no_seed),
		IN_DIR(seed_load__refuses_what_is_no_file),
		cmocka_unit_test(ed25519_cert__is_the_protocols_byte_for_byte),
		cmocka_unit_test(certs__have_the_same_fingerprint_after_every_start),
		cmocka_unit_test(p256_cert__is_signed_by_its_own_key),
		cmocka_unit_test(p256_valid__is_from_1_to_the_order_minus_1),
		cmocka_unit_test(identity__has_one_certificate_of_a_kind),
		IN_DIR(add_pem__takes_what_handshakes_can_afford),
		IN_DIR(add_pem__refuses_another_certificates_key),
		IN_DIR(add_pem__takes_chains_in_order_of_bounded_length),
		IN_DIR(add_pem__says_which_file_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The relay's identity: the seed's file, and the keys and certificates that follow from the seed.
 *
 * The Ed25519 certificate is the WZP protocol's, byte for byte, so that a relay that is replaced by ours
 * keeps its fingerprint. OpenSSL writes it; Ed25519 signatures are deterministic. The ECDSA certificate
 * is our own choice. OpenSSL 3.0 cannot sign deterministically by ECDSA, so its signature is replaced by
 * one that GnuTLS makes with the nonce of RFC 6979: that one is the same after every restart, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_errno.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "plm_crypto.h"
#include "quic_tls.h"

/* From 1 January 1975 on, until 4096: clients look at neither. */
#define NOT_BEFORE "19750101000000Z"
#define NOT_AFTER  "40960101000000Z"

/* --- files -------------------------------------------------------------------------------- */

/* All of a file: its length, -EFBIG when it is longer than `size`, or read()'s error. */
static ssize_t
read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;

	for (;;) {
		char more;
		ssize_t n = len < size ? read(fd, buf + len, size - len) : read(fd, &more, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return (ssize_t)len;
		if (len == size)
			return -EFBIG;
		len += (size_t)n;
	}
}

int
quic_file_read(const char *path, bool is_secret, char *buf, size_t size, size_t *len,
		struct plm_text *why)
{
	struct stat st;
	ssize_t n;
	int ret;
	int fd;

	/* O_NONBLOCK: a FIFO in the file's place must not hold us up. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0) {
		ret = -errno;
		plm_text_add(why, "%s: %s", path, strerror(-ret));
		goto out;
	}
	ret = -EACCES;
	if (!S_ISREG(st.st_mode)) {
		plm_text_add(why, "%s: not a regular file", path);
		goto out;
	}
	if (is_secret && st.st_uid != 0 && st.st_uid != geteuid()) {
		plm_text_add(why, "%s: owned by uid %u; it must be ours (%u) or root's", path,
				(unsigned int)st.st_uid, (unsigned int)geteuid());
		goto out;
	}
	if (is_secret && (st.st_mode & 066) != 0) {
		plm_text_add(why, "%s: mode %04o lets others read or write it; run: chmod 600 %s",
				path, (unsigned int)(st.st_mode & 07777), path);
		goto out;
	}
	n = read_all(fd, buf, size);
	if (n == -EFBIG) {
		plm_text_add(why, "%s: longer than %zu bytes", path, size);
		ret = -EFBIG;
	} else if (n < 0) {
		plm_text_add(why, "%s: %s", path, strerror((int)-n));
		ret = (int)n;
	} else if (n == 0) {
		plm_text_add(why, "%s: empty", path);
		ret = -EINVAL;
	} else {
		*len = (size_t)n;
		ret = 0;
	}
out:
	if (fd >= 0)
		close(fd);
	return ret;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int
seed_parse(const char *path, const char *text, size_t len, uint8_t seed[PLM_QUIC_SEED_SIZE],
		struct plm_text *why)
{
	if (len > 0 && text[len - 1] == '\n')
		len--;
	/* What is wrong must not show what is right: positions, no characters. */
	for (size_t i = 0; i < len; i++) {
		if (hex_digit(text[i]) < 0) {
			plm_text_add(why, "%s: corrupt: character %zu is none of 0-9 and a-f", path,
					i + 1);
			return -EINVAL;
		}
	}
	if (len != 2 * PLM_QUIC_SEED_SIZE) {
		plm_text_add(why, "%s: corrupt: %zu hex digits instead of %d", path, len,
				2 * PLM_QUIC_SEED_SIZE);
		return -EINVAL;
	}
	for (size_t i = 0; i < PLM_QUIC_SEED_SIZE; i++)
		seed[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
	return 0;
}

static int
seed_read(const char *path, uint8_t seed[PLM_QUIC_SEED_SIZE], struct plm_text *why)
{
	char text[2 * PLM_QUIC_SEED_SIZE + 1];
	size_t len;
	int ret;

	ret = quic_file_read(path, true, text, sizeof(text), &len, why);
	if (ret == 0)
		ret = seed_parse(path, text, len, seed, why);
	else if (ret == -EFBIG)
		ret = -EINVAL;
	plm_crypto_erase(text, sizeof(text));
	return ret;
}

/* Have a directory entry survive a crash, too. */
static int
sync_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
	int ret = 0;
	int fd;

	if (dir == NULL)
		return -ENOMEM;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Some file systems cannot sync a directory; they have their own ways. */
	if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
		ret = -errno;
	if (fd >= 0)
		close(fd);
	free(dir);
	return ret;
}

/*
 * A new file appears whole or not at all, since half of one is an error from then on: it is written
 * beside its place and linked there. Never over a file: -EEXIST.
 */
static int
seed_create(const char *path, const struct plm_rand *rand)
{
	uint8_t seed[PLM_QUIC_SEED_SIZE];
	char text[2 * PLM_QUIC_SEED_SIZE + 1];
	char *tmp;
	int ret = 0;
	int fd;

	if (asprintf(&tmp, "%s.XXXXXX", path) < 0)
		return -ENOMEM;
	fd = mkostemp(tmp, O_CLOEXEC); /* mode 0600 */
	if (fd < 0) {
		ret = -errno;
		free(tmp);
		return ret;
	}
	plm_rand_fill(rand, seed, sizeof(seed));
	for (size_t i = 0; i < sizeof(seed); i++)
		snprintf(&text[2 * i], 3, "%02x", seed[i]);
	errno = ENOSPC; /* of a short write */
	if (write(fd, text, sizeof(text) - 1) != (ssize_t)(sizeof(text) - 1) || fsync(fd) < 0 ||
			link(tmp, path) < 0)
		ret = -errno;
	else
		ret = sync_dir(path);
	close(fd);
	unlink(tmp);
	free(tmp);
	plm_crypto_erase(seed, sizeof(seed));
	plm_crypto_erase(text, sizeof(text));
	return ret;
}

/*
 * The original relay puts a new seed into a file that it cannot make sense of. We do not: every
 * client and relay that knows the old fingerprint would turn away, for what may be a slip of an
 * editor, and the old seed would be lost.
 */
int
plm_quic_seed_load(const char *path, const struct plm_rand *rand, uint8_t seed[PLM_QUIC_SEED_SIZE],
		struct plm_text *why)
{
	int ret;

	if (access(path, F_OK) < 0 && errno == ENOENT) {
		ret = seed_create(path, rand);
		/* -EEXIST: somebody else was quicker, or it is a link to nowhere, which reading tells. */
		if (ret < 0 && ret != -EEXIST) {
			plm_text_add(why, "%s: cannot make it: %s", path, strerror(-ret));
			return ret;
		}
	}
	return seed_read(path, seed, why);
}

/* --- what follows from the seed ----------------------------------------------------------- */

/* HKDF-SHA256 without salt (RFC 5869), 32 bytes. */
static int
derive(const uint8_t seed[PLM_QUIC_SEED_SIZE], const void *label, size_t label_len, uint8_t out[32])
{
	const gnutls_datum_t ikm = { (unsigned char *)(uintptr_t)seed, PLM_QUIC_SEED_SIZE };
	const gnutls_datum_t salt = { NULL, 0 };
	const gnutls_datum_t info = { (unsigned char *)(uintptr_t)label, (unsigned int)label_len };
	uint8_t prk[32];
	const gnutls_datum_t prk_datum = { prk, sizeof(prk) };
	int ret = -EIO;

	if (gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &ikm, &salt, prk) == 0 &&
			gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &prk_datum, &info, out, 32) == 0)
		ret = 0;
	plm_crypto_erase(prk, sizeof(prk));
	return ret;
}

bool
quic_p256_valid(const uint8_t scalar[32])
{
	static const uint8_t order[32] = { 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e,
		0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51 };
	unsigned int below = 0; /* borrow of scalar - order */
	uint8_t any = 0;

	for (int i = 31; i >= 0; i--) {
		below = ((unsigned int)scalar[i] - order[i] - below) >> 8 & 1;
		any |= scalar[i];
	}
	return below == 1 && any != 0;
}

/* The key in the shortest form that OpenSSL reads; it computes the public one. */
static EVP_PKEY *
ed25519_key(const uint8_t seed[PLM_QUIC_SEED_SIZE])
{
	static const char label[] = "wzp-tls-ed25519";
	EVP_PKEY *key = NULL;
	uint8_t secret[32];

	if (derive(seed, label, strlen(label), secret) == 0)
		key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, sizeof(secret));
	plm_crypto_erase(secret, sizeof(secret));
	return key;
}

static EVP_PKEY *
p256_key(const uint8_t seed[PLM_QUIC_SEED_SIZE])
{
	/* ECPrivateKey (RFC 5915): version 1, the key, the curve. */
	uint8_t der[51] = { 0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20, [39] = 0xa0, 0x0a, 0x06, 0x08,
		0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
	char label[] = "plenum-tls-p256\0"; /* and which try, since one in 2^32 is no key */
	const uint8_t *p = der;
	EVP_PKEY *key = NULL;

	for (uint8_t i = 0; i < 8; i++) {
		label[sizeof(label) - 2] = (char)i;
		if (derive(seed, label, sizeof(label) - 1, &der[7]) < 0)
			break;
		if (quic_p256_valid(&der[7])) {
			key = d2i_PrivateKey(EVP_PKEY_EC, NULL, &p, sizeof(der));
			/* GnuTLS does not compute the public key: have it written. */
			if (key != NULL &&
					EVP_PKEY_set_int_param(key,
							OSSL_PKEY_PARAM_EC_INCLUDE_PUBLIC,
							1) != 1) {
				EVP_PKEY_free(key);
				key = NULL;
			}
			break;
		}
	}
	plm_crypto_erase(der, sizeof(der));
	return key;
}

/* First 20 bytes of SHA-256 over the public key, as a positive number. */
static bool
set_serial(X509 *cert)
{
	const ASN1_BIT_STRING *pub = X509_get0_pubkey_bitstr(cert);
	uint8_t hash[PLM_SHA256_SIZE];
	BIGNUM *serial = NULL;
	bool ok = false;

	if (pub != NULL &&
			EVP_Digest(ASN1_STRING_get0_data(pub), (size_t)ASN1_STRING_length(pub),
					hash, NULL, EVP_sha256(), NULL) == 1) {
		hash[0] &= 0x7f;
		serial = BN_bin2bn(hash, 20, NULL);
	}
	if (serial != NULL)
		ok = BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert)) != NULL;
	BN_free(serial);
	return ok;
}

/* A certificate for `localhost` as rcgen makes them, signed by its own key. `md` is NULL for Ed25519. */
static X509 *
self_signed(EVP_PKEY *key, const char *cn, const EVP_MD *md)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_NAME_new();
	X509_EXTENSION *san =
			X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
	bool ok;

	ok = cert != NULL && name != NULL && san != NULL && X509_set_version(cert, 2) == 1 &&
			X509_set_pubkey(cert, key) == 1 && set_serial(cert) &&
			X509_NAME_add_entry_by_NID(name, NID_commonName, V_ASN1_UTF8STRING,
					(const unsigned char *)cn, -1, -1, 0) == 1 &&
			X509_set_issuer_name(cert, name) == 1 &&
			X509_set_subject_name(cert, name) == 1 &&
			ASN1_TIME_set_string_X509(X509_getm_notBefore(cert), NOT_BEFORE) == 1 &&
			ASN1_TIME_set_string_X509(X509_getm_notAfter(cert), NOT_AFTER) == 1 &&
			X509_add_ext(cert, san, -1) == 1 && X509_sign(cert, key, md) > 0;
	X509_NAME_free(name);
	X509_EXTENSION_free(san);
	if (ok)
		return cert;
	X509_free(cert);
	return NULL;
}

/* Put a signature by ECDSA with the nonce of RFC 6979 in place of OpenSSL's. */
static int
sign_again(X509 *cert, gnutls_x509_privkey_t x509_key)
{
	const ASN1_BIT_STRING *signature;
	gnutls_datum_t tbs = { NULL, 0 };
	gnutls_datum_t sig = { NULL, 0 };
	gnutls_privkey_t key = NULL;
	int len = i2d_re_X509_tbs(cert, &tbs.data);
	int ret = -EIO;

	if (len <= 0)
		return -EIO;
	tbs.size = (unsigned int)len;
	X509_get0_signature(&signature, NULL, cert);
	if (gnutls_privkey_init(&key) == 0 &&
			gnutls_privkey_import_x509(key, x509_key, GNUTLS_PRIVKEY_IMPORT_COPY) ==
					0 &&
			gnutls_privkey_sign_data2(key, GNUTLS_SIGN_ECDSA_SHA256,
					GNUTLS_PRIVKEY_FLAG_REPRODUCIBLE, &tbs, &sig) == 0 &&
			/* There is no other way to set it; nothing else holds this certificate. */
			ASN1_STRING_set((ASN1_STRING *)(uintptr_t)signature, sig.data,
					(int)sig.size) == 1)
		ret = 0;
	if (key != NULL)
		gnutls_privkey_deinit(key);
	gnutls_free(sig.data);
	OPENSSL_free(tbs.data);
	return ret;
}

/* OpenSSL's key as one of GnuTLS. */
static int
to_gnutls(EVP_PKEY *key, gnutls_x509_privkey_t out)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	gnutls_datum_t der = { NULL, 0 };
	int len = info == NULL ? -1 : i2d_PKCS8_PRIV_KEY_INFO(info, &der.data);
	int ret = -EIO;

	PKCS8_PRIV_KEY_INFO_free(info); /* erases it */
	if (len <= 0)
		return -EIO;
	der.size = (unsigned int)len;
	if (gnutls_x509_privkey_import_pkcs8(out, &der, GNUTLS_X509_FMT_DER, NULL,
			    GNUTLS_PKCS_PLAIN) == 0)
		ret = 0;
	OPENSSL_clear_free(der.data, der.size);
	return ret;
}

/* Consumes the key. */
static int
add_derived(struct plm_quic_identity *id, enum plm_quic_cert kind, EVP_PKEY *key, const char *cn,
		const EVP_MD *md)
{
	X509 *cert = key == NULL ? NULL : self_signed(key, cn, md);
	gnutls_datum_t der = { NULL, 0 };
	gnutls_x509_crt_t crt = NULL;
	gnutls_x509_privkey_t x509_key = NULL;
	int ret = -EIO;
	int len;

	if (cert == NULL || gnutls_x509_crt_init(&crt) < 0 ||
			gnutls_x509_privkey_init(&x509_key) < 0 || to_gnutls(key, x509_key) < 0)
		goto out;
	if (md != NULL && sign_again(cert, x509_key) < 0)
		goto out;
	len = i2d_X509(cert, &der.data);
	if (len <= 0)
		goto out;
	der.size = (unsigned int)len;
	if (gnutls_x509_crt_import(crt, &der, GNUTLS_X509_FMT_DER) == 0)
		ret = quic_identity_add(id, kind, &crt, 1, x509_key);
	OPENSSL_free(der.data);
out:
	if (x509_key != NULL)
		gnutls_x509_privkey_deinit(x509_key);
	if (crt != NULL)
		gnutls_x509_crt_deinit(crt);
	X509_free(cert);
	EVP_PKEY_free(key);
	return ret;
}

static void
cert_fini(struct quic_cert *cert)
{
	for (unsigned int i = 0; i < cert->nb_chain; i++)
		gnutls_pcert_deinit(&cert->chain[i]);
	if (cert->key != NULL)
		gnutls_privkey_deinit(cert->key);
	memset(cert, 0, sizeof(*cert));
}

int
plm_quic_identity_add_seed(struct plm_quic_identity *id, const uint8_t seed[PLM_QUIC_SEED_SIZE],
		struct plm_text *why)
{
	int ret = -EEXIST;

	if (id->certs[PLM_QUIC_CERT_ED25519].nb_chain == 0 &&
			id->certs[PLM_QUIC_CERT_P256].nb_chain == 0) {
		ret = add_derived(id, PLM_QUIC_CERT_ED25519, ed25519_key(seed),
				"rcgen self signed cert", NULL);
		if (ret == 0)
			ret = add_derived(id, PLM_QUIC_CERT_P256, p256_key(seed), "plenum",
					EVP_sha256());
		if (ret < 0)
			cert_fini(&id->certs[PLM_QUIC_CERT_ED25519]);
	}
	if (ret < 0)
		plm_text_add(why, "certificates from the seed: %s", strerror(-ret));
	return ret;
}

/* --- the set ------------------------------------------------------------------------------ */

struct plm_quic_identity *
plm_quic_identity_create(void)
{
	struct plm_quic_identity *id = calloc(1, sizeof(*id));

	if (id == NULL)
		rte_errno = ENOMEM;
	return id;
}

void
plm_quic_identity_free(struct plm_quic_identity *id)
{
	if (id == NULL)
		return;
	for (unsigned int i = 0; i < PLM_QUIC_CERTS; i++)
		cert_fini(&id->certs[i]);
	free(id);
}

int
quic_identity_add(struct plm_quic_identity *id, enum plm_quic_cert kind, gnutls_x509_crt_t *chain,
		unsigned int nb_chain, gnutls_x509_privkey_t key)
{
	struct quic_cert *cert = &id->certs[kind];

	if (cert->nb_chain > 0)
		return -EEXIST;
	if (gnutls_privkey_init(&cert->key) < 0 ||
			gnutls_privkey_import_x509(cert->key, key, GNUTLS_PRIVKEY_IMPORT_COPY) < 0)
		goto fail;
	for (; cert->nb_chain < nb_chain; cert->nb_chain++) {
		if (gnutls_pcert_import_x509(&cert->chain[cert->nb_chain], chain[cert->nb_chain],
				    0) < 0)
			goto fail;
	}
	return 0;

fail:
	cert_fini(cert);
	return -ENOMEM;
}

const uint8_t *
plm_quic_identity_cert(const struct plm_quic_identity *id, enum plm_quic_cert kind, size_t *len)
{
	const struct quic_cert *cert = &id->certs[kind];

	if (cert->nb_chain == 0)
		return NULL;
	*len = cert->chain[0].cert.size;
	return cert->chain[0].cert.data;
}

int
plm_quic_fingerprint(const uint8_t *cert, size_t len, uint8_t out[PLM_QUIC_FINGERPRINT_SIZE])
{
	return gnutls_hash_fast(GNUTLS_DIG_SHA256, cert, len, out) == 0 ? 0 : -EIO;
}

void
plm_quic_fingerprint_text(const uint8_t fingerprint[PLM_QUIC_FINGERPRINT_SIZE],
		char text[PLM_QUIC_FINGERPRINT_TEXT_SIZE])
{
	for (size_t i = 0; i < PLM_QUIC_FINGERPRINT_SIZE; i++)
		snprintf(&text[3 * i], PLM_QUIC_FINGERPRINT_TEXT_SIZE - 3 * i,
				"%02x:", fingerprint[i]);
}

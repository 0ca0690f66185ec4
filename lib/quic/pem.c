/* SPDX-License-Identifier: BSD-3-Clause */
/* Certificates and keys from PEM files. */
#include <errno.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <time.h>

#include <rte_common.h>

#include "plm_crypto.h"
#include "quic_tls.h"

/* Of a file; eight certificates are less by far. */
#define PEM_MAX (64 * 1024)

/* What a certificate's key is, or -EKEYREJECTED and why it is not for us. */
static int
cert_kind(gnutls_x509_crt_t cert, const char *path, struct plm_text *why)
{
	unsigned int bits = 0;
	int algorithm = gnutls_x509_crt_get_pk_algorithm(cert, &bits);

	switch (algorithm) {
	case GNUTLS_PK_EDDSA_ED25519:
		return PLM_QUIC_CERT_ED25519;
	case GNUTLS_PK_ECDSA:
		if (bits == 256)
			return PLM_QUIC_CERT_P256;
		if (bits == 384)
			return PLM_QUIC_CERT_P384;
		plm_text_add(why, "%s: ECDSA on another curve; use P-256, P-384 or Ed25519", path);
		return -EKEYREJECTED;
	case GNUTLS_PK_RSA:
	case GNUTLS_PK_RSA_PSS:
		plm_text_add(why,
				"%s: an RSA key; RSA handshakes cost the relay ten times as much; "
				"use Ed25519 or ECDSA",
				path);
		return -EKEYREJECTED;
	default:
		plm_text_add(why, "%s: a key of an unknown kind; use Ed25519 or ECDSA", path);
		return -EKEYREJECTED;
	}
}

/* Up to QUIC_CHAIN_MAX certificates: how many. */
static int
read_chain(const char *path, gnutls_x509_crt_t *chain, struct plm_text *why)
{
	unsigned int nb_chain = QUIC_CHAIN_MAX;
	char *buf = malloc(PEM_MAX);
	size_t len;
	int ret;

	if (buf == NULL) {
		plm_text_add(why, "%s: %s", path, strerror(ENOMEM));
		return -ENOMEM;
	}
	ret = quic_file_read(path, false, buf, PEM_MAX, &len, why);
	if (ret == 0) {
		const gnutls_datum_t pem = { (unsigned char *)buf, (unsigned int)len };

		ret = gnutls_x509_crt_list_import(chain, &nb_chain, &pem, GNUTLS_X509_FMT_PEM,
				GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED |
						GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
		if (ret == GNUTLS_E_SHORT_MEMORY_BUFFER) {
			plm_text_add(why, "%s: more than %d certificates", path, QUIC_CHAIN_MAX);
			ret = -EFBIG;
		} else if (ret == GNUTLS_E_CERTIFICATE_LIST_UNSORTED) {
			plm_text_add(why,
					"%s: each certificate must be signed by the next, the relay's "
					"own first",
					path);
			ret = -EINVAL;
		} else if (ret <= 0) {
			plm_text_add(why, "%s: no PEM certificate: %s", path,
					ret == 0 ? "none in it" : gnutls_strerror(ret));
			ret = -EINVAL;
		}
	}
	free(buf);
	return ret;
}

static int
read_key(const char *path, gnutls_x509_privkey_t key, struct plm_text *why)
{
	char *buf = malloc(PEM_MAX);
	size_t len = 0;
	int ret;

	if (buf == NULL) {
		plm_text_add(why, "%s: %s", path, strerror(ENOMEM));
		return -ENOMEM;
	}
	ret = quic_file_read(path, true, buf, PEM_MAX, &len, why);
	if (ret == 0) {
		const gnutls_datum_t pem = { (unsigned char *)buf, (unsigned int)len };

		ret = gnutls_x509_privkey_import2(key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
		if (ret == GNUTLS_E_DECRYPTION_FAILED)
			plm_text_add(why, "%s: encrypted; there is nobody to ask for its password",
					path);
		else if (ret < 0)
			plm_text_add(why, "%s: no PEM key: %s", path, gnutls_strerror(ret));
		if (ret < 0)
			ret = -EINVAL;
	}
	plm_crypto_erase(buf, len);
	free(buf);
	return ret;
}

static int
check_key(gnutls_x509_crt_t cert, gnutls_x509_privkey_t key, const char *cert_path,
		const char *key_path, struct plm_text *why)
{
	uint8_t ids[2][PLM_SHA256_SIZE];
	size_t size = sizeof(ids[0]);

	if (gnutls_x509_crt_get_key_id(cert, GNUTLS_KEYID_USE_SHA256, ids[0], &size) == 0 &&
			gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, ids[1],
					&size) == 0 &&
			memcmp(ids[0], ids[1], sizeof(ids[0])) == 0)
		return 0;
	plm_text_add(why, "%s: not the key of the certificate in %s", key_path, cert_path);
	return -EKEYREJECTED;
}

/* Most clients of the protocol look at no date: a warning is enough. */
static void
warn_of_dates(gnutls_x509_crt_t cert, unsigned int nth, const char *path, uint64_t now_s,
		struct plm_text *why)
{
	time_t from = gnutls_x509_crt_get_activation_time(cert);
	time_t until = gnutls_x509_crt_get_expiration_time(cert);
	const char *what = NULL;
	struct tm tm;
	char date[32];

	if (from != (time_t)-1 && from > (time_t)now_s)
		what = "is not valid before";
	else if (until != (time_t)-1 && until < (time_t)now_s)
		what = "expired on";
	if (what == NULL)
		return;
	gmtime_r(until < (time_t)now_s ? &until : &from, &tm);
	strftime(date, sizeof(date), "%F %T UTC", &tm);
	plm_text_add(why, "%s%s: certificate %u %s %s", why->len > 0 ? "; " : "", path, nth + 1,
			what, date);
}

int
plm_quic_identity_add_pem(struct plm_quic_identity *id, const char *cert_path, const char *key_path,
		uint64_t now_s, struct plm_text *why)
{
	gnutls_x509_crt_t chain[QUIC_CHAIN_MAX];
	gnutls_x509_privkey_t key;
	int nb_chain;
	int kind;
	int ret;

	nb_chain = read_chain(cert_path, chain, why);
	if (nb_chain < 0)
		return nb_chain;
	if (gnutls_x509_privkey_init(&key) < 0) {
		key = NULL;
		plm_text_add(why, "%s: %s", key_path, strerror(ENOMEM));
		ret = -ENOMEM;
		goto out;
	}
	kind = cert_kind(chain[0], cert_path, why);
	ret = kind < 0 ? kind : read_key(key_path, key, why);
	if (ret == 0)
		ret = check_key(chain[0], key, cert_path, key_path, why);
	if (ret < 0)
		goto out;
	ret = quic_identity_add(id, (enum plm_quic_cert)kind, chain, (unsigned int)nb_chain, key);
	if (ret < 0)
		plm_text_add(why, "%s: %s", cert_path,
				ret == -EEXIST ? "there is a certificate of this kind already"
					       : strerror(-ret));
	for (int i = 0; ret == 0 && i < nb_chain; i++)
		warn_of_dates(chain[i], (unsigned int)i, cert_path, now_s, why);
out:
	for (int i = 0; i < nb_chain; i++)
		gnutls_x509_crt_deinit(chain[i]);
	if (key != NULL)
		gnutls_x509_privkey_deinit(key); /* erases it */
	return ret;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TLS sessions for QUIC.
 *
 * GnuTLS refuses server names with underscores, and the protocol cannot do without. It looks at a
 * ClientHello in this order: hook before (the bytes are not hashed yet), transcript hash, extensions
 * that a handler wants early, server name. So the hook before keeps a copy of the name and remembers
 * where it stands, and an early handler writes letters over the underscores: what is hashed is what
 * was sent, and what is checked passes. The early handler must be that of an extension that every QUIC
 * client sends and that GnuTLS has none for: the transport parameters. Hence a server's session is
 * tied to ngtcp2 here, with ngtcp2's public functions, and not by
 * ngtcp2_crypto_gnutls_configure_server_session(), whose handler comes late and leaves no room for
 * another.
 */
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdlib.h>

#include <rte_common.h>
#include <rte_errno.h>

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include "plm_crypto.h"
#include "quic_tls.h"

#define EXT_SERVER_NAME      0
#define EXT_TRANSPORT_PARAMS 57

#define PRIORITY_COMMON                                                                            \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:"                 \
	"+GROUP-SECP384R1:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"               \
	"%DISABLE_TLS13_COMPAT_MODE"
/* What our own keys can sign, and our order of ciphers: AES-128 costs the relay least. */
#define PRIORITY_SERVER                                                                            \
	PRIORITY_COMMON                                                                            \
	":%SERVER_PRECEDENCE:-SIGN-ALL:+SIGN-EDDSA-ED25519:+SIGN-ECDSA-SECP256R1-SHA256:"          \
	"+SIGN-ECDSA-SECP384R1-SHA384"

/* const: once created. */
struct quic_tls {
	const struct plm_quic_identity *id; /* NULL: of clients */
	gnutls_certificate_credentials_t creds;
	gnutls_priority_t priority;
	bool is_pinned;
	uint8_t fingerprint[PLM_QUIC_FINGERPRINT_SIZE];
};

/* A server's session's own, kept by GnuTLS as data of the transport parameters' extension. */
struct quic_hello {
	/* The ClientHello that is being read, and the name in it; NULL: there is nothing to replace. */
	uint8_t *bytes;
	size_t len;
	uint8_t *wire_name;
	bool was_read; /* one was: the next comes after a HelloRetryRequest */
	char name[QUIC_NAME_MAX + 1];
};

static struct quic_hello *
hello_of(gnutls_session_t session)
{
	gnutls_ext_priv_data_t priv;

	if (gnutls_ext_get_data(session, EXT_TRANSPORT_PARAMS, &priv) < 0)
		return NULL;
	return priv;
}

static void
hello_free(gnutls_ext_priv_data_t priv)
{
	free(priv);
}

static ngtcp2_conn *
conn_of(gnutls_session_t session)
{
	ngtcp2_crypto_conn_ref *ref = gnutls_session_get_ptr(session);

	return ref->get_conn(ref);
}

/* --- a server's session under ngtcp2 ------------------------------------------------------ */

static int
install_secrets(gnutls_session_t session, gnutls_record_encryption_level_t level, const void *rx,
		const void *tx, size_t len)
{
	ngtcp2_encryption_level at =
			ngtcp2_crypto_gnutls_from_gnutls_record_encryption_level(level);
	ngtcp2_conn *conn = conn_of(session);

	if (rx != NULL &&
			ngtcp2_crypto_derive_and_install_rx_key(conn, NULL, NULL, NULL, at, rx,
					len) != 0)
		return -1;
	if (tx != NULL &&
			ngtcp2_crypto_derive_and_install_tx_key(conn, NULL, NULL, NULL, at, tx,
					len) != 0)
		return -1;
	return 0;
}

/* What GnuTLS wants to be sent. */
static int
take_message(gnutls_session_t session, gnutls_record_encryption_level_t level,
		gnutls_handshake_description_t type, const void *buf, size_t len)
{
	int ret;

	if (type == GNUTLS_HANDSHAKE_CHANGE_CIPHER_SPEC)
		return 0; /* QUIC has none (RFC 9001 §8.4) */
	ret = ngtcp2_conn_submit_crypto_data(conn_of(session),
			ngtcp2_crypto_gnutls_from_gnutls_record_encryption_level(level), buf, len);
	if (ret == 0)
		return 0;
	ngtcp2_conn_set_tls_error(conn_of(session), ret);
	return -1;
}

static int
take_alert(gnutls_session_t session, gnutls_record_encryption_level_t level,
		gnutls_alert_level_t severity, gnutls_alert_description_t alert)
{
	ngtcp2_conn_set_tls_alert(conn_of(session), (uint8_t)alert);
	return 0;
}

/* Before the server name is looked at, and after the ClientHello was hashed. */
static int
params_recv(gnutls_session_t session, const unsigned char *buf, size_t len)
{
	struct quic_hello *hello = hello_of(session);
	int ret;

	/* Only if these are bytes of the very buffer that the hook saw. */
	if (hello->wire_name != NULL && buf >= hello->bytes &&
			buf + len <= hello->bytes + hello->len) {
		for (size_t i = 0; hello->name[i] != '\0'; i++) {
			if (hello->name[i] == '_')
				hello->wire_name[i] = 'x';
		}
	}
	hello->wire_name = NULL;

	ret = ngtcp2_conn_decode_and_set_remote_transport_params(conn_of(session), buf, len);
	if (ret == 0)
		return 0;
	ngtcp2_conn_set_tls_error(conn_of(session), ret);
	return GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER;
}

static int
params_send(gnutls_session_t session, gnutls_buffer_t out)
{
	uint8_t buf[256];
	ngtcp2_ssize len = ngtcp2_conn_encode_local_transport_params(conn_of(session), buf,
			sizeof(buf));

	if (len < 0) {
		ngtcp2_conn_set_tls_error(conn_of(session), (int)len);
		return GNUTLS_E_INTERNAL_ERROR;
	}
	return gnutls_buffer_append_data(out, buf, (size_t)len);
}

/* --- a client's name and protocol --------------------------------------------------------- */

/* The first name of a server_name extension (RFC 6066 §3). */
static int
name_parse(struct quic_hello *hello, const unsigned char *buf, size_t len)
{
	struct plm_cursor c = plm_cursor(buf, len);
	size_t n;

	if (plm_cursor_left(&c) < 2 || plm_cursor_be16(&c) != plm_cursor_left(&c) ||
			plm_cursor_left(&c) < 3)
		return GNUTLS_E_UNEXPECTED_PACKET_LENGTH;
	if (plm_cursor_u8(&c) != 0) /* a host name; no other kind was ever defined */
		return GNUTLS_E_RECEIVED_DISALLOWED_NAME;
	n = plm_cursor_be16(&c);
	if (n > plm_cursor_left(&c))
		return GNUTLS_E_UNEXPECTED_PACKET_LENGTH;
	/* A room must not be taken for another, least of all for the one that has no name. */
	if (n == 0 || n > QUIC_NAME_MAX || memchr(c.pos, '\0', n) != NULL)
		return GNUTLS_E_RECEIVED_DISALLOWED_NAME;
	memcpy(hello->name, c.pos, n);
	hello->name[n] = '\0';
	if (memchr(c.pos, '_', n) != NULL)
		hello->wire_name = hello->bytes + (c.pos - hello->bytes);
	return 0;
}

static int
hello_extension(void *ctx, unsigned int type, const unsigned char *buf, unsigned int len)
{
	struct quic_hello *hello = ctx;

	if (type != EXT_SERVER_NAME)
		return 0;
	if (buf < hello->bytes || buf + len > hello->bytes + hello->len)
		return GNUTLS_E_INTERNAL_ERROR; /* a copy: the name could not be replaced */
	return name_parse(hello, buf, len);
}

/* Before a ClientHello is read. */
static int
hello_begin(struct quic_hello *hello, const gnutls_datum_t *msg)
{
	char before[sizeof(hello->name)];
	int ret;

	memcpy(before, hello->name, sizeof(before));
	hello->bytes = msg->data;
	hello->len = msg->size;
	hello->wire_name = NULL;
	hello->name[0] = '\0';
	ret = gnutls_ext_raw_parse(hello, hello_extension, msg,
			GNUTLS_EXT_RAW_FLAG_TLS_CLIENT_HELLO);
	if (ret < 0)
		return ret;
	/* The first one decided where the connection lives (RFC 8446 §4.1.2: nothing else changes). */
	if (hello->was_read && strcmp(before, hello->name) != 0)
		return GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER;
	hello->was_read = true;
	return 0;
}

/* Without a protocol there is no connection (RFC 9001 §8.1). GnuTLS insists on one only when the other
 * side names any. */
static int
check_protocol(gnutls_session_t session)
{
	gnutls_datum_t protocol;

	return gnutls_alpn_get_selected_protocol(session, &protocol) < 0
			? GNUTLS_E_NO_APPLICATION_PROTOCOL
			: 0;
}

static int
on_hello(gnutls_session_t session, unsigned int type, unsigned int when, unsigned int is_incoming,
		const gnutls_datum_t *msg)
{
	struct quic_hello *hello = hello_of(session);

	if (when == GNUTLS_HOOK_PRE)
		return hello_begin(hello, msg);
	hello->bytes = NULL; /* the buffer is GnuTLS's */
	return check_protocol(session);
}

const char *
quic_tls_name(gnutls_session_t session)
{
	const struct quic_hello *hello = hello_of(session);

	return hello == NULL ? "" : hello->name;
}

/* --- certificates ------------------------------------------------------------------------- */

static int
kind_of(gnutls_sign_algorithm_t algorithm)
{
	switch (algorithm) {
	case GNUTLS_SIGN_EDDSA_ED25519:
		return PLM_QUIC_CERT_ED25519;
	case GNUTLS_SIGN_ECDSA_SHA256: /* one number in TLS 1.3, two names here */
	case GNUTLS_SIGN_ECDSA_SECP256R1_SHA256:
		return PLM_QUIC_CERT_P256;
	case GNUTLS_SIGN_ECDSA_SHA384:
	case GNUTLS_SIGN_ECDSA_SECP384R1_SHA384:
		return PLM_QUIC_CERT_P384;
	default:
		return -1;
	}
}

/* The certificate that we like best of those whose signatures the client understands. */
static int
choose_cert(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
		gnutls_pcert_st **chain, unsigned int *nb_chain, gnutls_ocsp_data_st **ocsp,
		unsigned int *nb_ocsp, gnutls_privkey_t *key, unsigned int *flags)
{
	const struct quic_tls *tls = gnutls_db_get_ptr(session);
	gnutls_sign_algorithm_t algorithm;
	unsigned int offered = 0;

	for (size_t i = 0; gnutls_sign_algorithm_get_requested(session, i, &algorithm) == 0; i++) {
		int kind = kind_of(algorithm);

		if (kind >= 0)
			offered |= 1u << kind;
	}
	for (unsigned int i = 0; i < PLM_QUIC_CERTS; i++) {
		const struct quic_cert *cert = &tls->id->certs[i];

		if (cert->nb_chain == 0 || (offered & 1u << i) == 0)
			continue;
		/* GnuTLS reads them and, without a flag, leaves them ours. */
		*chain = (gnutls_pcert_st *)(uintptr_t)cert->chain;
		*nb_chain = cert->nb_chain;
		*key = cert->key;
		*nb_ocsp = 0;
		*flags = 0;
		return 0;
	}
	return -1;
}

/* What a client thinks of a server: its protocol was chosen, and its certificate is the pinned one, by
 * the DER alone: self-signed certificates say nothing more. */
static int
check_server(gnutls_session_t session)
{
	const struct quic_tls *tls = gnutls_db_get_ptr(session);
	uint8_t fingerprint[PLM_QUIC_FINGERPRINT_SIZE];
	unsigned int nb_chain = 0;
	const gnutls_datum_t *chain;
	int ret = check_protocol(session);

	if (ret < 0 || !tls->is_pinned)
		return ret;
	chain = gnutls_certificate_get_peers(session, &nb_chain);
	if (nb_chain == 0 || plm_quic_fingerprint(chain[0].data, chain[0].size, fingerprint) < 0 ||
			!plm_crypto_equal(fingerprint, tls->fingerprint, sizeof(fingerprint)))
		return GNUTLS_E_CERTIFICATE_ERROR;
	return 0;
}

/* --- what sessions share, and sessions ---------------------------------------------------- */

static struct quic_tls *
tls_create(const char *priority)
{
	struct quic_tls *tls = calloc(1, sizeof(*tls));
	int ret = ENOMEM;

	if (tls == NULL || gnutls_certificate_allocate_credentials(&tls->creds) < 0)
		goto fail;
	ret = EINVAL;
	if (gnutls_priority_init(&tls->priority, priority, NULL) < 0)
		goto fail;
	return tls;

fail:
	quic_tls_free(tls);
	rte_errno = ret;
	return NULL;
}

void
quic_tls_free(struct quic_tls *tls)
{
	if (tls == NULL)
		return;
	if (tls->priority != NULL)
		gnutls_priority_deinit(tls->priority);
	if (tls->creds != NULL)
		gnutls_certificate_free_credentials(tls->creds);
	free(tls);
}

struct quic_tls *
quic_tls_server_create(const struct plm_quic_identity *id)
{
	struct quic_tls *tls;
	unsigned int nb_certs = 0;

	for (unsigned int i = 0; i < PLM_QUIC_CERTS; i++)
		nb_certs += id->certs[i].nb_chain > 0;
	if (nb_certs == 0) {
		rte_errno = EINVAL;
		return NULL;
	}
	tls = tls_create(PRIORITY_SERVER);
	if (tls == NULL)
		return NULL;
	tls->id = id;
	gnutls_certificate_set_retrieve_function3(tls->creds, choose_cert);
	return tls;
}

struct quic_tls *
quic_tls_client_create(const struct quic_tls_client_conf *conf)
{
	struct quic_tls *tls =
			tls_create(conf->priority != NULL ? conf->priority : PRIORITY_COMMON);

	if (tls == NULL)
		return NULL;
	if (conf->fingerprint != NULL) {
		tls->is_pinned = true;
		memcpy(tls->fingerprint, conf->fingerprint, sizeof(tls->fingerprint));
	}
	gnutls_certificate_set_verify_function(tls->creds, check_server);
	return tls;
}

/* What both sides have in common. -ENOMEM. */
static int
session_init(struct quic_tls *tls, unsigned int flags, gnutls_session_t *out)
{
	static const char wzp[] = "wzp";
	const gnutls_datum_t protocol = { (unsigned char *)(uintptr_t)wzp, 3 };

	if (gnutls_init(out, flags) < 0)
		return -ENOMEM;
	gnutls_db_set_ptr(*out, tls); /* the one pointer that nobody else has a use for */
	if (gnutls_priority_set(*out, tls->priority) < 0 ||
			gnutls_credentials_set(*out, GNUTLS_CRD_CERTIFICATE, tls->creds) < 0 ||
			gnutls_alpn_set_protocols(*out, &protocol, 1, GNUTLS_ALPN_MANDATORY) < 0) {
		gnutls_deinit(*out);
		return -ENOMEM;
	}
	return 0;
}

int
quic_tls_server_session(struct quic_tls *tls, gnutls_session_t *out)
{
	struct quic_hello *hello;
	gnutls_session_t session;

	if (session_init(tls, GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET | GNUTLS_NO_TICKETS,
			    &session) < 0)
		return -ENOMEM;
	hello = calloc(1, sizeof(*hello));
	if (hello == NULL ||
			gnutls_session_ext_register(session, "QUIC transport parameters",
					EXT_TRANSPORT_PARAMS, GNUTLS_EXT_VERSION_NEG, params_recv,
					params_send, hello_free, NULL, NULL,
					GNUTLS_EXT_FLAG_TLS | GNUTLS_EXT_FLAG_CLIENT_HELLO |
							GNUTLS_EXT_FLAG_EE) < 0) {
		free(hello);
		gnutls_deinit(session);
		return -ENOMEM;
	}
	gnutls_ext_set_data(session, EXT_TRANSPORT_PARAMS, hello); /* freed with the session */
	gnutls_handshake_set_secret_function(session, install_secrets);
	gnutls_handshake_set_read_function(session, take_message);
	gnutls_alert_set_read_function(session, take_alert);
	gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_CLIENT_HELLO, GNUTLS_HOOK_BOTH,
			on_hello);
	*out = session;
	return 0;
}

int
quic_tls_client_session(struct quic_tls *tls, const char *name, gnutls_session_t *out)
{
	size_t len = name == NULL ? 0 : strlen(name);
	gnutls_session_t session;

	if (len > QUIC_NAME_MAX)
		return -EINVAL;
	if (session_init(tls, GNUTLS_CLIENT, &session) < 0)
		return -ENOMEM;
	if (len > 0 && gnutls_server_name_set(session, GNUTLS_NAME_DNS, name, len) < 0) {
		gnutls_deinit(session);
		return -EINVAL;
	}
	if (ngtcp2_crypto_gnutls_configure_client_session(session) != 0) {
		gnutls_deinit(session);
		return -ENOMEM;
	}
	*out = session;
	return 0;
}

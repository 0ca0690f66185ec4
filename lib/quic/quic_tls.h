/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * TLS 1.3 sessions for QUIC (RFC 9001) over GnuTLS, ALPN `wzp`. What they share is made once and const
 * after that; a session belongs to whoever owns its connection, and never to a worker: reading a
 * ClientHello takes hundreds of microseconds.
 */
#ifndef QUIC_TLS_H
#define QUIC_TLS_H

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include "plm_quic_identity.h"

/* Certificates of a chain, the relay's own included. */
#define QUIC_CHAIN_MAX 8
/* A server name without NUL (RFC 1035 §2.3.4, written with dots). */
#define QUIC_NAME_MAX 253

/* A certificate chain and its key, when nb_chain > 0. */
struct quic_cert {
	gnutls_pcert_st chain[QUIC_CHAIN_MAX];
	unsigned int nb_chain;
	gnutls_privkey_t key;
};

/* const: once sessions are made of it. */
struct plm_quic_identity {
	struct quic_cert certs[PLM_QUIC_CERTS];
};

/* --- identity.c --------------------------------------------------------------------------- */

/*
 * A whole file of at most `size` bytes, 1 at least. A secret one is refused when group or others can
 * read or write it, or when it is owned by somebody else but root.
 * 0, -EACCES, -EFBIG or another errno, with the file and the reason in `why`.
 */
int quic_file_read(const char *path, bool is_secret, char *buf, size_t size, size_t *len,
		struct plm_text *why);

/* Is this big-endian number a private key on P-256: 1 to the group's order - 1? */
bool quic_p256_valid(const uint8_t scalar[32]);

/* Take certificates, the own one first, and the key that belongs to it. They stay the caller's.
 * 0, -EEXIST, -ENOMEM. */
int quic_identity_add(struct plm_quic_identity *id, enum plm_quic_cert kind,
		gnutls_x509_crt_t *chain, unsigned int nb_chain, gnutls_x509_privkey_t key);

/* --- tls.c -------------------------------------------------------------------------------- */

/** What sessions of one kind share. Const once created. */
struct quic_tls;

struct quic_tls_client_conf {
	/** SHA-256 of the only certificate that is accepted, or NULL: any. Copied. */
	const uint8_t *fingerprint;
	/** GnuTLS priority string, or NULL for the default. TLS 1.3 only in any case. */
	const char *priority;
};

/**
 * @param id
 *   At least one certificate; stays as long as the result.
 * @return NULL and rte_errno (EINVAL, ENOMEM).
 */
struct quic_tls *quic_tls_server_create(const struct plm_quic_identity *id);

/** NULL and rte_errno (EINVAL: priority string; ENOMEM). */
struct quic_tls *quic_tls_client_create(const struct quic_tls_client_conf *conf);

/** When there are no sessions any more. Takes NULL. */
void quic_tls_free(struct quic_tls *tls);

/**
 * A server's session, ready for ngtcp2: cipher by our preference, certificate by the client's
 * signature algorithms, `wzp` or alert 120, no tickets, no 0-RTT. Its hook on ClientHello is taken;
 * gnutls_session_set_ptr() is for the ngtcp2_crypto_conn_ref, to be set before the first byte. The
 * caller ends it by gnutls_deinit().
 *
 * @return 0, -ENOMEM.
 */
int quic_tls_server_session(struct quic_tls *tls, gnutls_session_t *out);

/**
 * A client's session. The name may hold underscores; NULL or empty: none is sent.
 *
 * @return 0, -EINVAL for a name that cannot be sent, -ENOMEM.
 */
int quic_tls_client_session(struct quic_tls *tls, const char *name, gnutls_session_t *out);

/**
 * The name that the client of a server's session asked for, as sent: neither lower-cased nor otherwise
 * changed. Empty before the ClientHello, and when there is none. As long as the session.
 */
const char *quic_tls_name(gnutls_session_t session);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Initial packets made by others: sealed with GnuTLS, or by a whole ngtcp2 client. */
#ifndef PLM_TEST_INITIAL_H
#define PLM_TEST_INITIAL_H

#include <gnutls/gnutls.h>

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include "plm_quic_initial.h"

/** How an Initial is written around its frames. */
struct test_initial {
	uint8_t dcid[PLM_QUIC_ID_MAX];
	uint8_t scid[PLM_QUIC_ID_MAX];
	uint8_t dcid_len;
	uint8_t scid_len;
	const uint8_t *key_id; /**< NULL: its own dcid; else what keys are made from */
	uint8_t key_id_len;
	const uint8_t *token;
	uint16_t token_len;
	uint32_t pn;
	uint8_t pn_len;   /**< 1 to 4 */
	uint8_t reserved; /**< bits, normally 0 */
	uint16_t pad_to;  /**< PADDING so that the packet has this length; 0: none */
};

/** Bytes of the packet; its frames are at most PLM_INITIAL_MAX - 100. */
size_t test_initial_seal(const struct test_initial *how, const uint8_t *frames, size_t len,
		uint8_t *out);

#define TEST_CLIENT_DGRAMS 4

struct test_client_conf {
	const char *name; /**< NULL: none is sent */
	const char *alpn; /**< NULL: none is sent; "a,b": two */
	uint8_t dcid_len;
	uint8_t scid_len;
	uint16_t hello_pad; /**< bytes of an extension that nobody knows; 0: no such extension */
};

/** A QUIC client up to its first flight. */
struct test_client {
	ngtcp2_conn *conn;
	gnutls_session_t tls;
	gnutls_certificate_credentials_t cred;
	ngtcp2_crypto_conn_ref ref;
	ngtcp2_path_storage path;
	ngtcp2_cid dcid;
	ngtcp2_cid scid;
	uint16_t hello_pad;
	uint8_t nb_dgrams; /**< of the last flight */
	struct plm_initial_dgram dgrams[TEST_CLIENT_DGRAMS];
	uint8_t bytes[TEST_CLIENT_DGRAMS][PLM_INITIAL_MAX];
};

/** Make one and let it write its first flight. Aborts on failure. */
void test_client_init(struct test_client *client, const struct test_client_conf *conf);
void test_client_fini(struct test_client *client);

/** Give it a packet; as ngtcp2_conn_read_pkt(). */
int test_client_read(struct test_client *client, const uint8_t *buf, size_t len, uint64_t now_ns);

/** Let it write all that it has now into `dgrams`. */
void test_client_write(struct test_client *client, uint64_t now_ns);

/** The server's side, as far as it reads a ClientHello. */
struct test_server {
	ngtcp2_conn *conn;
	gnutls_session_t tls;
	gnutls_certificate_credentials_t cred;
	ngtcp2_crypto_conn_ref ref;
	ngtcp2_path_storage path;
};

/** A server for the client that `flight` is of, with a certificate of its own. Aborts on failure. */
void test_server_init(struct test_server *server, const struct plm_initial_flight *flight);
void test_server_fini(struct test_server *server);

/** Give it a packet; as ngtcp2_conn_read_pkt(). */
int test_server_read(struct test_server *server, const struct plm_initial_dgram *dgram);

#endif

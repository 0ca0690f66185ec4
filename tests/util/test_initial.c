/* SPDX-License-Identifier: BSD-3-Clause */
/* Made with other crypto than what opens them: GnuTLS, and ngtcp2 over it. */
#include "test_initial.h"

#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_common.h>

#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#define MUST(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond))                                                                       \
			abort();                                                                   \
	} while (0)

/* --- sealing ----------------------------------------------------------------------------------- */

static void
expand_label(const uint8_t secret[32], const char *label, uint8_t *out, size_t len)
{
	uint8_t info[64] = { 0, (uint8_t)len };
	gnutls_datum_t key = { (uint8_t *)(uintptr_t)secret, 32 };
	gnutls_datum_t text = { info, 0 };

	text.size = 3 +
			(unsigned int)snprintf((char *)info + 3, sizeof(info) - 3, "tls13 %s",
					label);
	info[2] = (uint8_t)(text.size - 3);
	info[text.size++] = 0;
	MUST(gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &key, &text, out, len) == 0);
}

/* The token's length as short as it can be, the packet's in two bytes, as RFC 9001 §A.2 has it. */
static size_t
put_varint2(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(0x40 | v >> 8);
	p[1] = (uint8_t)v;
	return 2;
}

size_t
test_initial_seal(const struct test_initial *how, const uint8_t *frames, size_t len, uint8_t *out)
{
	static const uint8_t salt[20] = { 0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d,
		0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a };
	const uint8_t *id = how->key_id != NULL ? how->key_id : how->dcid;
	gnutls_datum_t id_datum = { (uint8_t *)(uintptr_t)id,
		how->key_id != NULL ? how->key_id_len : how->dcid_len };
	gnutls_datum_t salt_datum = { (uint8_t *)(uintptr_t)salt, sizeof(salt) };
	uint8_t secret[32], client[32], key[16], iv[12], hp[16], zero[16] = { 0 }, mask[16];
	gnutls_datum_t key_datum = { key, sizeof(key) }, hp_datum = { hp, sizeof(hp) };
	gnutls_datum_t iv_datum = { zero, sizeof(zero) };
	gnutls_aead_cipher_hd_t aead;
	gnutls_cipher_hd_t ecb;
	uint8_t plain[PLM_INITIAL_MAX] = { 0 };
	uint8_t *p = out, *pn;
	size_t hdr_len, sealed;

	MUST(gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &id_datum, &salt_datum, secret) == 0);
	expand_label(secret, "client in", client, sizeof(client));
	expand_label(client, "quic key", key, sizeof(key));
	expand_label(client, "quic iv", iv, sizeof(iv));
	expand_label(client, "quic hp", hp, sizeof(hp));

	*p++ = (uint8_t)(0xc0 | how->reserved << 2 | (how->pn_len - 1));
	memcpy(p, "\0\0\0\1", 4);
	p += 4;
	*p++ = how->dcid_len;
	memcpy(p, how->dcid, how->dcid_len);
	p += how->dcid_len;
	*p++ = how->scid_len;
	memcpy(p, how->scid, how->scid_len);
	p += how->scid_len;
	if (how->token_len < 64)
		*p++ = (uint8_t)how->token_len;
	else
		p += put_varint2(p, how->token_len);
	if (how->token_len > 0)
		memcpy(p, how->token, how->token_len);
	p += how->token_len;
	hdr_len = (size_t)(p - out) + 2 + how->pn_len;
	memcpy(plain, frames, len);
	if (how->pad_to > hdr_len + len + 16)
		len = how->pad_to - hdr_len - 16;
	p += put_varint2(p, how->pn_len + len + 16);
	pn = p;
	for (unsigned int i = 0; i < how->pn_len; i++) {
		*p++ = (uint8_t)(how->pn >> 8 * (how->pn_len - 1 - i));
		iv[12 - how->pn_len + i] ^= pn[i];
	}
	MUST(hdr_len + len + 16 <= PLM_INITIAL_MAX);
	sealed = len + 16;
	MUST(gnutls_aead_cipher_init(&aead, GNUTLS_CIPHER_AES_128_GCM, &key_datum) == 0);
	MUST(gnutls_aead_cipher_encrypt(aead, iv, sizeof(iv), out, hdr_len, 16, plain, len, p,
			     &sealed) == 0);
	gnutls_aead_cipher_deinit(aead);

	/* One block of CBC from a vector of zeros is one block of ECB. */
	memcpy(mask, pn + 4, sizeof(mask));
	MUST(gnutls_cipher_init(&ecb, GNUTLS_CIPHER_AES_128_CBC, &hp_datum, &iv_datum) == 0);
	MUST(gnutls_cipher_encrypt(ecb, mask, sizeof(mask)) == 0);
	gnutls_cipher_deinit(ecb);
	out[0] ^= mask[0] & 0x0f;
	for (unsigned int i = 0; i < how->pn_len; i++)
		pn[i] ^= mask[1 + i];
	return hdr_len + sealed;
}

/* --- a client ---------------------------------------------------------------------------------- */

static void
fill_random(uint8_t *dest, size_t len, const ngtcp2_rand_ctx *ctx)
{
	MUST(gnutls_rnd(GNUTLS_RND_RANDOM, dest, len) == 0);
}

static int
new_id(ngtcp2_conn *conn, ngtcp2_cid *cid, uint8_t *token, size_t len, void *ctx)
{
	fill_random(cid->data, len, NULL);
	cid->datalen = len;
	fill_random(token, NGTCP2_STATELESS_RESET_TOKENLEN, NULL);
	return 0;
}

static ngtcp2_conn *
get_conn(ngtcp2_crypto_conn_ref *ref)
{
	return *(ngtcp2_conn **)ref->user_data; /* the first member of both sides */
}

static int
send_pad(gnutls_session_t tls, gnutls_buffer_t buf)
{
	const ngtcp2_crypto_conn_ref *ref = gnutls_session_get_ptr(tls);
	const struct test_client *client = ref->user_data;
	uint8_t bytes[4096];

	memset(bytes, 0xa5, sizeof(bytes));
	MUST(client->hello_pad <= sizeof(bytes));
	MUST(gnutls_buffer_append_data(buf, bytes, client->hello_pad) == 0);
	return client->hello_pad;
}

static int
recv_pad(gnutls_session_t tls, const unsigned char *buf, size_t len)
{
	return 0;
}

static void
set_alpn(gnutls_session_t tls, const char *alpn)
{
	gnutls_datum_t names[8];
	unsigned int nb = 0;

	for (const char *p = alpn; p != NULL && nb < RTE_DIM(names);) {
		const char *comma = strchr(p, ',');

		names[nb].data = (unsigned char *)(uintptr_t)p;
		names[nb++].size = (unsigned int)(comma != NULL ? (size_t)(comma - p) : strlen(p));
		p = comma != NULL ? comma + 1 : NULL;
	}
	MUST(gnutls_alpn_set_protocols(tls, names, nb, 0) == 0);
}

static const ngtcp2_callbacks callbacks = {
	.client_initial = ngtcp2_crypto_client_initial_cb,
	.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
	.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
	.encrypt = ngtcp2_crypto_encrypt_cb,
	.decrypt = ngtcp2_crypto_decrypt_cb,
	.hp_mask = ngtcp2_crypto_hp_mask_cb,
	.recv_retry = ngtcp2_crypto_recv_retry_cb,
	.rand = fill_random,
	.get_new_connection_id = new_id,
	.update_key = ngtcp2_crypto_update_key_cb,
	.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
	.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
	.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
};

#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:%DISABLE_TLS13_COMPAT_MODE"

static void
make_path(ngtcp2_path_storage *path)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = RTE_BE16(4433) };

	ngtcp2_path_storage_init(path, (ngtcp2_sockaddr *)&address, sizeof(address),
			(ngtcp2_sockaddr *)&address, sizeof(address), NULL);
}

void
test_client_init(struct test_client *client, const struct test_client_conf *conf)
{
	ngtcp2_transport_params params;
	ngtcp2_settings settings;

	memset(client, 0, sizeof(*client));
	client->hello_pad = conf->hello_pad;
	client->ref.get_conn = get_conn;
	client->ref.user_data = client;
	MUST(gnutls_certificate_allocate_credentials(&client->cred) == 0);
	MUST(gnutls_init(&client->tls, GNUTLS_CLIENT) == 0);
	MUST(gnutls_priority_set_direct(client->tls,
			     "NORMAL:-VERS-ALL:+VERS-TLS1.3:%DISABLE_TLS13_COMPAT_MODE",
			     NULL) == 0);
	MUST(gnutls_credentials_set(client->tls, GNUTLS_CRD_CERTIFICATE, client->cred) == 0);
	MUST(ngtcp2_crypto_gnutls_configure_client_session(client->tls) == 0);
	gnutls_session_set_ptr(client->tls, &client->ref);
	if (conf->name != NULL)
		MUST(gnutls_server_name_set(client->tls, GNUTLS_NAME_DNS, conf->name,
				     strlen(conf->name)) == 0);
	if (conf->alpn != NULL)
		set_alpn(client->tls, conf->alpn);
	if (conf->hello_pad > 0)
		MUST(gnutls_session_ext_register(client->tls, "pad", 0xfafa, GNUTLS_EXT_TLS,
				     recv_pad, send_pad, NULL, NULL, NULL,
				     GNUTLS_EXT_FLAG_TLS | GNUTLS_EXT_FLAG_CLIENT_HELLO) == 0);

	client->dcid.datalen = conf->dcid_len;
	client->scid.datalen = conf->scid_len;
	fill_random(client->dcid.data, conf->dcid_len, NULL);
	fill_random(client->scid.data, conf->scid_len, NULL);
	ngtcp2_settings_default(&settings);
	settings.initial_ts = PLM_NS_PER_S;
	settings.max_tx_udp_payload_size = PLM_INITIAL_MIN;
	ngtcp2_transport_params_default(&params);
	params.max_datagram_frame_size = 65535;
	make_path(&client->path);
	MUST(ngtcp2_conn_client_new(&client->conn, &client->dcid, &client->scid, &client->path.path,
			     NGTCP2_PROTO_VER_V1, &callbacks, &settings, &params, NULL, NULL) == 0);
	ngtcp2_conn_set_tls_native_handle(client->conn, client->tls);
	test_client_write(client, PLM_NS_PER_S);
}

void
test_client_fini(struct test_client *client)
{
	ngtcp2_conn_del(client->conn);
	gnutls_deinit(client->tls);
	gnutls_certificate_free_credentials(client->cred);
}

int
test_client_read(struct test_client *client, const uint8_t *buf, size_t len, uint64_t now_ns)
{
	ngtcp2_pkt_info pi = { 0 };

	return ngtcp2_conn_read_pkt(client->conn, &client->path.path, &pi, buf, len, now_ns);
}

void
test_client_write(struct test_client *client, uint64_t now_ns)
{
	client->nb_dgrams = 0;
	for (unsigned int i = 0; i < TEST_CLIENT_DGRAMS; i++) {
		ngtcp2_pkt_info pi;
		ngtcp2_ssize n = ngtcp2_conn_write_pkt(client->conn, NULL, &pi, client->bytes[i],
				PLM_INITIAL_MIN, now_ns);

		MUST(n >= 0);
		if (n == 0)
			return;
		client->dgrams[client->nb_dgrams++] = (struct plm_initial_dgram){
			.buf = client->bytes[i],
			.len = (uint16_t)n,
			.ecn = (uint8_t)(i & 3),
		};
	}
}

/* --- a server ---------------------------------------------------------------------------------- */

static void
make_certificate(gnutls_certificate_credentials_t cred)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;

	MUST(gnutls_x509_privkey_init(&key) == 0 && gnutls_x509_crt_init(&crt) == 0);
	MUST(gnutls_x509_privkey_generate(key, GNUTLS_PK_EDDSA_ED25519,
			     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_ED25519), 0) == 0);
	MUST(gnutls_x509_crt_set_key(crt, key) == 0);
	MUST(gnutls_x509_crt_set_serial(crt, "\1", 1) == 0);
	gnutls_x509_crt_set_activation_time(crt, 0);
	gnutls_x509_crt_set_expiration_time(crt, INT32_MAX);
	MUST(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA512, 0) == 0);
	MUST(gnutls_certificate_set_x509_key(cred, &crt, 1, key) >= 0);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
}

void
test_server_init(struct test_server *server, const struct plm_initial_flight *flight)
{
	gnutls_datum_t wzp = { (unsigned char *)(uintptr_t) "wzp", 3 };
	ngtcp2_transport_params params;
	ngtcp2_settings settings;
	ngtcp2_cid dcid, scid;

	memset(server, 0, sizeof(*server));
	server->ref.get_conn = get_conn;
	server->ref.user_data = server;
	MUST(gnutls_certificate_allocate_credentials(&server->cred) == 0);
	make_certificate(server->cred);
	MUST(gnutls_init(&server->tls, GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET) == 0);
	MUST(gnutls_priority_set_direct(server->tls, PRIORITY, NULL) == 0);
	MUST(gnutls_credentials_set(server->tls, GNUTLS_CRD_CERTIFICATE, server->cred) == 0);
	MUST(gnutls_alpn_set_protocols(server->tls, &wzp, 1, 0) == 0);
	MUST(ngtcp2_crypto_gnutls_configure_server_session(server->tls) == 0);
	gnutls_session_set_ptr(server->tls, &server->ref);

	ngtcp2_settings_default(&settings);
	settings.initial_ts = PLM_NS_PER_S;
	ngtcp2_transport_params_default(&params);
	ngtcp2_cid_init(&params.original_dcid, flight->hd.dcid, flight->hd.dcid_len);
	params.original_dcid_present = 1;
	ngtcp2_cid_init(&dcid, flight->hd.scid, flight->hd.scid_len);
	scid.datalen = 17;
	fill_random(scid.data, scid.datalen, NULL);
	make_path(&server->path);
	MUST(ngtcp2_conn_server_new(&server->conn, &dcid, &scid, &server->path.path,
			     NGTCP2_PROTO_VER_V1, &callbacks, &settings, &params, NULL, NULL) == 0);
	ngtcp2_conn_set_tls_native_handle(server->conn, server->tls);
}

void
test_server_fini(struct test_server *server)
{
	ngtcp2_conn_del(server->conn);
	gnutls_deinit(server->tls);
	gnutls_certificate_free_credentials(server->cred);
}

int
test_server_read(struct test_server *server, const struct plm_initial_dgram *dgram)
{
	ngtcp2_pkt_info pi = { .ecn = dgram->ecn };

	return ngtcp2_conn_read_pkt(server->conn, &server->path.path, &pi, dgram->buf, dgram->len,
			PLM_NS_PER_S);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* TLS sessions of both sides, driven against each other by ngtcp2 in memory on a virtual clock. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_common.h>
#include <rte_errno.h>

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include "plm_crypto.h"
#include "quic_tls.h"
#include "test_eal.h"

#define TLS_ERROR(alert) (0x100 + (alert))

struct side {
	ngtcp2_conn *conn;
	ngtcp2_crypto_conn_ref ref;
	gnutls_session_t tls;
	ngtcp2_ccerr error; /* of its own that it told the other */
	bool has_error;
	uint64_t heard; /* error code that the other told */
};

struct pair {
	struct side client, server;
	uint64_t now_ns;
	unsigned int nb_hellos;
	bool is_done; /* both sides have completed the handshake */
};

static ngtcp2_conn *
conn_of(ngtcp2_crypto_conn_ref *ref)
{
	return ((struct side *)ref->user_data)->conn;
}

static void
fill(uint8_t *dest, size_t len, const ngtcp2_rand_ctx *ctx)
{
	plm_crypto_random(NULL, dest, len);
}

static int
new_cid(ngtcp2_conn *conn, ngtcp2_cid *cid, uint8_t *token, size_t len, void *user_data)
{
	cid->datalen = len;
	plm_crypto_random(NULL, cid->data, len);
	plm_crypto_random(NULL, token, NGTCP2_STATELESS_RESET_TOKENLEN);
	return 0;
}

static const ngtcp2_callbacks callbacks = {
	.client_initial = ngtcp2_crypto_client_initial_cb,
	.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
	.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
	.encrypt = ngtcp2_crypto_encrypt_cb,
	.decrypt = ngtcp2_crypto_decrypt_cb,
	.hp_mask = ngtcp2_crypto_hp_mask_cb,
	.recv_retry = ngtcp2_crypto_recv_retry_cb,
	.rand = fill,
	.get_new_connection_id = new_cid,
	.update_key = ngtcp2_crypto_update_key_cb,
	.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
	.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
	.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
	.version_negotiation = ngtcp2_crypto_version_negotiation_cb,
};

/* Both ends are one address: nothing here depends on it. */
static void
path_init(ngtcp2_path_storage *path)
{
	const struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = 4433 };

	ngtcp2_path_storage_init(path, (const ngtcp2_sockaddr *)&addr, sizeof(addr),
			(const ngtcp2_sockaddr *)&addr, sizeof(addr), NULL);
}

static void
side_begin(struct side *side)
{
	side->ref = (ngtcp2_crypto_conn_ref){ conn_of, side };
	gnutls_session_set_ptr(side->tls, &side->ref);
	ngtcp2_conn_set_tls_native_handle(side->conn, side->tls);
}

/* Sessions are the pair's from here on. */
static struct pair *
pair_create(gnutls_session_t client, gnutls_session_t server)
{
	struct pair *pair = calloc(1, sizeof(*pair));
	ngtcp2_path_storage path;
	ngtcp2_cid ids[3] = { { 8, "client's" }, { 8, "server's" }, { 8, "original" } };
	ngtcp2_transport_params params;
	ngtcp2_settings settings;

	assert_non_null(pair);
	path_init(&path);
	pair->client.tls = client;
	pair->server.tls = server;
	pair->now_ns = PLM_NS_PER_S;
	ngtcp2_settings_default(&settings);
	settings.initial_ts = pair->now_ns;
	ngtcp2_transport_params_default(&params);
	params.max_datagram_frame_size = 1234;
	assert_int_equal(ngtcp2_conn_client_new(&pair->client.conn, &ids[2], &ids[0], &path.path,
					 NGTCP2_PROTO_VER_V1, &callbacks, &settings, &params, NULL,
					 &pair->client),
			0);
	params.original_dcid = ids[2];
	params.original_dcid_present = 1;
	assert_int_equal(ngtcp2_conn_server_new(&pair->server.conn, &ids[0], &ids[1], &path.path,
					 NGTCP2_PROTO_VER_V1, &callbacks, &settings, &params, NULL,
					 &pair->server),
			0);
	side_begin(&pair->client);
	side_begin(&pair->server);
	return pair;
}

static void
pair_free(struct pair *pair)
{
	ngtcp2_conn_del(pair->client.conn);
	ngtcp2_conn_del(pair->server.conn);
	gnutls_deinit(pair->client.tls);
	gnutls_deinit(pair->server.tls);
	free(pair);
}

static void
fail_side(struct side *side, int err)
{
	if (err == NGTCP2_ERR_DRAINING)
		side->heard = ngtcp2_conn_get_ccerr(side->conn)->error_code;
	if (err == NGTCP2_ERR_DRAINING || side->has_error)
		return;
	ngtcp2_ccerr_default(&side->error);
	if (ngtcp2_conn_get_tls_alert(side->conn) != 0)
		ngtcp2_ccerr_set_tls_alert(&side->error, ngtcp2_conn_get_tls_alert(side->conn),
				NULL, 0);
	else
		ngtcp2_ccerr_set_liberr(&side->error, err, NULL, 0);
	side->has_error = true;
}

/* Everything that `from` has to send, its close included. How many packets. */
static unsigned int
move_packets(struct pair *pair, struct side *from, struct side *to)
{
	ngtcp2_path_storage path;
	ngtcp2_pkt_info info = { 0 };
	uint8_t buf[1452];
	unsigned int n = 0;

	path_init(&path);
	for (; n < 20; n++) {
		ngtcp2_ssize len;
		int ret;

		if (from->heard != 0 || ngtcp2_conn_in_closing_period(from->conn))
			break;
		if (from->has_error)
			len = ngtcp2_conn_write_connection_close(from->conn, &path.path, &info, buf,
					sizeof(buf), &from->error, pair->now_ns);
		else
			len = ngtcp2_conn_write_pkt(from->conn, &path.path, &info, buf, sizeof(buf),
					pair->now_ns);
		assert_true(len >= 0);
		if (len == 0)
			break;
		ret = ngtcp2_conn_read_pkt(to->conn, &path.path, &info, buf, (size_t)len,
				pair->now_ns);
		if (ret != 0)
			fail_side(to, ret);
	}
	return n;
}

static void
pair_run(struct pair *pair)
{
	for (unsigned int i = 0; i < 30; i++) {
		unsigned int n = move_packets(pair, &pair->client, &pair->server);

		pair->now_ns += PLM_NS_PER_MS;
		n += move_packets(pair, &pair->server, &pair->client);
		pair->now_ns += 30 * PLM_NS_PER_MS;
		if (n == 0)
			break;
	}
	pair->is_done = ngtcp2_conn_get_handshake_completed(pair->client.conn) &&
			ngtcp2_conn_get_handshake_completed(pair->server.conn) &&
			!pair->client.has_error && !pair->server.has_error;
}

/* --- fixture ------------------------------------------------------------------------------ */

struct fixture {
	struct plm_quic_identity *id;
	struct quic_tls *server;
};

static int
setup(void **state)
{
	struct fixture *fx = calloc(1, sizeof(*fx));
	uint8_t seed[PLM_QUIC_SEED_SIZE] = { 42 };
	struct plm_text why;
	char buf[128];

	plm_text_init(&why, buf, sizeof(buf));
	fx->id = plm_quic_identity_create();
	assert_int_equal(plm_quic_identity_add_seed(fx->id, seed, &why), 0);
	fx->server = quic_tls_server_create(fx->id);
	assert_non_null(fx->server);
	*state = fx;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *fx = *state;

	quic_tls_free(fx->server);
	plm_quic_identity_free(fx->id);
	free(fx);
	return 0;
}

#define TLS13 "NORMAL:-VERS-ALL:+VERS-TLS1.3:%DISABLE_TLS13_COMPAT_MODE"

static struct quic_tls *
client_create(const char *priority, const uint8_t *fingerprint)
{
	struct quic_tls *tls = quic_tls_client_create(
			&(struct quic_tls_client_conf){ fingerprint, priority });

	assert_non_null(tls);
	return tls;
}

/* A pair, not yet run, whose client asks for `name`. */
static struct pair *
begin(struct fixture *fx, struct quic_tls *client, const char *name)
{
	gnutls_session_t sessions[2];

	assert_int_equal(quic_tls_client_session(client, name, &sessions[0]), 0);
	assert_int_equal(quic_tls_server_session(fx->server, &sessions[1]), 0);
	return pair_create(sessions[0], sessions[1]);
}

/* --- what is agreed on -------------------------------------------------------------------- */

static const struct {
	const char *name;
	const char *priority;
	gnutls_cipher_algorithm_t cipher;
	gnutls_group_t group;
	enum plm_quic_cert cert;
	gnutls_sign_algorithm_t sign;
} agree_cases[] = {
	{ "default", NULL, GNUTLS_CIPHER_AES_128_GCM, GNUTLS_GROUP_X25519, PLM_QUIC_CERT_ED25519,
			GNUTLS_SIGN_EDDSA_ED25519 },
	{ "all ciphers, ours counts",
			TLS13 ":-CIPHER-ALL:+CHACHA20-POLY1305:+AES-256-GCM:+AES-128-GCM",
			GNUTLS_CIPHER_AES_128_GCM, GNUTLS_GROUP_X25519, PLM_QUIC_CERT_ED25519,
			GNUTLS_SIGN_EDDSA_ED25519 },
	{ "AES-256 before ChaCha", TLS13 ":-CIPHER-ALL:+CHACHA20-POLY1305:+AES-256-GCM",
			GNUTLS_CIPHER_AES_256_GCM, GNUTLS_GROUP_X25519, PLM_QUIC_CERT_ED25519,
			GNUTLS_SIGN_EDDSA_ED25519 },
	{ "ChaCha alone", TLS13 ":-CIPHER-ALL:+CHACHA20-POLY1305", GNUTLS_CIPHER_CHACHA20_POLY1305,
			GNUTLS_GROUP_X25519, PLM_QUIC_CERT_ED25519, GNUTLS_SIGN_EDDSA_ED25519 },
	{ "P-256 before Ed25519: ours counts",
			TLS13 ":-SIGN-ALL:+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-EDDSA-ED25519",
			GNUTLS_CIPHER_AES_128_GCM, GNUTLS_GROUP_X25519, PLM_QUIC_CERT_ED25519,
			GNUTLS_SIGN_EDDSA_ED25519 },
	{ "no Ed25519", TLS13 ":-SIGN-EDDSA-ED25519", GNUTLS_CIPHER_AES_128_GCM,
			GNUTLS_GROUP_X25519, PLM_QUIC_CERT_P256,
			GNUTLS_SIGN_ECDSA_SECP256R1_SHA256 },
	{ "P-256 alone, no Ed25519, ChaCha",
			TLS13 ":-SIGN-ALL:+SIGN-ECDSA-SECP256R1-SHA256:-GROUP-ALL:+GROUP-SECP256R1:"
			      "-CIPHER-ALL:+CHACHA20-POLY1305",
			GNUTLS_CIPHER_CHACHA20_POLY1305, GNUTLS_GROUP_SECP256R1, PLM_QUIC_CERT_P256,
			GNUTLS_SIGN_ECDSA_SECP256R1_SHA256 },
	{ "P-384 group", TLS13 ":-GROUP-ALL:+GROUP-SECP384R1", GNUTLS_CIPHER_AES_128_GCM,
			GNUTLS_GROUP_SECP384R1, PLM_QUIC_CERT_ED25519, GNUTLS_SIGN_EDDSA_ED25519 },
};

static void
handshake__agrees_on_our_cipher_and_the_clients_signatures(void **state)
{
	struct fixture *fx = *state;

	for (size_t i = 0; i < RTE_DIM(agree_cases); i++) {
		struct quic_tls *client = client_create(agree_cases[i].priority, NULL);
		struct pair *pair = begin(fx, client, "room");
		const ngtcp2_transport_params *params;
		const gnutls_datum_t *chain;
		unsigned int nb_chain = 0;
		const uint8_t *want;
		size_t want_len = 0;

		print_message("%s\n", agree_cases[i].name);
		pair_run(pair);
		assert_true(pair->is_done);
		assert_int_equal(gnutls_cipher_get(pair->server.tls), agree_cases[i].cipher);
		assert_int_equal(gnutls_group_get(pair->client.tls), agree_cases[i].group);
		assert_int_equal(gnutls_sign_algorithm_get(pair->server.tls), agree_cases[i].sign);
		chain = gnutls_certificate_get_peers(pair->client.tls, &nb_chain);
		want = plm_quic_identity_cert(fx->id, agree_cases[i].cert, &want_len);
		assert_int_equal(nb_chain, 1);
		assert_int_equal(chain[0].size, want_len);
		assert_memory_equal(chain[0].data, want, want_len);
		/* Transport parameters went both ways; no ticket, so no resumption and no 0-RTT. */
		params = ngtcp2_conn_get_remote_transport_params(pair->server.conn);
		assert_int_equal(params->max_datagram_frame_size, 1234);
		params = ngtcp2_conn_get_remote_transport_params(pair->client.conn);
		assert_int_equal(params->max_datagram_frame_size, 1234);
		assert_int_equal(gnutls_session_get_flags(pair->client.tls) &
						GNUTLS_SFLAGS_SESSION_TICKET,
				0);
		pair_free(pair);
		quic_tls_free(client);
	}
}

static const struct {
	const char *name;
	const char *priority;
	uint64_t code;
} disagree_cases[] = {
	{ "RSA signatures alone", TLS13 ":-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA256",
			TLS_ERROR(GNUTLS_A_HANDSHAKE_FAILURE) },
	{ "AES-128-CCM alone", TLS13 ":-CIPHER-ALL:+AES-128-CCM",
			TLS_ERROR(GNUTLS_A_HANDSHAKE_FAILURE) },
	{ "P-521 group alone", TLS13 ":-GROUP-ALL:+GROUP-SECP521R1",
			TLS_ERROR(GNUTLS_A_HANDSHAKE_FAILURE) },
};

static void
handshake__refuses_clients_with_nothing_in_common(void **state)
{
	struct fixture *fx = *state;

	for (size_t i = 0; i < RTE_DIM(disagree_cases); i++) {
		struct quic_tls *client = client_create(disagree_cases[i].priority, NULL);
		struct pair *pair = begin(fx, client, "room");

		print_message("%s\n", disagree_cases[i].name);
		pair_run(pair);
		assert_false(pair->is_done);
		assert_int_equal(pair->client.heard, disagree_cases[i].code);
		pair_free(pair);
		quic_tls_free(client);
	}
}

/* --- protocol names ----------------------------------------------------------------------- */

static const struct {
	const char *name;
	unsigned int nb_names;
	const char *names[3];
	bool want;
} alpn_cases[] = {
	{ "wzp", 1, { "wzp" }, true },
	{ "wzp among others", 3, { "h3", "wzp", "hq" }, true },
	{ "none", 0, { NULL }, false },
	{ "upper case", 1, { "WZP" }, false },
	{ "another", 1, { "h3" }, false },
	{ "longer", 1, { "wzp1" }, false },
	{ "shorter", 1, { "wz" }, false },
};

/* A client's session not of our factory's making: those have a protocol, and cannot lose it. */
static gnutls_session_t
foreign_client(gnutls_certificate_credentials_t creds, const char *const *names,
		unsigned int nb_names)
{
	gnutls_datum_t protocols[3];
	gnutls_session_t session;

	assert_int_equal(gnutls_init(&session, GNUTLS_CLIENT), 0);
	assert_int_equal(gnutls_priority_set_direct(session, TLS13, NULL), 0);
	assert_int_equal(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, creds), 0);
	assert_int_equal(gnutls_server_name_set(session, GNUTLS_NAME_DNS, "_signal", 7), 0);
	for (unsigned int i = 0; i < nb_names; i++)
		protocols[i] = (gnutls_datum_t){ (unsigned char *)(uintptr_t)names[i],
			(unsigned int)strlen(names[i]) };
	if (nb_names > 0)
		assert_int_equal(gnutls_alpn_set_protocols(session, protocols, nb_names, 0), 0);
	assert_int_equal(ngtcp2_crypto_gnutls_configure_client_session(session), 0);
	return session;
}

static void
alpn__must_be_wzp(void **state)
{
	struct fixture *fx = *state;
	gnutls_certificate_credentials_t creds;

	assert_int_equal(gnutls_certificate_allocate_credentials(&creds), 0);
	for (size_t i = 0; i < RTE_DIM(alpn_cases); i++) {
		gnutls_session_t server;
		gnutls_datum_t chosen;
		struct pair *pair;

		print_message("%s\n", alpn_cases[i].name);
		assert_int_equal(quic_tls_server_session(fx->server, &server), 0);
		pair = pair_create(
				foreign_client(creds, alpn_cases[i].names, alpn_cases[i].nb_names),
				server);
		pair_run(pair);
		assert_int_equal(pair->is_done, alpn_cases[i].want);
		assert_int_equal(pair->client.heard, alpn_cases[i].want ? 0 : 0x178);
		if (pair->is_done) {
			assert_int_equal(gnutls_alpn_get_selected_protocol(pair->client.tls,
							 &chosen),
					0);
			assert_int_equal(chosen.size, 3);
			assert_memory_equal(chosen.data, "wzp", 3);
		}
		pair_free(pair);
	}
	gnutls_certificate_free_credentials(creds);
}

static int
no_hook(gnutls_session_t session, unsigned int type, unsigned int when, unsigned int is_incoming,
		const gnutls_datum_t *msg)
{
	return 0;
}

static void
client__leaves_a_server_that_chooses_no_protocol(void **state)
{
	struct fixture *fx = *state;
	struct quic_tls *client = client_create(NULL, NULL);
	struct pair *pair = begin(fx, client, "room");
	const gnutls_datum_t h3 = { (unsigned char *)(uintptr_t) "h3", 2 };

	gnutls_handshake_set_hook_function(pair->server.tls, GNUTLS_HANDSHAKE_CLIENT_HELLO,
			GNUTLS_HOOK_POST, no_hook);
	assert_int_equal(gnutls_alpn_set_protocols(pair->server.tls, &h3, 1, 0), 0);
	pair_run(pair);
	assert_false(pair->is_done);
	assert_int_equal(pair->server.heard, 0x178);
	pair_free(pair);
	quic_tls_free(client);
}

/* --- server names ------------------------------------------------------------------------- */

#define LABEL_63 "0123456789012345678901234567890123456789012345678901234567890_a"

static const struct {
	const char *name; /* NULL: none is sent */
	bool want;
} name_cases[] = {
	{ NULL, true },
	{ "room", true },
	{ "Room.Example", true }, /* nothing is changed, not even its case */
	{ "_signal", true },
	{ "_federation", true },
	{ "__a_b__.c_", true },
	{ "call-0123", true },
	{ "5f4dcc3b5aa765d61d8327deb882cf99", true },
	{ LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63, false }, /* 255 */
	{ LABEL_63 "." LABEL_63 "." LABEL_63 ".0123456789012345678901234567890123456789012345678901"
		   "_23456_89",
			true }, /* 253 */
	{ "a b", false },
	{ "a_b c", false },
};

static void
server_name__arrives_as_sent_or_not_at_all(void **state)
{
	struct fixture *fx = *state;
	struct quic_tls *client = client_create(NULL, NULL);

	for (size_t i = 0; i < RTE_DIM(name_cases); i++) {
		const char *name = name_cases[i].name;
		struct pair *pair = begin(fx, client, NULL);

		/* Past the factory's own check. */
		if (name != NULL)
			assert_int_equal(gnutls_server_name_set(pair->client.tls, GNUTLS_NAME_DNS,
							 name, strlen(name)),
					0);
		assert_string_equal(quic_tls_name(pair->server.tls), "");
		pair_run(pair);
		if (pair->is_done != name_cases[i].want)
			fail_msg("%s: error 0x%" PRIx64, name, pair->client.heard);
		if (pair->is_done)
			assert_string_equal(quic_tls_name(pair->server.tls),
					name == NULL ? "" : name);
		pair_free(pair);
	}
	quic_tls_free(client);
}

static void
client_session__sends_underscores_and_no_longer_names(void **state)
{
	struct fixture *fx = *state;
	struct quic_tls *client = client_create(NULL, NULL);
	struct pair *pair = begin(fx, client, "_probe");
	gnutls_session_t session = NULL;
	char name[QUIC_NAME_MAX + 2];

	pair_run(pair);
	assert_true(pair->is_done);
	assert_string_equal(quic_tls_name(pair->server.tls), "_probe");
	pair_free(pair);

	memset(name, 'a', sizeof(name));
	name[QUIC_NAME_MAX + 1] = '\0';
	assert_int_equal(quic_tls_client_session(client, name, &session), -EINVAL);
	assert_null(session);
	quic_tls_free(client);
}

static int
count_hello(gnutls_session_t session, unsigned int type, unsigned int when,
		unsigned int is_incoming, const gnutls_datum_t *msg)
{
	ngtcp2_crypto_conn_ref *ref = gnutls_session_get_ptr(session);

	((struct pair *)RTE_PTR_SUB(ref->user_data, offsetof(struct pair, client)))->nb_hellos++;
	return 0;
}

/* The client guesses a group that we do not take: its ClientHello comes twice. */
static void
server_name__survives_a_hello_retry_request(void **state)
{
	struct fixture *fx = *state;
	struct quic_tls *client =
			client_create(TLS13 ":-GROUP-ALL:+GROUP-SECP521R1:+GROUP-SECP256R1", NULL);
	struct pair *pair = begin(fx, client, "_signal_");

	gnutls_handshake_set_hook_function(pair->client.tls, GNUTLS_HANDSHAKE_CLIENT_HELLO,
			GNUTLS_HOOK_POST, count_hello);
	pair_run(pair);
	assert_true(pair->is_done);
	assert_int_equal(pair->nb_hellos, 2);
	assert_int_equal(gnutls_group_get(pair->server.tls), GNUTLS_GROUP_SECP256R1);
	assert_string_equal(quic_tls_name(pair->server.tls), "_signal_");
	pair_free(pair);
	quic_tls_free(client);
}

/* As with post-quantum key shares: GnuTLS is given the ClientHello in two pieces. */
static void
server_name__arrives_over_two_initials(void **state)
{
	struct fixture *fx = *state;
	struct quic_tls *client =
			client_create(TLS13 ":-GROUP-ALL:+GROUP-FFDHE8192:+GROUP-X25519", NULL);
	struct pair *pair = begin(fx, client, "_signal_");

	assert_int_equal(move_packets(pair, &pair->client, &pair->server), 2);
	pair_run(pair);
	assert_true(pair->is_done);
	assert_string_equal(quic_tls_name(pair->server.tls), "_signal_");
	pair_free(pair);
	quic_tls_free(client);
}

/* What a client says that is not GnuTLS: its ClientHello is changed on its way. */
static void (*distort)(uint8_t *hello, size_t len);

static int
send_distorted(gnutls_session_t session, gnutls_record_encryption_level_t level,
		gnutls_handshake_description_t type, const void *buf, size_t len)
{
	ngtcp2_conn *conn = conn_of(gnutls_session_get_ptr(session));
	uint8_t bytes[1024];

	assert_true(len <= sizeof(bytes));
	memcpy(bytes, buf, len);
	if (type == GNUTLS_HANDSHAKE_CLIENT_HELLO)
		distort(bytes, len);
	return ngtcp2_conn_submit_crypto_data(conn,
			ngtcp2_crypto_gnutls_from_gnutls_record_encryption_level(level), bytes,
			len);
}

/* Where the server_name extension's content begins, of a client that asks for "_name_": length of the
 * list, type, length of the name, name. */
static uint8_t *
find_name(uint8_t *hello, size_t len)
{
	uint8_t *name = memmem(hello, len, "_name_", 6);

	assert_non_null(name);
	return name - 5;
}

static void
list_too_long(uint8_t *hello, size_t len)
{
	find_name(hello, len)[1]++;
}

static void
list_too_short(uint8_t *hello, size_t len)
{
	find_name(hello, len)[1]--;
}

static void
list_empty(uint8_t *hello, size_t len)
{
	find_name(hello, len)[1] = 0;
}

static void
name_too_long(uint8_t *hello, size_t len)
{
	find_name(hello, len)[4]++;
}

static void
name_longest(uint8_t *hello, size_t len)
{
	memset(find_name(hello, len) + 3, 0xff, 2);
}

static void
name_empty(uint8_t *hello, size_t len)
{
	find_name(hello, len)[4] = 0;
}

static void
name_of_another_kind(uint8_t *hello, size_t len)
{
	find_name(hello, len)[2] = 1;
}

static void
name_with_nul(uint8_t *hello, size_t len)
{
	find_name(hello, len)[7] = 0;
}

static void
no_transport_params(uint8_t *hello, size_t len)
{
	uint8_t *type = memmem(hello, len, "\x00\x39\x00", 3);

	assert_non_null(type);
	type[1] = 0x3a;
}

static const struct {
	const char *name;
	void (*distort)(uint8_t *hello, size_t len);
	uint64_t code;
} distorted_cases[] = {
	{ "list too long", list_too_long, TLS_ERROR(GNUTLS_A_DECODE_ERROR) },
	{ "list too short", list_too_short, TLS_ERROR(GNUTLS_A_DECODE_ERROR) },
	{ "list empty", list_empty, TLS_ERROR(GNUTLS_A_DECODE_ERROR) },
	{ "name too long", name_too_long, TLS_ERROR(GNUTLS_A_DECODE_ERROR) },
	{ "name longest", name_longest, TLS_ERROR(GNUTLS_A_DECODE_ERROR) },
	{ "name empty", name_empty, TLS_ERROR(GNUTLS_A_ILLEGAL_PARAMETER) },
	{ "name of another kind", name_of_another_kind, TLS_ERROR(GNUTLS_A_ILLEGAL_PARAMETER) },
	{ "name with NUL", name_with_nul, TLS_ERROR(GNUTLS_A_ILLEGAL_PARAMETER) },
	{ "no transport parameters", no_transport_params, TLS_ERROR(GNUTLS_A_ILLEGAL_PARAMETER) },
};

static void
client_hello__is_refused_when_its_name_is_malformed(void **state)
{
	struct fixture *fx = *state;
	struct quic_tls *client = client_create(NULL, NULL);

	for (size_t i = 0; i < RTE_DIM(distorted_cases); i++) {
		struct pair *pair = begin(fx, client, "_name_");

		distort = distorted_cases[i].distort;
		gnutls_handshake_set_read_function(pair->client.tls, send_distorted);
		pair_run(pair);
		if (pair->client.heard != distorted_cases[i].code)
			print_message("%s: 0x%" PRIx64, distorted_cases[i].name,
					pair->client.heard);
		assert_true(pair->server.has_error);
		pair_free(pair);
	}
	quic_tls_free(client);
}

static uint64_t rnd;

static void
any_bytes(uint8_t *hello, size_t len)
{
	for (unsigned int i = 0; i < 1 + rnd % 3; i++) {
		rnd = rnd * UINT64_C(6364136223846793005) + 1442695040888963407;
		hello[(rnd >> 33) % len] = (uint8_t)(rnd >> 24);
	}
}

/* With the sanitizers: nothing is read or written that is not there. */
static void
client_hello__may_be_anything(void **state)
{
	struct fixture *fx = *state;
	struct quic_tls *client = client_create(NULL, NULL);

	distort = any_bytes;
	for (rnd = 0; rnd < 2000;) {
		uint64_t seed = rnd;
		struct pair *pair = begin(fx, client, "_name_");

		gnutls_handshake_set_read_function(pair->client.tls, send_distorted);
		pair_run(pair);
		pair_free(pair);
		rnd = seed + 1;
	}
	quic_tls_free(client);
}

static void
rename_second(uint8_t *hello, size_t len)
{
	static unsigned int nth;

	if (nth++ == 1)
		find_name(hello, len)[5] = 'X';
}

static void
client_hello__cannot_change_its_name_by_a_second(void **state)
{
	struct fixture *fx = *state;
	struct quic_tls *client =
			client_create(TLS13 ":-GROUP-ALL:+GROUP-SECP521R1:+GROUP-SECP256R1", NULL);
	struct pair *pair = begin(fx, client, "_name_");

	distort = rename_second;
	gnutls_handshake_set_read_function(pair->client.tls, send_distorted);
	pair_run(pair);
	assert_int_equal(pair->client.heard, TLS_ERROR(GNUTLS_A_ILLEGAL_PARAMETER));
	pair_free(pair);
	quic_tls_free(client);
}

/* --- the rest ----------------------------------------------------------------------------- */

static void
client__takes_the_pinned_certificate_alone(void **state)
{
	struct fixture *fx = *state;

	for (int is_wrong = 0; is_wrong < 2; is_wrong++) {
		uint8_t fingerprint[PLM_QUIC_FINGERPRINT_SIZE];
		struct quic_tls *client;
		struct pair *pair;
		size_t len = 0;
		const uint8_t *der = plm_quic_identity_cert(fx->id, PLM_QUIC_CERT_ED25519, &len);

		assert_int_equal(plm_quic_fingerprint(der, len, fingerprint), 0);
		fingerprint[31] ^= (uint8_t)is_wrong;
		client = client_create(NULL, fingerprint);
		pair = begin(fx, client, "room");
		pair_run(pair);
		assert_int_equal(pair->is_done, !is_wrong);
		assert_int_equal(pair->server.heard,
				is_wrong ? TLS_ERROR(GNUTLS_A_BAD_CERTIFICATE) : 0);
		pair_free(pair);
		quic_tls_free(client);
	}
}

static void
create__refuses_what_cannot_work(void **state)
{
	struct plm_quic_identity *empty = plm_quic_identity_create();

	rte_errno = 0;
	assert_null(quic_tls_server_create(empty));
	assert_int_equal(rte_errno, EINVAL);
	rte_errno = 0;
	assert_null(quic_tls_client_create(
			&(struct quic_tls_client_conf){ .priority = "NORMAL:+X" }));
	assert_int_equal(rte_errno, EINVAL);
	plm_quic_identity_free(empty);
}

#define FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE(handshake__agrees_on_our_cipher_and_the_clients_signatures),
		FIXTURE(handshake__refuses_clients_with_nothing_in_common),
		FIXTURE(alpn__must_be_wzp),
		FIXTURE(client__leaves_a_server_that_chooses_no_protocol),
		FIXTURE(server_name__arrives_as_sent_or_not_at_all),
		FIXTURE(client_session__sends_underscores_and_no_longer_names),
		FIXTURE(server_name__survives_a_hello_retry_request),
		FIXTURE(server_name__arrives_over_two_initials),
		FIXTURE(client_hello__is_refused_when_its_name_is_malformed),
		FIXTURE(client_hello__cannot_change_its_name_by_a_second),
		FIXTURE(client_hello__may_be_anything),
		FIXTURE(client__takes_the_pinned_certificate_alone),
		cmocka_unit_test(create__refuses_what_cannot_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

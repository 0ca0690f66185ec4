/* SPDX-License-Identifier: BSD-3-Clause */
/* One connection: made, fed, timed, ended. What it sends is in send.c and stream.c. */
#include <errno.h>
#include <string.h>

#include <rte_branch_prediction.h>

#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include "plm_sim.h"
#include "quic_priv.h"
#include "quic_tls.h"

/* The client's first destination id (RFC 9000 §7.2 asks for eight bytes at least). */
#define FIRST_CID  18
#define CLOSING_NS (3 * PLM_NS_PER_S)

/* --- paths --------------------------------------------------------------------------------- */

/* An end of a path as ngtcp2 compares it. */
static ngtcp2_socklen
sockaddr_to(ngtcp2_sockaddr_union *to, const uint8_t *addr, rte_be16_t port, bool is_v6)
{
	if (is_v6) {
		to->in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = port };
		if (addr != NULL)
			memcpy(&to->in6.sin6_addr, addr, sizeof(to->in6.sin6_addr));
		return sizeof(to->in6);
	}
	to->in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = port };
	if (addr != NULL)
		memcpy(&to->in.sin_addr, addr, sizeof(to->in.sin_addr));
	return sizeof(to->in);
}

void
quic_path_to(ngtcp2_path_storage *to, const struct plm_quic_path *from)
{
	to->path.local.addr = &to->local_addrbuf.sa;
	to->path.local.addrlen =
			sockaddr_to(&to->local_addrbuf, NULL, from->local_idx, from->is_v6);
	to->path.remote.addr = &to->remote_addrbuf.sa;
	to->path.remote.addrlen =
			sockaddr_to(&to->remote_addrbuf, from->addr, from->port, from->is_v6);
	to->path.user_data = NULL;
}

void
quic_path_from(struct plm_quic_path *to, const ngtcp2_path *from)
{
	*to = (struct plm_quic_path){ 0 };
	if (from->remote.addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *remote = (const void *)from->remote.addr;

		memcpy(to->addr, &remote->sin6_addr, sizeof(to->addr));
		to->port = remote->sin6_port;
		to->local_idx = ((const struct sockaddr_in6 *)(const void *)from->local.addr)
						->sin6_port;
		to->is_v6 = 1;
	} else {
		const struct sockaddr_in *remote = (const void *)from->remote.addr;

		memcpy(to->addr, &remote->sin_addr, sizeof(remote->sin_addr));
		to->port = remote->sin_port;
		to->local_idx = ((const struct sockaddr_in *)(const void *)from->local.addr)
						->sin_port;
	}
}

/* --- the end ------------------------------------------------------------------------------- */

void
quic_conn_fail(struct plm_quic_conn *conn, int liberr)
{
	switch (liberr) {
	case NGTCP2_ERR_IDLE_CLOSE:
	case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
		conn->end.is_timeout = true;
		conn->state = PLM_QUIC_DEAD;
		return;
	case NGTCP2_ERR_DROP_CONN: /* the first packet was none */
	case NGTCP2_ERR_RETRY:
	case NGTCP2_ERR_VERSION_NEGOTIATION:
	case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
		conn->state = PLM_QUIC_DEAD;
		return;
	case NGTCP2_ERR_DRAINING: {
		const ngtcp2_ccerr *err = ngtcp2_conn_get_ccerr(conn->ng);

		conn->end.code = err->error_code;
		conn->end.is_application = err->type == NGTCP2_CCERR_TYPE_APPLICATION;
		conn->end.is_remote = true;
		conn->state = PLM_QUIC_DRAINING;
		return;
	}
	case NGTCP2_ERR_CLOSING:
		conn->state = PLM_QUIC_CLOSING;
		return;
	default:
		break;
	}
	if (conn->close_due)
		return;
	if (liberr == NGTCP2_ERR_CRYPTO)
		ngtcp2_ccerr_set_tls_alert(&conn->error, ngtcp2_conn_get_tls_alert(conn->ng), NULL,
				0);
	else
		ngtcp2_ccerr_set_liberr(&conn->error, liberr, NULL, 0);
	conn->end.code = conn->error.error_code;
	conn->close_due = true;
	conn->is_dirty = true;
}

void
plm_quic_close(struct plm_quic_conn *conn, uint64_t code, const char *reason)
{
	if (conn->state > PLM_QUIC_ESTABLISHED || conn->close_due)
		return;
	ngtcp2_ccerr_set_application_error(&conn->error, code, (const uint8_t *)reason,
			strlen(reason));
	conn->end.code = code;
	conn->end.is_application = true;
	conn->close_due = true;
	conn->is_dirty = true;
}

/* --- callbacks ----------------------------------------------------------------------------- */

static void
fill_rand(uint8_t *dest, size_t len, const ngtcp2_rand_ctx *ctx)
{
	const struct plm_quic *quic = ctx->native_handle;

	plm_rand_fill(&quic->conf.rand, dest, len);
}

static int
path_challenge(ngtcp2_conn *ng, uint8_t *buf, void *user_data)
{
	struct plm_quic_conn *conn = user_data;

	plm_rand_fill(&conn->quic->conf.rand, buf, NGTCP2_PATH_CHALLENGE_DATALEN);
	return 0;
}

static void
new_cid(struct plm_quic_conn *conn, ngtcp2_cid *cid)
{
	cid->datalen = PLM_CID_LEN;
	plm_cid_make(&conn->quic->conf.cid_key, conn->worker, conn->slot, conn->gen,
			conn->cid_seq++, cid->data);
}

static int
get_new_cid(ngtcp2_conn *ng, ngtcp2_cid *cid, uint8_t *token, size_t len, void *user_data)
{
	struct plm_quic_conn *conn = user_data;
	const struct plm_quic_conf *conf = &conn->quic->conf;

	new_cid(conn, cid);
	if (ngtcp2_crypto_generate_stateless_reset_token(token, conf->reset_secret,
			    sizeof(conf->reset_secret), cid) != 0)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int
handshake_completed(ngtcp2_conn *ng, void *user_data)
{
	struct plm_quic_conn *conn = user_data;

	conn->state = PLM_QUIC_ESTABLISHED;
	quic_arena_grow_up(&conn->arena);
	conn->ops->established(conn->ops_ctx, conn);
	return 0;
}

/* Handshake messages belong to the handshake: a server has no tickets to give, and none are read. */
static int
recv_crypto(ngtcp2_conn *ng, ngtcp2_encryption_level level, uint64_t offset, const uint8_t *buf,
		size_t len, void *user_data)
{
	struct plm_quic_conn *conn = user_data;
	int ret;

	if (level == NGTCP2_ENCRYPTION_LEVEL_1RTT) {
		if (!ngtcp2_conn_is_server(ng)) /* a foreign server's tickets */
			return 0;
		return NGTCP2_ERR_PROTO;
	}
	conn->arena.is_brief = conn->arena.age == QUIC_ARENA_YOUNG;
	ret = ngtcp2_crypto_recv_crypto_data_cb(ng, level, offset, buf, len, user_data);
	conn->arena.is_brief = false;
	return ret;
}

static int
recv_datagram(ngtcp2_conn *ng, uint32_t flags, const uint8_t *buf, size_t len, void *user_data)
{
	struct plm_quic_conn *conn = user_data;

	conn->ops->datagram(conn->ops_ctx, conn, buf, len);
	return 0;
}

static int
ack_datagram(ngtcp2_conn *ng, uint64_t id, void *user_data)
{
	quic_control_acked(&((struct plm_quic_conn *)user_data)->control, id);
	return 0;
}

static int
lost_datagram(ngtcp2_conn *ng, uint64_t id, void *user_data)
{
	struct plm_quic_conn *conn = user_data;

	quic_control_lost(&conn->control, id, conn->now_ns);
	return 0;
}

static int
path_validated(ngtcp2_conn *ng, uint32_t flags, const ngtcp2_path *path, const ngtcp2_path *old,
		ngtcp2_path_validation_result res, void *user_data)
{
	struct plm_quic_conn *conn = user_data;

	if (res != NGTCP2_PATH_VALIDATION_RESULT_SUCCESS)
		return 0;
	quic_path_from(&conn->path, path);
	quic_control_moved(&conn->control);
	conn->ops->moved(conn->ops_ctx, conn, &conn->path);
	return 0;
}

static int
recv_reset(ngtcp2_conn *ng, const ngtcp2_pkt_stateless_reset *reset, void *user_data)
{
	struct plm_quic_conn *conn = user_data;

	conn->end.is_reset = true;
	conn->end.is_remote = true;
	return 0;
}

void
quic_conn_callbacks(struct plm_quic *quic)
{
	ngtcp2_callbacks both = {
		.recv_crypto_data = recv_crypto,
		.handshake_completed = handshake_completed,
		.rand = fill_rand,
		.get_new_connection_id = get_new_cid,
		.path_validation = path_validated,
		.recv_datagram = recv_datagram,
		.ack_datagram = ack_datagram,
		.lost_datagram = lost_datagram,
		.get_path_challenge_data = path_challenge,
		.recv_stateless_reset = recv_reset,
		.version_negotiation = ngtcp2_crypto_version_negotiation_cb,
	};

	quic_keys_callbacks(&both);
	quic_stream_callbacks(&both);
	quic->server = both;
	quic->server.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
	quic->client = both;
	quic->client.client_initial = ngtcp2_crypto_client_initial_cb;
	quic->client.recv_retry = ngtcp2_crypto_recv_retry_cb;
}

/* --- made and ended ------------------------------------------------------------------------- */

static ngtcp2_conn *
ref_conn(ngtcp2_crypto_conn_ref *ref)
{
	return ((struct plm_quic_conn *)ref->user_data)->ng;
}

/* The connection stands at the start of its own arena. */
static struct plm_quic_conn *
conn_new(struct plm_quic *quic, const struct plm_quic_new *new)
{
	struct plm_quic_conn *conn = new->arena;
	size_t own = RTE_ALIGN_CEIL(sizeof(*conn), (size_t)RTE_CACHE_LINE_SIZE);

	*conn = (struct plm_quic_conn){
		.quic = quic,
		.ops = new->ops,
		.ops_ctx = new->ops_ctx,
		.worker = new->worker,
		.slot = new->slot,
		.gen = new->gen,
		.path = new->path,
		.tls = new->tls,
		.ref = { ref_conn, conn },
	};
	quic_arena_init(&conn->arena, (uint8_t *)new->arena + own, new->arena_size - own,
			new->memory);
	conn->arena.max_extents = new->max_extents != 0 ? new->max_extents : PLM_QUIC_EXTENTS_MAX;
	quic_arena_mem(&conn->arena, &conn->mem);
	quic_stream_init(conn);
	quic_control_init(&conn->control, PLM_QUIC_PACKET_MAX);
	return conn;
}

static void
settings_fill(const struct plm_quic *quic, ngtcp2_settings *settings, uint64_t now_ns)
{
	static const uint32_t versions[] = { NGTCP2_PROTO_VER_V1 };

	ngtcp2_settings_default(settings);
	settings->initial_ts = now_ns;
	settings->handshake_timeout = quic->conf.handshake_timeout_ns;
	settings->rand_ctx.native_handle = (void *)(uintptr_t)quic;
	/* Its window never falls below two of what is said to be a packet; the limit of datagrams is our
	 * own, and so is the size of packets: see control.c. */
	settings->cc_algo = NGTCP2_CC_ALGO_CUBIC;
	settings->max_tx_udp_payload_size = 65527;
	/* Said in the transport parameters, which some clients insist on (RFC 9368). */
	settings->preferred_versions = versions;
	settings->preferred_versionslen = RTE_DIM(versions);
	settings->available_versions = versions;
	settings->available_versionslen = RTE_DIM(versions);
	settings->no_tx_udp_payload_size_shaping = 1;
}

static void
params_fill(const struct plm_quic *quic, ngtcp2_transport_params *params)
{
	const struct plm_quic_conf *conf = &quic->conf;
	uint32_t most = conf->has_large_windows ? UINT32_MAX : PLM_QUIC_WINDOW_MAX;
	uint64_t stream_bytes = RTE_MIN(conf->max_stream_bytes, most);

	ngtcp2_transport_params_default(params);
	params->max_idle_timeout = conf->idle_timeout_ns;
	params->max_udp_payload_size = PLM_QUIC_PACKET_MAX;
	params->initial_max_data = RTE_MIN(conf->max_bytes, most);
	params->initial_max_stream_data_bidi_local = stream_bytes;
	params->initial_max_stream_data_bidi_remote = stream_bytes;
	params->initial_max_stream_data_uni = stream_bytes;
	params->initial_max_streams_bidi = conf->max_streams;
	params->initial_max_streams_uni = conf->max_streams;
	params->max_datagram_frame_size = 65535;
	params->active_connection_id_limit = 5;
	params->max_ack_delay = PLM_QUIC_ACK_NS;
}

static void
conn_begin(struct plm_quic_conn *conn)
{
	ngtcp2_conn_set_tls_native_handle(conn->ng, conn->tls);
	ngtcp2_conn_set_keep_alive_timeout(conn->ng,
			conn->quic->conf.keep_alive_ns == 0 ? UINT64_MAX
							    : conn->quic->conf.keep_alive_ns);
	gnutls_session_set_ptr(conn->tls, &conn->ref);
	quic_keys_take_over(conn, conn->tls);
	conn->is_dirty = true;
}

int
plm_quic_conn_server(struct plm_quic *quic, const struct plm_quic_new *new, uint64_t now_ns,
		struct plm_quic_conn **out)
{
	struct plm_quic_conn *conn = conn_new(quic, new);
	ngtcp2_transport_params params;
	ngtcp2_settings settings;
	ngtcp2_path_storage path;
	ngtcp2_cid client, own;
	int ret;

	conn->arena.age = QUIC_ARENA_YOUNG;
	settings_fill(quic, &settings, quic_time(conn, now_ns));
	settings.token = new->token;
	settings.tokenlen = new->token_len;
	settings.token_type = new->original_dcid != NULL ? NGTCP2_TOKEN_TYPE_RETRY
							 : NGTCP2_TOKEN_TYPE_UNKNOWN;
	params_fill(quic, &params);
	params.original_dcid_present = 1;
	if (new->original_dcid != NULL) {
		ngtcp2_cid_init(&params.original_dcid, new->original_dcid, new->original_dcid_len);
		ngtcp2_cid_init(&params.retry_scid, new->dcid, new->dcid_len);
		params.retry_scid_present = 1;
	} else {
		ngtcp2_cid_init(&params.original_dcid, new->dcid, new->dcid_len);
	}
	new_cid(conn, &own);
	params.stateless_reset_token_present = 1;
	if (ngtcp2_crypto_generate_stateless_reset_token(params.stateless_reset_token,
			    quic->conf.reset_secret, sizeof(quic->conf.reset_secret), &own) != 0)
		return -EINVAL;
	ngtcp2_cid_init(&client, new->scid, new->scid_len);
	quic_path_to(&path, &new->path);
	conn->arena.is_brief = true;
	ret = ngtcp2_conn_server_new(&conn->ng, &client, &own, &path.path, new->version,
			&quic->server, &settings, &params, &conn->mem, conn);
	conn->arena.is_brief = false;
	if (ret != 0)
		return -ENOMEM;
	conn_begin(conn);
	*out = conn;
	return 0;
}

int
plm_quic_conn_client(struct plm_quic *quic, const struct plm_quic_new *new, uint64_t now_ns,
		struct plm_quic_conn **out)
{
	struct plm_quic_conn *conn = conn_new(quic, new);
	ngtcp2_transport_params params;
	ngtcp2_settings settings;
	ngtcp2_path_storage path;
	ngtcp2_cid server, own;

	settings_fill(quic, &settings, quic_time(conn, now_ns));
	params_fill(quic, &params);
	server.datalen = FIRST_CID;
	plm_rand_fill(&quic->conf.rand, server.data, FIRST_CID);
	new_cid(conn, &own);
	quic_path_to(&path, &new->path);
	if (ngtcp2_conn_client_new(&conn->ng, &server, &own, &path.path, NGTCP2_PROTO_VER_V1,
			    &quic->client, &settings, &params, &conn->mem, conn) != 0)
		return -ENOMEM;
	conn_begin(conn);
	*out = conn;
	return 0;
}

void
plm_quic_conn_free(struct plm_quic_conn *conn)
{
	if (conn == NULL)
		return;
	plm_sched_point(QUIC_TOUCH, conn);
	quic_stream_fini(conn);
	ngtcp2_conn_del(conn->ng);
	quic_arena_fini(&conn->arena);
}

void *
plm_quic_conn_tls_take(struct plm_quic_conn *conn)
{
	void *tls = conn->tls;

	if (tls == NULL)
		return NULL;
	conn->tls = NULL;
	ngtcp2_conn_set_tls_native_handle(conn->ng, NULL);
	return tls;
}

const char *
plm_quic_conn_name(const struct plm_quic_conn *conn)
{
	return conn->tls == NULL ? "" : quic_tls_name(conn->tls);
}

void
plm_quic_conn_adopt(struct plm_quic_conn *conn, const struct plm_quic_ops *ops, void *ops_ctx,
		const struct plm_quic_memory *memory)
{
	conn->arena.memory = memory;
	conn->arena.max_extents = PLM_QUIC_EXTENTS_MAX;
	conn->ops = ops;
	conn->ops_ctx = ops_ctx;
}

/* --- packets and time ----------------------------------------------------------------------- */

/* While we close, every packet may be one that did not hear it: answer the 1st, 2nd, 4th, 8th... (RFC
 * 9000 §10.2.1). */
static void
hear_closing(struct plm_quic_conn *conn)
{
	if (conn->close_heard < UINT16_MAX - 1)
		conn->close_heard++;
	if (conn->close_len > 0 && (conn->close_heard & (conn->close_heard - 1)) == 0)
		conn->is_dirty = true;
}

enum plm_quic_state
plm_quic_recv(struct plm_quic_conn *conn, const struct plm_quic_path *path, uint8_t ecn,
		uint8_t *buf, size_t len, uint64_t now_ns)
{
	ngtcp2_path_storage ps;
	ngtcp2_pkt_info pi = { .ecn = ecn };
	int ret;

	plm_sched_point(QUIC_TOUCH, conn);
	if (unlikely(conn->state > PLM_QUIC_ESTABLISHED || conn->close_due)) {
		if (conn->state == PLM_QUIC_CLOSING)
			hear_closing(conn);
		return conn->state;
	}
	/* Packets of the handshake are answered at once; from another address it may have to be asked whether it is there. */
	conn->got_more = conn->state == PLM_QUIC_HANDSHAKE || (len > 0 && buf[0] & 0x80) ||
			ecn == NGTCP2_ECN_CE || memcmp(path, &conn->path, sizeof(*path)) != 0;
	quic_path_to(&ps, path);
	now_ns = quic_time(conn, now_ns);
	ret = ngtcp2_conn_read_pkt(conn->ng, &ps.path, &pi, buf, len, now_ns);
	/* An acknowledgement may tell that stream data was lost, and makes room for more of it. */
	conn->is_dirty |= conn->got_more || conn->nb_chunks > 0;
	if (unlikely(ret != 0)) {
		quic_conn_fail(conn, ret);
		if (conn->end.is_reset && conn->state == PLM_QUIC_DRAINING)
			conn->end.code = 0;
	}
	return conn->state;
}

uint64_t
plm_quic_expiry(struct plm_quic_conn *conn)
{
	if (unlikely(conn->state > PLM_QUIC_ESTABLISHED))
		return conn->state == PLM_QUIC_DEAD ? UINT64_MAX : conn->closed_ns;
	return ngtcp2_conn_get_expiry(conn->ng);
}

/* Three probe timeouts (RFC 9000 §10.2), of which the peer has a say: not for ever. */
uint64_t
quic_closing_ns(struct plm_quic_conn *conn)
{
	return RTE_MIN(3 * (uint64_t)ngtcp2_conn_get_pto(conn->ng), (uint64_t)CLOSING_NS);
}

enum plm_quic_state
plm_quic_timer(struct plm_quic_conn *conn, uint64_t now_ns)
{
	int ret;

	plm_sched_point(QUIC_TOUCH, conn);
	if (conn->state > PLM_QUIC_ESTABLISHED) {
		if (conn->closed_ns == 0) /* three probe timeouts (RFC 9000 §10.2) */
			conn->closed_ns = now_ns + quic_closing_ns(conn);
		else if (now_ns >= conn->closed_ns)
			conn->state = PLM_QUIC_DEAD;
		return conn->state;
	}
	now_ns = quic_time(conn, now_ns);
	ret = ngtcp2_conn_handle_expiry(conn->ng, now_ns);
	conn->is_dirty = true;
	if (unlikely(ret != 0))
		quic_conn_fail(conn, ret);
	return conn->state;
}

int
plm_quic_key_update(struct plm_quic_conn *conn, uint64_t now_ns)
{
	if (conn->state != PLM_QUIC_ESTABLISHED ||
			ngtcp2_conn_initiate_key_update(conn->ng, quic_time(conn, now_ns)) != 0)
		return -EAGAIN;
	return 0;
}

int
plm_quic_migrate(struct plm_quic_conn *conn, const struct plm_quic_path *path, uint64_t now_ns)
{
	ngtcp2_path_storage ps;

	quic_path_to(&ps, path);
	if (conn->state != PLM_QUIC_ESTABLISHED ||
			ngtcp2_conn_initiate_immediate_migration(conn->ng, &ps.path,
					quic_time(conn, now_ns)) != 0)
		return -EAGAIN;
	conn->path = *path;
	conn->is_dirty = true;
	return 0;
}

/* --- what is known of it -------------------------------------------------------------------- */

enum plm_quic_state
plm_quic_conn_state(const struct plm_quic_conn *conn)
{
	return conn->state;
}

struct plm_quic_end
plm_quic_conn_end(const struct plm_quic_conn *conn)
{
	return conn->end;
}

const uint8_t *
plm_quic_conn_reason(const struct plm_quic_conn *conn, size_t *len)
{
	const ngtcp2_ccerr *err = ngtcp2_conn_get_ccerr(conn->ng);

	*len = conn->end.is_remote ? err->reasonlen : 0;
	return err->reason;
}

void
plm_quic_trim(struct plm_quic_conn *conn)
{
	quic_arena_trim(&conn->arena);
}

bool
plm_quic_is_dirty(const struct plm_quic_conn *conn)
{
	return conn->is_dirty;
}

bool
plm_quic_has_unacked(const struct plm_quic_conn *conn)
{
	return conn->nb_chunks > 0;
}

uint64_t
plm_quic_in_flight(const struct plm_quic_conn *conn)
{
	return conn->control.in_flight;
}

const struct plm_quic_heard *
plm_quic_conn_heard(const struct plm_quic_conn *conn)
{
	return &conn->heard;
}

const struct plm_quic_path *
plm_quic_conn_path(const struct plm_quic_conn *conn)
{
	return &conn->path;
}

uint32_t
plm_quic_conn_slot(const struct plm_quic_conn *conn)
{
	return conn->slot;
}

void
plm_quic_conn_figures(const struct plm_quic_conn *conn, struct plm_quic_figures *f)
{
	const ngtcp2_transport_params *peer = ngtcp2_conn_get_remote_transport_params(conn->ng);
	ngtcp2_conn_info cinfo;

	ngtcp2_conn_get_conn_info(conn->ng, &cinfo);
	*f = (struct plm_quic_figures){
		.srtt_ns = cinfo.smoothed_rtt,
		.min_rtt_ns = cinfo.min_rtt == UINT64_MAX ? 0 : cinfo.min_rtt,
		.cwnd = cinfo.cwnd,
		.in_flight = cinfo.bytes_in_flight,
		.datagrams_lost = conn->control.lost,
		.datagrams_acked = conn->control.acked,
		.undecryptable = conn->heard.undecryptable,
		/* The keys after the present ones are made ahead of time. */
		.key_updates = conn->key_updates > 0 ? conn->key_updates - 1 : 0,
		.max_payload = conn->control.mtu_known,
		.max_datagram = peer == NULL ? 0
					     : (uint16_t)RTE_MIN(peer->max_datagram_frame_size,
							       (uint64_t)UINT16_MAX),
		.arena_used = conn->arena.used,
		.arena_peak = conn->arena.peak,
		.arena_size = conn->arena.size,
		.cipher = conn->cipher,
	};
}

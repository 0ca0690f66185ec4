/* SPDX-License-Identifier: BSD-3-Clause */
/* A participant over QUIC. Packets out are gathered in one batch that all participants share: each call
 * here that may write some sends them before it returns. */
#include "quic.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>

#include <rte_common.h>
#include <rte_errno.h>

#include "client.h"
#include "quic_side.h"

#define HANDSHAKE_NS (10 * PLM_NS_PER_S)
#define IDLE_NS      (30 * PLM_NS_PER_S)
#define ARENA_SIZE   (64 * 1024)
#define EXTENT_SIZE  (64 * 1024)
/* What the protocol's own clients allow (§1.5 of its specification), and what we have under way. */
#define STREAMS_MAX  100
#define STREAM_BYTES (64 * 1024)
#define BYTES_MAX    (256 * 1024)
#define CHUNKS_MAX   16
/* A key update is tried again until the handshake is confirmed and the last one old enough. */
#define KEY_RETRY_NS (50 * PLM_NS_PER_MS)
#define TX_PACKETS   64

#define PRIORITY                                                                                   \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:"                 \
	"%DISABLE_TLS13_COMPAT_MODE:-CIPHER-ALL:"

static const char *const priorities[] = {
	[QUIC_CIPHER_ANY] = PRIORITY "+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305",
	[QUIC_CIPHER_AES128] = PRIORITY "+AES-128-GCM",
	[QUIC_CIPHER_AES256] = PRIORITY "+AES-256-GCM",
	[QUIC_CIPHER_CHACHA20] = PRIORITY "+CHACHA20-POLY1305",
};

struct quic_links {
	/* const after quic_links_init() */
	struct quic_side side; /* owned */
	struct plm_quic_memory memory;

	/* packets of one participant on their way out */
	struct plm_quic_out out;
	struct participant *sender;
	unsigned int nb_tx;
	struct mmsghdr msg[TX_PACKETS];
	struct iovec iov[TX_PACKETS];
	alignas(struct cmsghdr) uint8_t control[TX_PACKETS][CMSG_SPACE(sizeof(int))];
	uint8_t buf[TX_PACKETS][PLM_QUIC_PACKET_MAX];

	/* datagrams that become packets */
	uint8_t dgrams[CLIENT_BATCH][CLIENT_DATAGRAM_MAX];
};

/* A signal on its way. */
struct message {
	struct plm_quic_chunk chunk;
	uint8_t bytes[];
};

/* --- packets out ---------------------------------------------------------------------------- */

static void
tx_send(struct quic_links *quic)
{
	if (quic->nb_tx != 0)
		participant_send_packets(quic->sender, quic->msg, quic->nb_tx);
	quic->nb_tx = 0;
}

static uint8_t *
tx_get(struct plm_quic_out *out)
{
	struct quic_links *quic = container_of(out, struct quic_links, out);

	if (quic->nb_tx == TX_PACKETS)
		tx_send(quic);
	return quic->buf[quic->nb_tx];
}

/* Have the kernel send a packet with these ECN bits. */
static void
tx_mark(struct quic_links *quic, struct msghdr *hdr, uint8_t *control, uint8_t ecn)
{
	bool v6 = quic->sender->client->conf->relay.sa.ss_family == AF_INET6;
	struct cmsghdr *c = (struct cmsghdr *)control;
	int tos = ecn;

	hdr->msg_control = ecn != 0 ? control : NULL;
	hdr->msg_controllen = ecn != 0 ? CMSG_SPACE(sizeof(tos)) : 0;
	if (ecn == 0)
		return;
	c->cmsg_level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	c->cmsg_type = v6 ? IPV6_TCLASS : IP_TOS;
	c->cmsg_len = CMSG_LEN(sizeof(tos));
	memcpy(CMSG_DATA(c), &tos, sizeof(tos));
	quic->sender->quic.ecn_sent++;
}

/* The socket is connected, so there is one path to send on. */
static void
tx_put(struct plm_quic_out *out, struct plm_quic_conn *conn, size_t len,
		const struct plm_quic_path *path, uint8_t ecn)
{
	struct quic_links *quic = container_of(out, struct quic_links, out);

	if (len == 0)
		return;
	quic->iov[quic->nb_tx].iov_len = len;
	tx_mark(quic, &quic->msg[quic->nb_tx].msg_hdr, quic->control[quic->nb_tx], ecn);
	quic->nb_tx++;
	quic->sender->quic.packets_sent++;
}

static struct plm_quic_out *
tx_begin(struct participant *p)
{
	struct quic_links *quic = p->client->quic;

	quic->sender = p;
	return &quic->out;
}

/* --- the relay's certificate ---------------------------------------------------------------- */

/* Self-signed ones say nothing more than their fingerprint; --pin was compared by the handshake. */
static void
certificate_take(struct participant *p)
{
	struct quic_link *link = &p->quic;
	unsigned int nb_chain = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(link->tls, &nb_chain);

	if (nb_chain == 0 ||
			plm_quic_fingerprint(chain[0].data, chain[0].size, link->certificate) < 0)
		return;
	link->has_certificate = true;
	link->is_unpinned = p->client->conf->has_pin &&
			memcmp(link->certificate, p->client->conf->pin, QUIC_PIN_SIZE) != 0;
}

/* --- what a connection tells ---------------------------------------------------------------- */

static void
datagram(void *ctx, struct plm_quic_conn *conn, const uint8_t *buf, size_t len)
{
	struct participant *p = ctx;

	p->quic.datagrams_received++;
	wzp_link_datagram(p, buf, len, client_now());
}

static int
stream(void *ctx, struct plm_quic_conn *conn, int64_t stream_id, const uint8_t *buf, size_t len,
		bool fin)
{
	return wzp_link_stream(ctx, stream_id, buf, len, fin);
}

static void
stream_reset(void *ctx, struct plm_quic_conn *conn, int64_t stream_id)
{
	/* There is room for it: the relay may not have more of them open than are kept. */
	wzp_link_stream(ctx, stream_id, NULL, 0, true);
}

static void
chunk_done(void *ctx, struct plm_quic_chunk *chunk)
{
	free(container_of(chunk, struct message, chunk));
}

static void
established(void *ctx, struct plm_quic_conn *conn)
{
	struct participant *p = ctx;
	uint64_t now_ns = client_now();

	certificate_take(p);
	p->quic.handshake_ns = now_ns - p->quic.start_ns;
	if (p->client->conf->key_update_ns != 0)
		p->quic.key_update_ns = now_ns + p->client->conf->key_update_ns;
}

static const struct plm_quic_ops ops = {
	.datagram = datagram,
	.stream = stream,
	.stream_reset = stream_reset,
	.established = established,
	.moved = quic_side_no_move,
	.chunk_done = chunk_done,
};

/* --- what connections share ----------------------------------------------------------------- */

static void *
extent_get(void *ctx)
{
	return aligned_alloc(RTE_CACHE_LINE_SIZE, EXTENT_SIZE);
}

static void
extent_put(void *ctx, void *region)
{
	free(region);
}

int
quic_links_init(struct client *client)
{
	struct quic_links *quic = calloc(1, sizeof(*quic));
	const struct plm_quic_conf conf = {
		.rand = { .fill = plm_crypto_random },
		.idle_timeout_ns = IDLE_NS,
		.handshake_timeout_ns = HANDSHAKE_NS,
		.keep_alive_ns = client->conf->keep_alive_ns,
		.max_streams = STREAMS_MAX,
		.max_stream_bytes = STREAM_BYTES,
		.max_bytes = BYTES_MAX,
		.max_chunks = CHUNKS_MAX,
		.has_large_windows = true,
		.leaves_streams = client->conf->no_read,
	};
	const struct quic_tls_client_conf tls_conf = {
		.fingerprint = client->conf->has_pin ? client->conf->pin : NULL,
		.priority = priorities[client->conf->cipher],
	};
	int ret = -ENOMEM;

	client->quic = quic;
	if (quic != NULL)
		ret = quic_side_init(&quic->side, &conf, PLM_AEAD_BEST,
				quic_tls_client_create(&tls_conf));
	if (ret < 0) {
		client_say(client, NULL, "QUIC: %s", rte_strerror(-ret));
		return ret;
	}
	quic->memory = (struct plm_quic_memory){ .get = extent_get,
		.put = extent_put,
		.size = EXTENT_SIZE };
	quic->out = (struct plm_quic_out){ .get = tx_get, .put = tx_put };
	for (unsigned int i = 0; i < TX_PACKETS; i++) {
		quic->iov[i].iov_base = quic->buf[i];
		quic->msg[i].msg_hdr = (struct msghdr){ .msg_iov = &quic->iov[i], .msg_iovlen = 1 };
	}
	return 0;
}

void
quic_links_fini(struct quic_links *quic)
{
	if (quic == NULL)
		return;
	quic_side_fini(&quic->side);
	free(quic);
}

/* --- a connection --------------------------------------------------------------------------- */

static void
path_fill(struct plm_quic_path *path, const struct client_addr *to)
{
	*path = (struct plm_quic_path){ 0 };
	if (to->sa.ss_family == AF_INET6) {
		const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)&to->sa;

		memcpy(path->addr, &sin6->sin6_addr, sizeof(path->addr));
		path->port = sin6->sin6_port;
		path->is_v6 = 1;
	} else {
		const struct sockaddr_in *sin = (const struct sockaddr_in *)&to->sa;

		memcpy(path->addr, &sin->sin_addr, sizeof(sin->sin_addr));
		path->port = sin->sin_port;
	}
}

/* How a participant stands whose connection does. */
static enum ice_state
room_state(const struct participant *p)
{
	switch (p->wzp.stage) {
	case WZP_IN_ROOM:
		return ICE_JOINED;
	case WZP_UNANSWERED:
		return ICE_NO_ANSWER;
	case WZP_MISTAKEN:
		return ICE_REFUSED;
	default:
		return ICE_CHECKING;
	}
}

/* How the participant stands, after anything that may have changed it. */
static void
state_update(struct participant *p)
{
	struct quic_link *link = &p->quic;
	enum plm_quic_state state = plm_quic_conn_state(link->conn);

	if (state == PLM_QUIC_HANDSHAKE || ice_state_over(link->state))
		return;
	if (state == PLM_QUIC_ESTABLISHED) {
		link->state = room_state(p);
		return;
	}
	certificate_take(p);
	if (!plm_quic_conn_end(link->conn).is_timeout)
		link->state = ICE_REFUSED;
	else
		link->state = link->handshake_ns != 0 ? ICE_LOST : ICE_NO_ANSWER;
}

static bool
flush(struct participant *p, uint64_t now_ns)
{
	struct plm_quic_conn *conn = p->quic.conn;
	bool more = false;

	if (plm_quic_is_dirty(conn))
		more = plm_quic_flush(conn, tx_begin(p), now_ns);
	tx_send(p->client->quic);
	state_update(p);
	return more;
}

void
quic_link_start(struct participant *p, uint64_t now_ns)
{
	struct quic_link *link = &p->quic;
	struct quic_links *quic = p->client->quic;
	struct plm_quic_new new = {
		.arena_size = ARENA_SIZE,
		.memory = &quic->memory,
		.slot = p->idx,
		.gen = 1,
		.ops = &ops,
		.ops_ctx = p,
	};
	gnutls_session_t session;

	link->start_ns = now_ns;
	link->state = ICE_CHECKING;
	link->arena = aligned_alloc(RTE_CACHE_LINE_SIZE, ARENA_SIZE);
	path_fill(&link->path, &p->client->conf->relay);
	new.arena = link->arena;
	new.path = link->path;
	if (quic_tls_client_session(quic->side.tls, p->room, &session) == 0)
		link->tls = session;
	new.tls = link->tls;
	if (link->tls == NULL || link->arena == NULL ||
			plm_quic_conn_client(quic->side.quic, &new, now_ns, &link->conn) < 0) {
		link->conn = NULL;
		link->state = ICE_REFUSED;
		return;
	}
	flush(p, now_ns);
}

void
quic_link_input(struct participant *p, uint8_t ecn, uint8_t *buf, size_t len, uint64_t now_ns)
{
	p->quic.packets_received++;
	p->quic.ecn_received[ecn]++;
	if (p->quic.conn != NULL)
		plm_quic_recv(p->quic.conn, &p->quic.path, ecn, buf, len, now_ns);
}

uint64_t
quic_link_turn(struct participant *p)
{
	struct quic_link *link = &p->quic;
	/* Its time must not go back: what was sent in this turn had a later one than its beginning. */
	uint64_t now_ns = client_now();
	uint64_t next_ns = UINT64_MAX;
	bool more;

	if (link->conn == NULL)
		return UINT64_MAX;
	if (plm_quic_conn_state(link->conn) == PLM_QUIC_ESTABLISHED)
		next_ns = wzp_link_turn(p, now_ns);
	if (link->key_update_ns != 0 && now_ns >= link->key_update_ns)
		link->key_update_ns = plm_quic_key_update(link->conn, now_ns) == 0
				? 0
				: now_ns + KEY_RETRY_NS;
	if (plm_quic_expiry(link->conn) <= now_ns)
		plm_quic_timer(link->conn, now_ns);
	more = flush(p, now_ns);
	if (more)
		return now_ns;
	if (link->key_update_ns != 0)
		next_ns = RTE_MIN(next_ns, link->key_update_ns);
	return RTE_MIN(next_ns, plm_quic_expiry(link->conn));
}

void
quic_link_send_batch(struct participant *p, unsigned int n)
{
	struct quic_link *link = &p->quic;
	struct quic_links *quic = p->client->quic;
	const struct batch *tx = p->client->tx;
	struct plm_quic_dgram dgrams[CLIENT_BATCH];
	uint64_t now_ns = client_now();
	unsigned int nb = 0;

	for (unsigned int i = 0; i < n; i++) {
		const struct iovec *iov = tx->msg[i].msg_hdr.msg_iov;
		size_t len = wzp_link_wrap(p, tx->wrap[i], iov->iov_base, iov->iov_len, now_ns,
				quic->dgrams[nb], sizeof(quic->dgrams[nb]));

		if (len != 0)
			dgrams[nb] = (struct plm_quic_dgram){ .buf = quic->dgrams[nb],
				.len = (uint16_t)len };
		nb += len != 0;
	}
	plm_quic_send(link->conn, tx_begin(p), dgrams, nb, now_ns);
	tx_send(p->client->quic);
	for (unsigned int i = 0; i < nb; i++)
		link->verdicts[dgrams[i].verdict]++;
}

int
quic_link_signal(struct participant *p, const uint8_t *frame, size_t len)
{
	struct message *message = malloc(sizeof(*message) + len);
	int ret;

	if (message == NULL)
		return -ENOMEM;
	memcpy(message->bytes, frame, len);
	message->chunk = (struct plm_quic_chunk){ .buf = message->bytes, .len = (uint32_t)len };
	ret = plm_quic_stream_send(p->quic.conn, &message->chunk);
	if (ret < 0)
		free(message);
	return ret;
}

bool
quic_link_is_waiting(const struct participant *p)
{
	return p->quic.conn != NULL && plm_quic_conn_state(p->quic.conn) == PLM_QUIC_ESTABLISHED &&
			plm_quic_has_unacked(p->quic.conn);
}

void
quic_link_migrate(struct participant *p)
{
	struct quic_link *link = &p->quic;
	struct plm_quic_path path = link->path;

	path.local_idx++;
	/* What comes to the new port comes over the new path, whoever speaks of it first. */
	if (plm_quic_migrate(link->conn, &path, client_now()) == 0)
		link->path = path;
	else
		client_say(p->client, p,
				"cannot migrate: no spare connection id, or not confirmed");
}

void
quic_link_leave(struct participant *p)
{
	if (p->quic.conn == NULL)
		return;
	plm_quic_close(p->quic.conn, 0, "normal close");
	/* Its state stays what it was: this is no end that came over it. */
	plm_quic_flush(p->quic.conn, tx_begin(p), client_now());
	tx_send(p->client->quic);
}

void
quic_link_end(struct participant *p)
{
	struct quic_link *link = &p->quic;

	if (link->conn != NULL)
		plm_quic_conn_tls_take(link->conn); /* `tls` */
	plm_quic_conn_free(link->conn);
	if (link->tls != NULL)
		gnutls_deinit(link->tls);
	free(link->arena);
	*link = (struct quic_link){ .conn = NULL };
}

/* --- for people ----------------------------------------------------------------------------- */

/* The names of RFC 9000 §20.1. */
static const char *
transport_error(uint64_t code)
{
	static const char *const names[] = { "no error", "internal error", "connection refused",
		"flow control error", "stream limit error", "stream state error",
		"final size error", "frame encoding error", "transport parameter error",
		"connection id limit error", "protocol violation", "invalid token",
		"application error", "crypto buffer exceeded", "key update error",
		"AEAD limit reached", "no viable path" };

	if (code >= 0x100 && code <= 0x1ff) {
		const char *name = gnutls_alert_get_name((gnutls_alert_description_t)(code & 0xff));

		return name != NULL ? name : "TLS alert";
	}
	return code < RTE_DIM(names) ? names[code] : "unknown error";
}

static void
add_hex(struct plm_text *text, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		plm_text_add(text, "%02x", bytes[i]);
}

void
quic_link_why(const struct participant *p, struct plm_text *text)
{
	const struct quic_link *link = &p->quic;
	struct plm_quic_end end;
	const uint8_t *reason;
	size_t len;

	if (link->conn == NULL) {
		plm_text_add(text, "no connection: no memory, or a room that is no server name");
		return;
	}
	end = plm_quic_conn_end(link->conn);
	if (link->is_unpinned) {
		plm_text_add(text, "the certificate is not that of --pin: its SHA-256 is ");
		add_hex(text, link->certificate, sizeof(link->certificate));
		return;
	}
	if (end.is_reset) {
		plm_text_add(text, "stateless reset: the relay knows nothing of this connection");
		return;
	}
	if (p->wzp.stage == WZP_MISTAKEN) {
		plm_text_add(text, "%s", p->wzp.why);
		return;
	}
	if (!end.is_remote && end.code == 0) {
		plm_text_add(text, "the relay does not speak QUIC version 1");
		return;
	}
	plm_text_add(text, "%s: ",
			!end.is_remote                                ? "given up"
					: p->wzp.stage == WZP_IN_ROOM ? "closed by the relay"
								      : "refused");
	if (end.is_application)
		plm_text_add(text, "application code %#" PRIx64, end.code);
	else
		plm_text_add(text, "%#" PRIx64 " %s", end.code, transport_error(end.code));
	reason = plm_quic_conn_reason(link->conn, &len);
	if (len == 0)
		return;
	plm_text_add(text, " \"");
	for (size_t i = 0; i < len && i < 80; i++)
		plm_text_add(text, "%c", reason[i] >= ' ' && reason[i] <= '~' ? reason[i] : '.');
	plm_text_add(text, "\"");
}

const char *
quic_link_cipher_name(const struct quic_link *link, const struct plm_quic_figures *figures)
{
	static const char *const names[] = {
		[PLM_AES128_GCM] = "AES-128-GCM",
		[PLM_AES256_GCM] = "AES-256-GCM",
		[PLM_CHACHA20_POLY1305] = "CHACHA20-POLY1305",
	};

	return link->handshake_ns != 0 ? names[figures->cipher] : NULL;
}

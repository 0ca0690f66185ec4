/* SPDX-License-Identifier: BSD-3-Clause */
/* What a connection sends. plm_quic_send() is the narrow function through which all media leaves; another
 * sender of 1-RTT datagrams would take its place. */
#include <string.h>

#include <rte_branch_prediction.h>

#include "plm_sim.h"
#include "quic_priv.h"

/* What a short header, a frame's type and length and the tag take, at most. */
#define OVERHEAD ((size_t)(1 + NGTCP2_MAX_CIDLEN + 4 + 1 + 2 + PLM_AEAD_TAG))
/* Packets that a datagram may be preceded by in one call: probes, answers to challenges. */
#define DETOURS 4

static inline void
path_zero(ngtcp2_path_storage *ps)
{
	ps->path.local = (ngtcp2_addr){ &ps->local_addrbuf.sa, 0 };
	ps->path.remote = (ngtcp2_addr){ &ps->remote_addrbuf.sa, 0 };
	ps->path.user_data = NULL;
}

static inline void
packet_put(struct plm_quic_conn *conn, struct plm_quic_out *out, size_t len,
		const ngtcp2_path_storage *ps, const ngtcp2_pkt_info *pi)
{
	struct plm_quic_path path;

	quic_path_from(&path, &ps->path);
	out->put(out, conn, len, &path, pi->ecn);
}

/* --- close --------------------------------------------------------------------------------- */

static void
close_write(struct plm_quic_conn *conn, struct plm_quic_out *out, uint8_t *buf, uint64_t now_ns)
{
	ngtcp2_path_storage ps;
	ngtcp2_pkt_info pi;
	ngtcp2_ssize n;

	path_zero(&ps);
	n = ngtcp2_conn_write_connection_close(conn->ng, &ps.path, &pi, buf,
			conn->control.mtu_known, &conn->error, now_ns);
	conn->close_due = false;
	if (n <= 0) { /* nothing that the peer could read could be written */
		conn->state = PLM_QUIC_DEAD;
		out->put(out, conn, 0, NULL, 0);
		return;
	}
	conn->state = PLM_QUIC_CLOSING;
	conn->closed_ns = now_ns + quic_closing_ns(conn);
	quic_path_from(&conn->path, &ps.path);
	conn->close_packet = quic_arena_alloc(&conn->arena, (size_t)n);
	if (conn->close_packet != NULL) {
		memcpy(conn->close_packet, buf, (size_t)n);
		conn->close_len = (uint16_t)n;
	}
	packet_put(conn, out, (size_t)n, &ps, &pi);
}

static void
close_again(struct plm_quic_conn *conn, struct plm_quic_out *out, uint8_t *buf)
{
	memcpy(buf, conn->close_packet, conn->close_len);
	out->put(out, conn, conn->close_len, &conn->path, 0);
}

/* --- all but datagrams ----------------------------------------------------------------------- */

bool
plm_quic_flush(struct plm_quic_conn *conn, struct plm_quic_out *out, uint64_t now_ns)
{
	plm_sched_point(QUIC_TOUCH, conn);
	now_ns = quic_time(conn, now_ns);
	for (unsigned int i = 0; i < PLM_QUIC_FLUSH_MAX; i++) {
		ngtcp2_path_storage ps;
		ngtcp2_pkt_info pi;
		ngtcp2_ssize n;
		uint8_t *buf;

		if (conn->state >= PLM_QUIC_DRAINING ||
				(conn->state == PLM_QUIC_CLOSING && conn->close_len == 0)) {
			conn->is_dirty = false;
			return false;
		}
		buf = out->get(out);
		if (unlikely(buf == NULL))
			return true;
		if (unlikely(conn->close_due || conn->state == PLM_QUIC_CLOSING)) {
			conn->is_dirty = false;
			if (conn->close_due)
				close_write(conn, out, buf, now_ns);
			else
				close_again(conn, out, buf);
			return false;
		}
		path_zero(&ps);
		n = quic_stream_write(conn, &ps.path, &pi, buf, conn->control.mtu_known, now_ns);
		if (n > 0) {
			packet_put(conn, out, (size_t)n, &ps, &pi);
			continue;
		}
		out->put(out, conn, 0, NULL, 0);
		if (n == 0) {
			conn->is_dirty = false;
			return false;
		}
		quic_conn_fail(conn, (int)n);
	}
	return conn->is_dirty;
}

/* --- datagrams ------------------------------------------------------------------------------- */

static void
verdicts(struct plm_quic_dgram *dgrams, unsigned int n, enum plm_quic_verdict verdict)
{
	for (unsigned int i = 0; i < n; i++)
		dgrams[i].verdict = (uint8_t)verdict;
}

struct packet {
	uint8_t *buf; /* NULL: none has been begun */
	size_t size;
	ngtcp2_path_storage ps;
	ngtcp2_pkt_info pi;
};

/* End the packet that was begun with what is in it. */
static void
packet_end(struct plm_quic_conn *conn, struct plm_quic_out *out, struct packet *pkt,
		uint64_t now_ns)
{
	ngtcp2_ssize n = ngtcp2_conn_writev_stream(conn->ng, &pkt->ps.path, &pkt->pi, pkt->buf,
			pkt->size, NULL, 0, -1, NULL, 0, now_ns);

	pkt->buf = NULL;
	if (likely(n > 0)) {
		packet_put(conn, out, (size_t)n, &pkt->ps, &pkt->pi);
		return;
	}
	out->put(out, conn, 0, NULL, 0);
	if (n < 0)
		quic_conn_fail(conn, (int)n);
}

unsigned int
plm_quic_send(struct plm_quic_conn *conn, struct plm_quic_out *out, struct plm_quic_dgram *dgrams,
		unsigned int n, uint64_t now_ns)
{
	struct packet pkt = { .buf = NULL };
	unsigned int detours = 0;
	unsigned int sent = 0;
	unsigned int i = 0;
	bool began = false; /* a datagram is in the packet */

	plm_sched_point(QUIC_TOUCH, conn);
	if (unlikely(conn->state != PLM_QUIC_ESTABLISHED || conn->close_due)) {
		verdicts(dgrams, n, PLM_QUIC_NOT_OPEN);
		return 0;
	}
	now_ns = quic_time(conn, now_ns);
	quic_control_begin(conn, now_ns);
	while (i < n) {
		struct plm_quic_dgram *d = &dgrams[i];
		const size_t size = d->len + OVERHEAD;
		ngtcp2_vec vec = { (uint8_t *)(uintptr_t)d->buf, d->len };
		uint32_t flags = i + 1 < n ? NGTCP2_WRITE_DATAGRAM_FLAG_MORE : 0;
		ngtcp2_ssize ret;
		int accepted = 0;

		d->verdict = (uint8_t)quic_control_check(conn, d, size, now_ns);
		if (unlikely(d->verdict != PLM_QUIC_SENT)) {
			i++;
			continue;
		}
		if (pkt.buf == NULL) {
			pkt.buf = out->get(out);
			if (unlikely(pkt.buf == NULL)) {
				verdicts(d, n - i, PLM_QUIC_NO_ROOM);
				return sent;
			}
			path_zero(&pkt.ps);
			/* One that alone is larger than is known to pass has a packet of its own. */
			pkt.size = RTE_MAX((size_t)conn->control.mtu_known, size);
		}
		ret = ngtcp2_conn_writev_datagram(conn->ng, &pkt.ps.path, &pkt.pi, pkt.buf,
				pkt.size, &accepted, flags, quic_control_id(&conn->control, size),
				&vec, d->len > 0, now_ns);
		if (accepted) {
			quic_control_sent(&conn->control, size);
			sent++;
			i++;
			detours = 0;
		}
		if (ret == NGTCP2_ERR_WRITE_MORE) {
			began = true;
			continue;
		}
		if (unlikely(ret == NGTCP2_ERR_INVALID_ARGUMENT ||
				    ret == NGTCP2_ERR_INVALID_STATE)) {
			/* For what the peer said it takes. A packet that was begun stays as it is. */
			d->verdict = PLM_QUIC_TOO_LARGE;
			i++;
			continue;
		}
		began = false;
		if (likely(ret > 0)) {
			packet_put(conn, out, (size_t)ret, &pkt.ps, &pkt.pi);
			pkt.buf = NULL;
			if (accepted || ++detours < DETOURS)
				continue;
			d->verdict = PLM_QUIC_NO_WINDOW;
			i++;
		} else if (ret == 0) { /* the buffer is still empty */
			if (accepted)
				continue;
			d->verdict = PLM_QUIC_NO_WINDOW;
			i++;
		} else {
			quic_conn_fail(conn, (int)ret);
			verdicts(&dgrams[i], n - i, PLM_QUIC_NOT_OPEN);
			break;
		}
	}
	if (began)
		packet_end(conn, out, &pkt, now_ns);
	else if (pkt.buf != NULL)
		out->put(out, conn, 0, NULL, 0);
	return sent;
}

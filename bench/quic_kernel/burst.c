/* SPDX-License-Identifier: BSD-3-Clause */
/* A burst from the socket to the sockets, and timers. */
#include <stdio.h>

#include <rte_common.h>

#include "kernel.h"

static void
path_from(struct plm_quic_path *path, const struct sockaddr_storage *from, uint16_t local_idx)
{
	*path = (struct plm_quic_path){ .local_idx = local_idx };
	if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;

		memcpy(path->addr, &v6->sin6_addr, sizeof(path->addr));
		path->port = v6->sin6_port;
		path->is_v6 = 1;
	} else {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;

		memcpy(path->addr, &v4->sin_addr, sizeof(v4->sin_addr));
		path->port = v4->sin_port;
	}
}

/* Of a packet that came: the lowest bits of its traffic class, which is all that is asked for. */
static uint8_t
ecn_of(const struct msghdr *hdr)
{
	const struct cmsghdr *cmsg = CMSG_FIRSTHDR(hdr);

	return cmsg != NULL ? *CMSG_DATA(cmsg) & 3 : 0;
}

/* Take a burst from a socket; how many packets that were. */
static unsigned int
receive(struct kernel *k, uint16_t local_idx)
{
	int n;

	for (unsigned int i = 0; i < RX_BURST; i++) {
		k->msg[i].msg_hdr.msg_namelen = sizeof(k->from[i]);
		k->msg[i].msg_hdr.msg_controllen = sizeof(k->rx_control[i]);
	}
	k->tx[local_idx].is_readable = false;
	n = recvmmsg(k->tx[local_idx].fd, k->msg, RX_BURST, MSG_DONTWAIT, NULL);
	k->counters[COUNT_recv_calls]++;
	if (n <= 0)
		return 0;
	k->tx[local_idx].is_readable = n == RX_BURST;
	k->now_ns = kernel_now();
	k->counters[COUNT_packets_in] += (uint64_t)n;
	for (int i = 0; i < n; i++) {
		struct plm_quic_path path;
		uint32_t slot;

		if ((k->msg[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) {
			k->counters[COUNT_drop_truncated]++;
			continue;
		}
		path_from(&path, &k->from[i], local_idx);
		slot = kernel_lookup(k, &path, k->rx[i], k->msg[i].msg_len);
		if (slot == NONE)
			continue;
		plm_quic_recv(k->peers[slot].conn, &path, ecn_of(&k->msg[i].msg_hdr), k->rx[i],
				k->msg[i].msg_len, k->now_ns);
		kernel_touch(k, slot);
	}
	return (unsigned int)n;
}

static void
send_to(struct kernel *k, const struct room *room, uint32_t slot)
{
	static const enum counter by_verdict[] = {
		[PLM_QUIC_SENT] = COUNT_delivered,
		[PLM_QUIC_NO_WINDOW] = COUNT_no_window,
		[PLM_QUIC_NO_MEMORY] = COUNT_no_memory,
		[PLM_QUIC_TOO_LARGE] = COUNT_too_large,
		[PLM_QUIC_NO_ROOM] = COUNT_no_memory,
		[PLM_QUIC_NOT_OPEN] = COUNT_not_open,
	};
	struct plm_quic_dgram dgrams[SEND_MAX];
	uint32_t i = room->first;

	while (i != NONE) {
		unsigned int n = 0;

		for (; i != NONE && n < SEND_MAX; i = k->pending[i].next)
			if (k->pending[i].sender != slot)
				dgrams[n++] = (struct plm_quic_dgram){ .buf = k->pending[i].buf,
					.len = k->pending[i].len };
		if (n == 0)
			continue;
		plm_quic_send(k->peers[slot].conn, kernel_out_for(k, &k->peers[slot]), dgrams, n,
				k->now_ns);
		for (unsigned int d = 0; d < n; d++)
			k->counters[by_verdict[dgrams[d].verdict]]++;
		kernel_touch(k, slot);
	}
}

static void
fan_out(struct kernel *k)
{
	for (unsigned int r = 0; r < k->nb_touched_rooms; r++) {
		struct room *room = &k->rooms[k->touched_rooms[r]];

		for (uint32_t m = 0; m < room->nb_members; m++)
			send_to(k, room, room->members[m]);
		room->touched = false;
		room->first = NONE;
		if (room->nb_members == 0)
			room->name[0] = '\0';
	}
	k->nb_touched_rooms = 0;
	k->nb_pending = 0;
	k->nb_bytes = 0;
}

static void
over(struct kernel *k, uint32_t slot)
{
	struct plm_quic_end end = plm_quic_conn_end(k->peers[slot].conn);

	if (k->peers[slot].is_over)
		return;
	k->peers[slot].is_over = true;
	k->counters[end.is_remote && end.is_application && end.code == 0 ? COUNT_closed_by_client
									 : COUNT_ended_otherwise]++;
	kernel_room_leave(k, slot);
}

/* What is due beside datagrams, and when to look at it again. */
static void
finish(struct kernel *k, uint32_t slot)
{
	struct peer *peer = &k->peers[slot];

	peer->is_touched = false;
	if (peer->is_known && peer->tls != NULL) {
		gnutls_deinit(plm_quic_conn_tls_take(peer->conn));
		peer->tls = NULL;
	}
	if (plm_quic_is_dirty(peer->conn))
		plm_quic_flush(peer->conn, kernel_out_for(k, peer), k->now_ns);
	if (plm_quic_conn_state(peer->conn) > PLM_QUIC_ESTABLISHED)
		over(k, slot);
	if (plm_quic_conn_state(peer->conn) == PLM_QUIC_DEAD) {
		kernel_peer_free(k, slot);
		return;
	}
	/* A flush that has more to write is due at once. */
	plm_wheel_arm(&k->wheel, slot,
			plm_quic_is_dirty(peer->conn) ? k->now_ns : plm_quic_expiry(peer->conn));
}

/* Whose timers are due. */
static void
timers(struct kernel *k)
{
	uint32_t slot;

	k->now_ns = kernel_now();
	while ((slot = plm_wheel_next(&k->wheel, k->now_ns)) != PLM_WHEEL_NONE) {
		struct plm_quic_conn *conn = k->peers[slot].conn;

		if (conn == NULL)
			continue;
		if (plm_quic_expiry(conn) <= k->now_ns)
			plm_quic_timer(conn, k->now_ns);
		kernel_touch(k, slot);
	}
}

void
kernel_turn_end(struct kernel *k)
{
	fan_out(k);
	for (unsigned int i = 0; i < k->nb_touched; i++)
		finish(k, k->touched[i]);
	k->nb_touched = 0;
	for (unsigned int i = 0; i < k->nb_sockets; i++)
		kernel_tx_flush(k, &k->tx[i]);
}

unsigned int
kernel_turn(struct kernel *k)
{
	unsigned int got = 0;

	for (uint16_t i = 0; i < k->nb_sockets; i++) {
		unsigned int n = k->tx[i].is_readable ? receive(k, i) : 0;

		got += n;
		if (n != 0)
			kernel_turn_end(k);
	}
	if (kernel_now() >= plm_wheel_due(&k->wheel)) {
		timers(k);
		kernel_turn_end(k);
	}
	return got;
}

/* When the first timer is due. Who has nothing to do has the time to look at all of them. */
static uint64_t
next_timer(const struct kernel *k)
{
	uint64_t next_ns = UINT64_MAX;

	for (uint32_t i = 0; i < k->nb_slots; i++)
		next_ns = RTE_MIN(next_ns, plm_wheel_armed_ns(&k->wheel, i));
	return next_ns;
}

void
kernel_wait(struct kernel *k, bool sleep, const sigset_t *signals)
{
	uint64_t next_ns = sleep ? next_timer(k) : 0;
	uint64_t now_ns = kernel_now();
	uint64_t ns = next_ns > now_ns ? next_ns - now_ns : 0;
	struct timespec ts = { .tv_sec = (time_t)(ns / PLM_NS_PER_S),
		.tv_nsec = (long)(ns % PLM_NS_PER_S) };
	struct pollfd fds[SOCKETS];

	for (unsigned int i = 0; i < k->nb_sockets; i++)
		fds[i] = (struct pollfd){ .fd = k->tx[i].fd, .events = POLLIN };
	if (ppoll(fds, k->nb_sockets, next_ns != UINT64_MAX ? &ts : NULL, signals) <= 0)
		return;
	for (unsigned int i = 0; i < k->nb_sockets; i++)
		k->tx[i].is_readable = fds[i].revents != 0;
}

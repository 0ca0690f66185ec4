/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets on their way: gathered, and sent by as few system calls as there may be. */
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include <rte_common.h>

#include "kernel.h"

static socklen_t
address(const struct plm_quic_path *path, struct sockaddr_in6 *v6, struct sockaddr_in *v4)
{
	if (path->is_v6) {
		*v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = path->port };
		memcpy(&v6->sin6_addr, path->addr, sizeof(v6->sin6_addr));
		return sizeof(*v6);
	}
	*v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = path->port };
	memcpy(&v4->sin_addr, path->addr, sizeof(v4->sin_addr));
	return sizeof(*v4);
}

/* How many packets from the i-th on leave as one: to one receiver, of one mark, of one size but for the
 * last. */
static unsigned int
segments(const struct kernel *k, const struct tx *tx, unsigned int i)
{
	unsigned int n = 1;

	while (k->gso && n < GSO_MAX && i + n < tx->n &&
			memcmp(&tx->pkt[i].path, &tx->pkt[i + n].path, sizeof(tx->pkt[i].path)) ==
					0 &&
			tx->pkt[i + n].ecn == tx->pkt[i].ecn &&
			tx->pkt[i + n - 1].len == tx->pkt[i].len &&
			tx->pkt[i + n].len <= tx->pkt[i].len)
		n++;
	return n;
}

static struct cmsghdr *
control_add(struct msghdr *hdr, struct cmsghdr *at, int level, int type, const void *value,
		size_t size)
{
	at->cmsg_level = level;
	at->cmsg_type = type;
	at->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(at), value, size);
	hdr->msg_controllen += CMSG_SPACE(size);
	return (struct cmsghdr *)(void *)((uint8_t *)at + CMSG_SPACE(size));
}

void
kernel_tx_flush(struct kernel *k, struct tx *tx)
{
	unsigned int nb_msgs = 0;
	unsigned int sent = 0;

	for (unsigned int i = 0; i < tx->n;) {
		struct msghdr *hdr = &tx->msg[nb_msgs].msg_hdr;
		struct cmsghdr *cmsg = (struct cmsghdr *)(void *)tx->control[nb_msgs];
		unsigned int n = segments(k, tx, i);

		*hdr = (struct msghdr){ .msg_name = &tx->to[nb_msgs],
			.msg_iov = &tx->iov[i],
			.msg_iovlen = n,
			.msg_control = cmsg };
		hdr->msg_namelen =
				address(&tx->pkt[i].path, &tx->to[nb_msgs].v6, &tx->to[nb_msgs].v4);
		if (n > 1) {
			cmsg = control_add(hdr, cmsg, SOL_UDP, UDP_SEGMENT, &tx->pkt[i].len,
					sizeof(tx->pkt[i].len));
			k->counters[COUNT_gso_packets] += n;
		}
		if (tx->pkt[i].ecn != 0) {
			int ecn = tx->pkt[i].ecn;

			if (tx->pkt[i].path.is_v6)
				control_add(hdr, cmsg, IPPROTO_IPV6, IPV6_TCLASS, &ecn,
						sizeof(ecn));
			else
				control_add(hdr, cmsg, IPPROTO_IP, IP_TOS, &ecn, sizeof(ecn));
		}
		for (unsigned int s = i; s < i + n; s++)
			tx->iov[s].iov_len = tx->pkt[s].len;
		i += n;
		nb_msgs++;
	}
	k->counters[COUNT_packets_out] += tx->n;
	while (sent < nb_msgs) {
		int n = sendmmsg(tx->fd, tx->msg + sent, nb_msgs - sent, 0);

		k->counters[COUNT_send_calls]++;
		if (n > 0) {
			sent += (unsigned int)n;
		} else if (errno != EINTR) {
			/* Of one receiver (an ICMP error, a full queue): the others' go on. */
			k->counters[COUNT_send_failed]++;
			sent++;
		}
	}
	tx->n = 0;
}

/* Before it is written nobody knows to which path a packet goes; nearly always to its connection's. */
static uint8_t *
out_get(struct plm_quic_out *out)
{
	struct kernel *k = container_of(out, struct kernel, out);

	if (k->put_to->n == TX_BURST)
		kernel_tx_flush(k, k->put_to);
	return k->put_to->buf + (size_t)k->put_to->n * PLM_QUIC_PACKET_MAX;
}

static void
out_put(struct plm_quic_out *out, struct plm_quic_conn *conn, size_t len,
		const struct plm_quic_path *path, uint8_t ecn)
{
	struct kernel *k = container_of(out, struct kernel, out);
	struct tx *from = k->put_to;
	struct tx *tx;

	if (len == 0)
		return;
	tx = &k->tx[path->local_idx % SOCKETS];
	if (tx != from) {
		if (tx->n == TX_BURST)
			kernel_tx_flush(k, tx);
		memcpy(tx->buf + (size_t)tx->n * PLM_QUIC_PACKET_MAX,
				from->buf + (size_t)from->n * PLM_QUIC_PACKET_MAX, len);
	}
	tx->pkt[tx->n].len = (uint16_t)len;
	tx->pkt[tx->n].ecn = ecn;
	tx->pkt[tx->n].path = *path;
	tx->n++;
}

struct plm_quic_out *
kernel_out_for(struct kernel *k, const struct peer *peer)
{
	k->put_to = &k->tx[plm_quic_conn_path(peer->conn)->local_idx % SOCKETS];
	return &k->out;
}

void
kernel_tx_init(struct kernel *k)
{
	k->out = (struct plm_quic_out){ .get = out_get, .put = out_put };
}

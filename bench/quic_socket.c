/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The same clients at plenum-quic-kernel, the relay on kernel sockets, which runs in this process on
 * the worker's lcore. Each client has a socket of its own on the loopback device: what the kernel does
 * to deliver a packet it does for its sender, so a copy's delivery is in the relay's time, as with a
 * NIC its driver would be, and an acknowledgement's is in main's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "quic.h"
#include "quic_kernel/kernel.h"

/* A packet or several that left as one. */
#define READ_SIZE   (GSO_MAX * PLM_QUIC_PACKET_MAX)
#define FILES       (CONNS + 64)
#define PATIENCE_NS (20 * PLM_NS_PER_S)

struct quic_kernel {
	struct quic_clients clients;
	struct kernel *kernel;
	int *fds;
	uint64_t spent; /* cycles of turns in which something was done */
};

void
kernel_die(const char *what, const char *why)
{
	bench_die("relay on kernel sockets: %s: %s", what, why);
}

/* --- clients' sockets --------------------------------------------------------------------------- */

static void
client_sent(void *ctx, uint32_t idx, const uint8_t *buf, size_t len)
{
	struct quic_kernel *qk = ctx;

	if (send(qk->fds[idx], buf, len, 0) != (ssize_t)len)
		bench_die("client %u: send(): %s", idx, strerror(errno));
}

/* The packets of one read, each but the last of the size that the kernel says. */
static void
take(struct quic_kernel *qk, uint32_t idx, struct msghdr *hdr, uint8_t *buf, size_t len)
{
	const struct cmsghdr *cmsg = CMSG_FIRSTHDR(hdr);
	size_t size = len;

	if (cmsg != NULL && cmsg->cmsg_level == SOL_UDP && cmsg->cmsg_type == UDP_GRO) {
		int segment;

		memcpy(&segment, CMSG_DATA(cmsg), sizeof(segment));
		size = (size_t)segment;
	}
	for (size_t at = 0; at < len; at += size)
		quic_client_take(&qk->clients, idx, buf + at, RTE_MIN(size, len - at));
}

/* What the relay sent reaches clients. Reads. */
static unsigned int
sink(struct quic_kernel *qk, uint32_t first, uint32_t nb)
{
	alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))];
	static uint8_t buf[READ_SIZE];
	unsigned int reads = 0;

	for (uint32_t i = first; i < first + nb; i++) {
		for (;;) {
			struct iovec iov = { buf, sizeof(buf) };
			struct msghdr hdr = { .msg_iov = &iov,
				.msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = sizeof(control) };
			ssize_t n = recvmsg(qk->fds[i], &hdr, MSG_DONTWAIT);

			if (n <= 0)
				break;
			take(qk, i, &hdr, buf, (size_t)n);
			reads++;
		}
	}
	return reads;
}

static void
sockets_open(struct quic_kernel *qk)
{
	struct rlimit files;
	struct sockaddr_in relay;
	socklen_t len = sizeof(relay);
	int one = 1;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		bench_die("getrlimit(): %s", strerror(errno));
	files.rlim_cur = RTE_MAX(files.rlim_cur, (rlim_t)FILES);
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		bench_die("%d open files are needed: %s", FILES, strerror(errno));
	if (getsockname(qk->kernel->tx[0].fd, (struct sockaddr *)&relay, &len) < 0)
		bench_die("getsockname(): %s", strerror(errno));
	for (uint32_t i = 0; i < qk->clients.nb; i++) {
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		/* What left as one arrives as one, as if the NIC had made packets of it. */
		if (fd < 0 || connect(fd, (struct sockaddr *)&relay, len) < 0 ||
				setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof(one)) < 0)
			bench_die("UDP socket on loopback: %s", strerror(errno));
		qk->fds[i] = fd;
	}
}

/* --- turns -------------------------------------------------------------------------------------- */

/* Until the relay has nothing to do. */
static void
kernel_turns(void *arg)
{
	struct quic_kernel *qk = arg;
	struct kernel *k = qk->kernel;

	for (;;) {
		uint64_t begun = rte_rdtsc();

		k->tx[0].is_readable = true;
		if (kernel_turn(k) == 0)
			return;
		qk->spent += rte_rdtsc() - begun;
	}
}

void
quic_kernel_connect(struct quic_kernel *qk, const char *room, uint32_t first, uint32_t nb)
{
	const uint64_t give_up = quic_now() + PATIENCE_NS;
	const uint32_t wanted = qk->clients.nb_open + nb;
	uint64_t until;

	for (uint32_t i = first; i < first + nb; i++) {
		quic_client_begin(&qk->clients, i, room);
		kernel_turns(qk);
	}
	while (qk->clients.nb_open < wanted) {
		sink(qk, first, nb);
		kernel_turns(qk);
		quic_clients_timers(&qk->clients, first, nb);
		if (quic_now() > give_up)
			bench_die("relay on kernel sockets: handshakes are missing");
	}
	for (until = quic_now() + 60 * PLM_NS_PER_MS; quic_now() < until;) {
		quic_clients_timers(&qk->clients, first, nb);
		kernel_turns(qk);
		sink(qk, first, nb);
	}
	quic_clients_settled(&qk->clients, first, nb);
}

uint64_t
quic_kernel_round(struct quic_kernel *qk, const uint32_t *speakers, unsigned int nb,
		uint32_t members, uint16_t size, bool gso)
{
	static const uint8_t payload[1200];
	uint32_t taking = 0; /* the first so many clients */

	for (unsigned int i = 0; i < nb; i++) {
		quic_client_say(&qk->clients, speakers[i], payload, size);
		taking = RTE_MAX(taking, speakers[i] + members);
	}
	qk->spent = 0;
	qk->kernel->gso = gso;
	quic_on_worker(kernel_turns, NULL, qk);
	sink(qk, 0, taking);
	quic_on_worker(kernel_turns, NULL, qk);
	sink(qk, 0, taking);
	return qk->spent;
}

void
quic_kernel_settle(struct quic_kernel *qk)
{
	quic_clients_timers(&qk->clients, 0, qk->clients.nb);
	quic_on_worker(kernel_turns, NULL, qk);
	sink(qk, 0, qk->clients.nb);
}

uint64_t
quic_kernel_received(const struct quic_kernel *qk)
{
	return quic_clients_received(&qk->clients);
}

/* --- made and freed ----------------------------------------------------------------------------- */

struct quic_kernel *
quic_kernel_create(uint32_t nb, enum plm_aead_backend backend, const char *cipher)
{
	struct quic_kernel *qk = calloc(1, sizeof(*qk));

	if (qk == NULL || nb > CONNS)
		bench_die("relay on kernel sockets: not enough memory for %u connections", nb);
	qk->fds = calloc(nb, sizeof(*qk->fds));
	if (qk->fds == NULL)
		bench_die("out of memory");
	qk->kernel = kernel_create(backend, 3600 * PLM_NS_PER_S);
	kernel_listen(qk->kernel, "127.0.0.1:0");
	qk->clients = (struct quic_clients){
		.nb = nb,
		.cipher = cipher,
		.signature = "SIGN-EDDSA-ED25519",
		.send = client_sent,
		.ctx = qk,
	};
	quic_clients_create(&qk->clients);
	sockets_open(qk);
	return qk;
}

void
quic_kernel_free(struct quic_kernel *qk)
{
	for (uint32_t i = 0; i < qk->clients.nb; i++)
		close(qk->fds[i]);
	quic_clients_free(&qk->clients);
	kernel_free(qk->kernel);
	free(qk->fds);
	free(qk);
}

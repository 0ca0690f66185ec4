/* SPDX-License-Identifier: BSD-3-Clause */
/* What a relay on kernel sockets is made of: memory, certificate, sockets. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_errno.h>

#include "kernel.h"
#include "plm_crypto.h"

uint64_t
kernel_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * PLM_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void *
extent_get(void *ctx)
{
	struct kernel *k = ctx;
	void *extent = k->free_extent;

	if (extent != NULL)
		memcpy(&k->free_extent, extent, sizeof(void *));
	return extent;
}

static void
extent_put(void *ctx, void *extent)
{
	struct kernel *k = ctx;

	memcpy(extent, &k->free_extent, sizeof(void *));
	k->free_extent = extent;
}

/* Arenas and extents, on huge pages where there are any. */
static void
memory_init(struct kernel *k)
{
	size_t arenas = RTE_ALIGN_CEIL((size_t)CONNS * ARENA_SIZE, HUGE_PAGE);
	size_t size = arenas + RTE_ALIGN_CEIL((size_t)EXTENTS * EXTENT_SIZE, HUGE_PAGE);
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	uint8_t *base = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB, -1, 0);

	if (base == MAP_FAILED) {
		size += HUGE_PAGE; /* to begin at one */
		base = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
		if (base == MAP_FAILED)
			kernel_die("memory", strerror(errno));
		madvise(base, size, MADV_HUGEPAGE);
	}
	k->map = base;
	k->map_size = size;
	k->arenas = RTE_PTR_ALIGN_CEIL(base, HUGE_PAGE);
	for (size_t i = 0; i < EXTENTS; i++)
		extent_put(k, k->arenas + arenas + i * EXTENT_SIZE);
	k->memory = (struct plm_quic_memory){ .get = extent_get,
		.put = extent_put,
		.ctx = k,
		.size = EXTENT_SIZE };
}

/* A certificate of this run, as the relay's own would be. */
static void
certificate_init(struct kernel *k)
{
	uint8_t seed[PLM_QUIC_SEED_SIZE];
	char why_buf[128];
	struct plm_text why;
	const uint8_t *cert;
	size_t len;

	plm_text_init(&why, why_buf, sizeof(why_buf));
	plm_crypto_random(NULL, seed, sizeof(seed));
	k->identity = plm_quic_identity_create();
	if (k->identity == NULL || plm_quic_identity_add_seed(k->identity, seed, &why) < 0)
		kernel_die("certificate", why_buf);
	if (plm_wzp_identity_derive(seed, &k->wzp) < 0)
		kernel_die("identity", "OpenSSL refuses");
	plm_crypto_erase(seed, sizeof(seed));
	cert = plm_quic_identity_cert(k->identity, PLM_QUIC_CERT_ED25519, &len);
	if (plm_quic_fingerprint(cert, len, k->fingerprint) < 0)
		kernel_die("certificate", rte_strerror(rte_errno));
}

static void
quic_init(struct kernel *k, enum plm_aead_backend backend, uint64_t idle_ns)
{
	const struct plm_quic_conf conf = {
		.rand = { .fill = plm_crypto_random },
		.idle_timeout_ns = idle_ns,
		.handshake_timeout_ns = 10 * PLM_NS_PER_S,
		.max_streams = 100,
		.max_stream_bytes = 65536,
		.max_bytes = 262144,
		.max_chunks = 16,
	};
	int ret;

	plm_crypto_random(NULL, k->hash_key, sizeof(k->hash_key));
	ret = quic_side_init(&k->side, &conf, backend, quic_tls_server_create(k->identity));
	if (ret < 0)
		kernel_die("QUIC", rte_strerror(-ret));
}

void
kernel_listen(struct kernel *k, const char *text)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE };
	const char *colon = strrchr(text, ':');
	struct tx *tx = &k->tx[k->nb_sockets];
	int size = SOCKET_BUFFER;
	int discover, one = 1;
	struct addrinfo *found;
	char host[64];
	size_t len = colon != NULL ? (size_t)(colon - text) : 0;
	bool v6;

	if (len > 1 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof(host))
		kernel_die("--listen", "expected ADDR:PORT");
	memcpy(host, text, len);
	host[len] = '\0';
	if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
		kernel_die("--listen", "expected ADDR:PORT");
	v6 = found->ai_family == AF_INET6;
	discover = v6 ? IPV6_PMTUDISC_PROBE : IP_PMTUDISC_PROBE;
	tx->fd = socket(found->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (tx->fd < 0)
		kernel_die("socket", strerror(errno));
	if (v6)
		setsockopt(tx->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	setsockopt(tx->fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER,
			&discover, sizeof(discover));
	if (setsockopt(tx->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(tx->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(tx->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(tx->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(tx->fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVTCLASS : IP_RECVTOS, &one,
			sizeof(one));
	if (bind(tx->fd, found->ai_addr, found->ai_addrlen) < 0)
		kernel_die(host, strerror(errno));
	freeaddrinfo(found);
	tx->buf = malloc((size_t)TX_BURST * PLM_QUIC_PACKET_MAX);
	if (tx->buf == NULL)
		kernel_die("memory", strerror(ENOMEM));
	for (unsigned int i = 0; i < TX_BURST; i++)
		tx->iov[i].iov_base = tx->buf + (size_t)i * PLM_QUIC_PACKET_MAX;
	k->nb_sockets++;
}

struct kernel *
kernel_create(enum plm_aead_backend backend, uint64_t idle_ns)
{
	struct kernel *k = calloc(1, sizeof(*k));

	if (k == NULL)
		kernel_die("memory", strerror(ENOMEM));
	for (unsigned int i = 0; i < RX_BURST; i++) {
		k->iov[i] = (struct iovec){ k->rx[i], sizeof(k->rx[i]) };
		k->msg[i].msg_hdr = (struct msghdr){ .msg_name = &k->from[i],
			.msg_iov = &k->iov[i],
			.msg_iovlen = 1,
			.msg_control = k->rx_control[i] };
	}
	kernel_peers_init(k);
	kernel_tx_init(k);
	plm_wheel_init(&k->wheel, k->wheel_entries, PLM_NS_PER_MS, kernel_now());
	memory_init(k);
	certificate_init(k);
	quic_init(k, backend, idle_ns);
	return k;
}

void
kernel_free(struct kernel *k)
{
	for (uint32_t i = 0; i < CONNS; i++) {
		if (k->peers[i].conn != NULL)
			kernel_peer_free(k, i);
		free(k->rooms[i].members);
	}
	for (unsigned int i = 0; i < k->nb_sockets; i++) {
		close(k->tx[i].fd);
		free(k->tx[i].buf);
	}
	quic_side_fini(&k->side);
	plm_quic_identity_free(k->identity);
	munmap(k->map, k->map_size);
	free(k);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A relay of QUIC datagrams on kernel sockets and the same QUIC library, one thread: what a datagram
 * costs without a data plane of one's own. recvmmsg() of a burst, its datagrams fanned out with
 * receivers as the outer loop, sendmmsg() of all that came of it; with --gso the packets of equal size
 * to one receiver leave as one (UDP_SEGMENT). The room is the server name, no token is asked for.
 *
 * Not for production: its certificate is made at start, and it has neither Retry nor version negotiation.
 * Clients need it as a peer, and the bench as the other side of a ratio, so it is made as fast as
 * kernel sockets allow: a slow one would be a straw man.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
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

static volatile sig_atomic_t stop, reset;

void
kernel_die(const char *what, const char *why)
{
	fprintf(stderr, "plenum-quic-kernel: %s: %s\n", what, why);
	exit(1);
}

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
	size_t arenas = RTE_ALIGN_CEIL((size_t)CONNS * ARENA_SIZE, (size_t)2 << 20);
	size_t size = arenas + RTE_ALIGN_CEIL((size_t)EXTENTS * EXTENT_SIZE, (size_t)2 << 20);
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	uint8_t *base = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB, -1, 0);

	if (base == MAP_FAILED) {
		base = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
		if (base == MAP_FAILED)
			kernel_die("memory", strerror(errno));
		madvise(base, size, MADV_HUGEPAGE);
	}
	k->arenas = base;
	for (size_t i = 0; i < EXTENTS; i++)
		extent_put(k, base + arenas + i * EXTENT_SIZE);
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
	plm_crypto_erase(seed, sizeof(seed));
	cert = plm_quic_identity_cert(k->identity, PLM_QUIC_CERT_ED25519, &len);
	k->tls = quic_tls_server_create(k->identity);
	if (k->tls == NULL || plm_quic_fingerprint(cert, len, k->fingerprint) < 0)
		kernel_die("certificate", rte_strerror(rte_errno));
}

static void
quic_init(struct kernel *k, enum plm_aead_backend backend)
{
	uint8_t secret[PLM_CID_SECRET];

	k->aead = plm_aead_create(backend);
	if (k->aead == NULL)
		kernel_die("--backend", rte_strerror(rte_errno));
	k->conf = (struct plm_quic_conf){
		.rand = { .fill = plm_crypto_random },
		.aead = k->aead,
		.idle_timeout_ns = 30 * PLM_NS_PER_S,
		.handshake_timeout_ns = 10 * PLM_NS_PER_S,
		.max_streams = 100,
		.max_stream_bytes = 65536,
		.max_bytes = 262144,
		.max_chunks = 16,
		.is_server = true,
	};
	plm_crypto_random(NULL, secret, sizeof(secret));
	plm_crypto_random(NULL, k->conf.reset_secret, sizeof(k->conf.reset_secret));
	plm_crypto_random(NULL, k->hash_key, sizeof(k->hash_key));
	if (plm_cid_key_init(&k->conf.cid_key, secret) < 0)
		kernel_die("connection ids", "OpenSSL has no AES");
	k->quic = plm_quic_create(&k->conf);
	if (k->quic == NULL)
		kernel_die("QUIC", rte_strerror(rte_errno));
}

/* ADDR:PORT or [ADDR]:PORT; port 0 is any. */
static void
listen_on(struct kernel *k, const char *text)
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

	if (k->nb_sockets == SOCKETS)
		kernel_die("--listen", "two addresses at most");
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

static void
init(struct kernel *k)
{
	for (unsigned int i = 0; i < RX_BURST; i++) {
		k->iov[i] = (struct iovec){ k->rx[i], sizeof(k->rx[i]) };
		k->msg[i].msg_hdr = (struct msghdr){ .msg_name = &k->from[i],
			.msg_iov = &k->iov[i],
			.msg_iovlen = 1 };
	}
	kernel_tx_init(k);
	plm_wheel_init(&k->wheel, k->wheel_entries, PLM_NS_PER_MS, kernel_now());
	memory_init(k);
	certificate_init(k);
}

static uint64_t
ns_of(struct timeval t, struct timeval since)
{
	return (uint64_t)(t.tv_sec - since.tv_sec) * PLM_NS_PER_S +
			(uint64_t)(t.tv_usec - since.tv_usec) * PLM_NS_PER_US;
}

static void
print_report(const struct kernel *k)
{
	uint64_t delivered = k->counters[COUNT_delivered];
	uint64_t user_ns, system_ns;
	struct rusage now;

	getrusage(RUSAGE_THREAD, &now);
	user_ns = ns_of(now.ru_utime, k->since.ru_utime);
	system_ns = ns_of(now.ru_stime, k->since.ru_stime);
	printf("{\"event\":\"report\",\"backend\":\"%s\",\"gso\":%s,\"connections\":%u",
			plm_aead_name(k->aead), k->gso ? "true" : "false", k->nb_peers);
#define X(name) printf(",\"" #name "\":%" PRIu64, k->counters[COUNT_##name]);
	FOREACH_COUNTER(X)
#undef X
	printf(",\"user_ns\":%" PRIu64 ",\"system_ns\":%" PRIu64 ",\"cpu_ns\":%" PRIu64
	       ",\"ns_per_delivery\":",
			user_ns, system_ns, user_ns + system_ns);
	if (delivered != 0)
		printf("%.1f}\n", (double)(user_ns + system_ns) / (double)delivered);
	else
		printf("null}\n");
	fflush(stdout);
}

static void
take_signal(int number)
{
	if (number == SIGUSR1)
		reset = 1;
	else
		stop = 1;
}

static void
print_ready(const struct kernel *k)
{
	printf("{\"event\":\"ready\",\"backend\":\"%s\",\"certificate\":\"",
			plm_aead_name(k->aead));
	for (size_t i = 0; i < sizeof(k->fingerprint); i++)
		printf("%02x", k->fingerprint[i]);
	printf("\",\"ports\":[");
	for (unsigned int i = 0; i < k->nb_sockets; i++) {
		struct sockaddr_in6 own;
		socklen_t len = sizeof(own);

		/* The port lies at the same place in sockaddr_in and sockaddr_in6. */
		getsockname(k->tx[i].fd, (struct sockaddr *)&own, &len);
		printf("%s%u", i == 0 ? "" : ",", ntohs(own.sin6_port));
	}
	printf("]}\n");
	fflush(stdout);
}

static void
run(struct kernel *k)
{
	struct sigaction action = { .sa_handler = take_signal };
	sigset_t blocked, waiting;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, &waiting);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	print_ready(k);
	getrusage(RUSAGE_THREAD, &k->since);
	for (unsigned int turn = 0; !stop; turn++) {
		unsigned int got = 0;

		for (uint16_t i = 0; i < k->nb_sockets; i++) {
			unsigned int n = k->tx[i].is_readable ? kernel_receive(k, i) : 0;

			got += n;
			if (n != 0)
				kernel_turn_end(k);
		}
		if (kernel_now() >= plm_wheel_due(&k->wheel)) {
			kernel_timers(k);
			kernel_turn_end(k);
		}
		if (reset) {
			reset = 0;
			memset(k->counters, 0, sizeof(k->counters));
			getrusage(RUSAGE_THREAD, &k->since);
		}
		if (got < RX_BURST || turn % ASK_EVERY == 0)
			kernel_wait(k, got == 0, &waiting);
	}
	k->now_ns = kernel_now();
	print_report(k);
	for (uint32_t i = 0; i < CONNS; i++)
		if (k->peers[i].conn != NULL) {
			plm_quic_close(k->peers[i].conn, 0, "shutdown");
			kernel_touch(k, i);
		}
	kernel_turn_end(k);
	for (uint32_t i = 0; i < CONNS; i++)
		if (k->peers[i].conn != NULL)
			kernel_peer_free(k, i);
}

static void
usage(FILE *to)
{
	fprintf(to,
			"Usage: plenum-quic-kernel --listen ADDR:PORT [OPTIONS]\n\n"
			"A relay of QUIC datagrams on kernel sockets, one thread; the room is the server name.\n\n"
			"  --listen ADDR:PORT            own address, [ADDR]:PORT for IPv6; two at most\n"
			"  --backend openssl|ipsec-mb    packet protection (the best there is)\n"
			"  --gso                         packets to one receiver leave as one (UDP_SEGMENT)\n"
			"  --help                        this text\n\n"
			"Prints one JSON object when it is ready and, at SIGINT or SIGTERM, one with its\n"
			"counters and the CPU time of its thread. SIGUSR1 begins both anew.\n");
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "backend", required_argument, NULL, 'b' },
		{ "gso", no_argument, NULL, 'g' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	enum plm_aead_backend backend = PLM_AEAD_BEST;
	struct kernel *k = calloc(1, sizeof(*k));
	int opt;

	if (k == NULL)
		kernel_die("memory", strerror(ENOMEM));
	kernel_peers_init(k);
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'l':
			listen_on(k, optarg);
			break;
		case 'b':
			if (strcmp(optarg, "openssl") == 0)
				backend = PLM_AEAD_EVP;
			else if (strcmp(optarg, "ipsec-mb") == 0)
				backend = PLM_AEAD_MB;
			else
				kernel_die("--backend", "expected openssl or ipsec-mb");
			break;
		case 'g':
			k->gso = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 1;
		}
	}
	if (optind < argc || k->nb_sockets == 0) {
		usage(stderr);
		return 1;
	}
	init(k);
	quic_init(k, backend);
	run(k);
	plm_quic_free(k->quic);
	plm_aead_free(k->aead);
	quic_tls_free(k->tls);
	plm_quic_identity_free(k->identity);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A relay of QUIC datagrams on kernel sockets and the same QUIC library, one thread: what a datagram
 * costs without a data plane of one's own. recvmmsg() of a burst, its datagrams fanned out with
 * receivers as the outer loop, sendmmsg() of all that came of it; with --gso the packets of equal size
 * to one receiver leave as one (UDP_SEGMENT). The room is the server name, no token is asked for; WZP's
 * participants get an answer to their offer, and no word about the room.
 *
 * Not for production: its certificate is made at start, and it has neither Retry nor version negotiation.
 * Clients need it as a peer, and the bench as the other side of a ratio, so it is made as fast as
 * kernel sockets allow: a slow one would be a straw man.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel.h"

static volatile sig_atomic_t stop, reset;

void
kernel_die(const char *what, const char *why)
{
	fprintf(stderr, "plenum-quic-kernel: %s: %s\n", what, why);
	exit(1);
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
			plm_aead_name(k->side.aead), k->gso ? "true" : "false", k->nb_peers);
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
			plm_aead_name(k->side.aead));
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
		unsigned int got = kernel_turn(k);

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
	const char *listen[SOCKETS];
	unsigned int nb_listen = 0;
	struct kernel *k;
	bool gso = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'l':
			if (nb_listen == SOCKETS)
				kernel_die("--listen", "two addresses at most");
			listen[nb_listen++] = optarg;
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
			gso = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 1;
		}
	}
	if (optind < argc || nb_listen == 0) {
		usage(stderr);
		return 1;
	}
	k = kernel_create(backend, 30 * PLM_NS_PER_S);
	k->gso = gso;
	for (unsigned int i = 0; i < nb_listen; i++)
		kernel_listen(k, listen[i]);
	run(k);
	kernel_free(k);
	return 0;
}

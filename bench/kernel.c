/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The same job by kernel sockets: recvmmsg() of a burst, sendmmsg() of each packet to all
 * subscribers, one core, loopback, no GSO. A bare sendmmsg() loop beside it shows what the kernel
 * itself asks for; a relay much slower than that would be a straw man.
 *
 * Main publishes and empties the subscribers' sockets meanwhile.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <rte_launch.h>
#include <rte_lcore.h>

#include "bench.h"

#define SAMPLE_NS     10000000u
#define OUTSTANDING   64 /* packets that the publisher may be ahead: they fit any socket */
#define SOCKET_BUFFER (1 << 20)
#define PAYLOAD_MAX   1500
#define DRAIN_BURST   64

struct bench_kernel {
	uint16_t copies;
	uint16_t size;
	int relay;
	int publisher;
	int *subs;
	struct sockaddr_in *addrs;

	/* of the relay's thread */
	struct mmsghdr in[BENCH_BURST];
	struct iovec in_vec[BENCH_BURST];
	uint8_t in_buf[BENCH_BURST][PAYLOAD_MAX];
	struct mmsghdr *out;
	struct iovec out_vec;
	double ns;
	bool bare;
	bool disturbed;

	/* the relay's thread writes, main reads */
	alignas(RTE_CACHE_LINE_SIZE) _Atomic uint64_t taken;
	/* main */
	alignas(RTE_CACHE_LINE_SIZE) uint64_t published;
	struct mmsghdr drain[DRAIN_BURST];
	struct iovec drain_vec[DRAIN_BURST];
	uint8_t drain_buf[PAYLOAD_MAX];
	uint8_t payload[PAYLOAD_MAX];
};

static int
socket_open(struct sockaddr_in *addr)
{
	socklen_t len = sizeof(*addr);
	int size = SOCKET_BUFFER;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*addr = (struct sockaddr_in){ .sin_family = AF_INET };
	addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)addr, sizeof(*addr)) < 0 ||
			getsockname(fd, (struct sockaddr *)addr, &len) < 0)
		bench_die("UDP socket on loopback: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return fd;
}

struct bench_kernel *
bench_kernel_open(uint16_t copies, uint16_t size)
{
	struct bench_kernel *k = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*k));
	struct sockaddr_in relay, unused;

	if (k == NULL)
		bench_die("out of memory");
	memset(k, 0, sizeof(*k));
	k->copies = copies;
	k->size = size;
	k->subs = calloc(copies, sizeof(*k->subs));
	k->addrs = calloc(copies, sizeof(*k->addrs));
	k->out = calloc(copies, sizeof(*k->out));
	if (k->subs == NULL || k->addrs == NULL || k->out == NULL)
		bench_die("out of memory");
	k->relay = socket_open(&relay);
	k->publisher = socket_open(&unused);
	if (connect(k->publisher, (struct sockaddr *)&relay, sizeof(relay)) < 0)
		bench_die("UDP socket on loopback: %s", strerror(errno));

	for (unsigned int i = 0; i < BENCH_BURST; i++) {
		k->in_vec[i] = (struct iovec){ k->in_buf[i], sizeof(k->in_buf[i]) };
		k->in[i].msg_hdr.msg_iov = &k->in_vec[i];
		k->in[i].msg_hdr.msg_iovlen = 1;
	}
	for (unsigned int i = 0; i < copies; i++) {
		k->subs[i] = socket_open(&k->addrs[i]);
		k->out[i].msg_hdr.msg_name = &k->addrs[i];
		k->out[i].msg_hdr.msg_namelen = sizeof(k->addrs[i]);
		k->out[i].msg_hdr.msg_iov = &k->out_vec;
		k->out[i].msg_hdr.msg_iovlen = 1;
	}
	for (unsigned int i = 0; i < DRAIN_BURST; i++) {
		k->drain_vec[i] = (struct iovec){ k->drain_buf, sizeof(k->drain_buf) };
		k->drain[i].msg_hdr.msg_iov = &k->drain_vec[i];
		k->drain[i].msg_hdr.msg_iovlen = 1;
	}
	return k;
}

void
bench_kernel_close(struct bench_kernel *k)
{
	for (unsigned int i = 0; i < k->copies; i++)
		close(k->subs[i]);
	close(k->publisher);
	close(k->relay);
	free(k->out);
	free(k->addrs);
	free(k->subs);
	free(k);
}

static unsigned int
send_copies(struct bench_kernel *k, void *payload, size_t len)
{
	unsigned int sent = 0;

	k->out_vec = (struct iovec){ payload, len };
	while (sent < k->copies) {
		int n = sendmmsg(k->relay, k->out + sent, k->copies - sent, 0);

		if (n > 0)
			sent += (unsigned int)n;
		else if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
			bench_die("sendmmsg(): %s", strerror(errno));
	}
	return sent;
}

/* CPU time of this thread, ns: softirqs that deliver our packets are in it. */
static uint64_t
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * PLM_NS_PER_S + (uint64_t)t.tv_nsec;
}

static int
relay_run(void *arg)
{
	struct bench_kernel *k = arg;
	uint64_t spent = 0;
	uint64_t copies = 0;
	uint64_t taken = 0;
	struct bench_watch watch;

	bench_watch_start(&watch);
	while (spent < SAMPLE_NS) {
		uint64_t begun = cpu_ns();
		int n = BENCH_BURST;

		if (!k->bare)
			n = recvmmsg(k->relay, k->in, BENCH_BURST, MSG_DONTWAIT, NULL);
		if (n <= 0)
			continue; /* idle time is not the relay's */
		for (int i = 0; i < n; i++)
			copies += send_copies(k, k->bare ? k->payload : k->in_buf[i],
					k->bare ? k->size : k->in[i].msg_len);
		spent += cpu_ns() - begun;
		taken += (uint64_t)n;
		atomic_store_explicit(&k->taken, taken, memory_order_relaxed);
	}
	k->ns = (double)spent / (double)copies;
	k->disturbed = bench_watch_disturbed(&watch);
	return 0;
}

/* Main's part while the worker runs. */
static void
play_clients(struct bench_kernel *k)
{
	for (unsigned int i = 0; i < BENCH_BURST && !k->bare; i++) {
		if (k->published - atomic_load_explicit(&k->taken, memory_order_relaxed) >=
				OUTSTANDING)
			break;
		if (send(k->publisher, k->payload, k->size, 0) == k->size)
			k->published++;
	}
	for (unsigned int i = 0; i < k->copies; i++)
		while (recvmmsg(k->subs[i], k->drain, DRAIN_BURST, MSG_DONTWAIT, NULL) ==
				DRAIN_BURST)
			;
}

static void
run_once(struct bench_kernel *k)
{
	unsigned int lcore = rte_get_next_lcore(-1, 1, 0);

	while (recvmmsg(k->relay, k->drain, DRAIN_BURST, MSG_DONTWAIT, NULL) > 0)
		;
	atomic_store_explicit(&k->taken, 0, memory_order_relaxed);
	k->published = 0;
	if (rte_eal_remote_launch(relay_run, k, lcore) != 0)
		bench_die("the worker lcore is busy");
	while (rte_eal_get_lcore_state(lcore) == RUNNING)
		play_clients(k);
	rte_eal_wait_lcore(lcore);
}

static double
run(struct bench_kernel *k, bool bare)
{
	k->bare = bare;
	for (unsigned int i = 0; i < BENCH_RETRIES; i++) {
		run_once(k);
		if (!k->disturbed)
			return k->ns;
		bench_figures.repeated++;
	}
	bench_figures.disturbed++;
	return k->ns;
}

void
bench_kernel_sample(struct bench_kernel *k, double *ns, double *bare_ns)
{
	*ns = run(k, false);
	*bare_ns = run(k, true);
}

void
bench_kernel_all(const struct bench_options *opt)
{
	static const uint16_t counts[] = { 1, 10, 100 };
	static const uint16_t sizes[] = { 200, 1200 };
	struct bench_figures *f = &bench_figures;

	f->nb_kernel = RTE_DIM(counts) * RTE_DIM(sizes);
	f->kernel = calloc(f->nb_kernel, sizeof(*f->kernel));
	if (f->kernel == NULL)
		bench_die("out of memory");
	for (unsigned int i = 0; i < f->nb_kernel; i++) {
		f->kernel[i].copies = counts[i / RTE_DIM(sizes)];
		f->kernel[i].size = sizes[i % RTE_DIM(sizes)];
	}
	for (unsigned int i = 0; i < f->nb_kernel; i++) {
		struct bench_kernel *k = bench_kernel_open(f->kernel[i].copies, f->kernel[i].size);

		for (unsigned int r = 0; r < RTE_MIN(opt->repetitions, 15u); r++) {
			double ns, bare_ns;

			bench_kernel_sample(k, &ns, &bare_ns);
			bench_series_add(&f->kernel[i].ns, ns);
			bench_series_add(&f->kernel[i].bare_ns, bare_ns);
		}
		bench_kernel_close(k);
	}
}

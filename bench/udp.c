/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What scripts/bench_peers.py needs beside the relays that it compares: a relay of kernel sockets as
 * a program of its own, the loop of kernel.c; and a publisher with its subscribers, for every relay
 * that takes plain RTP.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BURST       32
#define PAYLOAD_MAX 1500
#define COUNT_MAX   1000
#define RTP_HDR     12
/* Packets between two looks at the subscribers' sockets: they hold some hundred. */
#define SWEEP_EVERY 4
/* The last copies' way. */
#define TAIL_NS 300000000u

static const char usage[] =
		"usage: bench-udp relay ADDR:PORT SINK:PORT COUNT\n"
		"       bench-udp load ADDR:PORT TARGET:PORT SINK:PORT COUNT\n"
		"\n"
		"relay: send what arrives at ADDR:PORT to COUNT subscribers, which are at every second\n"
		"port from SINK:PORT on.\n"
		"load: be these subscribers, and publish from ADDR:PORT to TARGET:PORT. Each line of the\n"
		"standard input, \"PER_SECOND SIZE COUNT\", is answered by \"sent N arrived N other N\" once\n"
		"it is done; \"other\" are datagrams without the payload that was sent.\n";

static void
die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "bench-udp: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	exit(2);
}

static struct sockaddr_in
parse_addr(const char *text)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	char host[64];
	unsigned int port;

	if (sscanf(text, "%63[0-9.]:%u", host, &port) != 2 || port == 0 || port > UINT16_MAX ||
			inet_pton(AF_INET, host, &addr.sin_addr) != 1)
		die("%s: not an IPv4 address and a port", text);
	addr.sin_port = htons((uint16_t)port);
	return addr;
}

static unsigned int
parse_count(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end != '\0' || n < 1 || n > COUNT_MAX)
		die("%s: a number from 1 to %u is needed", text, COUNT_MAX);
	return (unsigned int)n;
}

static int
socket_open(const struct sockaddr_in *addr)
{
	int size = 1 << 20;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
		die("UDP port %u: %s", ntohs(addr->sin_port), strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return fd;
}

/* Subscriber i of those that begin at `first`. */
static struct sockaddr_in
sink_addr(const struct sockaddr_in *first, unsigned int i)
{
	struct sockaddr_in addr = *first;

	addr.sin_port = htons((uint16_t)(ntohs(first->sin_port) + 2 * i));
	return addr;
}

/* --- relay ----------------------------------------------------------------------------------- */

static void
send_copies(int fd, struct mmsghdr *out, unsigned int n)
{
	unsigned int sent = 0;

	while (sent < n) {
		int ret = sendmmsg(fd, out + sent, n - sent, 0);

		if (ret > 0)
			sent += (unsigned int)ret;
		else if (errno == ECONNREFUSED || errno == EPERM)
			sent++; /* a subscriber that has gone */
		else if (errno != EINTR && errno != ENOBUFS)
			die("sendmmsg(): %s", strerror(errno));
	}
}

static void
relay(const struct sockaddr_in *addr, const struct sockaddr_in *first, unsigned int count)
{
	static uint8_t in_buf[BURST][PAYLOAD_MAX];
	static struct sockaddr_in addrs[COUNT_MAX];
	static struct mmsghdr out[COUNT_MAX];
	struct mmsghdr in[BURST] = { 0 };
	struct iovec in_vec[BURST];
	struct iovec out_vec;
	int fd = socket_open(addr);

	for (unsigned int i = 0; i < BURST; i++) {
		in_vec[i] = (struct iovec){ in_buf[i], sizeof(in_buf[i]) };
		in[i].msg_hdr.msg_iov = &in_vec[i];
		in[i].msg_hdr.msg_iovlen = 1;
	}
	for (unsigned int i = 0; i < count; i++) {
		addrs[i] = sink_addr(first, i);
		out[i].msg_hdr.msg_name = &addrs[i];
		out[i].msg_hdr.msg_namelen = sizeof(addrs[i]);
		out[i].msg_hdr.msg_iov = &out_vec;
		out[i].msg_hdr.msg_iovlen = 1;
	}
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		int n = recvmmsg(fd, in, BURST, MSG_WAITFORONE, NULL);

		if (n < 0 && errno != EINTR && errno != ECONNREFUSED)
			die("recvmmsg(): %s", strerror(errno));
		for (int i = 0; i < n; i++) {
			out_vec = (struct iovec){ in_buf[i], in[i].msg_len };
			send_copies(fd, out, count);
		}
	}
}

/* --- load ------------------------------------------------------------------------------------ */

struct load {
	int publisher;
	int sinks[COUNT_MAX];
	unsigned int nb_sinks;
	uint16_t seq;
	uint32_t timestamp;
	uint8_t payload[PAYLOAD_MAX];
	size_t size;
	/* of one publication */
	uint64_t arrived;
	uint64_t other;
};

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void
sleep_until(uint64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / 1000000000u),
		.tv_nsec = (long)(ns % 1000000000u) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

/* As it was published, but for the RTP header, which a relay may change and extend. */
static bool
is_media(const struct load *load, const uint8_t *packet, size_t len)
{
	size_t payload = load->size - RTP_HDR;

	return len >= load->size && packet[0] >> 6 == 2 &&
			memcmp(packet + len - payload, load->payload + RTP_HDR, payload) == 0;
}

/* What has arrived. What somebody else sent, like RTCP, is not media. */
static void
sweep(struct load *load)
{
	uint8_t buf[BURST][PAYLOAD_MAX];
	struct iovec vec[BURST];
	struct mmsghdr msgs[BURST] = { 0 };

	for (unsigned int i = 0; i < BURST; i++) {
		vec[i] = (struct iovec){ buf[i], sizeof(buf[i]) };
		msgs[i].msg_hdr.msg_iov = &vec[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	for (unsigned int s = 0; s < load->nb_sinks; s++) {
		int n;

		do {
			n = recvmmsg(load->sinks[s], msgs, BURST, MSG_DONTWAIT, NULL);
			for (int i = 0; i < n; i++) {
				if (is_media(load, buf[i], msgs[i].msg_len))
					load->arrived++;
				else
					load->other++;
			}
		} while (n == BURST);
	}
}

static void
publish(struct load *load, unsigned int per_second, unsigned int count)
{
	uint64_t begun = now_ns();
	uint64_t sent = 0;

	sweep(load); /* what is late from before is not counted */
	load->arrived = load->other = 0;
	for (unsigned int i = 0; i < count; i++) {
		uint16_t seq = htons(load->seq++);
		uint32_t timestamp = htonl(load->timestamp += 48000 / per_second);

		memcpy(load->payload + 2, &seq, sizeof(seq));
		memcpy(load->payload + 4, &timestamp, sizeof(timestamp));
		sleep_until(begun + (uint64_t)i * 1000000000u / per_second);
		if (send(load->publisher, load->payload, load->size, 0) == (ssize_t)load->size)
			sent++;
		if (i % SWEEP_EVERY == 0)
			sweep(load);
	}
	for (unsigned int i = 0; i < 10; i++) {
		sleep_until(now_ns() + TAIL_NS / 10);
		sweep(load);
	}
	printf("sent %" PRIu64 " arrived %" PRIu64 " other %" PRIu64 "\n", sent, load->arrived,
			load->other);
	fflush(stdout);
}

static void
load_run(const struct sockaddr_in *addr, const struct sockaddr_in *target,
		const struct sockaddr_in *first, unsigned int count)
{
	static struct load load = { .payload = { 0x80, 111, 0, 0, 0, 0, 0, 0, 0x70, 0x6c, 0x6d,
						    1 } };
	char line[128];

	load.publisher = socket_open(addr);
	if (connect(load.publisher, (const struct sockaddr *)target, sizeof(*target)) < 0)
		die("connect(): %s", strerror(errno));
	for (; load.nb_sinks < count; load.nb_sinks++) {
		struct sockaddr_in sink = sink_addr(first, load.nb_sinks);

		load.sinks[load.nb_sinks] = socket_open(&sink);
	}
	for (unsigned int i = RTP_HDR; i < sizeof(load.payload); i++)
		load.payload[i] = (uint8_t)(i * 37);
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		unsigned int per_second, size, packets;

		if (sscanf(line, "%u %u %u", &per_second, &size, &packets) != 3 || per_second < 1 ||
				per_second > 100000 || size < RTP_HDR || size > PAYLOAD_MAX ||
				packets > 10000000)
			die("%s: \"PER_SECOND SIZE COUNT\" is needed", line);
		load.size = size;
		publish(&load, per_second, packets);
	}
}

int
main(int argc, char **argv)
{
	struct sockaddr_in addrs[3];
	bool is_relay = argc == 5 && strcmp(argv[1], "relay") == 0;

	if (!is_relay && !(argc == 6 && strcmp(argv[1], "load") == 0)) {
		fputs(usage, stderr);
		return 2;
	}
	for (int i = 0; i < argc - 3; i++)
		addrs[i] = parse_addr(argv[2 + i]);
	if (is_relay)
		relay(&addrs[0], &addrs[1], parse_count(argv[4]));
	else
		load_run(&addrs[0], &addrs[1], &addrs[2], parse_count(argv[5]));
	return 0;
}

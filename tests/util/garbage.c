/* SPDX-License-Identifier: BSD-3-Clause */
/* Send garbage from a packet socket at a fixed rate. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "garbage_frame.h"

#define BATCH 64

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void
sleep_until(uint64_t ns)
{
	const struct timespec ts = { .tv_sec = (time_t)(ns / 1000000000),
		.tv_nsec = (long)(ns % 1000000000) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static void
usage(void)
{
	puts("usage: garbage --interface NAME --mac MAC --ip4 ADDR --ip6 ADDR --port N\n"
	     "               [--rate PPS] [--seconds S] [--seed N]\n\n"
	     "Send random frames, most of them nearly right, to a relay. Says at the end how many\n"
	     "it sent and how many the kernel refused. PPS 0 is as fast as possible.");
}

int
main(int argc, char **argv)
{
	static const struct option options[] = { { "interface", required_argument, NULL, 'i' },
		{ "mac", required_argument, NULL, 'm' }, { "ip4", required_argument, NULL, '4' },
		{ "ip6", required_argument, NULL, '6' }, { "port", required_argument, NULL, 'p' },
		{ "rate", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'S' }, { "help", no_argument, NULL, 'h' },
		{ 0 } };
	static uint8_t frames[BATCH][GARBAGE_FRAME_MAX + 8];
	struct sockaddr_ll addr = { .sll_family = AF_PACKET };
	struct mmsghdr msgs[BATCH] = { 0 };
	struct iovec iov[BATCH];
	struct garbage_target to = { 0 };
	const char *interface = NULL;
	uint64_t rnd = 1, rate = 50000, sent = 0, refused = 0, begun;
	double seconds = 10;
	int opt, fd;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		bool ok = true;

		switch (opt) {
		case 'i':
			interface = optarg;
			break;
		case 'm':
			ok = sscanf(optarg, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &to.mac[0], &to.mac[1],
					     &to.mac[2], &to.mac[3], &to.mac[4], &to.mac[5]) == 6;
			break;
		case '4':
			ok = inet_pton(AF_INET, optarg, &to.ip4) == 1;
			break;
		case '6':
			ok = inet_pton(AF_INET6, optarg, &to.ip6) == 1;
			break;
		case 'p':
			to.port = (uint16_t)atoi(optarg);
			break;
		case 'r':
			rate = strtoull(optarg, NULL, 10);
			break;
		case 's':
			seconds = atof(optarg);
			break;
		case 'S':
			rnd = strtoull(optarg, NULL, 0);
			break;
		default:
			usage();
			return opt == 'h' ? 0 : 2;
		}
		if (!ok) {
			fprintf(stderr, "garbage: bad address: %s\n", optarg);
			return 2;
		}
	}
	if (interface == NULL || to.port == 0) {
		usage();
		return 2;
	}
	addr.sll_ifindex = (int)if_nametoindex(interface);
	fd = socket(AF_PACKET, SOCK_RAW, 0); /* protocol 0: receives nothing */
	if (addr.sll_ifindex == 0 || fd < 0 ||
			bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		fprintf(stderr, "garbage: %s: %s\n", interface, strerror(errno));
		return 1;
	}
	for (int i = 0; i < BATCH; i++) {
		iov[i].iov_base = frames[i];
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}

	begun = now_ns();
	for (;;) {
		const uint64_t elapsed = now_ns() - begun;
		uint64_t due = rate == 0 ? sent + refused + BATCH
					 : (uint64_t)((double)elapsed * (double)rate / 1e9);
		unsigned int n = 0;
		int taken;

		if ((double)elapsed >= seconds * 1e9)
			break;
		while (n < BATCH && sent + refused + n < due) {
			iov[n].iov_len = garbage_frame(&rnd, &to, frames[n]);
			n++;
		}
		if (n < BATCH && rate != 0) {
			/* A millisecond's worth at a time: fewer, fuller system calls. */
			if (n == 0) {
				sleep_until(begun + elapsed + 1000000);
				continue;
			}
		}
		taken = sendmmsg(fd, msgs, n, 0);
		if (taken > 0)
			sent += (unsigned int)taken;
		if (taken < (int)n)
			refused += n - (unsigned int)(taken > 0 ? taken : 0);
	}
	printf("{\"event\": \"done\", \"sent\": %" PRIu64 ", \"refused\": %" PRIu64 "}\n", sent,
			refused);
	return 0;
}

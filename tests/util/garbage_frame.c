/* SPDX-License-Identifier: BSD-3-Clause */
#include "garbage_frame.h"

#include <net/ethernet.h>
#include <stdbool.h>
#include <string.h>

#define ETH_LEN 14

static uint64_t
next_random(uint64_t *state)
{
	/* splitmix64 */
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint32_t
below(uint64_t *state, uint32_t n)
{
	return (uint32_t)(next_random(state) % n);
}

static void
fill_random(uint64_t *state, uint8_t *to, size_t len)
{
	for (size_t i = 0; i < len; i += 8) {
		uint64_t r = next_random(state);

		memcpy(to + i, &r, len - i < 8 ? len - i : 8);
	}
}

static void
put16(uint8_t *to, uint32_t v)
{
	to[0] = (uint8_t)(v >> 8);
	to[1] = (uint8_t)v;
}

static void
put32(uint8_t *to, uint32_t v)
{
	put16(to, v >> 16);
	put16(to + 2, v);
}

static uint32_t
sum16(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	if (len & 1)
		sum += (uint32_t)(p[len - 1] << 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* STUN, RTP, RTCP, first packets of QUIC, or nothing known; returns the bytes written, at most `max` (>= 256). */
static size_t
make_payload(uint64_t *rnd, uint8_t *p, size_t max)
{
	size_t len = 1 + below(rnd, (uint32_t)max);

	fill_random(rnd, p, len);
	switch (below(rnd, 6)) {
	case 0: /* STUN: a header that is right, attributes that lie */
		len = 20 + below(rnd, 50) * 4;
		fill_random(rnd, p, len);
		put16(p, below(rnd, 2) ? 0x0001 : below(rnd, 0x4000));
		put16(p + 2, (uint32_t)(len - 20 + (below(rnd, 4) == 0 ? below(rnd, 64) : 0)));
		put32(p + 4, 0x2112a442);
		if (len >= 60) {
			static const uint16_t kinds[] = { 0x0006, 0x0008, 0x0024, 0x0025, 0x8028,
				0x8029, 0x802a };

			put16(p + 20, kinds[below(rnd, 7)]);
			put16(p + 22, below(rnd, 48));
			put16(p + len - 8, 0x8028);
			put16(p + len - 6, 4);
		}
		break;
	case 1: /* RTP */
		p[0] = (uint8_t)(0x80 | below(rnd, 64));
		break;
	case 2: /* RTCP */
		len = 4 + below(rnd, 20) * 4;
		fill_random(rnd, p, len);
		p[0] = (uint8_t)(0x80 | below(rnd, 64));
		p[1] = (uint8_t)(192 + below(rnd, 32));
		put16(p + 2, below(rnd, 2) ? (uint32_t)(len / 4 - 1) : below(rnd, 32));
		break;
	case 3: /* an Initial: as long as it must be, a version now and then, ids of some length, no token */
		len = max - below(rnd, below(rnd, 2) ? 30 : 200);
		fill_random(rnd, p, len);
		p[0] = (uint8_t)(0xc0 | below(rnd, 16));
		put32(p + 1, below(rnd, 4) ? 1 : (uint32_t)next_random(rnd));
		p[5] = (uint8_t)(below(rnd, 8) ? 8 + below(rnd, 13) : below(rnd, 256));
		p[6 + p[5]] = 8;
		p[15 + p[5]] = 0;
		put16(p + 16 + p[5],
				0x4000 |
						(below(rnd, 8) ? (uint32_t)(len - 18 - p[5])
							       : below(rnd, 0x4000)));
		break;
	default:
		break;
	}
	return len;
}

#define PAYLOAD_MAX 1225

static size_t
make_ipv4(uint64_t *rnd, const struct garbage_target *to, uint8_t *ip)
{
	const size_t len = make_payload(rnd, ip + 28, PAYLOAD_MAX);
	const bool lie = below(rnd, 4) == 0;
	uint32_t sum;

	memset(ip, 0, 28);
	ip[0] = lie && below(rnd, 2) ? (uint8_t)next_random(rnd) : 0x45;
	put16(ip + 2, (uint32_t)(28 + len + (lie ? below(rnd, 100) : 0)));
	put16(ip + 6, lie && below(rnd, 2) ? below(rnd, 65536) : 0);
	ip[8] = 64;
	ip[9] = lie && below(rnd, 4) == 0 ? (uint8_t)next_random(rnd) : IPPROTO_UDP;
	put32(ip + 12, 0xc6120000 | below(rnd, 0x20000));
	memcpy(ip + 16, &to->ip4, 4);
	put16(ip + 10, ~sum16(ip, 20, 0) & 0xffff);
	put16(ip + 20, below(rnd, 65536));
	put16(ip + 22, below(rnd, 8) ? to->port : below(rnd, 65536));
	put16(ip + 24, (uint32_t)(8 + len + (lie && below(rnd, 2) ? below(rnd, 50) : 0)));
	if (below(rnd, 4) != 0) {
		sum = sum16(ip + 12, 8, IPPROTO_UDP + 8 + (uint32_t)len);
		sum = ~sum16(ip + 20, 8 + len, sum) & 0xffff;
		put16(ip + 26, sum == 0 ? 0xffff : sum);
	} else {
		put16(ip + 26, below(rnd, 65536));
	}
	return 28 + len;
}

static size_t
make_ipv6(uint64_t *rnd, const struct garbage_target *to, uint8_t *ip)
{
	const bool lie = below(rnd, 4) == 0;
	size_t len;
	uint32_t sum;

	memset(ip, 0, 48);
	ip[0] = 0x60;
	ip[7] = (uint8_t)(lie ? next_random(rnd) : 255);
	ip[8] = 0xfd;
	fill_random(rnd, ip + 9, 15);
	memcpy(ip + 24, &to->ip6, 16);
	if (below(rnd, 4) == 0) { /* ICMPv6, neighbour discovery more often than not */
		len = 4 + below(rnd, 60);
		fill_random(rnd, ip + 40, len);
		ip[6] = IPPROTO_ICMPV6;
		ip[40] = (uint8_t)(128 + below(rnd, 16));
		ip[41] = 0;
		put16(ip + 42, 0);
		sum = sum16(ip + 8, 32, IPPROTO_ICMPV6 + (uint32_t)len);
		put16(ip + 42, ~sum16(ip + 40, len, sum) & 0xffff);
	} else {
		len = 8 + make_payload(rnd, ip + 48, PAYLOAD_MAX);
		ip[6] = lie ? (uint8_t)next_random(rnd) : IPPROTO_UDP;
		put16(ip + 40, below(rnd, 65536));
		put16(ip + 42, to->port);
		put16(ip + 44, (uint32_t)len);
		sum = sum16(ip + 8, 32, IPPROTO_UDP + (uint32_t)len);
		sum = ~sum16(ip + 40, len, sum) & 0xffff;
		put16(ip + 46, sum == 0 ? 0xffff : sum);
	}
	put16(ip + 4, (uint32_t)(len + (lie && below(rnd, 2) ? below(rnd, 100) : 0)));
	return 40 + len;
}

static size_t
make_arp(uint64_t *rnd, const struct garbage_target *to, uint8_t *arp)
{
	fill_random(rnd, arp, 28);
	put16(arp, below(rnd, 8) ? 1 : below(rnd, 65536));
	put16(arp + 2, below(rnd, 8) ? ETH_P_IP : below(rnd, 65536));
	arp[4] = below(rnd, 8) ? 6 : (uint8_t)next_random(rnd);
	arp[5] = below(rnd, 8) ? 4 : (uint8_t)next_random(rnd);
	put16(arp + 6, 1 + below(rnd, 3));
	/* Not from the addresses of those who are there: a spoofed neighbour is another matter. */
	put32(arp + 14, 0xc6138000 | below(rnd, 0x7fff));
	memcpy(arp + 24, &to->ip4, 4);
	return below(rnd, 8) ? 28 : below(rnd, 28);
}

size_t
garbage_frame(uint64_t *rnd, const struct garbage_target *to, uint8_t *frame)
{
	uint8_t *const inner = frame + ETH_LEN;
	size_t len;

	fill_random(rnd, frame, ETH_LEN);
	if (below(rnd, 16) != 0)
		memcpy(frame, to->mac, 6);
	frame[6] = 0x02; /* a unicast source */
	switch (below(rnd, 8)) {
	case 0:
		len = below(rnd, GARBAGE_FRAME_MAX - ETH_LEN);
		fill_random(rnd, inner, len);
		if (below(rnd, 2))
			put16(frame + 12, below(rnd, 2) ? ETH_P_IP : ETH_P_IPV6);
		break;
	case 1:
		put16(frame + 12, ETH_P_ARP);
		len = make_arp(rnd, to, inner);
		break;
	case 2:
	case 3:
	case 4:
		put16(frame + 12, ETH_P_IPV6);
		len = make_ipv6(rnd, to, inner);
		break;
	default:
		put16(frame + 12, ETH_P_IP);
		len = make_ipv4(rnd, to, inner);
		break;
	}
	if (below(rnd, 32) == 0)
		len = below(rnd, (uint32_t)len + 1); /* cut off */
	return ETH_LEN + len;
}

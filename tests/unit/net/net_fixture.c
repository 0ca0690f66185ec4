/* SPDX-License-Identifier: BSD-3-Clause */
#include "net_fixture.h"

#include <string.h>

const uint8_t mac_port0[6] = { 0x02, 0, 0, 0, 0, 0x10 };
const uint8_t mac_port1[6] = { 0x02, 0, 0, 0, 0, 0x11 };
const uint8_t mac_peer[6] = { 0x02, 0xaa, 0, 0, 0, 0x02 };
const uint8_t mac_other[6] = { 0x02, 0xbb, 0, 0, 0, 0x03 };
const uint8_t mac_broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static void
fill(void *ctx, void *buf, size_t len)
{
	memset(buf, 0x5a, len);
}

const struct plm_rand net_fixture_rand = { fill, NULL };

static void
emit(void *ctx, uint16_t port_idx, const void *frame, size_t len)
{
	struct net_fixture *f = ctx;
	struct emitted *e = &f->emitted[f->nb_emitted++];

	assert_true(f->nb_emitted <= TEST_EMITTED);
	assert_true(len <= sizeof(e->bytes));
	e->port_idx = port_idx;
	e->len = len;
	memcpy(e->bytes, frame, len);
}

struct plm_ip
ip_of(const char *text)
{
	struct plm_ip ip;

	assert_int_equal(plm_ip_parse(text, &ip), 0);
	return ip;
}

void
net_fixture_init(struct net_fixture *f, unsigned int max_neighbours)
{
	const struct plm_port *ports[2] = { &f->ports[0], &f->ports[1] };
	const struct plm_net_local_conf locals[] = {
		{ 0, ip_of("198.18.0.1"), 24, ip_of("198.18.0.254") },
		{ 0, ip_of("fd00::1"), 64, ip_of("fe80::fe") },
		{ 1, ip_of("198.19.0.1"), 30, { { 0 }, false } },
	};
	struct plm_net_conf conf = { .ports = ports,
		.nb_ports = 2,
		.locals = locals,
		.nb_locals = 3,
		.udp_port = TEST_UDP_PORT,
		.max_neighbours = max_neighbours,
		.rand = net_fixture_rand,
		.emit = emit,
		.emit_ctx = f,
		.counters = &f->counters };

	memset(f, 0, sizeof(*f));
	memcpy(f->ports[0].mac.addr_bytes, mac_port0, 6);
	memcpy(f->ports[1].mac.addr_bytes, mac_port1, 6);
	f->ports[1].idx = 1;
	f->ports[0].mtu = 1500;
	f->ports[1].mtu = 1500;
	assert_int_equal(plm_net_create(&f->net, &conf), 0);
}

void
net_fixture_fini(struct net_fixture *f)
{
	plm_net_free(f->net);
}

uint32_t
ref_sum(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	return sum;
}

uint16_t
ref_fold(uint32_t sum)
{
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint16_t
ref_l4_check(const uint8_t *ip)
{
	bool is_v6 = ip[0] >> 4 == 6;
	size_t len = is_v6 ? (size_t)(ip[4] << 8 | ip[5]) : (size_t)(ip[2] << 8 | ip[3]) - 20;
	uint32_t sum = ref_sum(0, ip + (is_v6 ? 8 : 12), is_v6 ? 32 : 8);

	sum += is_v6 ? ip[6] : ip[9];
	sum += (uint32_t)len;
	return ref_fold(ref_sum(sum, ip + (is_v6 ? 40 : 20), len));
}

uint8_t *
put_eth(uint8_t *frame, const uint8_t dst[6], const uint8_t src[6], uint16_t type)
{
	memcpy(frame, dst, 6);
	memcpy(frame + 6, src, 6);
	frame[12] = (uint8_t)(type >> 8);
	frame[13] = (uint8_t)type;
	return frame + 14;
}

uint8_t *
put_ip(uint8_t *ip, const char *src, const char *dst, uint8_t proto, size_t l4_len)
{
	struct plm_ip s = ip_of(src), d = ip_of(dst);
	uint16_t sum;

	if (s.is_v6) {
		memset(ip, 0, 40);
		ip[0] = 0x60;
		ip[4] = (uint8_t)(l4_len >> 8);
		ip[5] = (uint8_t)l4_len;
		ip[6] = proto;
		ip[7] = 64;
		memcpy(ip + 8, s.addr, 16);
		memcpy(ip + 24, d.addr, 16);
		return ip + 40;
	}
	memset(ip, 0, 20);
	ip[0] = 0x45;
	ip[2] = (uint8_t)((l4_len + 20) >> 8);
	ip[3] = (uint8_t)(l4_len + 20);
	ip[8] = 64;
	ip[9] = proto;
	memcpy(ip + 12, s.addr, 4);
	memcpy(ip + 16, d.addr, 4);
	sum = (uint16_t)~ref_fold(ref_sum(0, ip, 20));
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
	return ip + 20;
}

void
put_l4_sum(uint8_t *ip, size_t off, bool pseudo)
{
	bool is_v6 = ip[0] >> 4 == 6;
	uint8_t *l4 = ip + (is_v6 ? 40 : 20);
	size_t len = is_v6 ? (size_t)(ip[4] << 8 | ip[5]) : (size_t)(ip[2] << 8 | ip[3]) - 20;
	uint16_t sum;

	l4[off] = 0;
	l4[off + 1] = 0;
	sum = (uint16_t) ~(pseudo ? ref_l4_check(ip) : ref_fold(ref_sum(0, l4, len)));
	if (sum == 0 && pseudo)
		sum = 0xffff;
	l4[off] = (uint8_t)(sum >> 8);
	l4[off + 1] = (uint8_t)sum;
}

size_t
udp_frame(uint8_t *frame, const char *src, const char *dst, uint16_t sport, uint16_t dport,
		const void *payload, size_t len)
{
	bool is_v6 = ip_of(src).is_v6;
	uint8_t *ip = put_eth(frame, mac_port0, mac_peer, is_v6 ? 0x86dd : 0x0800);
	uint8_t *udp = put_ip(ip, src, dst, 17, 8 + len);

	udp[0] = (uint8_t)(sport >> 8);
	udp[1] = (uint8_t)sport;
	udp[2] = (uint8_t)(dport >> 8);
	udp[3] = (uint8_t)dport;
	udp[4] = (uint8_t)((8 + len) >> 8);
	udp[5] = (uint8_t)(8 + len);
	memcpy(udp + 8, payload, len);
	put_l4_sum(ip, 6, true);
	return (size_t)(udp - frame) + 8 + len;
}

size_t
icmp6_frame(uint8_t *frame, const uint8_t dst_mac[6], const uint8_t src_mac[6], const char *src,
		const char *dst, uint8_t hops, const void *body, size_t len)
{
	uint8_t *ip = put_eth(frame, dst_mac, src_mac, 0x86dd);
	uint8_t *l4 = put_ip(ip, src, dst, 58, len);

	ip[7] = hops;
	memcpy(l4, body, len);
	put_l4_sum(ip, 2, true);
	return 14 + 40 + len;
}

uint64_t
counter(const struct net_fixture *f, enum plm_counter id)
{
	return plm_counter_get(&f->counters, id);
}

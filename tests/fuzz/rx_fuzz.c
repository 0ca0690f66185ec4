/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Raw frames: the check of received packets, and what it hands to the slow path. The first byte
 * says whether checksums are put right first, since a fuzzer does not find them by chance, and
 * whether the frame comes in two segments.
 */
#include <unistd.h>

#include <rte_eal.h>
#include <rte_mbuf.h>

#include "fuzz.h"
#include "plm_net.h"
#include "plm_wire.h"

#define FIX_CHECKSUMS 0x01
#define TWO_SEGMENTS  0x02

#define UDP_PORT  3478
#define FRAME_MAX 1514

static struct plm_port port = {
	.mtu = 1500,
	.mac = { { 2, 0, 0, 0, 0, 1 } },
};
static struct plm_net *net;
static struct rte_mempool *pool;
static struct plm_counters counters;
static uint64_t now_ns = PLM_NS_PER_S;

static void
fill(void *ctx, void *buf, size_t len)
{
	memset(buf, 0x42, len);
}

static void
emit(void *ctx, uint16_t port_idx, const void *frame, size_t len)
{
	FUZZ_CHECK(port_idx == 0);
	FUZZ_CHECK(len >= PLM_ETH_HDR && len <= FRAME_MAX);
	FUZZ_CHECK(memcmp((const uint8_t *)frame + 6, port.mac.addr_bytes, 6) == 0);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct plm_port *ports[] = { &port };
	struct plm_net_local_conf locals[2] = {
		{ .ip = { .addr = { 198, 18, 0, 1 } }, .prefix_len = 24 },
		{ .ip = { .addr = { 0xfd, [15] = 1 }, .is_v6 = true }, .prefix_len = 64 },
	};
	struct plm_net_conf conf = {
		.ports = ports,
		.nb_ports = 1,
		.locals = locals,
		.nb_locals = 2,
		.udp_port = UDP_PORT,
		.max_neighbours = 16,
		.rand = { .fill = fill },
		.emit = emit,
		.counters = &counters,
		.socket = SOCKET_ID_ANY,
	};
	char prefix[32];
	const char *args[] = { "fuzz", "--no-huge", "-m", "64", "--no-pci", "--no-shconf",
		"--no-telemetry", "--log-level", "lib.eal:error", "-l", "0", "--file-prefix",
		prefix };
	char *eal[RTE_DIM(args)];

	snprintf(prefix, sizeof(prefix), "plmfuzz%d", (int)getpid());
	for (size_t i = 0; i < RTE_DIM(args); i++)
		eal[i] = (char *)(uintptr_t)args[i];
	FUZZ_CHECK(rte_eal_init(RTE_DIM(eal), eal) >= 0);
	pool = plm_pool_create_rx("fuzz", 63, 1500, SOCKET_ID_ANY);
	FUZZ_CHECK(pool != NULL);
	FUZZ_CHECK(plm_net_create(&net, &conf) == 0);
	return 0;
}

/* Whatever the frame says of itself is believed as far as it lies within the frame. */
static void
fix_checksums(uint8_t *frame, size_t len)
{
	bool is_v6 = frame[12] == 0x86;
	size_t hdr = is_v6 ? PLM_IP6_HDR : PLM_IP4_HDR;
	uint8_t *ip = frame + PLM_ETH_HDR;
	uint8_t *l4 = ip + hdr;
	size_t l4_len = len - PLM_ETH_HDR;
	uint8_t proto;
	size_t field;
	uint16_t sum;

	if (len < PLM_ETH_HDR + hdr + PLM_UDP_HDR)
		return;
	if (is_v6) {
		l4_len = RTE_MIN(l4_len - hdr, (size_t)(ip[4] << 8 | ip[5]));
		proto = ip[6];
	} else {
		size_t total = (size_t)(ip[2] << 8 | ip[3]);

		ip[10] = ip[11] = 0;
		sum = (uint16_t)~plm_wire_sum(ip, PLM_IP4_HDR);
		memcpy(ip + 10, &sum, 2);
		if (total < hdr)
			return;
		l4_len = RTE_MIN(l4_len - hdr, total - hdr);
		proto = ip[9];
	}
	field = proto == 17 ? 6 : 2;
	if (l4_len < PLM_UDP_HDR)
		return;
	memset(l4 + field, 0, 2);
	if (proto == 1) {
		sum = (uint16_t)~plm_wire_sum(l4, l4_len);
	} else {
		sum = plm_wire_l4_sum(ip + (is_v6 ? 8 : 12), ip + (is_v6 ? 24 : 16), is_v6, proto,
				l4, l4_len);
		if (sum == 0 && proto == 17)
			sum = 0xffff;
	}
	memcpy(l4 + field, &sum, 2);
}

static void
check_udp(const struct rte_mbuf *m, const struct plm_pkt *pkt, const uint8_t *frame, size_t len)
{
	const uint8_t *udp = frame + pkt->payload_off - PLM_UDP_HDR;

	FUZZ_CHECK(pkt->payload_off >= PLM_ETH_HDR + PLM_IP4_HDR + PLM_UDP_HDR);
	FUZZ_CHECK((size_t)pkt->payload_off + pkt->payload_len <= len);
	FUZZ_CHECK(pkt->payload_len > 0);
	FUZZ_CHECK((udp[2] << 8 | udp[3]) == UDP_PORT);
	FUZZ_CHECK(pkt->payload_sum <= 0xffff);
	FUZZ_CHECK(pkt->payload_sum % 0xffff ==
			plm_wire_sum(frame + pkt->payload_off, pkt->payload_len) % 0xffff);
	FUZZ_CHECK(pkt->local_idx < plm_net_nb_locals(net));
	FUZZ_CHECK((bool)pkt->is_v6 == plm_net_local(net, pkt->local_idx)->ip.is_v6);
	FUZZ_CHECK(memcmp(&pkt->src_port, udp, 2) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	enum plm_counter why = PLM_CNT_MAX;
	struct rte_mbuf *m, *tail = NULL;
	uint8_t before[FRAME_MAX];
	uint8_t frame[FRAME_MAX];
	uint8_t answer[FRAME_MAX];
	uint8_t flags;
	size_t cut;
	int ret;

	if (len < 1 || len - 1 > sizeof(frame))
		return 0;
	flags = *buf++;
	len--;
	memcpy(frame, buf, len);
	if (len > PLM_ETH_HDR && flags & FIX_CHECKSUMS)
		fix_checksums(frame, len);

	m = rte_pktmbuf_alloc(pool);
	FUZZ_CHECK(m != NULL);
	cut = flags & TWO_SEGMENTS && len > 1 ? flags * 8 % len : len;
	memcpy(rte_pktmbuf_append(m, (uint16_t)cut), frame, cut);
	if (cut < len) {
		tail = rte_pktmbuf_alloc(pool);
		FUZZ_CHECK(tail != NULL);
		memcpy(rte_pktmbuf_append(tail, (uint16_t)(len - cut)), frame + cut, len - cut);
		FUZZ_CHECK(rte_pktmbuf_chain(m, tail) == 0);
	}
	memset(plm_pkt(m), 0x5a, sizeof(struct plm_pkt));
	memcpy(before, frame, len);

	switch (plm_net_rx(net, &port, m, &why)) {
	case PLM_NET_UDP:
		FUZZ_CHECK(tail == NULL);
		check_udp(m, plm_pkt(m), frame, len);
		ret = plm_net_reply(net, frame, plm_pkt(m), "answer", 6, answer, sizeof(answer));
		FUZZ_CHECK(ret == plm_pkt(m)->payload_off + 6);
		FUZZ_CHECK(memcmp(answer, frame + 6, 6) == 0);
		break;
	case PLM_NET_CTL:
		FUZZ_CHECK(tail == NULL);
		FUZZ_CHECK(plm_pkt(m)->port_idx == 0);
		FUZZ_CHECK(plm_pkt(m)->l3_off <= len);
		now_ns += PLM_NS_PER_MS;
		plm_net_input(net, 0, frame, len, now_ns);
		plm_net_timer(net, now_ns);
		break;
	case PLM_NET_DROP:
		FUZZ_CHECK(why < PLM_CNT_MAX);
		FUZZ_CHECK(plm_counter_defs[why].class == PLM_CLASS_RX_DROP);
		break;
	}
	FUZZ_CHECK(memcmp(rte_pktmbuf_mtod(m, void *), before, cut) == 0);
	rte_pktmbuf_free(m);
	return 0;
}

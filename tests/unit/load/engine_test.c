/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine on a pair of rings and a virtual clock. The other end is a reflector of this test: it
 * answers ARP, and makes copies of what the publishers send, with the faults that a case asks for.
 */
#include <rte_eth_ring.h>

#include "load.h"
#include "test_eal.h"

#define RING        1024
#define ROOMS       2
#define PUBLISHERS  2
#define SUBSCRIBERS 3
#define MEMBERS     (PUBLISHERS + SUBSCRIBERS)
#define RATE        10000
#define SECONDS     1
#define TURN_NS     (20 * PLM_NS_PER_US)
#define DELAY_TURNS 5
#define BUFFER      (LOAD_TX_BUF - LOAD_TX_SPARE) /* media that wait for the port */
#define WAIT_NS     (300 * PLM_NS_PER_MS)

static const uint8_t relay_mac[6] = { 2, 0, 0, 0, 0, 1 };
static struct rte_ring *to_relay;
static struct rte_ring *to_load;
static struct rte_mempool *rx_pool;
static struct rte_mempool *tx_pool;
static struct plm_port port;
static uint64_t now;

/* What the reflector does to the n-th copy. */
struct faults {
	unsigned int drop_every; /* 0: never */
	unsigned int twice_every;
	unsigned int swap_every; /* with the copy before it */
	unsigned int harm_every;
	bool deaf;         /* takes nothing from the ring */
	bool to_everybody; /* publishers too */
};

static struct {
	const struct faults *faults;
	unsigned int nb_copies;
	struct rte_mbuf *held; /* to be sent after the next one to the same room */
} relay;

static void
random_fill(void *ctx, void *buf, size_t len)
{
	static uint64_t x = 88172645463325252;

	for (uint8_t *p = buf; len > 0; len--) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		*p++ = (uint8_t)x;
	}
}

static void
send_to_load(struct rte_mbuf *m)
{
	if (rte_ring_enqueue(to_load, m) < 0)
		rte_pktmbuf_free(m);
}

static struct rte_mbuf *
mbuf_of(const void *frame, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(rx_pool);

	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	return m;
}

/* As a relay chains them: headers in one segment, the payload in another. */
static struct rte_mbuf *
copy_to(const uint8_t *in, size_t len, unsigned int participant)
{
	size_t hdr = PLM_ETH_HDR + PLM_IP4_HDR + PLM_UDP_HDR;
	uint16_t udp_port = rte_cpu_to_be_16((uint16_t)(20000 + participant));
	uint8_t head[64];
	struct rte_mbuf *m;

	memcpy(head, in, hdr);
	memcpy(head, in + 6, 6);
	memcpy(head + 6, in, 6);
	memcpy(head + 26, in + 30, 4);
	memcpy(head + 30, in + 26, 4);
	memcpy(head + 34, in + 36, 2);
	memcpy(head + 36, &udp_port, 2);
	m = mbuf_of(head, hdr);
	assert_int_equal(rte_pktmbuf_chain(m, mbuf_of(in + hdr, len - hdr)), 0);
	return m;
}

static bool
hits(unsigned int every)
{
	return every != 0 && relay.nb_copies % every == 0;
}

static void
copy_out(const uint8_t *frame, size_t len, unsigned int participant)
{
	struct rte_mbuf *m;

	relay.nb_copies++;
	if (hits(relay.faults->drop_every))
		return;
	m = copy_to(frame, len, participant);
	if (hits(relay.faults->harm_every))
		rte_pktmbuf_mtod(m->next, uint8_t *)[PLM_RTP_HDR + 20] ^= 1;
	if (hits(relay.faults->twice_every))
		send_to_load(copy_to(frame, len, participant));
	if (hits(relay.faults->swap_every) && relay.held == NULL) {
		relay.held = m;
		return;
	}
	send_to_load(m);
}

static void
reflect(const uint8_t *frame, size_t len)
{
	unsigned int sender = (unsigned int)(frame[34] << 8 | frame[35]) - 20000;
	unsigned int first = sender / MEMBERS * MEMBERS;
	struct rte_mbuf *held = relay.held;

	/* So many turns later that the same publisher has sent on. */
	if (held != NULL && relay.nb_copies % 50 == 0) {
		relay.held = NULL;
		send_to_load(held);
	}
	for (unsigned int i = relay.faults->to_everybody ? 0 : PUBLISHERS; i < MEMBERS; i++)
		if (first + i != sender)
			copy_out(frame, len, first + i);
}

static void
answer_arp(const uint8_t *frame, size_t len)
{
	struct plm_arp answer = { 0 };
	struct plm_arp arp;
	uint8_t out[64];
	int ret;

	assert_int_equal(plm_arp_parse(frame + PLM_ETH_HDR, len - PLM_ETH_HDR, &arp), 0);
	assert_true(arp.is_request);
	memcpy(answer.sender_mac, relay_mac, 6);
	memcpy(answer.sender_ip, arp.target_ip, 4);
	memcpy(answer.target_mac, arp.sender_mac, 6);
	memcpy(answer.target_ip, arp.sender_ip, 4);
	ret = plm_arp_build(out, sizeof(out), arp.sender_mac, &answer);
	send_to_load(mbuf_of(out, (size_t)ret));
}

static void
relay_turn(void)
{
	void *obj;

	while (!relay.faults->deaf && rte_ring_dequeue(to_relay, &obj) == 0) {
		struct rte_mbuf *m = obj;
		const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);

		if (frame[12] == 0x08 && frame[13] == 0x06)
			answer_arp(frame, m->pkt_len);
		else
			reflect(frame, m->pkt_len);
		rte_pktmbuf_free(m);
	}
}

static struct load *
make_load(void)
{
	struct load_conf conf = { .ethdev_id = port.ethdev_id,
		.tx_pool = tx_pool,
		.net = { .mac = port.mac,
				.nb_addresses = 1,
				.first_port = 20000,
				.relay_port = 3478 },
		.rooms = ROOMS,
		.publishers = PUBLISHERS,
		.subscribers = SUBSCRIBERS,
		.room = "load",
		.is_static = true,
		.sizes = { { .size = 60, .weight = 1 }, { .size = 1200, .weight = 1 } },
		.nb_sizes = 2,
		.wait_ns = WAIT_NS,
		.rand = { .fill = random_fill } };

	plm_ip_parse("198.18.1.1", &conf.net.first);
	plm_ip_parse("198.18.0.1", &conf.net.relay);
	conf.net.hop = conf.net.relay;
	return load_create(&conf);
}

static void
resolve(struct load *load)
{
	static const struct faults none;

	relay.faults = &none;
	for (unsigned int i = 0; i < 100 && load_state(load) != LOAD_READY; i++) {
		now += TURN_NS;
		load_turn(load, now);
		relay_turn();
	}
	assert_int_equal(load_state(load), LOAD_READY);
	assert_int_equal(load_nb_joined(load), ROOMS * MEMBERS);
}

static void
run(struct load *load, const struct faults *faults, uint64_t rate, struct load_result *r)
{
	unsigned int turn = 0;

	relay.faults = faults;
	relay.nb_copies = 0;
	load_run_begin(load, rate, SECONDS * PLM_NS_PER_S, now);
	while (!load_run_over(load, now)) {
		assert_true(turn < 10 * PLM_NS_PER_S / TURN_NS);
		now += TURN_NS;
		load_turn(load, now);
		if (++turn % DELAY_TURNS == 0)
			relay_turn();
	}
	load_run_result(load, now, r);
	if (relay.held != NULL)
		rte_pktmbuf_free(relay.held);
	relay.held = NULL;
}

static const struct {
	const char *name;
	struct faults faults;
} cases[] = {
	{ "a good relay", { 0 } },
	{ "one copy in 100 lost", { .drop_every = 100 } },
	{ "one in 7 twice", { .twice_every = 7 } },
	{ "some overtaken", { .swap_every = 501 } },
	{ "one in 64 harmed", { .harm_every = 64 } },
	{ "copies to publishers too", { .to_everybody = true } },
};

static void
run__accounts_for_every_copy(void **state)
{
	struct load *load = make_load();
	uint64_t sent = SECONDS * RATE;

	resolve(load);
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		const struct faults *f = &cases[i].faults;
		uint64_t due = sent * SUBSCRIBERS;
		uint64_t lost = 0;
		uint64_t twice = f->twice_every != 0 ? due / f->twice_every : 0;
		uint64_t held = f->swap_every != 0 ? 1 : 0; /* until the end */
		uint64_t strays = f->to_everybody ? sent * (PUBLISHERS - 1) : 0;
		struct load_result r;

		if (f->drop_every != 0)
			lost = due / f->drop_every;
		if (f->harm_every != 0)
			lost = due / f->harm_every;
		run(load, f, RATE, &r);
		if (r.sent != sent || r.unsent != 0 || r.due != due || r.lost < lost ||
				r.lost > lost + held || r.duplicates != twice ||
				r.harmed != (f->harm_every != 0 ? lost : 0) ||
				r.misrouted != strays || r.late != 0 || r.stale != 0 ||
				(r.reordered != 0) != (f->swap_every != 0))
			fail_msg("%s: sent %lu unsent %lu due %lu received %lu lost %lu duplicates "
				 "%lu reordered %lu late %lu harmed %lu misrouted %lu stale %lu",
					cases[i].name, r.sent, r.unsent, r.due, r.received, r.lost,
					r.duplicates, r.reordered, r.late, r.harmed, r.misrouted,
					r.stale);
	}
	load_free(load);
}

/* A packet that had to wait is late by its wait: the schedule does not. */
static void
latency__counts_from_the_intended_time(void **state)
{
	static const struct faults none;
	struct load *load = make_load();
	struct load_result r;

	resolve(load);
	run(load, &none, RATE, &r);
	assert_in_range(plm_hist_quantile(load_latency(load), 9990), TURN_NS,
			(DELAY_TURNS + 3) * TURN_NS);
	/* Stand still for 100 ms: what was due then is as late as that. */
	load_run_begin(load, RATE, PLM_NS_PER_S, now);
	now += 100 * PLM_NS_PER_MS;
	while (!load_run_over(load, now)) {
		now += TURN_NS;
		load_turn(load, now);
		relay_turn();
	}
	load_run_result(load, now, &r);
	assert_int_equal(r.lost, 0);
	assert_int_equal(r.sent, RATE);
	assert_in_range(plm_hist_quantile(load_latency(load), 10000), 99 * PLM_NS_PER_MS,
			110 * PLM_NS_PER_MS);
	load_free(load);
}

static void
run__counts_what_the_port_did_not_take_as_lost(void **state)
{
	static const struct faults deaf = { .deaf = true };
	static const struct faults none;
	struct load *load = make_load();
	struct load_result r;

	resolve(load);
	run(load, &deaf, RATE, &r);
	assert_int_equal(r.sent, RING + BUFFER);
	assert_int_equal(r.unsent, RATE - RING - BUFFER);
	assert_int_equal(r.due, RATE * SUBSCRIBERS);
	assert_int_equal(r.lost, r.due);
	/* The late packets of that run are no news to the next one. */
	run(load, &none, RATE, &r);
	assert_int_equal(r.lost, 0);
	assert_int_equal(r.stale, (RING + BUFFER) * SUBSCRIBERS);
	load_free(load);
}

/* The relay asks for its next hop while the generator has more to send than goes. */
static void
arp__is_answered_flat_out(void **state)
{
	static const uint8_t question[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1,
		8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 198, 18, 0, 1, 0, 0, 0, 0, 0, 0,
		198, 18, 1, 1 };
	struct load *load = make_load();
	unsigned int nb_answers = 0;
	void *p;

	resolve(load);
	load_run_begin(load, 0, PLM_NS_PER_S, now);
	for (unsigned int i = 0; i < RING; i++)
		load_turn(load, now);
	assert_int_equal(rte_ring_free_count(to_relay), 0);
	send_to_load(mbuf_of(question, sizeof(question)));
	for (unsigned int i = 0; i < RING + LOAD_TX_BUF; i++) {
		const uint8_t *frame;

		load_turn(load, now);
		assert_int_equal(rte_ring_dequeue(to_relay, &p), 0);
		frame = rte_pktmbuf_mtod((struct rte_mbuf *)p, const uint8_t *);
		nb_answers += frame[12] == 8 && frame[13] == 6 && frame[21] == 2;
		rte_pktmbuf_free(p);
	}
	assert_int_equal(nb_answers, 1);
	while (rte_ring_dequeue(to_relay, &p) == 0)
		rte_pktmbuf_free(p);
	load_free(load);
}

/* The relay may have been kept from running: what is in the port's ring comes when it runs. */
static void
run__is_over_when_nothing_came_for_as_long_as_told(void **state)
{
	static const struct {
		uint64_t pause_ns; /* of the relay, at the end */
		bool lost;
	} pauses[] = { { WAIT_NS - 50 * PLM_NS_PER_MS, false },
		{ WAIT_NS + 50 * PLM_NS_PER_MS, true } };
	struct load *load = make_load();

	resolve(load);
	for (size_t i = 0; i < RTE_DIM(pauses); i++) {
		uint64_t end_ns = now + PLM_NS_PER_S;
		struct load_result r;

		load_run_begin(load, RATE, PLM_NS_PER_S, now);
		while (!load_run_over(load, now)) {
			now += TURN_NS;
			load_turn(load, now);
			if (now < end_ns - 10 * PLM_NS_PER_MS || now > end_ns + pauses[i].pause_ns)
				relay_turn();
		}
		load_run_result(load, now, &r);
		assert_int_equal(r.unsent, 0);
		assert_true((r.lost != 0) == pauses[i].lost);
	}
	load_free(load);
}

/* A stall that lasts beyond the end is made up for, but not for ever. */
static void
run__sends_what_was_due_shortly_after_the_end(void **state)
{
	static const struct {
		uint64_t stall_ns; /* beyond the end */
		uint64_t unsent;
	} stalls[] = { { 5 * PLM_NS_PER_MS, 0 }, { 50 * PLM_NS_PER_MS, RATE / 100 } };
	struct load *load = make_load();

	resolve(load);
	for (size_t i = 0; i < RTE_DIM(stalls); i++) {
		uint64_t end_ns = now + PLM_NS_PER_S;
		struct load_result r;

		load_run_begin(load, RATE, PLM_NS_PER_S, now);
		while (!load_run_over(load, now)) {
			bool stall = now < end_ns && now >= end_ns - 10 * PLM_NS_PER_MS;

			now = stall ? end_ns + stalls[i].stall_ns : now + TURN_NS;
			load_turn(load, now);
			relay_turn();
		}
		load_run_result(load, now, &r);
		assert_in_range(r.unsent, stalls[i].unsent > 2 ? stalls[i].unsent - 2 : 0,
				stalls[i].unsent + (stalls[i].unsent != 0 ? 2 : 0));
		assert_int_equal(r.lost, r.unsent * SUBSCRIBERS);
	}
	load_free(load);
}

static void
create__refuses_what_memory_is_not_laid_out_for(void **state)
{
	static const struct {
		unsigned int rooms, publishers, subscribers;
	} sizes[] = { { 1, 0, 1 }, { 1, 1, 0 }, { 1, 3000, 3000 }, { 60000, 1, 1 },
		{ 60000, 1, 1000 } };

	for (size_t i = 0; i < RTE_DIM(sizes); i++) {
		struct load_conf conf = { .net.nb_addresses = 1,
			.net.first_port = 20000,
			.rooms = sizes[i].rooms,
			.publishers = sizes[i].publishers,
			.subscribers = sizes[i].subscribers,
			.nb_sizes = 1 };

		assert_null(load_create(&conf));
	}
}

/* STUN and garbage are larger than small media. */
static void
create__refuses_mbufs_that_are_too_small(void **state)
{
	static const struct {
		uint16_t mtu; /* that the pool's mbufs are made for */
		uint16_t size;
		bool fits;
	} rooms[] = { { 44 + LOAD_HDR_MAX, 44, false }, { 1500, 44, true }, { 1500, 1440, true },
		{ 1500, 1600, false } };

	for (size_t i = 0; i < RTE_DIM(rooms); i++) {
		struct rte_mempool *pool = plm_pool_create_copy("room", 255, rooms[i].mtu, 0);
		struct load_conf conf = { .tx_pool = pool,
			.net.nb_addresses = 1,
			.net.first_port = 20000,
			.rooms = 1,
			.publishers = 1,
			.subscribers = 1,
			.is_static = true,
			.room = "r",
			.sizes = { { .size = rooms[i].size, .weight = 1 } },
			.nb_sizes = 1,
			.rand = { .fill = random_fill } };
		struct load *load = load_create(&conf);

		assert_int_equal(load != NULL, rooms[i].fits);
		load_free(load);
		rte_mempool_free(pool);
	}
}

static int
setup(void **state)
{
	char why_buf[256];
	struct plm_text why;
	struct plm_port_conf conf = { .name = "net_ring_load",
		.nb_queues = 1,
		.nb_rxd = RING,
		.nb_txd = RING,
		.rx_pools = &rx_pool };

	plm_text_init(&why, why_buf, sizeof(why_buf));
	to_relay = rte_ring_create("to_relay", RING, 0, RING_F_EXACT_SZ);
	to_load = rte_ring_create("to_load", 16 * RING, 0, RING_F_EXACT_SZ);
	rx_pool = plm_pool_create_rx("rx", 32 * RING, 1500, 0);
	tx_pool = plm_pool_create_copy("tx", 4 * RING, 1500, 0);
	assert_non_null(rx_pool);
	assert_non_null(tx_pool);
	assert_true(rte_eth_from_rings("load", &to_load, 1, &to_relay, 1, 0) >= 0);
	assert_int_equal(plm_port_open(&port, 0, &conf, &why), 0);
	return 0;
}

/* Nothing is kept. */
static int
teardown(void **state)
{
	void *m;

	while (rte_ring_dequeue(to_relay, &m) == 0 || rte_ring_dequeue(to_load, &m) == 0)
		rte_pktmbuf_free(m);
	assert_int_equal(rte_mempool_in_use_count(rx_pool), 0);
	assert_int_equal(rte_mempool_in_use_count(tx_pool), 0);
	plm_port_close(&port);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run__accounts_for_every_copy),
		cmocka_unit_test(latency__counts_from_the_intended_time),
		cmocka_unit_test(run__counts_what_the_port_did_not_take_as_lost),
		cmocka_unit_test(arp__is_answered_flat_out),
		cmocka_unit_test(run__is_over_when_nothing_came_for_as_long_as_told),
		cmocka_unit_test(run__sends_what_was_due_shortly_after_the_end),
		cmocka_unit_test(create__refuses_what_memory_is_not_laid_out_for),
		cmocka_unit_test(create__refuses_mbufs_that_are_too_small),
	};

	test_eal_init(256);
	return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* TX buffers in front of a queue that takes only some: order, counters and no frame lost. */
#include <rte_bus_vdev.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>

#include "plm_port.h"
#include "test_eal.h"

#define TEST_RING 64 /* holds 63 */

struct fixture {
	struct rte_mempool *pool;
	struct rte_ring *ring;
	struct plm_port port;
	struct plm_mailbox box;
	struct plm_counters counters;
	struct plm_txq q;
	uint32_t next; /* number of the next frame */
};

static int
setup(void **state)
{
	static struct fixture f;
	struct plm_port_conf conf = { .name = "net_ring_txq",
		.nb_queues = 1,
		.nb_rxd = 64,
		.nb_txd = 64 };
	struct plm_text why;
	char buf[256];

	memset(&f, 0, sizeof(f));
	plm_text_init(&why, buf, sizeof(buf));
	f.pool = plm_pool_create_rx("txq", 255, 1500, 0);
	f.ring = rte_ring_create("txq", TEST_RING, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (f.pool == NULL || f.ring == NULL ||
			rte_eth_from_rings("txq", &f.ring, 1, &f.ring, 1, 0) < 0)
		return -1;
	conf.rx_pools = &f.pool;
	if (plm_port_open(&f.port, 0, &conf, &why) != 0) {
		print_error("%s\n", buf);
		return -1;
	}
	if (plm_mailbox_init(&f.box, "txq_box", 31, 0) != 0)
		return -1;
	f.q.port = &f.port;
	f.q.ethdev_id = f.port.ethdev_id;
	f.q.port_idx = 6;
	f.q.counters = &f.counters;
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	plm_port_close(&f->port);
	(void)rte_vdev_uninit("net_ring_txq");
	plm_mailbox_fini(&f->box);
	rte_ring_free(f->ring);
	if (rte_mempool_in_use_count(f->pool) != 0)
		return -1;
	rte_mempool_free(f->pool);
	return 0;
}

static void
put(struct fixture *f, unsigned int n, enum plm_tx_kind kind)
{
	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(f->pool);

		assert_non_null(m);
		m->hash.usr = f->next++;
		plm_txq_put(&f->q, m, kind);
	}
}

/* Take all frames off the wire; they must be `from` and following. Returns the next number. */
static uint32_t
drain(struct fixture *f, uint32_t from)
{
	struct rte_mbuf *m;

	while (rte_ring_dequeue(f->ring, (void **)&m) == 0) {
		assert_int_equal(m->hash.usr, from++);
		rte_pktmbuf_free(m);
	}
	return from;
}

static uint64_t
count(const struct fixture *f, enum plm_counter id)
{
	return plm_counter_get(&f->counters, id);
}

static void
txq_flush__keeps_the_rest_in_order(void **state)
{
	struct fixture *f = *state;
	uint32_t got = 0;

	assert_int_equal(plm_txq_flush(&f->q), 0);
	put(f, 40, PLM_TX_COPY);
	assert_int_equal(plm_txq_flush(&f->q), 0);
	assert_int_equal(count(f, PLM_CNT_COPIES_SENT), 40);

	/* 23 slots left: 20 copies, 3 of 10 carried; the others wait. */
	put(f, 20, PLM_TX_COPY);
	put(f, 10, PLM_TX_CARRY);
	put(f, 5, PLM_TX_CTL);
	assert_int_equal(plm_txq_flush(&f->q), 12);
	assert_int_equal(count(f, PLM_CNT_COPIES_SENT), 60);
	assert_int_equal(count(f, PLM_CNT_CARRIED_SENT), 3);
	assert_int_equal(count(f, PLM_CNT_CTL_FRAMES_OUT), 0);
	assert_int_equal(plm_txq_flush(&f->q), 12);
	got = drain(f, got);
	assert_int_equal(got, 63);
	assert_int_equal(plm_txq_flush(&f->q), 0);
	assert_int_equal(count(f, PLM_CNT_CARRIED_SENT), 10);
	assert_int_equal(count(f, PLM_CNT_CTL_FRAMES_OUT), 5);
	assert_int_equal(count(f, PLM_CNT_COPIES_HANDED), 0);
	got = drain(f, got);
	assert_int_equal(got, f->next);
}

static void
txq_reserve__never_overfills(void **state)
{
	struct fixture *f = *state;

	assert_true(plm_txq_reserve(&f->q, PLM_TXQ_SIZE));
	put(f, PLM_TXQ_SIZE, PLM_TX_COPY);
	/* The flush behind it gets 63 of 64 away. */
	assert_true(plm_txq_reserve(&f->q, 63));
	assert_int_equal(f->q.n, 1);
	put(f, 63, PLM_TX_COPY);
	assert_false(plm_txq_reserve(&f->q, 1));
	assert_int_equal(f->q.n, PLM_TXQ_SIZE);
	plm_txq_drop(&f->q);
	assert_int_equal(count(f, PLM_CNT_COPY_STOPPED), 64);
	assert_int_equal(count(f, PLM_CNT_COPIES_SENT), 63);
	drain(f, 0);
}

static void
txq_flush__hands_over_what_is_carried(void **state)
{
	struct fixture *f = *state;
	struct plm_msg msgs[64];
	unsigned int n;

	f->q.carried = true;
	f->q.ring = &f->box;
	put(f, 40, PLM_TX_COPY);
	/* The ring holds 31. */
	assert_int_equal(plm_txq_flush(&f->q), 9);
	assert_int_equal(count(f, PLM_CNT_COPIES_HANDED), 31);
	n = plm_mailbox_get(&f->box, msgs, 64);
	assert_int_equal(n, 31);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(msgs[i].type, PLM_MSG_CARRY);
		assert_int_equal(msgs[i].aux, 6);
		assert_int_equal(msgs[i].idx, i);
		assert_int_equal(msgs[i].mbuf->hash.usr, i);
		rte_pktmbuf_free(msgs[i].mbuf);
	}
	assert_int_equal(plm_txq_flush(&f->q), 0);
	assert_int_equal(count(f, PLM_CNT_COPIES_HANDED), 40);
	assert_int_equal(count(f, PLM_CNT_COPIES_SENT), 0);
	/* What nobody takes over is freed with the ring. */
}

static void
txq_drop__counts_by_kind(void **state)
{
	struct fixture *f = *state;

	put(f, 3, PLM_TX_COPY);
	put(f, 2, PLM_TX_CARRY);
	put(f, 1, PLM_TX_CTL);
	plm_txq_drop(&f->q);
	assert_int_equal(f->q.n, 0);
	assert_int_equal(count(f, PLM_CNT_COPY_STOPPED), 3);
	assert_int_equal(count(f, PLM_CNT_CARRY_STOPPED), 2);
	assert_int_equal(count(f, PLM_CNT_CTL_TX_QUEUE), 1);
	plm_txq_drop(&f->q);
	assert_int_equal(count(f, PLM_CNT_COPY_STOPPED), 3);
}

/* What the wire does not take waits, but not for a wire that is not there. */
static void
txq_flush__drops_while_there_is_no_link(void **state)
{
	static const struct {
		bool link_up;
		bool carried;
		uint16_t stay; /* of 33 copies, 2 carried and 5 slow-path frames behind 63 */
	} cases[] = {
		{ true, false, 40 }, { false, false, 0 },
		{ false, true, 40 }, /* the owner of the queue decides */
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct plm_msg msgs[64];
		unsigned int n;

		memset(&f->counters, 0, sizeof(f->counters));
		f->q.carried = cases[i].carried;
		f->q.ring = cases[i].carried ? &f->box : NULL;
		f->next = 0;
		put(f, cases[i].carried ? 31 : 63, PLM_TX_COPY);
		assert_int_equal(plm_txq_flush(&f->q), 0);
		put(f, 33, PLM_TX_COPY);
		put(f, 2, PLM_TX_CARRY);
		put(f, 5, PLM_TX_CTL);
		atomic_store(&f->port.link_up, cases[i].link_up);
		assert_int_equal(plm_txq_flush(&f->q), cases[i].stay);
		assert_int_equal(f->q.n, cases[i].stay);
		assert_int_equal(count(f, PLM_CNT_COPY_LINK), cases[i].stay == 0 ? 33 : 0);
		assert_int_equal(count(f, PLM_CNT_CARRY_LINK), cases[i].stay == 0 ? 2 : 0);
		assert_int_equal(count(f, PLM_CNT_CTL_TX_QUEUE), cases[i].stay == 0 ? 5 : 0);
		plm_txq_drop(&f->q);
		drain(f, 0);
		n = plm_mailbox_get(&f->box, msgs, 64);
		for (unsigned int k = 0; k < n; k++)
			rte_pktmbuf_free(msgs[k].mbuf);
	}
	/* A queue that takes all is not asked for its link: drivers are late, or do not know. */
	f->q.carried = false;
	f->next = 0;
	put(f, 10, PLM_TX_COPY);
	assert_int_equal(plm_txq_flush(&f->q), 0);
	assert_int_equal(drain(f, 0), 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(txq_flush__keeps_the_rest_in_order, setup,
				teardown),
		cmocka_unit_test_setup_teardown(txq_reserve__never_overfills, setup, teardown),
		cmocka_unit_test_setup_teardown(txq_flush__hands_over_what_is_carried, setup,
				teardown),
		cmocka_unit_test_setup_teardown(txq_flush__drops_while_there_is_no_link, setup,
				teardown),
		cmocka_unit_test_setup_teardown(txq_drop__counts_by_kind, setup, teardown),
	};

	test_eal_init(64);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

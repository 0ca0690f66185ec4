/* SPDX-License-Identifier: BSD-3-Clause */
/* Mailboxes: capacity, order, whole messages, and no mbuf lost with the ring. */
#include <errno.h>
#include <stdio.h>

#include "plm_lcore.h"
#include "test_eal.h"

static void
mailbox__holds_at_least_its_size(void **state)
{
	static const unsigned int sizes[] = { 1, 2, 3, 7, 8, 63, 64, 1000, 1024 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct plm_mailbox box = { NULL };
		struct plm_msg msg = { .type = PLM_MSG_SSRC_CLAIM };
		unsigned int n = 0;

		assert_int_equal(plm_mailbox_init(&box, "size", sizes[i], 0), 0);
		while (n <= 2 * sizes[i] + 2 && plm_mailbox_put(&box, &msg, 1) == 1)
			n++;
		assert_in_range(n, sizes[i], 2 * sizes[i] + 1);
		plm_mailbox_fini(&box);
	}
}

static void
mailbox__keeps_order_and_whole_messages(void **state)
{
	struct plm_mailbox box = { NULL };
	struct plm_msg in[40], out[40];
	unsigned int put = 0, got = 0, round = 0;

	assert_int_equal(plm_mailbox_init(&box, "order", 31, 0), 0);
	while (got < 1000) {
		unsigned int n = 1 + round++ % 40;
		unsigned int taken;

		for (unsigned int i = 0; i < n; i++) {
			in[i] = (struct plm_msg){ .type = PLM_MSG_SSRC_CLAIM,
				.aux = (uint16_t)(put + i),
				.idx = put + i,
				.gen = ~(put + i),
				.ssrc = (put + i) * 7 };
		}
		taken = plm_mailbox_put(&box, in, n);
		assert_true(taken <= n);
		put += taken;
		n = plm_mailbox_get(&box, out, 1 + round % 17);
		for (unsigned int i = 0; i < n; i++, got++) {
			assert_int_equal(out[i].type, PLM_MSG_SSRC_CLAIM);
			assert_int_equal(out[i].aux, (uint16_t)got);
			assert_int_equal(out[i].idx, got);
			assert_int_equal(out[i].gen, ~got);
			assert_int_equal(out[i].ssrc, got * 7);
		}
	}
	plm_mailbox_fini(&box);
}

static void
mailbox__refuses_a_name_in_use(void **state)
{
	struct plm_mailbox a = { NULL }, b = { NULL };

	assert_int_equal(plm_mailbox_init(&a, "twice", 8, 0), 0);
	assert_int_equal(plm_mailbox_init(&b, "twice", 8, 0), -EEXIST);
	assert_null(b.ring);
	plm_mailbox_fini(&b);
	plm_mailbox_fini(&a);
	assert_int_equal(plm_mailbox_init(&b, "twice", 8, 0), 0);
	plm_mailbox_fini(&b);
}

static void
mailbox__fini_frees_queued_mbufs(void **state)
{
	static const struct {
		uint16_t type;
		bool has_mbuf;
	} cases[] = {
		{ PLM_MSG_PACKET, true },
		{ PLM_MSG_CARRY, true },
		{ PLM_MSG_CTL_PACKET, true },
		{ PLM_MSG_SSRC_CLAIM, false },
		{ PLM_MSG_SSRC_REVOKE, false },
		{ PLM_MSG_TX, true },
		{ PLM_MSG_FANOUT, true },
	};
	struct rte_mempool *pool = rte_pktmbuf_pool_create("mbufs", 63, 0, 0, 256, 0);
	struct plm_mailbox box = { NULL };

	assert_non_null(pool);
	assert_int_equal(plm_mailbox_init(&box, "mbufs", 16, 0), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct plm_msg msg = { .type = cases[i].type, .gen = 0xdead, .ssrc = 0xbeef };

		if (cases[i].has_mbuf)
			msg.mbuf = rte_pktmbuf_alloc(pool);
		assert_int_equal(plm_mailbox_put(&box, &msg, 1), 1);
	}
	assert_int_equal(rte_mempool_in_use_count(pool), 5);
	plm_mailbox_fini(&box);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
	plm_mailbox_fini(&box);
	rte_mempool_free(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mailbox__holds_at_least_its_size),
		cmocka_unit_test(mailbox__keeps_order_and_whole_messages),
		cmocka_unit_test(mailbox__refuses_a_name_in_use),
		cmocka_unit_test(mailbox__fini_frees_queued_mbufs),
	};

	test_eal_init(64);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* A driver's thread that unmaps memory waits for the turns that may be using it, and for no others. */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_lcore.h>

#include "app.h"
#include "test_eal.h"

#define TEST_PAGE 4096

static struct app app;

/* Where the unmapping thread is. */
static struct {
	pthread_t thread;
	void *page;
	_Atomic bool done;
	int ret;
} driver;

static void *
unmap(void *arg)
{
	driver.ret = munmap(driver.page, TEST_PAGE);
	atomic_store(&driver.done, true);
	return NULL;
}

static void
start(void)
{
	driver.page = mmap(NULL, TEST_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
	assert_true(driver.page != MAP_FAILED);
	atomic_store(&driver.done, false);
	assert_int_equal(pthread_create(&driver.thread, NULL, unmap, NULL), 0);
}

static void
finish(void)
{
	assert_int_equal(pthread_join(driver.thread, NULL), 0);
	assert_int_equal(driver.ret, 0);
}

static bool
is_mapped(void)
{
	unsigned char vec;

	return mincore(driver.page, TEST_PAGE, &vec) == 0;
}

static void
set_running(unsigned int worker, bool running)
{
	atomic_store(&app.workers[worker].running, running);
}

static int
setup(void **state)
{
	memset(&app, 0, sizeof(app));
	app.conf.nb_workers = 2;
	unmap_guard(&app);
	return 0;
}

static int
teardown(void **state)
{
	unmap_guard(NULL);
	return 0;
}

static void
unmap__waits_for_the_turn_of_every_worker(void **state)
{
	set_running(0, true);
	set_running(1, true);
	start();
	usleep(20000);
	assert_false(atomic_load(&driver.done));
	assert_true(is_mapped());
	atomic_fetch_add(&app.workers[0].nb_turns, 1);
	usleep(20000);
	assert_false(atomic_load(&driver.done));
	assert_true(is_mapped());
	atomic_fetch_add(&app.workers[1].nb_turns, 1);
	finish();
	assert_false(is_mapped());
}

static void
unmap__waits_for_no_worker_that_has_ended(void **state)
{
	set_running(0, true);
	start();
	usleep(20000);
	assert_false(atomic_load(&driver.done));
	set_running(0, false);
	finish();
	assert_false(is_mapped());
}

static void
unmap__waits_for_nobody_without_a_relay(void **state)
{
	set_running(0, true);
	unmap_guard(NULL);
	start();
	finish();
	assert_false(is_mapped());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(unmap__waits_for_the_turn_of_every_worker, setup,
				teardown),
		cmocka_unit_test_setup_teardown(unmap__waits_for_no_worker_that_has_ended, setup,
				teardown),
		cmocka_unit_test_setup_teardown(unmap__waits_for_nobody_without_a_relay, setup,
				teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

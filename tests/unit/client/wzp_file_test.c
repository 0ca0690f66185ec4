/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_common.h>

#include "test_eal.h"
#include "wzp_file.h"

static char path[] = "/tmp/plenum-wzp-XXXXXX";

/* What the original analyzer wrote of two datagrams, its header's length and all. */
#define HEADER                                                                                     \
	"{\"relay\":\"127.0.0.1:4433\",\"room\":\"acc\",\"start_time\":\"2026-11-21T17:44:51."     \
	"803963340+00:00\",\"version\":1}"
#define PREFIX   "WZP\x01\x66\0\0\0"
#define RECORD_1 "\x25\x75\x0f\0\0\0\0\0\x0d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x48"
#define RECORD_2 "\x45\xc3\x0f\0\0\0\0\0\x0e\0\0\0\0\0\0\x01\0\0\0\x14\0\0\0\0\x4b\x41"
static_assert(sizeof(HEADER) - 1 == 0x66, "as PREFIX says");
static const char whole[] = PREFIX HEADER RECORD_1 RECORD_2;

static void
put(const void *buf, size_t len)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(buf, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static int
load(struct replay **replay, char *text, size_t size)
{
	struct plm_text why;

	plm_text_init(&why, text, size);
	return wzp_file_load(replay, path, &why);
}

static void
wzp_file__reads_what_the_analyzer_wrote(void **state)
{
	uint8_t buf[REPLAY_DATAGRAM];
	struct replay *r;
	char why[128];

	put(whole, sizeof(whole) - 1);
	assert_int_equal(load(&r, why, sizeof(why)), 0);
	assert_true(r->is_raw && !r->loops);
	assert_int_equal(r->nb_packets, 2);
	assert_int_equal(r->packets[0].at_ns, 0);
	assert_int_equal(r->packets[1].at_ns, (0x0fc345 - 0x0f7525) * PLM_NS_PER_US);
	assert_int_equal(replay_build(r, buf), 13);
	assert_memory_equal(buf, &RECORD_1[12], 13);
	replay_advance(r);
	assert_false(replay_over(r));
	assert_int_equal(replay_build(r, buf), 14);
	assert_memory_equal(buf, &RECORD_2[12], 14);
	replay_advance(r);
	assert_true(replay_over(r));
	assert_int_equal(r->sources[0].packets, 2);
	replay_free(r);
}

static void
wzp_file__refuses_what_is_cut_off_or_something_else(void **state)
{
	static const struct {
		const char *name;
		const char *bytes;
		size_t len;
	} cases[] = {
		{ "nothing", "", 0 },
		{ "no capture", "RIFF\x66\0\0\0" HEADER, 8 + 0x66 },
		{ "another version of the format", "WZP\x02\x66\0\0\0" HEADER, 8 + 0x66 },
		{ "a header that is none", PREFIX "[" HEADER, 8 + 0x66 },
		{ "a header of another version", "WZP\x01\x0d\0\0\0{\"version\":2}", 8 + 13 },
		{ "a header that ends nowhere", "WZP\x01\xff\xff\xff\xff" HEADER, 8 + 0x66 },
		{ "no datagram", PREFIX HEADER, 8 + 0x66 },
		{ "a datagram of 16 KB",
				"WZP\x01\x0d\0\0\0{\"version\":1}\0\0\0\0\0\0\0\0\0\x40\0\0",
				8 + 13 + 12 },
		{ "a time beyond all",
				"WZP\x01\x0d\0\0\0{\"version\":1}"
				"\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",
				8 + 13 + 12 },
	};
	struct replay *r = NULL;
	char why[128];

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		put(cases[i].bytes, cases[i].len);
		if (load(&r, why, sizeof(why)) != -EINVAL || why[0] == '\0')
			fail_msg("%s: '%s'", cases[i].name, why);
	}
	/* At every byte but where a record ends. */
	for (size_t len = 0; len < sizeof(whole) - 1; len++) {
		int want = len == sizeof(PREFIX HEADER RECORD_1) - 1 ? 0 : -EINVAL;

		put(whole, len);
		if (load(&r, why, sizeof(why)) != want)
			fail_msg("%zu bytes", len);
		if (want == 0)
			replay_free(r);
	}
	unlink(path);
	assert_int_equal(load(&r, why, sizeof(why)), -EINVAL);
	assert_null(strstr(why, "not a"));
}

static void
wzp_file__writes_what_it_reads(void **state)
{
	struct wzp_file *file;
	struct replay *r;
	char why_buf[128];
	struct plm_text why;
	char head[512] = { 0 };
	uint8_t buf[REPLAY_DATAGRAM];
	FILE *f;

	plm_text_init(&why, why_buf, sizeof(why_buf));
	/* 2026-11-21 17:44:51, and a room that JSON has to quote. */
	assert_int_equal(wzp_file_create(&file, path, "[fd00::1]:4433", "a\"b",
					 UINT64_C(1795283091) * PLM_NS_PER_S + 5, &why),
			0);
	for (unsigned int i = 0; i < 1000; i++) {
		memset(buf, (int)i, sizeof(buf));
		wzp_file_add(file, PLM_NS_PER_S + i * 20 * PLM_NS_PER_MS, buf, 12 + i);
	}
	assert_int_equal(wzp_file_close(file), 0);
	f = fopen(path, "rb");
	assert_true(fread(head, 1, sizeof(head) - 1, f) > 100);
	fclose(f);
	assert_memory_equal(head, "WZP\x01", 4);
	assert_memory_equal(head + 8,
			"{\"relay\":\"[fd00::1]:4433\",\"room\":\"a\\\"b\",\"start_time\":"
			"\"2026-11-21T17:44:51.000000005+00:00\",\"version\":1}",
			(uint8_t)head[4]);
	assert_int_equal(load(&r, why_buf, sizeof(why_buf)), 0);
	assert_int_equal(r->nb_packets, 1000);
	for (unsigned int i = 0; i < 1000; i++) {
		uint8_t want[REPLAY_DATAGRAM];

		memset(want, (int)i, sizeof(want));
		assert_int_equal(r->packets[i].at_ns, i * 20 * PLM_NS_PER_MS);
		assert_int_equal(replay_build(r, buf), 12 + i);
		assert_memory_equal(buf, want, 12 + i);
		replay_advance(r);
	}
	replay_free(r);
}

static void
wzp_file__says_that_it_is_not_whole(void **state)
{
	struct wzp_file *file;
	char why_buf[128];
	struct plm_text why;
	uint8_t buf[1000] = { 0 };

	plm_text_init(&why, why_buf, sizeof(why_buf));
	assert_int_equal(wzp_file_create(&file, "/nonexistent/file", "r", "r", 0, &why), -ENOENT);
	assert_string_equal(why_buf, "No such file or directory");
	/* A device that is always full. */
	assert_int_equal(wzp_file_create(&file, "/dev/full", "r", "r", 0, &why), 0);
	for (unsigned int i = 0; i < 100; i++)
		wzp_file_add(file, i, buf, sizeof(buf));
	assert_int_equal(wzp_file_close(file), -ENOSPC);
	assert_int_equal(wzp_file_close(NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wzp_file__reads_what_the_analyzer_wrote),
		cmocka_unit_test(wzp_file__refuses_what_is_cut_off_or_something_else),
		cmocka_unit_test(wzp_file__writes_what_it_reads),
		cmocka_unit_test(wzp_file__says_that_it_is_not_whole),
	};
	int fd = mkstemp(path);
	int ret;

	if (fd < 0)
		return 1;
	close(fd);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return ret;
}

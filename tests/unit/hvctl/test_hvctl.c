/* SPDX-License-Identifier: MIT */
/* hvctl's checks of what the hypervisor answers, and its text functions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/host/hvctl/hvctl.h"

static void good_info(struct rd_info *info)
{
	memset(info, 0, sizeof(*info));
	info->abi_version = RD_ABI_VERSION;
	info->size = sizeof(*info);
	info->range_count = RD_INFO_RANGES;
	for (unsigned int i = 0; i < RD_INFO_RANGES; i++) {
		info->range[i] = (struct rd_mem_range){ i * 4096ull, 4096, i % 4, 1 };
	}
}

static void test_info(void **state)
{
	struct rd_info info;

	(void)state;
	good_info(&info);
	assert_null(check_info(&info));
	info.abi_version++;
	assert_non_null(check_info(&info));
	good_info(&info);
	info.size--;
	assert_non_null(check_info(&info));
	good_info(&info);
	info.range_count = RD_INFO_RANGES + 1;
	assert_non_null(check_info(&info));
	info.range_count = UINT32_MAX;
	assert_non_null(check_info(&info));
	good_info(&info);
	info.range[127].owner = 4;
	assert_non_null(check_info(&info));
	good_info(&info);
	info.range[3].size = 0;
	assert_non_null(check_info(&info));
	good_info(&info);
	info.range[3].base = UINT64_MAX - 4094;
	assert_non_null(check_info(&info));
	info.range[3].base = UINT64_MAX - 4095;
	assert_null(check_info(&info));
}

static void test_info_texts(void **state)
{
	struct rd_info info;

	(void)state;
	good_info(&info);
	memset(info.version, 'x', sizeof(info.version));
	assert_non_null(check_info(&info));
	good_info(&info);
	memset(info.build, 'x', sizeof(info.build));
	assert_non_null(check_info(&info));
	good_info(&info);
	memset(info.vendor, 'x', sizeof(info.vendor));
	assert_non_null(check_info(&info));
	good_info(&info);
	memset(info.boot_protocol, 'x', sizeof(info.boot_protocol));
	assert_non_null(check_info(&info));
}

static void good_log(struct rd_log *log, uint64_t from)
{
	memset(log, 0, sizeof(*log));
	log->count = RD_LOG_RECORDS;
	for (unsigned int i = 0; i < RD_LOG_RECORDS; i++) {
		log->record[i].sequence = from + i;
	}
	log->next = from + RD_LOG_RECORDS;
}

static void test_log(void **state)
{
	struct rd_log log;

	(void)state;
	good_log(&log, 7);
	assert_null(check_log(&log, 7));
	assert_null(check_log(&log, 0)); /* a gap is allowed */
	assert_non_null(check_log(&log, 8));
	log.count = RD_LOG_RECORDS + 1;
	assert_non_null(check_log(&log, 7));
	good_log(&log, 7);
	log.record[27].length = RD_LOG_TEXT_MAX;
	assert_non_null(check_log(&log, 7));
	good_log(&log, 7);
	log.record[27].level = LEVEL_COUNT;
	assert_non_null(check_log(&log, 7));
	good_log(&log, 7);
	log.record[5].sequence = log.record[4].sequence;
	assert_non_null(check_log(&log, 7));
	good_log(&log, 7);
	log.next--;
	assert_non_null(check_log(&log, 7));
	good_log(&log, UINT64_MAX - 5);
	assert_non_null(check_log(&log, 0));
	memset(&log, 0, sizeof(log));
	assert_null(check_log(&log, 0));
	assert_non_null(check_log(&log, 1));
}

static void test_escape(void **state)
{
	char out[TEXT_SIZE(8)];

	(void)state;
	text_escape(out, sizeof(out), "a\x1b[2J\n\\", 7);
	assert_string_equal(out, "a\\x1b[2J\\x0a\\x5c");
	text_escape(out, sizeof(out), "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	assert_int_equal(strlen(out), 32);
	text_escape(out, 6, "\xff\xff", 2);
	assert_string_equal(out, "\\xff");
	text_escape(out, 1, "abc", 3);
	assert_string_equal(out, "");
	text_escape(out, sizeof(out), "ab\0cd", 5);
	assert_string_equal(out, "ab");
}

static void test_size(void **state)
{
	char out[32];

	(void)state;
	text_size(out, sizeof(out), 0);
	assert_string_equal(out, "0 B");
	text_size(out, sizeof(out), 1023);
	assert_string_equal(out, "1023 B");
	text_size(out, sizeof(out), 1536);
	assert_string_equal(out, "1.5 KiB");
	text_size(out, sizeof(out), 8ull << 20);
	assert_string_equal(out, "8.0 MiB");
	text_size(out, sizeof(out), UINT64_MAX);
	assert_string_equal(out, "15.9 EiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_info), cmocka_unit_test(test_info_texts),
		cmocka_unit_test(test_log),  cmocka_unit_test(test_escape),
		cmocka_unit_test(test_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

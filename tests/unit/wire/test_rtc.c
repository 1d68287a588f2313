// SPDX-License-Identifier: MIT
/* The calendar against the C library's, and the registers as drivers read them. */
#include "tests/unit/wire/wire_test.h"

#include <time.h>

#include "hv/wire/rtc.h"

#define INDEX 0x70
#define DATA 0x71
#define NEW_YEAR 1767225599ull /* 2025-12-31 23:59:59, a Wednesday */

static struct rtc r;

static uint8_t at(uint8_t index, uint64_t now)
{
	rtc_write(&r, INDEX, index);
	return rtc_read(&r, DATA, now);
}

static void check(uint64_t seconds)
{
	time_t t = (time_t)seconds;
	struct rtc_time d;
	struct tm tm;

	memset(&d, 0xa5, sizeof(d));
	rtc_date(seconds, &d);
	assert_non_null(gmtime_r(&t, &tm));
	assert_int_equal(d.year, tm.tm_year + 1900);
	assert_int_equal(d.month, tm.tm_mon + 1);
	assert_int_equal(d.day, tm.tm_mday);
	assert_int_equal(d.weekday, tm.tm_wday + 1);
	assert_int_equal(d.hour, tm.tm_hour);
	assert_int_equal(d.minute, tm.tm_min);
	assert_int_equal(d.second, tm.tm_sec);
}

/* The first and the last second of every day until the year 10000. */
static void test_calendar(void **state)
{
	struct rtc_time last, beyond;

	(void)state;
	for (uint64_t day = 0; day <= RTC_SECONDS_MAX / 86400; day++) {
		check(day * 86400);
		check(day * 86400 + 86399);
	}
	check(1234567890);
	rtc_date(RTC_SECONDS_MAX, &last);
	rtc_date(UINT64_MAX, &beyond);
	assert_int_equal(last.year, 9999);
	assert_memory_equal(&last, &beyond, sizeof(last));
}

static void test_registers(void **state)
{
	static const struct {
		uint8_t index, value;
	} want[] = {
		{ 0x00, 0x59 }, { 0x02, 0x59 }, { 0x04, 0x23 }, { 0x06, 4 },    { 0x07, 0x31 },
		{ 0x08, 0x12 }, { 0x09, 0x25 }, { 0x32, 0x20 }, { 0x0a, 0x26 }, { 0x0b, 0x02 },
		{ 0x0c, 0 },    { 0x0d, 0x80 }, { 0x01, 0 },    { 0x03, 0 },    { 0x05, 0 },
		{ 0x0e, 0 },    { 0x33, 0 },    { 0x7f, 0 },
	};

	(void)state;
	memset(&r, 0xa5, sizeof(r));
	rtc_init(&r);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_int_equal(at(want[i].index, NEW_YEAR), want[i].value);
		/* The bit that masks NMIs is not of the index. */
		assert_int_equal(at(want[i].index | 0x80, NEW_YEAR), want[i].value);
		assert_int_equal(rtc_read(&r, INDEX, NEW_YEAR), 0xff);
	}
	assert_int_equal(at(0x32, 0), 0x19); /* 1970 */
	assert_int_equal(at(0x09, 0), 0x70);
}

static void test_writes_ignored(void **state)
{
	(void)state;
	rtc_init(&r);
	for (unsigned index = 0; index < 256; index++) {
		uint8_t before = at((uint8_t)index, NEW_YEAR);

		rtc_write(&r, DATA, (uint8_t)~before);
		assert_int_equal(rtc_read(&r, DATA, NEW_YEAR), before);
	}
}

/* A second passes between any two reads of a date: the reader still gets one that was. */
static void test_one_date(void **state)
{
	static const uint8_t order[] = { 0x32, 0x09, 0x08, 0x07, 0x04, 0x02, 0x00 };
	static const uint8_t old[] = { 0x20, 0x25, 0x12, 0x31, 0x23, 0x59, 0x59 };
	static const uint8_t new[] = { 0x20, 0x26, 0x01, 0x01, 0x00, 0x00, 0x00 };

	(void)state;
	for (size_t turn = 0; turn < sizeof(order); turn++) {
		rtc_init(&r);
		assert_int_equal(at(0x0a, NEW_YEAR) & 0x80, 0);
		for (size_t i = 0; i < sizeof(order); i++) {
			assert_int_equal(at(order[i], NEW_YEAR + (i >= turn)), old[i]);
		}
		assert_int_equal(at(0x0a, NEW_YEAR + 1) & 0x80, 0);
		for (size_t i = 0; i < sizeof(order); i++) {
			assert_int_equal(at(order[i], NEW_YEAR + 1), new[i]);
		}
	}
}

/* Who waits for the next second without a look at register A sees it come. */
static void test_second_passes(void **state)
{
	(void)state;
	rtc_init(&r);
	for (uint64_t now = NEW_YEAR - 59; now <= NEW_YEAR; now++) {
		unsigned s = (unsigned)(now - (NEW_YEAR - 59));

		assert_int_equal(at(0x00, now), s / 10 << 4 | s % 10);
	}
	assert_int_equal(at(0x00, NEW_YEAR + 1), 0);
}

/* A date that was never read does not wait until tomorrow; the host's clock may also be set back. */
static void test_old(void **state)
{
	(void)state;
	rtc_init(&r);
	(void)at(0x0a, NEW_YEAR);
	assert_int_equal(at(0x09, NEW_YEAR + 2), 0x26);
	(void)at(0x0a, NEW_YEAR + 2);
	assert_int_equal(at(0x09, NEW_YEAR), 0x25);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calendar),       cmocka_unit_test(test_registers),
		cmocka_unit_test(test_writes_ignored), cmocka_unit_test(test_one_date),
		cmocka_unit_test(test_second_passes),  cmocka_unit_test(test_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

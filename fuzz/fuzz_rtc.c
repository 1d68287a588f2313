// SPDX-License-Identifier: MIT
/*
 * Input: a script. Byte modulo 4: 0 writes the index (next byte), 1 writes the data port (next byte), 2 reads both ports, 3 sets the
 * time (8 bytes). What is read is compared with the C library's calendar, and so are the edges of that year.
 */
#include <string.h>
#include <time.h>

#include "fuzz/script.h"
#include "hv/wire/rtc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_date(uint64_t seconds)
{
	time_t t = (time_t)(seconds < RTC_SECONDS_MAX ? seconds : RTC_SECONDS_MAX);
	struct rtc_time d;
	struct tm tm;

	memset(&d, 0xa5, sizeof(d));
	rtc_date(seconds, &d);
	CHECK_FUZZ(gmtime_r(&t, &tm) != NULL);
	CHECK_FUZZ(d.year == tm.tm_year + 1900 && d.month == tm.tm_mon + 1 && d.day == tm.tm_mday);
	CHECK_FUZZ(d.hour == tm.tm_hour && d.minute == tm.tm_min && d.second == tm.tm_sec);
	CHECK_FUZZ(d.weekday == tm.tm_wday + 1);
}

/* Where calendars go wrong in its year: around the new years, and at February's end. */
static void check_year(uint64_t seconds)
{
	static const int month_day[][2] = { { 0, 1 }, { 1, 28 },  { 1, 29 },
					    { 2, 1 }, { 11, 30 }, { 11, 31 } };
	time_t t = (time_t)(seconds < RTC_SECONDS_MAX ? seconds : RTC_SECONDS_MAX);
	struct tm tm;

	CHECK_FUZZ(gmtime_r(&t, &tm) != NULL);
	for (size_t i = 0; i < sizeof(month_day) / sizeof(month_day[0]); i++) {
		struct tm day = { .tm_year = tm.tm_year,
				  .tm_mon = month_day[i][0],
				  .tm_mday = month_day[i][1] };

		check_date((uint64_t)timegm(&day));
	}
}

static void check_value(uint8_t index, uint8_t v)
{
	bool date = index <= 9 && index != 1 && index != 3 && index != 5;

	if (date || index == 0x32) {
		CHECK_FUZZ((v & 15) <= 9 && v <= 0x99);
	} else {
		CHECK_FUZZ(v == (index == 0x0a   ? 0x26
				 : index == 0x0b ? 2
				 : index == 0x0d ? 0x80
						 : 0));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script all = { data, size, 0 }, s;
	uint64_t now = 0;
	struct rtc r;

	memset(&r, 0xa5, sizeof(r));
	rtc_init(&r);
	for (int i = 0; i < 500 && script_action(&all, &s); i++) {
		uint32_t op = (uint32_t)script_take(&s, 1) % 4;
		struct rtc before = r;

		switch (op) {
		case 0:
			rtc_write(&r, 0x70, (uint8_t)script_take(&s, 1));
			CHECK_FUZZ(r.index <= 0x7f);
			break;
		case 1:
			rtc_write(&r, 0x71, (uint8_t)script_take(&s, 1));
			CHECK_FUZZ(memcmp(&before, &r, sizeof(r)) == 0);
			break;
		case 2:
			CHECK_FUZZ(rtc_read(&r, 0x70, now) == 0xff);
			check_value(r.index, rtc_read(&r, 0x71, now));
			break;
		default:
			now = script_take(&s, 8);
			check_date(now);
			check_year(now);
			break;
		}
	}
	return 0;
}

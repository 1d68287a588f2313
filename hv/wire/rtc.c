/* SPDX-License-Identifier: MIT */
/* Motorola MC146818 and its successors; the century is where the FADT of PCs has it. */
#include "hv/wire/rtc.h"
#include "hv/wire/mem.h"

enum {
	REG_SECOND = 0x00,
	REG_MINUTE = 0x02,
	REG_HOUR = 0x04,
	REG_WEEKDAY = 0x06,
	REG_DAY = 0x07,
	REG_MONTH = 0x08,
	REG_YEAR = 0x09,
	REG_A = 0x0a,
	REG_B = 0x0b,
	REG_D = 0x0d,
	REG_CENTURY = 0x32,
	REG_LAST = 0x7f
};

#define A_32KHZ_1024HZ 0x26u /* time base and rate that firmware sets; no update in progress */
#define B_24H 0x02u
#define D_VALID 0x80u /* the battery is good */

#define AGE_MAX 1u

#define DAY_SECONDS 86400u
#define DAYS_400_YEARS 146097u
#define DAYS_100_YEARS 36524u
#define DAYS_4_YEARS 1461u
#define DAYS_YEAR 365u
#define DAYS_TO_1970 719468u /* from 1 March of year 0 */
#define THURSDAY 5u

void rtc_init(struct rtc *r)
{
	memset(r, 0, sizeof(*r));
	r->seen = ~0u;
}

/* Years that begin in March have the leap day at their end: the months before it have 153 days in each five. */
void rtc_date(uint64_t seconds, struct rtc_time *out)
{
	uint64_t s = seconds < RTC_SECONDS_MAX ? seconds : RTC_SECONDS_MAX;
	uint32_t days = (uint32_t)(s / DAY_SECONDS), rest = (uint32_t)(s % DAY_SECONDS);
	uint32_t day = days + DAYS_TO_1970;
	uint32_t era = day / DAYS_400_YEARS, year, month;

	out->weekday = (uint8_t)((days + THURSDAY - 1) % 7 + 1);
	out->hour = (uint8_t)(rest / 3600);
	out->minute = (uint8_t)(rest / 60 % 60);
	out->second = (uint8_t)(rest % 60);
	day %= DAYS_400_YEARS;
	year = (day - day / (DAYS_4_YEARS - 1) + day / DAYS_100_YEARS -
		day / (DAYS_400_YEARS - 1)) /
	       DAYS_YEAR;
	day -= DAYS_YEAR * year + year / 4 - year / 100;
	month = (5 * day + 2) / 153;
	out->day = (uint8_t)(day - (153 * month + 2) / 5 + 1);
	out->month = (uint8_t)(month < 10 ? month + 3 : month - 9);
	out->year = (uint16_t)(era * 400 + year + (month < 10 ? 0 : 1));
}

static uint8_t bcd(uint32_t v)
{
	return (uint8_t)(v / 10 % 10 << 4 | v % 10);
}

/* Their places in `seen`; -1: not of the date. */
static int place(uint8_t index)
{
	switch (index) {
	case REG_SECOND:
	case REG_MINUTE:
	case REG_HOUR:
	case REG_WEEKDAY:
	case REG_DAY:
	case REG_MONTH:
	case REG_YEAR:
		return index;
	case REG_CENTURY:
		return 31;
	default:
		return -1;
	}
}

static void latch(struct rtc *r, uint64_t now)
{
	rtc_date(now, &r->time);
	r->taken = now;
	r->seen = 0;
}

static uint8_t read_date(struct rtc *r, uint64_t now)
{
	uint32_t bit = 1u << place(r->index);
	const struct rtc_time *t = &r->time;

	if ((r->seen & bit) != 0 || now < r->taken || now - r->taken > AGE_MAX) {
		latch(r, now);
	}
	r->seen |= bit;
	switch (r->index) {
	case REG_SECOND:
		return bcd(t->second);
	case REG_MINUTE:
		return bcd(t->minute);
	case REG_HOUR:
		return bcd(t->hour);
	case REG_WEEKDAY:
		return t->weekday;
	case REG_DAY:
		return bcd(t->day);
	case REG_MONTH:
		return bcd(t->month);
	case REG_YEAR:
		return bcd(t->year % 100u);
	default:
		return bcd(t->year / 100u);
	}
}

/* Trust: see the header. */
uint8_t rtc_read(struct rtc *r, uint32_t reg, uint64_t now)
{
	if (reg % RTC_PORTS == 0) {
		return 0xff; /* the index can only be written */
	}
	if (place(r->index) >= 0) {
		return read_date(r, now);
	}
	switch (r->index) {
	case REG_A:
		latch(r, now);
		return A_32KHZ_1024HZ;
	case REG_B:
		return B_24H;
	case REG_D:
		return D_VALID;
	default:
		return 0; /* no interrupt in C; alarm and RAM are empty */
	}
}

/* Trust: see the header. Bit 7 of the index masks NMIs on a PC, of which there are none here. */
void rtc_write(struct rtc *r, uint32_t reg, uint8_t v)
{
	if (reg % RTC_PORTS == 0) {
		r->index = v & REG_LAST;
	}
}

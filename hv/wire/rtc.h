/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_RTC_H
#define HV_WIRE_RTC_H
/*
 * A Motorola MC146818 as a PC has it, to be read: the time in UTC, BCD and 24 hours, the century at 0x32. It has no alarm and
 * raises no interrupt, and what is written to it is ignored. The time does not change between the reads that make up one date:
 * see rtc_read.
 */
#include "hv/wire/view.h"

#define RTC_PORTS 2                     /* index, data */
#define RTC_SECONDS_MAX 253402300799ull /* the end of year 9999: a later time reads as this */

struct rtc_time {
	uint16_t year;                         /* 1970..9999 */
	uint8_t month, day;                    /* from 1 */
	uint8_t weekday, hour, minute, second; /* weekday 1..7: Sunday is 1 */
};

struct rtc {
	uint8_t index;
	uint32_t seen;  /* bit per register of the date that was read from `time` */
	uint64_t taken; /* when `time` was */
	struct rtc_time time;
};

void rtc_init(struct rtc *r);
/* Seconds since 1970, UTC. */
void rtc_date(uint64_t seconds, struct rtc_time *out);
/*
 * Trust: reg (its low bit counts) is hostile. now: seconds since 1970; the caller's. The date that is shown is taken from it when
 * status register A is read, as every reader does who waits for the end of an update, when a register of the date is read for
 * the second time, and when it is too old for a reader who was quick.
 */
uint8_t rtc_read(struct rtc *r, uint32_t reg, uint64_t now);
/* Trust: reg and v are hostile. */
void rtc_write(struct rtc *r, uint32_t reg, uint8_t v);

#endif

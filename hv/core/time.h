/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_TIME_H
#define HV_CORE_TIME_H
#include "hv/core/types.h"

/* The TSC is the hypervisor's only clock. */
void time_init(uint64_t tsc_hz);
uint64_t time_tsc_hz(void);
uint64_t time_ns(void);        /* since time_init */
uint64_t time_reference(void); /* 100 ns units since time_init: TLFS partition reference time */
uint64_t time_tsc_from_reference(uint64_t t100ns);
uint64_t time_scale(void); /* 2^64 * 10^7 / tsc_hz, for the reference TSC page */
int64_t time_offset(void); /* what to add after scaling */
uint64_t time_mul_div(uint64_t a, uint64_t b, uint64_t c); /* a * b / c, saturating */

#endif

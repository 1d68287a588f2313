/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_LIB_CLOCK_H
#define HV_HOST_LIB_CLOCK_H
/* The clock of the programs of the root. */
#include <stdint.h>
#include <time.h>

/* Milliseconds of CLOCK_MONOTONIC. */
static inline uint64_t clock_now_ms(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

#endif

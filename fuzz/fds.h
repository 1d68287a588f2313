/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_FDS_H
#define FUZZ_FDS_H
/* Descriptors that a harness makes up, and calls that fail on demand. */
#include <stdbool.h>
#include <stdint.h>

/* The first one of [from, end) that is not open, which it then is; -1: all are. is_open[0] is that of `first`. */
static inline int fds_open(bool *is_open, int first, int from, int end)
{
	for (int fd = from; fd < end; fd++) {
		if (!is_open[fd - first]) {
			is_open[fd - first] = true;
			return fd;
		}
	}
	return -1;
}

/* The call that a countdown is for fails when it comes to 0. */
static inline bool fails(uint32_t *countdown)
{
	return *countdown != 0 && --*countdown == 0;
}

#endif

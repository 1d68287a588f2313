/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_LIB_HEAP_H
#define HV_HOST_LIB_HEAP_H
/* malloc in a sandbox that has brk, but neither mmap nor munmap. */
#include <malloc.h>

/* Before the sandbox: from here on malloc takes all from the heap, and gives none of it back. */
static inline void heap_alone(void)
{
	(void)mallopt(M_MMAP_MAX, 0);
	(void)mallopt(M_TRIM_THRESHOLD, -1);
}

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_HEAP_H
#define HV_CORE_HEAP_H
/* The hypervisor's frames: whole pages, zeroed when handed out and when they come back. */
#include "hv/core/types.h"

void heap_init(hpa_t base, uint64_t bytes);
/* `pages` contiguous frames, aligned to their size rounded up to a power of two; NULL without memory. */
void *heap_alloc(uint64_t pages);
void heap_free(void *va, uint64_t pages);
uint64_t heap_total(void);
uint64_t heap_available(void);

#endif

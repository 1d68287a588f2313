/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_MAIN_H
#define HV_CORE_MAIN_H
#include "hv/core/types.h"

/* On the final stack and page tables of the first CPU. */
NORETURN void hv_main(void);
/* On the other CPUs, once their tables are loaded. */
NORETURN void main_secondary(uint32_t index);
/* Maps a CPU's main stack; returns its top. */
uint64_t cpu_stack_create(uint32_t index);

#endif

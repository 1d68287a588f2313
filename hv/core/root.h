/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_ROOT_H
#define HV_CORE_ROOT_H
#include "hv/core/handoff.h"

/* Builds the root partition: memory map, intercept lists, one VP per CPU. */
void root_create(const struct boot_handoff *h);
/* RD_PROT_* facts that other files decide: set once during start-up. */
void root_protection(uint64_t on, uint64_t available);
uint64_t root_protections(void);
uint64_t root_protections_available(void);

#endif

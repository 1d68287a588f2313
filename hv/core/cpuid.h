/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_CPUID_H
#define HV_CORE_CPUID_H
#include "hv/core/types.h"

struct vp;
/* What a guest sees at leaf/subleaf: out = eax, ebx, ecx, edx. */
void cpuid_guest(struct vp *vp, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);

#endif

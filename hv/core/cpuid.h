/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_CPUID_H
#define HV_CORE_CPUID_H
#include "hv/core/types.h"

struct vp;
/* Answers the CPUID of a VP in its registers: leaf in EAX, subleaf in ECX. */
void cpuid_guest(struct vp *vp);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HV_ARCH_X86_VENDOR_H
#define HV_ARCH_X86_VENDOR_H
/* What boot and start-up ask of the virtualisation extension; svm (later vmx) is chosen at link time. */
#include "hv/core/types.h"

const char *vendor_check(const char **remedy);
const char *vendor_name(void);
uint64_t vendor_hw(void); /* RD_HW_* */
void vendor_init_cpu(void);

#endif

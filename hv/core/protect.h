/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_PROTECT_H
#define HV_CORE_PROTECT_H
#include <stdbool.h>

/*
 * True: hypervisor frames stay out of the root's tables. The product links protect.c; the image that proves that the attacks work
 * without the protection links tests/system/unprotected/protect_off.c instead.
 */
bool protect_enforced(void);

#endif

/* SPDX-License-Identifier: MIT OR GPL-2.0 */
#ifndef HV_ROOT_SYNIC_H
#define HV_ROOT_SYNIC_H

#include <linux/types.h>

/* On every CPU: the interrupt controller on, and the flags of this SINT to rd_notify_scan(). */
int rd_synic_init(u32 sint);
void rd_synic_exit(void);

#endif

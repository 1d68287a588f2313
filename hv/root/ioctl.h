/* SPDX-License-Identifier: MIT OR GPL-2.0 */
#ifndef HV_ROOT_IOCTL_H
#define HV_ROOT_IOCTL_H
/*
 * What /dev/redoubt understands. A request holds the input of the hypercall, then its output; `in`
 * is read, `out` is written. Layouts are the same for 32-bit and 64-bit callers. Reserved fields
 * must be 0.
 */
#include "hv/abi/redoubt.h"

#ifdef __KERNEL__
#include <linux/ioctl.h>
#else
#include <sys/ioctl.h>
#endif

#define RD_DEVICE "/dev/redoubt"

struct rd_ioctl_info {
	struct rd_info_in in;
	struct rd_info out;
};

struct rd_ioctl_log {
	struct rd_log_in in;
	struct rd_log out;
};

#define RD_IOCTL_GET_INFO _IOWR('R', 0x80, struct rd_ioctl_info)
#define RD_IOCTL_READ_LOG _IOWR('R', 0x81, struct rd_ioctl_log)

#endif

/* SPDX-License-Identifier: MIT OR GPL-2.0 */
#ifndef HV_ROOT_POOL_H
#define HV_ROOT_POOL_H

#include <linux/types.h>

struct rd_info;

/*
 * The pool: memory that the hypervisor keeps for child partitions. It is absent from the root's
 * memory map and, until it is mapped to a partition, from the root's nested page table: nothing
 * here reads or writes it.
 */
void rd_pool_init(const struct rd_info *info);
void rd_pool_exit(void);
/* Can there ever be so many units? */
bool rd_pool_holds(u64 count);
/* Take `count` units of 2 MiB; unit[] gets the number of the first page of each. -ENOMEM. */
int rd_pool_take(u64 count, u64 *unit);
void rd_pool_give(u64 count, const u64 *unit);

#endif

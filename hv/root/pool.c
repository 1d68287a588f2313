// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * The pool gets struct pages (as device memory, so that the page allocator stays away), because
 * direct I/O and io_uring take guest memory by them. A unit is one compound page: it is mapped and
 * taken at once. Its reference count is 1 when it is idle.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/align.h>
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/ioport.h>
#include <linux/list.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/topology.h>

#include "hv/root/pool.h"
#include "hv/root/redoubt.h"

struct rd_pool_range {
	struct list_head node;
	struct dev_pagemap map;
	unsigned long *used; /* a bit for each unit */
	unsigned long units;
	bool named; /* in /proc/iomem */
};

static LIST_HEAD(rd_pool);
static u64 rd_pool_units; /* all, and those not handed out */
static u64 rd_pool_free;
static DEFINE_MUTEX(rd_pool_lock);

static u64 rd_pool_first(const struct rd_pool_range *range)
{
	return range->map.range.start >> PAGE_SHIFT;
}

static int rd_pool_add(u64 start, u64 size)
{
	struct rd_pool_range *range;
	void *mapped;
	int error = -ENOMEM;

	range = kzalloc(sizeof(*range), GFP_KERNEL);
	if (!range)
		return -ENOMEM;
	range->units = size >> RD_UNIT_SHIFT;
	range->used = bitmap_zalloc(range->units, GFP_KERNEL);
	if (!range->used)
		goto free;
	/*
	 * For /proc/iomem only: Linux calls a hole behind memory "RAM buffer", and then the name
	 * cannot be had. The range is the hypervisor's word.
	 */
	range->named = request_mem_region(start, size, "redoubt pool");
	range->map.type = MEMORY_DEVICE_GENERIC;
	range->map.range.start = start;
	range->map.range.end = start + size - 1;
	range->map.nr_range = 1;
	range->map.vmemmap_shift = RD_UNIT_SHIFT - PAGE_SHIFT;
	mapped = memremap_pages(&range->map, numa_mem_id());
	if (IS_ERR(mapped)) {
		error = PTR_ERR(mapped);
		goto release;
	}
	list_add_tail(&range->node, &rd_pool);
	rd_pool_units += range->units;
	rd_pool_free += range->units;
	return 0;
release:
	if (range->named)
		release_mem_region(start, size);
free:
	bitmap_free(range->used);
	kfree(range);
	return error;
}

void rd_pool_init(const struct rd_info *info)
{
	u32 count = min_t(u32, info->range_count, RD_INFO_RANGES);
	u32 i;

	for (i = 0; i < count; i++) {
		const struct rd_mem_range *range = &info->range[i];
		u64 start, end;
		int error;

		if (range->owner != RD_OWNER_POOL ||
		    check_add_overflow(range->base, range->size, &end) ||
		    range->base > U64_MAX - RD_UNIT_SIZE)
			continue;
		start = ALIGN(range->base, RD_UNIT_SIZE);
		end = ALIGN_DOWN(end, RD_UNIT_SIZE);
		if (end <= start)
			continue;
		error = rd_pool_add(start, end - start);
		if (error)
			pr_warn("pool memory at %#llx, %llu MiB, is not used: error %d\n", start,
				(end - start) >> 20, error);
	}
	pr_info("%llu MiB for child partitions\n", rd_pool_free << RD_UNIT_SHIFT >> 20);
}

void rd_pool_exit(void)
{
	struct rd_pool_range *range, *next;

	list_for_each_entry_safe(range, next, &rd_pool, node)
	{
		u64 start = range->map.range.start;

		memunmap_pages(&range->map);
		if (range->named)
			release_mem_region(start, (u64)range->units << RD_UNIT_SHIFT);
		bitmap_free(range->used);
		kfree(range);
	}
}

bool rd_pool_holds(u64 count)
{
	return count <= rd_pool_units;
}

int rd_pool_take(u64 count, u64 *unit)
{
	struct rd_pool_range *range;
	u64 taken = 0;
	int error = 0;

	mutex_lock(&rd_pool_lock);
	if (count > rd_pool_free) {
		error = -ENOMEM;
		goto unlock;
	}
	rd_pool_free -= count;
	list_for_each_entry(range, &rd_pool, node)
	{
		unsigned long bit = 0;

		while (taken < count) {
			bit = find_next_zero_bit(range->used, range->units, bit);
			if (bit >= range->units)
				break;
			__set_bit(bit, range->used);
			unit[taken++] = rd_pool_first(range) + bit * RD_UNIT_PAGES;
		}
	}
	WARN_ON_ONCE(taken != count);
unlock:
	mutex_unlock(&rd_pool_lock);
	return error;
}

void rd_pool_give(u64 count, const u64 *unit)
{
	struct rd_pool_range *range;
	u64 i;

	mutex_lock(&rd_pool_lock);
	for (i = 0; i < count; i++) {
		list_for_each_entry(range, &rd_pool, node)
		{
			u64 first = rd_pool_first(range);

			if (unit[i] < first || unit[i] >= first + range->units * RD_UNIT_PAGES)
				continue;
			if (!WARN_ON_ONCE(!__test_and_clear_bit((unit[i] - first) / RD_UNIT_PAGES,
								range->used)))
				rd_pool_free++;
			break;
		}
	}
	mutex_unlock(&rd_pool_lock);
}

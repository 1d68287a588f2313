/* SPDX-License-Identifier: MIT */
/* The memory map of struct bootinfo: kept sorted, disjoint and merged at every step. */
#include "hv/wire/bootinfo_int.h"
#include "hv/wire/fault.h"
#include "hv/wire/mem.h"

#define WHAT "boot memory map"
#define REMEDY "the firmware's memory map is damaged; update the firmware or the boot loader"

static uint32_t known_type(uint32_t type)
{
	return type >= BOOTINFO_MEM_USABLE && type <= BOOTINFO_MEM_BAD ? type
								       : BOOTINFO_MEM_RESERVED;
}

/* The higher wins where ranges overlap. */
static unsigned int restriction(uint32_t type)
{
	switch (type) {
	case BOOTINFO_MEM_USABLE:
		return 0;
	case BOOTINFO_MEM_ACPI:
		return 1;
	case BOOTINFO_MEM_NVS:
		return 2;
	case BOOTINFO_MEM_BAD:
		return 4;
	default:
		return 3;
	}
}

/* Puts a range before entry `at`, at most mem_count; one that only continues the entry before it takes no room. */
static bool insert(struct bootinfo *bi, uint32_t at, uint64_t base, uint64_t size, uint32_t type)
{
	if (at > 0) {
		struct bootinfo_mem *before = &bi->mem[at - 1];

		if (before->type == type && base - before->base == before->size) {
			before->size += size;
			return true;
		}
	}
	if (bi->mem_count >= BOOTINFO_MEM_MAX) {
		return false;
	}
	memmove(&bi->mem[at + 1], &bi->mem[at], (bi->mem_count - at) * sizeof(bi->mem[0]));
	bi->mem[at].base = base;
	bi->mem[at].size = size;
	bi->mem[at].type = type;
	bi->mem_count++;
	return true;
}

/*
 * Gives [from, to), which lies inside entry *at, the new type; *at becomes the new entry's index.
 */
static bool carve(struct bootinfo *bi, uint32_t *at, uint64_t from, uint64_t to, uint32_t type)
{
	struct bootinfo_mem *x = &bi->mem[*at];
	uint64_t end = x->base + x->size;
	uint32_t old = x->type;

	if (x->base < from) {
		x->size = from - x->base;
		*at += 1;
		if (!insert(bi, *at, from, to - from, type)) {
			return false;
		}
	} else {
		x->size = to - from;
		x->type = type;
	}
	return to == end || insert(bi, *at + 1, to, end - to, old);
}

static void merge(struct bootinfo *bi)
{
	uint32_t kept = 0;

	for (uint32_t i = 1; i < bi->mem_count; i++) {
		struct bootinfo_mem *last = &bi->mem[kept];

		if (last->type == bi->mem[i].type && bi->mem[i].base - last->base == last->size) {
			last->size += bi->mem[i].size;
		} else {
			kept++;
			bi->mem[kept] = bi->mem[i];
		}
	}
	if (bi->mem_count > 0) {
		bi->mem_count = kept + 1;
	}
}

/* Lays [b, e) over the map. Every turn ends, advances i, or advances b to a range's edge. */
static bool overlay(struct bootinfo *bi, uint64_t b, uint64_t e, uint32_t type)
{
	uint32_t i = 0;

	while (b < e) {
		uint64_t xbase, xend, stop;

		if (i == bi->mem_count || bi->mem[i].base >= e) {
			return insert(bi, i, b, e - b, type);
		}
		xbase = bi->mem[i].base;
		xend = xbase + bi->mem[i].size;
		if (xend <= b) {
			i++;
			continue;
		}
		if (xbase > b) {
			if (!insert(bi, i, b, xbase - b, type)) {
				return false;
			}
			b = xbase;
			continue;
		}
		stop = xend < e ? xend : e;
		if (restriction(type) > restriction(bi->mem[i].type) &&
		    !carve(bi, &i, b, stop, type)) {
			return false;
		}
		b = stop;
	}
	return true;
}

bool bootinfo_mem_add(struct bootinfo *bi, uint64_t base, uint64_t size, uint32_t type,
		      struct wire_fault *why)
{
	if (size == 0) {
		return true;
	}
	if (!range_within(base, size, UINT64_MAX)) {
		return wire_fail(why, WHAT, "entry wraps around the end of the address space",
				 REMEDY, base);
	}
	if (!overlay(bi, base, base + size, known_type(type))) {
		return wire_fail(why, WHAT, "more than 128 ranges after merging", REMEDY, base);
	}
	merge(bi);
	return true;
}

bool bootinfo_mem_basic(struct bootinfo *bi, uint32_t lower_kib, uint32_t upper_kib,
			struct wire_fault *why)
{
	/* Above 640 KiB lie the EBDA and the video memory, whatever the loader says. */
	uint64_t lower = lower_kib < 640 ? lower_kib : 640;

	return bootinfo_mem_add(bi, 0, lower << 10, BOOTINFO_MEM_USABLE, why) &&
	       bootinfo_mem_add(bi, 1u << 20, (uint64_t)upper_kib << 10, BOOTINFO_MEM_USABLE, why);
}

bool bootinfo_mem_usable(const struct bootinfo *bi, struct wire_fault *why)
{
	for (uint32_t i = 0; i < bi->mem_count; i++) {
		if (bi->mem[i].type == BOOTINFO_MEM_USABLE) {
			return true;
		}
	}
	return wire_fail(why, WHAT, "missing, or without usable memory",
			 "use a boot loader that passes the memory map", bi->mem_count);
}

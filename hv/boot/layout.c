/* SPDX-License-Identifier: MIT */
/* Where the hypervisor, the pool, the root's kernel and its boot parameters go. No memory is touched here. */
#include "hv/boot/early.h"
#include "hv/wire/view.h"

#define LOW_FREE 0x1000ull /* keep clear of the interrupt vector table and BIOS data */
#define KERNEL_MIN 0x1000000ull
#define LIMIT_4G 0x100000000ull
#define ROOT_MIN (192ull << 20) /* what a Debian root needs at least */

struct taken {
	uint32_t count;
	struct {
		uint64_t base, size;
	} range[BOOTINFO_MODULE_MAX + HANDOFF_POOL_MAX + 8];
};

static void take(struct taken *t, uint64_t base, uint64_t size)
{
	if (size != 0 && t->count < ARRAY_SIZE(t->range)) {
		t->range[t->count].base = base;
		t->range[t->count].size = size;
		t->count++;
	}
}

/* The lowest taken base that overlaps the candidate, as its index, or -1. */
static int clash(const struct taken *t, uint64_t base, uint64_t size)
{
	for (uint32_t i = 0; i < t->count; i++) {
		if (range_overlaps(t->range[i].base, t->range[i].size, base, size)) {
			return (int)i;
		}
	}
	return -1;
}

/* Highest aligned place in usable memory within [min, max); 0 for none. */
static uint64_t find_high(const struct bootinfo *bi, const struct taken *t, uint64_t size,
			  uint64_t align, uint64_t min, uint64_t max)
{
	for (uint32_t i = bi->mem_count; i-- > 0;) {
		const struct bootinfo_mem *m = &bi->mem[i];
		uint64_t low = m->base > min ? m->base : min;
		uint64_t high = m->base + m->size < max ? m->base + m->size : max;
		uint64_t at;

		if (m->type != BOOTINFO_MEM_USABLE || high <= low || high - low < size) {
			continue;
		}
		at = align_down(high - size, align);
		while (at >= low) {
			int c = clash(t, at, size);

			if (c < 0) {
				return at;
			}
			if (t->range[c].base < size) {
				break;
			}
			at = align_down(t->range[c].base - size, align);
		}
	}
	return 0;
}

static uint64_t find_low(const struct bootinfo *bi, const struct taken *t, uint64_t size,
			 uint64_t align, uint64_t min, uint64_t max)
{
	for (uint32_t i = 0; i < bi->mem_count; i++) {
		const struct bootinfo_mem *m = &bi->mem[i];
		uint64_t high = m->base + m->size < max ? m->base + m->size : max;
		uint64_t at = align_up(m->base > min ? m->base : min, align);

		while (m->type == BOOTINFO_MEM_USABLE && at < high && high - at >= size) {
			int c = clash(t, at, size);

			if (c < 0) {
				return at;
			}
			at = align_up(t->range[c].base + t->range[c].size, align);
		}
	}
	return 0;
}

static bool fault(struct wire_fault *why, const char *what, const char *field, uint64_t value,
		  const char *remedy)
{
	*why = (struct wire_fault){ what, field, remedy, value };
	return false;
}

static bool is_usable(const struct bootinfo *bi, uint64_t base, uint64_t size)
{
	for (uint32_t i = 0; i < bi->mem_count; i++) {
		const struct bootinfo_mem *m = &bi->mem[i];

		if (m->type == BOOTINFO_MEM_USABLE && base >= m->base &&
		    range_within(base - m->base, size, m->size)) {
			return true;
		}
	}
	return false;
}

static uint64_t usable(const struct bootinfo *bi)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < bi->mem_count; i++) {
		if (bi->mem[i].type == BOOTINFO_MEM_USABLE) {
			sum += bi->mem[i].size;
		}
	}
	return sum;
}

/* The pool in as few 2 MiB-aligned pieces as the map allows, from the top of memory down. */
static bool place_pool(struct boot_handoff *h, struct taken *t, struct wire_fault *why)
{
	uint64_t left = h->options.pool_bytes;

	if (left > usable(&h->info) || left + h->region_size + ROOT_MIN > usable(&h->info)) {
		return fault(why, "option pool", "larger than memory less 192 MiB for the root",
			     left, "make pool= smaller or add memory");
	}
	while (left > 0) {
		uint64_t piece = left;
		uint64_t at = 0;

		if (h->pool_count >= HANDOFF_POOL_MAX) {
			return fault(why, "option pool", "memory is too fragmented", left,
				     "make pool= smaller");
		}
		while (piece >= PAGE_SIZE_2M && at == 0) {
			at = find_high(&h->info, t, piece, PAGE_SIZE_2M, KERNEL_MIN, UINT64_MAX);
			if (at == 0) {
				piece = align_down(piece - piece / 8 - 1, PAGE_SIZE_2M);
			}
		}
		if (at == 0) {
			return fault(why, "option pool", "memory is too fragmented", left,
				     "make pool= smaller");
		}
		h->pool[h->pool_count].base = at;
		h->pool[h->pool_count].size = piece;
		h->pool_count++;
		take(t, at, piece);
		left -= piece;
	}
	return true;
}

static void take_boot(const struct boot_handoff *h, const struct layout_limits *l, struct taken *t)
{
	t->count = 0;
	take(t, 0, LOW_FREE);
	take(t, h->load_base, l->image_bytes);
	take(t, SMM_DEFAULT_BASE, SMM_DEFAULT_SIZE);
	take(t, h->info.info_addr, h->info.info_size);
	for (uint32_t i = 0; i < h->info.module_count; i++) {
		take(t, h->info.module[i].start, h->info.module[i].size);
	}
}

/* Trust: the memory map and the modules come from the loader and are checked for overlap here. */
bool layout_place(struct boot_handoff *h, const struct layout_limits *l, uint64_t *kernel_at,
		  uint64_t *params_at, struct wire_fault *why)
{
	struct taken t;
	uint64_t align = h->kernel.alignment > PAGE_SIZE_2M ? h->kernel.alignment : PAGE_SIZE_2M;
	uint64_t top;

	h->smm_page = is_usable(&h->info, SMM_DEFAULT_BASE, SMM_DEFAULT_SIZE);
	for (uint32_t i = 0; i < h->info.module_count; i++) {
		if (range_overlaps(h->info.module[i].start, h->info.module[i].size,
				   SMM_DEFAULT_BASE, SMM_DEFAULT_SIZE)) {
			h->smm_page = false;
		}
	}
	take_boot(h, l, &t);
	h->trampoline = find_low(&h->info, &t, PAGE_SIZE, PAGE_SIZE, LOW_FREE, 0xa0000);
	if (h->trampoline == 0) {
		return fault(why, "memory map", "no free page below 640 KiB", 0,
			     "CPUs cannot be started; update the firmware");
	}
	take(&t, h->trampoline, PAGE_SIZE);
	/* A random number of 2 MiB steps below the highest place, where the map leaves room. */
	h->region_size = l->hv_bytes;
	top = find_high(&h->info, &t, l->hv_bytes, PAGE_SIZE_2M, KERNEL_MIN, LIMIT_4G);
	if (top == 0) {
		return fault(why, "memory map", "no room for the hypervisor below 4 GiB",
			     l->hv_bytes, "add memory");
	}
	h->region_base = find_high(&h->info, &t, l->hv_bytes, PAGE_SIZE_2M, KERNEL_MIN,
				   top + l->hv_bytes - (l->random % 16) * PAGE_SIZE_2M);
	if (h->region_base == 0) {
		h->region_base = top;
	}
	take(&t, h->region_base, h->region_size);
	h->pool_count = 0;
	if (h->options.pool_bytes != 0 && !place_pool(h, &t, why)) {
		return false;
	}
	*kernel_at = find_low(&h->info, &t, align_up(h->kernel.init_size, PAGE_SIZE), align,
			      KERNEL_MIN, LIMIT_4G);
	if (*kernel_at == 0) {
		return fault(why, "root kernel", "no room below 4 GiB for init_size",
			     h->kernel.init_size, "add memory");
	}
	take(&t, *kernel_at, align_up(h->kernel.init_size, PAGE_SIZE));
	*params_at = find_low(&h->info, &t, LAYOUT_PARAMS_BYTES, PAGE_SIZE, LOW_FREE, LIMIT_4G);
	if (*params_at == 0) {
		return fault(why, "memory map", "no room for boot parameters", LAYOUT_PARAMS_BYTES,
			     "add memory");
	}
	return true;
}

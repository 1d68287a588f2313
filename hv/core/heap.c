/* SPDX-License-Identifier: MIT */
#include "hv/core/heap.h"

#include "hv/core/arch.h"
#include "hv/core/lock.h"
#include "hv/core/log.h"

#define HEAP_FRAMES_MAX 65536 /* 256 MiB */

static uint8_t used[HEAP_FRAMES_MAX / 8];
static struct lock heap_lock;
static hpa_t heap_base RO_AFTER_INIT;
static uint64_t frames RO_AFTER_INIT;
static uint64_t frames_free;
static uint64_t hint;

static bool is_used(uint64_t i)
{
	return (used[i / 8] >> (i % 8) & 1) != 0;
}

static void set_used(uint64_t i, bool on)
{
	if (on) {
		used[i / 8] |= (uint8_t)(1u << (i % 8));
	} else {
		used[i / 8] &= (uint8_t) ~(1u << (i % 8));
	}
}

void heap_init(hpa_t base, uint64_t bytes)
{
	frames = bytes >> PAGE_SHIFT;
	CHECK(frames > 0 && frames <= HEAP_FRAMES_MAX);
	heap_base = base;
	frames_free = frames;
	hint = 0;
	__builtin_memset(used, 0, sizeof(used));
}

/* First fit of `pages` free frames at an aligned host address; frames on failure. */
static uint64_t find(uint64_t pages, uint64_t align, uint64_t from)
{
	uint64_t first = heap_base.v >> PAGE_SHIFT;
	uint64_t i = align_up(first + from, align) - first;

	while (i < frames && pages <= frames - i) {
		uint64_t n = 0;

		while (n < pages && !is_used(i + n)) {
			n++;
		}
		if (n == pages) {
			return i;
		}
		i = align_up(first + i + n + 1, align) - first;
	}
	return frames;
}

/* Locks: takes the heap lock. Fails: NULL. Never hands out a byte that is not zero. */
void *heap_alloc(uint64_t pages)
{
	uint64_t align = 1;
	uint64_t i;
	void *va;

	if (pages == 0 || pages > frames) {
		return NULL;
	}
	while (align < pages) {
		align <<= 1;
	}
	lock_acquire(&heap_lock);
	i = find(pages, align, hint);
	if (i == frames) {
		i = find(pages, align, 0);
	}
	if (i == frames) {
		lock_release(&heap_lock);
		return NULL;
	}
	for (uint64_t n = 0; n < pages; n++) {
		set_used(i + n, true);
	}
	frames_free -= pages;
	if (pages == 1) {
		hint = i + 1;
	}
	lock_release(&heap_lock);
	va = arch_heap_va(hpa(heap_base.v + (i << PAGE_SHIFT)));
	__builtin_memset(va, 0, pages << PAGE_SHIFT);
	return va;
}

/* Locks: takes the heap lock. A frame that is not in use is our own bug. */
void heap_free(void *va, uint64_t pages)
{
	uint64_t i;

	if (va == NULL) {
		return;
	}
	i = (arch_heap_pa(va).v - heap_base.v) >> PAGE_SHIFT;
	CHECK(i < frames && pages <= frames - i);
	__builtin_memset(va, 0, pages << PAGE_SHIFT);
	lock_acquire(&heap_lock);
	for (uint64_t n = 0; n < pages; n++) {
		CHECK(is_used(i + n));
		set_used(i + n, false);
	}
	frames_free += pages;
	if (i < hint) {
		hint = i;
	}
	lock_release(&heap_lock);
}

uint64_t heap_total(void)
{
	return frames << PAGE_SHIFT;
}

uint64_t heap_available(void)
{
	return __atomic_load_n(&frames_free, __ATOMIC_RELAXED) << PAGE_SHIFT;
}

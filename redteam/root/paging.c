// SPDX-License-Identifier: MIT OR GPL-2.0
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/string.h>

#include <asm/special_insns.h>

#include "redteam/root/attack.h"

#define ENTRY_PRESENT 1ull
#define ENTRY_WRITABLE 2ull

void *window_page(struct window *window)
{
	/* Only the even MiB: A20 turned off must not move the tables. */
	if (window->used >= 256)
		return NULL;
	return window->block + PAGE_SIZE * window->used++;
}

static void window_link(u64 *table, unsigned int index, const void *next)
{
	table[index] = virt_to_phys((void *)next) | ENTRY_PRESENT | ENTRY_WRITABLE;
}

bool window_create(struct window *window)
{
	u64 *upper;

	memset(window, 0, sizeof(*window));
	window->block = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, WINDOW_BLOCK_ORDER);
	if (!window->block)
		return false;
	window->top = window_page(window);
	upper = window_page(window);
	window->directory = window_page(window);
	window->entries = window_page(window);
	/* window_enter() adds what Linux has in the other slots. */
	window_link(window->top, WINDOW_SLOT, upper);
	window_link(upper, 0, window->directory);
	window_link(window->directory, 0, window->entries);
	return true;
}

void window_destroy(struct window *window)
{
	free_pages((unsigned long)window->block, WINDOW_BLOCK_ORDER);
	window->block = NULL;
}

/* Executable, too: a20.c runs code there. */
void *window_map(struct window *window, unsigned int index, phys_addr_t physical)
{
	window->entries[index] = (physical & PAGE_MASK) | ENTRY_PRESENT | ENTRY_WRITABLE;
	return (void *)(WINDOW_BASE + PAGE_SIZE * index + offset_in_page(physical));
}

/* Interrupts are off between enter and leave. Linux stays mapped, so faults are handled as ever. */
void window_enter(struct window *window)
{
	u64 slot = window->top[WINDOW_SLOT];

	window->old_cr3 = __native_read_cr3();
	memcpy(window->top, phys_to_virt(window->old_cr3 & CR3_ADDR_MASK), PAGE_SIZE);
	window->top[WINDOW_SLOT] = slot;
	/* The same PCID; without bit 63 all of its translations are flushed. */
	native_write_cr3(virt_to_phys(window->top) | (window->old_cr3 & 0xfff));
}

void window_leave(struct window *window)
{
	native_write_cr3(window->old_cr3 & ~(1ul << 63));
}

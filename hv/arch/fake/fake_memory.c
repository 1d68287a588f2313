// SPDX-License-Identifier: MIT
/* Physical memory, windows, device registers, nested page-table entries. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hv/abi/regs_x86.h"
#include "hv/arch/fake/fake.h"
#include "hv/arch/fake/fake_page.h"
#include "hv/core/arch.h"
#include "hv/core/pfn.h"

#define SLOT_CLEANING 2u /* of the pool's units; other memory goes through it, too */

static uint8_t *ram;
/* A window is a block of its own, so that the sanitizer sees an access beyond the page and one after the closing. */
static struct window {
	uint8_t *block;
	uint64_t frame; /* 1: closed */
	bool zero;      /* the block is zero while it is closed */
} window[CPU_MAX][WINDOW_SLOTS];
/* The block that is open for cleaning, and is zero: see arch_window_open. */
static const uint8_t *zero_block;
/* Pages of the pool that are known to be zero; an input's time goes into cleaning them otherwise. */
static bool pool_zero[FAKE_POOL_SIZE / PAGE_SIZE];

/* Of a smaller region than there may be, the rest is the root's. */
static bool hypervisors(uint64_t at, uint64_t size)
{
	uint64_t region = boot_handoff.region_size != 0 ? boot_handoff.region_size
							: FAKE_REGION_SIZE;

	return at < FAKE_REGION_BASE + region && at + size > FAKE_REGION_BASE;
}

static bool pools(uint64_t at, uint64_t size)
{
	return at < FAKE_POOL_BASE + FAKE_POOL_SIZE && at + size > FAKE_POOL_BASE;
}

static bool *known_zero(uint64_t at)
{
	return pools(at, 1) ? &pool_zero[(at - FAKE_POOL_BASE) / PAGE_SIZE] : NULL;
}

static void ram_make(void)
{
	ram = mmap(NULL, FAKE_RAM_SIZE + PFN_UNIT, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram == MAP_FAILED) {
		fake_fail("mmap", 0);
	}
	/* The heap is looked at all the time: large pages, if the kernel has them. */
	ram += -(uintptr_t)ram % PFN_UNIT;
	(void)madvise(ram + FAKE_REGION_BASE, FAKE_REGION_SIZE, MADV_HUGEPAGE);
}

static inline uint8_t *memory(uint64_t at)
{
	if (ram == NULL) {
		ram_make();
	}
	if (at >= FAKE_RAM_SIZE) {
		fake_fail("beyond physical memory", at);
	}
	return ram + at;
}

/* Who has the address may write to the whole unit. */
uint8_t *fake_ram(uint64_t at)
{
	if (known_zero(at) != NULL) {
		memset(known_zero(at & ~(PFN_UNIT - 1)), 0, PFN_UNIT / PAGE_SIZE);
	}
	return memory(at);
}

bool fake_pool_zero(uint64_t at, uint64_t size)
{
	for (uint64_t page = at; page < at + size; page += PAGE_SIZE) {
		if (!*known_zero(page) && !page_zero(memory(page))) {
			return false;
		}
	}
	return true;
}

void fake_ram_clear(void)
{
	madvise(fake_ram(0), FAKE_REGION_BASE, MADV_DONTNEED);
	madvise(fake_ram(FAKE_POOL_BASE + FAKE_POOL_SIZE),
		FAKE_RAM_SIZE - FAKE_POOL_BASE - FAKE_POOL_SIZE, MADV_DONTNEED);
}

uint8_t *fake_guest_page(struct partition *p, uint64_t at)
{
	hpa_t h;

	if (!npt_lookup(&p->npt, gpa(at), &h, NULL, NULL)) {
		return NULL;
	}
	if (known_zero(h.v) != NULL) {
		*known_zero(h.v) = false;
	}
	return memory(h.v);
}

uint8_t *fake_guest(struct partition *p, uint64_t at)
{
	hpa_t h;

	if (!npt_lookup(&p->npt, gpa(at), &h, NULL, NULL)) {
		return NULL;
	}
	return fake_ram(h.v);
}

void fake_taint(struct partition *p, uint64_t at)
{
	hpa_t h;

	if (npt_lookup(&p->npt, gpa(at), &h, NULL, NULL)) {
		memset(memory(h.v), 0xd1, PAGE_SIZE);
		if (known_zero(h.v) != NULL) {
			*known_zero(h.v) = false;
		}
	}
}

bool fake_zero(struct partition *p, uint64_t at, uint64_t size)
{
	hpa_t h;

	return npt_lookup(&p->npt, gpa(at), &h, NULL, NULL) && known_zero(h.v) != NULL &&
	       fake_pool_zero(h.v, size);
}

void *arch_heap_va(hpa_t frame)
{
	if (!hypervisors(frame.v, 1)) {
		fake_fail("not a frame of the heap", frame.v);
	}
	fake_heap_opened(frame.v - FAKE_REGION_BASE);
	return memory(frame.v);
}

hpa_t arch_heap_pa(const void *va)
{
	uint64_t at = (uint64_t)((const uint8_t *)va - fake_ram(0));

	if (!hypervisors(at, 1)) {
		fake_fail("not an address of the heap", (uint64_t)va);
	}
	return hpa(at);
}

/* A unit of the pool is written by its cleaning, and on behalf of its owner; at no other time. */
static bool pool_open(unsigned slot, hpa_t frame)
{
	uint32_t unit = pfn_unit(frame);
	enum pfn_state s;

	if (unit == PFN_NONE) {
		return false;
	}
	s = pfn_state(unit);
	return slot == SLOT_CLEANING ? s == PFN_DIRTY || s == PFN_LEAVING : s == PFN_OWNED;
}

/*
 * Most of what an input does is zeroing pages that are zero, when partitions are deleted. The block of such a page is zero, and stays
 * closed to everything but the clearing of all of it, which is heard of below: then it need not be looked at afterwards.
 */
#if __has_feature(address_sanitizer)
#define HEARD true

void *__real___asan_memset(void *at, int with, size_t n);
void *__wrap___asan_memset(void *at, int with, size_t n);

PAGE_PLAIN void *__wrap___asan_memset(void *at, int with, size_t n)
{
	return at == zero_block && with == 0 && n == PAGE_SIZE ? at
							       : __real___asan_memset(at, with, n);
}
#else
#define HEARD false
#endif

static void window_check(unsigned slot, hpa_t frame)
{
	if (slot >= WINDOW_SLOTS || (frame.v & (PAGE_SIZE - 1)) != 0 || frame.v >= FAKE_RAM_SIZE) {
		fake_fail("window: bad slot or frame", frame.v);
	}
	if (hypervisors(frame.v, PAGE_SIZE) ||
	    (pools(frame.v, PAGE_SIZE) && !pool_open(slot, frame))) {
		fake_fail("window onto memory that nobody may reach now", frame.v);
	}
}

static void block_clear(struct window *w)
{
	page_open(w->block);
	memset(w->block, 0, PAGE_SIZE);
	page_close(w->block);
	w->zero = true;
}

void *arch_window_open(unsigned slot, hpa_t frame)
{
	struct window *w;
	bool *known;

	window_check(slot, frame);
	w = &window[arch_cpu_index()][slot];
	if (w->block == NULL) {
		w->block = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
		w->frame = 1;
	}
	if (w->block == NULL || w->frame != 1) {
		fake_fail("window is open already", slot);
	}
	known = known_zero(frame.v);
	if (known != NULL && *known && !w->zero) {
		block_clear(w);
	}
	if (HEARD && known != NULL && *known && slot == SLOT_CLEANING) {
		zero_block = w->block;
	} else {
		page_open(w->block);
		if (known == NULL || !*known) {
			page_move(w->block, memory(frame.v));
		}
	}
	w->frame = frame.v;
	fake.windows++;
	fake.windows_opened++;
	fake.input_fetches += slot == 0 && frame.v == fake.input_frame;
	return w->block;
}

void arch_window_close(unsigned slot)
{
	struct window *w = &window[arch_cpu_index()][slot];
	bool *known;

	if (slot >= WINDOW_SLOTS || w->block == NULL || w->frame == 1) {
		fake_fail("window is not open", slot);
	}
	if (w->block != zero_block) {
		known = known_zero(w->frame);
		w->zero = known != NULL && page_zero(w->block);
		if (known == NULL || !*known || !w->zero) {
			page_move(memory(w->frame), w->block);
		}
		if (known != NULL) {
			*known = w->zero;
		}
		page_close(w->block);
	}
	zero_block = NULL;
	w->frame = 1;
	fake.windows--;
}

void fake_windows_drop(void)
{
	for (unsigned s = 0; s < WINDOW_SLOTS; s++) {
		if (window[arch_cpu_index()][s].block != NULL &&
		    window[arch_cpu_index()][s].frame != 1) {
			arch_window_close(s);
		}
	}
}

/* --- device registers --- */

static void device_check(uint64_t at, unsigned size)
{
	if (size != 1 && size != 2 && size != 4 && size != 8) {
		fake_fail("device access: size", size);
	}
	if (at < FAKE_RAM_SIZE || (at & (PAGE_SIZE - 1)) + size > PAGE_SIZE) {
		fake_fail("device access: memory, or across a page", at);
	}
}

static bool ioapic(uint64_t at)
{
	return (at & ~(PAGE_SIZE - 1)) == FAKE_IOAPIC;
}

/* Only the low 8 bits of the address are decoded, as in QEMU's and in several real ones. */
uint64_t arch_mmio_read(hpa_t addr, unsigned size)
{
	device_check(addr.v, size);
	if (addr.v - fake.device_base < fake.device_size) {
		return fake.device_read(addr.v - fake.device_base, size);
	}
	if (!ioapic(addr.v)) {
		return fake.mmio_value;
	}
	switch (addr.v & 0xff) {
	case 0x00:
		return fake.ioapic_select;
	case 0x10:
		return fake.ioapic_select == 1 ? 0x170020 : fake.ioapic[fake.ioapic_select & 0xff];
	default:
		return 0;
	}
}

void arch_mmio_write(hpa_t addr, unsigned size, uint64_t v)
{
	device_check(addr.v, size);
	fake.mmio[fake.mmio_count++ % FAKE_LOG] = (struct fake_access){ addr.v, size, v, 0 };
	if (addr.v - fake.device_base < fake.device_size) {
		fake.device_write(addr.v - fake.device_base, size, v);
		return;
	}
	if (!ioapic(addr.v)) {
		return;
	}
	switch (addr.v & 0xff) {
	case 0x00:
		fake.ioapic_select = (uint32_t)v & 0xff;
		break;
	case 0x10:
		fake.ioapic[fake.ioapic_select & 0xff] = (uint32_t)v;
		break;
	default:
		break;
	}
}

const struct fake_access *fake_last_mmio(void)
{
	return fake.mmio_count == 0 ? NULL : &fake.mmio[(fake.mmio_count - 1) % FAKE_LOG];
}

bool fake_ioapic_bad(void)
{
	for (unsigned i = 0x10; i < 0x100; i += 2) {
		uint32_t e = fake.ioapic[i];

		if ((e & 0x10000) == 0 && e != 0 &&
		    ((e >> 8 & 7) > 1 || (e & 0xff) < 32 || (e & 0xff) >= 0xf0)) {
			return true;
		}
	}
	return false;
}

/* --- nested page-table entries: not a format of any CPU, and shifted by level, so that misuse shows --- */

#define E_PRESENT 0x4ull
#define E_TABLE 0x10ull
#define E_ACCESS_SHIFT 60 /* three bits */
#define E_LEVEL_SHIFT 8   /* three bits: of the entry itself */
#define E_ADDR 0x000ffffffffff000ull

static void entry_check(uint64_t e, unsigned level)
{
	if ((e >> E_LEVEL_SHIFT & 7) != level || level < 1 || level > 4) {
		fake_fail("table entry used at another level", e);
	}
}

uint64_t arch_npte_table(hpa_t table, unsigned level)
{
	if (level < 2 || level > 4 || (table.v & ~E_ADDR) != 0 ||
	    !hypervisors(table.v, PAGE_SIZE)) {
		fake_fail("table entry: address or level", table.v);
	}
	return table.v | E_PRESENT | E_TABLE | (uint64_t)level << E_LEVEL_SHIFT;
}

uint64_t arch_npte_leaf(hpa_t frame, unsigned level, unsigned access)
{
	uint64_t span = 1ull << (PAGE_SHIFT + 9 * (level - 1));

	if (level < 1 || level > 3 || (level == 3 && !fake.npt_1g) || (frame.v & ~E_ADDR) != 0 ||
	    (frame.v & (span - 1)) != 0 || access > NPT_RWX) {
		fake_fail("leaf: address, level or access", frame.v);
	}
	if (access == NPT_NONE) {
		return 0;
	}
	return frame.v | E_PRESENT | (uint64_t)level << E_LEVEL_SHIFT |
	       (uint64_t)access << E_ACCESS_SHIFT;
}

bool arch_npte_present(uint64_t e)
{
	return (e & E_PRESENT) != 0;
}

bool arch_npte_is_leaf(uint64_t e, unsigned level)
{
	entry_check(e, level);
	return (e & E_TABLE) == 0;
}

hpa_t arch_npte_addr(uint64_t e, unsigned level)
{
	entry_check(e, level);
	return hpa(e & E_ADDR);
}

unsigned arch_npte_access(uint64_t e)
{
	return (unsigned)(e >> E_ACCESS_SHIFT) & 7;
}

bool arch_npt_1g(void)
{
	return fake.npt_1g;
}

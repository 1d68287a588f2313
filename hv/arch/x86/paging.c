/* SPDX-License-Identifier: MIT */
/* The hypervisor's own address space: 4 KiB pages, every one either writable or executable, never both. */
#include "hv/arch/x86/x86.h"
#include "hv/core/arch.h"
#include "hv/core/handoff.h"
#include "hv/core/heap.h"
#include "hv/core/log.h"

#define PTE_P (1ull << 0)
#define PTE_W (1ull << 1)
#define PTE_PWT (1ull << 3)
#define PTE_PCD (1ull << 4)
#define PTE_A (1ull << 5)
#define PTE_D (1ull << 6)
#define PTE_NX (1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull

#define WINDOW_MMIO WINDOW_SLOTS /* one more slot per CPU, for device registers */
#define WINDOW_STRIDE (WINDOW_SLOTS + 1)

static uint64_t offset;      /* virtual minus physical of table frames */
static uint64_t device_next; /* bytes of the device area in use */
static uint64_t *window_pte[CPU_MAX];

void paging_set_offset(uint64_t va_minus_pa)
{
	offset = va_minus_pa;
}

static uint64_t *table(uint64_t pa)
{
	return (uint64_t *)(pa + offset);
}

/* A zeroed frame: from the region while the boot code runs (identity map), from the heap afterwards. */
static uint64_t table_alloc(void)
{
	uint64_t pa;
	void *va;

	if (offset == 0) {
		pa = boot_handoff.region_next;
		if (pa + PAGE_SIZE > boot_handoff.region_base + boot_handoff.region_size) {
			return 0;
		}
		boot_handoff.region_next += PAGE_SIZE;
		__builtin_memset(table(pa), 0, PAGE_SIZE);
		return pa;
	}
	va = heap_alloc(1);
	return va == NULL ? 0 : arch_heap_pa(va).v;
}

static uint64_t *walk(uint64_t va, bool make)
{
	uint64_t *t = table(boot_handoff.pml4);

	for (unsigned shift = 39; shift > 12; shift -= 9) {
		uint64_t *e = &t[(va >> shift) & 511];

		if ((*e & PTE_P) == 0) {
			uint64_t pa = make ? table_alloc() : 0;

			if (pa == 0) {
				return NULL;
			}
			*e = pa | PTE_P | PTE_W | PTE_A;
		}
		t = table(*e & PTE_ADDR);
	}
	return &t[(va >> 12) & 511];
}

static uint64_t entry(uint64_t pa, unsigned flags)
{
	uint64_t e = pa | PTE_P | PTE_A | PTE_D;

	if ((flags & PAGING_W) != 0) {
		e |= PTE_W;
	}
	if ((flags & PAGING_X) == 0) {
		e |= PTE_NX;
	}
	if ((flags & PAGING_UC) != 0) {
		e |= PTE_PCD | PTE_PWT;
	}
	return e;
}

bool paging_map(uint64_t va, uint64_t pa, uint64_t bytes, unsigned flags)
{
	for (uint64_t at = 0; at < bytes; at += PAGE_SIZE) {
		uint64_t *e = walk(va + at, true);

		if (e == NULL) {
			return false;
		}
		*e = entry(pa + at, flags);
	}
	return true;
}

/* Changes rights of mapped pages; this CPU's TLB only: called before the others start. */
void paging_protect(uint64_t va, uint64_t bytes, unsigned flags)
{
	for (uint64_t at = 0; at < bytes; at += PAGE_SIZE) {
		uint64_t *e = walk(va + at, false);

		CHECK(e != NULL);
		*e = entry(*e & PTE_ADDR, flags);
		x86_invlpg(va + at);
	}
}

void *paging_map_device(uint64_t pa, uint64_t bytes)
{
	uint64_t start = align_down(pa, PAGE_SIZE);
	uint64_t size = align_up(pa + bytes - start, PAGE_SIZE);
	uint64_t va = boot_handoff.mmio_va + device_next;

	CHECK(paging_map(va, start, size, PAGING_W | PAGING_UC));
	device_next += size + PAGE_SIZE; /* a guard page after each */
	return (void *)(va + (pa - start));
}

/* The table entries of a CPU's windows, looked up once: they stay where they are. */
void paging_windows_init(uint32_t cpu)
{
	uint64_t va = boot_handoff.window_va + (uint64_t)cpu * 16 * PAGE_SIZE;

	window_pte[cpu] = walk(va, true);
	CHECK(window_pte[cpu] != NULL);
}

static uint64_t window_va(uint32_t cpu, unsigned slot)
{
	return boot_handoff.window_va + ((uint64_t)cpu * 16 + slot) * PAGE_SIZE;
}

void *arch_window_open(unsigned slot, hpa_t frame)
{
	uint32_t cpu = arch_cpu_index();
	uint64_t va = window_va(cpu, slot);

	window_pte[cpu][slot] = entry(frame.v & PTE_ADDR, PAGING_W);
	return (void *)va;
}

void arch_window_close(unsigned slot)
{
	uint32_t cpu = arch_cpu_index();

	window_pte[cpu][slot] = 0;
	x86_invlpg(window_va(cpu, slot));
}

static volatile uint8_t *device_open(hpa_t addr)
{
	uint32_t cpu = arch_cpu_index();

	window_pte[cpu][WINDOW_MMIO] = entry(addr.v & PTE_ADDR, PAGING_W | PAGING_UC);
	return (volatile uint8_t *)(window_va(cpu, WINDOW_MMIO) + (addr.v & (PAGE_SIZE - 1)));
}

uint64_t arch_mmio_read(hpa_t addr, unsigned size)
{
	volatile uint8_t *p = device_open(addr);
	uint64_t v;

	switch (size) {
	case 1:
		v = *p;
		break;
	case 2:
		v = *(volatile uint16_t *)p;
		break;
	case 4:
		v = *(volatile uint32_t *)p;
		break;
	default:
		v = *(volatile uint64_t *)p;
		break;
	}
	arch_window_close(WINDOW_MMIO);
	return v;
}

void arch_mmio_write(hpa_t addr, unsigned size, uint64_t v)
{
	volatile uint8_t *p = device_open(addr);

	switch (size) {
	case 1:
		*p = (uint8_t)v;
		break;
	case 2:
		*(volatile uint16_t *)p = (uint16_t)v;
		break;
	case 4:
		*(volatile uint32_t *)p = (uint32_t)v;
		break;
	default:
		*(volatile uint64_t *)p = v;
		break;
	}
	arch_window_close(WINDOW_MMIO);
}

void *arch_heap_va(hpa_t frame)
{
	return (void *)(boot_handoff.heap_va + (frame.v - boot_handoff.region_base));
}

hpa_t arch_heap_pa(const void *va)
{
	return hpa((uint64_t)va - boot_handoff.heap_va + boot_handoff.region_base);
}

/* The boot code's identity map, which the other CPUs needed on their way from real mode. */
void paging_identity_drop(void)
{
	uint64_t *t = table(boot_handoff.pml4);

	t[0] = 0; /* nothing of the hypervisor lies in the lower half */
	__asm__ volatile("mov %0, %%cr3" : : "r"(boot_handoff.pml4) : "memory");
}

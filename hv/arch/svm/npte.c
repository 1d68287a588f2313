/* SPDX-License-Identifier: MIT */
/*
 * Nested page table entries. The same table serves the AMD IOMMU as a version 1 host page table (48882, 2.2.3): bits 11:9 hold
 * the next level, bits 61 and 62 read and write permission, all of which the CPU ignores.
 */
#include "hv/arch/x86/x86.h"
#include "hv/core/arch.h"

#define E_P (1ull << 0)
#define E_W (1ull << 1)
#define E_U (1ull << 2) /* nested walks are user accesses (15.25.5) */
#define E_A (1ull << 5)
#define E_D (1ull << 6)
#define E_PS (1ull << 7)
#define E_NEXT_SHIFT 9
#define E_ADDR 0x000ffffffffff000ull
#define E_IR (1ull << 61)
#define E_IW (1ull << 62)
#define E_NX (1ull << 63)

uint64_t arch_npte_table(hpa_t table, unsigned level)
{
	return table.v | E_P | E_W | E_U | E_A | (uint64_t)(level - 1) << E_NEXT_SHIFT | E_IR |
	       E_IW;
}

uint64_t arch_npte_leaf(hpa_t frame, unsigned level, unsigned access)
{
	uint64_t e = frame.v | E_P | E_U | E_A | E_D | E_IR;

	if (access == NPT_NONE) {
		return 0;
	}
	if ((access & NPT_W) != 0) {
		e |= E_W | E_IW;
	}
	if ((access & NPT_X) == 0) {
		e |= E_NX;
	}
	return level > 1 ? e | E_PS : e;
}

bool arch_npte_present(uint64_t e)
{
	return (e & E_P) != 0;
}

bool arch_npte_is_leaf(uint64_t e, unsigned level)
{
	return level == 1 || (level <= 3 && (e & E_PS) != 0);
}

hpa_t arch_npte_addr(uint64_t e, unsigned level)
{
	uint64_t mask = level > 1 && (e & E_PS) != 0 ? (1ull << (PAGE_SHIFT + 9 * (level - 1))) - 1
						     : 0;

	return hpa(e & E_ADDR & ~mask);
}

unsigned arch_npte_access(uint64_t e)
{
	return NPT_R | ((e & E_W) != 0 ? NPT_W : 0u) | ((e & E_NX) == 0 ? NPT_X : 0u);
}

bool arch_npt_1g(void)
{
	uint32_t r[4];

	x86_cpuid(0x80000001, 0, r);
	return (r[3] & (1u << 26)) != 0;
}

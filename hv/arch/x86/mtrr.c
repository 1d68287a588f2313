/* SPDX-License-Identifier: MIT */
/*
 * Memory types are one for the whole machine: the other CPUs get the first one's MTRRs (APM volume 2, 7.7). The root
 * may only read them, so nobody after the hypervisor could mend a difference.
 */
#include "hv/arch/x86/x86.h"
#include "hv/core/log.h"

#define MSR_MTRR_VARIABLE 0x200
#define MSR_MTRR_DEFAULT 0x2ff
#define DEFAULT_ENABLE (1ull << 11)
#define VARIABLE_MAX 16

static const uint32_t fixed[] = { 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
				  0x26b, 0x26c, 0x26d, 0x26e, 0x26f };

static uint64_t saved_fixed[ARRAY_SIZE(fixed)] RO_AFTER_INIT;
static uint64_t saved_variable[VARIABLE_MAX * 2] RO_AFTER_INIT;
static uint64_t saved_default RO_AFTER_INIT;
static uint32_t variable_count RO_AFTER_INIT;
static bool has_fixed RO_AFTER_INIT;
static bool present RO_AFTER_INIT;

void mtrr_save(void)
{
	uint32_t r[4];
	uint64_t cap;

	x86_cpuid(1, 0, r);
	present = (r[3] & (1u << 12)) != 0;
	if (!present) {
		return;
	}
	cap = x86_rdmsr(MSR_MTRRCAP);
	variable_count = (uint32_t)(cap & 0xff) < VARIABLE_MAX ? (uint32_t)(cap & 0xff)
							       : VARIABLE_MAX;
	has_fixed = (cap & (1u << 8)) != 0;
	saved_default = x86_rdmsr(MSR_MTRR_DEFAULT);
	for (uint32_t i = 0; i < variable_count * 2; i++) {
		saved_variable[i] = x86_rdmsr(MSR_MTRR_VARIABLE + i);
	}
	for (size_t i = 0; has_fixed && i < ARRAY_SIZE(fixed); i++) {
		saved_fixed[i] = x86_rdmsr(fixed[i]);
	}
}

static void set_cr0(uint64_t v)
{
	__asm__ volatile("mov %0, %%cr0" : : "r"(v) : "memory");
}

/* Context: another CPU, before it runs anything else. Caches off while the types change. */
void mtrr_load(void)
{
	uint64_t cr0 = x86_cr0();

	if (!present) {
		return;
	}
	set_cr0((cr0 | CR0_CD) & ~(uint64_t)CR0_NW);
	__asm__ volatile("wbinvd; mov %%cr3, %%rax; mov %%rax, %%cr3" : : : "rax", "memory");
	x86_wrmsr(MSR_MTRR_DEFAULT, saved_default & ~DEFAULT_ENABLE);
	for (uint32_t i = 0; i < variable_count * 2; i++) {
		x86_wrmsr(MSR_MTRR_VARIABLE + i, saved_variable[i]);
	}
	for (size_t i = 0; has_fixed && i < ARRAY_SIZE(fixed); i++) {
		x86_wrmsr(fixed[i], saved_fixed[i]);
	}
	x86_wrmsr(MSR_MTRR_DEFAULT, saved_default);
	__asm__ volatile("wbinvd; mov %%cr3, %%rax; mov %%rax, %%cr3" : : : "rax", "memory");
	set_cr0(cr0 & ~(uint64_t)(CR0_CD | CR0_NW));
}

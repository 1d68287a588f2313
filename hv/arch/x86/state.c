/* SPDX-License-Identifier: MIT */
/*
 * Registers that a virtualisation extension leaves in the CPU: x87, SSE and extended states, XCR0, debug addresses, TSC_AUX,
 * speculation control. The hypervisor uses none of them; they are exchanged when a CPU turns to another VP.
 */
#include "hv/arch/x86/state.h"

#include "hv/arch/x86/x86.h"
#include "hv/core/heap.h"
#include "hv/core/log.h"

#define MXCSR_RESET 0x1f80u
#define FCW_RESET 0x37f
#define FXSAVE_BYTES 512u
#define XSAVE_HEADER 64u

static bool xsave RO_AFTER_INIT;
static bool rdtscp RO_AFTER_INIT;
static bool ibpb RO_AFTER_INIT;
static bool spec_ctrl RO_AFTER_INIT;
static uint64_t xcr0_all RO_AFTER_INIT;
static uint32_t area_bytes RO_AFTER_INIT;

static void find_features(void)
{
	uint32_t r[4], max;

	x86_cpuid(1, 0, r);
	xsave = (r[2] & (1u << 26)) != 0;
	area_bytes = FXSAVE_BYTES + XSAVE_HEADER;
	if (xsave) {
		x86_cpuid(0xd, 0, r);
		xcr0_all = r[0] | (uint64_t)r[3] << 32;
		area_bytes = r[2];
	}
	x86_cpuid(0x80000000, 0, r);
	max = r[0];
	x86_cpuid(0x80000001, 0, r);
	rdtscp = (r[3] & (1u << 27)) != 0;
	if (max >= 0x80000008) {
		x86_cpuid(0x80000008, 0, r);
		ibpb = (r[1] & (1u << 12)) != 0;
		spec_ctrl = (r[1] & (1u << 14 | 1u << 15 | 1u << 24)) != 0;
	}
}

/* CR4 bits without which FXSAVE and XSAVE do not do all of their work. */
uint64_t state_cr4(void)
{
	if (area_bytes == 0) {
		find_features();
	}
	return CR4_OSFXSR | CR4_OSXMMEXCPT | (xsave ? CR4_OSXSAVE : 0);
}

static uint64_t pages(void)
{
	return align_up(area_bytes, PAGE_SIZE) >> PAGE_SHIFT;
}

bool state_init(struct x86_state *s)
{
	uint16_t fcw = FCW_RESET;
	uint32_t mxcsr = MXCSR_RESET;

	s->area = heap_alloc(pages());
	if (s->area == NULL) {
		return false;
	}
	__builtin_memcpy(s->area, &fcw, sizeof(fcw));
	__builtin_memcpy(s->area + 24, &mxcsr, sizeof(mxcsr));
	s->xcr0 = 1;
	return true;
}

void state_free(struct x86_state *s)
{
	heap_free(s->area, pages());
	s->area = NULL;
}

static uint64_t xgetbv(void)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return lo | (uint64_t)hi << 32;
}

static void xsetbv(uint64_t v)
{
	__asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

static void debug_save(uint64_t dr[4])
{
	__asm__ volatile("mov %%dr0, %0" : "=r"(dr[0]));
	__asm__ volatile("mov %%dr1, %0" : "=r"(dr[1]));
	__asm__ volatile("mov %%dr2, %0" : "=r"(dr[2]));
	__asm__ volatile("mov %%dr3, %0" : "=r"(dr[3]));
}

static void debug_load(const uint64_t dr[4])
{
	__asm__ volatile("mov %0, %%dr0" : : "r"(dr[0]));
	__asm__ volatile("mov %0, %%dr1" : : "r"(dr[1]));
	__asm__ volatile("mov %0, %%dr2" : : "r"(dr[2]));
	__asm__ volatile("mov %0, %%dr3" : : "r"(dr[3]));
}

void state_save(struct x86_state *s)
{
	if (xsave) {
		s->xcr0 = xgetbv();
		xsetbv(xcr0_all);
		__asm__ volatile("xsave64 (%0)"
				 :
				 : "r"(s->area), "a"((uint32_t)xcr0_all),
				   "d"((uint32_t)(xcr0_all >> 32))
				 : "memory");
	} else {
		__asm__ volatile("fxsave64 (%0)" : : "r"(s->area) : "memory");
	}
	debug_save(s->dr);
	if (rdtscp) {
		s->tsc_aux = x86_rdmsr(MSR_TSC_AUX);
	}
}

void state_load(const struct x86_state *s, uint64_t spec)
{
	if (xsave) {
		xsetbv(xcr0_all);
		__asm__ volatile("xrstor64 (%0)"
				 :
				 : "r"(s->area), "a"((uint32_t)xcr0_all),
				   "d"((uint32_t)(xcr0_all >> 32))
				 : "memory");
		xsetbv(s->xcr0);
	} else {
		__asm__ volatile("fxrstor64 (%0)" : : "r"(s->area) : "memory");
	}
	debug_load(s->dr);
	if (rdtscp) {
		x86_wrmsr(MSR_TSC_AUX, s->tsc_aux);
	}
	if (spec_ctrl) {
		x86_wrmsr(MSR_SPEC_CTRL, spec);
	}
	if (ibpb) { /* what the last VP trained is not used against this one, nor the other way round */
		x86_wrmsr(MSR_PRED_CMD, 1);
	}
}

/* SPDX-License-Identifier: MIT */
#ifndef HV_ARCH_X86_X86_H
#define HV_ARCH_X86_X86_H
/* What AMD and Intel share: instructions, tables, the local APIC, page tables, start-up of CPUs. */
#include "hv/abi/regs_x86.h"
#include "hv/abi/redoubt.h"
#include "hv/core/cpu.h"
#include "hv/core/types.h"
#include "hv/wire/acpi.h"

#define X86_STACK_SIZE 16384
#define X86_IST_SIZE 4096

static inline uint64_t x86_rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return lo | (uint64_t)hi << 32;
}

static inline void x86_wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32))
			 : "memory");
}

static inline void x86_cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			 : "a"(leaf), "c"(sub));
}

static inline uint64_t x86_rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return lo | (uint64_t)hi << 32;
}

static inline void x86_outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline uint8_t x86_inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline void x86_invlpg(uint64_t va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static inline uint64_t x86_cr0(void)
{
	uint64_t v;

	__asm__ volatile("mov %%cr0, %0" : "=r"(v));
	return v;
}

static inline uint64_t x86_cr2(void)
{
	uint64_t v;

	__asm__ volatile("mov %%cr2, %0" : "=r"(v));
	return v;
}

static inline uint64_t x86_cr3(void)
{
	uint64_t v;

	__asm__ volatile("mov %%cr3, %0" : "=r"(v));
	return v;
}

static inline void x86_set_cr4(uint64_t v)
{
	__asm__ volatile("mov %0, %%cr4" : : "r"(v) : "memory");
}

/* paging.c: the hypervisor's own page tables */
#define PAGING_W (1u << 0)
#define PAGING_X (1u << 1)
#define PAGING_UC (1u << 2)
void paging_set_offset(uint64_t va_minus_pa); /* how table frames are addressed from now on */
bool paging_map(uint64_t va, uint64_t pa, uint64_t bytes, unsigned flags);
void paging_protect(uint64_t va, uint64_t bytes, unsigned flags);
void paging_windows_init(uint32_t cpu);
void *paging_map_device(uint64_t pa, uint64_t bytes); /* for good, uncached */
void paging_identity_drop(void);

/* apic.c */
void apic_init_bsp(uint64_t base);
void apic_init_cpu(void);
uint32_t apic_id_here(void);
void apic_send_init(uint32_t apic_id);
void apic_send_sipi(uint32_t apic_id, uint8_t vector);
void apic_send_nmi_all(void);
void apic_eoi(void);
bool apic_is_level(uint8_t vector);
bool apic_in_service(uint8_t vector);
bool apic_x2(void);
bool apic_deadline(void);
uint64_t apic_timer_hz(void);
void apic_timer_measure_start(void);
void apic_timer_measure_end(uint64_t tsc_ticks);

/* tsc.c */
uint64_t tsc_calibrate(const struct acpi_info *acpi);

/* cpuinit.c: GDT, TSS, IDT, control registers of the CPU that runs */
void cpu_init_this(uint32_t index, uint32_t apic_id);
uint64_t cpu_features(void); /* RD_PROT_* of the control registers that are on */

/* mtrr.c */
void mtrr_save(void); /* on the first CPU */
void mtrr_load(void); /* on the others */

/* firmware.c */
void firmware_close_smm(void);

/* smp.c */
void smp_start_all(void);

/* random.c */
uint64_t random_u64(void); /* never the same twice; hardware where there is one */
bool random_is_hardware(void);

#endif

/* SPDX-License-Identifier: MIT */
/* SVM of one physical CPU: switching it on, its host state, its idle and interrupt windows (APM volume 2, 15.4, 15.17). */
#include "hv/arch/svm/svm.h"
#include "hv/arch/x86/vendor.h"
#include "hv/arch/x86/x86.h"
#include "hv/core/arch.h"
#include "hv/core/heap.h"
#include "hv/core/log.h"

#define VM_CR_R_INIT (1u << 1)   /* INIT becomes #SX */
#define VM_CR_DIS_A20M (1u << 2) /* the A20 gate does nothing */
#define VM_CR_SVMDIS (1u << 4)
#define MSR_DE_CFG 0xc0011029
#define DE_CFG_LFENCE (1u << 1)

uint64_t svm_host_pa[CPU_MAX] RO_AFTER_INIT;
uint32_t svm_features RO_AFTER_INIT;
uint32_t svm_asids RO_AFTER_INIT;

/* Before anything else is built on it. NULL: usable; else what is missing and what to do. */
const char *vendor_check(const char **remedy)
{
	uint32_t r[4];

	x86_cpuid(0x80000000, 0, r);
	if (r[0] < 0x8000000a) {
		*remedy = "Redoubt needs an AMD processor with SVM";
		return "SVM: this CPU has none";
	}
	x86_cpuid(0x80000001, 0, r);
	if ((r[2] & (1u << 2)) == 0) {
		*remedy = "Redoubt needs an AMD processor with SVM (QEMU: -cpu EPYC,+svm,+npt)";
		return "SVM: this CPU has none";
	}
	if ((x86_rdmsr(MSR_VM_CR) & VM_CR_SVMDIS) != 0) {
		*remedy = "enable SVM (AMD-V, virtualisation) in the firmware's set-up";
		return "SVM: disabled by the firmware";
	}
	x86_cpuid(0x8000000a, 0, r);
	if ((r[3] & SVM_NPT) == 0) {
		*remedy = "Redoubt needs nested paging (QEMU: -cpu EPYC,+svm,+npt)";
		return "SVM: no nested paging";
	}
	return NULL;
}

const char *vendor_name(void)
{
	return "svm";
}

uint64_t vendor_hw(void)
{
	return (svm_has(SVM_NRIPS) ? RD_HW_NRIPS : 0) |
	       (svm_has(SVM_DECODE_ASSISTS) ? RD_HW_DECODE_ASSISTS : 0) |
	       (svm_has(SVM_FLUSH_BY_ASID) ? RD_HW_FLUSH_BY_ASID : 0);
}

/* LFENCE as a speculation barrier (AMD "Software techniques for managing speculation", 2023, V1-3): the root may not set it. */
static void lfence_serialising(void)
{
	uint32_t r[4];
	uint32_t family;

	x86_cpuid(1, 0, r);
	family = ((r[0] >> 8) & 15) + ((r[0] >> 20) & 255);
	if (family >= 0x10 && family != 0x11 &&
	    (r[2] & (1u << 31)) == 0) { /* not under another hypervisor */
		x86_wrmsr(MSR_DE_CFG, x86_rdmsr(MSR_DE_CFG) | DE_CFG_LFENCE);
	}
}

/* Context: each CPU, after its tables are loaded. */
void vendor_init_cpu(void)
{
	uint32_t cpu = arch_cpu_index();
	void *hsave = heap_alloc(1);
	void *host = heap_alloc(1);
	uint32_t r[4];

	CHECK(hsave != NULL && host != NULL);
	x86_cpuid(0x8000000a, 0, r);
	if (cpu == 0) {
		svm_features = r[3];
		svm_asids = r[1];
	}
	lfence_serialising();
	x86_wrmsr(MSR_EFER, x86_rdmsr(MSR_EFER) | EFER_SVME);
	x86_wrmsr(MSR_VM_CR, x86_rdmsr(MSR_VM_CR) | VM_CR_R_INIT | VM_CR_DIS_A20M);
	x86_wrmsr(MSR_VM_HSAVE_PA, arch_heap_pa(hsave).v);
	svm_host_pa[cpu] = arch_heap_pa(host).v;
	__asm__ volatile("vmsave %0" : : "a"(svm_host_pa[cpu]) : "memory");
	/* From here on physical interrupts come in only through the two windows below. */
	__asm__ volatile("clgi; sti" : : : "memory");
}

void arch_take_interrupts(void)
{
	__asm__ volatile("stgi; nop; nop; clgi" : : : "memory");
}

/* STI's shadow covers HLT: an interrupt that is already pending ends it at once. */
void arch_idle(void)
{
	__asm__ volatile("cli; stgi; sti; hlt; clgi" : : : "memory");
}

/* SPDX-License-Identifier: MIT */
#ifndef HV_ABI_REGS_X86_H
#define HV_ABI_REGS_X86_H
/* Control registers, MSRs and APIC registers (AMD64 Architecture Programmer's Manual volume 2; Intel SDM for x2APIC). Also read by the assembler. */

#define CR0_PE (1 << 0)
#define CR0_MP (1 << 1)
#define CR0_ET (1 << 4)
#define CR0_NE (1 << 5)
#define CR0_WP (1 << 16)
#define CR0_NW (1 << 29)
#define CR0_CD (1 << 30)
#define CR0_PG 0x80000000

#define CR4_PAE (1 << 5)
#define CR4_MCE (1 << 6)
#define CR4_PGE (1 << 7)
#define CR4_OSFXSR (1 << 9)
#define CR4_OSXMMEXCPT (1 << 10)
#define CR4_UMIP (1 << 11)
#define CR4_LA57 (1 << 12)
#define CR4_FSGSBASE (1 << 16)
#define CR4_OSXSAVE (1 << 18)
#define CR4_SMEP (1 << 20)
#define CR4_SMAP (1 << 21)

#define EFER_SCE (1 << 0)
#define EFER_LME (1 << 8)
#define EFER_LMA (1 << 10)
#define EFER_NXE (1 << 11)
#define EFER_SVME (1 << 12)
#define EFER_FFXSR (1 << 14)
#define EFER_TCE (1 << 15)
#define EFER_AUTOIBRS (1 << 21)

#define RFLAGS_CF (1 << 0)
#define RFLAGS_ZF (1 << 6)
#define RFLAGS_TF (1 << 8)
#define RFLAGS_IF (1 << 9)
#define RFLAGS_RF (1 << 16)
#define RFLAGS_VM (1 << 17)

#define MSR_TSC 0x00000010
#define MSR_APIC_BASE 0x0000001b
#define MSR_SPEC_CTRL 0x00000048
#define MSR_PRED_CMD 0x00000049
#define MSR_PATCH_LEVEL 0x0000008b
#define MSR_MTRRCAP 0x000000fe
#define MSR_DEBUGCTL 0x000001d9
#define MSR_PAT 0x00000277
#define MSR_TSC_DEADLINE 0x000006e0
#define MSR_X2APIC 0x00000800
#define MSR_X2APIC_LAST 0x0000083f
#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_CSTAR 0xc0000083
#define MSR_SFMASK 0xc0000084
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX 0xc0000103
#define MSR_SYSCFG 0xc0010010
#define MSR_HWCR 0xc0010015
#define MSR_PATCH_LOADER 0xc0010020
#define MSR_SMM_BASE 0xc0010111
#define MSR_VM_CR 0xc0010114
#define MSR_VM_HSAVE_PA 0xc0010117

#define APIC_BASE_BSP (1 << 8)
#define APIC_BASE_EXTD (1 << 10)
#define APIC_BASE_EN (1 << 11)
#define APIC_BASE_ADDR 0xfee00000

/* Local APIC register offsets in the xAPIC page; the x2APIC MSR is 0x800 + offset / 16. */
#define APIC_ID 0x020
#define APIC_VERSION 0x030
#define APIC_TPR 0x080
#define APIC_APR 0x090
#define APIC_PPR 0x0a0
#define APIC_EOI 0x0b0
#define APIC_RRD 0x0c0
#define APIC_LDR 0x0d0
#define APIC_DFR 0x0e0
#define APIC_SVR 0x0f0
#define APIC_ISR 0x100
#define APIC_TMR 0x180
#define APIC_IRR 0x200
#define APIC_ESR 0x280
#define APIC_LVT_CMCI 0x2f0
#define APIC_ICR 0x300
#define APIC_ICR2 0x310
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_THERMAL 0x330
#define APIC_LVT_PERF 0x340
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_LVT_ERROR 0x370
#define APIC_TIMER_INIT 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE 0x3e0
#define APIC_SELF_IPI 0x3f0

/* Delivery modes in ICR, LVT and IO-APIC entries, bits 10:8. */
#define APIC_DM_FIXED 0
#define APIC_DM_LOWEST 1
#define APIC_DM_SMI 2
#define APIC_DM_NMI 4
#define APIC_DM_INIT 5
#define APIC_DM_SIPI 6
#define APIC_DM_EXTINT 7

/* The hypervisor's own vectors: priority class 15, above every vector that a device may use. */
#define HV_VECTOR_FIRST 0xf0
#define HV_VECTOR_TIMER 0xf0
#define HV_VECTOR_KICK 0xf1
#define HV_VECTOR_IOMMU 0xf2
#define HV_VECTOR_ERROR 0xfe
#define HV_VECTOR_SPURIOUS 0xff

/* The hypervisor's own segments. */
#define HV_CS 0x08
#define HV_DS 0x10
#define HV_TSS 0x18

#endif

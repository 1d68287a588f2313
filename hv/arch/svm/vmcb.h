/* SPDX-License-Identifier: MIT */
#ifndef HV_ARCH_SVM_VMCB_H
#define HV_ARCH_SVM_VMCB_H
/* The virtual machine control block (APM volume 2, appendix B). */
#include "hv/core/types.h"

/* Intercept words: offset 0x0c and 0x10 (15.9, table B-1). */
#define VMCB_I1_INTR (1u << 0)
#define VMCB_I1_NMI (1u << 1)
#define VMCB_I1_SMI (1u << 2)
#define VMCB_I1_INIT (1u << 3)
#define VMCB_I1_RDPMC (1u << 15)
#define VMCB_I1_CPUID (1u << 18)
#define VMCB_I1_RSM (1u << 19)
#define VMCB_I1_IRET (1u << 20)
#define VMCB_I1_INVD (1u << 22)
#define VMCB_I1_HLT (1u << 24)
#define VMCB_I1_INVLPGA (1u << 26)
#define VMCB_I1_IOIO (1u << 27)
#define VMCB_I1_MSR (1u << 28)
#define VMCB_I1_SHUTDOWN (1u << 31)
#define VMCB_I2_VMRUN (1u << 0)
#define VMCB_I2_VMMCALL (1u << 1)
#define VMCB_I2_VMLOAD (1u << 2)
#define VMCB_I2_VMSAVE (1u << 3)
#define VMCB_I2_STGI (1u << 4)
#define VMCB_I2_CLGI (1u << 5)
#define VMCB_I2_SKINIT (1u << 6)
#define VMCB_I2_MONITOR (1u << 10)
#define VMCB_I2_MWAIT (1u << 11)
#define VMCB_I2_MWAIT_ARMED (1u << 12)
#define VMCB_I2_RDPRU (1u << 14)

#define VMCB_INT_V_IRQ (1u << 8)
#define VMCB_INT_PRIO_SHIFT 16
#define VMCB_INT_MASKING (1u << 24)

#define VMCB_TLB_FLUSH_ALL 1
#define VMCB_TLB_FLUSH_ASID 3

#define VMCB_EVENT_INTR 0u
#define VMCB_EVENT_NMI 2u
#define VMCB_EVENT_EXCEPTION 3u
#define VMCB_EVENT_SOFT 4u
#define VMCB_EVENT_ERROR (1u << 11)
#define VMCB_EVENT_VALID (1u << 31)

/* Exit codes (appendix C). */
#define VMEXIT_EXCEPTION 0x40
#define VMEXIT_INTR 0x60
#define VMEXIT_NMI 0x61
#define VMEXIT_SMI 0x62
#define VMEXIT_INIT 0x63
#define VMEXIT_RDPMC 0x6f
#define VMEXIT_CPUID 0x72
#define VMEXIT_RSM 0x73
#define VMEXIT_IRET 0x74
#define VMEXIT_INVD 0x76
#define VMEXIT_HLT 0x78
#define VMEXIT_INVLPGA 0x7a
#define VMEXIT_IOIO 0x7b
#define VMEXIT_MSR 0x7c
#define VMEXIT_SHUTDOWN 0x7f
#define VMEXIT_VMRUN 0x80
#define VMEXIT_VMMCALL 0x81
#define VMEXIT_RDPRU 0x8e
#define VMEXIT_NPF 0x400
#define VMEXIT_INVALID UINT64_MAX

struct __attribute__((packed)) vmcb_segment {
	uint16_t selector, attributes;
	uint32_t limit;
	uint64_t base;
};

struct __attribute__((packed, aligned(4096))) vmcb {
	uint32_t intercept_cr, intercept_dr, intercept_exceptions, intercept1, intercept2,
		intercept3;
	uint8_t reserved0[0x3c - 0x18];
	uint16_t pause_threshold, pause_count;
	uint64_t iopm, msrpm, tsc_offset;
	uint32_t asid;
	uint8_t tlb_control, reserved1[3];
	uint32_t int_control; /* 0x60 */
	uint8_t int_vector, reserved2[3];
	uint64_t int_shadow;                                       /* 0x68 */
	uint64_t exit_code, exit_info1, exit_info2, exit_int_info; /* 0x70 */
	uint64_t np_enable;                                        /* 0x90 */
	uint8_t reserved3[0xa8 - 0x98];
	uint64_t event_inject;                       /* 0xa8 */
	uint64_t n_cr3, lbr_enable, clean, next_rip; /* 0xb0 */
	uint8_t fetched, bytes[15];                  /* 0xd0 */
	uint8_t reserved4[0x400 - 0xe0];
	/* state save area */
	struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t reserved5[0xcb - 0xa0];
	uint8_t cpl;
	uint32_t reserved6;
	uint64_t efer; /* 0xd0 */
	uint8_t reserved7[0x148 - 0xd8];
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip; /* 0x148 */
	uint8_t reserved8[0x1d8 - 0x180];
	uint64_t rsp; /* 0x1d8 */
	uint8_t reserved9[0x1f8 - 0x1e0];
	uint64_t rax, star, lstar, cstar, sfmask, kernel_gs_base; /* 0x1f8 */
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip, cr2;    /* 0x228 */
	uint8_t reserved10[0x268 - 0x248];
	uint64_t g_pat; /* 0x268 */
	uint8_t reserved11[0x1000 - 0x400 - 0x270];
};

_Static_assert(sizeof(struct vmcb) == 4096, "APM volume 2, appendix B");
_Static_assert(offsetof(struct vmcb, int_control) == 0x60, "table B-1");
_Static_assert(offsetof(struct vmcb, exit_code) == 0x70, "table B-1");
_Static_assert(offsetof(struct vmcb, event_inject) == 0xa8, "table B-1");
_Static_assert(offsetof(struct vmcb, cpl) == 0x4cb, "table B-2");
_Static_assert(offsetof(struct vmcb, cr4) == 0x548, "table B-2");
_Static_assert(offsetof(struct vmcb, rip) == 0x578, "table B-2");
_Static_assert(offsetof(struct vmcb, rsp) == 0x5d8, "table B-2");
_Static_assert(offsetof(struct vmcb, rax) == 0x5f8, "table B-2");
_Static_assert(offsetof(struct vmcb, cr2) == 0x640, "table B-2");
_Static_assert(offsetof(struct vmcb, g_pat) == 0x668, "table B-2");

#endif

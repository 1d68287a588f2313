/* SPDX-License-Identifier: MIT */
#ifndef HV_ARCH_SVM_SVM_H
#define HV_ARCH_SVM_SVM_H
#include "hv/arch/svm/vmcb.h"
#include "hv/arch/x86/state.h"
#include "hv/core/types.h"

struct vp;

struct arch_partition {
	uint8_t *iopm;  /* three pages, a bit per port, 1 = intercept */
	uint8_t *msrpm; /* two pages, two bits per MSR */
};

struct arch_vp {
	struct vmcb *vmcb;
	uint64_t vmcb_pa;
	bool flush;
	struct x86_state state; /* while another VP has the CPU */
};

void svm_enter(struct vp *vp, uint64_t vmcb_pa, uint64_t host_pa);
extern uint64_t svm_host_pa[CPU_MAX];
extern uint32_t svm_asids;
extern uint32_t svm_features; /* CPUID 0x8000000a EDX */

static inline bool svm_has(uint32_t feature)
{
	return (svm_features & feature) != 0;
}

#define SVM_NPT (1u << 0)
#define SVM_NRIPS (1u << 3)
#define SVM_FLUSH_BY_ASID (1u << 6)
#define SVM_DECODE_ASSISTS (1u << 7)

#endif

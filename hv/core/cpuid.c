/* SPDX-License-Identifier: MIT */
/* CPUID of the root: the hardware's answers with SVM and what it cannot use hidden, and the Hyper-V leaves (TLFS 2). */
#include "hv/core/cpuid.h"

#include "hv/abi/redoubt.h"
#include "hv/abi/regs_x86.h"
#include "hv/core/arch.h"
#include "hv/core/cpu.h"
#include "hv/core/vp.h"

#define C1_ECX_MONITOR (1u << 3)
#define C1_ECX_VMX (1u << 5)
#define C1_ECX_SMX (1u << 6)
#define C1_ECX_X2APIC (1u << 21)
#define C1_ECX_TSC_DEADLINE (1u << 24)
#define C1_ECX_OSXSAVE (1u << 27)
#define C1_ECX_HYPERVISOR (1u << 31)
#define C6_EAX_ARAT (1u << 2)
#define C7_ECX_CET_SS (1u << 7)
#define C7_EDX_CET_IBT (1u << 20)
#define CD_1_EAX_XSAVES (1u << 3)
#define C8_1_ECX_SVM (1u << 2)
#define C8_1_ECX_SKINIT (1u << 12)
#define C8_1_ECX_PERFCTR_CORE (1u << 23)
#define C8_1_ECX_MWAITX (1u << 29)
#define CR4_OSXSAVE (1u << 18)

/* Leaf 0x40000003: the privileges that a stock Linux makes good use of (see docs/architecture.md). */
#define HV_EAX_TIME_REF_COUNT (1u << 1)
#define HV_EAX_HYPERCALL (1u << 5)
#define HV_EAX_VP_INDEX (1u << 6)
#define HV_EAX_REFERENCE_TSC (1u << 9)
#define HV_EAX_FREQUENCY (1u << 11)
#define HV_EAX_TSC_INVARIANT (1u << 15)
#define HV_EDX_FREQUENCY (1u << 8)
#define HV_HINT_DEPRECATE_AUTO_EOI (1u << 9)

__attribute__((noinline)) static bool invariant_tsc(void)
{
	uint32_t r[4];

	arch_cpuid(0x80000000, 0, r);
	if (r[0] < 0x80000007) {
		return false;
	}
	arch_cpuid(0x80000007, 0, r);
	return (r[3] & (1u << 8)) != 0;
}

static void synthetic(uint32_t leaf, uint32_t out[4])
{
	switch (leaf) {
	case 0x40000000:
		out[0] = 0x40000006;
		out[1] = 0x7263694d; /* "Micr" */
		out[2] = 0x666f736f; /* "osof" */
		out[3] = 0x76482074; /* "t Hv" */
		break;
	case 0x40000001:
		out[0] = 0x31237648; /* "Hv#1" */
		break;
	case 0x40000002:
		out[0] = 1;
		out[1] = 10u << 16;
		break;
	case 0x40000003:
		out[0] = HV_EAX_TIME_REF_COUNT | HV_EAX_HYPERCALL | HV_EAX_VP_INDEX |
			 HV_EAX_REFERENCE_TSC | HV_EAX_FREQUENCY |
			 (invariant_tsc() ? HV_EAX_TSC_INVARIANT : 0);
		out[3] = HV_EDX_FREQUENCY;
		break;
	case 0x40000004:
		out[0] = HV_HINT_DEPRECATE_AUTO_EOI;
		out[1] = 0xffffffff; /* never report long spin waits */
		break;
	case 0x40000005:
		out[0] = CPU_MAX;
		out[1] = CPU_MAX;
		break;
	case RD_CPUID_LEAF:
		out[0] = RD_CPUID_LEAF;
		out[1] = RD_CPUID_EBX;
		out[2] = RD_CPUID_ECX;
		out[3] = RD_CPUID_EDX;
		break;
	default:
		break;
	}
}

static void hardware(struct vp *vp, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	arch_cpuid(leaf, subleaf, out);
	switch (leaf) {
	case 1:
		out[1] = (out[1] & 0x00ffffff) | vp->apic.id << 24;
		out[2] &= ~(C1_ECX_MONITOR | C1_ECX_VMX | C1_ECX_SMX | C1_ECX_OSXSAVE);
		out[2] |= C1_ECX_X2APIC | C1_ECX_TSC_DEADLINE | C1_ECX_HYPERVISOR;
		if ((arch_vp_cr4(vp) & CR4_OSXSAVE) != 0) {
			out[2] |= C1_ECX_OSXSAVE;
		}
		break;
	case 5: /* MONITOR/MWAIT */
		out[0] = out[1] = out[2] = out[3] = 0;
		break;
	case 6:
		out[0] |= C6_EAX_ARAT;
		break;
	case 7:
		if (subleaf == 0) { /* control-flow enforcement: its MSRs are not the root's */
			out[2] &= ~C7_ECX_CET_SS;
			out[3] &= ~C7_EDX_CET_IBT;
		}
		break;
	case 0xd:
		if (subleaf == 1) { /* XSAVES and IA32_XSS likewise */
			out[0] &= ~CD_1_EAX_XSAVES;
			out[2] = out[3] = 0;
		}
		break;
	case 0x80000022: /* performance monitoring, AMD */
	case 0xa:        /* performance monitoring */
		out[0] = out[1] = out[2] = out[3] = 0;
		break;
	case 0x80000001:
		out[2] &=
			~(C8_1_ECX_SVM | C8_1_ECX_SKINIT | C8_1_ECX_PERFCTR_CORE | C8_1_ECX_MWAITX);
		break;
	case 0x8000000a: /* SVM features */
		out[0] = out[1] = out[2] = out[3] = 0;
		break;
	case 0x8000001f: /* memory encryption: the hypervisor's affair */
		out[0] = out[1] = out[2] = out[3] = 0;
		break;
	default:
		break;
	}
}

/* Trust: leaf and subleaf are the guest's; every value has an answer. */
void cpuid_guest(struct vp *vp)
{
	uint32_t leaf = (uint32_t)vp->regs[REG_RAX];
	uint32_t out[4] = { 0 };

	if ((leaf & 0xffff0000) == 0x40000000) {
		synthetic(leaf, out);
	} else {
		hardware(vp, leaf, (uint32_t)vp->regs[REG_RCX], out);
	}
	vp->regs[REG_RAX] = out[0];
	vp->regs[REG_RBX] = out[1];
	vp->regs[REG_RCX] = out[2];
	vp->regs[REG_RDX] = out[3];
}

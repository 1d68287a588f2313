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
#define C1_ECX_FMA (1u << 12)
#define C1_ECX_XSAVE (1u << 26)
#define C1_ECX_AVX (1u << 28)
#define C1_ECX_F16C (1u << 29)
#define C1_EDX_MCE (1u << 7)
#define C1_EDX_MCA (1u << 14)
#define C1_EDX_HTT (1u << 28)
/* FSGSBASE, BMI1, SMEP, BMI2, ERMS, RDSEED, ADX, SMAP, CLFLUSHOPT, CLWB, SHA; UMIP, RDPID */
#define C7_EBX_CHILD                                                                        \
	(1u << 0 | 1u << 3 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 18 | 1u << 19 | 1u << 20 | \
	 1u << 23 | 1u << 24 | 1u << 29)
#define C7_ECX_CHILD (1u << 2 | 1u << 22)
/* LAHF, CR8 access, LZCNT, SSE4A, misaligned SSE, PREFETCHW, TBM */
#define C8_1_ECX_CHILD (1u << 0 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 8 | 1u << 21)
#define C6_EAX_ARAT (1u << 2)
#define C7_ECX_CET_SS (1u << 7)
#define C7_EDX_CET_IBT (1u << 20)
#define CD_1_EAX_XSAVES (1u << 3)
#define C8_1_ECX_SVM (1u << 2)
#define C8_1_ECX_SKINIT (1u << 12)
#define C8_1_ECX_PERFCTR_CORE (1u << 23)
#define C8_1_ECX_MWAITX (1u << 29)

/* Leaf 0x40000003: the privileges that a stock Linux makes good use of (see docs/architecture.md). */
#define HV_EAX_TIME_REF_COUNT (1u << 1)
#define HV_EAX_SYNIC (1u << 2)
#define HV_EAX_TIMERS (1u << 3)
#define HV_EAX_INTERRUPT_CONTROL (1u << 4)
#define HV_EAX_HYPERCALL (1u << 5)
#define HV_EAX_VP_INDEX (1u << 6)
#define HV_EAX_REFERENCE_TSC (1u << 9)
#define HV_EAX_FREQUENCY (1u << 11)
#define HV_EAX_TSC_INVARIANT (1u << 15)
#define HV_EDX_FREQUENCY (1u << 8)
#define HV_EAX_GUEST_IDLE (1u << 10)
#define HV_EBX_POST_MESSAGES (1u << 4)
#define HV_EBX_SIGNAL_EVENTS (1u << 5)
#define HV_EDX_CRASH (1u << 10)
#define HV_EDX_DIRECT_TIMERS (1u << 19)
#define HV_HINT_REMOTE_TLB_FLUSH (1u << 2)
#define HV_HINT_RELAXED_TIMING (1u << 5)
#define HV_HINT_DEPRECATE_AUTO_EOI (1u << 9)
#define HV_HINT_CLUSTER_IPI (1u << 10)
#define HV_HINT_EX_MASKS (1u << 11)

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

/* What a child gets beyond the root: the synthetic interrupt controller, timers and calls. */
static void synthetic_child(const struct vp *vp, uint32_t leaf, uint32_t out[4])
{
	switch (leaf) {
	case 0x40000003:
		out[0] |= HV_EAX_SYNIC | HV_EAX_TIMERS | HV_EAX_INTERRUPT_CONTROL |
			  HV_EAX_GUEST_IDLE;
		out[1] = HV_EBX_POST_MESSAGES | HV_EBX_SIGNAL_EVENTS;
		out[3] |= HV_EDX_DIRECT_TIMERS | HV_EDX_CRASH;
		break;
	case 0x40000004:
		out[0] |= HV_HINT_RELAXED_TIMING;
		if (vp->partition->vp_count > 1) {
			out[0] |= HV_HINT_REMOTE_TLB_FLUSH | HV_HINT_CLUSTER_IPI | HV_HINT_EX_MASKS;
		}
		break;
	case 0x40000005:
		out[0] = HV_VP_MAX;
		break;
	case RD_CPUID_LEAF: /* the product's own leaf is the root's */
		out[0] = out[1] = out[2] = out[3] = 0;
		break;
	default:
		break;
	}
}

static void synthetic(const struct vp *vp, uint32_t leaf, uint32_t out[4])
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
	if (!vp->partition->root) {
		synthetic_child(vp, leaf, out);
	}
}

/*
 * A child also loses what is not switched with it or would describe the machine: extended states, machine checks, thermal and
 * power leaves, topology (each VP is a package of its own), speculation controls.
 */
static void child(const struct vp *vp, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	if (leaf == 7 && subleaf != 0) {
		out[0] = out[1] = out[2] = out[3] = 0;
		return;
	}
	switch (leaf) {
	case 0:
		out[0] = out[0] < 7 ? out[0] : 7;
		break;
	case 1:
		out[1] = (out[1] & 0x0000ffff) | 1u << 16 | vp->apic.id << 24;
		out[2] &= ~(C1_ECX_XSAVE | C1_ECX_OSXSAVE | C1_ECX_AVX | C1_ECX_FMA | C1_ECX_F16C |
			    C1_ECX_TSC_DEADLINE);
		out[3] &= ~(C1_EDX_MCE | C1_EDX_MCA | C1_EDX_HTT);
		break;
	case 6:
		out[0] = C6_EAX_ARAT;
		out[1] = out[2] = out[3] = 0;
		break;
	case 7:
		out[0] = 0;
		out[1] &= C7_EBX_CHILD;
		out[2] &= C7_ECX_CHILD;
		out[3] = 0;
		break;
	case 0x80000000:
		out[0] = out[0] < 0x80000008 ? out[0] : 0x80000008;
		break;
	case 0x80000001:
		out[2] &= C8_1_ECX_CHILD;
		out[3] &= ~(C1_EDX_MCE | C1_EDX_MCA);
		break;
	case 0x80000007:
		out[0] = out[1] = out[2] = 0;
		out[3] &= 1u << 8; /* invariant TSC */
		if (vp->partition->tsc_invariant_control == 0) {
			out[3] = 0; /* TLFS 12.7: shown once the guest has asked */
		}
		break;
	case 0x80000008:
		out[1] = 0;
		out[2] = 0; /* one core */
		out[3] = 0;
		break;
	default:
		if (leaf > 7 && leaf < 0x80000000) {
			out[0] = out[1] = out[2] = out[3] = 0;
		}
		if (leaf > 0x80000008) {
			out[0] = out[1] = out[2] = out[3] = 0;
		}
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
		synthetic(vp, leaf, out);
	} else {
		hardware(vp, leaf, (uint32_t)vp->regs[REG_RCX], out);
		if (!vp->partition->root) {
			child(vp, leaf, (uint32_t)vp->regs[REG_RCX], out);
		}
	}
	vp->regs[REG_RAX] = out[0];
	vp->regs[REG_RBX] = out[1];
	vp->regs[REG_RCX] = out[2];
	vp->regs[REG_RDX] = out[3];
}

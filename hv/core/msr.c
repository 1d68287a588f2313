/* SPDX-License-Identifier: MIT */
/* MSRs: deny by default; msr_list.def (the root) and child_msr_list.def say what else and why. */
#include "hv/core/msr.h"

#include "hv/abi/regs_x86.h"
#include "hv/core/arch.h"
#include "hv/core/log.h"
#include "hv/core/vp.h"

enum policy { POLICY_NONE, POLICY_PASS, POLICY_READ, POLICY_COMMAND, POLICY_EMULATE };

struct row {
	uint32_t first, last;
	enum policy policy;
};

static const struct row rows[] = {
#define MSR(first, last, policy, reason) { first, last, POLICY_##policy },
#include "hv/core/msr_list.def"
#undef MSR
};

enum child_policy { CHILD_PASS, CHILD_EMULATE, CHILD_CONST };

static const struct {
	uint32_t first, last;
	enum child_policy policy;
	uint64_t value;
} child_rows[] = {
#define CHILD_MSR(first, last, policy, value, reason) { first, last, CHILD_##policy, value },
#include "hv/core/child_msr_list.def"
#undef CHILD_MSR
};

_Static_assert(ARRAY_SIZE(rows) <= 64, "a bit each in drop_logged");
static uint64_t drop_logged; /* atomic: rows whose first dropped write was logged */

/* The row that covers an MSR, or ARRAY_SIZE(rows). */
static size_t row_of(uint32_t msr)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(rows) && (msr < rows[i].first || msr > rows[i].last)) {
		i++;
	}
	return i;
}

/* The bits of SPEC_CTRL that this CPU has; another one would be a #GP in the hypervisor. */
static uint64_t spec_ctrl_bits(void)
{
	uint32_t r[4];

	arch_cpuid(0x80000000, 0, r);
	if (r[0] < 0x80000008) {
		return 0;
	}
	arch_cpuid(0x80000008, 0, r);
	return (r[1] >> 14 & 1) | (r[1] >> 15 & 1) << 1 |
	       (r[1] >> 24 & 1) << 2; /* IBRS, STIBP, SSBD */
}

void msr_setup(struct vp *vp)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (uint32_t m = rows[i].first; m <= rows[i].last; m++) {
			switch (rows[i].policy) {
			case POLICY_PASS:
				arch_msr_allow(vp, m, true, true);
				break;
			case POLICY_READ:
				arch_msr_allow(vp, m, true, false);
				break;
			case POLICY_COMMAND:
				arch_msr_allow(vp, m, false, true);
				break;
			default:
				break;
			}
		}
	}
	arch_msr_allow(vp, MSR_TSC, true, false);
}

void msr_setup_child(struct vp *vp)
{
	for (size_t i = 0; i < ARRAY_SIZE(child_rows); i++) {
		if (child_rows[i].policy != CHILD_PASS) {
			continue;
		}
		for (uint32_t m = child_rows[i].first; m <= child_rows[i].last; m++) {
			arch_msr_allow(vp, m, true, true);
		}
	}
	arch_msr_allow(vp, MSR_TSC, true, false);
}

/* A register of a child that only has a value. */
static bool child_const(uint32_t msr, uint64_t *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(child_rows); i++) {
		if (msr >= child_rows[i].first && msr <= child_rows[i].last) {
			*value = child_rows[i].value;
			return child_rows[i].policy == CHILD_CONST;
		}
	}
	return false;
}

static bool deny(struct vp *vp, uint32_t msr, bool write, uint64_t value)
{
	partition_count(&vp->partition->denied_msr);
	if (write) {
		log_guest(vp, "WRMSR %x <- %lx refused: #GP", msr, value);
	} else {
		log_guest(vp, "RDMSR %x refused: #GP", msr);
	}
	return false;
}

bool msr_guest_read(struct vp *vp, uint32_t msr, uint64_t *value)
{
	if (msr >= MSR_X2APIC && msr <= MSR_X2APIC_LAST) {
		return vlapic_msr_read(vp, msr, value);
	}
	if (msr >= 0x40000000 && msr <= 0x400001ff) {
		return synthetic_read(vp, msr, value) || deny(vp, msr, false, 0);
	}
	if (msr == MSR_EFER) {
		*value = arch_vp_efer(vp);
		return true;
	}
	if (!vp->partition->root && msr != MSR_APIC_BASE) {
		return child_const(msr, value) || deny(vp, msr, false, 0);
	}
	switch (msr) {
	case MSR_APIC_BASE:
		*value = vp->apic.base;
		return true;
	case MSR_TSC_DEADLINE:
		*value = vp->apic.tsc_deadline;
		return true;
	case MSR_DEBUGCTL:
		*value = 0;
		return true;
	case MSR_SPEC_CTRL:
		if (spec_ctrl_bits() != 0) {
			*value = vp->spec_ctrl;
			return true;
		}
		break;
	default:
		break;
	}
	return deny(vp, msr, false, 0);
}

/* What this CPU has; VMRUN would refuse a VP with another bit set. */
static uint64_t efer_bits(void)
{
	uint64_t bits = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	uint32_t r[4], max;

	arch_cpuid(0x80000000, 0, r);
	max = r[0];
	arch_cpuid(0x80000001, 0, r);
	bits |= (r[3] & (1u << 25)) != 0 ? EFER_FFXSR : 0;
	bits |= (r[2] & (1u << 17)) != 0 ? EFER_TCE : 0;
	if (max >= 0x80000021) {
		arch_cpuid(0x80000021, 0, r);
		bits |= (r[0] & (1u << 8)) != 0 ? EFER_AUTOIBRS : 0;
	}
	return bits;
}

/* SVME never changes; the other bits as the CPU defines them (APM volume 2, 3.1.7). */
static bool efer_write(struct vp *vp, uint64_t value)
{
	const uint64_t known = efer_bits();
	uint64_t old = arch_vp_efer(vp);

	if ((value & ~known) != 0) {
		return deny(vp, MSR_EFER, true, value);
	}
	if ((arch_vp_cr0(vp) & CR0_PG) != 0 && ((value ^ old) & EFER_LME) != 0) {
		return false;
	}
	arch_vp_set_efer(vp, (value & ~(uint64_t)EFER_LMA) | (old & EFER_LMA));
	return true;
}

/* A write to a register that the root may only read. */
static bool drop(struct vp *vp, uint32_t msr, uint64_t value)
{
	uint64_t bit = 1ull << (row_of(msr) & 63);

	partition_count(&vp->partition->denied_msr);
	/* Once: stock kernels write some of these by habit, on every CPU. */
	if ((__atomic_fetch_or(&drop_logged, bit, __ATOMIC_RELAXED) & bit) == 0) {
		log_guest(vp, "WRMSR %x <- %lx dropped: read-only for the root", msr, value);
	}
	return true;
}

bool msr_guest_write(struct vp *vp, uint32_t msr, uint64_t value)
{
	if (msr >= MSR_X2APIC && msr <= MSR_X2APIC_LAST) {
		return vlapic_msr_write(vp, msr, value);
	}
	if (msr >= 0x40000000 && msr <= 0x400001ff) {
		return synthetic_write(vp, msr, value) || deny(vp, msr, true, value);
	}
	if (msr == MSR_APIC_BASE) {
		return vlapic_base_write(vp, value) || deny(vp, msr, true, value);
	}
	if (msr == MSR_EFER) {
		return efer_write(vp, value);
	}
	if (!vp->partition->root) {
		uint64_t constant;

		if (msr != MSR_TSC && !child_const(msr, &constant)) {
			return deny(vp, msr, true, value);
		}
		partition_count(&vp->partition->denied_msr);
		return true;
	}
	switch (msr) {
	case MSR_TSC:
		return drop(vp, msr, value);
	case MSR_TSC_DEADLINE:
		vlapic_deadline_write(vp, value);
		return true;
	case MSR_DEBUGCTL:
		return value == 0 || deny(vp, msr, true, value);
	case MSR_SPEC_CTRL:
		if (spec_ctrl_bits() != 0 && (value & ~spec_ctrl_bits()) == 0) {
			vp->spec_ctrl = value;
			arch_msr_write(MSR_SPEC_CTRL, value);
			return true;
		}
		return deny(vp, msr, true, value);
	default:
		break;
	}
	if (row_of(msr) < ARRAY_SIZE(rows) && rows[row_of(msr)].policy == POLICY_READ) {
		return drop(vp, msr, value);
	}
	return deny(vp, msr, true, value);
}

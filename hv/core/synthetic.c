/* SPDX-License-Identifier: MIT */
/* Hyper-V's synthetic registers that every partition has: identity, hypercall page, clock (TLFS 3.13, 12). */
#include "hv/abi/regs_x86.h"
#include "hv/core/arch.h"
#include "hv/core/gpa.h"
#include "hv/core/log.h"
#include "hv/core/msr.h"
#include "hv/core/time.h"
#include "hv/core/vp.h"

#define HV_GUEST_OS_ID 0x40000000
#define HV_HYPERCALL 0x40000001
#define HV_VP_INDEX 0x40000002
#define HV_TIME_REF_COUNT 0x40000020
#define HV_REFERENCE_TSC 0x40000021
#define HV_TSC_FREQUENCY 0x40000022
#define HV_APIC_FREQUENCY 0x40000023
#define HV_EOI 0x40000070
#define HV_ICR 0x40000071
#define HV_TPR 0x40000072
#define HV_VP_ASSIST_PAGE 0x40000073
#define HV_SYNIC_FIRST 0x40000080
#define HV_SYNIC_LAST 0x400000b7
#define HV_GUEST_IDLE 0x400000f0
#define HV_CRASH_P0 0x40000100
#define HV_CRASH_CTL 0x40000105
#define HV_TSC_INVARIANT_CONTROL 0x40000118

#define CRASH_NOTIFY (1ull << 63)
#define CRASH_MESSAGE (1ull << 62)

#define PAGE_ENABLE 1ull
#define PAGE_LOCKED 2ull

struct reference_tsc_page { /* TLFS 12.7.1 */
	uint32_t sequence;
	uint32_t reserved;
	uint64_t scale;
	int64_t offset;
};

/* ENDBR64; VMMCALL; RET; the rest of the page is INT3. */
static const uint8_t hypercall_code[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x01, 0xd9, 0xc3 };

static bool write_hypercall_page(struct vp *vp, uint64_t value)
{
	gpa_t page = gpa(value & ~(PAGE_SIZE - 1));
	uint8_t fill[64];

	__builtin_memset(fill, 0xcc, sizeof(fill));
	for (uint64_t at = 0; at < PAGE_SIZE; at += sizeof(fill)) {
		if (!gpa_copy_out(vp->partition, gpa(page.v + at), fill, sizeof(fill))) {
			return false;
		}
	}
	return gpa_copy_out(vp->partition, page, hypercall_code, sizeof(hypercall_code));
}

static bool hypercall_write(struct vp *vp, uint64_t value)
{
	struct partition *p = vp->partition;

	if ((p->hypercall_msr & PAGE_LOCKED) != 0) {
		return false; /* TLFS 3.13: #GP until the partition is reset */
	}
	if (p->guest_os_id == 0) {
		value &= ~PAGE_ENABLE;
	}
	if ((value & PAGE_ENABLE) != 0 && !write_hypercall_page(vp, value)) {
		return false;
	}
	p->hypercall_msr = value;
	return true;
}

static bool reference_tsc_write(struct vp *vp, uint64_t value)
{
	struct reference_tsc_page page = { 1, 0, time_scale(),
					   time_offset() - (int64_t)vp->partition->time_base };

	if ((value & PAGE_ENABLE) != 0 &&
	    !gpa_copy_out(vp->partition, gpa(value & ~(PAGE_SIZE - 1)), &page, sizeof(page))) {
		return false;
	}
	vp->partition->reference_tsc_msr = value;
	return true;
}

bool synthetic_read(struct vp *vp, uint32_t msr, uint64_t *value)
{
	struct partition *p = vp->partition;

	if (msr >= HV_SYNIC_FIRST && msr <= HV_SYNIC_LAST) {
		return synic_msr_read(vp, msr, value);
	}
	if (msr >= HV_CRASH_P0 && msr < HV_CRASH_CTL) {
		*value = p->crash[msr - HV_CRASH_P0];
		return true;
	}
	switch (msr) {
	case HV_GUEST_IDLE: /* until an interrupt is pending, even a masked one (TLFS 10.1.4) */
		*value = 0;
		vp->idle_masked = true;
		vp->state = VP_HALTED;
		return true;
	case HV_CRASH_CTL:
		*value = CRASH_NOTIFY | CRASH_MESSAGE;
		return true;
	case HV_GUEST_OS_ID:
		*value = p->guest_os_id;
		return true;
	case HV_HYPERCALL:
		*value = p->hypercall_msr;
		return true;
	case HV_VP_INDEX:
		*value = vp->index;
		return true;
	case HV_TIME_REF_COUNT:
		*value = time_reference() - p->time_base;
		return true;
	case HV_REFERENCE_TSC:
		*value = p->reference_tsc_msr;
		return true;
	case HV_TSC_FREQUENCY:
	case HV_APIC_FREQUENCY: /* the virtual APIC timer counts TSC ticks */
		*value = time_tsc_hz();
		return true;
	case HV_ICR:
		*value = vp->apic.icr;
		return true;
	case HV_TPR:
		*value = arch_vp_tpr(vp);
		return true;
	case HV_VP_ASSIST_PAGE:
		*value = vp->vp_assist;
		return true;
	case HV_TSC_INVARIANT_CONTROL:
		*value = p->tsc_invariant_control;
		return true;
	default:
		return false;
	}
}

/* The guest says that it is dying (TLFS 13.1); the parent reads the log. */
static bool crash_write(struct vp *vp, uint64_t value)
{
	const uint64_t *c = vp->partition->crash;

	if ((value & CRASH_NOTIFY) != 0) {
		log_guest(vp, "guest crash: %lx %lx %lx %lx %lx", c[0], c[1], c[2], c[3], c[4]);
	}
	return true;
}

bool synthetic_write(struct vp *vp, uint32_t msr, uint64_t value)
{
	struct partition *p = vp->partition;

	if (msr >= HV_SYNIC_FIRST && msr <= HV_SYNIC_LAST) {
		return synic_msr_write(vp, msr, value);
	}
	if (msr >= HV_CRASH_P0 && msr < HV_CRASH_CTL) {
		p->crash[msr - HV_CRASH_P0] = value;
		return true;
	}
	switch (msr) {
	case HV_CRASH_CTL:
		return crash_write(vp, value);
	case HV_GUEST_OS_ID:
		p->guest_os_id = value;
		if (value == 0) {
			p->hypercall_msr &= ~PAGE_ENABLE;
		}
		return true;
	case HV_HYPERCALL:
		return hypercall_write(vp, value);
	case HV_REFERENCE_TSC:
		return reference_tsc_write(vp, value);
	case HV_EOI:
		vlapic_eoi(vp);
		return true;
	case HV_ICR: /* destination in bits 63:56 (TLFS 10.2.3) */
		return vlapic_msr_write(vp, MSR_X2APIC + (APIC_ICR >> 4),
					value >> 56 << 32 | (uint32_t)value);
	case HV_TPR:
		if (value > 0xff) {
			return false;
		}
		arch_vp_set_tpr(vp, (uint8_t)value);
		return true;
	case HV_VP_ASSIST_PAGE: /* the page is the guest's own; "no EOI required" stays 0 */
		vp->vp_assist = value;
		return true;
	case HV_TSC_INVARIANT_CONTROL:
		if ((value & ~1ull) != 0) {
			return false;
		}
		p->tsc_invariant_control = value;
		return true;
	default:
		return false;
	}
}

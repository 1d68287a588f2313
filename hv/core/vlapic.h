/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_VLAPIC_H
#define HV_CORE_VLAPIC_H
/* Virtual local APIC (AMD64 APM volume 2 chapter 16; Intel SDM volume 3 chapter 10 for x2APIC MSRs and TSC deadline). */
#include "hv/core/types.h"

struct vp;

struct vlapic {
	uint32_t id;
	uint64_t base;          /* IA32_APIC_BASE as the guest sees it */
	uint32_t irr[8];        /* atomic: any CPU posts */
	uint32_t irr_words;     /* atomic: bit per non-zero word of irr */
	uint32_t tmr[8];        /* atomic */
	uint32_t isr[8];        /* [owner] */
	uint32_t isr_words;     /* [owner] */
	uint32_t phys_level[8]; /* [owner] level-triggered vectors that are physically in service */
	uint32_t phys_done[8];  /* [owner] those of them that the guest has finished */
	uint32_t svr, esr, esr_latched, ldr, dfr, tdcr, tmict;
	uint32_t lvt[6]; /* timer, thermal, perf, lint0, lint1, error */
	uint64_t icr;
	uint64_t timer_start;  /* TSC when tmict was written */
	uint64_t tsc_deadline; /* IA32_TSC_DEADLINE, 0 disarmed */
};

/* Any vector may be pending; false is certain. */
static inline bool vlapic_pending(const struct vlapic *a)
{
	return __atomic_load_n(&a->irr_words, __ATOMIC_SEQ_CST) != 0;
}
void vlapic_reset(struct vp *vp);
/* false: #GP. Trust: msr and value are the guest's. */
bool vlapic_msr_read(struct vp *vp, uint32_t msr, uint64_t *value) MUST_CHECK;
bool vlapic_msr_write(struct vp *vp, uint32_t msr, uint64_t value) MUST_CHECK;
bool vlapic_base_write(struct vp *vp, uint64_t value) MUST_CHECK;
/* xAPIC page, offset below 4096, 32-bit accesses. */
uint32_t vlapic_mmio_read(struct vp *vp, uint32_t offset);
void vlapic_mmio_write(struct vp *vp, uint32_t offset, uint32_t value);
/* Any CPU. Marks the vector pending and wakes the VP. */
void vlapic_post(struct vp *vp, uint8_t vector, bool level);
/* [owner] The vector to offer to the CPU now, or -1. */
int vlapic_highest(struct vp *vp);
/* [owner] True where a pending vector also beats the task priority: ends a halt. */
bool vlapic_would_interrupt(struct vp *vp);
/*
 * [owner] A vector leaves the request register when it is offered to the CPU, not when we learn that it was taken: what other
 * CPUs post in between is a second interrupt. Afterwards it is in service (taken) or requested again (not taken).
 */
void vlapic_claim(struct vp *vp, uint8_t vector);
void vlapic_serve(struct vp *vp, uint8_t vector);
void vlapic_unclaim(struct vp *vp, uint8_t vector);
void vlapic_eoi(struct vp *vp);
/* [owner] The timer's deadline may have passed. */
void vlapic_timer_check(struct vp *vp);
void vlapic_deadline_write(struct vp *vp, uint64_t tsc);

#endif

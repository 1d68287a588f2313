/* SPDX-License-Identifier: MIT */
#include "hv/core/vlapic.h"

#include "hv/abi/regs_x86.h"
#include "hv/core/arch.h"
#include "hv/core/cpu.h"
#include "hv/core/log.h"
#include "hv/core/time.h"
#include "hv/core/vp.h"

#define VERSION 0x00050014u /* integrated, 6 LVT entries */
#define SVR_ENABLE (1u << 8)
#define LVT_MASKED (1u << 16)
#define LVT_TIMER_MODE 0x60000u
#define LVT_TIMER_PERIODIC 0x20000u
#define LVT_TIMER_DEADLINE 0x40000u
#define ICR_LOGICAL (1u << 11)
#define ICR_ASSERT (1u << 14)
#define ICR_LEVEL (1u << 15)
#define ESR_SEND_VECTOR (1u << 5)
#define ESR_RECV_VECTOR (1u << 6)
#define ESR_REGISTER (1u << 7)

enum lvt { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

static bool x2apic_mode(const struct vlapic *a)
{
	return (a->base & (APIC_BASE_EN | APIC_BASE_EXTD)) == (APIC_BASE_EN | APIC_BASE_EXTD);
}

/* State after reset or INIT; the base register is the caller's. */
static void registers_reset(struct vlapic *a)
{
	for (unsigned i = 0; i < 8; i++) {
		__atomic_store_n(&a->irr[i], 0, __ATOMIC_SEQ_CST);
		a->tmr[i] = 0;
		a->isr[i] = 0;
	}
	__atomic_store_n(&a->irr_words, 0, __ATOMIC_SEQ_CST);
	a->isr_words = 0;
	a->svr = 0xff;
	a->esr = 0;
	a->esr_latched = 0;
	a->ldr = 0;
	a->dfr = 0xffffffff;
	a->tdcr = 0;
	a->tmict = 0;
	a->timer_start = 0;
	a->tsc_deadline = 0;
	a->icr = 0;
	for (unsigned i = 0; i < LVT_COUNT; i++) {
		a->lvt[i] = LVT_MASKED;
	}
}

/* Ends every physical interrupt that the guest had not finished. */
static void release_physical(struct vlapic *a)
{
	for (unsigned i = 0; i < 8; i++) {
		while (a->phys_level[i] != 0) {
			a->phys_level[i] &= a->phys_level[i] - 1;
			arch_device_eoi();
		}
		a->phys_done[i] = 0;
	}
}

void vlapic_reset(struct vp *vp)
{
	struct vlapic *a = &vp->apic;

	release_physical(a);
	registers_reset(a);
	arch_vp_set_tpr(vp, 0);
	vp_timer_set(vp, VP_TIMER_VLAPIC, UINT64_MAX);
}

/* --- vectors --- */

static void irr_set(struct vlapic *a, uint8_t vector)
{
	__atomic_fetch_or(&a->irr[vector / 32], 1u << (vector % 32), __ATOMIC_SEQ_CST);
	__atomic_fetch_or(&a->irr_words, 1u << (vector / 32), __ATOMIC_SEQ_CST);
}

void vlapic_post(struct vp *vp, uint8_t vector, bool level)
{
	struct vlapic *a = &vp->apic;

	if (level) {
		__atomic_fetch_or(&a->tmr[vector / 32], 1u << (vector % 32), __ATOMIC_SEQ_CST);
	} else {
		__atomic_fetch_and(&a->tmr[vector / 32], ~(1u << (vector % 32)), __ATOMIC_SEQ_CST);
	}
	irr_set(a, vector);
	vp_wake(vp);
}

static int highest_bit(const uint32_t words[8], uint32_t summary)
{
	unsigned w;

	if (summary == 0) {
		return -1;
	}
	/* The word of a bit of the summary has one, too: vlapic_serve, vlapic_eoi. */
	w = 31u - (unsigned)__builtin_clz(summary);
	return (int)(w * 32 + 31u - (unsigned)__builtin_clz(words[w & 7]));
}

/* Highest pending vector; heals a summary bit whose word has emptied. */
static int irr_highest(struct vlapic *a)
{
	for (;;) {
		uint32_t words = __atomic_load_n(&a->irr_words, __ATOMIC_SEQ_CST);
		unsigned w;
		uint32_t bits;

		if (words == 0) {
			return -1;
		}
		w = 31u - (unsigned)__builtin_clz(words);
		bits = __atomic_load_n(&a->irr[w & 7], __ATOMIC_SEQ_CST);
		if (bits != 0) {
			return (int)(w * 32 + 31u - (unsigned)__builtin_clz(bits));
		}
		__atomic_fetch_and(&a->irr_words, ~(1u << w), __ATOMIC_SEQ_CST);
		/* A poster may have set the word between the two: it sets the summary after the word. */
		if (__atomic_load_n(&a->irr[w & 7], __ATOMIC_SEQ_CST) != 0) {
			__atomic_fetch_or(&a->irr_words, 1u << w, __ATOMIC_SEQ_CST);
		}
	}
}

static uint32_t ppr(struct vp *vp)
{
	int in_service = highest_bit(vp->apic.isr, vp->apic.isr_words);
	uint32_t tpr = arch_vp_tpr(vp);

	if (in_service >= 0 && ((uint32_t)in_service & 0xf0) > (tpr & 0xf0)) {
		return (uint32_t)in_service & 0xf0;
	}
	return tpr;
}

/* The TPR is not looked at: the CPU compares it when the vector is offered, and the guest may lower it without an exit. */
int vlapic_highest(struct vp *vp)
{
	struct vlapic *a = &vp->apic;
	int v = irr_highest(a);
	int in_service;

	if (v < 0 || (a->svr & SVR_ENABLE) == 0 || (a->base & APIC_BASE_EN) == 0) {
		return -1;
	}
	in_service = highest_bit(a->isr, a->isr_words);
	return in_service < 0 || (v & 0xf0) > (in_service & 0xf0) ? v : -1;
}

bool vlapic_would_interrupt(struct vp *vp)
{
	int v = vlapic_highest(vp);

	return v >= 0 && ((uint32_t)v & 0xf0) > (ppr(vp) & 0xf0);
}

void vlapic_claim(struct vp *vp, uint8_t vector)
{
	__atomic_fetch_and(&vp->apic.irr[vector / 32], ~(1u << (vector % 32)), __ATOMIC_SEQ_CST);
}

void vlapic_serve(struct vp *vp, uint8_t vector)
{
	vp->apic.isr[vector / 32] |= 1u << (vector % 32);
	vp->apic.isr_words |= 1u << (vector / 32);
}

void vlapic_unclaim(struct vp *vp, uint8_t vector)
{
	irr_set(&vp->apic, vector);
}

/*
 * A physical EOI ends the highest interrupt in service, whatever the guest has finished: it is owed until that one is done.
 */
static void physical_eoi(struct vlapic *a)
{
	for (unsigned w = 8; w-- > 0;) {
		while (a->phys_level[w] != 0) {
			uint32_t top = 1u << (31 - (unsigned)__builtin_clz(a->phys_level[w]));

			if ((a->phys_done[w] & top) == 0) {
				return;
			}
			a->phys_level[w] &= ~top;
			a->phys_done[w] &= ~top;
			arch_device_eoi();
		}
	}
}

void vlapic_eoi(struct vp *vp)
{
	struct vlapic *a = &vp->apic;
	int v = highest_bit(a->isr, a->isr_words);
	unsigned w;
	uint32_t bit;

	if (v < 0) {
		return;
	}
	w = (unsigned)v / 32;
	bit = 1u << ((unsigned)v % 32);
	a->isr[w] &= ~bit;
	if (a->isr[w] == 0) {
		a->isr_words &= ~(1u << w);
	}
	if (synic_has_waiting(&vp->synic)) {
		synic_flush(vp);
	}
	if ((a->phys_level[w] & bit) != 0) {
		a->phys_done[w] |= bit;
		physical_eoi(a);
	}
}

/* --- inter-processor interrupts --- */

static void error(struct vp *vp, uint32_t bit)
{
	struct vlapic *a = &vp->apic;

	a->esr_latched |= bit;
	if ((a->lvt[LVT_ERROR] & LVT_MASKED) == 0 && (a->lvt[LVT_ERROR] & 0xff) >= 16) {
		irr_set(a, (uint8_t)a->lvt[LVT_ERROR]);
	}
}

static bool matches(const struct vlapic *a, uint32_t dest, bool logical, bool x2)
{
	if (dest == (x2 ? 0xffffffffu : 0xffu)) {
		return true; /* everybody, logical or not (SDM volume 3, 10.6.2 and 10.12.9) */
	}
	if (!logical) {
		return dest == a->id;
	}
	if (x2) {
		return (dest >> 16) == (a->id >> 4) && (dest & (1u << (a->id & 15))) != 0;
	}
	if ((a->dfr >> 28) == 0xf) { /* flat */
		return ((a->ldr >> 24) & dest) != 0;
	}
	return (a->ldr >> 28) == (dest >> 4) && ((a->ldr >> 24) & dest & 0xf) != 0;
}

static void deliver(struct vp *to, uint32_t mode, uint8_t vector)
{
	switch (mode) {
	case APIC_DM_FIXED:
	case APIC_DM_LOWEST:
		vlapic_post(to, vector, false);
		break;
	case APIC_DM_NMI:
		vp_event(to, VP_EVENT_NMI);
		break;
	case APIC_DM_INIT:
		vp_event(to, VP_EVENT_INIT);
		break;
	case APIC_DM_SIPI:
		__atomic_store_n(&to->sipi_vector, vector, __ATOMIC_SEQ_CST);
		vp_event(to, VP_EVENT_SIPI);
		break;
	default:
		break;
	}
}

/* Trust: icr is the guest's. Modes other than fixed, lowest, NMI, INIT and SIPI are dropped and logged. */
static void send_ipi(struct vp *vp, uint64_t icr)
{
	struct partition *p = vp->partition;
	bool x2 = x2apic_mode(&vp->apic);
	uint32_t dest = x2 ? (uint32_t)(icr >> 32) : (uint32_t)(icr >> 56);
	uint32_t shorthand = (uint32_t)(icr >> 18) & 3;
	uint32_t mode = (uint32_t)(icr >> 8) & 7;
	uint8_t vector = (uint8_t)icr;
	bool logical = (icr & ICR_LOGICAL) != 0;

	if (mode == APIC_DM_INIT && (icr & ICR_LEVEL) != 0 && (icr & ICR_ASSERT) == 0) {
		return; /* INIT level de-assert does nothing since the Pentium 4 */
	}
	if (mode == APIC_DM_SMI || mode == 3 || mode == APIC_DM_EXTINT) {
		log_guest(vp, "IPI with delivery mode %u dropped", mode);
		return;
	}
	if ((mode == APIC_DM_FIXED || mode == APIC_DM_LOWEST) && vector < 16) {
		error(vp, ESR_SEND_VECTOR);
		return;
	}
	for (uint32_t i = 0; i < p->vp_count; i++) {
		struct vp *to = p->vp[i];
		bool hit = shorthand == 0   ? matches(&to->apic, dest, logical, x2)
			   : shorthand == 1 ? to == vp
			   : shorthand == 2 ? true
					    : to != vp;

		if (!hit) {
			continue;
		}
		deliver(to, mode, vector);
		if (mode == APIC_DM_LOWEST) {
			return; /* any one of the matching processors */
		}
	}
}

/* --- timer: counts at the TSC's rate divided by the divide register --- */

static unsigned timer_shift(const struct vlapic *a)
{
	unsigned code = (a->tdcr & 3) | ((a->tdcr >> 1) & 4);

	return (code + 1) & 7; /* 0 -> divide by 2, ..., 6 -> by 128, 7 -> by 1 */
}

#define TIMER_FLOOR_NS 20000ull /* a periodic timer may not keep its CPU from anything else */

/* 0: it does not count: nothing was written, it has fired, or it is a deadline. */
static uint64_t timer_period(const struct vlapic *a)
{
	uint64_t period = a->timer_start == 0 ? 0 : (uint64_t)a->tmict << timer_shift(a);
	uint64_t floor = time_mul_div(time_tsc_hz(), TIMER_FLOOR_NS, 1000000000ull);
	bool periodic = (a->lvt[LVT_TIMER] & LVT_TIMER_MODE) == LVT_TIMER_PERIODIC;

	return periodic && period != 0 && period < floor ? floor : period;
}

static void timer_program(struct vp *vp)
{
	struct vlapic *a = &vp->apic;
	uint64_t at = UINT64_MAX, period = timer_period(a);

	if ((a->lvt[LVT_TIMER] & LVT_TIMER_MODE) == LVT_TIMER_DEADLINE) {
		if (a->tsc_deadline != 0) {
			at = a->tsc_deadline;
		}
	} else if (period != 0) {
		at = a->timer_start + period;
	}
	vp_timer_set(vp, VP_TIMER_VLAPIC, at);
}

void vlapic_deadline_write(struct vp *vp, uint64_t tsc)
{
	struct vlapic *a = &vp->apic;

	if ((a->lvt[LVT_TIMER] & LVT_TIMER_MODE) == LVT_TIMER_DEADLINE) {
		a->tsc_deadline = tsc;
		timer_program(vp);
	}
}

static void timer_fire(struct vp *vp)
{
	struct vlapic *a = &vp->apic;

	if ((a->lvt[LVT_TIMER] & LVT_MASKED) == 0) {
		if ((a->lvt[LVT_TIMER] & 0xff) < 16) {
			error(vp, ESR_RECV_VECTOR);
		} else {
			vlapic_post(vp, (uint8_t)a->lvt[LVT_TIMER], false);
		}
	}
}

void vlapic_timer_check(struct vp *vp)
{
	struct vlapic *a = &vp->apic;
	uint32_t mode = a->lvt[LVT_TIMER] & LVT_TIMER_MODE;
	uint64_t now = arch_tsc();

	if (mode == LVT_TIMER_DEADLINE) {
		if (a->tsc_deadline == 0 || now < a->tsc_deadline) {
			timer_program(vp);
			return;
		}
		a->tsc_deadline = 0;
		timer_fire(vp);
	} else {
		uint64_t period = timer_period(a);

		if (period == 0 || now - a->timer_start < period) {
			timer_program(vp);
			return;
		}
		timer_fire(vp);
		if (mode == LVT_TIMER_PERIODIC) {
			/* Ticks that were missed altogether are dropped, the phase is kept. */
			a->timer_start = now - (now - a->timer_start) % period;
		} else {
			a->timer_start = 0;
		}
	}
	timer_program(vp);
}

static uint32_t timer_current(const struct vlapic *a)
{
	uint64_t gone, period = timer_period(a);

	if (period == 0) {
		return 0;
	}
	gone = arch_tsc() - a->timer_start;
	if (gone >= period) {
		if ((a->lvt[LVT_TIMER] & LVT_TIMER_MODE) != LVT_TIMER_PERIODIC) {
			return 0;
		}
		gone %= period;
	}
	return (uint32_t)((period - gone) >> timer_shift(a));
}

/* --- registers --- */

static int lvt_of(uint32_t offset)
{
	switch (offset) {
	case APIC_LVT_TIMER:
		return LVT_TIMER;
	case APIC_LVT_THERMAL:
		return LVT_THERMAL;
	case APIC_LVT_PERF:
		return LVT_PERF;
	case APIC_LVT_LINT0:
		return LVT_LINT0;
	case APIC_LVT_LINT1:
		return LVT_LINT1;
	case APIC_LVT_ERROR:
		return LVT_ERROR;
	default:
		return -1;
	}
}

/* false: no such register. */
static bool reg_read(struct vp *vp, uint32_t offset, uint32_t *v)
{
	struct vlapic *a = &vp->apic;
	int lvt = lvt_of(offset);

	if (lvt >= 0) {
		*v = a->lvt[lvt];
		return true;
	}
	if (offset >= APIC_ISR && offset < APIC_ESR) {
		unsigned w = (offset >> 4) & 7;
		const uint32_t *bank = offset < APIC_TMR   ? a->isr
				       : offset < APIC_IRR ? a->tmr
							   : a->irr;

		*v = __atomic_load_n(&bank[w], __ATOMIC_RELAXED);
		return true;
	}
	switch (offset) {
	case APIC_ID:
		*v = x2apic_mode(a) ? a->id : a->id << 24;
		break;
	case APIC_VERSION:
		*v = VERSION;
		break;
	case APIC_TPR:
		*v = arch_vp_tpr(vp);
		break;
	case APIC_PPR:
		*v = ppr(vp);
		break;
	case APIC_LDR:
		*v = x2apic_mode(a) ? (a->id >> 4) << 16 | 1u << (a->id & 15) : a->ldr;
		break;
	case APIC_DFR:
		*v = a->dfr;
		break;
	case APIC_SVR:
		*v = a->svr;
		break;
	case APIC_ESR:
		*v = a->esr;
		break;
	case APIC_ICR:
		*v = (uint32_t)a->icr;
		break;
	case APIC_ICR2:
		*v = (uint32_t)(a->icr >> 32);
		break;
	case APIC_TIMER_INIT:
		*v = a->tmict;
		break;
	case APIC_TIMER_CURRENT:
		*v = timer_current(a);
		break;
	case APIC_TIMER_DIVIDE:
		*v = a->tdcr;
		break;
	default:
		return false;
	}
	return true;
}

static void lvt_write(struct vp *vp, int lvt, uint32_t v)
{
	static const uint32_t valid[LVT_COUNT] = { 0x700ff, 0x107ff, 0x107ff,
						   0x1a7ff, 0x1a7ff, 0x100ff };
	struct vlapic *a = &vp->apic;

	v &= valid[lvt];
	if ((a->svr & SVR_ENABLE) == 0) {
		v |= LVT_MASKED;
	}
	if (lvt == LVT_TIMER && ((v ^ a->lvt[lvt]) & LVT_TIMER_MODE) != 0) {
		a->timer_start = 0; /* a change of mode disarms */
		a->tsc_deadline = 0;
	}
	a->lvt[lvt] = v;
	if (lvt == LVT_TIMER) {
		timer_program(vp);
	}
}

static void svr_write(struct vlapic *a, uint32_t v)
{
	a->svr = v & 0x1ff;
	if ((v & SVR_ENABLE) == 0) {
		for (unsigned i = 0; i < LVT_COUNT; i++) {
			a->lvt[i] |= LVT_MASKED;
		}
	}
}

/* false: no such register, or read-only. */
static bool reg_write(struct vp *vp, uint32_t offset, uint32_t v)
{
	struct vlapic *a = &vp->apic;
	int lvt = lvt_of(offset);

	if (lvt >= 0) {
		lvt_write(vp, lvt, v);
		return true;
	}
	switch (offset) {
	case APIC_TPR:
		arch_vp_set_tpr(vp, (uint8_t)v);
		break;
	case APIC_EOI:
		vlapic_eoi(vp);
		break;
	case APIC_SVR:
		svr_write(a, v);
		break;
	case APIC_ESR:
		a->esr = a->esr_latched;
		a->esr_latched = 0;
		break;
	case APIC_TIMER_INIT:
		if ((a->lvt[LVT_TIMER] & LVT_TIMER_MODE) != LVT_TIMER_DEADLINE) {
			a->tmict = v;
			a->timer_start = v != 0 ? arch_tsc() : 0;
			timer_program(vp);
		}
		break;
	case APIC_TIMER_DIVIDE:
		a->tdcr = v & 0xb;
		timer_program(vp);
		break;
	default:
		return false;
	}
	return true;
}

bool vlapic_msr_read(struct vp *vp, uint32_t msr, uint64_t *value)
{
	uint32_t offset = (msr - MSR_X2APIC) << 4;
	uint32_t v = 0;

	if (!x2apic_mode(&vp->apic)) {
		return false;
	}
	if (offset == APIC_ICR) {
		*value = vp->apic.icr;
		return true;
	}
	if (offset == APIC_ICR2 || offset == APIC_DFR || !reg_read(vp, offset, &v)) {
		return false;
	}
	*value = v;
	return true;
}

bool vlapic_msr_write(struct vp *vp, uint32_t msr, uint64_t value)
{
	uint32_t offset = (msr - MSR_X2APIC) << 4;

	if (!x2apic_mode(&vp->apic)) {
		return false;
	}
	if (offset == APIC_EOI) { /* the hot one first */
		if (value != 0) {
			return false;
		}
		vlapic_eoi(vp);
		return true;
	}
	if (offset == APIC_ICR) {
		if ((value & 0xfff33000u) != 0) { /* reserved in x2APIC mode; bit 12 is gone */
			return false;
		}
		vp->apic.icr = value;
		send_ipi(vp, value);
		return true;
	}
	if ((value >> 32) != 0) {
		return false;
	}
	if (offset == APIC_SELF_IPI) {
		if (value > 0xff) {
			return false;
		}
		if (value < 16) {
			error(vp, ESR_SEND_VECTOR);
		} else {
			vlapic_post(vp, (uint8_t)value, false);
		}
		return true;
	}
	if (offset == APIC_ESR && value != 0) {
		return false;
	}
	return reg_write(vp, offset, (uint32_t)value); /* which has no DFR, LDR or ICR2 */
}

uint32_t vlapic_mmio_read(struct vp *vp, uint32_t offset)
{
	uint32_t v = 0;

	if ((offset & 15) >= 4 || !reg_read(vp, offset & 0xff0, &v)) {
		error(vp, ESR_REGISTER);
	}
	return v;
}

/* Devices address the root's VPs by what the root believes to have programmed. */
static void logical_changed(struct vp *vp)
{
	if (vp->partition->root) {
		arch_device_logical(vp->apic.ldr, vp->apic.dfr);
	}
}

void vlapic_mmio_write(struct vp *vp, uint32_t offset, uint32_t value)
{
	struct vlapic *a = &vp->apic;

	offset &= 0xff0;
	switch (offset) {
	case APIC_LDR:
		a->ldr = value & 0xff000000;
		logical_changed(vp);
		break;
	case APIC_DFR:
		a->dfr = value | 0x0fffffff;
		logical_changed(vp);
		break;
	case APIC_ICR2:
		a->icr = (a->icr & 0xffffffff) | (uint64_t)value << 32;
		break;
	case APIC_ICR:
		a->icr = (a->icr & ~0xffffffffull) | (value & ~(1u << 12));
		send_ipi(vp, a->icr);
		break;
	default:
		if (!reg_write(vp, offset, value)) {
			error(vp, ESR_REGISTER);
		}
		break;
	}
}

/* IA32_APIC_BASE: the address never moves; x2APIC may be left only by switching off. */
bool vlapic_base_write(struct vp *vp, uint64_t value)
{
	struct vlapic *a = &vp->apic;
	uint64_t mode = value & (APIC_BASE_EN | APIC_BASE_EXTD);
	uint64_t old = a->base & (APIC_BASE_EN | APIC_BASE_EXTD);

	if ((value & ~0xfffull) != APIC_BASE_ADDR ||
	    (value & ~(uint64_t)(APIC_BASE_EN | APIC_BASE_EXTD | APIC_BASE_BSP | APIC_BASE_ADDR)) !=
		    0) {
		return false;
	}
	if (mode == APIC_BASE_EXTD ||
	    (old == (APIC_BASE_EN | APIC_BASE_EXTD) && mode == APIC_BASE_EN) ||
	    (old == 0 && mode == (APIC_BASE_EN | APIC_BASE_EXTD))) {
		return false;
	}
	if (mode == 0 && old != 0) {
		release_physical(a);
		registers_reset(a);
		vp_timer_set(vp, VP_TIMER_VLAPIC, UINT64_MAX);
	}
	a->base = APIC_BASE_ADDR | (a->base & APIC_BASE_BSP) | mode;
	return true;
}

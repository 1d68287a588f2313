/* SPDX-License-Identifier: MIT */
/* What a physical CPU does all day: timers, requests, and running its VP. */
#include "hv/core/cpu.h"

#include "hv/abi/regs_x86.h"
#include "hv/core/arch.h"
#include "hv/core/log.h"
#include "hv/core/time.h"
#include "hv/core/vp.h"

#define TICK_NS 1000000000ull

struct cpu cpu_table[CPU_MAX];
uint32_t cpu_count;

/* Translations of this age or older may still be cached by CPUs whose tlb_seen is smaller. */
static uint64_t tlb_generation = 1;

static uint64_t tick_interval(void)
{
	return time_mul_div(time_tsc_hz(), TICK_NS, 1000000000ull);
}

void cpu_timer_set(enum cpu_timer which, uint64_t tsc)
{
	struct cpu *c = arch_this_cpu();
	uint64_t first = UINT64_MAX;

	c->timer[which] = tsc;
	for (unsigned i = 0; i < CPU_TIMER_COUNT; i++) {
		if (c->timer[i] < first) {
			first = c->timer[i];
		}
	}
	c->timer_first = first;
}

/* [owner] Tells the hardware of the earliest deadline, if that has changed. */
static void timers_arm(struct cpu *c)
{
	if (c->timer_first != c->timer_armed) {
		c->timer_armed = c->timer_first;
		arch_timer_arm(c->timer_first);
	}
}

/* [owner] Runs what is due, after the timer's interrupt. */
void cpu_timers_expire(void)
{
	struct cpu *c = arch_this_cpu();
	uint64_t now = arch_tsc();

	if (c->timer[CPU_TIMER_VLAPIC] <= now) {
		cpu_timer_set(CPU_TIMER_VLAPIC, UINT64_MAX);
		if (c->root_vp != NULL) {
			vlapic_timer_check(c->root_vp);
		}
	}
	if (c->timer[CPU_TIMER_TICK] <= now) {
		c->ticks++;
		cpu_timer_set(CPU_TIMER_TICK, now + tick_interval());
		if (c->index == 0) {
			arch_iommu_faults();
		}
	}
}

/*
 * Called by the interrupt handler for a vector that is not the hypervisor's own. Returns true where the physical
 * EOI must wait until the root has handled a level-triggered interrupt.
 * Trust: the vector was programmed by the root.
 */
bool cpu_device_interrupt(uint8_t vector, bool level)
{
	struct cpu *c = arch_this_cpu();
	struct vp *vp = c->root_vp;

	if (vp == NULL || vector < 16) {
		return false;
	}
	if (level) {
		vp->apic.phys_level[vector / 32] |= 1u << (vector % 32);
	}
	vlapic_post(vp, vector, level);
	return level;
}

void cpu_request(uint32_t cpu, uint32_t bits)
{
	__atomic_fetch_or(&cpu_table[cpu].requests, bits, __ATOMIC_SEQ_CST);
	arch_kick(cpu);
}

/* Context: any CPU. Waits for CPUs that are in a guest; the others look at the generation before they enter one. */
void cpu_tlb_shootdown(void)
{
	struct cpu *me = arch_this_cpu();
	uint64_t gen = __atomic_add_fetch(&tlb_generation, 1, __ATOMIC_SEQ_CST);

	arch_iommu_flush();
	for (uint32_t i = 0; i < cpu_count; i++) {
		struct cpu *c = &cpu_table[i];

		if (c == me || !__atomic_load_n(&c->in_guest, __ATOMIC_SEQ_CST)) {
			continue;
		}
		arch_kick(i);
		while (__atomic_load_n(&c->in_guest, __ATOMIC_SEQ_CST) != 0 &&
		       __atomic_load_n(&c->tlb_seen, __ATOMIC_SEQ_CST) < gen) {
			arch_cpu_relax();
		}
	}
}

static void requests_answer(struct cpu *c)
{
	uint32_t bits = __atomic_exchange_n(&c->requests, 0, __ATOMIC_SEQ_CST);

	if ((bits & CPU_REQ_STOP) != 0) {
		arch_stop_machine();
	}
}

/* [owner] The highest pending vector, if any, to the virtual CPU. */
static void offer(struct vp *vp)
{
	int vector = vlapic_pending(&vp->apic) ? vlapic_highest(vp) : -1;

	if (vector >= 0) {
		vlapic_claim(vp, (uint8_t)vector);
		arch_vp_offer_irq(vp, vector);
		vp->irq_offered = vector;
	}
}

/* [owner] What became of it. */
static void settle(struct vp *vp)
{
	if (arch_vp_irq_taken(vp)) {
		vlapic_serve(vp, (uint8_t)vp->irq_offered);
	} else {
		arch_vp_offer_irq(vp, -1);
		vlapic_unclaim(vp, (uint8_t)vp->irq_offered);
	}
	vp->irq_offered = -1;
}

/* [owner] One stay in the guest. False: the VP has nothing to run. */
static bool run_once(struct cpu *c, struct vp *vp)
{
	struct exit_info e;
	uint64_t gen;

	/* From here on a poster sees in_guest and kicks; what came before is seen below. */
	__atomic_store_n(&c->in_guest, 1, __ATOMIC_SEQ_CST);
	gen = __atomic_load_n(&tlb_generation, __ATOMIC_SEQ_CST);
	if (c->tlb_seen != gen) {
		arch_vp_flush_tlb(vp);
		__atomic_store_n(&c->tlb_seen, gen, __ATOMIC_SEQ_CST);
	}
	if (__atomic_load_n(&c->requests, __ATOMIC_SEQ_CST) != 0 ||
	    (!vp_ready(vp) && !vp_prepare(vp))) {
		__atomic_store_n(&c->in_guest, 0, __ATOMIC_SEQ_CST);
		return false;
	}
	offer(vp);
	timers_arm(c);
	arch_vp_enter(vp, &e);
	__atomic_store_n(&c->in_guest, 0, __ATOMIC_RELEASE);
	c->exits++;
	if (vp->irq_offered >= 0) {
		settle(vp);
	}
	exit_dispatch(vp, &e);
	return true;
}

static void wait_for_work(struct cpu *c)
{
	struct vp *vp = c->root_vp;

	__atomic_store_n(&c->idle, 1, __ATOMIC_SEQ_CST);
	timers_arm(c);
	if (__atomic_load_n(&c->requests, __ATOMIC_SEQ_CST) == 0 &&
	    (vp == NULL || !vp_prepare(vp))) {
		arch_idle();
	}
	__atomic_store_n(&c->idle, 0, __ATOMIC_SEQ_CST);
}

void cpu_run(void)
{
	struct cpu *c = arch_this_cpu();

	cpu_timer_set(CPU_TIMER_TICK, arch_tsc() + tick_interval());
	for (;;) {
		if (__atomic_load_n(&c->requests, __ATOMIC_SEQ_CST) != 0) {
			requests_answer(c);
		}
		if (c->root_vp == NULL || !run_once(c, c->root_vp)) {
			wait_for_work(c);
		}
		if (c->timer_armed == 0) { /* the timer's interrupt was taken */
			cpu_timers_expire();
		}
		if (c->nmi_pending != 0 && c->root_vp != NULL) {
			c->nmi_pending = 0;
			vp_event(c->root_vp, VP_EVENT_NMI);
		}
	}
}

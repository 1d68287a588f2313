/* SPDX-License-Identifier: MIT */
/* What a physical CPU does all day: timers, and running its VP. */
#include "hv/core/cpu.h"

#include "hv/abi/regs_x86.h"
#include "hv/core/arch.h"
#include "hv/core/log.h"
#include "hv/core/time.h"
#include "hv/core/vp.h"

#define TICK_NS 1000000000ull
#define SLICE_US 3000u /* how long a child goes on while others wait */
#define SLICE_ROOT_US 1000u
#define GRAIN_US 1000u
#define SLICE_HANDOVER_US 250u /* how long the root waits for a child that it has just answered */
#define CREDIT_US 3000u        /* virtual time that sleeping can earn */
#define CREDIT_ROOT_US 10000u
#define BOOST_US 1000u       /* an interrupt of the root: it goes first for so long, */
#define BOOST_EVERY_US 2000u /* so often */

struct cpu cpu_table[CPU_MAX];
uint32_t cpu_count;

/* Translations of this age or older may still be cached by CPUs whose tlb_seen is smaller. */
static uint64_t tlb_generation = 1;

static uint64_t tick_interval(void)
{
	return time_mul_div(time_tsc_hz(), TICK_NS, 1000000000ull);
}

static uint64_t microseconds(uint64_t us)
{
	return us * (time_tsc_hz() / 1000000);
}

/* [owner] The earliest of all deadlines of this CPU. */
static void timers_first(struct cpu *c)
{
	uint64_t first = UINT64_MAX;

	for (unsigned i = 0; i < CPU_TIMER_COUNT; i++) {
		if (c->timer[i] < first) {
			first = c->timer[i];
		}
	}
	for (const struct vp *vp = c->vps; vp != NULL; vp = vp->next) {
		if (vp->deadline_first < first) {
			first = vp->deadline_first;
		}
	}
	c->timer_first = first;
}

void cpu_timer_set(enum cpu_timer which, uint64_t tsc)
{
	struct cpu *c = arch_this_cpu();
	uint64_t old = c->timer[which];

	c->timer[which] = tsc;
	if (tsc <= c->timer_first) {
		c->timer_first = tsc;
	} else if (old <= c->timer_first) {
		timers_first(c);
	}
}

void cpu_timers_changed(struct vp *vp)
{
	struct cpu *c = &cpu_table[vp->cpu];

	if (c == arch_this_cpu()) {
		timers_first(c);
	}
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

	for (struct vp *vp = c->vps; vp != NULL; vp = vp->next) {
		if (vp->deadline_first <= now) {
			vp_timers_expire(vp, now);
		}
	}
	if (c->timer[CPU_TIMER_SLICE] <= now) {
		cpu_timer_set(CPU_TIMER_SLICE, UINT64_MAX);
		c->resched = 1;
	}
	if (c->timer[CPU_TIMER_TICK] <= now) {
		c->ticks++;
		c->resched = 1; /* run time is charged at a choice */
		cpu_timer_set(CPU_TIMER_TICK, now + tick_interval());
		if (c->index == 0) {
			arch_iommu_faults();
		}
	}
}

/* [owner] The root goes before its turn for a moment, but may not live on that. */
static void boost(struct cpu *c)
{
	uint64_t now = arch_tsc();

	if (now >= c->boost_next) {
		c->boost_end = now + microseconds(BOOST_US);
		c->boost_next = now + microseconds(BOOST_EVERY_US);
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
	boost(c);
	return level;
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

/* --- which VP runs --- */

uint32_t cpu_choose(void)
{
	uint32_t best = 0, fewest = UINT32_MAX;

	for (uint32_t i = 0; i < cpu_count; i++) {
		uint32_t n = __atomic_load_n(&cpu_table[i].children, __ATOMIC_RELAXED);

		if (n <= fewest) {
			fewest = n;
			best = i;
		}
	}
	return best;
}

void cpu_add_vp(struct vp *vp)
{
	struct cpu *c = &cpu_table[vp->cpu];

	if (!vp->partition->root) {
		__atomic_fetch_add(&c->children, 1, __ATOMIC_RELAXED);
	}
	lock_acquire(&c->arrivals_lock);
	vp->next = c->arrivals;
	c->arrivals = vp;
	lock_release(&c->arrivals_lock);
	vp_wake(vp);
}

static void take_arrivals(struct cpu *c)
{
	struct vp *vp, *next;

	if (__atomic_load_n(&c->arrivals, __ATOMIC_RELAXED) == NULL) {
		return;
	}
	lock_acquire(&c->arrivals_lock);
	vp = c->arrivals;
	c->arrivals = NULL;
	lock_release(&c->arrivals_lock);
	for (; vp != NULL; vp = next) {
		next = vp->next;
		vp->next = c->vps;
		c->vps = vp;
		vp->vruntime = c->vclock;
		vp->sleeping = true;
	}
}

/* [owner] VPs that were told to stop leave the list; nothing of them stays in this CPU. */
static void remove_stopped(struct cpu *c)
{
	struct vp **link = &c->vps;

	while (*link != NULL) {
		struct vp *vp = *link;

		if ((__atomic_load_n(&vp->events, __ATOMIC_SEQ_CST) & VP_EVENT_STOP) == 0) {
			link = &vp->next;
			continue;
		}
		*link = vp->next;
		vp->next = NULL;
		vp->state = VP_DEAD;
		if (c->handover == vp) {
			c->handover = NULL;
		}
		if (c->current == vp) {
			c->current = NULL;
		}
		if (c->loaded == vp) {
			arch_vp_unload(vp);
			c->loaded = NULL;
		}
		__atomic_fetch_sub(&c->children, 1, __ATOMIC_RELAXED);
		__atomic_store_n(&vp->detached, 1, __ATOMIC_RELEASE);
		timers_first(c);
	}
}

/* [owner] What the current VP has used since the last look. */
static void charge(struct cpu *c, uint64_t now)
{
	struct vp *vp = c->current;
	uint64_t used = now - c->charged;

	c->charged = now;
	if (vp != NULL) {
		vp->runtime += used;
		vp->vruntime += used * vp->inverse >> 10;
	}
}

/* [owner] May it enter the guest now? Sleepers that wake get a little of the time that they did not use. */
static bool runnable(struct cpu *c, struct vp *vp)
{
	uint64_t credit, floor;

	if (vp_suspended(vp) || (!vp_ready(vp) && !vp_prepare(vp))) {
		vp->sleeping = true;
		return false;
	}
	if (vp->sleeping) {
		vp->sleeping = false;
		credit = microseconds(vp == c->root_vp ? CREDIT_ROOT_US : CREDIT_US);
		floor = c->vclock > credit ? c->vclock - credit : 0;
		if (vp->vruntime < floor) {
			vp->vruntime = floor;
		}
	}
	return true;
}

/* The root runs first after an interrupt of its own, and whenever it has used no more than the other. */
static bool root_first(const struct cpu *c, const struct vp *other, uint64_t now)
{
	return now < c->boost_end || c->root_vp->vruntime <= other->vruntime;
}

void cpu_hand_over(struct vp *vp)
{
	struct cpu *c = arch_this_cpu();

	if (vp->cpu == c->index && c->current == c->root_vp) {
		c->handover = vp;
		c->resched = 1;
	}
}

/*
 * The root has answered a child: that goes on at once, and the root where it left off when the child wants something again. Else
 * the root would finish what it has, find its idle loop and halt, all of it before the child's next step.
 * The root's interrupts come first, and so does another child that has used much less. least: of the children that can run.
 */
static bool handed_over(const struct cpu *c, uint64_t least, uint64_t now)
{
	return c->current == c->root_vp && now >= c->boost_end &&
	       c->handover->vruntime <= least + microseconds(SLICE_US);
}

/* [owner] Chooses the VP to run: the least virtual time; the current one finishes its slice, except for the root. */
static void choose(struct cpu *c)
{
	uint64_t now = arch_tsc(), least = UINT64_MAX - microseconds(SLICE_US);
	struct vp *best = NULL, *current;
	bool current_ok = false, root_ok = false, given = false;
	uint32_t n = 0;

	c->resched = 0;
	charge(c, now);
	take_arrivals(c);
	remove_stopped(c);
	current = c->current;
	for (struct vp *vp = c->vps; vp != NULL; vp = vp->next) {
		if (!runnable(c, vp)) {
			continue;
		}
		n++;
		current_ok = current_ok || vp == current;
		root_ok = root_ok || vp == c->root_vp;
		given = given || vp == c->handover;
		if (vp != c->root_vp && vp->vruntime < least) {
			least = vp->vruntime;
		}
		if (best == NULL || vp->vruntime < best->vruntime) {
			best = vp;
		}
	}
	/* Its slice first, but a child that wakes with much less time used does not wait for another child's. */
	if (current_ok && now < c->slice_end &&
	    (current == c->root_vp ||
	     best->vruntime + microseconds(GRAIN_US) >= current->vruntime)) {
		best = current;
	}
	if (root_ok && best != c->root_vp && root_first(c, best, now)) {
		best = c->root_vp;
	}
	given = given && handed_over(c, least, now);
	if (given) {
		best = c->handover;
	}
	c->handover = NULL;
	if (n <= 1) {
		c->slice_end = UINT64_MAX;
	} else if (given) {
		c->slice_end = now + microseconds(SLICE_HANDOVER_US);
	} else if (best != current || c->slice_end == UINT64_MAX || now >= c->slice_end) {
		c->slice_end = now + microseconds(best == c->root_vp ? SLICE_ROOT_US : SLICE_US);
	}
	if (c->timer[CPU_TIMER_SLICE] != c->slice_end) {
		cpu_timer_set(CPU_TIMER_SLICE, c->slice_end);
	}
	if (best != NULL && best->vruntime > c->vclock) {
		c->vclock = best->vruntime;
	}
	c->current = best;
}

/* [owner] The registers that the VMCB does not switch. */
static void load(struct cpu *c, struct vp *vp)
{
	if (c->loaded != vp) {
		if (c->loaded != NULL) {
			arch_vp_unload(c->loaded);
		}
		arch_vp_load(vp);
		c->loaded = vp;
	}
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
		for (struct vp *v = c->vps; v != NULL; v = v->next) {
			arch_vp_flush_tlb(v);
		}
		__atomic_store_n(&c->tlb_seen, gen, __ATOMIC_SEQ_CST);
	}
	if (__atomic_load_n(&c->resched, __ATOMIC_SEQ_CST) != 0 ||
	    (!vp_ready(vp) && (vp_suspended(vp) || !vp_prepare(vp)))) {
		__atomic_store_n(&c->in_guest, 0, __ATOMIC_SEQ_CST);
		return false;
	}
	offer(vp);
	timers_arm(c);
	arch_vp_enter(vp, &e);
	__atomic_store_n(&c->in_guest, 0, __ATOMIC_RELEASE);
	vp->exits++;
	if (vp->irq_offered >= 0) {
		settle(vp);
	}
	exit_dispatch(vp, &e);
	return true;
}

static void wait_for_work(struct cpu *c)
{
	__atomic_store_n(&c->idle, 1, __ATOMIC_SEQ_CST);
	timers_arm(c);
	if (__atomic_load_n(&c->resched, __ATOMIC_SEQ_CST) == 0) {
		arch_idle();
	}
	__atomic_store_n(&c->idle, 0, __ATOMIC_SEQ_CST);
}

void cpu_run(void)
{
	struct cpu *c = arch_this_cpu();

	cpu_timer_set(CPU_TIMER_TICK, arch_tsc() + tick_interval());
	c->charged = arch_tsc();
	c->resched = 1;
	for (;;) {
		if (c->timer_armed == 0) { /* the timer's interrupt was taken */
			cpu_timers_expire();
		}
		if (c->nmi_pending != 0 && c->root_vp != NULL) {
			c->nmi_pending = 0;
			vp_event(c->root_vp, VP_EVENT_NMI);
		}
		if (c->current == NULL || __atomic_load_n(&c->resched, __ATOMIC_SEQ_CST) != 0) {
			choose(c);
		}
		if (c->current == NULL) {
			wait_for_work(c);
			continue;
		}
		load(c, c->current);
		if (!run_once(c, c->current)) {
			c->resched = 1;
		}
	}
}

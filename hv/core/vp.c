/* SPDX-License-Identifier: MIT */
#include "hv/core/vp.h"

#include "hv/abi/regs_x86.h"
#include "hv/core/arch.h"
#include "hv/core/cpu.h"
#include "hv/core/gpa.h"
#include "hv/core/heap.h"
#include "hv/core/intercept.h"
#include "hv/core/log.h"
#include "hv/wire/insn.h"

#define VECTOR_UD 6
#define VECTOR_GP 13

_Static_assert(sizeof(struct vp) <= PAGE_SIZE, "one page");

/* Fails: NULL without memory. The VP waits for SIPI. */
struct vp *vp_create(struct partition *p, uint32_t index, uint32_t cpu, uint32_t apic_id)
{
	struct vp *vp = heap_alloc(1);

	if (vp == NULL) {
		return NULL;
	}
	vp->partition = p;
	vp->index = index;
	vp->cpu = cpu;
	vp->state = VP_WAIT_SIPI;
	vp->parked = 1;
	vp->irq_offered = -1;
	vp->inverse = 1024 * 100 / p->weight;
	for (unsigned i = 0; i < VP_TIMER_COUNT; i++) {
		vp->deadline[i] = UINT64_MAX;
	}
	vp->deadline_first = UINT64_MAX;
	vp->apic.id = apic_id;
	vp->apic.base = APIC_BASE_ADDR | APIC_BASE_EN | APIC_BASE_EXTD |
			(index == 0 ? APIC_BASE_BSP : 0);
	if (!arch_vp_init(vp)) {
		heap_free(vp, 1);
		return NULL;
	}
	vlapic_reset(vp);
	synic_reset(vp);
	p->vp[index] = vp;
	p->vp_count++;
	return vp;
}

void vp_free(struct vp *vp)
{
	synic_free(vp);
	arch_vp_free(vp);
	heap_free(vp, 1);
}

void vp_timer_set(struct vp *vp, enum vp_timer which, uint64_t tsc)
{
	uint64_t first = UINT64_MAX;

	vp->deadline[which] = tsc;
	for (unsigned i = 0; i < VP_TIMER_COUNT; i++) {
		if (vp->deadline[i] < first) {
			first = vp->deadline[i];
		}
	}
	vp->deadline_first = first;
	cpu_timers_changed(vp);
}

void vp_timers_expire(struct vp *vp, uint64_t now)
{
	if (vp->deadline[VP_TIMER_VLAPIC] <= now) {
		vp_timer_set(vp, VP_TIMER_VLAPIC, UINT64_MAX);
		vlapic_timer_check(vp);
	}
	if (vp->deadline[VP_TIMER_POSTED] <= now) {
		vp_timer_set(vp, VP_TIMER_POSTED, UINT64_MAX);
		intercept_posted_due(vp);
	}
	for (unsigned i = 0; i < HV_STIMER_COUNT; i++) {
		enum vp_timer which = (enum vp_timer)(VP_TIMER_SYNIC + i);

		if (vp->deadline[which] <= now) {
			vp_timer_set(vp, which, UINT64_MAX);
			synic_timer_check(vp, i);
		}
	}
}

void vp_wake(struct vp *vp)
{
	struct cpu *c = &cpu_table[vp->cpu];

	if (c == arch_this_cpu()) {
		if (vp != c->current) { /* else its loop looks before it enters the guest */
			c->resched = 1;
		}
		return;
	}
	__atomic_store_n(&c->resched, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&c->in_guest, __ATOMIC_SEQ_CST) != 0 ||
	    __atomic_load_n(&c->idle, __ATOMIC_SEQ_CST) != 0) {
		arch_kick(vp->cpu);
	}
}

void vp_event(struct vp *vp, uint32_t bits)
{
	__atomic_fetch_or(&vp->events, bits, __ATOMIC_SEQ_CST);
	vp_wake(vp);
}

/* INIT of the boot processor enters the firmware's reset code on hardware: the machine restarts. */
static void init_boot_vp(void)
{
	static const char text[] =
		"\r\nredoubt: warning: the root sent INIT to its boot processor; the machine restarts\r\n";

	arch_console_write(text, sizeof(text) - 1);
	arch_reset_machine();
}

static bool parks(const struct vp *vp)
{
	return vp->state == VP_WAIT_SIPI ||
	       (vp->state == VP_HALTED && !vp->idle_masked && (vp->rflags & RFLAGS_IF) == 0 &&
		(!vp->nmi_pending || vp->nmi_blocked));
}

/*
 * An offline processor of Linux parks like this, and a sibling starts it again: a guest is halted when all of them are parked. Each
 * looks after it has said so itself, so that the last one sees it. The events first: take_events clears `parked` before it takes
 * them.
 */
void vp_parked(struct vp *vp)
{
	struct partition *p = vp->partition;

	if (p->root || !parks(vp)) {
		return;
	}
	__atomic_store_n(&vp->parked, 1, __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < p->vp_count; i++) {
		const struct vp *v = p->vp[i];

		if (__atomic_load_n(&v->events, __ATOMIC_SEQ_CST) != 0 ||
		    __atomic_load_n(&v->parked, __ATOMIC_SEQ_CST) == 0) {
			return;
		}
	}
	intercept_halt(vp);
}

static void take_events(struct vp *vp)
{
	uint32_t events;

	__atomic_store_n(&vp->parked, 0, __ATOMIC_SEQ_CST);
	events = __atomic_exchange_n(&vp->events, 0, __ATOMIC_SEQ_CST);

	if ((events & VP_EVENT_STOP) != 0) { /* cpu.c takes it off its list, which is its answer */
		__atomic_fetch_or(&vp->events, VP_EVENT_STOP, __ATOMIC_SEQ_CST);
		vp->state = VP_DEAD;
		return;
	}
	if ((events & VP_EVENT_INIT) != 0 && vp->partition->root && vp->index == 0) {
		init_boot_vp();
	}
	if ((events & VP_EVENT_INIT) != 0 && vp->state != VP_DEAD) {
		vp->nmi_pending = false;
		vp->nmi_blocked = false;
		vp->nmi_iret = false;
		vp->idle_masked = false;
		arch_vp_offer_irq(vp, -1);
		vp->irq_offered = -1;
		arch_vp_reset_init(vp);
		vlapic_reset(vp);
		vp->state = VP_WAIT_SIPI;
	}
	if ((events & VP_EVENT_SIPI) != 0 && vp->state == VP_WAIT_SIPI) {
		arch_vp_start_sipi(vp,
				   (uint8_t)__atomic_load_n(&vp->sipi_vector, __ATOMIC_SEQ_CST));
		vp->state = VP_RUNNABLE;
	}
	if ((events & VP_EVENT_NMI) != 0) {
		vp->nmi_pending = true;
	}
	if ((events & VP_EVENT_FLUSH) != 0) {
		arch_vp_flush_tlb(vp);
	}
	vp_parked(vp);
}

bool vp_prepare(struct vp *vp)
{
	if (__atomic_load_n(&vp->events, __ATOMIC_SEQ_CST) != 0) {
		take_events(vp);
	}
	if (vp->state == VP_HALTED) {
		bool irq = (arch_vp_interruptible(vp) || vp->idle_masked) &&
			   vlapic_would_interrupt(vp);

		if (!irq && !(vp->nmi_pending && !vp->nmi_blocked)) {
			return false;
		}
		vp->state = VP_RUNNABLE;
		vp->idle_masked = false;
	}
	if (vp->state != VP_RUNNABLE) {
		return false;
	}
	if (vp->nmi_iret && vp->rip != vp->nmi_iret_rip) { /* the IRET has been executed */
		vp->nmi_iret = false;
		vp->nmi_blocked = false;
	}
	if (vp->nmi_pending && !vp->nmi_blocked && !arch_vp_injecting(vp)) {
		vp->nmi_pending = false;
		vp->nmi_blocked = true;
		arch_vp_inject_nmi(vp);
		arch_vp_watch_iret(vp, true);
	}
	return true;
}

void vp_inject_gp(struct vp *vp)
{
	arch_vp_inject_exception(vp, VECTOR_GP, true, 0);
}

void vp_inject_ud(struct vp *vp)
{
	arch_vp_inject_exception(vp, VECTOR_UD, false, 0);
}

static bool op_matches(enum exit_kind kind, enum insn_op op)
{
	switch (kind) {
	case EXIT_CPUID:
		return op == INSN_CPUID;
	case EXIT_MSR_READ:
		return op == INSN_RDMSR;
	case EXIT_MSR_WRITE:
		return op == INSN_WRMSR;
	case EXIT_HYPERCALL:
		return op == INSN_VMMCALL || op == INSN_VMCALL;
	case EXIT_HLT:
		return op == INSN_HLT;
	case EXIT_INVD:
		return op == INSN_INVD;
	default:
		return false;
	}
}

/* Decodes the guest's bytes at RIP; 0 where they are not the instruction that exited. */
__attribute__((noinline)) static unsigned decode_length(struct vp *vp, enum exit_kind kind,
							unsigned slot)
{
	uint64_t linear = vp->rip;
	uint8_t bytes[INSN_MAX];
	struct insn insn;
	size_t n;

	if (arch_vp_mode(vp) != 64) {
		linear = (arch_vp_segment_base(vp, 1) + vp->rip) & 0xffffffff;
	}
	n = gva_fetch(vp, (gva_t){ linear }, bytes, sizeof(bytes));
	if (!insn_decode(bytes, n, arch_vp_mode(vp), &insn) || !op_matches(kind, insn.op)) {
		return 0;
	}
	vp->insn_cache[slot].rip = vp->rip;
	vp->insn_cache[slot].cr3 = arch_vp_cr3(vp);
	vp->insn_cache[slot].kind = (uint8_t)kind;
	vp->insn_cache[slot].length = insn.length;
	return insn.length;
}

/*
 * Without NRIP save the length comes from the guest's bytes. Decoding walks the guest's page tables, so the answer is kept
 * by (RIP, CR3, kind): code that rewrites itself there with other prefixes only misleads its own partition.
 */
unsigned vp_insn_length(struct vp *vp, const struct exit_info *e)
{
	unsigned slot;

	if (e->length != 0) {
		return e->length;
	}
	slot = (unsigned)(vp->rip ^ (vp->rip >> 4)) % VP_INSN_CACHE;
	if (vp->insn_cache[slot].rip == vp->rip && vp->insn_cache[slot].kind == (uint8_t)e->kind &&
	    vp->insn_cache[slot].length != 0 && vp->insn_cache[slot].cr3 == arch_vp_cr3(vp)) {
		return vp->insn_cache[slot].length;
	}
	return decode_length(vp, e->kind, slot);
}

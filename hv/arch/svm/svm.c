/* SPDX-License-Identifier: MIT */
/* Virtual processors on SVM: control block, entry, translation of exits (APM volume 2, chapter 15). */
#include "hv/arch/svm/svm.h"

#include "hv/arch/x86/x86.h"
#include "hv/core/arch.h"
#include "hv/core/heap.h"
#include "hv/core/log.h"
#include "hv/core/vp.h"

#define VECTOR_DB 1
#define VECTOR_AC 17
#define VECTOR_MC 18

#define CR0_RESET 0x60000010ull
#define PAT_RESET 0x0007040600070406ull

static bool partition_lists(struct partition *p)
{
	if (p->arch != NULL) {
		return true;
	}
	p->arch = heap_alloc(1);
	if (p->arch == NULL) {
		return false;
	}
	p->arch->iopm = heap_alloc(3);
	p->arch->msrpm = heap_alloc(2);
	if (p->arch->iopm == NULL || p->arch->msrpm == NULL) {
		return false;
	}
	__builtin_memset(p->arch->iopm, 0xff, 3 * PAGE_SIZE);
	__builtin_memset(p->arch->msrpm, 0xff, 2 * PAGE_SIZE);
	return true;
}

static void controls(struct vp *vp)
{
	struct vmcb *v = vp->arch->vmcb;

	v->intercept1 = VMCB_I1_INTR | VMCB_I1_NMI | VMCB_I1_SMI | VMCB_I1_INIT | VMCB_I1_RDPMC |
			VMCB_I1_CPUID | VMCB_I1_RSM | VMCB_I1_INVD | VMCB_I1_HLT | VMCB_I1_INVLPGA |
			VMCB_I1_IOIO | VMCB_I1_MSR | VMCB_I1_SHUTDOWN;
	v->intercept2 = VMCB_I2_VMRUN | VMCB_I2_VMMCALL | VMCB_I2_VMLOAD | VMCB_I2_VMSAVE |
			VMCB_I2_STGI | VMCB_I2_CLGI | VMCB_I2_SKINIT | VMCB_I2_MONITOR |
			VMCB_I2_MWAIT | VMCB_I2_MWAIT_ARMED | VMCB_I2_RDPRU;
	v->intercept_exceptions = 1u << VECTOR_DB | 1u << VECTOR_AC | 1u << VECTOR_MC;
	v->iopm = arch_heap_pa(vp->partition->arch->iopm).v;
	v->msrpm = arch_heap_pa(vp->partition->arch->msrpm).v;
	v->int_control = VMCB_INT_MASKING;
	v->np_enable = 1;
	v->n_cr3 = vp->partition->npt.root.v;
	v->g_pat = PAT_RESET;
}

static uint32_t next_asid = 1;

bool arch_vp_init(struct vp *vp)
{
	vp->arch = heap_alloc(1);
	if (vp->arch == NULL) {
		return false;
	}
	vp->arch->vmcb = heap_alloc(1);
	if (vp->arch->vmcb == NULL || !partition_lists(vp->partition) ||
	    !state_init(&vp->arch->state)) {
		arch_vp_free(vp);
		return false;
	}
	vp->arch->vmcb_pa = arch_heap_pa(vp->arch->vmcb).v;
	controls(vp);
	/* Tags run out: share the last one, and never trust it. */
	vp->arch->vmcb->asid = next_asid < svm_asids - 1 ? next_asid++ : svm_asids - 1;
	arch_vp_reset_init(vp);
	return true;
}

void arch_vp_free(struct vp *vp)
{
	if (vp->arch->state.area != NULL) {
		state_free(&vp->arch->state);
	}
	heap_free(vp->arch->vmcb, 1);
	heap_free(vp->arch, 1);
	vp->arch = NULL;
}

void arch_partition_free(struct partition *p)
{
	if (p->arch != NULL) {
		heap_free(p->arch->iopm, 3);
		heap_free(p->arch->msrpm, 2);
		heap_free(p->arch, 1);
		p->arch = NULL;
	}
}

void arch_vp_unload(struct vp *vp)
{
	state_save(&vp->arch->state);
}

void arch_vp_load(struct vp *vp)
{
	state_load(&vp->arch->state, vp->spec_ctrl);
}

static struct vmcb_segment segment(uint16_t selector, uint16_t attributes, uint32_t limit,
				   uint64_t base)
{
	return (struct vmcb_segment){ selector, attributes, limit, base };
}

/* APM volume 2, 14.1.3, table 14-1. */
void arch_vp_reset_init(struct vp *vp)
{
	struct vmcb *v = vp->arch->vmcb;
	struct vmcb_segment data = segment(0, 0x93, 0xffff, 0);

	__builtin_memset(vp->regs, 0, sizeof(vp->regs));
	v->cs = segment(0xf000, 0x9b, 0xffff, 0xffff0000);
	v->ds = v->es = v->fs = v->gs = v->ss = data;
	v->gdtr = v->idtr = segment(0, 0, 0xffff, 0);
	v->ldtr = segment(0, 0x82, 0xffff, 0);
	v->tr = segment(0, 0x8b, 0xffff, 0);
	v->cpl = 0;
	v->efer = EFER_SVME;
	v->cr0 = CR0_RESET;
	v->cr3 = v->cr4 = v->cr2 = 0;
	v->dr6 = 0xffff0ff0;
	v->dr7 = 0x400;
	v->int_shadow = 0;
	v->event_inject = 0;
	vp->rip = 0xfff0;
	vp->rflags = 2;
	vp->arch->flush = true;
}

void arch_vp_start_sipi(struct vp *vp, uint8_t vector)
{
	vp->arch->vmcb->cs = segment((uint16_t)(vector << 8), 0x9b, 0xffff, (uint64_t)vector << 12);
	vp->rip = 0;
}

/* Linux x86 boot protocol, 64-bit entry: flat segments 0x10 and 0x18, identity map, interrupts off, RSI = boot_params. */
void arch_vp_start_linux64(struct vp *vp, uint64_t rip, uint64_t rsi, uint64_t cr3, uint64_t gdt)
{
	struct vmcb *v = vp->arch->vmcb;

	v->cs = segment(0x10, 0xa9b, 0xffffffff, 0);
	v->ds = v->es = v->ss = segment(0x18, 0xc93, 0xffffffff, 0);
	v->fs = v->gs = segment(0, 0xc93, 0xffffffff, 0);
	v->tr = segment(0, 0x8b, 0xffff, 0);
	v->gdtr = segment(0, 0, 31, gdt);
	v->idtr = segment(0, 0, 0, 0);
	v->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	v->cr4 = CR4_PAE;
	v->cr3 = cr3;
	v->efer = EFER_SVME | EFER_LME | EFER_LMA | EFER_NXE;
	vp->rip = rip;
	vp->regs[REG_RSI] = rsi;
}

/* --- exits --- */

static void exit_ioio(const struct vmcb *v, struct vp *vp, struct exit_info *e)
{
	uint64_t i = v->exit_info1;

	e->kind = EXIT_PORT;
	e->port.port = (uint16_t)(i >> 16);
	e->port.in = (i & 1) != 0;
	e->port.string = (i & 4) != 0;
	e->port.rep = (i & 8) != 0;
	e->port.size = (i & 0x10) != 0 ? 1 : (i & 0x20) != 0 ? 2 : 4;
	e->length = (uint8_t)(v->exit_info2 - vp->rip);
}

static void exit_npf(const struct vmcb *v, struct exit_info *e)
{
	e->kind = EXIT_MEMORY;
	e->length = 0;
	e->memory.gpa = gpa(v->exit_info2);
	e->memory.write = (v->exit_info1 & 2) != 0;
	e->memory.fetch = (v->exit_info1 & 0x10) != 0;
	e->memory.walk = (v->exit_info1 >> 33 & 1) != 0;
	e->memory.byte_count = 0;
	if (svm_has(SVM_DECODE_ASSISTS) && v->fetched <= sizeof(e->memory.bytes)) {
		e->memory.byte_count = v->fetched;
		__builtin_memcpy(e->memory.bytes, v->bytes, sizeof(e->memory.bytes));
	}
}

static void exit_exception(const struct vmcb *v, struct exit_info *e)
{
	e->kind = EXIT_EXCEPTION;
	e->exception.vector = (uint8_t)(v->exit_code - VMEXIT_EXCEPTION);
	e->exception.has_error = e->exception.vector == VECTOR_AC;
	e->exception.error = (uint32_t)v->exit_info1;
}

static void translate(struct vp *vp, struct exit_info *e)
{
	const struct vmcb *v = vp->arch->vmcb;

	e->length = svm_has(SVM_NRIPS) ? (uint8_t)(v->next_rip - vp->rip) : 0;
	e->code = 0;
	switch (v->exit_code) {
	case VMEXIT_SMI: /* taken by the hypervisor, whose memory the default SMM entry is */
	case VMEXIT_INTR:
		e->kind = EXIT_INTERRUPT;
		break;
	case VMEXIT_NMI:
		e->kind = EXIT_NMI;
		break;
	case VMEXIT_INIT:
		e->kind = EXIT_INIT;
		break;
	case VMEXIT_CPUID:
		e->kind = EXIT_CPUID;
		break;
	case VMEXIT_MSR:
		e->kind = v->exit_info1 != 0 ? EXIT_MSR_WRITE : EXIT_MSR_READ;
		break;
	case VMEXIT_IOIO:
		exit_ioio(v, vp, e);
		break;
	case VMEXIT_VMMCALL:
		e->kind = EXIT_HYPERCALL;
		break;
	case VMEXIT_HLT:
		e->kind = EXIT_HLT;
		break;
	case VMEXIT_NPF:
		exit_npf(v, e);
		break;
	case VMEXIT_INVD:
		e->kind = EXIT_INVD;
		break;
	case VMEXIT_IRET:
		e->kind = EXIT_IRET;
		break;
	case VMEXIT_SHUTDOWN:
		e->kind = EXIT_SHUTDOWN;
		break;
	case VMEXIT_EXCEPTION + VECTOR_DB:
	case VMEXIT_EXCEPTION + VECTOR_AC:
	case VMEXIT_EXCEPTION + VECTOR_MC:
		exit_exception(v, e);
		break;
	case VMEXIT_INVALID:
		e->kind = EXIT_INVALID;
		e->code = v->exit_code;
		break;
	default:
		e->kind = (v->exit_code >= VMEXIT_VMRUN && v->exit_code <= VMEXIT_RDPRU) ||
					  v->exit_code == VMEXIT_INVLPGA ||
					  v->exit_code == VMEXIT_RSM || v->exit_code == VMEXIT_RDPMC
				  ? EXIT_FORBIDDEN
				  : EXIT_UNKNOWN;
		e->code = v->exit_code;
		break;
	}
}

/*
 * The stay ended while an event was being delivered (15.7.2): it must not be lost. An external interrupt is still in the
 * virtual APIC and is offered again; exceptions and NMIs are injected again; a software interrupt's instruction runs again.
 */
static void redeliver(struct vp *vp)
{
	struct vmcb *v = vp->arch->vmcb;
	uint64_t info = v->exit_int_info;
	uint32_t type = (uint32_t)(info >> 8) & 7;

	if ((info & VMCB_EVENT_VALID) == 0) {
		return;
	}
	/* QEMU 7.2 calls a virtual interrupt an exception here; no exception has such a vector. */
	if (type == VMCB_EVENT_INTR || (type == VMCB_EVENT_EXCEPTION && (info & 0xff) >= 32)) {
		v->int_control |= VMCB_INT_V_IRQ;
	} else if (type != VMCB_EVENT_SOFT) {
		v->event_inject = info;
	}
}

void arch_vp_enter(struct vp *vp, struct exit_info *out)
{
	struct arch_vp *a = vp->arch;
	struct vmcb *v = a->vmcb;

	v->rax = vp->regs[REG_RAX];
	v->rsp = vp->regs[REG_RSP];
	v->rip = vp->rip;
	v->rflags = vp->rflags;
	v->tlb_control = 0;
	if (a->flush || v->asid == svm_asids - 1) {
		v->tlb_control = svm_has(SVM_FLUSH_BY_ASID) ? VMCB_TLB_FLUSH_ASID
							    : VMCB_TLB_FLUSH_ALL;
		a->flush = false;
	}
	v->clean = 0;
	svm_enter(vp, a->vmcb_pa, svm_host_pa[vp->cpu]);
	vp->regs[REG_RAX] = v->rax;
	vp->regs[REG_RSP] = v->rsp;
	vp->rip = v->rip;
	vp->rflags = v->rflags;
	v->event_inject = 0;
	redeliver(vp);
	translate(vp, out);
}

void arch_vp_flush_tlb(struct vp *vp)
{
	vp->arch->flush = true;
}

/*
 * By V_IRQ, not by event injection: the CPU holds the vector until the guest can take it, so no exit is needed to find that moment
 * (and QEMU 7.2 delivers injected interrupts twice under -icount).
 */
void arch_vp_offer_irq(struct vp *vp, int vector)
{
	struct vmcb *v = vp->arch->vmcb;

	if (vector < 0) {
		v->int_control &= ~(VMCB_INT_V_IRQ | 0xfu << VMCB_INT_PRIO_SHIFT);
		return;
	}
	v->int_control &= ~(0xfu << VMCB_INT_PRIO_SHIFT);
	v->int_control |= VMCB_INT_V_IRQ | ((uint32_t)vector >> 4) << VMCB_INT_PRIO_SHIFT;
	v->int_vector = (uint8_t)vector;
}

bool arch_vp_irq_taken(struct vp *vp)
{
	return (vp->arch->vmcb->int_control & VMCB_INT_V_IRQ) == 0;
}

static void inject(struct vp *vp, uint32_t type, unsigned vector, bool has_error, uint32_t error)
{
	vp->arch->vmcb->event_inject = vector | type << 8 | (has_error ? VMCB_EVENT_ERROR : 0) |
				       VMCB_EVENT_VALID | (uint64_t)error << 32;
}

void arch_vp_inject_exception(struct vp *vp, unsigned vector, bool has_error, uint32_t error)
{
	inject(vp, VMCB_EVENT_EXCEPTION, vector, has_error, error);
}

bool arch_vp_injecting(struct vp *vp)
{
	return (vp->arch->vmcb->event_inject & VMCB_EVENT_VALID) != 0;
}

void arch_vp_inject_nmi(struct vp *vp)
{
	inject(vp, VMCB_EVENT_NMI, 2, false, 0);
}

void arch_vp_watch_iret(struct vp *vp, bool on)
{
	struct vmcb *v = vp->arch->vmcb;

	v->intercept1 = on ? v->intercept1 | VMCB_I1_IRET : v->intercept1 & ~VMCB_I1_IRET;
}

void arch_vp_advance(struct vp *vp, unsigned length)
{
	vp->rip += length;
	if (arch_vp_mode(vp) != 64) {
		vp->rip &= 0xffffffff;
	}
	vp->arch->vmcb->int_shadow = 0;
}

bool arch_vp_interruptible(struct vp *vp)
{
	return (vp->rflags & RFLAGS_IF) != 0 && (vp->arch->vmcb->int_shadow & 1) == 0;
}

unsigned arch_vp_cpl(struct vp *vp)
{
	return vp->arch->vmcb->cpl;
}

unsigned arch_vp_mode(struct vp *vp)
{
	const struct vmcb *v = vp->arch->vmcb;

	if ((v->efer & EFER_LMA) != 0 && (v->cs.attributes & 0x200) != 0) {
		return 64;
	}
	return (v->cs.attributes & 0x400) != 0 ? 32 : 16;
}

uint8_t arch_vp_tpr(struct vp *vp)
{
	return (uint8_t)((vp->arch->vmcb->int_control & 0xf) << 4);
}

void arch_vp_set_tpr(struct vp *vp, uint8_t tpr)
{
	struct vmcb *v = vp->arch->vmcb;

	v->int_control = (v->int_control & ~0xffu) | tpr >> 4;
}

uint64_t arch_vp_segment_base(struct vp *vp, unsigned segment)
{
	const struct vmcb *v = vp->arch->vmcb;

	switch (segment) {
	case 0:
		return v->es.base;
	case 1:
		return v->cs.base;
	case 2:
		return v->ss.base;
	case 3:
		return v->ds.base;
	case 4:
		return v->fs.base;
	default:
		return v->gs.base;
	}
}

uint64_t arch_vp_cr0(struct vp *vp)
{
	return vp->arch->vmcb->cr0;
}

uint64_t arch_vp_cr3(struct vp *vp)
{
	return vp->arch->vmcb->cr3;
}

uint64_t arch_vp_cr4(struct vp *vp)
{
	return vp->arch->vmcb->cr4;
}

uint64_t arch_vp_efer(struct vp *vp)
{
	return vp->arch->vmcb->efer & ~(uint64_t)EFER_SVME;
}

void arch_vp_set_efer(struct vp *vp, uint64_t efer)
{
	vp->arch->vmcb->efer = efer | EFER_SVME;
}

/* --- intercept lists --- */

void arch_port_allow(struct vp *vp, uint16_t first, uint16_t last)
{
	uint8_t *map = vp->partition->arch->iopm;

	for (uint32_t p = first; p <= last; p++) {
		map[p / 8] &= (uint8_t) ~(1u << (p % 8));
	}
}

/* 15.11: 0x0, 0xc0000000 and 0xc0010000 have 2 KiB each; other MSRs always exit. */
void arch_msr_allow(struct vp *vp, uint32_t msr, bool read, bool write)
{
	uint8_t *map = vp->partition->arch->msrpm;
	uint32_t index;

	if (msr < 0x2000) {
		index = msr;
	} else if (msr >= 0xc0000000 && msr < 0xc0002000) {
		index = 0x2000 + (msr - 0xc0000000);
	} else if (msr >= 0xc0010000 && msr < 0xc0012000) {
		index = 0x4000 + (msr - 0xc0010000);
	} else {
		return;
	}
	if (read) {
		map[index / 4] &= (uint8_t) ~(1u << (index % 4 * 2));
	}
	if (write) {
		map[index / 4] &= (uint8_t) ~(2u << (index % 4 * 2));
	}
}

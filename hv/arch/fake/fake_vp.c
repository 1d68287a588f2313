// SPDX-License-Identifier: MIT
/* Virtual processors: state that tests read and write, and records of what was injected. */
#include <string.h>

#include "hv/abi/regs_x86.h"
#include "hv/arch/fake/fake.h"
#include "hv/core/arch.h"
#include "hv/core/heap.h"

/* Intercept lists, by the partition's slot. */
static struct lists {
	uint8_t port[65536 / 8]; /* 1: not intercepted */
	/* 1 read, 2 write not intercepted, four in a byte; 0.., 0xc0000000.., 0xc0010000.. */
	uint8_t msr[3][0x2000 / 4];
	bool used;
} lists[PARTITION_SLOTS];

static struct lists *lists_of(struct vp *vp)
{
	return &lists[vp->partition->slot];
}

static bool partition_init(struct vp *vp)
{
	struct partition *p = vp->partition;

	if (p->arch != NULL) {
		return true;
	}
	p->arch = heap_alloc(1);
	if (p->arch == NULL) {
		return false;
	}
	if (lists_of(vp)->used) {
		memset(lists_of(vp), 0, sizeof(lists[0]));
	}
	fake_heap_object(p, sizeof(*p));
	fake_heap_object(p->arch, sizeof(*p->arch));
	return true;
}

bool arch_vp_init(struct vp *vp)
{
	vp->arch = heap_alloc(1);
	if (vp->arch == NULL) {
		return false;
	}
	if (!partition_init(vp)) {
		arch_vp_free(vp);
		return false;
	}
	fake_heap_object(vp, sizeof(*vp));
	fake_heap_object(vp->arch, sizeof(*vp->arch));
	arch_vp_reset_init(vp);
	vp->arch->resets = 0;
	vp->arch->sipi = -1;
	vp->arch->offered = -1;
	return true;
}

void arch_vp_free(struct vp *vp)
{
	heap_free(vp->arch, 1);
	vp->arch = NULL;
}

void arch_partition_free(struct partition *p)
{
	heap_free(p->arch, 1);
	p->arch = NULL;
}

void arch_vp_load(struct vp *vp)
{
	if (vp->arch->loaded) {
		fake_fail("loaded twice", vp->index);
	}
	vp->arch->loaded = true;
}

void arch_vp_unload(struct vp *vp)
{
	if (!vp->arch->loaded) {
		fake_fail("unloaded, but not loaded", vp->index);
	}
	vp->arch->loaded = false;
}

static bool named(uint32_t name)
{
	return name == HV_REG_CR0 || name == HV_REG_CR2 || name == HV_REG_CR3 ||
	       name == HV_REG_CR4 || name == HV_REG_CR8 || name == HV_REG_EFER ||
	       name == HV_REG_PAT || (name >= HV_REG_ES && name <= HV_REG_TR) ||
	       name == HV_REG_IDTR || name == HV_REG_GDTR;
}

static uint64_t *word(struct arch_vp *a, uint32_t name)
{
	switch (name) {
	case HV_REG_CR0:
		return &a->cr0;
	case HV_REG_CR3:
		return &a->cr3;
	case HV_REG_CR4:
		return &a->cr4;
	case HV_REG_EFER:
		return &a->efer;
	default:
		return NULL;
	}
}

bool arch_vp_get_register(struct vp *vp, uint32_t name, struct hv_register_value *out)
{
	struct arch_vp *a = vp->arch;

	out->low = out->high = 0;
	for (uint32_t i = 0; i < a->named_count; i++) {
		if (a->named[i].name == name) {
			out->low = a->named[i].low;
			out->high = a->named[i].high;
		}
	}
	if (word(a, name) != NULL) {
		out->low = *word(a, name);
	}
	return named(name);
}

/* Refuses, as hardware's does, SVME and control bits that would stop the VP from entering. */
bool arch_vp_set_register(struct vp *vp, uint32_t name, const struct hv_register_value *in)
{
	struct arch_vp *a = vp->arch;
	uint32_t i = 0;

	if (!named(name) || (name == HV_REG_EFER && (in->low & EFER_SVME) != 0) ||
	    (name == HV_REG_CR0 && in->low >> 32 != 0)) {
		return false;
	}
	while (i < a->named_count && a->named[i].name != name) {
		i++;
	}
	a->named[i].name = name;
	a->named[i].low = in->low;
	a->named[i].high = in->high;
	a->named_count = i == a->named_count ? i + 1 : a->named_count;
	if (word(a, name) != NULL) {
		*word(a, name) = in->low;
	}
	a->mode = (a->efer & EFER_LMA) != 0 ? 64 : (a->cr0 & CR0_PE) != 0 ? 32 : 16;
	return true;
}

void arch_vp_reset_init(struct vp *vp)
{
	struct arch_vp *a = vp->arch;

	__builtin_memset(vp->regs, 0, sizeof(vp->regs));
	vp->rip = 0xfff0;
	vp->rflags = 2;
	a->cr0 = 0x60000010;
	a->cr3 = a->cr4 = a->efer = 0;
	for (unsigned i = 0; i < 6; i++) {
		a->base[i] = 0;
	}
	a->base[1] = 0xffff0000;
	a->cpl = 0;
	a->mode = 16;
	a->shadow = false;
	a->pending.kind = FAKE_NONE;
	a->resets++;
}

void arch_vp_start_sipi(struct vp *vp, uint8_t vector)
{
	vp->arch->sipi = vector;
	vp->arch->base[1] = (uint64_t)vector << 12;
	vp->rip = 0;
}

void arch_vp_start_linux64(struct vp *vp, uint64_t rip, uint64_t rsi, uint64_t cr3, uint64_t gdt)
{
	struct arch_vp *a = vp->arch;

	(void)gdt;
	a->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	a->cr4 = CR4_PAE;
	a->cr3 = cr3;
	a->efer = EFER_LME | EFER_LMA | EFER_NXE;
	a->mode = 64;
	a->base[1] = 0;
	vp->rip = rip;
	vp->regs[REG_RSI] = rsi;
}

void arch_vp_enter(struct vp *vp, struct exit_info *out)
{
	struct arch_vp *a = vp->arch;

	a->delivered.kind = a->pending.kind;
	a->delivered.vector = a->pending.vector;
	a->delivered.has_error = a->pending.has_error;
	a->delivered.error = a->pending.error;
	a->pending.kind = FAKE_NONE;
	if (!a->loaded) {
		fake_fail("entered without its registers", vp->index);
	}
	fake_vp_next(vp, out);
}

void arch_vp_flush_tlb(struct vp *vp)
{
	vp->arch->flushes++;
}

void arch_vp_offer_irq(struct vp *vp, int vector)
{
	if (vector < -1 || vector > 255) {
		fake_fail("offer of a vector", (uint64_t)vector);
	}
	vp->arch->offered = vector;
	vp->arch->taken = false;
}

bool arch_vp_irq_taken(struct vp *vp)
{
	return vp->arch->taken;
}

void arch_vp_inject_exception(struct vp *vp, unsigned vector, bool has_error, uint32_t error)
{
	struct arch_vp *a = vp->arch;

	if (vector > 31 || vector == 2) {
		fake_fail("injected exception", vector);
	}
	a->pending.kind = FAKE_EXCEPTION;
	a->pending.vector = vector;
	a->pending.has_error = has_error;
	a->pending.error = error;
	a->injected++;
}

void arch_vp_inject_nmi(struct vp *vp)
{
	vp->arch->pending.kind = FAKE_NMI;
	vp->arch->pending.vector = 2;
	vp->arch->pending.has_error = false;
	vp->arch->pending.error = 0;
	vp->arch->injected++;
}

bool arch_vp_injecting(struct vp *vp)
{
	return vp->arch->pending.kind != FAKE_NONE;
}

void arch_vp_watch_iret(struct vp *vp, bool on)
{
	vp->arch->watch_iret = on;
}

void arch_vp_advance(struct vp *vp, unsigned length)
{
	vp->rip += length;
	if (vp->arch->mode != 64) {
		vp->rip &= 0xffffffff;
	}
	vp->arch->shadow = false;
	vp->arch->advanced += length;
}

bool arch_vp_interruptible(struct vp *vp)
{
	return (vp->rflags & RFLAGS_IF) != 0 && !vp->arch->shadow;
}

unsigned arch_vp_cpl(struct vp *vp)
{
	return vp->arch->cpl;
}

unsigned arch_vp_mode(struct vp *vp)
{
	return vp->arch->mode;
}

uint8_t arch_vp_tpr(struct vp *vp)
{
	return vp->arch->tpr;
}

void arch_vp_set_tpr(struct vp *vp, uint8_t tpr)
{
	vp->arch->tpr = tpr & 0xf0; /* what SVM keeps */
}

uint64_t arch_vp_segment_base(struct vp *vp, unsigned segment)
{
	if (segment > 5) {
		fake_fail("segment", segment);
	}
	return vp->arch->base[segment];
}

uint64_t arch_vp_cr0(struct vp *vp)
{
	return vp->arch->cr0;
}

uint64_t arch_vp_cr3(struct vp *vp)
{
	return vp->arch->cr3;
}

uint64_t arch_vp_cr4(struct vp *vp)
{
	return vp->arch->cr4;
}

uint64_t arch_vp_efer(struct vp *vp)
{
	return vp->arch->efer;
}

void arch_vp_set_efer(struct vp *vp, uint64_t efer)
{
	if ((efer & EFER_SVME) != 0) {
		fake_fail("SVME is not the guest's", efer);
	}
	vp->arch->efer = efer;
}

/* --- intercept lists --- */

static void allow(struct vp *vp, uint8_t *cell, unsigned bits)
{
	uint64_t *changes = &vp->partition->arch->intercepts;

	if ((*cell & bits) != bits) {
		*cell |= (uint8_t)bits;
		lists_of(vp)->used = true;
		*changes = *changes * 31 + (uint64_t)(cell - (uint8_t *)lists_of(vp)) * 256 + bits;
	}
}

void arch_port_allow(struct vp *vp, uint16_t first, uint16_t last)
{
	for (uint32_t p = first; p <= last; p++) {
		allow(vp, &lists_of(vp)->port[p / 8], 1u << (p % 8));
	}
}

bool fake_port_open(struct vp *vp, uint16_t port)
{
	return (lists_of(vp)->port[port / 8] >> (port % 8) & 1) != 0;
}

static uint8_t *msr_cell(struct vp *vp, uint32_t msr)
{
	static const uint32_t base[3] = { 0, 0xc0000000, 0xc0010000 };

	for (unsigned i = 0; i < 3; i++) {
		if (msr - base[i] < 0x2000) {
			return &lists_of(vp)->msr[i][(msr - base[i]) / 4];
		}
	}
	return NULL;
}

void arch_msr_allow(struct vp *vp, uint32_t msr, bool read, bool write)
{
	uint8_t *cell = msr_cell(vp, msr);

	if (cell != NULL) {
		allow(vp, cell, ((read ? 1u : 0) | (write ? 2u : 0)) << (msr % 4 * 2));
	}
}

unsigned fake_msr_open(struct vp *vp, uint32_t msr)
{
	uint8_t *cell = msr_cell(vp, msr);

	return cell == NULL ? 0 : *cell >> (msr % 4 * 2) & 3u;
}

/* SPDX-License-Identifier: MIT */
/* Registers by their TLFS names, in the control block of a VP that is off its CPU. */
#include "hv/abi/tlfs.h"
#include "hv/arch/svm/svm.h"
#include "hv/arch/x86/x86.h"
#include "hv/core/arch.h"
#include "hv/core/vp.h"

/* The VMCB keeps attributes in 12 bits: TLFS bits 15:12 come down to 11:8 (APM volume 2, 15.5.1). */
static uint16_t attributes_in(uint16_t a)
{
	return (uint16_t)((a & 0xff) | (a >> 4 & 0xf00));
}

static uint16_t attributes_out(uint16_t a)
{
	return (uint16_t)((a & 0xff) | (a & 0xf00) << 4);
}

static struct vmcb_segment *segment_of(struct vmcb *v, uint32_t name)
{
	switch (name) {
	case HV_REG_ES:
		return &v->es;
	case HV_REG_CS:
		return &v->cs;
	case HV_REG_SS:
		return &v->ss;
	case HV_REG_DS:
		return &v->ds;
	case HV_REG_FS:
		return &v->fs;
	case HV_REG_GS:
		return &v->gs;
	case HV_REG_LDTR:
		return &v->ldtr;
	case HV_REG_TR:
		return &v->tr;
	default:
		return NULL;
	}
}

static uint64_t *word_of(struct vmcb *v, uint32_t name)
{
	switch (name) {
	case HV_REG_CR0:
		return &v->cr0;
	case HV_REG_CR2:
		return &v->cr2;
	case HV_REG_CR3:
		return &v->cr3;
	case HV_REG_CR4:
		return &v->cr4;
	case HV_REG_PAT:
		return &v->g_pat;
	default:
		return NULL;
	}
}

bool arch_vp_get_register(struct vp *vp, uint32_t name, struct hv_register_value *out)
{
	struct vmcb *v = vp->arch->vmcb;
	const struct vmcb_segment *s = segment_of(v, name);
	const uint64_t *word = word_of(v, name);

	if (word != NULL) {
		out->low = *word;
	} else if (s != NULL) {
		out->low = s->base;
		out->high = s->limit | (uint64_t)s->selector << 32 |
			    (uint64_t)attributes_out(s->attributes) << 48;
	} else if (name == HV_REG_IDTR || name == HV_REG_GDTR) {
		s = name == HV_REG_IDTR ? &v->idtr : &v->gdtr;
		out->low = s->base;
		out->high = (uint64_t)(s->limit & 0xffff) << 48;
	} else if (name == HV_REG_EFER) {
		out->low = arch_vp_efer(vp);
	} else if (name == HV_REG_CR8) {
		out->low = arch_vp_tpr(vp) >> 4;
	} else {
		return false;
	}
	return true;
}

/* Values that VMRUN refuses end as EXIT_INVALID of that VP; nothing here reaches the host. */
bool arch_vp_set_register(struct vp *vp, uint32_t name, const struct hv_register_value *in)
{
	struct vmcb *v = vp->arch->vmcb;
	struct vmcb_segment *s = segment_of(v, name);
	uint64_t *word = word_of(v, name);

	if (word != NULL) {
		*word = in->low;
	} else if (s != NULL) {
		s->base = in->low;
		s->limit = (uint32_t)in->high;
		s->selector = (uint16_t)(in->high >> 32);
		s->attributes = attributes_in((uint16_t)(in->high >> 48));
		if (name == HV_REG_SS) {
			v->cpl = (s->attributes >> 5) & 3;
		}
	} else if (name == HV_REG_IDTR || name == HV_REG_GDTR) {
		s = name == HV_REG_IDTR ? &v->idtr : &v->gdtr;
		s->base = in->low;
		s->limit = (uint32_t)(in->high >> 48);
	} else if (name == HV_REG_EFER) {
		if ((in->low & ~(uint64_t)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)) != 0) {
			return false;
		}
		arch_vp_set_efer(vp, in->low);
	} else if (name == HV_REG_CR8) {
		arch_vp_set_tpr(vp, (uint8_t)((in->low & 15) << 4));
	} else {
		return false;
	}
	vp->arch->flush = true;
	return true;
}

/* SPDX-License-Identifier: MIT */
#include "hv/arch/x86/x86.h"
#include "hv/core/arch.h"
#include "hv/core/log.h"

struct frame { /* as idt.S pushes it */
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

#define VECTOR_NMI 2
#define VECTOR_UD 6
#define VECTOR_SX 30
#define FIRST_APIC_VECTOR 16

void idt_exception(struct frame *f);
void idt_interrupt(uint32_t vector);

extern bool x86_stopping;
extern const uint8_t hv_image_start[];

/* Every exception in the hypervisor is our own bug or broken hardware, but for NMI and a redirected INIT (#SX). */
void idt_exception(struct frame *f)
{
	if (f->vector == VECTOR_NMI) {
		if (__atomic_load_n(&x86_stopping, __ATOMIC_SEQ_CST)) {
			arch_stop_machine();
		}
		arch_this_cpu()->nmi_pending = 1;
		return;
	}
	if (f->vector == VECTOR_SX && f->error == 1) {
		struct vp *vp = arch_this_cpu()->root_vp;

		if (vp != NULL) {
			log_guest(
				vp,
				"INIT signal refused: CPUs of the hypervisor cannot be reset one by one");
		}
		return;
	}
	if (f->vector >= FIRST_APIC_VECTOR && apic_in_service((uint8_t)f->vector)) {
		apic_eoi(); /* a device's message with an exception's vector: nobody's */
		return;
	}
	if (f->vector == VECTOR_UD) {
		panic("trap at image+%lx: a compiler check (bounds, overflow, unreachable) or a bad opcode",
		      f->rip - (uint64_t)hv_image_start);
	}
	panic("exception %lu error %lx at image+%lx cr2 %lx rsp %lx", f->vector, f->error,
	      f->rip - (uint64_t)hv_image_start, x86_cr2(), f->rsp);
}

/* Only in the windows that arch_take_interrupts and arch_idle open. */
void idt_interrupt(uint32_t vector)
{
	bool level;

	switch (vector) {
	case HV_VECTOR_SPURIOUS:
		if (apic_in_service(
			    HV_VECTOR_SPURIOUS)) { /* a device sent it as a real interrupt */
			apic_eoi();
		}
		return;
	case HV_VECTOR_TIMER:
		arch_this_cpu()->timer_armed = 0;
		apic_eoi();
		return;
	case HV_VECTOR_KICK:
	case HV_VECTOR_IOMMU:
	case HV_VECTOR_ERROR:
		apic_eoi();
		return;
	default:
		break;
	}
	level = vector < HV_VECTOR_FIRST && apic_is_level((uint8_t)vector);
	if (vector >= HV_VECTOR_FIRST || !cpu_device_interrupt((uint8_t)vector, level)) {
		apic_eoi();
	}
}

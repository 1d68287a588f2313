/* SPDX-License-Identifier: MIT */
/* The only switch from an exit to a subsystem. What a guest does wrong is its fault to take, never ours to die of. */
#include "hv/core/exit.h"

#include "hv/abi/regs_x86.h"
#include "hv/core/arch.h"
#include "hv/core/cpu.h"
#include "hv/core/cpuid.h"
#include "hv/core/hypercall.h"
#include "hv/core/intercept.h"
#include "hv/core/log.h"
#include "hv/core/mmio.h"
#include "hv/core/msr.h"
#include "hv/core/port.h"
#include "hv/core/vp.h"

#define VECTOR_DB 1
#define VECTOR_MC 18

/* Past the instruction, or #UD where its bytes cannot be read: another VP may have changed them. */
static void advance(struct vp *vp, const struct exit_info *e)
{
	unsigned length = vp_insn_length(vp, e);

	if (length == 0) {
		vp_inject_ud(vp);
		return;
	}
	arch_vp_advance(vp, length);
}

static void on_cpuid(struct vp *vp, const struct exit_info *e)
{
	cpuid_guest(vp);
	advance(vp, e);
}

static void on_msr_read(struct vp *vp, const struct exit_info *e)
{
	uint64_t v = 0;

	if (arch_vp_cpl(vp) != 0 || !msr_guest_read(vp, (uint32_t)vp->regs[REG_RCX], &v)) {
		vp_inject_gp(vp);
		return;
	}
	vp->regs[REG_RAX] = (uint32_t)v;
	vp->regs[REG_RDX] = v >> 32;
	advance(vp, e);
}

/* Hyper-V's, but not EOI, ICR, TPR, EOM and timer counts: told of each interrupt's, a parent would leave a guest no time. */
static bool is_traced(uint32_t msr)
{
	bool count = msr >= 0x400000b0 && msr <= 0x400000b7 && (msr & 1) != 0;

	return msr >> 12 == 0x40000 && msr - 0x40000070 > 2 && msr != 0x40000084 && !count;
}

static void on_msr_write(struct vp *vp, const struct exit_info *e)
{
	uint64_t v = (uint32_t)vp->regs[REG_RAX] | vp->regs[REG_RDX] << 32;

	if (arch_vp_cpl(vp) != 0 || !msr_guest_write(vp, (uint32_t)vp->regs[REG_RCX], v)) {
		vp_inject_gp(vp);
		return;
	}
	advance(vp, e);
	if (is_traced((uint32_t)vp->regs[REG_RCX])) {
		intercept_traced(vp, NULL);
	}
}

static void on_hypercall(struct vp *vp, const struct exit_info *e)
{
	/* TLFS 3.4: at CPL 0. The 32-bit register convention has no user here. */
	if (arch_vp_cpl(vp) != 0 || arch_vp_mode(vp) != 64) {
		vp_inject_ud(vp);
		return;
	}
	if (hypercall_dispatch(vp)) {
		advance(vp, e);
		intercept_traced(vp, arch_this_cpu()->scratch);
	}
}

static void on_hlt(struct vp *vp, const struct exit_info *e)
{
	unsigned length = vp_insn_length(vp, e);

	if (length == 0) {
		length = 1;
	}
	arch_vp_advance(vp, length);
	vp->state = VP_HALTED; /* vp_prepare looks for a reason to go on */
	vp_parked(vp);
}

static void on_exception(struct vp *vp, const struct exit_info *e)
{
	if (e->exception.vector == VECTOR_MC) {
		log_guest(vp, "machine check, reflected");
	}
	/*
	 * #DB and #AC are intercepted only because a guest can otherwise loop for ever in their delivery
	 * (CVE-2015-8104, CVE-2015-5307). Injection comes before pending interrupts, so these are taken here.
	 */
	arch_take_interrupts();
	arch_vp_inject_exception(vp, e->exception.vector, e->exception.has_error,
				 e->exception.error);
}

/* As on hardware, a triple fault of any root VP resets the machine: Linux uses it as its last way to reboot. */
static void on_shutdown(struct vp *vp)
{
	if (vp->partition->root) {
		static const char text[] =
			"\r\nredoubt: warning: the root took a triple fault; the machine restarts\r\n";

		log_error("the root's vp %u: triple fault at rip %lx", vp->index, vp->rip);
		arch_console_write(text, sizeof(text) - 1);
		arch_reset_machine();
	}
	intercept_dead(vp, "triple fault");
}

static void on_invalid(struct vp *vp, const struct exit_info *e)
{
	if (!vp->partition->root) {
		intercept_dead(vp, "a state that the CPU refuses");
		return;
	}
	log_error("partition %lu vp %u: the CPU refuses its state, code %lx, rip %lx; stopped",
		  vp->partition->id, vp->index, e->code, vp->rip);
	vp->state = VP_DEAD;
}

/* Trust: everything in vp's registers. Context: the CPU that runs vp, interrupts held off. */
void exit_dispatch(struct vp *vp, const struct exit_info *e)
{
	switch (e->kind) {
	case EXIT_INTERRUPT:
	case EXIT_NMI:
	case EXIT_INIT:
		arch_take_interrupts();
		break;
	case EXIT_CPUID:
		on_cpuid(vp, e);
		break;
	case EXIT_MSR_READ:
		on_msr_read(vp, e);
		break;
	case EXIT_MSR_WRITE:
		on_msr_write(vp, e);
		break;
	case EXIT_PORT:
		if (vp->partition->root) {
			port_guest_access(vp, e);
		} else {
			intercept_port(vp, e);
		}
		break;
	case EXIT_HYPERCALL:
		on_hypercall(vp, e);
		break;
	case EXIT_HLT:
		on_hlt(vp, e);
		break;
	case EXIT_MEMORY:
		if (vp->partition->root) {
			mmio_guest_fault(vp, e);
		} else {
			intercept_memory(vp, e);
		}
		break;
	case EXIT_INVD: /* would throw away the hypervisor's dirty cache lines: WBINVD instead */
		partition_count(&vp->partition->denied_insn);
		arch_wbinvd();
		advance(vp, e);
		break;
	case EXIT_FORBIDDEN:
		partition_count(&vp->partition->denied_insn);
		log_guest(vp, "forbidden instruction, exit code %lx, rip %lx: #UD", e->code,
			  vp->rip);
		vp_inject_ud(vp);
		break;
	case EXIT_IRET:
		arch_vp_watch_iret(vp, false);
		vp->nmi_iret = true;
		vp->nmi_iret_rip = vp->rip;
		break;
	case EXIT_EXCEPTION:
		on_exception(vp, e);
		break;
	case EXIT_SHUTDOWN:
		on_shutdown(vp);
		break;
	case EXIT_INVALID:
	case EXIT_UNKNOWN:
	default:
		on_invalid(vp, e);
		break;
	}
}

/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_VP_H
#define HV_CORE_VP_H
/* Virtual processors. Fields marked [owner] belong to the CPU that runs the VP. */
#include "hv/core/partition.h"
#include "hv/core/synic.h"
#include "hv/core/vlapic.h"

enum vp_state { VP_WAIT_SIPI, VP_RUNNABLE, VP_HALTED, VP_DEAD };

enum vp_reg {
	REG_RAX,
	REG_RCX,
	REG_RDX,
	REG_RBX,
	REG_RSP,
	REG_RBP,
	REG_RSI,
	REG_RDI,
	REG_R8,
	REG_R15 = 15,
	REG_COUNT
};

/* Bits of struct vp.events; any CPU. */
#define VP_EVENT_INIT (1u << 0)
#define VP_EVENT_SIPI (1u << 1)
#define VP_EVENT_NMI (1u << 2)
#define VP_EVENT_FLUSH (1u << 3)
#define VP_EVENT_STOP (1u << 4) /* leave the CPU for good */

/* Bits of struct vp.suspended: why it does not run although it could. */
#define VP_SUSPEND_EXPLICIT (1u << 0)
#define VP_SUSPEND_INTERCEPT (1u << 1)

/* Deadlines of a VP, in TSC. */
enum vp_timer {
	VP_TIMER_VLAPIC,
	VP_TIMER_POSTED,
	VP_TIMER_SYNIC,
	VP_TIMER_COUNT = VP_TIMER_SYNIC + HV_STIMER_COUNT
};

#define VP_INSN_CACHE 16

struct vp {
	uint64_t regs[REG_COUNT]; /* first: the entry code knows the layout; [owner] */
	uint64_t rip, rflags;     /* [owner] */
	struct arch_vp *arch;
	struct partition *partition;
	uint32_t index;
	uint32_t cpu;         /* the CPU it is pinned to */
	enum vp_state state;  /* [owner]; others look at it as a hint */
	uint32_t events;      /* atomic */
	uint32_t sipi_vector; /* atomic, valid with VP_EVENT_SIPI */
	uint32_t parked;      /* atomic: only INIT, SIPI or NMI of a sibling can make it go on */
	bool idle_masked; /* [owner] halted by the idle register: a pending interrupt ends it, taken or not */
	int irq_offered;               /* [owner] the vector the CPU holds, -1 none */
	bool nmi_pending, nmi_blocked; /* [owner] */
	bool nmi_iret; /* [owner] the handler's IRET at nmi_iret_rip was seen; NMIs open once it is past */
	uint64_t nmi_iret_rip;
	struct vlapic apic;
	struct synic synic;
	/* scheduling (cpu.c) */
	struct vp *next; /* [owner] of the VPs of this CPU */
	uint32_t suspended; /* atomic: VP_SUSPEND_*; while one is set, and it is off the CPU, others may touch its registers */
	uint32_t detached; /* atomic: after VP_EVENT_STOP: no CPU knows it any more */
	bool sleeping;     /* [owner] had nothing to run when last looked at */
	uint32_t inverse;  /* of the weight: virtual time = time * inverse / 1024 */
	uint64_t vruntime; /* [owner] virtual time used */
	uint64_t runtime;  /* [owner] TSC ticks used */
	uint64_t deadline[VP_TIMER_COUNT]; /* [owner] TSC, UINT64_MAX: none */
	uint64_t deadline_first;           /* [owner] */
	/* intercepts to the parent */
	hpa_t intercept_page; /* [partitions_lock] in the root's memory; 0: none */
	uint32_t intercept_flag;
	uint64_t exits, hypercalls;
	/* synthetic registers (TLFS 12, 11) */
	uint64_t vp_assist;
	uint64_t spec_ctrl;
	/* Lengths of exiting instructions, on CPUs that do not save the next RIP. */
	struct {
		uint64_t rip, cr3;
		uint8_t kind, length;
	} insn_cache[VP_INSN_CACHE];
};

struct vp *vp_create(struct partition *p, uint32_t index, uint32_t cpu,
		     uint32_t apic_id) MUST_CHECK;
void vp_free(struct vp *vp);
/* [owner], or while no CPU knows the VP. UINT64_MAX disarms. */
void vp_timer_set(struct vp *vp, enum vp_timer which, uint64_t tsc);
/* [owner] Runs what is due. */
void vp_timers_expire(struct vp *vp, uint64_t now);
/* Any CPU: sets events and makes the VP notice. */
void vp_event(struct vp *vp, uint32_t bits);
void vp_wake(struct vp *vp);
/* [owner] Takes INIT, SIPI, NMI and flush events; true where the VP may enter the guest. */
bool vp_prepare(struct vp *vp);
/* [owner] Suspended for the parent; the VP's state is complete in memory. */
static inline bool vp_suspended(const struct vp *vp)
{
	return __atomic_load_n(&vp->suspended, __ATOMIC_ACQUIRE) != 0;
}
/* [owner] Nothing to take: vp_prepare would only say true. */
static inline bool vp_ready(const struct vp *vp)
{
	return vp->state == VP_RUNNABLE && __atomic_load_n(&vp->events, __ATOMIC_SEQ_CST) == 0 &&
	       !vp->nmi_pending && !vp->nmi_iret && !vp_suspended(vp);
}
/* [owner] After it has halted or taken INIT: of a child that will never go on the parent is told. */
void vp_parked(struct vp *vp);
/* A register by its TLFS name; the VP is off its CPU, or has never run. false: there is no such register. Locks: partitions_lock. */
struct hv_register_value;
bool vp_get_register(struct vp *vp, uint32_t name, struct hv_register_value *out) MUST_CHECK;
void vp_inject_gp(struct vp *vp);
void vp_inject_ud(struct vp *vp);
/* Length of the instruction that exited: the CPU's word, else decoded; 0 where it cannot be found. */
unsigned vp_insn_length(struct vp *vp, const struct exit_info *e);

#endif

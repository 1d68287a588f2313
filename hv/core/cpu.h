/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_CPU_H
#define HV_CORE_CPU_H
/* One physical CPU: its timers, the VP it runs. */
#include "hv/core/lock.h"
#include "hv/core/types.h"

struct vp;

enum cpu_timer { CPU_TIMER_TICK, CPU_TIMER_SLICE, CPU_TIMER_COUNT };

struct cpu {
	struct cpu *self; /* gs:0 */
	uint64_t reserved0[4];
	uint64_t canary; /* gs:40, stack protector */
	uint32_t index;
	uint32_t apic_id;
	uint32_t online;      /* atomic */
	uint32_t in_guest;    /* atomic: between entry and exit */
	uint32_t nmi_pending; /* set by the NMI handler */
	uint32_t idle;        /* atomic: waiting for an interrupt */
	uint32_t resched;     /* atomic: a VP of this CPU may have become runnable */
	struct vp *current;   /* [owner] the VP being run, NULL: none */
	struct vp *loaded;    /* [owner] whose registers outside the VMCB the CPU holds */
	struct vp *root_vp;   /* the root VP that is pinned here */
	struct vp *vps;       /* [owner] every VP of this CPU */
	struct vp *
		handover; /* [owner] goes next, if it can: the root has just given it what it waited for */
	struct lock arrivals_lock;
	struct vp *arrivals; /* [arrivals_lock] VPs that the owner has not taken yet */
	uint32_t children;   /* atomic: child VPs that are or will be here */
	uint64_t slice_end; /* [owner] TSC; the current VP goes on till then, UINT64_MAX: nobody waits */
	uint64_t boost_end,
		boost_next; /* [owner] an interrupt of the root came; when the next one may count */
	uint64_t charged;   /* [owner] TSC up to which run time was charged */
	uint64_t vclock;    /* [owner] virtual time: of the VP that was chosen last */
	uint64_t timer[CPU_TIMER_COUNT]; /* [owner] TSC deadlines, UINT64_MAX for none */
	uint64_t timer_first;            /* [owner] the earliest of them and of the VPs' */
	uint64_t timer_armed;            /* [owner] what the hardware was told; 0: it has fired */
	uint64_t ticks;                  /* the hypervisor's own heartbeat */
	uint8_t *scratch;                /* [owner] two pages: hypercall input and output */
	uint64_t tlb_seen;               /* atomic: the flush generation this CPU has honoured */
};

_Static_assert(offsetof(struct cpu, canary) == 40, "-mstack-protector-guard-offset=40");

extern struct cpu cpu_table[CPU_MAX];
extern uint32_t cpu_count;

/* Runs VPs on this CPU for ever. */
NORETURN void cpu_run(void);
/* A physical interrupt, called by the handler with interrupts off; level: the local APIC says level-triggered. */
bool cpu_device_interrupt(uint8_t vector, bool level);
void cpu_timer_set(enum cpu_timer which, uint64_t tsc);
void cpu_timers_expire(void);
/* [owner] A VP's first deadline has changed. */
void cpu_timers_changed(struct vp *vp);
/* A new VP starts to be scheduled on its CPU. */
void cpu_add_vp(struct vp *vp);
/* [owner] `vp` got from the running root VP what it waited for: it goes before the root, for a moment. */
void cpu_hand_over(struct vp *vp);
/* The CPU with the fewest child VPs. */
uint32_t cpu_choose(void);
/* Every CPU that runs a VP has dropped old nested translations when this returns. */
void cpu_tlb_shootdown(void);

#endif

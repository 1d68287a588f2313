/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_CPU_H
#define HV_CORE_CPU_H
/* One physical CPU: its requests, its timers, the VP it runs. */
#include "hv/core/types.h"

struct vp;

enum cpu_timer { CPU_TIMER_VLAPIC, CPU_TIMER_TICK, CPU_TIMER_COUNT };

/* Bits of struct cpu.requests; set by any CPU, answered by the owner in its loop. */
#define CPU_REQ_STOP (1u << 0)

struct cpu {
	struct cpu *self; /* gs:0 */
	uint64_t reserved0[4];
	uint64_t canary; /* gs:40, stack protector */
	uint32_t index;
	uint32_t apic_id;
	uint32_t online;                 /* atomic */
	uint32_t in_guest;               /* atomic: between entry and exit */
	uint32_t requests;               /* atomic */
	uint32_t nmi_pending;            /* set by the NMI handler */
	uint32_t idle;                   /* atomic: waiting for an interrupt */
	struct vp *current;              /* [owner] the VP being run */
	struct vp *root_vp;              /* the root VP that is pinned here */
	uint64_t timer[CPU_TIMER_COUNT]; /* [owner] TSC deadlines, UINT64_MAX for none */
	uint64_t timer_first;            /* [owner] the earliest of them */
	uint64_t timer_armed;            /* [owner] what the hardware was told; 0: it has fired */
	uint64_t ticks;                  /* the hypervisor's own heartbeat */
	uint64_t exits;
	uint8_t *scratch;  /* [owner] two pages: hypercall input and output */
	uint64_t tlb_seen; /* atomic: the flush generation this CPU has honoured */
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
void cpu_request(uint32_t cpu, uint32_t bits);
/* Every CPU that runs a VP has dropped old nested translations when this returns. */
void cpu_tlb_shootdown(void);

#endif

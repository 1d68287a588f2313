/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_ARCH_H
#define HV_CORE_ARCH_H
/*
 * The contract: what the core asks of a CPU. hv/arch/x86 + hv/arch/svm implement it for hardware, hv/arch/fake for
 * Linux processes (unit tests, fuzz targets). Nothing here knows a vendor. All functions run with physical
 * interrupts held off unless they say otherwise.
 */
#include "hv/core/exit.h"
#include "hv/core/types.h"

struct cpu;
struct partition;
struct vp;

/* --- start-up, in this order (main.c) --- */
void arch_start_cpu0(void);      /* tables, clock, interrupts of the first CPU; the heap is ready */
void arch_start_others(void);    /* the other CPUs reach main_secondary and wait there */
void arch_start_secondary(void); /* each of them: its virtualisation extension */
void arch_start_iommu(void);     /* devices see the root's table; the root partition exists */
void arch_seal(void); /* what is read-only after init becomes so; the old image is wiped */
void arch_start_secondary_sealed(
	void); /* each other CPU: forgets translations from before the seal */

/* --- this CPU --- */
struct cpu *arch_this_cpu(void);
uint32_t arch_cpu_index(void);
void arch_cpu_relax(void);
uint64_t arch_tsc(void);
void arch_wbinvd(void);
/* Lets pending physical interrupts in, once, and returns. Handlers only record (see cpu.h). */
void arch_take_interrupts(void);
/* Waits until a physical interrupt arrives, takes it, and returns. */
void arch_idle(void);
/* The same for seeds: from the source of entropy itself where the processor has RDSEED. */
bool arch_random_seed(uint64_t *v);
/* Takes every CPU out of service for ever. */
NORETURN void arch_stop_machine(void);
/* Restarts the machine as its reset button would. */
NORETURN void arch_reset_machine(void);

/* --- consoles --- */
void arch_console_write(const char *text, size_t n);
void arch_debugcon_write(const char *text, size_t n);

/* --- other CPUs, timers, physical interrupts --- */
void arch_kick(uint32_t cpu);
/* One-shot: HV_VECTOR_TIMER at or soon after this TSC value; UINT64_MAX disarms. */
void arch_timer_arm(uint64_t tsc);
/* Ends a physical level-triggered interrupt whose handling the root has finished. */
void arch_device_eoi(void);
/* This CPU answers to these logical destinations of devices (xAPIC LDR and DFR of the root VP that runs here). */
void arch_device_logical(uint32_t ldr, uint32_t dfr);
uint64_t arch_apic_timer_hz(void);

/* --- the hypervisor's own frames and windows onto others --- */
/* A heap frame's address in the hypervisor (only frames that heap.c owns). */
void *arch_heap_va(hpa_t frame);
hpa_t arch_heap_pa(const void *va);
/* Maps one frame that the hypervisor does not own; slot 0..WINDOW_SLOTS-1 of this CPU. */
#define WINDOW_SLOTS 4
void *arch_window_open(unsigned slot, hpa_t frame);
void arch_window_close(unsigned slot);
/* Reads and writes of device registers that the core emulates for the root: physical address, 1, 2, 4 or 8 bytes. */
uint64_t arch_mmio_read(hpa_t addr, unsigned size);
void arch_mmio_write(hpa_t addr, unsigned size, uint64_t v);
uint32_t arch_port_in(uint16_t port, unsigned size);
void arch_port_out(uint16_t port, unsigned size, uint32_t v);
void arch_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
void arch_msr_write(uint32_t msr, uint64_t v);

/* --- nested page table entries --- */
enum npt_access {
	NPT_NONE = 0,
	NPT_R = 1,
	NPT_W = 2,
	NPT_X = 4,
	NPT_RW = 3,
	NPT_RX = 5,
	NPT_RWX = 7
};
uint64_t arch_npte_table(hpa_t table, unsigned level); /* level of the entry: 4..2 */
uint64_t arch_npte_leaf(hpa_t frame, unsigned level,
			unsigned access); /* level 1: 4 KiB, 2: 2 MiB, 3: 1 GiB */
bool arch_npte_present(uint64_t e);
bool arch_npte_is_leaf(uint64_t e, unsigned level);
hpa_t arch_npte_addr(uint64_t e, unsigned level);
unsigned arch_npte_access(uint64_t e);
bool arch_npt_1g(void); /* 1 GiB leaves are supported */

/* --- virtual processors --- */
bool arch_vp_init(struct vp *vp) MUST_CHECK; /* allocates; false without memory */
void arch_vp_free(struct vp *vp);
void arch_vp_reset_init(struct vp *vp);                 /* state after INIT */
void arch_vp_start_sipi(struct vp *vp, uint8_t vector); /* real mode at vector << 12 */
void arch_vp_start_linux64(struct vp *vp, uint64_t rip, uint64_t rsi, uint64_t cr3, uint64_t gdt);
/* Runs until the next exit; *out says why. */
void arch_vp_enter(struct vp *vp, struct exit_info *out);
/* Next entry starts from a clean TLB for this VP. */
void arch_vp_flush_tlb(struct vp *vp);
/* Offers a vector to the virtual CPU, which takes it when it can; -1 withdraws. */
void arch_vp_offer_irq(struct vp *vp, int vector);
/* True where the last offered vector was taken by the guest since. */
bool arch_vp_irq_taken(struct vp *vp);
void arch_vp_inject_exception(struct vp *vp, unsigned vector, bool has_error, uint32_t error);
void arch_vp_inject_nmi(struct vp *vp);
/* An event waits to be injected at the next entry. */
bool arch_vp_injecting(struct vp *vp);
void arch_vp_watch_iret(struct vp *vp, bool on); /* EXIT_IRET at the next IRET */
/* Moves RIP past an instruction and ends an interrupt shadow. */
void arch_vp_advance(struct vp *vp, unsigned length);
bool arch_vp_interruptible(struct vp *vp); /* RFLAGS.IF set and no shadow */
unsigned arch_vp_cpl(struct vp *vp);
unsigned arch_vp_mode(struct vp *vp); /* 16, 32 or 64 */
uint8_t arch_vp_tpr(struct vp *vp);
void arch_vp_set_tpr(struct vp *vp, uint8_t tpr);
/* Segment base, for linear addresses; index as in insn.h: 0 ES 1 CS 2 SS 3 DS 4 FS 5 GS. */
uint64_t arch_vp_segment_base(struct vp *vp, unsigned segment);
uint64_t arch_vp_cr0(struct vp *vp);
uint64_t arch_vp_cr3(struct vp *vp);
uint64_t arch_vp_cr4(struct vp *vp);
uint64_t arch_vp_efer(struct vp *vp);
void arch_vp_set_efer(struct vp *vp, uint64_t efer); /* guest-visible bits only */
/* The registers that stay in the CPU between entries (floating point, debug addresses, ...): to memory, from memory. */
void arch_vp_unload(struct vp *vp);
void arch_vp_load(struct vp *vp);
/* HV_REG_* but those of the core; the VP is off its CPU. false: no such register, or a value that cannot be. */
struct hv_register_value;
bool arch_vp_get_register(struct vp *vp, uint32_t name, struct hv_register_value *out) MUST_CHECK;
bool arch_vp_set_register(struct vp *vp, uint32_t name,
			  const struct hv_register_value *in) MUST_CHECK;
void arch_partition_free(struct partition *p); /* its intercept lists */

/* --- intercept lists, shared by the VPs of a partition; everything is intercepted at first --- */
void arch_port_allow(struct vp *vp, uint16_t first, uint16_t last);
void arch_msr_allow(struct vp *vp, uint32_t msr, bool read, bool write);

/* --- facts for hvctl --- */
uint64_t arch_hw_features(void); /* RD_HW_* */
const char *arch_name(void);

/* --- IOMMU --- */
/* Before the root's table is built: takes registers and PCI functions of every IOMMU away from the root. */
bool arch_iommu_claim(void) MUST_CHECK;
void arch_iommu_flush(void);
uint32_t arch_iommu_count(void);
uint32_t arch_iommu_faults(void); /* polls and logs */

#endif

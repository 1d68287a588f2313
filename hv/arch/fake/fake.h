/* SPDX-License-Identifier: MIT */
#ifndef HV_ARCH_FAKE_FAKE_H
#define HV_ARCH_FAKE_FAKE_H
/*
 * The contract of hv/core/arch.h inside one thread of a Linux process, and the controls that unit tests and fuzz targets
 * have over it. "Physical memory" is a buffer; every CPU is played by the same thread (fake_select). What would stop the
 * real machine ends the process by abort(), so that a fuzzer sees every CHECK; a restart comes back to the caller.
 */
#include "hv/core/cpu.h"
#include "hv/core/exit.h"
#include "hv/core/handoff.h"
#include "hv/core/types.h"
#include "hv/core/vp.h"

/* --- the machine --- */
#define FAKE_RAM_SIZE (64ull << 20)
#define FAKE_LOW_END 0x9fc00ull        /* usable below; then firmware up to 1 MiB */
#define FAKE_REGION_BASE (32ull << 20) /* the hypervisor's */
#define FAKE_REGION_SIZE (8ull << 20)
#define FAKE_POOL_BASE (40ull << 20)
#define FAKE_POOL_SIZE (16ull << 20) /* 8 units, full of junk until the hypervisor cleans them */
#define FAKE_POOL_UNITS 8u
#define FAKE_CALL_PAGE \
	0x600000ull /* of the root, for fake_hypercall; a child's is FAKE_CHILD_CALL_PAGE */
#define FAKE_CHILD_CALL_PAGE 0x10000ull
#define FAKE_ACPI_BASE (62ull << 20) /* 64 KiB of ACPI tables, 64 KiB NVS, then firmware */
#define FAKE_NVS_BASE (FAKE_ACPI_BASE + 0x10000)
#define FAKE_FIRMWARE_BASE (FAKE_ACPI_BASE + 0x20000)
#define FAKE_IOAPIC 0xfec00000ull
#define FAKE_ECAM 0xb0000000ull
#define FAKE_PM1A_EVT 0x600
#define FAKE_PM1A 0x604
#define FAKE_PM1B 0x2604 /* above 0x1000, where the lists allow */
#define FAKE_TSC_HZ 3000000000ull

struct fake_config {
	uint32_t cpus;
	bool small_pages; /* no 1 GiB leaves */
	bool piix4;       /* chipset: PIIX4 rather than ICH9 */
	bool no_s5;
	uint64_t heap_bytes; /* 0: the whole region */
	uint32_t iommus;
};

/* Runs hv_main up to the first entry into the guest. Once per process. */
void fake_boot(const struct fake_config *c);
/* The memory, heap and one CPU, without any partition: for tests of single files. May be repeated. */
void fake_bare(void);

/* --- running --- */
enum fake_end { FAKE_RETURNED, FAKE_RAN_OUT, FAKE_IDLE, FAKE_RESET };

struct fake_step { /* one stay in the guest */
	struct exit_info exit;
	bool take;                    /* the guest takes the offered vector, if it may */
	uint64_t tsc;                 /* how long it stays */
	void (*guest)(struct vp *vp); /* what it does there; may be NULL */
};

void fake_select(uint32_t cpu);
/* Sets what arch_vp_enter answers next on this CPU. */
void fake_queue(const struct fake_step *s, size_t n);
/* cpu_run on a CPU, until the queue is empty, nothing is left to do, or the machine restarts. */
enum fake_end fake_run(uint32_t cpu);
/* exit_dispatch on the VP's CPU. */
enum fake_end fake_exit(struct vp *vp, const struct exit_info *e);
/*
 * Instead of the queue: asked at each entry what the guest does; false ends the run. NULL: the queue again. The step's exit is
 * EXIT_INTERRUPT and everything else zero beforehand.
 */
void fake_play(bool (*play)(struct vp *vp, struct fake_step *step));
/* A physical interrupt that arch_take_interrupts or arch_idle will find. */
void fake_raise(uint8_t vector, bool level);

/* --- guest memory --- */
uint8_t *fake_ram(uint64_t hpa);                        /* any byte of physical memory */
void fake_ram_clear(void);                              /* zeroes what the root owns */
uint8_t *fake_guest(struct partition *p, uint64_t gpa); /* NULL: not mapped */
/* The same for what lies within one page. Of a child's unit, the other pages stay known to be zero. */
uint8_t *fake_guest_page(struct partition *p, uint64_t gpa);
void fake_taint(
	struct partition *p,
	uint64_t gpa); /* fills the page, if it is mapped, with what nobody else may ever see */
bool fake_zero(struct partition *p, uint64_t gpa, uint64_t size); /* within a unit of a child */

/* --- partitions --- */
#define FAKE_AGAIN UINT64_MAX
/*
 * A hypercall with its input and output in the VP's call page and in the page after it. Returns RAX; FAKE_AGAIN: RIP stayed, the
 * call goes on when it is made again. The output is copied out only after a success. A call that fetches its input twice, or does
 * the work of more than one unit of memory at once, ends the process.
 */
uint64_t fake_hypercall(struct vp *vp, uint64_t control, const void *in, size_t in_size, void *out,
			size_t out_size);
/*
 * Everything that must hold between two operations: each unit of the pool has one owner, that owner's table and the root's
 * name it and nobody else's does, VPs are where their CPUs think, memory that belongs to nobody is zero (deep). Ends the process.
 */
void fake_check_partitions(bool deep);
/*
 * What a refused call must leave as it was: all of the hypervisor's heap (partitions, VPs, tables, queues, table of units) but the
 * caller's own registers and the call's scratch pages.
 */
void fake_remember(void);
bool fake_unchanged(const struct vp *caller);

/*
 * For tests of the heap itself, before the first heap_init: frames that nobody has may be read and written. Otherwise a use of one ends
 * the process.
 */
void fake_heap_unwatched(void);

/* --- VPs --- */
enum fake_event { FAKE_NONE, FAKE_EXCEPTION, FAKE_NMI };

#define FAKE_NAMED 32

struct arch_vp {
	uint64_t cr0, cr3, cr4, efer, base[6];
	unsigned cpl, mode;
	uint8_t tpr;
	bool shadow, watch_iret;
	int offered; /* -1 none */
	bool taken;
	struct {
		enum fake_event kind;
		unsigned vector;
		bool has_error;
		uint32_t error;
	} pending, delivered; /* to be injected by the next entry; by the last one */
	uint32_t flushes, injected, resets;
	int sipi;          /* last vector, -1 none */
	unsigned advanced; /* bytes, since the start */
	bool loaded;       /* between arch_vp_load and arch_vp_unload */
	struct {           /* registers that only the architecture knows, as the parent set them */
		uint32_t name;
		uint64_t low, high;
	} named[FAKE_NAMED];
	uint32_t named_count;
};

/* The lists themselves are not in the heap, which is looked at all the time: whoever changes one changes this. */
struct arch_partition {
	uint64_t intercepts;
};

bool fake_port_open(struct vp *vp, uint16_t port);
unsigned fake_msr_open(struct vp *vp, uint32_t msr);

/* --- what the core did --- */
struct fake_access {
	uint64_t addr;
	unsigned size;
	uint64_t value;
	uint32_t pci; /* PCI address latch, for ports 0xcfc to 0xcff */
};

#define FAKE_LOG 64

enum fake_seed {
	FAKE_SEED_GOOD,
	FAKE_SEED_STUCK,
	FAKE_SEED_REPEATS,
	FAKE_SEED_FEW,
	FAKE_SEED_MANY
};

struct fake_machine {
	uint64_t tsc, tsc_step; /* the clock advances by the step with each look */
	uint64_t timer[CPU_MAX];
	uint32_t ldr[CPU_MAX], dfr[CPU_MAX]; /* arch_device_logical */
	uint32_t kicks[CPU_MAX], device_eois, wbinvds, console_bytes, debugcon_bytes;
	uint32_t iommu_flushes, iommu_faults, iommus;
	bool no_random, npt_1g, sealed;
	enum fake_seed seed;                       /* what arch_random_seed gives */
	uint64_t out_count, mmio_count, msr_count; /* writes so far; the last FAKE_LOG are below */
	struct fake_access out[FAKE_LOG], mmio[FAKE_LOG], msr[FAKE_LOG];
	uint32_t in_value;   /* what ports answer, but for the PCI ids of the chipset */
	uint64_t mmio_value; /* what device registers answer, but for the IO-APIC */
	/* A device of the test's own at [device_base, device_base + device_size): instead of mmio_value. */
	uint64_t device_base, device_size;
	uint64_t (*device_read)(uint64_t offset, unsigned size);
	void (*device_write)(uint64_t offset, unsigned size, uint64_t v);
	uint32_t ioapic_select, ioapic[256];
	uint32_t windows; /* open now */
	uint64_t windows_opened;
	uint64_t input_frame; /* of the call that fake_hypercall makes */
	uint32_t input_fetches;
};

extern struct fake_machine fake;

/* The last write of a kind. */
const struct fake_access *fake_last_out(void);
const struct fake_access *fake_last_mmio(void);
void fake_cpuid_set(uint32_t leaf, uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx);
/* Ends the process: a rule of the contract was broken. */
NORETURN void fake_fail(const char *what, uint64_t value);
/* No lock is held and no window is open; else the process ends. */
void fake_check_idle(void);
/* true: the IO-APIC would deliver something that the core must never let through. */
bool fake_ioapic_bad(void);

/* --- between the files of this folder --- */
/* Does not come back. Not said to the compiler: it would have the sanitizer look for its stacks before each call. */
void fake_leave(enum fake_end why);
void fake_locks_drop(void);
void fake_windows_drop(void);
void fake_vp_next(struct vp *vp, struct exit_info *out);
/* The core takes the address of what is at this offset of the hypervisor's region. */
void fake_heap_opened(uint64_t at);
/* The core runs: what fake_remember copied may be out of date. */
void fake_heap_touched(void);
/* All that is in this frame: the rest of it is not to be touched until it is freed. */
void fake_heap_object(void *va, size_t size);
/* Says that what is in the heap was judged, and asks whether it has not changed since, but for what VPs and CPUs have of their own. */
void fake_heap_good(void);
bool fake_heap_known(void);
/* The i-th child partition of those that fake_check_partitions saw last; NULL: there were no more. */
struct partition *fake_child(uint32_t i);
/* Whether a stretch of the pool is zero. What nobody wrote since it was zeroed is not read. */
bool fake_pool_zero(uint64_t at, uint64_t size);

/* What the run loop does when the guest takes an offered vector. */
static inline void take_vector(struct vp *vp, uint8_t vector)
{
	vlapic_claim(vp, vector);
	vlapic_serve(vp, vector);
}

#endif

/* SPDX-License-Identifier: MIT OR GPL-2.0 */
#ifndef REDTEAM_ROOT_ATTACK_H
#define REDTEAM_ROOT_ATTACK_H
/*
 * What a malicious root kernel tries against the hypervisor below it. Every attack also runs bare,
 * without a hypervisor, where it must succeed: a test that cannot fail proves nothing.
 */
#include <linux/io.h>
#include <linux/pci.h>
#include <linux/types.h>

#include "hv/abi/redoubt.h"

enum verdict {
	BLOCKED,   /* the attack had no effect, and the hypervisor said or showed so */
	SUCCEEDED, /* the effect was seen */
	SKIPPED,   /* this machine has nothing to attack with; `how` says what */
	ERROR,     /* cannot tell */
};

struct outcome {
	enum verdict verdict;
	char how[120];
};

struct attack {
	const char *name;
	const char *gain; /* what the attacker would have if it worked */
	struct outcome (*run)(const struct attack *attack);
	u32 argument; /* to `run`: a way, a register */
	u64 flip;     /* of a register: the bits to change */
	/*
	 * The machine may not outlive it (or not bare): then only by its own name, never in
	 * attack=all.
	 */
	enum { HARMLESS, FATAL_BARE, FATAL } danger;
};

extern const struct attack memory_attacks[], confuse_attacks[], msr_attacks[], svm_attacks[];
extern const struct attack port_attacks[], a20_attacks[], ipi_attacks[], startup_attacks[];
extern const struct attack edu_attacks[], last_attacks[], cpu_loss_attacks[];

__printf(2, 3) struct outcome outcome(enum verdict verdict, const char *format, ...);

/* main.c: who is below, and what is attacked. */
bool below_hypervisor(void);
bool on_qemu_tcg(void);
bool on_qemu(void);
unsigned int victim_count(void);
phys_addr_t victim(unsigned int index);
bool victim_is_ours(void);
u64 denied_count(void);

/*
 * probe.c: instructions that survive the fault that they cause. Each returns NO_FAULT or the
 * exception vector.
 */
#define NO_FAULT (-1)
int try_rdmsr(u32 msr, u64 *value);
int try_wrmsr(u32 msr, u64 value);
int try_read64(const volatile void *address, u64 *value);
int try_write64(volatile void *address, u64 value);
int try_read32(const volatile void *address, u32 *value);
int try_write32(volatile void *address, u32 value);
int try_in8(u16 port, u8 *value);
int try_out8(u16 port, u8 value);
int try_in32(u16 port, u32 *value);
int try_out32(u16 port, u32 value);
const char *fault_name(int fault);
struct outcome blocked_by(int fault);
u64 hypercall(u64 control, phys_addr_t in, phys_addr_t out);
bool get_info(struct rd_info *info);

/*
 * paging.c: page tables made by hand, so that no check of Linux stands between the attacker and a
 * physical address. WINDOW_SLOT of the top table is free in every Linux; the tables lie in the
 * first, even MiB of a 2 MiB block.
 */
struct window {
	void *block;
	unsigned int used; /* pages of the block */
	u64 *top;
	u64 *entries; /* the last level: 512 pages at WINDOW_BASE */
	u64 *directory;
	unsigned long old_cr3;
};

#define WINDOW_SLOT 509ul
#define WINDOW_BASE (0xffff000000000000ul | (WINDOW_SLOT << 39))
#define WINDOW_BLOCK_ORDER 9

bool window_create(struct window *window);
void window_destroy(struct window *window);
void *window_page(struct window *window);
void *window_map(struct window *window, unsigned int index, phys_addr_t physical);
void window_enter(struct window *window);
void window_leave(struct window *window);

/*
 * memory.c: one access through a window on this CPU; exchange flips bits, tells which ones changed,
 * and restores.
 */
int window_read64(phys_addr_t physical, u64 *value);
int window_exchange64(phys_addr_t physical, u64 flip, u64 *changed);

/*
 * startup.c: the local APIC, in the mode that Linux set; and another CPU running sixteen-bit code
 * of ours.
 */
void apic_map(void);
void apic_unmap(void);
int apic_icr(u32 destination, u32 low);
#define ICR_ASSERT 0x4000u
#define MODE_SMI 0x200u
#define MODE_NMI 0x400u
#define MODE_INIT 0x500u
#define MODE_STARTUP 0x600u

struct captive {
	unsigned int cpu;
	u32 apic_id;
	u8 *page;
	u8 saved[512];
	u8 saved_vectors[1024]; /* the interrupt vector table */
};

struct outcome captive_take(struct captive *captive);
bool captive_runs(const struct captive *captive);
u32 captive_nmi_count(const struct captive *captive);
u32 captive_interrupt_count(const struct captive *captive);
struct outcome captive_judge(struct captive *captive, const char *what);
phys_addr_t low_page(void);

/* port.c: code of ours at the default entry to SMM; whether a CPU hangs that Linux believes online. */
struct smm_plant {
	void *saved;
	bool closed; /* there is nothing to plant in */
};

extern bool cpu_lost;
bool smm_plant(struct smm_plant *plant);
u32 smm_unplant(const struct smm_plant *plant);

/* edu.c: QEMU's teaching device, which does DMA where it is told. */
struct edu {
	struct pci_dev *pci;
	void __iomem *registers;
};

bool edu_open(struct edu *edu);
void edu_close(struct edu *edu);
void edu_interrupt(const struct edu *edu, bool raise);
bool edu_dma(const struct edu *edu, phys_addr_t physical, u32 bytes, bool to_device);

#endif

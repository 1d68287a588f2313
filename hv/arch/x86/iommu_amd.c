/* SPDX-License-Identifier: MIT */
/*
 * AMD I/O virtualisation ("48882": AMD I/O Virtualization Technology Specification). Devices see
 * the root's nested page table and nothing else: what its CPUs cannot reach, its devices cannot.
 * One device table serves all IOMMUs, one domain holds all devices. It ends with the last bus that
 * firmware describes: its size field makes the IOMMU refuse every device id beyond (2.2.2).
 *
 * Trust: IVRS is the firmware's and is checked here against memory map and PCI. From the claim on
 * the root can reach neither the registers nor the IOMMU's PCI function.
 */
#include "hv/arch/x86/x86.h"
#include "hv/core/arch.h"
#include "hv/core/handoff.h"
#include "hv/core/heap.h"
#include "hv/core/lock.h"
#include "hv/core/log.h"
#include "hv/core/mmio.h"
#include "hv/core/owner.h"
#include "hv/core/partition.h"
#include "hv/core/port.h"
#include "hv/core/time.h"
#include "hv/wire/view.h"

/* PCI configuration mechanism 1 (PCI 3.0, 3.2.2.3.2); only until the root runs. */
#define PCI_ADDRESS 0xcf8
#define PCI_DATA 0xcfc
#define PCI_STATUS 0x06
#define PCI_STATUS_SIGNALED_TARGET_ABORT 0x0800u
#define PCI_VENDOR_VIRTIO 0x1af4u

/* Capability block (48882, 3.2) */
#define CAP_ID_TYPE 0x000700ffu
#define CAP_IOMMU 0x0003000fu /* secure device, type IOMMU */
#define CAP_EFR (1u << 27)
#define CAP_BASE_LOW 4
#define CAP_BASE_HIGH 8
#define CAP_BASE_ENABLE 1u
#define CAP_BASE_MASK 0xffffc000u

/* Registers (48882, 3.4) */
#define REG_BYTES 0x4000ull
#define REG_DEVICE_TABLE 0x0000
#define REG_COMMAND_BASE 0x0008
#define REG_EVENT_BASE 0x0010
#define REG_CONTROL 0x0018
#define REG_EXCLUSION_BASE 0x0020
#define REG_EXCLUSION_LIMIT 0x0028
#define REG_FEATURES 0x0030
#define REG_COMMAND_HEAD 0x2000
#define REG_COMMAND_TAIL 0x2008
#define REG_EVENT_HEAD 0x2010
#define REG_EVENT_TAIL 0x2018
#define REG_STATUS 0x2020
#define CONTROL_IOMMU 1ull
#define CONTROL_EVENTS (1ull << 2)
#define CONTROL_COHERENT (1ull << 10)
#define CONTROL_COMMANDS (1ull << 12)
#define CONTROL_LINK \
	0xf02ull /* HtTunEn, PassPW, ResPassPW, Coherent, Isoc: the firmware's choice */
#define FEATURE_INVALIDATE_ALL (1ull << 6)
#define STATUS_OVERFLOW 1ull
#define STATUS_RUNNING 0x18ull /* EventLogRun, CmdBufRun */

/* Device table entries (48882, 2.2.2.1) */
#define DTE_WORDS 4u
#define DTE_PER_BUS 256u
#define PAGES_PER_BUS 2u /* 256 entries of 32 bytes */
#define DTE0_V 1ull
#define DTE0_TV 2ull
#define DTE0_LEVELS4 (4ull << 9)
#define DTE0_IR (1ull << 61)
#define DTE0_IW (1ull << 62)
#define DTE2_IV 1ull
#define DTE2_INT_PASS (1ull << 60) /* IntCtl: fixed and lowest-priority interrupts as they are */
#define DOMAIN 1ull

/* Rings: one page each, length code 8 (2^8 entries of 16 bytes) */
#define RING_ENTRIES 256u
#define RING_CODE (8ull << 56)
#define COMMAND_WAIT (1ull << 60)
#define COMMAND_WAIT_STORE 1ull
#define COMMAND_DEVICE (2ull << 60)
#define COMMAND_PAGES (3ull << 60)
#define COMMAND_PAGES_ALL \
	0x7ffffffffffff003ull /* S, PDE and the address that means everything (2.4.3) */
#define COMMAND_ALL (8ull << 60)
#define EVENTS_PER_POLL 64u

/*
 * An absent entry whose next level is not 0: nothing to CPU and IOMMU (2.2.3: PR 0, all else
 * ignored), but QEMU 7.2 notices a refused access only where the entry is not all zero.
 */
#define NPTE_ABSENT_MARK (1ull << 9)

struct ring_entry {
	uint64_t v[2];
};

struct unit {
	const struct acpi_iommu *acpi;
	volatile uint8_t *regs;
	uint64_t pci_status; /* ECAM address of its PCI status register, 0 without ECAM */
	struct ring_entry *commands;
	volatile struct ring_entry *events;
	volatile uint64_t *done; /* what completion waits store */
	uint32_t capability;
	bool on;
};

static struct unit units[ACPI_IOMMU_MAX] RO_AFTER_INIT;
static uint32_t unit_count RO_AFTER_INIT; /* claimed */
static bool working RO_AFTER_INIT;        /* all of them translate */
static uint64_t *device_table RO_AFTER_INIT;
static uint32_t device_buses RO_AFTER_INIT; /* that it covers */

static struct lock iommu_lock;
static struct { /* [iommu_lock] */
	uint32_t command_tail;
	uint32_t event_head;
	uint64_t sequence;
} state[ACPI_IOMMU_MAX];
static uint32_t faults;          /* [iommu_lock] */
static uint64_t log_tokens = 64; /* [iommu_lock] a burst of 64 lines, then 8 a second */
static uint64_t log_refill_ns;   /* [iommu_lock] */
static uint64_t log_silent;      /* [iommu_lock] not logged since the last line */

static uint32_t pci_read(uint16_t device, uint16_t offset)
{
	arch_port_out(PCI_ADDRESS, 4, 0x80000000u | (uint32_t)device << 8 | (offset & 0xfcu));
	return arch_port_in(PCI_DATA, 4);
}

static void pci_write(uint16_t device, uint16_t offset, uint32_t v)
{
	arch_port_out(PCI_ADDRESS, 4, 0x80000000u | (uint32_t)device << 8 | (offset & 0xfcu));
	arch_port_out(PCI_DATA, 4, v);
}

static uint64_t reg_read(const struct unit *u, unsigned reg)
{
	return *(volatile uint64_t *)(u->regs + reg);
}

static void reg_write(const struct unit *u, unsigned reg, uint64_t v)
{
	*(volatile uint64_t *)(u->regs + reg) = v;
}

static uint64_t second_from_now(void)
{
	return arch_tsc() + time_tsc_hz();
}

/* --- claim --- */

/* Firmware may name memory by mistake: closing or programming that would hurt whoever owns it. */
static bool lies_in_ram(uint64_t base, uint64_t size)
{
	for (uint32_t i = 0; i < owner_count(); i++) {
		const struct owner_range *r = owner_get(i);

		if (r->owner != RD_OWNER_FIRMWARE && range_overlaps(r->base, r->size, base, size)) {
			return true;
		}
	}
	return false;
}

/* 3.2.1 to 3.2.3. NULL: fine. Enables the registers at IVRS's address where firmware has not. */
static const char *capability_check(struct unit *u)
{
	uint16_t device = u->acpi->device_id, at = u->acpi->cap_offset;
	uint64_t base;
	uint32_t low;

	if (at < 0x40 || at > 0xec || (at & 3) != 0) {
		return "IVRS puts its capability outside configuration space";
	}
	u->capability = pci_read(device, at);
	if ((u->capability & CAP_ID_TYPE) != CAP_IOMMU) {
		return "its PCI function has no IOMMU capability";
	}
	low = pci_read(device, at + CAP_BASE_LOW);
	base = (uint64_t)pci_read(device, at + CAP_BASE_HIGH) << 32 | (low & CAP_BASE_MASK);
	if ((low & CAP_BASE_ENABLE) != 0) {
		return base == u->acpi->base
			       ? NULL
			       : "its registers are locked at another address than IVRS says";
	}
	pci_write(device, at + CAP_BASE_HIGH, (uint32_t)(u->acpi->base >> 32));
	pci_write(device, at + CAP_BASE_LOW, (uint32_t)u->acpi->base | CAP_BASE_ENABLE);
	/* QEMU's is read-only and never says "enabled": the first completion wait is the proof. */
	return NULL;
}

static const char *unit_check(struct unit *u)
{
	const struct acpi_iommu *a = u->acpi;

	if (a->segment != 0) {
		return "its PCI segment is not 0";
	}
	if (a->base == 0 || (a->base & (REG_BYTES - 1)) != 0 ||
	    !range_within(a->base, REG_BYTES, 1ull << 48)) {
		return "its register address is not possible";
	}
	if (lies_in_ram(a->base, REG_BYTES)) {
		return "IVRS puts its registers into memory";
	}
	return capability_check(u);
}

static void ecam_find(const struct acpi_info *acpi, struct unit *u)
{
	uint8_t bus = (uint8_t)(u->acpi->device_id >> 8);

	for (uint32_t i = 0; i < acpi->ecam_count; i++) {
		if (acpi->ecam[i].segment == 0 && bus >= acpi->ecam[i].bus_start &&
		    bus <= acpi->ecam[i].bus_end) {
			u->pci_status = acpi->ecam[i].base + ((uint64_t)u->acpi->device_id << 12) +
					PCI_STATUS;
			return;
		}
	}
}

/* Fails: false only where the lists of mmio.c or port.c are full. */
bool arch_iommu_claim(void)
{
	const struct acpi_info *acpi = &boot_handoff.acpi;
	bool require = boot_handoff.options.iommu == OPTIONS_IOMMU_REQUIRE;

	if (boot_handoff.options.iommu == OPTIONS_IOMMU_OFF) {
		log_warn("iommu=off: %u IOMMU(s) left to the root", acpi->iommu_count);
		return true;
	}
	if (require && acpi->iommu_count == 0) {
		panic("iommu=require: no AMD IOMMU found: %s: switch it on in the firmware's setup "
		      "(QEMU: -device amd-iommu on q35), or use iommu=auto",
		      acpi->dmar_addr != 0 ? "ACPI has Intel's table (DMAR)"
					   : "ACPI has no usable IVRS");
	}
	for (uint32_t i = 0; i < acpi->iommu_count; i++) {
		const char *why;

		units[i].acpi = &acpi->iommu[i];
		why = unit_check(&units[i]);
		if (why != NULL && require) {
			panic("iommu=require: IOMMU %u at %lx: %s; "
			      "update the firmware or use iommu=auto",
			      i, acpi->iommu[i].base, why);
		}
		if (why != NULL) {
			log_error("IOMMU %u at %lx: %s: no IOMMU is used; update the firmware", i,
				  acpi->iommu[i].base, why);
			return true;
		}
		ecam_find(acpi, &units[i]);
	}
	for (uint32_t i = 0; i < acpi->iommu_count; i++) {
		if (!mmio_close(acpi->iommu[i].base, REG_BYTES) ||
		    !port_pci_protect(acpi->iommu[i].device_id, 0x00, 0xfff)) {
			return false;
		}
	}
	unit_count = acpi->iommu_count;
	return true;
}

/* --- commands --- */

/* Locks: iommu_lock held, or the root does not run yet. */
static void command(uint32_t which, uint64_t first, uint64_t second)
{
	const struct unit *u = &units[which];
	uint32_t at = state[which].command_tail;

	u->commands[at].v[0] = first;
	u->commands[at].v[1] = second;
	state[which].command_tail = (at + 1) % RING_ENTRIES;
}

/*
 * 2.4.1: hands over what was queued and waits until all of it is done, a second at most. Each
 * caller queues less than a ring, which is empty after every wait.
 */
static bool command_wait(uint32_t which)
{
	const struct unit *u = &units[which];
	uint64_t limit, wanted = ++state[which].sequence;

	command(which, COMMAND_WAIT | arch_heap_pa((const void *)u->done).v | COMMAND_WAIT_STORE,
		wanted);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	reg_write(u, REG_COMMAND_TAIL,
		  (uint64_t)state[which].command_tail * sizeof(struct ring_entry));
	limit = second_from_now();
	while (*u->done != wanted) {
		if (arch_tsc() > limit) {
			return false;
		}
		arch_cpu_relax();
	}
	return true;
}

/*
 * Context: any CPU; after a change of the root's nested page table. Locks: takes iommu_lock.
 * Fails: an IOMMU that stops answering is fatal.
 */
void arch_iommu_flush(void)
{
	if (unit_count == 0) {
		return;
	}
	lock_acquire(&iommu_lock);
	for (uint32_t i = 0; i < unit_count; i++) {
		if (units[i].on) {
			command(i, COMMAND_PAGES | DOMAIN << 32, COMMAND_PAGES_ALL);
			if (!command_wait(i)) {
				panic("IOMMU %u does not answer: devices may use old translations",
				      i);
			}
		}
	}
	lock_release(&iommu_lock);
}

/* --- start --- */

/*
 * The emulators' interrupt remapping cannot pass interrupts on: QEMU 7.2 turns every message that
 * IntCtl 01 should let through into vector 0. There interrupts stay unfiltered (IV 0).
 */
static bool emulated(void)
{
	uint32_t r[4];

	arch_cpuid(1, 0, r);
	return (r[2] & (1u << 31)) != 0;
}

/*
 * Every device: the root's table, 4 levels, no device TLB (I 0), no port I/O and no system
 * management messages (IoCtl, SysMgt 00), no exclusion range. Interrupts: IV with IntCtl 01 lets
 * fixed and lowest-priority ones through; INIT, NMI and ExtINT are refused as their pass bits are
 * 0, SMI always (2.2.2.1, 2.2.5).
 */
static bool device_table_make(void)
{
	uint32_t last = 0;
	bool filter = !emulated();

	for (uint32_t i = 0; i < unit_count; i++) {
		last = units[i].acpi->devid_max > last ? units[i].acpi->devid_max : last;
	}
	device_buses = last / DTE_PER_BUS + 1;
	device_table = heap_alloc((uint64_t)device_buses * PAGES_PER_BUS);
	if (device_table == NULL) {
		log_error("IOMMU: no %u KiB of hypervisor memory for device ids up to %x",
			  device_buses * PAGES_PER_BUS * 4, last);
		return false;
	}
	for (uint32_t i = 0; i < device_buses * DTE_PER_BUS; i++) {
		uint64_t *dte = &device_table[(uint64_t)i * DTE_WORDS];

		dte[0] = DTE0_V | DTE0_TV | DTE0_LEVELS4 | partition_root->npt.root.v | DTE0_IR |
			 DTE0_IW;
		dte[1] = DOMAIN;
		dte[2] = filter ? DTE2_IV | DTE2_INT_PASS : 0;
	}
	if (!filter) {
		log_warn("IOMMU: emulated: INIT, NMI and SMI messages of devices are not filtered");
	}
	return true;
}

/* Marks the highest absent entry on the way to `at`; returns where what it stands for ends. */
static uint64_t mark_one(uint64_t at)
{
	uint64_t *t = arch_heap_va(partition_root->npt.root);

	for (unsigned level = 4;; level--) {
		uint64_t span = 1ull << (PAGE_SHIFT + 9 * (level - 1));
		uint64_t *e = &t[(at / span) & 511];

		if (!arch_npte_present(*e)) {
			*e = NPTE_ABSENT_MARK;
			return align_down(at, span) + span;
		}
		if (arch_npte_is_leaf(*e, level)) {
			return align_down(at, span) + span;
		}
		t = arch_heap_va(arch_npte_addr(*e, level));
	}
}

/* So that every emulated IOMMU notices DMA to the hypervisor's frames and the pool. */
static void mark_closed(void)
{
	for (uint32_t i = 0; i < owner_count(); i++) {
		const struct owner_range *r = owner_get(i);
		uint64_t at = r->base;

		if (r->owner != RD_OWNER_HYPERVISOR && r->owner != RD_OWNER_POOL) {
			continue;
		}
		while (at < r->base + r->size) {
			at = mark_one(at);
		}
	}
}

static uint8_t *window_byte(uint64_t at)
{
	return (uint8_t *)arch_window_open(0, hpa(align_down(at, PAGE_SIZE))) +
	       (at & (PAGE_SIZE - 1));
}

/*
 * The root's driver must not find the IOMMU: another signature, and the checksum (byte 9 of the
 * header, ACPI 6.5, 5.2.6) lowered by what that added.
 */
static void ivrs_hide(uint64_t at)
{
	uint8_t *p;
	uint8_t added;

	if (at == 0) {
		return;
	}
	p = window_byte(at);
	added = (uint8_t)('-' - *p);
	*p = '-';
	arch_window_close(0);
	p = window_byte(at + 9);
	*p = (uint8_t)(*p - added);
	arch_window_close(0);
}

/* Off, and its engines at rest: firmware may have used it. */
static bool unit_stop(struct unit *u)
{
	uint64_t limit = second_from_now();

	reg_write(u, REG_CONTROL, reg_read(u, REG_CONTROL) & CONTROL_LINK);
	while ((reg_read(u, REG_STATUS) & STATUS_RUNNING) != 0) {
		if (arch_tsc() > limit) {
			return false;
		}
		arch_cpu_relax();
	}
	return true;
}

/*
 * 2.5: an empty log. Events must be off. Writing the base resets the pointers; QEMU wants that
 * said again.
 */
static void events_reset(uint32_t which)
{
	struct unit *u = &units[which];

	for (uint32_t i = 0; i < RING_ENTRIES; i++) {
		u->events[i].v[0] = 0;
		u->events[i].v[1] = 0;
	}
	reg_write(u, REG_EVENT_BASE, arch_heap_pa((const void *)u->events).v | RING_CODE);
	reg_write(u, REG_EVENT_HEAD, 0);
	reg_write(u, REG_EVENT_TAIL, 0);
	state[which].event_head = 0;
}

/* Whatever was cached before: everything at once, or entry by entry (2.4.2, 2.4.3, 2.4.8). */
static bool invalidate_all(uint32_t which)
{
	const struct unit *u = &units[which];

	if ((u->capability & CAP_EFR) != 0 &&
	    (reg_read(u, REG_FEATURES) & FEATURE_INVALIDATE_ALL) != 0) {
		command(which, COMMAND_ALL, 0);
	} else {
		for (uint32_t id = 0; id < device_buses * DTE_PER_BUS; id++) {
			command(which, COMMAND_DEVICE | id, 0);
			if (id % 128 == 127 && !command_wait(which)) {
				return false;
			}
		}
	}
	command(which, COMMAND_PAGES | DOMAIN << 32, COMMAND_PAGES_ALL);
	return command_wait(which);
}

static const char *unit_start(uint32_t which)
{
	struct unit *u = &units[which];
	uint64_t control;

	u->regs = paging_map_device(u->acpi->base, REG_BYTES);
	u->commands = heap_alloc(1);
	u->events = heap_alloc(1);
	u->done = heap_alloc(1);
	if (u->commands == NULL || u->events == NULL || u->done == NULL) {
		return "no memory for its queues";
	}
	if (reg_read(u, REG_CONTROL) == UINT64_MAX) {
		return "no registers answer there";
	}
	if (!unit_stop(u)) {
		return "its engines do not stop";
	}
	reg_write(u, REG_DEVICE_TABLE,
		  arch_heap_pa(device_table).v | (device_buses * PAGES_PER_BUS - 1));
	reg_write(u, REG_COMMAND_BASE, arch_heap_pa(u->commands).v | RING_CODE);
	reg_write(u, REG_COMMAND_HEAD, 0);
	reg_write(u, REG_COMMAND_TAIL, 0);
	events_reset(which);
	reg_write(u, REG_EXCLUSION_BASE, 0);
	reg_write(u, REG_EXCLUSION_LIMIT, 0);
	reg_write(u, REG_STATUS, STATUS_OVERFLOW);
	control = (reg_read(u, REG_CONTROL) & CONTROL_LINK) | CONTROL_COHERENT | CONTROL_EVENTS |
		  CONTROL_COMMANDS;
	reg_write(u, REG_CONTROL, control);
	reg_write(u, REG_CONTROL, control | CONTROL_IOMMU);
	u->on = true;
	return invalidate_all(which) ? NULL : "it does not carry out commands";
}

/* QEMU connects virtio devices past the IOMMU unless told otherwise: nobody here can change it. */
static void warn_virtio(void)
{
	for (uint32_t device = 0; device < device_buses * DTE_PER_BUS; device++) {
		if ((pci_read((uint16_t)device, 0) & 0xffff) == PCI_VENDOR_VIRTIO) {
			log_warn("virtio device %x:%x.%x: DMA bypasses the IOMMU unless QEMU has "
				 "iommu_platform=on for it",
				 device >> 8, (device >> 3) & 31, device & 7);
		}
	}
}

/* Context: first CPU, before the root runs. */
void arch_start_iommu(void)
{
	bool ok = unit_count != 0;

	if (unit_count == 0) {
		return;
	}
	ivrs_hide(boot_handoff.acpi.ivrs_addr);
	mark_closed();
	ok = device_table_make();
	for (uint32_t i = 0; ok && i < unit_count; i++) {
		const char *why = unit_start(i);

		if (why != NULL) {
			units[i].on = false;
			log_error("IOMMU %u at %lx: %s", i, units[i].acpi->base, why);
			ok = false;
		}
	}
	if (!ok && boot_handoff.options.iommu == OPTIONS_IOMMU_REQUIRE) {
		panic("iommu=require: an IOMMU cannot be used (see above): "
		      "use iommu=auto to go on without it");
	}
	working = ok;
	if (ok) {
		log_info("%u IOMMU(s): devices 0:0.0 to %x:1f.7 see the root's memory, others none",
			 unit_count, device_buses - 1);
		warn_virtio();
	}
}

uint32_t arch_iommu_count(void)
{
	return working ? unit_count : 0;
}

/* --- faults --- */

/* Locks: iommu_lock held. True where the budget allows one more line: the root can cause them. */
static bool may_log(void)
{
	uint64_t now = time_ns();
	uint64_t refill = (now - log_refill_ns) / (1000000000ull / 8);

	if (refill > 0) {
		log_tokens = log_tokens + refill > 64 ? 64 : log_tokens + refill;
		log_refill_ns = now;
	}
	if (log_tokens == 0) {
		log_silent++;
		return false;
	}
	log_tokens--;
	if (log_silent != 0) {
		log_warn("IOMMU: %lu more faults were not logged", log_silent);
		log_silent = 0;
	}
	return true;
}

/* 2.5: event code 63:60, flags 59:48, device 15:0, address 127:64. Code 2 is IO_PAGE_FAULT. */
static void event_report(uint32_t which, uint64_t first, uint64_t address)
{
	uint64_t code = first >> 60;

	faults++;
	if (may_log()) {
		log_warn("IOMMU %u: %s: device %lx:%lx.%lx, address %lx, event %lx, flags %lx",
			 which, code == 2 ? "DMA refused" : "error", (first >> 8) & 0xff,
			 (first >> 3) & 31, first & 7, address, code, (first >> 48) & 0xfff);
	}
}

/*
 * Locks: iommu_lock held. Takes entries as long as they are there, without asking the tail
 * register, which emulators do not move. Returns their number.
 */
static uint32_t events_take(uint32_t which)
{
	struct unit *u = &units[which];
	uint32_t n = 0;

	while (n < EVENTS_PER_POLL) {
		volatile struct ring_entry *e = &u->events[state[which].event_head];
		uint64_t first = e->v[0], address = e->v[1];

		if (first == 0) {
			break;
		}
		e->v[0] = 0;
		e->v[1] = 0;
		state[which].event_head = (state[which].event_head + 1) % RING_ENTRIES;
		event_report(which, first, address);
		n++;
	}
	if (n != 0) {
		reg_write(u, REG_EVENT_HEAD,
			  (uint64_t)state[which].event_head * sizeof(struct ring_entry));
	}
	return n;
}

/* Locks: iommu_lock held. After an overflow the log goes on only when switched off and on (2.5). */
static void events_restart(uint32_t which)
{
	struct unit *u = &units[which];
	uint64_t control = reg_read(u, REG_CONTROL);
	uint64_t limit = second_from_now();

	faults++;
	if (may_log()) {
		log_warn("IOMMU %u: fault log overflowed: some faults are not counted", which);
	}
	reg_write(u, REG_CONTROL, control & ~CONTROL_EVENTS);
	while ((reg_read(u, REG_STATUS) & 8) != 0 && arch_tsc() < limit) {
		arch_cpu_relax();
	}
	reg_write(u, REG_STATUS, STATUS_OVERFLOW);
	events_reset(which);
	reg_write(u, REG_CONTROL, control);
}

/*
 * Locks: iommu_lock held. QEMU 7.2 never writes its event log, but it does set Signaled Target
 * Abort in the IOMMU's PCI status: one fault or more since the last look, of a device that it does
 * not name.
 */
static void pci_status_take(uint32_t which, bool told)
{
	uint64_t at = units[which].pci_status;

	if (at == 0 || (arch_mmio_read(hpa(at), 2) & PCI_STATUS_SIGNALED_TARGET_ABORT) == 0) {
		return;
	}
	arch_mmio_write(hpa(at), 2, PCI_STATUS_SIGNALED_TARGET_ABORT); /* write 1 to clear */
	if (told) {
		return;
	}
	faults++;
	if (may_log()) {
		log_warn("IOMMU %u: DMA refused (target abort; device and address not reported)",
			 which);
	}
}

/* Context: any CPU. Bounded: EVENTS_PER_POLL for each IOMMU. */
uint32_t arch_iommu_faults(void)
{
	uint32_t total;

	if (unit_count == 0) {
		return 0;
	}
	lock_acquire(&iommu_lock);
	for (uint32_t i = 0; i < unit_count; i++) {
		if (units[i].on) {
			uint32_t n = events_take(i);

			pci_status_take(i, n != 0);
			if ((reg_read(&units[i], REG_STATUS) & STATUS_OVERFLOW) != 0) {
				events_restart(i);
			}
		}
	}
	total = faults;
	lock_release(&iommu_lock);
	return total;
}

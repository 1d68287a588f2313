// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Attacks on memory by CPU. The mapping is made by hand (paging.c): Linux's own functions refuse
 * some of it, which would say nothing about the hypervisor.
 */
#include <linux/acpi.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <asm/msr-index.h>
#include <asm/traps.h>

#include "redteam/root/attack.h"

#define MAGIC 0x4b43415454415252ull

int window_read64(phys_addr_t physical, u64 *value)
{
	struct window window;
	unsigned long flags;
	int fault;

	*value = 0;
	if (!window_create(&window))
		return X86_TRAP_BR; /* cannot tell: shown as "another fault" */
	local_irq_save(flags);
	window_enter(&window);
	fault = try_read64(window_map(&window, 0, physical), value);
	window_leave(&window);
	local_irq_restore(flags);
	window_destroy(&window);
	return fault;
}

/* Registers want to be read as what they are. */
static int window_read32(phys_addr_t physical, u32 *value)
{
	struct window window;
	unsigned long flags;
	int fault;

	*value = 0;
	if (!window_create(&window))
		return X86_TRAP_BR;
	local_irq_save(flags);
	window_enter(&window);
	fault = try_read32(window_map(&window, 0, physical), value);
	window_leave(&window);
	local_irq_restore(flags);
	window_destroy(&window);
	return fault;
}

int window_exchange64(phys_addr_t physical, u64 flip, u64 *changed)
{
	struct window window;
	unsigned long flags;
	u64 old, new;
	void *at;
	int fault;

	*changed = 0;
	if (!window_create(&window))
		return X86_TRAP_BR;
	local_irq_save(flags);
	window_enter(&window);
	at = window_map(&window, 0, physical);
	fault = try_read64(at, &old);
	if (fault == NO_FAULT)
		fault = try_write64(at, old ^ flip);
	/* Where reading is refused writing may not be, but then nothing can be put back. */
	if (fault == NO_FAULT)
		fault = try_read64(at, &new);
	if (fault == NO_FAULT) {
		*changed = new ^ old;
		fault = try_write64(at, old);
	}
	window_leave(&window);
	local_irq_restore(flags);
	window_destroy(&window);
	return fault;
}

/* A write that does not read first: fault or not is all there is to see. */
static int window_write(phys_addr_t physical, u64 value, unsigned int bytes)
{
	struct window window;
	unsigned long flags;
	void *at;
	int fault;

	if (!window_create(&window))
		return X86_TRAP_BR;
	local_irq_save(flags);
	window_enter(&window);
	at = window_map(&window, 0, physical);
	fault = bytes == 4 ? try_write32(at, (u32)value) : try_write64(at, value);
	window_leave(&window);
	local_irq_restore(flags);
	window_destroy(&window);
	return fault;
}

static struct outcome cpu_read(const struct attack *attack)
{
	int fault = NO_FAULT;
	unsigned int i;

	for (i = 0; i < victim_count(); i++) {
		u64 value;

		fault = window_read64(victim(i), &value);
		if (fault == NO_FAULT && value != ~0ull)
			return outcome(SUCCEEDED, "%#llx holds %#llx", victim(i), value);
	}
	if (fault == NO_FAULT)
		return outcome(BLOCKED, "%u pages read as ones", i);
	return outcome(BLOCKED, "%s at each of %u pages", fault_name(fault), i);
}

static struct outcome cpu_write(const struct attack *attack)
{
	int fault = NO_FAULT;
	unsigned int i;

	for (i = 0; i < victim_count(); i++) {
		u64 denied = denied_count();
		u64 changed;

		fault = window_exchange64(victim(i), ~0ull, &changed);
		if (fault == NO_FAULT && changed)
			return outcome(SUCCEEDED, "%#llx was changed (and put back)", victim(i));
		if (fault == NO_FAULT)
			continue;
		/* Reading is refused; is a blind write, too? */
		fault = window_write(victim(i) + PAGE_SIZE - 8, 0, 8);
		if (fault == NO_FAULT && denied_count() == denied)
			return outcome(SUCCEEDED, "a write to %#llx was not refused", victim(i));
	}
	if (fault == NO_FAULT)
		return outcome(BLOCKED, "writes to %u pages have no effect", i);
	return outcome(BLOCKED, "%s at each of %u pages", fault_name(fault), i);
}

/* Let the page walker of the CPU read (and mark) the victim as a page table. */
static struct outcome cpu_walk(const struct attack *attack)
{
	u64 *page = (void *)get_zeroed_page(GFP_KERNEL);
	phys_addr_t table = victim(0);
	struct window window;
	unsigned long flags;
	u64 denied, old, value;
	u64 *entry;
	bool open;
	int fault;

	if (!page || !window_create(&window)) {
		free_page((unsigned long)page);
		return outcome(ERROR, "no memory");
	}
	*page = MAGIC;
	open = window_read64(table, &old) == NO_FAULT;
	denied = denied_count();
	local_irq_save(flags);
	window_enter(&window);
	/* If the victim lies open, make it a table that leads to our page. */
	entry = window_map(&window, 0, table);
	if (open)
		try_write64(entry, virt_to_phys(page) | 3);
	window.directory[1] = table | 3;
	fault = try_read64((void *)(WINDOW_BASE + PMD_SIZE), &value);
	if (open)
		try_write64(entry, old);
	window_leave(&window);
	local_irq_restore(flags);
	window_destroy(&window);
	free_page((unsigned long)page);
	if (fault == NO_FAULT)
		return outcome(SUCCEEDED, "the walker used it and found %#llx", value);
	/* #PF is also what a walker says that read an entry there and found it not present. */
	if (fault == X86_TRAP_PF && denied_count() == denied)
		return outcome(ERROR, "#PF, not counted as denied: the walker may have read it");
	return blocked_by(fault);
}

/*
 * The interrupt controller of the physical CPU, through its page: with it come INIT and SIPI for
 * every CPU.
 */
static struct outcome apic_page(const struct attack *attack)
{
	u64 apic_base = 0;
	u32 value;
	int fault;

	try_rdmsr(MSR_IA32_APICBASE, &apic_base);
	fault = window_read32(0xfee00030, &value); /* version */
	if (fault != NO_FAULT)
		return blocked_by(fault);
	if (value == 0xffffffff || value == 0)
		return outcome(BLOCKED, "no register answers: %#x", value);
	if (below_hypervisor() && !(apic_base & X2APIC_ENABLE))
		return outcome(BLOCKED, "the virtual APIC answers, in xAPIC mode");
	return outcome(SUCCEEDED, "the local APIC answers: version %#x", value);
}

static bool hypervisor_has_iommu(void)
{
	struct rd_info *info = kmalloc(sizeof(*info), GFP_KERNEL);
	bool has = info && get_info(info) && info->iommu_count;

	kfree(info);
	return has;
}

/* Where the IOMMU's registers are: ACPI says so, unless the hypervisor hides the table. */
static phys_addr_t iommu_registers(void)
{
	struct acpi_table_header *table;
	phys_addr_t base = 0;

	if (ACPI_SUCCESS(acpi_get_table(ACPI_SIG_IVRS, 0, &table))) {
		const u8 *unit = (const u8 *)table + sizeof(struct acpi_table_ivrs);

		if (table->length >= sizeof(struct acpi_table_ivrs) + 16)
			memcpy(&base, unit + 8, sizeof(base));
		acpi_put_table(table);
	} else if (hypervisor_has_iommu()) {
		base = 0xfed80000; /* where QEMU has it */
	}
	return base;
}

/* Turn the IOMMU off: then every device reads and writes what it is told to. */
static struct outcome iommu_off(const struct attack *attack)
{
	phys_addr_t base = iommu_registers();
	u64 changed;
	int fault;

	if (!base)
		return outcome(SKIPPED, "no IOMMU in this machine");
	fault = window_exchange64(base + 0x18, 1, &changed);
	if (fault != NO_FAULT)
		return blocked_by(fault);
	if (changed & 1)
		return outcome(SUCCEEDED, "its control register was changed (and put back)");
	return outcome(BLOCKED, "its control register does not change");
}

#define TPM_ACCESS(locality) (0xfed40000ull + ((u64)(locality) << 12))
#define TPM_ACTIVE 0x20u
#define TPM_SEIZE 0x08u
#define TPM_REQUEST 0x02u

/*
 * A locality of the TPM above 0: whoever has 2 extends and resets PCR 22, and says to the verifier
 * what was booted.
 */
static struct outcome tpm_locality(const struct attack *attack)
{
	u32 value;
	int fault = window_read32(TPM_ACCESS(0), &value);
	u32 i;

	if (fault != NO_FAULT || value == 0xffffffff)
		return outcome(SKIPPED, "no TPM with a TIS interface");
	for (i = 1; i <= 4; i++) {
		window_write(TPM_ACCESS(i), TPM_REQUEST, 4);
		window_write(TPM_ACCESS(i), TPM_SEIZE, 4);
		fault = window_read32(TPM_ACCESS(i), &value);
		if (fault != NO_FAULT || value == 0xffffffff)
			continue;
		if (value & TPM_ACTIVE) {
			window_write(TPM_ACCESS(i), TPM_ACTIVE, 4);
			return outcome(SUCCEEDED, "locality %u was granted (and given up)", i);
		}
		return outcome(ERROR, "locality %u answers %#x", i, value);
	}
	if (fault != NO_FAULT)
		return blocked_by(fault);
	return outcome(BLOCKED, "localities 1 to 4 read as ones");
}

const struct attack memory_attacks[] = {
	{ "cpu-read", "secrets of the hypervisor and of every child", cpu_read },
	{ "cpu-write", "code in the hypervisor", cpu_write },
	{ "cpu-walk", "the page walker as a way to read and mark hypervisor memory", cpu_walk },
	{ "apic-page", "INIT and SIPI to physical CPUs", apic_page },
	{ "iommu-off", "DMA to anywhere", iommu_off },
	{ "tpm-locality", "the measurements of another machine", tpm_locality },
	{}
};

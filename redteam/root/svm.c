// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * The instructions of SVM, at ring 0. Bare they are tried with EFER.SVME set, and work; above the
 * hypervisor EFER.SVME is set in truth and hidden, so each has to be intercepted and answered with
 * #UD.
 */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/string.h>

#include <asm/asm.h>
#include <asm/msr-index.h>
#include <asm/processor.h>

#include "redteam/root/attack.h"

/* One instruction with RAX and RCX given; `after` runs only if it did not fault. */
#define TRY(first, bytes, after)                                   \
	({                                                         \
		u64 rax__ = (first);                               \
		asm volatile("1: .byte " bytes "\n\t" after "\n\t" \
			     "mov $-1, %%eax\n"                    \
			     "2:\n" _ASM_EXTABLE_FAULT(1b, 2b)     \
			     : "+a"(rax__)                         \
			     : "c"(1)                              \
			     : "memory", "cc");                    \
		(int)rax__;                                        \
	})

#define STGI_BYTES "0x0f, 0x01, 0xdc"

enum { VMRUN, VMLOAD, VMSAVE, STGI, CLGI, SKINIT, INVLPGA };

static int try_svm(u32 which, phys_addr_t page)
{
	switch (which) {
	case VMRUN:
		/* A block of zeros is refused at once; #VMEXIT leaves GIF clear. */
		return TRY(page, "0x0f, 0x01, 0xd8", ".byte " STGI_BYTES);
	case VMLOAD:
		/* So that, if it works, it loads what is there already. */
		TRY(page, "0x0f, 0x01, 0xdb", "");
		return TRY(page, "0x0f, 0x01, 0xda", "");
	case VMSAVE:
		return TRY(page, "0x0f, 0x01, 0xdb", "");
	case STGI:
		return TRY(0, STGI_BYTES, "");
	case CLGI:
		return TRY(0, "0x0f, 0x01, 0xdd", ".byte " STGI_BYTES);
	case SKINIT:
		return TRY(0, "0x0f, 0x01, 0xde", "");
	default:
		return TRY(0, "0x0f, 0x01, 0xdf", "");
	}
}

static struct outcome svm_instruction(const struct attack *attack)
{
	u8 *pages = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, 1);
	u64 efer = 0, hsave = 0;
	unsigned long flags;
	int armed, fault;

	if (!pages)
		return outcome(ERROR, "no memory");
	if (attack->argument == SKINIT && !below_hypervisor() &&
	    (cpuid_ecx(0x80000001) & 1 << 12)) {
		free_pages((unsigned long)pages, 1);
		return outcome(SKIPPED, "bare it works, and gives the CPU away");
	}
	local_irq_save(flags);
	try_rdmsr(MSR_EFER, &efer);
	armed = try_wrmsr(MSR_EFER, efer | EFER_SVME);
	if (attack->argument == VMRUN) {
		try_rdmsr(0xc0010117, &hsave);
		try_wrmsr(0xc0010117, virt_to_phys(pages + PAGE_SIZE));
	}
	fault = try_svm(attack->argument, virt_to_phys(pages));
	if (attack->argument == VMRUN)
		try_wrmsr(0xc0010117, hsave);
	try_wrmsr(MSR_EFER, efer);
	local_irq_restore(flags);
	free_pages((unsigned long)pages, 1);
	if (fault == NO_FAULT)
		return outcome(SUCCEEDED, "it was executed");
	if (!below_hypervisor())
		return outcome(SKIPPED, "bare: %s: this CPU does not have it (SVME %s)",
			       fault_name(fault), armed == NO_FAULT ? "set" : "refused");
	return blocked_by(fault);
}

/* A root that finds SVM would try to be a hypervisor itself. */
static struct outcome cpuid_svm(const struct attack *attack)
{
	u32 eax, ebx, ecx, edx;

	cpuid(0x8000000a, &eax, &ebx, &ecx, &edx);
	if (cpuid_ecx(0x80000001) & 1 << 2)
		return outcome(SUCCEEDED, "the SVM bit is shown");
	if (eax | ebx | ecx | edx)
		return outcome(SUCCEEDED, "leaf 8000000A is shown: %#x %#x", eax, edx);
	return outcome(BLOCKED, "hidden");
}

/* INVD throws away what the caches hold and memory does not: the hypervisor's last writes, too. */
static struct outcome invd(const struct attack *attack)
{
	u64 denied = denied_count();
	int fault;

	if (!below_hypervisor() && !on_qemu_tcg())
		return outcome(SKIPPED, "bare it works, and loses our own data");
	fault = TRY(0, "0x0f, 0x08", "");
	if (fault != NO_FAULT)
		return blocked_by(fault);
	if (!below_hypervisor())
		return outcome(SUCCEEDED, "it was executed (QEMU has no cache to lose)");
	if (denied_count() != denied)
		return outcome(BLOCKED, "replaced by something harmless");
	return on_qemu() ? outcome(SKIPPED, "QEMU's TCG has no cache, and takes INVD for WBINVD")
			 : outcome(ERROR, "no fault and no count: replaced, or executed?");
}

const struct attack svm_attacks[] = {
	{ "cpuid-svm", "knowledge that SVM is there", cpuid_svm },
	{ "svm-vmrun", "a world switch of our own", svm_instruction, VMRUN },
	{ "svm-vmload", "hidden processor state loaded from our memory", svm_instruction, VMLOAD },
	{ "svm-vmsave", "hidden processor state of the hypervisor", svm_instruction, VMSAVE },
	{ "svm-stgi", "interrupts inside the hypervisor's critical parts", svm_instruction, STGI },
	{ "svm-clgi", "a CPU that takes no interrupt, NMI or INIT", svm_instruction, CLGI },
	{ "svm-skinit", "the CPU, with a measured launch of our own", svm_instruction, SKINIT },
	{ "svm-invlpga", "other address spaces' translations dropped", svm_instruction, INVLPGA },
	{ "invd", "the hypervisor's last writes lost", invd },
	{}
};

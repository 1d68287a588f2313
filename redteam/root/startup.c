// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * INIT and SIPI: start another CPU at sixteen-bit code of ours. If that CPU came up without the
 * hypervisor, its CPUID would show it. The same captive CPU then serves as the target of INITs and
 * SMIs from devices (ipi.c).
 */
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/string.h>

#include <asm/msr-index.h>
#include <asm/smp.h>
#include <asm/traps.h>

#include "redteam/root/attack.h"

#define COUNTER 0x180
#define SIGNATURE 0x184
#define NMI_COUNT 0x188
#define INTERRUPT_COUNT 0x18c
#define DESCRIPTORS_BASE 0xe2
#define DESCRIPTORS 0xe8
#define NMI_CODE 0xc0
#define INTERRUPT_CODE 0xc8

/*
 * At the start of a page below 1 MiB, with CS pointing at it. It opens its local APIC to interrupts
 * (INIT has closed it), in either mode, and counts them. No interrupt is ended: the first one of a
 * priority class is also the last.
 */
asm(".pushsection .rodata, \"a\"\n"
    ".code16\n"
    "captive_code:\n"
    "	mov %cs, %ax\n"
    "	mov %ax, %ss\n"
    "	mov $0xffe, %sp\n"
    "	mov $0x40000100, %eax\n" /* RD_CPUID_LEAF */
    "	cpuid\n"
    "	mov %ebx, %cs:0x184\n"
    "	mov $0x1b, %ecx\n" /* IA32_APIC_BASE */
    "	rdmsr\n"
    "	test $0x400, %eax\n" /* x2APIC */
    "	mov $0x1ff, %eax\n"
    "	jz 1f\n"
    "	xor %edx, %edx\n"
    "	mov $0x80f, %ecx\n"
    "	wrmsr\n"
    "	jmp 2f\n"
    "1:	lgdtl %cs:0xe0\n"
    "	mov %cr0, %ecx\n"
    "	or $1, %cl\n"
    "	mov %ecx, %cr0\n"
    "	mov $8, %dx\n"
    "	mov %dx, %ds\n" /* a limit of 4 GiB, which real mode keeps */
    "	and $0xfe, %cl\n"
    "	mov %ecx, %cr0\n"
    "	mov $0xfee000f0, %edx\n"
    "	addr32 mov %eax, (%edx)\n"
    "2:	sti\n"
    "3:	incl %cs:0x180\n"
    "	pause\n"
    "	jmp 3b\n"
    "	.org captive_code + 0xc0\n"
    "	incl %cs:0x188\n"
    "	iret\n"
    "	.org captive_code + 0xc8\n"
    "	incl %cs:0x18c\n"
    "	iret\n"
    "	.org captive_code + 0xe0\n"
    "	.word 15\n"
    "	.long 0\n"
    "	.org captive_code + 0xe8\n"
    "	.quad 0, 0x00cf92000000ffff\n"
    "captive_code_end:\n"
    ".code64\n"
    ".popsection\n");

extern const u8 captive_code[], captive_code_end[];

static void __iomem *apic_registers;

void apic_map(void)
{
	apic_registers = ioremap(0xfee00000, PAGE_SIZE);
}

void apic_unmap(void)
{
	if (apic_registers)
		iounmap(apic_registers);
}

/* Write the ICR of this CPU; low holds the delivery mode. NO_FAULT or the exception. */
int apic_icr(u32 destination, u32 low)
{
	u64 base = 0;
	int fault;

	try_rdmsr(MSR_IA32_APICBASE, &base);
	if (base & X2APIC_ENABLE)
		return try_wrmsr(0x830, (u64)destination << 32 | low);
	if (!apic_registers)
		return X86_TRAP_BR;
	fault = try_write32((void __force *)apic_registers + 0x310, destination << 24);
	if (fault == NO_FAULT)
		fault = try_write32((void __force *)apic_registers + 0x300, low);
	return fault;
}

/* Linux gives out nothing below 1 MiB, and its own start-up code is near the end of it. */
phys_addr_t low_page(void)
{
	phys_addr_t page;

	for (page = 0x10000; page < 0x30000; page += PAGE_SIZE)
		if (page_is_ram(page >> PAGE_SHIFT))
			return page;
	return 0;
}

static u32 captive_word(const struct captive *captive, unsigned int offset)
{
	return READ_ONCE(*(u32 *)(captive->page + offset));
}

bool captive_runs(const struct captive *captive)
{
	u32 before = captive_word(captive, COUNTER);

	msleep(50);
	return captive_word(captive, COUNTER) != before;
}

u32 captive_nmi_count(const struct captive *captive)
{
	return captive_word(captive, NMI_COUNT);
}

u32 captive_interrupt_count(const struct captive *captive)
{
	return captive_word(captive, INTERRUPT_COUNT);
}

/* Its code, and all of its interrupt vectors. */
static void captive_plant(const struct captive *captive)
{
	u16 *vectors = __va(0);
	unsigned int vector;

	memset(captive->page, 0, sizeof(captive->saved));
	memcpy(captive->page, captive_code, captive_code_end - captive_code);
	*(u32 *)(captive->page + DESCRIPTORS_BASE) = virt_to_phys(captive->page) + DESCRIPTORS;
	for (vector = 0; vector < 256; vector++) {
		vectors[2 * vector] = vector == X86_TRAP_NMI ? NMI_CODE : INTERRUPT_CODE;
		vectors[2 * vector + 1] = virt_to_phys(captive->page) >> 4;
	}
}

static int captive_start(const struct captive *captive)
{
	u32 vector = virt_to_phys(captive->page) >> PAGE_SHIFT;
	int fault;

	fault = apic_icr(captive->apic_id, MODE_INIT | ICR_ASSERT);
	if (fault != NO_FAULT)
		return fault;
	msleep(20);
	fault = apic_icr(captive->apic_id, MODE_STARTUP | vector);
	if (fault != NO_FAULT)
		return fault;
	msleep(20);
	if (captive_word(captive, COUNTER) == 0)
		fault = apic_icr(captive->apic_id, MODE_STARTUP | vector);
	msleep(20);
	return fault;
}

struct after {
	bool below;
};

static void look_around(void *data)
{
	struct after *after = data;

	after->below = below_hypervisor();
}

/* Give the CPU back to Linux: INIT and SIPI once more. */
static int captive_release(const struct captive *captive, struct after *after)
{
	int error = add_cpu(captive->cpu);

	if (!error)
		error = smp_call_function_single(captive->cpu, look_around, after, 1);
	/* An unseen start elsewhere must not find its code changed under it. */
	if (!error) {
		memcpy(captive->page, captive->saved, sizeof(captive->saved));
		memcpy(__va(0), captive->saved_vectors, sizeof(captive->saved_vectors));
	}
	return error;
}

/* The last one that there is: a CPU that was lost stays offline. 0: none but this one. */
static unsigned int captive_choose(void)
{
	unsigned int chosen = 0;
	unsigned int cpu;

	for_each_online_cpu(cpu) chosen = cpu;
	return chosen;
}

/* Verdict BLOCKED means that there is a captive, which has to be judged. */
struct outcome captive_take(struct captive *captive)
{
	struct after after;
	int fault;

	if (cpu_lost)
		return outcome(SKIPPED, "a CPU was lost before");
	captive->cpu = captive_choose();
	if (!captive->cpu)
		return outcome(SKIPPED, "one CPU only");
	if (!low_page())
		return outcome(ERROR, "no memory below 1 MiB");
	captive->apic_id = per_cpu(x86_cpu_to_apicid, captive->cpu);
	captive->page = __va(low_page());
	if (remove_cpu(captive->cpu))
		return outcome(ERROR, "CPU %u cannot be taken offline", captive->cpu);
	memcpy(captive->saved, captive->page, sizeof(captive->saved));
	memcpy(captive->saved_vectors, __va(0), sizeof(captive->saved_vectors));
	captive_plant(captive);
	fault = captive_start(captive);
	if (fault == NO_FAULT && captive_runs(captive))
		return outcome(BLOCKED, "captive");
	cpu_lost = captive_release(captive, &after) != 0;
	if (fault != NO_FAULT)
		return blocked_by(fault);
	return outcome(ERROR, "INIT and SIPI did not start our code on CPU %u", captive->cpu);
}

/* Whether INIT and SIPI start our code again. Linux would wait 10 s for a CPU that is gone. */
static bool captive_revive(const struct captive *captive)
{
	unsigned int tries;

	for (tries = 0; tries < 10; tries++)
		if (captive_start(captive) == NO_FAULT && captive_runs(captive))
			return true;
	return false;
}

/* Say what `what` did to the CPU, and give it back to Linux. */
struct outcome captive_judge(struct captive *captive, const char *what)
{
	struct after after = {};
	bool ran;
	int error;

	msleep(20); /* what was sent has arrived */
	ran = captive_runs(captive);
	if (!ran && !captive_revive(captive))
		return outcome(SUCCEEDED, "CPU %u is lost by %s: it does not start again",
			       captive->cpu, what);
	error = captive_release(captive, &after);
	cpu_lost = error != 0;
	if (error)
		return outcome(SUCCEEDED, "CPU %u is lost after %s: error %d", captive->cpu, what,
			       error);
	if (below_hypervisor() && !after.below)
		return outcome(SUCCEEDED, "CPU %u left the hypervisor by %s", captive->cpu, what);
	if (below_hypervisor())
		return outcome(BLOCKED, "%sCPU %u %s", ran ? "" : "only the virtual ", captive->cpu,
			       ran ? "ran on" : "stopped, and it started again");
	return ran ? outcome(SKIPPED, "bare: %s did nothing", what)
		   : outcome(SUCCEEDED, "%s stopped CPU %u", what, captive->cpu);
}

static struct outcome init_sipi(const struct attack *attack)
{
	struct captive captive;
	struct outcome result = captive_take(&captive);
	u32 signature;

	if (result.verdict != BLOCKED || strcmp(result.how, "captive") != 0)
		return result;
	signature = captive_word(&captive, SIGNATURE);
	result = captive_judge(&captive, "INIT and SIPI");
	if (result.verdict == SUCCEEDED && below_hypervisor())
		return result;
	if (signature == RD_CPUID_EBX)
		return outcome(BLOCKED, "CPU %u came up above the hypervisor", captive.cpu);
	return outcome(SUCCEEDED, "CPU %u ran our 16-bit code with nothing below it", captive.cpu);
}

/* INIT to everyone but us: CPUs that the root does not own must not hear it. */
static struct outcome init_all(const struct attack *attack)
{
	static struct cpumask others; /* Linux cannot do without these: offline, too */
	struct captive captive;
	struct outcome result = captive_take(&captive);
	unsigned int cpu;
	int fault;

	if (result.verdict != BLOCKED || strcmp(result.how, "captive") != 0)
		return result;
	cpumask_copy(&others, cpu_online_mask);
	cpumask_clear_cpu(0, &others);
	for_each_cpu(cpu, &others) remove_cpu(cpu);
	fault = apic_icr(0, 0xc0000 | MODE_INIT | ICR_ASSERT);
	result = captive_judge(&captive, "INIT to all but self");
	for_each_cpu(cpu, &others) if (add_cpu(cpu))
		result = outcome(SUCCEEDED, "CPU %u is lost by INIT to all but self", cpu);
	return fault != NO_FAULT && result.verdict == BLOCKED ? blocked_by(fault) : result;
}

const struct attack startup_attacks[] = { { "init-sipi", "a CPU without the hypervisor",
					    init_sipi },
					  { "init-all", "all other CPUs stopped", init_all },
					  {} };

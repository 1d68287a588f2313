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
#define NMI_CODE 0x80
#define NMI_VECTOR_AT 8

/* At the start of a page below 1 MiB, with CS pointing at it. */
asm(".pushsection .rodata, \"a\"\n"
    ".code16\n"
    "captive_code:\n"
    "	mov %cs, %ax\n"
    "	mov %ax, %ss\n"
    "	mov $0xffe, %sp\n"
    "	mov $0x40000100, %eax\n" /* RD_CPUID_LEAF */
    "	cpuid\n"
    "	mov %ebx, %cs:0x184\n"
    "1:	incl %cs:0x180\n"
    "	pause\n"
    "	jmp 1b\n"
    "	.org captive_code + 0x80\n"
    "	incl %cs:0x188\n"
    "	iret\n"
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
		memcpy(__va(NMI_VECTOR_AT), captive->saved_vector, sizeof(captive->saved_vector));
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
	u16 *vector = __va(NMI_VECTOR_AT);
	int fault;

	struct after after;

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
	memcpy(captive->saved_vector, vector, sizeof(captive->saved_vector));
	memset(captive->page, 0, sizeof(captive->saved));
	memcpy(captive->page, captive_code, captive_code_end - captive_code);
	vector[0] = NMI_CODE;
	vector[1] = virt_to_phys(captive->page) >> 4;
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

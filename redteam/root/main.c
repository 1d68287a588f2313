// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * attack.ko: what a malicious root kernel does to the hypervisor below it. insmod attack.ko
 * attack=NAME|all; one line per attack in the kernel log: "ATTACK name:
 * BLOCKED(how)|SUCCEEDED(how)|SKIPPED(why)|ERROR(why)". See README.md.
 */
#include <linux/delay.h>
#include <linux/dmi.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <asm/processor.h>

#include "redteam/root/attack.h"

static char *attack_name = "all";
module_param_named(attack, attack_name, charp, 0400);
MODULE_PARM_DESC(attack, "name of an attack, a prefix ending in '*', 'all' (default), or 'list'");

static ulong target;
module_param(target, ulong, 0400);
MODULE_PARM_DESC(target, "physical address to attack instead of the hypervisor's memory");

#define VICTIMS 64

static phys_addr_t victims[VICTIMS];
static unsigned int victims_used;
static void *own_victim;
static unsigned int verdict_count[ERROR + 1];

static const char *const verdict_names[] = { "BLOCKED", "SUCCEEDED", "SKIPPED", "ERROR" };

static const struct attack *const groups[] = {
	memory_attacks, confuse_attacks, msr_attacks, svm_attacks,  port_attacks,     a20_attacks,
	edu_attacks,    startup_attacks, ipi_attacks, last_attacks, cpu_loss_attacks,
};

struct outcome outcome(enum verdict verdict, const char *format, ...)
{
	struct outcome result = { .verdict = verdict };
	va_list arguments;

	va_start(arguments, format);
	vscnprintf(result.how, sizeof(result.how), format, arguments);
	va_end(arguments);
	return result;
}

bool below_hypervisor(void)
{
	u32 eax, ebx, ecx, edx;

	cpuid(RD_CPUID_LEAF, &eax, &ebx, &ecx, &edx);
	return ebx == RD_CPUID_EBX && ecx == RD_CPUID_ECX && edx == RD_CPUID_EDX;
}

/* Bare, some attacks are safe only because nothing real is at stake. */
bool on_qemu_tcg(void)
{
	u32 eax, ebx, ecx, edx;

	cpuid(0x40000000, &eax, &ebx, &ecx, &edx);
	return ebx == 0x54474354 && ecx == 0x43544743 && edx == 0x47435447; /* TCGTCGTCGTCG */
}

/* Also above the hypervisor, which has its own name in CPUID. */
bool on_qemu(void)
{
	return dmi_name_in_vendors("QEMU");
}

unsigned int victim_count(void)
{
	return victims_used;
}

phys_addr_t victim(unsigned int index)
{
	return victims[index];
}

/* Bare: what the victim holds may be chosen and changed. */
bool victim_is_ours(void)
{
	return own_victim || target;
}

u64 denied_count(void)
{
	struct rd_info *info = kmalloc(sizeof(*info), GFP_KERNEL);
	u64 count = 0;

	if (info && get_info(info))
		count = info->denied_msr + info->denied_port + info->denied_memory +
			info->denied_insn + info->iommu_faults;
	kfree(info);
	return count;
}

/* First, last and some pages between of what the hypervisor has. */
static void add_victims(const struct rd_mem_range *range)
{
	phys_addr_t first = PAGE_ALIGN(range->base);
	phys_addr_t end = (range->base + range->size) & PAGE_MASK;
	u64 pages = end > first ? (end - first) >> PAGE_SHIFT : 0;
	u64 step = max_t(u64, pages / 8, 1);
	u64 page;

	for (page = 0; page < pages && victims_used < VICTIMS; page += step)
		victims[victims_used++] = first + (page << PAGE_SHIFT);
	if (pages > 1 && victims_used < VICTIMS)
		victims[victims_used++] = end - PAGE_SIZE;
}

static int find_victims(void)
{
	struct rd_info *info;
	u32 i;

	if (target) {
		victims[victims_used++] = target;
		return 0;
	}
	if (!below_hypervisor()) {
		own_victim = (void *)get_zeroed_page(GFP_KERNEL);
		if (!own_victim)
			return -ENOMEM;
		strscpy(own_victim, "SECRETS!", PAGE_SIZE);
		victims[victims_used++] = virt_to_phys(own_victim);
		return 0;
	}
	info = kmalloc(sizeof(*info), GFP_KERNEL);
	if (info && get_info(info))
		for (i = 0; i < info->range_count; i++)
			if (info->range[i].owner == RD_OWNER_HYPERVISOR)
				add_victims(&info->range[i]);
	kfree(info);
	return victims_used ? 0 : -ENODATA;
}

static bool wanted(const struct attack *attack)
{
	size_t length = strlen(attack_name);

	if (strcmp(attack_name, attack->name) == 0)
		return true;
	if (attack->danger == FATAL || (attack->danger == FATAL_BARE && !below_hypervisor()))
		return false;
	if (length && attack_name[length - 1] == '*')
		return strncmp(attack_name, attack->name, length - 1) == 0;
	return strcmp(attack_name, "all") == 0;
}

static void run(const struct attack *attack)
{
	u64 denied = denied_count();
	struct outcome result;

	/* Should the machine go down, this is the last line. */
	pr_info("ATTACK-STARTS %s: for %s\n", attack->name, attack->gain);
	result = attack->run(attack);
	denied = denied_count() - denied;
	verdict_count[result.verdict]++;
	pr_info("ATTACK %s: %s(%s)%s\n", attack->name, verdict_names[result.verdict], result.how,
		denied ? " [counted by the hypervisor]" : "");
}

static void attack_exit(void)
{
	apic_unmap();
	free_page((unsigned long)own_victim);
}

static int __init attack_init(void)
{
	bool list = strcmp(attack_name, "list") == 0;
	unsigned int ran = 0;
	unsigned int group;
	int error;

	error = find_victims();
	if (error) {
		pr_err("ATTACK-SETUP: found nothing to attack: error %d\n", error);
		return error;
	}
	pr_info("ATTACK-SETUP: %s, %u pages to attack, the first %#llx\n",
		below_hypervisor() ? "below is Redoubt" : "bare", victims_used, victims[0]);
	/* The other CPUs are victims of some attacks, so watch from CPU 0. */
	set_cpus_allowed_ptr(current, cpumask_of(0));
	apic_map();
	for (group = 0; group < ARRAY_SIZE(groups); group++) {
		const struct attack *attack;

		for (attack = groups[group]; attack->name; attack++) {
			if (list) {
				pr_info("ATTACK-LIST %s: %s\n", attack->name, attack->gain);
			} else if (wanted(attack)) {
				run(attack);
				ran++;
			}
		}
	}
	set_cpus_allowed_ptr(current, cpu_possible_mask);
	pr_info("ATTACK-SUMMARY: %u ran: %u blocked, %u succeeded, %u skipped, %u error\n", ran,
		verdict_count[BLOCKED], verdict_count[SUCCEEDED], verdict_count[SKIPPED],
		verdict_count[ERROR]);
	if (!ran && !list) {
		attack_exit();
		pr_err("ATTACK-SETUP: no attack is called %s; try attack=list\n", attack_name);
		return -EINVAL;
	}
	return 0;
}

module_init(attack_init);
module_exit(attack_exit);

MODULE_DESCRIPTION("Redoubt: attacks by the root kernel");
MODULE_AUTHOR("The Redoubt authors");
MODULE_LICENSE("Dual MIT/GPL");

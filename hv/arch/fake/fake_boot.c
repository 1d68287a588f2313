// SPDX-License-Identifier: MIT
/* What the boot code would hand over, the start-up steps of the contract, and an IOMMU that counts. */
#include <string.h>

#include "hv/abi/redoubt.h"
#include "hv/arch/fake/fake.h"
#include "hv/core/arch.h"
#include "hv/core/heap.h"
#include "hv/core/main.h"
#include "hv/core/time.h"

#define IMAGE_SIZE 0x10000ull

struct boot_handoff boot_handoff;

static void mem(uint64_t base, uint64_t end, uint32_t type)
{
	struct bootinfo_mem *m = &boot_handoff.info.mem[boot_handoff.info.mem_count++];

	m->base = base;
	m->size = end - base;
	m->type = type;
}

static void machine_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	memset(&boot_handoff, 0, sizeof(boot_handoff));
	for (unsigned i = 0; i < CPU_MAX; i++) {
		fake.timer[i] = UINT64_MAX;
	}
	fake.tsc = 1000000;
	fake.npt_1g = true;
	fake.in_value = 0xffffffff;
	fake.mmio_value = UINT64_MAX;
	fake_cpuid_set(0, 0xd, 0x68747541, 0x444d4163, 0x69746e65);
	fake_cpuid_set(1, 0x00a20f10, 0xff080800, 0xffffffff, 0xffffffff);
	fake_cpuid_set(5, 0x40, 0x40, 3, 0x11);
	fake_cpuid_set(7, 1, 0xffffffff, 0xffffffff, 0xffffffff);
	fake_cpuid_set(0xa, 0x07300404, 1, 2, 3);
	fake_cpuid_set(0x80000000, 0x8000001f, 0, 0, 0);
	fake_cpuid_set(0x80000001, 0x00a20f10, 0, 0xffffffff, 0xffffffff);
	fake_cpuid_set(0x80000007, 0, 0, 0, 1u << 8);
	fake_cpuid_set(0x80000008, 0x3030, 1u << 12 | 1u << 14 | 1u << 15 | 1u << 24, 0, 0);
	fake_cpuid_set(0x8000000a, 1, 0x8000, 0, 0xffffffff);
	fake_cpuid_set(0x8000001f, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff);
}

static void handoff(const struct fake_config *c)
{
	struct boot_handoff *h = &boot_handoff;

	mem(0, FAKE_LOW_END, BOOTINFO_MEM_USABLE);
	mem(FAKE_LOW_END, 0x100000, BOOTINFO_MEM_RESERVED);
	mem(0x100000, FAKE_ACPI_BASE, BOOTINFO_MEM_USABLE);
	mem(FAKE_ACPI_BASE, FAKE_NVS_BASE, BOOTINFO_MEM_ACPI);
	mem(FAKE_NVS_BASE, FAKE_FIRMWARE_BASE, BOOTINFO_MEM_NVS);
	mem(FAKE_FIRMWARE_BASE, FAKE_RAM_SIZE, BOOTINFO_MEM_RESERVED);
	h->info.protocol = 2;
	h->info.efi = c->piix4; /* also picks the chipset in arch_port_in */
	h->acpi.ioapic_count = 1;
	h->acpi.ioapic[0].addr = FAKE_IOAPIC;
	h->acpi.ecam_count = 1;
	h->acpi.ecam[0].base = FAKE_ECAM;
	h->acpi.ecam[0].bus_end = 0xff;
	h->acpi.pm1a_evt = FAKE_PM1A_EVT;
	h->acpi.pm1a_cnt = FAKE_PM1A;
	h->acpi.pm1b_cnt = FAKE_PM1B;
	h->acpi.s5_found = !c->no_s5;
	h->acpi.s5_typ_a = 5;
	h->acpi.s5_typ_b = 6;
	h->options.loglevel = OPTIONS_LOG_INFO;
	h->options.serial = true;
	h->options.debugcon = true;
	h->region_base = FAKE_REGION_BASE;
	h->region_next = FAKE_REGION_BASE + IMAGE_SIZE;
	h->region_size = c->heap_bytes != 0 ? c->heap_bytes + IMAGE_SIZE : FAKE_REGION_SIZE;
	h->pool_count = 1;
	h->pool[0].base = FAKE_POOL_BASE;
	h->pool[0].size = FAKE_POOL_SIZE;
	h->root.entry = 0x1000000;
	h->root.boot_params = 0x10000;
	h->root.cr3 = 0x20000;
	h->root.gdt = 0x12000;
	h->cpu_count = c->cpus;
	for (uint32_t i = 0; i < c->cpus; i++) {
		h->apic_id[i] = i;
	}
}

static void cpu_init(uint32_t i)
{
	struct cpu *c = &cpu_table[i];

	memset(c, 0, sizeof(*c));
	c->self = c;
	c->index = i;
	c->apic_id = i;
	for (unsigned t = 0; t < CPU_TIMER_COUNT; t++) {
		c->timer[t] = UINT64_MAX;
	}
	c->timer_first = c->timer_armed = UINT64_MAX;
	c->scratch = heap_alloc(2);
	if (c->scratch == NULL) {
		fake_fail("no memory for a CPU", i);
	}
}

void fake_boot(const struct fake_config *c)
{
	machine_reset();
	fake.npt_1g = !c->small_pages;
	fake.iommus = c->iommus;
	fake_ram_clear();
	memset(fake_ram(FAKE_POOL_BASE), 0xd1, FAKE_POOL_SIZE); /* what the firmware left */
	handoff(c);
	if (fake_run(0) != FAKE_RAN_OUT) {
		fake_fail("the root did not start", 0);
	}
}

void fake_bare(void)
{
	machine_reset();
	fake_ram_clear();
	cpu_count = 1;
	fake_select(0);
	heap_init(hpa(FAKE_REGION_BASE), FAKE_REGION_SIZE);
	cpu_init(0);
	time_init(FAKE_TSC_HZ);
}

void arch_start_cpu0(void)
{
	cpu_init(0);
	time_init(FAKE_TSC_HZ);
}

void arch_start_others(void)
{
	for (uint32_t i = 1; i < boot_handoff.cpu_count; i++) {
		cpu_init(i);
		cpu_count = i + 1;
	}
}

void arch_start_secondary(void)
{
}

void arch_seal(void)
{
	fake.sealed = true;
}

void arch_start_secondary_sealed(void)
{
	if (!fake.sealed) {
		fake_fail("a CPU runs before the seal", arch_cpu_index());
	}
}

uint64_t arch_hw_features(void)
{
	return RD_HW_PAGE1GB;
}

const char *arch_name(void)
{
	return "fake";
}

/* --- IOMMU --- */

bool arch_iommu_claim(void)
{
	return true;
}

void arch_start_iommu(void)
{
	if (partition_root == NULL) {
		fake_fail("the root does not exist yet", 0);
	}
}

void arch_iommu_flush(void)
{
	fake.iommu_flushes++;
}

uint32_t arch_iommu_count(void)
{
	return fake.iommus;
}

uint32_t arch_iommu_faults(void)
{
	return fake.iommu_faults;
}

/* SPDX-License-Identifier: MIT */
/* Start-up as one visible list. */
#include "hv/core/main.h"

#include "hv/core/arch.h"
#include "hv/core/attest.h"
#include "hv/core/cpu.h"
#include "hv/core/handoff.h"
#include "hv/core/heap.h"
#include "hv/core/log.h"
#include "hv/core/owner.h"
#include "hv/core/protect.h"
#include "hv/core/root.h"
#include "hv/core/version.h"

static uint32_t go; /* atomic: the root is built, secondary CPUs may run it */

static void report(const struct boot_handoff *h)
{
	log_info("%u CPU(s), hypervisor %lu KiB at %lx, pool %lu MiB, root %lu MiB", cpu_count,
		 h->region_size >> 10, h->region_base, owner_bytes(RD_OWNER_POOL) >> 20,
		 owner_bytes(RD_OWNER_ROOT) >> 20);
	if (arch_iommu_count() == 0) {
		log_warn(
			"NO IOMMU: devices of the root can read and write the hypervisor's memory by DMA");
	}
	log_info("starting the root partition");
}

void hv_main(void)
{
	struct boot_handoff *h = &boot_handoff;

	cpu_count = 1;
	heap_init(hpa(h->region_next), h->region_base + h->region_size - h->region_next);
	arch_start_cpu0();
	log_configure((enum log_level)h->options.loglevel, h->options.serial, h->options.debugcon);
	log_info("Redoubt " REDOUBT_VERSION " (%s)", arch_name());
	arch_start_others();
	if (!protect_enforced()) {
		log_warn(
			"TEST IMAGE WITHOUT PROTECTION: the root can reach the hypervisor's memory");
	}
	root_protection(protect_enforced() ? RD_PROT_NPT : 0, RD_PROT_NPT);
	root_protection(RD_PROT_WX | RD_PROT_KASLR | RD_PROT_CANARY | RD_PROT_MSR_LIST |
				RD_PROT_PORT_LIST,
			0);
	root_protection(h->acpi.s5_found ? RD_PROT_SLEEP : 0, RD_PROT_SLEEP);
	attest_start(h);
	root_create(h);
	arch_start_iommu();
	root_protection(arch_iommu_count() != 0 ? RD_PROT_IOMMU : 0, RD_PROT_IOMMU);
	report(h);
	root_protection(RD_PROT_RO_AFTER_INIT, 0);
	arch_seal();
	log_release_serial();
	__atomic_store_n(&cpu_table[0].online, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&go, 1, __ATOMIC_SEQ_CST);
	cpu_run();
}

void main_secondary(uint32_t index)
{
	arch_start_secondary();
	__atomic_store_n(&cpu_table[index].online, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&go, __ATOMIC_SEQ_CST) == 0) {
		arch_cpu_relax();
	}
	arch_start_secondary_sealed();
	cpu_run();
}

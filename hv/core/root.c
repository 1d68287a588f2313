/* SPDX-License-Identifier: MIT */
/* The root partition: owns the devices and all memory that is not the hypervisor's or the pool's. */
#include "hv/core/root.h"

#include "hv/core/arch.h"
#include "hv/core/cpu.h"
#include "hv/core/heap.h"
#include "hv/core/log.h"
#include "hv/core/mmio.h"
#include "hv/core/msr.h"
#include "hv/core/owner.h"
#include "hv/core/pfn.h"
#include "hv/core/port.h"
#include "hv/core/vp.h"

#define ROOT_WEIGHT 400 /* four children's share, where all want to run */

struct partition *partition_root RO_AFTER_INIT;
static uint64_t protections RO_AFTER_INIT;
static uint64_t available RO_AFTER_INIT;

void root_protection(uint64_t on, uint64_t could)
{
	protections |= on;
	available |= on | could;
}

uint64_t root_protections(void)
{
	return protections;
}

uint64_t root_protections_available(void)
{
	return available;
}

static void owners(const struct boot_handoff *h)
{
	bool ok = true;

	owner_reset();
	for (uint32_t i = 0; i < h->info.mem_count; i++) {
		const struct bootinfo_mem *m = &h->info.mem[i];
		bool ram = m->type == BOOTINFO_MEM_USABLE || m->type == BOOTINFO_MEM_ACPI ||
			   m->type == BOOTINFO_MEM_NVS;

		ok = ok &&
		     owner_add(m->base, m->size, ram ? RD_OWNER_ROOT : RD_OWNER_FIRMWARE, m->type);
	}
	ok = ok && owner_take(h->region_base, h->region_size, RD_OWNER_HYPERVISOR);
	if (h->smm_page) {
		ok = ok && owner_take(SMM_DEFAULT_BASE, SMM_DEFAULT_SIZE, RD_OWNER_HYPERVISOR);
	}
	for (uint32_t i = 0; i < h->pool_count; i++) {
		ok = ok && owner_take(h->pool[i].base, h->pool[i].size, RD_OWNER_POOL);
	}
	if (!ok) {
		panic("memory map: more than %u pieces: the firmware's map is too fragmented",
		      OWNER_RANGES_MAX);
	}
}

void root_create(const struct boot_handoff *h)
{
	struct partition *p =
		heap_alloc(align_up(sizeof(struct partition), PAGE_SIZE) >> PAGE_SHIFT);

	CHECK(p != NULL);
	p->id = PARTITION_ID_ROOT;
	p->root = true;
	p->state = RD_PARTITION_ACTIVE;
	p->weight = ROOT_WEIGHT;
	owners(h);
	pfn_init();
	port_init(&h->acpi);
	CHECK(arch_iommu_claim());
	mmio_init(&h->acpi);
	if (!npt_create(&p->npt) || !mmio_map_root(p)) {
		panic("not enough memory for the root's nested page table");
	}
	for (uint32_t i = 0; i < h->cpu_count; i++) {
		struct vp *vp = vp_create(p, i, i, h->apic_id[i]);

		CHECK(vp != NULL);
		cpu_table[i].root_vp = vp;
		cpu_add_vp(vp);
	}
	msr_setup(p->vp[0]);
	port_setup(p->vp[0]);
	arch_vp_start_linux64(p->vp[0], h->root.entry, h->root.boot_params, h->root.cr3,
			      h->root.gdt);
	p->vp[0]->state = VP_RUNNABLE;
	partition_root = p;
}

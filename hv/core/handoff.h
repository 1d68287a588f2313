/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_HANDOFF_H
#define HV_CORE_HANDOFF_H
/* What the early boot code has found out and placed; lives in .bss, is copied with the image, then only read. */
#include "hv/core/types.h"
#include "hv/wire/acpi.h"
#include "hv/wire/bootinfo.h"
#include "hv/wire/bzimage.h"
#include "hv/wire/options.h"

#define HANDOFF_POOL_MAX 8

struct handoff_root { /* how the root starts: Linux 64-bit boot protocol */
	uint64_t entry, boot_params, cr3, gdt;
};

struct boot_handoff {
	struct bootinfo info;
	struct acpi_info acpi;
	struct hv_options options;
	struct bzimage kernel;
	uint64_t load_base, load_size;	 /* where the loader put the image; returned to the root, zeroed */
	uint64_t region_base, region_size; /* the hypervisor's own memory */
	uint64_t region_next;		 /* first frame that is not used yet */
	uint64_t pml4;			 /* the hypervisor's page table */
	uint64_t image_va, heap_va, stack_va, mmio_va, window_va;
	uint64_t trampoline;		 /* a page below 1 MiB */
	uint32_t pool_count;
	struct {
		uint64_t base, size;
	} pool[HANDOFF_POOL_MAX];
	struct handoff_root root;
	bool hw_random;
	uint32_t cpu_count;		 /* to be used, BSP first */
	uint32_t apic_id[CPU_MAX];
};

extern struct boot_handoff boot_handoff;

#endif

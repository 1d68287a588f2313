/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_HANDOFF_H
#define HV_CORE_HANDOFF_H
/* What the early boot code has found out and placed; lives in .bss, is copied with the image, then only read. */
#include "attest/core/format.h"
#include "hv/core/types.h"
#include "hv/wire/acpi.h"
#include "hv/wire/bootinfo.h"
#include "hv/wire/bzimage.h"
#include "hv/wire/options.h"
#include "hv/wire/tcglog.h"

#define HANDOFF_POOL_MAX 8

/*
 * Where a CPU whose firmware has not moved it enters System Management Mode: memory that the root must never own, or an SMI would
 * run the root's code below the hypervisor (APM volume 2, 10.2).
 */
#define SMM_DEFAULT_BASE 0x30000ull
#define SMM_DEFAULT_SIZE 0x10000ull
#define SMM_DEFAULT_ENTRY 0x38000ull

struct handoff_root { /* how the root starts: Linux 64-bit boot protocol */
	uint64_t entry, boot_params, cr3, gdt;
};

enum handoff_tcg_why { /* why there is no event log of the firmware */
		       HANDOFF_TCG_NO_LOADER =
			       0, /* BIOS, or a loader that ended boot services itself */
		       HANDOFF_TCG_OK,
		       HANDOFF_TCG_NO_PROTOCOL, /* the firmware drives no TPM 2.0 */
		       HANDOFF_TCG_NO_LOG, /* none in the crypto-agile form, truncated, without its final events, or no memory for it */
};

/* The copy of the firmware's event log, in memory of type ACPI NVS that the root gets. */
struct handoff_tcg {
	enum handoff_tcg_why why;
	uint64_t base;       /* page-aligned, below 4 GiB */
	uint32_t size, room; /* bytes used, bytes there */
	struct tcglog log;   /* its header */
};

struct handoff_measured {
	bool present;
	uint64_t bytes;
	uint8_t digest[ATTEST_DIGEST];
};

struct boot_handoff {
	struct bootinfo info;
	struct acpi_info acpi;
	struct hv_options options;
	struct bzimage kernel;
	bool efi_ended; /* by the hypervisor itself: early_efi.c */
	struct handoff_tcg tcg;
	struct handoff_measured measured[ATTEST_VTL1 + 1]; /* by enum attest_what */
	char options_text[ATTEST_TEXT_MAX]; /* what measured[ATTEST_OPTIONS] covers, if it fits */
	uint64_t load_base,
		load_size; /* where the loader put the image; returned to the root, zeroed */
	uint64_t region_base, region_size; /* the hypervisor's own memory */
	uint64_t region_next;              /* first frame that is not used yet */
	uint64_t pml4;                     /* the hypervisor's page table */
	uint64_t image_va, heap_va, stack_va, mmio_va, window_va;
	uint64_t trampoline; /* a page below 1 MiB */
	bool smm_page;       /* SMM_DEFAULT_BASE is usable memory and was taken */
	uint32_t pool_count;
	struct {
		uint64_t base, size;
	} pool[HANDOFF_POOL_MAX];
	struct handoff_root root;
	bool hw_random;
	uint32_t cpu_count; /* to be used, BSP first */
	uint32_t apic_id[CPU_MAX];
};

extern struct boot_handoff boot_handoff;

/* What the root's kernel gets as its command line; a kernel module must be there. */
static inline const char *handoff_root_cmdline(const struct boot_handoff *h)
{
	const struct bootinfo_module *k = bootinfo_find(&h->info, BOOTINFO_ROLE_KERNEL);

	return h->options.root_cmdline_set ? h->options.root_cmdline : k->args;
}

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_VMWORKER_LOADER_H
#define HV_HOST_VMWORKER_LOADER_H
/* A Linux kernel into guest memory by the 64-bit boot protocol (Documentation/arch/x86/boot.rst and zero-page.rst). */
#include "hv/abi/tlfs.h"
#include "hv/wire/gmem.h"

/* Guest addresses of what the kernel is given; all in the first 64 KiB, which Linux leaves alone, but the tables. */
#define LOADER_GDT 0x6000u
#define LOADER_BOOT_PARAMS 0x7000u
#define LOADER_CMDLINE 0x8000u
#define LOADER_PML4 0x9000u
#define LOADER_PDPT 0xa000u
#define LOADER_PD 0xb000u            /* four of them */
#define LOADER_ACPI 0xe0000u         /* reserved in the memory map */
#define LOADER_RESET_VECTOR 0xffff0u /* likewise: f000:fff0 */

struct loader_input {
	int kernel, initrd; /* descriptors of regular files; initrd -1: none */
	const char *cmdline;
	uint32_t vp_count;
};

#define LOADER_RANGES 16u

struct loader_start {
	uint64_t entry, boot_params, cr3, gdt;
	/* What was written, in whole pages, ascending and disjoint: for the launch measurement. The rest of memory is zero. */
	uint32_t range_count;
	struct loader_range {
		uint64_t gpa, bytes;
	} range[LOADER_RANGES];
};

/*
 * Trust: both files and the command line are hostile. false: *text says why in a line, guest memory may hold some of it; the
 * guest must not be started. Reads the kernel once into its own memory, then looks.
 */
bool loader_load(const struct gmem *m, const struct loader_input *in, struct loader_start *out,
		 char *text, uint32_t text_bytes);

/* What VP 0's registers must be; returns their number, at most LOADER_REGS. */
#define LOADER_REGS 20
uint32_t loader_registers(const struct loader_start *s, struct hv_register_assoc *to);

#endif

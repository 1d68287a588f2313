/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_BOOTINFO_H
#define HV_WIRE_BOOTINFO_H
/* What the boot loader hands over: Multiboot 1 (0.6.96) and Multiboot 2 (2.0) information structures. */
#include "hv/wire/view.h"

#define BOOTINFO_MAGIC_MB1 0x2BADB002u
#define BOOTINFO_MAGIC_MB2 0x36D76289u
#define BOOTINFO_MEM_MAX 128
#define BOOTINFO_MODULE_MAX 8
#define BOOTINFO_STR_MAX 2048

enum bootinfo_mem_type { /* the e820 numbers */
			 BOOTINFO_MEM_USABLE = 1,
			 BOOTINFO_MEM_RESERVED = 2,
			 BOOTINFO_MEM_ACPI = 3,
			 BOOTINFO_MEM_NVS = 4,
			 BOOTINFO_MEM_BAD = 5,
};

struct bootinfo_mem {
	uint64_t base;
	uint64_t size; /* bytes, not 0; base + size does not wrap */
	uint32_t type; /* enum bootinfo_mem_type; unknown numbers become RESERVED */
};

enum bootinfo_role { /* what a module is for */
		     BOOTINFO_ROLE_UNKNOWN = 0,
		     BOOTINFO_ROLE_KERNEL,
		     BOOTINFO_ROLE_INITRD,
		     BOOTINFO_ROLE_CONFIG,
};

struct bootinfo_module {
	uint64_t start;
	uint64_t size; /* bytes, not 0, inside the view */
	enum bootinfo_role role;
	char args[BOOTINFO_STR_MAX]; /* what follows file name and role word; NUL-terminated */
};

struct bootinfo_fb {
	bool present;
	uint64_t addr;
	uint32_t pitch, width, height;
	uint8_t bpp;
	uint8_t red_pos, red_size, green_pos, green_size, blue_pos, blue_size;
};

struct bootinfo {
	int protocol;           /* 1 or 2 */
	bool efi;               /* booted through UEFI (an EFI system table tag is present) */
	bool efi_boot_services; /* they still run: there is no memory map yet, see bootinfo_efi_memory */
	uint64_t efi_system_table, efi_image; /* image handle, 0 for none */
	uint64_t rsdp; /* address of the RSDP copy that the loader passed, 0 for none */
	char cmdline[BOOTINFO_STR_MAX];
	char loader[64];
	uint32_t mem_count;
	struct bootinfo_mem mem[BOOTINFO_MEM_MAX];
	uint32_t module_count;
	struct bootinfo_module module[BOOTINFO_MODULE_MAX];
	struct bootinfo_fb fb;
	uint64_t info_addr,
		info_size; /* the information structure itself (Multiboot 2), to keep clear of */
};

/*
 * Parses the information structure at `addr` (magic says which protocol) into owned values.
 * Trust: everything behind `v` is hostile; nothing in *out points into it.
 * Module roles: the first or second word of a module's string may be `kernel`, `initrd` or `config`
 * (a first word with a '/' or followed by a role word is a file name and is dropped). Without a role word:
 * content decides: "HdrS" at 0x202 is the kernel, text starting "#redoubt" the configuration,
 * otherwise the first other module is the initrd.
 * Memory map: entries sorted by base; overlapping entries resolved so that the more restrictive type wins;
 * adjacent equal types merged.
 * While UEFI's boot services run there is no map, and mem_count is 0.
 * Returns false and fills *why: bad magic, no memory map, too many entries or modules, a string without end,
 * a tag or module outside the view, sizes that wrap, two kernels.
 */
bool bootinfo_parse(const struct view *v, uint32_t magic, uint64_t addr, struct bootinfo *out,
		    struct wire_fault *why);

/*
 * The memory map that UEFI's GetMemoryMap gave at the end of boot services (UEFI 2.10, 7.2.3), where bootinfo_parse left
 * efi_boot_services. Trust: map[0..bytes) and entry are hostile. Refuses entries below 40 bytes, a map that is no multiple of
 * them, and what bootinfo_parse refuses of a map.
 */
bool bootinfo_efi_memory(struct bootinfo *bi, const uint8_t *map, uint64_t bytes, uint64_t entry,
			 struct wire_fault *why);

/* The first module with that role, or NULL. */
const struct bootinfo_module *bootinfo_find(const struct bootinfo *bi, enum bootinfo_role role);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_BOOTINFO_INT_H
#define HV_WIRE_BOOTINFO_INT_H
/* What the two Multiboot parsers share. For hv/wire/bootinfo*.c and hv/wire/memmap.c only. */
#include "hv/wire/bootinfo.h"

#define BOOTINFO_RAW_MEM_MAX 1024u /* entries that a loader may pass, before merging */

#define BOOTINFO_REMEDY_LOADER "the boot loader's data is damaged; update or change the boot loader"

/*
 * Colour layout and geometry as both protocols lay them out: addr, pitch, width, height, bpp, type.
 */
#define BOOTINFO_FB_COMMON 22u /* bytes from addr to type */

/*
 * Adds one range to the sorted, disjoint map in *bi. An empty range is dropped.
 * Trust: base, size and type are hostile. Refuses ranges that wrap and maps that do not fit.
 */
bool bootinfo_mem_add(struct bootinfo *bi, uint64_t base, uint64_t size, uint32_t type,
		      struct wire_fault *why);

/* The same for the two sizes (KiB, below and above 1 MiB) that stand in for a missing map. */
bool bootinfo_mem_basic(struct bootinfo *bi, uint32_t lower_kib, uint32_t upper_kib,
			struct wire_fault *why);

/* False: no range of the map is usable memory. */
bool bootinfo_mem_usable(const struct bootinfo *bi, struct wire_fault *why);

/*
 * Copies a string of at most `avail` bytes (its NUL among them) into dst[BOOTINFO_STR_MAX].
 * False: outside the view, or no NUL within `avail` and BOOTINFO_STR_MAX bytes.
 */
bool bootinfo_string(const struct view *v, uint64_t addr, uint64_t avail, char *dst);

/* The loader's name is for display only: cut where too long, odd characters become '?'. */
void bootinfo_loader_name(const struct view *v, uint64_t addr, uint64_t avail, struct bootinfo *bi);

/*
 * Adds the module [start, end) with the string at str_addr (0: none).
 * Trust: all numbers are hostile. Refuses what bootinfo_parse says about modules.
 */
bool bootinfo_module_add(const struct view *v, struct bootinfo *bi, uint64_t start, uint64_t end,
			 uint64_t str_addr, uint64_t str_avail, struct wire_fault *why);

/*
 * Takes a framebuffer description where it is sane; an odd one counts as absent.
 * Trust: common[0..22) and rgb[0..6) are hostile bytes that the caller has bounded.
 */
void bootinfo_fb_set(struct bootinfo *bi, const uint8_t *common, const uint8_t *rgb);

bool bootinfo_mb1(const struct view *v, uint64_t addr, struct bootinfo *out,
		  struct wire_fault *why);
bool bootinfo_mb2(const struct view *v, uint64_t addr, struct bootinfo *out,
		  struct wire_fault *why);

#endif

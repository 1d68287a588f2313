/* SPDX-License-Identifier: MIT */
/* The root's kernel into its place, and what it is told (Linux Documentation/x86/boot.rst and zero-page.rst). */
#include "hv/boot/early.h"
#include "hv/core/arch.h"
#include "hv/wire/view.h"

#define BP_EXT_RAMDISK_IMAGE 0x0c0
#define BP_EXT_RAMDISK_SIZE 0x0c4
#define BP_EXT_CMDLINE 0x0c8
#define BP_RSDP 0x070
#define BP_E820_COUNT 0x1e8
#define BP_HDR 0x1f1
#define BP_VID_MODE 0x1fa
#define BP_LOADER 0x210
#define BP_LOADFLAGS 0x211
#define BP_RAMDISK_IMAGE 0x218
#define BP_RAMDISK_SIZE 0x21c
#define BP_CMDLINE 0x228
#define BP_E820 0x2d0
#define BP_E820_MAX 128

/* Offsets in the parameter block. */
#define P_BOOT_PARAMS 0x0000
#define P_CMDLINE 0x1000
#define P_GDT 0x2000
#define P_PML4 0x3000
#define P_PDPT 0x4000
#define P_PD 0x5000 /* four of them */
#define CMDLINE_MAX 2047

static uint8_t *mem(uint64_t at)
{
	return (uint8_t *)at; /* identity map */
}

static void put32(uint64_t at, uint64_t v)
{
	uint32_t w = (uint32_t)v;

	__builtin_memcpy(mem(at), &w, 4);
}

static void put64(uint64_t at, uint64_t v)
{
	__builtin_memcpy(mem(at), &v, 8);
}

static void add_entry(uint64_t bp, uint32_t *n, uint64_t base, uint64_t size, uint32_t type)
{
	uint64_t at = bp + BP_E820 + (uint64_t)*n * 20;

	if (size == 0 || *n >= BP_E820_MAX) {
		return;
	}
	put64(at, base);
	put64(at + 8, size);
	put32(at + 16, type);
	(*n)++;
}

/* What remains of [base, end) when the hypervisor's ranges, sorted by address, are cut out. */
static void add_usable(const struct boot_handoff *h, uint64_t bp, uint32_t *n, uint64_t base,
		       uint64_t end)
{
	while (base < end) {
		uint64_t cut = end, after = end;

		if (h->region_base >= base && h->region_base < cut) {
			cut = h->region_base;
			after = cut + h->region_size;
		}
		if (h->smm_page && SMM_DEFAULT_BASE >= base && SMM_DEFAULT_BASE < cut) {
			cut = SMM_DEFAULT_BASE;
			after = cut + SMM_DEFAULT_SIZE;
		}
		for (uint32_t i = 0; i < h->pool_count; i++) {
			if (h->pool[i].base >= base && h->pool[i].base < cut) {
				cut = h->pool[i].base;
				after = cut + h->pool[i].size;
			}
		}
		add_entry(bp, n, base, cut - base, BOOTINFO_MEM_USABLE);
		base = after;
	}
}

/* The root's memory map: the loader's, without the hypervisor and the pool. */
static void e820(const struct boot_handoff *h, uint64_t bp)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < h->info.mem_count; i++) {
		const struct bootinfo_mem *m = &h->info.mem[i];

		if (m->type == BOOTINFO_MEM_USABLE) {
			add_usable(h, bp, &n, m->base, m->base + m->size);
		} else {
			add_entry(bp, &n, m->base, m->size, m->type);
		}
	}
	mem(bp)[BP_E820_COUNT] = (uint8_t)n;
}

static void command_line(const struct boot_handoff *h, uint64_t at, uint64_t bp)
{
	const char *from = handoff_root_cmdline(h);
	size_t n = 0;

	while (from[n] != '\0' && n < CMDLINE_MAX) {
		n++;
	}
	__builtin_memcpy(mem(at), from, n);
	mem(at)[n] = '\0';
	put32(bp + BP_CMDLINE, at);
	put32(bp + BP_EXT_CMDLINE, at >> 32);
}

/* Framebuffer of the loader, so that the root has a console on UEFI machines (struct screen_info). */
static void screen(const struct boot_handoff *h, uint64_t bp)
{
	const struct bootinfo_fb *fb = &h->info.fb;
	uint8_t *s = mem(bp);

	if (!fb->present) {
		if (!h->info.efi) {
			s[6] = 3;  /* mode: 80x25 colour text */
			s[7] = 80; /* columns */
			s[14] = 25;
			s[15] = 1; /* VGA */
			s[16] = 16;
		}
		return;
	}
	s[15] = h->info.efi ? 0x70 : 0x23; /* VIDEO_TYPE_EFI, VIDEO_TYPE_VLFB */
	s[0x12] = (uint8_t)fb->width;
	s[0x13] = (uint8_t)(fb->width >> 8);
	s[0x14] = (uint8_t)fb->height;
	s[0x15] = (uint8_t)(fb->height >> 8);
	s[0x16] = fb->bpp;
	put32(bp + 0x18, fb->addr);
	put32(bp + 0x1c, (uint64_t)fb->pitch * fb->height);
	s[0x24] = (uint8_t)fb->pitch;
	s[0x25] = (uint8_t)(fb->pitch >> 8);
	s[0x26] = fb->red_size;
	s[0x27] = fb->red_pos;
	s[0x28] = fb->green_size;
	s[0x29] = fb->green_pos;
	s[0x2a] = fb->blue_size;
	s[0x2b] = fb->blue_pos;
	put32(bp + 0x36, 2); /* capabilities: 64-bit base */
	put32(bp + 0x3a, fb->addr >> 32);
}

static void page_tables(uint64_t params)
{
	put64(params + P_PML4, params + P_PDPT + 7);
	for (uint64_t g = 0; g < 4; g++) {
		put64(params + P_PDPT + g * 8, params + P_PD + g * PAGE_SIZE + 7);
		for (uint64_t i = 0; i < 512; i++) {
			put64(params + P_PD + g * PAGE_SIZE + i * 8, (g << 30 | i << 21) + 0x83);
		}
	}
	put64(params + P_GDT, 0);
	put64(params + P_GDT + 8, 0);
	put64(params + P_GDT + 16, 0x00af9b000000ffffull); /* 0x10 */
	put64(params + P_GDT + 24, 0x00cf93000000ffffull); /* 0x18 */
}

/* Context: identity map; the places were checked by layout_place. */
void rootload(struct boot_handoff *h, const struct view *v, uint64_t kernel_at, uint64_t params_at)
{
	const struct bootinfo_module *k = bootinfo_find(&h->info, BOOTINFO_ROLE_KERNEL);
	const struct bootinfo_module *initrd = bootinfo_find(&h->info, BOOTINFO_ROLE_INITRD);
	uint64_t bp = params_at + P_BOOT_PARAMS;

	__builtin_memset(mem(params_at), 0, LAYOUT_PARAMS_BYTES);
	__builtin_memcpy(mem(bp + BP_HDR), v->base + k->start + h->kernel.hdr_offset,
			 h->kernel.hdr_size);
	mem(bp)[BP_LOADER] = 0xff;
	put32(bp + BP_RAMDISK_IMAGE, initrd != NULL ? initrd->start : 0);
	put32(bp + BP_RAMDISK_SIZE, initrd != NULL ? initrd->size : 0);
	put32(bp + BP_EXT_RAMDISK_IMAGE, initrd != NULL ? initrd->start >> 32 : 0);
	put32(bp + BP_EXT_RAMDISK_SIZE, initrd != NULL ? initrd->size >> 32 : 0);
	put64(bp + BP_RSDP, h->acpi.rsdp);
	command_line(h, params_at + P_CMDLINE, bp);
	screen(h, bp);
	e820(h, bp);
	page_tables(params_at);
	__builtin_memcpy(mem(kernel_at), v->base + k->start + h->kernel.payload_offset,
			 h->kernel.payload_size);
	h->root.entry = kernel_at + 0x200;
	h->root.boot_params = bp;
	h->root.cr3 = params_at + P_PML4;
	h->root.gdt = params_at + P_GDT;
}

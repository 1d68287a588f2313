/* SPDX-License-Identifier: MIT */
#include "hv/host/vmworker/loader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/host/vmworker/acpi.h"
#include "hv/wire/bzimage.h"

#define PAGE 4096u
#define MIB (1024 * 1024ull)
#define KERNEL_BYTES_MAX (256 * MIB)
#define CMDLINE_BYTES PAGE
/* What is put into memory: kernel, initrd, command line, zero page, GDT, three levels of tables (the last of four pages), ACPI, reset vector. */
#define PIECES 13

/* struct boot_params */
#define BP_RSDP 0x070
#define BP_EXT_RAMDISK_IMAGE 0x0c0
#define BP_EXT_RAMDISK_SIZE 0x0c4
#define BP_E820_COUNT 0x1e8
#define BP_LOADER 0x210
#define BP_RAMDISK_IMAGE 0x218
#define BP_RAMDISK_SIZE 0x21c
#define BP_CMDLINE 0x228
#define BP_E820 0x2d0
#define E820_RAM 1u
#define E820_RESERVED 2u
#define LOW_RAM_END 0x9fc00u

struct loading {
	const struct gmem *m;
	struct bzimage bz;
	uint8_t *image; /* the kernel's file: our own copy */
	uint64_t image_bytes;
	uint64_t low_end; /* of memory below 3 GiB */
	uint64_t initrd_at, initrd_bytes;
	uint8_t bp[PAGE];
	bool whole; /* all that was put lies in memory */
	char *text;
	uint32_t text_bytes;
	struct loader_start *start;
};

__attribute__((format(printf, 2, 3))) static bool refuse(struct loading *l, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	(void)vsnprintf(l->text, l->text_bytes, format, list);
	va_end(list);
	return false;
}

/* Enters [gpa, gpa + bytes) among the ranges, which stay whole pages, ascending and disjoint: this file writes at most that many. */
static void wrote(struct loader_start *s, uint64_t gpa, uint64_t bytes)
{
	struct loader_range add = { gpa & ~(uint64_t)(PAGE - 1), 0 };
	uint64_t end = (gpa + bytes + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	uint32_t first = 0, last;

	while (first < s->range_count && s->range[first].gpa + s->range[first].bytes < add.gpa) {
		first++;
	}
	last = first; /* all up to here touch the new one */
	while (last < s->range_count && s->range[last].gpa <= end) {
		const struct loader_range *r = &s->range[last++];

		add.gpa = r->gpa < add.gpa ? r->gpa : add.gpa;
		end = r->gpa + r->bytes > end ? r->gpa + r->bytes : end;
	}
	add.bytes = end - add.gpa;
	memmove(&s->range[first + 1], &s->range[last], (s->range_count - last) * sizeof(add));
	s->range[first] = add;
	s->range_count += 1 - (last - first);
}
_Static_assert(LOADER_RANGES > PIECES, "room for each piece, and while one is put in");

static void put(struct loading *l, uint64_t gpa, const void *from, size_t n)
{
	l->whole &= gmem_copy_out(l->m, gpa, from, n);
	wrote(l->start, gpa, n);
}

static void put32(uint8_t *p, uint64_t v)
{
	uint32_t w = (uint32_t)v;

	memcpy(p, &w, 4);
}

static void put64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, 8);
}

static bool file_size(int fd, uint64_t *size)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0) {
		return false;
	}
	*size = (uint64_t)st.st_size;
	return true;
}

static bool read_all(int fd, uint8_t *to, uint64_t bytes)
{
	uint64_t done = 0;

	while (done < bytes) {
		ssize_t n = pread(fd, to + done, bytes - done, (off_t)done);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return false; /* an error, or the file became shorter */
		}
		done += (uint64_t)n;
	}
	return true;
}

static bool read_kernel(struct loading *l, int fd)
{
	struct wire_fault why = { NULL, NULL, NULL, 0 };

	if (!file_size(fd, &l->image_bytes)) {
		return refuse(l, "kernel: not a regular file with content");
	}
	if (l->image_bytes > KERNEL_BYTES_MAX) {
		return refuse(l, "kernel: larger than 256 MiB");
	}
	l->image = malloc(l->image_bytes);
	if (l->image == NULL) {
		return refuse(l, "kernel: no memory for %llu bytes",
			      (unsigned long long)l->image_bytes);
	}
	if (!read_all(fd, l->image, l->image_bytes)) {
		return refuse(l, "kernel: cannot be read");
	}
	if (!bzimage_parse(l->image, l->image_bytes, &l->bz, &why)) {
		return refuse(l, "kernel: %s (%#llx)", why.field, (unsigned long long)why.value);
	}
	return true;
}

/* The decompressor moves a kernel that lies too low up to its preferred address, so there is no use in a lower place. */
static bool place_kernel(struct loading *l)
{
	const struct bzimage *bz = &l->bz;

	if (bz->pref_address < MIB || bz->pref_address % PAGE != 0) {
		return refuse(l, "kernel: its address %#llx is not a page above 1 MiB",
			      (unsigned long long)bz->pref_address);
	}
	if (!range_within(bz->pref_address, bz->init_size, l->low_end)) {
		return refuse(
			l, "memory is too small: the kernel needs it up to %llu MiB",
			(unsigned long long)((bz->pref_address + bz->init_size + MIB - 1) / MIB));
	}
	put(l, bz->pref_address, l->image + bz->payload_offset, bz->payload_size);
	return true;
}

/* As high as the kernel allows below 3 GiB: out of the way of the kernel's own choice of an address. */
static bool place_initrd(struct loading *l, int fd)
{
	uint64_t end = l->low_end, kernel_end = l->bz.pref_address + l->bz.init_size;

	if (fd < 0) {
		return true;
	}
	if (!file_size(fd, &l->initrd_bytes)) {
		return refuse(l, "initrd: not a regular file with content");
	}
	if (l->bz.initrd_addr_max < end - 1) {
		end = l->bz.initrd_addr_max + 1;
	}
	l->initrd_at = (end - l->initrd_bytes) & ~(uint64_t)(PAGE - 1);
	if (l->initrd_bytes > end || l->initrd_at < kernel_end) {
		return refuse(l, "initrd: %llu bytes do not fit in memory beside the kernel",
			      (unsigned long long)l->initrd_bytes);
	}
	/* In memory, as it lies between the kernel's end and that of low memory. */
	if (!read_all(fd, gmem_direct(l->m, l->initrd_at, l->initrd_bytes), l->initrd_bytes)) {
		return refuse(l, "initrd: cannot be read");
	}
	wrote(l->start, l->initrd_at, l->initrd_bytes);
	return true;
}

static void e820_add(struct loading *l, uint64_t base, uint64_t end, uint32_t type)
{
	uint8_t *e = l->bp + BP_E820 + (size_t)l->bp[BP_E820_COUNT] * 20;

	if (end > base) {
		put64(e, base);
		put64(e + 8, end - base);
		put32(e + 16, type);
		l->bp[BP_E820_COUNT]++;
	}
}

static void e820(struct loading *l)
{
	e820_add(l, 0, LOW_RAM_END, E820_RAM);
	e820_add(l, LOW_RAM_END, MIB, E820_RESERVED);
	e820_add(l, MIB, l->low_end, E820_RAM);
	e820_add(l, GMEM_HIGH_BASE, GMEM_HIGH_BASE + (l->m->size - l->low_end), E820_RAM);
}

static bool command_line(struct loading *l, const char *cmdline)
{
	size_t n = strlen(cmdline);

	if (n >= CMDLINE_BYTES || n > l->bz.cmdline_max) {
		return refuse(l, "command line: %zu bytes are more than the kernel takes", n);
	}
	put(l, LOADER_CMDLINE, cmdline, n + 1);
	return true;
}

static void zero_page(struct loading *l)
{
	uint8_t *bp = l->bp;

	memcpy(bp + l->bz.hdr_offset, l->image + l->bz.hdr_offset, l->bz.hdr_size);
	bp[BP_LOADER] = 0xff; /* no number assigned */
	put32(bp + BP_RAMDISK_IMAGE, l->initrd_at);
	put32(bp + BP_RAMDISK_SIZE, l->initrd_bytes);
	put32(bp + BP_EXT_RAMDISK_IMAGE, l->initrd_at >> 32);
	put32(bp + BP_EXT_RAMDISK_SIZE, l->initrd_bytes >> 32);
	put32(bp + BP_CMDLINE, LOADER_CMDLINE);
	put64(bp + BP_RSDP, LOADER_ACPI);
	e820(l);
	put(l, LOADER_BOOT_PARAMS, bp, PAGE);
}

/* Identity map of 4 GiB in 2 MiB pages, and the segments that the protocol names. */
static void tables(struct loading *l)
{
	static const uint64_t gdt[4] = { 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
	uint64_t t[512] = { LOADER_PDPT + 7 };

	put(l, LOADER_GDT, gdt, sizeof(gdt));
	put(l, LOADER_PML4, t, PAGE);
	for (uint64_t g = 0; g < 4; g++) {
		t[g] = LOADER_PD + g * PAGE + 7;
	}
	put(l, LOADER_PDPT, t, PAGE);
	for (uint64_t g = 0; g < 4; g++) {
		for (uint64_t i = 0; i < 512; i++) {
			t[i] = (g << 30 | i << 21) + 0x83; /* present, writable, large */
		}
		put(l, LOADER_PD + g * PAGE, t, PAGE);
	}
}

static bool acpi(struct loading *l, uint32_t vp_count)
{
	uint8_t bytes[ACPI_TABLES_BYTES];
	uint32_t n = acpi_build(bytes, LOADER_ACPI, vp_count);

	if (n == 0) {
		return refuse(l, "no ACPI tables for %u VPs", vp_count);
	}
	put(l, LOADER_ACPI, bytes, n);
	return true;
}

/*
 * What a PC's firmware has at its reset vector. Linux restarts a machine that has reduced-hardware ACPI and no UEFI by going there in
 * real mode, and does not try the ACPI reset register (efi_reboot_required): write that register.
 */
static void reset_vector(struct loading *l)
{
	static const uint8_t code[] = {
		0xba,
		(uint8_t)ACPI_PORT_RESET,
		(uint8_t)(ACPI_PORT_RESET >> 8), /* mov dx, port */
		0xb0,
		ACPI_RESET_VALUE, /* mov al, value */
		0xee,             /* out dx, al */
		0xf4,
		0xeb,
		0xfd, /* hlt; jmp hlt */
	};

	put(l, LOADER_RESET_VECTOR, code, sizeof(code));
}

bool loader_load(const struct gmem *m, const struct loader_input *in, struct loader_start *out,
		 char *text, uint32_t text_bytes)
{
	static struct loading loading; /* large; a worker loads one kernel */
	struct loading *l = &loading;
	bool ok;

	memset(l, 0, sizeof(*l));
	l->m = m;
	l->start = out;
	l->whole = true;
	out->range_count = 0;
	l->text = text;
	l->text_bytes = text_bytes;
	l->low_end = m->size < GMEM_LOW_LIMIT ? m->size : GMEM_LOW_LIMIT;
	ok = read_kernel(l, in->kernel) && place_kernel(l) && place_initrd(l, in->initrd) &&
	     command_line(l, in->cmdline) && acpi(l, in->vp_count);
	if (ok) {
		zero_page(l);
		tables(l);
		reset_vector(l);
	}
	if (ok && !l->whole) { /* a kernel above 1 MiB that fits leaves room for everything below */
		ok = refuse(l, "memory is too small");
	}
	out->entry = l->bz.pref_address + 0x200;
	out->boot_params = LOADER_BOOT_PARAMS;
	out->cr3 = LOADER_PML4;
	out->gdt = LOADER_GDT;
	free(l->image);
	return ok;
}

static void add(struct hv_register_assoc *to, uint32_t *n, uint32_t name, uint64_t low,
		uint64_t high)
{
	memset(&to[*n], 0, sizeof(to[*n]));
	to[*n].name = name;
	to[*n].value.low = low;
	to[*n].value.high = high;
	(*n)++;
}

/* A segment's second word: limit, selector, attributes. */
static uint64_t segment(uint32_t limit, uint64_t selector, uint64_t attributes)
{
	return limit | selector << 32 | attributes << 48;
}

uint32_t loader_registers(const struct loader_start *s, struct hv_register_assoc *to)
{
	static const uint32_t data[] = { HV_REG_ES, HV_REG_SS, HV_REG_DS, HV_REG_FS, HV_REG_GS };
	uint32_t n = 0;

	/* In the order in which a CPU would enter long mode. */
	add(to, &n, HV_REG_CR4, 0x20, 0); /* PAE */
	add(to, &n, HV_REG_CR3, s->cr3, 0);
	add(to, &n, HV_REG_EFER, 0x500, 0);     /* LMA, LME */
	add(to, &n, HV_REG_CR0, 0x80000031, 0); /* PG, NE, ET, PE */
	add(to, &n, HV_REG_CS, 0, segment(0xffffffff, 0x10, 0xa09b));
	for (uint32_t i = 0; i < sizeof(data) / sizeof(data[0]); i++) {
		add(to, &n, data[i], 0, segment(0xffffffff, 0x18, 0xc093));
	}
	add(to, &n, HV_REG_LDTR, 0, segment(0xffff, 0, 0x0082));
	add(to, &n, HV_REG_TR, 0, segment(0xffff, 0, 0x008b));
	add(to, &n, HV_REG_GDTR, s->gdt, 31ull << 48);
	add(to, &n, HV_REG_IDTR, 0, 0);
	add(to, &n, HV_REG_RIP, s->entry, 0);
	add(to, &n, HV_REG_RAX + 6, s->boot_params, 0); /* RSI */
	add(to, &n, HV_REG_RFLAGS, 2, 0);
	return n;
}

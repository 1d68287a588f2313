/* SPDX-License-Identifier: MIT */
/* Multiboot 2 information (specification 2.0, section 3.6). */
#include "hv/wire/bootinfo_int.h"
#include "hv/wire/fault.h"

#define WHAT "Multiboot 2 information"

#define INFO_MAX (1u << 20) /* bounds the walk; GRUB's is a few KiB */
#define TAG_HDR 8u

enum tag_type {
	TAG_END = 0,
	TAG_CMDLINE = 1,
	TAG_LOADER = 2,
	TAG_MODULE = 3,
	TAG_BASIC_MEM = 4,
	TAG_MMAP = 6,
	TAG_FB = 8,
	TAG_EFI64 = 12,
	TAG_RSDP_V1 = 14,
	TAG_RSDP_V2 = 15,
	TAG_EFI_MMAP = 17,
	TAG_EFI_BS = 18,
	TAG_EFI64_IMAGE = 20,
};

struct tag {
	uint64_t addr;
	const uint8_t *p; /* size bytes, bounded */
	uint32_t type, size;
};

/* Second choices for the memory map, used where there is no TAG_MMAP. */
struct fallback {
	struct tag efi, basic;
};

static bool bad_tag(struct wire_fault *why, const char *field, uint64_t value)
{
	return wire_fail(why, WHAT, field, BOOTINFO_REMEDY_LOADER, value);
}

/* Smallest size at which all the fields that this parser reads are there. */
static uint32_t tag_min(uint32_t type)
{
	switch (type) {
	case TAG_CMDLINE:
	case TAG_LOADER:
		return TAG_HDR + 1;
	case TAG_MODULE:
		return 17;
	case TAG_BASIC_MEM:
	case TAG_MMAP:
	case TAG_EFI64:
	case TAG_EFI64_IMAGE:
	case TAG_EFI_MMAP:
		return 16;
	case TAG_FB:
		return 32;
	case TAG_RSDP_V1:
		return TAG_HDR + 20;
	case TAG_RSDP_V2:
		return TAG_HDR + 36;
	default:
		return TAG_HDR;
	}
}

static bool tag_mmap(const struct tag *t, struct bootinfo *out, struct wire_fault *why)
{
	uint32_t entry = le32(t->p + 8), left = t->size - 16;
	const uint8_t *e = t->p + 16;

	if (entry < 24 || left % entry != 0) {
		return bad_tag(why, "memory map entry size below 24 or not a divisor of the map",
			       entry);
	}
	if (left / entry > BOOTINFO_RAW_MEM_MAX) {
		return bad_tag(why, "more than 1024 memory map entries", left / entry);
	}
	for (; left != 0; left -= entry, e += entry) {
		if (!bootinfo_mem_add(out, le64(e), le64(e + 8), le32(e + 16), why)) {
			return false;
		}
	}
	return true;
}

/*
 * UEFI 2.10 section 7.2.3; boot services have ended, so that their memory and the loader's is free.
 */
static uint32_t efi_type(uint32_t type)
{
	switch (type) {
	case 1:
	case 2:
	case 3:
	case 4:
	case 7:
		return BOOTINFO_MEM_USABLE;
	case 8:
		return BOOTINFO_MEM_BAD;
	case 9:
		return BOOTINFO_MEM_ACPI;
	case 10:
		return BOOTINFO_MEM_NVS;
	default:
		return BOOTINFO_MEM_RESERVED;
	}
}

static bool efi_mmap(const uint8_t *e, uint64_t left, uint64_t entry, struct bootinfo *out,
		     struct wire_fault *why)
{
	if (entry < 40 || left % entry != 0) {
		return bad_tag(why,
			       "EFI memory map entry size below 40 or not a divisor of the map",
			       entry);
	}
	if (left / entry > BOOTINFO_RAW_MEM_MAX) {
		return bad_tag(why, "more than 1024 EFI memory map entries", left / entry);
	}
	for (; left != 0; left -= entry, e += entry) {
		uint64_t pages = le64(e + 24);

		if (pages > UINT64_MAX >> 12) {
			return bad_tag(why, "EFI memory map entry wraps", pages);
		}
		if (!bootinfo_mem_add(out, le64(e + 8), pages << 12, efi_type(le32(e)), why)) {
			return false;
		}
	}
	return true;
}

static bool tag_one(const struct view *v, const struct tag *t, struct fallback *fb,
		    struct bootinfo *out, struct wire_fault *why)
{
	switch (t->type) {
	case TAG_CMDLINE:
		if (!bootinfo_string(v, t->addr + 8, t->size - 8, out->cmdline)) {
			return wire_fail(why, WHAT, "command line has no end within 2048 bytes",
					 "shorten the hypervisor's command line", t->size);
		}
		return true;
	case TAG_LOADER:
		bootinfo_loader_name(v, t->addr + 8, t->size - 8, out);
		return true;
	case TAG_MODULE:
		return bootinfo_module_add(v, out, le32(t->p + 8), le32(t->p + 12), t->addr + 16,
					   t->size - 16, why);
	case TAG_BASIC_MEM:
		fb->basic = *t;
		return true;
	case TAG_MMAP:
		return tag_mmap(t, out, why);
	case TAG_FB:
		/* Only type 1 has the colour fields, at 32. */
		if (t->p[29] == 1 && t->size >= 38) {
			bootinfo_fb_set(out, t->p + 8, t->p + 32);
		}
		return true;
	case TAG_EFI64:
		out->efi = true;
		out->efi_system_table = le64(t->p + 8);
		return true;
	case TAG_EFI64_IMAGE:
		out->efi_image = le64(t->p + 8);
		return true;
	case TAG_RSDP_V1:
		if (out->rsdp == 0) {
			out->rsdp = t->addr + TAG_HDR;
		}
		return true;
	case TAG_RSDP_V2:
		out->rsdp = t->addr + TAG_HDR;
		return true;
	case TAG_EFI_MMAP:
		fb->efi = *t;
		return true;
	case TAG_EFI_BS:
		out->efi_boot_services = true;
		return true;
	default:
		return true;
	}
}

static bool walk(const struct view *v, uint64_t addr, uint32_t total, struct fallback *fb,
		 struct bootinfo *out, struct wire_fault *why)
{
	const uint8_t *info = view_at(v, addr, total);
	uint32_t off = 8;

	while (info != NULL && range_within(off, TAG_HDR, total)) {
		struct tag t;

		t.addr = addr + off;
		t.p = info + off;
		t.type = le32(t.p);
		t.size = le32(t.p + 4);
		if (t.size < tag_min(t.type) || !range_within(off, t.size, total)) {
			return bad_tag(why, "tag size too small or past the end", t.size);
		}
		if (t.type == TAG_END) {
			return true;
		}
		if (!tag_one(v, &t, fb, out, why)) {
			return false;
		}
		/* total is at most 1 MiB: neither sum wraps. Tags start at multiples of 8. */
		off = (off + t.size + 7u) & ~7u;
	}
	return bad_tag(why, "no end tag", total);
}

/* Trust: addr and everything behind v are hostile. Refuses what bootinfo_parse says. */
bool bootinfo_mb2(const struct view *v, uint64_t addr, struct bootinfo *out, struct wire_fault *why)
{
	const uint8_t *head = view_at(v, addr, 8);
	struct fallback fb = { 0 };
	uint32_t total;

	if (head == NULL) {
		return bad_tag(why, "does not lie below 4 GiB", addr);
	}
	total = le32(head);
	if (total < 16 || total > INFO_MAX || view_at(v, addr, total) == NULL) {
		return bad_tag(why, "total size below 16, above 1 MiB or past 4 GiB", total);
	}
	out->info_addr = addr;
	out->info_size = total;
	if (!walk(v, addr, total, &fb, out, why)) {
		return false;
	}
	if (out->efi_boot_services) { /* what a loader says of memory is not the last word then */
		out->mem_count = 0;
		return true;
	}
	if (out->mem_count == 0 && fb.efi.p != NULL &&
	    !efi_mmap(fb.efi.p + 16, fb.efi.size - 16, le32(fb.efi.p + 8), out, why)) {
		return false;
	}
	if (out->mem_count == 0 && fb.basic.p != NULL) {
		return bootinfo_mem_basic(out, le32(fb.basic.p + 8), le32(fb.basic.p + 12), why);
	}
	return true;
}

bool bootinfo_efi_memory(struct bootinfo *bi, const uint8_t *map, uint64_t bytes, uint64_t entry,
			 struct wire_fault *why)
{
	wire_ok(why);
	bi->mem_count = 0;
	return efi_mmap(map, bytes, entry, bi, why) && bootinfo_mem_usable(bi, why);
}

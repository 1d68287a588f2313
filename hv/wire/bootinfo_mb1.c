/* SPDX-License-Identifier: MIT */
/* Multiboot 1 information (specification 0.6.96, section 3.3). */
#include "hv/wire/bootinfo_int.h"
#include "hv/wire/fault.h"

#define WHAT "Multiboot 1 information"

#define FLAG_MEM (1u << 0)
#define FLAG_CMDLINE (1u << 2)
#define FLAG_MODS (1u << 3)
#define FLAG_MMAP (1u << 6)
#define FLAG_LOADER (1u << 9)
#define FLAG_FB (1u << 12)

/* Bytes up to and including mmap_addr, loader name, colour fields. */
#define LEN_BASE 52u
#define LEN_LOADER 68u
#define LEN_FB 116u

static bool memory(const struct view *v, const uint8_t *info, struct bootinfo *out,
		   struct wire_fault *why)
{
	uint32_t flags = le32(info), len = le32(info + 44), off = 0, count = 0;
	const uint8_t *map;

	if ((flags & FLAG_MMAP) == 0) {
		return (flags & FLAG_MEM) == 0 ||
		       bootinfo_mem_basic(out, le32(info + 4), le32(info + 8), why);
	}
	map = view_at(v, le32(info + 48), len);
	if (map == NULL) {
		return wire_fail(why, WHAT, "memory map does not lie below 4 GiB",
				 BOOTINFO_REMEDY_LOADER, le32(info + 48));
	}
	while (off < len) {
		const uint8_t *e = map + off;
		uint32_t left = len - off, size;

		if (left < 24) {
			return wire_fail(why, WHAT, "memory map ends within an entry",
					 BOOTINFO_REMEDY_LOADER, len);
		}
		size = le32(e); /* of what follows the size field */
		if (size < 20 || size > left - 4) {
			return wire_fail(why, WHAT,
					 "memory map entry size below 20 or past the map",
					 BOOTINFO_REMEDY_LOADER, size);
		}
		if (++count > BOOTINFO_RAW_MEM_MAX) {
			return wire_fail(why, WHAT, "more than 1024 memory map entries",
					 BOOTINFO_REMEDY_LOADER, count);
		}
		if (!bootinfo_mem_add(out, le64(e + 4), le64(e + 12), le32(e + 20), why)) {
			return false;
		}
		off += size + 4;
	}
	return true;
}

static bool modules(const struct view *v, const uint8_t *info, struct bootinfo *out,
		    struct wire_fault *why)
{
	uint32_t count = le32(info + 20);
	const uint8_t *m;

	if (count > BOOTINFO_MODULE_MAX) {
		return wire_fail(why, WHAT, "more than 8 modules",
				 "remove modules from the boot entry", count);
	}
	m = view_at(v, le32(info + 24), count * 16ull);
	if (m == NULL) {
		return wire_fail(why, WHAT, "module list does not lie below 4 GiB",
				 BOOTINFO_REMEDY_LOADER, le32(info + 24));
	}
	for (uint32_t i = 0; i < count; i++, m += 16) {
		if (!bootinfo_module_add(v, out, le32(m), le32(m + 4), le32(m + 8), UINT64_MAX,
					 why)) {
			return false;
		}
	}
	return true;
}

/* Trust: addr and everything behind v are hostile. Refuses what bootinfo_parse says. */
bool bootinfo_mb1(const struct view *v, uint64_t addr, struct bootinfo *out, struct wire_fault *why)
{
	const uint8_t *info = view_at(v, addr, LEN_BASE);
	const uint8_t *more;
	uint32_t flags;

	if (info == NULL) {
		return wire_fail(why, WHAT, "does not lie below 4 GiB", BOOTINFO_REMEDY_LOADER,
				 addr);
	}
	flags = le32(info);
	if ((flags & FLAG_CMDLINE) != 0 &&
	    !bootinfo_string(v, le32(info + 16), UINT64_MAX, out->cmdline)) {
		return wire_fail(why, WHAT, "command line has no end within 2048 bytes",
				 "shorten the hypervisor's command line", le32(info + 16));
	}
	if ((flags & FLAG_LOADER) != 0) {
		more = view_at(v, addr, LEN_LOADER);
		if (more == NULL) {
			return wire_fail(why, WHAT, "cut off before the loader's name",
					 BOOTINFO_REMEDY_LOADER, addr);
		}
		bootinfo_loader_name(v, le32(more + 64), UINT64_MAX, out);
	}
	if ((flags & FLAG_FB) != 0) {
		more = view_at(v, addr, LEN_FB);
		if (more == NULL) {
			return wire_fail(why, WHAT, "cut off before the framebuffer fields",
					 BOOTINFO_REMEDY_LOADER, addr);
		}
		bootinfo_fb_set(out, more + 88, more + 110);
	}
	if (!memory(v, info, out, why)) {
		return false;
	}
	return (flags & FLAG_MODS) == 0 || modules(v, info, out, why);
}

/* SPDX-License-Identifier: MIT */
/* The setup header of a Linux bzImage (Documentation/arch/x86/boot.rst). */
#include "hv/wire/bzimage.h"
#include "hv/wire/fault.h"
#include "hv/wire/mem.h"

#define WHAT "Linux kernel image"
#define REMEDY_FILE "check that the kernel module is a whole x86-64 bzImage"
#define REMEDY_NEW "use an x86-64 kernel, Linux 3.8 or later"

#define HDR_START 0x1f1u
#define HDR_ROOM 0x290u /* boot_params has other fields from here on */
#define HDR_LAST 0x264u /* end of init_size, the last field used */
#define XLF_KERNEL_64 (1u << 0)
#define XLF_ABOVE_4G (1u << 1)
#define INIT_SIZE_MAX (1u << 30)

static bool read_header(const uint8_t *img, uint64_t size, struct bzimage *out,
			struct wire_fault *why)
{
	uint32_t end;

	if (size < HDR_LAST) {
		return wire_fail(why, WHAT, "shorter than a setup header", REMEDY_FILE, size);
	}
	if (le16(img + 0x1fe) != 0xaa55) {
		return wire_fail(why, WHAT, "boot flag is not 0xaa55", REMEDY_FILE,
				 le16(img + 0x1fe));
	}
	if (memcmp(img + 0x202, "HdrS", 4) != 0) {
		return wire_fail(why, WHAT, "no HdrS at 0x202", REMEDY_FILE, le32(img + 0x202));
	}
	out->version = le16(img + 0x206);
	if (out->version < 0x020c) {
		return wire_fail(why, WHAT, "boot protocol below 2.12", REMEDY_NEW, out->version);
	}
	/* The jump at 0x200 leaps over the header: its distance is the header's end. */
	end = 0x202u + img[0x201];
	if (end < HDR_LAST || end > size) {
		return wire_fail(why, WHAT, "setup header's length is too small or past the file",
				 REMEDY_FILE, img[0x201]);
	}
	out->hdr_offset = HDR_START;
	out->hdr_size = (end < HDR_ROOM ? end : HDR_ROOM) - HDR_START;
	if ((le16(img + 0x236) & XLF_KERNEL_64) == 0) {
		return wire_fail(why, WHAT, "no 64-bit entry", REMEDY_NEW, le16(img + 0x236));
	}
	out->above_4g = (le16(img + 0x236) & XLF_ABOVE_4G) != 0;
	out->initrd_addr_max = le32(img + 0x22c);
	out->alignment = le32(img + 0x230);
	out->relocatable = img[0x234] != 0;
	out->cmdline_max = le32(img + 0x238);
	out->pref_address = le64(img + 0x258);
	out->init_size = le32(img + 0x260);
	return true;
}

/*
 * Purpose: where a bzImage's parts are and what memory it wants.
 * Trust: img[0..size) is hostile. Refuses: see the header; also a preferred address that wraps.
 * Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header" and "64-bit Boot Protocol".
 */
bool bzimage_parse(const uint8_t *img, uint64_t size, struct bzimage *out, struct wire_fault *why)
{
	uint32_t setup_sects;

	wire_ok(why);
	memset(out, 0, sizeof(*out));
	if (!read_header(img, size, out, why)) {
		return false;
	}
	setup_sects = img[0x1f1] != 0 ? img[0x1f1] : 4; /* 0 means 4, for old times' sake */
	out->payload_offset = (setup_sects + 1) * 512;
	out->payload_size = le32(img + 0x1f4) * 16ull;
	if (out->payload_size == 0) {
		return wire_fail(why, WHAT, "no protected-mode code (syssize 0)", REMEDY_FILE, 0);
	}
	if (!range_within(out->payload_offset, out->payload_size, size)) {
		return wire_fail(why, WHAT, "truncated: syssize says more than the file holds",
				 "copy the kernel again, the file is cut off", out->payload_size);
	}
	if (out->init_size == 0 || out->init_size > INIT_SIZE_MAX ||
	    out->init_size < out->payload_size) {
		return wire_fail(why, WHAT, "init_size 0, above 1 GiB or below the payload",
				 REMEDY_FILE, out->init_size);
	}
	if (out->alignment < 4096 || (out->alignment & (out->alignment - 1)) != 0) {
		return wire_fail(why, WHAT, "alignment below 4096 or not a power of two",
				 REMEDY_FILE, out->alignment);
	}
	if (!range_within(out->pref_address, out->init_size, UINT64_MAX)) {
		return wire_fail(why, WHAT, "preferred address wraps", REMEDY_FILE,
				 out->pref_address);
	}
	return true;
}

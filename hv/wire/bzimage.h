/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_BZIMAGE_H
#define HV_WIRE_BZIMAGE_H
/* Linux x86 boot protocol, 64-bit entry (Documentation/x86/boot.rst), protocol 2.12 or later. */
#include "hv/wire/view.h"

struct bzimage {
	uint16_t version;    /* boot protocol, e.g. 0x020f */
	uint32_t hdr_offset; /* 0x1f1 */
	uint32_t hdr_size; /* bytes of the setup header to copy into boot_params, bounded by 0x290 - 0x1f1 */
	uint32_t payload_offset; /* of the protected-mode kernel in the file */
	uint64_t payload_size;   /* bytes, not 0 */
	uint32_t init_size; /* memory the kernel needs from its load address on; >= payload_size */
	uint64_t pref_address;
	uint32_t alignment; /* power of two, >= 4096 */
	bool relocatable;
	uint32_t cmdline_max; /* bytes without the NUL */
	uint64_t initrd_addr_max;
	bool above_4g; /* XLF_CAN_BE_LOADED_ABOVE_4G */
};

/*
 * Trust: `img` is hostile. Refuses: too short, no "HdrS", boot flag not 0xAA55, version below 2.12,
 * no 64-bit entry (XLF_KERNEL_64), setup or payload beyond the file (syssize * 16 says more than there is: "truncated"),
 * init_size 0 or above 1 GiB or below the payload, alignment not a power of two.
 */
bool bzimage_parse(const uint8_t *img, uint64_t size, struct bzimage *out, struct wire_fault *why);

#endif

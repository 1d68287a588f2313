/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_CORE_LAUNCH_H
#define ATTEST_CORE_LAUNCH_H
/*
 * The launch measurement (docs/attestation.md, section 2) as the hypervisor makes it and redoubt-measure repeats it: struct attest_record
 * is hashed as it lies in memory, little-endian.
 */
#include "attest/core/format.h"
#include "hv/abi/tlfs.h"

/* The registers of each VP, in the order in which they are hashed. */
#define ATTEST_REGISTERS                                                                           \
	{                                                                                          \
		HV_REG_RAX, HV_REG_RAX + 1, HV_REG_RAX + 2, HV_REG_RAX + 3, HV_REG_RAX + 4,        \
			HV_REG_RAX + 5, HV_REG_RAX + 6, HV_REG_RAX + 7, HV_REG_RAX + 8,            \
			HV_REG_RAX + 9, HV_REG_RAX + 10, HV_REG_RAX + 11, HV_REG_RAX + 12,         \
			HV_REG_RAX + 13, HV_REG_RAX + 14, HV_REG_RAX + 15, HV_REG_RIP,             \
			HV_REG_RFLAGS, HV_REG_CR0, HV_REG_CR3, HV_REG_CR4, HV_REG_EFER, HV_REG_ES, \
			HV_REG_CS, HV_REG_SS, HV_REG_DS, HV_REG_FS, HV_REG_GS, HV_REG_LDTR,        \
			HV_REG_TR, HV_REG_IDTR, HV_REG_GDTR                                        \
	}
#define ATTEST_REGISTER_COUNT 32u

struct attest_register {
	uint32_t name;
	uint32_t reserved;
	uint64_t low, high;
};
_Static_assert(sizeof(struct attest_register) == 24, "layout");

/* The next digest, for the caller's SHA-384: replaces LD by the digest of the whole record. */
static inline struct attest_record attest_record_make(enum attest_record_type type,
						      const uint8_t *ld, const uint8_t *contents)
{
	struct attest_record r = { .type = (uint32_t)type };

	__builtin_memcpy(r.digest, ld, sizeof(r.digest));
	__builtin_memcpy(r.contents, contents, sizeof(r.contents));
	return r;
}

#endif

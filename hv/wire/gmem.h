/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_GMEM_H
#define HV_WIRE_GMEM_H
/*
 * The one door to guest memory in a process: a mapping of all of a guest's memory, and checked copies. The guest changes
 * this memory at any moment: what is copied is copied once, and nothing keeps a pointer but gmem_direct's users, who give it
 * to the kernel for direct I/O without looking behind it.
 */
#include "hv/wire/view.h"

#define GMEM_LOW_LIMIT 0xc0000000ull
#define GMEM_HIGH_BASE 0x100000000ull

struct gmem {
	uint8_t *base; /* of the mapping: low memory, then what lies above 4 GiB */
	uint64_t size;
};

/* All of [gpa, gpa + len) is guest memory. Trust: gpa and len are hostile. */
bool gmem_check(const struct gmem *m, uint64_t gpa, uint64_t len);
/* false: not all of it is guest memory; nothing was copied. */
bool gmem_copy_in(const struct gmem *m, uint64_t gpa, void *to, size_t len);
bool gmem_copy_out(const struct gmem *m, uint64_t gpa, const void *from, size_t len);
/* Address of [gpa, gpa + len) for direct I/O; NULL: not guest memory, or it crosses the hole. */
void *gmem_direct(const struct gmem *m, uint64_t gpa, uint64_t len);
/* One aligned 32-bit word: loaded or stored once; 0 where it is not guest memory. */
uint32_t gmem_load32(const struct gmem *m, uint64_t gpa);
void gmem_store32(const struct gmem *m, uint64_t gpa, uint32_t v);

#endif

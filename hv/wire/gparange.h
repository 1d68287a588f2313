/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_GPARANGE_H
#define HV_WIRE_GPARANGE_H
/* GPA ranges: {u32 byte_count, u32 byte_offset, u64 pfn[]}, as in GPA-direct packets. */
#include "hv/wire/view.h"

struct gpa_range {
	uint32_t length; /* bytes */
	uint32_t offset; /* into the first page, < 4096 */
	uint32_t pages;  /* pfns it uses */
	uint32_t first;  /* index of its first pfn in the caller's array */
};

/*
 * The ranges of a GPA-direct packet that ring_take copied, with packet.offset as header_length, as owned values; *count ranges,
 * maybe 0. false: a range that is empty or longer than there are pfns, an offset of a page or more, a pfn whose address has more
 * than 64 bits (so that pfn << 12 is safe; whether it is guest memory is for gmem to say), more than max_ranges or max_pfns, bytes
 * missing. Bytes behind the last range are ignored: storvsc before Linux 6.1.31 always sends 32 pfns. Trust: the packet's bytes.
 */
bool gpa_direct_parse(const uint8_t *packet, uint32_t header_length, struct gpa_range *ranges,
		      uint32_t max_ranges, uint32_t *count, uint64_t *pfn, uint32_t max_pfns);

#endif

/* SPDX-License-Identifier: MIT */
#include "hv/wire/gparange.h"

#define PAGE 4096u
#define PFN_LIMIT (1ull << 52)
#define RANGE_HEADER 8u

#define DIRECT_RESERVED 16u
#define DIRECT_COUNT 20u
#define DIRECT_RANGES 24u

static bool parse(const uint8_t *bytes, uint32_t size, uint32_t count, struct gpa_range *ranges,
		  uint32_t max_ranges, uint64_t *pfn, uint32_t max_pfns)
{
	uint32_t at = 0, first = 0;

	if (count > max_ranges) {
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t length, offset;
		uint64_t pages;

		if (size - at < RANGE_HEADER) {
			return false;
		}
		length = le32(bytes + at);
		offset = le32(bytes + at + 4);
		at += RANGE_HEADER;
		if (length == 0 || offset >= PAGE) {
			return false;
		}
		pages = ((uint64_t)offset + length + PAGE - 1) / PAGE;
		if (pages > (size - at) / 8 || pages > max_pfns - first) {
			return false;
		}
		ranges[i] = (struct gpa_range){ length, offset, (uint32_t)pages, first };
		for (uint64_t p = 0; p < pages; p++) {
			uint64_t number = le64(bytes + at);

			if (number >= PFN_LIMIT) {
				return false;
			}
			pfn[first++] = number;
			at += 8;
		}
	}
	return true;
}

bool gpa_direct_parse(const uint8_t *packet, uint32_t header_length, struct gpa_range *ranges,
		      uint32_t max_ranges, uint32_t *count, uint64_t *pfn, uint32_t max_pfns)
{
	uint32_t n;

	*count = 0;
	if (header_length < DIRECT_RANGES || le32(packet + DIRECT_RESERVED) != 0) {
		return false;
	}
	n = le32(packet + DIRECT_COUNT);
	if (!parse(packet + DIRECT_RANGES, header_length - DIRECT_RANGES, n, ranges, max_ranges,
		   pfn, max_pfns)) {
		return false;
	}
	*count = n;
	return true;
}

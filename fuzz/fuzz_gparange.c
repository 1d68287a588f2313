// SPDX-License-Identifier: MIT
/*
 * Input: byte 0: 1 a whole packet, else one with a good header; byte 1: ranges that the caller has room for; byte 2: pfns; byte 3:
 * count of the good header; then the bytes. What is accepted is written again and must give the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/script.h"
#include "hv/wire/gparange.h"

#define HEADER 24u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* n bytes, maybe none, 8 behind the start of an allocation and up to its end, so that ASan sees one too many. */
static void *exact(size_t n)
{
	uint64_t *p = malloc(n + sizeof(*p));

	if (p == NULL) {
		abort();
	}
	return p + 1;
}

/* Traps where the parsed ranges do not say what the bytes say. */
static void same(const uint8_t *bytes, uint32_t size, const struct gpa_range *ranges,
		 uint32_t count, const uint64_t *pfn, uint32_t max_pfns)
{
	uint32_t at = 0, next = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct gpa_range *r = &ranges[i];

		CHECK_FUZZ(r->length != 0 && r->offset < 4096 && r->first == next);
		CHECK_FUZZ(r->pages != 0 && r->pages <= max_pfns - next);
		CHECK_FUZZ((uint64_t)r->pages * 4096 >= (uint64_t)r->offset + r->length);
		CHECK_FUZZ((uint64_t)(r->pages - 1) * 4096 < (uint64_t)r->offset + r->length);
		CHECK_FUZZ(size - at >= 8 && (size - at - 8) / 8 >= r->pages);
		CHECK_FUZZ(le32(bytes + at) == r->length && le32(bytes + at + 4) == r->offset);
		at += 8;
		for (uint32_t p = 0; p < r->pages; p++, at += 8) {
			CHECK_FUZZ(le64(bytes + at) == pfn[next] && pfn[next] >> 52 == 0);
			next++;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 0 };
	bool whole = (script_take(&s, 1) & 1) != 0, ok;
	uint32_t max_ranges = (uint32_t)script_take(&s, 1), max_pfns = (uint32_t)script_take(&s, 1);
	uint32_t count = (uint32_t)script_take(&s, 1), header = whole ? 0 : HEADER, found = 77;
	uint32_t n = header + (uint32_t)(size - s.at);
	struct gpa_range *ranges = exact(max_ranges * sizeof(*ranges));
	uint64_t *pfn = exact(max_pfns * sizeof(*pfn));
	uint8_t *bytes = exact(n);

	memset(bytes, 0, header);
	if (!whole) {
		bytes[20] = (uint8_t)count;
	}
	memcpy(bytes + header, data + s.at, n - header);
	ok = gpa_direct_parse(bytes, n, ranges, max_ranges, &found, pfn, max_pfns);
	CHECK_FUZZ(ok || found == 0);
	if (ok) {
		CHECK_FUZZ(n >= HEADER && found <= max_ranges && le32(bytes + 20) == found);
		same(bytes + HEADER, n - HEADER, ranges, found, pfn, max_pfns);
	}
	free((uint64_t *)(void *)ranges - 1);
	free(pfn - 1);
	free(bytes - 8);
	return 0;
}

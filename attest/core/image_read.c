/* SPDX-License-Identifier: MIT */
/* Program headers of a 32-bit ELF file. */
#include "attest/core/image.h"
#include "hv/wire/fault.h"
#include "hv/wire/mem.h"

#define WHAT "ELF file"
#define REMEDY "give the redoubt.elf that the loader loads"
#define HEADER 52u
#define PROGRAM_HEADER 32u
#define PT_LOAD 1u

bool image_parse(const uint8_t *bytes, size_t n, struct image *out, struct wire_fault *why)
{
	static const uint8_t magic[7] = { 0x7f, 'E', 'L', 'F', 1, 1, 1 };
	uint64_t end = 0, start = 0;
	uint32_t table, count;

	memset(out, 0, sizeof(*out));
	if (n < HEADER || memcmp(bytes, magic, sizeof(magic)) != 0) {
		return wire_fail(why, WHAT, "not a 32-bit little-endian ELF file", REMEDY, n);
	}
	table = le32(bytes + 28);
	count = le16(bytes + 44);
	if (le16(bytes + 42) != PROGRAM_HEADER ||
	    !range_within(table, (uint64_t)count * PROGRAM_HEADER, n)) {
		return wire_fail(why, WHAT, "its program headers are outside", REMEDY, table);
	}
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *p = bytes + table + (size_t)i * PROGRAM_HEADER;
		uint32_t offset = le32(p + 4), address = le32(p + 12), file = le32(p + 16),
			 memory = le32(p + 20);

		if (le32(p) != PT_LOAD || memory == 0) {
			continue;
		}
		if (file > memory || !range_within(offset, file, n)) {
			return wire_fail(why, WHAT,
					 "a segment is longer in the file than it may be", REMEDY,
					 i);
		}
		if (out->count == IMAGE_SEGMENTS_MAX || (out->count != 0 && address < end)) {
			return wire_fail(why, WHAT,
					 "segments overlap, descend, or are more than 16", REMEDY,
					 i);
		}
		start = out->count == 0 ? address : start;
		end = (uint64_t)address + memory;
		if (end - start > IMAGE_MAX) {
			return wire_fail(why, WHAT, "above 256 MiB in memory", REMEDY, end - start);
		}
		out->segment[out->count].at = (uint32_t)(address - start);
		out->segment[out->count].offset = offset;
		out->segment[out->count].bytes = file;
		out->count++;
	}
	out->bytes = (uint32_t)(end - start);
	return out->count != 0 ? true : wire_fail(why, WHAT, "nothing to load", REMEDY, count);
}

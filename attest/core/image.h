/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_CORE_IMAGE_H
#define ATTEST_CORE_IMAGE_H
/* How a loader places redoubt.elf: what its measurement is over. docs/attestation.md section 1. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/wire/view.h"

#define IMAGE_SEGMENTS_MAX 16u
#define IMAGE_MAX (256u << 20)

struct image_segment {
	uint32_t at;     /* from the start of the image */
	uint32_t offset; /* in the file */
	uint32_t bytes; /* in the file; what is missing up to the next segment or the end is zero */
};

struct image {
	struct image_segment segment[IMAGE_SEGMENTS_MAX]; /* ascending, none touches another */
	uint32_t count;
	uint32_t bytes; /* of the whole image in memory */
};

/* A 32-bit little-endian ELF executable (TIS ELF 1.2), hostile bytes. */
bool image_parse(const uint8_t *bytes, size_t n, struct image *out, struct wire_fault *why);

#endif

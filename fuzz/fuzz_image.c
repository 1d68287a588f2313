/* SPDX-License-Identifier: MIT */
/* Input: an ELF file. */
#include "attest/core/image.h"
#include "fuzz/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_fault why = { NULL, NULL, NULL, 0 };
	struct image image;
	uint64_t end = 0;

	if (!image_parse(data, size, &image, &why)) {
		CHECK_FUZZ(why.what != NULL && why.field != NULL && why.remedy != NULL);
		return 0;
	}
	CHECK_FUZZ(image.count >= 1 && image.count <= IMAGE_SEGMENTS_MAX &&
		   image.segment[0].at == 0);
	for (uint32_t i = 0; i < image.count; i++) {
		CHECK_FUZZ(image.segment[i].at >= end);
		CHECK_FUZZ(range_within(image.segment[i].offset, image.segment[i].bytes, size));
		end = (uint64_t)image.segment[i].at + image.segment[i].bytes;
	}
	CHECK_FUZZ(end <= image.bytes && image.bytes <= IMAGE_MAX);
	return 0;
}

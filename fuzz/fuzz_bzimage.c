/* SPDX-License-Identifier: MIT */
/* Input: the image. */
#include <string.h>

#include "hv/wire/bzimage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                          \
	do {                              \
		if (!(x)) {               \
			__builtin_trap(); \
		}                         \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_fault why = { NULL, NULL, NULL, 0 };
	struct bzimage bz;

	memset(&bz, 0xa5, sizeof(bz));
	if (bzimage_parse(data, size, &bz, &why)) {
		CHECK(why.what == NULL);
		CHECK(bz.version >= 0x020c);
		CHECK(bz.hdr_offset == 0x1f1 && bz.hdr_size >= 0x264 - 0x1f1);
		CHECK(bz.hdr_size <= 0x290 - 0x1f1 && bz.hdr_offset + bz.hdr_size <= size);
		CHECK(bz.payload_size != 0);
		CHECK(range_within(bz.payload_offset, bz.payload_size, size));
		CHECK(bz.init_size >= bz.payload_size && bz.init_size <= 1u << 30);
		CHECK(bz.alignment >= 4096 && (bz.alignment & (bz.alignment - 1)) == 0);
		CHECK(bz.pref_address <= UINT64_MAX - bz.init_size);
	} else {
		CHECK(why.what != NULL && why.field != NULL && why.remedy != NULL);
	}
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Input: a bundle. What the reader accepts, the writer writes again byte for byte. */
#include <stdlib.h>
#include <string.h>

#include "attest/core/bundle.h"
#include "fuzz/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_fault why = { NULL, NULL, NULL, 0 };
	static struct attest_bundle b;
	uint8_t *out;

	/* Of one that is too long, nothing is read. */
	CHECK_FUZZ(!attest_bundle_parse(data, ATTEST_BUNDLE_MAX + 1, &b, &why) &&
		   why.value == ATTEST_BUNDLE_MAX + 1);
	if (!attest_bundle_parse(data, size, &b, &why)) {
		CHECK_FUZZ(why.what != NULL && why.field != NULL && why.remedy != NULL);
		return 0;
	}
	out = malloc(size);
	if (out != NULL) {
		CHECK_FUZZ(attest_bundle_write(&b, out, size) == size &&
			   memcmp(out, data, size) == 0);
		CHECK_FUZZ(attest_bundle_write(&b, out, size - 1) == 0);
	}
	free(out);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Input: the data of an event of PCR 22. What the reader accepts, the writer writes again byte for byte. */
#include <string.h>

#include "attest/core/event.h"
#include "fuzz/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t out[ATTEST_EVENT_MAX];
	struct wire_fault why = { NULL, NULL, NULL, 0 };
	struct attest_event e;

	if (attest_event_parse(data, size, &e, &why)) {
		CHECK_FUZZ(attest_event_write(&e, out, sizeof(out)) == size &&
			   memcmp(out, data, size) == 0);
		CHECK_FUZZ(attest_event_write(&e, out, size - 1) == 0);
	} else {
		CHECK_FUZZ(why.what != NULL && why.field != NULL && why.remedy != NULL);
	}
	return 0;
}

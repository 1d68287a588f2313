/* SPDX-License-Identifier: MIT */
/* Input: what the host answers to redoubt-report. A report that is taken is all that was said to come; a reason can be printed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attest/core/format.h"
#include "attest/guest/answer.h"
#include "fuzz/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size != 0 ? size : 1);
	struct answer a;

	CHECK_FUZZ(bytes != NULL);
	memcpy(bytes, data, size);
	if (answer_parse(bytes, size, &a) == NULL) {
		char length[48];
		int n = snprintf(length, sizeof(length), "\r\nContent-Length: %zu\r\n", a.n);

		CHECK_FUZZ(a.status >= 100 && a.status <= 599 && a.n <= ATTEST_BUNDLE_MAX);
		CHECK_FUZZ(a.body >= bytes + 4 && a.body + a.n == bytes + size);
		CHECK_FUZZ(memcmp(a.body - 4, "\r\n\r\n", 4) == 0);
		CHECK_FUZZ(memmem(bytes, size, length, (size_t)n) != NULL ||
			   memmem(bytes, size, "\r\nContent-Length: 0", 19) != NULL);
		CHECK_FUZZ(memchr(a.text, 0, sizeof(a.text)) != NULL);
		CHECK_FUZZ(a.status != 200 || a.text[0] == 0);
		CHECK_FUZZ(a.text[0] == 0 ||
			   (a.n > 11 && memcmp(a.body, "{\"error\": \"", 11) == 0));
		for (const char *c = a.text; *c != 0; c++) {
			CHECK_FUZZ(*c >= ' ' && *c <= '~');
		}
		/* A shorter piece is not an answer. */
		CHECK_FUZZ(size == 0 || a.n == 0 || answer_parse(bytes, size - 1, &a) != NULL);
	}
	free(bytes);
	return 0;
}

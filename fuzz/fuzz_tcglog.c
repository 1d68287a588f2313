// SPDX-License-Identifier: MIT
/* Input: an event log, header first. */
#include <stdlib.h>
#include <string.h>

#include "hv/wire/tcglog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                          \
	do {                              \
		if (!(x)) {               \
			__builtin_trap(); \
		}                         \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *log = malloc(size == 0 ? 1 : size);
	struct tcglog l;
	size_t at;

	if (log == NULL) {
		return 0;
	}
	memcpy(log, data, size);
	if (tcglog_open(log, size, &l)) {
		uint64_t count = 0;

		CHECK(l.header <= size && l.alg_count >= 1 && l.alg_count <= TCGLOG_ALG_MAX);
		for (at = l.header; at < size; count++) {
			uint32_t n = tcglog_event_size(&l, log + at, size - at);

			if (n == 0) {
				break;
			}
			CHECK(n >= 16 && n <= size - at);
			at += n;
		}
		CHECK(tcglog_events_size(&l, log + l.header, size - l.header, count) ==
		      at - l.header);
		CHECK(tcglog_events_size(&l, log + l.header, size - l.header, count + 1) ==
		      SIZE_MAX);
	}
	free(log);
	return 0;
}

// SPDX-License-Identifier: MIT
/* Input: an event log, header first. */
#include <stdlib.h>
#include <string.h>

#include "hv/wire/mem.h"
#include "hv/wire/tcglog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                          \
	do {                              \
		if (!(x)) {               \
			__builtin_trap(); \
		}                         \
	} while (0)

/* Where the firmware says that its last event begins: right, at the header, in the middle, outside. */
static void check_ends(const struct tcglog *l, const uint8_t *log, size_t size, size_t last,
		       size_t end)
{
	struct tcglog again;
	size_t n;

	CHECK(tcglog_size(&again, log, size, last) == end && again.header == l->header);
	CHECK(tcglog_size(&again, log, size, 0) == l->header);
	CHECK(tcglog_size(&again, log, size, size) == 0);
	CHECK(tcglog_size(&again, log, size, SIZE_MAX) == 0);
	n = tcglog_size(&again, log, size, size / 2);
	CHECK(n == 0 || (n > size / 2 && n <= size));
	CHECK(tcglog_size(&again, log, l->header - 1, last) == 0);
	for (uint32_t alg = 0; alg < 0x30; alg++) {
		bool has = false;

		for (uint32_t i = 0; i < l->alg_count; i++) {
			has |= l->alg[i].id == alg;
		}
		CHECK(tcglog_has(l, (uint16_t)alg) == has);
		CHECK(tcglog_digest_size((uint16_t)alg) <= 64);
	}
}

/* Events `first` to `count` of the final table. */
static void check_final(const struct tcglog *l, const uint8_t *p, size_t n, uint64_t count)
{
	size_t from = 0, bytes = 0, all = tcglog_events_size(l, p, n, count);

	CHECK(tcglog_final(l, p, n, 0, count, &from, &bytes) && from == 0 && bytes == all);
	CHECK(tcglog_final(l, p, n, count / 2, count, &from, &bytes) && from + bytes == all);
	CHECK(!tcglog_final(l, p, n, count + 1, count, &from, &bytes));
	CHECK(!tcglog_final(l, p, n, 0, count + 1, &from, &bytes));
	CHECK(!tcglog_final(l, p, n, 0, UINT64_MAX, &from, &bytes));
	CHECK(count == 0 || !tcglog_final(l, p, n, count, count - 1, &from, &bytes));
}

/* A header that is refused has no events behind it, wherever the last one is said to be. */
static void check_refused(const uint8_t *log, size_t size)
{
	struct tcglog l;

	CHECK(tcglog_size(&l, log, size, 0) == 0 && tcglog_size(&l, log, size, size / 2) == 0);
	if (size >= 32) {
		CHECK(tcglog_size(&l, log, size, 32 + (size_t)le32(log + 28)) == 0);
	}
}

/* An event that was taken, counted once more: digests of the header's sizes, then as many bytes as it says. */
static uint64_t event_bytes(const struct tcglog *l, const uint8_t *p)
{
	uint64_t at = 12;

	for (uint32_t n = le32(p + 8); n != 0; n--) {
		uint32_t i = 0;

		while (i < l->alg_count && l->alg[i].id != le16(p + at)) {
			i++;
		}
		CHECK(i < l->alg_count);
		at += 2u + l->alg[i].size;
	}
	return at + 4 + le32(p + at);
}

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
		size_t last = 0;

		CHECK(l.header <= size && l.alg_count >= 1 && l.alg_count <= TCGLOG_ALG_MAX);
		for (at = l.header; at < size; count++) {
			uint32_t n = tcglog_event_size(&l, log + at, size - at);

			if (n == 0) {
				break;
			}
			CHECK(n >= 16 && n <= size - at && n == event_bytes(&l, log + at));
			last = at;
			at += n;
		}
		CHECK(tcglog_events_size(&l, log + l.header, size - l.header, count) ==
		      at - l.header);
		CHECK(tcglog_events_size(&l, log + l.header, size - l.header, count + 1) ==
		      SIZE_MAX);
		check_ends(&l, log, size, last, at);
		check_final(&l, log + l.header, size - l.header, count);
	} else {
		check_refused(log, size);
	}
	free(log);
	return 0;
}

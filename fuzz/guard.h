/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_GUARD_H
#define FUZZ_GUARD_H
/*
 * C1, for parsers that hand their input to a library which has no sanitizers (jansson): ASan does not see such a library read behind an
 * allocation, a processor does.
 */
#include <sys/mman.h>

#include "fuzz/script.h"

#define GUARD_PAGE 4096u
#define GUARD_ROOM (16u * GUARD_PAGE)

FUZZ_QUIET_BEGIN

/* The same bytes, behind which there is no memory; of at most GUARD_ROOM, until the next call. */
static inline const char *guard_bytes(const void *bytes, size_t n)
{
	static char *end;

	if (end == NULL) {
		char *room = mmap(NULL, GUARD_ROOM + GUARD_PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CHECK_FUZZ(room != MAP_FAILED);
		end = room + GUARD_ROOM;
		CHECK_FUZZ(mprotect(end, GUARD_PAGE, PROT_NONE) == 0);
	}
	CHECK_FUZZ(n <= GUARD_ROOM);
	return memcpy(end - n, bytes, n);
}

FUZZ_QUIET_END

#endif

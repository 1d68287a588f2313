/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_HEAP_H
#define FUZZ_HEAP_H
/*
 * C6: what one input takes from the heap, it gives back. For harnesses that keep nothing over two inputs. LeakSanitizer sees the same, but
 * not while AFL++ runs, and it takes a pointer that has been left on the stack for one in use.
 */
#include <stdint.h>

#include "fuzz/oracle.h"

/* Of ASan's runtime; programs without it do not look. */
int __sanitizer_install_malloc_and_free_hooks(void (*made)(const volatile void *, size_t),
					      void (*gone)(const volatile void *))
	__attribute__((weak));

/* Taken and not given back since heap_begin, by this thread: engines have others. */
static _Thread_local int64_t heap_blocks;
static _Thread_local bool heap_counts;

FUZZ_QUIET_BEGIN

static inline void heap_made(const volatile void *p, size_t n)
{
	(void)n;
	heap_blocks += heap_counts && p != NULL;
}

static inline void heap_gone(const volatile void *p)
{
	heap_blocks -= heap_counts && p != NULL;
}

static inline void heap_begin(void)
{
	static bool hooked;

	if (!hooked && &__sanitizer_install_malloc_and_free_hooks != NULL) {
		hooked = __sanitizer_install_malloc_and_free_hooks(heap_made, heap_gone) != 0;
	}
	heap_blocks = 0;
	heap_counts = true;
}

static inline void heap_end(void)
{
	heap_counts = false;
	ORACLE(heap_blocks == 0, "an input leaves memory behind");
}

FUZZ_QUIET_END

#endif

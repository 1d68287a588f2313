/* SPDX-License-Identifier: MIT */
#ifndef HV_ARCH_FAKE_FAKE_PAGE_H
#define HV_ARCH_FAKE_FAKE_PAGE_H
/*
 * Whole pages of the fake architecture's own: copied and compared without the sanitizer's questions about each byte, and with as wide
 * words as the CPU has. An input's time goes into this.
 */
#include <string.h>

#include "hv/core/types.h"

typedef uint64_t page_block __attribute__((vector_size(64), aligned(8), may_alias));

#define PAGE_BLOCKS (PAGE_SIZE / sizeof(page_block))
#define PAGE_PLAIN __attribute__((no_sanitize("address", "undefined"), noinline, unused))
#define PAGE_WIDE PAGE_PLAIN __attribute__((target("avx2")))

#define PAGE_OR_ALL(expression)                      \
	page_block any = { 0 };                      \
	uint64_t bits = 0;                           \
	for (unsigned i = 0; i < PAGE_BLOCKS; i++) { \
		any |= (expression);                 \
	}                                            \
	for (unsigned i = 0; i < 8; i++) {           \
		bits |= any[i];                      \
	}                                            \
	return bits == 0

PAGE_WIDE static bool page_zero_wide(const page_block *a)
{
	PAGE_OR_ALL(a[i]);
}

PAGE_PLAIN static bool page_zero_plain(const page_block *a)
{
	PAGE_OR_ALL(a[i]);
}

PAGE_WIDE static bool page_same_wide(const page_block *a, const page_block *b)
{
	PAGE_OR_ALL(a[i] ^ b[i]);
}

PAGE_PLAIN static bool page_same_plain(const page_block *a, const page_block *b)
{
	PAGE_OR_ALL(a[i] ^ b[i]);
}

PAGE_WIDE static void page_copy_wide(page_block *to, const page_block *from)
{
	for (unsigned i = 0; i < PAGE_BLOCKS; i++) {
		to[i] = from[i];
	}
}

PAGE_PLAIN static void page_copy_plain(page_block *to, const page_block *from)
{
	for (unsigned i = 0; i < PAGE_BLOCKS; i++) {
		to[i] = from[i];
	}
}

static inline bool page_zero(const uint8_t *page)
{
	return __builtin_cpu_supports("avx2") ? page_zero_wide((const page_block *)page)
					      : page_zero_plain((const page_block *)page);
}

static inline bool page_same(const uint8_t *a, const uint8_t *b)
{
	return __builtin_cpu_supports("avx2")
		       ? page_same_wide((const page_block *)a, (const page_block *)b)
		       : page_same_plain((const page_block *)a, (const page_block *)b);
}

static inline void page_copy(uint8_t *to, const uint8_t *from)
{
	if (__builtin_cpu_supports("avx2")) {
		page_copy_wide((page_block *)to, (const page_block *)from);
	} else {
		page_copy_plain((page_block *)to, (const page_block *)from);
	}
}

#endif

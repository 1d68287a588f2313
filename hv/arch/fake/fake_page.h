/* SPDX-License-Identifier: MIT */
#ifndef HV_ARCH_FAKE_FAKE_PAGE_H
#define HV_ARCH_FAKE_FAKE_PAGE_H
/*
 * Whole pages of the fake architecture and its harnesses: looked at, copied and compared without the sanitizer's questions about each byte, and with
 * as wide words as the CPU has. An input's time goes into this.
 *
 * A copy of a page is lines of 64 bytes, and a word that says which of them are there: the others are zero. Most are, and are neither
 * written nor read again.
 */
#include <sanitizer/asan_interface.h>
#include <string.h>

#include "hv/core/types.h"

typedef uint64_t page_line __attribute__((vector_size(64), aligned(8), may_alias));

#define PAGE_LINE 64u
#define PAGE_LINES (PAGE_SIZE / PAGE_LINE)
#define PAGE_WORDS (PAGE_SIZE / sizeof(uint64_t))
#define PAGE_PLAIN \
	__attribute__((no_sanitize("address", "undefined", "coverage"), noinline, unused))
#define PAGE_WIDE PAGE_PLAIN __attribute__((target("avx2")))
#define PAGE_BODY     \
	static inline \
		__attribute__((no_sanitize("address", "undefined", "coverage"), always_inline))
#define PAGE_ANY(v) (((v)[0] | (v)[1] | (v)[2] | (v)[3] | (v)[4] | (v)[5] | (v)[6] | (v)[7]) != 0)

_Static_assert(PAGE_LINES == 64, "a bit for each line");

PAGE_BODY bool page_zero_body(const page_line *a)
{
	for (unsigned i = 0; i < PAGE_LINES; i += 16) {
		page_line any[4] = { a[i], a[i + 1], a[i + 2], a[i + 3] };

		for (unsigned k = 4; k < 16; k += 4) {
			any[0] |= a[i + k];
			any[1] |= a[i + k + 1];
			any[2] |= a[i + k + 2];
			any[3] |= a[i + k + 3];
		}
		any[0] = (any[0] | any[1]) | (any[2] | any[3]);
		if (PAGE_ANY(any[0])) {
			return false;
		}
	}
	return true;
}

PAGE_BODY uint64_t page_copy_body(page_line *to, const page_line *from, unsigned lines)
{
	uint64_t there = 0;

	for (unsigned i = 0; i < lines; i += 4) {
		page_line any = (from[i] | from[i + 1]) | (from[i + 2] | from[i + 3]);

		if (!PAGE_ANY(any)) {
			continue;
		}
		for (unsigned k = i; k < i + 4; k++) {
			to[k] = from[k];
		}
		there |= 0xfull << i;
	}
	return there;
}

PAGE_BODY bool page_same_body(const page_line *copy, uint64_t there, const page_line *a,
			      unsigned lines)
{
	for (unsigned i = 0; i < lines; i++) {
		page_line any = a[i];

		if ((there >> i & 1) != 0) {
			any ^= copy[i];
		} else if (i % 4 == 0 && (there >> i & 0xf) == 0) {
			any |= a[i + 1] | (a[i + 2] | a[i + 3]);
			i += 3;
		}
		if (PAGE_ANY(any)) {
			return false;
		}
	}
	return true;
}

PAGE_BODY void page_move_body(page_line *to, const page_line *from)
{
	for (unsigned i = 0; i < PAGE_LINES; i++) {
		to[i] = from[i];
		__asm__ volatile("" ::: "memory"); /* or it becomes memcpy, which asks questions */
	}
}

PAGE_BODY unsigned page_next_body(const page_line *a, unsigned i)
{
	const uint64_t *word = (const uint64_t *)a;

	while (i < PAGE_WORDS && word[i] == 0) {
		const page_line *line = a + i / 8;
		page_line any = { 1 };

		if (i % 32 == 0) {
			any = (line[0] | line[1]) | (line[2] | line[3]);
		}
		i += PAGE_ANY(any) ? 1 : 32;
	}
	return i;
}

PAGE_PLAIN static bool page_zero_plain(const page_line *a)
{
	return page_zero_body(a);
}

PAGE_WIDE static bool page_zero_wide(const page_line *a)
{
	return page_zero_body(a);
}

PAGE_PLAIN static uint64_t page_copy_plain(page_line *to, const page_line *from, unsigned lines)
{
	return page_copy_body(to, from, lines);
}

PAGE_WIDE static uint64_t page_copy_wide(page_line *to, const page_line *from, unsigned lines)
{
	return page_copy_body(to, from, lines);
}

PAGE_PLAIN static bool page_same_plain(const page_line *copy, uint64_t there, const page_line *a,
				       unsigned lines)
{
	return page_same_body(copy, there, a, lines);
}

PAGE_WIDE static bool page_same_wide(const page_line *copy, uint64_t there, const page_line *a,
				     unsigned lines)
{
	return page_same_body(copy, there, a, lines);
}

PAGE_PLAIN static unsigned page_next_plain(const page_line *a, unsigned i)
{
	return page_next_body(a, i);
}

PAGE_WIDE static unsigned page_next_wide(const page_line *a, unsigned i)
{
	return page_next_body(a, i);
}

PAGE_PLAIN static void page_move_plain(page_line *to, const page_line *from)
{
	page_move_body(to, from);
}

PAGE_WIDE static void page_move_wide(page_line *to, const page_line *from)
{
	page_move_body(to, from);
}

static inline bool page_zero(const uint8_t *page)
{
	return __builtin_cpu_supports("avx2") ? page_zero_wide((const page_line *)page)
					      : page_zero_plain((const page_line *)page);
}

/* The first word of a page from the i-th on that is not zero; PAGE_WORDS: there is none. */
static inline unsigned page_next(const uint64_t *page, unsigned i)
{
	return __builtin_cpu_supports("avx2") ? page_next_wide((const page_line *)page, i)
					      : page_next_plain((const page_line *)page, i);
}

/* Of the first lines of a page, a multiple of four: answers which are in the copy. */
static inline uint64_t page_copy(uint8_t *to, const uint8_t *from, unsigned lines)
{
	return __builtin_cpu_supports("avx2")
		       ? page_copy_wide((page_line *)to, (const page_line *)from, lines)
		       : page_copy_plain((page_line *)to, (const page_line *)from, lines);
}

static inline bool page_same(const uint8_t *copy, uint64_t there, const uint8_t *page,
			     unsigned lines)
{
	return __builtin_cpu_supports("avx2") ? page_same_wide((const page_line *)copy, there,
							       (const page_line *)page, lines)
					      : page_same_plain((const page_line *)copy, there,
								(const page_line *)page, lines);
}

/* All of it. */
static inline void page_move(uint8_t *to, const uint8_t *from)
{
	if (__builtin_cpu_supports("avx2")) {
		page_move_wide((page_line *)to, (const page_line *)from);
	} else {
		page_move_plain((page_line *)to, (const page_line *)from);
	}
}

/* What ASan's own functions do for any stretch of bytes: 8 of them have one of the shadow. */
#if __has_feature(address_sanitizer)
PAGE_PLAIN static void page_shadow(void *page, uint64_t with)
{
	static size_t scale, offset;
	page_line *shadow;

	if (scale == 0) {
		__asan_get_shadow_mapping(&scale, &offset);
	}
	shadow = (page_line *)(((uintptr_t)page >> scale) + offset);
	for (unsigned i = 0; i < (PAGE_SIZE >> scale) / PAGE_LINE; i++) {
		shadow[i] = (page_line){ 0 } + with;
		__asm__ volatile("" ::: "memory"); /* or it becomes memset, which asks questions */
	}
}
#else
static inline void page_shadow(void *page, uint64_t with)
{
	(void)page;
	(void)with;
}
#endif

/* Of an aligned page. */
static inline void page_close(void *page)
{
	page_shadow(page, 0xf7f7f7f7f7f7f7f7ull);
}

static inline void page_open(void *page)
{
	page_shadow(page, 0);
}

#endif

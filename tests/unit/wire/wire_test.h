/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_WIRE_TEST_H
#define TESTS_UNIT_WIRE_TEST_H
/*
 * For the tests of hv/wire: a scratch arena to build inputs in, and exactly sized copies that ASan
 * guards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/wire/view.h"

static inline void put16(uint8_t *p, uint64_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void put32(uint8_t *p, uint64_t v)
{
	put16(p, v);
	put16(p + 2, v >> 16);
}

static inline void put64(uint8_t *p, uint64_t v)
{
	put32(p, v);
	put32(p + 4, v >> 32);
}

/* A heap copy of exactly n bytes (malloc(0) is guarded, too). */
static inline uint8_t *exact(const void *p, size_t n)
{
	uint8_t *copy = malloc(n);

	assert_non_null(copy);
	if (n != 0) {
		memcpy(copy, p, n);
	}
	return copy;
}

/* Poison, so that a parser which forgets to set a fault is seen. */
static inline struct wire_fault poison(void)
{
	struct wire_fault f = { NULL, NULL, NULL, 0x5a5a };

	return f;
}

static inline void assert_fault(const struct wire_fault *f, const char *field)
{
	assert_non_null(f->what);
	assert_non_null(f->field);
	assert_non_null(f->remedy);
	assert_true(f->what[0] != 0 && f->remedy[0] != 0);
	if (field != NULL && strstr(f->field, field) == NULL) {
		fail_msg("fault is \"%s: %s\", expected \"%s\"", f->what, f->field, field);
	}
}

/* xorshift: the same sequence in every run. */
static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#endif

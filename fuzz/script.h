/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_SCRIPT_H
#define FUZZ_SCRIPT_H
/*
 * Scripts of actions out of a fuzzer's bytes.
 *
 * A session's input is a sequence of records, one for each action: a byte with the length, then as many bytes. An action reads only
 * its own record, and zeroes behind its end, so that a change in one action leaves the others what they are. fuzz/mutate.c knows
 * this format.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_FUZZ(x)                     \
	do {                              \
		if (!(x)) {               \
			__builtin_trap(); \
		}                         \
	} while (0)

/* Not what is fuzzed: coverage of it would only cost time. */
#define FUZZ_QUIET_BEGIN \
	_Pragma("clang attribute push(__attribute__((no_sanitize(\"coverage\"))), apply_to = function)")
#define FUZZ_QUIET_END _Pragma("clang attribute pop")

struct script {
	const uint8_t *data;
	size_t size, at;
};

FUZZ_QUIET_BEGIN

static inline bool script_more(const struct script *s)
{
	return s->at < s->size;
}

static inline uint64_t script_take(struct script *s, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++) {
		if (s->at < s->size) {
			v |= (uint64_t)s->data[s->at++] << (8 * i);
		}
	}
	return v;
}

/* The next record. false: there is none. */
static inline bool script_action(struct script *s, struct script *action)
{
	size_t n;

	if (s->at >= s->size) {
		return false;
	}
	n = s->data[s->at++];
	n = n < s->size - s->at ? n : s->size - s->at;
	*action = (struct script){ s->data + s->at, n, 0 };
	s->at += n;
	return true;
}

/* What is left of a record. */
static inline size_t script_left(const struct script *s)
{
	return s->size - s->at;
}

/*
 * A text in an allocation of its own size. What is too long for a reader would be too slow for a fuzzer: a text that ends in a number n and
 * 0xff goes on with n KiB of `fill` instead.
 */
static inline char *script_text(const uint8_t *data, size_t *size, char fill)
{
	size_t own = *size, more = 0;
	char *text;

	if (own >= 2 && data[own - 1] == 0xff) {
		own -= 2;
		more = data[own] * (size_t)1024;
	}
	*size = own + more;
	text = malloc(*size);
	CHECK_FUZZ(text != NULL || *size == 0);
	memcpy(text, data, own);
	memset(text + own, fill, more);
	return text;
}

FUZZ_QUIET_END

#endif

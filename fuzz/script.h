/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_SCRIPT_H
#define FUZZ_SCRIPT_H
/* Scripts of actions out of a fuzzer's bytes: reads past the end give zeroes. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHECK_FUZZ(x)                     \
	do {                              \
		if (!(x)) {               \
			__builtin_trap(); \
		}                         \
	} while (0)

struct script {
	const uint8_t *data;
	size_t size, at;
};

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

#endif

// SPDX-License-Identifier: MIT
/*
 * Between the instrumented code and libFuzzer's look at comparisons (linked with --wrap), which is a quarter to a half of a target's time.
 * Without value profiles, libFuzzer keeps only a table of recent operands of 4 and 8 bytes, as words to try: of comparisons that fail one
 * in eight, by chance, fills it as well, and the others are not worth a call. With -use_value_profile=1 each one counts, and is passed on.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define TRACED(name, type)                                                                      \
	void __real_##name(type a, type b);                                                     \
	void __wrap_##name(type a, type b);                                                     \
	__attribute__((no_sanitize("address", "undefined", "coverage"))) void __wrap_##name(    \
		type a, type b)                                                                 \
	{                                                                                       \
		if (all || (sizeof(type) >= 4 && a != b && chosen())) {                         \
			/* A jump: the comparison's place is the address that is returned to */ \
			__attribute__((musttail)) return __real_##name(a, b);                   \
		}                                                                               \
	}

static bool all;
static uint32_t skip = 1, state = 0x9e3779b9;

__attribute__((constructor)) static void choose(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "-use_value_profile=", 19) == 0) {
			all = strcmp(argv[i] + 19, "0") != 0;
		}
	}
}

/* By chance: of a run with a fixed number of comparisons a fixed step would see the same ones each time. */
__attribute__((no_sanitize("address", "undefined", "coverage"))) static inline bool chosen(void)
{
	if (--skip != 0) {
		return false;
	}
	state = state * 1664525u + 1013904223u;
	skip = 1 + (state >> 28);
	return true;
}

TRACED(__sanitizer_cov_trace_cmp1, uint8_t)
TRACED(__sanitizer_cov_trace_cmp2, uint16_t)
TRACED(__sanitizer_cov_trace_cmp4, uint32_t)
TRACED(__sanitizer_cov_trace_cmp8, uint64_t)
TRACED(__sanitizer_cov_trace_const_cmp1, uint8_t)
TRACED(__sanitizer_cov_trace_const_cmp2, uint16_t)
TRACED(__sanitizer_cov_trace_const_cmp4, uint32_t)
TRACED(__sanitizer_cov_trace_const_cmp8, uint64_t)

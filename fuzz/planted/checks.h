/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_CHECKS_H
#define FUZZ_CHECKS_H
/*
 * For check deletion: a copy of a parser in which fuzz/lib/checks.py has numbered each check, and made what the parser says to its
 * callers part of a hash, the verdict. One program has all of them; planted_deleted says which check is not there (0: none).
 */
#include <stdbool.h>
#include <stdint.h>

extern unsigned planted_deleted;
extern uint64_t planted_verdict;
extern uint8_t planted_hit[];

static inline void planted_mix(uint64_t v)
{
	planted_verdict = (planted_verdict ^ v) * 1099511628211ull + 1;
}

/* A condition that refuses: deleted, it is evaluated, and never true. */
static inline bool planted_refuses(unsigned n, bool c)
{
	planted_hit[n] |= c;
	return c && planted_deleted != n;
}

/* A condition that has to hold: deleted, it always does. */
static inline bool planted_holds(unsigned n, bool c)
{
	planted_hit[n] |= !c;
	return c || planted_deleted == n;
}

#define PLANTED_REFUSES(n, c) planted_refuses(n, !!(c))
#define PLANTED_HOLDS(n, c) planted_holds(n, !!(c))
#define PLANTED_RETURN(type, e)                       \
	({                                            \
		type planted_value = (e);             \
		planted_mix((uint64_t)planted_value); \
		planted_value;                        \
	})
#define PLANTED_POINTER(type, e)                 \
	({                                       \
		type planted_value = (e);        \
		planted_mix(planted_value != 0); \
		planted_value;                   \
	})

extern const char __executable_start[], _end[];

/* A text of the program says what it is; of others (memory of a run) that there is one. */
static inline void planted_mix_text(const char *text)
{
	bool ours = text >= __executable_start && text < _end;

	planted_mix(ours ? (uint64_t)text : text != 0);
}

#define PLANTED_TEXT(type, e)                    \
	({                                       \
		type planted_value = (e);        \
		planted_mix_text(planted_value); \
		planted_value;                   \
	})

int __asan_address_is_poisoned(const volatile void *address);

/* What a function leaves behind its pointers to numbers; of an array the first one, where there is one. */
#define PLANTED_OUT(type, name)                                   \
	static inline void planted_out_##name(type **p)           \
	{                                                         \
		if (*p != 0 && !__asan_address_is_poisoned(*p)) { \
			planted_mix((uint64_t) * *p);             \
		}                                                 \
	}
PLANTED_OUT(uint16_t, uint16_t)
PLANTED_OUT(uint32_t, uint32_t)
PLANTED_OUT(uint64_t, uint64_t)
PLANTED_OUT(bool, bool)
PLANTED_OUT(int, int)
PLANTED_OUT(__SIZE_TYPE__, size_t)
static inline void planted_out_text(void **p)
{
	if (*p != 0 && !__asan_address_is_poisoned(*p)) {
		planted_mix_text(*(const char **)*p);
	}
}
/* struct wire_fault: what, field, remedy: texts of the program, the same in each run. */
static inline void planted_out_fault(void **p)
{
	if (*p != 0) {
		planted_mix((uint64_t)((void **)*p)[0]);
		planted_mix((uint64_t)((void **)*p)[1]);
	}
}
#endif

/* SPDX-License-Identifier: MIT */
/* The four functions that compilers call on their own. */
#include "hv/wire/mem.h"

#include <stdint.h>

void *memcpy(void *to, const void *from, size_t n)
{
	void *d = to;

	size_t words = n / 8;
	size_t rest = n % 8;

	__asm__ volatile("rep movsq" : "+D"(d), "+S"(from), "+c"(words) : : "memory");
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(rest) : : "memory");
	return to;
}

void *memset(void *to, int c, size_t n)
{
	void *d = to;

	size_t words = n / 8;
	size_t rest = n % 8;
	uint64_t pattern = (uint8_t)c * 0x0101010101010101ull;

	__asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(pattern) : "memory");
	__asm__ volatile("rep stosb" : "+D"(d), "+c"(rest) : "a"(pattern) : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	uint8_t *d = to;
	const uint8_t *s = from;

	if (d <= s || d >= s + n) {
		return memcpy(to, from, n);
	}
	while (n > 0) {
		n--;
		d[n] = s[n];
	}
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = 0; i < n; i++) {
		if (x[i] != y[i]) {
			return x[i] < y[i] ? -1 : 1;
		}
	}
	return 0;
}

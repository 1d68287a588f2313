/* SPDX-License-Identifier: MIT */
#ifndef HV_CRYPTO_LIBC_STRING_H
#define HV_CRYPTO_LIBC_STRING_H
/* What mbedtls wants of <string.h>; the hypervisor has the first four (hv/wire/mem.h). */
#include <stddef.h>

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

static inline int strcmp(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return (unsigned char)*a - (unsigned char)*b;
}

static inline size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n] != '\0') {
		n++;
	}
	return n;
}

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_MEM_H
#define HV_WIRE_MEM_H
/* The four functions that freestanding code may call (and that the compiler may emit calls to). */
#include <stddef.h>

void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif

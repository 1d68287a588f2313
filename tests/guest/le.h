/* SPDX-License-Identifier: MIT */
#ifndef TESTS_GUEST_LE_H
#define TESTS_GUEST_LE_H
#include <stdint.h>

static inline void le_put(uint8_t *p, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++) {
		p[i] = (uint8_t)(v >> (8 * i));
	}
}

#endif

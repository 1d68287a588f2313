/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_BOUNDARY_H
#define FUZZ_BOUNDARY_H
/* Numbers at which parsers go wrong: around sizes, pages, powers of two, the ends of integers. */
#include <stdint.h>

/* One of them, or one next to it; all 64 bits of `random` are used. */
static inline uint64_t boundary_of(uint64_t random)
{
	static const uint64_t base[] = { 0,           1,
					 2,           3,
					 4,           5,
					 7,           8,
					 12,          16,
					 20,          24,
					 28,          32,
					 36,          40,
					 44,          48,
					 52,          64,
					 100,         128,
					 240,         255,
					 256,         511,
					 512,         1024,
					 1514,        1518,
					 2048,        4095,
					 4096,        6144,
					 8192,        16384,
					 0x7fff,      0x8000,
					 0xffff,      0x10000,
					 0x1ffff,     0xfffff,
					 0x100000,    0x7fffffff,
					 0x80000000,  0xffffffff,
					 0x100000000, 0xc0000000,
					 1ull << 52,  0x7fffffffffffffff,
					 1ull << 63,  0xffffffffffffffff };
	uint64_t v = base[(random >> 16) % (sizeof(base) / sizeof(base[0]))];

	switch ((random >> 8) % 6) {
	case 0:
		return v - 1;
	case 1:
		return v + 1;
	case 2:
		return 1ull << (random >> 32) % 64;
	case 3:
		return (random >> 40) % 256;
	default:
		return v;
	}
}

#endif

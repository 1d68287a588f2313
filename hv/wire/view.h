/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_VIEW_H
#define HV_WIRE_VIEW_H
/*
 * A bounded window onto untrusted bytes.
 *
 * In the product, during boot, a view covers the identity-mapped first 4 GiB (base is address 0);
 * in unit tests and fuzz targets it covers a heap buffer, so that address A means base[A].
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct view {
	const uint8_t *base;
	uint64_t size; /* bytes */
};

/* What was wrong with an input, for one clear line: "<what>: <field> <value>: <remedy>". */
struct wire_fault {
	const char *what;   /* the structure, e.g. "ACPI MADT"; never NULL after a failure */
	const char *field;  /* the field and what is wrong with it, e.g. "length below 44" */
	const char *remedy; /* what a person can do about it */
	uint64_t value;     /* the offending value */
};

/* True where [addr, addr + len) lies within [0, limit) without wrapping. */
static inline bool range_within(uint64_t addr, uint64_t len, uint64_t limit)
{
	return len <= limit && addr <= limit - len;
}

/* True where [a, a + alen) and [b, b + blen) share a byte. Empty ranges share nothing. */
static inline bool range_overlaps(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
	if (alen == 0 || blen == 0) {
		return false;
	}
	return a < b ? b - a < alen : a - b < blen;
}

/* Address of [addr, addr + len) in the view, or NULL where it does not fit. */
static inline const uint8_t *view_at(const struct view *v, uint64_t addr, uint64_t len)
{
	return range_within(addr, len, v->size) ? v->base + addr : NULL;
}

/* Little-endian loads from unaligned bytes that the caller has already bounded. */
static inline uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | (uint16_t)(p[1] << 8));
}

static inline uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t le64(const uint8_t *p)
{
	return (uint64_t)le32(p) | (uint64_t)le32(p + 4) << 32;
}

#endif

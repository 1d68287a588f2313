/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_TYPES_H
#define HV_CORE_TYPES_H
/* Opaque numbers: a host-physical address is never taken for a guest-physical one. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SIZE 4096ull
#define PAGE_SHIFT 12
#define PAGE_SIZE_2M (1ull << 21)
#define PAGE_SIZE_1G (1ull << 30)
#define CPU_MAX 64

typedef struct {
	uint64_t v;
} hpa_t; /* host-physical */
typedef struct {
	uint64_t v;
} gpa_t; /* guest-physical */
typedef struct {
	uint64_t v;
} gva_t; /* guest-linear */

static inline hpa_t hpa(uint64_t v)
{
	return (hpa_t){ v };
}

static inline gpa_t gpa(uint64_t v)
{
	return (gpa_t){ v };
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define RO_AFTER_INIT __attribute__((section(".ro_after_init")))
#define NORETURN __attribute__((noreturn))
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

static inline uint64_t align_up(uint64_t v, uint64_t a)
{
	return (v + (a - 1)) & ~(a - 1);
}

static inline uint64_t align_down(uint64_t v, uint64_t a)
{
	return v & ~(a - 1);
}

#endif

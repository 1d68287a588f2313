/* SPDX-License-Identifier: MIT */
#include "hv/core/time.h"

#include "hv/core/arch.h"

static uint64_t tsc_hz RO_AFTER_INIT;
static uint64_t tsc_start RO_AFTER_INIT;
static uint64_t ref_scale RO_AFTER_INIT;
static uint64_t ns_scale RO_AFTER_INIT; /* 2^32 * 10^9 / hz */
/* 2^64 / ref_scale, TSC ticks in 100 ns: whole ones, and the rest in 2^-64 */
static uint64_t inverse RO_AFTER_INIT, inverse_rest RO_AFTER_INIT;

/* 128 / 64 bit division without a library: hi:lo / d, quotient saturating at 2^64 - 1. */
static uint64_t div128(uint64_t hi, uint64_t lo, uint64_t d)
{
	uint64_t q = 0;

	if (d == 0 || hi >= d) {
		return UINT64_MAX;
	}
	for (int i = 63; i >= 0; i--) {
		bool top = (hi >> 63) != 0;

		hi = (hi << 1) | (lo >> 63);
		lo <<= 1;
		if (top || hi >= d) {
			hi -= d;
			q |= 1ull << i;
		}
	}
	return q;
}

uint64_t time_mul_div(uint64_t a, uint64_t b, uint64_t c)
{
	unsigned __int128 p = (unsigned __int128)a * b;

	return div128((uint64_t)(p >> 64), (uint64_t)p, c);
}

void time_init(uint64_t hz)
{
	tsc_hz = hz;
	tsc_start = arch_tsc();
	ref_scale = div128(10000000ull, 0, hz);
	inverse = div128(1, 0, ref_scale);
	inverse_rest = div128(-(inverse * ref_scale), 0, ref_scale);
	ns_scale = time_mul_div(1ull << 32, 1000000000ull, hz);
}

uint64_t time_tsc_hz(void)
{
	return tsc_hz;
}

uint64_t time_ns(void)
{
	unsigned __int128 p;

	if (tsc_hz == 0) {
		return 0;
	}
	p = (unsigned __int128)(arch_tsc() - tsc_start) * ns_scale;
	return (uint64_t)(p >> 32);
}

static uint64_t scale_ref(uint64_t tsc)
{
	return (uint64_t)(((unsigned __int128)tsc * ref_scale) >> 64);
}

/* The same formula as the guest's reference TSC page, so that both are one clock (TLFS 12.7). */
uint64_t time_reference(void)
{
	return scale_ref(arch_tsc()) + (uint64_t)time_offset();
}

/*
 * The first TSC value at which the reference time is t or later. Each timer that a guest sets comes here, so there is no division: the
 * inverse is rounded down, which makes the product too small by less than 2, and the steps make up for it.
 */
uint64_t time_tsc_from_reference(uint64_t t)
{
	uint64_t before = (uint64_t)-time_offset(); /* the offset is never positive */
	uint64_t abs = t > UINT64_MAX - before ? UINT64_MAX : t + before;
	unsigned __int128 tsc = (unsigned __int128)abs * inverse;

	tsc += (unsigned __int128)abs * inverse_rest >> 64;
	if (tsc >> 64 != 0) {
		return UINT64_MAX;
	}
	while ((uint64_t)tsc != UINT64_MAX && scale_ref((uint64_t)tsc) < abs) {
		tsc++;
	}
	return (uint64_t)tsc;
}

uint64_t time_scale(void)
{
	return ref_scale;
}

int64_t time_offset(void)
{
	return -(int64_t)scale_ref(tsc_start);
}

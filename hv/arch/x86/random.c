/* SPDX-License-Identifier: MIT */
/* Randomness for canaries and addresses: RDRAND where there is one, always mixed with the TSC. */
#include "hv/arch/x86/x86.h"
#include "hv/core/arch.h"

static uint64_t state;
static bool hardware;

static bool rdrand(uint64_t *v)
{
	uint32_t r[4];
	uint8_t ok = 0;

	x86_cpuid(1, 0, r);
	if ((r[2] & (1u << 30)) == 0) {
		return false;
	}
	for (unsigned i = 0; i < 10 && ok == 0; i++) {
		__asm__ volatile("rdrand %0; setc %1" : "=r"(*v), "=qm"(ok) : : "cc");
	}
	/* Known-bad parts answer all ones (AMD erratum after resume) or zero for ever. */
	return ok != 0 && *v != UINT64_MAX && *v != 0;
}

/* The finaliser of MurmurHash3: every input bit reaches every output bit. */
static uint64_t mix(uint64_t v)
{
	v ^= v >> 33;
	v *= 0xff51afd7ed558ccdull;
	v ^= v >> 33;
	v *= 0xc4ceb9fe1a85ec53ull;
	return v ^ (v >> 33);
}

/* RDSEED waits for its conditioner: far more tries than RDRAND needs. */
bool arch_random_seed(uint64_t *v)
{
	uint32_t r[4];
	uint8_t ok = 0;

	x86_cpuid(0, 0, r);
	if (r[0] < 7) {
		return rdrand(v);
	}
	x86_cpuid(7, 0, r);
	if ((r[1] & (1u << 18)) == 0) {
		return rdrand(v);
	}
	for (unsigned i = 0; i < 1000 && ok == 0; i++) {
		__asm__ volatile("rdseed %0; setc %1; pause" : "=r"(*v), "=qm"(ok) : : "cc");
	}
	/* Zero with success is a known defect of some processors (AMD-SB-7055). */
	return (ok != 0 && *v != 0) || rdrand(v);
}

uint64_t random_u64(void)
{
	uint64_t v = 0;

	if (rdrand(&v)) {
		hardware = true;
	}
	state = mix(state + x86_rdtsc() + 0x9e3779b97f4a7c15ull) ^ v;
	return mix(state);
}

bool random_is_hardware(void)
{
	return hardware;
}

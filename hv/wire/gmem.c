/* SPDX-License-Identifier: MIT */
#include "hv/wire/gmem.h"

#include "hv/wire/mem.h"

static uint8_t *place(const struct gmem *m, uint64_t gpa, uint64_t len)
{
	uint64_t low = m->size < GMEM_LOW_LIMIT ? m->size : GMEM_LOW_LIMIT;

	if (range_within(gpa, len, low)) {
		return m->base + gpa;
	}
	if (m->size > low && gpa >= GMEM_HIGH_BASE &&
	    range_within(gpa - GMEM_HIGH_BASE, len, m->size - low)) {
		return m->base + low + (gpa - GMEM_HIGH_BASE);
	}
	return NULL;
}

/*
 * Between the guest's memory and what is done with the copy: without it the compiler may read the guest's memory again
 * instead of a copy that it sees through.
 */
static void fence(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

bool gmem_check(const struct gmem *m, uint64_t gpa, uint64_t len)
{
	return place(m, gpa, len) != NULL;
}

bool gmem_copy_in(const struct gmem *m, uint64_t gpa, void *to, size_t len)
{
	const uint8_t *from = place(m, gpa, len);

	if (from == NULL) {
		return false;
	}
	fence();
	memcpy(to, from, len);
	fence();
	return true;
}

bool gmem_copy_out(const struct gmem *m, uint64_t gpa, const void *from, size_t len)
{
	uint8_t *to = place(m, gpa, len);

	if (to == NULL) {
		return false;
	}
	fence();
	memcpy(to, from, len);
	fence();
	return true;
}

void *gmem_direct(const struct gmem *m, uint64_t gpa, uint64_t len)
{
	return place(m, gpa, len);
}

uint32_t gmem_load32(const struct gmem *m, uint64_t gpa)
{
	const uint8_t *at = place(m, gpa, 4);

	if (at == NULL || (gpa & 3) != 0) {
		return 0;
	}
	return __atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_ACQUIRE);
}

void gmem_store32(const struct gmem *m, uint64_t gpa, uint32_t v)
{
	uint8_t *at = place(m, gpa, 4);

	if (at != NULL && (gpa & 3) == 0) {
		__atomic_store_n((uint32_t *)(void *)at, v, __ATOMIC_RELEASE);
	}
}

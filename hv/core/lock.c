/* SPDX-License-Identifier: MIT */
#include "hv/core/lock.h"

#include "hv/core/arch.h"

/* Locks: takes *l. Context: any CPU, interrupts held off. */
void lock_acquire(struct lock *l)
{
	uint32_t ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != ticket) {
		arch_cpu_relax();
	}
}

/* Locks: releases *l, which the caller holds. */
void lock_release(struct lock *l)
{
	uint32_t owner = __atomic_load_n(&l->owner, __ATOMIC_RELAXED);

	__atomic_store_n(&l->owner, owner + 1, __ATOMIC_RELEASE);
}

// SPDX-License-Identifier: MIT
/*
 * Watches the locks (linked with --wrap): balance, recursion, and that two locks are never taken in both orders. Locks inside pages of
 * the heap come and go: those at the same place of a page are one, so that no two of a kind may be held either.
 */
#include "hv/arch/fake/fake.h"
#include "hv/core/lock.h"

#define LOCKS_MAX 32
#define DEPTH_MAX 8

void __real_lock_acquire(struct lock *l);
void __real_lock_release(struct lock *l);
void __wrap_lock_acquire(struct lock *l);
void __wrap_lock_release(struct lock *l);

static struct lock *known[LOCKS_MAX];
static uint32_t known_count;
static uint32_t after[LOCKS_MAX]; /* bit j: lock j was once taken while this one was held */
static uint32_t held[DEPTH_MAX];
static struct lock *held_lock[DEPTH_MAX];
static uint32_t depth;

/* What stands for it: the lock, or its place in any page of the heap. */
static struct lock *kind_of(struct lock *l)
{
	uint8_t *heap = fake_ram(FAKE_REGION_BASE);
	uint8_t *at = (uint8_t *)l;

	if (at < heap || at >= heap + FAKE_REGION_SIZE) {
		return l;
	}
	return (struct lock *)(heap + ((size_t)(at - heap) & (PAGE_SIZE - 1)));
}

static uint32_t number(struct lock *lock)
{
	struct lock *l = kind_of(lock);

	for (uint32_t i = 0; i < known_count; i++) {
		if (known[i] == l) {
			return i;
		}
	}
	if (known_count == LOCKS_MAX) {
		fake_fail("too many locks", known_count);
	}
	known[known_count] = l;
	return known_count++;
}

void __wrap_lock_acquire(struct lock *l)
{
	uint32_t n = number(l);

	for (uint32_t i = 0; i < depth; i++) {
		if (held[i] == n) {
			fake_fail("lock taken twice", (uint64_t)l);
		}
		if ((after[n] >> held[i] & 1) != 0) {
			fake_fail("locks taken in both orders", (uint64_t)l);
		}
		after[held[i]] |= 1u << n;
	}
	if (depth == DEPTH_MAX) {
		fake_fail("too many locks held", depth);
	}
	held_lock[depth] = l;
	held[depth++] = n;
	__real_lock_acquire(l);
}

void __wrap_lock_release(struct lock *l)
{
	if (depth == 0 || held_lock[depth - 1] != l) {
		fake_fail("a lock is released that was not taken last", (uint64_t)l);
	}
	depth--;
	__real_lock_release(l);
}

/* After a restart in the middle of something. */
void fake_locks_drop(void)
{
	while (depth > 0) {
		__real_lock_release(held_lock[--depth]);
	}
}

static bool windows_closed(void)
{
	return fake.windows == 0;
}

void fake_check_idle(void)
{
	if (depth != 0) {
		fake_fail("a lock is still held", (uint64_t)held_lock[depth - 1]);
	}
	if (!windows_closed()) {
		fake_fail("a window is still open", fake.windows);
	}
}

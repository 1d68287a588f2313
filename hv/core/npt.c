/* SPDX-License-Identifier: MIT */
/* Nested page-table algebra over arch_npte_*. Locks: the partition's lock is held by callers once VPs run. */
#include "hv/core/npt.h"

#include "hv/core/heap.h"
#include "hv/core/log.h"
#include "hv/wire/view.h"

#define ENTRIES 512u

static uint64_t level_span(unsigned level)
{
	return 1ull << (PAGE_SHIFT + 9 * (level - 1));
}

static unsigned level_index(uint64_t gpa, unsigned level)
{
	return (unsigned)(gpa >> (PAGE_SHIFT + 9 * (level - 1))) & (ENTRIES - 1);
}

static uint64_t entry_load(const uint64_t *e)
{
	return __atomic_load_n(e, __ATOMIC_ACQUIRE);
}

/* Hardware walks these tables: an entry changes with one store, never through a half-written state. */
static void entry_store(uint64_t *e, uint64_t v)
{
	__atomic_store_n(e, v, __ATOMIC_RELEASE);
}

static uint64_t *table_of(uint64_t entry, unsigned level)
{
	return arch_heap_va(arch_npte_addr(entry, level));
}

bool npt_create(struct npt *n)
{
	void *t = heap_alloc(1);

	if (t == NULL) {
		return false;
	}
	n->root = arch_heap_pa(t);
	n->tables = 1;
	return true;
}

void npt_free(struct npt *n)
{
	uint64_t *at[5] = { NULL, NULL, NULL, NULL, NULL };
	unsigned index[5] = { 0, 0, 0, 0, 0 };
	unsigned level = 4;

	at[4] = arch_heap_va(n->root);
	while (level <= 4) {
		uint64_t e;

		if (index[level] == ENTRIES) {
			heap_free(at[level], 1);
			level++;
			continue;
		}
		e = entry_load(&at[level][index[level]++]);
		if (level > 1 && arch_npte_present(e) && !arch_npte_is_leaf(e, level)) {
			at[level - 1] = table_of(e, level);
			index[level - 1] = 0;
			level--;
		}
	}
	n->tables = 0;
	n->root = hpa(0);
}

/* Replaces a large leaf by a table of the next smaller leaves with the same translation. */
static bool split(struct npt *n, uint64_t *e, unsigned level)
{
	uint64_t old = entry_load(e);
	hpa_t base = arch_npte_addr(old, level);
	uint64_t *t = heap_alloc(1);

	if (t == NULL) {
		return false;
	}
	for (unsigned i = 0; i < ENTRIES; i++) {
		t[i] = arch_npte_leaf(hpa(base.v + i * level_span(level - 1)), level - 1,
				      arch_npte_access(old));
	}
	n->tables++;
	entry_store(e, arch_npte_table(arch_heap_pa(t), level));
	return true;
}

/* The entry for gpa at `level`, making tables and splitting leaves on the way; NULL without memory. */
static uint64_t *walk_make(struct npt *n, uint64_t gpa, unsigned level)
{
	uint64_t *t = arch_heap_va(n->root);

	for (unsigned l = 4; l > level; l--) {
		uint64_t *e = &t[level_index(gpa, l)];

		if (!arch_npte_present(entry_load(e))) {
			void *next = heap_alloc(1);

			if (next == NULL) {
				return NULL;
			}
			n->tables++;
			entry_store(e, arch_npte_table(arch_heap_pa(next), l));
		} else if (arch_npte_is_leaf(entry_load(e), l) && !split(n, e, l)) {
			return NULL;
		}
		t = table_of(entry_load(e), l);
	}
	return &t[level_index(gpa, level)];
}

/* True where a leaf of `level` may stand at gpa with these bytes left. */
static bool fits(uint64_t gpa, uint64_t hpa_v, uint64_t left, unsigned level)
{
	uint64_t span = level_span(level);

	return left >= span && ((gpa | hpa_v) & (span - 1)) == 0;
}

/* True where the present entry is a table, which a larger leaf may not silently replace. */
static bool holds_table(struct npt *n, uint64_t gpa, unsigned level)
{
	uint64_t *t = arch_heap_va(n->root);

	for (unsigned l = 4; l >= level; l--) {
		uint64_t e = entry_load(&t[level_index(gpa, l)]);

		if (!arch_npte_present(e) || arch_npte_is_leaf(e, l)) {
			return false;
		}
		if (l == level) {
			return true;
		}
		t = table_of(e, l);
	}
	return false;
}

/*
 * Trust: gpa, hpa and size must have been checked by the caller against ownership; here only their shape is:
 * page-aligned, below 2^48. Fails: false without memory, what was done stays and is correct.
 */
bool npt_map(struct npt *n, gpa_t at, hpa_t to, uint64_t size, unsigned access)
{
	uint64_t g = at.v;
	uint64_t h = to.v;

	CHECK(((g | h | size) & (PAGE_SIZE - 1)) == 0 && range_within(g, size, GPA_LIMIT));
	while (size > 0) {
		unsigned level = 1;
		uint64_t *e;

		if (arch_npt_1g() && fits(g, h, size, 3) && !holds_table(n, g, 3)) {
			level = 3;
		} else if (fits(g, h, size, 2) && !holds_table(n, g, 2)) {
			level = 2;
		}
		e = walk_make(n, g, level);
		if (e == NULL) {
			return false;
		}
		entry_store(e, arch_npte_leaf(hpa(h), level, access));
		g += level_span(level);
		h += level_span(level);
		size -= level_span(level);
	}
	return true;
}

/* Fails: false without memory for a split; then nothing beyond the failing point was unmapped. */
bool npt_unmap(struct npt *n, gpa_t at, uint64_t size)
{
	uint64_t g = at.v;

	CHECK(((g | size) & (PAGE_SIZE - 1)) == 0 && range_within(g, size, GPA_LIMIT));
	while (size > 0) {
		uint64_t span;
		unsigned access;
		hpa_t h;
		unsigned level = 1;
		uint64_t *e;

		if (!npt_lookup(n, gpa(g), &h, &access, &span)) {
			span = PAGE_SIZE;
		} else {
			while (level < 3 && span >= level_span(level + 1) &&
			       fits(g, 0, size, level + 1)) {
				level++;
			}
			e = walk_make(n, g, level);
			if (e == NULL) {
				return false;
			}
			entry_store(e, 0);
			span = level_span(level);
		}
		g += span;
		size -= span;
	}
	return true;
}

bool npt_lookup(const struct npt *n, gpa_t at, hpa_t *out, unsigned *access, uint64_t *span)
{
	const uint64_t *t = arch_heap_va(n->root);

	if (at.v >= GPA_LIMIT) {
		return false;
	}
	for (unsigned l = 4; l >= 1; l--) {
		uint64_t e = entry_load(&t[level_index(at.v, l)]);

		if (!arch_npte_present(e)) {
			return false;
		}
		if (l == 1 || arch_npte_is_leaf(e, l)) {
			*out = hpa(arch_npte_addr(e, l).v + (at.v & (level_span(l) - 1)));
			if (access != NULL) {
				*access = arch_npte_access(e);
			}
			if (span != NULL) {
				*span = level_span(l);
			}
			return true;
		}
		t = table_of(e, l);
	}
	return false;
}

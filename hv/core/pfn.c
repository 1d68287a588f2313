/* SPDX-License-Identifier: MIT */
#include "hv/core/pfn.h"

#include "hv/core/arch.h"
#include "hv/core/heap.h"
#include "hv/core/log.h"
#include "hv/core/owner.h"

#define PIECES_MAX 16
#define SLOT_WINDOW 2

struct unit {
	uint8_t state; /* enum pfn_state; atomic: pfn_is_of looks without the lock */
	uint8_t reserved;
	uint16_t slot;
	uint32_t gpn; /* guest address / 2 MiB */
};

_Static_assert(sizeof(struct unit) == 8, "512 GiB of pool in 2 MiB of table");

static struct {
	uint64_t base;
	uint32_t first, count; /* units */
} piece[PIECES_MAX] RO_AFTER_INIT;
static uint32_t pieces RO_AFTER_INIT;
static uint32_t units RO_AFTER_INIT;
static struct unit *table RO_AFTER_INIT;

void pfn_init(void)
{
	uint64_t bytes;

	pieces = 0;
	units = 0;
	table = NULL;
	for (uint32_t i = 0; i < owner_count(); i++) {
		const struct owner_range *r = owner_get(i);

		if (r->owner != RD_OWNER_POOL) {
			continue;
		}
		CHECK(pieces < PIECES_MAX && ((r->base | r->size) & (PFN_UNIT - 1)) == 0);
		piece[pieces].base = r->base;
		piece[pieces].first = units;
		piece[pieces].count = (uint32_t)(r->size / PFN_UNIT);
		units += piece[pieces].count;
		pieces++;
	}
	if (units == 0) {
		return;
	}
	bytes = align_up((uint64_t)units * sizeof(struct unit), PAGE_SIZE);
	table = heap_alloc(bytes >> PAGE_SHIFT);
	CHECK(table != NULL);
}

uint32_t pfn_unit(hpa_t at)
{
	for (uint32_t i = 0; i < pieces; i++) {
		uint64_t offset = at.v - piece[i].base;

		if (at.v >= piece[i].base && offset / PFN_UNIT < piece[i].count) {
			return piece[i].first + (uint32_t)(offset / PFN_UNIT);
		}
	}
	return PFN_NONE;
}

hpa_t pfn_address(uint32_t unit)
{
	uint32_t i = 0;

	CHECK(unit < units);
	while (unit - piece[i].first >= piece[i].count) {
		i++;
	}
	return hpa(piece[i].base + (uint64_t)(unit - piece[i].first) * PFN_UNIT);
}

uint32_t pfn_units(void)
{
	return units;
}

static enum pfn_state state_of(const struct unit *u)
{
	return (enum pfn_state)__atomic_load_n(&u->state, __ATOMIC_ACQUIRE);
}

static void state_set(struct unit *u, enum pfn_state s)
{
	__atomic_store_n(&u->state, (uint8_t)s, __ATOMIC_RELEASE);
}

enum pfn_state pfn_state(uint32_t unit)
{
	CHECK(unit < units);
	return state_of(&table[unit]);
}

uint32_t pfn_slot(uint32_t unit)
{
	CHECK(pfn_state(unit) == PFN_OWNED || pfn_state(unit) == PFN_LEAVING);
	return table[unit].slot;
}

gpa_t pfn_gpa(uint32_t unit)
{
	CHECK(pfn_state(unit) == PFN_OWNED || pfn_state(unit) == PFN_LEAVING);
	return gpa((uint64_t)table[unit].gpn * PFN_UNIT);
}

uint32_t pfn_clean_step(uint32_t unit, uint32_t page)
{
	hpa_t base = pfn_address(unit);

	CHECK(pfn_state(unit) == PFN_DIRTY || pfn_state(unit) == PFN_LEAVING);
	for (uint32_t i = 0; i < PFN_STEP; i++) {
		hpa_t at = hpa(base.v + (uint64_t)(page + i) * PAGE_SIZE);

		__builtin_memset(arch_window_open(SLOT_WINDOW, at), 0, PAGE_SIZE);
		arch_window_close(SLOT_WINDOW);
	}
	page += PFN_STEP;
	if (page < PFN_UNIT / PAGE_SIZE) {
		return page;
	}
	table[unit].slot = 0;
	table[unit].gpn = 0;
	state_set(&table[unit], PFN_CLEAN);
	return 0;
}

void pfn_clean(uint32_t unit)
{
	uint32_t page = 0;

	do {
		page = pfn_clean_step(unit, page);
	} while (page != 0);
}

bool pfn_claim(uint32_t unit, uint32_t slot, gpa_t at)
{
	if (pfn_state(unit) != PFN_CLEAN || at.v / PFN_UNIT > UINT32_MAX) {
		return false;
	}
	table[unit].slot = (uint16_t)slot;
	table[unit].gpn = (uint32_t)(at.v / PFN_UNIT);
	state_set(&table[unit], PFN_OWNED);
	return true;
}

void pfn_dirty(uint32_t unit)
{
	CHECK(pfn_state(unit) == PFN_CLEAN);
	state_set(&table[unit], PFN_DIRTY);
}

void pfn_leave(uint32_t unit)
{
	CHECK(pfn_state(unit) == PFN_OWNED);
	state_set(&table[unit], PFN_LEAVING);
}

uint64_t pfn_free_bytes(void)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < units; i++) {
		enum pfn_state s = state_of(&table[i]);

		n += s == PFN_DIRTY || s == PFN_CLEAN;
	}
	return n * PFN_UNIT;
}

bool pfn_is_of(hpa_t frame, uint32_t slot)
{
	uint32_t unit = pfn_unit(frame);

	return unit != PFN_NONE && state_of(&table[unit]) == PFN_OWNED && table[unit].slot == slot;
}

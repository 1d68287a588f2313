/* SPDX-License-Identifier: MIT */
#include "hv/core/owner.h"

#include "hv/core/log.h"
#include "hv/wire/view.h"

#define TYPE_USABLE 1u

static struct owner_range ranges[OWNER_RANGES_MAX] RO_AFTER_INIT;
static uint32_t count RO_AFTER_INIT;

void owner_reset(void)
{
	count = 0;
}

static bool insert(uint32_t at, struct owner_range r)
{
	if (count >= OWNER_RANGES_MAX) {
		return false;
	}
	for (uint32_t i = count; i > at; i--) {
		ranges[i] = ranges[i - 1];
	}
	ranges[at] = r;
	count++;
	return true;
}

bool owner_add(uint64_t base, uint64_t size, enum rd_owner owner, uint32_t type)
{
	uint32_t at = 0;

	if (size == 0 || base + size < base) {
		return false;
	}
	while (at < count && ranges[at].base < base) {
		at++;
	}
	if (at > 0 && range_overlaps(ranges[at - 1].base, ranges[at - 1].size, base, size)) {
		return false;
	}
	if (at < count && range_overlaps(ranges[at].base, ranges[at].size, base, size)) {
		return false;
	}
	return insert(at, (struct owner_range){ base, size, owner, type });
}

bool owner_take(uint64_t base, uint64_t size, enum rd_owner owner)
{
	if (size == 0) {
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct owner_range r = ranges[i];
		uint64_t before, after;

		if (r.owner != RD_OWNER_ROOT || r.type != TYPE_USABLE || base < r.base ||
		    !range_within(base - r.base, size, r.size)) {
			continue;
		}
		before = base - r.base;
		after = r.size - before - size;
		if (count + (before != 0) + (after != 0) > OWNER_RANGES_MAX) {
			return false;
		}
		ranges[i] = (struct owner_range){ base, size, owner, r.type };
		if (after != 0) { /* there is room for both */
			CHECK(insert(i + 1,
				     (struct owner_range){ base + size, after, r.owner, r.type }));
		}
		if (before != 0) {
			CHECK(insert(i, (struct owner_range){ r.base, before, r.owner, r.type }));
		}
		return true;
	}
	return false;
}

bool owner_root_may_map(uint64_t base, uint64_t size)
{
	for (uint32_t i = 0; i < count; i++) {
		bool closed = ranges[i].owner == RD_OWNER_HYPERVISOR ||
			      ranges[i].owner == RD_OWNER_POOL;

		if (closed && range_overlaps(ranges[i].base, ranges[i].size, base, size)) {
			return false;
		}
	}
	return true;
}

bool owner_is_root_ram(uint64_t base, uint64_t size)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct owner_range *r = &ranges[i];

		if (r->owner == RD_OWNER_ROOT && base >= r->base &&
		    range_within(base - r->base, size, r->size)) {
			return true;
		}
	}
	return false;
}

uint32_t owner_count(void)
{
	return count;
}

const struct owner_range *owner_get(uint32_t i)
{
	return i < count ? &ranges[i] : NULL;
}

uint64_t owner_bytes(enum rd_owner owner)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (ranges[i].owner == owner) {
			sum += ranges[i].size;
		}
	}
	return sum;
}

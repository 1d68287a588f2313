/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_OWNER_H
#define HV_CORE_OWNER_H
/* Who owns which physical memory: ranges that never overlap, sorted, fixed once the root runs. */
#include "hv/abi/redoubt.h"
#include "hv/core/types.h"

#define OWNER_RANGES_MAX RD_INFO_RANGES

struct owner_range {
	uint64_t base, size;
	enum rd_owner owner;
	uint32_t type; /* e820 */
};

/* Adds RAM or firmware memory as the loader reported it. false: too many ranges, or it overlaps one. */
bool owner_add(uint64_t base, uint64_t size, enum rd_owner owner, uint32_t type) MUST_CHECK;
/* Re-labels part of the root's usable memory. false: it is not all the root's, or too many ranges. */
bool owner_take(uint64_t base, uint64_t size, enum rd_owner owner) MUST_CHECK;
/* True where no byte of [base, base + size) belongs to the hypervisor or the pool. */
bool owner_root_may_map(uint64_t base, uint64_t size);
/* True where all of it is ordinary memory of the root. */
bool owner_is_root_ram(uint64_t base, uint64_t size);
uint32_t owner_count(void);
const struct owner_range *owner_get(uint32_t i);
uint64_t owner_bytes(enum rd_owner owner);
void owner_reset(void);

#endif

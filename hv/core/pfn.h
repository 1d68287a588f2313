/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_PFN_H
#define HV_CORE_PFN_H
/*
 * Who owns each 2 MiB unit of the pool. One owner, one guest address; memory is zero whenever it changes hands. States:
 *   dirty (boot) -> clean -> owned -> leaving -> clean
 * `leaving`: no longer mapped anywhere, not yet zeroed. Locks: partitions_lock is held by every caller.
 */
#include "hv/core/types.h"

#define PFN_UNIT PAGE_SIZE_2M

struct partition;

enum pfn_state { PFN_DIRTY, PFN_CLEAN, PFN_OWNED, PFN_LEAVING };

/* From the owner ranges of the pool, once they are final. */
void pfn_init(void);
/* The unit at a host address; PFN_NONE: not a unit of the pool. */
#define PFN_NONE UINT32_MAX
uint32_t pfn_unit(hpa_t at);
hpa_t pfn_address(uint32_t unit);
uint32_t pfn_units(void);
enum pfn_state pfn_state(uint32_t unit);
/* Which partition (its slot) and which guest address; only of OWNED and LEAVING units. */
uint32_t pfn_slot(uint32_t unit);
gpa_t pfn_gpa(uint32_t unit);
/* Zeroes a dirty or leaving unit: one step of bounded work. Afterwards it is CLEAN. */
void pfn_clean(uint32_t unit);
/* Likewise a part of it: pages from `page` on. After the last one it is CLEAN. Returns the next page, 0 at the end. */
#define PFN_STEP 64u
uint32_t pfn_clean_step(uint32_t unit, uint32_t page) MUST_CHECK;
/* CLEAN -> OWNED. false: it is not clean. */
bool pfn_claim(uint32_t unit, uint32_t slot, gpa_t at) MUST_CHECK;
/* CLEAN -> DIRTY: somebody may have written to it after all. */
void pfn_dirty(uint32_t unit);
/* OWNED -> LEAVING. */
void pfn_leave(uint32_t unit);
uint64_t pfn_free_bytes(void);
/* Any CPU, any time: does this 4 KiB frame belong to the partition in this slot? */
bool pfn_is_of(hpa_t frame, uint32_t slot);

#endif

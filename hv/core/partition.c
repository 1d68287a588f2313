/* SPDX-License-Identifier: MIT */
/* The table of partitions. */
#include "hv/core/partition.h"

#include "hv/core/arch.h"
#include "hv/core/heap.h"
#include "hv/core/log.h"
#include "hv/core/vp.h"

#define WEIGHT_DEFAULT 100

struct lock partitions_lock;
static struct partition *table[PARTITION_SLOTS]; /* [partitions_lock] 0: unused */
static uint32_t slots = 1;                       /* [partitions_lock] from here on none is used */
static uint64_t next_id = PARTITION_ID_ROOT + 1; /* [partitions_lock] never used twice */

_Static_assert(sizeof(struct partition) <= PAGE_SIZE, "one page");

struct partition *partition_find(uint64_t id)
{
	for (uint32_t i = 1; i < slots; i++) {
		if (table[i] != NULL && table[i]->id == id) {
			return table[i];
		}
	}
	return NULL;
}

struct partition *partition_next(uint64_t id)
{
	struct partition *best = NULL;

	for (uint32_t i = 1; i < slots; i++) {
		struct partition *p = table[i];

		if (p != NULL && p->id >= id && (best == NULL || p->id < best->id)) {
			best = p;
		}
	}
	return best;
}

struct partition *partition_create(void)
{
	struct partition *p;
	uint32_t slot = 1;

	while (slot < PARTITION_SLOTS && table[slot] != NULL) {
		slot++;
	}
	p = slot == PARTITION_SLOTS ? NULL : heap_alloc(1);
	if (p == NULL) {
		return NULL;
	}
	if (!npt_create(&p->npt)) {
		heap_free(p, 1);
		return NULL;
	}
	p->id = next_id++;
	p->slot = slot;
	p->state = RD_PARTITION_CREATED;
	p->weight = WEIGHT_DEFAULT;
	table[slot] = p;
	slots = slot < slots ? slots : slot + 1;
	return p;
}

void partition_free(struct partition *p)
{
	CHECK(!p->root && p->pages == 0 && table[p->slot] == p);
	for (uint32_t i = 0; i < HV_VP_MAX; i++) {
		if (p->vp[i] != NULL) {
			vp_free(p->vp[i]);
		}
	}
	npt_free(&p->npt);
	arch_partition_free(p);
	table[p->slot] = NULL;
	while (slots > 1 && table[slots - 1] == NULL) {
		slots--;
	}
	heap_free(p, 1);
}

void partition_count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

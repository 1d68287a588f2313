/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_LOCK_H
#define HV_CORE_LOCK_H
/*
 * Ticket spin locks. The hypervisor runs with physical interrupts held off (GIF clear), so that no lock is ever
 * taken inside an interrupt. Order, outer first: partition, iommu, port, heap, log.
 */
#include <stdint.h>

struct lock {
	uint32_t next;
	uint32_t owner;
};

void lock_acquire(struct lock *l);
void lock_release(struct lock *l);

#endif

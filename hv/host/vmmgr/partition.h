/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_VMMGR_PARTITION_H
#define HV_HOST_VMMGR_PARTITION_H
/* Child partitions, as redoubt.ko gives them. Each answers false after writing one line with the remedy to why. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct partition {
	int fd, memory;  /* -1: none */
	uint64_t number; /* the hypervisor's; only for people */
};

bool partition_create(struct partition *p, uint64_t memory_bytes, uint32_t vps, uint32_t weight,
		      char *why, size_t room);
/* This boot can be attested: what it loads is worth measuring. false also where the device does not say. */
bool partition_attestable(void);
/* No VP runs any more. */
void partition_stop(const struct partition *p);
/* Closes the descriptors; the memory goes back when the last process has unmapped it. */
void partition_drop(struct partition *p);

#endif

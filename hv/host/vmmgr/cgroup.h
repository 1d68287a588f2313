/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_VMMGR_CGROUP_H
#define HV_HOST_VMMGR_CGROUP_H
/* Limits by control groups, version 2: memory and number of tasks of each process. */
#include <stdbool.h>
#include <stdint.h>

/* NULL, or why there are none: the manager goes on without and says so. */
const char *cgroup_init(void);
const char *cgroup_missing(void);
/* The folder of a new group, open, or -1 (errno 0: no control groups here). */
int cgroup_create(uint32_t number, uint64_t memory_bytes, uint32_t tasks);
/* Its processes are gone. */
void cgroup_remove(uint32_t number);

#endif

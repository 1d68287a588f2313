/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_PARTITION_H
#define HV_CORE_PARTITION_H
#include "hv/abi/tlfs.h"
#include "hv/core/exit.h"
#include "hv/core/launch.h"
#include "hv/core/lock.h"
#include "hv/core/npt.h"
#include "hv/core/types.h"

struct vp;

#define PARTITION_ID_ROOT 1ull
#define PARTITION_SLOTS 128 /* children */
#define PARTITION_PORT_RANGES 8
#define PARTITION_CONNECTIONS 64

struct partition {
	uint64_t id;
	bool root;
	uint32_t slot;  /* 1..PARTITION_SLOTS-1; 0: the root */
	uint32_t state; /* [partitions_lock] enum rd_partition_state */
	bool revoked; /* [partitions_lock] deletion: the root's map and the devices have lost the memory */
	uint32_t clean_page; /* [partitions_lock] deletion: the next page of the unit that is being zeroed */
	uint64_t pages; /* [partitions_lock] of 4 KiB, owned */
	uint32_t weight;
	struct arch_partition *arch; /* intercept lists */
	struct lock lock;            /* nested table, connections */
	struct npt npt;
	uint32_t vp_count;
	struct vp *vp[CPU_MAX];
	/* ports that become intercepts; [partitions_lock] to write, read by the VPs */
	struct {
		uint16_t first, last;
		uint32_t how; /* atomic: HV_INTERCEPT_* | value << 24 */
	} port_range[PARTITION_PORT_RANGES];
	uint32_t port_ranges; /* atomic */
	uint32_t traced;      /* atomic: HV_INTERCEPT_EXECUTE while the parent records its calls */
	struct lock posted_lock;
	uint32_t posted; /* [posted_lock] writes so far */
	struct {
		uint32_t id;                 /* 0: free */
		uint32_t port;               /* of the root */
	} connection[PARTITION_CONNECTIONS]; /* [lock] */
	/* synthetic registers, per partition */
	uint64_t guest_os_id;
	uint64_t hypercall_msr;
	uint64_t reference_tsc_msr;
	uint64_t tsc_invariant_control;
	uint64_t crash[6];
	struct launch launch; /* [partitions_lock] */
	uint64_t time_base;   /* reference time of the hypervisor when the partition was made */
	/* what it tried and was refused (atomic) */
	uint64_t denied_msr, denied_port, denied_memory, denied_insn;
	uint64_t intercepts; /* atomic */
	uint32_t log_tokens; /* [log] what it may still cause to be logged */
	uint64_t log_time;
};

extern struct partition *partition_root;

/*
 * Children are found by number only under this lock, and go away only under it. Order: partitions_lock, then a partition's own,
 * then a VP's SynIC.
 */
extern struct lock partitions_lock;
struct partition *partition_find(uint64_t id); /* NULL: none */
struct partition *partition_next(uint64_t id); /* the one with this number or the next larger one */
struct partition *partition_create(void) MUST_CHECK; /* NULL: no memory or no slot */
void partition_free(struct partition *p);            /* no memory, no VP left */
void partition_count(uint64_t *counter);

#endif

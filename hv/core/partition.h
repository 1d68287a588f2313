/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_PARTITION_H
#define HV_CORE_PARTITION_H
#include "hv/core/exit.h"
#include "hv/core/lock.h"
#include "hv/core/npt.h"
#include "hv/core/types.h"

struct vp;

#define PARTITION_ID_ROOT 1ull

struct partition {
	uint64_t id;
	bool root;
	struct arch_partition *arch; /* intercept lists */
	struct lock lock;
	struct npt npt;
	uint32_t vp_count;
	struct vp *vp[CPU_MAX];
	/* synthetic registers, per partition */
	uint64_t guest_os_id;
	uint64_t hypercall_msr;
	uint64_t reference_tsc_msr;
	uint64_t tsc_invariant_control;
	/* what it tried and was refused (atomic) */
	uint64_t denied_msr, denied_port, denied_memory, denied_insn;
};

extern struct partition *partition_root;

void partition_count(uint64_t *counter);

#endif

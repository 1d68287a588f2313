/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_LAUNCH_H
#define HV_CORE_LAUNCH_H
/* What was loaded into a child before it ran, and who it is (docs/attestation.md, section 2). [partitions_lock] */
#include "attest/core/format.h"
#include "hv/core/types.h"

struct partition;

#define LAUNCH_INSTANCE 16u

struct launch {
	uint8_t digest[ATTEST_DIGEST];
	struct attest_policy policy; /* once it is sealed */
	uint8_t instance[LAUNCH_INSTANCE];
	uint64_t pages; /* measured so far */
	bool sealed;
	/* reports that its guest may still ask for */
	uint32_t reports;
	uint64_t reports_ns;     /* when one was added last */
	uint64_t report_charged; /* the first bytes of the last digest that was paid for */
};

/* A new partition's number; zeros where there is no report key. */
void launch_begin(struct partition *p);
/* Hashes one page of the child into the measurement; `page` is a page of scratch. false: not its memory. Locks: partitions_lock. */
bool launch_page(struct partition *p, gpa_t at, uint8_t *page) MUST_CHECK;
/* The VPs' registers and the policy, of which the hypervisor fills in what it knows itself; nothing is measured afterwards. */
void launch_seal(struct partition *p, const struct attest_policy *policy);
/* true: the guest may have a report of what hashes to `digest`; asking again for the same costs nothing. */
bool launch_report_allowed(struct partition *p, const uint8_t digest[ATTEST_DIGEST]) MUST_CHECK;

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_REPORT_H
#define HV_CORE_REPORT_H
/* VM tokens (docs/attestation.md, section 3). */
#include "attest/core/format.h"
#include "hv/core/types.h"

/* What the boot code measured of the hypervisor itself: event 1 of PCR 22. Before the root runs. */
void report_set_hypervisor(const uint8_t digest[ATTEST_DIGEST], uint64_t svn);

#endif

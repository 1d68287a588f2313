/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_ATTEST_H
#define HV_CORE_ATTEST_H
/* Measured boot (docs/attestation.md, section 1): the hypervisor's events in PCR 22 and in the log, before the root runs. */
#include "attest/core/format.h"
#include "hv/core/handoff.h"

/*
 * Makes the report key; where firmware and loader were measured, extends PCR 22 and completes the event log. Nothing that goes
 * wrong stops the boot: attest_state() says then why this boot cannot be attested. Once, on the first CPU, the root not yet built.
 */
void attest_start(const struct boot_handoff *h);
enum attest_state attest_state(void);
/* One static line of text: why not, or "yes". */
const char *attest_reason(void);

#endif

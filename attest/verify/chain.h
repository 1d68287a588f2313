/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_VERIFY_CHAIN_H
#define ATTEST_VERIFY_CHAIN_H
/* Whether an attestation key is one of those that a policy trusts: by name, or by a certificate. */
#include "attest/verify/policy.h"
#include "attest/verify/verdict.h"

/* ak.trusted. cert[0] is the key's certificate, the others lead to an authority of the policy. now: seconds since 1970. */
bool chain_trusted(struct verdict *v, const struct policy *p, const struct tpm_public *ak,
		   const struct span *cert, uint32_t certs, int64_t now);

#endif

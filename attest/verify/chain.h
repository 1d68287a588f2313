/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_VERIFY_CHAIN_H
#define ATTEST_VERIFY_CHAIN_H
/* Whether an attestation key is one of those that a policy trusts: by name, or by a certificate. */
#include "attest/verify/policy.h"
#include "attest/verify/verdict.h"

/* ak.trusted. cert[0] is the key's certificate, the others lead to an authority of the policy. now: seconds since 1970. */
bool chain_trusted(struct verdict *v, const struct policy *p, const struct tpm_public *ak,
		   const struct span *cert, uint32_t certs, int64_t now);

/*
 * NULL, or why the certificate is not one of this endorsement key: the chain to an authority of ca, time, purpose (2.23.133.8.1,
 * where it names any), the key itself. cert: DER, or PEM with the leaf first; PEM ends with a NUL that is counted. Both hostile.
 */
const char *chain_ek(const struct tpm_public *ek, const uint8_t *cert, size_t cert_n,
		     const uint8_t *ca, size_t ca_n, int64_t now);

#endif

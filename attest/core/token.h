/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_CORE_TOKEN_H
#define ATTEST_CORE_TOKEN_H
/* The payload of a VM token: EAT claims (RFC 9711) of our profile. docs/attestation.md section 3. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/core/cbor.h"
#include "attest/core/format.h"

#define ATTEST_UEID_BYTES 16u
#define ATTEST_TOKEN_MAX 768u /* payload, and whole COSE_Sign1 too */
#define ATTEST_DBG_ENABLED 0u
#define ATTEST_DBG_DISABLED 2u
#define ATTEST_ORIGIN_GUEST 0u
#define ATTEST_ORIGIN_ROOT 1u

struct attest_claims {
	uint8_t nonce[ATTEST_NONCE_MAX];
	size_t nonce_n; /* ATTEST_NONCE_MIN .. ATTEST_NONCE_MAX */
	uint8_t instance[ATTEST_UEID_BYTES];
	uint32_t dbgstat;
	uint8_t bootseed[ATTEST_SEED];
	uint8_t launch[ATTEST_DIGEST];
	struct attest_policy policy;
	uint8_t hypervisor[ATTEST_DIGEST];
	uint64_t svn; /* of the hypervisor */
	uint8_t report_data[ATTEST_REPORT_DATA];
	uint32_t origin;
};

/* The 32 bytes that are hashed into the launch measurement and stand in the token. */
void attest_policy_write(const struct attest_policy *p, uint8_t out[32]);
/* Hostile bytes. False for another version, unknown flags or reserved bits. */
bool attest_policy_parse(const uint8_t bytes[32], struct attest_policy *p);

/* Bytes written, or 0 where `size` is too small or the nonce has a forbidden length. */
size_t attest_claims_write(const struct attest_claims *c, uint8_t *out, size_t size);
/* Hostile bytes. Accepts exactly what the writer writes. */
bool attest_claims_parse(const uint8_t *bytes, size_t n, struct attest_claims *c,
			 struct wire_fault *why);

#endif

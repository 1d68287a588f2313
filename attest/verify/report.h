/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_VERIFY_REPORT_H
#define ATTEST_VERIFY_REPORT_H
/* A whole report: platform, report key, VM token, against a policy. docs/attestation.md sections 3 to 6. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/verify/platform.h"
#include "attest/verify/policy.h"

/*
 * What was verified of one platform, kept for its next report: the bytes it came in, the list of checks and the key.
 * All zero: nothing yet.
 */
struct report_cache {
	uint8_t *bytes; /* platform and key of the bundle, as they stand in it */
	size_t n;
	struct verdict verdict;
	struct replay replay;
	struct tpm_quote quote;
	struct crypto_key key; /* the report key */
	uint8_t kid[COSE_KID];
	bool valid;
};

struct report_wish {
	const struct policy *policy;
	const uint8_t *nonce; /* NULL: --no-freshness */
	size_t nonce_n;
	const uint8_t *instance; /* 16 bytes: only this VM; NULL: any */
	int64_t now;             /* seconds since 1970 */
};

/* Runs all checks in their order. cache serves one wish only; report_cache_free() in the end. */
void report_verify(struct verdict *v, const uint8_t *bytes, size_t n,
		   const struct report_wish *wish, struct report_cache *cache);
void report_cache_free(struct report_cache *cache);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_CORE_BUNDLE_H
#define ATTEST_CORE_BUNDLE_H
/* The file that carries a report, and the order of Redoubt's own events. docs/attestation.md sections 1 and 5. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/core/cbor.h"
#include "attest/core/event.h"
#include "attest/core/format.h"
#include "attest/core/log.h"
#include "attest/core/tpm.h"

#define ATTEST_CERTS_MAX 4u

struct attest_bundle {
	struct span token; /* n 0: a report of the host alone */
	bool attestable;   /* false: only reason and reason_text follow */
	struct span attest;
	struct span signature;
	struct span ak;
	struct tpm_pcrs pcrs;
	struct span log;
	struct span cert[ATTEST_CERTS_MAX];
	uint32_t certs;
	struct span key; /* COSE_Key */
	uint8_t seed[ATTEST_SEED];
	uint64_t reason; /* enum attest_state */
	struct span reason_text;
};

/* Hostile bytes, at most ATTEST_BUNDLE_MAX: of more none is read. Spans point into them; the parts inside are not looked at. */
bool attest_bundle_parse(const uint8_t *bytes, size_t n, struct attest_bundle *b,
			 struct wire_fault *why);
/* Bytes written, or 0 where `size` is too small. */
size_t attest_bundle_write(const struct attest_bundle *b, uint8_t *out, size_t size);

/* What PCR 22 says, gathered event by event. */
struct attest_boot {
	struct attest_event event[ATTEST_END + 1]; /* by `what`; what 0: not there */
	enum attest_what last;                     /* 0: none yet */
};

/*
 * Takes the next event that extends PCR 22: NULL, or what is wrong with it. Whether the digests in it are those of its
 * text or key is for the caller to compute.
 */
const char *attest_boot_event(struct attest_boot *b, const struct log_event *e,
			      struct wire_fault *why);
/* NULL where the sequence is complete. */
const char *attest_boot_end(const struct attest_boot *b);

#endif

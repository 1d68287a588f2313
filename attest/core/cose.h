/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_CORE_COSE_H
#define ATTEST_CORE_COSE_H
/* COSE_Key and COSE_Sign1 of one profile: ECDSA P-384 with SHA-384 (ES384). docs/attestation.md sections 3 and 4. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/core/cbor.h"

#define COSE_COORDINATE 48u
#define COSE_SIGNATURE 96u /* r || s */
#define COSE_KID 32u       /* SHA-256 of the encoded COSE_Key */
#define COSE_KEY_MAX 112u
#define COSE_PROTECTED_MAX 48u
#define COSE_ES384 (-35)
#define COSE_TAG_SIGN1 18u

/* The writers return the number of bytes written, or 0 where `size` is too small. */

/* The key's encoding: {1: 2, -1: 2, -2: x, -3: y}. x, y big-endian. Its SHA-256 is the kid. */
size_t cose_key_write(const uint8_t x[COSE_COORDINATE], const uint8_t y[COSE_COORDINATE],
		      uint8_t *out, size_t size);
/* The protected header: {1: -35, 4: kid}. */
size_t cose_protected_write(const uint8_t kid[COSE_KID], uint8_t *out, size_t size);
/* What is signed (Sig_structure): the signature is over the SHA-384 of these bytes. */
size_t cose_signed_write(const uint8_t *protected_header, size_t protected_n,
			 const uint8_t *payload, size_t payload_n, uint8_t *out, size_t size);
/* The whole message: tag 18 and [protected, {}, payload, signature]. */
size_t cose_sign1_write(const uint8_t *protected_header, size_t protected_n, const uint8_t *payload,
			size_t payload_n, const uint8_t signature[COSE_SIGNATURE], uint8_t *out,
			size_t size);

struct cose_key {
	uint8_t x[COSE_COORDINATE];
	uint8_t y[COSE_COORDINATE];
};

struct cose_sign1 {
	struct span protected_header; /* as it was encoded */
	struct span payload;
	uint8_t kid[COSE_KID];
	uint8_t signature[COSE_SIGNATURE];
};

/* Hostile bytes. Accepts exactly what the writers write; whether the point is on the curve is the caller's to check. */
bool cose_key_parse(const uint8_t *bytes, size_t n, struct cose_key *key, struct wire_fault *why);
bool cose_sign1_parse(const uint8_t *bytes, size_t n, struct cose_sign1 *out,
		      struct wire_fault *why);

#endif

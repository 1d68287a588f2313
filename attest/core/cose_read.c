/* SPDX-License-Identifier: MIT */
/* COSE_Key and COSE_Sign1, read: one profile, and no second way to write it. */
#include "attest/core/cose.h"
#include "hv/wire/fault.h"
#include "hv/wire/mem.h"

#define REMEDY "the sender must follow docs/attestation.md, sections 3 and 4"

static bool key_is(struct cbor_in *in, int64_t want)
{
	int64_t key;

	return cbor_take_int(in, &key) && key == want;
}

static bool coordinate(struct cbor_in *in, int64_t label, uint8_t out[COSE_COORDINATE])
{
	struct span s;

	if (!key_is(in, label) || !cbor_take_bytes(in, &s) || s.n != COSE_COORDINATE) {
		return false;
	}
	memcpy(out, s.at, s.n);
	return true;
}

bool cose_key_parse(const uint8_t *bytes, size_t n, struct cose_key *key, struct wire_fault *why)
{
	struct cbor_in in;
	uint64_t pairs;

	if (!cbor_check(bytes, n, why)) {
		return false;
	}
	cbor_open(&in, bytes, n);
	if (!cbor_take_map(&in, &pairs) || pairs != 4) {
		return wire_fail(why, "COSE_Key", "not a map of four entries", REMEDY, n);
	}
	if (!key_is(&in, 1) || !key_is(&in, 2)) {
		return wire_fail(why, "COSE_Key", "kty is not 2 (EC2)", REMEDY, in.pos);
	}
	if (!key_is(&in, -1) || !key_is(&in, 2)) {
		return wire_fail(why, "COSE_Key", "crv is not 2 (P-384)", REMEDY, in.pos);
	}
	if (!coordinate(&in, -2, key->x)) {
		return wire_fail(why, "COSE_Key", "x is not 48 bytes", REMEDY, in.pos);
	}
	if (!coordinate(&in, -3, key->y) || !cbor_done(&in)) {
		return wire_fail(why, "COSE_Key", "y is not 48 bytes", REMEDY, in.pos);
	}
	return true;
}

/* {1: -35, 4: kid} */
static bool protected_parse(const struct span *bytes, struct cose_sign1 *out,
			    struct wire_fault *why)
{
	struct cbor_in in;
	struct span kid;
	uint64_t pairs;

	if (!cbor_check(bytes->at, bytes->n, why)) {
		return false;
	}
	cbor_open(&in, bytes->at, bytes->n);
	if (!cbor_take_map(&in, &pairs) || pairs != 2) {
		return wire_fail(why, "COSE_Sign1", "protected header is not {1: alg, 4: kid}",
				 REMEDY, bytes->n);
	}
	if (!key_is(&in, 1) || !key_is(&in, COSE_ES384)) {
		return wire_fail(why, "COSE_Sign1", "algorithm is not ES384", REMEDY, in.pos);
	}
	if (!key_is(&in, 4) || !cbor_take_bytes(&in, &kid) || kid.n != COSE_KID ||
	    !cbor_done(&in)) {
		return wire_fail(why, "COSE_Sign1", "kid is not 32 bytes", REMEDY, in.pos);
	}
	memcpy(out->kid, kid.at, kid.n);
	return true;
}

bool cose_sign1_parse(const uint8_t *bytes, size_t n, struct cose_sign1 *out,
		      struct wire_fault *why)
{
	struct cbor_in in;
	struct span signature;
	uint64_t count;

	if (!cbor_check(bytes, n, why)) {
		return false;
	}
	cbor_open(&in, bytes, n);
	if (!cbor_take_tag(&in, &count) || count != COSE_TAG_SIGN1) {
		return wire_fail(why, "COSE_Sign1", "tag is not 18", REMEDY, 0);
	}
	if (!cbor_take_array(&in, &count) || count != 4) {
		return wire_fail(why, "COSE_Sign1", "not an array of four", REMEDY, in.pos);
	}
	if (!cbor_take_bytes(&in, &out->protected_header)) {
		return wire_fail(why, "COSE_Sign1", "protected header is not a byte string", REMEDY,
				 in.pos);
	}
	if (!cbor_take_map(&in, &count) || count != 0) {
		return wire_fail(why, "COSE_Sign1", "unprotected header is not empty", REMEDY,
				 in.pos);
	}
	if (!cbor_take_bytes(&in, &out->payload)) {
		return wire_fail(why, "COSE_Sign1", "payload is not a byte string", REMEDY, in.pos);
	}
	if (!cbor_take_bytes(&in, &signature) || signature.n != COSE_SIGNATURE || !cbor_done(&in)) {
		return wire_fail(why, "COSE_Sign1", "signature is not 96 bytes", REMEDY, in.pos);
	}
	memcpy(out->signature, signature.at, signature.n);
	return protected_parse(&out->protected_header, out, why);
}

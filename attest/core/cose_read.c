/* SPDX-License-Identifier: MIT */
/* COSE_Key and COSE_Sign1, read: one profile, and no second way to write it. */
#include "attest/core/cose.h"
#include "hv/wire/fault.h"
#include "hv/wire/mem.h"

#define REMEDY "the sender must follow docs/attestation.md, sections 3 and 4"

/* An entry of a map: this label, this value. */
static void entry(struct cbor_in *in, int64_t label, int64_t value)
{
	cbor_need_int(in, label);
	cbor_need_int(in, value);
}

static void entry_bytes(struct cbor_in *in, int64_t label, uint8_t *out, size_t n)
{
	cbor_need_int(in, label);
	cbor_need_bytes(in, out, n);
}

bool cose_key_parse(const uint8_t *bytes, size_t n, struct cose_key *key, struct wire_fault *why)
{
	struct cbor_in in;

	if (!cbor_check(bytes, n, why)) {
		return false;
	}
	cbor_open(&in, bytes, n);
	if (cbor_take_map(&in) != 4) {
		return wire_fail(why, "COSE_Key", "not a map of four entries", REMEDY, n);
	}
	entry(&in, 1, 2);
	if (in.bad) {
		return wire_fail(why, "COSE_Key", "kty is not 2 (EC2)", REMEDY, in.pos);
	}
	entry(&in, -1, 2);
	if (in.bad) {
		return wire_fail(why, "COSE_Key", "crv is not 2 (P-384)", REMEDY, in.pos);
	}
	entry_bytes(&in, -2, key->x, sizeof(key->x));
	if (in.bad) {
		return wire_fail(why, "COSE_Key", "x is not 48 bytes", REMEDY, in.pos);
	}
	entry_bytes(&in, -3, key->y, sizeof(key->y));
	if (!cbor_done(&in)) {
		return wire_fail(why, "COSE_Key", "y is not 48 bytes", REMEDY, in.pos);
	}
	return true;
}

/* {1: -35, 4: kid} */
static bool protected_parse(const struct span *bytes, struct cose_sign1 *out,
			    struct wire_fault *why)
{
	struct cbor_in in;

	if (!cbor_check(bytes->at, bytes->n, why)) {
		return false;
	}
	cbor_open(&in, bytes->at, bytes->n);
	if (cbor_take_map(&in) != 2) {
		return wire_fail(why, "COSE_Sign1", "protected header is not {1: alg, 4: kid}",
				 REMEDY, bytes->n);
	}
	entry(&in, 1, COSE_ES384);
	if (in.bad) {
		return wire_fail(why, "COSE_Sign1", "algorithm is not ES384", REMEDY, in.pos);
	}
	entry_bytes(&in, 4, out->kid, sizeof(out->kid));
	if (!cbor_done(&in)) {
		return wire_fail(why, "COSE_Sign1", "kid is not 32 bytes", REMEDY, in.pos);
	}
	return true;
}

bool cose_sign1_parse(const uint8_t *bytes, size_t n, struct cose_sign1 *out,
		      struct wire_fault *why)
{
	struct cbor_in in;

	if (!cbor_check(bytes, n, why)) {
		return false;
	}
	cbor_open(&in, bytes, n);
	if (cbor_take_tag(&in) != COSE_TAG_SIGN1) {
		return wire_fail(why, "COSE_Sign1", "tag is not 18", REMEDY, 0);
	}
	if (cbor_take_array(&in) != 4) {
		return wire_fail(why, "COSE_Sign1", "not an array of four", REMEDY, in.pos);
	}
	out->protected_header = cbor_take_bytes(&in);
	if (in.bad) {
		return wire_fail(why, "COSE_Sign1", "protected header is not a byte string", REMEDY,
				 in.pos);
	}
	cbor_need_map(&in, 0);
	if (in.bad) {
		return wire_fail(why, "COSE_Sign1", "unprotected header is not empty", REMEDY,
				 in.pos);
	}
	out->payload = cbor_take_bytes(&in);
	if (in.bad) {
		return wire_fail(why, "COSE_Sign1", "payload is not a byte string", REMEDY, in.pos);
	}
	cbor_need_bytes(&in, out->signature, sizeof(out->signature));
	if (!cbor_done(&in)) {
		return wire_fail(why, "COSE_Sign1", "signature is not 96 bytes", REMEDY, in.pos);
	}
	return protected_parse(&out->protected_header, out, why);
}

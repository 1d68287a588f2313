/* SPDX-License-Identifier: MIT */
/* COSE_Key and COSE_Sign1, written. RFC 9052 sections 4.2, 4.4 and 7, RFC 9053 section 2.1. */
#include "attest/core/cose.h"

size_t cose_key_write(const uint8_t x[COSE_COORDINATE], const uint8_t y[COSE_COORDINATE],
		      uint8_t *out, size_t size)
{
	struct cbor_out o;

	cbor_begin(&o, out, size);
	cbor_map(&o, 4);
	cbor_int(&o, 1); /* kty: EC2 */
	cbor_int(&o, 2);
	cbor_int(&o, -1); /* crv: P-384 */
	cbor_int(&o, 2);
	cbor_int(&o, -2);
	cbor_bytes(&o, x, COSE_COORDINATE);
	cbor_int(&o, -3);
	cbor_bytes(&o, y, COSE_COORDINATE);
	return cbor_end(&o);
}

size_t cose_protected_write(const uint8_t kid[COSE_KID], uint8_t *out, size_t size)
{
	struct cbor_out o;

	cbor_begin(&o, out, size);
	cbor_map(&o, 2);
	cbor_int(&o, 1); /* alg */
	cbor_int(&o, COSE_ES384);
	cbor_int(&o, 4);
	cbor_bytes(&o, kid, COSE_KID);
	return cbor_end(&o);
}

size_t cose_signed_write(const uint8_t *protected_header, size_t protected_n,
			 const uint8_t *payload, size_t payload_n, uint8_t *out, size_t size)
{
	static const char context[] = { 'S', 'i', 'g', 'n', 'a', 't', 'u', 'r', 'e', '1' };
	struct cbor_out o;

	cbor_begin(&o, out, size);
	cbor_array(&o, 4);
	cbor_text(&o, context, sizeof(context));
	cbor_bytes(&o, protected_header, protected_n);
	cbor_bytes(&o, context, 0); /* no external data */
	cbor_bytes(&o, payload, payload_n);
	return cbor_end(&o);
}

size_t cose_sign1_write(const uint8_t *protected_header, size_t protected_n, const uint8_t *payload,
			size_t payload_n, const uint8_t signature[COSE_SIGNATURE], uint8_t *out,
			size_t size)
{
	struct cbor_out o;

	cbor_begin(&o, out, size);
	cbor_tag(&o, COSE_TAG_SIGN1);
	cbor_array(&o, 4);
	cbor_bytes(&o, protected_header, protected_n);
	cbor_map(&o, 0);
	cbor_bytes(&o, payload, payload_n);
	cbor_bytes(&o, signature, COSE_SIGNATURE);
	return cbor_end(&o);
}

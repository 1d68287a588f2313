/* SPDX-License-Identifier: MIT */
/* Input: a COSE_Key, a COSE_Sign1 or a VM token's payload. What a reader accepts, the writer writes byte for byte. */
#include <string.h>

#include "attest/core/cose.h"
#include "attest/core/token.h"
#include "fuzz/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void claims(const uint8_t *data, size_t size, struct wire_fault *why)
{
	uint8_t out[ATTEST_TOKEN_MAX];
	struct attest_claims c;

	if (attest_claims_parse(data, size, &c, why)) {
		CHECK_FUZZ(attest_claims_write(&c, out, sizeof(out)) == size &&
			   memcmp(out, data, size) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[1 << 16];
	uint8_t header[COSE_PROTECTED_MAX];
	struct wire_fault why = { NULL, NULL, NULL, 0 };
	struct cose_sign1 m;
	struct cose_key key;
	size_t n;

	if (size > sizeof(out)) {
		return 0;
	}
	if (cose_key_parse(data, size, &key, &why)) {
		CHECK_FUZZ(cose_key_write(key.x, key.y, out, sizeof(out)) == size);
		CHECK_FUZZ(memcmp(out, data, size) == 0);
	}
	if (cose_sign1_parse(data, size, &m, &why)) {
		n = cose_protected_write(m.kid, header, sizeof(header));
		CHECK_FUZZ(n == m.protected_header.n &&
			   memcmp(header, m.protected_header.at, n) == 0);
		n = cose_sign1_write(header, n, m.payload.at, m.payload.n, m.signature, out,
				     sizeof(out));
		CHECK_FUZZ(n == size && memcmp(out, data, size) == 0);
		claims(m.payload.at, m.payload.n, &why);
	} else {
		CHECK_FUZZ(why.what != NULL && why.field != NULL && why.remedy != NULL);
	}
	claims(data, size, &why);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Input: byte 0: which structure (0 attest, 1 signature, 2 public, 3 PCR values), then its bytes. */
#include <stdlib.h>
#include <string.h>

#include "attest/core/tpm.h"
#include "fuzz/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(const struct span *s, const uint8_t *at, size_t n)
{
	CHECK_FUZZ(s->n == 0 || (s->at >= at && s->n <= n && s->at <= at + n - s->n));
}

static bool one(unsigned kind, const uint8_t *at, size_t n, struct wire_fault *why)
{
	static struct tpm_pcrs pcrs;
	struct tpm_signature s;
	struct tpm_public p;
	struct tpm_quote q;
	enum tpm_fault fault;

	switch (kind) {
	case 0:
		if (!tpm_quote_parse(at, n, &q, &fault, why)) {
			return false;
		}
		inside(&q.extra, at, n);
		inside(&q.digest, at, n);
		CHECK_FUZZ(q.select_count <= TPM_BANKS_MAX);
		return true;
	case 1:
		if (!tpm_signature_parse(at, n, &s, why)) {
			return false;
		}
		inside(&s.r, at, n);
		inside(&s.s, at, n);
		CHECK_FUZZ(s.r.n != 0);
		return true;
	case 2:
		if (!tpm_public_parse(at, n, &p, why)) {
			return false;
		}
		inside(&p.x, at, n);
		inside(&p.y, at, n);
		CHECK_FUZZ(p.area.n == n - 2 && p.area.at == at + 2);
		return true;
	default:
		if (!tpm_pcrs_parse(at, n, &pcrs, why)) {
			return false;
		}
		CHECK_FUZZ(pcrs.count >= 1 && pcrs.count <= TPM_PCR_VALUES_MAX);
		for (uint32_t i = 0; i < pcrs.count; i++) {
			CHECK_FUZZ(tpm_pcrs_find(&pcrs, pcrs.at[i].bank, pcrs.at[i].index) ==
				   &pcrs.at[i]);
		}
		return true;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_fault why = { NULL, NULL, NULL, 0 };
	uint8_t *copy;

	if (size == 0 || (copy = malloc(size > 1 ? size - 1 : 1)) == NULL) {
		return 0;
	}
	memcpy(copy, data + 1, size - 1);
	if (!one(data[0] & 3, copy, size - 1, &why)) {
		CHECK_FUZZ(why.what != NULL && why.field != NULL && why.remedy != NULL);
	}
	free(copy);
	return 0;
}

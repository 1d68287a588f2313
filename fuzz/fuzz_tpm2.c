// SPDX-License-Identifier: MIT
/* Input: byte 0: which command was sent; byte 1: how many random bytes, or which bank; the rest is the answer. */
#include <stdlib.h>
#include <string.h>

#include "hv/wire/tcglog.h"
#include "hv/wire/tpm2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                          \
	do {                              \
		if (!(x)) {               \
			__builtin_trap(); \
		}                         \
	} while (0)

static void check_digests(const struct tpm2_digests *d)
{
	CHECK(d->count <= TPM2_BANK_MAX);
	for (uint32_t i = 0; i < d->count; i++) {
		CHECK(d->bank[i].size >= 1 && d->bank[i].size <= 64);
		for (uint32_t k = 0; k < i; k++) {
			CHECK(d->bank[k].alg != d->bank[i].alg);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tpm2_digests d;
	struct tpm2_banks b;
	uint8_t random[256];
	uint8_t *answer;
	bool ok = false;

	if (size < 2) {
		return 0;
	}
	size -= 2;
	answer = malloc(size == 0 ? 1 : size);
	if (answer == NULL) {
		return 0;
	}
	memcpy(answer, data + 2, size);
	if (size >= TPM2_HEADER) {
		CHECK(tpm2_answer_size(answer) <= TPM2_ANSWER_MAX);
	}
	switch (data[0] % 4) {
	case 0:
		ok = tpm2_take_random(answer, size, random, data[1]);
		break;
	case 1:
		ok = tpm2_take_banks(answer, size, &b);
		CHECK(b.count <= TPM2_BANK_MAX);
		for (uint32_t i = 0; ok && i < b.count; i++) {
			for (uint32_t k = 0; k < i; k++) {
				CHECK(b.alg[k] != b.alg[i]);
			}
		}
		break;
	case 2:
		ok = tpm2_take_pcr(answer, size, data[1], &d);
		check_digests(&d);
		CHECK(!ok || (d.count == 1 && d.bank[0].alg == data[1]));
		break;
	default:
		ok = tpm2_take_event(answer, size, &d);
		check_digests(&d);
		for (uint32_t i = 0; ok && i < d.count; i++) {
			CHECK(d.bank[i].size == tcglog_digest_size(d.bank[i].alg));
		}
		break;
	}
	CHECK(!ok || tpm2_answer_code(answer, size) == TPM2_RC_SUCCESS);
	free(answer);
	return 0;
}

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
	bool zero = true;

	CHECK(d->count <= TPM2_BANK_MAX);
	for (uint32_t i = 0; i < d->count; i++) {
		for (uint32_t k = 0; k < d->bank[i].size; k++) {
			zero = zero && d->bank[i].bytes[k] == 0;
		}
		CHECK(d->bank[i].size >= 1 && d->bank[i].size <= 64);
		for (uint32_t k = 0; k < i; k++) {
			CHECK(d->bank[k].alg != d->bank[i].alg);
		}
	}
	CHECK(tpm2_is_zero(d) == zero);
}

/* Into the order of a log's banks: the same digests, or it says that one is missing. */
static void check_order(const struct tpm2_digests *d, uint8_t pick)
{
	static const uint16_t alg[] = { TCG_ALG_SHA256, TCG_ALG_SHA1, TCG_ALG_SHA384 };
	struct tcglog l = { .header = 60, .alg_count = 1 + pick % 3 };
	struct tpm2_digests sorted = *d;

	for (uint32_t i = 0; i < l.alg_count; i++) {
		l.alg[i].id = alg[(i + pick / 3) % 3];
		l.alg[i].size = (uint16_t)(tcglog_digest_size(l.alg[i].id) - (pick > 0xf0));
	}
	if (!tpm2_order(&sorted, &l)) {
		return;
	}
	CHECK(sorted.count == l.alg_count);
	for (uint32_t i = 0; i < l.alg_count; i++) {
		CHECK(sorted.bank[i].alg == l.alg[i].id && sorted.bank[i].size == l.alg[i].size);
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
		check_order(&d, data[1]);
		break;
	}
	if (data[0] % 4 == 0 && size <= TPM2_EVENT_MAX + 1) {
		uint8_t command[TPM2_EVENT_MAX + 64];

		CHECK((tpm2_put_pcr_event(command, 8, answer, size) == 0) ==
		      (size > TPM2_EVENT_MAX));
	}
	CHECK(!ok || tpm2_answer_code(answer, size) == TPM2_RC_SUCCESS);
	free(answer);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* A TPM's quote: the checks in their order. */
#include "attest/verify/platform.h"

#include <string.h>

bool platform_attributes(struct verdict *v, const struct tpm_public *ak)
{
	const uint32_t needed = TPMA_FIXED_TPM | TPMA_FIXED_PARENT | TPMA_SENSITIVE_ORIGIN |
				TPMA_USER_WITH_AUTH | TPMA_RESTRICTED | TPMA_SIGN;

	verdict_fact(v, "ak_attributes", json_integer(ak->attributes));
	if ((ak->attributes & needed) != needed || (ak->attributes & TPMA_DECRYPT) != 0) {
		return verdict_fail(
			v, VERDICT_NOT_AUTHENTIC, "ak.attributes",
			"an attestation key is fixed to its TPM, made there, restricted, for signing "
			"and not for decryption (0x00050072)");
	}
	if (ak->name_alg == TPM_ALG_SHA1) {
		return verdict_fail(v, VERDICT_NOT_AUTHENTIC, "ak.attributes",
				    "its name is a SHA-1 hash");
	}
	return verdict_ok(v, "ak.attributes", "restricted signing key of its TPM");
}

bool platform_parse(struct verdict *v, struct platform *p)
{
	static const char *const id[] = { "parse", "attest.magic", "attest.type",
					  "attest.trailing" };
	enum tpm_fault fault = TPM_FAULT_PARSE;
	struct wire_fault why = { NULL, NULL, NULL, 0 };

	if (!tpm_quote_parse(p->attest.at, p->attest.n, &p->quote, &fault, &why)) {
		if (fault != TPM_FAULT_PARSE) {
			verdict_ok(v, "parse", "sizes are in bounds");
		}
		return verdict_malformed(v, id[fault], &why);
	}
	if (!tpm_signature_parse(p->signature.at, p->signature.n, &p->sig, &why)) {
		return verdict_malformed(v, "parse", &why);
	}
	verdict_ok(v, "parse", "quote and signature are well-formed");
	verdict_ok(v, "attest.magic", "TPM_GENERATED");
	verdict_ok(v, "attest.type", "quote");
	return verdict_ok(v, "attest.trailing", "nothing follows");
}

static bool check_nonce(struct verdict *v, const struct platform *p)
{
	if (p->nonce == NULL) {
		return verdict_skip(v, "nonce",
				    "not compared (--no-freshness): this can be an old quote");
	}
	if (p->quote.extra.n != p->nonce_n ||
	    memcmp(p->quote.extra.at, p->nonce, p->nonce_n) != 0) {
		return verdict_fail(
			v, VERDICT_NOT_AUTHENTIC, "nonce",
			"the quote is not an answer to this nonce: it is old, or another's");
	}
	return verdict_ok(v, "nonce", "%zu bytes, all equal", p->nonce_n);
}

/* A selection that is refused; the masks, bit n for PCR n, are facts. */
static bool other_pcrs(struct verdict *v, uint16_t bank, uint32_t quoted, uint32_t given,
		       const char *text)
{
	verdict_fact(v, "selection_bank", json_string(platform_bank(bank)));
	verdict_fact(v, "selection_quoted", json_integer(quoted));
	verdict_fact(v, "selection_given", json_integer(given));
	return verdict_fail(v, VERDICT_NOT_AUTHENTIC, "selection", "%s", text);
}

static uint32_t mask_of(const struct tpm_pcrs *pcrs, uint16_t bank)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < pcrs->count; i++) {
		mask |= pcrs->at[i].bank == bank ? 1u << pcrs->at[i].index : 0;
	}
	return mask;
}

/* The quote's selection: no bank twice or empty, no SHA-1, just the wanted PCRs, and just those given. */
static bool check_selection(struct verdict *v, const struct platform *p)
{
	const struct tpm_quote *q = &p->quote;
	uint32_t values = 0;

	if (q->select_count == 0) {
		return verdict_fail(v, VERDICT_NOT_AUTHENTIC, "selection",
				    "the quote is over no PCR");
	}
	for (uint32_t i = 0; i < q->select_count; i++) {
		for (uint32_t k = 0; k < i; k++) {
			if (q->select[k].alg == q->select[i].alg) {
				return verdict_fail(v, VERDICT_NOT_AUTHENTIC, "selection",
						    "a bank is there twice");
			}
		}
		if (q->select[i].mask == 0) {
			return verdict_fail(v, VERDICT_NOT_AUTHENTIC, "selection",
					    "a bank without a PCR");
		}
		if (q->select[i].alg == TPM_ALG_SHA1) {
			return verdict_fail(
				v, VERDICT_AGAINST_POLICY, "selection",
				"SHA-1 values prove nothing any more: quote the sha256 bank");
		}
		if (mask_of(p->pcrs, q->select[i].alg) != q->select[i].mask) {
			return other_pcrs(
				v, q->select[i].alg, q->select[i].mask,
				mask_of(p->pcrs, q->select[i].alg),
				"the values given are of other PCRs than the quoted ones");
		}
		values += (uint32_t)__builtin_popcount(q->select[i].mask);
	}
	if (values != p->pcrs->count) {
		return verdict_fail(v, VERDICT_NOT_AUTHENTIC, "selection",
				    "values of a bank that is not quoted");
	}
	for (uint32_t i = 0; i < p->want_count; i++) {
		if (mask_of(p->pcrs, p->want[i].alg) != p->want[i].mask) {
			return other_pcrs(v, p->want[i].alg, mask_of(p->pcrs, p->want[i].alg),
					  mask_of(p->pcrs, p->want[i].alg),
					  "other PCRs are quoted than those wanted");
		}
	}
	if (p->want_count != 0 && p->want_count != q->select_count) {
		return verdict_fail(v, VERDICT_NOT_AUTHENTIC, "selection",
				    "more or fewer banks are quoted than wanted");
	}
	return verdict_ok(v, "selection", "each quoted PCR has one value");
}

/* Hash over the values in the order of the selection; and a bank that firmware never extended is nobody's evidence. */
static bool check_composite(struct verdict *v, const struct platform *p)
{
	uint8_t all[TPM_PCR_VALUES_MAX * TPM_DIGEST_MAX], digest[TPM_DIGEST_MAX];
	static const uint8_t zero[TPM_DIGEST_MAX];
	const struct tpm_quote *q = &p->quote;
	size_t n = 0;

	for (uint32_t i = 0; i < q->select_count; i++) {
		for (uint16_t pcr = 0; pcr < TPM_PCRS; pcr++) {
			const struct tpm_pcr *value = tpm_pcrs_find(p->pcrs, q->select[i].alg, pcr);

			if (value != NULL) {
				memcpy(all + n, value->bytes, value->n);
				n += value->n;
			}
		}
	}
	if (!crypto_hash(p->sig.hash, all, n, digest) ||
	    q->digest.n != tpm_digest_size(p->sig.hash) ||
	    memcmp(digest, q->digest.at, q->digest.n) != 0) {
		return verdict_fail(v, VERDICT_NOT_AUTHENTIC, "pcr.composite",
				    "the quote is over other PCR values than those given");
	}
	for (uint32_t i = 0; i < q->select_count; i++) {
		const struct tpm_pcr *first = tpm_pcrs_find(p->pcrs, q->select[i].alg, 0);

		if (first != NULL && memcmp(first->bytes, zero, first->n) == 0) {
			return verdict_fail(
				v, VERDICT_NOT_AUTHENTIC, "pcr.composite",
				"firmware never extended a bank (PCR 0 is zero): anybody can, and with "
				"what he likes");
		}
	}
	return verdict_ok(v, "pcr.composite", "the quote is over these values");
}

bool platform_verify(struct verdict *v, struct platform *p, struct replay *r)
{
	const char *bad = crypto_verify_tpm(p->key, &p->sig, p->attest.at, p->attest.n);

	if (bad != NULL) {
		return verdict_fail(v, VERDICT_NOT_AUTHENTIC, "signature", "%s", bad);
	}
	verdict_ok(v, "signature", "of the attestation key");
	if (!check_nonce(v, p) || !check_selection(v, p) || !check_composite(v, p)) {
		return false;
	}
	if (p->log.n == 0) {
		return p->log_needed
			       ? verdict_fail(v, VERDICT_UNDECIDABLE, "log.parse",
					      "there is no event log")
			       : verdict_skip(v, "log.parse",
					      "no event log was given: PCR values are unexplained");
	}
	return replay_log(v, p->log.at, p->log.n, &p->wish, p->pcrs, p->unexplained, r);
}

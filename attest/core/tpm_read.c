/* SPDX-License-Identifier: MIT */
/* TPMS_ATTEST, TPMT_SIGNATURE, TPM2B_PUBLIC: read strictly, every byte accounted for. */
#include "attest/core/tpm.h"
#include "hv/wire/fault.h"
#include "hv/wire/mem.h"

#define REMEDY "give the structure as the TPM marshals it (TPM 2.0 Library, Part 2)"
#define NAME_MAX 66u /* algorithm and the longest digest */
#define CURVE_BYTES_MAX 66u
#define RSA_BYTES_MAX 512u

/* A cursor that stays at its first failure. */
struct cursor {
	const uint8_t *at;
	size_t n, pos;
	bool bad;
};

static uint64_t take(struct cursor *c, unsigned int bytes)
{
	uint64_t value = 0;

	if (c->bad || bytes > c->n - c->pos) {
		c->bad = true;
		return 0;
	}
	for (unsigned int i = 0; i < bytes; i++) {
		value = value << 8 | c->at[c->pos++];
	}
	return value;
}

/* A TPM2B: size and bytes. */
static struct span take_2b(struct cursor *c, size_t most)
{
	struct span s = { NULL, 0 };
	size_t n = (size_t)take(c, 2);

	if (c->bad || n > most || n > c->n - c->pos) {
		c->bad = true;
		return s;
	}
	s.at = c->at + c->pos;
	s.n = n;
	c->pos += n;
	return s;
}

/* TPML_PCR_SELECTION (10.9.7): each bank once, PCR 0 to 23. */
static const char *take_selection(struct cursor *c, struct tpm_quote *q)
{
	uint64_t count = take(c, 4);

	if (c->bad || count > TPM_BANKS_MAX) {
		return "more PCR banks than 8";
	}
	for (uint32_t i = 0; i < count; i++) {
		uint16_t alg = (uint16_t)take(c, 2);
		uint64_t bytes = take(c, 1);
		uint32_t mask = 0;

		if (c->bad || bytes > 4) {
			return "a PCR selection is cut off or longer than 4 bytes";
		}
		for (uint32_t k = 0; k < bytes; k++) {
			mask |= (uint32_t)take(c, 1) << (8 * k);
		}
		if (c->bad || mask >> TPM_PCRS != 0) {
			return "a PCR selection is cut off or names a PCR above 23";
		}
		q->select[i].alg = alg;
		q->select[i].mask = mask;
	}
	q->select_count = (uint32_t)count;
	return NULL;
}

bool tpm_quote_parse(const uint8_t *bytes, size_t n, struct tpm_quote *q, enum tpm_fault *fault,
		     struct wire_fault *why)
{
	struct cursor c = { bytes, n, 0, false };
	const char *bad;
	uint64_t value;

	memset(q, 0, sizeof(*q));
	*fault = TPM_FAULT_PARSE;
	value = take(&c, 4);
	if (c.bad) {
		return wire_fail(why, "TPMS_ATTEST", "cut off", REMEDY, n);
	}
	if (value != TPM_GENERATED) {
		*fault = TPM_FAULT_MAGIC;
		return wire_fail(why, "TPMS_ATTEST",
				 "magic is not TPM_GENERATED: no TPM made this statement", REMEDY,
				 value);
	}
	value = take(&c, 2);
	if (!c.bad && value != TPM_ST_ATTEST_QUOTE) {
		*fault = TPM_FAULT_TYPE;
		return wire_fail(why, "TPMS_ATTEST", "type is not TPM_ST_ATTEST_QUOTE", REMEDY,
				 value);
	}
	q->signer = take_2b(&c, NAME_MAX);
	q->extra = take_2b(&c, TPM_DIGEST_MAX + 2);
	q->clock = take(&c, 8);
	q->reset_count = (uint32_t)take(&c, 4);
	q->restart_count = (uint32_t)take(&c, 4);
	value = take(&c, 1);
	if (value > 1) {
		return wire_fail(why, "TPMS_ATTEST", "clockInfo.safe is neither 0 nor 1", REMEDY,
				 value);
	}
	q->safe = value == 1;
	q->firmware = take(&c, 8);
	bad = take_selection(&c, q);
	q->digest = take_2b(&c, TPM_DIGEST_MAX);
	if (bad != NULL || c.bad) {
		return wire_fail(why, "TPMS_ATTEST", bad != NULL ? bad : "cut off", REMEDY, c.pos);
	}
	if (c.pos != n) {
		*fault = TPM_FAULT_TRAILING;
		return wire_fail(why, "TPMS_ATTEST", "bytes follow the quote", REMEDY, n - c.pos);
	}
	return true;
}

bool tpm_signature_parse(const uint8_t *bytes, size_t n, struct tpm_signature *s,
			 struct wire_fault *why)
{
	struct cursor c = { bytes, n, 0, false };

	memset(s, 0, sizeof(*s));
	s->alg = (uint16_t)take(&c, 2);
	s->hash = (uint16_t)take(&c, 2);
	if (!c.bad && s->alg != TPM_ALG_RSASSA && s->alg != TPM_ALG_RSAPSS &&
	    s->alg != TPM_ALG_ECDSA) {
		return wire_fail(why, "TPMT_SIGNATURE", "algorithm is not RSASSA, RSAPSS or ECDSA",
				 REMEDY, s->alg);
	}
	s->r = take_2b(&c, s->alg == TPM_ALG_ECDSA ? CURVE_BYTES_MAX : RSA_BYTES_MAX);
	if (s->alg == TPM_ALG_ECDSA) {
		s->s = take_2b(&c, CURVE_BYTES_MAX);
	}
	if (c.bad) {
		return wire_fail(why, "TPMT_SIGNATURE", "cut off, or a number is too long", REMEDY,
				 c.pos);
	}
	if (s->r.n == 0 || (s->alg == TPM_ALG_ECDSA && s->s.n == 0)) {
		return wire_fail(why, "TPMT_SIGNATURE", "an empty number", REMEDY, c.pos);
	}
	if (c.pos != n) {
		return wire_fail(why, "TPMT_SIGNATURE", "bytes follow the signature", REMEDY,
				 n - c.pos);
	}
	return true;
}

/* The parameters and the key itself. NULL, or what is wrong with them. */
static const char *take_key(struct cursor *c, struct tpm_public *p)
{
	if (take(c, 2) != TPM_ALG_NULL) { /* symmetric: key size and mode, of a storage key */
		take(c, 4);
	}
	p->scheme = (uint16_t)take(c, 2);
	if (p->scheme != TPM_ALG_NULL) {
		p->scheme_hash = (uint16_t)take(c, 2);
	}
	if (p->scheme == TPM_ALG_ECDAA) {
		return "ECDAA is not supported";
	}
	if (p->type == TPM_ALG_RSA) {
		p->bits = (uint16_t)take(c, 2);
		p->exponent = (uint32_t)take(c, 4);
		p->exponent = p->exponent == 0 ? 65537 : p->exponent;
		p->x = take_2b(c, RSA_BYTES_MAX);
		return !c->bad && p->x.n * 8 != p->bits ? "the modulus is not keyBits long" : NULL;
	}
	p->curve = (uint16_t)take(c, 2);
	if (take(c, 2) != TPM_ALG_NULL) { /* kdf */
		take(c, 2);
	}
	p->x = take_2b(c, CURVE_BYTES_MAX);
	p->y = take_2b(c, CURVE_BYTES_MAX);
	return NULL;
}

bool tpm_public_parse(const uint8_t *bytes, size_t n, struct tpm_public *p, struct wire_fault *why)
{
	struct cursor c = { bytes, n, 0, false };
	const char *bad;

	memset(p, 0, sizeof(*p));
	p->area.n = (size_t)take(&c, 2);
	p->area.at = bytes + c.pos;
	if (p->area.n + 2 != n) {
		return wire_fail(why, "TPM2B_PUBLIC", "its size is not that of the file", REMEDY,
				 n);
	}
	p->type = (uint16_t)take(&c, 2);
	p->name_alg = (uint16_t)take(&c, 2);
	p->attributes = (uint32_t)take(&c, 4);
	p->policy = take_2b(&c, TPM_DIGEST_MAX);
	if (c.bad || (p->type != TPM_ALG_RSA && p->type != TPM_ALG_ECC)) {
		return wire_fail(why, "TPM2B_PUBLIC", "type is neither RSA nor ECC", REMEDY,
				 p->type);
	}
	bad = take_key(&c, p);
	if (c.bad || bad != NULL) {
		return wire_fail(why, "TPM2B_PUBLIC",
				 bad != NULL ? bad : "cut off, or a number is too long", REMEDY,
				 c.pos);
	}
	if (c.pos != n) {
		return wire_fail(why, "TPM2B_PUBLIC", "bytes follow the key", REMEDY, n - c.pos);
	}
	return true;
}

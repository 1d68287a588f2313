/* SPDX-License-Identifier: MIT */
#include "hv/wire/tpm2.h"

#include "hv/wire/mem.h"

#define ST_NO_SESSIONS 0x8001u
#define ST_SESSIONS 0x8002u
#define CC_PCR_EVENT 0x13cu
#define CC_PCR_RESET 0x13du
#define CC_GET_CAPABILITY 0x17au
#define CC_GET_RANDOM 0x17bu
#define CC_PCR_READ 0x17eu
#define CAP_PCRS 5u
#define RS_PW 0x40000009u /* authorization by password, the empty one here */
#define PCR_SELECT 3u     /* bytes of a selection: 24 PCRs */
#define PCR_SELECT_MAX 32u

/* Appends big-endian integers; the callers know that it all fits. */
struct put {
	uint8_t *p;
	size_t n;
};

static void put(struct put *o, uint32_t v, unsigned bytes)
{
	while (bytes-- != 0) {
		o->p[o->n++] = (uint8_t)(v >> 8 * bytes);
	}
}

static void begin(struct put *o, uint8_t *out, uint32_t tag, uint32_t code)
{
	o->p = out;
	o->n = 0;
	put(o, tag, 2);
	put(o, 0, 4);
	put(o, code, 4);
}

static size_t end(struct put *o)
{
	size_t n = o->n;

	o->n = 2;
	put(o, (uint32_t)n, 4);
	return n;
}

static void handle_with_password(struct put *o, uint32_t handle)
{
	put(o, handle, 4);
	put(o, 9, 4); /* bytes of the authorization area */
	put(o, RS_PW, 4);
	put(o, 0, 2); /* nonce */
	put(o, 0, 1); /* attributes */
	put(o, 0, 2); /* password */
}

size_t tpm2_put_get_random(uint8_t *out, uint16_t bytes)
{
	struct put o;

	begin(&o, out, ST_NO_SESSIONS, CC_GET_RANDOM);
	put(&o, bytes, 2);
	return end(&o);
}

size_t tpm2_put_get_banks(uint8_t *out)
{
	struct put o;

	begin(&o, out, ST_NO_SESSIONS, CC_GET_CAPABILITY);
	put(&o, CAP_PCRS, 4);
	put(&o, 0, 4);
	put(&o, 1, 4);
	return end(&o);
}

size_t tpm2_put_pcr_read(uint8_t *out, uint16_t alg, uint32_t pcr)
{
	struct put o;

	begin(&o, out, ST_NO_SESSIONS, CC_PCR_READ);
	put(&o, 1, 4);
	put(&o, alg, 2);
	put(&o, PCR_SELECT, 1);
	for (uint32_t i = 0; i < PCR_SELECT; i++) {
		put(&o, pcr / 8 == i ? 1u << pcr % 8 : 0, 1);
	}
	return end(&o);
}

size_t tpm2_put_pcr_reset(uint8_t *out, uint32_t pcr)
{
	struct put o;

	begin(&o, out, ST_SESSIONS, CC_PCR_RESET);
	handle_with_password(&o, pcr);
	return end(&o);
}

size_t tpm2_put_pcr_event(uint8_t *out, uint32_t pcr, const uint8_t *data, size_t n)
{
	struct put o;

	if (n > TPM2_EVENT_MAX) {
		return 0;
	}
	begin(&o, out, ST_SESSIONS, CC_PCR_EVENT);
	handle_with_password(&o, pcr);
	put(&o, (uint32_t)n, 2);
	memcpy(o.p + o.n, data, n);
	o.n += n;
	return end(&o);
}

/* Reads big-endian integers; ok turns false, for good, where one does not fit. */
struct take {
	const uint8_t *p;
	size_t at, n;
	bool ok;
};

static const uint8_t *bytes(struct take *t, size_t n)
{
	const uint8_t *p = t->p + t->at;

	t->ok = t->ok && range_within(t->at, n, t->n);
	if (!t->ok) {
		return NULL;
	}
	t->at += n;
	return p;
}

static uint32_t take(struct take *t, unsigned n)
{
	const uint8_t *p = bytes(t, n);
	uint32_t v = 0;

	for (unsigned i = 0; p != NULL && i < n; i++) {
		v = v << 8 | p[i];
	}
	return v;
}

size_t tpm2_answer_size(const uint8_t *p)
{
	struct take t = { p, 0, TPM2_HEADER, true };
	uint32_t tag = take(&t, 2), size = take(&t, 4);

	return (tag == ST_NO_SESSIONS || tag == ST_SESSIONS) && size >= TPM2_HEADER &&
			       size <= TPM2_ANSWER_MAX
		       ? size
		       : 0;
}

uint32_t tpm2_answer_code(const uint8_t *p, size_t n)
{
	struct take t = { p, 6, n, true };
	uint32_t code;

	if (n < TPM2_HEADER || tpm2_answer_size(p) != n) {
		return TPM2_RC_BROKEN;
	}
	code = take(&t, 4);
	return code;
}

static struct take open(const uint8_t *p, size_t n, uint32_t tag)
{
	struct take t = { p, 0, n, tpm2_answer_code(p, n) == TPM2_RC_SUCCESS };

	t.ok = t.ok && take(&t, 2) == tag;
	(void)bytes(&t, TPM2_HEADER - 2);
	return t;
}

static bool done(const struct take *t)
{
	return t->ok && t->at == t->n;
}

bool tpm2_take_random(const uint8_t *p, size_t n, uint8_t *out, uint16_t want)
{
	struct take t = open(p, n, ST_NO_SESSIONS);
	const uint8_t *b;

	t.ok = take(&t, 2) == want && t.ok;
	b = bytes(&t, want);
	if (!done(&t)) {
		return false;
	}
	memcpy(out, b, want);
	return true;
}

/* TPMS_PCR_SELECTION: *any says whether a PCR is selected. */
static uint16_t selection(struct take *t, bool *any)
{
	uint16_t alg = (uint16_t)take(t, 2);
	uint32_t size = take(t, 1);
	const uint8_t *b;

	t->ok = t->ok && size <= PCR_SELECT_MAX;
	b = bytes(t, size);
	*any = false;
	for (uint32_t i = 0; b != NULL && i < size; i++) {
		*any = *any || b[i] != 0;
	}
	return alg;
}

bool tpm2_take_banks(const uint8_t *p, size_t n, struct tpm2_banks *out)
{
	struct take t = open(p, n, ST_NO_SESSIONS);
	uint32_t count;

	memset(out, 0, sizeof(*out));
	(void)take(&t, 1); /* more to come: there is one property */
	t.ok = take(&t, 4) == CAP_PCRS && t.ok;
	count = take(&t, 4);
	for (uint32_t i = 0; t.ok && i < count; i++) {
		bool any;
		uint16_t alg = selection(&t, &any);

		for (uint32_t k = 0; k < out->count; k++) {
			t.ok = t.ok && (out->alg[k] != alg || !any);
		}
		if (any && out->count < TPM2_BANK_MAX) {
			out->alg[out->count++] = alg;
		} else if (any) {
			t.ok = false;
		}
	}
	return done(&t);
}

static void digest(struct take *t, uint16_t alg, uint32_t size, struct tpm2_digests *out)
{
	const uint8_t *b = bytes(t, size);
	uint32_t i = out->count;

	for (uint32_t k = 0; k < i; k++) {
		t->ok = t->ok && out->bank[k].alg != alg;
	}
	if (!t->ok || size == 0 || size > sizeof(out->bank[0].bytes) || i >= TPM2_BANK_MAX) {
		t->ok = false;
		return;
	}
	out->bank[i].alg = alg;
	out->bank[i].size = (uint16_t)size;
	memcpy(out->bank[i].bytes, b, size);
	out->count++;
}

bool tpm2_take_pcr(const uint8_t *p, size_t n, uint16_t alg, struct tpm2_digests *out)
{
	struct take t = open(p, n, ST_NO_SESSIONS);
	bool any;

	memset(out, 0, sizeof(*out));
	(void)take(&t, 4); /* update counter */
	t.ok = take(&t, 4) == 1 && t.ok;
	t.ok = selection(&t, &any) == alg && any && t.ok;
	t.ok = take(&t, 4) == 1 && t.ok;
	digest(&t, alg, take(&t, 2), out);
	return done(&t);
}

bool tpm2_take_event(const uint8_t *p, size_t n, struct tpm2_digests *out)
{
	struct take t = open(p, n, ST_SESSIONS);
	uint32_t count, size = take(&t, 4);
	size_t start = t.at;

	memset(out, 0, sizeof(*out));
	count = take(&t, 4);
	for (uint32_t i = 0; t.ok && i < count; i++) {
		uint16_t alg = (uint16_t)take(&t, 2);

		digest(&t, alg, tcglog_digest_size(alg), out);
	}
	t.ok = t.ok && t.at - start == size;
	(void)take(&t, 2); /* the answer's authorization: nonce, attributes, none of a password */
	(void)take(&t, 1);
	(void)take(&t, 2);
	return done(&t);
}

bool tpm2_is_zero(const struct tpm2_digests *d)
{
	static const uint8_t zero[sizeof(d->bank[0].bytes)];

	for (uint32_t i = 0; i < d->count; i++) {
		if (memcmp(d->bank[i].bytes, zero, d->bank[i].size) != 0) {
			return false;
		}
	}
	return true;
}

bool tpm2_order(struct tpm2_digests *d, const struct tcglog *l)
{
	for (uint32_t i = 0; i < l->alg_count && i < d->count; i++) {
		for (uint32_t k = i + 1; k < d->count && d->bank[i].alg != l->alg[i].id; k++) {
			struct tpm2_digests one = { .count = 1, .bank = { d->bank[i] } };

			d->bank[i] = d->bank[k];
			d->bank[k] = one.bank[0];
		}
		if (d->bank[i].alg != l->alg[i].id || d->bank[i].size != l->alg[i].size) {
			return false;
		}
	}
	/* TPM2_PCR_Event hashes for every bank that the TPM can have; those behind are not active. */
	if (d->count < l->alg_count) {
		return false;
	}
	d->count = l->alg_count;
	return true;
}

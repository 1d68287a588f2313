/* SPDX-License-Identifier: MIT */
/*
 * Input: values for the writers: 0: kind, then the fields. Whatever the values, the strict readers take what is written
 * (or the writer says 0), and a buffer one byte too small is refused. Kinds from 0xf0 on are single items for a small buffer.
 */
#include <stdlib.h>
#include <string.h>

#include "attest/core/cose.h"
#include "attest/core/event.h"
#include "attest/core/token.h"
#include "fuzz/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fill(struct script *s, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		out[i] = (uint8_t)script_take(s, 1);
	}
}

static void event(struct script *s)
{
	static uint8_t text[ATTEST_TEXT_MAX], key[COSE_KEY_MAX];
	uint8_t out[ATTEST_EVENT_MAX];
	struct attest_event e, again;
	struct wire_fault why;
	size_t n;

	memset(&e, 0, sizeof(e));
	e.what = (enum attest_what)(1 + script_take(s, 1) % 8);
	e.bytes = script_take(s, (unsigned)script_take(s, 1) % 9);
	fill(s, e.digest, sizeof(e.digest));
	if (e.what == ATTEST_KEY) {
		e.bytes %= sizeof(key) + 1;
		fill(s, key, sizeof(key));
		e.key.at = key;
		e.key.n = (size_t)e.bytes;
		fill(s, e.seed, sizeof(e.seed));
	}
	if ((e.what == ATTEST_OPTIONS || e.what == ATTEST_CMDLINE) && e.bytes <= ATTEST_TEXT_MAX) {
		fill(s, text, sizeof(text));
		e.has_text = true;
		e.text.at = text;
		e.text.n = (size_t)e.bytes;
	}
	e.svn = e.what == ATTEST_HYPERVISOR ? script_take(s, 8) : 0;
	if (e.what == ATTEST_END) {
		e.bytes = 0;
	}
	n = attest_event_write(&e, out, sizeof(out));
	CHECK_FUZZ(n != 0 && attest_event_parse(out, n, &again, &why));
	CHECK_FUZZ(again.what == e.what && again.bytes == e.bytes && again.svn == e.svn);
	CHECK_FUZZ(again.has_text == e.has_text && again.text.n == e.text.n &&
		   again.key.n == e.key.n);
	CHECK_FUZZ(attest_event_write(&e, out, n - 1) == 0);
	CHECK_FUZZ(attest_event_write(&e, out, n % 8) == 0);
}

static void token(struct script *s)
{
	uint8_t payload[ATTEST_TOKEN_MAX], out[2 * ATTEST_TOKEN_MAX], header[COSE_PROTECTED_MAX];
	uint8_t bytes[COSE_SIGNATURE];
	struct attest_claims c, again;
	struct cose_sign1 m;
	struct wire_fault why;
	size_t n, h, whole;

	memset(&c, 0, sizeof(c));
	c.nonce_n = script_take(s, 1);
	fill(s, c.nonce, c.nonce_n < sizeof(c.nonce) ? c.nonce_n : sizeof(c.nonce));
	fill(s, c.instance, sizeof(c.instance));
	c.policy.version = 1;
	c.policy.flags = (uint32_t)script_take(s, 1) &
			 (ATTEST_POLICY_DEBUG | ATTEST_POLICY_ISOLATED);
	c.dbgstat = (c.policy.flags & ATTEST_POLICY_DEBUG) != 0 ? ATTEST_DBG_ENABLED
								: ATTEST_DBG_DISABLED;
	c.policy.svn = (uint32_t)script_take(s, 4);
	c.policy.memory_bytes = script_take(s, 8);
	c.svn = script_take(s, 8);
	c.origin = (uint32_t)script_take(s, 1) & 1;
	fill(s, c.launch, sizeof(c.launch));
	fill(s, bytes, sizeof(bytes));
	n = attest_claims_write(&c, payload, sizeof(payload));
	CHECK_FUZZ((n == 0) == (c.nonce_n < ATTEST_NONCE_MIN || c.nonce_n > ATTEST_NONCE_MAX));
	if (n == 0) {
		return;
	}
	CHECK_FUZZ(attest_claims_parse(payload, n, &again, &why) &&
		   memcmp(&c, &again, sizeof(c)) == 0);
	CHECK_FUZZ(attest_claims_write(&c, out, n - 1) == 0);
	h = cose_protected_write(bytes, header, sizeof(header));
	CHECK_FUZZ(h != 0 && cose_signed_write(header, h, payload, n, out, sizeof(out)) != 0);
	whole = cose_sign1_write(header, h, payload, n, bytes, out, sizeof(out));
	CHECK_FUZZ(whole != 0 && whole <= ATTEST_TOKEN_MAX &&
		   cose_sign1_parse(out, whole, &m, &why));
	CHECK_FUZZ(m.payload.n == n && memcmp(m.signature, bytes, sizeof(bytes)) == 0);
}

static void log_entry(struct script *s)
{
	uint8_t out[512];
	uint32_t count = (uint32_t)script_take(s, 1) % (TPM_BANKS_MAX + 1);
	struct tpm_digest *d = calloc(count != 0 ? count : 1, sizeof(*d)); /* no more of them */
	size_t n, size = script_take(s, 2) % sizeof(out);

	CHECK_FUZZ(d != NULL);
	for (uint32_t i = 0; i < count; i++) {
		d[i].alg = (uint16_t)script_take(s, 2);
		d[i].n = (uint16_t)script_take(s, 1);
		fill(s, d[i].bytes, sizeof(d[i].bytes));
	}
	n = log_entry_write(22, EV_EVENT_TAG, d, count, s->data, (uint32_t)s->size, out, size);
	CHECK_FUZZ(n <= size);
	free(d);
}

/* Nothing is written behind the first item that did not fit, and what fitted stays. */
static void items(struct script *s)
{
	uint8_t out[64], before[64];
	struct cbor_out o;

	memset(out, 0, sizeof(out));
	cbor_begin(&o, out, script_take(s, 1) % sizeof(out));
	for (unsigned i = 0; i < 8; i++) {
		bool full = o.full;
		size_t n = o.n;

		memcpy(before, out, sizeof(before));
		if (script_take(s, 1) % 2 == 0) {
			cbor_uint(&o, script_take(s, (unsigned)script_take(s, 1) % 9));
		} else {
			cbor_bytes(&o, before, script_take(s, 1) % sizeof(before));
		}
		CHECK_FUZZ(o.n <= o.size && memcmp(out, before, n) == 0);
		CHECK_FUZZ(!full || (o.full && o.n == n && memcmp(out, before, sizeof(out)) == 0));
		CHECK_FUZZ(cbor_end(&o) == (o.full ? 0 : o.n));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 0 };
	unsigned kind = (unsigned)script_take(&s, 1);

	if (kind >= 0xf0) {
		items(&s);
		return 0;
	}
	switch (kind % 3) {
	case 0:
		event(&s);
		break;
	case 1:
		token(&s);
		break;
	default:
		log_entry(&s);
	}
	return 0;
}

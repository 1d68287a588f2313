/* SPDX-License-Identifier: MIT */
/* The file that carries a report, written. */
#include "attest/core/bundle.h"

static void part(struct cbor_out *o, uint64_t key, const struct span *s)
{
	cbor_uint(o, key);
	cbor_bytes(o, s->at, s->n);
}

static void platform(struct cbor_out *o, const struct attest_bundle *b)
{
	cbor_uint(o, 3);
	cbor_map(o, b->certs != 0 ? 6 : 5);
	part(o, 1, &b->attest);
	part(o, 2, &b->signature);
	part(o, 3, &b->ak);
	cbor_uint(o, 4);
	cbor_array(o, b->pcrs.count);
	for (uint32_t i = 0; i < b->pcrs.count; i++) {
		cbor_array(o, 3);
		cbor_uint(o, b->pcrs.at[i].bank);
		cbor_uint(o, b->pcrs.at[i].index);
		cbor_bytes(o, b->pcrs.at[i].bytes, b->pcrs.at[i].n);
	}
	part(o, 5, &b->log);
	if (b->certs != 0) {
		cbor_uint(o, 6);
		cbor_array(o, b->certs);
		for (uint32_t i = 0; i < b->certs; i++) {
			cbor_bytes(o, b->cert[i].at, b->cert[i].n);
		}
	}
}

size_t attest_bundle_write(const struct attest_bundle *b, uint8_t *out, size_t size)
{
	static const char profile[] = ATTEST_PROFILE_BUNDLE;
	struct cbor_out o;

	cbor_begin(&o, out, size);
	cbor_map(&o, 1u + (b->token.n != 0 ? 1 : 0) + (b->attestable ? 2 : 1));
	cbor_uint(&o, 1);
	cbor_text(&o, profile, sizeof(profile) - 1);
	if (b->token.n != 0) {
		part(&o, 2, &b->token);
	}
	if (!b->attestable) {
		cbor_uint(&o, 5);
		cbor_array(&o, 2);
		cbor_uint(&o, b->reason);
		cbor_text(&o, (const char *)b->reason_text.at, b->reason_text.n);
		return cbor_end(&o);
	}
	platform(&o, b);
	cbor_uint(&o, 4);
	cbor_map(&o, 2);
	part(&o, 1, &b->key);
	cbor_uint(&o, 2);
	cbor_bytes(&o, b->seed, sizeof(b->seed));
	return cbor_end(&o);
}

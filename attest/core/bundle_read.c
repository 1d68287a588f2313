/* SPDX-License-Identifier: MIT */
/* The file that carries a report, read; and the order of Redoubt's own events. */
#include "attest/core/bundle.h"
#include "hv/wire/fault.h"
#include "hv/wire/mem.h"

#define WHAT "bundle"
#define REMEDY "the sender must follow docs/attestation.md, section 5"

/* A part that is not empty. */
static void part(struct cbor_in *in, int64_t key, struct span *out)
{
	cbor_need_int(in, key);
	*out = cbor_take_bytes(in);
	if (out->n == 0) {
		in->bad = true;
	}
}

static bool pcrs(struct cbor_in *in, struct tpm_pcrs *out)
{
	uint64_t count;

	cbor_need_int(in, 4);
	count = cbor_take_array(in);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t bank, index;
		struct span digest;

		cbor_need_array(in, 3);
		bank = cbor_take_uint(in);
		index = cbor_take_uint(in);
		digest = cbor_take_bytes(in);
		if (bank > 0xffff ||
		    !tpm_pcrs_add(out, (uint16_t)bank, index, digest.at, digest.n)) {
			return false;
		}
	}
	return count != 0;
}

/* NULL, or what is wrong. */
static const char *platform(struct cbor_in *in, struct attest_bundle *b)
{
	uint64_t pairs, count;

	cbor_need_int(in, 3);
	pairs = cbor_take_map(in);
	if (pairs != 5 && pairs != 6) {
		return "platform (3) is not a map of 5 or 6 entries";
	}
	part(in, 1, &b->attest);
	part(in, 2, &b->signature);
	part(in, 3, &b->ak);
	if (in->bad) {
		return "attest, signature or key (3: 1, 2, 3) is missing";
	}
	if (!pcrs(in, &b->pcrs)) {
		return "PCR values (3: 4) are malformed";
	}
	part(in, 5, &b->log);
	if (in->bad) {
		return "event log (3: 5) is missing";
	}
	if (pairs == 5) {
		return NULL;
	}
	cbor_need_int(in, 6);
	count = cbor_take_array(in);
	if (count == 0 || count > ATTEST_CERTS_MAX) {
		return "certificates (3: 6) are not 1 to 4";
	}
	for (b->certs = 0; b->certs < count; b->certs++) {
		b->cert[b->certs] = cbor_take_bytes(in);
		if (b->cert[b->certs].n == 0) {
			return "a certificate is not a byte string";
		}
	}
	return NULL;
}

static void report_key(struct cbor_in *in, struct attest_bundle *b)
{
	cbor_need_int(in, 4);
	cbor_need_map(in, 2);
	part(in, 1, &b->key);
	cbor_need_int(in, 2);
	cbor_need_bytes(in, b->seed, sizeof(b->seed));
}

static void not_attestable(struct cbor_in *in, struct attest_bundle *b)
{
	cbor_need_int(in, 5);
	cbor_need_array(in, 2);
	b->reason = cbor_take_uint(in);
	b->reason_text = cbor_take_text(in);
}

bool attest_bundle_parse(const uint8_t *bytes, size_t n, struct attest_bundle *b,
			 struct wire_fault *why)
{
	static const char profile[] = ATTEST_PROFILE_BUNDLE;
	struct cbor_in in;
	const char *bad;
	struct span s;
	uint64_t pairs;

	memset(b, 0, sizeof(*b));
	if (n > ATTEST_BUNDLE_MAX) {
		return wire_fail(why, WHAT, "above 1 MiB", REMEDY, n);
	}
	if (!cbor_check(bytes, n, why)) {
		return false;
	}
	cbor_open(&in, bytes, n);
	pairs = cbor_take_map(&in);
	if (pairs < 2 || pairs > 4) {
		return wire_fail(why, WHAT, "not a map of 2 to 4 entries", REMEDY, n);
	}
	cbor_need_int(&in, 1);
	s = cbor_take_text(&in);
	if (s.n != sizeof(profile) - 1 || memcmp(s.at, profile, s.n) != 0) {
		return wire_fail(why, WHAT, "profile (1) is not " ATTEST_PROFILE_BUNDLE, REMEDY,
				 in.pos);
	}
	pairs--;
	/* Each key below 24 is one byte. */
	if (in.pos < n && bytes[in.pos] == 2) {
		part(&in, 2, &b->token);
		pairs--;
	}
	if (in.bad) {
		return wire_fail(why, WHAT, "VM token (2) is not a byte string", REMEDY, in.pos);
	}
	if (pairs == 1) {
		not_attestable(&in, b);
		if (b->reason == ATTEST_OK || !cbor_done(&in)) {
			return wire_fail(why, WHAT,
					 "neither platform (3) and key (4) nor a reason (5)",
					 REMEDY, in.pos);
		}
		return true;
	}
	b->attestable = true;
	bad = pairs != 2 ? "entries that do not belong together" : platform(&in, b);
	if (bad != NULL) {
		return wire_fail(why, WHAT, bad, REMEDY, in.pos);
	}
	report_key(&in, b);
	if (!cbor_done(&in)) {
		return wire_fail(why, WHAT, "key (4) is not {1: COSE_Key, 2: bootseed}", REMEDY,
				 in.pos);
	}
	return true;
}

const char *attest_boot_event(struct attest_boot *b, const struct log_event *e,
			      struct wire_fault *why)
{
	struct attest_event next;

	if (e->type != EV_EVENT_TAG) {
		return "something else than Redoubt's events extends PCR 22";
	}
	if (!attest_event_parse(e->data.at, e->data.n, &next, why)) {
		return "an event of PCR 22 is malformed";
	}
	if (next.what <= b->last) {
		return "events of PCR 22 out of order, twice, or after the end";
	}
	b->event[next.what] = next;
	b->last = next.what;
	return NULL;
}

const char *attest_boot_end(const struct attest_boot *b)
{
	static const uint8_t needed[] = { ATTEST_HYPERVISOR, ATTEST_OPTIONS, ATTEST_KERNEL,
					  ATTEST_CMDLINE,    ATTEST_KEY,     ATTEST_END };

	for (size_t i = 0; i < sizeof(needed); i++) {
		if (b->event[needed[i]].what == 0) {
			return b->last == 0 ? "no event of Redoubt in PCR 22"
					    : "an event of Redoubt is missing";
		}
	}
	return NULL;
}

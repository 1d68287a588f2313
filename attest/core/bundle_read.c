/* SPDX-License-Identifier: MIT */
/* The file that carries a report, read; and the order of Redoubt's own events. */
#include "attest/core/bundle.h"
#include "hv/wire/fault.h"
#include "hv/wire/mem.h"

#define WHAT "bundle"
#define REMEDY "the sender must follow docs/attestation.md, section 5"

static bool key_is(struct cbor_in *in, uint64_t want)
{
	uint64_t key;

	return cbor_take_uint(in, &key) && key == want;
}

static bool part(struct cbor_in *in, uint64_t key, struct span *out)
{
	return key_is(in, key) && cbor_take_bytes(in, out) && out->n != 0;
}

static bool pcrs(struct cbor_in *in, struct tpm_pcrs *out)
{
	uint64_t count, items, bank, index;
	struct span digest;

	if (!key_is(in, 4) || !cbor_take_array(in, &count) || count == 0 ||
	    count > TPM_PCR_VALUES_MAX) {
		return false;
	}
	for (uint64_t i = 0; i < count; i++) {
		if (!cbor_take_array(in, &items) || items != 3 || !cbor_take_uint(in, &bank) ||
		    bank > 0xffff || !cbor_take_uint(in, &index) || index >= TPM_PCRS ||
		    !cbor_take_bytes(in, &digest) ||
		    !tpm_pcrs_add(out, (uint16_t)bank, (uint16_t)index, digest.at, digest.n)) {
			return false;
		}
	}
	return true;
}

static bool platform(struct cbor_in *in, struct attest_bundle *b, struct wire_fault *why)
{
	uint64_t pairs, count;

	if (!key_is(in, 3) || !cbor_take_map(in, &pairs) || (pairs != 5 && pairs != 6)) {
		return wire_fail(why, WHAT, "platform (3) is not a map of 5 or 6 entries", REMEDY,
				 in->pos);
	}
	if (!part(in, 1, &b->attest) || !part(in, 2, &b->signature) || !part(in, 3, &b->ak)) {
		return wire_fail(why, WHAT, "attest, signature or key (3: 1, 2, 3) is missing",
				 REMEDY, in->pos);
	}
	if (!pcrs(in, &b->pcrs)) {
		return wire_fail(why, WHAT, "PCR values (3: 4) are malformed", REMEDY, in->pos);
	}
	if (!part(in, 5, &b->log)) {
		return wire_fail(why, WHAT, "event log (3: 5) is missing", REMEDY, in->pos);
	}
	if (pairs == 5) {
		return true;
	}
	if (!key_is(in, 6) || !cbor_take_array(in, &count) || count == 0 ||
	    count > ATTEST_CERTS_MAX) {
		return wire_fail(why, WHAT, "certificates (3: 6) are not 1 to 4", REMEDY, in->pos);
	}
	for (b->certs = 0; b->certs < count; b->certs++) {
		if (!cbor_take_bytes(in, &b->cert[b->certs]) || b->cert[b->certs].n == 0) {
			return wire_fail(why, WHAT, "a certificate is not a byte string", REMEDY,
					 in->pos);
		}
	}
	return true;
}

static bool report_key(struct cbor_in *in, struct attest_bundle *b)
{
	uint64_t pairs;
	struct span seed;

	if (!key_is(in, 4) || !cbor_take_map(in, &pairs) || pairs != 2 || !part(in, 1, &b->key) ||
	    !part(in, 2, &seed) || seed.n != ATTEST_SEED) {
		return false;
	}
	memcpy(b->seed, seed.at, seed.n);
	return true;
}

static bool not_attestable(struct cbor_in *in, struct attest_bundle *b)
{
	uint64_t items;

	return key_is(in, 5) && cbor_take_array(in, &items) && items == 2 &&
	       cbor_take_uint(in, &b->reason) && b->reason != ATTEST_OK &&
	       cbor_take_text(in, &b->reason_text);
}

bool attest_bundle_parse(const uint8_t *bytes, size_t n, struct attest_bundle *b,
			 struct wire_fault *why)
{
	static const char profile[] = ATTEST_PROFILE_BUNDLE;
	struct cbor_in in;
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
	if (!cbor_take_map(&in, &pairs) || pairs < 2 || pairs > 4) {
		return wire_fail(why, WHAT, "not a map of 2 to 4 entries", REMEDY, n);
	}
	if (!key_is(&in, 1) || !cbor_take_text(&in, &s) || s.n != sizeof(profile) - 1 ||
	    memcmp(s.at, profile, s.n) != 0) {
		return wire_fail(why, WHAT, "profile (1) is not " ATTEST_PROFILE_BUNDLE, REMEDY,
				 in.pos);
	}
	pairs--;
	/* Each key below 24 is one byte. */
	if (in.pos < n && bytes[in.pos] == 2) {
		if (!part(&in, 2, &b->token)) {
			return wire_fail(why, WHAT, "VM token (2) is not a byte string", REMEDY,
					 in.pos);
		}
		pairs--;
	}
	if (pairs == 1) {
		if (!not_attestable(&in, b) || !cbor_done(&in)) {
			return wire_fail(why, WHAT,
					 "neither platform (3) and key (4) nor a reason (5)",
					 REMEDY, in.pos);
		}
		return true;
	}
	b->attestable = true;
	if (pairs != 2 || !platform(&in, b, why)) {
		return pairs == 2 ? false
				  : wire_fail(why, WHAT, "entries that do not belong together",
					      REMEDY, pairs);
	}
	if (!report_key(&in, b) || !cbor_done(&in)) {
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

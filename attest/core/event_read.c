/* SPDX-License-Identifier: MIT */
/* Redoubt's own events of PCR 22, read: exactly what the writer writes. */
#include "attest/core/event.h"
#include "hv/wire/fault.h"
#include "hv/wire/mem.h"

#define WHAT "event of PCR 22"
#define REMEDY "the log is not one that Redoubt writes: docs/attestation.md, section 1"

/* Fields that an event may have: bit n for key n of the map. */
static uint32_t fields(enum attest_what what, bool text)
{
	switch (what) {
	case ATTEST_HYPERVISOR:
		return 1u << 1 | 1u << 2 | 1u << 3 | 1u << 7;
	case ATTEST_OPTIONS:
	case ATTEST_CMDLINE:
		return 1u << 1 | 1u << 2 | 1u << 3 | (text ? 1u << 4 : 0);
	case ATTEST_KERNEL:
	case ATTEST_INITRD:
	case ATTEST_VTL1:
		return 1u << 1 | 1u << 2 | 1u << 3;
	case ATTEST_KEY:
		return 1u << 1 | 1u << 2 | 1u << 3 | 1u << 5 | 1u << 6;
	case ATTEST_END:
		return 1u << 1;
	default:
		return 0;
	}
}

/* The value behind key 1 to 7. */
static bool field(struct cbor_in *in, uint64_t key, struct attest_event *e)
{
	uint64_t what;

	switch (key) {
	case 1:
		what = cbor_take_uint(in);
		if (what < ATTEST_HYPERVISOR || what > ATTEST_END) {
			return false;
		}
		e->what = (enum attest_what)what;
		break;
	case 2:
		cbor_need_bytes(in, e->digest, sizeof(e->digest));
		break;
	case 3:
		e->bytes = cbor_take_uint(in);
		break;
	case 4:
		e->has_text = true;
		e->text = cbor_take_bytes(in);
		break;
	case 5:
		e->key = cbor_take_bytes(in);
		break;
	case 6:
		cbor_need_bytes(in, e->seed, sizeof(e->seed));
		break;
	case 7:
		e->svn = cbor_take_uint(in);
		break;
	default:
		return false;
	}
	return !in->bad;
}

static bool body_parse(const uint8_t *bytes, size_t n, struct attest_event *e,
		       struct wire_fault *why)
{
	struct cbor_in in;
	uint64_t pairs;
	uint32_t seen = 0;

	if (!cbor_check(bytes, n, why)) {
		return false;
	}
	cbor_open(&in, bytes, n);
	pairs = cbor_take_map(&in);
	if (pairs == 0) {
		return wire_fail(why, WHAT, "body is not a map of fields", REMEDY, n);
	}
	for (uint64_t i = 0; i < pairs; i++) {
		uint64_t key = cbor_take_uint(&in);

		if (!field(&in, key, e)) {
			return wire_fail(why, WHAT, "a field is unknown or malformed", REMEDY,
					 in.pos);
		}
		seen |= 1u << key;
	}
	if (seen != fields(e->what, e->bytes <= ATTEST_TEXT_MAX)) {
		return wire_fail(why, WHAT, "its fields are not those of its kind", REMEDY, seen);
	}
	if (e->has_text && e->text.n != e->bytes) {
		return wire_fail(why, WHAT, "text is not as long as it says", REMEDY, e->bytes);
	}
	if (e->what == ATTEST_KEY && e->key.n != e->bytes) {
		return wire_fail(why, WHAT, "key is not as long as it says", REMEDY, e->bytes);
	}
	return true;
}

bool attest_event_parse(const uint8_t *bytes, size_t n, struct attest_event *e,
			struct wire_fault *why)
{
	memset(e, 0, sizeof(*e));
	if (n < 8 || n > ATTEST_EVENT_MAX) {
		return wire_fail(why, WHAT, "its length", REMEDY, n);
	}
	if (le32(bytes) != ATTEST_EVENT_TAG) {
		return wire_fail(why, WHAT, "its tag is not 0x52440001", REMEDY, le32(bytes));
	}
	if (le32(bytes + 4) != n - 8) {
		return wire_fail(why, WHAT, "its size is not that of its body", REMEDY,
				 le32(bytes + 4));
	}
	return body_parse(bytes + 8, n - 8, e, why);
}

/* SPDX-License-Identifier: MIT */
/*
 * Input: one CBOR item. What the strict reader accepts, the writer writes again byte for byte. The takers stay inside the input, take
 * deterministic heads only, and a cursor that is bad gives nothing, whether cbor_check() takes the input or not.
 */
#include <stdlib.h>
#include <string.h>

#include "attest/core/cbor.h"
#include "fuzz/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WRONG_MOST 2u /* items that are taken for something else first */

static uint64_t take_number(struct cbor_in *in, unsigned int major)
{
	switch (major) {
	case 0:
		return cbor_take_uint(in);
	case 1:
		return (uint64_t)cbor_take_int(in);
	case 2:
		return cbor_take_bytes(in).n;
	case 3:
		return cbor_take_text(in).n;
	case 4:
		return cbor_take_array(in);
	case 5:
		return cbor_take_map(in);
	default:
		return cbor_take_tag(in);
	}
}

/* It stays where it is, and nobody gets anything, not even from an item that is right. */
static void stays_bad(struct cbor_in *in)
{
	uint8_t out[2] = { 1, 1 };
	size_t pos = in->pos;

	CHECK_FUZZ(in->bad && !cbor_done(in));
	for (unsigned int major = 0; major <= 6; major++) {
		CHECK_FUZZ(take_number(in, major) == 0 && in->bad && in->pos == pos);
	}
	cbor_need_int(in, 0);
	cbor_need_map(in, 0);
	cbor_need_array(in, 0);
	cbor_need_bytes(in, out, sizeof(out));
	CHECK_FUZZ(in->bad && in->pos == pos && out[0] == 0 && out[1] == 0);
}

/* The item before it is taken for what it is: of another type, or an integer of either sign. */
static void look(const struct cbor_in *now, unsigned int major)
{
	struct cbor_in in = *now, same = *now;
	uint64_t n;

	(void)take_number(&in, (major + 2) % 7);
	CHECK_FUZZ(in.pos == now->pos);
	stays_bad(&in);
	in = *now;
	n = take_number(&in, major);
	if (major == 4 || major == 5) {
		(major == 4 ? cbor_need_array : cbor_need_map)(&same, n + 1);
		CHECK_FUZZ(same.bad);
	}
	if (major == 0) {
		CHECK_FUZZ((uint64_t)cbor_take_int(&same) == (n > INT64_MAX ? 0 : n));
		CHECK_FUZZ(same.bad == (in.bad || n > INT64_MAX));
		same = *now;
		cbor_need_int(&same, (int64_t)(n + 1));
		CHECK_FUZZ(same.bad);
	}
}

static void again_string(struct cbor_in *in, struct cbor_out *o, bool text)
{
	struct span s = text ? cbor_take_text(in) : cbor_take_bytes(in);

	CHECK_FUZZ(s.at >= in->at && s.n <= in->size && s.at + s.n <= in->at + in->size);
	if (text) {
		cbor_text(o, (const char *)s.at, s.n);
	} else {
		cbor_bytes(o, s.at, s.n);
	}
}

/* Takes and writes the items one by one: heads say how many follow, so no nesting is needed. False: the cursor turned bad. */
static bool again(const uint8_t *data, size_t size, struct cbor_out *o, unsigned int wrong)
{
	struct cbor_in in;

	cbor_open(&in, data, size);
	for (unsigned int items = 0; !cbor_done(&in); items++) {
		size_t pos = in.pos;
		unsigned int major = pos < size ? data[pos] >> 5 : 7;

		if (items < wrong) {
			look(&in, major);
		}
		switch (major) {
		case 0:
			cbor_uint(o, cbor_take_uint(&in));
			break;
		case 1:
			cbor_int(o, cbor_take_int(&in));
			break;
		case 2:
		case 3:
			again_string(&in, o, major == 3);
			break;
		case 4:
			cbor_array(o, cbor_take_array(&in));
			break;
		case 5:
			cbor_map(o, cbor_take_map(&in));
			break;
		default:
			cbor_tag(o, cbor_take_tag(&in));
		}
		CHECK_FUZZ(in.pos <= size);
		if (in.bad) {
			stays_bad(&in);
			return false;
		}
		CHECK_FUZZ(in.pos > pos);
	}
	return true;
}

/* The one item that the encoding allows, and the takers do not: an integer below INT64_MIN. */
static bool below(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i + 1 < size; i++) {
		if (data[i] == 0x3b && data[i + 1] >= 0x80) {
			return true;
		}
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_fault why = { NULL, NULL, NULL, 0 };
	uint8_t *out = malloc(size + 1);
	struct cbor_out o;
	bool taken;

	if (out == NULL) {
		return 0;
	}
	cbor_begin(&o, out, size);
	taken = again(data, size, &o, WRONG_MOST);
	if (taken) {
		CHECK_FUZZ(cbor_end(&o) == size && memcmp(out, data, size) == 0);
	}
	if (cbor_check(data, size, &why)) {
		CHECK_FUZZ(why.what == NULL && size != 0 && (taken || below(data, size)));
		cbor_begin(&o, out, size - 1);
		CHECK_FUZZ(!again(data, size, &o, 0) || cbor_end(&o) == 0);
	} else {
		CHECK_FUZZ(why.what != NULL && why.field != NULL && why.remedy != NULL &&
			   why.value <= size);
	}
	free(out);
	return 0;
}

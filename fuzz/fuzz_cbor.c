/* SPDX-License-Identifier: MIT */
/* Input: one CBOR item. What the strict reader accepts, the writer writes again byte for byte. */
#include <stdlib.h>
#include <string.h>

#include "attest/core/cbor.h"
#include "fuzz/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes and writes the items one by one: heads say how many follow, so no nesting is needed. */
static void again(const uint8_t *data, size_t size, struct cbor_out *o)
{
	struct cbor_in in;
	struct span s;
	uint64_t n;
	int64_t i;

	cbor_open(&in, data, size);
	while (!cbor_done(&in)) {
		CHECK_FUZZ(!in.bad);
		switch (data[in.pos] >> 5) {
		case 0:
			CHECK_FUZZ(cbor_take_uint(&in, &n));
			cbor_uint(o, n);
			break;
		case 1:
			if (!cbor_take_int(&in, &i)) {
				o->full =
					true; /* below INT64_MIN: allowed by the encoding, not by the taker */
				return;
			}
			cbor_int(o, i);
			break;
		case 2:
			CHECK_FUZZ(cbor_take_bytes(&in, &s));
			cbor_bytes(o, s.at, s.n);
			break;
		case 3:
			CHECK_FUZZ(cbor_take_text(&in, &s));
			cbor_text(o, (const char *)s.at, s.n);
			break;
		case 4:
			CHECK_FUZZ(cbor_take_array(&in, &n));
			cbor_array(o, n);
			break;
		case 5:
			CHECK_FUZZ(cbor_take_map(&in, &n));
			cbor_map(o, n);
			break;
		default:
			CHECK_FUZZ(cbor_take_tag(&in, &n));
			cbor_tag(o, n);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_fault why = { NULL, NULL, NULL, 0 };
	struct cbor_out o;
	uint8_t *out = malloc(size + 1);

	if (out == NULL) {
		return 0;
	}
	if (cbor_check(data, size, &why)) {
		CHECK_FUZZ(why.what == NULL && size != 0);
		cbor_begin(&o, out, size);
		again(data, size, &o);
		if (!o.full) {
			CHECK_FUZZ(cbor_end(&o) == size && memcmp(out, data, size) == 0);
			cbor_begin(&o, out, size - 1);
			again(data, size, &o);
			CHECK_FUZZ(cbor_end(&o) == 0);
		}
	} else {
		CHECK_FUZZ(why.what != NULL && why.field != NULL && why.remedy != NULL &&
			   why.value <= size);
	}
	free(out);
	return 0;
}

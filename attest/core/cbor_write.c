/* SPDX-License-Identifier: MIT */
/* Deterministic CBOR, written into a buffer of the caller. RFC 8949 section 3. */
#include "attest/core/cbor.h"
#include "hv/wire/mem.h"

void cbor_begin(struct cbor_out *o, void *out, size_t size)
{
	o->at = out;
	o->size = size;
	o->n = 0;
	o->full = false;
}

static void append(struct cbor_out *o, const void *bytes, size_t n)
{
	if (o->full || n > o->size - o->n) {
		o->full = true;
		return;
	}
	if (n != 0) {
		memcpy(o->at + o->n, bytes, n);
		o->n += n;
	}
}

/* The shortest head: major type and argument. */
static void head(struct cbor_out *o, unsigned int major, uint64_t value)
{
	uint8_t bytes[9];
	unsigned int extra = value < 24            ? 0
			     : value <= 0xff       ? 1
			     : value <= 0xffff     ? 2
			     : value <= 0xffffffff ? 4
						   : 8;
	unsigned int info = extra == 0   ? (unsigned int)value
			    : extra == 1 ? 24
			    : extra == 2 ? 25
			    : extra == 4 ? 26
					 : 27;

	bytes[0] = (uint8_t)(major << 5 | info);
	for (unsigned int i = 0; i < extra; i++) {
		bytes[1 + i] = (uint8_t)(value >> (8 * (extra - 1 - i)));
	}
	append(o, bytes, 1 + extra);
}

void cbor_uint(struct cbor_out *o, uint64_t value)
{
	head(o, 0, value);
}

void cbor_int(struct cbor_out *o, int64_t value)
{
	if (value < 0) {
		head(o, 1, ~(uint64_t)value);
	} else {
		head(o, 0, (uint64_t)value);
	}
}

void cbor_bytes(struct cbor_out *o, const void *bytes, size_t n)
{
	head(o, 2, n);
	append(o, bytes, n);
}

void cbor_text(struct cbor_out *o, const char *text, size_t n)
{
	head(o, 3, n);
	append(o, text, n);
}

void cbor_array(struct cbor_out *o, size_t items)
{
	head(o, 4, items);
}

void cbor_map(struct cbor_out *o, size_t pairs)
{
	head(o, 5, pairs);
}

void cbor_tag(struct cbor_out *o, uint64_t tag)
{
	head(o, 6, tag);
}

size_t cbor_end(const struct cbor_out *o)
{
	return o->full ? 0 : o->n;
}

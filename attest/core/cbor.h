/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_CORE_CBOR_H
#define ATTEST_CORE_CBOR_H
/*
 * Deterministic CBOR (RFC 8949 section 4.2.1): a writer into the caller's buffer and a strict reader. Integers, byte
 * strings, UTF-8 text, arrays, maps and tags; no indefinite lengths, floats or simple values.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/wire/view.h"

/*
 * Writer. Each call appends one item; array, map and tag announce items that the caller appends next, and the caller
 * appends a map's keys in bytewise order of their encodings (0, 1, .., 23, 24, .., -1, -2, ..: shorter first).
 * Once something does not fit, nothing more is written and cbor_end() says so. out == NULL with size 0 is allowed.
 */
struct cbor_out {
	uint8_t *at;
	size_t size;
	size_t n;
	bool full;
};

void cbor_begin(struct cbor_out *o, void *out, size_t size);
void cbor_uint(struct cbor_out *o, uint64_t value);
void cbor_int(struct cbor_out *o, int64_t value);
void cbor_bytes(struct cbor_out *o, const void *bytes, size_t n);
/* text: n bytes of UTF-8, which the caller answers for. */
void cbor_text(struct cbor_out *o, const char *text, size_t n);
void cbor_array(struct cbor_out *o, size_t items);
void cbor_map(struct cbor_out *o, size_t pairs);
void cbor_tag(struct cbor_out *o, uint64_t tag);
/* Bytes written, or 0 where the buffer was too small. */
size_t cbor_end(const struct cbor_out *o);

/*
 * Reader. The bytes are hostile, but nobody changes them meanwhile (the caller owns a copy). cbor_check() judges a whole
 * encoding: one item, nothing behind it, deterministic, nested at most ATTEST_DEPTH_MAX deep (arrays, maps and tags
 * count). Then the takers walk it.
 */
bool cbor_check(const uint8_t *bytes, size_t n, struct wire_fault *why);

struct cbor_in {
	const uint8_t *at;
	size_t size;
	size_t pos;
	bool bad;
};

/* Bytes inside the input. */
struct span {
	const uint8_t *at;
	size_t n;
};

/*
 * Takers. The cursor keeps its first failure: where the next item is of another type, and from then on, each gives 0 or a span of no
 * bytes, the cursor stays where it is, and `bad` says so. So a caller takes all items of a structure and looks at `bad` once, or
 * at cbor_done() at the end. They stay inside the input also where cbor_check() refused it.
 */
void cbor_open(struct cbor_in *in, const uint8_t *bytes, size_t n);
uint64_t cbor_take_uint(struct cbor_in *in);
/* Bad also for integers outside int64_t. */
int64_t cbor_take_int(struct cbor_in *in);
struct span cbor_take_bytes(struct cbor_in *in);
struct span cbor_take_text(struct cbor_in *in);
uint64_t cbor_take_array(struct cbor_in *in);
uint64_t cbor_take_map(struct cbor_in *in);
uint64_t cbor_take_tag(struct cbor_in *in);
/* The next item is this integer (a map's key), an array or map of so many, a byte string of n bytes; bad otherwise, and out all zero. */
void cbor_need_int(struct cbor_in *in, int64_t value);
void cbor_need_array(struct cbor_in *in, uint64_t items);
void cbor_need_map(struct cbor_in *in, uint64_t pairs);
void cbor_need_bytes(struct cbor_in *in, uint8_t *out, size_t n);
/* True where all was taken and nothing was refused. */
bool cbor_done(const struct cbor_in *in);

#endif

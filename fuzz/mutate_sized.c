// SPDX-License-Identifier: MIT
/*
 * Mutation of formats with sizes, counts and offsets: a byte string and its length, a list and its count change together, which two
 * independent mutations seldom do. It knows no format: any number of 1 to 8 bytes, in either byte order, or the low bits of a CBOR
 * head may be a size, and a chance of one in four is given to such guesses; the rest is the engine's own.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

struct edit {
	uint8_t *data;
	size_t size, max;
	uint64_t random;
};

/* A number in the input: CBOR's short heads have five bits of their one byte. */
struct field {
	size_t at;
	unsigned width;
	bool big, head;
};

static uint64_t any(struct edit *e, uint64_t below)
{
	e->random ^= e->random << 13;
	e->random ^= e->random >> 7;
	e->random ^= e->random << 17;
	return below != 0 ? (e->random >> 12) % below : 0;
}

static uint64_t get(const struct edit *e, const struct field *f)
{
	uint64_t v = 0;

	if (f->head) {
		return e->data[f->at] & 0x1f;
	}
	for (unsigned i = 0; i < f->width; i++) {
		v |= (uint64_t)e->data[f->big ? f->at + f->width - 1 - i : f->at + i] << (8 * i);
	}
	return v;
}

static void put(struct edit *e, const struct field *f, uint64_t v)
{
	if (f->head) {
		e->data[f->at] = (uint8_t)((e->data[f->at] & 0xe0) | (v & 0x1f));
		return;
	}
	for (unsigned i = 0; i < f->width; i++) {
		e->data[f->big ? f->at + f->width - 1 - i : f->at + i] = (uint8_t)(v >> (8 * i));
	}
}

/* A number that may say how much of the rest there is: it is not 0, and no more than there is. */
static bool find(struct edit *e, struct field *f)
{
	static const unsigned widths[] = { 1, 1, 2, 2, 4, 4, 8 };

	for (unsigned tries = 0; tries < 24 && e->size != 0; tries++) {
		uint64_t v;

		f->head = any(e, 4) == 0;
		f->width = f->head ? 1 : widths[any(e, sizeof(widths) / sizeof(widths[0]))];
		f->big = any(e, 2) == 0;
		f->at = any(e, e->size);
		if (f->width > e->size - f->at) {
			continue;
		}
		v = get(e, f);
		if (v != 0 && v <= e->size) {
			return true;
		}
	}
	return false;
}

/* Room for n bytes at `at`; false: there is none. */
static bool open_at(struct edit *e, size_t at, size_t n)
{
	if (n > e->max - e->size) {
		return false;
	}
	memmove(e->data + at + n, e->data + at, e->size - at);
	e->size += n;
	return true;
}

static void close_at(struct edit *e, size_t at, size_t n)
{
	memmove(e->data + at, e->data + at + n, e->size - at - n);
	e->size -= n;
}

#define AROUND_MAX 8u

/* Numbers before this one that count up to the same end: what is around a part is as much longer as the part is. */
static unsigned around(const struct edit *e, const struct field *f, size_t end, struct field *found)
{
	static const struct field kinds[] = { { 0, 1, false, false },
					      { 0, 2, true, false },
					      { 0, 2, false, false },
					      { 0, 4, true, false },
					      { 0, 4, false, false } };
	unsigned count = 0;

	for (size_t at = 0; at < f->at; at++) {
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]) && count < AROUND_MAX;
		     k++) {
			struct field one = kinds[k];

			one.at = at;
			if (at + one.width <= f->at && get(e, &one) == end - at - one.width) {
				found[count++] = one;
			}
		}
	}
	return count;
}

/* What the number counts becomes longer or shorter by a few bytes, at its end or at its beginning, and the number says so. */
static void resize(struct edit *e, const struct field *f)
{
	size_t begin = f->at + f->width, n = 1 + any(e, any(e, 3) == 0 ? 40 : 4), at;
	struct field other[AROUND_MAX];
	uint64_t v = get(e, f);
	unsigned others;

	if (v > e->size - begin) {
		begin = f->at; /* a size that counts itself */
	}
	if (v > e->size - begin) {
		return;
	}
	at = any(e, 3) == 0 && begin != f->at ? begin : begin + v;
	others = any(e, 4) != 0 ? around(e, f, begin + v, other) : 0;
	if (any(e, 2) == 0) {
		if (n < v && at + n <= e->size) {
			at = at >= begin + n && at != begin ? at - n : begin;
			close_at(e, at, n);
			put(e, f, v - n);
			for (unsigned i = 0; i < others; i++) {
				put(e, &other[i], get(e, &other[i]) - n);
			}
		}
		return;
	}
	if (open_at(e, at, n)) {
		for (size_t i = 0; i < n; i++) {
			e->data[at + i] = any(e, 2) == 0 ? (uint8_t)any(e, 256)
							 : e->data[at != 0 ? at - 1 : 0];
		}
		put(e, f, v + n);
		for (unsigned i = 0; i < others; i++) {
			put(e, &other[i], get(e, &other[i]) + n);
		}
	}
}

/* A block behind the number is there once more, or is gone, and the number counts one item, or the block's bytes. */
static void repeat(struct edit *e, const struct field *f)
{
	size_t behind = f->at + f->width, n = 1 + any(e, any(e, 2) == 0 ? 16 : 72), times, at;
	uint64_t v = get(e, f), step = any(e, 2) == 0 ? 1 : n;

	if (behind >= e->size) {
		return;
	}
	at = any(e, 2) == 0 ? behind : behind + any(e, e->size - behind);
	n = n < e->size - at ? n : e->size - at;
	if (any(e, 4) == 0) {
		close_at(e, at, n);
		put(e, f, v - step);
		return;
	}
	times = any(e, 4) == 0 ? 1 + any(e, 40) : 1;
	for (size_t i = 0; i < times && open_at(e, at, n); i++) {
		memcpy(e->data + at, e->data + at + n, n);
		v += step;
	}
	put(e, f, v);
}

/* A run of one byte: text that does not end in its field, fields that all have the same bits. */
static void fill(struct edit *e, size_t at)
{
	static const uint8_t with[] = { 'a', 0, 0xff, 0x80, ' ', '0' };
	size_t n = 1 + any(e, 1ull << any(e, 13));

	memset(e->data + at, with[any(e, sizeof(with))], n < e->size - at ? n : e->size - at);
}

/* A number that says where something ends ends with the input, or just behind it. */
static void to_the_end(struct edit *e, const struct field *f)
{
	uint64_t from[] = { 0, f->at, f->at + f->width, any(e, e->size) };

	put(e, f, e->size - from[any(e, 4)] + any(e, 4) - any(e, 3));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	struct edit e = { data, size, max, (seed + 1ull) * 0x9e3779b97f4a7c15ull };
	struct field f;

	if (any(&e, 4) != 0 || !find(&e, &f)) {
		return LLVMFuzzerMutate(data, size, max);
	}
	for (unsigned edits = 1 + (unsigned)any(&e, 2); edits != 0 && e.size != 0; edits--) {
		switch (any(&e, 8)) {
		case 0:
			to_the_end(&e, &f);
			break;
		case 6: /* cut off */
			e.size = 1 + any(&e, e.size);
			break;
		case 7:
			fill(&e, f.at);
			break;
		case 1:
		case 2:
		case 3:
			repeat(&e, &f);
			break;
		default:
			resize(&e, &f);
			break;
		}
		if (!find(&e, &f)) {
			break;
		}
	}
	if (any(&e, 3) == 0 && e.size != 0) {
		return LLVMFuzzerMutate(data, e.size, max);
	}
	return e.size;
}

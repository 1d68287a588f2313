// SPDX-License-Identifier: MIT
#include "fuzz/mutate.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/boundary.h"

#define RECORDS_MAX 600u
#define RECORD_MAX 255u
#define FRESH_MAX 64u /* records that one mutation may write */
#define BANK 512u

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
				 uint8_t *to, size_t max, unsigned seed);

struct record {
	const uint8_t *bytes;
	uint8_t length;
};

/* The input as it will be; what is new lies in fresh. */
struct edit {
	struct record record[RECORDS_MAX];
	unsigned count;
	uint8_t fresh[FRESH_MAX][RECORD_MAX];
	unsigned fresh_count;
	uint64_t random;
};

/* Actions of inputs seen before: a second source besides the fuzzer's own crossover, which AFL++ does not always offer. */
static struct {
	uint8_t length, bytes[32];
} bank[BANK];
static unsigned bank_next;

static uint32_t any(struct edit *e, uint32_t below)
{
	e->random ^= e->random << 13;
	e->random ^= e->random >> 7;
	e->random ^= e->random << 17;
	return below != 0 ? (uint32_t)(e->random >> 16) % below : 0;
}

static void read_records(struct edit *e, const uint8_t *data, size_t size)
{
	size_t at = 0;

	while (at < size && e->count < RECORDS_MAX) {
		size_t n = data[at++];

		n = n < size - at ? n : size - at;
		e->record[e->count++] = (struct record){ data + at, (uint8_t)n };
		at += n;
	}
}

static size_t write_records(const struct edit *e, uint8_t *to, size_t max)
{
	size_t at = 0;

	for (unsigned i = 0; i < e->count; i++) {
		const struct record *r = &e->record[i];

		if (r->length + 1u > max - at) {
			break;
		}
		to[at++] = r->length;
		memcpy(to + at, r->bytes, r->length);
		at += r->length;
	}
	if (at == 0 && max != 0) {
		to[at++] = 0;
	}
	return at;
}

static void remember(struct edit *e)
{
	for (unsigned i = 0; i < 4 && e->count != 0; i++) {
		const struct record *r = &e->record[any(e, e->count)];

		if (r->length <= sizeof(bank[0].bytes)) {
			bank[bank_next % BANK].length = r->length;
			memcpy(bank[bank_next++ % BANK].bytes, r->bytes, r->length);
		}
	}
}

/* Makes room for n records at `at`; answers how many there is room for. */
static unsigned insert(struct edit *e, unsigned at, unsigned n)
{
	n = n < RECORDS_MAX - e->count ? n : RECORDS_MAX - e->count;
	memmove(&e->record[at + n], &e->record[at], (e->count - at) * sizeof(e->record[0]));
	e->count += n;
	return n;
}

static void delete(struct edit *e, unsigned at, unsigned n)
{
	n = n < e->count - at ? n : e->count - at;
	memmove(&e->record[at], &e->record[at + n], (e->count - at - n) * sizeof(e->record[0]));
	e->count -= n;
}

/* A copy of a record that may be written; NULL: no more of them. */
static uint8_t *own(struct edit *e, unsigned index)
{
	struct record *r = &e->record[index];
	uint8_t *copy;

	if (e->fresh_count == FRESH_MAX) {
		return NULL;
	}
	copy = e->fresh[e->fresh_count++];
	memset(copy, 0, RECORD_MAX);
	memcpy(copy, r->bytes, r->length);
	r->bytes = copy;
	return copy;
}

static uint64_t boundary(struct edit *e)
{
	(void)any(e, 1);
	return boundary_of(e->random >> 3);
}

static void put(uint8_t *to, uint64_t v, unsigned width)
{
	for (unsigned i = 0; i < width; i++) {
		to[i] = (uint8_t)(v >> (8 * i));
	}
}

/* ---- within an action ---- */

static void change_field(struct edit *e, unsigned index)
{
	unsigned length = e->record[index].length, width = 1u << any(e, 4), at;
	uint64_t v = 0;
	uint8_t *b;

	while (width > length && width > 1) {
		width /= 2;
	}
	if (length == 0 || (b = own(e, index)) == NULL) {
		return;
	}
	at = any(e, length - width + 1);
	switch (any(e, 6)) {
	case 0: /* flags */
		b[at] ^= (uint8_t)(1u << any(e, 8));
		break;
	case 1:
		b[at] = (uint8_t)any(e, 256);
		break;
	case 2:
	case 3:
		memcpy(&v, b + at, width);
		put(b + at, v + any(e, 71) - 35, width);
		break;
	default:
		put(b + at, boundary(e), width);
		break;
	}
}

static void change_kind(struct edit *e, unsigned index)
{
	uint8_t *b = e->record[index].length != 0 ? own(e, index) : NULL;

	if (b == NULL) {
		return;
	}
	switch (any(e, 3)) {
	case 0:
		b[0] = (uint8_t)any(e, 256);
		break;
	case 1:
		b[0] ^= (uint8_t)(1u << any(e, 8));
		break;
	default:
		b[0] = (uint8_t)(b[0] + any(e, 2) * 2 - 1);
		break;
	}
}

static void change_length(struct edit *e, unsigned index)
{
	struct record *r = &e->record[index];
	unsigned at = any(e, r->length + 1u), n = 1 + any(e, any(e, 4) == 0 ? 64 : 8);
	uint8_t *b = own(e, index);

	if (b == NULL) {
		return;
	}
	if (any(e, 2) == 0) {
		n = n < r->length - at ? n : r->length - at;
		memmove(b + at, b + at + n, r->length - at - n);
		r->length = (uint8_t)(r->length - n);
		return;
	}
	n = n < RECORD_MAX - r->length ? n : RECORD_MAX - r->length;
	memmove(b + at + n, b + at, r->length - at);
	for (unsigned i = 0; i < n; i++) {
		b[at + i] = (uint8_t)(any(e, 2) == 0 ? any(e, 256) : boundary(e));
	}
	r->length = (uint8_t)(r->length + n);
}

/* By how much an action becomes longer or shorter; the number at `chosen`, if it is a length, may end with next to nothing. */
static unsigned how_much(struct edit *e, const struct record *r, unsigned chosen, bool more)
{
	uint32_t v = 0, few = any(e, 5);

	if (more || any(e, 3) != 0 || chosen + 4 > r->length) {
		return 1 + any(e, any(e, 4) == 0 ? 40 : 4);
	}
	memcpy(&v, r->bytes + chosen, 4);
	return v > few && v <= r->length ? v - few : 1 + any(e, 4);
}

/* An action becomes longer or shorter at its end, and the numbers in it that may be its lengths say so. */
static void change_size(struct edit *e, unsigned index)
{
	struct record *r = &e->record[index];
	unsigned was = r->length, chosen = any(e, was + 1u) & ~3u, n;
	bool more = any(e, 2) == 0;
	uint8_t *b = was != 0 ? own(e, index) : NULL;

	if (b == NULL) {
		return;
	}
	n = how_much(e, r, chosen, more);
	if (more ? n > RECORD_MAX - was : n >= was) {
		return;
	}
	for (unsigned at = 0; at + 4 <= was; at++) {
		uint32_t v;

		memcpy(&v, b + at, 4);
		if (v != 0 && v <= was && (more || v >= n) &&
		    (v == was || v + at == was || v + at + 4 == was || at == chosen)) {
			put(b + at, more ? v + n : v - n, 4);
		}
	}
	memset(b + was, 0x41, more ? n : 0);
	r->length = (uint8_t)(more ? was + n : was - n);
}

/* A list in an action: a few of its bytes over and over. */
static void repeat_within(struct edit *e, unsigned index)
{
	struct record *r = &e->record[index];
	unsigned n = 1 + any(e, 16), times = 1 + any(e, 40), at;
	uint8_t *b = r->length > n ? own(e, index) : NULL;

	if (b == NULL) {
		return;
	}
	at = any(e, r->length - n);
	for (unsigned i = 0; i < times && r->length + n <= RECORD_MAX; i++) {
		memmove(b + at + n, b + at, r->length - at);
		r->length = (uint8_t)(r->length + n);
	}
}

/* The engine's own mutation, with what it has learnt from comparisons and its dictionary. */
static void change_bytes(struct edit *e, unsigned index)
{
	struct record *r = &e->record[index];
	uint8_t *b = own(e, index);

	if (b == NULL) {
		return;
	}
	if (LLVMFuzzerMutate != NULL) {
		r->length = (uint8_t)LLVMFuzzerMutate(b, r->length, RECORD_MAX);
	} else {
		for (unsigned i = 0, n = 1 + any(e, 4); i < n && r->length != 0; i++) {
			b[any(e, r->length)] = (uint8_t)any(e, 256);
		}
	}
}

/* ---- whole actions ---- */

static void make_up(struct edit *e, unsigned at)
{
	unsigned n;
	uint8_t *b;

	if (e->fresh_count == FRESH_MAX || insert(e, at, 1) == 0) {
		return;
	}
	e->record[at] = (struct record){ NULL, 0 };
	if (any(e, 2) == 0 && bank_next != 0) {
		unsigned from = any(e, bank_next < BANK ? bank_next : BANK);

		e->record[at] = (struct record){ bank[from].bytes, bank[from].length };
		return;
	}
	b = e->fresh[e->fresh_count++];
	n = 1 + any(e, any(e, 4) == 0 ? 100 : 12);
	for (unsigned i = 0; i < n; i++) {
		b[i] = (uint8_t)(any(e, 3) != 0 ? any(e, 256) : boundary(e));
	}
	e->record[at] = (struct record){ b, (uint8_t)n };
}

static void repeat(struct edit *e, unsigned at)
{
	struct record r = e->record[at];
	unsigned n = insert(e, at, 1 + any(e, any(e, 8) == 0 ? 100 : 6));

	for (unsigned i = 0; i < n; i++) {
		e->record[at + i] = r;
	}
}

/* The same of one after the other: a byte of the action counts up, for tables that have an end. */
static void repeat_counting(struct edit *e, unsigned at)
{
	const struct record r = e->record[at];
	unsigned step = any(e, r.length), n = 1 + any(e, any(e, 2) == 0 ? 60 : 20);

	if (r.length == 0) {
		return;
	}
	n = n < FRESH_MAX - e->fresh_count ? n : FRESH_MAX - e->fresh_count;
	n = insert(e, at + 1, n);
	for (unsigned i = 0; i < n; i++) {
		e->record[at + 1 + i] = r;
		own(e, at + 1 + i)[step] = (uint8_t)(r.bytes[step] + i + 1);
	}
}

static void copy_run(struct edit *e, unsigned from)
{
	unsigned n = 1 + any(e, 8), to;
	struct record run[8];

	n = n < e->count - from ? n : e->count - from;
	memcpy(run, &e->record[from], n * sizeof(run[0]));
	to = any(e, e->count + 1);
	n = insert(e, to, n);
	memcpy(&e->record[to], run, n * sizeof(run[0]));
}

static void one_edit(struct edit *e)
{
	unsigned i = any(e, e->count), k;
	struct record r;

	if (e->count == 0) {
		make_up(e, 0);
		return;
	}
	switch (any(e, 19)) {
	case 18:
		repeat_counting(e, i);
		break;
	case 16:
		change_size(e, i);
		break;
	case 17:
		repeat_within(e, i);
		break;
	case 0:
	case 1:
		delete (e, i, any(e, 4) == 0 ? 1 + any(e, 16) : 1);
		break;
	case 2:
		repeat(e, i);
		break;
	case 3:
		copy_run(e, i);
		break;
	case 4: /* swapped */
		k = any(e, e->count);
		r = e->record[i];
		e->record[i] = e->record[k];
		e->record[k] = r;
		break;
	case 5:
	case 6:
		make_up(e, any(e, e->count + 1));
		break;
	case 7: /* what one said, in the place of another */
		e->record[i] = e->record[any(e, e->count)];
		break;
	case 8:
		change_kind(e, i);
		break;
	case 9:
		change_length(e, i);
		break;
	case 10:
	case 11:
	case 12:
		change_bytes(e, i);
		break;
	default:
		change_field(e, i);
		break;
	}
}

static struct edit *begin(uint32_t seed)
{
	static struct edit e;

	e.count = 0;
	e.fresh_count = 0;
	e.random = (seed + 1ull) * 0x9e3779b97f4a7c15ull;
	return &e;
}

size_t mutate_session(uint8_t *data, size_t size, size_t max, uint32_t seed)
{
	struct edit *e = begin(seed);
	uint8_t *was = malloc(size != 0 ? size : 1);
	size_t n;

	if (was == NULL || max == 0) {
		free(was);
		return size;
	}
	memcpy(was, data, size);
	read_records(e, was, size);
	/* Mostly one: what a session has come to needs all of its other actions. */
	for (unsigned i = 0, edits = any(e, 2) == 0 ? 1 : 1u << any(e, 4); i < edits; i++) {
		one_edit(e);
	}
	n = write_records(e, data, max);
	remember(e);
	free(was);
	return n;
}

size_t mutate_cross(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *to,
		    size_t max, uint32_t seed)
{
	struct edit *e = begin(seed);
	struct record middle[64];
	unsigned cut, from, n;

	read_records(e, b, b_size);
	from = any(e, e->count);
	n = 1 + any(e, any(e, 2) == 0 ? 64 : 8);
	n = n < e->count - from ? n : e->count - from;
	memcpy(middle, &e->record[from], n * sizeof(middle[0]));
	e->count = 0;
	read_records(e, a, a_size);
	cut = any(e, e->count + 1);
	if (any(e, 2) == 0) {
		delete (e, cut, any(e, e->count - cut + 1));
	}
	n = insert(e, cut, n);
	memcpy(&e->record[cut], middle, n * sizeof(middle[0]));
	return write_records(e, to, max);
}

/* ---- libFuzzer ---- */

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	return mutate_session(data, size, max, seed);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
				 uint8_t *to, size_t max, unsigned seed)
{
	return mutate_cross(a, a_size, b, b_size, to, max, seed);
}

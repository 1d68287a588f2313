// SPDX-License-Identifier: MIT
/*
 * Mutation of formats with sizes, counts and offsets: a byte string and its length, a list and its count change together, which two
 * independent mutations seldom do. It knows no format: any number of 1 to 8 bytes, in either byte order, or the low bits of a CBOR
 * head may be a size; what looks like a list of parts that each say their length is treated as one; a run of zeros behind text is the
 * rest of its field. Less than half of the mutations are such guesses; the rest is the engine's own.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/boundary.h"
#include "fuzz/edit.h"

/* A number that may say how much of the rest there is: it is not 0, and no more than there is. */
static bool find(struct edit *e, struct field *f)
{
	static const unsigned widths[] = { 1, 1, 2, 2, 4, 4, 8 };
	size_t head = e->size < 64 ? e->size : 64; /* headers come first */

	for (unsigned tries = 0; tries < 24 && e->size != 0; tries++) {
		uint64_t v;

		f->head = any(e, 4) == 0;
		f->width = f->head ? 1 : widths[any(e, sizeof(widths) / sizeof(widths[0]))];
		f->big = any(e, 2) == 0;
		f->at = place(e, any(e, 3) == 0 ? head : e->size);
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
	uint64_t v = get(e, f), few = any(e, 4);
	unsigned others;

	n = any(e, 4) == 0 ? (size_t)4 << any(e, 4) : n; /* parts are aligned, mostly */

	if (v > e->size - begin) {
		begin = f->at; /* a size that counts itself */
	}
	if (v > e->size - begin) {
		return;
	}
	at = any(e, 3) == 0 && begin != f->at ? begin : begin + v;
	others = any(e, 4) != 0 ? around(e, f, begin + v, other) : 0;
	if (any(e, 2) == 0) {
		n = any(e, 4) == 0 && few < v ? v - few : n; /* next to nothing is left */
		if (n <= v && at + n <= e->size) {
			at = at >= begin + n && at != begin ? at - n : begin;
			close_at(e, at, n);
			put(e, f, v - n);
			for (unsigned i = 0; i < others; i++) {
				put(e, &other[i], get(e, &other[i]) - n);
			}
		}
		return;
	}
	if (any(e, 8) == 0) { /* around a limit; padding stays as it is */
		(void)any(e, 1);
		n = boundary_of(e->random >> 3) - v;
		n = any(e, 2) == 0 ? (n + 7) / 8 * 8 : n;
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

/* Any field, be it 0: a number at which parsers go wrong, or one that stands elsewhere, or one next to that. */
static void set_number(struct edit *e)
{
	struct field to = { 0, 1u << any(e, 4), any(e, 4) == 0, false }, from;

	while (to.width > e->size) {
		to.width /= 2;
	}
	to.at = place(e, e->size - to.width + 1);
	if (any(e, 2) == 0 && to.at >= to.at % to.width + 3) {
		to.at -= to.at % to.width;       /* fields are aligned, mostly */
		to.at += any(e, 2) == 0 ? 3 : 0; /* behind a harness's own bytes */
		to.at = to.at + to.width <= e->size ? to.at : 0;
	}
	if (any(e, 8) ==
	    0) { /* the same to who multiplies it by a small power of two, in as many bits */
		put(e, &to, get(e, &to) + (1ull << (8 * to.width - 1 - any(e, 4))));
	} else if (any(e, 3) != 0 || !find(e, &from)) {
		(void)any(e, 1);
		put(e, &to, boundary_of(e->random >> 3));
	} else {
		put(e, &to, get(e, &from) + any(e, 4) / 2 - any(e, 2));
	}
}

/* Text in a field of its own size has zeros behind it: they become text, all of them or up to where such a field may end. */
static void fill_field(struct edit *e)
{
	size_t from = 0, text, end, room;

	for (unsigned tries = 0; tries < 16; tries++) {
		from = any(e, e->size);
		if (e->data[from] == 0) {
			break;
		}
	}
	if (e->data[from] != 0) {
		return;
	}
	for (end = from; end < e->size && e->data[end] == 0; end++) {
	}
	for (; from != 0 && e->data[from - 1] == 0; from--) {
	}
	for (text = from; text != 0 && e->data[text - 1] != 0; text--) {
	}
	room = (size_t)1 << any(e, 13);
	if (any(e, 2) == 0 && room > from - text && room <= end - text) {
		end = text + room;
	} else if (any(e, 4) == 0) {
		end = from + any(e, end - from + 1);
	}
	memset(e->data + from, 'a', end - from);
	if (end != from && any(e, 3) == 0) {
		e->data[end - 1] = 0; /* the longest that fits */
	}
}

/* ---- lists: parts one behind the other, each of which says how long it is ---- */

struct kind {
	unsigned size_at, width;
	bool big, behind;       /* the size counts what is behind it, not the whole part */
	unsigned align, stride; /* stride: parts of one size, and no number says so */
};

static const struct kind kinds[] = {
	{ 1, 1, false, false, 1, 0 },  { 0, 1, false, false, 1, 0 },  { 0, 2, false, false, 1, 0 },
	{ 2, 2, false, false, 1, 0 },  { 2, 2, true, false, 1, 0 },   { 0, 4, false, false, 1, 0 },
	{ 4, 4, false, false, 1, 0 },  { 4, 4, false, false, 8, 0 },  { 0, 1, false, true, 1, 0 },
	{ 1, 1, false, true, 1, 0 },   { 0, 2, true, true, 1, 0 },    { 2, 2, true, true, 1, 0 },
	{ 0, 2, false, true, 1, 0 },   { 0, 4, false, true, 1, 0 },   { 28, 4, false, true, 1, 0 },
	{ 0, 0, false, false, 1, 4 },  { 0, 0, false, false, 1, 8 },  { 0, 0, false, false, 1, 12 },
	{ 0, 0, false, false, 1, 16 }, { 0, 0, false, false, 1, 24 },
};

#define PARTS_MAX 512u
#define INPUT_MAX 65536u

struct list {
	size_t edge[PARTS_MAX + 1]; /* of the parts; the last one is the end */
	unsigned parts;
	bool guessed; /* nothing in it says how many parts there are: some at a place, all of one size */
	bool alike; /* the same, but they look like parts: about as many as there are */
};

/* How long the part at `at` is; 0: there is none. */
static size_t part(const struct edit *e, const struct kind *k, size_t at)
{
	struct field f = { at + k->size_at, k->width, k->big, false };
	uint64_t v = k->stride;

	if (k->stride == 0) {
		if (f.at + f.width > e->size) {
			return 0;
		}
		v = get(e, &f);
		v += k->behind ? k->size_at + k->width : 0;
		v = v > e->size ? 0 : (v + k->align - 1) / k->align * k->align;
		v = v < k->size_at + k->width || v < 2 ? 0 : v;
	}
	return v <= e->size - at ? v : 0;
}

static bool list_at(const struct edit *e, const struct kind *k, size_t at, struct list *l)
{
	size_t n;

	l->parts = 0;
	while (at < e->size && l->parts < PARTS_MAX && (n = part(e, k, at)) != 0) {
		l->edge[l->parts++] = at;
		at += n;
	}
	l->edge[l->parts] = at;
	return l->parts >= 2;
}

/* Looks for a list: the place from which the most parts follow each other, or, as often, one of several. */
static bool find_list(struct edit *e, const struct kind *k, struct list *l)
{
	static uint16_t count[INPUT_MAX + 1];
	size_t best = 0, most = any(e, 2) == 0 ? SIZE_MAX : 2 + any(e, 6);

	l->guessed = k->stride != 0;
	if (l->guessed) {
		return list_at(e, k, any(e, e->size), l);
	}
	count[e->size] = 0;
	for (size_t at = e->size; at-- != 0;) {
		size_t n = part(e, k, at);

		count[at] = n != 0 ? (uint16_t)(count[at + n] + (count[at + n] != UINT16_MAX)) : 0;
		if (count[at] >= count[best] || (count[at] >= most && any(e, 8) == 0)) {
			best = at;
		}
	}
	return list_at(e, k, best, l);
}

/* How many bytes of a part of n are those of the part before it. */
static size_t same_bytes(const struct edit *e, size_t at, size_t n)
{
	size_t same = 0;

	for (size_t i = 0; i < n; i++) {
		same += e->data[at + i] == e->data[at - n + i];
	}
	return same;
}

/* Of two parts that meet at a distance from `at` (0, or their own size), the size with which they look most alike; 0: none. */
static size_t best_stride(struct edit *e, size_t at, bool forward)
{
	static const uint8_t strides[] = { 2,  3,  4,  5,  6,  8,  10, 12, 14, 16,
					   20, 24, 28, 32, 36, 40, 48, 56, 64, 72 };
	size_t best = 0, most = 0;

	for (unsigned i = 0; i < sizeof(strides); i++) {
		size_t n = strides[i], second = forward ? at + n : at - n, same;

		if ((forward ? e->size - at : at) < 2 * n ||
		    memcmp(e->data + second, e->data + second + 1, n - 1) == 0) {
			continue; /* or a run of one byte */
		}
		same = same_bytes(e, second, n) * 64 / n;
		if (same > most && any(e, 4) != 0) {
			most = same;
			best = n;
		}
	}
	return best;
}

/*
 * Parts of one size that look alike: as many as a number before them says, or up to a place that is the input's end, before its last
 * byte, or any other.
 */
static bool find_alike(struct edit *e, struct list *l)
{
	bool counted = any(e, 2) == 0;
	struct field f = { 0, 0, false, false };
	size_t at, n;

	l->alike = true;
	l->guessed = false;
	if (counted && (!find(e, &f) || get(e, &f) < 2 || get(e, &f) > PARTS_MAX)) {
		return false;
	}
	at = counted ? f.at + f.width : any(e, 2) == 0 ? e->size - any(e, 2) : any(e, e->size + 1);
	n = best_stride(e, at, counted);
	if (n == 0) {
		return false;
	}
	if (counted) {
		l->parts = (unsigned)get(e, &f);
		if ((e->size - at) / n < l->parts) {
			return false;
		}
	} else {
		size_t end = at;

		for (at -= n;
		     at >= n && end - at < PARTS_MAX * n && 2 * same_bytes(e, at, n) >= n;) {
			at -= n;
		}
		l->parts = (unsigned)((end - at) / n);
	}
	for (unsigned i = 0; i <= l->parts; i++) {
		l->edge[i] = at + i * n;
	}
	return l->parts >= 2;
}

static uint8_t is_edge[INPUT_MAX + 1]; /* of a part that is behind the one that changes */

/* The number counts from itself, from its end or from a word before it up to an edge. */
static bool counts_up(const struct edit *e, const struct field *f, uint64_t v, size_t last)
{
	size_t from[] = { f->at + f->width, f->at, f->at >= 4 ? f->at - 4 : f->at };

	for (unsigned i = 0; i < 3; i++) {
		if (v <= e->size - from[i] && from[i] + v > last && is_edge[from[i] + v] != 0) {
			return true;
		}
	}
	return false;
}

/* Numbers before a part that count up to the end of its list or of one of the parts behind it, and the number of parts. */
static unsigned above(struct edit *e, const struct list *l, unsigned index, struct field *found,
		      bool *counts)
{
	static const struct field sizes[] = { { 0, 4, false, false },
					      { 0, 4, true, false },
					      { 0, 2, false, false },
					      { 0, 2, true, false },
					      { 0, 1, false, false } };
	unsigned count = 0, n = sizeof(sizes) / sizeof(sizes[0]) - (any(e, 2) == 0);
	size_t last = l->edge[index];

	memset(is_edge, 0, e->size + 1);
	for (unsigned i = index + 1; i <= l->parts; i++) {
		is_edge[l->edge[i]] = 1;
		is_edge[l->edge[i] + ((l->guessed || l->alike) && l->edge[i] < e->size)] =
			1; /* a byte may follow */
	}
	is_edge[e->size] = 1;
	for (size_t at = 0; at < last; at++) {
		for (unsigned i = 0; i < n && count < AROUND_MAX; i++) {
			struct field f = { at, sizes[i].width, sizes[i].big, false };
			uint64_t v = f.at + f.width <= last ? get(e, &f) : 0;
			bool number = (l->guessed ? v <= 32 && any(e, 2) == 0
				       : l->alike ? v + 2 >= l->parts && v <= l->parts + 2
						  : v == l->parts) &&
				      at + 16 >= l->edge[0] && (!l->alike || at < l->edge[2]);

			if (v != 0 && (number || counts_up(e, &f, v, last))) {
				counts[count] = number;
				found[count++] = f;
				break; /* a narrower one is the same number */
			}
		}
	}
	return count;
}

/* A part that comes `nth` behind the one at `of`, which it is a copy of: it counts on, in one byte or as the two before it do. */
static void count_on(struct edit *e, size_t at, const uint8_t *before, size_t n, unsigned nth)
{
	uint8_t *p = e->data + at;
	size_t column = e->random % n;

	if (before == NULL) {
		p[column] = (uint8_t)(p[column] + nth);
		return;
	}
	for (size_t i = 0; i + 4 <= n; i += 4) {
		struct field to = { at + i, 4, false, false };
		uint32_t was = (uint32_t)get(e, &to), first;

		memcpy(&first, before + i, 4);
		put(e, &to, was + nth * (was - first));
	}
}

/* Parts are there once more, or at another place, or are gone; sizes and counts around them follow. */
static void change_list(struct edit *e)
{
	const struct kind *k = &kinds[any(e, sizeof(kinds) / sizeof(kinds[0]))];
	static struct list l;
	struct field other[AROUND_MAX + 1];
	bool counts[AROUND_MAX + 1];
	unsigned i, to, others, times = any(e, 4) == 0 ? 1 + (unsigned)any(e, 40) : 1, done = 0;
	bool less = any(e, 5) == 0, on = !less && any(e, 2) == 0;
	size_t n, at;

	l.alike = false;
	if (e->size > INPUT_MAX || !(any(e, 2) == 0 ? find_alike(e, &l) : find_list(e, k, &l))) {
		return;
	}
	i = l.alike && any(e, 2) == 0  ? l.parts - 1
	    : l.guessed && l.parts > 8 ? (unsigned)any(e, 8)
				       : (unsigned)any(e, l.parts);
	to = on || any(e, 2) == 0 || l.guessed ? i : (unsigned)any(e, l.parts);
	if (on && any(e, 2) == 0) {
		times = 1 + (unsigned)any(e, 24);
	}
	n = l.edge[i + 1] - l.edge[i];
	at = l.edge[i];
	others = any(e, 8) != 0 ? above(e, &l, less ? i : to, other, counts) : 0;
	if (less) {
		close_at(e, at, n);
		done = 1;
	}
	if (on && times * n <= e->max - e->size && open_at(e, at + n, times * n)) {
		bool two = i != 0 && at - l.edge[i - 1] == n && any(e, 2) == 0;

		(void)any(e, 1);
		for (; done < times; done++) {
			memcpy(e->data + at + (1 + done) * n, e->data + at, n);
			count_on(e, at + (1 + done) * n, two ? e->data + at - n : NULL, n,
				 1 + done);
		}
	}
	for (; !less && !on && done < times && open_at(e, l.edge[to], n); done++) {
		at += at >= l.edge[to] ? n : 0;
		memcpy(e->data + l.edge[to], e->data + at, n);
		if (any(e, 2) == 0) {
			(void)LLVMFuzzerMutate(e->data + l.edge[to], n, n);
		}
	}
	for (unsigned j = 0; j < others; j++) {
		uint64_t by = counts[j] ? done : done * n;

		put(e, &other[j], less ? get(e, &other[j]) - by : get(e, &other[j]) + by);
	}
}

/* ---- CBOR: items of an array, pairs of a map ---- */

/* The head of an item: major type and argument; 0: there is none, or it is of no definite length. Else its bytes. */
static size_t cbor_head(const struct edit *e, size_t at, unsigned *major, uint64_t *value)
{
	unsigned info = at < e->size ? e->data[at] & 0x1fu : 31;
	size_t more = info < 24 ? 0 : (size_t)1 << (info - 24);

	if (info > 27 || more >= e->size - at) {
		return 0;
	}
	*major = e->data[at] >> 5;
	*value = info < 24 ? info : 0;
	for (size_t i = 0; i < more; i++) {
		*value = *value << 8 | e->data[at + 1 + i];
	}
	return 1 + more;
}

/* Where the item at `at` ends; 0: it does not. */
static size_t cbor_end(const struct edit *e, size_t at)
{
	for (uint64_t items = 1; items != 0; items--) {
		unsigned major = 0;
		uint64_t value = 0;
		size_t n = cbor_head(e, at, &major, &value);

		if (n == 0 || ((major == 2 || major == 3) && value > e->size - at - n) ||
		    ((major == 4 || major == 5) && value > e->size)) {
			return 0;
		}
		at += n + (major == 2 || major == 3 ? (size_t)value : 0);
		items += major == 4 ? value : major == 5 ? 2 * value : major == 6 ? 1 : 0;
	}
	return at;
}

/* One head out of all, of the input or of what lies in one of its byte strings, with a major type of `of`; SIZE_MAX: none. */
static size_t pick_head(struct edit *e, unsigned of)
{
	size_t at = 0, end = e->size, chosen = SIZE_MAX, inner = SIZE_MAX, inner_end = 0;
	uint64_t seen = 0, strings = 0;
	size_t within = SIZE_MAX;

	e->outer = SIZE_MAX;
	for (unsigned round = 0; round < 2; round++) {
		while (at < end) {
			unsigned major = 0;
			uint64_t value = 0;
			size_t n = cbor_head(e, at, &major, &value);

			if (n == 0 || n > end - at ||
			    ((major == 2 || major == 3) && value > end - at - n)) {
				break;
			}
			if ((of >> major & 1) != 0 && any(e, ++seen) == 0) {
				chosen = at;
				e->outer = round == 0 ? SIZE_MAX : within;
			}
			if (round == 0 && major == 2 && value > 8 && any(e, ++strings) == 0) {
				within = at;
				inner = at + n;
				inner_end = at + n + (size_t)value;
			}
			at += n + (major == 2 || major == 3 ? (size_t)value : 0);
		}
		if (inner == SIZE_MAX || any(e, 2) == 0) {
			break;
		}
		at = inner;
		end = inner_end;
		seen = 0;
	}
	return chosen;
}

/* Another number in a head, in its shortest form; false: there is no room. */
static bool set_head(struct edit *e, size_t at, uint64_t v)
{
	size_t was, n = v < 24 ? 1 : v <= 0xff ? 2 : v <= 0xffff ? 3 : v <= 0xffffffff ? 5 : 9;
	static const uint8_t info[] = { 0, 0, 24, 25, 0, 26, 0, 0, 0, 27 };
	unsigned major = 0;
	uint64_t old;

	was = cbor_head(e, at, &major, &old);
	if (n < was) {
		close_at(e, at, was - n);
	} else if (!open_at(e, at, n - was)) {
		return false;
	}
	e->data[at] = (uint8_t)(major << 5 | (n == 1 ? v : info[n]));
	for (size_t i = 1; i < n; i++) {
		e->data[at + i] = (uint8_t)(v >> 8 * (n - 1 - i));
	}
	return true;
}

/* What an item lies in is longer or shorter by as much as the input is. */
static void set_outer(struct edit *e, size_t size)
{
	unsigned major;
	uint64_t v;

	if (e->outer != SIZE_MAX && cbor_head(e, e->outer, &major, &v) != 0) {
		(void)set_head(e, e->outer, v + e->size - size);
	}
}

/* An integer is another one; or the same to who keeps fewer bits of it. */
static bool change_integer(struct edit *e)
{
	size_t at = pick_head(e, 1u << 0 | 1u << 1), size = e->size;
	unsigned major;
	uint64_t v;

	if (at == SIZE_MAX) {
		return false;
	}
	(void)cbor_head(e, at, &major, &v);
	switch (any(e, 3)) {
	case 0:
		v += 1ull << (8u << any(e, 3));
		break;
	case 1:
		v += any(e, 5) - 2;
		break;
	default:
		v = boundary_of(e->random >> 3);
		break;
	}
	if (!set_head(e, at, v)) {
		return false;
	}
	set_outer(e, size);
	return true;
}

/* A string is longer or shorter, at its end: by a few bytes, or as long as a limit. */
static bool change_string(struct edit *e)
{
	size_t at = pick_head(e, 1u << 2 | 1u << 3), size = e->size, n;
	unsigned major;
	uint64_t v = 0, to;

	if (at == SIZE_MAX || (n = cbor_head(e, at, &major, &v)) == 0 || v > size - at - n) {
		return false;
	}
	to = any(e, 2) == 0 ? v + any(e, 9) - 4 : boundary_of(e->random >> 3);
	if (to < v) {
		close_at(e, at + n + (size_t)to, (size_t)(v - to));
	} else if (to - v <= size && open_at(e, at + n + (size_t)v, (size_t)(to - v))) {
		memset(e->data + at + n + v, 'a', (size_t)(to - v));
	} else {
		return false;
	}
	if (set_head(e, at, to)) {
		set_outer(e, size);
	}
	return true;
}

/* An array or a map that is not empty, its items or pairs as a list; false: none was found. */
static bool find_items(struct edit *e, struct list *l, struct field *count)
{
	for (unsigned tries = 0; tries < 8; tries++) {
		size_t at = pick_head(e, 1u << 4 | 1u << 5), next;
		unsigned major, each;

		if (at == SIZE_MAX) {
			return false;
		}
		major = e->data[at] >> 5;
		each = major == 5 ? 2 : 1;
		l->guessed = false;
		*count = (struct field){ at, 1, false, true };
		if (major < 4 || major > 5 || get(e, count) == 0 || get(e, count) > 23) {
			continue;
		}
		next = at + 1;
		for (l->parts = 0; next != 0 && l->parts < get(e, count); l->parts++) {
			l->edge[l->parts] = next;
			for (unsigned i = 0; next != 0 && i < each; i++) {
				next = cbor_end(e, next);
			}
		}
		if (next != 0) {
			l->edge[l->parts] = next;
			return true;
		}
	}
	return false;
}

/* An item, or a pair, is there again, or is gone; what counts items, and bytes around them, follows. */
static bool change_items(struct edit *e)
{
	static struct list l;
	struct field count, other[AROUND_MAX + 1];
	bool counts[AROUND_MAX + 1], less = any(e, 4) == 0;
	unsigned i, others, times, done = 0;
	size_t n, at;

	if (!find_items(e, &l, &count)) {
		return false;
	}
	i = (unsigned)any(e, l.parts);
	at = l.edge[i];
	n = l.edge[i + 1] - at;
	times = any(e, 3) == 0 ? 1 + (unsigned)any(e, 24) : 1;
	others = above(e, &l, i, other, counts);
	if (less) {
		close_at(e, at, n);
		done = 1;
	}
	for (; !less && done < times && l.parts + done < 23 && open_at(e, at, n); done++) {
		memcpy(e->data + at, e->data + at + n, n);
		if (any(e, 2) == 0) { /* another one */
			e->data[at + any(e, n)] ^= (uint8_t)(1u << any(e, 8));
		}
	}
	for (unsigned j = 0; j < others; j++) {
		uint64_t v = get(e, &other[j]);

		if (!counts[j]) {
			put(e, &other[j], less ? v - done * n : v + done * n);
		}
	}
	put(e, &count, less ? l.parts - 1 : l.parts + done);
	return true;
}

static void change_cbor(struct edit *e)
{
	static bool (*const how[])(struct edit *) = { change_items, change_items, change_integer,
						      change_string };

	if (!how[any(e, 4)](e)) {
		set_number(e);
	}
}

static void one_edit(struct edit *e)
{
	unsigned kind = (unsigned)any(e, 15);
	struct field f;

	if (any(e, 2) == 0 && cbor_end(e, 0) == e->size) {
		kind = 12;
	}
	if (kind < 8 && !find(e, &f)) {
		kind = 8; /* nothing that may be a size */
	}
	switch (kind) {
	case 0:
		to_the_end(e, &f);
		break;
	case 1:
	case 2:
		repeat(e, &f);
		break;
	case 4:
		fill(e, f.at);
		break;
	case 5:
	case 6:
	case 7:
		resize(e, &f);
		break;
	case 8:
	case 9:
		set_number(e);
		break;
	case 3:
	case 10:
	case 11:
		change_list(e);
		break;
	case 12:
	case 13:
		change_cbor(e);
		break;
	default:
		if (any(e, 2) == 0) {
			fill_field(e);
		} else { /* cut off */
			e->size = 1 + any(e, e->size);
		}
		break;
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	struct edit e = { data, size, max, (seed + 1ull) * 0x9e3779b97f4a7c15ull, SIZE_MAX };
	uint64_t own = &mutator_for_afl != NULL ? 5 : 3;

	e.max = max = max < INPUT_MAX ? max : INPUT_MAX; /* AFL++ has inputs of any length */
	e.size = size = size < max ? size : max;
	if (size == 0 || any(&e, 8) >= own) {
		return LLVMFuzzerMutate(data, size, max);
	}
	for (unsigned edits = 1 + (unsigned)any(&e, 2); edits != 0 && e.size != 0; edits--) {
		one_edit(&e);
	}
	if (e.size == 0) {
		data[0] = 0;
		return 1;
	}
	return any(&e, 3) == 0 ? LLVMFuzzerMutate(data, e.size, max) : e.size;
}

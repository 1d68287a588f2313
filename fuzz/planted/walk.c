// SPDX-License-Identifier: MIT
/* One step away from a valid input. Inputs of more than STEPS_AT bytes: at their beginning, their end, and here and there. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/planted/walk.h"

#define STEPS_AT 768u
#define ROOM 4096u

struct walk {
	const uint8_t *bytes;
	size_t n;
	uint8_t *work;
	void (*go)(const uint8_t *bytes, size_t n);
};

static void number(struct walk *w, size_t at, unsigned size, bool big, uint64_t v)
{
	uint8_t *p = w->work + at;

	if (at + size > w->n) {
		return;
	}
	for (unsigned i = 0; i < size; i++) {
		p[big ? size - 1 - i : i] = (uint8_t)(v >> (8 * i));
	}
	if (memcmp(p, w->bytes + at, size) != 0) {
		w->go(w->work, w->n);
	}
	memcpy(p, w->bytes + at, size);
}

/* Limits, neighbours of what is there, and sizes that end where the input does. */
static void numbers(struct walk *w, size_t at, unsigned size, bool big)
{
	uint64_t now = 0, rest = w->n - at, all = size == 8 ? ~0ull : (1ull << (8 * size)) - 1;

	if (at + size > w->n) {
		return;
	}
	for (unsigned i = 0; i < size; i++) {
		now |= (uint64_t)w->bytes[big ? at + size - 1 - i : at + i] << (8 * i);
	}
	const uint64_t v[] = { 0,
			       1,
			       all,
			       all - 1,
			       all >> 1,
			       (all >> 1) + 1,
			       now + 1,
			       now - 1,
			       now * 2,
			       now / 2,
			       now + 8,
			       now - 8,
			       now + 0x1000,
			       rest,
			       rest - size,
			       rest - size + 1,
			       rest + 1,
			       rest - 8,
			       w->n,
			       w->n + 1,
			       9,
			       24,
			       25,
			       33,
			       64,
			       65,
			       0x100,
			       0x1000,
			       0x1001 };

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		number(w, at, size, big, v[i] & all);
	}
	for (unsigned bit = 8; bit < 8 * size; bit++) {
		number(w, at, size, big, now ^ 1ull << bit);
	}
}

/* The input with `gone` bytes at `at` replaced by these. */
static void splice(struct walk *w, size_t at, size_t gone, const uint8_t *bytes, size_t n)
{
	if (gone > w->n - at || n > ROOM) {
		return;
	}
	memcpy(w->work + at, bytes, n);
	memcpy(w->work + at + n, w->bytes + at + gone, w->n - at - gone);
	w->go(w->work, w->n - gone + n);
	memcpy(w->work, w->bytes, w->n);
}

static void blocks(struct walk *w, size_t at)
{
	static const uint8_t zero[64],
		ones[64] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const size_t sizes[] = { 1, 2, 3, 4, 8, 16, 20, 32, 48, 64 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t size = sizes[i];
		uint8_t turned[128];

		splice(w, at, size, zero, 0);
		splice(w, at, 0, zero, size);
		if (size <= 8) {
			splice(w, at, 0, ones, size);
		}
		if (at + size <= w->n) {
			splice(w, at, 0, w->bytes + at, size);
			splice(w, at, size, zero, size);
		}
		if (at + 2 * size <=
		    w->n) { /* two neighbours change places; the second one is the first again */
			memcpy(turned, w->bytes + at + size, size);
			memcpy(turned + size, w->bytes + at, size);
			splice(w, at, 2 * size, turned, 2 * size);
			splice(w, at + size, size, w->bytes + at, size);
		}
	}
}

/* ---- CBOR: an item is another one, is not there, or is there twice; what counts it or has it inside says so ---- */

#define ITEMS_MAX 400u /* bytes of an item that is changed */

/* A head at `at`: its size, its number, and where its own bytes end (of a string, or of the head). 0: none. */
static size_t head(const struct walk *w, size_t at, unsigned *major, uint64_t *value)
{
	unsigned low = w->bytes[at] & 0x1f, size = low < 24 ? 0 : 1u << (low - 24);

	if (low > 27 || size >= w->n - at) {
		return 0;
	}
	*major = w->bytes[at] >> 5;
	*value = low;
	for (unsigned i = 0; i < size; i++) {
		*value = (i == 0 ? 0 : *value << 8) | w->bytes[at + 1 + i];
	}
	return 1 + size;
}

/* Where the item ends that begins here, as far as one begins here; 0: none does. */
static size_t item_end(const struct walk *w, size_t at)
{
	uint64_t left = 1, value;
	unsigned major;

	for (; left != 0; left--) {
		size_t n = at < w->n ? head(w, at, &major, &value) : 0;

		if (n == 0) {
			return 0;
		}
		at += n;
		if ((major == 2 || major == 3) && value > w->n - at) {
			return 0;
		}
		at += major == 2 || major == 3 ? value : 0;
		if (value > w->n && (major == 4 || major == 5)) {
			return 0;
		}
		left += major == 4 ? value : major == 5 ? 2 * value : major == 6;
	}
	return at;
}

/* A number of what stands at `at`, in the head that is there; false: it does not fit. */
static bool set_head(uint8_t *p, size_t size, uint64_t value)
{
	if (size == 1) {
		p[0] = (uint8_t)((p[0] & 0xe0) | value);
		return value < 24;
	}
	for (size_t i = 1; i < size; i++) {
		p[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
	}
	return size > 8 || value >> (8 * (size - 1)) == 0;
}

/* [at, end) becomes these bytes; then once for each string that may have it inside, with its new length. */
static void become(struct walk *w, size_t at, size_t end, const uint8_t *bytes, size_t n)
{
	unsigned major, strings = 0;
	uint64_t value;

	splice(w, at, end - at, bytes, n);
	for (size_t o = 0; o < at && strings < 4; o++) {
		size_t h = head(w, o, &major, &value);

		if (h == 0 || major != 2 || o + h > at || value > w->n - o - h ||
		    end > o + h + value) {
			continue;
		}
		strings++;
		if (set_head(w->work + o, h, value - (end - at) + n)) {
			memcpy(w->work + at, bytes, n);
			memcpy(w->work + at + n, w->bytes + end, w->n - end);
			w->go(w->work, w->n - (end - at) + n);
		}
		memcpy(w->work, w->bytes, w->n);
	}
}

static void strings(struct walk *w, size_t at, size_t h, uint64_t value, size_t end)
{
	static const uint64_t sizes[] = { 0, 1, 7, 8, 16, 31, 32, 33, 48, 63, 64, 65, 66, 129 };
	uint8_t s[ITEMS_MAX + 200];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) + 2; i++) {
		uint64_t v = i < 2 ? value + 2 * i - 1 : sizes[i - 2];

		if (v > ITEMS_MAX || v == value) {
			continue;
		}
		s[0] = (uint8_t)(w->bytes[at] & 0xe0);
		s[0] = (uint8_t)(s[0] | (v < 24 ? v : v < 256 ? 24 : 25));
		s[1] = (uint8_t)(v < 256 ? v : v >> 8);
		s[2] = (uint8_t)v;
		h = v < 24 ? 1 : v < 256 ? 2 : 3;
		memset(s + h, 'a', v);
		memcpy(s + h, w->bytes + end - value, v < value ? v : value);
		become(w, at, end, s, h + v);
	}
}

/* One child fewer, one more, none at all. */
static void children(struct walk *w, size_t at, size_t h, unsigned major, uint64_t value,
		     size_t end)
{
	size_t first = item_end(w, at + h), size;
	uint8_t s[2 * ITEMS_MAX + 16];

	if (major == 5 && first != 0) {
		first = item_end(w, first);
	}
	if (h != 1 || value == 0 || first == 0 || first > end) {
		return;
	}
	size = first - at - 1;
	s[0] = (uint8_t)(w->bytes[at] & 0xe0);
	become(w, at, end, s, 1);
	s[0] = (uint8_t)(w->bytes[at] - 1);
	become(w, at, first, s, 1);
	s[0] = (uint8_t)(w->bytes[at] + 1);
	memcpy(s + 1, w->bytes + at + 1, size);
	memcpy(s + 1 + size, w->bytes + at + 1, size);
	become(w, at, first, s, 1 + 2 * size);
	if (major == 5 && end - at + 2 <= sizeof(s)) { /* a key above all others */
		memcpy(s, w->bytes + at, end - at);
		s[0] = (uint8_t)(w->bytes[at] + 1);
		s[end - at] = 0x17;
		s[end - at + 1] = 0x00;
		become(w, at, end, s, end - at + 2);
	}
	for (size_t child = first; child < end && child != 0;) { /* a later one goes */
		size_t next = item_end(w, child);

		if (major == 5 && next != 0) {
			next = item_end(w, next);
		}
		if (next == 0 || next > end) {
			break;
		}
		memcpy(s, w->bytes + at, child - at);
		s[0] = (uint8_t)(w->bytes[at] - 1);
		become(w, at, next, s, child - at);
		child = next;
	}
}

static void items(struct walk *w, size_t at)
{
	static const struct {
		uint8_t n, bytes[9];
	} others[] = { { 1, { 0x00 } },
		       { 1, { 0x01 } },
		       { 1, { 0x20 } },
		       { 1, { 0x40 } },
		       { 1, { 0x60 } },
		       { 1, { 0x80 } },
		       { 1, { 0xa0 } },
		       { 1, { 0xf4 } },
		       { 1, { 0x17 } },
		       { 2, { 0x18, 0xff } },
		       { 3, { 0x19, 0xff, 0xff } },
		       { 2, { 0x61, 'a' } },
		       { 2, { 0x41, 'a' } },
		       { 2, { 0x81, 0x00 } },
		       { 3, { 0xa1, 0x00, 0x00 } },
		       { 2, { 0xc1, 0x00 } },
		       { 5, { 0x1a, 0x00, 0x01, 0x00, 0x00 } },
		       { 9, { 0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } },
		       { 9, { 0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } },
		       { 0, { 0 } } };
	size_t end = at < w->n ? item_end(w, at) : 0, h;
	unsigned major;
	uint64_t value;

	if (end == 0 || end - at > ITEMS_MAX) {
		return;
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		become(w, at, end, others[i].bytes, others[i].n);
	}
	h = head(w, at, &major, &value);
	if (major == 2 || major == 3) {
		strings(w, at, h, value, end);
	} else if (major == 4 || major == 5) {
		children(w, at, h, major, value, end);
	}
}

static bool step_here(const struct walk *w, size_t at)
{
	size_t apart = w->n / STEPS_AT + 1;

	return apart == 1 || at < STEPS_AT / 2 || at + STEPS_AT / 8 > w->n || at % apart == 0;
}

void walk_input(const uint8_t *bytes, size_t n, void (*go)(const uint8_t *bytes, size_t n))
{
	struct walk w = { bytes, n, malloc(n + ROOM), go };

	if (w.work == NULL) {
		abort();
	}
	memcpy(w.work, bytes, n);
	go(bytes, n);
	for (size_t at = 0; at <= n; at++) {
		if (!step_here(&w, at)) {
			continue;
		}
		go(bytes, at);
		blocks(&w, at);
		items(&w, at);
		for (unsigned v = 0; at < n && v < 256; v++) {
			number(&w, at, 1, false, v);
		}
		for (unsigned size = 2; size <= 8; size *= 2) {
			numbers(&w, at, size, false);
			numbers(&w, at, size, true);
		}
	}
	for (size_t more = 1; more <= ROOM; more *= 2) {
		memset(w.work + n, more & 1 ? 0xff : 0, more);
		go(w.work, n + more);
	}
	free(w.work);
}

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

/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_EDIT_H
#define FUZZ_EDIT_H
/* An input that a mutator changes, and the numbers in it. */
#include <string.h>

#include "fuzz/engine.h"

struct edit {
	uint8_t *data;
	size_t size, max;
	uint64_t random;
	size_t outer; /* CBOR: the head of the byte string that the picked one is in; SIZE_MAX: none */
};

/* A number in the input: CBOR's short heads have five bits of their one byte. */
struct field {
	size_t at;
	unsigned width;
	bool big, head;
};

static inline uint64_t any(struct edit *e, uint64_t below)
{
	return engine_any(&e->random, below);
}

static inline uint64_t get(const struct edit *e, const struct field *f)
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

static inline void put(struct edit *e, const struct field *f, uint64_t v)
{
	if (f->head) {
		e->data[f->at] = (uint8_t)((e->data[f->at] & 0xe0) | (v & 0x1f));
		return;
	}
	for (unsigned i = 0; i < f->width; i++) {
		e->data[f->big ? f->at + f->width - 1 - i : f->at + i] = (uint8_t)(v >> (8 * i));
	}
}

/* A place that is seldom within a run of one byte. */
static inline size_t place(struct edit *e, size_t below)
{
	size_t at = any(e, below);

	for (unsigned tries = 0; tries < 4 && engine_in_run(e->data, below, at); tries++) {
		at = any(e, below);
	}
	return at;
}

/* Room for n bytes at `at`; false: there is none. */
static inline bool open_at(struct edit *e, size_t at, size_t n)
{
	if (n > e->max - e->size) {
		return false;
	}
	memmove(e->data + at + n, e->data + at, e->size - at);
	e->size += n;
	return true;
}

static inline void close_at(struct edit *e, size_t at, size_t n)
{
	memmove(e->data + at, e->data + at + n, e->size - at - n);
	e->size -= n;
}

#endif

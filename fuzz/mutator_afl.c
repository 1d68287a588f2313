// SPDX-License-Identifier: MIT
/*
 * A target's LLVMFuzzerCustomMutator as a custom mutator of AFL++ (AFL_CUSTOM_MUTATOR_LIBRARY=build/fuzz/mutator_NAME.so): one
 * source of mutations serves both engines. LLVMFuzzerMutate, which such a mutator calls for plain changes, is libFuzzer's own
 * there and the small one below here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/engine.h"

/* A target may have none. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
				 uint8_t *to, size_t max, unsigned seed) __attribute__((weak));

const bool mutator_for_afl = true;

struct state {
	uint64_t random;
	uint8_t *out;
	size_t room;
};

static uint64_t random_state = 1;

static uint64_t next(uint64_t *random) /* xorshift64*, Marsaglia and Vigna */
{
	*random ^= *random >> 12;
	*random ^= *random << 25;
	*random ^= *random >> 27;
	return *random * 0x2545f4914f6cdd1dull;
}

/* ---- the words of the target's dictionary, which afl-fuzz itself only uses in its own mutations ---- */

#define WORDS_MAX 256u
#define WORD_MAX 32u

static struct {
	uint8_t bytes[WORD_MAX];
	size_t n;
} word[WORDS_MAX];
static size_t words;

/* A line NAME="WORD", with \xNN, \\ and \" in it. */
static void take_word(const char *line)
{
	const char *at = strchr(line, '"'), *end = strrchr(line, '"');
	size_t n = 0;

	if (line[0] == '#' || at == NULL || end == at || words == WORDS_MAX) {
		return;
	}
	for (at++; at < end && n < WORD_MAX; at++) {
		char digits[3] = { 0 };

		if (*at == '\\' && at[1] == 'x' && end - at >= 4) {
			memcpy(digits, at + 2, 2);
			word[words].bytes[n++] = (uint8_t)strtoul(digits, NULL, 16);
			at += 3;
			continue;
		}
		at += *at == '\\' && at + 1 < end;
		word[words].bytes[n++] = (uint8_t)*at;
	}
	word[words].n = n;
	words += n != 0 && at == end;
}

static void take_words(const char *path)
{
	FILE *f = path != NULL ? fopen(path, "r") : NULL;
	char line[256];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		take_word(line);
	}
	if (f != NULL) {
		(void)fclose(f);
	}
}

/* A word in the place of as many bytes, or between them. */
static size_t put_word(uint8_t *data, size_t size, size_t max, size_t at, uint64_t r)
{
	size_t which = (size_t)(r >> 8) % words, n = word[which].n;

	if ((r & 1) != 0 && n <= max - size) {
		memmove(data + at + n, data + at, size - at);
		size += n;
	} else if (n > size - at) {
		return size;
	}
	memcpy(data + at, word[which].bytes, n);
	return size;
}

/* Seldom within a run of one byte. */
static size_t place(const uint8_t *data, size_t size, uint64_t r)
{
	size_t at = size == 0 ? 0 : (size_t)((r >> 16) % size);

	for (unsigned tries = 0; tries < 4 && engine_in_run(data, size, at); tries++) {
		at = (size_t)((next(&random_state) >> 16) % size);
	}
	return at;
}

static size_t change(uint8_t *data, size_t size, size_t max)
{
	static const uint8_t edge[] = { 0, 1, 0x7f, 0x80, 0xff, 0xfe, 16, 64 };
	uint64_t r = next(&random_state);
	size_t at = place(data, size, r);

	switch (size == 0 ? 5 : r % 8) {
	case 0:
		data[at] ^= (uint8_t)(1u << (r >> 8 & 7));
		return size;
	case 1:
		data[at] = (uint8_t)(r >> 8);
		return size;
	case 2:
		data[at] = edge[r >> 8 & 7];
		return size;
	case 3: /* a number of up to four bytes moves a little */
		for (size_t i = at, carry = 1 + (r >> 8 & 15); i < size && i < at + 4; i++) {
			carry += data[i];
			data[i] = (uint8_t)carry;
			carry >>= 8;
		}
		return size;
	case 4: /* shorter */
		memmove(data + at, data + at + 1, size - at - 1);
		return size - 1;
	case 6:
		return words != 0 ? put_word(data, size, max, at, r >> 24) : size;
	case 7: { /* what stands elsewhere */
		size_t from = (size_t)(r >> 40) % size, n = 1 + (r >> 8 & 7);

		n = n < size - at ? n : size - at;
		n = n < size - from ? n : size - from;
		memmove(data + at, data + from, n);
		return size;
	}
	default: /* longer */
		if (size >= max) {
			return size;
		}
		memmove(data + at + 1, data + at, size - at);
		data[at] = (uint8_t)(r >> 8);
		return size + 1;
	}
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max)
{
	for (uint64_t n = 1 + (next(&random_state) >> 20 & next(&random_state) >> 20 & 3); n != 0;
	     n--) {
		size = change(data, size, max);
	}
	return size;
}

void *afl_custom_init(void *afl, unsigned seed)
{
	struct state *s = calloc(1, sizeof(*s));

	(void)afl;
	if (s != NULL) {
		s->random = 0x9e3779b97f4a7c15ull ^ seed;
		random_state = s->random | 1;
		take_words(getenv("REDOUBT_DICT"));
	}
	return s;
}

/*
 * How often one input is changed before the next one has its turn. Without this, AFL++ stays with an input for thousands of
 * executions while it finds coverage, and sees two or three inputs of a session's corpus in half a minute.
 */
unsigned afl_custom_fuzz_count(void *state, const uint8_t *in, size_t size)
{
	(void)state;
	(void)in;
	(void)size;
	return 64;
}

/* A piece of the other input in the place of one of the same length, or the rest of it in the place of the rest. */
static size_t splice(uint8_t *to, size_t size, const uint8_t *add, size_t add_size, size_t max)
{
	uint64_t r = next(&random_state);
	size_t at = (size_t)(r >> 40) % size, from = (size_t)(r >> 16) % add_size;
	size_t n = add_size - from < max - at ? add_size - from : max - at;

	if ((r & 1) != 0) {
		from = at < add_size ? at : from;
		n = 1 + (size_t)(r >> 8) % 64;
		n = n < size - at ? n : size - at;
		n = n < add_size - from ? n : add_size - from;
	}
	memcpy(to + at, add + from, n);
	return at + n > size || (r & 1) == 0 ? at + n : size;
}

/*
 * Returns the length of the changed input in *out, which stays ours. 0: nothing. AFL++ leaves out most inputs that are not the smallest
 * and fastest for something: in a third of the cases the other one, which is any of all, is what is changed.
 */
size_t afl_custom_fuzz(void *state, uint8_t *in, size_t size, uint8_t **out, uint8_t *add,
		       size_t add_size, size_t max)
{
	struct state *s = state;

	if (s->room < max) {
		uint8_t *more = realloc(s->out, max);

		if (more == NULL) {
			*out = in;
			return 0;
		}
		s->out = more;
		s->room = max;
	}
	if (add != NULL && add_size != 0 && next(&s->random) % 3 == 0) {
		uint8_t *other = in;
		size_t other_size = size;

		in = add;
		size = add_size;
		add = other;
		add_size = other_size;
	}
	size = size < max ? size : max;
	if (LLVMFuzzerCustomCrossOver != NULL && add != NULL && add_size != 0 && size != 0 &&
	    (next(&s->random) >> 32 & 7) == 0) {
		*out = s->out;
		return LLVMFuzzerCustomCrossOver(in, size, add, add_size, s->out, max,
						 (unsigned)next(&s->random));
	}
	memcpy(s->out, in, size);
	*out = s->out;
	if (LLVMFuzzerCustomCrossOver == NULL && add != NULL && add_size != 0 && size != 0 &&
	    (next(&s->random) >> 32 & 7) == 0) {
		size = splice(s->out, size, add, add_size, max);
	}
	return LLVMFuzzerCustomMutator(s->out, size, max, (unsigned)next(&s->random));
}

void afl_custom_deinit(void *state)
{
	struct state *s = state;

	free(s->out);
	free(s);
}

// SPDX-License-Identifier: MIT
/*
 * Mutation of text: numbers, words, lines and the blocks that lines make by their indentation are changed, repeated, moved and left out
 * as wholes, or taken from inputs seen before; a number that says how long the text behind an empty line is mostly still says so. It knows no format; half of the
 * mutations are the engine's own.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "fuzz/boundary.h"
#include "fuzz/engine.h"

struct edit {
	uint8_t *data;
	size_t size, max;
	uint64_t random;
	bool wrapped; /* a number is more than it was by what a narrow counter does not see */
};

struct piece {
	size_t at, n;
};

#define COPY_MAX 512u

static uint64_t any(struct edit *e, uint64_t below)
{
	return engine_any(&e->random, below);
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(uint8_t c)
{
	return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || c >= 0x80;
}

static bool is_hex(uint8_t c)
{
	return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* Puts n bytes of `with` in the place of a piece; what does not fit is not done. */
static void replace(struct edit *e, struct piece p, const uint8_t *with, size_t n)
{
	if (n > p.n && n - p.n > e->max - e->size) {
		return;
	}
	memmove(e->data + p.at + n, e->data + p.at + p.n, e->size - p.at - p.n);
	if (n != 0) {
		memcpy(e->data + p.at, with, n);
	}
	e->size = e->size - p.n + n;
}

static void insert(struct edit *e, size_t at, const uint8_t *with, size_t n)
{
	replace(e, (struct piece){ at, 0 }, with, n);
}

/* A piece whose bytes are all of a class, the one at a random place or the next, so that short ones have their turn; false: there is none. */
static bool find(struct edit *e, bool (*of)(uint8_t), struct piece *p)
{
	size_t at = any(e, e->size), tries = 0;

	if (any(e, 2) == 0) {
		while (at + 1 < e->size && of(e->data[at])) {
			at++;
		}
	}
	while (!of(e->data[at])) {
		at = (at + 1) % e->size;
		if (++tries == e->size) {
			return false;
		}
	}
	while (at != 0 && of(e->data[at - 1])) {
		at--;
	}
	p->at = at;
	for (p->n = 0; at + p->n < e->size && of(e->data[at + p->n]); p->n++) {
	}
	return true;
}

static bool not_line_end(uint8_t c)
{
	return c != '\n';
}

static bool not_separator(uint8_t c)
{
	return c != ' ' && c != ',' && c != ';' && c != '&' && c != '\n';
}

/* Of what stands between commas or braces: a key and its value. */
static bool is_member(uint8_t c)
{
	return c != ',' && c != ';' && c != '&' && c != '{' && c != '}' && c != '\n';
}

static bool not_quote(uint8_t c)
{
	return c != '"' && c != '\n';
}

typedef bool (*class_of)(uint8_t);

static class_of any_class(struct edit *e)
{
	static const class_of classes[] = { is_word, not_separator, is_member };

	return classes[any(e, 3)];
}

/* ---- what other inputs said ---- */

#define BANK 256u
#define BANK_BYTES 96u

static struct {
	uint8_t bytes[BANK_BYTES];
	uint8_t n;
	class_of of;
} bank[BANK];
static unsigned banked;

static void remember(struct edit *e)
{
	class_of of = any_class(e);
	struct piece p;

	if (find(e, of, &p) && p.n <= BANK_BYTES) {
		memcpy(bank[banked % BANK].bytes, e->data + p.at, p.n);
		bank[banked % BANK].n = (uint8_t)p.n;
		bank[banked++ % BANK].of = of;
	}
}

/* A piece of an input seen before, in the place of one of its kind or as one more behind it. */
static void borrow(struct edit *e)
{
	unsigned which = (unsigned)any(e, banked < BANK ? banked : BANK);
	uint8_t copy[BANK_BYTES + 1] = { ',' };
	struct piece p;

	if (banked == 0 || !find(e, bank[which].of, &p)) {
		return;
	}
	if (any(e, 2) == 0) {
		replace(e, p, bank[which].bytes, bank[which].n);
		return;
	}
	copy[0] = p.at != 0 && any(e, 3) == 0 ? e->data[p.at - 1] : ',';
	memcpy(copy + 1, bank[which].bytes, bank[which].n);
	insert(e, p.at + p.n, copy, bank[which].n + 1u);
}

/* A number in the text is another one, written as it was. */
static void change_number(struct edit *e)
{
	struct piece p;
	uint64_t v = 0;
	char text[48];
	bool hex;
	int n;

	if (!find(e, is_digit, &p)) {
		return;
	}
	hex = p.n == 1 && e->data[p.at] == '0' && p.at + 1 < e->size &&
	      (e->data[p.at + 1] | 0x20) == 'x';
	if (hex) {
		p.at += 2;
		for (p.n = 0; p.at + p.n < e->size && is_hex(e->data[p.at + p.n]); p.n++) {
		}
	}
	for (size_t i = 0; i < p.n && i < 20; i++) {
		uint8_t c = e->data[p.at + i];

		v = v * (hex ? 16 : 10) + (is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10u);
	}
	switch (any(e, 7)) {
	case 6: /* the same to who counts in 64 or 32 bits */
		e->wrapped = true;
		if (any(e, 2) == 0) {
			v += 1ull << 32;
			break;
		}
		n = hex ? snprintf(text, sizeof(text), "1%016llx", (unsigned long long)v)
			: snprintf(text, sizeof(text), "1844674407%010llu",
				   (unsigned long long)(v % (1ull << 32) + 3709551616));
		replace(e, p, (const uint8_t *)text, (size_t)n);
		return;
	case 0:
		v += 1 + any(e, 9);
		break;
	case 1:
		v -= 1 + any(e, 9);
		break;
	case 2:
		v = any(e, 2) == 0 ? v * 2 : v / 2;
		break;
	default:
		(void)any(e, 1);
		v = boundary_of(e->random >> 3);
		break;
	}
	n = snprintf(text, sizeof(text), hex ? "%llx" : "%llu", (unsigned long long)v);
	replace(e, p, (const uint8_t *)text, (size_t)n);
}

/* A line, or one with the lines that are further in: an item of a list, a value of several lines. */
static bool find_block(struct edit *e, struct piece *p)
{
	size_t in = 0, end, k;

	if (!find(e, not_line_end, p)) {
		return false;
	}
	while (in < p->n && e->data[p->at + in] == ' ') {
		in++;
	}
	end = p->at + p->n;
	end += end < e->size;
	while (any(e, 8) != 0 && end < e->size) {
		for (k = 0; end + k < e->size && e->data[end + k] == ' '; k++) {
		}
		if (k <= in) {
			break;
		}
		while (end < e->size && e->data[end] != '\n') {
			end++;
		}
		end += end < e->size;
	}
	p->n = end - p->at;
	return true;
}

/* A line, a block or what stands between two separators is there again, here or elsewhere; mostly as something that is new. */
static void repeat(struct edit *e)
{
	size_t times = any(e, 6) == 0 ? 1 + any(e, 40) : 1, to;
	bool block = any(e, 2) == 0;
	class_of of = any(e, 2) == 0 ? not_separator : is_member;
	uint8_t copy[COPY_MAX + 1];
	struct piece p, other;

	if (!(block ? find_block(e, &p) : find(e, of, &p)) || p.n > COPY_MAX) {
		return;
	}
	to = p.at;
	if (any(e, 4) == 0 && (block ? find_block(e, &other) : find(e, of, &other))) {
		to = other.at;
	}
	memcpy(copy, e->data + p.at, p.n);
	if (block && copy[p.n - 1] != '\n') {
		copy[p.n++] = '\n'; /* it was the last one */
	} else if (!block) {
		copy[p.n++] = p.at != 0 ? e->data[p.at - 1] : ' ';
	}
	for (; times != 0; times--) {
		size_t k = any(e, p.n);

		if (any(e, 3) != 0) {
			while (k < p.n && !is_word(copy[k])) {
				k++;
			}
			for (; any(e, 2) == 0 && k + 1 < p.n && is_word(copy[k + 1]); k++) {
			}
			copy[k < p.n ? k : 0] = "0123456789abcdefghijklmnopqrstuvwxyz"[any(e, 36)];
		}
		insert(e, to, copy, p.n);
	}
}

static void leave_out(struct edit *e)
{
	struct piece p;

	switch (any(e, 4)) {
	case 0:
		e->size = 1 + any(e, e->size);
		return;
	case 1:
		if (find_block(e, &p)) {
			replace(e, p, NULL, 0);
		}
		return;
	default:
		if (find(e, any_class(e), &p)) {
			replace(e, p, NULL, 0);
		}
		return;
	}
}

/* What one place says, in another. */
static void take_over(struct edit *e)
{
	class_of of = any_class(e);
	uint8_t copy[COPY_MAX];
	struct piece from, to;

	if (find(e, of, &from) && find(e, of, &to) && from.n <= COPY_MAX) {
		memcpy(copy, e->data + from.at, from.n);
		replace(e, to, copy, from.n);
	}
}

/* A word becomes as long as a field may be, or longer. */
static void lengthen(struct edit *e)
{
	static uint8_t run[4200];
	size_t n = ((size_t)1 << (any(e, 4) == 0 ? any(e, 13) : 4 + any(e, 9))) + any(e, 3) - 1;
	struct piece p;

	if (find(e, any(e, 2) == 0 ? is_word : not_quote, &p) && n <= sizeof(run)) {
		memset(run, any(e, 4) == 0 ? '0' : 'a', n);
		if (any(e, 2) == 0 && n >= p.n) { /* as long as that with what it was */
			insert(e, p.at + p.n, run, n - p.n);
		} else {
			replace(e, p, run, n);
		}
	}
}

static void add_mark(struct edit *e)
{
	static const char *const marks[] = {
		"\"",
		"'",
		"\\",
		"\n",
		"\r\n",
		"\t",
		" ",
		":",
		",",
		"=",
		"-",
		"[",
		"]",
		"{",
		"}",
		"#",
		"%",
		"&",
		"/",
		"../",
		"\x7f",
		"\xc3\xa9",
		"\xf0\x9f\x98",
		"\\u0000",
		"0x",
		"+",
		"1e9",
		"null",
		"~",
		"|",
		"<<",
		"\xef\xbb\xbf",
	};
	const char *mark = marks[any(e, sizeof(marks) / sizeof(marks[0]))];
	char control[8];
	struct piece p;
	size_t at;

	if (any(e, 16) == 0) {
		mark = "";
		insert(e, any(e, e->size + 1), (const uint8_t *)mark, 1); /* a zero */
		return;
	}
	if (any(e, 4) == 0) { /* as it is, or escaped */
		static const uint8_t acted_on[] = { 7, 8, '\t', '\r', 0x1b, 0x7f, 0x9b };
		unsigned c = any(e, 2) == 0 ? acted_on[any(e, sizeof(acted_on))]
					    : 1 + (unsigned)any(e, 255);

		snprintf(control, sizeof(control), any(e, 3) == 0 ? "%c" : "\\u00%02x", c);
		mark = control;
	}
	at = any(e, e->size + 1);
	if (any(e, 2) == 0 && find(e, is_word, &p)) {
		at = any(e, 2) == 0 ? p.at : p.at + p.n;
	}
	for (uint64_t times = any(e, 16) == 0 ? 1 + any(e, 200) : 1; times != 0; times--) {
		insert(e, at, (const uint8_t *)mark, strlen(mark));
	}
}

/* ---- a number that counts the bytes behind an empty line: how HTTP and its kin say the length of a body ---- */

static bool body_of(const struct edit *e, size_t *at)
{
	const uint8_t *next = e->data, *end = e->data + e->size;

	while (next < end && (next = memchr(next, '\n', (size_t)(end - next))) != NULL) {
		next++;
		next += next < end && *next == '\r';
		if (next < end && *next == '\n') {
			*at = (size_t)(next + 1 - e->data);
			return true;
		}
	}
	return false;
}

/* The which-th number of the head, or, with a length, the first that says it; *number: which one it was. */
static bool head_number(const struct edit *e, size_t body, uint32_t which, uint64_t length,
			struct piece *p, uint32_t *number)
{
	*number = 0;
	for (size_t at = 0; at < body; at += p->n != 0 ? p->n : 1) {
		uint64_t v = 0;

		p->at = at;
		for (p->n = 0; at + p->n < body && is_digit(e->data[at + p->n]); p->n++) {
			v = p->n < 9 ? v * 10 + (e->data[at + p->n] - '0') : UINT64_MAX;
		}
		if (p->n != 0 && (length != UINT64_MAX ? v == length : *number == which)) {
			return true;
		}
		*number += p->n != 0;
	}
	return false;
}

/* What said the length of the body says it again, or one byte more or less. */
static void count_body(struct edit *e, uint32_t which)
{
	char text[24];
	struct piece p;
	size_t body;
	int n;

	if (body_of(e, &body) && head_number(e, body, which, UINT64_MAX, &p, &which)) {
		size_t length = e->size - body;

		length += any(e, 12) == 0 ? any(e, 2) * 2 - (length != 0) : 0;
		n = snprintf(text, sizeof(text), "%zu", length);
		replace(e, p, (const uint8_t *)text, (size_t)n);
	}
}

static void one_edit(struct edit *e)
{
	switch (any(e, 9)) {
	case 0:
	case 1:
		change_number(e);
		break;
	case 2:
	case 3:
		repeat(e);
		break;
	case 4:
		leave_out(e);
		break;
	case 5:
		if (any(e, 2) == 0) {
			take_over(e);
		} else {
			borrow(e);
		}
		break;
	case 6:
	case 7:
		lengthen(e);
		break;
	default:
		add_mark(e);
		break;
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	struct edit e = { data, size, max, (seed + 1ull) * 0x9e3779b97f4a7c15ull, false };
	uint64_t own = &mutator_for_afl != NULL ? 6 : 4;
	uint32_t which = 0;
	struct piece p;
	bool counted;
	size_t body;

	if (size == 0) {
		return LLVMFuzzerMutate(data, size, max);
	}
	if (any(&e, 4) == 0) {
		remember(&e);
	}
	counted = body_of(&e, &body) && head_number(&e, body, 0, size - body, &p, &which);
	if (any(&e, 8) >= own) {
		e.size = LLVMFuzzerMutate(data, size, max);
	} else {
		for (unsigned edits = 1u << any(&e, 2) * any(&e, 3); edits != 0 && e.size != 0;
		     edits--) {
			one_edit(&e);
		}
		if (e.size != 0 && any(&e, 4) == 0) {
			e.size = LLVMFuzzerMutate(data, e.size, max);
		}
	}
	if (counted && !e.wrapped && e.size != 0 && any(&e, 8) != 0) {
		count_body(&e, which);
	}
	if (e.size == 0) {
		data[0] = '\n';
		return 1;
	}
	return e.size;
}

/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_ORACLE_H
#define FUZZ_ORACLE_H
/*
 * What no input may bring about, whatever is fuzzed: one oracle for each class of fault (docs/fuzzing.md has the table). A harness
 * feeds them with what it sees; each ends the program with its class in words. None keeps anything over two inputs.
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "fuzz/script.h"
#include "hv/wire/gmem.h"

#define ORACLE(holds, what)                                                                  \
	do {                                                                                 \
		if (!(holds)) {                                                              \
			fprintf(stderr, "oracle: %s: %s:%d: %s\n", what, __FILE__, __LINE__, \
				#holds);                                                     \
			__builtin_trap();                                                    \
		}                                                                            \
	} while (0)

FUZZ_QUIET_BEGIN

/* ---- what others see: part of the verdict when a check is deleted (docs/fuzzing.md); nothing else looks at it ---- */

void oracle_verdict(const void *bytes, size_t n) __attribute__((weak));

static inline void oracle_said(const void *bytes, size_t n)
{
	if (oracle_verdict != NULL) {
		oracle_verdict(bytes, n);
	}
}

static inline void oracle_said_number(uint64_t number)
{
	oracle_said(&number, sizeof(number));
}

static inline void oracle_said_text(const char *text)
{
	oracle_said(text != NULL ? text : "", text != NULL ? strlen(text) : 0);
}

/* ---- C6 and C4: a refusal leaves everything as it was ---- */

/* Of an object that is compared byte by byte: it must have been zeroed once, and has no padding that is written. */
#define ORACLE_KEEP(name, object)     \
	uint8_t name[sizeof(object)]; \
	memcpy(name, &(object), sizeof(object))
#define ORACLE_SAME(name, object) \
	ORACLE(memcmp(name, &(object), sizeof(object)) == 0, "a refused request changed the state")

/* ---- C5: each request is completed exactly once ---- */

#define ONCE_MAX 4096u

struct once {
	uint32_t count;
	uint8_t owed[ONCE_MAX];
};

/* Makes the number of a new request, ONCE_MAX: no more of them. */
static inline uint32_t once_expect(struct once *o, bool wants)
{
	if (o->count == ONCE_MAX) {
		return ONCE_MAX;
	}
	o->owed[o->count] = wants;
	return o->count++;
}

static inline void once_answered(struct once *o, uint64_t number)
{
	ORACLE(number < o->count, "an answer to what nobody asked");
	ORACLE(o->owed[number] == 1, "a request answered twice, or that wants no answer");
	o->owed[number] = 0;
}

static inline void once_all(const struct once *o)
{
	for (uint32_t i = 0; i < o->count; i++) {
		ORACLE(o->owed[i] == 0, "a request without an answer");
	}
}

static inline void once_clear(struct once *o)
{
	memset(o->owed, 0, o->count);
	o->count = 0;
}

/* ---- C9: what was never written does not reach the guest ---- */

/*
 * The sanitized builds fill stack variables with 0xaa (-ftrivial-auto-var-init=pattern) and ASan fills the heap with 0xbe. A harness
 * that makes the guest's own data must not make four of these in a row: oracle_tame.
 */
static inline bool oracle_poisoned(const void *bytes, size_t n)
{
	const uint8_t *b = bytes;
	unsigned run = 0;

	for (size_t i = 0; i < n; i++) {
		run = (b[i] == 0xaa || b[i] == 0xbe) && (run == 0 || b[i] == b[i - 1]) ? run + 1
										       : 0;
		if (run == 4) {
			return true;
		}
	}
	return false;
}

static inline void oracle_clean(const void *bytes, size_t n)
{
	ORACLE(!oracle_poisoned(bytes, n), "bytes that were never written reach the guest");
	oracle_said(bytes, n);
}

/* ---- C1: room that a system call may fill is there, all of it, however little comes now; the sanitizer sees the kernel's writes nowhere else ---- */

static inline void oracle_room(void *at, size_t n)
{
	volatile uint8_t *p = at;

	if (n != 0) {
		p[0] = p[0];
		p[n - 1] = p[n - 1];
	}
}

static inline uint8_t oracle_tame(uint8_t b)
{
	return b == 0xaa || b == 0xbe ? (uint8_t)(b ^ 1) : b;
}

static inline void oracle_tame_bytes(uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bytes[i] = oracle_tame(bytes[i]);
	}
}

/* A number that comes back to the guest, as the name of a request. */
static inline uint64_t oracle_tame_number(uint64_t v)
{
	oracle_tame_bytes((uint8_t *)&v, sizeof(v));
	return v;
}

/* ---- C3, C7, C9: guest memory, watched at its door (fuzz/gmem_watch.c) ---- */

/*
 * gmem_watch.c takes the place of hv/wire/gmem.c in a target, has the same lines in it, and looks at each access between
 * watch_host and watch_guest: the harness's own accesses are not counted.
 */
struct watch_race { /* a second processor of the guest writes, behind the countdown-th fetch from now on */
	uint32_t countdown; /* 0: none is armed */
	uint64_t gpa;
	uint8_t bytes[8];
	uint32_t length;
};

struct watch_state {
	bool on;
	bool twice;        /* C3 is not judged: the guest itself named a page twice */
	bool stale;        /* C9 is not judged */
	uint32_t accesses; /* since watch_host */
	uint64_t bytes;
	uint32_t budget;  /* accesses that one call may make; 0: any number */
	uint32_t fetches; /* since a packet was taken from a ring */
	struct watch_race race;
	bool raced; /* one was carried out since watch_clear */
	uint32_t kill; /* the process dies behind the kill-th access from now on, by a jump to `death`; 0: it does not */
	jmp_buf death;
};

extern struct watch_state watch;

void watch_clear(void);
/* Where the host may write; none is named: anywhere. Pages from 0, at most WATCH_PAGES of them. */
#define WATCH_PAGES 1024u
void watch_writable(uint64_t pfn);
/* The host's code runs now; it may make `budget` accesses. */
void watch_host(uint32_t budget);
void watch_guest(void);
/* A new request: what was fetched for the last one may be fetched again. */
void watch_request(void);
/* The header page of a ring: a store of its read index ends a request. At most 8 of them. */
void watch_ring(uint64_t pfn);
/* A network adapter: two rings in a row of pages each; the host writes the data of the second, and the receive buffer. */
void watch_adapter(uint64_t up, uint64_t down, uint32_t ring_pages, uint64_t receive,
		   uint32_t receive_pages);
/* Out of an action's bytes. */
void watch_race_arm(struct script *s, uint64_t memory);

FUZZ_QUIET_END

#endif

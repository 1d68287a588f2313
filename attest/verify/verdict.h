/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_VERIFY_VERDICT_H
#define ATTEST_VERIFY_VERDICT_H
/* What was checked, in order, and what follows from it. docs/attestation.md section 6. */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/wire/view.h"

enum verdict_exit {
	VERDICT_ACCEPTED = 0,
	VERDICT_USAGE = 1,
	VERDICT_NOT_AUTHENTIC = 2,
	VERDICT_AGAINST_POLICY = 3,
	VERDICT_UNDECIDABLE = 4
};

enum check_state { CHECK_OK, CHECK_FAIL, CHECK_SKIPPED };

struct check {
	const char *id; /* static */
	enum check_state state;
	char text[240];
};

#define CHECKS_MAX 40u

struct verdict {
	struct check check[CHECKS_MAX];
	unsigned int count;
	enum verdict_exit exit;
	const char *failed; /* id of the check that decided, or NULL */
	json_t *attested; /* what the evidence proves; printed only where nothing failed before it was authentic */
	bool authentic; /* the checks of authenticity passed */
};

void verdict_begin(struct verdict *v);
void verdict_end(struct verdict *v);

/*
 * Records a check that passed. Always true. The text is ours, with numbers of the policy or of what
 * a signature covers: everything else that the evidence says is a fact.
 */
bool verdict_ok(struct verdict *v, const char *id, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
bool verdict_skip(struct verdict *v, const char *id, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Records the check that decides. Always false. */
bool verdict_fail(struct verdict *v, enum verdict_exit exit, const char *id, const char *format,
		  ...) __attribute__((format(printf, 4, 5)));

/* Adds a fact to v->attested; takes over `value`. Silently nothing without memory: facts decide nothing. */
void verdict_fact(struct verdict *v, const char *key, json_t *value);
json_t *json_hex(const void *bytes, size_t n);

/*
 * Records that a structure of the evidence is malformed. Always false. The offending value goes to the facts, where
 * nothing is taken for true.
 */
bool verdict_malformed(struct verdict *v, const char *id, const struct wire_fault *why);

enum output { OUTPUT_HUMAN, OUTPUT_JSON, OUTPUT_QUIET };

/* One line for a report of many; with OUTPUT_JSON one compact object. */
void verdict_line(const struct verdict *v, enum output how, const char *name);
/* Prints all of it on stdout and returns the exit code. */
int verdict_print(const struct verdict *v, enum output how, const char *verb);

#endif

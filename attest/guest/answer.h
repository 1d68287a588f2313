/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_GUEST_ANSWER_H
#define ATTEST_GUEST_ANSWER_H
/* What the host answers to a guest that asks for its report: docs/attestation.md section 8. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ANSWER_HEAD_MAX 1024u
#define ANSWER_TEXT_MAX 400u

struct answer {
	const uint8_t *body; /* in the bytes */
	size_t n;
	int status;                 /* of HTTP: 100 to 599 */
	char text[ANSWER_TEXT_MAX]; /* where the status is not 200: the reason, printable */
};

/*
 * Reads a whole answer. Trust: bytes[0..n) are the host's, all that came until it closed. NULL, or what is wrong with it: a static
 * text.
 */
const char *answer_parse(const uint8_t *bytes, size_t n, struct answer *a);

#endif

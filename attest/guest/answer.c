/* SPDX-License-Identifier: MIT */
#include "attest/guest/answer.h"

#include <string.h>

#include "attest/core/format.h"

static const char version[] = "HTTP/1.1 ";
static const char length_name[] = "\r\nContent-Length: ";

static bool digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* Where `what` begins in bytes[0..n), or n. */
static size_t find(const uint8_t *bytes, size_t n, const char *what)
{
	size_t size = strlen(what);

	for (size_t at = 0; n >= size && at <= n - size; at++) {
		if (memcmp(bytes + at, what, size) == 0) {
			return at;
		}
	}
	return n;
}

/* The number behind the one Content-Length of the head. */
static bool take_length(const uint8_t *head, size_t n, size_t *length)
{
	/* Behind the end where there is none: then there is no number, either. */
	size_t from = find(head, n, length_name) + sizeof(length_name) - 1, at = from;

	for (*length = 0; at < n && digit(head[at]); at++) {
		*length = *length * 10 + (size_t)(head[at] - '0');
		if (*length > ATTEST_BUNDLE_MAX) {
			return false;
		}
	}
	return at != from && find(head + at, n - at, "\r\n") == 0 &&
	       find(head + at, n - at, length_name) == n - at;
}

/* The reason out of {"error": "TEXT"}; other bytes than printable ones become dots. */
static void take_reason(struct answer *a)
{
	static const char name[] = "{\"error\": \"";
	size_t at = sizeof(name) - 1, used = 0;

	if (a->n < at || memcmp(a->body, name, at) != 0) {
		return;
	}
	while (at < a->n && a->body[at] != '"' && used < sizeof(a->text) - 1) {
		uint8_t c = a->body[at++];

		a->text[used++] = c >= ' ' && c <= '~' ? (char)c : '.';
	}
	a->text[used] = '\0';
}

const char *answer_parse(const uint8_t *bytes, size_t n, struct answer *a)
{
	size_t most = n < ANSWER_HEAD_MAX ? n : ANSWER_HEAD_MAX;
	size_t head = find(bytes, most, "\r\n\r\n"), length, at = sizeof(version) - 1;

	memset(a, 0, sizeof(*a));
	if (n == 0) {
		return "the host closed the connection without an answer";
	}
	if (head == most || head < at + 4 || memcmp(bytes, version, at) != 0 || !digit(bytes[at]) ||
	    !digit(bytes[at + 1]) || !digit(bytes[at + 2]) || bytes[at + 3] != ' ') {
		return "not an answer of HTTP/1.1";
	}
	a->status = (bytes[at] - '0') * 100 + (bytes[at + 1] - '0') * 10 + (bytes[at + 2] - '0');
	if (a->status < 100 || a->status > 599) {
		return "a status that HTTP does not have";
	}
	if (!take_length(bytes, head + 2, &length)) {
		return "no length, two, or more than a report has";
	}
	a->body = bytes + head + 4;
	a->n = n - head - 4;
	if (a->n != length) {
		return "the host closed the connection in the middle of the answer";
	}
	if (a->status != 200) {
		take_reason(a);
	}
	return NULL;
}

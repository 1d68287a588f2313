// SPDX-License-Identifier: MIT
/* What redoubt-report takes for an answer of the host, and what not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attest/guest/answer.h"

#define GOOD \
	"HTTP/1.1 200 OK\r\nContent-Type: application/cbor\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"

static struct answer a;

/* In an allocation of its own length. */
static const char *parse(const char *text, size_t n)
{
	uint8_t *bytes = malloc(n != 0 ? n : 1);
	const char *why;

	assert_non_null(bytes);
	memcpy(bytes, text, n);
	why = answer_parse(bytes, n, &a);
	if (why == NULL) {
		assert_ptr_equal(a.body + a.n, bytes + n);
	}
	free(bytes);
	return why;
}

static const char *parse_text(const char *text)
{
	return parse(text, strlen(text));
}

static void test_good(void **state)
{
	(void)state;
	assert_null(parse_text(GOOD));
	assert_int_equal(a.status, 200);
	assert_int_equal(a.n, 3);
	for (size_t n = 0; n < strlen(GOOD); n++) {
		assert_non_null(parse(GOOD, n));
	}
	assert_non_null(parse_text(GOOD "d"));
}

static void test_refusal(void **state)
{
	(void)state;
	assert_null(parse_text(
		"HTTP/1.1 503 X\r\nContent-Length: 20\r\n\r\n{\"error\": \"a\x1b[b\"}\n\n\n"));
	assert_int_equal(a.status, 503);
	assert_string_equal(a.text, "a.[b");
	assert_null(parse_text("HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\n{}"));
	assert_string_equal(a.text, "");
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 2000\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\rX\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n",
		"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_non_null(parse_text(bad[i]));
	}
}

static void test_long_head(void **state)
{
	static char text[3000] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: ";

	(void)state;
	memset(text + strlen(text), 'b', 1100);
	memcpy(text + strlen(text), "\r\n\r\n", 5);
	assert_non_null(parse_text(text));
}

static void test_long_reason(void **state)
{
	static char text[2000];
	size_t at = (size_t)snprintf(
		text, sizeof(text), "HTTP/1.1 400 X\r\nContent-Length: 1011\r\n\r\n{\"error\": \"");

	(void)state;
	memset(text + at, 'x', 1000);
	assert_null(parse(text, at + 1000));
	assert_int_equal(strlen(a.text), ANSWER_TEXT_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),        cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_bad),         cmocka_unit_test(test_long_head),
		cmocka_unit_test(test_long_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

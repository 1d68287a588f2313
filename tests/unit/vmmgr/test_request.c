// SPDX-License-Identifier: MIT
/* Requests of clients: what each verb needs and may have, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/host/vmmgr/request.h"

static struct request r;
static const char *why;

static bool parse_n(const char *line, size_t size)
{
	char *copy = malloc(size != 0 ? size : 1);
	bool ok;

	assert_non_null(copy);
	memcpy(copy, line, size);
	memset(&r, 0x5a, sizeof(r));
	why = "poison";
	ok = request_parse(copy, size, &r, &why);
	free(copy);
	if (ok) {
		assert_null(why);
	} else {
		assert_non_null(why);
	}
	return ok;
}

static void good(const char *line)
{
	if (!parse_n(line, strlen(line))) {
		fail_msg("refused: %s: %s", line, why);
	}
}

static void bad(const char *line, const char *expected)
{
	if (parse_n(line, strlen(line))) {
		fail_msg("accepted: %s", line);
	}
	if (strstr(why, expected) == NULL) {
		fail_msg("\"%s\": expected \"%s\"", why, expected);
	}
}

static void test_verbs(void **state)
{
	static const struct {
		const char *word;
		enum request_verb verb;
	} named[] = { { "delete", REQUEST_DELETE }, { "start", REQUEST_START },
		      { "stop", REQUEST_STOP },     { "kill", REQUEST_KILL },
		      { "show", REQUEST_SHOW },     { "console", REQUEST_CONSOLE },
		      { "ps", REQUEST_PS },         { "record", REQUEST_RECORD } };
	char line[128];

	(void)state;
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		(void)snprintf(line, sizeof(line), "{\"verb\":\"%s\",\"name\":\"web-1\"}",
			       named[i].word);
		good(line);
		assert_int_equal(r.verb, named[i].verb);
		assert_string_equal(r.name, "web-1");
		assert_int_equal(r.timeout_s, 60);
		if (named[i].verb != REQUEST_PS) {
			(void)snprintf(line, sizeof(line), "{\"verb\":\"%s\"}", named[i].word);
			bad(line, "missing");
		}
	}
	good("{\"verb\":\"list\"}");
	assert_int_equal(r.verb, REQUEST_LIST);
	good("{\"verb\":\"ps\"}");
	assert_string_equal(r.name, "");
	bad("{\"verb\":\"list\",\"name\":\"a\"}", "does not have");
	bad("{\"verb\":\"LIST\"}", "unknown");
	bad("{\"verb\":\"\"}", "unknown");
	bad("{\"verb\":\"list\\u0000\"}", "not JSON");
	bad("{\"verb\":3}", "not a text");
	bad("{\"verb\":null}", "not a text");
	bad("{\"name\":\"a\"}", "missing");
	bad("{}", "missing");
}

static void test_create(void **state)
{
	(void)state;
	good("{\"verb\":\"create\",\"file\":\"a.yaml\",\"definition\":\"name: a\\n\",\"again\":true}");
	assert_int_equal(r.verb, REQUEST_CREATE);
	assert_string_equal(r.file, "a.yaml");
	assert_string_equal(r.definition, "name: a\n");
	assert_int_equal(r.definition_size, 8);
	assert_true(r.again);
	good("{\"verb\":\"create\",\"definition\":\"\"}");
	assert_false(r.again);
	bad("{\"verb\":\"create\",\"file\":\"a\"}", "missing");
	bad("{\"verb\":\"create\",\"definition\":\"a\",\"name\":\"b\"}", "does not have");
	bad("{\"verb\":\"create\",\"definition\":[]}", "definition");
	bad("{\"verb\":\"create\",\"definition\":\"a\",\"again\":1}", "again");
	bad("{\"verb\":\"create\",\"definition\":\"a\",\"file\":{}}", "file");
	bad("{\"verb\":\"start\",\"name\":\"a\",\"again\":true}", "does not have");
	bad("{\"verb\":\"start\",\"name\":\"a\",\"definition\":\"\"}", "does not have");
}

static void test_names(void **state)
{
	(void)state;
	bad("{\"verb\":\"start\",\"name\":\"../a\"}", "name");
	bad("{\"verb\":\"start\",\"name\":\"\"}", "name");
	bad("{\"verb\":\"start\",\"name\":\"a b\"}", "name");
	bad("{\"verb\":\"start\",\"name\":7}", "name");
	bad("{\"verb\":\"ps\",\"name\":\"\"}", "name");
	bad("{\"verb\":\"start\",\"name\":\"abcdefghijklmnopqrstuvwxyz012345\"}", "name");
	good("{\"verb\":\"start\",\"name\":\"abcdefghijklmnopqrstuvwxyz01234\"}");
}

static void test_timeout(void **state)
{
	(void)state;
	good("{\"verb\":\"stop\",\"name\":\"a\",\"timeout\":0}");
	assert_int_equal(r.timeout_s, 0);
	good("{\"verb\":\"stop\",\"name\":\"a\",\"timeout\":3600}");
	assert_int_equal(r.timeout_s, 3600);
	bad("{\"verb\":\"stop\",\"name\":\"a\",\"timeout\":3601}", "timeout");
	bad("{\"verb\":\"stop\",\"name\":\"a\",\"timeout\":-1}", "timeout");
	bad("{\"verb\":\"stop\",\"name\":\"a\",\"timeout\":4294967296}", "timeout");
	bad("{\"verb\":\"stop\",\"name\":\"a\",\"timeout\":1.0}", "timeout");
	bad("{\"verb\":\"stop\",\"name\":\"a\",\"timeout\":\"5\"}", "timeout");
	bad("{\"verb\":\"stop\",\"name\":\"a\",\"timeout\":99999999999999999999}", "not JSON");
	bad("{\"verb\":\"kill\",\"name\":\"a\",\"timeout\":5}", "does not have");
}

static void test_json(void **state)
{
	(void)state;
	bad("", "empty");
	bad("x", "not JSON");
	bad("[]", "not a JSON object");
	bad("{\"verb\":\"list\"", "not JSON");
	bad("{\"verb\":\"list\"}}", "not JSON");
	bad("{\"verb\":\"list\"} {\"verb\":\"list\"}", "not JSON");
	bad("{\"verb\":\"list\",\"verb\":\"ps\"}", "not JSON");
	bad("{\"verb\":\"list\",\"x\":1}", "unknown key");
	bad("{\"verb\":\"list\xff\"}", "not JSON");
	assert_false(parse_n("{\"verb\":\"list\"}\0", 16));
	good(" {\"verb\" : \"list\"} ");
}

/* The longest definition with every byte escaped still fits into a line; one byte more does not. */
static void test_sizes(void **state)
{
	static const char head[] = "{\"verb\":\"create\",\"definition\":\"";
	static char line[REQUEST_BYTES_MAX + 2];
	size_t used = strlen(head);

	(void)state;
	memcpy(line, head, used);
	memset(line + used, 'a', DEFINITION_BYTES_MAX);
	memcpy(line + used + DEFINITION_BYTES_MAX, "\"}", 2);
	assert_true(parse_n(line, used + DEFINITION_BYTES_MAX + 2));
	assert_int_equal(r.definition_size, DEFINITION_BYTES_MAX);
	line[used + DEFINITION_BYTES_MAX] = 'a';
	memcpy(line + used + DEFINITION_BYTES_MAX + 1, "\"}", 2);
	assert_false(parse_n(line, used + DEFINITION_BYTES_MAX + 3));
	memset(line, ' ', sizeof(line));
	memcpy(line, "{\"verb\":\"list\"}", 15);
	assert_true(parse_n(line, REQUEST_BYTES_MAX));
	assert_false(parse_n(line, REQUEST_BYTES_MAX + 1));
	/* Nesting costs no stack without end. */
	memset(line, '[', sizeof(line));
	assert_false(parse_n(line, REQUEST_BYTES_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verbs), cmocka_unit_test(test_create),
		cmocka_unit_test(test_names), cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_json),  cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

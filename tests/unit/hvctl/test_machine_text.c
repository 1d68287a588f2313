// SPDX-License-Identifier: MIT
/* Tables of hvctl: nothing of an answer reaches the terminal but text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/host/hvctl/manager.h"

static char *printed(void (*print)(const json_t *answer), json_t *answer)
{
	FILE *real = stdout;
	char *text = NULL;
	size_t n = 0;

	assert_non_null(answer);
	stdout = open_memstream(&text, &n);
	assert_non_null(stdout);
	print(answer);
	(void)fclose(stdout);
	stdout = real;
	json_decref(answer);
	for (size_t i = 0; i < n; i++) {
		assert_true(text[i] == '\n' || (text[i] >= 0x20 && text[i] < 0x7f));
	}
	return text;
}

/* Found by the target hvctl: keys of namespaces and descriptors, and what a namespace is, were printed as they came. */
static void test_keys(void **state)
{
	char *text = printed(machine_print_ps,
			     json_pack("{s:[{s:s, s:{s:s, s:s}, s:{s:s}}]}", "processes", "process",
				       "a\033[2J", "namespaces", "net\033", "own", "mnt\n",
				       "shared\033", "descriptors", "0\033", "\033"));

	(void)state;
	assert_non_null(strstr(text, "a\\x1b[2J"));
	assert_non_null(strstr(text, "mnt\\x0a:shared\\x1b"));
	assert_non_null(strstr(text, " 0\\x1b=\\x1b"));
	free(text);
}

static void test_list(void **state)
{
	char *text = printed(machine_print_list, json_pack("{s:[{s:s, s:i}, {}]}", "machines",
							   "reason", "\x7f\t", "memory_mib", 64));

	(void)state;
	assert_non_null(strstr(text, "64 MiB"));
	assert_non_null(strstr(text, "\\x7f\\x09"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_keys),
					    cmocka_unit_test(test_list) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

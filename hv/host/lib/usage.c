/* SPDX-License-Identifier: MIT */
#include "hv/host/lib/usage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int usage_fault(const char *program, const char *fault, const char *word)
{
	(void)fprintf(stderr, "%.*s: %s%s%s: see %s --help\n", (int)strcspn(program, " "), program,
		      fault, word[0] != '\0' ? " " : "", word, program);
	return USAGE_WRONG;
}

int usage_option(const char *program, int option, char *const *argv)
{
	return usage_fault(program, option == ':' ? "missing value after" : "unknown option",
			   argv[optind - 1]);
}

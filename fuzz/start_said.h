/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_START_SAID_H
#define FUZZ_START_SAID_H
/* The log of a process (hv/host/lib/start.h), for harnesses of its session: what it says is part of the verdict, and it never gives up. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz/oracle.h"
#include "hv/host/lib/start.h"

FUZZ_QUIET_BEGIN

void start_log(const char *format, ...)
{
	char text[512];
	va_list list;

	if (oracle_verdict == NULL) { /* for no one else to see */
		return;
	}
	va_start(list, format);
	(void)vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	oracle_said_text(text);
}

void start_fail(const char *format, ...)
{
	(void)format;
	ORACLE(false, "the process gives up");
	exit(1);
}

FUZZ_QUIET_END

#endif

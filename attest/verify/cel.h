/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_VERIFY_CEL_H
#define ATTEST_VERIFY_CEL_H
#include "attest/verify/input.h"

/* Prints an event log as CEL-JSON (TCG Canonical Event Log Format 1.0, section 5.3). Exit code of the program. */
int cel_print(const struct input *log, bool fill);

#endif

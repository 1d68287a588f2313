/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_MEASURE_MEASURE_H
#define ATTEST_MEASURE_MEASURE_H
/* What the hypervisor will measure, computed from files (docs/attestation.md, sections 1 and 2). */
#include <stdbool.h>

#include "attest/core/format.h"

/* Each answers false after a line in text that names file and remedy. The files are hostile. */

struct measured_vm {
	char name[32];
	uint8_t digest[ATTEST_DIGEST];
	struct attest_policy policy;
	uint64_t pages;
};

/* root: a folder in front of the paths in the definition; "": none. */
bool measure_vm(const char *definition, const char *root, struct measured_vm *out, char *text,
		unsigned int text_bytes);

/* The image that a loader puts into memory: redoubt.elf. */
bool measure_hypervisor(const char *elf, uint8_t digest[ATTEST_DIGEST], char *text,
			unsigned int text_bytes);

#endif

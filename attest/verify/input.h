/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_VERIFY_INPUT_H
#define ATTEST_VERIFY_INPUT_H
/* Files, numbers and options of the command line. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/core/tpm.h"

#define INPUT_MAX (1u << 20)

struct input {
	uint8_t *at; /* NULL: not read */
	size_t n;
};

/* Reads a whole file of at most INPUT_MAX bytes ("-": standard input). False after one line on stderr. */
bool input_read(const char *path, struct input *in);
void input_free(struct input *in);
/* Writes a new file ("-": standard output). False after one line on stderr. */
bool output_write(const char *path, const void *bytes, size_t n);

/* Hexadecimal digits to at most `most` bytes; false where they are something else. */
bool input_hex(const char *text, uint8_t *out, size_t most, size_t *n);
/* "10,14" or "0-9,22" to a mask. */
bool input_pcr_list(const char *text, uint32_t *mask);
/* "sha256:0-9,14+sha384:0-9,14". */
bool input_selection(const char *text, struct tpm_select *out, uint32_t *count);

/* One line on stderr, "redoubt-verify: ...", and always VERDICT_USAGE. */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A long option with its value: --name VALUE or --name=VALUE. Moves *i on. */
struct option_in {
	const char *name;
	const char **value; /* or NULL: a flag */
	bool *flag;
};
/* Every argument is one of these options or, up to positionals_max, a positional. False after a line on stderr. */
bool input_options(int argc, char **argv, const struct option_in *options, size_t count,
		   const char **positional, unsigned int positional_max,
		   unsigned int *positional_n);

#endif

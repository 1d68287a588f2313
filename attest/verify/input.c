/* SPDX-License-Identifier: MIT */
/* Files, numbers and options of the command line. */
#include "attest/verify/input.h"
#include "attest/verify/verdict.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int usage_error(const char *format, ...)
{
	va_list words;

	fputs("redoubt-verify: ", stderr);
	va_start(words, format);
	vfprintf(stderr, format, words);
	va_end(words);
	fputc('\n', stderr);
	return VERDICT_USAGE;
}

bool input_read(const char *path, struct input *in)
{
	size_t room = 1u << 16, n = 0;
	int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = -1;

	in->at = NULL;
	in->n = 0;
	if (fd < 0) {
		usage_error("%s: %s", path, strerror(errno));
		return false;
	}
	in->at = malloc(room);
	while (in->at != NULL && (got = read(fd, in->at + n, room - n)) > 0) {
		n += (size_t)got;
		if (n > INPUT_MAX) {
			break;
		}
		if (n == room) {
			uint8_t *more = realloc(in->at, room *= 2);

			if (more == NULL) {
				break;
			}
			in->at = more;
		}
	}
	if (got != 0) {
		usage_error("%s: %s", path,
			    got > 0 ? "above 1 MiB: no part of a report is as large"
				    : strerror(errno));
		input_free(in);
	}
	if (fd != STDIN_FILENO) {
		close(fd);
	}
	in->n = n;
	return in->at != NULL;
}

void input_free(struct input *in)
{
	free(in->at);
	in->at = NULL;
}

bool output_write(const char *path, const void *bytes, size_t n)
{
	int fd = strcmp(path, "-") == 0
			 ? STDOUT_FILENO
			 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const uint8_t *p = bytes;

	while (fd >= 0 && n != 0) {
		ssize_t done = write(fd, p, n);

		if (done <= 0) {
			break;
		}
		p += done;
		n -= (size_t)done;
	}
	if (fd < 0 || n != 0 || (fd != STDOUT_FILENO && close(fd) != 0)) {
		usage_error("%s: %s", path, strerror(errno));
		return false;
	}
	return true;
}

static int digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

bool input_hex(const char *text, uint8_t *out, size_t most, size_t *n)
{
	*n = 0;
	for (; text[0] != '\0'; text += 2) {
		int high = digit(text[0]), low = high < 0 ? -1 : digit(text[1]);

		if (low < 0 || *n == most) {
			return false;
		}
		out[(*n)++] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* Digits up to 23. */
static bool pcr_number(const char **text, unsigned int *value)
{
	unsigned int digits = 0;

	*value = 0;
	for (; **text >= '0' && **text <= '9' && digits < 3; (*text)++, digits++) {
		*value = 10 * *value + (unsigned int)(**text - '0');
	}
	return digits != 0 && *value < TPM_PCRS;
}

/* A list of numbers and ranges; stops at `+` or the end. */
static bool pcr_list(const char **text, uint32_t *mask)
{
	*mask = 0;
	for (;;) {
		unsigned int first, last;

		if (!pcr_number(text, &first)) {
			return false;
		}
		last = first;
		if (**text == '-') {
			(*text)++;
			if (!pcr_number(text, &last) || last < first) {
				return false;
			}
		}
		for (; first <= last; first++) {
			*mask |= 1u << first;
		}
		if (**text != ',') {
			return **text == '\0' || **text == '+';
		}
		(*text)++;
	}
}

bool input_pcr_list(const char *text, uint32_t *mask)
{
	return pcr_list(&text, mask) && *text == '\0';
}

bool input_selection(const char *text, struct tpm_select *out, uint32_t *count)
{
	*count = 0;
	for (;;) {
		size_t n = strcspn(text, ":");

		if (*count == TPM_BANKS_MAX || text[n] != ':' ||
		    (out[*count].alg = tpm_bank_by_name(text, n)) == 0) {
			return false;
		}
		text += n + 1;
		if (!pcr_list(&text, &out[*count].mask)) {
			return false;
		}
		(*count)++;
		if (*text == '\0') {
			return true;
		}
		text++;
	}
}

/* 0: not this option; 1: taken; -1: wrong. */
static int take_option(const struct option_in *o, int argc, char **argv, int *i)
{
	const char *word = argv[*i] + 2;
	size_t n = strlen(o->name);

	if (strncmp(word, o->name, n) != 0 || (word[n] != '\0' && word[n] != '=')) {
		return 0;
	}
	if (o->flag != NULL) {
		*o->flag = true;
		return word[n] == '\0' ? 1 : -1;
	}
	if (word[n] == '=') {
		*o->value = word + n + 1;
	} else if (*i + 1 < argc) {
		*o->value = argv[++*i];
	} else {
		return -1;
	}
	return 1;
}

bool input_options(int argc, char **argv, const struct option_in *options, size_t count,
		   const char **positional, unsigned int positional_max, unsigned int *positional_n)
{
	*positional_n = 0;
	for (int i = 0; i < argc; i++) {
		int taken = 0;

		if (argv[i][0] != '-' || argv[i][1] == '\0') {
			if (*positional_n == positional_max) {
				usage_error("%s: one argument too many (redoubt-verify --help)",
					    argv[i]);
				return false;
			}
			positional[(*positional_n)++] = argv[i];
			continue;
		}
		for (size_t k = 0; k < count && taken == 0 && argv[i][1] == '-'; k++) {
			taken = take_option(&options[k], argc, argv, &i);
		}
		if (taken != 1) {
			usage_error("%s: %s (redoubt-verify --help)", argv[i],
				    taken == 0 ? "unknown option"
					       : "a value is missing, or one too many");
			return false;
		}
	}
	return true;
}

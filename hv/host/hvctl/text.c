/* SPDX-License-Identifier: MIT */
#include "hv/host/hvctl/hvctl.h"

#include <stdio.h>

/*
 * Copy text, up to its end or length bytes, with everything but printable ASCII as \xNN: log
 * records can carry bytes that the root or a child chose, and a terminal obeys some of them. The
 * result is valid UTF-8, too.
 */
void text_escape(char *out, size_t out_size, const char *text, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	size_t used = 0;

	for (size_t i = 0; i < length && text[i] != '\0'; i++) {
		unsigned char byte = (unsigned char)text[i];
		bool plain = byte >= 0x20 && byte < 0x7f && byte != '\\';

		if (out_size - used < (plain ? 2 : 5)) {
			break;
		}
		if (plain) {
			out[used++] = (char)byte;
			continue;
		}
		out[used++] = '\\';
		out[used++] = 'x';
		out[used++] = digits[byte >> 4];
		out[used++] = digits[byte & 15];
	}
	out[used] = '\0';
}

/* Whole bytes below 1 KiB; else one digit after the point, rounded down. */
void text_size(char *out, size_t out_size, uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned int unit = 0;

	if (bytes < 1024) {
		(void)snprintf(out, out_size, "%u B", (unsigned int)bytes);
		return;
	}
	while (bytes >= 1024ull * 1024) {
		bytes >>= 10;
		unit++;
	}
	(void)snprintf(out, out_size, "%u.%u %s", (unsigned int)(bytes / 1024),
		       (unsigned int)(bytes % 1024 * 10 / 1024), units[unit]);
}

/* Jansson's integers are signed; nothing that a hypervisor counts reaches 2^63. */
json_t *json_u64(uint64_t value)
{
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

/* Takes the value. */
bool json_print(json_t *value, size_t flags)
{
	bool good = value != NULL && json_dumpf(value, stdout, flags) == 0 && putchar('\n') != EOF;

	json_decref(value);
	if (!good) {
		(void)fprintf(stderr, "hvctl: cannot write JSON: out of memory or output closed\n");
	}
	return good;
}

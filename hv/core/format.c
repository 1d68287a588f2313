/* SPDX-License-Identifier: MIT */
#include "hv/core/format.h"

struct sink {
	char *out;
	size_t size, used;
};

static void put(struct sink *s, char c)
{
	if (s->used + 1 < s->size) {
		s->out[s->used++] = c;
	}
}

static void put_number(struct sink *s, uint64_t v, unsigned base, unsigned width, char pad,
		       bool negative)
{
	char digits[24];
	unsigned n = 0;

	do {
		unsigned d = (unsigned)(v % base);

		digits[n++] = (char)(d < 10 ? '0' + d : 'a' + d - 10);
		v /= base;
	} while (v != 0 && n < sizeof(digits) - 1);
	if (negative && pad == '0') {
		put(s, '-');
		width = width > 0 ? width - 1 : 0;
	} else if (negative) {
		digits[n++] = '-';
	}
	for (unsigned i = n; i < width; i++) {
		put(s, pad);
	}
	while (n > 0) {
		put(s, digits[--n]);
	}
}

static void put_string(struct sink *s, const char *text, unsigned width)
{
	unsigned n = 0;

	for (; text != NULL && text[n] != '\0'; n++) {
		put(s, text[n]);
	}
	for (; n < width; n++) {
		put(s, ' ');
	}
}

/* One conversion after '%'; returns the character after it. */
static const char *convert(struct sink *s, const char *f, va_list *ap)
{
	unsigned width = 0;
	unsigned longs = 0;
	char pad = ' ';

	if (*f == '0') {
		pad = '0';
		f++;
	}
	while (*f >= '0' && *f <= '9') {
		width = width * 10 + (unsigned)(*f++ - '0');
	}
	while (*f == 'l' || *f == 'z') {
		longs++;
		f++;
	}
	switch (*f) {
	case 's':
		put_string(s, va_arg(*ap, const char *), width);
		break;
	case 'c':
		put(s, (char)va_arg(*ap, int));
		break;
	case 'd': {
		int64_t v = longs != 0 ? va_arg(*ap, long) : va_arg(*ap, int);

		put_number(s, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, width, pad, v < 0);
		break;
	}
	case 'u':
	case 'x': {
		uint64_t v = longs != 0 ? va_arg(*ap, unsigned long) : va_arg(*ap, unsigned int);

		put_number(s, v, *f == 'x' ? 16 : 10, width, pad, false);
		break;
	}
	case '%':
		put(s, '%');
		break;
	default:
		put(s, '?');
		return f;
	}
	return f + 1;
}

/*
 * A small vsnprintf: %s %c %d %u %x %% with 0-padding, width, l. Always terminates; truncates silently.
 * Returns the bytes written without the NUL.
 */
size_t format_va(char *out, size_t size, const char *fmt, va_list ap)
{
	struct sink s = { out, size, 0 };
	va_list copy;

	if (size == 0) {
		return 0;
	}
	va_copy(copy, ap);
	while (*fmt != '\0') {
		if (*fmt != '%') {
			put(&s, *fmt++);
		} else {
			fmt = convert(&s, fmt + 1, &copy);
		}
	}
	va_end(copy);
	out[s.used] = '\0';
	return s.used;
}

size_t format(char *out, size_t size, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = format_va(out, size, fmt, ap);
	va_end(ap);
	return n;
}

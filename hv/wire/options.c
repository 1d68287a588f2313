/* SPDX-License-Identifier: MIT */
/* Redoubt's own options, from its command line or its configuration module. */
#include "hv/wire/options.h"
#include "hv/wire/fault.h"
#include "hv/wire/mem.h"

#define WHAT_CMDLINE "hypervisor command line"
#define WHAT_CONFIG "configuration module"
#define REMEDY_SYNTAX "write options as key=value; put values with blanks in double quotes"

enum key {
	KEY_POOL,
	KEY_CPUS,
	KEY_DEBUGCON,
	KEY_LOGLEVEL,
	KEY_IOMMU,
	KEY_SERIAL,
	KEY_SERIAL_PORT,
	KEY_ROOT_CMDLINE,
	KEY_COUNT,
};

/* Arrays, not pointers, so that the table needs no relocation. */
struct key_text {
	char name[16];
	char bad[48];   /* wire_fault.field for a bad value */
	char twice[48]; /* ... for a key given twice */
	char remedy[72];
};

static const struct key_text keys[KEY_COUNT] = {
	[KEY_POOL] = { "pool", "pool is not a size in units of 2 MiB", "pool given twice",
		       "write for example pool=512M" },
	[KEY_CPUS] = { "cpus", "cpus is not a number", "cpus given twice",
		       "write for example cpus=2, or cpus=0 for all" },
	[KEY_DEBUGCON] = { "debugcon", "debugcon is neither on nor off", "debugcon given twice",
			   "write debugcon=on or debugcon=off" },
	[KEY_LOGLEVEL] = { "loglevel", "loglevel is not a known level", "loglevel given twice",
			   "write loglevel=error, warn, info or debug" },
	[KEY_IOMMU] = { "iommu", "iommu is not a known mode", "iommu given twice",
			"write iommu=auto, off or require" },
	[KEY_SERIAL] = { "serial", "serial is neither on nor off", "serial given twice",
			 "write serial=on or serial=off" },
	[KEY_SERIAL_PORT] = { "serial_port", "serial_port is not a port number",
			      "serial_port given twice", "write for example serial_port=0x3f8" },
	[KEY_ROOT_CMDLINE] = { "root_cmdline", "root_cmdline is empty or longer than 2047 bytes",
			       "root_cmdline given twice",
			       "shorten it; write root_cmdline=\"\" for none" },
};

/* A piece of the text: bytes [at, at + len). quoted: backslash escapes are to be undone. */
struct slice {
	size_t at, len;
	bool quoted;
};

struct word {
	struct slice key, value;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool is_control(char c)
{
	return ((unsigned char)c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f;
}

static bool same(const char *text, const struct slice *s, const char *name)
{
	size_t i = 0;

	while (i < s->len && name[i] != 0 && text[s->at + i] == name[i]) {
		i++;
	}
	return i == s->len && name[i] == 0;
}

/* Decimal or 0x; with_unit allows one of K, M, G at the end. Refuses overflow. */
static bool number(const char *text, const struct slice *s, bool with_unit, uint64_t *out)
{
	const char *p = text + s->at;
	size_t i = 0, end = s->len;
	uint64_t base = 10, value = 0, unit = 1;

	if (with_unit && end > 0) {
		char c = p[end - 1];

		unit = c == 'K' ? 1ull << 10 : c == 'M' ? 1ull << 20 : c == 'G' ? 1ull << 30 : 1;
		end -= unit != 1 ? 1 : 0;
	}
	if (end > 2 && p[0] == '0' && p[1] == 'x') {
		base = 16;
		i = 2;
	}
	if (i == end) {
		return false;
	}
	for (; i < end; i++) {
		char c = p[i];
		uint64_t digit;

		if (c >= '0' && c <= '9') {
			digit = (uint64_t)(c - '0');
		} else if (base == 16 && c >= 'a' && c <= 'f') {
			digit = (uint64_t)(c - 'a') + 10;
		} else if (base == 16 && c >= 'A' && c <= 'F') {
			digit = (uint64_t)(c - 'A') + 10;
		} else {
			return false;
		}
		if (value > (UINT64_MAX - digit) / base) {
			return false;
		}
		value = value * base + digit;
	}
	if (value > UINT64_MAX / unit) {
		return false;
	}
	*out = value * unit;
	return true;
}

static bool on_off(const char *text, const struct slice *s, bool *out)
{
	if (same(text, s, "on")) {
		*out = true;
		return true;
	}
	if (same(text, s, "off")) {
		*out = false;
		return true;
	}
	return false;
}

static bool loglevel(const char *text, const struct slice *s, enum options_log *out)
{
	if (same(text, s, "error")) {
		*out = OPTIONS_LOG_ERROR;
	} else if (same(text, s, "warn")) {
		*out = OPTIONS_LOG_WARN;
	} else if (same(text, s, "info")) {
		*out = OPTIONS_LOG_INFO;
	} else if (same(text, s, "debug")) {
		*out = OPTIONS_LOG_DEBUG;
	} else {
		return false;
	}
	return true;
}

static bool iommu(const char *text, const struct slice *s, enum options_iommu *out)
{
	if (same(text, s, "auto")) {
		*out = OPTIONS_IOMMU_AUTO;
	} else if (same(text, s, "off")) {
		*out = OPTIONS_IOMMU_OFF;
	} else if (same(text, s, "require")) {
		*out = OPTIONS_IOMMU_REQUIRE;
	} else {
		return false;
	}
	return true;
}

static bool is_escape(const char *text, const struct slice *s, size_t i)
{
	char next;

	if (!s->quoted || text[s->at + i] != '\\' || s->len - i < 2) {
		return false;
	}
	next = text[s->at + i + 1];
	return next == '"' || next == '\\' || next == '\'';
}

/* One that is too long leaves the one before as it was. */
static bool root_cmdline(const char *text, const struct slice *s, struct hv_options *o)
{
	size_t used = 0;

	for (size_t i = 0; i < s->len; i++, used++) {
		i += is_escape(text, s, i);
	}
	if (used >= sizeof(o->root_cmdline)) {
		return false;
	}
	used = 0;
	for (size_t i = 0; i < s->len; i++) {
		i += is_escape(text, s, i);
		o->root_cmdline[used++] = text[s->at + i];
	}
	memset(o->root_cmdline + used, 0, sizeof(o->root_cmdline) - used);
	o->root_cmdline_set = true;
	return true;
}

static bool set_value(const char *text, enum key key, const struct slice *s, struct hv_options *o)
{
	uint64_t n = 0;

	switch (key) {
	case KEY_POOL:
		if (!number(text, s, true, &n) || n % (2ull << 20) != 0) {
			return false;
		}
		o->pool_bytes = n;
		return true;
	case KEY_CPUS:
		if (!number(text, s, false, &n) || n > UINT32_MAX) {
			return false;
		}
		o->root_cpus = (uint32_t)n;
		return true;
	case KEY_DEBUGCON:
		return on_off(text, s, &o->debugcon);
	case KEY_LOGLEVEL:
		return loglevel(text, s, &o->loglevel);
	case KEY_IOMMU:
		return iommu(text, s, &o->iommu);
	case KEY_SERIAL:
		return on_off(text, s, &o->serial);
	case KEY_SERIAL_PORT:
		/* A UART has eight ports. */
		if (!number(text, s, false, &n) || n == 0 || n > 0xfff8) {
			return false;
		}
		o->serial_port = (uint16_t)n;
		return true;
	case KEY_ROOT_CMDLINE:
		return root_cmdline(text, s, o);
	default:
		return false;
	}
}

/* Applies one key=value; *seen has a bit per key. */
static bool apply(const char *text, const struct word *w, uint32_t *seen, struct hv_options *o,
		  const char *what, uint64_t where, struct wire_fault *why)
{
	for (unsigned int k = 0; k < KEY_COUNT; k++) {
		if (!same(text, &w->key, keys[k].name)) {
			continue;
		}
		if ((*seen & (1u << k)) != 0) {
			return wire_fail(why, what, keys[k].twice, "remove one of the two", where);
		}
		*seen |= 1u << k;
		/* Nothing at all is a slip; "" is meant. */
		if ((w->value.len == 0 && !w->value.quoted) ||
		    !set_value(text, (enum key)k, &w->value, o)) {
			return wire_fail(why, what, keys[k].bad, keys[k].remedy, where);
		}
		return true;
	}
	return wire_fail(
		why, what, "unknown key",
		"known keys: pool cpus debugcon loglevel iommu serial serial_port root_cmdline",
		where);
}

/*
 * From just behind an opening quote to the closing one: *out is what lies between, and the result
 * the offset behind it; 0 where it does not close before `end`.
 */
static size_t quoted(const char *text, size_t at, size_t end, struct slice *out)
{
	size_t i = at;

	out->at = at;
	out->len = end - at;
	out->quoted = true;
	while (i < end && text[i] != '"') {
		i += is_escape(text, out, i - at) ? 2 : 1;
	}
	if (i >= end) {
		return 0;
	}
	out->len = i - at;
	return i + 1;
}

/* Splits s at its first '='; false where there is none or nothing before it. */
static bool split(const char *text, const struct slice *s, struct word *w)
{
	for (size_t i = 0; i < s->len; i++) {
		if (text[s->at + i] == '=') {
			w->key.at = s->at;
			w->key.len = i;
			w->value.at = s->at + i + 1;
			w->value.len = s->len - i - 1;
			w->value.quoted = s->quoted;
			return i > 0;
		}
	}
	return false;
}

/* The image's file name: a path without '=' before its first '/', or a word that ends in ".elf". */
static bool is_path(const char *text, const struct slice *s)
{
	static const char suffix[] = { '.', 'e', 'l', 'f' };
	bool elf = s->len > sizeof(suffix);

	for (size_t i = 0; elf && i < sizeof(suffix); i++) {
		elf = text[s->at + s->len - sizeof(suffix) + i] == suffix[i];
	}
	for (size_t i = 0; i < s->len; i++) {
		if (text[s->at + i] == '=') {
			return false;
		}
		if (text[s->at + i] == '/') {
			return true;
		}
	}
	return elf;
}

/*
 * One word of a command line from `at`: key=value, key="value" or "key=value" (GRUB passes the last
 * where one wrote the second). *raw is the word without outer quotes. Result: offset behind it, or
 * 0.
 */
static size_t next_word(const char *text, size_t at, size_t end, struct slice *raw,
			struct slice *value)
{
	size_t i = at;

	value->len = 0;
	value->quoted = false;
	if (text[at] == '"') {
		i = quoted(text, at + 1, end, raw);
		return i != 0 && (i == end || is_blank(text[i])) ? i : 0;
	}
	raw->at = at;
	raw->quoted = false;
	while (i < end && !is_blank(text[i]) && text[i] != '"') {
		i++;
	}
	raw->len = i - at;
	if (i < end && text[i] == '"') {
		/* Only directly behind the first '='. */
		if (text[i - 1] != '=') {
			return 0;
		}
		i = quoted(text, i + 1, end, value);
		return i != 0 && (i == end || is_blank(text[i])) ? i : 0;
	}
	return i;
}

/* Purpose: the values that hold without any option. */
void options_defaults(struct hv_options *o)
{
	memset(o, 0, sizeof(*o));
	o->loglevel = OPTIONS_LOG_INFO;
	o->iommu = OPTIONS_IOMMU_AUTO;
	o->serial = true;
	o->serial_port = 0x3f8;
}

/*
 * Purpose: options on the command line; see the header for the grammar.
 * Trust: text[0..len) is hostile (whoever edits the boot entry). Refuses: see the header; also
 * control
 * characters and quotes that do not close. In quotes, \" \\ and \' stand for the second character.
 */
bool options_parse_cmdline(const char *text, size_t len, struct hv_options *o,
			   struct wire_fault *why)
{
	uint32_t seen = 0;
	bool first = true;
	size_t i = 0;

	wire_ok(why);
	for (size_t k = 0; k < len; k++) {
		if (is_control(text[k]) || text[k] == '\n') {
			return wire_fail(why, WHAT_CMDLINE, "control character", REMEDY_SYNTAX, k);
		}
	}
	while (i < len) {
		struct slice raw, value;
		struct word w;
		size_t next;

		if (is_blank(text[i])) {
			i++;
			continue;
		}
		next = next_word(text, i, len, &raw, &value);
		if (next == 0) {
			return wire_fail(why, WHAT_CMDLINE, "misplaced or unclosed quote",
					 REMEDY_SYNTAX, i);
		}
		if (!first || !is_path(text, &raw)) {
			if (!split(text, &raw, &w)) {
				return wire_fail(why, WHAT_CMDLINE, "word without key or '='",
						 REMEDY_SYNTAX, i);
			}
			if (value.quoted && w.value.len != 0) {
				return wire_fail(why, WHAT_CMDLINE, "misplaced or unclosed quote",
						 REMEDY_SYNTAX, i);
			}
			if (value.quoted) {
				w.value = value;
			}
			if (!apply(text, &w, &seen, o, WHAT_CMDLINE, i, why)) {
				return false;
			}
		}
		first = false;
		i = next;
	}
	return true;
}

static void trim(const char *text, struct slice *s)
{
	while (s->len > 0 && is_blank(text[s->at])) {
		s->at++;
		s->len--;
	}
	while (s->len > 0 && is_blank(text[s->at + s->len - 1])) {
		s->len--;
	}
}

/* One trimmed, not empty line into key and value. NULL: fine; otherwise what is wrong with it. */
static const char *config_line(const char *text, const struct slice *line, struct word *w)
{
	size_t end = line->at + line->len, i;

	if (!split(text, line, w)) {
		return "line without key or '='";
	}
	trim(text, &w->key);
	trim(text, &w->value);
	if (w->value.len > 0 && text[w->value.at] == '"') {
		i = quoted(text, w->value.at + 1, end, &w->value);
		if (i == 0) {
			return "unclosed quote";
		}
		while (i < end && is_blank(text[i])) {
			i++;
		}
		return i == end || text[i] == '#' ? NULL : "text behind a closing quote";
	}
	for (i = 0; i < w->value.len; i++) {
		char c = text[w->value.at + i];

		if (c == '"') {
			return "misplaced quote";
		}
		/* Only behind a blank: a kernel argument may contain '#'. */
		if (c == '#' && (i == 0 || is_blank(text[w->value.at + i - 1]))) {
			w->value.len = i;
			trim(text, &w->value);
			break;
		}
	}
	return NULL;
}

/*
 * Purpose: options in the configuration module, one `key = value` per line.
 * Trust: text[0..len) is hostile. Refuses: what options_parse_cmdline refuses; '#' starts a comment
 * at
 * a line's beginning or behind a blank. Without quotes the value is the rest of the line.
 */
bool options_parse_config(const char *text, size_t len, struct hv_options *o,
			  struct wire_fault *why)
{
	uint32_t seen = 0;
	uint64_t number_of_line = 0;
	size_t start = 0;

	wire_ok(why);
	while (start < len) {
		struct slice line = { start, 0, false };
		struct word w;
		const char *wrong;

		number_of_line++;
		while (start < len && text[start] != '\n') {
			if (is_control(text[start])) {
				return wire_fail(why, WHAT_CONFIG, "control character",
						 "write the configuration as plain text",
						 number_of_line);
			}
			start++;
		}
		line.len = start - line.at;
		start++;
		trim(text, &line);
		if (line.len == 0 || text[line.at] == '#') {
			continue;
		}
		wrong = config_line(text, &line, &w);
		if (wrong != NULL) {
			return wire_fail(why, WHAT_CONFIG, wrong, REMEDY_SYNTAX, number_of_line);
		}
		if (!apply(text, &w, &seen, o, WHAT_CONFIG, number_of_line, why)) {
			return false;
		}
	}
	return true;
}

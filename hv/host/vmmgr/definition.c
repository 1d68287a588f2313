/* SPDX-License-Identifier: MIT */
/*
 * Definition files are YAML of one shape: a mapping of keys to scalars, and for disks and NICs to lists of such mappings. The
 * events of libyaml are followed to that depth and no further; anchors, aliases, tags and further documents are refused, and
 * what a scalar means is decided here, not by its look.
 */
#include "hv/host/vmmgr/definition.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "attest/core/format.h"

#define VALUE_MAX 1024

struct value { /* a scalar: its key, where it stands, and its text */
	char key[64];
	uint32_t line;
	bool plain; /* without quotes */
	char text[VALUE_MAX];
};

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the current one; type YAML_NO_EVENT: none */
	struct definition_fault *fault;
};

/* ---- faults ---- */

static bool refuse(struct definition_fault *fault, uint32_t line, const char *key,
		   const char *remedy, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* Parts of the text may come from the file. */
static void printable(char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || (unsigned char)*text == 0x7f) {
			*text = '?';
		}
	}
}

static bool refuse(struct definition_fault *fault, uint32_t line, const char *key,
		   const char *remedy, const char *format, ...)
{
	va_list arguments;

	memset(fault, 0, sizeof(*fault));
	fault->line = line;
	(void)snprintf(fault->key, sizeof(fault->key), "%s", key);
	(void)snprintf(fault->remedy, sizeof(fault->remedy), "%s", remedy);
	va_start(arguments, format);
	(void)vsnprintf(fault->text, sizeof(fault->text), format, arguments);
	va_end(arguments);
	printable(fault->key);
	printable(fault->text);
	return false;
}

bool definition_name_good(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789._-";
	size_t length = strlen(name);

	return length >= 1 && length <= DEFINITION_NAME_MAX && strspn(name, good) == length &&
	       name[0] != '.' && name[0] != '-';
}

/* ---- values ---- */

/* Printable text that is not empty and fits. */
static bool get_text(const struct value *v, char *to, size_t room, bool ascii,
		     struct definition_fault *fault)
{
	if (v->text[0] == '\0') {
		return refuse(fault, v->line, v->key, "give a value or leave the key out",
			      "no value");
	}
	if (strlen(v->text) >= room) {
		return refuse(fault, v->line, v->key, "shorten it", "%zu bytes, at most %zu",
			      strlen(v->text), room - 1);
	}
	for (const char *p = v->text; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if (c < 0x20 || c == 0x7f || (ascii && c >= 0x80)) {
			return refuse(fault, v->line, v->key, "remove it",
				      "character 0x%02x in the text", c);
		}
	}
	(void)snprintf(to, room, "%s", v->text);
	return true;
}

static bool get_path(const struct value *v, char *to, struct definition_fault *fault)
{
	if (!get_text(v, to, DEFINITION_PATH_MAX + 1, false, fault)) {
		return false;
	}
	/* The manager has a working folder of its own. */
	return to[0] == '/' || refuse(fault, v->line, v->key, "write the whole path, from / on",
				      "not an absolute path");
}

static bool get_number(const struct value *v, uint32_t least, uint32_t most, uint32_t *to,
		       struct definition_fault *fault)
{
	size_t length = strlen(v->text);
	unsigned long value;

	/* Nine digits fit; no sign, no other base, no unit. */
	if (!v->plain || length == 0 || strspn(v->text, "0123456789") != length ||
	    (length > 1 && v->text[0] == '0')) {
		return refuse(fault, v->line, v->key, "write digits only, without quotes",
			      "not a whole number");
	}
	value = length <= 9 ? strtoul(v->text, NULL, 10) : UINT32_MAX;
	if (value < least || value > most) {
		return refuse(fault, v->line, v->key, "choose a value in that range",
			      "%.12s is not within %u to %u", v->text, least, most);
	}
	*to = (uint32_t)value;
	return true;
}

static bool get_truth(const struct value *v, bool *to, struct definition_fault *fault)
{
	*to = strcmp(v->text, "true") == 0;
	return (v->plain && (*to || strcmp(v->text, "false") == 0)) ||
	       refuse(fault, v->line, v->key, "write true or false", "neither true nor false");
}

static bool get_mac(const struct value *v, uint8_t mac[6], struct definition_fault *fault)
{
	static const char remedy[] = "write six bytes as 02:00:00:00:00:01, the first one even";
	static const char digits[] = "0123456789abcdefABCDEF";
	bool zero = true;

	for (unsigned int i = 0; i < 6; i++) {
		/* Shorter texts end in a NUL, which is neither a digit nor a colon. */
		const char *at = v->text + (size_t)i * 3;
		char byte[3] = { 0 };

		if (strspn(at, digits) != 2 || at[2] != (i == 5 ? '\0' : ':')) {
			return refuse(fault, v->line, v->key, remedy, "not a MAC address");
		}
		memcpy(byte, at, 2);
		mac[i] = (uint8_t)strtoul(byte, NULL, 16);
		zero = zero && mac[i] == 0;
	}
	return (!zero && (mac[0] & 1) == 0) ||
	       refuse(fault, v->line, v->key, remedy, "not the address of one station");
}

/* ---- events ---- */

static uint32_t line_of(const struct reader *r)
{
	/* Files have at most DEFINITION_BYTES_MAX lines. */
	return (uint32_t)r->event.start_mark.line + 1;
}

/* The next event. Errors of the syntax end here. */
static bool next(struct reader *r)
{
	yaml_event_delete(&r->event);
	if (yaml_parser_parse(&r->parser, &r->event) != 1) {
		uint32_t line = (uint32_t)r->parser.problem_mark.line + 1;

		memset(&r->event, 0, sizeof(r->event));
		return refuse(r->fault, line, "",
			      "write key: value, one on a line, see redoubt-vm(5)", "%s",
			      r->parser.problem != NULL ? r->parser.problem : "not YAML");
	}
	return true;
}

static bool expect(struct reader *r, yaml_event_type_t type, const char *key, const char *remedy,
		   const char *what)
{
	return next(r) &&
	       (r->event.type == type || refuse(r->fault, line_of(r), key, remedy, "%s", what));
}

/* The current event is a scalar and nothing but a scalar. */
static bool scalar(struct reader *r, const char *key, char *to, size_t room)
{
	const char *text = (const char *)r->event.data.scalar.value;
	size_t length;

	if (r->event.type != YAML_SCALAR_EVENT) {
		return refuse(r->fault, line_of(r), key, "give one value", "not a single value");
	}
	length = r->event.data.scalar.length;
	if (r->event.data.scalar.anchor != NULL || r->event.data.scalar.tag != NULL) {
		return refuse(r->fault, line_of(r), key, "remove it", "an anchor or a tag");
	}
	if (length >= room || memchr(text, '\0', length) != NULL) {
		return refuse(r->fault, line_of(r), key, "shorten it", "longer than %zu bytes",
			      room - 1);
	}
	memcpy(to, text, length);
	to[length] = '\0';
	return true;
}

/* A key, and its bit among those of the list; each once. *end: there is none, the mapping ends. */
static bool next_key(struct reader *r, struct value *v, const char *const *keys, const char *remedy,
		     uint32_t *seen, unsigned int *which, bool *end)
{
	if (!next(r)) {
		return false;
	}
	*end = r->event.type == YAML_MAPPING_END_EVENT;
	if (*end) {
		return true;
	}
	v->line = line_of(r);
	if (!scalar(r, "", v->key, sizeof(v->key))) {
		return false;
	}
	for (unsigned int i = 0; keys[i] != NULL; i++) {
		if (strcmp(v->key, keys[i]) == 0) {
			*which = i;
			if ((*seen >> i & 1) != 0) {
				return refuse(r->fault, v->line, v->key, "keep one of them",
					      "given twice");
			}
			*seen |= 1u << i;
			return true;
		}
	}
	return refuse(r->fault, v->line, v->key, remedy, "unknown key");
}

static bool next_value(struct reader *r, struct value *v)
{
	if (!next(r) || !scalar(r, v->key, v->text, sizeof(v->text))) {
		return false;
	}
	v->plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return true;
}

/* ---- lists ---- */

static bool get_disk(struct reader *r, struct definition_disk *disk)
{
	static const char *const keys[] = { "path", "read_only", NULL };
	uint32_t seen = 0, line = line_of(r);
	unsigned int which = 0;
	struct value v;
	bool end;

	for (;;) {
		if (!next_key(r, &v, keys, "a disk has path and read_only", &seen, &which, &end)) {
			return false;
		}
		if (end) {
			return disk->path[0] != '\0' ||
			       refuse(r->fault, line, "path", "add path: /...",
				      "missing in a disk");
		}
		if (!next_value(r, &v) ||
		    !(which == 0 ? get_path(&v, disk->path, r->fault)
				 : get_truth(&v, &disk->read_only, r->fault))) {
			return false;
		}
	}
}

static bool get_nic(struct reader *r, struct definition_nic *nic)
{
	static const char *const keys[] = { "mac", "uplink", NULL };
	unsigned int which = 0;
	uint32_t seen = 0;
	struct value v;
	bool end;

	for (;;) {
		if (!next_key(r, &v, keys, "a NIC has mac and uplink", &seen, &which, &end)) {
			return false;
		}
		if (end) {
			return true;
		}
		if (!next_value(r, &v) ||
		    !(which == 0
			      ? get_mac(&v, nic->mac, r->fault)
			      : get_text(&v, nic->uplink, sizeof(nic->uplink), true, r->fault))) {
			return false;
		}
		if (which == 1 && !definition_name_good(nic->uplink)) {
			return refuse(r->fault, v.line, v.key, "name a TAP interface, such as tap0",
				      "not the name of an interface");
		}
	}
}

/* The start of an entry of a list, or its end. */
static bool next_entry(struct reader *r, const char *key, uint32_t count, uint32_t most, bool *end)
{
	static const char remedy[] = "write a list: - key: value";

	if (!next(r)) {
		return false;
	}
	*end = r->event.type == YAML_SEQUENCE_END_EVENT;
	if (*end) {
		return true;
	}
	if (count == most) {
		return refuse(r->fault, line_of(r), key, "remove some", "more than %u", most);
	}
	if (r->event.type != YAML_MAPPING_START_EVENT) {
		return refuse(r->fault, line_of(r), key, remedy, "entry %u is not key: value",
			      count + 1);
	}
	return (r->event.data.mapping_start.anchor == NULL &&
		r->event.data.mapping_start.tag == NULL) ||
	       refuse(r->fault, line_of(r), key, "remove it", "an anchor or a tag");
}

static bool start_list(struct reader *r, const char *key)
{
	return expect(r, YAML_SEQUENCE_START_EVENT, key, "write a list: - key: value",
		      "not a list") &&
	       ((r->event.data.sequence_start.anchor == NULL &&
		 r->event.data.sequence_start.tag == NULL) ||
		refuse(r->fault, line_of(r), key, "remove it", "an anchor or a tag"));
}

static bool get_disks(struct reader *r, struct definition *d)
{
	bool end;

	if (!start_list(r, "disks")) {
		return false;
	}
	for (;;) {
		uint32_t line;

		if (!next_entry(r, "disks", d->disk_count, DEFINITION_DISKS_MAX, &end)) {
			return false;
		}
		if (end) {
			return true;
		}
		line = line_of(r);
		if (!get_disk(r, &d->disk[d->disk_count])) {
			return false;
		}
		for (uint32_t i = 0; i < d->disk_count; i++) {
			if (strcmp(d->disk[i].path, d->disk[d->disk_count].path) == 0) {
				return refuse(r->fault, line, "path",
					      "give each disk a file of its own",
					      "the same file as disk %u", i + 1);
			}
		}
		d->disk_count++;
	}
}

static bool get_nics(struct reader *r, struct definition *d)
{
	bool end;

	if (!start_list(r, "nics")) {
		return false;
	}
	for (;;) {
		if (!next_entry(r, "nics", d->nic_count, DEFINITION_NICS_MAX, &end)) {
			return false;
		}
		if (end) {
			return true;
		}
		if (!get_nic(r, &d->nic[d->nic_count])) {
			return false;
		}
		d->nic_count++;
	}
}

/* ---- the whole ---- */

enum top {
	TOP_NAME,
	TOP_MEMORY,
	TOP_VPS,
	TOP_WEIGHT,
	TOP_KERNEL,
	TOP_INITRD,
	TOP_CMDLINE,
	TOP_DISKS,
	TOP_NICS,
	TOP_ATTEST,
	TOP_SVN
};

static bool get_name(const struct value *v, struct definition *d, struct definition_fault *fault)
{
	return get_text(v, d->name, sizeof(d->name), true, fault) &&
	       (definition_name_good(d->name) ||
		refuse(fault, v->line, v->key,
		       "use letters, digits, '.', '_', '-', first a letter or digit",
		       "not a name"));
}

static bool get_memory(const struct value *v, struct definition *d, struct definition_fault *fault)
{
	return get_number(v, DEFINITION_MEMORY_MIN_MIB, DEFINITION_MEMORY_MAX_MIB, &d->memory_mib,
			  fault) &&
	       (d->memory_mib % 2 == 0 ||
		refuse(fault, v->line, v->key, "give an even number of MiB",
		       "not a multiple of 2 MiB"));
}

static bool get_attest(const struct value *v, struct definition *d, struct definition_fault *fault)
{
	bool yes;

	if (!get_truth(v, &yes, fault)) {
		return false;
	}
	d->attest = yes ? DEFINITION_ATTEST_YES : DEFINITION_ATTEST_NO;
	return true;
}

static bool get_top(const struct value *v, enum top which, struct definition *d,
		    struct definition_fault *fault)
{
	switch (which) {
	case TOP_NAME:
		return get_name(v, d, fault);
	case TOP_MEMORY:
		return get_memory(v, d, fault);
	case TOP_VPS:
		return get_number(v, 1, DEFINITION_VPS_MAX, &d->vps, fault);
	case TOP_WEIGHT:
		return get_number(v, 1, 1000, &d->weight, fault);
	case TOP_KERNEL:
		return get_path(v, d->kernel, fault);
	case TOP_INITRD:
		return get_path(v, d->initrd, fault);
	case TOP_ATTEST:
		return get_attest(v, d, fault);
	case TOP_SVN:
		return get_number(v, 0, 999999999, &d->svn, fault);
	default:
		return get_text(v, d->cmdline, sizeof(d->cmdline), true, fault);
	}
}

static bool get_mapping(struct reader *r, struct definition *d)
{
	static const char *const keys[] = {
		[TOP_NAME] = "name",       [TOP_MEMORY] = "memory", [TOP_VPS] = "vps",
		[TOP_WEIGHT] = "weight",   [TOP_KERNEL] = "kernel", [TOP_INITRD] = "initrd",
		[TOP_CMDLINE] = "cmdline", [TOP_DISKS] = "disks",   [TOP_NICS] = "nics",
		[TOP_ATTEST] = "attest",   [TOP_SVN] = "svn",       NULL
	};
	static const char remedy[] =
		"known: name memory vps weight kernel initrd cmdline disks nics attest svn";
	unsigned int which = 0;
	uint32_t seen = 0;
	struct value v;
	bool good, end;

	for (;;) {
		if (!next_key(r, &v, keys, remedy, &seen, &which, &end)) {
			return false;
		}
		if (end) {
			return true;
		}
		if (which == TOP_DISKS) {
			good = get_disks(r, d);
		} else if (which == TOP_NICS) {
			good = get_nics(r, d);
		} else {
			good = next_value(r, &v) && get_top(&v, (enum top)which, d, r->fault);
		}
		if (!good) {
			return false;
		}
	}
}

static bool get_document(struct reader *r, struct definition *d)
{
	static const char remedy[] = "write key: value, one on a line, see redoubt-vm(5)";

	return expect(r, YAML_STREAM_START_EVENT, "", remedy, "not YAML") &&
	       expect(r, YAML_DOCUMENT_START_EVENT, "", remedy, "an empty definition") &&
	       expect(r, YAML_MAPPING_START_EVENT, "", remedy, "not key: value") &&
	       ((r->event.data.mapping_start.anchor == NULL &&
		 r->event.data.mapping_start.tag == NULL) ||
		refuse(r->fault, line_of(r), "", "remove it", "an anchor or a tag")) &&
	       get_mapping(r, d) &&
	       expect(r, YAML_DOCUMENT_END_EVENT, "", remedy, "more after the end") &&
	       expect(r, YAML_STREAM_END_EVENT, "", "one file defines one machine",
		      "another document");
}

/* MAC addresses that were not given: locally administered, of one station. */
static void default_macs(struct definition *d)
{
	static const uint8_t none[6];

	for (uint32_t i = 0; i < d->nic_count; i++) {
		uint8_t bytes[16];

		if (memcmp(d->nic[i].mac, none, 6) == 0) {
			definition_derive(d->name, 0x4d4143, i, bytes);
			memcpy(d->nic[i].mac, bytes, 6);
			d->nic[i].mac[0] = (uint8_t)((bytes[0] & 0xfc) | 2);
		}
	}
}

static bool complete(struct definition *d, struct definition_fault *fault)
{
	if (d->name[0] == '\0') {
		return refuse(fault, 0, "name", "add name: ...", "missing");
	}
	if (d->memory_mib == 0) {
		return refuse(fault, 0, "memory", "add memory: 512 (MiB)", "missing");
	}
	if (d->kernel[0] == '\0') {
		return refuse(fault, 0, "kernel", "add kernel: /... (a bzImage)", "missing");
	}
	default_macs(d);
	for (uint32_t i = 0; i < d->nic_count; i++) {
		for (uint32_t j = 0; j < i; j++) {
			if (memcmp(d->nic[i].mac, d->nic[j].mac, 6) == 0) {
				return refuse(fault, 0, "mac", "give each NIC its own",
					      "NICs %u and %u have the same", j + 1, i + 1);
			}
		}
	}
	return true;
}

/* What libyaml would take for the end of the text, or for a line break that no editor counts. */
static bool look_over(const char *text, size_t size, struct definition_fault *fault)
{
	uint32_t line = 1;

	if (size == 0 || size > DEFINITION_BYTES_MAX) {
		return refuse(fault, 0, "", "give a definition file, see redoubt-vm(5)",
			      "%zu bytes, expected 1 to %u", size, DEFINITION_BYTES_MAX);
	}
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\n') {
			line++;
		} else if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f) {
			return refuse(fault, line, "", "write it with a text editor, in UTF-8",
				      "control character 0x%02x", c);
		}
	}
	return true;
}

bool definition_parse(const char *text, size_t size, struct definition *d,
		      struct definition_fault *fault)
{
	struct reader r = { .fault = fault };
	bool good;

	memset(d, 0, sizeof(*d));
	memset(fault, 0, sizeof(*fault));
	d->vps = 1;
	d->weight = 100;
	if (!look_over(text, size, fault)) {
		return false;
	}
	if (yaml_parser_initialize(&r.parser) != 1) {
		return refuse(fault, 0, "", "free some memory", "out of memory");
	}
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
	good = get_document(&r, d) && complete(d, fault);
	yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	return good;
}

uint32_t definition_devices(const struct definition *d)
{
	return ATTEST_DEVICE_CONSOLE | ATTEST_DEVICE_SHUTDOWN | ATTEST_DEVICE_HEARTBEAT |
	       ATTEST_DEVICE_TIME | (d->attest != DEFINITION_ATTEST_NO ? ATTEST_DEVICE_REPORT : 0);
}

/* FNV-1a, two lanes; nothing here is a secret, only stable and different. */
void definition_derive(const char *name, uint32_t kind, uint32_t index, uint8_t out[16])
{
	for (unsigned int lane = 0; lane < 2; lane++) {
		uint64_t hash = 0xcbf29ce484222325u ^ (lane * 0x9e3779b97f4a7c15u);
		uint8_t numbers[8];

		for (unsigned int i = 0; i < 4; i++) {
			numbers[i] = (uint8_t)(kind >> (8 * i));
			numbers[4 + i] = (uint8_t)(index >> (8 * i));
		}
		for (const char *p = name; *p != '\0'; p++) {
			hash = (hash ^ (uint8_t)*p) * 0x100000001b3u;
		}
		for (unsigned int i = 0; i < 8; i++) {
			hash = (hash ^ numbers[i]) * 0x100000001b3u;
		}
		/* The last bytes reach every bit. */
		hash ^= hash >> 32;
		hash *= 0xd6e8feb86659fd93u;
		hash ^= hash >> 32;
		for (unsigned int i = 0; i < 8; i++) {
			out[lane * 8 + i] = (uint8_t)(hash >> (8 * i));
		}
	}
}

/* SPDX-License-Identifier: MIT */
#include "hv/host/vmmgr/request.h"

#include <jansson.h>
#include <string.h>

#define TIMEOUT_DEFAULT_S 60

enum key_bits {
	KEY_NAME = 1,
	KEY_FILE = 2,
	KEY_DEFINITION = 4,
	KEY_TIMEOUT = 8,
	KEY_AGAIN = 16,
};

struct verb_row {
	const char *word;
	unsigned int must, may;
};

static const struct verb_row verbs[REQUEST_VERBS] = {
	[REQUEST_CREATE] = { "create", KEY_DEFINITION, KEY_FILE | KEY_AGAIN },
	[REQUEST_DELETE] = { "delete", KEY_NAME, 0 },
	[REQUEST_START] = { "start", KEY_NAME, 0 },
	[REQUEST_STOP] = { "stop", KEY_NAME, KEY_TIMEOUT },
	[REQUEST_KILL] = { "kill", KEY_NAME, 0 },
	[REQUEST_LIST] = { "list", 0, 0 },
	[REQUEST_SHOW] = { "show", KEY_NAME, 0 },
	[REQUEST_CONSOLE] = { "console", KEY_NAME, 0 },
	[REQUEST_PS] = { "ps", 0, KEY_NAME },
	[REQUEST_RECORD] = { "record", KEY_NAME, 0 },
};

static bool refuse(const char **why, const char *text)
{
	*why = text;
	return false;
}

/* A JSON text that fits. It has no NUL: without JSON_ALLOW_NUL jansson takes none. */
static bool take_text(const json_t *value, char *to, size_t room, uint32_t *length)
{
	size_t size;

	if (!json_is_string(value)) {
		return false;
	}
	size = json_string_length(value);
	if (size >= room) {
		return false;
	}
	memcpy(to, json_string_value(value), size);
	to[size] = '\0';
	if (length != NULL) {
		*length = (uint32_t)size;
	}
	return true;
}

static bool take_verb(const json_t *value, struct request *r, const char **why)
{
	const char *word = json_string_value(value);

	for (unsigned int i = 0; word != NULL && i < REQUEST_VERBS; i++) {
		if (strcmp(word, verbs[i].word) == 0) {
			r->verb = (enum request_verb)i;
			return true;
		}
	}
	return refuse(why, word == NULL ? "verb: missing or not a text" : "verb: unknown");
}

static bool take_timeout(const json_t *value, struct request *r)
{
	json_int_t seconds = json_integer_value(value);

	if (!json_is_integer(value) || seconds < 0 || seconds > REQUEST_TIMEOUT_MAX) {
		return false;
	}
	r->timeout_s = (uint32_t)seconds;
	return true;
}

static bool take_key(const char *key, const json_t *value, struct request *r, unsigned int *have,
		     const char **why)
{
	if (strcmp(key, "verb") == 0) {
		return true;
	}
	if (strcmp(key, "name") == 0) {
		*have |= KEY_NAME;
		return (take_text(value, r->name, sizeof(r->name), NULL) &&
			definition_name_good(r->name)) ||
		       refuse(why, "name: not the name of a machine");
	}
	if (strcmp(key, "file") == 0) {
		*have |= KEY_FILE;
		return take_text(value, r->file, sizeof(r->file), NULL) ||
		       refuse(why, "file: not a text, or too long");
	}
	if (strcmp(key, "definition") == 0) {
		*have |= KEY_DEFINITION;
		return take_text(value, r->definition, sizeof(r->definition),
				 &r->definition_size) ||
		       refuse(why, "definition: not a text, or too long");
	}
	if (strcmp(key, "timeout") == 0) {
		*have |= KEY_TIMEOUT;
		return take_timeout(value, r) ||
		       refuse(why, "timeout: not a number of seconds from 0 to 3600");
	}
	if (strcmp(key, "again") == 0) {
		*have |= KEY_AGAIN;
		r->again = json_is_true(value);
		return json_is_boolean(value) || refuse(why, "again: neither true nor false");
	}
	return refuse(why, "unknown key");
}

static bool take_object(json_t *object, struct request *r, const char **why)
{
	const struct verb_row *row;
	unsigned int have = 0;
	const char *key;
	json_t *value;

	if (!json_is_object(object)) {
		return refuse(why, "not a JSON object");
	}
	if (!take_verb(json_object_get(object, "verb"), r, why)) {
		return false;
	}
	json_object_foreach(object, key, value)
	{
		if (!take_key(key, value, r, &have, why)) {
			return false;
		}
	}
	row = &verbs[r->verb];
	if ((have & row->must) != row->must) {
		return refuse(why, "a key that this verb needs is missing");
	}
	if ((have & ~(row->must | row->may)) != 0) {
		return refuse(why, "a key that this verb does not have");
	}
	return true;
}

bool request_parse(const char *line, size_t size, struct request *r, const char **why)
{
	json_error_t error;
	json_t *object;
	bool good;

	memset(r, 0, sizeof(*r));
	r->timeout_s = TIMEOUT_DEFAULT_S;
	*why = NULL;
	if (size == 0 || size > REQUEST_BYTES_MAX) {
		return refuse(why, "empty, or longer than 64 KiB");
	}
	object = json_loadb(line, size, JSON_REJECT_DUPLICATES, &error);
	if (object == NULL) {
		return refuse(why, "not JSON");
	}
	good = take_object(object, r, why);
	json_decref(object);
	return good;
}

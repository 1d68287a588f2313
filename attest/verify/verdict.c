/* SPDX-License-Identifier: MIT */
/* The list of checks, for people and for programs. */
#include "attest/verify/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void verdict_begin(struct verdict *v)
{
	memset(v, 0, sizeof(*v));
	v->attested = json_object();
}

void verdict_end(struct verdict *v)
{
	json_decref(v->attested);
	v->attested = NULL;
}

static void record(struct verdict *v, const char *id, enum check_state state, const char *format,
		   va_list words)
{
	struct check *c = &v->check[v->count < CHECKS_MAX ? v->count : CHECKS_MAX - 1];

	c->id = id;
	c->state = state;
	vsnprintf(c->text, sizeof(c->text), format, words);
	if (v->count < CHECKS_MAX) {
		v->count++;
	}
}

bool verdict_ok(struct verdict *v, const char *id, const char *format, ...)
{
	va_list words;

	va_start(words, format);
	record(v, id, CHECK_OK, format, words);
	va_end(words);
	return true;
}

bool verdict_skip(struct verdict *v, const char *id, const char *format, ...)
{
	va_list words;

	va_start(words, format);
	record(v, id, CHECK_SKIPPED, format, words);
	va_end(words);
	return true;
}

bool verdict_fail(struct verdict *v, enum verdict_exit exit, const char *id, const char *format,
		  ...)
{
	va_list words;

	va_start(words, format);
	record(v, id, CHECK_FAIL, format, words);
	va_end(words);
	v->exit = exit;
	v->failed = id;
	return false;
}

void verdict_fact(struct verdict *v, const char *key, json_t *value)
{
	json_object_set_new(v->attested, key, value);
}

bool verdict_malformed(struct verdict *v, const char *id, const struct wire_fault *why)
{
	verdict_fact(v, "at", json_integer((json_int_t)(why->value & INT64_MAX)));
	return verdict_fail(v, VERDICT_NOT_AUTHENTIC, id, "%s: %s", why->what, why->field);
}

json_t *json_hex(const void *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = bytes;
	char *text = malloc(2 * n + 1);
	json_t *value;

	if (text == NULL) {
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		text[2 * i] = digits[p[i] >> 4];
		text[2 * i + 1] = digits[p[i] & 15];
	}
	text[2 * n] = '\0';
	value = json_string(text);
	free(text);
	return value;
}

static const char *word(enum verdict_exit exit)
{
	switch (exit) {
	case VERDICT_ACCEPTED:
		return "accepted";
	case VERDICT_USAGE:
		return "usage";
	case VERDICT_NOT_AUTHENTIC:
		return "not authentic";
	case VERDICT_AGAINST_POLICY:
		return "authentic, but against the policy";
	default:
		return "undecidable";
	}
}

static const char *state_word(enum check_state state)
{
	return state == CHECK_OK ? "ok" : state == CHECK_FAIL ? "FAIL" : "skipped";
}

static void print_json(const struct verdict *v, const char *verb)
{
	json_t *checks = json_array();
	json_t *all;

	for (unsigned int i = 0; i < v->count; i++) {
		json_array_append_new(checks, json_pack("{s:s, s:s, s:s}", "id", v->check[i].id,
							"state", state_word(v->check[i].state),
							"text", v->check[i].text));
	}
	all = json_pack("{s:s, s:s, s:i, s:s, s:o}", "verb", verb, "verdict",
			v->exit == VERDICT_ACCEPTED ? "ACCEPTED" : "REJECTED", "exit", (int)v->exit,
			"meaning", word(v->exit), "checks", checks);
	json_object_set_new(all, "failed",
			    v->failed != NULL ? json_string(v->failed) : json_null());
	json_object_set(all, v->authentic ? "attested" : "unverified", v->attested);
	json_dumpf(all, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(all);
}

static void print_facts(const json_t *facts)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)facts, key, value)
	{
		char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII | JSON_COMPACT);

		printf("  %s: %s\n", key, text != NULL ? text : "?");
		free(text);
	}
}

void verdict_line(const struct verdict *v, enum output how, const char *name)
{
	const char *text = v->count != 0 ? v->check[v->count - 1].text : "";
	json_t *line;

	if (how == OUTPUT_JSON) {
		line = json_pack("{s:s, s:s, s:i, s:s?, s:O}", "file", name, "verdict",
				 v->exit == VERDICT_ACCEPTED ? "ACCEPTED" : "REJECTED", "exit",
				 (int)v->exit, "failed", v->failed,
				 v->authentic ? "attested" : "unverified", v->attested);
		json_dumpf(line, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
		putchar('\n');
		json_decref(line);
	} else if (how == OUTPUT_HUMAN && v->exit == VERDICT_ACCEPTED) {
		printf("ACCEPTED %s\n", name);
	} else if (how == OUTPUT_HUMAN) {
		printf("REJECTED %s (%s): %s: %s\n", name, word(v->exit), v->failed, text);
	}
}

int verdict_print(const struct verdict *v, enum output how, const char *verb)
{
	const struct check *last = v->count != 0 ? &v->check[v->count - 1] : NULL;

	if (how == OUTPUT_JSON) {
		print_json(v, verb);
	} else if (how == OUTPUT_HUMAN) {
		for (unsigned int i = 0; i < v->count; i++) {
			printf("%-7s %s: %s\n", state_word(v->check[i].state), v->check[i].id,
			       v->check[i].text);
		}
		if (json_object_size(v->attested) != 0) {
			puts(v->authentic ? "attested:" : "unverified:");
			print_facts(v->attested);
		}
		if (v->exit == VERDICT_ACCEPTED) {
			puts("ACCEPTED");
		} else {
			printf("REJECTED (%s): %s: %s\n", word(v->exit), v->failed,
			       last != NULL ? last->text : "");
		}
	}
	return (int)v->exit;
}

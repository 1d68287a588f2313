/* SPDX-License-Identifier: MIT */
/*
 * The policy: strict JSON. Every key has to be there, none may be unknown or twice, and what is not to be checked has to
 * be written out as "any".
 */
#include <mbedtls/x509_crt.h>

#include "attest/verify/input.h"
#include "attest/verify/policy.h"

#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct reader {
	const char *path;
	const char *text; /* of the file, for the number of a line */
	struct policy *p;
};

/* Line of the first `"key":` in the file; 1 where it is not there. */
static unsigned int line_of(const struct reader *r, const char *key)
{
	char quoted[80];
	const char *at = r->text;
	unsigned int line = 1;
	size_t n = (size_t)snprintf(quoted, sizeof(quoted), "\"%s\"", key);

	for (; *at != '\0'; at++) {
		line += *at == '\n';
		if (strncmp(at, quoted, n) == 0 && at[n + strspn(at + n, " \t\r\n")] == ':') {
			return line;
		}
	}
	return 1;
}

static bool refuse(const struct reader *r, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool refuse(const struct reader *r, const char *key, const char *format, ...)
{
	char text[256];
	va_list words;

	va_start(words, format);
	vsnprintf(text, sizeof(text), format, words);
	va_end(words);
	usage_error("%s:%u: %s: %s", r->path, line_of(r, key), key, text);
	return false;
}

bool policy_list_has(const struct policy_list *l, const uint8_t *digest, size_t n)
{
	for (unsigned int i = 0; i < l->count; i++) {
		if (l->n == n && memcmp(l->digest[i], digest, n) == 0) {
			return true;
		}
	}
	return l->any;
}

static bool is_word(const json_t *value, const char *word)
{
	return json_is_string(value) && strcmp(json_string_value(value), word) == 0;
}

static bool add_digest(const struct reader *r, const char *key, const json_t *item,
		       struct policy_list *out)
{
	uint8_t(*more)[TPM_DIGEST_MAX];
	size_t n;

	if (is_word(item, "absent")) {
		out->absent = true;
		return true;
	}
	if (out->count == POLICY_DIGESTS_MAX) {
		return refuse(r, key, "more than %u digests", POLICY_DIGESTS_MAX);
	}
	more = realloc(out->digest, (out->count + 1u) * sizeof(*more));
	if (more == NULL) {
		return refuse(r, key, "out of memory");
	}
	out->digest = more;
	if (!json_is_string(item) ||
	    !input_hex(json_string_value(item), more[out->count], out->n, &n) || n != out->n) {
		return refuse(r, key, "not a digest of %u hexadecimal digits", 2u * out->n);
	}
	out->count++;
	return true;
}

/* "any", one digest or a list of them, each of n bytes. */
static bool take_list(const struct reader *r, const char *key, const json_t *value, uint16_t n,
		      struct policy_list *out)
{
	size_t i;
	json_t *item;

	out->n = n;
	if (is_word(value, "any")) {
		out->any = true;
		return true;
	}
	if (json_is_string(value)) {
		return add_digest(r, key, value, out);
	}
	if (!json_is_array(value) || json_array_size(value) == 0) {
		return refuse(r, key, "write \"any\", or a list of digests that has one at least");
	}
	json_array_foreach((json_t *)value, i, item)
	{
		if (!add_digest(r, key, item, out)) {
			return false;
		}
	}
	return true;
}

/* One of two words: *out says whether it is the second. */
static bool take_choice(const struct reader *r, const char *key, const json_t *value,
			const char *no, const char *yes, bool *out)
{
	*out = is_word(value, yes);
	return *out || is_word(value, no) ? true
					  : refuse(r, key, "write \"%s\" or \"%s\"", no, yes);
}

static bool take_number(const struct reader *r, const char *key, const json_t *value, uint64_t *out)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0) {
		return refuse(r, key, "write a number that is not negative");
	}
	*out = (uint64_t)json_integer_value(value);
	return true;
}

bool policy_time(const char *text, int64_t *seconds)
{
	struct tm when;
	const char *end;

	memset(&when, 0, sizeof(when));
	end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &when);
	if (end == NULL || *end != '\0' || strlen(text) != 20) {
		return false;
	}
	*seconds = timegm(&when);
	return true;
}

/* --- one function for each key of the file -------------------------------------------------------------------- */

static bool key_version(const struct reader *r, const char *key, const json_t *value)
{
	return json_is_integer(value) && json_integer_value(value) == 1 ? true
									: refuse(r, key, "write 1");
}

static bool key_comment(const struct reader *r, const char *key, const json_t *value)
{
	return json_is_string(value) ? true : refuse(r, key, "write a text");
}

static bool key_expires(const struct reader *r, const char *key, const json_t *value)
{
	if (is_word(value, "never")) {
		r->p->expires = INT64_MAX;
		return true;
	}
	return json_is_string(value) && policy_time(json_string_value(value), &r->p->expires)
		       ? true
		       : refuse(r, key, "write a time as 2027-01-31T00:00:00Z, or \"never\"");
}

/* Certificates of a file beside the policy. */
static bool add_authority(const struct reader *r, const char *key, const char *name)
{
	char folder[4096], path[8300];
	struct input in;
	uint8_t *text;
	int result;

	snprintf(folder, sizeof(folder), "%s", r->path);
	snprintf(path, sizeof(path), "%s/%s", name[0] == '/' ? "" : dirname(folder), name);
	if (!input_read(path, &in)) {
		return refuse(r, key, "certificate_authority names a file that cannot be read");
	}
	text = realloc(in.at, in.n + 1);
	if (text == NULL) {
		input_free(&in);
		return refuse(r, key, "out of memory");
	}
	text[in.n] = '\0';
	if (r->p->authorities == NULL) {
		r->p->authorities = malloc(sizeof(*r->p->authorities));
		if (r->p->authorities != NULL) {
			mbedtls_x509_crt_init(r->p->authorities);
		}
	}
	result = r->p->authorities == NULL
			 ? -1
			 : mbedtls_x509_crt_parse(r->p->authorities, text,
						  text[0] == '-' ? in.n + 1 : in.n);
	free(text);
	return result == 0 ? true : refuse(r, key, "%s: not certificates (PEM or DER)", name);
}

static bool key_keys(const struct reader *r, const char *key, const json_t *value)
{
	size_t i;
	json_t *item;

	if (!json_is_array(value) || json_array_size(value) == 0 ||
	    json_array_size(value) > POLICY_LIST_MAX) {
		return refuse(
			r, key,
			"write a list of {\"name\": HEX} and {\"certificate_authority\": FILE}: nothing is "
			"trusted by itself");
	}
	json_array_foreach((json_t *)value, i, item)
	{
		const char *name = json_string_value(json_object_get(item, "name"));
		const char *authority =
			json_string_value(json_object_get(item, "certificate_authority"));
		struct policy_name *out = &r->p->key[r->p->keys];

		if (json_object_size(item) != 1 || (name == NULL && authority == NULL)) {
			return refuse(
				r, key,
				"each is {\"name\": HEX} or {\"certificate_authority\": FILE}");
		}
		if (authority != NULL) {
			if (!add_authority(r, key, authority)) {
				return false;
			}
			continue;
		}
		if (!input_hex(name, out->bytes, sizeof(out->bytes), &out->n) || out->n < 34 ||
		    out->n !=
			    2u + tpm_digest_size((uint16_t)(out->bytes[0] << 8 | out->bytes[1]))) {
			return refuse(
				r, key,
				"a TPM name is the algorithm and its hash, as in 000b and 64 digits");
		}
		r->p->keys++;
	}
	return true;
}

static bool key_pcrs(const struct reader *r, const char *key, const json_t *value)
{
	static const uint32_t needed = 0x43ff; /* 0 to 9 and 14 */
	uint32_t seen = 0;
	const char *name;
	json_t *item;

	if (!json_is_object(value)) {
		return refuse(
			r, key,
			"write an object: \"0\" to \"9\" and \"14\", each \"any\" or sha256 values");
	}
	json_object_foreach((json_t *)value, name, item)
	{
		uint32_t mask = 0;

		if (!input_pcr_list(name, &mask) || (mask & needed) != mask || (mask & seen) != 0) {
			return refuse(
				r, key,
				"\"%.20s\" is not a PCR of 0 to 9 and 14, or a range of them, once",
				name);
		}
		seen |= mask;
		for (uint32_t pcr = 0; pcr < TPM_PCRS; pcr++) {
			if ((mask >> pcr & 1) != 0 &&
			    !take_list(r, key, item, 32, &r->p->pcr[pcr])) {
				return false;
			}
		}
	}
	return seen == needed
		       ? true
		       : refuse(r, key, "PCRs 0 to 9 and 14 have to be named, if only as \"any\"");
}

static bool key_boot_applications(const struct reader *r, const char *key, const json_t *value)
{
	return take_list(r, key, value, 32, &r->p->boot_applications);
}

static bool key_loader_commands(const struct reader *r, const char *key, const json_t *value)
{
	return take_list(r, key, value, 32, &r->p->loader_commands);
}

static bool key_loaded_files(const struct reader *r, const char *key, const json_t *value)
{
	return take_list(r, key, value, 32, &r->p->loaded_files);
}

static bool key_hypervisor(const struct reader *r, const char *key, const json_t *value)
{
	return take_list(r, key, value, ATTEST_DIGEST, &r->p->event[ATTEST_HYPERVISOR]);
}

static bool key_options(const struct reader *r, const char *key, const json_t *value)
{
	return take_list(r, key, value, ATTEST_DIGEST, &r->p->event[ATTEST_OPTIONS]);
}

static bool key_kernel(const struct reader *r, const char *key, const json_t *value)
{
	return take_list(r, key, value, ATTEST_DIGEST, &r->p->event[ATTEST_KERNEL]);
}

static bool key_initrd(const struct reader *r, const char *key, const json_t *value)
{
	return take_list(r, key, value, ATTEST_DIGEST, &r->p->event[ATTEST_INITRD]);
}

static bool key_cmdline(const struct reader *r, const char *key, const json_t *value)
{
	return take_list(r, key, value, ATTEST_DIGEST, &r->p->event[ATTEST_CMDLINE]);
}

static bool key_secure_world(const struct reader *r, const char *key, const json_t *value)
{
	return take_list(r, key, value, ATTEST_DIGEST, &r->p->event[ATTEST_VTL1]);
}

static bool key_minimum_hypervisor(const struct reader *r, const char *key, const json_t *value)
{
	return take_number(r, key, value, &r->p->svn_hypervisor);
}

static bool key_minimum_vm(const struct reader *r, const char *key, const json_t *value)
{
	return take_number(r, key, value, &r->p->svn_vm);
}

static bool key_report(const struct reader *r, const char *key, const json_t *value)
{
	r->p->report = is_word(value, "vm")     ? POLICY_REPORT_VM
		       : is_word(value, "host") ? POLICY_REPORT_HOST
						: POLICY_REPORT_ANY;
	return r->p->report != POLICY_REPORT_ANY || is_word(value, "any")
		       ? true
		       : refuse(r, key, "write \"vm\", \"host\" or \"any\"");
}

static bool key_vms(const struct reader *r, const char *key, const json_t *value)
{
	size_t i, n;
	json_t *item;

	if (is_word(value, "any")) {
		r->p->vm_any = true;
		return true;
	}
	if (!json_is_array(value) || json_array_size(value) > POLICY_LIST_MAX) {
		return refuse(r, key,
			      "write \"any\", or a list of {\"name\": TEXT, \"measurement\": HEX}");
	}
	json_array_foreach((json_t *)value, i, item)
	{
		const char *name = json_string_value(json_object_get(item, "name"));
		const char *digest = json_string_value(json_object_get(item, "measurement"));
		struct policy_vm *vm = &r->p->vm[r->p->vms];

		if (json_object_size(item) != 2 || name == NULL || digest == NULL ||
		    strlen(name) >= sizeof(vm->name) ||
		    !input_hex(digest, vm->measurement, ATTEST_DIGEST, &n) || n != ATTEST_DIGEST) {
			return refuse(
				r, key,
				"each is {\"name\": up to 63 letters, \"measurement\": 96 digits}");
		}
		strcpy(vm->name, name);
		r->p->vms++;
	}
	return true;
}

static bool key_debug(const struct reader *r, const char *key, const json_t *value)
{
	return take_choice(r, key, value, "refused", "allowed", &r->p->debug_allowed);
}

static bool key_isolation(const struct reader *r, const char *key, const json_t *value)
{
	return take_choice(r, key, value, "any", "required", &r->p->isolated_needed);
}

static bool key_origin(const struct reader *r, const char *key, const json_t *value)
{
	return take_choice(r, key, value, "any", "guest", &r->p->guest_origin_needed);
}

static bool key_log_fill(const struct reader *r, const char *key, const json_t *value)
{
	return take_choice(r, key, value, "refused", "allowed", &r->p->log_fill);
}

static bool key_unexplained(const struct reader *r, const char *key, const json_t *value)
{
	size_t i;
	json_t *item;

	if (!json_is_array(value)) {
		return refuse(r, key, "write a list of PCR numbers, or []");
	}
	json_array_foreach((json_t *)value, i, item)
	{
		json_int_t pcr = json_integer_value(item);

		if (!json_is_integer(item) || pcr < 1 || pcr > 21) {
			return refuse(r, key,
				      "PCR 1 to 21: 0 and 22 are always explained by the log");
		}
		r->p->unexplained |= 1u << pcr;
	}
	return true;
}

static bool key_reset_count(const struct reader *r, const char *key, const json_t *value)
{
	uint64_t n = 0;

	r->p->reset_any = is_word(value, "any");
	if (!r->p->reset_any && (!take_number(r, key, value, &n) || n > UINT32_MAX)) {
		return n > UINT32_MAX ? refuse(r, key, "write a number of 32 bits, or \"any\"")
				      : false;
	}
	r->p->reset_count = (uint32_t)n;
	return true;
}

struct policy_key {
	const char *name;
	bool (*take)(const struct reader *r, const char *key, const json_t *value);
	bool optional;
};

static const struct policy_key keys[] = {
	{ "version", key_version, false },
	{ "comment", key_comment, true },
	{ "expires", key_expires, false },
	{ "keys", key_keys, false },
	{ "pcrs", key_pcrs, false },
	{ "boot_applications", key_boot_applications, false },
	{ "loader_commands", key_loader_commands, false },
	{ "loaded_files", key_loaded_files, false },
	{ "hypervisor", key_hypervisor, false },
	{ "options", key_options, false },
	{ "kernel", key_kernel, false },
	{ "initrd", key_initrd, false },
	{ "cmdline", key_cmdline, false },
	{ "secure_world", key_secure_world, false },
	{ "minimum_hypervisor", key_minimum_hypervisor, false },
	{ "minimum_vm", key_minimum_vm, false },
	{ "report", key_report, false },
	{ "vms", key_vms, false },
	{ "debug", key_debug, false },
	{ "isolation", key_isolation, false },
	{ "origin", key_origin, false },
	{ "log_fill", key_log_fill, false },
	{ "unexplained", key_unexplained, false },
	{ "reset_count", key_reset_count, false },
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

static bool take_all(const struct reader *r, const json_t *root)
{
	const char *name;
	json_t *value;

	if (!json_is_object(root)) {
		return refuse(r, "version", "a policy is a JSON object");
	}
	json_object_foreach((json_t *)root, name, value)
	{
		size_t i = 0;

		while (i < KEYS && strcmp(keys[i].name, name) != 0) {
			i++;
		}
		if (i == KEYS) {
			return refuse(r, name,
				      "unknown key: redoubt-verify(1) lists those that there are");
		}
		if (!keys[i].take(r, name, value)) {
			return false;
		}
	}
	for (size_t i = 0; i < KEYS; i++) {
		if (!keys[i].optional && json_object_get(root, keys[i].name) == NULL) {
			return refuse(
				r, keys[i].name,
				"is missing: every check has to be named; where \"any\" is allowed, write it");
		}
	}
	return true;
}

bool policy_read(const char *path, struct policy *p)
{
	struct reader r = { path, NULL, p };
	struct input in;
	json_error_t error;
	json_t *root;
	uint8_t *text;
	bool ok = false;

	memset(p, 0, sizeof(*p));
	if (!input_read(path, &in)) {
		return false;
	}
	text = realloc(in.at, in.n + 1);
	if (text == NULL) {
		input_free(&in);
		return false;
	}
	text[in.n] = '\0';
	r.text = (const char *)text;
	root = json_loadb((const char *)text, in.n, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL) {
		usage_error("%s:%d: %s: write JSON as redoubt-verify make-policy does", path,
			    error.line, error.text);
	} else {
		ok = take_all(&r, root);
	}
	json_decref(root);
	free(text);
	return ok;
}

void policy_free(struct policy *p)
{
	for (unsigned int i = 0; i < TPM_PCRS; i++) {
		free(p->pcr[i].digest);
	}
	for (unsigned int i = 0; i < ATTEST_END; i++) {
		free(p->event[i].digest);
	}
	free(p->boot_applications.digest);
	free(p->loader_commands.digest);
	free(p->loaded_files.digest);
	if (p->authorities != NULL) {
		mbedtls_x509_crt_free(p->authorities);
		free(p->authorities);
		p->authorities = NULL;
	}
}

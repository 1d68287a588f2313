/* SPDX-License-Identifier: MIT */
#include "hv/host/attestd/http.h"

#include <jansson.h>
#include <string.h>

struct text {
	const char *at;
	size_t n;
};

struct head {
	enum request_verb verb;
	bool has_length;
	size_t length;
	size_t size; /* of the head itself */
};

static enum http_step refuse(int *status, const char **why, int code, const char *text)
{
	*status = code;
	*why = text;
	return HTTP_REFUSED;
}

static bool same(struct text a, const char *b)
{
	return a.n == strlen(b) && memcmp(a.at, b, a.n) == 0;
}

/* Names of headers: without case (RFC 9110 section 5.1). */
static bool same_name(struct text a, const char *lower)
{
	if (a.n != strlen(lower)) {
		return false;
	}
	for (size_t i = 0; i < a.n; i++) {
		char c = a.at[i];

		if (c >= 'A' && c <= 'Z') {
			c = (char)(c - 'A' + 'a');
		}
		if (c != lower[i]) {
			return false;
		}
	}
	return true;
}

/* The next line up to CR LF, of printable characters. false: there is no whole one. */
static bool take_line(struct text *from, struct text *line)
{
	const char *end = memmem(from->at, from->n, "\r\n", 2);

	if (end == NULL) {
		return false;
	}
	*line = (struct text){ from->at, (size_t)(end - from->at) };
	from->n -= line->n + 2;
	from->at = end + 2;
	return true;
}

static bool printable(struct text t)
{
	for (size_t i = 0; i < t.n; i++) {
		unsigned char c = (unsigned char)t.at[i];

		if ((c < 0x20 && c != '\t') || c > 0x7e) {
			return false;
		}
	}
	return true;
}

static enum http_step request_line(struct text line, struct head *h, int *status, const char **why)
{
	static const struct {
		const char *method, *path;
		enum request_verb verb;
	} rows[] = { { "POST", "/v1/report", REQUEST_REPORT },
		     { "GET", "/v1/ek", REQUEST_EK },
		     { "POST", "/v1/activate", REQUEST_ACTIVATE } };
	const char *first = memchr(line.at, ' ', line.n);
	const char *last = memrchr(line.at, ' ', line.n);
	struct text method, path, version;

	if (first == last) { /* one, or none */
		return refuse(status, why, 400, "the request line is not METHOD PATH HTTP/1.1");
	}
	method = (struct text){ line.at, (size_t)(first - line.at) };
	path = (struct text){ first + 1, (size_t)(last - first - 1) };
	version = (struct text){ last + 1, (size_t)(line.at + line.n - last - 1) };
	if (!same(version, "HTTP/1.1") && !same(version, "HTTP/1.0")) {
		return refuse(status, why, 505, "the version is not HTTP/1.1 or HTTP/1.0");
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (same(path, rows[i].path)) {
			h->verb = rows[i].verb;
			return same(method, rows[i].method)
				       ? HTTP_DONE
				       : refuse(status, why, 405, "not the method of this path");
		}
	}
	return refuse(status, why, 404, "no such path: /v1/report, /v1/ek, /v1/activate");
}

static bool take_length(struct text value, size_t *length)
{
	*length = 0;
	if (value.n == 0 || value.n > 6) {
		return false;
	}
	for (size_t i = 0; i < value.n; i++) {
		if (value.at[i] < '0' || value.at[i] > '9') {
			return false;
		}
		*length = *length * 10 + (size_t)(value.at[i] - '0');
	}
	return true;
}

static enum http_step header(struct text line, struct head *h, int *status, const char **why)
{
	const char *colon = memchr(line.at, ':', line.n);
	struct text name, value;

	if (colon == NULL || colon == line.at || colon[-1] == ' ' || colon[-1] == '\t' ||
	    line.at[0] == ' ' || line.at[0] == '\t') {
		return refuse(status, why, 400, "a header is not NAME: VALUE");
	}
	name = (struct text){ line.at, (size_t)(colon - line.at) };
	value = (struct text){ colon + 1, (size_t)(line.at + line.n - colon - 1) };
	while (value.n != 0 && (value.at[0] == ' ' || value.at[0] == '\t')) {
		value.at++;
		value.n--;
	}
	while (value.n != 0 && (value.at[value.n - 1] == ' ' || value.at[value.n - 1] == '\t')) {
		value.n--;
	}
	if (same_name(name, "transfer-encoding")) {
		return refuse(status, why, 411, "a body has a Content-Length here");
	}
	if (same_name(name, "expect")) {
		return refuse(status, why, 417, "no expectation is met here");
	}
	if (same_name(name, "content-length")) {
		/* A second one could mean another to somebody between (RFC 9112 section 6.3). */
		if (h->has_length || !take_length(value, &h->length)) {
			return refuse(status, why, 400, "Content-Length: not one number");
		}
		h->has_length = true;
	}
	return HTTP_DONE;
}

static enum http_step take_head(const char *bytes, size_t n, struct head *h, int *status,
				const char **why)
{
	size_t room = n < HTTP_HEAD_MAX ? n : HTTP_HEAD_MAX;
	const char *end = memmem(bytes, room, "\r\n\r\n", 4);
	struct text left, line;
	bool first = true;

	if (end == NULL) {
		return room == HTTP_HEAD_MAX ? refuse(status, why, 431, "the headers are too long")
					     : HTTP_MORE;
	}
	h->size = (size_t)(end - bytes) + 4;
	left = (struct text){ bytes, h->size - 2 };
	while (take_line(&left, &line)) {
		enum http_step step;

		if (!printable(line)) {
			return refuse(status, why, 400, "a header has bytes that are no text");
		}
		step = first ? request_line(line, h, status, why) : header(line, h, status, why);
		if (step != HTTP_DONE) {
			return step;
		}
		first = false;
	}
	return HTTP_DONE;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'a' && c <= 'f') {
		return c - 'a' + 10;
	}
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Between least (not 0) and most bytes as hexadecimal digits. */
static bool take_hex(const json_t *value, uint8_t *out, size_t least, size_t most, size_t *n)
{
	const char *text = json_string_value(value);
	size_t length = text != NULL ? json_string_length(value) : 0, bytes = length / 2;

	if (length % 2 != 0 || bytes < least || bytes > most) {
		return false;
	}
	for (size_t i = 0; i < bytes; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0) {
			return false;
		}
		out[i] = (uint8_t)(high << 4 | low);
	}
	*n = bytes;
	return true;
}

static const char *take_report(const json_t *o, struct request *r)
{
	const json_t *partition = json_object_get(o, "partition");
	json_int_t number = json_integer_value(partition);

	if (!take_hex(json_object_get(o, "nonce"), r->nonce, REQUEST_NONCE_MIN, REQUEST_NONCE_MAX,
		      &r->nonce_n)) {
		return "nonce: not 16 to 64 bytes as hexadecimal digits";
	}
	r->has_partition = partition != NULL;
	if (r->has_partition && (!json_is_integer(partition) || number <= 0)) {
		return "partition: not a positive number";
	}
	r->partition = (uint64_t)number;
	return json_object_size(o) == (r->has_partition ? 2u : 1u)
		       ? NULL
		       : "unknown key: nonce and partition are all";
}

static const char *take_activate(const json_t *o, struct request *r)
{
	if (!take_hex(json_object_get(o, "credential"), r->credential, 3, REQUEST_BLOB_MAX,
		      &r->credential_n)) {
		return "credential: not a TPM2B_ID_OBJECT as hexadecimal digits";
	}
	if (!take_hex(json_object_get(o, "secret"), r->secret, 3, REQUEST_BLOB_MAX, &r->secret_n)) {
		return "secret: not a TPM2B_ENCRYPTED_SECRET as hexadecimal digits";
	}
	return json_object_size(o) == 2 ? NULL : "unknown key: credential and secret are all";
}

static enum http_step take_body(const char *body, size_t n, struct request *r, int *status,
				const char **why)
{
	json_t *o;

	if (r->verb == REQUEST_EK) {
		return n == 0 ? HTTP_DONE : refuse(status, why, 400, "this path takes no body");
	}
	o = json_loadb(body, n, JSON_REJECT_DUPLICATES, NULL);
	*why = !json_is_object(o)          ? "the body is not one JSON object"
	       : r->verb == REQUEST_REPORT ? take_report(o, r)
					   : take_activate(o, r);
	json_decref(o);
	return *why == NULL ? HTTP_DONE : refuse(status, why, 400, *why);
}

enum http_step http_parse(const char *bytes, size_t n, struct request *r, int *status,
			  const char **why)
{
	struct head h = { 0 };
	enum http_step step = take_head(bytes, n, &h, status, why);

	*r = (struct request){ 0 };
	if (step != HTTP_DONE) {
		return step;
	}
	if (h.length > HTTP_BODY_MAX) {
		return refuse(status, why, 413, "the body is too long");
	}
	if (n - h.size < h.length) {
		return HTTP_MORE;
	}
	if (n - h.size > h.length) {
		return refuse(status, why, 400, "bytes behind the body: one request each time");
	}
	r->verb = h.verb;
	return take_body(bytes + h.size, h.length, r, status, why);
}
